"""Score the predictions of a trial: accuracy macro over people, its curve over k, the worst people and groups, Brier.

Every estimate is clustered by person and prompt. A person counts once, however many choices are tested. Choices that
are ties have no right answer: they are left out of accuracy and stay in the Brier score. A prediction of 0.5 abstains
and is half right.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ... import seeds, stats
from ...stats.clustering import FEW
from ...stats.intervals import ITEM, difference
from ...stats.wording import ALPHA
from ..method import Method, title
from ..worlds.world import World
from .coverage import COVERED

HALF = 1e-9  # probabilities that differ by no more from one half abstain
DRAWS = 200  # permutations for what the worst people would have by chance
BINS = 10


def graded(predictions: pd.DataFrame) -> pd.DataFrame:
    """Return the predictions with `score`: 1 right, 0 wrong, 0.5 abstained, missing with a failure or a tie."""
    p, chosen = predictions["p_first"], predictions["chosen"]
    right = ((p > 0.5) == (chosen > 0.5)).astype(float).mask((p - 0.5).abs() <= HALF, 0.5)
    known = p.notna() & ((chosen - 0.5).abs() > HALF)
    return predictions.assign(score=right.where(known))


def by_item(rows: pd.DataFrame, value: str = "score") -> pd.DataFrame:
    """Return one value for each person and prompt, and a weight, with which the mean is the mean over people.

    Args:
        rows: of one method at one k; several draws and several choices about a prompt are averaged.
        value: the column averaged; rows where it is missing are left out.

    Returns:
        Index `persona_id`, `prompt_id`; `value`, and `weight`: one over the person's number of prompts.
    """
    items = rows.dropna(subset=value).groupby(ITEM, observed=True)[value].mean().to_frame("value")
    return items.assign(weight=1 / items.groupby("persona_id")["value"].transform("size"))


def macro(items: pd.DataFrame) -> float:
    """Return the mean over people of `by_item`; missing without any."""
    return float(np.average(items["value"], weights=items["weight"])) if len(items) else np.nan


def moves(items: pd.DataFrame) -> pd.Series:
    """Return how far each row of `by_item` moves `macro`, as `stats.clustering.linearized` takes it."""
    return items["weight"] / items["weight"].sum() * (items["value"] - macro(items))


def accuracy(predictions: pd.DataFrame, world: World | None = None) -> pd.DataFrame:
    """Return how often each method is right at each k, macro over people.

    Args:
        predictions: of `trial.run`.
        world: whose `truth`, if it has one, gives the ceiling.

    Returns:
        One row per `method` and `k`: `accuracy`, `low`, `high`, `people`, `n` (choices with a right answer, all draws),
        `failed` (choices without a prediction), `abstained` (share of 0.5), `brier` (mean squared error of the
        probability), `ceiling` (what the true probabilities reach on the same choices, missing without them), `share`
        (how much of the way from one half to the ceiling), `note`.
    """
    rows = []
    for (method, k), own in graded(predictions).groupby(["method", "k"], sort=True, observed=True):
        rows.append({"method": method, "k": k} | mean(own, "score", "accuracy") | _rest(own, world))
    table = pd.DataFrame(rows)
    table["share"] = (table["accuracy"] - 0.5) / (table["ceiling"] - 0.5)
    return table[[*[name for name in table if name != "note"], "note"]]


def mean(rows: pd.DataFrame, value: str, name: str, most: float = 1.0) -> dict:
    """Return the macro mean of a column of values from 0 to `most`, its interval, and how many people it rests on."""
    items = by_item(rows, value)
    middle, weight = macro(items), items["weight"].to_numpy()
    found = {name: middle, "low": np.nan, "high": np.nan, "people": items.index.get_level_values(0).nunique()}
    spread = np.average((items["value"] - middle) ** 2, weights=weight) if len(items) else 0.0
    clusters = items.index.to_frame(index=False)
    worth = stats.effective(items["value"].to_numpy(), clusters, spread, weights=weight)
    if worth.n:
        error = worth.t * np.sqrt(spread / worth.n)
        found |= {"low": max(middle - error, 0.0), "high": min(middle + error, most)}
    return found | {"note": worth.note}


def _rest(own: pd.DataFrame, world: World | None) -> dict:
    p, known = own["p_first"], own["score"].notna()
    ceiling = np.nan
    if world is not None and world.truth is not None and known.any():
        truth = own.loc[known, "choice_id"].map(world.truth)
        right = np.maximum(truth, 1 - truth)
        ceiling = macro(by_item(own.loc[known].assign(right=right), "right"))
    return {
        "n": int(known.sum()),
        "failed": int(p.isna().sum()),
        "abstained": float(((p - 0.5).abs() <= HALF).sum() / max(p.notna().sum(), 1)),
        "brier": macro(by_item(own.assign(square=(p - own["chosen"]) ** 2), "square")),
        "ceiling": ceiling,
    }


def expected(predictions: pd.DataFrame, world: World) -> pd.Series:
    """Return each method's accuracy that the true probabilities expect, by `method` and `k`; known truth only."""
    truth = predictions["choice_id"].map(world.truth)
    right = (predictions["p_first"] > 0.5) * truth + (predictions["p_first"] < 0.5) * (1 - truth)
    abstained = (predictions["p_first"] - 0.5).abs() <= HALF
    return (
        predictions.assign(right=right.mask(abstained, 0.5).where(predictions["p_first"].notna()))
        .groupby(["method", "k"], observed=True)["right"]
        .mean()
    )


