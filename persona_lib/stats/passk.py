"""pass@k and pass^k: does one of k answers pass, do all? Without bias, from n samples per item.

Figure 12 of the paper.
"""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from scipy.stats import hypergeom

from .. import UserError
from .intervals import ITEM, rates


def pass_at_k(n: np.ndarray, c: np.ndarray, k: int) -> np.ndarray:
    """Chance that one of k samples passes, from c that passed of n: 1 - C(n-c, k) / C(n, k) (Chen et al. 2021).

    Raises:
        UserError: k is below 1 or above a number of samples, or c is not from 0 to n.
    """
    return 1 - pass_all_k(n, np.asarray(n) - np.asarray(c), k)


def pass_all_k(n: np.ndarray, c: np.ndarray, k: int) -> np.ndarray:
    """Chance that all of k samples pass (pass^k), from c that passed of n: C(c, k) / C(n, k). Raises as `pass_at_k`."""
    n, c = _counts(n, c, k)
    drawn = np.arange(k)
    return ((c[..., None] - drawn) / (n[..., None] - drawn)).clip(min=0).prod(-1)


def corrected_at_k(n: np.ndarray, c: np.ndarray, k: int, false_positive: float, false_negative: float) -> np.ndarray:
    """True pass@k, without bias, from c samples of n that a judge of known error rates passed.

    An item's value can lie outside 0 to 1, and the more so the larger k and the rates: only the mean over many items
    speaks.

    Args:
        n: samples of each item.
        c: those that the judge passed.
        k: samples looked at.
        false_positive: chance that the judge passes what should fail.
        false_negative: chance that it fails what should pass; both independent from sample to sample.

    Raises:
        UserError: as `pass_at_k`, and where the judge is no better than chance.
    """
    skill = 1 - false_positive - false_negative
    if skill <= 0:
        raise UserError("a judge whose error rates sum to 1 or more says nothing: take another judge")
    return 1 - _mix(n, c, k, -false_negative / skill, (1 - false_negative) / skill)


def _mix(n: np.ndarray, c: np.ndarray, k: int, passing: float, failing: float) -> np.ndarray:
    """Mean over all choices of k samples of the product of `passing` for each that passed, `failing` for others."""
    n, c = _counts(n, c, k)
    among = np.arange(k + 1)
    chance = hypergeom.pmf(among, n[..., None], c[..., None], k)
    return (chance * float(passing) ** among * float(failing) ** (k - among)).sum(-1)


