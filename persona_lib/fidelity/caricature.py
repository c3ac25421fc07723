"""Caricature: how simulated answers portray groups of respondents, beside the real answers of the same people.

Three questions for each group: how near are the simulated answers, do they flatten the group (too little variety within
it), and do they exaggerate (too much difference between groups)? Tables in, tables out; no model is asked. Intervals
are 2.5% and 97.5% quantiles of a bootstrap over respondents.
"""

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd

from .. import seeds
from ..personas import ID

DRAWS = 200
DEALS = 50  # random assignments of respondents to groups
ENDS = (0.025, 0.975)


def distributions(table: pd.DataFrame, by: str, draws: int = DRAWS, seed: int = 0) -> pd.DataFrame:
    """Compare the distribution of each group's simulated answers with that of its real ones.

    Args:
        table: columns `persona_id`, `prompt_id`, `source`, `answer` (simulated), `truth` (real), and `by`.
        by: the column with the groups, an attribute of the respondents.
        draws: resamples of the respondents; 0 for no intervals.
        seed: of the resamples.

    Returns:
        Index `source`, `by`; columns `people`, `n` (answers), `failed`, `distance` (total variation distance, 0 to 1,
        between the simulated and the real distribution of answers, mean over questions; with few people it is above 0
        by chance) with `distance_low`, `distance_high`, and `variety` (Gini-Simpson diversity of the simulated answers
        within the group over that of the real ones, each a mean over questions; below 1 the model flattens the group;
        missing if all real answers are the same) with `variety_low`, `variety_high`.
    """
    parts = []
    for source, own in table.groupby("source", sort=False):
        codes = _Codes(own, by)
        portraits = np.array([_portrait(codes, weights) for weights in _weights(codes, draws, seed)])
        found = portraits[0]  # (2, groups)
        low, high = _interval(portraits[1:])
        columns: dict[str, np.ndarray] = {}
        for i, name in enumerate(("distance", "variety")):
            columns |= {name: found[i], f"{name}_low": low[i], f"{name}_high": high[i]}
        groups = own.groupby(by, sort=False)
        n = groups["answer"].count()
        counts = pd.DataFrame({"people": groups[ID].nunique(), "n": n, "failed": groups["answer"].size() - n})
        parts.append(counts.join(pd.DataFrame(columns, index=codes.groups)).assign(source=source))
    if not parts:
        parts = [pd.DataFrame(columns=["source", "people", "n", "failed", "distance", "variety"])]
    return pd.concat(parts).rename_axis(by).set_index("source", append=True).swaplevel()


