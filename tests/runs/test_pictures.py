"""Figures in files and pages: points and cells say their values, no two share an id, alternative texts say the rest."""

import json
import math
import re
from xml.dom import minidom

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pandas as pd
import pytest

from persona_lib import plots, runs
from persona_lib.runs.pages import pages, pictures, share
from persona_lib.runs.reporting.record import write_figure

RATES = pd.DataFrame({"n": 8, "failed": 0, "rate": [0.5, 0.9], "low": [0.3, 0.7], "high": [0.7, 1]}, ["a & b", "<i>"])
TITLE = "The critic keeps 50% to 90%"


@pytest.fixture
def recorded(tmp_path):
    """A run of one notebook with two figures, of which one has nothing to show."""
    out = tmp_path / "06_one"
    figures = {
        "none": plots.rates(RATES.assign(rate=np.nan, low=np.nan, high=np.nan), "Nothing", "share"),
        "rates": plots.rates(RATES, TITLE, "share kept"),
    }
    runs.record(str(out), headline="Half.", metrics={}, tables={}, figures=figures)
    entry = json.loads((out / "record.json").read_text())
    shown = {"image/png": "iVBORw0KGgo=", "text/plain": "<Figure>"}
    output = nbformat.v4.new_output("display_data", shown, metadata={"image/png": {"alt": entry["alts"]["rates"]}})
    cells = [nbformat.v4.new_markdown_cell("# One"), nbformat.v4.new_code_cell("draw()", outputs=[output])]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "06_one.ipynb")
    yield tmp_path, entry
    plt.close("all")


def test_a_figure_with_nothing_to_show_is_not_recorded_and_others_are_told(recorded):
    folder, entry = recorded
    assert entry["figure"] == "rates" and entry["figures"] == ["rates"]
    assert not (folder / "06_one/figures/none.png").exists()
    assert entry["alts"]["rates"].startswith(TITLE) and "a & b (n = 8, 0 unscored)" in entry["alts"]["rates"]


def test_each_point_says_its_row_its_value_and_its_interval(recorded):
    svg = minidom.parse(str(recorded[0] / "06_one/figures/rates.svg"))
    titles = [
        use.getElementsByTagName("title")[0].firstChild.data
        for use in svg.getElementsByTagName("use")
        if use.getElementsByTagName("title")
    ]
    assert titles == [
        "a & b (n = 8, 0 unscored): 50% (95% interval 30% to 70%)",
        "<i> (n = 8, 0 unscored): 90% (95% interval 70% to 100%)",
    ]


def test_points_of_curves_say_where_they_are_and_second_measures_have_no_interval_of_the_first():
    curves = pd.DataFrame({"method": "m", "k": [0, 4], "accuracy": [0.5, 0.75], "people": 3}).assign(low=0.4, high=0.8)
    ax = plots.methods.curves(curves, "T")
    assert plots.values(ax.figure) == {"value-1": ["m: 50% at k = 0", "m: 75% at k = 4 (95% interval 40% to 80%)"]}
    both = pd.concat({"base answer": RATES, "another": RATES}, names=["comparison", "reading"])
    ax = plots.preferences.readings(both, "T", 0.96, "base answer")
    assert [said[0].split(":")[0] for said in plots.values(ax.figure).values()] == ["a & b"] * 2, (
        "rows of the panel beside"
    )
    dropped = RATES.reset_index(names="attribute").assign(model="gpt", lexical=[0.5, 0.8])
    ax = plots.bench.dropped(dropped, "T")
    judge, lexical = plots.values(ax.figure).values()
    assert judge[1] == "<i> (n = 8), gpt: judge: 90% (95% interval 70% to 100%)"
    assert lexical == ["a & b (n = 8), gpt: lexical match: 50%", "<i> (n = 8), gpt: lexical match: 80%"]
    runs_of = {"group": "g", "label": ["one", "two"], "n": 8, "rate": [0.5, 0.6], "low": [0.3, 0.4], "high": [0.7, 0.8]}
    ax = plots.runs.several(pd.DataFrame(runs_of | {"clear": True}), "T", "share kept")
    first, second = plots.values(ax.figure).values()
    assert first[0].endswith("50% (95% interval 30% to 70%)"), "the axis has ticks at 0, 50% and 100% alone"
    assert second[0].endswith("60% (95% interval 40% to 80%)"), "each line has a colour of its own"
    plt.close("all")


