"""The three pluralisms (Sorensen et al. 2024, 2402.05070) as scores of any model or method."""

from .options import options, shown
from .overton import coverage, rated, represented, worst_group
from .steerable import crossed, matrix, steerability, steered

__all__ = [
    "coverage",
    "crossed",
    "matrix",
    "options",
    "rated",
    "represented",
    "shown",
    "steerability",
    "steered",
    "worst_group",
]
