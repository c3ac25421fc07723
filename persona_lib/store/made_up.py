"""Note in a scratch file which requests got a made-up reply; in a draft the requests themselves, to be written out.

A run of which replies are missing is drafted twice, with made-up replies that differ in all they say. A request that
both drafts make does not depend on a missing reply.
"""

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .requests import packed, plain

if TYPE_CHECKING:
    from .store import Store

FLUSHED = 20_000  # requests that are written at once
_TABLE = "CREATE TABLE IF NOT EXISTS asked (number INTEGER PRIMARY KEY, key TEXT UNIQUE NOT NULL, request BLOB)"


class MadeUp:
    """The requests of a scratch file that got a made-up reply.

    `draft` is 1 or 2, or None for an estimate, which needs the keys alone.
    """

    def __init__(self, store: "Store", draft: int | None):
        self.draft = draft
        self._store = store
        self._new: dict[str, bytes | None] = {}  # requests by key, that are not written yet
        store.db.execute(_TABLE)

    def first(self, key: str, request: Mapping[str, Any]) -> bool:
        """Note that a reply is made up for a request, and return whether it is for the first time.

        The order of fields is kept, which the canonical form loses: a model writes those of a schema in this order.
        """
        if key in self._new:
            return False
        with self._store.errors():
            if self._store.db.execute("SELECT 1 FROM asked WHERE key = ?", (key,)).fetchone():
                return False
        self._new[key] = packed(json.dumps(request)) if self.draft else None
        if len(self._new) >= FLUSHED:
            self.flush()
        return True

    def flush(self) -> None:
        """Write what is noted, for the notebooks that come next."""
        with self._store.transaction():
            self._store.db.executemany("INSERT OR IGNORE INTO asked (key, request) VALUES (?, ?)", self._new.items())
        self._new.clear()


def last(path: Path) -> int:
    """Return the number of the last request that a scratch file has noted; 0 for none."""
    with closing(sqlite3.connect(path)) as db:
        return int(db.execute("SELECT ifnull(max(number), 0) FROM asked").fetchone()[0])


def of_both(first: Path, second: Path) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """Yield what two drafts have in common, in the order of the first: number in it, key and request."""
    with closing(sqlite3.connect(first)) as db:
        db.execute("ATTACH ? AS other", (str(second),))
        query = "SELECT number, key, request FROM asked WHERE key IN (SELECT key FROM other.asked) ORDER BY number"
        for number, key, request in db.execute(query):
            yield number, key, json.loads(plain(request))
