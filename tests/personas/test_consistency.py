"""Contradictions: rules and a model find them, possible people stay, and the report shows the filter's bias."""

import itertools
import json
import re

import numpy as np
import pandas as pd
import pytest
from endpoint import Endpoint, completion
from places import ROOT
from statsmodels.stats.proportion import proportion_confint

from persona_lib import UserError, census, personas, stats
from persona_lib.attributes import CENSUS, NAMES
from persona_lib.model import Model
from persona_lib.personas import consistency, filtering, predicates
from persona_lib.personas import texts as written
from persona_lib.store import Store

LOOKED_UP = "of somebody else"  # the end of the name of each rule that looks up hand-written phrases


def profiles(name: str) -> pd.DataFrame:
    """People as drawn once. Jobs, and texts with a phrase whose predicate has changed since, are drawn anew."""
    table = pd.read_csv(ROOT / "tests" / f"{name}_profiles.csv", index_col="persona_id", dtype="str")
    table = table.astype({"age": "int64", "income": "float64"})
    found = consistency.check(table)
    today = written.fallback(table, seed=2024).join(written.quirks(table, seed=2024))
    table["detailed job description"] = today["detailed job description"]
    for attribute in consistency.SETS:
        those = found.loc[found["rule"] == f"{attribute} {LOOKED_UP}", "persona_id"].unique()
        table.loc[those, attribute] = today.loc[those, attribute]
    return table


def exchanged(name: str) -> tuple[pd.DataFrame, pd.Series]:
    """The profiles with the values exchanged, and which of them a reader found to contradict themselves."""
    table, rows = profiles(name), {}
    exchanges = pd.read_csv(ROOT / "tests" / f"{name}.csv")
    for number, those in exchanges.groupby("exchange"):
        rows[f"x{number}"] = table.loc[those["persona_id"].iloc[0]].copy()
        for change in those.itertuples():
            rows[f"x{number}"][change.attribute] = table.loc[change.donor, change.attribute]
    contradicts = exchanges.groupby("exchange")["contradiction"].first().eq("yes")
    changed = pd.DataFrame(rows).T.astype({n: "str" for n in table} | {"age": "int64", "income": "float64"})
    return changed.rename_axis("persona_id"), contradicts.set_axis(changed.index)


@pytest.fixture(scope="module")
def clean() -> pd.DataFrame:
    people = personas.sample(6_000, seed=11, balanced=False)
    labels = np.random.default_rng(0).choice(["Liberal", "Moderate", "Extremely conservative"], len(people))
    people["ideology"] = pd.Series(labels, people.index).where(people["age"] >= 18)
    texts = written.fallback(people, seed=11)
    return people.assign(**texts[[*written.SETS]], **written.quirks(people, seed=11))


def test_planted_contradictions_are_found():
    changed, contradicts = exchanged("planted")
    assert contradicts.sum() >= 200
    found = consistency.check(changed)
    flagged = pd.Series(changed.index.isin(found["persona_id"]), changed.index)
    assert flagged[contradicts].mean() >= 0.95  # measured: 1.00
    assert flagged[~contradicts].mean() <= 0.12  # exchanges that make a possible person; measured: 0.08
    own = found[~found["rule"].str.endswith(LOOKED_UP)]
    assert changed.index.isin(own["persona_id"])[contradicts].mean() >= 0.9  # where a model wrote the texts; 0.91


def test_contradictions_planted_after_the_rules_were_written_are_found_too():
    changed, contradicts = exchanged("heldout")
    flagged = pd.Series(changed.index.isin(consistency.check(changed)["persona_id"]), changed.index)
    assert flagged[contradicts].mean() >= 0.95  # measured: 48 of 49, and 2 of 21 exchanges that make a possible person
    assert flagged[~contradicts].mean() <= 0.12
    assert len(consistency.check(profiles("heldout"))) == 0


def test_people_as_drawn_contradict_themselves_in_less_than_1_of_100_cases(clean):
    found = consistency.check(clean)
    # Measured: none. If it were 1.5%, 1 sample of 6,000 in 1,000 would pass.
    assert found["persona_id"].nunique() / len(clean) <= 0.01
    assert list(found.columns) == ["persona_id", "rule", "reason"]
    assert len(consistency.check(profiles("planted"))) == 0


def test_real_people_are_not_removed(shared):
    people = census.read_pums(shared / "acs" / "us_persons_2024.parquet")
    assert consistency.check(people)["persona_id"].nunique() / len(people) <= 0.001


