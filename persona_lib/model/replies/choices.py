"""Compute the probability of each option, at the first token of a reply, in a field of its JSON, or from samples."""

import math
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Any, Literal, NamedTuple

import numpy as np
from pydantic import BaseModel, create_model

from .reply import CUT, CUT_OFF, OPENS, Reply, likely_tokens, read, thought_of, tokens

MIN_MASS = 0.5  # of the options at a token, or it makes no choice
SAMPLES = 8  # replies behind a choice that tokens do not show
LEAD_TOKENS = 8  # of a reply, where the first ones only lead to an option
THOUGHT_TOKENS = 4096  # of a reply that thinks first

# What stands around an option in a token; \u0120 and \u010a are the blank and the line end of raw tokens.
_SIGNS = re.compile(r"^[\W_\u0120\u010a]+|[\W_\u0120\u010a]+$")
_SPECIAL = re.compile(r"\s*(?:<\|.*\|>|</s>|<\w+>|\[/?\w+\])\s*")  # ends of a turn, marks of a thought
_LEADS = {"the", "my", "best", "final", "correct", "answer", "option", "choice", "letter", "person", "is", "i"}
_LEADS |= {"choose", "pick", "select", "prefer", "would", "答案", "选项", "选择", "是", "选"}


class Seen(NamedTuple):
    """What a reply shows of a choice.

    `mass` is each option's, NaN if the reply shows no tokens. `failure` is why it is no choice, or None. `needs` is the
    number of tokens with which the same request may show one. `silent`: the endpoint sends no log-probabilities.
    `low`: the model has answered, but its tokens show too little of the options; samples may. `shares` are then the
    options' in `samples` valid replies, and are the choice; the mass stays what the tokens show. `keys` are those of
    the requests in the store.
    """

    mass: list[float]
    failure: str | None
    needs: int | None = None
    silent: bool = False
    low: bool = False
    shares: list[float] | None = None
    samples: int = 0
    keys: tuple[str, ...] = ()


class Choices(NamedTuple):
    """What `Model.choices` returns, a row per item.

    `probabilities` is an array (items x options), each row sums to 1 or is NaN. `mass` (items) is the sum of the
    options' probabilities before that normalization, as tokens show them; NaN without tokens. `failures` are None, or
    why a row is NaN. `samples` (items) is the number of sampled replies that a row is the options' share of, 0 where
    tokens show it. `keys` are those of each item's requests in the store; a stand-in for a model has none.
    """

    probabilities: np.ndarray
    mass: np.ndarray
    failures: list[str | None]
    samples: np.ndarray
    keys: Sequence[tuple[str, ...]] = ()

    def why(self, orders: int = 1) -> list[str | None]:
        """Return why each item has no choice, or None: the first failure in its `orders` consecutive rows."""
        by_item = zip(*[iter(self.failures)] * orders, strict=True)  # each item's rows as a tuple
        return [next(filter(None, own), None) for own in by_item]

    def trail(self, orders: int = 1) -> list[str | None]:
        """Return the keys of each item's requests, in its `orders` consecutive rows, as one text with blanks, or None.

        A model with `samples` has as many for each row. They are the column `choice_key` of tables.
        """
        by_item = zip(*[iter(self.keys or [()] * len(self.failures))] * orders, strict=True)
        return [" ".join(key for row in own for key in row) or None for own in by_item]


def from_rows(seen: Iterable[Seen], options: Sequence[str]) -> Choices:
    """Return the normalized choices from what is seen of each item; a row with a failure is NaN."""
    rows = list(seen)
    failures = [row.failure for row in rows]
    mass = np.array([row.mass for row in rows], dtype=np.float64).reshape(-1, len(options))  # items x options
    shares = [normalized(row.mass if row.shares is None else row.shares) for row in rows]
    probabilities = np.array(shares, dtype=np.float64).reshape(-1, len(options))  # items x options
    probabilities[[failure is not None for failure in failures]] = math.nan
    samples = np.array([row.samples for row in rows], dtype=np.int64)
    return Choices(probabilities, mass.sum(axis=1), failures, samples, [row.keys for row in rows])


def chances(reply: dict[str, Any], options: Sequence[str], min_mass: float = MIN_MASS) -> Seen:
    """Return what a reply shows of a choice, at its first tokens or at those behind a thought.

    An option's mass is the probability of its token, whatever the signs around it ("A.", "(A"). Where the options have
    too little, their case does not count either, and what only leads to an option ("**", "Option", a line end) is
    looked past: such tokens at a place count as if all went on as the one that the reply has there. Behind a word the
    case counts: "I would choose a balanced answer" has an article and no option A.

    Args:
        reply: as the endpoint sent it.
        options: what the answer may be.
        min_mass: the least sum of the options' masses that makes a choice.
    """
    text, _, failure = read(reply)
    places = tokens(reply) or []
    nothing = [math.nan] * len(options)
    start = 0
    if thought_of(reply) or OPENS.match("".join(_texts(places[:LEAD_TOKENS]))):
        found = _answer(places, text)
        if found is None:
            why = failure or "the answer behind its thought has no log-probabilities"
            return Seen(nothing, why, needs=None if text else THOUGHT_TOKENS, low=bool(text))
        start = found
    if not places or not likely_tokens(places[start]):
        # A refusal has no text: it does not show that the endpoint offers no log-probabilities.
        return Seen(nothing, failure, silent=bool(text or failure in CUT))
    return _at(places[start : start + LEAD_TOKENS], options, min_mass, None if failure == CUT_OFF else failure)


