"""Figures of preference pairs, and pairs side by side: nothing in a text becomes part of the page."""

import re

import matplotlib.pyplot as plt
import pandas as pd

from persona_lib import plots


def test_texts_are_escaped_and_what_changed_is_marked():
    pairs = pd.DataFrame(
        {
            "prompt": ["Is <script>alert(1)</script> $x$ fair?"],
            "rejected": ["It depends on <b>much</b> & more"],
            "critique": ['<img src=x onerror="alert(1)">'],
            "chosen": ["It depends on <i>you</i> & more"],
        }
    )
    html = plots.preferences.side_by_side(pairs).data
    tags = {tag for tag in re.findall(r"<(\w+)", html)}
    assert tags == {"table", "thead", "tbody", "tr", "th", "td", "bdi", "del", "mark"}
    assert "It depends on <del>&lt;b&gt;much&lt;/b&gt;</del> &amp; more" in html
    assert "It depends on <mark>&lt;i&gt;you&lt;/i&gt;</mark> &amp; more" in html
    assert "tex2jax_ignore" in html  # $x$ stays what it is


def test_a_pair_whose_answers_are_alike_has_nothing_marked():
    same = pd.DataFrame({"prompt": ["?"], "rejected": ["a b"], "critique": ["c"], "chosen": ["a b"]})
    html = plots.preferences.side_by_side(same).data
    assert "<del>" not in html and "<mark>" not in html and html.count("a b") == 2


def test_the_figure_of_revisions_counts_pairs_and_failures_in_its_caption():
    table = pd.DataFrame({"length gap": [0.1, -0.5, None], "similarity": [0.2, 0.9, None]})
    figure = plots.preferences.revisions(table, "How revisions differ").figure
    assert len(figure.axes) == 2 and "n = 2 pairs, 1 failed" in figure.get_supxlabel()
    heights = [sum(patch.get_height() for patch in ax.patches) for ax in figure.axes]
    assert heights == [2, 2]
    plt.close(figure)


def test_readings_have_a_panel_for_each_rival_and_the_papers_share_in_one_of_them():
    index = pd.MultiIndex.from_product([["base answer", "another's revision"], ["both orders", "mean probability"]])
    rates = {"n": 9, "failed": 1, "rate": [0.9, 0.8, None, 0.5], "low": [0.7, 0.6, None, 0.3], "high": 1.0}
    table = pd.DataFrame(rates, index).rename_axis(["comparison", "reading"])
    figure = plots.preferences.readings(table, "How often", paper=0.96, base="base answer").figure
    assert [ax.get_title(loc="left") for ax in figure.axes] == [
        "against base answer\nn = 9, 1 unscored",
        "against another's revision\nn = 9, 1 unscored",
    ]
    marks = [
        [line.get_xdata()[0] for line in ax.lines if len(line.get_xdata()) == 2 and line.get_marker() == "None"]
        for ax in figure.axes
    ]
    assert 0.96 in marks[0] and 0.96 not in marks[1]
    assert [text.get_text() for text in figure.axes[1].texts] == ["not estimable", "50%"]
    empty = plots.preferences.readings(table.head(0), "How often", paper=0.96, base="base answer")
    assert [text.get_text() for text in empty.texts] == ["nothing to show"]
    plt.close("all")
