"""Leaving attributes out: profiles that differ by one alone, the same answers for both, planted effects found."""

import json
import math
import re

import numpy as np
import pandas as pd
import pytest
from endpoint import Endpoint, completion
from scipy import stats

from persona_lib import UserError, bench
from persona_lib.bench import leave_one_out
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
    texts = {"answer": "base", "critique": "hm", "revision": f"revised {hash(said) % 997}"}
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


def test_a_planted_influence_is_found_and_others_agree_wholly():
    with Endpoint(answer) as endpoint:
        model = Model("m", endpoint.url)
        drawn = leave_one_out.annotators(people(20), ["religion", "sex"], n=4)
        table = leave_one_out.choices(drawn, questions(3), model, model)
    assert len(table) == 2 * 4 * 3 * 2 * 2 and table["failure"].isna().all()
    writing = [r for r in endpoint.requests if "response_format" in r]
    assert len(writing) <= 3 + 2 * 4 * 3 * 2 * 2, "base answers are shared"
    per_pair = table.groupby(["attribute", "persona_id", "pair_id"])
    assert per_pair["version"].apply(set).eq({"with", "without"}).all(), "both choose between the same two answers"
    found = leave_one_out.influence(table)
    assert (found["n"] == 6).all() and (found.query("attribute == 'religion'")["raw"] == 0).all()
    assert (found.query("attribute == 'sex'")["raw"] == 1).all()
    summed = leave_one_out.by_attribute(found)
    assert summed["kappa"]["religion"] == 0 and (summed["people"] == 4).all()
    assert summed["undefined"].to_dict() == {"religion": 0, "sex": 4}, "who always chooses alike has no kappa"


def test_a_revision_that_fails_is_a_row_and_kappas_that_are_undefined_are_counted():
    def failing(body: dict) -> dict:
        return completion("", refusal="no") if "revision" in str(body.get("response_format")) else answer(body)

    with Endpoint(failing) as endpoint:
        model = Model("m", endpoint.url)
        table = leave_one_out.choices(leave_one_out.annotators(people(8), ["sex"], n=2), questions(2), model, model)
    assert len(table) == 2 * 2 * 2 * 2 and (table["failure"] == "revision: refusal: no").all()
    found = leave_one_out.by_attribute(leave_one_out.influence(table))
    assert found.loc["sex", "undefined"] == 2 and np.isnan(found.loc["sex", "kappa"])


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
    assert table.groupby("hidden").size().to_dict() == {"nothing": 24, "sex": 24, "religion": 12}
    found = leave_one_out.losses(table).set_index("hidden")
    assert found["difference"].to_dict() == {"sex": -1.0, "religion": 0.0}
    assert found["n"].to_dict() == {"sex": 24, "religion": 12} and (found["failed"] == 0).all()
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
    assert found["n"].to_dict() == {"sex": 24, "religion": 0} and found["note"]["religion"].startswith("nobody among")
    assert found["p_holm"]["sex"] == found["p"]["sex"] and np.isnan(found["p_holm"]["religion"])


def test_the_placebo_tells_nothing_and_shows_what_any_line_does():
    drawn = leave_one_out.annotators(people(20), ["sex", leave_one_out.PLACEBO], n=6)
    told = drawn[drawn["attribute"] == "placebo"].pivot(index="persona_id", columns="version", values="profile")
    extra = [w.removeprefix(o) for w, o in zip(told["with"], told["without"], strict=True)]
    assert all(re.fullmatch(r"\nrecord number: \d{4}", line) for line in extra)
    rng = np.random.default_rng(0)
    raw = {"sex": rng.normal(0.5, 0.1, 40), "race": rng.normal(0.9, 0.1, 40), "placebo": rng.normal(0.9, 0.1, 40)}
    raw = np.concatenate([*raw.values()])
    pairs = pd.DataFrame({"attribute": np.repeat(["sex", "race", "placebo"], 40), "raw": raw, "n": 6, "kappa": 0.1})
    p = leave_one_out.by_attribute(pairs)["p_holm"]
    assert p["sex"] < 0.001 and p["race"] > 0.05 and np.isnan(p["placebo"])


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
    assert (table["failure"] == leave_one_out.SAME).all() and all("response_format" in r for r in endpoint.requests)
    pairs = leave_one_out.influence(table)
    said = leave_one_out.headline(pairs, leave_one_out.by_attribute(pairs), leave_one_out.losses(hidden([])))
    assert said.startswith("No choice could be compared; 2 of 2 kappas are undefined.") and "nan" not in said
    assert said.endswith("No change of the score by hiding an attribute could be measured.")


