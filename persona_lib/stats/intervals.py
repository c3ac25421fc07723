"""Compute rates, paired differences and their 95% intervals where items share personas and prompts.

Several answers share a persona and several share a prompt, so items are clustered by both at once.
`benchmarks/coverage.py` simulates how often the intervals cover the truth.
"""

from collections.abc import Sequence
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
FEW = 8  # clusters of equal weight; with fewer, the coverage of the intervals departs from 95%
# No estimated variance may fall below this share of the variance of independent items. The value comes from
# simulation: with a smaller one, intervals are too short where neither persona nor prompt matters; with a larger one,
# they are too long there.
FLOOR = 0.5
_DIFFERENCE = ["n", "failed", "difference", "low", "high", "p", "note"]


def rates(table: pd.DataFrame, by: str | list[str], value: str = "score") -> pd.DataFrame:
    """Return the mean of `value` in each group, with a Wilson interval at the effective sample size.

    Args:
        table: one row per item, with `persona_id`, `prompt_id`, the columns `by`, and `value`: 0 to 1, or missing if
            the item is unscored.
        by: column or columns whose combinations are the groups.
        value: the score: 0 or 1 for a share, or between them for a mean such as pass@k.

    Returns:
        Index `by` in order of appearance; columns `n` (scored items), `failed` (unscored items), `rate`, `low`, `high`,
        `note`: empty, or why the interval is missing or unreliable. An empty table gives an empty result.

    Raises:
        UserError: the table lacks a column, or a score lies outside 0 to 1.

    The Wilson interval with n / design effect and Student's t is Korn and Graubard's (1998) proposal for clustered
    proportions as modified by Dean and Pagano (2015).
    """
    check(table, by, value)
    if table.empty:
        columns = list(rate(table[value], table[ITEM]))
        nothing = pd.DataFrame(index=table.set_index(by).index, columns=columns)
        return nothing.astype({"n": int, "failed": int, "rate": float, "low": float, "high": float, "note": "str"})
    groups = table.groupby(by, sort=False, dropna=False)
    rows = {group: rate(items[value], items[ITEM]) for group, items in groups}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(by)


def rate(values: pd.Series, clusters: pd.DataFrame) -> dict:
    """Return one row of `rates`, from scores (0 to 1, or missing) and one row of cluster labels per score."""
    scored = values.notna().to_numpy()
    x = values.to_numpy(float)[scored]
    row = {"n": len(x), "failed": len(values) - len(x), "rate": x.mean() if len(x) else np.nan}
    worth = effective(x, clusters[scored], row["rate"] * (1 - row["rate"]))
    low, high = wilson(row["rate"], worth.n, worth.t)
    return row | {"low": low, "high": high, "note": worth.note}


def wilson(share: float, n: float, t: float) -> tuple[float, float]:
    """Return Wilson's interval of a share of n effective items, t standard errors to each side; missing for n = 0."""
    alpha = 2 * stats.norm.sf(t)
    return proportion_confint(share * n, n, alpha=alpha, method="wilson") if n > 0 else (np.nan, np.nan)


def paired_differences(
    table: pd.DataFrame,
    by: str,
    value: str = "score",
    pairs: Sequence[tuple[str, ...]] | None = None,
) -> pd.DataFrame:
    """Compare the means of pairs of groups on the same persona x prompt items, and test the differences.

    Args:
        table: as in `rates`; each item at most once per group.
        by: column of the groups.
        value: the score, from 0 to 1.
        pairs: which groups to compare, each a minuend and a subtrahend; by default all pairs.

    Returns:
        One row per pair: `minuend`, `subtrahend`, `n` (items scored in both), `failed` (items with a row in either
        group that are not scored in both), `difference` of the means, `low`, `high`, `p` (of no difference), `p_holm`
        (corrected over all rows), `note` as in `rates`. The interval is Bonett and Price's (2012) for paired
        proportions, at the effective sample size: it keeps a width where all items agree. `p` is where it would touch
        0, so the interval excludes 0 exactly where `p` is below .05. The variance is not below that of independent
        items.

    Raises:
        UserError: as `rates`; an item has two rows in a group; a pair names no group.
    """
    wide = side_by_side(table, by, value)  # items x groups
    asked = have_rows(table, by)  # items x groups
    groups = list(table[by].dropna().unique())
    pairs = [pair[::-1] for pair in combinations(groups, 2)] if pairs is None else pairs
    if unknown := [group for pair in pairs for group in pair if group not in groups]:
        raise UserError(f"{by} has no group {unknown[0]!r}: take one of {', '.join(map(str, groups))}")
    rows = []
    for second, first in pairs:
        in_either = asked[[first, second]].any(axis=1)
        found = difference((wide[second] - wide[first])[in_either])
        rows.append({"minuend": second, "subtrahend": first} | found)
    result = pd.DataFrame(rows, columns=["minuend", "subtrahend", *_DIFFERENCE])
    result.insert(8, "p_holm", corrected(result["p"]))
    return result


