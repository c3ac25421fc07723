"""Rates as people would give them, from a judge's verdicts and some labels: against labels alone, and by simulation."""

import numpy as np
import pandas as pd
import pytest

from persona_lib import UserError, plots
from persona_lib.judges import corrections
from persona_lib.stats import intervals


def study(rng: np.random.Generator, labelled: int, rate: float = 0.5, right: float = 0.8) -> pd.DataFrame:
    """Return 200 answers of 40 people and 100 questions, judged, and some of them labelled; people's rates differ."""
    step = np.arange(200)
    items = pd.DataFrame({"persona_id": step % 40, "prompt_id": step % 100, "condition": "direct"})
    chance = rate + min(rate, 1 - rate) * rng.uniform(-0.6, 0.6, 40)[items["persona_id"]]
    human = (rng.random(200) < chance).astype(float)
    judge = np.where(rng.random(200) < right, human, 1 - human)
    return items.assign(judge=judge, human=pd.Series(human)[rng.choice(200, labelled, replace=False)])


def test_with_all_items_labelled_rate_and_interval_are_those_of_the_labels():
    table = study(np.random.default_rng(0), 200)
    row = corrections.human_rates(table, "condition").loc["direct"]
    labels = intervals.rate(table["human"], table[intervals.ITEM])
    assert row[["corrected", "corrected_low", "corrected_high"]].tolist() == pytest.approx(
        [labels["rate"], labels["low"], labels["high"]]
    )
    assert row["method"] == "judge and labels" and row["labelled"] == 200
    assert row["bias"] == pytest.approx(row["rate"] - labels["rate"])


def test_a_judge_adds_to_the_labels_as_far_as_it_knows_them():
    table = study(np.random.default_rng(1), 60)
    known = table["human"].notna()
    weight = np.polyfit(table.loc[known, "judge"], table.loc[known, "human"], 1)[0]
    row = corrections.human_rates(table, "condition").loc["direct"]
    expected = weight * table["judge"].mean() + (table["human"] - weight * table["judge"]).mean()
    assert row["corrected"] == pytest.approx(expected)
    labels = intervals.rate(table["human"][known], table.loc[known, intervals.ITEM])
    assert row["corrected_high"] - row["corrected_low"] < labels["high"] - labels["low"]


@pytest.mark.parametrize(("labelled", "rate"), [(50, 0.5), (100, 0.9), (200, 0.9)])
def test_the_interval_covers_the_humans_rate_in_about_95_of_100_simulated_studies(labelled, rate):
    rng, hits = np.random.default_rng(2), 0
    for _ in range(150):
        row = corrections.human_rates(study(rng, labelled, rate), "condition").loc["direct"]
        hits += row["corrected_low"] <= rate <= row["corrected_high"]
    assert hits / 150 >= 0.90, "chance alone moves a coverage of 0.95 by 0.035"


def test_labels_stand_alone_where_they_are_few_or_the_judge_is_always_of_one_mind():
    table = study(np.random.default_rng(3), 12)
    always = study(np.random.default_rng(3), 60).assign(judge=1.0)
    unjudged = study(np.random.default_rng(3), 60).assign(judge=np.nan)
    for own in (table, always, unjudged):
        row = corrections.human_rates(own, "condition").loc["direct"]
        labels = intervals.rate(own["human"].dropna(), own.loc[own["human"].notna(), intervals.ITEM])
        assert row["method"] == "labels alone"
        assert row[["corrected", "corrected_low"]].tolist() == [labels["rate"], labels["low"]]


def test_groups_without_labels_and_labels_that_are_none_are_said():
    table = pd.concat([study(np.random.default_rng(4), 60), study(np.random.default_rng(4), 0).assign(condition="x")])
    found = corrections.human_rates(table, "condition")
    assert found.loc["x", "note"] == "no labelled items: no correction" and np.isnan(found.loc["x", "corrected"])
    assert found.loc["x", ["labelled", "method"]].tolist() == [0, ""]
    assert plots.judges.corrected(found, "A title")
    with pytest.raises(UserError, match="0, 1 or missing"):
        corrections.human_rates(table.assign(human=5.0), "condition")


