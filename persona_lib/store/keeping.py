"""Look after a store's file: what is in it, what can go, and all of it as parquet files."""

import itertools
import json
import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import date
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import UserError, files
from .opening import read_only
from .requests import plain
from .sources import is_sound
from .store import Store, default_path

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("key", "request", "reply", "failure", "created")  # of an export, all of them text
GROUP = 5_000  # rows that are compressed together
_STATS = """
SELECT model(request) AS model, count(*) AS replies, count(failure) AS failed,
    sum(length(CAST(request AS BLOB)) + length(CAST(reply AS BLOB))) AS bytes,
    min(created) AS oldest, max(created) AS newest
FROM replies GROUP BY 1 ORDER BY replies DESC, 1
"""


def stats(path: Path | str | None = None) -> "pd.DataFrame":
    """Count what a store's file holds, by model.

    Args:
        path: the file; None means `default_path()`.

    Returns:
        A row for each model, the one with most replies first: `model` (its name, with its address where it has one),
        `replies`, `failed` (those among them that are no answers), `bytes` (of requests, compressed, and replies),
        `oldest`, `newest` (UTC).

    Raises:
        UserError: there is no such file, or it is no response store or damaged.
    """
    import pandas as pd  # half a second that other users of the store's wing need not wait

    path = Path(path or default_path())
    with closing(read_only(path)) as db, _damaged(path):
        db.create_function("model", 1, model_of, deterministic=True)
        found = db.execute(_STATS)
        return pd.DataFrame(found.fetchall(), columns=[name for name, *_ in found.description])


def model_of(request: str | bytes) -> str:
    """Return the model that a request in the store's file names: NAME at ADDRESS, NAME alone, or weights and a hash."""
    try:
        asked = json.loads(plain(request))
        who = asked.get("model") or asked["embedder"]
        if "weights_sha256" in who:
            return f"weights {who['weights_sha256'][:12]}"
        return f"{who['name']} at {who['base_url']}" if who.get("base_url") else str(who["name"])
    except (ValueError, TypeError, KeyError, AttributeError, zlib.error):
        return "unknown"


def prune(
    path: Path | str | None = None,
    failed: bool = False,
    model: str | None = None,
    before: date | None = None,
    dry_run: bool = False,
) -> int:
    """Delete replies from a store's file, and make the file smaller; all of several conditions must hold.

    Args:
        path: the file; None means `default_path()`.
        failed: those that are no answers.
        model: those of one model, as `stats` names it, or by its name alone.
        before: those that came before this day (UTC).
        dry_run: only count them.

    Returns:
        How many are deleted, or would be.

    Raises:
        UserError: no condition is given, the file is missing, no store or can't be written, or, once the replies are
            deleted, it can't be made smaller.
    """
    if not (failed or model or before):
        raise UserError("say which replies to delete: failed ones, those of a model, or those before a day")
    path = Path(path or default_path())
    read_only(path).close()  # it is not made here
    store = Store(path, base=())
    store.db.create_function("is_of", 2, lambda request, name: _is_of(model_of(request), name), deterministic=True)
    where = (
        "WHERE (NOT ?1 OR failure IS NOT NULL) AND (?2 IS NULL OR is_of(request, ?2)) AND (?3 IS NULL OR created < ?3)"
    )
    values = (failed, model, before and before.isoformat())
    with store.errors():
        n = int(store.db.execute(f"SELECT count(*) FROM replies {where}", values).fetchone()[0])
    if not dry_run:
        with store.transaction():
            n = store.db.execute(f"DELETE FROM replies {where}", values).rowcount
        try:
            store.db.execute("VACUUM")
            store.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.OperationalError as error:
            raise UserError(
                f"{n:,} replies are deleted, but {path} can't be made smaller now ({error}): make room, or wait for "
                "the run that uses it, and give the same command again"
            ) from error
        except sqlite3.DatabaseError as error:
            raise UserError(f"{n:,} replies are deleted, but {_is_damaged(path, error)}") from error
    return n


def _is_of(shown: str, model: str) -> bool:
    return shown == model or shown.startswith(f"{model} at ")


def export(folder: Path | str, path: Path | str | None = None) -> tuple[int, int]:
    """Write all replies of a store's file as parquet: a file for each first digit of the key, its rows in their order.

    Stores with equal replies give equal bytes, with one version of pyarrow. Columns, all of them text: `key`,
    `request` (canonical JSON), `reply` (JSON), `failure` (null for an answer), `created` (UTC).

    Args:
        folder: gets replies-0.parquet to replies-f.parquet; those of an earlier export are replaced.
        path: the file; None means `default_path()`.

    Returns:
        How many replies are written, and how many are left out since they are damaged.

    Raises:
        UserError: the folder holds something else, or the file is missing, no store, or damaged as a whole.
    """
    folder, path = Path(folder), Path(path or default_path())
    ours = [f"replies-{digit}.parquet" for digit in "0123456789abcdef"]
    files.check_folder(folder, ours, "an export of a response store")
    n = damaged = 0

    def sound(rows: Iterator[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
        nonlocal n, damaged
        for row in rows:
            if is_sound(row):
                n += 1
                yield row
            else:
                damaged += 1

    with closing(read_only(path)) as db, _damaged(path):
        db.text_factory = partial(str, encoding="utf-8", errors="surrogateescape")  # which a sound row has none of
        folder.mkdir(parents=True, exist_ok=True)
        rows = sound(db.execute(f"SELECT {', '.join(COLUMNS)} FROM replies ORDER BY key"))
        for digit, group in itertools.groupby(rows, key=lambda row: row[0][0]):
            ours.remove(name := f"replies-{digit}.parquet")
            files.write(folder / name, partial(_write, group))
        for name in ours:
            (folder / name).unlink(missing_ok=True)
    return n, damaged


def _write(rows: Iterator[tuple[Any, ...]], path: Path) -> None:
    """Write rows as a parquet file, a group of them in memory at a time."""
    import pyarrow as pa  # half a second that other users of the store's wing need not wait
    import pyarrow.parquet as pq  # as above

    schema = pa.schema([(name, pa.string()) for name in COLUMNS])
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        while group := list(itertools.islice(rows, GROUP)):
            key, request, *others = zip(*group, strict=True)
            columns = [key, map(plain, request), *others]
            writer.write_table(pa.table([pa.array(list(c), pa.string()) for c in columns], schema))


@contextmanager
def _damaged(path: Path) -> Iterator[None]:
    """Say in one line that a file can't be read through."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        raise UserError(_is_damaged(path, error)) from error


def _is_damaged(path: Path, error: sqlite3.DatabaseError) -> str:
    return f"{path} is damaged ({error}): `persona store merge {path} --into NEW.sqlite` keeps what can be read"
