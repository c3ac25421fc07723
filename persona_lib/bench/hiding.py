"""Hide an attribute from the writer, not from the judge: the second experiment of `leave_one_out`."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from .. import UserError, personas, seeds
from ..attributes import NAMES
from ..model import LanguageModel
from ..stats import intervals
from .conditions import conditioning

NOTHING = "nothing"
PLACEBO = "placebo"  # a line that says nothing of anybody: it changes answers and choices as any further line does
LINES = ("record number", "form code", "page in the file", "batch number", "line of the register", "desk that filed it")
LOSS = ["n", "failed", "difference", "low", "high", "p", "note"]
CHANGED = ["changed", "changed_low", "changed_high"]


def with_placebo(profile: str, rng: np.random.Generator) -> str:
    """Return a profile with a line without content: one of several, with a random number, at a random place."""
    lines = profile.split("\n")
    line = f"{rng.choice(LINES)}: {rng.integers(1000, 10000)}"
    lines.insert(int(rng.integers(len(lines) + 1)), line)
    return "\n".join(lines)


def known(people: pd.DataFrame) -> list[str]:
    """Return the attributes that at least one of these personas has, in the paper's order."""
    return [name for name in NAMES if name in people and people[name].notna().any()]


def hide(
    drawn: pd.DataFrame,
    people: pd.DataFrame,
    attributes: Sequence[str],
    writer: LanguageModel,
    judge: LanguageModel,
    condition: str = "direct",
    words: int | None = 120,
    templates: str | None = None,
    critique_words: int | None = 80,
    seed: int = 0,
) -> pd.DataFrame:
    """Answer the items with nothing hidden, and with each attribute hidden from the writer; the judge sees all.

    The placebo shows what any change of the prompt does: the writer is told one line more, which says nothing.

    Args:
        drawn: items, as returned by `bench.items`.
        people: the personas of the items.
        attributes: the ones to hide; each is hidden in the items of people who have it.
        writer, judge, condition, words, templates, critique_words: as in `bench.conditioning`.
        seed: of the placebo's lines.

    Returns:
        The rows of `bench.conditioning` with a column `hidden`: the attribute, `nothing`, or `placebo` (nothing hidden
        and one line more). An attribute that nobody among the items has gets no row; `losses` reports it.

    Raises:
        UserError: an attribute is unknown.
    """
    parts = []
    for hidden in (NOTHING, *attributes):
        if hidden not in (NOTHING, *people):
            raise UserError(f"no attribute '{hidden}': known are {', '.join(known(people))}")
        asked = drawn if hidden == NOTHING else drawn[drawn["persona_id"].map(people[hidden].notna())]
        shown = people.loc[asked["persona_id"].unique()].drop(columns=hidden, errors="ignore")
        parts.append(asked.assign(hidden=hidden, told=asked["persona_id"].map(personas.profiles.texts(shown))))
    told = personas.profiles.texts(people.loc[drawn["persona_id"].unique()])
    rng = seeds.rng("placebo line", seed)
    told = told.map(lambda profile: with_placebo(profile, rng))
    parts.append(drawn.assign(hidden=PLACEBO, told=drawn["persona_id"].map(told)))
    items = pd.concat(parts).sort_values("persona_id", kind="stable", ignore_index=True)
    return conditioning(items, [writer], judge, [condition], words, templates, critique_words=critique_words)


def losses(table: pd.DataFrame, attributes: Sequence[str] = ()) -> pd.DataFrame:
    """Compute what the score loses when an attribute is hidden, on the same items, Holm-corrected over attributes.

    Args:
        table: as returned by `hide`.
        attributes: all that were to be hidden; those that nobody has get a row too.

    Returns:
        One row per attribute, the greatest loss first, and last the placebo's: `hidden`, and as in
        `stats.paired_differences` `n`, `failed`, `difference` (hidden less nothing hidden; for the placebo, without the
        line less with it), `low`, `high`, `p`, `p_holm` over all attributes, `changed`, `changed_low`, `changed_high`
        (share of items whose score changes at all, as in `stats.rates`), `note`.
    """
    scored = table.set_index(intervals.ITEM)
    whole = scored.loc[scored["hidden"] == NOTHING, "score"]
    hidden = list(dict.fromkeys([*attributes, *table["hidden"]]))
    rows = []
    for name in [*(h for h in hidden if h not in (NOTHING, PLACEBO)), *([PLACEBO] if PLACEBO in hidden else [])]:
        # Only the items of people who have the attribute: the others did not fail, they were not asked.
        own = scored.loc[scored["hidden"] == name, "score"]
        lost = (own - whole.reindex(own.index)) * (-1 if name == PLACEBO else 1)
        share = intervals.rate(lost.abs(), lost.index.to_frame(index=False))
        row = {"hidden": name} | intervals.difference(lost)
        row |= dict(zip(CHANGED, (share["rate"], share["low"], share["high"]), strict=True))
        if own.empty:
            row["note"] = "nobody among the items has it"
        rows.append(row)
    found = pd.DataFrame(rows, columns=["hidden", *LOSS[:-1], *CHANGED, "note"])
    of_attributes = found["p"].where(found["hidden"] != PLACEBO)
    found.insert(found.columns.get_loc("p") + 1, "p_holm", intervals.corrected(of_attributes))
    places = found.assign(last=found["hidden"] == PLACEBO)
    order = places.sort_values(["last", "difference"], kind="stable").index
    return found.loc[order].reset_index(drop=True)
