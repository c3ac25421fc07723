"""Measure how far two samples of people are apart: total variation distance of every attribute and of every pair.

Numbers are put in bands (age in 11, income in 18 with 'not applicable'), and missing is a category of its own, so the
distances cover everyone. Tables in, tables out.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import pandas as pd

from ..attributes import BY_NAME, CENSUS
from .records import WEIGHT

Order = Mapping[str, Sequence[str]]  # attribute -> its values in order
DATA = Path(__file__).parent / "data"
TEXT = dict.fromkeys(["attribute", "other", "value", "other value"], "str")
MISSING = "Not applicable"
# Groups of what is drawn given the census attributes (`personas.regions`). A table of people may have them or not.
ORIGINS = ("region of birth", "ancestry group")
ANOTHER = "Another"  # the group of small ancestries
AGES = (0, 5, 15, 18, 25, 35, 45, 55, 65, 75, 85)
# Dollars in thousands, as in the Bureau's income tables; 0 begins a band of its own for no income or a loss.
INCOMES = (0, 10, 15, 20, 25, 30, 35, 40, 45, 50, 60, 75, 100, 125, 150, 200)


def bands(people: pd.DataFrame) -> pd.DataFrame:
    """Return people's census attributes, and ORIGINS if the table has them, as categoricals without missing values.

    Numbers are in bands.
    """
    table = {name: _categories(people[name]) for name in CENSUS}
    table |= {name: people[name] for name in ORIGINS if name in people}
    return pd.DataFrame(table, index=people.index)


def _categories(values: pd.Series) -> pd.Series:
    """Return one census attribute as a categorical without missing values."""
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
    """Return the share of each value of each attribute, and of ORIGINS if the table has them.

    Args:
        people: a table of people; they count by their `weight` if the table has that column.

    Returns:
        Columns `attribute`, `value`, `share` (0 to 1; sums to 1 within an attribute).
    """
    return _counted(people, 1, ["attribute", "value"])


def pair_shares(people: pd.DataFrame) -> pd.DataFrame:
    """Return the share of each pair of values of each pair of attributes, without ORIGINS.

    Args:
        people: as in `shares`.

    Returns:
        Columns `attribute`, `other`, `value`, `other value`, `share` (0 to 1; sums to 1 within a pair of attributes).
        Pairs of values that nobody has are left out.
    """
    counted = _counted(people, 2, ["attribute", "other", "value", "other value"])
    return counted[counted["share"] > 0].reset_index(drop=True)


def _counted(people: pd.DataFrame, together: int, columns: list[str]) -> pd.DataFrame:
    """Return the share of each combination of values of each `together` attributes.

    Args:
        people: as in `shares`.
        together: how many attributes to combine.
        columns: names of the result's columns: first of the attributes, then of their values.
    """
    table = bands(people)
    table = table if together == 1 else table[list(CENSUS)]
    codes = {name: table[name].cat.codes.to_numpy() for name in table}
    labels = {name: table[name].cat.categories.to_numpy() for name in table}
    weight = people[WEIGHT].to_numpy(dtype=float) if WEIGHT in people else None
    parts = []
    for names in combinations(table, together):
        sizes = [len(labels[name]) for name in names]
        cells = np.ravel_multi_index([codes[name] for name in names], sizes)  # people
        counts = np.bincount(cells, weight, minlength=np.prod(sizes))  # cells
        places = np.indices(sizes).reshape(together, -1)  # attributes x cells: the code in each cell
        values = [labels[name][place] for name, place in zip(names, places, strict=True)]
        parts.append([*(np.repeat(name, counts.size) for name in names), *values, counts / counts.sum()])
    joined = [np.concatenate(column) for column in zip(*parts, strict=True)]
    result = pd.DataFrame(dict(zip([*columns, "share"], joined, strict=True)))
    return result.astype(dict.fromkeys(columns, "str"))


def singles(pairs: pd.DataFrame) -> pd.DataFrame:
    """Return the `shares` that a table of `pair_shares` implies, for the attributes that come first in a pair."""
    once = pairs[pairs["other"] == pairs.groupby("attribute")["other"].transform("first")]
    return once.groupby(["attribute", "value"], sort=False)["share"].sum().reset_index()


def tvd(first: pd.DataFrame, second: pd.DataFrame) -> pd.Series:
    """Return the total variation distance between two tables of `shares`, or two of `pair_shares`.

    It is half the sum of |difference|: one distance (0 to 1) per attribute, or per pair of attributes, that both have.
    """
    keys = [name for name in first if name != "share"]
    attributes = [name for name in keys if "value" not in name]
    both = [table.set_index(attributes).index for table in (first, second)]
    first, second = first[both[0].isin(both[1])], second[both[1].isin(both[0])]
    difference = first.set_index(keys)["share"].sub(second.set_index(keys)["share"], fill_value=0)
    return difference.abs().groupby(level=attributes, sort=False).sum() / 2


def expected(reference: pd.DataFrame, n: int) -> pd.Series:
    """Return the mean distance of a random sample of n real people to the people it is drawn from.

    It is exact: each cell's count is binomial, and its mean absolute deviation is known (De Moivre's formula).

    Args:
        reference: `shares` or `pair_shares` of the people sampled from.
        n: size of the sample.

    Returns:
        One distance (0 to 1) per attribute, or per pair of attributes.
    """
    from scipy.stats import binom  # takes about a second, and `persona sample` does not need it

    p = reference["share"].to_numpy()
    above = np.floor(n * p) + 1
    deviation = 2 * above * (1 - p) * binom.pmf(above, n, p) / n
    keys = [name for name in reference if name != "share" and "value" not in name]
    return (pd.Series(deviation) / 2).groupby([reference[key].to_numpy() for key in keys], sort=False).sum()


def stay_below(reference: pd.DataFrame, n: int, level: float = 0.95, draws: int = 4_000) -> pd.Series:
    """Simulate the distance that a given part of all random samples of n real people stay below.

    Args:
        reference: `shares` of the people sampled from.
        n: size of a sample.
        level: the part of the samples, 0 to 1.
        draws: samples simulated.

    Returns:
        One distance (0 to 1) per attribute.
    """
    rng = np.random.default_rng(0)
    bounds = {}
    for name, p in reference.groupby("attribute", sort=False)["share"]:
        counts = rng.multinomial(n, p / p.sum(), size=draws)  # draws x values
        distance = np.abs(counts / n - p.to_numpy()).sum(axis=1) / 2  # draws
        bounds[name] = np.quantile(distance, level)
    return pd.Series(bounds)


def by_attribute(people: pd.DataFrame) -> pd.DataFrame:
    """Compare each attribute's distance to the census with that of as many real people drawn at random.

    Returns:
        Index: attributes. Columns `categories`, `personas` (the distance), `real people` (their mean distance),
        `95 in 100` (what that many samples of real people stay below).
    """
    ours = shares(people)
    census = census_shares()
    census = census[census["attribute"].isin(ours["attribute"])]
    n = len(people)
    return pd.DataFrame(
        {
            "categories": census.groupby("attribute", sort=False).size(),
            "personas": tvd(ours, census),
            "real people": expected(census, n),
            "95 in 100": stay_below(census, n),
        }
    ).loc[list(ours["attribute"].unique())]


def by_pair(people: pd.DataFrame) -> pd.DataFrame:
    """Compare each pair of attributes as `by_attribute` does.

    Returns:
        Index: pairs of attributes. Columns `cells` (those that occur in the census), `personas`, `real people`.
    """
    census = census_pair_shares()
    return pd.DataFrame(
        {
            "cells": census.groupby(["attribute", "other"], sort=False).size(),
            "personas": tvd(pair_shares(people), census),
            "real people": expected(census, len(people)),
        }
    )


def joint(
    reference: pd.DataFrame, drawn: pd.DataFrame, first: str, second: str, order: Order | None = None
) -> pd.DataFrame:
    """Return the joint shares of two attributes from two tables of `pair_shares`.

    Args:
        reference: `pair_shares` of the reference.
        drawn: `pair_shares` of the personas.
        first: the attribute that the tables have as `attribute`.
        second: the attribute that the tables have as `other`.
        order: the values of both in order; by default that of `census_shares`.

    Returns:
        Columns `value`, `other value`, `reference`, `personas`; all combinations of values.
    """
    order = order or census_shares().groupby("attribute")["value"].agg(list).to_dict()
    both = [t[(t["attribute"] == first) & (t["other"] == second)] for t in (reference, drawn)]
    index = pd.MultiIndex.from_product([order[first], order[second]], names=["value", "other value"])
    of_reference, of_drawn = (
        part.set_index(["value", "other value"])["share"].reindex(index, fill_value=0) for part in both
    )
    return pd.DataFrame({"reference": of_reference, "personas": of_drawn}).reset_index()


def margins(people: pd.DataFrame) -> pd.DataFrame:
    """Return the share of each value in the census and among these people; columns as in `beside`."""
    census, ours = census_shares(), shares(people)
    return beside(census[census["attribute"].isin(ours["attribute"])], ours)


def beside(reference: pd.DataFrame, drawn: pd.DataFrame, order: Order | None = None) -> pd.DataFrame:
    """Join two tables of `shares`.

    Args:
        reference: `shares` of the reference; its rows are kept.
        drawn: `shares` of the personas.
        order: attributes and their values in the order of the result; by default that of `reference`.

    Returns:
        Columns `attribute`, `value`, `census` (the reference), `personas` (0 if no persona has the value).
    """
    table = reference.rename(columns={"share": "census"})
    table = table.merge(drawn.rename(columns={"share": "personas"}), how="left", on=["attribute", "value"])
    if order:
        places = pd.MultiIndex.from_tuples([(name, value) for name, values in order.items() for value in values])
        table = table.set_index(["attribute", "value"]).loc[places].rename_axis(["attribute", "value"]).reset_index()
    return table.fillna({"personas": 0.0})


def census_shares() -> pd.DataFrame:
    """Return the committed `shares` of the 100,000 real people whom the model was fitted to (ACS 2024 1-year PUMS).

    They are weighted to the Bureau's published tables. ORIGINS, which no record has, are those of people drawn.
    """
    return pd.read_csv(DATA / "census_shares.csv", dtype=TEXT)


def census_pair_shares() -> pd.DataFrame:
    """Return the committed `pair_shares` of the same people."""
    return pd.read_parquet(DATA / "census_pair_shares.parquet")


def half_distances() -> pd.DataFrame:
    """Return mean pairwise distances between halves of the same people, measured by `benchmarks/population.py`.

    Returns:
        Columns `comparison`, `persons` (in each table), `attributes`, `categories`, `pairs`, `tvd`.
    """
    return pd.read_csv(DATA / "half_distances.csv")
