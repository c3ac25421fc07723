"""Unlikely pairs of census values: found by name and reason, measured on real people, and never in people drawn."""

import numpy as np
import pandas as pd
import pytest

from persona_lib import UserError, census, personas
from persona_lib.personas import rarity

PAIRS = pd.read_csv(rarity.FOLDER / "unlikely.csv")


def people(**columns) -> pd.DataFrame:
    table = pd.DataFrame({name.replace("_", " "): values for name, values in columns.items()})
    return table.set_axis(pd.Index([f"p{number}" for number in range(len(table))], name="persona_id"))


@pytest.mark.parametrize("pair", [*PAIRS.sample(10, random_state=1).itertuples(index=False)], ids=str)
def test_each_pair_is_found_with_its_reason_and_a_missing_value_is_in_none(pair):
    values = {"education": {group: label for label, group in rarity.LEVELS.items()}}
    for name, starts in rarity.BANDS.items():
        values[name] = dict(zip(rarity._labels()[name], starts, strict=True))
    both = {name: values.get(name, {}).get(v, v) for name, v in zip(pair[0:4:2], pair[1:4:2], strict=True)}
    found = rarity.find(pd.DataFrame([both, both | {pair[2]: None}], index=["a", "b"]))
    assert found["persona_id"].tolist() == ["a"] and found["rule"].tolist() == [f"unlikely: {pair[0]} and {pair[2]}"]
    assert (
        found["reason"][0].startswith("fewer than 1 in 10,000 people of the Census Bureau's sample")
        and f"'{pair[3]}': {pair[4]} of 200,000" in found["reason"][0]
    )


def test_what_one_would_not_believe_is_unlikely_and_what_is_common_is_not():
    labels = census.distances.BY_NAME["education"].labels
    found = rarity.find(people(age=[19, 23, 19, 40], education=[labels[20], labels[23], labels[18], labels[23]]))
    assert found["persona_id"].tolist() == ["p0", "p1"] and set(found["rule"]) == {"unlikely: age and education"}
    assert rarity.find(people(shoe_size=[40])).empty


def test_an_income_that_no_job_of_the_occupation_pays_is_unlikely_for_who_is_at_work():
    at_work, retired = "Civilian employed, at work", "Not in labor force"
    status, income = [at_work, at_work, retired], [900_000, 45_000, 900_000]
    table = people(occupation_category=["Food preparation and serving"] * 3, employment_status=status, income=income)
    found = rarity.find(table)
    assert found["persona_id"].tolist() == ["p0"] and found["rule"].tolist() == ["unlikely: income of the occupation"]
    assert "no job of the occupation 'Food preparation and serving' pays 900,000 dollars a year" in found["reason"][0]
    assert rarity.among(table).tolist() == [True, False, False]
    assert not rarity.among(table.drop(columns="employment status")).any()


def test_a_minor_far_behind_at_school_is_no_persona_since_no_redraw_would_mend_it():
    table = people(age=[13, 13, 40], education=["Grade 1", "Grade 7", "Grade 1"])
    found = rarity.find(table)
    assert found[["persona_id", "rule"]].values.tolist() == [["p0", rarity.BEHIND]]
    assert rarity.among(table).tolist() == [True, False, False]


def test_the_pairs_are_rare_among_real_people_and_not_because_their_parts_are(shared):
    real = census.read_pums(shared / "acs" / "us_persons_2024.parquet").rename_axis("persona_id")
    found = rarity.find(real)
    assert rarity.among(real).mean() <= 0.008 and found["persona_id"].nunique() == rarity.among(real).sum()
    assert PAIRS["people"].max() < 20 and (PAIRS["by chance"] >= 60).all()
    of_pairs = found[found["reason"].str.startswith("fewer than")]
    assert len(of_pairs) == PAIRS["people"].sum() and of_pairs["persona_id"].nunique() / len(real) <= 0.005


def test_nobody_drawn_is_unlikely_and_the_others_take_their_place():
    source = census.Population.load()
    for n in (1, 3_000):
        drawn = rarity.Likely(source).sample(n, seed=4)
        assert len(drawn) == n and rarity.find(drawn).empty and drawn.index.equals(pd.RangeIndex(n))
    asked = []

    class Odd:
        def sample(self, n: int, seed: int) -> pd.DataFrame:
            asked.append(n)
            ages = np.where(np.arange(n) % 10, 19, 40)
            return people(age=ages, education=["Bachelor's degree"] * n)

    assert rarity.Likely(Odd()).sample(20)["age"].eq(40).all() and asked == [70, 140, 280]


def test_a_population_of_unlikely_people_is_one_line_and_drawn_as_it_is_unless_it_is_the_committed_one():
    class Odder:
        def sample(self, n: int, seed: int) -> pd.DataFrame:
            return people(age=[19] * n, education=["Bachelor's degree"] * n)

    with pytest.raises(UserError, match=r"of 1,\d+ people drawn, 0 are likely .*filtered=False\)$") as caught:
        rarity.Likely(Odder()).sample(10)
    assert "\n" not in str(caught.value)
    unlikely = personas.sample(2_000, 3, balanced=False, filtered=False)
    own = census.Population.load()
    assert personas.sample(2_000, 3, population=own, balanced=False).index.equals(unlikely.index)


def test_people_whose_attributes_are_drawn_independently_are_mostly_unlikely():
    drawn = census.Population.load().sample(3_000, seed=1)
    apart = drawn.apply(lambda column: column.sample(frac=1, random_state=len(column.name)).array)
    assert rarity.find(drawn)["persona_id"].nunique() / 3_000 < 0.015  # measured: 0.8%
    assert rarity.find(apart)["persona_id"].nunique() / 3_000 > 0.4  # measured: 0.48
