"""A worker's own file over bases that are only read: what is found where, asked again, and handed back by a merge."""

import os
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from persona_lib import UserError, store
from persona_lib.store import Store, Stored, canonical, key_of, merge


def stored(n: int, failure: str | None = None) -> Stored:
    request = canonical({"n": n, "model": {"name": "m"}})
    return Stored(key_of(request), request, canonical({"reply": n}), failure)


@pytest.fixture
def base(tmp_path, monkeypatch):
    """A base with an answer and a failed reply, named in the environment."""
    path = tmp_path / "base.sqlite"
    own = Store(path)
    own.put([stored(1), stored(2, "refusal")])
    own.note_endpoint("m", '{"dialects": []}')
    own.db.close()
    monkeypatch.setenv("PERSONA_STORE_BASE", str(path))
    return path


def test_a_reply_of_the_base_is_found_and_what_is_new_goes_into_the_own_file_alone(tmp_path, base):
    before = base.read_bytes()
    own = Store(tmp_path / "own.sqlite")
    own.put([stored(3)])
    assert [own.get(stored(n).key) for n in (1, 2, 3)] == [stored(1), stored(2, "refusal"), stored(3)]
    assert own.counts() == {"replies": 1, "failed": 0} and own.endpoint("m") == '{"dialects": []}'
    assert len(own.latest({"name": "m"}, 9)) == 2 and len(own.latest({"name": "m"}, 1)) == 1
    assert base.read_bytes() == before


def test_a_failed_reply_of_the_base_can_be_asked_again_and_the_answer_wins_in_the_merge(tmp_path, base):
    own = Store(tmp_path / "own.sqlite")
    assert own.forget_failed() == 1 and own.get(stored(2).key) is None and own.endpoint("m") == ""
    assert Store(tmp_path / "own.sqlite").get(stored(2).key) is None  # as other processes see it
    assert Store(tmp_path / "other.sqlite").get(stored(2).key) == stored(2, "refusal")
    own.put([stored(2, "refusal again")])
    assert own.forget_failed() == 1, "it is one reply, which failed in both files"
    own.put([stored(2)])
    assert own.get(stored(2).key) == stored(2) and own.forget_failed() == 0
    merged = merge([base, own.path], tmp_path / "all.sqlite")
    assert (merged.replies, merged.failed, merged.conflicts) == (2, 0, 1)


def test_one_failed_reply_of_the_base_can_be_asked_again_and_an_answer_of_it_cannot(tmp_path, base):
    own = Store(tmp_path / "own.sqlite")
    own.forget(stored(2).key)
    assert own.get(stored(2).key) is None
    with pytest.raises(UserError, match="keeps an answer under"):
        own.forget(stored(1).key)


def test_a_reply_of_the_base_that_is_no_answer_after_all_fails_as_one_of_the_own_file_does(tmp_path, base):
    before, keys = base.read_bytes(), [stored(n).key for n in (1, 3)]
    own = Store(tmp_path / "own.sqlite")
    own.put([stored(3)])
    own.fail(dict.fromkeys([*keys, "of no reply"], "invalid: no JSON"))
    failed = [stored(n, "invalid: no JSON") for n in (1, 3)]
    assert [Store(own.path).get(key) for key in keys] == failed, "as other processes see it"
    assert Store(tmp_path / "other.sqlite").get(keys[0]) == stored(1) and base.read_bytes() == before
    own.forget(keys[0])
    assert own.get(keys[0]) is None and own.get(keys[1]) == failed[1]
    assert own.forget_failed() == 3 and [own.get(key) for key in keys] == [None, None]
    own.put([stored(1)])
    assert own.get(keys[0]) == stored(1)


