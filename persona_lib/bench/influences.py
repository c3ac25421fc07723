"""What one more attribute changes: choices of the same person told it and not told it, held against a placebo.

All intervals and tests cluster by person and by question: everybody is asked the same questions, and an attribute may
matter on some of them alone. Only the intervals of mean kappas take the questions as they are.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy.stats import distributions
from statsmodels.stats.weightstats import DescrStatsW

from ..judges import verdicts
from ..stats import agreement, intervals, wording
from ..stats.clustering import effective
from .hiding import PLACEBO

WITH, WITHOUT = "with", "without"
BOTH = "both"  # instead of one of them: the revision made with the attribute, against the one made without it
PERSON = ["attribute", "persona_id"]
CELL = [*PERSON, "prompt_id"]
ROUNDING = 1e-9  # a smaller spread is rounding


def compared(choices: pd.DataFrame) -> pd.DataFrame:
    """Lay the choices of both annotators of a person side by side.

    Args:
        choices: as returned by `leave_one_out.choices`.

    Returns:
        One row per attribute, person, question and pair of answers: `attribute`, `persona_id`, `prompt_id`,
        `refined_for` (with and without: against the base answer; both: one revision against the other), `with` and
        `without` (the choices), `equal` (1 if they are equal, 0 if not), `change` (absolute difference of the two
        probabilities), each missing if a choice is missing.
    """
    wide = choices.pivot(index=[*CELL, "refined_for"], columns="version", values=["choice", "p_chosen"])
    choice = wide["choice"].reindex(columns=[WITH, WITHOUT])
    chance = wide["p_chosen"].reindex(columns=[WITH, WITHOUT]).astype(float)
    equal = (choice[WITH] == choice[WITHOUT]).astype(float).where(choice.notna().all(axis=1))
    table = choice.assign(equal=equal, change=(chance[WITH] - chance[WITHOUT]).abs())
    order = {name: place for place, name in enumerate(choices["attribute"].unique())}
    return table.rename_axis(columns=None).reset_index().sort_values("attribute", key=lambda a: a.map(order))


def influence(table: pd.DataFrame) -> pd.DataFrame:
    """Compute the agreement of each person's two annotators, with and without the attribute.

    Args:
        table: as returned by `compared`.

    Returns:
        One row per attribute and person: `attribute`, `persona_id`, `n` (choices against the base answer that both
        made), `failed`, `raw` (share of equal choices), `kappa` (Cohen's, missing where undefined).
    """
    rows = []
    for (attribute, persona), own in table[table["refined_for"] != BOTH].groupby(PERSON, sort=False):
        both = own.dropna(subset="equal")
        kappa = agreement.cohen_kappa(both[WITH], both[WITHOUT]) if len(both) else np.nan
        rows.append([attribute, persona, len(both), len(own) - len(both), both["equal"].mean(), kappa])
    return pd.DataFrame(rows, columns=["attribute", "persona_id", "n", "failed", "raw", "kappa"])


def by_attribute(table: pd.DataFrame) -> pd.DataFrame:
    """Compute the paper's measures per attribute: mean kappa and raw agreement against the base answer.

    Args:
        table: as returned by `compared`.

    Returns:
        Index `attribute`, the least agreement first; `people`, `n` (pairs of answers on which both annotators chose),
        `undefined` (people without a kappa), `kappa`, `low`, `high` (mean over people and its 95% interval by
        Student's t, which takes the questions as they are; missing below three people and where all are alike),
        `raw`, `raw_low`, `raw_high` (share of equal choices, as in `stats.rates`), `gap`, `gap_low`, `gap_high` (the
        share less the placebo's, on the same people and questions, as in `stats.paired_differences`), `p` (below .05 if
        the gap's interval lies below 0: fewer equal choices than with the placebo; 1 for a gap above 0), `p_holm`
        (corrected over attributes; both missing without a placebo) and `note` (on the share, as in `stats.rates`).
    """
    of_paper = table[table["refined_for"] != BOTH]
    people = influence(table)
    rows = {}
    for attribute, own in of_paper.groupby("attribute", sort=False):
        kappas = people.loc[people["attribute"] == attribute, "kappa"]
        share = intervals.rate(own["equal"], own[intervals.ITEM])
        rows[attribute] = {
            **{"people": len(kappas), "n": share["n"], "undefined": int(kappas.isna().sum())},
            **dict(zip(("kappa", "low", "high"), over_people(kappas), strict=True)),
            **{"raw": share["rate"], "raw_low": share["low"], "raw_high": share["high"]},
            **gap_to_placebo(of_paper, str(attribute), "equal", intervals.difference, more=-1),
            "note": share["note"],
        }
    columns = ["people", "n", "undefined", "kappa", "low", "high", "raw", "raw_low", "raw_high"]
    columns += ["gap", "gap_low", "gap_high", "p", "note"]
    found = pd.DataFrame.from_dict(rows, orient="index").reindex(columns=columns)
    found.insert(len(columns) - 1, "p_holm", intervals.corrected(found["p"]))
    return found.rename_axis("attribute").sort_values(["kappa", "raw"])


def changes(table: pd.DataFrame) -> pd.DataFrame:
    """Compute per attribute how far one line more moves the probability of a choice, and if its revision is preferred.

    Args:
        table: as returned by `compared`.

    Returns:
        Index `attribute`, the greatest change first; `people`, `n` (pairs of answers with both probabilities),
        `failed`, `change`, `low`, `high` (mean absolute difference of the probabilities of both annotators, with an
        interval as in `stats.rates`), `own_n`, `own`, `own_low`, `own_high` (of the choices between both revisions by
        the annotator who is told the attribute: the share that falls on the revision made with it, as in
        `stats.rates`), `gap`, `gap_low`, `gap_high` (the change less the placebo's, on the same people and questions),
        `p` (below .05 if the gap's interval lies above 0; 1 for a gap below 0), `p_holm` (corrected over attributes;
        both missing without a placebo), `note` (on the change, as in `stats.rates`).
    """
    rows = {}
    for attribute, own in table.groupby("attribute", sort=False):
        mean = intervals.rate(own["change"], own[intervals.ITEM])
        between = own[own["refined_for"] == BOTH]
        share = intervals.rate(verdicts.scored(between[WITH]), between[intervals.ITEM])
        rows[attribute] = {
            **{"people": own["persona_id"].nunique(), "n": mean["n"], "failed": mean["failed"]},
            **{"change": mean["rate"], "low": mean["low"], "high": mean["high"]},
            **{"own_n": share["n"], "own": share["rate"], "own_low": share["low"], "own_high": share["high"]},
            **gap_to_placebo(table, str(attribute), "change", mean_difference, more=1),
            "note": mean["note"],
        }
    columns = ["people", "n", "failed", "change", "low", "high", "own_n", "own", "own_low", "own_high"]
    columns += ["gap", "gap_low", "gap_high", "p", "note"]
    found = pd.DataFrame.from_dict(rows, orient="index").reindex(columns=columns)
    found.insert(len(columns) - 1, "p_holm", intervals.corrected(found["p"]))
    return found.rename_axis("attribute").sort_values("change", ascending=False, kind="stable")


def gap_to_placebo(
    table: pd.DataFrame, attribute: str, value: str, test: Callable[[pd.Series], dict], more: int
) -> dict:
    """Return an attribute's mean less the placebo's on the same people and questions; missing for the placebo itself.

    An attribute matters if it changes more than the placebo, so only that side is tested: `p` is 1 on the other one.
    This also keeps the level if an attribute matters on few of the questions alone: where none of them was drawn, both
    the gap and its error are too small, and the attribute would often differ clearly from the placebo by changing less.

    Args:
        table: as returned by `compared`.
        attribute: the attribute.
        value: `equal` or `change`; its mean over the pairs of answers to a question is one item.
        test: gives `difference`, `low`, `high` and `p` of one difference per item.
        more: the sign of a gap that means more change.
    """
    means = table[table["attribute"].isin([attribute, PLACEBO])].groupby(CELL)[value].mean()
    there = set(means.index.get_level_values("attribute"))
    if attribute == PLACEBO or there != {attribute, PLACEBO}:
        return {"gap": np.nan, "gap_low": np.nan, "gap_high": np.nan, "p": np.nan}
    own = means.xs(attribute)
    found = test(own - means.xs(PLACEBO).reindex(own.index))
    if found["difference"] * more <= 0:
        found["p"] = 1.0 if pd.notna(found["p"]) else found["p"]
    ends = {"gap": "difference", "gap_low": "low", "gap_high": "high", "p": "p"}
    return {name: found[end] for name, end in ends.items()}


def mean_difference(values: pd.Series) -> dict:
    """Return what `stats.intervals.difference` does, by Student's t alone: probabilities may differ very little.

    The method for shares takes two differences of 1 more than were seen, which small changes would drown in.

    Args:
        values: one per item, from -1 to 1 or missing; the levels of its index are the cluster labels.
    """
    known = values.dropna()
    x = known.to_numpy(float)
    found = {"n": len(x), "failed": len(values) - len(x), "difference": x.mean() if len(x) else np.nan}
    worth = effective(x, known.index.to_frame(index=False), x.var() if len(x) else np.nan, floor=1.0)
    if not worth.n or x.std() < ROUNDING:
        return found | {"low": np.nan, "high": np.nan, "p": np.nan, "note": worth.note}
    error = x.std() / np.sqrt(worth.n)
    low, high = (found["difference"] + end * worth.t * error for end in (-1, 1))
    p = 2 * distributions.t.sf(abs(found["difference"]) / error, worth.df)
    return found | {"low": max(low, -1.0), "high": min(high, 1.0), "p": p, "note": worth.note}


def over_people(kappas: pd.Series) -> tuple[float, float, float]:
    """Return the mean over people and its interval, within -1 and 1; missing ends as `by_attribute` says."""
    known = kappas.dropna()
    if len(known) < 3 or known.std() < ROUNDING:
        return known.mean(), np.nan, np.nan
    low, high = np.clip(DescrStatsW(known).tconfint_mean(), -1, 1)
    return known.mean(), low, high


def headline(table: pd.DataFrame, moved: pd.DataFrame, summed: pd.DataFrame, lost: pd.DataFrame) -> str:
    """Return the finding in three sentences, also if parts of it are missing.

    Args:
        table, moved, summed: as returned by `compared`, `changes` and `by_attribute`.
        lost: as returned by `hiding.losses`.
    """
    return f"{_moved(table, moved)}. {_alike(table, summed)}. {_lost(lost)}"


def _moved(table: pd.DataFrame, moved: pd.DataFrame) -> str:
    """Return how far one more attribute moves the probability of a choice, in a sentence."""
    real = table["attribute"] != PLACEBO
    if not table["change"].notna().any():
        return "No choice could be compared"
    mean, line = (intervals.rate(table.loc[part, "change"], table.loc[part, intervals.ITEM]) for part in (real, ~real))
    said = f"One more attribute moves the probability of a choice by {_points(mean)}"
    if line["n"]:
        said += f", a line without content by {_points(line)}"
    if moved["p_holm"].notna().any():
        most = moved.loc[moved["gap"].idxmax()]
        said += f"; it is clearly more than by such a line for {wording.clear(moved)} attributes (Holm over "
        gap = wording.points(most["gap"], most["gap_low"], most["gap_high"], most["n"], most["note"])
        said += f"attributes); the largest gap is that of {most.name}, {gap}"
    return said


def _points(mean: dict) -> str:
    """Return a mean change in percentage points as text."""
    text = wording.points(mean["rate"], mean["low"], mean["high"], mean["n"], mean["note"])
    return text.replace("+", "")  # an absolute change has no sign


def _alike(table: pd.DataFrame, summed: pd.DataFrame) -> str:
    """Return how often both annotators choose alike against the base answer, in a sentence."""
    own = table[(table["attribute"] != PLACEBO) & (table["refined_for"] != BOTH)]
    share = intervals.rate(own["equal"], own[intervals.ITEM])
    text = wording.of_rate(share)
    said = f"Against the base answer the same person chooses alike, told it or not, in {text}"
    people = int(summed["people"].sum())
    said += f" of choices; {int(summed['undefined'].sum())} of {people} kappas are undefined"
    kappas = summed.drop(PLACEBO, errors="ignore")["kappa"].dropna()
    if len(kappas):
        low = summed.loc[kappas.idxmin()]
        kappa = wording.number(low["kappa"], low["low"], low["high"], low["people"])
        said += f", and the lowest mean kappa is that of {low.name}, {kappa}"
    return said


def _lost(lost: pd.DataFrame) -> str:
    """Return what hiding attributes from the writer changed, in a sentence."""
    known = lost[lost["hidden"] != PLACEBO].dropna(subset="difference")
    if known.empty:
        return "No change of the score by hiding an attribute could be measured."
    most = known.iloc[0]
    change = wording.points(most["difference"], most["low"], most["high"], most["n"], most["note"])
    said = f"Hiding an attribute from the writer clearly changes the score for {wording.clear(lost)} attributes"
    lowest = f"the lowest difference is that of {most['hidden']}, {change}"
    said += f" (Holm over attributes); {lowest if most['difference'] < 0 else 'none of them shows a loss'}"
    line = lost[lost["hidden"] == PLACEBO].dropna(subset="difference")
    if len(line):
        row = line.iloc[0]
        said += f"; that of a line without content is {wording.points(*row[['difference', 'low', 'high', 'n']])}"
    return f"{said}."
