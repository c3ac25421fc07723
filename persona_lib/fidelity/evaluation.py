"""Evaluation of interviews: how often models and baselines give the respondents' own answers, and what that shows.

Intervals are clustered by respondent and question. A survey with a single question has intervals about that question,
clustered by respondent. Tables in, tables out; no model is asked.
"""

from typing import Any

import numpy as np
import pandas as pd

from .. import UserError, personas
from ..stats import agreement, intervals, wording
from .baselines import LOGIT, MAJORITY
from .designs import OWN

ITEM = intervals.ITEM
KAPPA = ["estimate", "low", "high", "note"]  # columns of `agreement.coefficients`
AS_KAPPA = ["kappa", "kappa_low", "kappa_high", "kappa_note"]


def yardsticks(table: pd.DataFrame, by: str | None = None) -> pd.DataFrame:
    """Compute how often each source is right and how far it agrees with the respondents beyond chance.

    Args:
        table: rows of `interviews.compare`.
        by: a second column to group by, such as `prompt_id` or an attribute of the respondents.

    Returns:
        Index `source` (and `by`); columns `n`, `failed`, `rate`, `low`, `high`, `note` as in `intervals.rates`, and
        `kappa` (Cohen's, with the respondents' answers; missing if undefined) with `kappa_low`, `kappa_high`,
        `kappa_note`.
    """
    keys = ["source"] if by is None else ["source", by]
    rates = _rates(table, keys)
    kappas = {key: _kappa(own, "answer", "truth") for key, own in table.groupby(keys, sort=False)}
    return rates.join(_as_kappas(kappas).set_axis(rates.index))


def _kappa(rows: pd.DataFrame, one: str, other: str) -> pd.Series:
    """Return Cohen's kappa between two columns of answers, a row of `agreement.coefficients`."""
    return agreement.coefficients(rows[one], rows[other], _clusters(rows)).loc["Cohen's kappa"]


def _as_kappas(rows: dict[Any, pd.Series]) -> pd.DataFrame:
    """Return rows of `agreement.coefficients` by their keys, with the columns AS_KAPPA."""
    table = pd.DataFrame([list(row[KAPPA]) for row in rows.values()], list(rows), AS_KAPPA)
    return table.astype(dict.fromkeys(AS_KAPPA[:-1], float))


