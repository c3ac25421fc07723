"""Note the batches at an endpoint: which requests wait in which file, until their replies are fetched."""

from collections.abc import Iterable
from typing import NamedTuple

from .requests import packed
from .store import Store, utc_now


class Batch(NamedTuple):
    """Requests submitted in one file: our number, and the endpoint's ids of the file and, once known, of the batch."""

    number: int
    file: str
    id: str | None


class Journal:
    """Notes what is submitted in the store's file, so that no process submits it twice."""

    def __init__(self, store: Store):
        self._store = store

    def submit(self, file: str, requests: Iterable[tuple[str, str]]) -> Batch:
        """Note which requests a file at the endpoint carries, before it is processed, and return its batch.

        Args:
            file: the endpoint's id of the file.
            requests: key and canonical request of each.
        """
        with self._store.transaction():
            number = self._store.db.execute("INSERT INTO batches (file) VALUES (?)", (file,)).lastrowid
            assert number is not None  # an INSERT has one
            rows = ((key, packed(request), number) for key, request in requests)
            self._store.db.executemany("INSERT OR IGNORE INTO submitted VALUES (?, ?, ?)", rows)
        return Batch(number, file, None)

    def begun(self, batch: Batch) -> None:
        """Note the endpoint's id of a batch."""
        with self._store.errors():
            self._store.db.execute("UPDATE batches SET id = ? WHERE number = ?", (batch.id, batch.number))

    def batch(self, number: int) -> Batch | None:
        """Return the present state of a batch by its number; None once it has ended."""
        with self._store.errors():
            row = self._store.db.execute("SELECT number, file, id FROM batches WHERE number = ?", (number,)).fetchone()
        return Batch(*row) if row else None

    def batch_of(self, key: str) -> Batch | None:
        """Return the batch that a request waits in, or None."""
        query = "SELECT number, file, id FROM submitted JOIN batches USING (number) WHERE key = ?"
        with self._store.errors():
            row = self._store.db.execute(query, (key,)).fetchone()
        return Batch(*row) if row else None

    def end(self, batch: Batch, replies: Iterable[tuple[str, str, str | None]] = ()) -> None:
        """Keep the replies of a batch (key, reply, failure), even if nobody waits for them, and forget the batch."""
        now = utc_now()
        with self._store.transaction():
            self._store.db.executemany(
                "INSERT OR IGNORE INTO replies SELECT key, request, ?2, ?3, ?4 FROM submitted WHERE key = ?1",
                ((*reply, now) for reply in replies),
            )
            self._store.db.execute("DELETE FROM submitted WHERE number = ?", (batch.number,))
            self._store.db.execute("DELETE FROM batches WHERE number = ?", (batch.number,))
