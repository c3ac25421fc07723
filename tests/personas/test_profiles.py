"""Profiles: the same persona as list, prose and interview, in any order of attributes."""

import numpy as np
import pandas as pd
import pytest

from persona_lib import UserError, personas
from persona_lib.attributes import ATTRIBUTES, BY_NAME, CENSUS, NAMES
from persona_lib.personas import profiles
from persona_lib.personas.psychographics import IDEOLOGIES, PARTIES, RELIGIONS


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
    assert list(wording) == [*NAMES, "given name"]
    questions = [entry["question"] for entry in wording.values()]
    assert len(set(questions)) == len(questions) and all(question.endswith("?") for question in questions)
    for attribute in ATTRIBUTES:
        own = wording[attribute.name].get("labels", {})
        labels = {"ideology": IDEOLOGIES, "political views": PARTIES, "religion": RELIGIONS}.get(
            attribute.name, attribute.labels
        )
        assert not labels or set(own) <= set(labels), attribute.name
        assert "{value}" in wording[attribute.name].get("says", "") or set(own) == set(labels), attribute.name
        short = wording[attribute.name].get("short", {})
        assert set(short) <= set(labels) and len({short.get(label, label) for label in labels}) == len(labels)
        assert all(len(short.get(label, label)) <= 50 for label in labels), attribute.name
        assert len(set(own.values())) == len(own), attribute.name


def test_prose_tells_any_two_personas_apart_that_the_list_tells_apart(people):
    for form in ("prose", "interview"):
        texts = profiles.texts(people, form)
        lists = people.apply(personas.describe, axis=1)
        assert texts.nunique() == lists.nunique()
        assert not texts.str.contains(r"\{|\bnan\b|\bNone\b|<NA>|\.\.| \.", regex=True).any()


def test_prose_has_a_sentence_for_each_attribute_or_one_for_several(adult):
    known = adult[list(CENSUS)].drop("hispanic origin").dropna()
    hard = known.replace({"No": "Yes"})
    text = profiles.describe(hard, "prose")
    assert text.count(". ") == len(known)
    easy = known.replace({"Yes": "No", "With a disability": "Without a disability"})
    text = profiles.describe(easy, "prose")
    assert text.count("They have no disability; they see, hear and concentrate without serious difficulty.") == 1
    assert text.count("difficulty") == 1 and text.count(". ") == len(known) - 3
    two = profiles.describe(easy.drop(["disability", "cognitive difficulty"]), "prose")
    assert "They see and hear without serious difficulty." in two and "They have no disability" not in two


LONG = {
    "marital status": ("Never married or under 15 years old", "Never married"),
    "political views": ("Independent (neither, no response)", "Independent"),
    "class of worker": (BY_NAME["class of worker"].labels[0], "Employee of a private company"),
    "disability": ("Without a disability", "No"),
}


def test_every_form_says_short_labels_and_a_text_is_read_back_with_the_bureaus():
    row = pd.Series({name: long for name, (long, _) in LONG.items()})
    for form in ("list", "interview"):
        text = personas.describe(row, form)
        assert not any(long in text for long, _ in LONG.values())
        assert all(short in text.splitlines()[-1] or f": {short}\n" in text + "\n" for _, short in LONG.values())
    assert personas.describe(row, "prose") == (
        "This is about one person. Their current or latest employer is a private company. "
        "They have never been married. They have no disability. They are an independent."
    )
    told = profiles.texts(row.to_frame().T).iloc[0]
    read = profiles.bureau(pd.DataFrame([dict(line.split(": ", 1) for line in told.splitlines())]))
    assert read.iloc[0].to_dict() == row.to_dict()
    assert "Never married or under" in profiles.texts(row.to_frame().T, short=False).iloc[0]


def test_the_age_of_the_youngest_reads_like_english():
    young = profiles.texts(pd.DataFrame({"age": [0, 1, 2]}), "prose")
    assert young.str.removeprefix("This is about one person. They ").tolist() == [
        "are less than a year old.",
        "are one year old.",
        "are 2 years old.",
    ]


def test_places_read_like_english():
    born = pd.DataFrame({"place of birth": ["Texas", "Philippines", "Georgia (country)"]})
    assert profiles.texts(born, "prose").str.removeprefix("This is about one person. ").tolist() == [
        "They were born in Texas.", "They were born in the Philippines.", "They were born in the country of Georgia."
    ]  # fmt: skip


def test_no_text_has_the_name_unless_it_is_asked_for():
    row = pd.Series({"age": 74, "given name": "Ruth"})
    for form in profiles.FORMS:
        assert "Ruth" not in personas.describe(row, form) and "Ruth" in personas.describe(row, form, named=True)


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
