"""A board: submissions to one world side by side, with ranks as intervals.

Two methods are compared on the choices that both were asked for, and a missing prediction counts as one half. A rank
interval says which ranks the comparisons leave open: methods that can't be told apart share ranks.
"""

from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd

from ... import UserError, stats
from ...stats.clustering import FEW
from ...stats.wording import ALPHA
from ...texts import line
from ..scoring import scores
from ..worlds.world import World
from . import submissions
from .checking import Checked


class Section(NamedTuple):
    """What a board shows of one k: the `table` (as `ranked`), `says` (ties in words), `comparisons` (their number)."""

    k: int
    table: pd.DataFrame
    says: str
    comparisons: int


def sections(entries: Sequence[Checked], world: World) -> list[Section]:
    """Return a section for each k, the largest first.

    Args:
        entries: submissions to this world, each with predictions.
        world: with the labels of tested choices.

    Raises:
        UserError: two have one name, or were shown other choices (draws, seed or cell differ).
    """
    if not entries:
        return []
    _check(entries)
    rows = pd.concat([entry.predictions for entry in entries], ignore_index=True)
    every = rows.assign(method=rows["method"].astype(str), p_first=rows["p_first"].fillna(0.5))
    found = []
    for k in sorted({int(k) for k in every["k"]}, reverse=True):
        at = every[every["k"] == k]
        at = at.astype({"method": pd.CategoricalDtype(sorted(at["method"].unique()))})
        tables = [entry.scores[entry.scores["k"] == k] for entry in entries]
        gaps = pairs(at, k)
        table = ranked(pd.concat(tables).astype({"method": "str"}), gaps)
        found.append(Section(k, table, said(table), len(gaps)))
    return found


def _check(entries: Sequence[Checked]) -> None:
    """Raise UserError for names that are doubled and settings that differ."""
    by_name: dict[str, Checked] = {}
    first = entries[0].submission
    for entry in entries:
        one = entry.submission
        if (twin := by_name.setdefault(one.about.name, entry)) is not entry:
            folders = f"{twin.submission.folder} and {one.folder}"
            raise UserError(f"two submissions are named {one.about.name!r} ({folders}): rename one in its method.yaml")
        for name in ("cell", "draws", "seed"):
            pair = [getattr(each.about, name) for each in (first, one)]
            if pair[0] != pair[1]:
                raise UserError(
                    f"{first.folder} has {name} {pair[0]}, {one.folder} {pair[1]}: a board compares methods that were "
                    "shown the same choices"
                )


def pairs(predictions: pd.DataFrame, k: int) -> pd.DataFrame:
    """Compare every two methods at one k: rows of `scores.differences`, `p_holm` over all of them."""
    names = list(predictions["method"].cat.categories)
    tables = []
    for i, name in enumerate(names[:-1]):
        rest = predictions[predictions["method"].isin(names[i:])]
        tables.append(scores.differences(rest.assign(method=rest["method"].cat.set_categories(names[i:])), name, k))
    if not tables:
        return pd.DataFrame(columns=["minuend", "subtrahend", "difference", "p", "p_holm"])
    every = pd.concat(tables, ignore_index=True)
    return every.assign(p_holm=stats.corrected(every["p"]))


def ranked(table: pd.DataFrame, gaps: pd.DataFrame) -> pd.DataFrame:
    """Return scores at one k with `best` and `worst`, the ends of each method's rank interval; the best first.

    `best` is 1 + the number of methods that are significantly better (Holm over all pairs), `worst` the number of
    methods - the number that are significantly worse. With fewer than FEW people nothing is significant.

    Args:
        table: of `submissions.scored`, one row per method.
        gaps: of `pairs`.
    """
    sure = gaps[gaps["p_holm"] < ALPHA] if table["people"].min() >= FEW else gaps.iloc[:0]
    first = sure["minuend"].where(sure["difference"] > 0, sure["subtrahend"]).value_counts()
    second = sure["subtrahend"].where(sure["difference"] > 0, sure["minuend"]).value_counts()
    beaten, beats = (table["method"].map(count).fillna(0).astype(int) for count in (second, first))
    whole = table.assign(best=1 + beaten, worst=len(table) - beats)
    return whole.sort_values(["best", "worst", "accuracy"], ascending=[True, True, False], ignore_index=True)


def said(table: pd.DataFrame) -> str:
    """Return in words who is first, and which methods can't be told apart."""
    n, people = len(table), int(table["people"].min())
    if n == 1:
        return "One method: there is nothing to compare it with."
    if people < FEW:
        return f"Too few people ({people}) to rank methods: {FEW} or more."
    first = [f"\u201c{name}\u201d" for name in table.loc[table["best"] == 1, "method"]]
    if len(first) == n:
        return f"The {n} methods are tied: no difference between two of them is significant."
    if len(first) == 1:
        beaten = n - int(table["worst"].iloc[0])
        whom = "every other method" if beaten == n - 1 else f"{beaten} of {n - 1} others, and none beats it"
        return f"{first[0]} is first: it beats {whom}."
    return f"Tied for the first place: {', '.join(first)}. No method beats any of them."


def shown(entry: Checked) -> dict[str, str]:
    """Return what a board says of a method beside its scores, as texts: `sees`, `parameters`, `cost`, `commit`."""
    about = entry.submission.about
    parts = []
    if about.calls is not None:
        parts.append(f"{about.calls:,} calls")
    if about.tokens is not None:
        parts.append(f"{about.tokens:,} tokens")
    if about.cost_usd is not None:
        parts.append(f"{about.cost_usd:.2f} USD")
    return {
        "sees": ", ".join(about.sees) or "nothing",
        "parameters": "" if about.parameters is None else f"{about.parameters:,}",
        "cost": ", ".join(parts),
        "commit": (about.commit or "")[:7],
        "hardware": about.hardware,
        "contamination": about.contamination,
    }


def text(entry: Checked) -> str:
    """Return a submission that was checked as lines of text, without its problems: what it has, and its scores."""
    about, predictions = entry.submission.about, entry.predictions
    lines = [f"{about.name}, on {about.world}"]
    if predictions is not None:
        missing = predictions["p_first"].isna()
        lines[0] += f": {len(predictions):,} predictions, {missing.sum():,} of them missing"
        why = predictions.loc[missing, "failure"].astype(str).value_counts().head(3)
        lines += [f"{n:,} missing: {line(reason)}" for reason, n in why.items() if reason != submissions.ABSENT]
        if entry.scores.empty:
            lines.append("scores: none while the labels are hidden")
    for row in entry.scores.itertuples():
        share = stats.share(row.accuracy, row.low, row.high, n=row.people, note=row.note)
        lines.append(f"k = {row.k}: {share} right")
    return "\n  ".join(lines)
