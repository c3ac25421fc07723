"""Define the look that all figures share, and the pieces they are made of.

Figures have a colour-blind palette, text of 8 pt or more, a title that says the finding, and a caption with n. Title,
axes and caption are also the text for readers who do not see the figure (`TellingFigure.alt`). Where nothing could be
scored, there is no figure but a sentence, which is printed. Sizes are in inches. A page shows up to 8 inches of width
without shrinking the figure.
"""

import io
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from textwrap import fill, wrap
from typing import Any, cast

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from IPython.core.getipython import get_ipython
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from PIL import Image

from . import fonts, told
from .told import TellingFigure

MARKS = "os^vD"  # one per series in a panel; a sixth series gets the first mark again
LABEL_PT = 8.5  # of names beside marks and lines
BLANK = "blank"  # marks the text of a panel that has nothing to show


def page(width: float, height: float, **settings: Any) -> TellingFigure:
    """Return an empty figure in the shared look; `settings` as for `plt.figure`."""
    sns.set_theme(style="whitegrid", palette="colorblind", font_scale=0.9, rc={"axes.titlelocation": "left"})
    figure = plt.figure(figsize=(width, height), FigureClass=TellingFigure, **settings)
    if "inline" in plt.get_backend():  # it shows a cell's figures; pyplot's hook would draw each of them once before
        plt.uninstall_repl_displayhook()
        pictures = cast(Any, get_ipython()).display_formatter.formatters["image/png"]
        pictures.for_type(TellingFigure, lambda one: (_small(pictures.lookup_by_type(Figure)(one)), {"alt": one.alt}))
    return cast(TellingFigure, figure)


def _small(png: str) -> str:
    """Return a PNG (base64) with 256 colours in place of millions, a third of its size: a notebook stays small."""
    drawn = io.BytesIO()
    flat = Image.open(io.BytesIO(b64decode(png))).convert("RGB")
    flat.quantize(256, dither=Image.Dither.NONE).save(drawn, "png", optimize=True)
    return b64encode(drawn.getvalue()).decode()


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
    figure = cast(TellingFigure, ax.figure)
    figure.heading = text
    return plain(fill(text, int(12 * figure.get_figwidth())))


def legend(ax: Axes, text: str, columns: int = 3) -> None:
    """Write title and legend above the figure, where they hide nothing; each label once."""
    handles, labels = ax.get_legend_handles_labels()
    found = dict(zip(labels, handles, strict=True))
    how: dict[str, Any] = {"ncols": columns, "fontsize": 9, "handlelength": 2.6, "columnspacing": 1.4}
    how |= {"alignment": "left", "loc": "outside upper left", "frameon": False, "borderpad": 0}
    ax.figure.legend(list(found.values()), list(map(plain, found)), title=_headed(ax, text), title_fontsize=11, **how)


def named(ax: Axes, series: Sequence[tuple[str, pd.Series, float, str]]) -> bool:
    """Write the names of two series beside their marks in the first row that has both: above the one, below the other.

    Args:
        ax: with a row per value.
        series: name, values by row, distance of the marks from their row, and colour, of each.

    Returns:
        Whether there is such a row; without one a legend has to say what the marks are.
    """
    both = pd.concat([values.reset_index(drop=True) for _, values, _, _ in series], axis=1).notna().all(axis=1)
    if not both.any():
        return False
    row = int(both.to_numpy().argmax())
    low, high = ax.get_xlim()
    for (name, values, shift, color), (dy, va) in zip(series, ((6, "bottom"), (-6, "top")), strict=True):
        x = float(values.iloc[row])
        place = (x - low) / (high - low)
        how: dict[str, Any] = {"ha": "left" if place < 0.35 else "right" if place > 0.65 else "center", "va": va}
        how |= {"textcoords": "offset points", "fontsize": LABEL_PT, "color": ink(color), "annotation_clip": False}
        how["bbox"] = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}  # over the lines behind it
        ax.annotate(plain(name), (x, row + shift), (0, dy), **how)
    return True


