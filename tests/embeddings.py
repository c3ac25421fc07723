"""A stand-in for an endpoint that also offers embeddings."""

from aiohttp import web
from endpoint import Endpoint


class Embedding(Endpoint):
    """Embeds a text as its length and its first letter; `refuse` is sent instead, a (status, message)."""

    def __init__(self, refuse: tuple[int, str] | None = None, **settings):
        super().__init__(**settings)
        self.refuse = refuse

    def vector(self, text: str) -> list[float]:
        """The vector of a text; a kind of stand-in may say otherwise."""
        return [float(len(text)), float(ord(text[0]))]

    async def _embed(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.requests.append(body)
        if self.refuse:
            status, said = self.refuse
            return web.json_response({"error": {"message": said, "code": status}}, status=status)
        rows = [{"index": i, "embedding": self.vector(text)} for i, text in enumerate(body["input"])]
        usage = {"prompt_tokens": 5 * len(rows), "total_tokens": 5 * len(rows)}
        return web.json_response({"object": "list", "data": rows[::-1], "usage": usage})

    def routes(self, app: web.Application) -> None:
        super().routes(app)
        app.router.add_post("/v1/embeddings", self._embed)
