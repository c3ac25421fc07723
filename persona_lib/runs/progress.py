"""Progress of a notebook that runs: cells done and how far its model calls are, from the file its kernel appends to."""

import json
import shutil
import sys
import threading
import time
from collections import deque
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ..model.progress import LOG_EVERY_S

POLL_S = 0.5
SAY_ALIVE_EVERY_S = 60.0
WINDOW_S = 30.0


class Progress:
    """Shows, until it is closed, how many cells of a notebook are done and how far its model calls are.

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
            disable=None,  # without a terminal
            ncols=columns,
            nrows=lines,
            bar_format="{desc}  {bar:16} {n_fmt}/{total_fmt} cells  {elapsed}{postfix}",
            leave=False,
        )
        self._name, self._cells, self._done, self._steps = name, cells, 0, steps
        self._step, self._window = "", deque()
        self._began, self._logged, self._said = time.monotonic(), 0.0, ""
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
        """Count a code cell; nbclient calls it after each."""
        self._done += 1

    def _watch(self) -> None:
        """Read what the kernel appended and show it, twice a second."""
        with self._steps.open() as file:
            rest = ""
            while not self._stop.wait(POLL_S):
                *lines, rest = (rest + file.read()).split("\n")
                if lines:
                    self._note(json.loads(lines[-1]), time.monotonic())
                self._show(time.monotonic())

    def _note(self, line: dict[str, Any], now: float) -> None:
        """Keep what was done in the last half minute: the pace of now, not that of replies found in the store."""
        if line["step"] != self._step or (self._window and line["done"] < self._window[-1][1]):
            self._step, self._window = line["step"], deque()
        self._window.append((now, line["done"], line["total"]))
        while len(self._window) > 2 and now - self._window[0][0] > WINDOW_S:
            self._window.popleft()

    def _text(self) -> str:
        """The current step with done/total and, once there is a pace, the time left."""
        if not self._window:
            return ""
        (t0, d0, _), (t1, done, total) = self._window[0], self._window[-1]
        if total is None:  # from a generator: nobody knows how many there are
            return f"{self._step} {done}"
        if done >= total:
            return f"{self._step} {done}/{total}"
        left = (total - done) * (t1 - t0) / (done - d0) if done > d0 else None
        return f"{self._step} {done}/{total}" + (f", {tqdm.format_interval(left)} left" if left else "")

    def _show(self, now: float) -> None:
        """Redraw the bar, or log a line if something is new and the last line is some seconds old."""
        if not self._bar.disable:
            self._bar.n = self._done
            self._bar.set_postfix_str(self._text())
            return
        said = f"{self._done}/{self._cells} cells  {self._text()}".rstrip()
        if now - self._logged >= (LOG_EVERY_S if said != self._said else SAY_ALIVE_EVERY_S):
            self._logged, self._said = now, said
            elapsed = tqdm.format_interval(now - self._began)
            print(f"{self._name}  {elapsed}  {said}", file=sys.stderr, flush=True)
