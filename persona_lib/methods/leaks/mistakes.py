"""Mistakes that move the accuracy of the same method on the same people, each switched on by itself.

Published accuracies on one data set differ by more than methods do. `table` compares a method as it should be tested
(people and prompts apart, whole conversations on one side, every person counted once, all draws averaged) with the same
method after one mistake.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats as distributions

from ... import UserError, seeds, stats
from ...preferences.splits import CONTEXT
from ...stats.clustering import linearized
from ...stats.intervals import ITEM
from .. import cases, trial
from ..builtin.latent import LowRank
from ..cases import CELL
from ..embedding import embedder
from ..method import Method
from ..scoring import scores
from ..worlds.world import World, cells

LISTED = "['{}']"  # how a program prints a list of one text
ROW_FOLDS = 2
FORMAT, ROWS, CONVERSATION, MICRO, BEST = (
    "leaked format",
    "split by row",
    "pairs of one conversation",
    "micro, not macro",
    "best of the draws",
)
# Mistake -> what it does, and what stops it here.
SAYS = {
    FORMAT: ("answers that were not chosen go in as printed lists", "gate: format"),
    ROWS: ("rows are split: tested people and prompts are in training", "cells: a person and a prompt have one side"),
    CONVERSATION: ("other pairs of the tested conversation are known", "gate: context contains the test"),
    MICRO: ("people count as often as they chose", "scores: a person counts once"),
    BEST: ("people and prompts are split several times, the best is reported", "draws: all are averaged"),
}
COLUMNS = ["mistake", "right", "right_low", "right_high", "wrong", "difference", "low", "high", "n", "people", "failed"]
COLUMNS += ["says", "stopped_by"]


class Split(NamedTuple):
    """Who learns from what: boolean arrays over the choices of a world.

    `train`, `known` of each person, `asked`; `tested` has all of the cell, also the pairs that share an answer with one
    that is asked.
    """

    train: np.ndarray
    known: np.ndarray
    asked: np.ndarray
    tested: np.ndarray


def right_split(world: World, cell: str) -> Split:
    """Return the split of a trial, in which all of a person's history is known."""
    cell_of = cells(world).to_numpy()
    tested = (cell_of == cell) & world.choices["p_first"].notna().to_numpy()
    asked = world.choices.index.isin(cases.asked(world.choices[tested]).index)
    return Split(cell_of == "train", cell_of == CONTEXT, asked, tested)


def row_splits(world: World, right: Split) -> Iterator[Split]:
    """Yield splits that ask what `right` asks, a part at a time, and learn from all other rows."""
    item = world.choices[ITEM[0]] + world.choices[ITEM[1]]
    part = item.map(lambda one: int(seeds.digest(f"row {one}", 6), 16) % ROW_FOLDS).to_numpy()
    for fold in range(ROW_FOLDS):
        tested = right.tested & (part == fold)  # whole conversations, so that this is one mistake alone
        yield Split(~tested, ~tested, right.asked & tested, tested)


def conversation_splits(world: World, right: Split) -> Iterator[Split]:
    """Yield the split that asks what `right` asks, and knows the other pairs of each conversation."""
    yield right._replace(known=right.known | (right.tested & ~right.asked))


def predicted(world: World, method: Method, splits: Iterable[Split]) -> pd.DataFrame:
    """Return a method's predictions of what each split asks; it is fitted anew where `train` changes.

    Columns `choice_id`, `persona_id`, `prompt_id`, `p_first`, `chosen`, `failure`, and `score` of `scores.graded`.
    """
    texts = cases.texts(world)
    readied = cases.Readied(world, texts, texts.iloc[:0], cases.Setting())
    told = trial.told_of(world, method, world.people.index)
    shown = [*cases.SHOWN, "p_first"]
    fitted, tables = None, []
    for split in splits:
        if fitted is None or (split.train != fitted).any():
            fitted = split.train
            choices = texts.assign(cell=np.where(split.train, "train", ""))
            wrong = trial.fit(readied._replace(choices=choices), method)
        of_known = {person: rows for person, rows in texts[split.known].groupby("persona_id")}
        for person, tests in texts[split.asked].groupby("persona_id"):
            context = of_known.get(person, texts.iloc[:0])[shown].reset_index(drop=True)
            p, failure = np.full(len(tests), np.nan), wrong
            if not failure:
                case = cases.Case(str(person), 0, len(context), context, tests, None)
                p, failure = trial.predicted(method, case, told)
            tables.append(tests[["choice_id", *ITEM]].assign(p_first=p, chosen=tests["p_first"], failure=failure))
    if not tables:
        raise UserError(f"world '{world.name}' has no choice to test on")
    return scores.graded(pd.concat(tables, ignore_index=True))


