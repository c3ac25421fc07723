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
