"""Model: ask many message lists at once, or choose between options by log-probability.

The embedded model, an OpenAI-compatible server and OpenAI itself work the same, in a script and inside a running
notebook. Every reply passes through the response store and is committed before it is handed on. Used by every notebook
that asks a model.
"""

import asyncio
import json
import os
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence, Sized
from functools import cached_property
from typing import Any, Literal, TypeVar

import numpy as np
import openai
from anyio.from_thread import start_blocking_portal
from pydantic import BaseModel, create_model

from . import UserError, local, prices
from . import settings as own
from .batch import MOST_WAITING, Batches
from .budget import Budget, Purse, of_run
from .connection import OPENAI_URL, Connection
from .dry import Dry
from .progress import Calls
from .reply import CUT_OFF, INVALID, Choices, Reply, chances, first_token, normalized, read, refuses_logprobs, tokens
from .store import Store, Stored, canonical, key_of
from .templates import load as load_template
from .usage import Usage, total

Messages = list[dict[str, str]]
S, T = TypeVar("S"), TypeVar("T")

TOP_LOGPROBS = 20  # of a choice: the most that the API gives
TOP_OF_TEXT = 3  # of each token of a whole reply: more make a reply of 10 kB one of 50
REASKS = 2  # of a structured reply that does not validate


