"""Time what a sweep of 100 points takes: the runs, their collection in one table, and figure and page over all of them.

    python benchmarks/sweep.py [FOLDER]

The points are runs of notebook 00, which asks no model, at 10 sizes and 10 seeds. FOLDER keeps the sweep; with one that
is done there, only the collection is timed.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from persona_lib.runs.sweeps import pages, sweeping, tables
from persona_lib.runs.sweeps.sweep import Sweep, points

SWEEP = Sweep(
    name="benchmark",
    about="A sweep of 100 points, to time it.",
    preset="smoke",
    only=[0],
    parameters={"n": list(range(40, 140, 10))},
    seeds=list(range(10)),
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


def main(folder: Path) -> None:
    planned = timed("points planned", lambda: points(SWEEP), 1)
    found, _ = timed("runs", lambda: sweeping.execute(SWEEP, planned, folder), 1)
    print(f"{(found.points['state'] == tables.DONE).sum()} of {len(found.points)} points are done")
    found = timed("collected in one table", lambda: tables.collect(planned, folder))
    print(f"{len(found.rows):,} rows")
    timed("tables, figure and page written", lambda: pages.write(SWEEP, found, folder))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as temporary:
            main(Path(temporary) / "sweep")
