"""Hard negatives: answers that fit the prompt and another person. Used by `persona pairs` and 03_preferences.

A pair's rejected answer was written for nobody; a method can learn to tell it by its tone alone. Another persona's
revision of the same prompt was written the same way, so that only the person decides which of the two is better.
"""

import hashlib
from collections.abc import Iterator

import numpy as np
import pandas as pd

from .splits import cells

OTHER, OPPOSITE = "other", "opposite"
AGES_APART = 60  # years, which count as far apart as can be
_SIDES = {"left": r"liberal|progressive|left|democrat|socialis", "right": r"conservativ|right|republican|libertarian"}
_STRONG, _WEAK = r"extremely|very |strong(?!ly? lean)|staunch|far", r"slightly|lean|not (?:very )?strong|close to|near"


def positions(people: pd.DataFrame) -> pd.DataFrame:
    """Where people stand on what most divides them, as far as their attributes tell; missing where they don't.

    Returns:
        The index of `people`; `ideology` (its label, where it is worded freely) and `political views` from 0 (left) to
        1 (right), by the words of their labels (strong and slight ones included), `age` in steps of 60 years,
        `religion` as a number per label.
    """
    known = people.reindex(columns=["ideology", "political views", "age", "religion"])
    known["ideology"] = people.get("ideology label", known["ideology"])
    table = {name: _left_right(known[name]) for name in ("ideology", "political views")}
    table["age"] = pd.to_numeric(known["age"], errors="coerce").astype(float) / AGES_APART
    codes = pd.Series(pd.factorize(known["religion"])[0], people.index, dtype=float)
    return pd.DataFrame(table | {"religion": codes.where(codes >= 0)})


def _left_right(labels: pd.Series) -> pd.Series:
    """From 0 to 1: the side a label names, a half where it names neither or both; missing stays missing."""
    text = labels.astype("str").str.lower()
    left, right = (text.str.contains(pattern, na=False).astype(int) for pattern in _SIDES.values())
    strength = np.select(
        [text.str.contains(_WEAK, na=False), text.str.contains(_STRONG, na=False)], [1 / 3, 1.0], 2 / 3
    )
    return (0.5 + (right - left) * strength / 2).where(labels.notna())


def distances(places: pd.DataFrame) -> np.ndarray:
    """How opposite people are, 0 to 1: the mean difference over the `positions` known of both (Gower's distance).

    Ideology, party and age count by how far apart they are, religion by whether it is another. Missing where nothing is
    known of both.
    """
    values = places.to_numpy(float)
    gaps = np.abs(values[:, None] - values[None]).clip(max=1)
    religion = places.columns.get_loc("religion")
    gaps[..., religion] = np.where(np.isnan(gaps[..., religion]), np.nan, gaps[..., religion] > 0)
    known = ~np.isnan(gaps)
    counts = known.sum(axis=-1)
    return np.divide(np.where(known, gaps, 0).sum(axis=-1), counts, where=counts > 0, out=np.full(counts.shape, np.nan))


def hard(pairs: pd.DataFrame, people: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """For each pair two other personas' revisions of the same prompt: a random one's, and the most opposite one's.

    Args:
        pairs: columns `pair_id`, `persona_id`, `prompt_id`, `persona_split`, `prompt_split`, `use`, `chosen`; those
            without a revision get no negative and are none.
        people: personas, index `persona_id`.
        seed: of the draw of random ones, and of the order among equally opposite ones.

    Returns:
        Two rows per pair: `pair_id`, `kind` (other or opposite), `negative_id` (the pair whose `chosen` is the
        negative; the same text is none), `distance` of the two personas (see `distances`), `failure` (why there is
        none). A negative comes from the same cell of the split (see `design.cells`), so that nothing tested is trained
        on.
    """
    there = pairs.loc[pairs["chosen"].notna()].sort_values("pair_id")
    places = positions(people)
    groups = there.groupby(["prompt_id", cells(there)])
    columns = ["pair_id", "kind", "negative_id", "distance", "failure"]
    rows = [row for _, group in groups for row in _of_prompt(group, places, seed)]
    if not rows:
        return pd.DataFrame(columns=columns)
    table = pd.DataFrame(dict(zip(columns, map(np.concatenate, zip(*rows, strict=True)), strict=True)))
    return table.sort_values(["pair_id", "kind"], ignore_index=True)


def _of_prompt(group: pd.DataFrame, places: pd.DataFrame, seed: int) -> Iterator[tuple[np.ndarray, ...]]:
    """The negatives of pairs that share prompt and cell: the columns of `hard`, once for each kind."""
    ids, texts = group["pair_id"].to_numpy(object), pd.factorize(group["chosen"].str.strip())[0]
    another = texts[:, None] != texts[None]  # never the pair itself
    apart = distances(places.loc[group["persona_id"]])
    name = f"{seed} {group['prompt_id'].iloc[0]} {ids[0]}"
    chance = np.random.default_rng(list(hashlib.sha256(name.encode()).digest())).random(another.shape)
    why = np.where(another.any(axis=1), "nothing known by which personas are opposite", "no other revision")
    for kind, rank in ((OTHER, chance), (OPPOSITE, apart + 1e-6 * chance)):
        rank = np.where(another & ~np.isnan(rank), rank, -1)
        best, rows = rank.argmax(axis=1), np.arange(len(ids))
        found = rank[rows, best] >= 0
        chosen, distance = np.where(found, ids[best], None), np.where(found, apart[rows, best], np.nan)
        yield ids, np.full(len(ids), kind, object), chosen, distance, np.where(found, None, why)
