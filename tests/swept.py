"""A stand-in for runs of a sweep: each writes the folder that a run leaves, with numbers that a test chooses."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from projects import write_notebook, write_preset

from persona_lib.model.limits.usage import COUNTS
from persona_lib.personas import ids
from persona_lib.runs.results import manifests

NOTEBOOK = "01_ask"
PARAMETERS = (
    'model = "m"\nbase_url = None\njudge = None\nsize = 8\nnames = ["a"]\nseed = 0\nrecording = None\nout = None'
)
USED = dict.fromkeys(COUNTS, 0) | {"calls": 5, "cost": 0.5}


def write_project(root: Path, *cells: str) -> Path:
    """Write a project with a notebook of these cells, and a preset that lists it."""
    write_notebook(root, NOTEBOOK, *cells, parameters=PARAMETERS)
    write_preset(root, "smoke", f"about: Asks.\nnotebooks: {{{NOTEBOOK}: }}")
    return root


def found(value: float | None, model: str, unit: str = "points") -> dict[str, Any]:
    """Return what a notebook records."""
    ends = (None, None) if value is None else (value - 0.1, value + 0.1)
    interval = dict(zip(("value", "low", "high", "n"), (value, *ends, 40), strict=True))
    return {
        "headline": f"{model} keeps more.",
        "finding": interval | {"says": f"{model} keeps more when told", "unit": unit, "against": ""},
        "metrics": {f"kept, {model}, direct": interval, "items": 40, "lowest group": "old", "whole": True},
        "models": [],
    }


class Runs:
    """A stand-in for `run.run` that notes what it was told; `finds` returns parts of a notebook's entry, or raises."""

    def __init__(self, finds: Callable[[dict[str, Any]], dict[str, Any]] | None = None):
        self.finds = finds or (lambda values: found(values["size"] / 100 + values["seed"] / 50, values["model"]))
        self.told: list[tuple[str, float | None, float | None]] = []
        self.used = USED

    def __call__(self, preset, planned, folder, max_calls, max_cost, say, jobs, cluster):
        self.how = jobs, cluster
        self.told.append((folder.name, max_calls, max_cost))
        now = manifests._now()
        entries = {}
        for stem, values in planned.items():
            entry = {"title": "Does it help?", "status": "done", "error": None, "seconds": 1.0, "run": now}
            entry |= {"parameters": json.loads(json.dumps(values)), "steps": {"answers": self.used}}
            entries[stem] = entry | {"people": ids.drawn_from(), "usage": self.used} | self.finds(values)
        content = {"status": "done", "preset": {"name": preset.name, "about": preset.about}, "started": now}
        content |= {"versions": {}, "notebooks": entries, "usage": self.used, "seconds": 1.0, "before": None}
        folder.mkdir(parents=True, exist_ok=True)
        (folder / manifests.NAME).write_text(json.dumps(content))
        (folder / "index.html").write_text("a run")
        return content


def failed(name: str, message: str = "it went wrong") -> dict[str, Any]:
    """Return the parts of the entry of a notebook that an error ended."""
    return {"status": "failed", "error": {"name": name, "message": message}}
