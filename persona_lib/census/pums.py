"""Read the Census Bureau's microdata files, as published, into one table of persons with the Bureau's codes.

Each state has a person file and a housing file (csv_pwy.zip, psam_h56.csv, ...; the national ones come in several
parts), joined on SERIALNO. One parquet file with the columns of both works as well, and so does an extract from the
Bureau's API. Any 1-year or 5-year file from 2018 on: renamed columns are read under each of their names, and FPARC is
derived if a release lacks it.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from .. import UserError, files
from .parts import FACTOR, HOUSEHOLD, PERSON, RELATED, SERIAL, STATE, WEIGHT, Part, check, span
from .parts import read as read_part

__all__ = ["PERSON", "STATE", "STATES", "WEIGHT", "check", "numbers", "read"]
STATES = Path(__file__).parent / "data" / "states.csv"  # the Bureau's code, postal code and name of each
LONGEST = 5  # years that a release covers
FACTORS = (0.9, 1.5)  # what ADJINC can be; the Bureau's files have it times a million


def read(paths: Sequence[Path]) -> pd.DataFrame:
    """Read persons and their households.

    Returns:
        One row per person, with the codes of the columns in `PERSON` and `HOUSEHOLD`, and STATE and PWGTP if the files
        have them. PINCP is multiplied by ADJINC / 1,000,000 if the files have it. `.attrs` has `files`, `years` and
        `income` (whether it was adjusted).

    Raises:
        UserError: files are unreadable, do not belong together, are empty, or lack columns.
    """
    parts = [part for path in paths for part in read_part(path)]
    persons, housing = _sort(parts)
    _check_columns(persons, housing)
    table = pd.concat([part.table for part in persons], ignore_index=True)
    if SERIAL in table and "SPORDER" in table and table.duplicated([SERIAL, "SPORDER"]).any():
        raise UserError("the same persons occur twice: name each file once, zipped or not.")
    if housing:
        table = _joined(table, housing)
    if "FPARC" not in table:
        table["FPARC"] = _children(table)
    if FACTOR in table:
        table["PINCP"] = (numbers(table, "PINCP") * _factors(table[FACTOR])).round()
    table.attrs = {
        "files": [path.name for path in paths],
        "years": sorted({year for part in parts for year in part.years}),
        "income": "adjusted by ADJINC" if FACTOR in table else "as reported (no ADJINC)",
    }
    return table


def numbers(table: pd.DataFrame, column: str) -> pd.Series:
    """Return a column as Float64.

    Raises:
        UserError: a cell is no number.
    """
    values = pd.to_numeric(table[column], errors="coerce").astype("Float64")
    if (wrong := (values.isna() & table[column].notna()) | values.abs().eq(np.inf).fillna(False)).any():
        found = ", ".join(sorted(map(str, table.loc[wrong, column].unique()))[:9])
        raise UserError(f"PUMS column {column} has codes that the dictionary lacks ({found}): correct the file.")
    return values


def _factors(cells: pd.Series) -> pd.Series:
    """Return ADJINC as a factor, from the Bureau's millionths or from its API's decimals.

    Raises:
        UserError: a cell is neither, or there is a gap.
    """
    given = pd.to_numeric(cells, errors="coerce").astype("Float64")
    factors = given.where(given < 1e3, given / 1e6)
    if (wrong := ~factors.between(*FACTORS).fillna(False)).any():
        found = ", ".join("a gap" if pd.isna(cell) else str(cell) for cell in cells[wrong].unique()[:5])
        raise UserError(
            f"PUMS column {FACTOR} has {wrong.sum():,} values that are no factor, such as {found}: a factor is from "
            f"{FACTORS[0]} to {FACTORS[1]}, or that in millionths; correct the file, or leave the column out."
        )
    return factors


def _sort(parts: list[Part]) -> tuple[list[Part], list[Part]]:
    """Return the files of persons and those of housing units.

    Raises:
        UserError: there are no persons, or the files cover different years.
    """
    persons = [part for part in parts if not part.of_housing]
    housing = [part for part in parts if part.of_housing]
    if not persons:
        names = ", ".join(part.name for part in housing)
        raise UserError(f"{names or 'no file'} has housing units and no persons: name the person file too (csv_p...).")
    years = [{int(year) for year in part.years} for part in parts if part.years]
    of_one_year = {len(part.years) == 1 for part in persons if part.years}
    every = set[int]().union(*years)
    long = max(every) - min(every) >= LONGEST if every else False
    # An extract need not have people of each year of its period, and vacant homes are of others.
    if len(of_one_year) > 1 or long or any(not one & other for one in years for other in years):
        named = ", ".join(f"{part.name} {span(part.years)}" for part in parts)
        raise UserError(f"the files cover different years ({named}): name files of one year or one 5-year period.")
    return persons, housing


def _check_columns(persons: list[Part], housing: list[Part]) -> None:
    """Raise UserError if a file lacks needed columns, or columns that other files of its kind have."""
    for part in persons:
        # Persons in the Bureau's CSV files are sampled with unequal probabilities, so they need their weights.
        needed = [*PERSON, *([] if files.suffix(part.name) == ".parquet" else [WEIGHT])]
        households = HOUSEHOLD[:2] if SERIAL in part.table else HOUSEHOLD
        needed += [SERIAL] if housing else households
        lacking = [column for column in needed if column not in part.table]
        if lacking and set(lacking) <= set(HOUSEHOLD):
            raise UserError(
                f"{part.name} lacks the household's {', '.join(lacking)}: name the housing file too (csv_h...)."
            )
        if lacking:
            raise UserError(
                f"{part.name} lacks the PUMS columns {', '.join(lacking)}: name a file of persons that has them."
            )
    for part in housing:
        if lacking := [column for column in (SERIAL, *HOUSEHOLD[:2]) if column not in part.table]:
            raise UserError(f"{part.name} lacks the PUMS columns {', '.join(lacking)}: name a file that has them.")
    for group in (persons, housing):
        every = {column for part in group for column in part.table}
        for part in group:
            if lacking := sorted(every - set(part.table)):
                raise UserError(
                    f"{part.name} lacks {', '.join(lacking)}, unlike the others: name files of one release."
                )


def _joined(persons: pd.DataFrame, housing: list[Part]) -> pd.DataFrame:
    """Return persons with the columns of their household.

    Raises:
        UserError: a housing file matches no person, a household occurs twice, or a person has no household.
    """
    homes = set(persons[SERIAL])  # pandas' isin takes longer than all else
    for part in housing:
        if homes.isdisjoint(part.table[SERIAL]):
            raise UserError(
                f"nobody lives in the households of {part.name}: name the person file of the same state too."
            )
    units = pd.concat([part.table for part in housing], ignore_index=True)
    if units[SERIAL].duplicated().any():
        raise UserError("the same households occur twice: name each file once, zipped or not.")
    own = [column for column in units if column in HOUSEHOLD]
    table = persons.drop(columns=[c for c in own if c in persons]).merge(
        units[[SERIAL, *own]], how="left", on=SERIAL, indicator="found"
    )
    homeless = table["found"] == "left_only"
    if homeless.any():
        first = table.loc[homeless, SERIAL].iloc[0]
        raise UserError(
            f"{homeless.sum():,} persons have no household (such as {first}): name the housing file of each state too."
        )
    return table.drop(columns="found")


def _children(table: pd.DataFrame) -> pd.Series:
    """Derive FPARC from the ages of the household's members under 18 who are related to the householder.

    It is the Bureau's definition. In files without a relationship column, all members but the householder count as
    related.
    """
    named = [column for column in RELATED if column in table]
    related = table["SPORDER"] > 1 if "SPORDER" in table else pd.Series(True, index=table.index)
    if named:  # a 5-year file may have one for its first years and the other for its last
        related = pd.DataFrame({column: table[column].isin(RELATED[column]) for column in named}).any(axis=1)
    ages = numbers(table, "AGEP")
    under_5 = related & (ages < 5).fillna(False)
    from_5_to_17 = related & ages.between(5, 17).fillna(False)
    homes = table[SERIAL]
    young, older = (group.astype(bool).groupby(homes).transform("max") for group in (under_5, from_5_to_17))
    code = np.select([young & older, young, older], [3, 1, 2], 4)
    return pd.Series(code, index=table.index, dtype="Int32").where(table["HHT"].isin([1, 2, 3]))
