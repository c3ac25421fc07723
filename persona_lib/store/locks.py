"""Locks: among the processes and threads that share a store, one at a time asks for the same thing.

They are the system's locks on single bytes of an empty file, which it drops when a process ends, also when it is
killed.
"""

import asyncio
import hashlib
import os
import threading
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # on Windows two processes may ask for the same
    fcntl = None

LOOK_AGAIN_S = 0.1  # whether the other is done


class _File:
    """A file opened once for all `Locks` of a process on it: closing it anywhere drops the process's locks in it."""

    def __init__(self, path: Path):
        self.descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        self.held: set[int] = set()  # places held in this process, where the system's locks keep nobody out
        weakref.finalize(self, os.close, self.descriptor)


_GUARD = threading.Lock()
_FILES: weakref.WeakValueDictionary[Path, _File] = weakref.WeakValueDictionary()


class Locks:
    """Locks by name, in a file that is made when the first is taken."""

    def __init__(self, path: Path):
        self._path = path.absolute()
        self._file: _File | None = None

    @asynccontextmanager
    async def alone(self, name: str) -> AsyncIterator[None]:
        """Wait until no other process, and no other thread of this one, is within this for the same name."""
        place = int.from_bytes(hashlib.sha256(name.encode()).digest()[:7])
        while not self._take(place):
            await asyncio.sleep(LOOK_AGAIN_S)
        try:
            yield
        finally:
            self._release(place)

    def _take(self, place: int) -> bool:
        with _GUARD:
            if self._file is None:
                self._file = _FILES.get(self._path) or _FILES.setdefault(self._path, _File(self._path))
            if place in self._file.held:
                return False
            try:
                if fcntl:
                    fcntl.lockf(self._file.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
            except BlockingIOError:
                return False
            self._file.held.add(place)
        return True

    def _release(self, place: int) -> None:
        with _GUARD:
            self._file.held.remove(place)
            if fcntl:
                fcntl.lockf(self._file.descriptor, fcntl.LOCK_UN, 1, place)
