"""Groups of personas: broad groups of an attribute, groups of the user's own, single values and all pairs of values.

Tables in, tables out: nothing here asks a model or reads a file.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import pandas as pd

from .. import UserError
from ..attributes import BY_NAME
from ..personas import profiles, psychographics

MOST = 40  # values of an attribute that can be told apart in a table or figure
SOME = 8  # different numbers that are shown as they are; more are put in bands
BANDS = 4  # bands of a number that has none of its own, as many people in each
AGES = {0: "under 35", 35: "35 to 54", 55: "55 or older"}  # by the youngest age
INCOMES = {  # by the lowest income
    -(10**9): "under 25,000",
    25_000: "25,000 to 59,999",
    60_000: "60,000 to 99,999",
    100_000: "100,000 or more",
}
FIXED: dict[str, dict[int, str]] = {"age": AGES, "income": INCOMES}
RACES = {"White alone": "White", "Black or African American alone": "Black", "Asian alone": "Asian"}
OTHER_RACE, SEVERAL = "another race", "two or more races"
SCHOOLS = {  # by the first label, in the order of the Bureau's
    "No schooling completed": "no diploma",
    "Regular high school diploma": "high school",
    "Some college, but less than 1 year": "some college",
    "Bachelor's degree": "bachelor's or more",
}
# By a word of the label; the first that fits counts. Leaners count with their party.
PARTIES = {"Democrat": "Democrat or close", "Republican": "Republican or close"}
NEITHER = "neither"
FAITHS = {
    "No religion": "no religion",
    "Catholic": "Catholic",
    "Orthodox": "another religion",
    "Protestant": "Protestant",
    "Christian": "Protestant",
    "unaffiliated": "no religion",
    "atheist": "no religion",
    "agnostic": "no religion",
}
OTHER_FAITH = "another religion"
IDEOLOGIES = {
    "liberal": "liberal",
    "progressive": "liberal",
    "moderate": "moderate",
    "middle": "moderate",
    "centrist": "moderate",
    "conservative": "conservative",
}
# What a category may be beyond the labels in `attributes`.
SURVEYED = {
    "religion": psychographics.RELIGIONS,
    "political views": psychographics.PARTIES,
    "ideology": psychographics.IDEOLOGIES,
    "ideology label": psychographics.IDEOLOGIES,
}


def broad(people: pd.DataFrame) -> pd.DataFrame:
    """Add six attributes in a few broad groups, so that most of their intersections have some people.

    Args:
        people: personas, index `persona_id`.

    Returns:
        The table with the ordered columns `age group`, `race group`, `schooling` (from `education`), `party` (from
        `political views`; leaners count with their party), `religion group` (from `religion`; Protestants include
        Christians without a denomination) and `ideology group` (from `ideology label`, or `ideology` without it), each
        if its attribute is there. Missing stays missing; an ideology in words that name no side is missing too. All
        groups are categories, even groups of nobody.
    """
    made: dict[str, Any] = {}
    if "age" in people:
        made["age group"] = profiles.banded(people["age"], AGES)
    if "race" in people:
        made["race group"] = _named(people["race"], RACES, [*RACES.values(), SEVERAL, OTHER_RACE], _other_race)
    if "education" in people:
        places = {label: i for i, label in enumerate(BY_NAME["education"].labels)}
        starts = {places[label]: name for label, name in SCHOOLS.items()}
        made["schooling"] = profiles.banded(people["education"].astype("str").map(places), starts)
    if "political views" in people:
        made["party"] = _named(people["political views"], PARTIES, [*PARTIES.values(), NEITHER], lambda _: NEITHER)
    if "religion" in people:
        faiths = ["Protestant", "Catholic", OTHER_FAITH, "no religion"]
        made["religion group"] = _named(people["religion"], FAITHS, faiths, lambda _: OTHER_FAITH)
    if ideology := next((name for name in ("ideology label", "ideology") if name in people), None):
        made["ideology group"] = _named(people[ideology], IDEOLOGIES, ["liberal", "moderate", "conservative"])
    return people.assign(**made)


def _named(column: pd.Series, words: Mapping[str, str], groups: list[str], other: Any = lambda _: None) -> Any:
    """Return the broad group of each label by the first of `words` that it has, else `other` of the label."""
    found = {
        label: next((group for word, group in words.items() if word.lower() in str(label).lower()), other(label))
        for label in column.dropna().unique()
    }
    return pd.Categorical(column.astype(object).map(found), groups, ordered=True)


def _other_race(race: str) -> str:
    """Return the broad group of a race that has none of its own."""
    return SEVERAL if "Two" in str(race) else OTHER_RACE


def members(people: pd.DataFrame, groups: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """Return who belongs to which group.

    Args:
        people: personas, index `persona_id`.
        groups: by group, its predicates: attributes and the value or list of values they must have, or for a number
            its range, both ends included; one end may be left out. As in a YAML file:
            {'older women': {'sex': 'Female', 'age': {'from': 65, 'to': 80}}, 'Jews': {'religion': ['Jewish']}}.

    Returns:
        Index `persona_id`, a boolean column per group. Groups may overlap and may be empty: nobody may have a number, a
        text, or a label that the attribute can take.

    Raises:
        UserError: the table lacks an attribute, a category has no such value, or a range is none.
    """
    found = {}
    for group, wanted in groups.items():
        inside = pd.Series(True, people.index)
        if not isinstance(wanted, Mapping):
            raise UserError(
                f"group {group!r} is {wanted!r}: write its attributes and their values, {{'sex': 'Female'}}"
            )
        if not wanted:
            raise UserError(f"group {group!r} names no attribute, so that everybody is in it: name one or leave it out")
        for attribute, value in wanted.items():
            if attribute not in people:
                raise UserError(f"group {group!r}: personas have no {attribute!r}: {', '.join(map(str, people))}")
            try:
                inside &= _meets(people[attribute], value).fillna(False).astype(bool)
            except UserError as error:
                raise UserError(f"group {group!r}: {error}") from error
        found[group] = inside
    return pd.DataFrame(found, index=people.index)


def _meets(column: pd.Series, wanted: Any) -> pd.Series:
    """Return who has one of the wanted values of an attribute, or a number in the wanted range."""
    number = pd.api.types.is_numeric_dtype(column)
    if isinstance(wanted, Mapping):
        return _within(column, wanted, number)
    values = [wanted] if isinstance(wanted, str) or not isinstance(wanted, Sequence) else list(wanted)
    if number:
        if wrong := [value for value in values if not _is_number(value)]:
            raise UserError(f"{column.name} is a number and {wrong[0]!r} is none: write numbers or {{'from': 65}}")
        return column.isin(values)
    known = _known(column)
    if known and (unknown := [value for value in values if value not in known]):
        raise UserError(f"{column.name} is never {unknown[0]!r}: {', '.join(map(str, known))}")
    return column.isin(values)


def _within(column: pd.Series, ends: Mapping, number: bool) -> pd.Series:
    """Return who has a number from `from` to `to`."""
    low, high = (ends.get(end) for end in ("from", "to"))
    bounds = [bound for bound in (low, high) if bound is not None]
    if not number or not bounds or set(ends) - {"from", "to"} or not all(map(_is_number, bounds)):
        raise UserError(f"{column.name} can't be {dict(ends)!r}: a range of a number is {{'from': 65, 'to': 80}}")
    if len(bounds) == 2 and bounds[0] > bounds[1]:
        raise UserError(f"{column.name} from {low} to {high}: no number is in this range")
    inside = column.notna()
    if low is not None:
        inside &= column.ge(low)
    if high is not None:
        inside &= column.le(high)
    return inside


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _known(column: pd.Series) -> list:
    """Return the values that a category can take, in order; none for free text, which can be anything."""
    attribute = BY_NAME.get(str(column.name))
    if attribute is not None and attribute.kind == "text":
        return []
    possible = [*SURVEYED.get(str(column.name), ()), *(attribute.labels if attribute else ())]
    return list(dict.fromkeys([*possible, *_values(column)]))


def crossings(
    people: pd.DataFrame, attributes: Sequence[str], single: Sequence[str] = (), least: int = 0
) -> pd.DataFrame:
    """Return the groups of each attribute's values and of all pairs of two attributes' values, as `members` does.

    Args:
        people: personas, index `persona_id`. Numbers are put in bands, as `banded` does.
        attributes: which to cross.
        single: further attributes, whose values are groups but are not crossed.
        least: groups with fewer personas are left out; 0 keeps even groups of nobody, to show them.

    Raises:
        UserError: the table lacks an attribute, or an attribute has too many values.
    """
    wanted = [*dict.fromkeys([*attributes, *single])]
    if unknown := [a for a in wanted if a not in people]:
        raise UserError(f"personas have no {', '.join(unknown)}: {', '.join(map(str, people))}")
    columns = {a: banded(people[a]) for a in wanted}
    values = {a: _values(column) for a, column in columns.items()}
    if many := [a for a, v in values.items() if len(v) > MOST]:
        raise UserError(f"{', '.join(many)} has more than {MOST} values: take an attribute with fewer groups")
    found = {f"{a}: {v}": columns[a].eq(v) for a in wanted for v in values[a]}
    for a, b in combinations(attributes, 2):
        found |= {f"{a}: {v}, {b}: {w}": found[f"{a}: {v}"] & found[f"{b}: {w}"] for v in values[a] for w in values[b]}
    table = pd.DataFrame(found, index=people.index).fillna(False).astype(bool)
    return table.loc[:, table.sum() >= least]


def alike(own: pd.DataFrame, others: pd.DataFrame) -> dict[str, str]:
    """Return the groups of `own` whose people are all those of one of `others`, each with the first such group.

    Both tables are as returned by `members`. Groups of nobody are none of them.
    """
    found = {group: next((name for name in others if others[name].equals(own[group])), None) for group in own}
    return {group: name for group, name in found.items() if name is not None and own[group].any()}


def banded(column: pd.Series) -> pd.Series:
    """Return an attribute in groups that can be shown: a number in bands, anything else as it is.

    Args:
        column: an attribute of personas. Age and income have bands of their own. Another number with more than eight
            different values is cut into four bands of about as many people each, named by their lowest and highest
            number.
    """
    if not pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column):
        return column
    if column.name in FIXED:
        return profiles.banded(column, FIXED[str(column.name)])
    if column.nunique() <= SOME:
        return column
    numbers = column.astype(float)
    places = pd.qcut(numbers, BANDS, labels=False, duplicates="drop")
    ends = numbers.groupby(places).agg(["min", "max"])
    names = {place: f"{row['min']:,g} to {row['max']:,g}" for place, row in ends.iterrows()}
    return pd.Series(
        pd.Categorical(places.map(names), list(names.values()), ordered=True), column.index, name=column.name
    )


def singles(people: pd.DataFrame, attributes: Sequence[str]) -> list[str]:
    """Return the names of the groups of single values, as `crossings` names them, in order."""
    return [f"{a}: {v}" for a in dict.fromkeys(attributes) for v in _values(banded(people[a]))]


def grid(table: pd.DataFrame, people: pd.DataFrame, attributes: Sequence[str]) -> pd.DataFrame:
    """Lay out the scores of `crossings` for a heat map: each value of an attribute against each of another.

    Args:
        table: as returned by `intersections.scores` of these crossings; groups that it lacks are left out.
        people, attributes: as in `crossings`.

    Returns:
        One row per group: `attribute`, `value` (its row in the map), `other`, `other value` (its column; the same for
        the group of a single value), and the columns of `table`.
    """
    cells = [(a, v) for a in attributes for v in _values(banded(people[a]))]
    rows = []
    for place, (a, v) in enumerate(cells):
        for b, w in cells[: place + 1]:
            name = f"{a}: {v}" if (a, v) == (b, w) else f"{b}: {w}, {a}: {v}"
            if name in table.index:
                rows.append({"attribute": a, "value": v, "other": b, "other value": w, **table.loc[name]})
    return pd.DataFrame(rows, columns=["attribute", "value", "other", "other value", *table.columns])


def _values(column: pd.Series) -> list:
    """Return an attribute's values in order, for categories also those that nobody has."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return list(column.cat.categories)
    return sorted(column.dropna().unique())
