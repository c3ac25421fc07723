"""Stores merged: the same whatever the order, whatever is damaged, and one line for what can't be merged."""

import itertools
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest
from waits import LONG_S

from persona_lib import UserError, store
from persona_lib.store import Journal, Store, Stored, canonical, key_of, merge, merging, opening, sources


def stored(n: int, reply: str = "yes", failure: str | None = None) -> Stored:
    request = canonical({"n": n})
    return Stored(key_of(request), request, canonical({"reply": f"{reply} {n}"}), failure)


def written(path, rows, created="2026-11-30T10:00:00+00:00"):
    """Write a store whose replies are all of one time, and return its path."""
    store = Store(path)
    store.put(rows)
    store.db.execute("UPDATE replies SET created = ?", (created,))
    store.db.close()
    return path


def rows_of(path):
    with closing(sqlite3.connect(path)) as db:
        db.create_function("plain", 1, opening.plain)
        return db.execute("SELECT key, plain(request), reply, failure, created FROM replies ORDER BY key").fetchall()


@pytest.fixture
def three(tmp_path):
    """Three stores that differ about some keys: failed or not, earlier or later, or only in their texts."""
    shared = [stored(n) for n in range(20)]
    return [
        written(tmp_path / "a.sqlite", [*shared, stored(100, "bad", "refusal"), stored(101, "late"), stored(102, "x")]),
        written(tmp_path / "b.sqlite", [*shared[:9], stored(100, "good"), stored(101, "soon"), stored(102, "y")],
                "2026-11-30T09:00:00+00:00"),
        written(tmp_path / "c.sqlite", [stored(7), stored(100, "early", "cut off"), stored(102, "b"), stored(103)],
                "2026-11-30T09:00:00+00:00"),
    ]  # fmt: skip


def test_any_order_and_a_second_time_give_the_same_replies_and_count_the_same_conflicts(tmp_path, three):
    told = []
    for number, order in enumerate(itertools.permutations(three)):
        into = tmp_path / f"into{number}.sqlite"
        first, again = merge(order, into), merge(order, into)
        assert first.conflicts == again.conflicts == 3 and again.sources["new"].sum() == 0
        one_by_one = tmp_path / f"single{number}.sqlite"
        for path in (*order, order[0]):
            merge([path], one_by_one)
        assert rows_of(one_by_one) == rows_of(into)
        told.append(rows_of(into))
    assert len(told[0]) == 24 and all(rows == told[0] for rows in told)


def test_the_successful_reply_stays_then_the_earlier_then_the_one_that_is_first_in_the_alphabet(tmp_path, three):
    merged = merge(three, tmp_path / "into.sqlite")
    assert (merged.replies, merged.failed, merged.conflicts) == (24, 0, 3)
    assert merged.sources["read"].tolist() == [23, 12, 4] and merged.sources["new"].tolist() == [23, 0, 1]
    store = Store(tmp_path / "into.sqlite")
    assert store.get(stored(100).key) == stored(100, "good")
    assert store.get(stored(101).key) == stored(101, "soon")
    assert store.get(stored(102).key) == stored(102, "b")


def test_a_merge_leaves_its_sources_alone_and_gives_a_store_that_runs_go_on_with(tmp_path, three):
    before = [path.read_bytes() for path in three]
    merge(three, tmp_path / "into.sqlite")
    assert [path.read_bytes() for path in three] == before
    store = Store(tmp_path / "into.sqlite")
    store.put([stored(500)])
    assert store.counts()["replies"] == 25


def test_of_two_notes_of_an_endpoint_the_longer_stays_and_waiting_batches_are_counted_but_not_merged(tmp_path):
    paths = [tmp_path / "a.sqlite", tmp_path / "b.sqlite"]
    for path, found in zip(paths, ('{"dialects": [1]}', "{}"), strict=True):
        store = Store(path)
        store.note_endpoint("m", found)
        Journal(store).submit("file-1", [(stored(1).key, stored(1).request)])
        store.db.close()
    for order in (paths, paths[::-1]):
        into = tmp_path / f"{order[0].stem}.into.sqlite"
        assert merge(order, into).sources["waiting"].tolist() == [1, 1]
        assert Store(into).endpoint("m") == '{"dialects": [1]}'
        assert Journal(Store(into)).batch_of(stored(1).key) is None


