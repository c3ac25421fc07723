"""The human study without a browser: what is assigned, what is made of files of any kind, how votes are counted."""

import hashlib
import json
import re
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from endpoint import Endpoint, completion
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from raters import BEGAN, content, hand_in, items, signed
from statsmodels.stats.inter_rater import aggregate_raters, fleiss_kappa
from typer.testing import CliRunner

from persona_lib import UserError, annotation, cli, fidelity, files, personas, preferences
from persona_lib.annotation import assignments
from persona_lib.annotation import items as stimuli


@pytest.fixture
def folder(tmp_path):
    annotation.export(items(), tmp_path / "study")
    return tmp_path / "study"


@pytest.fixture
def study(folder):
    return assignments.load(folder)


# What is assigned


def test_every_answer_stands_at_a_as_often_as_at_b_for_each_rater_and_for_each_question(folder, study):
    shown = pd.DataFrame(
        {"persona": a.persona_id, "rater": a.rater, "item": q.item, "at_a": q.first == "A"}
        for a in study.assignments
        for q in a.questions
        if q.item is not None
    )
    assert len(shown) == 2 * 8 * 4
    assert (shown.groupby(["persona", "rater"])["at_a"].mean() == 0.5).all()
    assert (shown.groupby("item")["at_a"].mean() == 0.5).all()
    orders = shown.groupby(["persona", "rater"])["item"].agg(tuple)
    assert orders.nunique() == 8 and all(len(set(order)) == 8 for order in orders)


def test_the_same_seed_writes_the_same_bytes_and_another_seed_another_study(folder, tmp_path):
    written = annotation.export(items(), tmp_path / "again")
    other = annotation.export(items(), tmp_path / "other", seed=1)
    for name in [*written["file"], "assignments.json"]:
        assert (folder / name).read_bytes() == (tmp_path / "again" / name).read_bytes()
    assert not set(written["assignment"]) & set(other["assignment"])


def test_more_personas_leave_the_pages_of_the_others_as_they_are(folder, tmp_path):
    more = annotation.export(items(personas=4), tmp_path / "more")
    assert {p.name for p in (folder / "pages").iterdir()} < {f.removeprefix("pages/") for f in more["file"]}


def test_checks_are_spread_over_the_page_and_never_open_it(tmp_path):
    for seed in range(20):
        out = annotation.export(items(1, 10), tmp_path / str(seed), raters=1, seed=seed)
        questions = assignments.load(tmp_path / str(seed)).assignments[0].questions
        first, second = (n for n, q in enumerate(questions) if q.item is None)
        assert 1 <= first <= 5 < second < 12 and out[["questions", "checks"]].to_numpy().tolist() == [[10, 2]]


def test_a_draw_takes_so_many_personas_and_questions_and_the_seed_decides_which(tmp_path):
    table = items(6, 20)
    drawn = stimuli.draw(table, 4, 10, seed=0)
    assert drawn.groupby("persona_id").size().tolist() == [10] * 4
    pd.testing.assert_frame_equal(drawn, stimuli.draw(table, 4, 10, seed=0))
    assert not drawn.equals(stimuli.draw(table, 4, 10, seed=1))
    with pytest.raises(UserError, match="can't draw 7 personas with 10 questions each: 6 of 6 personas have that many"):
        stimuli.draw(table, 7, 10, seed=0)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t.drop(columns=["first", "profile"]), "items lack the columns profile, first"),
        (lambda t: t.iloc[:0], "no items"),
        (lambda t: t.assign(second=""), "16 items have an empty field, such as second of row 0"),
        (lambda t: t.assign(prompt=None), "16 items have an empty field, such as prompt of row 0"),
        (lambda t: pd.concat([t, t.iloc[:2]]), "2 items repeat a persona and question, such as row 16"),
        (lambda t: t.assign(profile=t["prompt"]), "different profiles"),
    ],
)
def test_items_that_cannot_be_rated_are_refused_in_one_line(tmp_path, change, said):
    with pytest.raises(UserError, match=said):
        annotation.export(change(items()), tmp_path / "study")
    assert not (tmp_path / "study").exists()


def test_a_negative_seed_is_refused_in_one_line(tmp_path):
    items().to_parquet(tmp_path / "pairs.parquet")
    drawn = ["--n-personas", 2, "--questions", 8, "--seed", -1, "--out", tmp_path / "study"]
    result = persona("annotate", "export", "--pairs", tmp_path / "pairs.parquet", *drawn)
    assert result.exit_code == 2 and result.stderr == "error: seed must be a whole number, 0 or more; it is -1.\n"
    with pytest.raises(UserError, match="seed must be a whole number"):
        annotation.export(items(), tmp_path / "study", seed=-1)
    assert not (tmp_path / "study").exists()


