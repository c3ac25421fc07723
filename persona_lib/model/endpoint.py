"""An endpoint: the openai client opened and checked, requests as it takes them, what it sends as JSON or one line."""

import asyncio
import json
from typing import Any

import openai

from .. import UserError, local
from ..store import canonical
from . import keys

OPENAI_URL = "https://api.openai.com/v1"
TIMEOUT_S = 600.0  # for a whole reply; large models think long
CONNECT_S = 10.0

# What the endpoint says about this very request; it would say it again, so it is kept like a reply.
FINAL = (openai.BadRequestError, openai.UnprocessableEntityError)


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


def _without_lengths(schema: Any) -> Any:
    """The schema without length bounds, which OpenAI's strict mode refuses; validation still holds them."""
    if isinstance(schema, dict):
        return {k: _without_lengths(v) for k, v in schema.items() if k not in ("maxLength", "minLength")}
    return [_without_lengths(v) for v in schema] if isinstance(schema, list) else schema
