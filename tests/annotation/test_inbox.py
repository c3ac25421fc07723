"""What lies in the folders that come back: all of it is read or named; tables of others; answers that are chats."""

import gzip
import json
import re
from zipfile import ZipFile

import numpy as np
import pandas as pd
import pytest
from raters import content, hand_in, items, signed
from typer.testing import CliRunner

from persona_lib import UserError, annotation, cli
from persona_lib.annotation import assignments, submissions
from persona_lib.annotation import items as stimuli


@pytest.fixture
def folder(tmp_path):
    annotation.export(items(), tmp_path / "study")
    return tmp_path / "study"


@pytest.fixture
def study(folder):
    return assignments.load(folder)


# Folders


def test_subfolders_capitals_and_packed_files_are_read_and_the_rest_is_named(folder, study, tmp_path):
    (deep := tmp_path / "inbox" / "rater 2" / "again").mkdir(parents=True)
    inbox, a = tmp_path / "inbox", study.assignments
    hand_in(inbox / "a.json", study, a[0])
    hand_in(deep / "a.json", study, a[1])
    hand_in(inbox / "c.JSON", study, a[2])
    packed = json.dumps(signed(a[3], content(study, a[3]))).encode()
    (inbox / "d.json.gz").write_bytes(gzip.compress(packed))
    (inbox / "e.JSONL").write_bytes(json.dumps(signed(a[4], content(study, a[4]))).encode())
    with ZipFile(inbox / "rest.zip", "w") as archive:
        archive.write(inbox / "a.json")
    (inbox / "more.TAR.gz").touch()
    (inbox / "notes.txt").write_text("sorry for the delay")
    (inbox / "page.html").touch()
    for junk in (".DS_Store", "__MACOSX/._a.json"):
        (inbox / junk).parent.mkdir(exist_ok=True)
        (inbox / junk).write_bytes(b"\0")
    table = annotation.read([inbox], folder).set_index("file")
    good = table[table["status"] == "ok"]
    assert set(good.index) == {"a.json", "rater 2/again/a.json", "c.JSON", "d.json.gz", "e.JSONL:1"}
    assert table.drop(index=good.index)["reason"].to_dict() == {
        "rest.zip": "not read: unpack the .zip and import what is in it",
        "more.TAR.gz": "not read: unpack the .tar and import what is in it",
        "notes.txt": "not read: its name ends in .txt; answers are .json, .jsonl, .csv, .parquet files",
        "page.html": "not read: a page, and no answers; answers are .json, .jsonl, .csv, .parquet files",
    }
    assert not table["counted"].drop(index=good.index).any()


def test_the_command_names_what_it_does_not_read(folder, study, tmp_path):
    (inbox := tmp_path / "inbox").mkdir()
    hand_in(inbox / "a.json", study, study.assignments[0])
    (inbox / "rest.zip").touch()
    command = ["annotate", "import", str(inbox), "--study", str(folder), "--out", str(inbox / "results")]
    for _ in range(2):  # the second import does not count the first one's tables
        done = CliRunner().invoke(cli.app, command)
        assert done.exit_code == 0, done.output
        assert "rest.zip: unreadable: not read: unpack the .zip" in done.stdout
        assert "8 votes, 0 of 8 questions with a majority" in done.stdout
    assert "results/votes.csv: unreadable: not read: a table that an import wrote" in done.stdout


def test_a_folder_without_any_answer_says_so_in_rows_and_a_named_file_is_read_whatever_its_name(
    folder, study, tmp_path
):
    (inbox := tmp_path / "inbox").mkdir()
    (inbox / "b.zip").touch()
    assert annotation.read([inbox], folder)["status"].tolist() == ["unreadable"]
    hand_in(inbox / "mail.json.txt", study, study.assignments[0])
    assert annotation.read([inbox / "mail.json.txt"], folder)["status"].tolist() == ["ok"]
    assert annotation.read([folder, inbox / "mail.json.txt"], folder)["status"].tolist() == ["ok"], "no pages of ours"


def test_an_answer_in_another_encoding_is_named(folder, study, tmp_path):
    path = hand_in(tmp_path / "a.json", study, study.assignments[0])
    path.write_bytes(path.read_text().encode("utf-16"))
    assert annotation.read([path], folder)["reason"][0] == "is in UTF-16: save it in UTF-8"


# Tables of others


def ratings(choices: list, **more: object) -> pd.DataFrame:
    return pd.DataFrame(
        {"persona": "p", "question": [f"q{n}" for n in range(len(choices))], "rater": "r", "choice": choices} | more
    )


