"""Submissions: what a folder holds, what checking finds wrong with it, and hidden rounds."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import yaml

from persona_lib import UserError, methods
from persona_lib.methods import Setting, board, checking, hidden, linear, simulated, submissions
from persona_lib.methods.submitted.submissions import ABOUT, ANSWERS, CONTEXTS, MANIFEST, PREDICTIONS, About
from persona_lib.runs.testbed import submitting

DESIGN = simulated.Design(seen=20, unseen=10, prompts=24, heldout=10, history=12, tests=6, dimensions=6, rank=2)
SETTING = Setting(ks=(0, 4), draws=2, seed=3)


@pytest.fixture(scope="module")
def world():
    return simulated.world(DESIGN, seed=1)


@pytest.fixture(scope="module")
def predictions(world):
    blind = hidden.veiled(world)
    return methods.trial(blind, [linear.Shrunk(methods.embedder(world))], SETTING)


def about(world, **more):
    of_setting = {"ks": list(SETTING.ks), "draws": SETTING.draws, "seed": SETTING.seed}
    whole = {"name": "mine", "sees": ["history"], "world": world.name, "world_sha256": hidden.digest(world)}
    return About(**whole | of_setting | more)


@pytest.fixture(scope="module")
def written_once(tmp_path_factory, world, predictions):
    folder = tmp_path_factory.mktemp("submission") / "mine"
    submissions.write(folder, about(world), predictions, world)
    return folder


@pytest.fixture
def folder(tmp_path, written_once):
    return shutil.copytree(written_once, tmp_path / "mine")


def problems(folder, world):
    return checking.check(submissions.read(folder), world).problems


def altered(folder, change, world=None):
    """Change the predictions of a submission, and seal it anew if a world is given."""
    change(pd.read_parquet(folder / PREDICTIONS)).to_parquet(folder / PREDICTIONS)
    if world is not None:
        submissions.seal(folder, world)
    return folder


def test_what_was_written_is_read_and_nothing_is_wrong(folder, world, predictions):
    found = checking.check(submissions.read(folder), world)
    assert found.problems == [] and not found.gates["fired"].any()
    straight = methods.scores.accuracy(predictions.assign(chosen=predictions["choice_id"].map(hidden.labels(world))))
    np.testing.assert_allclose(found.scores["accuracy"], straight["accuracy"])
    stated = submissions.read(folder).manifest["scores"]
    np.testing.assert_allclose([row["low"] for row in stated], straight["low"])


def test_predictions_do_not_depend_on_the_labels_that_are_tested(world, predictions):
    choices = world.choices
    tested = methods.cells(world).isin(methods.worlds.world.TESTS)
    turned = world._replace(choices=choices.assign(p_first=choices["p_first"].mask(tested, 1 - choices["p_first"])))
    again = methods.trial(hidden.veiled(turned), [linear.Shrunk(methods.embedder(world))], SETTING)
    pd.testing.assert_frame_equal(again, predictions)
    assert hidden.digest(turned) == hidden.digest(world)
    assert hidden.labels_digest(turned) != hidden.labels_digest(world)


def test_the_choices_that_were_shown_are_those_of_the_trial(folder, world):
    shown = pd.read_parquet(folder / CONTEXTS)
    assert set(shown["draw"]) == {0, 1} and set(shown["shot"]) == {1, 2, 3, 4}
    cell = methods.cells(world).set_axis(world.choices["choice_id"])
    assert (shown["choice_id"].map(cell) == "context").all()
    shown.assign(choice_id=shown["choice_id"].iloc[::-1].to_numpy()).to_parquet(folder / CONTEXTS)
    submissions.seal(folder, world)
    assert problems(folder, world) == [f"{CONTEXTS} shows other choices than seed 3 draws from this world"]


def row(number, **change):
    """Return a change of one row."""

    def of(table):
        table = table.astype({"failure": object})
        for name, value in change.items():
            table.loc[number, name] = value
        return table

    return of


def test_what_is_wrong_with_predictions_is_one_line_for_each_kind(folder, world):
    """Each row that names something else leaves a gap, too."""

    def every(table):
        for change in (
            row(0, p_first=np.nan),
            row(1, p_first=1.5),
            row(2, p_first=-np.inf),
            row(3, failure="refused"),
            row(4, choice_id="nobody's"),
            row(5, persona_id="somebody"),
        ):
            table = change(table)
        return pd.concat([table.drop(index=[6, 7]), table.loc[[8, 9]]])

    name = pd.read_parquet(folder / PREDICTIONS)["choice_id"]
    assert problems(altered(folder, every, world), world) == [
        "2 predictions lie outside 0 to 1, such as 1.5",
        "1 predictions are missing without a reason in failure",
        "1 predictions have a number and a failure, such as 'refused'",
        f"2 rows are doubled, such as choice {name[8]}",
        "1 rows are of choices that the world lacks, such as nobody's",
        f"1 rows name another person than the choice's, such as of choice {name[5]}",
        "3 of 240 predictions have no row: each counts as one half",
    ]


def test_sizes_other_than_stated_are_one_line_each(folder, world):
    def every(table):
        return row(2, draw=7)(row(1, k=10**9)(row(0, k=2)(table)))

    assert problems(altered(folder, every, world), world)[:2] == [
        "predictions.parquet and method.yaml differ in k: 2, 1000000000 are in one only",
        "predictions.parquet and method.yaml differ in draw: 7 is in one only",
    ]


def test_a_choice_that_is_not_tested_is_no_prediction(folder, world):
    known = world.choices["choice_id"][methods.cells(world) == "train"].iloc[0]
    found = problems(altered(folder, row(0, choice_id=known), world), world)
    assert f"1 rows are of choices that are not tested, such as {known}" in found


def test_missing_predictions_count_as_one_half(folder, world):
    """To leave out what a method has wrong gains nothing."""
    whole = checking.check(submissions.read(folder), world).scores.set_index("k")

    def without_the_wrong(table):
        wrong = (table["p_first"] > 0.5) != (table["choice_id"].map(hidden.labels(world)) > 0.5)
        return table[~wrong]

    found = checking.check(submissions.read(altered(folder, without_the_wrong, world)), world)
    table = found.scores.set_index("k")
    assert table["failed"].gt(0).all()
    np.testing.assert_allclose(table["accuracy"], (1 + whole["accuracy"]) / 2, atol=0.02)


def test_changed_files_and_scores_are_found(folder, world):
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["scores"][1]["accuracy"] += 0.001
    (folder / MANIFEST).write_text(json.dumps(manifest))
    assert problems(folder, world)[0].startswith(f"k = 4: {MANIFEST} says accuracy 0.")
    altered(folder, lambda table: table.assign(p_first=table["p_first"] * 0.9))
    (folder / CONTEXTS).unlink()
    found = problems(folder, world)
    assert found[:2] == [
        f"{CONTEXTS} is missing, which {MANIFEST} lists",
        f"{PREDICTIONS} has changed since {MANIFEST} was written",
    ]
    assert any(line.startswith("k = 4: manifest.json says ") for line in found)


def test_a_score_that_agrees_to_the_third_decimal_is_right(folder, world):
    manifest = json.loads((folder / MANIFEST).read_text())
    for row in manifest["scores"]:
        row["accuracy"] += 0.0004
    (folder / MANIFEST).write_text(json.dumps(manifest))
    assert problems(folder, world) == []


def test_another_world_or_commit_is_found(folder, world):
    other = simulated.world(DESIGN, seed=2)
    (said,) = problems(folder, other)
    assert said.startswith("it is about another world, 'known truth', than 'known truth' (in people, ")
    manifest = json.loads((folder / MANIFEST).read_text()) | {"commit": "abc"}
    (folder / MANIFEST).write_text(json.dumps(manifest))
    assert problems(folder, world) == [f"{ABOUT} states commit None, {MANIFEST} states abc"]
    with pytest.raises(UserError, match="is about another world: world_sha256 of this one is"):
        submissions.seal(folder, other)


def written(folder, **change):
    content = yaml.safe_load((folder / ABOUT).read_text()) | change
    (folder / ABOUT).write_text(yaml.safe_dump({key: value for key, value in content.items() if value is not ...}))
    return folder


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda folder: [path.unlink() for path in folder.iterdir()], "is no submission: it has no method.yaml"),
        (lambda folder: written(folder, name=...), "method.yaml: name: Field required"),
        (
            lambda folder: written(folder, name=" "),
            "method.yaml: name: ' ' is no name: write one line of 1 to 80 letters",
        ),
        (lambda folder: written(folder, sees=["labels"]), "method.yaml: sees: 'labels' is none of history, "),
        (lambda folder: written(folder, ks=[10**9]), "method.yaml: ks.0: Input should be less than or equal to"),
        (lambda folder: written(folder, ks=[]), "method.yaml: ks: List should have at least 1 item"),
        (lambda folder: written(folder, colour="red"), "method.yaml: colour: Extra inputs are not permitted"),
        (lambda folder: (folder / ABOUT).write_text("a: [1"), "can't be read as YAML"),
        (lambda folder: (folder / PREDICTIONS).unlink(), "has no predictions.parquet and no answers.parquet"),
        (lambda folder: (folder / MANIFEST).unlink(), "has no manifest.json: persona methods seal"),
        (lambda folder: (folder / MANIFEST).write_text("{"), "can't be read as JSON"),
        (lambda folder: cut(folder / PREDICTIONS), "can't be read as parquet"),
        (lambda folder: altered(folder, lambda t: t.drop(columns="k")), "lacks the column k"),
        (lambda folder: altered(folder, lambda t: t.assign(p_first="likely")), "p_first must be numbers"),
        (lambda folder: altered(folder, lambda t: t.assign(k=0.5)), "k must be whole numbers"),
        (lambda folder: altered(folder, lambda t: t.assign(p_first=True)), "p_first must be numbers (they are truth"),
        (lambda folder: altered(folder, lambda t: t.assign(k=t["k"] > 0)), "k must be numbers (they are truth values"),
        (lambda folder: altered(folder, lambda t: t.assign(k=pd.Timestamp(0))), "k must be numbers (they are truth"),
        (lambda folder: altered(folder, lambda t: t.assign(k=np.inf)), "k must be whole numbers"),
        (lambda folder: stated(folder, files=["a"]), "manifest.json: files: Input should be a valid dictionary"),
        (lambda folder: stated(folder, world=["a"]), "manifest.json: world: Input should be a valid dictionary"),
        (lambda folder: stated(folder, scores=["a"]), "manifest.json: scores.0: Input should be a valid dictionary"),
        (lambda folder: stated(folder, scores=[{"k": [1]}]), "manifest.json: scores.0.k: Input should be a valid int"),
        (lambda folder: stated(folder, commit={"a": 1}), "manifest.json: commit: Input should be a valid string"),
        (lambda folder: stated(folder, created="yesterday"), "manifest.json: created: Input should be a valid dat"),
        (lambda folder: stated(folder, created=None), "manifest.json: created: Input should be a valid dat"),
    ],
)
def test_an_unusable_folder_is_one_line(folder, harm, said):
    harm(folder)
    with pytest.raises(UserError, match=r"^[^\n]*$") as error:
        submissions.read(folder)
    assert said in str(error.value)


def test_numbers_of_any_kind_are_read(folder, world):
    altered(folder, lambda t: t.assign(k=t["k"].astype("Int64"), p_first=t["p_first"].astype("Float64")), world)
    assert problems(folder, world) == []


def stated(folder, **change):
    content = json.loads((folder / MANIFEST).read_text()) | change
    (folder / MANIFEST).write_text(json.dumps(content))


def cut(path):
    path.write_bytes(path.read_bytes()[:-200])


def test_a_k_beyond_every_history_is_told(folder, world):
    with pytest.raises(UserError, match=r"k = 99 is too large for world 'known truth': its longest history has \d+"):
        checking.check(submissions.read(written(folder, ks=[0, 99])), world)


def test_more_predictions_than_fit_are_refused_before_they_are_drawn(folder, world, monkeypatch):
    monkeypatch.setattr(submissions, "MOST", 100)
    with pytest.raises(UserError, match="240 predictions are asked for, and a submission has 100 at most"):
        checking.check(submissions.read(folder), world)


def test_an_empty_table_lacks_every_prediction(folder, world):
    found = problems(altered(folder, lambda table: table.iloc[:0]), world)
    assert "240 of 240 predictions have no row: each counts as one half" in found


def gates(world, predictions, **more):
    rows = submissions.asked(world, SETTING).rows
    own = submissions.Submission("x", about(world, **more), predictions, None, None, {})
    table = checking.of_predictions(own, submissions.filled(own, rows), world)
    return set(table.loc[table["fired"], "gate"])


def test_gates_fire_on_predictions_that_know_more_than_they_declare(world, predictions):
    assert gates(world, predictions) == set()
    assert gates(world, predictions, sees=[]) == {"history undeclared"}
    own = predictions["choice_id"].map(hidden.labels(world)).to_numpy()
    leaked = predictions.assign(p_first=0.2 + 0.6 * own)
    assert gates(world, leaked) >= {"k = 0 knows the person", "k = 0 beats pooled", "above the ceiling, k = 0"}
    group = predictions["persona_id"].map(world.people["group"]).str[-1].astype(int)
    by_group = predictions.assign(p_first=group / 10)
    assert gates(world, by_group) == {"k = 0 knows the person"} and gates(world, by_group, sees=["groups"]) == set()


def test_a_missing_prediction_switches_no_gate_off(world, predictions):
    rng = np.random.default_rng(0)
    told = predictions.assign(p_first=rng.random(len(predictions)))
    told.loc[told.groupby("choice_id").head(1).index, "p_first"] = np.nan  # one of each choice
    assert {"history undeclared"} <= gates(world, told, sees=[])
    lost = predictions.assign(p_first=predictions["p_first"].mask((predictions["k"] == 0) & (rng.random(240) < 0.2)))
    assert "k = 0 missing" in gates(world, lost)
    assert "k = 0 missing" in gates(world, predictions[predictions["k"] > 0])


def test_answers_are_checked_for_whom_they_are(tmp_path, world, predictions):
    key = submissions.asked(world, SETTING).rows[["persona_id", "prompt_id"]].drop_duplicates()
    answers = key.assign(answer="yes", failure=None)
    submissions.write(tmp_path / "mine", about(world), predictions, world, answers)
    assert problems(tmp_path / "mine", world) == []
    bad = pd.concat([answers.iloc[1:], answers.iloc[1:3], answers.iloc[:1].assign(persona_id="x", answer=" ")])
    bad.to_parquet(tmp_path / "mine" / ANSWERS)
    submissions.seal(tmp_path / "mine", world)
    said = problems(tmp_path / "mine", world)
    assert [line.split(": ")[1][:24] for line in said] == [
        "2 rows are doubled, such",
        "1 answers are empty with",
        "1 rows are of people or ",
        f"1 of {len(answers)} answers have no row"[:24],
    ]


def test_a_folder_with_something_else_is_left_alone(tmp_path, world, predictions):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(UserError, match="holds something else, not a submission"):
        submissions.write(tmp_path, about(world), predictions, world)


def test_ranks_are_intervals_and_the_same_accuracy_is_tied(world):
    """A method that is almost always right beats two that guess; these can't be told apart."""
    rng = np.random.default_rng(0)
    rows = submissions.asked(world, Setting(ks=(0,))).rows

    def entry(name, skill):
        right = np.where(rng.random(len(rows)) < skill, rows["chosen"], 1 - rows["chosen"])
        own = rows.assign(p_first=0.1 + 0.8 * right, failure=None)
        one = about(world, name=name, ks=[0], draws=1)
        submission = submissions.Submission(name, one, own, None, None, {})
        filled = submissions.filled(submission, rows)
        return checking.Checked(submission, [], pd.DataFrame(), filled, submissions.scored(filled))

    entries = [entry("coin", 0.5), entry("good", 0.97), entry("other coin", 0.52)]
    (section,) = board.sections(entries, world)
    table = section.table.set_index("method")
    assert list(table.loc["good", ["best", "worst"]]) == [1, 1]
    assert list(table.loc["coin", ["best", "worst"]]) == list(table.loc["other coin", ["best", "worst"]]) == [2, 3]
    assert section.says == "\u201cgood\u201d is first: it beats every other method." and section.comparisons == 3
    (section,) = board.sections([entries[0], entries[2]], world)
    assert section.says == "The 2 methods are tied: no difference between two of them is significant."
    with pytest.raises(UserError, match=r"two submissions are named 'coin' \(coin and coin\)"):
        board.sections([entries[0], entry("coin", 0.5)], world)
    changed = entries[1].submission.about.model_copy(update={"draws": 2})
    with pytest.raises(UserError, match="coin has draws 1, good 2: a board compares"):
        board.sections(
            [entries[0], entries[1]._replace(submission=entries[1].submission._replace(about=changed))], world
        )


