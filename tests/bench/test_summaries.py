"""What a summary leaves out: the judge on each attribute, the lexical match beside it, nothing dropped silently."""

import json
import re

import pandas as pd
import pytest
from endpoint import Endpoint, completion

from persona_lib import UserError, personas
from persona_lib.attributes import NAMES
from persona_lib.bench import summaries
from persona_lib.model import Model
from persona_lib.personas import personality
from persona_lib.stats import intervals

PEOPLE = pd.DataFrame(
    {
        "age": [71, 30],
        "sex": ["Female", "Male"],
        "marital status": ["Widowed", "Married"],
        "occupation category": [None, "Office and administrative support"],
        "religion": ["Catholic", "None"],
    },
    index=pd.Index(["p", "q"], name=personas.ID),
)


def results(*texts: str | None) -> pd.DataFrame:
    """Summaries of p and q in turn."""
    ids = ["p", "q"] * (len(texts) // 2)
    table = pd.DataFrame({"persona_id": ids, "working": list(texts)}).astype("str")
    profiles = {i: personas.describe(row) for i, row in PEOPLE.iterrows()}
    failure = table["working"].isna().map({True: "answer: refusal: no", False: None}).astype("str")
    prompts = [f"q{k // 2}" for k in range(len(table))]
    return table.assign(profile=table["persona_id"].map(profiles), prompt_id=prompts, model="m", failure=failure)


def says(body: dict) -> dict:
    """A judge that finds sex and age told, and nothing else."""
    fields = body["response_format"]["json_schema"]["schema"]["properties"]
    return completion(json.dumps({f: "kept" if f in ("sex", "age") else "dropped" for f in fields}))


def judged(table: pd.DataFrame, answer=says, people: pd.DataFrame = PEOPLE) -> tuple[pd.DataFrame, list[dict]]:
    with Endpoint(answer) as endpoint:
        return summaries.attributes(table, people, Model("m", endpoint.url)), endpoint.requests


def finding(table: pd.DataFrame, written: pd.DataFrame) -> str:
    return summaries.headline(table, summaries.with_lexical(table), summaries.copies(written))


def test_everybody_is_asked_for_the_attributes_they_have_in_one_call_a_summary():
    table, requests = judged(results("An old widow.", "A young husband in an office."))
    assert len(requests) == 2 and len(table) == 4 + 5
    fields = {tuple(r["response_format"]["json_schema"]["schema"]["properties"]) for r in requests}
    assert ("age", "sex", "marital_status", "religion") in fields
    assert table.set_index(["persona_id", "attribute"])["score"].unstack()["marital status"].tolist() == [1.0, 1.0]
    rates = intervals.rates(table, by="attribute")
    assert rates["rate"].to_dict() == {"age": 0, "sex": 0, "marital status": 1, "religion": 1, "occupation category": 1}


def test_the_lexical_match_takes_the_values_own_words_numbers_and_cues():
    table, _ = judged(results("She is 71 and goes to church.", "Administrative work, married; he asks for facts."))
    lexical = table.set_index(["persona_id", "attribute"])["lexical"]
    assert lexical["p"].to_dict() == {"age": "kept", "sex": "kept", "marital status": "dropped", "religion": "kept"}
    assert lexical["q"][["occupation category", "marital status", "sex"]].eq("kept").all()
    assert lexical["q"][["age", "religion"]].eq("dropped").all()
    found = summaries.with_lexical(table)
    assert found["n"].iloc[0] == 9 and 0 < found["estimate"]["raw agreement"] < 1


def test_a_word_is_no_match_inside_another():
    table, _ = judged(results("The Hebrew shed 710 tears.", "x"))
    lexical = table.query("persona_id == 'p'").set_index("attribute")["lexical"]
    assert lexical[["age", "sex"]].eq("dropped").all()


def test_a_summary_or_a_verdict_that_failed_leaves_rows_with_the_reason():
    table, requests = judged(results(None, "A man."), lambda body: completion("no JSON"))
    assert len(table) == 9 and table["score"].isna().all()
    reasons = table.groupby("persona_id")["failure"].first()
    assert reasons["p"] == "answer: refusal: no" and reasons["q"].startswith("judge: invalid reply")
    assert table.query("persona_id == 'p'")["lexical"].isna().all() and 1 <= len(requests) <= 4
    nothing, requests = judged(results(None, None))
    assert len(nothing) == 9 and (nothing["failure"] == "answer: refusal: no").all() and not requests
    assert finding(nothing, results(None, None)).startswith("No summary could be judged: 9 attributes")
    with pytest.raises(UserError, match="no summary to compare"):
        judged(results())


def test_models_that_drop_the_same_agree():
    one = judged(results("An old widow.", "A man."))[0]
    other = one.assign(model="n")
    found = summaries.between_models(pd.concat([one, other])).iloc[0]
    assert found[["model", "other", "raw", "kappa", "n", "failed"]].tolist() == ["m", "n", 1, 1, 9, 0]
    flipped = other.assign(judged=other["judged"].map({"kept": "dropped", "dropped": "kept"}))
    assert summaries.between_models(pd.concat([one, flipped])).loc[0, "raw"] == 0
    assert summaries.between_models(one).empty


def test_every_attribute_of_the_paper_that_a_summary_can_tell_has_cues():
    assert set(summaries.cues()) == {*NAMES, *summaries.ATTRIBUTES} and len(summaries.ATTRIBUTES) == 37


def test_the_big_five_are_five_attributes_for_the_judge_and_for_the_match():
    traits = [trait.lower() for trait in personality.TRAITS]
    text = ", ".join(f"{trait}: Low" for trait in personality.TRAITS)
    people = PEOPLE.assign(**{"big five scores": [text, "a quiet type"]})

    def says_two(body: dict) -> dict:
        fields = body["response_format"]["json_schema"]["schema"]["properties"]
        kept = ("openness", "neuroticism")
        return completion(json.dumps({f: "kept" if f in kept else "dropped" for f in fields}))

    written = results("Low income, curious and outgoing.", "x")
    table, requests = judged(written, says_two, people)
    fields = [list(r["response_format"]["json_schema"]["schema"]["properties"]) for r in requests]
    assert sorted(fields, key=len)[1][3:] == [*traits, "religion"] and "big_five_scores" in sorted(fields, key=len)[0]
    own = table[table["persona_id"] == "p"].set_index("attribute").loc[[*traits]]
    assert own["judged"].tolist() == ["kept", "dropped", "dropped", "dropped", "kept"]
    assert own["lexical"].tolist() == ["kept", "dropped", "kept", "dropped", "dropped"], "low is no trait's word"
    rates = summaries.dropped(table).set_index("attribute")["rate"]
    assert len(rates) == 38 and rates[[*traits]].tolist() == [0, 1, 1, 1, 0] and rates["big five scores"] == 1


def test_the_judge_is_told_what_kept_means():
    _, requests = judged(results("An old widow.", "A man."))
    text = requests[0]["messages"][-1]["content"]
    assert "only this summary" in text and 'Write "kept" if the reader could tell the value' in text
    assert '"marital_status"' in text and "$" not in text


def test_a_summary_that_repeats_its_profile_is_counted_and_short_ones_are_measured():
    whole = personas.describe(PEOPLE.loc["p"])
    texts = results(f"In short: {whole.upper().replace(': ', ' - ')}!", "A man.", "An old widow", None)
    found = summaries.copies(texts)
    row = found.loc["m"]
    assert row["repeats"] == 1 and row["n"] == 3 and row["failed"] == 1 and row["rate"] == pytest.approx(1 / 3)
    assert row["summary_words"] == 3 and row["profile_words"] == len(whole.replace(":", "").split())
    none = summaries.copies(results(*["An old widow.", "A man."] * 3)).loc["m"]
    assert none["repeats"] == 0 and none["low"] == 0 and none["high"] > 0, "none of six does not prove that none does"
    assert summaries.copying(found) == (
        "m: 1 of 3 summaries repeat their profile, 33% (n = 3; too few clusters: no interval). "
        "The median summary has 3 words, the median profile 9."
    )
    assert "m: 0 of 6 summaries repeat their profile, 0% (95% interval 0% to" in summaries.copying(none.to_frame().T)
    assert summaries.copying(summaries.copies(results(None, None))) == "m: 0 of 0 summaries repeat their profile."
    assert summaries.copies(results(None, None)).loc["m", ["repeats", "n", "failed"]].tolist() == [0, 0, 2]
    assert summaries.copies(results("71 Female", "30")).loc["m", "repeats"] == 0


def test_attributes_are_ranked_by_how_often_they_are_dropped_and_those_nobody_has_are_rows():
    table, _ = judged(results("An old widow.", "A young husband in an office."))
    rates = summaries.dropped(table, [*PEOPLE, "lifestyle"]).set_index("attribute")
    known = {"marital status": 1, "occupation category": 1, "religion": 1, "age": 0, "sex": 0}
    assert rates["rate"].dropna().to_dict() == known and rates["rate"].dropna().is_monotonic_decreasing
    assert rates.loc["lifestyle", ["n", "failed", "note"]].tolist() == [0, 0, "nobody here has it"]
    assert rates.loc["marital status", ["n", "lexical"]].tolist() == [2, 0], "widow and husband are cues"


def test_each_summary_has_what_it_drops_beside_the_verdict_on_its_answer():
    texts = results("An old widow.", "A young husband in an office.")
    table, _ = judged(texts)
    found = summaries.per_summary(table, texts.assign(verdict=["keep", "revise"]))
    assert found["attributes"].tolist() == [4, 5] and found["verdict"].tolist() == ["keep", "revise"]
    assert found["dropped"].tolist() == [0.5, 0.6]


def test_a_judge_that_is_never_valid_and_one_of_a_single_verdict_leave_a_headline_without_gaps():
    never, _ = judged(results("An old widow.", "A man."), lambda body: completion("no JSON"))
    said = finding(never, results("An old widow.", "A man."))
    assert said == "No summary could be judged: 9 attributes of summaries are without a verdict."

    def always(body: dict) -> dict:
        fields = body["response_format"]["json_schema"]["schema"]["properties"]
        return completion(json.dumps(dict.fromkeys(fields, "kept")))

    one, _ = judged(results("x", "y"), always)
    said = finding(one, results("x", "y"))
    start = "According to m, summaries by m drop 0%"
    assert said.startswith(start) and said[len(start) :].split(" of a", 1)[1] == (
        " persona's attributes, all equally often. Summaries that repeat their profile: 0% (n = 2; one cluster: no "
        "interval) by m. Judge and lexical match agree on 0% (n = 9; one cluster: no interval) of the attributes, "
        "kappa 0.00 (n = 9; one cluster: no interval)."
    )
    silent = one.assign(lexical="kept")
    assert finding(silent, results("x", "y")).endswith(
        "agree on 100% (n = 9; one cluster: no interval) of the attributes, kappa not estimable (n = 9; undefined: one "
        "option leaves nothing to agree about)."
    )


def test_the_headline_names_each_writer_with_its_interval_and_no_more_than_three_attributes():
    one, _ = judged(results("An old widow.", "A man.", "She.", "He."))
    both = pd.concat([one, one.assign(model="n", judged="kept", score=0.0)])
    said = finding(both, results("x", "y"))
    assert "summaries by m drop 56% (95% interval " in said and ", by n drop 0%" in said
    assert re.search(r"most often (\w[\w ]*: 50% \(95% interval [^)]*, n = \d+[^)]*\)(, | and |\.))+", said), said
    many = one.assign(score=one["attribute"].ne("age").astype(float))
    told = summaries.most_dropped(many)
    assert told.endswith("and 1 more") and told.count(": 100% (95% interval ") == 3
