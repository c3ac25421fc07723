"""Files: where things lie, how users' files are read, and how ours are written.

Users' tables, JSON and YAML are read here, whatever the wing, so that all are read alike and errors are worded alike:
packed with gzip or not, with or without a byte order mark, with any ends of lines. What we write is there whole or not
at all: a reader, or a run that was killed, never meets half a file.
"""

import io
import json
import math
import os
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import UserError, tables
from .texts import json_value, read_bytes, read_head, read_text, unreadable

if TYPE_CHECKING:
    import pandas as pd
    from pydantic import ValidationError

ROOT = Path(__file__).parent.parent  # of the checkout: notebooks/, params/, outputs/
TABLES = (".parquet", ".csv", ".jsonl", ".json")
PACKED = ".gz"
_HEAD = 2**16  # bytes of a CSV file in which its header ends


def suffix(path: Path | str) -> str:
    """Return the suffix that says what a file holds, in lower case: .csv of A.CSV and of a.csv.gz."""
    name = Path(path).name.lower().removesuffix(PACKED)
    return Path(name).suffix


def is_table(path: Path | str) -> bool:
    """Return whether `read_table` reads a file of this name."""
    return suffix(path) in TABLES


def read_table(path: Path | str, names: Collection[str] = (), texts: Collection[str] = ()) -> "pd.DataFrame":
    """Read a user's table: .parquet, .csv, .jsonl or .json (an array of objects, or of rows with the names first).

    Texts stay as they are written, also None and NA. Ids (columns and indexes named id or ..._id, in any spelling) are
    text in every form, 007 as 007, without blanks around them. In CSV every column is text and an empty cell an empty
    text: a caller who needs numbers says so (`as_numbers`).

    Args:
        path: of the file.
        names, texts: of the columns that the caller knows; they are found in any spelling (see `tables.spelt`). Cells
            of `names` lose the blanks around them, cells of `texts` stay to the letter.

    Raises:
        UserError: the name ends otherwise, the file is missing, holds no such table, or names a column twice.
    """
    path, form = _table(path)
    try:
        if form == ".csv":
            table = tables.csv(read_text(path))
        elif form == ".parquet":
            table = tables.parquet(io.BytesIO(read_bytes(path)) if path.suffix.lower() == PACKED else path)
        else:
            lines = form == ".jsonl"
            table = tables.of_rows(list(read_lines(path)) if lines else tables.objects(json_value(read_text(path))))
    except (OSError, ValueError, RecursionError) as error:  # the errors of pandas and pyarrow are subclasses
        raise unreadable(path, form[1:], error) from error
    return tables.spelt(path, table, names, texts) if names or texts else table


def columns(path: Path | str) -> list[str]:
    """Return the names of the columns of a user's table as they are written; only a .json file is read whole.

    Raises:
        UserError: as `read_table`, as far as the head of the file shows it.
    """
    path, form = _table(path)
    try:
        if form == ".parquet":
            import pyarrow.parquet as pq  # saves half a second in commands without tables

            packed = path.suffix.lower() == PACKED
            return list(pq.read_schema(io.BytesIO(read_bytes(path)) if packed else path).names)
        if form == ".json":
            return list(dict.fromkeys(name for row in tables.objects(json_value(read_text(path))) for name in row))
        head = read_head(path, _HEAD if form == ".csv" else None)
        return tables.csv_names(head) if form == ".csv" else list(next(_parsed(path, head), {}))
    except (OSError, ValueError, RecursionError) as error:
        raise unreadable(path, form[1:], error) from error


def _table(path: Path | str) -> tuple[Path, str]:
    """Return the path of a table and its form, such as .csv.

    Raises:
        UserError: the name ends otherwise, or the file is missing.
    """
    path, form = Path(path), suffix(path)
    if form not in TABLES:
        raise UserError(f"{path} must end in one of {', '.join(TABLES)} (or that and {PACKED})")
    if not path.is_file():
        raise UserError(f"no file {path}: give the path of a table ({', '.join(TABLES)})")
    return path, form


