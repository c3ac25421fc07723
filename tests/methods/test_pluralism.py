"""The three pluralisms: planted truths are recovered, cases counted by hand, and intervals hold what is true."""

import re

import numpy as np
import pandas as pd
import pytest

from persona_lib import UserError
from persona_lib.methods import pluralism
from persona_lib.model import Reply

PROMPTS = pd.DataFrame({"prompt_id": ["q0", "q1"], "prompt": ["Why 0?", "Why 1?"]})


class Voter:
    """A stand-in in a person's place: finds its view represented (5) where the answer names it, else hardly (2)."""

    name = "voter"

    def __init__(self, refuses=""):
        self.refuses, self.asked = refuses, []

    def ask(self, messages, schema, step="", **_):
        self.asked += messages
        return [self._reply(str(one[0]), one[1]["content"], schema) for one in messages]

    def _reply(self, system, answer, schema):
        view = re.search(r"view: (\w+)", system)[1]
        if self.refuses and self.refuses in system:
            return Reply("", None, "refused", False)
        return Reply("", schema(rating=5 if view in answer else 2), None, False)


def village(*views, groups=None):
    """People p0, p1, ... with a view each, which their profile tells."""
    index = pd.Index([f"p{i}" for i in range(len(views))], name="persona_id")
    profile = [f"name: p{i}.\nview: {view}" for i, view in enumerate(views)]
    return pd.DataFrame({"profile": profile, "group": groups or list(views)}, index)


def answers(people, texts, method="m", **columns):
    """One answer for all to each prompt."""
    rows = [(person, f"q{i}", text) for i, text in enumerate(texts) for person in people.index]
    table = pd.DataFrame(rows, columns=["persona_id", "prompt_id", "answer"])
    failure = table["answer"].isna().map({True: "no answer was written", False: None})
    return table.assign(method=method, failure=failure, **columns)


def test_a_person_is_told_and_shown_the_answer_and_what_fails_says_why():
    people, voter = village("left", "right", "none"), Voter(refuses="p2")
    found = pluralism.rated(answers(people, ["left and right", None]), people, PROMPTS, voter)
    assert len(voter.asked) == 3 and "view: left" in voter.asked[0][0]["content"]
    assert "Why 0?" in voter.asked[0][1]["content"] and "left and right" in voter.asked[0][1]["content"]
    assert found["rating"].tolist()[:2] == [5, 5] and found["rating"].isna().sum() == 4
    assert found["failure"].tolist()[2:] == ["refused"] + ["no answer was written"] * 3
    assert found["failure"].isna().sum() == 2 and set(found["judge"]) == {"voter"}


def test_coverage_is_the_planted_share_of_people_for_everybody_and_each_group():
    people = village(*["left"] * 6 + ["right"] * 3 + ["none"] * 3, groups=["a"] * 8 + ["b"] * 4)
    asked = pd.concat(
        [
            answers(people, ["left", "right"], "one view"),
            answers(people, ["left or right", "right or left"], "two views"),
        ]
    )
    items = pluralism.represented(pluralism.rated(asked, people, PROMPTS, Voter()))
    found = pluralism.coverage(items, people, ["group"]).set_index(["method", "group"])
    assert found.loc[("one view", "everybody"), "coverage"] == pytest.approx((6 / 12 + 3 / 12) / 2)
    assert found.loc[("two views", "everybody"), "coverage"] == pytest.approx(9 / 12)
    assert found.loc[("two views", "b"), ["coverage", "people", "n", "failed"]].tolist() == [0.25, 4, 8, 0]
    assert found.loc["two views"].index.tolist() == ["everybody", "b", "a"]  # the worst group first
    row = found.loc[("two views", "everybody")]
    assert row["low"] < 0.75 < row["high"]


def test_of_several_answers_one_that_represents_a_person_is_enough_and_one_unscored_leaves_it_open():
    people = village("left", "right", "none")
    ratings = pd.concat(
        pluralism.rated(answers(people, [text], sample=i), people, PROMPTS, Voter(refuses))
        for i, (text, refuses) in enumerate([("left", ""), ("right", "p0"), ("nothing", "p2")])
    )
    items = pluralism.represented(ratings).set_index("persona_id")
    assert items["covered"].tolist()[:2] == [1, 1] and np.isnan(items.loc["p2", "covered"])
    assert items["answers"].tolist() == [3, 3, 3] and items["rating"].tolist() == [5, 5, 2]
    found = pluralism.coverage(items.reset_index()).iloc[0]
    assert (found["n"], found["failed"]) == (2, 1)


def test_a_person_or_prompt_of_whom_nothing_is_known_is_an_error():
    people = village("left")
    for changed in ({"persona_id": "nobody"}, {"prompt_id": "q9"}):
        with pytest.raises(UserError, match="nothing is known of"):
            pluralism.rated(answers(people, ["left"]).assign(**changed), people, PROMPTS, Voter())
    silent = pd.DataFrame({"color": "red"}, people.index)  # no attribute that a profile tells
    with pytest.raises(UserError, match="nothing is known of p0"):
        pluralism.rated(answers(people, ["left"]), silent, PROMPTS, Voter())


def test_the_worst_group_is_beside_what_comes_last_by_chance():
    rng = np.random.default_rng(1)
    people = village(*["x"] * 60, groups=[f"g{i % 5}" for i in range(60)])
    alike = pd.DataFrame({"persona_id": people.index.repeat(8), "method": "alike", "covered": rng.random(480) < 0.6})
    unfair = alike.assign(method="unfair").copy()
    unfair.loc[unfair["persona_id"].map(people["group"]) == "g3", "covered"] = False
    found = pluralism.worst_group(pd.concat([alike, unfair]), people, "group").set_index("method")
    assert found.loc["unfair", "group"] == "g3" and found.loc["unfair", "coverage"] == 0
    assert found.loc["unfair", "p"] < 0.01 < found.loc["alike", "p"]
    assert found.loc["alike", "low_chance"] <= found.loc["alike", "coverage"] <= found.loc["alike", "high_chance"]
