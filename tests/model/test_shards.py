"""Asks that are dealt to workers: the same results and counts as those of one process, whatever happens to a worker."""

import hashlib
import json
import platform
from collections import Counter
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from itertools import pairwise
from multiprocessing import get_context
from types import SimpleNamespace

import numpy as np
import pytest
from endpoint import Endpoint, completion, echo, first_token, say
from places import ROOT
from sent import Said, kill

from persona_lib import BudgetError, LimitError, UserError
from persona_lib.model import Budget, Model
from persona_lib.model.asking.progress import Dealt
from persona_lib.model.cluster import at_worker, shards, workers
from persona_lib.model.limits import sharing
from persona_lib.store import Store

SPAWN = get_context("spawn")  # a fork of a process with threads can hang, and Python warns of it
ITEMS = [str(n) for n in range(60)]


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Shards of a few requests."""
    monkeypatch.setattr(shards, "LEAST", 4)
    monkeypatch.setattr(shards, "MOST", 16)
    for opened in (at_worker._opened, at_worker._own):
        opened.cache_clear()


@pytest.fixture
def elsewhere(monkeypatch, tmp_path):
    """Workers on another machine: the store there is that of the environment. Returns the path of the client's."""
    monkeypatch.setattr(shards, "here", lambda: "the client's machine")
    return tmp_path / "client.sqlite"


def answer(body: dict) -> dict:
    """Says the message again as JSON; what has an x is no JSON of the schema at first, and a y never is."""
    text, tries = body["messages"][0]["content"], len(body["messages"])
    valid = "y" not in text and ("x" not in text or tries > 1)
    return completion(json.dumps({"text": text} if valid else {"other": 1}))


def asked(path, url: str, texts: list[str], pool: Executor | None = None) -> tuple[list, Model]:
    model = Model("m", url, Store(path), max_in_flight=8)
    if pool is None:
        return model.ask(say(*texts), Said), model
    with pool, workers.using(pool, 2):
        return model.ask(say(*texts), Said), model


def dealt(model: Model, texts=ITEMS) -> list[str]:
    """What a model says to texts, asked by two threads as workers."""
    with ThreadPoolExecutor(2) as pool, workers.using(pool, 2):
        return [reply.text for reply in model.ask(iter(say(*texts)))]


def test_workers_give_the_replies_and_counts_of_one_process(tmp_path):
    texts = [str(i % 90) + "x" * (i % 7 == 1) + "y" * (i % 31 == 5) for i in range(100)]
    with Endpoint(answer) as endpoint:
        alone, model = asked(tmp_path / "alone", endpoint.url, texts)
        sent = Counter(json.dumps(body["messages"]) for body in endpoint.requests)
        endpoint.requests.clear()
        replies, dealer = asked(tmp_path / "dealt", endpoint.url, texts, ProcessPoolExecutor(2, SPAWN))
        assert Counter(json.dumps(body["messages"]) for body in endpoint.requests) == sent
        endpoint.requests.clear()
        asked(tmp_path / "dealt", endpoint.url, texts, ThreadPoolExecutor(2))
        assert not endpoint.requests
    assert replies == alone and any(reply.failure for reply in alone)
    assert dealer.usage == model.usage and dealer.workload == model.workload


@pytest.mark.parametrize("samples", [None, 3])
def test_choices_are_dealt_as_well(tmp_path, samples):
    def choose(body: dict) -> dict:
        n = int(body["messages"][0]["content"])
        if "response_format" in body:
            return completion(json.dumps({"choice": "AB"[n % 2]}))
        return first_token(A=(n + 1) / 100, B=0.9 - n / 100) if n % 10 else first_token(So=0.9)

    with Endpoint(choose) as endpoint:
        found = []
        for name in ("alone", "dealt"):
            model = Model("m", endpoint.url, Store(tmp_path / name), max_in_flight=8, samples=samples)
            with ThreadPoolExecutor(2) as pool:
                if name == "dealt":
                    with workers.using(pool, 2):
                        found.append((model.choices(say(*ITEMS)), model.usage))
                else:
                    found.append((model.choices(say(*ITEMS)), model.usage))
    (alone, used), (by_workers, counted) = found
    np.testing.assert_array_equal(by_workers.probabilities, alone.probabilities)
    assert by_workers.keys == alone.keys and used == counted


def test_workers_must_share_the_code_of_the_whole_package():
    code = b"".join(path.read_bytes() for path in sorted((ROOT / "persona_lib").rglob("*.py")))
    assert workers.about()["code"] == hashlib.sha256(code).hexdigest()[:8]


def test_equal_requests_meet_in_one_shard_and_shards_are_of_one_size():
    keys = [f"{n * 7919 % 1000:03}" for n in range(1000)]
    parts = shards.cut(keys, 4)
    assert sorted(key for part in parts for key in part) == sorted(keys) and parts == shards.cut(keys[::-1], 4)
    assert {len(part) for part in parts} <= {15, 16}
    assert all(part[-1] < following[0] for part, following in pairwise(parts))


def test_a_shard_that_begins_again_counts_as_repeated_and_one_that_is_over_asks_no_more():
    there = workers.Workers(None, 2)
    there.deal(10), there.deal(10)
    there.note("a", "tcp://w:1", 0), there.note("a", "tcp://w:1", 4), there.note("b", "tcp://w:2", 0)
    assert there.work == Dealt(2, 20, 4, 0, ["tcp://w:1", "tcp://w:2"])
    there.note("a", "tcp://w:2", 0)
    assert there.work == Dealt(2, 20, 0, 1, ["tcp://w:2"])
    there.end("a", 10), there.note("a", "tcp://w:2", 9)
    assert there.work == Dealt(2, 20, 10, 1, ["tcp://w:2"])
    there.end("b", 0)
    assert there.work == Dealt(2, 20, 10, 1, [])


