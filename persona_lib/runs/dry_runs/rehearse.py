"""Rehearse: run a preset against a planted model, and say which of the planted effects its sizes would find.

Nothing is sent to the preset's models, and the user's response store is left alone.
"""

import os
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from ... import files
from .. import planted
from ..executing.run import run
from ..pages import pages
from ..planning import preflight, presets
from ..planning.presets import Preset
from ..planted import truth
from ..planted.endpoint import JUDGE, MODEL
from ..reporting.shown import shown
from ..results import folders

TABLE, PAGE, RUN, STORE = "effects", "index.html", "run", "replies.sqlite"
STORE_VARIABLE = "PERSONA_STORE"
ABOUT = "A dress rehearsal: a made-up model with planted effects answered. It says nothing about any real model."
NONE = 1e-9  # a planted difference that is smaller is none


class Rehearsal(NamedTuple):
    """What a rehearsal found: `table` as in `truth.compared`, `manifest` of the run, `failed` notebooks."""

    table: pd.DataFrame
    manifest: dict[str, Any]
    failed: list[str]


def rehearse(
    preset: Preset,
    only: Sequence[str],
    given: Mapping[str, Any],
    folder: Path,
    seed: int = 0,
    say: Callable[[str], object] | None = None,
) -> Rehearsal:
    """Run a preset's notebooks against a planted model and compare what they find with what is planted.

    Args:
        preset, only, given: as in `presets.plan`.
        folder: where the rehearsal goes: the run in run/, its replies, effects.parquet and .csv, and a page.
        seed: of the planted model.
        say: as in `run.run`.

    Raises:
        UserError: as in `presets.plan` and `run.run`, or the preset needs data that are not there.
    """
    with planted.Endpoint(planted.World(seed)) as endpoint:
        planned = presets.plan(preset, only, given)
        endpoint.models = tuple(sorted(_with_stand_ins(planned, endpoint.url)))
        preflight.check(planned, seeks=False)  # the planted endpoint answers, and the user's store stays closed
        with folders.alone(folder), _own_store(folder / STORE):
            for path in folder.glob(f"{STORE}*"):  # an earlier rehearsal's replies may be those of another seed
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            manifest = run(preset.model_copy(update={"about": ABOUT}), planned, folder / RUN, say=say)
            return _written(manifest, planned, folder, preset.name)


def _written(manifest: dict[str, Any], planned: Collection[str], folder: Path, preset: str) -> Rehearsal:
    """Compare what a run found with what is planted, and write table and page; an earlier run's notebooks are left."""
    failed = [stem for stem in planned if manifest["notebooks"][stem]["status"] != "done"]
    parameters = {stem: manifest["notebooks"][stem]["parameters"] for stem in planned if stem not in failed}
    found = {stem: own for stem, own in tables(folder / RUN).items() if stem in parameters}
    table = truth.compared(found, parameters)
    files.write(folder / f"{TABLE}.parquet", table.to_parquet)
    files.write(folder / f"{TABLE}.csv", lambda half: table.to_csv(half, index=False))
    files.write_text(folder / PAGE, page(table, preset, failed))
    return Rehearsal(table, manifest, failed)


def _with_stand_ins(planned: dict[str, dict[str, Any]], url: str) -> set[str]:
    """Put planted models in the place of all models that notebooks name, and return their names.

    The judge is a planted model of its own also where the preset has none; 03 makes a data set of its own.
    """
    names: set[str] = set()
    for values in planned.values():
        stand_ins = {values.get("model"): MODEL, values.get("judge"): JUDGE}
        others = [str(name).partition("@")[0] for name in values.get("more_models", ())]
        for name in others:
            stand_ins.setdefault(name, f"planted-{len(stand_ins) + 1}")
        chosen: dict[str, Any] = {
            "model": MODEL,
            "base_url": url,
            "judge": JUDGE,
            "judge_base_url": url,
            "more_models": [f"{stand_ins[name]}@{url}" for name in others],
            "embedder": values.get("embedder") and f"{MODEL}@{url}",
            "data": None,
            "persona_writer": values.get("persona_writer") and MODEL,
            "persona_filter": values.get("persona_filter") and JUDGE,
        }
        values.update({name: value for name, value in chosen.items() if name in values})
        names |= {MODEL, JUDGE, *stand_ins.values()}
    return names


