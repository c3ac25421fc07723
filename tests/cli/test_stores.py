"""`persona store`: response stores of several machines merged, counted, pruned and exported."""

import json

from commands import one_line, persona

from persona_lib.store import Store, Stored, canonical, key_of


def written(path, *replies, failure=None):
    """Write a store with a reply to each text, and return its path."""
    requests = [canonical({"messages": text, "model": {"name": "m"}}) for text in replies]
    store = Store(path)
    store.put([Stored(key_of(r), r, canonical({"reply": path.stem}), failure) for r in requests])
    store.db.close()  # which writes the journal into the file
    return path


def test_merge_says_what_each_store_had_and_where_they_differ(tmp_path):
    a, b = written(tmp_path / "a.sqlite", "one", "two"), written(tmp_path / "b.sqlite", "two", "three")
    said = persona("store", "merge", a, b, "--into", tmp_path / "c.sqlite")
    assert said.exit_code == 0
    assert f"{a}: 2 read, 2 new\n{b}: 2 read, 1 new\n" in said.stdout
    assert "c.sqlite: 3 replies, 0 of them failed; 1 key with different replies" in said.stdout
    assert "is both a source and the file to merge into" in one_line(persona("store", "merge", a, "--into", a))


def test_a_merge_that_loses_replies_says_so_in_its_exit_code(tmp_path):
    path = written(tmp_path / "a.sqlite", *map(str, range(300)))
    path.write_bytes(path.read_bytes()[: -9 * 8192])
    said = persona("store", "merge", path, "--into", tmp_path / "c.sqlite")
    assert said.exit_code == 1 and "can't be read" in said.stdout


def test_a_merge_names_and_counts_a_store_of_which_nothing_can_be_read(tmp_path):
    paths = [written(tmp_path / f"{name}.sqlite", "one", name) for name in "abc"]
    paths[1].write_bytes(bytes(8192) + paths[1].read_bytes()[8192:])
    said = persona("store", "merge", *paths, "--into", tmp_path / "into.sqlite")
    assert said.exit_code == 1
    assert f"{paths[1]}: nothing of it can be read (file is not a database)" in said.stdout
    assert "into.sqlite: 3 replies" in said.stdout and said.stdout.endswith("1 of 3 stores can't be read\n")


def test_stats_are_a_table_or_json_of_the_named_file_or_of_the_run_s_own(tmp_path, monkeypatch):
    path = written(tmp_path / "a.sqlite", "one", "two", failure="refusal")
    said = persona("store", "stats", path)
    assert said.exit_code == 0 and "2 replies, 2 failed" in said.stdout and "m" in said.stdout
    monkeypatch.setenv("PERSONA_STORE", str(path))
    told = json.loads(persona("store", "stats", "--json").stdout)
    assert (told["replies"], told["failed"], told["bytes"]) == (2, 2, path.stat().st_size)
    assert told["models"][0]["model"] == "m" and told["models"][0]["oldest"] <= told["models"][0]["newest"]
    assert "no response store" in one_line(persona("store", "stats", tmp_path / "none.sqlite"))


def test_prune_counts_first_and_then_deletes(tmp_path):
    path = written(tmp_path / "a.sqlite", "one", "two", failure="refusal")
    would = persona("store", "prune", path, "--failed", "--before", "2000-01-01", "--dry-run")
    assert "0 replies would be deleted from" in would.stdout
    assert "2 replies are deleted from" in persona("store", "prune", path, "--failed", "--model", "m").stdout
    assert Store(path).counts()["replies"] == 0
    assert "say which replies to delete" in one_line(persona("store", "prune", path))
    assert "'--before'" in one_line(persona("store", "prune", path, "--before", "yesterday"))


def test_export_says_how_many_and_fails_if_some_are_damaged(tmp_path):
    path = written(tmp_path / "a.sqlite", "one", "two")
    said = persona("store", "export", path, "--out", tmp_path / "out")
    assert said.exit_code == 0 and said.stdout == f"{tmp_path / 'out'}: 2 replies\n"
    store = Store(path)
    store.db.execute("UPDATE replies SET reply = '{' WHERE rowid = 1")
    said = persona("store", "export", path, "--out", tmp_path / "out")
    assert said.exit_code == 1 and said.stdout == f"{tmp_path / 'out'}: 1 reply; 1 damaged and left out\n"
