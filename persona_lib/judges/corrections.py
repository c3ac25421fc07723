"""Rates as people would give them, from a judge's verdicts on all answers and human labels of some of these.

Tables in, tables out: nothing here asks a model or reads a file. Labels of other answers than the judged ones correct a
judge by `calibration.corrected_rates`.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from .. import UserError
from ..stats import wording
from ..stats.clustering import Effective, cluster_codes, effective, worth_of
from ..stats.intervals import ITEM, bonett_price, corrected, rate, share_interval
from .calibration import error_rates

LEAST = 10  # labels of the rarer kind; with fewer, they do not tell how labels follow verdicts
BOTH, ALONE = "judge and labels", "labels alone"


def human_rates(table: pd.DataFrame, by: str | list[str]) -> pd.DataFrame:
    """Estimate in each group the rate that people would give, from all verdicts of a judge and the labels of some.

    Args:
        table: one row per item: `persona_id`, `prompt_id`, `by`, `judge` (0, 1 or missing) and `human` (from 0 to 1,
            the mean of the item's labels, or missing), as returned by `labels.beside`. The labelled items must be a
            random part of all.
        by: column or columns of the groups.

    Returns:
        Index `by`; `n`, `failed`, `rate`, `low`, `high`, `rate_note` of the judge's verdicts as in `stats.rates`;
        `sensitivity`, `specificity`, `positives`, `negatives` as in `calibration.error_rates`; `labelled` (items);
        `corrected`, `corrected_low`, `corrected_high`: the humans' rate; `bias`: the judge's rate less the humans';
        `method`: 'judge and labels', 'labels alone' (fewer than LEAST items of one kind, or the labels or the judge's
        verdicts on them are all the same), or empty; `note`.

        With a judge it is the difference estimator, which regresses labels on verdicts (Cochran 1977, chapters 7 and
        12; PPI++, Angelopoulos et al. 2023, arXiv 2311.01453). Its variance is clustered by persona and prompt. If all
        items are labelled, rate and interval are those of the labels.

    Raises:
        UserError: a label is something else.
    """
    rows = {group: _row(items) for group, items in table.groupby(by, sort=False, dropna=False)}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(by)


def contributions(table: pd.DataFrame, by: str) -> pd.DataFrame:
    """Return what each item contributes to the humans' rate of its group; see `contrasts.at_equal_length`.

    Args:
        table, by: as in `human_rates`.

    Returns:
        The rows of `table` as `persona_id`, `prompt_id`, `by` and `score`, whose mean in a group is `corrected`.
    """
    scores = pd.Series(np.nan, table.index)
    for _, items in table.groupby(by, sort=False, dropna=False):
        used = items.dropna(subset="human")
        if _method(items) == BOTH:
            used = _used(items)
            theta, psi = _influence(used["human"].to_numpy(float), used["judge"].to_numpy(float))
            scores[used.index] = theta + psi
        else:
            scores[used.index] = used["human"]
    return table[[*ITEM, by]].assign(score=scores)


def human_differences(table: pd.DataFrame, pairs: Sequence[tuple[str, str]], by: str = "condition") -> pd.DataFrame:
    """Estimate how far the rates that people would give differ between pairs of groups that have the same items.

    Args:
        table: as in `human_rates`; each item at most once per group.
        pairs: which groups to compare, each a minuend and a subtrahend.
        by: column of the groups.

    Returns:
        One row per pair: `minuend`, `subtrahend`, `n` (labelled items of the group that has fewer of them),
        `difference` of the rates of `human_rates`, `low`, `high`, `p`, `p_holm` (corrected over all rows), `note`.

        Each rate is the mean of its items' `contributions`. The difference is that of an item's two contributions, in
        the two-way clustered variance, so the same items help a comparison as far as they do. The interval is Bonett
        and Price's, as in `stats.paired_differences`: with all items labelled, both tables are equal.

    Raises:
        UserError: a pair names no group.
    """
    known = set(table[by])
    if unknown := [group for pair in pairs for group in pair if group not in known]:
        raise UserError(f"{by} has no group {unknown[0]!r}: take one of {', '.join(map(str, table[by].unique()))}")
    table = table.reset_index(drop=True)
    wide = contributions(table, by).pivot(index=ITEM, columns=by, values="score")
    labelled = table.pivot(index=ITEM, columns=by, values="human").notna() & wide.notna()
    rows = [
        {"minuend": first, "subtrahend": second} | _difference(wide[[first, second]], labelled[[first, second]])
        for first, second in pairs
    ]
    columns = ["minuend", "subtrahend", "n", "difference", "low", "high", "p", "note"]
    found = pd.DataFrame(rows, columns=columns)
    found.insert(7, "p_holm", corrected(found["p"]))
    return found


def _difference(scores: pd.DataFrame, labelled: pd.DataFrame) -> dict[str, Any]:
    """Return a row of `human_differences` from `n` on; both arguments are items x the two groups."""
    means = scores.mean()
    row = {"n": labelled.sum().min(), "difference": means.iloc[0] - means.iloc[1], "p": np.nan}
    if means.isna().any():
        return row | {"low": np.nan, "high": np.nan, "note": "no labelled items: no correction"}
    used = scores[scores.notna().any(axis=1)]
    known = labelled.loc[used.index].any(axis=1).to_numpy()
    weights = len(used) / scores.notna().sum()  # what an item counts in its group's mean, times the number of items
    of_group = (used - means).fillna(0.0) * weights
    x = (of_group.iloc[:, 0] - of_group.iloc[:, 1]).to_numpy()
    clusters = used.index.to_frame(index=False)
    worth = effective(x, clusters, x.var(), floor=1.0)
    own = effective(x[known], clusters[known], x[known].var(), floor=1.0)
    if not (worth.n and own.n):
        return row | {"low": np.nan, "high": np.nan, "note": worth.note or own.note}
    # Bonett and Price add two items to those that are labelled. On their scale a single difference varies less.
    share = row["n"] / len(used)
    worth = Effective(worth.n * share, min(worth.df, own.df), own.note)
    return row | bonett_price(row["difference"], x.var() * share, worth) | {"note": worth.note}


def said(row: pd.Series, critic: str) -> str:
    """Return the rate that people would give as text, the judge's own beside it; empty without labels.

    Args:
        row: of `human_rates`.
        critic: name of the judge.
    """
    if pd.isna(row["corrected"]):
        return ""
    people = wording.share(row["corrected"], row["corrected_low"], row["corrected_high"], row["labelled"], row["note"])
    own = wording.share(row["rate"], row["low"], row["high"], row["n"], row["rate_note"])
    source = "labels alone" if row["method"] == ALONE else f"labels and all verdicts of {critic}"
    return f"people would keep {people} of the answers, by {source}; {critic} itself keeps {own}"


def listed(table: pd.DataFrame, critic: str) -> str:
    """Return the rates that people would give in a sentence; empty without labels.

    Args:
        table: as returned by `human_rates`.
        critic: name of the judge.
    """
    known = table.dropna(subset="corrected")
    if known.empty:
        return ""
    rates = known[["corrected", "corrected_low", "corrected_high", "labelled", "note"]]
    rates = rates.set_axis(["rate", "low", "high", "n", "note"], axis=1)
    with_judge = known["method"].eq(BOTH)
    source = f"their labels and all verdicts of {critic}" if with_judge.all() else "their labels alone"
    if with_judge.any() and not with_judge.all():
        source = f"their labels and, where there are enough of them, all verdicts of {critic}"
    return f"By {source}, people would keep: {wording.listed(rates)}."


def _method(items: pd.DataFrame) -> str:
    """Return how a group's rate is estimated."""
    if items["human"].notna().sum() == 0:
        return ""
    both = items.dropna(subset=["human", "judge"])
    few = min(both["human"].sum(), (1 - both["human"]).sum()) < LEAST
    return ALONE if few or both[["judge", "human"]].nunique().min() < 2 else BOTH


def _used(items: pd.DataFrame) -> pd.DataFrame:
    """Return the items with a verdict or a label; a labelled one without a verdict has the mean of all verdicts.

    Where a judge fails people may judge otherwise than elsewhere, so these labels must count. The mean tells nothing of
    the item and moves no estimate.
    """
    known = items[items[["judge", "human"]].notna().any(axis=1)]
    return known.assign(judge=known["judge"].fillna(known["judge"].mean()))


def _row(items: pd.DataFrame) -> dict[str, Any]:
    """Return one row of `human_rates`."""
    raw = rate(items["judge"], items[ITEM])
    row = {name: raw[name] for name in ("n", "failed", "rate", "low", "high")} | {"rate_note": raw["note"]}
    row |= error_rates(items)
    labels = items["human"].dropna()
    row |= {"labelled": len(labels), "corrected": np.nan, "corrected_low": np.nan, "corrected_high": np.nan}
    row |= {"bias": np.nan, "method": "", "note": "no labelled items: no correction"}
    method = _method(items)
    if not method:
        return row
    if method == ALONE:
        own = rate(labels, items.loc[labels.index, ITEM])
        found = own["rate"], own["low"], own["high"], own["note"]
    else:
        used = _used(items)
        found = _difference_estimate(used["human"].to_numpy(float), used["judge"].to_numpy(float), used[ITEM])
    row |= dict(zip(["corrected", "corrected_low", "corrected_high", "note"], found, strict=True))
    return row | {"bias": row["rate"] - row["corrected"], "method": method}


def _difference_estimate(y: np.ndarray, f: np.ndarray, clusters: pd.DataFrame) -> tuple[float, float, float, str]:
    """Return the difference estimate of the mean of y, the ends of its interval, and a note.

    Args:
        y: array (n,) of labels, some missing.
        f: array (n,) of verdicts.
        clusters: labels of the items' clusters.
    """
    known = ~np.isnan(y)
    theta, psi = _influence(y, f)
    codes = cluster_codes(clusters)
    worth = worth_of(psi, codes, psi.var(), floor=1.0)
    own = effective(y[known], clusters[known], y[known].var(), floor=1.0)
    if not (worth.n and own.n):
        return theta, np.nan, np.nan, worth.note or own.note
    variance = psi.var() / worth.n
    worth = Effective(theta * (1 - theta) / variance, min(worth.df, own.df), own.note)
    return theta, *share_interval(theta, len(y), worth, y[known], [code[known] for code in codes])


def _influence(y: np.ndarray, f: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the difference estimate of the mean of y, and each item's influence on it, n times; both as above."""
    known = ~np.isnan(y)
    weight = np.cov(y[known], f[known])[0, 1] / f[known].var(ddof=1)  # lambda of PPI++
    rest = y[known] - weight * f[known]
    psi = weight * (f - f.mean())
    psi[known] += len(y) / known.sum() * (rest - rest.mean())
    return float(np.clip(weight * f.mean() + rest.mean(), 0, 1)), psi
