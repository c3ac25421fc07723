"""Budget: how many calls may be made and how much they may cost; calls stop before more is used.

A run hands what it may use, and has used, to its kernels in PERSONA_BUDGET. A call may start only if all that is in
flight, at the most it can cost, stays within what is left: a token for each byte sent, and for the reply `max_tokens`,
or a character of the longest one its schema allows, or `UNBOUNDED_TOKENS`; never less than the costliest call so far.
Used by `model.Model`.
"""

import asyncio
import json
import os
from functools import cache
from typing import Any

from . import UserError
from .dry import longest
from .prices import Price
from .store import canonical

VARIABLE = "PERSONA_BUDGET"
UNBOUNDED_TOKENS = 4096  # of a reply for which neither max_tokens nor a schema is given
OVERHEAD_TOKENS = 64  # of what an endpoint puts around messages


class Budget:
    """What may be used and what has been; None means any number.

    Args:
        max_calls: the most calls to make; calls that are repeated after an error of transport count once.
        max_cost: the most USD to spend.
        calls, cost: what has been used before.
    """

    def __init__(
        self, max_calls: int | None = None, max_cost: float | None = None, calls: int = 0, cost: float | None = 0.0
    ):
        self.max_calls, self.max_cost = max_calls, max_cost
        self.calls, self.cost = calls, cost or 0.0
        self._held = 0.0  # what the calls in flight may cost

    def takes(self, bound: float) -> bool:
        """Whether one more call may start that costs at most `bound`."""
        if self.max_calls is not None and self.calls >= self.max_calls:
            return False
        return self.max_cost is None or self.cost + self._held + bound <= self.max_cost

    def start(self, bound: float) -> None:
        """Count a call that starts."""
        self.calls += 1
        self._held += bound

    def settle(self, bound: float, cost: float) -> None:
        """Count what a call that started with `bound` did cost."""
        self._held -= bound
        self.cost += cost

    def reached(self, bound: float) -> str:
        """In words, what keeps the next call from starting."""
        if self.max_calls is not None and self.calls >= self.max_calls:
            return f"max_calls is reached: {self.calls} of {self.max_calls} calls are made"
        spent = f"${self.cost:.4g} of ${self.max_cost:.4g} are spent"
        return f"max_cost is reached: {spent}, the next call may take ${bound:.2g}"


@cache
def of_run() -> Budget:
    """What the run that this process belongs to may still use; anything, outside a run."""
    return Budget(**json.loads(os.environ.get(VARIABLE) or "{}"))


class Purse:
    """Lets the calls of a batch start as long as every budget takes them.

    Args:
        budgets: of the run and of the model.
        price: of the model's tokens.
        kept: where replies are kept, for the message.
    """

    def __init__(self, budgets: tuple[Budget, ...], price: Price | None, kept: object):
        self._budgets = [b for b in budgets if (b.max_calls, b.max_cost) != (None, None)]
        self._price, self._kept, self._costliest = price, kept, 0.0
        self._in_flight, self._settled = 0, asyncio.Condition()

    async def start(self, request: dict[str, Any]) -> float:
        """Wait until a call may start; returns what it is held to cost, for `settle`.

        Raises:
            UserError: a budget is reached, and nothing is in flight any more that could be lost.
        """
        if not self._budgets:
            return 0.0
        bound = max(self._costliest, _most(request, self._price)) if self._price else 0.0
        async with self._settled:
            await self._settled.wait_for(lambda: not self._in_flight or all(b.takes(bound) for b in self._budgets))
            for budget in self._budgets:
                if not budget.takes(bound):
                    raise UserError(
                        f"{budget.reached(bound)}; all replies are kept in {self._kept}: "
                        "the same with a larger budget goes on from there"
                    )
            for budget in self._budgets:
                budget.start(bound)
            self._in_flight += 1
        return bound

    async def settle(self, bound: float, cost: float | None) -> None:
        """Note what a call did cost; where the endpoint does not tell, the most it may have."""
        if not self._budgets:
            return
        cost = bound if cost is None else cost
        self._costliest = max(self._costliest, cost)
        async with self._settled:
            for budget in self._budgets:
                budget.settle(bound, cost)
            self._in_flight -= 1
            self._settled.notify_all()


def _most(request: dict[str, Any], price: Price) -> float:
    """The most USD that a call can cost, as far as its request tells."""
    tokens_out = request.get("max_tokens") or (
        longest(request["schema"]["schema"]) if "schema" in request else UNBOUNDED_TOKENS
    )
    return price.cost(len(canonical(request).encode()) + OVERHEAD_TOKENS, tokens_out)
