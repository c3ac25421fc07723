"""Synthetic people as a world: every persona of a block chooses between the same answers to the same prompts.

Pairs of a base answer and its revision for one person give methods nothing that people share. Here the candidates of a
prompt are written to diverge: half of them for different people of the training side, half by one request for answers
that diverge (Community Alignment, arXiv 2507.09650, finds that answers drawn independently are too alike to learn
people's differences from). Every persona chooses between the same pairs of them, in both orders.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ... import UserError, seeds, stats
from ...judges import verdicts
from ...model import LanguageModel
from ...personas import profiles, respondents
from ...stats.clustering import FEW
from ...stats.intervals import ITEM
from .candidates import written
from .world import World, checked

ANSWERS = (4, 8)  # candidates of a prompt: fewest and most
TESTED = 0.25  # share of a block's people, and of its prompts, that come from the test side
# Attributes of a persona that may serve as groups; the profile has all.
GROUPS = ("age", "sex", "race", "education", "income", "marital status", "religion", "political views")
LABEL = "ideology label"


def sides(n: int) -> tuple[int, int]:
    """Return how many of n people, or prompts, of a block come from the training side and how many from the test side.

    Raises:
        UserError: there are fewer than two, so that one side has none.
    """
    if n < 2:
        raise UserError(f"a block of choices takes 2 people and 2 prompts at least, one to test each, not {n}")
    tested = max(round(TESTED * n), 1)
    return n - tested, tested


def world(
    people: pd.DataFrame,
    prompts: pd.DataFrame,
    writer: LanguageModel,
    judge: LanguageModel,
    answers: int = 6,
    compared: int = 6,
    words: int | None = 120,
    templates: str | None = None,
) -> World:
    """Let every person choose between the same answers to every prompt.

    Args:
        people: personas, index `persona_id`, with `persona_split`.
        prompts: columns `prompt_id`, `prompt`, `prompt_split`.
        writer: the model that writes the answers.
        judge: the model that plays the personas.
        answers: candidates of each prompt, 4 to 8.
        compared: pairs of candidates of each prompt; each is shown in both orders.
        words: length to ask for; None asks for none.
        templates: folder with `direct.txt`, `diverge.txt` or `prefer.txt` of the user's own.

    Returns:
        A world. `people` has groups and `profile`. `candidates` also has `written_for` (the person, missing where one
        request asked for several answers) and `failure`; a failed answer has no text. `choices` has two rows for each
        person and pair, one per order: `p_first` is the probability that the judge gives to the answer shown first,
        0.5 for a tie, missing with `failure`.

    Raises:
        UserError: a number is out of range, or as `LanguageModel.ask`.
    """
    pairs = _pairs(answers, compared)
    candidates = written(people, prompts, writer, answers, words, templates)
    asked = _asked(candidates, people, prompts, pairs)
    choices = _chosen(asked, judge, templates)
    own = people[[name for name in GROUPS if name in people]]
    own = respondents.bands(own) if "age" in own else own.astype("str")
    if LABEL in people:
        own = own.assign(ideology=people[LABEL].astype("str"))
    about = (
        f"{len(people):,} personas choose between {answers} answers to each of {len(prompts):,} prompts, {compared} "
        f"pairs in both orders; {writer.name} writes, {judge.name} chooses in their place"
    )
    own = own.assign(profile=profiles.texts(people), persona_split=people["persona_split"])
    shown = candidates.drop(columns="place").sort_values("candidate_id", ignore_index=True)
    return checked(World("PERSONA", about, own, prompts.reset_index(drop=True), shown, choices))


def _pairs(answers: int, compared: int) -> list[tuple[int, int]]:
    """Return which places are compared: neighbors in a ring first, so that each is compared about equally often."""
    fewest, most = ANSWERS
    if not fewest <= answers <= most:
        raise UserError(f"a prompt takes {fewest} to {most} answers, not {answers}")
    ring = [
        (start, (start + apart) % answers)
        for apart in range(1, answers // 2 + 1)
        for start in (*range(0, answers, 2), *range(1, answers, 2))
    ]
    every = list(dict.fromkeys((min(pair), max(pair)) for pair in ring))
    if not 1 <= compared <= len(every):
        raise UserError(f"{answers} answers make 1 to {len(every)} pairs, not {compared}")
    return every[:compared]


def _asked(
    candidates: pd.DataFrame, people: pd.DataFrame, prompts: pd.DataFrame, pairs: Sequence[tuple[int, int]]
) -> pd.DataFrame:
    """Return each person's pairs as `verdicts.prefer` takes them, with candidate ids `a`, `b`, and `failure`."""
    by_place = candidates.set_index(["prompt_id", "place"])
    shown = pd.DataFrame(
        [(prompt, *_of_pair(by_place.loc[prompt], pair)) for prompt in prompts["prompt_id"] for pair in pairs],
        columns=["prompt_id", "a", "b", "chosen", "rejected", "failure"],
    ).merge(prompts[["prompt_id", "prompt"]], on="prompt_id")
    told = pd.DataFrame({"persona_id": people.index, "profile": profiles.texts(people).to_numpy()})
    every = told.merge(shown, how="cross")
    return every.assign(pair_id=every["persona_id"] + " " + every["a"] + " " + every["b"])


def _of_pair(own: pd.DataFrame, pair: tuple[int, int]) -> tuple[str | None, ...]:
    """Return the ids and texts of a pair, and why there is no choice between them, or None."""
    one, other = own.loc[pair[0]], own.loc[pair[1]]
    reasons = [f"an answer is missing: {x['failure']}" for x in (one, other) if pd.isna(x["text"])]
    if not reasons and one["text"].strip() == other["text"].strip():
        reasons = [verdicts.SAME]
    return one["candidate_id"], other["candidate_id"], one["text"], other["text"], next(iter(reasons), None)


