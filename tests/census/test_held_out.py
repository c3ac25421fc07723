"""People compared with the half of the sample that nothing was fitted to."""

import pytest

from persona_lib import personas
from persona_lib.census import Population, distances, held_out


def test_the_three_way_table_counts_bands_of_age_race_and_education_by_weight():
    people = Population.load().sample(3_000, seed=4)
    table = held_out.three_way(people)
    assert table["share"].sum() == pytest.approx(1) and table["attribute"].unique().tolist() == ["age, race, education"]
    by_hand = (
        people["age"].between(18, 34)
        & (people["race"] == "Asian alone")
        & people["education"].isin(
            ["Master's degree", "Doctorate degree", "Professional degree beyond a bachelor's degree"]
        )
    )
    shares = table.set_index("value")["share"]
    assert shares["18 to 34, Asian, Higher degree"] == pytest.approx(by_hand.mean())
    assert shares.filter(like="Under 3 years").sum() == pytest.approx((people["age"] < 3).mean())
    doubled = held_out.three_way(people.assign(weight=1.0 + by_hand))
    expected = 2 * by_hand.mean() / (1 + by_hand.mean())
    assert doubled.set_index("value")["share"]["18 to 34, Asian, Higher degree"] == pytest.approx(expected)


def test_personas_are_nearer_to_people_held_out_than_a_random_draw_of_real_people_is():
    for seed in (0, 1):
        found = held_out.compare(personas.sample(personas.PAPER, seed))
        assert (found["personas"] < 0.95 * found["real people"]).all()
        assert found["personas"]["pairs of attributes"] < 0.0267  # the version before, against the same people


def test_the_half_held_out_is_not_the_half_that_was_fitted():
    fitted, held = distances.census_pair_shares(), held_out.pair_shares()
    apart = distances.tvd(fitted, held).mean()
    halves = distances.half_distances()["tvd"]
    assert apart == pytest.approx(halves[0], rel=0.01) and apart > 0.004
