"""The policy of a method, offline: among the candidates of a prompt it picks an answer, and people prefer it or not.

A method that predicts choices well need not pick answers that people prefer (arXiv 2512.23067 finds that both orders of
methods are nearly unrelated). So the same methods, on the same people, stand in one table with both accuracies.
"""

import numpy as np
import pandas as pd
from scipy.stats import kendalltau

from .. import UserError, seeds, stats
from ..judges.verdicts import won
from ..stats.intervals import ITEM, difference
from ..stats.wording import ALPHA
from . import scores
from .cases import Readied, Setting, cases, ready
from .method import Method, title
from .method import reason as said
from .method import told as read
from .trial import one_thread, told_of
from .worlds import World

COLUMNS = ("method", "k", "draw", *ITEM, "answer", "preferred", "ceiling", "compared", "failure")
NEVER = "the person never compared this answer"
DRAWS = 500  # resamples of people behind an interval of tau
METHODS, PEOPLE = 3, 8  # fewer have no tau, or no interval


@one_thread
def picks(world: World, methods: list[Method], predictions: pd.DataFrame, setting: Setting) -> pd.DataFrame:
    """Let methods pick the best of each prompt's candidates for the people whose choices they predict.

    An answer is preferred as often as the person prefers it in their tested choices about it (a tie is a half). Where
    the truth is known, it is the true probability of that.

    Args:
        world: whose candidates are picked from.
        methods: those that made the predictions, as the trial has fitted them.
        predictions: of `trial.run`, of the people to pick for; the largest k counts.
        setting: of the trial.

    Returns:
        One row per method, draw, person and tested prompt: COLUMNS. `compared`: the person's tested choices about the
        picked answer. `ceiling`: the most that any answer to this prompt reaches, where the truth is known. `failure`:
        why nothing was picked, or that the person never compared the answer; `preferred` is then missing.

    Raises:
        UserError: as `cases.ready`.
    """
    k = int(predictions["k"].max())
    readied = ready(world, setting._replace(ks=(k,)))
    at = predictions[(predictions["k"] == k) & predictions["p_first"].notna()]
    texts = world.candidates.dropna(subset="text").drop_duplicates(["prompt_id", "text"])
    candidates = {prompt: own.to_numpy(object) for prompt, own in texts.groupby("prompt_id")["text"]}
    rows: list[tuple] = []
    for method in methods:
        name = title(type(method))
        known = set(at.loc[at["method"] == name, "persona_id"])
        rows += _of_method(readied, method, name, known, candidates)
    table = pd.DataFrame(rows, columns=["method", "draw", *ITEM, "answer", "failure"]).assign(k=k)
    table = table[table["persona_id"].isin(set(predictions["persona_id"]))]
    found = table.merge(_liked(readied), how="left", on=[*ITEM, "answer"])
    best = _liked(readied).groupby(ITEM)["preferred"].max() if world.truth is not None else pd.Series(dtype=float)
    found["ceiling"] = best.reindex(pd.MultiIndex.from_frame(found[ITEM])).to_numpy(float)
    found["compared"] = found["compared"].fillna(0).astype(int)
    unknown = found["preferred"].isna() & found["failure"].isna()
    found["failure"] = found["failure"].mask(unknown, NEVER)
    names = [title(type(method)) for method in methods]
    return found.astype({"method": pd.CategoricalDtype(names), "failure": "category"})[list(COLUMNS)]


def _of_method(
    readied: Readied, method: Method, name: str, known: set[str], candidates: dict[str, np.ndarray]
) -> list[tuple]:
    """Return what a method picks for people whose choices it predicts: name, draw, person, prompt, answer, failure."""
    sees = "history" in method.sees
    told = told_of(readied.world, method, readied.world.people.index)
    rows = []
    for case in cases(readied, readied.setting.ks, None if sees else 1):
        asked = case.tests.drop_duplicates("prompt_id")
        reason = case.failure or (None if case.persona_id in known else "not asked: it predicts nothing here")
        answers: list[tuple[str | None, str | None]] = [(None, reason)] * len(asked)
        if not reason:
            try:
                one = method.copy()
                one.adapt(case.context if sees else case.context.iloc[:0], told.loc[case.persona_id])
                # The best of n, also of methods that write answers of their own: here a person's choices are known.
                picked = Method.answer(
                    one, asked["prompt"].to_numpy(object), [candidates[i] for i in asked["prompt_id"]]
                )
                answers = read(picked, len(asked))
            except UserError:
                raise
            except (Exception, SystemExit) as error:
                answers = [(None, f"failed: {said(error)}")] * len(asked)
        rows += [
            (name, case.draw, case.persona_id, prompt, *answer)
            for prompt, answer in zip(asked["prompt_id"], answers, strict=True)
        ]
    return rows


