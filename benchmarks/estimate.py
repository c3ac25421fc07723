"""Measure what `persona estimate` takes of a preset: CPU time beside the run that it estimates, and memory.

    python benchmarks/estimate.py                          # the preset small
    python benchmarks/estimate.py --preset paper           # the paper's sizes: some minutes
    python benchmarks/estimate.py --only 06 --run          # also executes the run, against the stand-in

PRISM is a made-up file of so many prompts that a made-up classifier keeps the paper's 3,868. 03 is left out where it
reads the pairs of `persona pairs`. The CPU time of the run is that of the estimate, plus what its calls take more than
made-up replies: both are measured side by side on the same requests, with a stand-in endpoint on the loopback address
whose own CPU time does not count. With --run it is measured. Memory is that of all processes of the command at its
highest moment.
"""

import argparse
import json
import multiprocessing
import random
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple

import psutil
from pydantic import create_model

from persona_lib import files, personas, templates
from persona_lib.model import Model, dry
from persona_lib.runs import presets
from persona_lib.store import Store

sys.path.insert(0, str(files.ROOT / "tests"))
import prism

SAMPLE = 2_000  # requests of each kind
LIMIT_S = 4 * 3600.0
MOST_GB = 4.0
MOST_SHARE = 0.1


def answer(body: dict[str, Any]) -> dict[str, Any]:
    """Return a completion that fits a request."""
    chance = random.Random(str(body["messages"][-1]))
    choice: dict[str, Any] = {"index": 0, "finish_reason": "stop"}
    schema = body.get("response_format", {}).get("json_schema", {}).get("schema")
    text = json.dumps(dry.example(schema, chance)) if schema else "A"
    if body.get("logprobs") and not schema:
        likely = [{"token": t, "logprob": -5 * chance.random()} for t in "ABCDEFGH12345670 yn"]
        choice["logprobs"] = {"content": [{"token": "A", "logprob": -0.1, "top_logprobs": likely}]}
    choice["message"] = {"role": "assistant", "content": text}
    return {"choices": [choice], "usage": {"prompt_tokens": 600, "completion_tokens": 60}}


def serve(port: multiprocessing.Queue) -> None:
    """Run the stand-in endpoint, as a process of its own."""
    import asyncio

    from aiohttp import web

    async def chat(request: web.Request) -> web.Response:
        return web.json_response(answer(await request.json()))

    async def models(_: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": []})

    async def main() -> None:
        app = web.Application(client_max_size=2**24)
        app.router.add_post("/v1/chat/completions", chat)
        app.router.add_get("/v1/models", models)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, backlog=1024).start()
        port.put(runner.addresses[0][1])
        await asyncio.Event().wait()

    asyncio.run(main())


@contextmanager
def endpoint() -> Iterator[str]:
    """Run the stand-in; yield its address."""
    port = multiprocessing.Queue()
    server = multiprocessing.Process(target=serve, args=(port,), daemon=True)
    server.start()
    try:
        yield f"http://127.0.0.1:{port.get(timeout=30)}/v1"
    finally:
        server.terminate()


class Taken(NamedTuple):
    """What a command took: CPU and wall seconds and the most memory in GB, of it and all its children."""

    cpu_s: float
    wall_s: float
    memory_gb: float
    output: str


