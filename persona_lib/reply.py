"""What a model's reply says: its text or validated object, its first token's probabilities, or why it is no answer.

Replies are the endpoint's JSON as kept in the response store, so that they can be read again another way without a
call; a call that got no completion is kept as {"error": reason}. Used by `model.Model` only.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

INVALID = "invalid reply"  # how the failure of a structured reply that does not validate begins


@dataclass(frozen=True)
class Reply:
    """One outcome of `Model.ask`.

    `text` is what the model said, `value` the validated object where a schema was given; `failure` is None or the
    reason why this is no answer (then `value` is None); `cached` says that no call was made for it.
    """

    text: str
    value: BaseModel | None
    failure: str | None
    cached: bool


def read(reply: dict[str, Any], schema: type[BaseModel] | None = None) -> tuple[str, BaseModel | None, str | None]:
    """A whole reply's text, the validated object where a schema is given, and why it is no answer (or None)."""
    if "error" in reply:
        return "", None, str(reply["error"])
    choice = _first(reply.get("choices"))
    message = _dict(choice.get("message"))
    text = message.get("content") or ""
    if not isinstance(text, str):
        return "", None, f"the reply's content is no text but a {type(text).__name__}"
    if message.get("refusal"):
        return text, None, f"refusal: {message['refusal']}"
    if choice.get("finish_reason") == "content_filter":
        return text, None, "stopped by a content filter"
    if choice.get("finish_reason") == "length" and not choice.get("logprobs"):
        return text, None, "cut off: max_tokens reached"
    if not text:
        return text, None, "empty reply"
    if schema is None:
        return text, None, None
    try:
        return text, schema.model_validate_json(text), None
    except ValidationError as error:
        first = error.errors()[0]
        return text, None, f"{INVALID}: {'.'.join(map(str, first['loc'])) or 'JSON'}: {first['msg']}"


def first_token(reply: dict[str, Any]) -> list[dict[str, Any]] | None:
    """The likeliest first tokens with their log-probabilities, or None where the endpoint gave none."""
    logprobs = _dict(_first(reply.get("choices")).get("logprobs"))
    return _first(logprobs.get("content")).get("top_logprobs") or None


def _dict(value: Any) -> dict[str, Any]:
    """A part of a reply that should be an object; endpoints have been seen to send others."""
    return value if isinstance(value, dict) else {}


def _first(value: Any) -> dict[str, Any]:
    """The first of what should be a list of objects."""
    return _dict(value[0]) if isinstance(value, list) and value else {}


def probabilities(reply: dict[str, Any], options: Sequence[str]) -> list[float]:
    """Probabilities of the options among the first tokens, summing to 1, or NaN where none of them is there."""
    tokens = first_token(reply) or []
    mass = [sum(math.exp(t["logprob"]) for t in tokens if t["token"].strip() == option) for option in options]
    return [m / sum(mass) if sum(mass) > 0 else math.nan for m in mass]
