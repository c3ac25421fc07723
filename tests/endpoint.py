"""A stand-in for an OpenAI-compatible endpoint: a real HTTP server on the loopback address that answers as told."""

import asyncio
import json
import math
import ssl
import threading
import time
from collections.abc import Callable
from typing import Any

from aiohttp import web
from waits import LONG_S

Answer = Callable[[dict[str, Any]], Any]


def completion(text: str, finish_reason: str = "stop", **message: Any) -> dict[str, Any]:
    """A chat completion as endpoints send it."""
    choice = {"index": 0, "finish_reason": finish_reason, "message": {"role": "assistant", "content": text, **message}}
    usage = {"prompt_tokens": 10, "completion_tokens": 3, "total_tokens": 13}
    return {"id": "x", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice], "usage": usage}


def echo(body: dict[str, Any]) -> dict[str, Any]:
    """Say the last message again."""
    return completion(body["messages"][-1]["content"])


def say(*texts: str) -> list[list[dict[str, str]]]:
    """One message list per text."""
    return [[{"role": "user", "content": text}] for text in texts]


def first_token(**probabilities: float) -> dict:
    """A completion whose first token has these probabilities; `_` stands for a blank."""
    tokens = [{"token": t.replace("_", " "), "logprob": math.log(p)} for t, p in probabilities.items()]
    reply = completion("A", finish_reason="length")
    reply["choices"][0]["logprobs"] = {"content": [{"token": "A", "logprob": 0.0, "top_logprobs": tokens}]}
    return reply


class Endpoint:
    """Serves `answer(request body)`: a dict is sent as JSON, a (status, dict[, headers]) tuple with that status.

    An answer that is a coroutine function gets the raw request and may misbehave. `tls` makes it https.

    `requests` are the bodies received, in order; `headers` those of the last. Lists `models` at /v1/models. So that no
    test depends on how fast a machine is, all requests but the first are answered only once `meets` are in flight, and
    the `holds`-th and those after it wait until that number is raised.
    """

    def __init__(
        self,
        answer: Answer = echo,
        models: tuple[str, ...] = ("m",),
        delay_s: float = 0.0,
        tls: ssl.SSLContext | None = None,
        meets: int = 0,
    ):
        self.answer = answer
        self.models = models
        self.delay_s = delay_s
        self.tls = tls
        self.meets = meets
        self.holds = math.inf
        self.requests: list[dict[str, Any]] = []
        self.headers: dict[str, str] = {}
        self.in_flight = self.most_in_flight = 0

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.requests.append(body)
        self.headers = dict(request.headers)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        number, end = len(self.requests), time.monotonic() + LONG_S
        while number >= self.holds or (number > 1 and self.most_in_flight < self.meets and time.monotonic() < end):
            await asyncio.sleep(0.005)
        await asyncio.sleep(self.delay_s)
        self.in_flight -= 1
        answer = self.answer(body)
        if callable(answer):
            return await answer(request)
        status, payload, *headers = answer if isinstance(answer, tuple) else (200, answer)
        text = payload if isinstance(payload, str) else json.dumps(payload)
        return web.Response(status=status, text=text, content_type="application/json", headers=dict(*headers))

    async def _models(self, request: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [{"id": m, "object": "model"} for m in self.models]})

    def routes(self, app: web.Application) -> None:
        """What is served; a kind of endpoint with more adds to it."""
        app.router.add_post("/v1/chat/completions", self._chat)
        app.router.add_get("/v1/models", self._models)

    def __enter__(self) -> "Endpoint":
        self._loop, started = asyncio.new_event_loop(), threading.Event()

        async def start() -> None:
            app = web.Application(client_max_size=2**30)  # a file of requests is large
            self.routes(app)
            self._runner = web.AppRunner(app)
            await self._runner.setup()
            site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self.tls)
            await site.start()
            host, port = self._runner.addresses[0][:2]
            self.url = f"http{'s' if self.tls else ''}://{host}:{port}/v1"
            started.set()

        def run() -> None:
            self._loop.run_until_complete(start())
            self._loop.run_forever()

        self._thread = threading.Thread(target=run, daemon=True)
        self._thread.start()
        assert started.wait(LONG_S), "the stand-in endpoint did not start"
        return self

    def __exit__(self, *_: object) -> None:
        self.holds, self.meets = math.inf, 0  # who still waits would hold up the end
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(LONG_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(LONG_S)
        self._loop.close()
