"""Forks: kernels that have imported what takes longest, which one process does once for all that are forked from it.

Where this is not Linux, whose forks can be relied on, kernels are new processes as ever. Used by `kernels`.
"""

import multiprocessing
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.context import BaseContext
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from jupyter_client.provisioning import KernelProvisionerFactory, LocalProvisioner

from .. import UserError

_CONTEXT: BaseContext = multiprocessing.get_context("forkserver" if sys.platform == "linux" else None)

NAME = "persona-forked"  # of `Forked` among jupyter_client's provisioners, as pyproject.toml has it


def chosen() -> dict[str, dict[str, str]]:
    """How a kernel's specification asks, in its `metadata`, for `Forked`; empty where it is not Linux.

    Raises:
        UserError: this package was installed before it had `Forked`.
    """
    if sys.platform != "linux":
        return {}
    if NAME not in KernelProvisionerFactory.instance().provisioners:
        raise UserError("this installation is older than its code: run `make run`, or `pip install -e .` again")
    return {"kernel_provisioner": {"provisioner_name": NAME}}


class Forked(LocalProvisioner):
    """A kernel of this interpreter, whatever program its specification names; what it prints goes where ours does."""

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> dict[str, Any]:
        """Begin a kernel with the arguments of the command that would."""
        _CONTEXT.set_forkserver_preload(["persona_lib.runs.preload"])  # done when the first kernel begins
        arguments = cmd[cmd.index("-f") :]
        self.cwd = str(kwargs.get("cwd") or Path.cwd())
        self.process = _Process(target=_serve, args=(arguments, self.cwd, dict(kwargs["env"])))
        with _no_script():
            self.process.start()
        self.pid = self.pgid = self.process.pid
        return self.connection_info


@contextmanager
def _no_script() -> Iterator[None]:
    """multiprocessing would begin a process with the caller's script, which is no kernel's and may have no guard."""
    script, sys.modules["__main__"] = sys.modules["__main__"], ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = script


class _Process(_CONTEXT.Process):
    """With what `LocalProvisioner` asks of a Popen."""

    stdin = stdout = stderr = None

    def poll(self) -> int | None:
        return self.exitcode

    def wait(self) -> int | None:
        self.join()
        return self.exitcode

    def send_signal(self, signum: int) -> None:
        os.kill(self.pid, signum)


def _serve(arguments: list[str], folder: str, environment: dict[str, str]) -> None:
    """Body of the kernel's process."""
    from ipykernel.kernelapp import IPKernelApp

    os.setsid()  # Ctrl-C is for the caller, who then ends the kernel in good order
    threading.Thread(target=_end_with_caller, daemon=True).start()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    np.random.seed()  # forks would all draw the same
    IPKernelApp.launch_instance(arguments, parent_handle=os.getppid())


def _end_with_caller() -> None:
    """A kernel's own watch is for its parent, which is the process it was forked from and lives as long as a fork."""
    multiprocessing.parent_process().join()
    os._exit(1)
