"""The response store: every model reply by the hash of its request, so that no call is ever paid for twice.

One SQLite file (WAL, so several processes may share it). A recording is the same as JSON lines, a read-only layer
under the store that can be reviewed and committed. No pickle, no API key and no header is ever stored. Used by
`model.Model`; every notebook that asks a model opens one: `Store(recording=recording)`.
"""

import glob
import hashlib
import json
import os
import sqlite3
import time
import weakref
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from . import UserError, files
from .locks import Locks

RECORDINGS = files.ROOT / "tests" / "recordings"
MOST = 1_400_000  # bytes of one file of a recording, so that it can be reviewed and committed

# A request is zlib-compressed: most of it is what others say too. Older stores hold text, and are read all the same.
# `batches` and `submitted` hold the requests that wait in a file at the endpoint, until what came of them is fetched.
_TABLES = """
CREATE TABLE IF NOT EXISTS replies (
    key TEXT PRIMARY KEY, request BLOB NOT NULL, reply TEXT NOT NULL, failure TEXT, created TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS batches (number INTEGER PRIMARY KEY AUTOINCREMENT, file TEXT NOT NULL, id TEXT);
CREATE TABLE IF NOT EXISTS submitted (key TEXT PRIMARY KEY, request BLOB NOT NULL, number INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS submitted_number ON submitted (number);
"""


class Stored(NamedTuple):
    """One outcome: canonical request and whole reply as JSON text; `failure` is the reason it is no answer, or None."""

    key: str
    request: str
    reply: str
    failure: str | None


class Batch(NamedTuple):
    """Requests submitted in one file: our number, the endpoint's ids of the file and, once known, of the batch."""

    number: int
    file: str
    id: str | None


