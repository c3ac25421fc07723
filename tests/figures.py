"""What can be wrong with a figure, whatever it shows.

Text too small, cut off or hidden, no n, colours of its own, shares that are no percentages, ids in place of names, no
text for readers who do not see it.
"""

import inspect
import json
import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.collections import Collection
from matplotlib.colors import to_rgb
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.text import Text

from persona_lib.plots import style

SMALLEST_PT, WIDEST_IN = 8, 8  # wider ones are shrunk on a page, and their text with them
N = re.compile(r"\bn = |\bn: |\d\s(people|persona|prompt|pair|answer|topic|real people|groups)|no model asked")
SHARE = re.compile(r"share|accuracy|probability|rate\b")  # what is written in percent, or as a difference in points
ID = re.compile(r"\b(?=[a-f]*\d)(?=\d*[a-f])[0-9a-f]{6,}\b")  # a hash, or its beginning
MAPS = ("rocket_r", "cividis", "RdBu_r")  # all told apart with any kind of colour vision


def functions(module: ModuleType) -> set[str]:
    """The names of a module's functions that draw a figure."""
    found = inspect.getmembers(module, inspect.isfunction)
    own = [(name, f) for name, f in found if f.__module__ == module.__name__ and not name.startswith("_")]
    return {name for name, f in own if inspect.signature(f).return_annotation is Axes}


def texts(ax: Axes) -> list[Text]:
    """All texts that a reader sees; drawing it shows that it can be drawn."""
    ax.figure.canvas.draw()
    hidden = set()  # labels of ticks beyond the axes, which matplotlib keeps but does not draw
    for axis in (axis for panel in ax.figure.axes for axis in (panel.xaxis, panel.yaxis)):
        low, high = sorted(axis.get_view_interval())
        outside = [t for t in axis.get_major_ticks() if not low - 1e-9 <= t.get_loc() <= high + 1e-9]
        hidden |= {label for t in outside for label in (t.label1, t.label2)}
    return [t for t in ax.figure.findobj(Text) if t.get_text().strip() and t.get_visible() and t not in hidden]


def said(ax: Axes) -> str:
    """All that a figure says, and close it."""
    shown = " | ".join(t.get_text() for t in texts(ax))
    plt.close(ax.figure)
    return shown


def faults(figure: Callable[[], Axes]) -> list[str]:
    """What is wrong with a figure's texts, its caption and its colours; one with nothing to show is not shown."""
    ax = figure()
    if style.is_blank(ax):
        return [] if not plt.fignum_exists(ax.figure.number) else ["blank, but shown"]
    shown = [(t.get_text(), t.get_fontsize(), t.get_window_extent()) for t in texts(ax)]
    rotated = [t.get_rotation() % 90 > 0 for t in texts(ax)]
    width, height = ax.figure.canvas.get_width_height()
    found = [f"{size:.1f} pt: {text}" for text, size, _ in shown if size < SMALLEST_PT]
    found += [f"{wide:.1f} inches wide"] if (wide := ax.figure.get_figwidth()) > WIDEST_IN else []
    found += [f"cut off: {t}" for t, _, b in shown if min(b.x0, b.y0, width - b.x1, height - b.y1) < -1]
    for i, (text, _, box) in enumerate(shown):
        if rotated[i]:
            continue  # its box is larger than the text
        found += [
            f"{text} hides {other}"
            for (other, _, their), r in zip(shown[:i], rotated, strict=False)
            if not r and box.padded(-1).overlaps(their.padded(-1))
        ]
    found += [] if any(N.search(text) for text, *_ in shown) else ["no n"]
    found += [f"an id: {text}" for text, *_ in shown if ID.search(text)]
    found += [f"no percent: {label}" for label in _plain_shares(ax)]
    title, alt = ax.figure.heading, ax.figure.alt
    found += [] if title and alt.startswith(title) and N.search(alt) and len(alt) > len(title) + 20 else [f"alt: {alt}"]
    found += [f"colour {color}" for color in sorted(_colors(ax) - _allowed())]
    plt.close(ax.figure)
    return found


def _plain_shares(ax: Axes) -> list[str]:
    """The labels of axes of shares whose numbers are neither percentages nor points."""
    found = []
    for axis in (axis for panel in ax.figure.axes for axis in (panel.xaxis, panel.yaxis)):
        label = axis.get_label_text()
        ticks = [tick.get_text() for tick in axis.get_ticklabels() if re.fullmatch(r"[−+]?[\d.]+%?", tick.get_text())]
        if SHARE.search(label) and "kappa" not in label and "in points" not in label:
            found += [label] if any(not tick.endswith("%") for tick in ticks) else []
    return found


def written(run: Path) -> dict[Path, list[str]]:
    """What is wrong with each figure that a run wrote as SVG, whose texts are paths and comments."""
    found = {path: [] for path in run.glob("*/figures/*.svg")}
    for path, wrong in found.items():
        svg = path.read_text("utf-8")
        sizes = [100 * float(scale) for scale in re.findall(r"scale\(([\d.]+) -[\d.]+\)", svg)]
        wrong += [f"{size:.1f} pt" for size in sizes if size < SMALLEST_PT] if sizes else ["no text"]
        shown = re.findall(r"<!-- (.*?) -->", svg, re.DOTALL)
        wrong += [] if any(N.search(text) for text in shown) else ["no n"]
        wrong += [f"an id: {text}" for text in shown if ID.search(text)]
    for record in run.glob("*/record.json"):
        told = json.loads(record.read_text("utf-8"))["alts"]
        for name in json.loads(record.read_text("utf-8"))["figures"]:
            title = told[name].partition(". ")[0]
            wrong = found[record.parent / "figures" / f"{name}.svg"]
            wrong += [] if re.search(r"\d|unknown|not estimable", title) else [f"no finding: {title}"]
    return found


def _colors(ax: Axes) -> set[tuple[float, ...]]:
    """Colours of lines, bars, points and cells, without their opacity; greys are left out."""
    drawn = []
    for artist in ax.figure.findobj(lambda a: isinstance(a, Line2D | Patch | Collection)):
        if isinstance(artist, Line2D):
            drawn += [artist.get_color(), artist.get_markerfacecolor(), artist.get_markeredgecolor()]
        elif isinstance(artist, Patch):
            drawn += [artist.get_facecolor(), artist.get_edgecolor()]
        else:
            drawn += [*artist.get_facecolor(), *artist.get_edgecolor()]
    rounded = {_round(color) for color in drawn if not (isinstance(color, str) and color == "none")}
    return {color for color in rounded if max(color) - min(color) > 0.02}


def _allowed() -> set[tuple[float, ...]]:
    """The colours of the palette, its tints for ranks, and those of the maps."""
    maps = [matplotlib.colormaps[name] for name in MAPS]
    maps.append(sns.light_palette(sns.color_palette("colorblind")[0], as_cmap=True, reverse=True))
    shades = [color for shown in maps for color in shown(np.arange(shown.N))]
    return {_round(color) for color in [*sns.color_palette("colorblind"), *shades]}


def _round(color) -> tuple[float, ...]:
    return tuple(np.round(to_rgb(color), 3).tolist())
