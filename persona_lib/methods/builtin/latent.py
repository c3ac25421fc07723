"""Methods that learn in which few directions people differ, and place a person in them from their choices.

The score of a choice, its logit, is z'(w + B s): z is the difference of two answers' features, w is shared, the columns
of B are directions, s is the person's place. All of them learn w and B from the training people's choices, and differ
in how they find s. What was learned last is kept: the next of them that is fitted to the same choices takes it.
"""

from hashlib import sha256

import numpy as np
import pandas as pd
from scipy.optimize import minimize
from scipy.special import expit

from ... import seeds
from ..method import Texts
from . import logistic
from .linear import RIDGE, Shrunk, half_likelihood

RANK = 12  # directions, at most
LEFT_OUT = 0.2  # share of training people whose choices decide how many directions there are
STEPS = 15  # of L-BFGS
# Precision of the prior of directions. With places of variance 1 beside them, a weaker one fits noise: in simulated
# worlds and in the GSS, low rank then predicts worse, and knows less than it claims.
NARROW = 3.0
PROTOTYPES = 8
CONTEXTS = (2, 4, 8, 16, 32)  # sizes from which the encoder learns
ENCODER_RIDGE = (0.01, 0.1, 1.0, 10.0, 100.0)
# The choices' hash -> weights, basis, places and variance of the last fit of `LowRank`, half of all methods' CPU time.
_LAST: dict[bytes, tuple[np.ndarray, np.ndarray, np.ndarray, float]] = {}


class LowRank(Shrunk):
    """Few directions shared by all, a place in them for each person (LoRe 2504.14439; PReF 2503.06358).

    Maximizes the posterior of w, B and all s_i with s_i ~ N(0, I), and normal priors on w and B. A new person's s is
    the posterior mode. The number of directions and the variance of s are those under which half of the choices of
    people who were left out predict the other half best; then all people are fitted. Simplified: LoRe has weights of
    rewards on a simplex; PReF also asks which pairs to know (`active.Active`).
    """

    name = "low rank"
    variance = 1.0
    basis: np.ndarray  # dimensions x rank
    places: np.ndarray  # training people x rank

    def fit(self, pairs: pd.DataFrame, people: pd.DataFrame) -> None:
        z = self.gaps(pairs["prompt"], pairs["first"], pairs["second"])
        y = pairs["p_first"].to_numpy(float)
        person = pairs["person"].to_numpy()
        key = sha256(z.tobytes() + y.tobytes() + person.tobytes()).digest()
        found = _LAST.get(key)
        if found is None:
            self._learn(pairs, z, y, person)
            found = self.weights, self.basis, self.places, self.variance
            for shared in found[:3]:
                shared.setflags(write=False)
            _LAST.clear()
            _LAST[key] = found
        self.weights, self.basis, self.places, self.variance = found

    def _learn(self, pairs: pd.DataFrame, z: np.ndarray, y: np.ndarray, person: np.ndarray) -> None:
        n = person.max() + 1
        order = seeds.rng("training people left out", 0).permutation(n)  # not the last: files are often sorted
        left_out = order[person] >= max(1, int((1 - LEFT_OUT) * n))
        some = z[~left_out], y[~left_out], np.unique(person[~left_out], return_inverse=True)[1]
        self.weights, self.basis, self.places = directions(*some, *start(*some, min(RANK, z.shape[1])))
        if left_out.any():
            rank = self._rank(pairs[left_out])
            self.weights, self.basis, _ = directions(*some, self.weights, self.basis[:, :rank], self.places[:, :rank])
            self.choose_variance(pairs[left_out])  # for directions of this number: more of them are longer
        places = np.zeros((person.max() + 1, self.basis.shape[1]))
        self.weights, self.basis, self.places = directions(z, y, person, self.weights, self.basis, places)

    def _rank(self, pairs: pd.DataFrame) -> int:
        """Return how many directions, from none, predict the choices of people who were left out best."""
        score, own = LowRank.parts(self, pairs["prompt"], pairs["first"], pairs["second"])
        return int(np.argmax([half_likelihood(score, own[:, :rank], pairs, 1.0) for rank in range(own.shape[1] + 1)]))

    def parts(self, prompt: Texts, first: Texts, second: Texts) -> tuple[np.ndarray, np.ndarray]:
        z = self.gaps(prompt, first, second)
        return z @ self.weights, z @ self.basis


