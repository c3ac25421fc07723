"""The docs as a site: it builds without a warning, loads nothing from outside, and describes each table of a run."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from places import ROOT
from waits import LONG_S

from persona_lib.runs.planning import parameters, preflight, presets


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The site, as `make docs` builds it, without the reference."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", ROOT / "docs", folder]
    done = subprocess.run(command, capture_output=True, text=True, timeout=4 * LONG_S)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def reference(tmp_path_factory) -> Path:
    """The reference of one module, as `make docs` writes those of all."""
    folder = tmp_path_factory.mktemp("reference")
    written = (
        "import pathlib, reference; reference.write(pathlib.Path(sys.argv[2]), 'persona_lib.runs.reporting.record')"
    )
    command = [sys.executable, "-W", "error", "-c", f"import sys; sys.path.insert(0, sys.argv[1]); {written}"]
    done = subprocess.run([*command, ROOT / "docs", folder], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return folder


def test_every_page_is_part_of_the_site_and_can_be_searched(site):
    written = {path.stem for path in site.glob("*.html")}
    assert {path.stem for path in (ROOT / "docs").glob("*.md")} <= written
    assert "placebo" in (site / "searchindex.js").read_text("utf-8")


def test_the_site_loads_nothing_from_outside(site):
    for path in site.glob("*.html"):
        loaded = re.findall(r"<(?:link|script|img|iframe)\b[^>]*?(?:src|href)=\"([^\"]+)\"", path.read_text("utf-8"))
        assert loaded and [address for address in loaded if re.match(r"(?:\w+:)?//", address)] == [], path.name
    for path in site.rglob("*.css"):
        assert not re.search(r"(?:url\(|@import)\s*['\"]?(?:https?:)?//", path.read_text("utf-8")), path.name


def test_the_site_is_accessible(site, browser):
    page = browser.new_page(viewport={"width": 400, "height": 900})
    for name in ("index", "estimate"):  # the latter has a table and a block that scroll
        page.goto((site / f"{name}.html").as_uri())
        found = Axe().run(page).response["violations"]
        assert [(v["id"], v["nodes"][0]["html"][:200]) for v in found] == [], name
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_reference_is_accessible_by_day_and_by_night(reference, browser, scheme):
    page = browser.new_page(viewport={"width": 1400, "height": 900}, color_scheme=scheme)
    page.goto(
        (reference / "persona_lib" / "runs" / "reporting" / "record.html").as_uri()
    )  # with a class, links and code
    found = Axe().run(page).response["violations"]
    assert [(v["id"], v["nodes"][0]["html"][:200]) for v in found] == []
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (paper == "rgb(255, 255, 255)") == (scheme == "light"), "the pages have both looks"
    page.close()


def test_pictures_are_small():
    sizes = {path.name: path.stat().st_size for path in (ROOT / "docs" / "pictures").iterdir()}
    assert {"conditioning.png", "index.png", "items.png"} <= sizes.keys() and max(sizes.values()) < 120_000


PAGE = (ROOT / "docs" / "tables.md").read_text("utf-8")


def recorded(notebook: Path) -> set[str]:
    """Return the names of the tables that a notebook records: the keys of dicts that go into its tables."""
    cells = json.loads(notebook.read_text("utf-8"))["cells"]
    names = set()
    for node in ast.walk(
        ast.parse("\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"))
    ):
        given = isinstance(node, ast.keyword) and node.arg == "tables"
        named = isinstance(node, ast.Assign | ast.AugAssign) and ast.unparse(node).startswith("tables ")
        if given or named:
            names |= {k.value for d in ast.walk(node.value) if isinstance(d, ast.Dict) for k in d.keys}
    return names


@pytest.mark.parametrize("notebook", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda path: path.stem)
def test_every_table_of_a_notebook_is_described_and_no_other(notebook):
    section = PAGE.split(f"\n## {notebook.stem}\n")[1].split("\n## ")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == recorded(notebook)


def test_every_column_that_a_table_lists_has_a_meaning_and_no_other():
    tables, columns = PAGE.split("\n## Columns\n")
    listed = {
        name for cell in re.findall(r"\| ([^|]*) \|$", tables, re.MULTILINE) for name in re.findall("`([^`]+)`", cell)
    }
    meant = re.findall(r"^\| `([^`]+)` \| [^|]+ \|$", columns, re.MULTILINE)
    assert set(meant) == listed and len(meant) == len(listed)


def test_the_files_and_commands_of_the_tutorials_pass_the_checks_before_a_run(tmp_path, monkeypatch):
    pages = {name: (ROOT / "docs" / f"{name}.md").read_text("utf-8") for name in ("own_question", "end_to_end")}
    people, questions, preset = re.findall(r"```(?:csv|yaml)\n(.*?)```", pages["end_to_end"], re.DOTALL)
    for name, text in {"people.csv": people, "questions.csv": questions, "mine.yaml": preset}.items():
        (tmp_path / name).write_text(text, "utf-8")
    monkeypatch.chdir(tmp_path)
    assert preflight.check(presets.plan(presets.load("mine.yaml")), asks=False) == []
    told = re.findall(r"^ +persona (?:run|estimate) .*?[^\\]$", pages["own_question"], re.MULTILINE | re.DOTALL)
    assert len(told) == 2
    for command in told:
        given = parameters.read(re.findall(r"-p (\S+)", command))
        planned = presets.plan(presets.load("smoke"), ["06"], given)
        assert preflight.check(planned, asks=False) == [] and planned["06_conditioning"]["n_items"] == 12
