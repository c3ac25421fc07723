"""The benchmark's figures: what the tables say is what is drawn, legibly, and empty tables make figures too."""

import figures
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from persona_lib import plots
from persona_lib.attributes import NAMES
from persona_lib.stats import judged

LOSSES = ["hidden", "n", "failed", "difference", "low", "high", "p", "p_holm", "note"]
DROPPED = ["attribute", "model", "n", "failed", "rate", "low", "high", "note", "lexical"]
CURVES = ["condition", "measure", "k", "n", "failed", "rate", "low", "high", "note"]


def pairs(kappas: dict[str, list[float]]) -> tuple[pd.DataFrame, pd.DataFrame]:
    rows = [[a, f"p{i}", 4, 0, (1 + k) / 2, k] for a, values in kappas.items() for i, k in enumerate(values)]
    table = pd.DataFrame(rows, columns=["attribute", "persona_id", "n", "failed", "raw", "kappa"])
    summed = table.groupby("attribute", sort=False).agg(
        people=("kappa", "size"),
        undefined=("kappa", lambda k: k.isna().sum()),
        kappa=("kappa", "mean"),
        raw=("raw", "mean"),
    )
    ends = {"low": summed["kappa"] - 0.1, "high": summed["kappa"] + 0.1}
    return table, summed.assign(**ends, raw_low=summed["raw"] - 0.1, raw_high=summed["raw"] + 0.1)


def changes(*rows: tuple[str, float, float]) -> pd.DataFrame:
    columns = ["attribute", "n", "own_n", "change", "low", "high", "own", "own_low", "own_high", "p_holm"]
    made = [[a, 9, 3, x, x - 0.02, x + 0.02, 0.5 + x, 0.4 + x, 0.6 + x, p] for a, x, p in rows]
    return pd.DataFrame(made, columns=columns).set_index("attribute")


def losses(*rows: tuple) -> pd.DataFrame:
    return pd.DataFrame([[a, 8, 0, d, d - 0.1, d + 0.1, p, p, ""] for a, d, p in rows], columns=LOSSES)


def dropped(models: tuple[str, ...], rate: float) -> pd.DataFrame:
    rows = [[a, m, 8, 0, rate, rate - 0.1, rate + 0.1, "", 0.3] for a in ("age", "sex") for m in models]
    return pd.DataFrame(rows, columns=DROPPED)


def curves(rate: float, conditions: tuple[str, ...] = ("direct",)) -> pd.DataFrame:
    rows = [[c, m, k, 5, 0, rate, rate, rate, ""] for c in conditions for m in ("pass@k", "pass^k") for k in (1, 2, 4)]
    return pd.DataFrame(rows, columns=CURVES)


FULL = {
    "influence": lambda: plots.bench.influence(*pairs({"age": [0.0, 0.0, 0.5], "sex": [np.nan, 1.0]}), "A title"),
    "influence, all": lambda: plots.bench.influence(*pairs({a: [0.0, 0.5] for a in (*NAMES, "placebo")}), "A title"),
    "changes": lambda: plots.bench.changes(changes(("age", 0.2, 0.01), ("placebo", 0.05, np.nan)), "A title"),
    "changes, all": lambda: plots.bench.changes(changes(*((a, 0.1, 0.2) for a in (*NAMES, "placebo"))), "A title"),
    "losses, all": lambda: plots.bench.losses(losses(*((a, -0.04, 0.2) for a in NAMES)), "A title"),
    "losses": lambda: plots.bench.losses(losses(("age", -0.4, 0.01), ("sex", 0.1, 0.9)), "A title"),
    "dropped": lambda: plots.bench.dropped(dropped(("m", "n"), 0.6), "A title"),
    "pass_curves": lambda: plots.bench.pass_curves(curves(0.5, ("direct", "summary")), ["condition"], "A title"),
    "judged_curves": lambda: plots.bench.judged_curves(judged.known_truths([0, 0.2], 0.05), "A title", "5% pass"),
}


@pytest.mark.parametrize("name", FULL)
def test_a_figure_can_be_read(name):
    assert figures.faults(FULL[name]) == []


def test_every_figure_of_the_module_is_looked_at():
    assert {name.partition(",")[0] for name in FULL} == figures.functions(plots.bench)


def test_the_distribution_over_people_shows_each_kappa_and_counts_the_undefined():
    ax = FULL["influence"]()
    (people,) = ax.collections[:1]
    assert sorted(map(tuple, people.get_offsets().tolist())) == [(0, 0), (0.5, 0), (1, 1)]
    assert people.get_sizes().max() == 2 * people.get_sizes().min(), "two people share a kappa of 0"
    assert "age  (n = 3, 0 undefined)" in (shown := figures.said(ax)) and "sex  (n = 2, 1 undefined)" in shown


def test_only_a_loss_that_is_clear_after_correction_is_filled():
    ax = FULL["losses"]()
    clear = next(line for line in ax.lines if line.get_label().startswith("p <"))
    assert np.nan_to_num(clear.get_xdata(), nan=9).tolist() == [-0.4, 9]
    plt.close(ax.figure)