def test_a_store_of_before_with_fewer_tables_and_plain_requests_is_merged(tmp_path):
    with sqlite3.connect(tmp_path / "old.sqlite") as db:
        db.execute(opening.TABLES.split(";")[0])
        row = stored(1)
        db.execute("INSERT INTO replies VALUES (?, ?, ?, NULL, '2026-01-01')", (row.key, row.request, row.reply))
    db.close()
    merge([tmp_path / "old.sqlite"], tmp_path / "into.sqlite")
    assert Store(tmp_path / "into.sqlite").get(stored(1).key) == stored(1)


@pytest.fixture
def large(tmp_path):
    """A store of 3,000 replies on some hundred pages, in blocks of 1,000."""
    return written(tmp_path / "large.sqlite", [stored(n, "x" * 400) for n in range(3000)])


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(sources, "BLOCK", 1000)
    monkeypatch.setattr(sources, "_AT_ONCE", 100)
    monkeypatch.setattr(merging, "TURN_S", 0)


@pytest.mark.parametrize("filled", [8192, 4096, 600])
def test_of_a_damaged_store_what_can_be_read_is_kept_and_the_rest_is_counted(tmp_path, large, filled):
    whole = {row[0]: row for row in rows_of(large)}
    content = bytearray(large.read_bytes())
    for page in (40, 41, 90):
        at = page * 8192 + 8192 - filled  # the end of a page has replies
        content[at : at + filled] = bytes(b % 251 for b in range(filled))
    large.write_bytes(content)
    into = tmp_path / "into.sqlite"
    (row,) = merge([large], into).sources.to_dict("records")
    kept = rows_of(into)
    assert all(reply == whole[reply[0]] for reply in kept)
    assert row["read"] == row["new"] == len(kept) and 0 < row["lost"] == 3000 - len(kept) < 100


def test_a_damaged_last_page_a_few_bytes_in_a_reply_and_a_damaged_index_are_noticed(tmp_path, large):
    whole, content = {row[0]: row for row in rows_of(large)}, large.read_bytes()
    with sqlite3.connect(large) as db:
        db.execute("CREATE TABLE at AS SELECT rootpage FROM sqlite_master WHERE name = 'sqlite_autoindex_replies_1'")
        (index,) = db.execute("SELECT rootpage FROM at").fetchone()
    db.close()
    reply = content.index(b"xxxx", 50 * 8192)
    for number, (at, filled) in enumerate([(len(content) - 8192, 8192), (reply, 4), ((index - 1) * 8192, 8192)]):
        damaged = bytearray(content)
        damaged[at : at + filled] = b"\xff" * filled
        large.write_bytes(damaged)
        (row,) = merge([large], tmp_path / f"{number}.sqlite").sources.to_dict("records")
        kept = rows_of(tmp_path / f"{number}.sqlite")
        assert all(reply == whole[reply[0]] for reply in kept) and row["read"] == len(kept) > 2950
        assert row["lost"] == 3000 - len(kept) and row["estimated"] == (number == 2)


