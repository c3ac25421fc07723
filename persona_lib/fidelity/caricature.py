"""How groups of people are portrayed: simulated answers beside real ones, group by group. Tables in, tables out.

Nearness to the real answers, variety within groups (is it flattened?) and difference between groups (is it
exaggerated?). Intervals are those of the bootstrap over respondents, 2.5% to 97.5%. Knows no model. Used by
05_fidelity.
"""

import warnings
from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd

from .. import seeds
from ..personas import ID

DRAWS = 200


def distributions(table: pd.DataFrame, by: str, draws: int = DRAWS, seed: int = 0) -> pd.DataFrame:
    """How near the simulated answers of each group are to the real ones, and how much of their variety is left.

    Args:
        table: columns `persona_id`, `prompt_id`, `source`, `answer` (simulated), `truth` (real), and `by`.
        by: the groups, an attribute of the respondents.
        draws: resamples of the respondents; 0 for no intervals.
        seed: of the resamples.

    Returns:
        Index `source`, `by`; columns `people`, `n` (answers), `failed`, `distance` (mean over questions of the total
        variation distance between the simulated and the real distribution of answers; few people alone make it larger
        than 0) with `distance_low`, `distance_high`, and `variety` (Gini-Simpson diversity of simulated answers within
        the group over that of real ones, means over questions; below 1 the group is flattened, missing where all real
        answers are the same) with `variety_low`, `variety_high`.
    """
    parts = []
    for source, own in table.groupby("source", sort=False):
        codes = _Codes(own, by)
        found = np.array([_portrait(codes, weights) for weights in _weights(codes, draws, seed)])
        low, high = _ends(found)
        columns = {}
        for i, name in enumerate(("distance", "variety")):
            columns |= {name: found[0, i], f"{name}_low": low[i], f"{name}_high": high[i]}
        groups = own.groupby(by, sort=False)
        counts = {"people": groups[ID].nunique(), "n": groups["answer"].count()}
        counts |= {"failed": groups["answer"].size() - counts["n"]}
        parts.append(pd.DataFrame(counts).join(pd.DataFrame(columns, index=codes.groups)).assign(source=source))
    if not parts:
        parts = [pd.DataFrame(columns=["source", "people", "n", "failed", "distance", "variety"])]
    return pd.concat(parts).rename_axis(by).set_index("source", append=True).swaplevel()


def caricature(table: pd.DataFrame, by: str, draws: int = DRAWS, seed: int = 0) -> pd.DataFrame:
    """Whether groups are told apart more than they differ: individuation and exaggeration.

    Args:
        table, by, draws, seed: as in `distributions`.

    Returns:
        Index `source`; `people`, `n`, `groups`; `real` and `simulated` (mean distance between two groups' distributions
        of answers, over pairs of groups and questions; 0 means that they can't be told apart), `chance` (what `real`
        would be if the respondents were dealt to the groups at random: small groups differ by chance alone) and
        `exaggeration` (simulated over real; above 1 groups are drawn further apart than they are) with `low`, `high`.
        After the axes of CoMPosT (Cheng et al. 2023, arXiv 2310.11501), which tells them apart with a classifier.
    """
    rows = {}
    for source, own in table.groupby("source", sort=False):
        codes = _Codes(own, by)
        found = np.array(
            [[_apart(codes, codes.truth, w), _apart(codes, codes.said, w)] for w in _weights(codes, draws, seed)]
        )
        real, simulated = found[0]
        (low,), (high,) = _ends(_ratio(found[:, 1], found[:, 0])[:, None])
        row = {"people": own[ID].nunique(), "n": len(codes.person), "groups": len(codes.groups)}
        row |= {"real": real, "simulated": simulated, "chance": _dealt(codes, seed)}
        rows[source] = row | {"exaggeration": float(_ratio(simulated, real)), "low": low, "high": high}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("source")