class Model:
    """A language model behind an OpenAI-compatible endpoint, with the response store in front of it.

    Args:
        name: "local" for the embedded model, the path of another .gguf file, or the model's name at the endpoint.
        base_url: the endpoint's address; None means OpenAI (or OPENAI_BASE_URL), or for a local name our own server.
        store: where replies are kept; None opens the default store.
        max_in_flight: how many requests may wait for their reply at once.
        batch: send requests through the endpoint's Batch API, all at once: cheaper, and done within a day. A process
            that ends meanwhile loses nothing; the same calls made again fetch what came of it.
        settings: further fields of every request, sent as they are, such as {"reasoning_effort": "low", "top_p": 0.9};
            None means what params/models.yaml says of the model. They are part of what a reply is kept under. One of
            our own that is named here is replaced; `temperature` or `max_tokens` as None is left out, for models that
            refuse it.
        samples: for models without log-probabilities: a choice is made of so many replies, sampled at temperature 1;
            None means what params/models.yaml says, where nothing is said log-probabilities.
        max_calls: the most calls to make; None means any number. What the store has takes no call.
        max_cost: the most USD to spend, by params/prices.yaml; None means any sum. It is held ready for the most that
            calls can cost, so that batches may go out one after the other.
        budget: what this model and others that get the same one may use together.

    No endpoint is contacted, and no key needed, before a reply is missing in the store. The key comes from
    OPENAI_API_KEY.
    """

    def __init__(
        self,
        name: str = "local",
        base_url: str | None = None,
        store: Store | None = None,
        max_in_flight: int = 64,
        batch: bool = False,
        max_calls: int | None = None,
        max_cost: float | None = None,
        settings: Mapping[str, Any] | None = None,
        samples: int | None = None,
        budget: Budget | None = None,
    ):
        self.name = name
        known = own.of(name)
        self.settings = own.checked(known.settings if settings is None else settings)
        self.samples = known.samples if samples is None else samples
        if self.samples is not None and self.samples < 1:
            raise UserError(f"a choice can't be made of {samples} samples: take 1 or more")
        self.is_local = base_url is None and local.is_embedded(name)
        address = base_url or os.environ.get("OPENAI_BASE_URL") or OPENAI_URL
        self.base_url = None if self.is_local else address.rstrip("/")
        self.store = store or Store()
        if batch and self.is_local:
            raise UserError(f"the model '{name}' runs here, where there is no Batch API: leave out batch=True")
        self.batch = batch
        # The embedded server has one slot: what waits in its queue would only run into the time-out.
        self.max_in_flight = 1 if self.is_local else MOST_WAITING if batch else max_in_flight
        self._price = prices.FREE if self.is_local else prices.of(name)
        self._budgets = (of_run(), Budget(max_calls, max_cost), budget or Budget())
        if self._price is None and any(b.max_cost is not None for b in self._budgets):
            raise UserError(f"no price of '{name}' is known, which max_cost needs: add it to params/{prices.NAME}")
        self._offers_logprobs = True  # with whole replies, until the endpoint refuses
        self._steps: defaultdict[str, list[Usage]] = defaultdict(list)

    @cached_property
    def identity(self) -> dict[str, Any]:
        """What the replies depend on: `name`, the address or for local weights their SHA-256, `settings` if any."""
        sha256 = local.weights_sha256(self.name) if self.is_local else None
        who = {"name": self.name, "base_url": self.base_url, "weights_sha256": sha256}
        return who | ({"settings": self.settings} if self.settings else {})

    @cached_property
    def _who(self) -> dict[str, Any]:
        """The part of the identity that replies are kept under: weights by their hash, wherever they lie."""
        return {k: v for k, v in self.identity.items() if v and not (self.is_local and k == "name")}

    @cached_property
    def _dry(self) -> Dry:
        """Makes replies up, where the store is a scratch one."""
        return Dry(self.store, self._who)

    @property
    def usage(self) -> dict[str, Any]:
        """The figures of `usage.Usage` as a plain dict."""
        return total(u for used in self._steps.values() for u in used)

    @property
    def steps(self) -> dict[str, dict[str, Any]]:
        """The usage of each step, by the name that `ask` and `choose` give it."""
        return {step: total(used) for step, used in self._steps.items()}

    def ask(
        self,
        messages: Iterable[Messages],
        schema: type[BaseModel] | None = None,
        temperature: float = 0,
        max_tokens: int | None = None,
        sample: int = 0,
        step: str = "asking",
        logprobs: bool = False,
    ) -> list[Reply]:
        """Ask all message lists, up to `max_in_flight` at once; the replies come in the order of the messages.

        Args:
            messages: one list of chat messages ({"role", "content"}) per item, from a sequence or a generator, which is
                read only as fast as replies come; equal ones are sent once.
            schema: a pydantic model; the reply is asked for in its JSON schema and validated. One that does not
                validate is asked again with the error, twice at most.
            temperature: of the sampling.
            max_tokens: most tokens of a reply; None leaves it to the endpoint.
            sample: number of the independent sample, for several replies to the same messages at temperature > 0; the
                embedded model is seeded with it.
            step: what the progress line and the usage call this.
            logprobs: ask for the log-probabilities of the reply's tokens, and of the 5 likeliest at each place; where
                the endpoint refuses them, the reply comes without.

        Returns:
            One Reply per item; a failed one says why in `failure`.

        Raises:
            UserError: no key, endpoint unreachable, model unknown there, disk full, offline and not recorded, or
                20 calls in a row got no reply. What was answered until then is kept.
        """
        settings = _settings(schema, temperature, max_tokens, sample)
        settings |= {"top_logprobs": TOP_OF_TEXT} if logprobs else {}
        return self._each(messages, lambda one: self._reply(one, schema, settings), step)

    def choose(
        self,
        messages: Iterable[Messages],
        options: Sequence[str] = ("A", "B"),
        step: str = "choosing",
    ) -> np.ndarray:
        """The probabilities of `choices` alone: array (n, options), each row summing to 1, or NaN."""
        return self.choices(messages, options, step).probabilities

    def choices(
        self,
        messages: Iterable[Messages],
        options: Sequence[str] = ("A", "B"),
        step: str = "choosing",
    ) -> Choices:
        """Probability that each option is the first token of the reply, normalized over the options.

        Only the 20 likeliest first tokens are known. An option that is not among them counts as 0 where another option
        is (it has at most the probability of the 20th); where none is, the row is NaN. `mass` says what the options had
        together before they were normalized: a choice from little of it says little.

        A model with `samples` is asked so many times at temperature 1 for one of the options in a JSON schema. An
        option's probability is its share of the replies that can be read, `mass` is their share of all. It comes in
        steps of 1 / samples, with the standard error sqrt(p (1 - p) / samples).

        Args:
            messages: as in `ask`.
            options: what the reply may be.
            step: as in `ask`.

        Returns:
            See `reply.Choices`; rows of NaN count as failed in `usage`, and so does each sample that can't be read.

        Raises:
            UserError: as in `ask`, or the endpoint offers no log-probabilities and the model has no `samples`.
        """
        if self.samples is None:
            settings = {"temperature": 0, "sample": 0, "max_tokens": 1, "top_logprobs": TOP_LOGPROBS}
            rows = self._each(messages, lambda one: self._chances(one, options, settings), step)
        else:
            rows = self._sampled(messages, options, step, self.samples)
        mass = np.array([row for row, _ in rows], dtype=float).reshape(-1, len(options))
        shares = np.array([normalized(row) for row in mass]).reshape(-1, len(options))
        return Choices(shares, mass.sum(axis=1), [failure for _, failure in rows])

    async def _chances(
        self, one: Messages, options: Sequence[str], settings: dict[str, Any]
    ) -> tuple[list[float], str | None]:
        """Each option's mass among the likeliest first tokens, and why there is none (or None)."""
        reply, *_ = await self._outcome(one, settings)
        text, _, failure = read(reply)
        # A refusal has no text, and says nothing of the endpoint.
        if refuses_logprobs(reply) or (first_token(reply) is None and (text or failure == CUT_OFF)):
            raise UserError(
                f"{self.name} offers no log-probabilities for choices: set `samples` (several replies to each item) "
                f"for it in params/{own.NAME}, or take another model"
            )
        mass, failure = chances(reply, options)
        self._batch.used.failed += failure is not None
        return mass, failure

    def _sampled(
        self, messages: Iterable[Messages], options: Sequence[str], step: str, samples: int
    ) -> list[tuple[list[float], str | None]]:
        """Each option's share of the samples, and why there is none (or None); all samples of all items at once."""
        schema = create_model("Choice", choice=(Literal[tuple(options)], ...))
        asked = ((one, k) for one in messages for k in range(samples))
        if isinstance(messages, Sized):
            asked = list(asked)
        replies = self._each(asked, lambda a: self._reply(a[0], schema, _settings(schema, 1, None, a[1])), step)
        rows = []
        for start in range(0, len(replies), samples):
            own = replies[start : start + samples]
            picks = [reply.value.choice for reply in own if reply.value]
            share = [picks.count(option) / samples for option in options]
            rows.append((share, None if picks else own[0].failure))
        return rows

    async def _reply(self, one: Messages, schema: type[BaseModel] | None, settings: dict[str, Any]) -> Reply:
        """The reply to one item, asked again where it does not validate; if none does, all are kept as failed."""
        cached, invalid = True, {}
        for _ in range(1 + REASKS):
            got, known, key = await self._answer(one, settings)
            text, value, failure = read(got, schema)
            cached &= known
            if not text or not failure or not failure.startswith(INVALID):
                break
            invalid[key] = failure
            again = load_template("repair").messages({"error": failure})
            one = [*one, {"role": "assistant", "content": text}, *again]
        else:
            self.store.fail(invalid)
        self._batch.used.failed += failure is not None
        return Reply(text, value, failure, cached, tokens(got) if "top_logprobs" in settings else None)

    async def _answer(self, messages: Messages, settings: dict[str, Any]) -> tuple[dict[str, Any], bool, str]:
        """As `_outcome`; where the endpoint refuses log-probabilities, without them."""
        plain = {field: value for field, value in settings.items() if field != "top_logprobs"}
        reply, cached, key = await self._outcome(messages, settings if self._offers_logprobs else plain)
        if "top_logprobs" in settings and refuses_logprobs(reply):
            self._offers_logprobs = False
            reply, known, key = await self._outcome(messages, plain)
            cached &= known
        return reply, cached, key

    def send(self, messages: Iterable[Messages], schema: type[BaseModel] | None = None, step: str = "sending") -> None:
        """Send through the Batch API what the store lacks, all at once, and wait until the replies are in the store.

        What is asked afterwards, by this model or by one without `batch`, is found there, but for what came back
        without a usable reply. However many there are, no more than a file of requests is in memory.

        Args:
            messages, schema: as in `ask`, read as fast as files can be brought to the endpoint.
            step: as in `ask`.

        Raises:
            UserError: as in `ask`. What is submitted goes on at the endpoint.
        """
        if self.store.scratch or self.store.offline:
            return  # nothing is sent; who asks afterwards is told
        settings = _settings(schema)

        async def run() -> None:
            self._batch = _Batch(self, step, None)
            self._steps[step].append(self._batch.used)
            try:
                await self._batch.send(self._request(one, settings) for one in messages)
            finally:
                await self._batch.close()

        with start_blocking_portal() as portal:
            portal.call(run)

    def _each(self, items: Iterable[S], work: Callable[[S], Awaitable[T]], step: str) -> list[T]:
        """`work` on every item, `max_in_flight` at once; the first error ends it all, what is committed is kept.

        In a thread with an event loop of its own, as a notebook's is running.
        """

        async def run() -> list[T]:
            queue, done, stopped = enumerate(items), {}, None
            self._batch = _Batch(self, step, len(items) if isinstance(items, Sized) else None)
            self._steps[step].append(self._batch.used)
            spare = iter(range(self.max_in_flight - 1))

            async def worker() -> None:
                for index, item in queue:  # shared by all workers: each takes the next
                    if next(spare, None) is not None:  # no more workers than items
                        group.create_task(worker())
                    done[index] = await work(item)
                    self._batch.progress.advance()

            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(worker())
            except* UserError as errors:
                stopped = errors.exceptions[0]
            finally:
                await self._batch.close()
            if stopped:
                raise stopped  # not from within the group, which a notebook would not show as the error of its cell
            return [done[index] for index in range(len(done))]

        with start_blocking_portal() as portal:
            return portal.call(run)

    def _request(self, messages: Messages, settings: dict[str, Any]) -> dict[str, Any]:
        """Whatever can change the reply, and nothing else; the user's settings are in `_who`, and replace ours."""
        ours = {field: value for field, value in settings.items() if field not in self.settings}
        return {"model": self._who, "messages": messages, **ours}

    async def _outcome(self, messages: Messages, settings: dict[str, Any]) -> tuple[dict[str, Any], bool, str]:
        """The reply to a request, whether it took no call of its own (it was there or under way), and its key."""
        request = self._request(messages, settings)
        text = canonical(request)
        key = key_of(text)
        if under_way := self._batch.under_way.get(key):
            reply, cached = (await asyncio.shield(under_way))[0], True
        elif stored := self.store.get(key):
            reply, cached = json.loads(stored.reply), True
        elif self.store.offline:
            raise UserError(f"offline, and no reply is recorded for {text[:500]} ...")
        else:
            reply, cached = await self._batch.call(key, text, request)
        self._batch.used.cached += cached
        return reply, cached, key


