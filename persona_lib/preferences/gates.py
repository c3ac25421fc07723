"""Cheating baselines: what guesses which answer was chosen without knowing the persona. Used by 03_preferences.

A preference data set in which the longer answer, or a turn of phrase, gives the chosen one away teaches a model just
that. Each release shows how well a rule of length and a classifier that is blind to the persona do; far from a half is
flagged on the data card.
"""

import numpy as np
import pandas as pd

from ..stats import intervals

FAR = 0.05  # from a half: flagged where the whole interval is further away
MATCHED = 0.1  # answers whose lengths differ by at most this share of the longer one
MOST = 10_000  # pairs that are looked at: enough for intervals of one percentage point


def table(pairs: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """How often each cheating baseline picks the chosen answer; a half is what chance gives.

    Args:
        pairs: columns `persona_id`, `prompt_id`, `chosen`, `rejected`; those without either count as failed. Of more
            than 10,000 as many are drawn.
        seed: of the folds, and of that draw.

    Returns:
        Index `baseline`; columns `n`, `failed`, `rate`, `low`, `high` as in `intervals.rates`, and `flagged`: whether
        the interval lies further than 0.05 from a half, or has no bounds to tell.
    """
    pairs = pairs.sample(min(MOST, len(pairs)), random_state=seed).sort_index().reset_index(drop=True)
    matched = pairs[length_gap(pairs).abs() <= MATCHED]
    hits = {
        "the longer answer": (pairs, length_rule(pairs)),
        "the longer answer, lengths matched": (matched, length_rule(matched)),
        "blind classifier": (pairs, blind_classifier(pairs, seed)),
        "blind classifier, lengths matched": (matched, blind_classifier(matched, seed)),
    }
    rows = [
        rows[["persona_id", "prompt_id"]].assign(baseline=name, score=score) for name, (rows, score) in hits.items()
    ]
    columns = ["n", "failed", "rate", "low", "high", "note"]
    rates = intervals.rates(pd.concat(rows), by="baseline").reindex(list(hits), columns=columns)
    clear = (rates["low"] <= 0.5 + FAR) & (rates["high"] >= 0.5 - FAR)
    counts = rates[["n", "failed"]].fillna(0).astype(int)
    return rates.assign(flagged=~clear, **counts)


def length_gap(pairs: pd.DataFrame) -> pd.Series:
    """By how much the chosen answer is longer, as a share of the longer one, in characters (-1 to 1)."""
    chosen, rejected = (pairs[column].str.len() for column in ("chosen", "rejected"))
    return (chosen - rejected) / np.maximum(np.maximum(chosen, rejected), 1)


def length_rule(pairs: pd.DataFrame) -> pd.Series:
    """1 where the longer answer is the chosen one, 0 where it is not, a half where they are of one length."""
    return (np.sign(length_gap(pairs)) + 1) / 2


def blind_classifier(pairs: pd.DataFrame, seed: int = 0, folds: int = 5) -> pd.Series:
    """1 where logistic regression on the words of the two answers, not of the persona, picks the chosen one, else 0.

    Cross-validated over prompts: no prompt is in both parts of a fold, so that what is learned is a way of writing, not
    an answer. Missing where there is no pair, fewer than two prompts, or no word of two letters to learn from.
    """
    from scipy.sparse import vstack
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GroupKFold

    there = pairs[pairs["chosen"].notna() & pairs["rejected"].notna()]
    picked = pd.Series(np.nan, pairs.index)
    folds = min(folds, there["prompt_id"].nunique())
    if folds < 2:
        return picked
    for train, test in GroupKFold(folds, shuffle=True, random_state=seed).split(there, groups=there["prompt_id"]):
        words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, max_features=50_000)
        try:
            words.fit(pd.concat([there["chosen"].iloc[train], there["rejected"].iloc[train]]))
        except ValueError:  # there is no word
            continue
        gap = words.transform(there["chosen"]) - words.transform(there["rejected"])
        both_ways, label = vstack([gap[train], -gap[train]]), np.repeat([1, 0], len(train))
        score = LogisticRegression(fit_intercept=False).fit(both_ways, label).decision_function(gap[test])
        picked.loc[there.index[test]] = (np.sign(score) + 1) / 2
    return picked
