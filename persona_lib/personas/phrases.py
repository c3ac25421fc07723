"""Hand-written phrases, and the draw of phrases that suit a person.

A file data/NAME.yaml lists blocks of `topic`, `who` (a predicate, see `predicates`) and `phrases`. What a person gets
depends only on their id, the seed and the phrases, never on the other people in the table. A phrase added to a file
changes only the people who draw it.
"""

from collections.abc import Iterable
from functools import cache

import numpy as np
import pandas as pd
from pandas.util import hash_array

from .. import UserError
from . import predicates

JOIN = "; "
CHUNK = 10_000  # people at once: the numbers of a topic are an array people x phrases, about 3 KB per person


@cache
def load(name: str) -> pd.DataFrame:
    """Return the phrases of data/NAME.yaml: columns `phrase`, `topic`, `who`; one row each, in the file's order."""
    blocks = predicates.read(name)
    rows = [(phrase, block["topic"], block["who"]) for block in blocks for phrase in block["phrases"]]
    return pd.DataFrame(rows, columns=["phrase", "topic", "who"])


def uniforms(index: pd.Index, names: Iterable[str], seed: int) -> np.ndarray:
    """Return numbers in [0, 1), people x names, each from a person's id, a name and the seed; equal on all machines.

    Raises:
        UserError: the seed is not a whole number from 0 with at most 16 digits.
    """
    return _mix(_people(index, seed), names)


def draw(people: pd.DataFrame, phrases: pd.DataFrame, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Draw one phrase of each topic for each person, among the phrases that suit the person.

    Args:
        people: `predicates.table` of the people.
        phrases: as `load` returns them, or some of its rows.
        seed: a whole number from 0 with at most 16 digits.

    Returns:
        Two tables, people x topics, the topics in order of appearance. The first has the phrases (missing where no
        phrase of the topic suits the person). The second has the phrase's number in [0, 1), the smallest of its topic
        (infinite where the phrase is missing). If topics are ranked by these numbers, smallest first, then all phrases
        that suit a person are equally likely to come first.

    Raises:
        UserError: the seed is invalid, or a predicate can't be read.
    """
    ids = _people(people.index, seed)
    kinds, who = pd.factorize(phrases["who"])
    suits = predicates.hold(who, people)  # people x distinct predicates
    names = phrases["phrase"].to_numpy(dtype=object)
    chosen: dict[str, np.ndarray] = {}
    numbers: dict[str, np.ndarray] = {}
    for topic, places in phrases.groupby("topic", sort=False).indices.items():
        texts = names[places]
        best: list[np.ndarray] = []
        least: list[np.ndarray] = []
        for start in range(0, max(len(people), 1), CHUNK):
            part = slice(start, start + CHUNK)
            which, number = _least(ids[part], suits[part][:, kinds[places]], topic + "|" + texts)
            best.append(which)
            least.append(number)
        numbers[topic] = np.concatenate(least)
        chosen[topic] = texts[np.concatenate(best)]
        chosen[topic][np.isinf(numbers[topic])] = None
    return pd.DataFrame(chosen, index=people.index, dtype=object), pd.DataFrame(numbers, index=people.index)


def _least(people: np.ndarray, suits: np.ndarray, names: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return for each person the place of the suiting name with the smallest number, and that number.

    `people` are hashed ids, `suits` is people x names. The number is infinite where no name suits.
    """
    numbers = np.where(suits, _mix(people, names), np.inf)
    best = numbers.argmin(axis=1)
    return best, numbers[np.arange(len(people)), best]


def join(rows: Iterable[Iterable[str | None]], index: pd.Index) -> pd.Series:
    """Join each row's phrases to one text, '; ' between them; missing where a row has no phrase."""
    return pd.Series([JOIN.join(filter(None, row)) or None for row in rows], index, dtype="str")


def _people(index: pd.Index, seed: int) -> np.ndarray:
    if not isinstance(seed, int | np.integer) or not 0 <= seed < 10**16:
        raise UserError(f"seed must be a whole number from 0 with at most 16 digits; it is {seed!r}")
    return _hash(index, f"{seed:016d}")


def _hash(values: Iterable[object], key: str) -> np.ndarray:
    texts = np.array([str(value) for value in values], dtype=object)
    return hash_array(texts, hash_key=key, categorize=False)


def _mix(people: np.ndarray, names: Iterable[str]) -> np.ndarray:
    """Return a number in [0, 1) per person and name: both hashes, added and mixed.

    Mixing is the finalizer of SplitMix64 (Steele et al. 2014). The upper 53 bits become a float.
    """
    mixed = people[:, None] + _hash(names, "0" * 16)  # people x names
    for factor in (0xBF58476D1CE4E5B9, 0x94D049BB133111EB):
        mixed ^= mixed >> np.uint64(30)
        mixed *= np.uint64(factor)
    return (mixed >> np.uint64(11)) * 2.0**-53
