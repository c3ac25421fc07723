"""Read what an endpoint says about its limits, in headers and in messages: when to try again, and how fast.

Headers as OpenAI documents them ("Rate limits in headers": x-ratelimit-remaining-requests, x-ratelimit-reset-requests
such as 6m0s), Retry-After (RFC 9110, section 10.2.3), retry-after-ms, X-RateLimit-Reset (a moment), and messages such
as "Please try again in 7m12.5s".
"""

import json
import math
import re
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime

import openai

_UNITS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_PART = re.compile(
    r"(\d+(?:\.\d+)?)\s*(ms|milliseconds?|d|days?|h|hours?|hrs?|m|mins?|minutes?|s|secs?|seconds?)(?![a-z])", re.I
)
_SPAN = rf"(?:{_PART.pattern}[\s,]*(?:and\s+)?)+"
_AGAIN = re.compile(
    rf"(?:try|retry|again|wait|resets?|available)\b\D{{0,40}}?({_SPAN})|retry_?delay\W{{1,6}}({_SPAN})"
    r"|(?:try|retry|wait|again) (?:after|in|for) (?P<bare>\d+(?:\.\d+)?)(?=\s*(?:$|[.,;!\")]))",
    re.I,
)
_AT = re.compile(
    r"(?:try|retry|again|wait|resets?|available)\b\D{0,40}?"
    r"(?P<moment>\d{4}-\d\d-\d\d[T ]\d\d:\d\d\S*?)(?=[.,;\")]*(?:\s|$))",
    re.I,
)
_ONE = re.compile(r"\b(?:one|an?)(?=[ -](?:milli)?(?:second|minute|hour|day)\b)", re.I)
_LIMITS = {
    "per day": re.compile(
        r"per[ _-]?day|\bdaily\b|\b[rt]pd\b|day'?s? (?:limit|quota)|\btomorrow\b|\b24[ -]?h(?:ou)?rs?\b|\b24h\b", re.I
    ),
    "per week": re.compile(r"per[ _-]?week|\bweekly\b|week'?s? (?:limit|quota)|next week", re.I),
    "per month": re.compile(r"per[ _-]?month|\bmonthly\b|month'?s? (?:limit|quota)|next month", re.I),
}
_MORE = re.compile(r"\b(?:contact|increase|upgrade|raise|request|see|visit|learn)\b[^.;]*", re.I)
_SPENT = re.compile(
    r"exceeded your (?:current )?quota|(?:insufficient|not enough|no|out of) (?:balance|credits?|funds|quota)\b"
    r"|credit balance is too low",
    re.I,
)
PAYMENT = 402  # the status of an endpoint whose credit is used up
_YEAR_S = 366 * 86400.0  # a longer wait says no moment
_MOMENT = 1e9  # a larger number is a moment in seconds since 1970, and a thousand times that in milliseconds


def seconds(text: str) -> float | None:
    """Return a length of time such as "6m0s", "20ms", "1 hour" or "2.5" (seconds), or None."""
    if parts := _PART.findall(text):
        return sum(float(number) * _unit(unit) for number, unit in parts)
    with suppress(ValueError):
        value = float(text)
        return value if 0 <= value < float("inf") else None
    return None


def _unit(name: str) -> float:
    name = name.lower()
    return _UNITS["ms"] if name.startswith("ms") or name.startswith("milli") else _UNITS[name[0]]


def text_of(error: Exception) -> str:
    """Return all that an error says: its message, and its body as JSON, which may have more, such as a `retryDelay`."""
    body = getattr(error, "body", None)
    told = body if isinstance(body, str) else json.dumps(body, ensure_ascii=False, default=str) if body else ""
    return f"{getattr(error, 'message', error)} {told}"


