"""The page on files of one's own: the code that reads users' files reads its examples; every parameter is there."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import yaml
from places import ROOT

from persona_lib import annotation, files, prompts, tables, templates
from persona_lib.annotation import items
from persona_lib.attributes import NAMES
from persona_lib.bench import groups
from persona_lib.judges import labels
from persona_lib.preferences import ingredients, published
from persona_lib.runs.planning import notebooks, parameters, presets

PAGE = (ROOT / "docs" / "own_files.md").read_text("utf-8")
FORMS = {"csv": ".csv", "jsonl": ".jsonl", "yaml": ".yaml", "text": ".txt"}


@pytest.fixture
def example(tmp_path) -> Callable[..., Path]:
    """Write the example of a section of the page into a file."""

    def write(section: str, name: str = "example") -> Path:
        own = PAGE.split(f"## {section}\n")[1].split("\n## ")[0]
        form, text = re.findall(r"```(\w+)\n(.*?)```", own, re.DOTALL)[0]
        (path := tmp_path / f"{name}{FORMS[form]}").write_text(text, "utf-8")
        return path

    return write


def test_people_and_questions(example):
    people = ingredients.people(str(example("People")))
    assert people.index.tolist() == ["ann", "bob"] and people["age"].tolist() == [67, 34]
    asked = prompts.load(example("Questions"))
    assert asked["prompt_id"].tolist() == ["n1", "n2"] and asked["prompt_split"].tolist() == ["heldout", "train"]
    assert all(name in " ".join(PAGE.split()) for name in NAMES)


def test_wording(example):
    own = templates.load("my_way", example("Wording", "my_way").parent)
    assert own.reply == ("values", "answer") and own.variables == {"persona", "words", "question"}
    told = own.messages({"persona": "age: 67", "words": None, "question": "Why?"})
    assert told[0]["content"].endswith('in "answer" answer.')


def test_groups(example):
    people = ingredients.people(str(example("People", "people")))
    named = files.read_yaml(example("Groups of people"))
    found = groups.members(people, {name: named[name] for name in ("women of 65 or older", "believers")})
    assert found.loc["ann"].tolist() == [True, True] and found.loc["bob"].tolist() == [False, False]
    given = parameters.read(re.findall(r"-p '(groups=.*)'", PAGE))["groups"]
    assert groups.members(people, given)["older women"].tolist() == [True, False]


def test_preference_pairs(example):
    pairs, people, _ = published.read(example("Preference pairs"))
    assert pairs["use"].tolist() == ["train", "heldout_test"] and people["age"].tolist() == [30, 61]


def test_judgments_and_labels(example):
    found = prompts.persona_dependence(str(example("Judgments of prompts")))
    assert found["n"].to_dict() == {"q1": 3}
    table = labels.read(example("Labels of answers"))
    assert table["label"].tolist() == [1, 0, 1] and set(labels.COLUMNS) == set(table)


def test_pairs_for_raters_and_their_ratings(example, tmp_path):
    pairs = items.read(example("Pairs for raters"))
    annotation.export(items.rateable(pairs), tmp_path / "study", checks=0)
    shown = json.loads((tmp_path / "study" / "assignments.json").read_text())["items"]
    assert [item["second"] for item in shown] == ["No.", "Plainly."]
    votes = annotation.votes(annotation.read([example("Ratings of people")]))
    assert votes["choice"].tolist() == ["first", "second"]


def test_a_preset(example):
    planned = presets.plan(presets.load(str(example("Presets"))))
    assert list(planned) == ["06_conditioning"] and planned["06_conditioning"]["words"] is None


def test_the_page_names_every_parameter_that_takes_a_file():
    takes = {"personas", "prompts", "templates", "groups", "data", "judgments", "labels", "humans", "rated"}
    declared = {name: value for stem in notebooks.stems() for name, value in notebooks.find(stem).parameters.items()}
    assert takes <= set(declared)
    assert {name for name in takes if not re.search(rf"-p {name}=", PAGE)} == set()


def test_every_separator_is_named_and_every_table_may_be_spelt_otherwise(example):
    form = PAGE.split("- *Form.*")[1].split("- *Names")[0]
    assert all(f"`{sign}`" in form or (sign == "\t" and "a tab" in form) for sign in tables.SEPARATORS)
    readers = {
        "People": lambda path: ingredients.people(str(path)),
        "Questions": lambda path: prompts.load(path),
        "Judgments of prompts": lambda path: prompts.persona_dependence(str(path)),
        "Labels of answers": labels.read,
        "Ratings of people": lambda path: annotation.votes(annotation.read([path])).drop(columns="id", errors="ignore"),
    }
    assert len(readers) == PAGE.count("```csv"), "every kind of table is here"
    for section, read in readers.items():
        asked = read(path := example(section))
        names, *rows = path.read_text("utf-8").split("\n")
        spelt = names.upper().replace("_", "-").replace(",", ", ")
        path.write_text("\n".join(["", spelt, *rows]).replace("ann,", "ann ,").replace(",n1", ", n1"), "utf-8")
        pd.testing.assert_frame_equal(read(path), asked)


def test_examples_are_small_and_links_lead_to_sections():
    for heading in re.findall(r"\]\(#([\w-]+)\)", PAGE):
        assert f"\n## {heading.replace('-', ' ')}\n" in PAGE.lower()
    for form, text in re.findall(r"```(\w+)\n(.*?)```", PAGE, re.DOTALL):
        assert form in FORMS and len(text.splitlines()) < 16
        assert form != "yaml" or isinstance(yaml.safe_load(text), dict)
