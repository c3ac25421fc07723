"""The stand-in endpoint with a Batch API: files and batches that go through their states as they are asked for."""

import asyncio
import json
from itertools import product
from typing import Any

import pytest
from aiohttp import web
from endpoint import Endpoint

from persona_lib.store import Store, canonical

ALIVE = ("validating", "in_progress", "finalizing")


class BatchEndpoint(Endpoint):
    """Answers the requests of a batch by `answer`; None leaves one unanswered.

    A batch takes a step towards `ends` (completed, expired or failed) each time its state is asked for, but no further
    than in_progress while `hold` is set. `lose` is the number of creations that are answered by an error although the
    batch is made; `hold_create` delays the answer, and `create_s` is how long a creation takes. `sent` are the requests
    submitted, in order. A `status` other than 0 makes uploads of files fail with it. `known` endpoints have answered
    before, so that no first call goes ahead of the files.
    """

    def __init__(
        self,
        *args: Any,
        ends: str = "completed",
        hold: bool = False,
        lose: int = 0,
        create_s: float = 0.0,
        known: bool = True,
        **settings: Any,
    ):
        super().__init__(*args, **settings)
        self.ends = ends
        self.hold = hold
        self.lose = lose
        self.create_s = create_s
        self.known = known
        self.hold_create = False
        self.status = 0
        self.files: dict[str, bytes] = {}
        self.batches: dict[str, dict[str, Any]] = {}
        self.away = 0  # how many of the next questions for a batch get no answer

    def __enter__(self) -> "BatchEndpoint":
        super().__enter__()
        for name in self.models if self.known else ():
            found = {"dialects": [], "kinds": list(product([False, True], repeat=4))}
            Store().note_endpoint(canonical({"name": name, "base_url": self.url}), json.dumps(found))
        return self

    @property
    def sent(self) -> list[dict[str, Any]]:
        return [item for batch in self.batches.values() for item in self.items(batch)]

    def items(self, batch: dict[str, Any]) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.files[batch["input_file_id"]].splitlines()]

    def routes(self, app: web.Application) -> None:
        super().routes(app)
        app.router.add_post("/v1/files", self._upload)
        app.router.add_get("/v1/files/{id}/content", self._content)
        app.router.add_post("/v1/batches", self._create)
        app.router.add_get("/v1/batches", self._list)
        app.router.add_get("/v1/batches/{id}", self._retrieve)

    async def _upload(self, request: web.Request) -> web.Response:
        self.headers = dict(request.headers)
        if self.status:
            return web.json_response({"error": {"message": "no such thing"}}, status=self.status)
        parts = {part.name: await part.read() async for part in await request.multipart()}
        assert parts["purpose"] == b"batch"
        name = f"file-{len(self.files)}"
        self.files[name] = bytes(parts["file"])
        about = {"bytes": len(self.files[name]), "created_at": 0, "filename": "requests.jsonl"}
        return web.json_response({"id": name, "object": "file", "purpose": "batch", "status": "processed", **about})

    async def _content(self, request: web.Request) -> web.Response:
        return web.Response(body=self.files[request.match_info["id"]])

    async def _create(self, request: web.Request) -> web.Response:
        body = await request.json()
        if body["input_file_id"] not in self.files:
            return web.json_response({"error": {"message": "no such file"}}, status=400)
        await asyncio.sleep(self.create_s)
        batch = {"id": f"batch_{len(self.batches)}", "object": "batch", "created_at": 0, "status": ALIVE[0], **body}
        self.batches[batch["id"]] = batch
        while self.hold_create:
            await asyncio.sleep(0.01)
        if self.lose:
            self.lose -= 1
            return web.json_response({"error": {"message": "lost"}}, status=500)
        return web.json_response(batch)

    async def _list(self, request: web.Request) -> web.Response:
        batches = list(reversed(self.batches.values()))
        return web.json_response({"object": "list", "data": batches, "has_more": False})

    async def _retrieve(self, request: web.Request) -> web.Response:
        if self.away:
            self.away -= 1
            return web.json_response({"error": {"message": "away"}}, status=503)
        batch = self.batches.get(request.match_info["id"])
        if batch is None:
            return web.json_response({"error": {"message": "no such batch"}}, status=404)
        if batch["status"] in ALIVE and not (self.hold and batch["status"] == "in_progress"):
            self._step(batch)
        return web.json_response(batch)

    def _step(self, batch: dict[str, Any]) -> None:
        """Go on to the next state; the last one writes the files of replies and errors."""
        items, place = self.items(batch), ALIVE.index(batch["status"])
        batch["request_counts"] = {"total": len(items), "completed": len(items) * place // 2, "failed": 0}
        batch["status"] = (*ALIVE, self.ends)[place + 1]
        if batch["status"] == "failed":
            batch["errors"] = {"object": "list", "data": [{"code": "x", "message": "not JSON", "line": 2}]}
        elif batch["status"] not in ALIVE:
            self.requests += [item["body"] for item in items]
            lines = [self._line(item) for item in reversed(items)]  # in no order
            for kind, good in (("output_file_id", True), ("error_file_id", False)):
                if chosen := [line for line in lines if good == ((line["response"] or {}).get("status_code") == 200)]:
                    batch[kind] = f"file-{len(self.files)}"
                    self.files[batch[kind]] = "".join(json.dumps(line) + "\n" for line in chosen).encode()

    def _line(self, item: dict[str, Any]) -> dict[str, Any]:
        answer = self.answer(item["body"])
        status, body = answer if isinstance(answer, tuple) else (200, answer)
        response = {"status_code": status, "request_id": "r", "body": body}
        error = {"code": "batch_expired", "message": "not done in time"}
        line = {"id": "l", "custom_id": item["custom_id"]}
        return line | ({"response": None, "error": error} if answer is None else {"response": response, "error": None})


QUICK = {"GATHER_S": 0.05, "FIRST_POLL_S": 0.02, "LONGEST_POLL_S": 0.05}


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Poll batches often."""
    for name, value in QUICK.items():
        monkeypatch.setattr(f"persona_lib.model.transport.batches.{name}", value)
