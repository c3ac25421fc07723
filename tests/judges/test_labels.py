"""Human labels from a file: each fault said in a line, majorities, and the critic in an annotator's place."""

import numpy as np
import pandas as pd
import pytest

from persona_lib import UserError
from persona_lib.judges import calibration, labels


def write(path, rows: list[list], columns=("persona_id", "prompt_id", "condition", "annotator", "label")):
    file = path / "labels.csv"
    pd.DataFrame(rows, columns=list(columns)).to_csv(file, index=False)
    return file


def results(n: int = 3, models=("m",), conditions=("direct", "summary")) -> pd.DataFrame:
    rows = [
        {"persona_id": f"{i}", "prompt_id": f"q{i}", "condition": c, "model": m, "score": float(i % 2), "other": "x"}
        for m in models for c in conditions for i in range(n)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_labels_are_read_as_they_are_written_and_names_stay_text(tmp_path):
    rows = [["007", "1", "direct", "12", 1], ["007", "1", "direct", "13", ""], ["008", "1", "direct", "12", 0]]
    table = labels.read(write(tmp_path, rows))
    assert table["persona_id"].tolist() == ["007", "007", "008"] and table["annotator"].tolist() == ["12", "13", "12"]
    assert table["label"].dtype == float and table["label"].fillna(-1).tolist() == [1, -1, 0]
    assert list(labels.read(None).columns) == labels.COLUMNS and labels.read(None).empty


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("TRUE", 1),
        ("true", 1),
        (" FALSE", 0),
        ("1 ", 1),
        ("1.0", 1),
        ("0", 0),
        (" ", None),
        ("NA", None),
        ("nan", None),
    ],
)
def test_a_label_is_read_as_spreadsheets_write_it(cell, value, tmp_path):
    found = labels.read(write(tmp_path, [["p", "q", "direct", "ann", cell], ["p", "q", "direct", "bo", 0]]))
    assert found["label"].fillna(-1).tolist() == [-1 if value is None else value, 0]


def test_columns_are_found_in_any_spelling_and_blanks_around_ids_go(tmp_path):
    (tmp_path / "labels.csv").write_text(
        "Persona ID, Prompt-ID, Condition, ANNOTATOR, Label, Model, note\n"
        " 007, 1, direct , ann, 1, m, x\n007, 1, direct, bo, 0, m, x\n"
    )
    table = labels.read(tmp_path / "labels.csv", ["m", "n"])
    assert set(table["persona_id"]) == {"007"} and set(table["condition"]) == {"direct"}
    assert table["annotator"].tolist() == ["ann", "bo"] and table["label"].tolist() == [1, 0]


