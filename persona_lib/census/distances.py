"""How far two samples of people are apart: total variation distance of every attribute and of every pair.

Numbers are put in bands (age in 11, income in 18, not applicable among them) and missing is a category of its own,
so that distances speak of everyone. Tables in, tables out. Used by notebook 01.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import pandas as pd

from ..attributes import BY_NAME, CENSUS, NAMES
from .records import WEIGHT

Order = Mapping[str, Sequence[str]]  # the values of attributes
DATA = Path(__file__).parent / "data"
TEXT = dict.fromkeys(["attribute", "other", "value", "other value"], "str")
MISSING = "Not applicable"
ATTRIBUTES = tuple(name for name in CENSUS if name in NAMES)
AGES = (0, 5, 15, 18, 25, 35, 45, 55, 65, 75, 85)
# Dollars in thousands, as in the Bureau's income tables, and a band for none or a loss.
INCOMES = (0, 10, 15, 20, 25, 30, 35, 40, 45, 50, 60, 75, 100, 125, 150, 200)


def bands(people: pd.DataFrame) -> pd.DataFrame:
    """The census attributes of a table of persons as categoricals without missing values, numbers in bands."""
    return pd.DataFrame({name: _categories(people[name]) for name in ATTRIBUTES}, index=people.index)


def _categories(values: pd.Series) -> pd.Series:
    if values.name == "age":
        labels = [f"{low} to {high - 1}" for low, high in pairwise(AGES)] + ["85 or older"]
        return pd.cut(values, [*AGES, np.inf], right=False, labels=labels)
    if values.name == "income":
        edges = [-np.inf, 1, *(1_000 * low for low in INCOMES[1:]), np.inf]
        labels = ["None or a loss", "Under 10,000"]
        labels += [f"{low},000 to {high - 1},999" for low, high in pairwise(INCOMES[1:])]
        values = pd.cut(values.astype("Float64"), edges, right=False, labels=[*labels, "200,000 or more"])
    labels = list(values.cat.categories)
    if BY_NAME[values.name].universe != "everyone":
        labels.append(MISSING)
    return values.cat.set_categories(labels).fillna(MISSING) if MISSING in labels else values


def shares(people: pd.DataFrame) -> pd.DataFrame:
    """Share of each value: columns attribute, value, share (0 to 1; sums to 1 within an attribute).

    Persons count by their `weight` where the table has that column.
    """
    return _counted(people, 1, ["attribute", "value"])


def pair_shares(people: pd.DataFrame) -> pd.DataFrame:
    """Share of each pair of values: columns attribute, other, value, other value, share (1 in sum for each pair).

    Pairs of values that nobody has are left out.
    """
    counted = _counted(people, 2, ["attribute", "other", "value", "other value"])
    return counted[counted["share"] > 0].reset_index(drop=True)


def _counted(people: pd.DataFrame, together: int, columns: list[str]) -> pd.DataFrame:
    """The share of each combination of values of each so many attributes; `columns`: the attributes', the values'."""
    table = bands(people)
    codes = {name: table[name].cat.codes.to_numpy() for name in table}
    labels = {name: table[name].cat.categories.to_numpy() for name in table}
    weight = people[WEIGHT].to_numpy(dtype=float) if WEIGHT in people else None
    parts = []
    for names in combinations(table, together):
        sizes = [len(labels[name]) for name in names]
        cells = np.ravel_multi_index([codes[name] for name in names], sizes)
        counts = np.bincount(cells, weight, minlength=np.prod(sizes))
        places = np.indices(sizes).reshape(together, -1)
        values = [labels[name][place] for name, place in zip(names, places, strict=True)]
        parts.append([*(np.repeat(name, counts.size) for name in names), *values, counts / counts.sum()])
    joined = [np.concatenate(column) for column in zip(*parts, strict=True)]
    return pd.DataFrame(dict(zip([*columns, "share"], joined, strict=True))).astype(dict.fromkeys(columns, "str"))


def singles(pairs: pd.DataFrame) -> pd.DataFrame:
    """The `shares` that a table of `pair_shares` implies, for the attributes that come first in a pair."""
    once = pairs[pairs["other"] == pairs.groupby("attribute")["other"].transform("first")]
    return once.groupby(["attribute", "value"], sort=False)["share"].sum().reset_index()


def tvd(first: pd.DataFrame, second: pd.DataFrame) -> pd.Series:
    """Total variation distance between two tables of `shares` or of `pair_shares`: half the sum of |difference|.

    One distance (0 to 1) per attribute, or per pair of attributes.
    """
    keys = [name for name in first if name != "share"]
    difference = first.set_index(keys)["share"].sub(second.set_index(keys)["share"], fill_value=0)
    return difference.abs().groupby(level=[name for name in keys if "value" not in name], sort=False).sum() / 2


def expected(reference: pd.DataFrame, n: int) -> pd.Series:
    """Distance that a random sample of n real people would have on average, for each attribute or pair.

    `reference` is a table of `shares` or `pair_shares` of the people sampled from. Exact: each cell's count is
    binomial, and its mean absolute deviation is known (De Moivre's formula).
    """
    from scipy.stats import binom

    p = reference["share"].to_numpy()
    above = np.floor(n * p) + 1
    deviation = 2 * above * (1 - p) * binom.pmf(above, n, p) / n
    keys = [name for name in reference if name != "share" and "value" not in name]
    return (pd.Series(deviation) / 2).groupby([reference[key].to_numpy() for key in keys], sort=False).sum()


def stay_below(reference: pd.DataFrame, n: int, level: float = 0.95, draws: int = 4_000) -> pd.Series:
    """Distance that this part of all random samples of n real people stay below, for each attribute (simulated)."""
    rng = np.random.default_rng(0)
    bounds = {}
    for name, p in reference.groupby("attribute", sort=False)["share"]:
        counts = rng.multinomial(n, p / p.sum(), size=draws)
        bounds[name] = np.quantile(np.abs(counts / n - p.to_numpy()).sum(axis=1) / 2, level)
    return pd.Series(bounds)


def by_attribute(people: pd.DataFrame) -> pd.DataFrame:
    """Each attribute's distance to the census, beside what as many real people drawn at random would have.

    Index: attributes. Columns: categories, personas (the distance), real people (its mean), 95 in 100 (what that
    many samples of real people stay below).
    """
    census, n = census_shares(), len(people)
    return pd.DataFrame(
        {
            "categories": census.groupby("attribute", sort=False).size(),
            "personas": tvd(shares(people), census),
            "real people": expected(census, n),
            "95 in 100": stay_below(census, n),
        }
    ).loc[list(ATTRIBUTES)]


def by_pair(people: pd.DataFrame) -> pd.DataFrame:
    """The same for each pair of attributes (index), without the last column; categories are cells that occur."""
    census, n = census_pair_shares(), len(people)
    return pd.DataFrame(
        {
            "cells": census.groupby(["attribute", "other"], sort=False).size(),
            "personas": tvd(pair_shares(people), census),
            "real people": expected(census, n),
        }
    )


def joint(
    reference: pd.DataFrame, drawn: pd.DataFrame, first: str, second: str, order: Order | None = None
) -> pd.DataFrame:
    """Two attributes together, from two tables of `pair_shares`: columns value, other value, reference, personas.

    All combinations of values, in this order (by default that of `census_shares`).
    """
    order = order or census_shares().groupby("attribute")["value"].agg(list).to_dict()
    both = [t[(t["attribute"] == first) & (t["other"] == second)] for t in (reference, drawn)]
    index = pd.MultiIndex.from_product([order[first], order[second]], names=["value", "other value"])
    shares = [part.set_index(["value", "other value"])["share"].reindex(index, fill_value=0) for part in both]
    return pd.DataFrame({"reference": shares[0], "personas": shares[1]}).reset_index()


def margins(people: pd.DataFrame) -> pd.DataFrame:
    """Columns attribute, value, census and personas: the share of each value among real and among drawn people."""
    return beside(census_shares(), shares(people))


def beside(reference: pd.DataFrame, drawn: pd.DataFrame, order: Order | None = None) -> pd.DataFrame:
    """Two tables of `shares`: columns attribute, value, census (the reference), personas; `order` sorts the values."""
    table = reference.rename(columns={"share": "census"})
    table = table.merge(drawn.rename(columns={"share": "personas"}), how="left", on=["attribute", "value"])
    if order:
        places = pd.MultiIndex.from_tuples([(name, value) for name, values in order.items() for value in values])
        table = table.set_index(["attribute", "value"]).loc[places].rename_axis(["attribute", "value"]).reset_index()
    return table.fillna({"personas": 0.0})


def census_shares() -> pd.DataFrame:
    """The committed `shares` of 200,000 real people (U.S. Census Bureau, ACS 2024 1-year PUMS)."""
    return pd.read_csv(DATA / "census_shares.csv", dtype=TEXT)


def census_pair_shares() -> pd.DataFrame:
    """The committed `pair_shares` of the same people."""
    return pd.read_parquet(DATA / "census_pair_shares.parquet")


def half_distances() -> pd.DataFrame:
    """Mean pairwise distances between halves of the same people, measured by `benchmarks/population.py`.

    Columns: comparison, persons (in each table), attributes, categories, pairs, tvd.
    """
    return pd.read_csv(DATA / "half_distances.csv")