def ends(ax: Axes, named: Mapping[str, tuple[float, str]]) -> None:
    """Write each line's name beside its right end, moved where ends lie close; more names make the figure taller.

    Args:
        ax: with its final limits.
        named: name -> where the line ends, and its colour.
    """
    if not named:
        return
    low, high = ax.get_ylim()
    rising = sorted(named.items(), key=lambda end: end[1][0])
    tall = np.array([name.count("\n") + 1 for name, _ in rising]) * 1.25 * LABEL_PT / 72  # inches
    figure = cast(Figure, ax.figure)
    figure.set_figheight(max(figure.get_figheight(), tall.sum() / 0.6))  # title, axis and caption take the rest
    half = tall / 2 * (high - low) / (0.6 * figure.get_figheight())
    at = np.array([value for _, (value, _) in rising])
    for i in range(1, len(at)):
        at[i] = max(at[i], at[i - 1] + half[i - 1] + half[i])
    at[-1] = min(at[-1], max(high, rising[-1][1][0]))
    for i in range(len(at) - 2, -1, -1):
        at[i] = min(at[i], at[i + 1] - half[i] - half[i + 1])
    for (name, (value, color)), y in zip(rising, at, strict=True):
        how: dict[str, Any] = {"transform": ax.get_yaxis_transform(), "clip_on": False}
        ax.plot([1, 1.05], [value, y], linewidth=0.5, color=color, **how)
        ax.text(1.06, y, plain(name), va="center", fontsize=LABEL_PT, color=ink(color), **how)
    ax.set_ylim(low, high)
    ax.spines["right"].set_visible(False)


def ink(color: str) -> tuple[float, ...]:
    """Return a colour of the palette, dark enough for text: at least 4.5:1 on white."""
    return tuple(0.59 * part for part in to_rgb(color))


def caption(ax: Axes, text: str) -> Axes:
    """Write the caption (what is shown, n, the interval) below the whole figure, tell it, and remove the frames.

    A figure that has nothing to show is closed, and its title printed: a notebook then has a sentence in its place.
    """
    figure = cast(TellingFigure, ax.figure)  # we make no subfigures
    for panel in figure.axes:
        sns.despine(ax=panel, left=True)
    figure.alt = told.alt(figure, text)
    text = f"{text} {fonts.cover(figure)}".strip()
    text = fill(text, int(14.5 * figure.get_figwidth()))  # 14.5 letters of 9 pt per inch
    figure.supxlabel(text, fontsize=9, color="0.35", x=0.01, ha="left")
    if is_blank(ax):
        plt.close(figure)
        why = next(one.get_text() for panel in figure.axes for one in panel.texts if one.get_gid() == BLANK)
        print(f"No figure, {why}: {figure.heading.rstrip('.')}.")
    return ax


def is_blank(ax: Axes) -> bool:
    """Return whether a figure has nothing to show in any panel."""
    panels = [panel for panel in ax.figure.axes if panel.get_label() != "<colorbar>"]
    return all(any(text.get_gid() == BLANK for text in panel.texts) for panel in panels)


def percent(*axes: Axis) -> None:
    """Write shares as percentages: 0.125 as 12.5%."""
    for axis in axes:
        axis.set_major_formatter(shares())


def shares() -> FuncFormatter:
    """Return what writes shares as percentages along an axis, or a colour bar."""
    return FuncFormatter(lambda x, _: f"{100 * x:.3g}%".replace("-", "−"))


def points(axis: Axis) -> None:
    """Write differences of shares in percentage points, with their sign: 0.1 as +10; the axis' label says so."""
    axis.set_major_formatter(signed())
    axis.set_label_text(f"{axis.get_label_text()}, in points")


def signed() -> FuncFormatter:
    """Return what writes differences of shares as points along an axis, or a colour bar."""
    return FuncFormatter(lambda x, _: f"{100 * x:+.3g}".replace("-", "−") if abs(x) > 1e-9 else "0")


def centred(ax: Axes, tables: Sequence[pd.DataFrame]) -> None:
    """Draw the line of no difference in the middle, on a scale that holds the tables' differences and intervals."""
    reach = pd.concat([table[["difference", "low", "high"]] for table in tables]).abs().max(axis=None)
    reach = 1.05 if pd.isna(reach) else min(1.05, max(0.1, 1.1 * reach))
    ax.axvline(0, color="0.3", linewidth=1)
    ax.set_xlim(-reach, reach)
    ax.xaxis.set_major_locator(MaxNLocator(5, symmetric=True, steps=[1, 2, 2.5, 5, 10]))
    points(ax.xaxis)


def blank(ax: Axes, values: pd.Series | None = None, text: str | None = None) -> None:
    """Write into a panel that there is nothing to show; with `values`, only if all of them are missing."""
    if values is None or not values.notna().any():
        text = text or ("nothing to show" if values is None else "nothing could be scored")
        ax.text(0.5, 0.5, text, transform=ax.transAxes, ha="center", va="center", color="0.35", gid=BLANK)


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


def span(low: float, high: float) -> str:
    """Return a range of counts as text: '8', or '8 to 1,000'."""
    return f"{low:,.0f}" if low == high else f"{low:,.0f} to {high:,.0f}"
