"""A run: the notebooks of a preset executed with papermill, and the folder and manifest that they leave behind."""

import json
import os
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..model import budget, progress
from . import kernels, notebooks, pages
from .manifests import Manifest, clear, now
from .presets import Preset


def run(
    preset: Preset,
    planned: Mapping[str, dict],
    folder: Path,
    max_calls: int | None = None,
    max_cost: float | None = None,
) -> dict[str, Any]:
    """Execute notebooks into a folder, each whatever became of the others.

    Args:
        preset: what the run is called and for.
        planned: each notebook with all its parameters, from `presets.plan`.
        folder: where the run goes; an earlier run there is replaced.
        max_calls: the most calls that all notebooks together may make; a notebook that needs more fails.
        max_cost: the most USD that they may spend.

    Returns:
        The manifest, which also lies in the folder, as does index.html.

    Raises:
        UserError: the folder holds something else than an earlier run.
        KeyboardInterrupt: Ctrl-C; the kernel is gone and the manifest says so.
    """
    limits = {"max_calls": max_calls, "max_cost": max_cost}
    folder = folder.absolute()
    clear(folder)
    titles = {stem: notebooks.find(stem).title for stem in planned}
    entries = {s: {"title": titles[s], "parameters": _with_out(planned[s], folder / s)} for s in planned}
    manifest = Manifest(folder, preset.name, preset.about, entries, limits)
    try:
        _run_notebooks(manifest, limits)
        failed = any(entry["status"] == "failed" for entry in manifest.notebooks.values())
        manifest.content["status"] = "failed" if failed else "done"
    except BaseException as error:
        manifest.content["status"] = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
        raise
    finally:
        manifest.content["ended"] = now()
        _save(manifest)
    return manifest.content


def _with_out(values: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Parameters with the notebook's own folder, named so that a mailed notebook does not tell where its user lives."""
    return values | ({"out": os.path.relpath(folder, notebooks.folder())} if "out" in values else {})


def _save(manifest: Manifest) -> None:
    """Write manifest and index page as things stand: the page can be read while the run goes on."""
    manifest.save()
    (manifest.folder / "index.html").write_text(pages.index(manifest.content), "utf-8")


def _run_notebooks(manifest: Manifest, limits: Mapping[str, float | None]) -> None:
    """Execute the notebooks one after the other; each may use what those before it have left of the limits."""
    spent = 0.0  # also where no endpoint says what a call did cost
    with tempfile.TemporaryDirectory() as temporary:
        for stem, entry in manifest.notebooks.items():
            entry["status"] = "running"
            _save(manifest)
            before = {"calls": manifest.content["usage"]["calls"], "cost": spent}
            allowed = {budget.VARIABLE: json.dumps({**limits, **before})}
            steps = Path(temporary) / f"{stem}.jsonl"
            _run_notebook(stem, entry, manifest.folder, steps, allowed)
            spent += progress.booked(steps) if steps.exists() else 0.0


def _run_notebook(stem: str, entry: dict[str, Any], folder: Path, steps: Path, environment: dict[str, str]) -> None:
    """Execute a notebook, write its page, and enter what became of it and what it used."""
    entry["started"] = now()
    began = time.monotonic()
    target, recorded = folder / f"{stem}.ipynb", folder / stem / "record.json"
    try:
        entry["error"] = kernels.execute(stem, entry["parameters"], target, steps, environment)
        entry["status"] = "failed" if entry["error"] else "done"
        entry |= json.loads(recorded.read_text("utf-8")) if recorded.is_file() else {}
        pages.export(target, entry["title"])
    except BaseException as error:
        entry["status"] = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
        raise
    finally:
        entry["steps"] = progress.used(steps) if steps.exists() else {}
        entry["seconds"] = round(time.monotonic() - began, 1)
