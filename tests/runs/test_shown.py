"""Tables as readers see them."""

import re
from html.parser import HTMLParser

import nbformat
import numpy as np
import pandas as pd
import pytest
import yaml
from axe_playwright_python.sync_playwright import Axe
from places import ROOT

from persona_lib import runs
from persona_lib.runs.reporting.shown import Shown

RATES = pd.DataFrame(
    {
        "n": [12, 1200, 0],
        "failed": [0, 3, 12],
        "rate": [0.421, 0.5, np.nan],
        "low": [0.17, 0.47, np.nan],
        "high": [0.72, 0.53, np.nan],
        "p_holm": [0.00001, 0.51, np.nan],
        "note": ["", "", ""],
        "verdict": ["keep", None, "one_of <them>"],
        "fired": [True, False, False],
    },
    index=pd.Index(["chain_of_thought", "b", "c"], name="condition"),
)


def plain(shown: Shown) -> list[list[str]]:
    """The columns of a table as texts, with ordinary blanks, heading first."""
    blanks = {ord("\N{FIGURE SPACE}"): " ", ord("\N{PUNCTUATION SPACE}"): " "}
    return [[text.translate(blanks) for text in (c.heading, *c.cells)] for c in shown.columns]


class Tables(HTMLParser):
    """The tables of an HTML text: of each the headings, and the rows of cells."""

    def __init__(self, html: str):
        super().__init__()
        self.tables: list[dict[str, list]] = []
        self.open: list[str] | None = None
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        if tag == "table":
            self.tables.append({"heads": [], "rows": []})
        if tag == "tr":
            self.tables[-1]["rows"].append([])
        if tag in ("th", "td"):
            self.open = []
            head = tag == "th" and dict(attrs).get("scope") != "row"
            self.tables[-1]["heads"].append(self.open) if head else self.tables[-1]["rows"][-1].append(self.open)

    def handle_data(self, data):
        if self.open is not None:
            self.open.append(data)

    def handle_endtag(self, tag):
        if tag in ("th", "td"):
            self.open = None


def faults(html: str) -> list[str]:
    """What a reader should not see in the tables of an HTML text."""
    found = []
    for table in Tables(html).tables:
        heads = ["".join(parts).strip() for parts in table["heads"]]
        rows = [["".join(parts).strip() for parts in row] for row in table["rows"] if row]
        found += [f"a raw heading: {head!r}" for head in heads if not head or re.search(r"[a-z0-9]_[a-z0-9]", head)]
        found += ["an empty table"] * (not rows)
        found += [f"a missing value as code writes it: {cell}" for row in rows for cell in row if cell in UNWRITTEN]
        numbered = len(rows) > 1 and [row[0] for row in rows] == [str(n) for n in range(len(rows))]
        found += ["numbers of rows"] * (numbered and heads[0] not in ("sample", "k"))
    return found


UNWRITTEN = ("NaN", "nan", "None", "<NA>", "NaT")


def test_an_estimate_and_its_interval_are_one_cell_and_digits_follow_the_interval():
    columns = {head: cells for head, *cells in plain(runs.shown(RATES, "Scores"))}
    assert list(columns) == ["condition", "n", "failed", "rate [95% interval]", "p (Holm)", "verdict", "fired"]
    assert columns["rate [95% interval]"] == ["42% [17, 72]", "50% [47, 53]", "  –         "], (
        "blanks as wide as an interval"
    )
    assert columns["condition"][0] == "chain of thought" and columns["n"] == ["   12", "1,200", "    0"]
    assert columns["p (Holm)"] == ["<0.001", "0.510", "    –"] and columns["verdict"][1] == "–"
    narrow = runs.shown(RATES.iloc[[1]], "Scores").columns[3].cells
    assert narrow == ["50.0% [47.0, 53.0]"], "half the interval, 3 points, has two significant digits"


def test_differences_are_points_with_a_true_minus_and_zero_has_no_sign():
    table = pd.DataFrame({"difference": [-0.25, 0.0, 0.5], "difference_low": [-0.5] * 3, "difference_high": [0.75] * 3})
    ((head, *cells),) = plain(runs.shown(table, "x"))
    assert head == "difference, points [95% interval]"
    assert cells == ["−25 [−50, +75]", "  0 [−50, +75]", "+50 [−50, +75]"]