class _Codes:
    """The answered rows of one source as numbers: person, group, question, what was said and what is true."""

    def __init__(self, own: pd.DataFrame, by: str):
        answered = own.dropna(subset=["answer", "truth", by])
        self.person, people = pd.factorize(answered[ID])
        self.group, groups = pd.factorize(answered[by])
        self.question, questions = pd.factorize(answered["prompt_id"])
        both = pd.factorize(np.concatenate([answered["answer"].to_numpy(object), answered["truth"].to_numpy(object)]))
        self.said, self.truth = np.split(both[0], 2)
        self.groups, self.people = list(groups), len(people)
        self.shape = (len(groups), len(questions), len(both[1]))

    def shares(self, answers: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Shares of the answers, groups x questions x options; missing where nobody of a group was asked."""
        place = np.ravel_multi_index((self.group, self.question, answers), self.shape)
        counts = np.bincount(place, weights, np.prod(self.shape)).reshape(self.shape)
        return _ratio(counts, counts.sum(axis=2, keepdims=True))


def _weights(codes: _Codes, draws: int, seed: int) -> Iterator[np.ndarray]:
    """How often each row counts: once, then as often as its person is drawn in each resample."""
    yield np.ones(len(codes.person))
    rng = seeds.rng("caricature", seed)
    for _ in range(draws if codes.people > 1 else 0):
        drawn = rng.integers(codes.people, size=codes.people)
        yield np.bincount(drawn, minlength=codes.people)[codes.person].astype(float)


def _ends(found: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where the middle 95% of the resamples lie; missing where half of them or more give no value."""
    resampled = found[1:]
    if not len(resampled):
        return np.full(found.shape[1:], np.nan), np.full(found.shape[1:], np.nan)
    low, high = _quietly(np.nanquantile, resampled, [0.025, 0.975])
    few = np.isnan(resampled).mean(axis=0) >= 0.5
    return np.where(few, np.nan, low), np.where(few, np.nan, high)


def _portrait(codes: _Codes, weights: np.ndarray) -> np.ndarray:
    """Distance and variety of each group, array (2, groups)."""
    said, true = codes.shares(codes.said, weights), codes.shares(codes.truth, weights)
    distance = _quietly(np.nanmean, np.abs(said - true).sum(axis=2) / 2, axis=1)
    diversity = [_quietly(np.nanmean, 1 - (share**2).sum(axis=2), axis=1) for share in (said, true)]
    return np.stack([distance, _ratio(*diversity)])


def _apart(codes: _Codes, answers: np.ndarray, weights: np.ndarray) -> float:
    """Mean total variation distance between groups, over pairs of groups and questions."""
    shares = codes.shares(answers, weights)
    one, other = np.triu_indices(len(shares), 1)
    return float(_quietly(np.nanmean, np.abs(shares[one] - shares[other]).sum(axis=2) / 2))


def _dealt(codes: _Codes, seed: int, deals: int = 50) -> float:
    """Mean distance of groups that the people were dealt to at random."""
    rng, kept, ones = seeds.rng("caricature by chance", seed), codes.group, np.ones(len(codes.person))
    of_person = np.zeros(codes.people, dtype=int)
    of_person[codes.person] = kept
    found = []
    for _ in range(deals):
        codes.group = rng.permutation(of_person)[codes.person]
        found.append(_apart(codes, codes.truth, ones))
    codes.group = kept
    return float(_quietly(np.nanmean, found))


def _ratio(part: np.ndarray | float, whole: np.ndarray | float) -> np.ndarray:
    """A quotient, missing where it would divide by zero."""
    part, whole = np.broadcast_arrays(np.asarray(part, float), np.asarray(whole, float))
    return np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)


def _quietly(function: Callable, values: np.ndarray, *args, **options) -> np.ndarray:
    """numpy's means and quantiles of what is not missing; of nothing they are missing, which is no reason to warn."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return function(values, *args, axis=options.pop("axis", 0 if args else None), **options)
