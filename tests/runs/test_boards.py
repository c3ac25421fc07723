"""Submissions on the command line, from a method to a row on a page, and in other tools' forms."""

import gc
import json
import re
import subprocess
from pathlib import Path

import pandas as pd
import pytest
import yaml
from axe_playwright_python.sync_playwright import Axe
from commands import one_line, persona
from endpoint import Endpoint, first_token

from persona_lib import methods
from persona_lib.methods import simulated

DESIGN = simulated.Design(seen=16, unseen=12, prompts=16, heldout=8, history=14, tests=8, dimensions=4, rank=2)
LENGTH = """
import numpy as np
from persona_lib.methods import Method


class Coin(Method):
    name = "coin"
    sees = ()
    parameters = 1

    def prefer(self, prompt, first, second):
        return np.full(len(prompt), 0.6)
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A world, with a submission of a built-in method and one of one's own."""
    folder = tmp_path_factory.mktemp("testbed")
    methods.save_world(simulated.world(DESIGN, seed=1), folder / "world")
    (folder / "coin.py").write_text(LENGTH)
    for name, out in (("per person, shrunk", "shrunk"), (f"{folder / 'coin.py'}:Coin", "coin")):
        more = ("--contamination", "none that I know of") if out == "coin" else ()
        done = persona(
            *("methods", "submit", "--method", name, "--world", folder / "world", "--out", folder / out),
            *("--k", 0, "--k", 8, *more),
        )
        assert done.exit_code == 0, done.stderr
    return folder


def test_submissions_that_are_whole_are_told_to_be(place):
    done = persona("methods", "check", place / "shrunk", place / "coin", "--world", place / "world")
    assert done.exit_code == 0 and done.stdout.endswith("no problem found\n"), done.stdout
    assert "coin, on known truth: 192 predictions, 0 of them missing\n  k = 0: " in done.stdout


def test_a_problem_and_an_unusable_folder_are_a_line_each(place, tmp_path):
    table = pd.read_parquet(place / "coin" / "predictions.parquet")
    bad = tmp_path / "bad"
    bad.mkdir()
    for name in ("method.yaml", "contexts.parquet", "manifest.json"):
        (bad / name).write_bytes((place / "coin" / name).read_bytes())
    table.assign(p_first=0.4).to_parquet(bad / "predictions.parquet")
    done = persona("methods", "check", bad, "--world", place / "world")
    assert done.exit_code == 1 and "PROBLEM predictions.parquet has changed since manifest.json" in done.stdout
    (tmp_path / "empty").mkdir()
    done = persona("methods", "check", tmp_path / "empty", place / "coin", "--world", place / "world")
    assert done.exit_code == 2 and "UNUSABLE" in done.stdout and "it has no method.yaml" in done.stdout
    assert "coin, on known truth: 192 predictions" in done.stdout
    assert "named twice" in one_line(persona("methods", "check", bad, bad))


SPY = """
import gc

import numpy as np

from persona_lib.methods import Method, cells
from persona_lib.methods.worlds.world import TESTS, World


class Spy(Method):
    def fit(self, pairs, people):
        worlds = [one for one in gc.get_objects() if type(one) is World and one.about.startswith("of a spy")]
        todo, known = [self.embed], {id(self.embed)}
        while todo:  # what the embedder holds
            for one in gc.get_referents(todo.pop()):
                if id(one) not in known and not issubclass(type(one), (type, type(gc), dict)):
                    known.add(id(one))
                    todo.append(one)
                    worlds += [one] if type(one) is World else []  # a dead proxy has no class to ask for
        tested = [one.choices.loc[cells(one).isin(TESTS), "p_first"] for one in worlds]
        self.found = not worlds or any(not p.isin([0.5]).all() for p in tested)

    def prefer(self, prompt, first, second):
        return np.full(len(prompt), 1.0 if self.found else 0.25)
"""


def test_a_method_that_is_submitted_finds_no_label_in_memory(place, tmp_path):
    made = simulated.world(DESIGN, seed=1)._replace(about="of a spy")
    methods.save_world(made, tmp_path / "world")
    (tmp_path / "spy.py").write_text(SPY)
    del made
    gc.collect()
    done = persona(
        *("methods", "submit", "--method", f"{tmp_path / 'spy.py'}:Spy", "--world", tmp_path / "world"),
        *("--k", 0, "--out", tmp_path / "spy"),
    )
    assert done.exit_code == 0, done.output
    assert pd.read_parquet(tmp_path / "spy" / "predictions.parquet")["p_first"].eq(0.25).all()


