"""What language is spoken in a home, and how likely that is for people of a birthplace or an ancestry.

The census attributes name the household's language and, for people aged 5 or older who speak another language than
English at home, how well they speak English. We found no table of languages by country of birth or by ancestry. So we
use our own estimates (`data/README.md`) and these rules:

1. People who speak the home's language, and English less than very well, grew up with that language: it is one of
   their birthplace's or, if they were born in the US, of their ancestry's.
2. So did children who speak English very well, since children have a home's language from their parents. The exception
   is Spanish, which children of all ancestries learn from relatives by marriage and at school.
3. Adults who speak English very well may have learned a spouse's language, but few have.
4. Adults who do not speak the home's other language may come from anywhere: somebody else in the home speaks it.
5. Children who do not speak it, and those under 5, who were not asked, seldom do: the home's language is that of both
   their parents or of one, and a step-parent is the exception.
"""

import numpy as np
import pandas as pd

from .. import UserError
from ..attributes import BY_NAME

NEEDED = ("age", "household language", "ability to speak english")
LANGUAGES = BY_NAME["household language"].labels
LETTERS = "ESIAO"  # LANGUAGES in lists of percentages, such as "E14 I84 O2"
VERY_WELL = BY_NAME["ability to speak english"].labels[0]
ASKED, ADULT = 5, 18  # youngest ages of those asked for their English, and of adults

# What is known of a person: for each language but English one of WAYS, then four states without a known language.
WAYS = (
    *("speaks little English", "child, speaks English", "adult, speaks English"),
    *("adult, does not speak it", "child, does not speak it", "under 5"),
)
STATES = tuple(f"{language}: {way}" for language in LANGUAGES[1:] for way in WAYS)
STATES += ("English only", "an unknown language, little English", "an unknown language", "unknown")
ENGLISH, SOME_LITTLE, SOME, UNKNOWN = range(len(STATES) - 4, len(STATES))
OWN = np.array([":" in state and state.split(": ")[1] in WAYS[:2] for state in STATES])  # rules 1 and 2

# By language but English, among white people born in the US (ACS 2024 PUMS; less those of the ancestry, an estimate):
# the share who speak it though it is not of their ancestry, and who live with it and do not speak it.
LEARNED = np.array([0.007, 0.003, 0.0005, 0.0005])
MARRIED = np.array([0.014, 0.008, 0.005, 0.002])
STEP = 0.1  # of those who live with it: children to whom neither parent gave it, per such adult (an estimate)
RARE, NEVER = 1e-4, 1e-9  # an exception to a rule; what is left where no people of a group speaks the language


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


def states(people: pd.DataFrame) -> np.ndarray:
    """Return the place in STATES of each person, from the columns NEEDED."""
    language = codes(people["household language"], LANGUAGES)
    english = people["ability to speak english"]
    speaks, well = english.notna().to_numpy(), english.eq(VERY_WELL).fillna(False).to_numpy(dtype=bool)
    young, adult = people["age"].lt(ASKED).to_numpy(), people["age"].ge(ADULT).to_numpy()
    way = np.select([speaks & ~well, speaks & ~adult, speaks, adult, ~young], [0, 1, 2, 3, 4], 5)
    nameless = np.select([speaks & ~well, speaks, ~young], [SOME_LITTLE, SOME, ENGLISH], UNKNOWN)
    of_language = (language - 1) * len(WAYS) + way
    return np.select([language == 0, language == len(LANGUAGES)], [ENGLISH, nameless], of_language)


def likely(mixes: pd.Series, spoken: np.ndarray, limited: np.ndarray, silent: float) -> np.ndarray:
    """Return how likely each state is for people of a birthplace or an ancestry.

    Args:
        mixes: percentages of languages, as in "E14 I84 O2"; only the ratios of those but English count.
        spoken: share of people who speak another language than English at home, one per mix.
        limited: share of these who speak English less than very well, one per mix.
        silent: people who live with their people's language and do not speak it, per one who does.

    Returns:
        Likelihoods, mixes x STATES.
    """
    own = shares(mixes)[:, 1:]
    own *= (spoken / own.sum(axis=1).clip(NEVER))[:, None]  # mixes x languages but English
    little, well = own * limited[:, None], own * (1 - limited)[:, None]
    other = (1 - spoken)[:, None]
    grown = well + LEARNED * other
    child = np.column_stack([grown[:, :1], well[:, 1:]])  # Spanish comes first
    quiet = silent * own
    by_marriage = MARRIED * other
    alone = [quiet + by_marriage, quiet + STEP * by_marriage, own + STEP * by_marriage]
    by_way = np.stack([little, child, grown, *alone], axis=2)
    nameless = [other[:, 0], little.sum(axis=1), well.sum(axis=1), np.ones(len(own))]
    return np.column_stack([by_way.reshape(len(own), -1), *nameless])


def shares(mixes: pd.Series) -> np.ndarray:
    """Return percentages of LANGUAGES in texts such as "E14 I84 O2" as shares, texts x LANGUAGES."""
    parts = [{part[0]: int(part[1:]) / 100 for part in mix.split()} for mix in mixes]
    return np.array([[part.get(letter, 0) for letter in LETTERS] for part in parts])


def rows(weights: np.ndarray, likely: np.ndarray, people: np.ndarray | None = None) -> np.ndarray:
    """Return a distribution for each pair of group and state, flattened for `origins.pick`.

    Args:
        weights: groups x options.
        likely: options x STATES.
        people: groups x options, whether the group is of the option's own people: only they grew up with its language.

    Returns:
        (groups x STATES) x options: group g in state s is row g * len(STATES) + s.
    """
    joint = weights[:, None, :] * (likely.T + NEVER)  # groups x states x options
    if people is not None:
        joint[:, OWN] *= np.where(people, 1, RARE)[:, None, :]
    return joint.reshape(-1, weights.shape[1])
