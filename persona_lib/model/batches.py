"""Batches: calls gathered into files that the endpoint works through within a day, at OpenAI for half the price.

What a file carries is noted in the response store before the endpoint begins with it, so that nothing is submitted
twice, whenever a process is killed: the next one that asks the same waits for the same batch. Used by `Model`.
"""

import asyncio
import io
import itertools
import json
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

import openai

from .. import UserError
from ..store import Batch, Journal, Store, canonical, key_of
from .connection import RETRIES, wait
from .endpoint import FINAL, Endpoint, is_completion, loaded, message, one_line
from .reply import Outcome, read

MOST_REQUESTS = 50_000  # of a file; OpenAI's bound, as that on its bytes
MOST_BYTES = 200_000_000
MOST_WAITING = 2 * MOST_REQUESTS  # calls at once; more would only take memory
GATHER_S = 1.0  # without a new call, after which a file goes off
FIRST_POLL_S, POLL_GROWTH, LONGEST_POLL_S = 2.0, 1.5, 60.0
TRIES = 20  # of what does no harm when repeated: an endpoint may be away for some minutes
SUBMISSION = "submission"  # of a file, which the processes that share a store do one at a time

_PATH = "/v1/chat/completions"
_ENDED = {"completed", "failed", "expired", "cancelled"}
_FINAL = {error.status_code: error.__name__ for error in FINAL}

Failures = dict[str, str]  # why a request has no reply worth keeping, by its key


class _File:
    """Requests by their key that go off together in the file that `task` sends and follows."""

    def __init__(self):
        self.requests: dict[str, dict[str, Any]] = {}
        self.bytes = 0
        self.task: asyncio.Task[Failures]
        self.gone = asyncio.Event()  # it is submitted, or there was no need

    def takes(self, line: bytes) -> bool:
        """Whether there is room for one more."""
        return len(self.requests) < MOST_REQUESTS and self.bytes + len(line) <= MOST_BYTES


