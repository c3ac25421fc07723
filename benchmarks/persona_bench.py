"""Compare the published package persona-bench with ours: the same 300 items and the same endpoint, in one run.

    python benchmarks/persona_bench.py                  # about three minutes; the first time it installs the package
    python benchmarks/persona_bench.py --venv FOLDER    # keeps the package's environment there, not in the cache folder

The package (0.1.2.1, with the newest inspect-ai and openai with which all of it runs) has its own environment. Its data
sets are gated, so we replace them by stand-ins of the same form: our personas and the questions of our bank, paired row
by row, as the package does. Both answer in the mode "chain of thought" and judge each answer.

The endpoint is a separate process on the loopback address that answers after 200 ms, with at most 64 calls in flight.
It writes as capable models do: 80 to 200 words of reasoning, 80 to 150 of an answer, 20 to 45 of a critique, for both.
Tokens are characters / 4 of all messages and JSON schemas sent. A call counts as repeated if an identical request was
answered before. An answer sent within 200 ms before a kill counts as in flight: the client may not have read it.

tests/test_claims.py holds the counts of our side at a small size, against what the package sent when this was recorded
(`package_tokens`).
"""

import argparse
import asyncio
import hashlib
import json
import multiprocessing
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

PINS = ("persona-bench==0.1.2.1", "inspect-ai==0.3.41", "openai==1.109.1")
ITEMS, IN_FLIGHT, LATENCY_S, REFUSED = 300, 64, 0.2, 0.02
PATIENCE_S = 120  # time limit of a run; the package can retry a single refused call for ten minutes
ALL = "forget=1e9"
BARS = {
    "calls per item": 2,
    "share of the package's tokens": 0.62,
    "seconds": 2.6,
    "repeated": 0,
    "unscored in the first run": 0,
    "unscored with 2% refused, but not refused": 0,
    "accounted": ITEMS,
}
# Words of a text by what its field is called; the package's names and ours.
LENGTHS = {"thought": (80, 200), "reasoning": (80, 200), "answer": (80, 150)}
CRITIQUE = (20, 45)
# What the package sends for each item besides persona, question and replies: the wording of its four calls and the two
# tools, in characters. Recorded on 2026-11-30 from a run of this script with PINS.
WORDING = 4_171
REPLIES = {  # the fields of the two replies that the package sends back to be rewritten
    "answer": ("chain_of_thought", "answer_to_question"),
    "verdict": ("chain_of_thought", "personalization_critic", "helpfulness_critic", "conclusion"),
}


