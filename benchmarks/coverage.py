"""Measure in simulated studies how often 95% intervals cover the truth, and how often families of tests raise alarms.

    python benchmarks/coverage.py            # 1,000 studies per cell
    python benchmarks/coverage.py 200        # fewer

The truth is known: each answer is kept with a probability that depends on the condition, the persona and the prompt.
The effects are planted, so we can count how often an interval covers them. Sizes range from 4 personas x 2 prompts,
where the functions themselves report 'too few clusters', to 700 items of 1,000 personas (the paper's Fig. 10).
"""

import sys
import time
from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy import optimize, stats
from scipy.special import expit, logit

from persona_lib.stats import clustering, intervals, power

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
    error, df = clustering._floored(first + second - alone, first, second, clustering.FLOOR * alone, numbers)
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


def places(size: tuple[int, int] | tuple[int, int, int], heavy: bool, rng: np.random.Generator) -> pd.DataFrame:
    """Return the items of one study: `layout`'s, or if heavy a sample in which personas weigh 1 / rank."""
    personas, prompts, *items = size
    if not heavy:
        return layout(personas, prompts, items[0] if items else personas * prompts)
    weight = np.repeat(1 / np.arange(1, personas + 1), prompts)
    chosen = rng.choice(personas * prompts, items[0], replace=False, p=weight / weight.sum())
    return pd.DataFrame(dict(zip(intervals.ITEM, np.divmod(chosen, prompts), strict=True)))


def extremes(
    size: tuple[int, int] | tuple[int, int, int],
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
    unsaid = covered[noted == 0]
    return {
        "covered": covered.mean(),
        "noted": noted.mean(),
        "covered without note": unsaid.mean() if len(unsaid) >= 20 else np.nan,
        "missed unsaid": ((covered == 0) & (noted == 0)).mean(),
        "width": width.mean(),
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


def grid(studies: int) -> pd.DataFrame:
    rows = {(size, effect): cell(SIZES[size], EFFECTS[effect], studies) for size in SIZES for effect in EFFECTS}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(["size", "effects"])


def main(studies: int = 1000) -> None:
    start = time.perf_counter()
    pd.options.display.width = 200
    print(f"Share of {studies:,} simulated studies in which the 95% interval covers the truth (target: 0.93 to 0.97):")
    found = grid(studies)
    print(found.round(3).to_string(), f"\n{time.perf_counter() - start:.0f} s\n")
    fewer = max(studies // 4, 20)
    rows = {
        (s, e): bootstraps(SIZES[s], EFFECTS[e], fewer)
        for s in list(SIZES)
        if SIZES[s][2] <= 800
        for e in ("none", "both")
    }
    print(f"The same for two bootstraps of the rate, {fewer} studies of 300 draws:")
    print(pd.DataFrame.from_dict(rows, orient="index").round(3).to_string(), f"\n{time.perf_counter() - start:.0f} s\n")
    print(f"Share of {studies:,} studies with a false alarm, for 33 attributes without effect:")
    print(false_alarms(studies).round(3).to_string(), f"\n{time.perf_counter() - start:.0f} s\n")
    print(f"Share of {studies:,} studies that find the difference which 0.8 of them should find:")
    held = pd.DataFrame([power_held(design, studies) for design in DESIGNS])
    print(held.round(3).to_string(index=False), f"\n{time.perf_counter() - start:.0f} s in total")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