def test_a_change_is_filled_only_if_it_is_clearly_more_than_the_placebos():
    ax = FULL["changes"]()
    clear = next(line for line in ax.lines if line.get_label().startswith("more than"))
    assert np.nan_to_num(clear.get_xdata(), nan=9).tolist() == [0.2, 9]
    (line,) = [line for line in ax.lines if line.get_label() == "the placebo's"]
    assert set(line.get_xdata()) == {0.05}
    plt.close(ax.figure)


@pytest.mark.parametrize("name", ["influence, all", "losses, all"])
def test_all_attributes_of_the_paper_fit_a_page(name):
    ax = FULL[name]()
    assert ax.figure.get_figheight() <= 11 and ax.figure.get_figwidth() <= 8
    ax.figure.canvas.draw()
    assert ax.get_position().width > 0.5, "the labels leave room for the data"
    plt.close(ax.figure)


def test_the_placebo_stands_out_as_a_line_that_others_are_compared_with():
    ax = plots.bench.influence(*pairs({"age": [0.0, 0.5], "placebo": [0.5, 1.0]}), "T")
    (line,) = [line for line in ax.lines if line.get_label() == "the placebo's"]
    assert set(line.get_xdata()) == {0.875}
    assert [label.get_fontweight() for label in ax.get_yticklabels()] == ["normal", "bold"]
    plt.close(ax.figure)
    shown = figures.said(plots.bench.influence(*pairs({"age": [0.0]}), "T"))
    assert "placebo" not in shown


@pytest.mark.parametrize(("kappas", "left"), [([0.9, 1.0], -0.1), ([-0.5, 0.9], -0.6), ([-1.0, 1.0], -1.1)])
def test_the_axis_of_kappas_begins_where_they_do_and_shows_zero(kappas, left):
    ax = plots.bench.influence(*pairs({"age": kappas}), "T")
    assert ax.get_xlim() == (pytest.approx(left, abs=0.01), 1.1)
    plt.close(ax.figure)


@pytest.mark.parametrize(("difference", "edge"), [(-0.01, 0.12), (-0.4, 0.55), (-1.0, 1.05)])
def test_the_axis_of_losses_is_as_wide_as_the_intervals_and_never_narrow(difference, edge):
    ax = plots.bench.losses(losses(("age", difference, 0.01)), "T")
    low, high = ax.get_xlim()
    assert -low == high == pytest.approx(edge, abs=0.01)
    plt.close(ax.figure)


def test_models_have_their_own_colours_and_rows_in_the_figure_of_dropped_attributes():
    ax = FULL["dropped"]()
    judges = [line for line in ax.lines if line.get_label().endswith("judge")]
    assert len({line.get_color() for line in judges}) == 2
    assert not set(judges[0].get_ydata()) & set(judges[1].get_ydata())
    assert "age  (n = 8)" in figures.said(ax)


def test_a_single_writer_is_named_too_and_all_37_attributes_can_be_read():
    shown = figures.said(plots.bench.pass_curves(curves(0.5), ["condition"], "T"))
    assert "pass@k, direct" in shown and "pass^k, direct" in shown
    assert "gpt: judge" in figures.said(plots.bench.dropped(dropped(("gpt",), 0.6), "T"))
    rows = [dropped(("gpt",), 0.6).head(1).assign(attribute=f"attribute {i}") for i in range(37)]
    assert figures.faults(lambda: plots.bench.dropped(pd.concat(rows), "T")) == []


def test_curves_tell_n_where_it_differs_by_k():
    table = curves(0.5)
    table.loc[table["k"] == 4, "n"] = 3
    shown = figures.said(plots.bench.pass_curves(table, ["condition"], "T")).replace("\n", " ")
    assert "n = 5 at k = 1, 5 at k = 2, 3 at k = 4 items" in shown


@pytest.mark.parametrize(
    "figure",
    [
        lambda: plots.bench.influence(*pairs({"age": [np.nan, np.nan]}), "T"),
        lambda: plots.bench.influence(*(table.head(0) for table in pairs({"age": [np.nan]})), "T"),
        lambda: plots.bench.changes(changes(("age", np.nan, np.nan)), "T"),
        lambda: plots.bench.changes(changes(), "T"),
        lambda: plots.bench.losses(losses(("age", np.nan, np.nan)), "T"),
        lambda: plots.bench.losses(losses(), "T"),
        lambda: plots.bench.dropped(dropped(("m",), np.nan).assign(n=0, lexical=np.nan), "T"),
        lambda: plots.bench.dropped(dropped((), np.nan), "T"),
        lambda: plots.bench.pass_curves(curves(np.nan).assign(n=0), ["condition"], "T"),
        lambda: plots.bench.pass_curves(curves(np.nan, ()), ["condition"], "T"),
    ],
)
def test_a_table_without_a_value_makes_a_figure_that_says_so(figure):
    assert "nothing could be scored" in figures.said(figure())