def written(field: str, digest: str) -> str:
    """Return the text of a reply's field: as long as a model's, and another one for each request."""
    low, high = next((words for part, words in LENGTHS.items() if part in field), CRITIQUE)
    words = random.Random(f"{digest} {field}").randint(low, high)
    return " ".join([digest[:8], *["every", "answer"] * (words // 2 - 1), "differs"])


def filled(schema: dict, digest: str) -> dict:
    """Return an object that fits the schema: a text, the first of several options, the least number, or false."""

    def value(field: str, form: dict) -> object:
        if options := form.get("enum"):
            return options[0]
        fixed = {"boolean": False, "integer": form.get("minimum", 1), "number": form.get("minimum", 0)}
        return fixed.get(form.get("type", ""), written(field, digest))

    return {field: value(field, form) for field, form in schema["properties"].items()}


def reply(body: dict, digest: str) -> dict:
    """Return a completion: a tool's arguments, an object of the requested schema, or JSON as text."""
    message: dict = {"role": "assistant", "content": written("answer", digest)}
    if tools := body.get("tools"):
        function = tools[0]["function"]
        call = {"name": function["name"], "arguments": json.dumps(filled(function["parameters"], digest))}
        message = {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "c", "type": "function", "function": call}],
        }
    elif form := body.get("response_format"):
        message["content"] = json.dumps(filled(form["json_schema"]["schema"], digest))
    else:
        verdict = "needs_revision" in str(body["messages"])
        message["content"] = in_text("verdict" if verdict else "answer", digest)
    choice = {"index": 0, "finish_reason": "stop", "message": message}
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    return {"id": "x", "object": "chat.completion", "created": 0, "model": "m", "usage": usage, "choices": [choice]}


def in_text(kind: str, digest: str) -> str:
    """Return a reply of the package's model, which writes its JSON as text."""
    fields = {field: written(field, digest) for field in REPLIES[kind]}
    return json.dumps(fields | ({"needs_revision": False} if kind == "verdict" else {}))


def package_tokens(folder: Path) -> float:
    """Return the prompt tokens per item that the package would send for the items in `folder`, as recorded.

    It sends persona and question twice, its model's reply and critique once more to have them rewritten, the answer to
    the critic, and its own wording.
    """
    import pandas as pd

    items = pd.read_parquet(folder / "items.parquet")
    people = pd.read_parquet(folder / "personas.parquet").to_dict("records")
    data = [2 * len(str(p)) + 2 * len(q) for p, q in zip(people, items["prompt"], strict=True)]
    digests = [hashlib.sha256(str(i).encode()).hexdigest() for i in range(1000)]
    texts = [
        len(in_text("answer", d)) + len(in_text("verdict", d)) + len(written("answer_to_question", d)) for d in digests
    ]
    return (WORDING + statistics.mean(data) + statistics.mean(texts)) / 4


def serve(port: multiprocessing.Queue, latency_s: float = LATENCY_S) -> None:
    """Run the endpoint as a process of its own; /counts reports what it received since /reset.

    Parameters of /reset: `refuse` is the share of requests to refuse; `forget` makes the endpoint forget the answers
    of the last so many seconds.
    """
    from aiohttp import web

    counts, answered, refuse, running = {}, {}, 0.0, 0  # answered: digest and time of each request

    async def chat(request: web.Request) -> web.Response:
        nonlocal running
        raw = await request.read()
        body, digest = json.loads(raw), hashlib.sha256(raw).hexdigest()
        sent = [str(m.get("content") or "") for m in body["messages"]]
        sent += [json.dumps(body[k]) for k in ("tools", "response_format") if body.get(k)]
        counts["calls"] += 1
        counts["characters"] += sum(map(len, sent))
        counts["repeated"] += digest in answered
        running += 1
        counts["most in flight"] = max(counts["most in flight"], running)
        try:
            await asyncio.sleep(latency_s)
        finally:
            running -= 1
        if int(digest[:8], 16) < refuse * 16**8:
            counts["refused"] += 1
            error = {"message": "content filter", "type": "invalid_request_error", "code": "content_filter"}
            return web.json_response({"error": error}, status=400)
        if request.transport and not request.transport.is_closing():
            answered[digest] = time.monotonic()
        return web.json_response(reply(body, digest))

    async def reset(request: web.Request) -> web.Response:
        nonlocal refuse
        refuse = float(request.query.get("refuse", 0))
        counts.update(dict.fromkeys(("calls", "characters", "repeated", "refused", "most in flight"), 0))
        since = time.monotonic() - float(request.query.get("forget", 0))
        for digest in [d for d, when in answered.items() if when > since]:
            del answered[digest]
        return web.json_response({})

    async def tell(_: web.Request) -> web.Response:
        return web.json_response(counts | {"answered": len(answered)})

    async def models(_: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [{"id": "m", "object": "model"}]})

    async def main() -> None:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", chat)
        app.router.add_get("/v1/models", models)
        app.router.add_get("/reset", reset)
        app.router.add_get("/counts", tell)
        runner = web.AppRunner(app, access_log=None, handler_cancellation=True)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, backlog=1024).start()
        port.put(runner.addresses[0][1])
        await asyncio.Event().wait()

    asyncio.run(main())


def get(url: str, path: str) -> dict:
    with urllib.request.urlopen(url.removesuffix("/v1") + path, timeout=30) as answer:
        return json.load(answer)


def write_items(folder: Path, n: int = ITEMS) -> None:
    """Write n items in the form that each side reads: one persona and one question per row."""
    from persona_lib import attributes, personas, prompts

    people = personas.sample(n)
    asked = prompts.load().head(n).reset_index(drop=True)
    rows = asked[["prompt_id", "prompt", "topic"]].assign(persona_id=people.index)
    rows["profile"] = [personas.describe(row) for _, row in people.iterrows()]
    rows.to_parquet(folder / "items.parquet")
    told = people[list(attributes.NAMES)].astype("str").fillna("")
    told.reset_index(drop=True).to_parquet(folder / "personas.parquet")


def clock() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


def since(began: tuple[float, float]) -> dict:
    """Return the wall and CPU seconds of this process since `began`."""
    wall, cpu = clock()
    return {"seconds": wall - began[0], "cpu": cpu - began[1]}


def load_openai() -> None:
    """Import what the openai client loads only at its first use: it is not part of the measured time."""
    import openai

    client = openai.AsyncOpenAI(api_key="none")
    assert client.chat.completions and client.models