def test_every_rule_has_a_name_a_reason_and_finds_nobody_among_people_as_drawn_only_by_age(clean):
    rules = predicates.read("consistency")
    assert len({rule["name"] for rule in rules}) == len(rules) >= 20
    assert all(len(rule["reason"]) > 20 and set(rule) == {"name", "reason", "when"} for rule in rules)
    assert len(consistency.check(clean[["age"]].head(1_000))) == 0


ADULT = {"age": 40, "employment status": "Civilian employed, at work", "occupation category": "Legal"}
CASES = {
    "born in a state, yet no citizen by birth there": {
        "place of birth": "Ohio",
        "citizenship": "Not a citizen of the U.S.",
    },
    "born in the U.S., yet elsewhere": {"place of birth": "France", "citizenship": "Born in the U.S."},
    "born on an island area, yet another citizenship": {"place of birth": "Guam", "citizenship": "Born in the U.S."},
    "citizen by birth on an island area, yet born elsewhere": {
        "place of birth": "Peru",
        "citizenship": "Born in Puerto Rico, Guam, the U.S. Virgin Islands, or the Northern Marianas",
    },
    "one race, and an ancestry of another": {"race": "White alone", "ancestry": "Korean"},
    "a child with a party or an ideology": {"age": 9, "political views": "Strong Democrat"},
    "a small child with a tested personality": {"age": 4, "big five scores": "Openness: Low"},
    "an infant with quirks": {"age": 1, "mannerisms": "skips"},
    "far behind at school": {"age": 13, "education": "Grade 1"},
    "a child's day with a grown-up's things": {"age": 8, "lifestyle": "pays the rent on time"},
    "a child who lives alone, by the text": {"age": 9, "lifestyle": "Lives alone."},
    "a grown-up's day with a child's things": {"personal time": "tells jokes at recess"},
    "a spouse for somebody without one": {"marital status": "Widowed", "lifestyle": "cooks with her husband"},
    "lives alone, in a household of several": {
        "household type": "Married couple household",
        "lifestyle": "Lives quietly alone",
    },
    "lives with others, in a household of one": {
        "household type": "Nonfamily household: Male householder: Living alone",
        "lifestyle": "lives with roommates",
    },
    "small children at home, and none": {"household type": "Married couple household", "lifestyle": "has a toddler"},
    "no children at home, and some": {
        "family presence and age": "With related children 5 to 17 years only",
        "lifestyle": "a childless couple",
    },
    "children in the home of somebody who lives alone": {
        "household type": "Nonfamily household: Male householder: Living alone",
        "lifestyle": "cooks for the children at home",
    },
    "a job for somebody without an occupation": {
        "occupation category": None,
        "detailed job description": "Sells cars",
    },
    "work for somebody who has none": {"employment status": "Unemployed", "lifestyle": "rests after work"},
    "a present job for somebody who has none": {
        "employment status": "Unemployed",
        "detailed job description": "currently drafts wills",
    },
    "out of work or retired, and at work": {"lifestyle": "is retired and travels"},
    "retired long before the age": {"age": 30, "lifestyle": "enjoys retirement"},
    "a profession without its degree": {"education": "Grade 9", "detailed job description": "Attorney for tenants"},
    "a job of another occupation": {"detailed job description": "truck driver on long routes"},
    "a job at another level of government": {
        "class of worker": "Federal government employee",
        "detailed job description": "paralegal who prepares exhibits; at city hall",
    },
    "a school teacher at a college, or a college teacher at a school": {
        "occupation category": "Educational instruction and library",
        "detailed job description": "high school teacher who covers history; at a state university",
    },
    "no money, with a high income": {"income": 150_000, "lifestyle": "lives on very little"},
    "much money, with a low income": {
        "income": 2_000,
        "household type": "Nonfamily household: Male householder: Living alone",
        "lifestyle": "keeps a yacht",
    },
    "sight or hearing against the text": {"hearing difficulty": "No", "mannerisms": "is deaf and signs"},
    "a wheelchair without a disability": {
        "disability": "Without a disability",
        "mannerisms": "uses a wheelchair with flair",
    },
}


@pytest.mark.parametrize("name", [rule["name"] for rule in predicates.read("consistency")])
def test_each_rule_finds_its_case_and_gives_its_reason(name):
    person = pd.DataFrame([ADULT | CASES[name]], index=["p"])
    found = consistency.check(person)
    assert name in found["rule"].tolist(), found
    reason = found.set_index("rule").loc[name, "reason"]
    assert reason == next(rule["reason"] for rule in predicates.read("consistency") if rule["name"] == name)


