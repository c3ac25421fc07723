"""A method that chooses what to know of a person: it asks about the pairs of answers that tell most."""

import numpy as np
import pandas as pd
from scipy.special import expit

from . import logistic
from .latent import LowRank


class Active(LowRank):
    """Low rank with k choices that the method picks, one after another, from the person's history (PReF 2503.06358).

    With S = (I / v + sum of p (1 - p) b b')^-1 over the choices that are known, the posterior covariance of a person's
    place at its mode (Laplace), the next is the pair with the largest p (1 - p) b'S b: the one whose answer is expected
    to shrink the determinant of S most. b = B'z is the pair in the directions of `LowRank`, and p what the mode
    predicts. It asks about all where there are fewer than k. Simplified: PReF asks about the pair whose score is most
    uncertain, by the theory of logistic bandits; here pairs are those of the person's history, one for each prompt.
    Pep (2602.15012) chooses its questions by what their answers are expected to tell, too.
    """

    name = "low rank, pairs asked"
    sees = ("questions",)

    def adapt(self, context: pd.DataFrame, person: pd.Series) -> None:
        score, own = self.parts(self.pool["prompt"], self.pool["first"], self.pool["second"])
        asked: list[int] = []
        chosen: list[float] = []
        self.at = np.zeros(own.shape[1])
        for _ in range(min(self.questions, len(self.pool))):
            p = expit(score + own @ self.at)
            weight = p * (1 - p)
            precision = np.eye(own.shape[1]) + self.variance * (own[asked].T * weight[asked]) @ own[asked]
            gain = weight * np.einsum("nr,nr->n", own, np.linalg.solve(precision, own.T).T)
            gain[asked] = -np.inf
            asked.append(int(np.argmax(gain)))
            chosen.append(self.choose(asked[-1]))
            a = logistic.moved(own[asked], np.array(chosen), score[asked], self.variance)
            self.at = self.variance * own[asked].T @ a
