"""Sweeps: what a file may hold, which points it has, which run, what goes on, and what is collected."""

import json
import threading
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pytest
import swept
from commands import one_line, persona
from endpoint import Endpoint
from places import ROOT

from persona_lib import UserError, files
from persona_lib.runs.dry_runs import estimate
from persona_lib.runs.executing import run
from persona_lib.runs.planning import presets
from persona_lib.runs.results import folders
from persona_lib.runs.sweeps import pages, sweep, sweeping, tables, words
from persona_lib.runs.sweeps.sweep import Sweep

ASK = """
from persona_lib.model import Model
from persona_lib.store import Store
asked = Model(model, base_url, Store())
replies = asked.ask([[{"role": "user", "content": f"question {i}"}] for i in range(size)], step="answers")
if seed == 2:
    raise ValueError("nothing to judge")
"""
RECORD = """
import matplotlib.pyplot as plt
import pandas as pd
from persona_lib import runs
runs.record(out, headline="It helps.", metrics={"size": size, "kept": (0.5, 0.4, 0.6, size)}, models=[asked],
            tables={"all": pd.DataFrame({"a": [1]})}, figures={"one": plt.subplots()[1]},
            finding=runs.Finding("share kept", 0.5 + seed / 10, 0.4, 0.7, size, "share"))
"""

