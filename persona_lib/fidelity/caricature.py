"""Caricature: how simulated answers portray groups of respondents, beside the real answers of the same people.

Three questions for each group: how near are the simulated answers, do they flatten the group (too little variety within
it), and do they exaggerate (too much difference between groups)? Tables in, tables out; no model is asked. Intervals
are by the jackknife over respondents.
"""

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
from scipy import special

from .. import seeds
from ..personas import ID
from ..stats.clustering import FEW

DEALS = 50  # random swaps of said and real answers, and random assignments of respondents to groups
TAIL = 0.975
WIDEST = 100.0  # an interval whose ends are further from the ratio than this factor says nothing


def distributions(table: pd.DataFrame, by: str, seed: int = 0) -> pd.DataFrame:
    """Compare the distribution of each group's simulated answers with that of its real ones.

    Args:
        table: columns `persona_id`, `prompt_id`, `source`, `answer` (simulated), `truth` (real), and `by`.
        by: the column with the groups, an attribute of the respondents.
        seed: of the random swaps.

    Returns:
        Index `source`, `by`; columns `people`, `n` (answers), `failed`, `distance` (between the simulated and the real
        distribution of answers, 0 to 1: root of half the unbiased squared Euclidean distance, the mean over questions;
        for two options it is the total variation distance, and it is 0 where the answers show no difference) with
        `distance_low`, `distance_high`, `chance` (the distance that 95 in 100 random swaps of said and real answers
        within respondents stay below), and `variety` (Gini-Simpson diversity of the simulated answers within the group
        over that of the real ones, each a mean over questions; below 1 the model flattens the group; missing if all
        real answers are the same) with `variety_low`, `variety_high`; `note` on few people and few answers.
    """
    parts = []
    for source, own in table.groupby("source", sort=False):
        codes = _Codes(own, by)
        rows = [_portrait(codes, group, seed) for group in range(len(codes.groups))]
        groups = own.groupby(by, sort=False)
        n = groups["answer"].count()
        counts = pd.DataFrame({"people": groups[ID].nunique(), "n": n, "failed": groups["answer"].size() - n})
        parts.append(counts.join(pd.DataFrame(rows, codes.groups, PORTRAIT)).assign(source=source))
    if not parts:
        parts = [pd.DataFrame(columns=["source", "people", "n", "failed", *PORTRAIT])]
    return pd.concat(parts).rename_axis(by).set_index("source", append=True).swaplevel()


PORTRAIT = ["distance", "distance_low", "distance_high", "chance", "variety", "variety_low", "variety_high", "note"]