FULL = ["p", "q", "direct", "ann", 1]
FAULTS = {
    "a column is lacking": ([["p", "q", 1]], ["persona_id", "prompt_id", "label"], "lacks condition, annotator"),
    "a word": ([FULL, ["p", "q", "direct", "bo", "keep"]], labels.COLUMNS, "has the label 'keep': write 1, 0"),
    "another number": ([["p", "q", "direct", "ann", 2]], labels.COLUMNS, "has the label '2': write 1, 0 or nothing"),
    "a fraction": ([["p", "q", "direct", "ann", 0.5]], labels.COLUMNS, "has the label '0.5'"),
    "two lines": ([["p", "q", "direct", "ann", "a\nb"]], labels.COLUMNS, r"has the label 'a\\nb'"),
    "twice": ([FULL, [*FULL[:-1], 0]], labels.COLUMNS, "an annotator labels an answer twice"),
    "twice for one writer": ([["m", *FULL]] * 2, ["model", *labels.COLUMNS], "an annotator labels an answer twice"),
    "nobody's": ([FULL, ["p", "q", "direct", "", 0]], labels.COLUMNS, "has a row without annotator: fill it in"),
    "of nothing": ([["p", "", "direct", "ann", 0]], labels.COLUMNS, "has a row without prompt_id"),
    "of no writer": ([["", *FULL]], ["model", *labels.COLUMNS], "has a row without model"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_file_that_cannot_be_used_is_refused_in_one_line(fault, tmp_path):
    rows, columns, message = FAULTS[fault]
    with pytest.raises(UserError, match=message) as caught:
        labels.read(write(tmp_path, rows, columns))
    assert "\n" not in str(caught.value) and "labels.csv" in str(caught.value)


@pytest.mark.parametrize(
    "content", [None, b"", b"\xff\xfe\x00a,b\n1", b'a,b\n"1,2\n3,4\n', b"a\n1,2\n1,2,3\n\n4,5,6,7\n"]
)
def test_a_file_that_cannot_be_read_is_refused_in_one_line(content, tmp_path):
    file = tmp_path / "labels.csv"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(UserError, match=r"labels.csv") as caught:
        labels.read(file)
    assert "\n" not in str(caught.value)


def test_two_writers_answers_may_be_labelled_by_the_same_annotator(tmp_path):
    table = labels.read(write(tmp_path, [["m", *FULL], ["n", *FULL]], ["model", *labels.COLUMNS]))
    assert len(table) == 2


def test_with_several_writers_a_file_must_say_whose_answers_it_labels_before_anything_is_asked(tmp_path):
    file = write(tmp_path, [FULL])
    assert len(labels.read(file, ["m"])) == len(labels.read(file)) == 1
    with pytest.raises(UserError, match=r"labels.csv lacks the column model, and there are several writers: m, n$"):
        labels.read(file, ["m", "n"])
    assert labels.read(None, ["m", "n"]).empty
    file = write(tmp_path, [["m", *FULL], ["x", *FULL]], ["model", *labels.COLUMNS])
    assert len(labels.read(file, ["m", "n"])) == 2
    with pytest.raises(UserError, match=r"has labels of m, x, not of k$"):
        labels.read(file, ["k"])


def test_a_condition_or_model_that_the_run_lacks_is_named(tmp_path):
    rows = [["m", *FULL], ["x", *FULL[:2], "dirct", *FULL[3:]]]
    table = labels.read(write(tmp_path, rows, ["model", *labels.COLUMNS]))
    assert labels.strangers(table, ["direct", "dirct"], ["m", "x"]) == ""
    assert labels.strangers(labels.read(None), ["direct"], ["m"]) == ""
    said = labels.strangers(table, ["summary", "direct"], ["m"])
    assert "1 of condition 'dirct' (did you mean 'direct'? this run has summary, direct)" in said
    assert said.endswith("1 of model 'x' (this run has m)") and "\n" not in said
    assert "model" not in labels.strangers(table, ["direct"])


def made(rows: list[tuple], **columns) -> pd.DataFrame:
    """Labels of answers number i under `direct`, as `read` gives them."""
    table = pd.DataFrame([(f"{i}", f"q{i}", "direct", who, label) for i, who, label in rows], columns=labels.COLUMNS)
    return table.astype({"label": float}).assign(**columns)


SPLIT = [(0, "a", 1), (0, "b", 1), (0, "c", 0), (1, "a", 0), (1, "b", 1), (2, "a", 0), (2, "b", None), (2, "c", None)]


def test_the_mean_of_an_answer_s_labels_counts_and_what_nobody_labelled_is_missing():
    run = results()
    found = labels.beside(run, made(SPLIT))
    assert list(found.columns) == ["persona_id", "prompt_id", "condition", "model", "judge", "human"]
    assert found["judge"].tolist() == run["score"].tolist() and list(found.index) == list(run.index)
    human = found.set_index(["condition", "persona_id"])["human"]
    assert human["direct"].to_dict() == {"0": pytest.approx(2 / 3), "1": 0.5, "2": 0}
    assert human["summary"].isna().all()
    nothing = labels.beside(run, labels.read(None))
    assert len(nothing) == len(run) and nothing["human"].isna().all()


def test_of_several_writers_the_labels_must_say_whose_answers_they_are_of():
    run = results(models=("m", "n"))
    for function in (labels.beside, labels.stand_in):
        with pytest.raises(UserError, match="the file of labels needs a column model"):
            function(run, made(SPLIT))
    found = labels.beside(run, made(SPLIT, model="n")).set_index("model")["human"]
    assert found["m"].isna().all() and found["n"].notna().sum() == 3


def test_labels_of_answers_that_the_run_does_not_have_are_counted():
    run, table = results(), made([*SPLIT, (9, "a", 1), (9, "b", 0)])
    assert labels.unused(run, table) == 2
    assert labels.unused(run, made(SPLIT)) == labels.unused(run, labels.read(None)) == 0
    assert labels.unused(run, made(SPLIT, model="n")) == len(SPLIT)
    assert labels.unused(run, made(SPLIT).assign(condition="cot")) == len(SPLIT)


def study(annotators: int, items: int = 60) -> tuple[pd.DataFrame, pd.DataFrame]:
    """A run whose critic is right in nine of ten, and annotators who are in eight of ten; some labels are missing."""
    rng = np.random.default_rng(annotators)
    truth = rng.random(items) < 0.5
    run = results(items, conditions=("direct",)).assign(score=(truth ^ (rng.random(items) < 0.1)).astype(float))
    said = (truth[:, None] ^ (rng.random((items, annotators)) < 0.2)).astype(float)
    return run, pd.DataFrame(np.where(rng.random(said.shape) < 0.1, np.nan, said), columns=list("abc")[:annotators])


@pytest.mark.parametrize("annotators", [2, 3])
@pytest.mark.parametrize("epsilon", [0.1, 0.2])
def test_the_critic_is_held_against_each_annotator_as_the_test_itself_does(annotators, epsilon):
    run, wide = study(annotators)
    rows = [(i, who, wide.loc[i, who]) for who in wide for i in wide.index]
    elsewhere = [(900 + i, who, 1) for who in "abz" for i in range(20)]  # the run knows nothing of these
    found = labels.stand_in(run, made([*rows, *elsewhere]).sample(frac=1, random_state=0), epsilon)
    expected = calibration.alternative_annotator(run["score"], wide, epsilon)
    pd.testing.assert_frame_equal(found, expected)
    assert (found["n"] > 40).all() and found["p"].notna().all()
    looser = labels.stand_in(run, made(rows), 0.5)
    assert (looser["p"] < found["p"]).all() and looser["wins"].all()


@pytest.mark.parametrize(("rows", "number"), [([], 0), ([(0, "a", 1), (1, "a", 0), (0, "b", None), (9, "c", 1)], 1)])
def test_with_fewer_than_two_annotators_of_its_answers_the_table_says_so(rows, number):
    found = labels.stand_in(results(), made(rows))
    assert found["note"].tolist() == [f"{number} annotators of these answers: the test takes two or more"]
    assert found.drop(columns="note").isna().all(axis=None)
    run, wide = study(2)
    full = calibration.alternative_annotator(run["score"], wide)
    assert list(found.columns) == list(full.columns) and calibration.winning_rate(found).loc[0, "annotators"] == 0


def by_hand(run: pd.DataFrame, wide: pd.DataFrame, rows: slice) -> dict:
    """The winning rate of some answers, straight from the test."""
    tests = calibration.alternative_annotator(run["score"][rows], wide[rows])
    both = wide[rows].notna().sum(axis=1) > 1
    return {"n": both.sum(), **calibration.winning_rate(tests).loc[0]}


def test_the_winning_rate_is_that_of_the_test_overall_and_in_each_condition():
    run, wide = study(3)
    run["condition"] = np.repeat(["direct", "summary"], 30)
    table = pd.concat([made([(i, who, wide.loc[i, who]) for i in wide.index]) for who in wide], ignore_index=True)
    table["condition"] = table["persona_id"].astype(int).gt(29).map({False: "direct", True: "summary"})
    found = labels.winning_rates(run, table.sample(frac=1, random_state=0))
    assert list(found.columns) == ["n", "annotators", "epsilon", "winning_rate", "advantage", "passes", "note"]
    expected = {
        "all answers": by_hand(run, wide, slice(None)),
        "direct": by_hand(run, wide, slice(30)),
        "summary": by_hand(run, wide, slice(30, 60)),
    }
    assert found.index.name == "condition" and list(found.index) == list(expected)
    for group, row in expected.items():
        assert found.loc[group, list(row)].to_dict() == row
    assert found.loc["all answers", ["winning_rate", "passes", "note"]].tolist() == [1.0, True, ""]
    assert found.loc["direct", "note"] == "under 30 items"
    whole = labels.winning_rates(run, table, by=None)
    assert list(whole.index) == ["all answers"] and whole.index.name == "answers"
    strict = labels.winning_rates(run.assign(score=1 - run["score"]), table, epsilon=0.1).loc["all answers"]
    assert strict["winning_rate"] == 0 and not strict["passes"] and strict["advantage"] < 0.6


def test_without_a_test_the_winning_rate_is_missing_and_says_why():
    run, wide = study(2)
    unlabelled = pd.concat([run, run.assign(condition="summary")], ignore_index=True)
    table = made([(i, who, wide.loc[i, who]) for who in wide for i in wide.index])
    found = labels.winning_rates(unlabelled, table)
    assert found.loc["direct", "annotators"] == 2 and found.loc["direct", "n"] > 40
    row = found.loc["summary"]
    assert row["n"] == row["annotators"] == 0 and row[["winning_rate", "advantage", "passes"]].isna().all()
    assert row["note"] == "0 annotators of these answers: the test takes two or more"
    silent = labels.winning_rates(run.assign(score=np.nan), table).loc["all answers"]
    assert silent["n"] == silent["annotators"] == 0 and pd.isna(silent["passes"])
    assert silent["note"] == "no items that the judge, this annotator and another have labelled"
    two_writers = results(models=("m", "n"))
    nothing = labels.winning_rates(two_writers, labels.read(None))
    assert list(nothing.index) == ["all answers", "direct", "summary"] and nothing["winning_rate"].isna().all()
    with pytest.raises(UserError, match="the file of labels needs a column model"):
        labels.winning_rates(two_writers, made(SPLIT))
