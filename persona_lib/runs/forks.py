"""Forks: kernels that start fast, because one process has done the slow imports and all kernels are forked from it.

Only on Linux, where forks are reliable; elsewhere each kernel is a new process as usual.
"""

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import matplotlib
import numpy as np
from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.provisioning import KernelProvisionerFactory, LocalProvisioner

from .. import UserError

# Any: the annotations of the standard library do not say that every context has a class `Process`.
_CONTEXT: Any = multiprocessing.get_context("forkserver" if sys.platform == "linux" else None)
_ContextProcess: Any = _CONTEXT.Process

PRELOAD = "persona_lib.runs.preload"  # what the process imports
_STARTING = threading.Lock()

NAME = "persona-forked"  # of `Forked` among jupyter_client's provisioners, as registered in pyproject.toml


def chosen() -> dict[str, dict[str, str]]:
    """Return the `metadata` with which a kernel's specification asks for `Forked`; empty on other systems than Linux.

    Raises:
        UserError: this package was installed before it had `Forked`.
    """
    if sys.platform != "linux":
        return {}
    if NAME not in KernelProvisionerFactory.instance().provisioners:
        raise UserError("this installation is older than its code: run `make run`, or `pip install -e .` again")
    return {"kernel_provisioner": {"provisioner_name": NAME}}


class Forked(LocalProvisioner):
    """Starts kernels of this interpreter, whatever program their specification names; they print where we print."""

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        """Start a kernel with the arguments of the command that would start it in a new process.

        Raises:
            RuntimeError: it does not start, since the process that it is forked from has ended; the next one has a new
                one.
        """
        _CONTEXT.set_forkserver_preload([PRELOAD])  # it runs when the first kernel starts
        arguments = cmd[cmd.index("-f") :]
        self.cwd = str(kwargs.get("cwd") or Path.cwd())
        self.process = _Process(target=_serve, args=(arguments, self.cwd, dict(kwargs["env"])))
        try:
            with _STARTING, _no_script():  # several threads may start one
                self.process.start()
        except (EOFError, OSError) as error:
            self.process = None
            raise RuntimeError(
                f"the kernel did not start ({error or type(error).__name__}): is memory used up, or a process killed?"
            ) from error
        self.pid = self.process.pid
        self.pgid = self.process.pid
        return self.connection_info


@contextmanager
def _no_script() -> Iterator[None]:
    """Hide the caller's script: multiprocessing would run it in the new process, even if it has no `__main__` guard."""
    script = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = script


class _Process(_ContextProcess):
    """A process with the methods of a Popen that `LocalProvisioner` calls."""

    stdin = stdout = stderr = None

    def poll(self) -> int | None:
        return self.exitcode

    def wait(self) -> int | None:
        self.join()
        return self.exitcode

    def send_signal(self, signum: int) -> None:
        os.kill(self.pid, signum)


def _serve(arguments: list[str], folder: str, environment: dict[str, str]) -> None:
    """Run the kernel; the body of its process. A Ctrl-C before it takes messages ends it without a word."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from ipykernel.kernelapp import IPKernelApp  # only in the kernel's process, where `preload` has imported it

    os.setsid()  # Ctrl-C reaches only the caller, which then shuts the kernel down
    threading.Thread(target=_end_with_caller, daemon=True).start()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    if backend := environment.get("MPLBACKEND"):  # matplotlib was imported before, and reads the variable only then
        matplotlib.use(backend)
    np.random.seed()  # otherwise all forks would draw the same numbers
    IPKernelApp.launch_instance(arguments, parent_handle=os.getppid())


def _end_with_caller() -> None:
    """End the kernel when the caller has ended.

    The kernel's own check watches its parent process. That is the process it was forked from, which lives as long as
    any fork.
    """
    caller = multiprocessing.parent_process()
    assert caller is not None, "only a process that multiprocessing started calls this"
    caller.join()
    os._exit(1)
