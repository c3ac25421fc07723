"""Hard negatives: answers to the same prompt that were written for another person.

A pair's rejected answer was written without a persona, so a method can learn to recognize it by its tone alone. Another
persona's revision of the same prompt was written in the same way as the chosen answer: only the person decides which of
the two is better.
"""

import hashlib

import numpy as np
import pandas as pd

from .splits import cells

OTHER, OPPOSITE = "other", "opposite"
COLUMNS = ["pair_id", "kind", "negative_id", "distance", "failure"]
AGES_APART = 60  # years; a larger gap counts no more
TIE = 1e-6  # weight of chance added to the distance: it decides only among equally opposite personas
_SIDES = {"left": r"liberal|progressive|left|democrat|socialis", "right": r"conservativ|right|republican|libertarian"}
_STRONG = r"extremely|very |strong(?!ly? lean)|staunch|far"
_WEAK = r"slightly|lean|not (?:very )?strong|close to|near"


def positions(people: pd.DataFrame) -> pd.DataFrame:
    """Return where people stand on what divides them most, as far as their attributes say; else missing.

    Returns:
        The index of `people`; columns

        - `ideology` (from `ideology label` where the ideology is free text) and `political views`: 0 (left) to 1
          (right), from the words of the label, such as 'strong' or 'slightly',
        - `age` in units of 60 years,
        - `religion` as one number per label.
    """
    known = people.reindex(columns=["ideology", "political views", "age", "religion"])
    known["ideology"] = people.get("ideology label", known["ideology"])
    table = {name: _left_right(known[name]) for name in ("ideology", "political views")}
    table["age"] = pd.to_numeric(known["age"], errors="coerce").astype(float) / AGES_APART
    codes = pd.Series(pd.factorize(known["religion"])[0], people.index, dtype=float)
    return pd.DataFrame(table | {"religion": codes.where(codes >= 0)})


def _left_right(labels: pd.Series) -> pd.Series:
    """Return 0 (left) to 1 (right) by the side that a label names; 0.5 if it names neither or both."""
    text = labels.astype("str").str.lower()
    left, right = (text.str.contains(pattern, na=False).astype(int) for pattern in _SIDES.values())
    weak = text.str.contains(_WEAK, na=False)
    strong = text.str.contains(_STRONG, na=False)
    strength = np.select([weak, strong], [1 / 3, 1.0], 2 / 3)
    return (0.5 + (right - left) * strength / 2).where(labels.notna())


def distances(places: pd.DataFrame) -> np.ndarray:
    """Return how opposite each two people are: the mean difference over the positions known of both (Gower's distance).

    Args:
        places: as returned by `positions`.

    Returns:
        People x people, 0 to 1. Ideology, party and age count by the size of the gap (at most 1), religion by whether
        it differs. Missing where no position is known of both.
    """
    values = places.to_numpy(float)
    gaps = np.abs(values[:, None] - values[None]).clip(max=1)  # people x people x positions
    religion = places.columns.get_loc("religion")
    gaps[..., religion] = np.where(np.isnan(gaps[..., religion]), np.nan, gaps[..., religion] > 0)
    known = ~np.isnan(gaps)
    sums = np.where(known, gaps, 0).sum(axis=-1)  # people x people
    counts = known.sum(axis=-1)
    return np.divide(sums, counts, where=counts > 0, out=np.full(counts.shape, np.nan))


def hard(pairs: pd.DataFrame, people: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """Find two hard negatives per pair: a random other persona's revision, and the most opposite persona's.

    A negative answers the same prompt and comes from the same cell of the split (`splits.cells`), so that no test pair
    gets into training. A pair has no negative if nobody else in its cell got that prompt, or all got the same text.

    Args:
        pairs: columns `pair_id`, `persona_id`, `prompt_id`, `persona_split`, `prompt_split`, `use`, `chosen`. A pair
            without a revision gets no negative and is not used as one.
        people: personas, index `persona_id`.
        seed: of the random draw, and of the order among equally opposite personas.

    Returns:
        Two rows per pair: `pair_id`, `kind` (other or opposite), `negative_id` (the pair whose `chosen` is the
        negative, never the same text), `distance` of the two personas (`distances`), `failure` (why there is no
        negative, or missing).
    """
    there = pairs.loc[pairs["chosen"].notna()].sort_values("pair_id")
    places = positions(people)
    groups = there.groupby(["prompt_id", cells(there)])
    parts = [part for _, group in groups for part in _of_prompt(group, places, seed)]
    if not parts:
        return pd.DataFrame(columns=COLUMNS)
    table = pd.DataFrame({name: np.concatenate([part[name] for part in parts]) for name in COLUMNS})
    return table.sort_values(["pair_id", "kind"], ignore_index=True)


def _of_prompt(group: pd.DataFrame, places: pd.DataFrame, seed: int) -> list[dict[str, np.ndarray]]:
    """Find the negatives of the pairs that share a prompt and a cell: the columns of `hard`, once for each kind."""
    ids = group["pair_id"].to_numpy(object)
    texts = pd.factorize(group["chosen"].str.strip())[0]
    allowed = texts[:, None] != texts[None]  # pairs x pairs; never the pair itself, nor its text
    apart = distances(places.loc[group["persona_id"]])  # pairs x pairs
    chance = _chance(f"{seed} {group['prompt_id'].iloc[0]} {ids[0]}", allowed.shape)
    why = np.where(allowed.any(axis=1), "nothing known by which personas are opposite", "no other revision")
    return [
        _best(kind, np.where(allowed & ~np.isnan(rank), rank, -1), ids, apart, why)
        for kind, rank in ((OTHER, chance), (OPPOSITE, apart + TIE * chance))
    ]


def _chance(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Return uniform random numbers seeded by a text, so that they don't depend on the order of the groups."""
    return np.random.default_rng(list(hashlib.sha256(name.encode()).digest())).random(shape)


def _best(kind: str, rank: np.ndarray, ids: np.ndarray, apart: np.ndarray, why: np.ndarray) -> dict[str, np.ndarray]:
    """Take the candidate of the highest rank in each row.

    Args:
        kind: of the negatives.
        rank: pairs x pairs, below 0 for a candidate that is not allowed.
        ids: of the pairs.
        apart: pairs x pairs, the personas' distances.
        why: of each pair, the reason if no candidate is allowed.
    """
    rows = np.arange(len(ids))
    best = rank.argmax(axis=1)
    found = rank[rows, best] >= 0
    return {
        "pair_id": ids,
        "kind": np.full(len(ids), kind, object),
        "negative_id": np.where(found, ids[best], np.array(None)),
        "distance": np.where(found, apart[rows, best], np.nan),
        "failure": np.where(found, np.array(None), why),
    }
