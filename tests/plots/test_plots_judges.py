"""Figures of judges' audits: what the tables say is what is drawn, missing values are explained, all can be read."""

import figures
import numpy as np
import pandas as pd
import pytest

from persona_lib import plots
from persona_lib.judges import rankings

COUNTS = ["n", "failed", "rate", "low", "high", "note"]
LONG = "meta-llama/Llama-3.3-70B-Instruct-Turbo"


def rates(*values: float, note: str = "", **columns) -> pd.DataFrame:
    """A table of rates, each with an interval of 0.2 around it."""
    rows = [[8, 1, rate, rate - 0.1, rate + 0.1, note] for rate in values]
    names = pd.Index(["chain_of_thought", "direct", "summary"][: len(values)], name="condition")
    return pd.DataFrame(rows, names, COUNTS).assign(**columns)


def second(name: str, table: pd.DataFrame, values: list[float]) -> pd.DataFrame:
    values = np.array(values)
    return table.assign(**{name: values, f"{name}_low": values - 0.1, f"{name}_high": values + 0.1})


JUDGED = pd.DataFrame({"p_first": [0.9, 0.8, 0.2, 0.3, np.nan], "p_second": [0.8, 0.1, 0.1, 0.9, np.nan]})
LENGTHS = second("controlled", rates(0.7, 0.4), [0.5, np.nan]).assign(note=["", "all answers are of one length"])
ERRORS = second("corrected", rates(0.7, 0.4), [0.8, 0.1]).assign(positives=10, negatives=5)
MATRIX = pd.DataFrame([[0.9, 0.2], [0.4, np.nan]], ["gpt", LONG], ["gpt", LONG])
WAYS = {
    "as_judged": pd.DataFrame({"condition": ["direct", "summary", "baseline"], "score": [0.8, 0.6, np.nan]}),
    "length_controlled": pd.DataFrame({"condition": ["direct", "summary"], "score": [0.5, 0.7]}),
}

FULL = {
    "orders": lambda: plots.judges.orders(JUDGED, "A title"),
    "controlled": lambda: plots.judges.controlled(LENGTHS, "A title"),
    "corrected": lambda: plots.judges.corrected(ERRORS, "A title"),
    "judges": lambda: plots.judges.judges(MATRIX, 8, "A title"),
    "chances": lambda: plots.judges.chances(rates(0.7, 0.4, chance=[0.5, 0.25]), "A title for $5 and $6"),
    "ranks": lambda: plots.judges.ranks(rankings.standings(WAYS), "A title"),
}


@pytest.mark.parametrize("name", FULL)
def test_a_figure_can_be_read(name):
    assert figures.faults(FULL[name]) == []


def test_every_figure_of_the_module_is_looked_at():
    assert set(FULL) == figures.functions(plots.judges)


def test_each_corner_counts_its_choices_and_those_without_one_are_counted():
    shown = figures.said(FULL["orders"]())
    for text in ("first chosen: 1", "second chosen: 1", "chosen in both orders: 1", "rejected in both orders: 1"):
        assert text in shown
    assert "n = 4 pairs of answers, 1 without a choice" in shown


@pytest.mark.parametrize(("name", "table"), [("controlled", LENGTHS), ("corrected", ERRORS)])
def test_both_estimates_stand_at_their_values_and_a_missing_one_says_why(name, table):
    ax = FULL[name]()
    first, other = (line for line in ax.lines if line.get_marker() in ("o", "D"))
    np.testing.assert_array_equal(first.get_xdata(), table["rate"])
    np.testing.assert_array_equal(other.get_xdata(), table[name])
    assert set(table["note"]) - {""} <= set(figures.said(ax).split(" | "))


def test_a_judges_own_writing_is_framed_and_a_missing_score_is_left_empty():
    ax = FULL["judges"]()
    frames = {patch.get_xy() for patch in ax.patches}
    assert frames == {(0.04, 0.04), (1.04, 1.04)}
    shown = figures.said(ax).split(" | ")
    assert {"90%", "20%", "40%"} <= set(shown) and "nan%" not in shown
    assert not any(LONG in text for text in shown) and any(text.endswith("nstruct-Turbo") for text in shown)


def test_guessing_stands_beside_each_share():
    ax = FULL["chances"]()
    marks = {line.get_label(): list(line.get_xdata()) for line in ax.lines if len(line.get_xdata())}
    assert marks["this judge"] == [0.7, 0.4] and [0.5, 0.25] in marks.values()
    assert "chain of thought  (n = 8, 1 unscored)" in figures.said(ax)


def test_ranks_are_written_and_missing_ones_say_not_ranked():
    shown = figures.said(FULL["ranks"]()).split(" | ")
    assert {"1  (80%)", "2  (60%)", "1  (70%)", "2  (50%)"} <= set(shown) and shown.count("not ranked") == 2


@pytest.mark.parametrize(
    ("figure", "text"),
    [
        (lambda: plots.judges.orders(JUDGED.tail(1), "T"), "nothing could be scored"),
        (lambda: plots.judges.controlled(LENGTHS.head(0), "T"), "nothing could be scored"),
        (lambda: plots.judges.corrected(ERRORS.assign(rate=np.nan, corrected=np.nan), "T"), "nothing could be scored"),
        (lambda: plots.judges.judges(MATRIX.head(1), 8, "T"), "gpt is the only judge"),
        (lambda: plots.judges.judges(MATRIX.head(0), 0, "T"), "nothing could be scored"),
        (lambda: plots.judges.chances(rates(chance=[]), "T"), "nothing could be scored"),
        (lambda: plots.judges.ranks(rankings.standings(WAYS).assign(rate=np.nan, rank=np.nan), "T"), "not ranked"),
    ],
)
def test_a_table_without_a_value_makes_a_figure_that_says_so(figure, text):
    assert text in figures.said(figure())


def test_what_orders_says_of_a_corner_lies_off_the_diagonal():
    judged = pd.DataFrame({"p_first": [0.9, 0.1], "p_second": [0.8, 0.2]})
    ax = plots.judges.orders(judged, "x")
    ax.figure.canvas.draw()
    line = np.linspace(0, 1, 400)
    for text in ax.texts:
        box = text.get_window_extent().transformed(ax.transData.inverted())
        assert not any(box.x0 < p < box.x1 and box.y0 < p < box.y1 for p in line), text.get_text()
