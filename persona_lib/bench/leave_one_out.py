"""Which attributes of a persona matter? Leave each one out in turn and measure what changes.

There are two experiments. In the paper's (section 4.1, Fig. 5), two annotators who differ by one attribute choose
between the same answers: the less they agree, the more the attribute matters (`influences` measures it). In the
published benchmark's, an attribute is hidden from the writer but not from the judge, and the score may fall (`hiding`).
"""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import pandas as pd

from .. import UserError, personas, preferences, seeds
from ..attributes import BY_NAME, NAMES
from ..judges import verdicts
from ..model import LanguageModel
from .hiding import NOTHING, PLACEBO, hide, known, losses, with_placebo
from .influences import BOTH, CELL, WITH, WITHOUT, by_attribute, changes, compared, headline, influence

__all__ = [
    "BOTH",
    "NOTHING",
    "PLACEBO",
    "SAME",
    "SAME_BOTH",
    "WITH",
    "WITHOUT",
    "annotators",
    "by_attribute",
    "changes",
    "choices",
    "compared",
    "headline",
    "hide",
    "influence",
    "known",
    "losses",
    "selection",
]

SAME = "revision: the same as the base answer, so that there is nothing to choose"
SAME_BOTH = "revision: the same with and without the attribute, so that there is nothing to choose"


def annotators(
    people: pd.DataFrame, attributes: Iterable[str], n: int = 40, others: int = 3, seed: int = 0
) -> pd.DataFrame:
    """Draw for each attribute n people who have it, each as two short profiles that differ by that attribute alone.

    People come in one random order, and each attribute takes the first n who have it: as many as possible are the same
    for all attributes. Each of them gets the placebo too, so that every attribute is held against the placebo on the
    same people. A person's other attributes are the first of one random order, so that most attributes of a person,
    and the placebo, share the profile `without`.

    Args:
        people: personas, index `persona_id`.
        attributes: the ones to leave out; `placebo` is a line without content, one of several and at a random place,
            given to everybody who is drawn for an attribute.
        n: people per attribute; all of them if fewer have it.
        others: number of other attributes in both profiles, drawn for each person among those that the person has.
        seed: of the draws.

    Returns:
        Two rows per attribute and person: `attribute`, `persona_id`, `version` (with, without), `profile`, `others`
        (names of the other attributes), `applies_to` (the share of people who have the attribute: the selection).

    Raises:
        UserError: an attribute is unknown or nobody has it, or a person has too few others.
    """
    wanted = list(dict.fromkeys(attributes))
    order = people.index[seeds.rng("attribute left out", seed).permutation(len(people))]
    having = {a: _having(people, a).index for a in wanted}
    chosen = {a: order[order.isin(having[a])][:n] for a in wanted if a != PLACEBO}
    everybody = set().union(*chosen.values()) if chosen else set(order[:n])
    chosen = {a: chosen.get(a, order[order.isin(everybody)]) for a in wanted}
    places = {persona: place for place, persona in enumerate(people.index)}
    rows = []
    for attribute, drawn in chosen.items():
        for persona in drawn:
            person, place = people.loc[persona], places[persona]
            kept = _kept(person, attribute, others, seeds.rng("attribute left out", seed, place))
            without = personas.describe(person[kept])
            if attribute == PLACEBO:
                whole = with_placebo(without, seeds.rng("placebo line", seed, place))
            else:
                whole = personas.describe(person[[attribute, *kept]])
            who = {"attribute": attribute, "persona_id": persona}
            selected = {"others": ", ".join(kept), "applies_to": len(having[attribute]) / len(people)}
            rows.append(who | {"version": WITH, "profile": whole} | selected)
            rows.append(who | {"version": WITHOUT, "profile": without} | selected)
    return pd.DataFrame(rows)


def _having(people: pd.DataFrame, attribute: str) -> pd.DataFrame:
    """Return the people who have an attribute."""
    if attribute == PLACEBO:
        return people
    if attribute not in NAMES or attribute not in people:
        raise UserError(f"no attribute '{attribute}': known are {', '.join(known(people))}")
    having = people[people[attribute].notna()]
    if having.empty:
        raise UserError(f"nobody here has a value of '{attribute}': leave it out, or draw more or other people")
    return having


def _kept(person: pd.Series, attribute: str, others: int, rng: np.random.Generator) -> list[str]:
    """Return the names of a person's other attributes: the first in a random order of all that the person has."""
    names = [name for name in rng.permutation(person.reindex(list(NAMES)).dropna().index) if name != attribute]
    if len(names) < others:
        raise UserError(f"{person.name} has no {others} attributes beside '{attribute}': lower `others`")
    return names[:others]


