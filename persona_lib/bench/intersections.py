"""Scores of groups of personas and their intersections: shrunk, corrected for having looked at many. Tables in and out.

Knows no model and no file. Used by notebook 09.
"""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pandas as pd
from scipy import stats

from .. import UserError
from ..attributes import BY_NAME
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


def broad(people: pd.DataFrame) -> pd.DataFrame:
    """Personas with four attributes in a few broad groups, so that some people are in most of their crossings.

    Args:
        people: personas, index `persona_id`.

    Returns:
        The table and, for what it has, the ordered columns `age group`, `race group`, `schooling` (from `education`)
        and `party` (from `political views`, those who lean counted with the party); missing stays missing. All groups
        are categories, even where nobody is in them.
    """
    made = {}
    if "age" in people:
        made["age group"] = pd.cut(people["age"].astype(float), [*AGES, np.inf], right=False, labels=[*AGES.values()])
    if "race" in people:
        known = {race: RACES.get(race, SEVERAL if "Two" in race else OTHER_RACE) for race in people["race"].dropna()}
        made["race group"] = pd.Categorical(people["race"].map(known), [*RACES.values(), SEVERAL, OTHER_RACE])
    if "education" in people:
        order = list(BY_NAME["education"].labels)
        edges = [order.index(label) for label in SCHOOLS]
        place = people["education"].astype("str").map({label: i for i, label in enumerate(order)}).astype(float)
        made["schooling"] = pd.cut(place, [*edges, np.inf], right=False, labels=[*SCHOOLS.values()])
    if "political views" in people:
        views = people["political views"].dropna().unique()
        known = {view: next((name for word, name in PARTIES.items() if word in view), "neither") for view in views}
        made["party"] = pd.Categorical(people["political views"].map(known), [*PARTIES.values(), "neither"])
    return people.assign(**made)


def members(people: pd.DataFrame, conditions: dict[str, dict]) -> pd.DataFrame:
    """Who belongs to which group.

    Args:
        people: personas, index `persona_id`.
        conditions: by group, the attributes and the value or list of values they must have, as a YAML file would say:
            {'older women': {'sex': 'Female', 'age band': ['65 to 74', '75 or older']}}.

    Returns:
        Index `persona_id`, a boolean column per group. Groups may overlap and may be empty.

    Raises:
        UserError: an attribute, or a value that nobody has in it, is not in the table.
    """
    groups = {}
    for group, wanted in conditions.items():
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
        groups[group] = inside
    return pd.DataFrame(groups, index=people.index)


def crossings(people: pd.DataFrame, attributes: Sequence[str], least: int = 0) -> pd.DataFrame:
    """Groups by each attribute's values and by all pairs of two attributes' values, in the form of `members`.

    Args:
        people: personas, index `persona_id`; numbers must be in bands.
        attributes: which to cross.
        least: groups with fewer personas are left out; by default even empty ones are kept, so that they show.
    """
    values = {a: _values(people[a]) for a in attributes if a in people}
    if unknown := [a for a in attributes if a not in people]:
        raise UserError(f"personas have no {', '.join(unknown)}: {', '.join(map(str, people))}")
    if many := [a for a, v in values.items() if len(v) > MOST]:
        raise UserError(f"{', '.join(many)} has more than {MOST} values: put it in bands first")
    single = {f"{a}: {v}": {a: v} for a in attributes for v in values[a]}
    pairs = {
        f"{a}: {v}, {b}: {w}": {a: v, b: w}
        for a, b in combinations(attributes, 2)
        for v in values[a]
        for w in values[b]
    }
    found = members(people, single | pairs)
    return found.loc[:, found.sum() >= least]