@contextmanager
def _own_store(path: Path) -> Iterator[None]:
    """Let the kernels of a run use a store of their own."""
    before = os.environ.get(STORE_VARIABLE)
    os.environ[STORE_VARIABLE] = str(path.absolute())
    try:
        yield
    finally:
        os.environ.pop(STORE_VARIABLE)
        if before is not None:
            os.environ[STORE_VARIABLE] = before


def tables(folder: Path) -> dict[str, dict[str, pd.DataFrame]]:
    """Read the tables that the notebooks of a run recorded, by notebook and name."""
    found: dict[str, dict[str, pd.DataFrame]] = {}
    for path in sorted(folder.glob("*/tables/*.parquet")):
        found.setdefault(path.parts[-3], {})[path.stem] = pd.read_parquet(path)
    return found


def text(table: pd.DataFrame) -> str:
    """Return the table as lines of text, and a sentence on all of it.

    Args:
        table: as in `Rehearsal`.
    """
    if table.empty:
        return summary(table)
    columns = ["notebook", "effect", "planted", "estimate", "low", "high", "n", "holds", "found", "detectable"]
    told = _ordered(table).assign(notebook=lambda t: t["notebook"].str[:2])
    return f"{shown(told, '', columns, rows=len(told)).text(None)}\n{summary(table)}"


def page(table: pd.DataFrame, preset: str, failed: Sequence[str]) -> str:
    """Return the HTML of a rehearsal's page.

    Args:
        table: as in `Rehearsal`.
        preset: its name.
        failed: the notebooks that failed.
    """
    environment = pages.environment()
    values = {"preset": preset, "said": summary(table), "run": f"{RUN}/index.html", "table": TABLE, "failed": failed}
    return environment.get_template("rehearsal.html.j2").render(**values, notebooks=_shown(table))


def _ordered(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows by notebook, effects that have a value of no effect first."""
    return table.assign(rate=table["null"].isna()).sort_values(["notebook", "rate"], kind="stable")


def _shown(table: pd.DataFrame) -> dict[str, list[dict[str, Any]]]:
    """Return the rows by notebook as texts for the page."""
    told: dict[str, list[dict[str, Any]]] = {}
    for row in _ordered(table).itertuples():
        told.setdefault(str(row.notebook), []).append(
            {
                "notebook": str(row.notebook)[:2],
                "effect": row.effect,
                "planted": _number(row.planted),
                "estimate": _number(row.estimate),
                "interval": f"{_number(row.low)} to {_number(row.high)}",
                "n": f"{row.n:,.0f}",
                "holds": bool(row.holds),
                "found": "" if pd.isna(row.found) else "yes" if row.found else "no",
                "detectable": "" if pd.isna(row.detectable) else _number(row.detectable),
            }
        )
    return told


def _number(value: float) -> str:
    """Return a number with three decimals and a true minus."""
    return f"{value:z.3f}".replace("-", "−")


def summary(table: pd.DataFrame) -> str:
    """Say in a sentence how many intervals hold the planted value and how many planted effects were found."""
    if table.empty:
        return "No notebook of this rehearsal estimates a planted effect with an interval."
    real = table[table["found"].notna() & ((table["planted"] - table["null"]).abs() > NONE)]
    none = table[table["found"].notna() & ((table["planted"] - table["null"]).abs() <= NONE)]
    return (
        f"{table['holds'].sum()} of {len(table)} intervals hold the planted value. At these sizes the run finds "
        f"{real['found'].sum()} of {len(real)} planted differences, and a difference where there is none in "
        f"{none['found'].sum()} of {len(none)}: after correction, where a notebook corrects for its number of tests."
    )
