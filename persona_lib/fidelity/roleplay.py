"""Role-play fidelity: do models choose alike in the place of the same people? Section 4.2 of the paper, Figs. 6 to 9.

Everybody chooses between the same two answers to each question, no matter whom a model plays (`designs`). If each
person had answers of their own, a kappa would compare choices on different questions.
"""

from collections.abc import Sequence
from itertools import combinations
from typing import get_args

import numpy as np
import pandas as pd
from scipy import stats

from .. import UserError, personas, seeds
from ..judges import verdicts
from ..model import LanguageModel, no_twins
from ..personas import profiles
from ..stats import agreement, intervals
from .designs import DESIGN, of_one

ITEM = intervals.ITEM
OPTIONS = ("rejected", "chosen")
SYNTHETIC = "synthetic raters"


def play(
    people: pd.DataFrame,
    pairs: pd.DataFrame,
    judges: Sequence[LanguageModel],
    templates: str | None = None,
    form: profiles.Form = "list",
) -> pd.DataFrame:
    """Let every model choose between the two answers to every question in every person's place, in both orders.

    Args:
        people: personas, index `persona_id`.
        pairs: from `shared_pairs` or `opposite_pairs`, or both below each other. A failed pair is shown to no model but
            keeps its rows.
        judges: the models that play.
        templates: folder with a `prefer.txt` of the user's own.
        form: of the profile, as in `profiles.describe`. With a form other than list, the same model is a second judge,
            named 'NAME, FORM', and `retest` says how far the model repeats its choices.

    Returns:
        As `choose`.
    """
    texts = profiles.texts(people, form).rename("profile").rename_axis(personas.ID)
    items = texts.reset_index().merge(pairs, how="cross")
    return choose(items, judges, templates, kind="" if form == "list" else form)


def choose(
    items: pd.DataFrame, judges: Sequence[LanguageModel], templates: str | None = None, kind: str = ""
) -> pd.DataFrame:
    """Let every model choose between the two answers of every item, in both orders.

    Args:
        items: `persona_id`, `profile`, `prompt_id`, `prompt`, the answers `rejected` and `chosen` (or `first` and
            `second`, as in items for human raters), and optionally `design` and `failure`.
        judges: the models that choose.
        templates: folder with a `prefer.txt` of the user's own.
        kind: what to add to the judges' names.

    Returns:
        One row per judge, person and prompt: `persona_id`, `prompt_id`, `design` if the items have it, `judge` and the
        columns of `verdicts.prefer`.

    Raises:
        UserError: two models have the same name.
    """
    no_twins(judges)
    items = items.rename(columns={"first": "rejected", "second": "chosen"}).reset_index(drop=True)
    items = items.assign(pair_id=items["prompt_id"])
    failure = items.get("failure", pd.Series(None, items.index)).astype("str")
    same = failure.isna() & (items["rejected"] == items["chosen"])
    failure = failure.mask(same, verdicts.SAME)
    rateable = items[failure.isna()]
    keys = items[[*ITEM, *items.columns.intersection([DESIGN])]]
    parts = []
    for judge in judges:
        chosen = verdicts.prefer(judge, rateable, templates, step=f"choices of {judge.name}")
        part = keys.assign(judge=f"{judge.name}, {kind}" if kind else judge.name)
        part = part.join(chosen.drop(columns=[personas.ID, "judge"]))
        parts.append(part.assign(failure=part["failure"].fillna(failure)))
    return pd.concat(parts, ignore_index=True)


def between_people(table: pd.DataFrame, judge: str) -> pd.DataFrame:
    """Compute kappa between all people as one judge plays them (Fig. 8).

    Args:
        table: from `play`, of one design.
        judge: its name.

    Returns:
        A square table, index and columns `persona_id`; see `agreement.kappa_matrix`.
    """
    own = of_one(table[table["judge"] == judge])
    return agreement.kappa_matrix(own.pivot(index=personas.ID, columns="prompt_id", values="choice"))


