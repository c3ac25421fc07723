"""Work whose asks go out as one: results, counts, order and errors are those of one piece of work after the other."""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from endpoint import Endpoint, completion, first_token, say
from pydantic import BaseModel

from persona_lib import BudgetError, UserError
from persona_lib.model import Model, together
from persona_lib.model.cluster import at_worker, shards, workers
from persona_lib.store import Store


class Said(BaseModel):
    """What the stand-in says."""

    text: str


def answer(body):
    """Says the message again as JSON, at the second try if it has an x, or leans to A."""
    if body.get("logprobs"):
        return first_token(A=0.7, B=0.3)
    text = body["messages"][0]["content"]
    return completion(json.dumps({"other": 1} if "x" in text and len(body["messages"]) == 1 else {"text": text}))


@pytest.fixture(scope="module")
def endpoint():
    with Endpoint(answer, delay_s=0.02) as endpoint:
        yield endpoint


@pytest.fixture
def model(endpoint, tmp_path):
    endpoint.requests.clear()
    endpoint.most_in_flight = 0
    return Model("m", endpoint.url, Store(tmp_path / "s.sqlite"))


def asking(model, log=None):
    """Return work that asks for a note, and then chooses n times, once in view of it."""

    def work(n: int):
        if log is not None:
            log.append(n)
        (note,) = model.ask(say(f"note {n}{'x' * (n == 3)}"), Said, step="notes")
        p = model.choose(say(*(f"{note.value.text} {i}" for i in range(n))), step="choices")
        return note.value.text, p.tolist()

    return work


def test_asks_of_all_pieces_go_out_as_one_and_each_gets_its_own_results(model, endpoint):
    log = []
    done = list(together.together(asking(model, log), range(6)))
    assert [one.value for one in done] == [(f"note {n}{'x' * (n == 3)}", [[0.7, 0.3]] * n) for n in range(6)]
    assert log == list(range(6)), "in order"
    assert [one.used.cached for one in done] == [1 + n + (n == 3) for n in range(6)], "3 is asked for its note twice"
    assert [one.used.tokens_found for one in done] == [13 * one.used.cached for one in done]
    assert model.workload == (sum(one.used.cached for one in done), sum(one.used.tokens_found for one in done))
    assert model.steps["notes"]["calls"] == 7 and model.steps["choices"]["calls"] == 15
    assert endpoint.most_in_flight > 5 and len(endpoint.requests) == 22


def test_waves_stores_and_workers_change_neither_results_nor_counts(model, endpoint, tmp_path, monkeypatch):
    def told(model):
        return [(one.value, one.used) for one in together.together(asking(model), range(6))]

    first = told(model)
    assert told(Model("m", endpoint.url, model.store)) == first, "found in the store"
    for name, value in (("WAVE", 1), ("WAVE", 4)):
        monkeypatch.setattr(together, name, value)
        assert told(Model("m", endpoint.url, Store(tmp_path / f"{value}.sqlite"))) == first
    monkeypatch.setattr(together, "WAVE", 256)
    monkeypatch.setattr(shards, "LEAST", 2)
    at_worker._opened.cache_clear()
    dealt, asked = [], at_worker.ask
    monkeypatch.setattr(shards, "ask", lambda shard: dealt.append(1) or asked(shard))
    with ThreadPoolExecutor(2) as pool, workers.using(pool, 2):
        dealer = Model("m", endpoint.url, Store(tmp_path / "dealt.sqlite"))
        assert told(dealer) == first and dealt
    assert dealer.workload == model.workload and dealer.usage["calls"] == model.usage["calls"]


def test_one_piece_runs_at_a_time(model):
    inside = []

    def work(n):
        for i in range(3):
            inside.append(n)
            time.sleep(0.001)
            assert inside == [n]
            inside.remove(n)
            model.ask(say(f"{n} {i}"), Said)

    assert len(list(together.together(work, range(8)))) == 8


def test_what_can_t_be_asked_fails_for_one_piece_alone(model):
    def work(n):
        with suppress(TypeError):
            return model.ask([[{"role": "user", "content": {1} if n == 1 else f"{n}"}]], Said)[0].text
        return "can't be sent"

    assert [one.value for one in together.together(work, range(3))][1] == "can't be sent"
    assert model.usage["calls"] == 2


def test_an_error_of_an_ask_is_raised_in_each_piece_and_the_first_ends_all(endpoint, tmp_path):
    model, seen = Model("m", endpoint.url, Store(tmp_path / "s.sqlite"), max_calls=3), []

    def work(n):
        try:
            return model.ask(say(f"a {n}"), Said)
        except BudgetError:
            seen.append(n)
            raise

    with pytest.raises(UserError, match="max_calls is reached: 3 of 3 calls are made"):
        list(together.together(work, range(5)))
    assert seen == [0] and model.usage["calls"] == 3
    assert len(ended(work)) == 0


def test_work_that_fails_ends_all(model):
    def work(n):
        model.ask(say(f"{n}"), Said)
        if n == 2:
            raise ValueError("no luck")
        return n

    with pytest.raises(ValueError, match="no luck"):
        list(together.together(work, range(4)))
    assert not ended(work)


def test_ctrl_c_ends_the_work_that_waits(model, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    def work(n):
        with suppress(Exception):  # which Ctrl-C is not
            model.ask(say(f"{n}"), Said)
        return model.ask(say(f"again {n}"), Said)

    monkeypatch.setattr(shards, "in_session", interrupted)
    with pytest.raises(KeyboardInterrupt):
        list(together.together(work, range(3)))
    assert not ended(work)


def ended(work) -> list[threading.Thread]:
    """Return the threads of pieces that have not ended after a second."""
    pieces = [one for one in threading.enumerate() if isinstance(one, together._Piece)]
    for piece in pieces:
        piece.join(1)
    return [piece for piece in pieces if piece.is_alive()]


def test_the_time_of_an_ask_is_shared(model):
    began = time.monotonic()
    done = list(together.together(lambda n: model.ask(say(*(f"{n} {i}" for i in range(n))), Said), range(12)))
    assert 0.02 < sum(one.seconds for one in done) <= time.monotonic() - began
    assert done[0].seconds < done[11].seconds


def test_all_work_that_has_not_ended_is_given_up(model):
    slow = set()

    def work(n):
        if n % 4 == 1:
            time.sleep(0.35)
        return model.ask(say(f"{n}"), Said) if n else "ended"

    def over(n, seconds):
        slow.update([n] if seconds > 0.3 else [])
        return len(slow) > 1

    done = list(together.together(work, range(12), over))
    assert slow == {1, 5} and [one.value for one in done] == ["ended"] + [None] * 11
    assert all(one.seconds > 0 for one in done[:6]) and all(one.seconds == 0 for one in done[6:]), "these never begin"
    assert not model.usage["calls"] and not ended(work)


def test_a_generator_may_ask_the_model_and_nothing_may_be_asked(model):
    def work(n):
        assert model.ask([], Said) == []
        return [one.text for one in model.ask(say(model.ask(say(f"{n} {i}"), Said)[0].text)[0] for i in range(2))]

    assert len(list(together.together(work, range(2)))) == 2
