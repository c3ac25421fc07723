"""Model: ask many message lists at once, or choose between options by log-probability.

The only module that talks to a language model's endpoint, always through the openai client: the embedded model, an
OpenAI-compatible server and OpenAI itself work the same, in a script and inside a running notebook. Every reply passes
through the response store and is committed before it is handed on. Used by every notebook that asks a model.
"""

import asyncio
import json
import math
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
import openai
from anyio.from_thread import start_blocking_portal
from pydantic import BaseModel
from tqdm import tqdm

from . import UserError, local
from .reply import Reply, first_token, probabilities, read
from .store import Store, Stored, canonical, key_of

Messages = list[dict[str, str]]

OPENAI_URL = "https://api.openai.com/v1"
TOP_LOGPROBS = 20  # the most that the API gives
RETRIES = 4  # the openai client waits between them and honours Retry-After
LOG_EVERY_S = 5.0

# What the endpoint says about this very request; it would say it again, so it is kept like a reply.
_FINAL = (openai.BadRequestError, openai.UnprocessableEntityError)
# What is wrong with all requests alike: stop at the first.
_FATAL = (openai.AuthenticationError, openai.PermissionDeniedError, openai.NotFoundError)


@dataclass
class Usage:
    """What a Model has used: calls made, replies found in the store, retries, failed items, tokens of the calls made.

    `tokens_cached` are those prompt tokens that the endpoint read from its own cache. `cost` in USD is None where no
    price is known.
    """

    calls: int = 0
    cached: int = 0
    retried: int = 0
    failed: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    tokens_cached: int = 0
    cost: float | None = None


