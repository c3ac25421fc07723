"""Asks that are dealt to workers: the same results and counts as those of one process, whatever happens to a worker."""

import json
from collections import Counter
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor

import pytest
from endpoint import Endpoint, completion, say
from pydantic import BaseModel

from persona_lib.model import Model, at_worker, shards, workers
from persona_lib.store import Store


class Said(BaseModel):
    """What the stand-in says."""

    text: str


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Shards of a few requests, and a cluster that nobody else has."""
    monkeypatch.setattr(shards, "LEAST", 4)
    monkeypatch.setattr(shards, "MOST", 16)
    at_worker._opened.cache_clear()


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


def test_workers_give_the_replies_and_counts_of_one_process(tmp_path):
    texts = [str(i % 90) + "x" * (i % 7 == 1) + "y" * (i % 31 == 5) for i in range(100)]
    with Endpoint(answer) as endpoint:
        alone, model = asked(tmp_path / "alone", endpoint.url, texts)
        sent = Counter(json.dumps(body["messages"]) for body in endpoint.requests)
        endpoint.requests.clear()
        dealt, dealer = asked(tmp_path / "dealt", endpoint.url, texts, ProcessPoolExecutor(2))
        assert Counter(json.dumps(body["messages"]) for body in endpoint.requests) == sent
        endpoint.requests.clear()
        asked(tmp_path / "dealt", endpoint.url, texts, ThreadPoolExecutor(2))
        assert not endpoint.requests
    assert dealt == alone and any(reply.failure for reply in alone)
    assert dealer.usage == model.usage and dealer.workload == model.workload
