"""Comparisons beyond paired differences: a logistic model of condition x model, and control for length."""

import numpy as np
import pandas as pd
from scipy import stats
from scipy.special import expit, logit

from .. import UserError
from .intervals import ITEM, check, corrected, effective, rate


def logistic(
    table: pd.DataFrame, condition: str = "condition", model: str = "model", value: str = "score"
) -> pd.DataFrame:
    """Logistic model of condition x model, persona and prompt as crossed clusters.

    Args:
        table: one row per item, condition and model; as in `intervals.rates`.
        condition: column; its first value in order of appearance is the reference.
        model: column; likewise.
        value: the score.

    Returns:
        Index `term`: 'intercept', each other condition (for the reference model), each other model (under the reference
        condition), each 'condition x model' (how much more the condition does for that model). Columns `odds_ratio`
        (of the intercept: the odds), `low`, `high`, `p` that it is 1, `p_holm` (all terms but the intercept), `n` (rows
        in the cells it compares), `failed` (of them unscored), `note`. With all interactions in it the model's
        estimates are those of `statsmodels.Logit`; the covariance is two-way clustered (see `intervals.variance`). A
        term with a cell in which all answers score the same has no finite odds: it is missing, and the note says so.
    """
    check(table, [condition, model], value)
    conditions, models = table[condition].unique(), table[model].unique()
    cells = {(c, m): table[(table[condition] == c) & (table[model] == m)] for c in conditions for m in models}
    first, base, rows = conditions[0], models[0], {}
    rows["intercept"] = {(first, base): 1}
    rows |= {str(c): {(c, base): 1, (first, base): -1} for c in conditions[1:]}
    rows |= {str(m): {(first, m): 1, (first, base): -1} for m in models[1:]}
    rows |= {
        f"{c} x {m}": {(c, m): 1, (c, base): -1, (first, m): -1, (first, base): 1}
        for c in conditions[1:]
        for m in models[1:]
    }
    result = pd.DataFrame.from_dict({t: _odds(s, cells, value) for t, s in rows.items()}, orient="index")
    result.insert(4, "p_holm", corrected(result["p"].iloc[1:]).reindex(result.index))
    return result.rename_axis("term")


def _odds(signs: dict, cells: dict[tuple, pd.DataFrame], value: str) -> dict:
    """A sum of cells' log odds with these signs, as an odds ratio."""
    used = {cell: cells[cell].dropna(subset=value) for cell in signs}
    n = sum(map(len, used.values()))
    row = {"odds_ratio": np.nan, "low": np.nan, "high": np.nan, "p": np.nan, "n": n}
    row["failed"] = sum(len(cells[cell]) for cell in signs) - n
    for cell, items in used.items():
        if items.empty or items[value].mean() in (0, 1):
            what = "nothing is scored" if items.empty else f"every answer scores {items[value].mean():.0f}"
            return row | {"note": f"{what} in {cell[0]}, {cell[1]}: no finite odds"}
    parts, estimate = [], 0.0
    for cell, items in used.items():
        share = items[value].mean()
        estimate += signs[cell] * logit(share)
        push = signs[cell] * (items[value] - share) / (share * (1 - share) * len(items))
        parts.append(items[ITEM].assign(push=push))
    error, t, df, note = _error(pd.concat(parts))
    low, high = np.exp([estimate - t * error, estimate + t * error])
    p = 2 * stats.t.sf(abs(estimate) / error, df) if df else np.nan
    return row | {"odds_ratio": np.exp(estimate), "low": low, "high": high, "p": p, "note": note}


def _error(pushes: pd.DataFrame) -> tuple[float, float, float, str]:
    """Standard error of an estimate, t, degrees of freedom and note, from how much each row pushes it."""
    items = pushes.groupby(ITEM)["push"].sum().reset_index()
    spread = items["push"].var(ddof=0)
    if spread < 1e-24:
        return np.nan, np.nan, 0.0, "the same scores in all that is compared: no interval"
    worth = effective(items["push"], items[ITEM], spread)
    error = np.sqrt(spread / worth.n) * len(items) if worth.n else np.nan
    return error, worth.t, worth.df, worth.note


def length_controlled(
    table: pd.DataFrame, by: str, value: str = "score", length: str = "length_difference"
) -> pd.DataFrame:
    """Rates as they would be between answers of equal length.

    Args:
        table: one row per comparison: `persona_id`, `prompt_id`, `by`, `value` (1 won, 0 lost, 0.5 tied, or missing)
            and `length`: the answer's length less its rival's, in any unit, missing only where `value` is.
        by: column of the groups, such as the writer.
        value: the score.
        length: the difference of lengths.

    Returns:
        Index `by`; `n`, `failed`, `rate`, `low`, `high` as in `intervals.rates`; `controlled`, `controlled_low`,
        `controlled_high`: the rate at no difference; `per_sd`: log odds that one standard deviation of length adds;
        `note`. A logistic model in tanh(difference / standard deviation), after length-controlled AlpacaEval (Dubois et
        al. 2024), group by group.
    """
    check(table, by, value)
    lacking = table[length].isna() & table[value].notna()
    if lacking.any():
        raise UserError(f"{lacking.sum()} scored comparisons lack their {length}: fill it in or set {value} to missing")
    rows = {group: _controlled(items, value, length) for group, items in table.groupby(by, sort=False, dropna=False)}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(by)


def _controlled(items: pd.DataFrame, value: str, length: str) -> dict:
    import statsmodels.api as sm

    raw, scored = rate(items[value], items[ITEM]), items.dropna(subset=value)
    gap, won = scored[length].to_numpy(float), scored[value].to_numpy(float)
    row = {k: raw[k] for k in ("n", "failed", "rate", "low", "high")}
    row |= dict.fromkeys(["controlled", "controlled_low", "controlled_high", "per_sd"], np.nan)
    if trouble := _trouble(gap, won):
        return row | {"note": trouble}
    x = sm.add_constant(np.tanh(gap / gap.std()))
    fit = sm.GLM(won, x, family=sm.families.Binomial()).fit()
    weights = fit.mu * (1 - fit.mu)
    pushes = (x * (won - fit.mu)[:, None]) @ np.linalg.inv(x.T @ (x * weights[:, None]))
    error, t, _, note = _error(scored[ITEM].assign(push=pushes[:, 0]))
    at = expit([fit.params[0], fit.params[0] - t * error, fit.params[0] + t * error])
    row |= dict(zip(["controlled", "controlled_low", "controlled_high"], at, strict=True))
    return row | {"per_sd": fit.params[1] * np.tanh(1), "note": note}


def _trouble(gap: np.ndarray, won: np.ndarray) -> str:
    """Why no rate at equal length can be had, if none can."""
    if len(won) == 0:
        return "nothing scored"
    if np.ptp(won) == 0:
        return "all scores equal: nothing for length to explain"
    if np.ptp(gap) == 0:
        return "all answers differ by the same length: no control"
    # Where every win is longer than every loss, or shorter, the model's estimates are infinite.
    halves = [gap[won > 0], gap[won < 1]]
    if any(a.min() >= b.max() for a, b in (halves, halves[::-1])):
        return "length alone decides: no finite estimate"
    return ""
