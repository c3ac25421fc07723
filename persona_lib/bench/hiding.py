"""Hide an attribute from the writer, not from the judge: the second experiment of `leave_one_out`."""

from collections.abc import Sequence

import pandas as pd

from .. import UserError, personas
from ..attributes import NAMES
from ..model import LanguageModel
from ..stats import intervals
from .conditions import conditioning

NOTHING = "nothing"
LOSS = ["n", "failed", "difference", "low", "high", "p", "note"]


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
) -> pd.DataFrame:
    """Answer the items with nothing hidden, and with each attribute hidden from the writer; the judge sees all.

    Args:
        drawn: items, as returned by `bench.items`.
        people: the personas of the items.
        attributes: the ones to hide; each is hidden in the items of people who have it.
        writer, judge, condition, words, templates, critique_words: as in `bench.conditioning`.

    Returns:
        The rows of `bench.conditioning` with a column `hidden`: the attribute, or nothing. An attribute that nobody
        among the items has gets no row; `losses` reports it.

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
    items = pd.concat(parts).sort_values("persona_id", kind="stable", ignore_index=True)
    return conditioning(items, [writer], judge, [condition], words, templates, critique_words=critique_words)


def losses(table: pd.DataFrame, attributes: Sequence[str] = ()) -> pd.DataFrame:
    """Compute what the score loses when an attribute is hidden, on the same items, Holm-corrected over attributes.

    Args:
        table: as returned by `hide`.
        attributes: all that were to be hidden; those that nobody has get a row too.

    Returns:
        One row per attribute, the greatest loss first: `hidden`, and as in `stats.paired_differences` `n`, `failed`,
        `difference` (hidden less nothing hidden), `low`, `high`, `p`, `p_holm` over all attributes, `note`.
    """
    scored = table.set_index(intervals.ITEM)
    whole = scored.loc[scored["hidden"] == NOTHING, "score"]
    rows = []
    for hidden in dict.fromkeys([*attributes, *table.loc[table["hidden"] != NOTHING, "hidden"]]):
        # Only the items of people who have the attribute: the others did not fail, they were not asked.
        own = scored.loc[scored["hidden"] == hidden, "score"]
        row = {"hidden": hidden} | intervals.difference(own - whole.reindex(own.index))
        if own.empty:
            row["note"] = "nobody among the items has it"
        rows.append(row)
    found = pd.DataFrame(rows, columns=["hidden", *LOSS])
    found.insert(found.columns.get_loc("note"), "p_holm", intervals.corrected(found["p"]))
    return found.sort_values("difference", kind="stable", ignore_index=True)