def between_judges(table: pd.DataFrame, first: str, second: str) -> pd.DataFrame:
    """Compute how far two judges agree in the place of each person (Figs. 6, 7 and 9).

    Args:
        table: from `play`, of one design; a human majority is a judge like any other.
        first, second: names of two judges.

    Returns:
        Index `persona_id`; columns `n` (questions that both chose on), `failed`, `raw`, `kappa` (missing if undefined)
        with its 95% interval `low`, `high` and its `note`. A person's questions are treated as independent items.
    """
    both = of_one(table[table["judge"].isin([first, second])])
    choices = both.pivot(index=[personas.ID, "prompt_id"], columns="judge", values="choice")  # items x judges
    rows = {}
    for person, own in choices.reindex(columns=[first, second]).groupby(level=0, sort=False):
        found = agreement.coefficients(own[first], own[second], options=OPTIONS)
        raw = found.loc["raw agreement", ["n", "failed", "estimate"]]
        kappa = found.loc["Cohen's kappa", ["estimate", "low", "high", "note"]]
        rows[person] = [*raw, *kappa]
    types = {"n": int, "failed": int, "raw": float, "kappa": float, "low": float, "high": float, "note": "str"}
    result = pd.DataFrame.from_dict(rows, orient="index", columns=list(types))
    return result.astype(types).rename_axis(personas.ID)


def spread(table: pd.DataFrame) -> pd.DataFrame:
    """Summarize kappa between people for each judge: how far one model plays different people alike.

    Args:
        table: from `play`, of one design.

    Returns:
        Index `judge`; columns `pairs` (of people), `undefined`, `mean` with `low`, `high`, and quartiles, as in
        `agreement.spread`. The interval is a jackknife over people, because a person is in many pairs; it is
        conditional on the questions, and missing for fewer than three people.
    """
    rows = {}
    for judge in table["judge"].unique():
        kappas = between_people(table, judge)
        rows[judge] = {**agreement.spread(kappas).iloc[0], **_jackknife(kappas.to_numpy(float))}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("judge")


def _jackknife(kappas: np.ndarray) -> dict[str, float]:
    """Compute the interval of the mean over pairs of people from the means that leave out one person each.

    Args:
        kappas: people x people, symmetric, missing if undefined; the diagonal is not used.
    """
    pairs = np.where(np.eye(len(kappas), dtype=bool), np.nan, kappas)
    known = ~np.isnan(pairs)
    used = known.any(axis=1)  # (people,)
    # Each pair is in the matrix twice, in the row and the column of either person.
    total = np.nansum(pairs)
    total_without = total - 2 * np.nansum(pairs, axis=1)[used]
    known_without = (known.sum() - 2 * known.sum(axis=1))[used]
    n = used.sum()
    if n < 3 or (known_without == 0).any():
        return {"low": np.nan, "high": np.nan}
    mean = total / known.sum()
    means_without = total_without / known_without  # (people used,)
    squares = ((means_without - means_without.mean()) ** 2).sum()
    standard_error = np.sqrt((n - 1) / n * squares)
    half = stats.t.ppf(0.975, n - 1) * standard_error
    return {"low": max(-1.0, mean - half), "high": min(1.0, mean + half)}


def repeatability(table: pd.DataFrame) -> pd.DataFrame:
    """Compute how far each judge chooses alike in the two orders of the answers: how much their place decides.

    This is no ceiling of its agreement with others: a choice is made by the mean of both orders, from which a constant
    pull of a place cancels. `retest` is about these choices.

    Args:
        table: from `play`.

    Returns:
        One row per judge and coefficient (raw agreement, Cohen's kappa): index `judge`, `coefficient`; columns of
        `agreement.coefficients`, clustered by person and prompt. A tie in an order counts as no choice in that order.
    """
    parts = {}
    for judge, own in table.groupby("judge", sort=False):
        in_first_order, in_second_order = (
            pd.Series(verdicts.won(own[p])).map({1.0: "chosen", 0.0: "rejected"}) for p in ("p_first", "p_second")
        )
        clusters = own[ITEM].reset_index(drop=True)
        parts[judge] = agreement.coefficients(in_first_order, in_second_order, clusters, OPTIONS)
    if not parts:
        return _no_coefficients(["judge", "coefficient"])
    return pd.concat(parts, names=["judge"]).loc[(slice(None), ["raw agreement", "Cohen's kappa"]), :]


