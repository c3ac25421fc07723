"""Kernels: execute one notebook with papermill in a kernel of this interpreter."""

import itertools
import json
import os
import re
import sysconfig
import tempfile
import threading
import time
import weakref
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
import nbformat
import papermill
from ipykernel.kernelspec import get_kernel_dict
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpec
from nbclient.exceptions import DeadKernelError
from nbformat import v4

from ... import files, store
from ...model.asking import progress
from ...model.transport import keys
from .. import forks
from ..planning import notebooks

LONGEST_MESSAGE = 300  # characters
COPY = (
    "*A run made this copy of {stem}: run it again in the project's folder with `persona run ... --only {number}`, or "
    "here, which rewrites the tables and figures in `{stem}/`; files among its parameters are named as seen from "
    "`notebooks/`, and all pages of the run are on [index.html](index.html).*"
)
PATIENCE_S = 5.0  # with a kernel that was interrupted
LOOK_S = 0.2  # between two looks for kernels to stop

_STARTED: weakref.WeakSet[AsyncKernelManager] = weakref.WeakSet()  # of all threads


def execute(
    stem: str,
    parameters: Mapping[str, Any],
    target: Path,
    steps: Path,
    environment: Mapping[str, str],
) -> dict[str, str] | None:
    """Execute a notebook; several threads may execute one each.

    Args:
        stem: the notebook in notebooks/.
        parameters: all its parameters.
        target: where the executed notebook goes.
        steps: the file where its model calls write their progress and usage, and {"cells"}, how many are done.
        environment: further environment variables of the kernel.

    Returns:
        `name` and `message` (one line) of the error that ended it, or None.
    """
    notebook = notebooks.find(stem)
    steps.touch()
    changed = {name: value for name, value in parameters.items() if value != notebook.parameters[name]}
    done = itertools.count(1)

    def cell_done(**_: Any) -> None:
        with steps.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"cells": next(done)}) + "\n")

    try:
        papermill.execute_notebook(
            notebook.path,
            target,
            changed,
            kernel_name="python3",
            language="python",
            progress_bar=False,
            kernel_manager_class=_kernel({progress.VARIABLE: str(steps), **environment}, notebook.path.parent),
            on_cell_executed=cell_done,
        )
    except papermill.PapermillExecutionError as error:
        return {"name": error.ename, "message": _one_line(error.evalue)}
    except (DeadKernelError, RuntimeError) as error:
        return {"name": type(error).__name__, "message": _one_line(str(error))}
    finally:
        if target.is_file():
            finish(target, stem)
    return None


def stop(over: threading.Event) -> None:
    """Interrupt the kernels of all threads, and kill those that have not ended some seconds later.

    Args:
        over: set when none can start any more.
    """
    anyio.run(_stop, over)  # `asyncio.run` leaves its loop open where inspect-ai has changed it


async def _stop(over: threading.Event) -> None:
    interrupted: dict[AsyncKernelManager, float] = {}
    while (running := [one for one in list(_STARTED) if one.has_kernel]) or not over.wait(LOOK_S):
        for one in running:
            with suppress(RuntimeError, OSError):  # it ends by itself just now; the others are still to be stopped
                if one not in interrupted:
                    interrupted[one] = time.monotonic()
                    await one.interrupt_kernel()
                elif time.monotonic() - interrupted[one] > PATIENCE_S and one.provisioner:
                    await one.provisioner.kill()
        await anyio.sleep(LOOK_S)


def finish(executed: Path, stem: str) -> None:
    """Rewrite an executed notebook with a first cell that says what it is, and without the paths of this machine.

    These are the paths of the project, of Python's own files, of cells as warnings name them, and of the user's home.
    Its parameter `out` becomes the folder beside it in which its results will lie. What was cut off while it was
    written stays as it is.
    """
    try:
        notebook = nbformat.read(executed, as_version=4)
    except nbformat.reader.NotJSONError:  # stopped by a signal in the middle of a write
        return
    told = notebook.metadata.get("papermill", {})
    told |= {"input_path": f"notebooks/{stem}.ipynb", "output_path": f"{stem}.ipynb"}
    if "out" in told.get("parameters", {}):
        told["parameters"]["out"] = stem
    for cell in notebook.cells:
        if "injected-parameters" in cell.metadata.get("tags", []):
            cell.source = re.sub(r"(?m)^out = .*$", f'out = "{stem}"', cell.source)
    about = COPY.format(stem=stem, number=stem.partition("_")[0])
    first = v4.new_markdown_cell(about, id=notebooks.COPIED, metadata={"tags": [notebooks.COPIED]})
    notebook.cells.insert(0, first)
    text = nbformat.writes(notebook)
    libraries = {Path(sysconfig.get_path(name)): "" for name in ("purelib", "platlib", "stdlib")}
    own = {files.ROOT: "", files.ROOT.resolve(): "", Path(os.path.expanduser("~")): "~/"}
    for folder, shown in {**libraries, **own}.items():
        if folder != folder.parent:
            text = text.replace(json.dumps(f"{folder}/", ensure_ascii=False)[1:-1], shown)
    text = text.replace(f"{tempfile.gettempdir()}/ipykernel_", "ipykernel_")
    files.write_text(executed, text + "\n")


def _kernel(environment: Mapping[str, str], folder: Path) -> type:
    """Return the manager of a kernel of this interpreter in a folder, whatever kernel is named python3 here."""
    variables = {**store.environment(), **environment}
    # The key may come from a .env file in the caller's folder, where the kernel does not look.
    variables |= {name: key for name in (keys.NAME, keys.AZURE) if (key := keys.api_key(name))}
    ipython = get_kernel_dict(["--log-level=CRITICAL"])

    class Kernel(AsyncKernelManager):
        kernel_spec = KernelSpec(**ipython | {"env": variables, "metadata": forks.chosen()})

        async def start_kernel(self, **kwargs: Any) -> None:  # type: ignore[override]  # there it is an attribute
            # papermill would change the folder of this process, in which other threads are.
            await super().start_kernel(**kwargs | {"cwd": str(folder)})
            _STARTED.add(self)

    return Kernel


def _one_line(message: str) -> str:
    """Return the first line of an error's message without terminal colours, at most `LONGEST_MESSAGE` characters."""
    lines = re.sub(r"\x1b\[[0-9;]*m", "", message).strip().splitlines() or [""]
    first = lines[0]
    return first if len(first) <= LONGEST_MESSAGE else first[: LONGEST_MESSAGE - 1] + "…"
