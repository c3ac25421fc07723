"""Steerability: is what a method does for a person right for this person, rather than for others?

A matrix per prompt has a row for each person written for (or predicted) and a column for each person who judges. Its
diagonal is compared with the mean of the rest, which everybody-likes-it answers and lenient judges raise alike.
"""

import numpy as np
import pandas as pd

from ... import seeds
from ...judges.verdicts import GRADES, won
from ...stats.intervals import ITEM, difference
from ..scoring import scores
from ..worlds.world import World

DRAWS = 999  # permutations of the people
ALIKE = "0 by construction: the same prediction for everybody"
_COLUMNS = ["method", "people", "n", "failed", "own", "others", "difference", "low", "high", "p"]


def crossed(answers: pd.DataFrame) -> pd.DataFrame:
    """Return every answer as one for everybody who has an answer of the same method, for `overton.rated`.

    n people with answers to q prompts make n x n x q ratings of each method.

    Args:
        answers: `persona_id` (whom it was written for), `prompt_id`, `method`, `answer`, `failure`.

    Returns:
        The rows of `answers` with `written_for` and, as `persona_id`, each person who rates it.
    """
    raters = answers[["method", "persona_id"]].drop_duplicates()
    return answers.rename(columns={"persona_id": "written_for"}).merge(raters, on="method")


def matrix(ratings: pd.DataFrame, method: str, groups: pd.Series | None = None) -> pd.DataFrame:
    """Return the mean rating (1 to 5) by each person (column) of what was written for each person (row).

    Args:
        ratings: of `overton.rated`, on answers of `crossed`.
        method: whose answers.
        groups: a label per `persona_id`: groups stand in place of people, and nobody's own answer counts. People
            without a label are left out.
    """
    own = _of_groups(ratings[ratings["method"] == method], groups)
    table = own.pivot_table(index="written_for", columns="persona_id", values="rating", dropna=False)
    return table.reindex(index=table.columns.rename("written_for"))


def steerability(ratings: pd.DataFrame, groups: pd.Series | None = None, seed: int = 0) -> pd.DataFrame:
    """Return how much better people are represented by what was written for them than by what was for others.

    Ratings are scaled to 0 to 1. Of each prompt's matrix R, a person's part is n / (n - 1) times
    R[i, i] - mean of row i - mean of column i + mean of R, whose mean is the diagonal less the mean of the rest. Good
    answers and lenient raters cancel. A missing rating is left out of its means.

    Args:
        ratings: of `overton.rated`, on answers of `crossed`; samples are averaged.
        groups: as in `matrix`.
        seed: of the permutations.

    Returns:
        One row per method: `method`, `people` (or groups), `n` (persons x prompts), `failed` (of them without a rating
        of their own answer), `own`, `others`, `difference`, `low`, `high` (95%, clustered by person and prompt), `p`
        (of no difference on average), `p_permuted` (of no difference at all: share of DRAWS permutations of the people
        over the answers whose difference is as large), `note`.
    """
    rows = []
    for method, table in _of_groups(ratings, groups).groupby("method", sort=False, observed=True):
        people = pd.Index(sorted(set(table["written_for"]) | set(table["persona_id"])))
        prompts = pd.Index(table["prompt_id"].unique())
        squares = _squares(table, prompts, people)
        centered = np.array([_centered(square) for square in squares])
        asked = pd.MultiIndex.from_frame(table[["prompt_id", "written_for"]].drop_duplicates(), names=ITEM[::-1])
        index = pd.MultiIndex.from_product([prompts, people], names=ITEM[::-1])
        own, part = (pd.Series(np.diagonal(of, axis1=1, axis2=2).ravel(), index)[asked] for of in (squares, centered))
        found = difference(part) | {"method": method, "people": len(people), "own": own[part.notna()].mean()}
        rows.append(found | {"p_permuted": _permuted(centered, seed)})
    return _named(rows, [*_COLUMNS, "p_permuted", "note"])


def _squares(table: pd.DataFrame, prompts: pd.Index, people: pd.Index) -> np.ndarray:
    """Return mean ratings from 0 to 1, missing without any: prompts x written for x raters."""
    rated = table.dropna(subset="rating")
    sides = (people.get_indexer(rated[side]) for side in ("written_for", "persona_id"))
    cell = prompts.get_indexer(rated["prompt_id"]), *sides
    sums, n = np.zeros((2, len(prompts), len(people), len(people)))
    np.add.at(sums, cell, (rated["rating"] - GRADES[0]) / (GRADES[1] - GRADES[0]))
    np.add.at(n, cell, 1)
    return np.divide(sums, n, out=np.full(n.shape, np.nan), where=n > 0)


