"""Religion, party, ideology and personality, given the census attributes and the ancestry of `origins`.

Religion, party and ideology are drawn jointly from a log-linear model. Its effects were raked once
(`benchmarks/surveys.py`) until a population like the census has the two-way tables of the General Social Survey 2024
(GSS; NORC). Margins and main cross-tables are therefore right on average in a sample of any size, and no draw depends
on other people. Religion depends on ancestry, in groups (HERITAGES), as in the GSS and in Pew's surveys. The GSS counts
more conservatives and fewer Democrats among the young than other surveys of 2023 and 2024.

Personality comes from `personality`. `data/README.md` has the sources.
"""

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from .. import UserError, seeds
from ..attributes import BY_NAME
from . import personality
from .origins import NATURALIZED, NO_CITIZEN, ORIGINS, RACES, pick

DATA = Path(__file__).parent / "data"
COLUMNS = ("big five scores", "religion", "political views", "ideology")
NEEDED = ("age", "sex", "race", "hispanic origin", "citizenship", "education", "ancestry")
ADULT = 18  # the youngest age with a party and an ideology

# GSS items RELIG, PARTYID and POLVIEWS. The religions are reworded to be clear on their own; the others are as printed.
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

# Age bands of the GSS tables, by their youngest age.
AGES = {"18-24": 18, "25-34": 25, "35-44": 35, "45-54": 45, "55-64": 55, "65-74": 65, "75+": 75}
PARENTS = "35-44"  # a child has the religion of a home with parents of this age
# GSS DEGREE, each with the place of its lowest label of education. Some college without a degree is high school.
DEGREES = {
    "Less than high school": 0,
    "High school": BY_NAME["education"].labels.index("Regular high school diploma"),
    "Associate/junior college": BY_NAME["education"].labels.index("Associate's degree"),
    "Bachelor's": BY_NAME["education"].labels.index("Bachelor's degree"),
    "Graduate": BY_NAME["education"].labels.index("Master's degree"),
}
# Shares of DEGREES among people aged 35 to 44 (ACS 2024 PUMS).
PARENTS_DEGREES = (0.099, 0.391, 0.093, 0.238, 0.179)
RACES3 = dict(zip((RACES[0], RACES[1], RACES[5]), ("White", "Black", "Asian"), strict=True))
# Groups of ancestries whose religions differ from those of other people of their race.
HERITAGES = {
    "Indian": "Asian Indian",
    "Chinese": "Chinese, Taiwanese",
    "Filipino": "Filipino",
    "Japanese": "Japanese",
    "Korean": "Korean",
    "Vietnamese": "Vietnamese",
    "Buddhist": "Thai, Laotian, Cambodian, Burmese, Sri Lankan, Mongolian",
    "Muslim": "Afghan, Algerian, Bangladeshi, Kuwaiti, Moroccan, Pakistani, Saudi, Senegalese, Somali, Sudanese,"
    " Yemeni",
    "Muslim or secular": "Albanian, Bosnian, Kazakh, Turkish, Uzbek",
    "Arab": "Iraqi, Jordanian, Lebanese, Palestinian, Syrian",
    "Egyptian": "Egyptian",
    "Iranian": "Iranian",
    "Ethiopian": "Eritrean, Ethiopian",
    "African": "African, Cameroonian, Congolese, Ghanaian, Kenyan, Liberian, Nigerian, Sierra Leonean, Tanzanian,"
    " Ugandan, Zimbabwean",
    "Haitian or Brazilian": "Brazilian, Cape Verdean, Haitian",
    "Guyanese or Trinidadian": "Guyanese, Trinidadian",
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
    "Armenian": "Armenian",
    "Orthodox": "Bulgarian, Georgian, Greek, Macedonian, Moldovan, Romanian, Serbian",
    "Israeli": "Israeli",
}

# The two-way tables of `reference` and `pair_shares`. `party` has four groups of political views, `leaning` three of
# ideology.
DEMOGRAPHICS = ("race", "age", "sex", "education")
PAIRS = tuple((name, other) for name in COLUMNS[1:] for other in DEMOGRAPHICS)
PAIRS += (("religion", "party"), ("religion", "leaning"), ("political views", "ideology"))


