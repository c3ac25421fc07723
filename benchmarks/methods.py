"""Does the testbed say what is true? Simulated worlds, in which the right order of methods and their ceiling are known.

    python benchmarks/methods.py                       # all parts, about half an hour of two cores
    python benchmarks/methods.py oracle cost           # some of them
    python benchmarks/methods.py order --worlds 20     # fewer worlds

order: is the order of methods by expected accuracy recovered? intervals: do they hold the accuracy over all people and
prompts, of which the tested ones are a sample? null: how often does a method seem to beat the pooled one where people
do not differ (4 times as many worlds)? oracle: low rank beside a method that knows the true directions. cost: CPU time
and memory of all methods beside one logistic regression of scikit-learn per person, where people share pairs of answers
and where they don't. growth: CPU time at 1, 4 and 16 times the people, and the choices of each. survey: real
respondents, each method beside majority and logit. false_alarms: how often a gate fires in a clean world (20 times as
many worlds) and for a clean method, and how often a leaked format is caught. pluralism: do the scores of the three
pluralisms recover what is planted, and do their intervals hold it?
"""

import argparse
import multiprocessing
import resource
import time
import warnings
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from itertools import combinations
from typing import Any

import clean_worlds
import numpy as np
import pandas as pd
from statsmodels.stats.proportion import proportion_confint

from persona_lib import methods
from persona_lib.methods import (
    OFFLINE,
    Setting,
    World,
    controls,
    coverage,
    gates,
    latent,
    linear,
    mistakes,
    pluralism,
    scores,
    simulated,
    surveyed,
)
from persona_lib.stats import share as percent

SMALL = {"seen": 200, "unseen": 100, "prompts": 120, "heldout": 60, "history": 60, "tests": 20, "dimensions": 32}
TINY = SMALL | {"seen": 100, "unseen": 50, "dimensions": 16}  # people and prompts enough for a false alarm
BIG = {"seen": 1000, "unseen": 300, "history": 80, "shared": 1.4, "within": 2.2}  # for cost and oracle
CLOSE = 0.02  # methods whose expected accuracies differ by less have no order
K = 32
CLEAN = "clean worlds"
EACH = 10  # of clean worlds, one in which a clean method and a leak are tried
RANK = simulated.Design().rank


def shapes(seed: int) -> simulated.Design:
    """Return a design that differs from seed to seed."""
    rng = np.random.default_rng(seed)
    more = {"rank": int(rng.integers(1, 7)), "groups": int(rng.integers(2, 6)), "shared": rng.uniform(0.3, 1.8)}
    more |= {"between": rng.uniform(0, 1.5), "within": rng.uniform(0.5, 2.5), "pull": rng.uniform(0, 0.5)}
    return simulated.Design(**SMALL | more)


def tried(world: World, kinds: tuple = OFFLINE, setting: Setting | None = None) -> pd.DataFrame:
    embed = methods.embedder(world)
    return methods.trial(world, [kind(embed) for kind in kinds], setting or Setting(ks=(K,)))


def mapped(of_world: Callable[[int], Any], worlds: int) -> list:
    """Return what a function gives of each world, by two processes."""
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        return list(pool.map(of_world, range(worlds)))


def counted(happened: list[bool]) -> str:
    """Return in how many worlds something happened, with the exact 95% interval."""
    some, n = sum(happened), len(happened)
    return f"{some} of {n} worlds, {percent(some / n, *proportion_confint(some, n, method='beta'))}"


def _ordered(seed: int) -> list[int]:
    """Return how many pairs of methods truly differ, and how many of them are in their order, in one world."""
    world = simulated.world(shapes(seed), seed)
    predictions = tried(world)
    truth = scores.expected(predictions, world).xs(K, level="k")
    found = scores.accuracy(predictions).set_index("method")["accuracy"]
    pairs = [pair for pair in combinations(truth.index, 2) if abs(truth[pair[0]] - truth[pair[1]]) >= CLOSE]
    return [len(pairs), sum(int((found[a] > found[b]) == (truth[a] > truth[b])) for a, b in pairs)]


def order(worlds: int) -> None:
    """Print Kendall's tau of the order found."""
    apart, right = np.array(mapped(_ordered, worlds)).sum(axis=0)
    print(
        f"order: Kendall's tau {2 * right / apart - 1:.3f} over {apart} pairs of methods that differ by {CLOSE} "
        f"in {worlds} worlds"
    )


