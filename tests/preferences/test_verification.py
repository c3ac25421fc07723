"""Does a judge prefer the revision? Both orders count, and a failure stays a row with its reason."""

import re

import numpy as np
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
    assert found[["rate", "base", "order"]].isna().all(axis=None), "what nobody scored has no share"


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


def test_all_writers_and_wordings_are_verified_on_the_same_people_and_prompts():
    one, other = pairs(), pairs()[::-1].assign(pair_id=[f"other {i}" for i in range(12)])
    first, second = (verification.draw(table, 5)[["persona_id", "prompt_id"]] for table in (one, other))
    assert first.to_numpy().tolist() == second.to_numpy().tolist()


def hard(found: pd.DataFrame) -> pd.DataFrame:
    """Two negatives per pair, the revisions of the next pairs; the first has no most opposite person."""
    other = found.assign(kind="other", negative_id=found["pair_id"].shift(-1, fill_value="00"))
    opposite = found.assign(kind="opposite", negative_id=found["pair_id"].shift(-2, fill_value="01"))
    opposite.loc[0, "negative_id"] = None
    return pd.concat([other, opposite], ignore_index=True)[["pair_id", "kind", "negative_id"]]


def test_own_revision_stands_against_others_in_the_place_of_the_base_answer():
    made = pairs().assign(chosen=[f"text {i}" for i in range(12)])
    drawn = verification.draw(made, 4)
    shown = verification.rivals(drawn, made, hard(made))
    assert shown.groupby("comparison").size().to_dict() == {
        "another's revision": 4,
        "opposite's revision": 4 - ("00" in set(drawn["pair_id"])),
    }
    row = shown[(shown["pair_id"] < "10") & (shown["comparison"] == "another's revision")].iloc[0]
    own = int(row["pair_id"])
    assert row["chosen"] == f"text {own}" and row["rejected"] == f"text {own + 1}"


def compared(p_good: float, p_place: float = 0.0) -> pd.DataFrame:
    """Verdicts of a judge that likes GOOD answers: against base answers, and against revisions as good as the own."""
    both = pd.concat([pairs(), pairs().assign(rejected="GOOD too", comparison="another's revision")], ignore_index=True)
    with Endpoint(judging(p_good, p_place)) as endpoint:
        return verification.judge(both.fillna({"comparison": "base answer"}), PEOPLE, Model("m", endpoint.url))


def test_one_order_both_orders_and_the_mean_probability_are_told_apart():
    table = compared(0.6, p_place=0.2)  # 0.8 where the revision comes first, 0.4 where it comes second
    found = verification.readings(table).loc["base answer"]
    rates = dict(zip(found.index, found["rate"], strict=True))
    assert rates == {
        "one order, shown first": 1.0,
        "one order, shown second": 0.0,
        "both orders": 0.0,
        "mean probability": pytest.approx(0.6),
    }
    assert (found["n"] == 12).all() and (found["failed"] == 0).all()
    assert set(table["outcome"]) == {"order decides"}


def test_the_rival_that_wins_is_named_and_an_equal_one_wins_half():
    table = compared(0.2)
    assert set(table.loc[table["comparison"] == "base answer", "outcome"]) == {"base answer"}
    even = verification.readings(table).loc[("another's revision", "mean probability")]
    assert even["rate"] == pytest.approx(0.5) and even["low"] < 0.5 < even["high"]


@pytest.mark.parametrize(
    ("rate", "low", "high", "said"),
    [
        (
            0.9,
            0.8,
            0.95,
            "90% (95% interval 80% to 95%, n = 12), preferred in both orders 30% (no interval",
        ),
        (0.2, 0.1, 0.4, "the rival is preferred."),
        (0.6, 0.4, 0.8, "this run shows no preference."),
        (
            0.6,
            np.nan,
            np.nan,
            "60% (no interval, n = 12), preferred in both orders 30% (no interval, n = 12): no",
        ),
        (np.nan, np.nan, np.nan, "nothing could be scored."),
    ],
)
def test_the_sentence_follows_the_interval(rate, low, high, said):
    table = verification.readings(compared(0.9)).assign(note="")
    reading = table.index.get_level_values("reading")
    table.loc[reading == "both orders", ["rate", "low", "high"]] = 0.3, np.nan, np.nan
    table.loc[reading == "mean probability", ["rate", "low", "high"]] = rate, low, high
    told = verification.told(table).split("\n")
    assert told[0].startswith("Against the base answer: ") and told[1].startswith("Against another's revision: ")
    assert all(said in line and "nan" not in line for line in told)


def test_the_headline_gives_each_share_its_interval_and_n():
    table = compared(0.6, p_place=0.2)
    total = verification.rates(table[table["comparison"] == "base answer"], PEOPLE).loc[("all", "all pairs")]
    said = verification.headline("m", verification.readings(table), total)
    assert re.search(
        r"both orders in 0% \(95% interval 0% to \d+%, n = 12; too few [^)]+\) of pairs \(paper: [^)]+\); mean",
        said,
    )
    assert re.search(
        r"60% \([^)]+, n = 12[^)]*\) against the base answer, 50% \(.+\) against another's revision\.$", said
    )
    unscored = table.assign(outcome=None, p_first=np.nan, p_second=np.nan, p_chosen=np.nan).astype({"outcome": "str"})
    nobody = verification.headline("m", verification.readings(unscored), verification.rates(unscored, PEOPLE).iloc[0])
    assert (
        "an unknown share (n = 0; nothing scored) of pairs" in nobody
        and "decides" not in nobody
        and "nan" not in nobody
    )


def test_length_gaps_are_shown_with_the_preference_at_equal_length():
    table = compared(0.7)
    found = verification.length_control(table)
    assert found.loc["base answer", "gap"] == pytest.approx((8 - 9) / 9) and found.loc["base answer", "longer"] == 0
    assert found.loc["base answer", "note"] == "all scores equal: nothing for length to explain"
    assert found.loc["another's revision", "n"] == 12
    varied = table.assign(length_gap=[i / 24 - 0.25 for i in range(24)])
    varied["p_chosen"] = (0.7 + varied["length_gap"]).clip(0, 1)  # a judge that prefers length
    found = verification.length_control(varied)
    assert found.loc["base answer", "controlled"] > found.loc["base answer", "rate"], "its revisions are shorter here"
