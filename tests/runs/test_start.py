"""The page that `make lab` opens: the last run with its headlines, links that lead somewhere, and the command."""

import os
import re
import sys

import nbformat
import pandas as pd
import written_runs
from places import ROOT
from typer.testing import CliRunner

from persona_lib import files
from persona_lib.cli import app
from persona_lib.runs.pages import start
from persona_lib.runs.planning import notebooks


def page_of(folder) -> str:
    path = start.write(folder)
    page = nbformat.read(path, as_version=4)
    nbformat.validate(page)
    assert {cell.cell_type for cell in page.cells} == {"markdown"}
    return "\n\n".join(cell.source for cell in page.cells)


def test_without_a_run_it_says_how_to_make_one_and_every_notebook_is_on_the_map(tmp_path):
    text = page_of(tmp_path / "outputs")
    assert "There is none" in text and text.count("\n1. ") == 1 and text.count("\n3. ") == 1
    for stem in notebooks.stems():
        assert f"[{stem}](../notebooks/{stem}.ipynb) | {notebooks.find(stem).title} |" in text
    for link in re.findall(r"\]\((.*?)\)", text):
        assert (ROOT / "outputs" / link).resolve().exists(), link


def test_of_several_runs_the_last_one_is_told_with_its_headlines_and_pages(tmp_path):
    table = pd.DataFrame({"score": [1.0]})
    written_runs.change(written_runs.write(tmp_path / "old", table), started="2025-01-01T10:00:00.000+00:00")
    new = written_runs.write(tmp_path / "new", table, headline=f"It helps. {'And so on. ' * 60}")
    (new / "index.html").touch()
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "manifest.json").write_text("{")
    text = page_of(tmp_path)
    assert "**new** (preset smoke, done, 2026-01-02 10:00 UTC" in text and "**old**" not in text
    assert "[Its index page](new/index.html)" in text and "items.html" not in text
    assert "**06_conditioning** It helps. And so on." in text and max(map(len, text.splitlines())) < 400


def test_the_command_opens_jupyterlab_at_the_page_and_hands_on_its_options(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "ROOT", tmp_path)
    (tmp_path / "notebooks").mkdir()
    called = []
    monkeypatch.setattr(os, "execv", lambda program, command: called.append(command))
    done = CliRunner().invoke(app, ["lab", "--no-browser", "--port=9"])
    assert done.exit_code == 0, done.output
    (command,) = called
    assert command[:4] == [sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={tmp_path}"]
    assert command[4:] == ["--LabApp.default_url=/lab/tree/outputs/START.ipynb", "--no-browser", "--port=9"]
    assert (tmp_path / "outputs" / "START.ipynb").is_file()