def _settings(
    schema: type[BaseModel] | None, temperature: float = 0, max_tokens: int | None = None, sample: int = 0
) -> dict[str, Any]:
    """The part of a request that says how to reply."""
    # 1 and 1.0 are one temperature, and must be one request.
    temperature = int(temperature) if temperature == int(temperature) else temperature
    settings: dict[str, Any] = {"temperature": temperature, "sample": sample}
    if max_tokens is not None:
        settings["max_tokens"] = max_tokens
    if schema is not None:
        tool = openai.pydantic_function_tool(schema)["function"]
        settings["schema"] = {"name": tool["name"], "schema": tool["parameters"]}
    return settings


def several(names: Sequence[str], store: Store | None = None) -> list[Model]:
    """Models by name, each as NAME or NAME@ADDRESS, over one store.

    Raises:
        UserError: one is named twice, so that its rows could not be told from the other's.
    """
    models = [Model(name, base_url or None, store) for name, _, base_url in (n.partition("@") for n in names)]
    no_twins(models)
    return models


def no_twins(models: Iterable[Model]) -> None:
    """See to it that each model has a name of its own, by which its rows in a table are known.

    Raises:
        UserError: two have one name.
    """
    names = [model.name for model in models]
    if twins := sorted({name for name in names if names.count(name) > 1}):
        raise UserError(f"two models are named {', '.join(twins)}, so that their rows would be one: give each its own")


