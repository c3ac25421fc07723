"""Ask a language model: `Model` holds its settings and makes its calls; a `Session` runs each ask."""

from collections.abc import Iterable, Mapping, Sequence, Sized
from functools import cached_property, partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from pydantic import BaseModel

from .. import UserError, local
from ..store import Store
from . import catalogue
from .asking.asked import Asked
from .asking.running import in_session
from .asking.session import Session, nth
from .cluster.shards import each
from .dialects.dialect import MOST_LOGPROBS
from .limits.budget import Budget
from .limits.sharing import of_run
from .limits.usage import Usage, total, workload
from .replies import schemas
from .replies.choices import MIN_MASS, SAMPLES, Choices, choice_schema, from_rows, sampled
from .replies.protocol import Messages, no_twins
from .replies.reply import Reply
from .transport.batches import MOST_WAITING
from .transport.reach import address

S = TypeVar("S")
T = TypeVar("T")

TOP_OF_TEXT = 3  # of each token of a whole reply: 20 would make a reply of 10 kB one of 50
ENDS_AT = 1024  # tokens of a reply of the embedded model that nothing else bounds: it would write on until its context
_FIRST_TOKEN = {"temperature": 0, "sample": 0, "max_tokens": 1, "top_logprobs": MOST_LOGPROBS}


