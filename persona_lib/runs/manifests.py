"""The manifest of a run, manifest.json: what ran, with what, how it ended and what it used.

It is written before the first notebook and after each. It holds no key, no header and nothing of the environment.
"""

import json
import re
import shutil
import subprocess
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from platform import platform, python_version
from typing import Any

from .. import UserError, files
from ..model.usage import total

NAME = "manifest.json"


def clear(folder: Path) -> None:
    """Make a folder ready: an earlier run's files go, and only those.

    Raises:
        UserError: the folder holds something else than an earlier run.
    """
    if (folder.is_dir() and any(folder.iterdir())) or folder.is_file():
        for stem in _stems(folder):
            for name in (f"{stem}.ipynb", f"{stem}.html", f"{stem}/record.json"):
                (folder / name).unlink(missing_ok=True)
            for kind in ("tables", "figures"):
                shutil.rmtree(folder / stem / kind, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)


def _stems(folder: Path) -> list[str]:
    """The notebooks of the earlier run in a folder."""
    try:
        earlier = json.loads((folder / NAME).read_text("utf-8"))
        return [stem for stem in earlier["notebooks"] if earlier["versions"] and Path(stem).name == stem]
    except (OSError, ValueError, KeyError, TypeError):
        raise UserError(f"{folder} holds something else than an earlier run: choose a folder with --out") from None


class Manifest:
    """A run's manifest as it stands; it adds up what the notebooks used each time it is saved.

    Args:
        folder: of the run.
        preset: its name.
        about: what it is for.
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
        waiting = {"status": "waiting", "error": None, "seconds": 0.0, "steps": {}}
        seeds = {s: {k: v for k, v in e["parameters"].items() if "seed" in k} for s, e in notebooks.items()}
        self.folder = folder
        self.notebooks: dict[str, dict[str, Any]] = {stem: {**waiting, **entry} for stem, entry in notebooks.items()}
        self.content: dict[str, Any] = {
            "status": "running",
            "preset": {"name": preset, "about": about},
            "started": now(),
            "versions": {"python": python_version(), "platform": platform()} | versions(),
            **_git(),
            "seeds": seeds,
            "notebooks": self.notebooks,
            "budget": dict(limits),
        }
        self._began = time.monotonic()

    def save(self) -> None:
        """Write the manifest as things stand."""
        entries = self.notebooks.values()
        for entry in entries:
            entry["usage"] = total(entry["steps"].values())
        asked = [m["identity"] for entry in entries for m in entry.get("models", ())]
        self.content["models"] = [m for i, m in enumerate(asked) if m not in asked[:i]]
        self.content["usage"] = total(entry["usage"] for entry in entries)
        self.content["seconds"] = round(time.monotonic() - self._began, 1)
        files.write_json(self.folder / NAME, self.content)


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


def now() -> str:
    """The time in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")
