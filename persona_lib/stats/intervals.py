"""Rates, paired differences and other statistics with 95% intervals where items share personas and prompts.

Items are clustered by persona and by prompt at once, since several answers share either one.
`benchmarks/coverage.py` simulates how often the intervals cover the truth.
"""

from itertools import combinations
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from .. import UserError

ITEM = ["persona_id", "prompt_id"]
LEVEL = 0.95
FEW = 8  # clusters of equal weight; with fewer, intervals hold the truth more or less often than 95 times in 100
# No variance is taken to be below this share of that of independent items. Chosen by simulation: with less, intervals
# are too short where neither persona nor prompt matters; with more, too long there.
FLOOR = 0.5


def rates(table: pd.DataFrame, by: str | list[str], value: str = "score") -> pd.DataFrame:
    """The mean of `value` for each group of `by`, with a Wilson interval at the effective sample size.

    Args:
        table: one row per item, with `persona_id`, `prompt_id`, `by`, and `value` from 0 to 1 or missing (a failed
            item).
        by: column or columns whose combinations are the groups.
        value: the score: 0 or 1 for a share, or between for a mean such as pass@k.

    Returns:
        Index `by` in order of appearance; columns `n` (items scored), `failed` (items not), `rate`, `low`, `high`,
        `note`: empty, or why the interval is missing or not to be relied on. A table without rows has none.

    The Wilson interval with n / design effect and Student's t is Korn and Graubard's (1998) proposal for clustered
    proportions as modified by Dean and Pagano (2015).
    """
    check(table, by, value)
    if table.empty:
        nothing = pd.DataFrame(index=table.set_index(by).index, columns=list(rate(table[value], table[ITEM])))
        return nothing.astype({"n": int, "failed": int, "rate": float, "low": float, "high": float, "note": "str"})
    rows = {group: rate(items[value], items[ITEM]) for group, items in table.groupby(by, sort=False, dropna=False)}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(by)


def rate(values: pd.Series, clusters: pd.DataFrame) -> dict:
    """One row of `rates`: values from 0 to 1 or missing, and as many rows of cluster labels."""
    scored = values.notna().to_numpy()
    x = values.to_numpy(float)[scored]
    row = {"n": len(x), "failed": len(values) - len(x), "rate": x.mean() if len(x) else np.nan}
    worth = effective(x, clusters[scored], row["rate"] * (1 - row["rate"]))
    low, high = wilson(row["rate"], worth.n, worth.t)
    return row | {"low": low, "high": high, "note": worth.note}


def wilson(share: float, n: float, t: float) -> tuple[float, float]:
    """Wilson's interval of a share of n effective items, t wide; missing for n = 0."""
    return proportion_confint(share * n, n, alpha=2 * stats.norm.sf(t), method="wilson") if n > 0 else (np.nan, np.nan)


def paired_differences(table: pd.DataFrame, by: str, value: str = "score", against: str | None = None) -> pd.DataFrame:
    """Differences of the means between pairs of groups, on the same persona x prompt items, and their tests.

    Args:
        table: as in `rates`; each item at most once per group.
        by: column of the groups.
        value: the score, from 0 to 1.
        against: the one group to hold the others against; by default all pairs.

    Returns:
        One row per pair: `minuend`, `subtrahend`, `n` (items scored in both), `failed` (items with a row in either, but
        not scored in both), `difference` of the means, `low`, `high`, `p` of no difference, `p_holm` (corrected for all
        rows), `note` as in `rates`. The interval is Bonett and Price's (2012) for paired proportions at the effective
        sample size, so that it keeps a width where all items agree. p is where such an interval would touch 0, its
        variance at least that of independent items: a family of tests needs the far tail, where estimates that are too
        small count most.
    """
    wide, asked = side_by_side(table, by, value), have_rows(table, by)
    groups = list(table[by].dropna().unique())
    if against is not None and against not in groups:
        raise UserError(f"{by} has no group {against!r}: take one of {', '.join(map(str, groups))}")
    pairs = combinations(groups, 2) if against is None else [(against, group) for group in groups if group != against]
    rows = [
        {"minuend": second, "subtrahend": first}
        | difference((wide[second] - wide[first])[asked[[first, second]].any(axis=1)])
        for first, second in pairs
    ]
    names = ["minuend", "subtrahend", "n", "failed", "difference", "low", "high", "p", "note"]
    result = pd.DataFrame(rows, columns=names)
    result.insert(8, "p_holm", corrected(result["p"]))
    return result


def side_by_side(table: pd.DataFrame, by: str, value: str) -> pd.DataFrame:
    """A row per persona x prompt item, a column per group of `by`."""
    check(table, by, value)
    if table.duplicated([*ITEM, by]).any():
        raise UserError(f"an item has several rows in one group of {by}: take their mean first")
    return table.pivot(index=ITEM, columns=by, values=value)


def have_rows(table: pd.DataFrame, by: str) -> pd.DataFrame:
    """As `side_by_side`: whether the item has a row in the group, scored or not."""
    return table.assign(asked=1.0).pivot(index=ITEM, columns=by, values="asked").notna()


def difference(differences: pd.Series) -> dict:
    """One row of `paired_differences`: differences from -1 to 1 or missing, indexed by cluster labels."""
    scored = differences.dropna()
    x = scored.to_numpy(float)
    row = {"n": len(x), "failed": len(differences) - len(x), "difference": x.mean() if len(x) else np.nan}
    spread, clusters = (x.var() if len(x) else np.nan), scored.index.to_frame(index=False)
    worth, strict = (effective(x, clusters, spread, floor) for floor in (FLOOR, 1.0))
    middle, error = _bonett_price(x, worth.n)
    low, high = np.clip([middle - worth.t * error, middle + worth.t * error], -1, 1)
    middle, error = _bonett_price(x, strict.n)
    return row | {"low": low, "high": high, "p": 2 * stats.t.sf(abs(middle) / error, strict.df), "note": worth.note}