@pytest.mark.parametrize(
    ("choices", "named"),
    [
        (["1", "0", "1"], "0, 1"),
        (["0", "0"], "0"),
        (["1.0", "0.0"], "0, 1"),
        (["-1", "1"], "-1, 1"),
        (["1", "2", "3"], "1, 2, 3"),
        (["true", "FALSE"], "false, true"),
        (["Yes", "no"], "no, yes"),
        (["A", "B", "0"], "0"),
        (["1", "1", ""], "1 alone"),
        (["1.0"], "1 alone"),
    ],
)
def test_codes_that_may_mean_either_answer_are_refused_in_one_line(tmp_path, choices, named):
    ratings(choices).to_csv(tmp_path / "t.csv", index=False)
    said = rf"t\.csv codes the choices as {re.escape(named)}, which may mean either answer: write first and second"
    with pytest.raises(UserError, match=said) as error:
        annotation.read([tmp_path / "t.csv"])
    assert "\n" not in str(error.value)
    result = CliRunner().invoke(cli.app, ["annotate", "import", str(tmp_path / "t.csv"), "--out", str(tmp_path / "r")])
    assert result.exit_code != 0 and "may mean either answer" in result.stderr and not (tmp_path / "r").exists()


@pytest.mark.parametrize("form", ["csv", "CSV", "csv.gz", "parquet"])
@pytest.mark.parametrize("choices", [["1", "2", ""], ["1.0", "2.0", "perhaps"], ["First", " b ", "?"]])
def test_codes_of_which_all_know_what_they_mean_are_read_in_any_form(tmp_path, form, choices):
    table, path = ratings(choices), tmp_path / f"t.{form}"
    raw = table.to_parquet() if form == "parquet" else table.to_csv(index=False).encode()
    path.write_bytes(gzip.compress(raw) if form.endswith("gz") else raw)
    read = annotation.read([path])
    assert annotation.votes(read)["choice"].fillna("-").tolist() == ["first", "second", "-"]


def test_a_table_of_one_rater_whose_choices_are_all_1_is_read_beside_one_with_a_2(tmp_path):
    ratings(["1", "1"]).to_csv(tmp_path / "a.csv", index=False)
    ratings(["2", "1"], rater="s").to_csv(tmp_path / "b.csv", index=False)
    votes = annotation.votes(annotation.read([tmp_path]))
    assert votes.groupby("rater")["choice"].agg(list).to_dict() == {"r": ["first"] * 2, "s": ["second", "first"]}


def test_a_spreadsheet_is_named_with_what_to_do(tmp_path):
    (path := tmp_path / "t.XLSX").write_bytes(b"PK\3\4")
    for given in (path, tmp_path):
        assert annotation.read([given])["reason"][0].startswith("not read: save the .xlsx as .csv")


def test_numbers_in_a_parquet_file_are_the_codes_and_ids_that_they_are(tmp_path):
    ratings([1.0, 2.0, None], rater=[7.0, 7.0, None]).to_parquet(tmp_path / "t.parquet")
    read = annotation.read([tmp_path / "t.parquet"])
    assert annotation.votes(read)[["rater", "choice"]].to_numpy().tolist() == [["7", "first"], ["7", "second"]]
    assert read["reason"].dropna().str.contains("1 rows name no persona or no rater").all()


# What raters read


CHAT = [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "Because\n\nof it."}]
PARTS = [{"role": "assistant", "content": [{"type": "text", "text": "Because\n\nof it."}]}]


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (CHAT, "Because\n\nof it."),
        (np.array(CHAT, dtype=object), "Because\n\nof it."),
        (CHAT[1:], "Because\n\nof it."),
        (PARTS, "Because\n\nof it."),
        (json.dumps(CHAT), "Because\n\nof it."),
        (repr(CHAT), "Because\n\nof it."),
        (str(np.array(CHAT, dtype=object)), "Because\n\nof it."),
        ([{"role": "system", "content": "Be brief."}, *CHAT[:1]], "Why?"),
        (
            [*CHAT, {"role": "user", "content": "And then?"}],
            "User: Why?\n\nAssistant: Because\n\nof it.\n\nUser: And then?",
        ),
        ([*CHAT, CHAT[0], {"role": "assistant", "content": "No."}], "No."),
        ([{"role": "assistant", "content": None}], ""),
        (CHAT[0], "Why?"),
        ([{"from": "human", "value": "Why?"}, {"from": "gpt", "value": "Because\n\nof it."}], "Because\n\nof it."),
        (json.dumps([{"from": "human", "value": "Why?"}, {"from": "gpt", "value": "Because."}]), "Because."),
        ([{"role": "user", "content": "Why?"}, {"role": "model", "parts": [{"text": "Because."}]}], "Because."),
        ([{"role": "User", "content": "Why?"}, {"role": "Assistant", "content": "Because."}], "Because."),
        ([{"role": "developer", "content": "Be brief."}, *CHAT[:1]], "Why?"),
        ([*CHAT[:1], {"role": "tool", "content": "42"}, CHAT[1]], "Because\n\nof it."),
        ({"messages": CHAT}, "Because\n\nof it."),
        (json.dumps({"messages": CHAT}), "Because\n\nof it."),
        (json.dumps(CHAT[1]), "Because\n\nof it."),
        (json.dumps([{"id": 1, **CHAT[1]}]), "Because\n\nof it."),
        ([{"role": "user", "content": [{"type": "image_url", "image_url": {}}, {"text": "Why?"}]}], "Why?"),
        ('{"from": "Paris", "to": "Rome"}', '{"from": "Paris", "to": "Rome"}'),
        ('{"role": "a part in a play"}', '{"role": "a part in a play"}'),
        ([], ""),
        (None, ""),
        (np.nan, ""),
        ("[{'role' is a word here", "[{'role' is a word here"),
        ("[1, 2]", "[1, 2]"),
        (3, "3"),
    ],
)
def test_chat_messages_are_the_text_that_they_say(cell, text):
    assert stimuli.told(cell) == text


