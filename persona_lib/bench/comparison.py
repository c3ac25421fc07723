"""Comparison against a known truth: does a model know which answer was written for whom?

Two people get different answers to one question; a model that plays one of them should choose that person's answer
(section 5 of the paper). And the reverse: which of several people was an answer written for? Chance is known in both.
"""

import numpy as np
import pandas as pd

from .. import UserError, seeds
from ..judges import verdicts
from ..model import LanguageModel
from ..personas import profiles
from ..templates import load as load_template
from .conditions import others

LETTERS = "ABCDEFGH"


def match(pairs: pd.DataFrame, people: pd.DataFrame, n: int, seed: int = 0) -> pd.DataFrame:
    """Draw items of two people who were given different answers to one prompt.

    Args:
        pairs: columns `persona_id`, `prompt_id`, `prompt`, `chosen`, `failure`, as returned by `preferences.revise`.
        people: personas, index `persona_id`.
        n: number of items; all of them if there are fewer. Each (person, prompt) is used once at most.
        seed: of the draw.

    Returns:
        Two rows per item, one per person: `pair_id`, `persona_id`, `other_id`, `profile`, `prompt_id`, `prompt`,
        `chosen` (written for this person), `rejected` (written for the other). Each prompt gives as many couples of
        people with different answers as possible, and n of all couples are drawn.

    Raises:
        UserError: no prompt has answers that differ for two people.
    """
    usable = pairs[pairs["failure"].isna()]
    rng = seeds.rng("answers with an owner", seed)
    shuffled = usable.sort_values(["prompt_id", "persona_id"]).sample(frac=1, random_state=rng, ignore_index=True)
    couples = []  # (row of one person, row of the other, place among the prompt's couples)
    for _, own in shuffled.groupby("prompt_id"):
        couples += [(one, other, place) for place, (one, other) in enumerate(_couples(own["chosen"]))]
    if not couples:
        raise UserError("no prompt has different answers for two people: use more personas on the same prompts")
    couples = sorted(couples)[:n]  # rows are shuffled, so that the first n are a random draw
    first = shuffled.loc[[one for one, _, _ in couples]].reset_index(drop=True)
    second = shuffled.loc[[other for _, other, _ in couples]].reset_index(drop=True)
    places = pd.Series([place for _, _, place in couples]).astype("str")
    name = first["prompt_id"] + "|" + places
    rows = [_side(first, second, name + "|1"), _side(second, first, name + "|2")]
    table = pd.concat(rows, ignore_index=True)
    texts = profiles.texts(people.loc[table["persona_id"].unique()])
    table.insert(3, "profile", table["persona_id"].map(texts))
    return table.sort_values(["persona_id", "pair_id"], ignore_index=True)


def _side(mine: pd.DataFrame, theirs: pd.DataFrame, pair_id: pd.Series) -> pd.DataFrame:
    """Return the rows of one person of each couple, without the profile."""
    return pd.DataFrame(
        {
            "pair_id": pair_id,
            "persona_id": mine["persona_id"],
            "other_id": theirs["persona_id"],
            "prompt_id": mine["prompt_id"],
            "prompt": mine["prompt"],
            "chosen": mine["chosen"],
            "rejected": theirs["chosen"],
        }
    )


def _couples(answers: pd.Series) -> list[tuple]:
    """Return as many couples of labels with different answers as possible.

    Each couple takes one label of each of the two most frequent answers that are left.
    """
    groups = [list(own.index) for _, own in answers.groupby(answers, sort=False)]
    couples = []
    while len(groups) > 1:
        groups.sort(key=len, reverse=True)
        couples.append((groups[0].pop(0), groups[1].pop(0)))
        groups = [group for group in groups if group]
    return couples


def owned(results: pd.DataFrame, people: pd.DataFrame, n: int, seed: int = 0) -> pd.DataFrame:
    """Draw items as `match` does, from a run of the benchmark with the conditions `direct` and `other_persona`.

    An answer under `other_persona` was written for another person. The run therefore already has two people's answers
    to each prompt, and no model needs to be asked.

    Args:
        results: as returned by `bench.conditioning`, of one writer.
        people, n, seed: as in `match`.

    Returns:
        As `match`; without rows if no prompt has answers that differ.
    """
    mine = results[results["condition"] == "direct"]
    theirs = results[results["condition"] == "other_persona"]
    theirs = theirs.assign(persona_id=others(theirs) if len(theirs) else [])
    written = pd.concat([mine, theirs]).rename(columns={"answer": "chosen"})
    # An answer whose verdict failed is still an answer.
    written = written.assign(failure=written["failure"].where(written["chosen"].isna()))
    try:
        return match(written.drop_duplicates(["persona_id", "prompt_id"]), people, n, seed)
    except UserError:
        columns = ["pair_id", "persona_id", "other_id", "profile", "prompt_id", "prompt", "chosen", "rejected"]
        return pd.DataFrame({name: pd.Series(dtype="str") for name in columns})


