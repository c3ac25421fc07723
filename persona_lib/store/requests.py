"""Write a request in its canonical form, and compute the key that its reply is kept under."""

import json
import zlib
from collections.abc import Mapping
from typing import Any, NamedTuple

from .. import seeds


class Stored(NamedTuple):
    """One outcome: canonical request and whole reply as JSON text; `failure` is why it is no answer, or None."""

    key: str
    request: str
    reply: str
    failure: str | None


def canonical(request: Mapping[str, Any]) -> str:
    """Return the request as JSON text, the same for equal requests whatever the order of their keys."""
    return json.dumps(request, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def key_of(request: str) -> str:
    """Return the key of a canonical request: its SHA-256 in hex."""
    return seeds.digest(request)


def packed(request: str) -> bytes:
    """Return a canonical request compressed, as in the store's file."""
    return zlib.compress(request.encode())


def plain(request: str | bytes) -> str:
    """Return a canonical request from the store's file; older files have it uncompressed."""
    return zlib.decompress(request).decode() if isinstance(request, bytes) else request
