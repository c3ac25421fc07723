"""Limit how many calls are made and how much they cost: a call that could exceed a limit does not start.

A run passes its limits, and what it has used, to its kernels in PERSONA_BUDGET. A call may start only if the calls in
flight and this one, each at the most it can cost, stay within what is left. The most that a call can cost counts one
token for each byte sent. For the reply it counts `max_tokens`, else one token for each character of the longest reply
that the schema allows; a text of any length counts as `UNBOUNDED_TOKENS`. It is never less than the cost of the most
expensive call so far, because a model that thinks first may take more tokens than its schema allows. Several threads
may share a budget.
"""

import asyncio
import json
import os
import threading
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from typing import Any

from .. import BudgetError
from ..store import canonical
from .catalogue import Price
from .dialect import most_tokens
from .dry import Chance, example

VARIABLE = "PERSONA_BUDGET"
UNBOUNDED_TOKENS = 4096  # of a text that may be of any length
OVERHEAD_TOKENS = 64  # of what an endpoint puts around messages
LOOK_AGAIN_S = 0.05  # whether calls of another thread have ended

_BOOKING = threading.Lock()  # the models of a process share budgets, and may be asked from several threads


class Budget:
    """Limits, and what has been used of them; a limit of None allows any amount.

    Args:
        max_calls: the most calls to make; a call that is repeated after a transport error counts once.
        max_cost: the most USD to spend.
        calls: the calls made before.
        cost: the USD spent before.
    """

    def __init__(
        self, max_calls: int | None = None, max_cost: float | None = None, calls: int = 0, cost: float | None = 0.0
    ):
        self.max_calls = max_calls
        self.max_cost = max_cost
        self.calls = calls
        self.cost = cost or 0.0
        self.held = 0.0  # USD that the calls in flight may cost
        self.in_flight = 0  # calls, of all models and threads that share the budget

    def short_of(self, bound: float) -> str | None:
        """Return why a call that costs at most `bound` USD may not start now, or None if it may."""
        if self.max_calls is not None and self.calls >= self.max_calls:
            return f"max_calls is reached: {self.calls} of {self.max_calls} calls are made"
        if self.max_cost is not None and self.cost + self.held + bound > self.max_cost:
            spent = f"${self.cost:.4g} of ${self.max_cost:.4g} are spent"
            return f"max_cost is reached: {spent}, and the next call may take ${bound:.2g}"
        return None


@cache
def of_run() -> Budget:
    """Return the budget of the run that this process belongs to; without limits outside a run."""
    return Budget(**json.loads(os.environ.get(VARIABLE) or "{}"))


class Purse:
    """Starts the calls of one ask only as long as every budget allows them.

    Args:
        budgets: of the run and of the model.
        price: of the model's tokens.
    """

    def __init__(self, budgets: tuple[Budget, ...], price: Price | None):
        self._budgets = [b for b in budgets if b.max_calls is not None or b.max_cost is not None]
        self._price = price if any(b.max_cost is not None for b in budgets) else None
        self._costliest = 0.0
        self._gate = asyncio.Lock()
        self._settled = asyncio.Event()

    async def start(self, request: dict[str, Any]) -> float:
        """Wait until a call may start, and return the USD held for it, to be passed to `settle`.

        Raises:
            BudgetError: a budget is reached, and no call is in flight that could be lost.
        """
        async with self._gate:  # a call that ends wakes one that waits, not all of them
            while True:
                bound = max(self._costliest, _most(request, self._price)) if self._price else 0.0
                self._settled.clear()
                short, waits = self._hold(bound)
                if not short:
                    return bound
                if not waits:
                    raise BudgetError(f"{short}; the replies so far are kept; a larger budget continues")
                with suppress(TimeoutError):  # another thread's call that ends does not wake this one
                    await asyncio.wait_for(self._settled.wait(), LOOK_AGAIN_S)

    def _hold(self, bound: float) -> tuple[str | None, bool]:
        """Hold a call's cost in every budget, or return which budget is reached, and whether calls are in flight."""
        with _BOOKING:
            if short := next(filter(None, (b.short_of(bound) for b in self._budgets)), None):
                return short, any(budget.in_flight for budget in self._budgets)
            for budget in self._budgets:
                budget.calls += 1
                budget.held += bound
                budget.in_flight += 1
        return None, False

    def settle(self, held: float, cost: float | None) -> float:
        """Book the cost of a call that has ended, and return what is booked.

        Args:
            held: what `start` returned for the call.
            cost: in USD; None, if the endpoint did not tell it, books all that was held.
        """
        cost = held if cost is None else cost
        self._costliest = max(self._costliest, cost)
        with _BOOKING:
            for budget in self._budgets:
                budget.in_flight -= 1
                budget.held -= held
                budget.cost += cost
        self._settled.set()
        return cost

    def release(self, held: float) -> None:
        """Take back a call for which nothing was sent, or that was refused as a whole: it counts and costs nothing."""
        with _BOOKING:
            for budget in self._budgets:
                budget.calls -= 1
                budget.in_flight -= 1
                budget.held -= held
        self._settled.set()

    def correct(self, booked: float, cost: float) -> float:
        """Replace what `settle` booked for a call by its true cost, and return the difference, cost - booked."""
        with _BOOKING:
            for budget in self._budgets:
                budget.cost += cost - booked
        return cost - booked


def _most(request: dict[str, Any], price: Price) -> float:
    """Return the most USD that a call can cost, as far as its request tells."""
    tokens_in = len(canonical(request).encode()) + OVERHEAD_TOKENS
    tokens_out = most_tokens(request)
    if not tokens_out:
        tokens_out = longest(request["schema"]["schema"]) if "schema" in request else UNBOUNDED_TOKENS
    return price.cost(tokens_in, tokens_out)


def longest(schema: Mapping[str, Any]) -> int:
    """Return the approximate number of characters of the longest reply that a schema allows."""
    return len(json.dumps(example(schema, Chance(0), unbounded=UNBOUNDED_TOKENS)))
