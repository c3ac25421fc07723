"""Read one of the Census Bureau's microdata files: its columns under their newest names, its codes as numbers.

A file may be the Bureau's own CSV, zipped or not, what another program wrote from it (codes such as 1.0, gaps as " " or
"NA", semicolons), parquet, or an extract from the Bureau's API, which has codes of its own for 'not applicable'.
"""

import csv
import io
import re
import zlib
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile, ZipFile

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv as pa_csv

from .. import UserError, files, tables
from ..attributes import BY_NAME, CENSUS, Attribute
from . import sources

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
FIRST_YEAR = 2018  # before it, occupations and industries have other codes
FIRST_SURVEY = 2005  # a year in a file's name that is before it is something else
LOWEST_INCOME = -19_998
# Gaps as pandas, R, SAS, SPSS, spreadsheets and databases write them, and blanks of up to the longest column's width.
GAPS = ("", "NA", "NaN", "nan", "<NA>", "None", ".", "#NULL!", "#N/A", "N/A", "NULL", "null", r"\N")
BLANK = [*GAPS, *(" " * n for n in range(1, 14))]
# ArrowInvalid and UnicodeDecodeError are ValueErrors.
UNREADABLE = (OSError, BadZipFile, zlib.error, EOFError, ValueError)


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


def check(path: Path) -> None:
    """Raise UserError for a zip of CSV files that is damaged, has no rows or lacks the columns of its kind."""
    with _readable(path), ZipFile(path) as archive:
        if damaged := archive.testzip():
            raise BadZipFile(f"{damaged} is damaged")
        heads = [(_header(stream)[0], bool(stream.peek(1))) for stream in sources.streams(path)]
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


def read(path: Path) -> list[Part]:
    """Read one file, and take its years from the serial numbers, or else from its name.

    A zip may hold files of persons and of housing units: then there are two parts.

    Raises:
        UserError: it is unreadable, empty, from before 2018, of IPUMS, or has a column twice with different cells.
    """
    form = files.suffix(path)
    with _readable(path):
        if form == ".parquet":
            tables = [_parquet(path)]
        else:
            tables = [_named(path, files.read_table(path))] if form in (".json", ".jsonl") else _csv(path)
    return [_part(path, table) for table in tables]


def _part(path: Path, table: pd.DataFrame) -> Part:
    """Return one kind of a file's rows, without those that are all gaps, as a spreadsheet may add them."""
    if (blank := table.isna().all(axis=1)).any():
        table = table[~blank].reset_index(drop=True)
    if table.empty and len(table.columns):
        raise UserError(f"{path} has no rows: name a file that has people, or leave that state out.")
    if SERIAL in table:
        table[SERIAL] = table[SERIAL].astype("str").str.strip().str.removesuffix(".0")
    for name in CENSUS:
        if (column := BY_NAME[name].pums) in table:
            table[column] = _applicable(BY_NAME[name], table[column])
    return Part(path.name, _years(path, table), table)


def span(years: Sequence[str]) -> str:
    """Return a range of years as text."""
    return "-".join(dict.fromkeys([years[0], years[-1]])) if years else "of unknown year"


def _years(path: Path, table: pd.DataFrame) -> tuple[str, ...]:
    """Return the years that a file covers; none if neither its serial numbers nor its name tell.

    Raises:
        UserError: the last of them is before 2018.
    """
    serials = table[SERIAL] if SERIAL in table else pd.Series(dtype="str")
    dated = set(serials[serials.str.fullmatch(r"20\d\d.{9}").fillna(False)].str[:4].unique())
    years = sorted(dated or re.findall(r"(?<!\d)20[012]\d(?!\d)", path.name))
    # Serial numbers begin with their year since 2017, and the relationship is called RELP until 2018.
    old = years[-1] < str(FIRST_YEAR) if years else len(serials) > 0 and "RELP" in table
    if old and (dated or not years or years[-1] >= str(FIRST_SURVEY)):
        raise UserError(
            f"{path} is from before {FIRST_YEAR} ({span(years)}), when occupations and industries had other codes: "
            f"name files whose last year is {FIRST_YEAR} or later."
        )
    return tuple(dict.fromkeys(years))


