"""The steps after the census: their order, which of them a filter needs, and redraws of contradictory profiles."""

import hashlib
import json
import os
import re
import subprocess
import sys
import types

import pandas as pd
import pytest
from endpoint import Endpoint, completion

from persona_lib import personas
from persona_lib.attributes import ATTRIBUTES, NAMES, NEVER_WORKED
from persona_lib.model import Model
from persona_lib.personas import consistency, enrichment, filtering, sampling


@pytest.fixture(scope="module")
def people() -> pd.DataFrame:
    """People as the census gives them."""
    return sampling._draw(sampling._committed(), 300, 8)


def flags(rule: str, whom):
    """A stand-in for the rules: `whom` says at each call which people it flags."""
    calls = []

    def check(table: pd.DataFrame) -> pd.DataFrame:
        calls.append(table.index)
        ids = whom(len(calls), table)
        return pd.DataFrame({"persona_id": ids, "rule": rule, "reason": "not so"}, dtype="str")

    check.calls = calls
    return check


def test_who_contradicts_themselves_keeps_the_census_core_and_gets_the_rest_anew(people, monkeypatch):
    plain = enrichment.complete(people, seed=1)
    check = flags("planted", lambda call, table: list(table.index[:5]) if call == 1 else [])
    monkeypatch.setattr(consistency, "check", check)
    found = enrichment.complete(people, seed=1)
    assert found.index.equals(people.index) and [len(ids) for ids in check.calls] == [300, 5]
    pd.testing.assert_frame_equal(found[people.columns], people)
    again = found["redrawn"] == 1
    assert again.sum() == 5 and found.loc[again, "redrawn because"].eq("planted: not so").all()
    assert found["inconsistent"].isna().all()
    same = found.drop(columns=list(enrichment.REPORT)).eq(plain[[*found.columns[:-3]]]) | found.iloc[:, :-3].isna()
    assert same[~again].all(axis=None) and not same[again].all(axis=1).any()


def test_a_profile_that_stays_contradictory_is_kept_with_the_reason(people, monkeypatch):
    monkeypatch.setattr(consistency, "check", flags("planted", lambda call, table: [people.index[7]]))
    found = enrichment.complete(people, seed=1)
    left = found[found["inconsistent"].notna()]
    assert len(found) == 300 and list(left.index) == [people.index[7]]
    assert left["redrawn"].tolist() == [enrichment.TRIES] and left["inconsistent"].tolist() == ["planted: not so"]
    assert left["redrawn because"].iloc[0].count("planted: not so") == enrichment.TRIES


def test_drawn_personas_break_no_rule():
    assert consistency.check(personas.sample(1_000, seed=21)).empty


def test_a_persona_is_built_from_the_census_core_to_the_written_text():
    one = personas.sample(60, seed=3).query("age >= 30 and `detailed job description`.notna()").iloc[0]
    built = enrichment.built(one)
    known = one[[name for name in (*NAMES, "hispanic origin") if pd.notna(one[name])]]
    assert built.set_index("attribute")["value"].to_dict() == known.to_dict()
    assert built["source"].nunique() == 5
    runs = built["source"].ne(built["source"].shift()).sum()
    assert runs == 5 and built["attribute"].iloc[0] == "age"
    by_model = enrichment.built(one.where(one.index != "written by", "qwen"))
    assert dict(zip(by_model["attribute"], by_model["source"], strict=True))["lifestyle"] == "written by qwen"
    assert by_model["source"].iloc[:-3].tolist() == built["source"].iloc[:-3].tolist()  # quirks are no model's


def test_each_attribute_is_missing_outside_its_universe_and_only_there(people):
    known = enrichment.add(people, seed=1, steps=enrichment.STEPS)
    checked = 0
    for attribute in (a for a in ATTRIBUTES if a.name in known):
        told = re.fullmatch(r"everyone|(\d+) years or older", attribute.universe)
        if told or attribute.source != "census":
            inside = (
                known["age"].ge(int(told[1] or 0)) if told else ~known["occupation category"].isin([None, NEVER_WORKED])
            )
            assert known[attribute.name].notna().equals(inside), attribute.name
            checked += 1
    assert checked > 20


