"""Conditions ranked by a judge in the persona's shoes, and what an audit does to the ranking. Used by 10_judges."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from .. import UserError
from ..model import Model
from ..stats import intervals
from .verdicts import SAME, prefer

ITEM = intervals.ITEM
_KEYS = [*ITEM, "model"]
NO_ANSWER = "no answer on one side"


def pairs(results: pd.DataFrame, against: str = "baseline") -> pd.DataFrame:
    """Put each answer against the same writer's answer under another condition.

    Args:
        results: as from `bench.conditioning`, one sample each.
        against: the condition that all others are held against.

    Returns:
        One row per item, condition and model: `pair_id`, `persona_id`, `prompt_id`, `model`, `condition`, `profile`,
        `prompt`, `chosen` (the condition's answer), `rejected` (the answer `against`); either is missing where it
        failed.

    Raises:
        UserError: nothing was answered under that condition, or under no other.
    """
    base = results[results["condition"] == against].set_index(_KEYS)["answer"].rename("rejected")
    table = results[results["condition"] != against].rename(columns={"answer": "chosen"})
    if base.empty or table.empty:
        raise UserError(f"conditions are ranked by their answers against {against!r}: ask for it and for another")
    table = table.join(base, on=_KEYS)
    table["pair_id"] = table[[*_KEYS, "condition"]].agg("|".join, axis=1)
    return table[["pair_id", *_KEYS, "condition", "profile", "prompt", "chosen", "rejected"]].reset_index(drop=True)


def choose(judge: Model, pairs: pd.DataFrame, templates: str | None = None, step: str = "preferences") -> pd.DataFrame:
    """Let a judge choose within all pairs of two different answers, in the persona's shoes and in both orders.

    Args:
        judge, templates, step: as in `judging.prefer`.
        pairs: as from `pairs`.

    Returns:
        The index of `pairs`; the columns of `judging.prefer`, `prompt_id`, `model`, `condition`, `longer` (words of
        the chosen answer less the rejected one's) and `score` (1 where the condition's answer is preferred, 0, a half
        on a tie, missing where there is no choice, for the reason in `failure`).
    """
    one_sided = pairs["chosen"].isna() | pairs["rejected"].isna()
    why = pd.Series(np.select([one_sided, pairs["chosen"] == pairs["rejected"]], [NO_ANSWER, SAME], ""))
    why = why.set_axis(pairs.index).replace("", None)
    judged = prefer(judge, pairs[why.isna()], templates, step).drop(columns=["persona_id", "pair_id"])
    table = pairs[["pair_id", *_KEYS, "condition"]].join(judged)
    words = {name: pairs[name].str.count(r"\S+").astype(float) for name in ("chosen", "rejected")}
    score = judged["choice"].map({"chosen": 1.0, "rejected": 0.0}).astype(float)
    score = score.mask(judged["choice"].isna() & judged["p_chosen"].notna(), 0.5)
    table = table.assign(longer=words["chosen"] - words["rejected"], score=score.reindex(pairs.index))
    return table.assign(judge=judge.name, failure=table["failure"].fillna(why))


def changes(told: pd.DataFrame, by: str = "form") -> pd.DataFrame:
    """How often a choice is another one when only what should not matter has changed.

    Args:
        told: as from `audits.forms`: the same pairs in each group.
        by: column of the groups; the first in order of appearance is what the others are held against.

    Returns:
        Index `by`, all groups but the first; columns of `intervals.rates`, of the choices that changed. A pair with a
        choice in only one of the two counts as `failed`.
    """
    choices = told.pivot(index="pair_id", columns=by, values="score")
    first, *rest = told[by].unique()
    known = told.drop_duplicates("pair_id").set_index("pair_id")[ITEM]
    parts = []
    for group in rest:
        both = choices[[first, group]].notna().all(axis=1)
        changed = choices[first].ne(choices[group]).astype(float).where(both)
        parts.append(known.assign(score=changed, **{by: group}))
    return intervals.rates(pd.concat(parts, ignore_index=True), by=by) if parts else _no_rates(by)


def _no_rates(by: str) -> pd.DataFrame:
    return pd.DataFrame(columns=["n", "failed", "rate", "low", "high", "note"]).rename_axis(by)


def without_own(scored: pd.DataFrame) -> pd.DataFrame:
    """Each writer's mean score by all judges, and by those that are not the writer.

    Args:
        scored: as in `audits.self_preference`.

    Returns:
        Index `model`; `all judges` and `judges but itself`, each judge counted alike; missing where there is none.
    """
    by_judge = scored.groupby(["model", "judge"])["score"].mean().reset_index()
    others = by_judge[by_judge["model"] != by_judge["judge"]]
    parts = {"all judges": by_judge, "judges but itself": others}
    means = {way: part.groupby("model")["score"].mean() for way, part in parts.items()}
    return pd.DataFrame(means, index=scored["model"].unique()).rename_axis("model")


def standings(ways: Mapping[str, pd.Series]) -> pd.DataFrame:
    """Groups ranked in several ways, the first of which the others are held against.

    Args:
        ways: by name, the rates by group; a group or rate that is missing has no rank.

    Returns:
        One row per way and group of the first: `reference` (the first way), `way`, `group`, `rate`, `rank` (1 is best,
        equal rates share the better rank; missing without a rate).
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
    """How many pairs of groups change their order from the first way of ranking to each other one.

    Args:
        table: as from `standings`, or several of them together.

    Returns:
        One row per reference and other way: `reference`, `way`, `pairs` (of groups that both rank), `reversed` (the
        other one is ahead), `tied` (ahead in one, equal in the other), `leader` (of that way), `note`.
    """
    rows = []
    for reference, own in table.groupby("reference", sort=False):
        wide = own.pivot(index="group", columns="way", values="rate").reindex(own["group"].unique()).round(9)
        for way in own["way"].unique():
            if way != reference:
                rows.append({"reference": reference, "way": way, **_order(wide[reference], wide[way])})
    return pd.DataFrame(rows, columns=["reference", "way", "pairs", "reversed", "tied", "leader", "note"])


def _order(one: pd.Series, other: pd.Series) -> dict:
    known = one.notna() & other.notna()
    signs = [np.sign(np.subtract.outer(r[known].to_numpy(), r[known].to_numpy())) for r in (one, other)]
    upper = np.triu_indices(int(known.sum()), 1)
    a, b = (s[upper] for s in signs)
    leader = ", ".join(other.index[(other == other.max()).to_numpy()])
    note = "" if len(a) else "fewer than two groups have a rate in both"
    counts = {"pairs": len(a), "reversed": int((a * b < 0).sum()), "tied": int(((a == 0) != (b == 0)).sum())}
    return counts | {"leader": leader, "note": note}
