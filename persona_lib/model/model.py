"""Model: a language model's settings and calls. A `Session` runs each ask."""

import os
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence, Sized
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
import openai
from anyio.from_thread import start_blocking_portal
from pydantic import BaseModel, create_model

from .. import UserError, local
from ..store import Store
from . import catalogue
from .batches import MOST_WAITING
from .budget import Budget, of_run
from .choices import Choices, normalized
from .endpoint import OPENAI_URL
from .protocol import Messages, no_twins
from .reply import Reply
from .session import Asked, Session, length_of
from .usage import Usage, total

S, T = TypeVar("S"), TypeVar("T")

TOP_LOGPROBS = 20  # of a choice: the most that the API gives
TOP_OF_TEXT = 3  # of each token of a whole reply: more make a reply of 10 kB one of 50


class Model:
    """A language model behind an OpenAI-compatible endpoint, with the response store in front of it.

    Args:
        name: "local" for the embedded model, the path of another .gguf file, or the model's name at the endpoint.
        base_url: the endpoint's address; None means OpenAI (or OPENAI_BASE_URL), or for a local name our own server.
        store: where replies are kept: a Store, or the path of one; None opens the default store.
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
        store: Store | Path | str | None = None,
        max_in_flight: int = 64,
        batch: bool = False,
        max_calls: int | None = None,
        max_cost: float | None = None,
        settings: Mapping[str, Any] | None = None,
        samples: int | None = None,
        budget: Budget | None = None,
    ):
        self.name = name
        known = catalogue.settings(name)
        self.settings = catalogue.checked(known.settings if settings is None else settings)
        self.samples = known.samples if samples is None else samples
        if self.samples is not None and self.samples < 1:
            raise UserError(f"a choice can't be made of {samples} samples: take 1 or more")
        self.is_local = base_url is None and local.is_embedded(name)
        address = base_url or os.environ.get("OPENAI_BASE_URL") or OPENAI_URL
        self.base_url = None if self.is_local else address.rstrip("/")
        self.store = store if isinstance(store, Store) else Store(store)
        if batch and self.is_local:
            raise UserError(f"the model '{name}' runs here, where there is no Batch API: leave out batch=True")
        self.batch = batch
        # The embedded server has one slot: what waits in its queue would only run into the time-out.
        self.max_in_flight = 1 if self.is_local else MOST_WAITING if batch else max_in_flight
        self._price = catalogue.FREE if self.is_local else catalogue.price(name)
        self._budgets = (of_run(), Budget(max_calls, max_cost), budget or Budget())
        if self._price is None and any(b.max_cost is not None for b in self._budgets):
            raise UserError(f"no price of '{name}' is known, which max_cost needs: add it to params/{catalogue.PRICES}")
        self._steps: dict[str, list[Usage]] = {}

    @cached_property
    def identity(self) -> dict[str, Any]:
        """What the replies depend on: `name`, the address or for local weights their SHA-256, `settings` if any."""
        sha256 = local.weights_sha256(self.name) if self.is_local else None
        who = {"name": self.name, "base_url": self.base_url, "weights_sha256": sha256}
        return who | ({"settings": self.settings} if self.settings else {})

    @cached_property
    def _asked(self) -> Asked:
        """What a session needs. Replies are kept under the weights' hash, wherever local weights lie."""
        who = {k: v for k, v in self.identity.items() if v and not (self.is_local and k == "name")}
        limits = (self.batch, self.max_in_flight, self._price, self._budgets)
        return Asked(self.name, self.base_url, who, self.settings, self.store, *limits)

    @property
    def usage(self) -> dict[str, Any]:
        """The figures of `usage.Usage` as a plain dict."""
        return total(u for used in list(self._steps.values()) for u in list(used))

    @property
    def steps(self) -> dict[str, dict[str, Any]]:
        """The usage of each step, by the name that `ask` and `choose` give it."""
        return {step: total(used) for step, used in list(self._steps.items())}

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
        return self._each(messages, lambda session, one: session.reply(one, schema, settings), step)

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
            rows = self._each(messages, lambda session, one: session.chances(one, options, settings), step)
        else:
            rows = self._sampled(messages, options, step, self.samples)
        mass = np.array([row for row, _ in rows], dtype=float).reshape(-1, len(options))
        shares = np.array([normalized(row) for row in mass]).reshape(-1, len(options))
        return Choices(shares, mass.sum(axis=1), [failure for _, failure in rows])

    def _sampled(
        self, messages: Iterable[Messages], options: Sequence[str], step: str, samples: int
    ) -> list[tuple[list[float], str | None]]:
        """Each option's share of the samples, and why there is none (or None); all samples of all items at once."""
        schema = create_model("Choice", choice=(Literal[tuple(options)], ...))
        asked = ((one, k) for one in messages for k in range(samples))
        if isinstance(messages, Sized):
            asked = list(asked)
        replies = self._each(
            asked, lambda session, a: session.reply(a[0], schema, _settings(schema, 1, None, a[1])), step
        )
        rows = []
        for start in range(0, len(replies), samples):
            own = replies[start : start + samples]
            picks = [reply.value.choice for reply in own if reply.value]
            share = [picks.count(option) / samples for option in options]
            rows.append((share, None if picks else own[0].failure))
        return rows

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
            session = Session(self._asked, step, None, self._count(step))
            try:
                await session.send(self._asked.request(one, settings) for one in messages)
            finally:
                await session.close()

        with start_blocking_portal() as portal:
            portal.call(run)

    def _each(self, items: Iterable[S], work: Callable[[Session, S], Awaitable[T]], step: str) -> list[T]:
        """`work` on every item in a session, in a thread with an event loop of its own: a notebook's is running."""

        async def run() -> list[T]:
            session = Session(self._asked, step, length_of(items), self._count(step))
            try:
                return await session.each(items, lambda item: work(session, item))
            finally:
                await session.close()

        with start_blocking_portal() as portal:
            return portal.call(run)

    def _count(self, step: str) -> Usage:
        """A new count of what one ask of a step uses."""
        used = Usage()
        self._steps.setdefault(step, []).append(used)  # atomic, as several threads may ask
        return used


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
