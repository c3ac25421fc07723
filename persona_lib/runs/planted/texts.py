"""Texts of the planted model: it reads persons out of profiles, and writes answers that a judge can trace.

Every draw is a hash of what it depends on: the same seed and words give the same draw in every process.
"""

import base64
import random
import re
from collections.abc import Mapping
from functools import cache, lru_cache
from hashlib import blake2b
from typing import Any, NamedTuple

from ... import files
from ...attributes import NAMES
from ...personas.profiles import WORDING
from ...prompts import load as load_prompts

# What a profile says in the same words in all its forms, so that these tell one person from another in any of them.
ANCHORS = (
    "age",
    "income",
    "ancestry",
    "big five scores",
    "defining quirks",
    "mannerisms",
    "personal time",
    "lifestyle",
)
KINDS = ("baseline", "direct", "chain_of_thought", "summary", "revision")  # of answers; the place is part of a mark
_MARK = re.compile(r"\(ref\. ([a-z2-7]{36})\)")
_SAME = 0.9  # of two people's shared attributes: those of the same person agree in more, of two people in fewer
_DIMENSIONS = 32  # of embeddings
_VOCABULARY = (
    "answer begin better call careful change check choose clear close common consider cost day decide detail different "
    "early easy enough expect fair follow friend further give good ground help hold honest keep kind later lead learn "
    "leave less likely list little long look matter meet mind moment move near need neighbor new next note often open "
    "order other part patient place plain plan point possible prepare quiet raise reach reason rest return right room "
    "save second see settle share short show side simple slow small speak start steady step still stop sure talk tell "
    "thing think time together trust try turn understand use visit wait want watch way week weigh whole wise write"
)
_WORDS = _VOCABULARY.split()


class Person(NamedTuple):
    """Who a profile is about: `key` tells people apart, `values` by attribute, `extra` are lines of other names.

    `form` is how the profile is written: list (in the paper's order), shuffled, prose or interview.
    """

    key: str
    values: Mapping[str, str]
    extra: tuple[str, ...]
    form: str


class Mark(NamedTuple):
    """What an answer of the planted model reveals to a planted judge: how it was written, by whom, and for whom."""

    kind: str
    writer: int
    sketch: tuple[int, ...]
    """A hash from 1 to 15 of each attribute that the writer was told, 0 for the others."""


def number(*parts: object) -> int:
    """Return a whole number of 64 bits, the same for the same parts."""
    return int.from_bytes(_hash("|".join(map(str, parts)).encode(), 8))


def uniform(*parts: object) -> float:
    """Return a number from 0 to 1, the same for the same parts."""
    return number(*parts) / 2**64


def centered(*parts: object) -> float:
    """Return a number from -1 to 1, the same for the same parts."""
    return 2 * uniform(*parts) - 1


def _hash(data: bytes, size: int) -> bytes:
    return blake2b(data, digest_size=size).digest()


@lru_cache(4096)
def person(profile: str) -> Person:
    """Read a profile in any of its forms."""
    extra: list[str] = []
    values: dict[str, str] = {}
    form = "list"
    if profile.startswith("This is about one person."):
        values, form = _of_prose(profile), "prose"
    elif profile.startswith("Q: "):
        asked = {str(wording["question"]): name for name, wording in _wording().items()}
        parts = re.findall(r"^Q: (.*)\nA: (.*)$", profile, re.MULTILINE)
        values, form = {asked[q]: a for q, a in parts if q in asked}, "interview"
    else:
        for line in profile.splitlines():
            name, _, value = line.partition(": ")
            if name in NAMES:
                values[name] = value
            else:
                extra.append(line)
        form = "list" if [*values] == [name for name in NAMES if name in values] else "shuffled"
    known = [f"{name}: {values[name]}" for name in ANCHORS if name in values]
    return Person("\n".join(known if len(known) > len(ANCHORS) / 2 else [profile]), values, tuple(extra), form)


