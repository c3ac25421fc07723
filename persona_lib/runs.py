"""Runs: the notebooks of a preset executed with papermill, and the folder and manifest that they leave behind.

The last cell of every notebook calls `record`; `persona run --preset smoke` does the rest.
"""

import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from platform import platform, python_version
from typing import TYPE_CHECKING, Any

import matplotlib
import numpy as np
import pandas as pd

from . import UserError, store

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .presets import Preset

MANIFEST = "manifest.json"
COUNTS = ("calls", "cached", "retried", "failed", "tokens_in", "tokens_out", "tokens_cached")


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
        models: what was asked; the `identity` and `usage` of each are kept.

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
        found["models"] = [{"identity": m.identity, "usage": m.usage} for m in models]
        _write_json(found, folder / "record.json")
    return pd.DataFrame({"value": pd.Series(dict(metrics), dtype=object)}).rename_axis("metric")


def _write_table(table: pd.DataFrame, stem: Path) -> None:
    """Write a table as parquet and CSV; mere row numbers stay out of the CSV."""
    numbered = isinstance(table.index, pd.RangeIndex) and table.index.name is None
    table.to_parquet(f"{stem}.parquet")
    table.to_csv(f"{stem}.csv", index=not numbered)


def _write_figure(axes: "Axes", stem: Path) -> None:
    """Write a figure as PNG, and as an SVG that has the same bytes each time."""
    with matplotlib.rc_context({"svg.hashsalt": "persona"}):
        axes.figure.savefig(f"{stem}.png", dpi=160, bbox_inches="tight")
        axes.figure.savefig(f"{stem}.svg", bbox_inches="tight", metadata={"Date": None})


def _write_json(content: Mapping[str, Any], path: Path) -> None:
    """Write a JSON file at once: a reader sees the old one or the new one, never half of it."""
    half = path.with_name(f".{path.name}.part")
    half.write_text(json.dumps(_plain(content), indent=1, ensure_ascii=False, allow_nan=False) + "\n", "utf-8")
    half.replace(path)


def _plain(value: Any) -> Any:
    """A value that JSON knows: numpy's scalars as Python's, missing and infinite ones as None."""
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [_plain(v) for v in value]
    value = value.item() if isinstance(value, np.generic) else value
    if value is pd.NA or value is pd.NaT or (isinstance(value, float) and not np.isfinite(value)):
        return None
    return value if isinstance(value, (str, int, float, type(None))) else str(value)


def run(preset: "Preset", planned: Mapping[str, dict], folder: Path) -> dict[str, Any]:
    """Execute notebooks into a folder, each whatever became of the others.

    Args:
        preset: what the run is called and for.
        planned: each notebook with all its parameters, from `presets.plan`.
        folder: where the run goes; an earlier run there is replaced.

    Returns:
        The manifest, which also lies in the folder, as does index.html.

    Raises:
        UserError: the folder holds something else than an earlier run.
        KeyboardInterrupt: Ctrl-C; the kernel is gone and the manifest says so.
    """
    folder = folder.absolute()
    _clear(folder)
    manifest = _begun(preset, planned, folder)
    began = time.monotonic()
    try:
        for stem, entry in manifest["notebooks"].items():
            _save(manifest, folder, began)
            _run_notebook(stem, entry, folder)
        states = {entry["status"] for entry in manifest["notebooks"].values()}
        manifest["status"] = "failed" if "failed" in states else "done"
    except BaseException as error:
        manifest["status"] = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
        raise
    finally:
        manifest["ended"] = _now()
        _save(manifest, folder, began)
    return manifest


def _clear(folder: Path) -> None:
    """Remove the files of an earlier run, and only those; refuse a folder that is used for something else."""
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir()) and not (folder / MANIFEST).is_file()):
        raise UserError(f"{folder} holds something else than an earlier run: choose another folder with --out")
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / MANIFEST).is_file():
        return
    try:
        stems = [s for s in json.loads((folder / MANIFEST).read_text("utf-8"))["notebooks"] if Path(s).name == s]
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{folder / MANIFEST} is not of a run: choose another folder with --out") from None
    for stem in stems:
        for name in (f"{stem}.ipynb", f"{stem}.html", f"{stem}/record.json"):
            (folder / name).unlink(missing_ok=True)
        for kind in ("tables", "figures"):
            shutil.rmtree(folder / stem / kind, ignore_errors=True)


def _begun(preset: "Preset", planned: Mapping[str, dict], folder: Path) -> dict[str, Any]:
    """The manifest of a run that begins."""
    from . import pages, presets

    notebooks = {}
    for stem, values in planned.items():
        if "out" in values:
            # Relative to the notebooks' folder: an executed notebook should not tell where its user lives.
            values = values | {"out": os.path.relpath(folder / stem, presets.notebook(stem).parent)}
        entry = {"status": "waiting", "title": pages.title(presets.notebook(stem)), "parameters": values}
        notebooks[stem] = entry | {"error": None, "seconds": 0.0}
    seeds = {stem: {k: v for k, v in e["parameters"].items() if "seed" in k} for stem, e in notebooks.items()}
    return {
        "status": "running",
        "preset": {"name": preset.name, "about": preset.about},
        "started": _now(),
        "versions": {"python": python_version(), "platform": platform()} | versions(),
        **_git(),
        "seeds": seeds,
        "notebooks": notebooks,
    }