def test_what_failed_in_a_base_is_that_reply_and_not_another_that_the_base_has_later(tmp_path, base):
    own = Store(tmp_path / "own.sqlite")
    own.fail({stored(1).key: "invalid: no JSON"})
    assert own.forget_failed() == 2 and own.get(stored(1).key) is None
    with sqlite3.connect(base) as db:
        db.execute("UPDATE replies SET reply = ? WHERE key = ?", (canonical({"reply": "new"}), stored(1).key))
    db.close()
    assert own.get(stored(1).key).reply == canonical({"reply": "new"})


def test_several_bases_are_read_in_their_order_and_the_own_file_is_no_base_of_itself(tmp_path, base, monkeypatch):
    second = Store(tmp_path / "second.sqlite")
    second.put([stored(2), stored(4)])
    monkeypatch.setenv("PERSONA_STORE_BASE", os.pathsep.join([str(base), str(second.path)]))
    own = Store(tmp_path / "own.sqlite")
    assert own.get(stored(2).key).failure == "refusal" and own.get(stored(4).key) == stored(4)
    again = Store(base)  # which another process would have as its own file
    again.put([stored(5)])
    assert again.get(stored(5).key) == stored(5) and again.get(stored(4).key) == stored(4)


def test_an_estimate_counts_the_replies_of_bases_as_known(tmp_path, base):
    scratch = Store(tmp_path / "own.sqlite", scratch=tmp_path / "scratch.sqlite")
    assert scratch.get(stored(1).key) == stored(1) and len(scratch.latest({"name": "m"}, 9)) == 1


def test_a_base_that_is_missing_newer_or_no_store_is_named(tmp_path, base, monkeypatch):
    with sqlite3.connect(base) as db:
        db.execute("PRAGMA user_version=9")
    db.close()
    with pytest.raises(UserError, match=r"base.sqlite is a response store of a newer version"):
        Store(tmp_path / "own.sqlite")
    monkeypatch.setenv("PERSONA_STORE_BASE", str(tmp_path / "none.sqlite"))
    with pytest.raises(UserError, match=r"no response store .*none.sqlite, which PERSONA_STORE_BASE names"):
        Store(tmp_path / "own.sqlite")


def test_the_environment_of_a_process_in_another_folder_names_both_in_full(tmp_path, base, monkeypatch):
    assert store.exists() and not store.default_path().exists()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PERSONA_STORE", "own.sqlite")
    monkeypatch.setenv("PERSONA_STORE_BASE", "base.sqlite")
    named = {"PERSONA_STORE": str(tmp_path / "own.sqlite"), "PERSONA_STORE_BASE": str(base)}
    assert store.environment() == named
    monkeypatch.delenv("PERSONA_STORE_BASE")
    assert store.environment().keys() == {"PERSONA_STORE"} and not store.exists()


@pytest.mark.parametrize("open_", [False, True], ids=["closed", "open"])
def test_a_base_in_a_folder_that_cannot_be_written_is_read_unless_its_journal_has_replies(open_):
    code = """
import os, pathlib, sys
from persona_lib.store import opening
if os.geteuid() == 0:  # who may write everywhere
    os.setgid(65534)
    os.setuid(65534)
print(opening.read_only(pathlib.Path(sys.argv[1])).execute("SELECT count(*) FROM replies").fetchone()[0])
"""
    with tempfile.TemporaryDirectory() as folder:
        own = Store(Path(folder) / "base.sqlite")
        own.put([stored(1), stored(2)])
        if open_:
            (Path(folder) / "copy.sqlite").write_bytes(own.path.read_bytes())
            (Path(folder) / "copy.sqlite-wal").write_bytes(Path(f"{own.path}-wal").read_bytes())
        own.db.close()
        path = Path(folder) / ("copy.sqlite" if open_ else "base.sqlite")
        Path(folder).chmod(0o555)
        done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, timeout=60)
        Path(folder).chmod(0o755)
    if open_:
        assert "copy.sqlite has replies in copy.sqlite-wal that are read only where" in done.stderr
    else:
        assert done.stdout == "2\n", done.stderr
