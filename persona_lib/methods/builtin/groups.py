"""Methods that know a person's attributes, and no choice of theirs: a logit, groups' weights, the worst group first."""

import numpy as np
import pandas as pd
from scipy.optimize import minimize
from scipy.special import expit

from ..method import Method
from . import logistic
from .linear import RIDGE, Pooled, pooled
from .tally import Tally, tally

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
        choices = tally(self, pairs)[0]
        z, pair, person, y = choices
        a = self.coding.of(people)  # people x attributes

        def loss(theta: np.ndarray) -> tuple[float, np.ndarray]:
            w = theta.reshape(z.shape[1], -1)
            score = np.einsum("na,na->n", (z @ w).take(pair, 0), a.take(person, 0))
            gradient = z.T @ (choices.spread(expit(score) - y) @ a) + ATTRIBUTE_RIDGE * w
            return ATTRIBUTE_RIDGE * (w**2).sum() / 2 - logistic.log_likelihood(score, y).sum(), gradient.ravel()

        found = minimize(loss, np.zeros(z.shape[1] * a.shape[1]), jac=True, method="L-BFGS-B")
        self.weights = found.x.reshape(z.shape[1], -1)  # dimensions x attributes

    def adapt(self, context: pd.DataFrame, person: pd.Series) -> None:
        self.own = self.weights @ self.coding.of(person)[0]

    def prefer(self, prompt: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        return expit(self.gaps(prompt, first, second) @ self.own)


class Coding:
    """Attributes as groups and indicators, fixed by the training people; numbers are in quarters."""

    def __init__(self, people: pd.DataFrame):
        self.names = list(people)
        self.cuts = {}
        for name in people.select_dtypes("number"):
            self.cuts[name] = np.unique(people[name].astype(float).quantile([0.25, 0.5, 0.75]).dropna())
        self.labels = {
            name: {label: g for g, label in enumerate(people[name].dropna().unique())}
            for name in people
            if name not in self.cuts
        }

    def group(self, people: pd.DataFrame | pd.Series, name: str) -> np.ndarray:
        """Return the number of each person's group by one attribute; -1 where it is missing or new.

        Args:
            people: a table, or the row of one person.
            name: of the attribute.
        """
        values = [people[name]] if isinstance(people, pd.Series) else people[name]
        if name in self.cuts:
            numbers = pd.Series(values).astype(float).to_numpy()
            return np.where(np.isnan(numbers), -1, np.searchsorted(self.cuts[name], numbers))
        return np.array([self.labels[name].get(value, -1) for value in values])

    def of(self, people: pd.DataFrame | pd.Series) -> np.ndarray:
        """Return a constant and an indicator of each group: array (people, 1 + groups); `people` as in `group`."""
        columns = [np.ones(1 if isinstance(people, pd.Series) else len(people))]
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
        choices = tally(self, pairs)[0]
        self.weights = pooled(choices)
        self.coding = Coding(people)
        gains = {}
        for name in self.coding.names:
            group = self.coding.group(people, name)[choices.person]
            gains[name] = self._gain(choices, group) if group.max() > 0 else 0.0
        self.by = max(gains, key=lambda name: gains[name]) if gains else None
        self.moves: dict[int, np.ndarray] = {}
        if self.by:
            group = self.coding.group(people, self.by)[choices.person]
            self.moves = {int(g): _moves(choices, group == g, self.weights) for g in np.unique(group)}

    def _gain(self, choices: Tally, group: np.ndarray) -> float:
        """Return by how much weights of groups, from half of the people, predict the others better than pooled ones.

        Args:
            choices: of all people.
            group: array (n,), that of who chose.
        """
        half, score = choices.person % 2 == 0, choices.z @ self.weights
        gain = 0.0
        for g in np.unique(group):
            new = score + choices.z @ _moves(choices, (group == g) & half, self.weights)
            asked = (group == g) & ~half
            pair, y = choices.pair[asked], choices.y[asked]
            gain += (logistic.log_likelihood(new[pair], y) - logistic.log_likelihood(score[pair], y)).sum()
        return gain

    def adapt(self, context: pd.DataFrame, person: pd.Series) -> None:
        if self.by:
            group = self.coding.group(person, self.by)[0]
            self.weights = self.weights + self.moves.get(int(group), np.zeros(1))


def _moves(choices: Tally, chosen: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return how a group's weights differ from the pooled ones: array (d,), shrunk to 0; `chosen` are its choices."""
    known = choices.of(chosen)
    mean, n = known.means()
    return logistic.weights(known.z, mean, RIDGE, n, offset=known.z @ weights, steps=GROUP_STEPS)


class WorstGroup(Pooled):
    """One vector of weights for all that serves the worst group best (group-DRO: Sagawa et al. 1911.08731; 2405.20304).

    It minimizes the largest mean loss of a group: groups' weights q grow by exp(rate * loss), as all choices of a group
    get weight q. Groups are those of every attribute. The problem is convex, so that the solution is also the max-min
    one of MaxMin-RLHF (2402.08925); their mixture of reward models is left out.
    """

    name = "worst group first"
    sees = ("groups",)

    def fit(self, pairs: pd.DataFrame, people: pd.DataFrame) -> None:
        choices = tally(self, pairs)[0]
        self.weights = pooled(choices)
        inside = np.array(Coding(people).members(people))  # groups x people
        if not len(inside):
            return
        n, wins = ((choices.spread(of) @ inside.T).T for of in (np.ones_like(choices.y), choices.y))  # groups x pairs
        mean, share = wins / np.maximum(n, 1), n / n.sum(axis=1, keepdims=True)
        q = np.full(len(share), 1 / len(share))
        for _ in range(DRO_STEPS):
            loss = -(share * logistic.log_likelihood(choices.z @ self.weights, mean)).sum(axis=1)  # (groups,)
            q *= np.exp(DRO_RATE * (loss - loss.max()) / DRO_STEPS)
            q /= q.sum()
            sample = q @ share
            y = q @ (share * mean) / np.where(sample > 0, sample, 1)
            self.weights = logistic.weights(choices.z, y, RIDGE, len(choices.y) * sample, self.weights, steps=1)
