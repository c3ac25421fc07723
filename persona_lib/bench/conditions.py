"""PERSONA Bench: how well does a model personalize, given a persona in one way or another? Section 5 of the paper.

So far: conditioning (Fig. 10). Used by 06_conditioning.
"""

from collections.abc import Sequence
from math import lcm

import numpy as np
import pandas as pd
from pydantic import create_model

from .. import UserError, seeds
from ..judges import verdicts
from ..model import Model, no_twins
from ..personas import profiles
from ..templates import bounded
from ..templates import load as load_template

CONDITIONS = ("baseline", "direct", "chain_of_thought", "summary")
# What a condition is worth is seen against these: a random other persona's profile, the baseline in other words.
CONTROLS = ("other_persona", "baseline_brief", "baseline_plain")


def items(
    people: pd.DataFrame,
    prompts: pd.DataFrame,
    n: int,
    seed: int,
    profile_form: profiles.Form = "list",
    profile_seed: int | None = None,
) -> pd.DataFrame:
    """Pair personas and prompts independently: each as often as any other (give or take one), no pair twice.

    Args:
        people: personas, index `persona_id`.
        prompts: columns `prompt_id`, `prompt`, `topic`.
        n: number of pairs.
        seed: of the two permutations.
        profile_form: how personas are written: list, prose or interview.
        profile_seed: of the order of attributes; None is the paper's.

    Returns:
        n rows sorted by persona, so that requests that share a profile follow each other: `persona_id`, `profile` (the
        persona as text), `profile_form`, `profile_order` ('given', or 'shuffled' and the seed), `prompt_id`, `prompt`,
        `topic`.

    Raises:
        UserError: n is below 1 or above the number of different pairs.
    """
    p, q = len(people), len(prompts)
    if not 1 <= n <= p * q:
        raise UserError(f"{n} persona x prompt items can't be had from {p} personas and {q} prompts: take 1 to {p * q}")
    rng = seeds.rng("items of the bench", seed)
    step = np.arange(n)
    # Both orders run in step; after lcm(p, q) items all such pairs are used up, and the prompts move on by one.
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
    writers: Sequence[Model],
    judge: Model,
    conditions: Sequence[str] = CONDITIONS,
    words: int = 60,
    templates: str | None = None,
    samples: int = 1,
    temperature: float = 0.0,
    probabilities: bool = False,
) -> pd.DataFrame:
    """Answer every item under every condition and let the critic judge each answer: two calls per item and condition.

    Args:
        drawn: the items, as from `items`. Where they have a column `told`, the writer is told that profile instead of
            the whole one, which the judge always sees.
        writers: the models under test.
        judge: the model that judges.
        conditions: templates to answer under; their last reply field is the answer, those before it are its working. A
            condition of the user's own is one template file.
        words: length asked for, of the answer and of the working before it.
        templates: folder with templates of the user's own.
        samples: independent answers to each item; more than one need a temperature above 0.
        temperature: of the writers; the judge's is 0.
        probabilities: of the verdicts, too: as in `judging.critic`.

    Returns:
        One row per item, condition, model and sample: the columns of `drawn`, `condition`, `model`, `sample`,
        `template` (hash), `working`, `answer`, those of `judging.critic` (`score` is 1 where no revision is needed),
        and `failure` (why there is no score, or missing). An answer that failed is not judged.

    Raises:
        UserError: two models have one name, only one persona is there and a condition takes another, or several samples
            are asked for at a temperature that makes them one.
    """
    no_twins(writers)
    if samples > 1 and temperature <= 0:
        raise UserError(f"{samples} samples at temperature 0 would be one and the same: set a temperature above 0")
    answers = pd.concat(
        [
            _answer(drawn, writer, condition, words, templates, sample, temperature)
            for writer in writers
            for condition in conditions
            for sample in range(samples)
        ],
        ignore_index=True,
    )
    answered = answers[answers["answer"].notna()].sort_values("persona_id", kind="stable")
    judged = verdicts.critic(judge, answered, templates=templates, probabilities=probabilities)
    table = answers.join(judged)
    reasons = table.pop("judge_failure").radd("critic: ")
    return table.assign(failure=table.pop("answer_failure").radd("answer: ").fillna(reasons))


def _answer(
    drawn: pd.DataFrame,
    writer: Model,
    condition: str,
    words: int,
    templates: str | None,
    sample: int,
    temperature: float,
) -> pd.DataFrame:
    """The answers to all items under one condition, one row each."""
    template = load_template(condition, templates)
    schema = create_model("Answer", **{field: (bounded(words), ...) for field in template.reply})
    values = pd.DataFrame({"persona": drawn.get("told", drawn["profile"]), "question": drawn["prompt"], "words": words})
    if "other_persona" in template.variables:
        values["other_persona"] = _others(drawn)
    messages = [template.messages(row) for row in values.to_dict("records")]
    step = f"answers, {condition.replace('_', ' ')}"
    replies = writer.ask(messages, schema=schema, temperature=temperature, sample=sample, step=step)
    fields = [[getattr(r.value, f) for f in template.reply] if r.value else [None] for r in replies]
    added = {
        "condition": condition,
        "model": writer.name,
        "template": template.sha256,
        "working": ["\n".join(f[:-1]) or None for f in fields],
        "answer": [f[-1] for f in fields],
        "answer_failure": [r.failure for r in replies],
    }
    table = pd.concat([drawn, pd.DataFrame(added, index=drawn.index, dtype="str")], axis=1)
    table.insert(table.columns.get_loc("template"), "sample", sample)
    return table


def others(drawn: pd.DataFrame) -> pd.Series:
    """For each item whose profile the condition `other_persona` gives instead: everybody's as often as anybody's.

    Raises:
        UserError: there is only one persona.
    """
    ids = sorted(drawn["persona_id"].unique())
    if len(ids) < 2:
        raise UserError("the profile of another persona takes two personas at least: raise n_personas")
    return drawn["persona_id"].map(pd.Series(np.roll(ids, 1), ids))


def _others(drawn: pd.DataFrame) -> pd.Series:
    """For each item the profile of somebody else."""
    return others(drawn).map(drawn.drop_duplicates("persona_id").set_index("persona_id")["profile"])
