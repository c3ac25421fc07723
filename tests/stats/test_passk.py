"""pass@k without bias: against all choices of k samples, by simulation, and as judges with errors would see it."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from persona_lib import UserError
from persona_lib.stats.judged import corrected, corrected_at_k
from persona_lib.stats.passk import (
    check,
    curves,
    distinct,
    headline,
    pass_all_k,
    pass_at_k,
)


def samples(personas: int, prompts: int, n: int, chance: float, seed: int = 0) -> pd.DataFrame:
    """n samples of each item, whose chance to pass is drawn around `chance`."""
    rng = np.random.default_rng(seed)
    grid = pd.MultiIndex.from_product([range(personas), range(prompts)], names=["persona_id", "prompt_id"])
    items = grid.to_frame(index=False).assign(
        condition="direct", chance=rng.beta(4 * chance, 4 * (1 - chance), len(grid))
    )
    table = items.loc[items.index.repeat(n)].reset_index(drop=True).assign(sample=np.tile(range(n), len(items)))
    return table.assign(score=(rng.random(len(table)) < table["chance"]).astype(float))


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_pass_at_k_is_the_mean_over_all_choices_of_k_samples(data):
    n = data.draw(st.integers(1, 8))
    c, k = data.draw(st.integers(0, n)), data.draw(st.integers(1, n))
    choices = [sum(drawn) for drawn in combinations([1] * c + [0] * (n - c), k)]
    assert pass_at_k(n, c, k) == pytest.approx(np.mean([count > 0 for count in choices]))
    assert pass_all_k(n, c, k) == pytest.approx(np.mean([count == k for count in choices]))
    assert corrected_at_k(n, c, k, 0, 0) == pytest.approx(pass_at_k(n, c, k))


def test_the_estimates_are_unbiased_in_simulated_samples():
    rng = np.random.default_rng(0)
    c = rng.binomial(20, 0.1, 20_000)
    assert pass_at_k(20, c, 8).mean() == pytest.approx(1 - 0.9**8, abs=0.005)
    assert pass_all_k(20, rng.binomial(20, 0.8, 20_000), 3).mean() == pytest.approx(0.8**3, abs=0.005)
    assert pass_at_k(2000, 3, 1000) == pytest.approx(1 - (1000 * 999 * 998) / (2000 * 1999 * 1998))


def test_curves_have_their_intervals_and_count_items_with_too_few_samples_as_failed():
    table = samples(12, 10, 16, 0.3)
    table.loc[(table.persona_id == 0) & (table.index % 16 < 10), "score"] = np.nan
    result = curves(table, ["condition"]).set_index(["measure", "k"])
    assert result.loc[("pass@k", 4), ["n", "failed"]].tolist() == [120, 0]
    assert result.loc[("pass@k", 8), ["n", "failed"]].tolist() == [110, 10]
    assert result.loc["pass@k", "rate"].is_monotonic_increasing and result.loc["pass^k", "rate"].is_monotonic_decreasing
    assert (result["low"] <= result["rate"]).all() and (result["rate"] < result["high"]).all()
    assert result.loc[("pass@k", 1), "rate"] == pytest.approx(result.loc[("pass^k", 1), "rate"])


def test_the_interval_of_pass_at_k_covers_the_truth_in_about_95_of_100_simulated_studies():
    rng, hits = np.random.default_rng(0), 0
    truth = 1 - (1 - rng.beta(1, 3, 1_000_000)).__pow__(4).mean()
    for seed in range(150):
        row = curves(samples(12, 10, 6, 0.25, seed), ["condition"], ks=[4]).iloc[0]
        hits += row.low <= truth <= row.high
    assert 0.9 <= hits / 150 <= 0.99


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: pass_at_k([16, 4], [1, 1], 8), "pass@8 needs k from 1 to .*: 4"),
        (lambda: pass_at_k(4, 1, 0), "pass@0"),
        (lambda: pass_at_k(4, 5, 2), "must lie between 0 and the number drawn"),
        (lambda: corrected_at_k(4, 2, 2, 0.5, 0.5), "is not informative"),
        (lambda: curves(samples(2, 2, 4, 0.5), ["condition"], ks=[1, 8]), "pass@8 is not estimable from 4 samples"),
        (lambda: check([1, 17], 16), "pass@17 is not estimable from 16 samples per item: take k from 1 to 16"),
        (lambda: check([0], 16), "pass@0"),
        (lambda: curves(samples(2, 2, 4, 0.5).head(0), ["condition"]), "there are no samples"),
        (lambda: curves(samples(2, 2, 4, 0.5).assign(score=0.5), ["condition"], ks=[1]), "must be 0, 1"),
    ],
)
def test_what_is_not_estimable_is_refused_with_the_reason(call, message):
    with pytest.raises(UserError, match=message):
        call()


def test_a_critic_that_is_never_valid_leaves_curves_of_failed_items_and_a_headline_that_says_so():
    table = samples(3, 2, 4, 0.5).assign(score=np.nan, answer=None)
    found = curves(table, ["condition"], ks=[1, 4])
    assert found["n"].eq(0).all() and found["failed"].eq(6).all() and found["rate"].isna().all()
    said = headline(table, distinct(table, ["condition"]), [1, 4])
    assert said.startswith("direct: pass@1 is not estimable, as 0 of 6 items have so many verdicts; an unknown share")
    assert corrected(table, ["condition"], 0.05, ks=[1, 4])["n"].eq(0).all()


def test_the_share_of_distinct_samples_tells_a_model_that_gives_one_answer_to_everything():
    table = samples(3, 2, 4, 0.5)
    same, other = distinct(table.assign(answer="yes"), ["condition"]), table.assign(answer=table.index.astype(str))
    assert same["rate"].tolist() == [0.25] and same["n"].tolist() == [6]
    assert distinct(other, ["condition"])["rate"].tolist() == [1.0]
    said = headline(other, distinct(other, ["condition"]), [1, 4], "gpt")
    assert said.startswith("direct: over 6 items, gpt would keep ") and said.count("n = 6;") == 4
    assert "(95% interval " in said and said.endswith(" of an item's samples are distinct.")
    both = pd.concat([other.assign(model="m"), other.assign(model="n", score=1.0)])
    by = ["model", "condition"]
    said = headline(both, distinct(both, by), [1, 4])
    assert "m, direct: over 6 items" in said and "n, direct: over 6 items, the critic would keep 100%" in said


def test_an_item_with_an_unscored_sample_leaves_only_the_ks_that_it_does_not_reach():
    table = samples(5, 4, 6, 0.5).assign(answer="x")
    table.loc[table["sample"].eq(0) & table["persona_id"].eq(table["persona_id"].iloc[0]), "score"] = np.nan
    found = curves(table, ["condition"], ks=[1, 5, 6]).query("measure == 'pass@k'").set_index("k")
    assert found["n"].to_dict() == {1: 20, 5: 20, 6: 16} and found["failed"].to_dict() == {1: 0, 5: 0, 6: 4}
    n, c = table.groupby(["persona_id", "prompt_id"])["score"].agg(["count", "sum"]).to_numpy().T
    assert found.loc[5, "rate"] == pytest.approx(np.mean([pass_at_k(*item, 5) for item in zip(n, c, strict=True)]))


def test_the_estimate_is_unbiased_whichever_samples_are_unscored():
    table = samples(60, 60, 6, 0.3)
    some = table.assign(score=table["score"].mask(np.random.default_rng(2).random(len(table)) < 0.2))
    whole, part = (curves(t, ["condition"], ks=[1, 3]).set_index(["measure", "k"])["rate"] for t in (table, some))
    assert part.to_dict() == pytest.approx(whole.to_dict(), abs=0.02)


def test_the_headline_compares_the_same_items_and_leaves_out_a_k_that_few_reach():
    table = samples(10, 4, 4, 0.5).assign(answer="x")
    few = table.assign(score=table["score"].mask(table["sample"].eq(3) & (np.arange(len(table)) // 4 >= 2)))
    said = headline(few, distinct(few, ["condition"]), [1, 3, 4])
    assert said.startswith("direct: over 40 items, ") and "at least one of 3" in said and said.count("n = 40;") == 4
    assert "(fewer than half of the items have more verdicts: 2 at k = 4)" in said
    lost = table.assign(score=table["score"].mask(np.arange(len(table)) < 40))
    lost.loc[lost["sample"].eq(0), "score"] = table["score"]  # 10 of 40 items have a single verdict
    said = headline(lost, distinct(lost, ["condition"]), [1, 4])
    assert "over 30 items of 40, those with 4 verdicts or more, " in said and said.count("n = 30;") == 3


def test_samples_that_are_all_one_of_three_leave_an_interval_of_some_width():
    said = distinct(samples(10, 10, 3, 0.5).assign(answer="yes"), ["condition"]).iloc[0]
    assert said["note"] == "all scores equal" and said["low"] < 1 / 3 - 0.05 and said["high"] > 1 / 3 + 0.05
    assert distinct(samples(2, 2, 4, 0.5).head(0).assign(answer="yes"), ["condition"]).empty


def test_the_interval_of_a_tiny_pass_to_the_k_reaches_up_to_the_truth():
    rng, hits = np.random.default_rng(0), 0
    truth = 0.18**4  # about 0.001
    for _ in range(40):
        table = samples(12, 10, 20, 0.5)
        table["score"] = (rng.random(len(table)) < 0.18).astype(float)
        row = curves(table, ["condition"], ks=[4]).query("measure == 'pass^k'").iloc[0]
        hits += row["low"] <= truth <= row["high"]
    assert hits >= 36
