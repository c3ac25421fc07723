"""Write an estimate with its 95% interval and n as text: the one form that all pages, sentences and commands share."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

ALPHA = 0.05  # of a test, for intervals of 95%
UNKNOWN = "an unknown share"


def share(value: float, low: float = np.nan, high: float = np.nan, n: float | None = None, note: str = "") -> str:
    """Return a share as text: '58% (95% interval 28% to 83%, n = 12; too few clusters)'.

    Args:
        value: from 0 to 1; missing if nothing was scored.
        low, high: ends of its interval; missing without one.
        n: how many items it rests on; None if the sentence says so elsewhere.
        note: why the interval may be wrong, as in `intervals.rates`, or empty.
    """
    return _written(UNKNOWN, [f"{x:.0%}" for x in (value, low, high)], value, low, n, note)


def of_rate(row: Mapping[str, Any] | pd.Series) -> str:
    """Return a row of `intervals.rates` as `share` writes it."""
    return share(row["rate"], row["low"], row["high"], row["n"], row["note"])


def points(difference: float, low: float = np.nan, high: float = np.nan, n: float | None = None, note: str = "") -> str:
    """Return a difference of shares in percentage points: '+25 points (95% interval −85 to +100, n = 8)'.

    Args:
        difference: from -1 to 1; missing if nothing was scored.
        low, high, n, note: as in `share`.
    """
    middle, *ends = (signed(100 * x, 0) for x in (difference, low, high))
    return _written("an unknown difference", [f"{middle} points", *ends], difference, low, n, note)


def number(
    value: float,
    low: float = np.nan,
    high: float = np.nan,
    n: float | None = None,
    note: str = "",
    digits: int = 2,
) -> str:
    """Return a number such as a kappa: '0.17 (95% interval −0.39 to 0.64, n = 12)'.

    Args:
        value: missing if it is not estimable.
        low, high, n, note: as in `share`.
        digits: after the point.
    """
    texts = [signed(x, digits).removeprefix("+") for x in (value, low, high)]
    return _written("not estimable", texts, value, low, n, note)


def signed(value: float, digits: int) -> str:
    """Return a number with its sign, a true minus; what rounds to zero has none."""
    text = f"{value:+.{digits}f}"
    return text.replace("-", "−") if text.strip("+-0.") else text[1:]


def _written(unknown: str, texts: list[str], value: float, low: float, n: float | None, note: str) -> str:
    """Return the texts of a value and of its ends as one; `unknown` if the value is missing."""
    middle, first, last = texts
    parts = []
    if not np.isnan(value):
        missing = "" if "no interval" in note else "no interval"
        parts.append(missing if np.isnan(low) else f"95% interval {first} to {last}")
    if n is not None:
        parts.append(f"n = {n:,.0f}")
    within = "; ".join(part for part in (", ".join(filter(None, parts)), note) if part)
    return (unknown if np.isnan(value) else middle) + (f" ({within})" if within else "")


def listed(rates: pd.DataFrame) -> str:
    """Return each row of `intervals.rates` with its name: 'direct 50% (95% interval 6% to 94%, n = 8), ...'."""
    rows = [f"{_name(key)} {of_rate(r)}" for key, r in rates.iterrows()]
    return ", ".join(rows)


def percent(value: float) -> str:
    """Return a share without its interval, for a figure that shows it: '58%'."""
    return UNKNOWN if np.isnan(value) else f"{value:.0%}"


def span(values: pd.Series, digits: int = 2) -> str:
    """Return the smallest and the largest of several numbers: '−0.20 to 0.75', or the one that they all are."""
    known = values.dropna()
    if known.empty:
        return "not estimable"
    low, high = (signed(value, digits).removeprefix("+") for value in (known.min(), known.max()))
    return low if low == high else f"{low} to {high}"


def extremes(values: pd.Series, form: str = ".0%") -> str:
    """Return the smallest and the largest of several values with their names: '33% (baseline) to 70% (summary)'."""
    known = values.dropna()
    if known.empty:
        return UNKNOWN
    low, high = (format(known[name], form) for name in (known.idxmin(), known.idxmax()))
    if low == high:
        return low if len(known) == 1 else f"{low} (all {len(known)})"
    return f"{low} ({_name(known.idxmin())}) to {high} ({_name(known.idxmax())})"


def clear(tests: pd.DataFrame) -> str:
    """Return how many tests of a family are significant after Holm's correction: '2 of 8'.

    Args:
        tests: with the column `p_holm`; tests without a p-value don't count.
    """
    return f"{(tests['p_holm'] < ALPHA).sum()} of {tests['p_holm'].notna().sum()}"


def _name(key: object) -> str:
    """Return a label of a table's index as a reader writes it."""
    return ": ".join(map(str, key if isinstance(key, tuple) else [key])).replace("_", " ")