@pytest.mark.parametrize(
    "address", ["ftp://x/y", "https://", "//x", "https://x/y; script-src *", "https://x/'y", "h t"]
)
def test_an_address_that_would_change_the_security_policy_is_refused(tmp_path, address):
    with pytest.raises(UserError, match="answers can't be sent to"):
        annotation.export(items(), tmp_path / "study", post_to=address)


def test_a_folder_with_something_in_it_is_refused(folder):
    with pytest.raises(UserError, match="not empty"):
        annotation.export(items(), folder)


def test_pages_hold_no_live_markup_of_the_data_and_no_word_of_which_answer_is_which(tmp_path):
    evil = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"
    annotation.export(items(1).assign(first=evil, prompt=evil, profile=evil), tmp_path / "s", title=evil, contact=evil)
    for page in (tmp_path / "s" / "pages").iterdir():
        text = page.read_text()
        assert "alert(1)</script>" not in text and "<img" not in text and text.count("<script") == 2
        assert '"first"' not in text and "pair_id" not in text and "r0-0" not in text


def test_wording_of_the_users_own_replaces_ours_and_a_broken_one_is_named(tmp_path):
    (own := tmp_path / "own").mkdir()
    (own / "annotate_task.html.j2").write_text("<p>Mine, of {{ questions }}.</p>")
    annotation.export(items(), tmp_path / "study", templates=own)
    page = next((tmp_path / "study" / "pages").iterdir()).read_text()
    assert "<p>Mine, of 10.</p>" in page and "Before you begin" in page
    for name, text, said in [
        ("annotate_task.html.j2", "{{ wages }}", "'wages' is undefined"),
        ("annotate_task.html.j2", "{% if %}", "can't be used"),
        ("annotate_check.txt.j2", "only one line", "must have three lines"),
    ]:
        (own / name).write_text(text)
        with pytest.raises(UserError, match=said):
            annotation.export(items(), tmp_path / "other", templates=own)


def test_preference_pairs_become_items_with_the_rejected_answer_first():
    pairs = items(1, 2).rename(columns={"first": "rejected", "second": "chosen"}).drop(columns="profile")
    people = pd.DataFrame({"age": [40], "sex": [""]}, index=pd.Index(["p0"], name="persona_id"))
    made = stimuli.of_pairs(pairs, people)
    assert made["profile"].tolist() == ["age: 40"] * 2 and made["first"].tolist() == pairs["rejected"].tolist()
    with pytest.raises(UserError, match="1 personas of the pairs are not among the people, such as p0"):
        stimuli.of_pairs(pairs, people.rename(index={"p0": "p9"}))


def answers_of(body: dict) -> dict:
    """A stand-in writer: each text another one, but some revisions come back empty."""
    field = next(iter(body["response_format"]["json_schema"]["schema"]["properties"]))
    said = hashlib.sha256(json.dumps(body["messages"]).encode()).hexdigest()[:8]
    return completion("" if field == "revision" and said < "6" else json.dumps({field: f"{field} {said}"}))


def test_without_pairs_the_presets_model_writes_them_and_says_how_many_failed(tmp_path, monkeypatch):
    (tmp_path / "project" / "params").mkdir(parents=True)
    monkeypatch.setattr(files, "ROOT", tmp_path / "project")
    with Endpoint(answers_of) as endpoint:
        preset = {"name": "mine", "about": "x", "notebooks": {}, "all": {"model": "m", "base_url": endpoint.url}}
        (tmp_path / "mine.yaml").write_text(json.dumps(preset))
        options = ["--preset", tmp_path / "mine.yaml", "--n-personas", 3, "--questions", 4, "--out", tmp_path / "s"]
        result = persona("annotate", "export", *options)
    assert result.exit_code == 0, result.stderr
    assert re.match(r"\d+ of 24 pairs give no choice: an answer is missing", result.stdout)
    made = pd.DataFrame(assignments.load(tmp_path / "s").items)
    assert made.groupby("persona_id").size().tolist() == [4] * 3 and len(endpoint.requests) <= 8 * 3
    assert made.groupby("prompt_id")[["first", "second"]].nunique().eq(1).all(axis=None), "one set of pairs for all"
    assert made["profile"].str.contains("^age: ").all() and (made["first"] != made["second"]).all()
    heldout = preferences.ingredients.questions(train=0)
    assert set(made["prompt_id"]) <= set(heldout["prompt_id"]) and set(personas.split(made["persona_id"])) == {"test"}


