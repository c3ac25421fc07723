"""Answers of methods to prompts, adapted to each person: their texts, their length, refusals, and what they cost."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
import pandas as pd

from ... import UserError, stats
from ...prompts.words import count
from ...stats.intervals import ITEM
from ..cases import Case, Readied, cases
from ..costs import Meter
from ..method import Method, reason, title
from ..method import told as read
from ..person import Person
from ..trial import adapted, asked, told_of
from . import scores

REFUSED = ("refusal", "stopped by a content filter")  # how the failures of refused answers begin (`model.replies`)
ANSWERS = ("persona_id", "prompt_id", "method", "answer", "failure")
COSTS = ("method", "people", "answers", "calls", "tokens")


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
        one row per method, columns COSTS: `calls` and `tokens` per person, counted as in `costs.table`.
    """
    chosen = {c.persona_id: c for c in cases(readied, readied.setting.ks, 1) if c.persona_id in set(people)}
    rows, costs = [], []
    for method in methods:
        name, meter = title(type(method)), Meter(method.model)
        before = meter.read()
        known = told_of(readied.world, method, list(people))
        of_case = partial(_answered, method, known, asked(readied, method), prompts, candidates)
        for person, done in zip(people, meter.each(of_case, [chosen[person] for person in people]), strict=True):
            said = zip(prompts["prompt_id"], done.value or (), strict=True)
            rows += [(person, prompt, name, *one) for prompt, one in said]
        costs.append((name, len(people), len(people) * len(prompts), *(meter.read() - before) / len(people)))
    table = pd.DataFrame(rows, columns=list(ANSWERS)).astype({"answer": "str", "failure": "str"})
    return table, pd.DataFrame(costs, columns=list(COSTS))


def _answered(
    method: Method,
    known: pd.DataFrame,
    person: Callable[[Case], Person | None],
    prompts: pd.DataFrame,
    candidates: Mapping[str, np.ndarray],
    case: Case,
) -> list[tuple[str | None, str | None]]:
    """Return a method's answers for one person, each as text and None, or None and why it is missing."""
    own = [candidates.get(name, np.empty(0, dtype=object)) for name in prompts["prompt_id"]]
    try:
        one = adapted(method, case, known, person(case))
        return read(one.answer(prompts["prompt"].to_numpy(object), own), len(prompts))
    except UserError:
        raise
    except (Exception, SystemExit) as error:
        return [(None, f"failed: {reason(error)}")] * len(prompts)


def effects(written: pd.DataFrame) -> pd.DataFrame:
    """Return the length of each method's answers, and how many were refused.

    Refusals are those that the endpoint marks, or a filter of contents; a text that refuses in words counts as an
    answer.

    Args:
        written: of `answers`.

    Returns:
        Index `method`; `n` (answers), `failed`, `words` (mean over people), `words_low`, `words_high`, `refused` (share
        of all that was asked), `refused_low`, `refused_high`, `note` (on refusals).
    """
    rows = {}
    for method, own in written.groupby("method", sort=False):
        length = own.dropna(subset="answer").assign(words=lambda t: t["answer"].map(count).astype(float))
        gone = own["failure"].str.startswith(REFUSED).fillna(False).astype(float)
        share = stats.rate(gone, own[ITEM])
        words = scores.mean(length, "words", "words", np.inf)
        rows[method] = {"n": len(length), "failed": len(own) - len(length), "words": words["words"]} | {
            "words_low": words["low"], "words_high": words["high"],
            "refused": share["rate"], "refused_low": share["low"], "refused_high": share["high"], "note": share["note"]
        }  # fmt: skip
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("method")
