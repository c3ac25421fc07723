"""Make up replies that fit their requests, and send nothing, so that `persona estimate` can count calls and tokens.

Strings are half as long as the schema allows, and choices are random. Equal requests get equal replies, and different
requests different replies. Tokens are computed from characters, at the ratio of the model's replies in the store.
"""

import json
import random
from collections.abc import Mapping
from datetime import datetime
from itertools import pairwise
from typing import Any, NamedTuple

from ..store import Store, canonical, key_of
from .reply import Outcome

CHARS_PER_TOKEN = 4.0  # of English text, roughly
SHARE = 0.5  # of the length that a reply may have
UNBOUNDED = 800  # characters of a reply that may be of any length
SAMPLE = 5000  # replies in the store that a scale is measured on
PAUSE_S = 60.0  # a longer gap between two replies is a pause in which nothing was asked
FEWEST_S = 5.0  # a speed is measured on at least this much time, as the store's clock counts whole seconds
# First tokens of a choice, for all options that are in use.
_TOKENS = (*"ABCDEFGH", *"1234567", "yes", "no", "Yes", "No", "Neither")
_OF_ANY_KIND = {"anyOf", "oneOf", "allOf"}


class Scale(NamedTuple):
    """A model's characters per token, sent and answered, and calls per second (None: unknown).

    `replies` is the number of replies that it is measured on; 0 means that the characters per token are assumed.
    """

    chars_in: float = CHARS_PER_TOKEN
    chars_out: float = CHARS_PER_TOKEN
    calls_per_s: float | None = None
    replies: int = 0


def scale(store: Store, model: Mapping[str, str]) -> Scale:
    """Measure a model on its latest replies in the store, by the name and address that they are kept under."""
    rows = store.latest(model, SAMPLE)
    moments = sorted(datetime.fromisoformat(created) for _, _, created in rows)
    gaps = [gap for a, b in pairwise(moments) if (gap := (b - a).total_seconds()) <= PAUSE_S]
    speed = len(gaps) / sum(gaps) if sum(gaps) >= FEWEST_S else None
    told = [(_sent(json.loads(request)), json.loads(reply)) for request, reply, _ in rows]
    told = [(sent, reply) for sent, reply in told if (reply.get("usage") or {}).get("completion_tokens")]
    if not told:
        return Scale(calls_per_s=speed)
    answered = sum(len(reply["choices"][0]["message"].get("content") or "") for _, reply in told)
    tokens_in = sum(reply["usage"]["prompt_tokens"] for _, reply in told)
    tokens_out = sum(reply["usage"]["completion_tokens"] for _, reply in told)
    chars_in = sum(sent for sent, _ in told) / max(1, tokens_in)
    return Scale(chars_in or CHARS_PER_TOKEN, answered / tokens_out or CHARS_PER_TOKEN, speed, len(told))


def _sent(request: Mapping[str, Any]) -> int:
    """Return the number of characters of a request's messages."""
    return sum(len(message["content"]) for message in request["messages"])


class Dry:
    """Takes the place of a `connection.Connection`: answers every call at once with a made-up reply.

    Args:
        store: its replies tell how many tokens a reply takes.
        model: the name and address that the model's replies are kept under.
    """

    def __init__(self, store: Store, model: Mapping[str, str]):
        self._scale = scale(store, model)

    async def call(self, request: dict[str, Any]) -> Outcome:
        """Return a made-up reply, with the tokens that a real one might take."""
        chance = random.Random(key_of(canonical(request)))
        text = _text(request, chance)
        choice: dict[str, Any] = {"finish_reason": "stop", "message": {"role": "assistant", "content": text}}
        if "top_logprobs" in request:
            likely = [{"token": token, "logprob": -5 * chance.random()} for token in _TOKENS]
            choice["logprobs"] = {"content": [{"top_logprobs": likely}]}
        tokens_in = round(_sent(request) / self._scale.chars_in)
        tokens_out = max(1, round(len(text) / self._scale.chars_out))
        usage = {"prompt_tokens": tokens_in, "completion_tokens": min(request.get("max_tokens", 10**9), tokens_out)}
        return Outcome({"choices": [choice], "usage": usage}, True, 0)

    async def close(self) -> None:
        """Do nothing: nothing was opened."""


def _text(request: Mapping[str, Any], chance: random.Random) -> str:
    """Return a made-up text that fits a request."""
    if "schema" in request:
        return json.dumps(example(request["schema"]["schema"], chance))
    if "max_tokens" in request:
        return _words(SHARE * CHARS_PER_TOKEN * request["max_tokens"], chance)
    return _words(UNBOUNDED, chance)


def example(
    schema: Mapping[str, Any], chance: random.Random, share: float = SHARE, kinds: Mapping[str, Any] | None = None
) -> Any:
    """Return a value that fits a JSON schema.

    Args:
        schema: as pydantic makes it.
        chance: picks among enums and numbers.
        share: the length of strings, as a share of their `maxLength`.
        kinds: the schemas that `$ref` names; None means those of `schema` itself.
    """
    kinds = schema.get("$defs", {}) if kinds is None else kinds
    if "$ref" in schema:
        return example(kinds[schema["$ref"].rsplit("/")[-1]], chance, share, kinds)
    if "const" in schema or "enum" in schema:
        return chance.choice(schema.get("enum") or [schema["const"]])
    if of := _OF_ANY_KIND & schema.keys():
        kind = next((s for s in schema[of.pop()] if s.get("type") != "null"), {"type": "null"})
        return example(kind, chance, share, kinds)
    match schema.get("type"):
        case "object":
            return {name: example(s, chance, share, kinds) for name, s in schema.get("properties", {}).items()}
        case "array":
            n = max(schema.get("minItems", 0), min(3, schema.get("maxItems", 3)))
            return [example(schema.get("items", {}), chance, share, kinds) for _ in range(n)]
        case "integer" | "number" as kind:
            return _number(schema, kind, chance)
        case "boolean":
            return chance.random() < 0.5
        case "null":
            return None
    length = share * schema.get("maxLength", UNBOUNDED / SHARE)
    return _words(max(schema.get("minLength", 1), length), chance)


def _number(schema: Mapping[str, Any], kind: str, chance: random.Random) -> float:
    """Return a number within the schema's bounds."""
    step = 1 if kind == "integer" else 1e-9  # from an excluded bound to the next number
    low = schema.get("minimum", schema.get("exclusiveMinimum", 0) + step)
    high = schema.get("maximum", schema.get("exclusiveMaximum", low + 5) - step)
    return chance.randint(low, max(low, high)) if kind == "integer" else chance.uniform(low, max(low, high))


def _words(length: float, chance: random.Random) -> str:
    """Return a text of a length that differs from all others: equal texts would make later requests equal."""
    text = f"{chance.getrandbits(32):08x}" + " it is so" * (int(length) // 9 + 1)
    return text[: max(1, int(length))]
