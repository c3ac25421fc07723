"""Leaving attributes out: profiles that differ by one alone, the same answers for both, planted effects found."""

import json
import math
import re
from zlib import crc32

import numpy as np
import pandas as pd
import pytest
from endpoint import Endpoint, completion
from scipy.optimize import brentq
from scipy.special import expit
from scipy.stats import ttest_ind

from persona_lib import UserError, bench
from persona_lib.bench import influences, leave_one_out
from persona_lib.bench.hiding import LINES
from persona_lib.model import Model


def people(n: int) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "age": range(20, 20 + n),
            "sex": ["Male", "Female"] * (n // 2),
            "race": "White alone",
            "marital status": "Divorced",
            "religion": ["Catholic"] * (n // 2) + [None] * (n // 2),
        },
        index=pd.Index([f"p{i}" for i in range(n)], name="persona_id"),
    )


def questions(n: int) -> pd.DataFrame:
    ids = [f"q{i}" for i in range(n)]
    return pd.DataFrame({"prompt_id": ids, "prompt": [f"Why {i}?" for i in ids], "topic": "x", "prompt_split": "train"})


def answer(body: dict) -> dict:
    """Whoever is told a religion prefers revisions, whoever is not the base answer; the rest is the same for all."""
    said = str(body["messages"])
    if "response_format" not in body:
        faithful, revised_first = "religion:" in said, "<answer A>\\nrevised" in said
        p = 0.9 if faithful == revised_first else 0.1
        reply = completion("A")
        likely = [{"token": "A", "logprob": math.log(p)}, {"token": "B", "logprob": math.log(1 - p)}]
        reply["choices"][0]["logprobs"] = {"content": [{"top_logprobs": likely}]}
        return reply
    fields = body["response_format"]["json_schema"]["schema"]["properties"]
    texts = {"answer": "base", "critique": "hm", "revision": f"revised {crc32(said.encode())}"}
    return completion(json.dumps({field: texts[field] for field in fields}))


def test_both_profiles_have_the_same_attributes_but_for_the_one():
    drawn = leave_one_out.annotators(people(20), ["religion", "age"], n=6)
    assert drawn.groupby(["attribute", "version"]).size().eq(6).all()
    for (attribute, _), pair in drawn.groupby(["attribute", "persona_id"]):
        told = {row.version: set(row.profile.splitlines()) for row in pair.itertuples()}
        assert len(told["without"]) == 3 and told["without"] < told["with"]
        (extra,) = told["with"] - told["without"]
        assert extra.startswith(f"{attribute}: ")
    assert drawn.groupby("attribute")["applies_to"].first().to_dict() == {"religion": 0.5, "age": 1.0}


def test_an_attribute_that_applies_to_few_takes_those_and_one_that_applies_to_nobody_is_said():
    assert leave_one_out.annotators(people(20), ["religion"], n=40)["persona_id"].nunique() == 10
    with pytest.raises(UserError, match="nobody here has a value of 'religion'"):
        leave_one_out.annotators(people(20).assign(religion=None), ["religion"])
    with pytest.raises(UserError, match="no attribute 'faith': known are age, sex, race, marital status, religion"):
        leave_one_out.annotators(people(20), ["faith"])


def test_most_attributes_of_a_person_share_a_profile_and_all_have_the_placebo_on_the_same_people():
    drawn = leave_one_out.annotators(people(20), ["religion", "age", "sex", "placebo"], n=6)
    who = drawn.groupby("attribute")["persona_id"].agg(set)
    assert who["age"] == who["sex"] and len(who["age"]) == 6, "the first six of one order have an age and a sex"
    assert who["placebo"] == who["age"] | who["religion"] and len(who["religion"] & who["age"]) > 1
    untold = drawn[drawn["version"] == "without"]
    for _, own in untold.groupby("persona_id"):
        others = own.set_index("attribute")["others"].str.split(", ")
        free = [name for name in others.index if name not in others["placebo"]]
        assert others[free].map(tuple).nunique() == 1, "they differ only where an attribute is itself among the others"


