"""Kills at any time, and several processes with the same work on one store: what is sent, and what is kept."""

import asyncio
import gc
import json
import math
import signal
import sqlite3
import subprocess
import sys
import time
import zlib
from collections import Counter

import pytest
from batch_endpoint import BatchEndpoint
from endpoint import Endpoint
from waits import LONG_S, until

from persona_lib import UserError
from persona_lib.model import Model
from persona_lib.model.transport.endpoint import OPENAI_URL
from persona_lib.store import Store, default_path

IN_FLIGHT = 8


def asking(url: str, n: int, **settings: object) -> subprocess.Popen:
    """Another process that asks for n items and prints the replies."""
    code = f"""
import json
from persona_lib.model.transport import batches as batch
from persona_lib.model import Model
batch.GATHER_S, batch.FIRST_POLL_S = 0.2, 0.05
model = Model("m", {url!r}, max_in_flight={IN_FLIGHT}, **{settings!r})
replies = model.ask([{{"role": "user", "content": str(n)}}] for n in range({n}))
print(json.dumps([[r.text for r in replies], model.usage]))
"""
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)


def told(process: subprocess.Popen, n: int) -> dict:
    """The usage that a process tells, whose replies must all be there and in order."""
    out, _ = process.communicate(timeout=LONG_S)
    assert process.returncode == 0
    texts, usage = json.loads(out)
    assert texts == list(map(str, range(n)))
    return usage


def sent(endpoint: Endpoint) -> Counter:
    return Counter(body["messages"][0]["content"] for body in endpoint.requests)


def kept() -> set[str]:
    """The items that have a reply in the store, which must be whole."""
    with sqlite3.connect(default_path()) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        rows = db.execute("SELECT request, reply FROM replies").fetchall()
    db.close()
    pairs = [(json.loads(zlib.decompress(q))["messages"][0]["content"], json.loads(r)) for q, r in rows]
    assert all(reply["choices"][0]["message"]["content"] == text for text, reply in pairs)
    return {text for text, _ in pairs}


@pytest.mark.parametrize(("done", "in_flight"), [(0, 1), (100, IN_FLIGHT)])  # the first one is asked alone
def test_after_a_kill_no_completed_request_is_sent_again_and_at_most_those_in_flight_are(done, in_flight):
    with Endpoint() as endpoint:
        endpoint.holds = done + 1
        process = asking(endpoint.url, 200)
        until(lambda: len(endpoint.requests) == done + in_flight)
        process.kill()
        process.communicate(timeout=LONG_S)
        endpoint.holds = math.inf
        known, before = kept(), sent(endpoint)
        assert process.returncode == -signal.SIGKILL and len(known) == done
        usage = told(asking(endpoint.url, 200), 200)
        again = sent(endpoint) - before
        assert not known & again.keys() and done + len(again) == 200
        assert sum(sent(endpoint).values()) <= 200 + IN_FLIGHT and max(sent(endpoint).values()) <= 2
        assert (usage["calls"], usage["cached"]) == (len(again), done)
    assert kept() == set(map(str, range(200)))


def test_two_processes_with_the_same_work_share_it():
    with Endpoint(delay_s=0.05) as endpoint:
        both = [asking(endpoint.url, 200) for _ in "ab"]
        usages = [told(process, 200) for process in both]
        assert sum(sent(endpoint).values()) == 200
        assert sum(usage["calls"] for usage in usages) == sum(usage["cached"] for usage in usages) == 200
    assert kept() == set(map(str, range(200)))


def test_what_a_killed_process_was_asking_is_asked_by_the_one_that_waits_for_it(monkeypatch, tmp_path):
    progress = tmp_path / "progress"
    with Endpoint() as endpoint:
        endpoint.holds = 2 * IN_FLIGHT
        first = asking(endpoint.url, 100)
        until(lambda: len(endpoint.requests) >= 2 * IN_FLIGHT)
        monkeypatch.setenv("PERSONA_PROGRESS", str(progress))
        second = asking(endpoint.url, 100)
        until(lambda: progress.is_file() and progress.read_text())
        time.sleep(0.3)  # it has begun, and goes on to wait
        first.kill()
        first.communicate(timeout=LONG_S)
        endpoint.holds = math.inf
        told(second, 100)
        assert sum(sent(endpoint).values()) <= 100 + IN_FLIGHT
    assert kept() == set(map(str, range(100)))


@pytest.mark.parametrize("create_s", [0, 1])
def test_two_processes_with_the_same_work_in_batches_submit_it_once(create_s):
    with BatchEndpoint(create_s=create_s) as endpoint:
        both = [asking(endpoint.url, 50, batch=True) for _ in "ab"]
        for process in both:
            told(process, 50)
        assert len(endpoint.sent) == 50 and len(endpoint.batches) <= 2
    assert kept() == set(map(str, range(50)))


def test_what_one_store_of_a_process_is_asking_stays_locked_when_another_of_it_is_gone():
    async def ask() -> None:
        first, second = Store(), Store()
        async with second.locks.alone("other"):
            pass
        async with first.locks.alone("k"):
            del second
            gc.collect()
            assert not free_elsewhere("k", 0.3)
        assert free_elsewhere("k", LONG_S)

    asyncio.run(ask())


def free_elsewhere(name: str, seconds: float) -> bool:
    """Whether another process gets the lock of that name within so many seconds."""
    code = f"""
import asyncio
from persona_lib.store import Store
store = Store()
async def take():
    async with asyncio.timeout({seconds}), store.locks.alone({name!r}):
        pass
asyncio.run(take())
"""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=2 * LONG_S).returncode == 0


def test_an_address_is_the_same_with_a_slash_at_its_end():
    with Endpoint() as endpoint:
        for url in (endpoint.url, f"{endpoint.url}/"):
            Model("m", url).ask([[{"role": "user", "content": "x"}]])
        assert len(endpoint.requests) == 1
    assert Model("m", f"{OPENAI_URL}/").base_url == OPENAI_URL


def test_a_key_with_a_curly_quote_is_told_before_anything_is_sent(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "“sk-0123456789”")
    with (
        Endpoint() as endpoint,
        pytest.raises(UserError, match="OPENAI_API_KEY has a character that no key has") as told,
    ):
        Model("m", endpoint.url).ask([[{"role": "user", "content": "x"}]])
    assert not endpoint.requests and "0123456789" not in str(told.value)