class Batches(Endpoint):
    """Calls through the Batch API of an endpoint; what no batch in the store carries yet goes into the next one.

    Args:
        name: of the model at the endpoint.
        base_url: the endpoint's address.
        store: notes what is submitted, and keeps what comes back, also where nobody waits for it any more.
        report: is told how many requests are done at the endpoint that are not fetched yet.
    """

    def __init__(self, name: str, base_url: str, store: Store, report: Callable[[int], None]):
        super().__init__(name, base_url)
        self._store, self._journal, self._report = store, Journal(store), report
        self._gathering: _File | None = None
        self._submitting = asyncio.Lock()
        self._tasks: list[asyncio.Task[Failures]] = []
        self._following: dict[int, asyncio.Task[Failures]] = {}  # by the number of the batch
        self._done: dict[str, int] = {}  # how many requests are done, of each batch at the endpoint

    async def call(self, request: dict[str, Any]) -> Outcome:
        """Wait for the end of the batch that a request (see `Model`) is in, or goes into.

        Raises:
            UserError: no key, endpoint unreachable, key refused, model unknown, no Batch API there, or it refuses a
                batch as a whole.
        """
        key = key_of(canonical(request))
        batch = self._journal.batch_of(key)
        failures = await asyncio.shield(self._resume(batch) if batch else self._join(key, request))
        if not batch and (batch := self._journal.batch_of(key)):  # another process was faster
            failures = await asyncio.shield(self._resume(batch))
        if stored := self._store.get(key):
            return Outcome(json.loads(stored.reply), True, 0)
        return Outcome({"error": failures[key]}, False, 0)

    async def submit(self, key: str, request: dict[str, Any]) -> asyncio.Task[Failures]:
        """Put a request into the next file, unless it is in a batch; returns what to wait for. A full file goes first.

        Unlike `call` it leaves nothing waiting, so that no more than a file of requests is in memory.
        """
        if batch := self._journal.batch_of(key):
            return self._resume(batch)
        if (full := self._gathering) and not full.takes(self._line(key, request)):
            self._gathering = None
            await full.gone.wait()
        return self._join(key, request)

    async def close(self) -> None:
        """Stop waiting; what is submitted goes on at the endpoint."""
        if self._done:
            print(
                f"still under way at {self.base_url}: {', '.join(self._done)}; nothing is lost, "
                "the same command fetches what comes of it",
                file=sys.stderr,
                flush=True,
            )
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await super().close()

    async def _client(self) -> openai.AsyncOpenAI:
        return (await super()._client()).with_options(max_retries=TRIES)

    def _start(self, work: Coroutine[Any, Any, Failures]) -> asyncio.Task[Failures]:
        self._tasks.append(asyncio.ensure_future(work))
        return self._tasks[-1]

    def _resume(self, batch: Batch) -> asyncio.Task[Failures]:
        """The task that follows a batch submitted earlier."""
        if batch.number not in self._following:
            self._following[batch.number] = self._start(self._follow(batch, new=False))
        return self._following[batch.number]

    def _join(self, key: str, request: dict[str, Any]) -> asyncio.Task[Failures]:
        """Add a request to the file that gathers them, or to a new one; returns the task that sends and follows it."""
        line = self._line(key, request)
        if self._gathering is None or not self._gathering.takes(line):
            self._gathering = _File()
            self._gathering.task = self._start(self._send(self._gathering))
        self._gathering.requests[key] = request
        self._gathering.bytes += len(line)
        return self._gathering.task

    def _line(self, key: str, request: dict[str, Any]) -> bytes:
        line = {"custom_id": key, "method": "POST", "url": _PATH, "body": self._body(request)}
        return json.dumps(line, ensure_ascii=False).encode() + b"\n"

    async def _send(self, file: _File) -> Failures:
        """Wait until no more requests come, submit the file and follow it to its end."""
        seen = 0
        while seen < len(file.requests):
            seen = len(file.requests)
            await asyncio.sleep(GATHER_S)
        if self._gathering is file:
            self._gathering = None
        try:
            batch = await self._submit(file)
        finally:
            file.gone.set()
        if batch is None:
            return _elsewhere()
        return await self._follow(batch, new=True)

    async def _submit(self, file: _File) -> Batch | None:
        """Bring a file to the endpoint, or nothing where all its requests are there."""
        async with self._submitting, self._store.locks.alone(SUBMISSION):
            for key in [k for k in file.requests if self._journal.batch_of(k) or self._store.get(k)]:
                del file.requests[key]  # another process was faster
            if not file.requests:
                return None
            uploaded = await self._upload(file)
            # From here on a new start knows of the file, and sees to it that it is worked through once.
            batch = self._journal.submit(uploaded, ((key, canonical(r)) for key, r in file.requests.items()))
            file.requests.clear()
            self._following[batch.number] = file.task
            return batch

    async def _upload(self, file: _File) -> str:
        """Bring the requests to the endpoint, from disk since they may be 200 MB; returns the file's id there."""
        client = await self._client()
        try:
            with tempfile.TemporaryFile() as lines:
                lines.writelines(self._line(key, request) for key, request in file.requests.items())
                lines.flush()  # its size on disk becomes the length of the upload
                return (await client.files.create(file=("requests.jsonl", lines), purpose="batch")).id
        except openai.APIError as error:
            raise UserError(
                f"{self.base_url} takes no file of requests ({message(error)}): "
                "leave out batch=True where there is no Batch API"
            ) from error

    async def _follow(self, batch: Batch, new: bool) -> Failures:
        """Have a batch worked through, wait for its end and keep what came of it."""
        client = await self._client()
        with self._errors(batch):
            # Between the note of a file and its batch another process may come, and would find neither id nor batch.
            async with self._store.locks.alone(f"{SUBMISSION} {batch.number}"):
                known = self._journal.batch(batch.number)
                if known and known.id is None:
                    known = known._replace(id=await self._begin(client, known.file, new))
                    self._journal.begun(known)
            if known is None:
                return _elsewhere()
            batch = known
            state = await self._ended(client, batch.id)
            files = [(await client.files.content(f)).content for f in (state.output_file_id, state.error_file_id) if f]
        failures: Failures = defaultdict(lambda: f"no reply: {state.id} is {state.status} without one")
        self._journal.end(batch, (reply for file in files for reply in _replies(file, failures)))
        del self._done[batch.id]
        self._report(sum(self._done.values()))
        if state.status == "failed":
            raise UserError(f"{self.base_url} refuses the whole batch {state.id}: {_reasons(state)}")
        return failures

    async def _begin(self, client: openai.AsyncOpenAI, file: str, new: bool) -> str:
        """Let the endpoint begin with a file, once: after an answer that was lost its list says whether it has."""
        for tries in itertools.count(1):
            if not new:
                async for batch in client.batches.list(limit=100):
                    if batch.input_file_id == file:
                        return batch.id
            try:
                once = client.with_options(max_retries=0)
                created = await once.batches.create(input_file_id=file, endpoint=_PATH, completion_window="24h")
                return created.id
            except (openai.APIConnectionError, openai.InternalServerError, openai.RateLimitError) as error:
                if tries > RETRIES:
                    raise
                new = False
                await asyncio.sleep(wait(error, tries))

    async def _ended(self, client: openai.AsyncOpenAI, batch_id: str) -> openai.types.Batch:
        """The batch's final state; until then report how many of its requests are done."""
        self._done[batch_id], pause = 0, FIRST_POLL_S  # from now on it can be named to whoever stops waiting
        while (state := await client.batches.retrieve(batch_id)).status not in _ENDED:
            if counts := state.request_counts:
                self._done[batch_id] = counts.completed + counts.failed
            self._report(sum(self._done.values()))
            await asyncio.sleep(pause)
            pause = min(LONGEST_POLL_S, pause * POLL_GROWTH)
        return state

    @contextmanager
    def _errors(self, batch: Batch) -> Iterator[None]:
        """Say in one line what the endpoint says of a batch; one that it does not have is sent anew by a new start."""
        try:
            yield
        except (openai.BadRequestError, openai.NotFoundError) as error:
            self._journal.end(batch)
            raise UserError(
                f"{self.base_url} does not have {batch.id or batch.file}: {message(error)}; "
                "the same command sends its requests anew"
            ) from error
        except openai.APIError as error:
            raise UserError(
                f"{self.base_url} does not say how {batch.id or batch.file} is: {message(error)}; nothing is lost, "
                "the same command goes on from there"
            ) from error


