"""Scores of groups of personas and of their intersections: shrunk, and corrected for the number of groups.

Tables in, tables out: nothing here asks a model or reads a file.
"""

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from .. import UserError
from ..attributes import BY_NAME
from ..personas import profiles
from ..stats.intervals import ITEM, LEVEL, check, corrected, effective, rate, variance

MOST = 40  # values of an attribute that can be told apart in a table or figure
NOBODY = "nobody in this group"
AGES = {0: "under 35", 35: "35 to 54", 55: "55 or older"}  # by the youngest age
RACES = {"White alone": "White", "Black or African American alone": "Black", "Asian alone": "Asian"}
OTHER_RACE, SEVERAL = "another race", "two or more races"
SCHOOLS = {  # by the first label, in the order of the Bureau's
    "No schooling completed": "no diploma",
    "Regular high school diploma": "high school",
    "Some college, but less than 1 year": "some college",
    "Bachelor's degree": "bachelor's or more",
}
PARTIES = {"Democrat": "Democrat or close", "Republican": "Republican or close"}
NEITHER = "neither"


def broad(people: pd.DataFrame) -> pd.DataFrame:
    """Add four attributes in a few broad groups, so that most of their intersections have some people.

    Args:
        people: personas, index `persona_id`.

    Returns:
        The table with the ordered columns `age group`, `race group`, `schooling` (from `education`) and `party` (from
        `political views`; leaners count with their party), each if its attribute is there. Missing stays missing. All
        groups are categories, even groups of nobody.
    """
    made: dict[str, Any] = {}
    if "age" in people:
        made["age group"] = profiles.banded(people["age"], AGES)
    if "race" in people:
        races = {race: _race(race) for race in people["race"].dropna().unique()}
        made["race group"] = pd.Categorical(people["race"].map(races), [*RACES.values(), SEVERAL, OTHER_RACE])
    if "education" in people:
        places = {label: i for i, label in enumerate(BY_NAME["education"].labels)}
        starts = {places[label]: name for label, name in SCHOOLS.items()}
        made["schooling"] = profiles.banded(people["education"].astype("str").map(places), starts)
    if "political views" in people:
        parties = {views: _party(views) for views in people["political views"].dropna().unique()}
        made["party"] = pd.Categorical(people["political views"].map(parties), [*PARTIES.values(), NEITHER])
    return people.assign(**made)


def _race(race: str) -> str:
    """Return the broad group of a race."""
    return RACES.get(race, SEVERAL if "Two" in race else OTHER_RACE)


def _party(views: str) -> str:
    """Return the party of political views."""
    return next((party for word, party in PARTIES.items() if word in views), NEITHER)


def members(people: pd.DataFrame, groups: dict[str, dict]) -> pd.DataFrame:
    """Return who belongs to which group.

    Args:
        people: personas, index `persona_id`.
        groups: by group, its predicates: attributes and the value or list of values they must have, as in a YAML file:
            {'older women': {'sex': 'Female', 'age band': ['65 to 74', '75 or older']}}.

    Returns:
        Index `persona_id`, a boolean column per group. Groups may overlap and may be empty.

    Raises:
        UserError: the table lacks an attribute, or nobody has a value.
    """
    found = {}
    for group, wanted in groups.items():
        inside = pd.Series(True, people.index)
        for attribute, values in wanted.items():
            if attribute not in people:
                raise UserError(f"group {group!r}: personas have no {attribute!r}: {', '.join(map(str, people))}")
            values = [values] if isinstance(values, str) or not isinstance(values, Sequence) else list(values)
            known = _values(people[attribute])
            if unknown := [v for v in values if v not in known]:
                raise UserError(
                    f"group {group!r}: nobody's {attribute} is {unknown[0]!r}: {', '.join(map(str, known))}"
                )
            inside &= people[attribute].isin(values)
        found[group] = inside
    return pd.DataFrame(found, index=people.index)


