"""Worlds at the edge of what is possible: every method predicts or says why not, and nothing is a traceback."""

import shutil

import numpy as np
import pandas as pd
import pytest

from persona_lib import UserError, methods
from persona_lib.methods import Setting, gates, scores, simulated
from persona_lib.methods.worlds.world import checked

DESIGN = simulated.Design(seen=12, unseen=8, prompts=30, heldout=10, history=16, tests=4, dimensions=6, rank=2)
TEXTS = ("", " ", "👍", "👎", "שלום", "Ünïcödé\u0301", "\ufeff", "\x00", "答え", "word " * 999)


@pytest.fixture(scope="module")
def world():
    return simulated.world(DESIGN, seed=1)


def texts(of):
    """Return a change: answers have these texts in turn, and no vectors of their own."""

    def change(world):
        made = [of[i % len(of)] for i in range(len(world.candidates))]
        return world._replace(features=None, candidates=world.candidates.assign(text=made))

    return change


def chosen(how):
    """Return a change of what is chosen."""
    return lambda world: world._replace(choices=world.choices.assign(p_first=how))


ODD = {
    "texts of all kinds": texts(TEXTS),
    "empty texts": texts(("",)),
    "marks for texts": texts((".", "!", "?")),
    "equal texts": texts(("the same",)),
    "all choose the first": chosen(1.0),
    "all choose the same answer": chosen(lambda c: (c["first"] < c["second"]).astype(float)),
    "ties alone": chosen(0.5),
}


@pytest.mark.parametrize("name", ODD)
def test_every_method_predicts_in_an_odd_world(world, name):
    made = checked(ODD[name](world))
    embed = methods.embedder(made)
    table = methods.trial(made, [kind(embed) for kind in methods.OFFLINE], Setting(ks=(0, 4, 10_000)))
    few = table["k"] < 10_000
    assert table.loc[few, "failure"].isna().all() and table.loc[few, "p_first"].between(0, 1).all()
    sees = table["method"].isin([kind.name for kind in methods.OFFLINE if "history" in kind.sees])
    assert table.loc[sees & ~few, "failure"].str.contains("fewer than 10000").all()
    said = scores.headline(scores.accuracy(table), scores.differences(table, "pooled", 4), "Odd")
    assert "no method beats it" in said or "too few people (0)" in said
    assert gates.of_world(made, embed=embed)["fired"].notna().all()


def test_answers_of_equal_text_have_equal_odds(world):
    made = checked(texts(("the same",))(world))
    table = methods.trial(made, [kind(methods.embedder(made)) for kind in methods.OFFLINE], Setting(ks=(4,)))
    assert table["p_first"].to_numpy() == pytest.approx(0.5)


@pytest.mark.parametrize("left", [1, 0])
def test_a_world_with_one_person_or_nobody_is_one_line(world, left):
    people = world.people.head(left)
    alone = world._replace(people=people, choices=world.choices[world.choices["persona_id"].isin(people.index)])
    with pytest.raises(UserError, match="world 'known truth' has no choice of cell") as caught:
        methods.trial(checked(alone), [methods.OFFLINE[0](methods.embedder(world))])
    assert "\n" not in str(caught.value)


def test_a_person_on_both_sides_is_refused(world):
    other = world.people.head(1).assign(persona_split="test")
    with pytest.raises(UserError, match=f"people of world 'known truth' has the id {other.index[0]} twice"):
        checked(world._replace(people=pd.concat([world.people, other])))


def test_a_folder_that_mixes_two_worlds_is_refused(world, tmp_path):
    one = methods.save_world(world, tmp_path / "one")
    other = methods.save_world(simulated.world(DESIGN, seed=2), tmp_path / "other")
    shutil.copy(other / "people.parquet", one / "people.parquet")
    with pytest.raises(UserError, match="as persona_id, which is not among its people"):
        methods.load_world(one)
    shutil.copy(other / "choices.parquet", one / "choices.parquet")
    (one / "features.parquet").unlink()
    frame = pd.read_parquet(other / "candidates.parquet")
    frame.assign(candidate_id="of another world " + frame["candidate_id"]).to_parquet(one / "candidates.parquet")
    with pytest.raises(UserError, match="as first, which is not among its candidates"):
        methods.load_world(one)


def test_vectors_of_another_world_are_one_line(world, tmp_path):
    folder = methods.save_world(world, tmp_path / "w")
    features = pd.read_parquet(folder / "features.parquet")
    features.iloc[5:].to_parquet(folder / "features.parquet")
    with pytest.raises(UserError, match="features of world 'known truth' lack the candidate"):
        methods.load_world(folder)
    features.assign(x0=np.nan).to_parquet(folder / "features.parquet")
    with pytest.raises(UserError, match="features of world 'known truth' must be numbers"):
        methods.load_world(folder)
