"""Estimate pass@k (does one of k answers pass?) and pass^k (do all?), without bias, from n samples per item.

Figure 12 of the paper. What a judge's errors do to it: `judged`.
"""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from .. import UserError
from . import wording
from .intervals import ITEM, rates


def pass_at_k(n: ArrayLike, c: ArrayLike, k: int) -> np.ndarray:
    """Return the probability that one of k samples passes, 1 - C(n-c, k) / C(n, k) (Chen et al. 2021).

    Args:
        n: samples of each item.
        c: samples that passed, for each item.
        k: samples looked at.

    Raises:
        UserError: k is below 1 or above a number of samples, or c is outside 0 to n.
    """
    return 1 - pass_all_k(n, np.asarray(n) - np.asarray(c), k)


def pass_all_k(n: ArrayLike, c: ArrayLike, k: int) -> np.ndarray:
    """Return the probability that all of k samples pass (pass^k), C(c, k) / C(n, k).

    Arguments and errors are those of `pass_at_k`.
    """
    samples, kept = shared(n, c, k)
    drawn = np.arange(k)
    # Items x k: the share of passing samples among those left at each draw.
    left = (kept[..., None] - drawn) / (samples[..., None] - drawn)
    return left.clip(min=0).prod(-1)


def shared(n: ArrayLike, c: ArrayLike, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return n and c as arrays of one shape. Raise UserError for impossible counts."""
    samples, kept = np.broadcast_arrays(np.asarray(n, float), np.asarray(c, float))
    if k < 1 or k != int(k) or (samples < k).any():
        fewest = f"{np.min(samples):.0f}"
        raise UserError(f"pass@{k} needs k from 1 to the smallest number of samples of an item: {fewest}")
    if ((kept < 0) | (kept > samples)).any():
        raise UserError("the number of samples that passed must lie between 0 and the number drawn: check the counts")
    return samples, kept


def check(ks: Sequence[int], samples: int) -> None:
    """Check, before any model is asked, that so many samples per item suffice for each k.

    Raises:
        UserError: a k is below 1 or above the number of samples.
    """
    if wrong := [k for k in ks if not 1 <= k <= samples]:
        raise UserError(f"pass@{wrong[0]} is not estimable from {samples} samples per item: take k from 1 to {samples}")


def distinct(samples: pd.DataFrame, by: list[str], text: str = "answer") -> pd.DataFrame:
    """Return the share of distinct texts among the samples of each item: a model that repeats itself gains nothing.

    Args:
        samples: one row per item and sample: `persona_id`, `prompt_id`, `by`, and `text`, missing if it failed.
        by: columns of the groups.
        text: the column whose distinct values count.

    Returns:
        As `intervals.rates`: the mean over items, at least 1 / n; `failed` are items without a text.
    """
    counts = samples.groupby([*by, *ITEM], sort=False)[text].agg(["nunique", "count"])
    shares = (counts["nunique"] / counts["count"]).rename("share")
    return rates(shares.reset_index(), by, "share")


def curves(
    samples: pd.DataFrame, by: list[str], ks: Sequence[int] = (1, 2, 4, 8, 16), value: str = "score"
) -> pd.DataFrame:
    """Return pass@k and pass^k for each group and k, with intervals clustered by persona and prompt.

    Args:
        samples: one row per item and sample: `persona_id`, `prompt_id`, `by`, and `value`: 0, 1, or missing if
            unscored.
        by: columns of the groups, such as model and condition.
        ks: numbers of samples looked at.
        value: whether the sample passes.

    Returns:
        One row per group, measure and k: `by`, `measure` ('pass@k' or 'pass^k'), `k`, and the columns of
        `intervals.rates`. Items with fewer than k scored samples are `failed` for that k.

    Raises:
        UserError: the table is empty, or no item has as many samples, scored or not, as the largest k.
    """
    if samples.empty:
        raise UserError("there are no samples to draw a curve of: check the filter that made the table")
    check(ks, int(samples.groupby([*by, *ITEM]).size().max()))
    counts = counted(samples, by, value)
    measures = {"pass@k": pass_at_k, "pass^k": pass_all_k}
    parts = [
        counts.assign(measure=name, k=k, value=where_enough(function, counts, k))
        for name, function in measures.items()
        for k in ks
    ]
    return rates(pd.concat(parts), [*by, "measure", "k"], "value").reset_index()


def headline(
    samples: pd.DataFrame,
    texts: pd.DataFrame,
    ks: Sequence[int],
    critic: str = "the critic",
    value: str = "score",
) -> str:
    """Return the finding in a sentence per group, also if parts are missing; its shares are of the same items.

    Those are the items with as many scored samples as the largest k that at least half of a group's items reach.

    Args:
        samples: as in `curves`.
        texts: result of `distinct`, by the groups.
        ks: numbers of samples looked at.
        critic: name of the judge.
        value: as in `curves`.
    """
    by = list(texts.index.names)
    counts = counted(samples, by, value)
    said = []
    for group, own in counts.groupby(by, sort=False):
        name = ", ".join(str(part).replace("_", " ") for part in group)
        row = texts.loc[[group if len(by) > 1 else group[0]]].iloc[0]
        distinct_ = wording.of_rate(row)
        said.append(f"{name}: {_of_group(own, by, ks, critic)}; {distinct_} of an item's samples are distinct.")
    return " ".join(said) or "There are no samples."


def _of_group(items: pd.DataFrame, by: list[str], ks: Sequence[int], critic: str) -> str:
    """Return what pass@k and pass^k of one group's items say.

    Args:
        items: a row per item, as `counted` returns them.
        by: columns of the group.
        ks: numbers of samples looked at.
        critic: name of the judge.
    """
    reached = [k for k in ks if (items["n"] >= k).mean() >= 0.5]
    if not reached:
        enough = (items["n"] >= min(ks)).sum()
        return f"pass@{min(ks)} is not estimable, as {enough} of {len(items)} items have so many verdicts"
    least, most = min(reached), max(reached)
    same = items[items["n"] >= most]
    parts = [
        same.assign(part=part, value=function(same["n"], same["c"], k))
        for part, (function, k) in enumerate([(pass_at_k, least), (pass_at_k, most), (pass_all_k, most)])
    ]
    table = rates(pd.concat(parts), "part", "value")
    one, any_, all_ = (wording.of_rate(row) for _, row in table.iterrows())
    of = "" if len(same) == len(items) else f" of {len(items)}, those with {most} verdicts or more"
    noun = "item" if len(same) == 1 else "items"
    text = f"over {len(same)} {noun}{of}, {critic} would keep {one} of answers at k = {least}"
    text += f", at least one of {most} for {any_} of items and all {most} for {all_}" if most > least else ""
    beyond = [f"{(items['n'] >= k).sum()} at k = {k}" for k in ks if k > most]
    return text + (f" (fewer than half of the items have more verdicts: {', '.join(beyond)})" if beyond else "")


def counted(samples: pd.DataFrame, by: list[str], value: str) -> pd.DataFrame:
    """Return a row per item: scored samples n and passed samples c."""
    if not samples[value].dropna().isin([0, 1]).all():
        raise UserError(f"{value} of a sample must be 0, 1 or missing")
    return samples.groupby([*by, *ITEM], sort=False)[value].agg(n="count", c="sum").reset_index()


def where_enough(function: Callable, counts: pd.DataFrame, k: int) -> np.ndarray:
    """Return the function's value for each item with k scored samples, and missing for the other items."""
    enough = (counts["n"] >= k).to_numpy()
    values = np.full(len(counts), np.nan)
    values[enough] = function(counts["n"][enough], counts["c"][enough], k)
    return values
