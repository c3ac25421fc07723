"""The three pluralisms (Sorensen et al. 2024, 2402.05070) as scores of any model or method.

Overton: `rated` lets a model in each person's place rate answers, `represented` says who is covered by any of a
method's answers, `coverage` and `worst_group` count; `options` and `shown` do the same by people's own choices.
Steerable: `crossed` and `rated` make a matrix of people, whose diagonal `steerability` compares with the rest;
`steered` does so with predictions. Distributional: `distances` of predicted answers from real ones, `distributional`
over all prompts. `table` has what a trial's predictions say of all three.
"""

from .distributional import distances, distributional
from .options import options, shown
from .overton import coverage, rated, represented, worst_group
from .steerable import crossed, matrix, steerability, steered
from .summary import table

__all__ = [
    "coverage",
    "crossed",
    "distances",
    "distributional",
    "matrix",
    "options",
    "rated",
    "represented",
    "shown",
    "steerability",
    "steered",
    "table",
    "worst_group",
]
