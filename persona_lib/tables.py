"""Tables: how each form of them is read, and by which names and cells a user's columns are known.

One rule holds for the columns of all tables. Neither case nor blanks, hyphens or underscores tell two names apart, so
that nothing that a user said is lost by its spelling; and blanks around an id or a value are no part of it.
"""

import io
import json
import re
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import UserError
from .texts import check_twice

if TYPE_CHECKING:
    import pandas as pd

SEPARATORS = ",;\t|"  # of a CSV file: the one that its header has most of
_END = r"(?:\r\n|\r|\n)"
_EMPTY = re.compile(rf"[\s,;|]*{_END}")  # lines without a name before the header
_HEAD = re.compile(r'(?:[^"\r\n]|"[^"]*")*')  # to the end of the line that is not within quotes
_SAID = re.compile(rf'"?sep=(.)"?[^\S\r\n]*{_END}', re.IGNORECASE)  # Excel's own first line


def spelling(name: object) -> str:
    """Return a column's name as it is compared: lower case, one blank for blanks, hyphens and underscores."""
    return " ".join(re.split(r"[\s_-]+", str(name).strip().lower())).strip()


def is_id(name: object) -> bool:
    """Return whether a column of this name holds ids."""
    return re.fullmatch(r"(.* )?id", spelling(name)) is not None


def spelt(
    where: Path | str, table: "pd.DataFrame", names: Collection[str], texts: Collection[str] = ()
) -> "pd.DataFrame":
    """Return a user's table with the columns of these names named so, whatever their spelling.

    Args:
        where: the file, for the error.
        table: if its index has a name, it becomes a column.
        names: of the columns that the caller knows. Their cells lose the blanks around them.
        texts: of more such columns, whose cells stay to the letter.

    Raises:
        UserError: two columns have one name.
    """
    if any(name is not None for name in table.index.names):
        table = table.drop(columns=list(table.index.names), errors="ignore").reset_index()
    ours = {spelling(name): name for name in (*names, *texts)}
    table = table.rename(columns={name: ours.get(spelling(name), name) for name in table})
    if not table.columns.is_unique:
        raise UserError(f"{where} has the column {table.columns[table.columns.duplicated()][0]} twice: keep one")
    told = [name for name in names if name in table and table[name].dtype.kind not in "biufc"]
    return table.assign(**{name: table[name].map(_trimmed) for name in told})


def _trimmed(cell: Any) -> Any:
    return cell.strip() if isinstance(cell, str) else cell


def csv(text: str) -> "pd.DataFrame":
    """Return the table of a CSV text; every cell is text, to the letter but for the blanks around ids.

    Raises:
        ValueError: it is no CSV, has a column twice, or a row longer than the header.
    """
    import pandas as pd  # saves half a second in commands without tables

    text, form = _form(text)
    check_twice(_header(text, form))
    table = pd.read_csv(io.StringIO(text), **form)
    if not isinstance(table.index, pd.RangeIndex):  # pandas takes what is too much as an index
        raise ValueError("rows have more fields than the header: put texts with commas in quotes")
    nameless = [name for name in table if str(name).startswith("Unnamed: ") and (table[name] == "").all()]
    ids = {name: table[name].str.strip() for name in table if is_id(name)}
    return table.assign(**ids).drop(columns=nameless)


def csv_names(text: str) -> list[str]:
    """Return the names of the columns of a CSV text, which may be cut off behind its header."""
    return _header(*_form(text))


def _form(text: str) -> tuple[str, dict[str, Any]]:
    """Return a CSV text from its header on, and what pandas is told of its form.

    Where a blank follows each separator of the header, it does so in all rows, and is no part of a cell.
    """
    text = text[match.end() :] if (match := _EMPTY.match(text)) else text
    said = _SAID.match(text)
    text = text[said.end() :] if said else text
    head = re.sub(r'"[^"]*"', "", _HEAD.match(text)[0])  # type: ignore[index]
    sign = said[1] if said else max(SEPARATORS, key=head.count)
    _, *more = head.split(sign)
    spaced = bool(more) and all(name.startswith(" ") for name in more)
    return text, {"dtype": "str", "keep_default_na": False, "sep": sign, "skipinitialspace": spaced}


def _header(text: str, form: dict[str, Any]) -> list[str]:
    """Return the names in a CSV text's first line."""
    import pandas as pd  # saves half a second in commands without tables

    names = pd.read_csv(io.StringIO(text), header=None, nrows=1, **form)
    return [str(name) for name in names.iloc[0] if name]


def parquet(source: Path | io.BytesIO) -> "pd.DataFrame":
    """Return the table of a parquet file, with ids as text.

    Raises:
        ValueError: it is no parquet, or has a column twice (pyarrow's errors are subclasses).
    """
    import pandas as pd  # saves half a second in commands without tables
    import pyarrow.parquet as pq  # the same

    file = pq.ParquetFile(source)
    names = file.schema_arrow.names
    check_twice(names)
    table = file.read().to_pandas()
    # From arrow: pandas makes whole numbers with gaps 7.0.
    ids = file.read(columns=[name for name in names if is_id(name)]).to_pydict()
    table = table.assign(**{name: _texts(ids[name]) for name in ids if name in table})
    if table.index.name in ids:
        table.index = pd.Index(_texts(ids[table.index.name]), name=table.index.name)
    return table


def of_rows(rows: list[dict[str, Any]]) -> "pd.DataFrame":
    """Return the table of objects, with ids as text."""
    import pandas as pd  # saves half a second in commands without tables

    table = pd.DataFrame(rows)
    # From the rows: pandas would make 7 a 7.0 where another row has no id.
    return table.assign(**{name: _texts([row.get(name) for row in rows]) for name in table if is_id(name)})


def objects(content: Any) -> list[dict[str, Any]]:
    """Return the rows of a JSON array of objects, or of an array of arrays whose first one has the columns' names.

    Raises:
        ValueError: it is neither, or has a column twice.
    """
    rows: list[Any] = content if isinstance(content, list) else [None]
    if len(rows) > 1 and all(isinstance(row, list) and len(row) == len(rows[0]) for row in rows):
        check_twice([str(name) for name in rows[0]])
        rows = [dict(zip(map(str, rows[0]), row, strict=True)) for row in rows[1:]]
    if not all(isinstance(row, dict) for row in rows):
        raise ValueError('it is no array of objects: write [{"prompt": ...}, ...]')
    json.dumps(rows, ensure_ascii=False).encode()  # half a character, written as an escape, can't be sent
    return rows


def _texts(values: list[Any]) -> "pd.api.extensions.ExtensionArray":
    """Return ids as text without blanks around; a whole number written with a decimal point loses it."""
    import pandas as pd  # saves half a second in commands without tables

    whole = [int(v) if isinstance(v, float) and v.is_integer() else v for v in values]
    missing = pd.isna(pd.Series(whole, dtype=object))
    return pd.array([None if none else str(v).strip() for v, none in zip(whole, missing, strict=True)], dtype="str")
