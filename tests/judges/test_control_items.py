"""Control items: their answers are what they claim to be, and they place a lenient, a strict and a good critic."""

import json

import numpy as np
import pytest
import yaml
from endpoint import Endpoint, completion

from persona_lib import UserError, attributes, judges
from persona_lib.judges import control_items
from persona_lib.model import Model

ITEMS = yaml.safe_load(control_items.ITEMS.read_text("utf-8"))
SUITABLE = {item["suitable"] for item in ITEMS}


def placed(verdict, n=None):
    """Judge the control items by a stand-in: `verdict(answer)` is a verdict and a grade, or None for nothing."""

    def answer(body: dict) -> dict:
        shown = body["messages"][1]["content"].split("<answer>\n")[1].split("\n</answer>")[0]
        said = verdict(shown)
        return completion(json.dumps({"critique": "so", "grade": said[1], "verdict": said[0]}) if said else "hm")

    with Endpoint(answer) as endpoint:
        rows = judges.controls(Model("m", endpoint.url), n, critique_words=12)
        return rows, judges.threshold(rows), len(endpoint.requests)


def knowing(answer):
    return ("keep", 5) if answer in SUITABLE else ("revise", 1)


def test_there_are_enough_of_them_with_people_as_describe_writes_them_and_answers_of_like_length():
    known = {a.name: a for a in attributes.ATTRIBUTES}
    assert len(ITEMS) >= 8 and len({item["id"] for item in ITEMS}) == len(ITEMS)
    for item in ITEMS:
        lines = [line.split(": ", 1) for line in item["profile"].strip().splitlines()]
        names = [name for name, _ in lines]
        assert names == [name for name in attributes.NAMES if name in names], item["id"]
        for name, value in lines:
            labels = known[name].labels if known[name].kind == "categorical" else ()
            assert not labels or value in labels, (item["id"], name, value)
        words = [len(item[kind].split()) for kind in ("suitable", "unsuitable")]
        assert min(words) / max(words) > 0.7, (item["id"], words)


def test_a_critic_that_tells_suitable_answers_from_others_is_told_from_one_that_does_not():
    rows, table, calls = placed(knowing)
    n = len(ITEMS)
    assert calls == 2 * n == len(rows) and rows["judge_failure"].isna().all()
    assert table.index.tolist() == ["unsuitable", "suitable", "suitable − unsuitable"]
    assert table["rate"].tolist() == [0, 1, 1] and table["grade"].tolist() == [1, 5, 4]
    assert table["graded"].tolist() == [0, 1, 1] and table["n"].tolist() == [n] * 3
    assert table.loc["suitable − unsuitable", "low"] > 0.5
    for verdict in (("keep", 4), ("revise", 2)):
        _, table, _ = placed(lambda answer, v=verdict: v)
        assert table["rate"].tolist()[2] == 0 and table["grade"].tolist()[2] == 0
        assert table["rate"].tolist()[0] == (verdict[0] == "keep"), "the threshold shows"
        assert table["low"].iloc[2] < 0 < table["high"].iloc[2]


def test_fewer_items_are_asked_where_fewer_are_wanted_and_more_than_there_are_are_refused():
    rows, table, calls = placed(knowing, n=2)
    assert calls == 4 == len(rows) and table["n"].tolist() == [2, 2, 2]
    with pytest.raises(UserError, match=f"cannot judge 99 control items: take 1 to {len(ITEMS)}, or None for all"):
        placed(knowing, n=99)


def test_the_result_is_one_sentence_that_says_what_is_missing():
    _, table, _ = placed(knowing)
    said = judges.placed(table, "m")
    assert said.startswith(f"On {len(ITEMS)} control items, m keeps 100% (95% interval ")
    assert "of the answers written to suit the person and 0% (95% interval 0% to " in said
    assert "a difference of +100 points (95% interval +" in said
    _, table, _ = placed(knowing, n=1)
    assert judges.placed(table, "m").endswith(
        "of those written not to: a difference of +100 points (one item: no interval)."
    )
    rows, table, _ = placed(lambda answer: None)
    assert rows["score"].isna().all() and table["failed"].tolist() == [len(ITEMS)] * 3
    assert judges.placed(table, "m") == "m gave no verdicts by which the control items could place it."
    _, table, _ = placed(lambda answer: knowing(answer) if answer in SUITABLE else None)
    assert np.isnan(table["rate"].iloc[0]) and "no verdicts" in judges.placed(table, "m")
