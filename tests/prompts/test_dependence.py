"""Persona-dependence is what was put in."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from persona_lib import UserError
from persona_lib.prompts import persona_dependence


def judged(chances: np.ndarray, column: str = "p_chosen") -> pd.DataFrame:
    """Judgments from an array (repeats, prompts, personas)."""
    repeats, n_prompts, n = chances.shape
    index = pd.MultiIndex.from_product(
        [range(repeats), [f"q{i}" for i in range(n_prompts)], [f"p{i}" for i in range(n)]],
        names=["sample", "prompt_id", "persona_id"],
    )
    return pd.DataFrame({column: chances.ravel()}, index=index).reset_index()


@pytest.mark.parametrize(("n", "a", "b"), [(8, 2, 2), (40, 2, 2), (40, 0.5, 0.5), (60, 10, 10)])
def test_persona_dependence_is_the_intraclass_correlation_with_an_interval_that_covers(n, a, b):
    chances = np.random.default_rng(0).beta(a, b, (1, 250, n))
    found = persona_dependence(judged(chances))
    true = 1 / (a + b + 1)  # the intraclass correlation of a beta-binomial
    assert found["share"].mean() == pytest.approx(true, abs=0.012)
    assert ((found["low"] <= true) & (true <= found["high"])).mean() > (0.88 if n < 20 else 0.92)
    assert (found["low"] <= found["share"]).all() and (found["share"] <= found["high"]).all()


def test_repeated_scores_give_the_same_share_as_the_chances_they_were_drawn_from():
    random = np.random.default_rng(1)
    chances = random.beta(1, 1, (1, 100, 60))
    scores = random.binomial(1, np.repeat(chances, 5, axis=0)).astype(float)
    by_chance = persona_dependence(judged(chances))["share"].mean()
    by_score = persona_dependence(judged(scores, "score"), value="score")["share"].mean()
    assert by_score == pytest.approx(by_chance, abs=0.02) == pytest.approx(1 / 3, abs=0.03)


def test_scores_agree_with_the_one_way_analysis_of_variance():
    scores = np.random.default_rng(2).normal(size=(4, 1, 12)) + np.arange(12) / 4
    found = persona_dependence(judged(scores, "score"), value="score").iloc[0]
    groups = scores[:, 0, :]
    within = groups.var(axis=0, ddof=1).mean()
    f = stats.f_oneway(*groups.T).statistic
    assert found["share"] == pytest.approx((f - 1) / (f - 1 + 4)), "ICC(1) from the F statistic"
    assert found["within"] == pytest.approx(within) and found["n"] == 12


def test_what_does_not_depend_on_the_persona_has_no_share_or_none_at_all():
    same = judged(np.stack([np.full((1, 10), p) for p in (0.3, 0.0, 1.0)], axis=1).reshape(1, 3, 10))
    found = persona_dependence(same)
    assert found["share"].fillna(-1).tolist() == pytest.approx([0, -1, -1])
    assert found["between"].tolist() == pytest.approx([0, 0, 0], abs=1e-12)
    assert found["high"].iloc[0] == pytest.approx(0, abs=1e-9)


def test_failed_judgments_are_counted_and_few_personas_have_no_interval():
    made = judged(np.random.default_rng(3).random((1, 1, 6)))
    made.loc[:1, "p_chosen"] = np.nan
    row = persona_dependence(made).iloc[0]
    assert row[["n", "failed"]].tolist() == [4, 2] and row[["low", "high"]].isna().all() and row["share"] > 0
    single = persona_dependence(made.rename(columns={"p_chosen": "score"}), value="score").iloc[0]
    assert single[["n", "failed"]].tolist() == [0, 6] and np.isnan(single["share"])


def test_judgments_come_from_a_file_or_not_at_all(tmp_path):
    made = judged(np.random.default_rng(3).random((1, 2, 6)))
    made.to_csv(tmp_path / "j.csv", index=False)
    made.to_parquet(tmp_path / "j.parquet")
    expected = persona_dependence(made)
    for suffix in ("csv", "parquet"):
        pd.testing.assert_frame_equal(persona_dependence(str(tmp_path / f"j.{suffix}")), expected)
    text = made.to_csv(index=False).replace("persona_id,prompt_id,p_chosen", "Persona ID, PROMPT-ID, P Chosen")
    (tmp_path / "j.csv").write_text(text.replace("\n", " \n"))
    pd.testing.assert_frame_equal(persona_dependence(str(tmp_path / "j.csv")), expected)
    nothing = persona_dependence(None)
    assert nothing.empty and list(nothing) == list(expected)


def test_judgments_that_cannot_be_used_are_named(tmp_path):
    made = judged(np.random.default_rng(3).random((1, 2, 6)))
    with pytest.raises(UserError, match="the judgments lack persona_id, score: they have"):
        persona_dependence(made.drop(columns="persona_id"), value="score")
    with pytest.raises(UserError, match="p_chosen must be between 0 and 1"):
        persona_dependence(made.assign(p_chosen=3))
    with pytest.raises(UserError, match=r"no file .*gone.parquet"):
        persona_dependence(str(tmp_path / "gone.parquet"))
