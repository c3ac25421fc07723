"""Run asks: each has a session of its own, in a thread with an event loop of its own."""

import threading
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from typing import Any, TypeVar

from anyio.from_thread import start_blocking_portal

from ... import UserError
from ..limits.usage import Usage
from .asked import Asked
from .session import Session

T = TypeVar("T")

_RUNNING = threading.local()  # `asked`: the models that the session of this thread, and those around it, ask
_BULK = threading.Lock()


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
