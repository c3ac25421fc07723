"""Reach the workers of a cluster, to which an ask deals shards of its requests (`shards`).

PERSONA_CLUSTER names the scheduler of a Dask cluster that is there already: nothing is started here. Shards are dealt
to any `concurrent.futures.Executor`, so that another engine drops in: `using` takes it.
"""

import asyncio
import hashlib
import logging
import os
import platform
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor, CancelledError, Executor, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from importlib import metadata
from pathlib import Path
from typing import Any

import anyio

from ... import LimitError, UserError
from ..asking.progress import Dealt
from ..transport import keys

VARIABLE = "PERSONA_CLUSTER"
CONNECT_S = 5
GONE_S = 60.0  # without any worker, after which none is waited for
TELL_S = 0.5  # between two reports of a worker on the progress of its shard
INSTALL = "a cluster needs the package distributed: pip install -e '.[cluster]'"


class Workers:
    """The workers of a cluster.

    `executor` runs functions there, `number` is how many workers there are; `told` is their progress: the worker and
    the number of items that are done, by the name of the shard. `work` is what this process has dealt to them.

    Args:
        executor: of any engine.
        number: of workers.
        client: of Dask, if that is the engine.
    """

    def __init__(self, executor: Executor, number: int, client: Any = None):
        self.executor = executor
        self.number = number
        self.told: dict[str, tuple[str, int]] = {}
        self.work = Dealt()
        self._ended = 0  # requests, of shards that are over
        self.topic = f"persona {os.getpid()} {time.time_ns()}"
        self._client = client
        self._gone_since: float | None = None
        if client:
            client.subscribe_topic(self.topic, lambda event: self.note(*event[1]))

    def deal(self, requests: int) -> None:
        """Note a shard that is dealt."""
        self.work.shards += 1
        self.work.requests += requests

    def note(self, shard: str, worker: str, done: int) -> None:
        """Note how far a worker is with a shard: at 0 it begins, perhaps again after another worker was lost."""
        if done == 0:
            self.work.repeated += shard in self.told
        if done == 0 or shard in self.told:  # it may be over by now
            self.told[shard] = worker, done
            self._sum()

    def end(self, shard: str, answered: int) -> None:
        """Note that a shard is over."""
        self.told.pop(shard, None)
        self._ended += answered
        self._sum()

    def _sum(self) -> None:
        told = list(self.told.values())
        self.work.answered = self._ended + sum(done for _, done in told)
        self.work.asking = sorted({worker for worker, _ in told})

    def check(self) -> None:
        """Raise LimitError if there has been no worker for so long that none is waited for."""
        try:
            there = self._client is None or bool(self._client.nthreads())
        except OSError as error:  # Dask's errors of a lost connection are of this kind
            raise gone(f"{type(error).__name__}: {error}"[:200]) from None
        now = time.monotonic()
        self._gone_since = None if there else self._gone_since or now
        if self._gone_since and now - self._gone_since > GONE_S:
            raise gone(f"it has had no worker for {GONE_S:.0f} s")

    def close(self) -> None:
        """Close the way to the workers."""
        if self._client:
            self._client.close()


def gone(why: str) -> LimitError:
    """Return the error for a cluster that is not there any more."""
    return LimitError(
        f"the cluster does not go on: {why}; what was answered is kept: start it again and run the same command"
    )


def as_gone(error: BaseException) -> LimitError | None:
    """Return the user's error for one that means that workers are gone; None for any other, which is a bug."""
    if isinstance(error, BrokenExecutor | CancelledError) or type(error).__module__.startswith("distributed"):
        return gone(f"{type(error).__name__}: {error}"[:200])
    return None


_GIVEN: list[Workers] = []
_JOINED: dict[tuple[str, int], Workers] = {}  # by the address of the scheduler, of each process
_GUARD = threading.Lock()


