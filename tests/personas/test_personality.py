"""Personality: levels, correlations, and differences by sex and age agree with the norms."""

import numpy as np
import pandas as pd
import pytest

from persona_lib.census import Population
from persona_lib.personas import personality
from persona_lib.personas.personality import CORRELATIONS, LEVELS, TRAITS


@pytest.fixture(scope="module")
def people() -> pd.DataFrame:
    return Population.load().sample(100_000, seed=4)


@pytest.fixture(scope="module")
def alike() -> pd.DataFrame:
    """Forty thousand people of each sex, 30 years old."""
    return pd.DataFrame({"sex": np.repeat(["Female", "Male"], 40_000), "age": 30})


def test_big_five_are_one_text_of_five_levels(people):
    people = people.assign(**{"big five scores": personality.draw(people, seed=6)})
    level = "(" + "|".join(LEVELS) + ")"
    text = people["big five scores"].dropna()
    assert text.str.fullmatch(", ".join(f"{trait}: {level}" for trait in TRAITS)).all()
    grown = people[people["age"] >= 18]["big five scores"].str.extract(r"Agreeableness: (\w+ ?\w*),")[0]
    expected = dict(zip(LEVELS, (0.067, 0.242, 0.383, 0.242, 0.067), strict=True))  # areas of a normal curve
    for name, share in grown.value_counts(normalize=True).items():
        assert share == pytest.approx(expected[name], abs=0.02), name  # two sexes, not quite one normal curve


def test_big_five_correlate_as_published(alike):
    for _, part in personality.scores(alike, seed=1).groupby(alike["sex"]):
        assert np.allclose(part.corr(), CORRELATIONS, atol=0.02)  # four standard errors of 40,000 people


def test_women_and_men_and_the_old_and_young_differ_as_in_the_norms(alike, shared):
    norms = pd.read_csv(shared / "figures" / "bigfive_ipipneo_norms_by_sex_age.csv")
    norms = norms.query("instrument == 'IPIP-NEO-120'").set_index(["sex", "age_group", "domain"])
    mean, spread = norms["mean_item_1to5"].sort_index(), norms["sd_item_1to5"].sort_index()
    now, later = personality.scores(alike, seed=2), personality.scores(alike.assign(age=75), seed=3)
    women = (alike["sex"] == "Female").to_numpy()
    for trait in TRAITS:
        sd = np.sqrt((spread["female", "21-40"][trait] ** 2 + spread["male", "21-40"][trait] ** 2) / 2)
        d = (mean["female", "21-40"][trait] - mean["male", "21-40"][trait]) / sd
        got = now[trait][women].mean() - now[trait][~women].mean()
        got /= np.sqrt((now[trait][women].var() + now[trait][~women].var()) / 2)
        assert got == pytest.approx(d, abs=0.03), trait
        aged = (mean["male", "over 60"][trait] - mean["male", "21-40"][trait]) / spread["male", "21-40"][trait]
        got = (later[trait][~women].mean() - now[trait][~women].mean()) / now[trait][~women].std()
        assert got == pytest.approx(aged, abs=0.03), trait


def test_all_adults_together_have_mean_0_and_spread_1(people):
    adults = people[people["age"] >= 18]
    scores = personality.scores(adults, seed=0)
    assert np.allclose(scores.mean(), 0, atol=0.02) and np.allclose(scores.std(), 1, atol=0.02)
