"""The pool in which the notebooks of a run are executed side by side: threads of this process, each with a kernel.

`run` needs of a pool what `concurrent.futures.Executor` has; another one may execute notebooks elsewhere.
"""

import math
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import psutil
from jupyter_core.utils import ensure_event_loop

from ..planning import endpoints
from . import kernels

P = ParamSpec("P")
T = TypeVar("T")

LIMIT = Path("/sys/fs/cgroup/memory.max")  # of Linux, in a container its own
MEMORY = 1.5e9  # bytes for which a kernel must have room; most take a third of it


class Kernels(ThreadPoolExecutor):
    """Executes up to `jobs` notebooks at once, each in a kernel of its own.

    If it is shut down with `cancel_futures`, the running kernels are stopped as by Ctrl-C, too.
    """

    def __init__(self, jobs: int):
        super().__init__(jobs, thread_name_prefix="notebook")

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Let a thread call `fn`."""

        def called() -> T:
            try:
                return fn(*args, **kwargs)
            finally:
                ensure_event_loop().close()  # nbclient has opened it for this thread

        return super().submit(called)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the pool; return when no kernel is left if it has to `wait`."""
        over = threading.Event()
        if cancel_futures:
            threading.Thread(target=kernels.stop, args=(over,), daemon=True).start()
        super().shutdown(wait, cancel_futures=cancel_futures)
        over.set()


def jobs(notebooks: int, anew: Iterable[Mapping[str, Any]], most: int | None = None) -> int:
    """Return how many notebooks to execute at once: `most`, or as many as this machine has cores and memory for.

    Where the embedded model has to answer it is one at a time in any case, as the model takes all cores.

    Args:
        notebooks: of the run.
        anew: the parameters of those that were not done before with the same: what they ask may not be in the store.
        most: what the user said.
    """
    if any(endpoints.asks_here(values) for values in anew):
        return 1
    if most:
        return most
    from joblib import cpu_count  # late: it takes a tenth of a second; it knows the limits of containers

    room = min(psutil.virtual_memory().available, _limit())
    return max(1, min(cpu_count(), int(room / MEMORY), notebooks))


def _limit() -> float:
    """Return the bytes that a container allows all its processes; psutil knows those of the machine alone."""
    try:
        return float(LIMIT.read_text())
    except (OSError, ValueError):  # there is no such file, or it says "max"
        return math.inf
