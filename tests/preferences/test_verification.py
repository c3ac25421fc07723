"""Does a judge prefer the revision? Both orders count, and a failure stays a row with its reason."""

import pandas as pd
import pytest
from endpoint import Endpoint
from writers import judging

from persona_lib.model import Model
from persona_lib.preferences import verification

PEOPLE = pd.DataFrame(
    {"age": [34, 71, 12], "sex": ["Male", "Female", "Female"], "religion": [None, None, None]},
    index=pd.Index(["p", "q", "r"], name="persona_id"),
)


def pairs(n: int = 12) -> pd.DataFrame:
    rows = [(f"{i:02}", "pqr"[i % 3], f"q{i // 3}", ("train", "seen_test")[i % 2]) for i in range(n)]
    table = pd.DataFrame(rows, columns=["pair_id", "persona_id", "prompt_id", "use"])
    table = table.assign(prompt="Why?", topic="x", persona_split="train", prompt_split="train")
    return table.assign(chosen="GOOD one", rejected="PLAIN one", failure=None).astype({"failure": "str"})


def outcomes(answer) -> pd.DataFrame:
    with Endpoint(answer) as endpoint:
        return verification.judge(pairs(), PEOPLE, Model("m", endpoint.url))


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (judging(0.8), "revision"),
        (judging(0.2), "base answer"),
        (judging(0.6, p_place=0.3), "order decides"),  # by the mean it would be the revision
        (judging(0.5, p_place=0.2), "order decides"),  # an exact tie of the mean
    ],
)
def test_a_revision_is_preferred_only_where_both_orders_say_so(answer, outcome):
    table = outcomes(answer)
    assert (table["outcome"] == outcome).all() and table["failure"].isna().all() and len(table) == 12


def test_a_judge_that_says_neither_leaves_the_pair_unscored_with_the_reason():
    def neither(body: dict) -> dict:
        reply = judging(0.5)(body)
        reply["choices"][0]["logprobs"]["content"][0]["top_logprobs"] = [{"token": "I", "logprob": 0, "bytes": None}]
        return reply

    table = outcomes(neither)
    assert table["outcome"].isna().all() and table["failure"].str.contains("none of A, B among").all()
    found = verification.rates(table, PEOPLE)
    assert found.loc[("all", "all pairs"), ["n", "failed"]].tolist() == [0, 12]


def test_rates_are_told_by_use_cell_topic_and_the_attributes_that_are_there():
    table = outcomes(judging(0.8))
    table.loc[table["persona_id"] == "p", "outcome"] = "base answer"
    table.loc[table.index[1], "outcome"] = "order decides"  # of persona q, aged 71
    found = verification.rates(table, PEOPLE)
    assert found.index.get_level_values("by").unique().tolist() == ["all", "use", "cell", "topic", "age", "sex"]
    assert found.loc[("all", "all pairs"), "rate"] == pytest.approx(7 / 12)
    assert found.loc[("all", "all pairs"), ["base", "order"]].tolist() == pytest.approx([4 / 12, 1 / 12])
    assert found.loc[("age", "30 to 44"), "rate"] == 0
    assert found.loc["age"].index.tolist() == ["30 to 44", "65 or older", "under 18"]
    assert found.loc[("age", "65 or older"), ["n", "rate", "order"]].tolist() == pytest.approx([4, 3 / 4, 1 / 4])
    assert (found["low"].isna() | (found["low"] <= found["rate"])).all()


def test_the_pairs_to_verify_are_spread_over_the_uses_and_usable():
    some = pairs()
    some.loc[0, "failure"] = "critique: refusal"
    drawn = verification.draw(some, 6)
    assert drawn["use"].value_counts().to_dict() == {"train": 3, "seen_test": 3} and 0 not in drawn.index
    assert set(verification.draw(some, 4).index) < set(drawn.index)
    assert len(verification.draw(some, 100)) == 11
