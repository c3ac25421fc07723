"""Fidelity: do models in people's places choose alike, and as those people do? Section 4.2 of the paper.

Notebook 05 opens this wing. Role-play between two answers is called directly (`fidelity.play`, `fidelity.choose`).
`interviews` puts survey questions to models in respondents' places, `baselines` answers them without a model, and
`caricature` compares groups with how they are portrayed.
"""

from . import baselines, caricature, interviews
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
    "interviews",
    "judges_overall",
    "play",
    "repeatability",
    "shared_pairs",
    "spread",
    "synthetic_votes",
]
