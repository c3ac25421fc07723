"""Worlds: what is checked of their tables, how they are kept, and how their choices fall into cells."""

import numpy as np
import pandas as pd
import pytest

from persona_lib import UserError, methods
from persona_lib.methods import simulated, surveyed
from persona_lib.methods.worlds.world import World, cells, checked

SMALL = simulated.Design(seen=12, unseen=8, prompts=30, heldout=10, history=20, tests=6, dimensions=8, rank=2)


@pytest.fixture(scope="module")
def world() -> World:
    return simulated.world(SMALL, seed=3)


def test_a_world_comes_back_from_its_folder(world, tmp_path):
    back = methods.load_world(methods.save_world(world, tmp_path / "w"))
    assert (back.name, back.about) == (world.name, world.about)
    for name in ("people", "prompts", "candidates", "choices", "features"):
        pd.testing.assert_frame_equal(getattr(back, name), getattr(world, name))
    assert back.truth is None  # no file tells a method what is true


def test_anybodys_csv_files_make_a_world(tmp_path):
    (tmp_path / "people.csv").write_text("persona_id,age\na,30\nb,40\n")
    (tmp_path / "prompts.csv").write_text("prompt_id,prompt,prompt_split\np,Why?,train\n")
    (tmp_path / "candidates.csv").write_text("candidate_id,prompt_id,text\nx,p,Yes.\ny,p,No.\n")
    (tmp_path / "choices.csv").write_text(
        "choice_id,persona_id,prompt_id,first,second,p_first\n1,a,p,x,y,1\n2,b,p,y,x,0.5\n"
    )
    back = methods.load_world(tmp_path)
    assert set(back.people["persona_split"]) <= {"train", "test"} and back.choices["failure"].isna().all()
    (tmp_path / "people.jsonl").write_text('{"persona_id": "a"}\n')
    with pytest.raises(UserError, match="the table 'people' twice"):
        methods.load_world(tmp_path)


@pytest.mark.parametrize(
    ("table", "change", "said"),
    [
        ("choices", lambda t: t.drop(columns="p_first"), "lacks p_first"),
        ("choices", lambda t: t.assign(p_first=1.2), "must lie from 0 to 1"),
        ("choices", lambda t: t.assign(p_first="first"), "must be a number; one is 'first'"),
        ("choices", lambda t: t.assign(second=t["first"]), "between a candidate and itself"),
        ("choices", lambda t: t.assign(persona_id="nobody"), "names 'nobody' as persona_id"),
        ("choices", lambda t: t.assign(choice_id="one"), "has the id one twice"),
        ("choices", lambda t: t.assign(prompt_id="prompt 0"), "a candidate of another prompt"),
        ("prompts", lambda t: t.assign(prompt_split="dev"), "says 'dev': write train or heldout"),
        ("people", lambda t: t.assign(persona_split="dev"), "says 'dev': write train or test"),
        ("people", lambda t: t.assign(persona_split=None), "persona_split of world .* says None: write train or test"),
        ("prompts", lambda t: t.assign(prompt_split=None), "says None: write train or heldout"),
        ("candidates", lambda t: t.assign(text=t["text"].mask(t.index == 0)), "has a p_first, and an answer without"),
        ("features", lambda t: pd.concat([t, t.iloc[:1]]), "features of world .* have the candidate .* twice"),
    ],
)
def test_a_table_that_is_wrong_is_one_line(world, table, change, said):
    with pytest.raises(UserError, match=said) as caught:
        checked(world._replace(**{table: change(getattr(world, table))}))
    assert "\n" not in str(caught.value)


def test_features_are_read_like_other_tables(world, tmp_path):
    methods.save_world(world, tmp_path)
    (tmp_path / "features.parquet").unlink()
    world.features.rename_axis("candidate_id").to_csv(tmp_path / "features.csv")
    back = methods.load_world(tmp_path).features
    np.testing.assert_allclose(back.loc[world.features.index], world.features)
    world.features.rename_axis("candidate_id").reset_index().to_parquet(tmp_path / "features.parquet")
    with pytest.raises(UserError, match="the table 'features' twice"):
        methods.load_world(tmp_path)
    (tmp_path / "features.csv").unlink()
    assert methods.load_world(tmp_path).features.equals(world.features)
    (tmp_path / "features.parquet").write_bytes(b"PAR1")
    with pytest.raises(UserError, match=r"features.parquet can't be read as parquet[^\n]*$"):
        methods.load_world(tmp_path)


