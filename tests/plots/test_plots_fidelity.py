"""Figures of role-play: what the tables say is what is drawn, undefined kappas are counted, and all can be read."""

import figures
import numpy as np
import pandas as pd
import pytest

from persona_lib import plots


def square(n: int, undefined: int = 0) -> pd.DataFrame:
    """Kappas between n people, some of them undefined."""
    rng = np.random.default_rng(n)
    values = rng.uniform(-0.5, 1, (n, n))
    values = (values + values.T) / 2
    for i in range(undefined):
        values[i, i + 1] = values[i + 1, i] = np.nan
    names = [f"{i:012x}" for i in rng.permutation(n) + 0x123456000000]
    return pd.DataFrame(values, names, names)


def each(n: int, kappa: float = 0.4, undefined: int = 0) -> pd.DataFrame:
    """Agreement of two judges in the role of n people."""
    table = pd.DataFrame({"n": 10, "raw": 0.7, "kappa": kappa, "low": kappa - 0.3, "high": kappa + 0.3}, range(n))
    table.index = pd.Index([f"{i:06x}" for i in range(n)], name="persona_id")
    table.loc[table.index[:undefined], ["kappa", "low", "high"]] = np.nan
    return table


def portraits() -> pd.DataFrame:
    index = pd.MultiIndex.from_product([["local", "majority"], ["Male", "Female"]], names=["source", "sex"])
    values = {
        "people": 12,
        "n": 100,
        "failed": 0,
        "distance": [0.1, 0.2, 0.3, np.nan],
        "variety": [0.9, 0.8, 0, np.nan],
    }
    table = pd.DataFrame(values, index)
    ends = {f"{c}_{e}": table[c] + d for c in ("distance", "variety") for e, d in (("low", -0.05), ("high", 0.05))}
    return table.assign(**ends)


def covered() -> pd.DataFrame:
    rows = [[s, k / 10, 0.9, 10 * k, 0.9 - k / 40, 0.5, 0.95] for s in ("local", "gpt") for k in range(1, 11)]
    return pd.DataFrame(rows, columns=["source", "coverage", "confidence", "n", "accuracy", "low", "high"])


BASELINE = pd.Series({f"{i:06x}": 0.6 for i in range(3)})
FULL = {
    "matrices": lambda: plots.fidelity.matrices({"local": square(4, 1), "gpt, prose": square(4)}, "A title"),
    "matrices, many": lambda: plots.fidelity.matrices({str(i): square(40) for i in range(3)}, "A title"),
    "histograms": lambda: plots.fidelity.histograms({"local": square(12, 2), "gpt, prose": square(12)}, "A title"),
    "by_person": lambda: plots.fidelity.by_person(
        {"local with gpt": each(3, undefined=1), "local with people": each(3, 0.2)}, "A title", BASELINE
    ),
    "by_person, many": lambda: plots.fidelity.by_person({"local with gpt": each(60, undefined=2)}, "A title"),
    "groups": lambda: plots.fidelity.groups(portraits(), "A title for $5 and $6"),
    "coverage": lambda: plots.fidelity.coverage(covered(), "A title", pd.Series({"majority": 0.5, "logit": 0.6})),
}


@pytest.mark.parametrize("name", FULL)
def test_a_figure_can_be_read(name):
    assert figures.faults(FULL[name]) == []


def test_every_figure_of_the_module_is_looked_at():
    assert {name.partition(",")[0] for name in FULL} == figures.functions(plots.fidelity)


def test_a_matrix_shows_each_kappa_once_for_either_order_and_leaves_undefined_ones_grey():
    kappas = square(4, 1)
    shown = figures.said(plots.fidelity.matrices({"local": kappas}, "T")).split(" | ")
    values = kappas.to_numpy()[np.triu_indices(4, 1)]
    for value in values[~np.isnan(values)]:
        assert shown.count(f"{value:.2f}".replace("-", "-")) >= 2
    assert "n = 4 people, 6 pairs. Grey: undefined (1 pairs), or the diagonal." in " ".join(shown).replace("\n", " ")


def test_the_bars_of_a_histogram_hold_every_defined_pair():
    kappas = {"local": square(12, 2), "gpt": square(12)}
    ax = plots.fidelity.histograms(kappas, "T")
    heights = [sum(patch.get_height() for patch in panel.patches) for panel in ax.figure.axes]
    assert heights == [64, 66]
    assert "local  (n = 66 pairs, 2 undefined)" in figures.said(ax)


def test_each_person_has_a_point_per_pair_of_judges_and_one_of_the_human_raters():
    ax = FULL["by_person"]()
    points = {line.get_label(): list(line.get_xdata()) for line in ax.lines}
    assert points["kappa, local with people"] == [0.2] * 3 and np.isnan(points["kappa, local with gpt"][0])
    assert points["human raters with each other"] == [0.6] * 3
    assert "1 of 6 undefined" in figures.said(ax).replace("\n", " ")


def test_many_people_are_shown_as_a_distribution_that_says_how_many_are_undefined():
    assert "n = 60; 2 kappas undefined" in figures.said(FULL["by_person, many"]())


def test_groups_stand_at_their_distance_and_variety_and_say_how_many_people():
    ax = FULL["groups"]()
    left, right = ([list(line.get_xdata()) for line in panel.lines] for panel in ax.figure.axes)
    assert [0.1, 0.2] in left and [0.9, 0.8] in right and "Male  (n = 12)" in figures.said(ax)


def test_coverage_falls_from_the_surest_to_all_and_yardsticks_are_named():
    ax = FULL["coverage"]()
    (line,) = [line for line in ax.lines if line.get_label() == "local"]
    assert list(line.get_ydata()) == pytest.approx([0.9 - k / 40 for k in range(1, 11)])
    shown = figures.said(ax)
    assert "majority" in shown and "logit" in shown and "n = 10 to 100 answers" in shown


@pytest.mark.parametrize(
    "figure",
    [
        lambda: plots.fidelity.matrices({"m": square(2) * np.nan}, "T"),
        lambda: plots.fidelity.histograms({"m": square(2) * np.nan}, "T"),
        lambda: plots.fidelity.histograms({"m": square(1)}, "T"),
        lambda: plots.fidelity.by_person({"a": each(2, np.nan).assign(raw=np.nan)}, "T"),
        lambda: plots.fidelity.by_person({}, "T"),
        lambda: plots.fidelity.groups(portraits() * np.nan, "T"),
        lambda: plots.fidelity.coverage(covered().head(0), "T"),
    ],
)
def test_a_table_without_a_value_makes_a_figure_that_says_so(figure):
    assert "nothing to show" in figures.said(figure())