def test_people_prompts_and_use_of_the_study_are_those_named(tmp_path):
    (tmp_path / "who.csv").write_text("persona_id,age,persona_split\nann,40,train\nbob,50,train\ncay,60,test\n")
    asked = "".join(f"Why {i}?,{'heldout' if i > 7 else 'train'}\n" for i in range(9))
    (tmp_path / "asked.csv").write_text("prompt,prompt_split\n" + asked)
    options = ["--n-personas", 2, "--questions", 4, "--raters", 1, "--out", tmp_path / "s"]
    options += ["--personas", tmp_path / "who.csv", "--prompts", tmp_path / "asked.csv", "--use", "train"]
    with Endpoint(
        lambda body: completion(json.dumps(dict.fromkeys(fields_of(body), str(body["messages"]))))
    ) as endpoint:
        preset = {"about": "x", "all": {"model": "x", "base_url": "http://127.0.0.1:9/v1", "words": 20}}
        (tmp_path / "mine.yaml").write_text(json.dumps(preset))
        named = ["--preset", tmp_path / "mine.yaml", "--model", "m", "--base-url", endpoint.url]
        result = persona("annotate", "export", *named, *options)
    assert result.exit_code == 0, result.stderr
    assert {body["model"] for body in endpoint.requests} == {"m"}
    made = pd.DataFrame(assignments.load(tmp_path / "s").items)
    assert set(made["persona_id"]) == {"ann", "bob"} and set(made["prompt"]) <= {f"Why {i}?" for i in range(8)}
    (tmp_path / "p.csv").touch()
    result = persona("annotate", "export", "--pairs", tmp_path / "p.csv", *options)
    assert "--prompts and --use say what a model writes: leave them out with --pairs" in result.stderr


def fields_of(body: dict) -> list[str]:
    return list(body["response_format"]["json_schema"]["schema"]["properties"])


def test_pairs_are_read_from_files_of_each_kind_and_from_a_data_sets_folder(tmp_path):
    pairs = items(2, 3).rename(columns={"first": "rejected", "second": "chosen"}).drop(columns="profile")
    people = pd.DataFrame({"age": [40, 50]}, index=pd.Index(["p0", "p1"], name="persona_id"))
    people.to_parquet(tmp_path / "people.parquet")
    people.reset_index().to_json(tmp_path / "people.jsonl", orient="records", lines=True)
    pairs.to_csv(tmp_path / "pairs.csv", index=False)
    pairs.to_json(tmp_path / "pairs.jsonl", orient="records", lines=True)
    (tmp_path / "data" / "pairs").mkdir(parents=True)
    pairs.to_parquet(tmp_path / "data" / "pairs" / "part-00000.parquet")
    for name in ("personas", "prompts"):
        people.to_parquet(tmp_path / "data" / f"{name}.parquet")
    for path, of in [("pairs.csv", "people.parquet"), ("pairs.jsonl", "people.jsonl"), ("data", None)]:
        table = stimuli.checked(stimuli.read(tmp_path / path, of and str(tmp_path / of)))
        assert table["profile"].tolist() == ["age: 40"] * 3 + ["age: 50"] * 3, path
        assert table["second"].tolist() == pairs["chosen"].tolist()
    (tmp_path / "x.txt").touch()
    (tmp_path / "x.parquet").write_text("no")
    with pytest.raises(UserError, match=r"must end in one of \.parquet, \.csv, \.jsonl"):
        stimuli.read(tmp_path / "x.txt")
    with pytest.raises(UserError, match=r"can.t be read as parquet"):
        stimuli.read(tmp_path / "x.parquet")
    with pytest.raises(UserError, match="the pairs lack the columns rejected, chosen"):
        stimuli.of_pairs(items(), people)


def test_published_personas_get_their_ids_and_profiles(tmp_path):
    names = ["age", "Sex", "income", "Big_Five_Scores", "ideology"]
    published = pd.DataFrame([[40, "Female", "1000.0", "Openness: High", "Liberal"]] * 2, columns=names)
    published.assign(age=[40, 50]).to_csv(tmp_path / "people.csv", index=False)
    pairs = pd.DataFrame({"prompt_id": ["q0"], "prompt": ["Why?"], "rejected": ["No."], "chosen": ["Yes."]})
    pairs.to_parquet(tmp_path / "pairs.parquet")
    table = stimuli.checked(stimuli.read(tmp_path / "pairs.parquet", str(tmp_path / "people.csv")))
    people = preferences.ingredients.people(str(tmp_path / "people.csv"))
    assert table["persona_id"].tolist() == people.index.tolist() and people["age"].tolist() == [40, 50]
    assert table["profile"].tolist() == [
        f"age: {age}\nsex: Female\nincome: 1000\nbig five scores: Openness: High\nideology: Liberal" for age in (40, 50)
    ]
    table = pairs.assign(persona_id=people.index[1])
    table.to_parquet(tmp_path / "pairs.parquet")
    assert (
        stimuli.read(tmp_path / "pairs.parquet", str(tmp_path / "people.csv"))["profile"]
        .str.startswith("age: 50")
        .all()
    )


