"""Titles of jobs: bounds of income and schooling hold, and occupations come in their numbers."""

import numpy as np
import pandas as pd
import pytest

from persona_lib import census
from persona_lib.attributes import BY_NAME
from persona_lib.personas import consistency, jobs, predicates

HOLDERS = BY_NAME["education"].labels[-2:]


@pytest.fixture(scope="module")
def people() -> pd.DataFrame:
    return census.Population.load().sample(30_000, seed=7).rename(index="p{}".format).rename_axis("persona_id")


@pytest.fixture(scope="module")
def drawn(people) -> pd.DataFrame:
    """Those with an occupation, with `title`, `job` and `at_work`."""
    table = predicates.table(people)
    title = jobs.titles(table, seed=7)
    found = people.assign(title=title, job=title.map(jobs._job_of()), at_work=table["at_work"])
    return found[table["occupied"]]


def test_every_job_has_figures_and_every_title_one_job():
    figures, blocks = jobs._figures(), jobs.blocks()
    assert list(figures.index) == list(blocks) and figures.index.is_unique
    titles = [title for block in blocks.values() for title in block["titles"]]
    assert len(titles) > 600 and len(set(titles)) == len(titles)
    assert (figures["income low"] < figures["income high"]).all() and (figures["weight"] > 0).all()
    features = [f"{feature}: {band}" for feature, bands in jobs.FEATURES.items() for band in bands]
    assert list(figures.columns[-len(features) :]) == features
    assert set(figures["occupation category"]) == set(BY_NAME["occupation category"].labels[:-1])


def test_income_and_schooling_lie_within_the_bounds_of_the_title(drawn):
    known = drawn.dropna(subset="job")
    figures = jobs._figures().loc[known["job"]].set_index(known.index)
    income = known["income"].astype(float)
    inside = (income >= figures["income low"]) & (income <= figures["income high"])
    assert inside[known["at_work"]].all() and not inside.all()
    level, low, high = (
        pd.Categorical(labels.astype("str"), jobs.LEVELS).codes
        for labels in (known["education"], figures["schooling low"], figures["schooling high"])
    )
    assert ((low <= level) & (level <= high)).all()
    assert drawn["job"].isna().mean() < 0.025  # the others have a title that names their group alone; measured: 2.0%
    beyond = jobs.beyond(drawn)
    assert 0 < beyond[drawn["at_work"]].mean() < 0.01 and drawn.loc[beyond, "job"].isna().all()


KNOWN = {  # titles, and how far their share may be from the census's, relative to it
    "physician|surgeon|pediatrician": 0.3, "attorney|lawyer": 0.35, "professor": 0.35,
    "executive who|executive dir": 0.3, "engineer who": 0.2, "registered nurse|nurse who": 0.2, "school teacher": 0.2,
}  # fmt: skip


@pytest.mark.parametrize("title", KNOWN)
def test_well_known_occupations_come_in_their_numbers(drawn, title):
    of = {name for name, block in jobs.blocks().items() if any(pd.Series(block["titles"]).str.contains(title))}
    figures = jobs._figures()
    expected = figures.loc[list(of), "people"].sum() / figures["people"].sum()
    found = drawn["job"].isin(of)
    assert found.sum() > 40 and found.mean() == pytest.approx(expected, rel=KNOWN[title])


def test_holders_of_the_highest_degrees_have_titles_that_ask_for_one(drawn):
    figures = jobs._figures()
    count = figures[[f"education: {label}" for label in HOLDERS]].sum(axis=1)
    asking = figures.index[count > 0.5 * figures["people"]]
    holders = drawn[drawn["education"].isin(HOLDERS)]
    real = count[asking].sum() / count.sum()
    assert real > 0.5 and holders["job"].isin(asking).mean() == pytest.approx(real, abs=0.06)


def person(**values) -> pd.DataFrame:
    usual = {"age": 45, "sex": "Male", "education": "Regular high school diploma", "income": 40_000,
             "class of worker": BY_NAME["class of worker"].labels[0], "industry category": "Health care",
             "employment status": "Civilian employed, at work"}  # fmt: skip
    names = {name.replace(" ", "_"): name for name in BY_NAME}
    return pd.DataFrame([usual | {names[key]: value for key, value in values.items()}], index=["p"]).rename_axis(
        "persona_id"
    )


