"""Several asks shown as one: the time left is that of all of them, and replies in the store do not count for it."""

import re

import pytest
from endpoint import Endpoint

from persona_lib.model import Model
from persona_lib.model.asking import progress
from persona_lib.model.asking.progress import Whole


def test_the_time_left_is_that_of_each_steps_own_pace():
    shown = Whole("pairs", {"answers": 10, "critiques": 100, "revisions": 100})
    assert shown.left is None  # no call was made: nobody knows
    shown.begin("answers")
    for i in range(1, 11):
        shown.advance("answers", i, 0.1 * i)
    assert shown.left == pytest.approx(200 * 0.1)  # the other steps' pace is not known yet
    shown.begin("critiques")
    for i in range(1, 51):
        shown.advance("critiques", i, 2.0 * i)
    assert shown.left == pytest.approx(50 * 2.0 + 100 * (2.0 + 0.1) / 2)


def test_what_the_store_has_says_nothing_of_the_pace_and_only_recent_asks_count():
    shown = Whole("pairs", {"critiques": 100})
    shown.begin("critiques")
    for _ in range(20):
        shown.advance("critiques", 0, 0.0)
    assert shown.left is None
    for seconds in (1.0, 2.0, 4.0, 4.0, 4.0):
        shown.begin("critiques")
        for i in range(1, 11):
            shown.advance("critiques", i, seconds * i)
    assert shown.left == pytest.approx(30 * 4.0)
    shown.reach({"critiques": 90})  # some were never asked: their base answer failed
    assert shown.left == pytest.approx(10 * 4.0)


def test_of_a_batch_at_the_endpoint_counts_what_is_done_there_before_it_comes_back():
    shown = Whole("pairs", {"critiques": 100, "revisions": 100})
    shown.begin("critiques")
    shown.away("critiques", 50, 500.0)
    assert shown.left == pytest.approx(150 * 10.0)
    shown.away("critiques", 100, 1000.0)
    shown.away("critiques", 0, 1000.0)
    shown.advance("critiques", 1, 1000.0)  # the first of a hundred that come back at once
    assert shown.left == pytest.approx(199 * 10.0)


def test_asks_within_it_show_one_line_of_the_whole(capfd, monkeypatch):
    monkeypatch.setattr(progress, "LOG_WHOLE_EVERY_S", 0.0)
    with Endpoint() as endpoint:
        model = Model("m", endpoint.url)
        ask = lambda tag, n: model.ask([[{"role": "user", "content": f"{tag} {i}"}] for i in range(n)], step=tag)  # noqa: E731
        with Whole("pairs", {"a": 5, "b": 6}):
            ask("a", 5)
            ask("b", 5)
        ask("c", 3)
    lines = capfd.readouterr().err.splitlines()
    assert all(line.startswith("pairs: ") for line in lines[:-2]), lines
    assert re.fullmatch(r"pairs: 10 of 11 calls, 00:0\d left", lines[-3]) and lines[-1].startswith("c: 3")
    dones = [int(line.split()[1]) for line in lines[:-2]]
    assert dones == sorted(dones) and max(dones) == 10
