"""The notebooks, replayed from the recording: committed outputs are what the code gives, and a run holds together."""

import json
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pandas as pd
import pytest

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def environment(folder: Path) -> dict[str, str]:
    """Offline, with an empty store: only the recording can answer."""
    return os.environ | {"PERSONA_OFFLINE": "1", "PERSONA_STORE": str(folder / "empty.sqlite")}


def nbval(notebook: Path, folder: Path) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "pytest", "--nbval", "--nbval-cell-timeout=120", "-q", "-p", "no:cacheprovider"]
    command += ["-W", "default", str(notebook)]
    return subprocess.run(command, env=environment(folder), capture_output=True, text=True, timeout=300, cwd=ROOT)


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_committed_outputs_are_what_the_code_gives(notebook, tmp_path):
    done = nbval(notebook, tmp_path)
    assert done.returncode == 0, done.stdout[-5000:]
    assert " passed" in done.stdout and "skipped" not in done.stdout


def test_an_output_that_differs_from_the_code_is_found(tmp_path):
    notebook = nbformat.v4.new_notebook(metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}})
    cell = nbformat.v4.new_code_cell("print('what the code gives')", execution_count=1)
    cell.outputs = [nbformat.v4.new_output("stream", name="stdout", text="something else\n")]
    notebook.cells = [cell]
    nbformat.write(notebook, tmp_path / "wrong.ipynb")
    done = nbval(tmp_path / "wrong.ipynb", tmp_path)
    assert done.returncode == 1 and "something else" in done.stdout


@pytest.fixture(scope="session")
def replay(tmp_path_factory) -> Path:
    """A run of the smoke preset in which every reply comes from the recording."""
    folder = tmp_path_factory.mktemp("replay")
    command = [sys.executable, "-m", "persona_lib.cli", "run", "-p", "recording=smoke", "--out", str(folder / "run")]
    done = subprocess.run(command, env=environment(folder), capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "run"


def test_a_replayed_run_makes_no_call_and_has_every_notebook(replay):
    manifest = json.loads((replay / "manifest.json").read_text())
    assert manifest["usage"]["calls"] == 0 and manifest["usage"]["cached"] >= 64
    assert {name: entry["status"] for name, entry in manifest["notebooks"].items()} == {
        p.stem: "done" for p in NOTEBOOKS
    }


def test_conditioning_compares_the_same_items_under_each_condition(replay):
    results = pd.read_parquet(replay / "06_conditioning" / "tables" / "results.parquet")
    scores = pd.read_parquet(replay / "06_conditioning" / "tables" / "scores.parquet")
    assert len(results) == 8 * 6 and results["prompt_id"].nunique() == 8
    per_condition = results.groupby("condition")[["persona_id", "prompt_id"]].apply(lambda g: set(map(tuple, g.values)))
    assert per_condition.map(len).eq(8).all() and all(items == per_condition.iloc[0] for items in per_condition)
    assert (scores["n"] + scores["failed"]).eq(8).all()
    assert scores["rate"].tolist() == pytest.approx(results.groupby("condition", sort=False)["score"].mean().tolist())
    assert {"baseline", "direct", "chain_of_thought", "summary", "other_persona"} <= set(results["condition"])
    assert (scores["low"] < scores["rate"]).all() and (scores["rate"] < scores["high"] + 1e-9).all()
