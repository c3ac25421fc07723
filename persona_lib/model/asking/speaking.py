"""Ask in the dialect that an endpoint turns out to speak: a request is written again until it is taken."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from ...store import canonical, key_of
from ..dialects.dialect import KINDS, kind, most_tokens
from ..dialects.lessons import guesses, has_fields, ignores_schema, is_about_item, lesson
from ..limits.usage import Usage
from ..replies.choices import chances
from ..replies.repair import times
from ..transport.endpoint import FINAL
from .asked import Asked
from .calling import Answer, Caller

T = TypeVar("T")

IN_WORDS: dict[str, Any] = {"words": True}  # what a reply in prose may mean
TRIES = 3  # items that an endpoint answers in prose for which it is tried whether it does so in words too


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
        self._drafts = bool(asked.store.made_up and asked.store.made_up.draft)

    @property
    def _known(self) -> set[tuple[bool, ...]]:
        """The kinds of requests that were answered; as a batch takes a day, in other processes too."""
        return self._found.ever if self._asked.batch else self._found.kinds

    async def first_alone(
        self, asks: tuple[bool, ...], work: Callable[[], Awaitable[tuple[T, bool]]]
    ) -> tuple[T, bool]:
        """Do `work`, alone if no request of its kind is answered yet: what the endpoint refuses is found by one call.

        Args:
            asks: the kind of the request.
            work: returns a result, and whether the endpoint gave an error instead of a reply; both are returned.
        """
        known = self._known
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
            reply, _, key = answered
            if cached := self._caller.was_there(key, reply):
                self._used.find(reply)
            return reply, cached, key
        while True:
            spoken = self._found.present
            written = spoken.written(request)
            reply, cached, key = await self._caller.reply(written, words, asks not in self._found.ever)
            if cached:
                self._used.find(reply)
            if self._drafts and not self._is_kept(written):
                return reply, cached, key  # what is made up teaches nothing
            new = asks not in self._known
            # An error of a request as they were answered before is the item's own.
            before = (asks, spoken) in self._found.answered or (self._asked.batch and not new)
            own = "error" in reply and before and spoken == self._found.present
            if "error" not in reply:
                self._found.answered.add((asks, spoken))
            self._found.keeps |= has_fields(written, reply)
            # A reply that was there before stays, unless the request with the schema in words was made as well.
            may_ignore = not times(request["messages"]) and (
                not cached or self._is_kept(replace(spoken, **IN_WORDS).written(request))
            )
            changes = {} if own else self._lesson(written, reply, options, may_ignore)
            if changes == IN_WORDS:  # or it only declines this item, in a sentence
                self._found.tried += 1
                return await self._tried([IN_WORDS], request, words, options) or (reply, cached, key)
            if not changes and new and asks not in self._found.guessed and _is_opaque(reply):
                self._found.guessed.add(asks)
                return await self._guess(request, words, options) or (reply, cached, key)
            if not changes or not self._found.learn(spoken, changes) or self._found.silent(request):
                return reply, cached, key

    async def _guess(self, request: dict[str, Any], words: Mapping[str, int], options: Sequence[str]) -> Answer | None:
        """Write a refused request in other ways until one is answered, and return that reply, or None."""
        proven = tuple(any(has) for has in zip(*self._known, strict=True)) or (False,) * KINDS
        return await self._tried(guesses(self._found.present.written(request), proven), request, words, options)

    async def _tried(
        self,
        tries: Sequence[Mapping[str, Any]],
        request: dict[str, Any],
        words: Mapping[str, int],
        options: Sequence[str],
    ) -> Answer | None:
        """Write a request in other dialects, learn the first in which it is answered as asked; return its reply."""
        spoken = self._found.present
        for changes in tries:
            written = replace(spoken, **changes).written(request)
            reply, cached, key = await self._caller.reply(written, words, now=True)
            as_asked = changes != IN_WORDS or has_fields(written, reply)
            if "error" not in reply and as_asked and not self._lesson(written, reply, options, True):
                self._found.learn(spoken, changes)
                return reply, cached, key
        return None

    def _is_kept(self, written: Mapping[str, Any]) -> bool:
        return self._store.get(key_of(canonical(written))) is not None

    def answered(self, request: dict[str, Any], options: Sequence[str] = ()) -> Answer | None:
        """Return the reply that a request got in an earlier dialect than the present one, or None."""
        for earlier in self._found.states[:-1]:
            written = earlier.written(request)
            key = key_of(canonical(written))
            if stored := self._store.get(key):
                reply = json.loads(stored.reply)
                if not _is_opaque(reply) and not self._lesson(written, reply, options, True):
                    return reply, True, key
        return None

    def _lesson(
        self, written: Mapping[str, Any], reply: dict[str, Any], options: Sequence[str], may_ignore: bool
    ) -> dict[str, Any]:
        """Return what a reply teaches about the dialect: for a choice, also how many tokens may show it.

        Args:
            written: the request, in some dialect.
            reply: to it.
            options: of a choice.
            may_ignore: a structured reply may show that the endpoint ignores the schema.
        """
        if options and "error" not in reply:
            needs = chances(reply, options, self._asked.min_mass).needs or 0
            needs = min(needs, self._found.present.most_choice or needs)
            if needs > (most_tokens(written) or needs):
                return {"choice_tokens": max(needs, self._found.present.choice_tokens)}
        if self._asked.base_url is None:
            return {}
        may_ignore &= not self._found.keeps and self._found.tried < TRIES
        return lesson(written, reply) or (IN_WORDS if may_ignore and ignores_schema(written, reply) else {})


def _is_opaque(reply: Mapping[str, Any]) -> bool:
    """Return whether a reply is a refusal of a request that says nothing about the item."""
    error = str(reply.get("error", ""))
    return error.startswith(tuple(kind.__name__ for kind in FINAL)) and not is_about_item(error)
