"""Kernels: one notebook executed with papermill in a kernel of this interpreter."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import papermill
from ipykernel.kernelspec import get_kernel_dict
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpec
from nbclient.exceptions import DeadKernelError

from .. import store
from ..model import keys, progress
from . import forks, notebooks
from .progress import Progress


def execute(
    stem: str, parameters: Mapping[str, Any], target: Path, steps: Path, environment: Mapping[str, str]
) -> dict[str, str] | None:
    """Run a notebook.

    Args:
        stem: the notebook in notebooks/.
        parameters: all its parameters.
        target: where the executed notebook goes.
        steps: the file that its model calls tell their progress and usage in.
        environment: what the kernel is told beside that.

    Returns:
        `name` and `message` (one line) of the error that it ended with, or None.
    """
    notebook = notebooks.find(stem)
    steps.touch()
    with Progress(stem, notebook.code_cells + 1, steps) as shown:
        try:
            papermill.execute_notebook(
                notebook.path,
                target,
                {name: value for name, value in parameters.items() if value != notebook.parameters[name]},
                kernel_name="python3",
                language="python",
                progress_bar=False,
                cwd=notebook.path.parent,
                kernel_manager_class=_kernel({progress.VARIABLE: str(steps)} | environment),
                on_cell_executed=shown.cell_done,
            )
        except papermill.PapermillExecutionError as error:
            return {"name": error.ename, "message": _one_line(error.evalue)}
        except (DeadKernelError, RuntimeError) as error:
            return {"name": type(error).__name__, "message": _one_line(str(error))}
    return None


def _kernel(environment: Mapping[str, str]) -> type:
    """The kernel of this interpreter, wherever a kernel named python3 on this machine may point."""
    ours = {"PERSONA_STORE": str(store.default_path().absolute())} | environment
    if key := keys.api_key():  # it may come from a .env file in the caller's folder, which is not the kernel's
        ours[keys.NAME] = key
    ipython = get_kernel_dict(["--log-level=CRITICAL"])

    class Kernel(AsyncKernelManager):
        kernel_spec = KernelSpec(**ipython | {"env": ours, "metadata": forks.chosen()})

    return Kernel


def _one_line(message: str) -> str:
    """The first line of an error's message without terminal colours, at most 300 characters."""
    lines = re.sub(r"\x1b\[[0-9;]*m", "", message).strip().splitlines() or [""]
    return lines[0] if len(lines[0]) <= 300 else lines[0][:299] + "…"
