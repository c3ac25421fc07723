"""A judge against human labels: rates corrected for its errors, its signed bias, whether it may stand in for a human.

Knows no model and no file. Used by notebook 10.
"""

import numpy as np
import pandas as pd
from scipy import stats

from .. import UserError
from ..stats.intervals import ITEM, corrected, difference, effective, rate


def error_rates(labelled: pd.DataFrame) -> dict:
    """How often a judge is right, from items that humans labelled too.

    Args:
        labelled: a row per item: `human` and `judge`, each 0, 1 or missing.

    Returns:
        `positives`, `negatives` (items by the human label), `sensitivity` (share of positives the judge passes),
        `specificity` (share of negatives it fails); missing where there are none.
    """
    pairs = labelled[["human", "judge"]].dropna()
    if not pairs.isin([0, 1]).all(axis=None):
        raise UserError("labels of human and judge must be 0, 1 or missing")
    yes, no = pairs.loc[pairs["human"] == 1, "judge"], 1 - pairs.loc[pairs["human"] == 0, "judge"]
    return {"positives": len(yes), "negatives": len(no), "sensitivity": yes.mean(), "specificity": no.mean()}


def corrected_rates(table: pd.DataFrame, labelled: pd.DataFrame, by: str, value: str = "score") -> pd.DataFrame:
    """Rates as a judge reports them, and as they would be without its errors (Rogan and Gladen 1978).

    Args:
        table: as in `intervals.rates`: the judge's verdicts.
        labelled: as in `error_rates`; with a column `by`, each group is corrected by its own labelled items.
        by: column of the groups.
        value: the verdict.

    Returns:
        Index `by`; `n`, `failed`, `rate`, `low`, `high` as in `intervals.rates`; `sensitivity`, `specificity`,
        `positives`, `negatives`; `corrected`, `corrected_low`, `corrected_high`; `bias` (reported less corrected);
        `note`. The interval is Lang and Reiczigel's (2014), the reported rate at its effective sample size: it has the
        uncertainty of the labelled items in it. No correction where the judge is no better than chance, or the labels
        are too few to say so.
    """
    rows = {}
    for group, items in table.groupby(by, sort=False, dropna=False):
        own = labelled[labelled[by].isin([group])] if by in labelled else labelled
        rows[group] = _corrected(items, error_rates(own), value)
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(by)


def _corrected(items: pd.DataFrame, errors: dict, value: str) -> dict:
    raw = rate(items[value], items[ITEM])
    row = {name: raw[name] for name in ("n", "failed", "rate", "low", "high")} | errors
    row |= dict.fromkeys(["corrected", "corrected_low", "corrected_high", "bias"], np.nan)
    if not (errors["positives"] and errors["negatives"]):
        known = (
            "labelled items of one class only" if errors["positives"] or errors["negatives"] else "no labelled items"
        )
        return row | {"note": f"{known}: no correction"}
    skill = errors["sensitivity"] + errors["specificity"] - 1
    if skill <= 0:
        return row | {"note": "the judge is no better than chance: no correction"}
    if sum(_smoothed(errors)) <= 1:
        return row | {"note": "too few labels: no correction"}
    scored = items.dropna(subset=value)
    worth = effective(scored[value].to_numpy(float), scored[ITEM], raw["rate"] * (1 - raw["rate"]))
    row["corrected"] = float(np.clip((raw["rate"] + errors["specificity"] - 1) / skill, 0, 1))
    low, high = _lang_reiczigel(raw["rate"], worth.n, worth.t, errors)
    row |= {"corrected_low": low, "corrected_high": high, "bias": raw["rate"] - row["corrected"]}
    return row | {"note": raw["note"]}


def _smoothed(errors: dict) -> tuple[float, float]:
    """Sensitivity and specificity with one labelled item more of each kind and verdict."""
    right = (errors["positives"] * errors["sensitivity"] + 1) / (errors["positives"] + 2)
    return right, (errors["negatives"] * errors["specificity"] + 1) / (errors["negatives"] + 2)


def _lang_reiczigel(share: float, n: float, t: float, errors: dict) -> tuple[float, float]:
    """Interval of a corrected share of n effective items, t wide; missing for n = 0."""
    if n == 0:
        return np.nan, np.nan
    m, m_yes, m_no = n + t**2, errors["positives"] + 2, errors["negatives"] + 2
    share = (n * share + t**2 / 2) / m
    right, wrong = _smoothed(errors)
    skill = right + wrong - 1
    true = (share + wrong - 1) / skill
    of_yes, of_no = right * (1 - right) / m_yes, wrong * (1 - wrong) / m_no
    shift = 2 * t**2 * (true * of_yes - (1 - true) * of_no)
    half = t * np.sqrt(share * (1 - share) / m + true**2 * of_yes + (1 - true) ** 2 * of_no) / skill
    return tuple(np.clip([true + shift - half, true + shift + half], 0, 1))


