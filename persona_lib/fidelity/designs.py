"""Designs: which two answers to a question everybody chooses between, no matter whom a model plays.

In the paper's design one answer is written for nobody and the other for one person. Whoever takes the second may play
the person, or just like a revision. In ours both are revisions, for two people who are as opposite as can be: a player
who is true to the person chooses one of them for some people and the other for others.
"""

from collections.abc import Callable
from itertools import combinations

import numpy as np
import pandas as pd

from .. import UserError, personas, preferences, seeds
from ..model import LanguageModel
from ..personas import profiles
from ..preferences import negatives
from ..stats import intervals

DESIGN = "design"
BASE, OPPOSITES = "base answer", "opposite people"
OWN, NEARER = "written for this person", "written for the nearer person"
COLUMNS = [
    *(DESIGN, "prompt_id", "prompt", "topic", "revised_for", "opposite", "distance"),
    *("rejected", "chosen", "generator", "failure"),
]
TIE = 1e-6  # distances that differ by no more are equal
ALIKE = "opposite people: the two are not known to differ in ideology, party, age or religion"


def shared_pairs(
    people: pd.DataFrame,
    prompts: pd.DataFrame,
    writer: LanguageModel,
    words: int | None = 120,
    seed: int = 0,
    templates: str | None = None,
) -> pd.DataFrame:
    """Write two answers to each prompt, the same for everybody: the base answer, and its revision for one person.

    Args:
        people: personas, index `persona_id`. Whom each revision is for is drawn from them, everybody equally often
            (give or take one).
        prompts: columns `prompt_id`, `prompt`, `topic`.
        writer: the model that writes: three calls per prompt.
        words, templates: as in `preferences.revise`.
        seed: of the draw.

    Returns:
        One row per prompt: `design` (base answer), `prompt_id`, `prompt`, `topic`, `revised_for` (persona id),
        `opposite` and `distance` (missing), `rejected` (the base answer), `chosen` (the revision), `generator`,
        `failure`.
    """
    table = _turns(people, prompts, seed).join(preferences.base_answers(prompts, writer, words, templates), "prompt_id")
    table["profile"] = table["revised_for"].map(profiles.texts(people))
    table = preferences.refined(table, writer, words, templates)
    nobody = pd.Series(None, table.index, dtype="str")
    return table.assign(design=BASE, opposite=nobody, distance=np.nan)[COLUMNS]


def opposite_pairs(
    people: pd.DataFrame,
    prompts: pd.DataFrame,
    writer: LanguageModel,
    words: int | None = 120,
    seed: int = 0,
    templates: str | None = None,
) -> pd.DataFrame:
    """Write two answers to each prompt, the same for everybody: its revisions for two opposite people.

    The first of the two is the person of `shared_pairs`, the second the opposite that they are matched with
    (`opposites`). Both answers are revised from the same base answer in the same way; only the person differs.

    Args:
        people, prompts, words, seed, templates: as in `shared_pairs`.
        writer: the model that writes: five calls per prompt, of which `shared_pairs` makes three.

    Returns:
        As in `shared_pairs`, with `design` (opposite people), `chosen` (the revision for `revised_for`), `rejected`
        (the revision for `opposite`), `distance` of the two people (0 to 1). If a person has no opposite, `failure`
        says so.
    """
    table = _turns(people, prompts, seed).join(opposites(people, seed), "revised_for")
    base = preferences.base_answers(prompts, writer, words, templates)
    texts = profiles.texts(people)
    alone = table["opposite"].isna()
    versions = {}
    for column in ("revised_for", "opposite"):
        items = table.join(base, "prompt_id").assign(profile=table[column].map(texts))
        items["rejected"] = items["rejected"].mask(alone)  # nothing is asked for a pair that lacks a person
        versions[column] = preferences.refined(items, writer, words, templates)
    mine, theirs = versions.values()
    reasons = pd.Series(ALIKE, table.index, dtype="str").where(alone)
    table["failure"] = reasons.fillna(mine["failure"]).fillna(theirs["failure"])
    table = table.assign(chosen=mine["chosen"], rejected=theirs["chosen"], generator=mine["generator"])
    return table.assign(design=OPPOSITES)[COLUMNS]


