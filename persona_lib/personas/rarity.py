"""Unlikely people: pairs of census values that fewer than 1 in 10,000 people sampled have, though chance gives more.

The paper's filter is a language model, which also removes what is merely implausible (section 3.1). Here plausibility
is measured: data/unlikely.csv has the pairs that occur in fewer than 1 in 10,000 of 200,000 people of the Bureau's
sample (the upper end of the 95% interval), and in 3 or more of 10,000 if the two attributes were independent. Each
person of the sample counts once, and it lacks California and Texas; with the weights that meet the published tables of
the whole country, every pair stays below 1 in 10,000, too. `benchmarks/rarity.py` counts them, and prints how many real
people the filter would remove. People at work with an income that no job of their occupation pays are unlikely, too
(`jobs.beyond`). Race, origin, language, sex, citizenship and disability are left out, so that the filter erases no
small minority. Surveys of some thousand people can't show such rarity: religion and politics are left out too.
"""

from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import numpy as np
import pandas as pd

from .. import UserError
from ..attributes import BY_NAME
from ..census import Population
from . import jobs, predicates
from .predicates import FOLDER

PERSONS = 200_000  # real people behind the counts
RARE = 1e-4  # the share of real people that an unlikely pair stays below
BY_CHANCE = 3e-4  # the least share that independence would give the pair: rare values alone are not unlikely
ATTRIBUTES = (
    *("age", "education", "employment status", "class of worker", "industry category", "occupation category", "income"),
    *("marital status", "household type", "family presence and age", "fertility", "veteran status", "health insurance"),
)
MARGIN = 50  # one in so many people is drawn beyond n, and as many more
MOST = 20  # people drawn per person wanted, before the population is taken to have hardly anybody likely
BEHIND = "far behind at school"  # the rule of data/consistency.yaml that no redraw can mend: it is on the census alone
PAY = ("occupation category", "employment status", "income")  # what tells an income beyond all jobs
# Bands by their least value: years of age, dollars of income.
BANDS = {
    "age": (0, 3, 5, 10, 13, 15, 16, 17, 18, 19, 20, 21, 22, 25, 30, 35, 45, 55, 65, 75, 85),
    "income": (0, 10_000, 25_000, 50_000, 75_000, 100_000, 150_000, 200_000),
}
# Levels of schooling by the first label of each; the others are as the Bureau has them.
LEVELS = {
    "No schooling completed": "no grade completed",
    "Grade 1": "Grade 1 to 8",
    "Grade 9": "Grade 9 to 12, no diploma",
    "Regular high school diploma": "high school",
    "Some college, but less than 1 year": "some college, no degree",
    **{label: label for label in BY_NAME["education"].labels[19:]},
}


@dataclass(frozen=True)
class Likely:
    """A fitted population without its unlikely people: others take their place."""

    population: Population

    def sample(self, n: int, seed: int = 0) -> pd.DataFrame:
        """Draw n people as `Population.sample` does, none of them unlikely.

        Raises:
            UserError: nearly all people of the population are unlikely.
        """
        size = n + n // MARGIN + MARGIN
        while True:
            people = self.population.sample(size, seed)
            likely = people[~among(people)]
            if len(likely) >= n:
                return likely.head(n).reset_index(drop=True)
            if size > MOST * (n + MARGIN):
                raise UserError(
                    f"of {size:,} people drawn, {len(likely):,} are likely by the rules on people of the US in 2024: "
                    "draw with personas.sample(filtered=False)"
                )
            size *= 2


def among(people: pd.DataFrame) -> np.ndarray:
    """Return who is unlikely, as booleans; arguments as in `find`."""
    return np.logical_or.reduce([_beyond(people), _behind(people), *(row >= 0 for row in pairs_of(people).values())])


def find(people: pd.DataFrame) -> pd.DataFrame:
    """Find the people who have an unlikely pair of census values; 100,000 people take about a second.

    Args:
        people: indexed by `persona_id`, with any of ATTRIBUTES; missing values are in no pair.

    Returns:
        One row per person and unlikely pair: `persona_id`, `rule` ('unlikely: age and education'), `reason` (the two
        values, and how many real people have both). The first rows are of those whose income no job pays, and of
        minors who break the rule BEHIND.
    """
    table = _table()
    behind = pd.DataFrame({"persona_id": people.index[_behind(people)], "rule": BEHIND, "reason": _rule()["reason"]})
    paid = people[_beyond(people)]
    reasons = [
        f"no job of the occupation '{group}' pays {income:,.0f} dollars a year, within the 1st to 99th percentile"
        for group, income in zip(*(paid.get(name, []) for name in (PAY[0], PAY[2])), strict=True)
    ]
    beyond = pd.DataFrame({"persona_id": paid.index, "rule": "unlikely: income of the occupation", "reason": reasons})
    parts = [beyond, behind]
    for (name, other), row in pairs_of(people).items():
        has = row >= 0
        found = pd.DataFrame({"persona_id": people.index[has], "rule": f"unlikely: {name} and {other}"})
        parts.append(found.assign(reason=table["reason"].to_numpy()[row[has]]))
    return pd.concat(parts, ignore_index=True).astype({"rule": "str", "reason": "str"})


