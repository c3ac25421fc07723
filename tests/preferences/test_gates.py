"""Cheating baselines find what gives the chosen answer away, and are not flagged where nothing does."""

import numpy as np
import pandas as pd

from persona_lib.preferences import gates

WORDS = ("fair", "tax", "school", "church", "rule", "harm", "right", "cost", "child", "law", "town", "work", "money")


def pairs(n: int, spoil=lambda text, rng: text, seed: int = 0) -> pd.DataFrame:
    """Answers of random words, 20 personas on n prompts in all; `spoil` changes the chosen ones."""
    rng = np.random.default_rng(seed)
    text = lambda: " ".join(rng.choice(WORDS, 12))  # noqa: E731
    rows = [(f"p{i % 20}", f"q{i // 4}", spoil(text(), rng), text()) for i in range(n)]
    return pd.DataFrame(rows, columns=["persona_id", "prompt_id", "chosen", "rejected"])


def test_answers_that_differ_in_nothing_are_not_flagged():
    found = gates.table(pairs(400))
    assert not found["flagged"].any()
    assert found["rate"].between(0.4, 0.6).all() and found["n"].tolist()[0] == 400


def test_longer_revisions_are_found_by_the_rule_of_length_and_gone_when_lengths_are_matched():
    found = gates.table(pairs(400, lambda text, rng: text + " and so on and so forth" * int(rng.random() < 0.7)))
    assert found["flagged"].tolist()[0] and found["rate"].iloc[0] > 0.75
    assert not found["flagged"]["the longer answer, lengths matched"]


def test_a_turn_of_phrase_is_found_by_the_classifier_also_where_lengths_match():
    spoiled = pairs(400, lambda text, rng: text.replace("law", "in my view") if rng.random() < 0.9 else text)
    found = gates.table(spoiled)
    assert found["flagged"]["blind classifier"] and found["rate"]["blind classifier"] > 0.65


def test_what_is_learned_about_one_prompt_does_not_help_with_the_same():
    # Every prompt has a word of its own that only its chosen answers use: over prompts this is worth nothing.
    spoiled = pairs(400)
    spoiled["chosen"] += " word" + spoiled["prompt_id"]
    spoiled["rejected"] += " thing" + spoiled["prompt_id"]
    assert 0.4 < gates.blind_classifier(spoiled).mean() < 0.6


def test_pairs_that_failed_are_counted_and_too_few_are_not_guessed_from():
    some = pairs(8)
    some.loc[:2, "chosen"] = None
    found = gates.table(some.astype("str"))
    assert found["failed"].iloc[0] == 3 and found["n"].iloc[0] == 5
    assert gates.blind_classifier(some[some["prompt_id"] == "q1"]).isna().all()
    assert (gates.length_rule(pd.DataFrame({"chosen": ["ab"], "rejected": ["cd"]})) == 0.5).all()


def test_answers_without_a_word_or_no_pairs_at_all_give_missing_values():
    letters = gates.table(pairs(8).assign(chosen="a", rejected="b"))
    assert letters["n"].tolist() == [8, 8, 0, 0] and letters["failed"].tolist() == [0, 0, 8, 8]
    assert letters["rate"].isna().tolist() == [False, False, True, True]
    none = gates.table(pairs(8)[:0])
    assert none["n"].tolist() == [0] * 4 and none["rate"].isna().all() and none["flagged"].all()
