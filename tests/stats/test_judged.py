"""pass@k from a judge that errs: by sample and by item, without bias, with intervals that cover the truth."""

import numpy as np
import pandas as pd
import pytest

from persona_lib import UserError
from persona_lib.stats.judged import corrected, corrected_at_k, known_truths
from persona_lib.stats.passk import curves, pass_at_k


def samples(personas: int, prompts: int, n: int, chance: float) -> pd.DataFrame:
    """n samples of each item, which pass with a chance of the item's own."""
    rng = np.random.default_rng(0)
    levels = {"persona_id": range(personas), "prompt_id": range(prompts), "sample": range(n)}
    table = pd.MultiIndex.from_product(levels.values(), names=levels).to_frame(index=False)
    passes = rng.beta(4 * chance, 4 * (1 - chance), personas * prompts).repeat(n)
    return table.assign(condition="direct", score=(rng.random(len(table)) < passes).astype(float))


def test_the_correction_takes_a_judges_errors_out_again():
    rng = np.random.default_rng(1)
    true = rng.binomial(16, 0.2, 40_000)
    seen = rng.binomial(true, 0.9) + rng.binomial(16 - true, 0.05)
    for k in (1, 4, 8):
        assert pass_at_k(16, seen, k).mean() > 1 - 0.8**k + 0.01
        assert corrected_at_k(16, seen, k, 0.05, 0.1).mean() == pytest.approx(1 - 0.8**k, abs=0.01)


def test_a_judge_that_passes_1_of_20_wrong_answers_makes_56_of_100_of_none_at_16_samples():
    table = known_truths([0.0, 0.2], 0.05).set_index(["share", "k"])
    assert table["reported"][0.0, 16] == pytest.approx(0.5599, abs=1e-4) and table["true"][0.0, 16] == 0
    assert table["true"][0.2, 4] == pytest.approx(1 - 0.8**4) and (table["reported"] > table["true"]).all()


def test_correcting_for_a_judges_errors_gives_the_truth_back_on_average():
    true = samples(40, 40, 8, 0.2)
    rng = np.random.default_rng(1)
    seen = np.where(true["score"] == 1, rng.random(len(true)) < 0.9, rng.random(len(true)) < 0.05).astype(float)
    found = corrected(true.assign(score=seen), ["condition"], 0.05, 0.1, ks=[1, 4]).set_index("k")
    truth = curves(true, ["condition"], ks=[1, 4]).query("measure == 'pass@k'").set_index("k")["rate"]
    assert found["corrected"].to_dict() == pytest.approx(truth.to_dict(), abs=0.02)
    assert (found["judged"] > found["corrected"] + 0.01).any()


def seen(right: np.ndarray, n: int, rate: float, correlation: float, rng: np.random.Generator) -> np.ndarray:
    """How many of n samples a judge passes, who keeps all right ones and whose errors on wrong ones belong to items."""
    size = (1 - correlation) / correlation
    errs = rng.beta(rate * size, (1 - rate) * size, len(right))
    return right + rng.binomial(n - right, errs)


def test_errors_by_item_are_taken_out_and_the_correction_for_independent_ones_is_far_too_strong():
    rng = np.random.default_rng(0)
    right = rng.binomial(20, rng.beta(0.3, 1.5, 20_000) * (rng.random(20_000) < 0.7))
    truth = pass_at_k(20, right, 16).mean()
    passed = seen(right, 20, 0.05, 1 / 3, rng)
    assert corrected_at_k(20, passed, 16, 0.05, 0, 1 / 3).mean() == pytest.approx(truth, abs=0.02)
    assert corrected_at_k(20, passed, 16, 0.05, 0, 0).mean() < truth - 0.2


