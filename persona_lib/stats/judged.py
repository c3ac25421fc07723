"""Estimate pass@k from the verdicts of a judge that errs, with known error rates, and compute what it would report.

Errors may be independent from sample to sample, or belong to the item: a judge that misreads a question errs on all
answers to it.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import betabinom, binom, hypergeom

from .. import UserError
from .intervals import rates
from .passk import counted, pass_at_k, shared, where_enough


def corrected_at_k(
    n: ArrayLike, c: ArrayLike, k: int, false_positive: float, false_negative: float, correlation: float = 0.0
) -> np.ndarray:
    """Return the true pass@k, without bias, from the verdicts of a judge whose error rates are known.

    A single item's value can lie outside 0 to 1, the more often the larger k and the error rates are. Only the mean
    over many items is informative.

    Args:
        n: samples of each item.
        c: samples that the judge passed.
        k: samples looked at.
        false_positive: probability that the judge passes a sample that should fail.
        false_negative: probability that it fails a sample that should pass.
        correlation: of its errors on two samples of one item, from 0 (independent: it errs by sample) to 1 (it errs on
            all wrong samples of an item or on none, and likewise on the right ones: identical samples have identical
            verdicts). Each item then has error rates of its own, which follow beta distributions of these means.

    Raises:
        UserError: as `passk.pass_at_k` and `check`.
    """
    drawn, kept = shared(n, c, k)
    at_least = np.arange(k + 1)  # passed samples among the k
    chance = hypergeom.pmf(at_least, drawn[..., None], kept[..., None], k)  # items x (k + 1)
    return chance @ _unbiased(k, false_positive, false_negative, correlation)


def _unbiased(k: int, false_positive: float, false_negative: float, correlation: float) -> np.ndarray:
    """Return, by how many of k samples a judge passed, what estimates without bias whether one of them is right.

    The expected value of what is returned, over the verdicts on k samples of which t are right, is 1 for each t above 0
    and 0 for t = 0. It is an array (k + 1,).

    Raises:
        UserError: as `corrected_at_k`.
    """
    check(false_positive, false_negative, correlation)
    seen = np.array([_verdicts(k, t, false_positive, false_negative, correlation) for t in range(k + 1)])
    return np.linalg.solve(seen, np.arange(k + 1) > 0)


def check(false_positive: float, false_negative: float = 0.0, correlation: float = 0.0) -> None:
    """Check, before any model is asked, that a judge with these errors is informative.

    Raises:
        UserError: a rate or the correlation is outside 0 to 1, or the judge is no better than chance.
    """
    named = {"false_positive": false_positive, "false_negative": false_negative, "correlation": correlation}
    if wrong := [name for name, value in named.items() if not 0 <= value <= 1]:
        raise UserError(f"{wrong[0]} must lie from 0 to 1, not {named[wrong[0]]}")
    if false_positive + false_negative >= 1:
        raise UserError("a judge whose error rates sum to 1 or more is not informative: take another judge")


def _verdicts(k: int, right: int, false_positive: float, false_negative: float, correlation: float) -> np.ndarray:
    """Return how likely a judge passes 0 to k of k samples, `right` of which are right: an array (k + 1,)."""
    hits = _errors(right, false_negative, correlation)[::-1]
    return np.convolve(hits, _errors(k - right, false_positive, correlation))


def _errors(n: int, rate: float, correlation: float) -> np.ndarray:
    """Return how likely a judge errs on 0 to n of n samples of one item: an array (n + 1,)."""
    among = np.arange(n + 1)
    if correlation == 0 or rate in (0, 1):
        return binom.pmf(among, n, rate)
    if correlation == 1:
        return (1 - rate) * (among == 0) + rate * (among == n) if n else np.ones(1)
    size = (1 - correlation) / correlation  # alpha + beta of the beta distribution
    return betabinom.pmf(among, n, rate * size, (1 - rate) * size)


def corrected(
    samples: pd.DataFrame,
    by: list[str],
    false_positive: float,
    false_negative: float = 0.0,
    ks: Sequence[int] = (1, 2, 4, 8, 16),
    value: str = "score",
    correlation: float = 0.0,
) -> pd.DataFrame:
    """Return pass@k corrected for a judge's errors, if the judge had these error rates.

    Args:
        samples: as in `passk.curves`.
        by: as in `passk.curves`.
        false_positive, false_negative, correlation: as in `corrected_at_k`.
        ks: as in `passk.curves`.
        value: as in `passk.curves`.

    Returns:
        One row per group and k: `by`, `k`, `judged` (pass@k by the verdicts), `n` (items with k scored samples),
        `corrected` (without bias; a mean over few items can lie outside 0 to 1) with `low` and `high` (from 0 to 1,
        clustered by persona and prompt, if the rates of errors are as given), `note` as in `intervals.rates`.
    """
    counts = counted(samples, by, value)
    parts = []
    for k in ks:
        # The items' values lie between the least and the largest that k verdicts can give. On this scale their mean is
        # a share, whose interval keeps a width where all items agree.
        possible = _unbiased(k, false_positive, false_negative, correlation)
        least, most = possible.min(), possible.max()

        def scaled(n: np.ndarray, c: np.ndarray, k: int, least: float = least, most: float = most) -> np.ndarray:
            true = corrected_at_k(n, c, k, false_positive, false_negative, correlation)
            return ((true - least) / (most - least)).clip(0, 1)

        table = rates(counts.assign(scaled=where_enough(scaled, counts, k)), by, "scaled")
        means = table[["rate", "low", "high"]] * (most - least) + least
        means = means.assign(low=means["low"].clip(0, 1), high=means["high"].clip(0, 1))
        judged = rates(counts.assign(judged=where_enough(pass_at_k, counts, k)), by, "judged")
        means.insert(0, "judged", judged["rate"])
        means.insert(1, "n", table["n"])
        parts.append(means.rename(columns={"rate": "corrected"}).assign(note=table["note"], k=k).reset_index())
    result = pd.concat(parts, ignore_index=True)
    return result[[*by, "k", "judged", "n", "corrected", "low", "high", "note"]]


def known_truths(
    shares: Sequence[float],
    false_positive: float,
    false_negative: float = 0.0,
    ks: Sequence[int] = (1, 2, 4, 8, 16),
    correlation: float = 0.0,
) -> pd.DataFrame:
    """Compute what a judge would report of models of known quality.

    Args:
        shares: for each model, the share of its independent answers that pass.
        false_positive, false_negative, correlation: as in `corrected_at_k`.
        ks: numbers of samples looked at.

    Returns:
        One row per share and k: `share`, `k`, `true` and `reported` pass@k.

    Raises:
        UserError: as `check`.
    """
    check(false_positive, false_negative, correlation)
    table = pd.MultiIndex.from_product([shares, ks], names=["share", "k"]).to_frame(index=False)
    none = {}  # by k, the chance that no sample passes, by the number of right ones
    for k in ks:
        none[k] = [_verdicts(k, t, false_positive, false_negative, correlation)[0] for t in range(k + 1)]
    missed = [binom.pmf(np.arange(k + 1), k, share) @ none[k] for share, k in table.itertuples(index=False)]
    return table.assign(true=1 - (1 - table["share"]) ** table["k"], reported=1 - np.array(missed))
