"""Controls: what any method must beat, and what none may equal if it really uses a person's history.

`Longer` and `Majority` need no person. `other_history` and `shuffled` make a control of any method: the same method
with another person's history, or with the labels of the history in disorder.
"""

from typing import ClassVar

import numpy as np
import pandas as pd

from ... import seeds
from ..method import Method, title


class Longer(Method):
    """Prefers the longer answer, always: a probability of 1, 0, or 0.5 where both have as many letters."""

    name = "the longer answer"
    sees: ClassVar[tuple[str, ...]] = ()

    def prefer(self, prompt: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        lengths = [np.array([len(text) for text in side]) for side in (first, second)]
        return (1 + np.sign(lengths[0] - lengths[1])) / 2


class Majority(Method):
    """The share of training people who chose the first of exactly these two answers, in either order; 0.5 if nobody."""

    name = "majority"
    sees: ClassVar[tuple[str, ...]] = ()

    def fit(self, pairs: pd.DataFrame, people: pd.DataFrame) -> None:
        turned = pairs.rename(columns={"first": "second", "second": "first"}).assign(p_first=1 - pairs["p_first"])
        both = pd.concat([pairs, turned])
        self.shares = both.groupby(["prompt", "first", "second"])["p_first"].mean().to_dict()

    def prefer(self, prompt: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        return np.array([self.shares.get(key, 0.5) for key in zip(prompt, first, second, strict=True)])


def other_history(method: type[Method]) -> type[Method]:
    """Return a method that is shown the history of a random training person in place of one's own."""

    class Other(method):  # type: ignore[valid-type, misc]
        name = f"{title(method)}, another's history"

        def fit(self, pairs: pd.DataFrame, people: pd.DataFrame) -> None:
            super().fit(pairs, people)
            self.others = [own.drop(columns="person") for _, own in pairs.groupby("person")]
            self.rng = seeds.rng("histories of others", self.seed)

        def adapt(self, context: pd.DataFrame, person: pd.Series) -> None:
            other = self.others[self.rng.integers(len(self.others))]
            super().adapt(other.iloc[: len(context)], person)

    return Other


def shuffled(method: type[Method]) -> type[Method]:
    """Return a method whose histories' labels are put into another order."""

    class Shuffled(method):  # type: ignore[valid-type, misc]
        name = f"{title(method)}, labels shuffled"

        def fit(self, pairs: pd.DataFrame, people: pd.DataFrame) -> None:
            super().fit(pairs, people)
            self.rng = seeds.rng("histories shuffled", self.seed)

        def adapt(self, context: pd.DataFrame, person: pd.Series) -> None:
            super().adapt(
                context.assign(p_first=self.rng.permutation(context["p_first"].to_numpy(float, copy=True))), person
            )

    return Shuffled
