"""Open the CSV files of microdata, plain, packed with gzip or in a zip, as streams: they may be larger than memory."""

import gzip
import io
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import cast
from zipfile import BadZipFile, ZipExtFile, ZipFile

from .. import files

Stream = io.BufferedReader
START = 1 << 16  # bytes looked at, for the encoding and the ends of lines


def streams(path: Path, encoding: str = "utf-8") -> Iterator[Stream]:
    """Open a CSV file, or one after the other those in a zip, without the shadows that a Mac adds to it.

    Each stream has `peek`. Lines that end in a carriage return alone end in a line feed.

    Raises:
        UserError: the file is in UTF-16 or UTF-32, and `encoding` is another one.
        OSError, BadZipFile: it can't be read; the zip has no CSV file.
    """
    if files.suffix(path) != ".zip":
        with path.open("rb") as plain:
            packed = plain.peek(2).startswith(b"\x1f\x8b")
            # A GzipFile has `peek`, too, but its `readline` is slow.
            yield _checked(path, io.BufferedReader(gzip.GzipFile(fileobj=plain)) if packed else plain, encoding)
        return
    with ZipFile(path) as archive:
        names = [name for name in archive.namelist() if _is_csv(PurePosixPath(name))]
        if not names:
            raise BadZipFile("it has no CSV file in it")
        for name in names:
            with archive.open(name) as opened:
                yield _checked(path, io.BufferedReader(cast(ZipExtFile, opened)), encoding)


def _is_csv(name: PurePosixPath) -> bool:
    return name.suffix.lower() == ".csv" and "__MACOSX" not in name.parts and not name.name.startswith(".")


def _checked(path: Path, stream: io.BufferedReader, encoding: str) -> Stream:
    start = stream.peek(START)
    if not encoding.lower().replace("_", "-").startswith(("utf-16", "utf-32", "utf16", "utf32")):
        files.check_encoding(path, start[:1000])
        if b"\r" in start and b"\n" not in start:
            return io.BufferedReader(io.BytesIO(stream.read().replace(b"\r", b"\n")))  # type: ignore[arg-type]
    return stream
