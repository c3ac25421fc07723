"""A run: execute the notebooks of a preset with papermill and write its folder, manifest and pages."""

import json
import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq

from .. import BudgetError, EndpointError, LimitError, UserError, files
from ..model import progress, sharing
from ..model.budget import Budget
from ..model.usage import counted
from ..store.store import utc_now
from . import findings, folders, kernels, manifests, notebooks, pages, said
from .manifests import Manifest
from .presets import Preset
from .progress import Course
from .record import VARIABLE as RECORD

# Every later notebook would fail in the same way.
ENDING = (BudgetError.__name__, LimitError.__name__, EndpointError.__name__)


def run(
    preset: Preset,
    planned: Mapping[str, dict[str, Any]],
    folder: Path,
    max_calls: int | None = None,
    max_cost: float | None = None,
    say: Callable[[str], object] | None = None,
    host: str | None = None,
) -> dict[str, Any]:
    """Execute notebooks into a folder; if one fails, the others run all the same, unless no more calls can be made.

    Args:
        preset: gives the run its name and says what it is for.
        planned: each notebook with all its parameters, from `presets.plan`.
        folder: where the run goes. A notebook of an earlier run there is replaced once the new one is done; those that
            are not planned stay.
        max_calls: the most model calls of all notebooks together; the run ends at a notebook that needs more.
        max_cost: the most USD that they may spend together; so too.
        say: gets the address of the index page once it is there, and the line of each notebook when it ends.
        host: the address at which the workers of a cluster reach this machine, if there is one.

    Returns:
        The content of the manifest. The folder then has manifest.json and index.html.

    Raises:
        UserError: the folder contains something other than an earlier run, another run uses it, or it is moved away.
        KeyboardInterrupt: Ctrl-C; the kernel has ended and the manifest says so.
    """
    limits = {"max_calls": max_calls, "max_cost": max_cost}
    folder = folder.absolute()
    manifests.read(folder)  # refuses a folder of something else, before anything is written there
    with folders.alone(folder), folders.watched(folder):
        earlier = manifests.read(folder)
        if earlier:
            manifests.correct(earlier, folder)
        manifest = Manifest(folder, preset.name, preset.about, _entries(planned), limits, earlier)
        try:
            shared = sharing.served(Budget(max_calls, max_cost), host or sharing.LOOPBACK)
            with folders.beside(folder), shared as environment:
                return _executed(manifest, environment, say or (lambda line: None))
        except OSError:
            if folders.is_there(folder):
                raise
            raise UserError(
                f"{folder} was moved or removed during the run: put it back, or choose another --out, and run again; "
                "what was answered is in the store"
            ) from None