def test_a_planted_influence_is_found_and_others_agree_wholly():
    with Endpoint(answer) as endpoint:
        model = Model("m", endpoint.url)
        drawn = leave_one_out.annotators(people(20), ["religion", "sex", "placebo"], n=4)
        drawn = drawn[~drawn["others"].str.contains("religion")]
        told = drawn.groupby("attribute")["persona_id"].nunique()
        table = leave_one_out.choices(drawn, questions(3), model, model)
    assert len(table) == told.sum() * 3 * 3 * 2
    between = table["refined_for"] == leave_one_out.BOTH
    assert table.loc[~between, "failure"].isna().all() and (table.loc[between, "p_chosen"] == 0.5).all()
    profiles = drawn["profile"].unique()
    writing = [r for r in endpoint.requests if "response_format" in r]
    assert len(writing) == 3 + len(profiles) * 3 * 2 < 3 + len(drawn) * 3 * 2, "what attributes share is asked once"
    asked = [json.dumps(r["messages"]) for r in endpoint.requests if "response_format" not in r]
    assert len(asked) == len(set(asked))
    per_pair = table.groupby(["attribute", "persona_id", "pair_id"])
    assert per_pair["version"].apply(set).eq({"with", "without"}).all(), "both choose between the same two answers"
    both = leave_one_out.compared(table)
    found = leave_one_out.influence(both)
    assert (found["n"] == 6).all() and (found.query("attribute == 'religion'")["raw"] == 0).all()
    assert (found.query("attribute != 'religion'")["raw"] == 1).all()
    summed = leave_one_out.by_attribute(both)
    assert summed["kappa"]["religion"] == 0 and summed["people"].to_dict() == told.to_dict()
    assert summed["undefined"]["sex"] == told["sex"], "who always chooses alike has no kappa"
    moved = leave_one_out.changes(both)
    base = both[both["refined_for"] != leave_one_out.BOTH]
    assert base.groupby("attribute")["change"].mean().to_dict() == pytest.approx(
        {"religion": 0.8, "sex": 0.0, "placebo": 0.0}
    )
    assert moved.index[0] == "religion" and moved["n"]["sex"] == told["sex"] * 3 * 3


def test_a_revision_that_fails_is_a_row_and_kappas_that_are_undefined_are_counted():
    def failing(body: dict) -> dict:
        return completion("", refusal="no") if "revision" in str(body.get("response_format")) else answer(body)

    with Endpoint(failing) as endpoint:
        model = Model("m", endpoint.url)
        table = leave_one_out.choices(leave_one_out.annotators(people(8), ["sex"], n=2), questions(2), model, model)
    assert len(table) == 2 * 2 * 3 * 2 and (table["failure"] == "revision: refusal: no").all()
    both = leave_one_out.compared(table)
    found = leave_one_out.by_attribute(both)
    assert found.loc["sex", "undefined"] == 2 and np.isnan(found.loc["sex", "kappa"])
    moved = leave_one_out.changes(both).loc["sex"]
    assert moved["failed"] == 12 and moved[["change", "own", "gap", "p"]].isna().all()


def hiding(body: dict) -> dict:
    """Answers tell whether the writer knew the sex; the critic wants it told."""
    said = body["messages"][0]["content"]
    fields = body["response_format"]["json_schema"]["schema"]["properties"]
    if "verdict" in fields:
        assert "sex: " in said, "nothing is hidden from the judge"
        good = "knew" in body["messages"][1]["content"]
        reply = {"critique": "x", "grade": 4 if good else 2, "verdict": "keep" if good else "revise"}
        return completion(json.dumps({field: reply[field] for field in fields}))
    return completion(json.dumps({"answer": "I knew." if "sex: " in said else "I guessed."}))


