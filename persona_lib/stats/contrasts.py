"""Compare conditions and models by a logistic model, and pairs of answers by win rates at equal length."""

import warnings

import numpy as np
import pandas as pd
from scipy import stats
from scipy.special import expit, logit

from .. import UserError
from .clustering import effective
from .intervals import ITEM, check, corrected, rate

Cell = tuple  # a condition and a model
# Least share of answers longer than their rival, and of shorter ones, for a rate at equal length. With fewer the rate
# is an extrapolation: in simulations it then depends on the assumed curve, and its interval on nothing that was seen.
LEAST_SIDE = 0.02


def logistic(
    table: pd.DataFrame, condition: str = "condition", model: str = "model", value: str = "score"
) -> pd.DataFrame:
    """Fit a logistic model of condition x model, with persona and prompt as crossed clusters.

    Args:
        table: one row per item, condition and model; as in `intervals.rates`.
        condition: column of the conditions; the first value in order of appearance is the reference.
        model: column of the models; likewise.
        value: the score.

    Returns:
        Index `term`: 'intercept', each other condition (for the reference model), each other model (under the reference
        condition), each 'condition x model' (how much more the condition does for that model). Columns `odds_ratio`
        (for the intercept: the odds), `low`, `high`, `p` (of a ratio of 1), `p_holm` (corrected over all terms but the
        intercept), `n` (scored rows in the cells that the term compares), `failed` (unscored rows there), `note`. The
        model has all interactions, so its estimates equal those of `statsmodels.Logit`; the covariance is two-way
        clustered (see `clustering.variance`). A term has no finite odds if all answers in one of its cells score the
        same: it is missing, and the note says so.

    Raises:
        UserError: as `intervals.rates`.
    """
    check(table, [condition, model], value)
    if table.empty:
        columns = ["odds_ratio", "low", "high", "p", "p_holm", "n", "failed", "note"]
        return pd.DataFrame(columns=columns, index=pd.Index([], name="term"))
    conditions = table[condition].unique()
    models = table[model].unique()
    cells = {(c, m): table[(table[condition] == c) & (table[model] == m)] for c in conditions for m in models}
    first = conditions[0]
    base = models[0]
    # The signs with which each term sums up the log odds of cells.
    terms: dict[str, dict[Cell, int]] = {"intercept": {(first, base): 1}}
    terms |= {str(c): {(c, base): 1, (first, base): -1} for c in conditions[1:]}
    terms |= {str(m): {(first, m): 1, (first, base): -1} for m in models[1:]}
    for c in conditions[1:]:
        for m in models[1:]:
            terms[f"{c} x {m}"] = {(c, m): 1, (c, base): -1, (first, m): -1, (first, base): 1}
    rows = {term: _odds(signs, cells, value) for term, signs in terms.items()}
    result = pd.DataFrame.from_dict(rows, orient="index")
    result.insert(4, "p_holm", corrected(result["p"].iloc[1:]).reindex(result.index))
    return result.rename_axis("term")


def _odds(signs: dict[Cell, int], cells: dict[Cell, pd.DataFrame], value: str) -> dict:
    """Return a signed sum of the cells' log odds as an odds ratio, with its interval and test."""
    used = {cell: cells[cell].dropna(subset=value) for cell in signs}
    n = sum(map(len, used.values()))
    row = {"odds_ratio": np.nan, "low": np.nan, "high": np.nan, "p": np.nan, "n": n}
    row["failed"] = sum(len(cells[cell]) for cell in signs) - n
    for cell, items in used.items():
        if items.empty or items[value].mean() in (0, 1):
            what = "nothing is scored" if items.empty else f"every answer scores {items[value].mean():.0f}"
            return row | {"note": f"{what} in {cell[0]}, {cell[1]}: no finite odds"}
    parts = []
    estimate = 0.0
    for cell, items in used.items():
        share = items[value].mean()
        estimate += signs[cell] * logit(share)
        influence = signs[cell] * (items[value] - share) / (share * (1 - share) * len(items))
        parts.append(items[ITEM].assign(influence=influence))
    error, t, df, note = _error(pd.concat(parts))
    low, high = np.exp([estimate - t * error, estimate + t * error])
    p = 2 * stats.t.sf(abs(estimate) / error, df) if df else np.nan
    return row | {"odds_ratio": np.exp(estimate), "low": low, "high": high, "p": p, "note": note}


def _error(rows: pd.DataFrame) -> tuple[float, float, float, str]:
    """Return standard error, critical t, degrees of freedom and note of an estimate.

    Args:
        rows: `persona_id`, `prompt_id`, and `influence`: how much each scored row moves the estimate.
    """
    items = rows.groupby(ITEM)["influence"].sum().reset_index()
    spread = items["influence"].var(ddof=0)
    if spread < 1e-24:
        return np.nan, np.nan, 0.0, "the same scores in all that is compared: no interval"
    worth = effective(items["influence"], items[ITEM], spread)
    error = np.sqrt(spread / worth.n) * len(items) if worth.n else np.nan
    return error, worth.t, worth.df, worth.note


