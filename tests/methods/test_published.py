"""Published preferences as worlds, from small files in the form in which they are published."""

import json

import pandas as pd
import pytest

from persona_lib import UserError, methods
from persona_lib.methods import Setting, linear, pairs, published


def message(turn, role, content, **more):
    return {"turn": turn, "role": role, "content": content, **more}


def answer(turn, i, content, score, chosen):
    return message(turn, "model", content, within_turn_id=i, model_name="m", score=score, if_chosen=chosen)


HISTORY = [
    message(0, "user", "Is tax fair?"),
    answer(0, 0, "Yes, it is.", 80, True),
    answer(0, 1, " No. ", 20, False),
    answer(0, 2, "It depends.", 80, False),
    answer(0, 3, "Yes, it is.", 10, False),
    message(1, "user", "Why?"),
    answer(1, 0, "Roads.", 55, False),
    answer(1, 1, "Schools.", None, True),
    message(2, "user", "More?"),
    answer(2, 0, "No more.", 5, False),
]


def lines(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")


@pytest.fixture
def prism(tmp_path):
    lines(
        tmp_path / "survey.jsonl",
        [
            {
                "user_id": f"user{i}",
                "age": "25-34 years old",
                "religion": {"self_described": "x", "simplified": "Christian"},
                "location": {"reside_region": "Europe", "birth_region": "Asia"},
                "self_description": f"I am {i}.",
            }
            for i in range(3)
        ],
    )
    rows = [{"conversation_id": f"c{i}", "user_id": f"user{i}", "opening_prompt": "Is tax fair?"} for i in range(2)]
    lines(tmp_path / "conversations.jsonl", [row | {"conversation_history": HISTORY} for row in rows])
    return tmp_path


def chosen(world):
    """The texts of each choice, the preferred one first, and how far it is preferred."""
    text = world.candidates.set_index("candidate_id")["text"]
    one, other = (world.choices[side].map(text) for side in ("first", "second"))
    liked = world.choices["p_first"] >= 0.5
    p = world.choices["p_first"].where(liked, 1 - world.choices["p_first"])
    return set(zip(one.where(liked, other), other.where(liked, one), p, strict=True))


def test_prism_is_what_was_gone_on_with_against_the_others_of_each_turn(prism):
    world = published.prism(prism)
    ties = {row for row in chosen(world) if row[2] == 0.5}
    assert chosen(world) - ties == {("Yes, it is.", "No.", 1.0), ("Schools.", "Roads.", 1.0)}
    assert {frozenset(row[:2]) for row in ties} == {frozenset({"Yes, it is.", "It depends."})}
    asked = "User: Is tax fair?\n\nAssistant: Yes, it is.\n\nUser: Why?"
    assert set(world.prompts["prompt"]) == {"Is tax fair?", asked}
    assert world.prompts["prompt_split"].nunique() == 1, "a conversation is on one side"
    assert list(world.people.index) == ["user0", "user1"] and "2 pairs lack an answer or have one twice" in world.about
    assert world.people.loc["user0", ["age", "religion", "location"]].tolist() == [
        "25-34 years old",
        "Christian",
        "Europe",
    ]
    assert world.people.loc["user1", "profile"].endswith("location: Europe\nabout themselves: I am 1.")


def test_a_turn_that_quotes_a_tested_answer_is_left_out(prism):
    lines(
        prism / "conversations.jsonl",
        [
            {"user_id": f"user{i % 3}", "conversation_history": [message(0, "user", f"Is {i} odd?"), *HISTORY[1:8]]}
            for i in range(40)
        ],
    )
    world = published.prism(prism)
    side = world.choices["prompt_id"].map(world.prompts.set_index("prompt_id")["prompt_split"])
    asked = world.choices["prompt_id"].map(world.prompts.set_index("prompt_id")["prompt"])
    assert set(side) == {"train", "heldout"}
    assert not asked[side == "heldout"].str.contains("Yes, it is.").any()
    assert asked[side == "train"].str.contains("Yes, it is.").any()
    assert "whose prompts quote tested answers" in world.about


def test_a_file_that_lacks_something_is_one_line(prism):
    lines(prism / "survey.jsonl", [{"age": 3}])
    with pytest.raises(UserError, match="survey lacks the columns user_id"):
        published.prism(prism)
    (prism / "survey.jsonl").unlink()
    with pytest.raises(UserError, match="has no table 'survey'"):
        published.prism(prism)
    for read in (published.personal_reward_bench, published.community_alignment):
        with pytest.raises(UserError, match="has no table with the columns"):
            read(prism)


def bench(folder, n=4):
    rows = []
    for i in range(n):
        talk = [{"role": "user", "content": f"Q{i % 3}?"}]
        longer = [*talk, {"role": "model", "content": "So."}, {"role": "user", "content": "And?"}]
        for j, context in enumerate((talk, longer)):
            rows.append(
                {
                    "user_id": f"u{i}",
                    "conversation_id": f"c{i}",
                    "context": context,
                    "chosen": [{"role": "assistant", "content": f"good {i} {j}"}]
                    if j
                    else {"content": f"good {i} {j}"},
                    "rejected": {"role": "assistant", "content": f"bad {i} {j}"},
                    "split": "test" if i == 0 else "train" if j else "val",
                }
            )
    (folder / "data").mkdir()
    lines(folder / "data" / "train.jsonl", rows[:3])
    lines(folder / "data" / "test.jsonl", rows[3:])
    return folder


def test_personal_reward_bench_takes_texts_out_of_lists_and_keeps_the_published_test(tmp_path):
    world = published.personal_reward_bench(bench(tmp_path))
    assert world.candidates["text"].str.fullmatch(r"(good|bad) \d \d").all(), "no sign of lists or objects"
    assert chosen(world) == {(f"good {i} {j}", f"bad {i} {j}", 1.0) for i in range(4) for j in range(2)}
    side = world.prompts.set_index("prompt")["prompt_split"]
    assert side["Q0?"] == side["User: Q0?\n\nAssistant: So.\n\nUser: And?"] == "heldout"
    assert (side[~side.index.str.contains("Q0")] == "train").all()
    assert {"first", "second"} == {"first" if p == 1 else "second" for p in world.choices["p_first"]}, (
        "a hash says which comes first"
    )


def alignment(people=40, prompts=20):
    rows = []
    for i in range(people):
        for j in range(prompts):
            row = {"conversation_id": f"{i}-{j}", "annotator_id": f"a{i}", "assigned_lang": "en" if i else "fr"}
            row |= {f"annotator_{name}": "x" for name in ("age", "gender", "education_level", "political", "ethnicity")}
            row |= {"first_turn_prompt": f"Topic {j}?", "first_turn_preferred_response": f"response_{'abcd'[i % 4]}"}
            row |= {f"first_turn_response_{x}": f"{x * 5} {j}.<|end_of_text|>" for x in "abcd"}
            row |= {"second_turn_prompt": "EMPTY STRING", "second_turn_preferred_response": ""}
            rows.append(row)
    return pd.DataFrame(rows)


def test_community_alignment_is_the_preferred_answer_against_three_others(tmp_path):
    alignment().to_csv(tmp_path / "community_alignment.csv", index=False)
    world = published.community_alignment(tmp_path)
    assert len(world.people) == 39 and len(world.prompts) == 20 and len(world.candidates) == 80
    assert len(world.choices) == 39 * 20 * 3 and not world.candidates["text"].str.contains("<").any()
    assert "education level" in world.people and len(published.community_alignment(tmp_path, None).people) == 40
    with pytest.raises(UserError, match="no conversation in the language 'de'"):
        published.community_alignment(tmp_path, "de")
    table = methods.trial(world, [linear.Shrunk(methods.embedder(world))], Setting(ks=(4,)))
    assert methods.scores.accuracy(table)["accuracy"].iloc[0] > 0.6, "tastes differ, and a few choices tell them"


def test_it_is_found_out_what_a_folder_is(prism, tmp_path_factory):
    assert published.reader(prism) is published.prism and methods.load_world(prism).name == "PRISM"
    other = tmp_path_factory.mktemp("bench")
    assert published.reader(bench(other)) is published.personal_reward_bench
    alignment(2, 1).to_parquet(other / "a.parquet")
    assert published.reader(other / "a.parquet") is published.community_alignment
    own = methods.save_world(published.prism(prism), other / "own")
    assert published.reader(own) is None and methods.load_world(own).name == "PRISM"


def test_the_same_pair_of_one_person_is_one_choice():
    twice = [pairs.Pair("p", "Why?", "Why?", *texts, 1.0) for texts in (("a", "b"), ("b", "a"), ("a", "c"))]
    world = pairs.world("mine", "me", twice, pd.DataFrame(index=["p"]))
    assert sorted(world.choices["p_first"].map(lambda p: abs(p - 0.5))) == [0, 0.5]
    with pytest.raises(UserError, match="hold no pair of different answers"):
        pairs.world("mine", "me", [pairs.Pair("p", "Why?", "Why?", "a", "a", 1.0)], pd.DataFrame())
