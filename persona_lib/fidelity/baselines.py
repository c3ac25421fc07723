"""What a respondent answers, guessed without a language model: the yardsticks that a model in their place must beat.

The majority's answer, and a multinomial logit on the same attributes (what they can tell at all). Knows no model. Used
by `interviews`, for 05_fidelity.
"""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from .. import personas
from ..personas.respondents import Survey
from ..stats import intervals

MAJORITY, LOGIT = "the majority's answer", "multinomial logit on the attributes"


def majority(survey: Survey) -> pd.DataFrame:
    """The yardstick that gives everybody the most frequent answer to each question: rows as of `ask`."""
    items = survey.answers.dropna(subset="answer").reset_index(drop=True)
    top = items.groupby("prompt_id")["answer"].agg(lambda a: a.value_counts().index[0])
    return _rows(items, items["prompt_id"].map(top), MAJORITY)


def logit(survey: Survey, folds: int = 5, seed: int = 0) -> pd.DataFrame:
    """The yardstick that knows the attributes and other people's answers: what they can tell at all.

    A multinomial logit per question on the respondents' attributes, cross-validated over people: nobody's answer is
    guessed from their own. Where only one person answered there is nothing to learn from, and the row says so. Rows as
    of `ask`.
    """
    features = _features(survey.people)
    items = survey.answers.dropna(subset="answer").reset_index(drop=True)
    guess = pd.Series(None, items.index, dtype="str")
    for _, own in items.groupby("prompt_id", sort=False):
        for train, test in _folds(len(own), folds, seed):
            guess[own.index[test]] = _guessed(features, own.iloc[train], own.iloc[test])
    return _rows(items, guess, LOGIT)


def _folds(n: int, folds: int, seed: int) -> Iterable[tuple[np.ndarray, np.ndarray]]:
    from sklearn.model_selection import KFold

    return KFold(min(folds, n), shuffle=True, random_state=seed).split(np.zeros(n)) if n > 1 else ()


def _guessed(features: pd.DataFrame, train: pd.DataFrame, test: pd.DataFrame) -> np.ndarray:
    """The answers of some, from the answers of others."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if train["answer"].nunique() == 1:
        return np.repeat(train["answer"].iloc[0], len(test))
    fit = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000))
    fit.fit(features.loc[train[personas.ID]].to_numpy(), train["answer"].to_numpy())
    return fit.predict(features.loc[test[personas.ID]].to_numpy())


def _features(people: pd.DataFrame) -> pd.DataFrame:
    """Attributes as numbers: categories as indicators, numbers with their squares, missing as a value of its own."""
    numbers = people.select_dtypes("number").astype(float)
    filled = numbers.fillna(numbers.mean()).fillna(0.0)
    columns = [filled, (filled**2).add_suffix(" squared"), numbers.isna().add_suffix(" missing").astype(float)]
    words = people.drop(columns=numbers.columns)
    return pd.concat([*columns, pd.get_dummies(words, dummy_na=True).astype(float)], axis=1)


def _rows(items: pd.DataFrame, answer: pd.Series, source: str) -> pd.DataFrame:
    known = answer.notna()
    score = (answer == items["answer"]).astype(float).where(known)
    why = pd.Series("nobody else's answer to learn from", items.index, dtype="str").where(~known)
    return items[intervals.ITEM].assign(source=source, answer=answer, truth=items["answer"], score=score, failure=why)
