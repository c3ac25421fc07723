"""Write the reference of the package's functions as HTML, over the faces of the wings: part of `make docs`."""

import importlib
import pkgutil
import sys
from pathlib import Path

import pdoc

import persona_lib


def main(folder: Path) -> None:
    """Write one page per wing and per room that a wing hands on."""
    for wing in pkgutil.iter_modules(persona_lib.__path__, "persona_lib."):
        face = importlib.import_module(wing.name)
        # Some faces load a name when it is used.
        vars(face).update({name: getattr(face, name) for name in getattr(face, "__all__", ())})
    pdoc.render.configure(docformat="google")
    pdoc.pdoc("persona_lib", output_directory=folder)
    print(folder / "persona_lib.html")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