def length_controlled(
    table: pd.DataFrame, by: str, value: str = "score", length: str = "length_difference"
) -> pd.DataFrame:
    """Estimate win rates between answers of equal length.

    Args:
        table: one row per comparison: `persona_id`, `prompt_id`, `by`, `value` (1 won, 0 lost, 0.5 tied, or missing)
            and `length`: the answer's length less its rival's, in any unit, missing only where `value` is.
        by: column of the groups, such as the writer.
        value: the score.
        length: the difference of lengths.

    Returns:
        Index `by`; `n`, `failed`, `rate`, `low`, `high` as in `intervals.rates`; `controlled`, `controlled_low`,
        `controlled_high`: the rate at a difference of 0; `per_sd`: log odds that one standard deviation of length adds;
        `note`. A logistic model in tanh(difference / standard deviation), group by group, after length-controlled
        AlpacaEval (Dubois et al. 2024). There is no rate at equal length where fewer than LEAST_SIDE of a group's
        answers are longer than their rivals, or shorter: equal length then lies outside the data.

    Raises:
        UserError: as `intervals.rates`, or a scored comparison lacks its length.
    """
    check(table, by, value)
    lacking = table[length].isna() & table[value].notna()
    if lacking.any():
        raise UserError(f"{lacking.sum()} scored comparisons lack their {length}: fill it in or set {value} to missing")
    groups = table.groupby(by, sort=False, dropna=False)
    rows = {group: _controlled(items, value, length) for group, items in groups}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(by)


def at_equal_length(
    table: pd.DataFrame, by: str, value: str = "score", length: str = "length_difference"
) -> pd.DataFrame:
    """Return what each comparison contributes to its group's rate at equal length.

    Args:
        table, by, value, length: as in `length_controlled`.

    Returns:
        The rows of `table` as `persona_id`, `prompt_id`, `by` and `score`: the group's rate `controlled` plus n times
        the comparison's influence on it, which may lie outside 0 to 1. The mean in a group is the rate; means over
        resampled comparisons are those of resampled runs, to first order. Missing where `value` or the rate is.
    """
    scores = pd.Series(np.nan, table.index)
    for _, items in table.groupby(by, sort=False, dropna=False):
        scored = items.dropna(subset=value)
        gap = scored[length].to_numpy(float)
        won = scored[value].to_numpy(float)
        if not _obstacle(gap, won):
            (constant, _), influence = _fit(gap, won)
            share = expit(constant)
            scores[scored.index] = share + len(won) * share * (1 - share) * influence
    return table[[*ITEM, by]].assign(score=scores)


def _controlled(items: pd.DataFrame, value: str, length: str) -> dict:
    """Return one row of `length_controlled`."""
    raw = rate(items[value], items[ITEM])
    scored = items.dropna(subset=value)
    gap = scored[length].to_numpy(float)
    won = scored[value].to_numpy(float)
    row = {k: raw[k] for k in ("n", "failed", "rate", "low", "high")}
    row |= dict.fromkeys(["controlled", "controlled_low", "controlled_high", "per_sd"], np.nan)
    if obstacle := _obstacle(gap, won):
        return row | {"note": obstacle}
    (constant, slope), influence = _fit(gap, won)
    error, t, _, note = _error(scored[ITEM].assign(influence=influence))
    ends = expit([constant, constant - t * error, constant + t * error])
    row |= dict(zip(["controlled", "controlled_low", "controlled_high"], ends, strict=True))
    notes = "; ".join(dict.fromkeys(text for text in (raw["note"], note) if text))
    return row | {"per_sd": slope * np.tanh(1), "note": notes}


def _fit(gap: np.ndarray, won: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the constant and the slope of the logistic model, and each comparison's influence on the constant.

    Args:
        gap: array (n,) of differences of length.
        won: array (n,) of scores.
    """
    import statsmodels.api as sm  # takes about a second, and few commands need it

    x = sm.add_constant(np.tanh(gap / gap.std()))  # comparisons x (constant, length)
    with warnings.catch_warnings():
        # Shares such as .4 and .6 that lie on a curve are no separation, which `_obstacle` has looked for.
        warnings.simplefilter("ignore", sm.tools.sm_exceptions.PerfectSeparationWarning)
        fit = sm.GLM(won, x, family=sm.families.Binomial()).fit()
    weights = fit.mu * (1 - fit.mu)
    residuals = (won - fit.mu)[:, None]
    influence = (x * residuals) @ np.linalg.inv(x.T @ (x * weights[:, None]))  # comparisons x coefficients
    return fit.params, influence[:, 0]


def _obstacle(gap: np.ndarray, won: np.ndarray) -> str:
    """Return why the rate at equal length is not estimable, or an empty text."""
    if len(won) == 0:
        return "nothing scored"
    if np.ptp(won) == 0:
        return "all scores equal: nothing for length to explain"
    if np.ptp(gap) == 0:
        return "all answers differ by the same length: no control"
    for side, name in ((gap <= 0, "longer"), (gap >= 0, "shorter")):
        if side.mean() < LEAST_SIDE:
            return f"over {1 - LEAST_SIDE:.0%} of answers are {name}: equal length is outside the data"
    # Where every win is longer than every loss, or shorter, the model's estimates are infinite.
    wins = gap[won > 0]
    losses = gap[won < 1]
    if wins.min() >= losses.max() or losses.min() >= wins.max():
        return "length alone decides: no finite estimate"
    return ""