def test_a_board_is_one_page_with_intervals_of_ranks(place, tmp_path, browser):
    folders = (place / "shrunk", place / "coin", tmp_path)
    done = persona("methods", "leaderboard", *folders, "--world", place / "world", "--out", tmp_path / "board")
    assert done.exit_code == 1 and f"{tmp_path} is no submission" in done.stdout
    page = (tmp_path / "board" / "index.html").read_text()
    assert not re.search(r"<script|src=|https?://|@import", page)
    assert 'id="world-1-k8"' in page and 'href="#world-1-k0"' in page and "Left out" in page
    assert "what it may have met before: none that I know of" in page
    opened = browser.new_page(viewport={"width": 400, "height": 900}, color_scheme="dark")
    opened.goto((tmp_path / "board" / "index.html").as_uri())
    assert Axe().run(opened).response["violations"] == []
    opened.close()
    table = pd.read_csv(tmp_path / "board" / "leaderboard.csv")
    assert set(table["method"]) == {"coin", "per person, shrunk"} and set(table["k"]) == {0, 8}
    assert (table["best"] <= table["worst"]).all() and table["world"].eq("known truth").all()
    shown = persona("methods", "check", place / "coin", "--world", place / "world").stdout
    at = table[(table["method"] == "coin") & (table["k"] == 8)].iloc[0]
    assert f"k = 8: {at['accuracy']:.0%} (95% interval {at['low']:.0%}" in shown
    assert "holds something else" in one_line(
        persona("methods", "leaderboard", place / "coin", "--world", place / "world", "--out", place)
    )


def test_a_gate_that_fires_stands_in_red_above_the_table(place, tmp_path):
    table = pd.read_parquet(place / "coin" / "predictions.parquet")
    leaky = tmp_path / "leaky"
    leaky.mkdir()
    (leaky / "method.yaml").write_text(
        (place / "coin" / "method.yaml").read_text().replace("name: coin", "name: spy <i>")
    )
    own = pd.Series(range(len(table)), table.index) % 7 / 7
    table.assign(p_first=own).to_parquet(leaky / "predictions.parquet")
    assert persona("methods", "seal", leaky, "--world", place / "world").exit_code == 0
    done = persona("methods", "leaderboard", leaky, place / "coin", "--world", place / "world", "--out", tmp_path / "b")
    assert done.exit_code == 0, done.stdout
    page = (tmp_path / "b" / "index.html").read_text()
    fired = page.index(
        '<p class="gate"><strong>Gate fired</strong>: spy &lt;i&gt;, history undeclared: its predictions change'
    )
    assert fired < page.index("<table") and page.count("a gate fired") == 2  # at both k


