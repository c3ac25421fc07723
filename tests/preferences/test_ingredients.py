"""People and prompts of an experiment or a data set: drawn or read from files, from the sides that are asked for."""

import json
import random
from pathlib import Path

import pandas as pd
import prism
import pytest

from persona_lib import UserError, personas, prompts
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
    drawn = ingredients.people(n=8, seed=4, min_age=65)
    assert len(drawn) == 8 and (drawn["age"] >= 65).all()
    pd.testing.assert_frame_equal(drawn, ingredients.people("sample", 8, seed=4, min_age=65))
    pd.testing.assert_frame_equal(ingredients.people(n=8, min_age=0), personas.sample(8, 0))


@pytest.mark.parametrize(
    ("use", "of_people", "of_prompts"),
    [("train", {"train"}, {"train"}), ("seen_test", {"test"}, {"train"}), ("heldout_test", {"test"}, {"heldout"})],
)
def test_a_use_says_which_sides_people_and_prompts_are_on(use, of_people, of_prompts):
    people, questions = ingredients.draw("sample", "builtin", 9, 40, use, seed=2)
    assert (len(people), len(questions)) == (9, 40) and (people["age"] >= 18).all()
    assert set(people["persona_split"]) == of_people and set(questions["prompt_split"]) == of_prompts
    assert questions["topic"].nunique() == 31, "spread over topics"
    pd.testing.assert_frame_equal(people, ingredients.people("sample", 9, 2, use))
    assert not people.index.isin(ingredients.people("sample", 9, 3, use).index).any()


def test_without_a_side_everybody_and_every_prompt_may_be_drawn_and_an_unknown_use_is_named():
    people, questions = ingredients.draw("sample", "builtin", 30, None, "all")
    assert set(people["persona_split"]) == {"train", "test"} and len(questions) == len(prompts.load())
    with pytest.raises(UserError, match="there is no use 'test': choose one of train, seen_test, heldout_test, all"):
        ingredients.draw("sample", "builtin", 3, 3, "test")


def test_too_few_on_a_side_is_one_line_that_says_what_to_lower(tmp_path):
    held_out = (prompts.load()["prompt_split"] == "heldout").sum()
    with pytest.raises(UserError, match=rf"builtin has {held_out} prompts held out, and 700 are .*: lower n_prompts"):
        ingredients.draw("sample", "builtin", 3, 700)
    with pytest.raises(UserError, match=r"prompts to train on, and 9000 are asked for: lower train_prompts$"):
        ingredients.questions(train=9000, heldout=1)
    with pytest.raises(UserError, match=r"prompts held out, and 9000 are asked for: lower heldout_prompts$"):
        ingredients.questions(heldout=9000)
    split = ["train", "test", "test"]
    path = saved(
        pd.DataFrame({"persona_id": list("abc"), "age": [30, 40, 7], "persona_split": split}), tmp_path / "p.csv"
    )
    with pytest.raises(UserError, match=r"p.csv has 1 people of at least 18 on the test side, and 2 are .*n_personas"):
        ingredients.draw(str(path), "builtin", 2, 3)
    assert ingredients.draw(str(path), "builtin", 1, 3)[0].index.tolist() == ["b"]


def test_people_of_a_file_are_drawn_whatever_the_order_of_rows_and_a_larger_draw_keeps_the_smaller(tmp_path):
    table = pd.DataFrame({"persona_id": [f"p{i}" for i in range(40)], "age": 40})
    path = str(saved(table, tmp_path / "a.csv"))
    turned = str(saved(table[::-1], tmp_path / "b.csv"))
    five = ingredients.people(path, 5, seed=1).index.tolist()
    assert ingredients.people(turned, 5, seed=1).index.tolist() == five != ingredients.people(path, 5).index.tolist()
    assert ingredients.people(path, 9, seed=1).index.tolist()[:5] == five
    assert ingredients.people(path).index.tolist() == table["persona_id"].tolist(), "without a number, all of them"
    assert ingredients.people(path)["persona_split"].equals(personas.split(table["persona_id"]))


