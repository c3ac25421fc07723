"""Figures of preference pairs: how revisions differ from base answers. A tidy table in, the Axes out, or HTML.

Knows no model and no file. In the look of `plots`. Used by 03_preferences.
"""

from difflib import SequenceMatcher
from html import escape

import pandas as pd
import seaborn as sns
from IPython.display import HTML
from matplotlib.axes import Axes
from matplotlib.ticker import MultipleLocator, PercentFormatter

from . import style


def revisions(table: pd.DataFrame, title: str) -> Axes:
    """How much longer revisions are than base answers, and how many of their words they share.

    Args:
        table: columns `length gap` (-1 to 1, above 0 the revision is longer) and `similarity` (0 to 1); missing values
            are counted in the caption.
        title: of the figure.

    Returns:
        The left panel's Axes.
    """
    ax = style.axes(8, 3.4)
    figure = ax.figure
    ax.remove()
    panels = figure.subplots(1, 2)
    names = {
        "length gap": ("length of the revision less the base answer's", (-1, 1)),
        "similarity": ("shared words", (0, 1)),
    }
    for panel, (column, (label, limits)) in zip(panels, names.items(), strict=True):
        sns.histplot(table[column].astype(float), bins=20, binrange=limits, color="C0", edgecolor="white", ax=panel)
        panel.set(xlabel=label, ylabel="pairs" if column == "length gap" else "", xlim=limits)
        panel.xaxis.set_major_locator(MultipleLocator((limits[1] - limits[0]) / 4))
        panel.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        panel.grid(axis="x", visible=False)
        panel.yaxis.get_major_locator().set_params(integer=True)
    sns.despine(ax=panels[1], left=True)
    panels[0].axvline(0, color="0.3", linewidth=1)
    style.title(panels[0], title)
    known = table["similarity"].notna().sum()
    text = f"n = {known} pairs, {len(table) - known} failed. Left: as a share of the longer one; above 0 it is longer."
    return style.caption(panels[0], text)


def side_by_side(pairs: pd.DataFrame) -> HTML:
    """Prompts, base answers, revisions side by side (Fig. 4 of the paper): what is dropped struck, what is new marked.

    Args:
        pairs: columns `prompt`, `rejected`, `critique`, `chosen`; all texts are escaped, whatever they hold.
    """
    rows = []
    for pair in pairs.itertuples():
        before, after = _marked(str(pair.rejected).split(), str(pair.chosen).split())
        rows.append("".join(map(_cell, [escape(str(pair.prompt)), before, escape(str(pair.critique)), after])))
    heads = "".join(f"<th>{head}</th>" for head in ("prompt", "base answer", "critique", "revision"))
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    # No formula is meant by a dollar sign.
    table = '<table class="dataframe tex2jax_ignore mathjax_ignore">'
    return HTML(f"{table}<thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>")


def _cell(content: str) -> str:
    return f'<td dir="auto" style="vertical-align: top; text-align: start"><bdi>{content}</bdi></td>'


def _marked(before: list[str], after: list[str]) -> tuple[str, str]:
    """Words of two texts as HTML, those that only the first has struck, those that only the second has marked."""
    left, right = [], []
    for kind, i, k, j, m in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        one, other = escape(" ".join(before[i:k])), escape(" ".join(after[j:m]))
        left.append(one if kind == "equal" else f"<del>{one}</del>" if one else "")
        right.append(other if kind == "equal" else f"<mark>{other}</mark>" if other else "")
    return " ".join(filter(None, left)), " ".join(filter(None, right))
