"""Deal the requests of one ask to the workers of a cluster: each asks a shard, and its replies go to the store.

An ask is dealt where its items are known as a list (`each`). What the store lacks is cut into shards by the hash of the
requests, so that equal ones meet in one shard and no two workers ask the same. A worker asks its shard as any ask does,
and returns the keys of its replies, not the replies. Then the client goes through its items, and finds the replies in
the store. Results are thus those of one process, and a shard that is asked again after its worker was killed repeats
only what was in flight.

A worker of this machine writes to the store's file. One elsewhere has a store of its own, which has its replies if the
shard is asked again, and hands back the rows of the shard.
"""

import asyncio
import math
import threading
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping, Sequence, Sized
from concurrent.futures import Future
from dataclasses import fields
from functools import partial
from itertools import chain, islice
from typing import Any, NamedTuple, TypeVar

from ... import UserError
from ...store import canonical, key_of
from ..asking.asked import Asked
from ..asking.running import in_session
from ..asking.session import Session
from ..dialects.dialect import kind
from ..limits import sharing
from ..limits.usage import Usage
from .at_worker import Done, Shard, ask, here, inode
from .workers import Workers, as_gone, gone, present

S = TypeVar("S")
T = TypeVar("T")
Work = Callable[[Session, S], Awaitable[T]]
First = Callable[[S], dict[str, Any]]

LEAST, MOST = 200, 1000  # requests of a shard: fewer are not worth sending, of more too many are lost at once
EACH = 4  # shards for each worker in an ask, so that none waits long for the last
BLOCK = 16_000  # items that are dealt at once, of a generator
LOOK_S = 0.5  # between two looks at the workers' progress
GRACE_S = 5.0  # for the other shards after one has failed: at a limit all end, and what they used is counted

