"""How tests/planted_profiles.csv and the exchanges of tests/planted.csv were drawn, once; kept as documentation.

Ancestry and place of birth come from `origins`. Views and personality come from plain lists, because `psychographics`
did not exist yet. The column `contradiction` of planted.csv is a reader's judgment of each changed profile as a whole.
All 330 were read, one after the other, before any rule of `consistency` was written; 205 contradict themselves. (The
rules of `census.rules` and the `who` of the hand-written phrases are older.) The reader called it a contradiction if

1. two values can't both be true of one person (born in Ohio, and naturalized; a spouse at home, and never married);
2. there is a value although the census does not ask this person for it, or none although it asks everybody;
3. it is so odd that a careful reader takes it for an error: fewer than about one in 1,000 of the people with the one
   value have the other (an ancestry wholly of another race than the only one given; an infant's day for an adult; a
   party or an ideology under 13; a job or an employer that is plainly of another occupation or industry);
4. the text speaks of work although the person has none, of no work although they have some, or of little money with a
   high income.

A change that gives a possible person, however unusual, is no contradiction; neither is a missing text or survey answer,
an industry that fits loosely, or an interest that few people of that age share.

In their first version, the rules found all 205, but also 47 of the 125 possible people. Phrases have been checked
loosely since then (data/loose.yaml), which leaves 10. heldout.csv was drawn and judged in the same way after the rules
had been written, before they were first tried on it.

    python tests/plant.py FOLDER
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd

from persona_lib import census
from persona_lib.attributes import CENSUS, NAMES
from persona_lib.personas import origins
from persona_lib.personas import texts as written

SEED, PEOPLE, EXCHANGES = 2024, 400, 330  # heldout.csv: 77, 100 and 70
HOW_MANY = {1: 0.3, 2: 0.3, 3: 0.2, 4: 0.2}  # attributes exchanged at once
TRAITS = ("Openness", "Conscientiousness", "Extraversion", "Agreeableness", "Neuroticism")
LEVELS = {"Extremely Low": 0.07, "Low": 0.24, "Average": 0.38, "High": 0.24, "Extremely High": 0.07}
RELIGIONS = ["Protestant", "Catholic", "No religion", "Jewish", "Muslim", "Hindu", "Buddhist", "Orthodox Christian"]
SIDES = {
    "Democrat": ["Extremely liberal", "Liberal", "Slightly liberal", "Moderate"],
    "Independent": ["Slightly liberal", "Moderate", "Slightly conservative"],
    "Republican": ["Moderate", "Slightly conservative", "Conservative", "Extremely conservative"],
}
PARTIES = {
    "Democrat": ["Strong Democrat", "Not very strong Democrat", "Independent, close to Democrat"],
    "Independent": ["Independent (neither)"],
    "Republican": ["Strong Republican", "Not very strong Republican", "Independent, close to Republican"],
}


def profiles() -> pd.DataFrame:
    """Draw people with all 33 attributes, most of them plausible."""
    people = census.Population.load().sample(PEOPLE, SEED)
    people.index = pd.Index([f"p{i:03d}" for i in range(PEOPLE)], name="persona_id")
    people = people.join(origins.draw(people, SEED)[["ancestry", "place of birth"]])
    rng = np.random.default_rng(SEED)
    scores = rng.choice(list(LEVELS), (PEOPLE, len(TRAITS)), p=list(LEVELS.values()))
    texts = [", ".join(f"{t}: {level}" for t, level in zip(TRAITS, row, strict=True)) for row in scores]
    people["big five scores"] = pd.Series(texts, people.index).where(people["age"] >= 12)
    people["religion"] = rng.choice(RELIGIONS, PEOPLE, p=[0.4, 0.22, 0.28, 0.02, 0.02, 0.02, 0.02, 0.02])
    side = rng.choice(list(SIDES), PEOPLE)
    for name, lists in (("ideology", SIDES), ("political views", PARTIES)):
        drawn = [rng.choice(lists[s]) for s in side]
        people[name] = pd.Series(drawn, people.index).where(people["age"] >= 18)
    people = people.join(written.quirks(people, SEED))
    people = people.join(written.fallback(people, SEED, share_ideology=0).drop(columns=["ideology", "written by"]))
    return people[[*NAMES, *[name for name in CENSUS if name not in NAMES]]]


def exchanges(people: pd.DataFrame) -> pd.DataFrame:
    """Draw exchanges, columns `exchange`, `persona_id`, `attribute`, `donor`: the persona gets the donor's value."""
    rng = np.random.default_rng(SEED + 1)
    rows = []
    for number in range(EXCHANGES):
        persona, donor = rng.choice(people.index, 2, replace=False)
        own, other = people.loc[persona], people.loc[donor]
        differ = [name for name in NAMES if str(own[name]) != str(other[name])]
        count = rng.choice(list(HOW_MANY), p=list(HOW_MANY.values()))
        rows += [(number, persona, name, donor) for name in rng.choice(differ, count, replace=False)]
    return pd.DataFrame(rows, columns=["exchange", "persona_id", "attribute", "donor"])


if __name__ == "__main__":
    table = profiles()
    table.to_csv(Path(sys.argv[1]) / "planted_profiles.csv")
    exchanges(table).to_csv(Path(sys.argv[1]) / "planted.csv", index=False)