@pytest.mark.parametrize(
    ("status", "state", "wanted"),
    [
        ("running", "executing", True),
        ("closing_gracefully", "long-running", True),
        ("running", "cancelled", False),
        ("running", None, False),
        ("closing", "executing", False),
    ],
)
def test_nobody_waits_for_a_task_that_is_called_off_or_whose_worker_ends(status, state, wanted):
    task = workers.Task()
    assert task.is_wanted(), "of another engine nothing is known"
    tasks = {"key": SimpleNamespace(state=state)} if state else {}
    there = {"status": SimpleNamespace(name=status), "state": SimpleNamespace(tasks=tasks)}
    task._worker, task._key = SimpleNamespace(**there), "key"
    assert task.is_wanted() is wanted


def test_few_items_are_left_to_the_client_and_a_generator_is_dealt_block_by_block(tmp_path, monkeypatch):
    taken = []
    monkeypatch.setattr(shards, "ask", lambda shard, ask=at_worker.ask: taken.append(shard) or ask(shard))
    monkeypatch.setattr(shards, "BLOCK", 20)
    with Endpoint() as endpoint:
        model = Model("m", endpoint.url, Store(tmp_path / "r"), max_in_flight=8)
        assert dealt(model, ITEMS[:8]) == ITEMS[:8] and not taken
        assert dealt(model) == ITEMS and len(taken) >= 6
        assert len(endpoint.requests) == len(ITEMS)


def test_a_worker_of_another_machine_hands_its_rows_back_and_keeps_them_too(elsewhere):
    with Endpoint(
        lambda body: (400, {"error": {"message": "too long"}}) if "9" in str(body["messages"]) else echo(body)
    ) as endpoint:
        said = dealt(Model("m", endpoint.url, Store(elsewhere), max_in_flight=8))
        assert said[:9] == ITEMS[:9] and said[9] == ""
        assert Store(elsewhere).counts() == {"replies": 60, "failed": 6}
        assert Store().counts()["replies"] == 59  # the first one is asked by the client
        elsewhere.unlink()
        endpoint.requests.clear()
        assert dealt(Model("m", endpoint.url, Store(elsewhere), max_in_flight=8)) == said
        again = {body["messages"][0]["content"] for body in endpoint.requests}
        assert again == {text for text in ITEMS if "9" in text} | {"0"}  # failures are no answers that are kept


def test_a_new_store_in_the_place_of_one_that_a_worker_has_open_gets_the_replies(tmp_path):
    path = tmp_path / "r"
    with Endpoint() as endpoint:
        assert dealt(Model("m", endpoint.url, Store(path), max_in_flight=8)) == ITEMS
        for old in tmp_path.glob("r*"):
            if old.is_file():
                old.unlink()
        endpoint.requests.clear()
        others = [f"{item}!" for item in ITEMS]
        assert dealt(Model("m", endpoint.url, Store(path), max_in_flight=8), others) == others
        assert len(endpoint.requests) == len(others), "the workers' replies went into the old file"


def test_a_full_disk_at_a_worker_is_said_with_the_worker_s_name(elsewhere, monkeypatch):
    full = Store()
    full.db.execute("PRAGMA max_page_count=1")
    monkeypatch.setattr(at_worker, "_own", lambda: full)
    with Endpoint() as endpoint, pytest.raises(UserError, match=rf"disk is full.*\(on the worker {platform.node()}\)"):
        dealt(Model("m", endpoint.url, Store(elsewhere), max_in_flight=8))


def test_a_limit_on_calls_holds_for_all_workers_together(tmp_path, monkeypatch):
    with Endpoint(delay_s=0.01) as endpoint, sharing.served(Budget(max_calls=40)) as environment:
        monkeypatch.setenv(sharing.VARIABLE, environment[sharing.VARIABLE])
        model = Model("m", endpoint.url, Store(tmp_path / "r"), max_in_flight=8)
        with pytest.raises(BudgetError, match="40 of 40 calls are made"):
            dealt(model)
        assert len(endpoint.requests) == model.usage["calls"] == 40


def test_a_model_with_limits_of_its_own_is_asked_where_they_are_counted(tmp_path):
    with Endpoint() as endpoint, pytest.raises(BudgetError):
        dealt(Model("m", endpoint.url, Store(tmp_path / "r"), max_calls=30))
    assert len(endpoint.requests) == 30


# Python 3.11's pool of processes may say in a thread of its own that it can't tell a cancelled future of the kill.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_after_a_kill_the_same_ask_goes_on_and_repeats_only_what_was_in_flight(tmp_path, monkeypatch):
    with Endpoint(delay_s=0.01) as endpoint:
        model = Model("m", endpoint.url, Store(tmp_path / "r"), max_in_flight=4)
        monkeypatch.setattr(shards, "ask", kill)
        gone = pytest.raises(LimitError, match="the cluster does not go on")
        with gone, ProcessPoolExecutor(2, SPAWN) as pool, workers.using(pool, 2):
            model.ask(say(*ITEMS))
        monkeypatch.setattr(shards, "ask", at_worker.ask)
        before = len(endpoint.requests)
        assert before >= 4 and dealt(model) == ITEMS  # the client asked one, and three of seven begun had ended
        sent = Counter(body["messages"][0]["content"] for body in endpoint.requests)
        assert sum(sent.values()) <= len(ITEMS) + 2 * 4 and max(sent.values()) <= 2
