"""Verification: does a judge in the role of the persona prefer the revision? Section 3.2 of the paper (there: 96%).

The revision stands against the base answer, and against other persons' revisions of it: those were written in the same
way, so only a revision that fits its person wins. Each two answers are shown in both orders, and `readings` counts them
in every way that could be meant by "prefers".
"""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from .. import seeds
from ..judges import verdicts
from ..judges.verdicts import won
from ..model import LanguageModel
from ..personas import profiles
from ..stats import intervals, length_controlled
from ..stats.wording import of_rate
from . import gates, negatives
from .splits import cells

REVISION, BASE, ORDER = "revision", "base answer", "order decides"
# What a revision is compared with, besides the base answer, by the kind of hard negative.
RIVALS = {negatives.OTHER: "another's revision", negatives.OPPOSITE: "opposite's revision"}
FIRST, SECOND, BOTH, MEAN = "one order, shown first", "one order, shown second", "both orders", "mean probability"
GROUPS = ("age", "sex", "race", "education", "ideology", "political views", "religion")
_AGES = {0: "under 18", 18: "18 to 29", 30: "30 to 44", 45: "45 to 64", 65: "65 or older"}


def draw(pairs: pd.DataFrame, n: int) -> pd.DataFrame:
    """Draw up to n usable pairs, spread evenly over the uses.

    A hash of both ids orders the pairs, so that all writers and wordings are verified on the same people and prompts.

    Args:
        pairs: columns `persona_id`, `prompt_id`, `use`, `failure`.
        n: number of pairs.
    """
    usable = pairs[pairs["failure"].isna()]
    place = (usable["prompt_id"] + "|" + usable["persona_id"]).map(seeds.digest)
    usable = usable.assign(place=place).sort_values("place", kind="stable")
    turned = usable.assign(turn=usable.groupby("use").cumcount()).sort_values(["turn", "use"], kind="stable")
    return turned.drop(columns=["place", "turn"]).head(n)


def rivals(drawn: pd.DataFrame, pairs: pd.DataFrame, hard: pd.DataFrame) -> pd.DataFrame:
    """Put other persons' revisions in the place of the base answer: pairs for `judge`.

    Args:
        drawn: the pairs, as returned by `draw`.
        pairs: all pairs, for the texts of the negatives.
        hard: as returned by `negatives.hard`.

    Returns:
        Up to two rows per drawn pair, with its columns; `rejected` is the other revision, `comparison` one of `RIVALS`.
        A pair without a hard negative of a kind has no row of that kind.
    """
    found = hard.loc[hard["negative_id"].notna(), ["pair_id", "kind", "negative_id"]]
    table = drawn.merge(found, on="pair_id").sort_values(
        "kind", key=lambda kind: kind.map(list(RIVALS).index), kind="stable"
    )
    texts = pairs.set_index("pair_id")["chosen"]
    return table.assign(rejected=table["negative_id"].map(texts), comparison=table["kind"].map(RIVALS))


def judge(
    pairs: pd.DataFrame, people: pd.DataFrame, model: LanguageModel, templates: str | None = None
) -> pd.DataFrame:
    """Let a model choose between revision and rival in the role of each pair's persona: two calls per pair.

    Args:
        pairs: usable ones, columns as returned by `preferences.revise`. The column `comparison` says what the rival,
            `rejected`, is; without it, it is the base answer.
        people: personas, index `persona_id`.
        model: the judge; it must offer log-probabilities.
        templates: folder with the user's own `prefer.txt`.

    Returns:
        The index of `pairs`; columns `pair_id`, `persona_id`, `prompt_id`, `use`, `topic`, `comparison`, `cell` (see
        `splits.cells`), `length_gap` (see `gates.length_gap`), those of `verdicts.prefer`, and `outcome`: 'revision' or
        the rival's name (in both orders), 'order decides', or missing with the reason in `failure`.
    """
    rival = pairs["comparison"] if "comparison" in pairs else pd.Series(BASE, pairs.index, dtype="str")
    shown = profiles.texts(people.loc[pairs["persona_id"].unique()])
    chosen = verdicts.prefer(model, pairs.assign(profile=pairs["persona_id"].map(shown)), templates, "verification")
    table = pairs[["pair_id", "persona_id", "prompt_id", "use", "topic"]].assign(
        comparison=rival, cell=cells(pairs), length_gap=gates.length_gap(pairs)
    )
    table = table.join(chosen.drop(columns=["pair_id", "persona_id"]))
    revision = table["p_first"].gt(0.5) & table["p_second"].gt(0.5)
    base = table["p_first"].lt(0.5) & table["p_second"].lt(0.5)
    outcome = rival.where(base, ORDER).mask(revision, REVISION)
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
        shares `base` (the base answer is preferred in both orders) and `order` (the order decides), missing if nothing
        is scored.
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
        parts[name] = found.join(shares.set_axis(["base", "order"], axis=1).where(found["n"] > 0))
    return pd.concat(parts, names=["by"])


