"""Contrasts beyond one rate: McNemar, a logistic model, rates at equal length; beside statsmodels."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy.special import expit
from statsmodels.stats.contingency_tables import mcnemar

from persona_lib import UserError, contrasts


def scored(n: int = 60, seed: int = 0, effect: float = 1.2, extra: float = -0.8) -> pd.DataFrame:
    """Items under two conditions by two models, with effects of persona and prompt."""
    rng = np.random.default_rng(seed)
    persona, prompt = rng.normal(0, 0.7, 20), rng.normal(0, 0.7, 30)
    rows = []
    for i in range(n):
        for c, condition in enumerate(("baseline", "direct")):
            for m, model in enumerate("ab"):
                p = expit(persona[i % 20] + prompt[i % 30] + effect * c + 0.5 * m + extra * c * m)
                rows.append((f"p{i % 20}", f"q{i % 30}-{i // 60}", condition, model, float(rng.random() < p)))
    return pd.DataFrame(rows, columns=["persona_id", "prompt_id", "condition", "model", "score"])


def test_the_odds_are_those_of_statsmodels_with_condition_model_and_their_product():
    table = scored(300)
    c, m = (table["condition"] == "direct").to_numpy(float), (table["model"] == "b").to_numpy(float)
    fit = sm.Logit(table["score"], sm.add_constant(np.column_stack([c, m, c * m]))).fit(disp=False)
    found = contrasts.logistic(table)
    assert found["odds_ratio"].to_numpy() == pytest.approx(np.exp(fit.params.to_numpy()), rel=1e-6)
    assert list(found.index) == ["intercept", "direct", "b", "direct x b"]
    assert found["low"].lt(found["odds_ratio"]).all() and found["odds_ratio"].lt(found["high"]).all()
    assert found.loc["direct", "p"] < 0.01 and (found["n"] > 0).all()


def test_its_errors_are_near_those_of_clusters_that_cross():
    from statsmodels.stats.sandwich_covariance import cov_cluster_2groups

    table = scored(600)
    c, m = (table["condition"] == "direct").to_numpy(float), (table["model"] == "b").to_numpy(float)
    fit = sm.GLM(table["score"], sm.add_constant(np.column_stack([c, m, c * m])), family=sm.families.Binomial()).fit()
    groups = [pd.factorize(table[name])[0] for name in ("persona_id", "prompt_id")]
    errors = np.sqrt(np.diag(cov_cluster_2groups(fit, *groups)[0]))
    found = contrasts.logistic(table)
    width = np.log(found["high"] / found["low"]) / 2 / 2.09  # Student's t of 19 degrees of freedom
    assert width.to_numpy() == pytest.approx(errors, rel=0.25)


def test_a_cell_in_which_all_score_the_same_has_no_odds_and_says_so():
    table = scored(60)
    table.loc[(table["condition"] == "direct") & (table["model"] == "b"), "score"] = 1.0
    found = contrasts.logistic(table)
    assert np.isnan(found.loc["direct x b", "odds_ratio"])
    assert "every answer scores 1 in direct, b: no finite odds" in found.loc["direct x b", "note"]
    assert np.isfinite(found.loc["direct", "odds_ratio"])
    nothing = contrasts.logistic(table.assign(score=np.nan))
    assert nothing["odds_ratio"].isna().all() and nothing["note"].str.contains("nothing is scored").all()


def test_mcnemar_is_that_of_statsmodels_and_warns_where_items_share_clusters():
    rng = np.random.default_rng(1)
    rows = [(f"p{i}", f"q{i}", c, float(rng.random() < 0.4 + 0.3 * (c == "b"))) for i in range(80) for c in "ab"]
    table = pd.DataFrame(rows, columns=["persona_id", "prompt_id", "condition", "score"])
    wide = table.pivot(index="persona_id", columns="condition", values="score")
    expected = mcnemar(pd.crosstab(wide["a"], wide["b"]), exact=True).pvalue
    found = contrasts.mcnemar(table, by="condition").iloc[0]
    assert found["p"] == pytest.approx(expected) and found["note"] == "" and found["n"] == 80
    assert "share personas" in contrasts.mcnemar(scored(60).query("model == 'a'"), by="condition")["note"].iloc[0]


def lengths(n: int, by_length: float, better: float, seed: int = 0) -> pd.DataFrame:
    """Comparisons won by length and by worth; one writer is longer."""
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(n):
        for writer, mean in (("long", 1.0), ("even", 0.0)):
            gap = rng.normal(mean, 1)
            won = rng.random() < expit(by_length * np.tanh(gap) + better * (writer == "even"))
            rows.append((f"p{i % 25}", f"q{i // 5}", writer, 100 * gap, float(won)))
    return pd.DataFrame(rows, columns=["persona_id", "prompt_id", "model", "length_difference", "score"])


def test_at_equal_length_what_only_length_won_is_a_draw():
    found = contrasts.length_controlled(lengths(500, by_length=2.0, better=0.0), by="model")
    assert found.loc["long", "rate"] > 0.65 and found.loc["long", "controlled"] == pytest.approx(0.5, abs=0.1)
    assert found.loc["long", "controlled_low"] < 0.5 < found.loc["long", "controlled_high"]
    assert found.loc["long", "per_sd"] > 0.5
    worth = contrasts.length_controlled(lengths(500, by_length=0.0, better=1.0), by="model")
    assert worth.loc["even", "controlled"] == pytest.approx(expit(1), abs=0.08)
    assert worth.loc["even", "controlled"] == pytest.approx(worth.loc["even", "rate"], abs=0.05)


def test_where_length_cannot_be_controlled_it_is_said():
    table = lengths(30, 1.0, 0.0)
    notes = {
        "all scores equal": table.assign(score=1.0),
        "the same length": table.assign(length_difference=5.0),
        "length alone decides": table.assign(score=(table["length_difference"] > 0).astype(float)),
        "nothing scored": table.assign(score=np.nan),
    }
    for note, case in notes.items():
        found = contrasts.length_controlled(case, by="model")
        assert found["controlled"].isna().all() and found["note"].str.contains(note).all(), note
    with pytest.raises(UserError, match="scored comparisons lack their length_difference"):
        contrasts.length_controlled(table.assign(length_difference=np.nan), by="model")
