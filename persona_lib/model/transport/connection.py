"""Send calls one by one, retried if that may help, at the pace that the endpoint allows.

All requests to a language model are sent from here, or in bulk from `batches`. A call ends in a reply that is worth
keeping, in an error that is not, or, if no further call can succeed, in an EndpointError.
"""

import asyncio
import math
import random
import re
import sys
import time
from collections.abc import Mapping
from typing import Any

import openai

from ... import EndpointError, LimitError
from ...store import Store
from ..catalogue import LEFT_OUT, MODELS
from ..dialects.lessons import lesson
from ..limits import quota
from ..limits.pace import turn
from ..limits.sharing import keep, of_endpoint
from ..replies.reply import Outcome
from . import keys
from .endpoint import FINAL, TIMEOUT_S, Endpoint, completion, is_page, loaded, message, one_line, words

RETRIES = 4  # of a call, after errors of transport and of the server
REFUSALS = 20  # of a call, because there are too many calls
FAILURES_IN_A_ROW = 20  # calls without any reply, after which the rest would fail too
STRANGE = 8  # first answers that are no chat completions, after which the rest would be none either ...
PAGES = 5  # ... and those that do not even name an error, such as web pages
MOST_BYTES = 4_000_000  # of a reply; a longer one answers nothing that is asked here
LONGEST_WAIT_S = 900.0  # that an endpoint may ask for; a longer wait ends the run, which goes on later
TOLD_S = 30.0  # a longer wait is told
PATIENCE_S = 300.0  # with an endpoint that refuses every call because there are too many

# Errors that all requests would meet: stop at the first.
_FATAL = (openai.AuthenticationError, openai.PermissionDeniedError, openai.NotFoundError)

# Errors that some endpoints send with status 200, by the status that they name.
_IN_A_REPLY = {
    400: openai.BadRequestError,
    402: openai.APIStatusError,
    422: openai.UnprocessableEntityError,
    429: openai.RateLimitError,
}

# How endpoints say that they do not accept a field.
_REFUSAL = re.compile(r"unsupported|not support|not allow|not permitted|deprecated|unknown|unrecogni[sz]ed", re.I)


class NoCompletion(ValueError):
    """An answer with status 200 that is no chat completion; `page`: it says no error, and no such place would."""

    def __init__(self, what: str, page: bool):
        super().__init__(f"the endpoint answers with {what}")
        self.what = what
        self.page = page