def _applicable(attribute: Attribute, cells: pd.Series) -> pd.Series:
    """Return one column's codes, missing where a cell says 'not applicable' as the Bureau's API or dictionary does.

    The API gives one less than the lowest legal value, or N (ACS 2024 1-year PUMS User Guide, section VI.B), or 0. The
    dictionary writes b's. Attributes of everyone are never missing.
    """
    if attribute.universe == "everyone":
        return cells
    numbers = pd.to_numeric(cells, errors="coerce")
    lowest = LOWEST_INCOME if attribute.kind == "numeric" else min(attribute.codes)
    missing = {lowest - 1} if attribute.kind == "numeric" else {lowest - 1, 0} - set(attribute.codes)
    absent = numbers.isin(missing).fillna(False).astype(bool)
    if not pd.api.types.is_numeric_dtype(cells):
        absent |= cells.astype("str").str.strip().str.fullmatch("N|b+").fillna(False).astype(bool)
    return _numbers(cells.mask(absent))


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Raise one UserError for whatever makes a file unreadable."""
    try:
        yield
    except FileNotFoundError as error:
        raise UserError(f"no file {path}: name a file of PUMS persons") from error
    except UNREADABLE as error:
        kind = {".parquet": "parquet", ".zip": "an intact zip"}.get(files.suffix(path), "CSV")
        reason = error if str(error) else ValueError(type(error).__name__)  # an EOFError may have no text
        unreadable = files.unreadable(path, f"{kind} of PUMS records", reason)
        raise UserError(f"{unreadable}: download it again, or name another file.") from error


def _parquet(path: Path) -> pd.DataFrame:
    """Return the wanted columns of a parquet file."""
    if path.suffix.lower() == files.PACKED:
        return _named(path, files.read_table(path))
    names = pq.read_schema(path).names
    wanted = [name for name in names if _now(name) in WANTED]
    _check_not_ipums(path, names)
    # Without pandas' notes an index is a column like the others.
    return _named(path, pq.read_table(path, columns=wanted).to_pandas(ignore_metadata=True))


def _check_not_ipums(path: Path, names: Collection[str]) -> None:
    if "PERWT" in {_now(name) for name in names} and WEIGHT not in {_now(name) for name in names}:
        raise UserError(
            f"{path} is an extract of IPUMS, which has other codes: read it with a mapping (docs/census.md)."
        )


def _named(path: Path, table: pd.DataFrame) -> pd.DataFrame:
    """Return the wanted columns of a table under their newest names, with codes as numbers where all of them are.

    Raises:
        UserError: it is of IPUMS, or a column stands there twice, such as PWGTP and pwgtp, and the cells differ.
    """
    _check_not_ipums(path, [str(name) for name in table])
    parts: dict[str, tuple[str, pd.Series]] = {}
    for place, raw in enumerate(map(str, table)):
        if (name := _now(raw)) in WANTED:
            cells = table.iloc[:, place]
            cells = cells.astype("str") if name == SERIAL else _numbers(cells)
            first, before = parts.setdefault(name, (raw, cells))
            if before is not cells and not _same(before, cells):
                raise UserError(f"{path} has the column {name} twice, as {first} and {raw}: leave one of them out.")
    return pd.DataFrame({name: cells for name, (_, cells) in parts.items()})


def _same(one: pd.Series, other: pd.Series) -> bool:
    """Return whether two columns have the same cells, as numbers where both are numbers."""
    both = all(pd.api.types.is_numeric_dtype(cells) for cells in (one, other))
    kind = "Float64" if both else "str"
    return one.astype(kind).equals(other.astype(kind))


def _numbers(column: pd.Series) -> pd.Series:
    """Return a column as numbers if all its codes are numbers; an empty text is missing."""
    if pd.api.types.is_numeric_dtype(column):
        return column
    texts = column.astype("str").str.strip().replace(list(GAPS), None)
    try:
        return pd.to_numeric(texts)
    except (ValueError, TypeError):  # `persons` names the invalid codes
        return texts


def _csv(path: Path) -> list[pd.DataFrame]:
    """Return the wanted columns of a CSV file, or of all CSV files in a zip, of each kind, read in blocks.

    Whole numbers are read as such. A file that has others, such as 1.0 or N, is read once more, as text.
    """
    try:
        tables = [_table(path, stream, pa.int32()) for stream in sources.streams(path)]
    except pa.ArrowInvalid:
        tables = [_table(path, stream, pa.string()) for stream in sources.streams(path)]
    tables = [table for table in tables if len(table.columns)] or [pd.DataFrame()]
    kinds = [[table for table in tables if is_housing(table.columns) == housing] for housing in (False, True)]
    return [pd.concat(kind, ignore_index=True) for kind in kinds if kind]


def _table(path: Path, stream: sources.Stream, kind: pa.DataType) -> pd.DataFrame:
    """Return the wanted columns of one CSV file, its codes read as `kind`."""
    header, separator = _header(stream)
    _check_not_ipums(path, header)
    placed = {f"{place} {name}": name for place, name in enumerate(header)}  # a name may stand there twice
    wanted = [at for at, name in placed.items() if _now(name) in WANTED]
    names = [placed[at] for at in wanted]
    if not wanted or not stream.peek(1):
        return _named(path, pd.DataFrame(columns=names))
    others = {SERIAL: pa.string(), FACTOR: pa.float64() if kind == pa.int32() else kind}
    types = {at: others.get(_now(placed[at]), kind) for at in wanted}
    convert = pa_csv.ConvertOptions(
        include_columns=wanted, column_types=types, null_values=BLANK, strings_can_be_null=True
    )
    reading, parsing = pa_csv.ReadOptions(column_names=list(placed)), pa_csv.ParseOptions(delimiter=separator)
    blocks = pa_csv.open_csv(stream, reading, parsing, convert)
    kinds = {pa.int32(): pd.Int32Dtype()}
    table = pa.Table.from_batches(blocks, blocks.schema).to_pandas(
        types_mapper=kinds.get, split_blocks=True, self_destruct=True
    )
    return _named(path, table.set_axis(names, axis=1))


def _header(stream: sources.Stream) -> tuple[list[str], str]:
    """Read the first line; return the names of the columns and the sign between them."""
    line = stream.readline().decode("utf-8-sig")
    separator = max(tables.SEPARATORS, key=line.count)
    return next(csv.reader(io.StringIO(line), delimiter=separator), []), separator