def side_by_side(table: pd.DataFrame, by: str, value: str) -> pd.DataFrame:
    """Return the scores with a row per persona x prompt item and a column per group of `by`.

    Raises:
        UserError: as `rates`, or an item has two rows in a group.
    """
    check(table, by, value)
    if table.duplicated([*ITEM, by]).any():
        raise UserError(f"an item has several rows in one group of {by}: take their mean first")
    return table.pivot(index=ITEM, columns=by, values=value)


def have_rows(table: pd.DataFrame, by: str) -> pd.DataFrame:
    """Return whether each item (row) has a row in each group (column), scored or not; ordered as `side_by_side`."""
    return table.assign(asked=1.0).pivot(index=ITEM, columns=by, values="asked").notna()


def difference(differences: pd.Series) -> dict:
    """Return one row of `paired_differences`, from `n` to `note`.

    Args:
        differences: one per item, -1 to 1 or missing; the levels of its index are the cluster labels.
    """
    scored = differences.dropna()
    x = scored.to_numpy(float)
    clusters = scored.index.to_frame(index=False)
    row = {"n": len(x), "failed": len(differences) - len(x), "difference": x.mean() if len(x) else np.nan}
    spread = x.var() if len(x) else np.nan
    # Tests of a family need the far tail, so no variance is below that of independent items. The interval takes the
    # same variance: it excludes 0 where p is below .05, and nowhere else.
    worth = effective(x, clusters, spread, floor=1.0)
    middle, error = _bonett_price(x, worth.n)
    low, high = np.clip([middle - worth.t * error, middle + worth.t * error], -1, 1)
    p = 2 * stats.t.sf(abs(middle) / error, worth.df)
    return row | {"low": low, "high": high, "p": p, "note": worth.note}


def _bonett_price(x: np.ndarray, n: float) -> tuple[float, float]:
    """Return the middle and the standard error of a mean of differences with n effective items; missing for n = 0."""
    if n == 0:
        return np.nan, np.nan
    middle = x.mean() * n / (n + 2)
    square = ((x**2).mean() * n + 2) / (n + 2)
    return middle, np.sqrt((square - middle**2) / (n + 2))


def corrected(p: pd.Series, method: str = "holm") -> pd.Series:
    """Correct the p-values of a family of tests. Missing ones stay missing and do not count as tests.

    Args:
        p: the p-values.
        method: `holm` for claims (probability of any false alarm), `fdr_bh` for screens (share of false alarms),
            `fdr_by` for screens whose tests depend on each other in any way.
    """
    known = p.dropna()
    if known.empty:
        return p.astype(float)
    return pd.Series(multipletests(known, method=method)[1], known.index).reindex(p.index)


class Effective(NamedTuple):
    """What clustered items are worth: `n` independent items, `df` degrees of freedom, and a `note` on problems."""

    n: float
    df: float
    note: str

    @property
    def t(self) -> float:
        """Half the width of a 95% interval in standard errors; missing if no interval is estimable."""
        return stats.t.ppf((1 + LEVEL) / 2, self.df) if self.df else np.nan


def effective(values: np.ndarray, clusters: pd.DataFrame, spread: float, floor: float = FLOOR) -> Effective:
    """Return how many independent items would have a mean as uncertain as the mean of these clustered items.

    Args:
        values: array (n,) of scores.
        clusters: as in `variance`.
        spread: variance of a single item.
        floor: as in `variance`.

    Returns:
        n is 0 if no interval is estimable. If all values are equal, n is the smaller number of clusters: such values
        do not tell the design effect.
    """
    if len(values) == 0:
        return Effective(0.0, 0.0, "nothing scored")
    error, df, fewest = variance(values, clusters, floor)
    if fewest < 1 + 1e-9:
        return Effective(0.0, 0.0, "one item: no interval" if len(values) == 1 else "one cluster: no interval")
    if df < 1 - 1e-9:  # one of two clusters holds nearly all items: Student's t has no finite width
        return Effective(0.0, 0.0, "too few clusters: no interval")
    notes = {"too few clusters": fewest < FEW - 1e-9, "all scores equal": error == 0}
    note = "; ".join(text for text, true in notes.items() if true)
    return Effective(spread / error if error else fewest, df, note)


