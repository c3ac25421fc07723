"""Rates and paired differences: against statsmodels where items are independent, by simulation where they are not."""

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.proportion import proportion_confint

from persona_lib.agreement import effective_n, paired_differences, rates


def items(personas: int, prompts: int, conditions: tuple[str, ...] = ("baseline",)) -> pd.DataFrame:
    grid = pd.MultiIndex.from_product(
        [range(personas), range(prompts), conditions], names=["persona_id", "prompt_id", "condition"]
    )
    return grid.to_frame(index=False)


def clustered_scores(table: pd.DataFrame, rng: np.random.Generator, spread: float) -> np.ndarray:
    """Scores with mean 0.5 whose chances vary between personas and between prompts by up to `spread`."""
    person = rng.uniform(-spread, spread, table.persona_id.max() + 1)[table.persona_id]
    prompt = rng.uniform(-spread, spread, table.prompt_id.max() + 1)[table.prompt_id]
    return (rng.random(len(table)) < 0.5 + person + prompt).astype(float)


def test_a_rate_has_its_n_its_failures_and_an_interval_around_it():
    table = items(10, 20, ("a", "b")).assign(score=1.0)
    table.loc[(table.condition == "b") & (table.prompt_id < 5), "score"] = 0.0
    table.loc[(table.condition == "b") & (table.persona_id == 9), "score"] = np.nan
    result = rates(table, by="condition")
    assert list(result.index) == ["a", "b"]
    assert result.loc["b", ["n", "failed", "rate"]].tolist() == [180, 20, 0.75]
    assert result.loc["b", "low"] < 0.75 < result.loc["b", "high"] < 1
    assert result.loc["a", "high"] == pytest.approx(1) and 0.4 < result.loc["a", "low"] < 0.9  # all ones are no proof


def test_with_many_independent_items_the_interval_is_wilsons():
    table = items(400, 400).sample(400, random_state=0)
    table["score"] = np.resize([1.0, 0.0, 0.0, 0.0], 400)
    table["persona_id"], table["prompt_id"] = range(400), range(400)
    low, high = proportion_confint(100, 400, method="wilson")
    result = rates(table, by="condition").iloc[0]
    assert [result.low, result.high] == pytest.approx([low, high], abs=0.002)


def test_items_of_one_persona_that_always_agree_count_once():
    table = items(40, 40)
    scores = (table.persona_id % 2).to_numpy(float)
    assert 25 < effective_n(scores, table[["persona_id", "prompt_id"]]) <= 40


@pytest.mark.parametrize("spread", [0.0, 0.2])
def test_intervals_cover_the_truth_in_about_95_of_100_simulated_studies(spread):
    rng, table, hits = np.random.default_rng(1), items(20, 15), 0
    for _ in range(300):
        result = rates(table.assign(score=clustered_scores(table, rng, spread)), by="condition").iloc[0]
        hits += result.low <= 0.5 <= result.high
    assert 0.91 <= hits / 300 <= 0.995


def test_differences_of_paired_items_cover_the_truth_too():
    rng, hits = np.random.default_rng(2), 0
    table = items(20, 15, ("a", "b"))
    for _ in range(200):
        score = clustered_scores(table, rng, 0.15)
        up = (table.condition == "b") & (score == 0) & (rng.random(len(table)) < 0.2)
        result = paired_differences(table.assign(score=np.where(up, 1.0, score)), by="condition").iloc[0]
        hits += result.low <= 0.1 <= result.high
    assert 0.91 <= hits / 200 <= 0.995


def test_a_pair_lacking_either_score_is_counted_as_failed_not_dropped():
    table = items(4, 5, ("a", "b", "c")).assign(score=0.0)
    table.loc[(table.condition == "b"), "score"] = 1.0
    table.loc[(table.condition == "b") & (table.persona_id == 0), "score"] = np.nan
    result = paired_differences(table, by="condition").set_index(["minuend", "subtrahend"])
    assert list(result.index) == [("b", "a"), ("c", "a"), ("c", "b")]
    assert result.loc[("b", "a"), ["n", "failed", "difference"]].tolist() == [15, 5, 1.0]
    assert result.loc[("c", "a"), "low"] < 0 < result.loc[("c", "a"), "high"]


def test_one_persona_alone_has_a_rate_but_no_interval():
    result = rates(items(1, 8).assign(score=1.0), by="condition").iloc[0]
    assert result.rate == 1 and np.isnan(result.low) and np.isnan(result.high)
    nothing = rates(items(3, 3).assign(score=np.nan), by="condition").iloc[0]
    assert nothing.n == 0 and nothing.failed == 9 and np.isnan(nothing.rate)
