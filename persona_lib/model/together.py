"""Let the asks of many pieces of work go out as one, where each piece asks little and waits for what it asked.

Each piece of work runs in a thread of its own, but only one of them at a time: it goes on until it asks a model, and
then the next one does. Once all have ended or wait, what they ask goes out as one ask for each model and step: as many
requests in flight as the model may have, one connection, and enough of them for the workers of a cluster. So pieces
share nothing that one after the other would not share, and their order is always the same.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextvars import copy_context
from typing import Any, Generic, NamedTuple, TypeVar

from ..store import canonical
from .asking.session import Session
from .cluster import shards
from .limits.usage import OWN, Usage

S = TypeVar("S")
T = TypeVar("T")

WAVE = 256  # pieces that are under way at once: each has a thread


class Ended(NamedTuple, Generic[T]):
    """What came of a piece: its `value`, None if it was given up; the `seconds` it took; the calls that it `used`.

    Of the seconds of an ask for several pieces, each counts the share that its items have of all items. So a piece is
    not slow because it shares an endpoint with others.
    """

    value: T | None
    seconds: float
    used: Usage


class _Item(NamedTuple):
    """An item of a piece's ask, with what is done on it, and the usage of the piece."""

    item: Any
    work: Any
    used: Usage


class _GivenUp(BaseException):
    """Ends the work of a piece that nobody waits for; of no kind that work catches."""


class _Piece(threading.Thread, Generic[T]):
    """A piece of work, which goes on when told: to its next ask, which is then in `ask`, or to its end.

    `value` or `error` is how it ended, `seconds` and `used` as in `Ended`.
    """

    def __init__(self, work: Callable[[], T]):
        super().__init__(daemon=True)  # work that never ends holds up nobody who leaves
        self._work = work
        self._context = copy_context()  # a thread begins with an empty one
        self._goes_on, self._waits = threading.Semaphore(0), threading.Semaphore(0)
        self._answer: list[Any] | BaseException = []
        self.ask: shards.Ask | None = None
        self.value: T | None = None
        self.error: BaseException | None = None
        self.seconds = 0.0
        self.used = Usage()

    def go_on(self) -> None:
        """Let the work go on, and wait until it asks or ends."""
        began = time.monotonic()
        self.ask = None
        if self.ident is None:
            self.start()
        else:
            self._goes_on.release()
        self._waits.acquire()
        self.seconds += time.monotonic() - began

    def answer(self, answer: list[Any] | BaseException, seconds: float) -> None:
        """Give the ask its results, or the error that it ended with, which took the piece so many seconds."""
        self._answer = answer
        self.seconds += seconds

    def give_up(self) -> None:
        """End the work at its next ask, or at the one that it waits for."""
        self._answer = _GivenUp()
        self._goes_on.release()

    def run(self) -> None:
        """Do the work; the thread's own method."""
        shards.hand_over(self._take)
        try:
            self.value = self._context.run(self._work)
        except BaseException as error:  # `together` raises it where it was called
            self.error = error
        finally:
            self._waits.release()

    def _take(self, ask: shards.Ask) -> list[Any]:
        """Wait for the results of an ask; what can't be asked fails here, for this piece alone."""
        for item in ask.items:
            canonical(ask.first(item))
        self.ask = ask
        self._waits.release()
        self._goes_on.acquire()
        if isinstance(self._answer, BaseException):
            raise self._answer
        return self._answer


def together(
    work: Callable[[S], T], items: Sequence[S], over: Callable[[S, float], bool] = lambda item, seconds: False
) -> Iterator[Ended[T]]:
    """Do `work` on every item, up to `WAVE` of them under way at once, and yield how each ended, in their order.

    Args:
        work: asks a `Model` now and then, in the thread that it is called in.
        items: each makes a piece of work.
        over: gets an item and the seconds that its work has taken so far, after each part of it; True gives up all
            work that has not ended.

    Raises:
        Exception: the first one that `work` raises; all other work is then given up.
    """
    goes_on = True
    for start in range(0, len(items), WAVE):
        wave = {_Piece(lambda item=item: work(item)): item for item in items[start : start + WAVE]}  # type: ignore[misc]
        left = list(wave) if goes_on else []
        try:
            while left:
                for piece in left:
                    piece.go_on()
                    if piece.error:
                        raise piece.error
                    if over(wave[piece], piece.seconds):
                        goes_on = False
                        break
                left = [piece for piece in left if piece.ask] if goes_on else []
                _answer(left)
        finally:
            for piece in wave:
                piece.give_up()
        yield from (Ended(piece.value, piece.seconds, piece.used) for piece in wave)


def _answer(waiting: Sequence[_Piece[Any]]) -> None:
    """Ask what pieces wait for: one ask for each model and step."""
    parts: dict[tuple[int, str], list[tuple[_Piece[Any], shards.Ask]]] = {}
    for piece in waiting:
        if ask := piece.ask:
            parts.setdefault((id(ask.asked), ask.step), []).append((piece, ask))
    for both in parts.values():
        asks = [ask for _, ask in both]
        began = time.monotonic()
        answers = _asked(asks, [piece.used for piece, _ in both])
        seconds = (time.monotonic() - began) / sum(len(ask.items) for ask in asks)
        for (piece, ask), answer in zip(both, answers, strict=True):
            piece.answer(answer, seconds * len(ask.items))


def _asked(asks: Sequence[shards.Ask], used: Sequence[Usage]) -> Sequence[list[Any] | BaseException]:
    """Return the results of each of several asks, made as one, or for each the error with which it ended.

    Args:
        asks: of one model and step.
        used: of the piece of each.
    """
    items = [_Item(item, ask.work, own) for ask, own in zip(asks, used, strict=True) for item in ask.items]
    first = {id(ask.work): ask.first for ask in asks}  # what `_Item` has goes to workers, and this can't be sent

    def request(one: _Item) -> dict[str, Any]:
        return first[id(one.work)](one.item)

    try:
        found = iter(shards.each(asks[0].asked, asks[0].step, items, asks[0].used, _work, request))
    except Exception as error:
        return [error] * len(asks)
    return [[next(found) for _ in ask.items] for ask in asks]


async def _work(session: Session, one: _Item) -> Any:
    OWN.set(one.used)
    return await one.work(session, one.item)
