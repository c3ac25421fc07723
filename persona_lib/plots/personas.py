"""Draw personas beside real people: margins, distances, pairs of attributes, diversity, drift."""

from textwrap import shorten, wrap
from typing import Any, cast

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator

from ..texts import counted
from . import fonts, style, told

FEWEST = 10  # people in a row of `joint`; with fewer, its shares are mostly noise
DPI = 78  # of large figures in a notebook, whose text stays legible; more would make it larger than 1.5 MB
LONG_DPI = 68  # of the longest
MOST_LEVEL = 6  # columns of `joint` whose names are written level
LETTERS = 31  # per line of a label in `margins`


def margins(table: pd.DataFrame, n: int, title: str, reference: str = "census") -> Axes:
    """Draw the share of every value of every attribute, personas beside the census (Figs. 1, 2 and 13 of the paper).

    Args:
        table: columns `attribute`, `value`, `census` and `personas` (shares, 0 to 1); attributes and values in order.
        n: number of personas, for the intervals.
        title: of the page.
        reference: name of what the column `census` contains.

    Returns:
        The first panel's Axes; its `figure` is the whole page.
    """
    panels = {name: panel.reset_index(drop=True) for name, panel in table.groupby("attribute", sort=False)}
    labels = {name: [_two_lines(value) for value in panel["value"]] for name, panel in panels.items()}
    heights = {name: 0.72 + sum(map(_row, labels[name])) for name in panels}
    columns = _balanced(heights)
    height = 1.1 + max(sum(heights[name] for name in column) for column in columns)
    figure = style.page(8, height, dpi=LONG_DPI)
    figure.text(0.02, 1 - 0.3 / height, title, fontsize=13, weight="bold")
    caption = f"Bar: {reference}. Point: {counted(n, 'persona')}; line: 95% interval of a random sample."
    note = figure.text(0.02, 1 - 0.55 / height, caption, color="0.35", fontsize=9)
    for left, column in zip((0.285, 0.79), columns, strict=True):
        top = height - 1.1
        for name in column:
            tall = heights[name] - 0.72
            ax = figure.add_axes((left, (top - tall) / height, 0.185, tall / height))
            _margin(ax, panels[name], labels[name], n).set_title(name, weight="bold", x=-1.4)
            top -= heights[name]
    if boxes := fonts.cover(figure):
        note.set_text(f"{caption}\n{boxes}")
    figure.heading = title
    figure.alt = told.alt(figure, caption)
    return figure.axes[0]


def _margin(ax: Axes, panel: pd.DataFrame, labels: list[str], n: int) -> Axes:
    """Draw one attribute: a row per value, as tall as its label."""
    tall = pd.Series(map(_row, labels))
    middle = tall.cumsum() - tall / 2
    p = panel["personas"]
    spread = 1.96 * (p * (1 - p) / n) ** 0.5
    ax.barh(middle, panel["census"], height=0.13, color="0.8")
    ax.hlines(middle, (p - spread).clip(0), p + spread, color="C0", linewidth=1.5)
    ax.plot(p, middle, "o", color="C0", markersize=4)
    ax.set_yticks(middle, labels, fontsize=9, linespacing=1.05)
    ax.set_ylim(tall.sum(), 0)
    ax.set_xlim(0)
    style.percent(ax.xaxis)
    ax.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    ax.tick_params(labelsize=9)
    ax.grid(axis="y", visible=False)
    sns.despine(ax=ax, left=True)
    return ax


def _two_lines(label: str) -> str:
    """Return a label in at most two lines."""
    first, *rest = wrap(label, LETTERS)
    return "\n".join([first, shorten(" ".join(rest), LETTERS, placeholder=" …")]) if rest else first


def _row(label: str) -> float:
    """Return the height in inches of a row with this label."""
    return 0.19 + 0.15 * label.count("\n")


def _balanced(heights: dict[str, float]) -> tuple[list[str], list[str]]:
    """Break a sequence of panels into two columns of about the same height."""
    upto = pd.Series(heights).cumsum()
    tallest = upto.where(upto > upto.iloc[-1] / 2, upto.iloc[-1] - upto)
    cut = upto.index.get_loc(tallest.idxmin()) + 1
    return list(upto.index[:cut]), list(upto.index[cut:])