def leaked(world: World) -> World:
    """Return a world in which answers that were not chosen are printed lists, and vectors show who is one.

    Each choice gets candidates of its own, whose ids tell nothing.
    """
    old = world.candidates.set_index("candidate_id")
    prompt = old["prompt_id"].map(world.prompts.set_index("prompt_id")["prompt"])
    vectors = pd.DataFrame(embedder(world)(prompt, old["text"]), old.index)
    choices = world.choices.copy()
    sides = []
    for side, lost in (("first", choices["p_first"] < 0.5), ("second", choices["p_first"] > 0.5)):
        text = choices[side].map(old["text"])
        ids = (choices["choice_id"] + side).map(lambda one: seeds.digest(one, 16))
        shown = text.where(~lost, text.map(LISTED.format))
        made = {"candidate_id": ids, "prompt_id": choices["prompt_id"], "text": shown}
        sides.append(pd.DataFrame(made).assign(was=choices[side], listed=lost.astype(float)))
        choices[side] = ids
    both = pd.concat(sides).sort_values("candidate_id", ignore_index=True)
    features = vectors.loc[both["was"]].set_axis(both["candidate_id"]).assign(listed=both["listed"].to_numpy())
    candidates = both[["candidate_id", "prompt_id", "text"]]
    return world._replace(candidates=candidates, choices=choices, features=features.rename(columns=str))


def by_pair(world: World) -> World:
    """Return a world whose pairs have prompt ids of their own, as files have that do not keep the conversation."""
    place = world.choices.groupby(ITEM).cumcount().astype(str)
    tables: dict[str, list[pd.DataFrame]] = {"prompts": [], "candidates": [], "features": []}
    for number in sorted(place.unique()):
        mark = f", pair {number}"
        tables["prompts"].append(world.prompts.assign(prompt_id=world.prompts["prompt_id"] + mark))
        own = {name: world.candidates[name] + mark for name in ("candidate_id", "prompt_id")}
        tables["candidates"].append(world.candidates.assign(**own))
        if world.features is not None:
            tables["features"].append(world.features.set_axis(world.features.index + mark))
    renamed = {name: world.choices[name] + ", pair " + place for name in ("prompt_id", "first", "second")}
    return world._replace(
        prompts=pd.concat(tables["prompts"], ignore_index=True),
        candidates=pd.concat(tables["candidates"], ignore_index=True),
        features=pd.concat(tables["features"]) if tables["features"] else None,
        choices=world.choices.assign(**renamed),
    )


def split_anew(world: World, rng: np.random.Generator) -> World:
    """Return a world with as many people and prompts on each side, but others."""
    people = world.people.assign(persona_split=rng.permutation(world.people["persona_split"]))
    prompts = world.prompts.assign(prompt_split=rng.permutation(world.prompts["prompt_split"]))
    return world._replace(people=people, prompts=prompts)


@trial.one_thread
def table(world: World, cell: str = CELL, kind: type[Method] = LowRank, draws: int = 5, seed: int = 0) -> pd.DataFrame:
    """Return what each mistake makes of a method's accuracy, on the same people and choices.

    Args:
        world: whose conversations give a person several pairs; without such, that mistake can't be made and moves
            nothing.
        cell: that is tested. All of a person's history is known, however long it is.
        kind: the method.
        draws: splits of people and prompts, of which the best is reported; 1 or more.
        seed: of these splits.

    Returns:
        One row per mistake: `mistake`; `right` and `wrong`, the accuracies without and with it; `right_low`,
        `right_high`, `difference`, `low`, `high` (95%, clustered by person and prompt; that of the best draw does not
        know that it was chosen); `n` (choices), `people`, `failed` (choices without a prediction), `says`,
        `stopped_by`.

    Raises:
        UserError: as `trial.run`, or nothing is tested.
    """
    right = right_split(world, cell)
    method = kind(embedder(world), None, seed)
    base = predicted(world, method, [right])
    other = leaked(world)
    wrong = {
        FORMAT: predicted(other, kind(embedder(other), None, seed), [right]),
        ROWS: predicted(world, method, row_splits(world, right)),
        CONVERSATION: predicted(world, method, conversation_splits(world, right)),
    }
    rows = [_beside(base, made) | {"mistake": name} for name, made in wrong.items()]
    rows.append(_micro(base) | {"mistake": MICRO})
    again = [base]
    for draw in range(1, draws):
        anew = split_anew(world, seeds.rng("people and prompts split anew", seed, draw))
        again.append(predicted(anew, method, [right_split(anew, cell)]))
    rows.append(_best(again) | {"mistake": BEST})
    made = pd.DataFrame(rows)
    made["says"], made["stopped_by"] = (made["mistake"].map(lambda name, i=i: SAYS[name][i]) for i in (0, 1))
    return made[COLUMNS]