def _counts(n: np.ndarray, c: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    n, c = np.broadcast_arrays(np.asarray(n, float), np.asarray(c, float))
    if k < 1 or k != int(k) or (n < k).any():
        raise UserError(f"pass@{k} needs k from 1 to the number of samples of each item: {np.min(n):.0f} at the least")
    if ((c < 0) | (c > n)).any():
        raise UserError("more samples passed than were drawn, or fewer than none: check the counts")
    return n, c


def check(ks: Sequence[int], samples: int) -> None:
    """Refuse, before anything is asked, what so many samples of each item can't tell.

    Raises:
        UserError: a k is below 1 or above the number of samples.
    """
    if wrong := [k for k in ks if not 1 <= k <= samples]:
        raise UserError(f"pass@{wrong[0]} can't be had of {samples} samples of each item: take k from 1 to {samples}")


def distinct(samples: pd.DataFrame, by: list[str], text: str = "answer") -> pd.DataFrame:
    """Share of distinct texts among the samples of each item: a model that repeats itself gains nothing from more.

    Args:
        samples: one row per item and sample: `persona_id`, `prompt_id`, `by`, and `text`, missing where it failed.
        by: columns of the groups.
        text: the column whose distinct values count.

    Returns:
        As `intervals.rates`: the mean over items; `failed` are items without a text. It is 1 / n at the least.
    """
    counts = samples.groupby([*by, *ITEM], sort=False)[text].agg(["nunique", "count"])
    return rates((counts["nunique"] / counts["count"]).rename("share").reset_index(), by, "share")


def curves(
    samples: pd.DataFrame, by: list[str], ks: Sequence[int] = (1, 2, 4, 8, 16), value: str = "score"
) -> pd.DataFrame:
    """pass@k and pass^k for each group and k, with intervals clustered by persona and prompt.

    Args:
        samples: one row per item and sample: `persona_id`, `prompt_id`, `by`, and `value` 0, 1 or missing (failed).
        by: columns of the groups, such as model and condition.
        ks: how many samples are looked at.
        value: whether the sample passes.

    Returns:
        One row per group, measure and k: `by`, `measure` ('pass@k' or 'pass^k'), `k`, and the columns of
        `intervals.rates`. Items with fewer than k scored samples are `failed` for that k.

    Raises:
        UserError: no item has as many samples as the largest k, scored or not.
    """
    if samples.empty:
        raise UserError("there are no samples to draw a curve of: check the filter that made the table")
    check(ks, int(samples.groupby([*by, *ITEM]).size().max()))
    counts = _passed(samples, by, value)
    measures = {"pass@k": pass_at_k, "pass^k": pass_all_k}
    parts = [
        counts.assign(measure=name, k=k, value=_where_enough(function, counts, k))
        for name, function in measures.items()
        for k in ks
    ]
    return rates(pd.concat(parts), [*by, "measure", "k"], "value").reset_index()


def corrected(
    samples: pd.DataFrame,
    by: list[str],
    false_positive: float,
    false_negative: float = 0.0,
    ks: Sequence[int] = (1, 2, 4, 8, 16),
    value: str = "score",
) -> pd.DataFrame:
    """What pass@k would be without a judge's errors, if these were its rates; arguments as in `curves`.

    Returns:
        One row per group and k: `by`, `k`, `judged`: pass@k by the verdicts, `corrected`: without bias, a mean over
        items that for few of them can lie outside 0 to 1, `n`.
    """
    counts = _passed(samples, by, value)

    def true(n: np.ndarray, c: np.ndarray, k: int) -> np.ndarray:
        return corrected_at_k(n, c, k, false_positive, false_negative)

    parts = [
        counts.assign(k=k, judged=_where_enough(pass_at_k, counts, k), corrected=_where_enough(true, counts, k))
        for k in ks
    ]
    means = pd.concat(parts).groupby([*by, "k"], sort=False)
    return means[["judged", "corrected"]].mean().assign(n=means["judged"].count()).reset_index()


def known_truths(
    shares: Sequence[float], false_positive: float, false_negative: float = 0.0, ks: Sequence[int] = (1, 2, 4, 8, 16)
) -> pd.DataFrame:
    """What a judge would report of models of which it is known what share of their independent answers passes.

    Returns:
        One row per share and k: `share`, `k`, `true` and `reported` pass@k.
    """
    table = pd.MultiIndex.from_product([shares, ks], names=["share", "k"]).to_frame(index=False)
    seen = table["share"] * (1 - false_negative) + (1 - table["share"]) * false_positive
    return table.assign(true=1 - (1 - table["share"]) ** table["k"], reported=1 - (1 - seen) ** table["k"])


def headline(table: pd.DataFrame, texts: pd.DataFrame) -> str:
    """The finding in one sentence, whatever is missing.

    Args:
        table: as from `curves`.
        texts: as from `distinct`.
    """
    last = table[table["k"] == table["k"].max()].dropna(subset="rate")
    if last.empty:
        return f"pass@{table['k'].max()} can't be told: no item has as many samples with a verdict."
    first = table[(table["measure"] == "pass@k") & (table["k"] == table["k"].min())]["rate"]
    best, worst = (last.loc[last["measure"] == name, "rate"] for name in ("pass@k", "pass^k"))
    k, one, items = last["k"].iloc[0], table["k"].min(), last["n"].max()
    ranges = [_range(values) for values in (first, best, worst)]
    return (
        f"Over {items} items, the critic would keep {ranges[0]} of answers at k = {one}, one of {k} for {ranges[1]} of "
        f"items and all {k} for {ranges[2]}; {_range(texts['rate'])} of an item's samples are distinct."
    )


def _range(shares: pd.Series) -> str:
    """Shares of several groups as one text."""
    low, high = f"{shares.min():.0%}", f"{shares.max():.0%}"
    return low if low == high else f"{low} to {high}"


def _passed(samples: pd.DataFrame, by: list[str], value: str) -> pd.DataFrame:
    """Scored samples n and passed samples c of each item."""
    if not samples[value].dropna().isin([0, 1]).all():
        raise UserError(f"{value} of a sample must be 0, 1 or missing")
    return samples.groupby([*by, *ITEM], sort=False)[value].agg(n="count", c="sum").reset_index()


def _where_enough(function: Callable, counts: pd.DataFrame, k: int) -> np.ndarray:
    enough, values = (counts["n"] >= k).to_numpy(), np.full(len(counts), np.nan)
    values[enough] = function(counts["n"][enough], counts["c"][enough], k)
    return values
