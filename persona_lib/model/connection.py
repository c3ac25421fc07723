"""Send calls one by one, retried if that may help, at the pace that the endpoint allows.

All requests to a language model are sent from here, or in bulk from `batches`. A call ends in a reply that is worth
keeping, in an error that is not, or, if no further call can succeed, in an EndpointError.
"""

import asyncio
import random
import re
import time
from contextlib import suppress
from email.utils import parsedate_to_datetime
from typing import Any

import openai

from .. import EndpointError, LimitError
from .catalogue import LEFT_OUT, MODELS
from .dialect import lesson
from .endpoint import FINAL, TIMEOUT_S, Endpoint, is_completion, loaded, message
from .pace import Pace
from .reply import Outcome

RETRIES = 4  # of a call, after errors of transport and of the server
REFUSALS = 20  # of a call, because there are too many calls
FAILURES_IN_A_ROW = 20  # calls without any reply, after which the rest would fail too
MOST_BYTES = 4_000_000  # of a reply; a longer one answers nothing that is asked here
LONGEST_WAIT_S = 120.0
PATIENCE_S = 300.0  # with an endpoint that refuses every call because there are too many

# Errors that all requests would meet: stop at the first.
_FATAL = (openai.AuthenticationError, openai.PermissionDeniedError, openai.NotFoundError)

# How endpoints say that they do not accept a field.
_REFUSAL = re.compile(r"unsupported|not support|not allow|not permitted|deprecated|unknown|unrecogni[sz]ed", re.I)


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
        self._failures = 0  # calls in a row without any reply
        self._answered = False
        self._refused_since: float | None = None

    async def call(self, request: dict[str, Any]) -> Outcome:
        """Send a request (see `Model`) until it is answered, or until trying again makes no sense.

        Raises:
            EndpointError: no key, endpoint unreachable, key refused, model unknown, a field of all requests refused, 20
                calls in a row got no reply, or all calls were refused for five minutes.
            LimitError: the key's quota is used up.
        """
        client = await self._client()
        body = self._body(request)
        errors = refusals = 0
        while True:
            await self._pace.turn()
            try:
                reply = await self._sent(client, body)
            except _FATAL as error:
                if self._teaches(request, error):
                    return Outcome({"error": message(error)}, True, errors + refusals)
                raise EndpointError(f"{self.base_url or self.name} refuses '{self.name}': {message(error)}") from None
            except FINAL as error:
                if not self._answered and not self._teaches(request, error):
                    self._check_fields(error, request["model"].get("settings", {}))
                return Outcome({"error": message(error)}, True, errors + refusals)
            except (openai.APIError, TimeoutError, ValueError) as error:
                if isinstance(error, openai.InternalServerError) and self._teaches(request, error):
                    return Outcome({"error": message(error)}, True, errors + refusals)
                if self._is_refusal(error):
                    refusals += 1
                else:
                    errors += 1
                if errors > RETRIES or refusals > REFUSALS:
                    return self._failed(error, errors + refusals - 1)
                await asyncio.sleep(wait(error, errors + refusals))
            else:
                return Outcome(reply, True, errors + refusals)

    def _teaches(self, request: dict[str, Any], error: openai.APIStatusError) -> bool:
        """Return whether an error says that the endpoint does not take a field of a request, in whatever status."""
        known = not isinstance(error, openai.AuthenticationError) and "messages" in request and self.base_url
        return bool(known and lesson(request, {"error": message(error)}))

    async def _sent(self, client: openai.AsyncOpenAI, body: dict[str, Any]) -> dict[str, Any]:
        """Send a request once, note that it was answered, and return the reply.

        Raises:
            openai.APIError, TimeoutError, ValueError: there is no reply, or it can't be read.
        """
        began = time.monotonic()
        async with asyncio.timeout(TIMEOUT_S):  # the client's own time-out begins again with each byte that comes
            # `extra_body` goes out as it is: the client's own walk through a request takes a third of a call's CPU.
            raw = await client.chat.completions.with_raw_response.create(model=self.name, messages=[], extra_body=body)
        reply = _parsed(raw.text)
        self._note_answer(time.monotonic() - began)
        return reply

    def _note_answer(self, seconds: float) -> None:
        """Note that a call was answered after so many seconds."""
        self._pace.accepted(seconds)
        self._failures = 0
        self._refused_since = None
        self._answered = True

    def _is_refusal(self, error: Exception) -> bool:
        """Return whether the endpoint refused a call because there are too many; slow down if so.

        Raises:
            LimitError: the key's quota is used up.
            EndpointError: all calls were refused for too long.
        """
        if getattr(error, "code", None) == "insufficient_quota":
            raise LimitError(f"{self.base_url} has no more quota for this key: {message(error)}") from None
        if getattr(error, "status_code", None) not in (429, 503):
            return False
        self._pace.refused()
        self._check_patience(error)
        return True

    def _check_fields(self, error: Exception, own: dict[str, Any]) -> None:
        """Stop the ask if the endpoint refuses a field that is in every request, and say what to do about it."""
        said = message(error)
        if not _REFUSAL.search(said):
            return
        hints = {field: f"leave it out by '{field}: null' in" for field in LEFT_OUT if field not in own}
        hints |= {field: "change it in" for field, value in own.items() if value is not None}
        for field, hint in hints.items():
            if re.search(rf"\b{re.escape(field)}\b", said):
                raise EndpointError(
                    f"{self.base_url or self.name} refuses '{field}' for '{self.name}': {said}; {hint} its settings "
                    f"(params/{MODELS})"
                ) from None

    def _check_patience(self, error: Exception) -> None:
        """Stop the ask if the endpoint has refused every call for so long that more calls would not help."""
        now = time.monotonic()
        self._refused_since = self._refused_since or now
        if now - self._refused_since > PATIENCE_S:
            raise EndpointError(
                f"{self.base_url or self.name} has refused all calls for {PATIENCE_S:.0f} s: {message(error)}; "
                "the replies so far are kept: run it again to continue"
            ) from None

    def _failed(self, error: Exception, retries: int) -> Outcome:
        """Return the outcome of a call that got no reply; stop the ask if there are too many of them in a row."""
        self._failures += 1
        if self._failures >= FAILURES_IN_A_ROW:
            raise EndpointError(
                f"{self._failures} calls in a row got no reply, the last: {message(error)}; the replies so far are "
                "kept: run it again to continue"
            ) from None
        return Outcome({"error": f"no reply: {message(error)}"}, False, retries)


def _parsed(text: str) -> dict[str, Any]:
    """Return a completion's JSON, or {"error": reason} if it is too long.

    Raises:
        ValueError: the JSON is truncated, or is not a chat completion.
    """
    if len(text) > MOST_BYTES:
        return {"error": f"a reply of {len(text) / 1e6:.1f} MB is too long for an answer"}
    reply = loaded(text)
    if not is_completion(reply):
        raise ValueError(f"the reply is not a chat completion: {text[:100]}")
    return reply


def wait(error: Exception, tries: int) -> float:
    """Return the seconds until the next try: Retry-After if given, else half a second doubled per try, up to eight."""
    said = error.response.headers.get("retry-after") if isinstance(error, openai.APIStatusError) else None
    if said is not None:
        with suppress(ValueError):
            return min(LONGEST_WAIT_S, max(0.0, float(said)))
        with suppress(TypeError, ValueError):
            return min(LONGEST_WAIT_S, max(0.0, parsedate_to_datetime(said).timestamp() - time.time()))
    return min(8.0, 0.5 * 2 ** (tries - 1)) * random.uniform(0.75, 1.25)
