"""Limits that the processes of a run share: never exceeded, by none of them, and none waits for one that was killed."""

import json
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Barrier

import psutil
import pytest
from places import ROOT
from waits import LONG_S, until

from persona_lib import UserError
from persona_lib.model.limits import sharing
from persona_lib.model.limits.budget import Budget
from persona_lib.model.limits.pace import Pace
from persona_lib.store import Store

HOLDS = """
import time
from persona_lib.model.limits import sharing
budget = sharing.of_run()
for _ in range(3):
    budget.hold(1.0)
budget.settle(1.0, 0.25)
budget.limits(), budget._run.call(None, "limits")  # an answer: what was sent before has arrived
print("held", flush=True)
time.sleep(60)
"""


def told(environment: dict[str, str]) -> sharing._Run:
    """The way of one more process to what is served."""
    return sharing._Run(**json.loads(environment[sharing.VARIABLE]))


def test_threads_with_connections_of_their_own_never_exceed_a_limit_together():
    each, spent = 40, Budget(max_calls=8 * 40 - 30, max_cost=100.0)
    with sharing.served(spent) as environment:
        ready = Barrier(8)

        def ask(_: int) -> int:
            budget = sharing._SharedBudget(told(environment))
            ready.wait(LONG_S)
            started = 0
            for _ in range(each):
                if budget.hold(0.5) is None:
                    started += 1
                    budget.settle(0.5, 0.3)
            budget._run.call(None, "limits")
            return started

        with ThreadPoolExecutor(8) as threads:
            started = sum(threads.map(ask, range(8)))
        assert started == spent.calls == 8 * 40 - 30
        assert spent.cost == pytest.approx(0.3 * started) and spent.held == spent.in_flight == 0


