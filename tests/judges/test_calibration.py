"""A judge against human labels: planted errors taken out, intervals by simulation, and the alternative annotator."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from persona_lib import UserError
from persona_lib.judges import calibration
from persona_lib.judges.calibration import (
    alternative_annotator,
    corrected_rates,
    error_rates,
    signed_bias,
    winning_rate,
)


def study(rng: np.random.Generator, truth: float = 0.3, right: float = 0.8, wrong: float = 0.9) -> tuple:
    """Verdicts of a judge with this sensitivity and specificity on 30 x 20 items, and 150 labelled items."""
    items = pd.MultiIndex.from_product([range(30), range(20)], names=["persona_id", "prompt_id"]).to_frame(index=False)

    def verdicts(good: np.ndarray) -> np.ndarray:
        return np.where(good, rng.random(len(good)) < right, rng.random(len(good)) > wrong).astype(float)

    chance = truth + rng.uniform(-0.2, 0.2, 30)[items["persona_id"]]
    items["score"] = verdicts(rng.random(len(items)) < chance)
    human = rng.random(150) < 0.5
    return items.assign(system="x"), pd.DataFrame({"human": human.astype(float), "judge": verdicts(human)})


def test_the_corrected_rate_takes_a_judges_errors_out():
    table, labelled = study(np.random.default_rng(0))
    row = corrected_rates(table, labelled, "system").iloc[0]
    se, sp = row["sensitivity"], row["specificity"]
    assert row["corrected"] == pytest.approx((row["rate"] + sp - 1) / (se + sp - 1))
    assert row["bias"] == pytest.approx(row["rate"] - row["corrected"]) and row["note"] == ""
    assert row["corrected_high"] - row["corrected_low"] > 1.2 * (row["high"] - row["low"])
    perfect = labelled.assign(judge=labelled["human"])
    row = corrected_rates(table, perfect, "system").iloc[0]
    assert row["corrected"] == pytest.approx(row["rate"]) and row["bias"] == pytest.approx(0)


def test_the_corrected_interval_covers_the_truth_in_about_95_of_100_simulated_studies():
    rng, naive, hits = np.random.default_rng(1), 0, 0
    for _ in range(200):
        row = corrected_rates(*study(rng, 0.25, 0.75, 0.85), "system").iloc[0]
        hits += row["corrected_low"] <= 0.25 <= row["corrected_high"]
        naive += row["low"] <= 0.25 <= row["high"]
    assert 0.91 <= hits / 200 <= 0.99 and naive / 200 < 0.8


def test_each_system_is_corrected_by_its_own_labels_where_they_name_it():
    table, labelled = study(np.random.default_rng(0))
    both = pd.concat([table, table.assign(system="y")])
    kind = pd.concat([labelled.assign(system="x"), labelled.assign(system="y", judge=1.0)])
    result = corrected_rates(both, kind, "system")
    assert result.loc["x", "corrected"] > 0 and result.loc["y", "note"].startswith("the judge is no better than chance")
    assert np.isnan(result.loc["y", "corrected"])
    one = corrected_rates(table, labelled.query("human == 1"), "system").iloc[0]
    assert one["note"].startswith("labelled items of one class only") and np.isnan(one["corrected"])
    nothing = corrected_rates(table.assign(score=np.nan), labelled, "system").iloc[0]
    assert nothing["note"] == "nothing scored" and np.isnan(nothing["corrected"])


def test_labels_too_few_to_tell_a_judge_from_chance_correct_nothing():
    table, _ = study(np.random.default_rng(0))
    few = pd.DataFrame({"human": [1.0, 1, 0, 0, 0], "judge": [1.0, 1, 1, 1, 0]})
    row = corrected_rates(table, few, "system").iloc[0]
    assert row["corrected_low"] < row["corrected_high"] and row["note"] == ""
    one = pd.DataFrame({"human": [1.0] + [0.0] * 10, "judge": [1.0] * 10 + [0.0]})
    row = corrected_rates(table, one, "system").iloc[0]
    assert row["sensitivity"] + row["specificity"] > 1 and row["note"] == "too few labels: no correction"
    assert row[["corrected", "corrected_low", "corrected_high", "bias"]].isna().all()


def test_items_whose_group_is_missing_are_a_row_of_their_own():
    table, labelled = study(np.random.default_rng(0))
    table["system"] = table["system"].where(table["persona_id"] > 9)
    found = corrected_rates(
        table, labelled.assign(system=[None] * 100 + ["x"] * 50).astype({"system": "str"}), "system"
    )
    assert found.index.isna().tolist() == [True, False] and found["n"].tolist() == [200, 400]
    assert (found["positives"] + found["negatives"]).tolist() == [100, 50]
    bias = signed_bias(labelled.assign(system=[None] * 100 + ["x"] * 50), "system")
    assert bias["n"].tolist() == [100, 50] and bias.index.isna().tolist() == [True, False]
    nothing = signed_bias(labelled.assign(system="x").head(0), "system")
    assert nothing.empty and nothing.index.name == "system" and list(nothing.columns) == list(bias.columns)


def test_labels_that_are_no_labels_are_refused():
    with pytest.raises(UserError, match="0, 1 or missing"):
        error_rates(pd.DataFrame({"human": [0, 5], "judge": [0, 1]}))
    assert np.isnan(error_rates(pd.DataFrame({"human": [1.0], "judge": [1.0]}))["specificity"])


def test_a_judge_that_agrees_in_most_cases_can_still_flatter_one_system():
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"system": np.repeat(["ours", "theirs"], 300), "human": (rng.random(600) < 0.5).astype(float)})
    lifted = (table["system"] == "ours") & (table["human"] == 0) & (rng.random(600) < 0.3)
    table["judge"] = table["human"].where(~lifted, 1.0)
    table.loc[5, "human"] = np.nan
    result = signed_bias(table, "system")
    assert result.loc["ours", "low"] > 0.08 and result.loc["ours", "p_holm"] < 0.001
    assert result.loc["theirs", "bias"] == 0 and result.loc["theirs", "low"] < 0 < result.loc["theirs", "high"]
    assert result.loc["ours", ["n", "failed"]].tolist() == [299, 1]


def annotators(rng: np.random.Generator, noise: list[float], items: int = 100) -> pd.DataFrame:
    """Labels of a truth of three options, each annotator wrong with their own chance."""
    truth = rng.integers(0, 3, items)
    return pd.DataFrame({f"a{i}": np.where(rng.random(items) < e, (truth + 1) % 3, truth) for i, e in enumerate(noise)})


def test_a_judge_as_good_as_the_humans_may_stand_in_and_a_bad_one_may_not():
    labels = annotators(np.random.default_rng(0), [0.2, 0.2, 0.2, 0.15, 0.7])
    good, bad = labels["a3"], labels["a4"]
    humans = labels[["a0", "a1", "a2"]].mask(np.random.default_rng(1).random((100, 3)) < 0.1)
    found = alternative_annotator(good, humans)
    assert found["wins"].all() and (found["p_by"] >= found["p"]).all() and (found["n"] > 80).all()
    assert winning_rate(found).loc[0, ["annotators", "winning_rate", "passes"]].tolist() == [3, 1.0, True]
    found = winning_rate(alternative_annotator(bad, humans)).loc[0]
    assert found["winning_rate"] == 0 and not found["passes"] and found["advantage"] < 0.75


def test_a_judge_just_epsilon_worse_seldom_passes():
    rng, wins = np.random.default_rng(0), []
    for _ in range(60):
        labels = annotators(rng, [0.1, 0.1, 0.1, 0.35])
        wins.append(alternative_annotator(labels["a3"], labels[["a0", "a1", "a2"]], epsilon=0.2)["wins"].mean())
    assert np.mean(wins) < 0.08


@pytest.mark.parametrize(("n", "epsilon", "rare"), [(40, 0.1, 0.03), (100, 0.1, 0.015)])
def test_a_judge_that_seldom_loses_and_more_seldom_wins_passes_no_more_often_than_the_level(n, epsilon, rare):
    # With the variance of what was seen alone, .072 of such judges pass (Tango's null variance: .05).
    rng = np.random.default_rng(3)
    judge, alone = pd.Series(np.ones(n)), pd.DataFrame({"a": np.ones(n), "b": np.ones(n)})
    p = []
    for _ in range(600):
        lost = rng.choice([1, -1, 0], n, p=[epsilon + rare, rare, 1 - epsilon - 2 * rare])
        own = alone.assign(a=np.where(lost < 0, 0.0, 1.0))
        p.append(calibration.left_out(judge.where(lost <= 0, 0.0), own["a"], own[["b"]], epsilon)["p"])
    assert np.mean(np.array(p) < 0.05) <= 0.06 + 0.01


def test_losses_that_few_personas_hold_do_not_make_a_judge_just_epsilon_worse_pass():
    # Annotators are right in 97 of 100, the judge in 85.5; an ICC of .3 puts its losses on a few of 10 personas. With
    # as many degrees of freedom as personas and prompts give, .072 of such judges pass.
    rng, size = np.random.default_rng(5), (10, 40)
    index = pd.MultiIndex.from_product([range(size[0]), range(size[1])], names=["persona_id", "prompt_id"])
    p = []
    for _ in range(500):
        person = np.sqrt(0.3) * np.repeat(rng.normal(size=size[0]), size[1])
        place = person[:, None] + np.sqrt(0.7) * rng.normal(size=(len(person), 4))
        right = (norm.ppf([0.97, 0.97, 0.97, 0.855]) + place > 0).astype(float)
        others = pd.DataFrame(right[:, 1:3], index)
        p.append(calibration.left_out(pd.Series(right[:, 3], index), pd.Series(right[:, 0], index), others, 0.1)["p"])
    assert np.mean(np.array(p) < 0.05) <= 0.06


def test_always_the_same_labels_show_how_many_items_they_count_as_and_epsilon_is_a_difference_of_shares():
    index = pd.MultiIndex.from_product([range(30), range(10)], names=["persona_id", "prompt_id"])
    same = pd.DataFrame(1.0, index, ["a", "b"])
    found = alternative_annotator(same["a"], same)
    assert (found["note"] == "the same on all items, which count as 10").all() and not found["wins"].any()
    assert (alternative_annotator(same["a"], same, epsilon=0)["p"] == 1).all()
    for epsilon in (-1, 1, 2, np.nan):
        with pytest.raises(UserError, match="a difference of shares, from 0 to below 1"):
            alternative_annotator(same["a"], same, epsilon)


def test_of_few_items_a_judge_just_epsilon_worse_seldom_beats_an_annotator_either():
    rng, humans = np.random.default_rng(0), pd.DataFrame({"a": np.zeros(20), "b": np.zeros(20)})
    p = [alternative_annotator(pd.Series(rng.random(20) < 0.2, dtype=float), humans)["p"]["a"] for _ in range(200)]
    assert np.mean(np.array(p) < 0.05) < 0.15, "Wilcoxon's test has a third to a half"


def test_a_judge_that_only_ever_loses_beats_an_annotator_no_more_often_than_the_level():
    # The t test alone does so in .20 of samples of 29 items: wherever the judge loses once or never.
    rng, humans = np.random.default_rng(1), pd.DataFrame({"a": np.zeros(29), "b": np.zeros(29)})
    judge = [pd.Series(rng.random(29) < 0.1, dtype=float) for _ in range(200)]
    p = np.array([alternative_annotator(own, humans, epsilon=0.1)["p"]["a"] for own in judge])
    assert np.mean(p < 0.05) <= 0.10


@pytest.mark.parametrize("conditions", [1, 3])
def test_items_that_share_personas_and_conditions_do_not_make_a_judge_just_epsilon_worse_pass(conditions):
    rng, grid = np.random.default_rng(2), pd.MultiIndex.from_product([range(10), range(10), range(conditions)])
    index = grid.set_names(["persona_id", "prompt_id", "condition"])
    persona, prompt = (index.get_level_values(level) for level in (0, 1))
    p = []
    for _ in range(100):
        # Annotators are right in .8, and D is .6 x (.8 - the judge's share) on average, here .2.
        right = 0.8 - 0.2 / 0.6 + rng.uniform(-0.3, 0.3, 10)[persona] + rng.uniform(-0.16, 0.16, 10)[prompt]
        humans = pd.DataFrame((rng.random((len(index), 3)) < 0.8).astype(float), index, list("abc"))
        judge = pd.Series((rng.random(len(index)) < right).astype(float), index)
        p += [*alternative_annotator(judge, humans)["p"]]
    # An annotator's three tests are of the same judge: 100 studies, so chance adds .065 to a level of .05.
    assert np.mean(np.array(p) < 0.05) <= 0.105
    assert alternative_annotator(judge, humans)["note"].eq("").all()
    together = alternative_annotator(judge, humans)
    apart = alternative_annotator(judge.reset_index(drop=True), humans.reset_index(drop=True))
    assert (together["p"] != apart["p"]).all()


def test_a_judge_that_is_the_same_on_all_items_beats_nobody_with_few():
    humans = pd.DataFrame({"a": ["x"] * 12, "b": ["x"] * 12, "c": ["x"] * 12})
    assert alternative_annotator(humans["a"].head(1), humans.head(1))["note"].eq("one item: no test").all()
    for n in (3, 12):
        alike = alternative_annotator(humans["a"].head(n), humans.head(n), epsilon=0.2)
        assert (
            alike["p"].tolist() == pytest.approx([0.8**n] * 3)
            and alike["note"].str.startswith("the same on all items").all()
        )
    ahead = alternative_annotator(humans["a"], humans.assign(c="y"), epsilon=0.2).loc["c"]
    assert ahead["p"] < 0.001 and ahead["wins"]
    behind = alternative_annotator(humans["a"].replace("x", "y"), humans, epsilon=0.2)
    assert (behind["p"] > 0.9).all() and not behind["wins"].any()


def test_the_alternative_annotators_test_says_what_it_lacks():
    humans = annotators(np.random.default_rng(0), [0.1, 0.1, 0.1], 20)
    short = alternative_annotator(humans["a0"], humans)
    assert (
        short.loc["a1", "note"] == "under 30 items"
        and short.loc["a0", "note"] == "the same on all items, which count as 20"
    )
    nothing = alternative_annotator(pd.Series(np.nan, humans.index), humans)
    assert nothing["note"].str.startswith("no items").all() and (nothing["failed"] == 20).all()
    summary = winning_rate(nothing).loc[0]
    assert summary["annotators"] == 0 and np.isnan(summary["winning_rate"]) and not summary["passes"]
    with pytest.raises(UserError, match="two annotators or more"):
        alternative_annotator(humans["a0"], humans[["a1"]])
