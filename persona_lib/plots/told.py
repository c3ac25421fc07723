"""Tell a figure in words: what it shows, for readers who do not see it, and its values, for those who point at them."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator

MOST = 12  # rows that are named one by one


class Told(Figure):
    """A figure that can be told: `heading` is its title, `alt` says in a few sentences what it shows."""

    heading = ""
    alt = ""


def alt(figure: Told, caption: str) -> str:
    """Return what a figure shows in words: its title, axes, panels and rows with their n, and the caption."""
    panels = [ax for ax in figure.axes if ax.get_label() != "<colorbar>"]
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
    return [_line(label.get_text()) for label in ax.get_yticklabels()]


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