@pytest.mark.parametrize(
    "person",
    [
        {"political views": "Strong Democrat", "ideology": "Extremely conservative"},
        {"marital status": "Widowed", "lifestyle": "visits the grave of her late husband"},
        {"race": "White alone", "ancestry": "Mexican"},
        {"race": "Two or More Races", "ancestry": "Korean and German"},
        {"place of birth": "Puerto Rico"},
        {"education": "Grade 9", "detailed job description": "legal assistant to an attorney"},
        {
            "class of worker": "Local government employee (city, county, etc.)",
            "industry category": "Public administration",
            "detailed job description": "writes requests for federal grants under state law; at city hall",
        },
        {
            "occupation category": "Educational instruction and library",
            "education": "Doctorate degree",
            "detailed job description": "professor of surgery; at a medical school",
        },
        {"income": 0, "lifestyle": "seems to have no money worries"},
        {"household type": "Married couple household", "lifestyle": "minds the neighbor's toddler"},
        {"lifestyle": None, "mannerisms": None, "ideology": None},
    ],
)
def test_what_is_merely_rare_or_unknown_stays(person):
    assert len(consistency.check(pd.DataFrame([ADULT | person]))) == 0


LEVELS = {
    "Federal government employee": ["for the postal service", "at a veterans hospital", "for a federal agency"],
    "State government employee": ["for a state department", "at a state university", "for the state"],
    "Local government employee (city, county, etc.)": [
        "at city hall",
        "at a county hospital",
        "for a city transit agency",
        "for a school district",
        "for the county",
    ],
}


@pytest.mark.parametrize("own", LEVELS)
def test_a_place_of_each_other_level_of_government_contradicts_and_one_of_the_own_does_not(own):
    cases = {place: level for level, places in LEVELS.items() for place in places}
    jobs = pd.Series([f"paralegal; {place}; strict about safety" for place in cases], list(cases))
    found = consistency.check(pd.DataFrame(ADULT | {"class of worker": own, "detailed job description": jobs}))
    found = found[found["rule"] == "a job at another level of government"]
    assert set(found["persona_id"]) == {place for place, level in cases.items() if level != own}


def test_phrases_fit_loosely_but_not_at_any_price():
    person = {"age": 66, "mannerisms": "checks the phone between sentences", "defining quirks": "mends old radios"}
    assert len(consistency.check(pd.DataFrame([person]))) == 0
    found = consistency.check(pd.DataFrame([{"age": 66, "mannerisms": "skips instead of walking"}]))
    assert found["rule"].tolist() == ["mannerisms of somebody else"]
    assert found["reason"].tolist() == ["'skips instead of walking' is for child and able"]


def test_loose_terms_never_exclude_whom_the_strict_ones_admit(clean):
    table = predicates.table(clean.head(5_000))
    for name in consistency.SETS.values():
        who = {block["who"] for block in predicates.read(name)}
        strict, loose = (predicates.hold(list(who), of) for of in (table, predicates.loosened(table)))
        assert not (strict & ~loose).any()


def test_an_unknown_label_is_refused_and_an_empty_table_has_no_contradictions():
    with pytest.raises(UserError, match=r"race has values .*\(Martian\)"):
        consistency.check(pd.DataFrame([{"age": 40, "race": "Martian"}]))
    assert len(consistency.check(personas.sample(5).head(0))) == 0


def judge(body: dict) -> dict:
    """Find widows odd, and give no valid reply about the person aged 20."""
    profile = re.search(r"<persona>\n(.*)\n</persona>", body["messages"][1]["content"], re.DOTALL)[1]
    if "age: 20" in profile:
        return completion("hard to say")
    odd = "Widowed" in profile
    return completion(
        json.dumps(
            {"why": "widowed early" if odd else "none", "attribute": "marital status" if odd else "none"}
            | {"verdict": "inconsistent" if odd else "consistent"}
        )
    )


@pytest.fixture(scope="module")
def four() -> pd.DataFrame:
    rows = [(20, "Married"), (30, "Widowed"), (40, "Married"), (50, "Divorced")]
    index = pd.Index(["a", "b", "c", "d"], name="persona_id")
    return pd.DataFrame(rows, columns=["age", "marital status"], index=index)


