"""Progress of model calls: a bar in a terminal or notebook, log lines elsewhere, a file for a run.

Calls in a run's kernel append JSON lines to the file that PERSONA_PROGRESS names: {"batch", "step", "done", "total"},
the model asked, and the usage of the ask so far. The runner reads them while the notebook runs, and adds them up when
it has ended in whatever way. Where several asks are part of a `Whole`, only that is shown.
"""

import itertools
import json
import os
import sys
import time
from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from tqdm import tqdm

from .usage import Usage, total

VARIABLE = "PERSONA_PROGRESS"
LOG_EVERY_S = 5.0
WRITE_EVERY_S = 0.1
SHOW_WHOLE_EVERY_S, LOG_WHOLE_EVERY_S = 0.5, 15.0
RECENT = 3  # batches of a step whose pace counts: an endpoint may become slower

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
        self._whole: Whole | None = None if self._file else Whole.current
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


class _Pace(NamedTuple):
    """What a batch took: items for which calls were made, and seconds since its first call."""

    items: int
    seconds: float


class Whole:
    """Several asks shown as one, from `with` to its end: items done of all, and the time left for the rest.

    Args:
        name: of the whole.
        items: how many items each step will have in all its batches.

    The time left is that of each step's items left, at the pace of its own calls of late, or the mean pace where it has
    made none yet. What is found in the store says nothing of the pace; nothing of what is left is taken to be there.
    """

    current: ClassVar["Whole | None"] = None

    def __init__(self, name: str, items: Mapping[str, int]):
        self._name, self._items = name, dict(items)
        self._done: dict[str, int] = defaultdict(int)
        self._away = 0
        self._paces: dict[str, deque[_Pace]] = defaultdict(lambda: deque(maxlen=RECENT))
        self._shown = time.monotonic()
        form = "{desc}: {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} calls, {elapsed}{postfix}"
        self._bar = tqdm(desc=name, total=sum(items.values()), disable=None, bar_format=form)

    def __enter__(self) -> "Whole":
        Whole.current = self
        return self

    def __exit__(self, *_: object) -> None:
        Whole.current = None
        if self._bar.total:
            self._show()
        self._bar.close()

    def begin(self, step: str) -> None:
        """A batch of a step begins."""
        batches = self._paces[step]
        if batches and not batches[-1].items:
            batches.pop()
        batches.append(_Pace(0, 0.0))

    def advance(self, step: str, fresh: int, seconds: float) -> None:
        """One more item of a step is done; `fresh` of its batch took calls, in so many seconds."""
        self._done[step] = min(self._done[step] + 1, self._items.get(step, 0))
        self._note(step, fresh, seconds)

    def away(self, step: str, done: int, seconds: float) -> None:
        """So many items of a step are done at the endpoint that did not come back yet; they will come all at once."""
        self._away = done
        self._note(step, done, seconds)

    def _note(self, step: str, items: int, seconds: float) -> None:
        self._paces[step][-1] = _Pace(max(items, self._paces[step][-1].items), seconds)
        if time.monotonic() - self._shown >= (LOG_WHOLE_EVERY_S if self._bar.disable else SHOW_WHOLE_EVERY_S):
            self._show()

    def reach(self, done: Mapping[str, int]) -> None:
        """So many items of each step are over: those of them that were never asked for won't be."""
        for step, n in done.items():
            self._done[step] = max(self._done[step], n)

    @property
    def left(self) -> float | None:
        """Seconds left, or None while no call has been made."""
        paces = {step: [sum(values) for values in zip(*batches, strict=True)] for step, batches in self._paces.items()}
        paces = {step: seconds / items for step, (items, seconds) in paces.items() if items}
        if not paces:
            return None
        usual = sum(paces.values()) / len(paces)
        left = sum((n - self._done[step]) * paces.get(step, usual) for step, n in self._items.items())
        return max(0.0, left - self._away * usual)

    def _show(self) -> None:
        self._shown, done = time.monotonic(), sum(self._done.values()) + self._away
        left = f", {tqdm.format_interval(self.left)} left" if self.left else ""
        if self._bar.disable:
            print(f"{self._name}: {done:,} of {self._bar.total:,} calls{left}", file=sys.stderr, flush=True)
        else:
            self._bar.n = done
            self._bar.set_postfix_str(left.removeprefix(", "))
