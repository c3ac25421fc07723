"""Tell a figure in words: what it shows, for readers who do not see it, and its values, for those who point at them."""

import re
from itertools import cycle
from typing import Any, cast

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.collections import LineCollection, QuadMesh
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter

MOST = 12  # rows that are named one by one
CELL = "cell"  # the id of a patch that is a cell of a table, whose label is its value in words


class TellingFigure(Figure):
    """A figure that can be told: `heading` is its title, `alt` says in a few sentences what it shows."""

    heading = ""
    alt = ""


def alt(figure: TellingFigure, caption: str) -> str:
    """Return what a figure shows in words: its title, axes, panels and rows with their n, and the caption."""
    panels = _panels(figure)
    axes = [label for ax in figure.axes for label in (ax.get_xlabel(), ax.get_ylabel())]
    parts = [
        figure.heading.rstrip("."),
        _listed("Shown: ", ", ".join(_known(axes))),
        _listed("Panels: ", "; ".join(_known([ax.get_title(loc) for ax in panels for loc in ("left", "center")]))),
        _listed("Rows: ", _some(rows(panels[0]) if panels else [])),
        caption.rstrip("."),
    ]
    return ". ".join(filter(None, parts)) + "."


def rows(ax: Axes) -> list[str]:
    """Return the names of a panel's rows; none if its y axis has numbers."""
    if not isinstance(ax.yaxis.get_major_locator(), FixedLocator):
        return []
    return _labels(ax.yaxis)


def _labels(axis: Axis) -> list[str]:
    """Return the labels of an axis' ticks, also where a panel beside it has them."""
    axis.get_ticklabels()  # writes them
    return [_line(tick.label1.get_text()) for tick in axis.get_major_ticks()]


def values(figure: Figure) -> dict[str, list[str]]:
    """Mark each series of points, heat map and cell in a figure by an id (`gid`); return their values in words, by id.

    A heat map's values have the form and the name of its colour bar, or of the one that the figure has, and its label
    after them, such as its n. One that is drawn as a picture is left out.
    """
    found: dict[str, list[str]] = {}
    for ax in _panels(figure):
        for line in ax.lines:
            points = np.asarray(line.get_xydata(), dtype=float)
            points = points[np.isfinite(points).all(axis=1)]
            marked = line.get_marker() not in ("None", "", " ", None) and len(points)
            if not marked or line.get_transform() != ax.transData:  # the cross of a missing value has no place on x
                continue
            line.set_gid(f"value-{len(found) + 1}")
            found[str(line.get_gid())] = [_value(ax, line, x, y) for x, y in points]
        for mesh in _meshes(ax):
            if not mesh.get_rasterized():
                mesh.set_gid(f"value-{len(found) + 1}")
                found[str(mesh.get_gid())] = _cells(ax, mesh)
        for patch in ax.patches:
            if patch.get_gid() == CELL:
                patch.set_gid(f"value-{len(found) + 1}")
                found[str(patch.get_gid())] = [str(patch.get_label())]
    return found


def _panels(figure: Figure) -> list[Axes]:
    """Return a figure's panels without its colour bars."""
    return [ax for ax in figure.axes if ax.get_label() != "<colorbar>"]


def _meshes(ax: Axes) -> list[QuadMesh]:
    """Return a panel's heat maps."""
    return [drawn for drawn in ax.collections if isinstance(drawn, QuadMesh)]


def _cells(ax: Axes, mesh: QuadMesh) -> list[str]:
    """Return the cells of a heat map in words, row by row: row, column, and value."""
    drawn: np.ndarray = np.ma.filled(np.ma.asarray(mesh.get_array(), dtype=float), np.nan)
    bars = [mesh.colorbar, *(other.colorbar for panel in _panels(cast(Figure, ax.figure)) for other in _meshes(panel))]
    bar = next(bar for bar in bars if bar is not None)
    what = _line(bar.ax.get_ylabel() or bar.ax.get_xlabel())
    after = "" if str(mesh.get_label()).startswith("_") else f" ({mesh.get_label()})"
    axes = (ax.yaxis, ax.xaxis)
    kinds = [_line(axis.get_label_text()) for axis in axes]
    if kinds[0] == kinds[1]:
        kinds = ["", ""]  # people by people need not be called so
    rows, columns = (_places(axis, n, kind) for axis, n, kind in zip(axes, drawn.shape, kinds, strict=True))
    return [
        f"{row} × {column}: {what} " + ("unknown" if np.isnan(value) else _written(bar.long_axis, value) + after)
        for row, values in zip(rows, drawn, strict=True)
        for column, value in zip(columns, values, strict=True)
    ]


