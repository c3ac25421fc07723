"""Runs: the notebooks of a preset executed with papermill, and the folder and manifest that they leave behind.

The last cell of every notebook calls `record`; `persona run --preset smoke` does the rest.
"""

import json
import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib
import pandas as pd

from . import files, manifests
from .model import progress

if TYPE_CHECKING:  # a notebook, which only records, does not wait for what executes notebooks
    from matplotlib.axes import Axes

    from .presets import Preset

MARGIN = 0.1  # inches around a figure


def record(
    out: str | None,
    *,
    headline: str,
    metrics: Mapping[str, Any],
    tables: Mapping[str, pd.DataFrame],
    figures: Mapping[str, "Axes"],
    models: Sequence = (),
) -> pd.DataFrame:
    """Keep what a notebook found; its last cell calls this.

    Args:
        out: the notebook's folder in a run; None writes nothing.
        headline: the result as one sentence.
        metrics: name -> number or text; NaN means missing.
        tables: name -> table, written as tables/NAME.parquet and .csv.
        figures: name -> Axes, written as figures/NAME.png and .svg; the first is the key figure.
        models: what was asked; the `identity`, `usage` and `steps` (usage by step) of each are kept.

    Returns:
        The metrics as a small table to be shown: index `metric`, column `value`.
    """
    if out is not None:
        folder = Path(out)
        for kind in ("tables", "figures"):
            (folder / kind).mkdir(parents=True, exist_ok=True)
        for name, table in tables.items():
            _write_table(table, folder / "tables" / name)
        for name, axes in figures.items():
            _write_figure(axes, folder / "figures" / name)
        found = {"headline": headline, "metrics": metrics, "figure": next(iter(figures), None)}
        found |= {"tables": list(tables), "figures": list(figures)}
        found["models"] = [{"identity": m.identity, "usage": m.usage, "steps": m.steps} for m in models]
        files.write_json(folder / "record.json", found)
    return pd.DataFrame({"value": pd.Series(dict(metrics), dtype=object)}).rename_axis("metric")


def _write_table(table: pd.DataFrame, stem: Path) -> None:
    """Write a table as parquet and CSV; mere row numbers stay out of the CSV."""
    numbered = isinstance(table.index, pd.RangeIndex) and table.index.name is None
    table.to_parquet(f"{stem}.parquet")
    table.to_csv(f"{stem}.csv", index=not numbered)


def _write_figure(axes: "Axes", stem: Path) -> None:
    """Write a figure as PNG, and as an SVG that has the same bytes each time."""
    figure = axes.figure
    # bbox_inches="tight" would lay out and draw twice for each of the two.
    if figure.get_layout_engine():
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
    box = figure.get_tightbbox().padded(MARGIN)
    with matplotlib.rc_context({"svg.hashsalt": "persona"}):
        figure.savefig(f"{stem}.png", dpi=160, bbox_inches=box)
        figure.savefig(f"{stem}.svg", bbox_inches=box, metadata={"Date": None})


def run(
    preset: "Preset",
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
    from . import pages, presets

    limits = {"max_calls": max_calls, "max_cost": max_cost}
    folder = folder.absolute()
    manifests.clear(folder)
    titles = {stem: pages.title(presets.notebook(stem)) for stem in planned}
    entries = {s: {"title": titles[s], "parameters": _with_out(planned[s], folder / s)} for s in planned}
    manifest = manifests.begun(preset.name, preset.about, entries) | {"budget": limits}
    began = time.monotonic()
    try:
        _run_notebooks(manifest, folder, limits, began)
        failed = any(entry["status"] == "failed" for entry in manifest["notebooks"].values())
        manifest["status"] = "failed" if failed else "done"
    except BaseException as error:
        manifest["status"] = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
        raise
    finally:
        manifest["ended"] = manifests.now()
        _save(manifest, folder, began)
    return manifest


def _with_out(values: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Parameters with the notebook's own folder, named so that a mailed notebook does not tell where its user lives."""
    return values | ({"out": os.path.relpath(folder, files.ROOT / "notebooks")} if "out" in values else {})


def _save(manifest: dict[str, Any], folder: Path, began: float) -> None:
    """Write manifest and index page as things stand: the page can be read while the run goes on."""
    from . import pages

    manifest["seconds"] = round(time.monotonic() - began, 1)
    manifests.save(manifest, folder)
    (folder / "index.html").write_text(pages.index(manifest), "utf-8")


def _run_notebooks(manifest: dict[str, Any], folder: Path, limits: Mapping[str, float | None], began: float) -> None:
    """Execute the notebooks one after the other; each may use what those before it have left of the limits."""
    from .model import budget

    spent = 0.0  # also where nobody tells what a call did cost
    with tempfile.TemporaryDirectory() as temporary:
        for stem, entry in manifest["notebooks"].items():
            entry["status"] = "running"
            _save(manifest, folder, began)
            before = {"calls": manifest["usage"]["calls"], "cost": spent}
            allowed = {budget.VARIABLE: json.dumps(limits | before)}
            steps = Path(temporary) / f"{stem}.jsonl"
            _run_notebook(stem, entry, folder, steps, allowed)
            spent += progress.booked(steps) if steps.exists() else 0.0


def _run_notebook(stem: str, entry: dict[str, Any], folder: Path, steps: Path, environment: dict[str, str]) -> None:
    """Execute a notebook, write its page, and enter what became of it and what it used."""
    from . import kernels, pages

    entry["started"] = manifests.now()
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
