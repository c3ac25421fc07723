"""Serve a planted model on the loopback address, as an OpenAI-compatible endpoint."""

import asyncio
import json
import threading
from collections import Counter
from types import TracebackType
from typing import Any

from aiohttp import web

from ...store import canonical
from .texts import embedding
from .world import World

MODEL, JUDGE = "planted-1", "planted-2"
START_S = 10


class Endpoint:
    """An HTTP server in a thread of its own, from `with` to its end: `url` is its address.

    It answers /v1/chat/completions and /v1/embeddings, and lists `models` at /v1/models. `requests` counts the chat
    requests by their text: the same request twice is one that was sent again.

    Args:
        world: what answers.
        models: the names that it lists.
    """

    def __init__(self, world: World, models: tuple[str, ...] = (MODEL, JUDGE)):
        self.world = world
        self.models = models
        self.requests: Counter[str] = Counter()
        self.url = ""

    async def _chat(self, request: web.Request) -> web.Response:
        body: dict[str, Any] = await request.json()
        key = canonical(body)
        turn = self.requests[key]
        self.requests[key] += 1
        return web.Response(text=json.dumps(self.world.reply(body, turn)), content_type="application/json")

    async def _embeddings(self, request: web.Request) -> web.Response:
        body: dict[str, Any] = await request.json()
        data = [{"index": i, "embedding": embedding(text, self.world.seed)} for i, text in enumerate(body["input"])]
        tokens = sum(len(text) for text in body["input"]) // 4
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        return web.json_response({"object": "list", "data": data, "model": body["model"], "usage": usage})

    async def _models(self, request: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [{"id": name, "object": "model"} for name in self.models]})

    async def _start(self) -> None:
        app = web.Application(client_max_size=2**26)
        app.router.add_post("/v1/chat/completions", self._chat)
        app.router.add_post("/v1/embeddings", self._embeddings)
        app.router.add_get("/v1/models", self._models)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}/v1"

    def __enter__(self) -> "Endpoint":
        """Start the server."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(START_S)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the server."""
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(START_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(START_S)
        self._loop.close()
