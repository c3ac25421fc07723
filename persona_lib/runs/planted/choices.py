"""Choices of the planted model: between two answers, among people, survey options and impressions."""

import math
from collections.abc import Mapping
from functools import cache
from typing import NamedTuple

from ... import UserError
from ...fidelity.interviews import AGAIN
from ...personas import profiles, respondents
from . import texts
from .effects import Effects
from .requests import Request, kind_for
from .texts import centered, uniform

SHORT = 6  # attributes; a shorter list is the profile of an annotator who is told a few lines
# Where the options of an impression lie on its scale, by its measure.
SCALES = {
    "politics": {"to the left": -1, "in the middle": 0, "to the right": 1},
    "tone": {"sad": -1, "neither sad nor happy": 0, "happy": 1},
}
_LEANING = 0.25  # most that a person's impression is off the middle before any drift,
_READING = 0.1  # and that one reading of a profile is off the person's impression
_MIDDLE = 0.3  # probability of the middle option
_PULL = 0.2  # probability that a place adds where the order decides
# How far the probability of a choice lies from a half, from least to most: on average over both orders where the order
# decides, and in each order where it does not.
TILT, MARGIN = (0.02, 0.05), (0.10, 0.48)


def choice(asked: Request, effects: Effects, seed: int) -> dict[str, float]:
    """Return the probability of each letter."""
    if len(asked.answers) == 2:
        return _of_two(asked, effects, seed)
    if asked.candidates:
        return _owner(asked, effects, seed)
    for measure, scale in SCALES.items():
        if set(asked.options.values()) == set(scale):
            return _impression(asked, effects, seed, measure)
    return _survey(asked, effects, seed) if asked.options else {"A": 1.0}


class _Pair(NamedTuple):
    """Two answers in an order that does not depend on which is shown first."""

    one: str
    other: str
    first: bool
    """Whether `one` is shown first."""

    @property
    def names(self) -> tuple[str, str]:
        return texts.name_of(self.one), texts.name_of(self.other)


def _of_two(asked: Request, effects: Effects, seed: int) -> dict[str, float]:
    """Choose between two answers as the person would: A is the first."""
    a, b = asked.answers
    pair = _Pair(a, b, True) if (texts.name_of(a), a) <= (texts.name_of(b), b) else _Pair(b, a, False)
    what = (seed, asked.person.key, asked.question, *pair.names)
    if asked.person.form in ("list", "shuffled") and len(asked.person.values) <= SHORT:
        takes_one = _short(asked, pair, effects, seed)
    else:
        alone = uniform("alone", asked.model, *what) < effects.noise
        dice = uniform("choice", asked.model if alone else "", *what)
        takes_one = dice < share_of_first(asked, pair.one, pair.other, effects, seed)
        takes_one ^= (
            asked.person.form != "list" and uniform("form", asked.person.form, asked.model, *what) < effects.form
        )
    likes_a = takes_one == pair.first
    tilt = _between(TILT, "tilt", asked.model, *what)
    if uniform("order", asked.model, *what) < effects.order:
        p = 0.5 + _PULL + (tilt if likes_a else -tilt)
    else:
        far = _between(MARGIN, "margin", asked.model, *what)
        p = 0.5 + (far if likes_a else -far)
    return {"A": p, "B": 1 - p}


def _between(ends: tuple[float, float], *parts: object) -> float:
    return ends[0] + (ends[1] - ends[0]) * uniform(*parts)


def share_of_first(asked: Request, one: str, other: str, effects: Effects, seed: int) -> float:
    """Return the share of such choices that fall on the first of two answers."""
    words = len(one.split()) - len(other.split())
    if texts.mark(one) and texts.name_of(one) == texts.name_of(other):  # one is the other with filler
        return effects.filler if words > 0 else 1 - effects.filler
    better = [effects.better[kind_for(answer, asked.profile)] for answer in (one, other)]
    share = 1 / (1 + math.exp(better[1] - better[0] - effects.per_word * words))
    side = (better[0] > better[1]) - (better[0] < better[1])
    moved = centered(seed, "taste", asked.person.key) + centered(seed, "matter", asked.question)
    room = min(1.0, share / (2 * effects.taste), (1 - share) / (2 * effects.taste))
    return share + room * effects.taste * side * moved


