"""Kernels: one notebook executed with papermill in a kernel of this interpreter. Used by `runs` and `estimate`."""

import asyncio
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import papermill
from ipykernel.kernelspec import get_kernel_dict
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpec
from jupyter_core.utils import run_sync
from nbclient.exceptions import DeadKernelError
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import NBClientEngine, papermill_engines

from . import keys, presets, progress, store

# What nearly every notebook imports, and takes longest: a kernel has it before the notebook begins, but not by name, so
# that a notebook that forgets an import fails here as anywhere. To look for garbage meanwhile takes a fifth more.
IMPORTS = "import gc; gc.disable(); import openai, pandas, seaborn; gc.enable(); del gc, openai, pandas, seaborn"


def in_turn(environments: Iterable[Mapping[str, str]]) -> Iterator[AsyncKernelManager]:
    """Kernels for notebooks that follow each other: while one is in use, the next gets ready.

    They are of this interpreter, wherever a kernel named python3 on this machine may point, and end at the latest when
    the iterator is closed. Each environment is what a kernel is told beside what all are.
    """
    kernels: list[AsyncKernelManager] = []
    try:
        for environment in environments:
            kernels.append(_start(environment))
            if len(kernels) > 1:
                yield kernels[-2]
        yield from kernels[-1:]
    finally:
        for kernel in kernels:
            run_sync(kernel.shutdown_kernel)()


def _start(environment: Mapping[str, str]) -> AsyncKernelManager:
    ours = {"PERSONA_STORE": str(store.default_path().absolute())} | environment
    if key := keys.api_key():  # it may come from a .env file in the caller's folder, which is not the kernel's
        ours[keys.NAME] = key
    command = get_kernel_dict(["--log-level=CRITICAL", f"--IPKernelApp.exec_lines={IMPORTS}"])

    class Kernel(AsyncKernelManager):
        kernel_spec = KernelSpec(**command | {"env": ours})

    kernel = Kernel()
    run_sync(kernel.start_kernel)(cwd=str(store.ROOT / "notebooks"))
    return kernel


def execute(
    stem: str, parameters: Mapping[str, Any], target: Path, steps: Path, kernel: AsyncKernelManager
) -> dict[str, str] | None:
    """Run a notebook.

    Args:
        stem: the notebook in notebooks/.
        parameters: all its parameters.
        target: where the executed notebook goes.
        steps: the file that its model calls tell their progress and usage in; the kernel has been told of it.
        kernel: from `in_turn`; it is asked to end once the notebook has, and nobody waits for that.

    Returns:
        `name` and `message` (one line) of the error that it ended with, or None.
    """
    source = presets.notebook(stem)
    defaults = presets.parameters(source)
    steps.touch()
    cells = sum(cell.cell_type == "code" for cell in presets.read(source).cells) + 1  # papermill's own
    with progress.Progress(stem, cells, steps) as shown:
        try:
            papermill.execute_notebook(
                source,
                target,
                {name: value for name, value in parameters.items() if value != defaults[name]},
                engine_name=_Engine.__name__,
                kernel_name="python3",
                language="python",
                progress_bar=False,
                cwd=source.parent,
                km=kernel,
                on_cell_executed=shown.cell_done,
            )
        except papermill.PapermillExecutionError as error:
            return {"name": error.ename, "message": _one_line(error.evalue)}
        except (DeadKernelError, RuntimeError) as error:
            return {"name": type(error).__name__, "message": _one_line(str(error))}
    return None


class _Engine(NBClientEngine):
    """papermill's own for a kernel that runs, whose connection it would leave open and which it would leave running."""

    @classmethod
    def execute_managed_notebook(
        cls, nb_man: Any, kernel_name: str, km: AsyncKernelManager, on_cell_executed: Any, start_timeout: int, **_: Any
    ) -> None:
        client = PapermillNotebookClient(
            nb_man, km=km, kernel_name=kernel_name, startup_timeout=start_timeout, on_cell_executed=on_cell_executed
        )
        try:
            client.execute()
        finally:
            run_sync(_drop_tasks)()
            if client.kc:
                client.kc.stop_channels()
            run_sync(km.request_shutdown)()


async def _drop_tasks() -> None:
    """End what waits for a cell that Ctrl-C broke off; it would tell of the kernel's end as of an error."""
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)


papermill_engines.register(_Engine.__name__, _Engine)


def _one_line(message: str) -> str:
    """The first line of an error's message without terminal colours, at most 300 characters."""
    lines = re.sub(r"\x1b\[[0-9;]*m", "", message).strip().splitlines() or [""]
    return lines[0] if len(lines[0]) <= 300 else lines[0][:299] + "…"
