"""Religion, party, ideology and personality, given what the census and `origins` say of a person.

Religion, party and ideology are one joint draw from a log-linear model: its effects were raked once
(`benchmarks/surveys.py`) until people like the census have the two-way tables of the General Social Survey 2024 (GSS;
NORC). So margins and main cross-tables are right on average in a sample of any size, and nobody's draw depends on
the others. Religion goes with ancestry, in groups (HERITAGES), as it does in the GSS or Pew's surveys.
The GSS counts more conservatives and fewer Democrats among the young than other surveys of 2023 and 2024.
Personality is the Big Five: means and spread by sex and age of J. A. Johnson's IPIP-NEO-120 norms, correlations of
van der Linden et al. 2010 (meta-analysis, as observed). `data/README.md` has the sources. Used by `personas`.
"""

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from .. import UserError, seeds
from ..attributes import BY_NAME
from .origins import NATURALIZED, NO_CITIZEN, ORIGINS, RACES, pick

DATA = Path(__file__).parent / "data"
COLUMNS = ("big five scores", "religion", "political views", "ideology")
NEEDED = ("age", "sex", "race", "hispanic origin", "citizenship", "education", "ancestry")
ADULT, PERSONALITY = 18, 12  # youngest age for party and ideology, and for a personality

# GSS items RELIG, PARTYID and POLVIEWS; the religions worded so that they read well alone, the others as printed.
RELIGIONS = (
    "Protestant",
    "Christian, no denomination named",
    "Interdenominational or nondenominational Christian",
    "Catholic",
    "Jewish",
    "No religion",
    "Orthodox Christian",
    "Muslim",
    "Buddhist",
    "Hindu",
    "Other Eastern religion",
    "Native American religion",
    "Other religion",
)
PARTIES = (
    "Strong Democrat",
    "Not very strong Democrat",
    "Independent, close to Democrat",
    "Independent (neither, no response)",
    "Independent, close to Republican",
    "Not very strong Republican",
    "Strong Republican",
    "Other party",
)
IDEOLOGIES = (
    "Extremely liberal",
    "Liberal",
    "Slightly liberal",
    "Moderate, middle of the road",
    "Slightly conservative",
    "Conservative",
    "Extremely conservative",
)
FAITH = dict(
    zip(RELIGIONS, [*["Protestant"] * 3, "Catholic", "Jewish", "No religion", *["Other faith"] * 7], strict=True)
)
PARTY = dict(zip(PARTIES, [*["Democrat"] * 2, *["Independent"] * 3, *["Republican"] * 2, "Other"], strict=True))
LEANING = dict(zip(IDEOLOGIES, [*["Liberal"] * 3, "Moderate", *["Conservative"] * 3], strict=True))

AGES = {"18-24": 18, "25-34": 25, "35-44": 35, "45-54": 45, "55-64": 55, "65-74": 65, "75+": 75}
PARENTS = "35-44"  # a child has the religion of a home with parents of this age
# GSS DEGREE: who has some college but no degree has finished high school.
DEGREES = {
    "Less than high school": 0,
    "High school": BY_NAME["education"].labels.index("Regular high school diploma"),
    "Associate/junior college": BY_NAME["education"].labels.index("Associate's degree"),
    "Bachelor's": BY_NAME["education"].labels.index("Bachelor's degree"),
    "Graduate": BY_NAME["education"].labels.index("Master's degree"),
}
# Of people 35 to 44 years old (ACS 2024 PUMS).
PARENTS_DEGREES = (0.099, 0.391, 0.093, 0.238, 0.179)
RACES3 = dict(zip((RACES[0], RACES[1], RACES[5]), ("White", "Black", "Asian"), strict=True))
# Ancestries whose religions differ from those of others of their race.
HERITAGES = {
    "Indian": "Asian Indian",
    "Chinese": "Chinese, Taiwanese",
    "Filipino": "Filipino",
    "Japanese": "Japanese",
    "Korean": "Korean",
    "Vietnamese": "Vietnamese",
    "Buddhist": "Thai, Laotian, Cambodian, Burmese, Sri Lankan, Mongolian",
    "Muslim": "Afghan, Algerian, Bangladeshi, Egyptian, Indonesian, Iranian, Iraqi, Jordanian, Kazakh, Kuwaiti,"
    " Lebanese, Moroccan, Pakistani, Saudi, Senegalese, Somali, Sudanese, Syrian, Turkish, Uzbek, Yemeni",
    "Nepali": "Nepali",
    "British": "English, Scotch-Irish, Scottish, Welsh",
    "Irish": "Irish",
    "German or Swiss": "German, Swiss",
    "Nordic or Dutch": "Danish, Dutch, Finnish, Norwegian, Swedish",
    "French or Canadian": "Belgian, Canadian, French, French Canadian",
    "Italian or Portuguese": "Italian, Portuguese",
    "Polish": "Polish",
    "Central European": "Austrian, Croatian, Czech, Hungarian, Lithuanian, Slovak, Slovenian",
    "Russian": "Belarusian, Latvian, Russian",
    "Ukrainian": "Ukrainian",
    "Orthodox": "Armenian, Bulgarian, Georgian, Greek, Macedonian, Moldovan, Romanian, Serbian",
    "Israeli": "Israeli",
}

