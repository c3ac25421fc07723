"""The Census Bureau's microdata files as they are published, to one table of persons with the Bureau's codes.

A person file and a housing file for each state (csv_pwy.zip, psam_h56.csv, ...; the national ones hold several parts),
joined on SERIALNO; or one parquet file that holds both. Any 1-year or 5-year file from 2018 on: columns that changed
their names are read under each, and what a release lacks is derived. Used by `census` and `download`.
"""

import csv
import io
import re
import zlib
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING
from zipfile import BadZipFile, ZipFile

import numpy as np
import pandas as pd

from .. import UserError
from ..attributes import BY_NAME, CENSUS

if TYPE_CHECKING:
    import pyarrow as pa

STATES = Path(__file__).parent / "data" / "states.csv"  # the Bureau's code, postal code and name of each
HOUSEHOLD = ("HHT", "HHL", "FPARC")  # of the household; FPARC is derived where a release lacks it
PERSON = tuple(column for name in CENSUS if (column := BY_NAME[name].pums) not in HOUSEHOLD)
WEIGHT, FACTOR, STATE, SERIAL = "PWGTP", "ADJINC", "STATE", "SERIALNO"
RENAMED = {"ST": STATE}  # up to 2022
# Who is related to the householder by blood, marriage or adoption and no spouse: until 2018, and since.
RELATED = {"RELP": range(2, 11), "RELSHIPP": range(25, 34)}
WANTED = {*PERSON, *HOUSEHOLD, WEIGHT, FACTOR, STATE, SERIAL, "SPORDER", *RELATED}
UNREADABLE = (OSError, BadZipFile, zlib.error, EOFError, ValueError)  # ArrowInvalid and UnicodeDecodeError are the last


@dataclass
class Part:
    """One file: what it is called, which years it says it is of, and its table."""

    name: str
    years: tuple[str, ...]
    table: pd.DataFrame

    @property
    def of_housing(self) -> bool:
        """Whether it holds housing units and no persons."""
        return is_housing(self.table.columns)


def is_housing(columns: Collection[str]) -> bool:
    """Whether a file with these columns holds housing units and no persons."""
    return "HHT" in columns and not set(PERSON) & set(columns)


def read(paths: Sequence[Path]) -> pd.DataFrame:
    """Persons and their households, one row per person, with the codes of the columns in `PERSON` and `HOUSEHOLD`.

    PINCP is multiplied by ADJINC / 1,000,000 where the files have it. STATE and PWGTP are there where the files have
    them. `.attrs`: files, years, income (whether it was adjusted). Raises UserError for files that can't be read, don't
    belong together, are empty or lack columns.
    """
    parts = [_part(path) for path in paths]
    persons, housing = _sort(parts)
    _check_columns(persons, housing)
    table = pd.concat([part.table for part in persons], ignore_index=True)
    twice = SERIAL in table and "SPORDER" in table and table.duplicated([SERIAL, "SPORDER"]).any()
    if twice:
        raise UserError("the same persons come twice: name each file once, zipped or not.")
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
    """Raise UserError for a zip of CSV files that is damaged, holds no rows or lacks the columns of its kind."""
    with _readable(path), ZipFile(path) as archive:
        if damaged := archive.testzip():
            raise BadZipFile(f"{damaged} is damaged")
        heads = [(_header(stream), bool(stream.peek(1))) for stream in _streams(path)]
    names = {_now(name) for header, _ in heads for name in header}
    if not any(rows for _, rows in heads):
        raise UserError(f"{path} holds no rows.")
    needed = (SERIAL, *HOUSEHOLD[:2]) if is_housing(names) else (SERIAL, WEIGHT, *PERSON)
    if lacking := [column for column in needed if column not in names]:
        raise UserError(f"{path} lacks the PUMS columns {', '.join(lacking)}.")


def _now(name: str) -> str:
    name = name.strip().upper()
    return RENAMED.get(name, name)


def _part(path: Path) -> Part:
    with _readable(path):
        table = _parquet(path) if path.suffix == ".parquet" else _csv(path)
    if table.empty and len(table.columns):
        raise UserError(f"{path} holds no rows: name a file that has people, or leave that state out.")
    years = table[SERIAL].str[:4].unique() if SERIAL in table else []
    years = years if len(years) and all(re.fullmatch(r"20\d\d", year) for year in years) else []
    return Part(path.name, tuple(sorted(years)) or tuple(re.findall(r"20\d\d", path.name)), table)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """What is wrong with a file as one line."""
    try:
        yield
    except UNREADABLE as error:
        kind = "parquet" if path.suffix == ".parquet" else "an intact zip" if path.suffix == ".zip" else "CSV"
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(
            f"{path} can't be read as {kind} of PUMS records ({reason}): fetch or name it again."
        ) from error


