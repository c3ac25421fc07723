"""Compute the probability of each option, at the first token of a reply, in a field of its JSON, or from samples."""

import math
import re
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Any, Literal, NamedTuple

import numpy as np
from pydantic import BaseModel, create_model

from .reply import Reply, first_token, likely_tokens, read

Row = tuple[list[float], str | None]  # each option's mass, and why there is no choice (or None)


class Choices(NamedTuple):
    """What `Model.choices` returns, a row per item.

    `probabilities` is an array (items x options), each row sums to 1 or is NaN. `mass` (items) is the sum of the
    options' probabilities before that normalization, NaN without a reply. `failures` are None, or why a row is NaN.
    """

    probabilities: np.ndarray
    mass: np.ndarray
    failures: list[str | None]

    def why(self, orders: int = 1) -> list[str | None]:
        """Return why each item has no choice, or None: the first failure in its `orders` consecutive rows."""
        by_item = zip(*[iter(self.failures)] * orders, strict=True)  # each item's rows as a tuple
        return [next(filter(None, own), None) for own in by_item]


def from_rows(rows: Iterable[Row], options: Sequence[str]) -> Choices:
    """Return the normalized choices from each item's masses of the options."""
    rows = list(rows)
    mass = np.array([row for row, _ in rows], dtype=np.float64).reshape(-1, len(options))  # items x options
    shares = np.array([normalized(row) for row in mass]).reshape(-1, len(options))  # items x options
    return Choices(shares, mass.sum(axis=1), [failure for _, failure in rows])


def masses(reply: dict[str, Any], options: Sequence[str]) -> list[float]:
    """Return the probability of each option as the first token; 0 for one that is not among the likeliest."""
    likely = first_token(reply) or []
    return [sum(math.exp(t["logprob"]) for t in likely if t["token"].strip() == option) for option in options]


def chances(reply: dict[str, Any], options: Sequence[str]) -> Row:
    """Return each option's `masses` and why there is no choice (or None); NaN without log-probabilities."""
    likely = first_token(reply)
    failure = read(reply)[2]
    if likely is None:
        return [math.nan] * len(options), failure
    mass = masses(reply, options)
    if sum(mass) > 0:
        return mass, None
    return mass, failure or f"none of {', '.join(options)} among the {len(likely)} likeliest first tokens"


def normalized(mass: Sequence[float] | np.ndarray) -> list[float]:
    """Return shares that sum to 1, or NaN if the masses sum to 0 or are NaN."""
    whole = sum(mass)
    return [m / whole if whole > 0 else math.nan for m in mass]


def choice_schema(options: Sequence[str]) -> type[BaseModel]:
    """Return the schema of a sampled reply: one of the options in the field `choice`."""
    fields: dict[str, Any] = {"choice": (Literal[tuple(options)], ...)}
    return create_model("Choice", **fields)


def sampled(replies: Sequence[Reply], samples: int, options: Sequence[str]) -> list[Row]:
    """Return each option's share of an item's samples, and why there is none (or None).

    Args:
        replies: to `choice_schema`, `samples` consecutive ones per item; one that can't be read counts for no option.
        samples: the number of replies per item.
        options: the values of `choice`.
    """
    rows: list[Row] = []
    for start in range(0, len(replies), samples):
        own = replies[start : start + samples]
        values: list[Any] = [reply.value for reply in own if reply.value]
        picks = [value.choice for value in values]
        share = [picks.count(option) / samples for option in options]
        rows.append((share, None if picks else own[0].failure))
    return rows


def field_masses(logprobs: list[dict[str, Any]] | None, field: str, options: Sequence[str]) -> list[float]:
    """Return the probability of each option at the first token of the value of a JSON object's last text field.

    A token may include the quote before the value, and a value may continue in further tokens. A token therefore
    counts for the one option that it begins with or is the beginning of. An option that is not among the likeliest
    tokens gets 0.

    Args:
        logprobs: of the `Reply`.
        field: the field's name.
        options: the values that the field may have.
    """
    logprobs = logprobs or []
    mass = dict.fromkeys(options, 0.0)
    texts = [str(token.get("token", "")) for token in logprobs]
    places = list(re.finditer(rf'"{re.escape(field)}"\s*:\s*"', "".join(texts)))
    if not places:
        return list(mass.values())
    value = places[-1].end()  # where the value begins, in characters
    starts = [0, *accumulate(map(len, texts))]  # of each token, and the end of the last
    at = next((i for i, end in enumerate(starts[1:]) if end > value), None)
    if at is None:
        return list(mass.values())
    before = texts[at][: value - starts[at]]  # what the token has before the value
    for token in likely_tokens(logprobs[at]):
        text = token["token"]
        rest = text[len(before) :] if text.startswith(before) else ""
        meant = [option for option in options if rest and (option.startswith(rest) or rest.startswith(option))]
        if len(meant) == 1:
            mass[meant[0]] += math.exp(token["logprob"])
    return list(mass.values())
