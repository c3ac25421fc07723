"""Run a point of a sweep at a worker of a cluster: what a worker gets, does and returns (see `points`).

A worker may not fork kernels itself, so that a process of its own runs the points that it gets, one after the other.
That process ends as soon as the pipe to its worker does, also when the worker is killed, and its kernels end with it.
"""

import os
import pickle
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from ... import UserError
from ...model.cluster.at_worker import Inode, here, inode
from ...model.cluster.workers import VARIABLE, Task
from ...store import Store, Stored, bases, default_path
from ..planning.presets import Preset

LOOK_S = 0.2  # between two looks whether anybody still waits for the point
IDLE_S = 60.0  # for which a process without a point stays; a worker takes it up for half of that time
_BODY = f"from {__name__} import serve; serve()"


class Work(NamedTuple):
    """A point as it is sent.

    `preset`, `planned`, `limits` and `jobs` are what `run.run` takes, `shared` are the variables with which kernels
    count at the process of the sweep. `folder` is the point's run so far, as a zip file. `environment` names the store
    of the sweep on its `machine`, and `inode` which file it is there. `name` is part of that of the store for the sweep
    on another machine, `received` says up to which row its replies have come, by the place of such a store, and `again`
    whether failed replies are asked again.
    """

    preset: Preset
    planned: dict[str, dict[str, Any]]
    limits: tuple[int | None, float | None]
    jobs: int
    shared: dict[str, str]
    folder: bytes | None
    environment: dict[str, str]
    machine: str
    inode: Inode | None
    name: str
    received: dict[str, int]
    again: bool


class Done(NamedTuple):
    """What a worker returns of a point.

    `folder` is its run as a zip file; None if there is none, and `problem` says why. `rows` are the replies of a store
    on another machine, which lies at `place`, after those received and up to `last`.
    """

    folder: bytes | None
    problem: str | None
    rows: list[Stored]
    place: str
    last: int


def run(packed: bytes) -> Done:
    """Run a point, at a worker: its folder grows in a folder of this machine's own for such things, and goes back."""
    work: Work = pickle.loads(packed)
    shared = work.machine == here() and inode(Path(work.environment["PERSONA_STORE"])) == work.inode is not None
    environment = {"PERSONA_STORE_BASE": "", **(work.environment if shared else _own(work.name))}
    own = Path(environment["PERSONA_STORE"])
    if not shared:
        store = Store(own, base=[])
        place = f"{here()} {inode(own)}"
        if work.again and place not in work.received:
            _forget(environment)
    with tempfile.TemporaryDirectory(prefix="persona-point-", ignore_cleanup_errors=True) as at:
        folder = Path(at) / "run"
        if work.folder:
            unpack(work.folder, folder)
        problem = _in_a_process(work, folder, environment)
        result = None if problem else pack(folder)
    if shared:
        return Done(result, problem, [], "", 0)
    rows, last = store.after(work.received.get(place, 0))
    return Done(result, problem, rows, place, last)


def _own(name: str) -> dict[str, str]:
    """Return the variables of a store for one sweep, over the worker's own and its bases; all points here share it."""
    own = default_path().absolute()
    under = [str(path.absolute()) for path in ([own] if own.is_file() else []) + bases()]
    path = own.with_name(f"{own.stem}-{name}.sqlite")
    return {"PERSONA_STORE": str(path), "PERSONA_STORE_BASE": os.pathsep.join(under)}


def _forget(environment: Mapping[str, str]) -> None:
    """Forget the failed replies of a store and its bases, to ask them again."""
    under = [path for path in environment["PERSONA_STORE_BASE"].split(os.pathsep) if path]
    Store(environment["PERSONA_STORE"], base=under).forget_failed()


def pack(folder: Path) -> bytes | None:
    """Return a run's folder as a zip file; None if there is no run."""
    if not (folder / "manifest.json").is_file():
        return None
    with tempfile.TemporaryDirectory() as at:
        return Path(shutil.make_archive(f"{at}/run", "zip", folder)).read_bytes()


