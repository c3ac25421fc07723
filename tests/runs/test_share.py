"""A run as one file: what is on the page, where its links lead, and what stays out of it."""

import base64
import io
import os
import shutil
import zipfile

import matplotlib.pyplot as plt
import nbformat
import pandas as pd
import pytest
from axe_playwright_python.sync_playwright import Axe
from commands import one_line, persona
from nbformat import v4
from PIL import Image

from persona_lib import UserError, files, runs
from persona_lib.model.limits import usage
from persona_lib.runs.pages import share
from persona_lib.runs.results import manifests

SECRET = "The whole profile of Alma"


def noisy() -> bytes:
    """A PNG of many colours."""
    out = io.BytesIO()
    Image.effect_noise((200, 200), 80).convert("RGB").save(out, "PNG")
    return out.getvalue()


@pytest.fixture
def run(tmp_path):
    """A run of two notebooks: one with a picture, a printed text, items and links; one that is not there yet."""
    folder = tmp_path / "outputs" / "mine"
    axes = plt.figure(figsize=(2, 2)).add_subplot()
    results = {
        "persona_id": ["p"],
        "prompt_id": ["q"],
        "condition": ["direct"],
        "answer": [SECRET],
        "verdict": ["keep"],
    }
    tables = {"results": pd.DataFrame(results | {"score": [1.0], "failure": [None]})}
    finding = runs.Finding("found", 0.5, 0.2, 0.8, 40, "share")
    out = folder / "06_conditioning"
    runs.record(str(out), headline="Half.", metrics={}, tables=tables, figures={"f": axes}, finding=finding)
    png = base64.b64encode(noisy()).decode()
    outputs = [v4.new_output("display_data", {"image/png": png}), v4.new_output("stream", text=SECRET)]
    prose = "# Does it help?\n\n## First\n\nSee [the audit](10_judges.ipynb) and [here](#First)."
    cells = [v4.new_markdown_cell(prose), v4.new_code_cell("show()", outputs=outputs)]
    nbformat.write(v4.new_notebook(cells=cells), folder / "06_conditioning.ipynb")
    planned = {"06_conditioning": {"title": "Help?", "parameters": {}}}
    manifest = manifests.Manifest(folder, "mine", "About.", planned, {})
    manifest.planned["06_conditioning"] |= files.read_json(out / "record.json") | {"status": "done", "lost": []}
    manifest.planned["06_conditioning"]["steps"] = {"answering": dict.fromkeys(usage.COUNTS, 0) | {"cost": 0.0}}
    manifest.close("done")
    manifest.save()
    (folder / "index.html").write_text("index")
    return folder


def test_a_run_is_one_page_whose_links_lead_to_places_on_it(run, tmp_path, browser):
    out = share.write(run, tmp_path / "run.html")
    text = out.read_text("utf-8")
    assert SECRET in text and "50%" in text and "runs.record" not in text
    assert text.count("<main") == 1
    page = browser.new_page()
    faults = []
    page.on("console", lambda m: faults.append(m.text) if m.type == "error" else None)
    page.goto(out.as_uri())
    page.wait_for_selector("body[data-ready]")
    links = page.eval_on_selector_all("a[href]", "all => all.map(a => a.getAttribute('href'))")
    assert all(link.startswith("#") for link in links), "to files that stay behind"
    links = [link.removeprefix("#") for link in links]
    places = set(page.eval_on_selector_all("[id]", "all => all.map(e => e.id)"))
    assert "06_conditioning-page" in links and "06_conditioning--First" in links
    assert {link for link in links if link and "=" not in link and "-" in link} <= places
    assert Axe().run(page).response["violations"] == [] and faults == []
    page.close()


def test_without_texts_the_page_has_findings_and_pictures_and_no_text_of_a_person(run, tmp_path):
    text = share.write(run, tmp_path / "run.html", texts=False).read_text("utf-8")
    assert SECRET not in text and "50%" in text and text.count("data:image/") == 3


def test_pictures_of_many_colours_are_shrunk():
    small = share._few_colors(noisy())
    assert len(small) < 0.6 * len(noisy()) and Image.open(io.BytesIO(small)).size == (200, 200)


def test_a_zip_has_the_whole_folder_and_other_files_are_refused(run, tmp_path):
    names = zipfile.ZipFile(share.write(run, tmp_path / "run.zip")).namelist()
    assert {"mine/index.html", "mine/manifest.json", "mine/06_conditioning/tables/results.parquet"} <= {*names}
    for out, texts in (("run.pdf", True), ("run.zip", False)):
        with pytest.raises(UserError, match=r"\.html"):
            share.write(run, tmp_path / out, texts)


def test_commands_list_open_and_share_a_run(run, tmp_path, monkeypatch):
    monkeypatch.setattr(files, "ROOT", tmp_path)
    listed = persona("list").stdout
    assert listed.startswith("mine  ") and "done" in listed and "1 notebook " in listed and "    Half." in listed
    opened = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    assert persona("open", "mine").stdout.strip() == str(run / "index.html")
    assert opened == [(run / "index.html").as_uri()]
    assert persona("share", "mine", "--out", str(tmp_path / "x.zip"), "--texts").exit_code == 0
    assert "persona list" in one_line(persona("open", "nothing"))


def test_runs_in_folders_of_runs_are_listed_and_named_where_one_is_needed(run, tmp_path, monkeypatch):
    monkeypatch.setattr(files, "ROOT", tmp_path)
    sweep = tmp_path / "outputs" / "sweep-a"
    for name in ("seed=0", "seed=1"):
        shutil.copytree(run, sweep / name)
    (sweep / "index.html").write_text("all points")
    os.utime(sweep / "seed=1" / "manifest.json", (0, 0))
    listed = persona("list").stdout
    assert listed.startswith("mine  ") and listed.endswith("\nsweep-a  2 runs in it, the newest sweep-a/seed=0\n")
    monkeypatch.setattr("webbrowser.open", lambda address: None)
    assert persona("open", "sweep-a/seed=0").exit_code == 0
    assert f"such as {sweep / 'seed=0'}" in one_line(persona("share", "sweep-a", "--out", str(tmp_path / "x.html")))
    assert "score of 06_conditioning/results" in persona("compare", "mine", "sweep-a/seed=0").stdout
    shutil.rmtree(run)
    assert persona("list").stdout == "sweep-a  2 runs in it, the newest sweep-a/seed=0\n"
