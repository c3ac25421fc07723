"""How `make docs` builds the site: Sphinx reads this folder's Markdown (MyST) and loads nothing from outside."""

import tomllib
from pathlib import Path

from pygments.lexers import JsonLexer, TextLexer

_PROJECT = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text("utf-8"))["project"]

project = "PERSONA workbench"
release = _PROJECT["version"]
html_title = f"{project} {release}"
extensions = ["myst_parser"]
html_theme = "furo"
myst_heading_anchors = 4  # links of the form page.md#heading are checked, too
highlight_language = "text"  # an indented block may hold commands, their output or code
html_show_sphinx = False


def setup(app) -> None:
    """Name the lexers of the forms of files that Pygments does not know by that name."""
    app.add_lexer("csv", TextLexer)
    app.add_lexer("jsonl", JsonLexer)