def draw(people: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """Draw religion, political views, ideology and Big Five for a table of persons.

    Row i of the result depends only on row i of `people`, i and the seed.

    Args:
        people: the columns NEEDED: census labels of `attributes`, and the ancestry of `origins.draw`.
        seed: of the draw.

    Returns:
        The index of `people`; columns `big five scores` (one text, 'Openness: High, Conscientiousness: Average, ...';
        missing under 12), `religion` (one of RELIGIONS; under 18, that of the home), `political views` (one of PARTIES;
        missing under 18) and `ideology` (one of IDEOLOGIES; missing under 18).

    Raises:
        UserError: a column is missing.
    """
    if missing := [name for name in NEEDED if name not in people]:
        raise UserError(f"The table of persons lacks {', '.join(missing)}: draw origins first (origins.draw).")
    uniform = seeds.rng("psychographics", seed).random((len(people), 2))
    table = cells(people, uniform[:, 1])
    # People in the same cell share their odds: these are computed once per distinct cell.
    _, first, cell = np.unique(_numbered(table), return_index=True, return_inverse=True)
    odds = np.exp(log_odds(table.iloc[first]))  # distinct cells x outcomes
    drawn = outcomes().iloc[pick(odds, cell, uniform[:, 0])].set_index(people.index)
    adult = people["age"].ge(ADULT)
    columns = {
        "big five scores": personality.draw(people, seed),
        "religion": drawn["religion"],
        "political views": drawn["political views"].where(adult),
        "ideology": drawn["ideology"].where(adult),
    }
    return pd.DataFrame(columns).astype("str")


def cells(people: pd.DataFrame, uniform: np.ndarray) -> pd.DataFrame:
    """Return what religion, party and ideology depend on, in the words of the GSS.

    Args:
        people: the columns NEEDED. A child counts as its parents.
        uniform: for each person, a number from [0, 1) with which the parents' education is drawn.

    Returns:
        One row per person, numbered from 0: columns `everyone`, `sex`, `age`, `education`, `race`, `nativity`,
        `heritage`.
    """
    child = people["age"].lt(ADULT).to_numpy()
    heritage = {ancestry: group for group, names in HERITAGES.items() for ancestry in names.split(", ")}
    first_ancestry = people["ancestry"].str.split(" and ").str[0]
    foreign = people["citizenship"].isin([NATURALIZED, NO_CITIZEN])
    race = people["race"].astype(object).map(RACES3).fillna("Other") + " non-Hispanic"
    return pd.DataFrame(
        {
            "everyone": "all",
            "sex": people["sex"].astype(object).to_numpy(),
            "age": np.where(child, PARENTS, _ages(people["age"])),
            "education": _degrees(people["education"], child, uniform),
            "race": np.where(people["hispanic origin"].eq(ORIGINS[0]), race, "Hispanic"),
            "nativity": np.where(foreign, "Foreign-born", "US-born"),
            "heritage": first_ancestry.map(heritage).fillna("Other").to_numpy(),
        },
    )


def _ages(age: pd.Series) -> np.ndarray:
    """Return the band of AGES of each person; the youngest band for children."""
    places = np.searchsorted(list(AGES.values()), age.clip(lower=ADULT), side="right") - 1
    return np.array(list(AGES))[places]


def _degrees(education: pd.Series, child: np.ndarray, uniform: np.ndarray) -> np.ndarray:
    """Return each person's degree in the words of the GSS; for a child, a drawn degree of the parents."""
    level = pd.Index(BY_NAME["education"].labels).get_indexer(education.astype(object)).clip(0)
    own = np.searchsorted(list(DEGREES.values()), level, side="right") - 1
    parents = np.searchsorted(np.cumsum(PARENTS_DEGREES), uniform, side="right").clip(max=len(DEGREES) - 1)
    return np.array(list(DEGREES))[np.where(child, parents, own)]


def outcomes() -> pd.DataFrame:
    """Return all combinations of religion, political views and ideology, with the columns that `coarser` adds."""
    index = pd.MultiIndex.from_product([RELIGIONS, PARTIES, IDEOLOGIES], names=COLUMNS[1:])
    return coarser(index.to_frame(index=False))


def log_odds(table: pd.DataFrame) -> np.ndarray:
    """Return the log-odds of each outcome for each row of `cells`: the sum of the committed effects.

    Rows of `table` x rows of `outcomes`; each row is determined up to a constant.
    """
    options = outcomes()
    total = np.zeros((len(table), len(options)))
    for attribute, tables in _effects().items():
        labels, place = np.unique(crossed(options, attribute), return_inverse=True)
        effect = np.zeros((len(table), len(labels)))  # rows x values of the attribute
        for other, effects in tables.items():
            effect += effects.reindex(index=crossed(table, other), columns=labels).to_numpy()
        total += effect[:, place]
    return total


def crossed(table: pd.DataFrame, name: str) -> pd.Series:
    """Return a column; for a name 'a and b', return the values of both columns, joined by ' and '."""
    first, *second = name.split(" and ")
    return table[first] + " and " + table[second[0]] if second else table[first]


def _numbered(table: pd.DataFrame) -> np.ndarray:
    """Return one number per row, the same for equal rows only."""
    codes = []
    sizes = []
    for name in table:
        code, labels = pd.factorize(table[name], sort=True)
        codes.append(code)
        sizes.append(len(labels))
    return np.ravel_multi_index(codes, sizes)


@cache
def _effects() -> dict[str, dict[str, pd.DataFrame]]:
    """Return the effects by attribute and by what it depends on: values of the latter x values of the attribute."""
    found: dict[str, dict[str, pd.DataFrame]] = {}
    for (attribute, other), part in pd.read_csv(DATA / "survey_effects.csv").groupby(["attribute", "other"]):
        found.setdefault(attribute, {})[other] = part.pivot(index="other value", columns="value", values="effect")
    return found


def reference() -> pd.DataFrame:
    """Return the two-way tables of GSS 2024, for the pairs PAIRS, in the form of `distances.pair_shares`.

    Columns: `attribute`, `other`, `value`, `other value`, `share` (of all adults; the shares of a pair sum to 1).
    Shares within a sex, age, race or education are the GSS's; the sizes of these groups are the census's.
    """
    return pd.read_csv(DATA / "survey_shares.csv")


def pair_shares(people: pd.DataFrame) -> pd.DataFrame:
    """Return the tables of `reference` for the adults among `people` (the columns NEEDED and those of `draw`)."""
    adults = people[people["age"].ge(ADULT)]
    table = pd.concat([cells(adults, np.zeros(len(adults))), coarser(adults).reset_index(drop=True)], axis=1)
    frames = []
    for attribute, other in PAIRS:
        part = table.value_counts([attribute, other], normalize=True).rename("share").reset_index()
        part.columns = ["value", "other value", "share"]
        frames.append(part.assign(attribute=attribute, other=other))
    return pd.concat(frames, ignore_index=True)[["attribute", "other", "value", "other value", "share"]]


def coarser(table: pd.DataFrame) -> pd.DataFrame:
    """Return religion, political views and ideology with the coarser columns `faith`, `party` and `leaning`."""
    return table[list(COLUMNS[1:])].assign(
        faith=table["religion"].map(FAITH),
        party=table["political views"].map(PARTY),
        leaning=table["ideology"].map(LEANING),
    )
