"""Make up replies that fit their requests, and send nothing, so that `persona estimate` can count calls and tokens.

Texts are as long as asked for. Of several values, three of four replies have the first. Equal requests get equal
replies, and different requests different replies. Tokens are computed from characters, at the ratio of the model's
replies in the store; as large a share of structured replies as there is no JSON of its schema, so that it is asked for
again. In the second of two drafts (`store.made_up`) each reply says something else than in the first.
"""

import json
import math
import random
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any, NamedTuple

from ...store import Store
from . import repair
from .reply import read

CHARS_PER_TOKEN = 4.0  # of English text, roughly
CHARS_A_WORD = 6  # with the blank after it
WORDS = 130  # of a text that no length is asked for
FIRST = 0.75  # the share of replies that have the first of several values: a classifier then keeps most of its items
SAMPLE = 5000  # replies in the store that a scale is measured on
PAUSE_S = 60.0  # a longer gap between two replies is a pause in which nothing was asked
FEWEST_S = 5.0  # a speed is measured on at least this much time, as the store's clock counts whole seconds
# First tokens of a choice, for all options that are in use.
_TOKENS = (*"ABCDEFGH", *"1234567", "yes", "no", "Yes", "No", "Neither")
_OF_ANY_KIND = {"anyOf", "oneOf", "allOf"}


class Scale(NamedTuple):
    """A model's characters per token, sent and answered, and calls per second (None: unknown).

    `replies` is the number of replies that it is measured on; 0 means that the characters per token are assumed.
    `reasks` is how many calls ask again per structured item, 0 to 2.
    """

    chars_in: float = CHARS_PER_TOKEN
    chars_out: float = CHARS_PER_TOKEN
    calls_per_s: float | None = None
    replies: int = 0
    reasks: float = 0.0


def scale(store: Store, model: Mapping[str, str]) -> Scale:
    """Measure a model on its latest replies in the store, by the name and address that they are kept under."""
    rows = store.latest(model, SAMPLE)
    moments = sorted(datetime.fromisoformat(created) for _, _, created in rows)
    gaps = [gap for a, b in pairwise(moments) if (gap := (b - a).total_seconds()) <= PAUSE_S]
    speed = len(gaps) / sum(gaps) if sum(gaps) >= FEWEST_S else None
    both = [(json.loads(request), json.loads(reply)) for request, reply, _ in rows]
    reasks = _reasks([request for request, _ in both])
    told = [(sent(request), reply) for request, reply in both if (reply.get("usage") or {}).get("completion_tokens")]
    if not told:
        return Scale(calls_per_s=speed, reasks=reasks)
    answered = sum(len(read(reply)[0]) for _, reply in told)
    tokens_in = sum(reply["usage"]["prompt_tokens"] for _, reply in told)
    tokens_out = sum(reply["usage"]["completion_tokens"] for _, reply in told)
    chars_in = sum(n for n, _ in told) / max(1, tokens_in)
    return Scale(chars_in or CHARS_PER_TOKEN, answered / tokens_out or CHARS_PER_TOKEN, speed, len(told), reasks)


def _reasks(requests: Sequence[Mapping[str, Any]]) -> float:
    """Return the number of structured requests that ask again, per request that does not."""
    again = [repair.times(request["messages"]) > 0 for request in requests if "schema" in request]
    return min(repair.REASKS, sum(again) / max(1, len(again) - sum(again)))


def sent(request: Mapping[str, Any]) -> int:
    """Return the number of characters of a request's messages."""
    return sum(len(message["content"]) for message in request["messages"])


class Chance(random.Random):
    """Random numbers, the same for the same seed; in the second of two drafts each lies half of its range away.

    `first` is the share of replies that have the first of several values: in drafts a half, so that the second draft
    has another one wherever the first has it.
    """

    first = FIRST
    shift = 0.0

    @classmethod
    def of_draft(cls, seed: int, draft: int | None) -> "Chance":
        """Return the random numbers of a reply in draft 1 or 2, or in an estimate (None)."""
        chance = cls(seed)
        if draft:
            chance.first, chance.shift = 0.5, (draft - 1) / 2
        return chance

    def random(self) -> float:
        """Return a number from 0 to below 1."""
        return (super().random() + self.shift) % 1

    def below(self, n: int) -> int:
        """Return a whole number from 0 to below n."""
        return int(self.random() * n)

    def one(self, values: Sequence[Any]) -> Any:
        """Return one of the values."""
        draw = self.random()
        if draw < self.first or len(values) == 1:
            return values[0]
        return values[1 + int((draw - self.first) / (1 - self.first) * (len(values) - 1))]