def _elsewhere() -> Failures:
    """Why requests have no reply that another process has seen to the end of."""
    return defaultdict(lambda: "no reply: another process's batch ended without one")


def _reasons(state: openai.types.Batch) -> str:
    """Why a batch failed as a whole."""
    errors = (state.errors and state.errors.data) or []
    texts = [f"{error.message} (line {error.line})" if error.line else str(error.message) for error in errors]
    return one_line("; ".join(texts)) or "it gives no reason"


def _replies(file: bytes, failures: Failures) -> Iterator[tuple[str, str, str | None]]:
    """The replies of a file that are to be kept (key, reply, failure); the others' reasons go to `failures`."""
    for line in io.BytesIO(file):
        try:
            item = loaded(line.decode())
            key, reply, final = item["custom_id"], *_reply(item)
        except (ValueError, KeyError, TypeError, AttributeError):
            continue  # a damaged line: its request has no reply
        if final:
            yield key, canonical(reply), read(reply)[2]
        else:
            failures[key] = reply["error"]


def _reply(item: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    """The reply in an item of a batch and whether it is final, the same as a call of its own would give."""
    response = item.get("response") or {}
    status, body = response.get("status_code"), response.get("body")
    if status == 200 and is_completion(body):
        return body, True
    if status in _FINAL:
        return {"error": one_line(f"{_FINAL[status]}: Error code: {status} - {_said(body)}")}, True
    error = item.get("error") or {}
    reason = f"{error.get('code')}: {error.get('message')}" if error else f"Error code: {status} - {_said(body)}"
    return {"error": one_line(f"no reply: {reason}")}, False


def _said(body: Any) -> Any:
    """The message of an error's body, or the body where it has none: as the openai client puts it."""
    error = body.get("error") if isinstance(body, dict) else None
    return error.get("message") or body if isinstance(error, dict) else body
