"""Embed texts: one vector each, from the embedded server or an endpoint's embeddings model, through the response store.

Texts go out in batches. A vector is kept in the store as base64 of its float32 numbers, under the hash of the model and
the text, so that no text is embedded twice.
"""

import asyncio
import base64
import json
import random
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import openai
from anyio.from_thread import start_blocking_portal

from .. import UserError, local
from ..store import Stored, canonical, key_of
from .asking.asked import Asked
from .asking.progress import Calls
from .limits.budget import Purse
from .limits.usage import Usage
from .model import Model
from .transport.batch_results import sent_back
from .transport.connection import Connection
from .transport.endpoint import TIMEOUT_S, is_page, loaded, message, one_line, words

BATCH = 64  # texts per call
IN_FLIGHT = 8  # calls at once
LONGEST = 4000  # characters of a text that are embedded: models take only so many tokens
MADE_UP = 32  # numbers of a vector in dry mode


def embed(model: Model, texts: Sequence[str], step: str = "embeddings") -> np.ndarray:
    """Return a vector for each text.

    Args:
        model: the embeddings model, as `Model(name, base_url)`. The embedded model, or another .gguf file, gives the
            mean of its last layer over a text's tokens.
        texts: of more than 4,000 characters, the first 4,000 count. Equal ones are sent once.
        step: what the progress line and the usage call this.

    Returns:
        Array of float32, texts x numbers per vector.

    Raises:
        UserError: as `Model.ask`, or there are no embeddings at that address.
    """
    asked = model._asked
    short = [text[:LONGEST] for text in texts]
    requests = {text: canonical({"embedder": dict(asked.who), "input": text}) for text in dict.fromkeys(short)}
    keys = {text: key_of(request) for text, request in requests.items()}
    used = model._count(step)
    missing = [text for text, key in keys.items() if not asked.store.get(key)]
    used.cached += len(keys) - len(missing)
    if missing and asked.store.offline:
        raise UserError(f"offline, and no vector is recorded for {requests[missing[0]][:500]} ...")
    progress = Calls(step, len(keys), used, model=asked.who, name=asked.name)
    progress.done = len(keys) - len(missing)
    try:
        if missing:
            progress.show()
            with start_blocking_portal() as portal:  # a notebook's event loop is already running
                portal.call(_fetch, asked, missing, requests, used, progress)
    finally:
        progress.close()
    return np.stack([_vector(asked, keys[text]) for text in short]) if short else np.empty((0, 0), np.float32)


def _vector(asked: Asked, key: str) -> np.ndarray:
    """Return a vector from the store."""
    stored = asked.store.get(key)
    assert stored  # just put there
    return np.frombuffer(base64.b64decode(json.loads(stored.reply)["vector"]), "<f4")


async def _fetch(asked: Asked, texts: list[str], requests: dict[str, str], used: Usage, progress: Calls) -> None:
    """Put the vectors of these texts into the store, batch by batch.

    Args:
        asked: the model.
        texts: what the store lacks.
        requests: the canonical request of each text.
        used: counts the calls.
        progress: counts the texts that are done.
    """
    made_up = asked.store.made_up
    source: _Made | _Vectors = _Made(made_up.draft) if made_up else _Vectors(asked)
    purse = Purse(asked.budgets, asked.price)
    places = asyncio.Semaphore(min(IN_FLIGHT, asked.max_in_flight))

    async def one(batch: list[str]) -> None:
        request = {"model": {}, "input": batch, "max_tokens": 1}  # max_tokens: a vector has no tokens to pay
        async with places:
            held = await purse.start(request)
            cost = None
            try:
                reply, _, retries = await source.call(request)
                if "error" in reply:
                    raise UserError(
                        f"{asked.base_url or asked.name} gives no embeddings of '{asked.name}': {reply['error']}"
                    )
                rows = zip(batch, reply["vectors"], strict=True)
                if made_up:
                    for text in batch:
                        made_up.first(key_of(requests[text]), json.loads(requests[text]))
                asked.store.put([Stored(key_of(requests[t]), requests[t], packed(v), None) for t, v in rows])
                cost = used.count(reply, retries, asked.price)
            finally:
                purse.settle(held, cost)
        for _ in batch:
            progress.advance()

    try:
        async with asyncio.TaskGroup() as group:
            for start in range(0, len(texts), BATCH):
                group.create_task(one(texts[start : start + BATCH]))
    except* UserError as errors:
        raise errors.exceptions[0] from None
    finally:
        if made_up:
            made_up.flush()
        await source.close()


