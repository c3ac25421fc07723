"""Figures: a tidy table in, the Axes out; one room for each wing that is drawn. Nothing here knows a model or a file.

Every notebook opens this wing. `plots.rates` and `plots.differences` are shared by most; the others are called by the
wing that they draw, as `plots.bench.losses`. A new figure of 05 goes into `fidelity`; the shared look is `style`.
"""

from . import bench, fidelity, intersections, judges, personas, preferences, prompts
from .scores import differences, rates

__all__ = [
    "bench",
    "differences",
    "fidelity",
    "intersections",
    "judges",
    "personas",
    "preferences",
    "prompts",
    "rates",
]
