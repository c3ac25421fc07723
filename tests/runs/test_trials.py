"""The command `persona methods run`: a method of one's own beside the built-in ones, gates above the table."""

import json
import re

import pandas as pd
import pytest
from commands import one_line, persona
from endpoint import Endpoint, completion, first_token

from persona_lib import UserError, methods
from persona_lib.methods import simulated
from persona_lib.runs import planted
from persona_lib.runs.planning import notebooks, preflight, presets

DESIGN = simulated.Design(seen=24, unseen=12, prompts=30, heldout=12, history=16, tests=6, dimensions=6, rank=2)
LEAKY = """
import itertools
import numpy as np
from persona_lib.methods import Method

COUNT = itertools.count()


class Leaky(Method):
    name = "leaky"

    def adapt(self, context, person):
        self.number = next(COUNT)

    def prefer(self, prompt, first, second):
        return np.full(len(prompt), self.number % 97 / 97)
"""


@pytest.fixture
def folder(tmp_path):
    return methods.save_world(simulated.world(DESIGN, seed=1), tmp_path / "world")


def example(tmp_path, root):
    text = (root / "docs" / "methods.md").read_text()
    (code,) = re.findall(r"```python\n# my_method.py\n(.*?)```", text, re.DOTALL)
    path = tmp_path / "my_method.py"
    path.write_text(code)
    return path


def test_the_method_of_the_tutorial_is_a_row_of_the_table(folder, tmp_path, request):
    path = example(tmp_path, request.config.rootpath)
    out = tmp_path / "out"
    done = persona("methods", "run", "--world", folder, "--method", f"{path}:LengthTaste", "--k", 4, "--out", out)
    assert done.exit_code == 0, done.stderr
    assert (
        "taste for length" in done.stdout and "GATE" not in done.stdout and "Known truth, k = 4: pooled" in done.stdout
    )
    assert re.search(r"No gate against leaks fired, of \d\d tried\.\n\nPredictions at k = 4:\n", done.stdout)
    assert "Beside logit on attributes at k = 4 (Holm). Not shown to differ: the longer answer; majority" in done.stdout
    table = pd.read_parquet(out / "accuracy.parquet")
    assert set(table["k"]) == {4} and "taste for length" in set(table["method"]) and table["failed"].sum() == 0
    plural = pd.read_parquet(out / "pluralism.parquet").set_index("method")
    assert list(plural.index) == list(table["method"]) and plural.loc["pooled", "steerability"] == pytest.approx(0)
    assert plural["distance"].notna().all() and "The three pluralisms:\nsteerability:" in done.stdout
    assert "coverage: not known" in done.stdout  # its people compare two of four answers


def test_ones_own_method_that_knows_people_without_their_choices_fires_a_gate(folder, tmp_path):
    (tmp_path / "leaky.py").write_text(LEAKY)
    done = persona("methods", "run", "--world", folder, "--method", f"{tmp_path / 'leaky.py'}:Leaky", "--k", 4)
    assert "GATE leaky, k = 0 knows the person: it tells people apart at k = 0" in done.stdout, done.stderr


def test_ones_own_method_that_predicts_nothing_ends_with_code_1(folder, tmp_path):
    code = """from persona_lib.methods import Method
class Fails(Method):
    name = "fails"
    def prefer(self, prompt, first, second):
        raise ValueError("no luck")
"""
    (tmp_path / "fails.py").write_text(code)
    own = f"{tmp_path / 'fails.py'}:Fails"
    done = persona("methods", "run", "--world", folder, "--method", own, "--k", 0, "--k", 2)
    assert done.exit_code == 1 and "fails: 100% of its predictions are missing" in done.stderr
    assert all(f"fails, k = {k}: " in done.stdout for k in (0, 2)) and "Not scored: fails." in done.stdout
    assert "gate fails, shuffled labels: not tried: too little is known or predicted" in done.stdout


