"""Figures of role-play: what the tables say is what is drawn, undefined kappas are counted, and all can be read."""

import figures
import matplotlib.pyplot as plt
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


BASELINE = pd.Series({f"{i:06x}": 0.6 for i in range(3)}, name="synthetic raters")
FULL = {
    "matrices": lambda: plots.fidelity.matrices({"local": square(4, 1), "gpt, prose": square(4)}, "A title"),
    "matrices, many": lambda: plots.fidelity.matrices({str(i): square(40) for i in range(3)}, "A title"),
    "histograms": lambda: plots.fidelity.histograms({"local": square(12, 2), "gpt, prose": square(12)}, "A title"),
    "by_person": lambda: plots.fidelity.by_person(
        {"local with gpt": each(3, undefined=1), "local with people": each(3, 0.2)}, "A title", BASELINE
    ),
    "by_person, many": lambda: plots.fidelity.by_person({"local with gpt": each(60, undefined=2)}, "A title", BASELINE),
    "by_person, many models": lambda: plots.fidelity.by_person(
        {f"meta-llama/Llama-3.1-70B-Instruct with gpt-{i}, opposite people": each(20) for i in range(12)}, "A title"
    ),
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


def test_each_person_has_a_point_per_pair_of_judges_and_one_of_the_raters_named_as_they_are():
    ax = FULL["by_person"]()
    points = {line.get_label(): list(line.get_xdata()) for line in ax.lines}
    assert points["kappa, local with people"] == [0.2] * 3 and np.isnan(points["kappa, local with gpt"][0])
    assert points["synthetic raters"] == [0.6] * 3
    shown = figures.said(ax).replace("\n", " ")
    assert "1 of 6 undefined" in shown and "human" not in shown


def test_people_are_named_where_their_names_are_known():
    named = pd.Series({"000000": "Ruth, 74, Texas"})
    ax = plots.fidelity.by_person({"local with gpt": each(2)}, "A title", named=named)
    rows = [label.get_text().split("  (n")[0] for label in ax.get_yticklabels()]
    assert rows == ["Ruth, 74, Texas", "person 2"] and figures.faults(lambda: ax) == []


def test_many_people_are_shown_as_a_distribution_that_says_how_many_are_undefined():
    shown = figures.said(FULL["by_person, many"]()).replace("\n", " ")
    assert "n = 60 people" in shown and "local with gpt (2 undefined)" in shown
    assert "synthetic raters (0 undefined)" in shown


@pytest.mark.parametrize(
    ("people", "pairs"), [(1, 1), (4, 2), (20, 1), (22, 1), (20, 2), (20, 15), (100, 3), (1586, 6)]
)
def test_the_figure_of_people_is_never_taller_than_a_page(people, pairs):
    ax = plots.fidelity.by_person({f"m{i} with n": each(people) for i in range(pairs)}, "A title", BASELINE)
    assert ax.figure.get_figheight() <= 11, "inches: 1,760 pixels"
    plt.close(ax.figure)


@pytest.mark.parametrize(
    "figure",
    [
        lambda: plots.fidelity.matrices({"m": square(2) * np.nan}, "T"),
        lambda: plots.fidelity.histograms({"m": square(2) * np.nan}, "T"),
        lambda: plots.fidelity.histograms({"m": square(1)}, "T"),
        lambda: plots.fidelity.by_person({"a": each(2, np.nan).assign(raw=np.nan)}, "T"),
        lambda: plots.fidelity.by_person({}, "T"),
    ],
)
def test_a_table_without_a_value_makes_a_figure_that_says_so(figure):
    assert "nothing to show" in figures.said(figure())
