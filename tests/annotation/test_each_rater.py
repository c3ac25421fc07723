"""Each rater against the majority of the others: what a model as good as one rater reaches."""

import numpy as np
import pandas as pd
import pytest

from persona_lib import annotation
from persona_lib.stats import agreement

RIGHT = 0.8


def study(seed: int, raters: int = 4, people: int = 5, questions: int = 120) -> tuple[pd.DataFrame, pd.Series]:
    """Votes of raters who are each right in RIGHT of all items, and the truth by persona and question."""
    rng = np.random.default_rng(seed)
    index = pd.MultiIndex.from_product(
        [[f"p{i}" for i in range(people)], [f"q{i}" for i in range(questions)]], names=["persona_id", "prompt_id"]
    )
    truth = pd.Series(rng.random(len(index)) < 0.5, index)
    parts = [
        pd.DataFrame({"choice": reported(rng, truth)}, index).reset_index().assign(rater=f"r{number}")
        for number in range(raters)
    ]
    return pd.concat(parts, ignore_index=True), truth


def reported(rng: np.random.Generator, truth: pd.Series) -> np.ndarray:
    return np.where((rng.random(len(truth)) < RIGHT) == truth, "first", "second")


def test_a_model_as_good_as_one_rater_is_at_the_raters_line_and_above_their_agreement_with_each_other():
    rng = np.random.default_rng(0)
    raters, fleiss, model = [], [], []
    for seed in range(8):
        votes, truth = study(seed)
        raters.append(annotation.each_rater(votes).loc[("all", "Cohen's kappa"), "estimate"])
        fleiss.append(annotation.reliability(votes).loc[("all", "Fleiss' kappa"), "estimate"])
        won = annotation.majority(votes)["choice"].reindex(truth.index)
        mine = pd.Series(reported(rng, truth), truth.index, dtype="str")
        model.append(agreement.coefficients(mine, won).loc["Cohen's kappa", "estimate"])
    majority = RIGHT**3 + 3 * RIGHT**2 * (1 - RIGHT)
    expected = (2 * RIGHT - 1) * (2 * majority - 1)  # .475
    error = 3 * np.sqrt(1 - expected**2) / np.sqrt(600 * 8)
    assert np.mean(raters) == pytest.approx(expected, abs=error) and np.mean(model) == pytest.approx(
        expected, abs=error
    )
    assert np.mean(fleiss) == pytest.approx((2 * RIGHT - 1) ** 2, abs=error)


def test_each_vote_counts_once_with_people_apart_and_together():
    votes, _ = study(1, people=3, questions=5)
    table = annotation.each_rater(votes.sample(frac=1, random_state=0))
    assert table.index.names == ["persona_id", "coefficient"] and set(table["raters"]) == {4}
    assert table["n"].xs("raw agreement", level="coefficient").to_dict() == {"p0": 20, "p1": 20, "p2": 20, "all": 60}
    hits = [
        row.choice == votes[(votes[["persona_id", "prompt_id"]] == [row.persona_id, row.prompt_id]).all(axis=1)]
        .query("rater != @row.rater")["choice"].mode().item()
        for row in votes.itertuples()
    ]  # fmt: skip
    assert table.loc[("all", "raw agreement"), "estimate"] == pytest.approx(np.mean(hits))


def test_a_vote_counts_beside_as_many_others_as_make_a_majority():
    """Two others agree only where both are right or both are wrong: their line is too high for a majority of three."""
    votes, _ = study(2, raters=3, people=2, questions=4)
    table = annotation.each_rater(votes)
    assert table["n"].eq(0).all() and table.loc["all", "failed"].eq(24).all() and table["estimate"].isna().all()
    votes, _ = study(2, raters=4, people=2, questions=4)
    some = annotation.each_rater(votes.drop(index=0))
    assert some.loc[("all", "raw agreement"), ["n", "failed"]].tolist() == [28, 3]
    assert annotation.each_rater(votes.head(0)).loc["all", "n"].eq(0).all()
