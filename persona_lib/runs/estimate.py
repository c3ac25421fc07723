"""Estimate: what a preset's notebooks or pairs will ask, counted before anything is sent: `persona estimate`.

They are made with made-up replies (`dry`) over a scratch store: what the response store has takes no call, and
what will be asked follows from the code itself. A real reply that fails, or says the same as another, saves the
calls that would follow from it: the count is that of a run without such replies.
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

from .. import UserError
from ..model import catalogue, dry, progress
from ..model.usage import cost_text, total
from ..store import Store, canonical
from . import kernels, pairs
from .presets import Pairs
from .progress import Progress

COLUMNS = ("notebook", "step", "model", "calls", "cached", "tokens_in", "tokens_out", "cost", "seconds", "failure")
_HEADS = {"cached": "in the store", "tokens_in": "tokens in", "tokens_out": "tokens out", "seconds": "time"}


class Estimate(NamedTuple):
    """What `of` counts: the table, and in words what it assumes."""

    table: pd.DataFrame
    notes: list[str]


def of(planned: Mapping[str, Mapping[str, Any]]) -> Estimate:
    """Count the calls of notebooks, as `presets.plan` gives them.

    Returns:
        A table with one row per notebook, step and model, or one for a notebook that asks nothing: `notebook`, `step`,
        `model`, `calls`, `cached` (items that need no call of their own), `tokens_in`, `tokens_out`, `cost` in USD
        (missing where no price is known), `seconds` at the pace of the model's latest replies in the store (missing
        where it has too few), `failure` (why the notebook did not come to its end; what it asked until then counts).
    """
    # Nothing is to be written, as it would be made of replies that are made up.
    kept = {stem: {k: None if k == "out" else v for k, v in values.items()} for stem, values in planned.items()}
    return _count({stem: partial(_notebook, stem, values) for stem, values in kept.items()})


def of_pairs(settings: Pairs, prompts: Path | None = None) -> Estimate:
    """Count the calls of a preference data set (`ingredients.make`); the table as in `of`, its notebook is 'pairs'."""
    estimate = _count({"pairs": partial(_pairs, settings.model_copy(update={"classify": False}), prompts)})
    if settings.classify:
        estimate.notes.append("one call more for each prompt of the source, which the model sorts first")
    return estimate


def _count(works: Mapping[str, Callable[[Path, dict[str, str]], dict[str, str] | None]]) -> Estimate:
    """Do works over one scratch store; each gets the file to tell its usage in and an environment, and returns its
    error."""
    rows: list[dict[str, Any]] = []
    asked: dict[str, dict[str, Any]] = {}  # models, by the name and address that replies are kept under
    with tempfile.TemporaryDirectory() as temporary:
        scratch = str(Path(temporary) / "scratch.sqlite")
        for name, work in works.items():
            steps = Path(temporary) / f"{name}.jsonl"
            steps.touch()
            error = work(steps, {"PERSONA_SCRATCH": scratch})
            failure = f"{error['name']}: {error['message']}" if error else None
            told = progress.batches(steps)
            asked |= {canonical(batch["model"]): batch for batch in told}
            rows += [{"notebook": name, "failure": failure, **row} for row in _rows(told)]
        kept = Store(scratch=scratch)
        scales = {who: dry.scale(kept, batch["model"]) for who, batch in asked.items()}
    for row in rows:
        speed = scales[row["who"]].calls_per_s if row["calls"] else None
        row["seconds"] = row["calls"] / speed if speed else None if row["calls"] else 0.0
    table = pd.DataFrame(rows, columns=COLUMNS).astype({"cost": float, "seconds": float})
    return Estimate(table, _notes(rows, {asked[who]["name"]: scale for who, scale in scales.items()}))


def _notebook(stem: str, values: Mapping[str, Any], steps: Path, environment: dict[str, str]) -> dict[str, str] | None:
    return kernels.execute(stem, values, steps.with_suffix(".ipynb"), steps, environment)


def _pairs(settings: Pairs, prompts: Path | None, steps: Path, environment: dict[str, str]) -> dict[str, str] | None:
    told = environment | {progress.VARIABLE: str(steps)}
    with Progress("pairs", 1, steps), ProcessPoolExecutor(1, get_context("spawn")) as process:
        try:
            process.submit(_make, settings, prompts, steps.with_suffix(""), told).result()
        except UserError as error:
            return {"name": "UserError", "message": str(error)}
    return None


def _make(settings: Pairs, prompts: Path | None, folder: Path, environment: dict[str, str]) -> None:
    """In a process of its own, which the environment is for."""
    os.environ.update(environment)
    pairs.make(settings, folder, prompts)


def _rows(told: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What a notebook's calls told of themselves, by step and model; one row of nothing where it made none."""
    groups = defaultdict(list)
    for batch in told:
        groups[batch["step"], batch["name"], canonical(batch["model"])].append(batch["usage"])
    named = [{"step": s, "model": name, "who": who} | total(used) for (s, name, who), used in groups.items()]
    return named or [{"step": None, "model": None, "who": None} | total([])]


def _notes(rows: list[dict[str, Any]], scales: Mapping[str, dry.Scale]) -> list[str]:
    """What the figures rest on, for each model that would be called, and what is not to be relied on."""
    notes = []
    for name in dict.fromkeys(row["model"] for row in rows if row["calls"]):
        scale = scales[name]
        source = f"as in its last {scale.replies} replies in the store" if scale.replies else "which is assumed"
        tokens = f"{scale.chars_in:.1f} characters per token sent and {scale.chars_out:.1f} answered, {source}"
        pace = (
            f"{scale.calls_per_s:.3g} calls/s, as of late" if scale.calls_per_s else "time unknown until it has replied"
        )
        notes.append(f"{name}: {tokens}; answers half as long as they may be; {pace}")
        if any(row["cost"] is None for row in rows if row["model"] == name):
            notes.append(f"{name}: no price known; add it to params/{catalogue.PRICES} for a cost")
    if unfit := sum(row["failed"] for row in rows):
        notes.append(f"{unfit} made-up replies did not fit what was asked for: their steps are counted too high")
    failures = {row["notebook"]: row["failure"] for row in rows if row["failure"]}
    return notes + [f"{stem} fails here: {failure}" for stem, failure in failures.items()]


def text(table: pd.DataFrame) -> str:
    """The table as lines of text, with its sum; one unknown cost or time makes the sum unknown."""
    counts = ["calls", "cached", "tokens_in", "tokens_out"]
    asks = table[table["calls"] > 0]
    sums = table[counts].sum().to_dict() | {name: asks[name].sum(skipna=False) for name in ("cost", "seconds")}
    shown = pd.concat([table, pd.DataFrame([{"notebook": "in all", "step": "", **sums}])], ignore_index=True)
    shown["notebook"] = shown["notebook"].mask(shown["notebook"].duplicated(), "")
    shown["step"] = shown["step"].fillna("asks no model")
    shown[counts] = shown[counts].map("{:,.0f}".format)
    shown["cost"] = [cost_text(None if pd.isna(cost) else cost) for cost in shown["cost"]]
    shown["seconds"] = ["unknown" if pd.isna(s) else str(timedelta(seconds=round(s))) for s in shown["seconds"]]
    shown = shown.drop(columns="failure").fillna({"model": ""}).rename(columns=_HEADS)
    for name in ("notebook", "step", "model"):
        shown = shown.rename(columns={name: name.ljust(width := max(map(len, [name, *shown[name]])))})
        shown[name.ljust(width)] = shown[name.ljust(width)].str.ljust(width)
    return shown.to_string(index=False)
