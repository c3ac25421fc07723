"""A cluster of workers for a command: started here by Dask, or there already; looked at before anything is asked.

Asks of the command and of its notebooks are dealt to the workers (`model.cluster`). A notebook gets the address of the
scheduler in its environment, and starts nothing.
"""

import json
import logging
import os
import re
import socket
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ... import UserError
from ...model.cluster import workers
from ...model.limits import sharing
from ...model.limits.budget import Budget
from ...texts import counted
from .. import forks
from ..pages import said

MOST_EACH = 8  # workers for each core of this machine: they mostly wait
METHOD = "distributed.worker.multiprocessing-method"  # of Dask's configuration
PRELOAD = ["distributed.nanny", "persona_lib.model.cluster.at_worker"]
TAKES = (
    "--cluster takes a number of workers, the address of a scheduler (tcp://HOST:PORT), or its file (scheduler.json)"
)


class Joined:
    """A cluster that a command has joined.

    `host` is the address at which its workers reach this machine.

    Args:
        address: of the scheduler.
        client: of Dask.
    """

    def __init__(self, address: str, client: Any):
        self.address = address
        self.host = _own_address(address)
        self._client = client
        self._seen: set[str] = set()  # workers
        self._there: set[str] = set()
        self.look()

    def look(self) -> None:
        """Ask the scheduler who is there; whoever asks workers says it if it has ended."""
        with suppress(OSError):  # Dask's errors of a lost connection are of this kind
            self._there = set(self._client.nthreads())
            self._seen |= self._there

    def state(self, work: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
        """Return how the workers are and what they do: for a manifest, and `said.of_workers`.

        Args:
            work: the fields of what each process has dealt to them, as in `progress.Dealt`.
        """
        dealt = list(work)
        counts = {name: sum(one[name] for one in dealt) for name in ("shards", "requests", "answered", "repeated")}
        asking = {worker for one in dealt for worker in one["asking"]}
        about = {"address": self.address, "workers": len(self._there), "lost": len(self._seen - self._there)}
        return about | counts | {"asking": len(asking & self._there)}


@contextmanager
def joined(given: str | None, say: Callable[[str], object], kernels: bool = False) -> Iterator[Joined | None]:
    """Deal what the block asks, and what its notebooks ask, to the workers of a cluster.

    Args:
        given: how many workers to start on this machine, the address of a scheduler, or the file that one has written;
            None deals nothing.
        say: gets a line on the workers, and one at the end on what this process dealt to them.
        kernels: whether notebooks are run in the block, whose kernels are forked from the process that workers are.

    Yields:
        The cluster; None without one.

    Raises:
        UserError: there is no such cluster, it has no worker, or one of them can't do the work.
    """
    if given is None:
        yield None
        return
    with _scheduler(given, kernels) as address:
        client = workers.connect(address)
        try:
            told = client.run(workers.about, on_error="return")
            _check(told, address)
            say(f"cluster: {_counted(told)} at {address}; dashboard: {client.dashboard_link}")
            found = Joined(address, client)
            with _environment({workers.VARIABLE: address}):
                yield found
            found.look()
        finally:
            work = workers.leave(address)
            client.close()
        if work.requests:
            say(f"cluster: {said.of_workers(found.state([asdict(work)]), over=True)}")


@contextmanager
def limited(
    cluster: Joined | None, max_calls: int | None = None, max_cost: float | None = None
) -> Iterator[tuple[int | None, float | None]]:
    """Hold limits in this process where the workers of a cluster count too, and the pace of endpoints with them.

    Args:
        cluster: from `joined`.
        max_calls, max_cost: as in `Budget`.

    Yields:
        The limits that are left to the block: with a cluster none, without one those that are given.
    """
    if cluster is None:
        yield max_calls, max_cost
        return
    with sharing.served(Budget(max_calls, max_cost), cluster.host) as variables, _environment(variables):
        yield None, None


def _own_address(scheduler: str) -> str:
    """Return this machine's address on the way to a scheduler, which its workers reach too."""
    place = urlsplit(scheduler)
    with socket.create_connection((place.hostname or "", place.port or 0), timeout=workers.CONNECT_S) as opened:
        return str(opened.getsockname()[0])


@contextmanager
def _scheduler(given: str, kernels: bool) -> Iterator[str]:
    """Yield the address of a scheduler, and end the workers that were started for it."""
    if re.fullmatch(r"[+-]?\d+", given):
        with _local(int(given), kernels) as address:
            yield address
    elif given.startswith(("tcp://", "tls://")):
        yield given
    elif "://" in given:
        raise UserError(f"{TAKES}, not '{given}'")
    else:
        yield _read(Path(given))


def _read(path: Path) -> str:
    """Return the address in the file of a scheduler."""
    if path.suffix != ".json" and not path.exists():
        raise UserError(f"{TAKES}, not '{path}'")
    try:
        return str(json.loads(path.read_text("utf-8"))["address"])
    except FileNotFoundError:
        raise UserError(f"no file {path}: `dask scheduler --scheduler-file {path}` writes it when it starts") from None
    except (OSError, ValueError, KeyError, TypeError):
        raise UserError(
            f"{path} is not the file of a scheduler: `dask scheduler --scheduler-file` writes one"
        ) from None


@contextmanager
def _local(n: int, kernels: bool) -> Iterator[str]:
    """Start so many workers on this machine, and yield the address of their scheduler.

    Where forks are reliable, workers are forked from one process that has done the slow imports.
    """
    most = MOST_EACH * (os.cpu_count() or 1)
    if not 1 <= n <= most:
        raise UserError(f"--cluster {n}: take 1 to {most} workers on this machine, or the address of a scheduler")
    try:
        import dask  # an extra, and both take a second
        from distributed import LocalCluster, utils  # as above
    except ImportError:
        raise UserError(workers.INSTALL) from None
    kind = {"threads_per_worker": 1, "preload": PRELOAD[1:], "silence_logs": logging.CRITICAL}
    place = {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"}
    with dask.config.set({METHOD: "forkserver" if sys.platform == "linux" else "spawn"}):
        if sys.platform == "linux":
            utils.get_mp_context().set_forkserver_preload(PRELOAD + [forks.PRELOAD] * kernels)
        with LocalCluster(n_workers=n, **kind, **place) as cluster:
            yield cluster.scheduler_address


def _check(told: Mapping[str, Any], address: str) -> None:
    """Check what workers report of themselves, by their address.

    Raises:
        UserError: there is none, or they differ from this process in what matters: one line that names them.
    """
    if not told:
        raise UserError(f"the scheduler at {address} has no worker: start some, `dask worker {address}`")
    here = workers.about()
    wrong = {worker: why for worker, about in sorted(told.items()) if (why := _differs(about, here))}
    if wrong:
        lines = [f"worker {worker} {why}" for worker, why in wrong.items()]
        more = f"; and {len(lines) - 3} more" if len(lines) > 3 else ""
        raise UserError(f"{'; '.join(lines[:3])}{more}")


def _differs(about: Any, here: Mapping[str, Any]) -> str:
    """Return in what a worker differs from this process so that it can't do its work, or nothing."""
    if isinstance(about, Exception):
        return f"can't load persona_lib ({about!r:.100}): install this version there"
    if (theirs := _version(about)) != (ours := _version(here)):
        return f"on {about['host']} has another version of persona-workbench ({theirs}) than this process ({ours})"
    if lacking := [name for name in here["keys"] if name not in about["keys"]]:
        return f"on {about['host']} has no {', '.join(lacking)}: set it in its environment, or write it into .env there"
    return ""


def _version(about: Mapping[str, Any]) -> str:
    return f"{about['version']}, code {about['code']}, Python {about['python']}"


def _counted(told: Mapping[str, Any]) -> str:
    """Return how many workers there are, and on how many machines."""
    hosts = {about["host"] for about in told.values()}
    n = counted(len(told), "worker")
    return n if len(hosts) == 1 else f"{n} on {len(hosts)} machines"


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set variables of the environment, which kernels inherit, to the end of the block."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value
