"""Users' tables and YAML read with one wording of errors; ours written whole or not at all."""

import gzip
import json

import numpy as np
import pandas as pd
import pytest

from persona_lib import UserError, files


def written(table, path):
    """Write a table in the form that its name says, packed if it ends in .gz."""
    form = files.suffix(path)
    raw = {
        ".csv": lambda: table.to_csv(index=False).encode(),
        ".parquet": table.to_parquet,
        ".jsonl": lambda: table.to_json(orient="records", lines=True).encode(),
        ".json": lambda: table.to_json(orient="records").encode(),
    }[form]()
    path.write_bytes(gzip.compress(raw) if path.suffix.lower() == ".gz" else raw)
    return path


@pytest.mark.parametrize("suffix", files.TABLES)
def test_texts_stay_as_they_are_written(tmp_path, suffix):
    table = pd.DataFrame({"id": ["007", "1e5"], "answer": ["None", "NA"]})
    path = tmp_path / f"t{suffix}"
    written(table, path)
    assert files.read_table(path).to_dict("list") == table.to_dict("list")


@pytest.mark.parametrize("suffix", [*(f"{s}.gz" for s in files.TABLES), *(s.upper() for s in files.TABLES), ".Csv.GZ"])
def test_packed_tables_and_capitals_in_a_suffix_are_read(tmp_path, suffix):
    table = pd.DataFrame({"prompt_id": ["00", "NA", "1.0"], "score": ["é", "", "x"]})
    assert files.is_table(f"a{suffix}") and not files.is_table("a.gz") and not files.is_table("csv")
    assert files.read_table(written(table, tmp_path / f"a.b{suffix}")).to_dict("list") == table.to_dict("list")


def test_a_file_is_unpacked_by_what_it_holds_not_by_its_name(tmp_path):
    (tmp_path / "a.csv").write_bytes(gzip.compress(b"id\n1\n"))
    (tmp_path / "b.csv.gz").write_bytes(b"id\n1\n")
    assert all(files.read_table(tmp_path / name)["id"].tolist() == ["1"] for name in ("a.csv", "b.csv.gz"))
    (tmp_path / "c.jsonl.gz").write_bytes(gzip.compress(b'{"a": 1}' * 99)[:-9])
    with pytest.raises(UserError, match=r"c\.jsonl\.gz can't be read as text: the packed file is damaged"):
        files.read_table(tmp_path / "c.jsonl.gz")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_ends_of_lines_and_a_byte_order_mark_are_no_part_of_a_cell(tmp_path, end, mark):
    (tmp_path / "a.csv").write_bytes(f'{mark}id,b{end}01,"x{end}y"{end}'.encode())
    assert files.read_table(tmp_path / "a.csv").to_dict("records") == [{"id": "01", "b": f"x{end}y"}]
    (tmp_path / "a.jsonl").write_bytes(f'{mark}{{"b": "x\u2028y"}}{end}{end}{{"b": null}}{end}'.encode())
    assert files.read_table(tmp_path / "a.jsonl")["b"].fillna("-").tolist() == ["x\u2028y", "-"]
    (tmp_path / "a.yaml").write_bytes(f"{mark}a: 1{end}b: 2{end}".encode())
    assert files.read_yaml(tmp_path / "a.yaml") == {"a": 1, "b": 2}


@pytest.mark.parametrize(
    ("encoding", "said"),
    [
        ("utf-16", "is in UTF-16: save it in UTF-8"),
        ("utf-16-be", "is in UTF-16"),
        ("utf-32", "is in UTF-32"),
        ("latin-1", r"is not in UTF-8 \(line 2\): save it"),
    ],
)
@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.json", "a.yaml"])
def test_another_encoding_is_named_in_one_line(tmp_path, name, encoding, said):
    (tmp_path / name).write_bytes('{"id":\n"é"}'.encode(encoding))
    with pytest.raises(UserError, match=said) as error:
        (files.read_yaml if name == "a.yaml" else files.read_table)(tmp_path / name)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["a.parquet", "a.jsonl", "a.json"])
