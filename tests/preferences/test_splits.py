"""Who is asked what: the paper's sizes exactly, every prompt used evenly, nothing held out in what is trained on."""

import pandas as pd
import pytest

from persona_lib import UserError, personas
from persona_lib.preferences import splits

IDS = [f"p{i}" for i in range(1586)]


def prompts(train: int, heldout: int) -> pd.DataFrame:
    ids = [f"q{i:05d}" for i in range(train + heldout)]
    return pd.DataFrame({"prompt_id": ids, "prompt_split": ["train"] * train + ["heldout"] * heldout})


@pytest.fixture(scope="module")
def paper() -> pd.DataFrame:
    return splits.deal(IDS, prompts(3000, 868))


def test_the_papers_sizes_come_out_exactly(paper):
    assert len(paper) == 317_200 and (paper["use"] == "train").sum() == 158_600
    per_persona = paper.groupby(["persona_id", "use"]).size().unstack()
    assert per_persona[["train", "seen_test", "heldout_test"]].eq([100, 50, 50]).all(axis=None)


def test_no_pair_comes_twice_and_no_held_out_prompt_is_trained_on(paper):
    assert not paper.duplicated(["persona_id", "prompt_id"]).any()
    heldout = set(prompts(3000, 868).query("prompt_split == 'heldout'")["prompt_id"])
    assert set(paper.loc[paper["use"] == "heldout_test", "prompt_id"]) == heldout
    assert heldout.isdisjoint(paper.loc[paper["use"] != "heldout_test", "prompt_id"])


def test_every_prompt_is_used_evenly_for_each_purpose(paper):
    for use, at_most in (("train", 2), ("seen_test", 2), ("heldout_test", 1)):
        counts = paper.loc[paper["use"] == use, "prompt_id"].value_counts()
        assert counts.max() - counts.min() <= at_most, use
    assert paper.loc[paper["use"] == "train", "prompt_id"].nunique() == 3000


def test_the_prompts_of_a_persona_are_independent_of_its_neighbours(paper):
    hands = paper.query("use == 'train'").groupby("persona_id")["prompt_id"].apply(set)
    shared = [len(hands[IDS[i]] & hands[IDS[i + 40]]) for i in range(400)]
    assert 2.5 < sum(shared) / len(shared) < 4.5  # 100 of 3,000 twice: 3.3 in common by chance


def test_more_personas_leave_the_hands_of_the_others_and_another_seed_deals_anew():
    few, more = splits.deal(IDS[:20], prompts(60, 20), 20, 10, 10), splits.deal(IDS[:50], prompts(60, 20), 20, 10, 10)
    pd.testing.assert_frame_equal(few, more.head(len(few)))
    shuffled = prompts(60, 20).sample(frac=1, random_state=1)
    pd.testing.assert_frame_equal(few, splits.deal(IDS[:20], shuffled, 20, 10, 10))
    assert not few.equals(splits.deal(IDS[:20], prompts(60, 20), 20, 10, 10, seed=1))


def test_a_hand_may_hold_all_prompts_there_are_but_no_more():
    whole = splits.deal(IDS[:3], prompts(6, 2), 4, 2, 2)
    assert len(whole) == 3 * 8 and not whole.duplicated(["persona_id", "prompt_id"]).any()
    with pytest.raises(UserError, match="7 train prompts per persona are asked for, and there are 6"):
        splits.deal(IDS[:3], prompts(6, 2), 5, 2, 2)
    with pytest.raises(UserError, match="3 heldout prompts"):
        splits.deal(IDS[:3], prompts(6, 2), 1, 1, 3)


def test_a_dense_block_has_every_prompt_for_every_persona_of_a_subset():
    block = splits.dense(IDS, ["a", "b", "c"], 4, 2)
    assert len(block) == 8 and block.groupby("persona_id")["prompt_id"].apply(set).map(len).eq(2).all()
    assert block["persona_id"].nunique() == 4 and set(block["use"]) == {"dense"}
    assert set(splits.dense(IDS, "abc", 3, 2)["persona_id"]) < set(block["persona_id"])
    with pytest.raises(UserError, match="5 prompts are asked for in the dense block, and there are 3"):
        splits.dense(IDS, "abc", 2, 5)


@pytest.fixture(scope="module")
def pairs(paper) -> pd.DataFrame:
    split = prompts(3000, 868).set_index("prompt_id")["prompt_split"]
    table = paper.assign(persona_split=paper["persona_id"].map(personas.split(IDS)))
    table = table.assign(prompt_split=table["prompt_id"].map(split), failure=None)
    return table.assign(pair_id=table["persona_id"] + table["prompt_id"])


def test_the_cells_of_the_split_tell_what_is_known_of_persona_and_prompt(pairs):
    cells = splits.cells(pairs)
    assert set(cells) == set(splits.CELLS)
    of_cell = {cell: rows for cell, rows in pairs.groupby(cells)}
    trained = of_cell["train"]
    for cell, known, questions in (
        ("seen_seen", True, True),
        ("seen_unseen", True, False),
        ("unseen_seen", False, True),
        ("unseen_unseen", False, False),
    ):
        assert of_cell[cell]["persona_id"].isin(trained["persona_id"]).eq(known).all(), cell
        assert of_cell[cell]["prompt_id"].isin(trained["prompt_id"]).eq(questions).all(), cell
        assert set(of_cell[cell]["pair_id"]).isdisjoint(trained["pair_id"])
    assert set(of_cell["context"]["persona_id"]) == set(of_cell["unseen_seen"]["persona_id"])
    some = pairs.sample(2_000, random_state=0)
    older = some.assign(persona_split=some["persona_split"].replace("test", "unseen"))
    assert splits.cells(older).equals(cells[some.index]), "data sets of older versions say unseen"
    with pytest.raises(UserError, match="has persona_split both: it takes train or test"):
        splits.cells(some.assign(persona_split="both"))


def test_few_shot_contexts_are_nested_train_pairs_of_the_persona_itself(pairs):
    some = pairs[pairs["persona_id"].isin(IDS[:30])]
    table = splits.contexts(some, shots=8, draws=3)
    assert len(table) == 30 * 3 * 8 and not table.duplicated(["persona_id", "draw", "pair_id"]).any()
    of_pair = some.set_index("pair_id")
    assert (of_pair.loc[table["pair_id"], "use"] == "train").all()
    assert (of_pair.loc[table["pair_id"], "persona_id"].to_numpy() == table["persona_id"]).all()
    pd.testing.assert_frame_equal(
        splits.contexts(some, shots=4, draws=3), table[table["shot"] <= 4].reset_index(drop=True)
    )
    sets = table.groupby(["persona_id", "draw"])["pair_id"].apply(frozenset)
    assert sets.nunique() > 80  # the draws differ


def test_a_personas_context_stays_when_others_join_and_holds_no_failed_pair(pairs):
    few, more = (pairs[pairs["persona_id"].isin(IDS[:n])] for n in (3, 9))
    table = splits.contexts(few)
    assert table.equals(splits.contexts(more).query("persona_id in @few.persona_id").reset_index(drop=True))
    assert not table.equals(splits.contexts(few, seed=1))
    bad = table["pair_id"][0]
    failed = few.assign(failure=few["failure"].astype("str").mask(few["pair_id"] == bad, "critique: refusal"))
    assert bad not in set(splits.contexts(failed)["pair_id"])
