"""Ask a shard of an ask at a worker of a cluster: what a worker gets, does and returns (see `shards`)."""

import asyncio
import pickle
import platform
import signal
import zlib
from collections.abc import Callable
from contextlib import suppress
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple

from ... import UserError
from ...store import Store, Stored, canonical
from ..asking.asked import Asked
from ..asking.running import in_session
from ..asking.session import Session
from ..limits.sharing import of_run
from ..limits.usage import Usage
from .workers import TELL_S, Task

Inode = tuple[int, int]
STORES = 4  # that a worker keeps open

_BOOT = Path("/proc/sys/kernel/random/boot_id")


class Shard(NamedTuple):
    """What a worker is to ask.

    `asked` are the fields of the client's `Asked` but those that a worker has of its own. `found` is what the client's
    store has of the endpoint, `keeps` is that of `Found`; `store` is where it lies on the `machine`, and `inode` which
    file it is there. `topic` is for what the worker tells meanwhile. `work` is done on each of `items`, as in
    `shards.each`; `keys` are those of their first requests.
    """

    asked: dict[str, Any]
    found: str | None
    keeps: bool
    store: str
    machine: str
    inode: Inode | None
    topic: str
    step: str
    work: Callable[[Session, Any], Any]
    items: list[Any]
    keys: list[str]


class Done(NamedTuple):
    """What a worker returns of a shard.

    `keys` are those of its replies, True for those that it made calls for. `rows` are the replies, `found` is what was
    found of the endpoint, if the worker writes to a store of its own. `used` is what the calls used. `error` is what
    ended the shard, or None.
    """

    keys: dict[str, bool]
    rows: list[Stored]
    found: str | None
    used: Usage
    error: UserError | None


class _Telling:
    """The progress of a shard, for `Session`: it goes to the client, which shows it."""

    def __init__(self, tell: Callable[[int], None], step: str):
        self.step = step
        self._tell = tell
        self._done = 0
        self._told = 0.0

    def advance(self) -> None:
        self._done += 1
        now = asyncio.get_running_loop().time()
        if now - self._told > TELL_S:
            self._told = now
            self._tell(self._done)

    def show(self) -> None: ...

    def away(self, done: int) -> None: ...

    def close(self) -> None: ...


def inode(path: Path) -> Inode | None:
    """Return what tells a file from others of this machine, also from one that takes its place; None without a file."""
    with suppress(OSError):
        about = path.stat()
        return about.st_dev, about.st_ino
    return None


@cache
def here() -> str:
    """Return what tells this machine, since it was started, from others."""
    return f"{platform.node()} {_BOOT.read_text().strip() if _BOOT.is_file() else ''}"


def _prepare(store: Store, shard: Shard, who: str) -> None:
    """Note in a worker's own store what the client knows of the endpoint, and forget failures, to ask them again."""
    if shard.found:
        store.note_endpoint(who, shard.found)
    for key in shard.keys:
        with suppress(UserError):  # nothing is kept under it, or an answer
            store.forget(key)


@lru_cache(STORES)
def _opened(path: str, file: Inode | None) -> Store:
    """Open a client's store; a new file in its place is another one, since what is written to the old one is lost."""
    return Store(path)


@cache
def _own() -> Store:
    return Store()


def dask_setup(worker: object) -> None:
    """Leave Ctrl-C to the command that has started this worker on its machine; Dask calls it by this name."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def ask(packed: bytes) -> Done:
    """Ask a shard, at a worker; its replies are in the worker's store when this returns."""
    shard: Shard = pickle.loads(zlib.decompress(packed))
    shared = shard.machine == here() and shard.inode is not None and inode(Path(shard.store)) == shard.inode
    store = _opened(shard.store, shard.inode) if shared else _own()
    asked = Asked(**shard.asked, store=store, budgets=(of_run(shard.asked["run"]),))
    who = canonical(asked.who)
    task, used, keys = Task(), Usage(), dict[str, bool]()
    error: UserError | None = None

    async def asking(session: Session) -> None:
        session._caller.keys = keys
        asked.found.kinds |= asked.found.ever  # the client has found out just now how to ask
        asked.found.keeps = shard.keeps
        await session.each((item for item in shard.items if task.is_wanted()), partial(shard.work, session))

    telling = _Telling(lambda done: task.tell(shard.topic, shard.keys[0], done), shard.step)
    task.tell(shard.topic, shard.keys[0], 0)
    try:
        if not shared:
            _prepare(store, shard, who)
        in_session(asked, shard.step, len(shard.items), used, asking, telling)
    except UserError as raised:
        error = raised if shared else type(raised)(f"{raised} (on the worker {platform.node()})")
    if shared:
        return Done(keys, [], None, used, error)
    rows = [row for key in keys if (row := store.get(key))]
    return Done(keys, rows, store.endpoint(who), used, error)
