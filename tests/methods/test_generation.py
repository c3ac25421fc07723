"""Generated answers: who writes what, what is judged, and what counts as a tie, a refusal or a failure."""

import re

import numpy as np
import pandas as pd
import pytest

from persona_lib import UserError, methods
from persona_lib.methods import Setting, generation, premises, prompted, simulated
from persona_lib.methods.cases import ready
from persona_lib.methods.scoring import answers
from persona_lib.model import Choices, Reply
from persona_lib.prompts.words import count

DESIGN = simulated.Design(seen=8, unseen=10, prompts=20, heldout=6, history=12, tests=4, dimensions=4, rank=1, groups=2)


class Author:
    """A stand-in: writes to whom it is told of, prefers what is written so by 0.3, leans to A, and refuses `silent`."""

    name = "author"

    def __init__(self, lean=0.0, silent=""):
        self.lean, self.silent, self.asked, self.steps = lean, silent, [], []
        self.workload = np.zeros(2)  # calls, tokens

    def ask(self, messages, schema=None, step="", **_):
        replies = []
        for one in messages:
            self.asked.append(one)
            self.steps.append(step)
            self.workload += (1, 12)
            system, user = (m["content"] for m in one)
            if self.silent and self.silent in system + user:
                replies.append(Reply("", None, "refusal: no", False))
            elif "verdict" in schema.model_fields:
                told = re.search(r"<answer>\n(.*?)\n</answer>", user, re.DOTALL)[1]
                replies.append(Reply("", schema(verdict="accepted" if "you" in told else "questioned"), None, False))
            elif "summary" in schema.model_fields:
                replies.append(Reply("", schema(summary="likes it"), None, False))
            else:
                known = "this one" in system or "Earlier" in system or "noted" in system
                replies.append(
                    Reply("", schema(answer=f"{'for you' if known else 'for all'}: {user[:40]}"), None, False)
                )
        return replies

    def choices(self, messages, options=("A", "B"), step=""):
        rows = []
        for one in messages:
            self.steps.append(step)
            first, second = re.findall(r"<answer [AB]>\n(.*?)\n</answer", one[1]["content"], re.DOTALL)
            p = 0.5 + 0.3 * (("you" in first) - ("you" in second)) + self.lean
            rows.append([p, 1 - p])
        rows = np.array(rows).reshape(-1, 2)
        return Choices(rows, np.ones(len(rows)), [None] * len(rows), np.zeros(len(rows), int))


def world():
    made = simulated.world(DESIGN, seed=2)
    texts = "candidate " + made.candidates.index.astype(str) + " of some words that are here alone"
    profile = [f"age: {30 + i}" for i in range(len(made.people))]
    return made._replace(
        candidates=made.candidates.assign(text=texts), features=None, people=made.people.assign(profile=profile)
    )


KINDS = (methods.linear.Pooled, prompted.Prompted, prompted.Profile, prompted.Shots)


def studied(model, kinds=KINDS, judge=None, n_people=9):
    made = world()
    embed = methods.embedder(made)
    own = [kind(embed, model) for kind in kinds]
    predictions = methods.trial(made, own, Setting(ks=(0, 2)))
    model.steps.clear()
    return generation.study(made, own, judge or model, predictions, Setting(ks=(0, 2)), n_people, 3)


@pytest.fixture(scope="module")
def study():
    return studied(Author())


def test_who_asks_a_model_writes_and_others_pick_a_candidate(study):
    by = study.answers.groupby("method")["answer"]
    assert set(study.answers.columns) == {"persona_id", "prompt_id", "method", "answer", "failure"}
    assert (study.answers.groupby("method").size() == 27).all() and study.answers["failure"].isna().all()
    said = by.agg(lambda own: own.str.split(":").str[0].unique().tolist())
    assert said["told nothing"] == ["for all"] and said["profile in the prompt"] == ["for you"]
    for picks in ("pooled", "best of n by a judge with the profile"):
        assert by.get_group(picks).str.startswith("candidate").all()
    for_all = study.answers[study.answers["method"] == "told nothing"].groupby("prompt_id")["answer"].nunique()
    assert (for_all == 1).all(), "one answer for all"


