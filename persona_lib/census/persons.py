"""Census microdata as a table of labelled persons: the Bureau's files, or any other's by a mapping."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from .. import UserError
from ..attributes import BY_NAME, CENSUS, OLDEST, Attribute
from . import mapping as mappings
from . import pums
from .mapping import Mapping
from .records import WEIGHT

Files = str | Path | Sequence[str | Path]


def read_pums(files: Files) -> pd.DataFrame:
    """Read persons from the Bureau's files (American Community Survey, 1-year or 5-year, from 2018 on).

    `files`: person files and their housing files, of one or several states, as CSV or zipped; or parquet files that
    hold both. Only the needed columns are read.

    Returns one row per person and the columns of `attributes.CENSUS`: age in years, income in dollars (missing
    under 15; adjusted by ADJINC where the files have it), all others categorical with the Bureau's labels; not
    applicable is missing. After them, where the files have them: `state` (its name) and `weight` (PWGTP: how many
    people the person stands for). A parquet file without PWGTP counts each person the same. `.attrs` says where it
    comes from. Raises UserError for files that can't be read, don't belong together, lack columns or have codes that
    the dictionary lacks.
    """
    table = pums.read(_paths(files))
    people = pd.DataFrame({name: _labelled(BY_NAME[name], table[BY_NAME[name].pums]) for name in CENSUS})
    if pums.STATE in table:
        people["state"] = _states(table[pums.STATE])
    if pums.WEIGHT in table:
        people[WEIGHT] = table[pums.WEIGHT].astype("Float64")
    people.attrs = table.attrs | {"weights": pums.WEIGHT if WEIGHT in people else "none"}
    return people


def read_mapped(files: Files, mapping: Mapping | str | Path) -> pd.DataFrame:
    """Read other microdata, of any country, as a mapping says (a YAML file; docs/census.md describes its form).

    Returns one row per person, a column per attribute of the mapping, and `weight` where it names one. Raises
    UserError for a mapping or files that are malformed or don't fit each other.
    """
    form, paths = mappings.load(mapping), _paths(files)
    people = mappings.read(paths, form)
    names = [path.name for path in paths]
    years = sorted(set(re.findall(r"(?:19|20)\d\d", " ".join(names))))
    people.attrs = {"files": names, "years": years, "weights": form.weight or "none"}
    return people


def _paths(files: Files) -> list[Path]:
    return [Path(file) for file in ([files] if isinstance(files, str | Path) else files)]


def _states(cells: pd.Series) -> pd.Series:
    names = pd.read_csv(pums.STATES, index_col="code")["name"]
    if strange := set(cells.unique()) - set(names.index):
        raise UserError(
            f"PUMS column STATE has codes that are no state ({', '.join(map(str, strange))}): mend the file."
        )
    return pd.Series(pd.Categorical(cells.map(names), categories=names), index=cells.index)


def _labelled(attribute: Attribute, cells: pd.Series) -> pd.Series:
    """One PUMS column as numbers or as a categorical of the attribute's labels."""
    values = pd.to_numeric(cells, errors="coerce").astype("Int64")
    known = values.notna() | cells.isna()
    if attribute.name == "age":
        known = values.between(0, OLDEST).fillna(False)
    elif attribute.grouped:
        known &= values.isna() | (values >= min(attribute.codes))
    elif attribute.kind == "categorical":
        known &= values.isin(list(attribute.codes)) | values.isna()
    if not known.all():
        strange = ", ".join(sorted(map(str, cells[~known].unique()))[:9])
        raise UserError(f"PUMS column {attribute.pums} has codes that the dictionary lacks ({strange}): mend the file.")
    if attribute.kind == "numeric":
        return values.astype("int64") if attribute.name == "age" else values
    index = np.searchsorted(list(attribute.codes), values.fillna(-1).to_numpy(dtype=int), side="right") - 1
    return pd.Series(pd.Categorical.from_codes(index, attribute.labels), index=cells.index)
