"""Network file systems are known by the table of mounts; the tables here are made up."""

import pytest
from commands import one_line, persona

from persona_lib import UserError
from persona_lib.store import Store, Stored, canonical, disks, key_of, merge


@pytest.fixture
def mounted(tmp_path, monkeypatch):
    """Take a table of mounts in place of the machine's: pairs of a folder below the test's, and a type."""

    def table(*mounts):
        lines = [f"server:/x {str(tmp_path / at).replace(' ', chr(92) + '040')} {kind} rw 0 0" for at, kind in mounts]
        (tmp_path / "mounts").write_text("\n".join(["/dev/sda1 / ext4 rw 0 0", *lines]) + "\n")
        monkeypatch.setattr(disks, "MOUNTS", tmp_path / "mounts")
        return tmp_path

    return table


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "lustre", "gpfs", "cifs", "smb3", "fuse.sshfs", "beegfs", "ceph"])
def test_a_store_on_a_network_file_system_is_refused_before_anything_is_made(mounted, kind):
    home = mounted(("home", kind))
    with pytest.raises(UserError) as refused:
        Store(home / "home" / "me" / "r.sqlite")
    said = str(refused.value)
    assert f"lies on a network file system ({kind} at {home / 'home'}), where SQLite loses data" in said
    assert "set PERSONA_STORE to a file on a local disk" in said and "`persona store merge`" in said
    assert "\n" not in said and not (home / "home").exists()


def test_the_longest_mount_counts_of_equal_ones_the_last_and_names_are_whole_and_may_have_blanks(mounted):
    home = mounted(("home", "nfs4"), ("home/scratch", "xfs"), ("my data", "cifs"), ("auto", "autofs"), ("auto", "nfs"))
    assert disks.network(home / "home" / "a") == f"nfs4 at {home / 'home'}"
    assert disks.network(home / "home" / "scratch" / "a") is None
    assert disks.network(home / "home2" / "a") is None
    assert disks.network(home / "my data" / "a" / "b") == f"cifs at {home / 'my data'}"
    assert disks.network(home / "auto" / "a") == f"nfs at {home / 'auto'}"
    (home / "local").symlink_to(home / "home")
    assert disks.network(home / "local" / "a") == f"nfs4 at {home / 'home'}"


def test_where_there_is_no_table_of_mounts_nothing_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(disks, "MOUNTS", tmp_path / "none")
    assert disks.network(tmp_path) is None


def test_this_machines_own_table_is_read(tmp_path):
    assert disks.network(tmp_path / "r.sqlite") is None  # tests write stores there


def test_merge_reads_stores_on_a_network_file_system_and_writes_none_there(mounted, tmp_path):
    request = canonical({"n": 1})
    (tmp_path / "net").mkdir()
    Store(tmp_path / "net" / "a.sqlite").put([Stored(key_of(request), request, "{}", None)])
    mounted(("net", "nfs4"))
    before = sorted(path.name for path in (tmp_path / "net").iterdir())
    assert merge([tmp_path / "net" / "a.sqlite"], tmp_path / "b.sqlite").replies == 1
    assert sorted(path.name for path in (tmp_path / "net").iterdir()) == before
    with pytest.raises(UserError, match="lies on a network file system"):
        merge([tmp_path / "b.sqlite"], tmp_path / "net" / "c.sqlite")


def test_the_command_line_says_it_in_one_line_and_the_doctor_too(mounted, tmp_path, monkeypatch):
    mounted(("net", "nfs4"))
    monkeypatch.setenv("PERSONA_STORE", str(tmp_path / "net" / "r.sqlite"))
    Store(tmp_path / "a.sqlite")
    merging = persona("store", "merge", tmp_path / "a.sqlite", "--into", tmp_path / "net" / "r.sqlite")
    assert "lies on a network file system" in one_line(merging)
    from persona_lib.runs.planning import doctor

    check = doctor._store()
    assert not check.fine and check.needed and "lies on a network file system" in check.what
