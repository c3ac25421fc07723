"""Run asks: each has a session of its own, in a thread with an event loop of its own."""

import threading
from collections.abc import Awaitable, Callable, Iterable, Sequence, Sized
from contextlib import nullcontext
from functools import partial
from typing import Any, NamedTuple, TypeVar

from anyio.from_thread import start_blocking_portal

from .. import UserError
from . import shards
from .asked import Asked
from .session import Session
from .usage import Usage
from .workers import present

S = TypeVar("S")
T = TypeVar("T")
Work = Callable[[Session, S], Awaitable[T]]
First = Callable[[S], dict[str, Any]]

_RUNNING = threading.local()  # `asked`: models of this thread's session and those around it; `taker`: of `hand_over`
_BULK = threading.Lock()


class Ask(NamedTuple):
    """An ask, by what `each` gets for it."""

    asked: Asked
    step: str
    items: Sequence[Any]
    used: Usage
    work: Work[Any, Any]
    first: First[Any]


def hand_over(taker: Callable[[Ask], list[Any]]) -> None:
    """Let `taker` do the asks of this thread, as long as it lives: it returns what `each` would."""
    _RUNNING.taker = taker


def in_session(
    asked: Asked,
    step: str,
    items: int | None,
    used: Usage,
    work: Callable[[Session], Awaitable[T]],
    progress: Any = None,
) -> T:
    """Do `work` in a new `Session` and close it; see there for the parameters.

    It runs in a thread with an event loop of its own, because a notebook's event loop is already running. Asks through
    the Batch API run one after the other: each finds the replies of the one before in the store.

    Raises:
        UserError: the messages come from a generator that asks the same model, whose session would wait for itself.
    """
    outer = getattr(_RUNNING, "asked", ())
    if any(one is asked or (one.batch and asked.batch) for one in outer):
        raise UserError(f"the messages for {asked.name} come from a generator that asks it: make a list of them first")

    async def work_and_close() -> T:
        _RUNNING.asked = (*outer, asked)
        session = Session(asked, step, items, used, progress)
        try:
            return await work(session)
        finally:
            await session.close()

    with _BULK if asked.batch else nullcontext(), start_blocking_portal() as portal:
        return portal.call(work_and_close)


def each(
    asked: Asked, step: str, items: Iterable[S], used: Usage, work: Work[S, T], first: First[S] | None = None
) -> list[T]:
    """Do `work` on every item in a new session, and return the results in the order of the items.

    Args:
        asked, step, used: as in `Session`.
        items: what is asked.
        work: done on each.
        first: returns the first request of an item. With it `work` can be pickled, and goes to the workers of a cluster
            if there is one.
    """
    if first and (taker := getattr(_RUNNING, "taker", None)):
        ask = Ask(asked, step, list(items), used, work, first)
        return taker(ask) if ask.items else []
    workers = present() if first and shards.are_dealt(asked) else None

    def in_it(session: Session) -> Awaitable[list[T]]:
        if workers and first:
            return shards.each(session, items, work, first, workers)
        return session.each(items, partial(work, session))

    return in_session(asked, step, len(items) if isinstance(items, Sized) else None, used, in_it)
