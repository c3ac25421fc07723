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
html_copy_source = False

# What the theme's HTML lacks for screen readers and for the keyboard, which must reach what scrolls.
ACCESSIBLE = {
    '<p class="caption" role="heading">': '<p class="caption" role="heading" aria-level="2">',
    '<aside class="sidebar-drawer">': '<aside class="sidebar-drawer" aria-label="Pages">',
    '<aside class="toc-drawer">': '<aside class="toc-drawer" aria-label="On this page">',
    '<div class="table-wrapper colwidths-auto docutils container">': (
        '<div class="table-wrapper colwidths-auto docutils container" tabindex="0">'
    ),
    "<pre>": '<pre tabindex="0">',
    '<th class="head"><p></p></th>': '<td class="head"></td>',
}


def accessible(app, exception) -> None:
    """Complete the written pages."""
    for path in Path(app.outdir).glob("*.html") if exception is None else ():
        text = path.read_text("utf-8")
        for lacking, whole in ACCESSIBLE.items():
            text = text.replace(lacking, whole)
        path.write_text(text, "utf-8")


def setup(app) -> None:
    """Name the lexers of forms of files that Pygments knows by other names, and complete pages in the end."""
    app.connect("build-finished", accessible)
    app.add_lexer("csv", TextLexer)
    app.add_lexer("jsonl", JsonLexer)