def as_numbers(cells: "pd.Series") -> "pd.Series":
    """Return the cells of a CSV column as numbers: True is 1, False 0, an empty cell or NA is missing.

    Raises:
        ValueError: a cell is something else, or infinite.
    """
    import pandas as pd  # saves half a second in commands without tables

    words = {"": None, "na": None, "nan": None, "true": "1", "false": "0"}
    numbers = pd.to_numeric(
        cells.map(lambda cell: words.get(cell.strip().lower(), cell) if isinstance(cell, str) else cell)
    )
    if numbers.astype(float).abs().eq(math.inf).any():
        raise ValueError("a number is infinite")
    return numbers


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Read the objects of a file of JSON lines. Their texts may hold Unicode's other line breaks, such as U+2028.

    Raises:
        UserError: the file is missing, or a line is no JSON object.
    """
    if not path.is_file():
        raise UserError(f"no file {path}: give the path of a file of JSON lines")
    yield from _parsed(path, read_text(path))


def _parsed(path: Path, text: str) -> Iterator[dict[str, Any]]:
    """Yield the objects of a text of JSON lines."""
    for number, line in enumerate(re.split(r"\r\n|\r|\n", text), 1):
        try:
            row = json_value(line) if line.strip() else None
            json.dumps(row, ensure_ascii=False).encode()  # half a character, written as an escape, can't be sent
        except (ValueError, RecursionError) as error:
            raise UserError(f"{path} line {number} is not JSON ({error}): correct it or leave it out") from error
        if row is not None and not isinstance(row, dict):
            remedy = "name it .json" if isinstance(row, list) else 'write {"prompt": ...} on each line'
            raise UserError(f"{path} line {number} is not a JSON object: {remedy}")
        if row is not None:
            yield row


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object, such as we write beside our tables.

    Raises:
        UserError: the file is missing, damaged, or no JSON object.
    """
    try:
        content = json_value(read_text(path))
    except (ValueError, RecursionError) as error:
        raise unreadable(path, "JSON", error) from error
    if not isinstance(content, dict):
        raise unreadable(path, "JSON", ValueError("it is no object"))
    return content


def read_yaml(path: Path) -> Any:
    """Read a YAML file as `parse_yaml` does.

    Raises:
        UserError: the file is missing or is no such YAML.
    """
    if not path.is_file():
        raise UserError(f"{path} can't be read as YAML: there is no such file")
    return parse_yaml(read_text(path), str(path))


def parse_yaml(text: str, name: str) -> Any:
    """Return the value of a YAML text, read as YAML 1.2 (see `yaml12`).

    Args:
        text: of one document.
        name: of the file, for errors.

    Raises:
        UserError: it is no YAML, has a key twice, or a number that is not finite.
    """
    from . import yaml12  # only some commands read YAML

    try:
        return yaml12.load(text)
    except ValueError as error:
        raise unreadable(name, "YAML", error) from error


def first_error(error: "ValidationError", whole: str = "the file") -> str:
    """Return where pydantic found the first error, and which, in one line; `whole` names what has no place in it."""
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc'])) or whole}: {first['msg'].removeprefix('Value error, ')}"


def check_folder(folder: Path, ours: Collection[str] = (), what: str = "") -> None:
    """Check before long work that a folder can be written into.

    Args:
        folder: may not be there yet.
        ours: names of files that may lie there, as may parts of them that a killed process left.
        what: is written there, such as `a submission`; empty if anything may lie there.

    Raises:
        UserError: it is a file, lies below one, can't be written, or holds something else.
    """
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        wrong = "can't be written" if there.is_dir() else "is a file"
        raise UserError(f"{folder} can be no folder: {there} {wrong}; choose another folder")
    if what and there is folder:
        stems = {Path(name).stem for name in ours}
        for path in folder.iterdir():
            if path.name not in ours and not (path.match(".*.part.*") and path.name.split(".")[1] in stems):
                raise UserError(f"{folder} holds something else, not {what}: choose another folder")


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
    write_text(path, as_json(content) + "\n")


def as_json(content: Mapping[str, Any]) -> str:
    """Return JSON; numbers of numpy become plain, and those that are not finite null."""
    return json.dumps(_plain(content), indent=1, ensure_ascii=False, allow_nan=False)


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
