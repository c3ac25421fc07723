"""The figures that most notebooks share: what the tables say is what is drawn, n is told, and all can be read."""

import figures
import pandas as pd
import pytest

from persona_lib import plots
from persona_lib.plots import scores

RATES = pd.DataFrame(
    {"n": 8, "failed": [0, 1, 8], "rate": [0.5, 0.9, None], "low": [0.3, 0.7, None], "high": [0.7, 1, None]},
    index=pd.Index(["baseline", "chain_of_thought", "gpt for $5 and $6"], name="condition"),
).astype({"rate": float, "low": float, "high": float})
PAIRED = pd.DataFrame(
    {"minuend": ["direct", "summary"], "subtrahend": "baseline", "n": 8, "difference": [0.25, -0.5]}
).assign(low=lambda t: t["difference"] - 0.2, high=lambda t: t["difference"] + 0.2)
CONTRASTS = PAIRED.assign(model="m", primary=[True, False])
GRADED = RATES.assign(rate=[0.4, 0.6, None], low=[0.35, 0.5, None], high=[0.5, 0.65, None]).astype({"rate": float})
SHIFTS = pd.DataFrame(
    {"way": ["named first"] * 2 + ["as prose"], "condition": ["direct", "chain_of_thought", "direct"], "n": [8, 8, 0]}
).assign(changed=[2, 0, 0], difference=[-0.25, 0, None], low=[-0.5, -0.1, None], high=[0, 0.1, None])
FUNNEL = pd.DataFrame(
    {"kept": [8011, 5000, 3868], "out": [0, 3011, 1132], "reason": ["", "not a question", "a $5 question"]},
    index=["all prompts", "questions", "value-laden"],
)
TOPICS = pd.DataFrame(
    {"n": [13, 9], "heldout": [3, 2], "share": [3 / 13, 2 / 9], "low": [0.0, 0.3], "high": [0.5, 0.6]},
    index=["guns", "a topic of more letters than there is room for in a row of a figure"],
).assign(outside=[False, True], p_outside=0.04)
SHARES = pd.DataFrame(
    {"topic": ["guns", "guns", "work"], "share": [0.2, 0.4, None], "low": [0.1, 0.3, None], "high": [0.3, 0.5, None]}
)
REVISIONS = pd.DataFrame({"length gap": [0.1, -0.4, None], "similarity": [0.3, 0.9, None]})
READINGS = pd.concat({rival: RATES.iloc[[0, 1, 2]] for rival in ("base answer", "another's revision")})
READINGS = READINGS.set_axis(READINGS.index.set_names(["comparison", "reading"]))

FULL = {
    "rates": lambda: plots.rates(RATES, "Answers that the critic would keep (writer: local)", "share kept", 0.5),
    "differences": lambda: plots.differences(PAIRED, "A title", "difference"),
    "shifts": lambda: plots.shifts(SHIFTS, "A title"),
    "funnel": lambda: plots.prompts.funnel(FUNNEL, "A title"),
    "topics": lambda: plots.prompts.topics(TOPICS, "A title"),
    "dependence": lambda: plots.prompts.dependence(SHARES, "A title"),
    "readings": lambda: plots.preferences.readings(READINGS, "A title", 0.96, "base answer"),
    "revisions": lambda: plots.preferences.revisions(REVISIONS, "A title"),
}


MORE = {
    "two scores": lambda: plots.rates(RATES, "A title", "share", beside=("kept", "graded", GRADED)),
    "two scores' differences": lambda: plots.differences(PAIRED, "A title", "x", ("kept", "graded", PAIRED.iloc[::-1])),
    "contrasts": lambda: plots.differences(pd.concat([CONTRASTS, CONTRASTS.assign(model="n")]), "A title", "x"),
}


@pytest.mark.parametrize("name", [*FULL, *MORE])
def test_a_figure_can_be_read(name):
    assert figures.faults((FULL | MORE)[name]) == []


def test_every_figure_of_the_modules_is_looked_at():
    assert set(FULL) == set().union(*map(figures.functions, (scores, plots.prompts, plots.preferences)))