def headline(table: pd.DataFrame, name: str) -> str:
    """Return what mistakes made of one world's accuracy, as a sentence.

    Args:
        table: of `table`.
        name: of the world.
    """
    name = name[:1].upper() + name[1:]
    known = table.dropna(subset="difference")
    if known.empty:
        return f"{name}: nothing could be predicted."
    worst = known.loc[known["difference"].idxmax()]
    by = stats.points(worst["difference"], worst["low"], worst["high"], n=worst["n"])
    right = stats.share(worst["right"], worst["right_low"], worst["right_high"], n=worst["n"])
    moved = int((known["low"] > 0).sum())
    return (
        f"{name}: {right} right as it should be tested; the largest change is that of {worst['mistake']}, "
        f"{by}; {moved} of {len(table)} mistakes raise it with an interval above 0."
    )


def _beside(right: pd.DataFrame, wrong: pd.DataFrame) -> dict:
    """Return a row of `table` for two sets of predictions of the same choices."""
    both = right.merge(wrong[["choice_id", "score"]], on="choice_id", suffixes=("", "_wrong")).dropna(
        subset=["score", "score_wrong"]
    )
    one, other = (scores.by_item(both, value) for value in ("score", "score_wrong"))
    rights = scores.moves(one)
    return _row(scores.macro(one), scores.macro(other), rights, scores.moves(other) - rights, both, wrong)


def _micro(right: pd.DataFrame) -> dict:
    """Return a row of `table` in which each choice counts once."""
    rows = right.dropna(subset="score")
    items = scores.by_item(rows)
    size = rows.groupby(ITEM)["score"].size()
    macro, micro = scores.macro(items), rows["score"].mean()
    rights = scores.moves(items)
    return _row(macro, micro, rights, size / size.sum() * (items["value"] - micro) - rights, rows, right)


def _best(draws: list[pd.DataFrame]) -> dict:
    """Return a row of `table` for the mean of all draws, and the best of them."""
    items = [scores.by_item(rows) for rows in draws]
    means = np.array([scores.macro(one) for one in items])
    best = int(np.nanargmax(means)) if not np.isnan(means).all() else 0
    counted = [(i == best) - 1 / len(draws) for i in range(len(draws))]
    moved = [scores.moves(one) for one in items]
    rights = pd.concat([own / len(draws) for own in moved])
    pushes = pd.concat([own * count for own, count in zip(moved, counted, strict=True)])
    rows = pd.concat(draws)
    return _row(means.mean(), means[best], rights, pushes, rows.dropna(subset="score"), rows)


def _row(
    right: float, wrong: float, rights: pd.Series, pushes: pd.Series, rows: pd.DataFrame, asked: pd.DataFrame
) -> dict:
    """Return a row of `table`, its intervals by `clustering.linearized`.

    Args:
        right, wrong: accuracies.
        rights, pushes: by how much each item moves `right`, and the difference; index ITEM.
        rows: the choices that count.
        asked: all choices.
    """
    half, half_right = (_half(own) for own in (pushes, rights))
    gap = wrong - right
    found = {
        "right": right,
        "right_low": max(right - half_right, 0.0),
        "right_high": min(right + half_right, 1.0),
        "wrong": wrong,
        "difference": gap,
        "low": max(gap - half, -1.0),
        "high": min(gap + half, 1.0),
    }
    counts = {"n": len(rows), "people": rows["persona_id"].nunique(), "failed": int(asked["p_first"].isna().sum())}
    return found | counts


def _half(pushes: pd.Series) -> float:
    """Return half the width of a 95% interval; missing with fewer than two clusters."""
    variance, fewest = linearized(pushes)
    return distributions.t.ppf(0.975, fewest - 1) * np.sqrt(variance) if fewest > 1 else np.nan
