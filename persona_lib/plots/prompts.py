"""Draw the figures of prompts: the funnel of the filters, the topics, how far judgments depend on the persona."""

from textwrap import shorten

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import StrMethodFormatter

from . import style


def funnel(table: pd.DataFrame, title: str) -> Axes:
    """Draw how many prompts are left after each filter (section 3.2 of the paper).

    Args:
        table: result of `screening.funnel`: an index of steps, columns `kept`, `out` and `reason`.
        title: of the figure.
    """
    ax = style.axes(height=1.4 + 0.34 * len(table))
    rows = range(len(table))
    ax.barh(rows, table["kept"], height=0.6, color="C0")
    ax.barh(rows, table["out"], left=table["kept"], height=0.6, color="0.88")
    for row, step in enumerate(table.itertuples()):
        out = f"   −{step.out:,} {step.reason}" if step.out else ""
        ax.text(step.kept + step.out, row, f" {step.kept:,}{style.plain(out)}", va="center", fontsize=9)
    ax.set_yticks(rows, map(style.plain, table.index))
    ax.invert_yaxis()
    most = max(1, table["kept"].max())
    ax.set_xlim(0, 1.9 * most)  # room for the reasons
    ax.set_xticks([tick for tick in ax.get_xticks() if tick <= most])
    ax.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    style.title(ax, title)
    ax.set_xlabel("prompts")
    ax.grid(visible=False)
    n = f"n = {table['kept'].max():,.0f} prompts" if len(table) else "n = 0"
    return style.caption(ax, f"{n}. Dark: prompts that a step keeps. Light: prompts that it removes, with the reason.")


def topics(table: pd.DataFrame, title: str) -> Axes:
    """Draw the share of each topic that is held out, beside the range that chance gives (Fig. 3 shows its topics).

    Args:
        table: result of `prompts.balance`: an index of topics, columns `n`, `share`, `low`, `high`, `outside`.
        title: of the figure.
    """
    names = [shorten(style.plain(name), 48, placeholder=" …") for name in table.index]
    ax = style.rows([f"{name}  ({n:,})" for name, n in zip(names, table["n"], strict=True)], "share held out", 0.21)
    rows = pd.Series(range(len(table)), table.index)
    ax.barh(rows, table["high"] - table["low"], left=table["low"], height=0.72, color="0.88")
    for color, part in (("C0", table[~table["outside"]]), ("C3", table[table["outside"]])):
        ax.plot(part["share"], rows[part.index], "o", color=color, markersize=6)
    if len(table):
        ax.axvline(table["heldout"].sum() / table["n"].sum(), color="0.3", linewidth=1)
    else:
        style.blank(ax)
    ax.set_xlim(-0.02, 1.02 if table["high"].max() > 0.7 or table["share"].max() > 0.7 else 0.72)
    style.percent(ax.xaxis)
    style.title(ax, title)
    return style.caption(
        ax,
        f"n = {table['n'].sum():,} prompts, each topic's in brackets. Point: share that is held out; line: of all. "
        f"Grey: where 95 of 100 splits by chance put a topic of this size. "
        f"Orange: outside of it ({table['outside'].sum()} of {len(table)}; {table['p_outside'].sum():.1f} expected by "
        "chance).",
    )


def dependence(table: pd.DataFrame, title: str) -> Axes:
    """Draw the share of judgments' variance that is between personas: a point and its interval per prompt, by topic.

    Args:
        table: columns `topic`, `share`, `low`, `high`; rows without a share are counted in the caption only.
        title: of the figure.
    """
    known = table.dropna(subset=["share"])
    order = known.groupby("topic")["share"].median().sort_values(ascending=False).index
    ax = style.axes(height=1.6 + 0.3 * max(1, len(order)))
    place = known["topic"].map({topic: i for i, topic in enumerate(order)}).astype(float)
    # The prompts of a topic are spread over its row.
    by_topic = known.groupby("topic")
    step = by_topic.cumcount() / by_topic["share"].transform("size").clip(2)
    rows = place - 0.35 + 0.7 * step
    ax.hlines(rows, known["low"], known["high"], color="0.6", linewidth=1)
    ax.plot(known["share"], rows, "o", color="C0", markersize=4)
    ax.set_yticks(range(len(order)), map(style.plain, order))
    ax.set_ylim(max(1, len(order)) - 0.5, -0.5)
    ax.set_xlim(-0.02, 1.02)
    style.title(ax, title)
    ax.set_xlabel("share of the variance between personas")
    ax.grid(axis="y", visible=False)
    style.percent(ax.xaxis)
    style.blank(ax, known["share"])
    n = f"n = {len(known)}, {len(table) - len(known)} without a share"
    return style.caption(ax, f"One point per prompt ({n}), with its 95% interval.")
