"""How numbers, intervals and labels are written in the cells of a table."""

import re
from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd

MISSING = "–"
BLANK = "\N{FIGURE SPACE}"  # as wide as a digit, and kept by browsers
THIN = "\N{PUNCTUATION SPACE}"  # about as wide as a bracket or a comma
FIXED = {"p": 3, "two digits": 2}  # digits of forms that have their own
REPEATED = 160  # letters: a longer text is told once in a column
BEGINNING = 40  # letters that are told of it again
COUNT = re.compile(r"[\d,]+")  # as text
IDENTIFIER = re.compile(r"[a-z]+(_[a-z]+)+")  # a label as code writes it, such as chain_of_thought


def numbers(form: str, digits: int, *columns: np.ndarray) -> list[str]:
    """Return numbers, with the ends of their intervals if there are any, as texts of one width and one precision.

    Args:
        form: as in data/headings.yaml.
        digits: decimals of the numbers as they are recorded; of percent and points, two fewer are written.
        columns: estimates, and perhaps their lower and upper ends.
    """
    scale = 100 if form in ("percent", "points") else 1
    digits = max(digits - (2 if scale == 100 else 0), 0)
    parts = []
    for place, column in enumerate(columns):
        unit = "%" if form == "percent" and not place else ""
        texts = [_number(scale * value, digits, form == "points", unit) for value in column]
        parts.append([text.rjust(max(map(len, texts), default=0), BLANK) for text in texts])
    if form == "p":
        return [
            f"<{10**-digits}" if value < 10**-digits / 2 else text for value, text in zip(*columns, *parts, strict=True)
        ]
    return [_with_interval(value, ends) if ends else value for value, *ends in zip(*parts, strict=True)]


def _with_interval(value: str, ends: Sequence[str]) -> str:
    """Return an estimate with its interval; where that is missing, blanks as wide keep the estimate in its place."""
    interval = f" [{', '.join(ends)}]"
    missing = all(end.strip(BLANK) == MISSING for end in ends)
    return value + (re.sub(r"[\[\], ]", THIN, re.sub("[^\\[\\], ]", BLANK, interval)) if missing else interval)


def digits(form: str, columns: Sequence[np.ndarray]) -> int:
    """Return how many decimals give the half width of the median interval, or the median value, two digits; 0 to 4."""
    if form in FIXED:
        return FIXED[form]
    known = np.concatenate(columns)
    size = np.abs(columns[-1] - columns[-2] if len(columns) > 1 else columns[0]) / (2 if len(columns) > 1 else 1)
    size = size[np.isfinite(size) & (size > 0)]
    if (known[np.isfinite(known)] % 1 == 0).all():
        return 0
    if not len(size):
        return 2
    middle = np.median(size)
    return int(np.clip(1 - np.floor(np.log10(middle)), 1 if middle < 100 else 0, 4))


def _number(value: float, digits: int, signed: bool = False, unit: str = "") -> str:
    """Return a number as text, with a true minus."""
    if np.isnan(value):
        return MISSING
    digits = digits if abs(value) < 1000 else 0
    text = f"{value:+z,.{digits}f}" if signed else f"{value:z,.{digits}f}"
    return (text if text.strip("+0.") else text.removeprefix("+")).replace("-", "−") + unit


def told(value: Any) -> str:
    """Return what one cell holds as text: labels without underscores, numbers with three significant digits."""
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, int | float | np.number):
        text = f"{value:,}" if isinstance(value, Integral) or abs(float(value)) >= 1000 else f"{value:.3g}"
        return MISSING if text == "nan" else text.replace("-", "−")
    if value is None or value is pd.NA or value is pd.NaT:
        return MISSING
    return value.replace("_", " ") if isinstance(value, str) and IDENTIFIER.fullmatch(value) else str(value)


def are_counts(values: pd.Series) -> bool:
    """Return whether a column of texts has counts alone, and blanks."""
    known = [text for text in map(str, values.dropna()) if text]
    return bool(known) and all(map(COUNT.fullmatch, known))


def once(cells: list[str]) -> list[str]:
    """Return texts, a long one whole where it comes first and as its beginning where it comes again."""
    return [
        f"{cell[:BEGINNING].rsplit(' ', 1)[0]} … (as above)" if len(cell) > REPEATED and cell in cells[:place] else cell
        for place, cell in enumerate(cells)
    ]
