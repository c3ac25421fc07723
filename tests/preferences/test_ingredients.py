"""Personas and prompts of a data set: drawn, or read from files of either form."""

import json
from pathlib import Path

import pandas as pd
import pytest

from persona_lib import UserError, personas
from persona_lib.model import Reply
from persona_lib.preferences import ingredients, published

# As in SynthLabsAI/Synthetic-Personas: the attributes as columns, in another spelling, and no ids.
PUBLISHED = pd.DataFrame(
    [
        {"age": 71, "sex": "Female", "Big_Five_Scores": "Openness: High", "income": "40000.0", "ideology": "Liberal"},
        {"age": 10, "sex": "Male", "Big_Five_Scores": "Not Applicable", "income": "", "ideology": "Too young"},
        {"age": 10, "sex": "Male", "Big_Five_Scores": "Not Applicable", "income": "", "ideology": "Too young"},
    ]
)


def saved(table: pd.DataFrame, path: Path) -> Path:
    {
        ".parquet": lambda: table.to_parquet(path),
        ".jsonl": lambda: table.to_json(path, orient="records", lines=True),
        ".csv": lambda: table.to_csv(path, index=False),
    }[path.suffix]()
    return path


def test_personas_are_drawn_by_number_seed_and_least_age():
    drawn = ingredients.people(8, seed=4, min_age=65)
    assert len(drawn) == 8 and (drawn["age"] >= 65).all()
    pd.testing.assert_frame_equal(drawn, ingredients.people(8, seed=4, min_age=65))
    pd.testing.assert_frame_equal(ingredients.people(8, min_age=0), personas.sample(8, 0))


@pytest.mark.parametrize("suffix", [".parquet", ".jsonl", ".csv"])
def test_published_personas_get_ids_and_keep_children(tmp_path, suffix):
    path = saved(PUBLISHED, tmp_path / f"personas{suffix}")
    people = ingredients.people(1, path=path)
    pd.testing.assert_frame_equal(people, published.read_personas(path))
    assert people.index.name == "persona_id" and people.index.is_unique and people["age"].tolist() == [71, 10]
    assert personas.describe(people.iloc[1]).startswith("age: 10\nsex: Male\n")


def test_ids_win_over_the_published_form_and_must_be_unique(tmp_path):
    with_ids = PUBLISHED.assign(persona_id=["a", "b", "c"])
    assert ingredients.people(1, path=saved(with_ids, tmp_path / "ids.csv")).index.tolist() == ["a", "b", "c"]
    twice = saved(with_ids.assign(persona_id="a"), tmp_path / "twice.csv")
    with pytest.raises(UserError, match="has 1 persona_id more than once, the first of them 'a'"):
        ingredients.people(1, path=twice)


@pytest.mark.parametrize("columns", [["name"], ["name", "age"], ["age", "sex", "income", "ideology"]])
def test_a_file_with_neither_ids_nor_the_published_columns_is_refused_in_one_line(tmp_path, columns):
    table = PUBLISHED.assign(name="Ann")[columns]
    with pytest.raises(UserError, match=r"needs a column 'persona_id' without gaps, .* or the paper's attributes") as e:
        ingredients.people(1, path=saved(table, tmp_path / "people.csv"))
    assert "\n" not in str(e.value)


def test_prompts_are_drawn_to_size_from_a_source_and_taken_whole_from_a_file(tmp_path):
    drawn = ingredients.questions(train=30, heldout=10, seed=2)
    assert drawn["prompt_split"].value_counts().to_dict() == {"train": 30, "heldout": 10}
    assert not drawn.equals(ingredients.questions(train=30, heldout=10, seed=3))
    assert len(ingredients.questions(train=30)) == len(ingredients.questions())  # one size alone draws nothing
    own = saved(pd.DataFrame({"prompt": ["hello", "Why?"]}), tmp_path / "own.csv")
    assert ingredients.questions("prism", own, train=1, heldout=1)["prompt"].tolist() == ["hello", "Why?"]
    with pytest.raises(UserError, match="9000 train and 1 held-out prompts are asked for"):
        ingredients.questions(train=9000, heldout=1)


class Sorter:
    """A language model that finds a prompt value-laden if it mentions a tax."""

    name = "sorter"

    def ask(self, messages, schema, **_):
        said = ["yes" if "tax" in str(message[-1]) else "no" for message in messages]
        return [Reply(json.dumps({"verdict": v}), schema(verdict=v), failure=None, cached=False) for v in said]


def test_a_classifier_keeps_the_value_laden_prompts_of_prism(tmp_path):
    texts = [f"Is it fair to tax town {i:02} more?" for i in range(32)] + ["How do whales sleep at night?", "hello"]
    rows = [{"opening_prompt": t, "conversation_id": str(i), "conversation_type": "x"} for i, t in enumerate(texts)]
    path = tmp_path / "prism.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert ingredients.questions("prism", path)["prompt"].tolist() == texts[:33]  # no greeting: it asks nothing
    assert ingredients.questions("prism", path, classifier=Sorter())["prompt"].tolist() == texts[:32]


def test_ids_and_attributes_are_found_in_any_spelling(tmp_path):
    (tmp_path / "p.csv").write_text("Persona ID,AGE,marital_status\n007,34,Never married\n")
    people = ingredients.people(1, path=tmp_path / "p.csv")
    assert people.index.tolist() == ["007"] and people["age"].tolist() == [34]
    assert people["marital status"].tolist() == ["Never married"]


@pytest.mark.parametrize("age", ["thirty", "34.5", "inf"])
def test_a_published_persona_whose_age_is_not_a_whole_number_is_refused(tmp_path, age):
    (tmp_path / "p.csv").write_text(f"age,sex,race,education,religion\n{age},Male,White alone,None,None\n")
    with pytest.raises(UserError, match=r"1 values of age that are not numbers, such as .* of row 1"):
        ingredients.people(1, path=tmp_path / "p.csv")
