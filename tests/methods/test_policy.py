"""The offline policy: what methods pick, how often people prefer it, and how two orders of methods relate."""

from dataclasses import replace
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest

from persona_lib import methods
from persona_lib.methods import Method, Setting, active, policy, simulated
from persona_lib.methods.cases import ready
from persona_lib.methods.scoring import answers
from persona_lib.methods.worlds import world as worlds
from persona_lib.methods.worlds.world import World, checked

DESIGN = simulated.Design(seen=20, unseen=16, prompts=40, heldout=20, history=16, tests=10, dimensions=6, rank=2)


class Liking(Method):
    """A stand-in with a utility of its own: the number in the text, by `sign`."""

    sees: ClassVar[tuple[str, ...]] = ()
    sign = 1.0

    def prefer(self, prompt, first, second):
        numbers = [np.array([float(text.split()[-1]) for text in side]) for side in (first, second)]
        return 0.5 + 0.1 * self.sign * np.sign(numbers[0] - numbers[1])


def test_an_answer_is_the_best_of_the_candidates():
    own = Liking(lambda *_: np.empty(0))
    candidates = [np.array(["a 1", "a 3", "a 2"]), np.array(["b 5"]), np.array([]), np.array(["c 2", "d 2"])]
    found = own.answer(np.array(["p", "q", "r", "s"]), candidates)
    assert [str(one) for one in found] == ["a 3", "b 5", "the prompt has no candidates to pick from", "c 2"]

    class Silent(Liking):
        def prefer(self, prompt, first, second):
            return np.where(first == "a 1", np.nan, super().prefer(prompt, first, second))

    silent = Silent(own.embed).answer(np.array(["p", "s"]), [candidates[0], candidates[3]])
    assert [str(one) for one in silent] == ["a comparison of candidates is missing", "c 2"]


def small() -> World:
    """Two people to test and three answers to a prompt: u likes answer 3, v likes answer 1, and never saw answer 3."""
    people = pd.DataFrame({"persona_split": ["train", "test", "test"]}, index=["t", "u", "v"])
    prompts = pd.DataFrame({"prompt_id": ["p", "q"], "prompt": ["P", "Q"], "prompt_split": ["train", "heldout"]})
    ids = [(f"{q}{i}", q, f"answer {i}") for q in "pq" for i in (1, 2, 3)]
    rows = [(person, "p", "p1", "p2", 1.0) for person in "tuv"]
    rows += [("u", "q", "q1", "q3", 0.0), ("u", "q", "q3", "q2", 1.0)]
    rows += [("v", "q", "q1", "q2", 0.9), ("u", "q", "q2", "q1", 0.5)]
    choices = pd.DataFrame(rows, columns=["persona_id", "prompt_id", "first", "second", "p_first"])
    choices.insert(0, "choice_id", [f"c{i}" for i in range(len(rows))])
    table = pd.DataFrame(ids, columns=["candidate_id", "prompt_id", "text"])
    return checked(World("small", "", people, prompts, table, choices))


def picked(world, kinds, setting):
    made = [kind(methods.embedder(world)) for kind in kinds]
    predictions = methods.trial(world, made, setting)
    return policy.picks(world, made, predictions, setting), predictions


def test_a_pick_is_preferred_as_the_persons_choices_say_and_what_they_never_compared_counts():
    class Low(Liking):
        sign = -1.0

    class Broken(Liking):
        def prefer(self, prompt, first, second):
            raise RuntimeError("no")

    rows, predictions = picked(small(), [Liking, Low, Broken], Setting(ks=(0,)))
    by = rows.set_index(["method", "persona_id"])
    assert by.loc[("Liking", "u"), ["answer", "preferred", "compared"]].tolist() == ["answer 3", 1.0, 2]
    assert by.loc[("Liking", "v"), ["answer", "compared", "failure"]].tolist() == ["answer 3", 0, policy.NEVER]
    assert by.loc[("Low", "u"), "preferred"] == 0.25, "lost once, tied once"
    assert by.loc[("Low", "v"), "preferred"] == 1.0
    assert by.loc["Broken", "failure"].eq("not asked: it predicts nothing here").all()
    table = policy.table(rows, predictions, small()).set_index("method")
    assert table.loc["Liking", ["policy", "judged", "uncompared", "failed"]].tolist() == [1.0, 1, 1, 0]
    assert table.loc["Broken", ["judged", "uncompared", "failed"]].tolist() == [0, 0, 2]
    assert table.loc["Liking", "reward"] == pytest.approx(0.5), "right of u's choices with an answer, wrong of v's"