def test_a_folder_that_cannot_be_written_is_told_before_the_work(place, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("years of work")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").write_text("years of work")
    monkeypatch.setattr("persona_lib.runs.testbed.trials.run", None)
    monkeypatch.setattr("persona_lib.runs.testbed.submitting.named", None)
    monkeypatch.setattr("persona_lib.runs.testbed.submitting.check", None)
    for command in (("run",), ("submit", "--method", "pooled"), ("leaderboard", place / "coin")):
        for out in (tmp_path / "file", tmp_path / "file" / "below"):
            said = one_line(persona("methods", *command, "--world", place / "world", "--out", out))
            assert said == f"error: {out} can be no folder: {tmp_path / 'file'} is a file; choose another folder\n"
    assert "holds something else" in one_line(persona("methods", *command, "--out", tmp_path / "other"))


def test_parameters_that_fit_sets_are_a_number_or_a_line(place, tmp_path):
    learned = (
        LENGTH.replace("    parameters = 1\n", "")
        + "\n    def fit(self, pairs, people):\n        self.parameters = {}\n"
    )
    for number, code in (("np.int64(5)", 0), ("'many'", 2)):
        (tmp_path / "own.py").write_text(learned.format(number))
        arguments = ("--world", place / "world", "--k", 0, "--out", tmp_path / "mine")
        done = persona("methods", "submit", "--method", f"{tmp_path / 'own.py'}:Coin", *arguments)
        assert done.exit_code == code, done.output
        about = yaml.safe_load((tmp_path / "mine" / "method.yaml").read_text())
        assert about["parameters"] == (None if code else 5)
    assert "is written without `parameters`, which are 'many'" in done.stderr
    assert len(pd.read_parquet(tmp_path / "mine" / "predictions.parquet")) == 96


def test_what_was_killed_half_way_can_be_written_again(place, tmp_path):
    board, mine = tmp_path / "board", tmp_path / "mine"
    board.mkdir()
    mine.mkdir()
    for half in (board / "leaderboard.csv", board / ".leaderboard.3.part.csv", mine / ".predictions.3.part.parquet"):
        half.write_text("half")
    world = ("--world", place / "world")
    done = persona("methods", "leaderboard", place / "coin", "--out", board, *world)
    assert done.exit_code == 0, done.output
    assert {path.name for path in board.iterdir()} == {"index.html", "leaderboard.csv", "leaderboard.parquet"}
    done = persona("methods", "submit", "--method", "pooled", "--k", 0, "--out", mine, *world)
    assert done.exit_code == 0 and not list(mine.glob(".*")), done.output


def test_texts_of_others_forge_no_line(place, tmp_path):
    """A reason that a submission gives is one line, whatever stands in it."""
    table = pd.read_parquet(place / "coin" / "predictions.parquet")
    mine = tmp_path / "mine"
    mine.mkdir()
    for name in ("method.yaml", "contexts.parquet"):
        (mine / name).write_bytes((place / "coin" / name).read_bytes())
    forged = "a\nno problem found\n" * 100
    table.assign(p_first=float("nan"), failure=forged).to_parquet(mine / "predictions.parquet")
    assert persona("methods", "seal", mine, "--world", place / "world").exit_code == 0
    done = persona("methods", "check", mine, "--world", place / "world")
    assert done.stdout.splitlines().count("no problem found") == int(done.exit_code == 0)
    assert max(map(len, done.stdout.splitlines())) < 330
    about = (mine / "method.yaml").read_text().replace("world: known truth", 'world: "a\\nno problem found"')
    (mine / "method.yaml").write_text(about)
    done = persona("methods", "check", mine, "--world", place / "world")
    assert done.exit_code == 2 and "UNUSABLE" in done.stdout and done.stdout.count("\n") == 1


def test_two_of_one_name_or_none_at_all_make_no_board(place, tmp_path):
    twin = tmp_path / "twin"
    twin.mkdir()
    for path in (place / "coin").iterdir():
        (twin / path.name).write_bytes(path.read_bytes())
    arguments = ("--world", place / "world", "--out", tmp_path / "board")
    said = one_line(persona("methods", "leaderboard", twin, place / "coin", *arguments))
    assert "two submissions are named 'coin'" in said
    assert "no submission can stand on a board" in one_line(persona("methods", "leaderboard", tmp_path, *arguments))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("submit", "--method", "best"), "no method 'best': write FILE.py:CLASS, or one of: the longer answer; "),
        (("submit", "--method", "profile in the prompt"), "'profile in the prompt' asks a language model"),
        (("submit", "--method", "pooled", "--k", 10**6), "k = 1000000 is too large for world 'known truth'"),
    ],
)
def test_what_cannot_be_submitted_is_one_line(place, tmp_path, given, said):
    arguments = ("--world", place / "world", "--out", tmp_path / "new")
    assert one_line(persona("methods", *given, *arguments)).startswith(f"error: {said}")
    assert not (tmp_path / "new").exists()


def test_what_a_method_asks_of_a_model_is_its_cost(place, tmp_path):
    with Endpoint(lambda body: first_token(A=0.7, B=0.3)) as endpoint:
        options = ("--k", 0, "--model", "m", "--base-url", endpoint.url)
        arguments = ("--world", place / "world", "--out", tmp_path / "told")
        done = persona("methods", "submit", "--method", "told nothing", *arguments, *options)
    assert done.exit_code == 0, done.stderr
    about = yaml.safe_load((tmp_path / "told" / "method.yaml").read_text())
    assert about["calls"] > 0 and about["tokens"] >= about["calls"] and about["sees"] == []
    done = persona("methods", "leaderboard", tmp_path / "told", "--world", place / "world", "--out", tmp_path / "board")
    assert f"{about['calls']:,} calls, {about['tokens']:,} tokens" in (tmp_path / "board" / "index.html").read_text()
    assert done.exit_code == 0, done.stdout


# What inspect itself is warned of. The streams that it leaves unclosed must be gone before warnings are errors again.
@pytest.mark.filterwarnings("ignore:Unclosed <MemoryObject:ResourceWarning")
def test_a_log_is_one_that_inspect_reads(place, tmp_path):
    log = pytest.importorskip("inspect_ai.log", reason="inspect-ai is not installed: pip install -e '.[inspect]'")
    done = persona("methods", "export", place / "coin", "--out", tmp_path / "log", "--world", place / "world")
    assert done.exit_code == 0, done.stderr
    read = log.read_eval_log(done.stdout.strip())
    assert read.status == "success" and read.eval.model == "persona-testbed/coin" and len(read.samples) == 192
    stated = json.loads((place / "coin" / "manifest.json").read_text())["scores"]
    for scores, row in zip(read.results.scores, stated, strict=True):
        assert scores.metrics["accuracy"].value == row["accuracy"] and scores.scored_samples == row["n"]
    sample = read.samples[0]
    right = sample.target == "first"
    assert sample.scores["preferred"].value == float(right) and sample.scores["preferred"].answer == "first"
    gc.collect()


