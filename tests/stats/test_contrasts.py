"""The logistic model and the control for length: against statsmodels, planted effects, and odd tables."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from statsmodels.stats.sandwich_covariance import cov_cluster_2groups

from persona_lib import UserError
from persona_lib.stats.contrasts import at_equal_length, length_controlled, logistic
from persona_lib.stats.intervals import rates


def scores(personas: int = 40, prompts: int = 30, seed: int = 0, **effects: float) -> pd.DataFrame:
    """Three conditions x two models; chances move with condition, model, persona and prompt."""
    rng = np.random.default_rng(seed)
    levels = [range(personas), range(prompts), ["baseline", "direct", "summary"], ["small", "large"]]
    names = ["persona_id", "prompt_id", "condition", "model"]
    table = pd.MultiIndex.from_product(levels, names=names).to_frame(index=False)
    chance = 0.5 + table["condition"].map(effects).fillna(0) + table["model"].map(effects).fillna(0)
    chance += rng.uniform(-0.2, 0.2, personas)[table.persona_id] + rng.uniform(-0.15, 0.15, prompts)[table.prompt_id]
    return table.assign(score=(rng.random(len(table)) < chance).astype(float))


def test_the_logistic_model_is_statsmodels_logit_with_two_way_clusters():
    table = scores(direct=0.1, large=-0.1)
    found = logistic(table)
    formula = "score ~ C(condition, Treatment('baseline')) * C(model, Treatment('small'))"
    fit = smf.logit(formula, table).fit(disp=0)
    errors = np.sqrt(np.diag(cov_cluster_2groups(fit, table.persona_id.to_numpy(), table.prompt_id.to_numpy())[0]))
    assert list(found.index) == ["intercept", "direct", "summary", "large", "direct x large", "summary x large"]
    assert np.log(found["odds_ratio"]).tolist() == pytest.approx(fit.params.tolist(), abs=1e-6)
    widths = np.log(found["high"] / found["low"]) / 2
    assert (widths / 2.0).tolist() == pytest.approx(errors.tolist(), rel=0.06)
    assert found.loc["direct", "p_holm"] < 0.01 and found.loc["summary", "p"] > 0.01
    assert np.isnan(found.loc["intercept", "p_holm"]) and (found["note"] == "").all()


def test_no_term_of_a_model_without_effects_is_found_more_than_5_times_in_100():
    found = np.array([logistic(scores(15, 12, seed))["p"].iloc[1:] < 0.05 for seed in range(25)])
    assert found.mean() < 0.08


def test_a_cell_with_one_answer_only_is_a_row_that_says_so():
    table = scores(8, 8)
    table.loc[(table.condition == "summary") & (table.model == "large"), "score"] = 1.0
    table.loc[(table.condition == "direct") & (table.model == "large"), "score"] = np.nan
    found = logistic(table)
    assert found.loc["summary x large", "note"] == "every answer scores 1 in summary, large: no finite odds"
    assert found.loc["direct x large", "note"] == "nothing is scored in direct, large: no finite odds"
    assert found.loc["direct x large", "failed"] == 64
    assert found.loc[["direct", "summary", "large"], "low"].notna().all()
    assert logistic(table.assign(score=0.0))["note"].str.startswith("every answer scores 0").all()
    same = table.assign(score=(table.persona_id % 2).astype(float))
    assert logistic(same).loc["direct", "note"].startswith("the same scores")


def comparisons(per_word: float, fair: float, seed: int = 0, gap: tuple[float, float] = (40, 40)) -> pd.DataFrame:
    """A writer whose answers are longer by `gap` (mean, sd) words, and win by length as well as by merit."""
    rng = np.random.default_rng(seed)
    grid = pd.MultiIndex.from_product([range(30), range(20)], names=["persona_id", "prompt_id"]).to_frame(index=False)
    words = rng.normal(*gap, len(grid))
    chance = 1 / (1 + np.exp(-(np.log(fair / (1 - fair)) + per_word * np.tanh(words / words.std()))))
    return grid.assign(writer="long", length_difference=words, score=(rng.random(len(grid)) < chance).astype(float))


def test_a_win_rate_bought_with_length_is_taken_back_and_a_fair_one_is_left():
    bought, fair = (length_controlled(comparisons(*c), "writer").iloc[0] for c in ((2.0, 0.5), (0.0, 0.7)))
    assert bought["low"] > 0.6 and bought["controlled_low"] < 0.5 < bought["controlled_high"]
    assert bought["per_sd"] == pytest.approx(2 * np.tanh(1), abs=0.4)
    assert fair["controlled_low"] < 0.7 < fair["controlled_high"] and fair["controlled_low"] > 0.5


def test_the_controlled_rate_covers_the_truth_in_about_95_of_100_simulated_studies():
    rows = [length_controlled(comparisons(1.0, 0.6, seed), "writer").iloc[0] for seed in range(100)]
    assert 0.9 <= np.mean([row.controlled_low <= 0.6 <= row.controlled_high for row in rows]) <= 0.99


def test_the_mean_of_what_comparisons_contribute_is_the_rate_at_equal_length_also_of_a_part_of_them():
    table = comparisons(1.0, 0.6)
    far = comparisons(0.0, 0.5, gap=(60, 15)).assign(writer="far")
    parts = at_equal_length(pd.concat([table, far], ignore_index=True), "writer")
    own = parts[parts["writer"] == "long"].reset_index(drop=True)
    assert own["score"].mean() == pytest.approx(length_controlled(table, "writer")["controlled"].iloc[0])
    assert parts.loc[parts["writer"] == "far", "score"].isna().all()
    some = np.random.default_rng(0).integers(0, len(table), len(table))
    assert own["score"][some].mean() == pytest.approx(
        length_controlled(table.iloc[some].reset_index(drop=True), "writer")["controlled"].iloc[0], abs=0.005
    )


@pytest.mark.parametrize(("sign", "side"), [(1, "longer"), (-1, "shorter")])
def test_there_is_no_rate_at_equal_length_where_all_answers_are_longer_or_all_are_shorter(sign, side):
    found = length_controlled(comparisons(0.0, 0.7, gap=(60 * sign, 15)), "writer").iloc[0]
    assert found["note"] == f"over 98% of answers are {side}: equal length is outside the data"
    assert found[["controlled", "controlled_low", "controlled_high", "per_sd"]].isna().all()
    assert found["low"] < 0.7 < found["high"]


def test_a_few_answers_of_the_other_side_give_a_rate_at_equal_length_that_covers_the_truth():
    rows = [length_controlled(comparisons(1.0, 0.6, seed, (35, 20)), "writer").iloc[0] for seed in range(100)]
    known = pd.DataFrame(rows).dropna(subset="controlled")
    assert len(known) == 100 and known["controlled"].mean() == pytest.approx(0.6, abs=0.015)
    assert np.mean((known["controlled_low"] <= 0.6) & (known["controlled_high"] >= 0.6)) >= 0.89


@pytest.mark.parametrize(
    ("change", "note"),
    [
        (lambda t: t.assign(score=np.nan), "nothing scored"),
        (lambda t: t.assign(score=1.0), "all scores equal"),
        (lambda t: t.assign(length_difference=3.0), "the same length"),
        (lambda t: t.assign(score=(t.length_difference > 40).astype(float)), "length alone decides"),
    ],
)
def test_where_length_cannot_be_controlled_the_row_says_why(change, note):
    row = length_controlled(change(comparisons(0.0, 0.5)), "writer").iloc[0]
    assert note in row["note"] and np.isnan(row["controlled"])


def test_comparisons_whose_group_is_missing_are_a_row_of_their_own():
    table = comparisons(0.0, 0.5)
    found = length_controlled(table.assign(writer=table["writer"].where(table["persona_id"] > 9)), "writer")
    assert found["n"].tolist() == [200, 400] and found.index.isna().tolist() == [True, False]


def test_a_scored_comparison_without_its_length_is_refused():
    table = comparisons(0.0, 0.5)
    table.loc[0, "length_difference"] = np.nan
    with pytest.raises(UserError, match="1 scored comparisons lack their length_difference"):
        length_controlled(table, "writer")


@pytest.mark.parametrize("column", ["persona_id", "prompt_id"])
def test_a_score_without_an_id_is_refused_and_not_left_out_of_the_interval_alone(column):
    table = comparisons(0.0, 0.5)
    table[column] = table[column].astype(object).where(table.index > 2, None)
    for measure in (lambda t: length_controlled(t, "writer"), lambda t: rates(t, "writer")):
        with pytest.raises(UserError, match="3 scores name no persona_id or no prompt_id: fill it in or leave"):
            measure(table)


def test_shares_that_lie_on_a_curve_of_length_are_no_separation():
    """A model that reproduces all shares exactly warns of perfect prediction, and a warning is an error here."""
    table = pd.DataFrame({"persona_id": list("abc"), "prompt_id": list("xyz"), "by": "one", "score": [0.48, 0.5, 0.5]})
    (row,) = length_controlled(table.assign(length_difference=[4.0, -4.0, -4.0]), "by").to_dict("records")
    assert 0.4 < row["controlled"] < 0.6
