"""Quirks, mannerisms, pastimes, ways of life: enough of them, different enough, and none contradicts who has it."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import TfidfVectorizer

from persona_lib import UserError, census
from persona_lib.personas import origins, phrases, predicates, psychographics
from persona_lib.personas import texts as written

LIVED = {"personal time": "personal_time", "lifestyle": "lifestyle"}
SETS = written.QUIRKS | LIVED
UNIFORM = 0.42524251627205156  # of person 'abc', name 'x', seed 7: the same on every machine


@pytest.fixture(scope="module")
def people() -> pd.DataFrame:
    """People with their surveys, 20,000 adults among them."""
    drawn = census.Population.load().sample(25_800, seed=5).rename(index="p{}".format).rename_axis("persona_id")
    for draw in (origins.draw, psychographics.draw):
        drawn = drawn.assign(**draw(drawn, 5))
    return drawn


@pytest.fixture(scope="module")
def table(people) -> pd.DataFrame:
    return predicates.table(people)


@pytest.fixture(scope="module")
def drawn(people) -> pd.DataFrame:
    return written.quirks(people, seed=1).join(written.fallback(people, seed=1)[[*LIVED]])


@pytest.fixture(scope="module")
def given(drawn) -> pd.DataFrame:
    """One row per person and phrase: index `persona_id`; `name` of the set, `phrase`, `topic`, `who`."""
    parts = []
    for column, name in SETS.items():
        told = drawn[column].dropna().str.split(phrases.JOIN).explode().rename("phrase")
        known = phrases.load(name).set_index("phrase")
        parts.append(told.to_frame().join(known, on="phrase").assign(name=name))
    return pd.concat(parts)


@pytest.fixture(scope="module")
def catalog() -> pd.DataFrame:
    """The phrases of all four attributes that tell how somebody lives."""
    return pd.concat([phrases.load(name).assign(name=name) for name in SETS.values()], ignore_index=True)


def test_there_are_over_600_quirks_and_mannerisms_and_800_pastimes(catalog):
    count = catalog.groupby("name").size()
    assert count["quirks"] + count["mannerisms"] >= 1_100
    assert count["personal_time"] >= 1_100 and count["lifestyle"] >= 850


def test_no_two_phrases_are_nearly_the_same(catalog):
    texts = catalog["phrase"]
    assert texts.is_unique
    assert all(2 <= len(text.split()) <= 12 and text[0].islower() and ";" not in text for text in texts)
    for _, those in texts.groupby(catalog["name"]):
        words = [frozenset(text.lower().split()) for text in those]
        assert not [(a, b) for a, b in combinations(words, 2) if len(a ^ b) <= 2 and abs(len(a) - len(b)) <= 1]
    vectors = TfidfVectorizer(stop_words="english").fit_transform(texts)
    likeness = (vectors @ vectors.T).tocoo()
    near = (likeness.row < likeness.col) & (likeness.data >= 0.8)
    assert not near.any(), [(texts[i], texts[j]) for i, j in zip(likeness.row[near], likeness.col[near], strict=True)]


def test_every_phrase_suits_somebody_and_is_drawn_and_all_that_is_drawn_is_known(given, catalog, table):
    assert given["who"].notna().all()
    who = catalog["who"].unique()
    nobody = set(who[~predicates.hold(who, table).any(axis=0)])
    assert all("institution" in text or text == "teen and alone" for text in nobody), nobody  # of children, very rare
    assert catalog["phrase"].isin(given["phrase"]).mean() > 0.99  # a few are for one in some thousand people


def test_nobody_gets_a_phrase_that_does_not_suit_them(given, table, drawn):
    for who, those in given.groupby("who"):
        assert predicates.hold([who], table.loc[those.index.unique()]).all(), who
    hums = drawn.loc[table["hearing_difficulty"] == "Yes", "mannerisms"]
    assert not hums.str.contains("hums|whistles|phone with the last name", na=False).any()
    shy = drawn.loc[table["introvert"], "defining quirks"]
    assert len(shy) > 1_000 and not shy.str.contains("strikes up conversations", na=False).any()


def test_no_phrase_is_had_by_over_1_percent_of_adults_and_two_adults_rarely_share_one(people, given):
    adults = people.index[people["age"] >= 18]
    assert len(adults) >= 20_000
    those = given[given.index.isin(adults)]
    codes, names = pd.factorize(those["phrase"])
    has = csr_matrix((np.ones(len(codes)), (adults.get_indexer(those.index), codes)), (len(adults), len(names)))
    assert has.mean(axis=0).max() <= 0.01  # measured: 0.009
    first, second = np.random.default_rng(0).integers(len(adults), size=(2, 100_000))
    share = has[first].multiply(has[second]).sum(axis=1)[first != second] > 0
    assert share.mean() <= 0.05  # measured: 0.042


# Words of phrases that need what some people lack.
TODDLERS = (
    r"favorite blanket|grown-up's sleeve|with a grown-up|sandbox|\bcape\b|superhero|imaginary friend|tea part|stuffed|"
    r"towers|nightlight|ducks|wooden spoon|one more story|dress-up|crayons|dolls|picture books|soap bubbles|swings"
)
HEARING = (
    r"radio|podcast|audiobook|phone (?:call|date)|\bphones an? |talks on the phone|\bcalls (?:a|to|the insurance)\b|"
    r"landline|voicemail|voice (?:note|message|assistant)|headphones|earbud|concert|choir|\bmusic\b|jazz|tune\b|vinyl|"
    r"album|playlist|karaoke|open mic|harmonica|guitar|ukulele|\bbeats\b|ringtone|sermon|trivia teams?|"
    r"\b(?:(?<!rubber )(?<!resistance )bands?(?! on)|songs?|sings?|hums?|whistles|whispers?|listens?|listening|hears|"
    r"murmurs|aloud|out loud|voices?|silence|sounds?|jingle|announcers|lullabies)\b"
)
SEEING = (
    r"\breads\b|bookshelf|crossword|jigsaw|chess|sudoku|maps\b|\bbirds\b|drives |driving|photo|pictures|paints|"
    r"draws (?!shapes|a deep)|sketches|doodles|museum|matinee|movies?\b|television|videos?\b|magazines?|eye contact|"
    r"squints|\bwatches (?!the neighbors' pets|little ones|their)|streams|binges|scroll|screen(?!s? (?:time|for))|"
    r"comics|coloring|selfie|mirror|telescope|binoculars|embroider|stares|glances"
)
ENGLISH = (
    r"(?:^| )'(?!inshallah|mazel)\w|crossword|misprint|trivia|talk radio|podcast|audiobook|\bpun\b|local news|accents|"
    r"paperwork|out forms|comedy clubs|word (?:game|puzzle|tile)s?|newsletter|terms and conditions|movie quotes|lyrics|"
    r"jingle\b|signs every text"
)
READING = (
    r"\breads\b|crossword|bookshelf|library|magazine|\bnovels?\b|dictionary|misprint|diary|newspaper|"
    r"(?:class|love) notes|\btexts\b|\bemails?\b|Facebook|Reddit|Instagram|chatbot|group chat|"
    r"\bposts\b|online (?:groups|courses)|journal|spreadsheet|headlines|(?<!voice )messages|"
    r"\b(?:letters?|writes|alphabetizes|handwritten|lists|petition|swaps books|types|labels|subtitles)\b"
)
FAITHS = {  # words, and the religions whose people they are for
    r"church(?!ill)|\bBible|Sunday school|psalm|Christmas program|\bLent\b|'God bless'|gospel": "Prot|Chris|Cath",
    r"\bMass\b|parish|rosary|novena|First Communion|sign of the cross": "Catholic|Orthodox",
    r"synagogue|Shabbat|seder|challah|\brabbi\b|mezuzah|kosher|Jewish|mazel tov": "Jewish",
    "mosque|Quran|Ramadan|Eid|iftar|halal|bismillah|inshallah|Friday prayers|suras": "Muslim",
    "puja|Diwali|bhajans|Gita|small shrine|palms pressed": "Hindu",
    "to the monks|chants before|sitting group": "Buddhist",
}
LACKING = {
    "a toddler's ways, from 8 on": ("age >= 8 and age < 13", TODDLERS),
    "sounds, with difficulty hearing": ("hearing_difficulty == 'Yes'", HEARING),
    "sights, with difficulty seeing": ("vision_difficulty == 'Yes'", SEEING),
    "English, with little of it": ("little_english", ENGLISH),
    "letters, without schooling": ("unschooled and age >= 8", READING),
}


@pytest.mark.parametrize(("those", "words"), LACKING.values(), ids=LACKING)
def test_no_phrase_needs_what_somebody_lacks(table, catalog, those, words):
    people = table[predicates.hold([those], table)[:, 0]]
    needs = catalog[catalog["phrase"].str.contains(words)]
    assert len(people) > 100 and len(needs) > 5
    suits = predicates.hold(needs["who"], people).any(axis=0)
    assert needs.loc[suits, "phrase"].tolist() == []


@pytest.mark.parametrize(("words", "religions"), FAITHS.items(), ids=FAITHS.values())
def test_a_religions_words_are_for_its_people_and_nobody_else(table, catalog, words, religions):
    others = table[table["religion"].notna() & ~table["religion"].str.contains(religions)]
    needs = catalog[catalog["phrase"].str.contains(words)]
    suits = predicates.hold(needs["who"], others).any(axis=0)
    assert len(needs) >= 3 and needs.loc[suits, "phrase"].tolist() == []


@pytest.mark.parametrize(
    ("religion", "words"),
    [
        (
            "Muslim",
            r"\bbeer|breweries|cocktail|(?<!granola )\bbars?\b(?! of)|\bwine\b|casino|scratch-off|"
            r"\bslots?\b(?! of)|lottery|poker",
        ),
        ("Hindu", "brisket|barbecue|Christmas|Easter|chocolate bunny|holiday lights"),
        ("Jewish", "Christmas|Easter|chocolate bunny|holiday lights|wreaths"),
    ],
)
def test_nobody_gets_what_their_religion_abstains_from(table, catalog, religion, words):
    needs = catalog[catalog["phrase"].str.contains(words)]
    suits = predicates.hold(needs["who"], table[table["religion"] == religion]).any(axis=0)
    assert len(needs) >= 5 and needs.loc[suits, "phrase"].tolist() == []


def test_each_age_of_childhood_has_phrases_of_its_own_and_enough_of_them(catalog):
    ages = [0, 1, 2, 3, 4, 7, 8, 12]
    children = pd.DataFrame({"age": ages, "household type": "x"}, index=[str(age) for age in ages])
    suits = pd.DataFrame(predicates.hold(catalog["who"], predicates.table(children)).T, catalog["name"], children.index)
    count = suits.groupby("name").sum()
    assert (count[["2", "3"]] >= 15).all(axis=None) and (count[["4", "7", "8", "12"]] >= 20).all(axis=None)
    assert (count.loc[[*LIVED.values()], ["0", "1"]] >= 15).all(axis=None)
    assert not (suits["1"] & suits["2"]).any() and (suits["0"] == suits["1"]).all()  # at 2 one is no infant
    both, either = suits["4"] & suits["12"], suits["4"] | suits["12"]
    assert (both.groupby("name").sum() / either.groupby("name").sum() < 0.4).all()


def test_everybody_has_three_pastimes_and_a_home_with_two_more_ways_of_life(given, people):
    told = given[given["name"].isin(LIVED.values())]
    count = told.groupby([told.index, "name"])["topic"].agg(["size", "nunique"])
    assert (count["size"] == 3).all() and (count["nunique"] == 3).all() and len(count) == 2 * len(people)
    assert given.loc[given["topic"] == "home"].index.is_unique and (given["topic"] == "home").sum() == len(people)


# Topics: shares of adults who have one, with the published figure that is nearest (sources: data/topics.yaml).
SHARES = {
    ("watching",): (0.40, 0.50),  # TV has half of the hours of leisure
    ("games",): (0.22, 0.32),  # 60% play an hour a week or more
    ("online",): (0.20, 0.30),  # half to three quarters use Facebook or Instagram
    ("exercise",): (0.16, 0.26),  # 19% on an average day
    ("reading",): (0.10, 0.18),  # 16% on an average day
    ("helping out",): (0.07, 0.14),  # 28% in a year
    ("care",): (0.20, 0.28),  # 24% in a year
    ("worship", "faith"): (0.30, 0.36),  # 33% attend services once a month or more
}


@pytest.mark.parametrize("topics", SHARES, ids=" ".join)
def test_topics_come_up_about_as_often_as_people_do_such_things(people, given, topics):
    adults = people.index[people["age"] >= 18]
    low, high = SHARES[topics]
    assert low <= adults.isin(given.index[given["topic"].isin(topics)]).mean() <= high


def test_worship_is_for_those_with_a_religion_and_about_as_frequent_in_each(people, given):
    adults = people[people["age"] >= 18]
    faith = pd.Series(adults.index.isin(given.index[given["topic"].isin(["worship", "faith"])]), adults.index)
    by = faith.groupby(adults["religion"]).mean()
    assert by["No religion"] == 0
    assert by[["Protestant", "Catholic", "Jewish", "Muslim", "Hindu", "Buddhist"]].between(0.3, 0.6).all(), by


def test_workers_travel_as_the_census_says(people, given, table):
    place = given[(given["topic"] == "place") & given.index.isin(table.index[table["at_work"]])]["phrase"]
    alone = place.str.contains(r"\bdrives .*to |\bcommutes by highway|drive to|traffic|roads to work|find parking")
    home = place.str.contains("works from home|works remotely|spare room|kitchen table|not commuted")
    transit, shared = place.str.contains("a bus or a train to work"), place.str.contains("carpools|splits the gas")
    ways = alone.sum() + home.sum() + transit.sum() + shared.sum()
    assert alone.sum() / ways > 0.6 and 0.08 < home.sum() / ways < 0.25  # 69% and 13%
    assert 0.01 < transit.sum() / ways < 0.08 and 0.04 < shared.sum() / ways < 0.15  # 4% and 9%


CITY = r"in the city|\bcity (?:block|condo|apartment|neighborhood)|downtown|high-rise|row house|walk-up"
COUNTRY = r"gravel road|\bacres\b|farmhouse|outside town|county road|small (?:town|college town)|farm town|mobile home"


def test_city_and_country_are_of_one_topic_and_in_proportion(given, catalog):
    spots = catalog[catalog["phrase"].str.contains(f"lives? .*(?:{CITY}|{COUNTRY})")]
    assert len(spots) > 15 and (spots["topic"] == "place").all(), spots
    place = given.loc[given["topic"] == "place", "phrase"]
    assert 1 < place.str.contains(CITY).sum() / place.str.contains(COUNTRY).sum() < 2.5


def test_people_in_group_quarters_have_no_home_of_their_own(table, catalog):
    away = table[table["institution"] & table["adult"]]
    words = r"lives alone|spouse|\brents?\b|drives|backyard|lawn\b|\bgrills?\b|farmers' market|housemates|front steps"
    needs = catalog[catalog["phrase"].str.contains(words)]
    suits = predicates.hold(needs["who"], away).any(axis=0)
    assert len(away) > 400 and len(needs) > 50 and needs.loc[suits, "phrase"].tolist() == []


def test_everybody_from_2_has_one_to_three_phrases_of_different_topics_and_infants_none(people, given):
    infants = people.index[people["age"] < 2]
    for name in written.QUIRKS.values():
        those = given[given["name"] == name]
        assert set(those.index) == set(people.index) - set(infants)
        count = those.groupby(level=0)["topic"].agg(["size", "nunique"])
        assert (count["size"] == count["nunique"]).all()
        shares = count.loc[count.index.isin(people.index[people["age"] >= 18]), "size"].value_counts(normalize=True)
        assert shares[[1, 2, 3]].tolist() == pytest.approx(written.QUIRK_SHARES, abs=0.025)


def test_phrases_that_suit_the_same_people_are_about_equally_frequent(drawn):
    counts = drawn["defining quirks"].str.split(phrases.JOIN).explode().value_counts()
    everyone = phrases.load("quirks").query("who == 'adult'")["phrase"]
    # Some 100 counts of about 100: their variance is the mean if all are equally likely.
    assert counts[everyone].var() / counts[everyone].mean() < 1.6


def test_what_a_person_gets_depends_on_their_id_and_the_seed_alone(people, drawn):
    some = people[people["age"] >= 2].sample(50, random_state=2)
    before = drawn.loc[some.index, [*written.QUIRKS]]
    pd.testing.assert_frame_equal(written.quirks(some, seed=1), before)
    assert (written.quirks(some, seed=2) != before).mean(axis=None) > 0.9
    known = some.head(1).rename(index=lambda _: "abc").assign(age=40)
    assert phrases.uniforms(known.index, ["x"], 7)[0, 0] == pytest.approx(UNIFORM, abs=1e-15)


@pytest.mark.parametrize("bad", [-1, 1.5, "x", 10**16, None])
def test_an_invalid_seed_and_people_without_age_are_refused(people, bad):
    with pytest.raises(UserError, match="seed must be a whole number"):
        written.quirks(people.head(2), seed=bad)
    with pytest.raises(UserError, match="the people have no age"):
        written.quirks(people.head(2).drop(columns="age"), seed=0)
    with pytest.raises(UserError, match="has duplicates"):
        written.quirks(people.iloc[[0, 0]], seed=0)
    assert len(written.quirks(people.head(0), seed=0)) == 0


STRENUOUS = (
    "helps friends move|charity crew|youth team|plants trees|rakes leaves|little leagues|softball|side gig|relay race"
    "|roller-skat|skips rope|stadium steps|splits wood|stone paths|rebuilds engines|hopes to move out|ping-pong"
    "|plays drums"
)


def test_the_very_old_neither_care_for_older_relatives_nor_carry_sofas(catalog):
    old = pd.DataFrame({"age": [80, 93], "disability": ["Without a disability", "With a disability"]})
    homes = ["Married couple household", "Other family household: Male householder, no spouse present"]
    families = ["No related children", "With related children 5 to 17 years only"]
    cases = old.merge(pd.DataFrame({"household type": homes}), "cross")
    cases = cases.merge(pd.DataFrame({"marital status": ["Married", "Widowed"]}), "cross")
    cases = cases.merge(pd.DataFrame({"family presence and age": families}), "cross").assign(income=30_000)
    suits = predicates.hold(catalog["who"], predicates.table(cases)).any(axis=0)
    told = catalog.loc[suits, "phrase"]
    assert suits.sum() > 500
    wrong = told[told.str.contains(rf"{STRENUOUS}|\b(?:older|aging) (?:relative|aunt|neighbor)|a parent\b")]
    assert wrong.empty, wrong.tolist()


def test_who_lives_with_a_language_that_nothing_of_theirs_explains_has_a_reason(table, given):
    those = table.index[table["tongue_by_marriage"]]
    assert 200 < len(those) < 0.05 * len(table)
    told = given.index[given["topic"] == "tongue"]
    assert those.isin(told).mean() > 0.95 and told.isin(those).all()