@pytest.fixture(scope="module")
def verdicts(four, tmp_path_factory) -> pd.DataFrame:
    with Endpoint(judge) as endpoint:
        table = consistency.ask(four, Model("m", endpoint.url, Store(tmp_path_factory.mktemp("s") / "s")))
    # Twice the invalid reply is asked for again; one call more may say the schema in words.
    assert "marital status: Widowed" in str(endpoint.requests) and len(endpoint.requests) in (4 + 2, 4 + 2 + 1)
    fields = endpoint.requests[0]["response_format"]["json_schema"]["schema"]["properties"]
    assert fields["attribute"]["enum"] == [*NAMES, "none"]
    return table


def test_a_model_says_which_profiles_contradict_themselves_and_why(verdicts):
    assert verdicts.loc[["b", "c", "d"], "consistent"].tolist() == [False, True, True]
    assert verdicts.loc["b", ["why", "attribute"]].tolist() == ["widowed early", "marital status"]
    assert verdicts["judge"].eq("m").all() and verdicts["judge_template"].str.len().eq(12).all()


def test_an_invalid_verdict_is_missing_with_its_reason(verdicts):
    assert pd.isna(verdicts.loc["a", "consistent"]) and verdicts.loc["a", "failure"].startswith("invalid reply")
    assert verdicts.loc[["b", "c", "d"], "failure"].isna().all()


def test_the_report_of_a_models_verdicts_counts_invalid_ones_separately(four, verdicts):
    table = filtering.report(four, verdicts, by=["marital status"]).set_index(["by", "group"])
    assert table.loc[("all", "all"), ["n", "failed", "removed"]].tolist() == [3, 1, 1]
    assert table.loc[("reason", "marital status"), "removed"] == 1
    assert table.loc[("marital status", "Widowed"), "rate"] == 1
    assert table.loc[("marital status", "Married"), ["n", "failed", "removed"]].tolist() == [1, 1, 0]


def test_the_report_shows_whom_the_rules_remove_with_intervals():
    changed, _ = exchanged("planted")
    found = consistency.check(changed)
    table = filtering.report(changed, found, by=["sex", "age", "ideology"])
    parts = table.set_index(["by", "group"])
    assert parts.loc[("all", "all"), "removed"] == found["persona_id"].nunique()
    for by in ("sex", "age", "ideology"):
        assert table.loc[table["by"] == by, "n"].sum() == len(changed)
        assert table.loc[table["by"] == by, "removed"].sum() == found["persona_id"].nunique()
    assert (table["by"] == "age").sum() == 4 and ("ideology", "missing") in parts.index
    counts = found.groupby("rule")["persona_id"].nunique()
    reasons = parts.loc["reason", "removed"]
    assert reasons.is_monotonic_decreasing
    assert reasons.sort_index().equals(counts.rename_axis("group").rename("removed"))
    removed = pd.Series(changed.index.isin(found["persona_id"]).astype(float))
    everybody = stats.rate(removed, changed.reset_index()[["persona_id"]])
    assert parts.loc[("all", "all"), ["low", "high"]].tolist() == pytest.approx([everybody["low"], everybody["high"]])
    low, high = proportion_confint(table["removed"], table["n"], method="beta")  # Clopper and Pearson's
    assert (table["low"] <= low + 0.001).all() and (table["high"] >= high - 0.001).all()
    with pytest.raises(UserError, match="the personas have no shoe size"):
        filtering.report(changed, found, by=["shoe size"])


def test_the_groups_of_the_report_are_named_and_in_order():
    changed, _ = exchanged("planted")
    table = filtering.report(changed, consistency.check(changed), by=["age", "ideology", "education"])
    groups = table.groupby("by")["group"].agg(list)
    ends = [tuple(map(int, group.split(" to "))) for group in groups["age"]]
    assert ends[0][0] == changed["age"].min() and ends[-1][1] == changed["age"].max()
    assert all(high < low for (_, high), (low, _) in itertools.pairwise(ends))
    assert groups["ideology"][:2] == ["Extremely liberal", "Liberal"] and groups["ideology"][-1] == "missing"
    assert groups["education"][0] == "No schooling completed"
    assert list(table.columns) == ["by", "group", "n", "failed", "removed", "rate", "low", "high"]


def test_census_columns_alone_can_be_checked_and_an_impossible_person_is_named():
    people = personas.sample(500, seed=2)[list(CENSUS)]
    assert len(consistency.check(people)) == 0
    people.loc[people.index[0], "age"] = 2
    assert "census: age and education" in set(consistency.check(people)["rule"])