@pytest.fixture(scope="module")
def known():
    """Methods on a world with a known truth: pooled, its opposite, and the longer answer, which abstains."""

    class Opposite(methods.linear.Pooled):
        name = "opposite"

        def prefer(self, prompt, first, second):
            return 1 - super().prefer(prompt, first, second)

    kinds = [methods.linear.Pooled, Opposite, methods.controls.Longer]
    world = simulated.world(DESIGN, seed=4)
    return world, *picked(world, kinds, Setting(ks=(0, 8)))


def test_on_a_known_truth_a_pick_counts_by_its_true_probability_below_the_ceiling(known):
    world, rows, predictions = known
    shown = world.choices.assign(truth=world.choices["choice_id"].map(world.truth))
    text = world.candidates.set_index("candidate_id")["text"]
    one = rows.dropna(subset="preferred").iloc[0]
    own = shown[(shown["persona_id"] == one["persona_id"]) & (shown["prompt_id"] == one["prompt_id"])].iloc[0]
    first = text[own["first"]] == one["answer"]
    assert one["preferred"] == pytest.approx(own["truth"] if first else 1 - own["truth"])
    assert one["ceiling"] == pytest.approx(max(own["truth"], 1 - own["truth"])) and rows["k"].eq(8).all()
    table = policy.table(rows, predictions, world).set_index("method")
    assert (table["policy"] <= table["policy_ceiling"]).all()
    assert (table["judged"] + table["uncompared"] + table["failed"] == 16 * 10).all()
    assert table.loc["pooled", "policy"] > table.loc["opposite", "policy"] + 0.1


def test_a_difference_is_that_of_both_policy_accuracies(known):
    world, rows, predictions = known
    table = policy.table(rows, predictions, world).set_index("method")
    gaps = policy.differences(rows, "pooled").set_index("minuend")
    for method in ("opposite", "the longer answer"):
        row = gaps.loc[method]
        assert row["difference"] == pytest.approx(table.loc[method, "policy"] - table.loc["pooled", "policy"])
        assert row["low"] < row["difference"] < row["high"] and row["n"] + row["failed"] == 160


def test_a_method_that_asks_is_given_the_person_when_it_picks_and_when_it_answers():
    world = simulated.world(replace(DESIGN, within=3.0), seed=4)
    asks, setting = active.Active(methods.embedder(world)), Setting(ks=(0, 8))
    predictions = methods.trial(world, [asks], setting)
    at = {k: policy.picks(world, [asks], predictions[predictions["k"] == k], setting) for k in (0, 8)}
    assert at[8]["failure"].isin([None, policy.NEVER]).all() and len(at[0]) == len(at[8])
    assert (at[0]["answer"].to_numpy() != at[8]["answer"].to_numpy()).mean() > 0.05, "told nothing, it picks for all"

    people, prompts = at[0]["persona_id"].unique(), world.prompts[world.prompts["prompt_split"] == "heldout"]
    candidates = worlds.answers(world)
    written = {
        k: answers.answers(ready(world, Setting(ks=(k,))), [asks], people, prompts, candidates)[0] for k in (0, 8)
    }
    assert written[0].groupby("prompt_id")["answer"].nunique().eq(1).all()
    assert written[8].groupby("prompt_id")["answer"].nunique().max() > 1
    both = at[8].merge(written[8], on=["persona_id", "prompt_id"], suffixes=("", "_written"))
    assert len(both) == len(at[8]) and both["answer"].tolist() == both["answer_written"].tolist(), "by the same place"