def test_a_gate_that_fires_stands_above_the_table(folder):
    choices = pd.read_parquet(folder / "choices.parquet")
    turn = choices["p_first"] < 0.5
    first, second = choices["first"].where(~turn, choices["second"]), choices["second"].where(~turn, choices["first"])
    choices.assign(first=first, second=second, p_first=1.0).to_parquet(folder / "choices.parquet")
    lines = persona("methods", "run", "--world", folder, "--k", 0).stdout.splitlines()
    assert lines[2].startswith("GATE position: the answer in one place is chosen")


def test_what_methods_pick_stands_beside_what_they_predict(folder, tmp_path):
    done = persona("methods", "run", "--world", folder, "--k", 4, "--out", tmp_path / "out")
    assert "Picks among the candidates (policy accuracy: " in done.stdout
    assert re.search(r"pooled +[\d.]+% \[.* [\d.]+% \[", done.stdout.partition("Picks among")[2])  # both in percent
    assert "Policy, k = 4: people prefer what pooled picks in " in done.stdout, done.stderr
    assert "tau between the orders of 12 methods by prediction and by policy" in done.stdout
    table = pd.read_parquet(tmp_path / "out" / "policy.parquet")
    assert (table["judged"] + table["uncompared"] == 12 * 6).all() and table["policy"].between(0, 1).all()
    assert len(pd.read_parquet(tmp_path / "out" / "policy_differences.parquet")) == 11
    assert not (tmp_path / "out" / "wins.parquet").exists(), "nothing is generated unless asked for"


def test_accuracy_stands_against_k_and_every_table_is_csv_too(folder, tmp_path):
    out = tmp_path / "out"
    done = persona("methods", "run", "--world", folder, "--k", 0, "--k", 8, "--out", out)
    _, _, below = done.stdout.partition("Accuracy [95% interval] at each k (accuracy.csv of --out FOLDER")
    head, *lines = below.splitlines()[1:14]
    assert re.fullmatch(r"method +k = 0 +k = 8", head) and done.stdout.count("Predictions at k = 8:") == 1
    table = pd.read_csv(out / "accuracy.csv")
    assert len(table) == 2 * len(lines) and table[["accuracy", "low", "high", "n"]].notna().all(axis=None)
    for line, (method, own) in zip(lines, table.groupby("method", sort=False), strict=True):
        assert line.startswith(method) and own["k"].tolist() == [0, 8]
        told = [float(value) / 100 for value in re.findall(r"([\d.]+)%", line)]
        assert told == pytest.approx(own["accuracy"].tolist(), abs=0.006)
    names = {path.stem for path in out.glob("*.parquet")}
    assert names == {path.stem for path in out.glob("*.csv")} and len(names) == 8
    assert f"tables in {out}; accuracy.csv has each method at each k" in done.stdout


def test_with_a_model_and_answers_methods_write_and_are_compared(tmp_path):
    sizes = {"prompts": 12, "heldout": 4, "history": 8, "tests": 2, "dimensions": 2, "rank": 1}
    made = simulated.world(simulated.Design(seen=6, unseen=4, **sizes), seed=1)
    text = "words of candidate " + made.candidates.index.astype(str)
    people = made.people.assign(profile=[f"age: {30 + i}" for i in range(10)])
    world = made._replace(people=people, candidates=made.candidates.assign(text=text), features=None, truth=None)
    place, out = methods.save_world(world, tmp_path / "world"), tmp_path / "out"
    with planted.Endpoint(planted.World(0)) as endpoint:
        given = ("--model", "planted-1", "--judge", "planted-2", "--base-url", endpoint.url, "--answers", 3, "--k", 2)
        done = persona("methods", "run", "--world", place, *given, "--out", out)
    assert done.exit_code == 0, done.stderr
    for line in ("against one answer for all", "agreement with false premises", "calls and tokens per person"):
        assert f"\n{line}\n" in done.stdout
    names = "length and refusals", "agreement with false premises"
    refusals, premises = (done.stdout.partition(f"\n{name}\n")[2] for name in names)
    assert re.search(r"^told nothing .* \d+% \[", refusals, re.M), "in percent"
    assert "more than told nothing, points [95% interval]" in premises
    assert "Answers for 3 people to 4 prompts, against one answer for all (planted-2 judges): " in done.stdout
    wins, costs = (pd.read_parquet(out / f"{name}.parquet") for name in ("wins", "costs_of_answers"))
    assert len(wins) == 20 and (wins["n"] + wins["failed"] == 12).all()
    assert costs.set_index("method").loc["profile in the prompt", "tokens"] > 100


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--answers", "3"), "error: answers are written by a language model: name one with --model"),
        (("--world", "nowhere"), "error: no world 'nowhere': choose known-truth, anes, gss, or a folder"),
        (("--method", "mine.py"), "error: 'mine.py' names no method: write FILE.py:CLASS"),
    ],
)
def test_what_cannot_be_used_is_one_line(given, said):
    assert one_line(persona("methods", "run", *given)).startswith(said)


