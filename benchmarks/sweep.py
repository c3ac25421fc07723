"""Time what a sweep of 100 points takes: the runs, their collection in one table, and figure and page over all of them.

    python benchmarks/sweep.py [FOLDER]
    python benchmarks/sweep.py --workers 1 2     # whole points at the workers of a cluster on this machine

The points are runs of notebook 00, which asks no model, at 10 sizes and 10 seeds. FOLDER keeps the sweep; with one that
is done there, only the collection is timed. With --workers, 8 points of notebook 12 at small sizes run at so many
workers, each number in a folder of its own; the start of the cluster is not timed, that of processes for points is.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from persona_lib.runs.executing import cluster
from persona_lib.runs.sweeps import pages, sweeping, tables
from persona_lib.runs.sweeps.sweep import Sweep, points
from persona_lib.texts import counted

SWEEP = Sweep(
    name="benchmark",
    about="A sweep of 100 points, to time it.",
    preset="smoke",
    only=[0],
    parameters={"n": list(range(40, 140, 10))},
    seeds=list(range(10)),
)
DEALT = Sweep(
    name="benchmark",
    about="A sweep of 8 points, to time workers.",
    preset="smoke",
    only=[12],
    parameters={"n_seen": [30], "n_unseen": [12], "n_respondents": [40]},
    seeds=list(range(8)),
)
TRIES = 3


def timed(what: str, work: Callable[[], Any], tries: int = TRIES) -> Any:
    """Print the seconds that some work takes, the shortest of several tries, and return its result."""
    seconds = []
    for _ in range(tries):
        began = time.perf_counter()
        result = work()
        seconds.append(time.perf_counter() - began)
    print(f"{what}: {min(seconds):.1f} s")
    return result


def whole(folder: Path) -> None:
    planned = timed("points planned", lambda: points(SWEEP), 1)
    found, _ = timed("runs", lambda: sweeping.execute(SWEEP, planned, folder), 1)
    print(f"{(found.points['state'] == tables.DONE).sum()} of {len(found.points)} points are done")
    found = timed("collected in one table", lambda: tables.collect(planned, folder))
    print(f"{len(found.rows):,} rows")
    timed("tables, figure and page written", lambda: pages.write(SWEEP, found, folder))


def at_workers(n: int, folder: Path) -> None:
    planned = points(DEALT)
    with cluster.joined(str(n), print, kernels=True) as there:
        found, _ = timed(counted(n, "worker"), lambda: sweeping.execute(DEALT, planned, folder, cluster=there), 1)
    load = os.getloadavg()[0] / (os.cpu_count() or 1)
    print(f"{(found.points['state'] == tables.DONE).sum()} points are done; load {load:.1f} a core")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--workers", type=int, nargs="+", default=[])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        base = options.folder or Path(temporary) / "sweep"
        for number in options.workers:
            at_workers(number, base / str(number))
        if not options.workers:
            whole(base)