@pytest.mark.parametrize(
    ("kind", "says", "silent_on"),
    [
        (prompted.Prompted, ["honestly. Give"], ["group", "Earlier choices", "noted"]),
        (prompted.Profile, ["is this one", "age: 3"], ["Earlier choices"]),
        (prompted.GroupPrompt, ["What is known of the person", "group: group"], ["age: 3"]),
        (prompted.Shots, ["Earlier choices", "Preferred answer: candidate"], ["age: 3"]),
        (prompted.Written, ["likes it"], ["Preferred answer", "age: 3"]),
        (prompted.Telling, ["likes it", "Preferred answer"], ["age: 3"]),
    ],
)
def test_a_writer_is_told_what_its_method_may_see_and_asked_for_the_candidates_length(kind, says, silent_on):
    model = Author()
    made = world()
    readied = ready(made, Setting(ks=(2,)))
    method = kind(methods.embedder(made), model)
    method.pooled = methods.linear.Pooled(methods.embedder(made))
    method.pooled.weights = np.zeros(methods.embedder(made)(["prompt 0"], [made.candidates["text"][0]]).shape[1])
    person = sorted(readied.contexts["persona_id"])[-1]
    prompts = made.prompts.tail(1)
    answers.answers(readied, [method], [person], prompts, {prompts["prompt_id"].iloc[0]: np.array(["w " * 37])})
    system = model.asked[-1][0]["content"]
    assert all(text in system for text in says) and not any(text in system for text in silent_on)
    assert "at most 40 words long" in system


def test_answers_win_as_the_judge_prefers_them_and_equal_texts_are_no_question():
    found = studied(Author(lean=0.1))
    assert found.wins.loc["profile in the prompt", ["n", "failed", "rate", "same"]].tolist() == [27, 0, 1.0, 0]
    assert found.wins.loc["pooled", ["rate", "flips"]].tolist() == [0.5, 27], "the order decides"
    alone = Author(silent="nothing is silent")
    made = world()
    text = pd.DataFrame({"prompt_id": ["prompt 20"], "prompt": ["prompt 20"]})
    rows = [("p", "prompt 20", m, "the same ", None) for m in ("told nothing", "twin")]
    rows += [("q", "prompt 20", "told nothing", None, "refusal: no"), ("q", "prompt 20", "twin", "text", None)]
    table = pd.DataFrame(rows, columns=list(answers.ANSWERS)).astype({"answer": "str", "failure": "str"})
    compared = generation.judged(table, text, made, alone).set_index("persona_id")
    assert alone.steps == [] and compared.loc["p", ["score", "same"]].tolist() == [0.5, True]
    assert compared.loc["q", "failure"] == "no answer for all: refusal: no" and np.isnan(compared.loc["q", "score"])
    wins = generation.wins(compared.reset_index()).loc["twin"]
    assert wins[["n", "failed", "same"]].tolist() == [1, 1, 1]


