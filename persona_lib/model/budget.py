"""Budget: how many calls may be made and how much they may cost; calls stop before more is used.

A run hands what it may use, and has used, to its kernels in PERSONA_BUDGET. A call may start only if all that is in
flight, at the most it can cost, stays within what is left: a token for each byte sent, and for the reply `max_tokens`,
or a character of the longest one its schema allows, or `UNBOUNDED_TOKENS`; never less than the costliest call so far
(a model that thinks first may take more than its schema tells). Several threads may share a budget.
"""

import asyncio
import json
import os
import random
import threading
from collections.abc import Mapping
from functools import cache
from typing import Any

from .. import UserError
from ..store import canonical
from .catalogue import Price
from .dry import example

VARIABLE = "PERSONA_BUDGET"
UNBOUNDED_TOKENS = 4096  # of a reply for which neither max_tokens nor a schema is given
OVERHEAD_TOKENS = 64  # of what an endpoint puts around messages

_BOOKING = threading.Lock()  # budgets are shared by the models of a process, which may ask from several threads


class Budget:
    """What may be used and what has been; None means any number.

    Args:
        max_calls: the most calls to make; one that is repeated after an error of transport counts once.
        max_cost: the most USD to spend.
        calls, cost: what has been used before.
    """

    def __init__(
        self, max_calls: int | None = None, max_cost: float | None = None, calls: int = 0, cost: float | None = 0.0
    ):
        self.max_calls, self.max_cost = max_calls, max_cost
        self.calls, self.cost = calls, cost or 0.0
        self.held = 0.0  # what the calls in flight may cost

    def short_of(self, bound: float) -> str | None:
        """In words, why a call that costs at most `bound` may not start now; None if it may."""
        if self.max_calls is not None and self.calls >= self.max_calls:
            return f"max_calls is reached: {self.calls} of {self.max_calls} calls are made"
        if self.max_cost is not None and self.cost + self.held + bound > self.max_cost:
            spent = f"${self.cost:.4g} of ${self.max_cost:.4g} are spent"
            return f"max_cost is reached: {spent}, and the next call may take ${bound:.2g}"
        return None


@cache
def of_run() -> Budget:
    """What the run that this process belongs to may still use; anything, outside a run."""
    return Budget(**json.loads(os.environ.get(VARIABLE) or "{}"))


class Purse:
    """Lets the calls of a batch start as long as every budget takes them.

    Args:
        budgets: of the run and of the model.
        price: of the model's tokens.
    """

    def __init__(self, budgets: tuple[Budget, ...], price: Price | None):
        self._budgets = [b for b in budgets if (b.max_calls, b.max_cost) != (None, None)]
        self._price = price if any(b.max_cost is not None for b in budgets) else None
        self._costliest, self._in_flight = 0.0, 0
        self._gate, self._settled = asyncio.Lock(), asyncio.Event()

    async def start(self, request: dict[str, Any]) -> float:
        """Wait until a call may start; returns what is held for it, for `settle`.

        Raises:
            UserError: a budget is reached, and nothing is in flight any more that could be lost.
        """
        async with self._gate:  # so that each that settles wakes one, not all that wait
            while True:
                bound = max(self._costliest, _most(request, self._price)) if self._price else 0.0
                if not (short := self._hold(bound)):
                    return bound
                if not self._in_flight:
                    raise UserError(
                        f"{short}; what was answered is kept, the same with a larger budget goes on from there"
                    )
                self._settled.clear()
                await self._settled.wait()

    def _hold(self, bound: float) -> str | None:
        """Hold a call's cost in every budget, or return in words which budget is reached."""
        with _BOOKING:
            if short := next(filter(None, (b.short_of(bound) for b in self._budgets)), None):
                return short
            self._in_flight += 1
            for budget in self._budgets:
                budget.calls += 1
                budget.held += bound
        return None

    def settle(self, held: float, cost: float | None) -> float:
        """Book what a call did cost; None, where nobody told, stands for all that was held. Returns what is booked."""
        cost = held if cost is None else cost
        self._costliest = max(self._costliest, cost)
        with _BOOKING:
            self._in_flight -= 1
            for budget in self._budgets:
                budget.held -= held
                budget.cost += cost
        self._settled.set()
        return cost

    def correct(self, booked: float, cost: float) -> float:
        """Book what a call did cost that was settled for something else; returns what is booked more."""
        with _BOOKING:
            for budget in self._budgets:
                budget.cost += cost - booked
        return cost - booked


def _most(request: dict[str, Any], price: Price) -> float:
    """The most USD that a call can cost, as far as its request tells."""
    told = request | request["model"].get("settings", {})
    tokens_out = (
        told.get("max_completion_tokens")
        or told.get("max_tokens")
        or (longest(request["schema"]["schema"]) if "schema" in request else UNBOUNDED_TOKENS)
    )
    return price.cost(len(canonical(request).encode()) + OVERHEAD_TOKENS, tokens_out)


def longest(schema: Mapping[str, Any]) -> int:
    """Characters of about the longest reply that a schema allows."""
    return len(json.dumps(example(schema, random.Random(0), share=1.0)))
