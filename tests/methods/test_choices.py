"""Choices of synthetic people: what is written and asked, what fails, and what is reported before any method runs."""

import hashlib
import re

import numpy as np
import pandas as pd
import pytest

from persona_lib import UserError, methods
from persona_lib.judges import verdicts
from persona_lib.methods import Setting, choices, linear
from persona_lib.methods.cases import ready
from persona_lib.model import Choices, Reply

SIDES = ["train"] * 6 + ["test"] * 2


class Author:
    """A stand-in: writes numbered answers, and chooses by a taste of each age for an answer, plus a lean to A."""

    name = "author"

    def __init__(self, lean=0.0, silent="", alike=False):
        self.lean, self.silent, self.alike, self.asked = lean, silent, alike, []

    def ask(self, messages, schema, step="", **_):
        replies = []
        for one in messages:
            self.asked.append((step, one))
            if self.silent and self.silent in str(one):
                replies.append(Reply("", None, "refused", False))
                continue
            key = "same" if self.alike else hashlib.sha256(str(one).encode()).hexdigest()[:8]
            values = {name: f"Answer {key} {'' if self.alike else name}." for name in schema.model_fields}
            replies.append(Reply("", schema(**values), None, False))
        return replies

    def choices(self, messages, options=("A", "B"), step=""):
        rows = []
        for one in messages:
            self.asked.append((step, one))
            age = re.search(r"age: (\d+)", one[0]["content"])[1]
            shown = re.findall(r"<answer [AB]>\n(.*?)\n</answer", one[1]["content"], re.DOTALL)
            first, second = (int(hashlib.sha256(f"{age}{a}".encode()).hexdigest()[:4], 16) for a in shown)
            p = min(max(0.5 + 0.3 * np.sign(first - second) + self.lean, 0), 1)
            rows.append([p, 1 - p])
        return Choices(np.array(rows).reshape(-1, 2), np.ones(len(rows)), [None] * len(rows), np.zeros(len(rows), int))


def people(sides=SIDES):
    index = pd.Index([f"p{i}" for i in range(len(sides))], name="persona_id")
    ages = range(20, 20 + 5 * len(sides), 5)
    return pd.DataFrame({"age": ages, "sex": "Female", "persona_split": sides}, index)


def prompts(n=4):
    split = ["heldout", *["train"] * (n - 1)]
    return pd.DataFrame({"prompt_id": [f"q{i}" for i in range(n)], "prompt": [f"Why {i}?" for i in range(n)]}).assign(
        prompt_split=split
    )


def world(model=None, **sizes):
    model = model or Author()
    return choices.world(people(), prompts(), model, model, **({"answers": 4, "compared": 4} | sizes))


def test_everybody_chooses_between_the_same_pairs_in_both_orders(tmp_path):
    made = world()
    assert len(made.choices) == 8 * 4 * 4 * 2 and made.choices["p_first"].notna().all()
    sets = made.choices.groupby("persona_id")[["first", "second"]].apply(lambda t: frozenset(map(tuple, t.to_numpy())))
    assert sets.nunique() == 1
    assert all((second, first) in sets.iloc[0] for first, second in sets.iloc[0])
    shown = pd.concat([made.choices["first"], made.choices["second"]]).value_counts()
    assert shown.nunique() == 1, "each answer is compared equally often"
    back = methods.load_world(methods.save_world(made, tmp_path / "w"))
    pd.testing.assert_frame_equal(back.choices, made.choices)
    assert back.people["profile"].str.contains("age: ").all() and set(back.people) >= {"age", "sex", "persona_split"}


def test_answers_are_written_for_people_of_the_training_side_and_by_one_request():
    model = Author()
    made = world(model, answers=5, compared=5, words=30)
    by = made.candidates.groupby("prompt_id")["written_for"]
    assert (by.count() == 2).all() and (by.size() == 5).all()
    assert set(made.candidates["written_for"].dropna()) <= set(
        made.people.index[made.people["persona_split"] == "train"]
    )
    one = [messages for step, messages in model.asked if step == "answers that diverge"]
    assert len(one) == 4 and "Write 3 answers" in one[0][0]["content"] and "answer_1, answer_2" in one[0][0]["content"]
    assert "at most 30 words" in one[0][0]["content"] and "age" not in str(one)
    wordless = Author()
    world(wordless, words=None)
    assert "words" not in str([m for step, m in wordless.asked if step.startswith("answers")])


