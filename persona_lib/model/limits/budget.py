"""Limit how many calls are made and how much they cost: a call that could exceed a limit does not start.

A call may start only if the calls in flight and this one, each at the most it can cost, stay within what is left. The
kernels of a run count in one budget (`sharing`). The most that a call can cost counts one
token for each byte sent. For the reply it counts `max_tokens`, else one token for each character of the longest reply
that the schema allows; a text of any length counts as `UNBOUNDED_TOKENS`. It is never less than the cost of the most
expensive call so far, because a model that thinks first may take more tokens than its schema allows. Several threads
may share a budget.
"""

import asyncio
import json
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from ... import BudgetError
from ...store import canonical
from ..catalogue import Price
from ..dialects.dialect import most_tokens
from ..replies.dry import Chance, example

UNBOUNDED_TOKENS = 4096  # of a text that may be of any length
OVERHEAD_TOKENS = 64  # of what an endpoint puts around messages
LOOK_AGAIN_S = 0.05  # whether calls of another thread have ended


@dataclass
class _InFlight:
    """The calls of a thread that are in flight, the USD that they may cost, and how many hold each amount."""

    calls: int = 0
    held: float = 0.0
    each: Counter[float] = field(default_factory=Counter)


class Budget:
    """Limits, and what has been used of them: `calls` made and `cost` in USD. Several threads may share a budget.

    What a thread holds that has ended counts as spent. Each process that shares a run's budget has threads of its own
    there: what it held when it was killed is spent, and nobody waits for it.

    Args:
        max_calls: the most calls to make; None means any number. A call that is repeated after a transport error counts
            once.
        max_cost: the most USD to spend; None means any amount.
    """

    def __init__(self, max_calls: int | None = None, max_cost: float | None = None):
        self.max_calls = max_calls
        self.max_cost = max_cost
        self.calls = 0
        self.cost = 0.0
        self._threads: dict[threading.Thread, _InFlight] = {}
        self._guard = threading.Lock()

    def limits(self) -> tuple[int | None, float | None]:
        """Return the most calls and the most USD."""
        return self.max_calls, self.max_cost

    @property
    def in_flight(self) -> int:
        """Return how many calls are in flight."""
        return sum(one.calls for one in self._threads.values())

    @property
    def held(self) -> float:
        """Return the USD that the calls in flight may cost."""
        return sum(one.held for one in self._threads.values())

    def hold(self, bound: float) -> tuple[str, bool] | None:
        """Hold `bound` USD for a call of this thread, which may then start.

        Returns:
            None; or why it may not start now, and whether a call in flight may leave enough when it ends.
        """
        with self._guard:
            for thread in [one for one in self._threads if not one.is_alive()]:
                self.cost += self._threads.pop(thread).held
            if short := self._short_of(bound):
                return short, self.in_flight > 0
            own = self._threads.setdefault(threading.current_thread(), _InFlight())
            own.calls += 1
            own.held += bound
            own.each[bound] += 1
            self.calls += 1
        return None

    def _short_of(self, bound: float) -> str | None:
        """Return why a call that costs at most `bound` USD may not start now, or None if it may."""
        if self.max_calls is not None and self.calls >= self.max_calls:
            return f"max_calls is reached: {self.calls} of {self.max_calls} calls are made"
        if self.max_cost is not None and self.cost + self.held + bound > self.max_cost:
            spent = f"${self.cost:.4g} of ${self.max_cost:.4g} are spent"
            return f"max_cost is reached: {spent}, and the next call may take ${bound:.2g}"
        return None

    def settle(self, held: float, cost: float) -> None:
        """Book the cost of a call of this thread that has ended, and for which so much was held."""
        with self._guard:
            self.cost += cost if self._over(held) else 0.0

    def release(self, held: float) -> None:
        """Take back a call of this thread: it counts and costs nothing."""
        with self._guard:
            self.calls -= self._over(held)

    def _over(self, held: float) -> bool:
        """Note that a call has ended; False if it counts as spent, because the connection that held it was lost.

        A thread that has connected again may hold as much for another call: that one then counts as spent in its place.
        """
        own = self._threads.get(threading.current_thread())
        if own is None or not own.each[held]:
            return False
        own.calls -= 1
        own.held -= held
        own.each[held] -= 1
        if not own.each[held]:
            del own.each[held]  # else a long ask would gather all amounts
        if not own.calls:
            del self._threads[threading.current_thread()]
        return True

    def correct(self, more: float) -> None:
        """Add to the cost that was booked."""
        with self._guard:
            self.cost += more


class Purse:
    """Starts the calls of one ask only as long as every budget allows them.

    Args:
        budgets: of the run and of the model.
        price: of the model's tokens.
    """

    def __init__(self, budgets: Sequence[Budget], price: Price | None):
        self._budgets = [budget for budget in budgets if budget.limits() != (None, None)]
        self._price = price if any(budget.limits()[1] is not None for budget in self._budgets) else None
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
                if not (reached := self._hold(bound)):
                    return bound
                short, waits = reached
                if not waits:
                    raise BudgetError(f"{short}; the replies so far are kept; a larger budget continues")
                with suppress(TimeoutError):  # another thread's call that ends does not wake this one
                    await asyncio.wait_for(self._settled.wait(), LOOK_AGAIN_S)

    def _hold(self, bound: float) -> tuple[str, bool] | None:
        """Hold a call's cost in every budget, or in none: then return what the one says that is reached."""
        for i, budget in enumerate(self._budgets):
            if reached := budget.hold(bound):
                for held in self._budgets[:i]:
                    held.release(bound)
                return reached
        return None

    def settle(self, held: float, cost: float | None) -> None:
        """Book the cost of a call that has ended.

        Args:
            held: what `start` returned for the call.
            cost: in USD; None, if the endpoint did not tell it, books all that was held.
        """
        cost = held if cost is None else cost
        self._costliest = max(self._costliest, cost)
        for budget in self._budgets:
            budget.settle(held, cost)
        self._settled.set()

    def release(self, held: float) -> None:
        """Take back a call for which nothing was sent, or that was refused as a whole: it counts and costs nothing."""
        for budget in self._budgets:
            budget.release(held)
        self._settled.set()

    def correct(self, booked: float, cost: float) -> None:
        """Replace what `settle` booked for a call by its true cost."""
        for budget in self._budgets:
            budget.correct(cost - booked)


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
