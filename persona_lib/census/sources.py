"""Open the CSV files of microdata, plain, packed with gzip or in a zip, as streams: they may be larger than memory.

`cells` reads one of any census; `parts` has a faster way for the Bureau's numbers.
"""

import csv
import gzip
import io
from collections.abc import Collection, Iterator
from pathlib import Path, PurePosixPath
from typing import cast
from zipfile import BadZipFile, ZipExtFile, ZipFile, is_zipfile

import pandas as pd
import pyarrow as pa
from pyarrow import csv as pa_csv

from .. import files, texts

Stream = io.BufferedReader
START = 1 << 16  # bytes looked at, for the encoding, the names of the columns and the ends of lines


def streams(path: Path, encoding: str = "utf-8") -> Iterator[Stream]:
    """Open a CSV file, or one after the other those in a zip, without the shadows that a Mac adds to it.

    Each stream has `peek`. Lines that end in a carriage return alone end in a line feed.

    Raises:
        UserError: the file is in UTF-16 or UTF-32, and `encoding` is another one.
        OSError, BadZipFile: it can't be read; the zip has no CSV file.
    """
    if files.suffix(path) != ".zip" and not is_zipfile(path):  # a spreadsheet is one, too
        with cast(Stream, path.open("rb", START)) as plain:
            packed = plain.peek(2).startswith(b"\x1f\x8b")
            # A GzipFile has `peek`, too, but its `readline` is slow.
            yield _checked(path, io.BufferedReader(gzip.GzipFile(fileobj=plain), START) if packed else plain, encoding)
        return
    with ZipFile(path) as archive:
        names = [name for name in archive.namelist() if _is_csv(PurePosixPath(name))]
        if not names:
            raise BadZipFile("it has no CSV file in it")
        for name in names:
            with archive.open(name) as opened:
                yield _checked(path, io.BufferedReader(cast(ZipExtFile, opened), START), encoding)


def _is_csv(name: PurePosixPath) -> bool:
    return name.suffix.lower() == ".csv" and "__MACOSX" not in name.parts and not name.name.startswith(".")


def _checked(path: Path, stream: io.BufferedReader, encoding: str) -> Stream:
    start = stream.peek(START)
    if not encoding.lower().replace("_", "-").startswith(("utf-16", "utf-32", "utf16", "utf32")):
        texts.check_encoding(path, start[:1000])
        if b"\r" in start and b"\n" not in start:
            return io.BufferedReader(io.BytesIO(stream.read().replace(b"\r", b"\n")))  # type: ignore[arg-type]
    return stream


def cells(stream: Stream, wanted: Collection[str], separator: str, encoding: str) -> pd.DataFrame:
    """Return those of the wanted columns that a CSV file has, each cell as text; an empty cell is missing.

    Raises:
        ValueError, LookupError: it can't be read so, has a wanted column twice, or has rows of another length.
    """
    start = io.StringIO(stream.peek(START).decode(encoding, "replace").removeprefix("\ufeff"))
    header = next(filter(None, csv.reader(start, delimiter=separator)), [])
    names = [name.strip() for name in header]
    if twice := [name for name in wanted if names.count(name) > 1]:
        raise ValueError(f"it has the column {twice[0]} twice: keep one")
    there = {name: raw for name, raw in zip(names, header, strict=True) if name in wanted}
    if not there:
        return pd.DataFrame()
    table = pa_csv.read_csv(
        stream,
        pa_csv.ReadOptions(encoding=encoding),
        pa_csv.ParseOptions(delimiter=separator, newlines_in_values=True),
        pa_csv.ConvertOptions(
            include_columns=list(there.values()),
            column_types=dict.fromkeys(there.values(), pa.string()),
            null_values=[""],
            strings_can_be_null=True,
        ),
    )
    return table.to_pandas().set_axis(list(there), axis=1)
