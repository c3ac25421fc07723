"""Estimates in the tables of notebooks, each with its planted value."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import pandas as pd

from .effects import Effects

Tables = Mapping[str, pd.DataFrame]


class Estimate(NamedTuple):
    """An estimate and its planted value.

    `null` is the value of no effect, None for a rate that has none. `p` is the p-value of no effect, as the notebook
    corrects it for its number of tests: 1 where it is not estimable, None where the notebook corrects nothing.
    """

    effect: str
    planted: float
    estimate: float
    low: float
    high: float
    n: int
    null: float | None = None
    p: float | None = None


class Setting(NamedTuple):
    """What the planted values depend on: the effects, and the notebook's parameters."""

    effects: Effects
    parameters: Mapping[str, Any]

    @property
    def words(self) -> int | None:
        """The length that was asked of answers."""
        return self.parameters.get("words")


def rows(
    table: pd.DataFrame | None, planted: Callable[[Any], float | None], name: Callable[[Any], str], **columns: Any
) -> Iterator[Estimate]:
    """Yield the rows of a table whose planted value is known.

    Args:
        table: of a notebook; None yields nothing.
        planted: gives a row's planted value, or None.
        name: gives the effect's name.
        columns: the columns of `estimate`, `low` and `high` where they have other names, and `null`.
    """
    if table is None:
        return
    null = columns.pop("null", None)
    names = {"estimate": "rate", "low": "low", "high": "high"} | columns
    for row in table.reset_index().to_dict("records"):
        value = planted(row)
        if value is not None:
            estimate, low, high = (row[names[end]] for end in ("estimate", "low", "high"))
            p = None if null is None or "p_holm" not in row else 1.0 if pd.isna(row["p_holm"]) else row["p_holm"]
            yield Estimate(name(row), value, estimate, low, high, row.get("n", 0), null, p)


DIFFERENCE = {"estimate": "difference", "null": 0.0}
