"""Read the Census Bureau's microdata files, as published, into one table of persons with the Bureau's codes.

Each state has a person file and a housing file (csv_pwy.zip, psam_h56.csv, ...; the national ones come in several
parts), joined on SERIALNO. One parquet file with the columns of both works as well. Any 1-year or 5-year file from 2018
on: renamed columns are read under each of their names, and FPARC is derived if a release lacks it.
"""

import csv
import io
import re
import zlib
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast
from zipfile import BadZipFile, ZipExtFile, ZipFile

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv as pa_csv

from .. import UserError, files
from ..attributes import BY_NAME, CENSUS

STATES = Path(__file__).parent / "data" / "states.csv"  # the Bureau's code, postal code and name of each
HOUSEHOLD = ("HHT", "HHL", "FPARC")  # of the household; FPARC is derived if a release lacks it
PERSON = tuple(column for name in CENSUS if (column := BY_NAME[name].pums) not in HOUSEHOLD)
WEIGHT = "PWGTP"
FACTOR = "ADJINC"
STATE = "STATE"
SERIAL = "SERIALNO"
RENAMED = {"ST": STATE}  # until 2022
# Codes of relatives of the householder by blood, marriage or adoption, without the spouse: until 2018, and since.
RELATED = {"RELP": range(2, 11), "RELSHIPP": range(25, 34)}
WANTED = {*PERSON, *HOUSEHOLD, WEIGHT, FACTOR, STATE, SERIAL, "SPORDER", *RELATED}
# ArrowInvalid and UnicodeDecodeError are ValueErrors.
UNREADABLE = (OSError, BadZipFile, zlib.error, EOFError, ValueError)

Stream = io.BufferedReader | ZipExtFile


@dataclass
class Part:
    """One file: its name, the years that it says it covers, and its table."""

    name: str
    years: tuple[str, ...]
    table: pd.DataFrame

    @property
    def of_housing(self) -> bool:
        """Return whether it has housing units and no persons."""
        return is_housing(self.table.columns)


def is_housing(columns: Collection[str]) -> bool:
    """Return whether a file with these columns has housing units and no persons."""
    return "HHT" in columns and not set(PERSON) & set(columns)


def read(paths: Sequence[Path]) -> pd.DataFrame:
    """Read persons and their households.

    Returns:
        One row per person, with the codes of the columns in `PERSON` and `HOUSEHOLD`, and STATE and PWGTP if the files
        have them. PINCP is multiplied by ADJINC / 1,000,000 if the files have it. `.attrs` has `files`, `years` and
        `income` (whether it was adjusted).

    Raises:
        UserError: files are unreadable, do not belong together, are empty, or lack columns.
    """
    parts = [_part(path) for path in paths]
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
        table["PINCP"] = (table["PINCP"].astype("Float64") * table[FACTOR] / 1e6).round()
    table.attrs = {
        "files": [path.name for path in paths],
        "years": sorted({year for part in parts for year in part.years}),
        "income": "adjusted by ADJINC" if FACTOR in table else "as reported (no ADJINC)",
    }
    return table


def check(path: Path) -> None:
    """Raise UserError for a zip of CSV files that is damaged, has no rows or lacks the columns of its kind."""
    with _readable(path), ZipFile(path) as archive:
        if damaged := archive.testzip():
            raise BadZipFile(f"{damaged} is damaged")
        heads = [(_header(stream), bool(stream.peek(1))) for stream in _streams(path)]
    names = {_now(name) for header, _ in heads for name in header}
    if not any(rows for _, rows in heads):
        raise UserError(f"{path} has no rows.")
    needed = (SERIAL, *HOUSEHOLD[:2]) if is_housing(names) else (SERIAL, WEIGHT, *PERSON)
    if lacking := [column for column in needed if column not in names]:
        raise UserError(f"{path} lacks the PUMS columns {', '.join(lacking)}.")


def _now(name: str) -> str:
    """Return a column's name in the newest release."""
    name = name.strip().upper()
    return RENAMED.get(name, name)


