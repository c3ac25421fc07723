"""Write the reference of the package's functions as HTML, over the faces of the wings: `make docs`."""

import sys
from pathlib import Path

import pdoc

from persona_lib import model
from persona_lib.prompts import topics


def main(folder: Path) -> None:
    """Write one page per wing and per room that a wing hands on."""
    vars(model).update({name: getattr(model, name) for name in model.__all__})  # the face loads some when they are used
    vars(topics).update(Model=model.Model)  # which only its annotations need
    pdoc.render.configure(docformat="google")
    pdoc.pdoc("persona_lib", output_directory=folder)
    print(folder / "persona_lib.html")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