def _run_notebook(stem: str, entry: dict[str, Any], folder: Path) -> None:
    """Execute a notebook, write its pages, and enter what became of it."""
    from . import pages

    entry |= {"status": "running", "started": _now()}
    began = time.monotonic()
    try:
        entry["error"] = _execute(stem, entry["parameters"], folder / f"{stem}.ipynb")
        entry["status"] = "failed" if entry["error"] else "done"
        recorded = folder / stem / "record.json"
        entry |= json.loads(recorded.read_text("utf-8")) if recorded.is_file() else {}
        pages.export(folder / f"{stem}.ipynb", entry["title"])
    except KeyboardInterrupt:
        entry["status"] = "interrupted"
        raise
    finally:
        entry["seconds"] = round(time.monotonic() - began, 1)


def _execute(stem: str, parameters: dict[str, Any], target: Path) -> dict[str, str] | None:
    """Run a notebook with papermill in a kernel of this interpreter; returns its error, if it has one."""
    import papermill
    from nbclient.exceptions import DeadKernelError

    from . import presets
    from .progress import Progress

    source = presets.notebook(stem)
    defaults = presets.parameters(source)
    changed = {name: value for name, value in parameters.items() if value != defaults[name]}
    with tempfile.TemporaryDirectory() as temporary:
        steps = Path(temporary) / "steps.jsonl"
        steps.touch()
        cells = sum(cell.cell_type == "code" for cell in presets.read(source).cells) + 1  # papermill's own
        with Progress(stem, cells, steps) as progress:
            try:
                papermill.execute_notebook(
                    source,
                    target,
                    changed,
                    kernel_name="python3",
                    language="python",
                    progress_bar=False,
                    cwd=source.parent,
                    kernel_manager_class=_kernel(steps),
                    on_cell_executed=progress.cell_done,
                )
            except papermill.PapermillExecutionError as error:
                return {"name": error.ename, "message": _one_line(error.evalue)}
            except (DeadKernelError, RuntimeError) as error:
                return {"name": type(error).__name__, "message": _one_line(str(error))}
    return None


def _kernel(steps: Path) -> type:
    """The kernel of this interpreter, wherever a kernel named python3 on this machine may point."""
    from ipykernel.kernelspec import get_kernel_dict
    from jupyter_client import AsyncKernelManager
    from jupyter_client.kernelspec import KernelSpec

    ours = {"PERSONA_PROGRESS": str(steps), "PERSONA_STORE": str(store.default_path().absolute())}

    class Kernel(AsyncKernelManager):
        kernel_spec = KernelSpec(**get_kernel_dict(["--log-level=CRITICAL"]) | {"env": ours})

    return Kernel


def _one_line(message: str) -> str:
    """The first line of an error's message without terminal colours, at most 300 characters."""
    lines = re.sub(r"\x1b\[[0-9;]*m", "", message).strip().splitlines() or [""]
    return lines[0] if len(lines[0]) <= 300 else lines[0][:299] + "…"


def _save(manifest: dict[str, Any], folder: Path, began: float) -> None:
    """Write manifest and index page as things stand: the page can be read while the run goes on."""
    from . import pages

    entries = [entry for entry in manifest["notebooks"].values() if "models" in entry]
    for entry in entries:
        entry["usage"] = _total(m["usage"] for m in entry["models"])
    asked = [m["identity"] for entry in entries for m in entry["models"]]
    manifest["models"] = [m for i, m in enumerate(asked) if m not in asked[:i]]
    manifest["usage"] = _total(entry["usage"] for entry in entries)
    manifest["seconds"] = round(time.monotonic() - began, 1)
    _write_json(manifest, folder / MANIFEST)
    (folder / "index.html").write_text(pages.index(manifest), "utf-8")


def _total(usages: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Sum of usages; the cost is unknown where calls were made at no known price."""
    usages = list(usages)
    total: dict[str, Any] = {count: sum(u.get(count, 0) for u in usages) for count in COUNTS}
    unknown = any(u["cost"] is None and u["calls"] for u in usages)
    return total | {"cost": None if unknown else sum(u["cost"] or 0 for u in usages)}


def versions() -> dict[str, str | None]:
    """The installed version of this package and of each library that it needs; None where one is missing."""
    needed = [r for r in metadata.requires("persona-workbench") or [] if "extra ==" not in r]
    found: dict[str, str | None] = {}
    for name in ["persona-workbench", *(re.match(r"[\w.-]+", r)[0] for r in needed)]:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = None
    return found


def _git() -> dict[str, Any]:
    """The commit and whether files differ from it; nothing outside a git checkout of our own."""
    git = ["git", "-C", str(store.ROOT)]
    try:
        shown = subprocess.run([*git, "rev-parse", "--show-toplevel", "HEAD"], capture_output=True, text=True)
        top, commit = shown.stdout.split("\n")[:2]
        if shown.returncode or Path(top) != store.ROOT.resolve():
            return {}
        changed = subprocess.run([*git, "status", "--porcelain"], capture_output=True, text=True).stdout
    except (OSError, ValueError):
        return {}
    return {"git": {"commit": commit, "dirty": bool(changed)}}


def _now() -> str:
    """The time in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")
