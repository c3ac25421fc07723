"""The notebooks of the project: where each lies, its parameters, its title, read once into one object."""

import ast
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import nbformat

from .. import UserError, files

PARAMETERS = "parameters"  # the tag of the cell that papermill replaces values in


@dataclass(frozen=True)
class Notebook:
    """A notebook: `parameters` with their defaults, `title` its first heading, `code_cells` how many it has."""

    path: Path
    title: str
    parameters: dict[str, Any]
    code_cells: int


def folder() -> Path:
    """Return where the project's notebooks lie."""
    return files.ROOT / "notebooks"


def stems() -> list[str]:
    """Return the names of all notebooks, in order."""
    return sorted(path.stem for path in folder().glob("*.ipynb"))


def find(stem: str) -> Notebook:
    """Read a notebook by its name.

    Raises:
        UserError: the file is no notebook, or has no readable parameters cell.
    """
    path = folder() / f"{stem}.ipynb"
    return _read(path, path.stat().st_mtime_ns)


@cache
def _read(path: Path, changed: int) -> Notebook:
    """Read a notebook once, and anew when its file has changed."""
    try:
        cells = nbformat.read(path, as_version=4).cells
        (source,) = [cell.source for cell in cells if PARAMETERS in cell.metadata.get("tags", [])]
        parameters = dict(_literal(line) for line in ast.parse(source).body)
    except (ValueError, SyntaxError, AttributeError, nbformat.reader.NotJSONError) as error:
        hint = f"it needs one cell tagged '{PARAMETERS}' that holds lines `name = literal` only"
        raise UserError(f"{path} can't be run: {hint}") from error
    prose = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    heading = re.search(r"^#+\s+(.+?)\s*#*$", prose, re.MULTILINE)
    title = re.sub(r"[*`]", "", heading[1]) if heading else path.stem
    return Notebook(path, title, parameters, sum(cell.cell_type == "code" for cell in cells))


def _literal(line: ast.stmt) -> tuple[str, Any]:
    """Return name and value of a line `name = literal` or `name: type = literal`."""
    if not isinstance(line, ast.Assign | ast.AnnAssign) or line.value is None:
        raise ValueError("no assignment")
    target = line.target if isinstance(line, ast.AnnAssign) else line.targets[0]
    if not isinstance(target, ast.Name):
        raise ValueError("no name")
    return target.id, ast.literal_eval(line.value)
