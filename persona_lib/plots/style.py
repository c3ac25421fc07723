"""Define the look that all figures share, and the pieces they are made of.

Figures have a colour-blind palette, text of 8 pt or more, and a caption with n. Sizes are in inches. A page shows up to
8 inches of width without shrinking the figure.
"""

from collections.abc import Sequence
from textwrap import fill, wrap
from typing import Any, cast

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from . import fonts

MARKS = "os^vD"  # one per series in a panel; a sixth series gets the first mark again


def page(width: float, height: float, **settings: Any) -> Figure:
    """Return an empty figure in the shared look; `settings` as for `plt.figure`."""
    sns.set_theme(style="whitegrid", palette="colorblind", font_scale=0.9, rc={"axes.titlelocation": "left"})
    figure = plt.figure(figsize=(width, height), **settings)
    if "inline" in plt.get_backend():  # it shows a cell's figures; pyplot's hook would draw each of them once before
        plt.uninstall_repl_displayhook()
    return figure


def axes(width: float = 7.0, height: float = 3.6) -> Axes:
    """Return empty Axes in the shared look."""
    return page(width, height, layout="constrained").subplots()


def grid(
    lines: int, columns: int, height: float, width: float = 8.0, sharex: bool = False, sharey: bool = False
) -> list[Axes]:
    """Return the panels of a figure of so many lines and columns, line by line."""
    figure = page(width, height, layout="constrained")
    return list(figure.subplots(lines, columns, squeeze=False, sharex=sharex, sharey=sharey).ravel())


def rows(labels: list[str], axis: str, tall: float = 0.3, width: float = 7.0) -> Axes:
    """Return Axes with a labelled row per label, the first on top; each row is `tall` inches high."""
    ax = axes(width, 1.9 + tall * max(len(labels), 1))
    ax.set_yticks(range(len(labels)), labels)
    ax.set_ylim(max(len(labels), 1) - 0.5, -0.5)
    ax.set_xlabel(axis)
    ax.grid(axis="y", visible=False)
    return ax


def panels(n: int, tall: float) -> list[Axes]:
    """Return n panels in rows of two, each `tall` inches high."""
    columns = min(2, max(1, n))
    lines = -(-max(1, n) // columns)
    all_panels = grid(lines, columns, 0.9 + tall * lines, 8.0 if columns == 2 else 5.5)
    for spare in all_panels[max(1, n) :]:
        spare.remove()
    return all_panels[: max(1, n)]


def title(ax: Axes, text: str) -> None:
    """Write the title above the whole figure, left-aligned, in as many lines as it takes."""
    ax.figure.suptitle(_headed(ax, text), x=0.01, ha="left", fontsize=11)


def _headed(ax: Axes, text: str) -> str:
    """Return a title broken into the lines that the figure's width takes: 12 letters of 11 pt per inch."""
    return plain(fill(text, int(12 * cast(Figure, ax.figure).get_figwidth())))


def legend(ax: Axes, text: str, columns: int = 3) -> None:
    """Write title and legend above the figure, where they hide nothing; each label once."""
    handles, labels = ax.get_legend_handles_labels()
    found = dict(zip(labels, handles, strict=True))
    how: dict[str, Any] = {"ncols": columns, "fontsize": 9, "handlelength": 2.6, "columnspacing": 1.4}
    how |= {"alignment": "left", "loc": "outside upper left", "frameon": False, "borderpad": 0}
    ax.figure.legend(list(found.values()), list(map(plain, found)), title=_headed(ax, text), title_fontsize=11, **how)


def caption(ax: Axes, text: str) -> Axes:
    """Write the caption (what is shown, n, the interval) below the whole figure and remove the frames."""
    figure = cast(Figure, ax.figure)  # we make no subfigures
    for panel in figure.axes:
        sns.despine(ax=panel, left=True)
    text = f"{text} {fonts.cover(figure)}".strip()
    text = fill(text, int(14.5 * figure.get_figwidth()))  # 14.5 letters of 9 pt per inch
    figure.supxlabel(text, fontsize=9, color="0.35", x=0.01, ha="left")
    return ax


def centred(ax: Axes, tables: Sequence[pd.DataFrame]) -> None:
    """Draw the line of no difference in the middle, on a scale that holds the tables' differences and intervals."""
    reach = pd.concat([table[["difference", "low", "high"]] for table in tables]).abs().max(axis=None)
    reach = 1.05 if pd.isna(reach) else min(1.05, max(0.1, 1.1 * reach))
    ax.axvline(0, color="0.3", linewidth=1)
    ax.set_xlim(-reach, reach)
    ax.xaxis.set_major_locator(MaxNLocator(5, symmetric=True, steps=[1, 2, 2.5, 5, 10]))


def blank(ax: Axes, values: pd.Series | None = None) -> None:
    """Write into the figure that there is nothing to show; with `values`, only if all of them are missing."""
    if values is None or not values.notna().any():
        text = "nothing to show" if values is None else "nothing could be scored"
        ax.text(0.5, 0.5, text, transform=ax.transAxes, ha="center", va="center", color="0.35")


def label(name: object, n: str, letters: int = 40) -> str:
    """Return the label of a row: its name, in lines of so many letters at most, and n in brackets.

    A long name takes lines, not the width of the panel beside it.
    """
    lines = wrap(words(name), letters) or [""]
    short = len(lines) == 1 and len(lines[0]) + len(n) <= letters
    return plain(f"{lines[0]}  ({n})" if short else "\n".join([*lines, f"({n})"]))


def words(name: object) -> str:
    """Return a name as a reader writes it: with spaces for underscores."""
    return str(name).replace("_", " ")


def plain(text: object) -> str:
    """Return text that is drawn literally: matplotlib reads text between dollar signs as a formula."""
    return str(text).replace("$", r"\$")


def counted(n: float, one: str, several: str | None = None) -> str:
    """Return a number with its noun: '1 person', '1,586 people'; without `several` the noun takes an s."""
    return f"{n:,.0f} {one if n == 1 else several or f'{one}s'}"


def span(low: float, high: float) -> str:
    """Return a range of numbers as text: '8', or '8 to 10'."""
    return f"{low}" if low == high else f"{low} to {high}"
