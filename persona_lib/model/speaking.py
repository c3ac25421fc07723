"""Ask in the dialect that an endpoint turns out to speak: a request is written again until it is taken."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

from ..store import canonical, key_of
from .asked import Asked
from .calling import Answer, Caller
from .choices import chances
from .dialect import kind, lesson, most_tokens
from .usage import Usage

T = TypeVar("T")


class Speaker:
    """Makes the calls of one ask in the endpoint's dialect, which the first refusals teach.

    Args:
        asked: the model.
        caller: makes the calls.
        used: counts the replies that the store has.
    """

    def __init__(self, asked: Asked, caller: Caller, used: Usage):
        self._asked = asked
        self._store = asked.store
        self._caller = caller
        self._used = used
        self._found = asked.found
        self._found.recall()
        self._alone = asyncio.Lock()

    async def first_alone(
        self, asks: tuple[bool, ...], work: Callable[[], Awaitable[tuple[T, bool]]]
    ) -> tuple[T, bool]:
        """Do `work`, alone if no request of its kind is answered yet: what the endpoint refuses is found by one call.

        Args:
            asks: the kind of the request.
            work: returns a result, and whether the endpoint gave an error instead of a reply; both are returned.
        """
        # A batch takes a day: there it counts what other processes found.
        known = self._found.ever if self._asked.batch else self._found.kinds
        if asks in known or self._store.scratch or self._asked.base_url is None:
            return await work()
        async with self._alone:
            if asks not in known:
                result, refused = await work()
                # An error that is not kept is no refusal, and where all are refused, `_note` stops the ask.
                if not refused:
                    self._found.note(asks)
                return result, refused
        return await work()

    async def outcome(self, request: dict[str, Any], words: Mapping[str, int], options: Sequence[str] = ()) -> Answer:
        """Return the reply to a request, in the dialect that the endpoint turns out to speak.

        What was answered before the present dialect was found is not asked again.

        Args:
            request: in the default dialect.
            words: how many words each text is asked for in, for a made-up reply.
            options: of a choice.
        """
        asks = kind(request)
        if answered := self.answered(request, options):
            self._used.cached += 1
            return answered
        while True:
            spoken = self._found.present
            written = spoken.written(request)
            reply, cached, key = await self._caller.reply(written, words, asks not in self._found.ever)
            self._used.cached += cached
            # An error of a request as they were answered before is the item's own.
            own = "error" in reply and asks in self._found.kinds and spoken == self._found.present
            changes = {} if own else self._lesson(written, reply, options)
            if not changes or not self._found.learn(spoken, changes) or self._found.silent(request):
                return reply, cached, key

    def answered(self, request: dict[str, Any], options: Sequence[str] = ()) -> Answer | None:
        """Return the reply that a request got in an earlier dialect than the present one, or None."""
        for earlier in self._found.states[:-1]:
            written = earlier.written(request)
            key = key_of(canonical(written))
            if stored := self._store.get(key):
                reply = json.loads(stored.reply)
                if not self._lesson(written, reply, options):
                    return reply, True, key
        return None

    def _lesson(self, written: Mapping[str, Any], reply: dict[str, Any], options: Sequence[str]) -> dict[str, Any]:
        """Return what a reply teaches about the dialect: for a choice, also how many tokens may show it."""
        if options and "error" not in reply:
            needs = chances(reply, options, self._asked.min_mass).needs or 0
            if needs > (most_tokens(written) or needs):
                return {"choice_tokens": max(needs, self._found.present.choice_tokens)}
        return lesson(written, reply) if self._asked.base_url else {}
