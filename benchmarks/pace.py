"""How much of what an endpoint allows `Model.ask` uses, and how many of its calls are refused.

    python benchmarks/pace.py                # endpoints that allow 20, 100 and 300 calls/s, 40 s each
    python benchmarks/pace.py --allowed 50

The endpoint is a process of its own on the loopback that answers after 200 ms, and at once with 429 and no Retry-After
what is beyond its limit: half a second's calls at once at most, as rate limiters have it. The first seconds, in which
the pace is found out, are told apart from the rest.
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
    """The share used of what is allowed and the share of calls refused, in the first seconds and after them."""
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
