"""Note which requests were written into files for an engine, until a reply to each comes from anywhere."""

from collections.abc import Iterable

from .requests import Stored, packed
from .store import Store, utc_now


class Exported:
    """The requests that were written into files, in the store's file."""

    def __init__(self, store: Store):
        self._store = store

    def note(self, requests: Iterable[tuple[str, str]]) -> int:
        """Note requests, by key, in canonical form; return how many were not noted before."""
        with self._store.transaction():
            before = self._store.db.total_changes
            rows = ((key, packed(request)) for key, request in requests)
            self._store.db.executemany("INSERT OR IGNORE INTO exported VALUES (?, ?)", rows)
            return self._store.db.total_changes - before

    def wave(self, plan: str, new: bool) -> int:
        """Return the number of the wave of a plan that is written now, from 1; `new`: it has new requests."""
        with self._store.transaction():
            row = self._store.db.execute("SELECT number FROM waves WHERE plan = ?", (plan,)).fetchone()
            number = int(row[0]) + new if row else 1
            self._store.db.execute("INSERT OR REPLACE INTO waves VALUES (?, ?)", (plan, number))
        return number

    def over(self, plan: str) -> int:
        """Forget the waves of a plan that lacks nothing any more, and return how many there were."""
        with self._store.transaction():
            row = self._store.db.execute("SELECT number FROM waves WHERE plan = ?", (plan,)).fetchone()
            self._store.db.execute("DELETE FROM waves WHERE plan = ?", (plan,))
        return int(row[0]) if row else 0

    def request(self, key: str) -> str | None:
        """Return the canonical request that waits under a key, or None."""
        with self._store.errors():
            row = self._store.db.execute("SELECT plain(request) FROM exported WHERE key = ?", (key,)).fetchone()
        return str(row[0]) if row else None

    def place(self, key: str) -> int:
        """Return the place in the store of the reply under a key, in the order in which replies came; 0 for none."""
        with self._store.errors():
            row = self._store.db.execute("SELECT rowid FROM replies WHERE key = ?", (key,)).fetchone()
        return int(row[0]) if row else 0

    def last(self) -> int:
        """Return the place of the last reply in the store; 0 for none."""
        with self._store.errors():
            return int(self._store.db.execute("SELECT ifnull(max(rowid), 0) FROM replies").fetchone()[0])

    def answer(self, rows: Iterable[Stored]) -> None:
        """Keep the replies to requests that wait; a key that has a reply keeps its first."""
        now = utc_now()
        with self._store.transaction():
            for row in rows:
                values = (row.key, row.reply, row.failure, now)
                self._store.db.execute(
                    "INSERT OR IGNORE INTO replies SELECT key, request, ?2, ?3, ?4 FROM exported WHERE key = ?1", values
                )
                self._store.db.execute("DELETE FROM exported WHERE key = ?", (row.key,))