_ASKING = threading.local()  # `taker`: of `hand_over`


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
    _ASKING.taker = taker


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

    Raises:
        UserError: as `work` raises it, here or at a worker.
        LimitError: the cluster has ended.
    """
    if first and (taker := getattr(_ASKING, "taker", None)):
        own = Ask(asked, step, list(items), used, work, first)
        return taker(own) if own.items else []
    workers = present() if first and _are_dealt(asked) else None

    def in_it(session: Session) -> Awaitable[list[T]]:
        if workers and first:
            return _by_workers(session, items, work, first, workers)
        return session.each(items, partial(work, session))

    return in_session(asked, step, len(items) if isinstance(items, Sized) else None, used, in_it)


def _are_dealt(asked: Asked) -> bool:
    """Return whether asks of a model go to workers: one here, the Batch API and a store that only reads need none.

    Limits of a model alone are counted in its own process, so that its asks stay there.
    """
    own = any(budget.limits() != (None, None) for budget in asked.budgets[1:])
    return not (asked.base_url is None or asked.batch or asked.store.scratch or asked.store.offline or own)


async def _by_workers(
    session: Session, items: Iterable[S], work: Work[S, T], first: First[S], workers: Workers
) -> list[T]:
    """Do `work` on every item as `Session.each` does, after workers have asked what the store lacks."""
    coming = iter(items)
    results: list[T] = []
    for item in islice(coming, 1):
        if kind(first(item)) in session._found.ever:
            coming = chain([item], coming)
        else:  # how the endpoint is to be asked is found by one call, before many workers ask
            results += await session.each([item], partial(work, session))
    while block := list(islice(coming, BLOCK)):
        found = await _dealt(session, block, work, first, workers)
        rest = [place for place in range(len(block)) if place not in found]
        found |= zip(rest, await session.each([block[i] for i in rest], partial(work, session)), strict=True)
        results += [found[place] for place in range(len(block))]
    return results


async def _dealt(
    session: Session, items: Sequence[S], work: Work[S, T], first: First[S], workers: Workers
) -> dict[int, T]:
    """Deal what the store lacks of some items, and return the results by place; a few are left to the client."""
    lacking = _lacking(session, map(first, items))
    results: dict[int, T] = {}
    if len(lacking) < 2 * LEAST:
        return results
    session._progress.dealt = workers.work
    session._progress.show()
    futures: dict[asyncio.Future[Done], list[str]] = {}
    try:
        for keys in cut(lacking, workers.number):
            keys.sort(key=lacking.__getitem__)  # items that share a prefix follow each other
            shard = _shard(session, workers.topic, work, [items[lacking[key]] for key in keys], keys)
            futures[asyncio.wrap_future(_submitted(workers, shard))] = keys
            workers.deal(len(keys))
        async for keys in _ended(session, futures, workers):
            workers.end(keys[0], len(keys))
            places = [lacking[key] for key in keys]
            done = await session.each([items[place] for place in places], partial(work, session))
            results |= zip(places, done, strict=True)
    finally:
        for future, keys in futures.items():
            future.cancel()
            workers.end(keys[0], 0)
        session._progress.away(0)
    return results


def _lacking(session: Session, requests: Iterable[dict[str, Any]]) -> dict[str, int]:
    """Return the place of each request that the store lacks, by its key; equal ones count once."""
    lacking: dict[str, int] = {}
    for place, request in enumerate(requests):
        key = key_of(canonical(session._found.present.written(request)))
        if key not in lacking and not session._speaker.answered(request) and not session._store.get(key):
            lacking[key] = place
    return lacking


def cut(keys: Collection[str], workers: int) -> list[list[str]]:
    """Return keys in shards of about one size, by their hash, which they are.

    Args:
        keys: of requests.
        workers: how many there are; each gets `EACH` shards, if these are not too small or too large.
    """
    size = min(MOST, max(LEAST, math.ceil(len(keys) / (workers * EACH))))
    n = math.ceil(len(keys) / size)
    ordered = sorted(keys)
    return [ordered[i * len(keys) // n : (i + 1) * len(keys) // n] for i in range(n)]


def _shard(session: Session, topic: str, work: Work[S, Any], items: list[S], keys: list[str]) -> bytes:
    """Return a shard as it is sent."""
    import cloudpickle  # Dask has it; it takes schemas that were written in a notebook

    asked = session._asked
    sent = {field.name: getattr(asked, field.name) for field in fields(asked)}
    sent["run"] = sharing.present()
    del sent["store"], sent["budgets"]
    found = asked.store.endpoint(canonical(asked.who))
    path = asked.store.path.absolute()
    where = str(path), here(), inode(path)
    shard = Shard(sent, found, asked.found.keeps, *where, topic, session._progress.step, work, items, keys)
    return zlib.compress(cloudpickle.dumps(shard), 1)


def _submitted(workers: Workers, shard: bytes) -> Future[Done]:
    try:
        return workers.executor.submit(ask, shard)
    except Exception as error:
        raise as_gone(error) or error from None


async def _ended(
    session: Session, futures: Mapping["asyncio.Future[Done]", list[str]], workers: Workers
) -> AsyncIterator[list[str]]:
    """Take over what shards return, show how far the others are, and yield the keys of each when it has ended.

    Raises:
        UserError: one of them has failed; what the others used by then is counted.
        LimitError: the cluster has ended.
    """
    loop = asyncio.get_running_loop()
    pending = set(futures)
    failed: UserError | None = None
    until = math.inf
    while pending and loop.time() < until:
        ended, pending = await asyncio.wait(pending, timeout=LOOK_S, return_when=asyncio.FIRST_COMPLETED)
        told = [workers.told[name] for future in pending if (name := futures[future][0]) in workers.told]
        session._progress.away(sum(done for _, done in told))
        for future in ended:
            done = _done(future)
            _take(session, done)
            if done.error and not failed:
                failed, until = done.error, loop.time() + GRACE_S
            if not failed:
                yield futures[future]
        if not ended:
            workers.check()
    if failed:
        raise failed


def _done(future: "asyncio.Future[Done]") -> Done:
    """Return what a shard returned.

    Raises:
        LimitError: there is nobody any more who would return anything.
    """
    if future.cancelled():
        raise gone("its scheduler has ended")
    if error := future.exception():
        raise as_gone(error) or error
    return future.result()


def _take(session: Session, done: Done) -> None:
    """Take over what a worker returns of a shard."""
    if done.rows:
        session._store.put(done.rows)
    if done.found:
        session._store.note_endpoint(canonical(session._asked.who), done.found)
    session._caller.fresh |= {key for key, made in done.keys.items() if made}
    session._used.add(done.used)
    session._found.recall()
