"""Encode one attribute's values as small codes, and decode them: 0 is missing, then the labels or a number's bands.

Of a number only the values in each band, and how many people have each, are kept.
"""

import numpy as np
import pandas as pd

from .. import UserError
from ..attributes import Attribute

MOST = 255  # codes of one attribute
LARGEST = 2**53  # up to it a float holds every whole number


def encode(attribute: Attribute, values: pd.Series) -> np.ndarray:
    """Return the codes (people, uint8) of one column.

    Raises:
        UserError: a value is not among the attribute's labels.
    """
    if attribute.kind == "numeric":
        bands = band(attribute, values.fillna(0).to_numpy(dtype=int))
        return np.where(values.isna(), 0, bands).astype(np.uint8)
    unknown = values.notna() & ~values.isin(attribute.labels)
    if unknown.any():
        named = ", ".join(map(str, values[unknown].unique()[:9]))
        raise UserError(
            f"{attribute.name} has values that are not among its labels ({named}): correct the table or the labels."
        )
    codes = pd.Categorical(values, categories=attribute.labels).codes
    return (codes + 1).astype(np.uint8)


def decode(attribute: Attribute, codes: np.ndarray, numbers: np.ndarray | None = None) -> pd.Series:
    """Return one column from its codes (people,) and, for a number, from the values (people,) that `pick` drew."""
    if attribute.kind == "categorical":
        return pd.Series(pd.Categorical.from_codes(codes.astype(np.int16) - 1, attribute.labels))
    if attribute.universe == "everyone":
        return pd.Series(numbers)
    return pd.Series(numbers).astype("Int64").mask(codes == 0)


def band(attribute: Attribute, numbers: np.ndarray) -> np.ndarray:
    """Return the code of each number's band, 1 and up."""
    return (np.searchsorted(attribute.bands, numbers, side="right") + 1).astype(np.uint8)


def tally(attribute: Attribute, values: pd.Series, weight: np.ndarray | None = None) -> np.ndarray:
    """Count the people with each value of a number.

    Args:
        attribute: a numeric attribute; its grid says to what the values are rounded. With a grid of 0 they are rounded
            by size: the Bureau rounds dollars to 10 below 1,000, to 100 below 50,000, then to 1,000; here the rare
            values from 200,000 on are rounded to 10,000.
        values: one per person, or missing.
        weight: how many people each person stands for, whole numbers; by default 1.

    Returns:
        Array (different values x 2): rounded value, ascending, and number of people.
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
    """Draw each person's number among the numbers that people in the same band have.

    Args:
        attribute: a numeric attribute.
        tallied: result of `tally`.
        codes: array (people,), the code of each person's band.
        rng: used only if a band has several numbers.

    Returns:
        Array (people,) of numbers; arbitrary where the code is 0 (missing).
    """
    numbers, counts = tallied.T
    # Rows first[code] to first[code + 1] of the tally lie in the band of that code.
    first = np.searchsorted(band(attribute, numbers), np.arange(attribute.size + 1))
    if (np.diff(first) <= 1).all():
        return numbers[np.minimum(first[codes], len(numbers) - 1)]
    upto = np.concatenate([[0], counts.cumsum()])  # people in all rows before
    low = upto[first[codes]]
    high = upto[first[codes + 1]]
    place = np.searchsorted(upto, low + rng.random(len(codes)) * (high - low), side="right") - 1
    return numbers[np.minimum(place, len(numbers) - 1)]
