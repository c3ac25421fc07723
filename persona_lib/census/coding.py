"""One attribute's values as small codes and back: 0 is missing, then the labels in their order or a number's bands.

Of numbers only each band's values and how many people have them are kept. Used by `census`.
"""

import numpy as np
import pandas as pd

from .. import UserError
from ..attributes import Attribute

MOST = 255  # codes of one attribute


def encode(attribute: Attribute, values: pd.Series) -> np.ndarray:
    """Codes (uint8) of one column. Raises UserError for labels that the attribute lacks."""
    if attribute.kind == "numeric":
        return np.where(values.isna(), 0, band(attribute, values.fillna(0).to_numpy(dtype=int))).astype(np.uint8)
    if (strange := values.notna() & ~values.isin(attribute.labels)).any():
        named = ", ".join(map(str, values[strange].unique()[:9]))
        raise UserError(
            f"{attribute.name} has values that are no labels of it ({named}): mend the table or the labels."
        )
    codes = pd.Categorical(values, categories=attribute.labels).codes
    return (codes + 1).astype(np.uint8)


def decode(attribute: Attribute, codes: np.ndarray, numbers: np.ndarray | None = None) -> pd.Series:
    """One column from its codes, and for a number from the values drawn with `pick`."""
    if attribute.kind == "categorical":
        return pd.Series(pd.Categorical.from_codes(codes.astype(np.int16) - 1, attribute.labels))
    if attribute.universe == "everyone":
        return pd.Series(numbers)
    return pd.Series(numbers).astype("Int64").mask(codes == 0)


def band(attribute: Attribute, numbers: np.ndarray) -> np.ndarray:
    """Code of each number's band, 1 and up."""
    return (np.searchsorted(attribute.bands, numbers, side="right") + 1).astype(np.uint8)


def tally(attribute: Attribute, values: pd.Series, weight: np.ndarray | None = None) -> np.ndarray:
    """The values of a number, rounded to the attribute's grid, and how many people have each (m x 2, rising).

    The Bureau rounds dollars to 10 below 1,000, to 100 below 50,000, then to 1,000; the rare highest go to 10,000 here.
    """
    known = values.notna().to_numpy()
    if not known.any():
        return np.zeros((1, 2), dtype=np.int64)
    numbers = values[known].to_numpy(dtype=float)
    grid = np.full(len(numbers), attribute.grid or 10_000)
    if not attribute.grid:
        sizes = [abs(numbers) < size for size in (10, 1_000, 50_000, 200_000)]
        grid = np.select(sizes, [1, 10, 100, 1_000], 10_000)
    rounded = (np.round(numbers / grid) * grid).astype(np.int64)
    if weight is None:
        return np.column_stack(np.unique(rounded, return_counts=True))
    found, index = np.unique(rounded, return_inverse=True)
    return np.column_stack([found, np.bincount(index, weight[known]).astype(np.int64)])


def pick(attribute: Attribute, tallied: np.ndarray, codes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw each person's number among those that people in the same band have."""
    numbers, counts = tallied.T
    first = np.searchsorted(band(attribute, numbers), np.arange(attribute.size + 1))
    if (np.diff(first) <= 1).all():
        return numbers[np.minimum(first[codes], len(numbers) - 1)]
    upto = np.concatenate([[0], counts.cumsum()])
    low, high = upto[first[codes]], upto[first[codes + 1]]
    place = np.searchsorted(upto, low + rng.random(len(codes)) * (high - low), side="right") - 1
    return numbers[np.minimum(place, len(numbers) - 1)]
