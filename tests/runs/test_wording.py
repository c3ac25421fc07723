"""Wording: every template of a run is looked at before the first call, for all notebooks and conditions."""

import contextlib
import io
from collections import defaultdict
from functools import cache
from pathlib import Path

import matplotlib.pyplot as plt
import nbformat
import pytest
from IPython.display import display

from persona_lib import UserError, personas, templates
from persona_lib.runs.planning import notebooks, preflight, presets, wording

DRAWN = cache(personas.sample)  # most notebooks draw the same people
ASKING = [stem for stem in notebooks.stems() if stem in wording.STEPS]


def written(folder: Path, **texts: str) -> str:
    for name, text in texts.items():
        (folder / f"{name}.txt").write_text(text)
    return str(folder)


def refused(stems: list[str], **given) -> list[str]:
    with pytest.raises(UserError) as caught:
        preflight.check(presets.plan(presets.load("smoke"), stems, given), seeks=False)
    return str(caught.value).removeprefix("the run can't start: ").split("\n  - ")


@pytest.mark.parametrize("stem", ASKING)
def test_what_fills_each_template_of_a_notebook_is_what_is_declared(stem, monkeypatch, tmp_path):
    """The notebook's cells run here, with made-up replies."""
    monkeypatch.setenv("PERSONA_SCRATCH", str(tmp_path / "scratch.sqlite"))
    monkeypatch.chdir(notebooks.folder())
    filled: dict[str, set[str]] = defaultdict(set)
    messages = templates.Template.messages

    def noted(self, values):
        filled[self.name].update(values)
        return messages(self, values)

    monkeypatch.setattr(templates.Template, "messages", noted)
    monkeypatch.setattr(personas, "sample", lambda *args, **more: DRAWN(*args, **more).copy())
    values = presets.plan(presets.load("smoke"), [stem], {"n_topics": 2} if stem.startswith("02") else {})[stem]
    names = dict(values, display=display)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        for cell in nbformat.read(notebooks.folder() / f"{stem}.ipynb", 4).cells:
            if cell.cell_type == "code" and "parameters" not in cell.metadata.get("tags", []):
                exec(compile(cell.source, stem, "exec"), names)
    plt.close("all")
    declared = {step.template: step.variables for step in wording.steps(stem, values, notebooks.folder())}
    # The profile of another person is filled in only where a template shows it.
    other = {"other_persona"}
    of_model_layer = {"repair", "in_words"}
    asked = {name: used - other for name, used in filled.items() if name not in of_model_layer}
    assert asked == {n: set(v) - other for n, v in declared.items()}


@pytest.mark.parametrize("preset", ["smoke", "small", "paper"])
def test_the_templates_of_the_package_are_complete(preset):
    for stem, values in presets.plan(presets.load(preset)).items():
        assert not list(wording.problems(stem, values, notebooks.folder()))
    assert not list(wording.problems("pairs", presets.pairs(presets.load(preset)).model_dump(), Path()))


def test_a_variable_that_nothing_fills_is_named_for_every_notebook_and_condition_before_the_first_call(tmp_path):
    folder = written(
        tmp_path,
        mine="reply: [answer]\n[user]\n$question for $persnoa and $you\n",
        critic="reply: [verdict]\n[user]\n$persona $question $answer $keeps $revise\n",
    )
    found = refused(["06", "08"], templates=folder, conditions=["direct", "mine"])
    assert found == [
        "the run can't start, for 2 reasons:",
        "06, 08: template 'critic': nothing fills $keeps; it may use $answer, $keep, $persona, $question, $revise, "
        "$words",
        "06, 08: template 'mine': nothing fills $persnoa, $you; it may use $other_persona, $persona, $question, "
        "$words, $working_words",
    ]


