"""Estimate: count what a preset's notebooks or pairs will ask a model, before anything is sent.

They run with made-up replies (`model.replies`) over a scratch store, so the code itself says what it will ask. Replies
that the response store has take no call. Structured replies are asked for again as often as the model's replies in the
store were. A real reply that fails, or equals another one, saves the calls that would build on it: the count assumes
that there is no such reply.
"""

import os
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from datetime import timedelta
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from ... import UserError, files
from ...model import catalogue
from ...model.asking import progress
from ...model.limits.usage import cost_text, total
from ...model.replies import dry
from ...store import Store, canonical
from ..executing import kernels, pairs
from ..executing.progress import Progress
from ..planning import notebooks
from ..planning.presets import Pairs
from ..reporting.shown import shown

COLUMNS = (
    *("notebook", "step", "model", "calls", "reasked", "cached", "tokens_in", "tokens_out", "cost", "seconds"),
    "failure",
)

_COUNTS = ["calls", "reasked", "cached", "tokens_in", "tokens_out"]

# Something that asks models: it gets the file for its usage and an environment, and returns the error that ended it.
Work = Callable[[Path, dict[str, str]], dict[str, str] | None]


class Estimate(NamedTuple):
    """What `count` counts: the table, and notes that say what the table assumes."""

    table: pd.DataFrame
    notes: list[str]


def of(planned: Mapping[str, Mapping[str, Any]]) -> Estimate:
    """Count the calls of notebooks.

    Args:
        planned: each notebook with all its parameters, from `presets.plan`. Of several runs, a notebook's name stands
            behind that of its run, as RUN/NOTEBOOK; what several of them ask counts once.

    Returns:
        A table with one row per notebook, step and model, or one for a notebook that asks nothing: `notebook`, `step`,
        `model`, `calls`, `reasked` (those of the calls that ask again), `cached` (items that need no call of their
        own), `tokens_in`, `tokens_out`, `cost` in USD (missing without a known price), `seconds` at the pace of the
        model's latest replies in the store (missing if there are too few), `failure` (the error that ended the
        notebook; what it asked before is counted). And notes.
    """
    return count(works(planned))


def works(planned: Mapping[str, Mapping[str, Any]]) -> dict[str, Work]:
    """Return what asks a plan's models: the execution of each notebook, which records nothing."""
    found: dict[str, Work] = {}
    for key, values in planned.items():
        # Without `out` the notebook writes nothing: results from made-up replies must not be kept.
        unrecorded = {name: None if name == "out" else value for name, value in values.items()}
        found[key] = partial(_notebook, key.rpartition("/")[2], unrecorded)
    return found


def works_of_pairs(settings: Pairs) -> dict[str, Work]:
    """Return what asks the models of a preference data set, as `pairs.make` makes it: the only one, by name 'pairs'."""
    return {"pairs": partial(_pairs, settings)}


def count(todo: Mapping[str, Work]) -> Estimate:
    """Do all works over one scratch store and count what they ask; a table as of `of`, and notes."""
    rows: list[dict[str, Any]] = []
    asked: dict[str, dict[str, Any]] = {}  # an ask of each model, by the name and address that its replies have
    with tempfile.TemporaryDirectory() as temporary:
        scratch = str(Path(temporary) / "scratch.sqlite")
        for number, (name, work) in enumerate(todo.items()):
            steps = Path(temporary) / f"{number}.jsonl"
            steps.touch()
            # Nobody sees the figures of made-up replies: a backend that shows none takes a third off the time.
            error = work(steps, {"PERSONA_SCRATCH": scratch, "MPLBACKEND": "agg"})
            failure = f"{error['name']}: {error['message']}" if error else None
            asks = progress.asks(steps)
            asked |= {canonical(ask["model"]): ask for ask in asks}
            rows += [{"notebook": name, "failure": failure, **row} for row in _rows(asks)]
        store = Store(scratch=scratch)
        scales = {who: dry.scale(store, ask["model"]) for who, ask in asked.items()}
    for row in rows:
        row["seconds"] = _seconds(row["calls"], scales[row["who"]]) if row["calls"] else 0.0
    table = pd.DataFrame(rows, columns=COLUMNS).astype({"cost": float, "seconds": float})
    return Estimate(table, _notes(rows, {asked[who]["name"]: scale for who, scale in scales.items()}))


def _notebook(stem: str, values: Mapping[str, Any], steps: Path, environment: dict[str, str]) -> dict[str, str] | None:
    """Execute a notebook, a `Work`; one that asks no model has nothing to count and is not executed."""
    if not values.get("model"):
        return None
    with Progress() as shown:
        shown.begin(stem, notebooks.find(stem).code_cells + 1, steps)  # papermill adds a cell of parameters
        return kernels.execute(stem, values, steps.with_suffix(".ipynb"), steps, environment)


