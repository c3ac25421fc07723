"""Calibrate the committed tables of `persona_lib.personas.origins`: birthplace, ancestry and state of residence.

    python benchmarks/origins.py FIGURES us_persons_2024.parquet
    python benchmarks/origins.py FIGURES                                  # only print how origins hold together

FIGURES is a folder with origin_gss_ancestry_by_race.csv, origin_acs2024_ancestry_race_hispanic.csv,
origin_foreign_born_by_country.csv and origin_state_population_nativity.csv; the parquet file holds PUMS persons with
their STATE. The script writes birthplaces.csv, ancestries.csv, at_home.csv and state_shares.csv into
persona_lib/personas/data. Without the file it draws 400,000 people from the committed tables and prints the largest
countries of birth beside the published list, languages and English by country of birth, and religions by ancestry.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
from raking import rake
from scipy.optimize import brentq

from persona_lib import census
from persona_lib.census import Population
from persona_lib.personas import origins, psychographics, speech
from persona_lib.personas.origins import (  # fmt: skip
    ASIAN,
    BLACK,
    GROUPS,
    INDIAN,
    MIXED,
    NATURALIZED,
    NO_CITIZEN,
    ORIGINS,
    OTHER,
    PACIFIC,
    RACES,
    WHITE,
)

PEOPLE = 1_000_000  # drawn from the committed population: the census attributes that the tables are raked to
# Birthplaces of people born abroad to American parents, in addition to the places of their own group (estimates):
# countries with bases of the armed forces, and neighbors.
PARENTS = {
    "Germany": 24, "Mexico": 10, "Japan": 9, "Canada": 9, "United Kingdom": 9, "Philippines": 5, "South Korea": 5,
    "Italy": 5, "France": 3, "Spain": 3, "Panama": 3, "Israel": 3, "China": 2, "Brazil": 2, "Turkey": 2,
    "Australia": 2, "India": 2, "Colombia": 2,
}  # fmt: skip
# Island areas that people come from (estimates): Puerto Rico, Virgin Islands, Guam, Northern Marianas.
ISLANDS = {"H": (95, 4, 1, 0), "W": (60, 20, 18, 2), "B": (22, 75, 3, 0), "A": (3, 2, 75, 20), "P": (0, 0, 80, 20)}
ISLANDS |= {"O": (50, 35, 12, 3), "T": (35, 25, 33, 7), "I": (50, 20, 25, 5)}

# Answers to the GSS question on the country of family origin, as the ancestry of a white person. If an answer has
# several names, they share it in the ratio of their counts in ACS 2024 DP02 (European and American: estimates).
GSS = {
    "england & wales": {"English": 31.0, "Welsh": 1.5}, "scotland": {"Scottish": 6.6, "Scotch-Irish": 2.5},
    "czechoslovakia": {"Czech": 1.2, "Slovak": 0.57}, "yugoslavia": {"Croatian": 1, "Serbian": 0.6, "Slovenian": 0.4},
    "other european": {"Ukrainian": 1.26, "European": 1.5}, "other north america": {"American": 1},
    "other middle east": {"Lebanese": 0.38, "Syrian": 0.2, "Armenian": 0.5}, "other canada": {"Canadian": 1},
    "germany": "German", "ireland": "Irish", "italy": "Italian", "poland": "Polish", "norway": "Norwegian",
    "france": "French", "sweden": "Swedish", "netherlands": "Dutch", "russia": "Russian", "denmark": "Danish",
    "finland": "Finnish", "hungary": "Hungarian", "portugal": "Portuguese", "greece": "Greek", "spain": "Spanish",
    "switzerland": "Swiss", "lithuania": "Lithuanian", "austria": "Austrian", "belgium": "Belgian",
    "romania": "Romanian", "french canada": "French Canadian", "american indian": "American Indian", "iran": "Iranian",
    "israel": "Israeli", "jordan": "Jordanian", "iraq": "Iraqi", "turkey": "Turkish",
}  # fmt: skip
AMERICAN = 0.085  # share of whites: 90% of the 18.1 million who report American ancestry (DP02) are white (estimate)

# People born in the US by ancestry, in thousands. Asian and black groups: ACS 2024 DP05 minus the foreign born from
# the country; the rest, and all other groups, are estimates.
NATIVES = {
    BLACK: {"African American": 32900, "Haitian": 517, "Jamaican": 350, "Nigerian": 220, "Somali": 130, "African": 200,
            "Trinidadian": 100, "Ethiopian": 90, "Ghanaian": 70, "West Indian": 100, "Guyanese": 40, "Barbadian": 40,
            "Cape Verdean": 40, "Kenyan": 35, "Liberian": 40, "Congolese": 25, "Sudanese": 20, "Eritrean": 15},
    INDIAN: {"American Indian": 500, "Navajo": 318, "Cherokee": 230, "Choctaw": 90, "Chippewa": 110, "Sioux": 115,
             "Apache": 65, "Pueblo": 75, "Lumbee": 70, "Creek": 45, "Iroquois": 45, "Blackfeet": 30, "Chickasaw": 30},
    origins.ALASKAN: {"Yup'ik": 34, "Inupiat": 28, "Athabascan": 15, "Tlingit and Haida": 14, "Aleut": 8},
    ASIAN: {"Asian Indian": 2255, "Chinese": 2250, "Filipino": 1280, "Vietnamese": 650, "Korean": 522, "Japanese": 422,
            "Hmong": 220, "Pakistani": 250, "Cambodian": 140, "Bangladeshi": 120, "Taiwanese": 110, "Laotian": 80,
            "Thai": 80, "Nepali": 60, "Burmese": 55, "Indonesian": 30, "Sri Lankan": 25, "Mongolian": 8},
    PACIFIC: {"Native Hawaiian": 181, "Samoan": 105, "Chamorro": 84, "Tongan": 50, "Marshallese": 30, "Fijian": 20,
              "Micronesian": 25},
    OTHER: {"Brazilian": 15, "Guyanese": 14, "Cape Verdean": 10, "Trinidadian": 10, "American": 20, "Moroccan": 5,
            "Egyptian": 6, "Iranian": 5, "Belizean": 5, "Yemeni": 5, "Portuguese": 5, "Spanish": 10},
}  # fmt: skip
NATIVES[origins.TRIBES] = NATIVES[INDIAN]
BLACK_ABROAD = {"African": 30, "Jamaican": 15, "Nigerian": 15, "Haitian": 10, "Ghanaian": 10, "West Indian": 10,
                "Somali": 5, "Congolese": 5}  # fmt: skip
HISPANIC = {"Spaniard": {"Spanish": 1}, "All Other Spanish/Hispanic/Latino": {"Hispanic": 60, "Spanish": 40}}
HISPANIC |= {"Other Central American": {"Central American": 1}, "Other South American": {"South American": 1}}

# White people born in the US by ancestries that the GSS's list lacks or joins, in thousands (estimates; the Egyptians:
# ACS 2024 DP05 minus the foreign born).
WHITES_TOO = {"Palestinian": 200, "Iraqi": 150, "Albanian": 130, "Egyptian": 110, "Bosnian": 90, "Moroccan": 70,
              "Yemeni": 60, "Uzbek": 30}  # fmt: skip
WHITE_NATIVES = 178_000

# Languages of ancestries that do not belong to one place of places.csv, as percentages.
MIXES = {
    "American": "I100", "Canadian": "I100", "English": "I100", "European": "I100", "French Canadian": "I100",
    "Scotch-Irish": "I100", "Scottish": "I100", "Slovenian": "I100", "Welsh": "I100", "Hispanic": "S100",
    "Central American": "S100", "South American": "S100", "African American": "I60 O40", "African": "O80 I20",
    "West Indian": "I80 S20", "Palestinian": "O100", "Hmong": "A100", "Native Hawaiian": "A100",
}  # fmt: skip
FEW = 5  # percent; languages that fewer speak are those of minorities, who have ancestries of their own
INDIGENOUS = "O100"  # all ancestries of American Indians and Alaska Natives; some Apache and Pueblo speak Spanish
MIXES |= {"Apache": "O95 S5", "Pueblo": "O92 S8"}
# People born in the US who speak a language of their ancestry at home, in percent (estimates; only their ratios count
# among people of one race). The first of the Germans and Swiss are the Amish and Mennonites.
KEPT = {
    0.01: "American, African American, English, Irish, Lumbee, Scotch-Irish, Scottish, Welsh",
    0.3: "American Indian, Danish, Finnish, Norwegian, Swedish",
    1: "Austrian, Barbadian, Belgian, Canadian, Czech, Dutch, European, German, Swiss",
    2: "French, French Canadian, Guyanese, Hungarian, Italian, Lithuanian, Slovak, Slovenian, Trinidadian, Belizean",
    4: "Cherokee, Chickasaw, Chippewa, Creek, Croatian, Iroquois, Jamaican, Native Hawaiian, Polish,"
    " Tlingit and Haida, West Indian",
    10: "Aleut, Athabascan, Blackfeet, Choctaw, Russian, Serbian, Sioux",
    15: "Greek, Japanese, Liberian, Portuguese, Romanian, Ukrainian",
    20: "Apache, Chamorro, Filipino, Lebanese, Spanish",
    30: "Hispanic, Indonesian, Inupiat, Nigerian, Samoan, Sri Lankan, Syrian, Turkish",
    40: "Armenian, Cape Verdean, Egyptian, Fijian, Ghanaian, Iranian, Israeli, Kenyan, Pueblo, Thai, Tongan",
    50: "African, Albanian, Asian Indian, Bosnian, Eritrean, Ethiopian, Haitian, Iraqi, Jordanian, Korean, Laotian,"
    " Moroccan, Navajo, Palestinian, Taiwanese, Uzbek, Yup'ik, Brazilian",
    60: "Cambodian, Chinese, Congolese, Mongolian, Pakistani, Sudanese",
    75: "Bangladeshi, Burmese, Hmong, Marshallese, Micronesian, Nepali, Somali, Vietnamese, Yemeni",
}

# Ancestries whose religions are printed.
SHOWN = ["African American", "Armenian", "Asian Indian", "Brazilian", "Chinese", "Egyptian", "Ethiopian", "Filipino",
         "German", "Haitian", "Iranian", "Irish", "Italian", "Korean", "Lebanese", "Mexican", "Nigerian", "Pakistani",
         "Polish", "Russian", "Swedish", "Vietnamese"]  # fmt: skip

# The Census Bureau's 2018 ACS (1-year, table B03002): California and Texas; non-Hispanic people by race, and Hispanics.
MISSING_STATES = {
    "California": {WHITE: 14_495_479, BLACK: 2_179_078, INDIAN: 139_116, ASIAN: 5_741_886, PACIFIC: 143_302,
                   OTHER: 100_696, MIXED: 1_217_346, "Hispanic": 15_540_142},
    "Texas": {WHITE: 11_881_257, BLACK: 3_409_081, INDIAN: 70_676, ASIAN: 1_413_916, PACIFIC: 18_958, OTHER: 45_166,
              MIXED: 493_947, "Hispanic": 11_368_844},
}  # fmt: skip
# Hispanics of both states: the count of ACS 2024 DP05 for the nation minus the other states (Mexican, Puerto Rican,
# Cuban); the other origins are estimates.
OF_BOTH = {"Mexican": 22_400, "Puerto Rican": 620, "Cuban": 290, "Salvadoran": 1_250, "Guatemalan": 750,
           "Honduran": 420, "All Other Spanish/Hispanic/Latino": 1_000}  # fmt: skip
OF_BOTH |= {name: 95 for name in ORIGINS[1:] if name not in OF_BOTH} | {"Dominican": 45}
# State of birth, US 2017 (ACS 1-year, table B06001): people born in the US by the ages of origins.AGES, in millions.
BORN_IN_US = (19.3, 50.9, 27.3, 36.6, 31.0, 33.0, 17.9, 7.1, 9.8, 25.3, 17.9)


def parts(people: str) -> dict[str, float]:
    return {part[0]: float(part[1:]) for part in people.split()}


def birth_seed(places: pd.DataFrame) -> np.ndarray:
    """Return people born in each place (groups x places), before any scaling to totals."""
    seed = np.zeros((len(GROUPS), len(places)))
    own = {name: place for place, name in places["ancestry"].items() if name in ORIGINS}
    own |= {"Spaniard": "Spain"}
    for column, (place, row) in enumerate(places.iterrows()):
        mix = parts(row["people"])
        for line, group in enumerate(GROUPS):
            letter = origins.CLASSES[group]
            share = mix.get(letter, {"H": 0.0, "P": 0.002, "I": 0.002}.get(letter, 0.03))
            if letter == "H" and share:
                others = {"All Other Spanish/Hispanic/Latino": 0.05, "Spaniard": 0.01}
                share *= 0.94 if own.get(group) == place else others.get(group, 0.0002)
                share *= 0.2 if place == "Mexico" and own.get(group) != place else 1
                if group == "Other Central American" and place in ("Honduras", "Guatemala", "El Salvador", "Belize"):
                    share = 0.05 * mix["H"]
                if group == "Other South American" and place in ("Brazil", "Ecuador", "Peru", "Argentina"):
                    share = 0.02 * mix["H"]
            if group == origins.ALASKAN or (letter == "I" and place != "Canada"):
                share = 0.001
            seed[line, column] = row["born"] * share / 100
    return seed


def counts(*keys: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    return np.bincount(np.ravel_multi_index(keys, shape), minlength=np.prod(shape)).reshape(shape).astype(float)


def scaled(places: pd.DataFrame, figures: Path) -> pd.Series:
    """Return the foreign born by country in 2024.

    Counted countries keep their share of all foreign born; the estimates of a region are scaled to the region's total.
    """
    table = pd.read_csv(figures / "origin_foreign_born_by_country.csv")
    regions = table[table["kind"] == "world region"].set_index("region")["count"]
    born = places["born"].astype(float)
    counted = listed(figures) * regions.sum()
    born[counted.index] = counted
    for region, total in regions.items():
        here = places["region"] == region
        free = here & ~places.index.isin(counted.index)
        scale = (total - born[here & ~free].sum()) / born[free].sum() if free.any() else np.nan
        print(f"{region}: estimates multiplied by {scale:.2f}")
        born[free] *= scale
    return born


def birthplaces(people: pd.DataFrame, places: pd.DataFrame, figures: Path) -> pd.DataFrame:
    born = scaled(places, figures)
    hispanic = np.array([origins.CLASSES[group] == "H" for group in GROUPS])
    foreign = people[people["citizenship"].isin([NATURALIZED, NO_CITIZEN])]
    spoken = counts(origins.groups(foreign), speech.states(foreign), shape=(len(GROUPS), len(speech.STATES)))
    census_counts = spoken[~hispanic]
    seed, likely = birth_seed(places.assign(born=born)), origins.likely_abroad(places)
    # Hispanic origin determines the birthplace of Hispanics; the totals of the others are the rest of each country.
    totals = born * (1 - np.array([parts(mix).get("H", 0) for mix in places["people"]]) / 100)
    counted = places["source"].str.startswith("MPI")
    totals *= spoken.sum() / born.sum()
    # The census model has more Hispanics among the foreign born than these counts: the estimates make room for them.
    totals[~counted] *= (census_counts.sum() - totals[counted].sum()) / totals[~counted].sum()
    table = speech.rows(seed, likely, origins.own_people()).reshape(*spoken.shape, -1)[~hispanic]
    joint = rake(table, [((2,), totals.to_numpy()), ((0, 1), census_counts)])
    print(f"foreign born by country: TVD {abs(joint.sum(axis=(0, 1)) - totals).sum() / 2 / totals.sum():.4f}")
    # Raking multiplies a place by the same factor in every group and language: keep this factor in the weights.
    factor = joint[0, speech.ENGLISH] / table[0, speech.ENGLISH].clip(1e-300)
    seed[~hispanic] *= factor / factor.max()
    tables = {"foreign": seed}
    base = pd.Series(PARENTS).reindex(places.index).fillna(0).to_numpy()
    part = np.array([0.2 if origins.CLASSES[group] in "WB" else 0.7 for group in GROUPS])[:, None]
    tables["american parents"] = part * seed / seed.sum(axis=1, keepdims=True) + (1 - part) * base / base.sum()
    islands = np.zeros_like(seed)
    islands[:, places["region"] == "Islands"] = [ISLANDS[origins.CLASSES[group]] for group in GROUPS]
    islands[GROUPS.index("Puerto Rican"), places["region"] == "Islands"] = (99.5, 0.4, 0.1, 0)
    tables["islands"] = islands
    frames = [wide(table, way, places.index) for way, table in tables.items()]
    return pd.concat(frames, ignore_index=True)


def wide(table: np.ndarray, way: str, places: pd.Index) -> pd.DataFrame:
    """Return places x groups: weights in thousandths, without those below a ten-thousandth."""
    share = 1000 * table.T / table.sum(axis=1)
    frame = pd.DataFrame(share, index=places, columns=list(GROUPS)).where(share > 0.1).dropna(how="all").reset_index()
    frame.insert(0, "way", way)
    return frame


def whites(figures: Path) -> pd.Series:
    table = pd.read_csv(figures / "origin_gss_ancestry_by_race.csv")
    table = table.query("survey == 'GSS 2024' and group == 'White non-Hispanic'").set_index("ethnic")["share"]
    found: dict[str, float] = {}
    for answer, names in GSS.items():
        names = {names: 1} if isinstance(names, str) else names
        for name, count in names.items():
            found[name] = found.get(name, 0) + table.get(answer, 0) * count / sum(names.values())
    series = pd.Series(found).drop("American")
    print(f"Share of GSS 2024 answers of whites that is used: {sum(found.values()):.3f}")
    others = pd.Series(WHITES_TOO) / WHITE_NATIVES
    series *= (1 - AMERICAN - others.sum()) / series.sum()
    return series.add(others, fill_value=0).add(pd.Series({"American": AMERICAN}), fill_value=0)


def ancestries(people: pd.DataFrame, places: pd.DataFrame, figures: Path) -> pd.DataFrame:
    weights = {WHITE: whites(figures)} | {group: pd.Series(table) for group, table in NATIVES.items()}
    weights |= {name: pd.Series(HISPANIC.get(name, {name: 1})) for name in ORIGINS[1:]}
    weights[MIXED] = weights[WHITE]
    table = pd.DataFrame(weights).fillna(0).T.reindex(GROUPS)
    table = table.div(table.sum(axis=1), axis=0)
    kinds = pd.DataFrame({"languages": languages(table, places), "kept": kept(table)}, table.columns)
    native = people[~people["citizenship"].isin([NATURALIZED, NO_CITIZEN])]
    spoken = counts(origins.groups(native), speech.states(native), shape=(len(GROUPS), len(speech.STATES))) + 1e-6
    target = spoken.sum(axis=1, keepdims=True) * table.to_numpy()
    seed = speech.rows(table.to_numpy(), origins.likely_here(kinds)).reshape(*spoken.shape, -1)
    joint = rake(seed, [((0, 1), spoken), ((0, 2), target)])
    unknown = joint[:, speech.UNKNOWN]  # all ancestries are equally likely: what remains are the weights
    final = pd.DataFrame(unknown, index=GROUPS, columns=table.columns)
    final.loc[origins.ABROAD[WHITE]] = table.loc[WHITE].drop(["American", "American Indian"])
    final.loc[origins.ABROAD[BLACK]] = pd.Series(BLACK_ABROAD)
    final = final.fillna(0).div(final.sum(axis=1), axis=0)
    frame = final.rename_axis("group").rename_axis("ancestry", axis=1).stack().rename("weight").reset_index()
    frame = frame.merge(kinds, left_on="ancestry", right_index=True)
    frame = frame[(frame["weight"] > 0)]
    return frame.assign(weight=frame["weight"].map(lambda x: float(f"{x:.4g}")))


def languages(table: pd.DataFrame, places: pd.DataFrame) -> list[str]:
    """Return the languages of each ancestry: those of the place whose people have this name, or of MIXES."""
    of_place = places.drop_duplicates("ancestry").set_index("ancestry")["languages"]
    indigenous = table.columns[(table.loc[[INDIAN, origins.ALASKAN]] > 0).any()]
    mixes = {name: MIXES.get(name, INDIGENOUS if name in indigenous else of_place.get(name)) for name in table.columns}
    return [" ".join(part for part in mixes[name].split() if int(part[1:]) >= FEW) for name in table.columns]


def kept(table: pd.DataFrame) -> list[float]:
    """Return the share of each ancestry that speaks its language; of Hispanics, 0.7."""
    share = {name: percent / 100 for percent, names in KEPT.items() for name in names.split(", ")}
    hispanic = [*ORIGINS, "Central American", "South American"]
    return [0.7 if name in hispanic else share[name] for name in table.columns]


def state_tables(
    people: pd.DataFrame, persons: pd.DataFrame, fips: pd.Series, figures: Path
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return where people live by group and nativity, and by state how many live where they were born.

    Persons of the sample, with the codes of their states, have the places of a group; people of the population model,
    whose origins are raked to the nation's, have the sizes of groups.
    """
    known = pd.read_csv(figures / "origin_state_population_nativity.csv").set_index("state")
    place = known["state_fips"].reset_index(drop=True).reset_index().set_index("state_fips")["index"]
    totals = np.column_stack([known["native"], known["foreign_born"]]).astype(float)  # states x 2
    shape = (len(GROUPS), 2, len(known))
    seed = counts(*by_birth(persons), fips.map(place).to_numpy(), shape=shape)
    by_class = np.array([origins.CLASSES[name] for name in GROUPS])
    for letter in set(by_class):  # a small group is distributed somewhat like the rest of its race
        rows = by_class == letter
        alike = seed[rows].sum(axis=(0, 1)) / seed[rows].sum()
        seed[rows] += 5 * alike if letter != "I" else 0.2 * alike
    nation = totals.sum() / len(persons)
    other = [i for i, state in enumerate(known.index) if state not in MISSING_STATES]
    seed[:, :, other] *= (totals[other].sum() / nation) / seed[:, :, other].sum()
    abroad = counts(*by_birth(people), shape=(len(GROUPS), 2)) + 0.5
    for state, people_of in MISSING_STATES.items():
        both = sum(OF_BOTH.values())
        here = {name: people_of["Hispanic"] * n / both for name, n in OF_BOTH.items()} | people_of
        here |= {origins.ALASKAN: 1_000, origins.TRIBES: 5_000}
        size = np.array([here[name] for name in GROUPS]) / nation
        column = known.index.get_loc(state)
        split = abroad / abroad.sum(axis=1, keepdims=True)
        seed[:, :, column] = size[:, None] * split
    target = abroad / abroad.sum(axis=0) * totals.sum(axis=0)
    joint = rake(seed, [((0, 1), target), ((1, 2), totals.T)], rounds=200)
    shares = (joint / joint.sum(axis=2, keepdims=True)).reshape(-1, len(known)).round(6)
    index = pd.MultiIndex.from_product([GROUPS, ["native", "foreign"]], names=["group", "born"])
    return pd.DataFrame(shares, index=index, columns=known.index), at_home(known)


