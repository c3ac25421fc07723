"""Ancestry, place of birth and state: no contradictions, and agreement with the published counts."""

import numpy as np
import pandas as pd
import pytest

from persona_lib import UserError
from persona_lib.attributes import BY_NAME
from persona_lib.census import Population
from persona_lib.personas import origins, speech
from persona_lib.personas.origins import IN_STATES, NATURALIZED, NO_CITIZEN, OF_AMERICANS, ON_ISLANDS, ORIGINS, RACES

NOT_HISPANIC = ORIGINS[0]


@pytest.fixture(scope="module")
def census() -> pd.DataFrame:
    return Population.load().sample(100_000, seed=3)


@pytest.fixture(scope="module")
def people(census) -> pd.DataFrame:
    return census.join(origins.draw(census, seed=5))


@pytest.fixture(scope="module")
def places() -> pd.DataFrame:
    return pd.read_csv(origins.DATA / "places.csv", index_col="place")


def foreign(people: pd.DataFrame) -> pd.DataFrame:
    return people[people["citizenship"].isin([NATURALIZED, NO_CITIZEN])]


def test_a_place_of_birth_is_a_state_an_island_or_a_country_as_citizenship_says(people, places):
    islands = places.index[places["region"] == "Islands"]
    countries = places.index.difference(islands)
    for citizenship, allowed in [
        (IN_STATES, origins.states()),
        (ON_ISLANDS, islands),
        (OF_AMERICANS, countries),
        (NATURALIZED, countries),
        (NO_CITIZEN, countries),
    ]:
        born = people.loc[people["citizenship"] == citizenship, "place of birth"]
        assert len(born) and born.isin(allowed).all(), citizenship
    assert people["state"].isin(origins.states()).all() and people[[*origins.COLUMNS]].notna().all(axis=None)
    assert not set(origins.states()) & set(places.index)


def test_hispanics_have_the_ancestry_of_their_origin_and_are_born_where_it_is(people):
    named = people["hispanic origin"].isin([name for name in ORIGINS if " " not in name or name == "Puerto Rican"])
    named &= people["hispanic origin"] != "Spaniard"
    hispanic = people[named]
    assert (hispanic["ancestry"] == hispanic["hispanic origin"].astype(str)).all()
    born = foreign(people).groupby("hispanic origin", observed=True)["place of birth"]
    home = {"Mexican": "Mexico", "Cuban": "Cuba", "Salvadoran": "El Salvador", "Colombian": "Colombia"}
    for origin, country in home.items():
        assert (born.get_group((origin,) if isinstance(origin, tuple) else origin) == country).mean() > 0.95
    islanders = people[people["citizenship"].eq(ON_ISLANDS) & people["hispanic origin"].eq("Puerto Rican")]
    assert islanders["place of birth"].eq("Puerto Rico").mean() > 0.98


def test_nobody_has_an_ancestry_that_goes_with_another_race(people):
    single = people[people["hispanic origin"].eq(NOT_HISPANIC) & people["race"].ne("Two or More Races")]
    of = single.groupby("race", observed=True)["ancestry"].unique().map(set)
    asian, white, black = of["Asian alone"], of["White alone"], of["Black or African American alone"]
    assert {"Chinese", "Asian Indian", "Filipino", "Hmong"} <= asian
    assert not asian & {"German", "Irish", "English", "American", "African American", "Mexican", "Nigerian"}
    assert not white & {"Chinese", "Korean", "Asian Indian", "African American", "Haitian", "Mexican", "Chamorro"}
    assert not black & {"German", "Irish", "Chinese", "American", "Mexican", "Navajo"}
    assert of["Alaska Native alone"] <= {"Yup'ik", "Inupiat", "Athabascan", "Tlingit and Haida", "Aleut"}
    hispanic = set(people.loc[people["hispanic origin"].ne(NOT_HISPANIC), "ancestry"]) - {"Spanish"}
    assert not hispanic & set(single["ancestry"])


def test_two_ancestries_are_for_people_of_two_or_more_races(people):
    two = people["ancestry"].str.contains(" and ") & people["ancestry"].ne("Tlingit and Haida")
    mixed = people["race"].eq("Two or More Races") & people["hispanic origin"].eq(NOT_HISPANIC)
    assert not (two & ~mixed).any() and two[mixed].mean() > 0.95


