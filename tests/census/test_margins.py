"""Published margins: people's weights raked to them, people compared with them, contradictions named."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from persona_lib import UserError, census
from persona_lib.census import Population, margins


def margin(name: str, universe: dict | None = None, **values: tuple[int, dict]) -> margins.Margin:
    told = {value: {"count": count, "of": of} for value, (count, of) in values.items()}
    return margins.Margin(name=name, source="made up", universe=universe or {}, values=told)


def sexes(men: int, women: int, name: str = "sex", universe: dict | None = None) -> margins.Margin:
    return margin(name, universe, men=(men, {"sex": ["Male"]}), women=(women, {"sex": ["Female"]}))


AGES = margin("age", young=(30, {"age": {"to": 29}}), old=(70, {"age": {"from": 30}}))


@pytest.fixture(scope="module")
def people() -> pd.DataFrame:
    return Population.load().sample(5_000, seed=21)


def share(people: pd.DataFrame, weight: pd.Series, which: pd.Series) -> float:
    return weight[which].sum() / weight.sum()


def test_raked_weights_meet_all_margins_and_change_nothing_else(people):
    weight = margins.rake(people, [sexes(40, 60), AGES])
    men, young = people["sex"] == "Male", people["age"] < 30
    assert share(people, weight, men) == pytest.approx(0.4, abs=2e-4)
    assert share(people, weight, young) == pytest.approx(0.3, abs=2e-4)
    assert weight.mean() == pytest.approx(1) and weight.min() > 0 and weight.index.equals(people.index)
    # Raking keeps the odds ratio of the table that it scales (Deming and Stephan 1940).
    before, after = (pd.crosstab(men, young, w, aggfunc="sum").to_numpy() for w in (weight * 0 + 1, weight))
    odds = [t[0, 0] * t[1, 1] / (t[0, 1] * t[1, 0]) for t in (before, after)]
    assert odds[0] == pytest.approx(odds[1])


def test_without_margins_the_weights_stay(people):
    assert margins.rake(people.head(5), []).tolist() == [1] * 5


def test_a_margin_of_a_part_sets_the_shares_in_it_and_not_its_size(people):
    weight = margins.rake(people, [sexes(10, 90, universe={"age": {"from": 65}})])
    old, men = people["age"] >= 65, people["sex"] == "Male"
    assert share(people[old], weight[old], men[old]) == pytest.approx(0.1)
    assert weight[~old].nunique() == 1 and share(people, weight, old) == pytest.approx(old.mean())


def test_raking_starts_from_the_weights_that_people_have(people):
    start = pd.Series(np.where(people["age"] < 30, 3.0, 1.0), people.index)
    weight = margins.rake(people.assign(weight=start), [sexes(50, 50)])
    ratio = (weight / start).groupby(people["sex"], observed=True)
    assert ratio.max().tolist() == pytest.approx(ratio.min().tolist())


def test_margins_that_contradict_each_other_are_named(people):
    with pytest.raises(
        UserError, match=r"can't hold together .*look first at (sex|again) \(10.00% off\) and (sex|again) \(10.00"
    ):
        margins.rake(people, [sexes(40, 60), AGES, sexes(50, 50, name="again")])


def test_two_margins_of_one_name_are_named(people):
    with pytest.raises(UserError, match="two margins are called sex"):
        margins.rake(people, [sexes(40, 60), sexes(50, 50)])


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (AGES.model_copy(update={"universe": {"age": margins.Span(to=20)}}), "nobody is 'old' in the margin age"),
        (
            margin("age", a=(1, {"age": {"to": 30}}), b=(1, {"age": {"from": 30}})),
            "have several of the values of .* age",
        ),
        (margin("age", a=(1, {"age": {"to": 30}}), b=(1, {"age": {"from": 50}})), "have none of the values of .* age"),
        (margin("sex", a=(1, {"sex": ["Man"]}), b=(1, {"sex": ["Female"]})), "sex has no label Man"),
        (margin("x", a=(1, {"height": {"to": 3}}), b=(1, {"height": {"from": 4}})), "lacks height"),
    ],
)
def test_a_margin_that_does_not_fit_the_people_is_named(people, wrong, said):
    with pytest.raises(UserError, match=said) as caught:
        margins.rake(people, [wrong])
    assert "\n" not in str(caught.value)


def test_weights_of_zero_are_counted_before_raking(people):
    start = pd.Series(1.0, people.index)
    start.iloc[[3, 9]] = 0
    with pytest.raises(UserError, match=r"2 of 5,000 weights are not numbers above 0 \(rows 3, 9\)"):
        margins.rake(people.assign(weight=start), [sexes(50, 50)])


def test_a_malformed_file_of_margins_is_one_line(tmp_path):
    path = tmp_path / "m.yaml"
    path.write_text("- {name: sex, source: x, values: {men: {count: 0, of: {sex: [Male]}}}}\n", "utf-8")
    with pytest.raises(UserError, match=r"m\.yaml: 0\.values"):
        margins.load(path)


def test_the_published_counts_are_the_bureaus(shared):
    """Counts of one table sum to the universe that the Bureau prints; origins are those of DP05."""
    published = {margin.name: margin for margin in margins.load()}
    check = pd.read_csv(shared / "figures" / "acs2024_check_marginals.csv")
    whole = check.loc[check["attribute"] == "sex", "universe_count"].iloc[0]
    for margin in published.values():
        if not margin.universe:
            assert sum(value.count for value in margin.values.values()) == whole, margin.name
    origin = pd.read_csv(shared / "figures" / "origin_acs2024_ancestry_race_hispanic.csv").set_index("group")["count"]
    for name in ("Mexican", "Puerto Rican", "Cuban"):
        assert published["Hispanic origin"].values[name].count == origin[name]


def test_drawn_people_are_near_every_published_table():
    table = margins.compare(Population.load().sample(100_000, seed=3))
    assert table["margin"].nunique() >= 25 and table.notna().all(axis=None)
    assert table.groupby("margin")["published"].sum().tolist() == pytest.approx([1] * table["margin"].nunique())
    apart = (table["personas"] - table["published"]).abs()
    assert apart.max() < 0.02 and apart.mean() < 0.003
    origins = table[table["margin"] == "Hispanic origin"].set_index("value")
    assert (origins["personas"] / origins["published"]).between(0.88, 1.12).all()  # Cubans: four standard errors


def test_each_margin_stands_beside_as_many_real_people_as_its_universe_has():
    drawn = Population.load().sample(2_000, seed=8)
    table = margins.compare(drawn)
    found = margins.by_margin(table)
    men = table[table["margin"] == "sex by age"]
    assert found.loc["sex by age", "personas"] == pytest.approx((men["personas"] - men["published"]).abs().sum() / 2)
    veterans = table[table["margin"] == "veterans"]
    p, n = veterans["published"].iloc[0], veterans["n"].iloc[0]
    simulated = np.abs(np.random.default_rng(0).binomial(n, p, 40_000) / n - p).mean()
    assert found.loc["veterans", "real people"] == pytest.approx(simulated, rel=0.02)
    assert (
        found["real people"] < found["95 in 100"]
    ).all() and "Hispanic origin of the foreign born" not in found.index
    assert len(margins.by_margin(margins.compare(drawn[drawn["age"] < 10]))) < len(found) - 8


def test_the_gain_over_real_people_is_a_mean_over_tables_with_an_interval():
    found = margins.gain(pd.DataFrame({"personas": [0.1, 0.2, 0.3], "real people": [0.2, 0.4, 0.6]})).iloc[0]
    mean, error = -0.2, 0.1 / 3**0.5
    assert found["estimate"] == pytest.approx(mean) and found["n"] == 3
    assert found["low"] == pytest.approx(mean - 4.3027 * error, abs=1e-4)  # t with two degrees of freedom
    assert found["high"] == pytest.approx(mean + 4.3027 * error, abs=1e-4)


def test_real_people_of_the_half_sample_meet_the_margins_that_their_weights_were_raked_to(shared):
    real = census.read_pums(shared / "acs" / "us_persons_2024.parquet")[:20_000]
    needed = [margin for margin in margins.load() if margin.attributes <= set(real)]
    table = margins.compare(real.assign(weight=margins.rake(real, needed)))
    assert (table["personas"] - table["published"]).abs().max() < 2e-4


def test_the_example_of_the_documentation_rakes(people):
    text = (Path(__file__).parents[2] / "docs" / "census.md").read_text("utf-8")
    block = re.search(r"^    - name: education.*?(?=\n\n`of`)", text, re.DOTALL | re.MULTILINE).group()
    raked = margins.rake(people, [margins.Margin(**told) for told in yaml.safe_load(block)])
    grown = people["age"] >= 25
    degree = people["education"].isin(list(people["education"].cat.categories[20:]))
    assert share(people[grown], raked[grown], degree[grown]) == pytest.approx(86_932_697 / 235_910_706, abs=1e-6)
