"""How different people are: two from the same group against two from different groups, beside the census.

A synthetic group that is more alike than the real one is a caricature (Cheng et al. 2023, arXiv 2310.11501; Wang et al.
2025, arXiv 2402.01908). Tables in, tables out. Used by notebook 01.
"""

import numpy as np
import pandas as pd

from . import distances

GROUPS = ("sex", "age", "race", "education", "income", "marital status", "household language", "citizenship")
WITHIN, BETWEEN = "same group", "different groups"
CENSUS_PERSONS = 200_000  # behind the committed shares


def compare(people: pd.DataFrame, groups: tuple[str, ...] = GROUPS) -> pd.DataFrame:
    """The chance that two people differ in another census attribute, averaged over these attributes.

    Returns one row per grouping attribute and kind of pair: `attribute`, `pair` ('same group' or 'different groups'),
    `personas`, `census`. Numbers are in bands as in `distances`. Two people are never the same person, so that the
    chance depends on the number of people in no way but by chance.
    """
    drawn, census = distances.pair_shares(people), distances.census_pair_shares()
    tables = {"personas": (drawn, len(people)), "census": (census, CENSUS_PERSONS)}
    rows = []
    for group in groups:
        both = {name: _differ(shares, n, group) for name, (shares, n) in tables.items()}
        rows += [
            {"attribute": group, "pair": pair} | {k: v[pair] for k, v in both.items()} for pair in (WITHIN, BETWEEN)
        ]
    return pd.DataFrame(rows)


def _differ(shares: pd.DataFrame, n: int, group: str) -> pd.Series:
    """Mean chance of a difference for both kinds of pairs, over all other attributes."""
    mine = shares[(shares["attribute"] == group) | (shares["other"] == group)]
    return pd.DataFrame([_of_pair(part, n, group) for _, part in mine.groupby(["attribute", "other"])]).mean()


def _of_pair(part: pd.DataFrame, n: int, group: str) -> dict[str, float]:
    """The chance for one other attribute, from the shares of all combinations of the two."""
    names = ("value", "other value") if part["attribute"].iloc[0] == group else ("other value", "value")
    of_group, of_other = (part[name] for name in names)
    same_group, same_value, same_both = (
        _same(part["share"].groupby(keys).sum(), n) for keys in (of_group, of_other, [of_group, of_other])
    )
    return {
        WITHIN: 1 - same_both / same_group,
        BETWEEN: 1 - (same_value - same_both) / (1 - same_group),
    }


def _same(shares: pd.Series, n: int) -> float:
    """The chance that two of n people fall together (Simpson 1949)."""
    counts = np.rint(shares.to_numpy() * n)
    return float((counts * (counts - 1)).sum() / (n * (n - 1)))