def test_immigrants_are_of_the_people_they_were_born_among(people):
    of = foreign(people).query("`hispanic origin` == @NOT_HISPANIC")
    for place, race, ancestry in [
        ("India", "Asian alone", "Asian Indian"),
        ("China", "Asian alone", "Chinese"),
        ("Philippines", "Asian alone", "Filipino"),
        ("Nigeria", "Black or African American alone", "Nigerian"),
        ("Poland", "White alone", "Polish"),
        ("Ukraine", "White alone", "Ukrainian"),
    ]:
        here = of[of["place of birth"].eq(place)]
        assert here["race"].eq(race).mean() > 0.85, place
        assert here.loc[here["race"].eq(race), "ancestry"].eq(ancestry).all(), place
        assert of.loc[of["ancestry"].eq(ancestry), "place of birth"].eq(place).mean() > 0.7, ancestry
    assert not foreign(people)["ancestry"].isin(["African American"]).any()


def languages(people: pd.DataFrame, places: pd.DataFrame) -> pd.DataFrame:
    """Return the letters of the languages of each person's birthplace and ancestries, and of the home."""
    kinds = pd.read_csv(origins.DATA / "ancestries.csv").drop_duplicates("ancestry").set_index("ancestry")["languages"]
    kinds = places.drop_duplicates("ancestry").set_index("ancestry")["languages"].combine_first(kinds)
    both = people["ancestry"].str.replace("Tlingit and Haida", "Tlingit").str.split(" and ")
    of_ancestry = both.map(lambda names: " ".join(kinds.get(name, "O") for name in names))
    of_place = people["place of birth"].map(places["languages"]).fillna("")
    home = people["household language"].astype(str).map(dict(zip(speech.LANGUAGES, speech.LETTERS, strict=True)))
    return pd.DataFrame({"place": of_place, "ancestry": of_ancestry, "home": home})


def spoken_there(table: pd.DataFrame, column: str) -> np.ndarray:
    return np.array([home in there for home, there in zip(table["home"], table[column], strict=True)])


def test_those_who_speak_little_english_grew_up_with_the_language_of_the_home(people, places):
    speaks = people["ability to speak english"].notna() & people["household language"].notna()
    little = people[speaks & people["ability to speak english"].ne("Very well")]
    abroad = foreign(little)
    assert spoken_there(languages(abroad, places), "place").mean() > 0.985
    here = little[little["citizenship"].eq(IN_STATES) & little["hispanic origin"].eq(NOT_HISPANIC)]
    assert spoken_there(languages(here, places), "ancestry").mean() > 0.95
    # Ancestries of others with a language, drawn whatever it is, would not do.
    mixed = here.assign(ancestry=np.random.default_rng(0).permutation(here["ancestry"]))
    assert spoken_there(languages(mixed, places), "ancestry").mean() < 0.7


def test_a_child_has_the_homes_language_from_its_parents_unless_it_is_spanish(people, places):
    children = people[people["age"].between(5, 17) & people["ability to speak english"].notna()]
    here = children[children["citizenship"].eq(IN_STATES) & children["hispanic origin"].eq(NOT_HISPANIC)]
    table = languages(here, places).dropna()
    assert spoken_there(table[table["home"] != "S"], "ancestry").mean() > 0.95
    swedes = here[here["ancestry"].isin(["Swedish", "Norwegian", "Danish"])]["household language"]
    assert not swedes.isin(["Asian and Pacific Island languages", "Other language"]).any()


def test_nobody_speaks_a_language_that_is_not_spoken_where_they_were_born(people):
    speakers = foreign(people).dropna(subset=["ability to speak english", "household language"])
    home = pd.crosstab(speakers["place of birth"], speakers["household language"].astype(str), normalize="index")
    spanish, other, asian = home["Spanish"], home["Other language"], home["Asian and Pacific Island languages"]
    assert spanish[["Brazil", "Egypt", "China", "Haiti", "Poland"]].max() < 0.02 < 0.9 < spanish["Mexico"]
    assert home["Other Indo-European languages"][["Brazil", "Haiti", "Poland", "Pakistan"]].min() > 0.95
    assert (
        asian[["China", "Vietnam", "South Korea", "Philippines"]].min() > 0.97
        and other[["Egypt", "Somalia"]].min() > 0.9
    )
    assert 0.1 < asian["India"] < 0.45 and other["Germany"] < 0.1


