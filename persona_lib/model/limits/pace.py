"""Find the pace at which an endpoint accepts requests, from its refusals (429, 503) and headers, and keep it.

At first requests start a few at a time, until enough are answered: an endpoint that allows little refuses few of them.
Then only the number in flight is limited. A refusal sets a rate, a little less than what the endpoint has been
accepting, and one that says when to try again holds all requests until then. Without refusals the rate grows again,
faster the more answers came since.

All asks of a process, and all processes of a run (`sharing`), share an endpoint's pace, and the store keeps it for the
processes after them.
"""

import asyncio
import json
import math
import threading
import time
from collections import deque
from contextlib import suppress

CUT = 0.94  # of what was accepted, after a refusal
MOST_CUT = 0.8  # the least that one refusal leaves of the rate, as a pause between two asks looks like a slow endpoint
GROWTH, GROWTH_N, GROWTH_S = 0.05, 200, 14.0  # it grows by GROWTH x (answers / GROWTH_N, or seconds / GROWTH_S) cubed
FAST_GROWTH = 0.12  # per second, where a refusal told little about what would be accepted
WINDOW_S = 1.0  # over which accepted requests are counted, or one latency if that is longer
SLOWEST_S = 2.0  # the longest time between two requests, even after an endpoint was away for long
CATCH_UP_S = 0.05  # a request that starts late by less than this lets the next one start early
FIRST = 4  # requests in flight at first ...
FIRST_ANSWERED = 12  # ... and for each answer after so many, two more ...
FIRST_PER_S = 10.0  # ... and so many more a second
KEPT_S = 3600.0  # for which a pace that the store has is taken over


