"""Distances between samples of people: by hand on small tables, by simulation, against the committed tables."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from persona_lib import census, personas, plots
from persona_lib.attributes import CENSUS
from persona_lib.census import distances


def table(**shares: float) -> pd.DataFrame:
    return pd.DataFrame({"attribute": "sex", "value": list(shares), "share": list(shares.values())})


@pytest.fixture(scope="module")
def people() -> pd.DataFrame:
    return personas.sample(3_000, seed=2, balanced=False)


def test_distance_is_half_the_sum_of_differences_and_counts_values_only_one_has():
    assert distances.tvd(table(a=0.5, b=0.5), table(a=0.7, b=0.3))["sex"] == pytest.approx(0.2)
    assert distances.tvd(table(a=1.0), table(b=1.0))["sex"] == 1
    assert distances.tvd(table(a=0.4, b=0.6), table(b=0.6, a=0.4))["sex"] == 0


def test_pairs_imply_the_shares_of_single_attributes_and_join_beside_a_reference(people):
    pairs = distances.pair_shares(people)
    singles, shares = distances.singles(pairs), distances.shares(people)
    assert distances.tvd(singles, shares[shares["attribute"].isin(singles["attribute"])]).max() < 1e-9
    table = distances.joint(distances.census_pair_shares(), pairs, "age", "income")
    assert len(table) == 11 * 18 and table[["reference", "personas"]].sum().tolist() == pytest.approx([1, 1])
    assert table["value"].iloc[0] == "0 to 4" and table["other value"].iloc[17] == "Not applicable"
    beside = distances.beside(singles, shares, {"sex": ["Female", "Male"]})
    assert beside["value"].tolist() == ["Female", "Male"]
    assert beside["census"].tolist() == pytest.approx(beside["personas"])


def test_numbers_are_put_in_11_and_18_bands_and_all_shares_sum_to_one(people):
    banded, shares = distances.bands(people), distances.shares(people)
    assert banded["age"].cat.categories.size == 11 and banded["income"].cat.categories.size == 18
    assert banded.notna().all(axis=None)
    assert (banded["income"].eq("Not applicable") == people["age"].lt(15)).all()
    assert (banded["income"].eq("None or a loss") == people["income"].le(0).fillna(False)).all()
    assert np.allclose(shares.groupby("attribute")["share"].sum(), 1)


def test_pairs_are_all_253_and_add_up_to_the_single_shares(people):
    pairs, singles = distances.pair_shares(people), distances.shares(people)
    assert pairs.groupby(["attribute", "other"]).ngroups == 253
    ages = pairs[(pairs["attribute"] == "age") & (pairs["other"] == "disability")].groupby("value")["share"].sum()
    alone = singles[singles["attribute"] == "age"].set_index("value")["share"]
    pd.testing.assert_series_equal(ages.sort_index(), alone.sort_index())


def test_expected_distance_is_what_simulated_samples_have_on_average():
    rng = np.random.default_rng(0)
    p = np.array([0.6, 0.3, 0.09, 0.01])
    reference = table(a=p[0], b=p[1], c=p[2], d=p[3])
    simulated = np.abs(rng.multinomial(50, p, size=20_000) / 50 - p).sum(axis=1).mean() / 2
    assert distances.expected(reference, 50)["sex"] == pytest.approx(simulated, rel=0.01)
    assert distances.expected(table(a=1.0), 50)["sex"] == 0


def test_personas_are_hardly_farther_from_the_census_than_real_people_would_be(people):
    reference = distances.census_pair_shares()
    got = distances.tvd(distances.pair_shares(people), reference).mean()
    assert got == pytest.approx(distances.expected(reference, len(people)).mean(), rel=0.06)


def test_the_bound_of_95_in_100_is_crossed_by_5_in_100_samples():
    reference = table(a=0.7, b=0.3)
    bound = distances.stay_below(reference, 400)["sex"]
    apart = np.abs(np.random.default_rng(7).binomial(400, 0.3, size=20_000) / 400 - 0.3)
    assert (apart > bound).mean() == pytest.approx(0.05, abs=0.015)


def test_tables_for_reading_hold_every_attribute_value_and_pair(people):
    margins = distances.margins(people)
    assert len(margins) == 206 and margins.notna().all(axis=None)
    assert (margins["census"] - margins["personas"]).abs().max() < 0.04
    attributes, pairs = distances.by_attribute(people), distances.by_pair(people)
    assert attributes["categories"].sum() == 206 and len(pairs) == 253
    assert attributes.notna().all(axis=None) and pairs.notna().all(axis=None)
    assert (attributes["real people"] < attributes["95 in 100"]).all()


def test_figures_show_a_panel_per_attribute_and_a_row_per_category(people):
    page = plots.personas.margins(distances.margins(people), len(people), "Margins").figure
    assert [ax.get_title(loc="left") for ax in page.axes] == list(CENSUS)
    assert sum(len(ax.get_yticks()) for ax in page.axes) == 206
    ax = plots.personas.distances(distances.by_attribute(people), len(people), "Distances", "the fitted sample")
    assert len(ax.get_yticks()) == 23 and "3,000" in ax.figure.get_supxlabel()
    plt.close("all")


def test_committed_tables_are_those_of_the_fitted_half_of_the_microdata(shared):
    real = census.read_pums(shared / "acs" / "us_persons_2024.parquet")
    half = real.sample(frac=1, random_state=0, ignore_index=True)[: len(real) // 2].reset_index(drop=True)
    published = [margin for margin in census.margins.load() if margin.attributes <= set(half)]
    half["weight"] = census.margins.rake(half, published)
    assert distances.tvd(distances.shares(half), distances.census_shares()).max() < 1e-4
    pairs = distances.tvd(distances.pair_shares(half), distances.census_pair_shares())
    assert len(pairs) == 253 and pairs.max() < 1e-4


def test_half_distances_say_what_they_compare():
    found = distances.half_distances()
    assert found["pairs"].eq(253).all() and found["categories"].eq(206).all()
    assert found["tvd"].is_monotonic_increasing and found["tvd"].max() <= 0.013
