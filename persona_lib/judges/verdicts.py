"""Verdicts of a judge: an answer kept or to be revised, too personal or not, preferred to another or not.

A judge is a model like any other. Its verdict is one of the options offered, or missing with a reason. The
personalization critic sees persona, question and answer (section 5 of the paper); in role-play a model chooses between
two answers as a persona would (section 4.2).
"""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, Field, WithJsonSchema, create_model

from .. import UserError
from ..model import LanguageModel, Reply
from ..model.replies.choices import MIN_MASS, field_masses, normalized
from ..prompts.words import count
from ..templates import Template, text
from ..templates import load as load_template

KEEP, REVISE = "keep", "revise"
SUBTLE, TOO_MUCH = "subtle", "too much"
GRADES = (1, 5)  # the worst and the best; the critic's template says what each grade means
SAME = "both answers are the same text"
# Named one by one, as endpoints restrict a number by its options more often than by bounds.
_GRADE = {"type": "integer", "enum": list(range(GRADES[0], GRADES[1] + 1))}


def critic(
    judge: LanguageModel,
    answers: pd.DataFrame,
    templates: str | None = None,
    critique_words: int | None = 80,
    sample: int = 0,
    temperature: float = 0,
    probabilities: bool = False,
    template: str = "critic",
) -> pd.DataFrame:
    """Judge each answer's personalization against its helpfulness: does it need revision for this persona?

    Args:
        judge: the model that judges.
        answers: columns `profile` (the persona as text), `prompt`, `answer`.
        templates: folder with a `critic.txt` of the user's own.
        critique_words: length asked for of the critique; None asks for none.
        sample, temperature: as in `Model.ask`; another sample asks the same once more.
        probabilities: ask for log-probabilities with the verdict, if the judge offers them. They take some 10 kB of the
            store for each verdict.
        template: name of another wording of the critic.

    Returns:
        The index of `answers`; `judge`, `judge_template` (hash), `judge_thought` (what a reasoning model wrote before
        its reply, if it was told), `critique`, `critique_words` (how many it has), `verdict` (keep or revise, missing
        if invalid), `judge_failure` (why there is no score, or missing), `grade` (1 to 5), `score` (1 for keep, 0 for
        revise, or missing), `p_score`, `verdict_mass` and `graded`. `p_score` is the probability of keep after this
        critique, normalized over keep and revise; an option outside the likeliest tokens counts as 0. `verdict_mass`
        is that of both before they are normalized. Both are missing if not asked for, not offered or not scored, and
        `p_score` also where the mass is below the judge's `min_mass`. `graded` is a score with degrees, from 0 to 1:
        `p_score` if every scored answer has one, else (grade - 1) / 4. Mixed or incomplete, it would be selected by
        the verdict. `verdict_key` is that of the judge's reply in the store (`Reply.key`).

    Raises:
        UserError: the template asks for other fields than these.
    """
    options = {"keep": KEEP, "revise": REVISE}
    asked = load_template(template, templates)
    table = _verdicts(judge, answers, asked, options, critique_words, sample, temperature, probabilities)
    lowest, highest = GRADES
    by_grade = (table["grade"] - lowest) / (highest - lowest)
    return table.assign(graded=table["p_score"] if _has_probabilities(table) else by_grade)


def _has_probabilities(judged: pd.DataFrame) -> bool:
    """Return whether every scored answer has the probability of its verdict."""
    scored = judged[judged["score"].notna()]
    return len(scored) > 0 and bool(scored["p_score"].notna().all())


def subtlety(
    judge: LanguageModel, answers: pd.DataFrame, templates: str | None = None, critique_words: int | None = 80
) -> pd.DataFrame:
    """Judge whether each answer gives away that its writer had the profile (section 5.2 of the paper).

    Args:
        judge, answers, critique_words: as in `critic`.
        templates: folder with a `subtlety.txt` of the user's own.

    Returns:
        As `critic`, but `verdict` is subtle or too much, `score` 1 for too much and 0 for subtle, and there is no
        `grade` and no `graded`.
    """
    options = {"too_much": TOO_MUCH, "subtle": SUBTLE}
    table = _verdicts(judge, answers, load_template("subtlety", templates), options, critique_words)
    return table.drop(columns="grade")


