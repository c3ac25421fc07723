"""Conditions ranked by a judge that chooses as the persona would; what audits change in a ranking, and what noise."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from .. import UserError, seeds
from ..model import LanguageModel
from ..prompts.words import count
from ..stats import intervals
from ..stats.clustering import FEW
from .verdicts import SAME, prefer, scored

ITEM = intervals.ITEM
_KEYS = [*ITEM, "model"]
NO_ANSWER = "no answer on one side"
RUNS = 1000  # resampled runs
CLEAR = 0.95  # share of resampled runs that reverse a pair, from which on noise is an unlikely reason
FEW_NOTE = f"fewer than {FEW} personas or prompts: noise is unknown"
Ways = Mapping[str, pd.DataFrame]  # by name, scores as in `standings`


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


def without_own(scored: pd.DataFrame) -> Ways:
    """Return the scores of writers by all judges, and by the judges other than the writer, as ways of ranking them.

    Args:
        scored: as in `audits.self_preference`.

    Returns:
        'all judges' and 'judges but itself': `persona_id`, `prompt_id`, `model` (the writer), `judge`, `score`. Each
        writer's mean is the mean of the judges' mean scores, so a judge that scored fewer answers weighs as much.
    """
    return {"all judges": _alike(scored), "judges but itself": _alike(scored[scored["judge"] != scored["model"]])}


def _alike(scored: pd.DataFrame) -> pd.DataFrame:
    """Return scores whose mean by writer is the mean of the judges' means; see `contrasts.at_equal_length`."""
    known = scored[[*ITEM, "model", "judge", "score"]].dropna(subset="score").astype({"score": float})
    by_judge = known.groupby(["model", "judge"])["score"]
    means = by_judge.mean().groupby("model").agg(["mean", "size"]).reindex(known["model"]).set_axis(known.index)
    weight = known.groupby("model")["score"].transform("size") / (means["size"] * by_judge.transform("size"))
    return known.assign(score=means["mean"] + weight * (known["score"] - by_judge.transform("mean")))


def standings(ways: Ways, by: str = "condition") -> pd.DataFrame:
    """Rank the same groups in several ways, the first of which is the reference.

    Args:
        ways: by name, the scores that rank the groups: `persona_id`, `prompt_id`, `by`, `score`. A group's rate is the
            mean of its scores; a group without one has no rank.
        by: column of the groups.

    Returns:
        One row per way and group of the reference: `reference` (name of the first way), `way`, `group`, `rate`, `rank`
        (1 is best, equal rates share the better rank, missing without a rate).
    """
    reference, first = next(iter(ways.items()))
    groups = first[by].unique()
    parts = []
    for way, items in ways.items():
        rates = items.groupby(by)["score"].mean().astype(float).reindex(groups).round(9)
        rank = rates.rank(ascending=False, method="min")
        parts.append(
            pd.DataFrame({"way": way, "group": groups.astype("str"), "rate": rates.values, "rank": rank.values})
        )
    table = pd.concat(parts, ignore_index=True)
    table.insert(0, "reference", reference)
    return table


def reversals(ways: Ways, by: str = "condition", seed: int = 0) -> pd.DataFrame:
    """Count the pairs of groups whose order changes from the reference ranking to each other one, and how far by noise.

    Two groups that are equal in truth change their order by noise alone, in up to half of all runs. So RUNS runs are
    drawn, with replacement, from the personas and from the prompts of this one (Owen 2007); each is ranked in all ways.

    Args:
        ways, by: as in `standings`.
        seed: of the resampled runs.

    Returns:
        One row per other way: `reference`, `way`, `pairs` (of groups that have a rate in both), `reversed` (the other
        group is ahead), `tied` (ahead in one ranking, equal in the other), `leader` (the best group of that way,
        several if they tie); `resampled` (share of the pairs that are reversed in a resampled run), `by_chance` (share
        of the pairs whose order differs between two resampled runs of the reference alone: both are drawn around this
        run's differences, so groups that are equal in truth show less than the half of their pairs that noise turns),
        `clear` (pairs that are reversed in at least CLEAR of the resampled runs); `note`. The last three are missing
        with fewer than FEW personas or prompts.
    """
    table = standings(ways, by)
    reference, *others = ways
    rates = table.pivot(index="group", columns="way", values="rate")  # groups x ways
    rates = rates.reindex(table["group"].unique()).reindex(columns=list(ways))
    drawn = _resampled(ways, by, seed)
    rows = []
    for way in others:
        row = {"reference": reference, "way": way, **_order(rates[reference], rates[way])}
        noise = _noise(drawn[reference], drawn[way], row["note"]) if drawn else {"note": row["note"] or FEW_NOTE}
        rows.append(row | noise)
    columns = ["reference", "way", "pairs", "reversed", "tied", "leader", "resampled", "by_chance", "clear", "note"]
    return pd.DataFrame(rows, columns=columns)


