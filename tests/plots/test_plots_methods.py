"""Figures of trials of methods: what the tables say is drawn, what is missing is marked, and all can be read."""

import figures
import numpy as np
import pandas as pd
import pytest

from persona_lib import plots
from persona_lib.methods.leaks.mistakes import SAYS

NAMES = ["pooled", "per person, shrunk", "low rank", "mixture of prototypes", "the longer answer"]
KS = [0, 4, 16]


def scores(people: int = 40) -> pd.DataFrame:
    """A table of `methods.scores.accuracy`: two methods see no history, the others gain from it."""
    rows = []
    for i, method in enumerate(NAMES):
        for j, k in enumerate(KS):
            value = 0.6 if method in ("pooled", "the longer answer") else 0.6 + 0.01 * i * j
            ends = {"low": value - 0.05, "high": value + 0.05, "ceiling": 0.8}
            rows.append({"method": method, "k": k, "accuracy": value, "people": people} | ends)
    return pd.DataFrame(rows)


def worst(n: int = len(NAMES)) -> pd.DataFrame:
    rows = [
        {"method": name, "k": 4, "people": 4, "accuracy": 0.4 - 0.05 * i, "low_chance": 0.35, "high_chance": 0.45}
        for i, name in enumerate(NAMES[:n])
    ]
    return pd.DataFrame(rows, columns=["method", "k", "people", "accuracy", "low_chance", "high_chance"])


def calibration() -> pd.DataFrame:
    bins = pd.DataFrame({"from": np.arange(0, 1, 0.1), "n": 10, "predicted": np.arange(0.05, 1, 0.1)})
    return pd.concat([bins.assign(method=name, chosen=bins["predicted"] ** 2) for name in NAMES[:2]])


def mistakes(right: float = 0.63) -> pd.DataFrame:
    gaps = np.array([0.37, 0.1, 0.18, -0.004, 0.05])
    table = pd.DataFrame({"mistake": list(SAYS), "right": right, "wrong": right + gaps, "difference": gaps})
    return table.assign(low=gaps - 0.06, high=gaps + 0.06, n=1137, people=57)


def policies(n: int = len(NAMES)) -> pd.DataFrame:
    rows = [{"method": name, "judged": 400 + i, "policy": 0.5 + 0.05 * i, "reward": 0.7 - 0.02 * i}
            for i, name in enumerate(NAMES[:n])]  # fmt: skip
    table = pd.DataFrame(rows, columns=["method", "judged", "policy", "reward"])
    ends = {
        f"{name}_{end}": table[name] + by
        for name in ("policy", "reward")
        for end, by in (("low", -0.05), ("high", 0.05))
    }
    return table.assign(**ends)


def won() -> pd.DataFrame:
    values = np.linspace(0.4, 0.8, len(NAMES))
    table = pd.DataFrame({"n": 40, "failed": 2, "rate": values, "low": values - 0.1, "high": values + 0.1}, NAMES)
    equal = values.copy()
    equal[0] = np.nan
    return table.assign(controlled=equal, controlled_low=equal - 0.1, controlled_high=equal + 0.1)


FULL = {
    "curves": lambda: plots.methods.curves(scores(), "A title for $5 and $6", 0.8),
    "worst": lambda: plots.methods.worst(worst(), "A title"),
    "calibration": lambda: plots.methods.calibration(calibration(), "A title", NAMES[:2]),
    "mistakes": lambda: plots.methods.mistakes(mistakes(), "A title"),
    "orders": lambda: plots.methods.orders(policies(), "A title"),
    "wins": lambda: plots.methods.wins(won(), "A title"),
}


@pytest.mark.parametrize("name", FULL)
def test_a_figure_can_be_read(name):
    assert figures.faults(FULL[name]) == []


def test_every_figure_of_the_module_is_looked_at():
    assert set(FULL) == figures.functions(plots.methods)


def test_curves_are_labelled_at_their_ends_and_flat_ones_are_dashed():
    ax = FULL["curves"]()
    lines = [line for line in ax.lines if len(line.get_xdata()) == len(KS)]
    assert [line.get_linestyle() == "-" for line in lines] == [False, True, True, True, False]
    assert list(lines[2].get_ydata()) == pytest.approx([0.6, 0.62, 0.64])
    heights = sorted(text.get_position()[1] for text in ax.texts if text.get_text() in NAMES)
    assert len(heights) == len(NAMES) and min(np.diff(heights)) > 0.005, "labels lie apart where lines end alike"
    said = figures.said(ax)
    assert "ceiling" in said and "n: up to 40 people" in said
    assert "ceiling" not in figures.said(plots.methods.curves(scores(), "T", np.nan))


def test_a_size_that_nobody_has_is_left_out_of_a_curve():
    table = scores()
    table.loc[table["k"] == 16, ["accuracy", "low", "high"]] = np.nan
    ax = plots.methods.curves(table, "T")
    assert [label.get_text() for label in ax.get_xticklabels()] == ["0", "4"]


def test_the_worst_tenth_stands_beside_chance():
    ax = plots.methods.worst(worst(), "T")
    (line,) = [line for line in ax.lines if line.get_label() == "the method's"]
    assert list(line.get_xdata()) == pytest.approx([0.4, 0.35, 0.3, 0.25, 0.2])
    (bars,) = [c for c in ax.collections if c.get_label() == "by chance, 95%"]
    assert bars.get_segments()[0].tolist() == [[0.35, 0], [0.45, 0]]
    assert "pooled  (4 people)" in figures.said(ax)


def test_a_panel_of_calibration_is_named_with_its_n():
    assert "pooled (n = 100)" in figures.said(FULL["calibration"]())


def test_policy_stands_beside_reward_and_a_win_rate_beside_that_at_equal_length():
    ax = FULL["orders"]()
    points = {line.get_label(): list(line.get_xdata()) for line in ax.lines}
    assert points["policy accuracy"] == pytest.approx([0.5, 0.55, 0.6, 0.65, 0.7])
    assert points["reward accuracy"][0] == 0.7 and "pooled  (n = 400 picks)" in figures.said(ax)
    ax = FULL["wins"]()
    points = {line.get_label(): list(line.get_xdata()) for line in ax.lines}
    assert points["win rate"][-1] == 0.8 and np.isnan(points["at equal length"][0])
    assert "n = 40, 2 unscored" in figures.said(ax)


def test_a_mistake_goes_from_right_to_wrong_and_low_accuracies_are_not_cut_off():
    ax = FULL["mistakes"]()
    points = {line.get_label(): list(line.get_xdata()) for line in ax.lines}
    assert points["as it should be tested"] == [0.63] * 5 and points["with the mistake"][0] == pytest.approx(1.0)
    assert ax.get_xlim()[0] > 0.3
    low = plots.methods.mistakes(mistakes(0.3), "T")
    assert low.get_xlim()[0] < 0.1 and "leaked format  (n = 1,137, 57 people)" in figures.said(low)


def test_tables_without_a_number_make_figures_that_say_so():
    nothing = {
        "curves": plots.methods.curves(scores().assign(accuracy=np.nan), "T"),
        "worst": plots.methods.worst(worst(0), "T"),
        "mistakes": plots.methods.mistakes(mistakes(np.nan).assign(low=np.nan, high=np.nan), "T"),
        "no policy": plots.methods.orders(policies(0), "T"),
        "no wins": plots.methods.wins(won().head(0), "T"),
        "no mistakes": plots.methods.mistakes(mistakes().head(0), "T"),
    }
    for name, ax in nothing.items():
        said = figures.said(ax)
        assert "nothing could be scored" in said or "nothing to show" in said, name
