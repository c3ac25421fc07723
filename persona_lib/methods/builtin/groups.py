"""Methods that know a person's attributes, and no choice of theirs: a logit, groups' weights, the worst group first."""

import numpy as np
import pandas as pd
from scipy.optimize import minimize
from scipy.special import expit

from ..method import Method
from . import logistic
from .linear import RIDGE, Pooled

GROUP_STEPS = 3  # of Newton's method for a group's weights, which start at the pooled ones
ATTRIBUTE_RIDGE = 10.0  # precision of the prior of what attributes tell
LEAST = 20  # people below which a group is none
DRO_STEPS = 15
DRO_RATE = 20.0  # how fast the weight of a group with a larger loss grows


class Attributes(Method):
    """A logit on a person's attributes: what they tell of choices if their effects add up, without any history.

    The score is z' W a for attributes a (indicators, numbers in quarters) and differences z of two answers' features.
    Where features are indicators of the answers, this is the multinomial logit with which surveys are predicted
    (McFadden 1974), with W ~ N(0, 0.1) in each entry. Simplified: attributes do not interact.
    """

    name = "logit on attributes"
    sees = ("groups",)

    def fit(self, pairs: pd.DataFrame, people: pd.DataFrame) -> None:
        self.coding = Coding(people)
        z = self.gaps(pairs["prompt"], pairs["first"], pairs["second"])
        a = self.coding.of(people)[pairs["person"].to_numpy()]  # choices x attributes
        y = pairs["p_first"].to_numpy(float)

        def loss(theta: np.ndarray) -> tuple[float, np.ndarray]:
            w = theta.reshape(z.shape[1], -1)
            score = np.einsum("na,na->n", z @ w, a)
            gradient = z.T @ ((expit(score) - y)[:, None] * a) + ATTRIBUTE_RIDGE * w
            return ATTRIBUTE_RIDGE * (w**2).sum() / 2 - logistic.log_likelihood(score, y).sum(), gradient.ravel()

        found = minimize(loss, np.zeros(z.shape[1] * a.shape[1]), jac=True, method="L-BFGS-B")
        self.weights = found.x.reshape(z.shape[1], -1)  # dimensions x attributes

    def adapt(self, context: pd.DataFrame, person: pd.Series) -> None:
        self.own = self.weights @ self.coding.of(person.to_frame().T)[0]

    def prefer(self, prompt: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        return expit(self.gaps(prompt, first, second) @ self.own)


class Coding:
    """Attributes as groups and indicators, fixed by the training people; numbers are in quarters."""

    def __init__(self, people: pd.DataFrame):
        self.names = list(people)
        self.cuts = {}
        for name in people.select_dtypes("number"):
            self.cuts[name] = np.unique(people[name].astype(float).quantile([0.25, 0.5, 0.75]).dropna())
        self.labels = {name: people[name].dropna().unique() for name in people if name not in self.cuts}

    def group(self, people: pd.DataFrame, name: str) -> np.ndarray:
        """Return the number of each person's group by one attribute; -1 where it is missing or new."""
        if name in self.cuts:
            numbers = people[name].astype(float).to_numpy()
            return np.where(np.isnan(numbers), -1, np.searchsorted(self.cuts[name], numbers))
        return pd.Index(self.labels[name]).get_indexer(people[name])

    def of(self, people: pd.DataFrame) -> np.ndarray:
        """Return a constant and an indicator of each group: array (people, 1 + groups)."""
        columns = [np.ones(len(people))]
        for name in self.names:
            number = self.group(people, name)
            size = len(self.cuts[name]) + 1 if name in self.cuts else len(self.labels[name])
            columns += [number == g for g in range(size)]
        return np.column_stack(columns).astype(float)

    def members(self, people: pd.DataFrame) -> list[np.ndarray]:
        """Return who is in each group of at least LEAST people: arrays (people,) of 0 and 1."""
        return [column for column in self.of(people).T[1:] if column.sum() >= LEAST]


class Groups(Pooled):
    """Weights of each group, shrunk to the pooled ones, without any history (as personas of groups, SubPOP 2502.16761).

    The score is z'(w + d_g), with d_g ~ N(0, I) at its posterior mode. People are grouped by the attribute whose
    groups, learned from half of the training people, predict the other half best; numbers are in quarters. Simplified:
    SubPOP trains a language model on the distributions of a group's answers.
    """

    name = "per group"
    sees = ("groups",)

    def fit(self, pairs: pd.DataFrame, people: pd.DataFrame) -> None:
        super().fit(pairs, people)
        self.coding = Coding(people)
        z = self.gaps(pairs["prompt"], pairs["first"], pairs["second"])
        y = pairs["p_first"].to_numpy(float)
        person = pairs["person"].to_numpy()
        gains = {}
        for name in self.coding.names:
            group = self.coding.group(people, name)[person]
            gains[name] = self._gain(z, y, group, person % 2 == 0) if group.max() > 0 else 0.0
        self.by = max(gains, key=lambda name: gains[name]) if gains else None
        self.moves: dict[int, np.ndarray] = {}
        if self.by:
            group = self.coding.group(people, self.by)[person]
            self.moves = {int(g): _moves(z[group == g], y[group == g], self.weights) for g in np.unique(group)}

    def _gain(self, z: np.ndarray, y: np.ndarray, group: np.ndarray, half: np.ndarray) -> float:
        """Return by how much weights of groups, from one half, predict the other half better than the pooled ones."""
        gain = 0.0
        for g in np.unique(group):
            known, asked = (group == g) & half, (group == g) & ~half
            score = z[asked] @ self.weights
            new = score + z[asked] @ _moves(z[known], y[known], self.weights)
            gain += (logistic.log_likelihood(new, y[asked]) - logistic.log_likelihood(score, y[asked])).sum()
        return gain

    def adapt(self, context: pd.DataFrame, person: pd.Series) -> None:
        if self.by:
            group = self.coding.group(person.to_frame().T, self.by)[0]
            self.weights = self.weights + self.moves.get(int(group), np.zeros(1))


def _moves(z: np.ndarray, y: np.ndarray, pooled: np.ndarray) -> np.ndarray:
    """Return how a group's weights differ from the pooled ones: array (d,), shrunk to 0."""
    if not len(y):
        return np.zeros_like(pooled)
    return logistic.weights(z, y, RIDGE, offset=z @ pooled, steps=GROUP_STEPS)


class WorstGroup(Pooled):
    """One vector of weights for all that serves the worst group best (group-DRO: Sagawa et al. 1911.08731; 2405.20304).

    It minimizes the largest mean loss of a group: groups' weights q grow by exp(rate * loss), as all choices of a group
    get weight q. Groups are those of every attribute. The problem is convex, so that the solution is also the max-min
    one of MaxMin-RLHF (2402.08925); their mixture of reward models is left out.
    """

    name = "worst group first"
    sees = ("groups",)

    def fit(self, pairs: pd.DataFrame, people: pd.DataFrame) -> None:
        super().fit(pairs, people)
        coding = Coding(people)
        z = self.gaps(pairs["prompt"], pairs["first"], pairs["second"])
        y = pairs["p_first"].to_numpy(float)
        person = pairs["person"].to_numpy()
        inside = np.array([member[person] for member in coding.members(people)])  # groups x choices
        if not len(inside):
            return
        share = inside / inside.sum(axis=1, keepdims=True)
        q = np.full(len(share), 1 / len(share))
        for _ in range(DRO_STEPS):
            loss = share @ -logistic.log_likelihood(z @ self.weights, y)  # (groups,)
            q *= np.exp(DRO_RATE * (loss - loss.max()) / DRO_STEPS)
            q /= q.sum()
            self.weights = logistic.weights(z, y, RIDGE, len(y) * (q @ share), self.weights, steps=1)
