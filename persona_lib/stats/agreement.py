"""Measure agreement of raters: kappa and related coefficients with intervals, kappa matrices with missing choices.

Raters are compared on the items where both chose. Where chance agreement is total, kappa is undefined: it is missing,
and counted.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from .. import UserError
from .choices import alike, coded
from .clustering import effective
from .intervals import rate

TINY = 1e-12
UNDEFINED = "undefined: one option leaves nothing to agree about"
LINEAR = ("raw agreement", "PABAK")  # their expected disagreement is a constant
ORDER = (*LINEAR[:1], "Cohen's kappa", "AC1", "PABAK", "Krippendorff's alpha", "Fleiss' kappa")
COLUMNS = ["estimate", "low", "high", "n", "failed", "note"]

Formula = Callable[[np.ndarray], Any]  # of the means m of the items' columns; m may be complex (see `_delta`)


@dataclass(frozen=True)
class Coefficient:
    """A chance-corrected coefficient, 1 - (1 - p_o) / d_e, as a formula of the means m."""

    agreed: Formula  # p_o: observed agreement
    expected: Formula  # d_e: disagreement expected by chance

    def __call__(self, m: np.ndarray) -> Any:
        """Return the coefficient for the means m."""
        return 1 - (1 - self.agreed(m)) / self.expected(m)


def cohen_kappa(a: Sequence, b: Sequence) -> float:
    """Return Cohen's kappa of two raters over the items both chose on; missing if undefined.

    Kappa is undefined without a shared item, and if both raters always choose one and the same option.
    """
    return float(kappa_matrix(pd.DataFrame([list(a)]), pd.DataFrame([list(b)])).iloc[0, 0])


def _table(choices: pd.DataFrame | np.ndarray) -> pd.DataFrame:
    """Return choices as a table (annotators x items).

    Raises:
        UserError: they are not two-dimensional.
    """
    if isinstance(choices, pd.DataFrame):
        return choices
    if np.ndim(choices) != 2:
        raise UserError("choices must be a table or an array of annotators x items: a single annotator is one row")
    return pd.DataFrame(np.asarray(choices, dtype=object))


def kappa_matrix(choices: pd.DataFrame | np.ndarray, other: pd.DataFrame | np.ndarray | None = None) -> pd.DataFrame:
    """Return Cohen's kappa between all annotators, or between those of one table and those of another.

    Args:
        choices: table or array (annotators x items): the option chosen, or missing.
        other: a second one with the same items; by default `choices` itself.

    Returns:
        A row per annotator of `choices` and a column per annotator of `other`: kappa over the items both chose on,
        missing where undefined (see `cohen_kappa`). `spread` summarizes it.

    Raises:
        UserError: the items differ, a table has no annotators, or some choices are numbers and others words.
    """
    first = _table(choices)
    second = first if other is None else _table(other)
    named = isinstance(choices, pd.DataFrame) and isinstance(other, pd.DataFrame)
    if first.shape[1] != second.shape[1] or (named and not first.columns.equals(second.columns)):
        raise UserError("both tables of choices must have the same items as columns, in one order: reindex one")
    if not (len(first) and len(second)):
        raise UserError("a table of choices has no annotators: check the filter that made it")
    items = first.shape[1]
    tables = [first] if second is first else [first, second]
    codes = pd.factorize(alike(np.concatenate([table.to_numpy(object).ravel() for table in tables])))[0]
    codes = codes.reshape(sum(map(len, tables)), items)  # annotators x items, -1 where missing
    a = codes[: len(first)]
    b = codes[-len(second) :]
    # All numbers below are whole and at most items squared: exact in float32 up to 4,096 items, and twice as fast.
    kind = np.float32 if items <= 4096 else float
    chose_a = (a >= 0).astype(kind)
    chose_b = (b >= 0).astype(kind)
    n = chose_a @ chose_b.T  # annotators of a x annotators of b, as all that follow
    same = np.zeros_like(n)
    chance = np.zeros_like(n)
    for code in range(codes.max(initial=-1) + 1):
        of_a = (a == code).astype(kind)
        of_b = (b == code).astype(kind)
        same += of_a @ of_b.T
        chance += (of_a @ chose_b.T) * (chose_a @ of_b.T)
    # kappa = (p_o - p_e) / (1 - p_e), both parts times n squared.
    gained = n * same - chance
    possible = n * n - chance
    kappa = np.divide(gained, possible, out=np.full(n.shape, np.nan), where=possible > 0, dtype=float)
    return pd.DataFrame(kappa, first.index, second.index)


def spread(kappas: pd.DataFrame) -> pd.DataFrame:
    """Summarize a kappa matrix in one row.

    Args:
        kappas: result of `kappa_matrix`. In a square one with the same annotators in rows and columns, each pair counts
            once and nobody is paired with themselves.

    Returns:
        `pairs`, `undefined` (pairs without a kappa), `mean`, `lower quartile`, `median`, `upper quartile`.
    """
    values = kappas.to_numpy(float)
    values = values[np.triu_indices(len(values), 1)] if kappas.index.equals(kappas.columns) else values.ravel()
    known = values[~np.isnan(values)]
    low, median, high = np.quantile(known, [0.25, 0.5, 0.75]) if len(known) else [np.nan] * 3
    row = {"pairs": len(values), "undefined": len(values) - len(known), "mean": known.mean() if len(known) else np.nan}
    return pd.DataFrame([row | {"lower quartile": low, "median": median, "upper quartile": high}])


def coefficients(
    a: pd.Series, b: pd.Series, clusters: pd.DataFrame | None = None, options: Sequence | None = None
) -> pd.DataFrame:
    """Measure the agreement of two raters over the same items, by coefficients that depend differently on prevalence.

    Args:
        a: one option per item, or missing.
        b: the other rater's options, in the same order.
        clusters: one row of labels per item, in one or two columns (`persona_id`, `prompt_id`), if items share them.
        options: what there was to choose from; by default all options that anybody chose.

    Returns:
        Index coefficient: raw agreement, Cohen's kappa, Gwet's (2008) AC1, PABAK (chance agreement is one in the
        number of options), Krippendorff's nominal alpha, Fleiss' kappa; with two options also the indices of Byrt,
        Bishop and Carlin (1993): prevalence (share of both first less share of both second) and bias (share of first
        by `a` less that by `b`). Columns `estimate`, `low`, `high`, `n` (items both chose on), `failed` (other items),
        `note`. Intervals are analytic: by the delta method; Wilson's for raw agreement and PABAK, and if all agree.

    Raises:
        UserError: the raters have different numbers of items, or a choice is not among the options.
    """
    if len(a) != len(b):
        raise UserError(f"two raters' choices must be on the same items: {len(a)} and {len(b)} were given")
    codes, options = coded(pd.DataFrame({"a": list(a), "b": list(b)}, dtype=object), options)  # items x 2
    known = (codes >= 0).all(axis=1)
    k = len(options)
    # A row per item both chose on, with a 1 in its cell of the k x k table of choices: items x k², flattened.
    cells = np.eye(k * k)[codes[known, 0] * k + codes[known, 1]]
    raters = 2 * max(len(cells), 1)  # ratings in all

    def joint(m: np.ndarray) -> np.ndarray:
        return m.reshape(k, k)  # options of a x options of b

    def shares(m: np.ndarray) -> np.ndarray:
        return (joint(m).sum(0) + joint(m).sum(1)) / 2  # options, over both raters

    expected = _chance(k, shares) | {
        "Cohen's kappa": lambda m: 1 - joint(m).sum(0) @ joint(m).sum(1),
        "Krippendorff's alpha": lambda m: (1 - shares(m) @ shares(m)) * raters / (raters - 1),
    }
    found = {name: Coefficient(lambda m: np.trace(joint(m)), formula) for name, formula in expected.items()}
    indices: dict[str, Formula] = {}
    if k == 2:
        indices = {"prevalence index": lambda m: m[0] - m[3], "bias index": lambda m: m[1] - m[2]}
    frame = pd.DataFrame(index=range(len(codes))) if clusters is None else clusters
    agree = cells @ np.eye(k).ravel()  # 1 on the diagonal of the table of choices
    table = _estimates(cells, agree, found, indices, frame[known])
    return table.assign(failed=int((~known).sum()))[COLUMNS]


def among(ratings: pd.DataFrame, clusters: pd.DataFrame | None = None, options: Sequence | None = None) -> pd.DataFrame:
    """Measure the agreement of any number of raters; a rater may skip items.

    Args:
        ratings: a row per item and a column per rater: the option chosen, or missing.
        clusters: as in `coefficients`, a row per item.
        options: as in `coefficients`.

    Returns:
        As `coefficients`, without Cohen's kappa and the indices. `n` counts items with two ratings or more, `failed`
        the other items. Raw agreement is the mean over items of the share of agreeing pairs of raters.

    Raises:
        UserError: a choice is not among the options.
    """
    codes, options = coded(ratings, options)  # items x raters
    k = len(options)
    counts = np.stack([(codes == code).sum(1) for code in range(k)], axis=1).astype(float)  # items x options
    known = counts.sum(1) > 1
    counts = counts[known]
    many = counts.sum(1)[:, None]  # items x 1: raters of each item
    total = many.sum()
    pairs = (counts * (counts - 1)).sum(1, keepdims=True) / (many * (many - 1))  # items x 1: share that agrees
    # The delta method differentiates functions of the means of these 2 k + 3 columns: agreement and shares of each
    # item, then both times its number of raters, and that number.
    columns = np.hstack([pairs, counts / many, pairs * many, counts, many])

    def shares(m: np.ndarray) -> np.ndarray:
        return m[1 : k + 1]  # each item counts the same

    def weighted(m: np.ndarray) -> np.ndarray:
        return m[k + 2 : 2 * k + 2] / m[-1]  # each rating counts the same

    found = {name: Coefficient(lambda m: m[0], formula) for name, formula in _chance(k, shares).items()}
    found["Krippendorff's alpha"] = Coefficient(
        agreed=lambda m: m[k + 1] / m[-1],
        expected=lambda m: (1 - weighted(m) @ weighted(m)) * total / max(total - 1, 1),
    )
    frame = pd.DataFrame(index=range(len(codes))) if clusters is None else clusters
    table = _estimates(columns, pairs[:, 0], found, {}, frame[known])
    return table.assign(failed=int((~known).sum()))[COLUMNS]


def _chance(k: int, shares: Formula) -> dict[str, Formula]:
    """Return the disagreement expected by chance, for each coefficient that needs only the options' overall shares."""
    return {
        "raw agreement": lambda m: 1.0,
        "AC1": lambda m: 1 - shares(m) @ (1 - shares(m)) / (k - 1) if k > 1 else 0.0,
        "PABAK": lambda m: 1 - 1 / k if k else 0.0,
        "Fleiss' kappa": lambda m: 1 - shares(m) @ shares(m),
    }