def _at(places: list[dict[str, Any]], options: Sequence[str], min_mass: float, failure: str | None) -> Seen:
    """Return what the first tokens of an answer show of a choice; `failure` is why it is no answer, or None."""
    first = likely_tokens(places[0])
    written: dict[str, float] = {}
    for token in first:
        text = _bare(token["token"])
        written[text] = written.get(text, 0.0) + math.exp(token["logprob"])
    mass = [written.get(option, 0.0) for option in options]
    if sum(mass) > 0 and sum(mass) >= min_mass:
        return Seen(mass, None)
    plain = {_plain(option): i for i, option in enumerate(options)}
    needs = None
    if len(plain.keys() - {""}) == len(options):
        mass, needs = _along(places, options, plain, min_mass)
    if sum(mass) > 0 and sum(mass) >= min_mass:
        return Seen(mass, None)
    why = f"none of {', '.join(options)} among the {len(first)} likeliest first tokens"
    if sum(mass) > 0:
        why = f"the options have {sum(mass):.2g} of the probability of the first token, below min_mass {min_mass:g}"
    return Seen(mass, failure or why, needs, low=failure is None)


def _along(
    places: list[dict[str, Any]], options: Sequence[str], plain: Mapping[str, int], min_mass: float
) -> tuple[list[float], int | None]:
    """Return the options' masses along the tokens that lead to one, and how many tokens might show more, or None.

    Args:
        places: the answer's tokens, with the likeliest ones at each place.
        options: what the answer may be.
        plain: the place of each option, by its `_plain` text.
        min_mass: the masses' sum at which to stop.
    """
    mass = [0.0] * len(options)
    whole = 1.0  # probability of the tokens before this place
    written, by = plain, _plain  # how options are looked up: whatever their case, until a word was written
    for place in places:
        ways = 0.0  # probability of the tokens here that lead on
        for token in likely_tokens(place):
            if (at := written.get(by(token["token"]))) is not None:
                mass[at] += whole * math.exp(token["logprob"])
            elif _leads(token["token"]):
                ways += math.exp(token["logprob"])
        likeliest = max(likely_tokens(place), key=lambda token: token["logprob"], default={})
        taken = str(place.get("token", likeliest.get("token", "x")))  # without any token, nothing leads on
        if sum(mass) >= max(min_mass, 1e-9) or by(taken) in written or not _leads(taken):
            return mass, None
        whole *= min(1.0, ways)
        if _plain(taken):
            written, by = {_bare(option): i for i, option in enumerate(options)}, _bare
    return mass, LEAD_TOKENS


def _bare(token: str) -> str:
    """Return a token without the signs around it, in one width; a token of signs alone without blanks."""
    text = token if token.isascii() else unicodedata.normalize("NFKC", token)
    return _SIGNS.sub("", text) or text.strip()


def _plain(token: str) -> str:
    """Return a token without the signs around it, in one width and case; nothing of a token of signs alone."""
    bare = _bare(token)
    return bare.casefold() if any(map(str.isalnum, bare)) else ""


def _leads(token: str) -> bool:
    """Return whether a token only leads to an option: blanks, signs, or a word such as Option."""
    plain = _plain(token)
    return plain in _LEADS or (not plain and not _SPECIAL.fullmatch(token))


def _texts(places: Iterable[dict[str, Any]]) -> list[str]:
    """Return the tokens' texts."""
    return [str(place.get("token", "")) for place in places]


def _answer(places: list[dict[str, Any]], text: str) -> int | None:
    """Return the place of the answer `text` behind a thought; None if it is not at the end of the tokens."""
    texts = _texts(places)
    while texts and _SPECIAL.fullmatch(texts[-1]):
        texts.pop()
    whole, said = "".join(texts).rstrip(), text.strip()
    if not said or not whole.endswith(said):
        return None
    ends = accumulate(map(len, texts))
    return next(i for i, end in enumerate(ends) if end > len(whole) - len(said))


def normalized(mass: Sequence[float] | np.ndarray) -> list[float]:
    """Return shares that sum to 1, or NaN if the masses sum to 0 or are NaN."""
    whole = sum(mass)
    return [m / whole if whole > 0 else math.nan for m in mass]


def choice_schema(options: Sequence[str]) -> type[BaseModel]:
    """Return the schema of a sampled reply: one of the options in the field `choice`."""
    fields: dict[str, Any] = {"choice": (Literal[tuple(options)], ...)}
    return create_model("Choice", **fields)


def sampled(replies: Sequence[Reply], samples: int, options: Sequence[str]) -> list[Seen]:
    """Return each option's share of an item's valid samples, or why there is none; no tokens show a mass.

    Args:
        replies: to `choice_schema`, `samples` consecutive ones per item; one that can't be read counts for no option.
        samples: the number of replies per item.
        options: the values of `choice`.
    """
    rows: list[Seen] = []
    for start in range(0, len(replies), samples):
        own = replies[start : start + samples]
        values: list[Any] = [reply.value for reply in own if reply.value]
        picks = [value.choice for value in values]
        shares = [float(picks.count(option)) for option in options]
        failure = None if picks else own[0].failure
        keys = tuple(reply.key for reply in own if reply.key)
        seen = Seen([math.nan] * len(options), failure, shares=normalized(shares), samples=len(picks), keys=keys)
        rows.append(seen)
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
