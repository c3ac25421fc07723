"""Draw trials of methods: accuracy against the number of choices known, the worst people, and calibration."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from ..texts import counted
from . import style


def curves(table: pd.DataFrame, title: str, ceiling: float | None = None) -> Axes:
    """Draw each method's accuracy against k, with 95% intervals at the largest k, labelled at the lines' ends.

    Args:
        table: of `methods.scores.accuracy`.
        title: of the figure.
        ceiling: what no method can exceed, drawn as a line; None or missing where it is not known.
    """
    ax = style.axes(8.0, 4.6)
    known = table.dropna(subset="accuracy")
    ks = sorted(known["k"].unique())
    place = {k: at for at, k in enumerate(ks)}
    flat = known.groupby("method", observed=True)["accuracy"].agg(np.ptp) == 0
    colors = {method: f"C{i % 8}" for i, method in enumerate(flat.index[~flat])}
    ends: dict[str, tuple[float, str]] = {}
    for i, (method, own) in enumerate(known.groupby("method", sort=False, observed=True)):
        x = own["k"].map(place)
        color, dash = (colors[method], "-") if method in colors else ("0.55", (0, (4, 2)))
        ax.plot(x, own["accuracy"], color=color, linestyle=dash, linewidth=1.8, marker="o", markersize=4, label=method)
        last = own.iloc[-1]
        if pd.notna(last["low"]):
            ax.vlines(x.iloc[-1] + 0.02 * (i % 5), last["low"], last["high"], color=color, linewidth=1, alpha=0.6)
        ends[str(method)] = (last["accuracy"], color)
    if ceiling is not None and not np.isnan(ceiling):
        ax.axhline(ceiling, color="0.3", linewidth=1)
        ax.text(0, ceiling, " ceiling", va="bottom", fontsize=8.5, color="0.3")
    ax.set_xlim(-0.2, len(ks) - 0.85)
    style.ends(ax, ends)
    ax.set_xticks(range(len(ks)), [str(k) for k in ks])
    ax.set_xlabel("k: choices of the person that a method knows")
    ax.set_ylabel("accuracy, mean over people")
    style.percent(ax.yaxis)
    style.title(ax, title)
    style.blank(ax, table["accuracy"])
    people = counted(known["people"].max(), "person", "people") if len(known) else "0 people"
    text = f"n: up to {people}. Dashed: methods that see no choice of the person. Thin lines: 95% intervals at the"
    return style.caption(ax, text + " largest k, clustered by person and prompt.")


def worst(table: pd.DataFrame, title: str) -> Axes:
    """Draw the accuracy of the tenth of people whom each method serves worst, beside what chance alone would give.

    Args:
        table: of `methods.scores.worst`.
        title: of the figure.
    """
    labels = [style.label(row.method, f"{row.people:,.0f} people") for row in table.itertuples()]
    ax = style.rows(labels, "accuracy of the worst tenth of people")
    rows = range(len(table))
    ax.hlines(rows, table["low_chance"], table["high_chance"], color="0.75", linewidth=6, label="by chance, 95%")
    ax.plot(table["accuracy"], rows, "o", color="C0", markersize=7, label="the method's")
    ax.set_xlim(-0.02, 1.02)
    style.percent(ax.xaxis)
    style.legend(ax, title)
    style.blank(ax, table["accuracy"] if len(table) else None)
    return style.caption(
        ax, "By chance: the worst tenth would lie here if right and wrong predictions fell on people at random."
    )


def calibration(table: pd.DataFrame, title: str, methods: list[str]) -> Axes:
    """Draw how often the first answer was chosen against the predicted probability, a panel per method.

    Args:
        table: of `methods.scores.calibration`.
        title: of the figure.
        methods: which to draw.
    """
    panels = style.panels(len(methods), 2.3)
    for ax, method in zip(panels, methods, strict=False):
        own = table[table["method"] == method]
        ax.plot([0, 1], [0, 1], color="0.3", linewidth=1)
        ax.scatter(own["predicted"], own["chosen"], s=12 + 2 * np.sqrt(own["n"].astype(float)), color="C0")
        ax.set_title(style.plain(f"{method} (n = {own['n'].sum():,})"), fontsize=9)
        ax.set_xlim(-0.03, 1.03)
        ax.set_ylim(-0.03, 1.03)
        style.percent(ax.xaxis, ax.yaxis)
        ax.set_xlabel("predicted")
        ax.set_ylabel("chosen")
    style.title(panels[0], title)
    return style.caption(
        panels[0], "Point: a tenth of the probabilities; a larger point has more choices. Line: perfect."
    )


def mistakes(table: pd.DataFrame, title: str) -> Axes:
    """Draw what each mistake makes of a method's accuracy, a row per mistake, from right to wrong.

    Args:
        table: of `methods.mistakes.table`.
        title: of the figure.
    """
    labels = [style.label(row.mistake, f"n = {row.n:,}, {counted(row.people, 'person', 'people')}")
              for row in table.itertuples()]  # fmt: skip
    ax = style.rows(labels, "accuracy", tall=0.42)
    rows = np.arange(len(table))
    ax.hlines(rows, table["right"], table["wrong"], color="0.75", linewidth=1.5)
    low, high = (np.clip(table["right"] + table[end], 0, 1) for end in ("low", "high"))
    ax.hlines(rows, low, high, color="C3", linewidth=4, alpha=0.35)
    ax.plot(table["right"], rows, "o", color="C0", markersize=7, label="as it should be tested")
    ax.plot(table["wrong"], rows, "D", color="C3", markersize=6, label="with the mistake")
    ax.set_xlim(0.4, 1.02)
    if len(table) and table[["right", "wrong"]].min().min() < 0.42:
        ax.set_xlim(-0.02, 1.02)
    style.percent(ax.xaxis)
    style.legend(ax, title)
    style.blank(ax, table["wrong"] if len(table) else None)
    text = "Pale line: the blue point and the 95% interval of the difference, clustered by person and prompt."
    return style.caption(ax, text)


def orders(table: pd.DataFrame, title: str) -> Axes:
    """Draw how often each method is right (reward) and how often people prefer what it picks (policy), a row each.

    Args:
        table: of `methods.policy.table`.
        title: of the figure.
    """
    labels = [style.label(row.method, f"n = {row.judged:,} picks") for row in table.itertuples()]
    series = {name: (name, f"{name}_low", f"{name}_high") for name in ("reward", "policy")}
    ax = _two(labels, table, {f"{name} accuracy": columns for name, columns in series.items()}, title, "accuracy")
    text = "Reward: choices that are predicted. Policy: picks that people prefer, where they compared them."
    return style.caption(ax, f"{text} Lines: 95% intervals, clustered by person and prompt.")


def wins(table: pd.DataFrame, title: str) -> Axes:
    """Draw how often each method's answers are preferred to one answer for all, also at equal length, a row each.

    Args:
        table: of `methods.generation.wins`.
        title: of the figure.
    """
    labels = [style.label(row.Index, f"n = {row.n:,.0f}, {row.failed:,.0f} unscored") for row in table.itertuples()]
    series = {
        "win rate": ("rate", "low", "high"),
        "at equal length": ("controlled", "controlled_low", "controlled_high"),
    }
    ax = _two(labels, table, series, title, "win rate against one answer for all")
    text = "Both orders; a tie is a half. Lines: 95% intervals, clustered by person and prompt. No diamond: no estimate"
    return style.caption(ax, f"{text} at equal length.")


def _two(
    labels: list[str], table: pd.DataFrame, series: dict[str, tuple[str, str, str]], title: str, axis: str
) -> Axes:
    """Draw two shares a row, each with its interval: `series` names the columns of value, low and high."""
    ax = style.rows(labels, axis, tall=0.42)
    for (name, columns), mark, color, shift in zip(series.items(), "oD", ("C0", "C1"), (-0.15, 0.15), strict=True):
        value, low, high = (table.get(column, pd.Series(dtype=float)).astype(float) for column in columns)
        rows = np.arange(len(table)) + shift
        ax.hlines(rows, low, high, color=color, linewidth=2)
        ax.plot(value, rows, mark, color=color, markersize=6, label=name)
    ax.axvline(0.5, color="0.3", linewidth=1)
    ax.set_xlim(-0.02, 1.02)
    style.percent(ax.xaxis)
    names = [
        (name, table.get(value, pd.Series(dtype=float)).astype(float), shift, color)
        for (name, (value, *_)), color, shift in zip(series.items(), ("C0", "C1"), (-0.15, 0.15), strict=True)
    ]
    if style.named(ax, names):
        style.title(ax, title)
    else:
        style.legend(ax, title)
    style.blank(ax, table[next(iter(series.values()))[0]] if len(table) else None)
    return ax
