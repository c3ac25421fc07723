"""Trials: what a method is given, and what becomes of methods that go wrong."""

import sys
import time
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from persona_lib import UserError, methods
from persona_lib.methods import Method, Setting, simulated
from persona_lib.methods import method as rooms

DESIGN = simulated.Design(seen=12, unseen=8, prompts=30, heldout=10, history=16, tests=4, dimensions=6, rank=2)
SETTING = Setting(ks=(0, 2, 4, 99), draws=2)


@pytest.fixture(scope="module")
def world():
    return simulated.world(DESIGN, seed=1)


def tried(world, kind, setting=SETTING):
    return methods.trial(world, [kind(methods.embedder(world))], setting)


class Spy(Method):
    """Notes what it is given; class attributes, since each person has a copy."""

    seen: ClassVar[list] = []

    def fit(self, pairs, people):
        type(self).seen = []
        self.pairs, self.people = pairs, people
        type(self).fitted = (pairs, people)

    def adapt(self, context, person):
        type(self).seen.append((context, person))

    def prefer(self, prompt, first, second):
        return np.full(len(prompt), 0.7)


def test_a_method_gets_what_it_declares_and_no_id(world):
    tried(world, Spy)
    pairs, people = Spy.fitted
    assert list(pairs) == ["person", "prompt", "first", "second", "p_first"] and people.shape[1] == 0
    assert sorted(pairs["person"].unique()) == list(range(len(people)))
    sizes = [len(context) for context, _ in Spy.seen]
    assert sorted(set(sizes)) == [0, 2, 4] and all(person.empty for _, person in Spy.seen)
    ids = {*world.people.index, *world.choices["choice_id"]}
    for index in (
        pairs.index,
        people.index,
        *(place for pair in Spy.seen for place in (pair[0].index, [pair[1].name])),
    ):
        assert not ids & set(index)


def test_contexts_are_nested_and_differ_between_draws(world):
    tried(world, Spy)
    of_one = [context for context, _ in Spy.seen[:6]]  # two draws of k = 0, 2, 4
    pd.testing.assert_frame_equal(of_one[1], of_one[2].iloc[:2])
    assert not of_one[2].equals(of_one[5])


class Counts(Spy):
    def prefer(self, prompt, first, second):
        type(self).threads = threads()
        return np.full(len(prompt), 0.5)


def threads():
    """Return how many threads BLAS takes, and OpenMP, which comes with scikit-learn."""
    import sklearn.cluster  # noqa: F401

    return {(pool["user_api"], pool["num_threads"]) for pool in threadpool_info()}


def test_a_trial_takes_one_thread_of_blas_and_of_openmp_and_gives_the_others_back(world):
    threads()
    with threadpool_limits(2):
        assert tried(world, Counts, Setting(ks=(0,)))["failure"].isna().all()
        assert Counts.threads == {("blas", 1), ("openmp", 1)} and threads() == {("blas", 2), ("openmp", 2)}


class Knows(Spy):
    sees = ("groups", "profile")


def test_declared_attributes_and_profiles_are_handed_over_and_no_history(world):
    tried(world, Knows)
    context, person = Knows.seen[0]
    assert list(person.index) == ["group", "profile"] and person["profile"] == f"group: {person['group']}"
    assert context.empty and len(Knows.seen) == 8  # once for each unseen person
    assert {person.name for _, person in Knows.seen} == {None}, "a row is named by the person's id"


def test_every_tested_choice_has_a_row_at_each_k_and_draw(world):
    table = tried(world, Spy)
    assert len(table) == 8 * 4 * 4 * 2 and not table.duplicated(["choice_id", "k", "draw"]).any()
    assert table.loc[table["k"] == 99, "failure"].str.contains("fewer than 99").all()
    assert table.loc[table["k"] < 99, "p_first"].eq(0.7).all()
    same = tried(world, Knows)
    assert (same.groupby("k").size() == 8 * 4 * 2).all() and same["failure"].isna().all()


def broken(prefer):
    return type("Broken", (Method,), {"prefer": prefer})


class Speechless:
    def __str__(self):
        raise RuntimeError


def fails(what):
    raise ValueError(what)


