"""Conditioning: how well does a model personalize when it is told the persona in one way or another?

Section 5 of the paper, Fig. 10. Each condition is a template.
"""

from collections.abc import Sequence
from itertools import product
from math import lcm
from typing import Any

import numpy as np
import pandas as pd
from pydantic import create_model

from .. import UserError, seeds
from ..judges import verdicts
from ..model import LanguageModel, no_twins
from ..personas import profiles
from ..prompts.words import count
from ..stats import intervals
from ..templates import Step, check, text
from ..templates import load as load_template

CONDITIONS = ("baseline", "direct", "chain_of_thought", "summary")
IN_WORDS = {  # what the writer of a condition or control knows and does, for readers who don't know the names
    "baseline": "not told who asks (baseline)",
    "direct": "told who asks (direct)",
    "chain_of_thought": "told, and reasoning first (chain of thought)",
    "summary": "told, and summarizing the person first (summary)",
    "other_persona": "told somebody else's profile (other persona)",
    "baseline_brief": "not told, in other words (baseline brief)",
}
FILLED = frozenset({"persona", "other_persona", "question", "words", "working_words"})  # variables of their templates


def use(condition: str) -> Step:
    """Return what the template of a condition may have: any fields of the reply, of which the last is the answer."""
    return Step(condition, FILLED, fields=None)


