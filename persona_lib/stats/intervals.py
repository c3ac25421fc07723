"""Compute rates, paired differences and their 95% intervals where items share personas and prompts.

Several answers share a persona and several share a prompt, so items are clustered by both at once.
`benchmarks/coverage.py` simulates how often the intervals cover the truth.
"""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pandas as pd
from scipy import stats
from scipy.special import betaincinv, stdtrit

from .. import UserError
from .clustering import LEVEL, Effective, cluster_codes, effective, linearized, noted, worth_of

ITEM = ["persona_id", "prompt_id"]
FEW_CHANGED = 8  # effective clusters whose scores differ; with fewer, a difference's interval may be too short
FEW_HOLDERS = 5  # effective clusters that hold the rarer answer; with fewer, a rate's interval may be too short
FEW_DF, LARGE_EFFECT = 12, 3  # degrees of freedom and design effect at which clusters are few and differ much
RARE = 0.3  # share of an answer; below it, few clusters that differ much have a note
_DIFFERENCE = ["n", "failed", "difference", "low", "high", "p", "note"]


def rates(table: pd.DataFrame, by: str | list[str], value: str = "score") -> pd.DataFrame:
    """Return the mean of `value` in each group, with a Clopper-Pearson interval at the effective sample size.

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

    The interval is Korn and Graubard's (1998) for clustered proportions. `benchmarks/coverage.py` prints how often it
    covers the truth, by rate and by the shares of variance of personas and prompts. Where few clusters hold the rarer
    answer, the design effect is known badly, the worse the nearer the rate is to 0 or 1: each end takes its degrees of
    freedom from the clusters that hold the answer whose share it bounds, counts one such cluster more, and the note
    says where they are too few for that.
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
    codes = cluster_codes(clusters[scored])
    worth = worth_of(x, codes, row["rate"] * (1 - row["rate"]), floor=1.0)
    if not worth.n:
        return row | {"low": np.nan, "high": np.nan, "note": worth.note}
    low, high, note = share_interval(row["rate"], len(x), worth, x, codes)
    return row | {"low": low, "high": high, "note": note}


def share_interval(
    share: float, size: int, worth: Effective, held: np.ndarray, codes: list[np.ndarray]
) -> tuple[float, float, str]:
    """Return the interval of a share as `rates` describes it, and its note.

    Args:
        share: from 0 to 1.
        size: number of items.
        worth: what they are worth; an interval must be estimable.
        held: array (n,) of the scores that tell which clusters hold the answer.
        codes: their clusters, as returned by `clustering.cluster_codes`.
    """
    ones = holding_clusters(held, codes)
    zeros = holding_clusters(1 - held, codes)
    low = 1 - _upper_end(1 - share, size, worth, zeros)
    high = _upper_end(share, size, worth, ones)
    note = worth.note
    if min(ones, zeros) < FEW_HOLDERS - 1e-9:
        note = note or "few clusters hold the rarer answer"
    # How many hold an answer depends on the luck that makes an interval short. The number of all clusters does not.
    elif min(share, 1 - share) < RARE and worth.df < FEW_DF and size / worth.n > LARGE_EFFECT:
        note = note or "few clusters, which differ much"
    return low, high, note


def holding_clusters(held: np.ndarray, codes: list[np.ndarray]) -> float:
    """Return the effective number of clusters that hold an answer: the smaller of personas and of prompts.

    It is the squared sum over the sum of squares of what each cluster holds: the number of clusters if a few hold the
    same and the others nothing. It is 0 if none holds any.

    Args:
        held: array (n,) of how far each item is this answer, from 0 to 1.
        codes: as returned by `cluster_codes`.
    """
    sums = [np.bincount(code, held) for code in codes]
    return min(s.sum() ** 2 / max(s @ s, 1e-12) for s in sums)


def _upper_end(share: float, size: int, worth: Effective, holders: float) -> float:
    """Return the upper end of Korn and Graubard's interval of a share.

    Args:
        share: of the answer, from 0 to 1.
        size: number of items.
        worth: what they are worth.
        holders: effective number of clusters that hold the answer.
    """
    n = worth.n
    if 1e-9 < share < 1 - 1e-9:  # equal scores tell no design effect: they count as clusters, and need no t
        few = max(holders, FEW_HOLDERS)
        tail = (1 + LEVEL) / 2
        t = stdtrit(min(worth.df, few - 1), tail)
        n *= min(few / (few + 1) * (stdtrit(size - 1, tail) / t) ** 2, 1.0)
    return float(betaincinv(n * share + 1, n * (1 - share), (1 + LEVEL) / 2)) if share < 1 - 1e-9 else 1.0


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
        items. Where few clusters hold all changes, the interval may be too short, and the note says so.

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


def difference(differences: pd.Series, weights: pd.Series | None = None) -> dict:
    """Return one row of `paired_differences`, from `n` to `note`.

    Args:
        differences: one per item, -1 to 1 or missing; the levels of its index are the cluster labels.
        weights: on the same index, what each item counts in the mean; None for equal weights.
    """
    scored = differences.dropna()
    x = scored.to_numpy(float)
    w = np.ones(len(x)) if weights is None else weights[differences.notna()].to_numpy(float)
    clusters = scored.index.to_frame(index=False)
    mean = np.average(x, weights=w) if len(x) else np.nan
    row = {"n": len(x), "failed": len(differences) - len(x), "difference": mean}
    spread = np.average((x - mean) ** 2, weights=w) if len(x) else np.nan
    # Tests of a family need the far tail, so no variance is below that of independent items. The interval takes the
    # same variance: it excludes 0 where p is below .05, and nowhere else.
    worth = effective(x, clusters, spread, floor=1.0, weights=w)
    note = worth.note
    if worth.n and not note and holding_clusters(np.abs(x), cluster_codes(clusters)) < FEW_CHANGED - 1e-9:
        note = "few clusters hold the changes"
    return row | bonett_price(row["difference"], spread, worth) | {"note": note}


def linear_difference(gap: float, moves: pd.Series) -> dict:
    """Return `n`, `difference`, `low`, `high`, `p` and `note` of a difference of means whose items weigh unequally.

    Args:
        gap: the difference, from -1 to 1.
        moves: as in `clustering.linearized`.

    The interval and `p` are those of `paired_differences`, with the variance of `clustering.linearized`.
    """
    row = {"n": len(moves), "difference": gap}
    error, fewest = linearized(moves)
    if np.isnan(error) or np.isnan(gap):
        note = "nothing scored" if np.isnan(gap) else "one cluster: no interval"
        return row | dict.fromkeys(["low", "high", "p"], np.nan) | {"note": note}
    spread = len(moves) * float(moves @ moves)  # of a single item
    worth = Effective(spread / error if error else fewest, fewest - 1, noted(fewest, error))
    codes = cluster_codes(moves.index.to_frame(index=False))
    note = worth.note
    if not note and holding_clusters(moves.abs().to_numpy(), codes) < FEW_CHANGED - 1e-9:
        note = "few clusters hold the changes"
    return row | bonett_price(gap, spread, worth) | {"note": note}


def bonett_price(mean: float, spread: float, worth: Effective) -> dict[str, float]:
    """Return `low`, `high` and `p` of a mean of paired differences as `paired_differences` describes them.

    Args:
        mean: of the differences, from -1 to 1.
        spread: variance of a single one.
        worth: what they are worth; all is missing if no interval is estimable.
    """
    n = worth.n
    if not n:
        return dict.fromkeys(["low", "high", "p"], np.nan)
    middle = mean * n / (n + 2)
    square = ((spread + mean**2) * n + 2) / (n + 2)
    error = np.sqrt((square - middle**2) / (n + 2))
    low, high = np.clip([middle - worth.t * error, middle + worth.t * error], -1, 1)
    return {"low": low, "high": high, "p": 2 * stats.t.sf(abs(middle) / error, worth.df)}


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
    if method == "holm":  # statsmodels has it too, but collects garbage at each call, which takes up to a second
        adjusted = (known.sort_values() * np.arange(len(known), 0, -1)).cummax().clip(upper=1)
    else:
        adjusted = pd.Series(stats.false_discovery_control(known, method=method.removeprefix("fdr_")), known.index)
    return adjusted.reindex(p.index)


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
