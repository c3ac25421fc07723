"""Margins that a census publishes: rake people's weights to them, and compare people with them.

Raking scales the weights of each margin's cells to the published counts, margin after margin, until all hold (Deming
and Stephan 1940). `data/published.yaml` has the margins of the U.S. Census Bureau for 2024. docs/census.md describes
the form of the file.
"""

from functools import cache
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
from pydantic import BaseModel, Field, StrictInt, StrictStr, TypeAdapter, ValidationError

from .. import UserError, files
from .distances import expected, stay_below
from .records import WEIGHT, weights

PUBLISHED = Path(__file__).parent / "data" / "published.yaml"
ROUNDS = 200  # times that each margin is met in turn
NEAR = 1e-4  # each share of a margin is at most so far from the published one

Label = Annotated[StrictStr, Field(min_length=1)]


class Span(BaseModel, extra="forbid"):
    """The numbers, or the labels in their order, from `from` to `to`, both included; a missing end is open."""

    low: StrictInt | Label | None = Field(default=None, alias="from")
    high: StrictInt | Label | None = Field(default=None, alias="to")


Cell = dict[Label, list[Label | None] | Span]  # attribute -> labels, None for missing, or a span; all must hold


class Value(BaseModel, extra="forbid"):
    """One value of a margin: how many people have it, and who they are."""

    count: int = Field(gt=0)
    of: Cell = Field(min_length=1)


class Margin(BaseModel, extra="forbid"):
    """A published table of counts. Everybody of its universe has exactly one of its values."""

    name: Label
    source: Label
    universe: Cell = {}
    estimated: bool = False  # no published table: people are raked to it, and not compared with it
    values: dict[Label, Value] = Field(min_length=2)

    @property
    def attributes(self) -> set[str]:
        """Return the names of the attributes that it needs."""
        return {name for cell in (self.universe, *(value.of for value in self.values.values())) for name in cell}

    @property
    def shares(self) -> np.ndarray:
        """Return the share of each value (values,), 0 to 1; they sum to 1."""
        counts = np.array([value.count for value in self.values.values()], dtype=float)
        return counts / counts.sum()

    def cells(self, people: pd.DataFrame) -> np.ndarray:
        """Return which of the values each person has (people,), by place; -1 outside the universe.

        Raises:
            UserError: the table lacks an attribute or a label; a person has no value, or several.
        """
        inside = _meets(people, self.universe)
        found = np.array([_meets(people, value.of) for value in self.values.values()])  # values x people
        times = found[:, inside].sum(axis=0)
        if (times != 1).any():
            several = "several" if (times > 1).any() else "none"
            raise UserError(
                f"{(times != 1).sum():,} people have {several} of the values of the margin {self.name}: correct its "
                "values or its universe."
            )
        return np.where(inside, found.argmax(axis=0), -1)


def load(path: str | Path = PUBLISHED) -> list[Margin]:
    """Return the margins of a YAML file; by default those of the U.S. Census Bureau, ACS 2024.

    Raises:
        UserError: the file is malformed.
    """
    try:
        return TypeAdapter(list[Margin]).validate_python(files.read_yaml(Path(path)))
    except ValidationError as error:
        raise UserError(f"{path}: {files.first_error(error)}") from error


def rake(people: pd.DataFrame, margins: list[Margin]) -> pd.Series:
    """Return people's weights such that all margins hold.

    Args:
        people: a table of people. They start from their `weight` if the table has that column, else from 1.
        margins: of these people. A margin of a part of them sets the shares within that part, not its size.

    Returns:
        Weights above 0 with mean 1, by the index of `people`.

    Raises:
        UserError: the weights are invalid; two margins have one name; nobody has a value that a margin counts; margins
            contradict each other.
    """
    start = weights(people)
    weight = np.ones(len(people)) if start is None else start / start.mean()
    names = [margin.name for margin in margins]
    if twice := [name for name in names if names.count(name) > 1]:
        raise UserError(f"two margins are called {twice[0]}: give each a name of its own.")
    cells = {margin.name: margin.cells(people) for margin in margins}
    for margin in margins:
        there = np.bincount(cells[margin.name] + 1, minlength=len(margin.values) + 1)[1:]
        if (there == 0).any():
            lacking = list(margin.values)[there.argmin()]
            raise UserError(f"nobody is {lacking!r} in the margin {margin.name}: join it with another value.")
    away: dict[str, float] = {}
    for _ in range(ROUNDS):
        for margin in margins:
            cell = cells[margin.name]
            now = np.bincount(cell + 1, weight, minlength=len(margin.values) + 1)[1:]  # values
            away[margin.name] = np.abs(now / now.sum() - margin.shares).max()
            factor = margin.shares * now.sum() / now
            weight *= np.append(factor, 1)[cell]  # -1, outside the universe, takes the last: 1
        if max(away.values(), default=0) < NEAR:
            return pd.Series(weight / weight.mean(), people.index, name=WEIGHT)
    worst = sorted(away, key=lambda name: away[name], reverse=True)[:2]
    told = " and ".join(f"{name} ({away[name]:.2%} off)" for name in worst)
    raise UserError(
        f"the margins can't hold together after {ROUNDS} rounds; look first at {told}: correct their counts."
    )


