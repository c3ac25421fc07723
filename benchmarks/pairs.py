"""Measure what the paper's preference data set costs besides the model: time, client CPU, memory, store.

    python benchmarks/pairs.py                # 159 personas x 200 prompts against an endpoint of 5 ms (some minutes)
    python benchmarks/pairs.py --batch        # all 1,586 at once through a Batch API: memory of the three waves
    python benchmarks/pairs.py --personas 20  # fewer

By default it measures a tenth of the data set. The endpoint is a separate process on the loopback address. It answers
each request after 5 ms with about as much text as the request asks for. Profiles have the paper's 33 attributes. The
targets are for the paper's 638,268 calls on two cores.
"""

import argparse
import asyncio
import json
import multiprocessing
import random
import re
import resource
import tempfile
import time
from collections import deque
from pathlib import Path

import numpy as np
import pandas as pd

from persona_lib import personas
from persona_lib.attributes import NAMES
from persona_lib.model import Model
from persona_lib.preferences import dataset
from persona_lib.store import Store

LATENCY_S = 0.005
CALLS = 3868 + 2 * 1586 * 200
WORDS_ASKED = 120  # requested length of an answer, as in params/paper.yaml; the endpoint answers with 90 words
WORDS = Path(__file__).parent.parent.joinpath("README.md").read_text("utf-8").split()


def text(said: str, words: int) -> str:
    """Draw words with the request as seed: no two texts are alike, and they compress like prose."""
    return " ".join(random.Random(said).choices(WORDS, k=words))


def reply(body: dict) -> dict:
    schema = body["response_format"]["json_schema"]["schema"]["properties"]
    said = body["messages"][-1]["content"]
    content = json.dumps({field: text(said, 90) for field in schema})
    message = {"role": "assistant", "content": content, "refusal": None, "annotations": []}
    usage = {"prompt_tokens": 900, "completion_tokens": 90, "total_tokens": 990}
    choice = {"index": 0, "finish_reason": "stop", "message": message, "logprobs": None}
    about = {"id": "chatcmpl-" + "x" * 29, "object": "chat.completion", "created": 0, "model": "m-2024-07-18"}
    return about | {"choices": [choice], "usage": usage, "system_fingerprint": "fp_0123456789"}


def serve(port: multiprocessing.Queue) -> None:
    """Run the endpoint as a process of its own."""
    from aiohttp import web

    async def chat(request: web.Request) -> web.Response:
        body = json.loads(await request.read())
        await asyncio.sleep(LATENCY_S)
        return web.Response(text=json.dumps(reply(body)), content_type="application/json")

    async def models(_: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [{"id": "m", "object": "model"}]})

    async def main() -> None:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", chat)
        app.router.add_get("/v1/models", models)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, backlog=1024).start()
        port.put(runner.addresses[0][1])
        await asyncio.Event().wait()

    asyncio.run(main())


def serve_batches(port: multiprocessing.Queue) -> None:
    """Run the tests' endpoint with a Batch API as a process of its own; it takes some GB itself."""
    import sys

    sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
    from batch_endpoint import BatchEndpoint

    with BatchEndpoint(reply) as endpoint:
        endpoint.requests = deque(maxlen=1)  # otherwise it would keep all requests
        port.put(int(re.search(r":(\d+)/", endpoint.url)[1]))
        time.sleep(86_400)


def people(n: int) -> pd.DataFrame:
    """Draw personas and fill every missing attribute, with texts about as long as the paper's."""
    table = personas.sample(n, 0)
    for name in NAMES:
        if table[name].isna().any():
            filler = pd.Series([text(f"{name} {i}", 15) for i in range(n)], table.index)
            table[name] = filler if table[name].isna().all() else table[name]
    return table


def questions(n: int = 3868, heldout: int = 868) -> pd.DataFrame:
    ids = [f"q{i:05}" for i in range(n)]
    split = np.where(np.arange(n) < heldout, "heldout", "train")
    prompts = [text(i, 18).capitalize() + "?" for i in ids]
    return pd.DataFrame({"prompt_id": ids, "prompt": prompts, "topic": "x", "prompt_split": split})


def measure(url: str, n: int, batch: bool) -> None:
    who, what = people(n), questions()
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "responses.sqlite")
        writer = Model("m", url, store)
        bulk = Model("m", url, store, batch=True) if batch else None
        wall, cpu = time.perf_counter(), time.process_time()
        dataset.build(who, what, writer, Path(folder) / "set", words=WORDS_ASKED, bulk=bulk)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        calls, kept = (bulk or writer).usage["calls"], store.path.stat().st_size
        parts = sum(f.stat().st_size for f in Path(folder).glob("set/*/*"))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        began = time.perf_counter()
        dataset.build(who, what, writer, Path(folder) / "set", words=WORDS_ASKED, bulk=bulk)
        again = time.perf_counter() - began
        assert (bulk or writer).usage["calls"] == calls
    profile = np.mean([len(personas.describe(row)) for _, row in who.iterrows()])
    print(f"{n} personas of {profile:.0f} characters, {calls:,} calls in {wall:.0f} s: {calls / wall:.0f} calls/s")
    print(f"  {CALLS:,} calls would take {CALLS * wall / calls / 60:.1f} min   (target: 30)")
    print(f"  client CPU {1000 * cpu / calls:.2f} ms per call            (target: 2)")
    print(f"  peak memory {peak:,.0f} MiB                  (target: 2,048)")
    print(f"  store {CALLS * kept / calls / 1e9:.2f} GB at full size            (target: 4)")
    print(f"  parts {CALLS * parts / calls / 1e9:.2f} GB at full size; a second run finds everything in {again:.1f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--personas", type=int)
    parser.add_argument("--batch", action="store_true")
    options = parser.parse_args()
    port = multiprocessing.Queue()
    server = multiprocessing.Process(target=serve_batches if options.batch else serve, args=(port,), daemon=True)
    server.start()
    url = f"http://127.0.0.1:{port.get(timeout=30)}/v1"
    measure(url, options.personas or (1586 if options.batch else 159), options.batch)
    server.terminate()


if __name__ == "__main__":
    main()
