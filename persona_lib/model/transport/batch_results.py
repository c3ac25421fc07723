"""Read what the Batch API sends back: the files of replies and errors of a batch, and why a batch failed."""

import io
from collections.abc import Iterator, Mapping
from typing import Any

import openai

from ...store import canonical
from ..replies.reply import read
from .endpoint import FINAL, completion, loaded, one_line, words

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
            reply, final = outcome(item)
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


def sent_back(item: Mapping[str, Any]) -> tuple[int | None, Any, Any]:
    """Return the status, the body and the error in an item of a batch; some engines leave out what holds the body."""
    response = item.get("response")
    if not isinstance(response, dict):
        return None, None, item.get("error")
    if "status_code" not in response and "body" not in response:
        return 200 if "choices" in response or "data" in response else None, response, item.get("error")
    return response.get("status_code", 200), response.get("body"), item.get("error")


def outcome(item: Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
    """Return the reply in an item of a batch, as a single call would get it, and whether it is final.

    vLLM puts a refusal beside a response without a body, as an object; as a text it puts there, with the status of a
    refusal, what went wrong in the engine, which is not final.
    """
    status, body, error = sent_back(item)
    if status == 200 and (whole := completion(body)) is not None:
        return whole, True
    said = words(body) or words(error) or "it says nothing"
    if status in _FINAL and not (body is None and isinstance(error, str)):
        return {"error": one_line(f"{_FINAL[status]}: Error code: {status} - {said}")}, True
    code = error.get("code") if isinstance(error, dict) else None
    reason = f"{code}: {words(error)}" if code else f"Error code: {status} - {said}" if status else said
    return {"error": one_line(f"no reply: {reason}")}, False
