"""Comparison against a known truth: a model that knows is right, one that guesses is at chance, nothing is dropped."""

import math
import re

import pandas as pd
import pytest
from endpoint import Endpoint, completion

from persona_lib import UserError
from persona_lib.bench import comparison
from persona_lib.model import Model

PEOPLE = pd.DataFrame({"age": [21, 32, 43, 54, 65]}, index=pd.Index([f"p{i}" for i in range(5)], name="persona_id"))


def pairs() -> pd.DataFrame:
    """Every person's answer to each of six prompts names their age, but to the last, where all answers are one."""
    rows = [
        {"persona_id": p, "prompt_id": f"q{q}", "prompt": f"Why {q}?", "chosen": f"for {age}" if q < 5 else "for all"}
        for p, age in PEOPLE["age"].items()
        for q in range(6)
    ]
    return pd.DataFrame(rows).assign(failure=None, rejected="for nobody").astype("str")


def likely(**chances: float) -> dict:
    reply = completion(max(chances, key=chances.get))
    tokens = [{"token": t, "logprob": math.log(p)} for t, p in chances.items() if p > 0]
    reply["choices"][0]["logprobs"] = {"content": [{"top_logprobs": tokens}]}
    return reply


def knows(body: dict) -> dict:
    """A stand-in that finds the answer with the persona's age, or the person with the answer's."""
    system, asked = body["messages"][0]["content"], body["messages"][-1]["content"]
    if "You know these people" in system:
        age = re.search(r"for (\d+)", asked)[1]
        letter = re.search(rf"\((\w)\)\nage: {age}", system)
        return likely(**{k: 0.7 if letter and k == letter[1] else 0.1 for k in "ABCD"})
    age = re.search(r"age: (\d+)", system)[1]
    first = re.search(r"<answer A>\n(.*)\n", asked)[1]
    return likely(A=0.9, B=0.1) if age in first else likely(A=0.2, B=0.8)


def test_two_people_and_one_prompt_make_two_rows_with_answers_that_differ():
    items = comparison.match(pairs(), PEOPLE, n=100)
    assert len(items) == 2 * 5 * 2 and (items["chosen"] != items["rejected"]).all()
    assert "q5" not in set(items["prompt_id"]) and items["pair_id"].is_unique
    assert not items.duplicated(["persona_id", "prompt_id"]).any()
    mirrored = items.merge(items, left_on=["persona_id", "prompt_id"], right_on=["other_id", "prompt_id"])
    assert len(mirrored) == len(items) and (mirrored["chosen_x"] == mirrored["rejected_y"]).all()
    pd.testing.assert_frame_equal(items, comparison.match(pairs().sample(frac=1, random_state=1), PEOPLE, n=100))
    assert len(comparison.match(pairs(), PEOPLE, n=3)) == 6


@pytest.mark.parametrize(("answers", "items"), [("xxyy?", 2), ("xxxxy", 1), ("xxyyz", 2), ("xxx??", 0), ("xxxyz", 2)])
def test_people_of_one_answer_are_coupled_with_those_of_another_wherever_there_are_any(answers, items):
    table = pairs().query("prompt_id == 'q0'").assign(chosen=list(answers))
    table["failure"] = table["failure"].where(table["chosen"] != "?", "revision: refusal")
    for seed in range(20):
        if not items:
            with pytest.raises(UserError, match="no prompt has different answers"):
                comparison.match(table, PEOPLE, 5, seed)
            continue
        found = comparison.match(table, PEOPLE, 5, seed)
        assert len(found) == 2 * items and (found["chosen"] != found["rejected"]).all()
        assert found["persona_id"].is_unique and found["pair_id"].is_unique


def test_answers_that_are_all_the_same_or_failed_are_said():
    with pytest.raises(UserError, match="no prompt has different answers for two people"):
        comparison.match(pairs().query("prompt_id == 'q5'"), PEOPLE, n=3)
    with pytest.raises(UserError, match="use more personas on the same prompts"):
        comparison.match(pairs().assign(failure="revision: refusal"), PEOPLE, n=3)


def test_a_model_that_knows_is_always_right_and_one_that_sees_only_the_place_makes_no_choice():
    items = comparison.match(pairs(), PEOPLE, n=4)
    with Endpoint(knows) as endpoint:
        table = comparison.choose(items, Model("m", endpoint.url))
    assert table["score"].tolist() == [1.0] * 8 and list(table.index) == list(items.index)
    assert {"persona_id", "prompt_id", "pair_id", "flip"} <= set(table.columns)
    with Endpoint(lambda body: likely(A=0.9, B=0.1)) as endpoint:
        blind = comparison.choose(items, Model("m", endpoint.url))
    assert blind["score"].isna().all() and blind["flip"].all()


