"""Merge stores that several machines wrote: by key, in any order; a second merge changes nothing.

Of two different replies under one key the successful one stays, of two successful or two failed ones the earlier, then
the one whose text is first in the alphabet. This is a total order, so that the result is its least element, whichever
stores are merged first.
"""

import sqlite3
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from .. import UserError
from . import opening
from .sources import ROWS, Block, Source
from .store import Store

if TYPE_CHECKING:
    import pandas as pd

CACHE_KIB = 100_000  # of the target's index, into which keys fall at random
TURN_S = 0.05  # after each block, for a run that waits to write into the target: it looks every 0.02 to 0.1 s
# `differs` counts the keys with different replies; SQLite calls it only for keys that are in both files.
_KEEP = """
INSERT INTO main.replies {} ON CONFLICT (key) DO UPDATE SET
    request = excluded.request, reply = excluded.reply, failure = excluded.failure, created = excluded.created
WHERE CASE WHEN differs(key, (excluded.reply, excluded.failure) IS NOT (reply, failure)) THEN
    (excluded.failure IS NOT NULL, excluded.created, excluded.reply, coalesce(excluded.failure, ''), excluded.request)
    < (failure IS NOT NULL, created, reply, coalesce(failure, ''), request) END
"""
# Of two notes of an endpoint the longer one stays, since it knows more.
_NOTES = """
INSERT INTO main.endpoints VALUES (?, ?) ON CONFLICT (model) DO UPDATE SET found = excluded.found
WHERE (-length(excluded.found), excluded.found) < (-length(found), found)
"""


class Merged(NamedTuple):
    """What a merge did.

    `sources` has a row for each: `source` (its path), `read` (replies), `new` (not in the file before), `lost` (replies
    that can't be read; `estimated`: the end of the file is missing), `waiting` (requests in a batch at an
    endpoint, whose replies only their own store can fetch), `unreadable` (why nothing of it can be read, else missing).
    `replies`, `failed` are in the file now; `conflicts` is the number of keys under which the files have different
    replies.
    """

    sources: "pd.DataFrame"
    replies: int
    failed: int
    conflicts: int


def merge(sources: Iterable[Path | str], into: Path | str) -> Merged:
    """Merge stores into one file, which is made if missing; any order, and a second time, give the same replies.

    Endpoints' notes are merged as well: the longer of two stays. Batches that wait at an endpoint are not, since two
    stores would then fetch, and pay, the same: they are counted. What a source holds besides is of its own machine.
    Of a damaged source what can be read is kept: rows that SQLite reads, whose key is the hash of their request, and
    whose reply is JSON. One whose head is damaged, or that is no store, has a row that says so. A run may write into
    any of the files meanwhile; what it writes then may be missing.

    Raises:
        UserError: there is no source, or none that can be read; one is missing, the target, or of a newer version; the
            target can't be written, or the disk is full. What is merged by then stays, and the same merge goes on.
    """
    import pandas as pd  # half a second that other users of the store's wing need not wait

    paths, into = [Path(source) for source in sources], Path(into)
    if not paths:
        raise UserError("there is nothing to merge: name the stores, such as stores/*.sqlite")
    unreadable: dict[Path, UserError] = {}
    for path in paths:
        if path.resolve() == into.resolve() or (into.exists() and path.exists() and path.samefile(into)):
            raise UserError(f"{into} is both a source and the file to merge into: leave it out of the sources")
        try:
            opening.read_only(path).close()  # all are looked at before anything is merged
        except opening.UnreadableError as error:
            unreadable[path] = error
    if len(unreadable) == len({*paths}):
        raise unreadable[paths[0]]
    target = Store(into, base=())
    target.db.execute(f"PRAGMA cache_size=-{CACHE_KIB}")
    with suppress(sqlite3.OperationalError):  # another process has it open: then it stays as it is
        # Without a write-ahead log each page is written once. What opens the store sets it again.
        target.db.execute("PRAGMA journal_mode=DELETE")
        target.db.execute("PRAGMA synchronous=FULL")
    conflicts: set[str] = set()

    def differs(key: str, different: int) -> int:
        if different:
            conflicts.add(key)
        return 1

    target.db.create_function("differs", 2, differs)
    rows = [_none(path, unreadable[path]) if path in unreadable else _from(path, target) for path in paths]
    return Merged(pd.DataFrame(rows), **target.counts(), conflicts=len(conflicts))


def _none(path: Path, why: UserError) -> dict[str, Any]:
    """Return the row of `Merged.sources` of a file of which nothing can be read."""
    nothing = dict.fromkeys(("read", "new", "lost"), 0)
    return {"source": str(path), **nothing, "estimated": True, "waiting": 0, "unreadable": str(why.__cause__)}


def _from(path: Path, target: Store) -> dict[str, Any]:
    """Merge one store and return its row of `Merged.sources`."""
    before = target.counts()["replies"]
    source = Source(path)
    # Each block is a transaction of its own.
    with _attached(target.db, path) as attached:
        for block in _ahead(source.blocks()) if attached else ():
            with target.transaction():
                target.db.execute(_KEEP.format(ROWS.format("source")), (block.low, block.high))
            source.read += block.sound
            time.sleep(TURN_S)
    if not source.whole:
        for rows in source.damaged():
            with target.transaction():
                target.db.executemany(_KEEP.format("VALUES (?, ?, ?, ?, ?)"), rows)
            time.sleep(TURN_S)
    with target.transaction():
        target.db.executemany(_NOTES, source.notes())
    return {
        "source": str(path),
        "read": source.read,
        "new": target.counts()["replies"] - before,
        "lost": source.lost,
        "estimated": source.estimated,
        "waiting": source.waiting(),
        "unreadable": None,
    }


@contextmanager
def _attached(db: sqlite3.Connection, path: Path) -> Iterator[bool]:
    """Attach a store as `source`, so that SQLite copies it by itself; it refuses one that is cut off."""
    try:
        db.execute("ATTACH ? AS source", (opening.address(path),))
    except sqlite3.DatabaseError:
        yield False
        return
    try:
        yield True
    finally:
        db.execute("DETACH source")


def _ahead(blocks: Iterator[Block]) -> Iterator[Block]:
    """Yield blocks while the next one is checked: on another core, since SQLite lets Python go on while it copies."""
    with ThreadPoolExecutor(1) as thread:
        coming = thread.submit(next, blocks, None)
        while block := coming.result():
            coming = thread.submit(next, blocks, None)
            yield block
