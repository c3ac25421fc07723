"""A judge against human labels: rates corrected for its errors, its signed bias, and whether it may replace a human.

Tables in, tables out: nothing here asks a model or reads a file.
"""

from typing import Any

import numpy as np
import pandas as pd
from scipy import stats
from scipy.special import betainc

from .. import UserError
from ..stats.clustering import Effective, cluster_codes, effective, worth_of
from ..stats.intervals import FEW_HOLDERS, ITEM, corrected, difference, holding_clusters, rate


def error_rates(labelled: pd.DataFrame) -> dict[str, Any]:
    """Compute how often a judge is right, from items that humans labelled too.

    Args:
        labelled: one row per item: `judge` (0, 1 or missing) and `human` (from 0 to 1, the mean of the item's labels,
            or missing).

    Returns:
        `positives`, `negatives` (items by the human label; one whose labels differ counts in both, by their shares),
        `sensitivity` (share of the positives that the judge passes), `specificity` (share of the negatives that it
        fails); each share is missing without such items.

    Raises:
        UserError: a label is something else.
    """
    pairs = labelled[["human", "judge"]].dropna()
    if not (pairs["human"].between(0, 1).all() and pairs["judge"].isin([0, 1]).all()):
        raise UserError("labels of a judge must be 0, 1 or missing, and those of humans 0 to 1 or missing")
    human, judge = pairs["human"], pairs["judge"]
    positives, negatives = human.sum(), (1 - human).sum()
    return {
        "positives": positives,
        "negatives": negatives,
        "sensitivity": human @ judge / positives if positives else np.nan,
        "specificity": (1 - human) @ (1 - judge) / negatives if negatives else np.nan,
    }


def corrected_rates(table: pd.DataFrame, labelled: pd.DataFrame, by: str, value: str = "score") -> pd.DataFrame:
    """Compute rates as a judge reports them, and corrected for its errors (Rogan and Gladen 1978).

    Args:
        table: the judge's verdicts, as in `stats.rates`.
        labelled: as in `error_rates`; with a column `by`, each group is corrected by its own labelled items.
        by: column of the groups.
        value: the verdict.

    Returns:
        Index `by`; `n`, `failed`, `rate`, `low`, `high` as in `stats.rates`; `sensitivity`, `specificity`, `positives`,
        `negatives`; `corrected`, `corrected_low`, `corrected_high`; `bias` (reported less corrected rate); `note`. The
        interval is Lang and Reiczigel's (2014), with the reported rate at its effective sample size: it includes the
        uncertainty of the labelled items. The correction is not estimable if the judge is no better than chance, or if
        too few labels show that it is better.
    """
    rows = {}
    for group, items in table.groupby(by, sort=False, dropna=False):
        own = labelled[labelled[by].isin([group])] if by in labelled else labelled
        rows[group] = _corrected(items, error_rates(own), value)
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(by)


def _corrected(items: pd.DataFrame, errors: dict[str, Any], value: str) -> dict[str, Any]:
    """Return one row of `corrected_rates` from a group's verdicts and the judge's error rates."""
    raw = rate(items[value], items[ITEM])
    reported = raw["rate"]
    row = {name: raw[name] for name in ("n", "failed", "rate", "low", "high")} | errors
    row |= dict.fromkeys(["corrected", "corrected_low", "corrected_high", "bias"], np.nan)
    if not (errors["positives"] or errors["negatives"]):
        return row | {"note": "no labelled items: no correction"}
    if not (errors["positives"] and errors["negatives"]):
        return row | {"note": "labelled items of one class only: no correction"}
    youden = errors["sensitivity"] + errors["specificity"] - 1
    if youden <= 0:
        return row | {"note": "the judge is no better than chance: no correction"}
    if sum(_smoothed(errors)) <= 1:
        return row | {"note": "too few labels: no correction"}
    scored = items.dropna(subset=value)
    worth = effective(scored[value].to_numpy(float), scored[ITEM], reported * (1 - reported))
    low, high = _lang_reiczigel(reported, worth.n, worth.t, errors)
    row["corrected"] = float(np.clip((reported + errors["specificity"] - 1) / youden, 0, 1))
    row["corrected_low"] = low
    row["corrected_high"] = high
    row["bias"] = reported - row["corrected"]
    return row | {"note": raw["note"]}


def _smoothed(errors: dict[str, Any]) -> tuple[float, float]:
    """Return sensitivity and specificity with one more labelled item of each kind and verdict."""
    sensitivity = (errors["positives"] * errors["sensitivity"] + 1) / (errors["positives"] + 2)
    specificity = (errors["negatives"] * errors["specificity"] + 1) / (errors["negatives"] + 2)
    return sensitivity, specificity


