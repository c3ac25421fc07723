"""Read what the Batch API sends back: the files of replies and errors of a batch, and why a batch failed."""

import io
from collections.abc import Iterator
from typing import Any

import openai

from ..store import canonical
from .endpoint import FINAL, completion, loaded, one_line, words
from .reply import read

Failures = dict[str, str]  # by the request's key: why it has no reply worth keeping

_FINAL = {error.status_code: error.__name__ for error in FINAL}


def replies(file: bytes, failures: Failures) -> Iterator[tuple[str, str, str | None]]:
    """Yield the replies of a file that are to be kept, and enter into `failures` why the others are not.

    Args:
        file: JSON lines, an item of a batch each.
        failures: filled by this function.

    Yields:
        key of the request, reply as JSON text, failure (None for an answer).
    """
    for line in io.BytesIO(file):
        try:
            item = loaded(line.decode())
            key = item["custom_id"]
            reply, final = _reply(item)
        except (ValueError, KeyError, TypeError, AttributeError):
            continue  # a damaged line: its request has no reply
        if final:
            yield key, canonical(reply), read(reply)[2]
        else:
            failures[key] = reply["error"]


def reasons(state: openai.types.Batch) -> str:
    """Return in one line why a batch failed as a whole."""
    errors = (state.errors and state.errors.data) or []
    texts = [f"{error.message} (line {error.line})" if error.line else str(error.message) for error in errors]
    return one_line("; ".join(texts)) or "it gives no reason"


def _reply(item: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    """Return the reply in an item of a batch, as a single call would get it, and whether it is final."""
    response = item.get("response") or {}
    status = response.get("status_code")
    body = response.get("body")
    if status == 200 and (whole := completion(body)) is not None:
        return whole, True
    if status in _FINAL:
        return {"error": one_line(f"{_FINAL[status]}: Error code: {status} - {words(body)}")}, True
    error = item.get("error") or {}
    reason = f"{error.get('code')}: {error.get('message')}" if error else f"Error code: {status} - {words(body)}"
    return {"error": one_line(f"no reply: {reason}")}, False
