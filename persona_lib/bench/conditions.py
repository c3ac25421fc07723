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
from ..templates import bounded
from ..templates import load as load_template

CONDITIONS = ("baseline", "direct", "chain_of_thought", "summary")
# Controls to compare conditions with: another persona's profile, and the baseline in other words.
CONTROLS = ("other_persona", "baseline_brief", "baseline_plain")


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
    words: int = 60,
    templates: str | None = None,
    samples: int = 1,
    temperature: float = 0.0,
    probabilities: bool = False,
) -> pd.DataFrame:
    """Answer every item under every condition and let the critic judge each answer: two calls per item and condition.

    Args:
        drawn: the items, as returned by `items`. If they have a column `told`, the writer gets that profile instead
            of the whole one; the judge always gets the whole one.
        writers: the models under test.
        judge: the model that judges.
        conditions: templates to answer under. The last reply field of a template is the answer, the fields before it
            are its working. A condition of the user's own is one template file.
        words: length asked for, of the answer and of the working before it.
        templates: folder with templates of the user's own.
        samples: independent answers to each item; more than one need a temperature above 0.
        temperature: of the writers; the judge's is 0.
        probabilities: ask for the probabilities of the verdicts, as in `judges.critic`.

    Returns:
        One row per item, condition, model and sample: the columns of `drawn`, `condition`, `model`, `sample`,
        `template` (hash), `working`, `answer`, the columns of `judges.critic` (`score` is 1 if the answer needs no
        revision), and `failure` (why there is no score, or missing). An answer that failed is not judged.

    Raises:
        UserError: two models have the same name, a condition needs another persona and there is only one, or several
            samples are asked for at temperature 0.
    """
    no_twins(writers)
    if samples > 1 and temperature <= 0:
        raise UserError(f"{samples} samples at temperature 0 would be one and the same: set a temperature above 0")
    parts = [
        _answer(drawn, writer, condition, words, templates, sample, temperature)
        for writer, condition, sample in product(writers, conditions, range(samples))
    ]
    answers = pd.concat(parts, ignore_index=True)
    answered = answers[answers["answer"].notna()].sort_values("persona_id", kind="stable")
    judged = verdicts.critic(judge, answered, templates=templates, probabilities=probabilities)
    table = answers.join(judged)
    of_judge = table.pop("judge_failure").radd("critic: ")
    of_writer = table.pop("answer_failure").radd("answer: ")
    return table.assign(failure=of_writer.fillna(of_judge))


def _answer(
    drawn: pd.DataFrame,
    writer: LanguageModel,
    condition: str,
    words: int,
    templates: str | None,
    sample: int,
    temperature: float,
) -> pd.DataFrame:
    """Return the answers to all items under one condition, one row each."""
    template = load_template(condition, templates)
    fields: dict[str, Any] = {field: (bounded(words), ...) for field in template.reply}
    schema = create_model("Answer", **fields)
    values = pd.DataFrame({"persona": drawn.get("told", drawn["profile"]), "question": drawn["prompt"], "words": words})
    if "other_persona" in template.variables:
        values["other_persona"] = _other_profiles(drawn)
    messages = [template.messages(row) for row in values.to_dict("records")]
    step = f"answers, {condition.replace('_', ' ')}"
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
        "working": workings,
        "answer": answers,
        "answer_failure": [reply.failure for reply in replies],
    }
    table = pd.concat([drawn, pd.DataFrame(added, index=drawn.index, dtype="str")], axis=1)
    table.insert(table.columns.get_loc("template"), "sample", sample)
    return table


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
