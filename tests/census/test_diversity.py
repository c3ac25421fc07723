"""Diversity within and between groups: what is counted, and that personas are as diverse as the census."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest

from persona_lib import personas
from persona_lib.census import Population, distances, diversity


def test_the_chances_are_those_of_all_pairs_of_people_counted_one_by_one():
    people = Population.load().sample(60, seed=2)
    table = distances.bands(people)
    found = diversity.compare(people, ("race",)).set_index("pair")["personas"]
    for kind, same in ((diversity.WITHIN, True), (diversity.BETWEEN, False)):
        pairs = [
            (i, j) for i, j in combinations(range(60), 2) if (table["race"].iloc[i] == table["race"].iloc[j]) == same
        ]
        first, second = (table.iloc[[pair[side] for pair in pairs]].reset_index(drop=True) for side in (0, 1))
        differs = (first.astype(str) != second.astype(str)).mean().drop("race")
        assert found[kind] == pytest.approx(differs.mean())


def test_personas_differ_within_and_between_groups_as_people_do():
    found = diversity.compare(personas.sample(1_586, seed=3))
    assert set(found["attribute"]) == set(diversity.GROUPS) and len(found) == 2 * len(diversity.GROUPS)
    assert (found["personas"] - found["census"]).abs().max() < 0.01
    wide = found.pivot(index="attribute", columns="pair", values="census")
    assert (wide[diversity.WITHIN] < wide[diversity.BETWEEN]).all()


def test_a_group_of_copies_has_no_diversity():
    people = Population.load().sample(400, seed=2)
    first = people.groupby("sex", observed=True).head(1).set_index("sex")
    copies = first.loc[people["sex"]].reset_index()[list(people.columns)]
    found = diversity.compare(pd.DataFrame(copies), ("sex",)).set_index("pair")["personas"]
    assert found[diversity.WITHIN] == pytest.approx(0) and np.isfinite(found[diversity.BETWEEN])


@pytest.mark.parametrize("n", [1, 2, 3])
def test_a_few_people_who_share_no_group_have_a_missing_chance(n):
    people = Population.load().sample(60, seed=2).drop_duplicates("race").head(n)
    found = diversity.compare(people, ("race",)).set_index("pair")["personas"]
    assert np.isnan(found[diversity.WITHIN]) and np.isnan(found[diversity.BETWEEN]) == (n == 1)