def _part(path: Path) -> Part:
    """Read one file, and take its years from the serial numbers, or else from its name."""
    with _readable(path):
        table = _parquet(path) if path.suffix == ".parquet" else _csv(path)
    if table.empty and len(table.columns):
        raise UserError(f"{path} has no rows: name a file that has people, or leave that state out.")
    years = table[SERIAL].str[:4].unique() if SERIAL in table else []
    years = years if len(years) and all(re.fullmatch(r"20\d\d", year) for year in years) else []
    return Part(path.name, tuple(sorted(years)) or tuple(re.findall(r"20\d\d", path.name)), table)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Raise one UserError for whatever makes a file unreadable."""
    try:
        yield
    except UNREADABLE as error:
        kind = "parquet" if path.suffix == ".parquet" else "an intact zip" if path.suffix == ".zip" else "CSV"
        reason = error if str(error) else ValueError(type(error).__name__)  # an EOFError may have no text
        unreadable = files.unreadable(path, f"{kind} of PUMS records", reason)
        raise UserError(f"{unreadable}: download it again, or name another file.") from error


def _parquet(path: Path) -> pd.DataFrame:
    """Return the wanted columns of a parquet file."""
    names = {name: now for name in pq.read_schema(path).names if (now := _now(name)) in WANTED}
    table = pd.read_parquet(path, columns=list(names)).rename(columns=names)
    return table.apply(lambda column: column.astype("str") if column.name == SERIAL else _numbers(column))


def _numbers(column: pd.Series) -> pd.Series:
    """Return a column as numbers if all its codes are numbers."""
    try:
        return pd.to_numeric(column)
    except (ValueError, TypeError):  # `persons` names the invalid codes
        return column


def _csv(path: Path) -> pd.DataFrame:
    """Return the wanted columns of a CSV file, or of all CSV files in a zip, read in blocks."""
    tables = [table for stream in _streams(path) if (table := _table(stream)).num_columns]
    if not tables:
        return pd.DataFrame()
    table = pa.concat_tables(tables, promote_options="default")
    kinds = {pa.int32(): pd.Int32Dtype()}
    return table.to_pandas(types_mapper=kinds.get, split_blocks=True, self_destruct=True)


def _table(stream: Stream) -> pa.Table:
    """Return the wanted columns of one CSV file, under their newest names."""
    header = _header(stream)
    names = {name: now for name in header if (now := _now(name)) in WANTED}
    types = {name: pa.string() if now == SERIAL else pa.int32() for name, now in names.items()}
    if not names or not stream.peek(1):
        return pa.schema({names[name]: kind for name, kind in types.items()}).empty_table()
    convert = pa_csv.ConvertOptions(include_columns=list(names), column_types=types)
    blocks = pa_csv.open_csv(stream, read_options=pa_csv.ReadOptions(column_names=header), convert_options=convert)
    return pa.Table.from_batches(blocks, blocks.schema).rename_columns(list(names.values()))


def _streams(path: Path) -> Iterator[Stream]:
    """Open a CSV file, or one after the other those in a zip."""
    if path.suffix != ".zip":
        with path.open("rb") as stream:
            yield stream
        return
    with ZipFile(path) as archive:
        for member in archive.namelist():
            if member.lower().endswith(".csv"):
                with archive.open(member) as opened:
                    yield cast(ZipExtFile, opened)  # annotated as IO[bytes], which has no peek


def _header(stream: Stream) -> list[str]:
    """Read the first line: the names of the columns."""
    return next(csv.reader(io.StringIO(stream.readline().decode("utf-8-sig"))), [])


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
    if len({part.years for part in parts if part.years}) > 1:
        named = ", ".join(f"{part.name} {_span(part.years)}" for part in parts)
        raise UserError(f"the files cover different years ({named}): name files of one year or one 5-year period.")
    return persons, housing


def _span(years: Sequence[str]) -> str:
    """Return a range of years as text."""
    return "-".join(dict.fromkeys([years[0], years[-1]])) if years else "of unknown year"


def _check_columns(persons: list[Part], housing: list[Part]) -> None:
    """Raise UserError if a file lacks needed columns, or columns that other files of its kind have."""
    for part in persons:
        # Persons in the Bureau's CSV files are sampled with unequal probabilities, so they need their weights.
        needed = [*PERSON, *([] if part.name.endswith(".parquet") else [WEIGHT])]
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
    for part in housing:
        if not part.table[SERIAL].isin(persons[SERIAL]).any():
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
    related = table["SPORDER"] > 1 if "SPORDER" in table else pd.Series(True, index=table.index)
    for column, codes in RELATED.items():
        if column in table:
            related = table[column].isin(codes)
    under_5 = related & (table["AGEP"] < 5)
    from_5_to_17 = related & table["AGEP"].between(5, 17)
    homes = table[SERIAL]
    young, older = (group.astype(bool).groupby(homes).transform("max") for group in (under_5, from_5_to_17))
    code = np.select([young & older, young, older], [3, 1, 2], 4)
    return pd.Series(code, index=table.index, dtype="Int32").where(table["HHT"].isin([1, 2, 3]))