BASE = {"name": "s", "preset": "smoke"}


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project whose notebook is not executed: a stand-in writes what runs leave. No figure is drawn."""
    monkeypatch.setattr(files, "ROOT", swept.write_project(tmp_path / "project"))
    monkeypatch.chdir(tmp_path)
    runs = swept.Runs()
    monkeypatch.setattr(run, "run", runs)
    monkeypatch.setattr(pages, "draw", lambda found, folder: None)
    return runs


def write(tmp_path, text: str):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    return path


def names(**given) -> list[str]:
    return [point.name for point in sweep.points(Sweep(**BASE, **given))]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "modles: [a]\npreset: smoke",
            "unknown key 'modles' of mine.yaml: did you mean 'models'? known: about, models",
        ),
        ("seeds: [0]", "mine.yaml is not a sweep: preset: Field required"),
        ("- a", "mine.yaml is not a sweep: write its keys, such as preset: smoke"),
        ("preset: smoke\nseeds: [0, 1, 0]", "mine.yaml: seed has 0 twice: list it once"),
        ("preset: smoke\nseeds: ['0']", "mine.yaml is not a sweep: seeds.0: Input should be a valid integer"),
        ("preset: smoke\nmodels: m", "mine.yaml is not a sweep: models: Input should be a valid list"),
        ("preset: smoke\nparameters: {size: 8}", "parameters.size: Input should be a valid list"),
        ("preset: smoke\nparameters: {size: []}", "parameters.size: List should have at least 1 item"),
        ("preset: smoke\nparameters: {seed: [1]}", "mine.yaml: parameters has seed: give it by seeds"),
        ("preset: smoke\npreset: small", "can't be read as YAML"),
        ("preset: smoke\nname: a/b", "name is part of a folder's name and takes no '/'"),
        ('preset: smoke\nname: "a\\0b"', "takes no control signs"),
        ("preset: smoke\nmodels: [m@]", "models has 'm@', half of NAME@ADDRESS"),
        ('preset: smoke\nmodels: ["@http://x/v1"]', "half of NAME@ADDRESS"),
        ("preset: smok", "unknown preset 'smok': did you mean 'smoke'?"),
        ("preset: smoke\nonly: [9]", "unknown notebook '9': known: 01_ask"),
        ("preset: smoke\nparameters: {sise: [1]}", "unknown parameter 'sise' of 01_ask: did you mean 'size'?"),
        ("preset: smoke\nparameters: {size: [x]}", "parameter 'size' of 01_ask takes a whole number, not 'x'"),
        ("preset: smoke\nparameters: {size: [" + ", ".join(map(str, range(1001))) + "]}", "the sweep has 1,001 points"),
    ],
)
def test_what_is_wrong_with_a_file_is_one_line(project, tmp_path, text, said):
    write(tmp_path, text)
    assert said in one_line(persona("sweep", "mine.yaml"))
    assert project.told == [] and not (files.ROOT / "outputs").exists()


def test_the_example_is_a_sweep_whose_points_can_run():
    points = sweep.points(sweep.load(ROOT / "params" / "sweeps" / "example.yaml"))
    assert len(points) == 4 and sweep.check(points, asks=False) == []
    assert "example" not in presets.known()


def test_names_of_points_say_what_differs_and_are_unique(project):
    two = {"models": ["a", "b/c@http://x/v1"], "seeds": [0, 1]}
    assert names(**two) == ["a,seed=0", "a,seed=1", "b-c,seed=0", "b-c,seed=1"]
    assert names(models=["a"], seeds=[0, 1], parameters={"size": [4]}) == ["seed=0", "seed=1"]
    assert names() == ["smoke"] and names(seeds=[3]) == ["seed=3"]
    assert names(models=["m@http://x/v1", "m@http://y/v1"]) == ["m-http-x-v1", "m-http-y-v1"]
    long = names(parameters={"names": [["x" * 90, str(i)] for i in range(3)]}, models=["a" * 20, "A" * 20])
    assert len({name.casefold() for name in long}) == 6 and max(map(len, long)) <= sweep.LONGEST
    assert all("/" not in name and name.strip(".") for name in names(models=["..", "/", "é~"]))


def test_a_point_has_its_parameters_and_its_run_says_which_it_is(project):
    given = {"models": ["a", "b@http://x/v1"], "parameters": {"size": [4, 8]}, "seeds": [5]}
    *_, last = sweep.points(Sweep(**BASE, **given, about="Why."))
    values = last.planned[swept.NOTEBOOK]
    assert [values[name] for name in ("model", "base_url", "size", "seed")] == ["b", "http://x/v1", 8, 5]
    assert (last.preset.name, last.preset.about, last.label) == ("s: b, size=8", "Why.", "b, size=8")


SWEEP = "preset: smoke\nmodels: [m, w]\nseeds: [0, 1]\n"


def test_what_is_done_is_not_run_again_and_a_failed_point_is_a_row_with_its_reason(project, tmp_path, monkeypatch):
    monkeypatch.setattr(sweep.preflight, "check", lambda *_, **__: [])
    path, folder = write(tmp_path, SWEEP), files.ROOT / "outputs" / "sweep-mine"
    fine = project.finds
    project.finds = lambda v: swept.failed("ValueError") if (v["model"], v["seed"]) == ("w", 0) else fine(v)
    done = persona("sweep", path)
    assert done.exit_code == 1 and [name for name, *_ in project.told] == [
        "m,seed=0",
        "m,seed=1",
        "w,seed=0",
        "w,seed=1",
    ]
    lines = done.stdout.splitlines()
    assert lines[0] == lines[-1] == (folder / "index.html").as_uri()
    assert "3 of 4 points are done" in lines and "failed  w, seed=0  ValueError: it went wrong" in lines
    table = pd.read_parquet(folder / "points.parquet")
    (row,) = table[table["state"] == "failed"].to_dict("records")
    assert (row["point"], row["reason"]) == ("w,seed=0", "ValueError: it went wrong") and pd.isna(row["metric"])
    assert len(pd.read_csv(folder / "points.csv")) == len(table) == 3 * 5 + 1
    project.finds, project.told = fine, []
    again = persona("sweep", path)
    assert again.exit_code == 0 and [name for name, *_ in project.told] == ["w,seed=0"]
    project.told = []
    assert persona("sweep", path).exit_code == 0 and project.told == []


def test_the_table_has_a_row_for_each_point_notebook_and_metric(project, tmp_path):
    planned = sweep.points(Sweep(**BASE, models=["m", "w"], parameters={"names": [["a"], ["b", "c"]]}))
    found, errors = sweeping.execute(Sweep(**BASE), planned, tmp_path / "out")
    assert errors == set() and list(found.points["given_names"]) == ['["a"]', '["b", "c"]'] * 2
    assert list(found.rows) == [
        *("point", "given_model", "given_names", "notebook", "metric", "value", "low", "high", "n", "text", "unit"),
        *("failed", "state", "reason"),
    ]
    said = (ROOT / "docs" / "tables.md").read_text("utf-8").partition("\n## A sweep\n")[2].partition("\n## ")[0]
    assert all(f"`{name}`" in said for name in found.rows if not name.startswith("given_"))
    own = found.rows[found.rows["point"] == planned[0].name].set_index("metric")
    assert list(own.index) == ["finding", "kept, direct", "items", "lowest group", "whole"]  # without the model's name
    assert own.loc["kept, direct", ["value", "low", "high", "n"]].tolist() == pytest.approx([0.08, -0.02, 0.18, 40])
    assert own.loc["finding", ["text", "unit"]].tolist() == ["m keeps more when told", "points"]
    assert own.loc["items", "value"] == 40 and pd.isna(own.loc["items", "low"])
    assert own["text"].dropna().tolist()[1:] == ["old", "True"] and own["value"].notna().sum() == 3
    told = json.loads(tables.as_json(found))
    assert len(told["rows"]) == len(found.rows) == 20 and told["points"][0]["calls"] == 5


def test_results_of_other_parameters_and_of_other_people_are_no_results_of_a_point(project, tmp_path, monkeypatch):
    planned = sweep.points(Sweep(**BASE, seeds=[0, 1]))
    sweeping.execute(Sweep(**BASE), planned, tmp_path / "out")
    values = planned[0].planned[swept.NOTEBOOK]
    values["size"] = 9
    found = tables.collect(planned, tmp_path / "out")
    assert (
        found.points["state"].tolist() == ["not run", "done"] and "other parameters" in found.points["reason"].iloc[0]
    )
    assert found.rows[found.rows["point"] == planned[0].name]["metric"].isna().all()
    values["size"] = 8
    monkeypatch.setattr(tables, "_DRAWS", {"size"})
    monkeypatch.setattr(tables.ids, "drawn_from", lambda: "others")
    assert set(tables.collect(planned, tmp_path / "out").points["state"]) == {"not run"}


def test_a_damaged_run_is_a_row_with_its_reason_and_the_other_points_run(project, tmp_path):
    planned = sweep.points(Sweep(**BASE, seeds=[0, 1]))
    (tmp_path / "out" / "seed=0").mkdir(parents=True)
    (tmp_path / "out" / "sweep.json").write_text(json.dumps(Sweep(**BASE).model_dump()))
    (tmp_path / "out" / "seed=0" / "manifest.json").write_text("{")
    project.finds = lambda values: _refuse() if values["seed"] == 0 else swept.found(0.1, "m")
    found, _ = sweeping.execute(Sweep(**BASE), planned, tmp_path / "out")
    assert found.points["state"].tolist() == ["failed", "done"]
    assert found.points["reason"].iloc[0] == "something other than an earlier run"


def _refuse():
    raise UserError("something other than an earlier run")


def test_limits_hold_for_all_points_together_and_over_all_commands(project, tmp_path):
    planned = sweep.points(Sweep(**BASE, seeds=[0, 1, 2, 3]))
    project.finds = lambda v: swept.failed("BudgetError") if v["seed"] == 2 else swept.found(0.1, "m")
    found, errors = sweeping.execute(Sweep(**BASE), planned, tmp_path / "out", 12, 9.0)
    assert project.told == [("seed=0", 12, 9.0), ("seed=1", 7, 8.5), ("seed=2", 2, 8.0)] and errors == {"BudgetError"}
    assert found.points["state"].tolist() == ["done", "done", "failed", "not run"]
    assert found.points["calls"].tolist() == [5, 5, 5, 0]
    project.told, project.finds = [], lambda values: swept.found(0.1, "m")
    sweeping.execute(Sweep(**BASE), planned, tmp_path / "out", 40)
    assert project.told == [("seed=2", 25, None), ("seed=3", 20, None)]


def test_a_cost_that_nobody_tells_uses_up_the_limit(project, tmp_path):
    planned = sweep.points(Sweep(**BASE, seeds=[0, 1]))
    project.used = swept.USED | {"cost": None}
    sweeping.execute(Sweep(**BASE), planned, tmp_path / "out", None, 9.0)
    assert project.told == [("seed=0", None, 9.0), ("seed=1", None, 0)]


@pytest.mark.parametrize(("error", "code"), [("LimitError", 3), ("EndpointError", 2)])
def test_where_an_endpoint_ends_a_run_points_of_its_model_wait_and_others_go_on(
    project, tmp_path, monkeypatch, error, code
):
    monkeypatch.setattr(sweep.preflight, "check", lambda *_, **__: [])
    project.finds = lambda v: swept.failed(error) if v["model"] == "m" else swept.found(0.1, "w")
    done = persona("sweep", write(tmp_path, SWEEP), "--out", tmp_path / "out", "--json")
    assert done.exit_code == code
    assert [name for name, *_ in project.told] == ["m,seed=0", "w,seed=0", "w,seed=1"]
    told = json.loads(done.stdout)
    assert [point["state"] for point in told["points"]] == ["failed", "not run", "done", "done"]


def test_ctrl_c_leaves_the_page_and_the_same_command_goes_on(project, tmp_path, monkeypatch):
    monkeypatch.setattr(sweep.preflight, "check", lambda *_, **__: [])
    path, out = write(tmp_path, SWEEP), tmp_path / "out"
    fine = project.finds

    def stop(values):
        if values["model"] == "w":
            raise KeyboardInterrupt
        return fine(values)

    project.finds = stop
    done = persona("sweep", path, "--out", out)
    assert done.exit_code == 130 and "stopped by Ctrl-C" in done.stderr
    assert "No figure" not in done.stdout  # which nobody misses before the first point is done
    assert "2 of 4 points are done" in (out / "index.html").read_text()
    project.finds, project.told = fine, []
    assert persona("sweep", path, "--out", out).exit_code == 0
    assert [name for name, *_ in project.told] == ["w,seed=0", "w,seed=1"]


def test_a_folder_takes_one_sweep_and_one_process_at_a_time(project, tmp_path, monkeypatch):
    monkeypatch.setattr(sweep.preflight, "check", lambda *_, **__: [])
    path, out = write(tmp_path, SWEEP), tmp_path / "out"
    assert persona("sweep", path, "--out", out).exit_code == 0
    with folders.alone(out):
        line: list[str] = []
        other = threading.Thread(target=lambda: line.append(one_line_of(persona("sweep", path, "--out", out))))
        other.start()
        other.join()
        assert "is in use by process" in line[0]
    write(tmp_path, SWEEP + "about: Other words.\n")
    assert persona("sweep", path, "--out", out).exit_code == 0
    write(tmp_path, SWEEP.replace("[0, 1]", "[0, 2]"))
    assert "out holds another sweep (seeds: [0, 1], not [0, 2]): choose another --out" in one_line(
        persona("sweep", path, "--out", out)
    )
    (tmp_path / "else").mkdir()
    (tmp_path / "else" / "notes.txt").write_text("x")
    assert "something other than a sweep" in one_line(persona("sweep", path, "--out", tmp_path / "else"))


def one_line_of(result) -> str:
    assert result.exit_code == 2
    return result.stderr


def test_retry_failed_runs_what_has_failed_items_again(project, tmp_path):
    planned = sweep.points(Sweep(**BASE, seeds=[0, 1]))
    project.finds = lambda v: swept.found(0.1, "m") | {"steps": {"a": swept.USED | {"failed": 1 - v["seed"]}}}
    sweeping.execute(Sweep(**BASE), planned, tmp_path / "out")
    project.told = []
    found, _ = sweeping.execute(Sweep(**BASE), planned, tmp_path / "out", retry=True)
    assert [name for name, *_ in project.told] == ["seed=0"] and found.notebooks["failed"].tolist() == [1, 0]


def test_a_finding_is_told_over_all_points_with_what_speaks_against_it(project, tmp_path):
    planned = sweep.points(Sweep(**BASE, models=["m", "w"], seeds=[0, 1]))
    project.finds = lambda v: swept.found(
        None if v["model"] == "w" and v["seed"] else 0.05 + v["seed"] / 10, v["model"]
    )
    found, _ = sweeping.execute(Sweep(**BASE), planned, tmp_path / "out")
    (own,) = words.summaries(found)
    assert own.says == "the model keeps more when told" and own.span == "+5 to +15 points"
    assert (own.known, own.of, own.n) == (3, 4, "40")
    assert own.lowest == "m, seed=0: +5 points (−5 to +15, n = 40)" and own.highest.startswith("m, seed=1: +15 points")
    assert own.against[:2] == ["1 of 4 points have no value.", "In 2 of 3 points the interval holds no difference."]
    assert own.against[-1] == "From seed to seed alone it moves by up to 10 points."
    (judges,) = words.notices(found, "SmolLM2")
    assert judges.startswith("The judge differs between points (m; w)")
    project.finds = lambda v: swept.found(0.1, v["model"], "share")
    planned = sweep.points(Sweep(**BASE, models=["local"]))
    found, _ = sweeping.execute(Sweep(**BASE), planned, tmp_path / "other")
    assert [line.split(",")[0] for line in words.notices(found, "SmolLM2-135M-Instruct")] == [
        "Points asked SmolLM2-135M-Instruct"
    ]
    assert words.summaries(found)[0].span == "10%"


def test_an_estimate_lists_each_point_and_what_is_done_asks_nothing(project, tmp_path, monkeypatch):
    planned = sweep.points(Sweep(**BASE, seeds=[0, 1, 2]))
    sweeping.execute(Sweep(**BASE), planned[:1], tmp_path / "out")
    asked = []

    def count(works):
        asked.extend(works)
        rows = [{"notebook": key, "step": "answers", "model": "m", "calls": 4, "cost": 0.5} for key in works]
        table = pd.DataFrame(rows).reindex(columns=estimate.COLUMNS)
        return estimate.Estimate(table.fillna({"cached": 0, "tokens_in": 0, "tokens_out": 0, "reasked": 0}), ["a note"])

    monkeypatch.setattr(estimate, "count", count)
    found = tables.collect(planned, tmp_path / "out")
    counts = sweeping.estimated(planned, found)
    assert asked == [f"seed={seed}/{swept.NOTEBOOK}" for seed in (1, 2)]
    told = json.loads(sweeping.estimate_json(counts, found))
    assert [(p["point"], p["given_seed"], p["state"], p["calls"], p["cost"]) for p in told["points"]] == [
        ("seed=0", 0, "done", 0, 0),
        ("seed=1", 1, "not run", 4, 0.5),
        ("seed=2", 2, "not run", 4, 0.5),
    ]
    assert told["total"]["calls"] == 8 and told["rows"][0]["point"] == "seed=1" and told["notes"] == ["a note"]
    *_, total, note = sweeping.estimate_text(counts, found).splitlines()
    assert total.split()[:2] == ["total", "8"] and "$1.00" in total and note == "a note"


def test_the_runs_of_a_sweep_take_jobs_and_a_cluster(project, tmp_path, monkeypatch):
    monkeypatch.setattr(sweep.preflight, "check", lambda *_, **__: [])
    given = str(write(tmp_path, "preset: smoke\nseeds: [0]\n"))

    @contextmanager
    def joined(cluster, say, kernels):
        yield cluster and f"host of {cluster}, {kernels}"

    assert persona("sweep", given, "--cluster", "0").exit_code == 2 and not project.told
    monkeypatch.setattr("persona_lib.runs.executing.cluster.joined", joined)
    assert persona("sweep", given, "--jobs", "3", "--cluster", "tcp://a:1").exit_code == 0
    assert project.how == (3, "host of tcp://a:1, True")


def test_points_are_executed_listed_estimated_and_collected(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "ROOT", swept.write_project(tmp_path / "project", ASK, RECORD))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", "x")
    with Endpoint(models=("m",)) as endpoint:
        text = f"preset: smoke\nmodels: ['m@{endpoint.url}']\nseeds: [0, 2]\nparameters: {{size: [2, 3]}}\n"
        Path("mine.yaml").write_text(text)
        listed = persona("sweep", "mine.yaml", "--dry-run")
        assert listed.exit_code == 1 and not (files.ROOT / "outputs").exists()  # one seed always fails
        told = [line.split() for line in listed.stdout.splitlines()]
        assert [line[:6] for line in told[1:3]] == [
            ["size=2,", "seed=0", "not", "run", "2", "0"],
            ["size=2,", "seed=2", "not", "run", "0", "2"],
        ]
        assert [line[:3] for line in told if line[0] == "total"] == [["total", "3", "7"]]  # what points share, once
        done = persona("sweep", "mine.yaml", "--max-calls", "9")
        assert done.exit_code == 1 and len(endpoint.requests) == 3
    folder = files.ROOT / "outputs" / "sweep-mine"
    table = pd.read_parquet(folder / "points.parquet").set_index(["point", "metric"])
    assert table["state"].groupby("point").first().to_dict() == {
        **{f"size={n},seed=0": "done" for n in (2, 3)},
        **{f"size={n},seed=2": "failed" for n in (2, 3)},
    }
    assert table.loc[("size=3,seed=0", "kept"), ["value", "low", "high", "n"]].tolist() == [0.5, 0.4, 0.6, 3]
    assert table.loc["size=2,seed=2", "reason"].tolist() == ["ValueError: nothing to judge"]
    page = (folder / "size=3,seed=0" / "index.html").read_text()
    assert "Run “mine: size=3, seed=0”" in page and (folder / "points.png").stat().st_size > 10_000