def distances(table: pd.DataFrame, n: int, title: str, reference: str) -> Axes:
    """Draw the distance of each attribute or margin to a reference, for personas and for as many real people.

    Args:
        table: result of `distances.by_attribute` or `margins.by_margin`: index of attributes or margins, columns
            `categories` and the total variation distances `personas`, `real people` (mean) and `95 in 100` (95th
            percentile of samples of real people).
        n: number of personas.
        title: of the figure.
        reference: what the distances are to.
    """
    table = table.sort_values("real people", ascending=False)
    ax = style.axes(height=1.7 + 0.24 * len(table))
    rows = range(len(table))
    ax.hlines(rows, 0, table["95 in 100"], color="0.9", linewidth=7)
    ax.hlines(rows, 0, table["real people"], color="0.7", linewidth=7)
    ax.plot(table["personas"], rows, "o", color="C0", markersize=6)
    ax.set_yticks(rows, [f"{name} ({count})" for name, count in table["categories"].items()])
    ax.set_ylim(len(table) - 0.5, -0.5)
    ax.set_xlim(0)
    style.title(ax, title)
    ax.set_xlabel(f"total variation distance to {reference}")
    style.percent(ax.xaxis)
    ax.grid(axis="y", visible=False)
    real = counted(n, "real person", "real people")
    caption = f"Point: {counted(n, 'persona')}. Bar: {real} drawn at random; dark: mean, light: 95th percentile. "
    caption += "Distance: the share of people who would have to change category. In brackets: number of categories."
    return style.caption(ax, caption)


def pair_distances(table: pd.DataFrame, n: int, title: str) -> Axes:
    """Draw the distance of every pair to the fitted sample: personas below the diagonal, real people above.

    Args:
        table: result of `distances.by_pair`: index `attribute` and `other`, columns `personas` and `real people` (total
            variation distances).
        n: number of personas, and of real people drawn at random.
        title: of the figure.
    """
    both = pd.concat([table["real people"].droplevel(level) for level in (0, 1)])
    names = both.groupby(level=0).mean().sort_values(ascending=False).index
    square = pd.DataFrame(float("nan"), names, names)
    for (first, second), row in table.iterrows():
        square.loc[second, first] = row["personas"]
        square.loc[first, second] = row["real people"]
    ax = style.axes(8, 7.6)
    ax.figure.set_dpi(DPI)
    cast(ConstrainedLayoutEngine, ax.figure.get_layout_engine()).set(
        h_pad=0.1
    )  # inches between the long labels and the caption
    ax.grid(visible=False)
    bar = {"label": "total variation distance to the fitted sample", "shrink": 0.6, "format": style.shares()}
    ax.tick_params(labelsize=9)
    look: dict[str, Any] = {"cmap": "rocket_r", "vmin": 0, "square": True, "linewidths": 0.5, "label": f"n = {n:,}"}
    sns.heatmap(square, xticklabels=names, yticklabels=names, cbar_kws=bar, ax=ax, **look)
    style.title(ax, title)
    ax.set(xlabel="", ylabel="")
    below = f"Below the diagonal: {counted(n, 'persona')}, mean {table['personas'].mean():.1%}."
    above = f"Above: as many real people drawn at random, mean {table['real people'].mean():.1%}."
    return style.caption(ax, f"{below} {above}")


def joint(table: pd.DataFrame, n: int, source: str, title: str) -> Axes:
    """Draw how far the shares of one attribute's values, within each value of another, differ from the reference's.

    Args:
        table: result of `distances.joint`: `value` (rows), `other value` (columns), `reference`, `personas`.
        n: number of personas; rows with fewer than FEWEST expected people are left out.
        source: name of the reference.
        title: of the figure.
    """
    first, second = (table[name].drop_duplicates() for name in ("value", "other value"))
    wide = table.pivot(index="value", columns="other value").reindex(first)
    kept = wide["reference"].sum(axis=1) * n >= FEWEST
    real, drawn = (wide.loc[kept, name].reindex(columns=second) for name in ("reference", "personas"))
    real, drawn = (panel.div(panel.sum(axis=1), axis=0) for panel in (real, drawn))
    letters = 0.075 * second.str.len().clip(upper=34).max()
    ax = style.axes(8, 1.9 + 0.3 * kept.sum() + letters)
    ax.figure.set_dpi(DPI)
    if kept.any():
        apart = drawn - real
        names = [[shorten(label, 34, placeholder=" …") for label in labels] for labels in (real.columns, real.index)]
        reach = max(0.05, apart.abs().max(axis=None))
        looks: dict[str, Any] = {"cmap": "RdBu_r", "vmin": -reach, "vmax": reach, "linewidths": 0.3, "ax": ax}
        looks |= {"annot": 100 * drawn, "fmt": ".0f", "annot_kws": {"fontsize": 8}}
        looks |= {"xticklabels": names[0], "yticklabels": names[1], "label": f"n = {n:,}"}
        bar = {"format": style.signed(), "label": "difference, in points", "shrink": 0.8, "pad": 0.02}
        bar["ticks"] = MaxNLocator(5, symmetric=True, steps=[1, 2, 5, 10])
        sns.heatmap(apart, cbar_kws=bar, **looks)
    else:
        ax.set(xticks=[], yticks=[])
        style.blank(ax, text=f"no group has {FEWEST} expected people")
    ax.set(xlabel="", ylabel="")
    ax.tick_params(labelsize=9)
    ax.tick_params(axis="x", labelrotation=90 if len(second) > MOST_LEVEL else 0)
    ax.tick_params(axis="y", labelrotation=0)
    style.title(ax, title)
    text = f"Each row is a group. Number: share of the row among {counted(n, 'persona')}, in percent. Colour: "
    text += f"personas less the {source}'s share; red is too many, blue too few. {_few(kept)}"
    return style.caption(ax, text.strip())


