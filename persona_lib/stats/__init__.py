"""Statistics: rates, paired differences, agreement, pass@k and power, each with a 95% interval. Tables in, tables out.

Nothing in this wing asks a model or reads a file. Items share personas and prompts, so all intervals are clustered by
both. Notebooks 03, 04, 06, 08, 09 and 10 open it: `stats.rates`, `stats.paired_differences`,
`stats.minimum_detectable`. The functions of pass@k are in their own modules: `stats.passk.curves`, and
`stats.judged.corrected` for a judge that errs. `share`, `points` and `number` write an estimate with its interval and n
as text; `extremes`, `span` and `clear` sum a table up.
"""

from . import agreement, intervals, judged, passk
from .agreement import among, coefficients, cohen_kappa, kappa_matrix, spread
from .clustering import effective
from .contrasts import at_equal_length, length_controlled, logistic
from .intervals import ITEM, corrected, paired_differences, rate, rates
from .passk import pass_at_k
from .power import minimum_detectable, sample_size
from .wording import clear, extremes, listed, number, percent, points, share, span

__all__ = [
    "ITEM",
    "agreement",
    "among",
    "at_equal_length",
    "clear",
    "coefficients",
    "cohen_kappa",
    "corrected",
    "effective",
    "extremes",
    "intervals",
    "judged",
    "kappa_matrix",
    "length_controlled",
    "listed",
    "logistic",
    "minimum_detectable",
    "number",
    "paired_differences",
    "pass_at_k",
    "passk",
    "percent",
    "points",
    "rate",
    "rates",
    "sample_size",
    "share",
    "span",
    "spread",
]
