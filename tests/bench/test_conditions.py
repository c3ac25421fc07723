"""Conditioning: how items are drawn, what each condition is told, and that every item is a row whatever happens."""

import json
import re
from itertools import product

import pandas as pd
import pytest
from endpoint import Endpoint, completion

from persona_lib import UserError, bench, stats
from persona_lib.model import Model
from persona_lib.store import Store


def people(n: int) -> pd.DataFrame:
    index = pd.Index([f"p{i}" for i in range(n)], name="persona_id")
    return pd.DataFrame({"age": range(20, 20 + n), "sex": "Female"}, index=index)


def questions(n: int) -> pd.DataFrame:
    return pd.DataFrame(
        {"prompt_id": [f"q{i}" for i in range(n)], "prompt": [f"Why {i}?" for i in range(n)], "topic": "x"}
    )


@pytest.mark.parametrize(("p", "q", "n"), [(4, 8, 8), (6, 4, 24), (6, 9, 54), (5, 7, 20), (1, 3, 3)])
def test_every_persona_and_every_prompt_is_used_evenly_and_no_pair_twice(p, q, n):
    drawn = bench.items(people(p), questions(q), n, seed=0)
    assert len(drawn) == n == len(drawn.drop_duplicates(["persona_id", "prompt_id"]))
    for column, size in (("persona_id", p), ("prompt_id", q)):
        counts = drawn[column].value_counts().reindex(drawn[column].unique(), fill_value=0)
        assert counts.max() - counts.min() <= 1 and len(counts) == min(size, n)


def test_the_same_seed_draws_the_same_items_and_another_seed_others():
    first, again, other = (bench.items(people(9), questions(9), 12, seed) for seed in (0, 0, 1))
    pd.testing.assert_frame_equal(first, again)
    assert not first.equals(other)


def test_form_and_order_of_the_profile_are_columns_of_the_items():
    plain, told = (bench.items(people(2), questions(2), 4, 0, *form) for form in ((), ("interview", 5)))
    assert set(plain["profile_form"]) == {"list"} and set(plain["profile_order"]) == {"given"}
    assert set(told["profile_form"]) == {"interview"} and set(told["profile_order"]) == {"shuffled 5"}
    assert plain["profile"].str.startswith("age: 2").all() and told["profile"].str.contains("Q: How old are you?").all()


@pytest.mark.parametrize("n", [0, -1, 7])
def test_more_items_than_pairs_or_none_are_refused(n):
    with pytest.raises(
        UserError, match=f"cannot draw {n} persona x prompt items from 2 personas and 3 prompts: take 1 to 6"
    ):
        bench.items(people(2), questions(3), n, seed=0)


def answer(body: dict) -> dict:
    """A stand-in that fills every field asked for; as judge it keeps what older personas got."""
    fields = body["response_format"]["json_schema"]["schema"]["properties"]
    if "verdict" in fields:
        age = int(re.search(r"age: (\d+)", body["messages"][0]["content"])[1])
        return completion(json.dumps({"critique": "as it is", "grade": 4, "verdict": "keep" if age > 21 else "revise"}))
    return completion(json.dumps({f: f"{f} of {len(str(body['messages']))}" for f in fields}))


def run(answer_with, n: int = 8) -> tuple[pd.DataFrame, list[dict]]:
    with Endpoint(answer_with) as endpoint:
        drawn = bench.items(people(4), questions(8), n, seed=0)
        return bench.conditioning(drawn, [Model("m", endpoint.url)], Model("m", endpoint.url)), endpoint.requests


def test_every_item_is_answered_and_judged_under_every_condition_with_two_calls():
    table, requests = run(answer)
    assert len(requests) == 8 * 4 * 2
    counts = table.groupby("condition", sort=False).size()
    assert list(counts.index) == list(bench.CONDITIONS) and (counts == 8).all()
    assert table["failure"].isna().all() and table["template"].nunique() == 4
    assert table.loc[table.condition.isin(["baseline", "direct"]), "working"].isna().all()
    assert table.loc[table.condition == "summary", "working"].str.startswith("summary of").all()
    assert table["answer"].str.startswith("answer of").all()
    assert stats.rates(table, by="condition")["rate"].tolist() == [0.5] * 4


def test_each_answer_and_verdict_leads_to_its_request_and_raw_reply_in_the_store():
    table, _ = run(answer)
    for row in table.itertuples():
        wrote, judged = (Store().get(key) for key in (row.answer_key, row.verdict_key))
        asked = json.loads(judged.request)["messages"]
        assert row.answer in str(asked) and row.profile in asked[0]["content"]
        assert row.prompt in wrote.request and json.dumps(row.answer)[1:-1] in json.dumps(wrote.reply)


def test_only_the_baseline_is_not_told_the_persona_and_the_judge_always_is():
    _, requests = run(answer)
    asked = [r for r in requests if "verdict" not in str(r["response_format"])]
    told = ["age: " in str(r["messages"]) for r in asked]
    assert told.count(False) == 8 and told.count(True) == 24
    assert all("age: " in r["messages"][0]["content"] for r in requests if r not in asked)


