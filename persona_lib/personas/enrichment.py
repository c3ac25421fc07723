"""Enrichment: everything that the census does not say of a person, drawn in ordered steps and checked.

The paper's section 3.1 enriches people and then filters out those who contradict themselves. Here nobody is removed: a
person whose profile breaks a rule, or contradicts itself by a model's reading, keeps the census core, and the rest is
drawn anew, a few times. The table reports how often, and why. (Unlikely combinations of census values are left out
before, see `rarity`.)
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from ..attributes import BY_NAME, CENSUS
from ..model import LanguageModel
from . import consistency, filtering, names, origins, psychographics
from .texts import FALLBACK, QUIRKS, SETS, by_model, fallback, quirks

TRIES = 5  # redraws of a profile that contradicts itself
NEXT_SEED = 1_000_003  # added to the seed for each redraw

Draw = Callable[[pd.DataFrame, int], pd.DataFrame]


@dataclass(frozen=True)
class Step:
    """A step that adds columns to people.

    `draw(people, seed)` sees the census columns and those of the steps before. `source` says in a few words where the
    columns come from.
    """

    draw: Draw
    columns: tuple[str, ...]
    source: str = ""


def _label(people: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Return a copy of the drawn ideology: a later step may put `ideology` in free words."""
    return people[["ideology"]].rename(columns={"ideology": "ideology label"})


WRITTEN = (*SETS, "written by", "failure")
STEPS = (
    Step(origins.draw, origins.COLUMNS, "census tables, given the census attributes"),
    Step(psychographics.draw, psychographics.COLUMNS, "surveys, given all above"),
    Step(_label, ("ideology label",)),
    Step(quirks, tuple(QUIRKS), "hand-written phrases that suit the person"),
    Step(names.draw, (names.NAME,)),
    Step(fallback, WRITTEN, "put together from hand-written phrases"),
)
REPORT = ("redrawn", "redrawn because", "inconsistent")
COLUMNS = (*dict.fromkeys(name for step in STEPS for name in step.columns), *REPORT)


def needed(where: str | None) -> tuple[Step, ...]:
    """Return the steps that must run before a filter can be applied: all up to the last one that it names."""
    named = {name for pair in re.findall(r"`([^`]+)`|(\w+)", where or "") for name in pair}
    places = [place for place, step in enumerate(STEPS, start=1) if named & set(step.columns)]
    return STEPS[: max(places, default=0)]


def add(people: pd.DataFrame, seed: int, steps: Sequence[Step]) -> pd.DataFrame:
    """Return the people with the columns of the steps; columns that they already have are replaced."""
    for step in steps:
        people = people.assign(**step.draw(people, seed)[list(step.columns)])
    return people


def first_draw(people: pd.DataFrame, seed: int, writer: LanguageModel | None = None) -> pd.DataFrame:
    """Return the people as the steps first drew them, before any contradiction led to a redraw.

    Args:
        people: personas of `sampling.sample` that were drawn without a filter `where`.
        seed, writer: of that draw; what the writer wrote then is in the store.

    Returns:
        The census columns and those of STEPS: what `filtering.by_rules`, `by_model` and `report` need to say what a
        filter removes.
    """
    later = {name for step in STEPS[1:] for name in step.columns} | {*REPORT, "persona_split"}
    return add(people[[name for name in people if name not in later]], seed, _by(writer)[1:])


