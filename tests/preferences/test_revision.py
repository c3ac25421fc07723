"""Critique and revision, with a stand-in writer on the loopback: calls, rows, checks, and nothing dropped."""

import json

import pandas as pd
import pytest
from endpoint import Endpoint, completion
from writers import write

from persona_lib import personas, preferences
from persona_lib.model import Model
from persona_lib.preferences import revision

PEOPLE = pd.DataFrame(
    {
        "age": [34, 71],
        "sex": ["Male", "Female"],
        "race": ["Asian alone", "White alone"],
        "persona_split": ["train", "test"],
    },
    index=pd.Index(["p", "q"], name=personas.ID),
)
PROMPTS = pd.DataFrame(
    {
        "prompt_id": ["a", "b", "c"],
        "prompt": ["Why not?", "Is it fair?", "Who pays?"],
        "topic": "x",
        "prompt_split": "train",
    }
)
DEALT = pd.DataFrame({"persona_id": ["p", "p", "q", "q"], "prompt_id": ["a", "b", "b", "c"], "use": "train"})


def build(answer=write) -> tuple[pd.DataFrame, list[dict]]:
    with Endpoint(answer) as endpoint:
        writer = Model("m", endpoint.url)
        base = preferences.base_answers(PROMPTS, writer)
        return preferences.revise(DEALT, PEOPLE, PROMPTS, base, writer), endpoint.requests


def test_a_base_answer_is_asked_once_per_prompt_and_two_calls_make_a_pair():
    table, requests = build()
    assert len(requests) == 3 + 2 * 4
    assert list(table.columns) == list(revision.COLUMNS)
    assert table["failure"].isna().all() and table["pair_id"].is_unique
    assert table[["persona_id", "prompt_id"]].equals(DEALT[["persona_id", "prompt_id"]])
    assert table["critique"].tolist() == ["I am 34.", "I am 34.", "I am 71.", "I am 71."]
    assert set(table["chosen"]) == {"It depends."} and set(table["rejected"]) == {"It depends on much."}
    assert table["persona_split"].tolist() == ["train", "train", "test", "test"]


def test_the_base_answer_knows_no_persona_and_the_revision_sees_the_critique():
    _, requests = build()
    asked = {
        next(iter(r["response_format"]["json_schema"]["schema"]["properties"])): str(r["messages"]) for r in requests
    }
    assert "age:" not in asked["answer"]
    assert "<persona>" in asked["critique"] and "It depends on much." in asked["critique"]
    assert "<critique>" in asked["revision"] and "about as long as the answer (4 words)" in asked["revision"]


def test_a_revision_is_asked_to_have_the_base_answers_words_counted_in_its_script():
    said = {"answer": "今天天气很好。", "critique": "好", "revision": "好"}

    def writes(body: dict) -> dict:
        (field,) = body["response_format"]["json_schema"]["schema"]["properties"]
        return completion(json.dumps({field: said[field]}))

    _, requests = build(writes)
    assert all("about as long as the answer (3 words)" in str(r["messages"]) for r in requests[-4:])


def test_a_revision_may_be_as_long_as_an_answer_that_is_longer_than_asked_and_no_length_need_be_asked():
    long = {"answer": "word " * 70, "critique": "why " * 90, "revision": "new " * 80}

    def writes(body: dict) -> dict:
        (field,) = body["response_format"]["json_schema"]["schema"]["properties"]
        return completion(json.dumps({field: long[field]}))

    for words, asked in ((50, "at most 50 words"), (None, "")):
        with Endpoint(writes) as endpoint:
            writer = Model("m", endpoint.url)
            base = preferences.base_answers(PROMPTS, writer, words)
            table = preferences.revise(DEALT, PEOPLE, PROMPTS, base, writer, words)
        assert table["failure"].isna().all() and (table["chosen"] == long["revision"]).all()
        assert len(endpoint.requests) == writer.usage["calls"] == 3 + 2 * 4
        sent = [str(r["messages"]) for r in endpoint.requests]
        length = " (70 words)" if words else ""
        assert all(f"be about as long as the answer{length}, and never name" in said for said in sent[-4:])
        assert all(asked in said and ("at most" in said) == bool(asked) for said in sent[:-4])


@pytest.mark.parametrize(
    ("field", "said", "calls"),
    [("answer", "base answer", 3), ("critique", "critique", 7), ("revision", "revision", 11)],
)
def test_a_step_that_fails_is_a_row_with_its_reason_and_asks_no_further(field, said, calls):
    def failing(body: dict) -> dict:
        return completion("", refusal="no") if field in str(body["response_format"]) else write(body)

    table, requests = build(failing)
    assert len(table) == 4 and (table["failure"] == f"{said}: refusal: no").all() and len(requests) == calls
    assert table["chosen"].isna().all() and table["longer"].isna().all() and table["quotes"].isna().all()


def test_the_same_work_has_the_same_ids_and_another_writers_others():
    assert build()[0]["pair_id"].tolist() == build()[0]["pair_id"].tolist()
    with Endpoint(write, models=("n",)) as endpoint:
        base = preferences.base_answers(PROMPTS, Model("n", endpoint.url))
        other = preferences.revise(DEALT, PEOPLE, PROMPTS, base, Model("n", endpoint.url))
    assert set(other["pair_id"]).isdisjoint(build()[0]["pair_id"])


@pytest.mark.parametrize(
    ("chosen", "longer", "identical", "refuses", "quotes"),
    [
        ("It depends", False, False, False, None),
        ("It depends on much.", False, True, False, None),
        ("It depends on so very much.", True, False, False, None),
        ("I'm sorry, but I can't say.", True, False, True, None),
        ("At 34 it depends.", False, False, False, "age"),
        ("As an Asian man.", False, False, False, "race"),
        ("340 females say so", False, False, False, None),
        (None, None, None, None, None),
    ],
)
def test_checks_see_what_is_wrong_and_leave_it_in(chosen, longer, identical, refuses, quotes):
    pair = pd.DataFrame({"persona_id": ["p"], "prompt": "Why?", "rejected": "It depends on much.", "chosen": [chosen]})
    found = revision.checks(pair.astype("str"), PEOPLE).iloc[0]
    assert [None if pd.isna(v) else v for v in found] == [longer, identical, refuses, quotes]


def test_a_value_that_the_prompt_or_the_base_answer_names_is_no_quotation():
    pair = pd.DataFrame({"persona_id": ["p"], "prompt": "Is 34 old?", "rejected": "Asian?", "chosen": "An Asian of 34"})
    assert revision.checks(pair.astype("str"), PEOPLE)["quotes"].isna().all()


def test_similarity_is_the_share_of_words_in_order_and_missing_without_a_pair():
    pair = pd.DataFrame(
        {"rejected": ["it depends on much", "a b c d", "x"], "chosen": ["It depends on much", "a b e f", None]}
    )
    assert preferences.similarity(pair).round(2).tolist()[:2] == [1.0, 0.5]
    assert preferences.similarity(pair).isna().tolist() == [False, False, True]
    chinese = pd.DataFrame({"rejected": ["今天天气很好。"], "chosen": ["明天天气很好！"]})
    assert 0.3 < preferences.similarity(chinese).iloc[0] < 1, "words are found without blanks between them"
