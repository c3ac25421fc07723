"""Send calls in bulk through the Batch API, in files that the endpoint works through within a day.

OpenAI charges half the price. The response store notes what a file carries before the endpoint begins with it.
Nothing is therefore submitted twice, even if the process is killed: the next process that asks the same waits for the
same batch.
"""

import asyncio
import json
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

import openai

from ... import UserError
from ...store import Batch, Journal, Store, canonical, key_of
from ..replies.reply import Outcome
from .batch_results import Failures, reasons, replies
from .connection import RETRIES, wait
from .endpoint import CHATS, Endpoint, message

MOST_REQUESTS = 50_000  # in a file; OpenAI's limit, as is MOST_BYTES
MOST_BYTES = 200_000_000
MOST_WAITING = 2 * MOST_REQUESTS  # calls at once; more would only take memory
GATHER_S = 1.0  # without a new call, after which a file is sent
FIRST_POLL_S = 2.0
POLL_GROWTH = 1.5
LONGEST_POLL_S = 60.0
TRIES = 20  # of requests that are safe to repeat: an endpoint may be away for some minutes
SUBMISSION = "submission"  # the lock under which the processes that share a store submit files, one at a time

_ENDED = {"completed", "failed", "expired", "cancelled"}


class _File:
    """The requests of one file, by key; `task` sends the file and follows its batch."""

    def __init__(self) -> None:
        self.requests: dict[str, dict[str, Any]] = {}
        self.bytes = 0
        self.task: asyncio.Task[Failures]
        self.gone = asyncio.Event()  # set once the file is submitted, or need not be

    def takes(self, line: bytes) -> bool:
        """Return whether there is room for one more line."""
        return len(self.requests) < MOST_REQUESTS and self.bytes + len(line) <= MOST_BYTES


