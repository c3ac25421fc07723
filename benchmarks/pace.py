"""Measure how much of an endpoint's rate limit `Model.ask` uses, and how many of its calls are refused.

    python benchmarks/pace.py                # endpoints that allow 20, 100 and 300 calls/s, 40 s each
    python benchmarks/pace.py --allowed 50

The endpoint is a separate process on the loopback address. It answers after 200 ms; calls beyond its limit get an
immediate 429 without Retry-After. Like usual rate limiters, it accepts at most half a second's calls at once. The
first seconds, in which `Model.ask` learns the pace, are reported separately.
"""

import argparse
import itertools
import json
import tempfile
import time
import urllib.request
from pathlib import Path

from throughput import endpoint, requests

from persona_lib.model import Model
from persona_lib.store import Store

FIRST_S = 5.0


def measure(allowed: float, seconds: float, first_s: float = FIRST_S, in_flight: int = 512) -> dict[str, float]:
    """Return the used share of the limit, and the share of refused calls, in the first seconds and after them."""
    with endpoint(allowed) as url, tempfile.TemporaryDirectory() as folder:
        model = Model("m", url, Store(Path(folder) / "r.sqlite"), max_in_flight=in_flight)
        until = time.monotonic() + seconds + 1
        replies = model.ask(itertools.takewhile(lambda _: time.monotonic() < until, requests(10**9, "pace")))
        assert all(reply.failure is None for reply in replies)
        with urllib.request.urlopen(f"{url.removesuffix('/v1')}/counts") as answer:
            calls = json.load(answer)
    early = [fine for moment, fine in calls if moment < calls[0][0] + first_s]
    late = [fine for moment, fine in calls if calls[0][0] + first_s <= moment < calls[0][0] + seconds]
    return {
        "used": sum(late) / (seconds - first_s) / allowed,
        "refused": 1 - sum(late) / len(late),
        "refused at first": 1 - sum(early) / len(early),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--allowed", type=float, nargs="*", default=[20, 100, 300], metavar="CALLS_PER_S")
    parser.add_argument("--seconds", type=float, default=40)
    options = parser.parse_args()
    for allowed in options.allowed:
        found = measure(allowed, options.seconds)
        print(f"{allowed:5.0f} calls/s allowed:  " + ",  ".join(f"{name} {share:.3f}" for name, share in found.items()))


if __name__ == "__main__":
    main()
