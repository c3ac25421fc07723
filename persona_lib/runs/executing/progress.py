"""Progress of running notebooks: cells done and how far model calls are, read from the file that each kernel writes."""

import json
import shutil
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from tqdm import tqdm

from ...model.asking.progress import LOG_EVERY_S

POLL_S = 0.5
SAY_ALIVE_EVERY_S = 60.0
WINDOW_S = 30.0
ENOUGH = 0.1  # of a run that must be over before its pace says anything


class _Moment(NamedTuple):
    """How many items of a step were done at a time in seconds; `total` is None if their number is not known."""

    at: float
    done: int
    total: int | None


class Course:
    """How far a run of several notebooks is, and about how long the rest of it will take.

    The rest is timed by what each notebook took in an earlier run, at the pace of this run, which may find in the store
    what the earlier one had to ask. Without an earlier run no time is said: cells, for one, take from nothing to hours.

    Args:
        earlier: the seconds that each notebook took before; None if it is not known.
    """

    def __init__(self, earlier: Mapping[str, float | None]):
        self.over: set[str] = set()  # notebooks
        self._earlier = earlier
        self._began = time.monotonic()

    def text(self, shares: Mapping[str, float], least: float, now: float) -> str:
        """Return how many notebooks are over and, if it can be told, about how much time is left.

        Args:
            shares: how much of each running notebook is done, from 0 to 1.
            least: the seconds that their current steps will take at least.
            now: the time in seconds.
        """
        said = [f"{len(self.over)} of {len(self._earlier)} notebooks"] if len(self._earlier) > 1 else []
        left = self._left(shares, now)
        return ", ".join(said if left is None else [*said, f"about {tqdm.format_interval(max(left, least))} left"])

    def _left(self, shares: Mapping[str, float], now: float) -> float | None:
        known = {stem: seconds for stem, seconds in self._earlier.items() if seconds is not None}
        if len(known) < len(self._earlier) or len(self.over) == len(known):
            return None
        done = sum(seconds * (1.0 if stem in self.over else shares.get(stem, 0.0)) for stem, seconds in known.items())
        whole = sum(known.values())
        return (whole - done) / done * (now - self._began) if done >= ENOUGH * whole > 0 else None


class _Part:
    """How far one notebook is.

    Args:
        cells: how many code cells it has.
        steps: the file that its kernel appends to.
    """

    def __init__(self, cells: int, steps: Path):
        self.cells = cells
        self.done = 0
        self._steps = steps
        self._read = 0  # bytes of the file
        self._step = ""
        self._window: deque[_Moment] = deque()  # of the current step

    def look(self, now: float) -> None:
        """Read what was appended to the file."""
        with self._steps.open("rb") as file:
            file.seek(self._read)
            text, end, _ = file.read().rpartition(b"\n")
        self._read += len(text) + len(end)
        lines = [json.loads(line) for line in text.splitlines()]
        self.done = next((line["cells"] for line in reversed(lines) if "cells" in line), self.done)
        if asked := [line for line in lines if "cells" not in line]:
            self.note(asked[-1], now)

    def note(self, line: dict[str, Any], now: float) -> None:
        """Keep what was done in the last `WINDOW_S` seconds, so that the pace is the current one.

        The pace of the whole step would count replies found in the store, which take no time.
        """
        restarted = bool(self._window) and line["done"] < self._window[-1].done
        if line["step"] != self._step or restarted:
            self._step = line["step"]
            self._window.clear()
        self._window.append(_Moment(now, line["done"], line["total"]))
        while len(self._window) > 2 and now - self._window[0].at > WINDOW_S:
            self._window.popleft()

    def left(self) -> float:
        """Return the seconds that the current step will take at its pace, 0 if it has none."""
        if not self._window:
            return 0.0
        first = self._window[0]
        last = self._window[-1]
        if last.total is None or last.done >= last.total or last.done <= first.done:
            return 0.0
        return (last.total - last.done) * (last.at - first.at) / (last.done - first.done)

    def text(self) -> str:
        """Return the current step with done/total and, once there is a pace, the time left."""
        if not self._window:
            return ""
        last = self._window[-1]
        if last.total is None:  # the messages come from a generator
            return f"{self._step} {last.done}"
        shown = f"{self._step} {last.done}/{last.total}"
        left = self.left()
        return f"{shown}, {tqdm.format_interval(left)} left" if left else shown


class Progress:
    """Shows how many cells of the running notebooks are done and how far their model calls are, until it is closed.

    In a terminal it is one line that is redrawn; elsewhere it prints a line now and then.

    Args:
        course: of the run that the notebooks belong to.
    """

    def __init__(self, course: Course | None = None):
        columns, lines = shutil.get_terminal_size()  # tqdm draws nothing in a terminal that hides its size
        self._bar = tqdm(
            total=0,
            disable=None,  # draw only in a terminal
            ncols=columns,
            nrows=lines,
            bar_format="{desc}  {bar:16} {n_fmt}/{total_fmt} cells  {elapsed}{postfix}",
            leave=False,
        )
        self.workers = ""  # the line on those of a cluster
        self._course = course
        self._parts: dict[str, _Part] = {}
        self._guard = threading.Lock()
        self._began = time.monotonic()
        self._logged = 0.0
        self._said = ""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "Progress":
        self._thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._stop.set()
        self._thread.join()
        self._bar.close()

    def begin(self, name: str, cells: int, steps: Path) -> None:
        """Show a notebook that begins; see `_Part`."""
        with self._guard:
            self._parts[name] = _Part(cells, steps)

    def end(self, name: str) -> None:
        """Show a notebook no more."""
        with self._guard:
            del self._parts[name]
            if self._course:
                self._course.over.add(name)

    def _watch(self) -> None:
        """Read what the kernels appended and show it, every `POLL_S` seconds."""
        while not self._stop.wait(POLL_S):
            with self._guard:
                now = time.monotonic()
                for part in self._parts.values():
                    with suppress(OSError):  # the run's folder was moved
                        part.look(now)
                self._show(now)

    def _show(self, now: float) -> None:
        """Redraw the bar; without a terminal print a line if there is news and the last line is some seconds old."""
        parts = self._parts
        if not parts:
            return
        alone = len(parts) == 1
        name = next(iter(parts)) if alone else ", ".join(stem.partition("_")[0] for stem in parts)
        shares = {stem: part.done / part.cells for stem, part in parts.items()}
        course = self._course.text(shares, max(part.left() for part in parts.values()), now) if self._course else ""
        steps = {stem: part.text() for stem, part in parts.items()}
        told = [text if alone else f"{stem.partition('_')[0]} {text}" for stem, text in steps.items() if text]
        text = "  ".join(filter(None, [course, *told, self.workers]))
        done, cells = sum(part.done for part in parts.values()), sum(part.cells for part in parts.values())
        if not self._bar.disable:
            self._bar.n, self._bar.total = done, cells
            self._bar.set_description_str(name, refresh=False)
            self._bar.set_postfix_str(text)
            return
        said = f"{done}/{cells} cells  {text}".rstrip()
        interval = LOG_EVERY_S if said != self._said else SAY_ALIVE_EVERY_S
        if now - self._logged >= interval:
            self._logged = now
            self._said = said
            elapsed = tqdm.format_interval(now - self._began)
            print(f"{name}  {elapsed}  {said}", file=sys.stderr, flush=True)