def packed(vector: np.ndarray) -> str:
    """Return a vector as it is kept."""
    return canonical({"vector": base64.b64encode(np.asarray(vector, "<f4").tobytes()).decode()})


def line(key: str, request: dict[str, Any], name: str) -> bytes:
    """Return the request of a text's vector as a line of a file of the Batch API, under its key."""
    body = {"model": name, "input": request["input"], "encoding_format": "float"}
    return json.dumps({"custom_id": key, "method": "POST", "url": "/v1/embeddings", "body": body}).encode() + b"\n"


def of_line(item: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    """Return the vector in an item of a batch as it is kept, or {"error": reason}, and whether it is to be kept."""
    status, body, error = sent_back(item)
    try:
        return json.loads(packed(_read(body, 1)["vectors"][0])), True
    except ValueError as problem:
        said = words(body) or words(error)
        return {"error": one_line(f"no vector: {said or problem}" + (f" (status {status})" if status else ""))}, False


class _Vectors(Connection):
    """Calls for embeddings, at the pace and with the retries of other calls."""

    def __init__(self, asked: Asked):
        super().__init__(asked.given, asked.base_url, IN_FLIGHT, asked.store)

    def _served(self) -> str:
        return local.serve(local.gguf(self.name), embeddings=True).base_url

    def _body(self, request: dict[str, Any]) -> dict[str, Any]:
        return {"input": request["input"], "encoding_format": "float"}

    async def _sent(self, client: openai.AsyncOpenAI, body: dict[str, Any]) -> dict[str, Any]:
        """Send one batch; the reply has `vectors`, one for each text in its order, and `usage`."""
        began = time.monotonic()
        try:
            async with asyncio.timeout(TIMEOUT_S):
                raw = await client.embeddings.with_raw_response.create(model=self.name, input=[], extra_body=body)
        except openai.InternalServerError as error:
            if error.status_code != 501:
                raise
            return {"error": message(error)}  # it would be the same each time
        if is_page(raw.text):
            return {"error": "a web page comes back: is the address right? Many end in /v1"}
        reply = _read(loaded(raw.text), len(body["input"]))
        self._note_answer(time.monotonic() - began, raw.headers, reply["usage"])
        return reply


def _read(reply: Any, n: int) -> dict[str, Any]:
    """Return the n vectors of a reply, and its usage.

    Raises:
        ValueError: the reply has another form.
    """
    try:
        rows = sorted(reply["data"], key=lambda row: row["index"])
        vectors = np.array([row["embedding"] for row in rows], np.float32)
        tokens = int((reply.get("usage") or {}).get("prompt_tokens") or 0)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise ValueError("the reply has no embeddings") from None
    if vectors.ndim != 2 or len(vectors) != n or not np.isfinite(vectors).all():
        raise ValueError(f"the reply has no {n} vectors of one length")
    return {"vectors": vectors, "usage": {"prompt_tokens": tokens, "completion_tokens": 0}}


class _Made:
    """Makes vectors up in dry mode, others in each of two drafts, and sends nothing."""

    def __init__(self, draft: int | None):
        self._draft = draft or ""

    async def call(self, request: dict[str, Any]) -> tuple[dict[str, Any], bool, int]:
        """Return random vectors, the same for equal texts."""
        names = [f"{text}{self._draft}" for text in request["input"]]
        vectors = [[random.Random(name + str(i)).gauss() for i in range(MADE_UP)] for name in names]
        usage = {"prompt_tokens": sum(map(len, request["input"])) // 4, "completion_tokens": 0}
        return {"vectors": np.array(vectors), "usage": usage}, True, 0

    async def close(self) -> None:
        """Do nothing: nothing was opened."""