def ours(url: str, items: Path, folder: Path, in_flight: int = IN_FLIGHT) -> dict:
    """Run the conditioning of notebook 06, with its response store in `folder`."""
    import pandas as pd

    from persona_lib import bench
    from persona_lib.model import Model
    from persona_lib.store import Store

    drawn = pd.read_parquet(items / "items.parquet").sort_values("persona_id", ignore_index=True)
    load_openai()
    began = clock()
    model = Model("m", url, Store(folder / "responses.sqlite"), in_flight)
    table = bench.conditioning(drawn, [model], model, ["chain_of_thought"])
    scored, failed = int(table["score"].notna().sum()), int(table["failure"].notna().sum())
    return since(began) | {"scored": scored, "failed": failed, "ended": "success"}


def package(url: str, items: Path, folder: Path, in_flight: int = IN_FLIGHT) -> dict:
    """Run the package's main evaluation, with its two gated data sets replaced."""
    os.environ |= {"OPENAI_API_KEY": "none", "OPENAI_BASE_URL": url, "INSPECT_DISPLAY": "none"}
    os.environ |= {"GENERATE_MODE": "chain_of_thought", "INSPECT_EVAL_MODEL": "openai/m"}
    import datasets
    import pandas as pd

    questions = pd.read_parquet(items / "items.parquet")["prompt"]
    people = pd.read_parquet(items / "personas.parquet")
    datasets.load_dataset = lambda _: {"train": [{"question": q} for q in questions]}
    pd.read_parquet = lambda _: people
    from inspect_ai import eval as evaluate
    from inspect_ai.log import list_eval_logs, read_eval_log
    from persona_bench.main_evaluation import persona_bench_main

    load_openai()
    began = clock()
    log = evaluate(persona_bench_main(), model="openai/m", log_dir=str(folder), max_connections=in_flight)[0]
    took = since(began)
    samples = log.samples or read_eval_log(list_eval_logs(str(folder))[0].name).samples or []
    scored = sum(bool(sample.scores) for sample in samples)
    ended = log.status + ("" if log.results else ", no metric")
    return took | {"scored": scored, "failed": 0, "ended": ended}


