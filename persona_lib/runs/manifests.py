"""Manifests: manifest.json tells what a run executed, with which versions, how it ended and what it used.

A run writes it before the first notebook and after each. It contains no key, no header and nothing of the environment.
"""

import json
import re
import shutil
import subprocess
import time
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from platform import platform, python_version
from typing import Any

from .. import UserError, files
from ..model.usage import total
from ..store.store import utc_now

NAME = "manifest.json"
PACKAGE = "persona-workbench"


def clear(folder: Path) -> None:
    """Make a folder ready for a run: delete an earlier run's files, and only these.

    Raises:
        UserError: the folder contains something other than an earlier run.
    """
    if (folder.is_dir() and any(folder.iterdir())) or folder.is_file():
        for stem in _stems(folder):
            for name in (f"{stem}.ipynb", f"{stem}.html", f"{stem}/record.json"):
                (folder / name).unlink(missing_ok=True)
            for kind in ("tables", "figures"):
                shutil.rmtree(folder / stem / kind, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)


def _stems(folder: Path) -> list[str]:
    """Return the notebooks of the earlier run in a folder."""
    try:
        earlier = json.loads((folder / NAME).read_text("utf-8"))
        stems = [stem for stem in earlier["notebooks"] if earlier["versions"]]
        return [stem for stem in stems if Path(stem).name == stem and stem not in ("", ".", "..")]
    except (OSError, ValueError, KeyError, TypeError):
        raise UserError(f"{folder} contains something other than an earlier run: choose a folder with --out") from None


class Manifest:
    """A run's manifest at any moment.

    `content` is what the file holds, `notebooks` the part of it with one entry per notebook: `title`, `parameters`,
    `status`, `error`, `seconds`, `steps` (usage by step), and what the notebook recorded.

    Args:
        folder: of the run.
        preset: its name.
        about: what the preset is for.
        notebooks: the title and parameters of each.
        limits: what the run may use.
    """

    def __init__(
        self,
        folder: Path,
        preset: str,
        about: str,
        notebooks: Mapping[str, Mapping[str, Any]],
        limits: Mapping[str, float | None],
    ):
        self.folder = folder
        self.notebooks: dict[str, dict[str, Any]] = {
            stem: {"status": "waiting", "error": None, "seconds": 0.0, "steps": {}, **entry}
            for stem, entry in notebooks.items()
        }
        self.content: dict[str, Any] = {
            "status": "running",
            "preset": {"name": preset, "about": about},
            "started": utc_now(),
            "versions": {"python": python_version(), "platform": platform()} | versions(),
            **_git(),
            "seeds": {stem: _seeds(entry["parameters"]) for stem, entry in notebooks.items()},
            "notebooks": self.notebooks,
            "budget": dict(limits),
        }
        self._began = time.monotonic()

    def save(self) -> None:
        """Add up what the notebooks have used so far and write the file."""
        entries = self.notebooks.values()
        for entry in entries:
            entry["usage"] = total(entry["steps"].values())
        asked = [model["identity"] for entry in entries for model in entry.get("models", ())]
        self.content["models"] = [identity for i, identity in enumerate(asked) if identity not in asked[:i]]
        self.content["usage"] = total(entry["usage"] for entry in entries)
        self.content["seconds"] = round(time.monotonic() - self._began, 1)
        files.write_json(self.folder / NAME, self.content)


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
