"""An estimate, its interval and its n have one form in text."""

import re

import numpy as np
import pandas as pd
import pytest
from places import ROOT

from persona_lib import stats


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (stats.share(7 / 12, 0.28, 0.834, 12), "58% (95% interval 28% to 83%, n = 12)"),
        (stats.share(0.5, 0.06, 0.94), "50% (95% interval 6% to 94%)"),
        (stats.share(0.5, n=2), "50% (no interval, n = 2)"),
        (stats.share(np.nan, n=0), "an unknown share (n = 0)"),
        (stats.share(np.nan), "an unknown share"),
        (stats.share(0.5, 0.06, 0.94, 8, "too few clusters"), "50% (95% interval 6% to 94%, n = 8; too few clusters)"),
        (stats.points(np.nan, note="nothing scored"), "an unknown difference (nothing scored)"),
        (stats.share(0.123, 0.1, 0.2, 528_523), "12% (95% interval 10% to 20%, n = 528,523)"),
        (stats.points(0.25, -0.847, 1.0, 8), "+25 points (95% interval −85 to +100, n = 8)"),
        (stats.points(-0.001, -0.2, 0.004, 8), "0 points (95% interval −20 to 0, n = 8)"),
        (stats.points(np.nan, n=0), "an unknown difference (n = 0)"),
        (stats.number(0.17, -0.39, 0.64, 12), "0.17 (95% interval −0.39 to 0.64, n = 12)"),
        (stats.number(-0.0001), "0.00 (no interval)"),
        (stats.number(1.4, 0, 2.68, 12, digits=1), "1.4 (95% interval 0.0 to 2.7, n = 12)"),
        (stats.number(np.nan, n=3), "not estimable (n = 3)"),
    ],
)
def test_an_estimate_has_one_form(written, said):
    assert written == said


@pytest.mark.parametrize(
    ("shares", "said"),
    [
        ({"baseline": 0.33, "chain_of_thought": 0.7, "direct": 0.4}, "33% (baseline) to 70% (chain of thought)"),
        ({("m", "direct"): 0.1, ("n", "direct"): 0.2, ("n", "summary"): np.nan}, "10% (m: direct) to 20% (n: direct)"),
        ({"a": 0.5, "b": 0.501}, "50% (all 2)"),
        ({"a": 0.5, "b": np.nan}, "50%"),
        ({"a": np.nan}, "an unknown share"),
        ({}, "an unknown share"),
    ],
)
def test_the_ends_of_several_shares_are_named(shares, said):
    assert stats.extremes(pd.Series(shares, dtype=float)) == said


def test_tests_without_a_p_value_are_not_counted():
    assert stats.clear(pd.DataFrame({"p_holm": [0.01, 0.05, 0.8, np.nan]})) == "1 of 3"
    assert stats.clear(pd.DataFrame({"p_holm": np.array([], float)})) == "0 of 0"


def test_several_values_are_summed_up():
    rows = {
        "rate": [0.5, np.nan],
        "low": [0.06, np.nan],
        "high": [0.94, np.nan],
        "n": [8, 0],
        "note": ["", "nothing scored"],
    }
    said = "chain of thought 50% (95% interval 6% to 94%, n = 8), direct an unknown share (n = 0; nothing scored)"
    assert stats.listed(pd.DataFrame(rows, index=["chain_of_thought", "direct"])) == said
    assert stats.span(pd.Series([0.751, -0.2, np.nan])) == "−0.20 to 0.75" and stats.span(pd.Series([0.4])) == "0.40"
    assert stats.span(pd.Series([np.nan])) == "not estimable"
    assert stats.percent(0.584) == "58%" and stats.percent(np.nan) == "an unknown share"
    assert stats.extremes(pd.Series({"a_b": 0.1, "c": 0.36}), ".2f") == "0.10 (a b) to 0.36 (c)"


def test_nobody_else_writes_an_interval_or_patches_a_missing_one():
    other = re.compile(r"interval \{|\[\{[^}]*low['\"]?\]?:|replace\(.?.nan")
    # told.py writes an interval's ends as the figure's axis writes numbers.
    files = [path for path in (ROOT / "persona_lib").rglob("*.py") if path.name not in ("wording.py", "told.py")]
    files += (ROOT / "notebooks").glob("*.ipynb")
    lines = [f"{path.name}: {line.strip()}" for path in files for line in path.read_text("utf-8").splitlines()]
    assert not [line for line in lines if len(line) < 300 and other.search(line)]
