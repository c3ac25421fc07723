"""Draw the figures of the benchmark: attributes left out, attributes dropped by summaries, pass@k.

A table without a value gives a figure that says so.
"""

from collections.abc import Sequence
from textwrap import fill
from typing import cast

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MultipleLocator, NullLocator

from . import style

PLACEBO = "placebo"  # the row of `leave_one_out` that others are compared with
LETTERS = 22  # of a line of a curve's name
MANY = 15  # attributes; more have lower rows
_DASHES = {"pass@k": "-", "pass^k": (0, (4, 2))}


def influence(pairs: pd.DataFrame, summed: pd.DataFrame, title: str) -> Axes:
    """Draw the agreement of annotators who differ by one attribute, as a distribution over people (paper, Fig. 5).

    Args:
        pairs: result of `leave_one_out.influence`.
        summed: result of `leave_one_out.by_attribute`; its order is the figure's.
        title: of the figure.
    """
    labels = [f"{a}  (n = {r.people:,.0f}, {r.undefined:,.0f} undefined)" for a, r in summed.iterrows()]
    ax = style.rows(labels, "agreement: kappa, and share of equal choices", *_rows_of(summed))
    rows = pd.Series(range(len(summed)), index=summed.index)
    # People with nearly the same kappa share a point.
    seen = pairs.dropna(subset="kappa")
    seen = seen.assign(kappa=(seen["kappa"] * 20).round() / 20)
    seen = seen.value_counts(["attribute", "kappa"]).reset_index()
    ax.scatter(seen["kappa"], seen["attribute"].map(rows), s=18 * seen["count"], color="0.8", label="kappa of people")
    ax.hlines(rows, summed["low"], summed["high"], color="C0", linewidth=2)
    ax.plot(summed["kappa"], rows, "o", color="C0", markersize=6, label="mean kappa")
    ax.hlines(rows, summed["raw_low"], summed["raw_high"], color="C1", linewidth=2)
    ax.plot(summed["raw"], rows, "D", color="C1", markersize=8, fillstyle="none", label="raw agreement")
    if PLACEBO in rows:
        ax.axvline(summed["raw"][PLACEBO], color="C1", linewidth=1, linestyle=(0, (4, 2)), label="the placebo's")
        ax.get_yticklabels()[rows[PLACEBO]].set_fontweight("bold")
    ax.axvline(0, color="0.3", linewidth=1)
    lowest = min(pairs["kappa"].min(), summed["low"].min())  # missing without any kappa
    ax.set_xlim(max(-1.1, pd.Series([-0.1, lowest - 0.1]).min()), 1.1)
    ax.xaxis.set_major_locator(MultipleLocator(0.5))
    style.legend(ax, title, columns=4)
    style.blank(ax, summed["raw"])
    text = "n: people. Grey: their kappas; a larger area means more people. Lines: 95% intervals of the means. "
    return style.caption(
        ax, text + "Undefined: both annotators always chose one and the same option, or had no item in common."
    )