def test_ids_are_text_and_whole_where_another_row_has_none(tmp_path, name):
    table = pd.DataFrame(
        {"persona_id": [7, None, 2**60], "Prompt ID": [1.0, 2.0, None], "valid": [1, 2, 3], "n": [0.5, 1, 2]}
    )
    rows = [{"persona_id": 7}, {"persona_id": None}, {"persona_id": 2**60}]
    table["persona_id"] = pd.array([row["persona_id"] for row in rows], dtype="Int64")
    read = files.read_table(written(table, tmp_path / name))
    assert read["persona_id"].fillna("-").tolist() == ["7", "-", str(2**60)]
    assert read["Prompt ID"].fillna("-").tolist() == ["1", "2", "-"]
    assert read["valid"].tolist() == [1, 2, 3] and read["n"].dtype == float


def test_ids_that_are_a_parquet_files_index_are_text(tmp_path):
    pd.DataFrame({"a": [1, 2]}, index=pd.Index([8, 9], name="persona_id")).to_parquet(tmp_path / "a.parquet")
    assert files.read_table(tmp_path / "a.parquet").index.tolist() == ["8", "9"]


def test_rows_under_a_row_of_names_are_a_table_as_the_census_bureau_sends_it(tmp_path):
    (tmp_path / "a.json").write_text('[["AGEP", "id"],\n["40", "01"],\n["3", "NA"]]')
    assert files.read_table(tmp_path / "a.json").to_dict("list") == {"AGEP": ["40", "3"], "id": ["01", "NA"]}


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("t.json", '{"a": 1}', "no array of objects"),
        ("t.json", "[1, 2]", "no array of objects"),
        ("t.json", '[["a", "a"], [1, 2]]', "the column a twice"),
        ("t.json", '[{"a": "\\ud83d"}]', "can't be read as json"),
        ("t.csv", "id,a,id\n1,2,3\n", "the column id twice: keep one"),
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


@pytest.mark.parametrize("sign", [",", ";", "\t", "|"])
def test_a_csv_file_is_read_by_the_sign_that_its_header_has_most_of(tmp_path, sign):
    (tmp_path / "a.csv").write_text(
        f'prompt{sign}"a,;b"{sign}id\nWhy, or how?{sign}"x;y{sign}|"{sign}01\n'.replace(
            "Why, or how?", "Why; or how?" if sign == "," else "Why, or how?"
        )
    )
    read = files.read_table(tmp_path / "a.csv").iloc[0]
    assert read["id"] == "01" and read["a,;b"] == f"x;y{sign}|" and read["prompt"].startswith("Why")


def test_a_name_in_quotes_may_have_a_line_break(tmp_path):
    (tmp_path / "a.csv").write_text('"the\nprompt";"id, or number"\nWhy, or how, or when?;01\n')
    assert files.read_table(tmp_path / "a.csv").to_numpy().tolist() == [["Why, or how, or when?", "01"]]
    assert files.columns(tmp_path / "a.csv") == ["the\nprompt", "id, or number"]


def test_a_csv_file_with_one_column_may_have_any_sign_in_its_cells(tmp_path):
    (tmp_path / "a.csv").write_text("prompt\nWhy; or how?\n")
    assert files.read_table(tmp_path / "a.csv")["prompt"].tolist() == ["Why; or how?"]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", b"PK\x03\x04 and more", "is no text, but a zip, a spreadsheet or the like: save it as CSV in UTF-8"),
        ("a.csv", b"$FL2@(#)\x00\x00\x00\x02\x00\x00\x00\x00\x09" * 9, "is no text, but a zip, a spreadsheet"),
        ("a.csv", "prompt,id\n为什么,1\n".encode("utf-16-le"), "is in UTF-16: save it in UTF-8"),
        ("a.jsonl", b'{"prompt": "a", "prompt": "b"}', "it has prompt twice"),
        ("a.json", b'[{"prompt": {"x": 1, "x": 2}}]', "it has x twice"),
        ("a.json", b'{"prompt": "a"}\n{"prompt": "b"}', "it holds an object in each line: name it .jsonl"),
        ("a.jsonl", b'[{"prompt": "a"}]', "line 1 is not a JSON object: name it .json"),
    ],
)
def test_a_file_of_another_form_is_named_in_one_line(tmp_path, name, content, said):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError) as error:
        files.read_table(tmp_path / name)
    assert said in str(error.value) and "\n" not in str(error.value)


