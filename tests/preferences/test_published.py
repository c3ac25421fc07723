"""The published PERSONA data, in files of its format, read into our tables."""

from pathlib import Path

import pandas as pd
import pytest
from endpoint import Endpoint
from writers import build, judging, write

from persona_lib import UserError, personas
from persona_lib.preferences import dataset, exports, published
from persona_lib.runs.executing import kernels
from persona_lib.runs.planning import notebooks


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pairs")
    with pytest.MonkeyPatch.context() as patch, Endpoint(write) as endpoint:
        patch.setenv("PERSONA_STORE", str(folder / "store.sqlite"))
        return build(endpoint.url, folder / "set", n=8)


SUFFIXES = [".parquet", ".jsonl", ".csv"]


def saved(table: pd.DataFrame, path: Path) -> Path:
    {
        ".parquet": lambda: table.to_parquet(path),
        ".jsonl": lambda: table.to_json(path, orient="records", lines=True),
        ".csv": lambda: table.to_csv(path),
    }[path.suffix]()
    return path


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_is_exported_as_published_is_read_back(source, tmp_path, suffix):
    pairs, people, _ = dataset.read(source)
    table = exports.published(pairs, people)
    read, who, prompts = published.read_published(saved(table, tmp_path / f"persona{suffix}"))
    assert len(read) == 48 and len(who) == 8 and len(prompts) == pairs["prompt_id"].nunique()
    assert read["chosen"].tolist() == pairs["chosen"].tolist()
    assert (read["use"] == "heldout_test").tolist() == (pairs["use"] == "heldout_test").tolist()
    assert who["age"].tolist() == people.loc[pairs["persona_id"].unique(), "age"].tolist()
    assert personas.describe(who.iloc[0]) == personas.describe(people.loc[pairs["persona_id"].iloc[0]])


def test_the_published_text_is_parsed_with_values_that_hold_colons_and_line_breaks():
    text = "Age: 71\nsex: Female\nbig five scores: Openness: High\nExtraversion: Low\nincome: 40000.0\nlifestyle: quiet"
    assert published.parse(text) == {
        "age": "71",
        "sex": "Female",
        "big five scores": "Openness: High Extraversion: Low",
        "income": "40000.0",
        "lifestyle": "quiet",
    }
    with pytest.raises(UserError, match="no line 'attribute: value'"):
        published.parse("a nice person")


def test_a_file_of_another_kind_or_a_missing_file_is_refused(tmp_path):
    (tmp_path / "x.csv").write_text("persona,prompt\na,b\n")
    with pytest.raises(UserError, match="lacks the columns instruction, original, data"):
        published.read_published(tmp_path / "x.csv")
    with pytest.raises(UserError, match="no file"):
        published.read_published(tmp_path / "none.parquet")


@pytest.mark.parametrize("gap", [None, "", " "])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_row_without_an_answer_is_a_failure_and_one_without_persona_or_instruction_is_refused(tmp_path, suffix, gap):
    row = {"persona": "age: 7", "instruction": "Why?", "original": "No.", "data": "NA"}
    table = pd.DataFrame([row, row | {"data": gap}, row | {"original": gap}])
    pairs, _, _ = published.read_published(saved(table, tmp_path / f"persona{suffix}"))
    assert pairs["chosen"].fillna("-").tolist() == ["NA", "-", "-"] and pairs["pair_id"].is_unique
    assert pairs["failure"].isna().tolist() == [True, False, False] == pairs["longer"].notna().tolist()
    assert pairs["failure"].tolist()[1:] == ["revision: not in the data", "base answer: not in the data"]
    for name in ("persona", "instruction"):
        with pytest.raises(UserError, match="has 1 rows without persona or instruction, such as row 3: fill"):
            published.read_published(saved(pd.DataFrame([row, row, row | {name: gap}]), tmp_path / f"gap{suffix}"))


def test_published_pairs_get_splits_and_checks_and_are_read_as_a_data_set_is(source, tmp_path):
    pairs, people, _ = dataset.read(source)
    exports.published(pairs, people)[["persona", "instruction", "original", "data"]].to_parquet(tmp_path / "p.parquet")
    read, who, prompts = published.read(tmp_path / "p.parquet")
    assert set(read["use"]) == {"train"} and read["critique"].isna().all()  # neither column need be there
    assert set(read["persona_split"]) <= {"train", "test"} and read["failure"].isna().all()
    assert read["longer"].eq(False).all() and read["persona_id"].isin(who.index).all()
    assert prompts["prompt_id"].is_unique and set(read["prompt_id"]) == set(prompts["prompt_id"])
    assert len(published.read(source)[0]) == len(pairs)