class Model:
    """A language model behind an OpenAI-compatible endpoint, with the response store in front of it.

    No endpoint is contacted, and no key needed, before a reply is missing in the store. The key comes from
    OPENAI_API_KEY.

    Args:
        name: "local" for the embedded model, the path of another .gguf file, or the model's name at the endpoint. The
            attribute `name`, which pages and tables show, is "SmolLM2-135M-Instruct" for the first and the file's name
            for the second.
        base_url: the endpoint's address; None means OpenAI (or OPENAI_BASE_URL), or for a local name our own server.
        store: where replies are kept: a Store, or the path of one; None opens the default store.
        max_in_flight: the most requests that may wait for their reply at once.
        batch: send requests through the endpoint's Batch API, all at once: cheaper, and done within a day. If the
            process ends meanwhile, nothing is lost: the same calls made again fetch the replies.
        settings: further fields of every request, sent as they are, such as {"reasoning_effort": "low", "top_p": 0.9};
            None means the model's entry in params/models.yaml. Replies are kept under these settings. A field that we
            also set is replaced. `temperature` or `max_tokens` as None is left out, for models that refuse it.
        samples: for models without log-probabilities: the number of replies, sampled at temperature 1, behind each
            choice; None means the model's entry in params/models.yaml, or else log-probabilities.
        min_mass: the least probability that the options of a choice must have together, from 0 to 1; None means the
            model's entry in params/models.yaml, or else 0.5.
        max_calls: the most calls to make; None means any number. A reply from the store takes no call.
        max_cost: the most USD to spend, by params/prices.yaml; None means any amount. The most that each call in
            flight can cost is held back, so that batches may have to go out one after the other.
        budget: limits that this model shares with others that get the same object.
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
        min_mass: float | None = None,
        budget: Budget | None = None,
    ):
        self.is_local = base_url is None and local.is_embedded(name)
        self.name = local.real_name(name) if self.is_local else name
        self._given = name
        known = catalogue.settings(name)
        self.settings = catalogue.checked(known.settings if settings is None else settings)
        self.samples = known.samples if samples is None else samples
        self.min_mass = next(mass for mass in (min_mass, known.min_mass, MIN_MASS) if mass is not None)
        self.base_url = None if self.is_local else address(base_url)
        self.store = store if isinstance(store, Store) else Store(store)
        self.batch = batch  # below: the embedded server has one slot, in whose queue requests would time out
        self.max_in_flight = 1 if self.is_local else MOST_WAITING if batch else max_in_flight
        self._price = catalogue.FREE if self.is_local else catalogue.price(name)
        self._budgets = (of_run(), Budget(max_calls, max_cost), budget or Budget())
        _check(name, self.samples, self.min_mass, batch and self.is_local, self._price, self._budgets)
        self._steps: dict[str, list[Usage]] = {}

    @property
    def identity(self) -> dict[str, Any]:
        """Return what replies depend on: `_who`, and `dialect`, how the endpoint is asked otherwise than OpenAI, if."""
        differs = self._asked.found.present.differs
        return self._who | ({"dialect": differs} if differs else {})

    @property
    def dialect(self) -> list[str]:
        """Return in words how the endpoint has to be asked, as far as that was found out and differs from OpenAI."""
        return self._asked.found.present.said()

    @cached_property
    def _who(self) -> dict[str, Any]:
        """Return `name`, the address or for local weights their SHA-256, and `settings` if any."""
        sha256 = local.weights_sha256(self._given) if self.is_local else None
        who = {"name": self.name, "base_url": self.base_url, "weights_sha256": sha256}
        return who | ({"settings": self.settings} if self.settings else {})

    @cached_property
    def _asked(self) -> Asked:
        """Return what a session needs. Replies of local weights are kept under their hash, wherever the file is."""
        who = {k: v for k, v in self._who.items() if v and not (self.is_local and k == "name")}
        here = (self.settings, self.store, self.batch, self.max_in_flight, self._price, self._budgets, self.min_mass)
        return Asked(self.name, self._given, self.base_url, who, *here)

    @property
    def usage(self) -> dict[str, Any]:
        """Return the total usage so far: the fields of `usage.Usage` but `tokens_found`."""
        return total(u for used in list(self._steps.values()) for u in list(used))

    @property
    def workload(self) -> tuple[int, int]:
        """Return the calls and tokens of all asks so far, those of replies that took no call among them."""
        return workload(u for used in list(self._steps.values()) for u in list(used))

    @property
    def steps(self) -> dict[str, dict[str, Any]]:
        """Return the usage of each step, by the name given to `ask`, `choose`, `choices` or `send`."""
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
                read only as fast as replies come. Equal ones are sent once.
            schema: a pydantic model; the reply is asked for in its JSON schema and validated. One that is not valid is
                asked again, at most twice. Words asked for (`templates.text`) bound texts of the embedded model alone.
            temperature: of the sampling.
            max_tokens: the most tokens of a reply. None leaves it to the endpoint; the embedded model then ends a
                structured reply that has a text of any length at 1,024.
            sample: number of the independent sample, at temperature > 0; the embedded model uses it as its seed.
            step: the name of this ask in the progress line and in the usage.
            logprobs: ask for those of the reply's tokens and of the 3 likeliest at each place, if they are offered.

        Returns:
            One Reply per item; a failed one gives the reason in `failure`.

        Raises:
            UserError: no key, endpoint unreachable, model unknown there, disk full, offline and not recorded, or
                20 calls in a row got no reply. Replies received until then are kept.
        """
        settings = _settings(self.is_local, schema, temperature, max_tokens, sample)
        settings |= {"top_logprobs": TOP_OF_TEXT} if logprobs else {}
        work = partial(Session.reply, schema=schema, settings=settings)
        return each(self._asked, step, messages, self._count(step), work, lambda m: self._asked.request(m, settings))

    def choose(
        self, messages: Iterable[Messages], options: Sequence[str] = ("A", "B"), step: str = "choosing"
    ) -> np.ndarray:
        """Return the probabilities of `choices` alone: array (items x options), each row sums to 1 or is NaN."""
        return self.choices(messages, options, step).probabilities

    def choices(
        self, messages: Iterable[Messages], options: Sequence[str] = ("A", "B"), step: str = "choosing"
    ) -> Choices:
        """Return the probability that each option is the first token of the reply, normalized over the options.

        Only the 20 likeliest tokens are known; an option outside of them counts as 0. `mass` is the sum of the options'
        probabilities before normalization. Below `min_mass` the first token is no choice: the tokens that follow it
        or a thought may show one (see `choices.chances`), else 8 samples; else the row is NaN.

        A model with `samples` is asked that many times at temperature 1 for one of the options, in a JSON schema. An
        option's probability is its share of the valid replies, in steps of 1 / samples; no tokens show a `mass`.

        Args:
            messages, step: as in `ask`.
            options: what the reply may be.

        Returns:
            See `choices.Choices`. In `usage`, rows of NaN count as failed; of a model with `samples`, whose items are
            its samples, each invalid one.

        Raises:
            UserError: as in `ask`, or the endpoint offers no log-probabilities and the model has no `samples`.
        """
        schema = choice_schema(options)
        settings = [_settings(self.is_local, schema, 1, sample=k) for k in range(self.samples or SAMPLES)]
        if self.samples is None:
            look = partial(Session.chances, options=options, settings=_FIRST_TOKEN, samples=settings)
            first = lambda one: self._asked.request(one, _FIRST_TOKEN)  # noqa: E731
            return from_rows(each(self._asked, step, messages, self._count(step), look, first), options)
        asked: Iterable[tuple[Messages, int]] = ((one, k) for one in messages for k in range(len(settings)))
        asked = list(asked) if isinstance(messages, Sized) else asked  # the number of items is then known
        of_sample = lambda one: self._asked.request(one[0], settings[one[1]])  # noqa: E731
        work = partial(nth, schema=schema, settings=settings)
        replies = each(self._asked, step, asked, self._count(step), work, of_sample)
        return from_rows(sampled(replies, self.samples, options), options)

    def send(self, messages: Iterable[Messages], schema: type[BaseModel] | None = None, step: str = "sending") -> None:
        """Send through the Batch API what the store lacks, all at once, and wait until the replies are in the store.

        Later asks, of this model or of one without `batch`, find the replies there, except those that are unusable.
        Memory holds at most one file of requests, however many messages there are.

        Args:
            messages: as in `ask`; read as fast as files can be brought to the endpoint.
            schema, step: as in `ask`.

        Raises:
            UserError: as in `ask`. What is submitted goes on at the endpoint.
        """
        if self.store.scratch or self.store.offline:
            return  # nothing is sent; later asks are estimated, or say what is missing
        settings = _settings(self.is_local, schema)
        requests = (self._asked.request(one, settings) for one in messages)
        in_session(self._asked, step, None, self._count(step), lambda session: session.send(requests))

    def _count(self, step: str) -> Usage:
        """Return a new usage, to count what one ask of a step uses."""
        used = Usage()
        self._steps.setdefault(step, []).append(used)  # atomic, as several threads may ask
        return used