def test_english_goes_with_the_place_of_birth(people, places):
    here = foreign(people).dropna(subset=["household language"])
    little = here["ability to speak english"].isin(["Well", "Not well", "Not at all"]).groupby(here["place of birth"])
    share, n = little.mean(), little.size()
    big = share[n > 150]
    expected = (1 - pd.Series(speech.shares(places["languages"])[:, 0], places.index)) * places["limited"] / 100
    assert np.corrcoef(big, expected[big.index])[0, 1] > 0.9
    assert share["India"] < 0.6 * share["Vietnam"] and share["Jamaica"] < 0.15 and share["Guatemala"] > 0.5


def test_the_fifteen_largest_countries_of_birth_are_within_15_percent_of_the_published_list(people, shared):
    table = pd.read_csv(shared / "figures" / "origin_foreign_born_by_country.csv")
    counted = table[table["kind"].str.startswith("country")].groupby("country")["share_of_foreign_born"].last()
    counted = counted.rename({"Korea": "South Korea"}).nlargest(15)
    born = foreign(people)["place of birth"]
    ratio = born.value_counts(normalize=True)[counted.index] / counted
    # And four standard errors of the draw: at 100,000 people, 200 to 3,500 are born in each country.
    assert (abs(ratio - 1) < 0.15 + 4 / np.sqrt(counted * len(born))).all(), ratio


def test_states_hold_as_many_natives_and_immigrants_as_the_bureau_counts(people, shared):
    known = pd.read_csv(shared / "figures" / "origin_state_population_nativity.csv").set_index("state")
    # By chance alone, 100,000 people in 51 states are 0.006 away, and 15,000 foreign born 0.016.
    for who, column in [(people, "total_population"), (foreign(people), "foreign_born")]:
        got = who["state"].value_counts(normalize=True)
        assert (got - known[column] / known[column].sum()).abs().sum() / 2 < 0.025, column
    us_born = people[people["citizenship"].eq(IN_STATES)]
    stayed = us_born["place of birth"].eq(us_born["state"])
    error = stayed.groupby(us_born["state"]).mean() - known["p_lives_in_birth_state_given_us_born_resident"]
    size = us_born["state"].value_counts().reindex(error.index)
    assert (error.abs() < 0.02 + 4 * np.sqrt(0.25 / size)).all()


def test_children_mostly_live_where_they_were_born_and_the_old_less(people):
    us_born = people[people["citizenship"].eq(IN_STATES)]
    stayed = us_born["place of birth"].eq(us_born["state"])
    by_age = stayed.groupby(np.searchsorted(origins.AGES, us_born["age"], side="right") - 1).mean()
    assert np.allclose(by_age, origins.AT_HOME, atol=0.03)


def test_groups_live_where_they_live(people):
    share = people.groupby(["race", "hispanic origin"], observed=True)["state"].value_counts(normalize=True)
    assert share["Native Hawaiian and Other Pacific Islander alone", NOT_HISPANIC]["Hawaii"] > 0.15
    assert share["Alaska Native alone", NOT_HISPANIC]["Alaska"] > 0.6
    mexican = people[people["hispanic origin"].eq("Mexican")]["state"]
    assert mexican.isin(["California", "Texas"]).mean() > 0.5
    assert people[people["hispanic origin"].eq("Cuban")]["state"].eq("Florida").mean() > 0.5


def test_whites_born_here_have_the_ancestries_of_the_gss(people, shared):
    table = pd.read_csv(shared / "figures" / "origin_gss_ancestry_by_race.csv")
    gss = table.query("survey == 'GSS 2024' and group == 'White non-Hispanic'").set_index("ethnic")["share"]
    names = {"germany": "German", "ireland": "Irish", "italy": "Italian", "poland": "Polish", "norway": "Norwegian"}
    whites = people[people["race"].eq("White alone") & people["hispanic origin"].eq(NOT_HISPANIC)]
    whites = whites[whites["citizenship"].eq(IN_STATES) & whites["ancestry"].ne("American")]["ancestry"]
    for answer, name in names.items():
        assert whites.eq(name).mean() == pytest.approx(gss[answer], abs=0.012), name


