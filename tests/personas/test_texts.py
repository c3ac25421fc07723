"""The open-ended attributes: hand-written texts suit the person and differ; a model's texts are checked."""

import itertools
import json
import re

import numpy as np
import pandas as pd
import pytest
from endpoint import Endpoint, completion

from persona_lib import UserError, census, templates
from persona_lib.attributes import BY_NAME
from persona_lib.model import Model
from persona_lib.personas import phrases, predicates
from persona_lib.personas import texts as written
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


@pytest.fixture(scope="module")
def jobs() -> pd.DataFrame:
    """Jobs of 20,000 people, with columns for the title and the place."""
    people = census.Population.load().sample(20_000, seed=5)
    parts = written.fallback(people, seed=5)["detailed job description"].dropna().str.split(phrases.JOIN)
    names = ["class of worker", "industry category", "occupation category"]
    return people.loc[parts.index, names].astype("str").assign(title=parts.str[0], place=parts.str[1])


def test_no_place_of_work_is_given_to_employers_of_two_kinds(jobs):
    kinds = jobs["class of worker"].replace(r"^(?:Self-employed|Working without pay).*", "own or family's", regex=True)
    kinds = kinds.where(jobs["industry category"] != "Military", "armed forces")
    shared = jobs.groupby("place")[["title"]].count().assign(kinds=kinds.groupby(jobs["place"]).nunique())
    assert kinds.nunique() == 7 and (shared["kinds"] == 1).all(), shared[shared["kinds"] > 1]


@pytest.mark.parametrize(
    ("kind", "other"),
    [
        ("Federal", r"\b(?:state|city|county|town|municipal|public school|school district)\b"),
        ("State", r"\b(?:federal|postal|veterans|city|county|town|municipal|public school|school district)\b"),
        ("Local", r"\b(?:federal|postal|veterans|state|military|naval)\b"),
        ("Employee of a private not-for-profit", r"\b(?:big-box|chain|fast-food|casino|staffing agency|investment)\b"),
        ("Employee of a private for-profit", r"\b(?:credit union|trade association|charity|nonprofit|cooperative)\b"),
    ],
)
def test_the_place_of_work_does_not_contradict_the_class_of_worker(jobs, kind, other):
    those = jobs[jobs["class of worker"].str.startswith(kind)]
    assert len(those) > 200
    assert not (wrong := those["place"].str.contains(other)).any(), those[wrong]


CHILDREN = r"school teacher|special education teacher|preschool|substitute teacher|classroom aide"
FOOD = "Arts, entertainment, recreation, accommodation, and food services"
BOUND = {  # titles, and the industries that have them
    CHILDREN: ["Educational services", "Social assistance"],
    r"professor|college instructor": ["Educational services"],
    r"ride-share|cab driver": ["Transportation and warehousing"],
    r"bus driver": ["Transportation and warehousing", "Educational services"],
    r"police officer|firefighter|corrections officer|probation officer": ["Public administration"],
    r"dental (?:hygienist|assistant)|dentist|radiologic|respiratory": ["Health care"],
    r"loan officer|insurance agent|real estate agent": ["Finance, insurance, and real estate"],
    r"bartender|\bserver\b|housekeeper": [FOOD],
    r"hairdresser|barber|nail technician": ["Other services, except public administration"],
}


@pytest.mark.parametrize("title", BOUND)
def test_a_title_that_belongs_to_certain_industries_is_hardly_drawn_in_others(jobs, title):
    those = jobs[jobs["title"].str.contains(title)]
    assert len(those) > 0 and those["industry category"].isin(BOUND[title]).mean() > 0.92  # as in the census


def test_teachers_of_children_are_not_at_colleges_and_those_of_colleges_not_at_schools(jobs):
    children, college = jobs["title"].str.contains(CHILDREN), jobs["title"].str.contains("professor|college instructor")
    assert children.sum() > 100 and college.sum() > 5
    assert not jobs.loc[children, "place"].str.contains("college|university|campus|institute|training|tutoring").any()
    assert not jobs.loc[college, "place"].str.contains("school|day care|tutoring").any()


