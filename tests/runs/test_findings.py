"""Findings: what an index says first about each notebook, and what it says against it."""

import math

import pandas as pd
import pytest

from persona_lib import local, runs
from persona_lib.runs.results import findings


def entry(**changed) -> dict:
    """An entry of a manifest whose notebook found a difference of 12 points and asked the embedded model."""
    told = {"says": "more", "value": 0.12, "low": -0.05, "high": 0.29, "n": 8, "unit": "points", "against": ""}
    model = {"identity": {"name": "tiny", "weights_sha256": local.GGUF_SHA256}}
    return {
        "title": "Does it help?", "status": "done", "headline": "It is 12 points.", "finding": told, "steps": {},
        "models": [model, model], "parameters": {"model": "local", "judge": None},
    } | changed  # fmt: skip


def test_a_row_has_question_finding_interval_and_n_and_says_what_speaks_against_it():
    (row,) = findings.rows({"06_conditioning": entry()})
    assert (row["question"], row["says"], row["value"]) == ("Does it help?", "more", "+12 points")
    assert (row["interval"], row["n"]) == ("−5 to +29 points", "8")
    told = entry()["finding"] | {"counts": "answer"}
    (row_of_answers,) = findings.rows({"06_conditioning": entry(finding=told)})
    assert row_of_answers["n"] == "8 answers" and "It rests on 8 answers." in row_of_answers["against"]
    assert row["against"] == [
        "The embedded model is far too small for conclusions.", "The model judges what it wrote itself.",
        "It rests on n = 8.", "The interval holds no difference.",
    ]  # fmt: skip


def test_a_clear_finding_of_another_model_has_nothing_against_it_but_its_failures():
    found = entry()["finding"] | {"low": 0.05, "n": 800}
    step = {"answering": {"failed": 3}}
    other = [{"identity": {"name": "big", "weights_sha256": None}}]
    good = entry(finding=found, models=other, parameters={"model": "big", "judge": "other"}, steps=step)
    assert findings.against("06_conditioning", {"06_conditioning": good}) == ["3 items failed."]


def test_the_order_is_that_of_interest_and_old_manifests_show_their_headline():
    old = entry()
    del old["finding"]
    told = findings.rows({"00_explore": old, "13_mine": old, "03_preferences": old, "06_conditioning": old})
    assert [row["stem"] for row in told] == ["06_conditioning", "03_preferences", "00_explore", "13_mine"]
    assert told[0]["says"] == "It is 12 points." and told[0]["value"] == ""
    assert findings.rows({"06_conditioning": {"title": "T", "status": "waiting"}}) == []


@pytest.mark.parametrize(
    "status, lost, state",
    [
        ("done", [], "done"),
        ("done", ["judging: 3 of 4 items failed"], "more than half failed"),
        ("done", ["writing: 3 of 4 items failed", "judging: 14 of 14 items failed"], "nothing scored"),
        ("failed", ["judging: 3 of 4 items failed"], "failed"),
    ],
)
def test_a_notebook_without_scores_is_not_called_done(status, lost, state):
    assert findings.state(entry(status=status, lost=lost)) == state


def test_a_finding_is_the_first_row_of_a_table_of_statistics_with_its_unit_and_note():
    table = pd.DataFrame(
        {"minuend": ["b"], "difference": [0.1], "low": [-0.1], "high": [0.3], "n": [9], "note": ["few"], "p_holm": 0.2}
    )
    found = runs.Finding.of("more with {minuend}", table, "item")
    assert found[:6] == ("more with b", 0.1, -0.1, 0.3, 9, "points")
    assert found.counts == "item" and found.against == "few; not clear after correction for all that were looked at"
    share = runs.Finding.of("kept", table.rename(columns={"difference": "rate"}).drop(columns=["note", "p_holm"]))
    assert (share.unit, share.against) == ("share", "")
    two = pd.concat([table, table.assign(minuend="c", difference=0.2, p_holm=0.01)])
    picked = runs.Finding.of("more with {minuend}", two, largest=True)
    assert picked[:2] == ("more with c", 0.2) and picked.against == "few; the largest of 2, which chance favors"
    unknown = pd.concat([two, table.assign(minuend="placebo", difference=math.nan)])
    assert runs.Finding.of("more with {minuend}", unknown, largest=True).against == picked.against, "two were compared"
    told = runs.Finding.of("x", table.assign(note="not shown to be lower after correction"))
    assert told.against == "not shown to be lower after correction", "said once"
    none = runs.Finding.of("more with {minuend}", table.iloc[:0])
    assert none.says == "more with …" and math.isnan(none.value)