class Model:
    """A language model behind an OpenAI-compatible endpoint, with the response store in front of it.

    Args:
        name: "local" for the embedded model, the path of another .gguf file, or the model's name at the endpoint.
        base_url: the endpoint's address; None means OpenAI (or OPENAI_BASE_URL), or for a local name our own server.
        store: where replies are kept; None opens the default store.
        max_in_flight: how many requests may wait for their reply at once.

    No endpoint is contacted, and no key needed, before a reply is missing in the store. The key comes from
    OPENAI_API_KEY.
    """

    def __init__(
        self, name: str = "local", base_url: str | None = None, store: Store | None = None, max_in_flight: int = 64
    ):
        self.name = name
        self.is_local = base_url is None and (name == "local" or name.endswith(".gguf"))
        self.base_url = None if self.is_local else base_url or os.environ.get("OPENAI_BASE_URL") or OPENAI_URL
        self.store = store or Store()
        # The embedded server has one slot: what waits in its queue would only run into the time-out.
        self.max_in_flight = 1 if self.is_local else max_in_flight
        self._used = Usage(cost=0.0 if self.is_local else None)
        self._checked = False

    @cached_property
    def identity(self) -> dict[str, str | None]:
        """What the replies depend on: `name` and the address, or for local weights their SHA-256."""
        if self.is_local:
            return {"name": self.name, "base_url": None, "weights_sha256": local.weights_sha256(self.name)}
        return {"name": self.name, "base_url": self.base_url, "weights_sha256": None}

    @property
    def usage(self) -> dict[str, Any]:
        """The figures of `Usage` as a plain dict."""
        return asdict(self._used)

    def ask(
        self,
        messages: Sequence[Messages],
        schema: type[BaseModel] | None = None,
        temperature: float = 0,
        max_tokens: int | None = None,
        sample: int = 0,
        step: str = "asking",
    ) -> list[Reply]:
        """Ask all message lists, up to `max_in_flight` at once; the replies come in the order of the messages.

        Args:
            messages: one list of chat messages ({"role", "content"}) per item; equal ones are sent once.
            schema: a pydantic model; the reply is asked for in its JSON schema and validated.
            temperature: of the sampling.
            max_tokens: most tokens of a reply; None leaves it to the endpoint.
            sample: number of the independent sample, for several replies to the same messages at temperature > 0.
            step: what the progress line calls this.

        Returns:
            One Reply per item; a failed one says why in `failure`.

        Raises:
            UserError: no key, endpoint unreachable, model unknown there, disk full, or offline and not recorded.
        """
        settings: dict[str, Any] = {"temperature": temperature, "sample": sample}
        if max_tokens is not None:
            settings["max_tokens"] = max_tokens
        if schema is not None:
            tool = openai.pydantic_function_tool(schema)["function"]
            settings["schema"] = {"name": tool["name"], "schema": tool["parameters"]}
        outcomes = self._outcomes([self._request(m, settings) for m in messages], step)
        replies = [Reply(*read(json.loads(stored.reply), schema), cached) for stored, cached in outcomes]
        self._used.failed += sum(r.failure is not None for r in replies)
        return replies

    def choose(
        self, messages: Sequence[Messages], options: Sequence[str] = ("A", "B"), step: str = "choosing"
    ) -> np.ndarray:
        """Probability that each option is the first token of the reply, normalized over the options.

        Returns:
            Array (n, options), each row summing to 1; a row of NaN where the endpoint gave no reply or none of the
            options is among the 20 likeliest first tokens (such rows count as failed in `usage`).

        Raises:
            UserError: as in `ask`, or the endpoint offers no log-probabilities (found out with the first item).
        """
        settings = {"temperature": 0, "sample": 0, "max_tokens": 1, "top_logprobs": TOP_LOGPROBS}
        requests = [self._request(m, settings) for m in messages]
        outcomes = self._outcomes(requests[:1], step)
        first = json.loads(outcomes[0][0].reply) if outcomes else {}
        if "choices" in first and first_token(first) is None:
            raise UserError(f"{self.name} offers no log-probabilities: use `ask`, or another model, for choices")
        outcomes += self._outcomes(requests[1:], step)
        rows = [probabilities(json.loads(stored.reply), options) for stored, _ in outcomes]
        self._used.failed += sum(math.isnan(row[0]) for row in rows)
        return np.array(rows).reshape(-1, len(options))

    def _request(self, messages: Messages, settings: dict[str, Any]) -> str:
        """The canonical request: whatever can change the reply, and nothing else."""
        who = {k: v for k, v in self.identity.items() if v is not None and not (self.is_local and k == "name")}
        return canonical({"model": who, "messages": messages, **settings})

    def _outcomes(self, requests: list[str], step: str) -> list[tuple[Stored, bool]]:
        """The outcome of each request and whether the store had it; what it lacks is asked, equal requests once."""
        keys = [key_of(r) for r in requests]
        known = {key: self.store.get(key) for key in dict.fromkeys(keys)}
        missing = {key: request for key, request in zip(keys, requests, strict=True) if known[key] is None}
        self._used.cached += len(requests) - len(missing)
        if missing and self.store.offline:
            raise UserError(f"offline, and no reply is recorded for {next(iter(missing.values()))[:500]} ...")
        called: dict[str, Stored] = {}
        if missing:
            with start_blocking_portal() as portal:  # its own thread and event loop, as a notebook's is running
                portal.call(self._call_all, missing, called, step)
        return [(called[key], False) if key in called else (known[key], True) for key in keys]

    async def _call_all(self, missing: dict[str, str], called: dict[str, Stored], step: str) -> None:
        """Call for each missing request, `max_in_flight` at once, committing each reply as it comes."""
        queue = iter(missing.items())
        progress = _Progress(step, len(missing))

        async def worker(client: openai.AsyncOpenAI) -> None:
            for key, request in queue:  # shared by all workers: each takes the next
                stored, keep = await self._call(client, key, request)
                if keep:
                    self.store.put([stored])
                called[key] = stored
                progress.advance()

        try:
            async with self._client() as client:
                await self._check(client)
                async with asyncio.TaskGroup() as group:
                    for _ in range(min(self.max_in_flight, len(missing))):
                        group.create_task(worker(client))
        except* UserError as errors:
            raise errors.exceptions[0] from None
        finally:
            progress.close()

    def _client(self) -> openai.AsyncOpenAI:
        """The openai client for this model; starts the embedded server if it is the one."""
        key = os.environ.get("OPENAI_API_KEY")
        if not key and self.base_url == OPENAI_URL:
            raise UserError(
                f"no API key for {self.name}: set OPENAI_API_KEY, give --base-url, or use the model 'local'"
            )
        base_url = local.serve(local.gguf(self.name)).base_url if self.is_local else self.base_url
        http_client = openai.DefaultAioHttpClient()
        return openai.AsyncOpenAI(
            base_url=base_url, api_key=key or "none", max_retries=RETRIES, http_client=http_client
        )

    async def _check(self, client: openai.AsyncOpenAI) -> None:
        """Fail early and clearly where no request can succeed."""
        if self._checked or self.is_local:
            return
        try:
            listed = [m.model_dump() async for m in client.with_options(max_retries=1).models.list()]
        except openai.NotFoundError:
            listed = []  # an endpoint need not list its models
        except openai.APIConnectionError as error:
            raise UserError(f"no answer from {self.base_url}: is the server running, is the address right?") from error
        except openai.APIStatusError as error:
            raise UserError(f"{self.base_url} refuses: {_message(error)}; check OPENAI_API_KEY") from error
        names = {n for m in listed for n in [m["id"], *(m.get("aliases") or [])]}
        if names and self.name not in names:
            known = ", ".join(sorted(names)[:10])
            raise UserError(f"{self.base_url} has no model '{self.name}'; it has {known}")
        self._checked = True

    async def _call(self, client: openai.AsyncOpenAI, key: str, request: str) -> tuple[Stored, bool]:
        """One call: its outcome, and whether it is to be kept (errors of transport are not)."""
        body = self._body(json.loads(request))
        self._used.calls += 1
        try:
            raw = await client.chat.completions.with_raw_response.create(**body)
            reply, keep = json.loads(raw.text), True
            self._used.retried += raw.retries_taken
            self._count(reply.get("usage") or {})
        except _FATAL as error:
            raise UserError(f"{self.base_url or self.name} refuses '{self.name}': {_message(error)}") from error
        except _FINAL as error:
            reply, keep = {"error": _message(error)}, True
        except openai.APIError as error:
            reply, keep = {"error": f"no reply: {_message(error)}"}, False
            self._used.retried += RETRIES
        except ValueError as error:
            reply, keep = {"error": f"the reply is no JSON: {error}"}, False
        return Stored(key, request, canonical(reply), read(reply)[2]), keep

    def _body(self, request: dict[str, Any]) -> dict[str, Any]:
        """The request as the openai client takes it."""
        body = {"model": self.name, "messages": request["messages"], "temperature": request["temperature"]}
        if "max_tokens" in request:
            # OpenAI has renamed it; many compatible servers know only the old name.
            body["max_completion_tokens" if self.base_url == OPENAI_URL else "max_tokens"] = request["max_tokens"]
        if "top_logprobs" in request:
            body |= {"logprobs": True, "top_logprobs": request["top_logprobs"]}
        if "schema" in request:
            schema = request["schema"]["schema"] if self.is_local else _without_lengths(request["schema"]["schema"])
            named = {"name": request["schema"]["name"], "schema": schema, "strict": True}
            body["response_format"] = {"type": "json_schema", "json_schema": named}
        return body

    def _count(self, usage: dict[str, Any]) -> None:
        self._used.tokens_in += usage.get("prompt_tokens") or 0
        self._used.tokens_out += usage.get("completion_tokens") or 0
        self._used.tokens_cached += (usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0


def _without_lengths(schema: Any) -> Any:
    """The schema without length bounds, which OpenAI's strict mode refuses; validation still holds them."""
    if isinstance(schema, dict):
        return {k: _without_lengths(v) for k, v in schema.items() if k not in ("maxLength", "minLength")}
    return [_without_lengths(v) for v in schema] if isinstance(schema, list) else schema


def _message(error: openai.APIError) -> str:
    """An endpoint's error in one line, without headers."""
    return " ".join(f"{type(error).__name__}: {error.message}".split())[:300]


class _Progress:
    """How far a batch of calls is: a bar in a terminal or notebook, log lines elsewhere, a file for a run to follow."""

    def __init__(self, step: str, total: int):
        self.step, self.total, self.done, self.logged = step, total, 0, time.monotonic()
        self.file = os.environ.get("PERSONA_PROGRESS")
        notebook = type(sys.stderr).__module__.startswith("ipykernel")
        drawn = not self.file and (sys.stderr.isatty() or notebook)
        self.bar = tqdm(total=total, desc=step, unit="call", leave=False) if drawn else None
        self._log()

    def advance(self) -> None:
        self.done += 1
        if self.bar is not None:
            self.bar.update()
        elif self.file or self.done == self.total or time.monotonic() - self.logged > LOG_EVERY_S:
            self._log()

    def _log(self) -> None:
        if self.file:
            with open(self.file, "a", encoding="utf-8") as file:
                file.write(json.dumps({"step": self.step, "done": self.done, "total": self.total}) + "\n")
        elif self.bar is None:
            self.logged = time.monotonic()
            print(f"{self.step}: {self.done} of {self.total} calls", file=sys.stderr, flush=True)

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()
