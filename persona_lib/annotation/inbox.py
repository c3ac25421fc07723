"""Find what raters handed in: files, and folders with all that lies in them; say of the rest why it is not read."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from .. import UserError, files
from . import assignments, tables

PAGES = (".json", ".jsonl")
RESULTS = ("submissions", "votes", "majority", "reliability")  # the tables that an import writes
ARCHIVES = (".zip", ".7z", ".rar", ".tar", ".tgz", ".bz2", ".xz")
SHEETS = (".xlsx", ".xls", ".xlsm", ".ods", ".numbers", ".sav", ".dta", ".sas7bdat", ".rds")


def is_table(path: Path) -> bool:
    """Return whether a file holds a table of ratings collected elsewhere, not what pages wrote."""
    return files.suffix(path) in tables.FORMS


def found(given: Iterable[str | Path]) -> tuple[dict[Path, str], dict[str, str]]:
    """Return the files to read, each once with its name, and the names of a folder's other files with the reason.

    Args:
        given: files, or folders, which are read with their subfolders. Hidden files count as none.

    Raises:
        UserError: a file does not exist, or there is nothing to read.
    """
    read: dict[Path, tuple[Path, str]] = {}
    left_out: dict[str, str] = {}
    for path in map(Path, given):
        if not path.exists():
            raise UserError(f"no file {path}")
        for file, name in _inside(path) if path.is_dir() else [(path, path.name)]:
            why = _why_not(file, named=file == path)
            if why:
                left_out[name] = why
            elif file.name != assignments.MANIFEST:
                read.setdefault(file.resolve(), (file, name))
    if not read and not left_out:
        raise UserError("there are no submissions to read: name .json, .jsonl or .csv files, or folders of them")
    return dict(read.values()), left_out


def _inside(folder: Path) -> Iterator[tuple[Path, str]]:
    """Yield the files of a folder and its subfolders, each with its name from there; not the pages of a study."""
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        hidden = any(part.startswith(".") or part == "__MACOSX" for part in name.parts)
        page = path.suffix == ".html" and (path.parent.parent / assignments.MANIFEST).is_file()
        if path.is_file() and not hidden and not page:
            yield path, name.as_posix()


def _why_not(path: Path, named: bool) -> str | None:
    """Return why a file is not read, or None. A file that the user named is read whatever it is called."""
    form = files.suffix(path)
    if form in ARCHIVES:
        return f"not read: unpack the {form} and import what is in it"
    if form in SHEETS:
        return f"not read: save the {form} as .csv, with the columns persona, question, rater, choice"
    if path.stem.split(".")[0] in RESULTS and all((path.parent / f"{name}.parquet").is_file() for name in RESULTS):
        return "not read: a table that an import wrote"
    if named or form in PAGES or is_table(path):
        return None
    what = "a page, and no answers" if form in (".html", ".htm") else f"its name ends in {form or 'nothing'}"
    return f"not read: {what}; answers are {', '.join((*PAGES, *tables.FORMS))} files"
