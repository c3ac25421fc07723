"""The response store: what is kept, what survives, what is said when the file is no store."""

import json
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

from persona_lib import UserError
from persona_lib.store import Exported, Journal, Store, Stored, canonical, default_path, key_of, merge


def stored(n: int, failure: str | None = None) -> Stored:
    request = canonical({"n": n})
    return Stored(key_of(request), request, canonical({"reply": f"é {n}"}), failure)


def test_equal_requests_have_one_key_whatever_the_order_of_their_parts():
    assert key_of(canonical({"a": 1, "b": [2]})) == key_of(canonical({"b": [2], "a": 1}))
    assert key_of(canonical({"a": 1})) != key_of(canonical({"a": 2}))


def test_what_is_put_is_found_again_after_reopening(tmp_path):
    Store(tmp_path / "r.sqlite").put([stored(1), stored(2, "refusal")])
    again = Store(tmp_path / "r.sqlite")
    assert again.get(stored(1).key) == stored(1)
    assert again.get(stored(2).key).failure == "refusal"
    assert again.get("nothing") is None
    assert again.counts() == {"replies": 2, "failed": 1}


def test_only_an_outcome_that_is_no_answer_is_forgotten(tmp_path):
    store = Store(tmp_path / "r.sqlite")
    store.put([stored(1), stored(2, "refusal")])
    store.forget(stored(2).key)
    assert store.get(stored(2).key) is None
    with pytest.raises(UserError, match="keeps an answer under"):
        store.forget(stored(1).key)
    with pytest.raises(UserError, match="keeps nothing under"):
        store.forget(stored(2).key)


def test_a_second_reply_to_the_same_request_does_not_replace_the_first(tmp_path):
    store = Store(tmp_path / "r.sqlite")
    store.put([stored(1)])
    store.put([stored(1)._replace(reply='"another"')])
    assert store.get(stored(1).key) == stored(1)


def test_requests_are_kept_small_and_a_store_of_before_which_holds_them_as_text_is_read(tmp_path):
    store = Store(tmp_path / "r.sqlite")
    request = canonical({"messages": "what others say too " * 200})
    store.put([Stored(key_of(request), request, "{}", None)])
    with closing(sqlite3.connect(tmp_path / "r.sqlite")) as file, file:
        (size,) = file.execute("SELECT length(request) FROM replies").fetchone()
        row = stored(1)
        file.execute("INSERT INTO replies VALUES (?, ?, ?, ?, '2026')", (row.key, row.request, row.reply, None))
    assert size < len(request) / 10
    again = Store(tmp_path / "r.sqlite")
    assert again.get(key_of(request)).request == request and again.get(row.key) == row
    assert again.write_recording(tmp_path / "r.jsonl") == 2


def test_a_file_of_an_older_version_is_brought_along_and_one_of_a_newer_is_refused_untouched(tmp_path):
    path, row = tmp_path / "r.sqlite", stored(1)
    with sqlite3.connect(path) as old:  # of before there were batches, endpoints and a version
        old.execute("CREATE TABLE replies (key TEXT PRIMARY KEY, request, reply, failure, created)")
        old.execute("INSERT INTO replies VALUES (?, ?, ?, NULL, '2026')", (row.key, row.request, row.reply))
    old.close()
    store = Store(path)
    assert store.db.execute("PRAGMA user_version").fetchone() == (1,) and store.get(row.key) == row
    store.note_endpoint("m", "{}")
    store.db.execute("PRAGMA user_version=2")
    store.db.close()
    content = path.read_bytes()
    with pytest.raises(UserError, match=r"r.sqlite is a response store of a newer version \(schema 2, .* knows 1\)"):
        Store(path)
    assert path.read_bytes() == content


def test_failed_outcomes_can_be_forgotten_and_answers_stay(tmp_path):
    store = Store(tmp_path / "r.sqlite")
    store.put([stored(1), stored(2, "refusal")])
    assert store.forget_failed() == 1
    assert store.get(stored(2).key) is None and store.get(stored(1).key) == stored(1)


def test_a_process_killed_right_after_put_loses_nothing(tmp_path):
    code = f"""
import os, signal
from persona_lib.store import Store, Stored
Store({str(tmp_path / "r.sqlite")!r}).put([Stored("k", "{{}}", "{{}}", None)])
os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == -9
    assert Store(tmp_path / "r.sqlite").get("k") is not None


def test_two_processes_share_a_store(tmp_path):
    code = f"""
from persona_lib.store import Store, Stored
import sys
store = Store({str(tmp_path / "r.sqlite")!r})
for n in range(200):
    store.put([Stored(f"{{sys.argv[1]}}-{{n}}", "{{}}", "{{}}", None)])
