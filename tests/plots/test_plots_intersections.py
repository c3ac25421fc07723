"""Figures of groups: what the tables say is what is drawn, empty groups are marked, and all can be read."""

import figures
import numpy as np
import pandas as pd
import pytest

from persona_lib import plots
from persona_lib.bench import groups, intersections

PEOPLE = pd.DataFrame(
    {"sex": ["Male", "Female"] * 4, "party": ["left", "left", "right", "right"] * 2},
    index=pd.Index([f"p{i}" for i in range(8)], name="persona_id"),
).assign(party=lambda t: pd.Categorical(t["party"], ["left", "right", "neither"]))
ATTRIBUTES = ["sex", "party"]


def scores(score: float | None = None) -> pd.DataFrame:
    """Scores of both attributes' crossings; nobody is of neither party."""
    rng = np.random.default_rng(0)
    rows = [[p, f"q{j}", rng.random() if score is None else score] for p in PEOPLE.index for j in range(4)]
    items = pd.DataFrame(rows, columns=["persona_id", "prompt_id", "score"])
    return intersections.scores(items, groups.crossings(PEOPLE, ATTRIBUTES))


def crossings(table: pd.DataFrame):
    return plots.intersections.crossings(groups.grid(table, PEOPLE, ATTRIBUTES), "A title")


def many(n: int) -> pd.DataFrame:
    """A table of n groups, the first with the lowest score."""
    table = pd.concat([scores().head(1)] * n)
    table.index = [f"group {i}" for i in range(n)]
    table = table.assign(difference_low=-0.5, difference_high=0.5)
    rate = np.linspace(0.1, 0.9, n)
    return table.assign(rate=rate, shrunk=rate, shrunk_low=rate - 0.1, shrunk_high=rate + 0.1)


FULL = {
    "crossings": lambda: crossings(scores()),
    "groups": lambda: plots.intersections.groups(many(30), 0.5, "A title for $5 and $6"),
    "single": lambda: plots.intersections.single(many(9), 0.5, "A title"),
}


@pytest.mark.parametrize("name", FULL)
def test_a_figure_can_be_read(name):
    assert figures.faults(FULL[name]) == []


def test_every_figure_of_the_module_is_looked_at():
    assert set(FULL) == figures.functions(plots.intersections)


def test_each_cell_says_its_share_and_interval_and_a_group_of_nobody_is_marked():
    table = scores()
    shown = figures.said(crossings(table)).split(" | ")
    men, pair = table.loc["sex: Male"], table.loc["sex: Male, party: right"]
    for cell in (men, pair):
        assert f"{cell['shrunk']:.0%}\n{100 * cell['shrunk_low']:.0f}–{100 * cell['shrunk_high']:.0f}" in shown
    small = figures.said(crossings(table.assign(shrunk=np.nan))).split(" | ")
    assert f"{men['rate']:.0%}\nn 16" in small, "a group without an interval has its answers"
    assert shown.count("none") == 3 and "nobody is in the group (3 of 11)" in " ".join(shown).replace("\n", " ")


def test_a_group_that_differs_after_correction_is_framed_and_its_point_filled():
    table = scores().assign(p_holm=0.06)
    table.loc[["sex: Male", "party: left"], "p_holm"] = 0.04
    ax = crossings(table)
    framed = [patch.get_xy() for patch in ax.patches if patch.get_linewidth() > 2]
    names = [label.get_text() for label in ax.get_yticklabels()]
    assert [names[round(y + 0.46)] for _, y in framed] == ["Male", "left"]
    assert "Framed (2): differs" in figures.said(ax).replace("\n", " ")
    ax = plots.intersections.single(table, 0.5, "T")
    (line,) = [line for line in ax.lines if "differs" in str(line.get_label())]
    assert [table.index[i] for i, x in enumerate(line.get_xdata()) if pd.notna(x)] == ["sex: Male", "party: left"]
    assert not any("differs" in str(line.get_label()) for line in FULL["single"]().lines)


def test_a_group_without_a_score_is_not_shown_as_zero():
    shown = figures.said(crossings(scores(np.nan)))
    assert "?" in shown.split(" | ") and "0%\n" not in shown and "nothing could be scored" in shown


def test_both_ends_are_shown_lowest_first_and_how_many_are_left_out():
    ax = FULL["groups"]()
    (line,) = [line for line in ax.lines if line.get_label() == "shrunk"]
    rate = np.linspace(0.1, 0.9, 30)
    assert list(line.get_xdata()) == pytest.approx([*rate[:8], *rate[-8:]])
    assert "14 groups in between are left out" in figures.said(ax)


def test_no_group_with_a_score_makes_a_figure_that_says_so():
    three = many(3)
    for table in (three.assign(rate=np.nan, shrunk=np.nan), three.head(0)):
        assert "nothing could be scored" in figures.said(plots.intersections.groups(table, np.nan, "T"))
