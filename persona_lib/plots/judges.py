"""Draw the audits of judges: position, length, own writing, known truth, errors, ranks.

A figure says what it could not show.
"""

from textwrap import fill
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from ..texts import counted
from . import style

LONGEST = 28  # letters shown of a model's name
FLAT = 24  # letters of writers' names that stand side by side; more are turned


def orders(judged: pd.DataFrame, title: str) -> Axes:
    """Draw a judge's preference for an answer shown first against that for the same answer shown second.

    Where the two choices differ, the order decides.

    Args:
        judged: rows of `verdicts.prefer`, with `p_first` and `p_second`.
        title: of the figure.
    """
    known = judged.dropna(subset=["p_first", "p_second"])
    ax = style.axes(5.6, 5.6)
    for corner in ((0, 0.5), (0.5, 0)):
        ax.add_patch(Rectangle(corner, 0.5, 0.5, facecolor="C1", alpha=0.12, linewidth=0))
    ax.scatter(known["p_second"], known["p_first"], color="C0", s=30, alpha=0.7, linewidth=0)
    ax.plot([0, 1], [0, 1], color="0.3", linewidth=1)
    ax.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    ax.set_xlabel("probability of the answer when it is shown second")
    ax.set_ylabel("probability of the same answer when it is first")
    ax.grid(visible=False)
    first = known["p_first"] > 0.5
    second = known["p_second"] > 0.5
    corners = {
        (0.02, 0.97, "left", "top"): ("first chosen", first & ~second),
        (0.98, 0.53, "right", "bottom"): (
            "chosen in both orders",
            first & second,
        ),  # off the diagonal, where points lie
        (0.02, 0.47, "left", "top"): ("rejected in both orders", ~first & ~second),
        (0.98, 0.03, "right", "bottom"): ("second chosen", ~first & second),
    }
    for (x, y, ha, va), (name, cases) in corners.items():
        ax.text(x, y, f"{name}: {cases.sum()}", ha=ha, va=va, fontsize=9, color="0.2")
    style.percent(ax.xaxis, ax.yaxis)
    style.title(ax, title)
    style.blank(ax, known["p_first"])
    pairs = counted(len(known), "pair of answers", "pairs of answers")
    n = f"n = {pairs}, {len(judged) - len(known)} without a choice"
    return style.caption(ax, f"{n}. Shaded: the order decides. Above the diagonal: bias towards the first position.")


def controlled(table: pd.DataFrame, title: str) -> Axes:
    """Draw the preference over the baseline's answer, raw and between answers of equal length.

    Args:
        table: result of `contrasts.length_controlled`.
        title: of the figure.
    """
    labels = [style.label(g, f"n = {r.n:,.0f}, {r.failed:,.0f} unscored") for g, r in table.iterrows()]
    ax = style.rows(labels, "share of pairs in which it is preferred", tall=0.5)
    _two(ax, table, "controlled", ("raw", "at equal length"), title)
    ax.axvline(0.5, color="0.3", linewidth=1, zorder=1)
    style.blank(ax, table["rate"])
    return style.caption(ax, "Line: 95% interval, clustered by persona and prompt. Vertical line: no preference.")


def corrected(table: pd.DataFrame, title: str) -> Axes:
    """Draw scores as the judge reports them, and corrected for its errors; without any corrected one, no figure.

    Args:
        table: result of `calibration.corrected_rates`.
        title: of the figure.
    """
    labels = [style.label(g, f"n = {r.n:,.0f}, {r.positives + r.negatives:.0f} labelled") for g, r in table.iterrows()]
    ax = style.rows(labels, "share kept", tall=0.5)
    _two(ax, table, "corrected", ("as the judge reports it", "corrected for its errors"), title)
    style.blank(ax, table["corrected"], "no labelled answers" if len(table) and table["rate"].notna().any() else None)
    return style.caption(ax, "Line: 95% interval; if corrected, it includes the uncertainty from the labelled answers.")


def _two(ax: Axes, table: pd.DataFrame, second: str, labels: tuple[str, str], title: str) -> None:
    """Draw the rate and, below it, a second estimate with their intervals, or the reason why there is no second.

    Args:
        ax: a row per row of `table`.
        table: columns `rate`, `low`, `high`, those of the second estimate, and `note`.
        second: the second estimate's column; its interval is in `{second}_low` and `{second}_high`.
        labels: of both.
        title: of the figure.
    """
    looks = {"rate": ("", -0.13, "o", "C0"), second: (f"{second}_", 0.13, "D", "C1")}
    for (name, (prefix, shift, mark, color)), label in zip(looks.items(), labels, strict=True):
        rows = np.arange(len(table)) + shift
        ax.hlines(rows, table[f"{prefix}low"], table[f"{prefix}high"], color=color, linewidth=2)
        known = table[name].notna().any()
        ax.plot(table[name], rows, mark, color=color, markersize=7, label=label if known else "_")
    for row, (value, note) in enumerate(zip(table[second], table["note"], strict=True)):
        if pd.isna(value):
            box = {"facecolor": "white", "edgecolor": "none", "pad": 1}
            ax.text(0.0, row + 0.3, note, fontsize=8, color="0.35", va="center", bbox=box)
    ax.set_xlim(-0.03, 1.03)
    style.percent(ax.xaxis)
    drawn = zip(labels, looks.items(), strict=True)
    if style.named(ax, [(label, table[name], shift, color) for label, (name, (_, shift, _, color)) in drawn]):
        style.title(ax, title)
    else:
        style.legend(ax, title)


