"""What a person would choose of all answers to a prompt, by predictions and by their own choices between two of them.

Answers are ranked by least squares on the log odds of the pairs (as HodgeRank: Jiang et al. 2011, Mathematical
Programming), which is exact where odds are ratios of strengths (Bradley-Terry), and where one answer is compared with
each other one.
"""

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from scipy.special import logit

from ... import UserError
from ...stats.intervals import ITEM
from ..worlds.world import World

LEAST = 1e-3  # probability: nearer to 0 or 1 none counts, so that log odds are finite
SAME = 1e-6  # strengths that differ by less are equal
APART = "these answers were not compared with each other"
COLUMNS = ["method", *ITEM, "candidate_id", "said", "real", "compared", "answers", "failure"]


def options(predictions: pd.DataFrame, world: World, k: int) -> pd.DataFrame:
    """Return the probability that each person chooses each answer to a prompt, as predicted, and what they chose.

    Args:
        predictions: of `methods.trial`.
        world: of the trial.
        k: of the context.

    Returns:
        A row per method, person, prompt and answer that the person compared: `method`, `persona_id`, `prompt_id`,
        `candidate_id`, `said` (the predicted probability; draws are averaged), `real` (1 for their favorite, favorites
        with equal strengths share it), `compared` (how many answers), `answers` (how many the prompt has), `failure`
        (why `said` or `real` are missing).

    Raises:
        UserError: nothing was predicted at this k.
    """
    at = predictions[predictions["k"] == k]
    if at.empty:
        known = ", ".join(map(str, sorted(predictions["k"].unique())))
        raise UserError(f"the trial has no prediction at k = {k}: take one of {known}")
    shown = world.choices.set_index("choice_id")[["first", "second"]]
    size = world.candidates.dropna(subset="text").groupby("prompt_id").size()
    tables = []
    for method, own in at.groupby("method", sort=False, observed=True):
        pairs = own.join(shown, on="choice_id").reset_index(drop=True)
        table = _ranked(pairs)
        why = pairs.dropna(subset="failure").groupby([*ITEM, "draw"], observed=True)["failure"].first()
        table = table.join(why.astype("str"), on=[*ITEM, "draw"])
        table["failure"] = table["failure"].fillna(pd.Series(APART, table.index).where(table["apart"]))
        keys = [*ITEM, "candidate_id"]
        by = table.groupby(keys, sort=False)
        merged = by.agg(said=("said", "mean"), real=("real", "mean"), failure=("failure", "first")).reset_index()
        merged["failure"] = merged["failure"].where(merged["said"].isna() | merged["real"].isna())
        tables.append(merged.assign(method=method))
    result = pd.concat(tables, ignore_index=True)
    result["compared"] = result.groupby(["method", *ITEM], sort=False)["candidate_id"].transform("size")
    return result.assign(answers=result["prompt_id"].map(size))[COLUMNS]


def _ranked(pairs: pd.DataFrame) -> pd.DataFrame:
    """Return `said` and `real` of each answer of each item: ITEM, `draw`, `candidate_id`, `apart` (not connected)."""
    keys = [*ITEM, "draw"]
    item = pairs.groupby(keys, sort=False, observed=True).ngroup().to_numpy()
    ends = [pd.DataFrame({"item": item, "candidate_id": pairs[side]}) for side in ("first", "second")]
    both = pd.concat(ends, ignore_index=True)
    node, names = pd.factorize(pd.MultiIndex.from_frame(both))
    nodes = pd.DataFrame(names.tolist(), columns=["item", "candidate_id"])
    nodes["place"] = nodes.groupby("item").cumcount()
    a, b = np.split(node, 2)  # pairs: the nodes of the first and the second answer
    edges = sparse.coo_matrix((np.ones(len(a)), (a, b)), (len(nodes), len(nodes)))
    nodes["part"] = connected_components(edges, directed=False)[1]
    of_item = nodes.groupby("item")
    nodes["apart"] = of_item["part"].transform("nunique") > 1
    apart = of_item["apart"].first().to_numpy()
    at = nodes["item"].to_numpy(), nodes["place"].to_numpy()
    for name, column in (("said", "p_first"), ("real", "chosen")):
        strengths = _strengths(item, at[1][a], at[1][b], pairs[column].to_numpy(float), apart)
        inside = np.zeros(strengths.shape, dtype=bool)
        inside[at] = True
        strengths[~inside] = -np.inf
        top = strengths.max(axis=1, keepdims=True)
        weights = np.exp(strengths - top) if name == "said" else (strengths > top - SAME).astype(float)
        shares = weights / weights.sum(axis=1, keepdims=True)  # items x answers
        nodes[name] = np.where(nodes["apart"] | np.isnan(strengths[at]), np.nan, shares[at])
    first = pairs.groupby(keys, sort=False, observed=True).size().reset_index()[keys]
    return nodes.join(first, on="item")