def changes(table: pd.DataFrame, title: str) -> Axes:
    """Draw how far one more line moves the probability of a choice, and how often its own revision is preferred.

    Args:
        table: result of `leave_one_out.changes`; its order is the figure's.
        title: of the figure.
    """
    table = table.astype(dict.fromkeys(("change", "low", "high", "own", "own_low", "own_high", "p_holm"), float))
    tall, _ = _rows_of(table)
    left, right = style.grid(1, 2, 1.9 + tall * max(len(table), 1), sharey=True)
    cast(ConstrainedLayoutEngine, left.figure.get_layout_engine()).set(wspace=0.06)  # between the numbers of both axes
    rows = pd.Series(range(len(table)), table.index, dtype=int)
    left.set_yticks(rows, [f"{a}  (n = {r.n:,.0f}, {r.own_n:,.0f})" for a, r in table.iterrows()])
    left.set_ylim(max(len(table), 1) - 0.5, -0.5)
    left.hlines(rows, table["low"], table["high"], color="C0", linewidth=2)
    left.plot(table["change"], rows, "o", color="C0", markersize=7, markerfacecolor="white", label="not significant")
    clear = table["change"].where(table["p_holm"] < 0.05)
    left.plot(clear, rows, "o", color="C0", markersize=7, label="more than the placebo: p < 0.05 after Holm")
    right.hlines(rows, table["own_low"], table["own_high"], color="C2", linewidth=2)
    right.plot(table["own"], rows, "s", color="C2", markersize=5)
    for ax in (left, right):
        style.percent(ax.xaxis)
        ax.grid(axis="y", visible=False)
    if PLACEBO in rows:
        placebo = float(table["change"][PLACEBO])
        left.axvline(placebo, color="C1", linewidth=1.5, linestyle=(0, (4, 2)), label="the placebo's")
        left.get_yticklabels()[rows[PLACEBO]].set_fontweight("bold")
    right.axvline(0.5, color="0.3", linewidth=1)
    left.set_xlim(0, max(0.1, 1.1 * table[["change", "high"]].max(axis=None)) if table["change"].notna().any() else 1)
    right.set_xlim(-0.03, 1.03)
    left.set_xlabel("mean change of\na choice's probability")
    right.set_xlabel("choices for the\nrevision made with it")
    style.legend(left, title, columns=3)
    style.blank(left, table["change"])
    text = "n: pairs of answers (left), and choices between the two revisions by the annotator who is told it (right). "
    return style.caption(left, text + "Lines: 95% intervals, clustered by persona and prompt.")


def _rows_of(table: pd.DataFrame) -> tuple[float, float]:
    """Return the height of a row and the width of a figure, in inches: dozens of attributes must fit a page."""
    return (0.25, 8.0) if len(table) > MANY else (0.3, 7.0)


def losses(table: pd.DataFrame, title: str) -> Axes:
    """Draw how hiding an attribute from the writer changes the score, and the line of no difference.

    Args:
        table: result of `leave_one_out.losses`.
        title: of the figure.
    """
    labels = [f"{r.hidden}  (n = {r.n:,.0f}, {r.failed:,.0f} unscored)" for r in table.itertuples()]
    ax = style.rows(labels, "change of the share kept when it is hidden", *_rows_of(table))
    rows = range(len(table))
    clear = table["p_holm"] < 0.05
    if PLACEBO in table["hidden"].to_numpy():
        place = table["hidden"].tolist().index(PLACEBO)
        ax.get_yticklabels()[place].set_fontweight("bold")
    ax.hlines(rows, table["low"], table["high"], color="C0", linewidth=2)
    ax.plot(table["difference"], rows, "o", color="C0", markersize=8, markerfacecolor="white", label="not significant")
    ax.plot(table["difference"].where(clear), rows, "o", color="C0", markersize=8, label="p < 0.05 after Holm")
    style.centred(ax, [table])
    style.legend(ax, title)
    style.blank(ax, table["difference"])
    return style.caption(
        ax,
        "Point: difference on the same items. Line: 95% interval, clustered by persona and prompt. Placebo: a line "
        "that says nothing.",
    )


def dropped(table: pd.DataFrame, title: str) -> Axes:
    """Draw how often a summary drops each attribute, by the judge and by the lexical match (Fig. 11 of the paper).

    Args:
        table: result of `summaries.dropped`; its order is the figure's.
        title: of the figure.
    """
    models = list(table["model"].unique())
    names = list(table["attribute"].unique())
    n = table.groupby("attribute", sort=False)["n"].agg(["min", "max"])
    labels = [f"{attribute}  (n = {style.span(r['min'], r['max'])})" for attribute, r in n.iterrows()]
    ax = style.rows(labels, "share of summaries that drop the attribute", 0.13 + 0.1 * len(models))
    for i, model in enumerate(models):
        own = table[table["model"] == model].set_index("attribute").reindex(names)
        rows = pd.Series(range(len(names))) + (i - (len(models) - 1) / 2) * 0.6 / len(models)
        ax.hlines(rows, own["low"], own["high"], color=f"C{i}", linewidth=1.5)
        ax.plot(own["rate"], rows, "o", color=f"C{i}", markersize=5, label=f"{model}: judge")
        # Large enough to show around a judge's point in the same place.
        label = f"{model}: lexical match"
        ax.plot(own["lexical"], rows, "D", color=f"C{i}", markersize=8, fillstyle="none", label=label)
    ax.set_xlim(-0.03, 1.03)
    style.percent(ax.xaxis)
    style.legend(ax, title, columns=2)
    style.blank(ax, table["rate"])
    text = (
        "n: summaries judged, of people who have the attribute. Line: 95% interval of the judge's rate, clustered by "
    )
    return style.caption(
        ax, text + "persona and prompt. Lexical match: the summary has no word of the value and no cue word for it."
    )