def _held(seed: int) -> list[int]:
    """Return how many intervals there are, and hold the accuracy over all people and prompts of one world.

    Each interval is that of one method for 60 people and 40 prompts, drawn out of ten times as many.
    """
    world = simulated.world(replace(shapes(seed), unseen=600, heldout=400, tests=120), seed)
    predictions = tried(world)
    truth = scores.expected(predictions, world).xs(K, level="k")
    rng = np.random.default_rng(seed)
    known = []
    for _ in range(20):
        some = [
            rng.choice(predictions[name].unique(), n, replace=False)
            for name, n in (("persona_id", 60), ("prompt_id", 40))
        ]
        here = predictions[predictions["persona_id"].isin(some[0]) & predictions["prompt_id"].isin(some[1])]
        found = scores.accuracy(here).set_index("method")
        known.append(found[found["high"] > found["low"]])  # a control that always abstains has no interval
    table = pd.concat(known)
    of = table.index.map(truth).to_numpy(float)
    return [len(table), int((table["low"].le(of) & table["high"].ge(of)).sum())]


def intervals(worlds: int) -> None:
    """Print how many intervals hold the accuracy over many people and prompts, of which the tested are a sample."""
    n, held = np.array(mapped(_held, max(1, worlds // 5))).sum(axis=0)
    print(f"intervals: {held / n:.1%} of {n:,} hold the accuracy over all people and prompts")


def _false(seed: int) -> bool:
    """Return whether some method beats the pooled one in a world where everybody is alike."""
    world = simulated.world(simulated.Design(**TINY | {"within": 0.0, "between": 0.0}), seed)
    table = scores.differences(tried(world), "pooled", K)
    return bool(((table["p_holm"] < 0.05) & (table["difference"] > 0)).any())


def null(worlds: int) -> None:
    """Print how often a method beats the pooled one where everybody is alike."""
    print(f"null: some method beats the pooled one (Holm) in {counted(mapped(_false, 4 * worlds))} without structure")


class Oracle(latent.LowRank):
    """Low rank whose weights and directions are the true ones; only a person's place is learned."""

    name = "knows the directions"

    def fit(self, pairs: pd.DataFrame, people: pd.DataFrame) -> None:
        """Learn nothing: the directions are given."""


def oracle(worlds: int) -> None:
    """Print low rank beside the ceiling and beside a method that knows the true directions."""
    for seed in range(max(1, worlds // 25)):
        world, vectors = simulated.drawn(simulated.Design(**BIG), seed)
        middle = vectors.mean(axis=0)
        _, sizes, directions = np.linalg.svd(vectors - middle, full_matrices=False)
        known = directions[:RANK].T * sizes[:RANK] / np.sqrt(len(vectors))
        oracle = type("Oracle", (Oracle,), {"weights": middle, "basis": known})
        predictions = tried(world, (latent.LowRank, oracle), Setting(ks=(0, 8, K)))
        truth = scores.expected(predictions, world).unstack("k")
        ceiling = scores.accuracy(predictions, world)["ceiling"].iloc[0]
        print(truth.round(3).to_string())
        at = truth[K]
        print(f"oracle, seed {seed}: low rank reaches {at['low rank'] / ceiling:.3f} of the ceiling {ceiling:.3f}, ")
        print(f"    {at['knows the directions'] - at['low rank']:.3f} below the method that knows the directions")


def cost(_worlds: int) -> None:
    """Print the CPU time of all methods beside one logistic regression of scikit-learn per person, in two worlds."""
    from sklearn.linear_model import LogisticRegression

    for candidates, pairs in ((4, "that people share"), (60, "of which hardly two people share one")):
        design = simulated.Design(**BIG, candidates=candidates)
        world = simulated.world(design, 0)
        began = time.process_time()
        tried(world)
        ours = time.process_time() - began
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # GB, where Linux counts kB
        embed = methods.embedder(world)
        text = world.candidates.set_index("candidate_id")["text"]
        prompt = world.choices["prompt_id"].map(world.prompts.set_index("prompt_id")["prompt"])
        gaps = embed(prompt, world.choices["first"].map(text)) - embed(prompt, world.choices["second"].map(text))
        chosen = world.choices["p_first"].to_numpy() > 0.5
        rows = world.choices.groupby("persona_id").indices
        began = time.process_time()
        for own in rows.values():
            known, asked = own[: design.history], own[design.history :]
            LogisticRegression(fit_intercept=False).fit(gaps[known], chosen[known]).predict_proba(gaps[asked])
        theirs = time.process_time() - began
        print(
            f"cost: pairs {pairs}: {ours:.1f} s CPU for {len(OFFLINE)} methods, {theirs:.1f} s for scikit-learn per "
            f"person: ratio {ours / theirs:.1f}; at most {memory:.1f} GB"
        )


def growth(_worlds: int) -> None:
    """Print the CPU time at 1, 4 and 16 times the people, and the choices of each."""
    least = SMALL | {"seen": 100, "unseen": 30}
    few = least | {"history": 40, "tests": 5}
    for what, sizes, grows in (("people", least, ("seen", "unseen")), ("choices", few, ("history", "tests"))):
        spent = []
        for times in (1, 4, 16):
            more = {name: sizes[name] * times for name in grows}
            more |= {"prompts": max(sizes["prompts"], more.get("history", 0)), "heldout": 80}
            world = simulated.world(simulated.Design(**sizes | more), 0)
            began = time.process_time()
            tried(world)
            spent.append(time.process_time() - began)
        ratios = " and ".join(f"{later / spent[0]:.1f} times" for later in spent[1:])
        print(f"growth: {spent[0]:.1f} s CPU; {ratios} as much for 4 and 16 times the {what}")


def survey(_worlds: int) -> None:
    """Print real respondents, each method beside majority and logit; 1,000 of the GSS, and all of the ANES."""
    for name, n in (("gss", 1000), ("anes", None)):
        world = surveyed.world(name, n)
        kinds = (*OFFLINE, controls.other_history(latent.LowRank), controls.shuffled(latent.LowRank))
        predictions = coverage.alike(tried(world, kinds, Setting(ks=(0, 8, 16), cell="unseen_seen")))
        k = int(predictions["k"].max())
        table = scores.accuracy(predictions).pivot(index="method", columns="k", values=["accuracy", "brier"])
        print(f"survey: {world.name}, {world.about}")
        print(table.round(3).to_string())
        for reference in ("majority", "logit on attributes"):
            print(scores.told_apart(scores.differences(predictions, reference, k)))


def _alarms(seed: int) -> dict[str, list[str]]:
    """Return which gates fire in one clean world, with a leaked format, and (in every tenth) for a clean method."""
    world = clean_worlds.world(seed)
    tables = {CLEAN: gates.of_world(world)}
    if seed % EACH == 0:
        setting = Setting(ks=(0, 8), seed=seed)
        tables["low rank"] = gates.of_method(world, latent.LowRank, methods.embedder(world), setting)
        tables["a leaked format"] = gates.of_world(mistakes.leaked(world))
    return {what: table.loc[table["fired"], "gate"].to_list() for what, table in tables.items()}


def false_alarms(worlds: int) -> None:
    """Print which gates fire in clean worlds and for a clean method, and how often a leaked format is caught."""
    found = mapped(_alarms, 20 * worlds)
    for what in found[0]:
        of_sets = [one[what] for one in found if what in one]
        by_gate = dict(Counter(gate for fired in of_sets for gate in fired)) or "none"
        print(f"gates, {what}: some gate fires in {counted(list(map(bool, of_sets)))}; by gate: {by_gate}")


def rated(rng: np.random.Generator, gain: float, between: float, people: int = 12, prompts: int = 8) -> pd.DataFrame:
    """Return ratings whose own answers gain on others, with lenient raters and good answers."""
    good = rng.normal(scale=0.5, size=(prompts, people, 1))
    noise = rng.normal(scale=0.7, size=(prompts, people, people))
    square = 3 + rng.normal(scale=0.5, size=people) + good + noise
    of_people, of_prompts = rng.normal(scale=between, size=people), rng.normal(scale=between, size=(prompts, 1))
    square[:, range(people), range(people)] += gain + of_people + of_prompts
    q, i, j = np.indices(square.shape).reshape(3, -1).astype("str")
    keys = {"prompt_id": q, "written_for": i, "persona_id": j}
    return pd.DataFrame(keys).assign(method="planted", rating=square.ravel())


def covered(rng: np.random.Generator, people: int = 60, prompts: int = 12) -> tuple[pd.DataFrame, float]:
    """Return items of people whose views answers represent, and the expected coverage."""
    logits = 0.4 + rng.normal(scale=0.7, size=(people, 1)) + rng.normal(scale=0.7, size=prompts)
    i, q = np.indices(logits.shape).reshape(2, -1).astype("str")
    hit = (rng.random(logits.shape) < 1 / (1 + np.exp(-logits))).ravel()
    items = pd.DataFrame({"persona_id": i, "prompt_id": q, "method": "planted", "covered": hit.astype(float)})
    draws = 0.4 + rng.normal(scale=np.sqrt(0.98), size=200_000)
    return items, float((1 / (1 + np.exp(-draws))).mean())


def expected(predictions: pd.DataFrame, world: World) -> pd.Series:
    """Return the steerability that the true probabilities expect of certain predictions, by method."""
    at = predictions.merge(world.choices[["choice_id", "first", "second"]], on="choice_id")
    at["p"] = (at["p_first"] > 0.5).astype(float)
    at["t"] = at["choice_id"].map(world.truth)
    turned = (at["first"] > at["second"]).to_numpy()
    at.loc[turned, ["p", "t"]] = 1 - at.loc[turned, ["p", "t"]]
    by = at.groupby(["method", "prompt_id"], observed=True)
    n, gaps = by["p"].transform("size"), at[["p", "t"]] - by[["p", "t"]].transform("mean")
    return (2 * n / (n - 1) * gaps["p"] * gaps["t"]).groupby(at["method"], observed=True).mean()


class Knows(linear.Pooled):
    """Predicts the true probabilities."""

    name = "knows the truth"
    sees = ("groups",)
    truth: dict[str, np.ndarray]

    def adapt(self, context: pd.DataFrame, person: pd.Series) -> None:
        """Take the person's true weights."""
        self.weights = self.truth[person["number"]]


def three_pluralisms(worlds: int) -> None:
    """Print how often the intervals of the pluralisms hold the planted truth, and false alarms."""
    hold = dict.fromkeys(["Overton coverage", "steerability by ratings", "steerability by predictions"], 0)
    alarms = dict.fromkeys(["permutation", "interval", "other histories"], 0)
    within, recovered = 0, []
    for seed in range(worlds):
        rng = np.random.default_rng(seed)
        items, truth = covered(rng)
        row = pluralism.coverage(items).iloc[0]
        hold["Overton coverage"] += int(row["low"] <= truth <= row["high"])
        row = pluralism.steerability(rated(rng, 0.6, 0.3), seed=seed).iloc[0]
        hold["steerability by ratings"] += int(row["low"] <= 0.15 <= row["high"])
        row = pluralism.steerability(rated(rng, 0.0, 0.0), seed=seed).iloc[0]
        alarms["permutation"] += int(row["p_permuted"] < 0.05)
        alarms["interval"] += int(row["p"] < 0.05)
        design = simulated.Design(**SMALL | {"candidates": 2, "rank": 3, "unseen": 60})
        world, vectors = simulated.drawn(design, seed)
        known = dict(zip(world.people.index, vectors, strict=True))
        world = world._replace(people=world.people.assign(number=world.people.index))
        oracle = type("Oracle", (Knows,), {"truth": known})
        kinds = (oracle, linear.Pooled, controls.other_history(latent.LowRank))
        predictions = tried(world, kinds, Setting(ks=(8,)))
        table = pluralism.table(predictions, world, 8, seed=seed).set_index("method")
        own, truth = table.loc[Knows.name], expected(predictions, world)[Knows.name]
        hold["steerability by predictions"] += int(own["steerability_low"] <= truth <= own["steerability_high"])
        recovered.append(own["steerability"] - truth)
        within += int(own["distance"] <= own["chance_high"])
        alarms["other histories"] += int(table["p"].drop(index=[Knows.name, "pooled"]).item() < 0.05)
        assert abs(table.at["pooled", "steerability"]) < 1e-9
    for what, number in hold.items():
        print(f"pluralism: {number} of {worlds} intervals of {what} hold what is planted")
    print(f"pluralism: steerability by predictions is off by {np.mean(recovered):+.4f} on average")
    print(f"pluralism: p below 0.05 where there is nothing, of {worlds}: {alarms}")
    print(f"pluralism: true predictions lie within 95 in 100 by chance in {within} of {worlds} worlds")


PARTS = {part.__name__: part for part in (order, intervals, null, oracle, cost, growth, survey, false_alarms)}
PARTS["pluralism"] = three_pluralisms  # the wing has this name

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="some of them; by default all")
    parser.add_argument("--worlds", type=int, default=50)
    given = parser.parse_args()
    warnings.simplefilter("error")
    for name in given.parts or PARTS:
        PARTS[name](given.worlds)
