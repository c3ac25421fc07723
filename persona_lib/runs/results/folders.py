"""Folders of runs: one run at a time in each, and what a run replaces stays until the new one stands.

A notebook's results are written in a folder beside those of an earlier run and take their place once it has ended.
"""

import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ... import UserError
from ...store.store import utc_now

try:
    import fcntl
except ImportError:  # on Windows, where two runs may thus share a folder
    fcntl = None  # type: ignore[assignment]  # a module that is missing has no other type

LOCK = ".lock"
NEW = ".new"  # where the running notebook's results and steps grow


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold a folder, which is made if it is missing, to the end of the block or of the process, even if it is killed.

    Raises:
        UserError: another process, or another thread of this one, holds it; the message says which process.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("a+", encoding="utf-8") as file:
        if fcntl:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                holder = file.read() or "another process"
                raise UserError(f"{folder} is in use by {holder}: wait for its end, or choose another --out") from None
            except OSError:
                pass  # a file system without locks
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()} since {utc_now()}")
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)


def is_there(folder: Path) -> bool:
    """Return whether a folder that is held is where it was; a kernel may have made another one of the name."""
    return (folder / LOCK).is_file()


def is_empty(folder: Path) -> bool:
    """Return whether a folder is missing, or holds nothing but what a run killed at its start leaves."""
    return not folder.exists() or (folder.is_dir() and {path.name for path in folder.iterdir()} <= {LOCK, NEW})


@contextmanager
def beside(folder: Path) -> Iterator[Path]:
    """Give an empty folder in which new results grow; it is removed at the end."""
    new = folder / NEW
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir()
    try:
        yield new
    finally:
        shutil.rmtree(new, ignore_errors=True)


def place(folder: Path, stem: str) -> None:
    """Put a notebook's new results in the place of the old ones; the user's own files stay."""
    parts = (f"{stem}.ipynb", f"{stem}.html", f"{stem}/record.json", f"{stem}/tables", f"{stem}/figures")
    for name in parts:
        old, new = folder / name, folder / NEW / name
        _remove(old)
        if new.exists():
            old.parent.mkdir(exist_ok=True)
            new.rename(old)
    for suffix in (".ipynb", ".html"):
        _remove(folder / failed(stem, suffix))


def place_failed(folder: Path, stem: str) -> None:
    """Put a failed notebook and its page beside the older results, which stay."""
    for suffix in (".ipynb", ".html"):
        (folder / NEW / f"{stem}{suffix}").replace(folder / failed(stem, suffix))


def failed(stem: str, suffix: str) -> str:
    """Return the name of a failed notebook's file beside older results."""
    return f"{stem}.failed{suffix}"


def _remove(path: Path) -> None:
    """Remove a file or folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
