"""Check a submission against its world: is it whole and unchanged, are its scores right, and which gates fire?

Each problem is one line. A problem makes a submission unfit for a board; a gate that fires stands there in red.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd

from .. import cases
from ..builtin.linear import Pooled
from ..embedding import embedder
from ..leaks import gates
from ..scoring import scores
from ..trial import COLUMNS as TRIAL
from ..trial import run
from ..worlds.world import World
from . import hidden, submissions
from .submissions import ABOUT, ANSWERS, CONTEXTS, KEY, MANIFEST, PREDICTIONS, Asked, Submission

AGREE = 5e-4  # scores that differ by less agree to the third decimal
SAME = 1e-6  # probabilities that differ by no more are one
MISSING = 0.05  # share of predictions at k = 0 that may be missing
RECOMPUTED = ("accuracy", "low", "high", "brier")


class Checked(NamedTuple):
    """A submission that was checked.

    `problems`: one line each. `gates`: as `gates.of_world`, of its predictions. `predictions`: as `submissions.filled`;
    None if it has none, or is about another world. `scores`: as `submissions.scored`.
    """

    submission: Submission
    problems: list[str]
    gates: pd.DataFrame
    predictions: pd.DataFrame | None
    scores: pd.DataFrame


def check(submission: Submission, world: World) -> Checked:
    """Check a submission.

    Args:
        submission: of `submissions.read`.
        world: that it should be about, with or without the labels of tested choices.

    Raises:
        UserError: as `submissions.asked`.
    """
    nothing = gates.table([])
    if other := _other_world(submission, world):
        return Checked(submission, [*_of_files(submission), *other], nothing, None, pd.DataFrame())
    wanted = submissions.asked(world, submission.about.setting)
    problems = [*_of_files(submission), *_contexts(submission, wanted)]
    if submission.answers is not None:
        problems += _answers(submission.answers, wanted.rows)
    if submission.predictions is None:
        return Checked(submission, problems, nothing, None, pd.DataFrame())
    problems += [*_sizes(submission), *_values(submission.predictions, wanted.rows, world)]
    predictions = submissions.filled(submission, wanted.rows)
    table = submissions.scored(predictions, world)
    problems += _scores(submission, table)
    return Checked(submission, problems, of_predictions(submission, predictions, world), predictions, table)


def _of_files(submission: Submission) -> Iterator[str]:
    """Yield where the files and the manifest do not fit each other."""
    stated, there = submission.manifest.get("files") or {}, submissions.sums(submission.folder)
    for name in sorted(stated.keys() | there.keys()):
        if name not in there:
            yield f"{name} is missing, which {MANIFEST} lists"
        elif name not in stated:
            yield f"{name} is not in {MANIFEST}"
        elif stated[name] != there[name]:
            yield f"{name} has changed since {MANIFEST} was written"
    if submission.manifest.get("commit") != submission.about.commit:
        both = submission.about.commit, submission.manifest.get("commit")
        yield f"{ABOUT} states commit {both[0]}, {MANIFEST} states {both[1]}"


def _other_world(submission: Submission, world: World) -> list[str]:
    """Return in which tables a submission's world differs, or nothing."""
    if submission.about.world_sha256 == hidden.digest(world):
        return []
    stated, own = submission.manifest.get("world") or {}, hidden.digests(world)
    apart = [name for name in own if stated.get(name) != own[name]]
    where = f" (in {', '.join(apart)})" if apart and stated else ""
    return [f"it is about another world, '{submission.about.world}', than '{world.name}'{where}"]


def _contexts(submission: Submission, wanted: Asked) -> Iterator[str]:
    """Yield whether the choices that were shown are others than the seed draws."""
    if submission.contexts is None:
        return
    order = ["persona_id", "draw", "shot"]
    both = [
        table.astype({"draw": int, "shot": int}).sort_values(order, ignore_index=True)
        for table in (submission.contexts, wanted.contexts)
    ]
    if len(both[0]) != len(both[1]) or (both[0].to_numpy() != both[1].to_numpy()).any():
        yield f"{CONTEXTS} shows other choices than seed {submission.about.seed} draws from this world"