def test_picks_and_answers_hand_over_copies_and_no_id():
    class Nosy(Liking):
        sees: ClassVar[tuple[str, ...]] = ("history", "groups")

        def adapt(self, context, person):
            assert person.name is None and not len(set(context.index) - set(range(len(context)))), "an id"
            assert "mine" not in context and person["group"] != "mine"
            context["mine"], person["group"] = 1, "mine"

        def prefer(self, prompt, first, second):
            return np.full(len(prompt), 0.6)

    again = type("Again", (Nosy,), {})
    world, setting = simulated.world(DESIGN, seed=4), Setting(ks=(2,))
    rows, predictions = picked(world, [Nosy, again], setting)
    assert predictions["failure"].isna().all() and rows["answer"].notna().all()
    made = [kind(methods.embedder(world)) for kind in (Nosy, again)]
    people = rows["persona_id"].unique()[:3]
    written, _ = answers.answers(ready(world, setting), made, people, world.prompts.tail(2), worlds.answers(world))
    assert written["failure"].isna().all() and len(written) == 12


def random_picks(rng: np.random.Generator, gain: float) -> pd.DataFrame:
    """Picks of two methods among four answers, of which a person compared two; `gain`: how much better the second's."""
    people, prompts = (a.ravel() for a in np.meshgrid(np.arange(30), np.arange(12)))
    shown = rng.permuted(np.tile(np.arange(4), (len(people), 1)), axis=1)[:, :2]
    likes = np.clip(0.5 + 0.2 * rng.normal(size=30)[people] * (2 * rng.random(len(people)) - 1), 0, 1)
    frames = []
    for method, more in (("one", 0.0), ("other", gain)):
        pick = rng.integers(4, size=len(people))
        p = np.where(pick == shown[:, 0], likes, 1 - likes) + more
        judged = (pick[:, None] == shown).any(axis=1)
        frame = pd.DataFrame({"method": method, "k": 0, "persona_id": people, "prompt_id": prompts})
        frames.append(frame.assign(preferred=np.where(judged, rng.random(len(p)) < p, np.nan)))
    return pd.concat(frames).astype({"persona_id": "str", "prompt_id": "str"})


@pytest.mark.parametrize("gain", [0.0, 0.15])
def test_intervals_of_differences_hold_the_truth_where_half_of_the_picks_are_judged(gain):
    rng = np.random.default_rng(5)
    gaps = [policy.differences(random_picks(rng, gain), "one").iloc[0] for _ in range(24)]
    held = sum(gap["low"] <= gain <= gap["high"] for gap in gaps)
    assert held >= 20 and np.mean([gap["difference"] for gap in gaps]) == pytest.approx(gain, abs=0.04)
    assert np.mean([gap["high"] - gap["low"] for gap in gaps]) < 0.3


def uneven_picks(rng: np.random.Generator) -> pd.DataFrame:
    """Picks of two methods that are equally good, of 150 people of whom some have many prompts, and most have few."""
    sizes = np.minimum(rng.geometric(0.1, 150), 60)
    person = np.repeat(np.arange(150), sizes)
    prompt = np.concatenate([rng.permutation(60)[:size] for size in sizes])
    ids = pd.DataFrame({"k": 8, "persona_id": person.astype(str), "prompt_id": prompt.astype(str)})
    taste = rng.normal(0, 0.1, 150)[person]
    return pd.concat(
        [ids.assign(method=name, preferred=(rng.random(len(ids)) < 0.6 + taste).astype(float)) for name in "ab"]
    )


def test_intervals_of_differences_are_as_wide_as_the_truth_spreads_where_people_have_uneven_numbers_of_prompts():
    rng = np.random.default_rng(2)
    gaps = pd.DataFrame([policy.differences(uneven_picks(rng), "a").iloc[0] for _ in range(60)])
    stated = ((gaps["high"] - gaps["low"]).mean() / 2) / 2.0  # t of 59 degrees of freedom
    assert 0.8 < stated / gaps["difference"].astype(float).std() < 1.3
    assert ((gaps["low"] <= 0) & (gaps["high"] >= 0)).sum() >= 52


def test_a_method_without_a_judged_pick_and_equal_picks_have_no_false_precision():
    rows = uneven_picks(np.random.default_rng(0))
    silent = rows[rows["method"] == "b"].assign(method="silent", preferred=np.nan)
    twin = rows[rows["method"] == "a"].assign(method="twin")
    gaps = policy.differences(pd.concat([rows, silent, twin]), "a").set_index("minuend")
    assert gaps.loc["silent", "note"] == "nothing scored" and np.isnan(gaps.loc["silent", "p"])
    assert gaps.loc["twin", "difference"] == 0 and gaps.loc["twin", "low"] < 0 < gaps.loc["twin", "high"]