def _check(
    name: str,
    samples: int | None,
    min_mass: float,
    batch_here: bool,
    price: catalogue.Price | None,
    budgets: Sequence[Budget],
) -> None:
    """Check what was given for a model.

    Raises:
        UserError: it has no samples or no share as its least mass, runs here and is asked for batches, or has a limit
            of cost and no price.
    """
    if samples is not None and samples < 1:
        raise UserError(f"a choice can't be made of {samples} samples: take 1 or more")
    if not 0 <= min_mass <= 1:
        raise UserError(f"min_mass is a probability, not {min_mass}: take 0 to 1")
    if batch_here:
        raise UserError(f"the model '{name}' runs here, where there is no Batch API: leave out batch=True")
    if price is None and any(budget.limits()[1] is not None for budget in budgets):
        raise UserError(f"no price of '{name}' is known, which max_cost needs: add it to params/{catalogue.PRICES}")


def _settings(
    bounded: bool,
    schema: type[BaseModel] | None,
    temperature: float = 0,
    max_tokens: int | None = None,
    sample: int = 0,
) -> dict[str, Any]:
    """Return the part of a request that says how to reply, `bounded` so that every text ends."""
    # 1 and 1.0 are one temperature, and must be one request.
    temperature = int(temperature) if temperature == int(temperature) else temperature
    settings: dict[str, Any] = {"temperature": temperature, "sample": sample}
    if schema is not None:
        settings["schema"] = schemas.requested(schema, bounded)
        settings["words"] = schemas.words(schema)  # for made-up replies; they are no part of the request
        if bounded and max_tokens is None and schemas.endless(settings["schema"]):
            max_tokens = ENDS_AT
    if max_tokens is not None:
        settings["max_tokens"] = max_tokens
    return settings


def several(names: Sequence[str], store: Store | None = None) -> list[Model]:
    """Return models by name, each as NAME or NAME@ADDRESS, over one store.

    Raises:
        UserError: two have the same name, so that their rows in a table could not be told apart.
    """
    models = [Model(name, base_url or None, store) for name, _, base_url in (n.partition("@") for n in names)]
    no_twins(models)
    return models
