"""Sweeping: the points of a sweep run one after the other, or at workers; those that are done are not run again.

So the same command goes on where it stopped.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ... import BudgetError, EndpointError, LimitError, UserError, files
from ...model.cluster import workers
from ...model.cluster.workers import Workers
from ...model.limits import sharing
from ...model.limits.budget import Budget
from ...model.limits.usage import cost_text
from ...texts import counted
from ..dry_runs import estimate
from ..dry_runs.estimate import Estimate
from ..executing import run
from ..executing.cluster import Joined
from ..pages import said
from ..reporting.shown import shown
from ..results import compare, folders, manifests
from . import pages, points, tables
from .points import Turn
from .sweep import Point, Sweep
from .tables import DONE, GIVEN, Collected

WRITE_EVERY_S = 60.0  # tables and page, while points run
NAME = "sweep.json"  # in the folder of a sweep: what it varies
# The endpoint of a model takes no more calls, so that its other points would fail in the same way.
_ENDS_MODEL = {LimitError.__name__, EndpointError.__name__}


def estimated(planned: Sequence[Point], found: Collected) -> Estimate:
    """Count what the points that are not done will ask; what several of them ask counts once.

    Args:
        planned: the points.
        found: what is there of them.

    Returns:
        The estimate as `estimate.of` returns it; its table has the column `point` first.
    """
    waiting = found.notebooks[found.notebooks["state"] != DONE]
    keys = {f"{row.point}/{row.notebook}": (row.point, row.notebook) for row in waiting.itertuples()}
    by_name = {point.name: point for point in planned}
    counts = estimate.of({key: by_name[point].planned[stem] for key, (point, stem) in keys.items()})
    table = counts.table.assign(notebook=[keys[key][1] for key in counts.table["notebook"]])
    table.insert(0, "point", [keys[key][0] for key in counts.table["notebook"]])
    return counts._replace(table=table)


def _by_point(counts: Estimate, found: Collected) -> pd.DataFrame:
    """Return the sums of an estimate by point: what is done asks nothing."""
    rows = dict(list(counts.table.groupby("point")))
    none = counts.table.iloc[:0]
    sums = [estimate.sums(rows.get(point, none)) for point in found.points.index]
    return found.points[["label", "state"]].join(pd.DataFrame(sums, found.points.index))


def estimate_json(counts: Estimate, found: Collected) -> str:
    """Return an estimate as JSON: `points` with what they are given, states and sums, `total`, `rows` and `notes`."""
    given = found.points.filter(like=GIVEN)
    points = _by_point(counts, found).join(given).reset_index()
    told = {"points": points.to_dict("records"), "total": estimate.sums(counts.table)}
    return files.as_json(told | {"rows": counts.table.to_dict("records"), "notes": counts.notes})


def estimate_text(counts: Estimate, found: Collected) -> str:
    """Return an estimate as lines of text: a row per point, their sum, and what the figures assume."""
    total = pd.DataFrame([{"label": "total", "state": "", **estimate.sums(counts.table)}])
    table = pd.concat([_by_point(counts, found), total], ignore_index=True).rename(columns={"label": "point"})
    told = table[["point", "state", "calls", "cached", "tokens_in", "tokens_out"]].assign(
        cost=[cost_text(None if pd.isna(cost) else cost) for cost in table["cost"]],
        seconds=["unknown" if pd.isna(s) else str(timedelta(seconds=round(s))) for s in table["seconds"]],
    )
    return "\n".join([shown(told, "", rows=len(told)).text(None), *counts.notes])


def execute(
    sweep: Sweep,
    planned: Sequence[Point],
    folder: Path,
    max_calls: int | None = None,
    max_cost: float | None = None,
    say: Callable[[str], object] = lambda line: None,
    retry: bool = False,
    jobs: int | None = None,
    cluster: Joined | None = None,
) -> tuple[Collected, set[str]]:
    """Run the points of a sweep that are not done, and write its tables, its figure and its page.

    Points run one after the other, or at the workers of a cluster. One that fails leaves the others as they are. After
    an endpoint has ended a run, points of the same model are not run; after a limit is reached, none is.

    Args:
        sweep, planned: the sweep and its points.
        folder: of the sweep; each point has a folder in it.
        max_calls, max_cost: the most calls, and USD, of all points together, with those of earlier commands. What a
            point cost may be unknown, since an endpoint tells no tokens: it then counts as all that was left.
        say: gets a line for each point, and those of its run.
        retry: also run notebooks that are done but have failed items.
        jobs: of each run, as in `run.run`.
        cluster: where there are at least as many points to run as it has workers, each of these runs whole points, with
            one notebook at a time or `jobs`; otherwise they ask what the notebooks of one point after the other deal.

    Returns:
        What the points' folders tell, and the names of the errors that ended notebooks in this call.

    Raises:
        UserError: the folder holds something else, such as another sweep, or another process runs a sweep in it.
        KeyboardInterrupt: Ctrl-C; tables and page are written.
    """
    folder = folder.absolute()
    check_same(sweep, folder)
    with folders.alone(folder):
        check_same(sweep, folder)
        files.write_json(folder / NAME, sweep.model_dump())
        found = tables.collect(planned, folder)
        pages.write(sweep, found, folder)
        course = _Course(sweep, planned, folder, found, max_calls, max_cost, jobs, cluster)
        try:
            course.run(say, retry)
        finally:
            found = tables.collect(planned, folder, course.problems)
            pages.write(sweep, found, folder)
    return found, course.errors


def check_same(sweep: Sweep, folder: Path) -> None:
    """Raise UserError if a folder holds another sweep, or something other than a sweep."""
    if folders.is_empty(folder):
        return
    if not (folder / NAME).is_file():
        raise UserError(f"{folder} contains something other than a sweep: choose another --out")
    ours, theirs = sweep.model_dump(), files.read_json(folder / NAME)
    for key in (key for key in ours if key not in ("name", "about") and ours[key] != theirs.get(key)):
        here, there = compare.as_text(ours[key]), compare.as_text(theirs.get(key))
        raise UserError(
            f"{folder} holds another sweep ({key}: {there}, not {here}): choose another --out; what was answered is "
            "in the store"
        )


class _Course:
    """How far a sweep is: what it has used, which errors ended notebooks, and why points have no run (by name)."""

    def __init__(
        self,
        sweep: Sweep,
        planned: Sequence[Point],
        folder: Path,
        found: Collected,
        max_calls: int | None,
        max_cost: float | None,
        jobs: int | None = None,
        cluster: Joined | None = None,
    ):
        self.errors: set[str] = set()
        self.problems: dict[str, str] = {}
        self._sweep = sweep
        self._planned = planned
        self._folder = folder
        self._found = found
        self._calls = int(found.points["calls"].sum())
        self._cost = found.points["cost"].sum(skipna=False)
        self._limits = max_calls, max_cost
        self._jobs = jobs
        self._cluster = cluster
        self._ended: set[Any] = set()  # models
        self._written = time.monotonic()

    def run(self, say: Callable[[str], object], retry: bool) -> None:
        """Run the points that are not done; arguments as in `execute`."""
        waiting = list(self._turns(retry))
        there = workers.present() if self._cluster else None
        leave = [turn for turn in waiting if points.may_leave(turn)]
        if there and len(leave) >= there.number:
            self._deal(deque(leave), there, say, retry)
            waiting = [turn for turn in waiting if turn not in leave]
        for turn in waiting:
            if self._may_run(turn):
                say(self._named(turn))
                self._note(turn, self._run(turn, say))

    def _turns(self, retry: bool) -> Iterator[Turn]:
        """Yield the points that are not done, with the notebooks that are not."""
        for number, point in enumerate(self._planned, 1):
            own = self._found.notebooks[self._found.notebooks["point"] == point.name]
            again = own[(own["state"] != DONE) | (retry & (own["failed"] > 0))]["notebook"]
            if not again.empty:
                yield Turn(number, point, list(again))

    def _named(self, turn: Turn) -> str:
        return f"point {turn.number} of {len(self._planned)}: {turn.point.label}"

    def _left(self) -> tuple[int | None, float | None]:
        """Return the calls and the USD that are left, None without a limit."""
        max_calls, max_cost = (
            None if limit is None else 0 if pd.isna(used) else max(0, limit - used)
            for limit, used in zip(self._limits, (self._calls, self._cost), strict=True)
        )
        return max_calls, max_cost

    def _run(self, turn: Turn, say: Callable[[str], object]) -> dict[str, Any] | None:
        """Run notebooks of a point, and return the manifest, None if there is none."""
        planned = {stem: turn.point.planned[stem] for stem in turn.stems}
        folder = self._folder / turn.point.name
        try:
            return run.run(turn.point.preset, planned, folder, *self._left(), say, self._jobs, self._cluster)
        except UserError as error:
            self._fail(turn, str(error), say)
            return None

    def _fail(self, turn: Turn, problem: str, say: Callable[[str], object]) -> None:
        """Note why a point has no run."""
        self.problems[turn.point.name] = problem
        say(f"failed  {turn.point.label}  {problem}")

    def _deal(self, waiting: deque[Turn], there: Workers, say: Callable[[str], object], retry: bool) -> None:
        """Let the workers of a cluster run points; their calls count here."""
        assert self._cluster
        say(f"{counted(len(waiting), 'point')} for {counted(there.number, 'worker')}")
        with sharing.served(Budget(*self._left()), self._cluster.host) as shared:
            dealer = points.Dealer(self._folder, there, self._left(), shared, self._jobs or 1, retry)
            with closing(dealer.each(waiting)) as ended:
                for turn, problem in ended:
                    say(self._named(turn))
                    if problem:
                        self._fail(turn, problem, say)
                        continue
                    manifest = manifests.read(self._folder / turn.point.name) or {}
                    for stem in turn.stems:
                        say(said.of_notebook(stem, manifest["notebooks"][stem]))
                    self._note(turn, manifest)
                    for other in [other for other in waiting if not self._may_run(other)]:
                        waiting.remove(other)

    def _may_run(self, turn: Turn) -> bool:
        """Return whether no limit is reached, and the endpoint of a point's model takes calls."""
        return BudgetError.__name__ not in self.errors and turn.point.given.get("model") not in self._ended

    def _note(self, turn: Turn, manifest: dict[str, Any] | None) -> None:
        """Count what a point used, note the errors that ended its notebooks, and write the pages now and then."""
        if manifest:
            self._calls += manifest["usage"]["calls"]
            cost = manifest["usage"]["cost"]
            self._cost += np.nan if cost is None else cost
            names = {e["error"]["name"] for stem in turn.stems if (e := manifest["notebooks"][stem])["error"]}
            self.errors |= names
            if names & _ENDS_MODEL:
                self._ended.add(turn.point.given.get("model"))
        if time.monotonic() - self._written > WRITE_EVERY_S:
            found = tables.collect(self._planned, self._folder, self.problems)
            pages.write(self._sweep, found, self._folder)
            self._written = time.monotonic()