def test_ranks_of_few_people_are_open():
    table = pd.DataFrame({"method": ["a", "b"], "people": 5, "accuracy": [0.9, 0.1]})
    gaps = pd.DataFrame({"minuend": ["a"], "subtrahend": ["b"], "difference": [0.8], "p_holm": [0.001]})
    assert board.ranked(table, gaps)["worst"].tolist() == [2, 2]
    assert board.said(board.ranked(table, gaps)).startswith("Too few people (5)")
    many = board.ranked(table.assign(people=50), gaps)
    assert many[["best", "worst"]].to_numpy().tolist() == [[1, 1], [2, 2]]


@pytest.fixture(scope="module")
def opened(tmp_path_factory, world):
    folder = tmp_path_factory.mktemp("round") / "one"
    hidden.open_world(world, folder, "salt", seed=5)
    return folder


def test_a_public_world_has_no_tested_label_and_the_digest_of_the_whole(opened, world):
    public = methods.load_world(opened / "public")
    tested = methods.cells(public).isin(methods.worlds.world.TESTS)
    assert public.choices.loc[tested, "p_first"].isna().all() and public.choices.loc[~tested, "p_first"].notna().all()
    assert hidden.digest(public) == hidden.digest(world) and hidden.labels_digest(public) is None
    assert "seed" not in public.about and not (opened / "public" / "labels.parquet").exists()