def _chosen(asked: pd.DataFrame, judge: LanguageModel, templates: str | None) -> pd.DataFrame:
    """Let the judge choose; return the choices, two rows per pair."""
    possible = asked[asked["failure"].isna()]
    told = verdicts.prefer(judge, possible, templates, "choices of people").reindex(asked.index)
    rows = []
    for one, other, p in (("a", "b", told["p_first"]), ("b", "a", 1 - told["p_second"])):
        columns = {
            "choice_id": (asked["pair_id"] + " " + asked[one]).map(lambda name: seeds.digest(name, 16)),
            **{key: asked[key] for key in ITEM},
            "first": asked[one],
            "second": asked[other],
            "p_first": p.mask(verdicts.won(p) == 0.5, 0.5),
            "failure": asked["failure"].fillna(told["failure"]).where(p.isna()),
        }
        rows.append(pd.DataFrame(columns))
    return pd.concat(rows).sort_index(kind="stable").reset_index(drop=True)


def _items(world: World) -> pd.DataFrame:
    """Return one row per person and pair of answers, in whichever orders it was shown.

    Columns `persona_id`, `prompt_id`, `pair`, `prefers` (1 the first by id, 0 the other, 0.5 a tie, missing without a
    choice), `same` (1 if both orders prefer the same, 0.5 if one is a tie; missing without both), `differs` (the share
    of the others who prefer otherwise; a tie differs by a half).
    """
    choices = world.choices
    straight = choices["first"] < choices["second"]
    p = choices["p_first"].where(straight, 1 - choices["p_first"])
    ends = [choices["first"].where(straight, choices["second"]), choices["second"].where(straight, choices["first"])]
    rows = choices[ITEM].assign(pair=ends[0] + " " + ends[1], p=p, won=verdicts.won(p), order=straight)
    by = rows.groupby([*ITEM, "pair"], sort=False)
    wide = rows.groupby([*ITEM, "pair", "order"], sort=False)["won"].mean().unstack().reindex(columns=[False, True])
    items = pd.DataFrame({"prefers": verdicts.won(by["p"].mean()), "same": 1 - (wide[True] - wide[False]).abs()})
    items = items.rename_axis([*ITEM, "pair"]).reset_index()
    return items.assign(differs=items.groupby("pair")["prefers"].transform(_otherwise))


def _otherwise(prefers: pd.Series) -> np.ndarray:
    """Return the share of the others who prefer otherwise, for each person; missing with fewer than two."""
    known = prefers.dropna()
    gaps = np.abs(prefers.to_numpy()[:, None] - known.to_numpy()).sum(axis=1)
    return gaps / (len(known) - 1) if len(known) > 1 else np.full(len(prefers), np.nan)


def report(world: World) -> pd.DataFrame:
    """Return for each prompt how far people differ, and how far each is at one with themself, before any method runs.

    Args:
        world: whose people choose between the same answers; both orders are needed for `self_consistency` alone.

    Returns:
        Per prompt that was asked: `prompt_id`, `prompt`, `people`, `pairs`, `choices`, `failed` (numbers), `ties`
        (share of choices), `first` (share of choices for the answer shown first; a tie is a half), `disagreement` (how
        often two people prefer different answers), `self_consistency` (how often a person prefers the same answer in
        both orders). A tie counts as half of each answer. People who differ no more than one differs from themself
        (1 - `self_consistency`) show no taste of their own. Those who differ most stand first.
    """
    choices, items = world.choices, _items(world)
    won = pd.Series(verdicts.won(choices["p_first"]), choices.index)
    by = choices.assign(failed=won.isna(), tie=(won == 0.5).where(won.notna()).astype(float), won=won)
    groups = by.groupby("prompt_id")
    table = pd.DataFrame(
        {
            "people": groups["persona_id"].nunique(),
            "pairs": items.groupby("prompt_id")["pair"].nunique(),
            "choices": groups.size(),
            "failed": groups["failed"].sum(),
            "ties": groups["tie"].mean(),
            "first": groups["won"].mean(),
            "disagreement": items.groupby("prompt_id")["differs"].mean(),
            "self_consistency": items.groupby("prompt_id")["same"].mean(),
        }
    )
    texts = world.prompts.set_index("prompt_id")["prompt"]
    table.insert(0, "prompt", table.index.map(texts))
    return table.sort_values("disagreement", ascending=False, kind="stable").reset_index()


def told(world: World) -> str:
    """Return in words how many choices there are, how far people differ, and how far each is at one with themself."""
    choices, items = world.choices, _items(world)
    failed = choices["p_first"].isna()
    people, prompts = (choices[key].nunique() for key in ITEM)
    tested = int((world.people["persona_split"] == "test").sum())
    few = f", too few to compare methods ({FEW} or more; raise dense_personas)" if tested < FEW else ""
    lines = [
        f"{len(choices):,} choices of {people:,} people about {prompts:,} prompts, {failed.sum():,} of them failed",
        f"people to test methods on: {tested:,}{few}",
    ]
    why = choices.loc[failed, "failure"].value_counts().head(3)
    lines += [f"{n:,} choices are missing: {reason}" for reason, n in why.items()]
    first = choices.assign(won=verdicts.won(choices["p_first"]))
    for says, rows, value in (
        ("two people prefer different answers in", items, "differs"),
        ("one person prefers the same answer in both orders in", items, "same"),
        ("the answer shown first is preferred in", first, "won"),
    ):
        lines.append(f"{says} {stats.wording.of_rate(stats.rate(rows[value], rows[ITEM]))}")
    return "\n".join(lines)