def differences(predictions: pd.DataFrame, reference: str, k: int) -> pd.DataFrame:
    """Compare every method with a reference at one k, on the choices that both predict.

    Returns:
        One row per other method: `minuend` (the method), `subtrahend` (the reference), `k`, `n` (persons x prompts),
        `failed` (those that only one of both predicts), `difference` in accuracy, `low`, `high`, `p`, `p_holm` (over
        all methods), `note`.
    """
    at = graded(predictions[predictions["k"] == k]).set_index(["choice_id", "draw"])
    base = at.loc[at["method"] == reference, "score"]
    rows = []
    for method in at["method"].cat.categories.drop(reference):
        own = at[at["method"] == method].assign(gap=lambda t: t["score"] - base.reindex(t.index))
        items = by_item(own, "gap")
        found = difference(items["value"], items["weight"])
        found["failed"] = int((own["gap"].isna() & (own["score"].notna() | base.reindex(own.index).notna())).sum())
        rows.append({"minuend": method, "subtrahend": reference, "k": k} | found)
    columns = ["minuend", "subtrahend", "k", "n", "failed", "difference", "low", "high", "p", "note"]
    table = pd.DataFrame(rows, columns=columns)
    table.insert(9, "p_holm", stats.corrected(table["p"]))
    return table


def areas(scores: pd.DataFrame) -> pd.DataFrame:
    """Return the mean accuracy along each method's curve over log2(1 + k), from the rows of `accuracy`.

    Columns `method`, `area`, `from` and `to` (the smallest and largest k that are known).
    """
    rows = []
    for method, own in scores.dropna(subset="accuracy").groupby("method", sort=False, observed=True):
        place = np.log2(1 + own["k"].to_numpy(float))
        values = own["accuracy"].to_numpy(float)
        width = place[-1] - place[0]
        area = np.trapezoid(values, place) / width if width else values.mean()
        rows.append({"method": method, "area": area, "from": own["k"].min(), "to": own["k"].max()})
    return pd.DataFrame(rows, columns=["method", "area", "from", "to"])


def best(kinds: Sequence[type[Method]], table: pd.DataFrame, k: int) -> type[Method]:
    """Return the method that sees the history and is right most often at k; the first of them if none is known.

    Args:
        kinds: the methods.
        table: of `accuracy`.
        k: of the context.
    """
    at = table[table["k"] == k].set_index("method")["accuracy"].astype(float)
    seeing = [kind for kind in kinds if "history" in kind.sees]
    return max(seeing, key=lambda kind: np.nan_to_num(at.get(title(kind), 0.0)))


def worst(predictions: pd.DataFrame, k: int, seed: int = 0, share: float = 0.1) -> pd.DataFrame:
    """Return the accuracy of the tenth of people whom each method serves worst, beside chance.

    Each person has few choices: even if all were served alike, somebody would come last. `by_chance` is what the
    worst tenth would have if the method's right, wrong and abstained predictions fell on people at random. Several
    draws about one choice are averaged and count as one choice.

    Returns:
        One row per method: `method`, `k`, `people` (in that tenth), `accuracy`, `by_chance`, `low_chance`,
        `high_chance` (95% of DRAWS permutations).
    """
    rng = seeds.rng("worst people by chance", seed)
    rows = []
    for method, own in graded(predictions[predictions["k"] == k]).groupby("method", sort=False, observed=True):
        of_choice = own.dropna(subset="score").groupby(["persona_id", "choice_id"], observed=True)["score"].mean()
        if of_choice.empty:
            continue
        score, person = of_choice.to_numpy(), pd.factorize(of_choice.index.get_level_values("persona_id"))[0]
        n = max(1, round(share * (person.max() + 1)))
        chance = np.array([_lowest(rng.permutation(score), person, n) for _ in range(DRAWS)])
        low, high = np.quantile(chance, [0.025, 0.975])
        found = {"method": method, "k": k, "people": n, "accuracy": _lowest(score, person, n)}
        rows.append(found | {"by_chance": chance.mean(), "low_chance": low, "high_chance": high})
    return pd.DataFrame(rows, columns=["method", "k", "people", "accuracy", "by_chance", "low_chance", "high_chance"])


def _lowest(score: np.ndarray, person: np.ndarray, n: int) -> float:
    """Return the mean over the n people with the lowest mean scores; arrays (choices,)."""
    means = np.bincount(person, score) / np.bincount(person)
    return float(np.sort(means)[:n].mean())