def test_there_is_a_title_and_a_place_for_every_occupation_in_every_industry_of_every_employer():
    values = [
        [v for v in BY_NAME[name].labels if not v.startswith("Unemployed and last worked")]
        for name in ("industry category", "occupation category", "class of worker")
    ]
    schooling = [(17, "Grade 11"), (30, "Some college, but less than 1 year"), (40, "Doctorate degree")]
    rows = [(*row, *of) for row in itertools.product(*values) for of in schooling]
    names = ["industry category", "occupation category", "class of worker", "age", "education"]
    everybody = pd.DataFrame(rows, columns=names).assign(**{"employment status": "Civilian employed, at work"})
    public = everybody["class of worker"].str.contains("government")
    possible = everybody[public | (everybody["industry category"] != "Public administration")]
    parts = written.fallback(possible, seed=0)["detailed job description"].str.split(phrases.JOIN)
    assert len(possible) > 10_000 and (parts.str.len() == 4).all(), possible[parts.str.len() != 4]


def test_a_childs_texts_are_a_childs(people, texts):
    child = texts[people["age"] < 13]
    for word in ("spouse", "work", "job", "budget", "bills", "drive", "rent", "alone", "beer", "bar"):
        assert not child[TEXTS].stack().str.contains(rf"\b{word}\b").any(), word
    young = texts[(people["age"] < 18) & texts["detailed job description"].notna()]
    assert not young["detailed job description"].str.contains("two decades|retire|physician|attorney|truck").any()


def test_no_phrase_is_given_to_somebody_it_does_not_suit(people, texts):
    table = predicates.table(people.join(texts[["detailed job description"]]))
    for name in TEXTS:
        given = texts[name].dropna().str.split(phrases.JOIN).explode()
        known = phrases.load(written.SETS[name])
        for who, those in known.groupby("who"):
            alike = known.loc[known["phrase"].isin(those["phrase"]), "who"].unique()
            has = given.index[given.isin(those["phrase"])].unique()
            assert predicates.hold(alike, table.loc[has]).any(axis=1).all(), who


def test_free_wordings_of_ideology_take_their_share_and_keep_the_side(people):
    free = written.fallback(people, seed=0, share_ideology=1)["ideology"].dropna()
    assert not free.isin(list(LABELS)).any() and free.nunique() > 150
    table = predicates.table(pd.DataFrame({"age": 40, "ideology": free}))
    sides = people["ideology"].map(LABELS)[free.index]
    assert (table["right"].astype(int) - table["left"].astype(int)).equals(sides.astype(int))
    some = written.fallback(people, seed=0, share_ideology=0.1)["ideology"].dropna()
    assert (~some.isin(list(LABELS))).mean() == pytest.approx(0.1, abs=0.03)
    assert written.fallback(people, seed=0, share_ideology=0)["ideology"].equals(people["ideology"].astype("str"))
    with pytest.raises(UserError, match="share_ideology must be from 0 to 1"):
        written.fallback(people, seed=0, share_ideology=10)


STRONG = r"\b(?:very|committed|strongly|well to|far|deeply|firmly|radical\w*|through|proud\w*|principle|nearly)\b"
MILD = r"\b(?:little|mildly|somewhat|touch|bit|more (?:liberal|conservative) than not|on (?:some|a few) questions)\b"


def test_free_wordings_of_ideology_are_never_stronger_than_the_label():
    ids = [f"p{n}" for n in range(200)]
    for label in LABELS:
        people = pd.DataFrame({"age": 50, "ideology": label}, index=ids)
        free = written.fallback(people, 0, share_ideology=1)["ideology"]
        stances = pd.Series(free.str.split(phrases.JOIN).str[0].unique())
        strong, mild = stances.str.contains(STRONG), stances.str.contains(MILD)
        assert len(stances) >= 6 and (label.startswith("Extremely") or not strong.any()), stances[strong]
        assert mild.all() if label.startswith("Slightly") else not mild.any(), stances


