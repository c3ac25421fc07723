"""Scores of groups of personas and of their intersections: shrunk, and corrected for the number of groups.

`groups` says who is in which group.

Tables in, tables out: nothing here asks a model or reads a file.
"""

import numpy as np
import pandas as pd
from scipy import stats

from .. import UserError
from ..stats import wording
from ..stats.clustering import LEVEL, effective, variance
from ..stats.intervals import ITEM, check, corrected, rate

NOBODY = "nobody in this group"
LOWER = "lower than everybody else after correction"
NOT_LOWER = "not shown to be lower than everybody else after correction"


def scores(table: pd.DataFrame, members: pd.DataFrame, value: str = "score") -> pd.DataFrame:
    """Compute each group's rate, shrunk towards the overall rate, and its difference from everybody else.

    The distances of groups from the overall rate are taken as normal. Their standard deviation is averaged over all
    values that the data allow (flat prior from 0 to 0.5): intervals keep a width even if groups may not differ at all.

    Args:
        table: one row per item, as in `stats.rates`.
        members: as returned by `groups.members` or `groups.crossings`.
        value: the score.

    Returns:
        Index `group`; `personas` (with an item), `n`, `failed`, `rate`, `low`, `high` as in `stats.rates`; `shrunk`,
        `shrunk_low`, `shrunk_high`: the estimate of a normal hierarchical model; `difference` from all outside the
        group; `difference_low`, `difference_high`: an interval that holds for all groups at once (Bonferroni), so also
        for the group picked as the worst; `p` of no difference, `p_holm`; `note`.

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
        others = table[~inside[:, place]]
        row = rate(mine[value], mine[ITEM])
        row |= {"personas": mine["persona_id"].nunique(), **_difference(mine, others, value, members.shape[1])}
        rows[group] = row | {"note": row["note"] if len(mine) else NOBODY}
    result = pd.DataFrame.from_dict(rows, orient="index").rename_axis("group")
    scored = table.dropna(subset=value)
    result[["shrunk", "shrunk_low", "shrunk_high"]] = _shrunk(result, scored[value].to_numpy(float), scored[ITEM])
    result["p_holm"] = corrected(result["p"])
    first = ["personas", "n", "failed", "rate", "low", "high", "shrunk", "shrunk_low", "shrunk_high"]
    return result[[*first, "difference", "difference_low", "difference_high", "p", "p_holm", "note"]]


def _difference(mine: pd.DataFrame, others: pd.DataFrame, value: str, groups: int) -> dict[str, float]:
    """Compute a group's rate less everybody else's, clustered by persona and by the prompts that both share.

    Args:
        mine, others: the items of the group and of everybody else.
        value: the score.
        groups: number of groups that are looked at.

    Returns:
        `difference`, `difference_low`, `difference_high`, `p`; `error`: standard error of the group's rate less the
        overall rate.
    """
    names = ["difference", "difference_low", "difference_high", "p", "error"]
    mine = mine.dropna(subset=value)
    others = others.dropna(subset=value)
    if mine.empty or others.empty:
        return dict.fromkeys(names, np.nan)
    n = len(mine) + len(others)
    difference = mine[value].mean() - others[value].mean()
    # The difference is the mean of these influence values over all n items, up to a constant.
    push_mine = (mine[value] - mine[value].mean()) * n / len(mine)
    push_others = -(others[value] - others[value].mean()) * n / len(others)
    push = pd.concat([push_mine, push_others])
    spread = push.var(ddof=0)
    worth = effective(push, pd.concat([mine[ITEM], others[ITEM]]), spread, floor=1.0)
    df = min(worth.df, mine["persona_id"].nunique() - 1, others["persona_id"].nunique() - 1)
    if df < 1 or spread < 1e-18:  # equal scores that differ by rounding
        return dict.fromkeys(names, np.nan) | {"difference": difference}
    error = np.sqrt(spread / worth.n)
    half = stats.t.ppf(1 - (1 - LEVEL) / groups / 2, df) * error
    low, high = np.clip([difference - half, difference + half], -1, 1)
    p = 2 * stats.t.sf(abs(difference) / error, df)
    # A group's rate less the overall rate is the difference times the share of items outside the group.
    return dict(zip(names, [difference, low, high, p, error * len(others) / n], strict=True))


def _shrunk(table: pd.DataFrame, values: np.ndarray, clusters: pd.DataFrame) -> np.ndarray:
    """Compute hierarchical estimates and 95% intervals: an array (groups, 3), NaN for groups without an interval.

    Shrinks a group's distance from the overall rate, since the prompts that all share move all groups alike. All rows
    are NaN if fewer than three groups have an interval.

    Args:
        table: one row per group, with `rate` and `error` (as returned by `_difference`).
        values: the scores of all items.
        clusters: their labels, as in `stats.effective`.
    """
    known = (table["error"] > 0).to_numpy()
    found = np.full((len(table), 3), np.nan)
    if known.sum() < 3:
        return found
    overall = values.mean()
    away = (table["rate"].to_numpy() - overall)[known]  # k groups
    noise = table["error"].to_numpy()[known] ** 2  # k groups
    between = np.linspace(0, 0.5, 501)[:, None] ** 2  # 501 variances x 1
    log_likelihood = stats.norm.logpdf(away, scale=np.sqrt(noise + between)).sum(1)  # 501
    likelihood = np.exp(log_likelihood - log_likelihood.max())
    posterior = likelihood / likelihood.sum()  # the prior is flat
    kept = between / (between + noise)  # 501 x k: share of its distance that a group keeps
    middle = posterior @ (kept * away)  # k
    within = kept * noise  # 501 x k: variance of a group's distance, given the variance between groups
    doubt = posterior @ (within + (kept * away - middle) ** 2) + variance(values, clusters)[0]
    half = stats.norm.ppf((1 + LEVEL) / 2) * np.sqrt(doubt)
    found[known] = overall + np.stack([middle, middle - half, middle + half], axis=1)
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


def headline(table: pd.DataFrame, overall: dict, critic: str, what: str) -> str:
    """Return the finding in one or two sentences, also if parts of it are missing.

    Args:
        table: as returned by `scores`.
        overall: as returned by `stats.rate` of the same answers.
        critic: name of the judge.
        what: the condition and the writer, in words.
    """
    if not overall["n"]:
        return f"{what}: none of {overall['failed']} answers has a verdict of {critic}."
    share = wording.share(overall["rate"], overall["low"], overall["high"], overall["n"])
    kept = f"{what}: {critic} keeps {share} of the answers. "
    ranked = worst(table)
    if ranked.empty:
        return kept + f"None of {table['rate'].notna().sum()} groups with answers has enough people for an interval."
    row = ranked.iloc[0]
    if not row["note"].startswith((LOWER, NOT_LOWER)):
        return kept + f"No single group is the lowest: {row['note']}."
    raw = wording.share(row["rate"], row["low"], row["high"], row["n"])
    if pd.isna(row["shrunk"]):
        return kept + f"The lowest group is '{row.name}': {raw}; {row['note']}."
    shrunk = wording.share(row["shrunk"], row["shrunk_low"], row["shrunk_high"], row["n"])
    return kept + f"By the shrunk share, the lowest group is '{row.name}': {shrunk}; raw {raw}; {row['note']}."