class Dry:
    """Takes the place of an endpoint: answers every request at once with a made-up reply.

    Args:
        store: its replies tell how many tokens a reply takes.
        model: the name and address that the model's replies are kept under.
    """

    def __init__(self, store: Store, model: Mapping[str, str]):
        self._draft = store.made_up.draft if store.made_up else None
        self._scale = Scale() if self._draft else scale(store, model)  # the replies of a draft are not counted

    def reply(self, key: str, request: Mapping[str, Any], words: Mapping[str, int]) -> dict[str, Any]:
        """Return a made-up reply, with the tokens that a real one might take.

        Args:
            key: of the request in the store.
            request: as the store has it.
            words: how many words each text of the reply is asked for in, by its field.
        """
        chance = Chance.of_draft(int(key[:16], 16), self._draft)
        again = "schema" in request and chance.random() < self._scale.reasks - repair.times(request["messages"])
        text = _text(request, words, chance)
        text = text[: len(text) // 2] if again else text
        choice: dict[str, Any] = {"finish_reason": "stop", "message": {"role": "assistant", "content": text}}
        if "top_logprobs" in request:
            first = chance.uniform(0.05, 0.95)
            shares = [0.9 * first, 0.9 * (1 - first), *[0.1 / len(_TOKENS)] * (len(_TOKENS) - 2)]  # a choice: A or B
            likely = [{"token": t, "logprob": math.log(p)} for t, p in zip(_TOKENS, shares, strict=True)]
            choice["logprobs"] = {"content": [{"top_logprobs": likely}]}
        tokens_in = round(sent(request) / self._scale.chars_in)
        tokens_out = max(1, round(len(text) / self._scale.chars_out))
        usage = {"prompt_tokens": tokens_in, "completion_tokens": min(request.get("max_tokens", 10**9), tokens_out)}
        return {"choices": [choice], "usage": usage}


def _text(request: Mapping[str, Any], words: Mapping[str, int], chance: Chance) -> str:
    """Return a made-up text that fits a request."""
    if "schema" in request:
        return json.dumps(example(request["schema"]["schema"], chance, words))
    longest = CHARS_PER_TOKEN * request.get("max_tokens", math.inf)
    return _filler(int(min(longest, CHARS_A_WORD * WORDS)), chance)


def example(
    schema: Mapping[str, Any],
    chance: Chance,
    words: Mapping[str, int] | None = None,
    unbounded: int = CHARS_A_WORD * WORDS,
    kinds: Mapping[str, Any] | None = None,
) -> Any:
    """Return a value that fits a JSON schema.

    Args:
        schema: as pydantic makes it.
        chance: picks among enums and numbers.
        words: how many words texts are asked for in, by their property; None for none. Other texts are as long as
            their `maxLength`.
        unbounded: the characters of a text that has neither.
        kinds: the schemas that `$ref` names; None means those of `schema` itself.
    """
    kinds = schema.get("$defs", {}) if kinds is None else kinds
    if "$ref" in schema:
        return example(kinds[schema["$ref"].rsplit("/")[-1]], chance, words, unbounded, kinds)
    if "const" in schema or "enum" in schema:
        return chance.one(schema.get("enum") or [schema["const"]])
    if of := _OF_ANY_KIND & schema.keys():
        kind = next((s for s in schema[of.pop()] if s.get("type") != "null"), {"type": "null"})
        return example(kind, chance, words, unbounded, kinds)
    match schema.get("type"):
        case "object":
            asked = {name: CHARS_A_WORD * n for name, n in (words or {}).items()}
            fields = schema.get("properties", {}).items()
            return {name: example(s, chance, words, asked.get(name, unbounded), kinds) for name, s in fields}
        case "array":
            n = max(schema.get("minItems", 0), min(3, schema.get("maxItems", 3)))
            return [example(schema.get("items", {}), chance, words, unbounded, kinds) for _ in range(n)]
        case "integer" | "number" as kind:
            return _number(schema, kind, chance)
        case "boolean":
            return chance.random() < 0.5
        case "null":
            return None
    return _filler(max(schema.get("minLength", 1), min(unbounded, schema.get("maxLength", unbounded))), chance)


def _number(schema: Mapping[str, Any], kind: str, chance: Chance) -> float:
    """Return a number within the schema's bounds."""
    step = 1 if kind == "integer" else 1e-9  # from an excluded bound to the next number
    low = schema.get("minimum", schema.get("exclusiveMinimum", 0) + step)
    high = schema.get("maximum", schema.get("exclusiveMaximum", low + 5) - step)
    return low + chance.below(max(low, high) - low + 1) if kind == "integer" else chance.uniform(low, max(low, high))


def _filler(length: int, chance: Chance) -> str:
    """Return a text of a length that differs from all others: equal texts would make later requests equal."""
    text = f"{chance.below(2**32):08x}" + " it is so" * (length // 9 + 1)
    return text[: max(1, length)]
