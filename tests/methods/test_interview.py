"""Methods that ask the person: who answers, how many questions, what an interview finds, and what goes wrong."""

import re
from typing import ClassVar

import numpy as np
import pytest

from persona_lib import methods
from persona_lib.methods import Method, Setting, interview, scores, simulated
from persona_lib.methods.person import Person
from persona_lib.model import Choices, Reply

DESIGN = simulated.Design(seen=8, unseen=6, prompts=20, heldout=6, history=12, tests=4, dimensions=4, rank=1, groups=2)


class Scripted:
    """A stand-in for three models: an interviewer, people of two tastes, and one who predicts from what is told.

    People of group 1 like high numbers, those of group 2 low ones, and both say so only if asked about numbers, which
    the interviewer's second question is. `silent`: what people say instead.
    """

    name = "scripted"

    def __init__(self, silent=None):
        self.silent, self.asked, self.written, self.predicted = silent, [], [], []

    def ask(self, messages, schema=None, step="", **_):
        replies = []
        for one in messages:
            system, user = (message["content"] for message in one)
            fields = list(schema.model_fields)
            if fields == ["answer"]:
                self.asked.append(one)
                taste = "high" if "group: group 1" in system else "low"
                said = f"I like {taste} numbers." if "numbers" in user else "It depends."
                said = said if self.silent is None else self.silent
            else:
                self.written.append(one)
                said = "Which numbers do you like?" if "has told" in user else "What do you like?"
            refused = said == "refusal"
            value = None if refused else schema(**dict.fromkeys(fields, said))
            replies.append(Reply(said, value, "refusal: no" if refused else None, False))
        return replies

    def choices(self, messages, options=("A", "B"), step=""):
        rows = []
        for one in messages:
            self.predicted.append(one)
            first, second = map(int, re.findall(r"answer (\d+)", one[1]["content"]))
            likes = {"high numbers": 1, "low numbers": -1}
            way = sum(sign for text, sign in likes.items() if text in one[0]["content"])
            p = 0.5 + 0.4 * way * np.sign(first - second)
            rows.append([p, 1 - p])
        return Choices(np.array(rows), np.ones(len(rows)), [None] * len(rows), np.zeros(len(rows), int))


def world():
    """People of group 1 chose the answer with the higher number, people of group 2 the other."""
    made = simulated.world(DESIGN, seed=2)
    number = made.candidates.set_index("candidate_id").assign(n=np.arange(len(made.candidates)))["n"]
    choices = made.choices
    higher = choices["first"].map(number) > choices["second"].map(number)
    high = choices["persona_id"].map(made.people["group"]) == "group 1"
    texts = "answer " + number.astype("str")
    return made._replace(
        candidates=made.candidates.assign(text=texts.to_numpy()), choices=choices.assign(p_first=(higher == high) * 1.0)
    )


def tried(kind, model, ks=(0, 1, 3), made=None, **given):
    made = made or world()
    return methods.trial(made, [kind(methods.embedder(made), model)], Setting(ks=ks), **given)


def test_an_interview_finds_a_planted_taste_that_takes_a_second_question():
    table = scores.accuracy(tried(interview.Interview, Scripted())).set_index("k")["accuracy"]
    assert table[0] == table[1] == 0.5 and table[3] == 1.0


def test_a_later_question_sees_earlier_answers_and_the_predictor_sees_them_and_no_profile():
    model = Scripted()
    tried(interview.Interview, model, ks=(2,))
    first, second = (one[1]["content"] for one in model.written[:2])
    assert "told" not in first and "Question: What do you like?\nAnswer: It depends." in second
    assert "You said before:\nQuestion: What do you like?" in model.asked[1][0]["content"]
    assert "questions such as these, which you don't ask:\n- prompt" in model.written[0][0]["content"].lower()
    assert not any("group" in message["content"] for one in (*model.written, *model.predicted) for message in one)


def test_an_interview_has_k_questions_in_few_rounds():
    assert [interview.rounds(k) for k in (0, 1, 4, 6, 32)] == [[], [1], [1] * 4, [2, 2, 1, 1], [8] * 4]
    model = Scripted()
    tried(interview.Interview, model, ks=(6,))
    assert len(model.asked) == 6 * DESIGN.unseen and len(model.written) == 4 * DESIGN.unseen


