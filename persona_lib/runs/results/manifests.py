"""Manifests: manifest.json tells what a run executed, with which versions, how it ended and what it used.

A run writes it before the first notebook and after each. It contains no key, no header and nothing of the environment.
A run in a folder with an earlier one takes over the entries of the notebooks that it does not execute.
"""

import json
import re
import subprocess
import time
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from platform import platform, python_version
from typing import Any

from ... import UserError, files
from ...model.asking import progress
from ...model.limits.usage import COUNTS, total
from ...personas import ids
from . import folders

NAME = "manifest.json"
PACKAGE = "persona-workbench"


def read(folder: Path) -> dict[str, Any] | None:
    """Return the manifest of the run in a folder; None if the folder is missing or empty.

    What older versions of this package wrote gets the entries that it lacks.

    Raises:
        UserError: the folder contains something other than a run.
    """
    if folders.is_empty(folder):
        return None
    try:
        content = json.loads((folder / NAME).read_text("utf-8"))
        entries = {stem: entry for stem, entry in content["notebooks"].items() if _is_whole(stem, entry)}
        for entry in entries.values():
            entry.setdefault("run", content["started"])
            entry["steps"] = {step: _COUNTED | used for step, used in entry["steps"].items()}
            entry["usage"] = total(entry["steps"].values())
        if "usage" in content:  # which a run that is going on lacks
            content["usage"] = _COUNTED | content["usage"]
        return content | {"status": str(content["status"]), "versions": dict(content["versions"]), "notebooks": entries}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise UserError(f"{folder} contains something other than an earlier run: choose a folder with --out") from None


_COUNTED = dict.fromkeys(COUNTS, 0) | {"cost": None}


def _is_whole(stem: str, entry: Mapping[str, Any]) -> bool:
    """Return whether an entry of a manifest can stand on a page, under the name of a file in the folder itself."""
    needed = ("title", "parameters", "status", "error", "seconds", "steps")
    return Path(stem).name == stem and stem not in ("", ".", "..") and all(name in entry for name in needed)


def of_other_people(folder: Path, planned: Collection[str] = ()) -> list[str]:
    """Return a line if notebooks of the run in a folder have people whom this version draws otherwise.

    Args:
        folder: of a run, or of nothing.
        planned: notebooks that are to be replaced.
    """
    entries = (read(folder) or {"notebooks": {}})["notebooks"]
    draws = {"n", "personas"}  # parameters of notebooks that draw people
    old = [
        stem.partition("_")[0]
        for stem, entry in entries.items()
        if stem not in planned and draws & set(entry["parameters"]) and entry.get("people") != ids.drawn_from()
    ]
    if not old:
        return []
    what = f"{folder} has notebooks of people whom another version drew ({', '.join(old)})"
    return [f"{what}: they do not fit those of this version; run them again, or choose another folder"]


def correct(content: dict[str, Any], folder: Path) -> None:
    """Correct the manifest of a run that says 'running', though its process was killed."""
    if content["status"] != "running":
        return
    seen = (folder / NAME).stat().st_mtime
    for stem, entry in content["notebooks"].items():
        if entry["status"] == "running":
            entry["status"] = "killed"
            steps = folder / folders.NEW / f"{stem}.jsonl"
            if steps.is_file():
                seen = max(seen, steps.stat().st_mtime)
                entry["steps"] = progress.used(steps)
                entry["usage"] = total(entry["steps"].values())
            entry["seconds"] = round(
                max(0.0, seen - datetime.fromisoformat(entry.get("started", content["started"])).timestamp()), 1
            )
    _close(content, "killed", _text(datetime.fromtimestamp(seen, UTC)))
    own = [entry for entry in content["notebooks"].values() if entry["run"] == content["started"]]
    content["usage"] = total(entry["usage"] for entry in own)


def _now() -> str:
    """Return the time; the start of a run also is its name, so it takes more than seconds."""
    return _text(datetime.now(UTC))


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds")


def _close(content: dict[str, Any], status: str, ended: str) -> None:
    """Enter how and when a run ended; what still waits was not run."""
    content |= {"status": status, "ended": ended}
    for name in ("address", "asking"):  # of workers, while they are needed
        content.get("cluster", {}).pop(name, None)
    for entry in content["notebooks"].values():
        if entry["status"] == "waiting":
            entry["status"] = "not run"