def test_the_right_person_is_found_among_distractors_in_any_place():
    items = pairs().query("prompt_id != 'q5'")
    with Endpoint(knows) as endpoint:
        table = comparison.whose(items, PEOPLE, Model("m", endpoint.url), among=4)
    assert (table["score"] == 1).all() and table["p_right"].round(2).eq(0.7).all()
    assert set(table["place"]) == {0, 1, 2, 3}
    with Endpoint(lambda body: likely(A=0.7, B=0.1, C=0.1, D=0.1)) as endpoint:
        first = comparison.whose(items, PEOPLE, Model("m", endpoint.url), among=4)
    assert (first["score"] == (first["place"] == 0)).all()
    assert first["mass"].tolist() == pytest.approx([1.0] * len(first)) and first["samples"].eq(0).all()


def test_too_few_people_for_a_lineup_and_letters_that_do_not_come_are_said():
    with Endpoint(lambda body: likely(I=1.0)) as endpoint:
        judge = Model("m", endpoint.url)
        with pytest.raises(UserError, match="cannot choose among 6 of 5 people: take 2 to 5"):
            comparison.whose(pairs(), PEOPLE, judge, among=6)
        table = comparison.whose(pairs().head(2), PEOPLE, judge, among=3)
        assert table["score"].isna().all()
        assert table["failure"].notna().all(), "each row says why"
        assert len(comparison.whose(pairs().head(0), PEOPLE, judge)) == 0


def run(prompts: int = 4) -> pd.DataFrame:
    """Answers under three conditions that name the age of whoever they were written for."""
    people = list(PEOPLE.index)
    before = dict(zip(people, people[-1:] + people[:-1], strict=True))  # whose profile `other_persona` gives instead
    rows = [
        {"persona_id": p, "prompt_id": f"q{q}", "prompt": f"Why {q}?", "condition": c, "answer": f"for {who} on {q}"}
        for p, age in PEOPLE["age"].items()
        for q in range(prompts)
        for c, who in (("direct", age), ("other_persona", PEOPLE["age"][before[p]]), ("baseline", "all"))
    ]
    return pd.DataFrame(rows).astype("str").assign(failure=pd.Series(None, dtype="str"))


def test_a_run_with_other_peoples_answers_already_holds_items_with_a_known_truth():
    items = comparison.owned(run().assign(failure="critic: no reply"), PEOPLE, n=100)
    mine, theirs = (items[name].map(PEOPLE["age"]).astype("str") for name in ("persona_id", "other_id"))
    place = items["prompt_id"].str.removeprefix("q")
    assert (items["chosen"] == "for " + mine + " on " + place).all(), "a failed verdict makes no answer fail"
    assert (items["rejected"] == "for " + theirs + " on " + place).all() and (mine != theirs).all()
    assert (items["profile"] == "age: " + mine).all() and items["pair_id"].is_unique
    assert len(items) == 4 * 2 * 2, "of five people two couples answer each prompt"
    pd.testing.assert_frame_equal(items, comparison.owned(run(), PEOPLE, n=100))
    with Endpoint(knows) as endpoint:
        assert (comparison.choose(items, Model("m", endpoint.url))["score"] == 1).all()


def test_an_answer_under_another_persona_is_that_personas_own():
    table = run()
    items = comparison.owned(table[table["condition"] == "other_persona"], PEOPLE, n=100)
    assert len(items) == 16
    ages = items["persona_id"].map(PEOPLE["age"]).astype("str")
    assert all(f"for {age} on" in chosen for age, chosen in zip(ages, items["chosen"], strict=True))


def test_without_answers_that_differ_a_run_gives_a_table_without_rows():
    columns = list(comparison.owned(run(), PEOPLE, n=1).columns)
    empty = [run()[run()["condition"] == "baseline"], run().assign(answer="the same"), run().head(0)]
    empty.append(run().assign(answer=pd.Series(None, dtype="str"), failure="answer: refusal"))
    for table in empty:
        items = comparison.owned(table, PEOPLE, n=5)
        assert items.empty and set(items.columns) == set(columns)
