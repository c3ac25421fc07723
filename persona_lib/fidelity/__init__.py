"""Fidelity: do models answer as the people whose profiles they are given? Section 4.2 of the paper.

Notebook 05 opens this wing. Role-play between two answers is called directly (`fidelity.play`, `fidelity.choose`), on
answers written in one of two designs (`fidelity.shared_pairs`, `fidelity.opposite_pairs`). `interviews` asks models
survey questions in respondents' places, `baselines` predicts the answers without a language model, `evaluation` says
how often each is right, and `caricature` compares groups of respondents with how they are simulated.
"""

from . import baselines, caricature, evaluation, interviews
from .baselines import LOGIT, MAJORITY
from .designs import (
    BASE,
    DESIGN,
    NEARER,
    OPPOSITES,
    OWN,
    by_design,
    faithful,
    opposite_pairs,
    opposites,
    shared_pairs,
    true_to_person,
)
from .roleplay import (
    SYNTHETIC,
    beside,
    between_judges,
    between_people,
    choose,
    judges_overall,
    play,
    repeatability,
    retest,
    spread,
    synthetic_votes,
)

__all__ = [
    "BASE",
    "DESIGN",
    "LOGIT",
    "MAJORITY",
    "NEARER",
    "OPPOSITES",
    "OWN",
    "SYNTHETIC",
    "baselines",
    "beside",
    "between_judges",
    "between_people",
    "by_design",
    "caricature",
    "choose",
    "evaluation",
    "faithful",
    "interviews",
    "judges_overall",
    "opposite_pairs",
    "opposites",
    "play",
    "repeatability",
    "retest",
    "shared_pairs",
    "spread",
    "synthetic_votes",
    "true_to_person",
]