def _estimates(
    x: np.ndarray,
    agree: np.ndarray,
    found: dict[str, Coefficient],
    indices: dict[str, Formula],
    clusters: pd.DataFrame,
) -> pd.DataFrame:
    """Return a row per coefficient and per index: `estimate`, `low`, `high`, `note`, `n`.

    Args:
        x: array (items x columns) whose means m are the argument of all formulas.
        agree: array (items,): share of agreeing pairs of raters.
        found: the coefficients by name.
        indices: other functions of m.
        clusters: labels of the items.
    """
    mean = x.mean(0) if len(x) else np.full(x.shape[1], np.nan)
    raw = rate(pd.Series(agree), clusters)
    rows = {}
    for name in [n for n in ORDER if n in found]:
        coefficient = found[name]
        chance = coefficient.expected(mean)
        if not (len(x) and chance > TINY):
            rows[name] = _missing(UNDEFINED if len(x) else raw["note"])
        elif name in LINEAR or np.ptp(agree) < TINY:
            # Linear in raw agreement, or all items agree equally: its Wilson interval carries over.
            low, high = np.clip([1 - (1 - raw[end]) / chance for end in ("low", "high")], -1, 1)
            rows[name] = {"estimate": coefficient(mean), "low": low, "high": high, "note": raw["note"]}
        else:
            rows[name] = _delta(coefficient, x, mean, clusters)
    rows |= {name: _delta(index, x, mean, clusters) for name, index in indices.items()}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("coefficient").assign(n=len(x))