def test_a_choice_that_is_missing_is_an_empty_cell_of_csv(world, tmp_path):
    methods.save_world(world, tmp_path)
    (tmp_path / "choices.parquet").unlink()
    lost = np.arange(len(world.choices)) < 2
    choices = world.choices.assign(p_first=world.choices["p_first"].mask(lost))
    choices.assign(failure=np.where(lost, "nobody answered", None)).to_csv(tmp_path / "choices.csv", index=False)
    back = methods.load_world(tmp_path).choices
    assert back["p_first"].isna().sum() == 2 and back["failure"].notna().sum() == 2
    assert back["p_first"].iloc[2:].equals(world.choices["p_first"].iloc[2:])
    choices.to_csv(tmp_path / "choices.csv", index=False)
    with pytest.raises(UserError, match=r"has no p_first: say why in failure \(2 such\)$"):
        methods.load_world(tmp_path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"\xe9t\xe9\n", "world.txt is not in UTF-8"),
        ("a\u202eb\n".encode(), "is no name: write one line of 1 to 80 letters; it is the first line of world.txt"),
        (b"\nabout\n", "world '' is no name"),
    ],
)
def test_a_world_without_a_name_that_can_be_shown_is_one_line(world, tmp_path, text, said):
    methods.save_world(world, tmp_path)
    (tmp_path / "world.txt").write_bytes(text)
    with pytest.raises(UserError, match=said):
        methods.load_world(tmp_path)


def test_cells_keep_people_prompts_and_a_persons_prompts_apart(world):
    choices = world.choices.assign(cell=cells(world))
    learned = choices[choices["cell"].isin(["train", "context"])]
    tested = choices[~choices["cell"].isin(["train", "context"])]
    both = learned.merge(tested, on=["persona_id", "prompt_id"])
    assert both.empty
    unseen = world.people.index[world.people["persona_split"] == "test"]
    assert set(choices.loc[choices["cell"] == "context", "persona_id"]) <= set(unseen)
    heldout = world.prompts.loc[world.prompts["prompt_split"] == "heldout", "prompt_id"]
    assert choices.loc[choices["cell"] == "unseen_unseen", "prompt_id"].isin(heldout).all()
    assert 0.1 < (choices["cell"].isin(["seen_seen", "unseen_seen"])).sum() / (20 * 20) < 0.4


def test_the_true_probabilities_are_those_of_the_choices():
    world = simulated.world(simulated.Design(seen=150, unseen=50, dimensions=8, rank=2), seed=1)
    bins = pd.cut(world.truth.to_numpy(), np.linspace(0, 1, 6))
    shares = world.choices["p_first"].groupby(bins, observed=True).mean()
    assert np.allclose(shares, [0.08, 0.3, 0.5, 0.7, 0.92], atol=0.04)


def test_ties_and_a_pull_to_the_first_are_as_asked():
    world = simulated.world(simulated.Design(**vars(SMALL) | {"ties": 1.0, "pull": 2.0}))
    assert 0.1 < (world.choices["p_first"] == 0.5).mean() < 0.6
    assert world.choices["p_first"].mean() > 0.6


@pytest.mark.parametrize(
    ("sizes", "said"),
    [({"seen": 0}, "seen .* must be 1 or more"), ({"candidates": 1}, "2 or more"), ({"noise": 0.0}, "above 0"),
     ({"history": 301}, "history is 301, but prompts is 300"), ({"within": float("nan")}, "must be 0 or more")],
)  # fmt: skip
def test_sizes_that_make_no_world_are_named(sizes, said):
    with pytest.raises(UserError, match=said):
        simulated.world(simulated.Design(**sizes))


def test_respondents_are_a_world_of_choices_between_their_answer_and_the_others():
    world = surveyed.world("gss", n=40)
    per_answer = world.choices.groupby(["persona_id", "prompt_id"]).size()
    assert (per_answer == 2).all() and 0.4 < world.choices["p_first"].mean() < 0.6
    chosen = world.choices["first"].where(world.choices["p_first"] == 1, world.choices["second"])
    assert (chosen.groupby([world.choices["persona_id"], world.choices["prompt_id"]]).nunique() == 1).all()
