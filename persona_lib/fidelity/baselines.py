"""Baselines that a model in a respondent's place must beat: predicted answers that need no language model.

Two are computed: the majority's answer, and a multinomial logit on the attributes that the model is told.
"""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from .. import personas
from ..personas.respondents import Survey
from ..stats import intervals

MAJORITY = "the majority's answer"
LOGIT = "multinomial logit on the attributes"


def majority(survey: Survey) -> pd.DataFrame:
    """Predict, for each person, the most frequent answer of all others to each question.

    The person's own answer does not count: nobody's answer is predicted from itself. Of answers that are equally
    frequent among the others, the first in the alphabet is taken.

    Returns:
        Rows as in `interviews.ask`: `persona_id`, `prompt_id`, `source`, `answer`, `truth`, `score`, `failure`. If only
        one person answered a question, `failure` says that there are no others to learn from.
    """
    items = _answered(survey)
    most = {}  # by question and own answer
    for question, own in items.groupby("prompt_id", sort=False):
        counts = own["answer"].value_counts().sort_index()
        for answer in counts.index:
            others = counts.sub(1 * (counts.index == answer))
            most[question, answer] = others.idxmax() if others.any() else None
    keys = zip(items["prompt_id"], items["answer"], strict=True)
    predicted = pd.Series([most[key] for key in keys], items.index, dtype="str")
    return _rows(items, predicted, MAJORITY)


def logit(survey: Survey, folds: int = 5, seed: int = 0) -> pd.DataFrame:
    """Predict answers from the respondents' attributes: how much they tell a model in which their effects add up.

    Each question has its own multinomial logit, cross-validated over people: nobody's answer is predicted from a model
    that was fitted to it.

    Args:
        survey: respondents and their answers.
        folds: of the cross-validation, at most one per person.
        seed: of the folds.

    Returns:
        Rows as in `majority`. If only one person answered a question, `failure` says that there are no others to
        learn from.
    """
    features = _features(survey.people)
    items = _answered(survey)
    predicted = pd.Series(None, items.index, dtype="str")
    for _, own in items.groupby("prompt_id", sort=False):
        for train, test in _folds(len(own), folds, seed):
            predicted[own.index[test]] = _predict(features, own.iloc[train], own.iloc[test])
    return _rows(items, predicted, LOGIT)


def _answered(survey: Survey) -> pd.DataFrame:
    """Return the rows of the survey's answers that are not missing."""
    return survey.answers.dropna(subset="answer").reset_index(drop=True)


def _folds(n: int, folds: int, seed: int) -> Iterable[tuple[np.ndarray, np.ndarray]]:
    """Return the row numbers of each fold's training and test set; no fold for a single row."""
    from sklearn.model_selection import KFold  # a second, which commands that fit no logit save

    if n < 2:
        return ()
    return KFold(min(folds, n), shuffle=True, random_state=seed).split(np.zeros(n))


def _predict(features: pd.DataFrame, train: pd.DataFrame, test: pd.DataFrame) -> np.ndarray:
    """Predict the answers of the rows `test` from those of the rows `train`."""
    from sklearn.linear_model import LogisticRegression  # a second, as in `_folds`
    from sklearn.pipeline import make_pipeline  # the same
    from sklearn.preprocessing import StandardScaler  # the same

    if train["answer"].nunique() == 1:  # a logit needs two classes
        return np.repeat(train["answer"].iloc[0], len(test))
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000))
    model.fit(features.loc[train[personas.ID]].to_numpy(), train["answer"].to_numpy())
    return model.predict(features.loc[test[personas.ID]].to_numpy())


def _features(people: pd.DataFrame) -> pd.DataFrame:
    """Return the attributes as numbers: people x features.

    A category is an indicator, a missing one another category. A number has its square beside it; a missing number is
    filled with the mean and marked by an indicator.
    """
    numbers = people.select_dtypes("number").astype(float)
    filled = numbers.fillna(numbers.mean()).fillna(0.0)
    squares = (filled**2).add_suffix(" squared")
    missing = numbers.isna().add_suffix(" missing").astype(float)
    categories = pd.get_dummies(people.drop(columns=numbers.columns), dummy_na=True).astype(float)
    return pd.concat([filled, squares, missing, categories], axis=1)


def _rows(items: pd.DataFrame, answer: pd.Series, source: str) -> pd.DataFrame:
    """Return predicted answers as rows of `interviews.ask`."""
    known = answer.notna()
    score = (answer == items["answer"]).astype(float).where(known)
    failure = pd.Series("nobody else's answer to learn from", items.index, dtype="str").where(~known)
    return items[intervals.ITEM].assign(
        source=source, answer=answer, truth=items["answer"], score=score, failure=failure
    )
