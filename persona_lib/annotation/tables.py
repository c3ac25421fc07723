"""Read tables of ratings that were collected elsewhere, without this kit's pages."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from .. import UserError, files
from . import submissions

FORMS = (".csv", ".parquet")

_CHOICES = {"first": "first", "a": "first", "1": "first", "second": "second", "b": "second", "2": "second"}
_TRUTHS = ("true", "false", "t", "f", "yes", "no", "y", "n")
_NAMES = {"persona": "persona_id", "question": "prompt_id", "prompt": "prompt_id"}
_COLUMNS = ["persona_id", "prompt_id", "rater", "choice"]


def table_rows(path: Path, named: str) -> Iterator[dict[str, Any]]:
    """Yield the submissions in a table of ratings collected elsewhere, one per rater and persona.

    Args:
        path: a .csv or .parquet file with the columns persona, question, rater, choice. Ratings are taken as they are.
        named: name of the file, as the rows have it.

    Raises:
        UserError: the codes of the choices may mean either answer, such as 0 and 1. Other content never raises.
    """
    try:
        table = files.read_table(path).reset_index()
    except UserError as error:
        yield submissions.outcome(named, [("unreadable", f"no table ({str(error).removeprefix(f'{path} ')})")])
        return
    table.columns = [_NAMES.get(name, name) for name in table.columns.astype("str").str.strip().str.lower()]
    if sorted(c for c in table.columns if c in _COLUMNS) != sorted(_COLUMNS):
        wanted = "a table of ratings has the columns persona, question, rater, choice, each once"
        yield submissions.outcome(named, [("foreign", wanted)])
        return
    table[_COLUMNS] = table[_COLUMNS].map(_written)
    _check_coding(path, table["choice"])
    for (persona, rater), own in table.groupby(["persona_id", "rater"], sort=False):
        yield _table_row(named, persona, rater, own)


def _written(cell: Any) -> str:
    """Return a cell as text; a whole number without a decimal point, a gap as an empty text."""
    if isinstance(cell, str):
        return cell
    return "" if pd.isna(cell) else str(int(cell) if isinstance(cell, float) and cell.is_integer() else cell)


def _coded(choices: pd.Series) -> pd.Series:
    """Return choices in lower case without blanks, 1.0 as 1."""
    return choices.str.strip().str.lower().str.replace(r"^([+-]?\d+)\.0*$", r"\1", regex=True)


def _check_coding(path: Path, choices: pd.Series) -> None:
    """Raise UserError for codes of which nobody knows which answer they mean: 0 and 1, -1 and 1, true and false."""
    codes = set(_coded(choices))
    unclear = {code for code in codes - {"1", "2"} if code in _TRUTHS or pd.notna(pd.to_numeric(code, errors="coerce"))}
    if unclear:
        named = ", ".join(sorted(unclear | codes & {"1", "2"})[:5])
        raise UserError(
            f"{path} codes the choices as {named}, which may mean either answer: write first and second, A and B, "
            "or 1 and 2"
        )


def _table_row(name: str, persona: str, rater: str, own: pd.DataFrame) -> dict[str, Any]:
    """Return the row of one rater's ratings of one persona."""
    own = own.assign(choice=_coded(own["choice"]).map(_CHOICES))
    if "seconds" in own:
        own["seconds"] = pd.to_numeric(own["seconds"], errors="coerce")
    contradicted = own.groupby("prompt_id")["choice"].transform("nunique") > 1
    own["choice"] = own["choice"].mask(contradicted)
    unique = own.sort_values("choice", kind="stable").drop_duplicates("prompt_id").sort_index()
    unread = int(unique["choice"].isna().sum())
    repeated = len(own) - len(unique)

    against = []
    if not persona.strip() or not rater.strip():
        against.append(("foreign", f"{len(own)} rows name no persona or no rater"))
    if unread == len(unique):
        against.append(("incomplete", "no choice can be read"))
    notes = []
    if unread:
        notes.append(
            f"{unread} of {len(unique)} choices are neither first, second, A, B, 1, 2, or contradict each other"
        )
    if repeated:
        notes.append(f"{repeated} ratings are repeated")
    kept = [c for c in ("persona_id", "prompt_id", "pair_id", "choice", "seconds", "reason") if c in unique]
    return submissions.outcome(
        name,
        against,
        notes,
        persona_id=persona,
        rater=rater,
        ratings=unique[kept].to_dict("records"),
        questions=len(unique),
        answered=len(unique) - unread,
    )
