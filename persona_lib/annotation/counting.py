"""Count the votes of the human study: the majority of each question, and how far raters agree."""

import numpy as np
import pandas as pd

from .. import UserError, seeds
from ..stats import agreement

KEPT = 3
"""Raters whose votes make a majority, of those who rated a persona."""
CHOICES = ("first", "second")

_QUESTION = ["persona_id", "prompt_id"]
_RATING = ["persona_id", "prompt_id", "pair_id", "rater", "choice", "first_shown_as", "seconds", "reason"]


def votes(handed_in: pd.DataFrame) -> pd.DataFrame:
    """Return the ratings of the submissions that count, one row each.

    Args:
        handed_in: as returned by `annotation.read`; `counted` decides.

    Returns:
        `persona_id`, `prompt_id`, `pair_id`, `rater`, `choice` (first or second, whatever was shown as A; missing where
        a table's choice can't be read), `first_shown_as` (A or B), `seconds` (in sight), `reason`.
    """
    counted = handed_in[handed_in["counted"]]
    rows = [{"rater": s.rater} | rating for s in counted.itertuples() for rating in s.ratings]
    table = pd.DataFrame(rows, columns=_RATING)
    texts = [c for c in _RATING if c != "seconds"]
    return table.astype(dict.fromkeys(texts, "str") | {"seconds": float})


def majority(ratings: pd.DataFrame, kept: int = KEPT, seed: int = 0) -> pd.DataFrame:
    """Return what most raters chose for each persona and question.

    `kept` raters count per question, an odd number, so that there is no tie. Raters who rated most of the persona's
    questions come first. Among equals a hash of seed, persona and rater decides, once for all questions of the persona.
    The hash ignores their choices: dropping the rater who agrees least would make people look more alike than they are.
    Submissions that `annotation.read` rejects are dropped before, which is why there is a fourth rater. If fewer
    than `kept` remain, a tie or a single vote is no majority.

    Args:
        ratings: as returned by `votes`.
        kept: raters that count per question, an odd number.
        seed: of the hash.

    Returns:
        Index `persona_id`, `prompt_id`; columns `choice` (first, second, or missing), `for_first`, `for_second` (votes
        that count), `dropped` (raters whose vote does not count, separated by commas, or missing), `failure` (why there
        is no choice, or missing).

    Raises:
        UserError: `kept` is even or below 1.
    """
    if kept < 1 or kept % 2 == 0:
        raise UserError(f"a majority of {kept} raters can be a tie: take an odd number")
    index = _questions(ratings)
    ordered = _in_turn(ratings.dropna(subset="choice"), seed)
    counts = ordered.groupby(_QUESTION).cumcount() < kept
    table = ordered[counts].groupby([*_QUESTION, "choice"]).size().unstack().rename_axis(columns=None)
    table = table.reindex(index=index, columns=list(CHOICES)).fillna(0).astype(int).add_prefix("for_")
    cast = table["for_first"] + table["for_second"]
    ahead = table["for_first"] - table["for_second"]

    failure = pd.Series(None, index, dtype="str").mask(ahead == 0, "a tie").mask(cast == 0, "no vote")
    if kept > 1:
        failure = failure.mask(cast == 1, "a single vote")
    choice = pd.Series(np.where(ahead > 0, "first", "second"), index, dtype="str").where(failure.isna())
    dropped = ordered[~counts].groupby(_QUESTION)["rater"].agg(", ".join).reindex(index).astype("str")
    return pd.concat({"choice": choice}, axis=1).join(table).assign(dropped=dropped, failure=failure)


def _questions(ratings: pd.DataFrame) -> pd.MultiIndex:
    """Return the persona and question of all ratings, sorted."""
    return pd.MultiIndex.from_frame(ratings[_QUESTION].drop_duplicates().sort_values(_QUESTION))


