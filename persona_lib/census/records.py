"""Real people of a table drawn by their weights, and what every draw of people checks. Used by `census`."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from .. import UserError, seeds

WEIGHT = "weight"  # the column of a table of persons that says how many people each stands for


@dataclass(frozen=True)
class Records:
    """Real people to draw from: a table that `read_pums` or `read_mapped` returned."""

    people: pd.DataFrame

    def sample(self, n: int, seed: int = 0) -> pd.DataFrame:
        """Draw n of them, each with a chance in proportion to the weight, none twice unless n exceeds their number.

        A weight above 1/n of all makes a person certain, once. Systematic sampling from a shuffled list (Madow 1949).
        Columns as in the table, without the weight. The same for a seed on every machine.
        """
        check(n, seed)
        weight = weights(self.people)
        weight = np.ones(len(self.people)) if weight is None else weight
        rng = seeds.rng("people of the census records", seed)
        order = rng.permutation(len(weight))
        upto = _expected(weight[order], n).cumsum()
        at = np.searchsorted(upto, rng.random() + np.arange(n), side="right")
        rows = rng.permutation(order[np.minimum(at, len(order) - 1)])
        return self.people.drop(columns=WEIGHT, errors="ignore").iloc[rows].reset_index(drop=True)


def _expected(weight: np.ndarray, n: int) -> np.ndarray:
    """How often each person is drawn on average, n in all; at most once if there are enough of them."""
    if n == (weight > 0).sum():
        return (weight > 0).astype(float)
    expected = weight * (n / weight.sum())
    while n <= (weight > 0).sum() and (expected > 1).any():
        certain = expected >= 1
        rest = expected[~certain]
        expected[certain] = 1
        expected[~certain] = rest * ((n - certain.sum()) / rest.sum())
    return expected


def weights(people: pd.DataFrame) -> np.ndarray | None:
    """The column `weight` if there is one. Raises UserError for weights that are none."""
    if WEIGHT not in people:
        return None
    weight = people[WEIGHT].to_numpy(dtype=float, na_value=np.nan)
    if not (np.isfinite(weight).all() and (weight >= 0).all() and weight.any()):
        raise UserError("the persons' weights must be numbers of 0 or more, and not all 0: mend the column of weights.")
    return weight


def check(n: int, seed: int) -> None:
    """Raise UserError for a number of people or a seed that is none."""
    if not isinstance(n, int | np.integer) or isinstance(n, bool) or n < 1:
        raise UserError(f"n must be a whole number of people, 1 or more; it is {n!r}.")
    seeds.check_seed(seed)
