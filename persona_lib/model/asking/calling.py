"""Make the calls of one ask: each request once, within the budgets; its reply is kept before it is returned."""

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any

from ... import UserError
from ...store import Stored, canonical, key_of
from ..limits.budget import Purse
from ..limits.usage import Usage, note_own
from ..replies.reply import CUT_OFF, read
from ..transport.batches import Batches
from ..transport.connection import Connection
from .asked import Asked
from .progress import Calls

Answer = tuple[dict[str, Any], bool, str]  # the reply, whether it took no call of its own, and its key in the store


class Caller:
    """Finds replies in the store, makes them up, or calls the endpoint.

    Args:
        asked: the model.
        used: counts what the calls use.
        progress: shows them.
        report: called with the number of requests of batches that are done at the endpoint.
    """

    def __init__(self, asked: Asked, used: Usage, progress: Calls, report: Callable[[int], None]):
        self._asked = asked
        self._store = asked.store
        self._used = used
        self._progress = progress
        self.purse = Purse(asked.budgets, asked.price)
        self.connection: Connection | Batches  # it is opened at the first call
        if asked.batch and asked.base_url:
            self.connection = Batches(asked.name, asked.base_url, self._store, report)
        else:
            self.connection = self._connection()
        self._single: Connection | None = None
        self.fresh: set[str] = set()  # keys of calls that workers made for this ask, which are no replies found
        self.keys: dict[str, bool] | None = None  # of all replies, True for calls of this ask; filled if it is a dict
        self._under_way: dict[str, asyncio.Task[tuple[dict[str, Any], bool]]] = {}

    def _connection(self) -> Connection:
        asked = self._asked
        return Connection(asked.given, asked.base_url, asked.max_in_flight, self._store, asked.run)

    async def close(self) -> None:
        """Close the connections."""
        await self.connection.close()
        if self._single:
            await self._single.close()

    async def reply(self, request: dict[str, Any], words: Mapping[str, int], now: bool = False) -> Answer:
        """Return the reply to a request: that of a call under way, one in the store, or that of a new call.

        Args:
            request: in the dialect of the endpoint.
            words: how many words each text is asked for in, for a made-up reply.
            now: make the call by itself, even if others go into batches.
        """
        text = canonical(request)
        key = key_of(text)
        reply, cached = await self._reply(key, text, request, words, now)
        self._note(key, not cached)
        return reply, cached, key

    def was_there(self, key: str, reply: Mapping[str, Any]) -> bool:
        """Return whether a reply in the store took no call, not even one that a worker made for this ask."""
        fresh = key in self.fresh
        self.fresh.discard(key)
        self._note(key, fresh)
        if fresh:
            note_own(reply)  # the worker has counted the call, but not for whom it was
        return not fresh

    def _note(self, key: str, called: bool) -> None:
        if self.keys is not None:
            self.keys[key] = self.keys.get(key, False) or called

    async def _reply(
        self, key: str, text: str, request: dict[str, Any], words: Mapping[str, int], now: bool
    ) -> tuple[dict[str, Any], bool]:
        if under_way := self._under_way.get(key):
            reply, _ = await asyncio.shield(under_way)
            return reply, True
        if stored := self._store.get(key):
            known = json.loads(stored.reply)
            return known, self.was_there(key, known)
        if self._store.offline:
            raise UserError(f"offline, and no reply is recorded for {text[:500]} ...")
        if self._store.scratch:
            return self._made_up(key, request, words)
        return await self._call_once(key, text, request, now)

    def _made_up(self, key: str, request: dict[str, Any], words: Mapping[str, int]) -> tuple[dict[str, Any], bool]:
        """Make a reply up, and return it and whether it was made up before; texts have the `words` asked for."""
        self._progress.show()
        reply = self._asked.dry.reply(key, request, words)
        assert self._store.made_up  # a scratch store has it
        if not self._store.made_up.first(key, request):
            return reply, True
        self._used.count(reply, 0, self._asked.price)
        return reply, False

    async def _call_once(self, key: str, text: str, request: dict[str, Any], now: bool) -> tuple[dict[str, Any], bool]:
        """Make a call that equal requests of this session wait for; its reply is committed when this returns.

        Returns:
            The reply, and whether another session or process that shares the store made the call.
        """
        self._progress.show()
        self._under_way[key] = asyncio.ensure_future(self._call_alone(key, text, request, now))
        try:
            return await self._under_way[key]
        finally:
            del self._under_way[key]

    async def _call_alone(self, key: str, text: str, request: dict[str, Any], now: bool) -> tuple[dict[str, Any], bool]:
        """Make a call, unless another session or process that shares the store makes it; returns as `_call_once`."""
        if self._asked.batch and not now:  # `Batches` has a lock of its own, for a file at a time
            return await self._call(key, text, request, self.connection), False
        if self._asked.batch:
            self._single = self._single or self._connection()
        async with self._store.locks.alone(key):
            if stored := self._store.get(key):
                return json.loads(stored.reply), True
            return await self._call(key, text, request, self._single or self.connection), False

    async def _call(
        self, key: str, text: str, request: dict[str, Any], connection: Connection | Batches
    ) -> dict[str, Any]:
        """Make a call within the budgets, and commit the reply."""
        held = await self.purse.start(request)
        cost = None
        sent = True
        try:
            reply, keep, retries = await connection.call(request)
            if keep:
                # A commit takes 0.04 ms. Committing in groups was tried: it synchronizes the workers, which costs a
                # sixth of the throughput at 64 in flight.
                self._store.put([Stored(key, text, canonical(reply), failure_of(request, reply))])
            sent = keep or "APIConnectionError" not in reply["error"]
            cost = self._used.count(reply, retries, self._asked.price)
            return reply
        except UserError:
            sent = False  # nothing was answered, and nothing charged
            raise
        finally:
            if sent:
                self.purse.settle(held, cost)
            else:
                self.purse.release(held)


def failure_of(request: Mapping[str, Any], reply: dict[str, Any]) -> str | None:
    """Return why a reply is no answer, or None; a choice ends where its tokens do."""
    failure = read(reply)[2]
    return None if failure == CUT_OFF and "top_logprobs" in request and "schema" not in request else failure
