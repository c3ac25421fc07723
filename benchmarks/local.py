"""Compare the speed of `Model('local')` with that of llama.cpp itself, on the requests of the main job.

    python benchmarks/local.py                  # all of them (some minutes on two cores)
    python benchmarks/local.py --requests 20

The requests are those of the committed recording: a persona's profile first, then a question, then the instruction.
`Model` gets them in the order of the main job, store and validation included. llama.cpp's own server gets the same
requests by bare HTTP in the best order: sorted, so that requests with the same prefix follow each other. It runs with
one slot and with one slot per core, otherwise at its own defaults. All take turns, a few requests at a time, so that
other work on the machine slows all of them equally.
"""

import argparse
import http.client
import itertools
import json
import multiprocessing
import os
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, WithJsonSchema, create_model

from persona_lib import local
from persona_lib.local.__main__ import CONTEXT
from persona_lib.model import Model
from persona_lib.model.transport.endpoint import Endpoint
from persona_lib.store import Store, canonical, read_recording

PART = 4  # requests per turn of each contestant
BLOCK = 8  # requests that stay together when only a part of them is used
Request = dict[str, Any]


def recorded(n: int | None) -> list[Request]:
    """Return the requests of the recording in the order of their answers, or about n of them, block by block."""
    rows = sorted(read_recording("smoke"), key=lambda row: json.loads(row.reply)["created"])
    requests = [request for row in rows if (request := json.loads(row.request)).get("temperature") == 0]
    every = -(-len(requests) // n) if n else 1
    return [request for i, request in enumerate(requests) if i // BLOCK % every == 0]


def serve(path: str, slots: int, port: multiprocessing.Queue) -> None:
    """Run llama.cpp's server as a process of its own, which ends with its parent."""
    import xllamacpp

    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # its log
    params = xllamacpp.CommonParams()
    params.model.path = path
    params.hostnames, params.port = ["127.0.0.1"], 0
    params.n_parallel, params.n_ctx = slots, slots * CONTEXT
    server = xllamacpp.Server(params)
    port.put(server.listening_address.rsplit(":", 1)[1])
    while os.getppid() == multiprocessing.parent_process().pid:
        time.sleep(0.2)


@contextmanager
def llama(slots: int) -> Iterator[int]:
    """Start llama.cpp's own server; yield its port."""
    context = multiprocessing.get_context("spawn")
    port = context.Queue()
    process = context.Process(target=serve, args=(str(local.gguf("local")), slots, port), daemon=True)
    process.start()
    try:
        yield int(port.get(timeout=120))
    finally:
        process.terminate()
        process.join(10)


def bare(port: int, slots: int, requests: list[Request]) -> int:
    """Send requests by bare HTTP, as many at once as there are slots; return the number of tokens in and out."""
    as_sent = Endpoint("local", None)

    def post(request: Request) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
        body = json.dumps(as_sent._body(request))
        connection.request("POST", "/v1/chat/completions", body, {"Content-Type": "application/json"})
        answer = json.loads(connection.getresponse().read())
        connection.close()
        return answer["usage"]["total_tokens"]

    with ThreadPoolExecutor(slots) as pool:
        return sum(pool.map(post, requests))


def through_model(model: Model, requests: list[Request]) -> int:
    """Send the same requests through `Model`; return the number of tokens in and out."""
    before = total(model)
    for schema, group in itertools.groupby(requests, key=lambda request: request.get("schema")):
        messages = [request["messages"] for request in group]
        if schema:
            model.ask(messages, schema=reply_class(schema))
        else:  # in the main job, only choices have no schema
            model.choose(messages)
    return total(model) - before


def total(model: Model) -> int:
    return model.usage["tokens_in"] + model.usage["tokens_out"]


def reply_class(schema: dict[str, Any]) -> type[BaseModel]:
    """Return a pydantic model with a recorded schema."""
    fields: dict[str, Any] = {
        name: (Annotated[Any, WithJsonSchema(field)], ...) for name, field in schema["schema"]["properties"].items()
    }
    return create_model(schema["name"], **fields)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    cores = os.cpu_count() or 1
    parser.add_argument("--requests", type=int, help="number of requests, in blocks spread over the job")
    parser.add_argument("--slots", type=int, nargs="*", default=sorted({1, cores}), help="slots of llama.cpp's server")
    options = parser.parse_args()
    as_asked = recorded(options.requests)
    best = sorted(as_asked, key=lambda request: canonical({"messages": request["messages"]}))
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        model = Model("local", store=Store(Path(folder) / "r.sqlite"))
        ways = {"Model('local')": (as_asked, lambda part: through_model(model, part))}
        for slots in options.slots:
            port = stack.enter_context(llama(slots))
            name = f"llama.cpp, {slots} slot{'s' if slots > 1 else ''}"
            ways[name] = (best, lambda part, port=port, slots=slots: bare(port, slots, part))
        local.serve(local.gguf("local"))  # started here, so that its start is not timed
        seconds, tokens = dict.fromkeys(ways, 0.0), dict.fromkeys(ways, 0)
        for start in range(0, len(as_asked), PART):
            for name, (requests, work) in ways.items():
                began = time.perf_counter()
                tokens[name] += work(requests[start : start + PART])
                seconds[name] += time.perf_counter() - began
    rates = {name: tokens[name] / seconds[name] for name in ways}
    ours, *theirs = rates.values()
    print(f"{len(as_asked)} requests of the main job, {cores} cores")
    for name, rate in rates.items():
        print(f"  {name:20} {rate:6.1f} tokens/s  ({tokens[name]} tokens in {seconds[name]:.1f} s)")
    print(f"  Model('local') reaches {ours / max(theirs):.2f} of the speed of the faster of the others")


if __name__ == "__main__":
    main()
