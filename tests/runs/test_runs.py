"""Runs of small notebooks in a project of their own: what is executed, refused, shown and left behind."""

import io
import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from html.parser import HTMLParser
from pathlib import Path

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pandas as pd
import pytest
from nbformat import v4
from projects import write_notebook, write_preset, write_project
from waits import LONG_S, until
from waits import runs as runs_still

from persona_lib import UserError, files, local, runs
from persona_lib.model.limits import usage
from persona_lib.runs.executing.progress import Course, Progress, _Part
from persona_lib.runs.executing.run import run
from persona_lib.runs.executing.side_by_side import took
from persona_lib.runs.pages import pages
from persona_lib.runs.planning import presets
from persona_lib.runs.results import findings, manifests


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project of its own, for what needs no kernel."""
    monkeypatch.setattr(files, "ROOT", write_project(tmp_path / "project"))
    return files.ROOT


@pytest.fixture(scope="session")
def done(tmp_path_factory):
    """The folder of a run in which one notebook fails, made twice over; the manifest of the second run."""
    root = write_project(tmp_path_factory.mktemp("project"))
    kernels = root / "jupyter" / "kernels" / "python3"
    kernels.mkdir(parents=True)
    elsewhere = {"argv": ["/bin/false", "{connection_file}"], "display_name": "x", "language": "python"}
    (kernels / "kernel.json").write_text(json.dumps(elsewhere))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "ROOT", root)
        patch.setenv("PERSONA_STORE", "relative.sqlite")
        patch.setenv("JUPYTER_PATH", str(root / "jupyter"))
        patch.setenv("OPENAI_API_KEY", "sk-secret")
        patch.chdir(root)
        preset, folder = presets.load("smoke"), root / "outputs" / "smoke"
        run(preset, presets.plan(preset), folder)
        (folder / "notes.txt").write_text("mine")
        (folder / "01_good" / "tables" / "old.csv").write_text("of the first run")
        told = []
        run(preset, presets.plan(preset), folder, say=told.append)
        (root / "told.json").write_text(json.dumps(told))
    return folder


@pytest.fixture(scope="session")
def manifest(done):
    return json.loads((done / "manifest.json").read_text())


def test_a_good_notebook_runs_beside_a_failing_one(manifest):
    good, bad = manifest["notebooks"]["01_good"], manifest["notebooks"]["02_bad"]
    assert list(manifest["notebooks"]) == ["01_good", "02_bad"]  # in file-name order, the unlisted one left out
    assert (manifest["status"], good["status"], bad["status"]) == ("failed", "done", "failed")
    assert good["error"] is None and good["seconds"] > 0
    assert bad["error"] == {"name": "ValueError", "message": "no <script>alert(1)</script> here"}


def test_a_run_says_where_its_index_is_and_each_finding_as_it_comes(done):
    first, good, bad = json.loads((done.parent.parent / "told.json").read_text())
    assert first == (done / "index.html").as_uri()
    assert good.startswith("done    01_good  ") and good.endswith('Half <b>of</b> the answers & more "stand"')
    assert bad.startswith("failed  02_bad  ") and bad.endswith("ValueError: no <script>alert(1)</script> here")


def test_the_manifest_tells_parameters_versions_models_and_usage(manifest):
    given = manifest["notebooks"]["01_good"]["parameters"]
    assert given == {
        "seed": 3, "n_items": 4, "share": 0.5, "model": "local", "base_url": None, "recording": None,
        "out": "01_good",
    }  # fmt: skip
    assert manifest["seeds"] == {"01_good": {"seed": 3}, "02_bad": {"seed": 3}}
    assert manifest["versions"]["pandas"] == pd.__version__ and "python" in manifest["versions"]
    assert manifest["models"] == [{"name": "tiny", "base_url": None, "weights_sha256": local.GGUF_SHA256}]
    assert manifest["usage"] == manifest["notebooks"]["01_good"]["usage"]
    assert manifest["usage"] == manifest["notebooks"]["01_good"]["steps"]["answering"]
    assert (manifest["usage"]["calls"], manifest["usage"]["cached"], manifest["usage"]["cost"]) == (5, 3, 0.0)
    assert manifest["started"] < manifest["ended"] and manifest["preset"]["name"] == "smoke"
    assert "git" not in manifest  # this project is no checkout


def test_nothing_that_a_run_leaves_holds_the_key(done):
    texts = [path.read_bytes() for path in done.rglob("*") if path.is_file()]
    assert len(texts) >= 10 and not any(b"sk-secret" in text for text in texts)


def test_the_kernel_is_this_interpreter_in_the_notebooks_folder(manifest, done):
    metrics = manifest["notebooks"]["01_good"]["metrics"]
    root = done.parent.parent
    assert metrics["python"] == sys.executable
    assert metrics["folder"] == str(root / "notebooks")
    assert metrics["store"] == str(root / "relative.sqlite")  # of the caller's folder, not of the kernel's
    assert metrics["seed"] == 3 and metrics["unknown"] is None
    assert metrics["seaborn"] == "(True, False)"  # imported ahead, but a notebook must still do so itself


def test_a_second_run_replaces_the_files_of_the_first_and_no_others(done):
    assert (done / "notes.txt").read_text() == "mine"
    assert not (done / "01_good" / "tables" / "old.csv").exists()
    assert (done / "01_good" / "tables" / "scores.csv").is_file()


def test_the_executed_notebook_and_its_page_are_there_also_after_a_failure(done):
    for stem in ("01_good", "02_bad"):
        executed = nbformat.read(done / f"{stem}.ipynb", as_version=4)
        injected = next(c for c in executed.cells if "injected-parameters" in c.metadata.get("tags", []))
        assert "seed = 3" in injected.source and "model" not in injected.source  # only what the run changed
        assert (done / f"{stem}.html").is_file()
    assert 'id="papermill-error-cell"' in (done / "02_bad.html").read_text()


class Requests(HTMLParser):
    """Everything in a page that a browser would fetch or run, and the alt text of its images."""

    def __init__(self, page: Path):
        super().__init__()
        self.fetched, self.scripts, self.alts, self.links = [], 0, [], []
        self.feed(page.read_text())

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.scripts += tag == "script"
        self.fetched += [attrs[k] for k in ("src", "srcset", "data") if attrs.get(k)]
        self.fetched += [attrs["href"]] if tag == "link" else []
        self.links += [attrs["href"]] if tag == "a" and "href" in attrs else []
        self.alts += [attrs.get("alt")] if tag == "img" else []


def test_pages_ask_for_nothing_outside_their_folder(done):
    for name in ("index", "01_good", "02_bad"):
        page = Requests(done / f"{name}.html")
        text = (done / f"{name}.html").read_text()
        assert page.scripts == 0 and "default-src 'none'" in text
        assert not any(re.match(r"\w+:|//", url) and not url.startswith("data:") for url in page.fetched)
        assert not re.search(r"url\(|@import", text)


def test_pictures_are_embedded_in_notebooks_with_their_alt_text(done):
    page = Requests(done / "01_good.html")
    assert len(page.fetched) == 2 and all(url.startswith("data:image/png;base64,") for url in page.fetched)
    key = 'Half <b>of</b> the answers & more "stand"'  # the recorded figure, under the title
    assert page.alts == [key, "a dot"]  # the cell that records is left out


def test_every_link_of_the_index_leads_to_a_file(done):
    page = Requests(done / "index.html")
    files = {url.partition("#")[0] for url in page.links + page.fetched} - {""}  # to a place on the page itself
    assert {"01_good.html", "01_good.ipynb", "02_bad.html", "01_good/tables/scores.csv", "manifest.json"} <= files
    assert all((done / file).is_file() for file in files)


def test_the_index_shows_hostile_text_as_text(done):
    text = (done / "index.html").read_text()
    assert "<script" not in text and "<b>of</b>" not in text
    assert "no &lt;script&gt;alert(1)&lt;/script&gt; here" in text
    assert Requests(done / "index.html").alts == ['Half <b>of</b> the answers & more "stand"']


def test_the_index_tells_the_run(done, manifest):
    text = " ".join((done / "index.html").read_text().split())
    assert "Tries &amp; shows." in text and "Model: tiny, embedded." in text and "far too small for conclusions" in text
    assert "1 of 2 notebooks failed" in text and "What 01_good asks" in text and "missing" in text
    assert "$0.00" in text and '<th scope="row">answering</th><td>5</td><td>3</td><td>2</td><td>1</td>' in text
    assert ">asked again</th>" in text and ">retried</th>" not in text, "a column stands where something happened"
    assert "5 of them in earlier runs; 3 found in the store by the last; 4 of the calls asked again" in text


def empty(folder: Path = Path()) -> manifests.Manifest:
    """A manifest of a run without notebooks."""
    return manifests.Manifest(folder, "p", "About.", {}, {})


def index_of(**changed) -> str:
    """An index page without notebooks, from a manifest with some entries changed."""
    used = dict.fromkeys(usage.COUNTS, 0) | {"cost": None}
    begun = empty().content
    filled = {"models": [], "usage": used, "before": None, "seconds": 130.0, "ended": begun["started"]}
    return " ".join(pages.index(begun | filled | changed).split())


def test_the_index_of_another_model_has_no_notice_and_an_unknown_cost_is_said():
    text = index_of(models=[{"name": "gpt-x"}], status="interrupted", git={"commit": "0123456789ab", "dirty": True})
    assert (
        "far too small" not in text
        and "asked again for" not in text
        and "no price known" in text
        and "02:10 min" in text
    )
    assert "Stopped before its end" in text and "0123456<" in text and "uncommitted changes" in text


def test_the_index_says_who_judges():
    asked = {"title": "Help?", "status": "waiting", "steps": {}, "error": None, "seconds": 0}
    asked |= {"usage": dict.fromkeys(usage.COUNTS, 0) | {"cost": None}, "run": empty().content["started"]}
    of = {
        stem: asked | {"parameters": {"judge": judge}} for stem, judge in (("06_a", "j"), ("07_b", "j"), ("08_c", None))
    }
    assert "Model: gpt-x. Judge: j. " in index_of(models=[{"name": "gpt-x"}], notebooks=of)


def test_a_link_to_a_notebook_leads_to_its_page_and_is_plain_text_where_the_run_has_none(project):
    executed = project / "01_good.ipynb"
    cell = v4.new_markdown_cell("Trust: [its *audit*](02_bad.ipynb#how), [another](03_unlisted.ipynb), [site](x.ipynb)")
    nbformat.write(v4.new_notebook(cells=[cell]), executed)
    text = pages.export(executed, "Good", ["01_good", "02_bad"]).read_text()
    assert '<a href="02_bad.html#how">its <em>audit</em></a>, another, <a href="x.ipynb">site</a>' in text


def test_what_10_found_stands_in_one_line_of_06_also_if_it_runs_later(tmp_path, monkeypatch):
    cell = "from persona_lib import runs\n"
    cell += "runs.record(out, headline='x', metrics={'trust': f'{judge} flips <often>.'}, tables={}, figures={})"
    for stem in ("06_conditioning", "10_judges"):
        write_notebook(tmp_path, stem, cell, parameters='judge = "m"\nout = None')
    path = tmp_path / "notebooks" / "06_conditioning.ipynb"
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.append(v4.new_markdown_cell("Trust: [10](10_judges.ipynb)."))
    nbformat.write(notebook, path)
    write_preset(tmp_path, "smoke", "about: Tries.\nnotebooks: {06_conditioning: , 10_judges: }")
    monkeypatch.setattr(files, "ROOT", tmp_path)
    preset, folder = presets.load("smoke"), tmp_path / "outputs"

    def page(only: list[str], **given) -> str:
        run(preset, presets.plan(preset, only, given), folder)
        return (folder / "06_conditioning.html").read_text()

    line = '<a href="10_judges.html">10</a>: m flips &lt;often&gt;.</p>'
    assert line not in page(["06"])
    assert line in page(["10"])
    assert line in page(["06"]), "an audit that is there already counts too"
    assert line not in page(["06"], judge="n"), "its own critic counts, not that of the page it replaces"
    assert line in page(["06"])
    assert line not in page(["10"], judge="n"), "another critic was audited"


def test_the_index_says_beside_06_what_10_found_about_its_critic():
    entry = {
        "status": "done",
        "title": "T",
        "seconds": 1,
        "error": None,
        "steps": {},
        "headline": "Six.",
        "figure": None,
    }
    entry |= {"metrics": {}, "run": "2026-01-02T10:00:00+00:00", "usage": dict.fromkeys(usage.COUNTS, 0)}
    audit = entry | {"metrics": {findings.TRUST: "It flips <often>."}, "parameters": {"judge": "m"}}
    both = {"06_conditioning": entry | {"parameters": {"judge": "m"}}, "10_judges": audit}
    said = 'can be trusted: <a href="10_judges.html">It flips &lt;often&gt;.</a>'
    assert index_of(notebooks=both).count(said) == 1
    assert "can be trusted" not in index_of(notebooks=both | {"06_conditioning": entry}), "10 audited another critic"
    assert "can be trusted" not in index_of(notebooks={"06_conditioning": entry})
    for name in ("templates", "critique_words"):
        other = entry | {"parameters": {"judge": "m", name: "another"}}
        assert "can be trusted" not in index_of(notebooks=both | {"06_conditioning": other}), f"10 had other {name}"


def test_cost_is_unknown_only_where_calls_were_made_at_no_known_price():
    def entry(calls, cost):
        return {"steps": {"answers": dict.fromkeys(usage.COUNTS, 0) | {"calls": calls, "cost": cost}}}

    def cost(tmp, *entries):
        named = {f"{i:02}_x": {"parameters": {}, **entry} for i, entry in enumerate(entries)}
        begun = manifests.Manifest(tmp, "p", "About.", named, {})
        begun.save()
        return begun.content["usage"]["cost"]

    here = Path(os.environ["PERSONA_STORE"]).parent
    assert cost(here, entry(1, 0.5), entry(2, 0.25)) == 0.75
    assert cost(here, entry(1, 0.5), entry(1, None)) is None
    assert cost(here, entry(1, 0.5), entry(0, None)) == 0.5  # all its replies were in the store


def test_the_commit_is_told_in_a_checkout_of_our_own_only(tmp_path, monkeypatch):
    git = ["git", "-C", tmp_path, "-c", "user.name=x", "-c", "user.email=x"]
    monkeypatch.setattr(files, "ROOT", tmp_path)
    subprocess.run([*git, "init", "-q"], check=True)
    assert "git" not in empty().content  # no commit yet
    subprocess.run([*git, "commit", "-qm", "x", "--allow-empty"], check=True)
    assert empty().content["git"]["dirty"] is False
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "file").touch()
    assert empty().content["git"]["dirty"] is True
    monkeypatch.setattr(files, "ROOT", tmp_path / "new")
    assert "git" not in empty().content


@pytest.mark.parametrize("name", ["manifest.json", "thesis.txt"])
def test_a_folder_with_something_else_is_refused_untouched(project, name):
    folder = project / "mine"
    folder.mkdir()
    (folder / name).write_text('{"notebooks": ["01_good"]}')
    (folder / "01_good.html").write_text("mine")
    with pytest.raises(UserError, match="something other than an earlier run"):
        run(presets.load("smoke"), {}, folder)
    assert len(list(folder.iterdir())) == 2


def test_a_manifest_that_is_half_written_never_replaces_the_whole(tmp_path, monkeypatch):
    files.write_json(tmp_path / "m.json", {"status": "running"})
    monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="No space"):
        files.write_json(tmp_path / "m.json", {"status": "done"})
    assert json.loads((tmp_path / "m.json").read_text()) == {"status": "running"}


# --- record


@pytest.fixture
def axes():
    _, axes = plt.subplots(figsize=(7, 3.6))
    axes.plot([0, 1], [0, 1])
    yield axes
    plt.close(axes.figure)


def test_record_without_a_folder_shows_the_metrics_and_writes_nothing(tmp_path, monkeypatch, axes):
    monkeypatch.chdir(tmp_path)
    shown = runs.record(None, headline="x", metrics={"n": 8, "kept": 0.5}, tables={}, figures={"f": axes})
    assert shown.table["value"].to_dict() == {"n": 8, "kept": 0.5} and shown.table.index.name == "metric"
    assert str(shown).splitlines()[1:] == ["metric  value", "n       8", "kept    0.5"]
    assert not list(tmp_path.iterdir())


def test_record_keeps_tables_as_they_are(tmp_path, axes):
    named = pd.DataFrame({"rate": [0.5, np.nan]}, index=pd.Index(["a", "b"], name="condition"))
    plain = pd.DataFrame({"x": [1, 2]})
    runs.record(str(tmp_path), headline="x", metrics={}, tables={"named": named, "plain": plain}, figures={})
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "tables/named.parquet"), named)
    assert (tmp_path / "tables/named.csv").read_text() == "condition,rate\na,0.5\nb,\n"
    assert (tmp_path / "tables/plain.csv").read_text() == "x\n1\n2\n"


def test_record_writes_json_without_nan_and_names_the_key_figure(tmp_path, axes):
    metrics = {
        "n": np.int64(8),
        "kappa": np.nan,
        "missing": pd.NA,
        "kept": np.float64(0.5),
        "rows": np.array([1, np.inf]),
    }
    runs.record(str(tmp_path), headline="x", metrics=metrics, tables={}, figures={"first": axes, "second": axes})
    found = json.loads((tmp_path / "record.json").read_text(), parse_constant=pytest.fail)
    assert found["metrics"] == {"n": 8, "kappa": None, "missing": None, "kept": 0.5, "rows": [1, None]}
    assert found["figure"] == "first" and found["models"] == []


def test_a_metric_may_have_its_interval_and_n(tmp_path):
    metrics = {"items": 8, "kept": (np.float64(0.5), 0.25, 0.75, np.int64(8)), "alone": (1.0, np.nan, np.nan, 1)}
    shown = runs.record(str(tmp_path), headline="x", metrics=metrics, tables={}, figures={}).table
    assert list(shown) == ["value", "low", "high", "n"] and shown.loc["kept"].tolist() == [0.5, 0.25, 0.75, 8]
    assert shown.loc["items", "value"] == 8
    assert shown.loc["items", "low":].tolist() == [""] * 3 and pd.isna(shown.loc["alone", "low"])
    found = json.loads((tmp_path / "record.json").read_text())["metrics"]
    assert found["kept"] == {"value": 0.5, "low": 0.25, "high": 0.75, "n": 8} and found["items"] == 8
    assert pages.figure(found["kept"]) == "0.5 (0.25 to 0.75, n = 8)"
    assert pages.figure(found["alone"]) == "1 (no interval, n = 1)"
    assert list(runs.record(None, headline="x", metrics={"items": 8}, tables={}, figures={}).table) == ["value"]
    with pytest.raises(ValueError, match="argument"):
        runs.record(None, headline="x", metrics={"kept": (0.5, 0.25, 0.75)}, tables={}, figures={})


def test_figures_are_sharp_and_the_svg_is_the_same_bytes_each_time(tmp_path, axes):
    for folder in ("a", "b"):
        runs.record(str(tmp_path / folder), headline="x", metrics={}, tables={}, figures={"f": axes})
    svgs = [(tmp_path / folder / "figures/f.svg").read_bytes() for folder in ("a", "b")]
    assert svgs[0] == svgs[1] and b"<dc:date>" not in svgs[0]
    assert plt.imread(tmp_path / "a/figures/f.png").shape[1] >= 6 * 150  # 7 inches less its margins


# --- presets and parameters


def failure(call, *args) -> str:
    with pytest.raises(UserError) as caught:
        call(*args)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def plan_of(root: Path, text: str, *args):
    write_preset(root, "other", text)
    return presets.plan(presets.load("other"), *args)


def test_an_unknown_preset_lists_the_known_ones(project):
    assert failure(presets.load, "smok") == "unknown preset 'smok': did you mean 'smoke'? known: smoke"
    assert "known: smoke" in failure(presets.load, "elsewhere/x.yaml")


def test_a_preset_may_be_a_file_elsewhere(project, tmp_path):
    (tmp_path / "mine.yaml").write_text("about: Mine.\nnotebooks: {01_good: }")
    assert list(presets.plan(presets.load(str(tmp_path / "mine.yaml")))) == ["01_good"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("about: [", "can't be read as YAML"),
        ("- a list", "is not a preset"),
        ("", "is not a preset"),
        ("notebooks: {}", "is not a preset: about: Field required"),
        ("about: x\nnotebook: {}\nnotebooks: {}", "notebook: Extra inputs"),
        ("about: x\nnotebooks: [01_good]", "notebooks"),
        ("about: x\nnotebooks: {01_goof: }", "unknown notebook '01_goof': did you mean '01_good'?"),
        ("about: x\nall: {n_item: 4}\nnotebooks: {01_good: , 02_bad: }", "did you mean 'n_items'?"),
        (
            "about: x\nnotebooks: {01_good: {n_item: 4}}",
            "unknown parameter 'n_item' of 01_good: did you mean 'n_items'?",
        ),
        ("about: x\nnotebooks: {01_good: {n_items: '4'}}", "'n_items' of 01_good takes a whole number from 1, not '4'"),
        ("about: x\nnotebooks: {01_good: {n_items: true}}", "takes a whole number from 1, not True"),
        ("about: x\nnotebooks: {01_good: {n_items: null}}", "takes a whole number from 1, not null"),
        ("about: x\nall: {share: half}\nnotebooks: {01_good: }", "takes a number, not 'half'"),
        ("about: x\nall: {out: here}\nnotebooks: {01_good: }", "--out"),
        ("about: x\npairs: {personas: 1}", "the preset 'other' lists no notebooks"),
    ],
)
def test_a_wrong_preset_is_told_before_anything_runs(project, text, said):
    assert said in failure(plan_of, project, text)


def test_an_unknown_parameter_is_told_with_the_notebook_and_all_it_knows(project):
    message = failure(plan_of, project, "about: x\nnotebooks: {01_good: {nitems: 4}}")
    assert all(name in message for name in ("nitems", "01_good", "base_url", "model", "n_items", "seed", "share"))


@pytest.mark.parametrize(
    "given",
    [
        {"base_url": "https://me:pass@x/v1"},
        {"judge_base_url": "https://me:pass@x/v1"},
        {"more_models": ["m@http://x/v1", "n@https://me:pass@x/v1"]},
    ],
)
def test_an_address_with_a_password_is_refused_without_showing_it(given):
    smoke = presets.load("smoke")
    messages = [failure(presets.plan, smoke, ["06"], given)]
    messages += [failure(presets.pairs, smoke, given)] if "more_models" not in given else []
    assert all("set OPENAI_API_KEY instead" in message and "me:pass" not in message for message in messages)


def test_values_that_fit_are_taken(project):
    fitting = {"share": 1, "base_url": "http://x", "seed": 7, "recording": None}
    planned = plan_of(project, "about: x\nnotebooks: {01_good: , 02_bad: }", (), fitting)
    assert all(values.items() >= fitting.items() for values in planned.values())


def test_a_file_or_folder_of_the_callers_is_found_from_the_notebooks(project, tmp_path, monkeypatch):
    names = ("templates", "labels", "prompts", "personas")
    write_notebook(project, "01_good", "1", parameters="".join(f"{name} = None\n" for name in names))
    (tmp_path / "here" / "prism").mkdir(parents=True)
    (tmp_path / "here" / "mine.csv").touch()
    monkeypatch.chdir(tmp_path / "here")
    text = "about: x\nnotebooks: {01_good: {labels: mine.csv}}"
    named = {"templates": "prism", "prompts": "prism", "personas": "mine.csv"}
    values = plan_of(project, text, (), named)["01_good"]
    assert values["prompts"] == "prism"  # of ours, which no folder of that name changes
    assert not any(str(tmp_path) in value for value in values.values())  # nor does it tell where its user lives
    monkeypatch.chdir(project / "notebooks")
    assert Path(values["templates"]).samefile(tmp_path / "here" / "prism")
    for name in ("labels", "personas"):
        assert Path(values[name]).samefile(tmp_path / "here" / "mine.csv")
    far = {"templates": str(tmp_path / "here"), "labels": "nowhere.csv"}
    values = plan_of(project, text, (), far)["01_good"]
    assert values["templates"] == "../../here" and values["labels"] == "nowhere.csv"


def test_what_is_given_wins_over_the_notebooks_own_and_that_over_all(project):
    text = "about: x\nall: {seed: 1, n_items: 1, share: 0.1}\nnotebooks: {01_good: {n_items: 2, share: 0.2}}"
    values = plan_of(project, text, (), {"share": 0.3})["01_good"]
    assert (values["seed"], values["n_items"], values["share"]) == (1, 2, 0.3)
    assert values["recording"] is None  # asks the model though the notebook's default replays
    assert plan_of(project, text, (), {"recording": "y"})["01_good"]["recording"] == "y"


@pytest.mark.parametrize("given", [{"base_url": "http://127.0.0.1:1/v1"}, {"model": "local"}, {"model": "x.gguf"}])
def test_another_endpoints_model_judges_itself_and_not_the_presets_judge_at_openai(given):
    small = presets.load("small")
    judge = {"judge": "j", "judge_base_url": "http://127.0.0.1:2/v1"}
    for of in (lambda g: presets.plan(small, ["06"], g)["06_conditioning"], lambda g: dict(presets.pairs(small, g))):
        assert of({"model": "gpt-4.1-nano"})["judge"] == "gpt-4.1"
        assert of(given)["judge"] is None
        assert of(given | judge).items() >= judge.items()


def test_only_selects_by_beginning_and_an_unknown_one_lists_the_known(project):
    smoke = presets.load("smoke")
    for name in ("2", "02", "02_", "02_bad"):
        assert list(presets.plan(smoke, [name])) == ["02_bad"]
    for name in ("09", "0", "002", ""):
        assert f"unknown notebook '{name}': known: 01_good, 02_bad" in failure(presets.plan, smoke, [name])
    write_notebook(project, "02_bad", "1", parameters="other = 1")
    assert list(presets.plan(smoke, ["01"], {"share": 0.1})) == ["01_good"]
    assert "unknown parameter 'share' of 02_bad" in failure(
        plan_of, project, "about: x\nnotebooks: {02_bad: }", (), {"share": 1}
    )


@pytest.mark.parametrize("parameters", ["n = 2 * 3", "from os import sep", "n, m = 1, 2", "n = 1\nn += 1", "n ="])
def test_a_parameters_cell_of_anything_but_literals_is_refused(project, parameters):
    write_notebook(project, "01_good", "1", parameters=parameters)
    assert "`name = literal`" in failure(presets.plan, presets.load("smoke"))


def test_a_file_that_is_no_notebook_is_refused(project):
    (files.ROOT / "notebooks" / "01_good.ipynb").write_text("{")
    assert "01_good.ipynb can't be run" in failure(presets.plan, presets.load("smoke"))


# --- progress


def test_without_a_terminal_progress_is_plain_lines_now_and_then(tmp_path, monkeypatch):
    monkeypatch.setattr("persona_lib.runs.executing.progress.POLL_S", 0.01)
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    steps = tmp_path / "steps"
    steps.touch()
    with Progress() as progress:
        progress.begin("06_x", 5, steps)
        steps.write_text('{"step": "answering", "done": 3, "total": 8}\n{"step": "ans')
        until(sys.stderr.getvalue)
        time.sleep(0.1)
    (line,) = sys.stderr.getvalue().splitlines()
    assert re.fullmatch(r"06_x  \d\d:\d\d  \d/5 cells.*", line)


def test_in_a_terminal_progress_is_one_line_that_is_redrawn(tmp_path, monkeypatch):
    monkeypatch.setattr("persona_lib.runs.executing.progress.POLL_S", 0.1)  # unread, a terminal takes only 4 kB
    steps = tmp_path / "steps"
    steps.write_text('{"step": "answering", "done": 3, "total": 8}\n{"cells": 1}\n')
    reader, writer = os.openpty()  # a terminal that does not tell its size
    with os.fdopen(writer, "w") as terminal, os.fdopen(reader, "rb", buffering=0) as screen:
        monkeypatch.setattr(sys, "stderr", terminal)
        with Progress() as progress:
            progress.begin("06_x", 5, steps)
            drawn = read(screen, "answering 3/8")
        drawn += read(screen, " \r")  # wiped once the notebook is done
    assert "1/5 cells" in drawn and drawn.count("\n") == 0


def read(screen: io.RawIOBase, last: str) -> str:
    """What is drawn on a screen, which arrives in pieces, up to where it ends with a text and more."""
    drawn = ""
    while last not in drawn:
        assert select.select([screen], [], [], LONG_S)[0], drawn
        drawn += screen.read(100_000).decode()
    return drawn


def test_the_time_left_is_that_of_the_pace_now(tmp_path):
    part = _Part(5, tmp_path / "steps")
    line = {"step": "answering", "total": 100}
    part.note(line | {"done": 40}, 100.0)  # replies found in the store come all at once
    assert part.text() == "answering 40/100"
    part.note(line | {"done": 50}, 120.0)
    assert part.text() == "answering 50/100, 01:40 left"
    part.note(line | {"done": 60}, 160.0)
    assert part.text() == "answering 60/100, 02:40 left"  # slower now, and only the last half minute counts
    part.note({"step": "judging", "done": 1, "total": 8}, 161.0)
    assert part.text() == "judging 1/8"
    part.note({"step": "revising", "done": 3, "total": None}, 162.0)
    assert part.text() == "revising 3"


def test_the_time_left_of_a_run_is_that_of_earlier_ones_at_todays_pace(tmp_path, capsys):
    course = Course({"a": 10.0, "b": 30.0, "c": 60.0})
    course._began = 100.0
    assert course.text({"a": 0.9}, 0.0, 101.0) == "0 of 3 notebooks"  # too little is over to tell a pace
    course.over.add("a")
    assert course.text({"b": 0.0}, 0.0, 105.0) == "1 of 3 notebooks, about 00:45 left"  # twice as fast as before
    assert course.text({"b": 0.5}, 0.0, 125.0) == "1 of 3 notebooks, about 01:15 left"
    assert (
        course.text({"b": 0.5}, 600.0, 125.0) == "1 of 3 notebooks, about 10:00 left"
    )  # the current step knows better
    assert course.text({"b": 0.5, "c": 0.25}, 0.0, 125.0) == "1 of 3 notebooks, about 00:37 left"  # side by side
    course.over |= {"b", "c"}
    assert course.text({}, 0.0, 200.0) == "3 of 3 notebooks"
    steps = tmp_path / "steps"
    steps.write_text('{"step": "answering", "done": 3, "total": 8}\n')
    progress = Progress(Course({"06_x": None, "07_y": 20.0}))
    for name, cells in (("06_x", 5), ("07_y", 7)):
        progress.begin(name, cells, steps)
        progress._parts[name].look(1.0)
    progress._show(progress._began)
    line = "0/12 cells  0 of 2 notebooks  06 answering 3/8  07 answering 3/8\n"
    assert capsys.readouterr().err == f"06, 07  00:00  {line}"
    progress.end("06_x")
    progress._logged = 0.0
    progress._show(time.monotonic())
    assert capsys.readouterr().err.endswith("0/7 cells  1 of 2 notebooks  answering 3/8\n")


def test_no_time_left_is_made_up_where_a_notebook_never_ran_with_these_parameters():
    course = Course({"a": 10.0, "b": None})
    course.over.add("a")
    assert course.text({"b": 0.5}, 0.0, course._began + 60) == "1 of 2 notebooks"
    assert Course({"a": None}).text({"a": 0.5}, 0.0, 1e9) == ""
    kept = {"seconds": 7.0, "parameters": {"n": 1}}
    assert [took({"parameters": {"n": n}, "kept": kept}) for n in (1, 2)] == [7.0, None] == [7.0, took({})]


# --- Ctrl-C


def test_ctrl_c_ends_in_one_line_and_leaves_no_kernel(tmp_path):
    root = tmp_path / "project"
    pid = tmp_path / "pid"
    sleep = f"import os, pathlib, time; pathlib.Path({str(pid)!r}).write_text(str(os.getpid())); time.sleep(100)"
    write_notebook(root, "01_sleep", sleep)
    write_notebook(root, "02_never", "1")
    write_preset(root, "sleep", "about: Sleeps.\nnotebooks: {01_sleep: , 02_never: }")
    program = (
        f"from pathlib import Path; from persona_lib import cli, files; files.ROOT = Path({str(root)!r}); cli.app()"
    )
    command = [sys.executable, "-c", program, "run", "--preset", "sleep"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        until(lambda: pid.is_file() and pid.read_text())
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=LONG_S)
    assert process.returncode == 130
    assert "Traceback" not in err and out == f"{(root / 'outputs/sleep/index.html').as_uri()}\n"
    last = err.strip().splitlines()[-1]
    assert (
        last.startswith("stopped by Ctrl-C; everything answered so far is kept in")
        and "run it again to continue" in last
    )
    until(lambda: not runs_still(int(pid.read_text())), seconds=20)
    told = json.loads((root / "outputs/sleep/manifest.json").read_text())
    assert told["status"] == "interrupted"
    assert [entry["status"] for entry in told["notebooks"].values()] == ["interrupted", "not run"]
