"""Scores of trials, by cases that can be counted by hand, and how often intervals hold the truth."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from sklearn.metrics import auc
from statsmodels.api import WLS

from persona_lib import stats
from persona_lib.methods import coverage, scores, simulated
from persona_lib.stats.intervals import difference


def table(*rows, method="m", k=4):
    """Predictions of one method: rows of person, prompt, predicted, chosen."""
    made = pd.DataFrame(rows, columns=["persona_id", "prompt_id", "p_first", "chosen"]).astype(
        {"p_first": float, "chosen": float}
    )
    made = made.assign(method=method, k=k, draw=0, failure=made["p_first"].isna().map({True: "none", False: None}))
    return made.assign(choice_id=made["persona_id"] + made["prompt_id"])


def stacked(*tables):
    made = pd.concat(tables, ignore_index=True)
    return made.astype({"method": "category"})


UNEQUAL = [
    ("a", "1", 0.9, 1), ("a", "2", 0.8, 1), ("a", "3", 0.3, 0), ("a", "4", 0.7, 1),  # right four times of four
    ("b", "1", 0.9, 0), ("b", "2", 0.1, 0),  # once of two
    ("c", "1", 0.2, 1),  # never
]  # fmt: skip


def test_a_person_counts_once_however_many_choices_are_tested():
    found = scores.accuracy(stacked(table(*UNEQUAL))).iloc[0]
    assert found["accuracy"] == pytest.approx((1 + 0.5 + 0) / 3)
    assert (found["people"], found["n"], found["failed"], found["abstained"]) == (3, 7, 0, 0)


def test_the_brier_score_is_the_mean_over_people_of_the_squared_error():
    found = scores.accuracy(stacked(table(*UNEQUAL))).iloc[0]
    a, b, c = (0.01 + 0.04 + 0.09 + 0.09) / 4, (0.81 + 0.01) / 2, 0.64
    assert found["brier"] == pytest.approx((a + b + c) / 3)


def test_ties_have_no_right_answer_and_stay_in_the_brier_score():
    found = scores.accuracy(stacked(table(("a", "1", 0.9, 1), ("a", "2", 0.8, 0.5), ("b", "1", 0.1, 0)))).iloc[0]
    assert (found["accuracy"], found["n"]) == (1, 2)
    assert found["brier"] == pytest.approx(((0.01 + 0.09) / 2 + 0.01) / 2)


def test_one_half_is_half_right_and_a_missing_prediction_counts_as_failed():
    rows = [("a", "1", 0.5, 1), ("a", "2", 0.9, 1), ("b", "1", np.nan, 1), ("b", "2", 0.5, 0)]
    found = scores.accuracy(stacked(table(*rows))).iloc[0]
    assert found["accuracy"] == pytest.approx((0.75 + 0.5) / 2)
    assert (found["failed"], found["n"]) == (1, 3) and found["abstained"] == pytest.approx(2 / 3)


def test_draws_and_choices_about_one_prompt_are_averaged_before_people_are():
    first = table(("a", "1", 0.9, 1), ("a", "2", 0.9, 0), ("b", "1", 0.9, 1))
    second = first.assign(draw=1, p_first=[0.1, 0.1, 0.1])
    items = scores.by_item(scores.graded(pd.concat([first, second])))
    assert items["value"].to_list() == [0.5, 0.5, 0.5] and items["weight"].to_list() == [0.5, 0.5, 1.0]
    assert scores.accuracy(stacked(first, second))["n"].item() == 6


def test_a_method_that_predicts_nothing_has_a_row_without_a_number():
    found = scores.accuracy(stacked(table(("a", "1", np.nan, 1), ("b", "2", np.nan, 0)))).iloc[0]
    assert np.isnan(found["accuracy"]) and found["failed"] == 2 and found["note"] == "nothing scored"


def test_the_ceiling_is_what_the_true_probabilities_reach_on_the_same_choices():
    predictions = stacked(table(*UNEQUAL[:6]))
    world = simulated.world(simulated.Design(seen=2, unseen=2, prompts=8, heldout=4, history=4, tests=2, rank=1))
    truth = pd.Series([0.9, 0.8, 0.3, 0.7, 0.6, 0.5], predictions["choice_id"])
    found = scores.accuracy(predictions, world._replace(truth=truth)).iloc[0]
    assert found["ceiling"] == pytest.approx(((0.9 + 0.8 + 0.7 + 0.7) / 4 + (0.6 + 0.5) / 2) / 2)
    assert found["share"] == pytest.approx((0.75 - 0.5) / (found["ceiling"] - 0.5))
    assert scores.expected(predictions, world._replace(truth=truth)).item() == pytest.approx(
        (0.9 + 0.8 + 0.7 + 0.7 + 0.6 + 0.5) / 6
    )


def test_differences_are_macro_and_over_the_choices_that_both_predict():
    other = [("a", "1", 0.1, 1), *[(p, q, y, y) for p, q, _, y in UNEQUAL[1:6]], ("c", "1", np.nan, 1)]
    found = scores.differences(stacked(table(*UNEQUAL), table(*other, method="other")), "m", 4).iloc[0]
    assert (found["minuend"], found["subtrahend"], found["n"], found["failed"]) == ("other", "m", 6, 1)
    assert found["difference"] == pytest.approx((-1 / 4 + 1 / 2) / 2)
    assert found["p"] == found["p_holm"]


def test_the_area_is_over_the_logarithm_of_one_more_than_k():
    curve = pd.DataFrame({"method": "m", "k": [0, 1, 3, 7], "accuracy": [0.5, 0.7, 0.9, np.nan]})
    found = scores.areas(curve).iloc[0]
    assert found["area"] == pytest.approx((0.6 + 0.8) / 2) and (found["from"], found["to"]) == (0, 3)
    assert scores.areas(curve.head(1))["area"].item() == 0.5


def people(shares, n=20, method="m"):
    """Predictions of people whose choices are right with these shares."""
    rows = [(f"p{i}", f"q{j}", 0.9, float(j < share * n)) for i, share in enumerate(shares) for j in range(n)]
    return table(*rows, method=method)


def test_the_worst_tenth_lies_where_chance_puts_it_unless_some_are_served_worse():
    rng = np.random.default_rng(0)
    alike, unlike = rng.binomial(20, 0.7, 60) / 20, [0.2] * 6 + [0.76] * 54
    found = scores.worst(stacked(people(alike), people(unlike, method="unfair")), 4).set_index("method")
    assert found["people"].tolist() == [6, 6]
    assert found.loc["m", "low_chance"] <= found.loc["m", "accuracy"] <= found.loc["m", "high_chance"]
    assert found.loc["unfair", "accuracy"] == pytest.approx(0.2)
    assert found.loc["unfair", "accuracy"] < found.loc["unfair", "low_chance"] < 0.704


def test_the_worst_tenth_of_a_method_that_abstains_is_where_chance_puts_it():
    found = scores.worst(stacked(people([0.5] * 40).assign(p_first=0.5)), 4).iloc[0]
    assert found[["accuracy", "low_chance", "high_chance"]].tolist() == [0.5, 0.5, 0.5]


def test_several_draws_about_a_choice_do_not_narrow_what_chance_gives():
    one = people([0.6, 0.8] * 20)
    draws = pd.concat([one.assign(draw=draw) for draw in range(4)])
    pd.testing.assert_frame_equal(scores.worst(stacked(draws), 4), scores.worst(stacked(one), 4))


def test_groups_of_few_are_left_out_and_crossings_are_in_worst_first():
    predictions = stacked(people([0.9] * 12 + [0.4] * 12 + [0.1] * 3))
    world = simulated.world(simulated.Design(seen=20, unseen=7, prompts=8, heldout=4, history=4, tests=2, rank=1))
    labels = {"one": ["x"] * 12 + ["y"] * 12 + ["z"] * 3, "two": ["u"] * 27}
    index = pd.Index([f"p{i}" for i in range(27)])
    found = scores.groups(predictions, world._replace(people=pd.DataFrame(labels, index)), 4, ["one", "two"])
    assert "z" not in set(found["group"]) and found["accuracy"].is_monotonic_increasing
    assert found.set_index("group").loc[["y", "x, u", "u"], "accuracy"].tolist() == pytest.approx(
        [0.4, 0.9, 0.588888888]
    )
    assert found.loc[found["group"] == "y, u", "attribute"].item() == "one x two"


def test_calibration_counts_how_often_the_first_was_chosen():
    rows = [("a", "1", 0.72, 1), ("a", "2", 0.78, 0), ("b", "1", 1.0, 1), ("b", "2", np.nan, 1)]
    found = scores.calibration(stacked(table(*rows)), 4)
    assert found[["from", "to", "n", "chosen"]].to_numpy() == pytest.approx(
        np.array([[0.7, 0.8, 2, 0.5], [0.9, 1, 1, 1]])
    )
    assert found["predicted"].tolist() == pytest.approx([0.75, 1.0])


def told(better):
    """The headline of a method beside the pooled one."""
    base = table(*[(f"p{i}", f"q{j}", 0.9, float((i + j) % 2)) for i in range(20) for j in range(20)], method="pooled")
    other = base.assign(method="mine", p_first=base["chosen"].abs() if better else base["p_first"])
    both = stacked(base, other)
    return scores.headline(scores.accuracy(both), scores.differences(both, "pooled", 4), "A world")


def test_the_headline_says_who_beats_the_reference_or_that_nobody_does():
    assert told(better=False).startswith("A world, k = 4: pooled 50% (95% interval ")
    assert told(better=False).endswith("no method beats it (Holm over 1 methods).")
    assert "; 1 of 1 methods beat it (Holm), mine by +50" in told(better=True)


def test_each_method_is_said_to_be_better_worse_or_not_shown_to_differ():
    gaps = pd.DataFrame(
        {"minuend": list("abcde"), "subtrahend": "logit", "k": 4, "difference": [0.2, -0.2, 0.1, np.nan, 0.3],
         "p_holm": [0.01, 0.04, 0.06, np.nan, 0.001]}
    )  # fmt: skip
    assert scores.told_apart(gaps) == (
        "Beside logit at k = 4 (Holm). Better: a; e. Worse: b. Not shown to differ: c. Not scored: d."
    )
    assert scores.told_apart(gaps.iloc[[2]]) == "Beside logit at k = 4 (Holm). Not shown to differ: c."


def test_two_people_are_too_few_to_compare_methods_and_equal_scores_have_a_note():
    both = stacked(*(table(*[(p, q, 0.9, 1) for p in "ab" for q in "123"], method=m) for m in ("pooled", "mine")))
    found = scores.accuracy(both)
    assert found["note"].str.contains("all scores equal").all()
    said = scores.headline(found, scores.differences(both, "pooled", 4), "A world")
    assert "all scores equal" in said and said.endswith("; too few people (2) to compare methods: 8 or more.")


def test_a_method_that_gave_nothing_is_not_counted_among_those_compared():
    rows = [(f"p{i}", f"q{j}", 0.9, float((i + j) % 2)) for i in range(10) for j in range(10)]
    base = table(*rows, method="pooled")
    both = stacked(base, base.assign(method="mine"), base.assign(method="none", p_first=np.nan, failure="none"))
    assert "Holm over 1 methods" in scores.headline(
        scores.accuracy(both), scores.differences(both, "pooled", 4), "A world"
    )


def unequal():
    """Predictions of 20 people at k = 0, 4 and 16: one lacks 4 choices, and 15 lack 16."""
    rows = []
    for k, lacking in ((0, 0), (4, 1), (16, 15)):
        base = table(*[(f"p{i:02}", f"q{j}", 0.9, float(i < 4)) for i in range(20) for j in range(3)], k=k)
        short = base["persona_id"].rank(method="dense") <= lacking
        why = f"has 3 choices to learn from, fewer than {k}"
        rows += [
            base.assign(method="pooled"),
            base.assign(failure=np.where(short, why, None), p_first=base["p_first"].mask(short)),
        ]
    return stacked(*rows)


def test_methods_are_compared_on_the_same_people_at_the_last_k_that_most_reach():
    predictions = unequal()
    same = coverage.alike(predictions)
    assert sorted(same["k"].unique()) == [0, 4] and same["persona_id"].nunique() == 19 and same["failure"].isna().all()
    assert scores.accuracy(same)["people"].eq(19).all()
    assert coverage.who(predictions) == (
        "k asked: 0, 4, 16; compared up to k = 4 on 19 of 20 people; left out: k = 16, which too few people reach"
    )
    title = scores.peak(scores.accuracy(predictions), "a world")
    assert title.startswith("At k = 4 ") and title.endswith("(a world)"), "no k at which methods drop out"
    whole = predictions[predictions["k"] < 4]
    pd.testing.assert_frame_equal(coverage.alike(whole), whole)


def test_a_method_that_fails_takes_no_people_from_the_others():
    broken = table(*[(f"p{i:02}", "q0", np.nan, 1) for i in range(20)], method="broken")
    assert coverage.alike(stacked(unequal(), broken))["persona_id"].nunique() == 19


def test_missing_predictions_are_counted_by_reason():
    found = coverage.missing(unequal()).set_index("k")
    assert found["choices"].to_dict() == {4: 3, 16: 45} and found["method"].eq("m").all()
    assert found.loc[16, "failure"] == "has too few choices to learn from, fewer than 16"
    odd = table(("a", "1", np.nan, 1), ("b", "1", np.nan, 1))
    odd["failure"] = [f"returned a probability outside 0 to 1: {p}" for p in (1.5, 1.7)]
    assert coverage.missing(stacked(odd))[["failure", "choices"]].to_numpy().tolist() == [
        ["returned a probability outside 0 to 1", 2]
    ]


def drawn(rng, extra=0.0):
    """Scores of 40 people, few with many of 25 prompts, with effects of both; `gap` is to a second method."""
    u, v = rng.normal(0, 0.7, 40), rng.normal(0, 0.7, 25)
    n = np.clip(rng.geometric(0.2, 40), 1, 20)
    person = np.repeat(np.arange(40), n)
    prompt = np.concatenate([rng.choice(25, size, replace=False) for size in n])
    score = u[person] + v[prompt] + 0.6
    right, other = (rng.random(len(person)) < expit(score + more) for more in (0.0, extra))
    frame = pd.DataFrame({"persona_id": person.astype(str), "prompt_id": prompt.astype(str)})
    return frame.assign(score=right.astype(float), gap=other.astype(float) - right)


def test_intervals_hold_the_truth_where_people_have_unequal_numbers_of_choices():
    rng = np.random.default_rng(0)
    points = rng.normal(0, 0.7 * np.sqrt(2), 100_000)
    truth = expit(points + 0.6).mean()
    gain = expit(points + 1.4).mean() - truth
    held, gains, widths, means = 0, 0, [], []
    for _ in range(100):
        rows = drawn(rng, 0.8)
        found = scores.mean(rows, "score", "accuracy")
        items = scores.by_item(rows, "gap")
        held += found["low"] <= truth <= found["high"]
        beside = difference(items["value"], items["weight"])
        gains += beside["low"] <= gain <= beside["high"]
        widths.append(found["high"] - found["low"])
        means.append(found["accuracy"])
    assert 0.9 <= held / 100 <= 0.99 and gains / 100 >= 0.9
    assert np.mean(widths) == pytest.approx(3.92 * np.std(means), rel=0.25), "as wide as the estimate spreads"


def test_equal_weights_give_what_no_weights_give():
    rows = drawn(np.random.default_rng(1))
    items = scores.by_item(rows)
    clusters = items.index.to_frame(index=False)
    plain = stats.effective(items["value"].to_numpy(), clusters, 0.2)
    same = stats.effective(items["value"].to_numpy(), clusters, 0.2, weights=np.full(len(items), 3.0))
    assert (same.n, same.df) == pytest.approx((plain.n, plain.df))


@pytest.mark.parametrize("kept", [1.0, 0.6], ids=["all answered all", "some are missing"])
def test_intervals_are_as_wide_as_statsmodels_two_way_clustered_ones(kept):
    rng = np.random.default_rng(3)
    person, prompt = (axis.ravel() for axis in np.indices((60, 50)))
    score = rng.normal(0, 0.8, 60)[person] + rng.normal(0, 0.8, 50)[prompt]
    chosen = (rng.random(score.size) < expit(0.5 + score)).astype(float)
    there = rng.random(score.size) < kept
    rows = [(f"p{i}", f"q{j}", 0.9, y) for i, j, y in zip(person[there], prompt[there], chosen[there], strict=True)]
    found = scores.accuracy(stacked(table(*rows))).iloc[0]
    weight = 1 / np.bincount(person[there])[person[there]]
    theirs = WLS(chosen[there], np.ones(there.sum()), weights=weight).fit(
        cov_type="cluster", cov_kwds={"groups": np.column_stack([person[there], prompt[there]])}, use_t=True
    )
    assert found["accuracy"] == pytest.approx(theirs.params[0])
    low, high = theirs.conf_int()[0]
    assert found["high"] - found["low"] == pytest.approx(high - low, rel=0.05)


def test_holms_family_is_all_methods_but_the_reference():
    rng = np.random.default_rng(4)
    right = rng.random((40, 12)) < 0.6
    made = []
    for number, gain in enumerate((0, 0, 0.1, 0.15, 0.4)):
        own = right | (rng.random(right.shape) < gain)
        rows = [(f"p{i}", f"q{j}", 0.9, float(y)) for (i, j), y in np.ndenumerate(own)]
        made.append(table(*rows, method="pooled" if number == 0 else f"m{number}"))
    found = scores.differences(stacked(*made), "pooled", 4).sort_values("p")
    known = found.dropna(subset="p")
    byhand = np.minimum(np.maximum.accumulate(known["p"] * np.arange(len(known), 0, -1)), 1)
    assert len(known) == 4 and known["p_holm"].to_numpy() == pytest.approx(byhand.to_numpy())


def test_the_area_is_that_of_scikit_learn_over_the_width():
    k = np.array([0, 1, 2, 5, 16, 64])
    curve = pd.DataFrame({"method": "m", "k": k, "accuracy": np.random.default_rng(5).uniform(0.5, 0.9, len(k))})
    theirs = auc(np.log2(1 + k), curve["accuracy"]) / np.log2(65)
    assert scores.areas(curve)["area"].item() == pytest.approx(theirs)


def test_a_method_without_predictions_is_not_scored():
    gaps = pd.DataFrame({"minuend": ["a", "b"], "subtrahend": "logit", "k": 4, "difference": [0.1, np.nan]})
    gaps["p_holm"] = [0.01, np.nan]
    assert scores.told_apart(gaps) == "Beside logit at k = 4 (Holm). Better: a. Not scored: b."


def test_reasons_that_differ_in_the_number_of_choices_are_one():
    rows = pd.DataFrame({"method": "m", "k": 0, "choice_id": range(3)})
    why = [f"returned 1 predictions for {n} choices" for n in (14, 10, 10)]
    found = coverage.missing(rows.assign(failure=why))
    assert found["failure"].tolist() == ["returned 1 predictions for 10, 14 choices"] and found["choices"].item() == 3
