"""Training choices by pairs of answers: people choose between the same ones, whose vectors are long.

What a linear model learns depends on each pair's number of choices and on their mean. So each pair has one row, which
makes the fits of built-in methods cheap where people share pairs; where nobody does, they cost what they would without.
"""

from collections.abc import Callable
from functools import wraps
from hashlib import sha256
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.sparse import coo_array

from ..method import Method

SHOWN = ["prompt", "first", "second"]


class Tally(NamedTuple):
    """n choices of training people between m different pairs of answers.

    `z`: array (m, d), the difference of two answers' features. `pair`: array (n,), the row of `z` of each choice.
    `person`: array (n,), whose choice it is, numbers from 0. `y`: array (n,), what was chosen, 0 to 1.
    """

    z: np.ndarray
    pair: np.ndarray
    person: np.ndarray
    y: np.ndarray

    def of(self, chosen: np.ndarray) -> "Tally":
        """Return some choices, `chosen` being an array (n,) of truth values; pairs and people get numbers from 0."""
        pair, person = self.pair[chosen], np.unique(self.person[chosen], return_inverse=True)[1]
        kept = np.bincount(pair, minlength=len(self.z)) > 0
        return Tally(self.z[kept], (np.cumsum(kept) - 1)[pair], person, self.y[chosen])

    def means(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the mean of the choices between each pair, and their number: arrays (m,)."""
        n = np.bincount(self.pair)
        return np.bincount(self.pair, self.y) / n, n

    def spread(self, values: np.ndarray) -> coo_array:
        """Return one value of each choice, array (n,), as a sparse array (m, people): products sum those of a cell."""
        return coo_array((values, (self.pair, self.person)))


def tally(method: Method, pairs: pd.DataFrame) -> tuple[Tally, list[np.ndarray]]:
    """Return what `fit` was given, and the different pairs: prompts, first and second answers, arrays (m,)."""
    pair = pairs.groupby(SHOWN, sort=False).ngroup().to_numpy()
    different = pairs.drop_duplicates(SHOWN)
    shown = [different[side].to_numpy() for side in SHOWN]
    return Tally(method.gaps(*shown), pair, pairs["person"].to_numpy(), pairs["p_first"].to_numpy(float)), shown


def once(learn: Callable[[Tally], Any]) -> Callable[[Tally], Any]:
    """Keep what was learned last: the next method that is fitted to the same choices takes it.

    Args:
        learn: returns arrays, which nobody can write to from then on, and numbers.
    """
    last: dict[bytes, Any] = {}

    @wraps(learn)
    def of(choices: Tally) -> Any:
        key = sha256(b"".join(part.tobytes() for part in choices)).digest()
        if key not in last:
            found = learn(choices)
            for part in found if isinstance(found, tuple) else (found,):
                if isinstance(part, np.ndarray):
                    part.setflags(write=False)
            last.clear()
            last[key] = found
        return last[key]

    return of
