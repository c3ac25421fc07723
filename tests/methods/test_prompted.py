"""Methods that ask a model: what its prompt says, and that no place is preferred."""

import re

import numpy as np
import pandas as pd
import pytest

from persona_lib import UserError, methods
from persona_lib.methods import Setting, prompted, simulated
from persona_lib.model import Choices, Reply

DESIGN = simulated.Design(seen=8, unseen=4, prompts=20, heldout=6, history=12, tests=3, dimensions=4, rank=1, groups=2)


class Chooser:
    """A stand-in: leans to the first place, and to the answer with the larger number; writes a note if asked."""

    name = "chooser"

    def __init__(self, lean=0.2, silent=()):
        self.lean, self.silent, self.asked, self.notes = lean, silent, [], []

    def choices(self, messages, options=("A", "B"), step=""):
        rows = []
        for one in messages:
            self.asked.append(one)
            first, second = map(int, re.findall(r"answer (\d+)", one[1]["content"]))
            p = 0.5 + self.lean + 0.2 * np.sign(first - second)
            rows.append([np.nan, np.nan] if len(self.asked) - 1 in self.silent else [p, 1 - p])
        rows = np.array(rows)
        failures = ["refused" if np.isnan(row[0]) else None for row in rows]
        return Choices(rows, np.ones(len(rows)), failures, np.zeros(len(rows), int))

    def ask(self, messages, schema=None, step="", **_):
        self.notes += messages
        return [Reply("", schema(summary="likes high numbers"), None, False) for _ in messages]


def world():
    made = simulated.world(DESIGN, seed=2)
    return made._replace(candidates=made.candidates.assign(text="answer " + made.candidates.index.astype(str)))


def tried(kind, model, ks=(0, 3)):
    made = world()
    return made, methods.trial(made, [kind(methods.embedder(made), model)], Setting(ks=ks))


def test_both_orders_are_asked_and_their_lean_cancels():
    made, table = tried(prompted.Prompted, Chooser(lean=0.2), ks=(0,))
    shown = made.choices.set_index("choice_id").loc[table["choice_id"]]
    number = made.candidates.set_index("candidate_id")["text"].str.removeprefix("answer ").astype(int)
    larger = shown["first"].map(number).to_numpy() > shown["second"].map(number).to_numpy()
    assert np.allclose(table["p_first"], np.where(larger, 0.7, 0.3))


@pytest.mark.parametrize(
    ("kind", "says", "silent_on"),
    [
        (prompted.Prompted, [], ["group", "Earlier choices", "noted"]),
        (prompted.Profile, ["This is the person", "group: group"], ["Earlier choices"]),
        (prompted.GroupPrompt, ["What is known of the person", "group: group"], ["Earlier choices"]),
        (prompted.Shots, ["Earlier choices", "Preferred answer: answer", "Other answer: answer"], ["group"]),
        (prompted.Written, ["likes high numbers"], ["Preferred answer", "group"]),
        (prompted.Telling, ["likes high numbers", "Preferred answer"], ["group"]),
    ],
)
def test_a_prompt_says_what_the_method_may_see(kind, says, silent_on):
    model = Chooser()
    _, table = tried(kind, model, ks=(3,))
    system = model.asked[-1][0]["content"]
    assert table["failure"].isna().all() and all(text in system for text in says)
    assert not any(text in system for text in silent_on)


def test_without_history_no_note_is_asked_for_and_nothing_is_said():
    model = Chooser()
    tried(prompted.Telling, model, ks=(0,))
    assert model.notes == [] and model.asked[-1][0]["content"].endswith("one person prefers.")


def test_telling_choices_are_those_that_surprise_most_in_their_order():
    method = prompted.Telling(methods.embedder(world()), Chooser())
    method.pooled = type("Sure", (), {"prefer": lambda self, prompt, *_: np.full(len(prompt), 0.9)})()
    context = pd.DataFrame({"prompt": list("abcdefg"), "first": "x", "second": "y", "p_first": [1, 0, 1, 0, 0, 1, 0]})
    method.adapt(context.astype({"p_first": float}), pd.Series())
    assert [line[-1] for line in method.told["pairs"].splitlines() if line.startswith("Question")] == list("bdeg")


def test_a_tie_shows_no_preference():
    tie = pd.DataFrame({"prompt": ["a"], "first": ["x"], "second": ["y"], "p_first": [0.5]})
    assert prompted.written_out(tie) is None and prompted.written_out(tie.iloc[:0]) is None


def test_a_reply_without_a_choice_is_one_missing_prediction():
    _, table = tried(prompted.Prompted, Chooser(silent=(0,)), ks=(0,))
    assert table["p_first"].isna().sum() == 1 and table["failure"].notna().sum() == 1
    _, none = tried(prompted.Prompted, Chooser(silent=range(999)), ks=(0,))
    assert none["failure"].str.contains("no reply shows a choice, such as: refused").all()


def test_a_method_that_asks_a_model_says_so_without_one():
    with pytest.raises(UserError, match="'choices in the prompt' asks a language model: give it one"):
        prompted.Shots(methods.embedder(world()))
