"""Where people come from: ancestry, place of birth and state of residence, given the census attributes.

Each person is drawn with random numbers of their own from tables that were raked once to published counts
(`benchmarks/origins.py`). A sample of any size is therefore right on average, and no draw depends on other people.
Places: foreign born by country (Migration Policy Institute from ACS 2022 and 2023, the smaller countries our own
estimates, all scaled to the world regions of ACS 2024), and states by nativity (ACS 2020-2024). Ancestry: General
Social Survey 2024 (ETHNIC) for whites, ACS 2024 (DP02, DP05) for others. Birthplaces and ancestries go with the home's
language and a person's English, by the rules of `speech`. `data/README.md` has the sources.
"""

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from .. import UserError, seeds
from ..attributes import BY_NAME
from . import speech
from .speech import codes

DATA = Path(__file__).parent / "data"
COLUMNS = ("ancestry", "place of birth", "state")
NEEDED = ("race", "hispanic origin", "citizenship", *speech.NEEDED)

RACES = BY_NAME["race"].labels
ORIGINS = BY_NAME["hispanic origin"].labels
GROUPS = (*RACES, *ORIGINS[1:])  # the race of people who are not Hispanic, else the Hispanic origin
WHITE, BLACK, INDIAN, ALASKAN, TRIBES, ASIAN, PACIFIC, OTHER, MIXED = RACES
ABROAD = {WHITE: "White alone, born abroad", BLACK: "Black alone, born abroad"}
CLASSES = {WHITE: "W", BLACK: "B", INDIAN: "I", ALASKAN: "I", TRIBES: "I", ASIAN: "A", PACIFIC: "P", OTHER: "O"}
CLASSES |= {MIXED: "T"} | dict.fromkeys(ORIGINS[1:], "H")
# The two races of people of two or more races, with shares (ACS 2024 DP05: the six largest pairs, without Hispanics;
# the rest are estimates).
PAIRS = {
    (BLACK, WHITE): 0.28, (ASIAN, WHITE): 0.22, (INDIAN, WHITE): 0.20, (OTHER, WHITE): 0.13, (BLACK, INDIAN): 0.04,
    (BLACK, OTHER): 0.04, (ASIAN, PACIFIC): 0.04, (ASIAN, BLACK): 0.03, (PACIFIC, WHITE): 0.02,
}  # fmt: skip

IN_STATES, ON_ISLANDS, OF_AMERICANS, NATURALIZED, NO_CITIZEN = BY_NAME["citizenship"].labels

# Share of people born in the US who live in their state of birth, by age (lower ends; ACS 2017, table B06001).
AGES = (0, 5, 18, 25, 35, 45, 55, 60, 62, 65, 75)
AT_HOME = (0.9080, 0.8418, 0.7404, 0.6776, 0.6406, 0.6070, 0.5979, 0.5958, 0.5835, 0.5522, 0.5495)


