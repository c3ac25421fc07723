"""Read other microdata, of any country: a YAML mapping says which column is which attribute and what its codes mean.

docs/census.md describes the form of the file.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal
from zipfile import BadZipFile
from zlib import error as ZlibError

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from pydantic import BaseModel, Field, StrictFloat, StrictInt, StrictStr, ValidationError, model_validator

from .. import UserError, files
from ..attributes import Attribute
from . import sources
from .coding import LARGEST, MOST
from .records import WEIGHT
from .rules import Rule, rules_for

AGES = tuple(range(1, 121))  # bands of a number whose entry names no bands

Code = StrictInt | StrictFloat | StrictStr
Label = Annotated[StrictStr, Field(min_length=1)]


_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


def _code(cell: Any) -> float | str | None:
    """Return a code or a cell as they are compared: as a number where it is one, else as text; None if it is empty."""
    if isinstance(cell, str):
        text = cell.strip()
        return float(text) if _NUMBER.fullmatch(text) else text or None
    if pd.isna(cell):
        return None
    return float(cell) if isinstance(cell, int | float | np.number | np.bool_) else _code(str(cell))


class Span(BaseModel, extra="forbid"):
    """The numbers from `from` to `to`, both included; a missing end is open."""

    low: int | None = Field(default=None, alias="from")
    high: int | None = Field(default=None, alias="to")


Predicate = list[Label | None] | Span  # on one attribute of a person


class WrittenRule(BaseModel, extra="forbid"):
    """A rule as written: nobody who meets all predicates of `when` meets the one predicate of `never`."""

    never: dict[Label, Predicate] = Field(min_length=1, max_length=1)
    when: dict[Label, Predicate] = {}


class Entry(BaseModel, extra="forbid"):
    """One attribute: its column, and what the column contains."""

    column: str
    kind: Literal["categorical", "numeric"] = "categorical"
    codes: dict[Code, Label | None] = {}
    labels: list[Label] = []
    ordered: bool = False
    bands: list[StrictInt] = []
    round: int = Field(default=1, ge=1)
    missing: list[Code] = []
    universe: dict[Label, Predicate] = {}

    @model_validator(mode="after")
    def _whole(self) -> "Entry":
        if (self.kind == "categorical") != bool(self.codes or self.labels) or (self.codes and self.labels):
            raise ValueError("a categorical attribute needs either codes or labels, a numeric one neither")
        if sorted(set(self.bands)) != self.bands:
            raise ValueError("bands must be rising lower edges")
        self.codes |= {label: label for label in self.labels}
        for codes in (list(self.codes), self.missing):
            same = [_code(code) for code in codes]
            if twice := [str(code) for n, code in enumerate(codes) if same[n] in same[:n]]:
                raise ValueError(f"the code {twice[0]} stands twice: keep one")
        if both := [str(code) for code in self.missing if self._labels().get(_code(code)) is not None]:
            raise ValueError(f"the code {both[0]} has a label and is missing: keep one of the two")
        return self

    def _labels(self) -> dict[float | str | None, str | None]:
        """Return the label of each code, as `_code` writes it; None where the code means missing."""
        return {_code(code): label for code, label in self.codes.items()}

    def attribute(self, name: str) -> Attribute:
        """Return the attribute as the population model needs it."""
        labels = dict.fromkeys(label for label in self.codes.values() if label is not None)
        bands = (tuple(self.bands) or AGES) if self.kind == "numeric" else ()
        codes = dict(enumerate(labels, start=1))
        return Attribute(name, "census", self.kind, self.column, codes, "", False, self.ordered, bands, self.round)


class Mapping(BaseModel, extra="forbid"):
    """A whole mapping: `attributes` in the order of the table's columns, `order` as they are drawn."""

    attributes: dict[Label, Entry] = Field(min_length=1)
    weight: str | None = None
    order: list[Label] = []
    rules: list[WrittenRule] = []
    separator: str = Field(default=",", min_length=1, max_length=1)
    encoding: str = "utf-8"

    @model_validator(mode="after")
    def _known(self) -> "Mapping":
        if WEIGHT in self.attributes:
            raise ValueError(f"an attribute must not be called {WEIGHT}: that is the column of the persons' weights")
        named = {name for rule in self.rules for name in (*rule.never, *rule.when)} | set(self.order)
        named |= {name for entry in self.attributes.values() for name in entry.universe}
        if unknown := named - set(self.attributes):
            names = ", ".join(sorted(unknown))
            raise ValueError(f"no such attribute: {names}; the mapping has {', '.join(self.attributes)}")
        if self.order and sorted(self.order) != sorted(self.attributes):
            raise ValueError(f"order must name each attribute once: {', '.join(self.attributes)}")
        if large := [a.name for a in self.drawn() if a.size > MOST]:
            raise ValueError(f"more than {MOST - 1} labels or bands: {', '.join(large)}")
        self.compiled()
        return self

    def drawn(self) -> list[Attribute]:
        """Return the attributes in the order in which they are drawn."""
        return [self.attributes[name].attribute(name) for name in self.order or self.attributes]

    def compiled(self) -> list[Rule]:
        """Return the rules, and the universes as rules, in the form of `rules.RULES`.

        Without any, return the US rules on those attributes that are the same as ours.
        """
        known = {attribute.name: attribute for attribute in self.drawn()}
        rules: list[Rule] = []
        for rule in self.rules:
            if set(rule.never) <= set(rule.when):
                raise ValueError(f"a rule's when has the same attribute as its never: {', '.join(rule.never)}")
            rules.append({name: _mask(known[name], of) for name, of in (rule.when | rule.never).items()})
        for name, entry in self.attributes.items():
            asked = {other: _mask(known[other], predicate) for other, predicate in entry.universe.items()}
            missing = _mask(known[name], [None])
            # Inside the universe the value is never missing. Whoever fails one of its predicates never has a value.
            rules += [asked | {name: missing}] if asked else []
            rules += [{other: ~mask, name: ~missing} for other, mask in asked.items()]
        return rules or rules_for(known.values())


