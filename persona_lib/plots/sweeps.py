"""Draw the numbers of a sweep over all of its points."""

from textwrap import fill, shorten

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from ..texts import counted
from . import style

ACROSS = 3  # panels in a line
ROW_IN = 0.145  # of a point: its label of 8 pt fits
LETTERS = 30  # of a point's label
TITLE, LINES = 30, 4  # letters and lines of a panel's title
TALL = 30  # points: with more, the scale stands above, too
COLORS = 6  # settings that have a color of their own


def points(table: pd.DataFrame, labels: list[str], colors: list[int], title: str, left_out: int = 0) -> Axes:
    """Draw numbers with their 95% intervals, a panel per number and a row per point.

    Args:
        table: rows with a value: `panel` (its title), `at` (the place of the point among labels), `value`, `low`,
            `high`, `n`, `unit` (as in `runs.Finding`: share, points, or empty).
        labels: of all points, the first on top; where one has no value, that is marked.
        colors: for each point a number from 0: points of one number have one color.
        title: of the figure.
        left_out: how many numbers are not drawn.
    """
    names = table["panel"].unique()
    if not len(names):
        ax = style.axes(8.0, 2.0)
        style.blank(ax)
        style.title(ax, title)
        return style.caption(ax, f"{counted(len(labels), 'point')}, none of which has a number.")
    lines = -(-len(names) // ACROSS)
    panels = style.grid(lines, min(ACROSS, len(names)), 1.2 + lines * (1.1 + ROW_IN * len(labels)), sharey=True)
    for spare in panels[len(names) :]:
        spare.remove()
    several = max(colors) < COLORS
    shades = [f"C{color}" if several else "C0" for color in colors]
    for ax, name in zip(panels, names, strict=False):
        _panel(ax, table[table["panel"] == name].set_index("at").reindex(range(len(labels))), shades)
        heading = fill(shorten(style.words(name), TITLE * LINES, placeholder=" …"), TITLE)
        ax.set_title(style.plain(heading), fontsize=8.5)
    short = all(len(label) <= LETTERS for label in labels)
    shown = labels if short else [f"{i}  {_cut(label)}" for i, label in enumerate(labels, 1)]
    panels[0].set_yticks(range(len(labels)), [style.plain(label) for label in shown])
    panels[0].set_ylim(len(labels) - 0.5, -0.5)
    style.title(panels[0], title)
    n = [f"{n:,.0f}" for n in (table["n"].min(), table["n"].max()) if pd.notna(n)]
    text = [f"{counted(len(labels), 'point')}; n = {' to '.join(dict.fromkeys(n)) or 'not recorded'}."]
    text.append("Line: 95% interval, where one is recorded, not corrected for the number of points.")
    if len(table) < len(names) * len(labels):
        text.append("Cross: no value.")
    if left_out:
        text.append(f"{counted(left_out, 'more number')} in the table.")
    return style.caption(panels[0], " ".join(text))


def _panel(ax: Axes, rows: pd.DataFrame, shades: list[str]) -> None:
    """Draw one number at each point; rows by the point's place, missing ones all empty."""
    unit = rows["unit"].dropna().iloc[0] if rows["unit"].notna().any() else ""
    places = pd.Series(range(len(rows)), rows.index)
    there = rows["value"].notna()
    if unit == "points":
        ax.axvline(0, color="0.3", linewidth=1)
    for shade in dict.fromkeys(shades):
        own = there & (np.array(shades) == shade)
        ends = own & rows["low"].notna()
        ax.hlines(places[ends], rows["low"][ends], rows["high"][ends], color=shade, linewidth=1.5)
        ax.plot(rows["value"][own], places[own], "o", color=shade, markersize=4, markeredgewidth=0, zorder=3)
    for at in places[~there]:
        ax.plot(0.02, at, "x", color="0.45", markersize=4, transform=ax.get_yaxis_transform())
    if unit == "share":
        ax.set_xlim(-0.03, 1.03)
        ax.set_xticks([0, 0.5, 1])
        style.percent(ax.xaxis)
    else:
        ax.xaxis.set_major_locator(MaxNLocator(3))
    if unit == "points":
        ax.xaxis.set_major_formatter(style.signed())
        ax.set_xlabel("points", fontsize=8)
    ax.tick_params(labelsize=8, labeltop=len(rows) > TALL)
    ax.grid(axis="y", color="0.92")


def _cut(label: str) -> str:
    """Return a label without its middle, if it is long: the ends tell points apart."""
    return label if len(label) <= LETTERS else f"{label[: LETTERS // 2 - 1]} … {label[-(LETTERS // 2 - 2) :]}"
