"""Write the reference of the package's functions as HTML, over the faces of the wings: part of `make docs`."""

import importlib
import pkgutil
import re
import sys
import tempfile
from pathlib import Path

import pdoc
from pygments.formatters import HtmlFormatter

import persona_lib

# What the generator's HTML lacks for screen readers, as patterns and what takes their place.
ACCESSIBLE = {
    r"<h6 ": '<h6 aria-level="2" ',
    r'<a class="headerlink" href="#([^"]*)">': r'<a class="headerlink" href="#\1" aria-label="Link to \1">',
}


def main(folder: Path) -> None:
    """Write one page per wing and per room that a wing hands on."""
    for wing in pkgutil.iter_modules(persona_lib.__path__, "persona_lib."):
        face = importlib.import_module(wing.name)
        # Some faces load a name when it is used.
        vars(face).update({name: getattr(face, name) for name in getattr(face, "__all__", ())})
    write(folder, "persona_lib")
    print(folder / "persona_lib.html")


def write(folder: Path, *modules: str) -> None:
    """Write the pages of modules, in our colours and whole for screen readers."""
    with tempfile.TemporaryDirectory() as templates:
        (Path(templates) / "custom.css").write_text(style(), "utf-8")
        pdoc.render.configure(docformat="google", template_directory=Path(templates))
        pdoc.pdoc(*modules, output_directory=folder)
    for path in folder.rglob("*.html"):
        text = path.read_text("utf-8")
        for lacking, whole in ACCESSIBLE.items():
            text = re.sub(lacking, whole, text)
        path.write_text(text, "utf-8")


def style() -> str:
    """Return the pages' own CSS: reference.css, and colours of code that can be read by day and by night."""
    day, night = (
        HtmlFormatter(style=f"a11y-high-contrast-{scheme}").get_style_defs(".pdoc-code") for scheme in ("light", "dark")
    )
    own = Path(__file__).with_suffix(".css").read_text("utf-8")
    return f"{day}\n@media (prefers-color-scheme: dark) {{\n{night}\n}}\n{own}"


if __name__ == "__main__":
    main(Path(sys.argv[1]))
