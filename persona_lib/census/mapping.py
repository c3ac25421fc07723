"""Other microdata, of any country: a YAML file says which columns are which attributes, and what their codes mean.

docs/census.md describes its form. Used by `census`; to try it: `census.read_mapped(files, "mapping.yaml")`.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal
from zipfile import BadZipFile

import numpy as np
import pandas as pd
from pydantic import BaseModel, Field, StrictInt, StrictStr, ValidationError, model_validator

from .. import UserError, files
from ..attributes import Attribute
from .coding import MOST
from .records import WEIGHT
from .rules import Rule, rules_for

AGES = tuple(range(1, 121))  # bands of a number that names none

Code = StrictInt | StrictStr
Label = Annotated[StrictStr, Field(min_length=1)]


class Span(BaseModel, extra="forbid"):
    """Numbers from and to, both included."""

    low: int | None = Field(default=None, alias="from")
    high: int | None = Field(default=None, alias="to")


Condition = list[Label | None] | Span


class WrittenRule(BaseModel, extra="forbid"):
    """Nobody for whom all of `when` holds has one of the values of `never`."""

    never: dict[Label, Condition] = Field(min_length=1, max_length=1)
    when: dict[Label, Condition] = {}


class Entry(BaseModel, extra="forbid"):
    """One attribute: its column, and what is in it."""

    column: str
    kind: Literal["categorical", "numeric"] = "categorical"
    codes: dict[Code, Label | None] = {}
    labels: list[Label] = []
    ordered: bool = False
    bands: list[StrictInt] = []
    round: int = Field(default=1, ge=1)
    missing: list[Code] = []
    universe: dict[Label, Condition] = {}

    @model_validator(mode="after")
    def _whole(self) -> "Entry":
        if (self.kind == "categorical") != bool(self.codes or self.labels) or (self.codes and self.labels):
            raise ValueError("a categorical attribute needs either codes or labels, a numeric one neither")
        if sorted(set(self.bands)) != self.bands:
            raise ValueError("bands must be rising lower edges")
        self.codes |= {label: label for label in self.labels}
        return self

    def attribute(self, name: str) -> Attribute:
        """What the population model needs to know of it."""
        labels = dict.fromkeys(label for label in self.codes.values() if label is not None)
        bands = (tuple(self.bands) or AGES) if self.kind == "numeric" else ()
        codes = dict(enumerate(labels, start=1))
        return Attribute(name, "census", self.kind, self.column, codes, "", False, self.ordered, bands, self.round)


class Mapping(BaseModel, extra="forbid"):
    """A whole mapping: attributes in the order of the table's columns, and in `order` that in which they are drawn."""

    attributes: dict[Label, Entry] = Field(min_length=1)
    weight: str | None = None
    order: list[Label] = []
    rules: list[WrittenRule] = []
    separator: str = ","
    encoding: str = "utf-8"

    @model_validator(mode="after")
    def _known(self) -> "Mapping":
        if WEIGHT in self.attributes:
            raise ValueError(f"an attribute can't be called {WEIGHT}: that is the column of the persons' weights")
        named = {name for rule in self.rules for name in (*rule.never, *rule.when)} | set(self.order)
        named |= {name for entry in self.attributes.values() for name in entry.universe}
        if unknown := named - set(self.attributes):
            raise ValueError(f"no such attribute: {', '.join(sorted(unknown))}; there are {', '.join(self.attributes)}")
        if self.order and sorted(self.order) != sorted(self.attributes):
            raise ValueError(f"order must name each attribute once: {', '.join(self.attributes)}")
        if large := [a.name for a in self.drawn() if a.size > MOST]:
            raise ValueError(f"more than {MOST - 1} labels or bands: {', '.join(large)}")
        self.compiled()
        return self

    def drawn(self) -> list[Attribute]:
        """The attributes in the order in which they are drawn."""
        return [self.attributes[name].attribute(name) for name in self.order or self.attributes]

    def compiled(self) -> list[Rule]:
        """Its rules and universes as `universe` has them; without any, the US rules on attributes that are the US's."""
        known = {attribute.name: attribute for attribute in self.drawn()}
        rules = []
        for rule in self.rules:
            if set(rule.never) <= set(rule.when):
                raise ValueError(f"a rule's when speaks of the same attribute as its never: {', '.join(rule.never)}")
            rules.append({name: _mask(known[name], of) for name, of in (rule.when | rule.never).items()})
        for name, entry in self.attributes.items():
            asked = {other: _mask(known[other], condition) for other, condition in entry.universe.items()}
            missing = _mask(known[name], [None])
            rules += [asked | {name: missing}] if asked else []
            rules += [{other: ~mask, name: ~missing} for other, mask in asked.items()]
        return rules or rules_for(known.values())