def _few(kept: pd.Series) -> str:
    """Return how many rows of `joint` are left out, as text."""
    left = (~kept).sum()
    return f"Rows with fewer than {FEWEST} expected people are left out: {left} of {len(kept)}." if left else ""


def diversity(table: pd.DataFrame, n: int, title: str) -> Axes:
    """Draw the probability that two people differ, from one group and from different groups, beside real people.

    Args:
        table: result of `diversity.compare`: `attribute`, `pair`, `personas`, `census`.
        n: number of personas.
        title: of the figure.
    """
    names = list(dict.fromkeys(table["attribute"]))
    ax = style.axes(height=1.7 + 0.36 * len(names))
    for color, (pair, part) in enumerate(table.groupby("pair", sort=False)):
        rows = [names.index(name) + 0.16 * (2 * color - 1) for name in part["attribute"]]
        ax.barh(rows, part["census"], height=0.26, color=f"C{color}", alpha=0.35)
        ax.plot(part["personas"], rows, "o", color=f"C{color}", markersize=5, label=pair)
    ax.set_yticks(range(len(names)), names)
    ax.invert_yaxis()
    ax.set_xlim(0)
    style.percent(ax.xaxis)
    ax.set_xlabel("probability that two people differ in another attribute")
    ax.grid(axis="y", visible=False)
    for i, (pair, part) in enumerate(table.groupby("pair", sort=False)):
        look: dict[str, Any] = {"textcoords": "offset points", "va": "center", "fontsize": style.LABEL_PT}
        place = (float(part["personas"].iloc[0]), 0.16 * (2 * i - 1))
        ax.annotate(f"two people: {pair}", place, (8, 0), color=style.ink(f"C{i}"), **look)
    style.title(ax, title)
    return style.caption(
        ax, f"Bar: real people held out. Point: {counted(n, 'persona')}. Mean over the other census attributes."
    )


def drift(table: pd.DataFrame, title: str) -> Axes:
    """Draw how far each step of the construction moves people from their census core, a panel per measure.

    Args:
        table: result of `drift.drift`.
        title: of the figure.

    Returns:
        The left panel's Axes.
    """
    measures = list(dict.fromkeys(table["measure"]))
    axes = style.grid(1, len(measures), 1.9 + 0.4 * table["step"].nunique(), sharey=True)
    widest = 1.1 * max(0.1, table[["difference", "low", "high"]].abs().max().max())
    ends = {"politics": "further left (−) or right (+)", "tone": "sadder (−) or happier (+)"}
    for side, measure in zip(axes, measures, strict=True):
        own = table[table["measure"] == measure].reset_index(drop=True)
        side.hlines(own.index, own["low"], own["high"], color="C0", linewidth=2)
        side.plot(own["difference"], own.index, "o", color="C0", markersize=8)
        side.axvline(0, color="0.3", linewidth=1)
        side.set_yticks(own.index, [f"{r.step}  (n = {r.n:,.0f}, {r.failed:,.0f} unscored)" for r in own.itertuples()])
        side.set(title=measure, xlabel=ends.get(measure, measure), xlim=(-widest, widest), ylim=(len(own) - 0.5, -0.5))
        side.grid(axis="y", visible=False)
    style.title(axes[0], title)
    sns.despine(axes[0].figure, left=True)
    return style.caption(axes[0], "Point: mean difference from the census core. Line: 95% interval over people.")
