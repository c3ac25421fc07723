"""Draw the figures that most notebooks share: rates and paired differences, with their intervals."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MultipleLocator

from . import style


def rates(table: pd.DataFrame, title: str, axis: str, mark: float | None = None) -> Axes:
    """Draw rates with their 95% intervals, a row per group (Fig. 10 of the paper, with the uncertainty it leaves out).

    Args:
        table: result of `intervals.rates`: an index of groups, columns `n`, `failed`, `rate`, `low`, `high`.
        title: of the figure.
        axis: what the rate is a share of.
        mark: a rate to compare with, such as chance or the paper's.
    """
    labels = [f"{style.words(g)}  (n = {r.n:.0f}, {r.failed:.0f} unscored)" for g, r in table.iterrows()]
    ax = _intervals(labels, table["rate"], table["low"], table["high"], title, axis)
    ax.set_xlim(-0.02, 1.02)
    if mark is not None:
        ax.axvline(mark, color="0.3", linewidth=1)
    return style.caption(
        ax, "Point: rate. Line: 95% interval, clustered by persona and prompt. No line: interval not estimable."
    )


def differences(table: pd.DataFrame, title: str, axis: str) -> Axes:
    """Draw paired differences with their 95% intervals, a row per pair of groups, and the line of no difference.

    Args:
        table: result of `intervals.paired_differences`.
        title: of the figure.
        axis: what is compared.
    """
    labels = [f"{style.words(r.minuend)} − {style.words(r.subtrahend)}  (n = {r.n})" for r in table.itertuples()]
    ax = _intervals(labels, table["difference"], table["low"], table["high"], title, axis)
    ax.axvline(0, color="0.3", linewidth=1)
    ax.set_xlim(-1.05, 1.05)
    ax.xaxis.set_major_locator(MultipleLocator(0.5))
    return style.caption(
        ax, "Point: difference on the same items. Line: 95% interval, clustered by persona and prompt."
    )


def _intervals(labels: list[str], values: pd.Series, low: pd.Series, high: pd.Series, title: str, axis: str) -> Axes:
    """Draw a point and its interval per row, the first row on top."""
    ax = style.axes(height=1.5 + 0.36 * len(labels))
    rows = range(len(labels))
    ax.hlines(rows, low, high, color="C0", linewidth=2)
    ax.plot(values, rows, "o", color="C0", markersize=8)
    ax.set_yticks(rows, labels)
    ax.set_ylim(max(1, len(labels)) - 0.5, -0.5)
    for row in np.flatnonzero(values.isna()).tolist():  # an empty row must say why
        ax.text(0.02, row, "not estimable", transform=ax.get_yaxis_transform(), va="center", fontsize=9, color="0.35")
    style.title(ax, title)
    ax.set_xlabel(axis)
    ax.grid(axis="y", visible=False)
    return ax
