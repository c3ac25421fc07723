"""Run one ask: a session has its connection, its calls under way, its usage and its progress.

A `Model` has no state of a running ask, so that several threads may ask one model at once.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, NoReturn, TypeGuard, TypeVar

from pydantic import BaseModel

from ... import EndpointError, UserError
from ...store import canonical, key_of
from ..catalogue import MODELS
from ..dialects.dialect import kind
from ..dialects.found import Alike
from ..dialects.lessons import is_about_item
from ..limits.usage import Usage
from ..replies.choices import Seen, chances, choice_schema, sampled
from ..replies.protocol import Messages
from ..replies.repair import REASKS, again
from ..replies.reply import INVALID, Reply, read, refuses, thought_of, tokens
from ..transport.batches import Batches
from .asked import Asked
from .calling import Caller
from .progress import Calls
from .speaking import Speaker

S = TypeVar("S")
T = TypeVar("T")


class Session:
    """One running ask of a model; create it within the event loop that runs it.

    Args:
        asked: the model.
        step: the name of the ask in the progress line and in the usage.
        items: the number of items, None if unknown.
        used: counts what the ask uses.
        progress: shows how far it is, if not as usual.
    """

    def __init__(self, asked: Asked, step: str, items: int | None, used: Usage, progress: Any = None):
        self._asked = asked
        self._store = asked.store
        self._used = used
        self._over = 0  # requests sent ahead whose batches have ended
        self._progress = progress or Calls(step, items, used, model=asked.who, name=asked.name)
        self._caller = Caller(asked, used, self._progress, self._away)
        self._found = asked.found
        self._speaker, self._alike = Speaker(asked, self._caller, used), Alike()

    async def close(self) -> None:
        """Close the progress display and the connection."""
        self._progress.close()
        if self._store.made_up:
            self._store.made_up.flush()
        await self._caller.close()

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
        except ExceptionGroup as errors:
            stopped = first_of(errors)
        if stopped:
            raise stopped  # outside the group, so that a notebook shows it as the error of its cell
        if len(done) > 1 and self._alike.n == len(done):
            self._stop()
        return [done[index] for index in range(len(done))]

    async def reply(self, one: Messages, schema: type[BaseModel] | None, settings: Mapping[str, Any]) -> Reply:
        """Return the reply to one item, asked again if it does not validate; if no reply does, all count as failed."""
        reply, refused = await self._read(one, schema, settings)
        self._note(reply.failure, refused)
        return reply

    async def _read(
        self, one: Messages, schema: type[BaseModel] | None, settings: Mapping[str, Any]
    ) -> tuple[Reply, bool]:
        """Return the reply as `reply` does, and whether the endpoint refuses the request; count no failure."""

        async def asked() -> tuple[Reply, bool]:
            current, cached, invalid = one, True, {}
            for tries in range(1 + REASKS):
                request = self._asked.request(current, settings)
                got, known, key = await self._speaker.outcome(request, settings.get("words", {}))
                text, value, failure = read(got, schema)
                cached &= known
                self._used.reasked += bool(tries) and not known
                if not text or not failure or not failure.startswith(INVALID):
                    break
                invalid[key] = failure
                current = again(current, text, failure)
            else:
                self._store.fail(invalid)
            probable = tokens(got) if "top_logprobs" in settings else None
            return Reply(text, value, failure, cached, probable, thought_of(got), key), refuses(got)

        return await self._speaker.first_alone(kind(self._asked.request(one, settings)), asked)

    async def chances(
        self,
        one: Messages,
        options: Sequence[str],
        settings: Mapping[str, Any],
        samples: Sequence[Mapping[str, Any]],
    ) -> Seen:
        """Return what one item's reply, or samples in its place, show of a choice.

        Args:
            one: the messages.
            options: what the answer may be.
            settings: of the request whose tokens show the choice.
            samples: settings of those to `choice_schema` that are made where no tokens show it.
        """
        request = self._asked.request(one, settings)

        async def asked() -> tuple[Seen, bool]:
            reply: dict[str, Any] = {}
            seen = Seen([], None, silent=self._found.silent(request))
            if not seen.silent:
                reply, _, key = await self._speaker.outcome(request, {}, options)
                seen = chances(reply, options, self._asked.min_mass)._replace(keys=(key,))
            if seen.silent or self._found.silent(request):
                raise UserError(
                    f"{self._asked.name} offers no log-probabilities for choices: set `samples` (several replies to "
                    f"each item) for it in params/{MODELS}, or use another model"
                )
            return seen, refuses(reply)

        seen, refused = await self._speaker.first_alone(kind(request), asked)
        # A made-up reply shows every choice; what was sampled of this model before is counted as sampled again.
        if seen.low or (self._store.estimates and self._found.present.sampled):
            self._found.learn(self._found.present, {"sampled": True})
            schema = choice_schema(options)
            seen, refused = await _of_samples(lambda own: self._read(one, schema, own), samples, options, seen)
        self._note(seen.failure, refused)
        return seen

    async def again(self, request: dict[str, Any]) -> Reply:
        """Return the reply to a request that is in the endpoint's dialect already."""
        got, cached, key = await self._caller.reply(request, {}, now=True)
        text, _, failure = read(got)
        self._used.failed += failure is not None
        return Reply(text, None, failure, cached, tokens(got), thought_of(got), key)

    def _note(self, failure: str | None, refused: bool) -> None:
        """Count a failed item; stop the ask if the endpoint has refused all of the first ones in the same way.

        Raises:
            EndpointError: it has.
        """
        self._used.failed += failure is not None
        self._compare(failure if refused else None)

    def _compare(self, refusal: str | None) -> None:
        """Compare the error that an item got with those before it; one about what the item says tells nothing."""
        if not self._asked.base_url or (refusal and is_about_item(refusal)):
            return
        if self._alike.note(refusal):
            self._stop()

    def _stop(self) -> NoReturn:
        raise EndpointError(self._alike.said(self._progress.step, f"{self._asked.base_url} for '{self._asked.name}'"))

    async def send(self, requests: Iterable[dict[str, Any]]) -> None:
        """Put requests that the store lacks into batches, wait for the end of these, and count what they used."""
        batches, purse = self._caller.connection, self._caller.purse
        assert isinstance(batches, Batches)
        sent: dict[str, float] = {}  # by key: the USD held for each request
        ends: Counter[asyncio.Task[Any]] = Counter()  # the number of requests that each task waits for
        for asked_for in requests:
            if kind(asked_for) not in self._found.ever:
                await self._find_out(asked_for)
                continue
            request = self._found.present.written(asked_for)
            key = key_of(canonical(request))
            if key in sent or self._speaker.answered(asked_for) or self._store.get(key):
                continue
            self._progress.show()
            held = await purse.start(request)
            sent[key] = held
            # Booked at the most it may cost: its true cost is known only when the batch has ended.
            purse.settle(held, held)
            ends[await batches.submit(key, request)] += 1
        for end, n in ends.items():
            end.add_done_callback(partial(self._end, n))
        await asyncio.gather(*map(asyncio.shield, ends))
        for key, held in sent.items():
            if stored := self._store.get(key):
                cost = self._used.count(json.loads(stored.reply), 0, self._asked.price)
                purse.correct(held, held if cost is None else cost)

    async def _find_out(self, request: dict[str, Any]) -> None:
        """Make one call by itself, whose reply says how the endpoint is to be asked, before a file of them is sent.

        Raises:
            EndpointError: the endpoint has refused all of the first requests in the same way.
        """

        async def asked() -> tuple[str | None, bool]:
            reply, _, _ = await self._speaker.outcome(request, {})
            return reply.get("error"), refuses(reply)

        refusal, refused = await self._speaker.first_alone(kind(request), asked)
        self._compare(refusal if refused else None)

    def _away(self, done: int) -> None:
        """Show how many items are done at the endpoint, including requests sent ahead that have come back."""
        self._progress.away(self._over + done)

    def _end(self, n: int, _task: asyncio.Task[Any]) -> None:
        self._over += n


