"""Mistakes: each moves accuracy as it should, on the same choices, and what stops it notices it."""

from typing import ClassVar

import numpy as np
import pandas as pd
import pytest

from persona_lib import methods
from persona_lib.methods import Method, gates, linear, mistakes, simulated, surveyed
from persona_lib.methods.leaks.mistakes import BEST, CONVERSATION, FORMAT, MICRO, ROWS


@pytest.fixture(scope="module")
def world():
    return simulated.conversations(40, 20, seed=1)


@pytest.fixture(scope="module")
def table(world):
    return mistakes.table(world, kind=linear.Shrunk, draws=3).set_index("mistake")


def test_all_mistakes_are_of_the_same_choices_and_a_leak_of_the_format_tells_them_all(world, table):
    assert list(table.index) == [FORMAT, ROWS, CONVERSATION, MICRO, BEST] == list(mistakes.SAYS)
    assert table["right"].iloc[:4].nunique() == 1 and table["n"].iloc[:4].nunique() == 1
    assert (table["failed"] == 0).all() and table["difference"].to_numpy() == pytest.approx(
        table["wrong"] - table["right"]
    )
    assert table.loc[FORMAT, "wrong"] == 1.0 and (table["low"] <= table["difference"]).all()
    assert table.loc[CONVERSATION, "low"] > 0 and table.loc[BEST, "difference"] >= 0


def test_the_right_accuracy_is_that_of_a_trial(world):
    right = mistakes.table(world, kind=linear.Pooled, draws=1).set_index("mistake")["right"]
    predictions = methods.trial(world, [linear.Pooled(methods.embedder(world))], methods.Setting(ks=(0,)))
    assert right[FORMAT] == pytest.approx(methods.scores.accuracy(predictions)["accuracy"].item())
    assert right[BEST] == right[FORMAT]


def test_the_right_accuracy_has_the_interval_that_a_trial_gives_it(world, table):
    method = linear.Shrunk(mistakes.embedder(world), None, 0)
    asked = mistakes.predicted(world, method, [mistakes.right_split(world, methods.CELL)])
    row = methods.scores.mean(asked, "score", "right")
    assert table.loc[FORMAT, "right"] == pytest.approx(row["right"])
    widths = [high - low for low, high in ((row["low"], row["high"]), table.loc[FORMAT, ["right_low", "right_high"]])]
    assert widths[1] == pytest.approx(widths[0], rel=0.5)


def test_conversations_are_choices_of_the_best_of_four(world):
    of_one = world.choices.groupby(["persona_id", "prompt_id"])
    assert (of_one.size() == 3).all()
    chosen = world.choices["first"].where(world.choices["p_first"] == 1, world.choices["second"])
    assert (chosen.groupby([world.choices["persona_id"], world.choices["prompt_id"]]).nunique() == 1).all()
    likely = world.truth.to_numpy() > 0.5
    assert ((world.choices["p_first"] == 1).to_numpy() == likely).mean() > 0.7
    talks = of_one.ngroups / world.choices["persona_id"].nunique()
    assert world.choices.groupby("persona_id")["prompt_id"].nunique().max() > 2 * talks, "some have many"


def test_splits_of_rows_and_of_pairs_ask_the_same_and_learn_what_they_should_not(world):
    right = mistakes.right_split(world, methods.CELL)
    person, prompt = (world.choices[name] for name in ("persona_id", "prompt_id"))
    assert not set(person[right.train]) & set(person[right.asked])
    assert not set(prompt[right.train | right.known]) & set(prompt[right.asked])
    item = person + prompt
    for splits, shared in ((mistakes.row_splits, False), (mistakes.conversation_splits, True)):
        made = list(splits(world, right))
        assert (np.sum([split.asked for split in made], axis=0) == right.asked).all()
        for split in made:
            assert not (split.asked & (split.known | split.train)).any()
            assert bool(set(item[split.known]) & set(item[split.asked])) == shared
            assert bool(set(person[split.train]) & set(person[split.asked])) == (splits is mistakes.row_splits)


def test_micro_counts_a_person_as_often_as_they_chose():
    rows = pd.DataFrame(
        {"persona_id": list("aaab"), "prompt_id": list("1231"), "score": [1.0, 1, 1, 0], "p_first": 0.9}
    )
    found = mistakes._micro(rows)
    assert (found["right"], found["wrong"], found["n"], found["people"]) == (0.5, 0.75, 4, 2)


def test_the_best_draw_is_set_beside_the_mean_of_all():
    draws = [
        pd.DataFrame({"persona_id": list("aabb"), "prompt_id": list("1212"), "score": scores, "p_first": 0.9})
        for scores in ([1.0, 1, 1, 0], [1.0, 0, 0, 0], [1.0, 1, 0, 0])
    ]
    found = mistakes._best(draws)
    assert (found["right"], found["wrong"]) == (0.5, 0.75) and found["low"] < 0.25 < found["high"]
    assert found["right_low"] < 0.5 < found["right_high"]


def test_the_gates_catch_the_leak_of_format_and_pairs_of_one_conversation(world):
    def fired(made, cell=methods.CELL):
        found = gates.of_world(made, cell)
        return set(found.loc[found["fired"], "gate"])

    assert fired(world) == set()
    assert "format" in fired(mistakes.leaked(world)) and "id" not in fired(mistakes.leaked(world))
    assert fired(mistakes.by_pair(world)) == {"context contains the test", "pairs of one answer"}
    survey = surveyed.world("gss", 60)
    assert fired(mistakes.by_pair(survey), "unseen_seen") == {"context contains the test", "pairs of one answer"}


def test_a_leak_reaches_worlds_whose_vectors_come_from_texts(world):
    texts = world.candidates["text"] + " of " + world.candidates["candidate_id"]
    plain = world._replace(features=None, candidates=world.candidates.assign(text=texts))
    made = mistakes.leaked(plain)
    lost = made.candidates["text"].str.startswith("['")
    assert lost.mean() == 0.5 and (made.features["listed"].to_numpy() == lost).all()
    methods.worlds.world.checked(made)


class Breaks(Method):
    sees: ClassVar[tuple[str, ...]] = ()

    def prefer(self, prompt, first, second):
        raise ValueError("no")


def test_a_method_that_fails_is_counted_and_no_run_is_lost(world):
    found = mistakes.table(world, kind=Breaks, draws=2)
    assert found["right"].isna().all() and found["low"].isna().all() and (found["n"] == 0).all()
    assert (found["failed"] > 0).all()


def test_the_headline_names_the_largest_mistake_with_its_interval(table):
    said = mistakes.headline(table.reset_index(), "talks")
    raised = int((table["low"] > 0).sum())
    right, low, high = table[["right", "right_low", "right_high"]].iloc[0]
    assert said.startswith(f"Talks: {right:.0%} (95% interval {low:.0%} to {high:.0%}, n = {table['n'].iloc[0]:,})")
    assert "; the largest change is that of leaked format, +" in said and said.count("95% interval") == 2
    assert said.endswith(f"{raised} of 5 mistakes raise it with an interval above 0.")
    nothing = table.reset_index().assign(difference=np.nan)
    assert mistakes.headline(nothing, "talks") == "Talks: nothing could be predicted."
