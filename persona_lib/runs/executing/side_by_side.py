"""Execute the notebooks of a run in a pool, side by side, and put what they leave in its place."""

import json
import os
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
from tqdm import tqdm

from ... import BudgetError, EndpointError, LimitError, files
from ...model.asking import progress
from ...store.store import utc_now
from ...texts import counted
from ..pages import pages, said
from ..planning import notebooks
from ..reporting.record import VARIABLE as RECORD
from ..results import findings, folders
from ..results.manifests import Manifest
from . import kernels
from .cluster import Joined
from .progress import Course, Progress

# Every later notebook would fail in the same way.
ENDING = (BudgetError.__name__, LimitError.__name__, EndpointError.__name__)
LOOK_S = 5.0  # between two looks at what running notebooks have used


class Notebooks:
    """The notebooks of a run, up to `jobs` of them side by side; this thread alone writes manifest and pages.

    Args:
        manifest: of the run.
        environment: variables of all kernels.
        pool: executes them.
        jobs: how many at once.
        say: gets the line of each when it ends.
        cluster: whose workers ask what they deal, if there is one.
    """

    def __init__(
        self,
        manifest: Manifest,
        environment: Mapping[str, str],
        pool: Executor,
        jobs: int,
        say: Callable[[str], object],
        cluster: Joined | None = None,
    ):
        self._manifest = manifest
        self._new = manifest.folder / folders.NEW
        self._environment = environment
        self._pool = pool
        self._jobs = jobs
        self._say = say
        self._cluster = cluster
        # The main finding first: it stands on the index while the longer ones run.
        self._waiting = deque(sorted(manifest.planned, key=lambda stem: stem != findings.CRITIC))
        self._running: dict[Future[dict[str, str] | None], str] = {}
        self._began: dict[str, float] = {}
        self._shown = Progress(Course({stem: took(entry) for stem, entry in manifest.planned.items()}))

    def run(self) -> None:
        """Execute them all, or until no more calls can be made; what is running then goes on to its end."""
        try:
            with self._shown:
                self._watch()
                self._begin()
                while self._running:
                    over, _ = wait(self._running, LOOK_S, FIRST_COMPLETED)
                    errors = {self._running.pop(future): future.result() for future in over}
                    if any(error and error["name"] in ENDING for error in errors.values()):
                        self._waiting.clear()
                    self._begin()  # before the pages are written, which takes a second
                    for stem, error in errors.items():
                        self._end(stem, error)
                    self._look()
        except BaseException as error:
            try:
                self._pool.shutdown(cancel_futures=True)
            finally:  # a second Ctrl-C ends the wait
                for stem, entry in self._manifest.planned.items():
                    if entry["status"] == "running":
                        entry["status"] = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
                        self._account(stem)
            raise
        self._pool.shutdown()

    def _begin(self) -> None:
        """Begin with as many as may run."""
        new = len(self._running)
        while self._waiting and len(self._running) < self._jobs:
            stem = self._waiting.popleft()
            entry = self._manifest.planned[stem]
            entry |= {"status": "running", "started": utc_now()}
            steps = self._new / f"{stem}.jsonl"
            steps.touch()
            out = os.path.relpath(self._manifest.folder / stem, notebooks.folder())
            parameters = entry["parameters"] | ({"out": out} if "out" in entry["parameters"] else {})
            told = {**self._environment, RECORD: str(self._new / stem)}
            self._began[stem] = time.monotonic()
            self._shown.begin(stem, notebooks.find(stem).code_cells + 1, steps)  # papermill adds a cell of parameters
            given = (stem, parameters, self._new / f"{stem}.ipynb", steps, told)
            self._running[self._pool.submit(kernels.execute, *given)] = stem
        if len(self._running) > new:
            save(self._manifest)

    def _end(self, stem: str, error: dict[str, str] | None) -> None:
        """Write a notebook's page, and enter its results, status and usage in its entry of the manifest."""
        manifest, entry, new = self._manifest, self._manifest.planned[stem], self._new
        entry["error"] = error
        if not folders.is_there(manifest.folder):
            raise FileNotFoundError(manifest.folder)
        entry["steps"] = _used(new / f"{stem}.jsonl")
        recorded = new / stem / "record.json"
        if recorded.is_file() and not error:
            entry |= json.loads(recorded.read_text("utf-8"))
        _page(new, stem, manifest)
        entry["status"] = "failed" if error else "done"
        _place(manifest.folder, stem, entry)
        if stem == findings.AUDITS and (manifest.folder / f"{findings.CRITIC}.ipynb").exists():
            _page(manifest.folder, findings.CRITIC, manifest)  # it tells what has just been found of its critic
        self._account(stem)
        self._watch()
        self._shown.end(stem)
        save(manifest)
        with tqdm.external_write_mode():
            self._say(said.of_notebook(stem, entry))

    def _account(self, stem: str) -> None:
        """Enter what a notebook used and lost, and its time."""
        entry, steps = self._manifest.planned[stem], self._new / f"{stem}.jsonl"
        entry["steps"] = _used(steps)
        recorded = (self._manifest.folder if entry["status"] == "done" else self._new) / stem
        entry["lost"] = _lost(steps, recorded) if steps.exists() else []
        entry["seconds"] = round(time.monotonic() - self._began[stem], 1)

    def _look(self) -> None:
        """Enter what the running notebooks have used so far, if there is news."""
        used = {stem: _used(self._new / f"{stem}.jsonl") for stem in self._running.values()}
        entries = self._manifest.planned
        if self._watch() or any(entries[stem]["steps"] != steps for stem, steps in used.items()):
            for stem, steps in used.items():
                entries[stem] |= {"steps": steps, "seconds": round(time.monotonic() - self._began[stem], 1)}
            save(self._manifest)

    def _watch(self) -> bool:
        """Enter and show how the workers of a cluster are; return whether there is news."""
        if not self._cluster:
            return False
        self._cluster.look()
        files = [self._new / f"{stem}.jsonl" for stem in self._began]
        state = self._cluster.state(filter(None, (progress.dealt(path) for path in files if path.exists())))
        self._shown.workers = said.of_workers(state, over=False)
        news = state != self._manifest.content.get("cluster")
        self._manifest.content["cluster"] = state
        return news


