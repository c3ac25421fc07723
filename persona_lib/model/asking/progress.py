"""Show the progress of model calls: a bar in a terminal, a widget in a notebook, log lines elsewhere, a file for a run.

Calls in a run's kernel append JSON lines to the file that PERSONA_PROGRESS names: {"ask", "step", "done", "total"},
the model asked, and the usage of the ask so far; with a cluster also "dealt", what the kernel has dealt to workers. An
ask is one call of `Model.ask`, `choices` or `send`. The runner
reads the lines while the notebook runs, and sums them once it has ended, however it ended. Asks that are part of a
`Whole` show no progress of their own; the `Whole` shows theirs.
"""

import itertools
import json
import os
import sys
import time
from collections import defaultdict, deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from tqdm import tqdm

from ..limits.usage import Usage, total

VARIABLE = "PERSONA_PROGRESS"
LOG_EVERY_S = 5.0
SELDOM_S = 60.0
WRITE_EVERY_S = 0.1
SHOW_WHOLE_EVERY_S = 0.5
LOG_WHOLE_EVERY_S = 15.0
RECENT = 3  # asks of a step whose pace counts: an endpoint may become slower

_numbers = itertools.count()  # of the asks of this process


def _in_notebook() -> bool:
    """Return whether a kernel shows what is printed; that of a run or of a test of notebooks shows no progress."""
    return type(sys.stderr).__module__.startswith("ipykernel") and VARIABLE not in os.environ


def _bar() -> type[tqdm]:
    """Return tqdm's widget in a notebook, so that no stream of errors fills with bars, and its bar elsewhere."""
    if not _in_notebook():
        return tqdm
    from tqdm.auto import tqdm as widget  # it loads widgets, which only a notebook needs

    return widget


@dataclass
class Dealt:
    """What a process has dealt to workers: `shards`, and the `requests` in them.

    `answered` of the requests are done. `repeated` shards were begun again, since their worker was lost. `asking` are
    the addresses of the workers that are at a shard.
    """

    shards: int = 0
    requests: int = 0
    answered: int = 0
    repeated: int = 0
    asking: list[str] = field(default_factory=list)


