"""Figures of groups of personas: their scores, crossed and ranked. A tidy table in, the Axes out.

Knows no model and no file. In the look of `plots`; what can't be shown is said in the figure. Used by
09_intersections.
"""

from textwrap import shorten

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.patches import Rectangle
from matplotlib.ticker import PercentFormatter

from . import style

MOST = 16  # rows of `groups`, half of them from either end
_COLORS = "cividis"  # even in lightness, and for all kinds of colour vision


def crossings(table: pd.DataFrame, title: str) -> Axes:
    """Heat map of scores: each value of an attribute against each of another, single groups on the diagonal.

    Args:
        table: as from `groups.grid`.
        title: of the figure.
    """
    values = list(dict.fromkeys(zip(table["attribute"], table["value"], strict=True)))
    place = {key: i for i, key in enumerate(values)}
    size = max(len(values), 4)
    ax = style.axes(max(5.5, 2.1 + 0.38 * (size + 1.5)), 3.5 + 0.38 * size)
    low, high = _span(table["shrunk"])
    shades = ScalarMappable(Normalize(low, high), _COLORS)
    for cell in table.itertuples(index=False):
        y, x = place[cell.attribute, cell.value], place[cell[2], cell[3]]
        shown = pd.notna(cell.shrunk)
        face = shades.to_rgba(cell.shrunk) if shown else "0.95" if not cell.personas else "white"
        ax.add_patch(Rectangle((x - 0.47, y - 0.47), 0.94, 0.94, facecolor=face, edgecolor="0.8", linewidth=0.6))
        rate = cell.shrunk if shown else cell.rate
        text = f"{rate:.0%}\n{cell.personas:.0f}" if pd.notna(rate) else "none" if not cell.personas else "?"
        ink = "white" if shown and cell.shrunk < (low + high) / 2 else "black" if shown else "0.35"
        ax.text(x, y, text, ha="center", va="center", fontsize=8, color=ink, linespacing=1.05)
    names = [style.plain(shorten(str(value), 24, placeholder=" …")) for _, value in values]
    ax.set_yticks(range(len(values)), names)
    ax.set_xticks(range(len(values)), names, rotation=90)
    ax.set(xlim=(-0.5, size + 1.5), ylim=(size - 0.5, -0.5))
    ax.grid(visible=False)
    bar = {
        "label": "share kept, shrunk",
        "format": PercentFormatter(1, decimals=0),
        "location": "top",
        "shrink": 0.6,
        "aspect": 30,
    }
    ax.figure.colorbar(shades, ax=ax, **bar).ax.tick_params(labelsize=9)
    _brackets(ax, values, size)
    style.title(ax, title)
    style.blank(ax, table["rate"])
    empty = int((table["personas"] == 0).sum())
    single = (table["attribute"] == table["other"]) & (table["value"] == table["other value"])
    n = table[single].groupby("attribute")["n"].sum().max() if len(table) else 0
    text = "Above: share kept, coloured where it could be shrunk towards the share of all, else as it is. "
    text += f"Below: personas. none: nobody is in the group ({empty} of {len(table)}). "
    return style.caption(ax, text + f"?: nothing scored. Diagonal: one attribute, n = {n:,.0f} answers.")


def _span(values: pd.Series) -> tuple[float, float]:
    """Ends of a scale that holds all values, on full tenths and three of them apart at least."""
    if values.isna().all():
        return 0.0, 1.0
    low, high = np.floor(values.min() * 10) / 10, np.ceil(values.max() * 10) / 10
    low = max(min(low, high - 0.3), 0.0)
    return low, min(max(high, low + 0.3), 1.0)


def _brackets(ax: Axes, values: list[tuple], size: int) -> None:
    """Name the attributes beside their values' rows, above the diagonal, where nothing is drawn."""
    for name in dict.fromkeys(attribute for attribute, _ in values):
        rows = [i for i, (attribute, _) in enumerate(values) if attribute == name]
        ax.axhline(rows[0] - 0.5, color="0.75", linewidth=0.8)
        x = rows[-1] + 0.7
        ax.text(x, np.mean(rows), name, va="center", ha="left", fontsize=10, weight="bold", clip_on=False)


def groups(table: pd.DataFrame, overall: float, title: str) -> Axes:
    """Groups with the lowest and the highest scores: raw, and shrunk with their intervals.

    Groups too small to be shrunk are shown only where none is large enough: their extremes are chance's.

    Args:
        table: as from `groups.scores`.
        overall: the rate of all.
        title: of the figure.
    """
    scored = table.dropna(subset="rate")
    shrunk = scored["shrunk"].notna()
    known = scored[shrunk | ~shrunk.any()].sort_values(["shrunk", "rate"], kind="stable")
    half = MOST // 2
    shown = known if len(known) <= MOST else pd.concat([known.head(half), known.tail(half)])
    labels = [f"{style.plain(g)}  (personas: {r.personas:.0f}, n = {r.n:.0f})" for g, r in shown.iterrows()]
    ax = style.rows(labels, "share kept", width=8.0)
    rows = range(len(shown))
    if shrunk.any():
        ax.hlines(rows, shown["shrunk_low"], shown["shrunk_high"], color="C0", linewidth=2)
        ax.plot(shown["shrunk"], rows, "o", color="C0", markersize=7, label="shrunk")
    ax.plot(shown["rate"], rows, "D", color="C1", markersize=6, fillstyle="none", label="as it is")
    if pd.notna(overall):
        ax.axvline(overall, color="0.3", linewidth=1, label="everybody")
    if len(shown) < len(known):
        ax.axhline(half - 0.5, color="0.6", linewidth=1, linestyle=(0, (2, 2)))
    ends = shown[["rate", "shrunk_low", "shrunk_high"]].stack()
    low, high = _span(ends)
    ax.set_xlim(low - 0.02, high + 0.02)
    ax.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    style.legend(ax, title)
    style.blank(ax, shown["rate"])
    left = f" {len(known) - len(shown)} groups in between are left out." if len(shown) < len(known) else ""
    text = "Line: 95% interval of the shrunk share. " if shrunk.any() else "No group is large enough for an interval. "
    small = f"{len(scored) - len(known)} too small to be shrunk are left out. " if len(scored) > len(known) else ""
    text += f"{len(table) - len(scored)} of {len(table)} groups have no score. {small}"
    return style.caption(ax, text + left.strip())
