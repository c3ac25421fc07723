"""Pace: how fast an endpoint may be asked. It is found out from the endpoint's own refusals (429, 503).

At first nothing holds requests back but the number that may be in flight. A refusal lowers that number to a little
less than what the endpoint has been accepting; while things go well it grows again, the faster the longer ago the last
refusal is. It is kept by spacing the requests, which works for any latency. Used by `model.Model`.
"""

import asyncio
import time
from collections import deque

CUT = 0.97  # of what was accepted, after a refusal
GROWTH = 0.05  # per second, times the seconds since the last refusal ...
MOST_GROWTH = 1.0  # ... up to this
FAST_PER_S = 30.0  # calls a second; slower paces grow more slowly, as a refusal is a greater share of their calls ...
SLOWEST_GROWTH = 0.15  # ... but not more slowly than by this factor
WINDOW_S = 1.0  # over which accepted requests are counted, or one latency if that is longer
SLOWEST_S = 2.0  # between two requests; an endpoint that was away for long is tried again this soon
CATCH_UP_S = 0.05  # a request that starts late by less than this lets the next one start early


class Pace:
    """Holds requests back so that an endpoint accepts nearly all of them; `limit` is the number in flight aimed at."""

    def __init__(self, most_in_flight: int):
        self.most = self.limit = float(most_in_flight)
        self.refusals = 0
        self._latency = 0.1
        self._accepted: deque[float] = deque()
        self._began = self._refused_at = self._grown_at = time.monotonic()
        self._due = 0.0
        self._gate = asyncio.Lock()

    async def turn(self) -> None:
        """Wait until the next request may start; at full pace that is now."""
        if self.limit >= self.most:
            return
        async with self._gate:  # one at a time, so that each goes by the pace of its moment
            now = time.monotonic()
            self._due = max(self._due + self._latency / self.limit, now - CATCH_UP_S)
            if self._due > now:
                await asyncio.sleep(self._due - now)

    def accepted(self, latency: float) -> None:
        """Note a request that was answered after `latency` seconds, and speed up."""
        now = time.monotonic()
        self._latency += 0.1 * (latency - self._latency)
        self._accepted.append(now)
        self._recent(now)
        if self.limit < self.most:
            careful = min(1.0, max(SLOWEST_GROWTH, self.limit / self._latency / FAST_PER_S))
            growth = min(MOST_GROWTH, careful * GROWTH * (now - self._refused_at)) * (now - self._grown_at)
            self.limit, self._grown_at = min(self.most, self.limit * (1 + growth)), now

    def refused(self) -> None:
        """Note a request that was refused because there are too many, and slow down: once for all then in flight."""
        now = time.monotonic()
        self.refusals += 1
        if now - self._refused_at > max(self._latency, WINDOW_S / 4):
            # What was accepted, as a number in flight (Little's law); at the start too little is known of it.
            sustained = self._recent(now) / self._window() * self._latency
            known = now - self._began > 2 * self._window()
            limit = CUT * min(self.limit, max(sustained, self.limit / 4)) if known else self.limit / 2
            self.limit = max(limit, self._latency / SLOWEST_S)
            self._refused_at = self._grown_at = now

    def _window(self) -> float:
        return max(WINDOW_S, self._latency)

    def _recent(self, now: float) -> int:
        """How many requests were accepted within the window."""
        while self._accepted and self._accepted[0] < now - self._window():
            self._accepted.popleft()
        return len(self._accepted)