def crossings(people: pd.DataFrame, attributes: Sequence[str], least: int = 0) -> pd.DataFrame:
    """Return the groups of each attribute's values and of all pairs of two attributes' values, as `members` does.

    Args:
        people: personas, index `persona_id`; numbers must be in bands.
        attributes: which to cross.
        least: groups with fewer personas are left out; 0 keeps even groups of nobody, to show them.

    Raises:
        UserError: the table lacks an attribute, or an attribute has too many values.
    """
    if unknown := [a for a in attributes if a not in people]:
        raise UserError(f"personas have no {', '.join(unknown)}: {', '.join(map(str, people))}")
    values = {a: _values(people[a]) for a in attributes}
    if many := [a for a, v in values.items() if len(v) > MOST]:
        raise UserError(f"{', '.join(many)} has more than {MOST} values: put it in bands first")
    predicates = {f"{a}: {v}": {a: v} for a in attributes for v in values[a]}
    for a, b in combinations(attributes, 2):
        predicates |= {f"{a}: {v}, {b}: {w}": {a: v, b: w} for v in values[a] for w in values[b]}
    found = members(people, predicates)
    return found.loc[:, found.sum() >= least]


def grid(table: pd.DataFrame, people: pd.DataFrame, attributes: Sequence[str]) -> pd.DataFrame:
    """Lay out the scores of `crossings` for a heat map: each value of an attribute against each of another.

    Args:
        table: as returned by `scores` of these crossings; groups that it lacks are left out.
        people, attributes: as in `crossings`.

    Returns:
        One row per group: `attribute`, `value` (its row in the map), `other`, `other value` (its column; the same for
        the group of a single value), and the columns of `table`.
    """
    cells = [(a, v) for a in attributes for v in _values(people[a])]
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


def scores(table: pd.DataFrame, members: pd.DataFrame, value: str = "score") -> pd.DataFrame:
    """Compute each group's rate, shrunk towards the overall rate, and its difference from everybody else.

    The distances of groups from the overall rate are taken as normal. Their standard deviation is averaged over all
    values that the data allow (flat prior from 0 to 0.5): intervals keep a width even if groups may not differ at all.

    Args:
        table: one row per item, as in `stats.rates`.
        members: as returned by `members` or `crossings`.
        value: the score.

    Returns:
        Index `group`; `personas` (with an item), `n`, `failed`, `rate`, `low`, `high` as in `stats.rates`; `shrunk`,
        `shrunk_low`, `shrunk_high`: the estimate of a normal hierarchical model; `difference` from all outside the
        group; `difference_low`, `difference_high`: an interval that holds for all groups at once (Bonferroni), so also
        for the group picked as the worst; `p` of no difference, `p_holm`; `note`.

    Raises:
        UserError: the table lacks a column, or has a persona that `members` lacks.
    """
    check(table, [], value)
    if unknown := set(table["persona_id"]) - set(members.index):
        raise UserError(
            f"{len(unknown)} personas of the scores are in no row of members, such as {min(map(str, unknown))}"
        )
    inside = members.loc[table["persona_id"]].to_numpy(bool)  # items x groups
    rows = {}
    for place, group in enumerate(members):
        mine = table[inside[:, place]]
        others = table[~inside[:, place]]
        row = rate(mine[value], mine[ITEM])
        row |= {"personas": mine["persona_id"].nunique(), **_difference(mine, others, value, members.shape[1])}
        rows[group] = row | {"note": row["note"] if len(mine) else NOBODY}
    result = pd.DataFrame.from_dict(rows, orient="index").rename_axis("group")
    scored = table.dropna(subset=value)
    result[["shrunk", "shrunk_low", "shrunk_high"]] = _shrunk(result, scored[value].to_numpy(float), scored[ITEM])
    result["p_holm"] = corrected(result["p"])
    first = ["personas", "n", "failed", "rate", "low", "high", "shrunk", "shrunk_low", "shrunk_high"]
    return result[[*first, "difference", "difference_low", "difference_high", "p", "p_holm", "note"]]