def items(
    people: pd.DataFrame,
    prompts: pd.DataFrame,
    n: int,
    seed: int,
    profile_form: profiles.Form = "list",
    profile_seed: int | None = None,
) -> pd.DataFrame:
    """Pair personas and prompts independently: each equally often (within one), and no pair twice.

    Args:
        people: personas, index `persona_id`.
        prompts: columns `prompt_id`, `prompt`, `topic`.
        n: number of pairs.
        seed: of the two permutations.
        profile_form: how personas are written: list, prose or interview.
        profile_seed: of the order of attributes; None is the paper's.

    Returns:
        n rows: `persona_id`, `profile` (the persona as text), `profile_form`, `profile_order` ('given', or 'shuffled'
        and the seed), `prompt_id`, `prompt`, `topic`. They are sorted by persona, to send requests that share a profile
        one after another.

    Raises:
        UserError: n is below 1 or above the number of different pairs.
    """
    p = len(people)
    q = len(prompts)
    if not 1 <= n <= p * q:
        raise UserError(f"cannot draw {n} persona x prompt items from {p} personas and {q} prompts: take 1 to {p * q}")
    rng = seeds.rng("items of the bench", seed)
    step = np.arange(n)
    # Both permutations advance together. After lcm(p, q) items all such pairs are used: the prompts move on by one.
    persona = rng.permutation(p)[step % p]
    prompt = rng.permutation(q)[(step + step // lcm(p, q)) % q]
    drawn = prompts[["prompt_id", "prompt", "topic"]].iloc[prompt].reset_index(drop=True)
    drawn.insert(0, "persona_id", people.index[persona])
    drawn.insert(1, "profile", drawn["persona_id"].map(profiles.texts(people, profile_form, profile_seed)))
    drawn.insert(2, "profile_form", profile_form)
    drawn.insert(3, "profile_order", profiles.order_name(profile_seed))
    return drawn.sort_values(["persona_id", "prompt_id"], ignore_index=True)


def conditioning(
    drawn: pd.DataFrame,
    writers: Sequence[LanguageModel],
    judge: LanguageModel,
    conditions: Sequence[str] = CONDITIONS,
    words: int | None = 120,
    templates: str | None = None,
    samples: int = 1,
    temperature: float = 0.0,
    probabilities: bool = False,
    working_words: int | None = None,
    critique_words: int | None = 80,
) -> pd.DataFrame:
    """Answer every item under every condition and let the critic judge each answer: two calls per item and condition.

    Args:
        judge: the model that judges.
        probabilities, critique_words: as in `judges.critic`.
        drawn, writers, conditions, words, templates, samples, temperature, working_words: as in `answered`.

    Returns:
        The rows and columns of `answered` but `answer_failure`; the columns of `judges.critic` but `judge_failure`
        (`score` is 1 if the answer needs no revision), and `failure` (why there is no score, or missing). An answer
        that failed is not judged.

    Raises:
        UserError: as in `answered`.
    """
    answers = answered(drawn, writers, conditions, words, templates, samples, temperature, working_words)
    return judged(answers, judge, templates, probabilities, critique_words)


def judged(
    answers: pd.DataFrame,
    judge: LanguageModel,
    templates: str | None = None,
    probabilities: bool = False,
    critique_words: int | None = 80,
) -> pd.DataFrame:
    """Let the critic judge each answer of a table as `answered` returns it; the rows are those of `conditioning`."""
    told = answers[answers["answer"].notna()].sort_values("persona_id", kind="stable")
    table = answers.join(verdicts.critic(judge, told, templates, critique_words, probabilities=probabilities))
    of_judge = table.pop("judge_failure").radd("critic: ")
    of_writer = table.pop("answer_failure").radd("answer: ")
    return table.assign(failure=of_writer.fillna(of_judge))


def answered(
    drawn: pd.DataFrame,
    writers: Sequence[LanguageModel],
    conditions: Sequence[str] = CONDITIONS,
    words: int | None = 120,
    templates: str | None = None,
    samples: int = 1,
    temperature: float = 0.0,
    working_words: int | None = None,
) -> pd.DataFrame:
    """Answer every item under every condition, without a judge.

    Args:
        drawn: the items, as returned by `items`. If they have a column `told`, the writer gets that profile instead
            of the whole one.
        writers: the models under test.
        conditions: templates to answer under. The last reply field of a template is the answer, the fields before it
            are its working. A condition of the user's own is one template file.
        words: length asked for of an answer; None asks for none. A longer answer is an answer.
        templates: folder with templates of the user's own.
        samples: independent answers to each item; more than one need a temperature above 0.
        temperature: of the writers; a judge's is 0.
        working_words: length asked for of the reasoning or summary before the answer; None asks for none.

    Returns:
        One row per item, condition, model and sample: the columns of `drawn`, `condition`, `model`, `sample`,
        `template` (hash), `thought` (what a reasoning model wrote before its answer, if it was told), `working`,
        `answer`, `answer_failure` (why there is no answer, or missing), `answer_key` (of the reply in the store, see
        `Reply.key`), and the words of the two texts, `working_words` and `answer_words` (missing without the text).

    Raises:
        UserError: two models have the same name, there is no condition, the template of one is not complete, one needs
            another persona and there is only one, or several samples are asked for at temperature 0.
    """
    no_twins(writers)
    if not conditions:
        raise UserError("there is no condition to answer under: name at least one template, such as direct")
    if samples > 1 and temperature <= 0:
        raise UserError(f"{samples} samples at temperature 0 would be one and the same: set a temperature above 0")
    if len(set(conditions)) < len(conditions):
        raise UserError(f"a condition is named twice among {', '.join(conditions)}: name each once")
    # Before anything is asked: are all templates complete, and is there another persona where one is shown?
    shown = [check(use(condition), templates).variables for condition in conditions]
    if any("other_persona" in variables for variables in shown):
        others(drawn)
    wanted = {"words": words, "working_words": working_words}
    parts = [
        _answer(drawn, writer, condition, wanted, templates, sample, temperature)
        for writer, condition, sample in product(writers, conditions, range(samples))
    ]
    table = pd.concat(parts, ignore_index=True)
    counts = {f"{name}_words": table[name].map(count, na_action="ignore") for name in ("working", "answer")}
    return table.assign(**counts).astype(dict.fromkeys(counts, float))


def _answer(
    drawn: pd.DataFrame,
    writer: LanguageModel,
    condition: str,
    wanted: dict[str, int | None],
    templates: str | None,
    sample: int,
    temperature: float,
) -> pd.DataFrame:
    """Return the answers to all items under one condition, one row each; `wanted` are the lengths asked for."""
    template = load_template(condition, templates)
    *before, last = template.reply
    fields: dict[str, Any] = {field: (text(wanted["working_words"]), ...) for field in before}
    fields[last] = (text(wanted["words"]), ...)
    values = pd.DataFrame({"persona": drawn.get("told", drawn["profile"]), "question": drawn["prompt"]})
    if "other_persona" in template.variables:
        values["other_persona"] = _other_profiles(drawn)
    messages = [template.messages(row | wanted) for row in values.to_dict("records")]
    step = f"answers, {condition.replace('_', ' ')}"
    schema = create_model("Answer", **fields)
    replies = writer.ask(messages, schema=schema, temperature=temperature, sample=sample, step=step)
    workings: list[str | None] = []
    answers: list[str | None] = []
    for reply in replies:
        texts: list[Any] = [getattr(reply.value, field) for field in template.reply] if reply.value else [None]
        workings.append("\n".join(texts[:-1]) or None)
        answers.append(texts[-1])
    added = {
        "condition": condition,
        "model": writer.name,
        "template": template.sha256,
        "thought": [reply.thought for reply in replies],
        "working": workings,
        "answer": answers,
        "answer_failure": [reply.failure for reply in replies],
        "answer_key": [reply.key for reply in replies],
    }
    table = pd.concat([drawn, pd.DataFrame(added, index=drawn.index, dtype="str")], axis=1)
    table.insert(table.columns.get_loc("template"), "sample", sample)
    return table


def lengths(
    results: pd.DataFrame,
    words: int | None = None,
    working_words: int | None = None,
    critique_words: int | None = None,
) -> pd.DataFrame:
    """Summarize how long the texts are, and how many are longer than asked for.

    Args:
        results: as returned by `conditioning` or `answered`.
        words, working_words, critique_words: the lengths that were asked for; None if none was.

    Returns:
        Index `model`, `condition`, `text` (answer; working and critique where there is any); `n` (texts), `failed`
        (answers that failed), `median` (words), `asked` (words; missing if no length was asked for), and of the share
        of texts that are longer `above`, `low`, `high`, `note` as in `stats.rates`.
    """
    rows = {}
    for (model, condition), part in results.groupby(["model", "condition"], sort=False):
        for name, asked in (("working", working_words), ("answer", words), ("critique", critique_words)):
            counts = part.get(f"{name}_words", pd.Series(np.nan, part.index))
            if name != "answer" and counts.isna().all():
                continue
            longer = counts.gt(asked).astype(float) if asked else counts * np.nan
            share = intervals.rate(longer.where(counts.notna()), part[intervals.ITEM])
            rows[model, condition, name] = {
                "n": int(counts.notna().sum()),
                "failed": int(part["answer"].isna().sum()),
                "median": counts.median(),
                "asked": asked or np.nan,
                "above": share["rate"],
                "low": share["low"],
                "high": share["high"],
                "note": share["note"] if asked else "no length asked",
            }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(["model", "condition", "text"])


def others(drawn: pd.DataFrame) -> pd.Series:
    """Return for each item the id of the persona whose profile `other_persona` gives: each equally often.

    Raises:
        UserError: there is only one persona.
    """
    ids = sorted(drawn["persona_id"].unique())
    if len(ids) < 2:
        raise UserError("the profile of another persona takes two personas at least: raise n_personas")
    return drawn["persona_id"].map(pd.Series(np.roll(ids, 1), ids))


def _other_profiles(drawn: pd.DataFrame) -> pd.Series:
    """Return for each item the profile of another persona."""
    return others(drawn).map(drawn.drop_duplicates("persona_id").set_index("persona_id")["profile"])
