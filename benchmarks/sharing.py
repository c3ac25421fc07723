"""Compare the speed of processes that ask alone with that of processes that share a run's limits.

    python benchmarks/sharing.py                    # 4 processes with 16 calls in flight each, 5 rounds
    python benchmarks/sharing.py --in-flight 128    # at what the processor allows

The endpoint is a separate process on the loopback address that answers each request after 200 ms. In each round the
processes ask once with limits of their own and once with one budget and one pace for all, which this process serves, as
`persona run` does. Their asks begin at the same moment; the wall time is the longest, the CPU time that of all, this
process among them.
"""

import argparse
import json
import multiprocessing
import os
import statistics
import tempfile
import time
from pathlib import Path

from throughput import LATENCY_S, endpoint, requests

from persona_lib.model import Budget, Model
from persona_lib.model.limits import sharing
from persona_lib.store import Store

PRICED = "gpt-4.1-mini"


def ask(url: str, n: int, in_flight: int, environment: dict[str, str], begin, found) -> None:
    """Ask n requests in this process, and put the wall and CPU seconds into `found`; a few before learn the pace."""
    os.environ.update(environment)
    own = {} if environment else {"max_calls": 10**9, "max_cost": 10.0**9}
    with tempfile.TemporaryDirectory() as folder:
        model = Model(PRICED, url, Store(Path(folder) / "r.sqlite"), max_in_flight=in_flight, **own)
        model.ask(list(requests(3 * in_flight, f"first {os.getpid()}")))
        begin.wait()
        wall, cpu = time.perf_counter(), time.process_time()
        replies = model.ask(list(requests(n, f"ask {os.getpid()}")))
        found.put((time.perf_counter() - wall, time.process_time() - cpu))
        assert all(reply.failure is None for reply in replies)


def measure(url: str, processes: int, n: int, in_flight: int, environment: dict[str, str]) -> tuple[float, float]:
    """Return the wall seconds of the slowest of the processes, and the CPU seconds of all."""
    context = multiprocessing.get_context("spawn")
    begin, found = context.Barrier(processes), context.SimpleQueue()
    given = (url, n, in_flight, environment, begin, found)
    running = [context.Process(target=ask, args=given) for _ in range(processes)]
    cpu = time.process_time()
    for process in running:
        process.start()
    times = [found.get() for _ in running]
    for process in running:
        process.join()
    return max(wall for wall, _ in times), sum(own for _, own in times) + time.process_time() - cpu


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--in-flight", type=int, default=16)
    parser.add_argument("--requests", type=int, default=800, help="of each process")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    walls: dict[str, list[float]] = {"alone": [], "shared": []}
    with endpoint(model=PRICED) as url:
        for _ in range(options.rounds):
            for kind in walls:
                with sharing.served(Budget(10**9, 10.0**9)) as environment:
                    told = environment if kind == "shared" else {}
                    wall, cpu = measure(url, options.processes, options.requests, options.in_flight, told)
                walls[kind].append(wall)
                calls = options.processes * options.requests
                ideal = options.requests * LATENCY_S / options.in_flight
                print(
                    json.dumps(
                        {
                            "kind": kind,
                            "wall_s": round(wall, 2),
                            "ideal_s": ideal,
                            "ms_cpu_per_call": round(1000 * cpu / calls, 2),
                        }
                    )
                )
    ratios = [shared / alone for alone, shared in zip(walls["alone"], walls["shared"], strict=True)]
    print(f"shared takes {statistics.median(ratios):.3f} of the time alone (median of {options.rounds} rounds)")


if __name__ == "__main__":
    main()
