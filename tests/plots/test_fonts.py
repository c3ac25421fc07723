"""Letters that the figures' font lacks are drawn with another font, or a line says which are missing."""

import warnings

import pandas as pd
import pytest
from figures import said, texts
from matplotlib import font_manager
from matplotlib.ft2font import FT2Font

from persona_lib import plots
from persona_lib.plots import fonts

SCRIPT_G = "ℊ"  # DejaVu Sans lacks it, STIX has it; both come with matplotlib
HINDI, CHINESE = "क्या यह सही है", "城市"
OWN = [entry.fname for entry in font_manager.fontManager.ttflist if "matplotlib" in entry.fname]


def drawn(name: str):
    rates = {"n": 8, "failed": 0, "rate": 0.5, "low": 0.2, "high": 0.8}
    return plots.rates(pd.DataFrame(rates, index=[name]), "A title", "share")


@pytest.fixture
def only_matplotlibs(monkeypatch):
    """No font but matplotlib's own is installed."""
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda: [])
    monkeypatch.setattr(fonts, "_fonts", lambda: [path for path in OWN if fonts.PLACEHOLDERS not in path])


def test_letters_of_another_font_that_is_there_are_drawn_with_it(only_matplotlibs):
    ax = drawn(f"group {SCRIPT_G}")
    label = next(text for text in texts(ax) if SCRIPT_G in text.get_text())
    families = {FT2Font(path).family_name for path in OWN if SCRIPT_G in fonts._letters(path)}
    assert families & set(label.get_fontfamily())
    assert "Boxes" not in said(ax)


@pytest.mark.parametrize(("name", "script"), [(HINDI, "Devanagari"), (CHINESE, "Cjk")])
def test_letters_that_no_font_has_are_named_in_a_line(only_matplotlibs, name, script):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        shown = said(drawn(f"{name} {SCRIPT_G}"))
    assert f"no font of this machine has ({script}): install one" in " ".join(shown.split())


def test_a_font_that_was_installed_after_matplotlib_looked_is_found(monkeypatch):
    path = next(path for path in OWN if path.endswith("STIXGeneral.ttf"))
    kept = [entry for entry in font_manager.fontManager.ttflist if SCRIPT_G not in fonts._letters(entry.fname)]
    monkeypatch.setattr(font_manager.fontManager, "ttflist", kept)
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda: [path])
    assert "Boxes" not in said(drawn(SCRIPT_G))
    assert path in [entry.fname for entry in font_manager.fontManager.ttflist]


def test_a_page_of_margins_says_so_too(only_matplotlibs):
    table = pd.DataFrame({"attribute": "city", "value": [CHINESE, "Rome"], "census": 0.5, "personas": 0.5})
    assert "no font of this machine" in said(plots.personas.margins(table, 10, "A title"))


def test_a_long_name_takes_lines_and_not_the_width_of_the_panel():
    ax = drawn("some-quite-long-model-name-of-a-lab, prose: written for the nearer of the two people")
    ax.figure.canvas.draw()
    assert ax.get_position().width > 0.5
    assert ax.get_yticklabels()[0].get_text().endswith("\n(n = 8, 0 unscored)")