@pytest.mark.parametrize(("label", "party"), [("Conservative", "Democrat"), ("Liberal", "Republican")])
def test_who_is_closer_to_the_other_sides_party_gets_a_wording_that_says_so(label, party):
    ids = [f"p{n}" for n in range(500)]
    people = pd.DataFrame({"age": 50, "ideology": label, "political views": f"Strong {party}"}, index=ids)
    free = written.fallback(people, 0, share_ideology=1)["ideology"]
    assert free.str.contains(f"{party}s").all() and free.nunique() >= 10
    own = written.fallback(people.drop(columns="political views"), 0, share_ideology=1)["ideology"]
    assert not own.str.contains("Democrats|Republicans").any()


def test_the_texts_depend_on_id_and_seed_alone(people, texts):
    some = people.sample(20, random_state=1)
    pd.testing.assert_frame_equal(written.fallback(some, seed=0), texts.loc[some.index])
    assert (written.fallback(some, seed=1)["lifestyle"] != texts.loc[some.index, "lifestyle"]).mean() > 0.9


def answer(body: dict) -> dict:
    """Write what the schema asks for; the replies about people aged 41 to 43 are each unusable in another way."""
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
    assert len(endpoint.requests) == 7 + 2  # an invalid reply is requested again, twice
    assert "age: 30\nideology: Liberal\n</persona>" in calls["30"]["messages"][1]["content"]
    assert list(table.index) == list(seven.index) and table.loc["p2", "written by"] == "m"
    assert table.loc["p2", "lifestyle"] == "written for 2" and pd.isna(table.loc["p2", "detailed job description"])
    assert table.loc["p40", "detailed job description"] == "written for 40"
    assert table.loc["p30", "ideology"] == "quietly progressive"
    assert table.loc["p44", "personal time"].count("on and on") == 100  # longer than asked, and still a text


def test_an_unusable_reply_leaves_the_hand_written_text_and_a_reason(seven, tmp_path):
    with Endpoint(answer) as endpoint:
        table = written.by_model(seven, Model("m", endpoint.url, Store(tmp_path / "s")), seed=0, share_ideology=1)
    failed = table[table["failure"].notna()]
    assert failed["written by"].eq("fallback").all() and table["failure"].isna().equals(table["written by"] == "m")
    assert failed.loc["p41", "failure"].startswith("invalid reply")
    assert failed.loc["p42", "failure"] == "ideology leaves the label's side"
    assert failed.loc["p43", "failure"] == "nothing written for lifestyle" and len(failed) == 3
    own = written.fallback(seven, seed=0, share_ideology=1)
    pd.testing.assert_frame_equal(table.loc[failed.index, own.columns[:4]], own.loc[failed.index, own.columns[:4]])


def test_a_writer_of_whose_replies_none_is_usable_leaves_every_hand_written_text(seven, tmp_path):
    with Endpoint(lambda body: (200, completion("lorem ipsum"))) as endpoint:
        table = written.by_model(seven, Model("m", endpoint.url, Store(tmp_path / "s")), seed=0, share_ideology=1)
    assert table["failure"].notna().all() and table["written by"].eq("fallback").all()


def test_the_hand_written_texts_do_not_lead_the_model(seven, tmp_path):
    told = seven.assign(lifestyle="SECRET", **{"defining quirks": "whistles"})
    with Endpoint(answer) as endpoint:
        written.by_model(told, Model("m", endpoint.url, Store(tmp_path / "s")), seed=0)
    sent = str(endpoint.requests)
    assert "SECRET" not in sent and "whistles" in sent
    assert templates.load("write").reply == ("lifestyle", "personal_time", "detailed_job_description", "ideology")