def _sizes(submission: Submission) -> Iterator[str]:
    """Yield where k's and draws are others than stated."""
    about, own = submission.about, submission.predictions
    assert own is not None
    for name, stated in (("k", about.ks), ("draw", list(range(about.draws)))):
        there = sorted({int(value) for value in own[name].unique()})
        if there != stated:
            wrong = [*sorted(set(there) ^ set(stated))][:3]
            told = ", ".join(map(str, wrong))
            yield f"{PREDICTIONS} and {ABOUT} differ in {name}: {told} {'is' if len(wrong) == 1 else 'are'} in one only"


def _values(own: pd.DataFrame, rows: pd.DataFrame, world: World) -> Iterator[str]:
    """Yield what is wrong with predictions; each kind is one line, with its number and first case."""
    p, reason = own["p_first"], own["failure"]
    odd = np.isinf(p) | (p.notna() & ~p.between(0, 1))
    if odd.any():
        yield f"{odd.sum():,} predictions lie outside 0 to 1, such as {p[odd].iloc[0]:g}"
    said = reason.notna() & ~reason.astype(str).str.strip().isin(["", "None", "nan"])
    if (silent := p.isna() & ~said).any():
        yield f"{silent.sum():,} predictions are missing without a reason in failure"
    if (both := p.notna() & said).any():
        yield f"{both.sum():,} predictions have a number and a failure, such as {reason[both].iloc[0]!r}"
    if (twice := own.duplicated(KEY)).any():
        yield f"{twice.sum():,} rows are doubled, such as choice {_first(own, twice)}"
    person = world.choices.set_index("choice_id")["persona_id"]
    unknown = ~own["choice_id"].isin(person.index)
    if unknown.any():
        yield f"{unknown.sum():,} rows are of choices that the world lacks, such as {_first(own, unknown)}"
    untested = ~unknown & ~own["choice_id"].isin(_tested(rows, world))
    if untested.any():
        yield f"{untested.sum():,} rows are of choices that are not tested, such as {_first(own, untested)}"
    swapped = ~unknown & (own["choice_id"].map(person) != own["persona_id"])
    if swapped.any():
        yield f"{swapped.sum():,} rows name another person than the choice's, such as of choice {_first(own, swapped)}"
    left = rows[KEY].merge(own[KEY].drop_duplicates(), on=KEY, how="left", indicator=True)["_merge"] == "left_only"
    if left.any():
        yield f"{left.sum():,} of {len(rows):,} predictions have no row: each counts as one half"


def _first(own: pd.DataFrame, odd: pd.Series) -> str:
    return str(own.loc[odd, "choice_id"].iloc[0])


def _tested(rows: pd.DataFrame, world: World) -> set[str]:
    """Return the choices of people who are tested; those with a short history may have rows at a larger k, too."""
    people, prompts = set(rows["persona_id"]), set(rows["prompt_id"])
    choices = hidden.veiled(world).choices.dropna(subset="p_first")
    own = choices[choices["persona_id"].isin(people) & choices["prompt_id"].isin(prompts)]
    return set(cases.asked(own)["choice_id"])


def _answers(own: pd.DataFrame, rows: pd.DataFrame) -> Iterator[str]:
    """Yield what is wrong with answers."""
    key = ["persona_id", "prompt_id"]
    if (twice := own.duplicated(key)).any():
        yield f"{ANSWERS}: {twice.sum():,} rows are doubled, such as of person {own.loc[twice, 'persona_id'].iloc[0]}"
    empty = own["answer"].isna() | (own["answer"].astype(str).str.strip() == "")
    if (silent := empty & own["failure"].isna()).any():
        yield f"{ANSWERS}: {silent.sum():,} answers are empty without a reason in failure"
    wanted, there = (pd.MultiIndex.from_frame(table[key].drop_duplicates()) for table in (rows, own))
    if len(odd := there.difference(wanted)):
        yield f"{ANSWERS}: {len(odd):,} rows are of people or prompts that are not tested, such as {odd[0][0]}"
    if len(left := wanted.difference(there)):
        yield f"{ANSWERS}: {len(left):,} of {len(wanted):,} answers have no row"


