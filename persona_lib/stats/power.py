"""Before a run: the smallest difference it can show, and how many personas it needs.
`benchmarks/coverage.py` compares the figures with simulated studies.
"""

from collections.abc import Callable
from itertools import product

import numpy as np
import pandas as pd
from scipy import stats

from .. import UserError

LEVEL, POWER = 0.05, 0.8


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
    """The smallest difference of two rates that a study finds in 80 of 100 cases at the 5% level.

    Args:
        n_personas: personas (with `groups`, in each of the two groups); a list gives a row for each.
        n_prompts: prompts, likewise.
        n_items: persona x prompt items spread evenly over both (with `groups`, in each), of whom no more take part than
            there are items; by default all pairs.
        icc_persona: share of the variance that personas account for: of the items' differences between conditions, or
            with `groups` of the scores. Effects that are the same under both conditions cancel and don't count.
        icc_prompt: the same of prompts; with `groups` both answer the same prompts, whose own effects cancel.
        rate: the rate about which the difference lies; 0.5 is the hardest case.
        correlation: between the two conditions' scores of one item; not used with `groups`.
        tests: size of the family that Holm's correction is for; the difference is one that its first step finds.
        groups: two groups of personas under one condition in place of two conditions on the same items.

    Returns:
        One row per combination: `n_personas`, `n_prompts`, `n_items`, `icc_persona`, `icc_prompt`, `detectable` (the
        difference, 0 to 1; missing where there is none), `note`.
    """
    rows = []
    for personas, prompts, a, b in product(*map(np.atleast_1d, (n_personas, n_prompts, icc_persona, icc_prompt))):
        items = personas * prompts if n_items is None else n_items
        _check(personas, prompts, items, a, b)
        spread, most = _spread(rate, correlation, groups), (min(personas, items), min(prompts, items))
        found = _detectable(*most, items, a, b, spread, tests, groups)
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
    """How many personas a study needs to find a difference of `gap` in 80 of 100 cases at the 5% level.

    Args:
        gap: the difference of two rates.
        n_prompts: prompts to draw from; a list gives a row for each.
        per_persona: prompts that each persona answers, likewise.
        icc_persona: this and the others are as in `minimum_detectable`.
        icc_prompt: share of the variance that prompts account for.
        rate: the rate about which the difference lies.
        correlation: between two conditions' scores of one item.
        tests: size of the family of tests.
        groups: two groups of personas, each of the size returned.

    Returns:
        One row per combination: `gap`, `n_prompts`, `per_persona`, `icc_persona`, `icc_prompt`, `n_personas`,
        `n_items`, `note`. Missing where no number of personas is enough, since so few prompts vary too much.
    """
    if not 0 < gap < 1:
        raise UserError(f"a gap of {gap} between rates can't be: take one between 0 and 1, such as 0.05")
    rows, spread = [], _spread(rate, correlation, groups)
    for prompts, each, a, b in product(*map(np.atleast_1d, (n_prompts, per_persona, icc_persona, icc_prompt))):
        _check(2, prompts, 2 * each, a, b)

        def enough(personas: int, q: int = prompts, each: int = each, a: float = a, b: float = b) -> bool:
            return _detectable(personas, min(q, personas * each), personas * each, a, b, spread, tests, groups) <= gap

        n = _first(enough, 10_000_000)
        note = "" if n else f"{prompts} prompts are too few, however many personas: take more prompts"
        rows.append([gap, prompts, each, a, b, n, n and n * each, note])
    names = ["gap", "n_prompts", "per_persona", "icc_persona", "icc_prompt", "n_personas", "n_items", "note"]
    return pd.DataFrame(rows, columns=names).astype({"n_personas": "Int64", "n_items": "Int64"})


def _spread(rate: float, correlation: float, groups: bool) -> float:
    """Variance of one item's difference, or with `groups` of a score of either group, twice."""
    if not 0 < rate < 1 or not -1 < correlation < 1:
        raise UserError(f"a rate of {rate} and a correlation of {correlation} can't be: rates lie between 0 and 1")
    return 2 * rate * (1 - rate) * (1 if groups else 1 - correlation)


def _detectable(
    personas: int, prompts: int, items: int, a: float, b: float, spread: float, tests: int, groups: bool
) -> float:
    """The difference that is found in 80 of 100 cases; degrees of freedom as in `intervals.variance`."""
    of_persona, of_prompt, rest = a / personas, (0.0 if groups else b / prompts), (1 - a - b) / items
    free_persona, free_prompt = (personas - 1) * (2 if groups else 1), prompts - 1
    if min(free_persona, free_prompt) < 1:
        return np.nan
    error = of_persona + of_prompt + rest
    doubt = (of_persona + rest) ** 2 / free_persona + (of_prompt + rest) ** 2 / free_prompt
    df = max(error**2 / (doubt + rest**2 / (free_persona * free_prompt)), min(free_persona, free_prompt))
    # The test takes no variance below that of independent items, so that it is a little strict where clusters don't
    # matter: what it takes on average is that of a normal variable kept above the least.
    noise, least = error * np.sqrt(2 / df), 1 / items
    over = (error - least) / noise
    taken = least + noise * (over * stats.norm.cdf(over) + stats.norm.pdf(over))
    critical, power = stats.t.ppf(1 - LEVEL / tests / 2, df), stats.t.ppf(POWER, df)
    found = np.sqrt(spread) * (critical * np.sqrt(taken) + power * np.sqrt(error))
    return found if found < 1 else np.nan


def _first(enough: Callable[[int], bool], most: int) -> int | None:
    """The smallest number from 2 on that is enough, if all larger ones are; None if there is none up to `most`."""
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
    if a < 0 or b < 0 or a + b >= 1:
        raise UserError(f"shares of variance of {a} and {b} can't be: take two from 0 to 1 whose sum is below 1")
    if not 1 <= items <= personas * prompts:
        raise UserError(f"{items} items can't be had from {personas} personas x {prompts} prompts: take fewer")
