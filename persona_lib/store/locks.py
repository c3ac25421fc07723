"""Lock by name: of the processes and threads that share a store, one at a time asks for the same thing.

The locks are the system's, on single bytes of an empty file. The system drops them when a process ends, even if it is
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
except ImportError:  # on Windows, where two processes may thus ask for the same
    fcntl = None  # type: ignore[assignment]  # a module that is missing has no other type

LOOK_AGAIN_S = 0.1  # between two looks whether the other is done


class _File:
    """A file that all `Locks` of a process on it share: closing it anywhere drops all the process's locks in it."""

    def __init__(self, path: Path):
        self.descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        self.held: set[int] = set()  # places locked in this process: the system's locks exclude only other processes
        weakref.finalize(self, os.close, self.descriptor)


_GUARD = threading.Lock()
_FILES: weakref.WeakValueDictionary[Path, _File] = weakref.WeakValueDictionary()


class Locks:
    """Locks by name, in a file that is created when the first lock is taken."""

    def __init__(self, path: Path):
        self._path = path.resolve()  # one file for all spellings of a path
        self._file: _File | None = None

    @asynccontextmanager
    async def alone(self, name: str) -> AsyncIterator[None]:
        """Hold the lock of a name: wait until no other process, and no other thread of this one, holds it."""
        place = int.from_bytes(hashlib.sha256(name.encode()).digest()[:7])
        while (file := self._take(place)) is None:
            await asyncio.sleep(LOOK_AGAIN_S)
        try:
            yield
        finally:
            with _GUARD:
                file.held.remove(place)
                if fcntl:
                    fcntl.lockf(file.descriptor, fcntl.LOCK_UN, 1, place)

    def _take(self, place: int) -> _File | None:
        """Lock a place and return the file, or None if another holds the lock."""
        with _GUARD:
            if self._file is None:
                self._file = _FILES.get(self._path) or _FILES.setdefault(self._path, _File(self._path))
            if place in self._file.held:
                return None
            try:
                if fcntl:
                    fcntl.lockf(self._file.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
            except BlockingIOError:
                return None
            self._file.held.add(place)
            return self._file
