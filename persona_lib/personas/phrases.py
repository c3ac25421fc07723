"""Hand-written phrases and the draw of those that suit a person.

A file data/NAME.yaml lists blocks of `topic`, `who` (a condition, see `conditions`) and `phrases`. What a person gets
depends on their id, the seed and the phrases alone, never on who else is drawn, and a phrase added to a file changes
only those who draw it. Used by `quirks`, `written` and `consistency`.
"""

from collections.abc import Iterable
from functools import cache

import numpy as np
import pandas as pd
from pandas.util import hash_array

from .. import UserError
from . import predicates

JOIN = "; "
AT_ONCE = 10_000  # people: the numbers of a topic are people x phrases, 3 KB for each of them


@cache
def load(name: str) -> pd.DataFrame:
    """The phrases of data/NAME.yaml: columns `phrase`, `topic`, `who`; one row each, in the file's order."""
    rows = [(phrase, b["topic"], b["who"]) for b in predicates.read(name) for phrase in b["phrases"]]
    return pd.DataFrame(rows, columns=["phrase", "topic", "who"])


def uniforms(index: pd.Index, names: Iterable[str], seed: int) -> np.ndarray:
    """Numbers in [0, 1), people x names, each from a person's id, a name and the seed; the same on every machine."""
    return _mix(_people(index, seed), names)


def draw(people: pd.DataFrame, phrases: pd.DataFrame, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """One phrase of each topic for each person, among those that suit them.

    Args:
        people: `conditions.table` of the people.
        phrases: as `load` returns them, or some of its rows.

    Returns:
        Two tables, people x topics in order of appearance: the phrase (missing where none of the topic suits), and
        its number in [0, 1], the smallest of the topic's: among topics, the smaller goes first, so that all the
        phrases that suit a person are equally likely to be first.
    """
    ids = _people(people.index, seed)
    kinds, who = pd.factorize(phrases["who"])
    suits = predicates.hold(who, people)
    chosen, keys = {}, {}
    for topic, places in phrases.groupby("topic", sort=False).indices.items():
        texts = phrases["phrase"].to_numpy(dtype=object)[places]
        parts = [slice(i, i + AT_ONCE) for i in range(0, max(len(people), 1), AT_ONCE)]
        least = [_least(ids[part], suits[part][:, kinds[places]], topic + "|" + texts) for part in parts]
        best, keys[topic] = map(np.concatenate, zip(*least, strict=True))
        chosen[topic] = np.where(np.isfinite(keys[topic]), texts[best], None)
    return pd.DataFrame(chosen, index=people.index, dtype=object), pd.DataFrame(keys, index=people.index)


def _least(people: np.ndarray, suits: np.ndarray, names: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which of the names that suit a person has the smallest number, and that number; infinite where none suits."""
    numbers = np.where(suits, _mix(people, names), np.inf)
    best = numbers.argmin(axis=1)
    return best, numbers[np.arange(len(people)), best]


def join(rows: Iterable[Iterable[str | None]], index: pd.Index) -> pd.Series:
    """Each row's phrases as one text, '; ' between them; missing where a row has none."""
    return pd.Series([JOIN.join(filter(None, row)) or None for row in rows], index, dtype="str")


def _people(index: pd.Index, seed: int) -> np.ndarray:
    if not isinstance(seed, int | np.integer) or not 0 <= seed < 10**16:
        raise UserError(f"seed must be a whole number from 0 up to 16 digits; it is {seed!r}")
    return _hash(index, f"{seed:016d}")


def _hash(values: Iterable[object], key: str) -> np.ndarray:
    return hash_array(np.array([str(value) for value in values], dtype=object), hash_key=key, categorize=False)


def _mix(people: np.ndarray, names: Iterable[str]) -> np.ndarray:
    """One number for each pair: the sum of the hashes through the finalizer of SplitMix64 (Steele et al. 2014)."""
    mixed = people[:, None] + _hash(names, "0" * 16)
    for factor in (0xBF58476D1CE4E5B9, 0x94D049BB133111EB):
        mixed ^= mixed >> np.uint64(30)
        mixed *= np.uint64(factor)
    return (mixed >> np.uint64(11)) * 2.0**-53