def test_a_rate_stands_at_its_value_with_its_interval_and_its_n():
    ax = FULL["rates"]()
    (points,) = [line for line in ax.lines if line.get_marker() == "o"]
    assert list(points.get_xdata())[:2] == [0.5, 0.9]
    lines = [line for line in ax.collections[0].get_segments() if len(line)]
    assert [line[:, 0].tolist() for line in lines] == [[0.3, 0.7], [0.7, 1]]
    shown = figures.said(ax)
    assert "chain of thought  (n = 8, 1 unscored)" in shown and "(n = 8, 8 unscored)" in shown
    assert "not estimable" in shown


def test_a_difference_stands_on_its_side_of_zero():
    ax = FULL["differences"]()
    (points,) = [line for line in ax.lines if line.get_marker() == "o"]
    assert list(points.get_xdata()) == [0.25, -0.5]
    assert "direct  (n = 8)" in (shown := figures.said(ax)) and "difference, from baseline, in points" in shown
    assert "direct − baseline  (n = 8)" in figures.said(plots.differences(PAIRED.head(1), "A title", "difference"))


def test_the_scale_of_differences_fits_what_is_shown():
    columns = ["difference", "low", "high"]
    wide = plots.differences(PAIRED, "A title", "x")
    narrow = plots.differences(PAIRED.assign(**{c: PAIRED[c] / 5 for c in columns}), "A title", "x")
    assert wide.get_xlim()[1] == pytest.approx(0.77) and narrow.get_xlim()[1] == pytest.approx(0.154)


def test_a_second_score_stands_below_the_first_in_another_colour():
    ax = MORE["two scores"]()
    first, second = (line for line in ax.lines if line.get_marker() in "oD")
    assert list(first.get_xdata())[:2] == [0.5, 0.9] and list(second.get_xdata())[:2] == [0.4, 0.6]
    assert (first.get_ydata() < second.get_ydata()).all() and first.get_color() != second.get_color()
    shown = figures.said(ax).split(" | ")
    assert {"kept", "graded"} <= set(shown) and shown.count("not estimable") == 2


def test_primary_contrasts_are_bold_and_models_are_named_where_there_are_several():
    ax = MORE["contrasts"]()
    assert [label.get_fontweight() for label in ax.get_yticklabels()] == ["bold", "normal"] * 2
    shown = figures.said(ax)
    assert "n: summary  (n = 8)" in shown and "Bold:\nprimary contrasts." in shown
    assert "Bold" not in figures.said(FULL["differences"]())


def test_what_an_audit_changes_is_told_by_condition():
    ax = FULL["shifts"]()
    direct, thought = (line for line in ax.lines if line.get_label() in ("direct", "chain_of_thought"))
    assert direct.get_xdata()[0] == -0.25 and list(thought.get_xdata()) == [0]
    shown = figures.said(ax)
    assert "named first\n(2 of n = 16 verdicts changed)" in shown and "as prose\n(0 of n = 0 verdicts" in shown


@pytest.mark.parametrize(
    "figure", [lambda: plots.differences(PAIRED.head(0), "T", "x"), lambda: plots.shifts(SHIFTS.head(0), "T")]
)
def test_a_table_without_rows_makes_a_figure_that_says_so(figure):
    assert "nothing " in figures.said(figure())


def test_bars_are_as_long_as_what_is_counted():
    ax = FULL["funnel"]()
    assert [bar.get_width() for bar in ax.patches] == [8011, 5000, 3868, 0, 3011, 1132]
    assert max(ax.get_xticks()) <= 8011, "no number of prompts that nobody has"
    assert "−1,132 a \\$5 question" in figures.said(ax)


def test_a_topic_outside_of_what_chance_gives_is_in_another_colour():
    ax = FULL["topics"]()
    inside, outside = (line for line in ax.lines if line.get_marker() == "o")
    assert [list(inside.get_xdata()), list(outside.get_xdata())] == [[3 / 13], [2 / 9]]
    assert inside.get_color() != outside.get_color() and "n = 22 prompts" in figures.said(ax).replace("\n", " ")


def test_what_has_no_share_is_counted():
    assert "n = 2, 1 without a share" in figures.said(FULL["dependence"]())
