"""Measure agreement of raters: kappa and related coefficients with intervals, kappa matrices with missing choices.

Raters are compared on the items where both chose. Where chance agreement is total, kappa is undefined: it is missing,
and counted.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from .. import UserError
from .choices import alike, coded
from .delta import Coefficient, Formula, estimates
from .intervals import rate

COLUMNS = ["estimate", "low", "high", "n", "failed", "note"]


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
        `note`. Intervals are `intervals.rate`'s for raw agreement and PABAK, and if all agree, and by the delta method
        for the others (see `delta.with_interval`).

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
    raw = rate(pd.Series(agree), frame[known])
    table = estimates(cells, np.eye(k * k), raw, found, indices, frame[known])
    return table.assign(n=len(cells), failed=int((~known).sum()))[COLUMNS]


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
    rated = counts.sum(1) > 0
    counts = counts[rated]
    many = counts.sum(1)[:, None]  # items x 1: raters of each item, as the next two
    paired = (many > 1).astype(float)
    agree = (counts * (counts - 1)).sum(1, keepdims=True) / (many * np.maximum(many - 1, 1))  # share of equal pairs
    total = (many * paired).sum()
    columns = _per_item(paired, agree, counts / many, many)
    one, other = np.divmod(np.arange(k * k), max(k, 1))  # all pairs of options
    alike = (one == other).astype(float)[:, None]
    each = np.full_like(alike, total / max(paired.sum(), 1))
    added = _per_item(np.ones_like(alike), alike, (np.eye(k)[one] + np.eye(k)[other]) / 2, each)

    def agreed(m: np.ndarray) -> Any:
        return m[1] / m[0]

    def shares(m: np.ndarray) -> np.ndarray:
        return m[4 : k + 4]  # each item counts the same, also one that was rated once (Gwet 2014)

    def weighted(m: np.ndarray) -> np.ndarray:
        return m[k + 4 :] / m[2]  # each rating counts the same

    found = {name: Coefficient(agreed, formula) for name, formula in _chance(k, shares).items()}
    found["Krippendorff's alpha"] = Coefficient(
        agreed=lambda m: m[3] / m[2],
        expected=lambda m: (1 - weighted(m) @ weighted(m)) * total / max(total - 1, 1),
    )
    frame = (pd.DataFrame(index=range(len(codes))) if clusters is None else clusters)[rated]
    several = paired[:, 0] > 0
    raw = rate(pd.Series(agree[several, 0]), frame[several])
    table = estimates(columns[: len(columns) if several.any() else 0], added, raw, found, {}, frame)
    return table.assign(n=raw["n"], failed=len(codes) - raw["n"])[COLUMNS]


def _per_item(paired: np.ndarray, agree: np.ndarray, shares: np.ndarray, many: np.ndarray) -> np.ndarray:
    """Return the columns of items (items x (4 + 2 options)) of whose means the coefficients of many raters are made.

    Args:
        paired: items x 1: 1 with two ratings or more, else 0.
        agree: items x 1: share of pairs of raters that agree.
        shares: items x options: share of the raters that chose each.
        many: items x 1: number of raters.
    """
    return np.hstack([paired, agree * paired, many * paired, agree * many * paired, shares, shares * many * paired])


def _chance(k: int, shares: Formula) -> dict[str, Formula]:
    """Return the disagreement expected by chance, for each coefficient that needs only the options' overall shares."""
    return {
        "raw agreement": lambda m: 1.0,
        "AC1": lambda m: 1 - shares(m) @ (1 - shares(m)) / (k - 1) if k > 1 else 0.0,
        "PABAK": lambda m: 1 - 1 / k if k else 0.0,
        "Fleiss' kappa": lambda m: 1 - shares(m) @ shares(m),
    }
