"""Plan a study before it runs: the smallest difference it can detect, and how many personas it needs.

`benchmarks/coverage.py` compares the figures with simulated studies.
"""

from collections.abc import Callable
from itertools import product

import numpy as np
import pandas as pd
from scipy import stats

from .. import UserError

ALPHA = 0.05
POWER = 0.8


def minimum_detectable(
    n_personas: int | list[int],
    n_prompts: int | list[int],
    n_items: int | None = None,
    icc_persona: float | list[float] = 0.05,
    icc_prompt: float | list[float] = 0.05,
    rate: float = 0.5,
    correlation: float = 0.3,
    tests: int = 1,
    groups: bool = False,
) -> pd.DataFrame:
    """Return the smallest difference of two rates that a study detects with 80% power at the 5% level.

    Args:
        n_personas: number of personas (with `groups`: in each of the two groups); a list gives a row for each.
        n_prompts: number of prompts; a list gives a row for each.
        n_items: persona x prompt items, spread evenly over both (with `groups`: in each group); by default all pairs.
            No more personas or prompts take part than there are items.
        icc_persona: share of variance that personas account for: of the items' differences between conditions, or with
            `groups` of the scores. Effects that are the same under both conditions cancel and do not count.
        icc_prompt: share of variance that prompts account for, likewise; not used with `groups`: both answer the
            same prompts, whose effects cancel.
        rate: the rate around which the difference lies; 0.5 is the hardest case.
        correlation: between the two conditions' scores of one item; not used with `groups`.
        tests: number of tests that Holm's correction is for; the difference is one that its first step detects.
        groups: compare two groups of personas under one condition, instead of two conditions on the same items.

    Returns:
        One row per combination: `n_personas`, `n_prompts`, `n_items`, `icc_persona`, `icc_prompt`, `detectable` (the
        difference, 0 to 1; missing if no difference is detectable), `note`.

    Raises:
        UserError: an impossible share of variance, rate, correlation or number of items.
    """
    rows = []
    for personas, prompts, a, b in product(*map(np.atleast_1d, (n_personas, n_prompts, icc_persona, icc_prompt))):
        items = personas * prompts if n_items is None else n_items
        _check(personas, prompts, items, a, b)
        spread = _spread(rate, correlation, groups)
        found = _detectable(min(personas, items), min(prompts, items), items, a, b, spread, tests, groups)
        note = "no difference can be shown: take more personas or prompts" if np.isnan(found) else ""
        rows.append([personas, prompts, items, a, b, found, note])
    names = ["n_personas", "n_prompts", "n_items", "icc_persona", "icc_prompt", "detectable", "note"]
    return pd.DataFrame(rows, columns=names)


def sample_size(
    gap: float = 0.05,
    n_prompts: int | list[int] = 100,
    per_persona: int | list[int] = 1,
    icc_persona: float | list[float] = 0.05,
    icc_prompt: float | list[float] = 0.05,
    rate: float = 0.5,
    correlation: float = 0.3,
    tests: int = 1,
    groups: bool = False,
) -> pd.DataFrame:
    """Return how many personas a study needs to detect a difference of `gap` with 80% power at the 5% level.

    Args:
        gap: the difference of two rates, between 0 and 1.
        n_prompts: prompts to draw from; a list gives a row for each.
        per_persona: prompts that each persona answers; a list gives a row for each.
        icc_persona: as in `minimum_detectable`, like all that follow.
        icc_prompt: share of variance that prompts account for.
        rate: the rate around which the difference lies.
        correlation: between two conditions' scores of one item.
        tests: number of tests in the family.
        groups: compare two groups of personas, each of the size returned.

    Returns:
        One row per combination: `gap`, `n_prompts`, `per_persona`, `icc_persona`, `icc_prompt`, `n_personas`,
        `n_items`, `note`. The numbers are missing if no number of personas suffices, because so few prompts vary too
        much.

    Raises:
        UserError: an impossible gap, share of variance, rate, correlation or number of items.
    """
    if not 0 < gap < 1:
        raise UserError(f"a gap of {gap} between rates is impossible: take one between 0 and 1, such as 0.05")
    spread = _spread(rate, correlation, groups)
    rows = []
    for prompts, each, a, b in product(*map(np.atleast_1d, (n_prompts, per_persona, icc_persona, icc_prompt))):
        _check(2, prompts, 2 * each, a, b)

        def enough(personas: int, q: int = prompts, each: int = each, a: float = a, b: float = b) -> bool:
            items = personas * each
            return _detectable(personas, min(q, items), items, a, b, spread, tests, groups) <= gap

        n = _first(enough, 10_000_000)
        note = "" if n else f"{prompts} prompts are too few, however many personas: take more prompts"
        rows.append([gap, prompts, each, a, b, n, n and n * each, note])
    names = ["gap", "n_prompts", "per_persona", "icc_persona", "icc_prompt", "n_personas", "n_items", "note"]
    return pd.DataFrame(rows, columns=names).astype({"n_personas": "Int64", "n_items": "Int64"})