def test_an_answer_or_a_verdict_that_fails_is_an_unscored_row_with_its_reason():
    def failing(body: dict) -> dict:
        if "verdict" in str(body["response_format"]):
            return completion("no JSON") if "answer of" in str(body) else answer(body)
        if "reasoning" in str(body["response_format"]):
            return completion("", refusal="I would rather not")
        return answer(body)

    table, _ = run(failing)
    assert len(table) == 32 and table["score"].isna().all()
    reasons = table.groupby("condition")["failure"].unique().str.join("; ")
    assert reasons["chain_of_thought"] == "answer: refusal: I would rather not"
    assert reasons["direct"].startswith("critic: invalid reply")
    assert stats.rates(table, by="condition")["failed"].tolist() == [8] * 4


def test_what_a_reasoning_model_thinks_is_a_column_and_no_part_of_its_answer():
    table, _ = run(lambda body: completion("<think>hm</think>" + answer(body)["choices"][0]["message"]["content"]))
    assert (table["thought"] == "hm").all() and table["score"].notna().all()
    assert table["answer"].str.startswith("answer of").all()
    assert run(answer)[0]["thought"].isna().all()


def test_requests_that_share_a_profile_follow_each_other():
    drawn = bench.items(people(4), questions(8), 32, seed=3)
    assert (drawn["persona_id"] != drawn["persona_id"].shift()).sum() == 4
    assert set(product(drawn.persona_id.unique(), drawn.prompt_id.unique())) == set(
        zip(drawn.persona_id, drawn.prompt_id, strict=True)
    )


def test_a_control_gets_the_profile_of_another_persona_and_the_judge_the_right_one():
    with Endpoint(answer) as endpoint:
        drawn = bench.items(people(4), questions(8), 8, seed=0)
        table = bench.conditioning(drawn, [Model("m", endpoint.url)], Model("m", endpoint.url), ["other_persona"])
    ages = drawn.set_index("prompt")["profile"].str.extract(r"age: (\d+)")[0]
    told = {r["messages"][1]["content"]: r["messages"][0]["content"] for r in endpoint.requests if "$" not in str(r)}
    asked = {q: re.search(r"age: (\d+)", text)[1] for q, text in told.items() if q in ages.index}
    assert len(asked) == 8 and all(asked[q] != ages[q] for q in asked)
    assert pd.Series(asked).value_counts().eq(2).all(), "each profile is borrowed as often as any other"
    assert (table["score"] == (table["profile"].str.extract(r"age: (\d+)")[0].astype(int) > 21)).all()


def test_another_persona_takes_two_and_two_models_of_one_name_are_refused():
    drawn = bench.items(people(1), questions(3), 3, seed=0)
    with Endpoint(answer) as endpoint:
        model = Model("m", endpoint.url)
        with pytest.raises(UserError, match="takes two personas at least"):
            bench.conditioning(drawn, [model], model, ["direct", "other_persona"])
        assert not endpoint.requests, "nothing is asked before the error"
        with pytest.raises(UserError, match="two models are named m"):
            bench.conditioning(drawn, [model, Model("m", endpoint.url)], model)


def test_several_models_answer_the_same_items():
    with Endpoint(answer, models=("m", "n")) as endpoint:
        drawn = bench.items(people(2), questions(3), 3, seed=0)
        writers = [Model(name, endpoint.url) for name in "mn"]
        table = bench.conditioning(drawn, writers, writers[0], ["baseline", "direct"])
    assert table.groupby(["model", "condition"]).size().to_dict() == {
        (m, c): 3 for m in "mn" for c in ("baseline", "direct")
    }


def test_samples_are_independent_requests_and_take_a_temperature():
    drawn = bench.items(people(2), questions(3), 3, seed=0)
    with Endpoint(answer) as endpoint:
        model = Model("m", endpoint.url)
        table = bench.conditioning(drawn, [model], model, ["direct"], samples=4, temperature=0.8)
        with pytest.raises(UserError, match="4 samples at temperature 0 would be one and the same"):
            bench.conditioning(drawn, [model], model, ["direct"], samples=4)
    assert table.groupby("sample").size().to_dict() == {0: 3, 1: 3, 2: 3, 3: 3}
    asked = [r for r in endpoint.requests if "verdict" not in str(r["response_format"])]
    assert len(asked) == 12 and {r["temperature"] for r in asked} == {0.8}


def test_the_writer_is_told_less_where_items_say_so_and_the_judge_all():
    drawn = bench.items(people(2), questions(3), 3, seed=0).assign(told="sex: Female")
    with Endpoint(answer) as endpoint:
        bench.conditioning(drawn, [Model("m", endpoint.url)], Model("m", endpoint.url), ["direct"])
    for request in endpoint.requests:
        assert ("age: " in str(request["messages"])) == ("verdict" in str(request["response_format"]))