def selection(drawn: pd.DataFrame, n: int, attributes: Sequence[str] = ()) -> pd.DataFrame:
    """Report who was drawn for each attribute: one that few people have is studied on those few, who are not typical.

    Args:
        drawn: as returned by `annotators`.
        n: people per attribute that were asked for.
        attributes: all that were asked for; those that nobody has get a row too.

    Returns:
        Index `attribute`; `universe` (to whom it applies, in the Census Bureau's words), `applies_to` (share of the
        people drawn from), `people` (drawn), `note` (empty, or what is wrong).
    """
    first, different = ("applies_to", "first"), ("persona_id", "nunique")
    table = drawn.groupby("attribute", sort=False).agg(applies_to=first, people=different)
    missing = [name for name in attributes if name not in table.index]
    table = table.reindex([*table.index, *missing]).fillna({"people": 0, "applies_to": 0.0}).astype({"people": int})
    table.insert(0, "universe", [BY_NAME[a].universe if a in BY_NAME else "everyone" for a in table.index])
    fewer = table["people"].between(1, n - 1)
    table["note"] = np.select([table["people"] == 0, fewer], ["nobody here has it", f"fewer than {n}"], "")
    return table


def choices(
    drawn: pd.DataFrame,
    prompts: pd.DataFrame,
    writer: LanguageModel,
    annotator: LanguageModel,
    words: int | None = 120,
    templates: str | None = None,
) -> pd.DataFrame:
    """Let both annotators of each person choose between pairs of the same answers.

    The pairs are the base answer against each of the two refined ones, as in the paper, and the one revision against
    the other. What several attributes of a person share is asked once: the writer is called two times per different
    profile and prompt, the annotator twelve times per attribute, person and prompt (three pairs, two annotators, both
    orders), less what attributes share.

    Args:
        drawn: as returned by `annotators`.
        prompts: columns `prompt_id`, `prompt`; everybody gets each of them.
        writer: writes base and refined answers.
        annotator: chooses as the person of each profile would.
        words, templates: as in `preferences.revise`.

    Returns:
        One row per annotator and pair of answers: `attribute`, `persona_id`, `prompt_id`, `prompt`, `rejected` (the
        base answer), `refined_for` (the version whose revision is the answer `chosen`; both: `chosen` is the revision
        made with the attribute, `rejected` the one without it), `version` (of the annotator), the columns of
        `judges.prefer`, and `failure` (why there is no choice; two answers of the same text give none).
    """
    items = _refined(drawn, prompts, writer, words, templates)
    # Both annotators of a person, `with` and `without`, get all three pairs of answers: a join on the person.
    asked = drawn[["attribute", "persona_id", "version", "profile"]].merge(
        _pairs(items), on=["attribute", "persona_id"]
    )
    there = asked[asked["failure"].isna()]
    same = ["profile", "prompt", "rejected", "chosen"]
    chosen = _once(there, same, lambda rows: verdicts.prefer(annotator, rows, templates))
    chosen = chosen.drop(columns=["persona_id", "pair_id"]).rename(columns={"failure": "judge_failure"})
    table = asked[[*CELL, "prompt", "pair_id", "rejected", "refined_for", "chosen", "version", "failure"]].join(chosen)
    return table.assign(failure=table["failure"].fillna(table.pop("judge_failure")))


def _once(table: pd.DataFrame, same: list[str], ask: Callable[[pd.DataFrame], pd.DataFrame]) -> pd.DataFrame:
    """Ask about rows that are alike in some columns once, and return the replies for all rows."""
    places = table.groupby(same, sort=False, dropna=False).ngroup()
    return ask(table[~places.duplicated()]).iloc[places].set_axis(table.index)


def _refined(
    drawn: pd.DataFrame, prompts: pd.DataFrame, writer: LanguageModel, words: int | None, templates: str | None
) -> pd.DataFrame:
    """Return a row per version of a person and prompt, with the base answer and its revision for that version."""
    base = preferences.base_answers(prompts, writer, words, templates)
    items = drawn.merge(prompts[["prompt_id", "prompt"]], how="cross").join(base, on="prompt_id")
    same = ["profile", "prompt", "rejected"]
    made = _once(items, same, lambda rows: preferences.refined(rows, writer, words, templates))
    return items.drop(columns="base_failure").join(made[["chosen", "failure"]])


def _pairs(items: pd.DataFrame) -> pd.DataFrame:
    """Return the three pairs of answers of each person and prompt, from the rows of `_refined`."""
    columns = [*CELL, "prompt", "rejected", "chosen", "failure"]
    own = items[[*columns, "version"]].rename(columns={"version": "refined_for"})
    told, other = (items.loc[items["version"] == version, columns] for version in (WITH, WITHOUT))
    both = told.drop(columns="rejected").merge(
        other[[*CELL, "chosen", "failure"]].rename(columns={"chosen": "rejected", "failure": "other"}), on=CELL
    )
    both = both.assign(failure=both["failure"].fillna(both.pop("other")), refined_for=BOTH)
    table = pd.concat([own, both], ignore_index=True)
    alike = table["failure"].isna() & (table["chosen"].str.strip() == table["rejected"].str.strip())
    table.loc[alike, "failure"] = table["refined_for"].map({BOTH: SAME_BOTH}).fillna(SAME)
    table.loc[table["failure"].notna(), "chosen"] = None
    ids = table[["persona_id", "prompt_id", "refined_for"]].astype("str")
    return table.assign(pair_id=table["attribute"].str.cat(ids, sep="|"))
