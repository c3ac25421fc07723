"""`persona store`: response stores of several machines merged."""

from commands import one_line, persona

from persona_lib.store import Store, Stored, canonical, key_of


def written(path, *replies, failure=None):
    """Write a store with a reply to each text, and return its path."""
    requests = [canonical({"messages": text, "model": {"name": "m"}}) for text in replies]
    Store(path).put([Stored(key_of(r), r, canonical({"reply": path.stem}), failure) for r in requests])
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
