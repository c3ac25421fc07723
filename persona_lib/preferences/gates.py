"""Baselines that try to cheat: they guess which answer was chosen without knowing the persona.

If length or a turn of phrase gives the chosen answer away, a model trained on the data learns only that. Every export
therefore reports how well a length rule and a classifier blind to the persona do. The data card flags rates far from
one half.
"""

import numpy as np
import pandas as pd
from scipy.sparse import vstack

from ..stats import intervals

FAR = 0.05  # flagged unless the 95% interval reaches to within this distance of one half
MATCHED = 0.1  # lengths count as matched if they differ by at most this share of the longer answer
MOST = 10_000  # pairs looked at: enough for intervals of one percentage point


def table(pairs: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """Return how often each baseline picks the chosen answer; chance gives one half.

    Args:
        pairs: columns `persona_id`, `prompt_id`, `chosen`, `rejected`; a pair that lacks an answer counts as failed.
            Of more than 10,000 pairs, 10,000 are drawn.
        seed: of the folds, and of that draw.

    Returns:
        Index `baseline`; columns `n`, `failed`, `rate`, `low`, `high`, `note` as in `intervals.rates`, and `flagged`:
        whether the whole interval is further than 0.05 from one half, or the interval is not estimable.
    """
    pairs = pairs.sample(min(MOST, len(pairs)), random_state=seed).sort_index().reset_index(drop=True)
    matched = pairs[length_gap(pairs).abs() <= MATCHED]
    hits = {
        "the longer answer": (pairs, length_rule(pairs)),
        "the longer answer, lengths matched": (matched, length_rule(matched)),
        "blind classifier": (pairs, blind_classifier(pairs, seed)),
        "blind classifier, lengths matched": (matched, blind_classifier(matched, seed)),
    }
    scored = [rows[intervals.ITEM].assign(baseline=name, score=score) for name, (rows, score) in hits.items()]
    rates = intervals.rates(pd.concat(scored), by="baseline")
    rates = rates.reindex(list(hits), columns=["n", "failed", "rate", "low", "high", "note"])
    near = (rates["low"] <= 0.5 + FAR) & (rates["high"] >= 0.5 - FAR)
    counts = rates[["n", "failed"]].fillna(0).astype(int)
    return rates.assign(flagged=~near, **counts)


def length_gap(pairs: pd.DataFrame) -> pd.Series:
    """Return how much longer the chosen answer is, as a share of the longer one, in characters (-1 to 1)."""
    chosen = pairs["chosen"].str.len()
    rejected = pairs["rejected"].str.len()
    longer = np.maximum(chosen, rejected)
    return (chosen - rejected) / np.maximum(longer, 1)


def length_rule(pairs: pd.DataFrame) -> pd.Series:
    """Return 1 where the longer answer is the chosen one, 0 where it is the rejected one, 0.5 for equal lengths."""
    return (np.sign(length_gap(pairs)) + 1) / 2


def blind_classifier(pairs: pd.DataFrame, seed: int = 0, folds: int = 5) -> pd.Series:
    """Return 1 where logistic regression on the words of the two answers picks the chosen one, else 0.

    The classifier does not see the persona. It is cross-validated over prompts: a prompt is never in both parts of a
    fold, so that the classifier can learn a way of writing, but not an answer.

    Returns:
        The index of `pairs`; missing for a pair that lacks an answer, with fewer than two prompts, or without a word
        of two letters to learn from.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer  # scikit-learn takes a second to import
    from sklearn.linear_model import LogisticRegression  # as above
    from sklearn.model_selection import GroupKFold  # as above

    there = pairs[pairs["chosen"].notna() & pairs["rejected"].notna()]
    picked = pd.Series(np.nan, pairs.index)
    folds = min(folds, there["prompt_id"].nunique())
    if folds < 2:
        return picked
    for train, test in GroupKFold(folds, shuffle=True, random_state=seed).split(there, groups=there["prompt_id"]):
        words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, max_features=50_000)
        try:
            words.fit(pd.concat([there["chosen"].iloc[train], there["rejected"].iloc[train]]))
        except ValueError:  # no words
            continue
        gap = words.transform(there["chosen"]) - words.transform(there["rejected"])  # pairs x words
        # Each pair is used twice, in both orders: the classes are balanced and no intercept is needed.
        both_ways = vstack([gap[train], -gap[train]])
        label = np.repeat([1, 0], len(train))
        score = LogisticRegression(fit_intercept=False).fit(both_ways, label).decision_function(gap[test])
        picked.loc[there.index[test]] = (np.sign(score) + 1) / 2
    return picked
