"""Measure in simulated studies how often 95% intervals cover the truth, and how often tests raise false alarms.

    python benchmarks/coverage.py                                  # all tables, 200 studies per cell, minutes
    python benchmarks/coverage.py rates kappa --studies 1000       # some tables, more exactly
    python benchmarks/coverage.py rates --sizes 30x12 60x40x500    # other sizes: personas x prompts (x items)

The truth is planted, so we can count how often an interval covers it. A cell says what was planted: the rate, and the
intraclass correlations (ICC) of personas and prompts, which are the shares of an answer's variance that they account
for. The last column marks cells in which intervals without a note cover less than is promised, 0.93, or tests at the 5%
level raise more false alarms, 0.06, and says where that may be chance. `missed unsaid` is the share of all studies
whose interval misses without a note. Where most studies have a note, those without one are no random
part of all: they saw a rare answer more often than it is.
"""

import argparse
import multiprocessing
import os
import time
from collections.abc import Callable
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import optimize, stats
from scipy.special import expit, logit

from persona_lib.bench import groups, intersections, leave_one_out
from persona_lib.fidelity import caricature
from persona_lib.judges import calibration, corrections
from persona_lib.stats import agreement, clustering, intervals, power

LEAST, MOST = 0.93, 0.06  # coverage of 95% intervals, and level of 5% tests, that the workbench promises
LEAST_UNNOTED = 50  # studies without a note; with fewer, their coverage is not shown
SIZES = {  # personas, prompts, items (all pairs if items is their product)
    "4 x 2": (4, 2, 8),
    "8 x 4": (8, 4, 32),
    "20 x 10": (20, 10, 200),
    "40 x 20": (40, 20, 800),
    "100 x 30": (100, 30, 3000),
    "100 x 50, 700 items": (100, 50, 700),
    "1,000 x 700, 700 items": (1000, 700, 700),
}
EFFECTS = {"none": (0.0, 0.0), "persona": (0.2, 0.0), "prompt": (0.0, 0.2), "both": (0.2, 0.2)}
BASE, GAP = 0.45, 0.1
TRUTH = {"rate": BASE, "difference": GAP}