@contextmanager
def using(executor: Executor, number: int) -> Iterator[None]:
    """Deal the asks of this process to the workers of an executor, to the end of the block.

    Args:
        executor: a pool of processes, or that of another engine.
        number: of its workers.
    """
    _GIVEN.append(Workers(executor, number))
    try:
        yield
    finally:
        _GIVEN.pop()


def present() -> Workers | None:
    """Return the workers that asks of this process are dealt to; None without a cluster.

    Raises:
        UserError: nobody is where PERSONA_CLUSTER says, or `distributed` is not installed.
    """
    if _GIVEN:
        return _GIVEN[-1]
    address = os.environ.get(VARIABLE)
    if not address:
        return None
    with _GUARD:
        if (address, os.getpid()) not in _JOINED:
            client = connect(address)
            number = max(1, len(client.nthreads()))
            _JOINED[address, os.getpid()] = Workers(client.get_executor(pure=False), number, client)
        return _JOINED[address, os.getpid()]


def leave(address: str) -> Dealt:
    """Close the way of this process to the workers of a scheduler, if there is one; return what it dealt to them."""
    there = _JOINED.pop((address, os.getpid()), None)
    if there:
        there.close()
    return there.work if there else Dealt()


def connect(address: str) -> Any:
    """Return a client of the scheduler at an address.

    Raises:
        UserError: nobody is there, or `distributed` is not installed.
    """
    try:
        from distributed import Client, Security, rpc  # an extra, and it takes a second
    except ImportError:
        raise UserError(INSTALL) from None
    logging.getLogger("distributed.client").setLevel(logging.CRITICAL)  # what it would print is raised as well

    async def answers() -> None:  # a client itself waits for ever where something else than a scheduler listens
        security = Security().get_connection_args("client")
        async with asyncio.timeout(CONNECT_S), rpc(address, timeout=CONNECT_S, connection_args=security) as there:
            await there.identity()

    try:
        with ThreadPoolExecutor(1) as thread:  # this one may have a loop that runs
            thread.submit(anyio.run, answers).result()
        return Client(address, timeout=CONNECT_S, set_as_default=False)
    except (OSError, ValueError, TypeError, RuntimeError) as error:
        raise UserError(
            f"no scheduler answers at {address} ({str(error) or type(error).__name__:.100}): is its address right, and "
            "does it run?"
        ) from None


def about() -> dict[str, Any]:
    """Return what a worker must share with this process to do its work; each worker runs this.

    `version` and `code` (a hash) are of this package, `python` is its version without the last part, `host` names the
    machine, `keys` are the variables of endpoints' keys that are set, without the keys.
    """
    texts = b"".join(path.read_bytes() for path in sorted(Path(__file__).parents[2].rglob("*.py")))
    return {
        "version": metadata.version("persona-workbench"),
        "code": hashlib.sha256(texts).hexdigest()[:8],
        "python": ".".join(platform.python_version_tuple()[:2]),
        "host": platform.node(),
        "keys": [name for name in (keys.NAME, keys.AZURE) if keys.api_key(name)],
    }


class Task:
    """The task that this thread runs, as its engine sees it; with an engine other than Dask nothing is known of it."""

    def __init__(self) -> None:
        self._worker = self._key = None
        if distributed := sys.modules.get("distributed"):  # a worker of Dask has it
            with suppress(ValueError):  # not in a task of Dask
                self._worker = distributed.get_worker()
                self._key = self._worker.get_current_task()

    def is_wanted(self) -> bool:
        """Return whether anybody still waits for the task: it may be called off, its client or scheduler be gone."""
        if self._worker is None:
            return True
        state = self._worker.state.tasks.get(self._key)
        if self._worker.status.name in ("closing", "closed", "failed"):
            return False
        return state is not None and state.state in ("executing", "long-running")

    def tell(self, topic: str, name: str, done: int) -> None:
        """Tell the client how far the task is."""
        if self._worker is not None:
            self._worker.log_event(topic, [name, self._worker.address, done])
