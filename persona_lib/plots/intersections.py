"""Draw the scores of groups of personas, crossed and ranked.

A figure says what it could not show.
"""

from textwrap import shorten
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.patches import Rectangle

from . import style
from .told import CELL, interval

MOST = 16  # rows of `groups`, half of them from each end
_COLORS = "cividis"  # perceptually uniform, and readable with any kind of colour vision


def crossings(table: pd.DataFrame, title: str) -> Axes:
    """Draw a heat map of scores: each value of an attribute by each value of another, single groups on the diagonal.

    Args:
        table: result of `intersections.grid`.
        title: of the figure.
    """
    values = list(dict.fromkeys(zip(table["attribute"], table["value"], strict=True)))
    place = {key: i for i, key in enumerate(values)}
    size = max(len(values), 4)
    ax = style.axes(max(5.5, 2.1 + 0.38 * (size + 1.5)), 3.5 + 0.38 * size)
    low, high = _span(table["shrunk"])
    shades = ScalarMappable(Normalize(low, high), _COLORS)
    for cell in table.itertuples(index=False):
        y = place[cell.attribute, cell.value]
        x = place[cell[2], cell[3]]  # `other` and `other value`, which is not a name in Python
        face, ink = _colors(cell, shades, (low + high) / 2)
        edge: dict[str, Any] = (
            {"edgecolor": "black", "linewidth": 2.2} if _apart(cell) else {"edgecolor": "0.8", "linewidth": 0.6}
        )
        edge |= {"gid": CELL, "label": _told(cell)}
        ax.add_patch(Rectangle((x - 0.46, y - 0.46), 0.92, 0.92, facecolor=face, **edge))
        ax.text(x, y, _written(cell), ha="center", va="center", fontsize=8, color=ink, linespacing=1.05)
    names = [style.plain(shorten(str(value), 24, placeholder=" …")) for _, value in values]
    ax.set_yticks(range(len(values)), names)
    ax.set_xticks(range(len(values)), names, rotation=90)
    ax.set(xlim=(-0.5, size + 1.5), ylim=(size - 0.5, -0.5))
    ax.grid(visible=False)
    bar: dict[str, Any] = {"label": "share kept, shrunk", "format": style.shares()}
    bar |= {"location": "top", "shrink": 0.6, "aspect": 30}
    ax.figure.colorbar(shades, ax=ax, **bar).ax.tick_params(labelsize=9)
    _brackets(ax, values, size)
    style.title(ax, title)
    style.blank(ax, table["rate"])
    empty = int((table["personas"] == 0).sum())
    single = (table["attribute"] == table["other"]) & (table["value"] == table["other value"])
    n = table[single].groupby("attribute")["n"].sum().max() if len(table) else 0
    apart = sum(_apart(cell) for cell in table.itertuples(index=False))
    text = "Coloured: share kept, shrunk towards the overall share, and its 95% interval. White: a "
    text += "group too small for an interval, with its raw share and n, its answers. none: nobody is in the group "
    text += f"({empty} of {len(table)}). ?: nothing scored. Framed ({apart}): differs from everybody else after "
    return style.caption(ax, text + f"correction for all groups. Diagonal: a single attribute, n = {n:,.0f} answers.")


def _colors(cell: Any, shades: ScalarMappable, middle: float) -> tuple[Any, str]:
    """Return the colours of a cell of `crossings` and of its text; cells below the middle of the scale are dark."""
    if pd.notna(cell.shrunk):
        return shades.to_rgba(cell.shrunk), "white" if cell.shrunk < middle else "black"
    return "white" if cell.personas else "0.95", "0.35"


def _written(cell: Any) -> str:
    """Return the text in a cell of `crossings`."""
    if pd.notna(cell.shrunk):
        return f"{cell.shrunk:.0%}\n{100 * cell.shrunk_low:.0f}–{100 * cell.shrunk_high:.0f}"
    if pd.notna(cell.rate):
        return f"{cell.rate:.0%}\nn {cell.n:.0f}"
    return "?" if cell.personas else "none"


def _told(cell: Any) -> str:
    """Return a cell of `crossings` in words, for those who point at it: its group, share kept, interval and n."""
    own, other = f"{cell.attribute}: {cell.value}", f"{cell[2]}: {cell[3]}"
    group = own if own == other else f"{own} × {other}"
    if pd.isna(cell.rate):
        return f"{group}: {'nothing scored' if cell.personas else 'nobody'}"
    shrunk = f"; shrunk {cell.shrunk:.0%}, {interval(f'{cell.shrunk_low:.0%}', f'{cell.shrunk_high:.0%}')}"
    return f"{group}: share kept {cell.rate:.0%} (n = {cell.n:,.0f}{shrunk if pd.notna(cell.shrunk) else ''})"


