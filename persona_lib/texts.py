"""Texts: what a file holds, whether it is packed or not, in the encoding that we read; JSON without doubles."""

import codecs
import gzip
import json
import re
from pathlib import Path
from typing import Any
from zlib import error as ZlibError

from . import UserError

_MARKS = {  # a longer mark stands before one that it begins with
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}
# Signs of control (also line ends), of ends of lines and paragraphs, of directions, and half characters.
_ODD = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_BLANK = codecs.BOM_UTF8 + b" \t\r\n"


def read_bytes(path: Path) -> bytes:
    """Return what a file holds, unpacked if it is packed with gzip, whatever its name says.

    Raises:
        OSError: it can't be opened, or is packed and damaged.
    """
    raw = path.read_bytes()
    try:
        return gzip.decompress(raw) if raw.startswith(b"\x1f\x8b") else raw
    except (EOFError, ZlibError) as error:
        raise OSError(f"the packed file is damaged: {error}") from error


def read_text(path: Path) -> str:
    """Return the text of a file in UTF-8, without a byte order mark.

    Raises:
        UserError: it can't be opened, or is in another encoding, which the error names where it can be known.
    """
    try:
        raw = read_bytes(path)
        check_encoding(path, raw[:1000])
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise UserError(f"{path} is not in UTF-8 (line {line}): save it in that encoding") from error
    except OSError as error:
        raise unreadable(path, "text", error) from error


def read_head(path: Path, size: int | None = None) -> str:
    """Return the first bytes of a text, so many or, if None, its first line that is not blank.

    Raises:
        OSError: it can't be opened, or is packed and damaged.
        UserError: it is in another encoding, as in `read_text`.
    """
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
        with gzip.open(path) if packed else path.open("rb") as stream:
            start = stream.read(size) if size else next((line for line in stream if line.strip(_BLANK)), b"")
    except (EOFError, ZlibError) as error:
        raise OSError(f"the packed file is damaged: {error}") from error
    check_encoding(path, start[:1000])
    return start.decode("utf-8-sig", errors="ignore")


def check_encoding(path: Path, start: bytes) -> None:
    """Raise UserError if a file that starts with these bytes is in UTF-16 or UTF-32, or is no text at all."""
    name = next((name for mark, name in _MARKS.items() if start.startswith(mark)), None)
    shares = [half.count(0) / max(1, len(half)) for half in (start[::2], start[1::2])]  # UTF-16 without a mark
    if name is None and max(shares) > 0.125 and min(shares) < 0.05:
        name = "UTF-16"
    if name:
        raise UserError(f"{path} is in {name}: save it in UTF-8")
    if b"\0" in start or start.startswith(b"PK\3\4"):
        raise UserError(f"{path} is no text, but a zip, a spreadsheet or the like: save it as CSV in UTF-8")


def json_value(text: str) -> Any:
    """Return what JSON says.

    Raises:
        ValueError: it is no JSON, or an object has a name twice.
    """
    try:
        return json.loads(text, object_pairs_hook=_once)
    except json.JSONDecodeError as error:
        if error.msg == "Extra data" and text.lstrip().startswith("{"):
            raise ValueError("it holds an object in each line: name it .jsonl") from error
        raise


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object of JSON, whose names must differ: which of two values is meant, nobody knows."""
    found = dict(pairs)
    if len(found) < len(pairs):
        check_twice([name for name, _ in pairs], "")
    return found


def check_twice(names: list[str], what: str = "the column ") -> None:
    """Raise ValueError if a table has a column, or an object of JSON a name, twice."""
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"it has {what}{twice[0]} twice: keep one")


def unreadable(path: Path | str, form: str, error: Exception) -> UserError:
    """Return the error for a file that can't be read as what its user says it is."""
    return UserError(f"{path} can't be read as {form}: {' '.join(str(error).split())[:200]}")


def line(text: str, most: int = 200) -> str:
    """Return a text that others wrote as one line to print: blanks and odd signs become one blank; cut at `most`."""
    short = " ".join(_ODD.sub(" ", text[: 10 * most]).split())
    return short if len(short) <= most else f"{short[: most - 1]}\u2026"


def a_name(text: Any) -> str:
    """Return a text if it can be a name in tables: one line of 1 to 80 letters.

    Raises:
        ValueError: it can't.
    """
    if not isinstance(text, str) or not text or line(text, 80) != text:
        raise ValueError(f"{line(repr(text), 60)} is no name: write one line of 1 to 80 letters")
    return text


def counted(n: float, one: str, several: str | None = None) -> str:
    """Return a number with its noun: '1 person', '1,586 people'; without `several` the noun takes an s."""
    return f"{n:,.0f} {one if n == 1 else several or f'{one}s'}"