def _beyond(people: pd.DataFrame) -> np.ndarray:
    """Return whose income no job of their occupation pays; nobody's where the people lack one of PAY."""
    return jobs.beyond(people) if set(PAY) <= set(people) else np.zeros(len(people), bool)


def _behind(people: pd.DataFrame) -> np.ndarray:
    """Return the minors who break the rule BEHIND; nobody where the people lack age or schooling."""
    if not {"age", "education"} <= set(people):
        return np.zeros(len(people), bool)
    return predicates.hold([_rule()["when"]], people[["age", "education"]].assign(minor=people["age"] < 18))[:, 0]


def _rule() -> dict[str, str]:
    return next(rule for rule in predicates.read("consistency") if rule["name"] == BEHIND)


def pairs_of(people: pd.DataFrame) -> dict[tuple[str, str], np.ndarray]:
    """Return, for each pair of attributes, the row of `_table` that each person has, or -1."""
    codes = {name: column.cat.codes.to_numpy() for name, column in groups(people).items()}
    pairs = {pair: cells for pair, cells in _cells().items() if set(pair) <= set(codes)}
    return {(name, other): cells[codes[name], codes[other]] for (name, other), cells in pairs.items()}


def groups(people: pd.DataFrame) -> pd.DataFrame:
    """Return those of ATTRIBUTES that people have, as categoricals: age and income in bands, schooling in levels.

    The index of `people`; missing stays missing.
    """
    return pd.DataFrame({name: _grouped(people[name]) for name in ATTRIBUTES if name in people}, index=people.index)


def _grouped(values: pd.Series) -> pd.Series:
    """Return one attribute in its groups."""
    name = str(values.name)
    if name in BANDS:
        _, *starts = BANDS[name]
        numbers = values.astype("Float64").astype(float)
        return pd.cut(numbers, [-np.inf, *starts, np.inf], right=False, labels=_labels()[name])
    codes = pd.Categorical(values, BY_NAME[name].labels).codes  # -1 if missing
    if name == "education":
        level = pd.Series(BY_NAME[name].labels).map(LEVELS).ffill().map(_labels()[name].index)
        codes = np.append(level, -1)[codes]
    return pd.Series(pd.Categorical.from_codes(codes, _labels()[name]), values.index)


@cache
def _labels() -> dict[str, list[str]]:
    """Return the groups of each of ATTRIBUTES, in order."""
    found = {name: list(BY_NAME[name].labels) for name in ATTRIBUTES}
    found["education"] = list(dict.fromkeys(LEVELS.values()))
    for name, starts in BANDS.items():
        ends = [f"{low:,}" if high == low + 1 else f"{low:,} to {high - 1:,}" for low, high in pairwise(starts)]
        found[name] = [*ends, f"{starts[-1]:,} or more"]
    found["income"][0] = "under 10,000, or a loss"
    return found


@cache
def _table() -> pd.DataFrame:
    """Return data/unlikely.csv, as `benchmarks/rarity.py` writes it, with a `reason` for each pair of values."""
    table = pd.read_csv(FOLDER / "unlikely.csv", dtype={"value": "str", "other value": "str"})
    reasons = [
        f"fewer than 1 in 10,000 people of the Census Bureau's sample have both {row['attribute']} '{row['value']}' "
        f"and {row['other']} '{row['other value']}': {row['people']} of {PERSONS:,}, and by chance it would be "
        f"{row['by chance']:,}"
        for row in table.to_dict("records")
    ]
    return table.assign(reason=reasons)


@cache
def _cells() -> dict[tuple[str, str], np.ndarray]:
    """Return the row of `_table` in each cell of each pair of attributes, or -1: groups + 1 x groups + 1.

    The last row and the last column are for missing values, whose code is -1.
    """
    found: dict[tuple[str, str], np.ndarray] = {}
    for row in _table().reset_index().to_dict("records"):
        pair = (row["attribute"], row["other"])
        of, and_of = (_labels()[name] for name in pair)
        cells = found.setdefault(pair, np.full((len(of) + 1, len(and_of) + 1), -1))
        cells[of.index(row["value"]), and_of.index(row["other value"])] = row["index"]
    return found
