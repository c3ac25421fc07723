"""Portraits of groups: distances and their ratio against planted ones."""

import numpy as np
import pandas as pd
import pytest

from persona_lib.fidelity import caricature


def answers(rng: np.random.Generator, truth: list, said: list, people: int = 30, questions: int = 6) -> pd.DataFrame:
    """Return real and simulated answers of groups with these chances of three options."""
    parts = []
    for group, (real, simulated) in enumerate(zip(truth, said, strict=True)):
        who, question = np.divmod(np.arange(people * questions), questions)
        own = {"persona_id": 1000 * group + who, "prompt_id": question, "source": "m", "group": f"g{group}"}
        own |= {
            "truth": rng.choice(list("abc"), len(who), p=real),
            "answer": rng.choice(list("abc"), len(who), p=simulated),
        }
        parts.append(pd.DataFrame(own))
    return pd.concat(parts, ignore_index=True)


@pytest.mark.parametrize("shift", [0.0, 0.1, 0.3])
def test_the_interval_of_a_distance_holds_the_truth_and_chance_stands_beside_it(shift):
    rng, base = np.random.default_rng(0), np.array([0.4, 0.35, 0.25])
    rows = [
        caricature.distributions(answers(rng, [base], [base + np.array([shift, -shift, 0])]), "group").iloc[0]
        for _ in range(60)
    ]
    found = pd.DataFrame(rows)
    assert ((found["distance_low"] <= shift) & (shift <= found["distance_high"])).mean() >= 0.9
    assert ((found["distance_low"] <= found["distance"]) & (found["distance"] <= found["distance_high"])).all()
    assert found["chance"].mean() == pytest.approx(0.14, abs=0.02)
    assert (found["distance"].mean() > found["chance"].mean() + 0.02) == (shift > 0)


def test_one_in_twenty_runs_without_a_difference_exceeds_what_chance_gives(monkeypatch):
    """Of the run's own distance and 50 by chance each is the largest equally often: it exceeds the 48th in 3 of 51."""
    deals = iter(range(caricature.DEALS))
    monkeypatch.setattr(caricature, "_between", lambda counts: float(next(deals)))
    table = pd.DataFrame({"persona_id": list("abcd"), "prompt_id": "q", "answer": "x", "truth": "x", "g": list("1122")})
    codes = caricature._Codes(table, "g")
    ranks = 2 * caricature._by_chance(codes, codes.said, 0) ** 2  # from 0
    assert (ranks + 1) / (caricature.DEALS + 1) == pytest.approx(0.95)


def test_exaggeration_is_not_pulled_to_1_by_the_noise_of_small_groups():
    rng = np.random.default_rng(1)
    truth = np.array([[0.5, 0.3, 0.2], [0.4, 0.35, 0.25], [0.3, 0.4, 0.3], [0.25, 0.35, 0.4]])
    said = truth.mean(axis=0) + 1.97 * (truth - truth.mean(axis=0))
    rows = [caricature.caricature(answers(rng, [*truth], [*said]), "group").iloc[0] for _ in range(15)]
    found = pd.DataFrame(rows)
    assert found["exaggeration"].median() == pytest.approx(1.97, abs=0.25)
    assert ((found["low"] <= 1.97) & (found["high"] >= 1.97)).mean() >= 0.8
    assert (found["real"] > found["chance"]).mean() > 0.5 and (found["simulated"] > found["simulated_chance"]).all()