def _in_turn(ratings: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Sort ratings by the order in which raters count: by how much of the persona they rated, then by hash."""
    raters = list(zip(ratings["persona_id"], ratings["rater"], strict=True))
    turn = {rater: seeds.digest(f"{seed} {rater[0]} {rater[1]}") for rater in set(raters)}
    size = ratings.groupby(["persona_id", "rater"])["choice"].transform("size")
    keyed = ratings.assign(size=-size, turn=[turn[rater] for rater in raters])
    return keyed.sort_values(["size", "turn"])


def as_judge(won: pd.DataFrame, name: str = "people") -> pd.DataFrame:
    """Return a majority in the form of one more judge of `fidelity.play`: first is rejected, second is chosen.

    Returns:
        `persona_id`, `prompt_id`, `judge`, `choice` (rejected, chosen, or missing), `failure`.
    """
    rows = won.reset_index()[["persona_id", "prompt_id", "choice", "failure"]].assign(judge=name)
    return rows.assign(choice=rows["choice"].map({"first": "rejected", "second": "chosen"}).astype("str"))


def reliability(ratings: pd.DataFrame) -> pd.DataFrame:
    """Return how far raters agree with each other, per persona and over all, before any rater is dropped.

    Args:
        ratings: as returned by `votes`.

    Returns:
        Index `persona_id` (the last is 'all') and `coefficient` (raw agreement, AC1, PABAK, Krippendorff's alpha,
        Fleiss' kappa); columns `raters`, `estimate`, `low`, `high`, `n` (questions with two ratings or more), `failed`
        (questions with fewer), `undefined` (personas without an estimate) and `note`, as in `agreement.among`. A
        persona's questions are independent items; all items together are clustered by persona and by question.
    """
    valid = ratings.dropna(subset="choice")
    # Personas have different raters. Agreement does not depend on which rater of an item is in which column.
    place = valid.groupby(_QUESTION).cumcount()
    wide = valid.assign(place=place).pivot(index=_QUESTION, columns="place", values="choice")
    wide = wide.reindex(_questions(ratings))  # questions x places
    labels = wide.index.to_frame(index=False)

    per_persona = _per_persona(wide, labels["persona_id"])
    table = pd.concat(per_persona | {"all": agreement.among(wide, labels, CHOICES)}, names=["persona_id"])
    raters = valid.groupby("persona_id")["rater"].nunique()
    raters["all"] = valid["rater"].nunique()
    table.insert(0, "raters", raters.reindex(table.index.get_level_values(0), fill_value=0).to_numpy())

    undefined = table["estimate"].isna().astype(int)
    of_people = undefined.drop("all", level="persona_id").groupby(level="coefficient").sum()
    undefined.loc["all"] = of_people.reindex(table.loc["all"].index, fill_value=0).to_numpy()
    table.insert(6, "undefined", undefined)
    return table


def _per_persona(wide: pd.DataFrame, persona_ids: pd.Series) -> dict[str, pd.DataFrame]:
    """Return `agreement.among` of each persona's questions.

    Args:
        wide: questions x places, the choices.
        persona_ids: of the rows of `wide`.
    """
    counts = np.column_stack([wide.eq(choice).sum(axis=1) for choice in CHOICES])  # questions x choices
    tables: dict[str, pd.DataFrame] = {}
    known: dict[tuple, pd.DataFrame] = {}
    for persona, rows in persona_ids.groupby(persona_ids).indices.items():
        # Nor does it depend on the order of questions. In a large study many personas have the same counts.
        same = tuple(sorted(map(tuple, counts[rows].tolist())))
        if same not in known:
            known[same] = agreement.among(wide.iloc[rows], options=CHOICES)
        tables[persona] = known[same]
    return tables


def each_rater(ratings: pd.DataFrame, kept: int = KEPT, seed: int = 0) -> pd.DataFrame:
    """Return how far each rater agrees with the majority of the others: what a judge as good as one rater reaches.

    Each rater in turn is held against the majority of the other raters of the same question, as a model is held against
    the majority of all. Agreement between single raters is lower: a majority is more reliable than one rater. A vote
    counts only beside `kept` others. Two others have no majority unless they agree, and then they are right more often
    than a majority of three.

    Args:
        ratings: as returned by `votes`.
        kept, seed: as in `majority`.

    Returns:
        Index `persona_id` (the last is 'all') and `coefficient` (raw agreement, Cohen's kappa); columns `raters`, and
        those of `agreement.coefficients`. `n` counts votes with `kept` others on the same question, `failed` the other
        votes: with `kept` raters or fewer nothing is estimable. All votes together are clustered by persona and by
        question.

    Raises:
        UserError: as in `majority`.
    """
    valid = ratings.dropna(subset="choice")
    parts = [valid.head(0).assign(others=pd.Series(dtype="str"))]
    rated = pd.MultiIndex.from_frame(valid[_QUESTION])
    for rater, own in valid.groupby("rater", sort=False):
        here = rated.isin(pd.MultiIndex.from_frame(own[_QUESTION])) & (valid["rater"] != rater).to_numpy()
        found = majority(valid[here], kept, seed)
        others = found["choice"].where(found["for_first"] + found["for_second"] == kept)
        parts.append(own.join(others.rename("others"), on=_QUESTION))
    votes_ = pd.concat(parts, ignore_index=True)
    tables = {
        persona: agreement.coefficients(own["choice"], own["others"], options=CHOICES)
        for persona, own in votes_.groupby("persona_id")
    }
    labels = votes_[_QUESTION].reset_index(drop=True)
    tables["all"] = agreement.coefficients(votes_["choice"], votes_["others"], labels, CHOICES)
    table = pd.concat(tables, names=["persona_id"]).loc[(slice(None), ["raw agreement", "Cohen's kappa"]), :]
    raters = votes_.groupby("persona_id")["rater"].nunique()
    raters["all"] = votes_["rater"].nunique()
    table.insert(0, "raters", raters.reindex(table.index.get_level_values(0)).to_numpy())
    return table
