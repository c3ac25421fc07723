"""PERSONA Bench: do answers improve when the model is told who asks, for whom, and what does it take?

Notebooks 06 to 10 draw items and answer them: `bench.items`, `bench.conditioning`; 06 compares the conditions:
`bench.contrasts`, `bench.human_contrasts`. Notebook 04 shows `leave_one_out` (which attributes matter), 07 `summaries`,
09 `groups` of people and their scores (`intersections`), 10 `comparison` (answers with a known owner). A new condition
is a template; a new task for inspect-ai goes into `inspect_tasks`. `given` judges answers that exist already. The
paper's sections 4.1 and 5.
"""

from . import comparison, given, groups, intersections, leave_one_out, summaries
from .conditions import CONDITIONS, answered, conditioning, items, lengths
from .effects import contrasts, human_contrasts, said

__all__ = [
    "CONDITIONS",
    "answered",
    "comparison",
    "conditioning",
    "contrasts",
    "given",
    "groups",
    "human_contrasts",
    "intersections",
    "items",
    "leave_one_out",
    "lengths",
    "said",
    "summaries",
]
