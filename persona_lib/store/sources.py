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
# Finds a page that holds something else, in a fifth of the time that each row's hash takes; Python refuses a reply that
# is no UTF-8.
_CHECK = """
SELECT reply, json_valid(reply) AND length(key) = 64 AND length(created) > 9 FROM replies WHERE rowid BETWEEN ? AND ?
"""
_INDEX = "SELECT count(*), max(rowid) FROM replies INDEXED BY sqlite_autoindex_replies_1"


class Block(NamedTuple):
    """Rows of a source: the first and last rowid, and how many are sound as far as SQLite sees."""

    low: int
    high: int
    sound: int


class Source:
    """A store to read from: first in blocks, which SQLite copies; if that misses any, row by row.

    `read` counts the replies so far, `lost` those that can't be read; it is `estimated` where the index can't be read.
    """

    def __init__(self, path: Path):
        self.path = path
        self.read = self.lost = self._missing = 0
        self.estimated = False
        self._n: int | None = None  # of its replies, by the index

    @property
    def whole(self) -> bool:
        """Return whether all replies are read that the index has."""
        return self.read == self._n

    def blocks(self) -> Iterator[Block]:
        """Yield all rows in blocks, each of which is checked, up to one that can't be read."""
        with closing(opening.read_only(self.path)) as db, suppress(sqlite3.DatabaseError):
            db.execute("BEGIN")  # a run may write into it: what is there now is counted
            self._n, last = db.execute(_INDEX).fetchone()
            for low in range(1, (last or 0) + 1, BLOCK):
                checked = [ok for _, ok in db.execute(_CHECK, (low, low + BLOCK - 1))]
                if not all(checked):
                    return
                yield Block(low, low + BLOCK - 1, len(checked))

    def damaged(self) -> Iterator[Iterator[tuple[Any, ...]]]:
        """Yield the sound rows of a damaged store, again in blocks, and count them and those that are lost."""
        self.read = self.lost = self._missing = 0
        with closing(opening.read_only(self.path)) as db:
            last = self._end(db)
            for low in range(1, last + 1, BLOCK):
                yield self._rows(db, low, min(low + BLOCK - 1, last))
        if self._n is not None:
            self.lost = max(0, self._n - self.read)
        elif (share := self._there()) < 1:
            self.lost = round(self.read / share - self.read)

    def _rows(self, db: sqlite3.Connection, first: int, last: int) -> Iterator[tuple[Any, ...]]:
        for low in range(first, last + 1, _AT_ONCE):
            for row in _single(db, low, min(low + _AT_ONCE - 1, last)):
                if is_sound(row):
                    self.lost += self._missing  # those after the last row may never have been there
                    self._missing = 0
                    self.read += 1
                    yield row
                else:
                    self._missing += 1

    def _end(self, db: sqlite3.Connection) -> int:
        """Return the last rowid by the index; if it can't be read, one after the last row that can."""
        most = self.path.stat().st_size  # in a damaged page anything may look like a rowid
        with suppress(sqlite3.DatabaseError):
            self._n, last = db.execute(_INDEX).fetchone()
            if last and last < most:
                return int(last)
        self.estimated = self._n is None
        last = 0
        while any(_is_there(db, at) for at in range(last + 1, last + BLOCK, _AT_ONCE)):
            last += BLOCK
        return last

    def _there(self) -> float:
        """Return the share of a file that is there, by the size that its head names: less than 1 if it is cut off."""
        with self.path.open("rb") as file:
            head = file.read(32)
        return self.path.stat().st_size / max(1, int.from_bytes(head[16:18]) * int.from_bytes(head[28:32]))

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


def _is_there(db: sqlite3.Connection, rowid: int) -> bool:
    try:
        return db.execute("SELECT 1 FROM replies WHERE rowid = ?", (rowid,)).fetchone() is not None
    except sqlite3.DatabaseError:
        return False


def _single(db: sqlite3.Connection, low: int, high: int) -> list[tuple[Any, ...]]:
    """Return the rows of a damaged range, an empty one for each that can't be read.

    It is halved until each row that is missing is alone: where rowids are damaged, SQLite may leave out those after.
    """
    with suppress(sqlite3.DatabaseError):
        found = db.execute(ROWS.format("main"), (low, high)).fetchall()
        if len(found) == high - low + 1:
            return found
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