def canonical(request: Mapping[str, Any]) -> str:
    """The request as JSON text, the same for equal requests whatever the order of their keys."""
    return json.dumps(request, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def key_of(request: str) -> str:
    """The key of a canonical request: its SHA-256 in hex."""
    return hashlib.sha256(request.encode()).hexdigest()


def _packed(request: str) -> bytes:
    return zlib.compress(request.encode())


def _plain(request: str | bytes) -> str:
    return zlib.decompress(request).decode() if isinstance(request, bytes) else request


def default_path() -> Path:
    """Where the store lies: PERSONA_STORE, else outputs/responses.sqlite of this checkout."""
    return Path(os.environ.get("PERSONA_STORE") or files.ROOT / "outputs" / "responses.sqlite")


class Store:
    """Replies on disk, over an optional recording.

    Args:
        path: the SQLite file, made when missing; None means `default_path()`.
        recording: name of a file in tests/recordings (without .jsonl) or a path; read before the file, never written.
        offline: a missing reply is an error that names the request instead of a call. Only tests set it
            (PERSONA_OFFLINE=1 in the environment does the same).
        scratch: a file that takes what is new, so that the store itself is only read; `Model` then asks nobody and
            makes replies up. `persona estimate` sets it (PERSONA_SCRATCH in the environment does the same).

    Raises:
        UserError: the file is no response store or can't be written; the recording is missing or damaged.
    """

    def __init__(
        self,
        path: Path | str | None = None,
        recording: str | None = None,
        offline: bool = False,
        scratch: Path | str | None = None,
    ):
        kept = Path(path or default_path())
        self.scratch = scratch or os.environ.get("PERSONA_SCRATCH")
        self.path = Path(self.scratch or kept)
        self.locks = Locks(self.path.with_name(f"{self.path.name}-locks"))
        self.offline = offline or bool(os.environ.get("PERSONA_OFFLINE"))
        self._recorded = {row.key: row for row in read_recording(recording)} if recording else {}
        with self._errors():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # Model.ask hands the connection to its own thread; it never uses it from two at once.
            self._db = sqlite3.connect(self.path, timeout=60, isolation_level=None, check_same_thread=False)
            weakref.finalize(self, self._db.close)
            self._db.execute("PRAGMA page_size=8192")  # a reply with its request mostly fits one page
            self._to_wal()
            # In WAL mode NORMAL survives the death of the process at any time, at a hundredth of FULL's price.
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.executescript(_TABLES)
            self._layers = {self.path: self._db}
            if self.scratch and kept.is_file():
                read_only = f"{kept.absolute().as_uri()}?mode=ro"
                self._layers[kept] = sqlite3.connect(read_only, uri=True, timeout=60, check_same_thread=False)
                weakref.finalize(self, self._layers[kept].close)
            for layer in self._layers.values():
                layer.create_function("plain", 1, _plain, deterministic=True)

    def _to_wal(self) -> None:
        """Where two processes make the file at once, SQLite tells one that it is locked without waiting."""
        deadline = time.monotonic() + 60
        while True:
            try:
                self._db.execute("PRAGMA journal_mode=WAL")
                return
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > deadline:
                    raise
                time.sleep(0.02)

    def get(self, key: str) -> Stored | None:
        """The outcome kept under a key, or None."""
        if key in self._recorded:
            return self._recorded[key]
        query = "SELECT key, plain(request), reply, failure FROM replies WHERE key = ?"
        for path, layer in self._layers.items():
            with self._errors(path):
                if row := layer.execute(query, (key,)).fetchone():
                    return Stored(*row)
        return None

    def latest(self, model: Mapping[str, str], n: int) -> list[tuple[str, str, str]]:
        """Request, reply and time of the last n answers of a model, by the name and address that it is kept under."""
        query = "SELECT plain(request), reply, created FROM replies WHERE failure IS NULL AND instr(plain(request), ?) "
        query += "ORDER BY rowid DESC LIMIT ?"
        path, db = list(self._layers.items())[-1]
        if self.scratch and db is self._db:  # a scratch file's own replies are made up
            return []
        with self._errors(path):
            return db.execute(query, (f'"model":{canonical(model)}', n)).fetchall()

    def put(self, rows: Iterable[Stored]) -> None:
        """Keep outcomes; they are committed when this returns. A key that is already there keeps its first reply."""
        now = _now()
        values = [(r.key, _packed(r.request), r.reply, r.failure, now) for r in rows]
        with self._transaction():
            self._db.executemany("INSERT OR IGNORE INTO replies VALUES (?, ?, ?, ?, ?)", values)

    def fail(self, failures: Mapping[str, str]) -> None:
        """Note of replies that are kept why they are no answers after all, by their keys."""
        with self._transaction():
            self._db.executemany("UPDATE replies SET failure = ?2 WHERE key = ?1", failures.items())

    def forget_failed(self) -> int:
        """Drop the outcomes that are no answers, so that they are asked again; returns how many."""
        with self._errors():
            return self._db.execute("DELETE FROM replies WHERE failure IS NOT NULL").rowcount

    def counts(self) -> dict[str, int]:
        """How many outcomes the file keeps: `replies` in all, `failed` among them."""
        with self._errors():
            replies, failed = self._db.execute("SELECT count(*), count(failure) FROM replies").fetchone()
        return {"replies": replies, "failed": failed}

    def write_recording(self, path: Path | str) -> int:
        """Write all outcomes of the file as a recording, ordered by key; returns how many.

        What is more than MOST bytes goes on in NAME.2.jsonl and so forth; parts of an earlier recording are removed.
        """
        with self._errors():
            rows = [
                Stored(*r)
                for r in self._db.execute("SELECT key, plain(request), reply, failure FROM replies ORDER BY key")
            ]
        lines = [
            canonical({"request": json.loads(r.request), "reply": json.loads(r.reply), "failure": r.failure})
            for r in rows
        ]
        parts, size = [[]], 0
        for line in (f"{line}\n".encode() for line in lines):
            if size + len(line) > MOST:
                parts, size = [*parts, []], 0
            parts[-1].append(line)
            size += len(line)
        for old in _parts(Path(path)):
            old.unlink()
        for number, part in enumerate(parts, 1):
            Path(path).with_suffix(".jsonl" if number == 1 else f".{number}.jsonl").write_bytes(b"".join(part))
        return len(rows)

    def submit(self, file: str, requests: Iterable[tuple[str, str]]) -> Batch:
        """Note the requests (key, canonical request) that a file at the endpoint carries, before it is processed."""
        with self._transaction():
            number = self._db.execute("INSERT INTO batches (file) VALUES (?)", (file,)).lastrowid
            rows = ((key, _packed(request), number) for key, request in requests)
            self._db.executemany("INSERT OR IGNORE INTO submitted VALUES (?, ?, ?)", rows)
        return Batch(number, file, None)

    def begun(self, batch: Batch) -> None:
        """Note the endpoint's id of a batch."""
        with self._errors():
            self._db.execute("UPDATE batches SET id = ? WHERE number = ?", (batch.id, batch.number))

    def batch(self, number: int) -> Batch | None:
        """A batch by its number, as it stands; None once it has ended."""
        with self._errors():
            row = self._db.execute("SELECT number, file, id FROM batches WHERE number = ?", (number,)).fetchone()
        return Batch(*row) if row else None

    def batch_of(self, key: str) -> Batch | None:
        """The batch that a request waits in, or None."""
        query = "SELECT number, file, id FROM submitted JOIN batches USING (number) WHERE key = ?"
        with self._errors():
            row = self._db.execute(query, (key,)).fetchone()
        return Batch(*row) if row else None

    def end(self, batch: Batch, replies: Iterable[tuple[str, str, str | None]] = ()) -> None:
        """Keep what came of a batch (key, reply, failure), also where nobody waits for it, and forget the batch."""
        now = _now()
        with self._transaction():
            self._db.executemany(
                "INSERT OR IGNORE INTO replies SELECT key, request, ?2, ?3, ?4 FROM submitted WHERE key = ?1",
                ((*reply, now) for reply in replies),
            )
            self._db.execute("DELETE FROM submitted WHERE number = ?", (batch.number,))
            self._db.execute("DELETE FROM batches WHERE number = ?", (batch.number,))

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """All or nothing; committed at the end."""
        with self._errors():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    @contextmanager
    def _errors(self, path: Path | None = None) -> Iterator[None]:
        """Say in one line what is wrong with the file, or another layer's; what is already committed stays."""
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            if "full" in str(error) or "No space" in str(error):
                raise UserError(
                    f"the disk is full: {self.path} keeps all replies so far; make room and run again"
                ) from error
            raise UserError(
                f"{path or self.path} can't serve as response store ({error}): move it away or set PERSONA_STORE to "
                "another"
            ) from error


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def read_recording(recording: str | Path) -> Iterator[Stored]:
    """The outcomes of a recording, a name in tests/recordings or a path; the key is worked out anew from each request.

    Raises:
        UserError: there is no such recording, or a line of it can't be read.
    """
    path = RECORDINGS / f"{recording}.jsonl"
    path = path if path.is_file() else Path(recording)
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in RECORDINGS.glob("*.jsonl") if "." not in p.stem)) or "none"
        raise UserError(f"no recording '{recording}': known ones are {known}; None asks the model")
    for part in _parts(path):
        # Of bytes: what is said may hold other line breaks, such as U+2028, which JSON leaves as they are.
        for number, line in enumerate(filter(None, part.read_bytes().splitlines()), 1):
            try:
                row = json.loads(line)
                request = canonical(row["request"])
                yield Stored(key_of(request), request, canonical(row["reply"]), row["failure"])
            except (ValueError, KeyError, TypeError) as error:
                raise UserError(
                    f"{part} line {number} is no recorded reply ({error!r:.200}): restore or re-record it"
                ) from error


def _parts(path: Path) -> list[Path]:
    """The files of a recording, in order."""
    more = path.parent.glob(f"{glob.escape(path.stem)}.*.jsonl")
    numbered = {int(p.suffixes[-2][1:]): p for p in more if p.suffixes[-2][1:].isdigit()}
    return [*([path] if path.is_file() else []), *(numbered[n] for n in sorted(numbered))]
