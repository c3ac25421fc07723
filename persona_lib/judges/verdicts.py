"""Judges: a judge is a model like any other, its verdict one of the options offered, or unscored with a reason.

The personalization critic sees persona, question and answer (section 5 of the paper); in role-play a model chooses
between two answers as a persona would (section 4.2). Used by 03_preferences, 05_fidelity and 06_conditioning.
"""

from typing import Literal

import numpy as np
import pandas as pd
from pydantic import create_model

from ..model import Model
from ..model.choices import field_masses, normalized
from ..templates import bounded
from ..templates import load as load_template

KEEP, REVISE = "keep", "revise"
SUBTLE, TOO_MUCH = "subtle", "too much"
CRITIQUE_WORDS = 12  # asked of a judge before its verdict
SAME = "both answers are the same text"


def critic(
    judge: Model,
    answers: pd.DataFrame,
    templates: str | None = None,
    sample: int = 0,
    temperature: float = 0,
    probabilities: bool = False,
) -> pd.DataFrame:
    """Weigh each answer's personalization against its helpfulness: does it need revision for this persona?

    Args:
        judge: the model that judges.
        answers: columns `profile` (the persona as text), `prompt`, `answer`.
        templates: folder with a `critic.txt` of the user's own.
        sample, temperature: as in `Model.ask`; another sample asks the same once more.
        probabilities: ask for log-probabilities with the verdict, where the judge offers them. They take some 10 kB of
            the store for each verdict.

    Returns:
        The index of `answers`; columns `judge`, `judge_template` (hash), `critique`, `verdict` (keep or revise, missing
        if it can't be read), `score` (1 for keep, 0 for revise, missing), `p_score` (the probability of keep after this
        critique, among keep and revise as far as both are among the likeliest tokens; missing where not asked for, not
        offered or not scored), `judge_failure` (the reason why there is no score, or missing).
    """
    options = {"keep": KEEP, "revise": REVISE}
    return _verdicts(judge, answers, "critic", options, templates, sample, temperature, probabilities)


def subtlety(judge: Model, answers: pd.DataFrame, templates: str | None = None) -> pd.DataFrame:
    """Does an answer give away that the profile was at hand? Section 5.2 of the paper.

    Args:
        judge, answers: as in `critic`.
        templates: folder with a `subtlety.txt` of the user's own.

    Returns:
        As `critic`; `verdict` is subtle or too much, `score` 1 for too much and 0 for subtle.
    """
    return _verdicts(judge, answers, "subtlety", {"too_much": TOO_MUCH, "subtle": SUBTLE}, templates)


def _verdicts(
    judge: Model,
    answers: pd.DataFrame,
    name: str,
    options: dict[str, str],
    templates: str | None,
    sample: int = 0,
    temperature: float = 0,
    probabilities: bool = False,
) -> pd.DataFrame:
    """A critique and one of two verdicts on each answer; the first option scores 1, the second 0."""
    template = load_template(name, templates)
    verdict = Literal[tuple(options.values())]
    schema = create_model(name.title(), critique=(bounded(CRITIQUE_WORDS), ...), verdict=(verdict, ...))
    fixed = options | {"words": CRITIQUE_WORDS}
    messages = [
        template.messages({"persona": a.profile, "question": a.prompt, "answer": a.answer} | fixed)
        for a in answers.itertuples()
    ]
    step = f"verdicts of {name}"
    replies = judge.ask(messages, schema, temperature, sample=sample, step=step, logprobs=probabilities)
    masses = [field_masses(r.logprobs if r.value else None, "verdict", tuple(options.values())) for r in replies]
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
    one, zero = options.values()
    score = verdicts["verdict"].map({one: 1.0, zero: 0.0}).astype(float)
    return verdicts.assign(score=score, p_score=np.array([normalized(mass)[0] for mass in masses], dtype=float))


def prefer(judge: Model, pairs: pd.DataFrame, templates: str | None = None, step: str = "preferences") -> pd.DataFrame:
    """Let a model choose between two answers in each persona's shoes, in both orders.

    Args:
        judge: the model that plays the persona.
        pairs: columns `pair_id`, `persona_id`, `profile` (the persona as text), `prompt`, and the answers `chosen` and
            `rejected`: whichever of the two, nothing is told of where they come from.
        templates: folder with a `prefer.txt` of the user's own.
        step: what the progress line and the usage call this.

    Returns:
        The index of `pairs`; columns `persona_id`, `pair_id`, `judge`, `judge_template` (hash), `p_first` and
        `p_second` (probability of the answer `chosen` where it is shown first and where it is second), `p_chosen`
        (their mean, in which a constant pull towards either place cancels), `mass` (how much of the reply's first token
        was A or B at all, the less of the two orders; see `Model.choices`), `choice` ('chosen' or 'rejected' by the
        mean, missing on a tie), `flip` (whether the order decides: one answer is the likelier in one order, the other
        in the other; a tie in one order is no flip), `failure` (why there is no choice, or missing). A mean that is a
        half but for rounding is a half.
    """
    template = load_template("prefer", templates)
    orders = [("chosen", "rejected"), ("rejected", "chosen")]
    messages = [
        template.messages({"persona": p["profile"], "question": p["prompt"], "first": p[one], "second": p[other]})
        for p in pairs.to_dict("records")
        for one, other in orders
    ]
    got = judge.choices(messages, ("A", "B"), step)
    both = got.probabilities.reshape(-1, 2, 2)
    p_first, p_second = both[:, 0, 0], both[:, 1, 1]
    table = pairs[["persona_id", "pair_id"]].assign(judge=judge.name, judge_template=template.sha256)
    mean = (p_first + p_second) / 2
    table = table.assign(p_first=p_first, p_second=p_second, p_chosen=np.where(won(mean) == 0.5, 0.5, mean))
    table["mass"] = got.mass.reshape(-1, 2).min(axis=1)
    choice = np.select([table["p_chosen"] > 0.5, table["p_chosen"] < 0.5], ["chosen", "rejected"], "")
    table["choice"] = pd.Series(choice, table.index, dtype="str").replace("", None)
    known = table["p_chosen"].notna()
    turned = np.abs(won(p_first) - won(p_second)) == 1
    table["flip"] = pd.Series(turned, table.index).astype("boolean").where(known)
    why = pd.Series(got.why(orders=2), table.index, dtype="str").fillna("tie")
    table["failure"] = why.where(table["choice"].isna())
    return table


def won(chances: np.ndarray | pd.Series) -> np.ndarray:
    """1 where a chance is above a half, 0 where it is below, a half on a tie but for rounding, missing where it is."""
    return (np.sign(np.round(np.asarray(chances, float) - 0.5, 9)) + 1) / 2
