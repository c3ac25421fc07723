"""Figures of groups: what the tables say is what is drawn, empty groups are marked, and all can be read."""

import figures
import numpy as np
import pandas as pd
import pytest

from persona_lib import plots
from persona_lib.bench import intersections

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
    return intersections.scores(items, intersections.crossings(PEOPLE, ATTRIBUTES))


def crossings(table: pd.DataFrame):
    return plots.intersections.crossings(intersections.grid(table, PEOPLE, ATTRIBUTES), "A title")


def many(n: int) -> pd.DataFrame:
    """A table of n groups, the first with the lowest score."""
    table = pd.concat([scores().head(1)] * n)
    table.index = [f"group {i}" for i in range(n)]
    rate = np.linspace(0.1, 0.9, n)
    return table.assign(rate=rate, shrunk=rate, shrunk_low=rate - 0.1, shrunk_high=rate + 0.1)


FULL = {
    "crossings": lambda: crossings(scores()),
    "groups": lambda: plots.intersections.groups(many(30), 0.5, "A title for $5 and $6"),
}


@pytest.mark.parametrize("name", FULL)
def test_a_figure_can_be_read(name):
    assert figures.faults(FULL[name]) == []


def test_every_figure_of_the_module_is_looked_at():
    assert set(FULL) == figures.functions(plots.intersections)


def test_each_cell_says_its_share_and_people_and_a_group_of_nobody_is_marked():
    table = scores()
    shown = figures.said(crossings(table)).split(" | ")
    men, pair = table.loc["sex: Male"], table.loc["sex: Male, party: right"]
    assert f"{men['shrunk']:.0%}\n4" in shown and f"{pair['shrunk']:.0%}\n2" in shown
    assert shown.count("none") == 3 and "nobody is in the group (3 of 11)" in " ".join(shown).replace("\n", " ")


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