@pytest.mark.parametrize(
    ("where", "last"),
    [
        (None, 0),
        ("age > 3 and `marital status` == 'Married'", 0),
        ("state == 'Ohio'", 1),
        ("religion == 'Catholic' and state == 'Ohio'", 2),
        ("`ideology label` == 'Liberal'", 3),
        ("ideology == 'Liberal'", len(enrichment.STEPS)),
        ("`detailed job description`.notna()", len(enrichment.STEPS)),
    ],
)
def test_a_filter_needs_the_steps_up_to_the_last_that_it_names(where, last):
    assert enrichment.needed(where) == enrichment.STEPS[:last]


def test_a_filter_beyond_the_census_holds_for_everybody_also_after_a_redraw(monkeypatch):
    where = "religion == 'Catholic' and state in ['New York', 'Ohio']"
    check = flags("planted", lambda call, table: list(table.index[:3]) if len(table) == 25 else [])
    monkeypatch.setattr(consistency, "check", check)
    found = personas.sample(25, seed=2, where=where)
    assert len(found) == 25 and set(found["religion"]) == {"Catholic"} and set(found["state"]) <= {"New York", "Ohio"}
    assert (found["redrawn"] > 0).sum() >= 3


def test_a_model_writes_and_reads_each_profile_and_those_it_rejects_are_redrawn():
    read: list[str] = []

    def answer(body: dict) -> dict:
        schema = body["response_format"]["json_schema"]["schema"]
        if "verdict" in schema["properties"]:
            profile = str(body["messages"])
            read.append(profile)
            wrong = len(read) == 1
            verdict = consistency.INCONSISTENT if wrong else consistency.CONSISTENT
            return completion(json.dumps({"why": "it says so", "attribute": "age", "verdict": verdict}))
        return completion(json.dumps({name: f"written {name}" for name in schema["properties"]}))

    with Endpoint(answer) as endpoint:
        model = Model("m", base_url=endpoint.url, max_in_flight=1)
        found = personas.sample(6, seed=5, where="age > 30", balanced=False, writer=model, checker=model)
    assert set(found["written by"]) == {"m"} and found["lifestyle"].eq("written lifestyle").all()
    assert len(read) == 7 and all("written lifestyle" in profile for profile in read)
    assert found["redrawn"].sum() == 1 and found["inconsistent"].isna().all()
    assert found["redrawn because"].dropna().tolist() == ["m: age: it says so"]


def test_a_profile_without_a_valid_verdict_is_a_row_that_says_so():
    def answer(body: dict) -> dict:
        fields = body["response_format"]["json_schema"]["schema"]["properties"]
        said = {name: "x" for name in fields}
        return completion("no json" if "verdict" in fields else json.dumps(said))

    with Endpoint(answer) as endpoint:
        model = Model("m", base_url=endpoint.url)
        found = personas.sample(3, seed=5, where="age > 30", balanced=False, writer=model, checker=model)
    assert len(found) == 3 and found["failure"].str.startswith("not read: ").all() and found["redrawn"].eq(0).all()


def test_a_writer_whose_replies_all_fail_leaves_the_hand_written_texts_and_says_why():
    with Endpoint(lambda body: completion("lorem ipsum")) as endpoint:
        found = personas.sample(30, seed=5, balanced=False, writer=Model("m", base_url=endpoint.url))
    assert len(found) == 30 and found["written by"].eq("fallback").all() and found["failure"].notna().all()
    assert found["lifestyle"].notna().all()


def test_the_same_seed_gives_the_same_table_whatever_the_number_of_cores_and_the_hash_seed():
    code = "from persona_lib import personas; print(personas.sample(400, seed=6).to_csv())"
    hashes = set()
    for threads in ("1", "2"):
        names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "ARROW_NUM_THREADS", "PYTHONHASHSEED")
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | dict.fromkeys(names, threads),
            capture_output=True,
            check=True,
        )
        assert re.match(rb"persona_id,age,sex", done.stdout)
        hashes.add(hashlib.sha256(done.stdout).hexdigest())
    assert len(hashes) == 1