def test_ids_that_are_numbers_match_in_files_of_any_kind(tmp_path):
    pairs = items(2, 3).rename(columns={"first": "rejected", "second": "chosen"}).drop(columns="profile")
    pairs.assign(persona_id=[0] * 3 + [1] * 3).to_parquet(tmp_path / "pairs.parquet")
    (tmp_path / "people.csv").write_text("persona_id,age\n0,40\n1,50\n")
    table = stimuli.read(tmp_path / "pairs.parquet", str(tmp_path / "people.csv"))
    assert table["profile"].tolist() == ["age: 40"] * 3 + ["age: 50"] * 3


def test_pairs_that_give_no_choice_are_told_from_those_that_do():
    table = items(1, 4)
    table.loc[0, "second"], table.loc[1, "first"], table.loc[2, "second"] = None, " ", f" {table.loc[2, 'first']}"
    assert stimuli.rateable(table).index.tolist() == [3]


# What is read


def read_one(folder, path):
    table = annotation.read([path], folder)
    assert len(table) == 1
    return table.iloc[0]


def test_an_honest_submission_counts_and_its_choices_are_those_of_the_items(folder, study, tmp_path):
    def prefers(item):
        return "first" if item["prompt_id"] in ("q1", "q4") else "second"

    files = [hand_in(tmp_path / f"{a.id}.json", study, a, prefers) for a in study.assignments]
    table = annotation.read(files, folder)
    assert table["status"].eq("ok").all() and table["counted"].all() and table["reason"].isna().all()
    votes = annotation.votes(table)
    assert len(votes) == 2 * 8 * 4 and set(votes["rater"]) == {a.id for a in study.assignments}
    expected = np.where(votes["prompt_id"].isin(["q1", "q4"]), "first", "second")
    assert (votes["choice"] == expected).all() and (votes["seconds"] == 15).all()
    assert (
        votes["pair_id"].tolist()
        == (votes["persona_id"].str.replace("p", "r") + "-" + votes["prompt_id"].str[1:]).tolist()
    )
    assert table["started"].iloc[0] == pd.Timestamp(BEGAN, unit="ms", tz="UTC")


def test_half_a_character_in_a_file_does_not_stop_the_import_of_the_others(folder, study, tmp_path):
    one, two, *_ = study.assignments
    files = [hand_in(tmp_path / "1.json", study, one, participant="p\ud83d"), hand_in(tmp_path / "2.json", study, two)]
    files.append(tmp_path / "3.json")
    files[2].write_text('{"assignment": "\\ud83d"}')
    table = annotation.read(files, folder)
    assert table["status"].tolist() == ["ok", "ok", "foreign"] and table["participant"][0] == "p?"
    annotation.write(table, tmp_path / "ratings")


def answers_changed(**changes):
    return lambda c: c | {"answers": [a | changes for a in c["answers"]]}


def one_changed(**changes):
    return lambda c: c | {"answers": [c["answers"][0] | changes, *c["answers"][1:]]}


@pytest.mark.parametrize(
    ("change", "status", "said"),
    [
        (one_changed(choice=""), "incomplete", "9 of 10 questions"),
        (one_changed(reason="  \n"), "incomplete", "9 of 10 questions"),
        (lambda c: c | {"answers": c["answers"][:4]}, "incomplete", "4 of 10 questions"),
        (lambda c: c | {"answers": []}, "incomplete", "0 of 10 questions"),
        (lambda c: c | {"finished": 0}, "incomplete", "10 of 10 questions"),
        (lambda c: c | {"agreed": 0}, "no_consent", "consent"),
        (answers_changed(ms=900), "too_fast", "median 0.9 s"),
        (lambda c: c | {"finished": BEGAN - 1}, "clock", "clock"),
        (lambda c: c | {"started": BEGAN + 10**9}, "clock", "clock"),
        (one_changed(ms=-5), "clock", "clock"),
        (answers_changed(ms=60_000), "clock", "clock"),
        (lambda c: c | {"answers": c["answers"] * 2}, "foreign", "20 answers to 10 questions"),
        (lambda c: c | {"assignment": "another"}, "foreign", "assignment another is not of this study"),
        (lambda c: c | {"finished": 2**60}, "foreign", "finished"),
        (one_changed(ms=1.5), "foreign", r"answers\.0\.ms"),
        (one_changed(choice="C"), "foreign", r"answers\.0\.choice"),
        (one_changed(more=1), "foreign", r"answers\.0\.more"),
    ],
)
def test_what_speaks_against_a_submission_is_its_status_and_reason_and_it_does_not_count(
    folder, study, tmp_path, change, status, said
):
    assignment = study.assignments[0]
    path = tmp_path / "one.json"
    path.write_text(json.dumps(signed(assignment, change(content(study, assignment)))))
    row = read_one(folder, path)
    assert row["status"] == status and not row["counted"]
    assert pd.Series(row["reason"]).str.contains(said).all(), row["reason"]
    assert annotation.votes(annotation.read([path], folder)).empty


