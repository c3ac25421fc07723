"""What methods ask of a language model: calls and tokens, as if no reply had been kept from before."""

from typing import Any

import numpy as np
import pandas as pd

COSTS = ("calls", "tokens", "fit_calls", "fit_tokens")


class Meter:
    """Reads how much has been asked of models, of which some may be None or the same."""

    def __init__(self, *models: Any):
        self._models = list({id(model): model for model in models if model is not None}.values())

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
