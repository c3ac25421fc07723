"""Judges: a judge is a model like any other, its verdict one of the options offered, or unscored with a reason.

The personalization critic sees persona, question and answer (section 5 of the paper). Used by 06_conditioning.
"""

from typing import Literal

import pandas as pd
from pydantic import create_model

from . import wording
from .model import Model

KEEP, REVISE = "keep", "revise"


def critic(judge: Model, answers: pd.DataFrame, words: int = 40, templates: str | None = None) -> pd.DataFrame:
    """Weigh each answer's personalization against its helpfulness: does it need revision for this persona?

    Args:
        judge: the model that judges.
        answers: columns `profile` (the persona as text), `prompt`, `answer`.
        words: length of the critique that the judge is asked for.
        templates: folder with a `critic.txt` of the user's own.

    Returns:
        The index of `answers`; columns `judge`, `judge_template` (hash), `critique`, `verdict` (keep or revise, missing
        if it can't be read), `score` (1 for keep, 0 for revise, missing), `judge_failure` (the reason, or missing).
    """
    template = wording.load("critic", templates)
    schema = create_model("Critic", critique=(wording.bounded(words), ...), verdict=(Literal[KEEP, REVISE], ...))
    messages = [
        template.messages(
            {"persona": a.profile, "question": a.prompt, "answer": a.answer}
            | {"words": words, "keep": KEEP, "revise": REVISE}
        )
        for a in answers.itertuples()
    ]
    replies = judge.ask(messages, schema=schema, step="verdicts")
    verdicts = pd.DataFrame(
        {
            "judge": judge.name,
            "judge_template": template.sha256,
            "critique": [r.value.critique if r.value else None for r in replies],
            "verdict": [r.value.verdict if r.value else None for r in replies],
            "judge_failure": [r.failure for r in replies],
        },
        index=answers.index,
        dtype="str",
    )
    return verdicts.assign(score=verdicts["verdict"].map({KEEP: 1.0, REVISE: 0.0}).astype(float))
