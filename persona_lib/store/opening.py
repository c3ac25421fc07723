"""Open the store's file: its tables, the version of its schema, and how it is opened by who only reads it."""

import sqlite3
import time
from contextlib import closing
from pathlib import Path

from .. import UserError
from . import disks
from .requests import plain

VERSION = 1  # of the tables; 0 is a file of before, which lacks some of them, and a newer one is refused

# Requests are zlib-compressed, since they repeat themselves; older stores have text, which is read as well.
# `batches` and `submitted` have the requests that wait in a file at the endpoint, until their replies are fetched.
# `endpoints` has what endpoints turned out to take, so that only one process has to find it.
# `exported` has the requests in files for an engine, until a reply comes from anywhere, `waves` how many files so far.
# Of a base, which is not written, `failed` has replies that turned out to be no answers, and `asked_again` the keys of
# failed ones that are to be asked again.
TABLES = """
CREATE TABLE IF NOT EXISTS replies (
    key TEXT PRIMARY KEY, request BLOB NOT NULL, reply TEXT NOT NULL, failure TEXT, created TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS batches (number INTEGER PRIMARY KEY AUTOINCREMENT, file TEXT NOT NULL, id TEXT);
CREATE TABLE IF NOT EXISTS submitted (key TEXT PRIMARY KEY, request BLOB NOT NULL, number INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS endpoints (model TEXT PRIMARY KEY, found TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS exported (key TEXT PRIMARY KEY, request BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS waves (plan TEXT PRIMARY KEY, number INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS failed (key TEXT PRIMARY KEY, reply TEXT NOT NULL, failure TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS asked_again (key TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS submitted_number ON submitted (number);
CREATE TRIGGER IF NOT EXISTS answered AFTER INSERT ON replies BEGIN DELETE FROM exported WHERE key = NEW.key; END;
"""
_CUT = "PRAGMA writable_schema=ON"  # without it SQLite reads nothing of a file that is cut off


class UnreadableError(UserError):
    """A file that is no response store, or one that is damaged at its head: SQLite reads nothing of it."""


def read_write(path: Path) -> sqlite3.Connection:
    """Open a store to write it, and make it if missing; a file of an older version gets the tables of this one.

    Raises:
        UserError: it is of a newer version, or another program's; it stays as it is.
    """
    # A full path, since URIs are for what is attached to it.
    db = sqlite3.connect(path.absolute(), timeout=60, isolation_level=None, check_same_thread=False, uri=True)
    try:
        check_version(db, path)
        _check_own(db, path)
        db.execute("PRAGMA page_size=8192")  # most replies fit one page with their requests
        _to_wal(db)
        # In WAL mode NORMAL survives the death of the process at any time, at a hundredth of the time of FULL.
        db.execute("PRAGMA synchronous=NORMAL")
        db.executescript(TABLES)
        if _version(db) < VERSION:
            db.execute(f"PRAGMA user_version={VERSION}")
    except BaseException:
        db.close()
        raise
    db.create_function("plain", 1, plain, deterministic=True)
    return db


def _to_wal(db: sqlite3.Connection) -> None:
    """Set WAL mode, and try again if another process creates the file: SQLite itself does not wait here."""
    deadline = time.monotonic() + 60
    while True:
        try:
            db.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def check_version(db: sqlite3.Connection, path: Path) -> None:
    """Refuse a file of a newer version before anything is written into it.

    Raises:
        UserError: its schema is newer.
    """
    if (found := _version(db)) > VERSION:
        raise UserError(
            f"{path} is a response store of a newer version (schema {found}, this version knows {VERSION}): update the "
            "workbench, or set PERSONA_STORE to another file"
        )


def _check_own(db: sqlite3.Connection, path: Path) -> None:
    """Refuse a database of another program before anything is written into it: it has tables, and no replies.

    Raises:
        UserError: it is one.
    """
    tables = [name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    if tables and "replies" not in tables:  # the first that is made: another process may be making the others
        raise UserError(f"{path} is a database of another program (it has a table {tables[0]}): name another file")


def check_disk(path: Path) -> None:
    """Refuse to write a file on a network file system.

    Raises:
        UserError: it lies on one.
    """
    if where := disks.network(path):
        raise UserError(
            f"{path} lies on a network file system ({where}), where SQLite loses data when several machines write: set "
            "PERSONA_STORE to a file on a local disk of each, and join them afterwards with `persona store merge`"
        )


def _version(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def address(path: Path) -> str:
    """Return the URI under which SQLite only reads a file.

    Where SQLite can't see other writers, since it may not write beside the file or the file lies on a network file
    system, a file without a journal of unfinished writes (-wal, -journal) is read as one that nobody changes.

    Raises:
        UserError: it has such a journal, and SQLite may not write beside it; or a write of it was cut off, as that of a
            merge that was killed.
    """
    uri = f"{path.absolute().as_uri()}?mode=ro"
    wal, journal = (path.with_name(f"{path.name}-{kind}") for kind in ("wal", "journal"))
    unfinished = any(file.exists() and file.stat().st_size > 0 for file in (wal, journal))
    if disks.network(path) and not unfinished:
        return f"{uri}&immutable=1"
    try:
        with closing(sqlite3.connect(uri, uri=True, timeout=60)) as db:
            db.execute(_CUT)
            db.execute("PRAGMA user_version")
    except sqlite3.OperationalError as error:
        if not error.sqlite_errorname.startswith(("SQLITE_CANTOPEN", "SQLITE_READONLY")):
            raise
        if error.sqlite_errorname == "SQLITE_READONLY_ROLLBACK":
            raise UserError(
                f"a write into {path} was cut off, and {journal.name} has what takes it back: merge into it again, or "
                "run with it as PERSONA_STORE"
            ) from error
        if unfinished:
            raise UserError(
                f"{path} has replies in {wal.name} that are read only where files can be written beside it: copy both "
                "into another folder and name that"
            ) from error
        return f"{uri}&immutable=1"
    return uri


def read_only(path: Path) -> sqlite3.Connection:
    """Open a store that is only read, even a damaged one; `plain(request)` is the request as text.

    Raises:
        UserError: there is no such file, or it is a response store of a newer version.
        UnreadableError: it is no response store, or its head is damaged.
    """
    if not path.is_file():
        raise UserError(f"no response store {path}: give the path of its SQLite file")
    try:
        db = sqlite3.connect(address(path), uri=True, timeout=60, isolation_level=None, check_same_thread=False)
        try:
            db.execute(_CUT)
            check_version(db, path)
            db.execute("SELECT key, request, reply, failure, created FROM replies LIMIT 0")
        except BaseException:
            db.close()
            raise
    except sqlite3.Error as error:
        raise UnreadableError(f"{path} is no response store ({error}): give the path of its SQLite file") from error
    db.create_function("plain", 1, plain, deterministic=True)
    return db
