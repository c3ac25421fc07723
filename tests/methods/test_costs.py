"""Costs: calls and tokens of each method and person, wherever replies come from, people side by side or not."""

import itertools
import json
import time
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from endpoint import Endpoint, completion, first_token

from persona_lib import methods
from persona_lib.methods import Setting, costs, interview, linear, prompted, simulated
from persona_lib.methods.cases import ready
from persona_lib.methods.scoring import answers
from persona_lib.methods.worlds import world as worlds
from persona_lib.model import Model, together
from persona_lib.store import Store

DESIGN = simulated.Design(seen=6, unseen=2, prompts=12, heldout=4, history=8, tests=3, dimensions=4, rank=1, groups=2)
OF_CHOICES = 2 * DESIGN.tests  # both orders
A_CALL = 13  # tokens, as `completion` says


def answer(body):
    """A choice of A, a text in each field, or a plain text."""
    if body.get("logprobs"):
        return first_token(A=0.7, B=0.3)
    if "response_format" not in body:
        return completion("Hello")
    fields = body["response_format"]["json_schema"]["schema"]["properties"]
    return completion(json.dumps(dict.fromkeys(fields, "Short answers.")))


@pytest.fixture(scope="module")
def endpoint():
    with Endpoint(answer, models=("m", "n")) as endpoint:
        yield endpoint


def tried(kinds, model, ks, draws=1, **given):
    world = simulated.world(DESIGN, seed=3)
    embed = methods.embedder(world)
    return methods.trial(world, [kind(embed, model) for kind in kinds], Setting(ks, draws), **given)


def test_a_reply_counts_for_each_method_and_person_wherever_it_comes_from(endpoint, tmp_path):
    kinds = (linear.Pooled, prompted.Prompted, prompted.Written, interview.Interview)
    first, again = (tried(kinds, Model("m", endpoint.url, Store(tmp_path / "s")), (0, 2)) for _ in range(2))
    table = costs.table(first).set_index(["method", "k"])
    assert (table["people"] == 2).all() and (table[["fit_calls", "fit_tokens"]] == 0).all(axis=None)
    calls = {name: table.loc[name, "calls"].tolist() for name in table.index.levels[0]}
    assert calls == {
        "pooled": [0, 0],
        "told nothing": [OF_CHOICES, OF_CHOICES],
        "profile written from choices": [OF_CHOICES, OF_CHOICES + 1],
        "interview": [OF_CHOICES, OF_CHOICES + 4],  # two questions, each with its answer
    }
    assert (table["tokens"] == A_CALL * table["calls"]).all()
    assert costs.table(again).equals(costs.table(first))


def test_the_calls_of_another_model_that_plays_people_count(endpoint, tmp_path):
    store = Store(tmp_path / "s")
    model, people = (Model(name, endpoint.url, store) for name in ("m", "n"))
    table = costs.table(tried((interview.Interview,), model, (2,), person_model=people))
    assert table["calls"].tolist() == [OF_CHOICES + 4] and people.workload == (4, 4 * A_CALL)


def test_what_writing_asks_is_the_same_when_the_store_has_the_replies(endpoint, tmp_path):
    world = simulated.world(DESIGN, seed=3)
    found = []
    for _ in range(2):
        model = Model("m", endpoint.url, Store(tmp_path / "s"))
        made = [kind(methods.embedder(world), model) for kind in (prompted.Prompted, interview.Interview)]
        setting = Setting(ks=(2,))
        people = methods.trial(world, made, setting)["persona_id"].unique()
        _, table = answers.answers(ready(world, setting), made, people, world.prompts.tail(3), worlds.answers(world))
        found.append(table.set_index("method"))
    assert found[0]["calls"].to_dict() == {"told nothing": 3, "interview": 3 + 4}, "two questions, each with its answer"
    assert (found[0]["tokens"] == A_CALL * found[0]["calls"]).all() and found[1].equals(found[0])


def test_what_fit_asks_is_counted_once_and_a_model_that_does_not_count_is_missing(endpoint, tmp_path):
    class Learns(linear.Pooled):
        def fit(self, pairs, people):
            super().fit(pairs, people)
            if isinstance(self.model, Model):
                self.model.ask([[{"role": "user", "content": "Hello"}]])

    table = costs.table(tried((Learns,), Model("m", endpoint.url, Store(tmp_path / "s")), (0, 2)))
    assert table["fit_calls"].tolist() == [1, 1] and (table["calls"] == 0).all()
    assert np.isnan(costs.table(tried((Learns,), object(), (0,)))["calls"]).all()


class OneFails(prompted.Written):
    """Asks for a note and then fails for the second person, at k = 2 in the first draw."""

    name = "one fails"

    def fit(self, pairs, people):
        self.turns = itertools.count()

    def prefer(self, prompt, first, second):
        if self.told["written"] and next(self.turns) == 2:
            raise ValueError("no luck")
        return super().prefer(prompt, first, second)


class Slow(prompted.Prompted):
    """Takes a second before it asks for a person."""

    name = "slow"

    def prefer(self, prompt, first, second):
        time.sleep(1)
        return super().prefer(prompt, first, second)


def test_a_slow_method_that_asks_a_model_is_done_with_after_three_people(endpoint, tmp_path):
    world = simulated.world(replace(DESIGN, unseen=6), seed=3)
    model = Model("m", endpoint.url, Store(tmp_path / "s"))
    table = methods.trial(world, [Slow(methods.embedder(world), model)], Setting((0,), limit_s=0.9))
    people = table.groupby("failure", observed=True)["persona_id"].nunique()
    assert people.to_dict() == {
        "it took 1 s for this person; the limit is 0.9 s": 3,
        "not asked: it took over 0.9 s for each of 3 people": 3,
    }
    assert model.workload == (0, 0), "nobody waits for what the first two would ask"


def test_people_side_by_side_give_the_table_of_one_after_the_other(endpoint, tmp_path, monkeypatch):
    kinds = (linear.Pooled, interview.Interview, OneFails)
    tables = []
    for wave in (256, 3, 1):
        monkeypatch.setattr(together, "WAVE", wave)
        model = Model("m", endpoint.url, Store(tmp_path / f"{wave}"))
        tables.append((tried(kinds, model, (0, 2), draws=2), model.workload))
    assert tables[1][1] == tables[2][1] == tables[0][1]
    for table, _ in tables[1:]:
        pd.testing.assert_frame_equal(table, tables[0][0])
    failed = tables[0][0].dropna(subset="failure")
    assert failed["failure"].tolist() == ["failed: ValueError: no luck"] * DESIGN.tests and set(failed["k"]) == {2}
    assert (failed["calls"] == 1).all(), "what was asked before it failed"
