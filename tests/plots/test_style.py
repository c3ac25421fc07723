"""What all figures share: their words for readers who see none, names beside marks, colours that all can tell apart."""

from itertools import combinations

import figures
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import seaborn as sns
from matplotlib.colors import to_rgb

from persona_lib import plots
from persona_lib.plots import style, told

RATES = pd.DataFrame({"n": [8, 9], "failed": 0, "rate": [0.5, 0.9], "low": [0.3, 0.7], "high": [0.7, 1]}, ["a", "b"])
# Machado, Oliveira and Fernandes (2009): linear RGB as people without one kind of cone see it.
SEEN = {
    "all cones": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
}
XYZ = [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.072175], [0.0193339, 0.119192, 0.9503041]]


def linear(color) -> np.ndarray:
    rgb = np.array(to_rgb(color))
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def lab(color, eyes: str) -> np.ndarray:
    xyz = np.array(XYZ) @ np.clip(np.array(SEEN[eyes]) @ linear(color), 0, 1) / np.array(XYZ).sum(axis=1)
    f = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def contrast(color) -> float:
    """Against white, as WCAG computes it."""
    return 1.05 / (float(np.array(XYZ)[1] @ linear(color)) + 0.05)


@pytest.mark.parametrize("eyes", SEEN)
def test_the_colours_of_a_figures_series_are_told_apart_with_any_kind_of_colour_vision(eyes):
    palette = sns.color_palette("colorblind")
    seen = [lab(color, eyes) for color in palette[:5]]  # more in one figure have their names at their ends
    apart = {(i, j): np.linalg.norm(seen[i] - seen[j]) for i, j in combinations(range(5), 2)}
    assert min(apart.values()) > 10, "about four times what is just noticed"
    # Of two series, as in most figures, the colours differ plainly.
    assert apart[0, 1] > 50


@pytest.mark.parametrize("color", [f"C{i}" for i in range(8)])
def test_names_in_a_series_colour_are_dark_enough_to_be_read(color):
    plt.close(style.page(1, 1))  # sets the palette
    assert contrast(style.ink(color)) >= 4.5


def test_a_figure_is_told_in_words_with_its_finding_its_rows_and_their_n():
    ax = plots.rates(RATES, "The critic keeps 50% to 90%", "share kept")
    plt.close(ax.figure)
    assert ax.figure.alt == (
        "The critic keeps 50% to 90%. Shown: share kept. Rows: a (n = 8, 0 unscored); b (n = 9, 0 unscored). "
        "Point: rate. Line: 95% interval, clustered by persona and prompt."
    )


def test_many_rows_are_counted_in_words_and_axes_of_numbers_have_none():
    ax = style.rows([f"row {i}" for i in range(40)], "x")
    assert "Rows: 40, from row 0 to row 39" in told.alt(ax.figure, "c")
    assert told.rows(style.axes()) == []
    plt.close("all")


def test_the_picture_of_a_notebook_has_the_figures_words(monkeypatch):
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.core.pylabtools import select_figure_formats

    shell = InteractiveShell()
    select_figure_formats(shell, {"png"})
    monkeypatch.setattr(style, "get_ipython", lambda: shell)
    monkeypatch.setattr(plt, "get_backend", lambda: "inline")
    ax = plots.rates(RATES, "The critic keeps 50% to 90%", "share kept")
    plt.close(ax.figure)
    data, metadata = shell.display_formatter.format(ax.figure)
    assert data["image/png"] and metadata["image/png"] == {"alt": ax.figure.alt}


def test_nothing_to_show_is_a_sentence_and_no_figure(capsys):
    ax = plots.rates(RATES.assign(rate=np.nan, low=np.nan, high=np.nan), "The critic keeps an unknown share.", "share")
    assert capsys.readouterr().out == "No figure, nothing could be scored: The critic keeps an unknown share.\n"
    assert style.is_blank(ax) and not plt.fignum_exists(ax.figure.number)
    ax = plots.rates(RATES, "T", "share")
    assert not style.is_blank(ax) and plt.fignum_exists(ax.figure.number) and not capsys.readouterr().out
    plt.close(ax.figure)


def test_the_papers_rate_is_marked_in_its_own_row_and_told():
    ax = plots.rates(RATES, "T", "share", paper={"b": 0.05, "c": 0.9})
    (bar,) = [line for line in ax.lines if line.get_marker() == "|"]
    assert (list(bar.get_xdata()), list(bar.get_ydata())) == ([0.05], [1])
    assert "the paper's rate (5%)" in figures.said(ax).replace("\n", " ")


@pytest.mark.parametrize("n", [2, 12, 30])
def test_names_at_the_ends_of_lines_do_not_hide_each_other(n):
    def ends():
        ax = style.axes(8.0, 4.2)
        ax.set(xlim=(0, 1), ylim=(0, 1))
        style.ends(ax, {f"method {i}": (0.5 + i / 1000, "C0") for i in range(n)})
        style.title(ax, "A title")
        return style.caption(ax, f"n = {n} pairs, and what else a caption says")

    assert figures.faults(ends) == []


def test_names_stand_beside_the_first_marks_of_both_series_or_a_legend_says_them():
    ax = style.rows(["first", "second"], "x")
    ax.set_xlim(0, 1)
    known, half = pd.Series([0.2, 0.4]), pd.Series([np.nan, 0.9])
    assert style.named(ax, [("one", known, -0.1, "C0"), ("other", half, 0.1, "C1")])
    assert [(text.get_text(), *text.xy) for text in ax.texts] == [("one", 0.4, 0.9), ("other", 0.9, 1.1)]
    assert not style.named(ax, [("one", known, -0.1, "C0"), ("other", half * np.nan, 0.1, "C1")])
    plt.close(ax.figure)


@pytest.mark.parametrize(("value", "written"), [(0.125, "12.5%"), (1, "100%"), (-0.3, "−30%"), (0.1 + 0.2, "30%")])
def test_shares_are_written_in_percent_and_differences_in_points_with_their_sign(value, written):
    assert style.shares()(value) == written
    assert style.signed()(value) == (written if value < 0 else f"+{written}").removesuffix("%")
