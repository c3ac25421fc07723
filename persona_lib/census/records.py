"""Draw real people of a table by their weights, and check the arguments of every draw of people."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from .. import UserError, seeds

WEIGHT = "weight"  # the column of a table of people that says how many people each row stands for


@dataclass(frozen=True)
class Records:
    """Real people to draw from: a table that `read_pums` or `read_mapped` returned."""

    people: pd.DataFrame

    def sample(self, n: int, seed: int = 0) -> pd.DataFrame:
        """Draw n people with probabilities in proportion to their weights.

        Systematic sampling from a shuffled list (Madow 1949). Nobody is drawn twice unless n exceeds the number of
        people. A person with a weight above 1/n of the total is certain to be drawn, once.

        Args:
            n: number of people.
            seed: the same seed gives the same people on every machine.

        Returns:
            The columns of the table without the weight.

        Raises:
            UserError: n, the seed or the weights are invalid.
        """
        check(n, seed)
        weight = weights(self.people)
        weight = np.ones(len(self.people)) if weight is None else weight
        rng = seeds.rng("people of the census records", seed)
        order = rng.permutation(len(weight))
        upto = _expected(weight[order], n).cumsum()  # people, 0 to n
        at = np.searchsorted(upto, rng.random() + np.arange(n), side="right")  # n places in the shuffled list
        rows = rng.permutation(order[np.minimum(at, len(order) - 1)])
        return self.people.drop(columns=WEIGHT, errors="ignore").iloc[rows].reset_index(drop=True)


def _expected(weight: np.ndarray, n: int) -> np.ndarray:
    """Return how often each person is drawn on average: n in all, and at most once if there are enough people."""
    if n == len(weight):
        return np.ones(n)
    expected = weight * (n / weight.sum())
    # Cap people at 1. The others share the remaining draws by weight, which may lift some of them above 1: repeat.
    while n <= len(weight) and (expected > 1).any():
        certain = expected >= 1
        rest = expected[~certain]
        expected[certain] = 1
        expected[~certain] = rest * ((n - certain.sum()) / rest.sum())
    return expected


def weights(people: pd.DataFrame) -> np.ndarray | None:
    """Return the column `weight`, or None if there is no such column.

    Raises:
        UserError: a weight is missing, no number, infinite, zero or below.
    """
    if WEIGHT not in people:
        return None
    weight = pd.to_numeric(people[WEIGHT], errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    if (wrong := ~(np.isfinite(weight) & (weight > 0))).any():
        first = ", ".join(map(str, people.index[wrong][:5])) + (", ..." if wrong.sum() > 5 else "")
        raise UserError(
            f"{wrong.sum():,} of {len(weight):,} weights are not numbers above 0 (rows {first}): correct the column of "
            "weights, or leave these people out."
        )
    return weight


def check(n: int, seed: int) -> None:
    """Raise UserError for an invalid number of people or an invalid seed."""
    if not isinstance(n, int | np.integer) or isinstance(n, bool) or n < 1:
        raise UserError(f"n must be a whole number of people, 1 or more; it is {n!r}.")
    seeds.check_seed(seed)
