"""Methods whose utility is linear in an answer's embedding: one for all people, and one for each person.

Choices are logistic in the difference of two utilities (Bradley & Terry 1952).
"""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import pandas as pd
from scipy.special import expit

from ..method import Method, Texts
from . import logistic
from .tally import Tally, once, tally

RIDGE = 1.0  # precision of the prior of weights that all choices fit
VARIANCES = (0.0, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)  # of a person's own weights, tried
TRIED = 200  # people whose choices decide between them


class Pooled(Method):
    """One Bradley-Terry model of everybody's choices: it knows no person, and is the floor of every comparison.

    logit p = z'w with the difference z of two answers' features, w the posterior mode under w ~ N(0, I). PRISM-X
    (2605.13307) finds that training on one person's choices adds little to pooled, diverse ones. Simplified: there and
    in reward models a whole language model is trained, here weights of its fixed embeddings.
    """

    name = "pooled"
    sees: ClassVar[tuple[str, ...]] = ()

    def fit(self, pairs: pd.DataFrame, people: pd.DataFrame) -> None:
        self.weights = pooled(tally(self, pairs)[0])

    def prefer(self, prompt: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        return expit(self.gaps(prompt, first, second) @ self.weights)


class Shrunk(Pooled):
    """Weights of one's own, shrunk to the pooled ones (empirical Bayes, as PEBS does with ratings).

    logit p_i = z'w_i with w_i ~ N(w, v I), at its posterior mode. The variance v is the one under which half of the
    choices of training people predict the other half best. Simplified: PEBS shrinks means of ratings in closed form;
    choices need a logistic likelihood.
    """

    name = "per person, shrunk"
    sees = ("history",)

    def parts(self, prompt: Texts, first: Texts, second: Texts) -> tuple[np.ndarray, np.ndarray]:
        """Return the score for everybody (n,), and the directions in which people may differ (n, r): here all."""
        z = self.gaps(prompt, first, second)
        return z @ self.weights, z

    def fit(self, pairs: pd.DataFrame, people: pd.DataFrame) -> None:
        choices = tally(self, pairs)[0]
        self.weights = pooled(choices)
        self.variance = best_variance(choices.z @ self.weights, choices.z, choices)

    def place(self, context: pd.DataFrame) -> np.ndarray:
        """Return where a person stands in the directions of `parts`, from their choices: array (r,)."""
        score, own = self.parts(context["prompt"], context["first"], context["second"])
        own, directions = logistic.narrow(own)
        return directions @ logistic.place(own, context["p_first"].to_numpy(float), score, self.variance)

    def adapt(self, context: pd.DataFrame, person: pd.Series) -> None:
        self.at = self.place(context)

    def prefer(self, prompt: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        score, own = self.parts(prompt, first, second)
        return expit(score + own @ self.at)


@once
def pooled(choices: Tally) -> np.ndarray:
    """Return the weights that fit all choices: array (d,)."""
    mean, n = choices.means()
    return logistic.weights(choices.z, mean, RIDGE, n)


def best_variance(score: np.ndarray, own: np.ndarray, choices: Tally) -> float:
    """Return the variance under which half of a person's choices predict the other half best, of TRIED people.

    Args:
        score: array (m,) of the pairs, for everybody.
        own: array (m, r), the directions in which people may differ.
        choices: of training people.
    """
    few = np.isin(choices.person, pd.unique(choices.person)[:TRIED])
    pair = choices.pair[few]
    fits = half_likelihood(score[pair], own[pair], choices.y[few], choices.person[few], VARIANCES)
    return VARIANCES[int(np.argmax(fits))]


def half_likelihood(
    score: np.ndarray, own: np.ndarray, y: np.ndarray, person: np.ndarray, variances: Sequence[float]
) -> list[float]:
    """Return the log likelihood of half of each person's choices, given the other half, under each variance.

    Args:
        score: array (n,), for everybody.
        own: array (n, r), the directions in which people may differ.
        y: array (n,), what was chosen.
        person: array (n,), by whom.
        variances: of people in each direction.
    """
    turn = pd.Series(person).groupby(person).cumcount().to_numpy()
    rows = np.full((len(np.unique(person)), turn.max() + 1), -1)  # people x choices, -1 after a person's last
    rows[np.unique(person, return_inverse=True)[1], turn] = np.arange(len(person))
    known, asked = rows[:, ::2], rows[:, 1::2]
    z, directions = logistic.narrow(own[known] * (known >= 0)[..., None])
    others = own[asked] @ directions
    fits = []
    for variance in variances:
        place = logistic.place(z, y[known], score[known], variance, known >= 0)
        new = score[asked] + logistic.times(others, place)
        fits.append(float((logistic.log_likelihood(new, y[asked]) * (asked >= 0)).sum()))
    return fits
