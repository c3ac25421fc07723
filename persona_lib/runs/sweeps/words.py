"""What a sweep found, in words: each notebook's finding over all points, and what speaks against it."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import pandas as pd

from ...model.limits.usage import cost_text
from ...texts import counted
from ..results import findings
from ..results.findings import FEW, POINTS, number
from .tables import DONE, FAILED, FINDING, GIVEN, Collected

SEED = f"{GIVEN}seed"


class Summary(NamedTuple):
    """A notebook's finding over the points of a sweep.

    `question` is the notebook's title; `says` is what was measured, empty if that differs between points. `span` is
    from the lowest value to the highest as text, empty if no point has a value, `lowest` and `highest` are these with
    interval, n and point. `n` is the range of the values' n. `known` of `of` points have a value. `against` is what
    speaks against it, in sentences.
    """

    notebook: str
    question: str
    says: str
    span: str
    lowest: str
    highest: str
    n: str
    known: int
    of: int
    against: list[str]


def summaries(found: Collected) -> list[Summary]:
    """Return a summary of each notebook of a sweep, in the order of interest."""
    own = found.rows[found.rows["metric"] == FINDING].join(found.points[["label", "models", "judges"]], on="point")
    titles = found.notebooks.groupby("notebook")["title"].first()
    return [
        _summary(stem, titles[stem] or stem, own[own["notebook"] == stem], len(found.points))
        for stem in findings.ordered(list(titles.index))
    ]


def _summary(stem: str, question: str, rows: pd.DataFrame, of: int) -> Summary:
    """Return the summary of a notebook from the rows of its finding."""
    texts = [_without_names(row) for row in rows.to_dict("records")]
    says = texts[0] if len(set(texts)) == 1 else ""
    known = rows.assign(says=texts).dropna(subset="value").sort_values("value", kind="stable")
    if known.empty:
        return Summary(stem, question, says, "", "", "", "", 0, of, ["No point has a value."])
    unit = known["unit"].iloc[0]
    low, high = (number(known["value"].iloc[end], unit) for end in (0, -1))
    span = low if low == high else f"{low.removesuffix(POINTS)} to {high}"
    least, most = (number(n) for n in (known["n"].min(), known["n"].max()))
    lowest, highest = (_told(known.iloc[end], alone=bool(says)) for end in (0, -1))
    n = "" if pd.isna(known["n"].max()) else least if least == most else f"{least} to {most}"
    return Summary(stem, question, says, span, lowest, highest, n, len(known), of, list(_against(known, unit, of)))


def _without_names(row: dict) -> str:
    """Return what was measured without the names of models, which differ between points."""
    text = row["text"]
    for name, role in ((row["models"], "the model"), (row["judges"], "the judge")):
        if isinstance(name, str) and ", " not in name:
            text = re.sub(rf"(?<![\w-]){re.escape(name)}(?![\w-])", role, text)
    return text


def value(row: Mapping[str, Any]) -> str:
    """Return the value of a finding with its interval and n, such as '+14 points (+5 to +23, n = 200)'."""
    parts = (row[part] if pd.notna(row[part]) else None for part in ("value", "low", "high", "n"))
    middle, low, high, n = (number(part, unit) for part, unit in zip(parts, (*[row["unit"]] * 3, ""), strict=True))
    ends = f"{low.removesuffix(POINTS)} to {high.removesuffix(POINTS)}" if low and high else ""
    within = ", ".join(filter(None, (ends, f"n = {n}" if n else "")))
    return f"{middle} ({within})" if within else middle


def _told(row: pd.Series, alone: bool) -> str:
    """Return a point's finding; unless `alone`, with what was measured."""
    return f"{row['label']}: {value(row)}{'' if alone else f', {row.says}'}"


def _against(known: pd.DataFrame, unit: str, of: int) -> Iterator[str]:
    """Yield what speaks against a finding over several points: its rows that have a value, lowest first."""
    if missing := of - len(known):
        yield f"{missing} of {of} points have no value."
    unclear = int(((known["low"] <= 0) & (known["high"] >= 0)).sum())
    if unit == "points" and unclear:
        yield f"In {unclear} of {known['low'].notna().sum()} points the interval holds no difference."
    if few := int((known["n"] < FEW).sum()):
        yield f"In {few} of {len(known)} points it rests on fewer than {FEW}."
    if len(known) > 1:
        yield f"The highest of {len(known)} is likely overstated; intervals are not corrected for how many there are."
    if SEED in known and known[SEED].nunique() > 1:
        settings = [name for name in known if name.startswith(GIVEN) and name != SEED]
        values = known.groupby(settings)["value"] if settings else known.assign(all=0).groupby("all")["value"]
        moved = number((values.max() - values.min()).max(), unit).lstrip("+")
        yield f"From seed to seed alone it moves by up to {moved}."


def notices(found: Collected, embedded: str) -> Iterator[str]:
    """Yield what a reader should know of all findings; `embedded` is the name of the embedded model."""
    asked = found.points["models"].dropna()
    if asked.str.split(", ").explode().eq(embedded).any():
        yield (
            f"Points asked {embedded}, which has 135 million parameters. The model shows that everything works; it is "
            "far too small for conclusions about people, prompts or methods."
        )
    judges = found.points["judges"].dropna().unique()
    if len(judges) > 1:
        yield (
            f"The judge differs between points ({'; '.join(judges)}): so do their verdicts. To compare what models "
            "write, give all points one judge."
        )


def said(found: Collected) -> str:
    """Return how many points are done, why others are not, and each notebook's finding, as lines of text."""
    points = found.points
    lines = [f"{(points['state'] == DONE).sum()} of {len(points)} points are done"]
    rest = points[points["state"] != DONE].sort_values("state", key=lambda s: s != FAILED, kind="stable")
    lines += [f"{row.state:8}{row.label}  {row.reason}" for row in rest.itertuples()]
    for own in summaries(found):
        if own.span:
            where = "" if own.known == 1 else f"; lowest in {own.lowest}; highest in {own.highest}"
            what = own.says or own.question
            lines.append(f"{own.notebook}  {what}: {own.span} in {own.known} of {own.of} points{where}")
    cost = points["cost"].sum(skipna=False)
    used = f"{counted(int(points['calls'].sum()), 'model call')}, {cost_text(None if pd.isna(cost) else cost)}"
    return "\n".join([*lines, used])