def test_a_submission_to_a_hidden_world_gets_its_scores_when_it_is_closed(opened, tmp_path, world, predictions):
    public = methods.load_world(opened / "public")
    again = methods.trial(hidden.veiled(public), [linear.Shrunk(methods.embedder(public))], SETTING)
    pd.testing.assert_frame_equal(again, predictions)
    submissions.write(tmp_path / "mine", about(public), again, public)
    before = checking.check(submissions.read(tmp_path / "mine"), public)
    assert before.problems == [] and before.scores.empty and "k = 0 knows the person" in set(before.gates["gate"])
    assert problems(altered(tmp_path / "mine", lambda t: t.iloc[1:]), public)[-1].startswith("1 of 240 predictions")
    submissions.write(tmp_path / "mine", about(public), again, public)
    hidden.close_world(opened / "public", opened / "private", tmp_path / "closed")
    closed = methods.load_world(tmp_path / "closed")
    assert hidden.labels(closed).sort_index().equals(hidden.labels(world).sort_index())
    after = checking.check(submissions.read(tmp_path / "mine"), closed)
    assert after.problems == [] and after.scores["accuracy"].between(0.4, 1).all()


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda f: turn(f / "private" / "labels.parquet"), "has other labels, or another salt, than"),
        (lambda f: (f / "private" / "salt.txt").write_text("pepper"), "has other labels, or another salt, than"),
        (lambda f: (f / "private" / "salt.txt").unlink(), "has no salt.txt: name the folder with"),
        (lambda f: turn(f / "public" / "choices.parquet"), "has changed since it was opened"),
        (lambda f: (f / "public" / "hidden.yaml").write_text("[]"), "hidden.yaml has no commitment"),
    ],
)
def test_a_round_is_closed_only_with_what_it_was_opened_with(tmp_path, world, harm, said):
    hidden.open_world(world, tmp_path, "salt", seed=5)
    harm(tmp_path)
    with pytest.raises(UserError, match=r"^[^\n]*$") as error:
        hidden.close_world(tmp_path / "public", tmp_path / "private", tmp_path / "closed")
    assert said in str(error.value) and not (tmp_path / "closed").exists()


