"""One function per figure: a tidy table in, the Axes out. Knows no model and no file. Used by every notebook.

All figures share one look, which the modules plots_*.py take from here: a colour-blind palette, text of 8 pt or more, a
caption that says n.
"""

from textwrap import fill, shorten

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, MultipleLocator, StrMethodFormatter


def _axes(width: float = 7.0, height: float = 3.6) -> Axes:
    """Empty Axes in the shared look, sizes in inches; on a page, 8 inches are as wide as can be read unshrunk."""
    sns.set_theme(style="whitegrid", palette="colorblind", font_scale=0.9, rc={"axes.titlelocation": "left"})
    _, ax = plt.subplots(figsize=(width, height), layout="constrained")
    return ax


def _caption(ax: Axes, text: str) -> Axes:
    """Write the caption (what is shown, n, the interval) under the whole figure and drop the frame."""
    sns.despine(ax=ax, left=True)
    text = fill(text, int(14.5 * ax.figure.get_figwidth()))  # letters of 9 pt to an inch
    ax.figure.supxlabel(text, fontsize=9, color="0.35", x=0.01, ha="left")
    return ax


def _title(ax: Axes, title: str) -> None:
    """The title over the whole figure, from its left edge on."""
    ax.figure.suptitle(_plain(title), x=0.01, ha="left", fontsize=11)


def rates(table: pd.DataFrame, title: str, axis: str, mark: float | None = None) -> Axes:
    """Rates with their 95% intervals, a row per group (Fig. 10 of the paper, with the uncertainty it leaves out).

    Args:
        table: as from `intervals.rates`: an index of groups, columns `n`, `failed`, `rate`, `low`, `high`.
        title: of the figure.
        axis: what the rate is a share of.
        mark: a rate to hold them against, such as chance or the paper's.
    """
    labels = [f"{_words(g)}  (n = {r.n:.0f}, {r.failed:.0f} unscored)" for g, r in table.iterrows()]
    ax = _intervals(labels, table["rate"], table["low"], table["high"], title, axis)
    ax.set_xlim(-0.02, 1.02)
    if mark is not None:
        ax.axvline(mark, color="0.3", linewidth=1)
    return _caption(
        ax, "Point: rate. Line: 95% interval, clustered by persona and prompt. No line: no interval can be had."
    )


def differences(table: pd.DataFrame, title: str, axis: str) -> Axes:
    """Paired differences with their 95% intervals, a row per pair of groups, beside the line of no difference.

    Args:
        table: as from `intervals.paired_differences`.
        title: of the figure.
        axis: what the difference is of.
    """
    labels = [f"{_words(r.minuend)} − {_words(r.subtrahend)}  (n = {r.n})" for r in table.itertuples()]
    ax = _intervals(labels, table["difference"], table["low"], table["high"], title, axis)
    ax.axvline(0, color="0.3", linewidth=1)
    ax.set_xlim(-1.05, 1.05)
    ax.xaxis.set_major_locator(MultipleLocator(0.5))
    return _caption(ax, "Point: difference on the same items. Line: 95% interval, clustered by persona and prompt.")


def _intervals(labels: list[str], values: pd.Series, low: pd.Series, high: pd.Series, title: str, axis: str) -> Axes:
    """A point and its interval per row, first row on top."""
    ax = _axes(height=1.5 + 0.36 * len(labels))
    rows = range(len(labels))
    ax.hlines(rows, low, high, color="C0", linewidth=2)
    ax.plot(values, rows, "o", color="C0", markersize=8)
    ax.set_yticks(rows, labels)
    ax.set_ylim(max(1, len(labels)) - 0.5, -0.5)
    for row in np.flatnonzero(values.isna()):  # no row goes without a word
        ax.text(0.02, row, "can't be had", transform=ax.get_yaxis_transform(), va="center", fontsize=9, color="0.35")
    _title(ax, title)
    ax.set_xlabel(axis)
    ax.grid(axis="y", visible=False)
    return ax


def _words(name: object) -> str:
    return str(name).replace("_", " ")


