"""A persona changed: only within the vocabulary, with an id of its own, and told what contradicts itself."""

import pandas as pd
import pytest

from persona_lib import UserError, personas
from persona_lib.personas import editing


@pytest.fixture(scope="module")
def people() -> pd.DataFrame:
    return personas.sample(60, seed=4)


@pytest.fixture(scope="module")
def person(people) -> pd.Series:
    return people[people["age"].between(30, 60) & people["income"].gt(0)].iloc[0]


def test_a_change_has_the_tables_values_an_id_of_its_own_and_its_words(person):
    changes = {"age": "41", "race": "black", "income": "52,000", "lifestyle": "reads", "state": "ohio"}
    changed = editing.edited(person, changes)
    assert changed[list(changes)].tolist() == [41, "Black or African American alone", 52_000, "reads", "Ohio"]
    assert changed["edited"].startswith(f"age: {person['age']} -> 41; race: ")
    assert changed["sex"] == person["sex"] and person["age"] != 41
    same = {"age": 41, "race": "Black", "income": 52000, "lifestyle": "reads", "state": "Ohio"}
    assert changed.name != person.name and changed.name == editing.edited(person, same).name
    text = personas.describe(changed)
    assert "age: 41\n" in text and "race: Black\n" in text and "edited" not in text


def test_none_and_an_empty_value_take_an_attribute_away(person):
    assert pd.isna(editing.edited(person, {"religion": None})["religion"])
    changed = editing.edited(person, {"religion": " "})
    assert "religion:" not in personas.describe(changed) and changed["edited"].endswith("-> (none)")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"religon": "Jewish"}, "did you mean 'religion'"),
        ({"religion": "Jewsh"}, "choose a label such as Jewish"),
        ({"political views": "Green"}, "political views can't be 'Green'"),
        ({"age": 130}, "from 0 to 99"),
        ({"age": "old"}, "give a whole number"),
        ({"age": None}, "needs an age"),
        ({"lifestyle": "a\nb"}, "one line"),
        ({}, "nothing is changed"),
    ],
)
def test_what_is_not_of_the_vocabulary_is_told_in_one_line(person, changes, told):
    with pytest.raises(UserError, match=told) as caught:
        editing.edited(person, changes)
    assert "\n" not in str(caught.value)


def test_what_the_person_has_already_is_no_change(person):
    with pytest.raises(UserError, match="nothing is changed"):
        editing.edited(person, {"age": int(person["age"]), "sex": str(person["sex"]).lower()})


def test_a_changed_person_may_contradict_itself_and_it_is_told(person):
    changed = editing.edited(person, {"age": 3, "marital status": "Married"})
    assert editing.problems(changed) and not editing.problems(person)


def test_people_of_any_age_are_looked_at_and_changed(people):
    for _, one in people.groupby(people["age"] // 10).head(1).iterrows():
        assert not editing.problems(one)
        changed = editing.edited(one, {"income": 12_345, "religion": "Hindu"})
        assert changed["income"] == 12_345
        assert editing.problems(changed) or one["age"] >= 15  # a child has no income


def test_each_categorical_attribute_offers_its_labels_as_texts_say_them(person):
    assert ("Black", "Black or African American alone") in editing.options("race")
    assert len(editing.options("state")) == 51 and editing.options("age") == []
    for name in editing.NAMES:
        for shown, label in editing.options(name):
            if person[name] != label:
                assert editing.edited(person, {name: shown})[name] == label, (name, shown)
