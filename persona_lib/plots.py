"""One function per figure: a tidy table in, the Axes out. Knows no model and no file. Used by every notebook.

All figures share one look: a colour-blind palette, text of 9 pt or more, a caption that says n.
"""

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes


def _axes(width: float = 7.0, height: float = 3.6) -> Axes:
    """Empty Axes in the shared look, sizes in inches."""
    sns.set_theme(style="whitegrid", palette="colorblind", font_scale=0.9, rc={"axes.titlelocation": "left"})
    _, ax = plt.subplots(figsize=(width, height), layout="constrained")
    return ax


def _caption(ax: Axes, text: str) -> Axes:
    """Write the caption (what is shown, n, the interval) under the whole figure and drop the frame."""
    sns.despine(ax=ax, left=True)
    ax.figure.supxlabel(text, fontsize=9, color="0.35", x=0.01, ha="left")
    return ax


def rates(table: pd.DataFrame, title: str, axis: str) -> Axes:
    """Rates with their 95% intervals, a row per group (Fig. 10 of the paper, with the uncertainty it leaves out).

    Args:
        table: as from `agreement.rates`: an index of groups, columns `n`, `failed`, `rate`, `low`, `high`.
        title: of the figure.
        axis: what the rate is a share of.
    """
    labels = [f"{_words(g)}  (n = {r.n:.0f}, {r.failed:.0f} unscored)" for g, r in table.iterrows()]
    ax = _intervals(labels, table["rate"], table["low"], table["high"], title, axis)
    ax.set_xlim(-0.02, 1.02)
    return _caption(
        ax, "Point: rate. Line: 95% interval, clustered by persona and prompt. No line: no interval can be had."
    )


def differences(table: pd.DataFrame, title: str, axis: str) -> Axes:
    """Paired differences with their 95% intervals, a row per pair of groups, beside the line of no difference.

    Args:
        table: as from `agreement.paired_differences`.
        title: of the figure.
        axis: what the difference is of.
    """
    labels = [f"{_words(r.minuend)} − {_words(r.subtrahend)}  (n = {r.n})" for r in table.itertuples()]
    ax = _intervals(labels, table["difference"], table["low"], table["high"], title, axis)
    ax.axvline(0, color="0.3", linewidth=1)
    ax.set_xlim(-1.05, 1.05)
    return _caption(ax, "Point: difference on the same items. Line: 95% interval, clustered by persona and prompt.")


def _intervals(labels: list[str], values: pd.Series, low: pd.Series, high: pd.Series, title: str, axis: str) -> Axes:
    """A point and its interval per row, first row on top."""
    ax = _axes(height=1.5 + 0.36 * len(labels))
    rows = range(len(labels))
    ax.hlines(rows, low, high, color="C0", linewidth=2)
    ax.plot(values, rows, "o", color="C0", markersize=8)
    ax.set_yticks(rows, labels)
    ax.invert_yaxis()
    ax.margins(y=0.12)
    ax.set_title(title)
    ax.set_xlabel(axis)
    ax.grid(axis="y", visible=False)
    return ax


def _words(name: object) -> str:
    return str(name).replace("_", " ")