def graded_by(judged: pd.DataFrame) -> str:
    """Return a sentence that says what `graded` is in a table of `critic`, and how many scored rows lack it, and why.

    Args:
        judged: the columns of `critic`; rows of one judge.
    """
    scored = judged[judged["score"].notna()]
    lacking = int(scored["graded"].isna().sum())
    if scored.empty:
        return "Nothing is scored, so nothing is graded."
    name = scored["judge"].iloc[0]
    if _has_probabilities(judged):
        return f"Graded score: the probability that {name} gives to '{KEEP}', from 0 to 1."
    seen = int(scored["verdict_mass"].notna().sum())
    low = seen - int(scored["p_score"].notna().sum())
    told = f"log-probabilities for {seen} of {len(scored)} verdicts" if seen else "no log-probabilities"
    if low:
        told += f", {low} of them with too little on '{KEEP}' and '{REVISE}' together"
    said = f"Graded score: the grade of {name}, {GRADES[0]} to {GRADES[1]} scaled to 0 to 1 ({told})."
    return f"{said} {lacking} scored answers have none: the critic's template asks for no grade." if lacking else said


def _verdicts(
    judge: LanguageModel,
    answers: pd.DataFrame,
    template: Template,
    options: dict[str, str],
    critique_words: int | None,
    sample: int = 0,
    temperature: float = 0,
    probabilities: bool = False,
) -> pd.DataFrame:
    """Ask for a critique and one of two verdicts on each answer; return the columns of `critic` but `graded`.

    Args:
        template: its reply has the field `verdict`, and may have `critique` and `grade`.
        options: the two verdicts, by the template's variables for them; the first scores 1, the second 0.
        judge, answers, critique_words, sample, temperature, probabilities: as in `critic`.
    """
    one, zero = options.values()
    fixed = options | {"words": critique_words}
    messages = [
        template.messages({"persona": row.profile, "question": row.prompt, "answer": row.answer} | fixed)
        for row in answers.itertuples()
    ]
    replies = judge.ask(
        messages,
        _schema(template, critique_words, (one, zero)),
        temperature,
        sample=sample,
        step=f"verdicts of {template.name.replace('_', ' ')}",
        logprobs=probabilities,
    )
    values: list[Any] = [reply.value for reply in replies]  # None if the reply is invalid
    table = pd.DataFrame(
        {
            "judge": judge.name,
            "judge_template": template.sha256,
            "judge_thought": [reply.thought for reply in replies],
            "critique": [getattr(value, "critique", None) for value in values],
            "verdict": [getattr(value, "verdict", None) for value in values],
            "judge_failure": [reply.failure for reply in replies],
            "verdict_key": [reply.key for reply in replies],
        },
        index=answers.index,
        dtype="str",
    )
    words = table["critique"].map(count, na_action="ignore").astype(float)
    table.insert(table.columns.get_loc("critique") + 1, "critique_words", words)
    grades = [getattr(value, "grade", None) for value in values]
    score = table["verdict"].map({one: 1.0, zero: 0.0}).astype(float)
    table["grade"] = pd.Series(grades, table.index, dtype=float)
    # An experiment's stand-in has no `min_mass`: what the experiments need of a model is asking and choosing alone.
    share, mass = _p_verdict(replies, one, zero, getattr(judge, "min_mass", MIN_MASS))
    return table.assign(score=score, p_score=share, verdict_mass=mass)


def _schema(template: Template, critique_words: int | None, options: tuple[str, str]) -> type[BaseModel]:
    """Return the schema of a judge's reply, with the fields that its template names, in their order."""
    known: dict[str, Any] = {
        "critique": (text(critique_words), ...),
        "grade": (Annotated[int, Field(ge=GRADES[0], le=GRADES[1]), WithJsonSchema(_GRADE)], ...),
        "verdict": (Literal[options], ...),
    }
    if "verdict" not in template.reply or not known.keys() >= set(template.reply):
        raise UserError(
            f"template '{template.name}' has `reply: [{', '.join(template.reply)}]`: a judge's reply has the field "
            "verdict, and may have critique and grade before it"
        )
    return create_model(template.name.title(), **{field: known[field] for field in template.reply})


def _p_verdict(replies: Sequence[Reply], one: str, zero: str, min_mass: float) -> tuple[np.ndarray, np.ndarray]:
    """Return each reply's probability of the verdict `one` among both, and the mass of both; NaN if unknown.

    The first is also NaN where the mass is 0 or below `min_mass`.
    """
    masses = [
        field_masses(reply.logprobs, "verdict", (one, zero)) if reply.value and reply.logprobs else (np.nan, np.nan)
        for reply in replies
    ]
    shares = [normalized(mass)[0] if sum(mass) >= min_mass else np.nan for mass in masses]
    return np.array(shares, dtype=float), np.array(masses, dtype=float).reshape(-1, 2).sum(axis=1)