def orders(values: dict, noise: float, people: int = 30, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    rows = [(m, f"p{i}", "q", v + noise * rng.normal()) for m, v in values.items() for i in range(people)]
    return pd.DataFrame(rows, columns=["method", "persona_id", "prompt_id", "score"])


def test_tau_is_that_of_two_orders_of_methods():
    values = {"a": 0.5, "b": 0.6, "c": 0.7, "d": 0.8}
    same = policy.tau(orders(values, 0.05), orders(values, 0.05, seed=1))
    assert same["tau"] == same["spread_high"] == 1 and same["spread_low"] > 0.6
    assert (same["methods"], same["people"]) == (4, 30)
    back = policy.tau(orders(values, 0.01), orders({m: -v for m, v in values.items()}, 0.01))
    assert back["tau"] == back["spread_low"] == -1
    wide = policy.tau(orders(values, 2.0), orders(values, 2.0, seed=1))
    assert wide["spread_high"] - wide["spread_low"] > 0.5
    assert wide == policy.tau(orders(values, 2.0), orders(values, 2.0, seed=1)), "same seed, same result"
    said = policy.related(same, "prediction", "policy")
    assert "orders of 4 methods by prediction and by policy: 1.00 (95% of resamples" in said
    assert said.endswith("1.00, no confidence interval, n = 30).")


def test_tau_compares_the_people_of_both_orders_and_resamples_prompts_too():
    values = {"a": 0.5, "b": 0.55, "c": 0.6, "d": 0.65}
    many, few = orders(values, 0.02, 300), orders(values, 0.02, 20)
    others = many["persona_id"].isin([f"p{i}" for i in range(20, 300)])
    many.loc[others, "score"] *= -1
    found = policy.tau(many, few)
    assert found["people"] == 20 and found["tau"] == 1, "of those whom one order lacks, the other says nothing"
    assert policy.tau(many[others], few)["people"] == 0

    rng = np.random.default_rng(3)
    prompts = pd.DataFrame([(m, f"q{i}", rng.normal(0, 0.2)) for m in values for i in range(4)])
    prompts.columns = ["method", "prompt_id", "shift"]
    same = few.drop(columns="prompt_id").merge(prompts[["method", "prompt_id", "shift"]], on="method")
    shifted = same.assign(score=same["score"] + same["shift"])
    spread = [found["spread_high"] - found["spread_low"] for found in (policy.tau(few, shifted), policy.tau(few, few))]
    assert spread[0] > spread[1] + 0.3, "all people agree; the four prompts do not"


@pytest.mark.parametrize(
    ("values", "people", "note"),
    [
        ({"a": 0.5, "b": 0.6}, 30, "fewer than 3 methods"),
        ({"a": 0.5, "b": 0.6, "c": 0.7}, 5, "too few people"),
        ({"a": 0.5, "b": 0.5, "c": 0.5}, 30, "all methods are equal"),
    ],
)
def test_an_order_that_cannot_be_compared_is_missing_with_its_reason(values, people, note):
    found = policy.tau(orders(values, 0.0, people), orders({"a": 1, "b": 2, "c": 3}, 0.0, people))
    assert note in found["note"] and np.isnan(found["spread_low"])


def test_both_tracks_of_a_world_are_found_together_and_without_a_world_it_says_so(known):
    world, rows, predictions = known
    found = methods.tracks(world, [methods.linear.Pooled, methods.latent.IdealPoints], Setting(ks=(0, 8)))
    assert {"accuracy", "differences", "policy", "policy_differences", "predictions"} == set(found.tables())
    by = found.policy.set_index("method")["policy"]
    assert by["pooled"] == policy.table(rows, predictions, world).set_index("method").loc["pooled", "policy"]
    assert "Known truth, k = 8: pooled" in found.says and "Policy, k = 8: people prefer what pooled picks" in found.says
    assert "fewer than 3 methods" in found.says
    none = methods.tracks(None, [methods.linear.Pooled], Setting())
    assert none.says == "No choices are given: nothing is predicted." and not any(map(len, none.tables().values()))
