"""The census table and the population model: labels, distances to people it never saw, no impossible people."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from impossible_people import IMPOSSIBLE

from persona_lib import UserError, census
from persona_lib.attributes import BY_NAME, CENSUS
from persona_lib.census import Population, distances, held_out, trees
from persona_lib.census.population import DEFAULT, ORDER
from persona_lib.census.rules import RULES
from persona_lib.census.trees import Tree


@pytest.fixture(scope="session")
def people(shared) -> pd.DataFrame:
    return census.read_pums(shared / "acs" / "us_persons_2024.parquet")


@pytest.fixture(scope="session")
def halves(people) -> tuple[pd.DataFrame, pd.DataFrame]:
    shuffled = people.sample(frac=1, random_state=0, ignore_index=True)
    return shuffled[: len(people) // 2], shuffled[len(people) // 2 :]


@pytest.fixture(scope="session")
def population() -> Population:
    return Population.load()


@pytest.fixture(scope="session")
def drawn(population) -> pd.DataFrame:
    return population.sample(100_000, seed=1)


@pytest.fixture(scope="session")
def small(halves) -> Population:
    return Population.fit(halves[0][:5_000])


def test_margins_are_the_bureaus(shared, people):
    margins = pd.read_csv(shared / "acs" / "margins_2024.csv").set_index(["variable", "value"])["share"]
    for name in CENSUS:
        attribute = BY_NAME[name]
        if not attribute.codes or attribute.grouped:
            continue
        expected = margins[attribute.pums].rename(index={str(code): label for code, label in attribute.codes.items()})
        got = people[name].value_counts() / len(people)
        assert (got - expected[list(attribute.labels)]).abs().max() < 0.003, name


def test_every_real_person_is_possible(people):
    found = {why: len(people.query(rule, engine="python")) for why, rule in IMPOSSIBLE.items()}
    assert {why: n for why, n in found.items() if n} == {}


def test_no_drawn_person_is_impossible(drawn):
    assert len(IMPOSSIBLE) >= 20
    found = {why: len(drawn.query(rule, engine="python")) for why, rule in IMPOSSIBLE.items()}
    assert {why: n for why, n in found.items() if n} == {}


def test_rules_alone_keep_impossible_people_away(population):
    """Uninformed trees reach every combination that the rules allow, and no dead end."""
    nothing = [np.array([value]) for value in (-1, 0, 0)]
    flat = [Tree(tree.ranks, *nothing, np.ones((1, tree.counts.shape[1]), dtype=int)) for tree in population.trees]
    people = replace(population, trees=tuple(flat)).sample(100_000, seed=5)
    found = {why: len(people.query(rule, engine="python")) for why, rule in IMPOSSIBLE.items()}
    assert {why: n for why, n in found.items() if n} == {}


def test_a_rule_finds_the_impossible_person_it_names(drawn):
    wrong = drawn[drawn["age"] < 15].assign(**{"marital status": "Married"})
    rule = IMPOSSIBLE["a child who is or was married"]
    assert len(wrong.query(rule, engine="python")) == len(wrong) > 0


def test_fitted_on_one_half_it_is_as_near_to_the_other_as_the_paper_needs(drawn):
    held = held_out.pair_shares()
    real = distances.tvd(distances.census_pair_shares(), held)
    synthetic = distances.tvd(distances.pair_shares(drawn), held)
    assert len(synthetic) == len(real) == 253
    assert 0.004 < real.mean() < 0.0085
    assert synthetic.mean() <= 0.0095


def test_drawn_people_are_like_all_real_people(drawn):
    apart = distances.tvd(distances.shares(drawn), distances.census_shares())
    assert list(apart.index) == list(CENSUS)
    assert apart.max() < 0.012


def test_incomes_are_the_bureaus_round_numbers(people, drawn):
    dollars = drawn["income"].dropna().astype(int)
    assert dollars.isin(people["income"].dropna().round(-1)).mean() > 0.99
    assert (dollars[dollars >= 50_000] % 1_000 == 0).all()
    for quantile in (0.25, 0.5, 0.75, 0.9):
        assert dollars.quantile(quantile) == pytest.approx(people["income"].quantile(quantile), rel=0.04)


def test_the_table_read_and_the_table_drawn_have_the_same_columns_and_kinds(people, drawn):
    assert list(drawn.columns) == list(CENSUS)
    assert list(people.columns) == [*CENSUS, "state"]
    pd.testing.assert_series_equal(drawn.dtypes, people[list(CENSUS)].dtypes)


def test_a_seed_gives_these_very_people(population):
    first = population.sample(4, seed=0)
    pd.testing.assert_frame_equal(first, population.sample(4, seed=0))
    assert not first.equals(population.sample(4, seed=1))
    assert first["age"].tolist() == [49, 22, 3, 1]


def test_a_saved_population_draws_what_the_fitted_one_did(small, tmp_path):
    small.save(tmp_path / "small.npz")
    loaded = Population.load(tmp_path / "small.npz")
    pd.testing.assert_frame_equal(loaded.sample(500, seed=2), small.sample(500, seed=2))
    assert loaded.provenance["persons"] == 5_000
    assert loaded.provenance["attributes"] == list(ORDER)


def test_the_committed_population_is_small_and_holds_no_persons_row(population):
    assert DEFAULT.stat().st_size <= 600_000
    assert population.provenance["persons"] == 100_000  # the other half is held out
    assert population.provenance["files"] == ["us_persons_2024.parquet"]
    about = population.provenance
    assert about["years"] == ["2024"] and about["weights"] == "raked to published.yaml"
    assert [a.name for a in population.attributes] == list(ORDER) and population.columns == CENSUS
    for name, tree in zip(ORDER, population.trees, strict=True):
        sizes = tree.counts.sum(axis=1)  # in thousandths of a person of mean weight; the lowest weight is above 0.35
        assert sizes.min() >= 100 * 350, name
        assert sizes.sum() <= 100_001_000, name


def test_the_committed_population_has_todays_rules_and_labels_and_no_person_that_they_forbid(population):
    assert len(population.rules) == len(RULES) and population.provenance["against the rules"] == 0
    for ours, saved in zip(RULES, population.rules, strict=True):
        assert ours.keys() == saved.keys()
        assert all((ours[name] == saved[name]).all() for name in ours)
    for attribute in population.attributes:
        ours = BY_NAME[attribute.name]
        assert (attribute.labels, attribute.bands, attribute.size) == (ours.labels, ours.bands, ours.size)


def test_an_attribute_settled_by_the_rules_is_never_fitted(population):
    fertility = population.trees[ORDER.index("fertility")]
    assert fertility.counts[:, 0].sum() == 0


def test_a_population_of_the_old_alone_can_be_fitted(people, tmp_path):
    old = people.query("age > 70")
    Population.fit(old).save(tmp_path / "old.npz")
    drawn = Population.load(tmp_path / "old.npz").sample(2000, seed=0)
    assert drawn["age"].min() > 70 and drawn["fertility"].isna().all()
    assert (drawn["sex"] == "Female").mean() == pytest.approx((old["sex"] == "Female").mean(), abs=0.04)


def test_a_fit_counts_each_person_by_weight(shared):
    """Two real states; drawn people are nearer to the weighted table than to the unweighted one."""
    states = census.read_pums([shared / "acs" / f"csv_{kind}{state}.zip" for kind in "ph" for state in ("wy", "vt")])
    model = Population.fit(states)
    assert model.provenance["weights"] == "PWGTP" and model.provenance["stand for"] == states["weight"].sum()
    assert model.trees[0].counts.sum() == states["weight"].sum()
    drawn = distances.shares(model.sample(20_000, seed=1))
    weighted = distances.tvd(drawn, distances.shares(states)).mean()
    assert weighted < 0.012
    assert distances.tvd(drawn, distances.shares(states.drop(columns="weight"))).mean() > 2 * weighted


def test_equal_weights_change_nothing(halves, small):
    weighted = Population.fit(halves[0][:5_000].assign(weight=1.0))
    pd.testing.assert_frame_equal(weighted.sample(300, seed=1), small.sample(300, seed=1))


def test_weights_with_decimals_are_kept_to_a_thousandth(halves):
    few = halves[0][:2_000].assign(weight=lambda t: np.where(t["sex"] == "Male", 0.2, 0.6))
    men = (few["sex"] == "Male").mean()
    sex = Population.fit(few).trees[ORDER.index("sex")].counts.sum(axis=0)
    assert sex[1] / sex.sum() == pytest.approx(men * 0.2 / (men * 0.2 + (1 - men) * 0.6), abs=0.001)


def test_weights_far_apart_or_huge_leave_nobody_out(halves):
    few = halves[0][:1_500]
    for weights in (np.where(np.arange(1_500) == 7, 1e9 + 0.5, 1.0), np.full(1_500, 1e18)):
        counts = Population.fit(few.assign(weight=weights)).trees[0].counts
        assert counts.sum() >= 1_500 and 0 < counts.max() < 1e10
    one, huge = (Population.fit(few.assign(weight=weight)).sample(50, seed=1) for weight in (1_000.0, 1e18))
    pd.testing.assert_frame_equal(one, huge)


def test_people_most_of_whom_the_rules_forbid_are_refused(halves):
    wrong = halves[0][:1_200].assign(age=5)
    with pytest.raises(UserError, match=r"the rules forbid [\d,]+ of 1,200 persons: check that the col"):
        Population.fit(wrong)


@pytest.mark.parametrize("damage", ["bytes", "about"])
def test_a_damaged_population_file_is_one_line(tmp_path, damage):
    path = tmp_path / "damaged.npz"
    content = bytearray(DEFAULT.read_bytes())
    if damage == "bytes":
        content[2_000:2_400] = bytes(400)
        path.write_bytes(content)
    else:
        with np.load(DEFAULT) as file:
            about = json.loads(str(file["about"]))
            del about["rules"]
            np.savez(path, **(dict(file) | {"about": np.array(json.dumps(about))}))
    with pytest.raises(UserError, match="is not a population file"):
        Population.load(path)


def test_a_population_of_children_alone_can_be_fitted(people):
    drawn = Population.fit(people.query("age < 12")[:3_000]).sample(500, seed=0)
    assert drawn["income"].isna().all() and drawn["age"].max() < 12


def test_a_tree_may_have_more_leaves_than_a_small_integer_counts(monkeypatch):
    monkeypatch.setattr(trees, "LEAF", 1)
    codes = np.stack(np.meshgrid(np.arange(250), np.arange(250)), axis=-1).reshape(-1, 2).astype(np.uint8)
    target = np.random.default_rng(0).integers(0, 9, len(codes)).astype(np.uint8)
    tree = trees.fit(codes, target, 9, [True, True])
    assert len(tree.right) > 65_535 and (tree.counts[tree.leaves(codes)].argmax(axis=1) == target).all()


@pytest.mark.parametrize(("content", "message"), [(None, "no file"), (b"PAR1 but not really", "can't be read")])
def test_an_unreadable_file_of_persons_is_named(tmp_path, content, message):
    path = tmp_path / "persons.parquet"
    if content:
        path.write_bytes(content)
    with pytest.raises(UserError, match=message) as caught:
        census.read_pums(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_all_missing_columns_are_named(tmp_path):
    pd.DataFrame({"AGEP": [30], "SEX": [1]}).to_parquet(tmp_path / "few.parquet")
    with pytest.raises(UserError) as caught:
        census.read_pums(tmp_path / "few.parquet")
    absent = {BY_NAME[name].pums for name in CENSUS} - {"AGEP", "SEX"}
    assert all(f"{column}" in str(caught.value) for column in absent)
    with pytest.raises(UserError, match="sex, race"):
        Population.fit(pd.DataFrame({"age": [30] * 2_000}))


@pytest.mark.parametrize(
    ("column", "codes", "named"),
    [("SEX", [1, 7], "7"), ("AGEP", [30, 130], "130"), ("AGEP", [30, None], "a gap"), ("OCCP", ["10", "x"], "x")],
)
def test_codes_the_dictionary_lacks_are_named(tmp_path, column, codes, named):
    columns = {BY_NAME[name].pums: [min(BY_NAME[name].codes, default=1)] * 2 for name in CENSUS}
    pd.DataFrame(columns | {column: codes}).to_parquet(tmp_path / "odd.parquet")
    with pytest.raises(UserError, match=rf"{column} has codes .*\({named}"):
        census.read_pums(tmp_path / "odd.parquet")


@pytest.mark.parametrize("content", [None, b"no zip at all"])
def test_a_file_without_a_population_is_refused(tmp_path, content):
    path = tmp_path / "population.npz"
    if content:
        path.write_bytes(content)
    else:
        np.savez(path, something=np.arange(3))
    with pytest.raises(UserError, match="is not a population file"):
        Population.load(path)


def test_an_invalid_seed_is_refused(population):
    with pytest.raises(UserError, match="seed must be"):
        population.sample(1, seed=-1)


def test_too_few_persons_are_refused(drawn):
    with pytest.raises(UserError, match="too few"):
        Population.fit(drawn[:999])
