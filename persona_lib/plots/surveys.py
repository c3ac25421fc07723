"""Draw the figures of surveys: how often models in respondents' places are right, by item, group and confidence.

A table without a value gives a figure that says so.
"""

from textwrap import fill
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes

from . import style

WIDEST = 2.5  # times the real variety: a larger ratio is written at the edge, or it would squeeze all others
TALLEST = 9.0  # inches of rows


def groups(table: pd.DataFrame, title: str) -> Axes:
    """Draw the distance to the real answers, and the variety relative to them, in each group of respondents.

    Args:
        table: result of `caricature.distributions`.
        title: of the figure.

    Returns:
        The left panel's Axes.
    """
    sources, names = (list(dict.fromkeys(table.index.get_level_values(i))) for i in (0, 1))
    n = table.groupby(level=1, sort=False)["people"].max()
    tall = (0.26 + 0.1 * len(sources)) * max(1, len(names))  # inches of rows
    panels = style.grid(1, 2, 2.2 + tall, sharey=True)
    looks = {"distance": ("distance to the real answers", 0), "variety": ("variety relative to the real answers", 1)}
    for panel, (column, (label, ideal)) in zip(panels, looks.items(), strict=True):
        edge = _edge(table, column)
        for i, source in enumerate(sources):
            own = table.loc[source].reindex(names)
            y = np.arange(len(names)) + (i - (len(sources) - 1) / 2) * 0.7 / len(sources)
            ends = (own[f"{column}_{end}"].clip(upper=edge) for end in ("low", "high"))
            panel.hlines(y, *ends, color=f"C{i}", linewidth=2)
            panel.plot(own[column].where(own[column] <= edge), y, _mark(i), color=f"C{i}", markersize=7, label=source)
            if column == "distance":
                panel.plot(own["chance"], y, "|", color=f"C{i}", markersize=9, alpha=0.6)
            _beyond(panel, own[column], y, edge, f"C{i}")
        panel.axvline(ideal, color="0.3", linewidth=1)
        panel.set_xlabel(label)
        panel.grid(axis="y", visible=False)
        panel.set_xlim(-0.04, 1.04 * edge)
        if not len(table) or not table[column].notna().any():
            style.blank(panel)
    panels[0].set_yticks(range(len(names)), [style.plain(f"{name}  (n = {n[name]:,.0f})") for name in names])
    panels[0].set_ylim(max(1, len(names)) - 0.5, -0.5)
    sns.despine(ax=panels[1], left=True)
    style.legend(panels[0], title, columns=2)
    text = "n: respondents. Left: 0 means the group's own answers; small bar: what 95 in 100 random swaps of said and "
    text += (
        "real answers stay below. Right: 1 means the group's own variety; below 1 the group is too uniform. Line: 95% "
    )
    text += "interval, jackknife over respondents. No line or point: not estimable."
    if len(table) and (table["variety"] > WIDEST).any():
        text += " Arrow: beyond the edge, at the value written."
    return style.caption(panels[0], text)


def _edge(table: pd.DataFrame, column: str) -> float:
    """Return where an axis ends: at the largest value or interval, but not beyond WIDEST, nor below 1."""
    largest = table[[column, f"{column}_high"]].max(axis=None) if len(table) else np.nan
    return float(np.clip(np.nan_to_num(largest, nan=1.0), 1.0, WIDEST))


def _beyond(panel: Axes, values: pd.Series, y: np.ndarray, edge: float, color: str) -> None:
    """Mark values beyond the edge by an arrow there, and write them."""
    for value, row in zip(values, y, strict=True):
        if value > edge:
            panel.plot([edge], [row], ">", color=color, markersize=8)
            look: dict[str, Any] = {"textcoords": "offset points", "va": "center", "fontsize": 8}
            panel.annotate(f"{value:.1f}", (edge, row), (7, 0), annotation_clip=False, **look)


def items(table: pd.DataFrame, title: str) -> Axes:
    """Draw how often each source is right on each item of a survey.

    Args:
        table: result of `evaluation.yardsticks` by `item`.
        title: of the figure.
    """
    sources, names = (list(dict.fromkeys(table.index.get_level_values(i))) for i in (0, 1))
    n = table.groupby(level=1, sort=False)["n"].agg(["min", "max"])
    labels = [f"{fill(name, 38)}  (n = {style.span(n.loc[name, 'min'], n.loc[name, 'max'])})" for name in names]
    tall = min(0.3 + 0.12 * len(sources), TALLEST / max(1, len(names)))  # inches of a row
    ax = style.rows(list(map(style.plain, labels)), "share right", max(0.3, tall), 8.0)
    for i, source in enumerate(sources):
        own = table.loc[source].reindex(names)
        y = np.arange(len(names)) + (i - (len(sources) - 1) / 2) * 0.7 / len(sources)
        ax.hlines(y, own["low"], own["high"], color=f"C{i}", linewidth=1)
        ax.plot(own["rate"], y, _mark(i), color=f"C{i}", markersize=5, label=source)
    ax.set_xlim(-0.02, 1.02)
    style.percent(ax.xaxis)
    style.legend(ax, title, columns=2)
    style.blank(ax, table["rate"])
    return style.caption(ax, "n: respondents who answered. Line: 95% interval, over respondents.")


def coverage(table: pd.DataFrame, title: str, marks: pd.Series | None = None) -> Axes:
    """Draw how often answers are right if the less confident ones are left out.

    Args:
        table: result of `evaluation.coverage`.
        title: of the figure.
        marks: baselines that answer everything: name -> share right.
    """
    ax = style.axes(height=3.9)
    for i, (source, own) in enumerate(table.groupby("source", sort=False)):
        x = own["coverage"] + 0.008 * i  # side by side, or intervals would hide each other
        ax.plot(x, own["accuracy"], _mark(i), linestyle="-", color=f"C{i}", markersize=6, label=source)
        ax.vlines(x, own["low"], own["high"], color=f"C{i}", linewidth=1.5, alpha=0.6)
    dashes = [(0, (4, 2)), (0, (1, 1.5))]
    for i, (name, share) in enumerate(dict(marks if marks is not None else {}).items()):
        ax.axhline(share, color="0.35", linewidth=1.5, linestyle=dashes[i % 2], label=name)
    ax.set(xlim=(0, 1.04), ylim=(-0.03, 1.03))
    ax.set_xlabel("share of questions answered, most confident first")
    ax.set_ylabel("share right")
    style.percent(ax.xaxis, ax.yaxis)
    style.legend(ax, title, columns=2)
    if table.empty:
        style.blank(ax)
    n = style.span(table["n"].min(), table["n"].max()) if len(table) else "0"
    text = "Line through a point: 95% interval, computed as for all answers."
    return style.caption(ax, f"n = {n} answers from left to right. {text}")


def _mark(series: int) -> str:
    """Return the marker of a series."""
    return style.MARKS[series % len(style.MARKS)]
