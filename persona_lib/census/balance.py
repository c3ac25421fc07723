"""Choose n people out of a larger pool so that margins are met far better than by a random draw.

An exchange algorithm, as for designs of experiments (Fedorov 1972, "Theory of Optimal Experiments"; Cook and
Nachtsheim 1980, Technometrics 22:315): from a random subset on, each member in turn leaves for the best of some
candidates from the pool. What is made small is the sum of squared differences between people and target in every cell
of every attribute and of every pair of attributes. Only whole numbers are added, so that the result is the same on
any machine. Used by `personas`.
"""

import numpy as np
import pandas as pd

from .. import UserError, seeds
from . import distances

CANDIDATES = 128  # looked at for each place
ROUNDS = 2  # times that each place comes up
SINGLE = 30  # what a person amiss in an attribute counts, when one in a pair of attributes counts 1

Reference = tuple[pd.DataFrame, pd.DataFrame]


def census() -> Reference:
    """The committed shares of attributes and of pairs: 200,000 people in the US, 2024."""
    return distances.census_shares(), distances.census_pair_shares()


def of(people: pd.DataFrame) -> Reference:
    """The same two tables for a large table of people, where the reference is not the committed one."""
    return distances.shares(people), distances.pair_shares(people)


def choose(pool: pd.DataFrame, n: int, reference: Reference, seed: int) -> np.ndarray:
    """Rows of the pool (n positions, rising, none twice) that together are close to the reference.

    Args:
        pool: people with the census attributes; ten times n are plenty.
        n: how many to choose.
        reference: tables as from `distances.shares` and `distances.pair_shares`.
        seed: of the first subset, the candidates and the rounding. Each cell's target is n times its share, rounded up
            or down at random: always to the nearest, and what is rare would never be drawn.

    Raises:
        UserError: the pool has fewer than n people.
    """
    if len(pool) < n:
        raise UserError(f"{n} people can't be chosen from {len(pool)}: give a larger pool.")
    rng = seeds.rng("people balanced", seed)
    cells, share, weight = _cells(distances.bands(pool), reference)
    order = rng.permutation(len(pool))  # the first n places are the subset
    excess = np.bincount(cells[order[:n]].ravel(), minlength=len(share)) - np.floor(n * share + rng.random(len(share)))
    # What one more person in the cell would add to the sum of squares.
    price = weight * (2 * excess.astype(np.int64) + 1)
    for place in [*range(n)] * ROUNDS if n < len(pool) else []:
        leaving = cells[order[place]]
        price[leaving] -= 2 * weight[leaving]
        candidates = np.append(place, rng.integers(n, len(pool), size=CANDIDATES))
        best = candidates[price[cells[order[candidates]]].sum(axis=1).argmin()]
        order[place], order[best] = order[best], order[place]
        joining = cells[order[place]]
        price[joining] += 2 * weight[joining]
    return np.sort(order[:n])


def _cells(table: pd.DataFrame, reference: Reference) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which cells each person lies in (people x cells of a person), and of each cell its share and its weight."""
    singles, pairs = (part.to_dict("list") for part in reference)
    codes = {name: table[name].cat.codes.to_numpy() for name in table}
    sizes = {name: len(table[name].cat.categories) for name in table}
    place = {(name, label): code for name in table for code, label in enumerate(table[name].cat.categories)}
    parts = dict.fromkeys([*zip(singles["attribute"]), *zip(pairs["attribute"], pairs["other"], strict=True)])
    width = [np.prod([sizes[name] for name in names]) for names in parts]
    start = dict(zip(parts, np.cumsum([0, *width]), strict=False))
    rows = [start[one,] + place[one, value] for one, value in zip(singles["attribute"], singles["value"], strict=True)]
    pair = zip(*(pairs[column] for column in ("attribute", "other", "value", "other value")), strict=True)
    rows += [start[a, b] + place[a, value] * sizes[b] + place[b, other] for a, b, value, other in pair]
    share = np.zeros(sum(width))
    share[rows] = singles["share"] + pairs["share"]
    persons = [
        start[names] + np.ravel_multi_index([codes[name] for name in names], [sizes[name] for name in names])
        for names in parts
    ]
    weight = np.repeat([SINGLE if len(names) == 1 else 1 for names in parts], width)
    return np.column_stack(persons), share, weight
