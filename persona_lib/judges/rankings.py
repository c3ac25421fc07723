"""Conditions ranked by a judge that chooses as the persona would, and what an audit changes in a ranking."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from .. import UserError
from ..model import LanguageModel
from ..prompts.words import count
from ..stats import intervals
from .verdicts import SAME, prefer, scored

ITEM = intervals.ITEM
_KEYS = [*ITEM, "model"]
NO_ANSWER = "no answer on one side"


def pairs(results: pd.DataFrame, against: str = "baseline") -> pd.DataFrame:
    """Pair each answer with the same writer's answer under a reference condition.

    Args:
        results: as returned by `bench.conditioning`, one sample each.
        against: the reference condition.

    Returns:
        One row per item, other condition and model: `pair_id`, `persona_id`, `prompt_id`, `model`, `condition`,
        `profile`, `prompt`, `chosen` (the condition's answer), `rejected` (the reference's answer). An answer that
        failed is missing.

    Raises:
        UserError: nothing was answered under the reference condition, or under no other.
    """
    reference = results[results["condition"] == against].set_index(_KEYS)["answer"].rename("rejected")
    table = results[results["condition"] != against].rename(columns={"answer": "chosen"})
    if reference.empty or table.empty:
        raise UserError(f"conditions are ranked by their answers against {against!r}: ask for it and for another")
    table = table.join(reference, on=_KEYS)
    table["pair_id"] = table[[*_KEYS, "condition"]].agg("|".join, axis=1)
    return table[["pair_id", *_KEYS, "condition", "profile", "prompt", "chosen", "rejected"]].reset_index(drop=True)


def choose(
    judge: LanguageModel, pairs: pd.DataFrame, templates: str | None = None, step: str = "preferences"
) -> pd.DataFrame:
    """Let a judge choose in each pair of two different answers as the persona would, in both orders.

    Args:
        judge, templates, step: as in `judges.prefer`.
        pairs: as returned by `pairs`.

    Returns:
        The index of `pairs`; the columns of `judges.prefer`, `prompt_id`, `model`, `condition`, `longer` (words of the
        chosen answer less the rejected one's) and `score`: 1 if the condition's answer is preferred, 0 if not, 0.5 on a
        tie, missing without a choice, with the reason in `failure`.
    """
    one_sided = pairs["chosen"].isna() | pairs["rejected"].isna()
    same_text = pairs["chosen"] == pairs["rejected"]
    reason = np.select([one_sided, same_text], [NO_ANSWER, SAME], "")
    not_asked = pd.Series(reason, pairs.index).replace("", None)
    judged = prefer(judge, pairs[not_asked.isna()], templates, step).drop(columns=["persona_id", "pair_id"])
    score = scored(judged["choice"])
    tied = judged["choice"].isna() & judged["p_chosen"].notna()
    words = {side: pairs[side].map(count, na_action="ignore").astype(float) for side in ("chosen", "rejected")}
    table = pairs[["pair_id", *_KEYS, "condition"]].join(judged)
    table["longer"] = words["chosen"] - words["rejected"]
    table["score"] = score.mask(tied, 0.5).reindex(pairs.index)
    return table.assign(judge=judge.name, failure=table["failure"].fillna(not_asked))


def changes(told: pd.DataFrame, by: str = "form") -> pd.DataFrame:
    """Compute how often a choice changes when only something irrelevant changes.

    Args:
        told: as returned by `audits.forms`: the same pairs in each group.
        by: column of the groups; the first to appear is the reference.

    Returns:
        Index `by`, without the reference; columns of `stats.rates`, of the choices that differ from the reference's. A
        pair with a choice in only one of the two groups counts as `failed`.
    """
    choices = told.pivot(index="pair_id", columns=by, values="score")  # pairs x groups
    groups = list(told[by].unique())
    items = told.drop_duplicates("pair_id").set_index("pair_id")[ITEM]
    parts = []
    for group in groups[1:]:
        reference = groups[0]
        in_both = choices[[reference, group]].notna().all(axis=1)
        changed = choices[reference].ne(choices[group]).astype(float).where(in_both)
        parts.append(items.assign(score=changed, **{by: group}))
    if not parts:
        return pd.DataFrame(columns=["n", "failed", "rate", "low", "high", "note"]).rename_axis(by)
    return intervals.rates(pd.concat(parts, ignore_index=True), by=by)


def without_own(scored: pd.DataFrame) -> pd.DataFrame:
    """Compute each writer's mean score by all judges, and by the judges other than the writer.

    Args:
        scored: as in `audits.self_preference`.

    Returns:
        Index `model` (the writer); `all judges` and `judges but itself`, the mean of the judges' mean scores, missing
        without such a judge.
    """
    by_judge = scored.groupby(["model", "judge"])["score"].mean().reset_index()
    others = by_judge[by_judge["model"] != by_judge["judge"]]
    parts = {"all judges": by_judge, "judges but itself": others}
    means = {way: part.groupby("model")["score"].mean() for way, part in parts.items()}
    return pd.DataFrame(means, index=scored["model"].unique()).rename_axis("model")


def standings(ways: Mapping[str, pd.Series]) -> pd.DataFrame:
    """Rank the same groups in several ways, the first of which is the reference.

    Args:
        ways: by name, the rates by group; a missing group or rate has no rank.

    Returns:
        One row per way and group of the reference: `reference` (name of the first way), `way`, `group`, `rate`, `rank`
        (1 is best, equal rates share the better rank, missing without a rate).
    """
    reference, first = next(iter(ways.items()))
    parts = []
    for way, rates in ways.items():
        rates = rates.astype(float).reindex(first.index)
        rank = rates.round(9).rank(ascending=False, method="min")
        parts.append(
            pd.DataFrame({"way": way, "group": first.index.astype("str"), "rate": rates.values, "rank": rank.values})
        )
    table = pd.concat(parts, ignore_index=True)
    table.insert(0, "reference", reference)
    return table


def reversals(table: pd.DataFrame) -> pd.DataFrame:
    """Count the pairs of groups whose order changes from the reference ranking to each other one.

    Args:
        table: as returned by `standings`, or several of them together.

    Returns:
        One row per reference and other way: `reference`, `way`, `pairs` (of groups that have a rate in both),
        `reversed` (the other group is ahead), `tied` (ahead in one ranking, equal in the other), `leader` (the best
        group of that way, several if they tie), `note`.
    """
    rows = []
    for reference, own in table.groupby("reference", sort=False):
        rates = own.pivot(index="group", columns="way", values="rate")  # groups x ways
        rates = rates.reindex(own["group"].unique()).round(9)
        for way in own["way"].unique():
            if way != reference:
                rows.append({"reference": reference, "way": way, **_order(rates[reference], rates[way])})
    return pd.DataFrame(rows, columns=["reference", "way", "pairs", "reversed", "tied", "leader", "note"])


def _order(one: pd.Series, other: pd.Series) -> dict[str, Any]:
    """Return one row of `reversals` from the rates of both rankings, by group."""
    known = one.notna() & other.notna()
    before = _signs(one[known].to_numpy())
    after = _signs(other[known].to_numpy())
    leaders = other.index[(other == other.max()).to_numpy()]
    return {
        "pairs": len(before),
        "reversed": int((before * after < 0).sum()),
        "tied": int(((before == 0) != (after == 0)).sum()),
        "leader": ", ".join(leaders),
        "note": "" if len(before) else "fewer than two groups have a rate in both",
    }


def _signs(rates: np.ndarray) -> np.ndarray:
    """Return for each unordered pair of groups the sign of the first group's rate less the second group's."""
    signs = np.sign(np.subtract.outer(rates, rates))  # groups x groups
    return signs[np.triu_indices(len(rates), 1)]
