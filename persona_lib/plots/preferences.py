"""Draw preference pairs: how revisions differ from base answers, and pairs side by side as HTML."""

from difflib import SequenceMatcher
from html import escape
from typing import Any, cast

import pandas as pd
import seaborn as sns
from IPython.display import HTML
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, MultipleLocator

from . import style


def revisions(table: pd.DataFrame, title: str) -> Axes:
    """Draw how much longer revisions are than base answers, and how many words they share.

    Args:
        table: columns `length gap` (-1 to 1, above 0 the revision is longer) and `similarity` (0 to 1); missing values
            are counted in the caption.
        title: of the figure.

    Returns:
        The left panel's Axes.
    """
    panels = style.grid(1, 2, 3.4)
    names = {
        "length gap": ("length difference of revision and base answer", (-1, 1)),
        "similarity": ("shared words", (0, 1)),
    }
    for panel, (column, (label, limits)) in zip(panels, names.items(), strict=True):
        sns.histplot(table[column].astype(float), bins=20, binrange=limits, color="C0", edgecolor="white", ax=panel)
        panel.set(xlabel=label, ylabel="pairs" if column == "length gap" else "", xlim=limits)
        panel.xaxis.set_major_locator(MultipleLocator((limits[1] - limits[0]) / 4))
        style.percent(panel.xaxis)
        panel.grid(axis="x", visible=False)
        cast(MaxNLocator, panel.yaxis.get_major_locator()).set_params(integer=True)
    sns.despine(ax=panels[1], left=True)
    panels[0].axvline(0, color="0.3", linewidth=1)
    style.title(panels[0], title)
    known = table["similarity"].notna().sum()
    n = f"n = {known} pairs, {len(table) - known} failed"
    text = "Left: as a share of the longer text; above 0 the revision is longer."
    return style.caption(panels[0], f"{n}. {text}")


def readings(table: pd.DataFrame, title: str, paper: float, base: str) -> Axes:
    """Draw how often the revision is preferred to each rival, counted in several ways; a panel for each rival.

    Args:
        table: result of `verification.readings`: an index of `comparison` and `reading`, columns `n`, `failed`, `rate`,
            `low`, `high`.
        title: of the figure.
        paper: the paper's share, drawn in the panel of `base` alone.
        base: the comparison that the paper has.

    Returns:
        The first panel's Axes.
    """
    rivals = list(table.index.unique("comparison"))
    panels = style.grid(1, max(1, len(rivals)), 3.3, sharey=True)
    for panel, rival in zip(panels, rivals, strict=False):
        part = table.loc[rival]
        rows = range(len(part))
        panel.axvline(0.5, color="0.3", linewidth=1)
        if rival == base:
            panel.axvline(paper, color="0.3", linewidth=1, linestyle="--")
        panel.hlines(rows, part["low"], part["high"], color="C0", linewidth=2)
        panel.plot(part["rate"], rows, "o", color="C0", markersize=7)
        for row, rate in enumerate(part["rate"]):
            known = f"{rate:.0%}" if rate == rate else "not estimable"
            look: dict[str, Any] = {"textcoords": "offset points", "ha": "center", "fontsize": 9}
            look["bbox"] = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}  # over the lines behind it
            panel.annotate(known, (rate if rate == rate else 0.5, row), (0, 8), **look)
        panel.set_title(
            f"against {rival}\nn = {part['n'].max():,.0f}, {part['failed'].max():,.0f} unscored", fontsize=9
        )
        panel.set(xlim=(-0.06, 1.06), ylim=(len(part) - 0.5, -0.6), yticks=rows)
        panel.set_yticklabels([style.words(name) for name in part.index])
        panel.xaxis.set_major_locator(MultipleLocator(0.5))
        style.percent(panel.xaxis)
        panel.grid(axis="y", visible=False)
    if not rivals:
        style.blank(panels[0])
    if len(table) and table["rate"].isna().all():
        for panel in panels:
            style.blank(panel, table["rate"])
    style.title(panels[0], title)
    text = (
        "Point: share of pairs, or the mean probability of the revision. Line: 95% interval, clustered by persona and "
    )
    return style.caption(
        panels[0], f"{text}prompt. Solid: one half. Dashed: the paper's {paper:.0%}, of unnamed reading."
    )


def side_by_side(pairs: pd.DataFrame) -> HTML:
    """Show prompts, base answers and revisions side by side (Fig. 4 of the paper), with removed and new words marked.

    Args:
        pairs: columns `prompt`, `rejected`, `critique`, `chosen`; all texts are escaped.
    """
    rows = []
    for pair in pairs.itertuples():
        before, after = _marked(str(pair.rejected).split(), str(pair.chosen).split())
        cells = [escape(str(pair.prompt)), before, escape(str(pair.critique)), after]
        rows.append("".join(map(_cell, cells)))
    heads = "".join(f'<th scope="col">{head}</th>' for head in ("prompt", "base answer", "critique", "revision"))
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    # Dollar signs do not begin formulas here.
    table = '<table class="dataframe tex2jax_ignore mathjax_ignore">'
    return HTML(f"{table}<thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>")


def _cell(content: str) -> str:
    """Return a table cell of HTML, for text in either direction."""
    return f'<td dir="auto" style="vertical-align: top; text-align: start"><bdi>{content}</bdi></td>'


def _marked(before: list[str], after: list[str]) -> tuple[str, str]:
    """Return the words of two texts as HTML: words only in the first struck out, words only in the second marked."""
    left = []
    right = []
    for kind, i, k, j, m in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        one = escape(" ".join(before[i:k]))
        other = escape(" ".join(after[j:m]))
        if kind == "equal":
            left.append(one)
            right.append(other)
        else:
            left.append(f"<del>{one}</del>" if one else "")
            right.append(f"<mark>{other}</mark>" if other else "")
    return " ".join(filter(None, left)), " ".join(filter(None, right))