# The tables of `reference` and `pair_shares`: party is four groups of political views, leaning three of ideology.
DEMOGRAPHICS = ("race", "age", "sex", "education")
PAIRS = tuple((name, other) for name in COLUMNS[1:] for other in DEMOGRAPHICS)
PAIRS += (("religion", "party"), ("religion", "leaning"), ("political views", "ideology"))

TRAITS = ("Openness", "Conscientiousness", "Extraversion", "Agreeableness", "Neuroticism")
LEVELS = ("Extremely Low", "Low", "Average", "High", "Extremely High")
CUTS = (-1.5, -0.5, 0.5, 1.5)  # standard deviations from the mean of US adults: T scores of 35, 45, 55 and 65
# Van der Linden, te Nijenhuis and Bakker 2010, in the order of TRAITS.
CORRELATIONS = np.array(
    [
        [1, 0.14, 0.31, 0.14, -0.12],
        [0.14, 1, 0.21, 0.31, -0.32],
        [0.31, 0.21, 1, 0.18, -0.26],
        [0.14, 0.31, 0.18, 1, -0.26],
        [-0.12, -0.32, -0.26, -0.26, 1],
    ]
)


def draw(people: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """Draw religion, political views, ideology and Big Five for a table of persons, on its index.

    `people` has the columns NEEDED: census labels of `attributes`, and the ancestry of `origins.draw`. Columns:
    `big five scores` is one text, 'Openness: High, Conscientiousness: Average, ...' (missing under 12); religion is
    one of RELIGIONS, under 18 that of the home; `political views` is one of PARTIES and `ideology` of IDEOLOGIES
    (missing under 18). Row i depends on row i of `people`, i and the seed alone. Raises UserError for columns that
    are missing.
    """
    if missing := [name for name in NEEDED if name not in people]:
        raise UserError(f"The table of persons lacks {', '.join(missing)}: draw origins first (origins.draw).")
    uniform = seeds.rng("psychographics", seed).random((len(people), 2))
    table = cells(people, uniform[:, 1])
    _, first, of = np.unique(_numbered(table), return_index=True, return_inverse=True)
    outcome = pick(np.exp(log_odds(table.iloc[first])), of, uniform[:, 0])
    found = outcomes()[[*COLUMNS[1:]]].iloc[outcome].set_index(people.index)
    found[["political views", "ideology"]] = found[["political views", "ideology"]].where(people["age"].ge(ADULT))
    found.insert(0, COLUMNS[0], _worded(scores(people, seed)).where(people["age"].ge(PERSONALITY)))
    return found.astype("str")


def scores(people: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """The Big Five behind the labels: columns TRAITS, in standard deviations from the mean of US adults."""
    mean, spread = norms_of(people, _norms())
    alike = seeds.rng("psychographics", seed, 5).standard_normal((len(people), len(TRAITS)))
    values = mean + spread * (alike @ np.linalg.cholesky(CORRELATIONS).T)
    return pd.DataFrame(values, index=people.index, columns=list(TRAITS))


def norms_of(people: pd.DataFrame, norms: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Mean and spread (persons x TRAITS) at each person's sex and age, on straight lines between the norms' ages."""
    found = np.zeros((2, len(people), len(TRAITS)))
    for (sex, trait), part in norms.groupby(["sex", "trait"]):
        who = people["sex"].eq(sex).to_numpy()
        for values, column in zip(found, ("mean", "spread"), strict=True):
            values[who, TRAITS.index(trait)] = np.interp(people["age"][who], part["age"], part[column])
    return found[0], found[1]


def _worded(values: pd.DataFrame) -> pd.Series:
    levels = np.array(LEVELS, dtype=object)[np.searchsorted(CUTS, values.to_numpy(), side="right")]
    return pd.Series([", ".join(map(": ".join, zip(TRAITS, row, strict=True))) for row in levels], index=values.index)


def cells(people: pd.DataFrame, uniform: np.ndarray) -> pd.DataFrame:
    """What religion, party and ideology depend on, one row per person, in the words of the GSS.

    Columns: everyone, sex, age, education, race, nativity, heritage. A child counts as its parents, whose education
    is drawn with the number from [0, 1) in `uniform`.
    """
    child = people["age"].lt(ADULT).to_numpy()
    age = np.array([*AGES])[np.searchsorted([*AGES.values()], people["age"].clip(lower=ADULT), side="right") - 1]
    level = pd.Index(BY_NAME["education"].labels).get_indexer(people["education"].astype(object)).clip(0)
    parents = np.searchsorted(np.cumsum(PARENTS_DEGREES), uniform, side="right").clip(max=len(DEGREES) - 1)
    degree = np.where(child, parents, np.searchsorted([*DEGREES.values()], level, side="right") - 1)
    race = people["race"].astype(object).map(RACES3).fillna("Other") + " non-Hispanic"
    heritage = {name: kind for kind, names in HERITAGES.items() for name in names.split(", ")}
    return pd.DataFrame(
        {
            "everyone": "all",
            "sex": people["sex"].astype(object).to_numpy(),
            "age": np.where(child, PARENTS, age),
            "education": np.array([*DEGREES])[degree],
            "race": np.where(people["hispanic origin"].eq(ORIGINS[0]), race, "Hispanic"),
            "nativity": np.where(people["citizenship"].isin([NATURALIZED, NO_CITIZEN]), "Foreign-born", "US-born"),
            "heritage": people["ancestry"].str.split(" and ").str[0].map(heritage).fillna("Other").to_numpy(),
        },
    )


def outcomes() -> pd.DataFrame:
    """All combinations of religion, political views and ideology, with the coarser faith, party and leaning."""
    index = pd.MultiIndex.from_product([RELIGIONS, PARTIES, IDEOLOGIES], names=COLUMNS[1:])
    return coarser(index.to_frame(index=False))


def log_odds(table: pd.DataFrame) -> np.ndarray:
    """Log-odds (up to a constant) of each of `outcomes` for each row of `cells`: the sum of the committed effects."""
    options, total = outcomes(), np.zeros((len(table), len(outcomes())))
    for attribute, tables in _effects().items():
        labels, of = np.unique(crossed(options, attribute), return_inverse=True)
        found = np.zeros((len(table), len(labels)))
        for other, effects in tables.items():
            found += effects.reindex(index=crossed(table, other), columns=labels).to_numpy()
        total += found[:, of]
    return total


def crossed(table: pd.DataFrame, name: str) -> pd.Series:
    """A column, or the values of two that are named 'a and b', joined."""
    first, *second = name.split(" and ")
    return table[first] + " and " + table[second[0]] if second else table[first]


def _numbered(table: pd.DataFrame) -> np.ndarray:
    """One number for each different row."""
    codes = [pd.factorize(table[name], sort=True) for name in table]
    return np.ravel_multi_index([code for code, _ in codes], [len(labels) for _, labels in codes])


@cache
def _effects() -> dict[str, dict[str, pd.DataFrame]]:
    """By attribute, then by what it depends on: effects, with a row for each value of the latter."""
    found: dict[str, dict[str, pd.DataFrame]] = {}
    for (attribute, other), part in pd.read_csv(DATA / "survey_effects.csv").groupby(["attribute", "other"]):
        found.setdefault(attribute, {})[other] = part.pivot(index="other value", columns="value", values="effect")
    return found


@cache
def _norms() -> pd.DataFrame:
    return pd.read_csv(DATA / "big_five.csv")


def reference() -> pd.DataFrame:
    """Two-way tables of GSS 2024: columns attribute, other, value, other value, share; the pairs are PAIRS.

    Shares of all adults, 1 in sum for each pair; the form of `distances.pair_shares`. Within each sex, age, race and
    education they are the GSS's; how many people there are of each is the census's.
    """
    return pd.read_csv(DATA / "survey_shares.csv")


def pair_shares(people: pd.DataFrame) -> pd.DataFrame:
    """The same tables of the adults among `people` (the columns NEEDED and those of `draw`)."""
    adults = people[people["age"].ge(ADULT)]
    table = pd.concat([cells(adults, np.zeros(len(adults))), coarser(adults).reset_index(drop=True)], axis=1)
    frames = []
    for attribute, other in PAIRS:
        part = table.value_counts([attribute, other], normalize=True).rename("share").reset_index()
        part.columns = ["value", "other value", "share"]
        frames.append(part.assign(attribute=attribute, other=other))
    return pd.concat(frames, ignore_index=True)[["attribute", "other", "value", "other value", "share"]]


def coarser(table: pd.DataFrame) -> pd.DataFrame:
    """Religion, political views and ideology with the coarser faith, party and leaning."""
    columns = {"faith": ("religion", FAITH), "party": ("political views", PARTY), "leaning": ("ideology", LEANING)}
    return table[[*COLUMNS[1:]]].assign(**{name: table[of].map(kinds) for name, (of, kinds) in columns.items()})