def _mask(attribute: Attribute, predicate: Predicate) -> np.ndarray:
    """Return, for each code of the attribute, whether the predicate holds."""
    if (attribute.kind == "numeric") != isinstance(predicate, Span) and predicate != [None]:
        raise ValueError(f"a predicate on {attribute.name} must be {'labels' if attribute.labels else 'from and to'}")
    if not isinstance(predicate, Span):
        codes = (None, *attribute.labels)
        if unknown := [str(label) for label in predicate if label not in codes]:
            raise ValueError(
                f"{attribute.name} has no label {', '.join(unknown)}: it has {', '.join(attribute.labels)}"
            )
        return np.isin(np.arange(attribute.size), [codes.index(label) for label in predicate])
    edges = attribute.bands
    # A predicate may end anywhere inside the lowest and the highest band, which have no outer edges.
    low = -np.inf if predicate.low is None or predicate.low < edges[0] else predicate.low
    end = np.inf if predicate.high is None or predicate.high >= edges[-1] else predicate.high + 1
    if cut := [edge for edge in (low, end) if np.isfinite(edge) and edge not in edges]:
        raise ValueError(f"a predicate on {attribute.name} cuts a band at {cut[0]}: make {cut[0]} one of its bands")
    inside = (np.array([-np.inf, *edges]) >= low) & (np.array([*edges, np.inf]) <= end)  # bands
    return np.concatenate([[False], inside])  # codes; a missing number is in no span


def load(mapping: Mapping | str | Path) -> Mapping:
    """Return a mapping from its YAML file, or the mapping itself.

    Raises:
        UserError: the mapping is malformed or names unknown attributes.
    """
    if isinstance(mapping, Mapping):
        return mapping
    try:
        return Mapping.model_validate(files.read_yaml(Path(mapping)))
    except ValidationError as error:
        hint = " (write true and false in quotes)" if isinstance(error.errors()[0]["input"], bool) else ""
        raise UserError(f"{mapping}: {files.first_error(error)}{hint}") from error


