"""How fast, and in how much memory, requests are written into a file for an engine and its replies brought in.

    python benchmarks/replies.py [--lines 100000]

A stand-in answers each request with a reply of about 120 words. The store lies in a temporary folder.
"""

import argparse
import json
import resource
import tempfile
import time
from pathlib import Path

from persona_lib.model import exchange
from persona_lib.store import Exported, Store, canonical, key_of

WHO = {"name": "m", "base_url": "http://127.0.0.1:9/v1"}
SCHEMA = {"name": "Answer", "schema": {"type": "object", "properties": {"answer": {"type": "string"}}}}
PROFILE = "attribute: a value that is known of this person\n" * 33
REPLY = "so it may be said " * 24


def request(i: int) -> dict:
    """Return a request as 06 makes it, with a profile and a question."""
    messages = [{"role": "system", "content": PROFILE}, {"role": "user", "content": f"question {i}"}]
    return {"model": WHO, "messages": messages, "temperature": 0, "sample": 0, "schema": SCHEMA}


def reply(key: str, i: int) -> bytes:
    """Return the line of a reply."""
    message = {"role": "assistant", "content": json.dumps({"answer": f"{i} {REPLY}"})}
    usage = {"prompt_tokens": 500, "completion_tokens": 150, "total_tokens": 650}
    body = {"model": "m", "choices": [{"index": 0, "finish_reason": "stop", "message": message}], "usage": usage}
    response = {"status_code": 200, "request_id": "r", "body": body}
    return json.dumps({"id": "v", "custom_id": key, "response": response, "error": None}).encode() + b"\n"


def main(n: int) -> None:
    """Write n requests, bring in n replies twice, and print what each took."""
    with tempfile.TemporaryDirectory() as temporary:
        folder, store = Path(temporary), Store(Path(temporary) / "r.sqlite")
        exported = Exported(store)
        began = time.perf_counter()
        with (folder / "w.jsonl").open("wb") as file:
            for start in range(0, n, 1000):
                part = [(key_of(text := canonical(request(i))), text) for i in range(start, min(n, start + 1000))]
                file.writelines(exchange.line(k, r := json.loads(t), exchange.engine_of(r)) for k, t in part)
                exported.note(part)
        print(f"{n:,} requests written: {time.perf_counter() - began:.1f} s")
        with (folder / "r.jsonl").open("wb") as file:
            file.writelines(reply(key_of(canonical(request(i))), i) for i in range(n))
        for what in ("brought in", "looked at again"):
            before = resource.getrusage(resource.RUSAGE_SELF)
            began = time.perf_counter()
            brought = exchange.bring([folder / "r.jsonl"], store)
            after = resource.getrusage(resource.RUSAGE_SELF)
            cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            took = f"{time.perf_counter() - began:.1f} s, {cpu:.1f} s of CPU time"
            print(f"{dict(brought.counts)} {what}: {took}, {after.ru_maxrss / 1024:.0f} MB of memory at most")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--lines", type=int, default=100_000)
    main(parser.parse_args().lines)