def test_a_data_sets_folder_gives_its_people_and_other_sources_are_one_line(tmp_path):
    people = ingredients.people("sample", 6, seed=1)
    people.to_parquet(tmp_path / "personas.parquet")
    read = ingredients.people(str(tmp_path))
    assert read.index.tolist() == people.index.tolist() and read["persona_split"].equals(people["persona_split"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"empty holds no personas.parquet: give the folder of a data set, or a file"):
        ingredients.people(str(tmp_path / "empty"))
    with pytest.raises(UserError, match=r"no personas 'sampel': choose 'sample', a file \(.parquet, .*or the folder"):
        ingredients.people("sampel")


@pytest.mark.parametrize("split", ["unseen", "Test", "held-out"])
def test_a_files_own_split_is_kept_in_our_spelling(tmp_path, split):
    table = pd.DataFrame({"persona_id": list("abc"), "age": 30, "Persona Split": ["train", split, ""]})
    read = ingredients.people(str(saved(table, tmp_path / "p.csv")))["persona_split"]
    assert read.tolist() == ["train", "test", personas.split(["c"])["c"]]
    with pytest.raises(UserError, match=r"p.csv has persona_split maybe: it takes train or test"):
        ingredients.people(str(saved(table.replace(split, "maybe"), tmp_path / "p.csv")))


@pytest.mark.parametrize("suffix", [".parquet", ".jsonl", ".csv"])
def test_published_personas_get_ids_and_keep_children(tmp_path, suffix):
    path = saved(PUBLISHED, tmp_path / f"personas{suffix}")
    people = ingredients.people(str(path), min_age=0)
    assert ingredients.people(str(path))["age"].tolist() == [71], "by default adults only"
    pd.testing.assert_frame_equal(people, published.read_personas(path))
    assert people.index.name == "persona_id" and people.index.is_unique and people["age"].tolist() == [71, 10]
    assert personas.describe(people.iloc[1]).startswith("age: 10\nsex: Male\n")


def test_ids_win_over_the_published_form_and_must_be_unique(tmp_path):
    with_ids = PUBLISHED.assign(persona_id=["a", "b", "c"])
    assert ingredients.people(str(saved(with_ids, tmp_path / "ids.csv")), min_age=0).index.tolist() == ["a", "b", "c"]
    twice = saved(with_ids.assign(persona_id="a"), tmp_path / "twice.csv")
    with pytest.raises(UserError, match="has 1 persona_id more than once, the first of them 'a'"):
        ingredients.people(str(twice))


@pytest.mark.parametrize("columns", [["name"], ["name", "age"], ["age", "sex", "income", "ideology"]])
def test_a_file_with_neither_ids_nor_the_published_columns_is_refused_in_one_line(tmp_path, columns):
    table = PUBLISHED.assign(name="Ann")[columns]
    with pytest.raises(UserError, match=r"needs a column 'persona_id' without gaps, .* or the paper's attributes") as e:
        ingredients.people(str(saved(table, tmp_path / "people.csv")))
    assert "\n" not in str(e.value)


def test_prompts_are_drawn_to_size_from_each_side_of_the_bank_or_of_a_file(tmp_path):
    drawn = ingredients.questions(train=40, heldout=31, seed=2)
    assert drawn["prompt_split"].value_counts().to_dict() == {"train": 40, "heldout": 31}
    assert drawn.groupby("prompt_split")["topic"].nunique().tolist() == [31, 31], "each side is spread over topics"
    assert not drawn.equals(ingredients.questions(train=40, heldout=31, seed=3))
    bank = prompts.load().set_index("prompt_id")["prompt_split"]
    assert drawn.set_index("prompt_id")["prompt_split"].eq(bank.loc[drawn["prompt_id"]]).all(), (
        "no prompt changes sides"
    )
    whole = ingredients.questions(train=30)
    assert (whole["prompt_split"] == "heldout").sum() == (bank == "heldout").sum(), "no number: all of the side"
    table = pd.DataFrame({"prompt": ["hello", "Why?"], "prompt_split": ["train", "heldout"]})
    own = str(saved(table, tmp_path / "own.csv"))
    assert ingredients.questions(own, classifier=Sorter())["prompt"].tolist() == ["hello", "Why?"], "taken as it is"
    assert ingredients.questions(own, train=0)["prompt"].tolist() == ["Why?"]


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
    assert sorted(ingredients.questions(str(path))["prompt"]) == sorted(texts[:33])  # no greeting: it asks nothing
    sorted_out = ingredients.questions(str(path), classifier=Sorter())
    assert sorted(sorted_out["prompt"]) == sorted(texts[:32]) and set(sorted_out["source"]) == {"prism"}
    _, asked = ingredients.draw("sample", str(path), 2, 3, classifier=Sorter())
    assert set(asked["prompt"]) <= set(texts[:32]) and set(asked["prompt_split"]) == {"heldout"}
    assert sum(ingredients.available(str(path)).values()) == 33, "at most so many, before a model is asked"


class Opinion(Sorter):
    """A language model that keeps a share of the prompts by their text, and counts what it is asked."""

    def __init__(self, share: float, salt: str = ""):
        self.share, self.salt, self.asked = share, salt, []

    def ask(self, messages, schema, **_):
        texts = [str(message[-1]) for message in messages]
        self.asked += texts
        rng = [random.Random(text + self.salt).random() for text in texts]
        said = ["yes" if drawn < self.share else "no" for drawn in rng]
        return [Reply(json.dumps({"verdict": v}), schema(verdict=v), failure=None, cached=False) for v in said]


def test_prism_is_sorted_on_the_side_that_is_used_and_no_further_than_needed(tmp_path):
    source = prism.write(tmp_path / "prism.jsonl", 1_500)
    two_thirds = Opinion(2 / 3)
    _, asked = ingredients.draw("sample", source, 2, 100, classifier=two_thirds)
    assert len(asked) == 100 and set(asked["prompt_split"]) == {"heldout"}
    assert 120 < len(two_thirds.asked) < 190 and len(set(two_thirds.asked)) == len(two_thirds.asked)
    few = Opinion(0.1)
    with pytest.raises(UserError, match=r"prompts held out that sorter finds value-laden, and 300 are asked for"):
        ingredients.draw("sample", source, 2, 300, classifier=few)
    assert len(few.asked) == ingredients.available(source)["heldout"], "each prompt of the side once, no other"


def test_classifiers_that_mostly_agree_give_mostly_the_same_questions_in_the_same_topics(tmp_path):
    source = prism.write(tmp_path / "prism.jsonl", 1_500)
    drawn = [
        ingredients.draw("sample", source, 2, 100, classifier=sorter)[1].set_index("prompt_id")
        for sorter in (None, Opinion(0.95), Opinion(0.95, "another"))
    ]
    ids = [set(table.index) for table in drawn]
    assert len(ids[1] & ids[2]) > 80 and len(ids[0] & ids[1]) > 80
    both = list(ids[1] & ids[2])
    assert drawn[1].loc[both, "topic"].equals(drawn[2].loc[both, "topic"]), "topics do not depend on the classifier"
    larger = ingredients.draw("sample", source, 2, 150, classifier=Opinion(0.95))[1]
    assert ids[1] <= set(larger["prompt_id"]), "a larger draw keeps the smaller"


def test_ids_and_attributes_are_found_in_any_spelling(tmp_path):
    (tmp_path / "p.csv").write_text("Persona ID,AGE,marital_status\n007,34,Never married\n")
    people = ingredients.people(str(tmp_path / "p.csv"))
    assert people.index.tolist() == ["007"] and people["age"].tolist() == [34]
    assert people["marital status"].tolist() == ["Never married"]


@pytest.mark.parametrize(
    "named", ["Persona-ID, AGE, Sex, Persona Split, hobby", "persona_id,age,sex,persona_split,hobby"]
)
def test_blanks_around_ids_attributes_and_sides_are_no_part_of_them(tmp_path, named):
    (tmp_path / "p.csv").write_text(f"{named}\n 007 , 34, Female , train, chess\n008,\t 40,Female, Test ,\n")
    people = ingredients.people(str(tmp_path / "p.csv"))
    assert people.index.tolist() == ["007", "008"] and people["age"].tolist() == [34, 40]
    assert people["sex"].tolist() == ["Female"] * 2 and people["persona_split"].tolist() == ["train", "test"]
    assert ingredients.unused(str(tmp_path / "p.csv")) == ["hobby"]


def test_an_age_that_nobody_has_is_refused(tmp_path):
    (tmp_path / "p.csv").write_text("persona_id,age,sex\na,40,Male\nb,-5,Male\nc,1000000000,Male\n")
    with pytest.raises(UserError, match=r"2 values of age below 0 or above 120, such as '-5' of b: correct them"):
        ingredients.people(str(tmp_path / "p.csv"), min_age=0)


@pytest.mark.parametrize("age", ["thirty", "34.5", "inf"])
def test_a_published_persona_whose_age_is_not_a_whole_number_is_refused(tmp_path, age):
    (tmp_path / "p.csv").write_text(f"age,sex,race,education,religion\n{age},Male,White alone,None,None\n")
    with pytest.raises(UserError, match=r"1 values of age that are not numbers, such as .* of row 1"):
        ingredients.people(str(tmp_path / "p.csv"))


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("own.csv", "persona_id,age,sex\nann,40,Female\nbob,,\n", "nothing is known of 1 of its people, such as 'bob'"),
        ("own.jsonl", '{"persona_id": "ann", "sex": ["Female"]}\n', "sex of ann is a list or an object: write a text"),
        ("own.jsonl", '{"persona_id": "ann", "job": {"now": "cook"}, "age": 3}\n', None),
        ("own.tsv", "persona_id\tage\nann\t40\n", "must end in one of .parquet"),
    ],
)
def test_people_of_whom_nothing_can_be_told_are_refused(tmp_path, name, text, said):
    (tmp_path / name).write_text(text)
    if said is None:  # a column that no model is told may hold anything
        assert len(ingredients.people(str(tmp_path / name), min_age=0)) == 1
        return
    with pytest.raises(UserError) as caught:
        ingredients.people(str(tmp_path / name), min_age=0)
    assert said in str(caught.value)


def test_where_a_side_has_nobody_a_smaller_number_is_no_remedy(tmp_path):
    (tmp_path / "own.csv").write_text("persona_id,age,persona_split\nann,40,train\n")
    with pytest.raises(UserError) as caught:
        ingredients.people(str(tmp_path / "own.csv"), 2, use="heldout_test")
    assert "has 0 people" in str(caught.value) and "lower" not in str(caught.value)
    assert str(caught.value).endswith("add people, or take -p use=all, with all 1, if no model was trained on them")
    with pytest.raises(UserError) as caught:
        ingredients.people(str(tmp_path / "own.csv"), 2)
    assert "lower n_personas" in str(caught.value)