def test_an_object_of_ours_is_read_whole_or_not_at_all(tmp_path):
    (tmp_path / "a.json").write_text('{"a": [1]}')
    assert files.read_json(tmp_path / "a.json") == {"a": [1]}
    for text in ("[1]", "{", '{"a": 1, "a": 2}', None):
        (tmp_path / "a.json").write_text(text) if text else (tmp_path / "a.json").unlink()
        with pytest.raises(UserError, match=r"a\.json can't be read as"):
            files.read_json(tmp_path / "a.json")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("060", 60),
        ("-012", -12),
        ("0o17", 15),
        ("0x1F", 31),
        ("1e-3", 0.001),
        ("1E5", 100_000.0),
        (".5", 0.5),
        ("3.", 3.0),
        ("1:30", "1:30"),
        ("1_000", "1_000"),
        ("2024-05-13", "2024-05-13"),
        ("2024-05-13 10:00:00", "2024-05-13 10:00:00"),
        *((word, word) for word in ("yes", "No", "on", "OFF", "y", "0b11", "nan", "=")),
        ("true", True),
        ("False", False),
        ("", None),
        ("~", None),
        ("[a, 01, '01']", ["a", 1, "01"]),
        ("{a: {b: null}}", {"a": {"b": None}}),
    ],
)
def test_scalars_are_those_of_yaml_1_2(text, value):
    read = files.parse_yaml(text, "a value")
    assert read == value and type(read) is type(value)


@pytest.mark.parametrize(
    "text", [".nan", ".NaN", "[1, .inf]", "-.INF", "1e999", "{a: 1, a: 2}", "[", "a: b: c", "[" * 9999]
)
def test_a_value_that_is_no_finite_number_or_no_yaml_is_refused_in_one_line(text):
    with pytest.raises(UserError, match="can't be read as YAML") as error:
        files.parse_yaml(text, "a value")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\nb: 2\na: 3\n", "the key a stands twice, in lines 1 and 3"),
        ("x:\n  codes: {1: a, 2: b,\n    01: c}\n", "the key 1 stands twice, in lines 2 and 3"),
        ("- {a: 1}\n- b: {c: 1,\n     'c': 2}\n", "the key c stands twice, in lines 2 and 3"),
        ("1: a\n1.0: b\n", "the key 1.0 stands twice"),
    ],
)
def test_a_key_that_stands_twice_is_refused_by_name_and_line(tmp_path, text, said):
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(UserError, match=said):
        files.read_yaml(tmp_path / "a.yaml")


def test_a_merged_key_may_be_replaced_and_a_mapping_shared(tmp_path):
    (tmp_path / "a.yaml").write_text("x: {b: &b {<<: &a {k: 0}, k: 1}}\nc: {<<: *b, k: 2}\nd: [*a, *a]\n")
    assert files.read_yaml(tmp_path / "a.yaml") == {"x": {"b": {"k": 1}}, "c": {"k": 2}, "d": [{"k": 0}, {"k": 0}]}


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
    for cell in ("abc", "inf", "-Infinity", "1e999"):
        with pytest.raises(ValueError, match=r"abc|infinite"):
            files.as_numbers(pd.Series([cell]))


