"""What the census doesn't say of a person: one ordered list of steps, drawn anew where a profile contradicts itself.

The paper's section 3.1 (enrich, then filter). Nobody is left out: whose profile breaks a rule keeps the census core and
gets the rest anew, a few times, and every time is counted. Used by `personas`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd

TRIES = 5  # draws of a profile that breaks a rule, after the first
REDRAWN = "redrawn"


@dataclass(frozen=True)
class Step:
    """Adds columns to people: `draw(people, seed)` sees the census columns and those of the steps before it."""

    draw: Callable[[pd.DataFrame, int], pd.DataFrame]
    columns: tuple[str, ...]


STEPS: tuple[Step, ...] = ()


def needed(where: str | None) -> tuple[Step, ...]:
    """The steps, from the first on, that a filter needs: up to the last with a column whose name it holds."""
    named = [place for place, step in enumerate(STEPS, start=1) if any(c in (where or "") for c in step.columns)]
    return STEPS[: max(named, default=0)]


def add(people: pd.DataFrame, seed: int, steps: Sequence[Step]) -> pd.DataFrame:
    """The people with the columns of these steps, replaced where they are there."""
    for step in steps:
        people = people.assign(**step.draw(people, seed)[list(step.columns)])
    return people


def complete(people: pd.DataFrame, seed: int, where: str | None = None) -> pd.DataFrame:
    """The people with the columns of all steps, and `redrawn`: how often they were drawn anew.

    Steps that a filter needed are left as they are.
    """
    people = add(people, seed, STEPS[len(needed(where)) :])
    return people.assign(**{REDRAWN: 0})
