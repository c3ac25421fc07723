"""Several runs read as tables: what each was, what it was given, what it found; what can't be read is said."""

import json

import pandas as pd
import pytest
from written_runs import NOTEBOOK, change, results, write

from persona_lib import UserError
from persona_lib.runs.results import several

SCORES = results({"direct": [1.0] * 6})


def test_a_run_is_read_as_rows(tmp_path):
    given = {"model": "local", "more_models": ["m@http://x/v1"], "judge": "j", "seed": 3, "out": "x", "recording": None}
    metrics = {"items": 6, "kept": {"value": 0.5, "low": 0.25, "high": 0.75, "n": 6}, "lost": None}
    models = [{"identity": {"name": "local", "weights_sha256": "a" * 64}}, {"identity": {"name": "m"}}]
    write(tmp_path / "a", SCORES, given, metrics=metrics, models=models)
    read = several.read([tmp_path / "a"])
    run = read.runs.loc["a"]
    assert run[["preset", "seed", "commit", "status"]].tolist() == ["smoke", "3", "c" * 40, "done"]
    assert run["models"] == "SmolLM2-135M-Instruct, m" and run["judges"] == "j"
    assert run["started"] == pd.Timestamp("2026-01-02 10:00", tz="UTC")
    assert run[["calls", "cost", "seconds"]].tolist() == [3, 0.5, 2] and pd.isna(run["problem"])
    notebook = read.notebooks.iloc[0]
    assert notebook[["run", "notebook", "headline", "weights"]].tolist() == ["a", NOTEBOOK, "It helps.", "a" * 12]
    assert notebook[["state", "failed"]].tolist() == ["done", 0] and pd.isna(notebook["lost"]) and read.findings.empty
    assert read.parameters["parameter"].tolist() == ["model", "more_models", "judge", "seed"]
    kept = read.metrics.set_index("metric")
    assert kept.loc["kept", ["value", "low", "high", "n"]].tolist() == [0.5, 0.25, 0.75, 6]
    assert kept.loc["items", "value"] == 6 and pd.isna(kept.loc["items", "low"]) and pd.isna(kept.loc["lost", "value"])
    assert len(pd.read_parquet(read.tables["path"].item())) == 6


def test_without_a_judge_the_writer_judges_and_usage_is_of_all_executions(tmp_path):
    used = json.loads((write(tmp_path / "a", SCORES, {"model": "m"}) / "manifest.json").read_text())["usage"]
    change(tmp_path / "a", before={"usage": used | {"cost": None}, "seconds": 5.0})
    run = several.read([tmp_path / "a"]).runs.loc["a"]
    assert run["judges"] == "m" and run["calls"] == 6 and run["seconds"] == 7 and pd.isna(run["cost"])


def test_a_folder_of_runs_gives_each_and_what_is_damaged_is_a_row(tmp_path):
    for name in ("b", "a"):
        write(tmp_path / name, SCORES)
    (tmp_path / "notes").mkdir()
    (tmp_path / "c").mkdir()
    for text, problem in (
        ("{", "can't be read as JSON"),
        ('{"notebooks": {}}', "damaged, or not the manifest of a run"),
    ):
        (tmp_path / "c" / "manifest.json").write_text(text)
        read = several.read([tmp_path])
        assert list(read.runs.index) == ["a", "b", "c"] and problem in read.runs.loc["c", "problem"]
        assert set(read.notebooks["run"]) == {"a", "b"}
        with pytest.raises(UserError, match=problem):
            several.read([tmp_path / "c"])


def test_names_are_as_long_as_it_takes_to_tell_runs_apart(tmp_path):
    places = [write(tmp_path / name, SCORES) for name in ("x/run", "y/run", "z")]
    assert list(several.read(places).runs.index) == ["x/run", "y/run", "z"]


def test_a_run_given_twice_and_a_folder_without_runs_are_one_line(tmp_path):
    one = write(tmp_path / "a", SCORES)
    with pytest.raises(UserError, match="is given twice: name each run once"):
        several.read([one, tmp_path])
    (tmp_path / "empty").mkdir()
    for place in (tmp_path / "empty", tmp_path / "nowhere"):
        with pytest.raises(UserError, match=r"is not the folder of a run: it has no manifest\.json"):
            several.read([place])


def test_of_a_notebook_that_failed_the_older_results_that_stay_are_read(tmp_path):
    old = json.loads((write(tmp_path / "a", SCORES, {"seed": 1}) / "manifest.json").read_text())["notebooks"][NOTEBOOK]
    new = old | {"status": "failed", "error": {"name": "E", "message": "m"}, "parameters": {"seed": 2}, "kept": old}
    change(tmp_path / "a", notebooks={NOTEBOOK: {k: v for k, v in new.items() if k not in ("tables", "metrics")}})
    read = several.read([tmp_path / "a"])
    assert read.notebooks[["status", "error"]].values.tolist() == [["failed", "E: m"]]
    assert read.parameters["value"].tolist() == [1] and len(read.tables) == 1 and len(read.metrics) == 1


def test_a_run_of_0_1_is_read_beside_one_of_today(tmp_path):
    """Its manifest has no commit, no count of calls that ask again, and dates without fractions of a second."""
    old, new = (write(tmp_path / name, SCORES) / "manifest.json" for name in ("old", "new"))
    content = json.loads(old.read_text())
    for used in (content["usage"], content["notebooks"][NOTEBOOK]["steps"]["answers"]):
        del used["reasked"]
    del content["git"], content["before"], content["notebooks"][NOTEBOOK]["run"]
    old.write_text(json.dumps(content | {"started": "2025-12-31T10:00:00+00:00"}))
    runs = several.read([new.parent, old.parent]).runs
    assert runs["problem"].isna().all() and runs.loc["old", "calls"] == 3 and pd.isna(runs.loc["old", "commit"])
    assert runs.loc["old", "started"] == pd.Timestamp("2025-12-31 10:00", tz="UTC")


def test_findings_lost_steps_and_names_without_the_model_are_read(tmp_path):
    finding = {"says": "share kept", "value": 0.5, "low": 0.4, "high": 0.6, "n": 6, "unit": "share"}
    finding |= {"against": "", "counts": "item"}
    metrics = {"kept, m, direct": 1, "dropped, age, m": 2, "mm, direct": 3, "twice, m": 4, "twice": 5}
    lost = ["judging: 6 of 6 items failed"]
    write(tmp_path / "a", SCORES, {"model": "m"}, finding=finding, lost=lost, metrics=metrics)
    write(tmp_path / "b", SCORES, {"model": "m", "more_models": ["n"]}, metrics={"kept, m, direct": 1})
    read = several.read([tmp_path])
    assert read.findings.to_dict("records") == [{"run": "a", "notebook": NOTEBOOK, **finding}]
    assert read.notebooks["state"].tolist() == ["nothing scored", "done"] and read.notebooks["lost"][0] == lost[0]
    alike = ["kept, direct", "dropped, age", "mm, direct", "twice, m", "twice", "kept, m, direct"]
    assert several.alike(read).tolist() == alike
