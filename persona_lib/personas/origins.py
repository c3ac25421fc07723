"""Where people come from: ancestry, place of birth and state of residence, given what the census says of them.

Each person is drawn with numbers of their own from tables that were raked once to published counts
(`benchmarks/origins.py`), so that a sample of any size is right on average, and nobody's draw depends on the others.
Places: foreign born by country (Migration Policy Institute from ACS 2022 and 2023, the smaller countries our
estimates, all scaled to the world regions of ACS 2024) and states by nativity (ACS 2020-2024). Ancestry: General
Social Survey 2024 (ETHNIC) for whites, ACS 2024 (DP02, DP05) for others. `data/README.md` has the sources. Used by
`personas`.
"""

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from .. import UserError, seeds
from ..attributes import BY_NAME

DATA = Path(__file__).parent / "data"
COLUMNS = ("ancestry", "place of birth", "state")
NEEDED = ("age", "race", "hispanic origin", "citizenship", "household language")

RACES, ORIGINS = BY_NAME["race"].labels, BY_NAME["hispanic origin"].labels
GROUPS = (*RACES, *ORIGINS[1:])  # a race for who is not Hispanic, else the Hispanic origin
WHITE, BLACK, INDIAN, ALASKAN, TRIBES, ASIAN, PACIFIC, OTHER, MIXED = RACES
ABROAD = {WHITE: "White alone, born abroad", BLACK: "Black alone, born abroad"}
CLASSES = {WHITE: "W", BLACK: "B", INDIAN: "I", ALASKAN: "I", TRIBES: "I", ASIAN: "A", PACIFIC: "P", OTHER: "O"}
CLASSES |= {MIXED: "T"} | dict.fromkeys(ORIGINS[1:], "H")
# The two races of people of two or more (ACS 2024 DP05: the six largest pairs, less who is Hispanic; rest estimated).
PAIRS = {
    (BLACK, WHITE): 0.28, (ASIAN, WHITE): 0.22, (INDIAN, WHITE): 0.20, (OTHER, WHITE): 0.13, (BLACK, INDIAN): 0.04,
    (BLACK, OTHER): 0.04, (ASIAN, PACIFIC): 0.04, (ASIAN, BLACK): 0.03, (PACIFIC, WHITE): 0.02,
}  # fmt: skip

IN_STATES, ON_ISLANDS, OF_AMERICANS, NATURALIZED, NO_CITIZEN = BY_NAME["citizenship"].labels
LANGUAGES = BY_NAME["household language"].labels
# How often a home of newcomers speaks each of LANGUAGES, by the main language of where they come from (estimates),
# and a home of people whose forebears came long ago.
SPOKEN = {
    "English": (0.88, 0.02, 0.06, 0.02, 0.02),
    "Spanish": (0.13, 0.84, 0.01, 0.01, 0.01),
    "Other Indo-European": (0.17, 0.02, 0.78, 0.01, 0.02),
    "Asian and Pacific": (0.15, 0.01, 0.01, 0.82, 0.01),
    "Other": (0.15, 0.01, 0.03, 0.01, 0.80),
    "India": (0.17, 0.01, 0.58, 0.22, 0.02),
    "Africa": (0.30, 0.01, 0.05, 0.01, 0.63),
}
SETTLED = (0.93, 0.03, 0.02, 0.01, 0.01)

# Of people born in the US, how many live in the state where they were born, by age (ACS 2017, table B06001).
AGES = (0, 5, 18, 25, 35, 45, 55, 60, 62, 65, 75)
AT_HOME = (0.9080, 0.8418, 0.7404, 0.6776, 0.6406, 0.6070, 0.5979, 0.5958, 0.5835, 0.5522, 0.5495)


