"""Scores of groups: planted differences, groups with nobody in them, and the price of having looked at many."""

import gc

import numpy as np
import pandas as pd
import pytest

from persona_lib import UserError
from persona_lib.attributes import BY_NAME
from persona_lib.bench.intersections import broad, crossings, grid, members, scores, worst
from persona_lib.personas import psychographics


@pytest.fixture(autouse=True, scope="module")
def quick_collection():
    """statsmodels collects garbage at each correction; what pytest has loaded need not be looked through each time."""
    gc.freeze()
    yield
    gc.unfreeze()


def people(n: int = 120, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    race = pd.Categorical(rng.choice(list("ABCD"), n, p=[0.5, 0.3, 0.15, 0.05]), categories=list("ABCDE"))
    table = pd.DataFrame({"sex": rng.choice(["Female", "Male"], n), "race": race, "age": rng.integers(0, 95, n)})
    return table.set_index(pd.Index([f"p{i}" for i in range(n)], name="persona_id"))


def answers(who: pd.DataFrame, chance: pd.Series, prompts: int = 12, seed: int = 0) -> pd.DataFrame:
    """Each persona's scores on all prompts; chances move with persona and prompt."""
    rng = np.random.default_rng([seed, 1])
    table = pd.MultiIndex.from_product([who.index, range(prompts)], names=["persona_id", "prompt_id"]).to_frame(
        index=False
    )
    shift = np.repeat(rng.uniform(-0.15, 0.15, len(who)), prompts) + np.tile(
        rng.uniform(-0.15, 0.15, prompts), len(who)
    )
    kept = rng.random(len(table)) < chance.loc[table["persona_id"]].to_numpy() + shift
    return table.assign(score=kept.astype(float))


def test_groups_are_who_meets_all_of_a_groups_conditions():
    who = people()
    found = members(who, {"women": {"sex": "Female"}, "women of A or B": {"sex": ["Female"], "race": ["A", "B"]}})
    assert (found["women"] == (who["sex"] == "Female")).all()
    assert (found["women of A or B"] == (who["sex"] == "Female") & who["race"].isin(["A", "B"])).all()


def test_crossings_hold_single_values_and_pairs_even_those_that_nobody_has():
    who = people()
    found = crossings(who, ["sex", "race"])
    assert len(found.columns) == 2 + 5 + 10 and not found["race: E"].any()
    assert (found["sex: Male, race: B"] == (who["sex"] == "Male") & (who["race"] == "B")).all()
    assert crossings(who, ["sex", "race"], least=10).sum().min() >= 10


def test_a_planted_difference_is_found_in_the_worst_group_and_nowhere_else():
    who = people()
    result = scores(answers(who, 0.65 - 0.3 * (who["race"] == "B")), crossings(who, ["sex", "race"]))
    assert result["rate"].idxmin() in ("race: B", "sex: Female, race: B", "sex: Male, race: B")
    row = result.loc["race: B"]
    assert row["p_holm"] < 0.01 and row["difference_low"] < -0.3 < row["difference_high"] < 0
    assert result.loc[["sex: Female", "sex: Male"], "p_holm"].min() > 0.05
    assert worst(result)["note"].item() == "lower than everybody else, of 14 groups looked at"


def test_a_group_with_nobody_in_it_is_a_row_that_says_so():
    who = people()
    result = scores(answers(who, 0.6 + 0.0 * who["age"]), crossings(who, ["sex", "race"]))
    empty = result.loc["sex: Male, race: E"]
    assert empty["note"] == "nobody in this group" and empty["personas"] == empty["n"] == 0
    assert empty[["rate", "low", "high", "shrunk", "difference", "p", "p_holm"]].isna().all()
    everybody = scores(answers(who, 0.6 + 0.0 * who["age"]), pd.DataFrame({"all": True}, index=who.index)).iloc[0]
    assert everybody["rate"] > 0 and np.isnan(everybody["difference"]) and np.isnan(everybody["shrunk"])


def test_failed_items_are_counted_and_nothing_scored_is_said():
    who, table = people(), answers(people(), 0.6 + 0.0 * people()["age"])
    table["score"] = table["score"].mask(table["persona_id"].isin(who.index[who["sex"] == "Male"]))
    result = scores(table, crossings(who, ["sex"]))
    assert result.loc["sex: Male", "note"] == "nothing scored" and np.isnan(result.loc["sex: Female", "difference"])
    assert result.loc["sex: Male", "failed"] == 12 * (who["sex"] == "Male").sum()
    assert worst(scores(table.assign(score=np.nan), crossings(who, ["sex"]))).empty
    same = scores(table.assign(score=1.0), crossings(who, ["sex", "race"])).loc["sex: Male"]
    assert same["note"] == "all scores equal" and same["difference"] == 0 and np.isnan(same["p"])


def test_groups_without_differences_seldom_raise_a_false_alarm():
    alarms = []
    for seed in range(15):
        who = people(80, seed)
        result = scores(answers(who, 0.6 + 0.0 * who["age"], 10, seed), crossings(who, ["sex", "race"]))
        alarms.append((result["p_holm"] < 0.05).any())
    assert np.mean(alarms) <= 0.1


def test_shrunk_scores_are_nearer_the_truth_and_their_intervals_hold_it():
    rng, raw, shrunk, hits = np.random.default_rng(0), [], [], []
    for seed in range(15):
        names = pd.Index([f"p{i}" for i in range(60)], name="persona_id")
        who = pd.DataFrame({"group": np.resize(range(15), 60)}, index=names)
        truth = rng.normal(0.55, 0.06, 15).clip(0.4, 0.7)
        result = scores(answers(who, pd.Series(truth[who["group"]], names), 12, seed), crossings(who, ["group"]))
        raw.append(((result["rate"] - truth) ** 2).mean())
        shrunk.append(((result["shrunk"] - truth) ** 2).mean())
        hits.append(((result["shrunk_low"] <= truth) & (truth <= result["shrunk_high"])).mean())
    assert np.mean(shrunk) < 0.8 * np.mean(raw)
    assert 0.88 <= np.mean(hits) <= 0.995


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: members(people(), {"x": {"gender": "Female"}}), "personas have no 'gender'"),
        (lambda: members(people(), {"x": {"sex": "female"}}), "nobody's sex is 'female': Female, Male"),
        (lambda: crossings(people(), ["sex", "gender"]), "have no gender"),
        (lambda: crossings(people(), ["age"]), "put it in bands"),
        (lambda: scores(answers(people(), 0.5 + 0.0 * people()["age"]), crossings(people(50), ["sex"])), "70 personas"),
    ],
)
def test_a_group_that_cannot_be_is_refused(call, message):
    with pytest.raises(UserError, match=message):
        call()