def layout(personas: int, prompts: int, items: int) -> pd.DataFrame:
    """Return the items of one study: all pairs, or each persona and each prompt about equally often."""
    if items == personas * prompts:
        persona, prompt = np.divmod(np.arange(items), prompts)
    else:
        step = np.arange(items)
        persona, prompt = step % personas, (step + step // np.lcm(personas, prompts)) % prompts
    return pd.DataFrame({"persona_id": persona, "prompt_id": prompt})


def study(items: pd.DataFrame, effects: tuple[float, float], gap: float, rng: np.random.Generator) -> pd.DataFrame:
    """Simulate one study of two conditions whose mean probabilities over personas and prompts are BASE and BASE + gap.

    Persona and prompt shift both conditions by up to `effects`, and the second one by up to half of that in addition.
    """
    chances = []
    for scale in (1.0, 0.5):
        shift = np.zeros(len(items))
        for column, most in zip(intervals.ITEM, effects, strict=True):
            drawn = rng.uniform(-most, most, items[column].max() + 1)[items[column]]
            shift += drawn * scale / 1.5
        chances.append(shift)
    chance = np.concatenate([BASE + chances[0], BASE + gap + chances[0] + chances[1]])
    table = pd.concat([items.assign(condition="baseline"), items.assign(condition="direct")], ignore_index=True)
    return table.assign(score=(rng.random(len(table)) < chance).astype(float))


def bootstrap(
    statistic: Callable[[np.ndarray], np.ndarray], clusters: pd.DataFrame, draws: int = 1000, seed: int = 0
) -> dict:
    """Compute a 95% interval of any statistic by two-way clustered bootstraps, for statistics without a formula.

    Args:
        statistic: takes weights (draws, n) of the items and returns values (draws,).
        clusters: as in `variance`.
        draws: number of draws of each of the three bootstraps.
        seed: of the draws.

    Returns:
        `n`, `estimate` (all weights 1), `low`, `high`, `undefined` (draws without a value), `note`. Personas, prompts
        and items are drawn separately, and the variances are combined as in Cameron, Gelbach and Miller (2011).
        Drawing both kinds at once (the pigeonhole bootstrap) counts the noise of single items three times.
    """
    n = len(clusters)
    codes = [pd.factorize(clusters[c])[0] for c in clusters] + [np.arange(n)] * (2 - clusters.shape[1])
    codes.append(pd.factorize(codes[0] * (n + 1) + codes[1])[0])
    rng, spreads, undefined = np.random.default_rng([seed, 3]), [], 0
    for code in codes:
        number = code.max() + 1
        values = statistic(rng.multinomial(number, np.full(number, 1 / number), draws)[:, code])
        undefined += int(np.isnan(values).sum())
        spreads.append(np.nanvar(values, ddof=1) * number / max(number - 1, 1))
    estimate = float(statistic(np.ones((1, n)))[0])
    first, second, alone = spreads
    numbers = tuple(n * n / (np.bincount(code) ** 2).sum() for code in codes[:2])
    error, df = clustering.floored(first + second - alone, first, second, clustering.FLOOR * alone, numbers)
    half = stats.t.ppf((1 + clustering.LEVEL) / 2, df) * np.sqrt(error) if df and error else np.nan
    note = "one cluster: no interval" if not df else "too few clusters" if min(numbers) < clustering.FEW else ""
    return {"n": n, "estimate": estimate, "low": estimate - half, "high": estimate + half} | {
        "undefined": undefined,
        "note": note,
    }


def pigeonhole(values: np.ndarray, items: pd.DataFrame, rng: np.random.Generator, draws: int = 300) -> tuple:
    """Compute the percentile interval of a bootstrap that draws personas and prompts at once, for comparison."""
    weights = np.ones((draws, len(values)))
    for column in intervals.ITEM:
        number = items[column].max() + 1
        weights *= rng.multinomial(number, np.full(number, 1 / number), draws)[:, items[column]]
    return np.nanpercentile(weights @ values / weights.sum(1), [2.5, 97.5])


def held(row: dict, what: str) -> bool:
    return row["low"] <= TRUTH[what] <= row["high"]


def cell(size: tuple[int, int, int], effects: tuple[float, float], studies: int, seed: int = 0) -> dict:
    """Compute the coverage of the intervals of a rate and of a paired difference, over studies of one size."""
    rng, items = np.random.default_rng([seed, *size, *(int(100 * e) for e in effects)]), layout(*size)
    pairs, hits, few = pd.MultiIndex.from_frame(items), {"rate": 0, "difference": 0}, 0
    for _ in range(studies):
        scores = study(items, effects, GAP, rng)["score"].to_numpy().reshape(2, -1)
        rate = intervals.rate(pd.Series(scores[0]), items)
        hits["rate"] += held(rate, "rate")
        hits["difference"] += held(intervals.difference(pd.Series(scores[1] - scores[0], pairs)), "difference")
        few += "too few clusters" in rate["note"]
    return {what: count / studies for what, count in hits.items()} | {"too few said": few / studies}


def bootstraps(size: tuple[int, int, int], effects: tuple[float, float], studies: int, seed: int = 1) -> dict:
    """Compute the coverage of two bootstraps of the same rate, for comparison."""
    rng, items, hits = np.random.default_rng([seed, *size]), layout(*size), np.zeros(2)
    for _ in range(studies):
        scores = study(items, effects, GAP, rng)["score"].to_numpy()[: len(items)]
        row = bootstrap(lambda w, x=scores: w @ x / w.sum(1), items, draws=300)
        low, high = pigeonhole(scores, items, rng)
        hits += held(row, "rate"), low <= BASE <= high
    return dict(zip(["bootstrap", "pigeonhole"], hits / studies, strict=True))


def logits(rate: float, icc: tuple[float, float]) -> np.ndarray:
    """Return intercept and standard deviations (persona, prompt) of the logits with this rate and these shares.

    Persona and prompt effects are normal on the logits. `icc` is the share of an answer's variance (0 or 1) that
    personas and prompts account for.
    """
    x, w = np.polynomial.hermite_e.hermegauss(40)
    w = w / w.sum()

    def found(given: np.ndarray) -> np.ndarray:
        middle, *scales = given
        chance = expit(middle + scales[0] * x[:, None] + scales[1] * x)  # persona x prompt effects
        mean = w @ chance @ w
        shares = [(w @ (along @ w) ** 2 - mean**2) / (mean * (1 - mean)) for along in (chance, chance.T)]
        return np.array([mean - rate, *(np.array(shares) - icc)]) if min(scales) >= 0 else np.full(3, 1.0)

    asked = np.array([i > 0 for i in (1.0, *icc)])

    def solve(free: np.ndarray) -> np.ndarray:
        whole = np.zeros(3)
        whole[asked] = free
        return found(whole)[asked]

    start = np.array([logit(rate) * (1 + 2 * sum(icc)), *(np.sqrt(12 * i) for i in icc)])[asked]
    result = np.zeros(3)
    result[asked] = optimize.root(solve, start, tol=1e-9).x
    return result


def places(size: tuple[int, ...], heavy: bool, rng: np.random.Generator) -> pd.DataFrame:
    """Return the items of one study: `layout`'s, or if heavy a sample in which personas weigh 1 / rank."""
    personas, prompts, *items = size
    if not heavy:
        return layout(personas, prompts, items[0] if items else personas * prompts)
    weight = np.repeat(1 / np.arange(1, personas + 1), prompts)
    chosen = rng.choice(personas * prompts, items[0], replace=False, p=weight / weight.sum())
    return pd.DataFrame(dict(zip(intervals.ITEM, np.divmod(chosen, prompts), strict=True)))


def extremes(
    size: tuple[int, ...],
    rate: float,
    icc: tuple[float, float],
    studies: int,
    heavy: bool = False,
    seed: int = 6,
) -> dict:
    """Compute how often the interval of a rate covers it, by its note, where answers are clustered on the logits.

    Args:
        size: personas, prompts and, if not all pairs, items.
        rate: the true rate.
        icc: as in `logits`.
        studies: how many.
        heavy: personas weigh 1 / rank.
        seed: of the draws.
    """
    rng = np.random.default_rng([seed, *size, *(round(1000 * r) for r in (rate, *icc))])
    middle, *scales = logits(rate, icc)
    covered, noted, width = np.zeros((3, studies))
    for i in range(studies):
        items = places(size, heavy, rng)
        own = [rng.normal(0, s, n)[items[c]] for s, n, c in zip(scales, size, intervals.ITEM, strict=False)]
        row = intervals.rate(pd.Series((rng.random(len(items)) < expit(middle + sum(own))).astype(float)), items)
        covered[i], noted[i] = row["low"] <= rate <= row["high"], row["note"] != ""
        width[i] = row["high"] - row["low"]
    return shares(covered == 1, noted == 1) | {"width": width.mean()}


def shares(hit: Any, noted: Any) -> dict:
    """Return how often intervals cover the truth (`hit`), have a note, cover without one, and miss without one."""
    unsaid = hit[~noted]
    return {
        "covered": hit.mean(),
        "noted": noted.mean(),
        "covered without note": unsaid.mean() if len(unsaid) >= LEAST_UNNOTED else np.nan,
        "missed unsaid": (~hit & ~noted).mean(),
    }


def false_alarms(studies: int, attributes: int = 33, seed: int = 2) -> pd.Series:
    """Compute the share of studies in which an attribute without effect seems to have one.

    Each attribute is compared with the full profile. A study has 20 personas x 20 prompts; hiding an attribute moves
    the scores of single personas up or down, but not their mean.
    """
    rng, items, alarms = np.random.default_rng(seed), layout(20, 20, 400), []
    names = ["nothing hidden", *(f"attribute {i}" for i in range(attributes))]
    table = pd.concat([items.assign(hidden=name) for name in names], ignore_index=True)
    for _ in range(studies):
        shared = rng.uniform(-0.15, 0.15, 20)[items["persona_id"]] + rng.uniform(-0.15, 0.15, 20)[items["prompt_id"]]
        own = rng.uniform(-0.15, 0.15, (len(names), 20))[:, items["persona_id"]]
        score = (rng.random((len(names), len(items))) < 0.5 + shared + own).astype(float)
        pairs = [(name, names[0]) for name in names[1:]]
        found = intervals.paired_differences(table.assign(score=score.ravel()), "hidden", pairs=pairs)
        alarms.append([(found["p"] < 0.05).any(), (found["p_holm"] < 0.05).any()])
    return pd.Series(np.mean(alarms, axis=0), ["uncorrected", "Holm"])


def power_held(design: dict, studies: int, seed: int = 4) -> dict:
    """Compute the share of studies that find a difference which `power.minimum_detectable` says 80 in 100 find.

    Persona and prompt shift the probabilities so that they account for the shares of the difference's variance that
    the design specifies.
    """
    plan = power.minimum_detectable(**design, correlation=0.0).iloc[0]
    items, gap = layout(plan["n_personas"], plan["n_prompts"], plan["n_items"]), plan["detectable"]
    rng, pairs, found = np.random.default_rng(seed), pd.MultiIndex.from_frame(items), 0
    # Uniform effects with variance icc x 1/2; 1/2 is the variance of an item's difference at rates near 0.5.
    most = dict(
        zip(intervals.ITEM, np.sqrt(3 * 0.5 * plan[["icc_persona", "icc_prompt"]].to_numpy(float)), strict=True)
    )
    for _ in range(studies):
        own = sum(rng.uniform(-m, m, items[c].max() + 1)[items[c]] for c, m in most.items())
        up, down = (rng.random(len(items)) < 0.5 + sign * (gap + own) / 2 for sign in (1, -1))
        found += intervals.difference(pd.Series(up.astype(float) - down, pairs))["p"] < 0.05
    return {**plan.drop("note"), "found": found / studies}


DESIGNS = [
    {"n_personas": 20, "n_prompts": 20, "icc_persona": 0.0, "icc_prompt": 0.0},
    {"n_personas": 20, "n_prompts": 20},
    {"n_personas": 40, "n_prompts": 30, "icc_persona": 0.1, "icc_prompt": 0.02},
    {"n_personas": 100, "n_prompts": 50, "n_items": 700},
    {"n_personas": 1000, "n_prompts": 700, "n_items": 700},
]


def weak(size: str, effects: str, studies: int) -> dict:
    """Compute `cell` of one of SIZES and EFFECTS."""
    return cell(SIZES[size], EFFECTS[effects], studies)


def two_bootstraps(size: str, effects: str, studies: int) -> dict:
    """Compute `bootstraps` of one of SIZES and EFFECTS."""
    return bootstraps(SIZES[size], EFFECTS[effects], studies)


def families(studies: int) -> dict:
    """Compute `false_alarms` as a row."""
    return false_alarms(studies).rename({"Holm": "level"}).to_dict()


def differences(
    size: tuple[int, ...], base: float, gap: float, icc: float, slopes: float, studies: int, heavy: bool = False
) -> dict:
    """Compute coverage and level of a paired difference, and how often its interval and its p-value disagree.

    Args:
        size, studies, heavy: as in `extremes`.
        base, gap: the rate of the one condition, and by how much that of the other is higher.
        icc: of personas, and of prompts, in both conditions.
        slopes: standard deviation on the logits by which each persona and prompt moves one condition alone.
    """
    rng = np.random.default_rng([7, *size, *(round(1000 * x) for x in (base, gap, icc, slopes))])
    scale = logits(base, (icc, icc))[1:]
    middles = [_middle(rate, np.hypot(np.hypot(*scale), np.sqrt(2) * slopes)) for rate in (base, base + gap)]
    rows = []
    for _ in range(studies):
        items = places(size, heavy, rng)
        shared, own = np.zeros(len(items)), np.zeros((2, len(items)))
        for s, n, c in zip(scale, size, intervals.ITEM, strict=False):
            shared += rng.normal(0, s, n)[items[c]]
            own += rng.normal(0, slopes, (2, n))[:, items[c]]
        one, other = (rng.random(len(items)) < expit(m + shared + o) for m, o in zip(middles, own, strict=True))
        change = pd.Series(other.astype(float) - one, pd.MultiIndex.from_frame(items))
        rows.append(intervals.difference(change))
    found = pd.DataFrame(rows)
    excludes = (found["low"] > 0) | (found["high"] < 0)
    row = covered(found["low"], found["high"], gap, found["note"]) | {
        "interval against p": (excludes != (found["p"] < 0.05)).mean()
    }
    return row | {"level" if gap == 0 else "found": (found["p"] < 0.05).mean()}


def _middle(rate: float, scale: float) -> float:
    """Return the intercept at which normal effects of this standard deviation on the logits give the rate."""
    x, w = np.polynomial.hermite_e.hermegauss(60)
    return float(optimize.brentq(lambda m: w @ expit(m + scale * x) / w.sum() - rate, -30, 30))


def covered(low: pd.Series, high: pd.Series, truth: Any, note: pd.Series | str = "") -> dict:
    """Return how often intervals cover the truth, have a note, and miss without one; intervals may be missing."""
    there = low.notna()
    hit = ((low <= truth) & (truth <= high))[there]
    noted = pd.Series(note, low.index).ne("")[there]
    return shares(hit, noted) | {"width": (high - low)[there].mean()}


def of_groups(rate: float, differ: float, studies: int, size: tuple[int, int, int] = (40, 100, 200)) -> dict:
    """Compute coverage of the shrunk scores of all groups of four attributes and their pairs, and of the lowest group.

    Args:
        rate: the mean rate.
        differ: standard deviation on the logits of the effect of an attribute's value.
        studies: how many; each has its own people, whose attributes are drawn.
        size: personas, prompts, items.
    """
    rng, items = np.random.default_rng([8, round(1000 * rate), round(1000 * differ)]), layout(*size)
    middle = _middle(rate, np.hypot(np.sqrt(2) * 0.7, 2 * differ))
    all_rows, lowest, alarms = [], [], []
    for _ in range(studies):
        values = rng.integers(0, [2, 3, 3, 4], (size[0], 4))
        people = pd.DataFrame(values, columns=list("abcd")).astype("str").rename_axis("persona_id")
        members = groups.crossings(people, list("abcd"), least=1)
        own = rng.normal(0, differ, (4, 4))[np.arange(4), values].sum(1) + rng.normal(0, 0.7, size[0])
        # To be covered is the mean over all prompts, for the people of the study; without differences, for all people.
        x, w = np.polynomial.hermite_e.hermegauss(30)
        person = expit(middle + own[:, None] + 0.7 * x) @ (w / w.sum())
        truth = members.apply(lambda inside, p=person: p[inside.to_numpy()].mean() if differ else rate)
        chance = expit(middle + own[items["persona_id"]] + rng.normal(0, 0.7, size[1])[items["prompt_id"]])
        table = intersections.scores(items.assign(score=(rng.random(len(items)) < chance).astype(float)), members)
        table = table.assign(truth=truth)
        all_rows.append(table)
        lowest.append(table.loc[intersections.worst(table).index])
        alarms.append((table["p_holm"] < 0.05).any())
    every, least = pd.concat(all_rows), pd.concat(lowest)
    row = covered(every["shrunk_low"], every["shrunk_high"], every["truth"])
    chosen = covered(least["shrunk_low"], least["shrunk_high"], least["truth"])
    row |= {"covered lowest": chosen["covered"], "width lowest": chosen["width"]}
    return row | ({} if differ else {"level": np.mean(alarms)})


def attributes(size: tuple[int, int], tau: float, studies: int, count: int = 33) -> dict:
    """Compute how often an attribute that matters on average no more than a placebo seems to matter.

    Args:
        size: people and questions.
        tau: standard deviation on the logits by which an attribute matters on one question and not on another.
        studies: how many.
        count: number of attributes; choices differ in 10 in 100.
    """
    rng = np.random.default_rng([9, *size, round(1000 * tau)])
    items, names = layout(*size, size[0] * size[1]), [leave_one_out.PLACEBO, *(f"a{i}" for i in range(count))]
    own = pd.concat([items.assign(attribute=name, refined_for=leave_one_out.WITH) for name in names])
    middle, rows = _middle(0.1, tau), []
    for _ in range(studies):
        question = rng.normal(0, tau, (count + 1, size[1]))
        question[0] = 0.0
        chance = expit(middle + question)[:, items["prompt_id"]]
        chance[0] = 0.1
        change = (rng.random(chance.shape) < chance).astype(float).ravel()
        choice = {leave_one_out.WITH: None, leave_one_out.WITHOUT: None, "equal": 1 - change, "change": change}
        found = leave_one_out.changes(own.assign(**choice)).drop(leave_one_out.PLACEBO)
        rows.append([(found["p"] < 0.05).mean(), (found["p_holm"] < 0.05).any()])
    single, level = np.mean(rows, axis=0)
    return {"p < .05": single, "level": level}


def portraits(people: int, questions: int, shift: float, studies: int) -> dict:
    """Compute coverage of the distance of said from real answers of one group; three options, one moved by shift."""
    rng, base = np.random.default_rng([10, people, questions, round(100 * shift)]), np.array([0.4, 0.35, 0.25])
    moved, rows = base + np.array([shift, -shift, 0]), []
    person, question = np.divmod(np.arange(people * questions), questions)
    for _ in range(studies):
        own = {"persona_id": person, "prompt_id": question, "source": "model", "group": "all"}
        own |= {"truth": rng.choice(list("abc"), len(person), p=base)}
        own |= {"answer": rng.choice(list("abc"), len(person), p=moved)}
        rows.append(caricature.distributions(pd.DataFrame(own), "group").iloc[0])
    found = pd.DataFrame(rows).astype({"distance_low": float, "distance_high": float})
    row = covered(found["distance_low"].reset_index(drop=True), found["distance_high"].reset_index(drop=True), shift)
    return row | {"mean": found["distance"].mean(), "by chance": found["chance"].mean()}


def stand_ins(size: tuple[int, int], conditions: int, icc: float, studies: int, epsilon: float = 0.2) -> dict:
    """Compute how often a judge exactly epsilon worse than an annotator may stand in for them.

    Args:
        size: personas and prompts; all pairs are items, in each condition.
        conditions: number of answers per item.
        icc: of personas, and of persona x prompt pairs, in what the judge loses.
        studies: how many.
        epsilon: as in `calibration.alternative_annotator`.
    """
    rng = np.random.default_rng([11, *size, conditions, round(100 * icc)])
    n, passed = size[0] * size[1], []
    index = pd.MultiIndex.from_product(
        [range(size[0]), range(size[1]), range(conditions)], names=[*intervals.ITEM, "condition"]
    )
    for _ in range(studies):
        # The judge alone is wrong with probability .3, the annotator alone with .1: exactly epsilon apart.
        mixed = np.sqrt(icc) * np.repeat(rng.normal(size=size[0]), size[1]) + np.sqrt(icc) * rng.normal(size=n)
        place = np.repeat(mixed, conditions) + np.sqrt(1 - 2 * icc) * rng.normal(size=n * conditions)
        drawn = stats.norm.cdf(place)
        truth = np.ones(n * conditions)
        humans = pd.DataFrame({"one": np.where(drawn > 0.9, 0.0, truth), "two": truth}, index)
        judge = pd.Series(np.where(drawn < 0.1 + epsilon, 0.0, truth), index)
        passed.append(calibration.alternative_annotator(judge, humans, epsilon).loc["one", "p"] < 0.05)
    return {"level": np.mean(passed)}


def labels(labelled: int, rate: float, studies: int, size: tuple[int, int, int] = (40, 100, 200)) -> dict:
    """Compute coverage of the humans' rate where a judge, right in 80 in 100, judged all and some are labelled."""
    rng, items = np.random.default_rng([12, labelled, round(100 * rate)]), layout(*size)
    middle, person, _ = logits(rate, (0.1, 0.0))
    rows = []
    for _ in range(studies):
        chance = expit(middle + rng.normal(0, person, size[0]))[items["persona_id"]]
        human = (rng.random(len(items)) < chance).astype(float)
        judge = np.where(rng.random(len(items)) < 0.8, human, 1 - human)
        known = pd.Series(human)[rng.choice(len(items), labelled, replace=False)]
        table = items.assign(condition="direct", judge=judge, human=known)
        rows.append(corrections.human_rates(table, "condition").iloc[0])
    found = pd.DataFrame(rows).reset_index(drop=True)
    return covered(found["corrected_low"].astype(float), found["corrected_high"].astype(float), rate, found["note"])


def kappas(items: int, prevalence: float, flip: float, studies: int) -> dict:
    """Compute coverage of the intervals of Cohen's kappa and AC1: two raters who flip a truth with this probability."""
    rng, rows = np.random.default_rng([13, items, round(1000 * prevalence), round(1000 * flip)]), []
    both = prevalence * (1 - flip) ** 2 + (1 - prevalence) * flip**2
    share = prevalence * (1 - flip) + (1 - prevalence) * flip
    same = 1 - 2 * flip * (1 - flip)
    chances = {"Cohen's kappa": share**2 + (1 - share) ** 2, "AC1": 2 * share * (1 - share)}
    for _ in range(studies):
        truth = rng.random(items) < prevalence
        a, b = (pd.Series(truth ^ (rng.random(items) < flip)) for _ in range(2))
        rows.append(agreement.coefficients(a, b, options=[True, False]).loc[list(chances)])
    assert both <= same
    table = pd.concat(rows)
    result: dict[str, float] = {}
    for name, chance in chances.items():
        own = table.loc[[name]].reset_index(drop=True)
        own = own[own["estimate"].notna()]
        found = covered(own["low"], own["high"], (same - chance) / (1 - chance), own["note"])
        kept = found if name == "Cohen's kappa" else {"AC1 covered": found["covered"]}
        result |= kept | ({"defined": len(own) / studies} if name == "Cohen's kappa" else {})
    return result


class Table(NamedTuple):
    """A table of the benchmark: what it shows, how a cell is computed, and the arguments of its cells."""

    title: str
    cell: Callable[..., dict]
    cells: list[dict[str, Any]]
    slow: int = 1  # one study takes this many times as long as elsewhere: so many times fewer are made


GRID = [(8, 8), (10, 10), (20, 10), (40, 20), (100, 20, 300), (40, 100, 200), (1000, 700, 700)]
RATES = [(0.5, icc) for icc in (0.0, 0.1, 0.4)] + list(product((0.9, 0.95, 0.03), (0.0, 0.1, 0.2, 0.4)))


def tables(sizes: list[tuple[int, ...]] | None = None) -> dict[str, Table]:
    """Return the tables by name; `sizes` replace those of rates and differences."""
    clustered = [{"size": s, "rate": r, "icc": (0.0, i)} for s in sizes or GRID for r, i in RATES]
    if not sizes:
        heavy = {"size": (40, 40, 300), "heavy": True}
        clustered += [heavy | {"rate": r, "icc": (i, 0.0)} for r, i in RATES]
    pairs = [(0.5, 0.0), (0.5, 0.1), (0.03, 0.0), (0.9, 0.05)]
    paired = [
        {"size": s, "base": base, "gap": gap, "icc": 0.1, "slopes": slopes}
        for s, (base, gap), slopes in product(sizes or [(5, 5), *GRID[1:]], pairs, (0.0, 0.5))
    ]
    few = [{"size": s, "effects": e} for s in SIZES if SIZES[s][2] <= 800 for e in ("none", "both")]
    designs = [(10, 10, 1), (10, 10, 3), (20, 10, 4)]
    return {
        "rates": Table("Rates near 0, in the middle and near 1, by ICC (persona, prompt)", extremes, clustered),
        "differences": Table("Paired differences, and their p-values", differences, paired),
        "groups": Table(
            "Shrunk scores of groups; differ: sd of attributes' effects on the logits, 0 for groups that are alike",
            of_groups,
            [{"rate": r, "differ": d} for r, d in product((0.6, 0.9), (0.0, 0.35, 0.5))],
            slow=2,
        ),
        "attributes": Table(
            "33 attributes left out that matter no more than the placebo; tau: attribute x question sd on the logits",
            attributes,
            [{"size": s, "tau": t} for s, t in product([(40, 20), (8, 5)], (0.0, 0.3, 0.6, 1.0))],
            slow=4,
        ),
        "portraits": Table(
            "Distance of said from real answers",
            portraits,
            [
                {"people": n, "questions": q, "shift": s}
                for (n, q), s in product([(10, 1), (30, 1), (100, 1), (30, 6), (40, 8)], (0.0, 0.1, 0.3))
            ],
        ),
        "annotators": Table(
            "Alternative-annotator test of a judge exactly epsilon worse",
            stand_ins,
            [{"size": (p, q), "conditions": c, "icc": i} for (p, q, c), i in product(designs, (0.0, 0.15, 0.3))],
        ),
        "labels": Table(
            "Humans' rate from a judge and labels of some of 200 answers",
            labels,
            [{"labelled": m, "rate": r} for m, r in product((50, 100, 200), (0.1, 0.5, 0.9))],
        ),
        "kappa": Table(
            "Cohen's kappa (and AC1) of two raters, where it is defined",
            kappas,
            [
                {"items": n, "prevalence": p, "flip": f}
                for n, (p, f) in product((10, 20, 60), ((0.5, 0.15), (0.85, 0.1), (0.95, 0.03)))
            ],
        ),
        "weak": Table(
            "Rates of .45 and differences of .10 with little clustering (ICC .024 and less)",
            weak,
            [{"size": s, "effects": e} for s, e in product(SIZES, EFFECTS)],
        ),
        "bootstraps": Table("The same rate, by two bootstraps", two_bootstraps, few),
        "family": Table("33 attributes without effect: studies with a false alarm", families, [{}]),
        "power": Table(
            "Studies that find a difference which 0.8 of them should", power_held, [{"design": d} for d in DESIGNS]
        ),
    }


def outside(row: dict, studies: int) -> str:
    """Return what is wrong with a cell, less coverage without a note or more alarms than promised; or nothing.

    What is no more than two standard errors beyond the promise may be chance.
    """
    unsaid = max(studies * (1 - row.get("noted", 0)), 1)
    beyond = {
        "covers too little": (LEAST - row.get("covered without note", 1), LEAST, unsaid),
        "false alarms": (row.get("level", 0) - MOST, MOST, studies),
    }
    chance = {name: 2 * np.sqrt(share * (1 - share) / n) for name, (_, share, n) in beyond.items()}
    return ", ".join(
        name if by > chance[name] else f"{name}, or chance" for name, (by, *_) in beyond.items() if by > 1e-9
    )


def computed(job: tuple[Callable[..., dict], dict[str, Any], int]) -> dict[str, Any]:
    """Return a cell's arguments, what was measured, and what is wrong with it."""
    function, given, studies = job
    row = function(**given, studies=studies)
    return {name: str(value) for name, value in given.items() if name != "design"} | row | {"": outside(row, studies)}


def main() -> None:
    parser = argparse.ArgumentParser(description="Count in simulated studies what intervals cover and tests find.")
    parser.add_argument("tables", nargs="*", help=f"which: {', '.join(tables())}; by default all")
    parser.add_argument("--studies", type=int, default=200, help="per cell")
    parser.add_argument("--sizes", nargs="+", help="of rates and differences, such as 20x10 or 40x100x200")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    given = parser.parse_args()
    sizes = [tuple(map(int, size.split("x"))) for size in given.sizes or []]
    known = tables(sizes or None)
    if unknown := [name for name in given.tables if name not in known]:
        parser.error(f"no table {unknown[0]}: {', '.join(known)}")
    pd.options.display.width = 200
    start = time.perf_counter()
    error = np.sqrt(0.95 * 0.05 / given.studies)
    print(f"Nominal coverage 0.95 ({given.studies:,} studies: chance moves it by {2 * error:.3f}), nominal level 0.05")
    with multiprocessing.Pool(given.processes) as pool:
        for name in given.tables or known:
            table = known[name]
            studies = max(given.studies // table.slow, 1)
            rows = pool.map(computed, [(table.cell, own, studies) for own in table.cells], chunksize=1)
            text = pd.DataFrame(rows).round(3).to_string(index=False, na_rep="")
            print(f"\n{name}: {table.title} ({studies:,} studies)\n{text}")
            print(f"{time.perf_counter() - start:.0f} s", flush=True)


if __name__ == "__main__":
    main()
