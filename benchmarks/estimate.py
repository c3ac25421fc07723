"""Measure what `persona estimate` takes of a preset: CPU time beside the run that it estimates, and memory.

    python benchmarks/estimate.py                          # the preset small
    python benchmarks/estimate.py --preset paper           # the paper's sizes: some minutes
    python benchmarks/estimate.py --only 06 --run          # also executes the run, against the stand-in

PRISM is a made-up file of so many prompts that a made-up classifier keeps the paper's 3,868. 03 is left out where it
reads the pairs of `persona pairs`. The CPU time of the run is that of the estimate, plus what its calls take more than
made-up replies: both are measured side by side on the same requests. The stand-in is the planted model of `persona
rehearse` on the loopback address, in a process of its own, whose CPU time is printed apart. So is what the openai
client alone takes for the same requests. With --run the run is executed. Memory is that of all processes of the command
at its highest moment.
"""

import argparse
import asyncio
import multiprocessing
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple

import openai
import psutil
from pydantic import create_model

from persona_lib import files, personas, templates
from persona_lib.model import Model
from persona_lib.model.replies import dry
from persona_lib.runs import planted
from persona_lib.runs.planning import presets
from persona_lib.store import Store

sys.path.insert(0, str(files.ROOT / "tests"))
import prism

SAMPLE = 2_000  # requests of each kind
LIMIT_S = 4 * 3600.0
MOST_GB = 4.0
MOST_SHARE = 0.1


def serve(port: multiprocessing.Queue) -> None:
    """Run the planted model as an endpoint, as a process of its own; it takes any model's name."""
    with planted.Endpoint(planted.World(0), models=()) as endpoint:
        port.put(endpoint.url)
        threading.Event().wait()


@contextmanager
def stand_in() -> Iterator[tuple[str, psutil.Process]]:
    """Run the stand-in; yield its address and its process."""
    port = multiprocessing.Queue()
    server = multiprocessing.Process(target=serve, args=(port,), daemon=True)
    server.start()
    try:
        yield port.get(timeout=60), psutil.Process(server.pid)
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


class Cost(NamedTuple):
    """CPU milliseconds of a call: made up, sent, sent by the openai client alone, and the stand-in's."""

    made_up: float
    sent: float
    client: float
    stand_in: float


def per_call(url: str, server: psutil.Process) -> dict[str, Cost]:
    """Return what a call of each kind costs."""
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
    return {
        kind: _cost(url, server, templates.load(name), [{**said, **own} for own in asked], schema)
        for kind, (name, schema) in kinds.items()
    }


def _cost(
    url: str, server: psutil.Process, template: templates.Template, values: list[dict[str, Any]], schema: Any
) -> Cost:
    """Measure one kind of call."""
    made_up, _ = taken(server, lambda: ours(None, template, values, schema))
    sent, answered = taken(server, lambda: ours(url, template, values, schema))
    messages = [template.messages(own) for own in values]
    client, _ = taken(server, lambda: asyncio.run(bare(url, messages, schema)))
    return Cost(made_up, sent, client, answered)


def taken(server: psutil.Process, work: Callable[[], object]) -> tuple[float, float]:
    """Return the CPU milliseconds a call that some work takes, of this process and of the stand-in."""
    before, answering = time.process_time(), sum(server.cpu_times()[:2])
    work()
    after, answered = time.process_time(), sum(server.cpu_times()[:2])
    return 1000 * (after - before) / SAMPLE, 1000 * (answered - answering) / SAMPLE


def ours(url: str | None, template: templates.Template, values: list[dict[str, Any]], schema: Any) -> None:
    """Fill in a template and ask a model, over a store of its own; without an address replies are made up."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "r.sqlite", scratch=None if url else Path(folder) / "scratch.sqlite")
        model = Model("m", url or "http://127.0.0.1:9/v1", store)
        messages = [template.messages(own) for own in values]
        _ = model.ask(messages, schema, step="a call") if schema else model.choices(messages, step="a call")
        assert model.steps["a call"]["calls"] == SAMPLE, "each item takes one call"


async def bare(url: str, messages: list[Any], schema: Any) -> None:
    """Send the same requests with the openai client alone, 64 at a time, and keep nothing."""
    how: dict[str, Any] = {"logprobs": True, "top_logprobs": 20, "max_tokens": 1}
    if schema:
        form = {"name": "reply", "schema": schema.model_json_schema(), "strict": True}
        how = {"response_format": {"type": "json_schema", "json_schema": form}}
    waiting = asyncio.Semaphore(64)
    async with openai.AsyncOpenAI(base_url=url, api_key="none", http_client=openai.DefaultAioHttpClient()) as client:

        async def one(own: Any) -> None:
            async with waiting:
                await client.chat.completions.create(model="m", messages=own, temperature=0, **how)

        await asyncio.gather(*map(one, messages))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="small")
    parser.add_argument("--only", help="notebooks, such as 06 or 01,06")
    parser.add_argument("--run", action="store_true", help="execute the run too, against the stand-in")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, stand_in() as (url, server):
        preset = presets.load(options.preset)
        only = options.only or ",".join(s for s in preset.notebooks if options.preset != "paper" or s[:2] != "03")
        conversations = prism.write(Path(folder) / "prism.jsonl", round(prism.SIZE / dry.FIRST))
        which = ["--preset", options.preset, "--only", only, "-p", f"prompts={conversations}"]
        report(url, server, which, Path(folder), options.run)


def report(url: str, server: psutil.Process, which: list[str], folder: Path, run: bool) -> None:
    """Measure and print."""
    estimate = measured(["estimate", *which])
    total = re.search(r"^total\s+([\d,]+)", estimate.output, re.MULTILINE)
    if not total:
        sys.exit(f"persona estimate ended without a table:\n{estimate.output}")
    calls = int(total[1].replace(",", ""))
    print(estimate.output)
    print(
        f"estimate: {calls:,} calls, {estimate.cpu_s:,.0f} s CPU, {estimate.memory_gb:.2f} GB (at most {MOST_GB:.0f})"
    )
    costs = per_call(url, server)
    for kind, cost in costs.items():
        print(
            f"  {kind}: {cost.made_up:.2f} ms CPU made up, {cost.sent:.2f} sent (by the openai client alone "
            f"{cost.client:.2f}), {cost.stand_in:.2f} of the stand-in"
        )
    more = sum(cost.sent - cost.made_up for cost in costs.values()) / len(costs)
    answering = sum(cost.stand_in for cost in costs.values()) / len(costs)
    whole = estimate.cpu_s + calls * more / 1000
    both = whole + calls * answering / 1000
    print(f"the run: {whole:,.0f} s CPU, {both:,.0f} s with the stand-in's")
    for name, run_s in (("CPU time", whole), ("CPU time with the stand-in's", both)):
        print(f"the estimate takes {estimate.cpu_s / run_s:.3f} of the run's {name} (at most {MOST_SHARE})")
    if run:
        answering = sum(server.cpu_times()[:2])
        got = measured(["run", *which, "--base-url", url, "--out", str(folder / "run")])
        answered = sum(server.cpu_times()[:2]) - answering
        print(got.output)
        print(
            f"the run as executed: {got.cpu_s:,.0f} s CPU, the stand-in {answered:,.0f} s, {got.wall_s:,.0f} s in all, "
            f"{got.memory_gb:.2f} GB; the estimate takes {estimate.cpu_s / got.cpu_s:.3f} of it, "
            f"{estimate.cpu_s / (got.cpu_s + answered):.3f} with the stand-in"
        )


if __name__ == "__main__":
    main()