def draw(people: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """Draw ancestry, place of birth and state of residence for a table of persons, on its index.

    `people` has the columns NEEDED with the census labels of `attributes`. A `state` column (names, as in
    `states()`) is kept, and drawn where it is missing. Place of birth is a state, an island area or a country, as
    citizenship says. People of two or more races have two ancestries, "Irish and Filipino". Row i of the result
    depends on row i of `people`, i and the seed alone. Raises UserError for columns that are missing.
    """
    if missing := [name for name in NEEDED if name not in people]:
        raise UserError(f"The table of persons lacks {', '.join(missing)}: give census attributes.")
    numbers = seeds.rng("origins", seed).random((len(people), 7))
    group, language = groups(people), codes(people["household language"], LANGUAGES)
    status = people["citizenship"].astype(str).to_numpy()
    state = _states(people, group, np.isin(status, [NATURALIZED, NO_CITIZEN]), numbers[:, 0])
    born = _born(status, group, language, numbers[:, 1])
    home = _born_in_state(people["age"].to_numpy(), group, state, numbers[:, 1:3])
    places = np.array([*_places().index, *states()], dtype=object)
    place = np.where(status == IN_STATES, home + len(_places()), born)
    ancestry = _ancestry(status, group, language, born, numbers[:, 3:])
    columns = [ancestry, places[place], np.array(states(), dtype=object)[state]]
    return pd.DataFrame(dict(zip(COLUMNS, columns, strict=True)), index=people.index).astype("str")


def states() -> list[str]:
    """The names of the 50 states and the District of Columbia."""
    return list(_at_home().index)


def groups(people: pd.DataFrame) -> np.ndarray:
    """Each person's place in GROUPS: race, or the Hispanic origin of who has one."""
    origin, race = codes(people["hispanic origin"], ORIGINS), codes(people["race"], RACES)
    return np.where(origin > 0, len(RACES) + origin - 1, race)


def codes(values: pd.Series, labels: tuple[str, ...]) -> np.ndarray:
    """Place of each value among the labels; what is missing comes after the last one."""
    codes = pd.Index(labels).get_indexer(values.astype(object))
    if (strange := values[(codes < 0) & values.notna().to_numpy()]).size:
        raise UserError(f"{values.name} {strange.iloc[0]!r} is none of the census labels: see attributes.BY_NAME.")
    return np.where(codes < 0, len(labels), codes)


def pick(weights: np.ndarray, rows: np.ndarray, uniform: np.ndarray) -> np.ndarray:
    """Draw one column for each person: `weights` (k x m), the person's row of it, and a number from [0, 1)."""
    upto = weights.cumsum(axis=1)
    upto /= upto[:, -1:]
    line = (upto + np.arange(len(upto))[:, None]).ravel()
    return np.minimum(np.searchsorted(line, rows + uniform, side="right") - rows * upto.shape[1], upto.shape[1] - 1)


def speaks(language: pd.Series, kept: pd.Series | float = 1.0) -> np.ndarray:
    """How likely each household language is (columns: LANGUAGES and none) for homes of this main language.

    `kept` is the part of homes in which it lives on.
    """
    spoken, kept = np.array([SPOKEN[name] for name in language]), np.broadcast_to(kept, len(language))[:, None]
    likely = kept * spoken + (1 - kept) * np.array(SETTLED)
    return np.column_stack([likely, np.ones(len(likely))])


def _states(people: pd.DataFrame, group: np.ndarray, foreign: np.ndarray, uniform: np.ndarray) -> np.ndarray:
    drawn = pick(_state_shares(), 2 * group + foreign, uniform)
    if "state" not in people:
        return drawn
    given = codes(people["state"], tuple(states()))
    return np.where(given == len(states()), drawn, given)


def _born(status: np.ndarray, group: np.ndarray, language: np.ndarray, uniform: np.ndarray) -> np.ndarray:
    """Place in `_places()` for people born outside the states; the others' is 0 and means nothing."""
    born = np.zeros(len(group), dtype=np.int64)
    ways = {ON_ISLANDS: "islands", OF_AMERICANS: "american parents", NATURALIZED: "foreign", NO_CITIZEN: "foreign"}
    speech = speaks(_places()["language"])
    for label, way in ways.items():
        who = status == label
        weights = (_birthplaces(way)[:, None, :] * speech.T).reshape(-1, len(speech))
        born[who] = pick(weights, group[who] * speech.shape[1] + language[who], uniform[who])
    return born


def _born_in_state(age: np.ndarray, group: np.ndarray, state: np.ndarray, uniform: np.ndarray) -> np.ndarray:
    """State of birth: the state of residence as often as is so at this age there, else by where the group lives."""
    ratio = np.log(np.array(AT_HOME) / (1 - np.array(AT_HOME)))
    odds = np.exp(_at_home().to_numpy()[state] + ratio[np.searchsorted(AGES, age, side="right") - 1])
    away = _state_shares()[::2][:, None, :] * (1 - np.eye(len(states())))
    elsewhere = pick(away.reshape(-1, len(states())), group * len(states()) + state, uniform[:, 1])
    return np.where(uniform[:, 0] < odds / (1 + odds), state, elsewhere)


def _ancestry(
    status: np.ndarray, group: np.ndarray, language: np.ndarray, born: np.ndarray, uniform: np.ndarray
) -> np.ndarray:
    """One ancestry, for people of two or more races two."""
    races = np.array([[GROUPS.index(race) for race in pair] for pair in PAIRS])
    outside = ~np.isin(status, [IN_STATES, ON_ISLANDS])
    mixed = group == GROUPS.index(MIXED)
    # A pair fits a birthplace best when one of its races is common among people from there.
    fit = np.vstack([np.where(_own()[races].any(axis=1).T, 1, 0.02), np.ones(len(races))])
    pair = pick(fit * np.array([*PAIRS.values()]), np.where(outside, born, len(fit) - 1), uniform[:, 0])
    both = []
    for side in (0, 1):
        race = np.where(mixed, races[pair, side], group)
        both.append(_one_ancestry(status, race, language, born, uniform[:, 1 + side]))
    first, second = both
    return np.where(mixed & (first != second), first + " and " + second, first)


def _one_ancestry(
    status: np.ndarray, race: np.ndarray, language: np.ndarray, born: np.ndarray, uniform: np.ndarray
) -> np.ndarray:
    """The name of people from the birthplace, or where that does not fit the race, one common in the group."""
    rows, names, weights = _ancestries()
    foreign = np.isin(status, [NATURALIZED, NO_CITIZEN])
    row = race.copy()
    for label, abroad in ABROAD.items():
        row[foreign & (race == GROUPS.index(label))] = rows.index(abroad)
    drawn = names[pick(weights, row * (len(LANGUAGES) + 1) + language, uniform)]
    # Americans abroad are mostly white or black, their children then not of the place's people.
    newcomers = foreign | (status == ON_ISLANDS) | (status == OF_AMERICANS) & ~np.isin(race, [0, 1])
    of_race = _own()[race, born] & newcomers
    return np.where(of_race, _places()["ancestry"].to_numpy(dtype=object)[born], drawn)


@cache
def _places() -> pd.DataFrame:
    """Islands and countries: index place, columns region, born (people in the US), source, ancestry, language, people.

    `people` are the percentages of races: W white, B black, I American Indian, A Asian, P Pacific, O other, T two or
    more, each not Hispanic, and H Hispanic (estimates).
    """
    return pd.read_csv(DATA / "places.csv", index_col="place", dtype={"ancestry": object, "people": object})


@cache
def _own() -> np.ndarray:
    """Groups x places: whether people of the group who are born there are usually of the place's own ancestry."""

    def usual(letter: str, shares: dict[str, int]) -> bool:
        return (
            letter in "WBIAPO" and max(shares, key=shares.get) != "H" and (letter == "O" or shares.get(letter, 0) > 9)
        )

    mixes = [{part[0]: int(part[1:]) for part in people.split()} for people in _places()["people"]]
    return np.array([[usual(CLASSES[group], shares) for shares in mixes] for group in GROUPS])


@cache
def _birthplaces(way: str) -> np.ndarray:
    """Groups x places: weights of where people are born who are `foreign`, of `american parents` or on `islands`."""
    table = pd.read_csv(DATA / "birthplaces.csv")
    table = table[table["way"] == way].set_index("place")[list(GROUPS)]
    return table.reindex(_places().index).fillna(0).to_numpy().T


@cache
def _ancestries() -> tuple[list[str], np.ndarray, np.ndarray]:
    """Groups (with two more for those born abroad), names of ancestries, weights (group and language) x names."""
    table = pd.read_csv(DATA / "ancestries.csv")
    rows = [*GROUPS, *ABROAD.values()]
    kinds = table.drop_duplicates("ancestry").set_index("ancestry")
    weights = table.pivot(index="group", columns="ancestry", values="weight").reindex(rows, columns=kinds.index)
    likely = speaks(kinds["language"], kinds["kept"].to_numpy())
    weights = (weights.fillna(0).to_numpy()[:, None, :] * likely.T).reshape(-1, len(kinds))
    return rows, kinds.index.to_numpy(dtype=object), weights


@cache
def _state_shares() -> np.ndarray:
    """(Group, native then foreign born) x states: where they live."""
    return pd.read_csv(DATA / "state_shares.csv", index_col=["group", "born"])[states()].to_numpy()


@cache
def _at_home() -> pd.Series:
    """By state: how much the log-odds of living where one was born differ from the nation's at every age."""
    return pd.read_csv(DATA / "at_home.csv", index_col="state")["at home"]
