"""A method that chooses which pairs of a person's history it knows: what it gains, and what it is shown."""

import numpy as np
import pytest

from persona_lib import methods
from persona_lib.methods import Method, Setting, active, latent, scores, simulated, surveyed

SIZES = {"seen": 150, "unseen": 60, "prompts": 60, "heldout": 30, "history": 48, "tests": 20, "dimensions": 12}
DESIGN = simulated.Design(**SIZES, rank=4, within=3.0)
SMALL = simulated.Design(seen=12, unseen=4, prompts=20, heldout=6, history=12, tests=3, dimensions=4, rank=1)
K = 6


def asking(how, prefer=lambda self, prompt, *_: np.full(len(prompt), 0.6)):
    """Return a method that asks in the way of `how`, and notes what it got for each person."""

    def adapt(self, context, person):
        self.seen.append(how(self))

    return type("Asking", (Method,), {"sees": ("questions",), "seen": [], "adapt": adapt, "prefer": prefer})


def tried(world, kinds, ks):
    embed = methods.embedder(world)
    return methods.trial(world, [kind(embed) for kind in kinds], Setting(ks=ks))


def test_chosen_pairs_tell_more_than_as_many_at_random():
    world = simulated.world(DESIGN, seed=4)
    table = scores.expected(tried(world, (latent.LowRank, active.Active), (0, K)), world)
    assert table["low rank, pairs asked", 0] == table["low rank", 0]
    assert table["low rank, pairs asked", K] > table["low rank", K] + 0.01


def test_the_same_pairs_as_in_the_history_give_the_same_place():
    world = simulated.world(SMALL, seed=1)
    method = active.Active(methods.embedder(world))
    pairs = world.choices.rename(columns={"persona_id": "person"}).assign(person=lambda t: t.index // 15)
    text = world.candidates.set_index("candidate_id")["text"]
    pairs = pairs.assign(prompt=pairs["prompt_id"], first=pairs["first"].map(text), second=pairs["second"].map(text))
    method.fit(pairs, None)
    method.pool, method.questions = pairs[["prompt", "first", "second"]].head(5), 5
    method.choose = lambda row: pairs["p_first"].iloc[row]
    method.adapt(None, None)
    assert method.at == pytest.approx(method.place(pairs.head(5)), abs=1e-6)


def test_the_pool_is_the_persons_history_one_pair_a_prompt_without_choices_and_no_tested_one():
    world = surveyed.world("gss", 40)
    kind = asking(lambda self: self.pool)
    cell = methods.cells(world)
    methods.trial(world, [kind(methods.embedder(world))], Setting(ks=(0,), cell="unseen_seen"))
    prompts = world.choices["prompt_id"].map(world.prompts.set_index("prompt_id")["prompt"])
    people = world.choices.loc[cell == "unseen_seen", "persona_id"].unique()
    for pool, person in zip(kind.seen, people, strict=True):
        own = prompts[(world.choices["persona_id"] == person) & (cell == "context")]
        assert list(pool) == ["prompt", "first", "second"] and sorted(pool["prompt"]) == sorted(set(own))


@pytest.mark.parametrize(
    ("how", "said"),
    [
        (lambda self: [self.choose(row) for row in range(3)], "1 question is too many: 0 may be asked"),
        (lambda self: self.choose(99), "there is no pair 99 to ask about"),
        (lambda self: self.choose(-1), "there is no pair -1 to ask about"),
    ],
)
def test_a_choice_that_may_not_be_asked_is_the_reason_of_the_persons_rows(how, said):
    table = tried(simulated.world(SMALL, seed=1), [asking(how)], (2,))
    assert table["p_first"].isna().all() and table["failure"].str.contains(said).all()


def test_choices_count_against_the_same_k_and_end_before_the_test():
    kind = asking(lambda self: [self.choose(0), self.choose(1)])
    table = tried(simulated.world(SMALL, seed=1), [kind], (2,))
    assert table["failure"].isna().all() and set(np.ravel(kind.seen)) <= {0.0, 1.0}
    late = asking(lambda self: None, prefer=lambda self, prompt, *_: [self.choose(0) for _ in prompt])
    assert tried(simulated.world(SMALL, seed=1), [late], (9,))["failure"].str.contains("0 may be asked").all()


def test_people_with_fewer_than_k_pairs_are_asked_about_all():
    table = tried(simulated.world(SMALL, seed=1), [active.Active], (1, 12, 99)).set_index("k")["p_first"]
    assert table[99].tolist() == table[12].tolist() != table[1].tolist()


def test_no_attribute_of_a_question_leads_to_the_person():
    kinds = [asking(lambda self: self.choose.__self__), asking(lambda self: self.ask.__self__)]
    for kind in kinds:
        table = tried(simulated.world(SMALL, 1), [kind], (1,))
        assert table["failure"].str.contains("AttributeError").all()