def test_broad_groups_hold_every_label_of_the_attributes_and_keep_what_is_missing():
    labels = BY_NAME["education"].labels
    who = pd.DataFrame({"education": [*labels, None]}).astype("str")
    found = broad(who)["schooling"]
    assert found.isna().tolist() == [False] * len(labels) + [True]
    kinds = dict(zip(labels, found, strict=False))
    assert kinds["12th grade - no diploma"] == "no diploma" and kinds["Regular high school diploma"] == "high school"
    assert kinds["Associate's degree"] == "some college" and kinds["Doctorate degree"] == "bachelor's or more"
    assert found.iloc[:-1].is_monotonic_increasing, "the Bureau's order is kept"
    party = broad(pd.DataFrame({"political views": [*psychographics.PARTIES, None]}))["party"]
    expected = {"Democrat or close": 3, "Republican or close": 3, "neither": 2}
    assert party.value_counts().to_dict() == expected and party.isna().tolist() == [False] * 8 + [True]
    assert party.iloc[2] == "Democrat or close" and party.iloc[4] == "Republican or close"


def test_broad_groups_of_age_and_race_have_their_bounds_and_those_that_nobody_is_in():
    race = ["White alone", "Two or More Races", "American Indian alone", None]
    who = pd.DataFrame({"age": pd.array([34, 35, 54, 55], "Int64"), "race": race})
    found = broad(who)
    assert found["age group"].tolist() == ["under 35", "35 to 54", "35 to 54", "55 or older"]
    assert found["race group"].tolist()[:3] == ["White", "two or more races", "another race"]
    assert found["race group"].isna().tolist() == [False] * 3 + [True]
    assert list(found["race group"].cat.categories) == ["White", "Black", "Asian", "two or more races", "another race"]
    assert list(found.columns) == ["age", "race", "age group", "race group"], "what personas lack makes no group"


def test_a_grid_has_each_value_against_each_other_once_with_its_own_score():
    who = people()
    result = scores(answers(who, 0.6 + 0.0 * who["age"]), crossings(who, ["sex", "race"]))
    cells = grid(result, who, ["sex", "race"])
    assert len(cells) == 7 + 10 and not cells.duplicated(["attribute", "value", "other", "other value"]).any()
    both = cells.query("attribute == 'race' and value == 'B' and other == 'sex' and `other value` == 'Male'").squeeze()
    assert both["rate"] == result.loc["sex: Male, race: B", "rate"] and both["n"] > 0
    alone = cells.query("attribute == other and value == `other value`")
    single = [f"{row.attribute}: {row.value}" for row in alone.itertuples()]
    assert len(single) == 7 and alone["n"].tolist() == result.loc[single, "n"].tolist()
    lacking = grid(result.drop(index="sex: Male, race: B"), who, ["sex", "race"])
    assert len(lacking) == 16 and not lacking["rate"].eq(both["rate"]).any()


def test_a_number_is_a_condition_too():
    who = people()
    assert (members(who, {"x": {"age": int(who["age"].iloc[0])}})["x"] == (who["age"] == who["age"].iloc[0])).all()


def test_the_worst_group_is_not_called_worse_where_that_is_not_shown():
    who = people()
    level = scores(answers(who, 0.6 + 0.0 * who["age"]), crossings(who, ["sex"]))
    assert worst(level)["note"].item() == "not shown to be lower than everybody else, of 2 groups looked at"
    assert worst(level).index[0] == level["rate"].idxmin()
    same = scores(answers(who, 0.6 + 0.0 * who["age"]).assign(score=1.0), crossings(who, ["sex"]))
    assert worst(same)["note"].item() == "all groups score alike, of 2 groups looked at"
    three = pd.DataFrame({"rate": [0.5, 0.5, 0.9], "shrunk": [0.6, 0.6, 0.8], "low": 0.1})
    three = three.assign(difference=0.0, p_holm=1.0)
    assert worst(three)["note"].item() == "2 groups tie for the lowest, of 3 groups looked at"
    some = pd.concat([three.head(2), three.tail(1).assign(low=np.nan, shrunk=np.nan, rate=0.0)])
    assert worst(some)["note"].item() == "all 2 groups with an interval score alike, of 3 groups looked at"
