"""Choices: the probability of each option, at the first token of a reply or in a field of its JSON."""

import math
import re
from collections.abc import Sequence
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np

from .reply import first_token, likely_tokens, read


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
    likely = likely_tokens(logprobs[at]) if at is not None else []
    before = texts[at][: value - starts[at]] if at is not None else ""
    for token in likely:
        text = token["token"]
        rest = text[len(before) :] if text.startswith(before) else ""
        meant = [option for option in options if rest and (option.startswith(rest) or rest.startswith(option))]
        if len(meant) == 1:
            mass[meant[0]] += math.exp(token["logprob"])
    return list(mass.values())