def _order(one: pd.Series, other: pd.Series) -> dict[str, Any]:
    """Return the observed part of a row of `reversals` from the rates of both rankings, by group."""
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


def _noise(one: np.ndarray, other: np.ndarray, note: str) -> dict[str, Any]:
    """Return the part of a row of `reversals` that tells noise.

    Args:
        one, other: arrays (runs, groups) of rates in resampled runs.
        note: why there is no pair, or empty.
    """
    before = _signs(one)  # runs x pairs, as the next
    after = _signs(other)
    known = ~np.isnan(before) & ~np.isnan(after)
    seen = known.any(axis=0)
    if note or not seen.any():
        return {"resampled": np.nan, "by_chance": np.nan, "clear": np.nan}
    runs = known.sum(axis=0)[seen]
    turned = (before * after < 0).sum(axis=0)[seen] / runs  # by pair
    up, down = ((known & (sign * before > 0)).sum(axis=0)[seen] / runs for sign in (1, -1))
    return {"resampled": turned.mean(), "by_chance": (2 * up * down).mean(), "clear": int((turned >= CLEAR).sum())}


def _resampled(ways: Ways, by: str, seed: int) -> dict[str, np.ndarray]:
    """Return for each way the rates in resampled runs, an array (runs, groups); nothing if clusters are too few."""
    every = pd.concat([items[ITEM] for items in ways.values()])
    labels = [pd.Index(every[name].unique()) for name in ITEM]
    if min(map(len, labels)) < FEW:
        return {}
    rng = seeds.rng("runs resampled", seed)
    times = [rng.multinomial(len(own), np.full(len(own), 1 / len(own)), RUNS) for own in labels]  # runs x clusters
    groups = next(iter(ways.values()))[by].unique()
    drawn = {}
    for way, items in ways.items():
        rates = np.full((RUNS, len(groups)), np.nan)
        for i, group in enumerate(groups):
            own = items[items[by] == group].dropna(subset="score")
            codes = [of.get_indexer(own[name]) for of, name in zip(labels, ITEM, strict=True)]
            weights = times[0][:, codes[0]] * times[1][:, codes[1]]  # runs x items
            total = weights.sum(axis=1)
            rates[total > 0, i] = (weights @ own["score"].to_numpy(float))[total > 0] / total[total > 0]
        drawn[way] = rates.round(9)
    return drawn


def _signs(rates: np.ndarray) -> np.ndarray:
    """Return for each pair of groups, the last axis, the sign of the first group's rate less the second group's."""
    one, other = np.triu_indices(rates.shape[-1], 1)
    return np.sign(rates[..., one] - rates[..., other])


def said(turned: pd.DataFrame) -> str:
    """Return rows of `reversals` in a clause: how many pairs of groups are reversed, and how many by noise."""
    pairs = int(turned["pairs"].sum())
    text = f"audits reverse {int(turned['reversed'].sum())} of {pairs} pairwise rankings"
    known = turned.dropna(subset="resampled")
    if known.empty:
        return f"{text} (fewer than {FEW} people or questions: what noise alone reverses is unknown)"
    chance, turn = (np.average(known[name], weights=known["pairs"]) for name in ("by_chance", "resampled"))
    return (
        f"{text}, {int(known['clear'].sum())} of them in at least {CLEAR:.0%} of resampled runs (a resampled run "
        f"reverses {turn:.0%} of pairs; judged alike, two resampled runs differ in {chance:.0%}, and two runs of equal "
        "conditions in half)"
    )
