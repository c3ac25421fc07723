"""Connection: calls to one endpoint, retried where that helps, at the pace that the endpoint allows.

Whatever is sent to a language model goes from here, or in bulk from `batch`, through the openai client. A call ends in
a reply that is worth keeping, in an error that is not, or, where no further call can succeed, in a UserError. Used by
`Model`.
"""

import asyncio
import json
import random
import re
import time
from email.utils import parsedate_to_datetime
from typing import Any

import openai

from . import UserError, keys, local
from .pace import Pace
from .reply import Outcome
from .settings import LEFT_OUT, NAME
from .store import canonical

OPENAI_URL = "https://api.openai.com/v1"
RETRIES = 4  # after errors of transport and of the server
REFUSALS = 20  # how often one call may be told that there are too many
FAILURES_IN_A_ROW = 20  # calls without any reply, after which the rest would fail too
TIMEOUT_S = 600.0  # for a whole reply; large models think long
CONNECT_S = 10.0
MOST_BYTES = 4_000_000  # of a reply; a longer one is no answer to anything asked here
LONGEST_WAIT_S = 120.0
PATIENCE_S = 300.0  # with an endpoint that only ever says that there are too many calls

# What the endpoint says about this very request; it would say it again, so it is kept like a reply.
FINAL = (openai.BadRequestError, openai.UnprocessableEntityError)
# What is wrong with all requests alike: stop at the first.
_FATAL = (openai.AuthenticationError, openai.PermissionDeniedError, openai.NotFoundError)

# How endpoints word that they don't take a field.
_REFUSAL = re.compile(r"unsupported|not support|not allow|not permitted|deprecated|unknown|unrecogni[sz]ed", re.I)


class Endpoint:
    """The endpoint of a model, opened at the first call and checked then.

    Args:
        name: of the model: "local", a .gguf file, or its name at the endpoint.
        base_url: the endpoint's address; None means the embedded server.
    """

    def __init__(self, name: str, base_url: str | None):
        self.name, self.base_url = name, base_url
        self._opened: asyncio.Task[openai.AsyncOpenAI] | None = None

    async def _client(self) -> openai.AsyncOpenAI:
        """The openai client, the same for all calls."""
        self._opened = self._opened or asyncio.ensure_future(self._open())
        return await asyncio.shield(self._opened)

    async def close(self) -> None:
        """Close the connection, if it was opened."""
        if self._opened and self._opened.done() and not self._opened.exception():
            await self._opened.result().close()

    async def _open(self) -> openai.AsyncOpenAI:
        """The openai client, checked; starts the embedded server if it is the one."""
        key = keys.api_key()
        if not key and self.base_url == OPENAI_URL:
            raise UserError(
                f"no API key for {self.name}: set OPENAI_API_KEY or write it into .env, give a base_url, or use the "
                "model 'local'"
            )
        base_url = self.base_url or local.serve(local.gguf(self.name)).base_url
        timeout = openai.Timeout(TIMEOUT_S, connect=CONNECT_S)
        http_client = openai.DefaultAioHttpClient(timeout=timeout)
        client = openai.AsyncOpenAI(
            base_url=base_url, api_key=key or "none", max_retries=0, timeout=timeout, http_client=http_client
        )
        try:
            if self.base_url:
                await self._check(client)
        except BaseException:
            await client.close()
            raise
        return client

    async def _check(self, client: openai.AsyncOpenAI) -> None:
        """Fail early and clearly where no request can succeed."""
        try:
            listed = [m.model_dump() async for m in client.with_options(max_retries=2, timeout=30).models.list()]
        except (openai.AuthenticationError, openai.PermissionDeniedError) as error:
            raise UserError(f"{self.base_url} refuses: {message(error)}; check OPENAI_API_KEY") from None
        except openai.APIConnectionError as error:
            raise UserError(
                f"no answer from {self.base_url} ({message(error)}): is the server running, is the address right?"
            ) from None
        except openai.APIError:
            return  # an endpoint need not list its models
        names = {n for m in listed for n in [m["id"], *(m.get("aliases") or [])]}
        if names and self.name not in names:
            known = ", ".join(sorted(names)[:10])
            raise UserError(f"{self.base_url} has no model '{self.name}'; it has {known}")

    def _body(self, request: dict[str, Any]) -> dict[str, Any]:
        """The request as the openai client takes it."""
        own = request["model"].get("settings", {})
        body = {"model": self.name, "messages": request["messages"]}
        if "temperature" in request:
            body["temperature"] = request["temperature"]
        if self.base_url is None:  # by itself llama.cpp takes another seed each time, and a run would not repeat
            body["seed"] = request["sample"]
        if "max_tokens" in request:
            # OpenAI has renamed it; many compatible servers know only the old name.
            body["max_completion_tokens" if self.base_url == OPENAI_URL else "max_tokens"] = request["max_tokens"]
        if "top_logprobs" in request:
            body |= {"logprobs": True, "top_logprobs": request["top_logprobs"]}
        if "schema" in request:
            schema = request["schema"]["schema"]
            named = {"name": request["schema"]["name"], "strict": True}
            named["schema"] = _without_lengths(schema) if self.base_url else schema
            body["response_format"] = {"type": "json_schema", "json_schema": named}
        return body | {field: value for field, value in own.items() if value is not None}


