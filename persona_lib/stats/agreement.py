"""Agreement: kappa and its kin with intervals, kappa matrices with missing choices. Tables in, tables out.

Annotators are compared on items where they chose between the same answers. Where chance agreement is total, kappa is
undefined: it is missing, and counted.
"""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from .. import UserError
from .intervals import effective, rate

TINY = 1e-12
UNDEFINED = "undefined: one option leaves nothing to agree about"
LINEAR = ("raw agreement", "PABAK")  # their expected disagreement is a constant
ORDER = (*LINEAR[:1], "Cohen's kappa", "AC1", "PABAK", "Krippendorff's alpha", "Fleiss' kappa")
COLUMNS = ["estimate", "low", "high", "n", "failed", "note"]


def cohen_kappa(a: Sequence, b: Sequence) -> float:
    """Cohen's kappa of two raters' choices over the items both chose on; missing where it is undefined.

    It is undefined without a shared item, and where both always choose one and the same option.
    """
    return float(kappa_matrix(pd.DataFrame([list(a)]), pd.DataFrame([list(b)])).iloc[0, 0])


def kappa_matrix(choices: pd.DataFrame | np.ndarray, other: pd.DataFrame | np.ndarray | None = None) -> pd.DataFrame:
    """Cohen's kappa between all annotators, or between those of one table and those of another.

    Args:
        choices: table or array (annotators, items): the option chosen, or missing.
        other: a second one with the same items; by default the first one.

    Returns:
        A row per annotator of `choices`, a column per annotator of `other`: kappa over the items both chose on, missing
        where undefined (see `cohen_kappa`). `spread` counts and sums it up.
    """
    choices = pd.DataFrame(choices)
    other = choices if other is None else pd.DataFrame(other)
    if not choices.columns.equals(other.columns):
        raise UserError("both tables of choices must have the same items as columns, in one order: reindex one")
    if not (len(choices) and len(other)):
        raise UserError("a table of choices has no annotators: check the filter that made it")
    tables = [choices] if other is choices else [choices, other]
    codes = pd.factorize(np.concatenate([table.to_numpy(object).ravel() for table in tables]))[0]
    codes = codes.reshape(sum(map(len, tables)), choices.shape[1])
    a, b = codes[: len(choices)], codes[-len(other) :]
    # All numbers below are whole and at most items squared: exact in float32 up to 4,096 items, and twice as fast.
    kind = np.float32 if choices.shape[1] <= 4096 else float
    chose_a, chose_b = (a >= 0).astype(kind), (b >= 0).astype(kind)
    n = chose_a @ chose_b.T
    same, chance = np.zeros_like(n), np.zeros_like(n)
    for code in range(codes.max(initial=-1) + 1):
        of_a, of_b = (a == code).astype(kind), (b == code).astype(kind)
        same += of_a @ of_b.T
        chance += (of_a @ chose_b.T) * (chose_a @ of_b.T)
    gained, possible = n * same - chance, n * n - chance
    kappa = np.divide(gained, possible, out=np.full(n.shape, np.nan), where=possible > 0, dtype=float)
    return pd.DataFrame(kappa, choices.index, other.index)