def test_choices_that_failed_are_neither_hidden_nor_asked(tmp_path, world):
    """Nobody knows their labels, before and after."""
    choices = world.choices
    tested = methods.cells(world) == SETTING.cell
    lost = tested & (np.arange(len(choices)) % 3 == 0)
    failed = world._replace(
        choices=choices.assign(
            p_first=choices["p_first"].mask(lost), failure=choices["failure"].mask(lost, "the judge refused")
        )
    )
    hidden.open_world(failed, tmp_path, "salt", seed=5)
    public = methods.load_world(tmp_path / "public")
    asked = submissions.asked(public, SETTING).rows
    assert len(asked) == (tested & ~lost).sum() * 4 and asked["chosen"].isna().all()
    assert (public.choices.loc[lost, "failure"] == "the judge refused").all()
    closed = hidden.close_world(tmp_path / "public", tmp_path / "private", tmp_path / "closed")
    assert hidden.labels(closed).equals(hidden.labels(failed))
    assert hidden.digest(methods.load_world(tmp_path / "closed")) == hidden.digest(failed)


def turn(path):
    table = pd.read_parquet(path)
    table.assign(p_first=1 - table["p_first"]).to_parquet(path)


def test_the_seed_of_a_round_does_not_draw_its_people(world):
    salts = [hidden.new_salt() for _ in range(2)]
    assert len(salts[0]) == 64 and salts[0] != salts[1]
    (one, tastes), (other, others), (again, same) = (simulated.drawn(DESIGN, 5, salt) for salt in (*salts, salts[0]))
    pd.testing.assert_frame_equal(one.features, other.features)  # public features do not determine people and labels
    assert one.choices["first"].equals(other.choices["first"]) and not np.isclose(tastes, others).any()
    assert not one.choices["p_first"].equals(other.choices["p_first"]) and not one.people.equals(other.people)
    pd.testing.assert_frame_equal(one.choices, again.choices)
    assert (tastes == same).all()
    with pytest.raises(UserError, match="has no label of a tested choice to hide"):
        hidden.open_world(hidden.blinded(world), "nowhere", "salt", 5)


