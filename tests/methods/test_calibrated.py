"""Calibration of simulated answers: a planted distortion is found, and what a person really chose counts."""

import re

import numpy as np
import pytest
from scipy.special import expit

from persona_lib import UserError, methods
from persona_lib.methods import Setting, calibrated, prompted, scores, simulated
from persona_lib.methods.worlds.world import cells
from persona_lib.model import Choices

DESIGN = simulated.Design(seen=40, unseen=20, prompts=60, heldout=24, history=32, tests=10, dimensions=8, rank=2)
SHIFT = 2.5 * np.array([1, -1, 1, 0, 0, -1, 0, 1.0])  # what the twins like too much in an answer
SCALE = 0.5  # they are less certain than people
K = 16


class Twins:
    """A stand-in for a model in a person's place, whose profile says their taste: it answers with a distortion."""

    name = "twins"

    def __init__(self, world, silent=()):
        self.x, self.silent, self.calls = world.features.to_numpy(), silent, 0

    def choices(self, messages, options=("A", "B"), step=""):
        rows = []
        for one in messages:
            taste = np.array(re.search(r"taste: (.*)", one[0]["content"])[1].split(), float)
            first, second = (self.x[int(n)] for n in re.findall(r"answer (\d+)", one[1]["content"]))
            p = expit((first - second) @ (SCALE * taste + SHIFT))
            rows.append([np.nan] * 2 if self.calls in self.silent else [p, 1 - p])
            self.calls += 1
        failures = ["refused" if np.isnan(row[0]) else None for row in rows]
        return Choices(np.array(rows), np.ones(len(rows)), failures, np.zeros(len(rows), int))


def world(apart=0, seed=0):
    """People whose profiles say a taste: their own, or that of the person so many places apart."""
    made, tastes = simulated.drawn(DESIGN, seed)
    profiles = [f"taste: {' '.join(f'{part:.3f}' for part in taste)}" for taste in np.roll(tastes, apart, axis=0)]
    texts = [f"answer {i}" for i in range(len(made.candidates))]
    return made._replace(people=made.people.assign(profile=profiles), candidates=made.candidates.assign(text=texts))


def tried(made, model, ks=(0,), kinds=(calibrated.Calibrated,), **given):
    made_of = [kind(methods.embedder(made), model, **given) for kind in kinds]
    return methods.trial(made, made_of, Setting(ks=ks)), made_of[0]


def test_a_planted_distortion_is_found_and_corrected():
    made = world()
    kinds = (calibrated.Calibrated, prompted.Profile)
    table, method = tried(made, Twins(made), kinds=kinds)
    found = scores.accuracy(table, made).set_index("method")
    own, raw = (found.loc[kind.name] for kind in kinds)
    assert own["accuracy"] > raw["accuracy"] + 0.1 and own["brier"] < raw["brier"] - 0.1
    c, d = 1 + method.correction[0], method.correction[1:]
    assert c == pytest.approx(1 / SCALE, rel=0.3) and np.corrcoef(d, -c * SHIFT)[0, 1] > 0.95


def test_what_a_person_really_chose_counts_where_the_simulation_is_of_somebody_else():
    made = world(apart=1)
    table, method = tried(made, Twins(made), ks=(0, K))
    found = scores.accuracy(table, made).set_index("k")
    assert method.variance > 0 and method.basis.shape[1] > 0
    assert found.loc[K, "accuracy"] > found.loc[0, "accuracy"] + 0.04 and found.loc[K, "brier"] < found.loc[0, "brier"]


def test_simulations_are_bounded_and_drawn_evenly_over_people():
    made = world()
    model = Twins(made)
    _, method = tried(made, model, simulated=100)
    assert model.calls == 2 * 100 + 2 * DESIGN.unseen * DESIGN.tests
    pairs = made.choices[cells(made) == "train"].rename(columns={"persona_id": "person"})
    drawn = method._drawn(pairs)
    sizes = drawn["person"].value_counts()
    assert len(drawn) == 100 and sizes.max() == calibrated.EACH and len(sizes) < 8


def test_choices_whose_simulation_fails_are_left_out_and_a_tested_one_is_missing():
    made = world()
    tested = 2 * 100 + 2 * K  # the first order of the first person's first tested choice
    table, _ = tried(made, Twins(made, silent=(3, 2 * 100 + 1, tested)), ks=(K,), simulated=100)
    assert table["failure"].notna().sum() == 1 and table["p_first"].notna().sum() == len(table) - 1


def test_without_profiles_or_replies_the_reason_stands_in_every_row():
    made = world()
    nobody = made._replace(people=made.people[["persona_split"]])
    said = tried(nobody, Twins(made))[0]["failure"]
    assert (said == "fit failed: ValueError: no training person has a profile").all()
    said = tried(made, Twins(made, silent=range(9999)))[0]["failure"]
    assert said.str.contains("fit failed: ValueError: no reply shows a choice, such as: refused").all()
    with pytest.raises(UserError, match="asks a language model: give it one"):
        calibrated.Calibrated(methods.embedder(made))


def test_a_person_without_a_profile_is_a_row_of_its_own():
    made = world()
    gone = made.people.index[-1]
    people = made.people.assign(profile=made.people["profile"].mask(made.people.index == gone))
    table, _ = tried(made._replace(people=people), Twins(made), simulated=100)
    missing = table[table["failure"].notna()]
    assert set(missing["persona_id"]) == {gone} and missing["failure"].str.contains("has no profile").all()