def _pairs(settings: Pairs, steps: Path, environment: dict[str, str]) -> dict[str, str] | None:
    """Make a preference data set in a process of its own, a `Work`."""
    variables = environment | {progress.VARIABLE: str(steps)}
    with Progress() as shown, ProcessPoolExecutor(1, get_context("spawn")) as process:
        shown.begin("pairs", 1, steps)
        try:
            process.submit(_make, settings, steps.with_suffix(""), variables).result()
        except UserError as error:
            return {"name": "UserError", "message": str(error)}
    return None


def _make(settings: Pairs, folder: Path, environment: dict[str, str]) -> None:
    """Set the environment of this process and make the data set."""
    os.environ.update(environment)
    pairs.make(settings, folder)


def _rows(asks: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the usage of a notebook's asks by step and model; one row without any if it has made none.

    `who` is the name and address that the model's replies have in the store.
    """
    usages = defaultdict(list)
    for ask in asks:
        usages[ask["step"], ask["name"], canonical(ask["model"])].append(ask["usage"])
    rows = [{"step": step, "model": name, "who": who} | total(used) for (step, name, who), used in usages.items()]
    return rows or [{"step": None, "model": None, "who": None} | total([])]


def _seconds(calls: int, scale: dry.Scale) -> float | None:
    """Return how long calls take at a model's pace; None if the pace is unknown."""
    return calls / scale.calls_per_s if scale.calls_per_s else None


def _notes(rows: list[dict[str, Any]], scales: Mapping[str, dry.Scale]) -> list[str]:
    """Return what the figures assume about each model that would be called, and which figures are unreliable."""
    notes = []
    calling = [row for row in rows if row["calls"]]
    for name in dict.fromkeys(row["model"] for row in calling):
        notes.append(f"{name}: {_assumptions(scales[name])}")
        if any(row["cost"] is None for row in rows if row["model"] == name):
            notes.append(f"{name}: no price known; add it to params/{catalogue.PRICES} for a cost")
    if invalid := sum(row["failed"] for row in rows):
        notes.append(f"{invalid} made-up replies were invalid: the calls of their steps are overestimated")
    failures = {row["notebook"]: row["failure"] for row in rows if row["failure"]}
    return notes + [f"{stem} failed during the estimate: {failure}" for stem, failure in failures.items()]


def _assumptions(scale: dry.Scale) -> str:
    """Return in words how tokens and time of a model are estimated."""
    tokens = f"{scale.chars_in:.1f} characters per token sent and {scale.chars_out:.1f} per token received"
    source = f"measured on its last {scale.replies} replies in the store" if scale.replies else "assumed"
    length = f"replies are assumed as long as asked, {dry.WORDS} words where no length is asked"
    again = "none is assumed to be asked for again"
    if scale.replies:
        again = f"{scale.reasks:.1%} of structured replies were no JSON of their schema: as many are asked for again"
    pace = f"recently {scale.calls_per_s:.3g} calls/s" if scale.calls_per_s else "time unknown until it has replied"
    return f"{tokens} ({source}); {length}; {again}; {pace}"


def sums(table: pd.DataFrame) -> dict[str, Any]:
    """Return the sums of some rows of an estimate; if one cost or time of a call is unknown, so is their sum."""
    calling = table[table["calls"] > 0]
    return table[_COUNTS].sum().to_dict() | calling[["cost", "seconds"]].sum(skipna=False).to_dict()


def as_json(estimate: Estimate) -> str:
    """Return an estimate as a JSON object.

    It has `rows` (those of the table), `notebooks` (the sums of each), `total` and `notes`; what is unknown is null.
    """
    table = estimate.table
    by_notebook = {stem: sums(rows) for stem, rows in table.groupby("notebook", sort=False)}
    told = {"rows": table.to_dict("records"), "notebooks": by_notebook, "total": sums(table), "notes": estimate.notes}
    return files.as_json(told)


def text(table: pd.DataFrame) -> str:
    """Return the table of an estimate as lines of text, with the sums of each notebook of several rows, and of all.

    If one cost or time is unknown, so is their sum.
    """
    counts = [name for name in _COUNTS if name != "reasked" or table["reasked"].any()]
    parts = []
    for stem, rows in table.groupby("notebook", sort=False):
        together = [{"notebook": stem, "step": "together", **sums(rows)}] if len(rows) > 1 else []
        parts += [rows, pd.DataFrame(together)]
    rows = pd.concat([*parts, pd.DataFrame([{"notebook": "total", "step": "", **sums(table)}])], ignore_index=True)
    told = pd.DataFrame(
        {
            "notebook": rows["notebook"].mask(rows["notebook"].duplicated(), ""),
            "step": rows["step"].fillna("asks no model"),
            "model": rows["model"].fillna(""),
            **{name: rows[name].round() for name in counts},
            "cost": [cost_text(None if pd.isna(cost) else cost) for cost in rows["cost"]],
            "seconds": ["unknown" if pd.isna(s) else str(timedelta(seconds=round(s))) for s in rows["seconds"]],
        }
    )
    return shown(told, "", rows=len(told)).text(None)
