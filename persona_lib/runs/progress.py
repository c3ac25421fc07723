"""Progress of a running notebook: cells done and how far its model calls are, read from the file its kernel writes."""

import json
import shutil
import sys
import threading
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tqdm import tqdm

from ..model.progress import LOG_EVERY_S

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
        earlier: the seconds that each notebook took before, in the order in which they run; None if it is not known.
    """

    def __init__(self, earlier: Sequence[float | None]):
        self.over = 0  # notebooks
        self._earlier = earlier
        self._began = time.monotonic()

    def text(self, share: float, least: float, now: float) -> str:
        """Return how many notebooks are over and, if it can be told, about how much time is left.

        Args:
            share: how much of the current notebook is done, from 0 to 1.
            least: the seconds that its current step will take at least.
            now: the time in seconds.
        """
        said = [f"{self.over} of {len(self._earlier)} notebooks"] if len(self._earlier) > 1 else []
        left = self._left(share, now)
        return ", ".join(said if left is None else [*said, f"about {tqdm.format_interval(max(left, least))} left"])

    def _left(self, share: float, now: float) -> float | None:
        known = [seconds for seconds in self._earlier if seconds is not None]
        if len(known) < len(self._earlier) or self.over == len(known):
            return None
        done = sum(known[: self.over]) + share * known[self.over]
        enough = done >= ENOUGH * sum(known) > 0
        return (sum(known) - done) / done * (now - self._began) if enough else None


class Progress:
    """Shows how many cells of a notebook are done and how far its model calls are, until it is closed.

    In a terminal it is one line that is redrawn; elsewhere it prints a line now and then.

    Args:
        name: of the notebook.
        cells: how many code cells it has.
        steps: the file that the kernel appends to.
        course: of the run that the notebook belongs to.
    """

    def __init__(self, name: str, cells: int, steps: Path, course: Course | None = None):
        columns, lines = shutil.get_terminal_size()  # tqdm draws nothing in a terminal that hides its size
        self._bar = tqdm(
            desc=name,
            total=cells,
            disable=None,  # draw only in a terminal
            ncols=columns,
            nrows=lines,
            bar_format="{desc}  {bar:16} {n_fmt}/{total_fmt} cells  {elapsed}{postfix}",
            leave=False,
        )
        self._name = name
        self._cells = cells
        self._done = 0
        self._steps = steps
        self._course = course
        self._step = ""
        self._window: deque[_Moment] = deque()  # of the current step
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

    def cell_done(self, **_: Any) -> None:
        """Count a code cell; nbclient calls this after each."""
        self._done += 1

    def _watch(self) -> None:
        """Read what the kernel appended and show it, every `POLL_S` seconds."""
        with self._steps.open() as file:
            rest = ""
            while not self._stop.wait(POLL_S):
                *lines, rest = (rest + file.read()).split("\n")
                if lines:
                    self._note(json.loads(lines[-1]), time.monotonic())
                self._show(time.monotonic())

    def _note(self, line: dict[str, Any], now: float) -> None:
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

    def _left(self) -> float:
        """Return the seconds that the current step will take at its pace, 0 if it has none."""
        if not self._window:
            return 0.0
        first = self._window[0]
        last = self._window[-1]
        if last.total is None or last.done >= last.total or last.done <= first.done:
            return 0.0
        return (last.total - last.done) * (last.at - first.at) / (last.done - first.done)

    def _text(self) -> str:
        """Return the current step with done/total and, once there is a pace, the time left."""
        if not self._window:
            return ""
        last = self._window[-1]
        if last.total is None:  # the messages come from a generator
            return f"{self._step} {last.done}"
        shown = f"{self._step} {last.done}/{last.total}"
        left = self._left()
        return f"{shown}, {tqdm.format_interval(left)} left" if left else shown

    def _show(self, now: float) -> None:
        """Redraw the bar; without a terminal print a line if there is news and the last line is some seconds old."""
        course = self._course.text(self._done / self._cells, self._left(), now) if self._course else ""
        text = "  ".join(filter(None, [course, self._text()]))
        if not self._bar.disable:
            self._bar.n = self._done
            self._bar.set_postfix_str(text)
            return
        said = f"{self._done}/{self._cells} cells  {text}".rstrip()
        interval = LOG_EVERY_S if said != self._said else SAY_ALIVE_EVERY_S
        if now - self._logged >= interval:
            self._logged = now
            self._said = said
            elapsed = tqdm.format_interval(now - self._began)
            print(f"{self._name}  {elapsed}  {said}", file=sys.stderr, flush=True)
