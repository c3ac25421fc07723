"""Read what an endpoint says about its limits, in headers and in messages: when to try again, and how fast.

Headers as OpenAI documents them ("Rate limits in headers": x-ratelimit-remaining-requests, x-ratelimit-reset-requests
such as 6m0s), Retry-After (RFC 9110, section 10.2.3), retry-after-ms, X-RateLimit-Reset (a moment), and messages such
as "Please try again in 7m12.5s".
"""

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
    rf"(?:try|retry|again|wait|resets?|available)\b\D{{0,40}}?({_SPAN})|retry_?delay\W{{1,6}}({_SPAN})", re.I
)
_DAILY = re.compile(r"per[ _-]?day|\bdaily\b|\b[rt]pd\b|day'?s? (?:limit|quota)", re.I)
_MORE = re.compile(r"\b(?:contact|increase|upgrade|raise|request)\b[^.;]*", re.I)
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


def told(error: Exception) -> float | None:
    """Return the seconds after which an error says to try again, or None if it does not say."""
    if not isinstance(error, openai.APIStatusError):
        return None
    headers = error.response.headers
    with suppress(TypeError, ValueError):
        return max(0.0, float(headers["retry-after-ms"]) / 1000) if "retry-after-ms" in headers else _after(headers)
    found = _AGAIN.search(str(error.message))
    if found and (span := seconds(found[0])) is not None:
        return span
    return _reset(headers)


def _after(headers: Mapping[str, str]) -> float:
    """Return the seconds of Retry-After, a number or a date.

    Raises:
        TypeError, ValueError: there is none that can be read.
    """
    said = headers.get("retry-after", "")
    with suppress(ValueError):
        return max(0.0, float(said))
    return max(0.0, parsedate_to_datetime(said).timestamp() - time.time())


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
    with suppress(ValueError):
        return max(0.0, datetime.fromisoformat(said).timestamp() - time.time())
    return None


def is_daily(text: str) -> bool:
    """Return whether an error's message says that a limit per day is reached; how to get a larger one says nothing."""
    return bool(_DAILY.search(_MORE.sub("", text)))


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
