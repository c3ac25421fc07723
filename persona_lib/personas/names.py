"""A given name for reading, drawn by sex and decade of birth from the Social Security Administration's list.

A name is a handle for people who read: figures, tables and the browser show 'Ruth, 74, Texas' in place of a hash. It
says nothing of a person's race, origin or class, since it is drawn without them; yet readers and models take it as a
signal. So it is no attribute, and no model is told it unless `profiles.texts(named=True)` says so.
"""

import re
from functools import cache

import numpy as np
import pandas as pd

from . import phrases
from .predicates import FOLDER

NAME = "given name"
YEAR = 2024  # of the census records
FIRST, STEP = 1920, 10  # data/names.csv: decades of birth from FIRST on; the last one is 2010 to 2017
_GROWN = {"Female": ("girl", "woman"), "Male": ("boy", "man")}  # below 18, and from 18 on
_AT_WORK = {"Unemployed": "out of work", "Not in labor force": "not in the labor force"}
_LONGEST_JOB = 40  # characters


def draw(people: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Draw each person's `given name`.

    Args:
        people: indexed by `persona_id`, with `age` and `sex`.
        seed: id and seed determine the name; other people in the table do not matter.

    Returns:
        The index of `people`; the column `given name`. Names come as often as among the births of the person's sex and
        decade; those born later than the list reaches get names of its last years. Missing where age or sex is.
    """
    uniform = phrases.uniforms(people.index, [NAME], seed)[:, 0]
    decade = (YEAR - people["age"].to_numpy(dtype=float, na_value=np.nan)) // STEP * STEP
    decade = np.clip(decade, FIRST, max(born for born, _ in _names()))  # missing stays missing
    found = np.full(len(people), None, dtype=object)
    sex = people["sex"].astype("str").to_numpy()
    for (born, of), (known, upto) in _names().items():
        rows = (decade == born) & (sex == of)
        found[rows] = known[np.searchsorted(upto, uniform[rows], side="right")]
    return pd.DataFrame({NAME: pd.Series(found, people.index, dtype="str")})


def handles(people: pd.DataFrame) -> pd.Series:
    """Return each person in a few words to read, such as 'Ruth, 74, Texas', or the beginning of the id without a name.

    Args:
        people: indexed by `persona_id`, with any of `given name`, `age` and `state`.

    Returns:
        Texts on the index of `people`, each of one person: of equal ones, the later get the beginning of their id.
    """
    parts = [people[name].astype("str").fillna("") for name in (NAME, "age", "state") if name in people]
    ids = pd.Series(people.index.astype("str").str[:6], people.index)
    if NAME not in people:
        return ids
    text = parts[0].str.cat(parts[1:], ", ").str.replace(", (?=,|$)", "", regex=True)
    text = text.where(people[NAME].notna(), ids)
    return text.where(~text.duplicated(), text + " (" + ids + ")")


def brief(people: pd.DataFrame) -> pd.Series:
    """Return each person in a few words that tell who it is, such as 'woman, 63, school secretary, Ohio'.

    Args:
        people: indexed by `persona_id`, with any of `age`, `sex`, `detailed job description`, `occupation category`,
            `employment status` and `state`. Of a job the words before the first clause count, if they are few.

    Returns:
        Texts on the index of `people`, empty where nothing is known.
    """
    return pd.Series(
        [", ".join(filter(None, map(str, _parts(row)))) for _, row in people.iterrows()], people.index, "str"
    )


def _parts(row: pd.Series) -> list[object]:
    """Return sex, age, work and state of a person, each empty if it is not known."""
    known = row.dropna()
    age = known.get("age", "")
    sex = known.get("sex", "")
    young, grown = _GROWN.get(sex, (sex, sex))
    is_number = isinstance(age, int | float | np.number)
    job = re.split(r"[;,.]| (?:who|that|which|at|in|for|with)\b", str(known.get("detailed job description", "")))[0]
    if not 0 < len(job) <= _LONGEST_JOB:
        job = str(known.get("occupation category", "")).lower()
    work = job or _AT_WORK.get(str(known.get("employment status")), "")
    return [young if is_number and age < 18 else grown, int(age) if is_number else age, work, known.get("state", "")]


@cache
def _names() -> dict[tuple[int, str], tuple[np.ndarray, np.ndarray]]:
    """Return the names by decade and sex, and before the end of which share of people each one comes."""
    found = {}
    for (born, sex), rows in pd.read_csv(FOLDER / "names.csv", keep_default_na=False).groupby(["born", "sex"]):
        upto = np.cumsum(rows["people"].to_numpy(dtype=float))
        found[born, sex] = rows["name"].to_numpy(dtype=object), upto[:-1] / upto[-1]
    return found