def test_what_a_killed_process_held_is_spent_and_nobody_waits_for_it(monkeypatch):
    spent = Budget(max_calls=5, max_cost=10.0)
    with sharing.served(spent) as environment:
        process = subprocess.Popen(
            [sys.executable, "-c", HOLDS], env=environment | {"PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE
        )
        assert process.stdout is not None and process.stdout.readline() == b"held\n"
        assert spent.calls == 3 and spent.in_flight == 2 and spent.held == 2.0 and spent.cost == 0.25
        short = spent.hold(8.0)
        assert short and short[1], "the calls in flight may cost less than is held for them"
        process.kill()
        process.wait(LONG_S)
        process.stdout.close()
        until(lambda: not (spent.hold(8.0) or ("", True))[1])
        assert spent.hold(8.0)[0].startswith("max_cost is reached: $2.25 of $10 are spent")
        assert spent.in_flight == 0 and spent.calls == 3


@pytest.mark.parametrize("second", [1.0, 2.0])
@pytest.mark.parametrize("end", ["settle", "release"])
def test_what_was_held_on_a_connection_that_was_lost_and_made_again_is_spent_once_and_not_freed(end, second):
    """The call of before ends, in the same thread of the kernel, while another one is in flight."""
    spent = Budget(max_calls=5, max_cost=10.0)
    with sharing.served(spent) as environment:
        budget = sharing._SharedBudget(told(environment))
        assert budget.hold(1.0) is None
        vars(budget._run._own).pop("file").close()  # as an interrupt does
        assert budget.hold(second) is None
        getattr(budget, end)(*((1.0, 0.25) if end == "settle" else (1.0,)))
        budget._run.call(None, "limits")
        deadline = time.monotonic() + 10
        while spent.hold(10.0) and spent.cost < 1.0 and time.monotonic() < deadline:
            time.sleep(0.02)
        if second == 2.0:  # what is held for the other call tells them apart
            assert (spent.in_flight, spent.held, spent.cost, spent.calls) == (1, 2.0, 1.0, 2)
        budget.settle(second, 0.5)
        budget._run.call(None, "limits")
        assert spent.in_flight == 0 and spent.held == 0.0
        own = {"settle": 0.25, "release": 0.0}[end] if second == 1.0 else 0.5
        assert spent.cost == 1.0 + own, "one call as the most it could cost, one as it did"
        assert spent.calls == (1 if (end, second) == ("release", 1.0) else 2)


def test_a_refusal_of_one_process_slows_all():
    with sharing.served(Budget()) as environment:
        one, other = (sharing._SharedPace(told(environment), "m", "http://x/v1") for _ in range(2))
        for pace in (one, other):
            pace.recall(json.dumps({"name": "m", "per_s": None, "at": time.time()}))
        assert [other.place() for _ in range(100)] == [0.0] * 100 and other.has_answers() is False
        one.join(8)
        for _ in range(20):
            one.accepted(0.1)
        assert one.hold(600.0) is True
        time.sleep(0.3)  # a refusal counts once for all calls then in flight
        assert 400.0 < other.place() < 600.0
        one.refused()
        assert one.has_answers()  # an answer on the same connection: what was sent before has arrived
        kept = json.loads(other.told() or "{}")
        assert kept["name"] == "m" and 0 < kept["per_s"] < 100


def test_a_pace_knows_how_many_all_its_threads_may_have_in_flight():
    with sharing.served(Budget()) as environment:
        run = told(environment)
        held = Pace(4)

        def joined(pace: Pace) -> None:
            pace.join(16)

        with ThreadPoolExecutor(2) as threads:
            list(threads.map(joined, [held, held]))
            assert held.most in (20, 36)  # one thread or two
        assert held.most == 4  # they have ended
        assert run.call(["m", "http://x"], "told") is None


def test_who_has_not_the_key_is_sent_away_and_a_run_that_has_ended_says_so(monkeypatch):
    spent = Budget(max_calls=5)
    with sharing.served(spent) as environment:
        where = json.loads(environment[sharing.VARIABLE])
        stranger = sharing._Run(where["host"], where["port"], "guessed")
        with pytest.raises(UserError, match=r"holds this run's limits does not answer at 127\.0\.0\.1"):
            stranger.call(None, "hold", 0.0)
        assert spent.calls == 0
        with socket.create_connection((where["host"], where["port"]), timeout=10) as endless:
            endless.makefile("rb").readline()
            endless.sendall(b"0" * 1000)
            with suppress(ConnectionResetError):  # some of it may be unread when the connection closes
                assert endless.recv(1) == b"", "a line without an end would fill the memory"
        monkeypatch.setenv(sharing.VARIABLE, environment[sharing.VARIABLE])
        late = sharing.of_run()
        assert late.limits() == (5, None)
        assert type(sharing.of_endpoint("m", "http://x/v1", 4, Store())) is sharing._SharedPace
    for known in (sharing._way, sharing._budget):
        known.cache_clear()
    with pytest.raises(UserError, match="run it again"):
        sharing.of_run()


def test_an_address_that_this_machine_does_not_have_is_said():
    with pytest.raises(UserError, match=r"can't be served at 192\.0\.2\.1"), sharing.served(Budget(), "192.0.2.1"):
        pass


def test_an_interrupt_while_a_thread_connects_is_no_other_error(monkeypatch):
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with sharing.served(Budget(max_calls=5)) as environment:
        run = told(environment)
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(sharing.socket, "create_connection", interrupted)
            run.call(None, "limits")
        assert run.call(None, "limits") == [5, None]


def test_a_worker_that_serves_many_runs_keeps_few_connections(monkeypatch):
    before = len(psutil.Process().net_connections("tcp"))
    for number in range(3 * sharing.RUNS):
        with sharing.served(Budget(max_calls=number)) as environment:
            assert sharing.of_run(environment[sharing.VARIABLE]).limits() == (number, None)
    # The thread that served a connection closes its end a moment after the other is closed.
    until(lambda: len(psutil.Process().net_connections("tcp")) - before <= 2 * sharing.RUNS, seconds=20)