def test_no_round_is_opened_whose_labels_could_be_told(tmp_path, world):
    texts = world.candidates["candidate_id"].map(dict.fromkeys(world.choices["first"], " longer"))
    told = world.candidates.assign(text=world.candidates["text"] + texts.fillna(""))
    chosen = world.choices["p_first"] < 0.5  # the first is always chosen
    turned = {"first": "second", "second": "first"}
    sides = {name: world.choices[name].mask(chosen, world.choices[other]) for name, other in turned.items()}
    made = world._replace(candidates=told, choices=world.choices.assign(**sides, p_first=1.0), truth=None)
    methods.save_world(made, tmp_path / "world")
    with pytest.raises(UserError, match=r"no round is opened, since its labels could be told: GATE .*position"):
        submitting.open_round(tmp_path / "round", 1, str(tmp_path / "world"))
    assert not (tmp_path / "round").exists()


def test_a_round_overwrites_nothing(tmp_path, world):
    (tmp_path / "labels.parquet").write_text("of an earlier round")
    with pytest.raises(UserError, match="so that no earlier labels are lost"):
        hidden.open_world(world, tmp_path, "salt", 5)


def test_other_columns_of_choices_are_not_published(tmp_path, world):
    told = world._replace(choices=world.choices.assign(label=world.choices["p_first"]))
    hidden.open_world(told, tmp_path, "salt", seed=5)
    public = pd.read_parquet(tmp_path / "public" / "choices.parquet")
    assert set(public) == {*methods.worlds.world.NEEDED["choices"], "failure"}
    hidden.close_world(tmp_path / "public", tmp_path / "private", tmp_path / "closed")
    assert hidden.digest(methods.load_world(tmp_path / "closed")) == hidden.digest(told)