def readings(verdicts: pd.DataFrame) -> pd.DataFrame:
    """Return how often the revision is preferred to each rival, counted in each way that could be meant.

    Args:
        verdicts: as returned by `judge`.

    Returns:
        Index `comparison` and `reading`; columns `n`, `failed`, `rate`, `low`, `high`, `note` as in `intervals.rates`.
        The readings: 'one order, shown first' and 'one order, shown second' (the share of pairs in which the revision
        is likelier in that place, a tie counts half), 'both orders' (the share in which it is likelier in both), and
        'mean probability' (of the revision, over both orders and all pairs).
    """
    known = verdicts["outcome"].notna()
    scores = {
        FIRST: won(verdicts["p_first"]),
        SECOND: won(verdicts["p_second"]),
        BOTH: verdicts["outcome"].eq(REVISION).astype(float).where(known),
        MEAN: verdicts["p_chosen"],
    }
    rows = [verdicts.assign(reading=name, score=score) for name, score in scores.items()]
    by = ["comparison", "reading"]
    order = pd.MultiIndex.from_product([verdicts["comparison"].unique(), list(scores)], names=by)
    return intervals.rates(pd.concat(rows), by=by).reindex(order)


def length_control(verdicts: pd.DataFrame) -> pd.DataFrame:
    """Return how much longer the revision is than each rival, and how likely it is preferred at equal length.

    Args:
        verdicts: as returned by `judge`.

    Returns:
        Index `comparison`; `gap` (median of `length_gap`), `longer` (share of pairs in which the revision is longer),
        and the columns of `stats.length_controlled` on the probability of the revision.
    """
    groups = verdicts.groupby("comparison", sort=False)["length_gap"]
    shares = pd.DataFrame({"gap": groups.median(), "longer": groups.agg(lambda gap: (gap > 0).mean())})
    return shares.join(length_controlled(verdicts, "comparison", value="p_chosen", length="length_gap"))


def told(table: pd.DataFrame) -> str:
    """Return what `readings` say about the revisions, in words: a line for each rival."""
    lines = []
    for rival in table.index.unique("comparison"):
        mean, both = table.loc[(rival, MEAN)], table.loc[(rival, BOTH)]
        if np.isnan(mean["rate"]):
            lines.append(f"Against {_article(rival)}: nothing could be scored.")
            continue
        if np.isnan(mean["low"]):
            reads = "no interval is estimable, so nothing follows"
        elif mean["low"] > 0.5:
            reads = "the revision is preferred"
        elif mean["high"] < 0.5:
            reads = "the rival is preferred"
        else:
            reads = "this run shows no preference"
        lines.append(
            f"Against {_article(rival)}: mean probability {of_rate(mean)}, preferred in both orders "
            f"{of_rate(both)}: {reads}."
        )
    return "\n".join(lines)


def headline(judge: str, table: pd.DataFrame, total: pd.Series) -> str:
    """Return the result in a sentence: how often the revision is preferred, and its mean probability by rival.

    Args:
        judge: its name.
        table: as returned by `readings`.
        total: the row of all pairs of `rates`, against the base answer.
    """
    means = table.xs(MEAN, level="reading")
    against = ", ".join(f"{of_rate(mean)} against {_article(rival)}" for rival, mean in means.iterrows())
    return (
        f"{judge} prefers the revision to the base answer in both orders in {of_rate(total)} of pairs (paper: "
        f"96%, order not reported); mean probability of the own revision: {against}."
    )


def _article(rival: str) -> str:
    return rival if rival == RIVALS[negatives.OTHER] else f"the {rival}"


def _labels(values: pd.Series) -> pd.Series:
    """Return age in bands, everything else as text; missing stays missing."""
    if values.name != "age":
        return values.astype("str")
    return profiles.banded(values, _AGES).astype("str").where(values.notna())
