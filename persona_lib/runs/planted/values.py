"""The planted value of each estimate: its mean over all people, questions and answers, computed from the effects."""

import math
import random
from functools import cache

import numpy as np

from ...personas import profiles, respondents
from .choices import MARGIN, TILT, answers
from .effects import Effects
from .world import length


def kept(condition: str, effects: Effects) -> float:
    """Return the share of a condition's answers that a critic keeps."""
    return effects.keep["baseline" if condition.startswith("baseline") else condition]


def too_much(condition: str, effects: Effects) -> float:
    """Return the share of a condition's answers that are too personal."""
    return effects.too_much["baseline" if condition.startswith("baseline") else condition]


def graded(share: float, effects: Effects) -> float:
    """Return the mean probability of `keep` where a share is kept."""
    sure = sum(effects.sure) / 2
    return sure * share + (1 - sure) * (1 - share)


@cache
def above(words: int, effects: Effects) -> float:
    """Return the share of texts that are longer than asked for."""
    chance = random.Random(0)
    return sum(length(words, chance, effects) > words for _ in range(20_000)) / 20_000


@cache
def preferred(better: float, words: int | None, effects: Effects, revised: bool = False) -> float:
    """Return the share of choices that fall on an answer.

    Args:
        better: log odds at equal length.
        words: that both answers were asked for; None: no length.
        effects: what is planted.
        revised: the answer was asked to be as long as the other one.
    """
    chance = random.Random(0)
    total = 0.0
    for _ in range(20_000):
        other = chance.randint(*effects.reasoning_words) if words is None else length(words, chance, effects)
        if revised:
            own = length(other, chance, effects)
        else:
            own = chance.randint(*effects.reasoning_words) if words is None else length(words, chance, effects)
        total += 1 / (1 + math.exp(-better - effects.per_word * (own - other)))
    return total / 20_000


def mean_chance(share: float, effects: Effects) -> float:
    """Return the mean probability, over both orders, of an answer that a share of choices fall on."""
    away = (1 - effects.order) * sum(MARGIN) / 2 + effects.order * sum(TILT) / 2
    return 0.5 + (2 * share - 1) * away


@cache
def mean_change(changed: float, effects: Effects) -> float:
    """Return the mean absolute difference of the probabilities of two annotators who differ in a share of choices.

    Args:
        changed: the share.
        effects: what is planted.
    """
    rng = np.random.default_rng(0)
    # How far each one's probability, over both orders, lies from a half.
    by_order = rng.random((2, 400_000)) < effects.order
    one, other = np.where(by_order, rng.uniform(*TILT, by_order.shape), rng.uniform(*MARGIN, by_order.shape))
    return float((1 - changed) * np.abs(one - other).mean() + changed * (one + other).mean())


@cache
def pass_at(k: int, condition: str, effects: Effects) -> tuple[float, float]:
    """Return the planted pass@k and pass^k of a condition."""
    rng = np.random.default_rng(0)
    n = 400_000
    share = np.full(n, kept(condition, effects))
    if not condition.startswith("baseline"):
        share += effects.gap * ((rng.random(n) < effects.older) - effects.older)
    sizes = (effects.person, effects.question, effects.item)
    room = np.minimum(1, np.minimum(share, 1 - share) / sum(sizes))
    share += room * sum(size * rng.uniform(-1, 1, n) for size in sizes)
    return float((1 - (1 - share) ** k).mean()), float((share**k).mean())


def kappa(changed: float, pairs: int) -> float:
    """Return the mean kappa over people of two annotators who differ in a share of choices between equal options.

    Args:
        changed: the share.
        pairs: choices of each annotator.
    """
    rng = np.random.default_rng(0)
    one = rng.random((40_000, pairs)) < 0.5
    other = one ^ (rng.random(one.shape) < changed)
    alike = (one == other).mean(axis=1)
    p, q = one.mean(axis=1), other.mean(axis=1)
    by_chance = p * q + (1 - p) * (1 - q)
    defined = by_chance < 1 - 1e-9
    return float(((alike - by_chance)[defined] / (1 - by_chance)[defined]).mean())


def survey_right(survey: str, effects: Effects) -> float:
    """Return the share of a survey's answers that the planted model gets right, over all respondents.

    Of respondents with equal profiles it knows one's answers.
    """
    asked = respondents.load(survey)
    told = profiles.texts(asked.people)
    prompts = asked.questions.set_index("prompt_id")["prompt"]
    rows = asked.answers.dropna(subset="answer")
    known = [answers()[prompts[row.prompt_id]][told[row.persona_id]] == row.answer for row in rows.itertuples()]
    other = (1 - effects.survey) / (len(asked.options) - 1)
    return float(np.where(known, effects.survey, other).mean())


def alike(own: float, other: float, part: float, moved: bool, effects: Effects) -> float:
    """Return the share of choices in which two models agree, in the place of the same people.

    Args:
        own: share that takes the first answer, of people for whom one of the two was written.
        other: the same of other people.
        part: share of items of the first kind.
        moved: whether people and questions move the second share.
        effects: what is planted.
    """
    both = (1 - effects.noise) ** 2  # neither model chooses by itself
    spread = 2 * effects.taste**2 / 3  # variance of two uniform moves
    by_chance = [p**2 + (1 - p) ** 2 + 2 * var for p, var in ((own, spread), (other, spread if moved else 0.0))]
    return both + (1 - both) * (part * by_chance[0] + (1 - part) * by_chance[1])
