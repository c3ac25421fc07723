"""Figures of surveys: groups and items stand where the tables say, an outlier squeezes nobody, and all can be read."""

import figures
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from persona_lib import plots
from persona_lib.personas import respondents


def portraits() -> pd.DataFrame:
    index = pd.MultiIndex.from_product([["local", "majority"], ["Male", "Female"]], names=["source", "sex"])
    values = {
        "people": 12,
        "n": 100,
        "failed": 0,
        "distance": [0.1, 0.2, 0.3, np.nan],
        "chance": [0.15, 0.15, 0.15, np.nan],
        "variety": [0.9, 0.8, 0, np.nan],
    }
    table = pd.DataFrame(values, index)
    ends = {f"{c}_{e}": table[c] + d for c in ("distance", "variety") for e, d in (("low", -0.05), ("high", 0.05))}
    return table.assign(**ends)


def covered() -> pd.DataFrame:
    rows = [[s, k / 10, 0.9, 10 * k, 0.9 - k / 40, 0.5, 0.95] for s in ("local", "gpt") for k in range(1, 11)]
    return pd.DataFrame(rows, columns=["source", "coverage", "confidence", "n", "accuracy", "low", "high"])


def by_item(items: list[str], sources: list[str], rate: float = 0.6) -> pd.DataFrame:
    index = pd.MultiIndex.from_product([sources, items], names=["source", "item"])
    return pd.DataFrame({"n": 90, "rate": rate, "low": rate - 0.1, "high": rate + 0.1}, index)


def outlier(ratio: float) -> pd.DataFrame:
    table = portraits()
    table.loc[("local", "Male"), ["variety", "variety_low", "variety_high"]] = [ratio, ratio - 3, ratio + 9]
    return table


def outliers() -> pd.DataFrame:
    """Two models with one of their groups far off, next to each other."""
    both = [outlier(9.9).rename(index={"local": name, "majority": f"{name}, told nothing"}) for name in ("m", "n")]
    return pd.concat(both)


SOURCES = ["meta-llama/Llama-3.1-70B-Instruct", "meta-llama/Llama-3.1-70B-Instruct, told nothing", "gpt-4.1"]
SOURCES += ["gpt-4.1, told nothing", "the majority's answer", "multinomial logit on the attributes"]
ITEMS = [f"GSS 2018: {about}" for about in respondents._forms()["gss"]["questions"].values()]
FULL = {
    "groups": lambda: plots.surveys.groups(portraits(), "A title for $5 and $6"),
    "groups, an outlier": lambda: plots.surveys.groups(outlier(13.2), "A title"),
    "groups, two outliers": lambda: plots.surveys.groups(outliers(), "A title"),
    "items": lambda: plots.surveys.items(by_item(["ANES 1996: vote"], SOURCES[:2]), "A title"),
    "items, many": lambda: plots.surveys.items(by_item(ITEMS, SOURCES), "A title"),
    "coverage": lambda: plots.surveys.coverage(covered(), "A title", pd.Series({"majority": 0.5, "logit": 0.6})),
}


@pytest.mark.parametrize("name", FULL)
def test_a_figure_can_be_read(name):
    assert figures.faults(FULL[name]) == []


def test_every_figure_of_the_module_is_looked_at():
    assert {name.partition(",")[0] for name in FULL} == figures.functions(plots.surveys)


def test_groups_stand_at_their_distance_and_variety_and_say_how_many_people():
    ax = FULL["groups"]()
    left, right = ([list(line.get_xdata()) for line in panel.lines] for panel in ax.figure.axes)
    assert [0.1, 0.2] in left and [0.9, 0.8] in right and "Male  (n = 12)" in figures.said(ax)


def test_one_large_ratio_is_written_at_the_edge_and_squeezes_no_other():
    ax = FULL["groups, an outlier"]()
    right = ax.figure.axes[1]
    assert right.get_xlim()[1] <= 1.05 * plots.surveys.WIDEST
    arrows = [line for line in right.lines if line.get_marker() == ">"]
    assert [list(line.get_xdata()) for line in arrows] == [[plots.surveys.WIDEST]]
    ends = [
        x for lines in right.collections for segment in lines.get_segments() for x, _ in np.reshape(segment, (-1, 2))
    ]
    assert max(ends) <= plots.surveys.WIDEST
    shown = figures.said(ax).replace("\n", " ")
    assert "13.2" in shown and "Arrow: beyond the edge" in shown
    near = figures.said(plots.surveys.groups(outlier(2.4).assign(variety_high=2.4), "T"))
    assert "2.4" not in near and "Arrow" not in near


def test_the_distance_by_chance_stands_beside_each_distance():
    ax = plots.surveys.groups(portraits(), "T")
    bars = [list(line.get_xdata()) for line in ax.lines if line.get_marker() == "|"]
    assert bars[0] == [0.15, 0.15] and len(bars) == 2 and "swaps" in figures.said(ax)
    assert not [line for line in ax.figure.axes[1].lines if line.get_marker() == "|"]
    plt.close(ax.figure)


def test_the_items_of_a_survey_have_their_year_and_fit_a_page():
    ax = FULL["items, many"]()
    assert ax.figure.get_figheight() <= 11.5
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert len(labels) == 18 and all(label.startswith("GSS 2018: ") for label in labels)
    assert [line.get_label() for line in ax.lines] == SOURCES
    plt.close(ax.figure)


def test_coverage_falls_from_the_surest_to_all_and_yardsticks_are_named():
    ax = FULL["coverage"]()
    (line,) = [line for line in ax.lines if line.get_label() == "local"]
    assert list(line.get_ydata()) == pytest.approx([0.9 - k / 40 for k in range(1, 11)])
    shown = figures.said(ax)
    assert "majority" in shown and "logit" in shown and "n = 10 to 100 answers" in shown


@pytest.mark.parametrize(
    "figure",
    [
        lambda: plots.surveys.groups(portraits() * np.nan, "T"),
        lambda: plots.surveys.coverage(covered().head(0), "T"),
        lambda: plots.surveys.items(by_item(["x"], ["m"]) * np.nan, "T"),
        lambda: plots.surveys.items(by_item(["x"], ["m"]).head(0), "T"),
    ],
)
def test_a_table_without_a_value_makes_a_figure_that_says_so(figure):
    assert (shown := figures.said(figure())) and ("nothing to show" in shown or "nothing could be scored" in shown)