def test_hiding_an_attribute_from_the_writer_shows_in_the_score_of_the_same_items():
    folks = people(8)
    with Endpoint(hiding) as endpoint:
        model = Model("m", endpoint.url)
        items = bench.items(folks, questions(6), 24, seed=0)
        table = leave_one_out.hide(items, folks, ["sex", "religion"], model, model)
    assert table.groupby("hidden").size().to_dict() == {"nothing": 24, "sex": 24, "religion": 12, "placebo": 24}
    lines = table[table["hidden"] == "placebo"].drop_duplicates("persona_id")["told"].str.split("\n")
    whole = table[table["hidden"] == "nothing"].drop_duplicates("persona_id")["profile"].str.split("\n")
    more = [[i for i, line in enumerate(own) if line.partition(": ")[0] in LINES] for own in lines]
    assert all(len(places) == 1 for places in more) and len({places[0] for places in more}) > 1, "at random places"
    assert [len(own) for own in lines] == [len(own) + 1 for own in whole]
    found = leave_one_out.losses(table).set_index("hidden")
    assert found["difference"].to_dict() == {"sex": -1.0, "religion": 0.0, "placebo": 0.0}
    assert found["changed"].to_dict() == {"sex": 1.0, "religion": 0.0, "placebo": 0.0}
    assert found["n"].to_dict() == {"sex": 24, "religion": 12, "placebo": 24} and (found["failed"] == 0).all()
    assert np.isnan(found["p_holm"]["placebo"]), "the placebo is no claim"
    assert found["p_holm"]["sex"] < 0.05 < found["p_holm"]["religion"]
    asked = [r for r in endpoint.requests if "verdict" not in str(r) and not re.search("sex: ", str(r["messages"]))]
    assert len(asked) == 24


def test_an_attribute_that_nobody_among_the_items_has_is_a_row_and_an_unknown_one_is_said():
    folks = people(8).assign(religion=None)
    with Endpoint(hiding) as endpoint:
        one = Model("m", endpoint.url)
        items = bench.items(folks, questions(6), 24, seed=0)
        table = leave_one_out.hide(items, folks, ["sex", "religion"], one, one)
        with pytest.raises(UserError, match="no attribute 'faith': known are age, sex"):
            leave_one_out.hide(items, folks, ["faith"], one, one)
    found = leave_one_out.losses(table, ["sex", "religion"]).set_index("hidden")
    assert found["n"].to_dict() == {"sex": 24, "religion": 0, "placebo": 24}
    assert found["note"]["religion"].startswith("nobody among")
    assert found["p_holm"]["sex"] == found["p"]["sex"] and np.isnan(found["p_holm"]["religion"])


def test_the_placebo_tells_nothing_in_one_of_several_lines_at_a_random_place():
    drawn = leave_one_out.annotators(people(40), ["sex", leave_one_out.PLACEBO], n=40)
    told = drawn[drawn["attribute"] == "placebo"].pivot(index="persona_id", columns="version", values="profile")
    found = [(w.split("\n"), o.split("\n")) for w, o in zip(told["with"], told["without"], strict=True)]
    extra = [next(i for i, line in enumerate(w) if line not in o) for w, o in found]
    assert all(w[:i] + w[i + 1 :] == o for i, (w, o) in zip(extra, found, strict=True))
    lines = [w[i] for i, (w, _) in zip(extra, found, strict=True)]
    assert all(re.fullmatch(r"[a-z ]+: \d{4}", line) for line in lines)
    assert {line.partition(": ")[0] for line in lines} == set(LINES) and set(extra) == {0, 1, 2, 3}


def cells(changes: dict[str, np.ndarray], equal: bool = True) -> pd.DataFrame:
    """Choices of both annotators side by side, from arrays (people, questions) of the share that differs."""
    rows = [
        [attribute, f"p{i}", f"q{j}", "with", "chosen", "chosen", 1 - x if equal else 1.0, x]
        for attribute, shares in changes.items()
        for (i, j), x in np.ndenumerate(shares)
    ]
    columns = ["attribute", "persona_id", "prompt_id", "refined_for", "with", "without", "equal", "change"]
    return pd.DataFrame(rows, columns=columns)


def test_attributes_are_held_against_the_placebo_and_only_more_change_counts():
    rng = np.random.default_rng(0)
    shares = {"sex": 0.4, "race": 0.1, "age": 0.0, "placebo": 0.1}
    table = cells({a: rng.random((20, 10)) < share for a, share in shares.items()})
    for found, sign in ((leave_one_out.by_attribute(table), -1), (leave_one_out.changes(table), 1)):
        p = found["p_holm"]
        assert p["sex"] < 0.001 and p["race"] > 0.05 and p["age"] == 1 and np.isnan(p["placebo"])
        gap = (
            table[table["attribute"] == "sex"]["change"].mean()
            - table[table["attribute"] == "placebo"]["change"].mean()
        )
        assert found["gap"]["sex"] == pytest.approx(sign * gap)
        ends = sorted([sign * found["gap_low"]["race"], sign * found["gap_high"]["race"]])
        assert (found["p"]["race"] < 0.05) == (ends[0] > 0) and ends[0] < sign * found["gap"]["race"] < ends[1]


