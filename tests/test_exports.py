"""Exports that others read, a data card that tells what is wrong, and the published data read into our tables."""

import json

import pandas as pd
import pytest
import yaml
from endpoint import Endpoint
from test_dataset import build
from test_preferences import write

from persona_lib import UserError, dataset, exports, personas


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pairs")
    with pytest.MonkeyPatch.context() as patch, Endpoint(write) as endpoint:
        patch.setenv("PERSONA_STORE", str(folder / "store.sqlite"))
        return build(endpoint.url, folder / "set", n=8)


def test_the_published_form_has_its_columns_and_splits(source, tmp_path):
    folder = exports.write(source, tmp_path / "hub")
    train = pd.read_parquet(folder / "train-00000.parquet")
    assert list(train.columns[:6]) == ["persona", "instruction", "original", "critique", "data", "question type"]
    assert len(train) == 24 and set(train["question type"]) == {"train"}
    assert train["persona"].str.startswith("age: 2").all() and (train["data"] == "It depends.").all()
    heldout = pd.read_parquet(folder / "heldout_test-00000.parquet")
    assert len(heldout) == 8 and set(heldout["question type"]) == {"test"}
    assert set(heldout["instruction"]).isdisjoint(train["instruction"])


def test_the_card_names_the_files_of_each_split_and_tells_sizes_checks_and_gates(source, tmp_path):
    folder = exports.write(source, tmp_path / "hub")
    head, text = (folder / "README.md").read_text().removeprefix("---\n").split("\n---\n", 1)
    files = yaml.safe_load(head)["configs"][0]["data_files"]
    assert {f["split"]: len(list(folder.glob(f["path"]))) for f in files} == {
        "train": 1,
        "seen_test": 1,
        "heldout_test": 1,
    }
    assert "| train | 24 |" in text and "| are longer than the base answer | 0.0% |" in text
    assert "| the longer answer | 48 | 0.0% |" in text and "**flagged**" in text
    assert "100.0% of the personas are adults" in text and "a step failed: none" in text


def test_trl_rows_are_chats_with_the_profile_as_system_message(source, tmp_path):
    row = pd.read_parquet(exports.write(source, tmp_path / "trl", "trl") / "train-00000.parquet").iloc[0]
    assert [m["role"] for m in row["prompt"]] == ["system", "user"] and "age: " in row["prompt"][0]["content"]
    assert row["chosen"][0] == {"role": "assistant", "content": "It depends."}
    assert row["rejected"][0]["content"] == "It depends on much."


def test_a_users_file_holds_the_persona_and_its_pairs_by_use(source, tmp_path):
    folder = exports.write(source, tmp_path / "users", "users")
    assert len(list(folder.glob("*.json"))) == 8
    user = json.loads((folder / "p3.json").read_text())
    assert user["persona"].startswith("age: 23") and len(user["train"]) == 3 and len(user["seen_test"]) == 2


def test_a_wrong_form_an_occupied_target_and_a_missing_source_are_said(source, tmp_path):
    with pytest.raises(UserError, match="no form 'tlr': choose one of published, trl, users"):
        exports.write(source, tmp_path / "x", "tlr")
    with pytest.raises(UserError, match="holds something already"):
        exports.write(source, source)
    with pytest.raises(UserError, match="holds no pairs"):
        exports.write(tmp_path / "none", tmp_path / "x")


@pytest.mark.parametrize("suffix", [".parquet", ".jsonl", ".csv"])
def test_what_is_exported_as_published_is_read_back(source, tmp_path, suffix):
    pairs, people, _ = dataset.read(source)
    table = exports.published(pairs, people)
    path = tmp_path / f"persona{suffix}"
    {
        ".parquet": lambda: table.to_parquet(path),
        ".jsonl": lambda: table.to_json(path, orient="records", lines=True),
        ".csv": lambda: table.to_csv(path),
    }[suffix]()
    read, who, prompts = exports.read_published(path)
    assert len(read) == 48 and len(who) == 8 and len(prompts) == pairs["prompt_id"].nunique()
    assert read["chosen"].tolist() == pairs["chosen"].tolist()
    assert (read["use"] == "heldout_test").tolist() == (pairs["use"] == "heldout_test").tolist()
    assert who["age"].tolist() == people.loc[pairs["persona_id"].unique(), "age"].tolist()
    assert personas.describe(who.iloc[0]) == personas.describe(people.loc[pairs["persona_id"].iloc[0]])


def test_the_published_text_is_parsed_with_values_that_hold_colons_and_line_breaks():
    text = "Age: 71\nsex: Female\nbig five scores: Openness: High\nExtraversion: Low\nincome: 40000.0\nlifestyle: quiet"
    assert exports.parse(text) == {
        "age": "71",
        "sex": "Female",
        "big five scores": "Openness: High Extraversion: Low",
        "income": "40000.0",
        "lifestyle": "quiet",
    }
    with pytest.raises(UserError, match="no line 'attribute: value'"):
        exports.parse("a nice person")


def test_a_file_of_another_kind_or_none_is_said(tmp_path):
    (tmp_path / "x.csv").write_text("persona,prompt\na,b\n")
    with pytest.raises(UserError, match="lacks the columns instruction, original, data"):
        exports.read_published(tmp_path / "x.csv")
    with pytest.raises(UserError, match="can't be read"):
        exports.read_published(tmp_path / "none.parquet")
