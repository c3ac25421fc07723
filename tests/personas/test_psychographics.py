"""Religion, party and ideology: margins and cross-tables agree with the surveys."""

import numpy as np
import pandas as pd
import pytest

from persona_lib import UserError
from persona_lib.census import Population, distances
from persona_lib.personas import origins, psychographics
from persona_lib.personas.psychographics import IDEOLOGIES, PARTIES, RELIGIONS

PRINTED = {"Independent (neither)": PARTIES[3], "Moderate": IDEOLOGIES[3]}  # the figures' short forms
OUTCOMES = {"religion": RELIGIONS, "political views": PARTIES, "ideology": IDEOLOGIES}


@pytest.fixture(scope="module")
def census() -> pd.DataFrame:
    people = Population.load().sample(100_000, seed=4)
    return people.join(origins.draw(people, seed=4))


@pytest.fixture(scope="module")
def people(census) -> pd.DataFrame:
    return census.join(psychographics.draw(census, seed=6))


@pytest.fixture(scope="module")
def adults(people) -> pd.DataFrame:
    return people[people["age"] >= 18]


@pytest.fixture(scope="module")
def gss(shared) -> dict[str, pd.Series]:
    """One-way shares of GSS 2024 of political views and ideology."""
    table = pd.read_csv(shared / "figures" / "politics_gss_oneway.csv")
    table = table.query("survey == 'GSS 2024' and var1 == '(overall)'").set_index(["outcome", "category"])["share"]
    return {"political views": table["partyid7"].rename(PRINTED), "ideology": table["polviews7"].rename(PRINTED)}


def test_margins_are_those_of_the_gss_and_of_pew_for_small_religions(adults, gss, shared):
    # Four standard errors of 78,000 draws, and 0.002 because the tables contradict each other: no fit is exact.
    for name, share in gss.items():
        got = adults[name].value_counts(normalize=True)[share.index]
        assert (abs(got - share) < 0.002 + 4 * np.sqrt(share / len(adults))).all(), name
    religion = pd.read_csv(shared / "figures" / "religion_gss_tables.csv")
    printed = religion.query("survey == 'GSS 2024' and var1 == '(overall)' and outcome == 'relig13'")
    printed = printed.set_index("category")["share"]
    got = adults["religion"].value_counts(normalize=True)
    for name in ("Protestant", "Catholic", "No religion"):
        assert got[name] == pytest.approx(printed[name], abs=0.012)
    for name, pew in {"Jewish": 0.0168, "Muslim": 0.0118, "Buddhist": 0.0108, "Hindu": 0.0093}.items():
        assert got[name] == pytest.approx(pew, abs=0.0025) and got[name] == pytest.approx(printed[name], abs=0.006)


def test_expected_shares_are_those_of_the_gss_to_two_thousandths(adults, gss):
    """The model's own shares, without the randomness of a draw; the people are still a sample."""
    table = psychographics.cells(adults, np.zeros(len(adults))).value_counts(normalize=True)
    odds = np.exp(psychographics.log_odds(table.index.to_frame(index=False)))
    share = pd.Series(table.to_numpy() @ (odds / odds.sum(axis=1, keepdims=True)))
    for name, printed in gss.items():
        assert (share.groupby(psychographics.outcomes()[name]).sum() - printed).abs().max() < 0.002, name


def test_cross_tables_are_those_of_the_gss(adults):
    reference = psychographics.reference()
    apart = distances.tvd(psychographics.pair_shares(adults), reference)
    chance = distances.expected(reference, len(adults))
    assert set(apart.index) == set(psychographics.PAIRS) and len(apart) == 15
    # Beyond chance: 0.01 for politics; religion also differs by Pew's shares of the small religions.
    for pair, distance in apart.items():
        assert distance < 1.2 * chance[pair] + (0.025 if pair[0] == "religion" else 0.01), (pair, distance)