def took(entry: Mapping[str, Any]) -> float | None:
    """Return the seconds that a notebook took when it was last done here with the same parameters, None if never."""
    kept = entry.get("kept")
    return kept["seconds"] if kept and kept["parameters"] == entry["parameters"] else None


def _page(folder: Path, stem: str, manifest: Manifest) -> None:
    """Write the page of a notebook that was executed into a folder."""
    entries = manifest.notebooks
    shown = entries[stem]
    if folder != manifest.folder:  # this is the new one's page: what its entry keeps of an older one is not shown there
        shown = {name: value for name, value in shown.items() if name != "kept"}
    else:
        shown = shown.get("kept", shown)
    told = pages.RunEntry(manifest.content, shown)
    pages.export(folder / f"{stem}.ipynb", entries[stem]["title"], entries, told)


def _place(folder: Path, stem: str, entry: dict[str, Any]) -> None:
    """Put what a notebook left in its place; a failed one goes beside older results."""
    if entry["error"] and "kept" in entry:
        folders.place_failed(folder, stem)
        return
    folders.place(folder, stem)
    entry.pop("kept", None)


def _used(steps: Path) -> dict[str, Any]:
    """Return the usage of a notebook's steps; a kernel that did not start has none."""
    return progress.used(steps) if steps.exists() else {}


def _lost(steps: Path, recorded: Path) -> list[str]:
    """Return the steps of a notebook more than half of whose items failed, such as 'judging: 48 of 48 items failed'.

    If there are any, the commonest failure that the tables of the folder `recorded` tell follows: 'mostly: no verdict'.
    """
    counts: dict[str, list[int]] = {}
    for ask in progress.asks(steps):
        done, failed = counts.setdefault(ask["step"], [0, 0])
        counts[ask["step"]] = [done + ask["done"], failed + ask["usage"]["failed"]]
    lost = [f"{step}: {min(f, n)} of {counted(n, 'item')} failed" for step, (n, f) in counts.items() if 2 * f > n]
    return lost + _commonest(sorted(recorded.glob("tables/*.parquet"))) if lost else []


def _commonest(tables: Sequence[Path]) -> list[str]:
    """Return the commonest failure that recorded tables tell as 'mostly: ...'; nothing if they tell none."""
    known = [(path, [name for name in pq.read_schema(path).names if name.endswith("failure")]) for path in tables]
    told = [pd.read_parquet(path, columns=names).stack() for path, names in known if names]
    reasons = pd.concat(told).dropna().astype(str).value_counts() if told else pd.Series(dtype=int)
    return [f"mostly: {reason}" for reason in reasons.index[:1]]


def save(manifest: Manifest) -> None:
    """Write the manifest and the index page, which can be read while the run goes on."""
    manifest.save()
    write_index(manifest.folder, manifest.content)


def write_index(folder: Path, content: Mapping[str, Any]) -> None:
    """Write the index page of a manifest's content."""
    files.write_text(folder / "index.html", pages.index(content, (folder / pages.ITEMS).is_file()))