def judges(table: pd.DataFrame, n: int, title: str) -> Axes:
    """Draw each judge's mean score of each writer, with a frame where a judge scores its own writing.

    Args:
        table: result of `audits.matrix`: mean scores, a row per judge, a column per writer.
        n: number of answers of each writer.
        title: of the figure.
    """
    wide = max(len(table.columns), 2)
    tall = max(len(table), 2)
    ax = style.axes(4.4 + 0.75 * wide, 2.2 + 0.6 * tall)
    writers = list(map(_short, table.columns))
    names = list(map(_short, table.index))
    if len(table) > 1:
        bar = {"label": "share kept", "format": style.shares()}
        look = {"cmap": "cividis", "vmin": 0, "vmax": 1, "annot": True, "fmt": ".0%", "annot_kws": {"fontsize": 9}}
        ax.set_facecolor("0.93")
        ax.grid(visible=False)
        sns.heatmap(table.to_numpy(float), cbar_kws=bar, linewidths=1, ax=ax, label=f"n = {n:,}", **look)
        turned: dict[str, Any] = {"rotation": 30, "ha": "right", "rotation_mode": "anchor"}
        ax.set_xticklabels(writers, **(turned if len(writers) * max(map(len, writers)) > FLAT else {"rotation": 0}))
        ax.set_yticklabels(names, rotation=0)
        frame: dict[str, Any] = {"fill": False, "edgecolor": "C1", "linewidth": 3}
        for i, judge in enumerate(table.index):
            for j, writer in enumerate(table.columns):
                if judge == writer:
                    ax.add_patch(Rectangle((j + 0.04, i + 0.04), 0.92, 0.92, **frame))
    else:
        ax.set(xticks=[], yticks=[])
        style.blank(ax, text=f"{names[0]} is the only judge" if len(table) else "nothing could be scored")
    ax.set_xlabel("writer")
    ax.set_ylabel("judge")
    style.title(ax, title)
    caption = f"Framed: a judge on its own writing. Grey: no score. n = {n} answers of each writer to be judged."
    return style.caption(ax, caption)


def chances(table: pd.DataFrame, title: str) -> Axes:
    """Draw shares of right answers, each with the share that guessing would give.

    Args:
        table: an index of tasks; columns `n`, `failed`, `rate`, `low`, `high` as in `intervals.rates`, and `chance`.
        title: of the figure.
    """
    labels = [style.label(g, f"n = {r.n:,.0f}, {r.failed:,.0f} unscored") for g, r in table.iterrows()]
    ax = style.rows(labels, "share right", tall=0.4)
    rows = range(len(table))
    ax.hlines(rows, table["low"], table["high"], color="C0", linewidth=2)
    ax.plot(table["rate"], rows, "o", color="C0", markersize=8, label="this judge")
    ax.plot(table["chance"], rows, "|", color="C1", markersize=26, markeredgewidth=3)
    ax.plot([], [], "|", color="C1", markersize=11, markeredgewidth=3, label="guessing")
    ax.set_xlim(-0.03, 1.03)
    style.percent(ax.xaxis)
    style.legend(ax, title)
    style.blank(ax, table["rate"])
    none = "" if len(table) else "n = 0. "
    return style.caption(ax, f"{none}Line: 95% interval, clustered by persona and prompt.")


def ranks(table: pd.DataFrame, title: str) -> Axes:
    """Draw the ranking by each way of judging: ranks, and the rates behind them.

    Args:
        table: result of `rankings.standings`, or several of them together; a line separates those with different
            references.
        title: of the figure.
    """
    ways = list(dict.fromkeys(zip(table["reference"], table["way"], strict=True)))
    names = list(dict.fromkeys(table["group"]))
    wide = max(len(names), 2)
    tall = max(len(ways), 1)
    ax = style.axes(2.8 + 0.86 * wide, 2.1 + 0.4 * tall)
    place = {way: i for i, way in enumerate(ways)}
    last = max(table["rank"].max() if table["rank"].notna().any() else 1, 2)
    shades = sns.light_palette("C0", as_cmap=True, reverse=True)
    for row in table.itertuples():
        x = names.index(row.group)
        y = place[row.reference, row.way]
        depth = (row.rank - 1) / (last - 1)  # 0 for the first rank, 1 for the last
        ranked = pd.notna(row.rank)
        face = shades(depth * 0.9) if ranked else "white"
        ink = "white" if ranked and depth < 0.35 else "0.15"
        text = f"{row.rank:.0f}  ({row.rate:.0%})" if ranked else "not ranked"
        ax.add_patch(Rectangle((x - 0.48, y - 0.45), 0.96, 0.9, facecolor=face, edgecolor="0.85", linewidth=0.6))
        ax.text(x, y, text, ha="center", va="center", fontsize=9, color=ink)
    for i, (reference, way) in enumerate(ways):
        if way == reference and i:
            ax.axhline(i - 0.5, color="0.3", linewidth=1.2)
    ax.set_yticks(range(len(ways)), [style.words(way) for _, way in ways])
    for label, (reference, way) in zip(ax.get_yticklabels(), ways, strict=True):
        label.set_fontweight("bold" if way == reference else "normal")
    ax.set_xticks(range(len(names)), [fill(_short(name), 12) for name in names])
    ax.xaxis.tick_top()
    ax.set(xlim=(-0.5, wide - 0.5), ylim=(tall - 0.5, -0.5))
    ax.grid(visible=False)
    style.title(ax, title)
    style.blank(ax, table["rate"])
    text = "Rank, with its rate in brackets; n: as in each audit's own figure. "
    return style.caption(ax, text + "Bold: the reference of the rows below it.")


def _short(name: object) -> str:
    """Return a name, without its middle if it is long: its beginning and end tell models apart."""
    text = style.words(name)
    half = LONGEST // 2
    return style.plain(text if len(text) <= LONGEST else f"{text[:half]}…{text[-half:]}")