def _liked(readied: Readied) -> pd.DataFrame:
    """Return how often each person prefers each answer in tested choices: ITEM, `answer`, `preferred`, `compared`."""
    choices = readied.choices
    tested = choices[(choices["cell"] == readied.setting.cell) & choices["p_first"].notna()]
    truth = readied.world.truth
    p = won(tested["p_first"]) if truth is None else tested["choice_id"].map(truth).to_numpy(float)
    sides = [
        tested[ITEM].assign(answer=tested[side], preferred=chance) for side, chance in (("first", p), ("second", 1 - p))
    ]
    both = pd.concat(sides).groupby([*ITEM, "answer"], sort=False)["preferred"]
    return both.agg(["mean", "size"]).set_axis(["preferred", "compared"], axis=1).reset_index()


def table(picked: pd.DataFrame, predictions: pd.DataFrame, world: World) -> pd.DataFrame:
    """Return the policy accuracy of each method beside its reward accuracy, on the same people.

    Args:
        picked: of `picks`.
        predictions: as there.
        world: as there.

    Returns:
        One row per method: `method`, `k`, `policy` (how often people prefer what it picks), `policy_low`,
        `policy_high`, `policy_ceiling` (no pick does better; known truth), `people`, `judged` (picks that are scored,
        all draws), `uncompared` (the person never compared the answer), `failed` (nothing was picked), `reward` (how
        often it predicts the choice), `reward_low`, `reward_high`, `note`. Both are means over people, clustered by
        person and prompt.
    """
    of_reward = scores.accuracy(predictions[predictions["k"] == picked["k"].max()], world).set_index("method")
    rows = []
    for method, own in picked.groupby("method", observed=True):
        found, reward = scores.mean(own, "preferred", "policy"), of_reward.loc[method]
        judged = own.dropna(subset="preferred")
        rows.append(
            {
                "method": method,
                "k": own["k"].iloc[0],
                "policy": found["policy"],
                "policy_low": found["low"],
                "policy_high": found["high"],
                "policy_ceiling": scores.macro(scores.by_item(judged, "ceiling")),
                "people": found["people"],
                "judged": len(judged),
                "uncompared": int((own["failure"] == NEVER).sum()),
                "failed": int(own["answer"].isna().sum()),
                "reward": reward["accuracy"],
                "reward_low": reward["low"],
                "reward_high": reward["high"],
                "note": found["note"],
            }
        )
    return pd.DataFrame(rows)


def differences(picked: pd.DataFrame, reference: str) -> pd.DataFrame:
    """Compare the policy accuracy of every method with that of a reference, on the same people and prompts.

    Two methods often pick different answers, of which the person compared only one. Pairs of picks that both are
    judged would mostly be equal picks; so the difference is that of both accuracies, and its variance comes from what
    each person and prompt contributes to either (the linearized mean, to which an unjudged pick contributes nothing).

    Returns:
        One row per other method, as `scores.differences`: `n` counts persons x prompts that one of both picks is judged
        for, `failed` the others.
    """
    every = pd.MultiIndex.from_frame(picked[ITEM].drop_duplicates())
    of = {method: _contributions(own, every) for method, own in picked.groupby("method", observed=True)}
    judged = (
        picked.dropna(subset="preferred")
        .groupby("method", observed=True)[ITEM]
        .apply(lambda own: set(own.itertuples(index=False, name=None)))
    )
    rows = []
    for method in [name for name in of if name != reference]:
        found = difference(of[method] - of[reference])
        n = len(judged.get(method, set()) | judged.get(reference, set()))
        found |= {"n": n, "failed": len(every) - n}
        rows.append({"minuend": method, "subtrahend": reference, "k": picked["k"].iloc[0]} | found)
    columns = ["minuend", "subtrahend", "k", "n", "failed", "difference", "low", "high", "p", "note"]
    found_all = pd.DataFrame(rows, columns=columns)
    found_all.insert(9, "p_holm", stats.corrected(found_all["p"]))
    return found_all


def _contributions(own: pd.DataFrame, every: pd.MultiIndex) -> pd.Series:
    """Return what each person and prompt contributes to a method's policy accuracy; the mean is the accuracy."""
    items = scores.by_item(own, "preferred")
    if items.empty:
        return pd.Series(np.nan, every)
    mean = scores.macro(items)
    moved = (items["value"] - mean) * items["weight"] * len(every) / items["weight"].sum()
    return mean + moved.reindex(every).fillna(0.0)


