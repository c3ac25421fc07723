"""Style: the look that all figures share, and the pieces they are made of.

A colour-blind palette, text of 8 pt or more, a caption that says n. Sizes are in inches. A page shows up to 8 inches of
width without shrinking the figure.
"""

from textwrap import fill

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes


def axes(width: float = 7.0, height: float = 3.6) -> Axes:
    """Return empty Axes in the shared look."""
    sns.set_theme(style="whitegrid", palette="colorblind", font_scale=0.9, rc={"axes.titlelocation": "left"})
    _, ax = plt.subplots(figsize=(width, height), layout="constrained")
    return ax


def rows(labels: list[str], axis: str, tall: float = 0.3, width: float = 7.0) -> Axes:
    """Return Axes with a labelled row per thing, the first on top; each row is `tall` inches."""
    ax = axes(width, 1.9 + tall * max(len(labels), 1))
    ax.set_yticks(range(len(labels)), labels)
    ax.set_ylim(max(len(labels), 1) - 0.5, -0.5)
    ax.set_xlabel(axis)
    ax.grid(axis="y", visible=False)
    return ax


def panels(n: int, tall: float) -> list[Axes]:
    """Return n panels in rows of two; a single panel is as large as each of several."""
    columns = min(2, max(1, n))
    lines = -(-max(1, n) // columns)
    ax = axes(8.0 if columns == 2 else 5.5, 0.9 + tall * lines)
    figure = ax.figure
    ax.remove()
    all_panels = list(figure.subplots(lines, columns, squeeze=False).ravel())
    for spare in all_panels[max(1, n) :]:
        spare.remove()
    return all_panels[: max(1, n)]


def title(ax: Axes, text: str) -> None:
    """Write the title over the whole figure, from its left edge on."""
    ax.figure.suptitle(plain(text), x=0.01, ha="left", fontsize=11)


def legend(ax: Axes, text: str, columns: int = 3) -> None:
    """Write title and legend over the figure, where they hide nothing; each name once."""
    found = dict(zip(*reversed(ax.get_legend_handles_labels()), strict=True))
    how = {"ncols": columns, "fontsize": 9, "handlelength": 2.6, "columnspacing": 1.4, "alignment": "left"}
    place = {"loc": "outside upper left", "frameon": False, "borderpad": 0}
    ax.figure.legend(found.values(), map(plain, found), title=plain(text), title_fontsize=11, **how, **place)


def caption(ax: Axes, text: str) -> Axes:
    """Write the caption (what is shown, n, the interval) under the whole figure and drop the frames."""
    for panel in ax.figure.axes:
        sns.despine(ax=panel, left=True)
    text = fill(text, int(14.5 * ax.figure.get_figwidth()))  # letters of 9 pt to an inch
    ax.figure.supxlabel(text, fontsize=9, color="0.35", x=0.01, ha="left")
    return ax


def blank(ax: Axes, values: pd.Series | None = None) -> None:
    """Say in the figure that there is nothing to show; with `values`, only if all of them are missing."""
    if values is None or not values.notna().any():
        text = "nothing to show" if values is None else "nothing could be scored"
        ax.text(0.5, 0.5, text, transform=ax.transAxes, ha="center", va="center", color="0.35")


def words(name: object) -> str:
    """Return a name of ours as a reader writes it."""
    return str(name).replace("_", " ")


def plain(text: object) -> str:
    """Return text that is drawn as it is: matplotlib reads what stands between dollar signs as a formula."""
    return str(text).replace("$", r"\$")