def nth(
    session: Session, one: tuple[Messages, int], schema: type[BaseModel], settings: Sequence[Mapping[str, Any]]
) -> Awaitable[Reply]:
    """Ask an item for its sample of a number, from 0, with the settings of that sample."""
    messages, number = one
    return session.reply(messages, schema, settings[number])


async def _of_samples(
    ask: Callable[[Mapping[str, Any]], Awaitable[tuple[Reply, bool]]],
    samples: Sequence[Mapping[str, Any]],
    options: Sequence[str],
    seen: Seen,
) -> tuple[Seen, bool]:
    """Return what samples show in place of what was `seen`, and whether the endpoint refuses the first of them.

    If the first is unusable, no others are made.

    Args:
        ask: asks an item with the settings of a sample; returns as `Session._read`.
        samples: their settings.
        options: what the answer may be.
        seen: what tokens show, of which the mass stays.
    """
    replies: list[Reply] = []
    for own in samples:
        reply, refused = await ask(own)
        replies.append(reply)
        if why := replies[0].failure:
            failed = f"{seen.failure}; sampled instead: {why}"
            return seen._replace(failure=failed, keys=(*seen.keys, *filter(None, (reply.key,)))), refused
    (row,) = sampled(replies, len(replies), options)
    return row._replace(mass=seen.mass, keys=seen.keys + row.keys), False


def first_of(errors: BaseExceptionGroup[Any]) -> BaseException:
    """Return the error in a group that says most: a UserError if there is one, else the first."""
    singles = [e for error in errors.exceptions for e in ([first_of(error)] if _is_group(error) else [error])]
    return next((error for error in singles if isinstance(error, UserError)), singles[0])


def _is_group(error: BaseException) -> TypeGuard[BaseExceptionGroup[Any]]:
    return isinstance(error, BaseExceptionGroup)
