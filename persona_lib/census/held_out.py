"""Compare people with real people whom nothing was fitted to or balanced on: pairs of attributes, and three at once.

The sample of the American Community Survey was split into random halves, and each was raked to the published tables
(`benchmarks/population.py`). The model knows one half. Aggregates of the other are committed.
"""

import pandas as pd

from . import distances
from .records import WEIGHT

THREE = ("age", "race", "education")  # in bands; balancing knows only pairs
AGES = {"0 to 17": 0, "18 to 34": 18, "35 to 54": 35, "55 to 74": 55, "75 or older": 75}
RACES = {"White alone": "White", "Black or African American alone": "Black", "Asian alone": "Asian"}
RACES |= {"Two or More Races": "Two or more"}
LEVELS = {  # the lowest label of each level
    "No high school diploma": "No schooling completed",
    "High school": "Regular high school diploma",
    "Some college": "Some college, but less than 1 year",
    "Bachelor's degree": "Bachelor's degree",
    "Higher degree": "Master's degree",
}


def three_way(people: pd.DataFrame) -> pd.DataFrame:
    """Return the share of each combination of age, race and education in bands: 5 x 5 x 6 cells.

    Args:
        people: a table of people; they count by their `weight` if the table has that column.

    Returns:
        Columns `attribute` ('age, race, education'), `value`, `share` (0 to 1); only combinations that somebody has.
    """
    age = pd.cut(people["age"], [*AGES.values(), 200], right=False, labels=list(AGES)).astype("str")
    race = people["race"].astype("str").map(RACES).fillna("Another")
    levels = list(people["education"].cat.categories)
    lowest = [levels.index(label) for label in LEVELS.values()]
    school = pd.cut(people["education"].cat.codes, [-1, *lowest, 99], right=False, labels=["Under 3 years", *LEVELS])
    cells = age + ", " + race + ", " + school.astype("str")
    weight = people[WEIGHT] if WEIGHT in people else pd.Series(1.0, people.index)
    share = weight.astype("float64").groupby(cells).sum() / weight.sum()
    return pd.DataFrame({"attribute": ", ".join(THREE), "value": share.index, "share": share.to_numpy()})


def pair_shares() -> pd.DataFrame:
    """Return the committed `distances.pair_shares` of the half held out."""
    return pd.read_parquet(distances.DATA / "held_out_pair_shares.parquet")


def three_way_shares() -> pd.DataFrame:
    """Return the committed `three_way` shares of the half held out."""
    return pd.read_csv(distances.DATA / "held_out_three_way.csv", dtype=distances.TEXT)


def compare(people: pd.DataFrame) -> pd.DataFrame:
    """Compare people with the real people held out.

    Returns:
        Index: 'pairs of attributes' (the mean over all pairs) and 'age, race, education'. Columns `personas` (total
        variation distance, 0 to 1), `real people` (the mean distance of as many of them, drawn at random).
    """
    pairs, three = pair_shares(), three_way_shares()
    n = len(people)
    rows = {
        "pairs of attributes": (distances.tvd(distances.pair_shares(people), pairs), distances.expected(pairs, n)),
        ", ".join(THREE): (distances.tvd(three_way(people), three), distances.expected(three, n)),
    }
    told = [(ours.mean(), real.mean()) for ours, real in rows.values()]
    return pd.DataFrame(told, index=pd.Index(list(rows), name="of"), columns=["personas", "real people"])