def test_the_bounds_on_cross_tables_would_notice_independent_draws(adults):
    mixed = adults.assign(ideology=adults["ideology"].sample(frac=1, random_state=0).to_numpy())
    apart = distances.tvd(psychographics.pair_shares(mixed), psychographics.reference())
    assert apart["political views", "ideology"] > 0.25 and apart["ideology", "race"] > 0.05


def test_party_means_something_else_among_blacks_than_among_whites(adults, shared):
    joint = pd.read_csv(shared / "figures" / "politics_gss_joint_party_ideology.csv")
    gss = joint.query("survey == 'GSS 2024' and subgroup_var == 'raceeth' and party == 'Democrat'")
    gss = gss.query("ideology == 'Conservative'").set_index("subgroup")["p_party_given_ideology"]
    table = psychographics.cells(adults, np.zeros(len(adults))).assign(
        **psychographics.coarser(adults).reset_index(drop=True)
    )
    conservative = table[table["leaning"] == "Conservative"]
    got = conservative["party"].eq("Democrat").groupby(conservative["race"]).mean()
    for race in ("Black non-Hispanic", "White non-Hispanic"):
        assert got[race] == pytest.approx(gss[race], abs=0.06)
    assert got["Black non-Hispanic"] > 4 * got["White non-Hispanic"]


def test_religions_go_with_ancestry(adults):
    religion = pd.crosstab(adults["ancestry"], adults["religion"], normalize="index")
    n = adults["ancestry"].value_counts()
    # Indians to Chinese: Pew 2023; the others: estimates of benchmarks/surveys.py.
    expected = {
        "Asian Indian": {"Hindu": 0.48, "Muslim": 0.08, "Buddhist": 0.01},
        "Filipino": {"Catholic": 0.57},
        "Korean": {"Protestant": 0.45},
        "Vietnamese": {"Buddhist": 0.37, "Catholic": 0.29},
        "Chinese": {"No religion": 0.56},
        "Pakistani": {"Muslim": 0.62},
        "Egyptian": {"Orthodox Christian": 0.5, "Muslim": 0.28},
        "Lebanese": {"Catholic": 0.27, "Muslim": 0.26},
        "Iranian": {"No religion": 0.42, "Muslim": 0.25},
        "Ethiopian": {"Orthodox Christian": 0.5},
        "Haitian": {"Catholic": 0.48},
        "Brazilian": {"Catholic": 0.48},
        "Armenian": {"Orthodox Christian": 0.6},
    }
    for ancestry, shares in expected.items():
        for name, share in shares.items():
            error = np.sqrt(share * (1 - share) / n[ancestry])
            assert religion[name][ancestry] == pytest.approx(share, abs=0.07 + 3 * error), (ancestry, name)
    for ancestry in ("Chinese", "Korean", "Mexican", "German", "Swedish", "African American"):
        assert religion["Hindu"][ancestry] < 0.005, ancestry
    assert religion["Muslim"][["Mexican", "German", "Swedish", "Irish"]].max() < 0.005


def test_religions_of_whites_go_with_ancestry(adults):
    """GSS 2024 with 2016 and 2018; effective n: Italian 258, Polish 107, English 457, Norwegian 63, Russian 51."""
    white = adults[adults["race"].eq(origins.RACES[0]) & adults["hispanic origin"].eq(origins.ORIGINS[0])]
    first, faith = white["ancestry"].str.split(" and ").str[0], white["religion"].map(psychographics.FAITH)
    share = pd.crosstab(first, faith, normalize="index")
    expected = {
        "Italian": {"Catholic": 0.49, "Protestant": 0.25},
        "Polish": {"Catholic": 0.36, "Protestant": 0.24, "Jewish": 0.09},
        "English": {"Catholic": 0.08, "Protestant": 0.62},
        "Norwegian": {"Catholic": 0.09, "Protestant": 0.67},
        "Russian": {"Jewish": 0.34, "Protestant": 0.24},
        "Israeli": {"Jewish": 0.66},
    }
    for ancestry, faiths in expected.items():
        for name, gss in faiths.items():
            assert share[name][ancestry] == pytest.approx(gss, abs=0.07), (ancestry, name)
    assert white["religion"][first == "Greek"].eq("Orthodox Christian").mean() > 0.2
    # Whites without a heritage of their own get the remaining shares, which must be plausible too.
    assert share["Catholic"]["American"] == pytest.approx(0.10, abs=0.04)
    assert share["Protestant"]["American"] == pytest.approx(0.62, abs=0.07)


