"""Answers of methods to prompts, adapted to each person: their texts, their length, refusals, and what they cost."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from .. import UserError, stats
from ..prompts.words import count
from ..stats.intervals import ITEM
from .cases import Readied, cases
from .method import Method, reason, title
from .method import told as read
from .trial import told_of

REFUSED = ("refusal", "stopped by a content filter")  # how the failures of refused answers begin (`model.reply`)
ANSWERS = ("persona_id", "prompt_id", "method", "answer", "failure")
COSTS = ("method", "people", "answers", "calls", "cached", "tokens_in", "tokens_out")


def answers(
    readied: Readied,
    methods: Sequence[Method],
    people: Sequence[str],
    prompts: pd.DataFrame,
    candidates: Mapping[str, np.ndarray],
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Let methods, adapted to each person, answer prompts.

    Args:
        readied: the world, its contexts, and k (`cases.ready`).
        methods: as the trial has fitted them.
        people: ids of tested people who have k choices.
        prompts: `prompt_id`, `prompt`.
        candidates: texts by `prompt_id`, for methods that pick.

    Returns:
        Answers: one row per method, person and prompt, columns ANSWERS; `answer` is missing with `failure`. And costs:
        one row per method, columns COSTS: `calls`, `cached` (those of them that the store had), `tokens_in` and
        `tokens_out`, each per person. Tokens are those of calls that were made, scaled to all; missing without any.
    """
    chosen = {c.persona_id: c for c in cases(readied, readied.setting.ks, 1) if c.persona_id in set(people)}
    rows, costs = [], []
    for method in methods:
        name, before = title(type(method)), _used(method)
        known = told_of(readied.world, method, list(people))
        for person in people:
            said = _answered(method, chosen[person].context, known.loc[person], prompts, candidates)
            rows += [(person, prompt, name, *one) for prompt, one in zip(prompts["prompt_id"], said, strict=True)]
        more = {key: after - before[key] for key, after in _used(method).items()}
        costs.append(
            {"method": name, "people": len(people), "answers": len(people) * len(prompts)} | _each(more, len(people))
        )
    table = pd.DataFrame(rows, columns=list(ANSWERS)).astype({"answer": "str", "failure": "str"})
    return table, pd.DataFrame(costs, columns=list(COSTS))


def _answered(
    method: Method, context: pd.DataFrame, known: pd.Series, prompts: pd.DataFrame, candidates: Mapping[str, np.ndarray]
) -> list[tuple[str | None, str | None]]:
    """Return a method's answers for one person, each as text and None, or None and why it is missing."""
    try:
        one = method.copy()
        one.adapt(context if "history" in method.sees else context.iloc[:0], known)
        own = [candidates.get(name, np.empty(0, dtype=object)) for name in prompts["prompt_id"]]
        return read(one.answer(prompts["prompt"].to_numpy(object), own), len(prompts))
    except UserError:
        raise
    except (Exception, SystemExit) as error:
        return [(None, f"failed: {reason(error)}")] * len(prompts)


def _used(method: Method) -> dict[str, float]:
    """Return what a method's model has used so far: zeros without a model, missing of one that does not count."""
    none = 0.0 if method.model is None else np.nan
    usage = getattr(method.model, "usage", {})
    return {key: usage.get(key, none) for key in ("calls", "cached", "tokens_in", "tokens_out")}


def _each(used: Mapping[str, float], people: int) -> dict[str, float]:
    """Return calls and tokens per person from those of all people."""
    calls, made = used["calls"] + used["cached"], used["calls"]
    scale = calls / made if made else np.nan if calls else 0.0
    tokens = {key: used[key] * scale / people for key in ("tokens_in", "tokens_out")}
    return {"calls": calls / people, "cached": used["cached"] / people} | tokens


def effects(written: pd.DataFrame) -> pd.DataFrame:
    """Return the length of each method's answers, and how many were refused.

    Refusals are those that the endpoint marks, or a filter of contents; a text that refuses in words counts as an
    answer.

    Args:
        written: of `answers`.

    Returns:
        Index `method`; `n` (answers), `failed`, `words` (mean), `words_low`, `words_high`, `refused` (share of all that
        was asked), `refused_low`, `refused_high`, `note` (on refusals).
    """
    rows = {}
    for method, own in written.groupby("method", sort=False):
        length = own.dropna(subset="answer").assign(words=lambda t: t["answer"].map(count).astype(float))
        gone = own["failure"].str.startswith(REFUSED).fillna(False).astype(float)
        share = stats.rate(gone, own[ITEM])
        rows[method] = {"n": len(length), "failed": len(own) - len(length)} | _mean_words(length) | {
            "refused": share["rate"], "refused_low": share["low"], "refused_high": share["high"], "note": share["note"]
        }  # fmt: skip
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("method")


def _mean_words(length: pd.DataFrame) -> dict[str, float]:
    """Return the mean number of words with its interval, clustered by person and prompt."""
    words = length["words"].to_numpy(float)
    mean, spread = (words.mean(), words.var()) if len(words) else (np.nan, 0.0)
    worth = stats.effective(words, length[ITEM], spread)
    error = worth.t * np.sqrt(spread / worth.n) if worth.n else np.nan
    return {"words": mean, "words_low": max(mean - error, 0.0), "words_high": mean + error}
