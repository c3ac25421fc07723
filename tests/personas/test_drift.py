"""Drift: everybody is read at every step, and planted effects of the text are found, and no others."""

import math

import pandas as pd
import pytest
from endpoint import Endpoint, completion

from persona_lib import personas
from persona_lib.model import Model
from persona_lib.personas import drift


@pytest.fixture(scope="module")
def people() -> pd.DataFrame:
    return personas.sample(8, seed=4, where=personas.ADULTS)


def likely(*chances: float) -> dict:
    reply = completion("A")
    tokens = [{"token": t, "logprob": math.log(p)} for t, p in zip("ABC", chances, strict=True)]
    reply["choices"][0]["logprobs"] = {"content": [{"top_logprobs": tokens}]}
    return reply


def swayed(body: dict) -> dict:
    """A reader for whom quirks sound happy, and who otherwise prefers the first letter."""
    system, asked = body["messages"][0]["content"], body["messages"][1]["content"]
    if "sad" in asked and "defining quirks:" in system and "sex: Female" in system:
        return likely(0.3, 0.1, 0.6) if "C. happy" in asked else likely(0.6, 0.1, 0.3)
    if "sad" in asked and "defining quirks:" in system:
        return likely(0.1, 0.1, 0.8) if "C. happy" in asked else likely(0.8, 0.1, 0.1)
    return likely(0.6, 0.2, 0.2)


def test_everybody_is_read_at_every_step_and_a_preference_for_a_letter_cancels(people):
    with Endpoint(swayed) as endpoint:
        table = drift.read(people, Model("m", endpoint.url))
    assert len(table) == 8 * 4 * 2 and table["failure"].isna().all()
    assert table.query("measure == 'politics'")["value"].abs().max() < 1e-9 and table["mass"].round(6).eq(1).all()
    assert table["samples"].eq(0).all()
    known = table.query("measure == 'tone' and step == 'and quirks'").set_index("persona_id")["value"]
    assert known.round(6).eq(people["sex"].map({"Female": 0.3, "Male": 0.7}).astype(float)).all()


def test_what_a_step_adds_is_found_with_its_interval_and_only_there(people):
    with Endpoint(swayed) as endpoint:
        found = drift.drift(drift.read(people, Model("m", endpoint.url))).set_index(["measure", "step"])
    tone = found.loc["tone"]
    assert 0.3 < tone.loc["and quirks", "difference"] < 0.7 and tone.loc["and quirks", "low"] > 0
    assert tone.loc["and surveys", "difference"] == pytest.approx(0) and (found["n"] == 8).all()
    assert found.loc["politics"]["difference"].abs().max() < 1e-9


def test_the_shift_is_said_with_its_interval_and_who_wrote_the_texts(people):
    with Endpoint(swayed) as endpoint:
        read = drift.read(people, Model("m", endpoint.url))
    said = drift.summary(drift.drift(read), "m")
    assert "shift by 0.00 (no interval, n = 8) in politics (above 0: to the right) and by 0." in said
    assert "(95% interval 0." in said and said.endswith("n = 8) in tone (above 0: happier), as m rates them.")
    nothing = drift.summary(drift.drift(read.assign(value=float("nan"))), "m")
    assert nothing == "m gave no impression of the same people at both ends of the ladder."
    assert drift.writers(people) == "hand (phrases put together) (8)"
    assert drift.writers(people.assign(**{"written by": ["gpt"] * 6 + ["fallback"] * 2})).startswith("gpt (6), hand")


def test_a_writer_that_repeats_itself_is_named_and_labels_are_no_texts(people):
    by_model = people.assign(**{"written by": "gpt", "ideology": people["ideology label"]})
    assert drift.writers(by_model) == "gpt (8)"
    lives = ["Reads; walks."] * 2 + ["reads, walks"] * 2 + ["a", "b", "c", "d"]
    dull = by_model.assign(lifestyle=lives)
    assert drift.writers(dull) == (
        "gpt (8). A writer repeats itself: the same lifestyle for 4 of 8 people ('reads walks')"
    )
    counted = drift.repeated(dull).set_index("attribute")
    assert counted.loc["lifestyle", ["n", "different", "times"]].tolist() == [8, 5, 4]
    assert "ideology" not in counted.index and drift.repeated(people).empty


def test_what_the_model_steps_did_is_told_also_of_a_model_that_blames_all_or_none(people):
    steps = people.assign(**{"redrawn": 0, "inconsistent": None, "failure": None})
    assert drift.told(steps).endswith("0 are still inconsistent: a model that finds nothing may not have read them")
    some = steps.assign(redrawn=[2, 1] + [0] * 6, inconsistent=["x"] + [None] * 7, failure=["no"] + [None] * 7)
    assert drift.told(some).splitlines()[1:] == [
        "2 of 8 profiles were drawn anew, and 1 are still inconsistent",
        "1 people have a reply that was not usable: the column `failure` says why",
    ]
    all_blamed = pd.concat([steps.assign(inconsistent="x")] * 2)
    assert "16 of 16 profiles read are called inconsistent" in drift.told(all_blamed)
    assert "nobody was drawn anew for it" in drift.told(all_blamed)
    unread = pd.concat([all_blamed, all_blamed.assign(inconsistent=None, failure="not read: no json")])
    assert "16 of 16 profiles read are called inconsistent" in drift.told(unread)


def test_the_core_shows_only_what_the_census_asks(people):
    with Endpoint(swayed) as endpoint:
        drift.read(people.head(1), Model("m", endpoint.url, max_in_flight=1))
    first, last = endpoint.requests[0]["messages"][0]["content"], endpoint.requests[-1]["messages"][0]["content"]
    assert "age: " in first and "religion" not in first and "lifestyle" not in first
    assert "religion: " in last and "lifestyle: " in last


def test_a_reader_without_valid_replies_gives_rows_that_say_why(people):
    def mute(body: dict) -> dict:
        reply = likely(0.3, 0.3, 0.4)
        reply["choices"][0]["logprobs"]["content"][0]["top_logprobs"] = [{"token": "I", "logprob": 0}]
        reply["choices"][0]["message"]["content"] = "I can't tell."
        return reply

    with Endpoint(mute) as endpoint:
        table = drift.read(people.head(2), Model("m", endpoint.url, max_in_flight=1))
    assert table["value"].isna().all()
    assert table["failure"].str.startswith("none of A, B, C among the 1 likeliest first tokens").all()
    found = drift.drift(table)
    assert (found["failed"] == 2).all() and found["difference"].isna().all()


def test_where_nobody_is_read_the_tables_are_empty_and_the_sentence_says_so(people):
    with Endpoint(swayed) as endpoint:
        found = drift.drift(drift.read(people.head(0), Model("m", endpoint.url)))
    assert found["n"].tolist() == [0] * 6 and found["difference"].isna().all()
    assert drift.summary(found, "m") == "m gave no impression of the same people at both ends of the ladder."