def _scores(submission: Submission, table: pd.DataFrame) -> Iterator[str]:
    """Yield where the manifest's scores are others than those of the predictions, in the third decimal."""
    stated = {row.get("k"): row for row in submission.manifest.get("scores") or []}
    if not stated or table.empty:
        return  # sealed while the labels were hidden, or hidden still
    for row in table.to_dict("records"):
        for name in RECOMPUTED:
            told, found = stated.get(row["k"], {}).get(name), row[name]
            if told is None and pd.isna(found):
                continue
            if not isinstance(told, int | float) or not abs(told - found) < AGREE:
                yield f"k = {row['k']}: {MANIFEST} says {name} {told}, the predictions give {found:.4f}"
                break


def of_predictions(submission: Submission, predictions: pd.DataFrame, world: World) -> pd.DataFrame:
    """Return what the gates say of predictions: does the method know more than it declares?

    `of_method` of the room `gates` also gives it another's history and shuffled labels, which takes the method itself.

    Args:
        submission: whose `sees` counts.
        predictions: as `submissions.filled`.
        world: without labels of tested choices only the gates run that need none.

    Returns:
        Rows as in `gates.of_world`.
    """
    sees, rows = set(submission.about.sees), []
    if not {"history", "questions"} & sees:
        spread = predictions.groupby("choice_id")["p_first"].agg(_spread)
        rows.append(_cases("history undeclared", spread, "its predictions change with k, but it declares no history"))
    zero = predictions[predictions["k"] == 0].merge(world.choices[["choice_id", "first", "second"]], on="choice_id")
    lost = zero["p_first"].isna().mean() if len(zero) else 1.0
    says = "predictions at k = 0 are missing, so that nothing shows what it knows of people without their history"
    rows.append(gates.row("k = 0 missing", lost, MISSING, says, (lost, lost)))
    if len(zero) and not {"profile", "questions"} & sees:
        known = world.people.drop(columns=["persona_split", "profile"], errors="ignore")
        told = known.fillna("").astype(str).agg("|".join, axis=1) if "groups" in sees and len(known.columns) else ""
        alike = zero.assign(told=zero["persona_id"].map(told) if len(told) else "")
        spread = alike.groupby(["told", "prompt_id", "first", "second"])["p_first"].agg(_spread)
        rows.append(_cases("k = 0 knows the person", spread, "it tells people apart at k = 0 who are alike to it"))
    if len(zero) and sees <= {"history"} and zero["chosen"].notna().any():
        floor = run(world, [Pooled(embedder(world))], submission.about.setting._replace(ks=(0,), draws=1))[[*TRIAL]]
        named = zero.assign(method="submission")[zero["draw"] == 0][list(floor)]
        both = pd.concat([named, floor]).astype({"method": pd.CategoricalDtype(["submission", Pooled.name])})
        found = scores.differences(both, Pooled.name, 0).iloc[0]
        says = "it knows more at k = 0 than the choices of others tell"
        interval = found["low"], found["high"]
        rows.append(gates.row("k = 0 beats pooled", found["difference"], gates.GAIN, says, interval))
    ceiling = submissions.scored(predictions, world) if world.truth is not None else pd.DataFrame()
    for row in ceiling.to_dict("records"):
        gate, says = (
            f"above the ceiling, k = {row['k']}",
            "it is right more often than who knows the true probabilities",
        )
        rows.append(gates.row(gate, row["accuracy"], row["ceiling"] + gates.GAIN, says, (row["low"], row["high"])))
    return gates.table(rows)


def _spread(p: pd.Series) -> float:
    """Return the largest less the smallest of probabilities; those that are missing are no reason to look away."""
    return p.max() - p.min()


def _cases(gate: str, spread: pd.Series, says: str) -> dict:
    return gates.row(gate, int((spread > SAME).sum()), 0, says)
