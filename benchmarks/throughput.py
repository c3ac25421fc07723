"""Compare the speed of `Model.ask` with the bare openai client, and both with the ideal, against a slow endpoint.

    python benchmarks/throughput.py                  # 4,000 requests, 64 and 512 in flight (some minutes)
    python benchmarks/throughput.py --stream 100000  # from a generator: peak memory

The endpoint is a separate process on the loopback address that answers each request after 200 ms. All numbers of a
table come from the same run. Store and validation are included for `Model.ask`; the bare client does neither.
"""

import argparse
import asyncio
import json
import math
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import openai
from pydantic import BaseModel

from persona_lib.model import Model
from persona_lib.store import Store

LATENCY_S = 0.2
PROMPT = " ".join(f"word{n % 97}" for n in range(300))  # about 600 tokens


class Verdict(BaseModel):
    """What the stand-in endpoint replies."""

    critique: str
    verdict: str


def serve(port: multiprocessing.Queue, allowed_per_s: float = math.inf, model: str = "m") -> None:
    """Run the endpoint as a process of its own: it refuses calls beyond its limit and lists all calls at /counts."""
    from aiohttp import web

    content = json.dumps({"critique": "It says what this person needs to know. " * 5, "verdict": "keep"})
    message = {"role": "assistant", "content": content}
    usage = {"prompt_tokens": 600, "completion_tokens": 60, "total_tokens": 660}
    reply = {"id": "x", "object": "chat.completion", "created": 0, "model": "m", "usage": usage}
    text = json.dumps(reply | {"choices": [{"index": 0, "finish_reason": "stop", "message": message}]})

    began, counts, room = time.monotonic(), [], [0.0, 0.0]  # time and acceptance of each call; tokens left, and when

    async def chat(request: web.Request) -> web.Response:
        await request.read()
        now = time.monotonic() - began
        if allowed_per_s < math.inf:  # a token bucket of half a second's calls, as in usual rate limiters
            room[:] = min(allowed_per_s / 2, room[0] + (now - room[1]) * allowed_per_s), now
            counts.append((now, room[0] >= 1))
            if room[0] < 1:
                return web.json_response({"error": {"message": "too many"}}, status=429)
            room[0] -= 1
        await asyncio.sleep(LATENCY_S)
        return web.Response(text=text, content_type="application/json")

    async def tell(_: web.Request) -> web.Response:
        return web.json_response(counts)

    async def models(_: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [{"id": model, "object": "model"}]})

    async def main() -> None:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", chat)
        app.router.add_get("/v1/models", models)
        app.router.add_get("/counts", tell)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, backlog=1024).start()
        port.put(runner.addresses[0][1])
        await asyncio.Event().wait()

    asyncio.run(main())


@contextmanager
def endpoint(allowed_per_s: float = math.inf, model: str = "m") -> Iterator[str]:
    """Run an endpoint; yield its address."""
    port = multiprocessing.Queue()
    server = multiprocessing.Process(target=serve, args=(port, allowed_per_s, model), daemon=True)
    server.start()
    try:
        yield f"http://127.0.0.1:{port.get(timeout=30)}/v1"
    finally:
        server.terminate()


def requests(n: int, tag: str) -> Iterator[list[dict[str, str]]]:
    for i in range(n):
        yield [{"role": "system", "content": f"{tag} {i} {PROMPT}"}, {"role": "user", "content": f"Question {i}?"}]


async def bare(url: str, n: int, in_flight: int, http_client: object) -> None:
    """Send the requests with the openai client alone, with the same number of workers and the same schema."""
    client = openai.AsyncOpenAI(base_url=url, api_key="none", max_retries=0, http_client=http_client)
    schema = openai.pydantic_function_tool(Verdict)["function"]["parameters"]
    form = {"type": "json_schema", "json_schema": {"name": "Verdict", "strict": True, "schema": schema}}
    queue = requests(n, "bare")

    async def worker() -> None:
        for messages in queue:
            await client.chat.completions.create(model="m", messages=messages, temperature=0, response_format=form)

    await asyncio.gather(*(worker() for _ in range(in_flight)))
    await client.close()


def timed(work) -> tuple[float, float]:
    """Run `work`; return the wall and CPU seconds of this process."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def ask(url: str, n: int, in_flight: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        model = Model("m", url, Store(Path(folder) / "r.sqlite"), max_in_flight=in_flight)
        replies = model.ask(list(requests(n, "ask")), schema=Verdict)
        assert len(replies) == n and all(r.value for r in replies) and model.usage["calls"] == n


def compare(url: str, n: int, in_flight: int, rounds: int) -> None:
    """Run all three in turn, several times; the fastest run of each counts, as the machine may have other work."""
    backends = {
        "bare, default backend": openai.DefaultAsyncHttpxClient,
        "bare, aiohttp backend": openai.DefaultAioHttpClient,
    }
    runs = {k: lambda c=c: asyncio.run(bare(url, n, in_flight, c())) for k, c in backends.items()}
    runs["Model.ask"] = lambda: ask(url, n, in_flight)
    times = [{name: timed(run) for name, run in runs.items()} for _ in range(rounds)]
    best = {name: min(once[name] for once in times) for name in runs}
    ideal, better = in_flight / LATENCY_S, min(best[name] for name in backends)[0]
    print(f"\n{n} requests, {in_flight} in flight, ideal {ideal:.0f} calls/s; best of {rounds} rounds")
    for name, (wall, cpu) in best.items():
        ratios = f"{n / wall / ideal:5.2f} of ideal  {better / wall:5.2f} of the faster bare client"
        print(f"  {name:22} {n / wall:7.0f} calls/s  {ratios}  {1000 * cpu / n:5.2f} ms CPU/call")


def stream(url: str, n: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "r.sqlite")
        model = Model("m", url, store, max_in_flight=512)
        wall, cpu = timed(lambda: model.ask(requests(n, "stream"), schema=Verdict))
        kept = store.counts()["replies"]
    print(f"{n} requests from a generator: {n / wall:.0f} calls/s, {1000 * cpu / n:.2f} ms CPU/call, {kept} stored")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=4000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--stream", type=int, metavar="N")
    options = parser.parse_args()
    with endpoint() as url:
        if options.stream:
            stream(url, options.stream)
        else:
            for in_flight in (64, 512):
                compare(url, options.requests, in_flight, options.rounds)
    print(f"\npeak memory {peak_mib():.0f} MiB")


if __name__ == "__main__":
    main()
