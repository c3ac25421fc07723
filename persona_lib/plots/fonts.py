"""Draw letters that the figures' font lacks, such as Chinese or Hindi ones, with other fonts of this machine."""

import logging
import unicodedata
import warnings
from functools import cache

from matplotlib import font_manager
from matplotlib.figure import Figure
from matplotlib.ft2font import FT2Font
from matplotlib.text import Text

PLACEHOLDERS = "LastResort"  # matplotlib's font whose letters are boxes
UNDRAWN = ("Cc", "Cf", "Zl", "Zp", "Zs")  # Unicode categories of controls and blanks


def cover(figure: Figure) -> str:
    """Give each text of a figure fonts that have its letters, and say which letters no font has.

    Returns:
        A sentence for the caption; empty if all letters are drawn.
    """
    texts = figure.findobj(Text)
    lacking = {text: letters for text in texts if (letters := _lacking(text))}
    left = set().union(*lacking.values())
    if not left:
        return ""
    logging.getLogger(font_manager.__name__).setLevel(logging.ERROR)  # such fonts often have one weight only
    families = []
    while helpful := [path for path in _fonts() if left & _letters(path)]:
        best = max(helpful, key=lambda path: (len(left & _letters(path)), FT2Font(path).style_name == "Regular"))
        families.append(_family(best))
        left -= _letters(best)
    for text in lacking:
        text.set_fontfamily([*text.get_fontfamily(), *families])
    if not left:
        return ""
    warnings.filterwarnings("ignore", r"Glyph \d+ ", UserWarning)  # we say it ourselves, in a line
    scripts = sorted({unicodedata.name(letter, "unnamed").split()[0].title() for letter in left})
    return (
        f"Boxes stand for letters that no font of this machine has ({', '.join(scripts)}): install one, such as Noto."
    )


def _lacking(text: Text) -> set[str]:
    """Return the letters of a text that its own font lacks."""
    if text.get_text().isascii():
        return set()
    letters = {letter for letter in text.get_text() if unicodedata.category(letter) not in UNDRAWN}
    return letters - _letters(font_manager.findfont(text.get_fontproperties()))


@cache
def _letters(path: str) -> frozenset[str]:
    """Return the letters of a font that can be drawn; none of a font of bitmaps or placeholders."""
    try:
        font = FT2Font(path)
    except (OSError, RuntimeError):
        return frozenset()
    return frozenset(map(chr, font.get_charmap())) if font.scalable else frozenset()


def _fonts() -> list[str]:
    """Return the files of the fonts that are installed now, and of matplotlib's own."""
    known = [entry.fname for entry in font_manager.fontManager.ttflist]
    paths = sorted({*font_manager.findSystemFonts(), *known})
    return [path for path in paths if PLACEHOLDERS not in path]


def _family(path: str) -> str:
    """Return the family of a font's file, known to matplotlib from now on."""
    if all(entry.fname != path for entry in font_manager.fontManager.ttflist):
        font_manager.fontManager.addfont(path)
    return FT2Font(path).family_name