def start(z: np.ndarray, y: np.ndarray, person: np.ndarray, rank: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return where `directions` begins: pooled weights, the main directions of people's residuals, and their places."""
    pooled = logistic.weights(z, y, RIDGE)
    residual = (y - expit(z @ pooled))[:, None] * z
    by_person = np.zeros((person.max() + 1, z.shape[1]))
    np.add.at(by_person, person, residual)
    vectors = np.linalg.svd(by_person, full_matrices=False)[2][:rank].T  # d x rank
    scale = np.sqrt(z.shape[1] / rank)
    return pooled, vectors * scale, by_person @ vectors / scale


def directions(
    z: np.ndarray, y: np.ndarray, person: np.ndarray, weights: np.ndarray, basis: np.ndarray, places: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return shared weights (d,), directions (d, rank) and places (people, rank) of the highest posterior.

    Args:
        z, y, person: arrays (n, d), (n,), (n,): differences of features, what was chosen, and by whom.
        weights, basis, places: where L-BFGS begins.

    Returns:
        Directions fall in order of how much they divide people; places have a variance of 1 in each.
    """
    d, rank = basis.shape
    if not rank:
        return logistic.weights(z, y, RIDGE), basis, places
    ends = np.cumsum([d, d * rank])
    order = np.argsort(person, kind="stable")
    z, y, person = z[order], y[order], person[order]
    here, starts = np.unique(person, return_index=True)

    def split(theta: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        w, b, s = np.split(theta, ends)
        return w, b.reshape(d, rank), s.reshape(-1, rank)

    def loss(theta: np.ndarray) -> tuple[float, np.ndarray]:
        w, b, s = split(theta)
        along = z @ b  # choices x rank
        score = z @ w + np.einsum("nr,nr->n", along, s[person])
        off = expit(score) - y
        of_places = s.copy()
        of_places[here] += np.add.reduceat(off[:, None] * along, starts)
        of_basis = z.T @ (off[:, None] * s[person]) + NARROW * b
        penalty = RIDGE * (w @ w) + NARROW * (b**2).sum() + (s**2).sum()
        gradient = np.concatenate([off @ z + RIDGE * w, of_basis.ravel(), of_places.ravel()])
        return penalty / 2 - logistic.log_likelihood(score, y).sum(), gradient

    begin = np.concatenate([weights, basis.ravel(), places.ravel()])
    w, b, s = split(minimize(loss, begin, jac=True, method="L-BFGS-B", options={"maxiter": STEPS}).x)
    middle = s[here].mean(axis=0)  # what all share belongs into the shared weights
    w, s = w + b @ middle, s - middle
    # B and s are known up to a change of coordinates: take the one in which the places have the covariance I.
    root = np.linalg.cholesky(s.T @ s / len(s) + 1e-9 * np.eye(rank))
    vectors, sizes, turn = np.linalg.svd(b @ root, full_matrices=False)
    return w, vectors * sizes, s @ np.linalg.inv(root).T @ turn.T


class Mixture(LowRank):
    """Prototypes of people; a person is a mixture of them by how well each explains their choices (PAL 2406.08469).

    The prototypes m_c are the centres of clusters (k-means) of the training people's places, with the clusters' shares
    as prior. p = sum over c of q_c expit(z'(w + B m_c)), q being the prototypes' posterior given the context.
    Simplified: PAL learns prototypes and a person's mixture by gradient descent.
    """

    name = "mixture of prototypes"

    def fit(self, pairs: pd.DataFrame, people: pd.DataFrame) -> None:
        from sklearn.cluster import KMeans  # a second, for which other commands need not wait

        super().fit(pairs, people)
        self.centres, self.shares = np.zeros((1, 0)), np.ones(1)  # of people who do not differ
        if not self.basis.size:
            return
        n = min(PROTOTYPES, len(self.places))
        found = KMeans(n, n_init=4, random_state=self.seed).fit(self.places)
        self.centres = found.cluster_centers_ * np.sqrt(self.variance)
        self.shares = np.bincount(found.labels_, minlength=n) / len(self.places)

    def adapt(self, context: pd.DataFrame, person: pd.Series) -> None:
        shared, own = self.parts(context["prompt"], context["first"], context["second"])
        y = context["p_first"].to_numpy(float)[:, None]
        score = shared[:, None] + own @ self.centres.T  # choices x prototypes
        log_posterior = np.log(np.maximum(self.shares, 1e-12)) + logistic.log_likelihood(score, y).sum(axis=0)
        posterior = np.exp(log_posterior - log_posterior.max())
        self.posterior = posterior / posterior.sum()

    def prefer(self, prompt: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        shared, own = self.parts(prompt, first, second)
        return expit(shared[:, None] + own @ self.centres.T) @ self.posterior


class Encoder(LowRank):
    """An encoder that places a person in one step, from the sum of what surprised the pooled model (VPL 2408.10075).

    s = m C with m = sum of (y - p) z B over the context. For each size in CONTEXTS one C is fitted by ridge regression
    to the training people's places. A context of another size takes C of the next smaller one, its m scaled to that
    size. Simplified: VPL trains a neural encoder and decoder with a variational bound.
    """

    name = "latent person, encoded"

    def fit(self, pairs: pd.DataFrame, people: pd.DataFrame) -> None:
        super().fit(pairs, people)
        score, own = self.parts(pairs["prompt"], pairs["first"], pairs["second"])
        surprise = own * (pairs["p_first"].to_numpy(float) - expit(score))[:, None]
        rng = seeds.rng("contexts of an encoder", self.seed)
        rows = [rng.permutation(rows) for rows in pairs.groupby("person").indices.values()]
        self.codes = {}
        for k in CONTEXTS if self.basis.size else ():
            enough = [person for person, own in enumerate(rows) if len(own) >= k]
            if len(enough) > 2 * self.basis.shape[1]:
                m = np.array([surprise[rows[person][:k]].sum(axis=0) for person in enough])
                self.codes[k] = _ridge(m, self.places[enough])

    def place(self, context: pd.DataFrame) -> np.ndarray:
        sizes = [k for k in self.codes if k <= len(context)]
        if not sizes:
            return np.zeros(self.basis.shape[1])
        score, own = self.parts(context["prompt"], context["first"], context["second"])
        surprise = context["p_first"].to_numpy(float) - expit(score)
        k = max(sizes)
        return (own.T @ surprise) * k / len(context) @ self.codes[k] * np.sqrt(self.variance)


def _ridge(m: np.ndarray, s: np.ndarray) -> np.ndarray:
    """Return C of s = m C by ridge regression, its penalty by leave-one-out."""
    from sklearn.linear_model import RidgeCV  # a second, for which other commands need not wait

    return np.atleast_2d(RidgeCV(ENCODER_RIDGE, fit_intercept=False).fit(m, s).coef_).T


class IdealPoints(LowRank):
    """Each person has an ideal point, and likes the answers near it (PAL-A, 2406.08469).

    The utility of an answer with features x is c (t's - |B'x|^2 / 2) + w'x, where s = B'x is where the answer lies and
    t the person's ideal point. B and t come from `LowRank`; how much nearness counts for all, c, is learned after
    them. Simplified: PAL learns the map by gradient descent, with ideal points that are mixtures of prototypes.
    """

    name = "ideal points"
    nearness = 0.0

    def fit(self, pairs: pd.DataFrame, people: pd.DataFrame) -> None:
        self.nearness = 0.0  # of an earlier fit, which `parts` would count
        super().fit(pairs, people)
        score, own = self.parts(pairs["prompt"], pairs["first"], pairs["second"])
        far = self._far(pairs["prompt"], pairs["first"], pairs["second"])
        offset = score + np.einsum("nr,nr->n", own, self.places[pairs["person"]])
        y = pairs["p_first"].to_numpy(float)
        self.nearness = float(logistic.weights(far[:, None], y, RIDGE, offset=offset)[0])

    def _far(self, prompt: Texts, first: Texts, second: Texts) -> np.ndarray:
        """Return how much farther from the origin the second answer lies than the first: array (n,)."""
        one, other = (((self.embed(prompt, side) @ self.basis) ** 2).sum(axis=1) for side in (first, second))
        return (other - one) / 2

    def parts(self, prompt: Texts, first: Texts, second: Texts) -> tuple[np.ndarray, np.ndarray]:
        score, own = super().parts(prompt, first, second)
        return score + self.nearness * self._far(prompt, first, second), own