def test_a_failed_check_and_one_side_throughout_are_told_apart(folder, study, tmp_path):
    assignment = study.assignments[0]
    given = content(study, assignment)
    for answer, question in zip(given["answers"], assignment.questions, strict=True):
        answer["choice"] = "A" if question.item is not None else answer["choice"]
    (tmp_path / "one.json").write_text(json.dumps(signed(assignment, given)))
    row = read_one(folder, tmp_path / "one.json")
    assert row["status"] == "same_side" and "answer A was chosen in all 8 questions" in row["reason"]
    for answer in given["answers"]:
        answer["choice"] = {"A": "B", "B": "A"}[answer["choice"]]
    (tmp_path / "one.json").write_text(json.dumps(signed(assignment, given)))
    row = read_one(folder, tmp_path / "one.json")
    assert row["status"] == "failed_check" and "2 of 2 attention checks failed; answer B" in row["reason"]


def test_markup_in_a_reason_is_noted_and_counts_as_the_text_that_it_is(folder, study, tmp_path):
    assignment = study.assignments[0]
    given = content(study, assignment)
    given["answers"][2]["reason"] = evil = "<script>alert(1)</script> \u2028 \U0001f600 =1+1"
    (tmp_path / "one.json").write_text(json.dumps(signed(assignment, given)))
    row = read_one(folder, tmp_path / "one.json")
    assert row["counted"] and row["reason"] == "markup in the reason of question 3"
    assert [r["reason"] for r in row["ratings"]].count(evil) == (assignment.questions[2].item is not None)
    given["answers"][2]["reason"] = "a < b, 5 <6, R&D"
    (tmp_path / "one.json").write_text(json.dumps(signed(assignment, given)))
    assert read_one(folder, tmp_path / "one.json")["reason"] is None


def test_no_part_of_a_file_can_be_changed_unnoticed(folder, study, tmp_path):
    assignment = study.assignments[0]
    path = tmp_path / "one.json"
    whole = signed(assignment, content(study, assignment))
    for name, value in {
        "participant": "x",
        "session": "y",
        "started": BEGAN - 1,
        "agreed": BEGAN + 1,
        "code": None,
    }.items():
        path.write_text(json.dumps(whole | {name: value}))
        assert read_one(folder, path)["status"] == "tampered", name
    path.write_text(json.dumps(one_changed(reason="better")(whole)))
    assert read_one(folder, path)["status"] == "tampered"
    path.write_text(json.dumps(dict(reversed(whole.items())), indent=4))
    assert read_one(folder, path)["status"] == "ok", "order and spaces are no content"


SLOW = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


@settings(max_examples=60, deadline=None, suppress_health_check=SLOW)
@given(data=st.data())
def test_any_damage_to_a_file_is_a_row_and_none_counts(folder, study, tmp_path, data):
    raw = hand_in(tmp_path / "one.json", study, study.assignments[0]).read_bytes()
    start, length = data.draw(st.integers(0, len(raw) - 1)), data.draw(st.integers(1, 40))
    damaged = raw[:start] + data.draw(st.binary(max_size=8)) + raw[start + length :]
    (tmp_path / "one.json").write_bytes(damaged)
    row = read_one(folder, tmp_path / "one.json")
    try:
        unchanged = json.loads(damaged) == json.loads(raw)
    except ValueError:
        unchanged = False
    assert row["counted"] == unchanged and (row["reason"] is not None or unchanged)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"null",
        b"[]",
        b"3",
        b"{}",
        b"\xff\xfe",
        b"[" * 100_000,
        b"1" * 10_000,
        b"<html>",
        b'{"answers": NaN}',
        b'"\\ud800"',
    ],
)
def test_foreign_files_are_rows_not_errors(folder, tmp_path, raw):
    (tmp_path / "x.json").write_bytes(raw)
    assert read_one(folder, tmp_path / "x.json")["status"] in ("unreadable", "foreign")


def test_a_file_too_large_to_be_ours_is_not_read(folder, tmp_path):
    with open(tmp_path / "x.json", "wb") as file:
        file.truncate(6_000_000)
    assert "larger than 5 MB" in read_one(folder, tmp_path / "x.json")["reason"]