def complete(
    people: pd.DataFrame,
    seed: int,
    where: str | None = None,
    writer: LanguageModel | None = None,
    checker: LanguageModel | None = None,
) -> pd.DataFrame:
    """Run the steps and check the profiles; run all but the first again for contradictory profiles, up to TRIES times.

    A checker that calls more than half of the first profiles inconsistent tells more of itself than of the people: then
    nobody is redrawn for it, and those who break a rule are redrawn without it.

    Args:
        people: index `persona_id`, the census columns, and the columns of the steps that have run: those stay.
        seed: of all draws.
        where: the filter that chose the people; a redraw keeps the columns that it needed, and origins.
        writer: the model that writes the open-ended attributes in place of the hand-written phrases.
        checker: the model that reads the profiles for contradictions that no rule knows.

    Returns:
        The people with COLUMNS. The last three are `redrawn` (how often), `redrawn because` (every contradiction that
        led to a redraw) and `inconsistent` (the contradiction that remains; missing for nearly all). `failure` says why
        a reply of a model was not usable: then the hand-written text stays, or the profile was not read.
    """
    known = max(1, len(needed(where)))  # origins are drawn once, since they are balanced
    steps = _by(writer)[known:] or (_by(writer)[-1:] if writer else ())  # a writer always writes
    people = add(people, seed, [step for step in STEPS[:known] if not set(step.columns) <= set(people)])
    drawn, broken, blamed, read = _drawn(people, seed, steps, checker)
    if filtering.blames_all(len(blamed), read):
        checker, left = None, blamed
    else:
        broken, left = pd.concat([broken, blamed]), blamed.head(0)
    reasons: list[pd.Series] = []  # of each redraw: why, for each person redrawn
    while len(broken) and steps and len(reasons) < TRIES:
        reasons.append(broken)
        again = people.loc[broken.index]
        fresh, *wrong, _ = _drawn(again, seed + len(reasons) * NEXT_SEED, steps, checker)
        broken = pd.concat(wrong)
        drawn = pd.concat([drawn.drop(fresh.index), fresh]).loc[drawn.index]
    return drawn.assign(**_report(people.index, reasons, pd.concat([broken, left])))


def _by(writer: LanguageModel | None) -> tuple[Step, ...]:
    """Return the steps; with a writer, the last one is its own."""
    if writer is None:
        return STEPS
    return *STEPS[:-1], Step(lambda people, seed: by_model(people, writer, seed), WRITTEN)


def _drawn(
    people: pd.DataFrame, seed: int, steps: Sequence[Step], checker: LanguageModel | None
) -> tuple[pd.DataFrame, pd.Series, pd.Series, int]:
    """Run the steps once and check the people.

    Returns:
        The people; the rules that some break, and what the checker says of others, each as one text by id; and how many
        the checker read.
    """
    drawn = add(people, seed, steps)
    broken = contradictions(drawn)
    if checker is None:
        return drawn, broken, broken.head(0), 0
    said = consistency.ask(drawn.drop(broken.index), checker)  # rules cost nothing, so they go first
    drawn["failure"] = drawn["failure"].fillna("not read: " + said["failure"])
    wrong = said[said["consistent"].eq(False).fillna(False)]
    told = f"{checker.name}: " + wrong["attribute"] + ": " + wrong["why"]
    return drawn, broken, told, int(said["consistent"].notna().sum())


def _report(index: pd.Index, reasons: list[pd.Series], left: pd.Series) -> dict[str, pd.Series]:
    """Return the columns REPORT on an index of people.

    `reasons` has for each redraw why each person was redrawn, `left` the contradictions of the last profiles.
    """
    nobody = pd.Series(index=index[:0], dtype="str")
    by_person = pd.concat([nobody, *reasons]).groupby(level=0)
    redrawn = by_person.size().reindex(index, fill_value=0)
    because = by_person.agg("; ".join).reindex(index).astype("str")
    return dict(zip(REPORT, [redrawn, because, left.reindex(index).astype("str")], strict=True))


def built(row: pd.Series) -> pd.DataFrame:
    """Show how a persona came about: one row per known attribute, in the order of the steps.

    Columns: `source` (of which step), `attribute`, `value`.
    """
    source = dict.fromkeys(CENSUS, "drawn from the census model")
    writer = row.get("written by", FALLBACK)
    by = STEPS[-1].source if writer == FALLBACK else f"written by {writer}"
    for step in (*STEPS[:-1], replace(STEPS[-1], source=by)):
        for name in step.columns:
            source.setdefault(name, step.source)
    rows = [(source[name], name, row[name]) for name in source if name in BY_NAME and pd.notna(row[name])]
    return pd.DataFrame(rows, columns=["source", "attribute", "value"])


def contradictions(people: pd.DataFrame) -> pd.Series:
    """Return the rules that each person breaks, and why, as one text by id; people who break no rule are left out."""
    broken = consistency.check(people)
    return (broken["rule"] + ": " + broken["reason"]).groupby(broken["persona_id"]).agg("; ".join).astype("str")