def _clusters(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the cluster labels of rows: respondents, and questions if there are several."""
    several = rows["prompt_id"].nunique() > 1
    return rows[ITEM if several else [personas.ID]].reset_index(drop=True)


def _rates(table: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Return the rate of each group as `intervals.rates` does, with the clusters of `_clusters`."""
    rows = {key: intervals.rate(own["score"], _clusters(own)) for key, own in table.groupby(keys, sort=False)}
    index = pd.MultiIndex.from_tuples(list(rows), names=keys)
    if len(keys) == 1:
        index = index.get_level_values(0)
    return pd.DataFrame(list(rows.values()), index, columns=["n", "failed", "rate", "low", "high", "note"])


def differences(table: pd.DataFrame, source: str) -> pd.DataFrame:
    """Compute how much more often a source is right than each other one, on the same respondents and questions.

    Returns:
        Columns as in `intervals.paired_differences`; `source` is the minuend of each row.

    Raises:
        UserError: the table has no such source.
    """
    sources = table["source"].unique()
    if source not in sources:
        raise UserError(f"nothing was answered by '{source}': choose one of {', '.join(map(repr, sources))}")
    scores = intervals.side_by_side(table, "source", "score")  # items x sources
    if scores.index.get_level_values("prompt_id").nunique() == 1:
        scores = scores.droplevel("prompt_id")  # a single question is no sample of questions
    rows = [
        {"minuend": source, "subtrahend": other} | intervals.difference(scores[source] - scores[other])
        for other in sources
        if other != source
    ]
    names = ["minuend", "subtrahend", "n", "failed", "difference", "low", "high", "p", "note"]
    result = pd.DataFrame(rows, columns=names)
    result.insert(names.index("note"), "p_holm", intervals.corrected(result["p"]))
    return result


def repeatability(table: pd.DataFrame) -> pd.DataFrame:
    """Compute how far each model's answers depend on the order of the options.

    This is of single orders and no ceiling: answers are made by the mean of all orders, from which a constant pull of a
    place cancels.

    Args:
        table: rows of `interviews.compare`; baselines have no orders and are left out.

    Returns:
        Index `source`; columns `n`, `failed`, `flips` (share of items whose answer depends on the order) with `low`,
        `high`, `note`, `p_first` (mean probability of the option shown first), `kappa` (Cohen's, between the answers in
        the first and the last order) with `kappa_low`, `kappa_high`, `kappa_note`.
    """
    asked = _of_models(table)
    flips = _rates(asked.assign(score=asked["flip"].astype(float)), ["source"])
    of_each = asked.groupby("source", sort=False)
    kappas = {source: _kappa(own, "in_first_order", "in_last_order") for source, own in of_each}
    return flips.rename(columns={"rate": "flips"}).join(of_each["p_first"].mean()).join(_as_kappas(kappas))


def retest(table: pd.DataFrame, again: pd.DataFrame) -> pd.DataFrame:
    """Compute how far models repeat their answers, each made by all orders, when the profile has another form.

    By this reliability agreement with the respondents is bounded, as `roleplay.retest` says of choices.

    Args:
        table: rows of `interviews.compare`.
        again: as returned by `interviews.again`.

    Returns:
        Index `source`, `coefficient` (raw agreement, Cohen's kappa); columns of `agreement.coefficients`. No rows if
        nothing was asked again.
    """
    rows = {}
    for source, own in again.groupby("source", sort=False):
        both = own.merge(table[table["source"] == source], on=ITEM, suffixes=("_again", ""))
        found = agreement.coefficients(both["answer"], both["answer_again"], _clusters(both))
        rows[source] = found.loc[["raw agreement", "Cohen's kappa"]]
    if not rows:
        names = ["source", "coefficient"]
        return pd.DataFrame(columns=agreement.COLUMNS, index=pd.MultiIndex.from_tuples([], names=names))
    return pd.concat(rows, names=["source"])


def _of_models(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of models, without those of the baselines."""
    return table[~table["source"].isin([MAJORITY, LOGIT])]


def coverage(table: pd.DataFrame, steps: int = 10) -> pd.DataFrame:
    """Compute how often a model is right if it answers only where it is surest.

    Args:
        table: rows of `interviews.compare`; baselines have no confidence and are left out.
        steps: how many shares of items to look at.

    Returns:
        One row per source and share of items that it answers, the surest first: `source`, `coverage` (the share),
        `confidence` (the lowest among these items), `n`, `accuracy` with `low`, `high`, `note`. Failed items are never
        answered; they count in the share's denominator.
    """
    rows = []
    for source, own in _of_models(table).groupby("source", sort=False):
        surest = own.dropna(subset="score").sort_values("confidence", ascending=False, kind="stable")
        sizes = {min(round(len(own) * step / steps), len(surest)) for step in range(1, steps + 1)}
        for n in sorted(sizes - {0}):
            kept = surest.head(n)
            right = intervals.rate(kept["score"], _clusters(kept))
            lowest = kept["confidence"].iloc[-1]
            rows.append([source, n / len(own), lowest, n, *(right[name] for name in ("rate", "low", "high", "note"))])
    return pd.DataFrame(rows, columns=["source", "coverage", "confidence", "n", "accuracy", "low", "high", "note"])


def findings(table: pd.DataFrame, model: str) -> pd.DataFrame:
    """Test five claims about a model in the respondents' places.

    Args:
        table: rows of `interviews.compare`.
        model: its name.

    Returns:
        Index `claim`; columns `estimate` (a difference, or a kappa) with `low`, `high`, `n`, `note`, and `shown`: yes
        (the whole interval is above 0), no (below 0), or open. Intervals are not corrected for several claims.

    Raises:
        UserError: the table has no such model.
    """
    columns = ["estimate", "low", "high", "n", "note"]
    baselines = {
        MAJORITY: "the majority's answer",
        f"{model}, told nothing": "without the persona",
        LOGIT: "a logit on the same attributes",
    }
    gains = differences(table, model).set_index("subtrahend").rename(columns={"difference": "estimate"})
    rows = {f"is right more often than {name}": gains.loc[source, columns] for source, name in baselines.items()}
    own = table[table["source"] == model]
    pairs = {
        "agrees with the respondents beyond chance": ("answer", "truth"),
        "agrees with itself beyond chance in another order": ("in_first_order", "in_last_order"),
    }
    rows |= {claim: _kappa(own, one, other)[columns] for claim, (one, other) in pairs.items()}
    result = pd.DataFrame([list(row) for row in rows.values()], pd.Index(rows, name="claim"), columns)
    result = result.astype(dict.fromkeys(columns[:3], float) | {"n": int})
    return result.assign(shown=np.select([result["low"] > 0, result["high"] < 0], ["yes", "no"], "open"))


def headline(model: str, scores: pd.DataFrame, claims: pd.DataFrame, true: pd.DataFrame, title: str) -> str:
    """Return the finding about a model in two sentences, also if parts of it are missing.

    Args:
        model: its name.
        scores: result of `yardsticks`.
        claims: result of `findings` for this model.
        true: result of `designs.faithful`.
        title: of the survey, as in `respondents.Survey`.
    """
    said = "No choice between answers for two opposite people could be scored."
    if (model, OWN) in true.index and true.loc[(model, OWN)]["n"]:
        said = (
            f"Between answers for two opposite people, {model} chooses the one written for the person it plays in "
            f"{wording.of_rate(true.loc[(model, OWN)])} of its choices (chance: 50%)."
        )
    right, majority, reach = (wording.of_rate(scores.loc[source]) for source in (model, MAJORITY, LOGIT))
    return (
        f"{said} In the place of respondents of the {title} it is right in {right} of its answers; the majority's "
        f"answer is in {majority}, a logit in {reach}. Of {len(claims)} claims for it, "
        f"{(claims['shown'] == 'yes').sum()} are supported and {(claims['shown'] == 'no').sum()} refuted, each by its "
        "own 95% interval."
    )
