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
        own = own * np.sqrt(self.variance)  # in these units v is 1
        prior, at = np.eye(own.shape[1]), np.zeros(own.shape[1])
        known, chosen = np.zeros(len(own)), np.zeros(len(own))
        for _ in range(min(self.questions, len(self.pool))):
            p = expit(score + own @ at)
            precision = prior + (own.T * (known * p * (1 - p))) @ own
            at = at + np.linalg.solve(precision, (known * (chosen - p)) @ own - at)
            p = expit(score + own @ at)
            weight = p * (1 - p)
            toward = own @ np.linalg.inv(prior + (own.T * (known * weight)) @ own)  # S b of each pair
            gain = weight * (toward * own).sum(axis=1)
            row = int(np.argmax(np.where(known, -np.inf, gain)))
            known[row], chosen[row] = 1, self.choose(row)
            # Newton's method: a step for the new choice, and above one for all. After more, the same pairs are asked.
            at = at + toward[row] * (chosen[row] - p[row]) / (1 + gain[row])
        self.at = np.sqrt(self.variance) * logistic.place(own, chosen, score, 1.0, known)