def compare(people: pd.DataFrame) -> pd.DataFrame:
    """Compare people with the Bureau's published tables.

    Args:
        people: a table of people with the census attributes, and `region of birth` (`personas.regions`) or not; they
            count by their `weight` if there is one. Margins of attributes that they lack are left out.

    Returns:
        One row per value of each margin: `margin`, `value`, `published` and `personas` (shares of the margin's
        universe, 0 to 1), `n` (people in the universe), `source`.
    """
    weight = weights(people)
    weight = np.ones(len(people)) if weight is None else weight
    rows = []
    for margin in (margin for margin in _published() if margin.attributes <= set(people)):
        cell = margin.cells(people)
        counts = np.bincount(cell + 1, weight, minlength=len(margin.values) + 1)[1:]  # values
        shares = counts / counts.sum() if counts.any() else np.full(len(counts), np.nan)
        told = zip(margin.values, margin.shares, shares, strict=True)
        rows += [
            (margin.name, value, published, ours, (cell >= 0).sum(), margin.source) for value, published, ours in told
        ]
    return pd.DataFrame(rows, columns=["margin", "value", "published", "personas", "n", "source"])


def by_margin(compared: pd.DataFrame) -> pd.DataFrame:
    """Return the distance of each margin to the published table, beside that of real people drawn at random.

    Args:
        compared: result of `compare`.

    Returns:
        Index: margins. Columns `categories`, `personas` (total variation distance, 0 to 1), `real people` (the mean
        distance of as many of them as there are personas in the margin's universe), `95 in 100` (what that many samples
        of real people stay below). Margins with nobody in their universe are left out.
    """
    rows = {}
    for name, margin in compared[compared["n"] > 0].groupby("margin", sort=False):
        published = margin[["margin", "published"]].set_axis(["attribute", "share"], axis=1)
        n = int(margin["n"].iloc[0])
        rows[name] = {
            "categories": len(margin),
            "personas": (margin["personas"] - margin["published"]).abs().sum() / 2,
            "real people": expected(published, n).iloc[0],
            "95 in 100": stay_below(published, n).iloc[0],
        }
    return pd.DataFrame.from_dict(rows, orient="index").astype({"categories": int})


def gain(compared: pd.DataFrame) -> pd.DataFrame:
    """Compute how much nearer personas are to published tables than as many real people, as a mean over tables.

    Args:
        compared: result of `by_margin`.

    Returns:
        One row: `estimate` (the mean difference of the distances, below 0 if personas are nearer), `low`, `high` (95%
        interval by Student's t, which takes the tables for a sample of tables), `n` (how many they are).
    """
    from statsmodels.stats.weightstats import DescrStatsW  # a second, for which drawing people need not wait

    differences = compared["personas"] - compared["real people"]
    told = DescrStatsW(differences)
    low, high = told.tconfint_mean()
    return pd.DataFrame({"estimate": [told.mean], "low": [low], "high": [high], "n": [len(differences)]})


@cache
def _published() -> list[Margin]:
    return [margin for margin in load() if not margin.estimated]


def _meets(people: pd.DataFrame, cell: Cell) -> np.ndarray:
    """Return who meets all conditions of a cell, as booleans (people,)."""
    found = np.ones(len(people), dtype=bool)
    for name, wanted in cell.items():
        if name not in people:
            raise UserError(f"the table of people lacks {name}, which a margin names.")
        values = people[name]
        labels = list(values.cat.categories) if isinstance(values.dtype, pd.CategoricalDtype) else None
        named = [wanted.low, wanted.high] if isinstance(wanted, Span) else wanted
        if labels and (unknown := [label for label in named if label is not None and label not in labels]):
            raise UserError(f"{name} has no label {unknown[0]}, which a margin names: it has {', '.join(labels)}.")
        if not isinstance(wanted, Span):
            found &= (values.isin(wanted) | (values.isna() if None in wanted else False)).to_numpy(dtype=bool)
            continue
        numbers = values.cat.codes.where(values.notna()).astype("Float64") if labels else values.astype("Float64")
        low, high = (labels.index(end) if labels and end is not None else end for end in (wanted.low, wanted.high))
        between = numbers.notna() & (numbers >= (-np.inf if low is None else low))
        found &= (between & (numbers <= (np.inf if high is None else high))).fillna(False).to_numpy(dtype=bool)
    return found
