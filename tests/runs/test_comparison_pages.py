"""The comparison of runs that is written: tables, a figure and a page that says what differs, at any width."""

from pathlib import Path

import pandas as pd
import pytest
from axe_playwright_python.sync_playwright import Axe
from commands import one_line, persona
from written_runs import results, write

PROMPT = "Is <b>this</b> right?"
METRICS = {"items": 300, "kept, m, direct": {"value": 0.5, "low": None, "high": None, "n": 300}}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Three runs, of which two are of one model and the last has no results, and their comparison."""
    folder = tmp_path_factory.mktemp("runs")
    for name, model, score in (("a", "m", 0.0), ("b", "n", 1.0), ("c", "n", 0.0)):
        table = results({"direct": [score] * 300, "baseline": [0.0, 1.0] * 150}, prompt=PROMPT, model=model)
        metrics = {key.replace(" m,", f" {model},"): value for key, value in METRICS.items()}
        metrics |= {f"graded, {model}, direct": {"value": score, "low": 0, "high": 1, "n": 300}}
        write(folder / name, table, {"model": model, "seed": 0 if name == "a" else 1}, metrics=metrics)
        (folder / name / "index.html").write_text("a run")
    ann = pd.DataFrame({"given name": "Ann", "age": 71, "state": "Ohio"}, pd.Index(["p0"], name="persona_id"))
    ann.to_parquet(folder / "b" / "06_conditioning" / "tables" / "people.parquet")
    write(folder / "d", None, status="running")
    done = persona("compare", *(folder / name for name in "abcd"), "--out", folder / "out")
    assert done.exit_code == 0 and done.stdout.splitlines()[-1] == str(folder / "out" / "index.html")
    return folder / "out"


def test_tables_and_figure_are_written(made):
    assert {path.name for path in made.iterdir()} == {
        "index.html",
        *(f"compared.{kind}" for kind in ("parquet", "csv", "png", "svg")),
        *(f"changed.{kind}" for kind in ("parquet", "csv")),
    }
    compared, changed = (pd.read_parquet(made / f"{name}.parquet") for name in ("compared", "changed"))
    assert len(compared) == 6 and len(changed) == 300 and changed["prompt"].unique().tolist() == [PROMPT]
    assert pd.read_csv(made / "compared.csv")["difference"].tolist() == pytest.approx(
        compared["difference"].tolist(), nan_ok=True
    )


def test_the_page_says_what_differs_and_what_changed_and_links_the_runs(made, browser):
    page = browser.new_page()
    page.goto((made / "index.html").as_uri())
    said = page.inner_text("body")
    assert "3 runs compared" in said and "its notebook is 'running'" in said and "left out" in said
    assert "1 of 4 differences from m are clear" in said and "n, b in direct: +100 points" in said
    given = [row.split("\t") for row in page.inner_text("table[aria-label], .wide >> nth=0").splitlines()]
    assert ["model", "m", "n", "n", "null"] in given and ["seed", "0", "1", "1", "null"] in given
    assert "2 did not" in said and "graded, direct" in said  # by one name, though the models differ
    assert "1 (0 to 1, n = 300)" in said
    assert "Ann, 71, Ohio" in said and "p1\t" in said, "who is known by name, and who is not"
    assert "300 in n, b. The first 200 of 300" in " ".join(said.split()) and PROMPT in said
    links = page.eval_on_selector_all("a[href]", "all => all.map(a => a.href)")
    assert len(links) == 7 and all(Path(link.removeprefix("file://")).is_file() for link in links)
    page.close()


def test_the_page_is_readable_on_a_phone_and_on_a_desk(made, browser):
    page = browser.new_page()
    page.goto((made / "index.html").as_uri())
    for width in (1400, 400):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.scrollingElement.scrollWidth") <= width
    assert page.evaluate("document.images[0].naturalWidth") > 600
    alike = {"exclude": [["tr:nth-child(n+6)"]]}  # rows of the 200 items, which would take seconds
    found = Axe().run(page, context=alike).response["violations"]
    assert [(v["id"], v["nodes"][0]["html"][:200]) for v in found if v["impact"] in ("serious", "critical")] == []
    page.close()


def test_a_comparison_does_not_replace_the_page_of_a_run(tmp_path):
    runs = [write(tmp_path / name, results({"direct": [1.0] * 6})) for name in "abc"]
    assert "is the folder of a run" in persona("compare", *runs, "--out", runs[0]).stderr
    (tmp_path / "file").write_text("x")
    assert "File exists" in persona("compare", *runs, "--out", tmp_path / "file").stderr
    assert "is not the folder of a run" in one_line(persona("compare", tmp_path / "file", runs[0]))


def test_two_runs_are_compared_as_before_and_may_be_written(tmp_path):
    runs = [write(tmp_path / name, results({"direct": [score] * 36})) for name, score in (("a", 0.0), ("b", 1.0))]
    plain, written = persona("compare", *runs), persona("compare", *runs, "--out", tmp_path / "out")
    assert plain.stdout.startswith(f"{runs[1]} minus {runs[0]}: score of 06_conditioning/results\n")
    assert written.stdout.startswith(plain.stdout) and (tmp_path / "out" / "index.html").is_file()
