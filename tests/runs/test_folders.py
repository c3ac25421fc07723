"""Folders of runs: one run at a time, notebooks replaced one by one, and a run that was killed is said to be."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from projects import write_notebook, write_preset
from waits import LONG_S, until

from persona_lib import EndpointError, LimitError, UserError, files
from persona_lib.model.limits import usage
from persona_lib.personas import ids
from persona_lib.runs.executing.run import correct, run
from persona_lib.runs.pages import pages
from persona_lib.runs.planning import presets
from persona_lib.runs.results import folders, manifests

PARAMETERS = 'n = 1\nhow = ""\nout = None'
ASK = """
import json, os, time
import pandas as pd
from persona_lib import EndpointError, LimitError, runs
used = dict.fromkeys(("cached", "retried", "reasked", "tokens_in", "tokens_out", "tokens_cached"), 0)
used |= {"calls": 4, "failed": n, "cost": 0.5}
with open(os.environ["PERSONA_PROGRESS"], "a") as file:
    file.write(json.dumps({"ask": 0, "step": "judging", "total": 4, "done": 4, "usage": used}) + "\\n")
if how == "sleep":
    with open("pid", "w") as file:
        file.write(str(os.getpid()))
    time.sleep(100)
if how == "move":
    here = os.path.dirname(os.path.dirname(os.environ["PERSONA_RECORD"]))
    os.rename(here, here + "-moved")
elif how:
    raise {"limit": LimitError, "endpoint": EndpointError}.get(how, ValueError)("see ../../here/x.csv")
