"""What a store's file holds, what is deleted from it, and its replies as parquet."""

import sqlite3
from contextlib import closing, contextmanager
from datetime import date

import pandas as pd
import pytest

from persona_lib import UserError
from persona_lib.store import Store, Stored, canonical, export, key_of, merge, prune, stats

HERE = {"name": "m", "base_url": "http://x/v1"}


def stored(n: int, who: dict, failure: str | None = None, part: str = "model") -> Stored:
    request = canonical({"n": n, part: who})
    return Stored(key_of(request), request, canonical({"reply": f"é {n}"}), failure)


@pytest.fixture
def path(tmp_path):
    """Two models, one of them embedded weights that also embeds; one reply of a year before."""
    path, own = tmp_path / "r.sqlite", {"weights_sha256": "a" * 64}
    store = Store(path)
    rows = [stored(n, HERE, "refusal" if n < 2 else None) for n in range(5)]
    store.put([*rows, stored(1, own), stored(2, own, part="embedder")])
    store.db.execute("UPDATE replies SET created = '2025-11-30T10:00:00+00:00' WHERE key = ?", (rows[4].key,))
    store.db.close()
    return path


def test_replies_are_counted_by_model_with_their_size_and_times(path):
    found = stats(path)
    assert found["model"].tolist() == ["m at http://x/v1", f"weights {'a' * 12}"]
    assert found["replies"].tolist() == [5, 2] and found["failed"].tolist() == [2, 0]
    assert found["oldest"][0] == "2025-11-30T10:00:00+00:00" < found["newest"][0]
    with closing(sqlite3.connect(path)) as db:
        sizes = db.execute("SELECT sum(length(request) + length(CAST(reply AS BLOB))) FROM replies").fetchone()
    assert found["bytes"].sum() == sizes[0]


def test_an_empty_store_has_no_models_and_a_missing_one_is_not_made(tmp_path):
    Store(tmp_path / "r.sqlite")
    assert stats(tmp_path / "r.sqlite").empty
    assert export(tmp_path / "out", tmp_path / "r.sqlite") == (0, 0)
    for use in (stats, lambda p: prune(p, failed=True), lambda p: export(tmp_path / "out", p)):
        with pytest.raises(UserError, match="no response store"):
            use(tmp_path / "none.sqlite")
    assert not (tmp_path / "none.sqlite").exists()


@pytest.mark.parametrize(
    ("which", "n"),
    [
        ({"failed": True}, 2),
        ({"model": "m"}, 5),
        ({"model": "m at http://x/v1"}, 5),
        ({"model": f"weights {'a' * 12}"}, 2),
        ({"before": date(2026, 1, 1)}, 1),
        ({"before": date(2025, 11, 30)}, 0),
        ({"failed": True, "before": date(2026, 1, 1)}, 0),
        ({"model": "m", "before": date(2026, 1, 1)}, 1),
    ],
)
def test_what_is_named_is_deleted_and_a_dry_run_only_counts_it(path, which, n):
    assert prune(path, **which, dry_run=True) == n and Store(path).counts()["replies"] == 7
    assert prune(path, **which) == n and Store(path).counts()["replies"] == 7 - n


def test_pruning_makes_the_file_smaller(tmp_path):
    store = Store(tmp_path / "r.sqlite")
    store.put([stored(n, HERE, "refusal")._replace(reply='"x"' * 3000) for n in range(100)])
    store.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    before = store.path.stat().st_size
    assert prune(store.path, failed=True) == 100
    assert store.path.stat().st_size < before / 5


def test_a_prune_that_names_nothing_is_refused_and_of_an_unknown_model_nothing_is_deleted(path):
    with pytest.raises(UserError, match="say which replies to delete"):
        prune(path)
    assert prune(path, model="http") == 0
    assert Store(path).counts()["replies"] == 7


def test_a_file_that_cannot_be_made_smaller_now_is_told_after_the_replies_are_deleted(path, monkeypatch):
    transaction = Store.transaction

    @contextmanager
    def and_then_no_room(store):
        with transaction(store):
            yield
        store.db.execute("PRAGMA query_only=ON")  # stands for a full disk

    monkeypatch.setattr(Store, "transaction", and_then_no_room)
    with pytest.raises(UserError, match=r"2 replies are deleted, but .* can't be made smaller now \("):
        prune(path, failed=True)
    monkeypatch.undo()
    assert prune(path, failed=True) == 0 and Store(path).counts()["replies"] == 5


def files_of(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_equal_replies_give_equal_bytes_whatever_the_order_of_merging(tmp_path, path):
    second = Store(tmp_path / "second.sqlite")
    second.put([stored(n, HERE) for n in range(300)])
    second.db.close()
    for name, sources in (("a", [path, second.path]), ("b", [second.path, path, second.path])):
        merge(sources, tmp_path / f"{name}.sqlite")
        assert export(tmp_path / name, tmp_path / f"{name}.sqlite") == (302, 0)
    assert files_of(tmp_path / "a") == files_of(tmp_path / "b")
    assert sorted(files_of(tmp_path / "a")) == [f"replies-{digit}.parquet" for digit in "0123456789abcdef"]


def test_an_export_has_all_columns_as_text_and_replaces_an_earlier_one(tmp_path, path, monkeypatch):
    monkeypatch.setattr("persona_lib.store.keeping.GROUP", 2)
    export(tmp_path / "out", path)
    table = pd.read_parquet(tmp_path / "out")
    assert list(table) == ["key", "request", "reply", "failure", "created"] and len(table) == 7
    row = table.set_index("key").loc[stored(0, HERE).key]
    assert tuple(row[["request", "reply", "failure"]]) == stored(0, HERE, "refusal")[1:]
    prune(path, model="m")
    export(tmp_path / "out", path)
    assert len(pd.read_parquet(tmp_path / "out")) == 2
    (tmp_path / "out" / "mine.txt").touch()
    with pytest.raises(UserError, match="holds something else"):
        export(tmp_path / "out", path)


def test_a_damaged_reply_is_left_out_of_an_export_and_counted_and_a_damaged_file_is_named(tmp_path, path):
    with sqlite3.connect(path) as db:
        db.execute("UPDATE replies SET request = x'00' WHERE key = ?", (stored(0, HERE).key,))
        db.execute("UPDATE replies SET reply = CAST(x'22ff22' AS TEXT) WHERE key = ?", (stored(1, HERE).key,))
    db.close()
    assert export(tmp_path / "out", path) == (5, 2)
    assert stats(path)["model"].tolist() == ["m at http://x/v1", f"weights {'a' * 12}", "unknown"]
    content = bytearray(path.read_bytes())
    content[8192 : 2 * 8192] = bytes(8192)
    path.write_bytes(content)
    for use in (stats, lambda p: export(tmp_path / "out", p)):
        with pytest.raises(UserError, match=r"is damaged .*`persona store merge .* keeps what can be read"):
            use(path)


def test_a_file_that_is_damaged_elsewhere_is_named_after_the_replies_are_deleted(path):
    with sqlite3.connect(path) as db:
        (page,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'exported'").fetchone()
    db.close()
    content = bytearray(path.read_bytes())
    content[8192 * (page - 1) : 8192 * page] = bytes(8192)
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"2 replies are deleted, but .* is damaged \(.*keeps what can be read"):
        prune(path, failed=True)
