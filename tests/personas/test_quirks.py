"""Quirks and mannerisms: enough of them, different enough, and none contradicts the person who has it."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from persona_lib import UserError, census
from persona_lib.personas import phrases, predicates
from persona_lib.personas import texts as written

UNIFORM = 0.42524251627205156  # of person 'abc', name 'x', seed 7: the same on every machine


@pytest.fixture(scope="module")
def people() -> pd.DataFrame:
    drawn = census.Population.load().sample(12_000, seed=5)
    rng = np.random.default_rng(5)
    traits = [f"Extraversion: {level}" for level in ("Extremely Low", "Low", "Average", "High", "Extremely High")]
    drawn["big five scores"] = rng.choice(traits, len(drawn))
    return drawn.rename(index="p{}".format).rename_axis("persona_id")


@pytest.fixture(scope="module")
def drawn(people) -> pd.DataFrame:
    return written.quirks(people, seed=1)


@pytest.mark.parametrize("name", written.QUIRKS.values())
def test_each_set_has_over_150_phrases_and_no_two_differ_by_a_word_only(name):
    texts = phrases.load(name)["phrase"]
    assert len(texts) >= 150 and texts.is_unique
    assert all(2 <= len(text.split()) <= 12 and text[0].islower() and ";" not in text for text in texts)
    words = [frozenset(text.lower().split()) for text in texts]
    near = [(a, b) for a, b in combinations(words, 2) if max(len(a - b), len(b - a)) <= 1]
    assert not near


def test_no_two_phrases_of_both_sets_share_most_of_their_words():
    texts = pd.concat([phrases.load(name)["phrase"] for name in written.QUIRKS.values()])
    vectors = TfidfVectorizer(stop_words="english").fit_transform(texts)
    likeness = np.triu((vectors @ vectors.T).toarray(), k=1)
    worst = np.unravel_index(likeness.argmax(), likeness.shape)
    assert likeness.max() < 0.7, texts.iloc[list(worst)].tolist()


def test_every_phrase_suits_somebody_and_is_drawn(drawn):
    for column, name in written.QUIRKS.items():
        found = set(drawn[column].dropna().str.split(phrases.JOIN).explode())
        lacking = set(phrases.load(name)["phrase"]) - found
        assert not lacking and found <= set(phrases.load(name)["phrase"])


def test_nobody_gets_a_phrase_that_does_not_suit_them(people, drawn):
    table = predicates.table(people)
    for column, name in written.QUIRKS.items():
        given = drawn[column].str.split(phrases.JOIN).explode().dropna()
        who = phrases.load(name).set_index("phrase")["who"]
        for predicate, those in given.groupby(given.map(who)):
            assert predicates.hold([predicate], table.loc[those.index.unique()]).all(), predicate
    taps = drawn.loc[people["hearing difficulty"] == "Yes", "mannerisms"]
    assert not taps.str.contains("hums|whistles|phone with the surname", na=False).any()
    shy = drawn.loc[people["big five scores"].str.endswith("Low"), "defining quirks"]
    assert not shy.str.contains("strikes up conversations", na=False).any()


# Words of phrases that need what some people lack.
TODDLERS = (
    r"favorite blanket|grown-up's sleeve|with a grown-up|sandbox|\bcape\b|superhero|imaginary friend|tea part|stuffed|"
    r"towers|nightlight|ducks|wooden spoon|one more story|dress-up|crayons|dolls|picture books|soap bubbles|swings"
)
HEARING = (
    r"radio|podcast|phone (?:call|date)|phones a |(?<!-)calls a |voicemail|landline|concert|choir|music|jazz|tune|"
    r"\b(?:(?<!rubber )bands?|songs?|sings?|hums?|whistles|whispers?|listens?|listening|"
    r"murmurs|aloud|voice|silence|sounds?|jingle|trivia)\b"
)
SEEING = (
    r"\breads\b|bookshelf|crossword|jigsaw|chess|maps\b|\bbirds\b|drives |driving|photographs|pictures|paints|"
    r"draws (?!shapes)|sketches|doodles|museum|matinee|movies|television|videos?\b(?!-)|magazines?|eye contact|squints"
)
ENGLISH = (
    r"(?:^| )'\w|crossword|misprint|trivia|talk radio|podcast|\bpun\b|local news|accents|icebox|paperwork|out forms"
)
READING = (
    r"\breads\b|crossword|bookshelf|library|magazine|novel|dictionary|misprint|diary|newspaper|(?:class|love) notes|"
    r"\b(?:letters?|writes|alphabetizes|handwritten|lists|petition|swaps books)\b"
)
LACKING = {
    "a toddler's ways, from 8 on": ("age >= 8 and age < 13", TODDLERS),
    "sounds, with difficulty hearing": ("hearing_difficulty == 'Yes'", HEARING),
    "sights, with difficulty seeing": ("vision_difficulty == 'Yes'", SEEING),
    "English, with little of it": ("little_english", ENGLISH),
    "letters, without schooling": ("unschooled and age >= 8", READING),
}


@pytest.fixture(scope="module")
def catalog() -> pd.DataFrame:
    """The phrases of all four attributes that tell how somebody lives."""
    names = [*written.QUIRKS.values(), "personal_time", "lifestyle"]
    return pd.concat([phrases.load(name).assign(name=name) for name in names], ignore_index=True)


@pytest.mark.parametrize(("those", "words"), LACKING.values(), ids=LACKING)
def test_no_phrase_needs_what_somebody_lacks(people, catalog, those, words):
    table = predicates.table(people)
    table = table[predicates.hold([those], table)[:, 0]]
    suits = predicates.hold(catalog["who"], table).any(axis=0)
    needs = catalog["phrase"].str.contains(words)
    assert len(table) > 100 and needs.any() and suits.any()
    assert catalog.loc[suits & needs, "phrase"].tolist() == []


def test_small_and_older_children_have_phrases_of_their_own_and_enough_of_them(catalog):
    ages = pd.DataFrame({"age": [4, 7, 8, 12]}, index=["4", "7", "8", "12"]).assign(**{"household type": "x"})
    suits = pd.DataFrame(predicates.hold(catalog["who"], predicates.table(ages)).T, catalog["name"], ages.index)
    assert (suits.groupby("name").sum() >= 20).all(axis=None)  # measured: 26 to 44
    both, either = suits["4"] & suits["12"], suits["4"] | suits["12"]
    assert (both.groupby("name").sum() / either.groupby("name").sum() < 0.4).all()  # measured: 0.10 to 0.21


def test_every_topic_of_personal_time_and_lifestyle_has_a_phrase_for_everybody(people):
    texts = written.fallback(people, seed=1)
    of_3 = people["age"] >= 3
    topics = texts[["personal time", "lifestyle"]].apply(lambda column: column.str.count(phrases.JOIN) + 1)
    assert (topics.loc[of_3, "personal time"] == 3).all()
    assert (topics.loc[of_3, "lifestyle"] == np.where(people.loc[of_3, "age"] >= 18, 4, 3)).all()


def test_everybody_from_3_has_one_to_three_phrases_of_different_topics_and_infants_none(people, drawn):
    infant = people["age"] < 3
    assert drawn[infant].isna().all(axis=None) and drawn[~infant].notna().all(axis=None)
    for column, name in written.QUIRKS.items():
        given = drawn.loc[people["age"] >= 18, column].str.split(phrases.JOIN)
        assert given.str.len().value_counts(normalize=True).round(2).reindex([1, 2, 3]).tolist() == pytest.approx(
            written.QUIRK_SHARES, abs=0.025
        )
        topic = phrases.load(name).set_index("phrase")["topic"]
        topics = given.explode().map(topic)
        assert not topics.groupby(level=0).agg(lambda values: values.duplicated().any()).any()


def test_phrases_that_suit_the_same_people_are_about_equally_frequent(people, drawn):
    counts = drawn["defining quirks"].str.split(phrases.JOIN).explode().value_counts()
    everyone = phrases.load("quirks").query("who == 'adult'")["phrase"]
    assert counts[everyone].max() / counts[everyone].min() < 1.8


def test_what_a_person_gets_depends_on_their_id_and_the_seed_alone(people, drawn):
    some = people.sample(50, random_state=2)
    pd.testing.assert_frame_equal(written.quirks(some, seed=1), drawn.loc[some.index])
    assert (written.quirks(some, seed=2) != drawn.loc[some.index]).mean(axis=None) > 0.9
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