def test_the_mean_of_what_items_contribute_is_the_corrected_rate():
    both, alone = study(np.random.default_rng(4), 60), study(np.random.default_rng(5), 8).assign(condition="summary")
    none = study(np.random.default_rng(6), 0).assign(condition="none")
    table = pd.concat([both, alone, none], ignore_index=True).sample(frac=1, random_state=0)
    means = corrections.contributions(table, "condition").groupby("condition")["score"].mean()
    found = corrections.human_rates(table, "condition")
    assert found["method"].to_dict() == {"direct": "judge and labels", "summary": "labels alone", "none": ""}
    assert means.to_dict() == pytest.approx(found["corrected"].to_dict(), nan_ok=True)


def test_answers_on_which_two_people_differ_count_by_half_and_not_as_missing():
    """62 of 100 labels are 1. Without the answers on which they differ it would be 68: these are no random part."""
    rng, table = np.random.default_rng(7), study(np.random.default_rng(7), 0)
    truth = rng.random(200) < 0.7
    labels = [np.where(rng.random(200) < 0.2, ~truth, truth).astype(float) for _ in range(2)]
    mean = np.mean(labels, axis=0)
    row = corrections.human_rates(table.assign(human=mean), "condition").loc["direct"]
    whole = intervals.rate(pd.Series(mean), table[intervals.ITEM])
    assert row[["corrected", "corrected_low", "corrected_high"]].tolist() == pytest.approx(
        [whole["rate"], whole["low"], whole["high"]]
    )
    assert row["positives"] == pytest.approx(mean.sum()) and row["labelled"] == 200


def test_labels_count_where_the_judge_failed():
    """A judge that says nothing of what people would keep must not lower what they would keep."""
    table = study(np.random.default_rng(8), 200)
    silent = table["human"].eq(1) & (np.arange(200) % 2 == 0)
    failed = table.assign(judge=table["judge"].mask(silent))
    row = corrections.human_rates(failed, "condition").loc["direct"]
    labels = intervals.rate(table["human"], table[intervals.ITEM])
    assert row[["corrected", "corrected_low", "corrected_high"]].tolist() == pytest.approx(
        [labels["rate"], labels["low"], labels["high"]]
    )
    assert row["method"] == "judge and labels" and row["labelled"] == 200 and row["failed"] == silent.sum() > 40
    some = failed.assign(human=failed["human"].where(np.random.default_rng(9).random(200) < 0.5))
    row = corrections.human_rates(some, "condition").loc["direct"]
    assert row["corrected"] == pytest.approx(labels["rate"], abs=0.1)
    means = corrections.contributions(some, "condition")["score"].mean()
    assert means == pytest.approx(row["corrected"])


def test_labels_that_are_all_the_same_stand_alone_and_a_group_that_is_not_there_is_named():
    table = study(np.random.default_rng(5), 200).assign(human=0.5)
    row = corrections.human_rates(table, "condition").loc["direct"]
    labels = intervals.rate(table["human"], table[intervals.ITEM])
    expected = [labels["rate"], labels["low"], labels["high"]]
    assert (
        row[["corrected", "corrected_low", "corrected_high"]].tolist() == expected and expected[1] < 0.5 < expected[2]
    )
    assert row["method"] == "labels alone"
    with pytest.raises(UserError, match="condition has no group 'nope': take one of direct"):
        corrections.human_differences(table, [("direct", "nope")])


def two(rng: np.random.Generator, labelled: int, gap: float) -> pd.DataFrame:
    """Return `study` under two conditions; people keep 50 in 100 answers of one, and `gap` more of the other."""
    return pd.concat([study(rng, labelled), study(rng, labelled, 0.5 + gap).assign(condition="summary")])


PAIR = [("summary", "direct")]