def draw(people: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """Draw ancestry, place of birth and state of residence for a table of persons.

    Row i of the result depends only on row i of `people`, i and the seed.

    Args:
        people: the columns NEEDED, with the census labels of `attributes`. A column `state` (names, as in `states()`)
            is kept, and drawn only where it is missing.
        seed: of the draw.

    Returns:
        The index of `people`; columns `ancestry` (two for people of two or more races: "Irish and Filipino"), `place of
        birth` (a state, an island area or a country, in agreement with citizenship) and `state`.

    Raises:
        UserError: a column is missing, or has a value that is no census label.
    """
    if missing := [name for name in NEEDED if name not in people]:
        raise UserError(f"The table of persons lacks {', '.join(missing)}: give census attributes.")
    uniform = seeds.rng("origins", seed).random((len(people), 6))
    group = groups(people)
    spoken = speech.states(people)
    status = people["citizenship"].astype(str).to_numpy()
    foreign = np.isin(status, [NATURALIZED, NO_CITIZEN])
    state = _states(people, group, foreign, uniform[:, 0])
    # Everybody gets both a place abroad and a state of birth; citizenship says which one counts.
    abroad = _born_abroad(status, group, spoken, uniform[:, 1])
    home = _born_in_state(people["age"].to_numpy(), group, state, uniform[:, 1:3])
    state_names = np.array(states(), dtype=object)
    place_names = _places().index.to_numpy(dtype=object)
    columns = {
        "ancestry": _ancestry(status, group, spoken, abroad, uniform[:, 3:6]),
        "place of birth": np.where(status == IN_STATES, state_names[home], place_names[abroad]),
        "state": state_names[state],
    }
    return pd.DataFrame(columns, index=people.index).astype("str")


def states() -> list[str]:
    """Return the names of the 50 states and the District of Columbia."""
    return list(_at_home().index)


def regions() -> dict[str, str]:
    """Return the region of each place of birth outside the states: the Bureau's six, and "Islands"."""
    return _places()["region"].to_dict()


def groups(people: pd.DataFrame) -> np.ndarray:
    """Return each person's place in GROUPS: the Hispanic origin if they have one, else the race."""
    origin = codes(people["hispanic origin"], ORIGINS)
    race = codes(people["race"], RACES)
    return np.where(origin > 0, len(RACES) + origin - 1, race)


def pick(weights: np.ndarray, rows: np.ndarray, uniform: np.ndarray) -> np.ndarray:
    """Draw one option for each person.

    Args:
        weights: distributions x options, not normalized.
        rows: for each person, the row of `weights` to draw from.
        uniform: for each person, a number from [0, 1).

    Returns:
        For each person the place of the option drawn.
    """
    n_options = weights.shape[1]
    cumulative = weights.cumsum(axis=1)
    cumulative /= cumulative[:, -1:]
    # All distributions end to end on one line, row r from r to r + 1: one search serves everybody.
    line = (cumulative + np.arange(len(cumulative))[:, None]).ravel()
    found = np.searchsorted(line, rows + uniform, side="right") - rows * n_options
    return np.minimum(found, n_options - 1)


def _states(people: pd.DataFrame, group: np.ndarray, foreign: np.ndarray, uniform: np.ndarray) -> np.ndarray:
    """Return the place in `states()` of each person's state of residence: the known one, else drawn."""
    drawn = pick(_state_shares(), 2 * group + foreign, uniform)
    if "state" not in people:
        return drawn
    given = codes(people["state"], tuple(states()))
    return np.where(given == len(states()), drawn, given)


def _born_abroad(status: np.ndarray, group: np.ndarray, spoken: np.ndarray, uniform: np.ndarray) -> np.ndarray:
    """Draw the place in `_places()` of people born outside the states; 0, without a meaning, for all others."""
    born = np.zeros(len(group), dtype=np.int64)
    ways = {ON_ISLANDS: "islands", OF_AMERICANS: "american parents", NATURALIZED: "foreign", NO_CITIZEN: "foreign"}
    for label, way in ways.items():
        who = status == label
        born[who] = pick(_birthplaces(way), group[who] * len(speech.STATES) + spoken[who], uniform[who])
    return born


def _born_in_state(age: np.ndarray, group: np.ndarray, state: np.ndarray, uniform: np.ndarray) -> np.ndarray:
    """Draw the place in `states()` of the state of birth.

    It is the state of residence as often as at this age in this state; otherwise it is drawn by where the natives of
    the group live. `uniform` is people x 2.
    """
    n_states = len(states())
    share = np.array(AT_HOME)
    log_odds = np.log(share / (1 - share))[np.searchsorted(AGES, age, side="right") - 1]
    odds = np.exp(_at_home().to_numpy()[state] + log_odds)
    natives = _state_shares()[::2]  # groups x states of residence
    away = natives[:, None, :] * (1 - np.eye(n_states))  # groups x states of residence x other states
    elsewhere = pick(away.reshape(-1, n_states), group * n_states + state, uniform[:, 1])
    return np.where(uniform[:, 0] < odds / (1 + odds), state, elsewhere)


def _ancestry(
    status: np.ndarray, group: np.ndarray, spoken: np.ndarray, born: np.ndarray, uniform: np.ndarray
) -> np.ndarray:
    """Draw the name of one ancestry, or of two for people of two or more races; `uniform` is people x 3."""
    mixed = group == GROUPS.index(MIXED)
    outside = ~np.isin(status, [IN_STATES, ON_ISLANDS])
    row = np.where(outside, born, len(_places())) * len(speech.STATES) + np.where(outside, speech.UNKNOWN, spoken)
    pair, speaker = np.divmod(pick(_pairs(), row, uniform[:, 0]), 2)
    races = np.array([[GROUPS.index(race) for race in pair] for pair in PAIRS])  # pairs x 2
    first, second = (
        # The language of a mixed home is that of one of the two races.
        _one_ancestry(
            status,
            np.where(mixed, races[pair, side], group),
            np.where(mixed & (speaker != side), speech.UNKNOWN, spoken),
            born,
            uniform[:, 1 + side],
        )
        for side in (0, 1)
    )
    return np.where(mixed & (first != second), first + " and " + second, first)


def _one_ancestry(
    status: np.ndarray, race: np.ndarray, spoken: np.ndarray, born: np.ndarray, uniform: np.ndarray
) -> np.ndarray:
    """Draw the name of one ancestry: that of people from the birthplace, or one of the race if these do not agree."""
    rows, names, weights = _ancestries()
    foreign = np.isin(status, [NATURALIZED, NO_CITIZEN])
    # Americans abroad are mostly white or black: then their children do not have the birthplace's ancestry, unless they
    # grew up with its language.
    few = np.isin(race, [RACES.index(WHITE), RACES.index(BLACK)]) & ~speech.OWN[spoken]
    newcomers = foreign | (status == ON_ISLANDS) | ((status == OF_AMERICANS) & ~few)
    row = race.copy()
    for label, abroad in ABROAD.items():
        row[foreign & (race == GROUPS.index(label))] = rows.index(abroad)
    # A birthplace explains the language, unless only people of Hispanic origin have its ancestry.
    explained = newcomers & ~_hispanic()[born]
    drawn = names[pick(weights, row * len(speech.STATES) + np.where(explained, speech.UNKNOWN, spoken), uniform)]
    of_race = _own()[race, born] & newcomers
    return np.where(of_race, _places()["ancestry"].to_numpy(dtype=object)[born], drawn)


@cache
def _pairs() -> np.ndarray:
    """Return weights of the two races of people of two or more, and of the one whose language is spoken.

    Rows: (places, then the US) x STATES, as for `pick`. Options: PAIRS x 2, the first or second race.
    """
    races = np.array([[GROUPS.index(race) for race in pair] for pair in PAIRS])  # pairs x 2
    _, _, weights = _ancestries()
    speaks = weights.sum(axis=1).reshape(-1, len(speech.STATES))[races].transpose(2, 0, 1)  # states x pairs x 2
    # Abroad, a pair is likely if one of its races is common among people from the birthplace.
    common = _own()[races].any(axis=1).T  # places x pairs
    fit = np.vstack([np.where(common, 1, 0.02), np.ones(len(races))]) * np.array([*PAIRS.values()])
    return (fit[:, None, :, None] * speaks).reshape(-1, 2 * len(PAIRS))


@cache
def _places() -> pd.DataFrame:
    """Return islands and countries, with the index `place`.

    Columns: `region`, `born` (people in the US who were born there), `source`, `ancestry`, and estimates in percent:
    `languages` spoken at home (letters of `speech.LETTERS`), `limited`, speakers of other languages who speak English
    less than very well, and `people`, the races: W white, B black, I American Indian, A Asian, P Pacific, O other, T
    two or more, each not Hispanic, and H Hispanic.
    """
    return pd.read_csv(DATA / "places.csv", index_col="place", dtype={"ancestry": object, "people": object})


@cache
def _own() -> np.ndarray:
    """Return whether people of a group who were born in a place usually have the place's own ancestry.

    Booleans, groups x places. True if the group's race is more than 9% of the place's people (for some other race, any
    share), unless Hispanics are the largest group there. Never true for Hispanics and for two or more races.
    """

    def usual(letter: str, shares: dict[str, int], hispanic: bool) -> bool:
        if letter not in "WBIAPO" or hispanic:
            return False
        return letter == "O" or shares.get(letter, 0) > 9

    of_places = list(zip(_races(), _hispanic(), strict=True))
    return np.array([[usual(CLASSES[group], *of_place) for of_place in of_places] for group in GROUPS])


def _races() -> list[dict[str, int]]:
    """Return the percentages of races of each place's people, by letter."""
    return [{part[0]: int(part[1:]) for part in people.split()} for people in _places()["people"]]


@cache
def _hispanic() -> np.ndarray:
    """Return whether Hispanics are the largest group of each place's people."""
    return np.array([max(shares, key=lambda race: shares[race]) == "H" for shares in _races()])


@cache
def _birthplaces(way: str) -> np.ndarray:
    """Return weights of birthplaces, as `speech.rows`; `way` is 'foreign', 'american parents' or 'islands'."""
    table = pd.read_csv(DATA / "birthplaces.csv")
    table = table[table["way"] == way].set_index("place")[list(GROUPS)]
    weights = table.reindex(_places().index).fillna(0).to_numpy().T
    return speech.rows(weights, likely_abroad(_places()), own_people())


def likely_abroad(places: pd.DataFrame) -> np.ndarray:
    """Return how likely each state of `speech` is for people born in a place, places x STATES."""
    spoken = 1 - speech.shares(places["languages"])[:, 0]
    return speech.likely(places["languages"], spoken, places["limited"].to_numpy() / 100, silent=0.04)


def own_people() -> np.ndarray:
    """Return whether a group may have grown up with a place's language, groups x places: all but small minorities."""
    minorities = np.array([CLASSES[group] in "WBAO" for group in GROUPS])
    return _own() | _hispanic() | ~minorities[:, None]


def likely_here(kinds: pd.DataFrame) -> np.ndarray:
    """Return how likely each state of `speech` is for people of an ancestry born in the US, ancestries x STATES."""
    kept = kinds["kept"].to_numpy()
    return speech.likely(kinds["languages"], kept, np.full(len(kept), 0.15), silent=0.5)


@cache
def _ancestries() -> tuple[list[str], np.ndarray, np.ndarray]:
    """Return the groups (GROUPS and two for people born abroad), the ancestries, and weights as `speech.rows`."""
    table = pd.read_csv(DATA / "ancestries.csv")
    kinds, rows = table.drop_duplicates("ancestry").set_index("ancestry"), [*GROUPS, *ABROAD.values()]
    weights = table.pivot(index="group", columns="ancestry", values="weight").reindex(rows, columns=kinds.index)
    return rows, kinds.index.to_numpy(dtype=object), speech.rows(weights.fillna(0).to_numpy(), likely_here(kinds))


@cache
def _state_shares() -> np.ndarray:
    """Return where people live, (group, native then foreign born) x states: group g has rows 2g and 2g + 1."""
    return pd.read_csv(DATA / "state_shares.csv", index_col=["group", "born"])[states()].to_numpy()


@cache
def _at_home() -> pd.Series:
    """Return by state how far the log-odds of living in one's state of birth are from the nation's, at every age."""
    return pd.read_csv(DATA / "at_home.csv", index_col="state")["at home"]
