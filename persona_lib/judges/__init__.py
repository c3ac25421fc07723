"""Judges: a model like any other that gives a verdict on an answer, or prefers one of two; and how far to trust it.

Notebook 06 judges answers (`judges.critic`, `judges.subtlety`). 10 opens all rooms: `audits` (what should not matter to
a judge), `rankings` (what an audit does to a ranking), `labels` (human labels), `calibration` (a judge against them).
A verdict is one of the options it was offered, or missing with a reason.
"""

from . import audits, calibration, labels, rankings
from .verdicts import critic, prefer, subtlety

__all__ = ["audits", "calibration", "critic", "labels", "prefer", "rankings", "subtlety"]