def _entries(planned: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return title and parameters of each notebook; `out` is as seen from the executed notebook, beside its results."""
    return {
        stem: {"title": notebooks.find(stem).title, "parameters": values | ({"out": stem} if "out" in values else {})}
        for stem, values in planned.items()
    }


def _executed(manifest: Manifest, environment: Mapping[str, str], say: Callable[[str], object]) -> dict[str, Any]:
    """Execute the notebooks of a manifest and return its content."""
    status = "failed"
    try:
        _save(manifest)
        say((manifest.folder / "index.html").as_uri())
        _run_notebooks(manifest, environment, say)
        fine = all(entry["status"] == "done" and not entry["lost"] for entry in manifest.planned.values())
        status = "done" if fine else "failed"
    except KeyboardInterrupt:
        status = "interrupted"
        raise
    finally:
        manifest.close(status)
        if folders.is_there(manifest.folder):
            _save(manifest)
    _write_items(manifest)
    return manifest.content


def _write_items(manifest: Manifest) -> None:
    """Write the page of the run's items, if it has any, and the index, which leads there."""
    from . import item_pages, item_tables  # they load the statistics, for which a run's start need not wait

    if any(item_tables.are_in(manifest.folder / stem) for stem in manifest.notebooks):
        item_pages.write(manifest.folder)
        _save(manifest)


def correct(folder: Path) -> None:
    """Correct manifest and index of a run whose process was killed, unless another run is in the folder by now."""
    if not folder.is_dir():
        return
    with suppress(UserError), folders.alone(folder):
        content = manifests.read(folder)
        if content and content["status"] == "running":
            manifests.correct(content, folder)
            shutil.rmtree(folder / folders.NEW, ignore_errors=True)
            files.write_json(folder / manifests.NAME, content)
            _write_index(folder, content)


def _save(manifest: Manifest) -> None:
    """Write the manifest and the index page, which can be read while the run goes on."""
    manifest.save()
    _write_index(manifest.folder, manifest.content)


def _write_index(folder: Path, content: Mapping[str, Any]) -> None:
    files.write_text(folder / "index.html", pages.index(content, (folder / pages.ITEMS).is_file()))


def _run_notebooks(manifest: Manifest, environment: Mapping[str, str], say: Callable[[str], object]) -> None:
    """Execute the notebooks one after the other."""
    # The main finding first: it stands on the index while the longer ones run.
    planned = sorted(manifest.planned.items(), key=lambda one: one[0] != findings.CRITIC)
    course = Course([_took(entry) for _, entry in planned])
    for stem, entry in planned:
        entry |= {"status": "running", "started": utc_now()}
        _save(manifest)
        steps = manifest.folder / folders.NEW / f"{stem}.jsonl"
        _run_notebook(stem, manifest, steps, environment, course)
        course.over += 1
        say(said.of_notebook(stem, entry))
        if entry["error"] and entry["error"]["name"] in ENDING:
            break


def _took(entry: Mapping[str, Any]) -> float | None:
    """Return the seconds that a notebook took when it was last done here with the same parameters, None if never."""
    kept = entry.get("kept")
    return kept["seconds"] if kept and kept["parameters"] == entry["parameters"] else None


def _run_notebook(stem: str, manifest: Manifest, steps: Path, environment: Mapping[str, str], course: Course) -> None:
    """Execute a notebook, write its page, and enter its results, status and usage in its entry of the manifest."""
    entry = manifest.planned[stem]
    began = time.monotonic()
    new = manifest.folder / folders.NEW
    out = os.path.relpath(manifest.folder / stem, notebooks.folder())
    parameters = entry["parameters"] | ({"out": out} if "out" in entry["parameters"] else {})
    try:
        told = {**environment, RECORD: str(new / stem)}
        entry["error"] = kernels.execute(stem, parameters, new / f"{stem}.ipynb", steps, told, course)
        if not folders.is_there(manifest.folder):
            raise FileNotFoundError(manifest.folder)
        entry["steps"] = _used(steps)
        recorded = new / stem / "record.json"
        if recorded.is_file() and not entry["error"]:
            entry |= json.loads(recorded.read_text("utf-8"))
        _page(new, stem, manifest)
        entry["status"] = "failed" if entry["error"] else "done"
        _place(manifest.folder, stem, entry)
        if stem == findings.AUDITS and (manifest.folder / f"{findings.CRITIC}.ipynb").exists():
            _page(manifest.folder, findings.CRITIC, manifest)  # it tells what has just been found of its critic
    except BaseException as error:
        entry["status"] = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
        raise
    finally:
        entry["steps"] = _used(steps)
        entry["lost"] = (
            _lost(steps, (manifest.folder if entry["status"] == "done" else new) / stem) if steps.exists() else []
        )
        entry["seconds"] = round(time.monotonic() - began, 1)


def _page(folder: Path, stem: str, manifest: Manifest) -> None:
    """Write the page of a notebook that was executed into a folder."""
    entries = manifest.notebooks
    shown = entries[stem]
    if folder != manifest.folder:  # this is the new one's page: what its entry keeps of an older one is not shown there
        shown = {name: value for name, value in shown.items() if name != "kept"}
    else:
        shown = shown.get("kept", shown)
    told = pages.Told(manifest.content, shown)
    pages.export(folder / f"{stem}.ipynb", entries[stem]["title"], entries, told)


def _place(folder: Path, stem: str, entry: dict[str, Any]) -> None:
    """Put what a notebook left in its place; a failed one goes beside older results."""
    if entry["error"] and "kept" in entry:
        folders.place_failed(folder, stem)
        return
    folders.place(folder, stem)
    entry.pop("kept", None)


def _used(steps: Path) -> dict[str, Any]:
    """Return the usage of a notebook's steps; a kernel that did not start has none."""
    return progress.used(steps) if steps.exists() else {}


def _lost(steps: Path, recorded: Path) -> list[str]:
    """Return the steps of a notebook more than half of whose items failed, such as 'judging: 48 of 48 items failed'.

    If there are any, the commonest failure that the tables of the folder `recorded` tell follows: 'mostly: no verdict'.
    """
    counts: dict[str, list[int]] = {}
    for ask in progress.asks(steps):
        done, failed = counts.setdefault(ask["step"], [0, 0])
        counts[ask["step"]] = [done + ask["done"], failed + ask["usage"]["failed"]]
    lost = [f"{step}: {min(f, n)} of {counted(n, 'item')} failed" for step, (n, f) in counts.items() if 2 * f > n]
    return lost + _commonest(sorted(recorded.glob("tables/*.parquet"))) if lost else []


def _commonest(tables: Sequence[Path]) -> list[str]:
    """Return the commonest failure that recorded tables tell as 'mostly: ...'; nothing if they tell none."""
    known = [(path, [name for name in pq.read_schema(path).names if name.endswith("failure")]) for path in tables]
    told = [pd.read_parquet(path, columns=names).stack() for path, names in known if names]
    reasons = pd.concat(told).dropna().astype(str).value_counts() if told else pd.Series(dtype=int)
    return [f"mostly: {reason}" for reason in reasons.index[:1]]