@pytest.mark.parametrize("errors", [(0.05, 0.1, 0.0), (0.05, 0.1, 0.3), (0.2, 0.0, 1.0), (0.0, 0.3, 0.5)])
def test_the_correction_is_unbiased_whatever_the_number_of_right_samples(errors):
    rng = np.random.default_rng(1)
    false_positive, false_negative, correlation = errors

    def rates(mean: float) -> np.ndarray:
        if correlation in (0, 1) or mean == 0:
            return np.full(60_000, mean) if correlation < 1 else (rng.random(60_000) < mean).astype(float)
        size = (1 - correlation) / correlation
        return rng.beta(mean * size, (1 - mean) * size, 60_000)

    for right in (0, 2, 6):
        passed = rng.binomial(right, 1 - rates(false_negative)) + rng.binomial(6 - right, rates(false_positive))
        found = corrected_at_k(6, passed, 3, *errors)
        assert found.mean() == pytest.approx(pass_at_k(6, right, 3), abs=5 * found.std() / 60_000**0.5 + 1e-9)


def test_the_correction_for_independent_errors_is_a_product_of_a_factor_per_sample():
    skill = 1 - 0.05 - 0.1
    factors = np.array([-0.1 / skill, 0.9 / skill])  # of a sample that passed, and of one that did not
    assert corrected_at_k(4, 3, 4, 0.05, 0.1) == pytest.approx(1 - factors[0] ** 3 * factors[1])
    assert corrected_at_k([4, 4], [0, 4], 4, 0.05, 0.1) == pytest.approx(1 - factors[::-1] ** 4)


def judged_study(seed: int, correlation: float) -> tuple[pd.DataFrame, float]:
    """A judge's verdicts on 20 samples of 20 x 10 items, and the true pass@16."""
    rng = np.random.default_rng(seed)
    right = rng.binomial(20, rng.beta(0.4, 4, 200))
    passed = seen(right, 20, 0.05, correlation, rng)
    table = samples(20, 10, 20, 0.5)
    draws = np.random.default_rng(0).beta(0.4, 4, 400_000)
    return table.assign(score=(table["sample"] < np.repeat(passed, 20)).astype(float)), 1 - ((1 - draws) ** 16).mean()


def test_the_interval_of_the_corrected_pass_at_k_covers_the_truth():
    hits = []
    for seed in range(60):
        table, truth = judged_study(seed, 1 / 3)
        row = corrected(table, ["condition"], 0.05, ks=[16], correlation=1 / 3).iloc[0]
        hits.append(row["low"] <= truth <= row["high"])
    assert np.mean(hits) >= 0.9, "chance alone moves a coverage of 0.95 by 0.03"


def test_an_interval_keeps_a_width_where_all_is_passed_or_nothing_and_lies_in_0_to_1():
    for score in (0.0, 1.0):
        table = corrected(
            samples(10, 10, 8, 0.5).assign(score=score), ["condition"], 0.05, 0.1, [1, 8], correlation=0.3
        )
        assert (table["high"] - table["low"] > 0.02).all() and table[["low", "high"]].isin([0.0, 1.0]).any(axis=None)
        assert table["low"].ge(0).all() and table["high"].le(1).all() and table["note"].eq("all scores equal").all()
    columns = ["condition", "k", "judged", "n", "corrected", "low", "high", "note"]
    assert list(table.columns) == columns


def test_identical_samples_get_identical_verdicts_so_more_of_them_show_no_more_errors():
    reported = {rho: known_truths([0.0], 0.05, correlation=rho).set_index("k")["reported"] for rho in (0, 0.3, 1)}
    assert reported[0][16] == pytest.approx(0.5599, abs=1e-4) and reported[1].tolist() == pytest.approx([0.05] * 5)
    assert 0.05 < reported[0.3][16] < 0.25 and reported[0.3][1] == pytest.approx(0.05)


@pytest.mark.parametrize(
    ("errors", "message"),
    [
        ((0.5, 0.5, 0.0), "is not informative"),
        ((0.1, 0.1, 1.1), "correlation must lie from 0 to 1, not 1.1"),
        ((-0.1, 0.1, 0.0), "false_positive must lie from 0 to 1"),
    ],
)
def test_error_rates_that_cannot_be_are_refused(errors, message):
    with pytest.raises(UserError, match=message):
        corrected_at_k(4, 2, 2, *errors)
