"""Locks: among the processes that share a store, one at a time asks for the same thing.

They are the system's locks on single bytes of an empty file, which it drops when a process ends, also when it is
killed. Used by `store.Store`.
"""

import asyncio
import hashlib
import os
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # on Windows two processes may ask for the same
    fcntl = None

LOOK_AGAIN_S = 0.1  # whether another process is done


class _File:
    """A file opened once for all `Locks` of a process on it: closing it anywhere drops the process's locks in it."""

    def __init__(self, path: Path):
        self.descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        weakref.finalize(self, os.close, self.descriptor)


_FILES: weakref.WeakValueDictionary[Path, _File] = weakref.WeakValueDictionary()


class Locks:
    """Locks by name, in a file that is made when the first is taken."""

    def __init__(self, path: Path):
        self._path = path.absolute()
        self._file: _File | None = None

    @asynccontextmanager
    async def alone(self, name: str) -> AsyncIterator[None]:
        """Wait until no other process is within this for the same name. Within a process it holds nobody up."""
        place = int.from_bytes(hashlib.sha256(name.encode()).digest()[:7])
        while not self._take(place):
            await asyncio.sleep(LOOK_AGAIN_S)
        try:
            yield
        finally:
            if fcntl:
                fcntl.lockf(self._file.descriptor, fcntl.LOCK_UN, 1, place)

    def _take(self, place: int) -> bool:
        if not fcntl:
            return True
        if self._file is None:
            self._file = _FILES.get(self._path) or _FILES.setdefault(self._path, _File(self._path))
        try:
            fcntl.lockf(self._file.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
        except BlockingIOError:
            return False
        return True
