"""Read a store that is merged into another: in blocks, each checked, and as far as a damaged file can be read."""

import json
import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, NamedTuple

from . import opening
from .requests import key_of, plain

BLOCK = 50_000  # rows that are checked, and then merged, at once
_AT_ONCE = 500  # rows of a damaged block that are tried at once
ROWS = "SELECT key, request, reply, failure, created FROM {}.replies WHERE rowid BETWEEN ? AND ?"
# Finds a page that holds something else, in a tenth of the time that each row's hash takes.
_CHECK = """
SELECT count(*), total(json_valid(reply) AND length(key) = 64 AND length(created) > 9) FROM replies
WHERE rowid BETWEEN ? AND ?
"""
_INDEX = "SELECT count(*), max(rowid) FROM replies INDEXED BY sqlite_autoindex_replies_1"


class Block(NamedTuple):
    """Rows of a source: the first and last rowid, their number, and whether all of them can be read and are sound."""

    low: int
    high: int
    n: int
    sound: bool


class Source:
    """A store to read from.

    `read` counts the replies so far; once all blocks are read, `lost` is the number of those that can't be read:
    counted, or where neither the end of the file nor its index can be read, `estimated`.
    """

    def __init__(self, path: Path):
        self.path = path
        self.read = self.lost = 0
        self.estimated = False
        self._n: int | None = None  # of its replies

    def blocks(self) -> Iterator[Block]:
        """Yield all rows in blocks, each of which is checked."""
        with closing(opening.read_only(self.path)) as db:
            db.execute("BEGIN")  # a run may write into it: what is there now is counted
            at, last = 0, self._last(db)
            while at < last:
                try:
                    query = "SELECT rowid FROM replies WHERE rowid > ? ORDER BY rowid LIMIT 1"  # skips deleted ones
                    low = db.execute(query, (at,)).fetchone()[0]
                except (sqlite3.DatabaseError, TypeError):
                    low = at + 1
                at = min(low + BLOCK - 1, last)
                yield self._checked(db, low, at)

    def _checked(self, db: sqlite3.Connection, low: int, high: int) -> Block:
        try:
            n, sound = db.execute(_CHECK, (low, high)).fetchone()
        except sqlite3.DatabaseError:
            return Block(low, high, 0, False)
        return Block(low, high, n, n == sound)

    def rows(self, block: Block) -> Iterator[tuple[Any, ...]]:
        """Yield the sound rows of a damaged block, and count them and those that are lost."""
        with closing(opening.read_only(self.path)) as db:
            for low in range(block.low, block.high + 1, _AT_ONCE):
                for row in _single(db, low, min(low + _AT_ONCE - 1, block.high)):
                    if is_sound(row):
                        self.read += 1
                        yield row
                    else:
                        self.lost += 1

    def notes(self) -> list[tuple[str, str]]:
        """Return the notes of endpoints: the model, what was found."""
        return self._other("SELECT model, found FROM endpoints")

    def waiting(self) -> int:
        """Return how many requests wait in batches at endpoints."""
        return len(self._other("SELECT key FROM submitted"))

    def _other(self, query: str) -> list[tuple[Any, ...]]:
        """Return rows of another table than the replies: none if an older file lacks it, or it can't be read."""
        with closing(opening.read_only(self.path)) as db, suppress(sqlite3.DatabaseError):
            return db.execute(query).fetchall()
        return []

    def _last(self, db: sqlite3.Connection) -> int:
        """Return the last rowid; if that can't be read, one after the last row that can. Note the number of rows."""
        with suppress(sqlite3.DatabaseError):
            self._n, last = db.execute(_INDEX).fetchone()
            return last or 0
        with suppress(sqlite3.DatabaseError):
            return db.execute("SELECT max(rowid) FROM replies").fetchone()[0] or 0
        self.estimated = True
        last = 0
        while any(_is_there(db, at) for at in range(last + 1, last + BLOCK, _AT_ONCE)):
            last += BLOCK
        return last

    def end(self) -> None:
        """Set `lost`, once all blocks are read: by the index, or by the size that a file had which is cut off."""
        if self.estimated:
            with self.path.open("rb") as file:
                head = file.read(32)
            size = int.from_bytes(head[16:18]) * int.from_bytes(head[28:32])  # bytes of a page, pages
            self.lost = max(0, round(self.read * (size / self.path.stat().st_size - 1)))
        elif self._n is not None:
            self.lost = max(0, self._n - self.read)


def _is_there(db: sqlite3.Connection, rowid: int) -> bool:
    try:
        return db.execute("SELECT 1 FROM replies WHERE rowid = ?", (rowid,)).fetchone() is not None
    except sqlite3.DatabaseError:
        return False


def _single(db: sqlite3.Connection, low: int, high: int) -> list[tuple[Any, ...]]:
    """Return the rows of a damaged range, an empty one for each that can't be read: halve it until that is alone."""
    try:
        return db.execute(ROWS.format("main"), (low, high)).fetchall()
    except sqlite3.DatabaseError:
        if low == high:
            return [()]
        middle = (low + high) // 2
        return _single(db, low, middle) + _single(db, middle + 1, high)


def is_sound(row: tuple[Any, ...]) -> bool:
    """Return whether a row is what its key says: the hash of its request; and its reply is JSON."""
    try:
        key, request, reply, failure, created = row
        json.loads(reply)
        reply.encode()  # half a character, or what is no UTF-8
        return key_of(plain(request)) == key and isinstance(created, str) and isinstance(failure, str | None)
    except (ValueError, TypeError, AttributeError, zlib.error):
        return False
