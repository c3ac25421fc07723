"""The title of a person's job: occupations come in their numbers, and fit schooling, income, age and employer.

data/titles.yaml has the titles by the Bureau's occupation codes; data/jobs.csv what the people in them are like in the
American Community Survey 2024 (`benchmarks/jobs.py`). The chance of a job is the naive Bayes posterior among the jobs
of a person's occupation group: how common it is, times the shares of its people with the person's age, sex, schooling,
class of worker, industry and, if at work, income. Jobs are left out if the income lies outside the 1st to 99th
percentile of theirs, or the schooling below the 3rd or above the 99th; and, as long as others remain, those in which
less than 1% have the person's age or industry, or less than 4% the class of worker. (Where few people were counted, the
ends are the narrower ones that `benchmarks/jobs.py` names.)
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ..attributes import BY_NAME
from . import phrases, predicates

JOB = "detailed job description"
GROUP, INCOME, SCHOOLING = "occupation category", "income", "education"
LEVELS = BY_NAME[SCHOOLING].labels
# Bands of numbers by their least value, the lowest one without a lower end; labels of the other features.
FEATURES: Mapping[str, tuple[Any, ...]] = {
    "age": (0, 18, 22, 25, 35, 50, 65, 75),
    "sex": BY_NAME["sex"].labels,
    SCHOOLING: LEVELS,
    "class of worker": BY_NAME["class of worker"].labels[:-1],
    "industry category": BY_NAME["industry category"].labels[:-1],
    INCOME: (0, 10_000, 20_000, 30_000, 45_000, 60_000, 80_000, 100_000, 130_000, 170_000, 230_000, 350_000),
}
# A job is left out where less than this share of its people are of a person's band of the feature.
SELDOM = {"age": 0.01, "class of worker": 0.04, "industry category": 0.01}
PRIOR = 5  # people of the whole group who are added to a job's counts, so that small jobs have no share of zero


class Jobs(NamedTuple):
    """The jobs of one occupation group as arrays; `bands` is of each feature, with a last row for missing values."""

    weight: np.ndarray  # jobs
    income: np.ndarray  # low and high x jobs
    schooling: np.ndarray  # low and high x jobs, places in LEVELS
    who: list[str]  # jobs
    shares: dict[str, np.ndarray]  # log, bands + 1 x jobs
    often: dict[str, np.ndarray]  # bands + 1 x jobs


def titles(table: pd.DataFrame, seed: int) -> pd.Series:
    """Draw the title of each person's job.

    Args:
        table: `predicates.table` of the people.
        seed: id and seed determine what a person gets; other people in the table do not matter.

    Returns:
        The index of `table`; missing for those without an occupation, and where no job of the group fits income and
        schooling: they get a title of data/job.yaml.
    """
    drawn = np.full(len(table), None, dtype=object)
    group = table[_column(GROUP)].astype("str").where(table["occupied"])
    told = table[[*map(_column, FEATURES), "at_work", "jobless"]]
    suits = dict(zip(_whose(), predicates.hold(_whose(), table).T, strict=True))
    for name, rows in group.groupby(group).indices.items():
        if name not in _groups():
            continue
        jobs, of, texts = _groups()[name]
        people = told.iloc[rows]
        each = chances(people, jobs, np.column_stack([suits[who][rows] for who in jobs.who]))[:, of]  # people x titles
        # The least of exponential waiting times: a title wins with a probability in proportion to its chance.
        uniform = phrases.uniforms(people.index, "title|" + texts, seed)
        with np.errstate(divide="ignore"):
            first = (-np.log1p(-uniform) / (each / np.bincount(of)[of])).argmin(axis=1)
        drawn[rows] = np.where(each.any(axis=1), texts[first], None)
    return pd.Series(drawn, table.index, dtype=object)


def chances(people: pd.DataFrame, jobs: Jobs, suits: np.ndarray) -> np.ndarray:
    """Return each person's chance of each job, people x jobs, up to a factor; all zero where none fits.

    Args:
        people: rows of `predicates.table`, all of the jobs' occupation group.
        jobs: as `prepared` returns them.
        suits: whether the jobs' predicates hold, people x jobs.
    """
    at_work = people["at_work"].to_numpy(dtype=bool)
    log = np.log(jobs.weight)[None, :].repeat(len(people), axis=0)
    seen = np.ones(log.shape, dtype=bool)
    for feature, shares in jobs.shares.items():
        place = _places(people, feature)
        if feature == INCOME:
            place = np.where(at_work, place, -1)  # of the others, it is not from the job
        log += shares[place]
        if feature in SELDOM:
            seen &= jobs.often[feature][place]
    likely = np.exp(log - log.max(axis=1, keepdims=True, initial=-np.inf))
    likely *= _inside(people, jobs.income, jobs.schooling) & suits
    narrow = likely * seen
    return np.where(narrow.any(axis=1, keepdims=True), narrow, likely)


def unsuited(table: pd.DataFrame) -> pd.Series:
    """Return whose title does not suit their occupation, schooling or income, and why, as texts by id.

    Titles that are not in data/titles.yaml are not looked at; a missing value suits every title.
    """
    title = table[_column(JOB)].str.extract("^([^;]*)")[0]
    job = title.map(_job_of())
    people, title, job = table[job.notna()], title[job.notna()], job.dropna()
    figures = _figures().loc[job]
    group = people[_column(GROUP)]
    wrong = np.array(group.notna() & (group.astype("str") != figures[GROUP].to_numpy()))
    wrong |= ~_inside(people, *_bounds(figures), each=False)
    who = job.map({name: block.get("who", "occupied") for name, block in blocks().items()})
    kinds, texts = pd.factorize(who)
    wrong |= ~predicates.hold(texts, people)[np.arange(len(people)), kinds]
    said = [
        f"'{text}' is for {row[GROUP]} with an income of {row['income low']:,} to {row['income high']:,} and with "
        f"schooling from {row['schooling low']} to {row['schooling high']}"
        for text, row in zip(title[wrong], figures[wrong].to_dict("records"), strict=True)
    ]
    return pd.Series(said, people.index[wrong], dtype="str")


def beyond(people: pd.DataFrame) -> np.ndarray:
    """Return who is at work with an income that lies outside the 1st to 99th percentile of every job of their group.

    Args:
        people: with `occupation category`, `employment status` and `income`; whoever lacks one of them is not beyond.

    Returns:
        Booleans, one per person. Of real people at work, 0.7% are (`benchmarks/jobs.py`).
    """
    figures = _figures().groupby(GROUP)
    low, high = figures["income low"].min(), figures["income high"].max()
    group = _codes(people[GROUP], list(low.index))
    income = people[INCOME].to_numpy(dtype=float, na_value=np.nan)
    at_work = ~people["employment status"].isin(["Unemployed", "Not in labor force"]).to_numpy()
    return at_work & (group >= 0) & ((income < low.to_numpy()[group]) | (income > high.to_numpy()[group]))


@cache
def blocks() -> dict[str, dict[str, Any]]:
    """Return the blocks of data/titles.yaml, each by a name made of its codes and its predicate."""
    name = "{} {}".format
    return {name(" ".join(map(str, of["codes"])), of.get("who", "")).strip(): of for of in predicates.read("titles")}


def prepared(figures: pd.DataFrame) -> Jobs:
    """Return one group's rows of data/jobs.csv as arrays."""
    ends = np.cumsum([len(bands) for bands in FEATURES.values()])
    parts = np.split(figures.iloc[:, -ends[-1] :].to_numpy(dtype=float).T, ends[:-1])
    shares, often = {}, {}
    for feature, counts in zip(FEATURES, parts, strict=True):  # bands x jobs
        whole = (counts.sum(axis=1, keepdims=True) + 0.5) / (counts.sum() + 0.5 * len(counts))
        log = np.log((counts + PRIOR * whole) / (counts.sum(axis=0) + PRIOR))
        shares[feature] = np.vstack([log, np.zeros(len(figures))])
        enough = (counts >= 2) & (counts >= SELDOM.get(feature, 0) * counts.sum(axis=0))
        often[feature] = np.vstack([enough, np.ones(len(figures), dtype=bool)])
    return Jobs(
        figures["weight"].to_numpy(dtype=float),
        *_bounds(figures),
        [blocks()[job].get("who", "occupied") for job in figures.index],
        shares,
        often,
    )


