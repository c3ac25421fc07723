"""Simulated answers, corrected by how training people really chose and by the person's own k choices."""

from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit, logit

from ... import seeds
from ..method import Embed
from . import logistic
from .latent import LowRank
from .linear import VARIANCES, half_likelihood
from .prompted import Profile

SIMULATED = 1000  # choices of training people that are simulated: each takes two calls
EACH = 20  # of these per person, at most: more people say more than more choices
RIDGES = (1000.0, 100.0, 10.0, 1.0, 0.1, 0.01)  # tried: how closely the correction stays at none
SHARPEST = 0.01  # probability, and 1 - it: a simulated answer counts as no more certain


class Calibrated(Profile):
    """Simulated answers with post-hoc calibration (after SYN-DIGITS 2604.07513).

    The model answers in a person's place (`Profile`): t_ij is the logit of its probability in choice j of person i.

    1. The simulated answers of training people tell in which directions B people differ: t_ij = z_j'(w + B u_i), by
       `LowRank`, with differences z_j of two answers' features.
    2. What training people really chose tells how simulated answers are wrong: logit p_ij = c t_ij + z_j'd. c and d are
       the posterior mode under c ~ N(1, 1/r) and d ~ N(0, I/r), with the r of RIDGES under which half of the people
       predict the other half best. A large r corrects nothing.
    3. A new person is logit p_ij = c t_ij + z_j'd + z_j'B s_i with s_i ~ N(0, v I), the posterior mode given their k
       choices. v is the variance under which half of the training people's choices predict the other half best.

    1 and 3 are the paper's idea: how answers to different questions go together is learned from simulated people, and
    transferred to real ones, of whom answers to some reference questions are known. Simplified: the paper fills missing
    answers in by low rank, regresses the simulated answers to a new question on those to the reference questions, and
    applies these weights to people's own answers. Here hardly two people choose between the same answers, so that a
    question's column is linear in features. Step 2 is plain logistic calibration. The paper's weights of simulated
    people, which correct distributions of answers, are left out.

    Args:
        embed, model, seed: as in `Method`.
        simulated: choices of training people that are simulated, at most; each takes two calls. Those of a new person
            take two calls for each of the k choices and each tested one. Where a simulated answer to one of the known
            choices shows no preference, that choice is left out.

    Raises:
        UserError: there is no model.
    """

    name = "profile in the prompt, calibrated"
    sees = ("history", "profile")

    def __init__(self, embed: Embed, model: Any = None, seed: int = 0, simulated: int = SIMULATED):
        super().__init__(embed, model, seed)
        self.simulated = simulated

    def fit(self, pairs: pd.DataFrame, people: pd.DataFrame) -> None:
        few = self._drawn(pairs[pairs["person"].map(people["profile"] != "")])
        if few.empty:
            raise ValueError("no training person has a profile")
        told = [{"persona": profile} for profile in few["person"].map(people["profile"])]
        p = self.chances(told, *(few[side].to_numpy() for side in ("prompt", "first", "second")))
        few = few.assign(simulated=p).dropna(subset="simulated")
        few = few.assign(person=pd.factorize(few["person"])[0])
        twins = LowRank(self.embed, seed=self.seed)
        twins.fit(few.assign(p_first=few["simulated"]), people)
        self.basis = twins.basis  # d x rank
        t, z = _logit(few["simulated"]), self.gaps(few["prompt"], few["first"], few["second"])
        y = few["p_first"].to_numpy(float)
        self.correction = _correction(t, z, y, few["person"].to_numpy() % 2 == 0)
        fits = half_likelihood(*self._parts(t, z), y, few["person"].to_numpy(), VARIANCES)
        self.variance = VARIANCES[int(np.argmax(fits))]

    def _drawn(self, pairs: pd.DataFrame) -> pd.DataFrame:
        """Return the choices to simulate: at most EACH of a person, of people drawn at random."""
        rng = seeds.rng("choices simulated", self.seed)
        mixed = pairs.iloc[rng.permutation(len(pairs))]
        mixed = mixed[mixed.groupby("person").cumcount() < EACH]
        turn = mixed["person"].map({person: i for i, person in enumerate(mixed["person"].unique())})
        return mixed.iloc[turn.argsort(kind="stable")].head(self.simulated)

    def _parts(self, t: np.ndarray, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the corrected scores (n,) and the directions in which people differ (n, rank)."""
        return t + np.column_stack([t, z]) @ self.correction, z @ self.basis

    def adapt(self, context: pd.DataFrame, person: pd.Series) -> None:
        super().adapt(context, person)
        self.at = np.zeros(self.basis.shape[1])
        if context.empty:
            return
        shown = [context[side].to_numpy() for side in ("prompt", "first", "second")]
        p = super().prefer(*shown)
        known = ~np.isnan(p)
        score, own = self._parts(_logit(p[known]), self.gaps(*(side[known] for side in shown)))
        y = context["p_first"].to_numpy(float)[known]
        self.at = logistic.place(own, y, score, self.variance)

    def prefer(self, prompt: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        p = super().prefer(prompt, first, second)
        score, own = self._parts(_logit(p), self.gaps(prompt, first, second))
        return expit(score + own @ self.at)


def _correction(t: np.ndarray, z: np.ndarray, y: np.ndarray, half: np.ndarray) -> np.ndarray:
    """Return c - 1 and d of `Calibrated`: array (1 + d,).

    Args:
        t, z, y: arrays (n,), (n, d), (n,): simulated logits, differences of features, and what people chose.
        half: array (n,), whether the choice is of a person of the first half.
    """
    x = np.column_stack([t, z])

    def fit(ridge: float) -> float:
        total = 0.0
        for known in (half, ~half):
            found = logistic.weights(x[known], y[known], ridge, offset=t[known])
            total += logistic.log_likelihood(t[~known] + x[~known] @ found, y[~known]).sum()
        return total

    return logistic.weights(x, y, max(RIDGES, key=fit), offset=t)


def _logit(p: np.ndarray | pd.Series) -> np.ndarray:
    return logit(np.clip(np.asarray(p, dtype=float), SHARPEST, 1 - SHARPEST))
