"""Ratings, labels and judgments of people are looked at before anything is asked: usable, and of this run."""

import pytest

from persona_lib import UserError, prompts
from persona_lib.preferences import ingredients
from persona_lib.runs.planning import preflight, presets

KNOWN = list(prompts.load()["prompt_id"])


def said(stem: str, **given) -> str:
    with pytest.raises(UserError) as caught:
        preflight.check(presets.plan(presets.load("smoke"), [stem], given), seeks=False)
    return str(caught.value)


def table(path, header: str, *rows: str) -> str:
    path.write_text("\n".join([header, *rows]) + "\n")
    return str(path)


ITEM = "persona_id,profile,prompt_id,prompt,first,second"


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ([ITEM], "there are no items"),
        (["persona_id,prompt_id", "a,b"], "items lack the columns"),
        ([ITEM, "a,age: 40,q,What?,,no"], "empty field"),
        ([ITEM, "a,age: 40,q,What?,no,no"], "both answers are alike"),
        ([ITEM, "a,age: 40,q,What?,yes,no", "a,age: 40,q,What?,yes,no"], "repeat"),
        ([ITEM, "z,age: 40,q,What?,yes,no"], "none of its personas and questions is rated in"),
    ],
)
def test_rated_items_that_can_not_be_compared_are_refused(tmp_path, rows, why):
    humans = table(tmp_path / "humans.csv", "persona,question,rater,choice", "a,q,r,first", "a,q,s,first")
    assert why in said("05", humans=humans, rated=table(tmp_path / "rated.csv", *rows))


def test_rated_items_without_ratings_and_ratings_of_others_are_refused(tmp_path):
    rated = table(tmp_path / "rated.csv", ITEM, "a,age: 40,q,What?,yes,no")
    assert "name them in humans" in said("05", rated=rated)
    humans = table(tmp_path / "humans.csv", "persona,question,rater,choice", "a,q,r,first", "a,q,s,second")
    assert "no persona_id is among this run's people, such as a: " in said("05", humans=humans)
    plan = presets.plan(presets.load("smoke"), ["05"], {"humans": humans, "rated": rated})
    assert preflight.check(plan, seeks=False) == []


LABEL = "persona_id,prompt_id,condition,annotator,label"


def test_labels_of_nobody_here_are_refused(tmp_path):
    plan = presets.plan(presets.load("smoke"), ["10"])["10_judges"]
    who = ingredients.people("sample", plan["n_personas"], plan["seed"], plan["use"]).index[0]
    own = tmp_path / "labels.csv"
    assert "holds no label" in said("10", labels=table(own, LABEL))
    assert "holds no label" in said("10", labels=table(own, LABEL, f"{who},{KNOWN[0]},direct,x,"))
    assert "no persona_id is among" in said("10", labels=table(own, LABEL, f"nobody,{KNOWN[0]},direct,x,1"))
    assert "no prompt_id is among" in said("10", labels=table(own, LABEL, f"{who},q0,direct,x,1"))
    fine = table(own, LABEL, f"{who},{KNOWN[0]},direct,x,1")
    assert preflight.check(presets.plan(presets.load("smoke"), ["10"], {"labels": fine}), seeks=False) == []
    rows = [f"{who},{KNOWN[0]},{name},x,1" for name in ("dirct", "baseline", "other_persona")]
    note, *others = preflight.check(
        presets.plan(presets.load("smoke"), ["10"], {"labels": table(own, LABEL, *rows)}), seeks=False
    )
    assert "1 of condition 'dirct' (did you mean 'direct'?" in note and note.startswith("10: ") and not others


JUDGED = "persona_id,prompt_id,p_chosen"


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ([], "no prompt that 5 personas or more judge"),
        ([f"a,{KNOWN[0]},0.5"], "no prompt that 5 personas or more judge"),
        ([f"{who},{KNOWN[0]},0.5" for who in ("a", "b", "c", "d", "")], "a row without persona_id"),
        ([f"{who},{KNOWN[0]},0.5" for who in "abcde"] + [f"a,{KNOWN[0]},0.9"], f"twice, such as a of {KNOWN[0]}"),
        ([f"{who},q0,0.5" for who in "abcde"], "none of its prompts is among those of builtin, such as q0"),
    ],
)
def test_judgments_that_say_nothing_are_refused(tmp_path, rows, why):
    assert why in said("02", judgments=table(tmp_path / "own.csv", JUDGED, *rows))