class Connection(Endpoint):
    """Calls one by one, as many at once as the endpoint allows.

    Args:
        name: of the model.
        base_url: the endpoint's address; None means the embedded server.
        max_in_flight: the most requests that may wait for their reply at once.
        store: keeps the endpoint's pace.
        run: whose pace holds, if not that of this process.
    """

    def __init__(self, name: str, base_url: str | None, max_in_flight: int, store: Store, run: str | None = None):
        super().__init__(name, base_url)
        self._store = store
        self._most = max_in_flight
        self._pace = of_endpoint(name, base_url, max_in_flight, store, run)
        self._gate = asyncio.Lock()
        self._tokens = 0.0  # of a call, in the mean
        self._failures = 0  # calls in a row without any reply
        self._answered = False
        self._strange = 0  # answers that are no chat completions, before any that is one
        self._refused_since: float | None = None

    async def call(self, request: dict[str, Any]) -> Outcome:
        """Send a request (see `Model`) until it is answered, or until trying again makes no sense.

        Raises:
            EndpointError: no key, endpoint unreachable, key refused, model unknown, a field of all requests refused, 20
                calls in a row got no reply, the first answers are no chat completions.
            LimitError: the key's quota is used up, the endpoint allows no call for long, it has gone since it answered.
        """
        client = await self._client()
        body = self._body(request)
        errors = refusals = 0
        while True:
            await turn(self._pace, self._gate)
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
                self._check_strange(error)
                if self._is_refusal(error):
                    refusals += 1
                else:
                    errors += 1
                if errors > RETRIES or refusals > REFUSALS:
                    return self._failed(error, errors + refusals - 1)
                pause = self._held(error, wait(error, errors + refusals))
            else:
                return Outcome(reply, True, errors + refusals)
            finally:
                self._pace.over()
            await asyncio.sleep(pause)

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
        if error := _error_in(reply, raw.http_response):
            raise error
        self._note_answer(time.monotonic() - began, raw.headers, reply.get("usage"))
        return reply

    async def close(self) -> None:
        """Close the connection, and keep the pace for the next process."""
        await super().close()
        if self.base_url:
            keep(self._pace, self.base_url, self._store)

    def _note_answer(self, seconds: float, headers: Mapping[str, str], usage: Any) -> None:
        """Note that a call was answered after so many seconds, and what the reply says of limits."""
        told = usage.get("total_tokens") if isinstance(usage, dict) else None
        if isinstance(told, int | float) and 0 <= told < math.inf:
            self._tokens += (0.1 if self._tokens else 1.0) * (told - self._tokens)
        self._pace.accepted(seconds, quota.per_second(headers, self._most, self._tokens))
        self._failures = 0
        self._refused_since = None
        self._answered = True

    def _is_refusal(self, error: Exception) -> bool:
        """Return whether the endpoint refused a call because there are too many; slow down if so.

        Raises:
            LimitError: the key's quota is used up, the endpoint allows no call for long, or all were refused for long.
        """
        if quota.is_spent(error):
            raise LimitError(f"{self.base_url} has no more quota for this key: {message(error)}") from None
        if getattr(error, "status_code", None) not in (429, 503):
            return False
        self._check_limit(error)
        self._pace.refused()
        self._check_patience(error)
        return True

    def _held(self, error: Exception, seconds: float) -> float:
        """Hold all calls for so many seconds if the endpoint asks for a wait, and return the seconds."""
        if getattr(error, "status_code", None) in (429, 503) and quota.told(error) is not None:
            if self._pace.hold(seconds) and seconds > TOLD_S:
                print(f"{self.base_url} asks to wait until {quota.when(seconds)}", file=sys.stderr, flush=True)
            self._refused_since = (self._refused_since or time.monotonic()) + seconds  # no patience is lost in it
        return seconds

    def _check_limit(self, error: Exception) -> None:
        """Stop the ask if a limit is reached that no short wait ends, and say when the endpoint goes on."""
        span, limit = quota.told(error), quota.long_limit(quota.text_of(error))
        if span <= LONGEST_WAIT_S if span is not None else not limit:
            return
        goes_on = "it does not say when" if span in (None, math.inf) else f"it goes on at {quota.when(span)}"
        raise LimitError(
            f"{self.base_url} has reached a limit{f' {limit}' if limit else ''} and allows no more calls, {goes_on}: "
            f"{message(error)}; the replies so far are kept: run the same command again then"
        ) from None

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

    def _check_strange(self, error: Exception) -> None:
        """Stop the ask if its first answers are no chat completions: a web page, say, where an address is wrong."""
        if not isinstance(error, NoCompletion) or self._pace.has_answers():
            return
        self._strange += 1
        if self._strange >= (PAGES if error.page else STRANGE):
            what = one_line(keys.hide(error.what))
            raise EndpointError(
                f"{self.base_url or self.name} answers chats with {what}: is the address right? Many end in /v1"
            ) from None

    def _check_patience(self, error: Exception) -> None:
        """Stop the ask if the endpoint has refused every call for so long that more calls would not help."""
        now = time.monotonic()
        self._refused_since = self._refused_since or now
        if now - self._refused_since > PATIENCE_S:
            raise LimitError(
                f"{self.base_url or self.name} has refused all calls for {PATIENCE_S:.0f} s: {message(error)}; "
                "the replies so far are kept: run it again to continue"
            ) from None

    def _failed(self, error: Exception, retries: int) -> Outcome:
        """Return the outcome of a call that got no reply; stop the ask if there are too many of them in a row."""
        self._failures += 1
        if self._failures >= FAILURES_IN_A_ROW:
            went = self._pace.has_answers()  # nothing that was given is wrong: the same command goes on later
            raise (LimitError if went else EndpointError)(
                f"{self._failures} calls in a row got no reply, the last: {message(error)}; the replies so far are "
                "kept: run it again to continue"
            ) from None
        return Outcome({"error": f"no reply: {message(error)}"}, False, retries)


def _parsed(text: str) -> dict[str, Any]:
    """Return a completion's JSON, {"error": error} as the endpoint says it, or {"error": reason} if it is too long.

    Raises:
        ValueError: the JSON is truncated, or is not a chat completion.
    """
    if len(text) > MOST_BYTES:
        return {"error": f"a reply of {len(text) / 1e6:.1f} MB is too long for an answer"}
    if not text.lstrip().startswith(("{", "[", '"', "null")):
        start = " ".join(text.split())[:100]
        what = f"a web page ({start[:30]}...: {words(text)[:100]})" if is_page(text) else f"the text '{start}'"
        raise NoCompletion(what if start else "nothing", page=True)
    answer = loaded(text)
    if (reply := completion(answer)) is not None:
        return reply
    said = answer.get("error") if isinstance(answer, dict) else None
    if isinstance(said, dict) and _status(said) in _IN_A_REPLY:
        return {"error": said}
    raise NoCompletion(f"no chat completion: {words(answer) or text[:100]}", page=not said)


def _status(said: dict[str, Any]) -> int:
    """Return the status that an error in an answer names, or 0."""
    code = str(said.get("code"))
    return int(code) if code.isdecimal() and len(code) == 3 else 0


def _error_in(reply: dict[str, Any], response: Any) -> openai.APIStatusError | None:
    """Return the error that an answer with status 200 has in place of a completion, as if it had come with its own."""
    said = reply.get("error")
    if "choices" in reply or not isinstance(said, dict):
        return None
    response.status_code = _status(said)
    text = f"Error code: {response.status_code} - {words(said)}"
    return _IN_A_REPLY[response.status_code](text, response=response, body=said)


def wait(error: Exception, tries: int) -> float:
    """Return the seconds until the next try: as the endpoint says, else half a second doubled per try, up to eight."""
    if (told := quota.told(error)) is not None:
        return min(LONGEST_WAIT_S, told)
    return min(8.0, 0.5 * 2 ** (tries - 1)) * random.uniform(0.75, 1.25)