"""
    processes = [subprocess.Popen([sys.executable, "-c", code, name]) for name in "ab"]
    assert [p.wait(timeout=60) for p in processes] == [0, 0]
    assert Store(tmp_path / "r.sqlite").counts()["replies"] == 400


def test_a_recording_is_read_before_the_file_and_holds_the_same(tmp_path):
    source = Store(tmp_path / "r.sqlite")
    source.put([stored(2, "refusal"), stored(1)])
    assert source.write_recording(tmp_path / "two.jsonl") == 2
    replay = Store(tmp_path / "empty.sqlite", recording=str(tmp_path / "two.jsonl"))
    assert replay.get(stored(1).key) == stored(1)
    assert replay.get(stored(2).key) == stored(2, "refusal")
    assert replay.counts()["replies"] == 0


def test_a_large_recording_goes_on_in_further_files_and_leaves_none_of_an_older_one(tmp_path, monkeypatch):
    monkeypatch.setattr("persona_lib.store.recording.MOST", 300)
    source = Store(tmp_path / "r.sqlite")
    source.put([stored(i) for i in range(12)])
    path = tmp_path / "many.jsonl"
    assert source.write_recording(path) == 12
    assert len(list(tmp_path.glob("many*.jsonl"))) > 2 and all(p.stat().st_size <= 300 for p in tmp_path.glob("many*"))
    replay = Store(tmp_path / "empty.sqlite", recording=str(path))
    assert all(replay.get(stored(i).key) == stored(i) for i in range(12))
    monkeypatch.undo()
    monkeypatch.setenv("PERSONA_STORE", str(tmp_path / "r.sqlite"))
    assert source.write_recording(path) == 12
    assert list(tmp_path.glob("many*")) == [path]


def test_a_recording_holds_whatever_a_prompt_can_hold(tmp_path):
    request = canonical({"prompt": "one\u2028two\x85three\x0c four\r\n 🙂 \u202e"})
    Store(tmp_path / "r.sqlite").put([Stored(key_of(request), request, request, None)])
    Store(tmp_path / "r.sqlite").write_recording(tmp_path / "one.jsonl")
    replay = Store(tmp_path / "empty.sqlite", recording=str(tmp_path / "one.jsonl"))
    assert replay.get(key_of(request)) == Stored(key_of(request), request, request, None)


def test_a_recording_is_found_by_its_request_not_by_what_a_line_claims(tmp_path):
    Store(tmp_path / "r.sqlite").put([stored(1)])
    Store(tmp_path / "r.sqlite").write_recording(tmp_path / "one.jsonl")
    line = json.loads((tmp_path / "one.jsonl").read_text())
    line["request"]["n"] = 7
    (tmp_path / "one.jsonl").write_text(json.dumps(line))
    replay = Store(tmp_path / "empty.sqlite", recording=str(tmp_path / "one.jsonl"))
    assert replay.get(stored(1).key) is None and replay.get(stored(7).key) is not None


def test_a_missing_or_damaged_recording_is_named(tmp_path):
    with pytest.raises(UserError, match="no recording 'nowhere': known ones are"):
        Store(tmp_path / "r.sqlite", recording="nowhere")
    (tmp_path / "bad.jsonl").write_text('{"request": {}, "reply"\n')
    with pytest.raises(UserError, match=r"bad.jsonl line 1 is no recorded reply"):
        Store(tmp_path / "r.sqlite", recording=str(tmp_path / "bad.jsonl"))
    (tmp_path / "latin.jsonl").write_bytes('{"request": "é", "reply": {}, "failure": null}\n'.encode("latin-1"))
    with pytest.raises(UserError, match=r"latin.jsonl line 1 is no recorded reply \(UnicodeDecodeError"):
        Store(tmp_path / "r.sqlite", recording=str(tmp_path / "latin.jsonl"))


def test_a_file_that_is_no_store_is_named_and_left_alone(tmp_path):
    path = tmp_path / "r.sqlite"
    path.write_bytes(b"not a database, but somebody's notes" * 100)
    with pytest.raises(UserError, match=r"can't serve as response store .*move it away or set PERSONA_STORE"):
        Store(path)
    assert path.read_bytes().startswith(b"not a database")


def test_a_database_of_another_program_is_refused_and_left_as_it_is(tmp_path):
    path = tmp_path / "places.sqlite"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE moz_places (url)")
    db.close()
    before = path.read_bytes()
    with pytest.raises(UserError, match=r"places.sqlite is a database of another program .*moz_places"):
        Store(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"", b"not a database, but somebody's notes" * 100])
def test_under_a_scratch_file_it_is_the_store_that_is_named(tmp_path, content):
    (tmp_path / "kept.sqlite").write_bytes(content)
    with pytest.raises(UserError, match=r"kept.sqlite is no response store"):
        Store(tmp_path / "kept.sqlite", scratch=tmp_path / "scratch.sqlite")


def test_a_full_disk_is_said_and_what_was_kept_stays(tmp_path):
    store = Store(tmp_path / "r.sqlite")
    store.put([stored(1)])
    store.db.execute("PRAGMA max_page_count = 3")
    with pytest.raises(UserError, match=r"the disk is full: .*keeps all replies so far"):
        store.put([stored(n)._replace(reply="x" * 5000) for n in range(2, 50)])
    assert Store(tmp_path / "r.sqlite").get(stored(1).key) == stored(1)


def test_the_default_place_can_be_named_in_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("PERSONA_STORE", str(tmp_path / "mine.sqlite"))
    assert default_path() == tmp_path / "mine.sqlite"
    monkeypatch.delenv("PERSONA_STORE")
    assert default_path().parts[-2:] == ("outputs", "responses.sqlite")


def test_an_exported_request_waits_until_there_is_a_reply_wherever_that_comes_from(tmp_path):
    own, other = Store(tmp_path / "own.sqlite"), Store(tmp_path / "other.sqlite")
    exported, journal = Exported(own), Journal(own)
    rows = [stored(n) for n in range(5)]
    exported.note((row.key, row.request) for row in rows)
    own.put(rows[:1])  # a call
    batch = journal.submit("file", [(rows[1].key, rows[1].request)])
    journal.end(batch, [(rows[1].key, rows[1].reply, None)])
    exported.answer(rows[2:3])
    other.put(rows[3:4])
    other.db.close()
    merge([other.path], own.path)
    assert [exported.request(row.key) for row in rows] == [None] * 4 + [rows[4].request]
    assert [own.get(row.key) for row in rows] == [*rows[:4], None]
