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
    assert found["distance"].median() == pytest.approx(shift, abs=0.03) and (found["note"] == "").all()
    beyond = (found["distance"] > found["chance"]).mean()
    assert {0.0: beyond < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 60), 0.1: beyond < 0.5, 0.3: beyond > 0.9}[shift]


def test_a_distance_of_a_few_dozen_people_is_as_exact_as_they_are_many():
    rng, base, moved = np.random.default_rng(2), [0.4, 0.35, 0.25], [0.7, 0.05, 0.25]
    tables = [answers(rng, [base], [moved], people=40, questions=8) for _ in range(40)]
    found = pd.concat([caricature.distributions(table, "group") for table in tables])
    width = found["distance_high"] - found["distance_low"]
    assert found["distance"].mean() == pytest.approx(0.3, abs=0.02), "noise adds nothing"
    assert width.mean() < 1.5 * 3.92 * found["distance"].std() and width.mean() < 0.16


def test_few_people_who_agree_are_not_certain_and_are_noted():
    own = pd.DataFrame({"persona_id": range(5), "prompt_id": 0, "source": "m", "group": "g", "answer": "a"})
    apart, same = (caricature.distributions(own.assign(truth=t), "group").iloc[0] for t in ("b", "a"))
    assert apart["distance"] == 1 and 0.1 < apart["distance_low"] < 0.6 and apart["note"].startswith("too few people")
    assert same["distance"] == 0 and 0.4 < same["distance_high"] < 0.9
    pair = caricature.distributions(own.head(2).assign(truth="b"), "group").iloc[0]
    assert np.isnan(pair["distance_low"]) and pair["note"].startswith("too few people")
    many = pd.concat([own, own.assign(persona_id=own["persona_id"] + 5, answer="b")]).assign(truth=list("aaabbaabab"))
    known, alike = (caricature.distributions(t, "group").iloc[0] for t in (many, many.assign(answer="a")))
    assert known["note"] == "" and known["variety_low"] < 1 < known["variety_high"]
    assert alike["variety"] == 0 and np.isnan(alike["variety_low"])
    assert alike["note"] == "answers too much alike: no interval of the variety", "what is missing has its reason"


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


def test_a_ratio_of_few_people_has_a_note_and_no_interval_that_says_nothing():
    rng = np.random.default_rng(3)
    truth = np.array([[0.5, 0.3, 0.2], [0.4, 0.35, 0.25], [0.3, 0.4, 0.3]])
    said = truth.mean(axis=0) + 2.5 * (truth - truth.mean(axis=0))
    tables = [answers(rng, [*truth], [*said], people=8, questions=10) for _ in range(40)]
    found = pd.concat([caricature.caricature(table, "group") for table in tables])
    missing = found["low"].isna()
    assert missing.mean() > 0.2 and (found.loc[missing, "note"] != "").all(), "each has its reason"
    known = found[~missing]
    assert (known["note"] == "").all() and (known["high"] <= caricature.WIDEST * known["exaggeration"]).all()
    assert ((known["low"] <= 2.5) & (known["high"] >= 2.5)).mean() >= 0.95 - 3 * np.sqrt(0.05 * 0.95 / len(known))
    few = caricature.caricature(answers(rng, [*truth], [*said], people=6, questions=40), "group").iloc[0]
    assert few["note"].startswith("too few people")


def test_groups_that_do_not_differ_have_no_ratio_and_the_table_says_why():
    rng, same = np.random.default_rng(0), np.array([1.0, 0.0, 0.0])
    alike = caricature.caricature(answers(rng, [same, same], [[0.9, 0.1, 0], [0.1, 0.9, 0]]), "group").iloc[0]
    assert alike["note"] == "no difference in the real answers: no ratio" and np.isnan(alike["exaggeration"])
    flat = caricature.caricature(answers(rng, [[0.9, 0.1, 0], [0.1, 0.9, 0]], [same, same]), "group").iloc[0]
    assert flat["note"] == "no difference in the simulated answers: no interval" and flat["exaggeration"] == 0
    alone = caricature.caricature(answers(rng, [same], [same]), "group").iloc[0]
    assert alone["note"] == "fewer than two groups of two people or more: no distance"


def test_groups_of_many_that_hardly_differ_have_no_interval_for_another_reason_than_few_people():
    rng = np.random.default_rng(0)
    truth, said = [[0.5, 0.3, 0.2], [0.3, 0.4, 0.3], [0.4, 0.3, 0.3]], [[0.5, 0.3, 0.2], [0.49, 0.31, 0.2]]
    tables = [answers(rng, truth, [*said, said[0]], people=30, questions=2) for _ in range(12)]
    found = pd.concat([caricature.caricature(table, "group") for table in tables])
    hardly = found["note"] == "groups hardly differ: no interval"
    assert hardly.any() and found.loc[hardly, "low"].isna().all() and found.loc[hardly, "exaggeration"].gt(0).all()
    assert not found["note"].str.contains("too few people").any()
