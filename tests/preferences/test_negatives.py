"""Hard negatives fit the prompt, come from somebody else, and never from what is tested into what is trained on."""

import numpy as np
import pandas as pd
import pytest

from persona_lib.preferences import negatives, splits

PEOPLE = pd.DataFrame(
    {
        "age": [20, 30, 80, 40],
        "ideology": ["Extremely liberal", "Slightly liberal", "Conservative", None],
        "political views": ["Strong Democrat", "Independent", "Not very strong Republican", None],
        "religion": ["None", "Catholic", "Catholic", None],
    },
    index=pd.Index(["a", "b", "c", "d"], name="persona_id"),
)


def pairs(personas: str = "abcd", prompts: int = 6, split=lambda i: "train", use=lambda i, j: "train") -> pd.DataFrame:
    rows = [
        (f"{p}{j}", p, f"q{j}", split(i), "train", use(i, j), f"text of {p} on {j}")
        for i, p in enumerate(personas)
        for j in range(prompts)
    ]
    columns = ["pair_id", "persona_id", "prompt_id", "persona_split", "prompt_split", "use", "chosen"]
    return pd.DataFrame(rows, columns=columns).astype("str")


def test_positions_follow_the_words_of_the_labels():
    places = negatives.positions(PEOPLE)
    assert places["ideology"].tolist()[:3] == pytest.approx([0, 1 / 3, 5 / 6]) and np.isnan(places["ideology"]["d"])
    assert places["political views"].tolist()[:3] == pytest.approx([0, 1 / 2, 2 / 3])
    assert places["religion"].isna().tolist() == [False, False, False, True]


def test_distance_is_the_mean_over_what_is_known_of_both():
    found = negatives.distances(negatives.positions(PEOPLE))
    assert found[0, 1] == pytest.approx(np.mean([1 / 3, 1 / 2, 10 / 60, 1]))
    assert found[0, 2] == pytest.approx(np.mean([5 / 6, 2 / 3, 1, 1]))
    assert found[0, 3] == pytest.approx(20 / 60)  # age alone
    assert np.allclose(found, found.T) and (np.diag(found) == 0).all() and found.max() <= 1
    assert np.isnan(negatives.distances(negatives.positions(PEOPLE[["religion"]]))[0, 3])


def test_negatives_answer_the_same_prompt_for_another_persona_and_the_opposite_is_the_furthest():
    table = negatives.hard(pairs(), PEOPLE)
    assert len(table) == 2 * 24 and table["failure"].isna().all() and (table["pair_id"] != table["negative_id"]).all()
    assert (table["pair_id"].str[1] == table["negative_id"].str[1]).all()
    opposite = table[table["kind"] == "opposite"].set_index("pair_id")
    assert opposite["negative_id"].str[0]["a0"] == "c" and opposite["negative_id"].str[0]["c0"] == "a"
    assert opposite["distance"]["a0"] == pytest.approx(np.mean([5 / 6, 2 / 3, 1, 1]))
    other = table[table["kind"] == "other"]
    assert other["negative_id"].str[0].nunique() == 4  # not always the same persona


def test_a_negative_comes_from_the_same_cell_of_the_split():
    mixed = pairs(split=lambda i: "unseen" if i > 1 else "train", use=lambda i, j: "train" if j < 3 else "seen_test")
    table = negatives.hard(mixed, PEOPLE)
    cell = dict(zip(mixed["pair_id"], splits.cells(mixed), strict=True))
    assert table["failure"].isna().all() and (table["pair_id"].map(cell) == table["negative_id"].map(cell)).all()


def test_the_same_text_is_no_negative_and_a_pair_without_one_says_why():
    same = pairs(prompts=1).assign(chosen="It depends.")
    table = negatives.hard(same, PEOPLE)
    assert table["negative_id"].isna().all() and (table["failure"] == "no other revision").all()
    unknown = negatives.hard(pairs(prompts=1), PEOPLE[[]]).set_index("kind")
    assert (unknown.loc["opposite", "failure"] == "nothing known by which personas are opposite").all()
    assert unknown.loc["other", "failure"].isna().all()
    some = pairs(prompts=1)
    some.loc[0, "chosen"] = None
    assert "a0" not in set(negatives.hard(some, PEOPLE)[["pair_id", "negative_id"]].stack())
    assert negatives.hard(some.head(1), PEOPLE).empty


def test_negatives_depend_on_the_seed_and_not_on_the_order_of_rows():
    first = negatives.hard(pairs(), PEOPLE)
    pd.testing.assert_frame_equal(first, negatives.hard(pairs().sample(frac=1, random_state=1), PEOPLE))
    assert not first.equals(negatives.hard(pairs(), PEOPLE, seed=1))
