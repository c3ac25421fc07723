"""Wait in tests for what another thread or process does: until it is done, and long enough for a slow machine."""

import signal
import subprocess
import time
from collections.abc import Callable
from typing import Any

import psutil

LONG_S = 120  # nothing that goes well takes so long, even where a thread is held for seconds


def until(reached: Callable[[], Any], seconds: float = LONG_S) -> None:
    """Wait until something is true; fail if it takes too long."""
    end = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.01)


def runs(pid: int) -> bool:
    """Whether a process runs; a zombie, which its parent has not yet reaped, no longer does."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def stopped(process: subprocess.Popen, number: signal.Signals) -> tuple[Any, Any]:
    """Send a process a signal, and return what it printed and its errors once it has ended with another code than 0."""
    for _ in range(2):
        process.send_signal(number)
        try:
            out, err = process.communicate(timeout=LONG_S / 4)
            break
        except subprocess.TimeoutExpired:
            continue  # Python swallows an interrupt that falls into a finalizer; a user presses Ctrl-C once more
    else:
        raise AssertionError("it does not end")
    assert process.returncode
    return out, err