class Calls:
    """The progress of one ask: a bar in a terminal, a widget in a notebook, log lines elsewhere, a file for a run.

    If the ask is part of a `Whole`, only the `Whole` is shown.

    Args:
        step: the name of what is being asked.
        items: the number of items, None if unknown.
        used: counts what the ask uses; it is written to the file.
        about: further entries of each line in the file.
    """

    logged: ClassVar[float | None] = None  # within `seldom`: when any ask has last been logged

    def __init__(self, step: str, items: int | None, used: Usage, **about: Any):
        self.step = step
        self.items = items
        self.used = used
        self.done = 0
        self.done_away = 0
        self.dealt: Dealt | None = None  # to the workers of a cluster, by this process
        self._about = {"ask": next(_numbers), "step": step, "total": items} | about
        self._file = os.environ.get(VARIABLE)
        self._every = WRITE_EVERY_S if self._file else LOG_EVERY_S
        self._bar: tqdm | None = None
        self._shown = False
        self._logged = 0.0
        self._began = 0.0
        self._whole: Whole | None = None if self._file else Whole.current
        if self._whole:
            self._whole.begin(step)

    def show(self) -> None:
        """Start to show the progress, because a call is made."""
        if self._shown:
            return
        self._shown = True
        self._began = time.monotonic()
        if not self._file and not self._whole and (sys.stderr.isatty() or _in_notebook()):
            self._bar = _bar()(total=self.items, initial=self.done, desc=self.step, unit="call", leave=False)
        if self._file or Calls.logged is None:
            self._log()

    def advance(self) -> None:
        """Note that one more item is done."""
        self.done += 1
        if self._whole:
            self._whole.advance(self.step, self.done - self.used.cached, self._seconds)
        elif self._bar is not None:
            self._bar.update()
        elif self._shown and self._is_due():
            self._log()

    def _is_due(self) -> bool:
        if self._file or Calls.logged is None:
            return time.monotonic() - self._logged > self._every
        return time.monotonic() - Calls.logged > SELDOM_S

    @property
    def _seconds(self) -> float:
        return time.monotonic() - self._began if self._shown else 0.0

    def away(self, done: int) -> None:
        """Note how many items are done at the endpoint but have not come back yet."""
        changed = done != self.done_away
        self.done_away = done
        if self._whole:
            self._whole.away(self.step, done, self._seconds)
        elif self._bar is not None:
            self._bar.n = self.done + done
            self._bar.refresh()
        elif self._shown and changed and done and self._is_due():
            self._log()

    def close(self) -> None:
        """Write the final state, if something was shown or a file is kept, and remove the bar."""
        self.done_away = 0
        if self._whole:
            self._whole.away(self.step, 0, self._seconds)
        elif self._bar is not None:
            self._bar.close()
        elif self._file or (self._shown and Calls.logged is None):
            self._log()

    def _log(self) -> None:
        self._logged = time.monotonic()
        if Calls.logged is not None:
            Calls.logged = self._logged
        done = self.done + self.done_away
        if self._file:
            line = self._about | {"done": done, "usage": asdict(self.used)}
            line |= {"dealt": asdict(self.dealt)} if self.dealt else {}
            with open(self._file, "a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
        elif self._bar is None and not self._whole:
            of_all = f" of {self.items}" if self.items else ""
            print(f"{self.step}: {done}{of_all} done", file=sys.stderr, flush=True)


@contextmanager
def seldom() -> Iterator[None]:
    """Log asks of the block, where no bar shows them, once a minute, and not when they begin and end."""
    Calls.logged = time.monotonic()
    try:
        yield
    finally:
        Calls.logged = None


def asks(steps: Path) -> list[dict[str, Any]]:
    """Return the last line that each ask wrote to a file; the incomplete last line of a killed kernel is dropped."""
    lines = [json.loads(line) for line in steps.read_text("utf-8").split("\n")[:-1]]
    return list({line["ask"]: line for line in lines if "ask" in line}.values())


def used(steps: Path) -> dict[str, dict[str, Any]]:
    """Return the total usage of the asks in a file, by step."""
    by_step = defaultdict(list)
    for ask in asks(steps):
        by_step[ask["step"]].append(ask["usage"])
    return {step: total(usages) for step, usages in by_step.items()}


def dealt(steps: Path) -> dict[str, Any] | None:
    """Return what a kernel has dealt to workers, the fields of a `Dealt`; None without a cluster."""
    told = (line for line in reversed(steps.read_text("utf-8").split("\n")[:-1]) if '"dealt"' in line)
    last = next(told, None)
    return json.loads(last)["dealt"] if last else None


class _Pace(NamedTuple):
    """What an ask took: items for which calls were made, and seconds since its first call."""

    items: int
    seconds: float


class Whole:
    """Several asks shown as one, from the start of the `with` block to its end: items done, and the time left.

    Each step's remaining items are timed at the pace of that step's recent calls, or at the mean pace of the other
    steps if it has made no call yet. Replies found in the store do not count for the pace, and none of the remaining
    items is assumed to be in the store.

    Args:
        name: the name to show.
        items: the number of items of each step, over all its asks.
    """

    current: ClassVar["Whole | None"] = None

    def __init__(self, name: str, items: Mapping[str, int]):
        self._name = name
        self._items = dict(items)
        self._done: dict[str, int] = defaultdict(int)
        self._away = 0
        self._paces: dict[str, deque[_Pace]] = defaultdict(lambda: deque(maxlen=RECENT))
        self._shown = time.monotonic()
        form = "{desc}: {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} calls, {elapsed}{postfix}"
        hidden = False if _in_notebook() else None  # None: unless it is a terminal
        self._bar = _bar()(desc=name, total=sum(items.values()), disable=hidden, bar_format=form)

    def __enter__(self) -> "Whole":
        Whole.current = self
        return self

    def __exit__(self, *_: object) -> None:
        Whole.current = None
        if self._bar.total:
            self._show()
        self._bar.close()

    def begin(self, step: str) -> None:
        """Note that an ask of a step begins."""
        paces = self._paces[step]
        if paces and not paces[-1].items:
            paces.pop()  # an ask without calls says nothing about the pace
        paces.append(_Pace(0, 0.0))

    def advance(self, step: str, fresh: int, seconds: float) -> None:
        """Note that one more item of a step is done; `fresh` items of its ask took calls, in `seconds`."""
        self._done[step] = min(self._done[step] + 1, self._items.get(step, 0))
        self._note(step, fresh, seconds)

    def away(self, step: str, done: int, seconds: float) -> None:
        """Note how many items of a step are done at the endpoint and will come back all at once."""
        self._away = done
        self._note(step, done, seconds)

    def _note(self, step: str, items: int, seconds: float) -> None:
        latest = self._paces[step][-1]
        self._paces[step][-1] = _Pace(max(items, latest.items), seconds)
        every = LOG_WHOLE_EVERY_S if self._bar.disable else SHOW_WHOLE_EVERY_S
        if time.monotonic() - self._shown >= every:
            self._show()

    def reach(self, done: Mapping[str, int]) -> None:
        """Note how many items of each step are over, including those that were not asked and will not be."""
        for step, n in done.items():
            self._done[step] = max(self._done[step], n)

    @property
    def left(self) -> float | None:
        """Return the seconds left, or None before the first call."""
        paces: dict[str, float] = {}  # seconds per item, by step
        for step, recent in self._paces.items():
            items = sum(pace.items for pace in recent)
            if items:
                paces[step] = sum(pace.seconds for pace in recent) / items
        if not paces:
            return None
        usual = sum(paces.values()) / len(paces)
        left = sum((n - self._done[step]) * paces.get(step, usual) for step, n in self._items.items())
        return max(0.0, left - self._away * usual)

    def _show(self) -> None:
        self._shown = time.monotonic()
        done = sum(self._done.values()) + self._away
        left = f", {tqdm.format_interval(self.left)} left" if self.left else ""
        if self._bar.disable:
            print(f"{self._name}: {done:,} of {self._bar.total:,} calls{left}", file=sys.stderr, flush=True)
        else:
            self._bar.n = done
            self._bar.set_postfix_str(left.removeprefix(", "))
