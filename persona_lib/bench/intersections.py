"""Scores of groups of personas and of their intersections: shrunk, and corrected for the number of groups.

`groups` says who is in which group.

Tables in, tables out: nothing here asks a model or reads a file.
"""

import numpy as np
import pandas as pd
from scipy import stats
from scipy.special import betainc

from .. import UserError
from ..stats import wording
from ..stats.clustering import LEVEL, cluster_codes, worth_of
from ..stats.components import components, covariance_of_gaps
from ..stats.intervals import ITEM, check, corrected, rate

LEAST = 3  # personas; fewer do not tell how much the personas of a group differ
NOBODY = "nobody in this group"
LOWER = "lower than everybody else after correction"
NOT_LOWER = "not shown to be lower than everybody else after correction"


def scores(table: pd.DataFrame, members: pd.DataFrame, value: str = "score") -> pd.DataFrame:
    """Compute each group's rate, shrunk towards the overall rate, and its difference from everybody else.

    The uncertainty of a group's distance from the overall rate comes from the variance components of the whole table
    (`stats.components`): a few equal answers are not known exactly. In groups of three personas or more it is not below
    that of the group's own answers: people may differ more within one group than within others, and depend on the
    prompt in a way of their own. Where its own is the larger one, Student's t has the group's degrees of freedom.

    The distances are taken as normal. Their standard deviation is averaged over all values that the data allow (flat
    prior from 0 to 0.5): intervals keep a width even if groups may not differ at all. Groups that overlap tell less of
    it than as many groups that do not, and count for less. `benchmarks/coverage.py` prints what the intervals cover.

    Args:
        table: one row per item, as in `stats.rates`.
        members: as returned by `groups.members` or `groups.crossings`.
        value: the score.

    Returns:
        Index `group`; `personas` (with an item), `n`, `failed`, `rate`, `low`, `high` as in `stats.rates`; `shrunk`,
        `shrunk_low`, `shrunk_high`: the estimate of a normal hierarchical model; `difference` from all outside the
        group; `difference_low`, `difference_high`: an interval that holds for all groups at once (Bonferroni), so also
        for the group picked as the worst; `p` of no difference, `p_holm`; `error`: standard error of the group's rate
        less the overall rate; `note`.

    Raises:
        UserError: the table lacks a column, or has a persona that `members` lacks.
    """
    check(table, [], value)
    if unknown := set(table["persona_id"]) - set(members.index):
        raise UserError(
            f"{len(unknown)} personas of the scores are in no row of members, such as {min(map(str, unknown))}"
        )
    inside = members.loc[table["persona_id"]].to_numpy(bool)  # items x groups
    rows = {}
    for place, group in enumerate(members):
        mine = table[inside[:, place]]
        row = rate(mine[value], mine[ITEM])
        rows[group] = row | {"personas": mine["persona_id"].nunique(), "note": row["note"] if len(mine) else NOBODY}
    result = pd.DataFrame.from_dict(rows, orient="index").rename_axis("group")
    scored = table.dropna(subset=value)
    errors, df, independent = _errors(scored, members, value)
    result = result.join(_tests(result, errors, df, scored, value))
    overall = rate(scored[value], scored[ITEM])
    result[["shrunk", "shrunk_low", "shrunk_high"]] = _shrunk(result, overall, independent)
    result["p_holm"] = corrected(result["p"])
    first = ["personas", "n", "failed", "rate", "low", "high", "shrunk", "shrunk_low", "shrunk_high"]
    return result[[*first, "difference", "difference_low", "difference_high", "p", "p_holm", "error", "note"]]