def scored(picked: pd.DataFrame) -> pd.DataFrame:
    """Return picks as `tau` takes them: `score` is whether they are preferred."""
    return picked.rename(columns={"preferred": "score"})


def tau(one: pd.DataFrame, other: pd.DataFrame, seed: int = 0) -> dict:
    """Return Kendall's tau between two orders of methods: how far the one tells the other.

    Args:
        one, other: rows of methods with `method`, `persona_id`, `prompt_id` and `score`, such as whether predictions
            are right, and whether picks are preferred. Each order is by the mean over people.
        seed: of the resampled people.

    Returns:
        `tau` (b, which allows ties), `low`, `high` (95% of DRAWS resamples of the people; the methods are fixed), `p`
        (of no relation, over the methods), `methods`, `people`, `note`. Below METHODS methods all is missing, and below
        PEOPLE people the interval.
    """
    sides = [_by_person(rows) for rows in (one, other)]
    methods = sides[0].columns.intersection(sides[1].columns)
    people = sides[0].index.union(sides[1].index)
    found = {"tau": np.nan, "low": np.nan, "high": np.nan, "p": np.nan, "methods": len(methods), "people": len(people)}
    if len(methods) < METHODS:
        return found | {"note": f"fewer than {METHODS} methods: no order to compare"}
    x, y = (side.reindex(people)[methods].to_numpy(float) for side in sides)  # people x methods
    every = np.ones((1, len(people)))
    whole = kendalltau(*(_means(values, every)[0] for values in (x, y)))
    found |= {"tau": whole.statistic, "p": whole.pvalue}
    if np.isnan(whole.statistic):
        return found | {"note": "all methods are equal in one order"}
    if len(people) < PEOPLE:
        return found | {"note": "too few people: no interval"}
    drawn = seeds.rng("people of two orders", seed).multinomial(len(people), every[0] / len(people), DRAWS)
    taus = [kendalltau(a, b).statistic for a, b in zip(_means(x, drawn), _means(y, drawn), strict=True)]
    low, high = np.nanquantile(taus, [0.025, 0.975])
    return found | {"low": low, "high": high, "note": ""}


def _by_person(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the mean score over a person's prompts: people x methods; a method without any is left out."""
    items = rows.dropna(subset="score").groupby(["method", *ITEM], observed=True)["score"].mean()
    return items.groupby(["method", "persona_id"], observed=True).mean().unstack("method").dropna(axis=1, how="all")


def _means(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return weighted means over people, who may lack a value: array (draws, methods), rounded so that equals tie.

    Args:
        values: array (people, methods).
        weights: array (draws, people).
    """
    known = ~np.isnan(values)
    with np.errstate(invalid="ignore"):  # nobody drawn has a value
        return (weights @ np.where(known, values, 0.0) / (weights @ known)).round(12)


def headline(rows: pd.DataFrame, gaps: pd.DataFrame) -> str:
    """Return what policies show, as a sentence.

    Args:
        rows: of `table`.
        gaps: of `differences`, to a reference.
    """
    if gaps.empty or rows["policy"].isna().all():
        return "No pick could be judged."
    reference, k = gaps["subtrahend"].iloc[0], int(gaps["k"].iloc[0])
    floor = rows.set_index("method").loc[reference]
    found = stats.share(
        floor["policy"], floor["policy_low"], floor["policy_high"], n=floor["people"], note=floor["note"]
    )
    start = f"Policy, k = {k}: people prefer what {reference} picks in {found}"
    if floor["people"] < scores.FEW:
        return f"{start}; too few people to compare methods: {scores.FEW} or more."
    better = gaps[(gaps["p_holm"] < ALPHA) & (gaps["difference"] > 0)].sort_values("difference", ascending=False)
    compared = int(gaps["p"].notna().sum())
    if better.empty:
        return f"{start}; no method's picks are preferred more often (Holm over {compared} methods)."
    first = better.iloc[0]
    gain = stats.points(first["difference"], first["low"], first["high"])
    return f"{start}; {len(better)} of {compared} methods pick better (Holm), {first['minuend']} by {gain}."


def related(found: dict, one: str, other: str) -> str:
    """Return in words how far two orders of methods agree, such as those by prediction and by policy."""
    if np.isnan(found["tau"]):
        return f"Order of methods by {one} and by {other}: {found['note']}."
    note = found["note"] or "people resampled"
    value = stats.number(found["tau"], found["low"], found["high"], found["people"], note)
    return f"Kendall's tau between the orders of {found['methods']} methods by {one} and by {other}: {value}."