def test_values_are_the_labels_and_children_have_a_religion_but_no_politics(people):
    child, small = people["age"] < 18, people["age"] < 12
    for name, labels in OUTCOMES.items():
        assert set(people[name].dropna()) == set(labels), name
        assert people[name].isna().equals(child if name != "religion" else child & False), name
    assert people["big five scores"].isna().equals(small)
    parents = people[people["age"].between(35, 44)]["religion"].value_counts(normalize=True)
    children = people[child]["religion"].value_counts(normalize=True)
    assert abs(children["Catholic"] - parents["Catholic"]) < 0.06  # more children than parents are Hispanic
    assert children["No religion"] == pytest.approx(parents["No religion"], abs=0.04)


def test_a_draw_is_repeatable_and_depends_on_ones_own_row_and_place_alone(census):
    some = census.iloc[:2_000]
    drawn = psychographics.draw(some, seed=9)
    pd.testing.assert_frame_equal(drawn, psychographics.draw(some, seed=9))
    pd.testing.assert_frame_equal(drawn.iloc[:300], psychographics.draw(some.iloc[:300], seed=9))
    assert not drawn.equals(psychographics.draw(some, seed=10))
    other = pd.concat([some.iloc[:1_000], census.iloc[5_000:6_000]])
    pd.testing.assert_frame_equal(drawn.iloc[:1_000], psychographics.draw(other, seed=9).iloc[:1_000])
    children = census[census["age"] < 10].iloc[:5]
    assert list(psychographics.draw(children).notna().sum()) == [0, 5, 0, 0]


def test_small_samples_meet_the_margins_on_average(census, gss):
    target, grown = gss["political views"], census[census["age"] >= 18]
    drawn = pd.concat([psychographics.draw(grown.iloc[i : i + 100], seed=i) for i in range(0, 5_000, 100)])
    got = drawn["political views"].value_counts(normalize=True)[target.index]
    assert (abs(got - target) < 0.002 + 4 * np.sqrt(target / len(drawn))).all()


def test_every_cell_has_every_outcome_and_tables_name_what_exists(adults):
    table = psychographics.cells(adults, np.zeros(len(adults))).drop_duplicates()
    assert np.isfinite(psychographics.log_odds(table)).all()
    known = set(pd.read_csv(psychographics.DATA / "ancestries.csv")["ancestry"])
    known |= set(pd.read_csv(psychographics.DATA / "places.csv")["ancestry"])
    named = {name for names in psychographics.HERITAGES.values() for name in names.split(", ")}
    assert named <= known


def test_reference_tables_are_the_surveys(shared):
    reference = psychographics.reference()
    assert np.allclose(reference.groupby(["attribute", "other"])["share"].sum(), 1, atol=1e-4)
    assert set(reference.groupby(["attribute", "other"]).groups) == set(psychographics.PAIRS)
    gss = pd.read_csv(shared / "figures" / "politics_gss_joint_party_ideology.csv")
    gss = gss.query("survey == 'GSS 2024' and subgroup == 'all' and party_var == 'partyid7'")
    ours = reference.query("attribute == 'political views' and other == 'ideology'")
    ours = ours.set_index(["value", "other value"])["share"]
    gss = gss.replace({"party": PRINTED, "ideology": PRINTED})
    assert np.allclose(ours[list(zip(gss["party"], gss["ideology"], strict=True))], gss["joint_share"], atol=1e-5)


def test_people_without_ancestry_are_refused_with_what_to_do(census):
    with pytest.raises(UserError, match=r"lacks ancestry: draw origins first \(origins.draw\)"):
        psychographics.draw(census.drop(columns="ancestry"))
