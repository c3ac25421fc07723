"""Generated answers: methods answer for people, and a model in the person's place compares with one answer for all.

A method that asks a model writes with what it is told of the person; any other picks the best of the world's
candidates. Beside the win rate stand what may explain it or speak against it: length, refusals, agreement with false
premises, and cost.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ... import UserError, seeds, stats
from ...judges.verdicts import prefer, won
from ...model import LanguageModel
from ...prompts.words import count
from ...stats.intervals import ITEM, difference
from ...stats.wording import ALPHA
from ..builtin.prompted import Judged, Prompted
from ..cases import Readied, Setting, cases, ready
from ..method import Embed, Method, title
from ..trial import one_thread
from ..worlds import world as worlds
from ..worlds.world import World
from . import policy, premises, scores
from .answers import ANSWERS, COSTS, answers, effects
from .coverage import alike, tables_of

ALL = title(Prompted)  # one answer for all: the method that is told nothing of the person
PROMPTS = 4
NO_MODEL = "No model is given: no answers are generated."


class Generated(NamedTuple):
    """What `study` finds; without a model, tables without rows and a sentence that says so.

    `answers` to the world's prompts, `judged` against one answer for all, `wins`, `effects`, `premises` and `control`
    (of the judge), `costs`: as the functions of these names return them; `control` as `premises.control`. `tau`: as
    `policy.tau`, between the orders of methods by reward accuracy and by win rate. `says`: the finding.
    """

    says: str
    answers: pd.DataFrame
    judged: pd.DataFrame
    wins: pd.DataFrame
    effects: pd.DataFrame
    premises: pd.DataFrame
    control: pd.DataFrame
    costs: pd.DataFrame
    tau: dict[str, Any]

    def tables(self) -> dict[str, pd.DataFrame]:
        """Return the tables by name."""
        return tables_of(self)


def nothing(says: str = NO_MODEL) -> Generated:
    """Return a study without any answer, which says why."""
    empty = {"answers": ANSWERS, "judged": (*ITEM, "method", "score"), "wins": ("n", "rate"), "effects": ("n", "words")}
    empty |= {"premises": ("n", "rate"), "control": ("n", "rate"), "costs": COSTS}
    none = policy.tau(*[pd.DataFrame(columns=["method", *ITEM, "score"], dtype=object)] * 2)
    return Generated(says, **{name: pd.DataFrame(columns=list(columns)) for name, columns in empty.items()}, tau=none)


def check(world: World, embed: Embed) -> None:
    """Check before anything is asked that answers can be generated and judged on a world.

    Raises:
        UserError: its people have no profile, or new texts have no vector.
    """
    if "profile" not in world.people:
        raise UserError(f"people of world '{world.name}' have no column 'profile', so that no model can judge for them")
    first = premises.questions().iloc[0]
    embed([first["prompt"]], [first["accepts"]])


@one_thread
def study(
    world: World | None,
    methods: Sequence[Method],
    judge: LanguageModel | None,
    predictions: pd.DataFrame | None,
    setting: Setting,
    n_people: int,
    n_prompts: int = PROMPTS,
) -> Generated:
    """Let methods answer for people, and compare their answers with one answer for all.

    Args:
        world: people, prompts and candidates; None for none.
        methods: as the trial has fitted them, those that ask a model among them; None of these generates nothing.
        judge: the model in the person's place, and of premises; None for none.
        predictions: of `trial.run` by the same methods on the same world; the largest k at which they are compared
            counts (`coverage.alike`).
        setting: of the trial.
        n_people: of the tested people that have k choices, those of the least hashes.
        n_prompts: of the tested prompts, likewise; every person answers the same ones.

    Raises:
        UserError: as `check`, `cases.ready` and `LanguageModel.ask`.
    """
    writer = next((method for method in methods if type(method) is Prompted), None)
    if world is None or judge is None or predictions is None or writer is None:
        return nothing()
    check(world, writer.embed)
    methods = [*methods, Judged(writer.embed, writer.model, writer.seed)]
    same = alike(predictions)
    readied = ready(world, setting._replace(ks=(int(same["k"].max()),)))
    people, prompts = _drawn(readied, n_people, n_prompts)
    written, costs = answers(readied, methods, people, prompts, worlds.answers(world))
    on_false, _ = answers(readied, methods, people, premises.questions(), premises.candidates())
    compared = judged(written, prompts, world, judge)
    won_by = wins(compared)
    accepted = premises.table(premises.verdicts(on_false, judge), ALL)
    known = scores.graded(same[same["k"] == same["k"].max()])
    tau = policy.tau(known, compared, setting.seed)
    return Generated(
        headline(won_by, accepted, tau, len(people), len(prompts), judge.name),
        answers=written,
        judged=compared,
        wins=won_by,
        effects=effects(written),
        premises=accepted,
        control=premises.control(judge),
        costs=costs,
        tau=tau,
    )


def _drawn(readied: Readied, n_people: int, n_prompts: int) -> tuple[list[str], pd.DataFrame]:
    """Return the tested people with the least hashes who have k choices, and the tested prompts likewise."""
    able = {case.persona_id for case in cases(readied, readied.setting.ks, 1) if not case.failure}
    choices = readied.choices
    asked = choices.loc[choices["cell"] == readied.setting.cell, "prompt_id"].unique()
    ids = sorted(asked, key=lambda name: seeds.digest(f"answered {name}"))[:n_prompts]
    prompts = readied.world.prompts.set_index("prompt_id").loc[ids].reset_index()
    return sorted(able, key=lambda name: seeds.digest(f"answered for {name}"))[:n_people], prompts


def judged(written: pd.DataFrame, prompts: pd.DataFrame, world: World, judge: LanguageModel) -> pd.DataFrame:
    """Let a model in each person's place choose between a method's answer and one answer for all, in both orders.

    Args:
        written: of `answers`, by the method ALL among others.
        prompts: `prompt_id`, `prompt`.
        world: whose people have a `profile`.
        judge: the model that plays the person.

    Returns:
        One row per person, prompt and other method: `persona_id`, `prompt_id`, `method`, `score` (the mean over both
        orders of 1 if the method's answer is preferred, 0 if the other is, 0.5 for a tie; missing with `failure`),
        `p_chosen` (the method's answer's mean probability), `flip` (the order decides), `words`, `length_difference`
        (words less those of the answer for all), `same` (the same text: a tie, and the judge is not asked), `failure`.
    """
    text = prompts.set_index("prompt_id")["prompt"]
    one = written[written["method"] == ALL].set_index(ITEM)[["answer", "failure"]]
    table = written[written["method"] != ALL].join(one.add_suffix("_for_all"), on=ITEM).reset_index(drop=True)
    table["failure"] = table["failure"].fillna("no answer for all: " + table.pop("failure_for_all"))
    table["words"] = table["answer"].map(count, na_action="ignore").astype(float)
    table["length_difference"] = table["words"] - table["answer_for_all"].map(count, na_action="ignore").astype(float)
    same = table["answer"].str.strip() == table["answer_for_all"].str.strip()
    pairs = table[table["failure"].isna() & ~same]
    pairs = pairs.assign(
        prompt=pairs["prompt_id"].map(text),
        profile=pairs["persona_id"].map(world.people["profile"]),
        pair_id=pairs["persona_id"] + " " + pairs["prompt_id"] + " " + pairs["method"],
    ).rename(columns={"answer": "chosen", "answer_for_all": "rejected"})
    found = prefer(judge, pairs, step="answers compared").reindex(table.index)
    score = (won(found["p_first"]) + won(found["p_second"])) / 2
    table["score"] = pd.Series(score, table.index).mask(same, 0.5)
    table["p_chosen"], table["flip"] = found["p_chosen"].mask(same, 0.5), found["flip"].mask(same, False)
    table["failure"] = table["failure"].fillna(found["failure"]).where(table["score"].isna())
    return table.assign(same=same).drop(columns=["answer", "answer_for_all"])


def wins(compared: pd.DataFrame) -> pd.DataFrame:
    """Return how often each method's answers are preferred to one answer for all.

    Args:
        compared: of `judged`.

    Returns:
        Index `method`; as `stats.length_controlled`: `n`, `failed`, `rate` (win rate, a tie is a half), `low`, `high`,
        `controlled`, `controlled_low`, `controlled_high` (the win rate at equal length), `per_sd`, `note`; `p` that a
        method wins as often as it loses (as `stats.paired_differences`), `p_holm` over all methods; and `same` (answers
        that are the answer for all), `flips` (the order decides). All is clustered by person and prompt. Length control
        is that of AlpacaEval (arXiv 2404.04475), simplified: one logistic model per method, in its length alone; there
        the difficulty of each instruction is a term, too, fitted over many models.
    """
    table = stats.length_controlled(compared, "method")
    by = compared.groupby("method", sort=False)
    margins = compared.set_index(ITEM).assign(margin=lambda rows: 2 * rows["score"] - 1)  # won less lost
    p = margins.groupby("method", sort=False)["margin"].agg(lambda own: difference(own)["p"]).astype(float)
    table = table.assign(p=p, p_holm=stats.corrected(p), same=by["same"].sum(), flips=by["flip"].sum().astype(int))
    return table[[*table.columns.drop("note"), "note"]]


def headline(
    won_by: pd.DataFrame, accepted: pd.DataFrame, tau: Mapping[str, Any], people: int, prompts: int, judge: str
) -> str:
    """Return what a study found, in sentences.

    Args:
        won_by: of `wins`.
        accepted: of `premises.table`.
        tau: of `policy.tau`.
        people, prompts: how many of each.
        judge: its name.
    """
    start = f"Answers for {people} people to {prompts} prompts, against one answer for all ({judge} judges)"
    known = won_by.dropna(subset="rate")
    if known.empty:
        return f"{start}: nothing could be scored."
    related = policy.related(dict(tau), "prediction", "win rate")
    tested = int(known["p"].notna().sum())
    better = known[(known["p_holm"] < ALPHA) & (known["rate"] > 0.5)]
    if better.empty:
        return f"{start}: no method is shown to win (Holm over {tested} methods). {related}"
    best = better.loc[better["rate"].idxmax()]
    found = stats.share(best["rate"], best["low"], best["high"], n=best["n"], note=best["note"])
    length = "" if np.isnan(best["controlled"]) else f", at equal length {best['controlled']:.0%}"
    row = accepted.loc[best.name] if best.name in accepted.index else pd.Series({"rate": np.nan})
    false = "" if np.isnan(row["rate"]) else (
        f" It goes along with {row['rate']:.0%} of false premises, told nothing with {accepted.loc[ALL, 'rate']:.0%}."
    )  # fmt: skip
    return f"{start}: {len(better)} of {tested} methods win (Holm), {best.name} most, {found}{length}.{false} {related}"