def _errors(scored: pd.DataFrame, members: pd.DataFrame, value: str) -> tuple[pd.Series, pd.Series, float]:
    """Return the standard error of each group's rate less the overall rate, its degrees of freedom, and a third number.

    Args:
        scored: the items that have a score.
        members, value: as in `scores`.

    Returns:
        One error per group, missing if fewer than two personas are in it or outside; the degrees of freedom; how many
        independent groups these are. Groups count by the correlations r of their distances from the overall rate: all
        groups squared over the sum of r squared.
    """
    errors = pd.Series(np.nan, members.columns)
    df = pd.Series(scored["persona_id"].nunique() - 2.0, members.columns)
    persona, names = pd.factorize(scored["persona_id"])
    prompt = pd.factorize(scored["prompt_id"])[0]
    inside = members.loc[names].to_numpy(bool)  # personas with a score x groups
    able = (inside.sum(0) > 1) & ((~inside).sum(0) > 1)
    values = scored[value].to_numpy(float)
    if not able.any() or np.ptp(values) < 1e-9:  # equal scores may differ by rounding
        return errors, df, np.nan
    parts = components(values, persona, prompt)
    if parts is None:
        return errors, df, np.nan
    inside = inside[:, able]
    pooled = covariance_of_gaps(parts, inside, persona, prompt)
    variances = pooled.diagonal().clip(0)
    clusters = cluster_codes(scored[ITEM])
    fewest = np.minimum(inside.sum(0), (~inside).sum(0))  # personas, in the group or outside
    # 0 where prompts that all share decide alone.
    enough = (fewest >= LEAST) | (variances < 1e-12)
    columns = inside[persona].T  # groups x items
    own = np.array(
        [_own(values, column, clusters) if known else 0.0 for column, known in zip(columns, enough, strict=True)]
    )
    own *= fewest / (fewest - 1)  # residuals of few personas vary less than these do
    errors[able] = np.sqrt(np.maximum(variances, own))
    df[able] = np.where(own > variances, fewest - 1, df[able]).clip(max=df[able])
    of_pooled = np.sqrt(np.maximum(variances, 1e-12))
    correlations = pooled / np.outer(of_pooled, of_pooled)
    np.fill_diagonal(correlations, 1.0)
    return errors, df, able.sum() ** 2 / (correlations**2).sum()


def _own(values: np.ndarray, inside: np.ndarray, clusters: list[np.ndarray]) -> float:
    """Return the variance of a group's mean less the overall mean from the residuals of the group and of the others.

    Args:
        values: array (n,) of scores.
        inside: array (n,) of whether an item is in the group.
        clusters: as returned by `clustering.cluster_codes`.
    """
    residuals = values - np.where(inside, values[inside].mean(), values[~inside].mean())
    share = inside.mean()
    # The gap is the mean of these values over all items, up to a constant.
    push = residuals * np.where(inside, (1 - share) / share, -1.0)
    worth = worth_of(push, clusters, push.var(), floor=1.0)
    return push.var() / worth.n if worth.n else 0.0


def _tests(table: pd.DataFrame, errors: pd.Series, df: pd.Series, scored: pd.DataFrame, value: str) -> pd.DataFrame:
    """Compare each group's rate with everybody else's.

    The p-value is the larger of two: that of Student's t, and twice the binomial tail at the effective sample size
    (mid-p), which knows that few answers of a rare kind come in steps.

    Args:
        table: one row per group, with `n` and `rate`.
        errors, df: as returned by `_errors`.
        scored, value: as there.

    Returns:
        `difference`, `difference_low`, `difference_high`, `p`, `error`, one row per group.
    """
    overall, size = scored[value].mean(), len(scored)
    outside = 1 - table["n"] / max(size, 1)  # share of the items
    away = table["rate"] - overall
    difference = (away / outside).where(outside > 0)
    errors = errors.where(df >= 1)
    p = 2 * stats.t.sf(away.abs() / errors, df)
    worth = overall * (1 - overall) / errors**2
    p = np.fmax(p, _tails(table["rate"].to_numpy() * worth.to_numpy(), worth.to_numpy(), overall))
    p = pd.Series(p, table.index).where(errors.notna()).clip(upper=1)
    half = stats.t.ppf(1 - (1 - LEVEL) / len(table) / 2, df) * errors / outside
    low, high = difference - half, difference + half
    open_ = p * len(table) >= 1 - LEVEL  # not shown, so the interval reaches 0
    low = low.mask(open_, np.minimum(low, 0)).clip(-1, 1)
    high = high.mask(open_, np.maximum(high, 0)).clip(-1, 1)
    found = {"difference": difference, "difference_low": low, "difference_high": high, "p": p, "error": errors}
    return pd.DataFrame(found, table.index)


def _tails(hits: np.ndarray, n: np.ndarray, share: float) -> np.ndarray:
    """Return the two-sided mid-p of so many hits among n answers, neither of them whole numbers, if `share` is true."""
    with np.errstate(invalid="ignore"):
        at_least = np.where(hits > 1e-9, betainc(hits, n - hits + 1, share), 1.0)
        more = np.where(n - hits >= 1, betainc(hits + 1, np.maximum(n - hits, 1e-9), share), 0.0)
    middle = (at_least + more) / 2
    return 2 * np.minimum(middle, 1 - middle)


