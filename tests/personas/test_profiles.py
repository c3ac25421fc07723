"""Profiles: the same persona as list, prose and interview, in any order of attributes."""

import numpy as np
import pandas as pd
import pytest

from persona_lib import UserError, personas
from persona_lib.attributes import ATTRIBUTES, CENSUS, NAMES
from persona_lib.personas import profiles


@pytest.fixture(scope="module")
def people() -> pd.DataFrame:
    return personas.sample(300, seed=3)


@pytest.fixture(scope="module")
def adult(people) -> pd.Series:
    return people[(people["age"] >= 25) & (people["income"] > 0)].iloc[0]


def test_a_persona_reads_as_lines_of_attribute_and_value(adult):
    lines = dict(line.split(": ", 1) for line in personas.describe(adult).splitlines())
    assert list(lines) == [name for name in NAMES if pd.notna(adult[name])]
    assert lines["age"] == str(adult["age"]) and lines["income"] == str(int(adult["income"]))
    assert lines["sex"] == adult["sex"]


def test_a_childs_text_skips_what_does_not_apply():
    row = pd.Series({"age": 7.0, "sex": "Female", "income": np.nan, "religion": None, "hispanic origin": "Cuban"})
    assert personas.describe(row) == "age: 7\nsex: Female"
    assert personas.describe(row, "prose") == "This is about one person. They are 7 years old. They are female."
    assert personas.describe(row, "interview") == "Q: How old are you?\nA: 7\nQ: Are you male or female?\nA: Female"


def test_every_attribute_has_a_question_and_every_label_a_sentence():
    wording = profiles._wording()
    assert list(wording) == list(NAMES)
    questions = [entry["question"] for entry in wording.values()]
    assert len(set(questions)) == len(questions) and all(question.endswith("?") for question in questions)
    for attribute in ATTRIBUTES:
        own = wording[attribute.name].get("labels", {})
        assert set(own) <= set(attribute.labels), attribute.name
        assert "{value}" in wording[attribute.name].get("says", "") or set(own) == set(attribute.labels), attribute.name
        assert len(set(own.values())) == len(own), attribute.name


def test_prose_tells_any_two_personas_apart_that_the_list_tells_apart(people):
    for form in ("prose", "interview"):
        texts = profiles.texts(people, form)
        lists = people.apply(personas.describe, axis=1)
        assert texts.nunique() == lists.nunique()
        assert not texts.str.contains(r"\{|\bnan\b|\bNone\b|<NA>|\.\.| \.", regex=True).any()


def test_prose_has_one_sentence_for_each_attribute(adult):
    known = adult[list(CENSUS)].drop("hispanic origin").dropna()
    text = profiles.describe(adult[list(CENSUS)], "prose")
    assert text.replace("U.S.", "US").count(". ") == len(known)


def test_a_shuffled_order_has_the_same_lines_and_is_the_same_for_everybody(people, adult):
    given, shuffled = personas.describe(adult), personas.describe(adult, shuffle_seed=1)
    assert sorted(given.splitlines()) == sorted(shuffled.splitlines()) and given != shuffled
    assert shuffled == personas.describe(adult, shuffle_seed=1) != personas.describe(adult, shuffle_seed=2)
    orders = {tuple(line.split(":")[0] for line in personas.describe(row.dropna(), shuffle_seed=1).splitlines())
              for _, row in people[people.notna().sum(axis=1) == adult.notna().sum()].iterrows()}  # fmt: skip
    ranks = {name: place for place, name in enumerate(profiles._order(1))}
    assert all(sorted(order, key=ranks.get) == list(order) for order in orders)


@pytest.mark.parametrize("form", profiles.FORMS)
def test_many_personas_at_once_read_as_one_by_one(people, form):
    few = people.head(30)
    assert profiles.texts(few, form, 7).tolist() == [personas.describe(row, form, 7) for _, row in few.iterrows()]


def test_personas_without_any_attribute_have_empty_profiles(people):
    assert profiles.texts(people[["state"]]).eq("").all()


def test_an_unknown_form_is_refused(adult):
    with pytest.raises(UserError, match="no form 'poem' of a persona: choose one of list, prose, interview"):
        personas.describe(adult, "poem")
