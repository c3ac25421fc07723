"""Figures of preference pairs: how revisions differ from base answers. A tidy table in, the Axes out.

Knows no model and no file. In the look of `plots`. Used by 03_preferences.
"""

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from .plots import _axes, _caption


def revisions(table: pd.DataFrame, title: str) -> Axes:
    """How much longer revisions are than base answers, and how many of their words they share.

    Args:
        table: columns `length gap` (-1 to 1, above 0 the revision is longer) and `similarity` (0 to 1); missing values
            are counted in the caption.
        title: of the figure.

    Returns:
        The left panel's Axes.
    """
    ax = _axes(9, 3.4)
    figure = ax.figure
    ax.remove()
    panels = figure.subplots(1, 2)
    names = {
        "length gap": ("length of the revision less the base answer's", (-1, 1)),
        "similarity": ("shared words", (0, 1)),
    }
    for panel, (column, (label, limits)) in zip(panels, names.items(), strict=True):
        sns.histplot(table[column].astype(float), bins=20, binrange=limits, color="C0", edgecolor="white", ax=panel)
        panel.set(xlabel=label, ylabel="pairs" if column == "length gap" else "", xlim=limits)
        panel.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        panel.grid(axis="x", visible=False)
        panel.yaxis.get_major_locator().set_params(integer=True)
    panels[0].axvline(0, color="0.3", linewidth=1)
    figure.suptitle(title, x=0.01, ha="left")
    known = table["similarity"].notna().sum()
    text = f"n = {known} pairs, {len(table) - known} failed. Left: as a share of the longer one; above 0 it is longer."
    return _caption(panels[0], text)