def _apart(row: Any) -> bool:
    """Return whether a group differs from everybody else at the 5% level after Holm's correction for all groups."""
    return bool(row.p_holm < 0.05)


def _span(values: pd.Series) -> tuple[float, float]:
    """Return the ends of a scale that covers all values: full tenths, at least three of them apart."""
    if values.isna().all():
        return 0.0, 1.0
    low = np.floor(values.min() * 10) / 10
    high = np.ceil(values.max() * 10) / 10
    low = max(min(low, high - 0.3), 0.0)
    return low, min(max(high, low + 0.3), 1.0)


def _brackets(ax: Axes, values: list[tuple], size: int) -> None:
    """Write each attribute's name beside the rows of its values, above the diagonal, where there are no cells."""
    for name in dict.fromkeys(attribute for attribute, _ in values):
        rows = [i for i, (attribute, _) in enumerate(values) if attribute == name]
        ax.axhline(rows[0] - 0.5, color="0.75", linewidth=0.8)
        x = rows[-1] + 0.7
        ax.text(x, float(np.mean(rows)), name, va="center", ha="left", fontsize=10, weight="bold", clip_on=False)


def groups(table: pd.DataFrame, overall: float, title: str) -> Axes:
    """Draw the groups with the lowest and the highest scores: raw, and shrunk with their intervals.

    Groups too small to be shrunk are shown only if no group is large enough: their extremes are due to chance.

    Args:
        table: result of `intersections.scores`.
        overall: the rate over all personas.
        title: of the figure.
    """
    scored = table.dropna(subset="rate")
    shrunk = scored["shrunk"].notna()
    known = scored[shrunk | ~shrunk.any()].sort_values(["shrunk", "rate"], kind="stable")
    half = MOST // 2
    shown = known if len(known) <= MOST else pd.concat([known.head(half), known.tail(half)])
    ax, text = _forest(shown, overall, title)
    if len(shown) < len(known):
        ax.axhline(half - 0.5, color="0.6", linewidth=1, linestyle=(0, (2, 2)))
    left = f" {len(known) - len(shown)} groups in between are left out." if len(shown) < len(known) else ""
    small = f"{len(scored) - len(known)} too small to be shrunk are left out. " if len(scored) > len(known) else ""
    text += f"{len(table) - len(scored)} of {len(table)} groups have no score. {small}"
    return style.caption(ax, text + left.strip())


def single(table: pd.DataFrame, overall: float, title: str) -> Axes:
    """Draw the scores of every group of a table in its order: raw, and shrunk with their intervals.

    Args:
        table: rows of `intersections.scores`, such as those of single values.
        overall: the rate over all personas.
        title: of the figure.
    """
    ax, text = _forest(table, overall, title)
    return style.caption(ax, text + f"{table['rate'].isna().sum()} of {len(table)} groups have no score.")


def _forest(shown: pd.DataFrame, overall: float, title: str) -> tuple[Axes, str]:
    """Draw groups as rows, the first on top; return the Axes and what the signs mean."""
    labels = [f"{style.plain(g)}  (personas: {r.personas:,.0f}, n = {r.n:,.0f})" for g, r in shown.iterrows()]
    ax = style.rows(labels, "share kept", tall=0.26, width=8.0)
    rows = range(len(shown))
    shrunk = shown["shrunk"].notna()
    if shrunk.any():
        apart = pd.Series([_apart(row) for row in shown.itertuples()], shown.index, dtype=bool)
        ax.hlines(rows, shown["shrunk_low"], shown["shrunk_high"], color="C0", linewidth=2)
        points: dict[str, Any] = {"color": "C0", "markersize": 7, "linestyle": ""}
        ax.plot(shown["shrunk"], rows, marker="o", markerfacecolor="white", label="shrunk", **points)
        if apart.any():
            different = "shrunk, differs from everybody else"
            ax.plot(shown["shrunk"].where(apart), rows, marker="o", label=different, **points)
    ax.plot(shown["rate"], rows, "D", color="C1", markersize=6, fillstyle="none", label="raw")
    if pd.notna(overall):
        ax.axvline(overall, color="0.3", linewidth=1, label="all personas")
    low, high = _span(shown[["rate", "shrunk_low", "shrunk_high"]].stack())
    ax.set_xlim(low - 0.02, high + 0.02)
    style.percent(ax.xaxis)
    style.legend(ax, title, columns=4)
    style.blank(ax, shown["rate"])
    if not shrunk.any():
        return ax, "No group is large enough for an interval. "
    return ax, "Line: 95% interval of the shrunk share. Filled: differs after correction for all groups. "
