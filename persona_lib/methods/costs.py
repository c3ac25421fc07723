"""What methods ask of a language model: calls and tokens, as if no reply had been kept from before."""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
import pandas as pd

from ..model import Model
from ..model.limits.usage import workload
from ..model.together import together

S = TypeVar("S")
T = TypeVar("T")

COSTS = ("calls", "tokens", "fit_calls", "fit_tokens")


class Metered(NamedTuple, Generic[T]):
    """What came of one piece of work: its `value`, None if it was given up; seconds; calls and tokens, array (2,)."""

    value: T | None
    seconds: float
    used: np.ndarray


class Meter:
    """Reads how much has been asked of models, of which some may be None or the same."""

    def __init__(self, *models: Any):
        self._models = list({id(model): model for model in models if model is not None}.values())

    def each(
        self, work: Callable[[S], T], items: Sequence[S], over: Callable[[S, float], bool] = lambda item, seconds: False
    ) -> Iterator[Metered[T]]:
        """Do `work` on every item, and yield in their order what came of it, and what it asked.

        Work that asks a `Model` goes side by side (`together`, where the arguments stand), any other one after the
        other.
        """
        if self._models and all(isinstance(model, Model) for model in self._models):
            for ended in together(work, items, over):
                yield Metered(ended.value, ended.seconds, np.array(workload([ended.used]), float))
            return
        last, goes_on = self.read(), True
        for item in items:
            began = time.monotonic()
            value = work(item) if goes_on else None
            seconds = time.monotonic() - began
            goes_on = goes_on and not over(item, seconds)
            before, last = last, self.read()
            yield Metered(value, seconds, last - before)

    def read(self) -> np.ndarray:
        """Return calls and tokens so far: array (2,), missing where a model does not count them (`Model.workload`)."""
        unknown = (np.nan, np.nan)
        return np.sum([(0, 0), *(getattr(model, "workload", unknown) for model in self._models)], axis=0, dtype=float)


def table(predictions: pd.DataFrame) -> pd.DataFrame:
    """Return what each method asks for one person, and what it asks to learn from the training people.

    Replies that the store held count like others: whoever has no such store pays for them. Those of the model that
    plays a person are among them.

    Args:
        predictions: of `trial.run`.

    Returns:
        One row per `method` and `k`: `calls` and `tokens` (prompts and replies), means over `people` for whom there is
        a prediction, and all draws; `fit_calls` and `fit_tokens`, once. 0 for methods that need no model, missing where
        a model counts nothing.
    """
    served = predictions.dropna(subset="p_first").drop_duplicates(["method", "k", "draw", "persona_id"])
    groups = served.groupby(["method", "k"], observed=True)
    return groups.agg(people=("persona_id", "nunique"), **{name: (name, "mean") for name in COSTS}).reset_index()