def test_lines_before_the_header_and_excels_own_are_no_part_of_a_table(tmp_path):
    for head in ("\n", " \r\n\n", ";;\n", ",,\n\n", "sep=;\n", "SEP=;\r\n", '"sep=;"\n', "\nsep=;\n"):
        (tmp_path / "a.csv").write_text(f'{head}id;"why, or how, or when";\n01;x;\n')
        assert files.read_table(tmp_path / "a.csv").to_dict("records") == [{"id": "01", "why, or how, or when": "x"}]
    (tmp_path / "a.csv").write_text("sep=^\nid^b\n01^x,y\n")
    assert files.read_table(tmp_path / "a.csv").to_dict("records") == [{"id": "01", "b": "x,y"}]
    (tmp_path / "a.csv").write_text("sep=,\n")
    with pytest.raises(UserError, match="can't be read as csv"):
        files.read_table(tmp_path / "a.csv")


def test_a_blank_behind_each_separator_of_the_header_is_no_part_of_a_cell(tmp_path):
    (tmp_path / "a.csv").write_text('prompt, Prompt ID, "note"\n" Why, or how?", 007, "a, b"\n')
    assert files.read_table(tmp_path / "a.csv").to_dict("records") == [
        {"prompt": " Why, or how?", "Prompt ID": "007", "note": "a, b"}
    ]
    (tmp_path / "a.csv").write_text("prompt,note\n Why?, x\n")
    assert files.read_table(tmp_path / "a.csv").to_dict("records") == [{"prompt": " Why?", "note": " x"}]


@pytest.mark.parametrize("suffix", files.TABLES)
@pytest.mark.parametrize("spelt", ["prompt_id", "Prompt ID", " PROMPT-ID ", "prompt  id", "Prompt_Id"])
def test_a_known_column_is_found_in_any_spelling_and_blanks_around_its_cells_go(tmp_path, suffix, spelt):
    rows = pd.DataFrame({spelt: [" 007", "7 "], "SEX": ["Female ", ""], " Text": [" a ", "b"], "my Note": [" c", "d"]})
    read = files.read_table(written(rows, tmp_path / f"t{suffix}"), ["prompt_id", "sex", "age"], ["text"])
    assert read.to_dict("list") == {
        "prompt_id": ["007", "7"],
        "sex": ["Female", ""],
        "text": [" a ", "b"],
        "my Note": [" c", "d"],
    }
    assert read["prompt_id"].dtype == read["sex"].dtype == read["text"].dtype == "str"
    twice = written(rows.assign(prompt__id="x"), tmp_path / f"twice{suffix}")
    with pytest.raises(UserError, match=r"twice\.\w+ has the column prompt_id twice: keep one"):
        files.read_table(twice, ["prompt_id"])


def test_an_index_that_the_caller_knows_is_a_column(tmp_path):
    pd.DataFrame({"a": [1, 2]}, index=pd.Index([8, 9], name="Persona ID")).to_parquet(tmp_path / "a.parquet")
    read = files.read_table(tmp_path / "a.parquet", ["persona_id", "a"])
    assert read.to_dict("list") == {"persona_id": ["8", "9"], "a": [1, 2]}


@pytest.mark.parametrize("suffix", [*files.TABLES, *(f"{s}.gz" for s in files.TABLES)])
def test_the_names_of_columns_come_from_the_head_of_a_file(tmp_path, suffix):
    path = written(pd.DataFrame({"Prompt ID": ["1"] * 5, "b, c": ["x" * 30_000] * 5}), tmp_path / f"t{suffix}")
    assert files.columns(path) == ["Prompt ID", "b, c"]
    if suffix in (".csv", ".jsonl"):
        path.write_bytes(b"\xef\xbb\xbf\n" + path.read_bytes()[:-40_000] + b'\n"{')
        assert files.columns(path) == ["Prompt ID", "b, c"], "the rest is not read"
    path.write_bytes(b"\x1f\x8b" if suffix.endswith(".gz") else b"")
    if suffix == ".jsonl":
        assert files.columns(path) == []
    else:
        with pytest.raises(UserError, match="can't be read as"):
            files.columns(path)
