"""The policy of a method, offline: among the candidates of a prompt it picks an answer, and people prefer it or not.

A method that predicts choices well need not pick answers that people prefer (arXiv 2512.23067 finds that both orders of
methods are nearly unrelated). So the same methods, on the same people, stand in one table with both accuracies.
"""

import numpy as np
import pandas as pd
from scipy.stats import kendalltau

from ... import UserError, seeds, stats
from ...judges.verdicts import won
from ...stats.clustering import FEW
from ...stats.intervals import ITEM, linear_difference
from ...stats.wording import ALPHA
from ..cases import Case, Readied, Setting, cases, ready
from ..costs import Meter
from ..method import Method, title
from ..method import reason as said
from ..method import told as read
from ..trial import adapted, asked, one_thread, told_of
from ..worlds import world as worlds
from ..worlds.world import World
from . import scores

COLUMNS = ("method", "k", "draw", *ITEM, "answer", "preferred", "ceiling", "compared", "failure")
NEVER = "the person never compared this answer"
DRAWS = 500  # of the spread of tau
METHODS, PEOPLE = 3, 8  # fewer have no tau, or no spread


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
    candidates = worlds.answers(world)
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
    person = asked(readied, method)

    def picked(case: Case) -> list[tuple[str | None, str | None]]:
        tests = case.tests.drop_duplicates("prompt_id")
        own = [candidates.get(prompt, np.empty(0, object)) for prompt in tests["prompt_id"]]
        try:
            one = adapted(method, case, told, person(case))
            # The best of n, also of methods that write answers of their own: here a person's choices are known.
            return read(Method.answer(one, tests["prompt"].to_numpy(object), own), len(tests))
        except UserError:
            raise
        except (Exception, SystemExit) as error:
            return [(None, f"failed: {said(error)}")] * len(tests)

    tried = list(cases(readied, readied.setting.ks, None if sees else 1))
    unknown = {True: None, False: "not asked: it predicts nothing here"}
    reasons = [(case.failure if sees else None) or unknown[case.persona_id in known] for case in tried]
    able = [case for case, reason in zip(tried, reasons, strict=True) if not reason]
    done = Meter(method.model).each(picked, able)
    rows = []
    for case, reason in zip(tried, reasons, strict=True):
        prompts = case.tests["prompt_id"].unique()
        answers = [(None, reason)] * len(prompts) if reason else next(done).value or ()
        rows += [
            (name, case.draw, case.persona_id, prompt, *answer) for prompt, answer in zip(prompts, answers, strict=True)
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
    judged would mostly be equal picks; so the difference is that of both accuracies, and its variance comes from how
    far each person and prompt moves either (`stats.clustering.linearized`; an unjudged pick moves nothing).

    Returns:
        One row per other method, as `scores.differences`: `n` counts persons x prompts that one of both picks is judged
        for, `failed` the others.
    """
    every = len(picked[ITEM].drop_duplicates())
    items = {method: scores.by_item(own, "preferred") for method, own in picked.groupby("method", observed=True)}
    moves = {method: scores.moves(own) for method, own in items.items()}
    rows = []
    for method in [name for name in items if name != reference]:
        gap = scores.macro(items[method]) - scores.macro(items[reference])
        found = linear_difference(gap, moves[method].sub(moves[reference], fill_value=0.0))
        found["failed"] = every - found["n"]
        rows.append({"minuend": method, "subtrahend": reference, "k": picked["k"].iloc[0]} | found)
    columns = ["minuend", "subtrahend", "k", "n", "failed", "difference", "low", "high", "p", "note"]
    found_all = pd.DataFrame(rows, columns=columns)
    found_all.insert(9, "p_holm", stats.corrected(found_all["p"]))
    return found_all


def scored(picked: pd.DataFrame) -> pd.DataFrame:
    """Return picks as `tau` takes them: `score` is whether they are preferred."""
    return picked.rename(columns={"preferred": "score"})


def tau(one: pd.DataFrame, other: pd.DataFrame, seed: int = 0) -> dict:
    """Return Kendall's tau between two orders of methods: how far the one tells the other.

    Args:
        one, other: rows of methods with `method`, `persona_id`, `prompt_id` and `score`, such as whether predictions
            are right, and whether picks are preferred. Each order is by the mean over the people of both.
        seed: of the resampling.

    Returns:
        `tau` (b, which allows ties), `spread_low`, `spread_high` (see below), `p` (of no relation, over the methods),
        `methods`, `people`, `note`. Below METHODS methods all is missing, and below PEOPLE people the spread.

    The spread holds 95% of DRAWS taus with random weights for people and for prompts (Owen and Eckles 2012, here
    exponential as in Rubin's 1981 Bayesian bootstrap); the methods are fixed. It is no confidence interval: weights add
    noise to orders that have noise already, which pulls a tau away from 1 and -1, so that it need not hold the truth.
    """
    rows = [side.dropna(subset="score").astype({"method": object}) for side in (one, other)]
    people = pd.Index(np.intersect1d(*(side["persona_id"].unique() for side in rows)))
    sides = [side[side["persona_id"].isin(people)] for side in rows]
    methods = pd.Index(np.intersect1d(*(side["method"].unique() for side in sides)))
    missing = dict.fromkeys(["tau", "spread_low", "spread_high", "p"], np.nan)
    found = missing | {"methods": len(methods), "people": len(people)}
    if len(methods) < METHODS:
        return found | {"note": f"fewer than {METHODS} methods: no order to compare"}
    prompts = pd.Index(pd.concat(sides)["prompt_id"].unique())
    orders = [_Order(side, methods, people, prompts) for side in sides]
    whole = kendalltau(*(order.means(np.ones(len(people)), np.ones(len(prompts))) for order in orders))
    found |= {"tau": whole.statistic, "p": whole.pvalue}
    if np.isnan(whole.statistic):
        return found | {"note": "all methods are equal in one order"}
    if len(people) < PEOPLE:
        return found | {"note": "too few people: no spread"}
    rng = seeds.rng("people of two orders", seed)
    taus = []
    for _ in range(DRAWS):
        weights = rng.exponential(size=len(people)), rng.exponential(size=len(prompts))
        taus.append(kendalltau(*(order.means(*weights) for order in orders)).statistic)
    low, high = np.nanquantile(taus, [0.025, 0.975])
    return found | {"spread_low": low, "spread_high": high, "note": ""}


class _Order:
    """The scores of methods on people and prompts, whose means can be weighted."""

    def __init__(self, rows: pd.DataFrame, methods: pd.Index, people: pd.Index, prompts: pd.Index):
        items = rows[rows["method"].isin(methods)].groupby(["method", *ITEM])["score"].mean().reset_index()
        self.shape = len(methods), len(people)
        self.prompt = prompts.get_indexer(items["prompt_id"])
        self.place = methods.get_indexer(items["method"]) * len(people) + people.get_indexer(items["persona_id"])
        self.score = items["score"].to_numpy(float)

    def means(self, of_person: np.ndarray, of_prompt: np.ndarray) -> np.ndarray:
        """Return weighted means over people of their means over prompts: array (methods,), rounded so that equals tie.

        Args:
            of_person: array (people,) of weights above 0; a method's people without a score don't count.
            of_prompt: array (prompts,), likewise.
        """
        weight, size = of_prompt[self.prompt], self.shape[0] * self.shape[1]
        count = np.bincount(self.place, weight, size).reshape(self.shape)
        total = np.bincount(self.place, weight * self.score, size).reshape(self.shape)
        mean = np.divide(total, count, out=np.zeros(self.shape), where=count > 0)
        return (mean @ of_person / ((count > 0) @ of_person)).round(12)


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
    if floor["people"] < FEW:
        return f"{start}; too few people to compare methods: {FEW} or more."
    better = gaps[(gaps["p_holm"] < ALPHA) & (gaps["difference"] > 0)].sort_values("difference", ascending=False)
    compared = int(gaps["p"].notna().sum())
    if better.empty:
        return f"{start}; no method's picks are preferred more often (Holm over {compared} methods)."
    first = better.iloc[0]
    gain = stats.points(first["difference"], first["low"], first["high"], first["n"])
    return f"{start}; {len(better)} of {compared} methods pick better (Holm), {first['minuend']} by {gain}."


def related(found: dict, one: str, other: str) -> str:
    """Return in words how far two orders of methods agree, such as those by prediction and by policy."""
    if np.isnan(found["tau"]):
        return f"Order of methods by {one} and by {other}: {found['note']}."
    ends = "" if np.isnan(found["spread_low"]) else stats.span(pd.Series([found["spread_low"], found["spread_high"]]))
    spread = f"95% of resamples {ends}, no confidence interval" if ends else found["note"]
    return (
        f"Kendall's tau between the orders of {found['methods']} methods by {one} and by {other}: "
        f"{stats.span(pd.Series([found['tau']]))} ({spread}, n = {found['people']})."
    )