def prefer(
    judge: LanguageModel, pairs: pd.DataFrame, templates: str | None = None, step: str = "preferences"
) -> pd.DataFrame:
    """Let a model choose between two answers as each persona would, in both orders.

    Args:
        judge: the model that plays the persona.
        pairs: columns `pair_id`, `persona_id`, `profile` (the persona as text), `prompt`, and the answers `chosen` and
            `rejected`. The model is not told where either answer comes from.
        templates: folder with a `prefer.txt` of the user's own.
        step: what the progress line and the usage call this.

    Returns:
        The index of `pairs`; `persona_id`, `pair_id`, `judge`, `judge_template` (hash) and

        - `p_first`, `p_second`: probability of the answer `chosen` if it is shown first, and if it is shown second;
        - `p_chosen`: their mean, in which a constant pull towards either place cancels; a mean that differs from a half
          by rounding alone is a half;
        - `mass`: unnormalized probability of A or B as the tokens show it, the lower of the two orders; missing where
          no tokens show it (see `Model.choices`);
        - `samples`: the number of sampled replies that a choice is the share of, the higher of the two orders; 0 where
          tokens show both;
        - `choice`: 'chosen' or 'rejected' by `p_chosen`, missing on a tie;
        - `flip`: the order decides, because each order has another likelier answer; a tie in one order is no flip;
        - `failure`: why there is no choice, or missing;
        - `choice_key`: those of the replies in the store, in both orders (`Choices.trail`).
    """
    template = load_template("prefer", templates)
    orders = [("chosen", "rejected"), ("rejected", "chosen")]
    messages = [
        template.messages({"persona": p["profile"], "question": p["prompt"], "first": p[one], "second": p[other]})
        for p in pairs.to_dict("records")
        for one, other in orders
    ]
    got = judge.choices(messages, ("A", "B"), step)
    both = got.probabilities.reshape(-1, 2, 2)  # pairs x orders x (A, B)
    p_first = both[:, 0, 0]
    p_second = both[:, 1, 1]
    mean = (p_first + p_second) / 2
    flip = np.abs(won(p_first) - won(p_second)) == 1
    table = pairs[["persona_id", "pair_id"]].assign(judge=judge.name, judge_template=template.sha256)
    table["p_first"] = p_first
    table["p_second"] = p_second
    table["p_chosen"] = np.where(won(mean) == 0.5, 0.5, mean)
    table["mass"] = got.mass.reshape(-1, 2).min(axis=1)
    table["samples"] = got.samples.reshape(-1, 2).max(axis=1)
    choice = np.select([table["p_chosen"] > 0.5, table["p_chosen"] < 0.5], ["chosen", "rejected"], "")
    table["choice"] = pd.Series(choice, table.index, dtype="str").replace("", None)
    table["flip"] = pd.Series(flip, table.index).astype("boolean").where(table["p_chosen"].notna())
    why = pd.Series(got.why(orders=2), table.index, dtype="str").fillna("tie")
    table["failure"] = why.where(table["choice"].isna())
    return table.assign(choice_key=pd.Series(got.trail(orders=2), table.index, dtype="str"))


def options_told(judged: pd.DataFrame) -> str:
    """Return how much of the probability the options of choices have at all, and how many choices are sampled.

    Args:
        judged: the columns `mass` and `samples` of `prefer`.
    """
    mass = judged["mass"].dropna()
    drawn = judged.loc[judged["samples"] > 0, "samples"]
    told = "No tokens show the options' probability."
    if len(mass):
        told = (
            f"Before they are normalized, the options have {mass.median():.0%} of the model's probability in the "
            f"median choice, and {mass.min():.0%} in the one with the least (n = {len(mass):,})."
        )
    if drawn.empty:
        return told
    return (
        f"{told} {len(drawn):,} of {len(judged):,} choices are shares of at most {drawn.max():.0f} sampled replies, as "
        "tokens show too little of the options."
    )


def scored(choices: pd.Series) -> pd.Series:
    """Return 1 where `prefer` chose the answer 'chosen', 0 where 'rejected', missing without a choice."""
    return choices.map({"chosen": 1.0, "rejected": 0.0}).astype(float)


def won(chances: np.ndarray | pd.Series) -> np.ndarray:
    """Return 1 for a chance above a half, 0 below, 0.5 for a tie up to rounding, NaN for a missing chance."""
    return (np.sign(np.round(np.asarray(chances, float) - 0.5, 9)) + 1) / 2