class Connection(Endpoint):
    """Calls one by one, as many at once as the endpoint allows.

    Args:
        name: of the model.
        base_url: the endpoint's address; None means the embedded server.
        max_in_flight: the most requests that may wait for their reply at once.
    """

    def __init__(self, name: str, base_url: str | None, max_in_flight: int):
        super().__init__(name, base_url)
        self._pace = Pace(max_in_flight)
        self._failures = 0
        self._answered = False
        self._refused_since: float | None = None

    async def call(self, request: dict[str, Any]) -> Outcome:
        """Send a request (see `Model`) until it is answered, or will not be.

        Raises:
            UserError: no key, endpoint unreachable, key refused, model unknown, a field of all requests refused, 20
                calls in a row got no reply, or for five minutes all calls were refused.
        """
        send, body = (await self._client()).chat.completions.with_raw_response.create, self._body(request)
        errors = refusals = 0
        while True:
            await self._pace.turn()
            began = time.monotonic()
            try:
                async with asyncio.timeout(TIMEOUT_S):  # the client's own begins anew with each byte that comes
                    # As `extra_body` it goes out as it is; the client's walk through it takes a third of a call's CPU.
                    raw = await send(model=self.name, messages=[], extra_body=body)
                reply = _parsed(raw.text)
            except _FATAL as error:
                if "top_logprobs" in request and "logprob" in message(error):  # the model is there, they are not
                    return Outcome({"error": message(error)}, True, errors + refusals)
                raise UserError(f"{self.base_url or self.name} refuses '{self.name}': {message(error)}") from None
            except FINAL as error:
                if not self._answered:
                    self._check_fields(error, request["model"].get("settings", {}))
                return Outcome({"error": message(error)}, True, errors + refusals)
            except (openai.APIError, TimeoutError, ValueError) as error:
                if getattr(error, "code", None) == "insufficient_quota":
                    raise UserError(f"{self.base_url} has no more quota for this key: {message(error)}") from None
                refused = getattr(error, "status_code", None) in (429, 503)
                refusals, errors = refusals + refused, errors + (not refused)
                if refused:
                    self._pace.refused()
                    self._check_patience(error)
                if errors > RETRIES or refusals > REFUSALS:
                    return self._failed(error, errors + refusals - 1)
                await asyncio.sleep(wait(error, errors + refusals))
            else:
                self._pace.accepted(time.monotonic() - began)
                self._failures, self._refused_since, self._answered = 0, None, True
                return Outcome(reply, True, errors + refusals)

    def _check_fields(self, error: Exception, own: dict[str, Any]) -> None:
        """End it all where the endpoint refuses a field that is in every request, and say what to do about it."""
        said = message(error)
        if not _REFUSAL.search(said):
            return
        sent = {field: "change it in" for field, value in own.items() if value is not None}
        hints = {field: f"leave it out by '{field}: null' in" for field in LEFT_OUT if field not in own} | sent
        for field, hint in hints.items():
            if re.search(rf"\b{re.escape(field)}\b", said):
                raise UserError(
                    f"{self.base_url or self.name} refuses '{field}' for '{self.name}': {said}; {hint} its settings "
                    f"(params/{NAME})"
                ) from None

    def _check_patience(self, error: Exception) -> None:
        """End it all where an endpoint refuses every call for so long that more of them would not help."""
        now = time.monotonic()
        self._refused_since = self._refused_since or now
        if now - self._refused_since > PATIENCE_S:
            raise UserError(
                f"{self.base_url or self.name} has refused all calls for {PATIENCE_S:.0f} s: {message(error)}; "
                "what was answered is kept, the same command goes on from there"
            ) from None

    def _failed(self, error: Exception, retries: int) -> Outcome:
        """The outcome of a call that got no reply; too many of them in a row end it all."""
        self._failures += 1
        if self._failures >= FAILURES_IN_A_ROW:
            raise UserError(
                f"{self._failures} calls in a row got no reply, the last: {message(error)}; what was answered is kept, "
                "the same command goes on from there"
            ) from None
        return Outcome({"error": f"no reply: {message(error)}"}, False, retries)