def _plain(text: str) -> str:
    """Text that is drawn as it is: matplotlib would read what stands between dollar signs as a formula."""
    return str(text).replace("$", r"\$")


def funnel(table: pd.DataFrame, title: str) -> Axes:
    """How many prompts are left after each filter (section 3.2 of the paper).

    Args:
        table: as from `screening.funnel`: an index of steps, columns `kept`, `out` and `reason`.
        title: of the figure.
    """
    ax = _axes(height=1.4 + 0.34 * len(table))
    rows = range(len(table))
    ax.barh(rows, table["kept"], height=0.6, color="C0")
    ax.barh(rows, table["out"], left=table["kept"], height=0.6, color="0.88")
    for row, step in enumerate(table.itertuples()):
        out = f"   −{step.out:,} {step.reason}" if step.out else ""
        ax.text(step.kept + step.out, row, f" {step.kept:,}{_plain(out)}", va="center", fontsize=9)
    ax.set_yticks(rows, map(_plain, table.index))
    ax.invert_yaxis()
    ax.set_xlim(0, 1.9 * max(1, table["kept"].max()))  # room for the reasons
    ax.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    _title(ax, title)
    ax.set_xlabel("prompts")
    ax.grid(visible=False)
    n = f"n = {table['kept'].max():,.0f} prompts" if len(table) else "n = 0"
    return _caption(ax, f"{n}. Dark: what a step leaves. Light: what it takes out, and why.")


def topics(table: pd.DataFrame, title: str) -> Axes:
    """How many train and held-out prompts each topic has (Fig. 3 of the paper shows its topics).

    Args:
        table: as from `prompts.balance`: an index of topics, columns `train` and `heldout`.
        title: of the figure.
    """
    table = table.assign(n=table["train"] + table["heldout"]).sort_values("n", ascending=False, kind="stable")
    ax = _axes(height=1.6 + 0.21 * len(table))
    rows = range(len(table))
    ax.barh(rows, table["train"], height=0.72, color="C0")
    ax.barh(rows, table["heldout"], left=table["train"], height=0.72, color="C1")
    ax.set_yticks(rows, [_plain(shorten(str(name), 48, placeholder=" …")) for name in table.index])
    ax.set_ylim(len(table) - 0.5, -0.5)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    _title(ax, title)
    ax.set_xlabel("prompts")
    ax.grid(axis="y", visible=False)
    train, heldout = table[["train", "heldout"]].sum()
    return _caption(
        ax, f"Blue, left: {train:,} train prompts. Orange, right: {heldout:,} held out. {len(table)} topics."
    )


def dependence(table: pd.DataFrame, title: str) -> Axes:
    """The share of judgments' variance between personas: a point and its interval per prompt, by topic.

    Args:
        table: columns `topic`, `share`, `low`, `high`; rows without a share are counted in the caption only.
        title: of the figure.
    """
    known = table.dropna(subset=["share"])
    order = known.groupby("topic")["share"].median().sort_values(ascending=False).index
    ax = _axes(height=1.6 + 0.3 * max(1, len(order)))
    place = known["topic"].map({topic: i for i, topic in enumerate(order)}).astype(float)
    step = known.groupby("topic").cumcount() / known.groupby("topic")["share"].transform("size").clip(2)
    rows = place - 0.35 + 0.7 * step
    ax.hlines(rows, known["low"], known["high"], color="0.6", linewidth=1)
    ax.plot(known["share"], rows, "o", color="C0", markersize=4)
    ax.set_yticks(range(len(order)), map(_plain, order))
    ax.set_ylim(max(1, len(order)) - 0.5, -0.5)
    ax.set_xlim(-0.02, 1.02)
    _title(ax, title)
    ax.set_xlabel("share of the variance between personas")
    ax.grid(axis="y", visible=False)
    if known.empty:
        ax.text(0.5, 0, "no judgments", ha="center", va="center", color="0.35")
    return _caption(
        ax, f"A point per prompt (n = {len(known)}, {len(table) - len(known)} without a share), with its 95% interval."
    )