def _bounds(figures: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return the low and high ends of income and of schooling (places in LEVELS), each 2 x jobs."""
    place = pd.Index(LEVELS).get_indexer
    schooling = np.array([place(figures["schooling low"]), place(figures["schooling high"])])
    return np.array([figures["income low"], figures["income high"]], dtype=float), schooling


def _inside(people: pd.DataFrame, income: np.ndarray, schooling: np.ndarray, each: bool = True) -> np.ndarray:
    """Return whether schooling and income lie within bounds: the jobless have earned no more, others may earn anything.

    The bounds are 2 x jobs, the result is people x jobs. Without `each` they are 2 x people, and it is one per person.
    """
    at_work, jobless = (people[name].to_numpy(dtype=bool) for name in ("at_work", "jobless"))
    dollars = people[INCOME].to_numpy(dtype=float, na_value=np.nan)
    level = _places(people, SCHOOLING)
    if each:
        at_work, jobless, dollars, level = (column[:, None] for column in (at_work, jobless, dollars, level))
    outside = (at_work & (dollars < income[0])) | ((at_work | jobless) & (dollars > income[1]))
    return ~outside & ((level < 0) | ((level >= schooling[0]) & (level <= schooling[1])))


def _places(people: pd.DataFrame, feature: str) -> np.ndarray:
    """Return the place of each person's band of a feature, -1 where it is missing or the feature has no such band."""
    values, bands = people[_column(feature)], FEATURES[feature]
    if BY_NAME[feature].kind == "categorical":
        return _codes(values, bands)
    numbers = values.to_numpy(dtype=float, na_value=np.nan)
    return np.where(np.isnan(numbers), -1, np.searchsorted(bands[1:], numbers, side="right"))


def _codes(values: pd.Series, labels: Sequence[str]) -> np.ndarray:
    """Return the place of each value among the labels, -1 for others."""
    sorts = values.astype("category").cat
    return np.append(pd.Index(labels).get_indexer(sorts.categories), -1)[sorts.codes]


def _column(name: str) -> str:
    return name.replace(" ", "_")


@cache
def _groups() -> dict[str, tuple[Jobs, np.ndarray, np.ndarray]]:
    """Return each occupation group's jobs, its titles, and before them the place of each title's job."""
    found = {}
    for group, figures in _figures().groupby(GROUP, sort=False):
        pairs = [(place, title) for place, name in enumerate(figures.index) for title in blocks()[name]["titles"]]
        places, titles = zip(*pairs, strict=True)
        found[group] = prepared(figures), np.array(places), np.array(titles, dtype=object)
    return found


@cache
def _whose() -> list[str]:
    """Return the predicates of all jobs."""
    return list(dict.fromkeys(who for jobs, _, _ in _groups().values() for who in jobs.who))


@cache
def _job_of() -> dict[str, str]:
    """Return the job of each title."""
    return {title: name for name, block in blocks().items() for title in block["titles"]}


@cache
def _figures() -> pd.DataFrame:
    return pd.read_csv(predicates.FOLDER / "jobs.csv", index_col="job")
