"""Read and write the store's file: SQLite in WAL mode, which several threads and processes may share. No pickle."""

import os
import sqlite3
import threading
import weakref
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from .. import UserError, files
from . import opening
from .locks import Locks
from .made_up import MadeUp
from .recording import read_recording, write_recording
from .requests import Stored, canonical, packed


def default_path() -> Path:
    """Return the path of the store: PERSONA_STORE, else outputs/responses.sqlite of this checkout."""
    return Path(os.environ.get("PERSONA_STORE") or files.ROOT / "outputs" / "responses.sqlite")


def bases() -> list[Path]:
    """Return the paths in PERSONA_STORE_BASE, separated as in PATH: stores that are read and never written."""
    return [Path(path) for path in os.environ.get("PERSONA_STORE_BASE", "").split(os.pathsep) if path]


def exists() -> bool:
    """Return whether there are replies to look for: the store's file, or a base under it."""
    return default_path().is_file() or bool(bases())


def environment() -> dict[str, str]:
    """Return the variables that name the store and its bases, for a process in another folder."""
    under = os.pathsep.join(str(path.absolute()) for path in bases())
    return {"PERSONA_STORE": str(default_path().absolute())} | ({"PERSONA_STORE_BASE": under} if under else {})


class Store:
    """Replies on disk, under an optional recording and over optional bases.

    Args:
        path: the SQLite file, created if missing; None means `default_path()`.
        recording: name of a file in tests/recordings (without .jsonl) or a path; read before the file, never written.
        offline: a missing reply raises an error that names the request, instead of a call. Only tests set it
            (PERSONA_OFFLINE=1 in the environment does the same).
        scratch: a file that notes what was asked, so that the store itself is only read; `Model` then makes replies up
            and sends nothing. `persona estimate` sets it (PERSONA_SCRATCH in the environment does the same). With
            PERSONA_DRAFT, 1 or 2, the requests are noted there as well (see `made_up`).
        base: stores that are read where the file has no reply, and never written; None means `bases()`.

    Raises:
        UserError: the file is no response store, of a newer version or on a network file system, or can't be
            written; a base or the recording is missing or damaged.
    """

    def __init__(
        self,
        path: Path | str | None = None,
        recording: str | None = None,
        offline: bool = False,
        scratch: Path | str | None = None,
        base: Iterable[Path | str] | None = None,
    ):
        kept = Path(path or default_path())
        self.scratch = scratch or os.environ.get("PERSONA_SCRATCH")
        self.path = Path(self.scratch or kept)
        self.locks = Locks(self.path.with_name(f"{self.path.name}-locks"))
        self._lock = threading.RLock()
        self.offline = offline or bool(os.environ.get("PERSONA_OFFLINE"))
        self._recorded = {row.key: row for row in read_recording(recording)} if recording else {}
        if not self.scratch:
            opening.check_disk(self.path)
        with self.errors():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # Several threads may ask at once (JupyterLab's widgets do): each statement or transaction takes the lock.
            self.db = opening.read_write(self.path)
            weakref.finalize(self, self.db.close)
            draft = os.environ.get("PERSONA_DRAFT")
            self.made_up = MadeUp(self, int(draft) if draft else None) if self.scratch else None
            self.estimates = bool(self.scratch and not draft)
            self._layers = {self.path: self.db}
            under = bases() if base is None else map(Path, base)
            self._bases = [path for path in under if path.resolve() != kept.resolve()]
            if base is None and (lost := next((path for path in self._bases if not path.exists()), None)):
                raise UserError(f"no response store {lost}, which PERSONA_STORE_BASE names: leave it unset")
            for path in [kept, *self._bases] if self.scratch and kept.is_file() else self._bases:
                self._layers[path] = opening.read_only(path)
                weakref.finalize(self, self._layers[path].close)
            # Where a worker's own notes are; a scratch file has none.
            self._own = self._layers.get(kept)

    def get(self, key: str) -> Stored | None:
        """Return the outcome kept under a key, or None."""
        if key in self._recorded:
            return self._recorded[key]
        query = "SELECT key, plain(request), reply, failure FROM replies WHERE key = ?"
        for path, layer in self._layers.items():
            with self.errors(path):
                if row := layer.execute(query, (key,)).fetchone():
                    found = Stored(*row) if path not in self._bases else self._of_base(Stored(*row))
                    if found:
                        return found
        return None

    def _of_base(self, row: Stored) -> Stored | None:
        """Return a reply of a base as the own file judges it; None for a failed one that is to be asked again."""
        if self._own is None:
            return row
        with suppress(sqlite3.OperationalError):  # an older file that is only read lacks the tables
            if row.failure is None:
                query = "SELECT failure FROM failed WHERE key = ? AND reply = ?"
                if not (noted := self._own.execute(query, (row.key, row.reply)).fetchone()):
                    return row
                row = row._replace(failure=noted[0])
            if self._own.execute("SELECT 1 FROM asked_again WHERE key = ?", (row.key,)).fetchone():
                return None
        return row

    def latest(self, model: Mapping[str, str], n: int) -> list[tuple[str, str, str]]:
        """Return request, reply and time of a model's last n replies with a text, valid or not.

        `model` is its name and address in requests.
        """
        query = "SELECT plain(request), reply, created FROM replies WHERE (failure IS NULL OR failure LIKE 'invalid%') "
        query += "AND instr(plain(request), ?) ORDER BY rowid DESC LIMIT ?"
        found: list[tuple[str, str, str]] = []
        for path, layer in self._layers.items():
            if not self.scratch or layer is not self.db:  # replies of a scratch file are made up
                with self.errors(path):
                    found += layer.execute(query, (f'"model":{canonical(model)}', n - len(found))).fetchall()
        return found

    def put(self, rows: Iterable[Stored]) -> None:
        """Keep outcomes; they are committed when this returns. A key that already exists keeps its first reply."""
        now = utc_now()
        values = [(r.key, packed(r.request), r.reply, r.failure, now) for r in rows]
        with self.transaction():
            self.db.executemany("INSERT OR IGNORE INTO replies VALUES (?, ?, ?, ?, ?)", values)

    def fail(self, failures: Mapping[str, str]) -> None:
        """Note, by key, why replies that are kept are no answers after all; a base stays as it is."""
        with self.transaction():
            for key, failure in failures.items():
                own = self.db.execute("UPDATE replies SET failure = ?2 WHERE key = ?1", (key, failure)).rowcount
                if not own and self._bases and key not in self._recorded and (kept := self.get(key)):
                    self.db.execute("INSERT OR REPLACE INTO failed VALUES (?, ?, ?)", (key, kept.reply, failure))

    def endpoint(self, model: str) -> str | None:
        """Return what is noted of the endpoint of a model (its part of a request, as canonical text), or None."""
        for path, layer in self._layers.items():
            with self.errors(path), suppress(sqlite3.OperationalError):  # an older file has no such table
                if row := layer.execute("SELECT found FROM endpoints WHERE model = ?", (model,)).fetchone():
                    return row[0]
        return None

    def note_endpoint(self, model: str, found: str) -> None:
        """Note what is found of the endpoint of a model; it replaces an earlier note."""
        with self.errors():
            self.db.execute("INSERT OR REPLACE INTO endpoints VALUES (?, ?)", (model, found))

    def forget_failed(self) -> int:
        """Forget the outcomes that are no answers, and what endpoints refused, so that they are asked again.

        Those of the file are deleted, those of a base are hidden.

        Returns:
            The number of outcomes.
        """
        under: dict[str, None] = {}
        refused: dict[str, None] = {}
        for base in self._bases:
            with self.errors(base), suppress(sqlite3.OperationalError):  # an older file has no endpoints
                under |= dict.fromkeys(self._layers[base].execute("SELECT key FROM replies WHERE failure IS NOT NULL"))
                refused |= dict.fromkeys(self._layers[base].execute("SELECT model FROM endpoints"))
        with self.transaction():
            under |= dict.fromkeys(self.db.execute("SELECT key FROM failed"))
            self.db.execute("DELETE FROM endpoints")
            self.db.executemany("INSERT INTO endpoints VALUES (?, '')", refused)
            self.db.executemany("INSERT OR IGNORE INTO asked_again VALUES (?)", under)
            hidden = "SELECT count(*) FROM asked_again WHERE key NOT IN (SELECT key FROM replies)"
            n = self.db.execute(hidden).fetchone()[0]  # before the deletion: what failed here, too, counts once
            return n + self.db.execute("DELETE FROM replies WHERE failure IS NOT NULL").rowcount

    def forget(self, key: str) -> None:
        """Forget one outcome that is no answer, as `forget_failed` does, so that its request is asked again.

        Raises:
            UserError: the store keeps nothing under this key, or an answer, which stays.
        """
        found = self.get(key)
        if key not in self._recorded and found and found.failure is not None:
            with self.transaction():
                self.db.execute("DELETE FROM replies WHERE key = ?", (key,))
                if self._bases:
                    self.db.execute("INSERT OR IGNORE INTO asked_again VALUES (?)", (key,))
        else:
            kept = "what a recording has" if key in self._recorded else "an answer" if found else "nothing"
            raise UserError(f"{self.path} keeps {kept} under {key[:16]}: only a failed reply in it can be asked again")

    def after(self, row: int) -> tuple[list[Stored], int]:
        """Return the outcomes that the file got after a row, and its last row; 0 is before the first one."""
        query = "SELECT rowid, key, plain(request), reply, failure FROM replies WHERE rowid > ? ORDER BY rowid"
        with self.errors():
            rows = self.db.execute(query, (row,)).fetchall()
        return [Stored(*rest) for _, *rest in rows], rows[-1][0] if rows else row

    def counts(self) -> dict[str, int]:
        """Return the number of outcomes in the file: `replies` in all, `failed` among them."""
        with self.errors():
            replies, failed = self.db.execute("SELECT count(*), count(failure) FROM replies").fetchone()
        return {"replies": replies, "failed": failed}

    def write_recording(self, path: Path | str) -> int:
        """Write all outcomes of the file as a recording, ordered by key, and return their number."""
        query = "SELECT key, plain(request), reply, failure FROM replies ORDER BY key"
        with self.errors():
            rows = self.db.execute(query).fetchall()
        return write_recording((Stored(*row) for row in rows), path)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit all statements of the block at its end, or none of them."""
        with self.errors():
            self.db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self.db.execute("COMMIT")
            except BaseException:
                if self.db.in_transaction:
                    self.db.execute("ROLLBACK")
                raise

    @contextmanager
    def errors(self, path: Path | None = None) -> Iterator[None]:
        """Turn errors of the file, or of another layer's, into one line; what is already committed stays."""
        with self._lock, _in_one_line(path or self.path):
            yield


@contextmanager
def _in_one_line(path: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        if "full" in str(error) or "No space" in str(error):
            raise UserError(f"the disk is full: {path} keeps all replies so far; make room and run again") from error
        raise UserError(
            f"{path} can't serve as response store ({error}): move it away or set PERSONA_STORE to another"
        ) from error


def utc_now() -> str:
    """Return the time in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