class Manifest:
    """A run's manifest at any moment.

    `content` is what the file holds, `notebooks` the part of it with one entry per notebook in the folder, `planned`
    those of this run. An entry has `title`, `parameters`, `status`, `error`, `seconds`, `steps` (usage by step),
    `usage`, `run` (when the run began that executed it), `people` (`ids.drawn_from`), and what the notebook recorded.
    It may have `kept`, the entry of older results that stay in the folder until new ones are done, and `before`, the
    `seconds` and `usage` of earlier executions with the same parameters.

    The content's `usage` and `seconds` are of this run. Its `before` is what else the results in the folder took in
    earlier runs, or None; `earlier` describes those of them that results come from. `cluster`, where there is one, has
    the number of its `workers` and of those `lost`, and what this run dealt to them: `shards`, `requests`, how many of
    these are `answered`, and `repeated` shards.

    Args:
        folder: of the run.
        preset: its name.
        about: what the preset is for.
        notebooks: the title and parameters of each.
        limits: what the run may use.
        earlier: the manifest that is in the folder.
    """

    def __init__(
        self,
        folder: Path,
        preset: str,
        about: str,
        notebooks: Mapping[str, Mapping[str, Any]],
        limits: Mapping[str, float | None],
        earlier: Mapping[str, Any] | None = None,
    ):
        self.folder = folder
        started = _now()
        there = dict(earlier["notebooks"]) if earlier else {}
        self.planned = {stem: _begun(entry, started, there.get(stem)) for stem, entry in notebooks.items()}
        self.notebooks: dict[str, dict[str, Any]] = dict(sorted((there | self.planned).items()))
        self._earlier = [*earlier.get("earlier", ()), _told(earlier)] if earlier else []
        self.content: dict[str, Any] = {
            "status": "running",
            "preset": {"name": preset, "about": about},
            "started": started,
            "versions": {"python": python_version(), "platform": platform()} | versions(),
            **_git(),
            "seeds": {stem: _seeds(entry["parameters"]) for stem, entry in self.notebooks.items()},
            "notebooks": self.notebooks,
            "budget": dict(limits),
        }
        self._began = time.monotonic()

    def save(self) -> None:
        """Add up what the notebooks have used so far and write the file."""
        for entry in self.planned.values():
            entry["usage"] = total(entry["steps"].values())
        standing = [entry if "models" in entry else entry.get("kept", entry) for entry in self.notebooks.values()]
        asked = [model["identity"] for entry in standing for model in entry.get("models", ())]
        self.content["models"] = [identity for i, identity in enumerate(asked) if identity not in asked[:i]]
        self.content["usage"] = total(entry["usage"] for entry in self.planned.values())
        self.content["seconds"] = round(time.monotonic() - self._began, 1)
        before = [entry["before"] for entry in self.planned.values() if "before" in entry]
        before += [_taken(entry) for stem, entry in self.notebooks.items() if stem not in self.planned]
        self.content["before"] = _sum(before) if before else None
        named = {e["run"] for entry in self.notebooks.values() for e in (entry, entry.get("kept", entry))}
        self.content["earlier"] = [run for run in self._earlier if run["started"] in named]
        files.write_json(self.folder / NAME, self.content)

    def close(self, status: str) -> None:
        """Enter how the run ended."""
        _close(self.content, status, _now())


def _begun(entry: Mapping[str, Any], started: str, old: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the entry of a notebook that waits, with what stays of an old entry."""
    new = {"status": "waiting", "error": None, "seconds": 0.0, "steps": {}, "run": started, **entry}
    new["people"] = ids.drawn_from()
    new["parameters"] = json.loads(json.dumps(new["parameters"], default=str))  # as they are read again
    if old:
        kept = old if old["status"] == "done" else old.get("kept")
        if kept:
            new["kept"] = {name: value for name, value in kept.items() if name != "kept"}
        if same := [e for e in (old, kept) if e and e["parameters"] == new["parameters"]]:
            new["before"] = _taken(same[0])
    return new


def _taken(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return the seconds and the usage of an entry's executions, the last one and those before."""
    return _sum([entry, *([entry["before"]] if "before" in entry else [])])


def _sum(taken: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "seconds": round(sum(one["seconds"] for one in taken), 1),
        "usage": total(one["usage"] for one in taken),
    }


def _told(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return what describes an earlier run."""
    names = ("started", "ended", "status", "preset", "versions", "git", "budget", "seconds", "usage")
    return {name: content[name] for name in names if name in content}


def _seeds(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters whose name contains `seed`."""
    return {name: value for name, value in parameters.items() if "seed" in name}


def versions() -> dict[str, str | None]:
    """Return the installed version of this package and of each library that it requires; None if one is missing."""
    required = [r for r in metadata.requires(PACKAGE) or [] if "extra ==" not in r]
    names = [re.split(r"[^\w.-]", requirement)[0] for requirement in required]
    found: dict[str, str | None] = {}
    for name in [PACKAGE, *names]:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = None
    return found


def _git() -> dict[str, Any]:
    """Return the commit and whether files differ from it; nothing if the project is not a git checkout of its own."""
    git = ["git", "-C", str(files.ROOT)]
    try:
        shown = subprocess.run([*git, "rev-parse", "--show-toplevel", "HEAD"], capture_output=True, text=True)
        top, commit = shown.stdout.split("\n")[:2]
        if shown.returncode or Path(top) != files.ROOT.resolve():
            return {}
        changed = subprocess.run([*git, "status", "--porcelain"], capture_output=True, text=True).stdout
    except (OSError, ValueError):
        return {}
    return {"git": {"commit": commit, "dirty": bool(changed)}}
