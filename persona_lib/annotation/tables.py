"""Read tables of ratings that were collected elsewhere, without this kit's pages."""

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pandas as pd

from . import submissions

_CHOICES = {"first": "first", "a": "first", "1": "first", "second": "second", "b": "second", "2": "second"}
_NAMES = {"persona": "persona_id", "question": "prompt_id", "prompt": "prompt_id"}
_COLUMNS = ["persona_id", "prompt_id", "rater", "choice"]


def table_rows(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the submissions in a table of ratings collected elsewhere, one per rater and persona; no content raises.

    Args:
        path: a CSV file with the columns persona, question, rater, choice. Ratings are taken as they are.
    """
    raw, failure = submissions.content(path)
    if failure:
        yield submissions.outcome(path.name, [("unreadable", failure)])
        return
    try:
        table = pd.read_csv(BytesIO(raw), dtype="str", keep_default_na=False, encoding="utf-8-sig")
    except (ValueError, pd.errors.ParserError) as error:
        yield submissions.outcome(path.name, [("unreadable", f"no CSV table ({error})")])
        return
    table.columns = [_NAMES.get(name, name) for name in table.columns.str.strip().str.lower()]
    if sorted(c for c in table.columns if c in _COLUMNS) != sorted(_COLUMNS):
        wanted = "a table of ratings has the columns persona, question, rater, choice, each once"
        yield submissions.outcome(path.name, [("foreign", wanted)])
        return
    for (persona, rater), own in table.groupby(["persona_id", "rater"], sort=False):
        yield _table_row(path.name, persona, rater, own)


def _table_row(name: str, persona: str, rater: str, own: pd.DataFrame) -> dict[str, Any]:
    """Return the row of one rater's ratings of one persona."""
    own = own.assign(choice=own["choice"].str.strip().str.lower().map(_CHOICES))
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
