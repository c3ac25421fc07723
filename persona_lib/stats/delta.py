"""Functions of means, such as coefficients of agreement, with intervals by the delta method from clustered items."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from .clustering import FLOOR, cluster_codes, worth_of

TINY = 1e-12
UNDEFINED = "undefined: one option leaves nothing to agree about"
ADDED = 2.0  # items that an interval adds, spread over all pairs of options: half an item in each cell of a 2 x 2 table
LINEAR = ("raw agreement", "PABAK")  # their expected disagreement is a constant
ORDER = (*LINEAR[:1], "Cohen's kappa", "AC1", "PABAK", "Krippendorff's alpha", "Fleiss' kappa")

Formula = Callable[[np.ndarray], Any]  # of the means m of the items' columns; m may be complex (see `_slope`)


@dataclass(frozen=True)
class Coefficient:
    """A chance-corrected coefficient, 1 - (1 - p_o) / d_e, as a formula of the means m."""

    agreed: Formula  # p_o: observed agreement
    expected: Formula  # d_e: disagreement expected by chance

    def __call__(self, m: np.ndarray) -> Any:
        """Return the coefficient for the means m."""
        return 1 - (1 - self.agreed(m)) / self.expected(m)


def estimates(
    x: np.ndarray,
    added: np.ndarray,
    raw: dict,
    found: dict[str, Coefficient],
    indices: dict[str, Formula],
    clusters: pd.DataFrame,
) -> pd.DataFrame:
    """Return a row per coefficient and per index: `estimate`, `low`, `high`, `note`.

    Args:
        x: array (items x columns) whose means m are the argument of all formulas.
        added: array (pairs of options x columns): the row in x of an item with each pair.
        raw: raw agreement, as returned by `rate`.
        found: the coefficients by name.
        indices: other functions of m.
        clusters: labels of the items.
    """
    mean = x.mean(0) if len(x) else np.full(x.shape[1], np.nan)
    codes = cluster_codes(clusters)
    rows = {}
    for name in [n for n in ORDER if n in found]:
        coefficient = found[name]
        chance = coefficient.expected(mean)
        if not (len(x) and chance > TINY):
            rows[name] = _missing(UNDEFINED if len(x) else raw["note"])
        elif name in LINEAR or ("all scores equal" in raw["note"] and raw["rate"] > TINY):
            # Linear in raw agreement, or all items agree equally, and at all: its interval carries over.
            low, high = np.clip([1 - (1 - raw[end]) / chance for end in ("low", "high")], -1, 1)
            rows[name] = {"estimate": coefficient(mean), "low": low, "high": high, "note": raw["note"]}
        else:
            rows[name] = with_interval(coefficient, x, added, codes)
    rows |= {name: with_interval(index, x, added, codes) for name, index in indices.items()}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("coefficient")


def _missing(note: str, estimate: float = np.nan) -> dict:
    return {"estimate": estimate, "low": np.nan, "high": np.nan, "note": note}


def with_interval(formula: Formula, x: np.ndarray, added: np.ndarray, codes: list[np.ndarray]) -> dict:
    """Return a function of means with its interval by the delta method: a dict of `estimate`, `low`, `high`, `note`.

    The interval spans two: of the items as they are, and with half an item more in each cell of the table of two raters
    and two options (Haldane 1956, Anscombe 1956). The one is far too short where an option prevails in few items, the
    other where agreement is nearly perfect. Both are on Fisher's scale.

    Args:
        formula: of the means.
        x: array (items x columns).
        added: as in `estimates`; each row is an equal part of ADDED items.
        codes: cluster numbers of the items, as returned by `clustering.cluster_codes`.
    """
    if not len(x):
        return _missing("nothing scored")
    means = x.mean(0)
    extra = added.mean(0)
    estimate = float(formula(means))
    ends = [estimate]
    for more in (0.0, ADDED):
        slope = _slope(formula, (len(x) * means + more * extra) / (len(x) + more))  # columns
        linear = x @ slope  # items
        worth = worth_of(linear, codes, linear.var(), FLOOR)
        if not worth.n:
            return _missing(worth.note, estimate)
        # Mean and variance of as many independent items as these are worth, and of those that are added.
        n = worth.n + more
        middle = (worth.n * means + more * extra) / n
        off = middle @ slope
        squares = worth.n * ((linear - off) ** 2).mean() + more * ((added @ slope - off) ** 2).mean()
        center = float(formula(middle))
        if squares > TINY and abs(center) < 1 - TINY:  # else the items as they are vary in nothing that counts
            half = worth.t * np.sqrt(squares) / n / (1 - center**2)
            ends += [*np.tanh(np.arctanh(center) + np.array([-half, half]))]
    return {"estimate": estimate, "low": min(ends), "high": max(ends), "note": worth.note}


def _slope(formula: Formula, mean: np.ndarray) -> np.ndarray:
    """Return the derivatives of a formula by complex step: exact to rounding for any formula of sums and ratios."""
    return np.array([formula(mean + 1e-30j * unit).imag / 1e-30 for unit in np.eye(len(mean))])