def test_of_two_submissions_to_one_assignment_the_first_finished_counts(folder, study, tmp_path):
    a = study.assignments[0]
    hand_in(tmp_path / "a_late.json", study, a, "first", finished=BEGAN + 10**7, session="2")
    hand_in(tmp_path / "early.json", study, a, "second")
    hand_in(tmp_path / "copy.json", study, a, "second")
    hand_in(tmp_path / "bad.json", study, a, agreed=0, finished=BEGAN + 10**6)
    table = annotation.read([tmp_path / f"{n}.json" for n in ("a_late", "early", "copy", "bad")], folder).set_index(
        "file"
    )
    assert table["status"].tolist() == ["duplicate", "duplicate", "ok", "no_consent"]
    assert table.loc["a_late.json", "reason"] == "the same assignment was answered before, in copy.json"
    assert "the same completion code" in table.loc["copy.json", "reason"]
    assert "the same completion code" in table.loc["early.json", "reason"]
    assert set(annotation.votes(table.reset_index())["choice"]) == {"second"}


def test_one_participant_with_two_assignments_counts_once(folder, study, tmp_path):
    for n, a in enumerate(study.assignments[:3]):
        who = "me" if n < 2 else "you"
        hand_in(tmp_path / f"{n}.json", study, a, participant=who, finished=BEGAN + 10**6 + n)
    table = annotation.read([tmp_path / f"{n}.json" for n in range(3)], folder)
    assert table["status"].tolist() == ["ok", "duplicate", "ok"]
    assert table["reason"].tolist()[1] == "the same participant answered before, in 0.json"


@pytest.mark.parametrize("blank", ["", " "])
def test_raters_whose_address_gives_no_number_are_not_taken_for_one_participant(folder, study, tmp_path, blank):
    files = [hand_in(tmp_path / f"{a.id}.json", study, a, participant=blank) for a in study.assignments[:3]]
    table = annotation.read(files, folder)
    assert table["status"].tolist() == ["ok"] * 3 and table["participant"].isna().all()


def test_lines_of_a_jsonl_file_and_files_of_a_folder_are_read_each(folder, study, tmp_path):
    (inbox := tmp_path / "inbox").mkdir()
    lines = [json.dumps(signed(a, content(study, a))) for a in study.assignments[:2]]
    (inbox / "posted.jsonl").write_text("\n".join([lines[0], "", '{"cut', lines[1]]))
    hand_in(inbox / "one.json", study, study.assignments[2])
    table = annotation.read([inbox, inbox / "one.json"], folder)
    assert table["file"].tolist() == ["one.json", "posted.jsonl:1", "posted.jsonl:3", "posted.jsonl:4"]
    assert table["status"].tolist() == ["ok", "ok", "unreadable", "ok"]


def test_nothing_to_read_or_no_study_is_said_in_one_line(folder, study, tmp_path):
    (tmp_path / "empty").mkdir()
    one = hand_in(tmp_path / "one.json", study, study.assignments[0])
    for paths, where, said in [
        ([tmp_path / "empty"], folder, "no submissions to read"),
        ([tmp_path / "none.json"], folder, "no file"),
        ([one], None, "needs the folder"),
        ([one], tmp_path / "empty", "no assignments.json in"),
    ]:
        with pytest.raises(UserError, match=said):
            annotation.read(paths, where)
    damaged = json.loads((folder / "assignments.json").read_text())
    damaged["assignments"][0]["questions"][0]["item"] = 99
    for text in (json.dumps(damaged), "{", "[]"):
        (folder / "assignments.json").write_text(text)
        with pytest.raises(UserError, match="is damaged"):
            annotation.read([one], folder)


# Tables of others


def test_a_table_of_others_gives_votes_and_says_what_it_could_not_read(tmp_path):
    (tmp_path / "t.csv").write_text(
        "Persona,question,rater,choice,more\n"
        "p0,q0,r0,A,\np0,q1,r0,2,\np0,q0,r1,first,\np0,q1,r1,perhaps,\n"
        "p0,q0,r2,a,\np0,q0,r2,b,\np1,q0,r0,1,\np1,q0,r0,1,\np1,q0,,1,\np2,q0,r0,?,\n"
    )
    table = annotation.read([tmp_path / "t.csv"])
    assert table["status"].tolist() == ["ok", "ok", "incomplete", "ok", "foreign", "incomplete"]
    assert table["reason"].iloc[1].startswith("1 of 2 choices are neither first, second")
    assert table["reason"].iloc[3] == "1 ratings are repeated" and "no persona or no rater" in table["reason"].iloc[4]
    votes = annotation.votes(table)
    assert votes["choice"].fillna("-").tolist() == ["first", "second", "first", "-", "first"]
    assert votes["prompt_id"].tolist() == ["q0", "q1", "q0", "q1", "q0"]


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("", "unreadable"),
        ("a,b\n1,2\n", "foreign"),
        ('persona,"x\n', "unreadable"),
        ("persona,question,rater,choice,choice\n1,2,3,4,5", "unreadable"),
    ],
)
def test_a_malformed_table_is_a_row(tmp_path, text, status):
    (tmp_path / "t.csv").write_text(text)
    table = annotation.read([tmp_path / "t.csv"])
    assert table["status"].tolist() in ([status], ["foreign"], ["incomplete"]) and annotation.votes(table).empty


