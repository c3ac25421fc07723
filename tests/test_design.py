"""Who is asked what: the paper's sizes exactly, every prompt used evenly, nothing held out in what is trained on."""

import pandas as pd
import pytest

from persona_lib import UserError, design

IDS = [f"p{i}" for i in range(1586)]


def prompts(train: int, heldout: int) -> pd.DataFrame:
    ids = [f"q{i:05d}" for i in range(train + heldout)]
    return pd.DataFrame({"prompt_id": ids, "prompt_split": ["train"] * train + ["heldout"] * heldout})


@pytest.fixture(scope="module")
def paper() -> pd.DataFrame:
    return design.deal(IDS, prompts(3000, 868))


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


def test_which_prompts_a_persona_gets_does_not_hang_together_with_its_neighbours(paper):
    hands = paper.query("use == 'train'").groupby("persona_id")["prompt_id"].apply(set)
    shared = [len(hands[IDS[i]] & hands[IDS[i + 40]]) for i in range(400)]
    assert 2.5 < sum(shared) / len(shared) < 4.5  # 100 of 3,000 twice: 3.3 in common by chance


def test_more_personas_leave_the_hands_of_the_others_and_another_seed_deals_anew():
    few, more = design.deal(IDS[:20], prompts(60, 20), 20, 10, 10), design.deal(IDS[:50], prompts(60, 20), 20, 10, 10)
    pd.testing.assert_frame_equal(few, more.head(len(few)))
    shuffled = prompts(60, 20).sample(frac=1, random_state=1)
    pd.testing.assert_frame_equal(few, design.deal(IDS[:20], shuffled, 20, 10, 10))
    assert not few.equals(design.deal(IDS[:20], prompts(60, 20), 20, 10, 10, seed=1))


def test_a_hand_may_hold_all_prompts_there_are_but_no_more():
    whole = design.deal(IDS[:3], prompts(6, 2), 4, 2, 2)
    assert len(whole) == 3 * 8 and not whole.duplicated(["persona_id", "prompt_id"]).any()
    with pytest.raises(UserError, match="7 train prompts per persona are asked for, and there are 6"):
        design.deal(IDS[:3], prompts(6, 2), 5, 2, 2)
    with pytest.raises(UserError, match="3 heldout prompts"):
        design.deal(IDS[:3], prompts(6, 2), 1, 1, 3)


def test_the_split_of_personas_is_near_the_papers_and_stays_when_more_join():
    splits = design.persona_splits(IDS)
    assert 0.34 < (splits == "unseen").mean() < 0.40
    pd.testing.assert_series_equal(splits.head(100), design.persona_splits(IDS[:100]))


def test_a_dense_block_has_every_prompt_for_every_persona():
    block = design.dense(IDS[:3], ["a", "b"])
    assert block.to_numpy().tolist() == [[p, q] for p in IDS[:3] for q in "ab"]
