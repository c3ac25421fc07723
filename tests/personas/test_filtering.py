"""Filters: whom rules and a model remove, what that does to the margins, and a filter that rejects all or none."""

import pandas as pd
import pytest

from persona_lib import census
from persona_lib.attributes import CENSUS
from persona_lib.personas import filtering


@pytest.fixture(scope="module")
def drawn() -> pd.DataFrame:
    people = census.Population.load().sample(400, seed=3)
    return people.set_axis(pd.Index([f"p{number}" for number in range(400)], name="persona_id"))


def verdicts(consistent: int, inconsistent: int, invalid: int = 0) -> pd.DataFrame:
    """What `consistency.ask` returns for so many people."""
    n = consistent + inconsistent + invalid
    values = pd.array([True] * consistent + [False] * inconsistent + [None] * invalid, "boolean")
    said = {"consistent": values, "why": "x", "attribute": "age", "failure": None, "judge": "m"}
    return pd.DataFrame(said, index=pd.Index([f"p{number}" for number in range(n)], name="persona_id"))


def test_the_rules_remove_the_unlikely_and_the_contradictory_and_say_which(drawn):
    assert filtering.by_rules(drawn.head(100).drop(filtering.by_rules(drawn)["persona_id"], errors="ignore")).empty
    wrong = drawn.head(2).assign(age=[19, 9], education=["Bachelor's degree", "Doctorate degree"])
    found = filtering.by_rules(wrong).groupby("persona_id")["rule"].agg(set)
    assert "unlikely: age and education" in found["p0"] and "census: age and education" in found["p1"]
    assert not any(rule.startswith("census: age and education") for rule in found["p0"])


def test_what_a_filter_does_to_the_margins_is_shown_for_each_value_the_largest_change_first(drawn):
    men = drawn.index[drawn["sex"] == "Male"]
    found = pd.DataFrame({"persona_id": men[:50], "rule": "r", "reason": "x"})
    table = filtering.effect(drawn, found)
    assert table.loc[0, ["attribute", "value"]].tolist()[0] == "sex" and table["change"].abs().is_monotonic_decreasing
    left = drawn.drop(men[:50])["sex"].eq("Male").mean()
    row = table[(table["attribute"] == "sex") & (table["value"] == "Male")].iloc[0]
    assert row["left"] == pytest.approx(left) and row["change"] == pytest.approx(left - len(men) / 400)
    assert set(table["attribute"]) <= set(CENSUS) and filtering.effect(drawn, found.head(0))["change"].eq(0).all()


@pytest.mark.filterwarnings("error")
def test_a_filter_that_leaves_nobody_has_no_shares_of_those_left(drawn):
    table = filtering.effect(drawn.head(20), verdicts(0, 20))
    assert table["left"].isna().all() and table["change"].isna().all() and table["all"].notna().all()


def test_a_model_that_calls_nobody_or_everybody_inconsistent_is_named():
    said = filtering.told(verdicts(28, 2, 1))
    assert said.startswith("m calls 2 profiles inconsistent, 7% (95% interval 1% to 34%, n = 30)")
    assert said.endswith("; 1 unusable reply.")
    assert "nothing shows that it reads at all" in filtering.told(verdicts(30, 0))
    assert "more of the filter than of the people" in filtering.told(verdicts(10, 20))
    assert filtering.told(verdicts(0, 0, 3)) == "m gave no usable verdict on 3 profiles."
    nobody = filtering.by_model(verdicts(2, 0), None)
    assert nobody.empty and filtering.told(nobody) == "No model read the profiles."
    assert filtering.blames_all(6, 11) and not filtering.blames_all(5, 10) and not filtering.blames_all(2, 2)


def test_of_people_whom_no_model_read_the_report_says_nothing(drawn):
    table = filtering.report(drawn, filtering.by_model(drawn, None), by=["sex", "age"])
    assert table[["by", "n", "failed"]].values.tolist() == [["all", 0, 0]] and table["rate"].isna().all()
    part = filtering.report(drawn, verdicts(4, 1, 1), by=["sex"]).set_index("by")
    assert part.loc["all", ["n", "failed", "removed"]].tolist() == [5, 1, 1] and part.loc["sex", "n"].sum() == 5
