"""Figures of a demographic beside the census: all can be read, and the tables' values are what is drawn."""

from itertools import combinations

import figures
import pandas as pd
import pytest

from persona_lib import plots

LONG = "Professional, scientific, management, administrative, and waste management services"
MARGINS = pd.DataFrame(
    [["sex", "Male", 0.49, 0.5], ["sex", "Female", 0.51, 0.5], ["industry", LONG, 0.1, 0.2], ["age", "0 to 4", 1, 1]],
    columns=["attribute", "value", "census", "personas"],
)
NAMES = ["age", "sex", "income", "household language"]
DISTANCES = pd.DataFrame(
    {"categories": [11, 2, 18, 5], "personas": [0.02, 0.01, 0.03, 0.01], "real people": 0.04, "95 in 100": 0.06}, NAMES
)
PAIRS = pd.DataFrame(
    {"personas": [0.01 * i for i in range(6)], "real people": 0.05},
    index=pd.MultiIndex.from_tuples(combinations(NAMES, 2), names=["attribute", "other"]),
)
JOINT = pd.DataFrame(
    [[v, w, 0.15, 0.2 if w == "low" else 0.1] for v in ("young", "old", LONG) for w in ("low", "high")]
    + [["nobody", "low", 0.001, 0], ["nobody", "high", 0.001, 0]],
    columns=["value", "other value", "reference", "personas"],
)
DIVERSITY = pd.DataFrame(
    [[a, p, 0.6, 0.5] for a in ("age", "race") for p in ("the same group", "different groups")],
    columns=["attribute", "pair", "personas", "census"],
)
DRIFT = pd.DataFrame(
    [[s, m, 12, 1, 0.1, -0.1, 0.3] for m in ("politics", "tone") for s in ("census core", "written detail")],
    columns=["step", "measure", "n", "failed", "difference", "low", "high"],
)

FULL = {
    "margins": lambda: plots.personas.margins(MARGINS, 1586, "A title"),
    "distances": lambda: plots.personas.distances(DISTANCES, 1586, "A title", "the published tables"),
    "pair_distances": lambda: plots.personas.pair_distances(PAIRS, 1586, "A title"),
    "joint": lambda: plots.personas.joint(JOINT, 1586, "census", "A title"),
    "diversity": lambda: plots.personas.diversity(DIVERSITY, 1586, "A title"),
    "drift": lambda: plots.personas.drift(DRIFT, "A title"),
}


@pytest.mark.parametrize("name", FULL)
def test_a_figure_can_be_read(name):
    assert figures.faults(FULL[name]) == []


def test_every_figure_of_the_module_is_looked_at():
    assert set(FULL) == figures.functions(plots.personas)


def test_bars_are_the_census_and_points_the_personas():
    panels = FULL["margins"]().figure.axes
    assert [bar.get_width() for bar in panels[0].patches] == [0.49, 0.51]
    assert list(panels[0].lines[-1].get_xdata()) == [0.5, 0.5]
    ax = FULL["diversity"]()
    assert {bar.get_width() for bar in ax.patches} == {0.5} and list(ax.lines[0].get_xdata()) == [0.6, 0.6]


def test_differences_of_a_row_of_two_attributes_cancel_and_rows_of_few_people_are_counted():
    ax = FULL["joint"]()
    cells = ax.collections[0].get_array().reshape(-1, 2)
    assert cells.sum(axis=1).tolist() == pytest.approx([0, 0, 0])
    assert "Rows with fewer than 10 expected people are left out: 1" in figures.said(ax).replace("\n", " ")


def test_a_step_is_as_far_from_the_census_core_as_the_table_says():
    ax = FULL["drift"]()
    assert list(ax.lines[0].get_xdata()) == [0.1, 0.1] and "written detail  (n = 12, 1 unscored)" in figures.said(ax)


def test_too_few_personas_for_any_row_of_a_joint_figure_leave_a_figure_that_says_so():
    shown = " ".join(figures.said(plots.personas.joint(JOINT, 1, "census", "A title")).split())
    assert "no group has 10 expected people" in shown and "1 persona" in shown