def test_of_a_store_that_is_cut_off_the_first_part_is_kept_and_the_rest_estimated(tmp_path, large):
    whole = {row[0]: row for row in rows_of(large)}
    large.write_bytes(large.read_bytes()[: large.stat().st_size // 2])
    (row,) = merge([large], tmp_path / "into.sqlite").sources.to_dict("records")
    kept = rows_of(tmp_path / "into.sqlite")
    assert 1000 < len(kept) < 2000 and all(reply == whole[reply[0]] for reply in kept)
    assert row["estimated"] and row["lost"] == pytest.approx(3000 - len(kept), rel=0.2)


def test_what_cannot_be_merged_is_one_line_and_nothing_is_merged(tmp_path, three):
    into = tmp_path / "into.sqlite"
    (tmp_path / "notes.txt").write_text("not a database, but somebody's notes" * 100)
    (tmp_path / "empty.sqlite").touch()
    with closing(sqlite3.connect(tmp_path / "other.sqlite")) as db:
        db.execute("CREATE TABLE mine (a)")
    for given, said in (
        ([], "there is nothing to merge"),
        ([three[0], tmp_path / "none.sqlite"], "no response store .*none.sqlite"),
        ([tmp_path / "notes.txt"], "notes.txt is no response store .*not a database"),
        ([tmp_path / "empty.sqlite"], "empty.sqlite is no response store .*no such table"),
        ([tmp_path / "other.sqlite", tmp_path / "notes.txt"], "other.sqlite is no response store .*no such table"),
        ([three[0], tmp_path], "no response store"),
        ([three[0], into], "is both a source and the file to merge into"),
    ):
        with pytest.raises(UserError, match=said):
            merge(given, into)
        assert not into.exists()


@pytest.mark.parametrize(
    ("destroyed", "reason"),
    [
        ((0, 8192), "file is not a database"),
        ((0, 16), "file is not a database"),
        ((100, 8192), "no such table: replies"),
    ],
)
def test_a_store_whose_head_is_destroyed_is_named_and_the_others_are_merged(tmp_path, three, destroyed, reason):
    content = bytearray(three[1].read_bytes())
    content[slice(*destroyed)] = bytes(destroyed[1] - destroyed[0])
    three[1].write_bytes(content)
    merged = merge(three, tmp_path / "into.sqlite")
    assert merged.sources["unreadable"].dropna().to_dict() == {1: reason}
    assert merged.sources["read"].tolist() == [23, 0, 4]
    assert merged.sources["estimated"].tolist() == [False, True, False]
    merge([three[0], three[2]], tmp_path / "two.sqlite")
    assert rows_of(tmp_path / "into.sqlite") == rows_of(tmp_path / "two.sqlite")
    assert three[1].read_bytes() == content


def test_a_store_of_a_newer_version_is_refused_as_a_source_and_as_the_target_and_stays_as_it_is(tmp_path, three):
    with sqlite3.connect(three[1]) as db:
        db.execute("PRAGMA user_version=2")
    db.close()
    content = three[1].read_bytes()
    for given, into in ((three, tmp_path / "into.sqlite"), (three[:1], three[1])):
        with pytest.raises(
            UserError, match=r"b.sqlite is a response store of a newer version \(schema 2, .* knows 1\)"
        ):
            merge(given, into)
    assert three[1].read_bytes() == content and not (tmp_path / "into.sqlite").exists()


def test_a_full_disk_keeps_what_is_merged_and_the_same_merge_goes_on(tmp_path, large, monkeypatch):
    into = tmp_path / "into.sqlite"
    counts = Store.counts

    def small(store):
        store.db.execute("PRAGMA max_page_count = 150")
        return counts(store)

    monkeypatch.setattr(Store, "counts", small)
    with pytest.raises(UserError, match=r"the disk is full: .*into.sqlite keeps all replies so far"):
        merge([large], into)
    monkeypatch.undo()
    assert len(rows_of(into)) in (1000, 2000)
    merge([large], into)
    assert rows_of(into) == rows_of(large)


KILLED = """
import os, sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("PRAGMA journal_mode=DELETE")
db.execute("PRAGMA cache_size=5")
db.execute("BEGIN")
db.execute("UPDATE replies SET reply = '{}', failure = 'half'")
os._exit(9)
"""


def test_a_merge_that_was_killed_in_a_write_is_never_read_by_halves_and_goes_on(tmp_path, large):
    into = tmp_path / "into.sqlite"
    merge([large], into)
    whole = rows_of(into)
    subprocess.run([sys.executable, "-c", KILLED, into], timeout=LONG_S)  # as a merge writes: a journal takes it back
    assert into.with_name("into.sqlite-journal").exists()
    for read in (opening.read_only, store.stats, lambda path: merge([path], tmp_path / "other.sqlite")):
        with pytest.raises(UserError, match=r"a write into .*into.sqlite was cut off, .*merge into it again"):
            read(into)
    merge([large], into)
    assert rows_of(into) == whole


def test_stores_that_runs_write_to_are_merged_meanwhile(tmp_path, three):
    writers = [Store(three[0]), Store(tmp_path / "into.sqlite")]
    for number, writer in enumerate(writers):
        writer.put([stored(600 + number)])  # lies in the journal of the open file, not yet in the file itself
    merge(three, tmp_path / "into.sqlite")
    for number, writer in enumerate(writers):
        writer.put([stored(700 + number)])
    assert writers[1].counts()["replies"] == 24 + 2 + 1