def choose(items: pd.DataFrame, judge: LanguageModel, templates: str | None = None) -> pd.DataFrame:
    """Let the model play each person and choose: does it take the answer that was written for that person?

    Args:
        items: as returned by `match`, or pairs of chosen and rejected answers with a `profile`, which tests the
            model as a reward model is tested.
        judge: the model tested.
        templates: folder with a `prefer.txt` of the user's own.

    Returns:
        The rows of `judges.prefer` with `prompt_id` and `score`: 1 for the right answer, 0 for the other, missing
        without a choice. Chance is a half.
    """
    judged = verdicts.prefer(judge, items, templates, step="comparisons")
    score = verdicts.scored(judged["choice"])
    return judged.assign(prompt_id=items["prompt_id"], score=score)


def whose(
    items: pd.DataFrame,
    people: pd.DataFrame,
    judge: LanguageModel,
    among: int = 4,
    seed: int = 0,
    templates: str | None = None,
) -> pd.DataFrame:
    """Let the model tell which of several people each answer was written for; distractors and their order are drawn.

    Args:
        items: columns `persona_id`, `prompt_id`, `prompt`, `chosen`.
        people: personas to draw distractors from, index `persona_id`.
        judge: the model tested.
        among: people to choose from, the right one included; chance is 1 / among.
        seed: of the draws.
        templates: folder with a `whose.txt` of the user's own.

    Returns:
        One row per item: `persona_id`, `prompt_id`, `judge`, `place` (of the right person, from 0), `p_right` (the
        probability given to that place), `mass` (unnormalized probability of all places) and `samples` as in
        `Model.choices`, `score` (1 if the right person is the likeliest, 0 if not, or missing), `failure`,
        `choice_key` (of the reply in the store).

    Raises:
        UserError: there are too few people.
    """
    most = min(len(LETTERS), len(people))
    if not 2 <= among <= most:
        raise UserError(f"cannot choose among {among} of {len(people)} people: take 2 to {most}")
    lineups, places = _lineups(items, people, among, seed)
    template = load_template("whose", templates)
    messages = [
        template.messages({"personas": lineup, "question": item.prompt, "answer": item.chosen})
        for lineup, item in zip(lineups, items.itertuples(), strict=True)
    ]
    got = judge.choices(messages, tuple(LETTERS[:among]), step="whose answers")
    table = items[["persona_id", "prompt_id"]].assign(judge=judge.name, place=places)
    chances = got.probabilities  # items x candidates
    if len(places):
        right = chances[np.arange(len(places)), places]
        is_likeliest = np.nan_to_num(chances).argmax(axis=1) == places
        score = np.where(np.isnan(right), np.nan, is_likeliest)
    else:
        right = score = np.empty(0)
    table = table.assign(p_right=right, mass=got.mass, samples=got.samples, score=score)
    told = {"failure": got.why(), "choice_key": got.trail()}
    return table.assign(**{name: pd.Series(column, table.index, dtype="str") for name, column in told.items()})


def _lineups(items: pd.DataFrame, people: pd.DataFrame, among: int, seed: int) -> tuple[list[str], list[int]]:
    """Draw the people to choose from for each item; arguments as in `whose`.

    Returns:
        - The profiles of each item, lettered, as one text.
        - The place of the right person among them, from 0.
    """
    rng = seeds.rng("candidates of a choice", seed)
    texts = profiles.texts(people)
    lineups = []
    places = []
    for item in items.itertuples():
        distractors = rng.choice(people.index.drop(item.persona_id), among - 1, replace=False)
        candidates = [item.persona_id, *distractors]
        order = rng.permutation(among)
        places.append(int(np.flatnonzero(order == 0)[0]))
        lettered = zip(LETTERS[:among], order, strict=True)
        lineups.append("\n".join(f"({letter})\n{texts[candidates[k]]}\n" for letter, k in lettered))
    return lineups, places