def message(error: Exception) -> str:
    """An endpoint's error in one line, with its cause (a certificate, a refused connection), without headers."""
    said = getattr(error, "message", str(error))
    texts = [f"{type(error).__name__}: {said}" if said else type(error).__name__]
    while isinstance(error, openai.APIConnectionError) and (error := error.__cause__):
        texts.append(str(error))
    return one_line(keys.hide(": ".join(texts)))


def one_line(text: str) -> str:
    """An error's text in one line of bounded length, which can be kept."""
    return " ".join(text.split())[:300].encode(errors="replace").decode()


def lean(part: dict[str, Any]) -> dict[str, Any]:
    """A part of a reply; a token with its log-probability without its number and bytes, which say the same again."""
    twice = ("id", "bytes") if "token" in part and "logprob" in part else ()
    return {k: v for k, v in part.items() if k not in twice} if twice else part


def _parsed(text: str) -> dict[str, Any]:
    """A completion's JSON.

    Raises:
        ValueError: it is truncated or none.
    """
    if len(text) > MOST_BYTES:
        return {"error": f"a reply of {len(text) / 1e6:.1f} MB is none to what was asked"}
    reply = loaded(text)
    if not is_completion(reply):
        raise ValueError(f"the reply is no chat completion: {text[:100]}")
    return reply


def loaded(text: str) -> Any:
    """An endpoint's JSON, whose texts can be kept.

    Raises:
        ValueError: it is truncated or none.
    """
    try:
        value = json.loads(text, object_hook=lean)
    except RecursionError:
        raise ValueError("the reply is nested without end") from None
    # Half of a surrogate pair is JSON, but no text that could be kept.
    return json.loads(canonical(value).encode(errors="replace")) if "\\ud" in text.lower() else value


def is_completion(reply: Any) -> bool:
    """Whether a reply has the form of a chat completion."""
    kinds = {"choices": list, "usage": dict | None}
    return isinstance(reply, dict) and all(isinstance(reply.get(k), kind) for k, kind in kinds.items())


def wait(error: Exception, tries: int) -> float:
    """Seconds before the next try: what Retry-After says, else half a second doubled each time, up to eight."""
    said = error.response.headers.get("retry-after") if isinstance(error, openai.APIStatusError) else None
    try:
        return min(LONGEST_WAIT_S, max(0.0, float(said)))
    except (TypeError, ValueError):
        pass
    try:
        return min(LONGEST_WAIT_S, max(0.0, parsedate_to_datetime(said).timestamp() - time.time()))
    except (TypeError, ValueError):
        return min(8.0, 0.5 * 2 ** (tries - 1)) * random.uniform(0.75, 1.25)


def _without_lengths(schema: Any) -> Any:
    """The schema without length bounds, which OpenAI's strict mode refuses; validation still holds them."""
    if isinstance(schema, dict):
        return {k: _without_lengths(v) for k, v in schema.items() if k not in ("maxLength", "minLength")}
    return [_without_lengths(v) for v in schema] if isinstance(schema, list) else schema
