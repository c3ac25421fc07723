"""Open and check the openai client of an endpoint, write requests as it takes them, and read the JSON it sends."""

import asyncio
import json
import re
import ssl
from functools import cache
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit, urlunsplit

import httpx2  # the openai package's own
import openai

from ... import EndpointError, local
from ...store import canonical
from . import keys

OPENAI_URL = "https://api.openai.com/v1"
TIMEOUT_S = 600.0  # for a whole reply; large models think long
CONNECT_S = 10.0
AZURE_VERSION = "2024-10-21"  # the first stable one with JSON schemas, where the address names none

CHATS: Final = "/v1/chat/completions"  # as files of requests name it

# Errors of this one request. The endpoint would repeat them, so they are kept like a reply.
FINAL = (openai.BadRequestError, openai.UnprocessableEntityError)


_TAGS = re.compile(r"<!--.*?-->|<(style|script)\b.*?</\1\s*>|<[^<>]*>", re.I | re.S)  # of a page


@cache
def _certificates() -> ssl.SSLContext:
    """Return what checks an endpoint's certificate, as a client would make it: each one's own takes half its start."""
    return httpx2.create_ssl_context()


class Endpoint:
    """The endpoint of a model, opened and checked at the first call.

    Args:
        name: of the model: "local", a .gguf file, or its name at the endpoint; empty to list those only.
        base_url: the endpoint's address; None means the embedded server.
    """

    def __init__(self, name: str, base_url: str | None):
        self.name = name
        self.base_url = base_url
        self.listed: list[str] = []  # the models, once it is opened, of an endpoint that lists some
        self.doubtful = False  # where models are listed there is nothing, or a web page
        self._opened: asyncio.Task[openai.AsyncOpenAI] | None = None

    async def _client(self) -> openai.AsyncOpenAI:
        """Return the openai client, the same for all calls."""
        self._opened = self._opened or asyncio.ensure_future(self._open())
        return await asyncio.shield(self._opened)

    async def close(self) -> None:
        """Close the connection; one that is still being opened is given up, which closes it too."""
        if self._opened is None:
            return
        self._opened.cancel()  # does nothing once it is open
        (client,) = await asyncio.gather(self._opened, return_exceptions=True)
        if isinstance(client, openai.AsyncOpenAI):
            await client.close()

    async def _open(self) -> openai.AsyncOpenAI:
        """Return a new openai client, checked; start the embedded server if the model runs there."""
        deployment = azure(self.base_url, self.name)
        key = keys.api_key(keys.AZURE if deployment else keys.NAME)
        if not key and self.base_url == OPENAI_URL:
            raise EndpointError(
                f"no API key for {self.name}: set OPENAI_API_KEY or write it into .env, give a base_url, or use the "
                "model 'local'"
            )
        timeout = openai.Timeout(TIMEOUT_S, connect=CONNECT_S)
        http_client = openai.DefaultAioHttpClient(timeout=timeout, verify=_certificates())
        common: dict[str, Any] = {"max_retries": 0, "timeout": timeout, "http_client": http_client}
        if deployment:
            if not key:
                await http_client.aclose()
                raise EndpointError(f"no API key for {self.base_url}: set {keys.AZURE} or write it into .env")
            address, version = deployment
            return openai.AsyncAzureOpenAI(base_url=address, api_version=version, api_key=key, **common)
        address = self.base_url or self._served()
        client = openai.AsyncOpenAI(base_url=address, api_key=key or "none", **common)
        try:
            if self.base_url:
                await self._check(client)
        except BaseException:
            await client.close()
            raise
        return client

    def _served(self) -> str:
        """Return the address of the embedded server, started at first use."""
        return local.serve(local.gguf(self.name)).base_url

    async def _check(self, client: openai.AsyncOpenAI) -> None:
        """Fail early and clearly if no request can succeed."""
        try:
            models = client.with_options(max_retries=2, timeout=30).models
            text = (await models.with_raw_response.list()).text
        except (openai.AuthenticationError, openai.PermissionDeniedError) as error:
            raise EndpointError(f"{self.base_url} refuses: {message(error)}; check OPENAI_API_KEY") from None
        except openai.APIConnectionError as error:
            raise EndpointError(
                f"no answer from {self.base_url} ({message(error)}): is the server running, is the address right?"
            ) from None
        except openai.APIError as error:
            self.doubtful = isinstance(error, openai.NotFoundError)
            return  # an endpoint need not list its models
        self.doubtful, listed = is_page(text), entries(text)
        self.listed = sorted(entry["id"] for entry in listed)
        names = {name for entry in listed for name in [entry["id"], *_aliases(entry)]}
        alike = [name for name in names if name.endswith(f"/{self.name}") or self.name.endswith(f"/{name}")]
        if not self.name or not names or self.name in names:
            return
        if len(alike) == 1:
            self.name = alike[0]  # Gemini lists models/NAME, others OWNER/NAME
        else:
            known = ", ".join(sorted(names)[:10])
            raise EndpointError(f"{self.base_url} has no model '{self.name}'; it has {known}")

    def _body(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return the body that is sent for a request: its fields by the endpoint's names."""
        own = request["model"].get("settings", {})
        body: dict[str, Any] = {"model": self.name, "messages": request["messages"]}
        if "temperature" in request:
            body["temperature"] = request["temperature"]
        if self.base_url is None:  # without a seed llama.cpp takes another one each time, and a run would not repeat
            body["seed"] = request["sample"]
        if "max_completion_tokens" in request:
            body["max_completion_tokens"] = request["max_completion_tokens"]
        if "max_tokens" in request:
            # OpenAI has renamed the field; many compatible servers know only the old name.
            field = "max_completion_tokens" if self.base_url == OPENAI_URL else "max_tokens"
            body[field] = request["max_tokens"]
        if "top_logprobs" in request:
            body |= {"logprobs": True, "top_logprobs": request["top_logprobs"]}
        if "schema" in request and (form := request.get("format", "strict")) != "none":
            body["response_format"] = {"type": "json_object"} if form == "object" else self._schema(request, form)
        return body | {field: value for field, value in own.items() if value is not None}

    def line(self, key: str, request: dict[str, Any]) -> bytes:
        """Return a request as a line of a file of the Batch API, under its key."""
        line = {"custom_id": key, "method": "POST", "url": CHATS, "body": self._body(request)}
        return json.dumps(line, ensure_ascii=False).encode() + b"\n"

    def _schema(self, request: dict[str, Any], form: str) -> dict[str, Any]:
        """Return the response_format of a request: its JSON schema, `strict` or not."""
        schema = request["schema"]["schema"]
        strict = {"strict": True} if form == "strict" else {}
        sent = _without_lengths(schema) if self.base_url else schema
        return {"type": "json_schema", "json_schema": {"name": request["schema"]["name"], **strict, "schema": sent}}


def address_of(given: str) -> str:
    """Return an endpoint's address without what the client adds to it: a last slash, /chat/completions."""
    path, mark, query = given.strip().partition("?")
    return path.rstrip("/").removesuffix("/chat/completions").rstrip("/") + mark + query


def azure(base_url: str | None, name: str) -> tuple[str, str] | None:
    """Return the address of a deployment at Azure and the version of its API, or None for another endpoint.

    Args:
        base_url: https://X.openai.azure.com/openai/deployments/NAME, or only the resource, whose deployment is then
            the one with the model's name; either may end in ?api-version=...
        name: of the model.
    """
    parts = urlsplit(base_url or "")
    version = dict(parse_qsl(parts.query)).get("api-version", AZURE_VERSION)
    whole = urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/"), "", ""))
    if "/openai/deployments/" in parts.path:
        return whole, version
    at_azure = (parts.hostname or "").endswith((".openai.azure.com", ".cognitiveservices.azure.com"))
    if at_azure and parts.path.rstrip("/") in ("", "/openai"):
        return f"{whole.removesuffix('/openai')}/openai/deployments/{name}", version
    return None


def entries(text: str) -> list[dict[str, Any]]:
    """Return the models that an endpoint lists, each with its `id`; none if the text is no such list."""
    try:
        listed = loaded(text)
    except ValueError:
        return []
    listed = listed.get("data") if isinstance(listed, dict) else listed  # some send the bare list
    rows = listed if isinstance(listed, list) else []
    return [row for row in rows if isinstance(row, dict) and isinstance(row.get("id"), str)]


def _aliases(entry: dict[str, Any]) -> list[str]:
    """Return the other names of a model that is listed."""
    known = entry.get("aliases")
    return [name for name in known if isinstance(name, str)] if isinstance(known, list) else []


def is_page(text: str) -> bool:
    """Return whether an answer is a web page."""
    return text.lstrip().startswith("<")


def message(error: Exception) -> str:
    """Return an endpoint's error in one line, with its cause (a certificate, a refused connection), without headers."""
    said = getattr(error, "message", str(error))
    if isinstance(error, openai.APIStatusError) and re.fullmatch(r"Error code: \d+", said):
        said = " - ".join(filter(None, [said, words(error.body)]))  # the client reads one form of errors only
    texts = [f"{type(error).__name__}: {said}" if said else type(error).__name__]
    cause: BaseException | None = error
    while isinstance(cause, openai.APIConnectionError) and (cause := cause.__cause__):
        texts.append(str(cause))
    if isinstance(error, openai.APITimeoutError) and texts[1:] and "time" not in texts[-1].lower():
        texts = ["connection lost", texts[-1]]  # the client calls it a time-out
    return one_line(keys.hide(": ".join(texts)))


def words(body: Any) -> str:
    """Return what an error's body says: its message in whatever form, a page's words, or the JSON; may be empty."""
    if isinstance(body, list) and body:
        body = body[0]
    if isinstance(body, str):
        return " ".join(_TAGS.sub(" ", body).split())
    if isinstance(body, dict):
        for name in ("error", "message", "detail", "error_message", "msg"):
            if body.get(name):
                return words(body[name])
    return canonical(body) if body else ""


def one_line(text: str) -> str:
    """Return a text as one line of at most 300 characters that can be stored."""
    return " ".join(text.split())[:300].encode(errors="replace").decode()


def lean(part: dict[str, Any]) -> dict[str, Any]:
    """Return a part of a reply; a token with its log-probability without `id` and `bytes`, which repeat its text."""
    if "token" not in part or "logprob" not in part:
        return part
    return {k: v for k, v in part.items() if k not in ("id", "bytes")}


def loaded(text: str) -> Any:
    """Return an endpoint's JSON, with texts that can be stored.

    Raises:
        ValueError: the JSON is truncated or malformed.
    """
    try:
        value = json.loads(text, object_hook=lean)
    except RecursionError:
        raise ValueError("the reply is nested without end") from None
    # JSON may hold half of a surrogate pair, which can't be stored: it becomes a question mark.
    return json.loads(canonical(value).encode(errors="replace")) if "\\ud" in text.lower() else value


def completion(reply: Any) -> dict[str, Any] | None:
    """Return a reply that is a chat completion, or None.

    A usage that is no object and an error that says nothing are left out; of an error beside choices its words stay.
    """
    if not isinstance(reply, dict) or not isinstance(reply.get("choices"), list):
        return None
    told = {name: value for name, value in reply.items() if name not in ("usage", "error")}
    if isinstance(reply.get("usage"), dict | None) and "usage" in reply:
        told["usage"] = reply["usage"]
    return told | {"error": said} if (said := words(reply.get("error"))) else told


def _without_lengths(schema: Any) -> Any:
    """Return a schema without length bounds, which OpenAI's strict mode refuses; validation still checks them."""
    if isinstance(schema, dict):
        return {k: _without_lengths(v) for k, v in schema.items() if k not in ("maxLength", "minLength")}
    return [_without_lengths(v) for v in schema] if isinstance(schema, list) else schema
