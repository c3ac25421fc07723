"""Pictures: a figure in a page, as SVG that says values on hover where it is small, else as PNG."""

import base64
import re
from collections import Counter
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

LARGEST = 300_000  # bytes of an SVG in a page


def html(figures: Path, name: str | None, alt: str, vector: bool = True) -> str:
    """Return a recorded figure as an element of a page; empty if it is not there.

    Args:
        figures: the folder of a notebook's figures.
        name: of the figure.
        alt: what it shows, for readers who do not see it.
        vector: as SVG, if that is not too large.
    """
    svg, png = (figures / f"{name}.{kind}" for kind in ("svg", "png"))
    if vector and svg.is_file() and svg.stat().st_size <= LARGEST:
        return inline(svg.read_text("utf-8"), str(name), alt)
    if not png.is_file():
        return ""
    return f'<img alt="{escape(alt)}" src="data:image/png;base64,{base64.b64encode(png.read_bytes()).decode()}">'


def inline(svg: str, name: str, alt: str) -> str:
    """Return an SVG of matplotlib as an element of a page, with ids that no other figure of the page has."""
    drawn = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", "", svg[svg.index("<svg") :], flags=re.S)
    used = set(re.findall(r'(?:href="#|url\(#)([^")]+)', drawn))
    drawn = re.sub(r' id="([^"]+)"', lambda found: f' id="{name}-{found[1]}"' if found[1] in used else "", drawn)
    drawn = re.sub(r'(href="#|url\(#)', rf"\g<1>{name}-", drawn)
    look = "stroke-linejoin: round; stroke-linecap: butt"  # what the style says of all its elements
    return drawn.replace("<svg ", f'<svg role="img" aria-label="{escape(alt)}" style="{look}" ', 1)


def into(cells: list[Any], figures: Path, alts: Mapping[str, str]) -> None:
    """Give the pictures that cells show the SVG of the one recorded figure with their text, if that is not too large.

    Args:
        cells: of an executed notebook.
        figures: the folder of its figures.
        alts: what each of them shows, by name.
    """
    often = Counter(alts.values())
    names = {alt: name for name, alt in alts.items() if often[alt] == 1}  # of two it is not known which it is
    for cell in cells:
        for output in cell.get("outputs", ()):
            alt = output.get("metadata", {}).get("image/png", {}).get("alt")
            if alt in names and (shown := html(figures, names[alt], alt)).startswith("<svg"):
                output.data["image/svg+xml"] = shown