# How votes are counted


def test_people_are_one_judge_more_among_models():
    won = annotation.majority(random_votes(4, 6, 3))
    people = annotation.as_judge(won)
    model = people.assign(judge="m", choice=people["choice"].where(people["prompt_id"] != "q0"))
    table = fidelity.between_judges(pd.concat([people, model]), "m", "people")
    assert table["n"].eq(5).all() and table["raw"].eq(1).all() and set(people["choice"]) == {"chosen", "rejected"}


def votes_of(rows: str) -> pd.DataFrame:
    """Votes from words such as p0.q0.r0=f."""
    table = pd.DataFrame(
        [w.replace("=", ".").split(".") for w in rows.split()], columns=["persona_id", "prompt_id", "rater", "choice"]
    )
    return table.assign(choice=table["choice"].map({"f": "first", "s": "second"}).astype("str"))


def test_the_majority_of_three_is_taken_and_a_tie_or_a_single_vote_is_no_majority():
    votes = votes_of(
        "p0.q0.a=f p0.q0.b=f p0.q0.c=s p0.q1.a=s p0.q1.b=s p0.q1.c=s "
        "p1.q0.a=f p1.q0.b=s p2.q0.a=f p3.q0.a=? p4.q0.a=f p4.q0.b=f"
    )
    won = annotation.majority(votes)
    assert won["choice"].fillna("-").tolist() == ["first", "second", "-", "-", "-", "first"]
    assert won["failure"].fillna("").tolist() == ["", "", "a tie", "a single vote", "no vote", ""]
    assert won[["for_first", "for_second"]].to_numpy().tolist() == [[2, 1], [0, 3], [1, 1], [1, 0], [0, 0], [2, 0]]
    assert won["dropped"].isna().all()
    assert annotation.majority(votes, kept=1)["choice"].notna().sum() == 5
    with pytest.raises(UserError, match="can be a tie"):
        annotation.majority(votes, kept=4)


def random_votes(personas, questions, raters, seed=0, p=0.7):
    rng = np.random.default_rng(seed)
    index = pd.MultiIndex.from_product(
        [[f"p{i}" for i in range(personas)], [f"q{i}" for i in range(questions)], list("abcdefgh")[:raters]]
    )
    table = index.to_frame(index=False, name=["persona_id", "prompt_id", "rater"])
    lean = rng.choice([p, 1 - p], (personas, questions)).repeat(raters)
    return table.assign(choice=np.where(rng.random(len(table)) < lean, "first", "second"))


def test_of_four_raters_a_whole_set_is_dropped_by_chance_and_not_by_what_was_chosen():
    votes = random_votes(300, 4, 4)
    won = annotation.majority(votes)
    assert won["choice"].notna().all() and (won[["for_first", "for_second"]].sum(axis=1) == 3).all()
    dropped = won.groupby("persona_id")["dropped"].unique()
    assert dropped.map(len).eq(1).all(), "one and the same rater for all questions of a persona"
    shares = dropped.str[0].value_counts(normalize=True)
    assert shares.between(0.17, 0.33).all() and len(shares) == 4
    swapped = votes.assign(choice=votes["choice"].map({"first": "second", "second": "first"}))
    assert annotation.majority(swapped)["dropped"].equals(won["dropped"])
    assert annotation.majority(votes.sample(frac=1, random_state=1)).equals(won), "the order of rows does not matter"
    assert not annotation.majority(votes, seed=1)["dropped"].equals(won["dropped"])


def test_the_rater_with_gaps_is_dropped_first():
    votes = random_votes(5, 4, 4)
    gap = votes[~((votes["rater"] == "c") & (votes["prompt_id"] == "q2"))]
    won = annotation.majority(gap)
    assert set(won["dropped"].dropna()) == {"c"} and won["dropped"].isna().sum() == 5


