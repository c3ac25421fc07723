"""Statistics: rates, differences, agreement, pass@k and power, each with a 95% interval. Tables in, tables out.

Nothing here knows a model or a file. Items share personas and prompts, so intervals are clustered by both. Every
notebook that scores opens this wing: `stats.rates`, `stats.paired_differences`, `stats.cohen_kappa`. The functions of
pass@k are called as `stats.passk.curves`.
"""

from . import agreement, intervals, passk
from .agreement import among, coefficients, cohen_kappa, kappa_matrix, spread
from .contrasts import length_controlled, logistic
from .intervals import ITEM, LEVEL, corrected, difference, effective, paired_differences, rate, rates
from .passk import pass_at_k
from .power import minimum_detectable, sample_size

__all__ = [
    "ITEM",
    "LEVEL",
    "agreement",
    "among",
    "coefficients",
    "cohen_kappa",
    "corrected",
    "difference",
    "effective",
    "intervals",
    "kappa_matrix",
    "length_controlled",
    "logistic",
    "minimum_detectable",
    "paired_differences",
    "pass_at_k",
    "passk",
    "rate",
    "rates",
    "sample_size",
    "spread",
]