def by_birth(people: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return each person's group, and 1 for people born abroad, else 0."""
    return origins.groups(people), people["citizenship"].isin([NATURALIZED, NO_CITIZEN]).to_numpy().astype(int)


def at_home(known: pd.DataFrame) -> pd.DataFrame:
    """Solve for the log-odds shift of each state at which the share of people born there equals the Bureau's."""
    odds, weight = np.log(np.array(origins.AT_HOME) / (1 - np.array(origins.AT_HOME))), np.array(BORN_IN_US)

    def gap(shift: float, share: float) -> float:
        return weight @ (1 / (1 + np.exp(-odds - shift))) / weight.sum() - share

    shares = known["p_lives_in_birth_state_given_us_born_resident"]
    return pd.DataFrame({"at home": [round(brentq(gap, -9, 9, args=(share,)), 4) for share in shares]}, known.index)


def listed(figures: Path) -> pd.Series:
    """Return each counted country's share of the foreign born, from the latest year that the list has."""
    table = pd.read_csv(figures / "origin_foreign_born_by_country.csv")
    table = table[table["kind"].str.startswith("country")].sort_values("year")
    return table.groupby("country")["share_of_foreign_born"].last().rename({"Korea": "South Korea"})


def report(figures: Path, n: int = 400_000) -> None:
    people = Population.load().sample(n, seed=3)
    people = people.join(origins.draw(people, seed=5))
    people = people.join(psychographics.draw(people, seed=6))
    abroad = people[people["citizenship"].isin([NATURALIZED, NO_CITIZEN])]
    share = listed(figures).nlargest(15)
    table = share.to_frame("list").assign(drawn=abroad["place of birth"].value_counts(normalize=True))
    table = table.assign(deviation=table["drawn"] / table["list"] - 1, error=1 / np.sqrt(table["drawn"] * len(abroad)))
    print(table.round(4).to_string())  # error: the relative standard error of a draw of this size
    asked = people[people["age"] >= speech.ASKED].dropna(subset=["household language"])
    english = asked["ability to speak english"].astype(object).fillna("speaks only English")
    home = asked["household language"].astype(object).str.replace(" languages", "")
    born = asked["place of birth"].where(asked["place of birth"].isin(share.index))
    for title, values in {"language of the home": home, "English": english}.items():
        print(f"\n{title}, by country of birth\n", pd.crosstab(born, values, normalize="index").round(3).to_string())
    print("\nEnglish, by citizenship and age (the census attributes have no year of arrival)")
    age = pd.cut(asked["age"], [0, 17, 44, 64, 99], labels=["5-17", "18-44", "45-64", "65+"])
    print(pd.crosstab([asked["citizenship"], age], english, normalize="index").round(3).to_string())
    own = people[np.isin(speech.states(people), np.flatnonzero(speech.OWN))]
    for title, part in {
        "all": own,
        "but children's Spanish": own[own["age"].ge(speech.ADULT) | ~is_spanish(own)],
    }.items():
        print(f"\nof {len(part):,} people who must have the home's language from their origin ({title}):")
        print(f"{foreign_tongue(part).mean():.2%} have it from neither birthplace nor ancestry")
    religion = pd.crosstab(people["ancestry"], people["religion"], normalize="index").round(3)
    print("\nreligion by ancestry\n", religion.loc[religion.index.intersection(SHOWN)].to_string())


def is_spanish(people: pd.DataFrame) -> pd.Series:
    return people["household language"].eq("Spanish")


def foreign_tongue(people: pd.DataFrame) -> np.ndarray:
    """Return who lives with a language that is neither one of the birthplace nor of an ancestry."""
    places = pd.read_csv(origins.DATA / "places.csv")
    kinds = pd.concat([places, pd.read_csv(origins.DATA / "ancestries.csv")]).drop_duplicates("ancestry")
    of_ancestry = kinds.set_index("ancestry")["languages"]
    names = people["ancestry"].str.replace("Tlingit and Haida", "Tlingit").str.split(" and ").explode()
    known = names.map(of_ancestry).fillna("").groupby(level=0).sum()
    known += people["place of birth"].map(places.set_index("place")["languages"]).fillna("")
    letters = people["household language"].astype(object).map(dict(zip(speech.LANGUAGES, speech.LETTERS, strict=True)))
    return np.array([letter not in there for letter, there in zip(letters, known, strict=True)])


def main(figures: str, file: str = "") -> None:
    if not file:
        return report(Path(figures))
    people = Population.load().sample(PEOPLE, seed=1)
    persons = census.read_pums(file)
    fips = pd.read_parquet(file, columns=["STATE"])["STATE"].astype(int)
    places = pd.read_csv(origins.DATA / "places.csv", index_col="place")
    born = birthplaces(people, places, Path(figures))
    born.to_csv(origins.DATA / "birthplaces.csv", index=False, float_format="%.3g")
    ancestries(people, places, Path(figures)).to_csv(origins.DATA / "ancestries.csv", index=False)
    shares, home = state_tables(people, persons, fips, Path(figures))
    shares.to_csv(origins.DATA / "state_shares.csv", float_format="%.5g")
    home.to_csv(origins.DATA / "at_home.csv")
    assert set(RACES) <= set(GROUPS)
    for name in ("places", "birthplaces", "ancestries", "at_home", "state_shares"):
        print(f"{name}.csv: {(origins.DATA / f'{name}.csv').stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main(*sys.argv[1:])
