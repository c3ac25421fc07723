"""Run one ask: a session has its connection, its calls under way, its usage and its progress.

A `Model` has no state of a running ask, so that several threads may ask one model at once.
"""

import asyncio
import json
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence, Sized
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any, TypeVar

from anyio.from_thread import start_blocking_portal
from pydantic import BaseModel

from .. import UserError
from ..store import Store, Stored, canonical, key_of
from .batches import Batches
from .budget import Budget, Purse
from .catalogue import MODELS, Price
from .choices import Row, chances
from .connection import Connection
from .dry import Dry
from .progress import Calls
from .protocol import Messages
from .repair import REASKS, again
from .reply import CUT_OFF, INVALID, Reply, first_token, read, refuses_logprobs, tokens
from .usage import Usage

S = TypeVar("S")
T = TypeVar("T")

_RUNNING = threading.local()  # `asked`: the models that the session of this thread, and those around it, ask
_BULK = threading.Lock()

Answer = tuple[dict[str, Any], bool, str]  # the reply, whether it took no call of its own, and its key in the store


@dataclass(frozen=True)
class Asked:
    """The model that a session asks, and the limits.

    `name` is what tables show, `given` what the user gave, which differs for a model that runs here. `who` is the part
    of the model's identity that replies are kept under, `settings` are the user's own request fields. `learned` keeps,
    from session to session, what the endpoint turned out not to offer.
    """

    name: str
    given: str
    base_url: str | None
    who: Mapping[str, Any]
    settings: Mapping[str, Any]
    store: Store
    batch: bool
    max_in_flight: int
    price: Price | None
    budgets: tuple[Budget, ...]
    learned: set[str] = field(default_factory=set)

    @cached_property
    def dry(self) -> Dry:
        """What makes replies up, measured once on the model's replies in the store."""
        return Dry(self.store, self.who)

    def request(self, messages: Messages, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Return all that can change the reply, and nothing else; the user's settings are in `who` and replace ours."""
        ours = {name: value for name, value in settings.items() if name not in self.settings and name != "words"}
        return {"model": dict(self.who), "messages": messages, **ours}


class Session:
    """One running ask of a model; create it within the event loop that runs it.

    Args:
        asked: the model.
        step: the name of the ask in the progress line and in the usage.
        items: the number of items, None if unknown.
        used: counts what the ask uses.
    """

    def __init__(self, asked: Asked, step: str, items: int | None, used: Usage):
        self._asked = asked
        self._store = asked.store
        self._used = used
        self._over = 0  # requests sent ahead whose batches have ended
        self._purse = Purse(asked.budgets, asked.price)
        self._progress = Calls(step, items, used, model=asked.who, name=asked.name)
        self._connection: Connection | Batches  # it is opened at the first call
        if asked.batch and asked.base_url:
            self._connection = Batches(asked.name, asked.base_url, self._store, self._away)
        else:
            self._connection = Connection(asked.given, asked.base_url, asked.max_in_flight)
        self._under_way: dict[str, asyncio.Task[tuple[dict[str, Any], bool]]] = {}

    async def close(self) -> None:
        """Close the progress display and the connection."""
        self._progress.close()
        if self._store.scratch:
            self._store.flush()
        await self._connection.close()

    async def each(self, items: Iterable[S], work: Callable[[S], Awaitable[T]]) -> list[T]:
        """Do `work` on every item, up to `max_in_flight` at once, and return the results in the order of the items.

        Raises:
            UserError: the first one that `work` raised; replies already committed are kept.
        """
        queue = enumerate(items)
        done: dict[int, T] = {}
        spare = iter(range(self._asked.max_in_flight - 1))
        stopped: BaseException | None = None

        async def worker() -> None:
            for index, item in queue:  # shared by all workers: each takes the next
                if next(spare, None) is not None:  # each item starts one more worker: no more workers than items
                    group.create_task(worker())
                done[index] = await work(item)
                self._progress.advance()

        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(worker())
        except* UserError as errors:
            stopped = errors.exceptions[0]
        if stopped:
            raise stopped  # outside the group, so that a notebook shows it as the error of its cell
        return [done[index] for index in range(len(done))]

    async def reply(self, one: Messages, schema: type[BaseModel] | None, settings: Mapping[str, Any]) -> Reply:
        """Return the reply to one item, asked again if it does not validate; if no reply does, all count as failed."""
        cached = True
        invalid: dict[str, str] = {}
        for tries in range(1 + REASKS):
            got, known, key = await self._answer(one, settings)
            text, value, failure = read(got, schema)
            cached &= known
            self._used.reasked += bool(tries) and not known
            if not text or not failure or not failure.startswith(INVALID):
                break
            invalid[key] = failure
            one = again(one, text, failure)
        else:
            self._store.fail(invalid)
        self._used.failed += failure is not None
        return Reply(text, value, failure, cached, tokens(got) if "top_logprobs" in settings else None)

    async def chances(self, one: Messages, options: Sequence[str], settings: Mapping[str, Any]) -> Row:
        """Return each option's mass among the likeliest first tokens, and why there is no choice (or None)."""
        reply, _, _ = await self._outcome(one, settings)
        text, _, failure = read(reply)
        # A refusal has no text: it does not show that the endpoint offers no log-probabilities.
        if refuses_logprobs(reply) or (first_token(reply) is None and (text or failure == CUT_OFF)):
            raise UserError(
                f"{self._asked.name} offers no log-probabilities for choices: set `samples` (several replies to each "
                f"item) for it in params/{MODELS}, or use another model"
            )
        mass, failure = chances(reply, options)
        self._used.failed += failure is not None
        return mass, failure

    async def send(self, requests: Iterable[dict[str, Any]]) -> None:
        """Put requests that the store lacks into batches, wait for the end of these, and count what they used."""
        assert isinstance(self._connection, Batches)
        sent: dict[str, float] = {}  # by key: the USD held for each request
        ends: Counter[asyncio.Task[Any]] = Counter()  # the number of requests that each task waits for
        for request in requests:
            key = key_of(canonical(request))
            if key in sent or self._store.get(key):
                continue
            self._progress.show()
            held = await self._purse.start(request)
            sent[key] = held
            # Booked at the most it may cost: its true cost is known only when the batch has ended.
            self._used.booked += self._purse.settle(held, held)
            ends[await self._connection.submit(key, request)] += 1
        for end, n in ends.items():
            end.add_done_callback(partial(self._end, n))
        await asyncio.gather(*map(asyncio.shield, ends))
        for key, held in sent.items():
            if stored := self._store.get(key):
                cost = self._used.count(json.loads(stored.reply), 0, self._asked.price)
                self._used.booked += self._purse.correct(held, held if cost is None else cost)

    async def _answer(self, messages: Messages, settings: Mapping[str, Any]) -> Answer:
        """Return the same as `_outcome`; if the endpoint refuses log-probabilities, the reply comes without them."""
        learned = self._asked.learned
        plain = {name: value for name, value in settings.items() if name != "top_logprobs"}
        reply, cached, key = await self._outcome(messages, plain if "no logprobs" in learned else settings)
        if "top_logprobs" in settings and refuses_logprobs(reply):
            learned.add("no logprobs")
            reply, known, key = await self._outcome(messages, plain)
            cached &= known
        return reply, cached, key

    async def _outcome(self, messages: Messages, settings: Mapping[str, Any]) -> Answer:
        """Return the reply to a request: that of a call under way, one in the store, or that of a new call."""
        request = self._asked.request(messages, settings)
        text = canonical(request)
        key = key_of(text)
        if under_way := self._under_way.get(key):
            reply, _ = await asyncio.shield(under_way)
            cached = True
        elif stored := self._store.get(key):
            reply = json.loads(stored.reply)
            cached = True
        elif self._store.offline:
            raise UserError(f"offline, and no reply is recorded for {text[:500]} ...")
        elif self._store.scratch:
            reply, cached = self._made_up(key, request, settings.get("words", {}))
        else:
            reply, cached = await self._call_once(key, text, request)
        self._used.cached += cached
        return reply, cached, key

    def _made_up(self, key: str, request: dict[str, Any], words: Mapping[str, int]) -> tuple[dict[str, Any], bool]:
        """Make a reply up, and return it and whether it was made up before; texts have the `words` asked for."""
        self._progress.show()
        reply = self._asked.dry.reply(key, request, words)
        if not self._store.first(key):
            return reply, True
        self._used.count(reply, 0, self._asked.price)
        return reply, False

    async def _call_once(self, key: str, text: str, request: dict[str, Any]) -> tuple[dict[str, Any], bool]:
        """Make a call that equal requests of this session wait for; its reply is committed when this returns.

        Returns:
            The reply, and whether another session or process that shares the store made the call.
        """
        self._progress.show()
        self._under_way[key] = asyncio.ensure_future(self._call_alone(key, text, request))
        try:
            return await self._under_way[key]
        finally:
            del self._under_way[key]

    async def _call_alone(self, key: str, text: str, request: dict[str, Any]) -> tuple[dict[str, Any], bool]:
        """Make a call, unless another session or process that shares the store makes it; returns as `_call_once`."""
        if self._asked.batch:  # `Batches` has a lock of its own, for a file at a time
            return await self._call(key, text, request), False
        async with self._store.locks.alone(key):
            if stored := self._store.get(key):
                return json.loads(stored.reply), True
            return await self._call(key, text, request), False

    async def _call(self, key: str, text: str, request: dict[str, Any]) -> dict[str, Any]:
        """Make a call within the budgets, and commit the reply."""
        held = await self._purse.start(request)
        cost = None
        try:
            reply, keep, retries = await self._connection.call(request)
            if keep:
                # A commit takes 0.04 ms. Committing in groups was tried: it synchronizes the workers, which costs a
                # sixth of the throughput at 64 in flight.
                self._store.put([Stored(key, text, canonical(reply), read(reply)[2])])
            cost = self._used.count(reply, retries, self._asked.price)
            return reply
        finally:
            self._used.booked += self._purse.settle(held, cost)

    def _away(self, done: int) -> None:
        """Show how many items are done at the endpoint, including requests sent ahead that have come back."""
        self._progress.away(self._over + done)

    def _end(self, n: int, _task: asyncio.Task[Any]) -> None:
        self._over += n


def in_session(asked: Asked, step: str, items: int | None, used: Usage, work: Callable[[Session], Awaitable[T]]) -> T:
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
        session = Session(asked, step, items, used)
        try:
            return await work(session)
        finally:
            await session.close()

    with _BULK if asked.batch else nullcontext(), start_blocking_portal() as portal:
        return portal.call(work_and_close)


def length_of(items: Iterable[Any]) -> int | None:
    """Return the number of items, or None if they can't be counted."""
    return len(items) if isinstance(items, Sized) else None
