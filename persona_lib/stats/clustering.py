"""What clustered items are worth: the two-way clustered variance of a mean, and how many independent items it equals.

Rates, differences, agreement and logistic contrasts take their uncertainty from here.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

LEVEL = 0.95
FEW = 8  # clusters of equal weight; with fewer, the coverage of the intervals departs from 95%
# No estimated variance may fall below this share of the variance of independent items. The value comes from
# simulation: with a smaller one, intervals are too short where neither persona nor prompt matters; with a larger one,
# they are too long there.
FLOOR = 0.5


class Effective(NamedTuple):
    """What clustered items are worth: `n` independent items, `df` degrees of freedom, and a `note` on problems."""

    n: float
    df: float
    note: str

    @property
    def t(self) -> float:
        """Half the width of a 95% interval in standard errors; missing if no interval is estimable."""
        return stats.t.ppf((1 + LEVEL) / 2, self.df) if self.df else np.nan


def effective(
    values: np.ndarray,
    clusters: pd.DataFrame,
    spread: float,
    floor: float = FLOOR,
    weights: np.ndarray | None = None,
) -> Effective:
    """Return how many independent items would have a mean as uncertain as the mean of these clustered items.

    Args:
        values: array (n,) of scores.
        clusters: as in `variance`.
        spread: variance of a single item.
        floor: as in `variance`.
        weights: array (n,) of what each item counts in the mean; None for equal weights.

    Returns:
        n is 0 if no interval is estimable. If all values are equal, n is the smaller number of clusters: such values
        do not tell the design effect.
    """
    return worth_of(values, cluster_codes(clusters), spread, floor, weights)


def worth_of(
    values: np.ndarray, codes: list[np.ndarray], spread: float, floor: float, weights: np.ndarray | None = None
) -> Effective:
    """Return what `effective` does, from the codes of `cluster_codes`."""
    if len(values) == 0:
        return Effective(0.0, 0.0, "nothing scored")
    error, df, fewest = _variance(values, codes, floor, weights)
    if fewest < 1 + 1e-9:
        return Effective(0.0, 0.0, "one item: no interval" if len(values) == 1 else "one cluster: no interval")
    if df < 1 - 1e-9:  # one of two clusters holds nearly all items: Student's t has no finite width
        return Effective(0.0, 0.0, "too few clusters: no interval")
    return Effective(spread / error if error else fewest, df, noted(fewest, error))


def noted(fewest: float, error: float) -> str:
    """Return what makes an interval unreliable: few clusters, or no variance; empty if nothing does."""
    notes = {"too few clusters": fewest < FEW - 1e-9, "all scores equal": error == 0}
    return "; ".join(text for text, true in notes.items() if true)


def linearized(moves: pd.Series) -> tuple[float, int]:
    """Estimate the variance of an estimate from how far each item moves it (its influence).

    For estimates in which items weigh unequally, such as a difference of two means over people. It is the two-way
    variance of Cameron, Gelbach and Miller (2011), of what `moves` add up to in each cluster, not below that of
    independent items. `effective` would take the unequal weights in `moves` for likeness within clusters.

    Args:
        moves: how far items move the estimate; they add up to 0. The two levels of the index are the clusters; items
            that share both are one.

    Returns:
        The variance, missing if a level has one cluster; and the number of clusters of the level that has fewer.
    """
    sums = [moves.groupby(level=level, observed=True).sum() for level in (0, 1)]
    items = moves.groupby(level=[0, 1], observed=True).sum()
    fewest = min(map(len, sums))
    if fewest < 2:
        return np.nan, fewest
    least = float(items @ items)
    return max(sum(float(one @ one) * len(one) / (len(one) - 1) for one in sums) - least, least), fewest


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
    return _variance(values, cluster_codes(clusters), floor)


def _variance(
    values: np.ndarray, codes: list[np.ndarray], floor: float, weights: np.ndarray | None = None
) -> tuple[float, float, float]:
    """Return what `variance` does, from the codes of `cluster_codes`; pairs weigh what both their items weigh."""
    w = np.ones(len(values)) if weights is None else weights / weights.mean()
    n = w.sum()
    x = np.asarray(values, float) - w @ values / n
    x = x if np.ptp(x) > 1e-9 else np.zeros(len(x))  # a smaller range is rounding error
    in_g, in_h = codes
    in_gh = pd.factorize(in_g * (len(x) + 1) + in_h)[0]
    spread_g, pairs_g = half_squares(x, in_g, w)
    spread_h, pairs_h = half_squares(x, in_h, w)
    spread_gh, pairs_gh = half_squares(x, in_gh, w)
    total = float(n * (w @ x**2))  # of all n x n ordered pairs

    def estimate(spread: float, pairs: float) -> float:
        """Return the sum of the covariances of all pairs that share a cluster, over n squared."""
        # The covariance of a pair is the mean half squared difference of pairs that share no cluster, less its own.
        apart = n * n - pairs
        return (pairs / apart * (total - spread) - spread) / n**2 if apart > 1e-6 else 0.0

    v_g = estimate(spread_g, pairs_g)
    v_h = estimate(spread_h, pairs_h)
    v = estimate(spread_g + spread_h - spread_gh, pairs_g + pairs_h - pairs_gh)
    numbers = n * n / pairs_g, n * n / pairs_h  # of clusters, effective
    value, df = floored(v, v_g, v_h, floor * total / n**4 * (w @ w), numbers)
    return value, df, min(numbers)


def cluster_codes(clusters: pd.DataFrame) -> list[np.ndarray]:
    """Return two arrays (n,) of cluster numbers; where a column is absent, each item is a cluster of its own."""
    n = len(clusters)
    codes = [pd.factorize(clusters[column])[0] for column in clusters]
    return codes + [np.arange(n)] * (2 - len(codes))


def half_squares(x: np.ndarray, code: np.ndarray, weights: np.ndarray | None = None) -> tuple[float, float]:
    """Return the sum of half squared differences over all ordered pairs that share a code, and their number.

    With weights, a pair counts as the product of the weights of its items.
    """
    w = np.ones(len(x)) if weights is None else weights
    counts = np.bincount(code, w)  # per cluster, as the next two
    sums = np.bincount(code, w * x)
    squares = np.bincount(code, w * x**2)
    return float(counts @ squares - sums @ sums), float(counts @ counts)


def floored(v: float, v_g: float, v_h: float, least: float, clusters: tuple[float, float]) -> tuple[float, float]:
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
