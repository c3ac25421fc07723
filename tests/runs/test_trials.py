"""The command `persona methods run`: a method of one's own beside the built-in ones, gates above the table."""

import re

import pandas as pd
import pytest
from commands import one_line, persona

from persona_lib import methods
from persona_lib.methods import simulated

DESIGN = simulated.Design(seen=24, unseen=12, prompts=30, heldout=12, history=16, tests=6, dimensions=6, rank=2)


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
        "taste for length" in done.stdout and "GATE" not in done.stdout and "known truth, k = 4: pooled" in done.stdout
    )
    table = pd.read_parquet(out / "accuracy.parquet")
    assert set(table["k"]) == {4} and "taste for length" in set(table["method"]) and table["failed"].sum() == 0


def test_a_gate_that_fires_stands_above_the_table(folder):
    choices = pd.read_parquet(folder / "choices.parquet")
    turn = choices["p_first"] < 0.5
    first, second = choices["first"].where(~turn, choices["second"]), choices["second"].where(~turn, choices["first"])
    choices.assign(first=first, second=second, p_first=1.0).to_parquet(folder / "choices.parquet")
    lines = persona("methods", "run", "--world", folder, "--k", 0).stdout.splitlines()
    assert lines[1].startswith("GATE position: the answer in one place is chosen")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--world", "nowhere"), "error: nowhere is no folder: a world is a folder with people, prompts"),
        (("--method", "mine.py"), "error: 'mine.py' names no method: write FILE.py:CLASS"),
    ],
)
def test_what_cannot_be_used_is_one_line(given, said):
    assert one_line(persona("methods", "run", *given)).startswith(said)
