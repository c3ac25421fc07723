"""Distributional pluralism: are answers that are predicted for people spread as the people's own answers are?"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from ... import UserError, seeds
from ...stats.clustering import FEW
from ..worlds.world import World

DRAWS = 200  # of answers from the predictions, for the distance by chance
TAIL = 0.975
ONE_SIDED = 1.645  # of the normal distribution: 95 in 100 lie below
_KEYS = ["method", "prompt_id"]


def distances(table: pd.DataFrame, world: World, order: Sequence[str] | None = None, seed: int = 0) -> pd.DataFrame:
    """Return for each prompt how far the distribution of predicted answers is from that of the people's own.

    Args:
        table: of `options.options`.
        world: of the trial, whose candidates have the texts.
        order: the texts of ordinal answers from one end to the other, such as `respondents.load("gss").options`.
        seed: of the draws.

    Returns:
        A row per method and prompt: `method`, `prompt_id`, `people`, `failed` (people without a prediction, left out on
        both sides), `distance` (total variation, half the sum of absolute differences of shares, 0 to 1), `chance` and
        `chance_sd` (mean and standard deviation of this distance if each person answered by their predicted
        probabilities: what finitely many people leave of it where predictions are true), `uniform` (distance of equal
        probabilities), `ordinal` (Wasserstein: mean absolute difference of cumulated shares, 0 to 1; missing without
        `order`).

    Raises:
        UserError: an answer is not in `order`.
    """
    rng = seeds.rng("answers drawn from predictions", seed)
    text = world.candidates.set_index("candidate_id")["text"]
    if order is not None and (odd := sorted(set(table["candidate_id"].map(text)) - set(order))):
        raise UserError(f"the order of answers lacks {odd[0]!r}: name all of them from one end to the other")
    rows = []
    for (method, prompt), own in table.groupby(_KEYS, sort=False, observed=True):
        known = own[own["failure"].isna()]
        people = known["persona_id"].nunique()
        row = {"method": method, "prompt_id": prompt, "people": people}
        row["failed"] = own["persona_id"].nunique() - people
        rows.append(row | (_distance(known, text, order, rng) if people else {}))
    names = [*_KEYS, "people", "failed", "distance", "chance", "chance_sd", "uniform", "ordinal"]
    return pd.DataFrame(rows, columns=names)


def _distance(known: pd.DataFrame, text: pd.Series, order: Sequence[str] | None, rng: np.random.Generator) -> dict:
    """Return the distances of one prompt's predictions, from `distance` to `ordinal`."""
    person, place = (pd.factorize(known[key])[0] for key in ("persona_id", "candidate_id"))
    if order is not None:
        ranks = known["candidate_id"].map(text).map(list(order).index)
        place = pd.factorize(ranks, sort=True)[0]
    said, real, shown = np.zeros((3, person.max() + 1, place.max() + 1))  # people x answers; shown: who compared what
    for values, column in ((said, known["said"]), (real, known["real"]), (shown, 1.0)):
        values[person, place] = column
    predicted, uniform = said.mean(axis=0), (shown / shown.sum(axis=1, keepdims=True)).mean(axis=0)
    upto = said.cumsum(axis=1)
    upto[:, -1] = 1.0  # rounding leaves nobody without an answer
    drawn = (rng.random((DRAWS, len(said), 1)) > upto).sum(axis=2)  # draws x people: the place of an answer
    cells = np.arange(DRAWS)[:, None] * said.shape[1] + drawn
    shares = np.bincount(cells.ravel(), minlength=DRAWS * said.shape[1]).reshape(DRAWS, -1) / len(said)
    chance = np.abs(shares - predicted).sum(axis=1) / 2
    gap = predicted - real.mean(axis=0)
    steps = np.abs(gap.cumsum()[:-1])
    return {
        "distance": np.abs(gap).sum() / 2,
        "chance": chance.mean(),
        "chance_sd": chance.std(ddof=1),
        "uniform": np.abs(uniform - real.mean(axis=0)).sum() / 2,
        "ordinal": steps.mean() if order is not None else np.nan,
    }


def distributional(table: pd.DataFrame) -> pd.DataFrame:
    """Return how far each method's distributions are from the people's, and a score like SimBench's (2510.17516).

    The score is 100 (1 - d / u) for the mean distance d over prompts and the mean distance u of equal probabilities:
    100 for the people's own distribution, 0 for equal probabilities, below 0 for worse. SimBench divides by u of each
    data set and averages over prompts, as here for one; its models are asked for a distribution, here it is the mean of
    predictions for the people.

    Args:
        table: of `distances`.

    Returns:
        One row per method: `method`, `prompts`, `failed` (predictions), `distance`, `low`, `high` (95%, over prompts),
        `chance` and `chance_high` (what true predictions would have: their mean, and what 95 in 100 stay below),
        `ordinal`, `score`, `score_low`, `score_high`, `reachable` (the score of true predictions), `note`.
    """
    rows = []
    for method, every in table.groupby("method", sort=False, observed=True):
        own = every.dropna(subset="distance")
        n, uniform = len(own), own["uniform"].mean()
        mean, chance = own["distance"].mean(), own["chance"].mean()
        # The score's interval is that of a ratio of means, by the delta method.
        ratio = mean / uniform if uniform > 0 else np.nan
        half, of_ratio = (_half(values) for values in (own["distance"], own["distance"] - ratio * own["uniform"]))
        spread = 100 * of_ratio / uniform if uniform > 0 else np.nan
        notes = {"one prompt: no interval": n == 1, "too few prompts": 1 < n < FEW}
        found = {"method": method, "prompts": n, "failed": int(every["failed"].sum()), "distance": mean}
        found |= {"low": max(mean - half, 0.0), "high": min(mean + half, 1.0), "chance": chance}
        found["chance_high"] = chance + ONE_SIDED * np.sqrt((own["chance_sd"] ** 2).sum()) / max(n, 1)
        found |= {"ordinal": own["ordinal"].mean(), "score": 100 * (1 - ratio)}
        found |= {"score_low": found["score"] - spread, "score_high": found["score"] + spread}
        found["reachable"] = 100 * (1 - chance / uniform) if uniform > 0 else np.nan
        rows.append(found | {"note": next((note for note, holds in notes.items() if holds), "")})
    return pd.DataFrame(rows)


def _half(values: pd.Series) -> float:
    """Return half the width of a 95% interval of the mean; missing for fewer than two values."""
    n = len(values)
    return float(stdtrit(n - 1, TAIL) * values.std(ddof=1) / np.sqrt(n)) if n > 1 else np.nan