class _Batch:
    """What one `ask` or `choose` needs while it runs: connection, calls under way by their key, usage."""

    def __init__(self, model: Model, step: str, items: int | None):
        self.model, self.used, self.over = model, Usage(), 0
        self.purse = Purse(model._budgets, model._price)
        self.progress = Calls(step, items, self.used, model=model._who, name=model.name)
        if model.store.scratch:
            self.connection = model._dry
        elif model.batch:
            self.connection = Batches(model.name, model.base_url, model.store, self._away)
        else:
            self.connection = Connection(model.name, model.base_url, model.max_in_flight)
        self.under_way: dict[str, asyncio.Task[tuple[dict[str, Any], bool]]] = {}

    async def call(self, key: str, text: str, request: dict[str, Any]) -> tuple[dict[str, Any], bool]:
        """Call, so that others who ask the same meanwhile wait for this reply; it is committed when this returns.

        Returns the reply, and whether another process that shares the store has got it.
        """
        self.progress.show()
        self.under_way[key] = asyncio.ensure_future(self._alone(key, text, request))
        try:
            return await self.under_way[key]
        finally:
            del self.under_way[key]

    async def _alone(self, key: str, text: str, request: dict[str, Any]) -> tuple[dict[str, Any], bool]:
        if self.model.batch:  # which sees to it itself, for a file at a time
            return await self._call(key, text, request), False
        async with self.model.store.locks.alone(key):
            if stored := self.model.store.get(key):
                return json.loads(stored.reply), True
            return await self._call(key, text, request), False

    async def _call(self, key: str, text: str, request: dict[str, Any]) -> dict[str, Any]:
        held, cost = await self.purse.start(request), None
        try:
            reply, keep, retries = await self.connection.call(request)
            if keep:
                # A commit takes 0.04 ms. Committing in groups was tried: it makes the workers go in step, which costs
                # a sixth of the throughput at 64 in flight.
                self.model.store.put([Stored(key, text, canonical(reply), read(reply)[2])])
            cost = self.used.count(reply, retries, self.model._price)
            return reply
        finally:
            self.used.booked += self.purse.settle(held, cost)

    def _away(self, done: int) -> None:
        """Show what is done at the endpoint, and what has come back for nobody yet."""
        self.progress.away(self.over + done)

    def _end(self, n: int) -> None:
        self.over += n

    async def send(self, requests: Iterable[dict[str, Any]]) -> None:
        """Bring requests that the store lacks into batches, wait for their end, and count what they used."""
        sent: dict[str, float] = {}  # what was held for each, by its key
        ends: Counter[asyncio.Task[Any]] = Counter()  # each with the number of requests that it is the end of
        for request in requests:
            key = key_of(canonical(request))
            if key in sent or self.model.store.get(key):
                continue
            self.progress.show()
            sent[key] = held = await self.purse.start(request)
            # The most it may cost: nobody tells before the batch has ended.
            self.used.booked += self.purse.settle(held, held)
            ends[await self.connection.submit(key, request)] += 1
        for end, n in ends.items():
            end.add_done_callback(lambda _, n=n: self._end(n))
        await asyncio.gather(*map(asyncio.shield, ends))
        for key, held in sent.items():
            if stored := self.model.store.get(key):
                cost = self.used.count(json.loads(stored.reply), 0, self.model._price)
                self.used.booked += self.purse.correct(held, held if cost is None else cost)

    async def close(self) -> None:
        """Take the progress away and close the connection."""
        self.progress.close()
        await self.connection.close()
