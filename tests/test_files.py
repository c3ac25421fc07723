"""Users' tables and YAML read with one wording of errors; ours written whole or not at all."""

import json

import numpy as np
import pandas as pd
import pytest

from persona_lib import UserError, files


@pytest.mark.parametrize("suffix", files.TABLES)
def test_texts_stay_as_they_are_written(tmp_path, suffix):
    table = pd.DataFrame({"id": ["007", "1e5"], "answer": ["None", "NA"]})
    path = tmp_path / f"t{suffix}"
    writers = {".csv": lambda: table.to_csv(path, index=False), ".parquet": lambda: table.to_parquet(path)}
    writers.get(suffix, lambda: table.to_json(path, orient="records", lines=True))()
    assert files.read_table(path).to_dict("list") == table.to_dict("list")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("t.txt", "a", "must end in one of .parquet, .csv, .jsonl"),
        ("none.csv", None, "no file .*none.csv"),
        ("t.parquet", "a", "can't be read as parquet"),
        ("t.csv", "", "can't be read as csv"),
        ("t.csv", "prompt\nHello, what of taxes?\n", "rows have more fields than the header"),
        ("t.jsonl", "[" * 100_000, "line 1 is not JSON"),
        ("t.jsonl", '{"a": 1}\n{"a"', "line 2 is not JSON"),
        ("t.jsonl", "[1]", "line 1 is not a JSON object"),
        ("t.jsonl", '{"a": "\\ud83d"}', "line 1 is not JSON"),
    ],
)
def test_a_table_that_cannot_be_read_is_said_in_one_line(tmp_path, name, content, said):
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match=said) as error:
        files.read_table(tmp_path / name)
    assert "\n" not in str(error.value)


def test_yaml_that_cannot_be_read_is_said_in_one_line(tmp_path):
    (tmp_path / "a.yaml").write_text("a: [")
    for name in ("a.yaml", "none.yaml"):
        with pytest.raises(UserError, match="can't be read as YAML") as error:
            files.read_yaml(tmp_path / name)
        assert "\n" not in str(error.value)


def test_json_has_no_value_that_json_lacks(tmp_path):
    content = {"a": np.float64("nan"), "b": np.int64(3), "c": pd.NA, "d": (1, np.inf)}
    content |= {"e": np.array([1.5]), "f": pd.NaT}
    files.write_json(tmp_path / "m.json", content)
    written = json.loads((tmp_path / "m.json").read_text())
    assert written == {"a": None, "b": 3, "c": None, "d": [1, None], "e": [1.5], "f": None}


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "t.txt"
    files.write_text(path, "old")

    def killed(half):
        half.write_text("ne")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        files.write(path, killed)
    assert path.read_text() == "old"


def test_cells_are_numbers_missing_or_an_error():
    numbers = files.as_numbers(pd.Series(["0.5", "", "NA", "True", "FALSE", 2.0, None]))
    assert numbers.fillna(-1).tolist() == [0.5, -1, -1, 1, 0, 2, -1]
    with pytest.raises(ValueError, match="abc"):
        files.as_numbers(pd.Series(["abc"]))
