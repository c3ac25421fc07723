"""A run: execute the notebooks of a preset with papermill and write its folder, manifest and pages."""

import json
import os
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .. import files
from ..model import budget, progress
from ..store.store import utc_now
from . import kernels, notebooks, pages
from .manifests import Manifest, clear
from .presets import Preset


def run(
    preset: Preset,
    planned: Mapping[str, dict[str, Any]],
    folder: Path,
    max_calls: int | None = None,
    max_cost: float | None = None,
) -> dict[str, Any]:
    """Execute notebooks into a folder; if one fails, the others run all the same.

    Args:
        preset: gives the run its name and says what it is for.
        planned: each notebook with all its parameters, from `presets.plan`.
        folder: where the run goes; it replaces an earlier run there.
        max_calls: the most model calls of all notebooks together; a notebook that needs more fails.
        max_cost: the most USD that they may spend together.

    Returns:
        The content of the manifest. The folder then has manifest.json and index.html.

    Raises:
        UserError: the folder contains something other than an earlier run.
        KeyboardInterrupt: Ctrl-C; the kernel has ended and the manifest says so.
    """
    limits = {"max_calls": max_calls, "max_cost": max_cost}
    folder = folder.absolute()
    clear(folder)
    entries = {
        stem: {"title": notebooks.find(stem).title, "parameters": _with_out(values, folder / stem)}
        for stem, values in planned.items()
    }
    manifest = Manifest(folder, preset.name, preset.about, entries, limits)
    try:
        _run_notebooks(manifest, limits)
        failed = any(entry["status"] == "failed" for entry in manifest.notebooks.values())
        manifest.content["status"] = "failed" if failed else "done"
    except BaseException as error:
        manifest.content["status"] = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
        raise
    finally:
        manifest.content["ended"] = utc_now()
        _save(manifest)
    return manifest.content


def _with_out(values: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return parameters with the notebook's own folder as `out`, if it has that parameter.

    The path is relative to notebooks/, so that a mailed notebook does not reveal the user's home folder.
    """
    return values | ({"out": os.path.relpath(folder, notebooks.folder())} if "out" in values else {})


def _save(manifest: Manifest) -> None:
    """Write the manifest and the index page, which can be read while the run goes on."""
    manifest.save()
    files.write_text(manifest.folder / "index.html", pages.index(manifest.content))


def _run_notebooks(manifest: Manifest, limits: Mapping[str, float | None]) -> None:
    """Execute the notebooks one after the other; each may use what the earlier ones left of the limits."""
    spent = 0.0  # USD as booked by budgets: also counts calls whose cost no endpoint told
    with tempfile.TemporaryDirectory() as temporary:
        for stem, entry in manifest.notebooks.items():
            entry["status"] = "running"
            _save(manifest)
            used = {"calls": manifest.content["usage"]["calls"], "cost": spent}
            environment = {budget.VARIABLE: json.dumps({**limits, **used})}
            steps = Path(temporary) / f"{stem}.jsonl"
            _run_notebook(stem, manifest, steps, environment)
            spent += progress.booked(steps) if steps.exists() else 0.0


def _run_notebook(stem: str, manifest: Manifest, steps: Path, environment: dict[str, str]) -> None:
    """Execute a notebook, write its page, and enter its results, status and usage in its entry of the manifest."""
    entry = manifest.notebooks[stem]
    entry["started"] = utc_now()
    began = time.monotonic()
    executed = manifest.folder / f"{stem}.ipynb"
    recorded = manifest.folder / stem / "record.json"
    try:
        entry["error"] = kernels.execute(stem, entry["parameters"], executed, steps, environment)
        entry["status"] = "failed" if entry["error"] else "done"
        if recorded.is_file():
            entry |= json.loads(recorded.read_text("utf-8"))
        pages.export(executed, entry["title"], manifest.notebooks)
    except BaseException as error:
        entry["status"] = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
        raise
    finally:
        entry["steps"] = progress.used(steps) if steps.exists() else {}
        entry["seconds"] = round(time.monotonic() - began, 1)