def caricature(table: pd.DataFrame, by: str, draws: int = DRAWS, seed: int = 0) -> pd.DataFrame:
    """Compare how far groups lie apart in the simulated answers and in the real ones: individuation and exaggeration.

    The two are the axes of CoMPosT (Cheng et al. 2023, arXiv 2310.11501), which measures them with a classifier.

    Args:
        table, by, draws, seed: as in `distributions`.

    Returns:
        Index `source`; columns `people`, `n`, `groups`; `real` and `simulated` (total variation distance between two
        groups' distributions of answers, 0 to 1, mean over pairs of groups and questions; 0 if they can't be told
        apart), `chance` (what `real` would be if respondents were assigned to the groups at random: small groups differ
        by chance alone) and `exaggeration` (simulated over real; above 1 the model draws groups further apart than they
        are) with `low`, `high`.
    """
    rows = {}
    for source, own in table.groupby("source", sort=False):
        codes = _Codes(own, by)
        distances = np.array(
            [
                (_between_groups(codes, codes.truth, weights), _between_groups(codes, codes.said, weights))
                for weights in _weights(codes, draws, seed)
            ]
        )  # (1 + resamples, 2)
        real, simulated = distances[0]
        exaggeration = _ratio(distances[:, 1], distances[:, 0])
        low, high = _interval(exaggeration[1:])
        rows[source] = {
            "people": own[ID].nunique(),
            "n": len(codes.person),
            "groups": len(codes.groups),
            "real": real,
            "simulated": simulated,
            "chance": _by_chance(codes, seed),
            "exaggeration": float(exaggeration[0]),
            "low": float(low),
            "high": float(high),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("source")


class _Codes:
    """The answered rows of one source as numbers.

    `person`, `group`, `question`, `said` (the simulated answer) and `truth` are arrays (rows,) of codes; `groups` are
    the groups' names and `people` is the number of respondents.
    """

    def __init__(self, own: pd.DataFrame, by: str):
        answered = own.dropna(subset=["answer", "truth", by])
        self.person, people = pd.factorize(answered[ID])
        self.group, groups = pd.factorize(answered[by])
        self.question, questions = pd.factorize(answered["prompt_id"])
        # Both columns in one list, so that an option has the same code in either.
        said_and_truth = np.concatenate([answered[column].to_numpy(object) for column in ("answer", "truth")])
        codes, options = pd.factorize(said_and_truth)
        self.said, self.truth = np.split(codes, 2)
        self.groups = list(groups)
        self.people = len(people)
        self.shape = (len(groups), len(questions), len(options))

    def shares(self, answers: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Return the share of each answer: groups x questions x options, missing if nobody of a group was asked.

        Args:
            answers: codes of the answers, `said` or `truth`.
            weights: how often each row counts.
        """
        cell = np.ravel_multi_index((self.group, self.question, answers), self.shape)
        counts = np.bincount(cell, weights, np.prod(self.shape)).reshape(self.shape)
        return _ratio(counts, counts.sum(axis=2, keepdims=True))


def _weights(codes: _Codes, draws: int, seed: int) -> Iterator[np.ndarray]:
    """Yield how often each row counts: once, then as often as each resample has drawn its respondent."""
    yield np.ones(len(codes.person))
    rng = seeds.rng("caricature", seed)
    for _ in range(draws if codes.people > 1 else 0):
        drawn = rng.integers(codes.people, size=codes.people)
        times = np.bincount(drawn, minlength=codes.people)  # (people,)
        yield times[codes.person].astype(float)


def _interval(resampled: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the lower and upper end of the middle 95% of resamples, the array's first axis.

    An end is missing if half of the resamples or more have no value.
    """
    if not len(resampled):
        missing = np.full(resampled.shape[1:], np.nan)
        return missing, missing
    low, high = _quietly(np.nanquantile, resampled, ENDS, axis=0)
    too_few = np.isnan(resampled).mean(axis=0) >= 0.5
    return np.where(too_few, np.nan, low), np.where(too_few, np.nan, high)


def _portrait(codes: _Codes, weights: np.ndarray) -> np.ndarray:
    """Return the distance and the variety of each group, array (2, groups)."""
    said = codes.shares(codes.said, weights)  # groups x questions x options
    truth = codes.shares(codes.truth, weights)
    distance = _quietly(np.nanmean, _total_variation(said, truth), axis=1)
    return np.stack([distance, _ratio(_diversity(said), _diversity(truth))])


def _total_variation(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return the total variation distance between distributions over the last axis."""
    return np.abs(one - other).sum(axis=-1) / 2


def _diversity(shares: np.ndarray) -> np.ndarray:
    """Return the Gini-Simpson diversity of each group's answers, mean over questions."""
    return _quietly(np.nanmean, 1 - (shares**2).sum(axis=2), axis=1)


def _between_groups(codes: _Codes, answers: np.ndarray, weights: np.ndarray) -> float:
    """Return the mean total variation distance between two groups, over pairs of groups and questions."""
    shares = codes.shares(answers, weights)
    one, other = np.triu_indices(len(shares), 1)
    return float(_quietly(np.nanmean, _total_variation(shares[one], shares[other])))


def _by_chance(codes: _Codes, seed: int) -> float:
    """Return the mean distance of groups between real answers if people were assigned to the groups at random."""
    rng = seeds.rng("caricature by chance", seed)
    everybody = np.ones(len(codes.person))
    own_groups = codes.group
    group_of_person = np.zeros(codes.people, dtype=int)
    group_of_person[codes.person] = own_groups
    distances = []
    for _ in range(DEALS):
        codes.group = rng.permutation(group_of_person)[codes.person]
        distances.append(_between_groups(codes, codes.truth, everybody))
    codes.group = own_groups
    return float(_quietly(np.nanmean, np.array(distances)))


def _ratio(part: np.ndarray | float, whole: np.ndarray | float) -> np.ndarray:
    """Divide; the quotient is missing if the divisor is 0."""
    part, whole = np.broadcast_arrays(np.asarray(part, float), np.asarray(whole, float))
    return np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)


def _quietly(function: Callable[..., np.ndarray], values: np.ndarray, *args: Any, **options: Any) -> np.ndarray:
    """Call numpy's `nanmean` or `nanquantile` without its warning where all values are missing; the result is, too."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return function(values, *args, **options)