@pytest.mark.parametrize(
    ("prefer", "said"),
    [
        (lambda self, prompt, *_: np.full(len(prompt), np.nan), "returned no number"),
        (lambda self, prompt, *_: np.full(len(prompt), 1.5), "outside 0 to 1: 1.5"),
        (lambda self, prompt, *_: np.full(len(prompt), -0.1), "outside 0 to 1: -0.1"),
        (lambda self, prompt, *_: np.full(len(prompt), np.inf), "outside 0 to 1: inf"),
        (lambda self, prompt, *_: np.zeros(len(prompt) + 1), "returned 5 predictions for 4 choices"),
        (lambda self, prompt, *_: 1 / 0, "failed: ZeroDivisionError"),
        (lambda self, prompt, *_: prompt.fill("mine"), "failed: ValueError: assignment destination is read-only"),
        (lambda self, prompt, *_: ["a"] * len(prompt), "failed: ValueError"),
        (lambda self, prompt, *_: np.zeros((len(prompt), 1)), r"returned an array of shape \(4, 1\) for 4 choices"),
        (lambda self, prompt, *_: sys.exit(0), "failed: SystemExit: 0"),
        (lambda self, prompt, *_: fails("a\nb \ud800" + "c" * 900), "failed: ValueError: a b c+\u2026$"),
        (lambda self, prompt, *_: fails(Speechless()), "failed: ValueError: its text can't be made"),
    ],
    ids=[
        *("nan", "above one", "below zero", "infinite", "too many", "raises", "writes", "texts"),
        *("a column", "exits", "a long text with a half character", "no text"),
    ],
)
def test_what_a_method_does_wrong_is_its_rows_reason(world, prefer, said):
    table = tried(world, broken(prefer))
    asked = table[table["k"] < 99]
    assert asked["p_first"].isna().all() and asked["failure"].str.contains(said).all()
    assert asked["failure"].str.len().max() < 320


def test_a_choice_without_a_number_leaves_the_others(world):
    table = tried(world, broken(lambda self, prompt, *_: [np.nan, *[0.5] * (len(prompt) - 1)]), Setting(ks=(0,)))
    assert table["failure"].notna().sum() == 8 and table["p_first"].notna().sum() == 24
    assert table.loc[table["p_first"].isna(), "failure"].notna().all()


def test_one_persons_failure_leaves_the_others(world):
    class Once(Method):
        def adapt(self, context, person):
            type(self).calls = getattr(type(self), "calls", 0) + 1
            if self.calls == 1:
                raise RuntimeError("of this person")

        def prefer(self, prompt, first, second):
            return np.full(len(prompt), 0.5)

    table = tried(world, Once, Setting(ks=(0,)))
    assert table["failure"].notna().sum() == 4 and len(table) == 32


def test_what_adapt_writes_reaches_nobody_else(world):
    class Writes(Method):
        def adapt(self, context, person):
            assert "mine" not in context
            context["mine"] = 1
            context.loc[:, "p_first"] = 0.0

        def prefer(self, prompt, first, second):
            return np.full(len(prompt), 0.5)

    before = world.choices.copy()
    assert tried(world, Writes, Setting(ks=(2, 4)))["failure"].isna().all()
    pd.testing.assert_frame_equal(world.choices, before)


def test_what_a_method_writes_that_sees_nothing_reaches_nobody_else(world):
    class Scribbles(Method):
        sees = ()

        def adapt(self, context, person):
            assert list(context) == ["prompt", "first", "second", "p_first"] and context.empty and person.empty
            assert context.index.name is None and not context["prompt"].to_numpy().base.size
            context.index.name, context["mine"], person["mine"] = "mine", 1, 1
            context.loc[0] = ["a", "b", "c", 1, 1]

        def prefer(self, prompt, first, second):
            assert "mine" not in {*prompt, *first, *second}
            for texts in (prompt, first, second):
                texts.flags.writeable = True
                texts[:] = "mine"
            return np.full(len(prompt), 0.5)

    kinds = (Scribbles, type("Again", (Scribbles,), {}))
    both = methods.trial(world, [kind(methods.embedder(world)) for kind in kinds], Setting(ks=(0, 2)))
    assert both["failure"].isna().all(), both["failure"].unique()


def test_what_fit_writes_and_what_adapt_writes_to_a_person_reaches_nobody_else(world):
    class Rewrites(Knows):
        name = "rewrites"

        def fit(self, pairs, people):
            pairs["p_first"], people["group"] = 0.5, "one group"

        def adapt(self, context, person):
            assert person["group"].startswith("group ")
            person["group"] = "none"

    people = world.people.copy()
    both = methods.trial(world, [kind(methods.embedder(world)) for kind in (Rewrites, Knows)], Setting(ks=(0, 2)))
    assert both["failure"].isna().all() and Knows.fitted[0]["p_first"].isin([0, 1]).all()
    assert all(person["group"].startswith("group ") for _, person in Knows.seen)
    pd.testing.assert_frame_equal(world.people, people)