def test_agreement_is_fleiss_kappa_of_statsmodels_and_its_interval_holds_it():
    votes = random_votes(12, 10, 4)
    table = annotation.reliability(votes)
    kappas = table.xs("Fleiss' kappa", level="coefficient")
    wide = votes.pivot(index=["persona_id", "prompt_id"], columns="rater", values="choice")
    assert kappas.loc["all", "estimate"] == pytest.approx(fleiss_kappa(aggregate_raters(wide.to_numpy())[0]))
    for persona, own in wide.groupby("persona_id"):
        assert kappas.loc[persona, "estimate"] == pytest.approx(fleiss_kappa(aggregate_raters(own.to_numpy())[0]))
    pairs = [(wide[a] == wide[b]).mean() for a, b in combinations("abcd", 2)]
    assert table.loc[("all", "raw agreement"), "estimate"] == pytest.approx(np.mean(pairs))
    assert (table["low"] < table["estimate"]).all() and (table["estimate"] < table["high"]).all()
    assert kappas.loc["all", ["raters", "n", "failed", "undefined"]].tolist() == [4, 120, 0, 0]
    pd.testing.assert_frame_equal(table, annotation.reliability(votes.sample(frac=1, random_state=1)))


def test_a_kappa_that_is_not_defined_is_missing_and_counted_where_ac1_is_one():
    votes = pd.concat([random_votes(3, 4, 4, seed=2), votes_of("x.q0.a=f x.q0.b=f x.q1.a=f x.q1.b=f x.q2.a=f")])
    table = annotation.reliability(votes)
    kappa = table.loc[("x", "Fleiss' kappa")]
    assert np.isnan(kappa["estimate"]) and kappa[["undefined", "failed", "n", "raters"]].tolist() == [1, 1, 2, 2]
    assert table.loc[("x", "AC1"), "estimate"] == 1 and table.loc[("all", "Fleiss' kappa"), "undefined"] == 1


@pytest.mark.parametrize("votes", ["x.q0.a=?", ""])
def test_without_votes_there_is_no_agreement_and_no_error(votes):
    given = votes_of(votes) if votes else votes_of("x.q0.a=?").iloc[:0]
    table = annotation.reliability(given)
    assert table.loc["all", "n"].eq(0).all() and table.loc["all", "estimate"].isna().all()
    assert annotation.majority(given)["choice"].isna().all()


# The commands


def persona(*arguments):
    return CliRunner().invoke(cli.app, [str(a) for a in arguments])


def test_a_study_goes_out_and_comes_back_by_two_commands(tmp_path):
    items(3, 12).to_parquet(tmp_path / "pairs.parquet")
    out = persona(
        "annotate", "export", "--pairs", tmp_path / "pairs.parquet", "--n-personas", 2, "--out", tmp_path / "s"
    )
    assert out.exit_code == 0, out.stderr
    assert out.stdout.splitlines()[0] == "8 pages of 10 questions and 2 checks, 4 for each persona, seed 0"
    study = assignments.load(tmp_path / "s")
    (inbox := tmp_path / "inbox").mkdir()
    for n, a in enumerate(study.assignments):
        hand_in(inbox / f"{n}.json", study, a, "second" if n else "first", agreed=BEGAN + 1 if n < 7 else 0)
    back = persona("annotate", "import", inbox, "--study", tmp_path / "s", "--out", tmp_path / "r")
    assert back.exit_code == 0, back.stderr
    lines = back.stdout.splitlines()
    assert lines[0].split() == ["7", "ok"] and lines[1].split() == ["1", "no_consent"]
    assert lines[2] == "7.json: no_consent: the consent was not given"
    assert lines[3].startswith("70 votes, 20 of 20 questions with a majority; raters agree in 75% (95% interval ")
    votes = pd.read_parquet(tmp_path / "r" / "votes.parquet")
    assert len(votes) == 70 and {p.name for p in (tmp_path / "r").iterdir()} == {
        f"{n}.{kind}" for n in ("submissions", "votes", "majority", "reliability") for kind in ("parquet", "csv")
    }


def test_an_import_of_which_nothing_counts_exits_with_1_and_says_why(tmp_path, folder):
    (tmp_path / "x.json").write_text("{")
    result = persona("annotate", "import", tmp_path / "x.json", "--study", folder, "--out", tmp_path / "r")
    assert result.exit_code == 1 and "unreadable" in result.stdout
    result = persona("annotate", "import", tmp_path / "y.json", "--study", folder, "--out", tmp_path / "r")
    assert result.exit_code == 2 and result.stderr == f"error: no file {tmp_path / 'y.json'}\n"


def test_a_reason_that_a_spreadsheet_would_run_gets_an_apostrophe_in_the_csv(folder, study, tmp_path):
    a = study.assignments[0]
    answers = [x | {"reason": "=HYPERLINK(1)"} for x in content(study, a)["answers"]]
    table = annotation.read([hand_in(tmp_path / "1.json", study, a, answers=answers)], folder)
    annotation.write(table, tmp_path / "r")
    assert set(pd.read_csv(tmp_path / "r" / "votes.csv")["reason"]) == {"'=HYPERLINK(1)"}
    assert set(pd.read_parquet(tmp_path / "r" / "votes.parquet")["reason"]) == {"=HYPERLINK(1)"}
