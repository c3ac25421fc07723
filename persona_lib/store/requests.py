"""A request in its canonical form, the key that its reply is kept under, and what is kept."""

import json
import zlib
from collections.abc import Mapping
from typing import Any, NamedTuple

from .. import seeds


class Stored(NamedTuple):
    """One outcome: canonical request and whole reply as JSON text; `failure` is the reason it is no answer, or None."""

    key: str
    request: str
    reply: str
    failure: str | None


def canonical(request: Mapping[str, Any]) -> str:
    """The request as JSON text, the same for equal requests whatever the order of their keys."""
    return json.dumps(request, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def key_of(request: str) -> str:
    """The key of a canonical request: its SHA-256 in hex."""
    return seeds.digest(request)


def packed(request: str) -> bytes:
    """Return a canonical request compressed, as the store's file holds it."""
    return zlib.compress(request.encode())


def plain(request: str | bytes) -> str:
    """Return a canonical request from the store's file; older files hold it uncompressed."""
    return zlib.decompress(request).decode() if isinstance(request, bytes) else request