def test_each_cell_of_a_heat_map_says_its_row_its_column_and_its_value(tmp_path):
    kept = pd.DataFrame([[0.5, 0.25], [math.nan, 0.75]], ["gpt", "a & b"], ["gpt", "a & b"])
    kappas = pd.DataFrame([[1, 0.2, -0.3], [0.2, 1, 0.1], [-0.3, 0.1, 1]], list("xyz"), list("xyz"))
    cell = ["age", "old", "age", "old", 0.4, 9, 0.45, 0.3, 0.6, 3, 1.0]
    columns = ["attribute", "value", "other", "other value", "rate", "n", "shrunk", "shrunk_low", "shrunk_high"]
    crossed = pd.DataFrame([cell], columns=[*columns, "personas", "p_holm"])
    people = pd.Series(["Ann, 9", "Bo, 8", "Cy, 7"], list("xyz"))
    many = kappas.reindex(range(20), axis=0).reindex(range(20), axis=1).fillna(0.1)
    shown = {
        "own": plots.judges.judges(kept, 8, "T"),
        "kappa": plots.fidelity.matrices({"m": kappas, "other": kappas}, "T", people),
        "many": plots.fidelity.matrices({"m": many}, "T"),
        "crossed": plots.intersections.crossings(crossed, "T"),
    }
    titles = {}
    for name, ax in shown.items():
        write_figure(ax, tmp_path / name)
        found = minidom.parse(str(tmp_path / f"{name}.svg")).getElementsByTagName("title")
        titles[name] = [one.firstChild.data for one in found if one.parentNode.tagName == "path"]
    plt.close("all")
    assert titles["own"] == [
        "judge gpt × writer gpt: share kept 50% (n = 8)", "judge gpt × writer a & b: share kept 25% (n = 8)",
        "judge a & b × writer gpt: share kept unknown", "judge a & b × writer a & b: share kept 75% (n = 8)",
    ]  # fmt: skip
    assert titles["kappa"][1:3] == ["Ann, 9 × Bo, 8: Cohen's kappa 0.20", "Ann, 9 × Cy, 7: Cohen's kappa −0.30"]
    assert len(titles["kappa"]) == 18, "the second panel too, whose rows are named in the first alone"
    assert titles["many"][1] == "person 1 × person 2: Cohen's kappa 0.10", "names that are not written beside it"
    assert titles["crossed"] == ["age: old: share kept 40% (n = 9; shrunk 45%, 95% interval 30% to 60%)"]


def test_two_figures_of_a_page_share_no_id_and_every_reference_is_there(recorded):
    svg = (recorded[0] / "06_one/figures/rates.svg").read_text()
    both = [pictures.inline(svg, name, 'a "b" <c>') for name in ("one", "other")]
    ids = [re.findall(r' id="([^"]+)"', shown) for shown in both]
    assert ids[0] and not set(ids[0]) & set(ids[1])
    for shown, known in zip(both, ids, strict=True):
        assert set(re.findall(r'(?:href="#|url\(#)([^")]+)', shown)) == set(known)
        assert 'aria-label="a &quot;b&quot; &lt;c&gt;"' in shown and "<style" not in shown and "<!--" not in shown


def test_a_picture_stays_where_two_figures_have_one_text(recorded):
    folder, entry = recorded
    for alts in (entry["alts"], entry["alts"] | {"other": entry["alts"]["rates"]}):
        cells = nbformat.read(folder / "06_one.ipynb", 4).cells
        pictures.into(cells, folder / "06_one/figures", alts)
        assert ("image/svg+xml" in cells[1].outputs[0].data) == (len(alts) == 1)


def test_a_page_has_small_figures_as_svg_and_large_ones_as_png(recorded, monkeypatch):
    folder, entry = recorded
    told = {"preset": {"name": "p", "about": ""}, "started": "2026-01-02T10:00:00+00:00", "git": None, "notebooks": {}}
    told = pages.RunEntry(told, entry | {"models": [], "parameters": {}, "steps": {}})
    page = pages.page(folder / "06_one.ipynb", "One", told=told)
    assert page.count("<svg") == 2 and "<img" not in page, "the key figure and the cell's"
    assert page.count('aria-label="The critic keeps') == 2 and "a &amp; b (n = 8" in page
    ids = re.findall(r' id="([^"]+)"', page)
    assert "<script" not in page and not re.search(r"url\((?!#)", page)
    own = share._own(page, "06_one")
    assert set(re.findall(r"url\(#([^)]+)", own)) <= set(re.findall(r' id="([^"]+)"', own)) and ids
    monkeypatch.setattr(pictures, "LARGEST", 100)
    page = pages.page(folder / "06_one.ipynb", "One", told=told)
    assert "<svg" not in page and page.count('<img alt="The critic keeps') == 2
