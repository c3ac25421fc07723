"""Read tables of ratings that were collected elsewhere, without this kit's pages."""

from collections.abc import Iterator, Mapping
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
_KNOWN = [*_NAMES, *_COLUMNS, "pair_id", "seconds"]


def rows(named: Mapping[Path, str]) -> Iterator[dict[str, Any]]:
    """Yield the submissions in tables of ratings collected elsewhere, one per table, rater and persona.

    Args:
        named: .csv or .parquet files with the columns persona, question, rater, choice, and the names that the rows
            have of them. Ratings are taken as they are.

    Raises:
        UserError: the codes of the choices may mean either answer, such as 0 and 1. Other content never raises.
    """
    found = {path: _read(path) for path in named}
    _check_coding({path: table["choice"] for path, table in found.items() if isinstance(table, pd.DataFrame)})
    for path, table in found.items():
        if not isinstance(table, pd.DataFrame):
            yield submissions.outcome(named[path], [table])
            continue
        for (persona, rater), own in table.groupby(["persona_id", "rater"], sort=False):
            yield _row(named[path], persona, rater, own)


def _read(path: Path) -> pd.DataFrame | tuple[str, str]:
    """Return a table of ratings, or the status and the reason of a file that is none."""
    try:
        table = files.read_table(path, _KNOWN, ["reason"])
    except UserError as error:
        return "unreadable", f"no table ({str(error).removeprefix(f'{path} ')})"
    table.columns = [_NAMES.get(str(name), str(name)) for name in table]
    if sorted(c for c in table.columns if c in _COLUMNS) != sorted(_COLUMNS):
        return "foreign", "a table of ratings has the columns persona, question, rater, choice, each once"
    table[_COLUMNS] = table[_COLUMNS].map(_written)
    return table


def _written(cell: Any) -> str:
    """Return a cell as text; a whole number without a decimal point, a gap as an empty text."""
    if isinstance(cell, str):
        return cell
    return "" if pd.isna(cell) else str(int(cell) if isinstance(cell, float) and cell.is_integer() else cell)


def _coded(choices: pd.Series) -> pd.Series:
    """Return choices in lower case without blanks, 1.0 as 1."""
    return choices.str.strip().str.lower().str.replace(r"^([+-]?\d+)\.0*$", r"\1", regex=True)


def _check_coding(choices: Mapping[Path, pd.Series]) -> None:
    """Raise UserError for codes of which nobody knows which answer they mean: 0 and 1, -1 and 1, true and false.

    So it is where all tables together have no other code than 1: it may be that of 0 and 1, without any 0.
    """
    codes = {path: set(_coded(own)) - {""} for path, own in choices.items()}
    alone = set().union(*codes.values()) == {"1"}
    for path, own in codes.items():
        numbers = {code for code in own - {"1", "2"} if pd.notna(pd.to_numeric(code, errors="coerce"))}
        if unclear := numbers | own & {*_TRUTHS} | (own if alone else set()):
            named = ", ".join(sorted(unclear | own & {"1", "2"})[:5])
            raise UserError(
                f"{path} codes the choices as {named}{' alone' * alone}, which may mean either answer: write first and "
                "second, A and B, or 1 and 2"
            )


def _row(name: str, persona: str, rater: str, own: pd.DataFrame) -> dict[str, Any]:
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