def read(paths: Sequence[Path], mapping: Mapping) -> pd.DataFrame:
    """Return one row per person, with a column per attribute, and `weight` if the mapping names its column.

    Raises:
        UserError: a file is unreadable, lacks a column, is empty, or has codes that the mapping lacks.
    """
    table = pd.concat([_read(path, mapping) for path in paths], ignore_index=True)
    entries = mapping.attributes.items()
    people = pd.DataFrame({name: _labelled(name, entry, table[entry.column]) for name, entry in entries})
    if mapping.weight:
        people[WEIGHT] = _numbers(mapping.weight, table[mapping.weight])
    return people


def _read(path: Path, mapping: Mapping) -> pd.DataFrame:
    """Return the columns of one file that the mapping names, as they are in the file."""
    columns = [entry.column for entry in mapping.attributes.values()]
    wanted = list(dict.fromkeys([*columns, *filter(None, [mapping.weight])]))
    with _readable(path):
        if path.suffix.lower() == ".parquet":
            there = pq.read_schema(path).names
            table = pq.read_table(path, columns=[name for name in wanted if name in there])
            parts = [table.to_pandas(ignore_metadata=True)]  # also what pandas wrote as an index
        elif files.is_table(path) and files.suffix(path) != ".csv":
            parts = [files.read_table(path).reset_index()]
        else:
            form = (mapping.separator, mapping.encoding)
            parts = [sources.cells(stream, wanted, *form) for stream in sources.streams(path, mapping.encoding)]
    if lacking := [column for column in wanted if any(column not in part for part in parts)]:
        raise UserError(
            f"{path} lacks the columns {', '.join(lacking)} that the mapping names: correct one of the two, or the "
            "mapping's separator."
        )
    table = pd.concat(parts, ignore_index=True)[wanted]
    if table.empty:
        raise UserError(f"{path} has no rows: name a file that has people.")
    texts = table.columns[[kind == "object" for kind in table.dtypes]]
    if nested := [name for name in texts if table[name].map(pd.api.types.is_list_like).any()]:
        raise UserError(f"{path} has lists in the column {nested[0]}: write one code in each cell.")
    return table


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Raise one UserError for whatever makes a file unreadable."""
    try:
        yield
    except (OSError, ValueError, LookupError, BadZipFile, EOFError, ZlibError) as error:
        form = "parquet" if files.suffix(path) == ".parquet" else "CSV"
        raise UserError(f"{files.unreadable(path, form, error)}: see separator and encoding in the mapping.") from error


def _labelled(name: str, entry: Entry, cells: pd.Series) -> pd.Series:
    """Return one column as whole numbers, or as a categorical of the attribute's labels.

    Codes and cells are compared as numbers where both are: 9 is also "09", " 9" and 9.0.
    """
    codes = {cell: _code(cell) for cell in cells.unique()}
    missing = {None, *map(_code, entry.missing)}
    known = cells.mask(cells.map({cell: code in missing for cell, code in codes.items()}).astype(bool))
    if entry.kind == "numeric":
        return _numbers(entry.column, known).round().astype("Int64")
    labels = entry._labels()
    if unknown := [cell for cell, code in codes.items() if code not in missing and code not in labels]:
        found = ", ".join(sorted(map(str, unknown))[:9])
        raise UserError(f"column {entry.column} has codes that the mapping lacks ({found}): add them to {name}.")
    said = known.map({cell: labels.get(code) for cell, code in codes.items()})
    return pd.Series(pd.Categorical(said, categories=entry.attribute(name).labels), index=cells.index)


def _numbers(column: str, cells: pd.Series) -> pd.Series:
    """Return cells as Float64. Raise UserError for cells that are no numbers, or none of this world."""
    written = cells.astype("str") if pd.api.types.is_datetime64_any_dtype(cells) else cells
    values = pd.to_numeric(written, errors="coerce").astype("Float64")
    values = values.mask(values.abs() > LARGEST)
    if (unreadable := cells[values.isna() & cells.notna()]).size:
        found = ", ".join(map(str, unreadable.unique()[:9]))
        raise UserError(f"column {column} has values that are not numbers ({found}): correct the file or the mapping.")
    return values
