"""Methods whose utility is linear in an answer's embedding: one for all people, and one for each person.

Choices are logistic in the difference of two utilities (Bradley & Terry 1952).
"""

from typing import ClassVar

import numpy as np
import pandas as pd
from scipy.special import expit

from ..method import Method, Texts
from . import logistic

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
        z = self.gaps(pairs["prompt"], pairs["first"], pairs["second"])
        self.weights = logistic.weights(z, pairs["p_first"].to_numpy(), RIDGE)

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
        super().fit(pairs, people)
        self.choose_variance(pairs)

    def choose_variance(self, pairs: pd.DataFrame) -> None:
        """Set `variance` to the one under which half of a person's choices predict the other half best."""
        few = pairs[pairs["person"].isin(pairs["person"].unique()[:TRIED])]
        score, own = self.parts(few["prompt"], few["first"], few["second"])
        fits = [half_likelihood(score, own, few, variance) for variance in VARIANCES]
        self.variance = VARIANCES[int(np.argmax(fits))]

    def place(self, context: pd.DataFrame) -> np.ndarray:
        """Return where a person stands in the directions of `parts`, from their choices: array (r,)."""
        score, own = self.parts(context["prompt"], context["first"], context["second"])
        y = context["p_first"].to_numpy(float)
        return self.variance * own.T @ logistic.moved(own, y, score, self.variance)

    def adapt(self, context: pd.DataFrame, person: pd.Series) -> None:
        self.at = self.place(context)

    def prefer(self, prompt: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        score, own = self.parts(prompt, first, second)
        return expit(score + own @ self.at)


def half_likelihood(score: np.ndarray, own: np.ndarray, pairs: pd.DataFrame, variance: float) -> float:
    """Return the log likelihood of half of each person's choices, given the other half.

    Args:
        score: array (n,), for everybody.
        own: array (n, r), the directions in which people may differ.
        pairs: n choices, columns `person` and `p_first`.
        variance: of people in each direction.
    """
    y = pairs["p_first"].to_numpy(float)
    total = 0.0
    for rows in pairs.groupby("person").indices.values():
        known, asked = rows[::2], rows[1::2]
        s = variance * own[known].T @ logistic.moved(own[known], y[known], score[known], variance)
        total += logistic.log_likelihood(score[asked] + own[asked] @ s, y[asked]).sum()
    return total
