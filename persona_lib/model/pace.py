"""Find the pace at which an endpoint accepts requests, from its refusals (429, 503), and keep it.

At first only the number of requests in flight is limited. A refusal lowers that limit to a little less than what the
endpoint has been accepting. Without refusals the limit grows again, faster the longer ago the last refusal was. The
limit is kept by spacing the requests, which works for any latency.
"""

import asyncio
import time
from collections import deque

CUT = 0.97  # of what was accepted, after a refusal
GROWTH = 0.05  # per second, times the seconds since the last refusal ...
MOST_GROWTH = 1.0  # ... up to this
FAST_PER_S = 30.0  # calls a second; slower paces grow more slowly, as a refusal is a greater share of their calls ...
SLOWEST_GROWTH = 0.15  # ... but at least by this factor
WINDOW_S = 1.0  # over which accepted requests are counted, or one latency if that is longer
SLOWEST_S = 2.0  # the longest time between two requests, even after an endpoint was away for long
CATCH_UP_S = 0.05  # a request that starts late by less than this lets the next one start early


class Pace:
    """Delays requests so that an endpoint accepts nearly all of them; `limit` is the target number in flight."""

    def __init__(self, most_in_flight: int):
        self.most = self.limit = float(most_in_flight)
        self.refusals = 0
        self._latency = 0.1
        self._accepted: deque[float] = deque()
        self._began = self._refused_at = self._grown_at = time.monotonic()
        self._due = 0.0  # when the next request may start
        self._gate = asyncio.Lock()

    async def turn(self) -> None:
        """Wait until the next request may start; at full pace this returns at once."""
        if self.limit >= self.most:
            return
        async with self._gate:  # one at a time: each waits by the pace at its turn
            now = time.monotonic()
            self._due = max(self._due + self._latency / self.limit, now - CATCH_UP_S)
            if self._due > now:
                await asyncio.sleep(self._due - now)

    def accepted(self, latency: float) -> None:
        """Note that a request was answered after `latency` seconds, and speed up."""
        now = time.monotonic()
        self._latency += 0.1 * (latency - self._latency)
        self._accepted.append(now)
        self._recent(now)
        if self.limit < self.most:
            careful = min(1.0, max(SLOWEST_GROWTH, self.limit / self._latency / FAST_PER_S))
            per_s = min(MOST_GROWTH, careful * GROWTH * (now - self._refused_at))
            growth = per_s * (now - self._grown_at)
            self.limit = min(self.most, self.limit * (1 + growth))
            self._grown_at = now

    def refused(self) -> None:
        """Note that a request was refused because there are too many, and slow down, once for all then in flight."""
        now = time.monotonic()
        self.refusals += 1
        if now - self._refused_at > max(self._latency, WINDOW_S / 4):
            if now - self._began > 2 * self._window():
                # The requests accepted, as a number in flight (Little's law).
                sustained = self._recent(now) / self._window() * self._latency
                limit = CUT * min(self.limit, max(sustained, self.limit / 4))
            else:  # too few requests were accepted to judge by
                limit = self.limit / 2
            self.limit = max(limit, self._latency / SLOWEST_S)
            self._refused_at = self._grown_at = now

    def _window(self) -> float:
        return max(WINDOW_S, self._latency)

    def _recent(self, now: float) -> int:
        """Return how many requests were accepted within the window before `now`."""
        while self._accepted and self._accepted[0] < now - self._window():
            self._accepted.popleft()
        return len(self._accepted)