def _turns(people: pd.DataFrame, prompts: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Return the prompts and whom each is revised for: people take turns in a drawn order."""
    order = seeds.rng("people who play", seed).permutation(len(people))
    turns = np.arange(len(prompts)) % len(people)
    table = prompts[["prompt_id", "prompt", "topic"]].reset_index(drop=True)
    return table.assign(revised_for=people.index[order[turns]])


def opposites(people: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """Match people in opposite pairs, so that everybody is in one.

    Of a number of people that is odd, the last one gets whoever is most opposite to them.

    Args:
        people: personas, index `persona_id`.
        seed: of the draw among equally good pairs.

    Returns:
        Index `persona_id`; `opposite` (persona id, missing if the two are not known to differ), `distance` (0 to 1, by
        ideology, party, age and religion; see `negatives.distances`).
    """
    n = len(people)
    apart = negatives.distances(negatives.positions(people))  # people x people
    gain = np.sqrt(np.nan_to_num(apart))  # the root: two middling distances are better than a large and a tiny one
    order = seeds.rng("people who play", seed, 1).permutation(n)
    pairs = order[: n // 2 * 2].reshape(-1, 2)
    while _exchanged(pairs, gain):
        pass
    partner = np.arange(n)  # nobody, until there is one
    partner[pairs[:, 0]], partner[pairs[:, 1]] = pairs[:, 1], pairs[:, 0]
    if n % 2 and n > 1:
        partner[order[-1]] = gain[order[-1]].argmax()
    distance = apart[np.arange(n), partner]
    found = (partner != np.arange(n)) & (distance > 0)
    ids = pd.Series(people.index[partner], people.index, dtype="str")
    return pd.DataFrame({"opposite": ids.where(found), "distance": np.where(found, distance, np.nan)})


def _exchanged(pairs: np.ndarray, gain: np.ndarray) -> bool:
    """Let pairs exchange partners where that gains something; return whether any did.

    Args:
        pairs: row numbers of people, array (pairs, 2), which is changed.
        gain: what two people are worth as a pair, people x people.
    """
    changed = False
    for i, j in combinations(range(len(pairs)), 2):
        (a, b), (c, d) = pairs[i], pairs[j]
        ways = [(a, b, c, d), (a, c, b, d), (a, d, b, c)]
        worth = [gain[w, x] + gain[y, z] for w, x, y, z in ways]
        best = int(np.argmax(worth))
        if worth[best] > worth[0] + TIE:
            pairs[i], pairs[j] = ways[best][:2], ways[best][2:]
            changed = True
    return changed


def true_to_person(played: pd.DataFrame, pairs: pd.DataFrame, people: pd.DataFrame) -> pd.DataFrame:
    """Say which of two answers for opposite people a player true to the person would choose, and whether it did.

    Args:
        played: from `play`; only rows of the design with opposite people are looked at.
        pairs: from `opposite_pairs`.
        people: the personas of the rows.

    Returns:
        One row per judge, person and prompt: `judge`, `persona_id`, `prompt_id`, `answer` (written for this person, or
        for the nearer person), `expected` (chosen or rejected; missing if both people are equally near), `choice`,
        `score` (1 as expected, 0 not; missing without a choice or an expectation), `failure`.
    """
    rows = played[played[DESIGN] == OPPOSITES].reset_index(drop=True)
    of_pair = pairs[pairs[DESIGN] == OPPOSITES].set_index("prompt_id")
    ids = pd.Index(people.index)
    apart = negatives.distances(negatives.positions(people))  # people x people
    np.fill_diagonal(apart, 0)
    who = ids.get_indexer(rows[personas.ID])
    distances, own = {}, pd.Series(False, rows.index)
    for option, column in (("chosen", "revised_for"), ("rejected", "opposite")):
        other = rows["prompt_id"].map(of_pair[column])
        place = ids.get_indexer(other)  # -1 without an opposite
        distances[option] = np.where(place < 0, np.nan, apart[who, place])
        own |= other == rows[personas.ID]
    gap = distances["rejected"] - distances["chosen"]
    expected = pd.Series(np.select([gap > TIE, gap < -TIE], ["chosen", "rejected"], ""), dtype="str").replace("", None)
    known = expected.notna() & rows["choice"].notna()
    return rows[["judge", *intervals.ITEM]].assign(
        answer=np.where(own, OWN, NEARER),
        expected=expected,
        choice=rows["choice"],
        score=(rows["choice"] == expected).astype(float).where(known),
        failure=rows["failure"],
    )


def faithful(rows: pd.DataFrame) -> pd.DataFrame:
    """Compute how often each judge chooses the answer written for the person it plays, or for the nearer one.

    A judge that likes the same answer whoever asks is right in exactly half of the choices of the two people that the
    answers were written for.

    Args:
        rows: from `true_to_person`.

    Returns:
        Index `judge`, `answer`; columns of `intervals.rates`, and `open` (choices without an expectation, left out).
    """
    keys = ["judge", "answer"]
    expected = rows[rows["expected"].notna()].sort_values("answer", key=lambda c: c != OWN, kind="stable")
    table = intervals.rates(expected, keys)
    return table.join(rows["expected"].isna().groupby([rows[key] for key in keys]).sum().rename("open"))


def by_design(played: pd.DataFrame, function: Callable[[pd.DataFrame], pd.DataFrame]) -> pd.DataFrame:
    """Compute a table for each design by itself.

    Args:
        played: from `play`, of one design or several.
        function: makes a table from the rows of one design, such as `spread`.

    Returns:
        The tables one below the other, `design` as the first level of their index.
    """
    return pd.concat({design: function(own) for design, own in played.groupby(DESIGN, sort=False)}, names=[DESIGN])


def of_one(played: pd.DataFrame) -> pd.DataFrame:
    """Return the rows as they are.

    Raises:
        UserError: they are of several designs, whose questions are the same but whose answers are not.
    """
    if DESIGN in played and played[DESIGN].nunique() > 1:
        names = ", ".join(map(str, played[DESIGN].unique()))
        raise UserError(f"the choices are of several designs ({names}): take one, or use fidelity.by_design")
    return played
