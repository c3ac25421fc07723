"""Usage: what calls to a model have used, counted call by call and added up over steps, models and notebooks.

Used by `model.Model`, and by the manifest and pages of a run.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from .catalogue import FREE, Price

COUNTS = ("calls", "cached", "retried", "failed", "tokens_in", "tokens_out", "tokens_cached")


@dataclass
class Usage:
    """Calls made, replies found in the store, retries, failed items, tokens of the calls made.

    `tokens_cached` are those prompt tokens that the endpoint read from its own cache. `cost` in USD is None where calls
    were made at no known price, or answered without their tokens told; one that ended in an error counts as free.
    `booked` is what budgets were charged with, which is the most that a call may cost where its cost is not told.
    """

    calls: int = 0
    cached: int = 0
    retried: int = 0
    failed: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    tokens_cached: int = 0
    cost: float | None = 0.0
    booked: float = 0.0

    def count(self, reply: Mapping[str, Any], retries: int, price: Price | None) -> float | None:
        """Count a call that was made, with what its reply tells of its tokens; returns its cost, None if unknown."""
        told = reply.get("usage")
        sent, answered = _number(told, "prompt_tokens"), _number(told, "completion_tokens")
        tokens = (sent or 0, answered or 0)
        cached = min(tokens[0], _number(_part(told, "prompt_tokens_details"), "cached_tokens") or 0)
        self.calls += 1
        self.retried += retries
        self.tokens_in += tokens[0]
        self.tokens_out += tokens[1]
        self.tokens_cached += cached
        known = price and (price == FREE or None not in (sent, answered))
        cost = price.cost(*tokens, cached) if known else None
        shown = 0.0 if price and "error" in reply else cost
        self.cost = None if shown is None or self.cost is None else self.cost + shown
        return cost


def _part(told: Any, name: str) -> Any:
    """A part of what should be an object; endpoints have been seen to send others."""
    return told.get(name) if isinstance(told, dict) else None


def _number(told: Any, name: str) -> int | None:
    """A number of tokens that an endpoint tells, or None where it is none."""
    value = _part(told, name)
    return int(value) if isinstance(value, int | float) and 0 <= value < math.inf else None


def total(usages: Iterable[Usage | Mapping[str, Any]]) -> dict[str, Any]:
    """Sum of usages, but for what was booked; the cost is unknown where that of calls is."""
    rows = [asdict(u) if isinstance(u, Usage) else u for u in usages]
    unknown = any(u["cost"] is None and u["calls"] for u in rows)
    return {count: sum(u[count] for u in rows) for count in COUNTS} | {
        "cost": None if unknown else sum((u["cost"] or 0.0 for u in rows), 0.0)
    }


def cost_text(cost: float | None) -> str:
    """A cost as a reader likes it: cents, and of less than one the digits that count."""
    if cost is None:
        return "no price known"
    return f"${cost:.2f}" if not 0 < cost < 0.01 else f"${cost:.2g}"