def test_the_headline_holds_the_attributes_against_the_placebo_and_does_not_average_it_in():
    rows = [["age", "a", 10, 0.8, 0.5], ["sex", "b", 30, 0.6, 0.2], [leave_one_out.PLACEBO, "c", 10, 0.1, np.nan]]
    pairs = pd.DataFrame(rows, columns=["attribute", "persona_id", "n", "raw", "kappa"])
    summed = pairs.set_index("attribute").assign(p_holm=[0.01, 0.2, np.nan], low=-0.1, high=0.4, people=9)
    lost = leave_one_out.losses(hidden([]))
    said = leave_one_out.headline(pairs, summed, lost)
    assert said.startswith("Told one more attribute, the same person chooses alike in 65% (no interval, n = 40) of ")
    assert "told the placebo in 10% (no interval, n = 10), clearly unlike the placebo for " in said
    assert "for 1 of 2 attributes" in said
    assert "the lowest mean kappa is that of sex, 0.20 (95% interval −0.10 to 0.40, n = 9). " in said
    change = {"hidden": "age", "difference": -0.125, "low": -0.3, "high": -0.05}
    found = lost.reindex([0, 1]).assign(n=24, p=0.01, p_holm=[0.01, 0.2], **change)
    said = leave_one_out.headline(pairs, summed, found)
    assert said.endswith(
        "clearly changes the score for 1 of 2 attributes; the greatest loss is that of age, "
        "−12 points (95% interval −30 to −5, n = 24)."
    )


def schema(body: dict) -> list[str]:
    return body["response_format"]["json_schema"]["schema"]["properties"]


def hidden(rows: list) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["hidden", "persona_id", "prompt_id", "score"])


def test_a_critic_that_is_never_valid_leaves_rows_that_say_so():
    rows = [(h, f"p{i}", "q", np.nan) for h in ("nothing", "sex") for i in range(3)]
    found = leave_one_out.losses(hidden(rows), ["sex"])
    assert found.loc[0, ["n", "failed", "note"]].tolist() == [0, 3, "nothing scored"] and found["p_holm"].isna().all()


def test_means_have_intervals_within_their_range_and_rounding_is_no_spread():
    few = pd.DataFrame({"attribute": "sex", "n": 4, "raw": [1, 0.9, 0.95], "kappa": [1.0, 1.0, 0.4]})
    row = leave_one_out.by_attribute(few).loc["sex"]
    assert row["kappa"] == pytest.approx(0.8) and row["high"] == 1 and -1 <= row["low"] < 0.8
    assert row["raw"] == pytest.approx(0.95) and row["raw_high"] == 1 and 0.8 < row["raw_low"] < 0.95 and row["n"] == 12
    raw = [5 / 6] * 30 + [2 / 3] * 30
    alike = pd.DataFrame({"attribute": ["sex"] * 30 + ["placebo"] * 30, "n": 6, "raw": raw, "kappa": 0.1})
    found = leave_one_out.by_attribute(alike)
    assert found[["low", "high", "raw_low", "raw_high", "p_holm"]].isna().all(axis=None)


def test_people_who_are_alike_but_for_rounding_are_tested_without_a_warning_of_lost_precision():
    rounded = 2 / 3 + np.tile([0, 1e-16, -1e-16], 10)
    varied = np.random.default_rng(1).choice([1 / 3, 2 / 3, 1], 30)
    with pytest.warns(RuntimeWarning, match="Precision loss"):
        stats.ttest_ind(rounded, varied, equal_var=False)  # why we don't call it
    rows = {"attribute": ["sex"] * 30 + ["placebo"] * 30, "n": 6, "raw": [*rounded, *varied], "kappa": np.nan}
    p = leave_one_out.by_attribute(pd.DataFrame(rows)).loc["sex", "p_holm"]  # a warning would be an error
    # The same as of one sample, because the other has no spread.
    assert p == pytest.approx(stats.ttest_1samp(varied, 2 / 3).pvalue)
    other = {"attribute": ["sex"] * 30 + ["placebo"] * 30, "n": 6, "raw": [*varied[::-1] / 2, *varied], "kappa": np.nan}
    p = leave_one_out.by_attribute(pd.DataFrame(other)).loc["sex", "p_holm"]
    assert p == pytest.approx(stats.ttest_ind(varied / 2, varied, equal_var=False).pvalue)


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


def test_the_headline_weighs_attributes_and_placebo_alike():
    rows = {"persona_id": ["a", "b", "c"], "n": [6, 4, 4], "failed": 0, "raw": [0.5, 0.0, 0.5], "kappa": 0.1}
    pairs = pd.concat([pd.DataFrame({"attribute": name, **rows}) for name in ("age", "placebo")], ignore_index=True)
    lost = pd.DataFrame({"p_holm": [np.nan], "p": [np.nan], "n": [0], "difference": [np.nan]})
    said = leave_one_out.headline(pairs, leave_one_out.by_attribute(pairs), lost)
    share = "36% (95% interval"
    assert f"chooses alike in {share}" in said and f"told the placebo in {share}" in said and said.count("n = 14") == 2
