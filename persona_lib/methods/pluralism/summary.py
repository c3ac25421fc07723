"""The pluralisms of a trial without any model: what a table beside the accuracy says of each method."""

from collections.abc import Sequence

import pandas as pd

from ..worlds.world import World
from .distributional import distances, distributional
from .options import options, shown
from .overton import coverage
from .steerable import steered


def table(
    predictions: pd.DataFrame, world: World, k: int, m: int = 1, order: Sequence[str] | None = None, seed: int = 0
) -> pd.DataFrame:
    """Return the three pluralisms of each method's predictions.

    Args:
        predictions: of `methods.trial`.
        world: of the trial.
        k: of the context.
        m: answers shown to all, for the coverage.
        order: of ordinal answers, as in `distances`.
        seed: of the draws.

    Returns:
        One row per method: `method`, `k`; `coverage` (of the m answers that the method shows to all; see `shown`),
        `coverage_low`, `coverage_high`, `best` (of any m answers); `steerability` (see `steered`), `steerability_low`,
        `steerability_high`, `p`; `distance`, `distance_low`, `distance_high`, `chance`, `chance_high`, `ordinal`,
        `score`, `score_low`, `score_high` (see `distributional`). `coverage` is missing where nobody compared all
        answers to a prompt.
    """
    of_people = options(predictions, world, k)
    items = shown(of_people, m)
    covered = coverage(items).set_index("method")
    steers = steered(predictions, world, k).set_index("method")
    far = distributional(distances(of_people, world, order, seed)).set_index("method")
    ends = {"low": "coverage_low", "high": "coverage_high"}
    found = covered[["coverage", "low", "high"]].rename(columns=ends)
    found["best"] = items.groupby("method", observed=True)["best"].mean()
    ends = {"difference": "steerability", "low": "steerability_low", "high": "steerability_high"}
    found = found.join(steers[["difference", "low", "high", "p"]].rename(columns=ends))
    ends = {"low": "distance_low", "high": "distance_high"}
    names = ["distance", *ends, "chance", "chance_high", "ordinal", "score", "score_low", "score_high"]
    found = found.join(far[names].rename(columns=ends)).rename_axis("method").reset_index()
    found.insert(1, "k", k)
    return found
