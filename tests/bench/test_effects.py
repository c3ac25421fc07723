"""Contrasts of conditions: section 5's come first, all are one family, and what was not asked for is left out."""

from itertools import product

import numpy as np
import pandas as pd
import pytest

from persona_lib import bench, stats
from persona_lib.bench import effects

ASKED = ["baseline", "direct", "chain_of_thought", "summary", "other_persona", "baseline_brief"]
KEPT = dict(zip(ASKED, [0.1, 0.4, 0.4, 0.8, 0.2, 0.1], strict=True))


def results(conditions=ASKED, models=("m",), n: int = 20) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    rows = [
        {"persona_id": f"p{i}", "prompt_id": f"q{j}", "model": model, "condition": condition,
         "score": float(rng.random() < KEPT.get(condition, 0.5)), "graded": 0.5}
        for model, condition, i, j in product(models, conditions, range(n), range(n // 2))
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_the_primary_contrasts_come_first_and_the_family_is_corrected_as_a_whole():
    found = bench.contrasts(results(models=("m", "n")))
    own = found[found["model"] == "m"]
    names = list(zip(own["minuend"], own["subtrahend"], strict=True))
    assert names[:3] == [("summary", "direct"), ("chain_of_thought", "direct"), ("direct", "other_persona")]
    assert names[3:] == [(c, "baseline") for c in ASKED if c != "baseline"]
    assert own["primary"].tolist() == [True] * 3 + [False] * 5 and len(found) == 16
    assert found["p_holm"].min() == pytest.approx(16 * found["p"].min()), "Holm over both models' contrasts"
    truth = [KEPT[a] - KEPT[b] for a, b in names]
    assert ((own["low"] <= truth) & (truth <= own["high"])).sum() >= 7
    assert own.loc[own["minuend"] == "summary", "low"].gt(0).all()


def test_another_score_is_compared_in_the_same_way():
    assert (bench.contrasts(results(), value="graded")["difference"] == 0).all()


def test_conditions_are_compared_by_what_people_would_keep_as_one_family_too():
    table = results(models=("m", "n"))
    table = table.assign(judge=1.0, human=table["score"])
    by_people, by_score = bench.human_contrasts(table), bench.contrasts(table)
    shared = ["model", "primary", "minuend", "subtrahend", "n", "difference", "low", "high", "p", "p_holm"]
    pd.testing.assert_frame_equal(by_people[shared], by_score[shared], check_dtype=False)
    assert bench.said(by_people.head(1), "m", bench.CONDITIONS).endswith("n = 200), clear after correction")


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        (["direct", "summary"], [("summary", "direct")]),
        (["baseline", "poem"], [("poem", "baseline")]),
        (["poem", "rhyme", "direct"], [("rhyme", "poem"), ("direct", "poem")]),
        (["other_persona", "direct"], [("direct", "other_persona")]),
        (["summary", "baseline", "direct"], [("summary", "direct"), ("summary", "baseline"), ("direct", "baseline")]),
        (["direct"], []),
    ],
)
def test_conditions_that_were_not_asked_for_are_left_out_and_own_ones_are_compared(conditions, expected):
    assert effects.pairs(conditions) == expected
    found = bench.contrasts(results(conditions, n=4))
    assert list(zip(found["minuend"], found["subtrahend"], strict=True)) == expected
    assert found["p_holm"].notna().all()


def test_contrasts_read_as_text_with_their_intervals():
    found = bench.contrasts(results(models=("m", "n")))
    said = bench.said(found, "m", bench.CONDITIONS)
    assert said.startswith("corrected as one family of 16 over all models: summary − direct +")
    assert "; chain of thought − direct" in said and said.count("95% interval") == 3
    assert bench.said(found, "another", bench.CONDITIONS) == "no primary contrast was asked for"
    unscored = bench.contrasts(results().assign(score=np.nan))
    assert bench.said(unscored, "m", bench.CONDITIONS).startswith("none of which is known, since no answers")
    one = unscored.assign(difference=unscored["difference"].where(unscored.index > 0, 0.2))
    assert bench.said(one, "m", bench.CONDITIONS).startswith("summary − direct +20 points"), "no family of 0"
    assert "unknown" not in bench.said(one, "m", bench.CONDITIONS)
    rows = found.head(1).assign(difference=-0.2, low=-0.35, high=-0.001, n=9, p_holm=0.07, note="")
    said = "models: summary − direct −20 points (95% interval −35 to 0, n = 9), not clear after correction"
    assert bench.said(rows, "m", bench.CONDITIONS).endswith(said)
    assert bench.said(rows.assign(p_holm=0.01), "m", bench.CONDITIONS).endswith(", n = 9), clear after correction")


def test_a_run_without_answers_has_tables_without_rows():
    none = results(n=2).head(0)
    assert list(bench.contrasts(none)) == list(bench.contrasts(results(n=4))) and bench.contrasts(none).empty
    assert list(stats.logistic(none)) == list(stats.logistic(results(n=4))) and stats.logistic(none).empty


def test_the_headline_names_own_conditions_and_leaves_the_paper_s_and_controls_to_the_table():
    found = bench.contrasts(results(["baseline", "direct", "poem", "baseline_brief"]))
    said = bench.said(found, "m", ["baseline", "direct", "poem"])
    assert "models: poem − baseline " in said and said.count("95% interval") == 1
