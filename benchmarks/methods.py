"""Does the testbed say what is true? Simulated worlds, in which the right order of methods and their ceiling are known.

    python benchmarks/methods.py                       # all parts, about half an hour of one core
    python benchmarks/methods.py oracle cost           # some of them
    python benchmarks/methods.py order --worlds 20     # fewer worlds

order: is the order of methods by expected accuracy recovered, and do intervals hold the expected accuracy? null: how
often does a method seem to beat the pooled one where people do not differ? oracle: low rank beside a method that knows
the true directions. cost: CPU time of all methods beside one logistic regression of scikit-learn per person. growth:
CPU time at 1, 4 and 16 times the people. survey: real respondents, each method beside majority and logit. false_alarms:
how often a gate fires in a clean world and for a clean method, and how often it catches a leaked format. pluralism: do
the scores of the three pluralisms recover what is planted, and do their intervals hold it?
"""

import argparse
import time
import warnings
from itertools import combinations

import numpy as np
import pandas as pd

from persona_lib import methods
from persona_lib.methods import (
    OFFLINE,
    Setting,
    World,
    controls,
    gates,
    latent,
    linear,
    mistakes,
    pluralism,
    scores,
    simulated,
    surveyed,
)
from persona_lib.stats import share

SMALL = {"seen": 200, "unseen": 100, "prompts": 120, "heldout": 60, "history": 60, "tests": 20, "dimensions": 32}
BIG = {"seen": 1000, "unseen": 300, "history": 80, "shared": 1.4, "within": 2.2}  # of the issue of cost and oracle
CLOSE = 0.02  # methods whose expected accuracies differ by less have no order
K = 32
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


def order(worlds: int) -> None:
    """Print Kendall's tau of the order found, and how many intervals hold the expected accuracy."""
    agree, apart, held, intervals = 0, 0, 0, 0
    for seed in range(worlds):
        world = simulated.world(shapes(seed), seed)
        predictions = tried(world)
        truth = scores.expected(predictions, world).xs(K, level="k")
        found = scores.accuracy(predictions).set_index("method")
        for one, other in combinations(truth.index, 2):
            if abs(truth[one] - truth[other]) >= CLOSE:
                apart += 1
                agree += int((found.at[one, "accuracy"] > found.at[other, "accuracy"]) == (truth[one] > truth[other]))
        known = found.dropna(subset="low")
        # What the interval is of: the mean over people and prompts like these, of which this world's is a sample.
        held += int(known["low"].le(truth.reindex(known.index)).mul(known["high"].ge(truth.reindex(known.index))).sum())
        intervals += len(known)
    print(
        f"order: Kendall's tau {2 * agree / apart - 1:.3f} over {apart} pairs of methods that differ by {CLOSE} "
        f"in {worlds} worlds"
    )
    print(
        f"intervals: {share(held / intervals, n=intervals)} hold the accuracy that the truth expects of these choices"
    )


def null(worlds: int) -> None:
    """Print how often a method beats the pooled one where everybody is alike."""
    false = 0
    for seed in range(worlds):
        world = simulated.world(simulated.Design(**SMALL | {"within": 0.0, "between": 0.0}), seed)
        table = scores.differences(tried(world), "pooled", K)
        false += int(((table["p_holm"] < 0.05) & (table["difference"] > 0)).any())
    print(f"null: in {false} of {worlds} worlds without structure some method beats the pooled one (Holm)")


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
    """Print the CPU time of all methods beside one logistic regression of scikit-learn per person."""
    from sklearn.linear_model import LogisticRegression

    world = simulated.world(simulated.Design(**BIG), 0)
    began = time.process_time()
    tried(world)
    ours = time.process_time() - began
    embed = methods.embedder(world)
    text = world.candidates.set_index("candidate_id")["text"]
    prompt = world.prompts.set_index("prompt_id")["prompt"]
    choices = world.choices.assign(prompt=world.choices["prompt_id"].map(prompt))
    gaps = embed(choices["prompt"], choices["first"].map(text)) - embed(choices["prompt"], choices["second"].map(text))
    chosen = choices["p_first"].to_numpy() > 0.5
    rows = choices.groupby("persona_id").indices
    began = time.process_time()
    for own in rows.values():
        known = own[: simulated.Design(**BIG).history]
        LogisticRegression(fit_intercept=False).fit(gaps[known], chosen[known]).predict_proba(gaps[own[len(known) :]])
    theirs = time.process_time() - began
    print(
        f"cost: {ours:.1f} s CPU for {len(OFFLINE)} methods, {theirs:.1f} s for scikit-learn per person: "
        f"ratio {ours / theirs:.2f}"
    )


def growth(_worlds: int) -> None:
    """Print the CPU time at 1, 4 and 16 times the people."""
    for times in (1, 4, 16):
        world = simulated.world(simulated.Design(**SMALL | {"seen": 100 * times, "unseen": 30 * times}), 0)
        began = time.process_time()
        tried(world)
        print(f"growth: {times:2} x: {time.process_time() - began:.1f} s CPU")


def survey(_worlds: int) -> None:
    """Print real respondents, each method beside majority and logit."""
    world = surveyed.world("gss", 1000)
    kinds = (*OFFLINE, controls.other_history(latent.LowRank), controls.shuffled(latent.LowRank))
    predictions = tried(world, kinds, Setting(ks=(0, 8, 16), cell="unseen_seen"))
    print(scores.accuracy(predictions).round(3).to_string())
    print(scores.differences(predictions, "logit on attributes", 16).round(3).to_string())


def false_alarms(worlds: int) -> None:
    """Print which gates fire in clean worlds and for a clean method, and how often a leaked format is caught."""
    clean, of_method, caught = [], [], 0
    for seed in range(worlds):
        world = simulated.world(shapes(seed), seed)
        clean.append(gates.of_world(world))
        of_method.append(gates.of_method(world, latent.LowRank, methods.embedder(world), Setting(ks=(0, 8), seed=seed)))
        leak = gates.of_world(mistakes.leaked(world)).set_index("gate")
        caught += int(leak.at["format", "fired"])
    for what, tables in (("clean worlds", clean), ("low rank", of_method)):
        fired = pd.concat(tables).groupby("gate", sort=False)["fired"].sum()
        some = sum(bool(table["fired"].any()) for table in tables)
        print(f"gates, {what}: some gate fires in {some} of {worlds}: {fired[fired > 0].to_dict() or 'none'}")
    print(f"gates: a leaked format is caught in {caught} of {worlds} worlds")


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


PARTS = {part.__name__: part for part in (order, null, oracle, cost, growth, survey, false_alarms)}
PARTS["pluralism"] = three_pluralisms  # the wing has this name

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="some of them; by default all")
    parser.add_argument("--worlds", type=int, default=50)
    given = parser.parse_args()
    warnings.simplefilter("error")
    for name in given.parts or PARTS:
        PARTS[name](given.worlds)