def measured(arguments: Sequence[str]) -> Taken:
    """Run the command `persona` and watch it and its children."""
    began = time.monotonic()
    command = [sys.executable, "-m", "persona_lib.cli", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    lines: list[str] = []
    assert process.stdout
    reader = threading.Thread(target=lambda stream: lines.extend(stream), args=(process.stdout,))
    reader.start()
    root, used, most = psutil.Process(process.pid), {}, 0.0
    while process.poll() is None and time.monotonic() - began < LIMIT_S:
        memory = 0
        for one in [root, *_children(root)]:
            try:
                used[one.pid] = sum(one.cpu_times()[:2])
                memory += one.memory_full_info().uss
            except (psutil.NoSuchProcess, psutil.ZombieProcess):
                continue
        most = max(most, memory / 1e9)
        time.sleep(0.2)
    process.kill()
    reader.join()
    return Taken(sum(used.values()), time.monotonic() - began, most, "".join(lines))


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def per_call(url: str | None) -> dict[str, tuple[float, float]]:
    """Return CPU and wall seconds of a call of each kind: made up without an address, else by the stand-in."""
    profiles = list(personas.profiles.texts(personas.sample(40, 0)))
    asked = [{"persona": profiles[i % 40], "question": q, "words": 120} for i, q in enumerate(prism.prompts(SAMPLE))]
    said = {"answer": "It depends. " * 60, "first": "Yes. " * 120, "second": "No. " * 120} | {
        name: name for name in templates.load("critic").variables
    }
    judged = {"critique": (templates.text(80), ...), "verdict": (Literal["keep", "revise"], ...)}
    kinds = {
        "an answer": ("direct", create_model("Answer", answer=(templates.text(120), ...))),
        "a verdict": ("critic", create_model("Critic", **judged)),
        "a choice": ("prefer", None),
    }
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "r.sqlite", scratch=None if url else Path(folder) / "scratch.sqlite")
        model = Model("m", url or "http://127.0.0.1:9/v1", store)
        for kind, (name, schema) in kinds.items():
            wall, cpu = time.perf_counter(), time.process_time()
            template = templates.load(name)
            messages = [template.messages({**said, **values}) for values in asked]
            _ = model.ask(messages, schema, step=kind) if schema else model.choices(messages, step=kind)
            found[kind] = (time.process_time() - cpu) / SAMPLE, (time.perf_counter() - wall) / SAMPLE
            assert model.steps[kind]["calls"] == SAMPLE and not model.steps[kind]["failed"]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="small")
    parser.add_argument("--only", help="notebooks, such as 06 or 01,06")
    parser.add_argument("--run", action="store_true", help="execute the run too, against the stand-in")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, endpoint() as url:
        preset = presets.load(options.preset)
        only = options.only or ",".join(s for s in preset.notebooks if options.preset != "paper" or s[:2] != "03")
        conversations = prism.write(Path(folder) / "prism.jsonl", round(prism.SIZE / dry.FIRST))
        which = ["--preset", options.preset, "--only", only, "-p", f"prompts={conversations}"]
        report(url, which, Path(folder), options.run)


def report(url: str, which: list[str], folder: Path, run: bool) -> None:
    """Measure and print."""
    estimate = measured(["estimate", *which])
    total = re.search(r"^total\s+([\d,]+)", estimate.output, re.MULTILINE)
    if not total:
        sys.exit(f"persona estimate ended without a table:\n{estimate.output}")
    calls = int(total[1].replace(",", ""))
    print(estimate.output)
    print(
        f"estimate: {calls:,} calls, {estimate.cpu_s:,.0f} s CPU, {1000 * estimate.cpu_s / calls:.2f} ms a call; ",
        end="",
    )
    print(f"{estimate.memory_gb:.2f} GB (at most {MOST_GB:.0f})")
    made_up, sent = per_call(None), per_call(url)
    for kind in sent:
        print(f"  {kind}: {1000 * made_up[kind][0]:.3f} ms CPU made up, {1000 * sent[kind][0]:.3f} ms sent")
    more = sum(sent[kind][0] - made_up[kind][0] for kind in sent) / len(sent)
    whole = estimate.cpu_s + calls * more
    pace = sum(wall for _, wall in sent.values()) / len(sent)
    print(f"the run: {whole:,.0f} s CPU, about {(calls * pace + estimate.cpu_s) / 3600:.1f} h with the stand-in")
    print(f"the estimate takes {estimate.cpu_s / whole:.3f} of the run's CPU time (at most {MOST_SHARE})")
    if run:
        got = measured(["run", *which, "--base-url", url, "--out", str(folder / "run")])
        print(f"the run as executed: {got.cpu_s:,.0f} s CPU, {got.wall_s:,.0f} s, {got.memory_gb:.2f} GB; ", end="")
        print(f"the estimate takes {estimate.cpu_s / got.cpu_s:.3f} of it")


if __name__ == "__main__":
    main()