def caricature(table: pd.DataFrame, by: str, seed: int = 0) -> pd.DataFrame:
    """Compare how far groups lie apart in the simulated answers and in the real ones: individuation and exaggeration.

    The two are the axes of CoMPosT (Cheng et al. 2023, arXiv 2310.11501), which measures them with a classifier.

    Args:
        table, by, seed: as in `distributions`.

    Returns:
        Index `source`; columns `people`, `n`, `groups`; `real` and `simulated` (distance between two groups'
        distributions of answers: root of half the unbiased squared Euclidean distance, the mean over pairs of groups
        and questions; for two options it is the total variation distance, and it is 0 where the answers show no
        difference), `chance` and `simulated_chance` (the distance that 95 in 100 random assignments of respondents to
        groups stay below) and `exaggeration` (simulated over real; above 1 the model draws groups further apart than
        they are; missing where the real answers show no difference) with `low`, `high`; `note` on why there is no
        interval, or on groups of few people.

    The squared distances are free of the noise of small groups (Simpson 1949); plain ones pull the ratio towards 1.
    Student's t of the interval has as many degrees of freedom as the smallest group has people, less one.
    """
    rows = {}
    for source, own in table.groupby("source", sort=False):
        codes = _Codes(own, by)
        squares = np.array([_between(codes.counts(a)) for a in (codes.truth, codes.said)])
        real, simulated = _root(squares)
        ratio = float(_ratio(simulated, real))
        left_out = np.array([[_between(c) for c in codes.without(a)] for a in (codes.truth, codes.said)])  # 2 x people
        fewest = pd.Series(codes.person).groupby(codes.group).nunique().min()
        log = np.log(ratio) if ratio > 0 else np.nan
        low, high = np.exp(_jackknife(log, _log_root_ratio(left_out), fewest - 1))
        low, high = (low, high) if high <= WIDEST * ratio else (np.nan, np.nan)
        chances = [_by_chance(codes, a, seed) for a in (codes.truth, codes.said)]
        rows[source] = {
            "people": own[ID].nunique(),
            "n": len(codes.person),
            "groups": len(codes.groups),
            "real": real,
            "chance": chances[0],
            "simulated": simulated,
            "simulated_chance": chances[1],
            "exaggeration": ratio,
            "low": float(low),
            "high": float(high),
            "note": _note(squares, fewest, bool(np.isnan(low))),
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

    def counts(self, answers: np.ndarray) -> np.ndarray:
        """Return how many of each group gave each answer, from codes of answers: groups x questions x options."""
        cell = np.ravel_multi_index((self.group, self.question, answers), self.shape)
        return np.bincount(cell, minlength=np.prod(self.shape)).reshape(self.shape).astype(float)

    def without(self, answers: np.ndarray) -> Iterator[np.ndarray]:
        """Yield these counts without each respondent in turn."""
        counts, rows = self.counts(answers), np.argsort(self.person, kind="stable")
        for own in np.split(rows, np.searchsorted(self.person[rows], np.arange(1, self.people))):
            less = counts.copy()
            np.subtract.at(less, (self.group[own], self.question[own], answers[own]), 1.0)
            yield less


def _between(counts: np.ndarray) -> float:
    """Return the unbiased squared Euclidean distance of two groups, the mean over pairs of groups and questions.

    Args:
        counts: groups x questions x options.
    """
    n = counts.sum(axis=2)  # groups x questions
    shares = _ratio(counts, n[..., None])
    noise = _ratio(1 - (shares**2).sum(axis=2), n - 1)  # missing for fewer than two people
    one, other = np.triu_indices(len(counts), 1)
    squares = ((shares[one] - shares[other]) ** 2).sum(axis=2) - noise[one] - noise[other]
    return float(_quietly(np.nanmean, squares))


def _log_root_ratio(squares: np.ndarray) -> np.ndarray:
    """Return the log of the root of simulated over real squared distances, missing if one is not above 0.

    Args:
        squares: (real and simulated, people).
    """
    known = (squares > 0).all(axis=0)
    real, simulated = np.where(known, squares, np.nan)
    return (np.log(simulated) - np.log(real)) / 2


def _by_chance(codes: _Codes, answers: np.ndarray, seed: int) -> float:
    """Return the distance of groups that 95 in 100 random assignments of people to the groups stay below."""
    rng = seeds.rng("caricature by chance", seed)
    own_groups = codes.group
    group_of_person = np.zeros(codes.people, dtype=int)
    group_of_person[codes.person] = own_groups
    squares = []
    for _ in range(DEALS):
        codes.group = rng.permutation(group_of_person)[codes.person]
        squares.append(_between(codes.counts(answers)))
    codes.group = own_groups
    return _most(np.array(squares))


def _most(squares: np.ndarray) -> float:
    """Return the distance that 95 in 100 of such squared ones by chance stay below."""
    return float(_root(_quietly(np.nanquantile, squares, 0.95, method="weibull")))


def _root(squares: np.ndarray | float) -> np.ndarray:
    """Return distances from unbiased squared ones, which can be below 0."""
    return np.sqrt(np.maximum(squares, 0) / 2)


def _note(squares: np.ndarray, fewest: int, missing: bool) -> str:
    """Return what to mind of real and simulated squared distances, `fewest` people in a group, a missing interval."""
    real, simulated = squares
    reasons = {
        "fewer than two groups of two people or more: no distance": np.isnan(real),
        "no difference in the real answers: no ratio": real <= 0,
        "no difference in the simulated answers: no interval": simulated <= 0,
        "too few people: no interval" if missing else "too few people": fewest < FEW,
        "groups hardly differ: no interval": missing,
    }
    return next((reason for reason, holds in reasons.items() if holds), "")


def _portrait(codes: _Codes, group: int, seed: int) -> list[float | str]:
    """Return the columns PORTRAIT of one group."""
    rows = codes.group == group
    person = pd.factorize(codes.person[rows])[0]
    people = int(person.max()) + 1
    shape = (people, *codes.shape[1:])
    said = np.zeros(shape)  # people x questions x options: 1 where this is the answer
    truth = np.zeros(shape)
    said[person, codes.question[rows], codes.said[rows]] = 1
    truth[person, codes.question[rows], codes.truth[rows]] = 1
    known = truth.sum(axis=(0, 2)) > 0  # questions
    said, truth = said[:, known], truth[:, known]
    asked = truth.sum(axis=2)  # people x questions
    turns = seeds.rng("caricature", seed).choice([-1.0, 1.0], (DEALS, people))
    swapped = np.einsum("dp,pqk->dqk", turns, said - truth)
    squares = ((said - truth) ** 2).sum(axis=(0, 2))  # questions; a swap changes no square
    chance = _most(_unbiased(swapped, squares, asked.sum(axis=0)))
    said_left, truth_left = (answers.sum(axis=0) - answers for answers in (said, truth))
    left_out = _quietly(np.log, _ratio(_diversity(said_left), _diversity(truth_left)))
    variety = float(_ratio(_diversity(said.sum(axis=0)), _diversity(truth.sum(axis=0))))
    log = np.log(variety) if variety > 0 else np.nan
    ends = np.exp(_jackknife(log, np.where(np.isfinite(left_out), left_out, np.nan), people - 1))
    notes = {"too few people": people < FEW, "answers too much alike: no interval of the variety": np.isnan(ends[0])}
    return [*_distance(said - truth, asked), chance, variety, *ends, "; ".join(text for text in notes if notes[text])]


def _unbiased(sums: np.ndarray, squares: np.ndarray, n: np.ndarray) -> np.ndarray:
    """Return the unbiased square of a mean vector, the mean over questions: the mean product of two respondents' parts.

    Args:
        sums: of respondents' vectors, ... x questions x options.
        squares: sums of their squared lengths, ... x questions.
        n: respondents, ... x questions.
    """
    return _quietly(np.nanmean, _ratio((sums**2).sum(axis=-1) - squares, n * (n - 1)), axis=-1)


def _distance(delta: np.ndarray, asked: np.ndarray) -> tuple[float, float, float]:
    """Return the distance of said from real answers and the ends of its interval.

    Two jackknife intervals, of the squared distance and of the projection of the respondents' differences on their
    mean, are each too short where the other one holds: near 0 the first alone is right in many dimensions, and the
    second in one. The outer ends are taken.

    Args:
        delta: said less real answers, people x questions x options: -1, 0 or 1.
        asked: people x questions: 1 where a respondent was asked.
    """
    (people, questions), n = asked.shape, asked.sum(axis=0)
    sums, own = delta.sum(axis=0), (delta**2).sum(axis=2)  # questions x options, people x questions
    squares = own.sum(axis=0)
    whole = float(_unbiased(sums, squares, n))
    distance = float(_root(whole))
    low, high = _root(_jackknife(whole, _unbiased(sums - delta, squares - own, n - asked), people - 1))
    # Each respondent's part in the length of the mean, and two respondents more who decide all the other way, so that
    # few people who agree do not look certain. Without a mean, all of their differences count.
    mean = sums / n[:, None]
    part = (delta * mean / n[:, None]).sum(axis=(1, 2)) * people / max(np.sqrt((mean**2).sum()), 1e-12)
    spread = ((part - part.mean()) ** 2).sum() if mean.any() else own.sum()
    error = np.sqrt((spread + 4) / 2 / questions / (people + 1) / (people + 2))
    half = special.stdtrit(people - 1, TAIL) * error
    middle = np.hypot(distance, error)  # unlike the distance, a projection keeps its own noise
    low, high = np.clip([np.minimum(low, middle - half), np.maximum(high, middle + half)], 0, 1)
    return distance, float(low), float(high)


def _diversity(counts: np.ndarray) -> np.ndarray:
    """Return the unbiased Gini-Simpson diversity of counts (... x questions x options), mean over questions."""
    n = counts.sum(axis=-1)
    return _quietly(np.nanmean, _ratio(n * n - (counts**2).sum(axis=-1), n * (n - 1)), axis=-1)


def _jackknife(whole: float, left_out: np.ndarray, df: int) -> np.ndarray:
    """Return the ends of a 95% interval by the jackknife; missing if a value without one respondent is.

    Args:
        whole: the statistic.
        left_out: its value without each respondent in turn.
        df: degrees of freedom; without any there is no interval.
    """
    n = len(left_out)
    if df < 1 or np.isnan(left_out).any() or np.isnan(whole):
        return np.full(2, np.nan)
    values = n * whole - (n - 1) * left_out
    half = special.stdtrit(df, TAIL) * values.std(ddof=1) / np.sqrt(n)
    return np.array([whole - half, whole + half])


def _ratio(part: np.ndarray | float, whole: np.ndarray | float) -> np.ndarray:
    """Divide; the quotient is missing if the divisor is 0."""
    part, whole = np.broadcast_arrays(np.asarray(part, float), np.asarray(whole, float))
    return np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)


def _quietly(function: Callable[..., np.ndarray], values: np.ndarray, *args: Any, **options: Any) -> np.ndarray:
    """Call numpy's `nanmean` or `nanquantile` without its warning where all values are missing; the result is, too."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return function(values, *args, **options)