def grid(table: pd.DataFrame, people: pd.DataFrame, attributes: Sequence[str]) -> pd.DataFrame:
    """The scores of `crossings` laid out for a heat map: each value of an attribute against each of another.

    Args:
        table: as from `scores` of these crossings; groups that it lacks are left out of the picture.
        people, attributes: as in `crossings`.

    Returns:
        One row per group: `attribute`, `value` (its row), `other`, `other value` (its column; the same for a single
        attribute's group), and the columns of `table`.
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
    return (
        list(column.cat.categories)
        if isinstance(column.dtype, pd.CategoricalDtype)
        else sorted(column.dropna().unique())
    )


def scores(table: pd.DataFrame, members: pd.DataFrame, value: str = "score") -> pd.DataFrame:
    """Each group's rate, shrunk towards the rate of all, and its difference from everybody else.

    Args:
        table: one row per item, as in `intervals.rates`.
        members: as from `members` or `crossings`.
        value: the score.

    Returns:
        Index `group`: `personas` (with an item), `n`, `failed`, `rate`, `low`, `high` as in `intervals.rates`;
        `shrunk`, `shrunk_low`, `shrunk_high`: the estimate of a normal hierarchy; `difference` from all
        outside the group, `difference_low`, `difference_high`: an interval that holds for all groups at once
        (Bonferroni), so also for one picked since it looks worst; `p` that it is 0, `p_holm`; `note`.

    Groups' distances from the rate of all are taken as normal; how far they spread is averaged over all that the data
    allow (a flat prior on the standard deviation up to 0.5), so that intervals don't vanish where it may be nothing.
    """
    check(table, [], value)
    if unknown := set(table["persona_id"]) - set(members.index):
        raise UserError(
            f"{len(unknown)} personas of the scores are in no row of members, such as {min(map(str, unknown))}"
        )
    inside, rows = members.loc[table["persona_id"]].to_numpy(bool), {}
    for place, group in enumerate(members):
        mine, others = table[inside[:, place]], table[~inside[:, place]]
        row = rate(mine[value], mine[ITEM])
        row |= {"personas": mine["persona_id"].nunique(), **_gap(mine, others, value, members.shape[1])}
        rows[group] = row | {"note": row["note"] if len(mine) else NOBODY}
    result = pd.DataFrame.from_dict(rows, orient="index").rename_axis("group")
    scored = table.dropna(subset=value)
    result[["shrunk", "shrunk_low", "shrunk_high"]] = _shrunk(result, scored[value].to_numpy(float), scored[ITEM])
    result["p_holm"] = corrected(result["p"])
    first = ["personas", "n", "failed", "rate", "low", "high", "shrunk", "shrunk_low", "shrunk_high"]
    return result[[*first, "difference", "difference_low", "difference_high", "p", "p_holm", "note"]]


def _gap(mine: pd.DataFrame, others: pd.DataFrame, value: str, looks: int) -> dict:
    """A group's rate less everybody else's, both clustered by persona and by the prompts they share.

    Returns:
        `difference`, its interval and `p`; `error`: standard error of the group's rate less the rate of all.
    """
    names = ["difference", "difference_low", "difference_high", "p", "error"]
    mine, others = mine.dropna(subset=value), others.dropna(subset=value)
    if mine.empty or others.empty:
        return dict.fromkeys(names, np.nan)
    n, gap = len(mine) + len(others), mine[value].mean() - others[value].mean()
    pushes = [sign * (t[value] - t[value].mean()) * n / len(t) for t, sign in ((mine, 1), (others, -1))]
    push, items = pd.concat(pushes), pd.concat([mine[ITEM], others[ITEM]])
    spread = push.var(ddof=0)
    worth = effective(push, items, spread, floor=1.0)
    df = min(worth.df, *(t["persona_id"].nunique() - 1 for t in (mine, others)))
    if df < 1 or spread < 1e-18:  # scores that are all one fraction differ by rounding
        return dict.fromkeys(names, np.nan) | {"difference": gap}
    error = np.sqrt(spread / worth.n)
    half = stats.t.ppf(1 - (1 - LEVEL) / looks / 2, df) * error
    low, high = np.clip([gap - half, gap + half], -1, 1)
    p = 2 * stats.t.sf(abs(gap) / error, df)
    return dict(zip(names, [gap, low, high, p, error * len(others) / n], strict=True))


def _shrunk(table: pd.DataFrame, values: np.ndarray, clusters: pd.DataFrame) -> np.ndarray:
    """Hierarchical estimates and 95% intervals; missing without an interval, and where under 3 groups have one.

    What is shrunk is a group's distance from the rate of all, since the prompts that all share move all groups alike.
    """
    known, found = (table["error"] > 0).to_numpy(), np.full((len(table), 3), np.nan)
    if known.sum() < 3:
        return found
    away, noise = (table["rate"].to_numpy() - values.mean())[known], table["error"].to_numpy()[known] ** 2
    between = np.linspace(0, 0.5, 501)[:, None] ** 2
    likely = stats.norm.logpdf(away, scale=np.sqrt(noise + between)).sum(1)
    likely = np.exp(likely - likely.max()) / np.exp(likely - likely.max()).sum()
    kept = between / (between + noise)
    middle = likely @ (kept * away)
    doubt = likely @ (kept * noise + (kept * away - middle) ** 2) + variance(values, clusters)[0]
    half = stats.norm.ppf((1 + LEVEL) / 2) * np.sqrt(doubt)
    found[known] = values.mean() + np.stack([middle, middle - half, middle + half], axis=1)
    return found.clip(0, 1)


def worst(table: pd.DataFrame) -> pd.DataFrame:
    """The group with the lowest shrunk score, in one row: what `scores` says of it and whether it is shown to be worse.

    Args:
        table: as from `scores`.

    Returns:
        The group's row, its `note` saying whether it scores lower than everybody else at the 5% level after Holm's
        correction for all groups, or that groups tie; no row where no group has an interval.
    """
    able = table.dropna(subset="low").sort_values(["shrunk", "rate"], kind="stable")
    ranked = able.head(1)
    shown = (ranked["p_holm"] < 1 - LEVEL) & (ranked["difference"] < 0)
    text = shown.map({True: "lower than everybody else", False: "not shown to be lower than everybody else"})
    tied = able[["shrunk", "rate"]].round(9).eq(ranked[["shrunk", "rate"]].round(9).squeeze()).all(axis=1).sum()
    if table["rate"].dropna().round(9).nunique() < 2:
        text[:] = "all groups score alike"
    elif len(able) > 1 and tied == len(able):
        text[:] = f"all {tied} groups with an interval score alike"
    elif tied > 1:
        text[:] = f"{tied} groups tie for the lowest"
    return ranked.assign(note=text + f", of {table['rate'].notna().sum()} groups looked at")