def _named(rows: list[dict], columns: list[str]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=[name for name in columns if name != "others"])
    table.insert(columns.index("others"), "others", table["own"] - table["difference"])
    return table


def _of_groups(ratings: pd.DataFrame, groups: pd.Series | None) -> pd.DataFrame:
    """Return the ratings, between groups if there are any; nobody's own answer is then one of the group's."""
    if groups is None:
        return ratings
    apart = ratings[ratings["written_for"] != ratings["persona_id"]]
    sides = ["written_for", "persona_id"]
    return apart.assign(**{side: apart[side].map(groups) for side in sides}).dropna(subset=sides)


def _centered(square: np.ndarray) -> np.ndarray:
    """Return a matrix without the effects of its rows and columns, scaled by n / (n - 1).

    Only people whose own answer they rated have rows and columns; the rest is missing, and so is everything of one.
    """
    out = np.full(square.shape, np.nan)
    known = np.flatnonzero(~np.isnan(np.diag(square)))
    if len(known) > 1:
        r = square[np.ix_(known, known)]
        rest = np.nanmean(r) - np.nanmean(r, axis=1)[:, None] - np.nanmean(r, axis=0)
        out[np.ix_(known, known)] = len(known) / (len(known) - 1) * (r + rest)
    return out


def _permuted(centered: np.ndarray, seed: int) -> float:
    """Return how often people dealt at random to the answers, alike for all prompts, differ as much as the own ones."""
    known = ~np.isnan(centered)
    mean = np.where(known, centered, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)  # written for x raters
    n = len(mean)
    if n < 2 or not known.any():
        return np.nan
    rng = seeds.rng("answers dealt to others", seed)
    orders = rng.permuted(np.tile(np.arange(n), (DRAWS, 1)), axis=1)
    dealt = np.abs(mean[orders, np.arange(n)].sum(axis=1))
    return float((1 + (dealt >= abs(np.trace(mean)) - 1e-9).sum()) / (1 + DRAWS))


def steered(predictions: pd.DataFrame, world: World, k: int) -> pd.DataFrame:
    """Return how much oftener predictions are right for the person they are made for than for others.

    Others are people who were asked about the same two answers. Where prediction and choice are 1, 0 or one half for
    the first answer, agreement is 1 - p - y + 2py, so that a person's part is 2n / (n - 1) (p - mean p) (y - mean y):
    a method that predicts the same for everybody has a difference of exactly 0, which has no interval.

    Args:
        predictions: of `methods.trial`.
        world: of the trial.
        k: of the context.

    Returns:
        One row per method: the columns of `steerability` but `p_permuted`, and `alone`: choices between two answers
        that nobody else was asked about, which are left out. `n` counts persons x prompts, `failed` choices without a
        prediction; `own` is the accuracy, macro over people, on the same choices. Ties are left out.
    """
    at = scores.graded(predictions[predictions["k"] == k])
    shown = world.choices.set_index("choice_id")[["first", "second"]]
    at = at.join(shown, on="choice_id")
    straight = at["first"] < at["second"]
    at["pair"] = at["first"].where(straight, at["second"]) + " " + at["second"].where(straight, at["first"])
    for name, column in (("p", "p_first"), ("y", "chosen")):
        says = pd.Series(won(at[column]), at.index)
        at[name] = says.where(straight, 1 - says)
    rows = []
    for method, every in at.groupby("method", sort=False, observed=True):
        # Both orders of two answers, and several draws of the context, are one choice.
        one = every.dropna(subset="score").groupby([*ITEM, "pair"], observed=True)[["p", "y", "score"]].mean()
        by = one.groupby("pair")
        n = by["p"].transform("size")
        gaps = one[["p", "y"]] - by[["p", "y"]].transform("mean")
        one["part"] = (2 * n / (n - 1).where(n > 1)) * gaps["p"] * gaps["y"]
        together = one.dropna(subset="part")
        items = scores.by_item(together.reset_index(), "part")
        found = difference(items["value"], items["weight"]) | {"method": method}
        found |= {"people": items.index.get_level_values(0).nunique(), "failed": int(every["p_first"].isna().sum())}
        if np.allclose(gaps["p"], 0):  # nothing to estimate
            found |= {"low": np.nan, "high": np.nan, "p": np.nan, "note": ALIKE}
        right = scores.macro(scores.by_item(together.reset_index()))
        rows.append(found | {"own": right, "alone": int((n == 1).sum())})
    return _named(rows, [*_COLUMNS, "alone", "note"])
