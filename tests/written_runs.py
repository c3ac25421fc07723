"""Folders of runs as a run leaves them, with scores that a test chooses: no notebook is executed."""

import json
from pathlib import Path
from typing import Any

import pandas as pd

from persona_lib.model.limits.usage import COUNTS
from persona_lib.runs.results import manifests

NOTEBOOK = "06_conditioning"
USED = dict.fromkeys(COUNTS, 0) | {"calls": 3, "cost": 0.5}


def results(scores: dict[str, list[float | None]], start: int = 0, **more: Any) -> pd.DataFrame:
    """Return a table of results: each condition's scores on the same items, whose prompts begin with `start`."""
    rows = [
        {"persona_id": f"p{i % 12}", "prompt_id": f"q{(i + start) // 3}", "condition": condition, "score": score}
        for condition, column in scores.items()
        for i, score in enumerate(column)
    ]
    return pd.DataFrame(rows).assign(template="x", **more)


def write(folder: Path, table: pd.DataFrame | None, parameters: dict[str, Any] | None = None, **entry: Any) -> Path:
    """Write the folder of a run of notebook 06.

    Args:
        folder: of the run.
        table: of its results; None if the notebook recorded nothing.
        parameters: of the notebook.
        entry: parts of its entry in the manifest that differ from the usual ones.
    """
    own = {"title": "Conditioning", "parameters": parameters or {}, "status": "done", "error": None, "seconds": 2.0}
    own |= {"steps": {"answers": USED}, "run": "2026-01-02T10:00:00.000+00:00"}
    if table is not None:
        own |= {"headline": "It helps.", "metrics": {"items": len(table)}, "tables": ["results"], "models": []}
        (folder / NOTEBOOK / "tables").mkdir(parents=True)
        table.to_parquet(folder / NOTEBOOK / "tables" / "results.parquet")
    content = {
        "status": "done",
        "preset": {"name": "smoke", "about": "A trial."},
        "started": own["run"],
        "versions": {},
        "git": {"commit": "c" * 40, "dirty": False},
        "notebooks": {NOTEBOOK: own | entry},
        "usage": USED,
        "seconds": 2.0,
        "before": None,
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / manifests.NAME).write_text(json.dumps(content))
    return folder


def change(folder: Path, **parts: Any) -> None:
    """Change parts of the manifest of a run."""
    path = folder / manifests.NAME
    path.write_text(json.dumps(json.loads(path.read_text()) | parts))