OFFICE, SOCIAL = "Office and administrative support", "Community and social service"
PLANS = "Architecture and engineering"
CLEANING, HEALTH = "Building and grounds cleaning and maintenance", "Healthcare practitioners and technical"
ABSURD = [
    (person(occupation_category=CLEANING, income=420_000), "custodian who waxes floors and fixes small things"),
    (person(occupation_category="Office and administrative support", income=420_000), "file clerk who scans and sorts"),
    (person(occupation_category=HEALTH, education="Doctorate degree"), "licensed practical nurse who gives medicine"),
    (person(occupation_category=HEALTH), "physician who sees patients all day"),
    (person(occupation_category="Business operations", education="No schooling completed"), "logistics planner who"),
    # of jobs with few people in the sample
    (person(occupation_category=OFFICE, income=200_000), "human resources assistant who keeps files"),
    (person(occupation_category=SOCIAL, income=250_000, education="Master's degree"), "probation officer who checks"),
    (person(occupation_category=SOCIAL, income=200_000, education="Master's degree"), "youth worker who leads groups"),
    (person(occupation_category=PLANS, income=570_000, education="Master's degree"), "landscape architect who designs"),
    (person(occupation_category=PLANS), "landscape architect who designs"),
]


@pytest.mark.parametrize(("somebody", "title"), ABSURD)
def test_a_title_that_does_not_fit_is_not_drawn_and_is_found(somebody, title):
    (title,) = [known for known in jobs._job_of() if known.startswith(title)]
    many = pd.concat([somebody] * 300).set_axis([f"p{i}" for i in range(300)]).rename_axis("persona_id")
    assert title not in set(jobs.titles(predicates.table(many), seed=0))
    found = consistency.check(somebody.assign(**{jobs.JOB: f"{title}; at a hospital"}))
    assert "detailed job description of somebody else" in set(found["rule"])
    assert title in " ".join(found["reason"])


def test_who_is_at_work_beyond_75_has_a_job_that_others_of_that_age_have():
    vets = pd.concat([person(age=94, income=120_000, occupation_category=HEALTH, education="Doctorate degree")] * 300)
    drawn = jobs.titles(predicates.table(vets.set_axis([f"p{i}" for i in range(300)])), seed=0)
    old = jobs._figures()["age: 75"]
    assert drawn.notna().mean() > 0.9 and (old[drawn.dropna().map(jobs._job_of())] >= 2).all()


def test_the_self_employed_are_seldom_in_jobs_of_employees(drawn):
    own = drawn[predicates.table(drawn.drop(columns=["title", "job", "at_work"]))["own_business"]].dropna(subset="job")
    figures = jobs._figures()
    counts = figures[[f"class of worker: {label}" for label in BY_NAME["class of worker"].labels[5:7]]].sum(axis=1)
    share = (counts / figures["people"])[own["job"]]
    assert len(own) > 1_000 and (share < 0.04).mean() < 0.03


def test_nobody_without_a_diploma_is_called_the_head_of_anything():
    blocks = [block for block in predicates.read("job") if block["topic"] == "title"]
    rich = pd.concat([person(occupation_category=group, education="No schooling completed", income=107_000)
                      for group in BY_NAME["occupation category"].labels[:-1]])  # fmt: skip
    table = predicates.table(rich.set_axis([f"p{i}" for i in range(len(rich))]))
    suits = predicates.hold([block["who"] for block in blocks], table)
    assert suits.any(axis=1).all()
    told = " ".join(text for block, who in zip(blocks, suits.T, strict=True) if who.any() for text in block["phrases"])
    assert not any(word in told for word in ("head of", "executive", "director", "officer who"))


def test_what_is_missing_suits_every_title_and_income_counts_at_work_alone():
    title = "custodian who waxes floors and fixes small things"
    told = {"occupation category": CLEANING, jobs.JOB: title}
    assert jobs.unsuited(predicates.table(pd.DataFrame([{"age": 40, **told}]))).empty
    retired = person(income=420_000, employment_status="Not in labor force", **{"occupation_category": CLEANING})
    assert jobs.unsuited(predicates.table(retired.assign(**{jobs.JOB: title}))).empty
    jobless = retired.assign(**{"employment status": "Unemployed", jobs.JOB: title})
    assert len(jobs.unsuited(predicates.table(jobless))) == 1  # out of the job for less than a year
    assert jobs.unsuited(predicates.table(jobless.assign(income=0))).empty
    assert not jobs.beyond(retired).any() and jobs.beyond(person(occupation_category=CLEANING, income=9_000_000)).all()
    assert not jobs.beyond(person(occupation_category=CLEANING, income=np.nan)).any()
