"""Measure how the workers of a cluster speed up asks: requests a second of one worker and of several, side by side.

    python benchmarks/cluster.py                                 # 4 workers of 16 in flight, 4 endpoints of 200 ms
    python benchmarks/cluster.py --workers 2 --requests 2000 --rounds 3

Endpoints are processes of their own on the loopback address, as many as workers. In each round one worker asks one of
them, and then all workers ask all, as many requests for each worker. A thread for each endpoint asks through the
cluster, so that every worker has shards of all. Starting the clusters is not timed. CPU seconds of this process and the
workers are printed too, since on a machine with other work the cores, not the workers, may be the limit.
"""

import argparse
import os
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from throughput import LATENCY_S, Verdict, endpoint, requests

from persona_lib.model import Model
from persona_lib.model.cluster import workers
from persona_lib.runs.executing import cluster
from persona_lib.store import Store

TARGET = 0.9  # of as many times the pace of one worker as there are workers


def cpu_s() -> float:
    """Return the CPU seconds of this process and of the workers so far."""
    times = workers.present()._client.run(os.times).values()
    return sum(own.user + own.system for own in [os.times(), *times])


def ask(urls: list[str], n: int, in_flight: int, tag: str) -> tuple[float, float]:
    """Ask each endpoint n requests through the cluster there is; return the wall and CPU seconds of all."""
    with tempfile.TemporaryDirectory() as folder:
        models = [Model("m", url, Store(Path(folder) / "r.sqlite"), max_in_flight=in_flight) for url in urls]
        for model in models:
            model.ask(list(requests(1, f"first {tag}")), Verdict)  # how the endpoint is to be asked
        wall, cpu = time.perf_counter(), cpu_s()
        with ThreadPoolExecutor(len(urls)) as threads:
            asked = [threads.submit(m.ask, list(requests(n, f"{tag} {i}")), Verdict) for i, m in enumerate(models)]
            replies = [reply for one in asked for reply in one.result()]
        wall, cpu = time.perf_counter() - wall, cpu_s() - cpu
        assert len(replies) == n * len(urls) and all(reply.value for reply in replies)
        assert sum(model.usage["calls"] for model in models) == (n + 1) * len(urls)
    return wall, cpu


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--in-flight", type=int, default=16)
    parser.add_argument("--requests", type=int, default=4000, help="in all, of as many workers")
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    most = options.workers
    ideal = options.in_flight / LATENCY_S
    each = options.requests // most  # requests of an endpoint, and of a worker
    print(f"{each} requests a worker, {options.in_flight} in flight each, at most {ideal:.0f} a second and worker")
    pace: dict[int, float] = {}
    with ExitStack() as stack:
        urls = [stack.enter_context(endpoint()) for _ in range(most)]
        for number in range(options.rounds):
            for n in (1, most):
                with cluster.joined(str(n), print) as there, cluster.limited(there):
                    wall, cpu = ask(urls[:n], each, options.in_flight, f"{number} {n}")
                pace[n] = max(pace.get(n, 0.0), each * n / wall)
                told = f"{each * n / wall:6.1f} requests a second, {1000 * cpu / each / n:.2f} ms CPU a request"
                print(f"  workers: {n}; {told}")
    ratio = pace[most] / pace[1] / most
    load = os.getloadavg()[0] / (os.cpu_count() or 1)
    print(f"best rounds: {ratio:.2f} of {most} times one worker (target {TARGET}); load {load:.1f} a core")


if __name__ == "__main__":
    main()