@pytest.mark.parametrize(
    ("stem", "name", "reply", "said"),
    [
        ("06", "critic", "[critique]", "it may have critique, grade, verdict, and needs verdict"),
        ("06", "critic", "[critique, score, verdict]", "has `reply: [critique, score, verdict]`: it may have "),
        ("06", "subtlety", "[]", "needs verdict"),
        ("06", "direct", "[]", "template 'direct' asks for no answer: name its fields in `reply:`"),
        ("06", "direct", "answer", "lists the fields of the reply"),
        ("03", "revision", "[]", "template 'revision' asks for no answer"),
        ("02", "value_laden", "[answer]", "it may have verdict, and needs verdict"),
        ("10", "whose", "[answer]", "has `reply: [answer]`: it may have no fields"),
        ("10", "critic_reworded", "[critique]", "needs verdict"),
    ],
)
def test_fields_that_a_step_does_not_read_are_refused(tmp_path, stem, name, reply, said):
    (found,) = refused([stem], templates=written(tmp_path, **{name: f"reply: {reply}\n[user]\nx\n"}))
    assert found.startswith(f"{stem}: ") and said in found


def test_a_condition_that_there_is_no_template_of_is_named():
    (found,) = refused(["06"], conditions=["dircet"])
    assert "no template 'dircet'" in found and "known are " in found


def test_a_template_of_ones_own_that_is_complete_is_taken(tmp_path):
    folder = written(
        tmp_path,
        mine="reply: [plan, answer]\n[user]\n$question $persona[[ in $words words]]\n",
        critic="reply: [verdict]\n[user]\n$persona $question $answer $keep $revise\n",
    )
    given = {"templates": folder, "conditions": ["direct", "mine"]}
    preflight.check(presets.plan(presets.load("smoke"), ["06"], given), seeks=False)


def test_a_template_that_nothing_asks_with_is_noted(tmp_path):
    text = "reply: [answer]\n[user]\n$question\n"
    folder = written(tmp_path, mine=text, crtic=text, critique=text.replace("answer", "critique"))
    given = {"templates": folder, "conditions": ["direct", "mine"]}
    (note,) = preflight.check(presets.plan(presets.load("smoke"), ["06", "07"], given), seeks=False)
    assert note.endswith(": nothing in this run asks with crtic.txt")


def test_a_file_like_prisms_is_sorted_with_a_template_that_is_looked_at_too(tmp_path):
    folder = written(tmp_path, value_laden="reply: [verdict]\n[user]\n$question $maybe\n")
    (tmp_path / "prism.csv").write_text("opening_prompt,conversation_type\nShould there be taxes on land?,x\n")
    found = refused(["06"], templates=folder, prompts=str(tmp_path / "prism.csv"))
    assert any("nothing fills $maybe" in line for line in found)
    preflight.check(presets.plan(presets.load("smoke"), ["06"], {"templates": folder}), seeks=False)


ASKED = "reply: [answer]\n[user]\n"


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("direct", "<persona>$persona</persona> Go on.", "lacks $question"),
        ("direct", "$question", "lacks $persona"),
        ("baseline", "$persona $question", "shows $persona, though it is to tell of nobody"),
        ("mine", "$persona", "lacks $question"),
    ],
)
def test_a_condition_that_is_another_one_than_its_name_says_is_refused(tmp_path, name, text, said):
    own = written(tmp_path, **{name: ASKED + text})
    more = {"conditions": ["baseline", "direct", "mine"]} if name == "mine" else {}
    assert any(said in line for line in refused(["06"], templates=own, **more))


def test_a_condition_of_the_users_own_may_tell_of_nobody_and_a_critic_without_the_answer_is_a_note(tmp_path):
    critic = "reply: [critique, verdict]\n[user]\n$persona $question $keep $revise"
    own = written(tmp_path, mine=ASKED + "$question", critic=critic)
    plan = presets.plan(presets.load("smoke"), ["06"], {"templates": own, "conditions": ["baseline", "mine"]})
    (note,) = preflight.check(plan, seeks=False)
    assert "template 'critic'" in note and "does not show $answer" in note