def _missing(note: str, estimate: float = np.nan) -> dict:
    return {"estimate": estimate, "low": np.nan, "high": np.nan, "note": note}


def _delta(formula: Formula, x: np.ndarray, mean: np.ndarray, clusters: pd.DataFrame) -> dict:
    """Return a function of means with its interval by the delta method, from the clustered variance of its linear part.

    Args:
        formula: of the means.
        x: array (items x columns).
        mean: array (columns,), the means of x.
        clusters: labels of the items.
    """
    if not len(x):
        return _missing("nothing scored")
    # Derivatives by complex step: exact to rounding for any formula of sums and ratios.
    slope = np.array([formula(mean + 1e-30j * unit).imag / 1e-30 for unit in np.eye(len(mean))])  # columns
    linear = x @ slope  # items
    estimate = float(formula(mean))
    worth = effective(linear, clusters, linear.var())
    if not worth.n or linear.var() < TINY:
        return _missing(worth.note or "all scores equal", estimate)
    # On Fisher's scale, which is unbounded: near 1 a symmetric interval would be too short on the side of chance.
    half = worth.t * np.sqrt(linear.var() / worth.n) / (1 - estimate**2)
    low, high = np.tanh(np.arctanh(estimate) + np.array([-half, half]))
    return {"estimate": estimate, "low": low, "high": high, "note": worth.note}
