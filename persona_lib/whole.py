"""Several batches of calls shown as one: how many items are done of all, and the time left for the rest.

While one is open, the batches' own progress stays hidden (`progress.Calls`). Used by `persona pairs`.
"""

import sys
import time
from collections import defaultdict, deque
from collections.abc import Mapping
from typing import ClassVar, NamedTuple

from tqdm import tqdm

SHOW_EVERY_S, LOG_EVERY_S = 0.5, 15.0
RECENT = 3  # batches of a step whose pace counts: an endpoint may become slower


class _Pace(NamedTuple):
    """What a batch took: items for which calls were made, and seconds since its first call."""

    items: int
    seconds: float


class Whole:
    """A bar in a terminal, log lines elsewhere, from `with` to its end.

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
        if time.monotonic() - self._shown >= (LOG_EVERY_S if self._bar.disable else SHOW_EVERY_S):
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
