"""Methods that learn in which few directions people differ, and place a person in them from their choices.

The score of a choice, its logit, is z'(w + B s): z is the difference of two answers' features, w is shared, the columns
of B are directions, s is the person's place. All of them learn w and B from the training people's choices, and differ
in how they find s.
"""

import numpy as np
import pandas as pd
from scipy.optimize import minimize
from scipy.special import expit

from ... import seeds
from ..method import Texts
from . import logistic
from .linear import RIDGE, Shrunk, best_variance, half_likelihood, pooled
from .tally import Tally, once, tally

RANK = 12  # directions, at most
LEFT_OUT = 0.2  # share of training people whose choices decide how many directions there are
STEPS = 15  # of L-BFGS
# Precision of the prior of directions. With places of variance 1 beside them, a weaker one fits noise: in simulated
# worlds and in the GSS, low rank then predicts worse, and knows less than it claims.
NARROW = 3.0
PROTOTYPES = 8
CONTEXTS = (2, 4, 8, 16, 32)  # sizes from which the encoder learns
ENCODER_RIDGE = (0.01, 0.1, 1.0, 10.0, 100.0)


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
        self.weights, self.basis, self.places, self.variance = learned(tally(self, pairs)[0])

    def parts(self, prompt: Texts, first: Texts, second: Texts) -> tuple[np.ndarray, np.ndarray]:
        z = self.gaps(prompt, first, second)
        return z @ self.weights, z @ self.basis


@once
def learned(choices: Tally) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Return weights (d,), directions (d, rank), places of training people (people, rank), and the places' variance."""
    n = choices.person.max() + 1
    order = seeds.rng("training people left out", 0).permutation(n)  # not the last: files are often sorted
    left_out = order[choices.person] >= max(1, int((1 - LEFT_OUT) * n))
    some, others, variance = choices.of(~left_out), choices.of(left_out), 1.0
    weights, basis, places = directions(some, *start(some, min(RANK, choices.z.shape[1])))
    if left_out.any():
        rank = best_rank(others.z @ weights, others.z @ basis, others)
        weights, basis, _ = directions(some, weights, basis[:, :rank], places[:, :rank])
        # For directions of this number: more of them are longer.
        variance = best_variance(others.z @ weights, others.z @ basis, others)
    return *directions(choices, weights, basis, np.zeros((n, basis.shape[1]))), variance


def best_rank(score: np.ndarray, own: np.ndarray, choices: Tally) -> int:
    """Return how many directions, from none, predict the choices of people who were left out best.

    Args:
        score, own, choices: as in `linear.best_variance`.
    """
    score, own = score[choices.pair], own[choices.pair]
    ranks = range(own.shape[1] + 1)
    return int(np.argmax([half_likelihood(score, own[:, :r], choices.y, choices.person, [1.0]) for r in ranks]))


def start(choices: Tally, rank: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return where `directions` begins: pooled weights, the main directions of people's residuals, and their places."""
    weights = pooled(choices)
    residual = choices.spread(choices.y - expit(choices.z @ weights)[choices.pair])
    by_person = residual.T @ choices.z  # people x d
    vectors = np.linalg.svd(by_person, full_matrices=False)[2][:rank].T  # d x rank
    scale = np.sqrt(len(vectors) / rank)
    return weights, vectors * scale, by_person @ vectors / scale


def directions(
    choices: Tally, weights: np.ndarray, basis: np.ndarray, places: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return shared weights (d,), directions (d, rank) and places (people, rank) of the highest posterior.

    Args:
        choices: of all people.
        weights, basis, places: where L-BFGS begins.

    Returns:
        Directions fall in order of how much they divide people; places have a variance of 1 in each.
    """
    d, rank = basis.shape
    if not rank:
        return pooled(choices), basis, places
    ends = np.cumsum([d, d * rank])
    z, pair, person, y = choices

    def split(theta: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        w, b, s = np.split(theta, ends)
        return w, b.reshape(d, rank), s.reshape(-1, rank)

    def loss(theta: np.ndarray) -> tuple[float, np.ndarray]:
        w, b, s = split(theta)
        along = z @ b  # pairs x rank
        score = (z @ w)[pair] + np.einsum("nr,nr->n", along.take(pair, 0), s.take(person, 0))
        off = choices.spread(expit(score) - y)  # pairs x people
        of_basis = z.T @ (off @ s) + NARROW * b
        gradient = [z.T @ off.sum(axis=1) + RIDGE * w, of_basis.ravel(), (off.T @ along + s).ravel()]
        penalty = RIDGE * (w @ w) + NARROW * (b**2).sum() + (s**2).sum()
        return penalty / 2 - logistic.log_likelihood(score, y).sum(), np.concatenate(gradient)

    begin = np.concatenate([weights, basis.ravel(), places.ravel()])
    w, b, s = split(minimize(loss, begin, jac=True, method="L-BFGS-B", options={"maxiter": STEPS}).x)
    middle = s.mean(axis=0)  # what all share belongs into the shared weights
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
        choices, shown = tally(self, pairs)
        score, own = self.parts(*shown)
        surprise = own[choices.pair] * (choices.y - expit(score)[choices.pair])[:, None]
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
        (_, pair, person, y), shown = tally(self, pairs)
        score, own = self.parts(*shown)
        offset = score[pair] + np.einsum("nr,nr->n", own[pair], self.places[person])
        self.nearness = float(logistic.weights(self._far(*shown)[pair, None], y, RIDGE, offset=offset)[0])

    def _far(self, prompt: Texts, first: Texts, second: Texts) -> np.ndarray:
        """Return how much farther from the origin the second answer lies than the first: array (n,)."""
        one, other = (((self.embed(prompt, side) @ self.basis) ** 2).sum(axis=1) for side in (first, second))
        return (other - one) / 2

    def parts(self, prompt: Texts, first: Texts, second: Texts) -> tuple[np.ndarray, np.ndarray]:
        score, own = super().parts(prompt, first, second)
        return score + self.nearness * self._far(prompt, first, second), own