def groups(predictions: pd.DataFrame, world: World, k: int, attributes: list[str], least: int = 10) -> pd.DataFrame:
    """Return each method's accuracy in each group and each intersection of two attributes, worst first.

    Args:
        predictions: of `trial.run`.
        world: whose people have the attributes.
        k: of the context.
        attributes: whose labels are groups.
        least: people below which a group is left out.

    Returns:
        `method`, `attribute` (or two, with x between), `group`, `people`, `accuracy`, `low`, `high`, `note`.
    """
    at = graded(predictions[predictions["k"] == k])
    people = world.people[attributes].astype("str")
    crossed = {
        f"{a} x {b}": people[a] + ", " + people[b] for i, a in enumerate(attributes) for b in attributes[i + 1 :]
    }
    rows = []
    for name, labels in ({a: people[a] for a in attributes} | crossed).items():
        own = at.assign(group=at["persona_id"].map(labels))
        for (method, group), members in own.groupby(["method", "group"], observed=True):
            if members.dropna(subset="score")["persona_id"].nunique() >= least:
                rows.append({"method": method, "attribute": name, "group": group} | mean(members, "score", "accuracy"))
    columns = ["method", "attribute", "group", "people", "accuracy", "low", "high", "note"]
    return pd.DataFrame(rows, columns=columns).sort_values("accuracy", ignore_index=True)


def headline(table: pd.DataFrame, gaps: pd.DataFrame, name: str) -> str:
    """Return what a trial found, as a sentence.

    Args:
        table: of `accuracy`.
        gaps: of `differences`, at the k that the sentence is about.
        name: of the world.
    """
    reference, k = gaps["subtrahend"].iloc[0], int(gaps["k"].iloc[0])
    compared = int(gaps["p"].notna().sum())
    at = table[table["k"] == k].set_index("method")
    floor = at.loc[reference]
    found = stats.share(floor["accuracy"], floor["low"], floor["high"], n=floor["people"], note=floor["note"])
    start = f"{name[:1].upper()}{name[1:]}, k = {k}: {reference} {found} right"
    if floor["people"] < FEW:
        return f"{start}; too few people ({floor['people']}) to compare methods: {FEW} or more."
    better = gaps[(gaps["p_holm"] < ALPHA) & (gaps["difference"] > 0)].sort_values("difference", ascending=False)
    if better.empty:
        return f"{start}; no method beats it (Holm over {compared} methods)."
    first = better.iloc[0]
    gain = stats.points(first["difference"], first["low"], first["high"], first["n"])
    ceiling = "" if np.isnan(floor["ceiling"]) else f", of at most {floor['ceiling']:.0%}"
    return f"{start}{ceiling}; {len(better)} of {compared} methods beat it (Holm), {first['minuend']} by {gain}."


def told_apart(gaps: pd.DataFrame) -> str:
    """Return which methods of `differences` are better than the reference, worse, alike or not scored, in words."""
    clear, known = gaps["p_holm"] < ALPHA, gaps["difference"].notna()
    kinds = {"Better": clear & (gaps["difference"] > 0), "Worse": clear & (gaps["difference"] < 0)}
    kinds |= {"Not shown to differ": known & ~clear, "Not scored": ~known}  # names may have commas
    said = [f"{what}: {'; '.join(gaps.loc[which, 'minuend'])}." for what, which in kinds.items() if which.any()]
    return f"Beside {gaps['subtrahend'].iloc[0]} at k = {gaps['k'].iloc[0]} (Holm). {' '.join(said)}"


def peak(table: pd.DataFrame, name: str) -> str:
    """Return which method is right most often at the largest k, beside the pooled one, as a figure's title.

    Methods that are known for fewer than 90% of the people are left out, and so is a k at which others drop out.

    Args:
        table: of `accuracy`, of `alike`.
        name: of the world.
    """
    known = table.dropna(subset="accuracy")
    if known.empty:
        return f"Nothing could be scored ({name})"
    known = known[known["people"] >= COVERED * known["people"].max()]
    enough = known.groupby("k")["method"].size()
    k = enough.index[enough == enough.max()].max()
    at = known[known["k"] == k].set_index("method")["accuracy"]
    pooled = f", pooled {at['pooled']:.0%}" if "pooled" in at else ""
    return f"At k = {k} “{at.idxmax()}” is right most often, {at.max():.0%}{pooled} ({name})"


def calibration(predictions: pd.DataFrame, k: int) -> pd.DataFrame:
    """Return how often the first answer was chosen where each method predicted a probability.

    Returns:
        One row per method and tenth of the probability: `method`, `from`, `to`, `n`, `predicted` (mean), `chosen`.
    """
    at = predictions[(predictions["k"] == k)].dropna(subset="p_first")
    bin_of = np.minimum((at["p_first"] * BINS).astype(int), BINS - 1)
    table = at.groupby(["method", bin_of.rename("from")], observed=True).agg(
        n=("p_first", "size"), predicted=("p_first", "mean"), chosen=("chosen", "mean")
    )
    table = table.reset_index()
    table["from"] /= BINS
    table.insert(2, "to", table["from"] + 1 / BINS)
    return table
