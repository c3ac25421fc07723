"""Group places of birth by world region, and ancestries by size: personas are balanced on these groups."""

import pandas as pd

from ..census import distances
from . import origins

HERE = "United States"


def groups(people: pd.DataFrame) -> pd.DataFrame:
    """Return people's region of birth and their ancestry, if it is one of the largest.

    Args:
        people: the columns `place of birth` and `ancestry`, as `origins.draw` returns them.

    Returns:
        The index of `people`; categorical columns `region of birth` (the United States, its islands, or one of the six
        world regions of the Bureau's tables) and `ancestry group` (`distances.ANOTHER` for small ones), with the values
        that `distances.census_shares` has.
    """
    values = distances.census_shares().groupby("attribute")["value"].agg(list)
    region, ancestry = (values[name] for name in distances.ORIGINS)
    born = people["place of birth"].map(dict.fromkeys(origins.states(), HERE) | origins.regions())
    large = people["ancestry"].where(people["ancestry"].isin(ancestry), distances.ANOTHER)
    both = (pd.Categorical(born, categories=region), pd.Categorical(large, categories=ancestry))
    return pd.DataFrame(dict(zip(distances.ORIGINS, both, strict=True)), index=people.index)
