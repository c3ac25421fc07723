"""Measure how fast methods that ask a model are compared: people side by side, and one person after the other.

    python benchmarks/asking.py                            # 40 people, an endpoint of 200 ms (some minutes)
    python benchmarks/asking.py --people 200 --cluster 2 --only-together

Each way runs `persona methods run --model` with an empty store, at k = 4 and 6 tested choices a person, and says the
wall seconds, the most requests in flight, and whether both wrote the same tables. The endpoint is a process of its own.
"""

import argparse
import hashlib
import json
import multiprocessing
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from persona_lib import cli, files, methods
from persona_lib.methods import simulated
from persona_lib.model import together

sys.path.insert(0, str(files.ROOT / "tests"))
from endpoint import Endpoint, completion, first_token  # the stand-in of the tests

LATENCY_S = 0.2
NAME = "stand-in"


def reply(body: dict[str, Any]) -> dict[str, Any]:
    """A choice that the messages' hash decides, or a text in each field of the schema."""
    if body.get("logprobs"):
        digest = hashlib.sha256(json.dumps(body["messages"]).encode()).digest()
        p = 0.1 + 0.8 * digest[0] / 255
        return first_token(A=p, B=1 - p)
    fields = body["response_format"]["json_schema"]["schema"]["properties"]
    return completion(json.dumps(dict.fromkeys(fields, "Short answers.")))


def serve(way: Any) -> None:
    """Serve, say the address, and then at each word how many requests there were and the most in flight."""
    with Endpoint(reply, models=(NAME,), delay_s=LATENCY_S) as endpoint:
        way.send(endpoint.url)
        while way.recv():
            way.send((len(endpoint.requests), endpoint.most_in_flight))
            endpoint.requests, endpoint.most_in_flight = [], 0


def measure(folder: Path, world: Path, url: str, more: list[str]) -> float:
    """Run the command into a folder, and return the wall seconds."""
    os.environ["PERSONA_STORE"] = str(folder.with_suffix(".sqlite"))
    given = ["--world", str(world), "--k", "4", "--model", NAME, "--base-url", url, "--out", str(folder)]
    began = time.perf_counter()
    done = CliRunner().invoke(cli.app, ["methods", "run", *given, *more])
    assert done.exit_code == 0, done.output
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=40, help="to test; as many are learned from")
    parser.add_argument("--cluster", help="as in persona methods run")
    parser.add_argument("--only-together", action="store_true", help="only side by side")
    options = parser.parse_args()
    sizes = {"prompts": 40, "heldout": 12, "history": 16, "tests": 6, "dimensions": 6, "rank": 2}
    made = simulated.world(simulated.Design(seen=options.people, unseen=options.people, **sizes), 1)
    ways = {"side by side": together.WAVE} | ({} if options.only_together else {"one after the other": 1})
    here, there = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(there,), daemon=True)
    server.start()
    url = here.recv()
    walls, tables = [], []
    with tempfile.TemporaryDirectory() as folder:
        world = methods.save_world(made, Path(folder) / "world")
        for name, wave in ways.items():
            together.WAVE = wave
            out = Path(folder) / name.replace(" ", "_")
            walls.append(measure(out, world, url, ["--cluster", options.cluster] if options.cluster else []))
            here.send(True)
            requests, most = here.recv()
            tables.append({path.name: path.read_bytes() for path in out.glob("*.parquet")})
            load = os.getloadavg()[0] / (os.cpu_count() or 1)
            print(f"{name}: {walls[-1]:.1f} s, {requests} requests, {most} at once; load {load:.1f} a core", flush=True)
    if len(walls) > 1:
        same = "the same" if tables[0] == tables[1] else "different"
        print(f"side by side takes 1/{walls[1] / walls[0]:.1f} of the time, and writes {same} tables")
    server.terminate()


if __name__ == "__main__":
    main()
