"""Draw several runs beside each other."""

from textwrap import fill

import pandas as pd
from matplotlib.axes import Axes

from . import style

ACROSS = 3  # panels in a line
LETTERS = 24  # of a label's line


def several(table: pd.DataFrame, title: str, axis: str) -> Axes:
    """Draw each group's rate in every run with its 95% interval, a panel per group and a row per run.

    Args:
        table: `group`, `label` (of the run), `n`, `rate`, `low`, `high`, and `clear`: whether the difference from the
            first label is.
        title: of the figure.
        axis: what the rate is a share of.
    """
    groups, labels = table["group"].unique(), table["label"].unique()
    names = [style.plain(fill(label, LETTERS)) for label in labels]
    lines = -(-len(groups) // ACROSS)
    tall = sum(0.14 + 0.15 * (name.count("\n") + 1) for name in names)
    panels = style.grid(lines, min(ACROSS, len(groups)), 1.5 + lines * (0.45 + tall), sharex=True, sharey=True)
    for spare in panels[len(groups) :]:
        spare.remove()
    for ax, group in zip(panels, groups, strict=False):
        _panel(ax, table[table["group"] == group].set_index("label").reindex(labels))
        ax.set_title(style.plain(style.words(group)), fontsize=9)
    panels[0].set_yticks(range(len(labels)), names)
    panels[0].set_ylim(len(labels) - 0.5, -0.5)
    for ax in panels[max(0, len(groups) - ACROSS) : len(groups)]:
        ax.set_xlabel(axis)
        ax.tick_params(labelbottom=True)
    style.title(panels[0], title)
    scored = table.loc[table["n"] > 0, "n"]
    n = style.span(scored.min(), scored.max()) if len(scored) else "0"
    text = f"n = {n} items per point. Line: 95% interval, clustered by persona and prompt. Square and thin line: the"
    text += (
        " first run. Filled: the paired difference from it is clear, corrected as one family (Holm); hollow: not clear."
    )
    return style.caption(panels[0], text)


def _panel(ax: Axes, rows: pd.DataFrame) -> None:
    """Draw one group's rates, the first run on top."""
    colors = ["0.25", *["C0"] * (len(rows) - 1)]
    ax.axvline(rows["rate"].iloc[0], color="0.6", linewidth=0.8)
    ax.hlines(range(len(rows)), rows["low"], rows["high"], color=colors, linewidth=2)
    for at, (color, row) in enumerate(zip(colors, rows.itertuples(), strict=True)):
        filled = color if row.clear or at == 0 else "white"
        ax.plot(row.rate, at, "s" if at == 0 else "o", color=color, markerfacecolor=filled, markersize=6)
        text = "no rate" if pd.isna(row.rate) else f"{row.rate:.0%}"
        ax.text(1.05, at, text, va="center", fontsize=8.5, color=color if pd.notna(row.rate) else "0.35")
    ax.tick_params(axis="y", labelsize=9)
    ax.set_xlim(-0.03, 1.32)
    ax.set_xticks([0, 0.5, 1])
    style.percent(ax.xaxis)
    ax.grid(axis="y", visible=False)