def planned(**given):
    return presets.plan(presets.load("smoke"), ["11"], {"survey": "anes", "ks": [0, 4], **given})


def test_ones_own_method_and_world_are_found_from_where_the_command_runs(folder, tmp_path, request, monkeypatch):
    example(tmp_path, request.config.rootpath)
    monkeypatch.chdir(tmp_path)
    plan = planned(own_methods=["my_method.py:LengthTaste"], world="world")
    assert not any("11" in line for line in preflight.check(plan, asks=False))
    monkeypatch.chdir(notebooks.folder())
    values = plan["11_methods"]
    assert methods.title(methods.load_method(values["own_methods"][0])) == "taste for length"
    assert methods.load_world(values["world"]).name == "known truth"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"own_methods": ["none.py:Mine"]}, "11: own_methods: no file none.py"),
        ({"own_methods": ["my_method.py:Mine"]}, "my_method.py has no class 'Mine': it has LengthTaste"),
        ({"own_methods": ["my_method.py"]}, "names no method: write FILE.py:CLASS"),
        ({"world": "nowhere"}, "11: world: no folder nowhere"),
        ({"choices": "nowhere"}, "11: choices: no folder nowhere"),
        ({"world": "empty"}, "world: empty has no table 'people'"),
    ],
)
def test_ones_own_method_and_world_are_looked_at_before_a_run(given, said, tmp_path, request, monkeypatch):
    example(tmp_path, request.config.rootpath)
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError) as caught:
        preflight.check(planned(**given), asks=False)
    assert said in str(caught.value) and "\n" not in str(caught.value) and "../" not in str(caught.value)


def replied(body):
    """A choice of A, or a text in each field of the schema."""
    if "response_format" not in body:
        return first_token(A=0.7, B=0.3)
    fields = body["response_format"]["json_schema"]["schema"]["properties"]
    return completion(json.dumps(dict.fromkeys(fields, "Short answers.")))


def test_methods_that_ask_a_model_say_what_they_ask_for_each_person(tmp_path):
    small = simulated.Design(seen=4, unseen=2, prompts=8, heldout=4, history=6, tests=2, dimensions=3, rank=1, groups=2)
    folder = methods.save_world(simulated.world(small, seed=1), tmp_path / "world")
    with Endpoint(replied, models=("gpt",)) as endpoint:
        asked = ("--model", "gpt", "--base-url", endpoint.url, "--k", 1, "--out", tmp_path / "out")
        done = persona("methods", "run", "--world", folder, *asked)
    assert done.exit_code == 0, done.stderr
    assert re.fullmatch(r"(.+: done in \d+ s\n)*", done.stderr), "no line for each ask"
    costs = pd.read_parquet(tmp_path / "out" / "costs.parquet").set_index("method")["calls"]
    assert costs["pooled"] == 0 and costs["told nothing"] == 4 and costs["interview"] == 6
    line = next(line for line in done.stdout.splitlines() if line.startswith("interview"))  # of the first table
    assert re.search(r" 6 +78 ", line), line