def _of_prose(profile: str) -> dict[str, str]:
    """Return what prose says of the anchors."""
    values = {}
    for name in ANCHORS:
        before, after = str(_wording()[name].get("says", f"Their {name}: {{value}}")).split("{value}")
        after = after.rstrip(".")
        if found := re.search(rf" {re.escape(before)}(.*?){re.escape(after)}\.(?: |$)", profile):
            values[name] = found[1]
    return values


@cache
def _wording() -> dict[str, dict[str, Any]]:
    return files.read_yaml(WORDING)


def sketch(values: Mapping[str, str]) -> tuple[int, ...]:
    """Return a `Mark.sketch` of a person's attributes."""
    return tuple(1 + _hash(f"{n}: {values[n]}".encode(), 1)[0] % 15 if n in values else 0 for n in NAMES)


@lru_cache(4096)
def _sketched(profile: str) -> tuple[int, ...]:
    return sketch(person(profile).values)


def is_for(mark: Mark, profile: str) -> bool:
    """Return whether an answer was written for the person of a profile, whatever the writer was not told."""
    both = [(one, other) for one, other in zip(mark.sketch, _sketched(profile), strict=True) if one and other]
    return len(both) > 2 and sum(one == other for one, other in both) >= _SAME * len(both)


def untold(mark: Mark, profile: str) -> list[str]:
    """Return the attributes of a profile that the writer was not told."""
    return [name for name, one in zip(NAMES, mark.sketch, strict=True) if not one and name in person(profile).values]


def tag(model: str) -> int:
    """Return the number that stands for a writer in marks."""
    return _hash(model.encode(), 1)[0]


def marked(kind: str, model: str, values: Mapping[str, str], nonce: str) -> str:
    """Return the mark of an answer as text: no two are alike, and their letters tell nothing without this module."""
    head = _hash(nonce.encode(), 4)
    nibbles = [*sketch(values), KINDS.index(kind)]
    body = bytes([tag(model), *(16 * a + b for a, b in zip(nibbles[::2], nibbles[1::2], strict=True))])
    hidden = bytes(a ^ b for a, b in zip(body, _hash(head, len(body)), strict=True))
    return f"(ref. {base64.b32encode(head + hidden).decode().rstrip('=').lower()})"


@lru_cache(4096)
def mark(text: str) -> Mark | None:
    """Return the mark of an answer; None for a text that the planted model did not write."""
    found = _MARK.search(text)
    if not found:
        return None
    letters = found[1].upper()
    data = base64.b32decode(letters + "=" * (-len(letters) % 8))
    writer, *body = (a ^ b for a, b in zip(data[4:], _hash(data[:4], len(data) - 4), strict=True))
    nibbles = [half for byte in body for half in (byte // 16, byte % 16)]
    kind = nibbles.pop()
    return Mark(KINDS[kind], writer, tuple(nibbles)) if kind < len(KINDS) else None


def name_of(text: str) -> str:
    """Return what tells answers apart: the mark, or the text itself."""
    found = _MARK.search(text)
    return found[1] if found else text


def prose(n: int, chance: random.Random) -> str:
    """Return n words in sentences of 6 to 14 words that mean nothing."""
    words = chance.choices(_WORDS, k=n)
    start = 0
    while start < n:
        end = min(start + chance.randint(6, 14), n)
        words[start] = words[start].capitalize()
        words[end - 1] += "."
        start = end
    return " ".join(words)


def embedding(text: str, seed: int) -> list[float]:
    """Return a text's vector: near those of the other questions of its topic in the bank, if it is one of them."""
    topic = _topics().get(text, text)
    ends = ((topic, 1.0), (text, 0.3))
    return [sum(weight * centered(seed, "embedding", part, i) for part, weight in ends) for i in range(_DIMENSIONS)]


@cache
def _topics() -> dict[str, str]:
    questions = load_prompts("builtin")
    return dict(zip(questions["prompt"], questions["topic"], strict=True))