def _spread(rate: float, correlation: float, groups: bool) -> float:
    """Return the variance of one item's difference, or with `groups` twice the variance of a score."""
    if not 0 < rate < 1 or not -1 < correlation < 1:
        raise UserError(
            f"a rate of {rate} with a correlation of {correlation} is impossible: "
            "a rate lies between 0 and 1, a correlation between -1 and 1"
        )
    return 2 * rate * (1 - rate) * (1 if groups else 1 - correlation)


def _detectable(
    personas: int, prompts: int, items: int, a: float, b: float, spread: float, tests: int, groups: bool
) -> float:
    """Return the difference that is detected with 80% power; missing if none is.

    All variances below are in units of `spread`, the variance of one item's difference. Degrees of freedom are those of
    `clustering.variance`.

    Args:
        personas: personas that take part.
        prompts: prompts that take part.
        items: persona x prompt items.
        a: share of variance that personas account for.
        b: share of variance that prompts account for.
        spread: result of `_spread`.
        tests: number of tests in the family.
        groups: as in `minimum_detectable`.
    """
    of_persona = a / personas
    of_prompt = 0.0 if groups else b / prompts
    rest = (1 - a - b) / items
    df_persona = (personas - 1) * (2 if groups else 1)
    df_prompt = prompts - 1
    if min(df_persona, df_prompt) < 1:
        return np.nan
    error = of_persona + of_prompt + rest
    satterthwaite = (of_persona + rest) ** 2 / df_persona + (of_prompt + rest) ** 2 / df_prompt
    satterthwaite = satterthwaite + rest**2 / (df_persona * df_prompt)
    df = max(error**2 / satterthwaite, min(df_persona, df_prompt))
    # The test takes no variance below that of independent items, which makes it slightly conservative where clusters
    # do not matter: on average it takes the mean of a normal variable that is kept above this least variance.
    noise = error * np.sqrt(2 / df)
    least = 1 / items
    over = (error - least) / noise
    taken = least + noise * (over * stats.norm.cdf(over) + stats.norm.pdf(over))
    critical = stats.t.ppf(1 - ALPHA / tests / 2, df)
    power = stats.t.ppf(POWER, df)
    found = np.sqrt(spread) * (critical * np.sqrt(taken) + power * np.sqrt(error))
    return found if found < 1 else np.nan


def _first(enough: Callable[[int], bool], most: int) -> int | None:
    """Return the smallest number from 2 on that is enough, or None if none up to `most` is.

    It bisects: if a number is enough, all larger ones must be.
    """
    low, high = 1, 2
    while not enough(high):
        low, high = high, 2 * high
        if high > most:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def _check(personas: int, prompts: int, items: int, a: float, b: float) -> None:
    """Raise UserError for impossible shares of variance or an impossible number of items."""
    if a < 0 or b < 0 or a + b >= 1:
        raise UserError(f"shares of variance of {a} and {b} are impossible: take two from 0 to 1 whose sum is below 1")
    if not 1 <= items <= personas * prompts:
        most = f"{personas} personas x {prompts} prompts"
        raise UserError(f"{items} items are impossible with {most}: take 1 to {personas * prompts}")
