"""Plans made before a run: against the textbook where items are independent, by simulation where they are not."""

import numpy as np
import pytest
from statsmodels.stats.power import NormalIndPower, TTestPower

from persona_lib import UserError
from persona_lib.stats.power import minimum_detectable, sample_size


def test_with_independent_items_the_plan_is_the_textbooks():
    found = minimum_detectable(1000, 1000, 1000, 0, 0, correlation=0.3).loc[0, "detectable"]
    textbook = TTestPower().solve_power(nobs=1000, alpha=0.05, power=0.8) * np.sqrt(2 * 0.25 * 0.7)
    assert found == pytest.approx(textbook, rel=0.01)
    groups = sample_size(0.05, n_prompts=100_000, icc_persona=0, icc_prompt=0, groups=True).loc[0, "n_personas"]
    assert groups == pytest.approx(NormalIndPower().solve_power(0.05 / 0.5, alpha=0.05, power=0.8), rel=0.02)


@pytest.mark.parametrize("design", [0, 1, 3])
def test_a_planted_difference_of_the_size_that_can_be_detected_is_found_8_times_in_10(coverage, design):
    assert coverage.power_held(coverage.DESIGNS[design], studies=300)["found"] == pytest.approx(0.8, abs=0.09)


def test_both_plans_agree_and_the_one_before_is_too_small():
    row = sample_size(0.05, n_prompts=200, per_persona=5, icc_persona=0.1).iloc[0]
    n = int(row["n_personas"])
    sizes = [minimum_detectable(k, 200, 5 * k, icc_persona=0.1).loc[0, "detectable"] for k in (n - 1, n)]
    assert sizes[1] <= 0.05 < sizes[0] and row["n_items"] == 5 * n


def test_what_makes_a_study_weaker_raises_what_it_can_detect():
    table = minimum_detectable([10, 100], [10, 100], icc_persona=[0.0, 0.2])
    assert len(table) == 8
    wide = table.set_index(["n_personas", "n_prompts", "icc_persona"])["detectable"]
    assert (wide.xs(100, level="n_personas") < wide.xs(10, level="n_personas")).all()
    assert (wide.xs(0.2, level="icc_persona") > wide.xs(0.0, level="icc_persona")).all()
    assert minimum_detectable(50, 50, tests=33).loc[0, "detectable"] > minimum_detectable(50, 50).loc[0, "detectable"]


def test_personas_and_prompts_beyond_the_items_add_nothing():
    more, all_used = minimum_detectable(1000, 700, 100, 0.4, 0.4), minimum_detectable(100, 100, 100, 0.4, 0.4)
    assert more.loc[0, "detectable"] == all_used.loc[0, "detectable"]
    assert more.loc[0, ["n_personas", "n_prompts", "n_items"]].tolist() == [1000, 700, 100]


def test_a_difference_that_no_number_of_personas_can_show_is_noted():
    row = sample_size(0.05, n_prompts=10, icc_prompt=0.2).iloc[0]
    assert row["note"].startswith("10 prompts are too few") and row[["n_personas", "n_items"]].isna().all()
    assert minimum_detectable(1, 10).loc[0, "note"].startswith("no difference can be shown")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: sample_size(gap=5), "gap of 5"),
        (lambda: minimum_detectable(10, 10, 101), "101 items"),
        (lambda: minimum_detectable(10, 10, icc_persona=0.6, icc_prompt=0.5), "sum is below 1"),
        (lambda: minimum_detectable(10, 10, rate=1.0), "rate of 1.0"),
    ],
)
def test_an_impossible_plan_is_refused(call, message):
    with pytest.raises(UserError, match=message):
        call()
