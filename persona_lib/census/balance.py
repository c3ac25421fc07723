"""Choose n people from a larger pool so that their margins match a reference far better than a random draw.

An exchange algorithm, as for designs of experiments (Fedorov 1972, "Theory of Optimal Experiments"; Cook and
Nachtsheim 1980, Technometrics 22:315): start from a random subset; replace each member in turn by the best of some
candidates from the pool. It minimizes the sum of squared differences between people and target over all cells of all
attributes and of all pairs of attributes. It adds only whole numbers, so the result is the same on any machine.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from .. import UserError, seeds
from . import distances

CANDIDATES = 128  # compared for each place
ROUNDS = 2  # times that each place is reconsidered
SINGLE = 40  # weight of an attribute's cell; a cell of a pair of attributes has weight 1

Reference = tuple[pd.DataFrame, pd.DataFrame]


def census() -> Reference:
    """Return the committed shares of attributes and of pairs of attributes: people in the US, 2024."""
    return distances.census_shares(), distances.census_pair_shares()


def of(people: pd.DataFrame) -> Reference:
    """Return the same two tables for a large table of people, to use as a reference instead of the committed one."""
    return distances.shares(people), distances.pair_shares(people)


def choose(pool: pd.DataFrame, n: int, reference: Reference, seed: int) -> np.ndarray:
    """Choose n rows of the pool whose joint margins are close to the reference.

    Args:
        pool: people with the census attributes, and `distances.ORIGINS` if these are to be balanced, too; ten times n
            are plenty.
        n: how many to choose.
        reference: results of `distances.shares` and `distances.pair_shares`.
        seed: of the first subset, the candidates and the rounding. Each cell's target is n times its share, rounded up
            or down at random. Rounded to the nearest number, rare combinations would never be drawn.

    Returns:
        n different positions in the pool, ascending.

    Raises:
        UserError: the pool has fewer than n people.
    """
    return choose_parts(pool, [(np.arange(len(pool)), n)], reference, seed)


def choose_parts(
    pool: pd.DataFrame, parts: Sequence[tuple[np.ndarray, int]], reference: Reference, seed: int
) -> np.ndarray:
    """Choose people from each part of a pool such that they and those of the parts before are close to the reference.

    Args:
        pool: as in `choose`.
        parts: positions in the pool (people,), and how many to choose of them; no position is in two parts.
        reference: as in `choose`.
        seed: as in `choose`.

    Returns:
        Different positions in the pool, ascending.

    Raises:
        UserError: a part has too few people.
    """
    rng = seeds.rng("people balanced", seed)
    cells, share, weight = _cells(distances.bands(pool), reference)
    chosen = np.empty(0, dtype=np.intp)
    for part, n in parts:
        if len(part) < n:
            raise UserError(f"{n} people can't be chosen from {len(part)}: give a larger pool.")
        target = np.floor((len(chosen) + n) * share + rng.random(len(share)))  # cells
        missing = target - np.bincount(cells[chosen].ravel(), minlength=len(share))
        chosen = np.concatenate([chosen, part[_exchange(cells[part], n, missing, weight, rng)]])
    return np.sort(chosen)


def _exchange(
    cells: np.ndarray, n: int, target: np.ndarray, weight: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Return n positions among people whose counts in the cells are close to the target.

    Args:
        cells: of each person (people x blocks).
        n: how many.
        target: array (cells,) of whole numbers; it may be below 0.
        weight: array (cells,).
        rng: of the first subset and the candidates.
    """
    order = rng.permutation(len(cells))  # the first n places hold the subset
    excess = (np.bincount(cells[order[:n]].ravel(), minlength=len(target)) - target).astype(np.int64)
    # What one more person in a cell adds to the weighted sum of squares: (excess + 1)² - excess² = 2 excess + 1.
    price = weight * (2 * excess + 1)
    rounds = ROUNDS if n < len(cells) else 0
    for place in [*range(n)] * rounds:
        # A person lies in one cell of each block, so no cell comes twice in these updates.
        leaving = cells[order[place]]
        price[leaving] -= 2 * weight[leaving]
        candidates = np.append(place, rng.integers(n, len(cells), size=CANDIDATES))  # places; staying is one choice
        prices = price.take(cells.take(order[candidates], axis=0)).sum(axis=1)  # candidates; faster than an index
        best = candidates[prices.argmin()]
        order[place], order[best] = order[best], order[place]
        joining = cells[order[place]]
        price[joining] += 2 * weight[joining]
    return order[:n]


def _cells(table: pd.DataFrame, reference: Reference) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Number the cells of all attributes and of all pairs of attributes.

    All cells of an attribute, or of a pair, form a block; each person lies in one cell of each block.

    Args:
        table: people as `distances.bands` returns them.
        reference: as in `choose`.

    Returns:
        The cells of each person (people x blocks), the reference share of each cell, the weight of each cell.
    """
    there = reference[0]["attribute"].isin(table.columns)  # all but ORIGINS, which a table may lack
    singles, pairs = (part.to_dict("list") for part in (reference[0][there], reference[1]))
    codes = {name: table[name].cat.codes.to_numpy() for name in table}
    labels = {name: table[name].cat.categories for name in table}
    sizes = {name: len(labels[name]) for name in table}
    code_of = {(name, label): code for name in table for code, label in enumerate(labels[name])}

    in_pairs = zip(pairs["attribute"], pairs["other"], strict=True)
    blocks = list(dict.fromkeys([*zip(singles["attribute"]), *in_pairs]))
    width = [np.prod([sizes[name] for name in names]) for names in blocks]
    start = dict(zip(blocks, np.cumsum([0, *width]), strict=False))  # first cell of each block

    of_singles = zip(singles["attribute"], singles["value"], strict=True)
    rows = [start[name,] + code_of[name, value] for name, value in of_singles]
    of_pairs = zip(*(pairs[column] for column in ("attribute", "other", "value", "other value")), strict=True)
    rows += [start[a, b] + code_of[a, value] * sizes[b] + code_of[b, other] for a, b, value, other in of_pairs]
    share = np.zeros(sum(width))
    share[rows] = singles["share"] + pairs["share"]

    columns = []
    for names in blocks:
        within = np.ravel_multi_index([codes[name] for name in names], [sizes[name] for name in names])
        columns.append(start[names] + within)
    weight = np.repeat([SINGLE if len(names) == 1 else 1 for names in blocks], width)
    return np.column_stack(columns), share, weight
