"""Rates and paired differences: against statsmodels where items are independent, by simulation where they are not."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from persona_lib import UserError
from persona_lib.stats import intervals
from persona_lib.stats.clustering import effective, linearized, variance
from persona_lib.stats.intervals import corrected, paired_differences, rates


def items(personas: int, prompts: int, conditions: tuple[str, ...] = ("baseline",)) -> pd.DataFrame:
    grid = pd.MultiIndex.from_product(
        [range(personas), range(prompts), conditions], names=["persona_id", "prompt_id", "condition"]
    )
    return grid.to_frame(index=False)


def test_a_rate_has_its_n_its_failures_and_an_interval_around_it():
    table = items(10, 20, ("a", "b")).assign(score=1.0)
    table.loc[(table.condition == "b") & (table.prompt_id < 5), "score"] = 0.0
    table.loc[(table.condition == "b") & (table.persona_id == 9), "score"] = np.nan
    result = rates(table, by="condition")
    assert list(result.index) == ["a", "b"]
    assert result.loc["b", ["n", "failed", "rate", "note"]].tolist() == [180, 20, 0.75, ""]
    assert result.loc["b", "low"] < 0.75 < result.loc["b", "high"] < 1
    assert result.loc["a", "high"] == pytest.approx(1) and 0.4 < result.loc["a", "low"] < 0.9  # all ones are no proof
    assert result.loc["a", "note"] == "all scores equal"


def test_the_interval_is_korn_and_graubards_clopper_pearson_with_one_cluster_more_that_holds_the_answer():
    table = items(400, 400).sample(400, random_state=0)
    table["score"] = np.resize([1.0, 0.0, 0.0, 0.0], 400)
    table["persona_id"], table["prompt_id"] = range(400), range(400)
    low, high = proportion_confint(100, 400, method="beta")
    result = rates(table, by="condition").iloc[0]
    assert [result.low, result.high] == pytest.approx([low, high], abs=0.001)
    mirrored = rates(table.assign(score=1 - table["score"]), by="condition").iloc[0]
    assert [mirrored.low, mirrored.high] == pytest.approx([1 - result.high, 1 - result.low])


def test_a_rare_answer_of_few_clusters_is_said_and_widens_the_interval_on_its_side():
    table = items(40, 20).assign(score=1.0)
    spread, bunched = table.copy(), table.copy()
    spread.loc[np.arange(0, 800, 19), "score"] = 0.0
    bunched.loc[bunched["prompt_id"].isin([3, 5]) & (bunched["persona_id"] % 2 == 0), "score"] = 0.0
    spread, bunched = (rates(t, "condition").iloc[0] for t in (spread, bunched))
    assert spread["note"] == "" and bunched["note"] == "few clusters hold the rarer answer"
    assert bunched["rate"] - bunched["low"] > 2 * (bunched["high"] - bunched["rate"])


# Of 300 studies, 7 in 100 may miss without a note, and 3 more by chance.
@pytest.mark.parametrize(
    ("size", "share", "icc"),
    [((20, 10), 0.9, 0.2), ((40, 20), 0.95, 0.1), ((100, 20), 0.9, 0.4), ((40, 40), 0.97, 0.2), ((20, 10), 0.97, 0.0)],
)
def test_no_interval_of_a_rate_near_1_misses_often_without_saying_that_few_clusters_hold_the_rest(
    coverage, size, share, icc
):
    found = coverage.extremes(size, share, (0.0, icc), studies=300)
    assert found["missed unsaid"] <= 0.10
    if icc == 0:
        assert found["covered"] >= 0.93


def test_groups_may_be_combinations_of_columns_and_scores_may_lie_between_0_and_1():
    table = items(10, 10, ("a", "b")).assign(score=0.25)
    table["model"] = np.where(table.persona_id < 5, "x", "y")
    result = rates(table, by=["model", "condition"])
    assert list(result.index) == [("x", "a"), ("x", "b"), ("y", "a"), ("y", "b")]
    assert (result["rate"] == 0.25).all() and (result["n"] == 50).all()


def test_the_variance_of_a_balanced_table_is_that_of_the_analysis_of_variance():
    table = items(12, 9)
    rng = np.random.default_rng(0)
    table["y"] = rng.normal(size=12)[table.persona_id] + rng.normal(size=9)[table.prompt_id] + rng.normal(size=108)
    squares = sm.stats.anova_lm(sm.OLS.from_formula("y ~ C(persona_id) + C(prompt_id)", table).fit())
    mean = squares["mean_sq"]
    expected = (mean["C(persona_id)"] + mean["C(prompt_id)"] - mean["Residual"]) / 108
    found, df, fewest = variance(table["y"], table[["persona_id", "prompt_id"]])
    assert found == pytest.approx(expected) and fewest == pytest.approx(9)
    doubt = mean["C(persona_id)"] ** 2 / 11 + mean["C(prompt_id)"] ** 2 / 8 + mean["Residual"] ** 2 / 88
    assert df == pytest.approx(max((expected * 108) ** 2 / doubt, 8))


def test_items_of_one_persona_that_always_agree_count_once():
    table = items(40, 40)
    scores = (table.persona_id % 2).to_numpy(float)
    assert 35 < effective(scores, table[["persona_id", "prompt_id"]], 0.25).n <= 42


def test_copies_of_an_item_add_nothing():
    table, rng = items(15, 12), np.random.default_rng(0)
    table["score"] = rng.random(len(table))
    once = variance(table["score"], table[intervals.ITEM])
    twice = pd.concat([table, table])
    assert variance(twice["score"], twice[intervals.ITEM])[0] == pytest.approx(once[0], rel=0.15)


@pytest.mark.parametrize("effects", [(0.0, 0.0), (0.2, 0.2)])
@pytest.mark.parametrize("size", [(20, 10, 200), (1000, 700, 700)])
def test_intervals_cover_the_truth_in_about_95_of_100_simulated_studies(coverage, size, effects):
    found = coverage.cell(size, effects, studies=300)
    # The benchmark has 1,000 studies; with 300, chance alone moves a coverage of 0.95 by 0.025 either way.
    # Where clusters do not matter, more are covered: no variance is below that of independent items.
    most = 0.98 if size[0] == 1000 else 1.0
    assert 0.92 <= found["rate"] <= most and 0.92 <= found["difference"] <= most
    assert found["too few said"] == 0


def test_too_few_clusters_are_said(coverage):
    assert coverage.cell((8, 4, 32), (0.2, 0.2), studies=5)["too few said"] == 1
    note = paired_differences(
        coverage.study(coverage.layout(20, 4, 80), (0, 0), 0.1, np.random.default_rng(0)), "condition"
    )
    assert note["note"].item() == "too few clusters"


def test_33_attributes_without_effect_seldom_raise_a_false_alarm_after_holm(coverage):
    found = coverage.false_alarms(studies=25)
    assert found["uncorrected"] > 0.25 and found["Holm"] <= 0.08


def test_a_bootstrap_interval_is_about_the_analytic_one(coverage):
    table = coverage.study(coverage.layout(40, 20, 800), (0.2, 0.2), 0.1, np.random.default_rng(1))[:800]
    y = table["score"].to_numpy()
    row = coverage.bootstrap(lambda w: w @ y / w.sum(1), table[intervals.ITEM], seed=5)
    analytic = rates(table, "condition").iloc[0]
    assert row["estimate"] == analytic["rate"] and row["n"] == 800 and row["note"] == ""
    assert row["high"] - row["low"] == pytest.approx(analytic["high"] - analytic["low"], rel=0.15)
    assert row == coverage.bootstrap(lambda w: w @ y / w.sum(1), table[intervals.ITEM], seed=5)


def test_a_pair_lacking_either_score_is_counted_as_failed_not_dropped():
    table = items(4, 5, ("a", "b", "c")).assign(score=0.0)
    table.loc[(table.condition == "b"), "score"] = 1.0
    table.loc[(table.condition == "b") & (table.persona_id == 0), "score"] = np.nan
    result = paired_differences(table, by="condition").set_index(["minuend", "subtrahend"])
    assert list(result.index) == [("b", "a"), ("c", "a"), ("c", "b")]
    assert result.loc[("b", "a"), ["n", "failed", "difference"]].tolist() == [15, 5, 1.0]
    assert result.loc[("c", "a"), "low"] < 0 < result.loc[("c", "a"), "high"]
    assert result.loc[("c", "a"), "p"] == 1 and result.loc[("b", "a"), "p"] < 0.3


def test_an_item_that_neither_group_of_a_pair_was_asked_did_not_fail():
    table = items(4, 5, ("a", "b", "c")).assign(score=1.0)
    table = table[(table["condition"] == "c") | (table["persona_id"] > 1)]
    table = table[(table["condition"] != "a") | (table["prompt_id"] > 0)]
    found = paired_differences(table, "condition").set_index(["minuend", "subtrahend"])
    assert found.index.tolist() == [("b", "c"), ("a", "c"), ("a", "b")]
    assert found["n"].tolist() == [10, 8, 8] and found["failed"].tolist() == [10, 12, 2]


def test_differences_can_be_of_chosen_pairs_and_a_planted_one_is_found():
    rng, table = np.random.default_rng(0), items(30, 20, ("all", "x", "y"))
    table["score"] = (rng.random(len(table)) < np.where(table.condition == "x", 0.35, 0.5)).astype(float)
    result = paired_differences(table, "condition", pairs=[("x", "all"), ("y", "all")]).set_index("minuend")
    assert list(result.index) == ["x", "y"] and (result["subtrahend"] == "all").all()
    assert result.loc["x", "p_holm"] < 0.01 < result.loc["y", "p_holm"]
    assert result.loc["x", "p_holm"] == pytest.approx(2 * result.loc["x", "p"])


def test_an_interval_excludes_0_exactly_where_its_p_is_below_5_in_100():
    rng, table = np.random.default_rng(4), items(10, 10)
    index = pd.MultiIndex.from_frame(table[intervals.ITEM])
    found = []
    for chance in (0.5, 0.6, 0.7, 0.95):
        for _ in range(100):
            scores = rng.random((2, 100)) < [[0.5], [chance]]
            found.append(intervals.difference(pd.Series(scores[1].astype(float) - scores[0], index)))
    found = pd.DataFrame(found)
    excludes = (found["low"] > 0) | (found["high"] < 0)
    assert (excludes == (found["p"] < 0.05)).all() and 0.2 < excludes.mean() < 0.8


def test_corrections_leave_missing_values_out_of_the_family():
    p = pd.Series([0.01, np.nan, 0.04])
    assert corrected(p).tolist() == pytest.approx([0.02, np.nan, 0.04], nan_ok=True)
    assert corrected(p, "fdr_bh").tolist() == pytest.approx([0.02, np.nan, 0.04], nan_ok=True)
    assert corrected(pd.Series([np.nan, np.nan])).isna().all()


@pytest.mark.parametrize("method", ["holm", "fdr_bh", "fdr_by"])
def test_corrections_are_those_of_statsmodels(method):
    p = pd.Series([0.3, 0.001, 0.04, 0.04, 0.02, 0.9, 1.0, 0.012], list("hgfedcba"))
    assert corrected(p, method).tolist() == pytest.approx(multipletests(p, method=method)[1])


def test_one_persona_alone_has_a_rate_but_no_interval_and_the_row_says_why():
    result = rates(items(1, 8).assign(score=1.0), by="condition").iloc[0]
    assert result.rate == 1 and np.isnan(result.low) and np.isnan(result.high)
    assert result.note == "one cluster: no interval"
    nothing = rates(items(3, 3).assign(score=np.nan), by="condition").iloc[0]
    assert nothing.n == 0 and nothing.failed == 9 and np.isnan(nothing.rate) and nothing.note == "nothing scored"
    pair = paired_differences(items(3, 3, ("a", "b")).assign(score=np.nan), by="condition").iloc[0]
    assert pair.n == 0 and pair.failed == 9 and pair.note == "nothing scored" and np.isnan(pair.low)
    assert np.isnan(pair.p) and np.isnan(pair.p_holm)


@pytest.mark.parametrize("score", [0.05, 0.1, 1 / 3, 0.7, 0.9])
@pytest.mark.parametrize("number", [20, 50, 100, 200])
def test_scores_that_are_all_one_fraction_are_equal_whatever_rounding_makes_of_them(score, number):
    table = items(10, 20).sort_values(["prompt_id", "persona_id"]).head(number).assign(score=score)
    row = rates(table, "condition").iloc[0]
    assert row["note"].endswith("all scores equal") and row["high"] - row["low"] > 0.05
    apart = intervals.difference(table.set_index(intervals.ITEM)["score"])
    assert apart["note"] == row["note"] and apart["high"] - apart["low"] > 0.05 and apart["p"] > 1e-6
    assert variance(table["score"], table[intervals.ITEM]) == variance(table["score"] * 0, table[intervals.ITEM])


@pytest.mark.parametrize("by", ["condition", ["condition"], ["condition", "model"]])
def test_a_table_without_rows_has_rates_without_rows(by):
    table = items(3, 3).assign(score=1.0, model="m")
    found, whole = rates(table.head(0), by), rates(table, by)
    assert found.empty and list(found.columns) == list(whole.columns) and found["n"].dtype == int
    assert list(found.reset_index().columns) == list(whole.reset_index().columns)
    assert paired_differences(table.head(0), "condition").empty


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop(columns="prompt_id"), "lacks prompt_id"),
        (lambda t: t.assign(score=t.score * 5), "from 0 to 1"),
        (lambda t: pd.concat([t, t]), "several rows"),
        (lambda t: t.assign(condition="b"), "no group 'a'"),
    ],
)
def test_a_table_that_cannot_be_scored_is_refused_in_one_line(change, message):
    with pytest.raises(UserError, match=message):
        paired_differences(change(items(3, 3, ("a",)).assign(score=1.0)), "condition", pairs=[("b", "a")])


def test_each_table_of_the_benchmark_is_made_and_a_cell_that_breaks_the_promise_is_marked(coverage):
    made = coverage.tables([(12, 10)])
    assert {"rates", "differences", "groups", "attributes", "portraits", "annotators", "labels", "kappa"} <= set(made)
    for name in set(made) - {"bootstraps", "weak", "family", "power"}:
        row = coverage.computed((made[name].cell, made[name].cells[0], 2))
        assert row[""] in ("", "false alarms, or chance") and {"covered", "level"} & set(row), name
    assert [
        coverage.outside(row, 400)
        for row in ({"covered without note": 0.8}, {"level": 0.1}, {"covered without note": 0.92}, {"level": 0.06})
    ] == ["covers too little", "false alarms", "covers too little, or chance", ""]


def test_a_mean_of_fractions_has_the_interval_of_their_own_variance_and_not_of_as_many_yes_and_no():
    rng, step = np.random.default_rng(5), np.arange(200)
    clusters = pd.DataFrame({"persona_id": step % 40, "prompt_id": step % 30})
    rows = [intervals.rate(pd.Series(rng.beta(4.8, 3.2, 200)), clusters) for _ in range(150)]
    found = pd.DataFrame(rows)
    width = (found["high"] - found["low"]).mean()
    assert width < 1.3 * 2 * 1.96 * found["rate"].std()  # .14 and not .05 if they were yes or no
    assert ((found["low"] <= 0.6) & (found["high"] >= 0.6)).mean() >= 0.91


def test_a_difference_says_if_few_clusters_hold_the_changes():
    index = pd.MultiIndex.from_product([range(20), range(20)], names=intervals.ITEM)
    change = pd.Series(0.0, index)
    change.loc[[0, 1, 2]] = 1.0
    assert intervals.difference(change)["note"] == "few clusters hold the changes"
    change.loc[range(10)] = 1.0
    assert intervals.difference(change)["note"] == ""
    assert intervals.difference(change * 0)["note"] == "all scores equal"


def test_a_dozen_clusters_that_differ_much_are_few_for_an_answer_below_three_tenths():
    """Of such studies those without a note cover less: they saw the rare answer in more clusters than hold it."""
    items = pd.DataFrame(list(product(range(9), range(100))), columns=intervals.ITEM)

    def note(shares: list[float]) -> str:
        values = np.random.default_rng(0).random(900) < np.array(shares)[items["persona_id"]]
        return intervals.rate(pd.Series(values.astype(float)), items)["note"]

    assert note([0.2, 0.1, 0.3, 0.2, 0.1, 0.3, 0.05, 0.3, 0.25]) == "few clusters, which differ much"
    assert note([0.4, 0.2, 0.6, 0.4, 0.2, 0.6, 0.1, 0.6, 0.5]) == "", "no answer is rare"
    assert note([0.2, 0.2, 0.21, 0.2, 0.21, 0.2, 0.2, 0.2, 0.2]) == "", "they hardly differ"


def test_the_variance_of_moves_is_that_of_statsmodels_clustered_by_two():
    rng = np.random.default_rng(3)
    table = items(30, 20).sample(200, random_state=1).reset_index(drop=True)
    y = rng.normal(size=200) + rng.normal(size=30)[table["persona_id"]] + rng.normal(size=20)[table["prompt_id"]]
    weights = rng.uniform(0.2, 3.0, 200)
    fitted = sm.WLS(y, np.ones(200), weights=weights).fit()
    groups = table[["persona_id", "prompt_id"]].to_numpy()
    of_two = sm.stats.sandwich_covariance.cov_cluster_2groups(fitted, groups, use_correction=False)[0][0, 0]
    moves = pd.Series(
        weights / weights.sum() * fitted.resid, pd.MultiIndex.from_frame(table[["persona_id", "prompt_id"]])
    )
    found, fewest = linearized(moves)
    assert found == pytest.approx(of_two, rel=0.06) and found > of_two, "corrected for the number of clusters"
    assert fewest == 20 and np.isnan(linearized(moves.loc[[3]])[0])
    halved = pd.concat([moves / 2, moves / 2])
    assert linearized(halved) == (pytest.approx(found), 20), "rows of one person and prompt are one item"