def _places(axis: Axis, n: int, what: str) -> list[str]:
    """Return the names of a heat map's n rows or columns, after what they are; those without a tick are numbered."""
    ticks = dict(zip(np.round(axis.get_majorticklocs(), 1), _labels(axis), strict=True))
    return [f"{what} {ticks.get(i + 0.5) or i + 1}".lstrip() for i in range(n)]


def _value(ax: Axes, line: Line2D, x: float, y: float) -> str:
    """Return a point in words: its row and series, its value, and the interval that is drawn through it."""
    names = rows(ax)
    label = str(line.get_label())
    who = [names[int(np.abs(np.asarray(ax.get_yticks()) - y).argmin())]] if names else []
    who += [] if label.startswith("_") or not label else [label.replace("_", " ")]
    along, axis, value = (0, ax.xaxis, x) if names else (1, ax.yaxis, y)
    where = "" if names else f" at {re.split('[,:]', ax.get_xlabel())[0]} = {_written(ax.xaxis, x)}"
    said = f"{', '.join(who)}: " if who else ""
    return f"{_line(said)} {_written(axis, value)}{where}{_interval(ax, line, np.array([x, y]), along)}".strip()


def _interval(ax: Axes, line: Line2D, point: np.ndarray, along: int) -> str:
    """Return the ends of the line of a point's colour that is drawn through it, in words, if there is one."""
    if line.get_fillstyle() == "none":  # a second measure in the same place
        return ""
    axis = (ax.xaxis, ax.yaxis)[along]
    for drawn in ax.collections:
        if not isinstance(drawn, LineCollection):
            continue
        for ends, color in zip(drawn.get_segments(), cycle(cast(Any, drawn.get_color())), strict=False):
            low, high = sorted(np.asarray(ends)[:, along]) if len(ends) == 2 else (np.nan, np.nan)
            there = low <= point[along] <= high and np.allclose(np.asarray(ends)[:, 1 - along], point[1 - along])
            if there and to_rgb(color) == to_rgb(line.get_color()):
                return f" ({interval(_written(axis, low), _written(axis, high))})"
    return ""


def interval(low: str, high: str) -> str:
    """Return the ends of an interval, as they are written, in words: '95% interval 28% to 83%'."""
    return f"95% interval {low} to {high}"


def _written(axis: Axis, value: float) -> str:
    """Return a number as its axis writes it, or the label of the nearest tick, where ticks have names."""
    form = axis.get_major_formatter()
    if not isinstance(form, FuncFormatter):
        return f"{value:.2f}".replace("-", "−")
    ticks = np.asarray(axis.get_majorticklocs(), dtype=float)
    return form(value) or (_labels(axis)[int(np.abs(ticks - value).argmin())] if len(ticks) else "")


def _some(names: list[str]) -> str:
    """Return names as text: all of them, or where there are many, their number and the first and last."""
    few = len(names) <= MOST
    return "; ".join(filter(None, names)) if few else f"{len(names)}, from {names[0]} to {names[-1]}"


def _known(labels: list[str]) -> list[str]:
    """Return labels that say something, each once and in one line."""
    return list(dict.fromkeys(_line(label) for label in labels if label))


def _line(text: str) -> str:
    """Return text in one line, without the signs that keep matplotlib from reading formulas."""
    return " ".join(text.split()).replace(r"\$", "$")


def _listed(what: str, text: str) -> str:
    """Return text after what it is, and nothing if it is empty."""
    return f"{what}{text}" if text else ""
