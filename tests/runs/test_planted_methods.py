"""Generated answers of the planted model: the tables of a study hold what is planted."""

import numpy as np
import pandas as pd
import pytest

from persona_lib import methods
from persona_lib.methods import Setting, generation, linear, prompted
from persona_lib.runs.planted import EFFECTS, Planted, World, texts
from persona_lib.runs.planted.values import preferred

PEOPLE, PROMPTS, WORDS = 36, 10, 60


def people(rng: np.random.Generator) -> pd.DataFrame:
    """People to learn from, four, and to test, whose profiles tell them apart."""
    index = pd.Index([f"p{i}" for i in range(PEOPLE + 4)], name="persona_id")
    table = pd.DataFrame({name: rng.integers(10**6, size=len(index)).astype(str) for name in texts.ANCHORS}, index)
    return table.assign(age=rng.integers(20, 90, len(index)), persona_split=["train"] * 4 + ["test"] * PEOPLE)


@pytest.fixture(scope="module")
def study():
    split = ["train"] * 4 + ["heldout"] * PROMPTS
    prompts = pd.DataFrame({"prompt_id": [f"q{i}" for i in range(len(split))], "prompt_split": split})
    prompts.insert(1, "prompt", "Is it fair, case " + prompts["prompt_id"] + "?")
    writer, judge = (Planted(name, World(3)) for name in ("planted-1", "planted-2"))
    world = methods.choices.world(
        people(np.random.default_rng(0)), prompts, writer, judge, answers=4, compared=1, words=WORDS
    )
    embed = methods.embedder(world)
    predictions = methods.trial(world, [linear.Pooled(embed)], Setting(ks=(1,)))
    kinds = (prompted.Prompted, prompted.Profile, prompted.Shots)
    own = [kind(embed, writer) for kind in kinds]
    return generation.study(world, own, judge, predictions, Setting(ks=(1,)), PEOPLE, PROMPTS)


@pytest.mark.parametrize(
    ("method", "better"), [("profile in the prompt", "direct"), ("choices in the prompt", "baseline")]
)
def test_win_rates_hold_what_is_planted(study, method, better):
    share = preferred(EFFECTS.better[better], WORDS, EFFECTS)
    planted = EFFECTS.order / 2 + (1 - EFFECTS.order) * share  # where the order decides, each answer wins once
    row = study.wins.loc[method]
    assert row["low"] <= planted <= row["high"] and row["high"] - row["low"] < 0.25
    assert row["controlled_low"] <= planted <= row["controlled_high"], "lengths are alike"
    assert row["n"] > 0.95 * PEOPLE * PROMPTS and row["flips"] / row["n"] == pytest.approx(EFFECTS.order, abs=0.06)


def test_agreement_with_false_premises_and_refusals_are_as_planted(study):
    table = study.premises
    for method, kind in (("profile in the prompt", "direct"), ("told nothing", "baseline")):
        row = table.loc[method]
        assert row["low"] <= EFFECTS.premise[kind] <= row["high"]
    assert table.loc["profile in the prompt", "more_low"] > 0
    refused = study.effects["refused"]
    assert (study.effects["refused_low"] <= EFFECTS.refused).all() and refused.max() < 0.03
    assert study.control["rate"].min() > 0.8


def test_texts_are_as_long_as_the_candidates(study):
    written = study.effects.loc[["told nothing", "profile in the prompt", "choices in the prompt"], "words"]
    picked = study.effects.loc["best of n by a judge with the profile", "words"]
    assert written.between(0.85 * WORDS, 1.15 * WORDS).all() and picked == pytest.approx(WORDS, rel=0.15)