def told(error: Exception) -> float | None:
    """Return the seconds after which an error says to try again (without end: no moment), None if it says nothing."""
    if not isinstance(error, openai.APIStatusError):
        return None
    headers = error.response.headers
    spans = (_after(headers), _again(str(error.message)), _again(text_of(error)), _reset(headers))
    span = next((span for span in spans if span is not None), None)
    return math.inf if span is not None and span > _YEAR_S else span


def _after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds of retry-after-ms or of Retry-After, a length of time or a date; None if there are none."""
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        said = headers.get(name, "").strip()
        with suppress(ValueError):
            number = float(said) * unit
            if not math.isnan(number):
                return max(0.0, number)
        if (span := seconds(said)) is not None:
            return span
        with suppress(TypeError, ValueError, OverflowError):
            return max(0.0, parsedate_to_datetime(said).timestamp() - time.time())
    return None


def _again(text: str) -> float | None:
    """Return the seconds after which a text says to try again, or None."""
    text = _ONE.sub("1", text)
    if at := _AT.search(text):
        with suppress(ValueError, OverflowError):
            return max(0.0, datetime.fromisoformat(at["moment"]).timestamp() - time.time())
    found = _AGAIN.search(text)
    return seconds(found["bare"] or found[0]) if found else None


def _reset(headers: Mapping[str, str]) -> float | None:
    """Return the seconds until a limit that is used up is reset, by its headers, or None."""
    spent = [kind for kind in ("requests", "tokens") if headers.get(f"x-ratelimit-remaining-{kind}") == "0"]
    spans = [seconds(headers.get(f"x-ratelimit-reset-{kind}", "")) for kind in spent]
    if known := [span for span in spans if span is not None]:
        return max(known)
    if headers.get("x-ratelimit-remaining") != "0":
        return None
    said = headers.get("x-ratelimit-reset", "")
    with suppress(ValueError):
        moment = float(said)
        moment = moment / 1000 if moment > 1000 * _MOMENT else moment
        return max(0.0, moment - time.time() if moment > _MOMENT else moment)
    with suppress(ValueError, OverflowError):
        return max(0.0, datetime.fromisoformat(said).timestamp() - time.time())
    return None


def long_limit(text: str) -> str | None:
    """Return which limit an error says is reached: "per day", "per week", "per month"; None for another.

    How to get a larger limit, or where to read of it, says nothing.
    """
    reached = _MORE.sub("", text)
    return next((name for name, pattern in _LIMITS.items() if pattern.search(reached)), None)


def is_spent(error: Exception) -> bool:
    """Return whether an error says that the key's quota or credit is used up, and no moment at which it goes on."""
    if getattr(error, "code", None) == "insufficient_quota" or getattr(error, "status_code", None) == PAYMENT:
        return True
    refused = getattr(error, "status_code", None) == 429 and told(error) is None
    return refused and bool(_SPENT.search(text_of(error))) and not long_limit(text_of(error))


def per_second(headers: Mapping[str, str], most: float, tokens: float) -> float | None:
    """Return the calls a second at which a limit refills that is nearly used up, or None if none is.

    Args:
        headers: of a reply.
        most: calls that may be in flight: a limit that has more left is not near.
        tokens: of a call, in the mean.
    """
    rates = []
    for kind, cost in (("requests", 1.0), ("tokens", max(1.0, tokens))):
        with suppress(KeyError, ValueError):
            limit, left = (float(headers[f"x-ratelimit-{of}-{kind}"]) for of in ("limit", "remaining"))
            reset = seconds(headers[f"x-ratelimit-reset-{kind}"])
            if reset and left / cost < most and left < limit / 2:
                rates.append((limit - left) / reset / cost)
    return min(rates, default=None)


def when(span: float) -> str:
    """Return the moment so many seconds from now as text: the local time, with its date on another day."""
    moment = datetime.now().astimezone() + timedelta(seconds=span)
    other_day = moment.date() != datetime.now().astimezone().date()
    return moment.strftime("%H:%M on %d %B %Y" if other_day else "%H:%M")