table = pd.DataFrame({"n": [n], "failure": ["no verdict" if n > 2 else None]})
runs.record(out, headline=f"Found {n}.", metrics={"n": n}, tables={"t": table}, figures={})
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project with two notebooks that record `n`, or end in the error that `how` names."""
    root = tmp_path / "project"
    for stem in ("01_one", "02_two"):
        write_notebook(root, stem, ASK, parameters=PARAMETERS)
    write_preset(root, "smoke", "about: Tries.\nnotebooks: {01_one: , 02_two: }")
    monkeypatch.setattr(files, "ROOT", root)
    return root


def execute(root: Path, only=(), **given) -> dict:
    """Run the preset in the folder outputs/ and return the manifest as it is written."""
    preset = presets.load("smoke")
    run(preset, presets.plan(preset, only, given), root / "outputs", jobs=1)
    return told(root)


def told(root: Path) -> dict:
    return json.loads((root / "outputs" / "manifest.json").read_text())


def found(root: Path, stem: str) -> int:
    """What the table of a notebook in the folder says."""
    return pd.read_parquet(root / "outputs" / stem / "tables" / "t.parquet")["n"].item()


def test_a_folder_that_is_moved_during_a_run_is_one_line(project):
    with pytest.raises(UserError, match="outputs was moved or removed during the run: put it back, or choose another"):
        execute(project, ["01"], how="move")
    assert json.loads((project / "outputs-moved" / "manifest.json").read_text())["status"] == "running"


def test_a_run_of_one_notebook_replaces_it_and_keeps_the_others(project):
    first = execute(project)
    (project / "outputs" / "02_two" / "mine.txt").write_text("mine")
    page = (project / "outputs" / "01_one.html").read_bytes()
    second = execute(project, ["02"], n=2)
    assert (found(project, "01_one"), found(project, "02_two")) == (1, 2)
    assert (project / "outputs" / "01_one.html").read_bytes() == page
    assert (project / "outputs" / "02_two" / "mine.txt").read_text() == "mine"
    assert second["notebooks"]["01_one"] == first["notebooks"]["01_one"]
    assert second["notebooks"]["02_two"]["headline"] == "Found 2." and "kept" not in second["notebooks"]["02_two"]
    assert second["usage"]["calls"] == 4 and second["before"]["usage"]["calls"] == 4
    assert [one["started"] for one in second["earlier"]] == [first["started"]]
    assert second["earlier"][0]["versions"] == first["versions"]
    index = (project / "outputs" / "index.html").read_text()
    assert "Found 1." in index and "Found 2." in index and "in an earlier run" in index
    assert sorted(path.name for path in (project / "outputs").iterdir() if path.name[0] == ".") == [".lock"]
    assert (project / "outputs" / ".lock").read_text() == ""  # no name of a machine is left


def test_what_stands_is_kept_until_a_new_one_is_done(project):
    execute(project, ["01"])
    failed = execute(project, n=7, how="fail")
    entry = failed["notebooks"]["01_one"]
    assert (entry["status"], entry["kept"]["headline"], failed["status"]) == ("failed", "Found 1.", "failed")
    assert found(project, "01_one") == 1 and "ValueError" in (project / "outputs" / "01_one.failed.html").read_text()
    assert not (project / "outputs" / "02_two.failed.html").exists()  # nothing stood there: it is in its place
    assert "ValueError" in (project / "outputs" / "02_two.html").read_text()
    index = (project / "outputs" / "index.html").read_text()
    assert "Found 1." in index and "01_one.failed.html#papermill-error-cell" in index
    assert "they stay until new ones are done" in index
    done = execute(project, n=3)
    assert found(project, "01_one") == 3 and "kept" not in done["notebooks"]["01_one"]
    assert not (project / "outputs" / "01_one.failed.html").exists()


@pytest.mark.parametrize(("how", "error"), [("limit", LimitError), ("endpoint", EndpointError)])
def test_an_error_that_every_notebook_would_repeat_ends_the_run(project, how, error):
    manifest = execute(project, how=how)
    first, second = manifest["notebooks"].values()
    assert first["error"] == {"name": error.__name__, "message": "see ../../here/x.csv"}
    assert (first["status"], second["status"], manifest["status"]) == ("failed", "not run", "failed")
    assert "1 of 2 have not run to their end" in (project / "outputs" / "index.html").read_text()


def test_the_same_notebook_again_counts_what_it_took_before_and_another_one_does_not(project):
    execute(project, ["01"], how="fail")
    again = execute(project, ["01"], how="fail")
    assert again["usage"]["calls"] == 4 and again["before"]["usage"]["calls"] == 4
    third = execute(project, ["01"], how="fail")
    assert third["before"]["usage"]["calls"] == 8 and third["before"]["usage"]["cost"] == 1.0
    assert execute(project, ["01"])["before"] is None  # other parameters


def test_a_step_most_of_whose_items_failed_is_said_and_the_run_has_failed(project):
    manifest = execute(project, ["01"], n=3)
    entry = manifest["notebooks"]["01_one"]
    assert (entry["status"], manifest["status"]) == ("done", "failed")
    assert entry["lost"] == ["judging: 3 of 4 items failed", "mostly: no verdict"]
    assert "judging: 3 of 4 items failed; mostly: no verdict" in (project / "outputs" / "index.html").read_text()
    assert execute(project, ["01"], n=2)["status"] == "done"


def test_the_notebook_of_the_main_finding_runs_first(project):
    for stem in ("05_early", "06_conditioning"):
        write_notebook(project, stem, ASK, parameters=PARAMETERS)
    write_preset(project, "smoke", "about: Tries.\nnotebooks: {05_early: , 06_conditioning: }")
    execute(project)
    first, later = (project / "outputs" / f"{stem}.ipynb" for stem in ("06_conditioning", "05_early"))
    assert first.stat().st_mtime_ns < later.stat().st_mtime_ns
    index = (project / "outputs" / "index.html").read_text()
    assert index.index('href="06_conditioning.html"') < index.index('href="05_early.html"')


def test_an_executed_notebook_holds_no_path_of_this_machine(project):
    write_notebook(project, "01_one", "import os; print(os.getcwd() + '/dot.png')", "1 / 0", parameters="out = None")
    execute(project, ["01"])
    text = (project / "outputs" / "01_one.ipynb").read_text()
    assert str(project) not in text and str(Path.home()) + "/" not in text
    executed = nbformat.reads(text, as_version=4)
    assert executed.metadata["papermill"]["input_path"] == "notebooks/01_one.ipynb"
    assert executed.metadata["papermill"]["parameters"] == {"out": "01_one"}
    assert any('out = "01_one"' in cell.source for cell in executed.cells)


def test_a_folder_is_held_by_one_at_a_time(tmp_path):
    with folders.alone(tmp_path / "run"), pytest.raises(UserError) as refused, folders.alone(tmp_path / "run"):
        pass
    said = rf"{tmp_path}/run is in use by process {os.getpid()} on .* since 20.*: wait for its end, or .* --out"
    assert re.fullmatch(said, str(refused.value))
    with folders.alone(tmp_path / "run"):
        pass


def command(root: Path, *options: str) -> list[str]:
    program = (
        f"from pathlib import Path; from persona_lib import cli, files; files.ROOT = Path({str(root)!r}); cli.app()"
    )
    return [sys.executable, "-c", program, "run", "--jobs", "1", *options]


def test_a_killed_run_is_said_to_be_its_folder_is_free_and_the_next_counts_what_it_used(project):
    folder = project / "outputs"
    options = ("--out", str(folder), "-p", "how=sleep", "--only", "01")
    pid = project / "notebooks" / "pid"
    execute(project, ["01"])
    with subprocess.Popen(command(project, *options), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        until(lambda: pid.is_file() and pid.read_text())
        with pytest.raises(UserError, match=rf"in use by process {process.pid} on "):
            execute(project)
        assert told(project)["status"] == "running" and found(project, "01_one") == 1
        process.kill()
        process.communicate(timeout=LONG_S)
    until(lambda: told(project)["status"] == "killed")
    until(lambda: "Killed before its end" in (folder / "index.html").read_text())
    entry = told(project)["notebooks"]["01_one"]
    assert entry["status"] == "killed" and entry["steps"]["judging"]["calls"] == 4 and entry["seconds"] > 0
    assert entry["kept"]["headline"] == "Found 1." and found(project, "01_one") == 1
    assert told(project)["usage"]["calls"] == 4
    write_notebook(
        project, "01_one", ASK.replace('"sleep"', '"never"').replace("if how:", "if 0:"), parameters=PARAMETERS
    )
    resumed = execute(project, ["01"], how="sleep")
    assert resumed["usage"]["calls"] == 4 and resumed["before"]["usage"]["calls"] == 4


def test_a_manifest_of_a_run_whose_machine_went_down_is_corrected_by_the_next(project):
    folder = project / "outputs"
    manifest = manifests.Manifest(folder, "p", "About.", {"01_one": {"title": "One", "parameters": {}}}, {})
    folder.mkdir()
    manifest.notebooks["01_one"] |= {"status": "running", "started": manifest.content["started"]}
    manifest.save()
    (folder / folders.NEW).mkdir()
    used = dict.fromkeys(usage.COUNTS, 0) | {"calls": 2, "cost": None}
    line = {"ask": 0, "step": "s", "total": 9, "done": 2, "usage": used}
    (folder / folders.NEW / "01_one.jsonl").write_text(json.dumps(line) + '\n{"ask": 0, "st')
    correct(folder)
    entry = told(project)["notebooks"]["01_one"]
    assert (entry["status"], entry["usage"]["calls"]) == ("killed", 2) and not (folder / folders.NEW).exists()
    before = told(project)
    correct(folder)
    assert told(project) == before  # nothing to correct


def test_an_index_of_a_run_that_was_stopped_by_sigterm_says_so(project):
    folder = project / "outputs"
    options = ("--out", str(folder), "-p", "how=sleep")
    pid = project / "notebooks" / "pid"
    with subprocess.Popen(command(project, *options), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        until(lambda: pid.is_file() and pid.read_text())
        process.send_signal(signal.SIGTERM)
        _, error = process.communicate(timeout=LONG_S)
    assert process.returncode == 128 + signal.SIGTERM and b"stopped by SIGTERM; everything answered" in error
    assert [entry["status"] for entry in told(project)["notebooks"].values()] == ["interrupted", "not run"]
    assert "Stopped before its end" in (folder / "index.html").read_text()


def test_a_manifest_of_an_older_version_gets_what_it_lacks(project):
    folder = project / "outputs"
    folder.mkdir()
    entry = {"title": "One", "parameters": {}, "status": "done", "error": None, "seconds": 1.0, "headline": "Old."}
    entry |= {"steps": {"s": {"calls": 3, "cached": 0}}, "metrics": {}, "figure": None, "models": []}
    content = {"status": "done", "started": "2026-01-02T10:00:00+00:00", "versions": {"python": "3"}}
    content |= {"notebooks": {"01_one": entry, "../x": entry, "03_half": {"title": "x"}}}
    files.write_json(folder / "manifest.json", content)
    assert manifests.of_other_people(folder) == []
    content["notebooks"]["01_one"] = entry | {"parameters": {"n": 4}}
    files.write_json(folder / "manifest.json", content)
    (line,) = manifests.of_other_people(folder, ["02_two"])
    assert "has notebooks of people whom another version drew (01)" in line
    assert manifests.of_other_people(folder, ["01_one"]) == manifests.of_other_people(project / "no") == []
    manifest = execute(project, ["02"])
    assert manifest["notebooks"]["02_two"]["people"] == ids.drawn_from()
    assert list(manifest["notebooks"]) == ["01_one", "02_two"] and manifest["before"]["usage"]["calls"] == 3
    assert "Old." in pages.index(manifest)