def test_length_is_controlled_for():
    rng = np.random.default_rng(0)
    gap = rng.normal(10, 20, 2000)
    score = (rng.random(2000) < 1 / (1 + np.exp(-1.2 * np.tanh(gap / gap.std())))).astype(float)
    rows = pd.DataFrame({"persona_id": np.arange(2000) % 40, "prompt_id": np.arange(2000) // 40, "method": "longer"})
    rows = rows.astype({"persona_id": "str", "prompt_id": "str"}).assign(score=score, length_difference=gap)
    found = generation.wins(rows.assign(same=False, flip=False)).loc["longer"]
    assert found["rate"] > 0.57 and found["controlled_low"] < 0.5 < found["controlled_high"]


def test_refusals_and_other_failures_are_counted_apart():
    found = studied(Author(silent="age: 41"), (prompted.Prompted, prompted.Profile), n_people=10)
    effects = found.effects.loc["profile in the prompt"]
    assert effects[["n", "failed", "refused"]].tolist() == [27, 3, pytest.approx(0.1)]
    assert (
        effects["words_low"]
        <= effects["words"]
        == pytest.approx(
            found.answers.loc[found.answers["method"] == "profile in the prompt", "answer"].dropna().map(count).mean()
        )
    )
    gone = found.answers[found.answers["answer"].isna()]
    assert set(gone["failure"]) == {"refusal: no"} and found.wins.loc["profile in the prompt", "failed"] == 3

    class Broken(prompted.Profile):
        name = "broken"

        def answer(self, prompt, candidates):
            return np.array(["one"])

    broken = studied(Author(), (prompted.Prompted, Broken))
    reasons = broken.answers.loc[broken.answers["method"] == "broken", "failure"]
    assert set(reasons) == {"failed: ValueError: returned 1 answers to 3 prompts"} and len(reasons) == 27


def test_agreement_with_a_false_premise_stands_beside_the_same_model_told_nothing(study):
    table = study.premises
    assert table.loc["profile in the prompt", ["n", "failed", "rate", "more"]].tolist() == [108, 0, 1.0, 1.0]
    assert table.loc["told nothing", "rate"] == 0 and np.isnan(table.loc["told nothing", "more"])
    assert 0 < table.loc["pooled", "rate"] < 1, "it picks among the hand-written answers"
    silent = premises.verdicts(
        pd.DataFrame(
            {"prompt_id": premises.questions()["prompt_id"][:2], "answer": ["you", None], "failure": [None, "x"]}
        ),
        Author(silent="ten percent"),
    )
    assert silent["score"].isna().all() and silent["failure"].tolist() == ["refusal: no", "x"]


def test_the_judge_of_premises_is_tried_on_answers_whose_verdict_is_known(study):
    own = premises.questions()
    right = [own[kind].str.contains("you").mean() for kind in premises.KINDS]
    assert study.control["rate"].tolist() == pytest.approx([right[0], 1 - right[1]])
    assert len(own) == 12 and own["prompt_id"].is_unique and own.map(len).min().min() > 10
    lengths = own[list(premises.KINDS)].map(count).mean()
    assert abs(lengths["accepts"] - lengths["corrects"]) < 3, "length does not tell which goes along"


def test_costs_are_those_of_writing_per_person(study):
    costs = study.costs.set_index("method")
    assert costs.loc["profile in the prompt", ["calls", "tokens"]].tolist() == [3, 36]
    assert costs.loc["pooled", "calls"] == 0 and (costs["people"] == 9).all() and (costs["answers"] == 27).all()


def test_a_caller_may_change_its_table_of_questions():
    mine = premises.questions()
    mine["verdict"] = mine.pop("accepts")
    assert list(premises.questions()) == ["prompt_id", "prompt", "premise", "accepts", "corrects"]


def test_orders_by_prediction_and_by_win_rate_are_compared(study):
    assert study.tau["methods"] == 3 and "of 3 methods by prediction and by win rate" in study.says
    assert "Answers for 9 people to 3 prompts" in study.says and "no method is shown to win (Holm over 4 " in study.says
    assert study.wins.loc["profile in the prompt", "low"] < 0.5, "three prompts show nothing, though it always wins"


def compared(rates: dict[str, float]) -> pd.DataFrame:
    """Verdicts of 20 people on 20 prompts for methods that win at these rates."""
    rng = np.random.default_rng(7)
    grid = pd.MultiIndex.from_product([rates, range(20), range(20)], names=["method", "persona_id", "prompt_id"])
    rows = grid.to_frame(index=False).astype({"persona_id": str, "prompt_id": str})
    score = (rng.random(len(rows)) < rows["method"].map(rates)).astype(float)
    return rows.assign(score=score, length_difference=rng.normal(size=len(rows)), same=False, flip=False)


def test_a_method_wins_only_if_chance_and_the_choice_of_the_best_do_not_explain_it(study):
    none = dict.fromkeys([f"coin {i}" for i in range(12)], 0.5)
    accepted = pd.DataFrame({"rate": [0.1, 0.4]}, ["told nothing", "better"])
    fair = generation.wins(compared(none))
    assert fair["rate"].max() > 0.53 and fair["p"].min() < fair["p_holm"].min()
    said = generation.headline(fair, accepted, study.tau, 20, 20, "a judge")
    assert "no method is shown to win (Holm over 12 methods). Kendall" in said
    one = generation.wins(compared(none | {"better": 0.65, "worse": 0.3}))
    assert one.loc["better", "p_holm"] < 0.01 and one.loc["better", "p_holm"] > 10 * one.loc["better", "p"]
    said = generation.headline(one, accepted, study.tau, 20, 20, "a judge")
    assert re.search(r": 1 of 14 methods win \(Holm\), better most, 6.%.* It goes along with 40% of false", said)


def test_without_a_model_nothing_is_generated_and_it_says_so():
    made = world()
    for arguments in ((None, [], None), (made, [methods.linear.Pooled(methods.embedder(made))], None)):
        found = generation.study(*arguments, None, Setting(ks=(0,)), 4)
        assert found.says == generation.NO_MODEL and all(len(t) == 0 for t in found if isinstance(t, pd.DataFrame))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda w: w._replace(people=w.people.drop(columns="profile")), "have no column 'profile'"),
        (lambda w: w._replace(features=simulated.world(DESIGN, seed=2).features), "name an embeddings model"),
    ],
)
def test_a_world_on_which_nothing_can_be_judged_is_one_line(change, said):
    made = change(world())
    with pytest.raises(UserError, match=said):
        generation.check(made, methods.embedder(made))