def signed_bias(labelled: pd.DataFrame, by: str) -> pd.DataFrame:
    """By how much a judge's rate is above or below the humans' on the same items, for each group.

    Args:
        labelled: as in `error_rates`, with `by` and, where items share them, `persona_id` and `prompt_id`.
        by: column of the groups, such as the system that answered.

    Returns:
        Index `by`; `n` (items with both labels), `failed` (items not), `bias` (judge less human), `low`, `high`, `p`,
        `p_holm`, `note` as in `intervals.paired_differences`.
    """
    error_rates(labelled)
    names = [name for name in ITEM if name in labelled]
    rows = {}
    for group, items in labelled.groupby(by, sort=False, dropna=False):
        clusters = pd.MultiIndex.from_frame(items[names]) if names else pd.RangeIndex(len(items), name="item")
        rows[group] = difference((items["judge"] - items["human"]).set_axis(clusters))
    columns = ["n", "failed", "difference", "low", "high", "p", "note"]
    table = pd.DataFrame(rows.values(), pd.Index(rows, name=by), columns).rename(columns={"difference": "bias"})
    table.insert(6, "p_holm", corrected(table["p"]))
    return table


def alternative_annotator(
    judge: pd.Series, humans: pd.DataFrame, epsilon: float = 0.2, level: float = 0.05
) -> pd.DataFrame:
    """The alternative-annotator test of Calderon et al. (2025, arXiv 2501.10970): may a judge stand in for a human?

    Each annotator is left out in turn: who agrees more with the others, the judge or the one left out?

    Args:
        judge: its label by item, or missing.
        humans: a row per item, a column per annotator, labels or missing. Two annotators will do, three are better.
        epsilon: how much worse than a human the judge may be, since it costs less (0.2 for experts, 0.15 for trained,
            0.1 for untrained annotators in the paper).
        level: share of false discoveries allowed.

    Returns:
        Index `annotator`; `n` (items with the judge, this annotator and another), `failed` (this annotator's items
        without), `judge` and `annotator`: share of items on which each agrees with the others as much as the other
        does or more; `p` that the judge isn't better than the annotator by more than -epsilon (one-sided t test; where
        all items are the same, the greatest chance that they would be), `p_by` (corrected after Benjamini and
        Yekutieli), `wins`, `note`. `winning_rate` sums it up.

    The paper advises Wilcoxon's test below 30 items. It takes differences to be symmetric, which less epsilon they are
    not: of judges just epsilon worse it lets through a third to a half at 10 to 29 items, the t test up to a tenth.
    """
    if len(humans.columns) < 2:
        raise UserError("the alternative-annotator test needs two annotators or more, to leave one out")
    if humans.index.has_duplicates or judge.index.has_duplicates:
        raise UserError("each item must be in one row of the labels: join the rows of an item first")
    judge = judge.reindex(humans.index)
    rows = {name: _left_out(judge, humans[name], humans.drop(columns=name), epsilon) for name in humans}
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("annotator")
    table.insert(5, "p_by", corrected(table["p"], "fdr_by"))
    table.insert(6, "wins", table["p_by"] < level)
    return table


def _left_out(judge: pd.Series, one: pd.Series, others: pd.DataFrame, epsilon: float) -> dict:
    known = judge.notna() & one.notna() & others.notna().any(axis=1)
    agree = [others[known].eq(labels[known], axis=0).sum(axis=1).to_numpy() for labels in (judge, one)]
    by_judge, by_one = (agree[0] >= agree[1]).astype(float), (agree[1] >= agree[0]).astype(float)
    n = int(known.sum())
    row = {"n": n, "failed": int(one.notna().sum()) - n, "judge": np.nan, "annotator": np.nan, "p": np.nan, "note": ""}
    if not n:
        return row | {"note": "no items that the judge, this annotator and another have labelled"}
    row |= {"judge": by_judge.mean(), "annotator": by_one.mean()}
    worse = by_one - by_judge - epsilon
    if np.ptp(worse) == 0:
        # Of a judge epsilon worse at most this share of items can be so: the others have to make up for them.
        chance = (1 - epsilon) / (1 - by_one[0] + by_judge[0]) if worse[0] < 0 else 1.0
        return row | {"p": chance**n, "note": "the same on all items"}
    p = float(stats.ttest_1samp(worse, 0, alternative="less").pvalue)
    return row | {"p": p, "note": "under 30 items" if n < 30 else ""}


def winning_rate(table: pd.DataFrame) -> pd.DataFrame:
    """The alternative-annotator test in one row.

    Args:
        table: as from `alternative_annotator`.

    Returns:
        `annotators` (with a test), `winning_rate` (share of them that the judge beats), `advantage` (mean chance that
        the judge is as good as an annotator or better), `passes` (winning rate of 0.5 or more).
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
