"""Balanced subsets are closer to the census than random ones where balanced, and not worse elsewhere."""

import numpy as np
import pandas as pd
import pytest

from persona_lib import UserError
from persona_lib.census import Population, balance, distances

N = 1_586


@pytest.fixture(scope="module")
def pool() -> pd.DataFrame:
    return Population.load().sample(10 * N, seed=11)


@pytest.fixture(scope="module")
def chosen(pool) -> list[np.ndarray]:
    return [balance.choose(pool, N, balance.census(), seed) for seed in range(3)]


def mean_distances(people: pd.DataFrame) -> tuple[float, float]:
    singles, pairs = balance.of(people)
    reference = balance.census()
    return distances.tvd(singles, reference[0]).mean(), distances.tvd(pairs, reference[1]).mean()


def test_margins_and_pairs_are_far_closer_to_the_census_than_a_random_draw(pool, chosen):
    random = [mean_distances(pool.iloc[k * N : (k + 1) * N]) for k in range(3)]
    assert all(single > 0.015 and pair > 0.04 for single, pair in random)
    for rows in chosen:
        single, pair = mean_distances(pool.iloc[rows])
        assert single <= 0.002 and pair <= 0.026


def test_nobody_is_chosen_twice_and_a_seed_is_a_choice(pool, chosen):
    for rows in chosen:
        assert len(rows) == N and (np.diff(rows) > 0).all() and rows[0] >= 0 and rows[-1] < len(pool)
    assert np.array_equal(balance.choose(pool, N, balance.census(), 1), chosen[1])
    assert len(set(chosen[0]) & set(chosen[1])) < N / 2


def test_what_is_not_balanced_is_no_further_away_than_in_a_random_draw(pool, chosen):
    triples = [("age", "race", "education"), ("sex", "income", "occupation category"), ("age", "sex", "disability")]
    triples += [("race", "citizenship", "health insurance"), ("age", "household type", "income")]
    real = distances.bands(Population.load().sample(100_000, seed=12))

    def mean_distance(people: pd.DataFrame) -> float:
        table = distances.bands(people)
        gaps = [
            table.value_counts(list(t), normalize=True).sub(real.value_counts(list(t), normalize=True), fill_value=0)
            for t in triples
        ]
        return np.mean([gap.abs().sum() / 2 for gap in gaps])

    random = [mean_distance(pool.iloc[k * N : (k + 1) * N]) for k in range(3)]
    assert max(mean_distance(pool.iloc[rows]) for rows in chosen) < min(random)


def test_people_with_a_rare_pair_of_attributes_are_chosen_as_often_as_they_are_drawn(pool, chosen):
    cells, share, _ = balance._cells(distances.bands(pool), balance.census())
    rare = (share * N < 0.5)[cells].any(axis=1)
    assert 0.1 < rare.mean() < 0.25
    assert np.mean([rare[rows].mean() for rows in chosen]) == pytest.approx(rare.mean(), rel=0.08)


def test_the_parts_of_a_choice_make_up_for_each_other(pool):
    reference = balance.census()
    parts = [(np.arange(3_000), 500), (np.arange(3_000, len(pool)), 600)]

    def away(rows: np.ndarray) -> float:
        return distances.tvd(distances.shares(pool.iloc[rows]), reference[0]).mean()

    together = balance.choose_parts(pool, parts, reference, 0)
    assert len(together) == 1_100 and (together < 3_000).sum() == 500 and (np.diff(together) > 0).all()
    alone = [part[balance.choose(pool.iloc[part], n, reference, 0)] for part, n in parts]
    assert away(together) < 0.9 * away(np.concatenate(alone))
    assert away(together[:500]) < 1.1 * away(alone[0])


def test_what_the_reference_has_and_the_pool_lacks_is_left_out(pool, chosen):
    singles, pairs = balance.census()
    known = singles[~singles["attribute"].isin(distances.ORIGINS)]
    assert len(known) < len(singles)
    assert np.array_equal(balance.choose(pool, N, (known, pairs), 0), chosen[0])


def test_the_reference_may_be_any_large_table_of_people(pool):
    old = pool.query("age >= 65")
    rows = balance.choose(old, 200, balance.of(old), seed=0)
    few, same = old.iloc[rows], old.head(200)
    away, by_chance = (distances.tvd(distances.shares(p), distances.shares(old)).mean() for p in (few, same))
    assert away < by_chance / 2


def test_a_whole_pool_is_its_only_choice_and_a_smaller_one_is_refused(pool):
    few = pool.head(50)
    assert balance.choose(few, 50, balance.census(), 0).tolist() == list(range(50))
    with pytest.raises(UserError, match="51 people can't be chosen from 50"):
        balance.choose(few, 51, balance.census(), 0)