def _mask(attribute: Attribute, condition: Condition) -> np.ndarray:
    """For each code of the attribute, whether the condition holds."""
    if (attribute.kind == "numeric") != isinstance(condition, Span) and condition != [None]:
        raise ValueError(f"a condition on {attribute.name} must be {'labels' if attribute.labels else 'from and to'}")
    if not isinstance(condition, Span):
        if strange := [label for label in condition if label not in (None, *attribute.labels)]:
            raise ValueError(
                f"{attribute.name} has no label {', '.join(strange)}: it has {', '.join(attribute.labels)}"
            )
        return np.isin(np.arange(attribute.size), [(None, *attribute.labels).index(label) for label in condition])
    edges = attribute.bands
    # The lowest and the highest band are taken to end where the condition does.
    low = -np.inf if condition.low is None or condition.low < edges[0] else condition.low
    end = np.inf if condition.high is None or condition.high >= edges[-1] else condition.high + 1
    if cut := [edge for edge in (low, end) if np.isfinite(edge) and edge not in edges]:
        raise ValueError(f"a condition on {attribute.name} cuts a band at {cut[0]}: make {cut[0]} one of its bands")
    inside = (np.array([-np.inf, *edges]) >= low) & (np.array([*edges, np.inf]) <= end)
    return np.concatenate([[False], inside])


def load(mapping: Mapping | str | Path) -> Mapping:
    """A mapping from its YAML file. Raises UserError for one that is malformed or names unknown attributes."""
    if isinstance(mapping, Mapping):
        return mapping
    try:
        return Mapping.model_validate(files.read_yaml(Path(mapping)))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        hint = " (write yes, no, on, off in quotes)" if "bool" in str(type(first["input"])) else ""
        said = first["msg"].removeprefix("Value error, ")
        raise UserError(f"{mapping}: {where + ': ' if where else ''}{said}{hint}") from error


def read(paths: Sequence[Path], mapping: Mapping) -> pd.DataFrame:
    """One row per person and a column per attribute, and `weight` where the mapping names its column."""
    table = pd.concat([_read(path, mapping) for path in paths], ignore_index=True)
    people = pd.DataFrame({name: _labelled(name, e, table[e.column]) for name, e in mapping.attributes.items()})
    if mapping.weight:
        people[WEIGHT] = _numbers(mapping.weight, table[mapping.weight])
    return people


def _read(path: Path, mapping: Mapping) -> pd.DataFrame:
    wanted = list(dict.fromkeys([*(e.column for e in mapping.attributes.values()), *filter(None, [mapping.weight])]))
    options: dict[str, Any] = {"sep": mapping.separator, "encoding": mapping.encoding}
    with _readable(path):
        if path.suffix == ".parquet":
            import pyarrow.parquet as pq

            there = pq.read_schema(path).names
        else:
            there = pd.read_csv(path, nrows=0, **options).columns
    if lacking := [column for column in wanted if column not in there]:
        raise UserError(f"{path} lacks the columns {', '.join(lacking)} that the mapping names: mend one of the two.")
    with _readable(path):
        if path.suffix == ".parquet":
            table = pd.read_parquet(path, columns=wanted)
        else:
            table = pd.read_csv(path, usecols=wanted, dtype="str", keep_default_na=False, na_values=[""], **options)
    if table.empty:
        raise UserError(f"{path} holds no rows: name a file that has people.")
    return table


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, LookupError, BadZipFile) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{path} can't be read ({reason}): see separator and encoding in the mapping.") from error


def _labelled(name: str, entry: Entry, cells: pd.Series) -> pd.Series:
    attribute = entry.attribute(name)
    if entry.kind == "numeric":
        values = _numbers(entry.column, cells.mask(cells.isin([*entry.missing, *map(str, entry.missing)])))
        return values.round().astype("Int64")
    codes = pd.to_numeric(cells, errors="coerce") if all(isinstance(code, int) for code in entry.codes) else cells
    strange = cells.notna() & ~codes.isin(list(entry.codes))
    if strange.any():
        found = ", ".join(sorted(map(str, cells[strange].unique()))[:9])
        raise UserError(f"column {entry.column} has codes that the mapping lacks ({found}): add them to {name}.")
    return pd.Series(pd.Categorical(codes.map(entry.codes), categories=attribute.labels), index=cells.index)


def _numbers(column: str, cells: pd.Series) -> pd.Series:
    values = pd.to_numeric(cells, errors="coerce").astype("Float64")
    if (strange := cells[values.isna() & cells.notna()]).size:
        raise UserError(
            f"column {column} has values that are no numbers ({', '.join(map(str, strange.unique()[:9]))})."
        )
    return values