def test_with_all_items_labelled_a_difference_is_the_paired_one_of_the_labels():
    table = two(np.random.default_rng(0), 200, 0.2)
    found = corrections.human_differences(table, PAIR)
    labels = intervals.paired_differences(table, "condition", "human", PAIR)
    shared = list(found)
    pd.testing.assert_frame_equal(found, labels[shared], check_dtype=False)
    assert found["p"][0] < 0.05 and found["n"][0] == 200


def test_a_difference_is_that_of_the_corrected_rates_and_few_labels_of_the_same_items_are_compared_in_pairs():
    table = two(np.random.default_rng(1), 60, 0.2)
    rates = corrections.human_rates(table, "condition")["corrected"]
    row = corrections.human_differences(table, PAIR).iloc[0]
    assert row["difference"] == pytest.approx(rates["summary"] - rates["direct"])
    assert row["low"] < 0.2 < row["high"] and row["n"] == 60
    few = table[table["prompt_id"] < 6]
    few = few.assign(human=(few["persona_id"] + (few["condition"] == "summary")) % 3 > 0.5).astype({"human": float})
    labels = intervals.paired_differences(few, "condition", "human", PAIR)
    found = corrections.human_differences(few, PAIR)
    assert corrections.human_rates(few, "condition")["method"].eq("labels alone").all()
    pd.testing.assert_frame_equal(found, labels[list(found)], check_dtype=False)
    none = corrections.human_differences(table.assign(human=np.nan), PAIR).iloc[0]
    assert none["note"] == "no labelled items: no correction" and np.isnan(none["difference"])


def test_a_judge_that_favours_one_condition_moves_no_difference_of_people():
    rng, hits, alarms = np.random.default_rng(2), 0, 0
    for _ in range(50):
        table = two(rng, 60, 0.0)
        partial = table["condition"].eq("summary") & (rng.random(len(table)) < 0.4)
        row = corrections.human_differences(table.assign(judge=table["judge"].where(~partial, 1.0)), PAIR).iloc[0]
        hits += row["low"] <= 0 <= row["high"]
        alarms += row["p"] < 0.05
    assert hits >= 44 and alarms <= 6, "chance alone moves 47.5 and 2.5 by 3"


def test_the_rate_of_people_comes_first_in_words_and_says_where_it_is_from():
    table = study(np.random.default_rng(1), 60)
    told = corrections.said(corrections.human_rates(table, "condition").loc["direct"], "gpt")
    assert told.startswith("people would keep ") and "n = 60)" in told and "; gpt itself keeps " in told
    assert "by labels and all verdicts of gpt" in told and told.endswith("n = 200)")
    few = table.assign(human=table["human"].where(table["human"].eq(1)))
    assert "by labels alone" in corrections.said(corrections.human_rates(few, "condition").loc["direct"], "gpt")
    none = table.assign(human=np.nan)
    assert corrections.said(corrections.human_rates(none, "condition").loc["direct"], "gpt") == ""


def test_the_sentence_says_by_what_people_would_keep_how_much():
    both, alone = study(np.random.default_rng(4), 60), study(np.random.default_rng(5), 8).assign(condition="summary")
    none = study(np.random.default_rng(6), 0).assign(condition="none")
    found = corrections.human_rates(pd.concat([both, alone, none], ignore_index=True), ["condition"])
    said = corrections.listed(found, "gpt")
    assert said.startswith(
        "By their labels and, where there are enough of them, all verdicts of gpt, people would keep: "
    )
    assert (
        "direct 4" in said
        and "n = 60)" in said
        and "summary " in said
        and "n = 8; too few clusters)." in said
        and "none" not in said
    )
    assert corrections.listed(found.head(1), "gpt").startswith("By their labels and all verdicts of gpt, people would ")
    assert corrections.listed(found.iloc[[1]], "gpt").startswith("By their labels alone, people would keep: summary ")
    assert corrections.listed(found.tail(1), "gpt") == ""
