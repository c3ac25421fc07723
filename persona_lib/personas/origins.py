"""Where people come from: ancestry, place of birth and state of residence, given the census attributes.

Each person is drawn with random numbers of their own from tables that were raked once to published counts
(`benchmarks/origins.py`). A sample of any size is therefore right on average, and no draw depends on other people.
Places: foreign born by country (Migration Policy Institute from ACS 2022 and 2023, the smaller countries our own
estimates, all scaled to the world regions of ACS 2024), and states by nativity (ACS 2020-2024). Ancestry: General
Social Survey 2024 (ETHNIC) for whites, ACS 2024 (DP02, DP05) for others. `data/README.md` has the sources.
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
LANGUAGES = BY_NAME["household language"].labels
# Share of homes that speak each of LANGUAGES (estimates): of newcomers, by the main language of their place of origin,
# and (SETTLED) of people whose ancestors came long ago.
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
    uniform = seeds.rng("origins", seed).random((len(people), 7))  # the last column is not used
    group = groups(people)
    language = codes(people["household language"], LANGUAGES)
    status = people["citizenship"].astype(str).to_numpy()
    foreign = np.isin(status, [NATURALIZED, NO_CITIZEN])
    state = _states(people, group, foreign, uniform[:, 0])
    # Everybody gets both a place abroad and a state of birth; citizenship says which one counts.
    abroad = _born_abroad(status, group, language, uniform[:, 1])
    home = _born_in_state(people["age"].to_numpy(), group, state, uniform[:, 1:3])
    state_names = np.array(states(), dtype=object)
    place_names = _places().index.to_numpy(dtype=object)
    columns = {
        "ancestry": _ancestry(status, group, language, abroad, uniform[:, 3:6]),
        "place of birth": np.where(status == IN_STATES, state_names[home], place_names[abroad]),
        "state": state_names[state],
    }
    return pd.DataFrame(columns, index=people.index).astype("str")


def states() -> list[str]:
    """Return the names of the 50 states and the District of Columbia."""
    return list(_at_home().index)


def groups(people: pd.DataFrame) -> np.ndarray:
    """Return each person's place in GROUPS: the Hispanic origin if they have one, else the race."""
    origin = codes(people["hispanic origin"], ORIGINS)
    race = codes(people["race"], RACES)
    return np.where(origin > 0, len(RACES) + origin - 1, race)


def codes(values: pd.Series, labels: tuple[str, ...]) -> np.ndarray:
    """Return the place of each value among the labels; a missing value is placed after the last label.

    Raises:
        UserError: a value is none of the labels.
    """
    codes = pd.Index(labels).get_indexer(values.astype(object))
    unknown = values[(codes < 0) & values.notna().to_numpy()]
    if len(unknown):
        raise UserError(f"{values.name} {unknown.iloc[0]!r} is not one of the census labels: see attributes.BY_NAME.")
    return np.where(codes < 0, len(labels), codes)


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


def speaks(language: pd.Series, kept: pd.Series | float = 1.0) -> np.ndarray:
    """Return how likely each household language is, by the main language of a place or an ancestry.

    Args:
        language: main languages, keys of SPOKEN.
        kept: share of homes that still speak the main language, one for all or one per row.

    Returns:
        Likelihoods, rows x (LANGUAGES and missing): 1 where the household language is missing.
    """
    spoken = np.array([SPOKEN[name] for name in language])  # rows x LANGUAGES
    share = np.broadcast_to(kept, len(language))[:, None]
    likely = share * spoken + (1 - share) * np.array(SETTLED)
    return np.column_stack([likely, np.ones(len(likely))])


def _rows(weights: np.ndarray, likely: np.ndarray) -> np.ndarray:
    """Return a distribution for each pair of group and household language, flattened for `pick`.

    Args:
        weights: groups x options.
        likely: options x languages, how likely each language is for an option.

    Returns:
        (groups x languages) x options: group g with language l is row g * languages + l.
    """
    joint = weights[:, None, :] * likely.T  # groups x languages x options
    return joint.reshape(-1, weights.shape[1])


def _states(people: pd.DataFrame, group: np.ndarray, foreign: np.ndarray, uniform: np.ndarray) -> np.ndarray:
    """Return the place in `states()` of each person's state of residence: the known one, else drawn."""
    drawn = pick(_state_shares(), 2 * group + foreign, uniform)
    if "state" not in people:
        return drawn
    given = codes(people["state"], tuple(states()))
    return np.where(given == len(states()), drawn, given)


