"""Read a reply: its text or validated object, its tokens' probabilities, or why it is no answer.

The response store keeps the endpoint's JSON, so that a reply can be read again in another way without a call. A call
that got no completion is kept as {"error": reason}.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

from pydantic import BaseModel, ValidationError

from .. import files

INVALID = "invalid reply"  # the start of the failure of a structured reply that does not validate
CUT_OFF = "cut off: max_tokens reached"


class Outcome(NamedTuple):
    """How a call ended: the reply (or {"error": reason}), whether to keep it, and how often the call was retried."""

    reply: dict[str, Any]
    keep: bool
    retries: int


@dataclass(frozen=True)
class Reply:
    """One outcome of `Model.ask`.

    `text` is what the model said. `value` is the validated object, if a schema was given. `failure` is None, or the
    reason why this is no answer; `value` is then None. `cached` says that no call was made for this reply. `logprobs`
    are the tokens with their log-probabilities and those of the likeliest alternatives, as the endpoint sends them;
    None if they were not asked for or not offered.
    """

    text: str
    value: BaseModel | None
    failure: str | None
    cached: bool
    logprobs: list[dict[str, Any]] | None = None


def read(reply: dict[str, Any], schema: type[BaseModel] | None = None) -> tuple[str, BaseModel | None, str | None]:
    """Return a reply's text, the validated object if a schema is given, and why it is no answer (or None)."""
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
    # A single token with log-probabilities is a choice: only one token was asked for, so it is not cut off.
    if choice.get("finish_reason") == "length" and len(tokens(reply) or ()) != 1:
        return text, None, CUT_OFF
    if not text:
        return text, None, "empty reply"
    if schema is None:
        return text, None, None
    try:
        return text, schema.model_validate_json(text), None
    except ValidationError as error:
        return text, None, f"{INVALID}: {files.first_error(error, 'JSON')}"


def tokens(reply: dict[str, Any]) -> list[dict[str, Any]] | None:
    """Return the reply's tokens with their log-probabilities, or None if the endpoint gave none."""
    content = _dict(_first(reply.get("choices")).get("logprobs")).get("content")
    return [_dict(token) for token in content] if isinstance(content, list) and content else None


def first_token(reply: dict[str, Any]) -> list[dict[str, Any]] | None:
    """Return the likeliest first tokens with their log-probabilities, or None if the endpoint gave none."""
    return likely_tokens(_first(tokens(reply))) or None


def likely_tokens(token: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the likeliest tokens at a token's place, but for malformed ones: without a text or a log-probability."""
    told = token.get("top_logprobs")
    likely = [_dict(t) for t in told] if isinstance(told, list) else []
    # Rounding may put a probability of 1 a little above 1. A value far above it, or NaN, is no log-probability.
    texts = [t for t in likely if isinstance(t.get("token"), str)]
    return [t for t in texts if isinstance(t.get("logprob"), int | float) and t["logprob"] < 1]


def refuses_logprobs(reply: dict[str, Any]) -> bool:
    """Return whether a reply is an error because the endpoint offers no log-probabilities."""
    return "logprob" in str(reply.get("error", "")).lower()


def _dict(value: Any) -> dict[str, Any]:
    """Return a part of a reply that should be an object, or an empty one: some endpoints send other types."""
    return value if isinstance(value, dict) else {}


def _first(value: Any) -> dict[str, Any]:
    """Return the first of what should be a list of objects, or an empty object."""
    return _dict(value[0]) if isinstance(value, list) and value else {}
