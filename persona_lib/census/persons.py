"""Read census microdata as a table of labelled persons: the Bureau's files, or any others by a mapping."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from .. import UserError
from ..attributes import BY_NAME, CENSUS, OLDEST, Attribute
from . import mapping as mappings
from . import pums
from .coding import LARGEST
from .mapping import Mapping
from .records import WEIGHT

Files = str | Path | Sequence[str | Path]


def read_pums(files: Files) -> pd.DataFrame:
    """Read persons from the Bureau's files (American Community Survey, 1-year or 5-year, from 2018 on).

    Args:
        files: person files and their housing files, of one or several states, as CSV or zipped; or parquet files with
            the columns of both. Only the needed columns are read.

    Returns:
        One row per person and the columns of `attributes.CENSUS`: age in years, income in dollars (missing under 15;
        adjusted by ADJINC if the files have it), all others categorical with the Bureau's labels; not applicable is
        missing. After them, if the files have them: `state` (its name) and `weight` (PWGTP: how many people the person
        stands for). A parquet file without PWGTP counts each person the same. `.attrs` has `files`, `years`, `income`
        and `weights`.

    Raises:
        UserError: files are unreadable, do not belong together, lack columns, or have codes that the dictionary lacks.
    """
    table = pums.read(_paths(files))
    people = pd.DataFrame({name: _labelled(BY_NAME[name], table[BY_NAME[name].pums]) for name in CENSUS})
    if pums.STATE in table:
        people["state"] = _states(table[pums.STATE])
    if pums.WEIGHT in table:
        people[WEIGHT] = pums.numbers(table, pums.WEIGHT)
    people.attrs = table.attrs | {"weights": pums.WEIGHT if WEIGHT in people else "none"}
    return people


def read_mapped(files: Files, mapping: Mapping | str | Path) -> pd.DataFrame:
    """Read other microdata, of any country, by a mapping.

    Args:
        files: CSV (zipped or not) or parquet files with a row per person.
        mapping: a YAML file (docs/census.md describes its form), or the mapping that was read from it.

    Returns:
        One row per person, a column per attribute of the mapping, and `weight` if the mapping names its column.
        `.attrs` has `files`, `years` (as the files' names have them) and `weights`.

    Raises:
        UserError: the mapping or a file is malformed, or they do not match.
    """
    loaded = mappings.load(mapping)
    paths = _paths(files)
    people = mappings.read(paths, loaded)
    names = [path.name for path in paths]
    years = sorted(set(re.findall(r"(?:19|20)\d\d", " ".join(names))))
    people.attrs = {"files": names, "years": years, "weights": loaded.weight or "none"}
    return people


def _paths(files: Files) -> list[Path]:
    return [Path(file) for file in ([files] if isinstance(files, str | Path) else files)]


def _states(cells: pd.Series) -> pd.Series:
    """Return the names of the states as a categorical."""
    names = pd.read_csv(pums.STATES, index_col="code")["name"]
    if unknown := set(cells.unique()) - set(names.index):
        found = ", ".join(map(str, unknown))
        raise UserError(f"PUMS column STATE has codes of no known state ({found}): correct the file.")
    return pd.Series(pd.Categorical(cells.map(names), categories=names), index=cells.index)


def _labelled(attribute: Attribute, cells: pd.Series) -> pd.Series:
    """Return one PUMS column as numbers or as a categorical of the attribute's labels."""
    numbers = pd.to_numeric(cells, errors="coerce").astype("Float64")
    numbers = numbers.mask((numbers.abs() > LARGEST).fillna(False))
    numbers = numbers.round() if attribute.name == "income" else numbers.mask((numbers % 1 != 0).fillna(False))
    values = numbers.astype("Int64")
    known = values.notna() | (cells.isna() if attribute.universe != "everyone" else False)
    if attribute.name == "age":
        known = values.between(0, OLDEST).fillna(False)
    elif attribute.grouped:
        known &= values.isna() | (values >= min(attribute.codes))
    elif attribute.kind == "categorical":
        known &= values.isin(list(attribute.codes)) | values.isna()
    if not known.all():
        found = ", ".join(sorted("a gap" if pd.isna(cell) else str(cell) for cell in cells[~known].unique())[:9])
        raise UserError(
            f"PUMS column {attribute.pums} has codes that the dictionary lacks ({found}): correct the file."
        )
    if attribute.kind == "numeric":
        return values.astype("int64") if attribute.name == "age" else values
    # A grouped code stands for all codes from it up to the next; missing (-1) falls before the first and stays -1.
    index = np.searchsorted(list(attribute.codes), values.fillna(-1).to_numpy(dtype=int), side="right") - 1
    return pd.Series(pd.Categorical.from_codes(index, attribute.labels), index=cells.index)
