"""Draw the figures that most notebooks share: rates and paired differences, with their intervals."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from . import style

Beside = tuple[str, str, pd.DataFrame]  # the name of the score, of another score, and that one's table
SHIFT = 0.15  # rows between the marks of two scores


def rates(
    table: pd.DataFrame,
    title: str,
    axis: str,
    mark: float | None = None,
    beside: Beside | None = None,
    paper: Mapping[str, float] | None = None,
) -> Axes:
    """Draw rates with their 95% intervals, a row per group (Fig. 10 of the paper, with the uncertainty it leaves out).

    Args:
        table: result of `intervals.rates`: an index of groups, columns `n`, `failed`, `rate`, `low`, `high`.
        title: of the figure.
        axis: what the rate is a share of.
        mark: a rate to compare with, such as chance or the paper's.
        beside: another score of the same groups, drawn below each rate: the names of both scores, and its table.
        paper: the paper's rates of some groups, drawn as bars; the figure's caption says so.
    """
    counts = [f"n = {r.n:,.0f}, {r.failed:,.0f} unscored" for r in table.itertuples()]
    labels = [style.label(g, n) for g, n in zip(table.index, _with_other_n(counts, table, beside), strict=True)]
    ax = _intervals(labels, table, "rate", title, axis, beside, (-0.02, 1.02))
    if mark is not None:
        ax.axvline(mark, color="0.3", linewidth=1)
    style.percent(ax.xaxis)
    text = "Point: rate. Line: 95% interval, clustered by persona and prompt."
    text += " No line: interval not estimable." if table["low"].isna().any() else ""
    shown = {row: paper[str(name)] for row, name in enumerate(table.index) if paper and str(name) in paper}
    if shown:
        ax.plot(list(shown.values()), list(shown), "|", color="0.2", markersize=18, markeredgewidth=2)
        text += f" Black bar: the paper's rate ({', '.join(f'{rate:.0%}' for rate in shown.values())})."
    return style.caption(ax, text)


def differences(table: pd.DataFrame, title: str, axis: str, beside: Beside | None = None) -> Axes:
    """Draw paired differences with their 95% intervals, a row per pair of groups, and the line of no difference.

    Args:
        table: result of `intervals.paired_differences`, or of `bench.contrasts`, whose primary contrasts are bold.
        title: of the figure.
        axis: what is compared; what all rows are compared with is named there once.
        beside: as in `rates`, with the same pairs of groups.
    """
    several = "model" in table and table["model"].nunique() > 1
    counts = _with_other_n([f"n = {n:,.0f}" for n in table["n"]], table, beside)
    others = table["subtrahend"].unique()
    alone = len(others) == 1 < len(table)
    labels = [
        style.label(f"{model}{row['minuend']}" + ("" if alone else f" − {row['subtrahend']}"), n)
        for row, n in zip(table.to_dict("records"), counts, strict=True)
        for model in [f"{row['model']}: " if several else ""]
    ]
    axis += f", from {style.words(others[0])}" if alone else ""
    bold = table["primary"].tolist() if "primary" in table else [False] * len(table)
    ax = _intervals(labels, table, "difference", title, axis, beside)
    for label, primary in zip(ax.get_yticklabels() if len(table) else [], bold, strict=True):
        label.set_fontweight("bold" if primary else "normal")
    text = "Point: difference on the same items. Line: 95% interval, clustered by persona and prompt."
    return style.caption(ax, text + " Bold: primary contrasts." * any(bold))


def _with_other_n(counts: list[str], table: pd.DataFrame, beside: Beside | None) -> list[str]:
    """Return the counts of rows, with the n of the score beside where it is another."""
    if beside is None:
        return counts
    others = beside[2]["n"].to_numpy()
    return [
        count if n == other else f"{count}; {beside[1]}: n = {other:,.0f}"
        for count, n, other in zip(counts, table["n"], others, strict=True)
    ]


def shifts(table: pd.DataFrame, title: str) -> Axes:
    """Draw by how much each condition's rate changes, and how many verdicts do, if a judge is asked in another way.

    Args:
        table: result of `judges.audits.shifts`: `way`, `condition`, `n`, `changed`, `difference`, `low`, `high`.
        title: of the figure.
    """
    ways = table.groupby("way", sort=False)[["changed", "n"]].sum()
    labels = [
        f"{style.words(way)}\n({r.changed:,.0f} of n = {r.n:,.0f} verdicts changed)" for way, r in ways.iterrows()
    ]
    conditions = list(table["condition"].unique())
    ax = style.rows(labels, "change of the share kept", tall=0.3 + 0.13 * len(conditions))
    for k, condition in enumerate(conditions):
        own = table[table["condition"] == condition]
        rows = ways.index.get_indexer(own["way"]) + 0.7 * ((k + 0.5) / len(conditions) - 0.5)
        color, mark = f"C{k % 10}", style.MARKS[k % len(style.MARKS)]
        ax.hlines(rows, own["low"], own["high"], color=color, linewidth=2)
        ax.plot(own["difference"], rows, mark, color=color, markersize=6, label=condition)
    style.centred(ax, [table])
    if len(ways):  # the first row names the conditions, at its right end
        for k, condition in enumerate(conditions):
            place, y = ax.get_yaxis_transform(), 0.7 * ((k + 0.5) / len(conditions) - 0.5)
            how: dict[str, Any] = {"transform": place, "va": "center", "fontsize": style.LABEL_PT}
            ax.text(1.01, y, style.plain(style.words(condition)), color=style.ink(f"C{k % 10}"), **how)
    style.title(ax, title)
    style.blank(ax, table["difference"])
    return style.caption(ax, "Line: 95% interval, clustered by persona and prompt. No mark: nothing could be scored.")


def _intervals(
    labels: Sequence[str],
    table: pd.DataFrame,
    value: str,
    title: str,
    axis: str,
    beside: Beside | None,
    limits: tuple[float, float] | None = None,
) -> Axes:
    """Draw a point and its interval per row, the first row on top, and below each one that of another score.

    Without limits the line of no difference is in the middle.
    """
    lines = max((label.count("\n") for label in labels), default=0)  # beyond the first
    ax = style.axes(height=1.5 + max(0.36 if beside is None else 0.5, 0.2 + 0.16 * lines) * max(len(labels), 1))
    series = [("", table, "o", "C0", 0.0)]
    if beside is not None:
        own, other, second = beside
        series = [(own, table, "o", "C0", -SHIFT), (other, second, "D", "C1", SHIFT)]
    for name, drawn, mark, color, shift in series:
        rows = np.arange(len(drawn)) + shift
        ax.hlines(rows, drawn["low"], drawn["high"], color=color, linewidth=2)
        ax.plot(drawn[value], rows, mark, color=color, markersize=8 if beside is None else 6, label=name)
        for row in rows[drawn[value].isna()].tolist():  # an empty row must say why
            place = ax.get_yaxis_transform()
            ax.text(0.02, row, "not estimable", transform=place, va="center", fontsize=8.5, color="0.35")
    ax.set_yticks(range(len(labels)), labels)
    ax.set_ylim(max(1, len(labels)) - 0.5, -0.5)
    ax.set_xlabel(axis)
    if limits is None:
        style.centred(ax, [drawn for _, drawn, *_ in series])
    else:
        ax.set_xlim(limits)
    names = [(name, drawn[value], shift, color) for name, drawn, _, color, shift in series]
    if beside is None or style.named(ax, names):
        style.title(ax, title)
    else:
        style.legend(ax, title)
    style.blank(ax, pd.concat([drawn[value] for _, drawn, *_ in series]) if labels else None)
    ax.grid(axis="y", visible=False)
    return ax
