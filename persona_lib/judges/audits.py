"""Audits of the judges: how far a verdict depends on what should not matter, and what that does to a ranking.

Position, length, the judge's own writing, chance, and the form of the profile. Every audit is of verdicts that were
given anyway, or of the same question put once more. Used by 10_judges.
"""

from collections.abc import Sequence

import pandas as pd

from .. import UserError, personas
from ..model import Model
from ..stats import intervals
from .verdicts import critic, prefer, won

ITEM = intervals.ITEM
FIRST_ONLY, TIES, BOTH = "first order only", "both orders, a flip is a tie", "both orders, mean probability"


def position(judged: pd.DataFrame, by: str = "judge") -> pd.DataFrame:
    """How often the answer shown first wins, and how often the order alone decides.

    Args:
        judged: rows of `judging.prefer` with `prompt_id`.
        by: column of the groups.

    Returns:
        Index `by` and `measure` ('the first wins', chance a half, a tie in one order being half a win; 'the order
        decides'); columns of `intervals.rates`.
    """
    first = (won(judged["p_first"]) + 1 - won(judged["p_second"])) / 2
    parts = [
        judged[[*ITEM, by]].assign(measure="the first wins", score=first),
        judged[[*ITEM, by]].assign(measure="the order decides", score=judged["flip"].astype("Float64").astype(float)),
    ]
    return intervals.rates(pd.concat(parts, ignore_index=True), by=[by, "measure"])


def orders(judged: pd.DataFrame, by: str) -> pd.DataFrame:
    """The share that prefers the chosen answer, counted in three ways, and the rank of each group by each.

    Args:
        judged: rows of `judging.prefer` with `prompt_id`.
        by: column of the groups that are ranked, such as the generator.

    Returns:
        Index `by`, columns (way of counting, `n` / `failed` / `rate` / `low` / `high` / `rank`): the first order alone,
        as a benchmark that asks once would have it; both orders with a flip as a tie of a half; both by mean
        probability. A tie, in one order or of the mean, is a half there.
    """
    straight, swapped, mean = (won(judged[name]) for name in ("p_first", "p_second", "p_chosen"))
    ways = {FIRST_ONLY: straight, TIES: (straight + swapped) / 2, BOTH: mean}
    tables = {}
    for way, score in ways.items():
        rates = intervals.rates(judged[[*ITEM, by]].assign(score=score), by=by)
        rates = rates[["n", "failed", "rate", "low", "high"]]
        tables[way] = rates.assign(rank=rates["rate"].rank(ascending=False, method="min"))
    return pd.concat(tables, axis=1)


def self_preference(scored: pd.DataFrame) -> pd.DataFrame:
    """Whether judges score their own writing higher than the other judges do.

    Args:
        scored: one row per item, judge and writer: `persona_id`, `prompt_id`, `judge`, `model` (the writer), `score`.

    Returns:
        Index judges that also write; columns `own` (their mean score of their own answers that another judge scored
        too), `others` (the other judges' of the same answers), and of their paired difference `n`, `failed`,
        `difference`, `low`, `high`, `p`, `p_holm` (corrected for all judges), `note`, as in
        `intervals.paired_differences`.

    Raises:
        UserError: no judge writes, or there is only one judge.
    """
    both = [judge for judge in scored["judge"].unique() if judge in set(scored["model"])]
    if not both or scored["judge"].nunique() < 2:
        raise UserError("self-preference takes two judges or more, one of whom also writes: name more models")
    rows = {}
    for judge in both:
        written = scored[scored["model"] == judge]
        own = written[written["judge"] == judge].set_index(ITEM)["score"]
        others = written[written["judge"] != judge].groupby(ITEM)["score"].mean().reindex(own.index)
        twice = own.notna() & others.notna()
        rows[judge] = {"own": own[twice].mean(), "others": others[twice].mean()} | intervals.difference(own - others)
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("judge")
    table.insert(table.columns.get_loc("note"), "p_holm", intervals.corrected(table["p"]))
    return table


def matrix(scored: pd.DataFrame) -> pd.DataFrame:
    """Mean score of each writer (column) by each judge (row); items scored by all are not asked for."""
    return scored.pivot_table(index="judge", columns="model", values="score", aggfunc="mean")


def repeated(judge: Model, answers: pd.DataFrame, times: int = 3, temperature: float = 1.0, **settings) -> pd.DataFrame:
    """Put the same answers to the critic several times.

    Args:
        judge: the critic.
        answers: as in `judging.critic`, with `persona_id` and `prompt_id`.
        times: how often, the first time at temperature 0 as in a run; once only leaves nothing to compare.
        temperature: of the other times.
        settings: `templates` and `probabilities` of `judging.critic`.

    Returns:
        One row per answer: `persona_id`, `prompt_id`, `first` (its score the first time), `mean` (of the others),
        `score` (how often the others agree with the first, 0 to 1, missing where there is nothing to compare).
    """
    runs = [
        critic(judge, answers, sample=k, temperature=temperature if k else 0, **settings)["score"] for k in range(times)
    ]
    again = pd.concat(runs[1:], axis=1) if len(runs) > 1 else pd.DataFrame(index=answers.index)
    same = again.eq(runs[0], axis=0).where(again.notna()).mean(axis=1).where(runs[0].notna())
    return answers[ITEM].assign(first=runs[0], mean=again.mean(axis=1), score=same.astype(float))


def forms(
    judge: Model,
    pairs: pd.DataFrame,
    people: pd.DataFrame,
    kinds: Sequence[tuple[str, int | None]],
    templates: str | None = None,
) -> pd.DataFrame:
    """Let the judge choose with the profile written in several forms and orders of attributes.

    Args:
        judge: the model that plays the persona.
        pairs: as in `judging.prefer`, with `prompt_id`; their `profile` is written anew.
        people: personas, index `persona_id`.
        kinds: form and seed of the order of attributes (None: as given), as in `personas.describe`.
        templates: folder with a `prefer.txt` of the user's own.

    Returns:
        The rows of `judging.prefer` for each kind, with `prompt_id`, `form` (form, and the seed where there is one) and
        `score` (1 where the chosen answer is preferred, 0, missing).
    """
    parts = []
    for form, seed in kinds:
        profiles = {i: personas.describe(people.loc[i], form, seed) for i in pairs["persona_id"].unique()}
        told = pairs.assign(profile=pairs["persona_id"].map(profiles))
        judged = prefer(judge, told, templates, f"choices, profile as {form}")
        name = form if seed is None else f"{form}, order {seed}"
        score = judged["choice"].map({"chosen": 1.0, "rejected": 0.0}).astype(float)
        parts.append(judged.assign(prompt_id=pairs["prompt_id"], form=name, score=score))
    return pd.concat(parts, ignore_index=True)


def padded(pairs: pd.DataFrame, filler: str) -> pd.DataFrame:
    """Pairs of each base answer against itself with a filler that says nothing: a judge should not prefer it."""
    return pairs.assign(chosen=pairs["rejected"] + " " + filler, pair_id=pairs["pair_id"] + "|padded")
