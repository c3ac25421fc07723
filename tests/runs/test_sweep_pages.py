"""The figure and the page of a sweep."""

from pathlib import Path

import figures
import matplotlib.pyplot as plt
import pandas as pd
import pytest
import swept
from axe_playwright_python.sync_playwright import Axe

from persona_lib import files, plots
from persona_lib.runs.executing import run
from persona_lib.runs.sweeps import sweep, sweeping
from persona_lib.runs.sweeps.sweep import Sweep


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A sweep of 100 points by two models, of which five failed; the folder of its page. A stand-in made the runs."""
    root = swept.write_project(tmp_path_factory.mktemp("project"))
    fine = swept.Runs().finds
    runs = swept.Runs(lambda v: swept.failed("ValueError", "<b>none</b>") if v["size"] == 3 else fine(v))
    given = Sweep(
        name="hundred",
        about="Is <b>it</b> so?",
        preset="smoke",
        models=["m", "a-model-of-a-long-name@http://127.0.0.1:1/v1"],
        seeds=list(range(5)),
        parameters={"size": list(range(1, 11))},
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "ROOT", root)
        patch.setattr(run, "run", runs)
        sweeping.execute(given, sweep.points(given), root / "out")
    return root / "out"


def table(n: int, panels: int) -> pd.DataFrame:
    rows = [
        {"panel": f"{i}: what is kept of all that was said", "at": at, "value": at / n, "low": at / n - 0.1}
        | {"high": at / n + 0.1, "n": 40, "unit": ("share", "points", "")[i % 3]}
        for i in range(panels)
        for at in range(n)
        if at != 1
    ]
    return pd.DataFrame(rows, columns=["panel", "at", "value", "low", "high", "n", "unit"])


@pytest.mark.parametrize(("n", "panels"), [(100, 3), (2, 4), (3, 0)])
def test_the_figure_is_legible_at_any_number_of_points(n, panels):
    assert figures.functions(plots.sweeps) == {"points"}
    labels = [f"a-model-of-a-long-name, n_items={i}, seed={i % 3}" for i in range(n)]

    def drawn():
        return plots.sweeps.points(table(n, panels), labels, [i % 2 for i in range(n)], "A finding", 3)

    assert figures.faults(drawn) == []
    said = " ".join(figures.said(drawn()).split())
    if panels:
        assert f"{n} points; n = 40." in said and "Cross: no value. 3 more numbers in the table." in said
        assert "1 a-model-of-a-l … ems=0, seed=0" in said
    else:
        assert "nothing to show" in said


def test_a_point_says_its_value_and_a_cross_none():
    labels, one = ["a", "b", "c"], table(3, 1)
    said = plots.values(plots.sweeps.points(one, labels, [0, 1, 1], "A finding").figure)
    assert sorted(said.values()) == [["a: 0% (95% interval −10% to 10%)"], ["c: 66.7% (95% interval 56.7% to 76.7%)"]]
    plt.close("all")


def test_the_page_tells_the_finding_first_and_links_each_run(made, browser):
    page = browser.new_page()
    page.goto((made / "index.html").as_uri())
    said = " ".join(page.inner_text("main").split())
    places = [said.index(text) for text in ("The answers", "What the sweep varies", "All points", "The runs")]
    assert "Is <b>it</b> so?" in said and "90 of 100 points are done. 10 failed. The same command goes on." in said
    assert "the model keeps more when told: +1 to +18 points at 90 points" in said
    assert said.index("+1 to +18 points") < places[1]
    assert "size 1, 2, 3, 4, 5, 6, 7, 8, 9, 10" in said and "preset smoke; 01_ask" in said
    assert "The judge differs between points" in said and said.count("ValueError: <b>none</b>") == 10
    links = page.eval_on_selector_all("a[href]", "all => all.map(a => decodeURIComponent(a.href.split('#')[0]))")
    assert len(set(links)) > 100 and all(Path(link.removeprefix("file://")).is_file() for link in links)
    assert page.evaluate("document.images[0].naturalWidth") > 600
    page.close()


def test_the_page_is_readable_on_a_phone_on_a_desk_and_in_the_dark(made, browser):
    for width, scheme in ((1400, "light"), (400, "dark")):
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        page.goto((made / "index.html").as_uri())
        assert page.evaluate("document.scrollingElement.scrollWidth") <= width
        alike = {"exclude": [["tr:nth-child(n+6)"]]}
        found = Axe().run(page, context=alike).response["violations"]
        assert [(v["id"], v["nodes"][0]["html"][:200]) for v in found if v["impact"] in ("serious", "critical")] == []
        page.close()
