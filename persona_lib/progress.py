"""Progress of model calls, and of a notebook that runs: one line in a terminal, plain log lines elsewhere.

Calls in a run's kernel append JSON lines to the file that PERSONA_PROGRESS names: {"batch", "step", "done", "total"},
the model asked, and the usage of the batch so far. The runner shows them from a thread while the notebook runs, and
adds them up when it has ended in whatever way. Used by `model.Model`, `runs` and `estimate`.
"""

import itertools
import json
import os
import shutil
import sys
import threading
import time
from collections import defaultdict, deque
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tqdm import tqdm

from .usage import Usage, total
from .whole import Whole

VARIABLE = "PERSONA_PROGRESS"
POLL_S = 0.5
LOG_EVERY_S = 5.0
SAY_ALIVE_EVERY_S = 60.0
WINDOW_S = 30.0
WRITE_EVERY_S = 0.1

_batches = itertools.count()


class Calls:
    """How far a batch of calls is: a bar in a terminal or notebook, log lines elsewhere, a file for a run.

    Where it is part of a `Whole`, only that is shown.

    Args:
        step: what is being asked.
        items: how many there are, if that is known.
        used: counts what the batch uses; the file tells it.
        about: what else the file tells.
    """

    def __init__(self, step: str, items: int | None, used: Usage, **about: Any):
        self.step, self.items, self.used, self.done, self.done_away = step, items, used, 0, 0
        self._about = {"batch": next(_batches), "step": step, "total": items} | about
        self._file = os.environ.get(VARIABLE)
        self._every = WRITE_EVERY_S if self._file else LOG_EVERY_S
        self._bar: tqdm | None = None
        self._shown, self._logged, self._began = False, 0.0, 0.0
        self._whole = None if self._file else Whole.current
        if self._whole:
            self._whole.begin(step)

    def show(self) -> None:
        """Begin to show it: a call is made."""
        if self._shown:
            return
        self._shown, self._began = True, time.monotonic()
        notebook = type(sys.stderr).__module__.startswith("ipykernel")
        if not self._file and not self._whole and (sys.stderr.isatty() or notebook):
            self._bar = tqdm(total=self.items, initial=self.done, desc=self.step, unit="call", leave=False)
        self._log()

    def advance(self) -> None:
        """Note that one more item is done."""
        self.done += 1
        if self._whole:
            self._whole.advance(self.step, self.done - self.used.cached, self._seconds)
        elif self._bar is not None:
            self._bar.update()
        elif self._shown and time.monotonic() - self._logged > self._every:
            self._log()

    @property
    def _seconds(self) -> float:
        return time.monotonic() - self._began if self._shown else 0.0

    def away(self, done: int) -> None:
        """Note how many items are done at the endpoint that did not come back yet."""
        changed, self.done_away = done != self.done_away, done
        if self._whole:
            self._whole.away(self.step, done, self._seconds)
        elif self._bar is not None:
            self._bar.n = self.done + done
            self._bar.refresh()
        elif self._shown and changed and done and time.monotonic() - self._logged > self._every:
            self._log()

    def close(self) -> None:
        """Tell how it ended, where something was shown or a file is kept, and take the bar away."""
        self.done_away = 0
        if self._whole:
            self._whole.away(self.step, 0, self._seconds)
        elif self._bar is not None:
            self._bar.close()
        elif self._shown or self._file:
            self._log()

    def _log(self) -> None:
        self._logged, done = time.monotonic(), self.done + self.done_away
        if self._file:
            with open(self._file, "a", encoding="utf-8") as file:
                file.write(json.dumps(self._about | {"done": done, "usage": asdict(self.used)}) + "\n")
        elif self._bar is None and not self._whole:
            of_all = f" of {self.items}" if self.items else ""
            print(f"{self.step}: {done}{of_all} done", file=sys.stderr, flush=True)


def batches(steps: Path) -> list[dict[str, Any]]:
    """The last that each batch of calls told in a file; half a line, of a kernel that was killed, is left out."""
    lines = [json.loads(line) for line in steps.read_text("utf-8").split("\n")[:-1]]
    return list({line["batch"]: line for line in lines}.values())


def used(steps: Path) -> dict[str, dict[str, Any]]:
    """What the calls that told of themselves in a file have used, by step."""
    by_step = defaultdict(list)
    for batch in batches(steps):
        by_step[batch["step"]].append(batch["usage"])
    return {step: total(usages) for step, usages in by_step.items()}


def booked(steps: Path) -> float:
    """What budgets were charged with for those calls, in USD."""
    return sum(batch["usage"].get("booked", 0.0) for batch in batches(steps))


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
