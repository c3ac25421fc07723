"""Measure the jobs of data/titles.yaml among real people, write data/jobs.csv, and check the titles of personas.

    python benchmarks/jobs.py us_persons_2024.parquet [--write] [--personas N]

The file holds PUMS persons. With --write the script makes jobs.csv anew: per job the 1st and 99th percentile of income
among those at work, the 3rd (of fewer than 100 people: the 10th) and 99th of schooling, the number of people in each
band of the features, and a weight. The 99th percentile of few people would be the one who earns most; it is at most
that of a log-normal distribution with their median, and with their upper quartile drawn towards that of the group's
jobs. Weights are raked until as large a share of the people drawn from the census model as of the file's is expected in
each job of an occupation group. It prints how often a title's bounds are broken, how common well-known occupations are,
and how often holders of professional and doctorate degrees have titles that ask for one, among N people of the census
model (default 100,000) beside the real ones.
"""

import argparse

import numpy as np
import pandas as pd
from scipy.stats import norm

from persona_lib import census
from persona_lib.attributes import BY_NAME
from persona_lib.personas import jobs, predicates, rarity

ROUNDS, DRAWN = 12, 200_000  # of raking, and how many people of the census model it looks at
FEW = 500  # people at work, below which the 99th percentile of their incomes is taken from the quartiles, if lower
SHARED = 100  # people at work, with whom the upper quartile's distance from the median is half a job's own
FLOORS = {0: 0.1, 100: 0.03}  # the quantile of schooling that is its low end, by the least number of people
# The 99th percentile of a normal distribution, in distances of the upper quartile from the median.
TO_END = norm.ppf(0.99) / norm.ppf(0.75)
LEVELS = BY_NAME[jobs.SCHOOLING].labels
HOLDERS = LEVELS[-2:]
SHOWN = {
    "physicians and surgeons": "3090", "registered nurses": "3255", "lawyers": "2100 prof", "professors": "2205 prof",
    "school teachers": "2310", "chief executives": "10 not", "software developers": "1021",
    "civil engineers": "1360", "cashiers": "4720", "truck drivers": "9130",
}  # fmt: skip


def places(codes: pd.Series, table: pd.DataFrame) -> pd.Series:
    """Return each real person's job: the block of titles.yaml that has their occupation code and suits them."""
    found = pd.Series(None, table.index, dtype=object)
    for name, block in jobs.blocks().items():
        suits = predicates.hold([block.get("who", "occupied")], table)[:, 0]
        inside = codes.isin(block["codes"]).fillna(False).to_numpy(dtype=bool) & suits
        assert found[inside].isna().all(), f"{name} shares people with {found[inside].dropna().unique()}"
        found[inside] = name
    return found


def income_ends(job: pd.Series, group: pd.Series, income: pd.Series) -> pd.DataFrame:
    """Return the 1st and the 99th percentile of each job's income: index the job, columns `low` and `high`."""
    found = income.astype(float).groupby(job).quantile([0.01, 0.5, 0.75, 0.99]).unstack()
    n = job.value_counts().reindex(found.index)
    spread = np.log(found[0.75] / found[0.5])
    usual = spread.groupby(group.astype("str").groupby(job).first()).transform("median")
    smooth = found[0.5] * np.exp(TO_END * (n * spread + SHARED * usual) / (n + SHARED))
    high = found[0.99].where(n >= FEW, np.minimum(found[0.99], smooth))
    return pd.DataFrame({"low": found[0.01], "high": high}).astype(int)