def _lang_reiczigel(share: float, n: float, t: float, errors: dict[str, Any]) -> tuple[float, float]:
    """Return the interval of a corrected share (Lang and Reiczigel 2014), missing for n = 0.

    Args:
        share: the reported share.
        n: its effective sample size.
        t: half the width of the interval in standard errors.
        errors: as returned by `error_rates`.
    """
    if n == 0:
        return np.nan, np.nan
    m = n + t**2
    share = (n * share + t**2 / 2) / m
    sensitivity, specificity = _smoothed(errors)
    youden = sensitivity + specificity - 1
    true = (share + specificity - 1) / youden
    var_sensitivity = sensitivity * (1 - sensitivity) / (errors["positives"] + 2)
    var_specificity = specificity * (1 - specificity) / (errors["negatives"] + 2)
    shift = 2 * t**2 * (true * var_sensitivity - (1 - true) * var_specificity)
    variance = share * (1 - share) / m + true**2 * var_sensitivity + (1 - true) ** 2 * var_specificity
    half = t * np.sqrt(variance) / youden
    low, high = np.clip([true + shift - half, true + shift + half], 0, 1)
    return low, high


def signed_bias(labelled: pd.DataFrame, by: str) -> pd.DataFrame:
    """Compute in each group how far a judge's rate is above or below the humans' on the same items.

    Args:
        labelled: as in `error_rates`, with `by` and, where items share them, `persona_id` and `prompt_id`.
        by: column of the groups, such as the system that answered.

    Returns:
        Index `by`; `n` (items with both labels), `failed` (the other items), `bias` (judge less human), `low`, `high`,
        `p`, `p_holm`, `note` as in `stats.paired_differences`.
    """
    error_rates(labelled)  # for its check of the labels
    shared = [name for name in ITEM if name in labelled]
    rows = {}
    for group, items in labelled.groupby(by, sort=False, dropna=False):
        clusters = pd.MultiIndex.from_frame(items[shared]) if shared else pd.RangeIndex(len(items), name="item")
        rows[group] = difference((items["judge"] - items["human"]).set_axis(clusters))
    columns = ["n", "failed", "difference", "low", "high", "p", "note"]
    table = pd.DataFrame(rows.values(), pd.Index(rows, name=by), columns).rename(columns={"difference": "bias"})
    table.insert(table.columns.get_loc("note"), "p_holm", corrected(table["p"]))
    return table


def alternative_annotator(
    judge: pd.Series, humans: pd.DataFrame, epsilon: float = 0.2, level: float = 0.05
) -> pd.DataFrame:
    """Test whether a judge may replace a human annotator: the test of Calderon et al. (2025, arXiv 2501.10970).

    Each annotator is left out in turn: who agrees more with the remaining annotators, the judge or the one left out?

    Args:
        judge: its label by item, or missing. Levels `persona_id` and `prompt_id` of its index are the items' clusters,
            each if items share its values; without them, items are independent.
        humans: items x annotators: labels or missing. Two annotators are enough, three are better.
        epsilon: how much worse than a human the judge may be, since it costs less (0.2 for experts, 0.15 for trained,
            0.1 for untrained annotators in the paper); from 0, below 1.
        level: share of false discoveries allowed.

    Returns:
        Index `annotator`, and

        - `n`: items labelled by the judge, this annotator and another one; `failed`: this annotator's other items;
        - `judge`: share of the n items where the judge agrees with the others at least as much as this annotator does;
        - `annotator`: the same share for this annotator against the judge (a tie counts in both shares);
        - `epsilon`: as given;
        - `p` of the hypothesis that the annotator's share exceeds the judge's by epsilon or more: a one-sided t test at
          the two-way clustered effective sample size of `stats.effective`, with the variance that the hypothesis
          implies (Tango 1998, Stat. Med. 17:891) where it is the larger one; where the judge alone is never right, not
          below the binomial probability of so few items where the annotator alone is. Of clustered items, Student's t
          has as few degrees of freedom as there are clusters that hold items which one of the two wins;
        - `p_by`: corrected over annotators after Benjamini and Yekutieli;
        - `wins`: `p_by` is below `level`, so the judge beats this annotator;
        - `note`: empty, or why there is no test or what to mind.

    `winning_rate` sums the table up. The paper takes items as independent: where they share personas, a judge exactly
    epsilon worse would then win against more annotators than `level` says. It advises Wilcoxon's test below 30 items.
    That test takes the differences to be symmetric, which they are not after epsilon is subtracted.

    Raises:
        UserError: there are fewer than two annotators, an item has several rows, or epsilon is none.
    """
    if not 0 <= epsilon < 1:
        raise UserError(f"epsilon is {epsilon}: it is a difference of shares, from 0 to below 1")
    if len(humans.columns) < 2:
        raise UserError("the alternative-annotator test needs two annotators or more, to leave one out")
    if humans.index.has_duplicates or judge.index.has_duplicates:
        raise UserError("each item must be in one row of the labels: join the rows of an item first")
    judge = judge.reindex(humans.index)
    rows = {name: left_out(judge, humans[name], humans.drop(columns=name), epsilon) for name in humans}
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("annotator")
    table.insert(table.columns.get_loc("p"), "epsilon", epsilon)
    p_by = corrected(table["p"], "fdr_by")
    table.insert(table.columns.get_loc("note"), "p_by", p_by)
    table.insert(table.columns.get_loc("note"), "wins", p_by < level)
    return table


