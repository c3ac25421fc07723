"""Scores of groups: planted differences, groups with nobody in them, and the price of having looked at many."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from persona_lib import UserError
from persona_lib.attributes import BY_NAME
from persona_lib.bench.groups import alike, banded, broad, crossings, grid, members, singles
from persona_lib.bench.intersections import headline, named, scores, worst
from persona_lib.personas import psychographics
from persona_lib.stats.intervals import ITEM, rate


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


def test_a_group_of_the_same_people_as_a_crossing_is_named_and_one_of_nobody_is_not():
    who = people()
    own = members(who, {"women of A": {"sex": "Female", "race": "A"}, "old": {"age": {"from": 60}}, "E": {"race": "E"}})
    assert alike(own, crossings(who, ["sex", "race"])) == {"women of A": "sex: Female, race: A"}
    assert alike(own, own.iloc[:, :0]) == {}


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
    assert worst(result)["note"].item() == "lower than everybody else after correction (14 groups looked at)"


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
        who = pd.DataFrame({"group": np.resize(list("abcdefghijklmno"), 60)}, index=names)
        place = np.resize(range(15), 60)
        truth = rng.normal(0.55, 0.06, 15).clip(0.4, 0.7)
        result = scores(answers(who, pd.Series(truth[place], names), 12, seed), crossings(who, ["group"]))
        raw.append(((result["rate"] - truth) ** 2).mean())
        shrunk.append(((result["shrunk"] - truth) ** 2).mean())
        hits.append(((result["shrunk_low"] <= truth) & (truth <= result["shrunk_high"])).mean())
    assert np.mean(shrunk) < 0.8 * np.mean(raw)
    assert 0.88 <= np.mean(hits) <= 0.995


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: members(people(), {"x": {"gender": "Female"}}), "personas have no 'gender'"),
        (lambda: members(people(), {"x": {"sex": "female"}}), "sex is never 'female': .*Female"),
        (lambda: members(people(), {"x": "Female"}), "group 'x' is 'Female': write its attributes"),
        (lambda: members(people(), {"x": {"age": "65 to 80"}}), "age is a number and '65 to 80' is none"),
        (lambda: members(people(), {"x": {"age": {"from": 80, "to": 65}}}), "age from 80 to 65: no number"),
        (lambda: members(people(), {"x": {"age": {"over": 80}}}), "a range of a number is {'from': 65, 'to': 80}"),
        (lambda: members(people(), {"x": {"age": {"from": "old"}}}), "age can't be {'from': 'old'}"),
        (lambda: members(people(), {"x": {"sex": {"from": 1}}}), "sex can't be"),
        (lambda: crossings(people(), ["sex", "gender"]), "have no gender"),
        (
            lambda: crossings(people().assign(ancestry=[f"a{i}" for i in range(120)]), ["ancestry"]),
            "more than 40 values",
        ),
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
    faith = broad(pd.DataFrame({"religion": [*psychographics.RELIGIONS, "Agnostic", None]}))["religion group"]
    expected = {"Protestant": 3, "Catholic": 1, "another religion": 8, "no religion": 2}
    assert faith.value_counts().to_dict() == expected and faith.isna().tolist() == [False] * 14 + [True]
    sides = broad(pd.DataFrame({"ideology": [*psychographics.IDEOLOGIES, "leave me alone", None]}))["ideology group"]
    assert sides.tolist()[:7] == ["liberal"] * 3 + ["moderate"] + ["conservative"] * 3 and sides[7:].isna().all()
    label = broad(pd.DataFrame({"ideology": ["in my own words"], "ideology label": ["Liberal"]}))["ideology group"]
    assert label.tolist() == ["liberal"], "the label counts where the ideology is in free words"
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


def test_a_number_or_a_range_of_it_is_a_condition_and_may_be_nobodys():
    who = people()
    who["age"] = who["age"].astype("Int64")
    who.loc[who.index[3], "age"] = pd.NA
    ends = {"both": {"from": 65, "to": 80}, "old": {"from": 65}, "young": {"to": 30.5}, "nobody": {"from": 200}}
    found = members(who, {name: {"age": range_} for name, range_ in ends.items()} | {"one": {"age": [7, 300]}})
    ages = who["age"].fillna(-1)
    assert (found["both"] == ages.between(65, 80)).all() and (found["old"] == (ages >= 65)).all()
    assert (found["young"] == ages.between(0, 30.5)).all() and (found["one"] == (ages == 7)).all()
    assert not found["nobody"].any() and found.dtypes.eq(bool).all()


def test_own_groups_may_be_of_nobody_if_the_value_can_be():
    who = people().assign(religion="Catholic", ancestry="Irish")
    wanted = {"Jews": {"religion": "Jewish"}, "Poles": {"ancestry": "Polish"}, "race E": {"race": "E"}}
    found = scores(answers(who, 0.6 + 0.0 * who["age"]), members(who, wanted | {"all Irish": {"ancestry": "Irish"}}))
    assert found["note"].tolist()[:3] == ["nobody in this group"] * 3 and found.loc["all Irish", "personas"] == 120


def test_numbers_are_put_in_bands_by_themselves_the_same_for_the_map():
    who = people().assign(income=lambda t: t["age"] * 1_500, height=np.linspace(150, 210, 120), children=1)
    columns = crossings(who, ["age", "income", "height"], ["children"])
    wide = ["age: under 35", "age: 35 to 54", "age: 55 or older", "income: under 25,000", "income: 100,000 or more"]
    assert set(wide) <= set(columns) and columns["children: 1"].all()
    assert (columns["age: 35 to 54"] == who["age"].between(35, 54)).all()
    assert (columns["income: under 25,000"] == (who["income"] < 25_000)).all()
    heights = [name for name in columns if name.startswith("height: ") and "," not in name.replace("0,", "")]
    assert heights[0] == "height: 150 to 164.622" and columns[heights].sum().tolist() == [30] * 4
    assert (columns[heights].sum(axis=1) == 1).all(), "everybody is in one band"
    assert singles(who, ["height"]) == heights
    result = scores(answers(who, 0.6 + 0.0 * who["age"]), columns)
    assert len(grid(result, who, ["age", "income", "height"])) == len(columns.columns) - 1
    few = banded(pd.Series([1, 2, None], name="children"))
    assert few.tolist()[:2] == [1, 2], "few different numbers stay as they are"


def test_single_attributes_are_groups_but_are_not_crossed():
    found = crossings(people(), ["sex"], ["race", "sex"])
    assert list(found) == ["sex: Female", "sex: Male", *(f"race: {race}" for race in "ABCDE")]


def test_the_worst_group_is_not_called_worse_where_that_is_not_shown():
    who = people()
    level = scores(answers(who, 0.6 + 0.0 * who["age"]), crossings(who, ["sex"]))
    assert (
        worst(level)["note"].item() == "not shown to be lower than everybody else after correction (2 groups looked at)"
    )
    assert worst(level).index[0] == level["rate"].idxmin() == named(worst(level).iloc[0])
    same = scores(answers(who, 0.6 + 0.0 * who["age"]).assign(score=1.0), crossings(who, ["sex"]))
    assert worst(same)["note"].item() == "all groups score alike (2 groups looked at)"
    three = pd.DataFrame({"rate": [0.5, 0.5, 0.9], "shrunk": [0.6, 0.6, 0.8], "low": 0.1})
    three = three.assign(difference=0.0, p_holm=1.0)
    assert named(worst(three).iloc[0]) == "2 groups tie for the lowest (3 groups looked at)", (
        "no group is named in a tie"
    )
    some = pd.concat([three.head(2), three.tail(1).assign(low=np.nan, shrunk=np.nan, rate=0.0)])
    assert worst(some)["note"].item() == "all 2 groups with an interval score alike (3 groups looked at)"


def test_the_headline_names_the_lowest_group_the_measure_and_whether_it_is_shown():
    who = people()

    def said(chance: pd.Series, change=lambda table: table, rows: slice = slice(None)) -> str:
        table = change(answers(who, chance))[rows]
        groups = crossings(who, ["sex", "race"])
        return headline(scores(table, groups), rate(table["score"], table[ITEM]), "gpt", "direct, m")

    low = said(0.65 - 0.3 * (who["race"] == "B"))
    assert low.startswith("direct, m: gpt keeps 5") and "By the shrunk share, the lowest group is " in low
    assert "(95% interval " in low and low.endswith("lower than everybody else after correction (14 groups looked at).")
    assert "not shown to be lower" in said(0.6 + 0.0 * who["age"])
    table = answers(who, 0.6 + 0.0 * who["age"])
    found = scores(table, crossings(who, ["sex", "race"]))
    of_people = headline(found, rate(table["score"], table[ITEM]), "gpt", "direct, m", "people would keep 40%")
    assert of_people.startswith("direct, m: people would keep 40%. By the shrunk share, the lowest group is ")
    alike = said(0.6 + 0.0 * who["age"], lambda table: table.assign(score=1.0))
    assert alike.endswith("No single group is the lowest: all groups score alike (14 groups looked at).")
    nothing = said(0.6 + 0.0 * who["age"], lambda table: table.assign(score=np.nan))
    assert nothing == "direct, m: none of 1440 answers has a verdict of gpt."
    assert "enough people for an interval" in said(0.6 + 0.0 * who["age"], rows=slice(0, 1))


def test_a_group_without_an_attribute_is_refused_since_everybody_would_be_in_it():
    with pytest.raises(UserError, match="group 'x' names no attribute"):
        members(pd.DataFrame({"sex": ["Female"]}, index=pd.Index(["a"], name="persona_id")), {"x": {}})


def sparse(rate: float, seed: int, size: int = 40, each: int = 5, prompts: int = 100) -> pd.DataFrame:
    """Items of personas who each answer a few of many prompts; chances move with persona and prompt, groups do not."""
    rng = np.random.default_rng([seed, 2])
    persona = np.repeat(np.arange(size), each)
    prompt = np.concatenate([rng.choice(prompts, each, replace=False) for _ in range(size)])
    shift = rng.normal(0, 0.14, size)[persona] + rng.normal(0, 0.14, prompts)[prompt]
    kept = rng.random(len(persona)) < np.clip(rate + shift * 4 * rate * (1 - rate), 0, 1)
    return pd.DataFrame({"persona_id": persona, "prompt_id": prompt, "score": kept.astype(float)})


def blocks(small: int, others: int = 5, size: int = 40) -> pd.DataFrame:
    """A small group of the first personas, and the others in groups of about one size."""
    parts = [range(small), *np.array_split(np.arange(small, size), others)]
    found = {f"g{i}": np.isin(np.arange(size), list(part)) for i, part in enumerate(parts)}
    return pd.DataFrame(found, index=pd.RangeIndex(size, name="persona_id"))


@pytest.mark.parametrize(
    ("rate", "small", "alike", "shrunk", "wide", "error", "p"),
    [
        (0.6, 2, 0.0, (0.3, 0.48), (0.55, 0.85), (0.16, 0.22), (0.0, 0.04)),
        (0.9, 4, 1.0, (0.9, 0.96), (0.12, 0.25), (0.05, 0.08), (0.1, 0.35)),
        (0.9, 6, 1.0, (0.92, 0.97), (0.1, 0.22), (0.04, 0.065), (0.06, 0.25)),
    ],
)
def test_a_few_equal_answers_are_not_known_exactly(rate, small, alike, shrunk, wide, error, p):
    rows = []
    for seed in range(11):
        table = sparse(rate, seed)
        table["score"] = table["score"].mask(table["persona_id"] < small, alike)
        rows.append(scores(table, blocks(small)).loc["g0", ["shrunk", "shrunk_low", "shrunk_high", "error", "p"]])
    middle = pd.DataFrame(rows).astype(float).median()
    assert shrunk[0] < middle["shrunk"] < shrunk[1] and error[0] < middle["error"] < error[1]
    assert wide[0] < middle["shrunk_high"] - middle["shrunk_low"] < wide[1]
    assert p[0] < middle["p"] < p[1]


def test_the_lowest_of_alike_groups_is_covered_and_tests_keep_their_level():
    covered, alarms = [], []
    for seed in range(60):
        result = scores(sparse(0.9, seed), blocks(2, 10))
        low, high = worst(result)[["shrunk_low", "shrunk_high"]].iloc[0]
        covered.append(low <= 0.9 <= high)
        alarms.append((result["p"] < 0.05).mean())
    assert np.mean(covered) >= 0.93 - 3 * np.sqrt(0.93 * 0.07 / 60)
    assert np.mean(alarms) <= 0.05 + 3 * np.std(alarms) / np.sqrt(60)


def test_a_rare_answer_in_a_small_group_is_no_finding():
    table = sparse(0.03, 0, each=2).assign(score=0.0)
    table.loc[[0, 30, 60], "score"] = 1.0  # 3 of 80 answers, one of them among the 4 of the small group
    row = scores(table, blocks(2, 10)).loc["g0"]
    assert row["rate"] == 0.25 and row["p"] > 0.1, "by Fisher's exact test p is .14"


def test_an_interval_of_the_difference_excludes_0_only_where_p_holds_for_all_groups():
    for seed in range(10):
        table = sparse(0.9, seed, each=20)
        table["score"] = table["score"].mask(table["persona_id"] < 5, 0.0, axis=0) if seed % 2 else table["score"]
        result = scores(table, blocks(5)).dropna(subset="p")
        apart = (result["difference_low"] > 0) | (result["difference_high"] < 0)
        assert (apart == (result["p"] * 6 < 0.05)).all()
        assert not seed % 2 or apart["g0"]


def test_overlapping_groups_count_as_fewer_than_they_are():
    table, once = sparse(0.6, 3), blocks(8, 4)
    twice = pd.concat([once, once.add_suffix(" again")], axis=1)
    one, two = scores(table, once), scores(table, twice)
    columns = ["shrunk", "shrunk_low", "shrunk_high"]
    assert np.allclose(one[columns], two[columns].head(5), atol=1e-9), "a copy of each group tells nothing new"


@pytest.mark.parametrize("decides", ["prompt_id", "persona_id"])
def test_answers_that_one_side_decides_alone_have_intervals(decides):
    who = people(12)
    table = answers(who, 0.5 + 0.0 * who["age"], 6)
    table["score"] = pd.factorize(table[decides])[0] % 2 * 1.0
    result = scores(table, crossings(who, ["sex", "race"], least=2))
    assert (result["error"] > 0).all() and result["shrunk_low"].notna().all()
    assert result["p"].gt(0.05).all()


def test_a_group_whose_people_differ_more_than_others_raises_no_more_alarms():
    """Variances pooled over all groups alone find a difference in .28 of such studies; now .07 do."""
    rng, people = np.random.default_rng(1), np.arange(40)
    items = pd.DataFrame(list(product(people, range(20))), columns=ITEM)
    groups = pd.DataFrame({"few": people < 5, "half": people % 2 == 0, "third": people % 3 == 0}).rename_axis(ITEM[0])
    alarms = []
    for _ in range(60):
        chance = np.where(people < 5, expit(0.67 + 2 * rng.normal(size=40)), 0.6)  # .6 on average in all groups
        score = (rng.random(800) < chance[items["persona_id"]]).astype(float)
        table = scores(items.assign(score=score), groups)
        alarms.append(table.loc["few", "p"] < 0.05)
    assert np.mean(alarms) <= 0.14, "chance alone adds .067 to .07"