def test_a_record_has_the_fields_of_every_eval_ever(place, tmp_path):
    """Names and types by hand from the schema 0.3.0; docs/submissions.md has the command of its own validator."""
    arguments = ("--form", "every-eval-ever", "--world", place / "world")
    done = persona("methods", "export", place / "shrunk", "--out", tmp_path / "eee", *arguments)
    aggregate, samples = (Path(line) for line in done.stdout.splitlines())
    record = json.loads(aggregate.read_text())
    assert {"schema_version", "evaluation_id", "retrieved_timestamp", "source_metadata", "model_info"} <= set(record)
    assert re.fullmatch(
        r"data/persona-testbed/persona-testbed/per-person-shrunk/[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-"
        r"[0-9a-f]{12}_samples\.jsonl",
        record["detailed_evaluation_results"]["file_path"],
    )
    stated = json.loads((place / "shrunk" / "manifest.json").read_text())["scores"]
    for result, row in zip(record["evaluation_results"], stated, strict=True):
        assert result["score_details"]["score"] == row["accuracy"]
        assert result["score_details"]["uncertainty"]["confidence_interval"]["lower"] == row["low"]
    lines = [json.loads(line) for line in samples.read_text().splitlines()]
    assert len(lines) == record["detailed_evaluation_results"]["total_rows"] == sum(row["n"] for row in stated)
    assert {line["evaluation_result_id"] for line in lines} == {"k=0", "k=8"}
    assert all(line["evaluation"]["is_correct"] == (line["evaluation"]["score"] == 1) for line in lines)
    assert persona("methods", "export", place / "coin", "--out", tmp_path / "no", "--form", "pdf").exit_code == 2


def test_a_round_from_its_opening_to_the_board(place, tmp_path):
    """A submission made while labels are hidden has no score, and gets it from the closed world."""
    opened, public = tmp_path / "round", tmp_path / "round" / "public"
    done = persona("methods", "hidden", "open", "--world", place / "world", "--seed", 7, "--out", opened)
    assert done.exit_code == 0 and "commitment" in done.stdout, done.stderr
    arguments = ("--world", public, "--k", 0, "--k", 8)
    done = persona("methods", "submit", "--method", "per person, shrunk", "--out", tmp_path / "mine", *arguments)
    assert "scores: none while the labels are hidden" in done.stdout, done.stderr
    board = ("methods", "leaderboard", tmp_path / "mine", "--out", tmp_path / "board")
    assert "are hidden" in one_line(persona(*board, "--world", public))
    done = persona("methods", "hidden", "close", public, opened / "private", "--out", tmp_path / "closed")
    assert done.exit_code == 0 and "the labels are those committed to" in done.stdout, done.stderr
    done = persona("methods", "check", tmp_path / "mine", "--world", tmp_path / "closed")
    straight = persona("methods", "check", place / "shrunk", "--world", place / "world")
    scores = [re.findall(r"k = \d: .*", text.stdout) for text in (done, straight)]
    assert scores[0] == scores[1] != [] and done.exit_code == 0


def test_the_ids_of_a_drawn_round_do_not_tell_its_seed(tmp_path):
    from persona_lib.runs.testbed import submitting

    submitting.open_round(tmp_path / "round", 3, design=DESIGN)
    people = pd.read_parquet(tmp_path / "round" / "public" / "people.parquet")
    assert people.index[0] == "person 0"
    world = methods.load_world(tmp_path / "round" / "public")
    again = simulated.world(DESIGN, seed=3)
    assert not world.features.equals(again.features)


def test_another_file_that_changed_does_not_make_ones_own_dirty(tmp_path):
    from persona_lib.runs.testbed import submitting

    def git(*command):
        own = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        return subprocess.run(["git", "-C", str(tmp_path), *own, *command], check=True, capture_output=True, text=True)

    for name in ("mine.py", "other.py"):
        (tmp_path / name).write_text("x = 1\n")
    for command in (("init",), ("add", "."), ("commit", "-m", "both")):
        git(*command)
    (tmp_path / "other.py").write_text("x = 2\n")
    commit = git("rev-parse", "HEAD").stdout.strip()
    assert submitting.commit_of(tmp_path / "mine.py") == commit
    assert submitting.commit_of(tmp_path / "other.py") == f"{commit}-dirty"