def unpack(packed: bytes, folder: Path) -> None:
    """Write a folder that was packed."""
    with tempfile.NamedTemporaryFile(suffix=".zip") as file:
        file.write(packed)
        file.flush()
        shutil.unpack_archive(file.name, folder)


class _Process:
    """A process that runs points."""

    def __init__(self) -> None:
        self.free_since = 0.0
        self._reader = ThreadPoolExecutor(1)
        self._process = subprocess.Popen(
            [sys.executable, "-c", _BODY],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # progress, which the sweep tells
            start_new_session=True,  # Ctrl-C does not reach it
        )

    def run(self, work: Work, folder: Path, environment: Mapping[str, str]) -> str | None:
        """Run a point; return why there is no run, or None.

        Raises:
            EOFError: the process has ended.
            UserError: nobody waits for the point any more; the process goes on with it until it is ended.
        """
        assert self._process.stdin and self._process.stdout
        told = self._reader.submit(pickle.load, self._process.stdout)
        with suppress(BrokenPipeError):  # then there is nothing to read either
            pickle.dump((work, folder, dict(environment)), self._process.stdin)
            self._process.stdin.flush()
        task = Task()
        while not wait([told], LOOK_S).done:
            if not task.is_wanted():
                raise UserError("nobody waits for the point any more")
        problem: str | None = told.result()
        return problem

    def end(self) -> int:
        """End the process, and its kernels with it, and return its exit code."""
        assert self._process.stdin and self._process.stdout
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        code = self._process.wait()
        self._reader.shutdown()
        self._process.stdout.close()
        return code


_FREE: list[_Process] = []  # of this worker


def _in_a_process(work: Work, folder: Path, environment: Mapping[str, str]) -> str | None:
    """Run a point in a process that is free, or in a new one; return why there is no run, or None."""
    process = _free() or _Process()
    try:
        problem = process.run(work, folder, environment)
    except EOFError:
        return f"its process has ended at the worker (exit code {process.end()}): was memory used up?"
    except BaseException:
        process.end()
        raise
    process.free_since = time.monotonic()
    _FREE.append(process)
    return problem


def _free() -> _Process | None:
    """Return a process that is free; those that were for long are ended, as they would do themselves."""
    with suppress(IndexError):  # there is none, or another thread of this worker takes it
        while True:
            process = _FREE.pop()
            if time.monotonic() - process.free_since < IDLE_S / 2:
                return process
            process.end()
    return None


def serve() -> None:
    """Run points, one after the other: the body of a worker's process."""
    from ..executing.run import run as execute  # only here
    from ..planning import preflight  # as above

    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what kernels print is no reply
    os.environ.pop(VARIABLE, None)  # this process is at a worker: it deals nothing further
    coming: queue.SimpleQueue[tuple[Work, Path, dict[str, str]]] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(coming,), daemon=True).start()
    while True:
        try:
            work, folder, environment = coming.get(timeout=IDLE_S)
        except queue.Empty:
            os._exit(0)
        os.environ.update(environment)
        problem = None
        try:
            if environment["PERSONA_STORE"] != work.environment["PERSONA_STORE"]:
                preflight.check(work.planned, asks=False)  # the sweep's machine may have files that this one lacks
            execute(work.preset, work.planned, folder, *work.limits, jobs=work.jobs, counted=work.shared)
        except Exception as error:
            problem = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
        pickle.dump(problem, replies)
        replies.flush()


def _receive(coming: "queue.SimpleQueue[tuple[Work, Path, dict[str, str]]]") -> None:
    """Take the points that come; end this process with the pipe, whatever it is at, and remove what it was at."""
    at: Path | None = None
    try:
        while True:
            told = pickle.load(sys.stdin.buffer)
            at = told[1]
            coming.put(told)
    finally:
        if at:
            shutil.rmtree(at.parent, ignore_errors=True)
        os._exit(1)
