"""The open-ended attributes: hand-written ones that suit the person and do not read alike, and a model's."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from endpoint import Endpoint, completion

from persona_lib import UserError, census, conditions, phrases, wording, written
from persona_lib.model import Model
from persona_lib.store import Store

LABELS = {
    "Extremely liberal": -1,
    "Liberal": -1,
    "Slightly liberal": -1,
    "Moderate, middle of the road": 0,
    "Slightly conservative": 1,
    "Conservative": 1,
    "Extremely conservative": 1,
}
TEXTS = ["detailed job description", "personal time", "lifestyle"]


@pytest.fixture(scope="module")
def people() -> pd.DataFrame:
    drawn = census.Population.load().sample(1_586, seed=0)
    labels = np.random.default_rng(0).choice(list(LABELS), len(drawn))
    drawn["ideology"] = pd.Series(labels).where(drawn["age"] >= 18)
    return drawn.rename(index="p{}".format).rename_axis("persona_id")


@pytest.fixture(scope="module")
def texts(people) -> pd.DataFrame:
    return written.fallback(people, seed=0)


def test_everybody_has_a_lifestyle_and_those_with_an_occupation_a_job(people, texts):
    occupied = people["occupation category"].notna() & ~people["occupation category"].str.startswith("Unemployed")
    assert texts[["lifestyle", "personal time"]].notna().all(axis=None)
    assert (texts["detailed job description"].notna() == occupied).all()
    assert texts["ideology"].notna().equals(people["ideology"].notna())
    assert (texts["written by"] == "fallback").all() and texts["failure"].isna().all()


def test_1586_personas_do_not_read_alike(texts):
    distinct = texts[TEXTS].nunique() / texts[TEXTS].notna().sum()
    assert (distinct >= 0.95).all(), distinct  # measured: 1.00, 0.97, 0.97
    assert texts[TEXTS].fillna("").duplicated().mean() < 0.002


def test_every_job_has_a_title_of_its_occupation_and_a_place_of_its_industry():
    people = census.Population.load().sample(20_000, seed=1)
    occupied = people[people["occupation category"].notna()]
    jobs = written.fallback(occupied, seed=0)["detailed job description"].dropna()
    parts = jobs.str.split(phrases.JOIN)
    assert (parts.str.len() == 4).all()
    assert parts.str[0].groupby(occupied["occupation category"], observed=True).nunique().min() >= 5


def test_a_childs_texts_are_a_childs(people, texts):
    child = texts[people["age"] < 13]
    for word in ("spouse", "work", "job", "budget", "bills", "drive", "rent", "alone", "beer", "bar"):
        assert not child[TEXTS].stack().str.contains(rf"\b{word}\b").any(), word
    young = texts[(people["age"] < 18) & texts["detailed job description"].notna()]
    assert not young["detailed job description"].str.contains("two decades|retire|physician|attorney|truck").any()


def test_no_phrase_is_given_to_somebody_it_does_not_suit(people, texts):
    table = conditions.table(people)
    for name in TEXTS:
        given = texts[name].dropna().str.split(phrases.JOIN).explode()
        known = phrases.load(written.SETS[name])
        for who, those in known.groupby("who"):
            alike = known.loc[known["phrase"].isin(those["phrase"]), "who"].unique()
            has = given.index[given.isin(those["phrase"])].unique()
            assert conditions.hold(alike, table.loc[has]).any(axis=1).all(), who


def test_free_wordings_of_ideology_take_their_share_and_keep_the_side(people):
    free = written.fallback(people, seed=0, share_ideology=1)["ideology"].dropna()
    assert not free.isin(list(LABELS)).any() and free.nunique() > 150
    table = conditions.table(pd.DataFrame({"age": 40, "ideology": free}))
    sides = people["ideology"].map(LABELS)[free.index]
    assert (table["right"].astype(int) - table["left"].astype(int)).equals(sides.astype(int))
    some = written.fallback(people, seed=0, share_ideology=0.1)["ideology"].dropna()
    assert (~some.isin(list(LABELS))).mean() == pytest.approx(0.1, abs=0.03)
    assert written.fallback(people, seed=0, share_ideology=0)["ideology"].equals(people["ideology"].astype("str"))
    with pytest.raises(UserError, match="share_ideology must be from 0 to 1"):
        written.fallback(people, seed=0, share_ideology=10)


def test_the_texts_depend_on_id_and_seed_alone(people, texts):
    some = people.sample(20, random_state=1)
    pd.testing.assert_frame_equal(written.fallback(some, seed=0), texts.loc[some.index])
    assert (written.fallback(some, seed=1)["lifestyle"] != texts.loc[some.index, "lifestyle"]).mean() > 0.9


def answer(body: dict) -> dict:
    """Write what the schema asks for: of a 41-year-old nonsense, of a 42-year-old on the other side, and so on."""
    age = re.search(r"^age: (\d+)$", str(body["messages"][1]["content"]), re.MULTILINE)[1]
    fields = body["response_format"]["json_schema"]["schema"]["properties"]
    said = dict.fromkeys(fields, f"written for\n{age}")
    if "ideology" in fields:
        said["ideology"] = "far to the right" if age == "42" else "quietly progressive"
    if age == "44":
        said["personal_time"] = "on and on " * 100
    return completion("no JSON" if age == "41" else json.dumps(said | ({"lifestyle": " "} if age == "43" else {})))


@pytest.fixture(scope="module")
def seven() -> pd.DataFrame:
    work = {"occupation category": "Sales", "industry category": "Retail trade", "employment status": "Unemployed"}
    rows = [{"age": 2}, {"age": 30}, {"age": 40, **work}, {"age": 41, **work}, {"age": 42}, {"age": 43}, {"age": 44}]
    rows = [row | ({"ideology": "Liberal"} if row["age"] > 18 else {}) for row in rows]
    return pd.DataFrame(rows, index=pd.Index([f"p{row['age']}" for row in rows], name="persona_id"))


def test_a_model_writes_in_one_call_per_person_and_only_what_applies(seven, tmp_path):
    with Endpoint(answer) as endpoint:
        table = written.by_model(seven, Model("m", endpoint.url, Store(tmp_path / "s")), seed=0, share_ideology=1)
    calls = {re.search(r"age: (\d+)", r["messages"][1]["content"])[1]: r for r in endpoint.requests}
    asked = {age: list(r["response_format"]["json_schema"]["schema"]["properties"]) for age, r in calls.items()}
    assert asked["2"] == ["personal_time", "lifestyle"] and asked["30"] == [*asked["2"], "ideology"]
    assert asked["40"] == ["detailed_job_description", *asked["30"]]
    assert len(endpoint.requests) == 7 + 2 + 2  # what does not validate is asked for again, twice
    assert "age: 30\nideology: Liberal\n</persona>" in calls["30"]["messages"][1]["content"]
    assert list(table.index) == list(seven.index) and table.loc["p2", "written by"] == "m"
    assert table.loc["p2", "lifestyle"] == "written for 2" and pd.isna(table.loc["p2", "detailed job description"])
    assert table.loc["p40", "detailed job description"] == "written for 40"
    assert table.loc["p30", "ideology"] == "quietly progressive"


def test_where_a_reply_cannot_be_used_the_hand_written_text_stands_with_the_reason(seven, tmp_path):
    with Endpoint(answer) as endpoint:
        table = written.by_model(seven, Model("m", endpoint.url, Store(tmp_path / "s")), seed=0, share_ideology=1)
    failed = table[table["failure"].notna()]
    assert failed["written by"].eq("fallback").all() and table["failure"].isna().equals(table["written by"] == "m")
    assert failed.loc["p41", "failure"].startswith("invalid reply")
    assert failed.loc["p42", "failure"] == "ideology leaves the label's side"
    assert failed.loc["p43", "failure"] == "nothing written for lifestyle" and len(failed) == 4
    assert "at most 240 characters" in failed.loc["p44", "failure"]
    own = written.fallback(seven, seed=0, share_ideology=1)
    pd.testing.assert_frame_equal(table.loc[failed.index, own.columns[:4]], own.loc[failed.index, own.columns[:4]])


def test_the_hand_written_texts_do_not_lead_the_model(seven, tmp_path):
    told = seven.assign(lifestyle="SECRET", **{"defining quirks": "whistles"})
    with Endpoint(answer) as endpoint:
        written.by_model(told, Model("m", endpoint.url, Store(tmp_path / "s")), seed=0)
    sent = str(endpoint.requests)
    assert "SECRET" not in sent and "whistles" in sent
    assert wording.load("write").reply == ("lifestyle", "personal_time", "detailed_job_description", "ideology")