def _shrunk(table: pd.DataFrame, overall: dict, independent: float) -> np.ndarray:
    """Compute hierarchical estimates and 95% intervals: an array (groups, 3), NaN for groups without an interval.

    Shrinks a group's distance from the overall rate, since the prompts that all share move all groups alike. All rows
    are NaN if fewer than three groups have an interval.

    Args:
        table: one row per group, with `rate` and `error`.
        overall: as returned by `stats.rate` of all items.
        independent: how many independent groups these are, as returned by `_errors`.
    """
    known = (table["error"] > 0).to_numpy()
    found = np.full((len(table), 3), np.nan)
    if known.sum() < 3 or np.isnan(overall["low"]):
        return found
    away = (table["rate"].to_numpy() - overall["rate"])[known]  # k groups
    noise = table["error"].to_numpy()[known] ** 2  # k groups
    between = np.linspace(0, 0.5, 501)[:, None] ** 2  # 501 variances x 1
    log_likelihood = stats.norm.logpdf(away, scale=np.sqrt(noise + between)).sum(1)  # 501
    log_likelihood *= min(independent / known.sum(), 1.0)
    likelihood = np.exp(log_likelihood - log_likelihood.max())
    posterior = likelihood / likelihood.sum()  # the prior is flat
    kept = between / (between + noise)  # 501 x k: share of its distance that a group keeps
    middle = posterior @ (kept * away)  # k
    within = kept * noise  # 501 x k: variance of a group's distance, given the variance between groups
    doubt = posterior @ (within + (kept * away - middle) ** 2)
    half = stats.norm.ppf((1 + LEVEL) / 2) * np.sqrt(doubt)
    centre = overall["rate"] + middle
    low = centre - np.hypot(half, overall["rate"] - overall["low"])
    found[known] = np.stack([centre, low, centre + np.hypot(half, overall["high"] - overall["rate"])], axis=1)
    return found.clip(0, 1)


def worst(table: pd.DataFrame) -> pd.DataFrame:
    """Return the group with the lowest shrunk score in one row, and whether it is shown to be worse.

    Args:
        table: as returned by `scores`.

    Returns:
        The group's row of `scores`. Its `note` says whether it scores lower than everybody else at the 5% level after
        Holm's correction for all groups, or that groups tie. No row if no group has an interval.
    """
    able = table.dropna(subset="low").sort_values(["shrunk", "rate"], kind="stable")
    ranked = able.head(1)
    shown = (ranked["p_holm"] < 1 - LEVEL) & (ranked["difference"] < 0)
    text = shown.map({True: LOWER, False: NOT_LOWER})
    lowest = ranked[["shrunk", "rate"]].round(9).squeeze()
    tied = able[["shrunk", "rate"]].round(9).eq(lowest).all(axis=1).sum()
    if table["rate"].dropna().round(9).nunique() < 2:
        text[:] = "all groups score alike"
    elif len(able) > 1 and tied == len(able):
        text[:] = f"all {tied} groups with an interval score alike"
    elif tied > 1:
        text[:] = f"{tied} groups tie for the lowest"
    return ranked.assign(note=text + f" ({table['rate'].notna().sum()} groups looked at)")


def named(lowest: pd.Series) -> str:
    """Return the name of the lowest group, a row of `worst`, or its note where no single group is the lowest."""
    return str(lowest.name) if lowest["note"].startswith((LOWER, NOT_LOWER)) else lowest["note"]


def headline(table: pd.DataFrame, overall: dict, critic: str, what: str, people: str = "") -> str:
    """Return the finding in one or two sentences, also if parts of it are missing.

    Args:
        table: as returned by `scores`.
        overall: as returned by `stats.rate` of the same answers.
        critic: name of the judge.
        what: the condition and the writer, in words.
        people: what people would keep, from `judges.corrections.said`; empty without labels.
    """
    if not overall["n"]:
        return f"{what}: none of {overall['failed']} answers has a verdict of {critic}."
    share = wording.of_rate(overall)
    kept = f"{what}: {people or f'{critic} keeps {share} of the answers'}. "
    ranked = worst(table)
    if ranked.empty:
        return kept + f"None of {table['rate'].notna().sum()} groups with answers has enough people for an interval."
    row = ranked.iloc[0]
    if named(row) == row["note"]:
        return kept + f"No single group is the lowest: {row['note']}."
    raw = wording.of_rate(table.loc[row.name])
    if pd.isna(row["shrunk"]):
        return kept + f"The lowest group is '{row.name}': {raw}; {row['note']}."
    shrunk = wording.share(row["shrunk"], row["shrunk_low"], row["shrunk_high"], row["n"])
    return kept + f"By the shrunk share, the lowest group is '{row.name}': {shrunk}; raw {raw}; {row['note']}."
