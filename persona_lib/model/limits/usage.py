"""Count what calls to a model use, call by call, and sum it over steps, models and notebooks."""

import math
from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from dataclasses import asdict, dataclass
from typing import Any

from ..catalogue import FREE, Price

COUNTS = ("calls", "cached", "retried", "reasked", "failed", "tokens_in", "tokens_out", "tokens_cached")


# Of the piece of work that an item is asked for, where an ask serves several (`together`): its replies are counted
# there too, all as found, since whoever has them in the store asks as much.
OWN: ContextVar["Usage | None"] = ContextVar("own", default=None)


@dataclass
class Usage:
    """Calls made, replies found in the store, retries, calls that asked again, failed items, and tokens of the calls.

    `retried` counts repetitions of a call that got no reply; they are no further calls. `reasked` counts those of the
    calls that asked again, because a reply was no JSON of the schema.
    `tokens_cached` are the prompt tokens that the endpoint read from its own cache. `cost` is in USD. It is None if
    the price of a call is unknown, or if the endpoint did not tell a call's tokens; a call that ended in an error
    counts as free. `tokens_found` are those, of prompt and reply, of the replies that took no call.
    """

    calls: int = 0
    cached: int = 0
    retried: int = 0
    reasked: int = 0
    failed: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    tokens_cached: int = 0
    cost: float | None = 0.0
    tokens_found: int = 0

    def find(self, reply: Mapping[str, Any]) -> None:
        """Count a reply that took no call."""
        self._note(reply)
        note_own(reply)

    def _note(self, reply: Mapping[str, Any]) -> None:
        self.cached += 1
        told = reply.get("usage")
        self.tokens_found += (_number(told, "prompt_tokens") or 0) + (_number(told, "completion_tokens") or 0)

    def count(self, reply: Mapping[str, Any], retries: int, price: Price | None) -> float | None:
        """Count a call by the tokens that its reply tells, and return its cost in USD, None if unknown."""
        told = reply.get("usage")
        sent = _number(told, "prompt_tokens")
        answered = _number(told, "completion_tokens")
        tokens_in = sent or 0
        tokens_out = answered or 0
        tokens_cached = min(tokens_in, _number(_part(told, "prompt_tokens_details"), "cached_tokens") or 0)
        self.calls += 1
        self.retried += retries
        self.tokens_in += tokens_in
        self.tokens_out += tokens_out
        self.tokens_cached += tokens_cached
        cost = None
        if price and (price == FREE or None not in (sent, answered)):
            cost = price.cost(tokens_in, tokens_out, tokens_cached)
        added = 0.0 if price and "error" in reply else cost
        self.cost = None if added is None or self.cost is None else self.cost + added
        note_own(reply)
        return cost

    def add(self, used: "Usage") -> None:
        """Add what calls of another process used; what the client itself sees of replies is not counted."""
        for name in ("calls", "retried", "tokens_in", "tokens_out", "tokens_cached"):
            setattr(self, name, getattr(self, name) + getattr(used, name))
        self.cost = None if self.cost is None or used.cost is None else self.cost + used.cost


def note_own(reply: Mapping[str, Any]) -> None:
    """Count a reply in the usage of the piece of work that it is for, if there is one."""
    if own := OWN.get():
        own._note(reply)


def _part(told: Any, name: str) -> Any:
    """Return a part of what should be an object, or None: some endpoints send other types."""
    return told.get(name) if isinstance(told, dict) else None


def _number(told: Any, name: str) -> int | None:
    """Return a number of tokens that an endpoint tells, or None if it is missing or invalid."""
    value = _part(told, name)
    return int(value) if isinstance(value, int | float) and 0 <= value < math.inf else None


def total(usages: Iterable[Usage | Mapping[str, Any]]) -> dict[str, Any]:
    """Return the sum of usages: the `COUNTS`, and `cost`, None if the cost of any calls is unknown."""
    rows = [asdict(usage) if isinstance(usage, Usage) else usage for usage in usages]
    counts = {name: sum(row[name] for row in rows) for name in COUNTS}
    unknown = any(row["cost"] is None and row["calls"] for row in rows)
    cost = None if unknown else sum((row["cost"] or 0.0 for row in rows), 0.0)
    return counts | {"cost": cost}


def workload(usages: Iterable[Usage]) -> tuple[int, int]:
    """Return how many calls and tokens, of prompts and replies, usages have if nothing was in the store."""
    every = list(usages)
    return sum(u.calls + u.cached for u in every), sum(u.tokens_in + u.tokens_out + u.tokens_found for u in every)


def cost_text(cost: float | None) -> str:
    """Return a cost as text, in cents, or to two significant digits below one cent."""
    if cost is None:
        return "no price known"
    return f"${cost:.2f}" if not 0 < cost < 0.01 else f"${cost:.2g}"
