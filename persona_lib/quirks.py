"""Defining quirks and mannerisms, drawn from hand-written sets so that none contradicts the person.

The sets are data/quirks.yaml and data/mannerisms.yaml. The paper lets a language model write both (section 3.1).
Used by `personas`.
"""

import numpy as np
import pandas as pd

from . import conditions, phrases

SETS = {"defining quirks": "quirks", "mannerisms": "mannerisms"}
SHARES = (0.3, 0.45, 0.25)  # of people who get one, two and three phrases: our choice, no survey says


def draw(people: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Draw each person's `defining quirks` and `mannerisms`.

    Args:
        people: indexed by `persona_id`, with the census columns and, where there are, the surveys' (somebody
            introverted gets no outgoing quirk).
        seed: with the id it settles what a person gets; who else is in the table doesn't matter.

    Returns:
        The index of `people`; in each column one to three phrases of different topics joined by '; ', missing for
        children under 3.
    """
    table = conditions.table(people)
    return pd.DataFrame({name: _several(table, name, seed) for name in SETS})


def _several(table: pd.DataFrame, name: str, seed: int) -> pd.Series:
    chosen, keys = phrases.draw(table, phrases.load(SETS[name]), seed)
    most = phrases.uniforms(table.index, [f"how many {name}"], seed)[:, 0]
    count = 1 + np.searchsorted(np.cumsum(SHARES)[:-1], most, side="right")
    first = np.argsort(keys.to_numpy(), axis=1)[:, : len(SHARES)]
    texts = np.take_along_axis(chosen.to_numpy(), first, axis=1)
    return phrases.join(np.where(np.arange(len(SHARES)) < count[:, None], texts, None), table.index)