def _difference(mine: pd.DataFrame, others: pd.DataFrame, value: str, groups: int) -> dict[str, float]:
    """Compute a group's rate less everybody else's, clustered by persona and by the prompts that both share.

    Args:
        mine, others: the items of the group and of everybody else.
        value: the score.
        groups: number of groups that are looked at.

    Returns:
        `difference`, `difference_low`, `difference_high`, `p`; `error`: standard error of the group's rate less the
        overall rate.
    """
    names = ["difference", "difference_low", "difference_high", "p", "error"]
    mine = mine.dropna(subset=value)
    others = others.dropna(subset=value)
    if mine.empty or others.empty:
        return dict.fromkeys(names, np.nan)
    n = len(mine) + len(others)
    difference = mine[value].mean() - others[value].mean()
    # The difference is the mean of these influence values over all n items, up to a constant.
    push_mine = (mine[value] - mine[value].mean()) * n / len(mine)
    push_others = -(others[value] - others[value].mean()) * n / len(others)
    push = pd.concat([push_mine, push_others])
    spread = push.var(ddof=0)
    worth = effective(push, pd.concat([mine[ITEM], others[ITEM]]), spread, floor=1.0)
    df = min(worth.df, mine["persona_id"].nunique() - 1, others["persona_id"].nunique() - 1)
    if df < 1 or spread < 1e-18:  # equal scores that differ by rounding
        return dict.fromkeys(names, np.nan) | {"difference": difference}
    error = np.sqrt(spread / worth.n)
    half = stats.t.ppf(1 - (1 - LEVEL) / groups / 2, df) * error
    low, high = np.clip([difference - half, difference + half], -1, 1)
    p = 2 * stats.t.sf(abs(difference) / error, df)
    # A group's rate less the overall rate is the difference times the share of items outside the group.
    return dict(zip(names, [difference, low, high, p, error * len(others) / n], strict=True))


def _shrunk(table: pd.DataFrame, values: np.ndarray, clusters: pd.DataFrame) -> np.ndarray:
    """Compute hierarchical estimates and 95% intervals: an array (groups, 3), NaN for groups without an interval.

    Shrinks a group's distance from the overall rate, since the prompts that all share move all groups alike. All rows
    are NaN if fewer than three groups have an interval.

    Args:
        table: one row per group, with `rate` and `error` (as returned by `_difference`).
        values: the scores of all items.
        clusters: their labels, as in `stats.effective`.
    """
    known = (table["error"] > 0).to_numpy()
    found = np.full((len(table), 3), np.nan)
    if known.sum() < 3:
        return found
    overall = values.mean()
    away = (table["rate"].to_numpy() - overall)[known]  # k groups
    noise = table["error"].to_numpy()[known] ** 2  # k groups
    between = np.linspace(0, 0.5, 501)[:, None] ** 2  # 501 variances x 1
    log_likelihood = stats.norm.logpdf(away, scale=np.sqrt(noise + between)).sum(1)  # 501
    likelihood = np.exp(log_likelihood - log_likelihood.max())
    posterior = likelihood / likelihood.sum()  # the prior is flat
    kept = between / (between + noise)  # 501 x k: share of its distance that a group keeps
    middle = posterior @ (kept * away)  # k
    within = kept * noise  # 501 x k: variance of a group's distance, given the variance between groups
    doubt = posterior @ (within + (kept * away - middle) ** 2) + variance(values, clusters)[0]
    half = stats.norm.ppf((1 + LEVEL) / 2) * np.sqrt(doubt)
    found[known] = overall + np.stack([middle, middle - half, middle + half], axis=1)
    return found.clip(0, 1)


def worst(table: pd.DataFrame) -> pd.DataFrame:
    """Return the group with the lowest shrunk score in one row, and whether it is shown to be worse.

    Args:
        table: as returned by `scores`.

    Returns:
        The group's row of `scores`. Its `note` says whether it scores lower than everybody else at the 5% level after
        Holm's correction for all groups, or that groups tie. No row if no group has an interval.
    """
    able = table.dropna(subset="low").sort_values(["shrunk", "rate"], kind="stable")
    ranked = able.head(1)
    shown = (ranked["p_holm"] < 1 - LEVEL) & (ranked["difference"] < 0)
    text = shown.map({True: "lower than everybody else", False: "not shown to be lower than everybody else"})
    lowest = ranked[["shrunk", "rate"]].round(9).squeeze()
    tied = able[["shrunk", "rate"]].round(9).eq(lowest).all(axis=1).sum()
    if table["rate"].dropna().round(9).nunique() < 2:
        text[:] = "all groups score alike"
    elif len(able) > 1 and tied == len(able):
        text[:] = f"all {tied} groups with an interval score alike"
    elif tied > 1:
        text[:] = f"{tied} groups tie for the lowest"
    return ranked.assign(note=text + f", of {table['rate'].notna().sum()} groups looked at")