def test_a_failed_answer_and_equal_answers_are_rows_that_say_so():
    made = world(Author(silent="Why 2?"))
    failed = made.choices[made.choices["prompt_id"] == "q2"]
    assert (failed["failure"] == "an answer is missing: refused").all() and failed["p_first"].isna().all()
    assert made.choices.loc[made.choices["prompt_id"] != "q2", "failure"].isna().all()
    assert made.candidates["text"].isna().sum() == 4
    table = methods.trial(made, [linear.Pooled(methods.embedder(made))], Setting(ks=(0,), cell="seen_unseen"))
    assert table["p_first"].notna().all(), "methods run on what there is"
    assert not methods.gates.of_world(made, "seen_unseen").set_index("gate").loc["equal answers", "fired"]
    alike = world(Author(alike=True))
    assert (alike.choices["failure"] == verdicts.SAME).any()


def test_the_choices_that_a_method_is_shown_are_about_several_prompts():
    readied = ready(world(compared=6), Setting(ks=(6,), cell="seen_unseen"))
    shown = readied.contexts.merge(readied.choices["prompt_id"], left_on="pair_id", right_index=True)
    assert (shown[shown["shot"] <= 6].groupby("persona_id")["prompt_id"].nunique() > 1).mean() > 0.6


def test_a_lean_to_one_place_is_inconsistency_and_no_disagreement():
    made = world(Author(lean=0.4))
    table = choices.report(made)
    assert (table["first"] == 1).all() and (table["self_consistency"] == 0).all()
    steady = choices.report(world(Author()))
    assert (steady["self_consistency"] == 1).all() and (steady["first"] == 0.5).all()
    pd.testing.assert_series_equal(table["disagreement"], steady["disagreement"])


def test_the_report_counts_ties_as_halves():
    made = world()
    rows = made.choices[made.choices["prompt_id"] == "q1"]
    pair = set(rows.iloc[0][["first", "second"]])
    rows = rows[rows["first"].isin(pair) & rows["second"].isin(pair)]
    ends = sorted(pair)
    likes = {"p0": 1.0, "p1": 1.0, "p2": 0.0, "p3": 0.5}  # of the answer that is first by id
    own = rows[rows["persona_id"].isin(likes)]
    p = own["persona_id"].map(likes).where(own["first"] == ends[0], 1 - own["persona_id"].map(likes))
    (row,) = choices.report(made._replace(choices=own.assign(p_first=p))).to_dict("records")
    assert (row["people"], row["pairs"], row["choices"], row["ties"]) == (4, 1, 8, 0.25)
    assert row["disagreement"] == pytest.approx((1 + 1 + 0.5 + 0.5 + 0.5) / 6) and row["self_consistency"] == 1
    half = own.assign(p_first=p.where(own["first"] == ends[0]), failure="refused")
    (row,) = choices.report(made._replace(choices=half)).to_dict("records")
    assert row["failed"] == 4 and np.isnan(row["self_consistency"]) and row["disagreement"] > 0


def test_what_is_told_has_intervals_and_reasons():
    said = choices.told(world(Author(silent="Why 2?"))).splitlines()
    assert said[0] == "256 choices of 8 people about 4 prompts, 64 of them failed"
    assert said[1] == "people to test methods on: 2, too few to compare methods (8 or more; raise dense_personas)"
    assert said[2] == "64 choices are missing: an answer is missing: refused"
    assert said[3].startswith("two people prefer different answers in ") and "95% interval" in said[3]
    assert said[4].startswith("one person prefers the same answer in both orders in 100%")


def test_a_quarter_of_a_block_and_at_least_one_is_tested():
    assert [choices.sides(n) for n in (2, 4, 10, 100)] == [(1, 1), (3, 1), (8, 2), (75, 25)]
    with pytest.raises(UserError, match="2 people and 2 prompts at least, one to test each, not 1"):
        choices.sides(1)


@pytest.mark.parametrize(
    ("sizes", "said"),
    [
        ({"answers": 3}, "takes 4 to 8 answers, not 3"),
        ({"answers": 4, "compared": 7}, "4 answers make 1 to 6 pairs, not 7"),
    ],
)
def test_numbers_out_of_range_are_one_line(sizes, said):
    with pytest.raises(UserError, match=said):
        world(**sizes)


def test_where_there_are_few_people_to_write_for_one_request_asks_for_more_answers():
    model = Author()
    made = choices.world(people(["train", "test"]), prompts(), model, model, answers=6, compared=2)
    assert (made.candidates.groupby("prompt_id")["written_for"].count() == 1).all()
    assert "Write 5 answers" in str(model.asked)