def pass_curves(table: pd.DataFrame, by: Sequence[str], title: str) -> Axes:
    """Draw pass@k and pass^k against k with their intervals, a colour per group (Fig. 12 of the paper).

    Args:
        table: result of `passk.curves`.
        by: columns of the groups.
        title: of the figure.
    """
    ax = _curve_axes(table, "share of items")
    names = pd.Series([", ".join(map(str, row)).replace("_", " ") for row in table[[*by]].to_numpy()], table.index)
    groups = names.unique()
    many = len(groups) > 1
    ends = {}
    for i, group in enumerate(groups):
        for j, (measure, dash) in enumerate(_DASHES.items()):
            own = table[(names == group) & (table["measure"] == measure)].dropna(subset="rate")
            # Points of one k stand side by side, or their intervals would hide each other.
            x = own["k"] * 2 ** (0.07 * (2 * i + j - len(groups) + 0.5))
            color = f"C{i}" if many else f"C{j}"
            mark = style.MARKS[j]
            ax.plot(x, own["rate"], marker=mark, markersize=6, color=color, linestyle=dash, label=f"{measure}, {group}")
            ax.vlines(x, own["low"], own["high"], color=color, linewidth=1.5)
            if len(own):
                ends[fill(f"{measure}, {group}", LETTERS)] = (float(own["rate"].iloc[-1]), color)
    style.ends(ax, ends)
    style.title(ax, title)
    n = table.groupby("k")["n"].min()
    items = f"{n.max()}" if n.nunique() == 1 else ", ".join(f"{count} at k = {k}" for k, count in n.items())
    items += " item" if items == "1" else " items"
    style.blank(ax, table["rate"])
    text = f"pass@k: at least one of k answers would be kept; pass^k: all of them. n = {items}. "
    return style.caption(ax, text + "Line through a point: 95% interval, clustered by persona and prompt.")


def judged_curves(table: pd.DataFrame, title: str, errors: str) -> Axes:
    """Draw the true pass@k of models of known quality, and what a judge with given error rates would report.

    Args:
        table: result of `judged.known_truths`.
        title: of the figure.
        errors: the judge's error rates in words, for the caption.
    """
    ax = _curve_axes(table, "pass@k")
    ends = {}
    for i, (share, own) in enumerate(table.groupby("share")):
        label = f"{share:.0%} of answers pass"
        ends[f"{label}:\ntruth"] = (float(own["true"].iloc[-1]), f"C{i}")
        ends[f"{label}:\nas reported"] = (float(own["reported"].iloc[-1]), f"C{i}")
        ax.plot(own["k"], own["true"], color=f"C{i}", marker="o", markersize=5, label=f"{label}: truth")
        ax.plot(own["k"], own["reported"], color=f"C{i}", linestyle=(0, (4, 2)), marker="s", markersize=5)
        ax.fill_between(own["k"], own["true"], own["reported"], color=f"C{i}", alpha=0.12)
    style.ends(ax, ends)
    style.title(ax, title)
    return style.caption(ax, f"Computed, no model asked. Answers to an item are independent of each other; {errors}.")


def _curve_axes(table: pd.DataFrame, axis: str) -> Axes:
    """Return Axes of shares against k on a logarithmic scale."""
    ax = style.axes(height=4.2)
    ks = sorted(table["k"].unique())
    ax.set_xscale("log", base=2)
    ax.set_xticks(ks, [str(k) for k in ks])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_ylim(-0.03, 1.03)
    style.percent(ax.yaxis)
    ax.set_xlabel("k, number of samples")
    ax.set_ylabel(axis)
    return ax
