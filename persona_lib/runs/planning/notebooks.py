"""Notebooks of the project: where each is, its title and its parameters. Each file is read once into one object."""

import ast
import io
import os
import re
import tokenize
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import nbformat

from ... import UserError, files

PARAMETERS = "parameters"  # the tag of the cell whose values papermill replaces
COPIED = "copy-of-a-run"  # the tag of the cell that a run's copy begins with; pages leave it out


@dataclass(frozen=True)
class Notebook:
    """A notebook of the project.

    `title` is its first heading, `parameters` are its defaults, `comments` what the cell says of each of them, and
    `code_cells` is how many it has.
    """

    path: Path
    title: str
    parameters: dict[str, Any]
    comments: dict[str, str]
    code_cells: int


def folder() -> Path:
    """Return the folder of the project's notebooks."""
    return files.ROOT / "notebooks"


def as_seen(message: str) -> str:
    """Return a message with files as its reader sees them: from the current folder, or whole if they lie elsewhere.

    Kernels, and parameters of notebooks, name a user's files as seen from the folder of the notebooks.
    """

    def seen(found: re.Match[str]) -> str:
        path = os.path.normpath(folder() / found[1])
        near = os.path.relpath(path)
        return path if near.startswith(os.pardir) else near

    before = re.escape(f"{folder()}{os.sep}")
    return re.sub(rf"(?:{before}|(?<![\w/.]))(\.\./[^\s'\",;:()]*)", seen, message)


def stems() -> list[str]:
    """Return the file names of all notebooks without their suffix, sorted."""
    return sorted(path.stem for path in folder().glob("*.ipynb"))


def find(stem: str) -> Notebook:
    """Read a notebook.

    Args:
        stem: its file name without the suffix.

    Raises:
        UserError: the file is not a notebook, or has no parameters cell that can be read.
    """
    path = folder() / f"{stem}.ipynb"
    if not path.is_file():
        raise UserError(f"no notebook {path}: choose one of {', '.join(stems())}")
    return _read(path, path.stat().st_mtime_ns)


# What nbformat and the look into a notebook that is not one raise.
_BROKEN = (ValueError, TypeError, AttributeError, LookupError, OSError, nbformat.ValidationError)


@cache
def _read(path: Path, changed: int) -> Notebook:
    """Read a notebook's file; `changed` is the time of its last change, so a changed file is read anew."""
    try:
        cells = nbformat.read(path, as_version=4).cells
        code = [cell for cell in cells if cell.cell_type == "code"]
        (source,) = [cell.source for cell in code if PARAMETERS in cell.metadata.get("tags", [])]
        lines = ast.parse(source).body
        remarks = _comments(source)
        declared = [(*_literal(line), remarks.get(line.end_lineno or 0, "")) for line in lines]
    except (*_BROKEN, SyntaxError) as error:
        hint = f"it needs one cell tagged '{PARAMETERS}' that has only lines `name = literal`"
        raise UserError(f"{path} can't be run: {hint}") from error
    code_cells = sum(cell.cell_type == "code" for cell in cells)
    parameters = {name: value for name, value, _ in declared}
    comments = {name: comment for name, _, comment in declared}
    return Notebook(path, _title(cells) or path.stem, parameters, comments, code_cells)


def _title(cells: list[Any]) -> str | None:
    """Return the text of the first Markdown heading, without emphasis and code marks."""
    text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    heading = re.search(r"^#+\s+(.+?)\s*#*$", text, re.MULTILINE)
    return re.sub(r"[*`]", "", heading[1]) if heading else None


def _comments(source: str) -> dict[int, str]:
    """Return the comments of a cell by the number of their line."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {token.start[0]: token.string.lstrip("# ") for token in tokens if token.type == tokenize.COMMENT}


def _literal(line: ast.stmt) -> tuple[str, Any]:
    """Return name and value of a line `name = literal` or `name: type = literal`.

    Raises:
        ValueError: the line is anything else.
    """
    if not isinstance(line, ast.Assign | ast.AnnAssign) or line.value is None:
        raise ValueError("not an assignment")
    target = line.target if isinstance(line, ast.AnnAssign) else line.targets[0]
    if not isinstance(target, ast.Name) or (isinstance(line, ast.Assign) and len(line.targets) > 1):
        raise ValueError("not a single name")
    return target.id, ast.literal_eval(line.value)