class Pace:
    """Says when requests may start, so that an endpoint accepts nearly all of them.

    `per_s` is the most requests that start in a second, without end as long as only `most` in flight limit them;
    `answered` and `refusals` count requests. Several threads may share a pace.

    Args:
        most_in_flight: requests of this thread that may wait for their reply at once; other threads `join`.
        name: of the model.
    """

    def __init__(self, most_in_flight: int, name: str = ""):
        self.name = name
        self._most: dict[threading.Thread, int] = {}
        self.per_s = math.inf
        self.refusals = 0
        self.opening = True  # no refusal yet, and too few answers to know that none will come
        self._guessed = False  # `per_s` comes from a refusal that told little
        self._base, self._since = math.inf, 0  # the rate after the last refusal, and the answers since
        self._latency = 0.0
        self._accepted: deque[float] = deque()
        self._refused_at = self._grown_at = time.monotonic()
        self._began: float | None = None  # when the first request started
        self._in_flight = 0  # while the pace is opening
        self.answered = 0
        self._due = 0.0  # when the next request may start
        self._held_until = -math.inf
        self._guard = threading.RLock()
        self.join(most_in_flight)

    def join(self, most_in_flight: int) -> None:
        """Note how many requests of this thread may be in flight, until it ends."""
        with self._guard:
            self._most[threading.current_thread()] = most_in_flight

    @property
    def most(self) -> int:
        """Return how many requests of all threads may be in flight."""
        with self._guard:
            self._most = {thread: most for thread, most in self._most.items() if thread.is_alive()}
            return sum(self._most.values())

    def place(self) -> float:
        """Take the next place in the order of requests.

        Returns:
            The seconds after which the request may `start`; if they are 0, it has started.
        """
        with self._guard:
            return (0.0 if self.is_free() else self._until_due()) or self.start()

    def lease(self) -> tuple[float, bool]:
        """Take the next place as `place` does, and return also whether more may start without asking."""
        with self._guard:
            return self.place(), self.is_free()

    def is_free(self) -> bool:
        """Return whether requests may start at once, however many."""
        with self._guard:
            return not self.opening and self.per_s == math.inf and self._held_until <= time.monotonic()

    def start(self) -> float:
        """Note that a request starts, unless a refusal that came meanwhile holds all; return the seconds left then."""
        with self._guard:
            if (left := self._held_until - time.monotonic()) > 0:
                return left
            self._in_flight += self.opening
            return 0.0

    def over(self) -> None:
        """Note that a request has ended, in whatever way."""
        with self._guard:
            self._in_flight -= self.opening

    def _until_due(self) -> float:
        """Take the next place in the order of requests, and return the seconds until it may start."""
        with self._guard:
            now = time.monotonic()
            space = 1 / self.per_s
            if self.opening:
                self._began = self._began or now
                free = FIRST + 2 * max(0, self.answered - FIRST_ANSWERED) + FIRST_PER_S * (now - self._began)
                space = 0.0 if self._in_flight < free else 1 / FIRST_PER_S
            late = CATCH_UP_S if space < CATCH_UP_S else 0.0  # at a slow pace two at once are already too many
            self._due = max(self._due + space, now - late)
            return max(0.0, self._due - now)

    def accepted(self, latency: float, per_s: float | None = None) -> None:
        """Note that a request was answered after `latency` seconds, and speed up.

        Args:
            latency: in seconds.
            per_s: the calls a second that the endpoint says it allows from now on, if it does.
        """
        with self._guard:
            now = time.monotonic()
            self.answered += 1
            self._latency += (0.1 if self._latency else 1.0) * (latency - self._latency)
            self._accepted.append(now)
            self._recent(now)
            most = self.most
            if self.opening and self.answered >= min(most, FIRST_ANSWERED + most / 2):
                self.opening = False
            self._grow(now)
            if per_s is not None and per_s < self.per_s:
                self._set(max(per_s, 1 / SLOWEST_S))
                self.opening = False

    def _grow(self, now: float) -> None:
        """Raise the rate after an answer, up to where it no longer limits anything."""
        self._since += 1
        if self._guessed:
            self.per_s *= 1 + FAST_GROWTH * max(0.0, now - self._grown_at) / self._window()
        else:
            passed = max(self._since / GROWTH_N, (now - max(self._refused_at, self._held_until)) / GROWTH_S)
            self.per_s = self._base * (1 + GROWTH * max(0.0, passed) ** 3)
        self._grown_at = max(now, self._grown_at)
        if self.per_s * self._latency >= self.most:
            self._guessed = False
            self._set(math.inf)

    def _set(self, per_s: float) -> None:
        """Set the rate from which it grows."""
        self.per_s = self._base = per_s
        self._since = 0

    def refused(self) -> None:
        """Note that a request was refused because there are too many, and slow down, once for all then in flight."""
        with self._guard:
            now = time.monotonic()
            self.refusals += 1
            settled = self._window() if self._guessed else max(self._latency, WINDOW_S / 4)
            if self.opening or now - self._refused_at > settled:
                sustained = self._recent(now) / self._window()
                present = min(self.per_s, self.most / max(self._latency, 0.001))
                least = FIRST_PER_S / 4 if self.opening else present * MOST_CUT
                if self._guessed:  # while it grew, more has started than has been answered
                    sustained = math.sqrt(sustained * present)
                if self.per_s < math.inf and now - self._held_until < 2 * self._window():
                    # Too little was asked before to tell what would be accepted.
                    sustained = max(sustained, present * CUT)
                # At first a burst was accepted, which says little: the rate grows fast up to the next refusal.
                self._guessed = self.opening or not sustained
                self._set(max(CUT * min(present, max(sustained, least)), 1 / SLOWEST_S))
                self._refused_at = self._grown_at = now
                self.opening = False

    def hold(self, seconds: float) -> bool:
        """Start no request for so many seconds, as the endpoint asks; return whether they were not held before."""
        with self._guard:
            now = time.monotonic()
            until = now + seconds
            new = self._held_until <= now
            self._held_until = max(self._held_until, until)
            self._grown_at = max(self._grown_at, until)
            return new

    def _window(self) -> float:
        return max(WINDOW_S, self._latency)

    def _recent(self, now: float) -> int:
        """Return how many requests were accepted within the window before `now`."""
        while self._accepted and self._accepted[0] < now - self._window():
            self._accepted.popleft()
        return len(self._accepted)

    def has_answers(self) -> bool:
        """Return whether any request was answered."""
        return self.answered > 0

    def told(self) -> str | None:
        """Return what the store keeps for the processes after this one, or None if nothing was answered."""
        told = {"name": self.name, "per_s": self.per_s if self.per_s < math.inf else None, "at": time.time()}
        return json.dumps(told) if self.answered else None

    def recall(self, kept: str) -> None:
        """Take over what the store keeps, unless it is old, or of another model that nothing limited."""
        with suppress(ValueError, KeyError, TypeError), self._guard:
            told = json.loads(kept)
            if self.answered or not 0 <= time.time() - told["at"] < KEPT_S:
                return
            if told["per_s"] is not None:
                self._set(max(float(told["per_s"]), 1 / SLOWEST_S))
                self.opening = False
            elif told["name"] == self.name:
                self.opening = False


async def turn(pace: Pace, gate: asyncio.Lock) -> None:
    """Wait until a request may start; at full pace this returns at once.

    Args:
        pace: at which requests start.
        gate: of those that wait in this event loop: one at a time takes its place.
    """
    async with gate:
        wait = pace.place()
        while wait > 0:
            await asyncio.sleep(wait)
            wait = pace.start()