def test_an_object_without_a_text_is_named_and_not_left_out():
    with pytest.raises(
        UserError, match="a cell holds an object with score, length: give a text, or messages with role"
    ):
        stimuli.rateable(items(1, 2).assign(first=[{"score": 1, "length": 2}] * 2))


@pytest.mark.parametrize("form", ["parquet", "jsonl", "csv"])
def test_raters_read_what_was_said_not_how_it_was_stored(tmp_path, form):
    table = items(1, 2)
    for column in ("first", "second"):
        table[column] = [[CHAT[0], {"role": "assistant", "content": text}] for text in table[column]]
    table["prompt"] = [[{"role": "user", "content": text}] for text in table["prompt"]]
    path = tmp_path / f"items.{form}"
    (table.to_csv if form == "csv" else table.to_parquet)(path, index=False)
    if form == "jsonl":
        table.to_json(path, orient="records", lines=True)
    read = stimuli.read(path)
    assert len(stimuli.rateable(read)) == 2
    annotation.export(read, tmp_path / "study")
    written = pd.DataFrame(assignments.load(tmp_path / "study").items)
    for column in ("prompt", "first", "second"):
        assert written[column].tolist() == items(1, 2)[column].tolist()


def minutes(folder) -> int:
    page = next((folder / "pages").iterdir()).read_text()
    return int(re.search(r"(\d+) minutes", page).group(1))


def test_the_time_that_a_page_announces_holds_where_no_blanks_are_written(tmp_path):
    english, chinese = "Whether one should tell a friend the truth. ", "一个人是否应该对朋友说实话。"
    thai = "คนเราควรบอกความจริงกับเพื่อนหรือไม่ "
    for name, text in {"en": english, "zh": chinese, "th": thai}.items():
        table = items(1, 10)
        annotation.export(table.assign(first=text * 20, second=text * 20 + table["second"]), tmp_path / name)
    announced = {name: minutes(tmp_path / name) for name in ("en", "zh", "th")}
    assert announced["en"] > 20 and all(0.6 < n / announced["en"] < 1.6 for n in announced.values())
    reader = submissions.Reader(assignments.load(tmp_path / "zh"), 600)
    assert min(reader.least_ms) > 20_000


def test_ratings_and_items_are_found_in_any_spelling_and_blanks_around_ids_go(tmp_path):
    (tmp_path / "r.csv").write_text("Persona ID, Question, RATER, Choice\np , q1, r, first\n p, q2 ,r , B\n")
    read = annotation.read([tmp_path / "r.csv"])
    votes = annotation.votes(read)
    assert votes[["persona_id", "prompt_id", "rater", "choice"]].to_numpy().tolist() == [
        ["p", "q1", "r", "first"],
        ["p", "q2", "r", "second"],
    ]
    row = {
        "Persona-ID": " 007",
        "PROFILE": "age: 67",
        "Prompt ID": "n1 ",
        "Prompt": " Dam it?",
        "FIRST": "a",
        "Second": "b",
    }
    pd.DataFrame([row]).to_csv(tmp_path / "i.csv", index=False)
    found = annotation.items.read(tmp_path / "i.csv")
    assert found.iloc[0].to_dict() == dict(
        zip(annotation.items.ITEM, ["007", "age: 67", "n1", " Dam it?", "a", "b"], strict=True)
    )