def _short(asked: Request, pair: _Pair, effects: Effects, seed: int) -> bool:
    """Return whether an annotator who is told a few lines takes the first answer: each line may change the choice."""
    what = (seed, asked.question, *pair.names)
    takes = uniform("nobody", *what) < 0.5
    for name, value in asked.person.values.items():
        takes ^= uniform("line", name, value, *what) < effects.attribute.get(name, effects.line)
    for line in asked.person.extra:
        takes ^= uniform("line", line, *what) < effects.line
    return takes


def _owner(asked: Request, effects: Effects, seed: int) -> dict[str, float]:
    """Find the person for whom an answer was written, among lettered profiles."""
    mark = texts.mark(asked.answers[0])
    letters = [*asked.candidates]
    own = [letter for letter in letters if mark and texts.is_for(mark, asked.candidates[letter].strip())]
    what = (seed, asked.model, asked.question, texts.name_of(asked.answers[0]), *asked.candidates.values())
    others = [letter for letter in letters if letter not in own] or letters
    picked = others[int(uniform("other", *what) * len(others))]
    if own and uniform("owner", *what) < effects.owner:
        picked = own[0]
    return _mostly(picked, letters)


def _mostly(picked: str, letters: list[str], share: float = 0.6) -> dict[str, float]:
    """Return probabilities of which most goes to one letter."""
    rest = (1 - share) / max(1, len(letters) - 1)
    return {letter: share if letter == picked else rest for letter in letters}


def _impression(asked: Request, effects: Effects, seed: int, measure: str) -> dict[str, float]:
    """Say how a person reads: the mean is the person's leaning plus the planted drift of what the profile tells."""
    core = [asked.person.values.get(name) for name in ("age", "sex", "income", "ancestry", "place of birth")]
    value = _LEANING * centered(seed, measure, *core) + _READING * centered(seed, measure, asked.model, asked.profile)
    value += sum(shift for name, shift in effects.drift[measure].items() if name in asked.person.values)
    shares = {-1: (1 - _MIDDLE - value) / 2, 0: _MIDDLE, 1: (1 - _MIDDLE + value) / 2}
    return {letter: shares[SCALES[measure][option]] for letter, option in asked.options.items()}


def _survey(asked: Request, effects: Effects, seed: int) -> dict[str, float]:
    """Answer a survey question: in a respondent's place, or without one always the same."""
    letters = {option: letter for letter, option in asked.options.items()}
    options = sorted(letters)
    what = (seed, asked.model, asked.profile, asked.question)
    own = answers().get(asked.question, {}).get(asked.profile)
    others = [option for option in options if option != own]
    picked = others[int(uniform("survey", *what) * len(others))]
    if own in letters and uniform("own", *what) < effects.survey:
        picked = own
    if uniform("survey order", *what) >= effects.survey_order:
        return _mostly(letters[picked], list(asked.options))
    # The first option wins in each order; over several orders the pick does.
    shares = {letter: 1.0 for letter in asked.options}
    shares[letters[picked]] += 1.2
    shares[next(iter(asked.options))] += 1.5
    return {letter: share / sum(shares.values()) for letter, share in shares.items()}


@cache
def answers() -> Mapping[str, Mapping[str, str]]:
    """Return what the respondents of the surveys said, by question and profile; of people alike the first's answer."""
    known: dict[str, dict[str, str]] = {}
    for name in ("anes", "gss"):
        try:
            survey = respondents.load(name)
        except UserError:  # its data are not installed
            continue
        questions = survey.questions.set_index("prompt_id")["prompt"]
        for told in (profiles.texts(survey.people, form) for form in ("list", AGAIN)):
            for row in survey.answers.dropna(subset="answer").itertuples():
                known.setdefault(questions[row.prompt_id], {}).setdefault(told[row.persona_id], row.answer)
    return known
