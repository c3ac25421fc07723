"""PERSONA Bench: do answers improve when the model is told who asks, for whom, and what does it take?

Notebook 00 asks a question for a person and for the same person changed: `bench.asker`, `bench.ask_both`, `bench.keep`.
Notebooks 06 to 10 draw items and answer them: `bench.items`, `bench.conditioning`; 06 compares the conditions:
`bench.contrasts`, `bench.human_contrasts`. Notebook 04 shows `leave_one_out` (which attributes matter), 07 `summaries`,
09 `groups` of people and their scores (`intersections`), 10 `comparison` (answers with a known owner). A new condition
is a template; a new task for inspect-ai goes into `inspect_tasks`. `given` judges answers that exist already. The
paper's sections 4.1 and 5.
"""

from typing import TYPE_CHECKING, Any

from . import comparison, given, groups, intersections, leave_one_out, summaries
from .asking import ask_both, keep
from .conditions import CONDITIONS, IN_WORDS, answered, conditioning, items, judged, lengths
from .effects import contrasts, human_contrasts, said

if TYPE_CHECKING:
    from .asking_widget import asker

__all__ = [
    "CONDITIONS",
    "IN_WORDS",
    "answered",
    "ask_both",
    "asker",
    "comparison",
    "conditioning",
    "contrasts",
    "given",
    "groups",
    "human_contrasts",
    "intersections",
    "items",
    "judged",
    "keep",
    "leave_one_out",
    "lengths",
    "said",
    "summaries",
]


def __getattr__(name: str) -> Any:
    """Load `asker` at first use."""
    if name == "asker":
        from .asking_widget import asker  # it loads widgets, which commands need not wait for

        return asker
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
