"""Judges: a model gives a verdict on an answer or chooses between two; and tests of how far to trust it.

Notebook 06 judges answers (`judges.critic`, `judges.subtlety`) and places the critic's threshold on answers whose right
verdict is known (`judges.controls`, `judges.threshold`). Notebook 10 shows the rest: `audits` (what should not matter
to a judge), `rankings` (what an audit does to a ranking), `labels` (human labels), `calibration` (a judge against
them). A verdict is one of the options offered, or missing with a reason.
"""

from . import audits, calibration, corrections, labels, rankings
from .control_items import controls, placed, threshold
from .verdicts import critic, graded_by, options_told, prefer, subtlety

__all__ = [
    "audits",
    "calibration",
    "controls",
    "corrections",
    "critic",
    "graded_by",
    "labels",
    "options_told",
    "placed",
    "prefer",
    "rankings",
    "subtlety",
    "threshold",
]
