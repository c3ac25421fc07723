"""The statistics of the workbench: rates and paired differences with intervals. Tables in, tables out.

Knows no model and no file. Every estimate carries its n, its 95% interval and how many items failed; items are
clustered by persona and by prompt at once, since several answers share either. Used by every notebook that scores.
"""

from itertools import combinations

import numpy as np
import pandas as pd
import statsmodels.api as sm
from scipy import stats
from statsmodels.stats.proportion import proportion_confint
from statsmodels.stats.sandwich_covariance import cov_cluster_2groups

ITEM = ["persona_id", "prompt_id"]
LEVEL = 0.95
_Z = stats.norm.ppf((1 + LEVEL) / 2)


def rates(table: pd.DataFrame, by: str, value: str = "score") -> pd.DataFrame:
    """The share of ones in `value` for each group of `by`, with a Wilson interval at the effective sample size.

    Args:
        table: one row per item, with `persona_id`, `prompt_id`, `by`, and `value` in {0, 1} or missing (a failed item).

    Returns:
        Index `by` in order of appearance; columns `n` (items scored), `failed` (items not), `rate`, `low`, `high`.
        Missing where nothing is scored, no interval where all items share one persona or one prompt.

    The Wilson interval with n / design effect and Student's t is Korn and Graubard's (1998) proposal for clustered
    proportions as modified by Dean and Pagano (2015).
    """
    rows = {}
    for group, items in table.groupby(by, sort=False):
        scored = items.dropna(subset=value)
        n, rate = len(scored), scored[value].mean()
        effective = effective_n(scored[value].to_numpy(float), scored[ITEM])
        low, high = proportion_confint(rate * effective, effective, method="wilson") if effective > 0 else (np.nan,) * 2
        rows[group] = {"n": n, "failed": len(items) - n, "rate": rate, "low": low, "high": high}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(by)


def paired_differences(table: pd.DataFrame, by: str, value: str = "score") -> pd.DataFrame:
    """Differences of the rates between all pairs of groups, on the same persona x prompt items.

    Args:
        table: as in `rates`; each item once per group.

    Returns:
        One row per pair: `minuend`, `subtrahend`, `n` (items scored in both), `failed` (items not), `difference` of the
        rates, `low`, `high`. The interval is Bonett and Price's (2012) for paired proportions at the effective sample
        size, so that it keeps a width where all items agree.
    """
    wide = table.pivot(index=ITEM, columns=by, values=value)
    rows = []
    for first, second in combinations(table[by].unique(), 2):
        differences = (wide[second] - wide[first]).dropna()
        effective = effective_n(differences.to_numpy(float), differences.index.to_frame(index=False))
        low, high = _bonett_price(differences, effective)
        rows.append([second, first, len(differences), len(wide) - len(differences), differences.mean(), low, high])
    return pd.DataFrame(rows, columns=["minuend", "subtrahend", "n", "failed", "difference", "low", "high"])


def effective_n(values: np.ndarray, clusters: pd.DataFrame) -> float:
    """How many independent items these clustered ones are worth: n / design effect, shrunk where clusters are few.

    Args:
        values: array (n,) of scores.
        clusters: two columns of labels, n rows.

    Returns:
        At most n; 0 where there are fewer than two clusters of either kind. Where all values are equal the design
        effect is unknown and the smaller number of clusters is taken. The variance is two-way clustered (Cameron,
        Gelbach and Miller 2011); the factor (z/t)^2 puts Student's t with one degree of freedom less than the smaller
        number of clusters in the place of the normal.
    """
    first, second = (pd.factorize(clusters[c])[0] for c in clusters)
    fewest = min(len(np.unique(first)), len(np.unique(second)))
    if fewest < 2:
        return 0.0
    shrink = (_Z / stats.t.ppf((1 + LEVEL) / 2, fewest - 1)) ** 2
    independent = values.var() / len(values)
    if independent == 0:
        return fewest * shrink
    covariances = cov_cluster_2groups(sm.OLS(values, np.ones(len(values))).fit(), first, second)
    both, *one_way = (float(np.squeeze(c)) for c in covariances)
    clustered = both if both > 0 else max(one_way)  # the two-way estimate can turn out negative with few clusters
    return shrink * len(values) * min(1.0, independent / clustered)


def _bonett_price(differences: pd.Series, n: float) -> tuple[float, float]:
    """Interval of a paired difference of proportions with n effective items; missing for n = 0."""
    if n == 0:
        return np.nan, np.nan
    more, less = (((differences == sign).mean() * n + 1) / (n + 2) for sign in (1, -1))
    half = _Z * np.sqrt((more + less - (more - less) ** 2) / (n + 2))
    return max(-1.0, more - less - half), min(1.0, more - less + half)
