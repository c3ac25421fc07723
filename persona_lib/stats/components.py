"""Variance components of scores where personas cross prompts, and the covariance of means of overlapping groups.

The components are of the whole table, so that a group of few answers borrows its uncertainty from all of them (a
generalized variance function: Rao & Molina 2015, Small Area Estimation, ch. 6).
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import sparse

from .clustering import half_squares


class Components(NamedTuple):
    """Variance of a single score between personas, between prompts, and of the rest; their sum is the whole."""

    persona: float
    prompt: float
    rest: float


def components(values: np.ndarray, persona: np.ndarray, prompt: np.ndarray) -> Components | None:
    """Estimate the variance components of scores by half the squared differences of pairs.

    Pairs that share neither persona nor prompt differ by all three components, pairs that share one by the other two.
    A component that is estimated below 0 is 0. Where no two scores share a persona (or a prompt), its part is in the
    rest.

    Args:
        values: array (n,) of scores.
        persona, prompt: arrays (n,) of cluster numbers.

    Returns:
        The components; None if all pairs share a persona or a prompt.
    """
    n = len(values)
    x = np.asarray(values, float) - np.mean(values)
    both = pd.factorize(persona.astype(np.int64) * (n + 1) + prompt)[0]
    in_persona, in_prompt, in_both = (half_squares(x, code) for code in (persona, prompt, both))
    pairs = n * n - in_persona[1] - in_prompt[1] + in_both[1]
    if not pairs:
        return None
    whole = (n * (x @ x) - in_persona[0] - in_prompt[0] + in_both[0]) / pairs
    of_one = []
    for squares, number in (in_persona, in_prompt):
        shared = number - in_both[1]  # pairs that share this cluster and not the other
        of_one.append(max(whole - (squares - in_both[0]) / shared, 0.0) if shared else 0.0)
    scale = min(1.0, whole / sum(of_one)) if sum(of_one) else 1.0
    of_persona, of_prompt = (scale * part for part in of_one)
    return Components(of_persona, of_prompt, max(whole - of_persona - of_prompt, 0.0))


def covariance_of_gaps(parts: Components, members: np.ndarray, persona: np.ndarray, prompt: np.ndarray) -> np.ndarray:
    """Return the covariance matrix of each group's mean less the mean of all items, if groups do not differ.

    An item counts 1/n_g - 1/n in the gap of a group that it is in, and -1/n in any other's. Prompts that all groups
    share cancel.

    Args:
        parts: from `components`.
        members: array (personas, groups) of who is in a group; each group has items.
        persona, prompt: as in `components`; `persona` numbers the rows of `members`.

    Returns:
        Array (groups, groups).
    """
    n = len(persona)
    inside = members.astype(float)
    items = sparse.coo_matrix((np.ones(n), (prompt, persona)), (prompt.max() + 1, len(members))).tocsr()
    each_persona, each_prompt = (np.asarray(items.sum(axis)).ravel() for axis in (0, 1))
    by_persona = inside * each_persona[:, None]  # personas x groups: items
    by_prompt = items @ inside  # prompts x groups: items
    sizes = by_persona.sum(0)  # (groups,)
    covariance = parts.rest * (inside.T @ by_persona / np.outer(sizes, sizes) - 1 / n)
    for part, own, whole in ((parts.persona, by_persona, each_persona), (parts.prompt, by_prompt, each_prompt)):
        weights = own / sizes - whole[:, None] / n
        covariance += part * weights.T @ weights
    return covariance
