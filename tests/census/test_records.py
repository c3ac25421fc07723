"""Real records: drawn by their weights, nobody twice if there are enough, the same for a seed."""

import numpy as np
import pandas as pd
import pytest

from persona_lib import UserError, census, personas
from persona_lib.attributes import CENSUS, COLUMNS
from persona_lib.census import distances
from persona_lib.census.records import Records


@pytest.fixture(scope="module")
def real(shared) -> pd.DataFrame:
    return census.read_pums([shared / "acs" / f"csv_{kind}{state}.zip" for kind in "ph" for state in ("wy", "vt")])


def numbered(weights) -> Records:
    return Records(pd.DataFrame({"who": range(len(weights)), "weight": weights}))


def test_each_is_drawn_in_proportion_to_the_weight():
    weight = np.random.default_rng(0).integers(1, 30, size=200)
    times = sum(np.bincount(numbered(weight).sample(10, seed)["who"], minlength=200) for seed in range(2_000))
    expected = 2_000 * 10 * weight / weight.sum()
    assert (abs(times - expected) < 5 * np.sqrt(expected) + 1).all()
    assert np.corrcoef(times, weight)[0, 1] > 0.97


def test_nobody_is_drawn_twice_if_there_are_enough():
    weight = np.random.default_rng(1).pareto(1, size=500) + 0.01
    for n in (1, 250, 499, 500):
        assert numbered(weight).sample(n, seed=3)["who"].is_unique
    assert sorted(numbered(weight).sample(500)["who"]) == list(range(500))


def test_a_draw_of_more_than_there_are_repeats_people_by_weight():
    times = np.bincount(numbered([1, 2, 3, 4]).sample(1_000)["who"])
    assert abs(times - [100, 200, 300, 400]).max() <= 1


def test_as_many_as_there_are_take_each_once_whatever_the_weights():
    for weights in np.random.default_rng(0).exponential(size=(200, 7)).tolist():
        assert set(numbered(weights).sample(7)["who"]) == set(range(7))


@pytest.mark.parametrize("wrong", [0, -1, None, float("inf"), "many"])
def test_weights_that_are_not_above_0_are_counted_and_placed(wrong):
    for weights, said in (
        ([1, wrong], r"1 of 2 weights are not numbers above 0 \(rows 1\)"),
        ([wrong] * 7 + [1], r"7 of 8 weights are not numbers above 0 \(rows 0, 1, 2, 3, 4, \.\.\.\)"),
    ):
        with pytest.raises(UserError, match=said):
            numbered(weights).sample(1)


@pytest.mark.parametrize(("n", "seed", "said"), [(0, 0, "n must be"), (2.5, 0, "n must be"), (1, -1, "seed must be")])
def test_an_invalid_number_of_people_or_seed_is_refused(n, seed, said):
    with pytest.raises(UserError, match=said):
        numbered([1, 1]).sample(n, seed)


def test_records_drawn_are_as_near_to_the_weighted_census_as_chance_allows(real):
    """A draw that ignores the weights is not."""
    target = distances.shares(real)
    drawn = distances.tvd(distances.shares(Records(real).sample(4_000, seed=1)), target).mean()
    uniform = distances.tvd(distances.shares(real.drop(columns="weight")), target).mean()
    assert drawn < 1.3 * distances.expected(target, 4_000).mean()
    assert uniform > 1.5 * drawn


def test_records_keep_the_state_and_the_same_seed_gives_the_same(real):
    drawn = Records(real).sample(300, seed=5)
    assert list(drawn.columns) == [*CENSUS, "state"]
    pd.testing.assert_frame_equal(drawn, Records(real).sample(300, seed=5))
    assert not drawn.equals(Records(real).sample(300, seed=6))
    merged = drawn.merge(real.drop(columns="weight").drop_duplicates(), how="left", indicator=True)
    assert (merged["_merge"] == "both").all()


def test_personas_are_drawn_from_records_as_from_a_population(real):
    people = personas.sample(200, seed=2, population=Records(real))
    assert list(people.columns[: len(COLUMNS)]) == list(COLUMNS) and people.index.is_unique
    assert people["state"].isin(["Wyoming", "Vermont"]).all()
    assert "Wyoming" not in personas.describe(people.drop(columns="place of birth").iloc[0])


def test_personas_of_records_are_balanced_on_weighted_shares_and_nobody_is_drawn_twice(real):
    adults = real[real["age"] >= 18]
    people = personas.sample(500, seed=2, population=Records(real), where="age >= 18")
    random = personas.sample(500, seed=2, population=Records(real), where="age >= 18", balanced=False)
    away = [distances.tvd(distances.shares(p), distances.shares(adults)).mean() for p in (people, random)]
    assert away[0] < away[1] / 3 and (people["age"] >= 18).all()
    twins = real[list(CENSUS)].astype("str").value_counts()
    drawn = people[list(CENSUS)].astype("str").value_counts()
    assert (drawn <= twins.reindex(drawn.index)).all()