class Batches(Endpoint):
    """Calls through the Batch API of an endpoint; a request that is in no batch yet goes into the next one.

    Args:
        name: the model's name at the endpoint.
        base_url: the endpoint's address.
        store: notes what is submitted, and keeps the replies, even those that nobody waits for any more.
        report: called with the number of requests that are done at the endpoint but not yet fetched.
    """

    def __init__(self, name: str, base_url: str, store: Store, report: Callable[[int], None]):
        super().__init__(name, base_url)
        self._store = store
        self._journal = Journal(store)
        self._report = report
        self._gathering: _File | None = None
        self._submitting = asyncio.Lock()
        self._tasks: list[asyncio.Task[Failures]] = []
        self._following: dict[int, asyncio.Task[Failures]] = {}  # by the number of the batch
        self._done: dict[str, int] = {}  # the number of requests done, by the endpoint's id of the batch

    async def call(self, request: dict[str, Any]) -> Outcome:
        """Put a request (see `Model`) into a batch, unless it is in one, and wait until that batch has ended.

        Raises:
            UserError: no key, endpoint unreachable, key refused, model unknown, no Batch API there, or the endpoint
                refuses a batch as a whole.
        """
        key = key_of(canonical(request))
        batch = self._journal.batch_of(key)
        task = self._resume(batch) if batch else self._join(key, request)
        failures = await asyncio.shield(task)
        if not batch and (batch := self._journal.batch_of(key)):  # another process was faster
            failures = await asyncio.shield(self._resume(batch))
        if stored := self._store.get(key):
            return Outcome(json.loads(stored.reply), True, 0)
        return Outcome({"error": failures[key]}, False, 0)

    async def submit(self, key: str, request: dict[str, Any]) -> asyncio.Task[Failures]:
        """Put a request into the next file, unless it is in a batch, and return the task to wait for.

        Unlike `call`, this does not wait for the batch. It sends a full file before it starts the next one, so that
        memory holds at most one file of requests.
        """
        if batch := self._journal.batch_of(key):
            return self._resume(batch)
        if (full := self._gathering) and not full.takes(self.line(key, request)):
            self._gathering = None
            await full.gone.wait()
        return self._join(key, request)

    async def close(self) -> None:
        """Stop waiting; what is submitted goes on at the endpoint."""
        if self._done:
            print(
                f"still under way at {self.base_url}: {', '.join(self._done)}; nothing is lost, "
                "the same command fetches the replies",
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
        """Return the task that follows a batch submitted earlier; start it if needed."""
        if batch.number not in self._following:
            self._following[batch.number] = self._start(self._follow(batch, new=False))
        return self._following[batch.number]

    def _join(self, key: str, request: dict[str, Any]) -> asyncio.Task[Failures]:
        """Add a request to the file that gathers them, or to a new one; return the task that sends and follows it."""
        line = self.line(key, request)
        if self._gathering is None or not self._gathering.takes(line):
            self._gathering = _File()
            self._gathering.task = self._start(self._send(self._gathering))
        self._gathering.requests[key] = request
        self._gathering.bytes += len(line)
        return self._gathering.task

    async def _send(self, file: _File) -> Failures:
        """Wait until no more requests come, submit the file and follow its batch to the end."""
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
        """Upload a file and note it in the store; None if all its requests are already there."""
        async with self._submitting, self._store.locks.alone(SUBMISSION):
            for key in [k for k in file.requests if self._journal.batch_of(k) or self._store.get(k)]:
                del file.requests[key]  # another process was faster
            if not file.requests:
                return None
            uploaded = await self._upload(file)
            # From here on a new process knows the file, and makes sure that it is worked through once.
            batch = self._journal.submit(uploaded, ((key, canonical(r)) for key, r in file.requests.items()))
            file.requests.clear()
            self._following[batch.number] = file.task
            return batch

    async def _upload(self, file: _File) -> str:
        """Upload the requests, from disk since they may be 200 MB, and return the file's id at the endpoint."""
        client = await self._client()
        try:
            with tempfile.TemporaryFile() as lines:
                lines.writelines(self.line(key, request) for key, request in file.requests.items())
                lines.flush()  # its size on disk becomes the length of the upload
                return (await client.files.create(file=("requests.jsonl", lines), purpose="batch")).id
        except openai.APIError as error:
            raise UserError(
                f"{self.base_url} accepts no file of requests ({message(error)}): "
                "leave out batch=True if the endpoint has no Batch API"
            ) from error

    async def _follow(self, batch: Batch, new: bool) -> Failures:
        """Have a batch worked through, wait for its end and keep the replies."""
        client = await self._client()
        with self._errors(batch):
            batch_id = await self._begun(client, batch, new)
            if batch_id is None:
                return _elsewhere()
            state = await self._ended(client, batch_id)
            ids = [i for i in (state.output_file_id, state.error_file_id) if i]
            files = [(await client.files.content(i)).content for i in ids]
        failures: Failures = defaultdict(lambda: f"no reply: {state.id} is {state.status} without one")
        self._journal.end(batch, (reply for file in files for reply in replies(file, failures)))
        del self._done[batch_id]
        self._report(sum(self._done.values()))
        if state.status == "failed":
            raise UserError(f"{self.base_url} refuses the whole batch {state.id}: {reasons(state)}")
        return failures

    async def _begun(self, client: openai.AsyncOpenAI, batch: Batch, new: bool) -> str | None:
        """Return the endpoint's id of a batch, after beginning with it if needed; None if it has already ended."""
        # Between the note of a file and that of its batch another process may come, and would begin a second batch.
        async with self._store.locks.alone(f"{SUBMISSION} {batch.number}"):
            known = self._journal.batch(batch.number)
            if known is None:
                return None
            if known.id is None:
                known = known._replace(id=await _begin(client, known.file, new))
                self._journal.begun(known)
            return known.id

    async def _ended(self, client: openai.AsyncOpenAI, batch_id: str) -> openai.types.Batch:
        """Wait for the end of a batch, report meanwhile how many requests are done, and return its final state."""
        self._done[batch_id] = 0  # from now on `close` can name it
        pause = FIRST_POLL_S
        while (state := await client.batches.retrieve(batch_id)).status not in _ENDED:
            if counts := state.request_counts:
                self._done[batch_id] = counts.completed + counts.failed
            self._report(sum(self._done.values()))
            await asyncio.sleep(pause)
            pause = min(LONGEST_POLL_S, pause * POLL_GROWTH)
        return state

    @contextmanager
    def _errors(self, batch: Batch) -> Iterator[None]:
        """Turn the endpoint's errors about a batch into one line; forget a batch that the endpoint does not have."""
        try:
            yield
        except (openai.BadRequestError, openai.NotFoundError) as error:
            self._journal.end(batch)
            raise UserError(
                f"{self.base_url} does not have {batch.id or batch.file}: {message(error)}; "
                "the same command sends its requests again"
            ) from error
        except openai.APIError as error:
            raise UserError(
                f"{self.base_url} does not tell the state of {batch.id or batch.file}: {message(error)}; "
                "nothing is lost: run it again to continue"
            ) from error


async def _begin(client: openai.AsyncOpenAI, file: str, new: bool) -> str:
    """Have the endpoint begin with a file, once, and return the id of the batch.

    If an answer was lost, the endpoint's list of batches says whether it has begun; a `new` file needs no look.
    """
    once = client.with_options(max_retries=0)
    tries = 0
    while True:
        tries += 1
        if not new:
            async for batch in client.batches.list(limit=100):
                if batch.input_file_id == file:
                    return batch.id
        try:
            created = await once.batches.create(input_file_id=file, endpoint=CHATS, completion_window="24h")
            return created.id
        except (openai.APIConnectionError, openai.InternalServerError, openai.RateLimitError) as error:
            if tries > RETRIES:
                raise
            new = False
            await asyncio.sleep(wait(error, tries))


def _elsewhere() -> Failures:
    """Return why requests have no reply, for a batch that another process has followed to its end."""
    return defaultdict(lambda: "no reply: another process's batch ended without one")