def figures(job: pd.Series, people: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    rows = {}
    working = people[table["at_work"]]
    ends = income_ends(job[working.index], working[jobs.GROUP], working[jobs.INCOME])
    for name in jobs.blocks():
        those = people[job == name]
        at_work = those[table.loc[those.index, "at_work"]]
        level = those[jobs.SCHOOLING].cat.codes
        floor = FLOORS[max(least for least in FLOORS if least <= len(those))]
        row = {
            jobs.GROUP: those[jobs.GROUP].mode()[0], "people": len(those), "at work": len(at_work),
            "weight": len(those),
            "income low": ends.loc[name, "low"], "income high": ends.loc[name, "high"],
            "schooling low": LEVELS[int(level.quantile(floor, "lower"))],
            "schooling high": LEVELS[int(level.quantile(0.99, "lower"))],
        }  # fmt: skip
        for feature, bands in jobs.FEATURES.items():
            of = at_work if feature == jobs.INCOME else those
            column = of.rename(columns=lambda text: text.replace(" ", "_"))
            place = jobs._places(column, feature)
            counts = np.bincount(place[place >= 0], minlength=len(bands))
            row |= {f"{feature}: {band}": count for band, count in zip(bands, counts, strict=True)}
        rows[name] = row
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("job")


def raked(found: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """Return the figures with weights such that as many people of a group are expected in each job as are in fact."""
    found = found.astype({"weight": float})
    for group, own in found.groupby(jobs.GROUP, sort=False):
        people = table[table["occupied"] & (table["occupation_category"].astype("str") == group)]
        weight, real = own["weight"], own["people"] / own["people"].sum()
        suits = predicates.hold(jobs.prepared(own).who, people)
        for _ in range(ROUNDS):
            chance = jobs.chances(people, jobs.prepared(own.assign(weight=weight)), suits)
            expected = (chance / np.maximum(chance.sum(axis=1, keepdims=True), 1e-300)).mean(axis=0)
            weight = weight * np.clip(real / np.maximum(expected, 1e-6), 0.5, 2)
        found.loc[own.index, "weight"] = (weight * own["people"].sum() / weight.sum()).round(2).clip(lower=0.01)
    return found


def ends(real: pd.DataFrame, table: pd.DataFrame, group: pd.Series) -> list[pd.Series]:
    """Return the 1st and the 99th percentile of income of each person's occupation group, among those at work."""
    at_work = real[table["at_work"]]
    income = at_work[jobs.INCOME].astype(float).groupby(at_work[jobs.GROUP].astype("str"))
    return [group.astype("str").map(income.quantile(q)) for q in (0.01, 0.99)]


def report(job: pd.Series, real: pd.DataFrame, table: pd.DataFrame, n: int) -> None:
    people = rarity.Likely(census.Population.load()).sample(n, 1).rename(index="p{}".format).rename_axis("persona_id")
    theirs = predicates.table(people)
    drawn = jobs.titles(theirs, seed=1).map(jobs._job_of())
    rows = {}
    for what, those, has, of in (("real", real, table, job), ("personas", people, theirs, drawn)):
        low, high = ends(real, table, those[jobs.GROUP])
        income = those[jobs.INCOME].astype(float)
        outside = (income < low) | (income > high)
        found = pd.read_csv(predicates.FOLDER / "jobs.csv", index_col="job")
        known = (income < of.map(found["income low"])) | (income > of.map(found["income high"]))
        rows[what] = {
            "people at work": has["at_work"].sum(),
            "income outside the title's 1st to 99th percentile": known.where(of.notna(), outside)[
                has["at_work"]
            ].mean(),
            "income outside the occupation category's": outside[has["at_work"]].mean(),
            "income outside every title's of the category": jobs.beyond(those)[has["at_work"]].mean(),
            "no title suits (of those with an occupation)": of[has["occupied"]].isna().mean(),
        }
        for name, start in SHOWN.items():
            rows[what][name] = of[has["occupied"]].str.startswith(start).fillna(False).mean()
        holders = found[[f"education: {level}" for level in HOLDERS]].sum(axis=1)
        asking = found.index[holders > 0.5 * found["people"]]
        degree = those[jobs.SCHOOLING].isin(HOLDERS) & has["occupied"]
        asks = of[degree].isin(asking)
        rows[what]["professional and doctorate degrees in titles that ask for one"] = asks.mean()
        by = asks.groupby(those.loc[degree, jobs.GROUP].astype("str")).agg(["mean", "size"])
        rows[what] |= {f"... {name}": row["mean"] for name, row in by.iterrows() if row["size"] > 100}
    print(pd.DataFrame(rows).round(5).to_string())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--personas", type=int, default=100_000)
    given = parser.parse_args()
    real = census.read_pums(given.file)
    codes = pd.read_parquet(given.file, columns=["OCCP"])["OCCP"]
    table = predicates.table(real)
    job = places(codes, table)
    assert (job.notna() == table["occupied"]).all(), "an occupation code has no title"
    if given.write:
        drawn = census.Population.load().sample(DRAWN, 0).rename(index="p{}".format).rename_axis("persona_id")
        raked(figures(job, real, table), predicates.table(drawn)).to_csv(predicates.FOLDER / "jobs.csv")
    report(job, real, table, given.personas)


if __name__ == "__main__":
    main()
