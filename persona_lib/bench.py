"""PERSONA Bench: how well does a model personalize, given a persona in one way or another? Section 5 of the paper.

So far: conditioning (Fig. 10). Used by 06_conditioning.
"""

from math import lcm

import numpy as np
import pandas as pd
from pydantic import create_model

from . import UserError, judging, profiles, wording
from .model import Model

CONDITIONS = ("baseline", "direct", "chain_of_thought", "summary")


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
    rng = np.random.default_rng([seed, 6])
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
    writer: Model,
    judge: Model,
    conditions: tuple[str, ...] = CONDITIONS,
    words: int = 60,
    templates: str | None = None,
) -> pd.DataFrame:
    """Answer every item under every condition and let the critic judge each answer: two calls per item and condition.

    Args:
        drawn: the items, as from `items`.
        writer: the model under test.
        judge: the model that judges.
        conditions: templates to answer under; their last reply field is the answer, those before it are its working.
        words: length asked for, of the answer and of the working before it.
        templates: folder with templates of the user's own.

    Returns:
        One row per item and condition: the columns of `drawn`, `condition`, `model`, `template` (hash), `working`,
        `answer`, those of `judging.critic` (`score` is 1 where no revision is needed), and `failure` (why there is no
        score, or missing). An answer that failed is not judged.
    """
    answers = pd.concat([_answer(drawn, writer, c, words, templates) for c in conditions], ignore_index=True)
    answered = answers[answers["answer"].notna()].sort_values("persona_id", kind="stable")
    verdicts = judging.critic(judge, answered, templates=templates)
    table = answers.join(verdicts)
    reasons = table.pop("judge_failure").radd("critic: ")
    return table.assign(failure=table.pop("answer_failure").radd("answer: ").fillna(reasons))


def _answer(drawn: pd.DataFrame, writer: Model, condition: str, words: int, templates: str | None) -> pd.DataFrame:
    """The answers to all items under one condition, one row each."""
    template = wording.load(condition, templates)
    schema = create_model("Answer", **{field: (wording.bounded(words), ...) for field in template.reply})
    messages = [
        template.messages({"persona": i.profile, "question": i.prompt, "words": words}) for i in drawn.itertuples()
    ]
    replies = writer.ask(messages, schema=schema, step=f"answers, {condition.replace('_', ' ')}")
    fields = [[getattr(r.value, f) for f in template.reply] if r.value else [None] for r in replies]
    added = {
        "condition": condition,
        "model": writer.name,
        "template": template.sha256,
        "working": ["\n".join(f[:-1]) or None for f in fields],
        "answer": [f[-1] for f in fields],
        "answer_failure": [r.failure for r in replies],
    }
    return pd.concat([drawn, pd.DataFrame(added, index=drawn.index, dtype="str")], axis=1)