def _born_abroad(status: np.ndarray, group: np.ndarray, language: np.ndarray, uniform: np.ndarray) -> np.ndarray:
    """Draw the place in `_places()` of people born outside the states; 0, without a meaning, for all others."""
    born = np.zeros(len(group), dtype=np.int64)
    ways = {ON_ISLANDS: "islands", OF_AMERICANS: "american parents", NATURALIZED: "foreign", NO_CITIZEN: "foreign"}
    likely = speaks(_places()["language"])  # places x languages
    for label, way in ways.items():
        who = status == label
        weights = _rows(_birthplaces(way), likely)
        born[who] = pick(weights, group[who] * likely.shape[1] + language[who], uniform[who])
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
    status: np.ndarray, group: np.ndarray, language: np.ndarray, born: np.ndarray, uniform: np.ndarray
) -> np.ndarray:
    """Draw the name of one ancestry, or of two for people of two or more races; `uniform` is people x 3."""
    mixed = group == GROUPS.index(MIXED)
    races = np.array([[GROUPS.index(race) for race in pair] for pair in PAIRS])  # pairs x 2
    # Abroad, a pair is likely if one of its races is common among people from the birthplace.
    common = _own()[races].any(axis=1).T  # places x pairs
    fit = np.vstack([np.where(common, 1, 0.02), np.ones(len(races))])  # the last row: born in the US or on an island
    outside = ~np.isin(status, [IN_STATES, ON_ISLANDS])
    row = np.where(outside, born, len(fit) - 1)
    pair = pick(fit * np.array([*PAIRS.values()]), row, uniform[:, 0])
    first, second = (
        _one_ancestry(status, np.where(mixed, races[pair, side], group), language, born, uniform[:, 1 + side])
        for side in (0, 1)
    )
    return np.where(mixed & (first != second), first + " and " + second, first)


def _one_ancestry(
    status: np.ndarray, race: np.ndarray, language: np.ndarray, born: np.ndarray, uniform: np.ndarray
) -> np.ndarray:
    """Draw the name of one ancestry: that of people from the birthplace, or one of the race if these do not agree."""
    rows, names, weights = _ancestries()
    foreign = np.isin(status, [NATURALIZED, NO_CITIZEN])
    row = race.copy()
    for label, abroad in ABROAD.items():
        row[foreign & (race == GROUPS.index(label))] = rows.index(abroad)
    drawn = names[pick(weights, row * (len(LANGUAGES) + 1) + language, uniform)]
    # Americans abroad are mostly white or black: then their children do not have the birthplace's ancestry.
    children_of_its_people = (status == OF_AMERICANS) & ~np.isin(race, [RACES.index(WHITE), RACES.index(BLACK)])
    newcomers = foreign | (status == ON_ISLANDS) | children_of_its_people
    of_race = _own()[race, born] & newcomers
    return np.where(of_race, _places()["ancestry"].to_numpy(dtype=object)[born], drawn)


@cache
def _places() -> pd.DataFrame:
    """Return islands and countries, with the index `place`.

    Columns: `region`, `born` (people in the US who were born there), `source`, `ancestry`, `language`, and `people`,
    the percentages of races (estimates): W white, B black, I American Indian, A Asian, P Pacific, O other, T two or
    more, each not Hispanic, and H Hispanic.
    """
    return pd.read_csv(DATA / "places.csv", index_col="place", dtype={"ancestry": object, "people": object})


@cache
def _own() -> np.ndarray:
    """Return whether people of a group who were born in a place usually have the place's own ancestry.

    Booleans, groups x places. True if the group's race is more than 9% of the place's people (for some other race, any
    share), unless Hispanics are the largest group there. Never true for Hispanics and for two or more races.
    """

    def usual(letter: str, shares: dict[str, int]) -> bool:
        if letter not in "WBIAPO" or max(shares, key=lambda race: shares[race]) == "H":
            return False
        return letter == "O" or shares.get(letter, 0) > 9

    mixes = [{part[0]: int(part[1:]) for part in people.split()} for people in _places()["people"]]
    return np.array([[usual(CLASSES[group], shares) for shares in mixes] for group in GROUPS])


@cache
def _birthplaces(way: str) -> np.ndarray:
    """Return weights of birthplaces, groups x places; `way` is 'foreign', 'american parents' or 'islands'."""
    table = pd.read_csv(DATA / "birthplaces.csv")
    table = table[table["way"] == way].set_index("place")[list(GROUPS)]
    return table.reindex(_places().index).fillna(0).to_numpy().T


@cache
def _ancestries() -> tuple[list[str], np.ndarray, np.ndarray]:
    """Return the groups (GROUPS and two for people born abroad), the ancestries, and weights as returned by `_rows`."""
    table = pd.read_csv(DATA / "ancestries.csv")
    rows = [*GROUPS, *ABROAD.values()]
    kinds = table.drop_duplicates("ancestry").set_index("ancestry")
    weights = table.pivot(index="group", columns="ancestry", values="weight").reindex(rows, columns=kinds.index)
    likely = speaks(kinds["language"], kinds["kept"].to_numpy())  # ancestries x languages
    return rows, kinds.index.to_numpy(dtype=object), _rows(weights.fillna(0).to_numpy(), likely)


@cache
def _state_shares() -> np.ndarray:
    """Return where people live, (group, native then foreign born) x states: group g has rows 2g and 2g + 1."""
    return pd.read_csv(DATA / "state_shares.csv", index_col=["group", "born"])[states()].to_numpy()


@cache
def _at_home() -> pd.Series:
    """Return by state how far the log-odds of living in one's state of birth are from the nation's, at every age."""
    return pd.read_csv(DATA / "at_home.csv", index_col="state")["at home"]