def retest(table: pd.DataFrame) -> pd.DataFrame:
    """Compute how far a model repeats its choices, made by both orders, when the same people have another form.

    By this reliability agreement with a truth is bounded: a correlation with it can't exceed the square root of the
    reliability (Spearman 1904).

    Args:
        table: from `play`, of one design and of several forms of the profile.

    Returns:
        One row per model, pair of forms and coefficient (raw agreement, Cohen's kappa): index `first`, `second` (names
        of judges), `coefficient`; columns of `agreement.coefficients`, clustered by person and prompt. No rows if no
        model has several forms.
    """
    overall = judges_overall(table)
    forms = {f", {form}" for form in get_args(profiles.Form)}
    names = {
        judge: next((judge.removesuffix(f) for f in forms if judge.endswith(f)), judge) for judge in table["judge"]
    }
    one, other, coefficient = (overall.index.get_level_values(level) for level in overall.index.names)
    same = one.map(names) == other.map(names)
    return overall[same & coefficient.isin(["raw agreement", "Cohen's kappa"])]


def judges_overall(table: pd.DataFrame) -> pd.DataFrame:
    """Compute the agreement of each pair of judges over all people and questions.

    Args:
        table: from `play`, of one design.

    Returns:
        One row per pair and coefficient: index `first`, `second`, `coefficient`; the columns of
        `agreement.coefficients`, clustered by person and prompt. No rows for a single judge.
    """
    choices = of_one(table).pivot(index=ITEM, columns="judge", values="choice")  # items x judges
    clusters = choices.index.to_frame(index=False)
    choices = choices.reset_index(drop=True)
    parts = {
        (first, second): agreement.coefficients(choices[first], choices[second], clusters, OPTIONS)
        for first, second in combinations(table["judge"].unique(), 2)
    }
    if not parts:
        return _no_coefficients(["first", "second", "coefficient"])
    return pd.concat(parts, names=["first", "second"])


def _no_coefficients(names: list[str]) -> pd.DataFrame:
    """Return an empty table of coefficients with these index levels."""
    index = pd.MultiIndex.from_arrays([[] for _ in names], names=names)
    return pd.DataFrame(columns=agreement.COLUMNS, index=index, dtype=float)


def beside(table: pd.DataFrame, people: pd.DataFrame) -> pd.DataFrame:
    """Put models' and people's choices in one table, on the items that both have.

    Args:
        table: from `play` or `choose`, of the design that people rated.
        people: people's choices, from `annotation.as_judge`.

    Returns:
        The rows of both tables on shared items.

    Raises:
        UserError: no item is shared.
    """
    rated = pd.MultiIndex.from_frame(people[ITEM])
    shared = table[pd.MultiIndex.from_frame(table[ITEM]).isin(rated)]
    if shared.empty:
        raise UserError(
            f"none of the {len(rated)} persona x question items that people rated is among the run's: name the file of "
            "what they rated (parameter rated)"
        )
    chosen_on = pd.MultiIndex.from_frame(shared[ITEM])
    return pd.concat([shared, people[rated.isin(chosen_on)]], ignore_index=True)


def synthetic_votes(table: pd.DataFrame, raters: int = 4, agree: float = 0.8, seed: int = 0) -> pd.DataFrame:
    """Make up ratings, which show what is computed with real ones and say nothing about people.

    For each person and question a fair coin decides the person's opinion; each rater reports it with probability
    `agree`, else the opposite.

    Args:
        table: from `play`: its items are rated.
        raters: per person.
        agree: the probability that a rater reports the opinion, 0.5 to 1.
        seed: of the draw.

    Returns:
        As `annotation.votes`: `persona_id`, `prompt_id`, `rater`, `choice` (first or second).
    """
    rng = seeds.rng("synthetic votes", seed)
    items = table[ITEM].drop_duplicates().sort_values(ITEM, ignore_index=True)
    prefers_first = rng.random(len(items)) < 0.5
    parts = []
    for number in range(1, raters + 1):
        reports_opinion = rng.random(len(items)) < agree
        choice = np.where(reports_opinion == prefers_first, "first", "second")
        parts.append(items.assign(rater=f"synthetic {number}", choice=choice))
    return pd.concat(parts, ignore_index=True).astype({"rater": "str", "choice": "str"})
