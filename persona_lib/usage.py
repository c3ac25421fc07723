"""Usage: what calls to a model have used, counted call by call and added up over steps, models and notebooks.

Used by `model.Model`, and by the manifest and pages of a run.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from .prices import Price

COUNTS = ("calls", "cached", "retried", "failed", "tokens_in", "tokens_out", "tokens_cached")


@dataclass
class Usage:
    """Calls made, replies found in the store, retries, failed items, tokens of the calls made.

    `tokens_cached` are those prompt tokens that the endpoint read from its own cache. `cost` in USD is None where calls
    were made at no known price.
    """

    calls: int = 0
    cached: int = 0
    retried: int = 0
    failed: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    tokens_cached: int = 0
    cost: float | None = 0.0

    def count(self, told: Mapping[str, Any] | None, retries: int, price: Price | None) -> float | None:
        """Count a call that was made, with what the endpoint tells of its tokens; returns its cost, None if unknown."""
        told = told or {}
        tokens = (told.get("prompt_tokens") or 0, told.get("completion_tokens") or 0)
        cached = (told.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
        self.calls += 1
        self.retried += retries
        self.tokens_in += tokens[0]
        self.tokens_out += tokens[1]
        self.tokens_cached += cached
        cost = price.cost(*tokens, cached) if price else None
        self.cost = None if cost is None or self.cost is None else self.cost + cost
        return cost if told else None


def total(usages: Iterable[Usage | Mapping[str, Any]]) -> dict[str, Any]:
    """Sum of usages; the cost is unknown where calls were made at no known price."""
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