def test_a_slow_method_is_asked_for_three_people_and_no_more(world):
    class Slow(Method):
        def prefer(self, prompt, first, second):
            time.sleep(0.02)
            return np.full(len(prompt), 0.5)

    table = tried(world, Slow, Setting(ks=(0,), limit_s=0.01))
    said = table["failure"].astype(str)
    assert said.str.contains("the limit is 0.01 s").sum() == 12 and said.str.startswith("not asked").sum() == 20
    twice = tried(world, Slow, Setting(ks=(0, 2), limit_s=0.01))
    over = twice[twice["failure"].str.contains("the limit is")]
    assert over["persona_id"].nunique() == 3 and len(over) == 20, "two people at both k, and one at k = 0"


def test_a_fit_that_fails_is_the_reason_of_all_rows(world):
    class Unfit(Spy):
        def fit(self, pairs, people):
            raise MemoryError("too large")

    said = tried(world, Unfit, Setting(ks=(0, 2)))["failure"]
    assert (said == "fit failed: MemoryError: too large").all()


@pytest.mark.parametrize(
    ("setting", "said"),
    [(Setting(cell="test"), "no cell 'test'"), (Setting(ks=()), "ks must be"), (Setting(ks=(-1,)), "ks must be")],
)
def test_settings_that_make_no_trial_are_named(world, setting, said):
    with pytest.raises(UserError, match=said):
        tried(world, Spy, setting)


def test_a_world_with_nobody_to_learn_from_is_named(world):
    alone = world._replace(people=world.people.assign(persona_split="test"))
    with pytest.raises(UserError, match="no choice of cell 'train' to learn from"):
        tried(alone, Spy)


def test_a_method_that_cannot_be_copied_is_the_reason_of_its_rows(world):
    kind = broken(lambda self, prompt, *_: np.zeros(len(prompt)))
    kind.copy = lambda self: fails("no copy")
    assert tried(world, kind, Setting(ks=(0,)))["failure"].eq("failed: ValueError: no copy").all()


@pytest.mark.parametrize(
    ("init", "said"),
    [
        (lambda self: None, r"'Broken' can't be made with \(embed, model, seed\): TypeError: "),
        (lambda self, *_: sys.exit(0), "can't be made with .*: SystemExit: 0$"),
        (lambda self, *_: None, "'Broken' is half made: call super"),
    ],
)
def test_a_method_that_cannot_be_made_is_one_line(world, init, said):
    kind = broken(lambda self, prompt, *_: np.zeros(len(prompt)))
    kind.__name__, kind.__init__ = "Broken", init
    with pytest.raises(UserError, match=said):
        methods.tracks(world, [kind], Setting(ks=(0,)))


OWN = """
from persona_lib.methods import Method
class Mine(Method):
    name = "mine"
    def prefer(self, prompt, first, second):
        return [0.5] * len(prompt)
class Comma(Method):
    sees = ("history")
class Blind(Method):
    sees = ("everything",)
    def prefer(self, prompt, first, second):
        return [0.5] * len(prompt)
class Empty(Method):
    pass
class Any(Method):
    def prefer(self, prompt, first, second):
        return [0.5] * len(prompt)
class Number(Any):
    name = 5
class Lines(Any):
    name = "a\\nno problem found"
class Long(Any):
    name = "a" * 81
class Less(Any):
    parameters = -1
class Counts(Any):
    def parameters(self):
        return 5
class Nothing(Any):
    sees = None
"""


def test_a_method_of_ones_own_comes_from_a_file(world, tmp_path):
    path = tmp_path / "own.py"
    path.write_text(OWN)
    kind = methods.load_method(f"{path}:Mine")
    assert rooms.title(kind) == "mine" and tried(world, kind, Setting(ks=(0,)))["failure"].isna().all()


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("own.py", "write FILE.py:CLASS"),
        ("none.py:Mine", "no file none.py"),
        ("own.py:None_", "has no class 'None_': it has Mine, Comma, Blind, Empty, Any"),
        ("own.py:Blind", "declares to see 'everything': declare any of history, groups, profile, questions$"),
        ("own.py:Comma", "write a tuple, such as sees = .'history',."),
        ("own.py:Empty", "has no `prefer`"),
        ("wrong.py:Mine", "can't be imported: SyntaxError"),
        ("leaves.py:Mine", "can't be imported: SystemExit: 0"),
        ("own.py:Number", "5 is no name: write one line of 1 to 80 letters"),
        ("own.py:Lines", "is no name"),
        ("own.py:Long", "is no name"),
        ("own.py:Less", "has `parameters` -1: write a whole number, 0 or more"),
        ("own.py:Counts", "has `parameters` <function"),
        ("own.py:Nothing", r"declares to see None: write a tuple, \(\) for nothing"),
    ],
)
def test_what_is_no_method_is_one_line(place, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.py").write_text(OWN)
    (tmp_path / "wrong.py").write_text("class Mine(")
    (tmp_path / "leaves.py").write_text("raise SystemExit(0)")
    with pytest.raises(UserError, match=said):
        methods.load_method(place)
