"""What a model's reply says: its text or validated object, its tokens' probabilities, or why it is no answer.

Replies are the endpoint's JSON as kept in the response store, so that they can be read again another way without a
call; a call that got no completion is kept as {"error": reason}. Used by `connection`, `model.Model` and `judging`.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np
from pydantic import BaseModel, ValidationError

INVALID = "invalid reply"  # how the failure of a structured reply that does not validate begins
CUT_OFF = "cut off: max_tokens reached"


class Outcome(NamedTuple):
    """How a call ended: the reply (or {"error": reason}), whether it is worth keeping, and how often it was retried."""

    reply: dict[str, Any]
    keep: bool
    retries: int


@dataclass(frozen=True)
class Reply:
    """One outcome of `Model.ask`.

    `text` is what the model said, `value` the validated object where a schema was given; `failure` is None or the
    reason why this is no answer (then `value` is None); `cached` says that no call was made for it. `logprobs` are the
    tokens with their log-probabilities and the likeliest others, as the endpoint sends them, where they were asked for
    and offered, else None.
    """

    text: str
    value: BaseModel | None
    failure: str | None
    cached: bool
    logprobs: list[dict[str, Any]] | None = None


class Choices(NamedTuple):
    """What `Model.choices` returns, a row per item.

    `probabilities` is an array (n, options), each row summing to 1 or NaN; `mass` what the options had before that
    normalization (NaN where there was no reply); `failures` None, or why a row is NaN.
    """

    probabilities: np.ndarray
    mass: np.ndarray
    failures: list[str | None]

    def why(self, orders: int = 1) -> list[str | None]:
        """Why an item has no choice, or None: the first failure in the rows of its `orders`, side by side."""
        return [next(filter(None, own), None) for own in zip(*[iter(self.failures)] * orders, strict=True)]


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
    # A single token with log-probabilities was asked for as such: it is a choice, and whole.
    if choice.get("finish_reason") == "length" and len(tokens(reply) or ()) != 1:
        return text, None, CUT_OFF
    if not text:
        return text, None, "empty reply"
    if schema is None:
        return text, None, None
    try:
        return text, schema.model_validate_json(text), None
    except ValidationError as error:
        first = error.errors()[0]
        return text, None, f"{INVALID}: {'.'.join(map(str, first['loc'])) or 'JSON'}: {first['msg']}"


def tokens(reply: dict[str, Any]) -> list[dict[str, Any]] | None:
    """The reply's tokens with their log-probabilities, or None where the endpoint gave none."""
    content = _dict(_first(reply.get("choices")).get("logprobs")).get("content")
    return [_dict(token) for token in content] if isinstance(content, list) and content else None


def first_token(reply: dict[str, Any]) -> list[dict[str, Any]] | None:
    """The likeliest first tokens with their log-probabilities, or None where the endpoint gave none."""
    return _likely(_first(tokens(reply))) or None


def _likely(token: dict[str, Any]) -> list[dict[str, Any]]:
    """The likeliest tokens at a token's place; what is none, with a text and the logarithm of a probability, is not."""
    told = token.get("top_logprobs")
    likely = [_dict(t) for t in told] if isinstance(told, list) else []
    # A probability of 1 may be rounded to a little more; what is far beyond, or NaN, is none.
    texts = [t for t in likely if isinstance(t.get("token"), str)]
    return [t for t in texts if isinstance(t.get("logprob"), int | float) and t["logprob"] < 1]


def refuses_logprobs(reply: dict[str, Any]) -> bool:
    """Whether the endpoint gave an error in place of a reply because it offers no log-probabilities."""
    return "logprob" in str(reply.get("error", "")).lower()


def _dict(value: Any) -> dict[str, Any]:
    """A part of a reply that should be an object; endpoints have been seen to send others."""
    return value if isinstance(value, dict) else {}


def _first(value: Any) -> dict[str, Any]:
    """The first of what should be a list of objects."""
    return _dict(value[0]) if isinstance(value, list) and value else {}


def masses(reply: dict[str, Any], options: Sequence[str]) -> list[float]:
    """The probability of each option as the first token; 0 for one that is not among the likeliest."""
    likely = first_token(reply) or []
    return [sum(math.exp(t["logprob"]) for t in likely if t["token"].strip() == option) for option in options]


def chances(reply: dict[str, Any], options: Sequence[str]) -> tuple[list[float], str | None]:
    """Each option's `masses`, and why there is no choice (or None); NaN where the reply has no log-probabilities."""
    likely, failure, mass = first_token(reply), read(reply)[2], masses(reply, options)
    if likely is None:
        return [math.nan] * len(options), failure
    none = f"none of {', '.join(options)} among the {len(likely)} likeliest first tokens"
    return mass, None if sum(mass) > 0 else failure or none


def normalized(mass: Sequence[float]) -> list[float]:
    """Shares that sum to 1, or NaN where there is nothing to share."""
    whole = sum(mass)
    return [m / whole if whole > 0 else math.nan for m in mass]


def field_masses(logprobs: list[dict[str, Any]] | None, field: str, options: Sequence[str]) -> list[float]:
    """The probability of each option at the first token of the value of a JSON object's last text field.

    A token may hold the quote before the value too, and a value may go on in further tokens: a token counts for the
    one option that it begins, or begins with; 0 for an option that is not among the likeliest.

    Args:
        logprobs: of the `Reply`.
        field: the field's name.
        options: the values that it may have.
    """
    texts = [str(token.get("token", "")) for token in logprobs or []]
    places = list(re.finditer(rf'"{re.escape(field)}"\s*:\s*"', "".join(texts)))
    mass = dict.fromkeys(options, 0.0)
    if not places:
        return list(mass.values())
    value = places[-1].end()
    starts = [0, *accumulate(map(len, texts))]
    at = next((i for i, end in enumerate(starts[1:]) if end > value), None)
    likely = _likely(logprobs[at]) if at is not None else []
    before = texts[at][: value - starts[at]] if at is not None else ""
    for token in likely:
        text = token["token"]
        rest = text[len(before) :] if text.startswith(before) else ""
        meant = [option for option in options if rest and (option.startswith(rest) or rest.startswith(option))]
        if len(meant) == 1:
            mass[meant[0]] += math.exp(token["logprob"])
    return list(mass.values())