def left_out(judge: pd.Series, one: pd.Series, others: pd.DataFrame, epsilon: float) -> dict[str, Any]:
    """Return the row of `alternative_annotator` for one annotator, uncorrected: `n` to `p`, and `note`.

    Args:
        judge, one: labels by item, or missing, on one index.
        others: items x the other annotators.
        epsilon: as in `alternative_annotator`.
    """
    known = (judge.notna() & one.notna() & others.notna().any(axis=1)).to_numpy()
    n = int(known.sum())
    row = {"n": n, "failed": int(one.notna().sum()) - n, "judge": np.nan, "annotator": np.nan, "p": np.nan, "note": ""}
    if not n:
        return row | {"note": "no items that the judge, this annotator and another have labelled"}
    # By item, the number of other annotators whose label is the judge's, and that of those whose label is `one`'s.
    told, *both = (table.to_numpy(object, copy=True, na_value=np.nan)[known] for table in (others, judge, one))
    same_as_judge, same_as_one = ((told == own[:, None]).sum(axis=1) for own in both)
    by_judge = (same_as_judge >= same_as_one).astype(float)
    by_one = (same_as_one >= same_as_judge).astype(float)
    row |= {"judge": by_judge.mean(), "annotator": by_one.mean()}
    lost = by_one - by_judge  # items: 1 where the annotator alone agrees best with the others, -1 where the judge does
    labels = judge.index[known].to_frame(index=False)
    shared = [name for name in ITEM if name in labels and 1 < labels[name].nunique() < n]
    codes = cluster_codes(labels[shared])
    worth = worth_of(lost, codes, lost.var(), floor=1.0)
    if not worth.n:
        return row | {"note": worth.note.replace("interval", "test")}
    if np.ptp(lost) == 0:
        note = f"the same on all items, which count as {worth.n:.0f}"
    elif shared and worth.note:
        note = worth.note
    else:
        note = "under 30 items" if n < 30 else ""
    if shared and np.ptp(lost) > 0:  # the variance is known as badly as those clusters are few that are won or lost
        clusters = max(holding_clusters(np.abs(lost), codes), FEW_HOLDERS)
        worth = worth._replace(df=min(worth.df, clusters - 1))
    return row | {"p": _p_worse(lost, worth, epsilon), "note": note}


def _p_worse(lost: np.ndarray, worth: Effective, epsilon: float) -> float:
    """Return the p-value of the hypothesis that E[D] is epsilon or more.

    Args:
        lost: D, the annotator's agreement less the judge's: 1, 0 or -1 by item.
        worth: what the items are worth.
        epsilon: as in `alternative_annotator`.
    """
    b, c, mean = (lost == 1).mean(), (lost == -1).mean(), lost.mean()
    # The share of -1 that is the likeliest if E[D] = epsilon, and the variance of D there (Tango 1998, section 2).
    linear = (2 - b + c) * epsilon - b - c
    share = (np.sqrt(linear**2 + 8 * c * epsilon * (1 - epsilon)) - linear) / 4
    variance = max(2 * share + epsilon - epsilon**2, lost.var())
    if not variance:  # epsilon is 0 and both are always the same
        return 1.0
    p = float(stats.t.cdf((mean - epsilon) / np.sqrt(variance / worth.n), worth.df))
    if lost.min() < 0 or mean == 1:
        return p
    # D is 0 or 1: P(X <= x) of a binomial X, with n and x as many as items are worth, is exact.
    x = mean * worth.n
    return max(p, float(betainc(worth.n - x, x + 1, 1 - epsilon)))


def winning_rate(table: pd.DataFrame) -> pd.DataFrame:
    """Sum up the alternative-annotator test in one row.

    Args:
        table: as returned by `alternative_annotator`.

    Returns:
        `annotators` (annotators with a test), `winning_rate` (share of them that the judge beats, missing without a
        test), `advantage` (mean over them of the column `judge`: the chance that the judge is as good as an annotator
        or better), `passes` (the winning rate is 0.5 or more; False without a test).
    """
    tested = table.dropna(subset="p")
    share = tested["wins"].mean() if len(tested) else np.nan
    row = {
        "annotators": len(tested),
        "winning_rate": share,
        "advantage": tested["judge"].mean(),
        "passes": share >= 0.5,
    }
    return pd.DataFrame([row])