def _strengths(item: np.ndarray, a: np.ndarray, b: np.ndarray, p: np.ndarray, apart: np.ndarray) -> np.ndarray:
    """Return the answers' strengths by least squares: items x answers; missing in an item that lacks a probability.

    Args:
        item, a, b, p: arrays (pairs,): the item, the places of both answers in it, the probability of the first.
        apart: (items,) whether some answers of it were not compared with others, so that there is no solution.
    """
    width = int(max(a.max(), b.max())) + 1
    square = np.zeros((len(apart), width, width))  # the Laplacian of each item's graph of comparisons
    right = np.zeros((len(apart), width))
    odds = logit(np.clip(p, LEAST, 1 - LEAST))
    for one, other, sign in ((a, b, 1), (b, a, -1)):
        np.add.at(square, (item, one, one), 1)
        np.add.at(square, (item, one, other), -1)
        np.add.at(right, (item, one), sign * odds)
    inside = (square.diagonal(axis1=1, axis2=2) > 0).astype(float)
    square += inside[:, :, None] * inside[:, None, :]  # strengths sum to 0
    square += np.eye(width) * (1 - inside)[:, :, None]
    square[apart] = np.eye(width)
    return np.linalg.solve(square, right[:, :, None])[:, :, 0]


def shown(table: pd.DataFrame, m: int = 1, each: bool = False) -> pd.DataFrame:
    """Return whether each person's favorite is among the m answers that a method would show, for `overton.coverage`.

    The method shows the answers with the largest predicted shares of the people, which by its own predictions cover
    most. Answers that it holds equal have equal chances to be shown.

    Args:
        table: of `options`.
        m: number of answers.
        each: show each person the m answers that they are predicted to choose, in place of one set for all.

    Returns:
        A row per method, person and prompt: `method`, `persona_id`, `prompt_id`, `covered` (from 0 to 1 where favorites
        or shown answers are tied; missing if a prediction is missing, or if the person did not compare all answers),
        `best` (the same for the set that covers most of these people, which nothing can exceed on average), `by_chance`
        (for m answers at random).
    """
    whole = (table["compared"] == table["answers"]) & table["failure"].isna()
    known = table.assign(real=table["real"].where(whole))
    crowd = ["method", "prompt_id", "candidate_id"]
    said = known["said"] if each else known.groupby(crowd, observed=True)["said"].transform("mean")
    keys = ["method", "persona_id", "prompt_id"]
    for name, share in (("covered", said), ("best", known.groupby(crowd, observed=True)["real"].transform("mean"))):
        rank = share.round(9).groupby([known[key] for key in keys], observed=True)
        above, upto = (rank.rank(method=ends, ascending=False) - less for ends, less in (("min", 1), ("max", 0)))
        known[name] = known["real"] * ((m - above) / (upto - above)).clip(0, 1)
    known["by_chance"] = (m / known["answers"]).clip(upper=1) * known["real"]
    by = known.groupby(keys, sort=False, observed=True)
    return by[["covered", "best", "by_chance"]].sum(min_count=1).reset_index()
