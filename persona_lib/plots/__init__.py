"""Figures: a tidy table in, the Axes out. Nothing in this wing asks a model or reads a file.

All notebooks but 00 open it. `plots.rates` and `plots.differences` are shared by most of them; the other figures are in
a module named after what they draw, such as `plots.bench.losses` or `plots.surveys.coverage`. The look that all
figures share is in `style`.
"""

from . import (
    bench,
    fidelity,
    intersections,
    judges,
    methods,
    personas,
    pluralism,
    preferences,
    prompts,
    runs,
    surveys,
    sweeps,
)
from .scores import differences, rates, shifts
from .style import is_blank
from .told import values

__all__ = [
    "bench",
    "differences",
    "fidelity",
    "intersections",
    "is_blank",
    "judges",
    "methods",
    "personas",
    "pluralism",
    "preferences",
    "prompts",
    "rates",
    "runs",
    "shifts",
    "surveys",
    "sweeps",
    "values",
]