@pytest.mark.parametrize("placebo", [0.0, 1.0], ids=["a placebo alike on all questions", "a placebo as uneven"])
def test_attributes_that_matter_on_some_questions_alone_are_no_false_alarms(placebo):
    # 40 people x 20 questions, 10 attributes; all differ in 10% of choices, by question with sd 1 in log odds. A test
    # of people alone, Holm-corrected, raises a false alarm in most of such studies.
    rng, studies = np.random.default_rng(2), 50
    z = rng.normal(size=20_000)
    middle = {sd: brentq(lambda b, sd=sd: expit(b + sd * z).mean() - 0.1, -8, 2) for sd in (0.0, 1.0)}
    asked = pd.MultiIndex.from_product([range(40), range(20)], names=["persona_id", "prompt_id"]).to_frame(index=False)
    ours = theirs = 0
    for _ in range(studies):
        sds = [placebo] + [1.0] * 10
        drawn = [rng.random((40, 20)) < expit(middle[sd] + sd * rng.normal(size=20)) for sd in sds]
        line, *rest = (asked.assign(change=x.ravel().astype(float)) for x in drawn)
        tables = [pd.concat([line.assign(attribute="placebo"), own.assign(attribute="a")]) for own in rest]
        p = [
            influences.gap_to_placebo(table, "a", "change", influences.mean_difference, more=1)["p"] for table in tables
        ]
        ours += min(p) * len(p) < 0.05
        by_people = [ttest_ind(x.mean(1), drawn[0].mean(1), equal_var=False).pvalue for x in drawn[1:]]
        theirs += min(by_people) * len(p) < 0.05
    error = np.sqrt(0.05 * 0.95 / studies)
    assert ours / studies <= 0.05 + 2 * error and theirs / studies > 0.3


def test_who_was_drawn_is_told_for_attributes_that_apply_to_few_and_to_nobody():
    folks = people(20).assign(ancestry=None)
    drawn = leave_one_out.annotators(folks, ["age", "religion"], n=15)
    table = leave_one_out.selection(drawn, 15, ["age", "religion", "ancestry"])
    assert table["people"].to_dict() == {"age": 15, "religion": 10, "ancestry": 0}
    assert table["applies_to"].to_dict() == {"age": 1, "religion": 0.5, "ancestry": 0}
    assert leave_one_out.selection(drawn, 15).index.tolist() == ["age", "religion"], "of the others nothing is said"
    assert table["note"].tolist() == ["", "fewer than 15", "nobody here has it"]
    assert leave_one_out.known(folks) == ["age", "sex", "race", "marital status", "religion"]


def test_a_model_that_gives_one_answer_to_everything_leaves_nothing_to_choose_and_is_not_asked():
    with Endpoint(lambda body: completion(json.dumps(dict.fromkeys(schema(body), "Yes.")))) as endpoint:
        model = Model("m", endpoint.url)
        table = leave_one_out.choices(leave_one_out.annotators(people(8), ["sex"], n=2), questions(2), model, model)
    same = table["refined_for"].map({leave_one_out.BOTH: leave_one_out.SAME_BOTH}).fillna(leave_one_out.SAME)
    assert (table["failure"] == same).all() and all("response_format" in r for r in endpoint.requests)
    said = headline(leave_one_out.compared(table), leave_one_out.losses(hidden([])))
    assert said.startswith("No choice could be compared. Against the base answer the same person chooses alike, told ")
    assert "in an unknown share (n = 0; nothing scored) of choices; 2 of 2 kappas are undefined." in said
    assert "nan" not in said
    assert said.endswith("No change of the score by hiding an attribute could be measured.")


def headline(table: pd.DataFrame, lost: pd.DataFrame) -> str:
    found = leave_one_out.changes(table), leave_one_out.by_attribute(table)
    return leave_one_out.headline(table, *found, lost)


