"""Measure how much people differ: two from the same group, and two from different groups, beside people held out.

A synthetic group whose members are more alike than real ones is a caricature (Cheng et al. 2023, arXiv 2310.11501;
Wang et al. 2025, arXiv 2402.01908). Tables in, tables out.
"""

import numpy as np
import pandas as pd

from . import distances, held_out

GROUPS = ("sex", "age", "race", "education", "income", "marital status", "household language", "citizenship")
WITHIN = "same group"
BETWEEN = "different groups"
CENSUS_PERSONS = 100_000  # held out, behind the committed shares


def compare(people: pd.DataFrame, groups: tuple[str, ...] = GROUPS) -> pd.DataFrame:
    """Return the probability that two people differ in another census attribute, averaged over these attributes.

    Numbers are in bands as in `distances`. The two are never the same person, so the expected value does not depend on
    the number of people.

    Args:
        people: a table of people with the census attributes.
        groups: the grouping attributes.

    Returns:
        One row per grouping attribute and kind of pair: `attribute`, `pair` ('same group' or 'different groups'),
        `personas`, `census` (0 to 1). Missing where no two people share a group, or none are of different ones.
    """
    drawn = distances.pair_shares(people)
    census = held_out.pair_shares()
    tables = {"personas": (drawn, len(people)), "census": (census, CENSUS_PERSONS)}
    rows = []
    for group in groups:
        both = {name: _differ(shares, n, group) for name, (shares, n) in tables.items()}
        rows += [
            {"attribute": group, "pair": pair} | {name: found[pair] for name, found in both.items()}
            for pair in (WITHIN, BETWEEN)
        ]
    return pd.DataFrame(rows)


def _differ(shares: pd.DataFrame, n: int, group: str) -> pd.Series:
    """Return the mean probability of a difference over all other attributes, for each kind of pair."""
    mine = shares[(shares["attribute"] == group) | (shares["other"] == group)]
    return pd.DataFrame([_of_pair(part, n, group) for _, part in mine.groupby(["attribute", "other"])]).mean()


def _of_pair(part: pd.DataFrame, n: int, group: str) -> dict[str, float]:
    """Return the probability for one other attribute, from the shares of all combinations of the two attributes."""
    first = part["attribute"].iloc[0] == group
    of_group = part["value" if first else "other value"]
    of_other = part["other value" if first else "value"]
    share = part["share"]
    same_group = _same(share.groupby(of_group).sum(), n)
    same_value = _same(share.groupby(of_other).sum(), n)
    same_both = _same(share.groupby([of_group, of_other]).sum(), n)
    return {
        WITHIN: 1 - same_both / same_group if same_group > 0 else np.nan,
        BETWEEN: 1 - (same_value - same_both) / (1 - same_group) if same_group < 1 else np.nan,
    }


def _same(shares: pd.Series, n: int) -> float:
    """Return the probability that two of n people are in the same category (Simpson 1949); NaN for one person."""
    if n < 2:
        return np.nan
    counts = np.rint(shares.to_numpy() * n)
    return float((counts * (counts - 1)).sum() / (n * (n - 1)))