def test_in_the_report_of_contradictions_a_number_that_all_share_is_not_called_missing():
    people = pd.DataFrame({"age": pd.array([40, 40, None], "Int64")}, pd.Index(["a", "b", "c"], name="persona_id"))
    found = pd.DataFrame({"persona_id": ["a"], "rule": ["r"], "reason": ["x"]})
    table = filtering.report(people, found, by=["age"]).set_index(["by", "group"]).loc["age"]
    assert table["n"].to_dict() == {"40": 2, "missing": 1} and table["removed"].to_dict() == {"40": 1, "missing": 0}


def test_the_first_draw_holds_every_contradiction_that_led_to_a_redraw(monkeypatch):
    def planted(people: pd.DataFrame) -> pd.DataFrame:
        ids = people.index[people["religion"].eq("Catholic").fillna(False)]
        return pd.DataFrame({"persona_id": ids, "rule": "planted", "reason": "is Catholic"})

    monkeypatch.setattr(consistency, "check", planted)
    people = sampling.sample(300, 3, balanced=False)
    first = enrichment.first_draw(people, 3)
    found = consistency.check(first)
    redrawn = people.index[people["redrawn"] > 0]
    assert 30 < len(redrawn) < 120 and set(found["persona_id"]) == set(redrawn)
    same, names = people.index.difference(redrawn), ["religion", "lifestyle", "ancestry"]
    pd.testing.assert_frame_equal(first.loc[same, names], people.loc[same, names])
    report = filtering.report(first, found).set_index(["by", "group"])
    assert report.loc[("all", "all"), "removed"] == report.loc[("reason", "planted"), "removed"] == len(redrawn)


class Grumbler:
    """A checker that calls every profile inconsistent that it reads; it fails on all after the first `reads`."""

    name = "grumbler"

    def __init__(self, reads: int = 1_000):
        self.reads, self.calls = reads, []

    def ask(self, messages, **settings):
        self.calls.append(len(messages := list(messages)))
        said = types.SimpleNamespace(why="odd", attribute="age", verdict=consistency.INCONSISTENT)
        reply, failed = types.SimpleNamespace(value=said, failure=None), types.SimpleNamespace(value=None, failure="no")
        return [reply if place < self.reads else failed for place in range(len(messages))]


def test_a_model_that_finds_everybody_inconsistent_has_nobody_drawn_anew_and_nothing_is_lost(people):
    model = Grumbler()
    found = enrichment.complete(people.head(20), seed=1, checker=model)
    assert model.calls == [20] and found["redrawn"].eq(0).all() and len(found) == 20
    assert found["inconsistent"].eq("grumbler: age: odd").all() and found["failure"].isna().all()
    few = enrichment.complete(people.head(3), seed=1, checker=model)
    assert few["redrawn"].eq(enrichment.TRIES).all() and model.calls[1:] == [3] * (enrichment.TRIES + 1)


def test_a_model_that_blames_all_whom_it_reads_is_not_followed_yet_rules_are(people, monkeypatch):
    check = flags("planted", lambda call, table: list(table.index[:2]) if call == 1 else [])
    monkeypatch.setattr(consistency, "check", check)
    model = Grumbler(reads=12)
    found = enrichment.complete(people.head(40), seed=1, checker=model)
    assert model.calls == [38] and found["redrawn"].tolist() == [1, 1] + [0] * 38
    assert found["inconsistent"].isna().tolist() == [True] * 2 + [False] * 12 + [True] * 26


def test_what_people_have_already_been_given_stays_and_origins_are_drawn_once(people, monkeypatch):
    known = enrichment.add(people, seed=9, steps=enrichment.STEPS[:1])
    check = flags("planted", lambda call, table: list(table.index[:2]) if call == 1 else [])
    monkeypatch.setattr(consistency, "check", check)
    found = enrichment.complete(known, seed=1)
    pd.testing.assert_frame_equal(found[known.columns], known)
    assert found["redrawn"].tolist() == [1, 1] + [0] * 298
    first = enrichment.first_draw(found, 1)
    pd.testing.assert_frame_equal(first[known.columns], known)
    assert first["lifestyle"][2:].equals(found["lifestyle"][2:]) and not first["lifestyle"].equals(found["lifestyle"])