def test_people_are_played_by_the_model_given_for_them():
    method, people = Scripted(), Scripted()
    tried(interview.Interview, method, ks=(1,), person_model=people)
    assert len(people.asked) == DESIGN.unseen and not method.asked and not people.written


class Asks(Method):
    """Asks in the way of `how`, and stores what it got; class attributes, since each person has a copy."""

    sees = ("questions",)
    how = staticmethod(lambda self: self.ask(["Why?"] * self.questions))
    seen: ClassVar[list] = []

    def adapt(self, context, person):
        assert context.empty and person.empty
        type(self).seen.append(self.how(self))

    def prefer(self, prompt, first, second):
        return np.full(len(prompt), 0.6)


def asking(how, **more):
    return type("Asking", (Asks,), {"how": staticmethod(how), "seen": [], **more})


def test_the_person_answers_k_questions_of_any_method_that_declares_it():
    kind = asking(lambda self: self.ask(["Why numbers?"] * self.questions))
    table = tried(kind, Scripted(), ks=(0, 2))
    assert table["failure"].isna().all() and (table["p_first"] == 0.6).all()
    assert {len(said) for said in kind.seen} == {0, 2} and "numbers." in kind.seen[-1][0]


def keeps(self):
    """Keep the person's `ask` for the tested answers."""
    self.kept = self.ask
    return []


@pytest.mark.parametrize(
    ("how", "silent", "said"),
    [
        (lambda self: self.ask(["Why?"] * 3), None, "ValueError: 3 questions are too many: 2 may be asked"),
        (lambda self: [self.ask(["Why?"]) for _ in range(3)], None, "1 questions are too many: 0 may be asked"),
        (lambda self: self.ask("Why?"), None, "questions to a person are a list of texts"),
        (lambda self: self.ask(["Why?", " "]), None, "questions to a person are a list of texts"),
        (lambda self: self.ask(["Why?"]), "refusal", "no answer to 'Why?': refusal: no"),
        (lambda self: self.ask(["Why?"]), " ", "no answer to 'Why?': it is empty"),
    ],
    ids=["too many", "too many in turn", "text", "blank", "refusal", "empty"],
)
def test_a_question_that_fails_is_the_reason_of_the_persons_rows(how, silent, said):
    table = tried(asking(how), Scripted(silent), ks=(2,))
    assert table["p_first"].isna().all() and table["failure"].str.contains(said, regex=False).all()


def test_nobody_answers_after_the_tested_answers_are_shown():
    late = asking(keeps, prefer=lambda self, prompt, first, second: self.kept(["Which?"] * len(prompt)))
    table = tried(late, Scripted(), ks=(9,))
    assert table["failure"].str.contains("4 questions are too many: 0 may be asked").all()


def test_without_a_model_a_profile_or_a_declaration_there_is_nobody_to_ask():
    none = tried(Asks, None, ks=(1,))
    assert none["failure"].str.contains("nobody plays the person: give the trial a model").all()
    made = world()
    unknown = made._replace(people=made.people[["persona_split"]])
    bare = tried(Asks, Scripted(), ks=(0, 1), made=unknown)
    assert bare.loc[bare["k"] == 0, "failure"].isna().all()
    assert bare.loc[bare["k"] == 1, "failure"].str.contains("nobody can play the person, who has no profile").all()
    silent = asking(lambda self: self.ask(["Why?"]), sees=())
    assert tried(silent, Scripted(), ks=(1,))["failure"].str.contains("declare 'questions' in `sees`").all()


def test_questions_that_could_not_be_written_are_the_reason():
    class Mute(Scripted):
        def ask(self, messages, schema=None, step="", **_):
            return [Reply("", None, "cut off", False) for _ in messages]

    said = tried(interview.Interview, Mute(), ks=(0, 1)).groupby("k")["failure"].first()
    assert said.isna()[0] and "no questions were written: cut off" in said[1]


def test_a_person_remembers_what_they_said():
    person = Person("group: group 1", Scripted(), 2)
    person.ask(["Why?"])
    assert person.said == [("Why?", "It depends.")] and person.left == 1