def variance(values: np.ndarray, clusters: pd.DataFrame, floor: float = FLOOR) -> tuple[float, float, float]:
    """Estimate the variance of the mean of clustered values.

    It is the two-way variance of Cameron, Gelbach and Miller (2011), V = V_G + V_H - V_GH: clustered by G, by H, and by
    their intersection. The bias from the estimated mean is removed: half the squared differences of items that share a
    cluster are compared with those of items that share none. In balanced tables V is the one from the analysis of
    variance. Degrees of freedom are Satterthwaite's, but not below the number of clusters less one.

    Args:
        values: array (n,).
        clusters: n rows of labels, in no column (independent items), one column, or two columns that cross.
        floor: lower bound, as a share of the variance for independent items.

    Returns:
        The variance; its degrees of freedom; the smaller of the two effective numbers of clusters, which is the number
        of clusters if all have one size, and smaller otherwise.
    """
    n = len(values)
    x = np.asarray(values, float) - np.mean(values)
    x = x if np.ptp(x) > 1e-9 else np.zeros(n)  # a smaller range is rounding error
    in_g, in_h = _cluster_codes(clusters)  # n each
    in_gh = pd.factorize(in_g * (n + 1) + in_h)[0]
    spread_g, pairs_g = _within(x, in_g)
    spread_h, pairs_h = _within(x, in_h)
    spread_gh, pairs_gh = _within(x, in_gh)
    total = float(n * (x @ x))  # of all n x n ordered pairs

    def estimate(spread: float, pairs: int) -> float:
        """Return the sum of the covariances of all pairs that share a cluster, over n squared."""
        # The covariance of a pair is the mean half squared difference of pairs that share no cluster, less its own.
        apart = n * n - pairs
        return (pairs / apart * (total - spread) - spread) / n**2 if apart else 0.0

    v_g = estimate(spread_g, pairs_g)
    v_h = estimate(spread_h, pairs_h)
    v = estimate(spread_g + spread_h - spread_gh, pairs_g + pairs_h - pairs_gh)
    numbers = n * n / pairs_g, n * n / pairs_h  # of clusters, effective
    value, df = _floored(v, v_g, v_h, floor * total / n**3, numbers)
    return value, df, min(numbers)


def _cluster_codes(clusters: pd.DataFrame) -> list[np.ndarray]:
    """Return two arrays (n,) of cluster numbers; where a column is absent, each item is a cluster of its own."""
    n = len(clusters)
    codes = [pd.factorize(clusters[column])[0] for column in clusters]
    return codes + [np.arange(n)] * (2 - len(codes))


def _within(x: np.ndarray, code: np.ndarray) -> tuple[float, int]:
    """Return the sum of half squared differences over all ordered pairs that share a code, and their number."""
    counts = np.bincount(code)  # per cluster, as the next two
    sums = np.bincount(code, x)
    squares = np.bincount(code, x**2)
    return float(counts @ squares - sums @ sums), int(counts @ counts)


def _floored(v: float, v_g: float, v_h: float, least: float, clusters: tuple[float, float]) -> tuple[float, float]:
    """Return a two-way variance not below `least`, and its degrees of freedom.

    Args:
        v: two-way variance.
        v_g: one-way variance, clustered by G.
        v_h: one-way variance, clustered by H.
        least: lower bound of the variance.
        clusters: effective numbers of clusters of G and of H.
    """
    df_g, df_h = (number - 1 for number in clusters)
    fewest = min(df_g, df_h)
    value = max(v, least)
    if value <= 0 or fewest <= 0:
        return 0.0, max(fewest, 0.0)
    v_gh = v_g + v_h - v
    satterthwaite = v_g**2 / df_g + v_h**2 / df_h + v_gh**2 / (df_g * df_h)
    return value, max(value**2 / satterthwaite if satterthwaite else 0.0, fewest)


def check(table: pd.DataFrame, by: str | list[str], value: str) -> None:
    """Check a table of scores before anything is computed from it.

    Raises:
        UserError: a column is missing, a row has no id, or a score lies outside 0 to 1.
    """
    if missing := {*ITEM, *([by] if isinstance(by, str) else by), value} - set(table):
        raise UserError(f"the table of scores lacks {', '.join(sorted(missing))}: it has {', '.join(map(str, table))}")
    if nameless := int(table[ITEM].isna().any(axis=1).sum()):
        raise UserError(f"{nameless} scores name no {' or no '.join(ITEM)}: fill it in or leave the rows out")
    if not table[value].dropna().between(-1e-9, 1 + 1e-9).all():
        raise UserError(f"{value} must lie from 0 to 1: divide it by its largest value")
