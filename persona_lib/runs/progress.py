"""Progress of a running notebook: cells done and how far its model calls are, read from the file its kernel writes."""

import json
import shutil
import sys
import threading
import time
from collections import deque
from pathlib import Path
from typing import Any, NamedTuple

from tqdm import tqdm

from ..model.progress import LOG_EVERY_S

POLL_S = 0.5
SAY_ALIVE_EVERY_S = 60.0
WINDOW_S = 30.0


class _Moment(NamedTuple):
    """How many items of a step were done at a time in seconds; `total` is None if their number is not known."""

    at: float
    done: int
    total: int | None


class Progress:
    """Shows how many cells of a notebook are done and how far its model calls are, until it is closed.

    In a terminal it is one line that is redrawn; elsewhere it prints a line now and then.

    Args:
        name: of the notebook.
        cells: how many code cells it has.
        steps: the file that the kernel appends to.
    """

    def __init__(self, name: str, cells: int, steps: Path):
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

    def _text(self) -> str:
        """Return the current step with done/total and, once there is a pace, the time left."""
        if not self._window:
            return ""
        first = self._window[0]
        last = self._window[-1]
        if last.total is None:  # the messages come from a generator
            return f"{self._step} {last.done}"
        shown = f"{self._step} {last.done}/{last.total}"
        if last.done >= last.total or last.done <= first.done:
            return shown
        left = (last.total - last.done) * (last.at - first.at) / (last.done - first.done)
        return f"{shown}, {tqdm.format_interval(left)} left" if left else shown

    def _show(self, now: float) -> None:
        """Redraw the bar; without a terminal print a line if there is news and the last line is some seconds old."""
        if not self._bar.disable:
            self._bar.n = self._done
            self._bar.set_postfix_str(self._text())
            return
        said = f"{self._done}/{self._cells} cells  {self._text()}".rstrip()
        interval = LOG_EVERY_S if said != self._said else SAY_ALIVE_EVERY_S
        if now - self._logged >= interval:
            self._logged = now
            self._said = said
            elapsed = tqdm.format_interval(now - self._began)
            print(f"{self._name}  {elapsed}  {said}", file=sys.stderr, flush=True)
