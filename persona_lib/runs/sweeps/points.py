"""Deal the points of a sweep to the workers of a cluster: each runs whole points, and hands back their folders.

A worker (`at_point`) counts its calls at the process of the sweep, so that limits and paces hold for all. On this
machine it writes to the same store; elsewhere to one of its own, whose new replies come back with each point. When a
worker is killed, its point is run again by another one, which finds in the store what was answered.
"""

import hashlib
import pickle
from collections import deque
from collections.abc import Generator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from pathlib import Path
from typing import Any, NamedTuple

from ... import UserError, store
from ...model.cluster.at_worker import here, inode
from ...model.cluster.shards import LOOK_S
from ...model.cluster.workers import Workers, as_gone, gone
from ..planning import endpoints
from ..results import folders
from . import at_point
from .at_point import Done
from .sweep import Point


class Turn(NamedTuple):
    """A point whose turn comes: its number in the sweep, and the notebooks that are to run."""

    number: int
    point: Point
    stems: list[str]


def may_leave(turn: Turn) -> bool:
    """Return whether a point may run elsewhere: where the embedded model has to answer it takes the cores here."""
    return not any(endpoints.asks_here(turn.point.planned[stem]) for stem in turn.stems)


class Dealer:
    """Deals points.

    Args:
        folder: of the sweep.
        there: the workers.
        limits: the most calls and USD that are left, for the manifests.
        shared: the variables with which kernels count in this process.
        jobs: the notebooks of a point that run side by side.
        again: whether failed replies are asked again.
    """

    def __init__(
        self,
        folder: Path,
        there: Workers,
        limits: tuple[int | None, float | None],
        shared: dict[str, str],
        jobs: int = 1,
        again: bool = False,
    ):
        self._folder = folder
        self._there = there
        self._received: dict[str, int] = {}
        self._store = store.Store()
        name = hashlib.sha256(f"{here()} {folder}".encode()).hexdigest()[:8]
        self._same: dict[str, Any] = {"limits": limits, "jobs": jobs, "shared": shared, "again": again, "name": name}
        own = {"environment": store.environment(), "machine": here(), "inode": inode(self._store.path)}
        self._same |= own | {"received": self._received}

    def each(self, waiting: deque[Turn]) -> Generator[tuple[Turn, str | None]]:
        """Run points, as many at once as there are workers, and yield each when its folder is in its place.

        Args:
            waiting: in their order; what the caller takes from it does not begin any more.

        Yields:
            Each point, and why it has no run, or None.

        Raises:
            LimitError: the cluster has ended.
        """
        running: dict[Future[Done], Turn] = {}
        try:
            while waiting or running:
                while waiting and len(running) < self._there.number:
                    turn = waiting.popleft()
                    running[self._begun(turn)] = turn
                over, _ = wait(running, LOOK_S, FIRST_COMPLETED)
                if not over:
                    self._there.check()
                for future in over:
                    turn = running.pop(future)
                    yield turn, self._take(turn, future)
        finally:
            for future in running:
                future.cancel()

    def _begun(self, turn: Turn) -> Future[Done]:
        """Give a point to the workers."""
        point = turn.point
        planned = {stem: point.planned[stem] for stem in turn.stems}
        there = at_point.pack(self._folder / point.name)
        work = at_point.Work(preset=point.preset, planned=planned, folder=there, **self._same)
        try:
            return self._there.executor.submit(at_point.run, pickle.dumps(work))
        except Exception as error:
            raise as_gone(error) or error from None

    def _take(self, turn: Turn, future: Future[Done]) -> str | None:
        """Take over what a worker returns of a point, and return why it has no run, or None."""
        if future.cancelled():
            raise gone("its scheduler has ended")
        if error := future.exception():
            if type(error).__name__ == "KilledWorker":  # Dask gives no more workers to what kills them
                return "its workers were killed, one after the other: was memory used up?"
            raise as_gone(error) or error
        done = future.result()
        if done.rows:
            self._store.put(done.rows)
        if done.place:
            self._received[done.place] = max(done.last, self._received.get(done.place, 0))
        try:
            if done.folder:
                self._place(done.folder, self._folder / turn.point.name)
        except UserError as error:  # somebody uses the folder
            return str(error)
        return done.problem

    def _place(self, packed: bytes, folder: Path) -> None:
        """Put a run that came back in the place of the point's folder."""
        with folders.beside(self._folder) as new, folders.alone(folder):
            at_point.unpack(packed, new / "run")
            folder.rename(new / "old")
            (new / "run").rename(folder)
