"""Files: where things lie, how users' files are read, and how ours are written.

Users' tables and YAML files are read here, so that all errors are worded alike. What we write is there whole or not at
all: a reader, or a run that was killed, never meets half a file.
"""

import json
import math
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import UserError

if TYPE_CHECKING:
    import pandas as pd
    from pydantic import ValidationError

ROOT = Path(__file__).parent.parent  # of the checkout: notebooks/, params/, outputs/
TABLES = (".parquet", ".csv", ".jsonl")


def read_table(path: Path | str) -> "pd.DataFrame":
    """Read a user's table: .parquet, .csv or .jsonl. Texts stay as they are written: an id 007, an answer None.

    In CSV every column is text and an empty cell is an empty text.

    Raises:
        UserError: the name ends otherwise, the file is missing, or it holds no such table.
    """
    import pandas as pd  # saves half a second in commands without tables

    path = Path(path)
    if path.suffix not in TABLES:
        raise UserError(f"{path} must end in one of {', '.join(TABLES)}")
    if not path.is_file():
        raise UserError(f"no file {path}: give the path of a table ({', '.join(TABLES)})")
    try:
        if path.suffix == ".csv":
            table = pd.read_csv(path, dtype="str", keep_default_na=False, encoding="utf-8-sig")
            if not isinstance(table.index, pd.RangeIndex):  # pandas takes what is too much as an index
                raise ValueError("rows have more fields than the header: put texts with commas in quotes")
            return table
        return pd.DataFrame(list(read_lines(path))) if path.suffix == ".jsonl" else pd.read_parquet(path)
    except (OSError, ValueError) as error:  # the errors of pandas and pyarrow are subclasses
        raise unreadable(path, path.suffix[1:], error) from error


def as_numbers(cells: "pd.Series") -> "pd.Series":
    """Return the cells of a CSV column as numbers: True is 1, False 0, an empty cell or NA is missing.

    Raises:
        ValueError: a cell is something else.
    """
    import pandas as pd  # saves half a second in commands without tables

    words = {"": None, "na": None, "nan": None, "true": "1", "false": "0"}
    return pd.to_numeric(
        cells.map(lambda cell: words.get(cell.strip().lower(), cell) if isinstance(cell, str) else cell)
    )


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Read the objects of a file of JSON lines. Their texts may hold Unicode's other line breaks, such as U+2028.

    Raises:
        UserError: the file is missing, or a line is no JSON object.
    """
    if not path.is_file():
        raise UserError(f"no file {path}: give the path of a file of JSON lines")
    with path.open("rb") as file:  # bytes: text may hold U+2028, which is no end of a line
        for number, raw in enumerate(file, 1):
            try:
                line = raw.decode("utf-8-sig")
                row = json.loads(line) if line.strip() else None
                json.dumps(row, ensure_ascii=False).encode()  # half a character, written as an escape, can't be sent
            except (ValueError, RecursionError) as error:
                raise UserError(f"{path} line {number} is not JSON ({error}): correct it or leave it out") from error
            if row is not None and not isinstance(row, dict):
                raise UserError(f'{path} line {number} is not a JSON object: write {{"prompt": ...}} on each line')
            if row is not None:
                yield row


def read_yaml(path: Path) -> Any:
    """Read a YAML file.

    Raises:
        UserError: the file is missing or is no YAML.
    """
    import yaml  # only some commands read YAML

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml, where it is installed, is ten times as fast
    try:
        return yaml.load(path.read_text("utf-8"), loader)
    except (OSError, ValueError, yaml.YAMLError) as error:  # ValueError: a byte or a date that does not exist
        raise unreadable(path, "YAML", error) from error


def unreadable(path: Path | str, form: str, error: Exception) -> UserError:
    """Return the error for a file that can't be read as what its user says it is."""
    return UserError(f"{path} can't be read as {form}: {' '.join(str(error).split())[:200]}")


def first_error(error: "ValidationError", whole: str = "the file") -> str:
    """Return where pydantic found the first error, and which, in one line; `whole` names what has no place in it."""
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc'])) or whole}: {first['msg']}"


def write(path: Path, writer: Callable[[Path], object]) -> None:
    """Write a file whole or not at all: `writer` fills a file beside it, which then takes its place.

    The file beside it has the same suffix, and a name of its own in each process; after an error it is removed.
    """
    half = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    try:
        writer(half)
        half.replace(path)
    finally:
        half.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text whole or not at all."""
    write(path, lambda half: half.write_text(text, "utf-8"))


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON whole or not at all; numpy's numbers become Python's, missing and infinite ones null."""
    write_text(path, json.dumps(_plain(content), indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def _plain(value: Any) -> Any:
    """Return the value with types that JSON has."""
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    value = value.tolist() if hasattr(value, "tolist") else value  # numpy's arrays and numbers
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, (str, int, type(None))):
        return value
    return None if str(value) in ("<NA>", "NaT") else str(value)  # pandas' signs for what is missing
