"""A connection: calls one by one, retried where that helps, at the pace that the endpoint allows.

All requests to a language model are sent from here, or in bulk from `batches`. A call ends in a reply that is worth
keeping, in an error that is not, or, where no further call can succeed, in a UserError.
"""

import asyncio
import random
import re
import time
from email.utils import parsedate_to_datetime
from typing import Any

import openai

from .. import UserError
from .catalogue import LEFT_OUT, MODELS
from .endpoint import FINAL, TIMEOUT_S, Endpoint, is_completion, loaded, message
from .pace import Pace
from .reply import Outcome

RETRIES = 4  # after errors of transport and of the server
REFUSALS = 20  # how often one call may be told that there are too many
FAILURES_IN_A_ROW = 20  # calls without any reply, after which the rest would fail too
MOST_BYTES = 4_000_000  # of a reply; a longer one is no answer to anything asked here
LONGEST_WAIT_S = 120.0
PATIENCE_S = 300.0  # with an endpoint that only ever says that there are too many calls

# What is wrong with all requests alike: stop at the first.
_FATAL = (openai.AuthenticationError, openai.PermissionDeniedError, openai.NotFoundError)

# How endpoints word that they don't take a field.
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
                    f"(params/{MODELS})"
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
