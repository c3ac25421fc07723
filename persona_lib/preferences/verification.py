"""Verification: does a judge in the role of the persona prefer the revision? Section 3.2 of the paper (there: 96%).

Each pair is shown in both orders. A revision counts as preferred only if it is chosen in both; a judge that goes by
position alone prefers nothing.
"""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from ..judges import verdicts
from ..model import LanguageModel
from ..personas import profiles
from ..stats import intervals
from .splits import cells

REVISION, BASE, ORDER = "revision", "base answer", "order decides"
GROUPS = ("age", "sex", "race", "education", "ideology", "political views", "religion")
_AGES = {0: "under 18", 18: "18 to 29", 30: "30 to 44", 45: "45 to 64", 65: "65 or older"}


def draw(pairs: pd.DataFrame, n: int) -> pd.DataFrame:
    """Draw up to n usable pairs, spread evenly over the uses, by the hash that is their id.

    Args:
        pairs: columns `pair_id`, `use`, `failure`.
        n: number of pairs.
    """
    usable = pairs[pairs["failure"].isna()].sort_values("pair_id")
    turn = usable.groupby("use").cumcount()
    return usable.assign(turn=turn).sort_values(["turn", "use"], kind="stable").drop(columns="turn").head(n)


def judge(
    pairs: pd.DataFrame, people: pd.DataFrame, model: LanguageModel, templates: str | None = None
) -> pd.DataFrame:
    """Let a model choose between base answer and revision in the role of each pair's persona: two calls per pair.

    Args:
        pairs: usable ones, columns as returned by `preferences.revise`.
        people: personas, index `persona_id`.
        model: the judge; it must offer log-probabilities.
        templates: folder with the user's own `prefer.txt`.

    Returns:
        The index of `pairs`; columns `pair_id`, `persona_id`, `prompt_id`, `use`, `topic`, `cell` (see `splits.cells`),
        those of `verdicts.prefer`, and `outcome`: 'revision' or 'base answer' (in both orders), 'order decides', or
        missing with the reason in `failure`.
    """
    shown = profiles.texts(people.loc[pairs["persona_id"].unique()])
    chosen = verdicts.prefer(model, pairs.assign(profile=pairs["persona_id"].map(shown)), templates, "verification")
    table = pairs[["pair_id", "persona_id", "prompt_id", "use", "topic"]].assign(cell=cells(pairs))
    table = table.join(chosen.drop(columns=["pair_id", "persona_id"]))
    revision = table["p_first"].gt(0.5) & table["p_second"].gt(0.5)
    base = table["p_first"].lt(0.5) & table["p_second"].lt(0.5)
    outcome = pd.Series(np.select([revision, base], [REVISION, BASE], ORDER), table.index, dtype="str")
    known = table["p_chosen"].notna()
    # `prefer` reports a tie of the mean as a failure. Here it is an outcome: the orders disagree.
    return table.assign(outcome=outcome.where(known), failure=table["failure"].mask(known))


def rates(verdicts: pd.DataFrame, people: pd.DataFrame, groups: Iterable[str] = GROUPS) -> pd.DataFrame:
    """Return the share of revisions preferred in both orders: overall, by use, cell and topic, and by attribute.

    Args:
        verdicts: as returned by `judge`.
        people: personas, index `persona_id`.
        groups: the attributes to break down by. Age comes in five bands; an attribute that nobody has is left out.

    Returns:
        Index `by` and `group`; columns `n`, `failed`, `rate`, `low`, `high`, `note` as in `intervals.rates`, and the
        shares `base` (the base answer is preferred in both orders) and `order` (the order decides).
    """
    table = verdicts.assign(score=verdicts["outcome"].eq(REVISION).astype(float).where(verdicts["outcome"].notna()))
    kinds = {"all": pd.Series("all pairs", table.index)} | {name: table[name] for name in ("use", "cell", "topic")}
    known = people.reindex(columns=list(groups)).dropna(axis=1, how="all")
    if "ideology label" in people:  # the ideology itself is free text
        known = known.assign(ideology=people["ideology label"])
    kinds |= {name: table["persona_id"].map(_labels(known[name])) for name in known}
    parts = {}
    for name, group in kinds.items():
        rows = table.assign(group=group.fillna("unknown").astype("str"))
        shares = rows.groupby("group")["outcome"].value_counts(normalize=True).unstack()
        shares = shares.reindex(columns=[BASE, ORDER], fill_value=0).fillna(0)
        found = intervals.rates(rows.sort_values("group", kind="stable"), by="group")
        parts[name] = found.join(shares.set_axis(["base", "order"], axis=1))
    return pd.concat(parts, names=["by"])


def _labels(values: pd.Series) -> pd.Series:
    """Return age in bands, everything else as text; missing stays missing."""
    if values.name != "age":
        return values.astype("str")
    return profiles.banded(values, _AGES).astype("str").where(values.notna())