def test_low_and_high_belong_to_the_column_before_them_and_names_to_their_own():
    table = pd.DataFrame(
        {"raw": [0.5], "kappa": [0.1], "low": [-0.2], "high": [0.4], "raw_low": [0.3], "raw_high": [0.7]}
    )
    assert plain(runs.shown(table, "x")) == [
        ["raw agreement [95% interval]", "50% [30, 70]"],
        ["kappa [95% interval]", "0.10 [−0.20, 0.40]"],
    ]


def test_a_column_of_counts_is_no_share_whatever_its_name():
    assert plain(runs.shown(pd.DataFrame({"way": ["a"], "changed": [2]}), "x"))[1] == ["changed", "2"]


def test_row_numbers_are_left_out_and_levels_of_the_index_are_columns():
    table = RATES.reset_index().loc[[2, 0], ["condition", "n"]]
    assert [head for head, *_ in plain(runs.shown(table, "x"))] == ["condition", "n"]
    levels = table.set_axis(pd.MultiIndex.from_tuples([("a", 0), ("b", 0)], names=["world", None]))
    assert [head for head, *_ in plain(runs.shown(levels, "x"))] == ["world", "condition", "n"]


def test_what_the_first_column_says_of_all_rows_goes_into_the_caption():
    table = pd.DataFrame({"model": ["m"] * 2, "condition": ["a", "b"], "use": ["x"] * 2})
    shown = runs.shown(table, "Scores")
    assert shown.caption == "Scores; model: m" and [c.heading for c in shown.columns] == ["condition", "use"]
    cut = runs.shown(pd.DataFrame({"model": ["m", "m", "o"], "n": [1, 2, 3]}), "Scores", rows=2)
    assert cut.caption == "Scores", "a row that is not shown says otherwise"


def test_what_columns_before_the_first_number_say_of_all_rows_goes_into_the_caption_too():
    table = pd.DataFrame({"attribute": ["age", "sex"], "model": ["m"] * 2, "n": [1, 2], "world": ["w"] * 2})
    shown = runs.shown(table, "Dropped")
    assert shown.caption == "Dropped; model: m" and [c.heading for c in shown.columns] == ["attribute", "n", "world"]


def test_what_all_notes_share_is_told_once():
    notes = ["too few clusters", "too few clusters; all scores equal"]
    shown = runs.shown(pd.DataFrame({"group": ["a", "b"], "n": [1, 2], "note": notes}), "Scores")
    assert shown.said == "all rows: too few clusters" and plain(shown)[-1] == ["note", "", "all scores equal"]


def test_a_table_that_rests_on_nothing_is_a_sentence():
    table = pd.DataFrame({"condition": ["a", "b"], "n": [0, 0], "failed": [3, 4], "bias": [np.nan] * 2, "note": ""})
    assert str(runs.shown(table, "Bias")) == "Bias: nothing scored; failed: 7."
    assert html(runs.shown(table.assign(note="no labels"), "Bias")) == "<p>Bias: no labels; failed: 7.</p>"
    assert runs.shown(table.assign(bias=0.1), "Bias").columns, "it has a value"
    assert runs.shown(table.assign(n=[0, 1]), "Bias").columns, "it rests on something"
    assert not runs.shown(table.assign(n=9, labelled=0), "Bias").columns, "nothing to correct with"


def test_a_long_text_is_told_once_and_counts_among_blanks_are_numbers():
    text = "A long answer " * 20
    table = pd.DataFrame({"way": ["a", "b", "c"], "answer": [text, "short", text], "n": [12, "", "1,200"]})
    answers, counts = runs.shown(table, "x").columns[1:]
    assert answers.cells == [text, "short", "A long answer A long answer A long … (as above)"] and not answers.number
    assert counts.number and counts.cells == ["12", "", "1,200"]


def test_a_note_of_all_rows_and_columns_without_a_value_are_told_below():
    table = RATES.assign(note="too few clusters", ceiling=np.nan, low=np.nan, high=np.nan, failure=None)
    shown = runs.shown(table, "Scores", rows=2)
    assert [c.heading for c in shown.columns][3:] == ["rate", "p (Holm)", "verdict", "fired"]
    said = "… and 1 more rows; all rows: too few clusters; no failures; no value in any row: 95% interval, ceiling"
    assert shown.said == said and said in shown.text(None)
    one = runs.shown(table.head(1), "Scores")
    assert one.columns[-1].cells == ["too few clusters"], "a single row keeps its note"


