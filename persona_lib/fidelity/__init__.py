"""Fidelity: do models answer as the people whose profiles they are given? Section 4.2 of the paper.

Notebook 05 opens this wing. Role-play between two answers is called directly (`fidelity.play`, `fidelity.choose`).
`interviews` asks models survey questions in respondents' places, `baselines` predicts the answers without a language
model, `evaluation` says how often each is right, and `caricature` compares groups of respondents with how they are
simulated.
"""

from . import baselines, caricature, evaluation, interviews
from .baselines import LOGIT, MAJORITY
from .roleplay import (
    SYNTHETIC,
    beside,
    between_judges,
    between_people,
    choose,
    judges_overall,
    play,
    repeatability,
    shared_pairs,
    spread,
    synthetic_votes,
)

__all__ = [
    "LOGIT",
    "MAJORITY",
    "SYNTHETIC",
    "baselines",
    "beside",
    "between_judges",
    "between_people",
    "caricature",
    "choose",
    "evaluation",
    "interviews",
    "judges_overall",
    "play",
    "repeatability",
    "shared_pairs",
    "spread",
    "synthetic_votes",
]