def spread(kappas: pd.DataFrame) -> pd.DataFrame:
    """A kappa matrix in one row: `pairs`, how many are `undefined`, their `mean` and quartiles.

    Args:
        kappas: as from `kappa_matrix`; a square one with the same annotators both ways counts each pair once, and
            nobody against themselves.
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
    """Agreement of two raters over the same items: raw, Cohen's kappa, and what is less swayed by prevalence.

    Args:
        a: one option per item, or missing.
        b: the other rater's, in the same order.
        clusters: as many rows of labels in one or two columns (`persona_id`, `prompt_id`) where items share them.
        options: what there was to choose from; by default what was chosen by anybody.

    Returns:
        Index coefficient: raw agreement, Cohen's kappa, Gwet's (2008) AC1, PABAK (chance agreement taken as one in the
        number of options), Krippendorff's nominal alpha, Fleiss' kappa; with two options also the indices of Byrt,
        Bishop and Carlin (1993): prevalence (share of both first less share of both second) and bias (share of first
        by `a` less that by `b`). Columns `estimate`, `low`, `high`, `n` (items both chose on), `failed` (items not),
        `note`. Intervals are analytic (delta method; Wilson's for raw and PABAK, and where all agree).
    """
    if len(a) != len(b):
        raise UserError(f"two raters' choices must be on the same items: {len(a)} and {len(b)} were given")
    codes, options = _codes(pd.DataFrame({"a": list(a), "b": list(b)}, dtype=object), options)
    known = (codes >= 0).all(axis=1)
    k = len(options)
    cells = np.eye(k * k)[codes[known, 0] * k + codes[known, 1]]

    def shared(m: np.ndarray) -> np.ndarray:
        joint = m.reshape(k, k)
        return (joint.sum(0) + joint.sum(1)) / 2

    raters = 2 * max(len(cells), 1)
    expected = _chance(k, shared) | {
        "Cohen's kappa": lambda m: 1 - m.reshape(k, k).sum(0) @ m.reshape(k, k).sum(1),
        "Krippendorff's alpha": lambda m: (1 - shared(m) @ shared(m)) * raters / (raters - 1),
    }
    agreed = {name: lambda m: np.trace(m.reshape(k, k)) for name in expected}
    indices = {"prevalence index": lambda m: m[0] - m[3], "bias index": lambda m: m[1] - m[2]} if k == 2 else {}
    frame = pd.DataFrame(index=range(len(codes))) if clusters is None else clusters
    table = _estimates(cells, cells @ np.eye(k).ravel(), agreed, expected, indices, frame[known])
    return table.assign(failed=int((~known).sum()))[COLUMNS]


def among(ratings: pd.DataFrame, clusters: pd.DataFrame | None = None, options: Sequence | None = None) -> pd.DataFrame:
    """Agreement among any number of raters, not all of whom need rate each item.

    Args:
        ratings: a row per item, a column per rater: the option chosen, or missing.
        clusters: as in `coefficients`, a row per item.
        options: as in `coefficients`.

    Returns:
        As `coefficients` has it, without Cohen's kappa and the indices. `n` counts items with two ratings or more,
        `failed` the others. Raw agreement is the mean over items of the share of agreeing pairs of raters.
    """
    codes, options = _codes(ratings, options)
    counts = np.stack([(codes == code).sum(1) for code in range(len(options))], axis=1).astype(float)
    many = counts.sum(1)
    known = many > 1
    counts, many, k = counts[known], many[known, None], len(options)
    pairs = (counts * (counts - 1)).sum(1, keepdims=True) / (many * (many - 1))
    # The delta method differentiates functions of these columns' means: agreement, shares, and both times raters.
    columns = np.hstack([pairs, counts / many, pairs * many, counts, many])
    total = many.sum()

    def weighted(m: np.ndarray) -> np.ndarray:
        return m[k + 2 : 2 * k + 2] / m[-1]

    expected = _chance(k, lambda m: m[1 : k + 1]) | {
        "Krippendorff's alpha": lambda m: (1 - weighted(m) @ weighted(m)) * total / max(total - 1, 1)
    }
    agreed = dict.fromkeys(expected, lambda m: m[0]) | {"Krippendorff's alpha": lambda m: m[k + 1] / m[-1]}
    frame = pd.DataFrame(index=range(len(codes))) if clusters is None else clusters
    table = _estimates(columns, pairs[:, 0], agreed, expected, {}, frame[known])
    return table.assign(failed=int((~known).sum()))[COLUMNS]


def _codes(choices: pd.DataFrame, options: Sequence | None) -> tuple[np.ndarray, list]:
    """Choices as numbers, -1 where missing, and the options in order."""
    seen = pd.unique(choices.to_numpy(object).ravel())
    seen = sorted((option for option in seen if not pd.isna(option)), key=str)
    options = seen if options is None else list(options)
    if unknown := [str(option) for option in seen if option not in options]:
        raise UserError(f"{', '.join(unknown)} was chosen but is not among the options {', '.join(map(str, options))}")
    return pd.Index(options, dtype=object).get_indexer(choices.to_numpy(object).ravel()).reshape(choices.shape), options


def _chance(k: int, shares: Callable) -> dict[str, Callable]:
    """Disagreement expected by chance in each coefficient, from a function that gives the options' overall shares."""
    return {
        "raw agreement": lambda m: 1.0,
        "AC1": lambda m: 1 - shares(m) @ (1 - shares(m)) / (k - 1) if k > 1 else 0.0,
        "PABAK": lambda m: 1 - 1 / k if k else 0.0,
        "Fleiss' kappa": lambda m: 1 - shares(m) @ shares(m),
    }


def _estimates(
    x: np.ndarray, agree: np.ndarray, agreed: dict, expected: dict, indices: dict, clusters: pd.DataFrame
) -> pd.DataFrame:
    """Each coefficient 1 - observed / expected disagreement, and each index, with its interval.

    Args:
        x: a row per item, whose means m are what all functions take.
        agree: share of agreeing pairs of raters in each item.
        agreed: by coefficient, agreement from m.
        expected: by coefficient, disagreement expected by chance from m.
        indices: other functions of m.
        clusters: labels of the items.
    """
    mean = x.mean(0) if len(x) else np.full(x.shape[1], np.nan)
    raw, rows = rate(pd.Series(agree), clusters), {}
    for name in [n for n in ORDER if n in expected]:
        chance = expected[name](mean)
        if not (len(x) and chance > TINY):
            rows[name] = {
                "estimate": np.nan,
                "low": np.nan,
                "high": np.nan,
                "note": raw["note"] if not len(x) else UNDEFINED,
            }
            continue
        estimate = 1 - (1 - agreed[name](mean)) / chance
        if name in LINEAR or np.ptp(agree) < TINY:
            low, high = np.clip([1 - (1 - raw[end]) / chance for end in ("low", "high")], -1, 1)
            rows[name] = {"estimate": estimate, "low": low, "high": high, "note": raw["note"]}
        else:
            rows[name] = _delta(lambda m, n=name: 1 - (1 - agreed[n](m)) / expected[n](m), x, mean, clusters)
    rows |= {name: _delta(index, x, mean, clusters) for name, index in indices.items()}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("coefficient").assign(n=len(x))


def _delta(function: Callable, x: np.ndarray, mean: np.ndarray, clusters: pd.DataFrame) -> dict:
    """A function of means with its interval, from the clustered variance of its linear part."""
    if not len(x):
        return {"estimate": np.nan, "low": np.nan, "high": np.nan, "note": "nothing scored"}
    # Derivatives by complex step: exact to rounding for any formula of sums and ratios.
    slope = np.array([function(mean + 1e-30j * unit).imag / 1e-30 for unit in np.eye(len(mean))])
    linear, estimate = x @ slope, float(function(mean))
    worth = effective(linear, clusters, linear.var())
    if not worth.n or linear.var() < TINY:
        return {"estimate": estimate, "low": np.nan, "high": np.nan, "note": worth.note or "all scores equal"}
    # On Fisher's scale, which has no ends: near 1 a symmetric interval would be too short on the side of chance.
    half = worth.t * np.sqrt(linear.var() / worth.n) / (1 - estimate**2)
    low, high = np.tanh(np.arctanh(estimate) + np.array([-half, half]))
    return {"estimate": estimate, "low": low, "high": high, "note": worth.note}
