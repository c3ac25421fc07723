"""A run: execute the notebooks of a preset with papermill and write its folder, manifest and pages."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

from ... import UserError, files
from ...model.limits import sharing
from ...model.limits.budget import Budget
from ..planning import notebooks
from ..planning.presets import Preset
from ..results import folders, manifests
from ..results.manifests import Manifest
from . import pool
from .cluster import Joined
from .side_by_side import Notebooks, save, took, write_index

# A process that waits for the end of its caller, which closes the pipe, and then corrects the folder.
_WATCH = """
import sys
from pathlib import Path
if sys.stdin.read() != "ended":
    from persona_lib.runs.executing import run
    run.correct(Path(sys.argv[1]))
"""


def run(
    preset: Preset,
    planned: Mapping[str, dict[str, Any]],
    folder: Path,
    max_calls: int | None = None,
    max_cost: float | None = None,
    say: Callable[[str], object] | None = None,
    jobs: int | None = None,
    cluster: Joined | None = None,
    counted: Mapping[str, str] | None = None,
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
        jobs: how many notebooks run side by side; None means as many as the machine has cores and memory for. Where
            the embedded model has to answer it is 1 in any case, and a line says so.
        cluster: whose workers ask what the notebooks deal to them, if there is one.
        counted: the variables with which the kernels count at another process, which then holds the limits.

    Returns:
        The content of the manifest. The folder then has manifest.json and index.html.

    Raises:
        UserError: the folder contains something other than an earlier run, another run uses it, or it is moved away.
        KeyboardInterrupt: Ctrl-C; the kernels have ended and the manifest says so.
    """
    limits = {"max_calls": max_calls, "max_cost": max_cost}
    folder = folder.absolute()
    manifests.read(folder)  # refuses a folder of something else, before anything is written there
    with folders.alone(folder), _watched(folder):
        earlier = manifests.read(folder)
        if earlier:
            manifests.correct(earlier, folder)
        manifest = Manifest(folder, preset.name, preset.about, _entries(planned), limits, earlier)
        try:
            host = cluster.host if cluster else sharing.LOOPBACK
            shared = nullcontext(counted) if counted else sharing.served(Budget(max_calls, max_cost), host)
            with folders.beside(folder), shared as environment:
                return _executed(manifest, environment, jobs, say or (lambda line: None), cluster)
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


def _executed(
    manifest: Manifest,
    environment: Mapping[str, str],
    jobs: int | None,
    say: Callable[[str], object],
    cluster: Joined | None,
) -> dict[str, Any]:
    """Execute the notebooks of a manifest and return its content."""
    status = "failed"
    try:
        save(manifest)
        say((manifest.folder / "index.html").as_uri())
        planned = manifest.planned.values()
        anew = (entry["parameters"] for entry in planned if took(entry) is None)
        most = pool.jobs(len(planned), anew, jobs)
        if jobs and most < jobs:
            say("notebooks run one after the other: the embedded model, which takes all cores, has to answer")
        Notebooks(manifest, environment, pool.Kernels(most), most, say, cluster).run()
        fine = all(entry["status"] == "done" and not entry["lost"] for entry in manifest.planned.values())
        status = "done" if fine else "failed"
    except KeyboardInterrupt:
        status = "interrupted"
        raise
    finally:
        manifest.close(status)
        if folders.is_there(manifest.folder):
            save(manifest)
    _write_items(manifest)
    return manifest.content


def _write_items(manifest: Manifest) -> None:
    """Write the page of the run's items, if it has any, and the index, which leads there."""
    from ..pages import item_pages, item_tables  # they load the statistics, for which a run's start need not wait

    if any(item_tables.are_in(manifest.folder / stem) for stem in manifest.notebooks):
        item_pages.write(manifest.folder)
        save(manifest)


@contextmanager
def _watched(folder: Path) -> Iterator[None]:
    """Let another process correct a run's folder if this one is killed before the end of the block."""
    process = subprocess.Popen(
        [sys.executable, "-c", _WATCH, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C does not reach it
    )
    try:
        yield
    finally:
        with suppress(OSError):  # it was killed
            process.communicate(b"ended")


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
            write_index(folder, content)