def test_a_table_of_one_column_names_no_rows_and_large_numbers_have_no_decimals():
    text = html(runs.shown(pd.DataFrame({"reason": ["no job pays that", "x"]}), "Reasons"))
    assert '<th scope="row"' not in text and "<td dir=" in text
    values = runs.shown(pd.DataFrame({"gate": [*"abc"], "value": [0.617, 0.5, 6377.0]}), "Gates").columns[1].cells
    assert [value.strip("\N{FIGURE SPACE}") for value in values] == ["0.62", "0.50", "6,377"]


def test_what_is_cut_is_counted_and_an_empty_table_is_a_sentence():
    shown = runs.shown(RATES, "Scores", ["n"], rows=1, rest="rates")
    assert shown.said == "… and 2 more rows in rates.csv" and shown.said in str(shown) and shown.said in html(shown)
    none = RATES.head(0)
    assert str(runs.shown(none, "Scores", empty="one model.")) == "Scores: one model."
    assert html(runs.shown(none.assign(failure=""), "Unscored")) == "<p>Unscored: no failures.</p>"


def html(shown: Shown) -> str:
    return shown._repr_html_()


def test_the_html_is_the_same_each_time_and_says_which_cells_are_headings():
    text = html(runs.shown(RATES, 'The "first" & others'))
    assert text == html(runs.shown(RATES.copy(), 'The "first" & others')) and " id=" not in text
    assert "<caption>The &quot;first&quot; &amp; others</caption>" in text and "one_of &lt;them&gt;" in text
    assert text.count('<th scope="col"') == 7 and text.count('<th scope="row"') == 3
    assert text.count('class="name alarm"') == 1 and '<td class="number">' in text
    assert not faults(text)


def test_a_wide_table_scrolls_on_a_phone_and_its_first_column_stays(browser):
    page = browser.new_page(viewport={"width": 400, "height": 900})
    wide = RATES.assign(**{f"a rather long heading {n}": "words" for n in range(5)})
    body = f"<main><h1>A page</h1>{html(runs.shown(wide, 'Scores'))}</main>"
    page.set_content(f'<!DOCTYPE html><html lang="en"><title>A page</title><body>{body}</body></html>')
    first = page.locator("tbody th").first
    before = first.bounding_box()["x"]
    assert page.evaluate("document.querySelector('.persona-table').scrollLeft = 300") == 300
    assert abs(first.bounding_box()["x"] - before) < 2 and page.evaluate("document.scrollingElement.scrollWidth") <= 400
    assert Axe().run(page).response["violations"] == []
    page.close()


def test_lines_of_text_are_aligned_and_repeat_the_first_column_where_they_go_on():
    lines = runs.shown(RATES, "Scores").text(None).splitlines()
    assert lines[0] == "Scores" and len(lines) == 5
    assert [line.index("%") for line in lines[2:4]] == [line.index("%") for line in lines[2:3]] * 2
    parts = runs.shown(RATES, "Scores").text(60).split("\n\n")
    assert len(parts) > 1 and all("chain of thought" in part for part in parts)
    assert max(map(len, runs.shown(RATES, "Scores").text(60).splitlines())) <= 60


@pytest.mark.parametrize(
    "wrong",
    [
        "<thead><th scope='col'>p_holm</th></thead><tr><th scope='row'>1</th></tr>",
        "<thead><th></th><th>n</th></thead><tr><th scope='row'>a</th><td>1</td></tr>",
        "<thead><th>n</th></thead>",
        "<thead><th>n</th></thead><tr><td>NaN</td></tr>",
        "<thead><th>a</th></thead><tr><td>0</td></tr><tr><td>1</td></tr>",
    ],
)
def test_the_look_at_tables_finds_what_is_wrong(wrong):
    assert faults(f"<table>{wrong}</table>")


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda path: path.stem)
def test_no_table_of_a_notebook_shows_what_only_code_needs(path):
    cells = nbformat.read(path, as_version=4).cells
    outputs = [output.get("data", {}).get("text/html", "") for cell in cells for output in cell.get("outputs", ())]
    assert not [fault for text in outputs for fault in faults(text)]


def test_every_heading_is_given_once():
    text = (ROOT / "persona_lib/runs/data/headings.yaml").read_text()
    names = re.findall(r'^  "?([^":\n]+)"?:', text, re.MULTILINE)
    assert sorted(set(names)) == sorted(names) == sorted(name for own in yaml.safe_load(text).values() for name in own)