def wordy(body: dict) -> dict:
    """A stand-in that writes 30 words whatever it was asked for, and half as many in every second answer."""
    fields = body["response_format"]["json_schema"]["schema"]["properties"]
    if "verdict" in fields:
        return answer(body)
    short = "Why 0" in str(body) or "Why 1" in str(body)
    return completion(json.dumps({f: "word " * (15 if short and f == "answer" else 30) for f in fields}))


def test_a_text_longer_than_was_asked_for_is_an_answer_and_its_words_are_counted():
    drawn = bench.items(people(2), questions(4), 4, seed=0)
    with Endpoint(wordy) as endpoint:
        model = Model("m", endpoint.url)
        table = bench.conditioning(drawn, [model], model, ["direct", "summary"], words=20, working_words=10)
    assert table["failure"].isna().all() and len(endpoint.requests) == 8 + 4, "nothing is asked again"
    assert sorted(table["answer_words"]) == [15] * 4 + [30] * 4
    assert table["working_words"].tolist()[4:] == [30] * 4 and table["working_words"].isna().sum() == 4
    asked = [r["messages"][0]["content"] for r in endpoint.requests if "verdict" not in str(r["response_format"])]
    assert sum("in at most 10 words, then write" in text for text in asked) == 4
    assert all("at most 20 words long" in text for text in asked) and "maxLength" not in str(endpoint.requests)
    found = bench.lengths(table, words=20, working_words=10, critique_words=1)
    critiques = found.xs("critique", level="text")
    assert critiques.index.tolist() == [("m", "direct"), ("m", "summary")] and critiques["asked"].eq(1).all()
    assert critiques["median"].tolist() == table.groupby("condition")["critique_words"].median().tolist()
    found = found.drop("critique", level="text")
    assert found.index.tolist() == [
        ("m", "direct", "answer"),
        ("m", "summary", "working"),
        ("m", "summary", "answer"),
    ]
    assert found["above"].tolist() == [0.5, 1, 0.5] and found["median"].tolist() == [22.5, 30, 22.5]
    assert found["n"].tolist() == [4] * 3 and (found["low"] < found["above"]).all()


def test_no_length_is_asked_for_where_none_is_wanted():
    drawn = bench.items(people(2), questions(4), 4, seed=0)
    with Endpoint(wordy) as endpoint:
        model = Model("m", endpoint.url)
        asked = [*bench.CONDITIONS, "other_persona", "baseline_brief", "baseline_plain"]
        table = bench.conditioning(drawn, [model], model, asked, words=None, critique_words=None)
    assert " words" not in "".join(r["messages"][0]["content"] for r in endpoint.requests)
    found = bench.lengths(table)
    assert found["above"].isna().all() and set(found["note"]) == {"no length asked"} and found["n"].eq(4).all()


def test_an_answer_that_failed_has_no_length_and_is_counted():
    table, _ = run(lambda body: answer(body) if "verdict" in str(body) else completion("", refusal="no"))
    found = bench.lengths(table, words=5)
    assert (found["failed"] == 8).all() and (found["n"] == 0).all() and found["above"].isna().all()


def test_a_condition_of_the_users_own_is_one_file_and_needs_no_length(tmp_path):
    (tmp_path / "poem.txt").write_text(
        'reply: [rhyme, answer]\n[system]\n$persona\n"answer", $words words\n[user]\n$question'
    )
    drawn = bench.items(people(2), questions(3), 3, seed=0)
    with Endpoint(answer) as endpoint:
        model = Model("m", endpoint.url)
        table = bench.conditioning(drawn, [model], model, ["poem"], templates=str(tmp_path))
        told = bench.answered(drawn, [model], ["poem"], templates=str(tmp_path))
    assert table["working"].str.startswith("rhyme of").all() and table["score"].notna().all()
    assert '"answer", 120 words' in endpoint.requests[0]["messages"][0]["content"]
    assert told["answer"].equals(table["answer"]) and told["answer_failure"].isna().all()
    assert len(endpoint.requests) == 6, "the same answers are not asked for again"


def test_a_condition_named_twice_or_without_an_answer_is_refused_before_anything_is_asked(tmp_path):
    drawn = bench.items(people(2), questions(2), 2, seed=0)
    (tmp_path / "mute.txt").write_text("reply: []\n[user]\n$question\n")
    with Endpoint(answer) as endpoint:
        model = Model("m", endpoint.url)
        with pytest.raises(UserError, match="a condition is named twice among direct, direct"):
            bench.conditioning(drawn, [model], model, ["direct", "direct"])
        with pytest.raises(UserError, match="template 'mute' asks for no answer"):
            bench.conditioning(drawn, [model], model, ["direct", "mute"], templates=str(tmp_path))
        (tmp_path / "typo.txt").write_text("reply: [answer]\n[user]\n$qestion\n")
        with pytest.raises(UserError, match=r"template 'typo': nothing fills \$qestion; it may use \$other_persona, "):
            bench.conditioning(drawn, [model], model, ["direct", "typo"], templates=str(tmp_path))
        assert not endpoint.requests