def _bonett_price(x: np.ndarray, n: float) -> tuple[float, float]:
    """Middle and standard error of a mean of differences with n effective items; missing for n = 0."""
    if n == 0:
        return np.nan, np.nan
    middle = x.mean() * n / (n + 2)
    return middle, np.sqrt((((x**2).mean() * n + 2) / (n + 2) - middle**2) / (n + 2))


def corrected(p: pd.Series, method: str = "holm") -> pd.Series:
    """p-values of a family of tests, corrected; missing ones stay missing and don't count as tests.

    Args:
        p: the p-values.
        method: `holm` for claims (chance of any false alarm), `fdr_bh` for screens (share of false alarms), `fdr_by`
            for screens of tests that depend on each other in any way.
    """
    known = p.dropna()
    if known.empty:
        return p.astype(float)
    return pd.Series(multipletests(known, method=method)[1], known.index).reindex(p.index)


class Effective(NamedTuple):
    """What clustered items are worth: how many independent items, degrees of freedom, and what is wrong with them."""

    n: float
    df: float
    note: str

    @property
    def t(self) -> float:
        """Half the width of a 95% interval in standard errors; missing where there is no interval."""
        return stats.t.ppf((1 + LEVEL) / 2, self.df) if self.df else np.nan


def effective(values: np.ndarray, clusters: pd.DataFrame, spread: float, floor: float = FLOOR) -> Effective:
    """How many independent items with variance `spread` have a mean as uncertain as that of these clustered ones.

    Args:
        values: array (n,) of scores.
        clusters: as in `variance`.
        spread: variance of a single item.
        floor: as in `variance`.

    Returns:
        n is 0 where there is no interval. Where all values are equal, n is the smaller number of clusters: nothing is
        known of their design effect.
    """
    if len(values) == 0:
        return Effective(0.0, 0.0, "nothing scored")
    error, df, fewest = variance(values, clusters, floor)
    if fewest < 1 + 1e-9:
        return Effective(0.0, 0.0, "one item: no interval" if len(values) == 1 else "one cluster: no interval")
    if df < 1 - 1e-9:  # two clusters of which one has nearly all items: Student's t has no width to give
        return Effective(0.0, 0.0, "too few clusters: no interval")
    notes = {"too few clusters": fewest < FEW - 1e-9, "all scores equal": error == 0}
    note = "; ".join(text for text, true in notes.items() if true)
    return Effective(spread / error if error else fewest, df, note)


def variance(values: np.ndarray, clusters: pd.DataFrame, floor: float = FLOOR) -> tuple[float, float, float]:
    """Variance of the mean of clustered values, its degrees of freedom, and the number of clusters it rests on.

    Args:
        values: array (n,).
        clusters: n rows of labels, in no column (independent items), one, or two that cross.
        floor: the least it may be, as a share of the variance of independent items.

    Returns:
        The variance; the degrees of freedom; the smaller of the two effective numbers of clusters: their number where
        all are of one size, else less.

    It is the variance of Cameron, Gelbach and Miller (2011), less its bias from the estimated mean: half the squared
    differences of items that share a cluster are held against those of items that share none. In balanced tables it is
    that of the analysis of variance. Degrees of freedom are Satterthwaite's, at least the number of clusters less one.
    """
    n, values = len(values), np.asarray(values, float) - np.mean(values)
    values = values if np.ptp(values) > 1e-9 else np.zeros(n)  # no spread but rounding's
    codes = [pd.factorize(clusters[c])[0] for c in clusters] + [np.arange(n)] * (2 - clusters.shape[1])
    cells = pd.factorize(codes[0] * (n + 1) + codes[1])[0]
    (first, firsts), (second, seconds), (cell, shared) = (_within(values, code) for code in (*codes, cells))
    total = n * (values @ values)

    def estimate(spread: float, pairs: int) -> float:
        apart = n * n - pairs
        return (pairs / apart * (total - spread) - spread) / n**2 if apart else 0.0

    both = estimate(first + second - cell, firsts + seconds - shared)
    numbers = n * n / firsts, n * n / seconds
    least = floor * total / n**3
    return *_floored(both, estimate(first, firsts), estimate(second, seconds), least, numbers), min(numbers)


def _within(values: np.ndarray, code: np.ndarray) -> tuple[float, int]:
    """Sum of half squared differences over all ordered pairs of values that share a code, and the number of pairs."""
    counts, sums = np.bincount(code), np.bincount(code, values)
    return counts @ np.bincount(code, values**2) - sums @ sums, counts @ counts


def _floored(both: float, first: float, second: float, least: float, clusters: tuple) -> tuple[float, float]:
    """A two-way variance kept above the least, and its degrees of freedom, from the one-way variances."""
    value, (one, two) = max(both, least), (number - 1 for number in clusters)
    if value <= 0 or min(one, two) <= 0:
        return 0.0, max(min(one, two), 0.0)
    doubt = first**2 / one + second**2 / two + (first + second - both) ** 2 / (one * two)
    return value, max(value**2 / doubt if doubt else 0.0, min(one, two))


def check(table: pd.DataFrame, by: str | list[str], value: str) -> None:
    """Say what a table of scores lacks before anything is computed."""
    missing = {*ITEM, *([by] if isinstance(by, str) else by), value} - set(table)
    if missing:
        raise UserError(f"the table of scores lacks {', '.join(sorted(missing))}: it has {', '.join(map(str, table))}")
    if not table[value].dropna().between(-1e-9, 1 + 1e-9).all():
        raise UserError(f"{value} must lie from 0 to 1: divide it by its largest value")