def test_asians_are_of_the_groups_that_the_bureau_counts(people, shared):
    table = pd.read_csv(shared / "figures" / "origin_acs2024_ancestry_race_hispanic.csv")
    counted = table[table["parent"] == "Asian alone"].set_index("group")["share_of_parent"].drop("Other Asian")
    asians = people[people["race"].eq("Asian alone") & people["hispanic origin"].eq(NOT_HISPANIC)]["ancestry"]
    got = asians.replace({"Taiwanese": "Chinese"}).value_counts(normalize=True)
    for name, share in counted.items():
        assert got[name] == pytest.approx(share, abs=0.035), name


def test_a_draw_is_repeatable_and_depends_on_ones_own_row_and_place_alone(census):
    some = census.iloc[:2_000]
    drawn = origins.draw(some, seed=9)
    pd.testing.assert_frame_equal(drawn, origins.draw(some, seed=9))
    pd.testing.assert_frame_equal(drawn.iloc[:300], origins.draw(some.iloc[:300], seed=9))
    assert not drawn.equals(origins.draw(some, seed=10))
    other = pd.concat([some.iloc[:1_000], census.iloc[5_000:6_000]])
    pd.testing.assert_frame_equal(drawn.iloc[:1_000], origins.draw(other, seed=9).iloc[:1_000])
    named = some.set_index("P" + some.index.astype(str))
    assert origins.draw(named, seed=9).index.equals(named.index)


def test_a_state_that_is_known_is_kept_and_a_missing_one_drawn(census):
    some = census.iloc[:1_000].assign(state=["Vermont"] * 999 + [None])
    drawn = origins.draw(some)
    assert drawn["state"].iloc[:999].eq("Vermont").all() and drawn["state"].iloc[999] in origins.states()
    born = drawn["place of birth"][some["citizenship"].eq(IN_STATES)]
    assert 0.4 < born.eq("Vermont").mean() < 0.7


def test_what_is_missing_or_unknown_is_named(census):
    with pytest.raises(UserError, match="lacks citizenship, household language"):
        origins.draw(census.drop(columns=["citizenship", "household language"]))
    with pytest.raises(UserError, match="'Atlantis'"):
        origins.draw(census.iloc[:5].assign(state="Atlantis"))
    with pytest.raises(UserError, match="race 'Martian'"):
        origins.draw(census.iloc[:5].assign(race="Martian"))
    with pytest.raises(UserError, match="household language 'Klingon'"):
        origins.draw(census.iloc[:5].assign(**{"household language": "Klingon"}))


def test_tables_name_only_groups_and_places_that_exist(places):
    births = pd.read_csv(origins.DATA / "birthplaces.csv")
    assert set(births["place"]) <= set(places.index) and list(births.columns[2:]) == list(origins.GROUPS)
    weights = births.groupby("way")[list(origins.GROUPS)].sum()
    assert (weights > 900).all(axis=None)
    assert set(BY_NAME["race"].labels) == set(RACES)


def test_few_hispanics_of_a_named_origin_are_born_in_another_country_of_latin_america():
    born = pd.read_csv(origins.DATA / "birthplaces.csv").query("way == 'foreign'").set_index("place")
    home = {"Peruvian": "Peru", "Colombian": "Colombia", "Cuban": "Cuba", "Honduran": "Honduras", "Chilean": "Chile"}
    away = [1 - born[origin].fillna(0)[country] / born[origin].sum() for origin, country in home.items()]
    assert max(away) < 0.025


def test_children_at_home_with_a_language_are_of_its_people_unless_few(people):
    asked = people[(people["age"] < 18) & people["citizenship"].eq(IN_STATES) & people["race"].eq("White alone")]
    asked = asked[asked["hispanic origin"].eq(NOT_HISPANIC) & asked["ability to speak english"].isna()]
    english = ["American", "English", "Irish", "Scotch-Irish", "Scottish", "Welsh", "German", "Norwegian", "Swedish"]
    other = asked[asked["household language"].isin(["Asian and Pacific Island languages", "Other language"])]
    assert len(other) > 60 and other["ancestry"].isin(english).mean() < 0.25
