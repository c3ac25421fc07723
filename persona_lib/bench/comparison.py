"""Comparison against a known truth: does a model know which answer was written for whom? Section 5 of the paper.

Two people asked one question and got an answer each; a model in the place of one of them should choose that one's. And
from an answer alone: which of several people was it written for? Chance is known in both. Used by 10_judges.
"""

import numpy as np
import pandas as pd

from .. import UserError, personas, seeds
from ..judges import verdicts
from ..model import Model
from ..templates import load as load_template
from .conditions import others

LETTERS = "ABCDEFGH"


def match(pairs: pd.DataFrame, people: pd.DataFrame, n: int, seed: int = 0) -> pd.DataFrame:
    """Draw items of two people who were given different answers to one prompt.

    Args:
        pairs: columns `persona_id`, `prompt_id`, `prompt`, `chosen`, `failure`, as from `preferences.revise`.
        people: personas, index `persona_id`.
        n: items, fewer where there are fewer; each (person, prompt) is used once at most.
        seed: of the draw.

    Returns:
        Within each prompt as many couples of people with different answers as there can be, of all of which n are
        drawn. Two rows per item, one per person: `pair_id`, `persona_id`, `other_id`, `profile`, `prompt_id`, `prompt`,
        `chosen` (written for this person), `rejected` (written for the other).

    Raises:
        UserError: no prompt has answers that differ for two people.
    """
    usable = pairs[pairs["failure"].isna()]
    rng = seeds.rng("answers with an owner", seed)
    shuffled = usable.sort_values(["prompt_id", "persona_id"]).sample(frac=1, random_state=rng, ignore_index=True)
    couples = sorted(
        (*couple, place)
        for _, own in shuffled.groupby("prompt_id")
        for place, couple in enumerate(_couples(own["chosen"]))
    )[:n]
    if not couples:
        raise UserError("no prompt has different answers for two people: use more personas on the same prompts")
    *ends, places = (list(part) for part in zip(*couples, strict=True))
    one, other = (shuffled.loc[end].reset_index(drop=True) for end in ends)
    name = one["prompt_id"] + "|" + pd.Series(places).astype("str")
    rows = [
        pd.DataFrame(
            {
                "pair_id": name + f"|{number}",
                "persona_id": mine["persona_id"],
                "other_id": theirs["persona_id"],
                "prompt_id": mine["prompt_id"],
                "prompt": mine["prompt"],
                "chosen": mine["chosen"],
                "rejected": theirs["chosen"],
            }
        )
        for number, mine, theirs in ((1, one, other), (2, other, one))
    ]
    table = pd.concat(rows, ignore_index=True)
    profiles = {i: personas.describe(people.loc[i]) for i in table["persona_id"].unique()}
    table.insert(3, "profile", table["persona_id"].map(profiles))
    return table.sort_values(["persona_id", "pair_id"], ignore_index=True)


def _couples(answers: pd.Series) -> list[tuple]:
    """Labels in twos whose answers differ, as many as there can be: always out of the two most frequent answers."""
    groups = [list(own.index) for _, own in answers.groupby(answers, sort=False)]
    couples = []
    while len(groups) > 1:
        groups.sort(key=len, reverse=True)
        couples.append((groups[0].pop(0), groups[1].pop(0)))
        groups = [group for group in groups if group]
    return couples


def owned(results: pd.DataFrame, people: pd.DataFrame, n: int, seed: int = 0) -> pd.DataFrame:
    """Items as from `match` out of a run of the benchmark that has the conditions `direct` and `other_persona`.

    What `other_persona` answers was written for somebody else, so that the run already holds two people's answers to
    each prompt and nothing more need be asked.

    Args:
        results: as from `bench.conditioning`, of one writer.
        people, n, seed: as in `match`.

    Returns:
        As `match`; no row where no prompt has answers that differ.
    """
    mine, theirs = (results[results["condition"] == c] for c in ("direct", "other_persona"))
    theirs = theirs.assign(persona_id=others(theirs) if len(theirs) else [])
    written = pd.concat([mine, theirs]).rename(columns={"answer": "chosen"})
    # An answer whose verdict failed is an answer all the same.
    written = written.assign(failure=written["failure"].where(written["chosen"].isna()))
    try:
        return match(written.drop_duplicates(["persona_id", "prompt_id"]), people, n, seed)
    except UserError:
        columns = ["pair_id", "persona_id", "other_id", "profile", "prompt_id", "prompt", "chosen", "rejected"]
        return pd.DataFrame({name: pd.Series(dtype="str") for name in columns})


def choose(items: pd.DataFrame, judge: Model, templates: str | None = None) -> pd.DataFrame:
    """Put the model in each person's place and see whether it chooses the answer that was written for that person.

    Args:
        items: as from `match`, or pairs of chosen and rejected answers with a `profile`: then it is a test as of a
            reward model.
        judge: the model tested.
        templates: folder with a `prefer.txt` of the user's own.

    Returns:
        The rows of `judging.prefer` with `prompt_id` and `score`: 1 where the right answer is chosen, 0 where the
        other, missing where there is no choice. Chance is a half.
    """
    judged = verdicts.prefer(judge, items, templates, step="comparisons")
    score = judged["choice"].map({"chosen": 1.0, "rejected": 0.0}).astype(float)
    return judged.assign(prompt_id=items["prompt_id"], score=score)


def whose(
    items: pd.DataFrame, people: pd.DataFrame, judge: Model, among: int = 4, seed: int = 0, templates: str | None = None
) -> pd.DataFrame:
    """Which of several people was each answer written for? Distractors and their order are drawn.

    Args:
        items: columns `persona_id`, `prompt_id`, `prompt`, `chosen`.
        people: personas to draw distractors from, index `persona_id`.
        judge: the model tested; it must offer log-probabilities.
        among: people to choose from, the right one included; chance is 1 / among.
        seed: of the draws.
        templates: folder with a `whose.txt` of the user's own.

    Returns:
        One row per item: `persona_id`, `prompt_id`, `judge`, `place` (of the right one, from 0), `p_right`, `score` (1
        where the right one is the likeliest, 0, or missing), `failure`.

    Raises:
        UserError: there are too few people.
    """
    if not 2 <= among <= min(len(LETTERS), len(people)):
        most = min(len(LETTERS), len(people))
        raise UserError(f"an answer can't be told among {among} of {len(people)} people: take 2 to {most}")
    template = load_template("whose", templates)
    rng = seeds.rng("candidates of a choice", seed)
    profiles = {i: personas.describe(row) for i, row in people.iterrows()}
    options, messages, places = LETTERS[:among], [], []
    for item in items.itertuples():
        lineup = [item.persona_id, *rng.choice(people.index.drop(item.persona_id), among - 1, replace=False)]
        order = rng.permutation(among)
        places.append(int(np.flatnonzero(order == 0)[0]))
        shown = zip(options, (profiles[lineup[k]] for k in order), strict=True)
        people_text = "\n".join(f"({letter})\n{text}\n" for letter, text in shown)
        values = {"personas": people_text, "question": item.prompt, "answer": item.chosen}
        messages.append(template.messages(values))
    got = judge.choices(messages, tuple(options), step="whose answers")
    chances = got.probabilities
    right = chances[np.arange(len(places)), places] if len(places) else np.empty(0)
    known = ~np.isnan(right)
    score = np.where(known, np.nan_to_num(chances).argmax(axis=1) == places, np.nan) if len(places) else right
    table = items[["persona_id", "prompt_id"]].assign(judge=judge.name, place=places, p_right=right, score=score)
    return table.assign(failure=pd.Series(got.why(), table.index, dtype="str"))