def test_published_personas_are_read_by_columns_in_whatever_spelling(tmp_path):
    rows = [
        {"age": 71, "sex": "Female", "Big_Five_Scores": "Openness: High", "income": "40000.0", "ideology": "Liberal"},
        {"age": 10, "sex": "Male", "Big_Five_Scores": "Not Applicable", "income": "", "ideology": "Too young"},
        {"age": 10, "sex": "Male", "Big_Five_Scores": "Not Applicable", "income": "", "ideology": "Too young"},
    ]
    pd.DataFrame(rows).to_csv(tmp_path / "personas.csv", index=False)
    people = published.read_personas(tmp_path / "personas.csv")
    assert len(people) == 2 and people.index.is_unique and people["age"].tolist() == [71, 10]
    text = "age: 71\nsex: Female\nincome: 40000\nbig five scores: Openness: High\nideology: Liberal"
    assert personas.describe(people.iloc[0]) == text
    assert set(people["persona_split"]) <= {"train", "test"}
    pd.DataFrame({"name": ["x"]}).to_csv(tmp_path / "other.csv")
    with pytest.raises(UserError, match="has none of the attributes as columns"):
        published.read_personas(tmp_path / "other.csv")


def test_data_that_the_hub_does_not_give_are_reported_in_one_line(monkeypatch):
    pytest.importorskip("datasets")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("datasets.load_dataset", lambda name: 1 / 0)
    with pytest.raises(UserError, match="SynthLabsAI/PERSONA can't be fetched from the hub: division by zero"):
        published.read_published("SynthLabsAI/PERSONA")


def test_both_splits_of_published_personas_on_the_hub_are_read(monkeypatch):
    datasets = pytest.importorskip("datasets")
    splits = {
        split: datasets.Dataset.from_pandas(pd.DataFrame({"age": ages, "sex": "Male"}))
        for split, ages in (("train", [20, 30]), ("test", [40]))
    }
    monkeypatch.setattr("datasets.load_dataset", lambda name: datasets.DatasetDict(splits))
    people = published.read_personas("SynthLabsAI/Synthetic-Personas")
    assert people["persona_split"].tolist() == ["train", "train", "test"] and people["age"].tolist() == [20, 30, 40]
    splits["validation"] = splits.pop("test")
    with pytest.raises(UserError, match="Synthetic-Personas has persona_split validation: it takes train or test"):
        published.read_personas("SynthLabsAI/Synthetic-Personas")


def test_notebook_03_reads_published_data_with_hostile_texts(source, tmp_path):
    pairs, people, _ = dataset.read(source)
    table = exports.published(pairs, people)
    table.loc[:3, ["instruction", "data"]] = "Is <script>alert(1)</script> <img src=x> $fair$?"
    table.to_parquet(tmp_path / "persona.parquet")
    stem = "03_preferences"
    with Endpoint(judging(0.8, good="It depends on", plain="It depends.")) as endpoint:
        asked = {"model": "m", "base_url": endpoint.url, "recording": None, "data": str(tmp_path / "persona.parquet")}
        defaults = notebooks.find(stem).parameters
        target, steps = tmp_path / f"{stem}.ipynb", tmp_path / "steps.jsonl"
        assert kernels.execute(stem, defaults | asked, target, steps, {}) is None
        assert len(endpoint.requests) == 2 * defaults["n_verify"]
    page = target.read_text()
    assert "&lt;script&gt;alert(1)" in page and "<script>alert" not in page and "<img src=x" not in page


def test_personas_of_a_file_keep_the_ids_and_sides_that_it_names(source, tmp_path):
    pairs, people, _ = dataset.read(source)
    _, who, _ = published.read_published(saved(exports.published(pairs, people), tmp_path / "own.csv"))
    assert who["persona_split"].to_dict() == people.loc[who.index, "persona_split"].to_dict()
    table = people[["age", "sex"]].assign(race="White alone", education="None", religion="None", persona_split="train")
    table.to_csv(tmp_path / "no_ids.csv", index=False)
    assert set(published.read_personas(tmp_path / "no_ids.csv")["persona_split"]) == {"train"}


def test_the_page_says_who_made_the_pairs_that_it_reads(tmp_path):
    with Endpoint(write) as endpoint:
        folder = build(endpoint.url, tmp_path / "set", n=2, words=40)
    said = published.origin(folder)
    assert said == "The pairs come from the data set set: written by m, asked for at most 40 words, seed 0."
    assert published.origin(tmp_path / "hub.csv").endswith("the data do not tell which model made them.")


def test_published_pairs_are_read_by_columns_in_whatever_spelling_and_sides_as_others_name_them(source, tmp_path):
    row = {"Instruction": " Why? ", "PERSONA": "sex: Male ", "Original": " a ", "data": "b", "Question-Type": "Test "}
    path = tmp_path / "p.csv"
    pd.DataFrame([row | {"Persona ID": " 007", "persona_split": " Test"}]).to_csv(path, index=False)
    pairs, people, _ = published.read(path)
    assert people.index.tolist() == ["007"] and pairs["use"].tolist() == ["heldout_test"]
    assert pairs["persona_split"].tolist() == ["test"], "the file's word, not the id's hash"
    assert pairs[["prompt", "rejected"]].iloc[0].tolist() == [" Why? ", " a "], "texts stay to the letter"
    pd.DataFrame([row | {"original": "c"}]).to_csv(path, index=False)
    with pytest.raises(UserError, match=r"p.csv has the column original twice: keep one"):
        published.read(path)