def _parquet(path: Path) -> pd.DataFrame:
    import pyarrow.parquet as pq

    names = {name: now for name in pq.read_schema(path).names if (now := _now(name)) in WANTED}
    table = pd.read_parquet(path, columns=list(names)).rename(columns=names)
    return table.apply(lambda column: column.astype("str") if column.name == SERIAL else _numbers(column))


def _numbers(column: pd.Series) -> pd.Series:
    try:
        return pd.to_numeric(column)
    except (ValueError, TypeError):  # codes that are none are named when they are labelled
        return column


def _csv(path: Path) -> pd.DataFrame:
    """The wanted columns of a CSV file, or of all CSV files in a zip, read in blocks."""
    import pyarrow as pa

    tables = [table for stream in _streams(path) if (table := _table(stream)).num_columns]
    if not tables:
        return pd.DataFrame()
    table = pa.concat_tables(tables, promote_options="default")
    kinds = {pa.int32(): pd.Int32Dtype()}
    return table.to_pandas(types_mapper=kinds.get, split_blocks=True, self_destruct=True)


def _table(stream: IO[bytes]) -> "pa.Table":
    import pyarrow as pa
    from pyarrow.csv import ConvertOptions, ReadOptions, open_csv

    header = _header(stream)
    names = {name: now for name in header if (now := _now(name)) in WANTED}
    types = {name: pa.string() if now == SERIAL else pa.int32() for name, now in names.items()}
    if not names or not stream.peek(1):
        return pa.schema({names[name]: kind for name, kind in types.items()}).empty_table()
    convert = ConvertOptions(include_columns=list(names), column_types=types)
    batches = open_csv(stream, read_options=ReadOptions(column_names=header), convert_options=convert)
    return pa.Table.from_batches(batches, batches.schema).rename_columns(list(names.values()))


def _streams(path: Path) -> Iterator[IO[bytes]]:
    """A CSV file, or each of those in a zip."""
    if path.suffix != ".zip":
        with path.open("rb") as stream:
            yield stream
        return
    with ZipFile(path) as archive:
        for member in archive.namelist():
            if member.lower().endswith(".csv"):
                with archive.open(member) as stream:
                    yield stream


def _header(stream: IO[bytes]) -> list[str]:
    return next(csv.reader(io.StringIO(stream.readline().decode("utf-8-sig"))), [])


def _sort(parts: list[Part]) -> tuple[list[Part], list[Part]]:
    """The files of persons and those of housing units, if they are of the same years and there are persons."""
    persons = [part for part in parts if not part.of_housing]
    housing = [part for part in parts if part.of_housing]
    if not persons:
        names = ", ".join(part.name for part in housing)
        raise UserError(
            f"{names or 'no file'} holds housing units and no persons: name the person file too (csv_p...)."
        )
    if len({part.years for part in parts if part.years}) > 1:
        named = ", ".join(f"{part.name} {_span(part.years)}" for part in parts)
        raise UserError(f"the files are of different years ({named}): name files of one year or one 5-year period.")
    return persons, housing


def _span(years: Sequence[str]) -> str:
    return "-".join(dict.fromkeys([years[0], years[-1]])) if years else "of unknown year"


def _check_columns(persons: list[Part], housing: list[Part]) -> None:
    """All needed columns are there, and what one file of persons has beside them, the others have too."""
    for part in persons:
        # A CSV file is the Bureau's, whose persons are drawn with unequal chances.
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
    """Persons with the columns of their household."""
    for part in housing:
        if not part.table[SERIAL].isin(persons[SERIAL]).any():
            raise UserError(
                f"nobody lives in the households of {part.name}: name the person file of the same state too."
            )
    units = pd.concat([part.table for part in housing], ignore_index=True)
    if units[SERIAL].duplicated().any():
        raise UserError("the same households come twice: name each file once, zipped or not.")
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
    """FPARC from the ages of the household's members under 18 who are related to the householder.

    The Bureau's definition; in files without a relationship, all members but the householder count as related.
    """
    related = table["SPORDER"] > 1 if "SPORDER" in table else pd.Series(True, index=table.index)
    for column, codes in RELATED.items():
        if column in table:
            related = table[column].isin(codes)
    groups = [related & (table["AGEP"] < 5), related & table["AGEP"].between(5, 17)]
    young, older = (group.astype(bool).groupby(table[SERIAL]).transform("max") for group in groups)
    code = np.select([young & older, young, older], [3, 1, 2], 4)
    return pd.Series(code, index=table.index, dtype="Int32").where(table["HHT"].isin([1, 2, 3]))