class Side:
    """One of the two contestants, run in separate processes, with the number of items in `items`."""

    def __init__(
        self,
        name: str,
        python: Path | str,
        url: str,
        items: Path,
        n: int = ITEMS,
        in_flight: int = IN_FLIGHT,
        latency_s: float = LATENCY_S,
    ):
        self.name, self.python, self.url, self.items = name, str(python), url, items
        self.n, self.in_flight, self.latency_s = n, in_flight, latency_s

    def start(self, folder: Path) -> subprocess.Popen:
        """Start a run that stores its files in `folder`."""
        command = [self.python, "-P", __file__, "--child", self.name, self.url, str(self.items), str(folder)]
        command.append(str(self.in_flight))
        env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH" or self.name == "ours"}
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder, env=env)

    def finish(self, folder: Path) -> dict:
        """Make a complete run; return what it reports."""
        process = self.start(folder)
        try:
            said, errors = process.communicate(timeout=PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            ended = f"not within {PATIENCE_S} s"
            return {"seconds": PATIENCE_S, "cpu": 0.0, "scored": 0, "failed": 0, "ended": ended}
        lines = [line for line in said.splitlines() if line.startswith('{"seconds"')]
        if not lines:
            raise SystemExit(f"{self.name} did not run:\n{errors[-2000:]}")
        return json.loads(lines[-1])

    def run(self, folder: Path, reset: str) -> dict:
        """Make a complete run; return what it reports, and what the endpoint counted."""
        get(self.url, f"/reset?{reset}")
        return self.finish(folder) | get(self.url, "/counts")

    def kill(self, folder: Path, calls: int) -> int:
        """Start a run, kill it once half of the calls are answered, and return the number of answered calls."""
        get(self.url, f"/reset?{ALL}")
        process, deadline = self.start(folder), time.monotonic() + PATIENCE_S
        while get(self.url, "/counts")["answered"] < calls // 2 and time.monotonic() < deadline:
            time.sleep(0.02)
        process.kill()
        get(self.url, f"/reset?forget={self.latency_s}")
        process.communicate()
        return get(self.url, "/counts")["answered"]

    def measure(self, refused: float = REFUSED) -> dict[str, str | float]:
        """Measure a first run, a second run, a run that is killed half-way and resumed, and a run with refusals."""
        with tempfile.TemporaryDirectory() as top:
            folders = [Path(top) / str(k) for k in range(4)]
            for folder in folders:
                folder.mkdir()
            # The faster of two first runs: the machine may have other work.
            once = min((self.run(folder, ALL) for folder in folders[:2]), key=lambda one: one["seconds"])
            again = self.run(folders[1], "")
            answered = self.kill(folders[2], once["calls"])
            after = self.run(folders[2], "")
            filtered = self.run(folders[3], f"{ALL}&refuse={refused}")
        return {
            "calls per item": once["calls"] / self.n,
            "prompt tokens per item": once["characters"] / 4 / self.n,
            "scored": once["scored"],
            "seconds": once["seconds"],
            "seconds of CPU": once["cpu"],
            "most calls in flight": once["most in flight"],
            "repeated by a second run": again["repeated"],
            "answered before SIGKILL": answered,
            "of these asked again": after["repeated"],
            "with HTTP 400: refusals": filtered["refused"],
            "with HTTP 400: ended": filtered["ended"],
            "with HTTP 400: scored": filtered["scored"],
            "with HTTP 400: with a reason": filtered["failed"],
        }


def against_bars(ours_has: dict, tokens_of_package: float, n: int = ITEMS) -> dict[str, float]:
    """Return our figures for BARS."""
    return {
        "calls per item": ours_has["calls per item"],
        "share of the package's tokens": ours_has["prompt tokens per item"] / tokens_of_package,
        "seconds": ours_has["seconds"],
        "repeated": ours_has["repeated by a second run"] + ours_has["of these asked again"],
        "unscored in the first run": n - ours_has["scored"],
        "unscored with 2% refused, but not refused": n
        - ours_has["with HTTP 400: scored"]
        - ours_has["with HTTP 400: refusals"],
        "accounted": ours_has["with HTTP 400: scored"] + ours_has["with HTTP 400: with a reason"],
    }


def environment(folder: Path) -> Path:
    """Return the Python of the package's environment; install the package if it is missing."""
    python = folder / "bin" / "python"
    if subprocess.run(
        [python, "-P", "-c", "import persona_bench"] if python.exists() else ["false"],
        env={"OPENAI_API_KEY": "none"},
        capture_output=True,
    ).returncode:
        print(f"Installing {', '.join(PINS)} into {folder} ...", flush=True)
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", *PINS], check=True, stderr=subprocess.DEVNULL)
    return python


def report(package_has: dict, ours_has: dict, recorded: float) -> None:
    print(f"\n{ITEMS} items, {LATENCY_S * 1000:.0f} ms, up to {IN_FLIGHT} in flight, imports not counted")
    print(f"{'':30} {'persona-bench 0.1.2.1':>22} {'ours':>10}")
    for name, value in package_has.items():
        shown = [f"{v:,.1f}" if isinstance(v, float) else str(v) for v in (value, ours_has[name])]
        print(f"{name:30} {shown[0]:>22} {shown[1]:>10}")
    measured = package_has["prompt tokens per item"]
    print(f"\nthe package's prompt tokens per item, as recorded for the tests: {recorded:,.1f}", end="; ")
    print(f"the wording would be {WORDING + 4 * (measured - recorded):,.0f} characters by this run")
    print("\nours against its targets")
    for name, value in against_bars(ours_has, measured).items():
        met = value == BARS[name] if name == "accounted" else value <= BARS[name]
        print(f"{name:42} {value:8.2f}   target {BARS[name]:<6} {'met' if met else 'MISSED'}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--venv", type=Path)
    parser.add_argument("--child", nargs=5, metavar=("WHO", "URL", "ITEMS", "FOLDER", "N"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        who, url, items, folder, in_flight = options.child
        run = {"ours": ours, "package": package}[who]
        print("\n" + json.dumps(run(url, Path(items), Path(folder), int(in_flight))))
        return
    from platformdirs import user_cache_path

    python = environment(options.venv or user_cache_path("persona-workbench") / "persona-bench")
    port = multiprocessing.Queue()
    server = multiprocessing.Process(target=serve, args=(port,), daemon=True)
    server.start()
    url = f"http://127.0.0.1:{port.get(timeout=30)}/v1"
    with tempfile.TemporaryDirectory() as items:
        write_items(Path(items))
        both = (Side(*who, url, Path(items)).measure() for who in (("package", python), ("ours", sys.executable)))
        report(*both, package_tokens(Path(items)))
    server.terminate()


if __name__ == "__main__":
    main()
