"""What the census doesn't say of a person: one ordered list of steps, drawn anew where a profile contradicts itself.

The paper's section 3.1 (enrich, then filter). Nobody is left out: whose profile breaks a rule keeps the census core and
gets the rest anew, a few times, and the table says how often and why. Used by `personas`.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd

from ..attributes import BY_NAME, CENSUS
from ..model import LanguageModel
from . import consistency, origins, psychographics
from .texts import QUIRKS, SETS, by_model, fallback, quirks

TRIES = 5  # draws of a profile that contradicts itself, after the first
NEXT_SEED = 1_000_003  # from the seed of one draw to that of the next

Draw = Callable[[pd.DataFrame, int], pd.DataFrame]


@dataclass(frozen=True)
class Step:
    """Adds columns to people: `draw(people, seed)` sees the census columns and those of the steps before it.

    `source` says in a few words where the columns come from.
    """

    draw: Draw
    columns: tuple[str, ...]
    source: str = ""


def _label(people: pd.DataFrame, seed: int) -> pd.DataFrame:
    """The drawn ideology, kept apart from the free wording that some get."""
    return people[["ideology"]].rename(columns={"ideology": "ideology label"})


WRITTEN = (*SETS, "written by", "failure")
STEPS = (
    Step(origins.draw, origins.COLUMNS, "census tables, given the census attributes"),
    Step(psychographics.draw, psychographics.COLUMNS, "surveys, given all above"),
    Step(_label, ("ideology label",)),
    Step(quirks, tuple(QUIRKS), "hand-written, for whom they suit"),
    Step(fallback, WRITTEN, "put together from hand-written phrases"),
)
REPORT = ("redrawn", "redrawn because", "inconsistent")
COLUMNS = (*dict.fromkeys(name for step in STEPS for name in step.columns), *REPORT)


def needed(where: str | None) -> tuple[Step, ...]:
    """The steps, from the first on, that a filter needs: up to the last with a column that it names."""
    named = {name for pair in re.findall(r"`([^`]+)`|(\w+)", where or "") for name in pair}
    places = [place for place, step in enumerate(STEPS, start=1) if named & set(step.columns)]
    return STEPS[: max(places, default=0)]


def add(people: pd.DataFrame, seed: int, steps: Sequence[Step]) -> pd.DataFrame:
    """The people with the columns of these steps, replaced where they are there."""
    for step in steps:
        people = people.assign(**step.draw(people, seed)[list(step.columns)])
    return people


def complete(
    people: pd.DataFrame, seed: int, where: str | None = None, model: LanguageModel | None = None
) -> pd.DataFrame:
    """Run the steps, check, and run them anew for whoever contradicts themselves, up to TRIES times.

    Args:
        people: index `persona_id`, the census columns and those of the steps that the filter needed, which stay.
        seed: of all draws.
        where: the filter that chose the people.
        model: writes the open-ended attributes in place of the hand-written phrases, and reads the profiles for
            contradictions that no rule knows.

    Returns:
        The people with COLUMNS; the last are `redrawn` (how often), `redrawn because` (every contradiction on the way)
        and `inconsistent` (the contradiction that is left, missing for nearly all). `failure` says what of the model's
        replies can't be used: then the hand-written text stands, or the profile was not read.
    """
    steps = STEPS[len(needed(where)) :]
    if model:
        steps = (*(step for step in steps if step.columns != WRITTEN), Step(_by(model), WRITTEN))
    rounds = [pd.Series(index=people.index[:0], dtype="str")]
    drawn = again = people
    for attempt in range(TRIES + 1):
        fresh = add(again, seed + attempt * NEXT_SEED, steps)
        why = contradictions(fresh)
        if model:
            said = consistency.ask(fresh.drop(why.index), model)
            fresh["failure"] = fresh["failure"].fillna(said["failure"].radd("not read: "))
            wrong = said[said["consistent"].eq(False).fillna(False)]
            why = pd.concat([why, wrong["attribute"].radd(f"{model.name}: ") + ": " + wrong["why"]])
        drawn = fresh if attempt == 0 else pd.concat([drawn.drop(fresh.index), fresh]).loc[drawn.index]
        if why.empty or not steps or attempt == TRIES:
            break
        rounds.append(why)
        again = people.loc[why.index]
    told = pd.concat(rounds).groupby(level=0)
    columns = [told.size().reindex(people.index, fill_value=0), told.agg("; ".join).reindex(people.index).astype("str")]
    return drawn.assign(**dict(zip(REPORT, [*columns, why.reindex(people.index).astype("str")], strict=True)))


def built(row: pd.Series) -> pd.DataFrame:
    """How a persona came about: a row per attribute in the order of the steps, columns source, attribute, value."""
    source = dict.fromkeys(CENSUS, "a person drawn like the census's")
    for step in STEPS:
        for name in step.columns:
            source.setdefault(name, step.source)
    rows = [(source[name], name, row[name]) for name in source if name in BY_NAME and pd.notna(row[name])]
    return pd.DataFrame(rows, columns=["source", "attribute", "value"])


def _by(model: LanguageModel) -> Draw:
    return lambda people, seed: by_model(people, model, seed)


def contradictions(people: pd.DataFrame) -> pd.Series:
    """Which rules each person breaks, and why, as one text by id; those who break none are left out."""
    broken = consistency.check(people)
    return (broken["rule"] + ": " + broken["reason"]).groupby(broken["persona_id"]).agg("; ".join).astype("str")