def test_the_headline_holds_the_attributes_against_the_placebo_and_does_not_average_it_in():
    table = cells({"age": np.full((9, 8), 0.5), "sex": np.full((9, 8), 0.1), "placebo": np.full((9, 8), 0.05)})
    table["change"] += np.random.default_rng(0).uniform(-0.01, 0.01, len(table))
    table["equal"] = table["equal"].round()
    lost = leave_one_out.losses(hidden([]))
    said = headline(table, lost)
    assert said.startswith("One more attribute moves the probability of a choice by 30 points (95% interval ")
    assert re.search(r", n = 144\), a line without content by 5 points \(95% interval \d+ to \d+, n = 72\); ", said), (
        said
    )
    assert "clearly more than by such a line for 2 of 2 attributes (Holm over attributes)" in said
    change = {"hidden": ["age", "placebo"], "difference": -0.125, "low": -0.3, "high": -0.05}
    found = lost.reindex([0, 1]).assign(n=24, note="", p=0.01, p_holm=[0.01, np.nan], **change)
    said = headline(table, found)
    assert said.endswith(
        "clearly changes the score for 1 of 1 attributes (Holm over attributes); the lowest difference is that of age, "
        "−12 points (95% interval −30 to −5, n = 24); that of a line without content is −12 points (95% interval −30 "
        "to −5, n = 24)."
    )


def schema(body: dict) -> list[str]:
    return body["response_format"]["json_schema"]["schema"]["properties"]


def hidden(rows: list) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["hidden", "persona_id", "prompt_id", "score"])


def test_a_critic_that_is_never_valid_leaves_rows_that_say_so():
    rows = [(h, f"p{i}", "q", np.nan) for h in ("nothing", "sex") for i in range(3)]
    found = leave_one_out.losses(hidden(rows), ["sex"])
    assert found.loc[0, ["n", "failed", "note"]].tolist() == [0, 3, "nothing scored"] and found["p_holm"].isna().all()


def test_means_over_people_have_intervals_within_their_range_and_rounding_is_no_spread():
    kappas = pd.Series([1.0, 1.0, 0.4])
    mean, low, high = influences.over_people(kappas)
    assert mean == pytest.approx(0.8) and high == 1 and -1 <= low < 0.8
    alike = 2 / 3 + np.tile([0, 1e-16, -1e-16], 10)
    assert np.isnan(influences.over_people(pd.Series(alike))[1:]).all()
    table = cells({"sex": np.full((6, 5), 1 / 3), "placebo": np.full((6, 5), 2 / 3)}, equal=False)
    found = leave_one_out.changes(table)
    assert found[["gap_low", "gap_high", "p", "p_holm"]].isna().all(axis=None), "a gap without spread is not tested"
    assert found["gap"]["sex"] == pytest.approx(-1 / 3) and found["low"]["sex"] < 1 / 3 < found["high"]["sex"]


def test_the_gap_has_the_interval_of_the_two_way_variance():
    rng = np.random.default_rng(3)
    x = 0.5 + 0.05 * rng.normal(size=(30, 1)) + 0.05 * rng.normal(size=(1, 20)) + 0.1 * rng.normal(size=(30, 20))
    row = leave_one_out.changes(cells({"sex": x, "placebo": np.full((30, 20), 0.1)})).loc["sex"]
    people, asked = x.mean(1).var(ddof=1) / 30, x.mean(0).var(ddof=1) / 20
    rest = ((x - x.mean(1, keepdims=True) - x.mean(0) + x.mean()) ** 2).sum() / (29 * 19) / 600
    error = np.sqrt(people + asked - rest)  # of the analysis of variance
    assert (row["gap_high"] - row["gap_low"]) / 2 == pytest.approx(2.04 * error, rel=0.05)
    assert row["gap"] == pytest.approx(x.mean() - 0.1) and row["n"] == 600 and row["p"] < 0.001


def test_lengths_are_asked_for_as_told_or_not_at_all():
    with Endpoint(answer) as endpoint:
        model = Model("m", endpoint.url)
        drawn = leave_one_out.annotators(people(8), ["sex"], n=1)
        leave_one_out.choices(drawn, questions(1), model, model, words=77)
        leave_one_out.choices(drawn, questions(1), model, model, words=None)
    said = [r["messages"][0]["content"] + r["messages"][-1]["content"] for r in endpoint.requests]
    written = [text for text, r in zip(said, endpoint.requests, strict=True) if "response_format" in r]
    assert sum("77 words" in text for text in written) == 3, "the base answer and two critiques"
    assert sum("words" not in text for text in written) == 5, "of any length, revisions too"
