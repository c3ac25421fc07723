"""Trials of methods on the command line: a world by its name, built-in and own methods, a table and its files."""

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from ... import UserError, methods
from ...methods import (
    CELL,
    Method,
    Setting,
    World,
    costs,
    coverage,
    gates,
    generation,
    pluralism,
    policy,
    scores,
    simulated,
    surveyed,
)
from ...methods.cases import LIMIT_S
from ...methods.scoring.tracks import Tracks
from ...model import Model
from ...personas import respondents
from ...store import Store
from ..planning.parameters import SURVEYS
from ..reporting import cells
from ..reporting.shown import shown

KNOWN_TRUTH = "known-truth"
KS = (0, 2, 8, 32)
PEOPLE = 1000  # of the GSS, drawn
ASKED_S = 300.0  # for one person, if a model is asked, for which a method has to wait
DESIGN = simulated.Design(seen=300, unseen=100, dimensions=32, rank=3, between=0.5)


class Trial(NamedTuple):
    """A trial that was run: its `world`; `gates` of the world, then of one's own methods; both tracks; answers, if any.

    `tracks`: what methods predict and pick (`methods.tracks`). `generated`: what they answer (`methods.generation`).
    `pluralism` (`pluralism.table`, at the largest k) and `costs` are of the same people at every k (`coverage.alike`).
    """

    world: World
    gates: pd.DataFrame
    tracks: Tracks
    generated: generation.Generated
    pluralism: pd.DataFrame
    costs: pd.DataFrame


def run(
    place: str,
    own: Sequence[str] = (),
    ks: Sequence[int] = KS,
    draws: int = 1,
    seed: int = 0,
    model: str | None = None,
    base_url: str | None = None,
    embedder: str | None = None,
    answers: int = 0,
    judge: str | None = None,
    say: Callable[[str], object] | None = None,
) -> Trial:
    """Run built-in methods and one's own on a world.

    Args:
        place: `known-truth`, a survey, or the folder of a world.
        own: methods, each FILE.py:CLASS.
        ks, draws, seed: as in `methods.Setting`; known truth and the draw of respondents take the seed, too.
        model: a language model that predicts; without one, only methods that need none are run.
        base_url: its endpoint, and the embedder's.
        embedder: an embeddings model; None as in `methods.embedder`.
        answers: people for whom every method answers prompts; 0 for none.
        judge: a model at the same endpoint that judges answers; None for `model`.
        say: gets a line for each method that took a second or more, and one once answers are judged.

    Raises:
        UserError: as `methods.load_world`, `methods.load_method`, `methods.trial` and `methods.generation.study`;
            answers are asked for without a model.
    """
    if answers and not model:
        raise UserError("answers are written by a language model: name one with --model")
    mine = [methods.load_method(place) for place in own]
    world = world_of(place, seed)
    store = Store()
    asked = Model(model, base_url, store) if model else None
    embed = methods.embedder(world, Model(embedder, base_url, store) if embedder else None)
    if answers:
        generation.check(world, embed)
    cell, limit_s = "unseen_seen" if place in SURVEYS else CELL, ASKED_S if model else LIMIT_S
    setting = Setting(tuple(sorted(set(ks))), draws, cell, seed, limit_s)
    of_mine = [gates.of_method(world, kind, embed, setting, asked) for kind in mine]
    found = pd.concat([gates.of_world(world, setting.cell, embed), *of_mine], ignore_index=True)
    kinds: list[type[Method]] = [*methods.OFFLINE, *mine, *(methods.PROMPTED if asked else ())]
    told = methods.tracks(world, kinds, setting, asked, embed, say)
    critic = Model(judge, base_url, store) if judge else asked
    written = generation.nothing()
    if answers:
        written = generation.study(world, told.methods, critic, told.predictions, setting, answers)
        if say:
            say("answers: written and judged")
    same = coverage.alike(told.predictions)
    order = respondents.load(place).options if place in SURVEYS else None
    plural = pluralism.table(same, world, int(same["k"].max()), order=order, seed=seed)
    return Trial(world, found, told, written, plural, costs.table(same))


def world_of(place: str, seed: int) -> World:
    """Return a world by its name on the command line, or from its folder; the seed draws what is drawn."""
    if place == KNOWN_TRUTH:
        return simulated.world(DESIGN, seed)
    if place in SURVEYS:
        return surveyed.world(place, PEOPLE if place == "gss" else None, seed)
    if not Path(place).exists():
        raise UserError(f"no world '{place}': choose {KNOWN_TRUTH}, {', '.join(sorted(SURVEYS))}, or a folder")
    return methods.load_world(place)


def said(trial: Trial) -> str:
    """Return a trial as text: gates that fired, tables, and what was found."""
    table, gaps = trial.tracks.accuracy, trial.tracks.differences
    k = int(gaps["k"].iloc[0])
    at = table[table["k"] == k]
    columns = ["k", "accuracy", "low", "high", "people", "failed", "abstained", "brier", "note"]
    lines = [": ".join(filter(None, (trial.world.name, trial.world.about))), coverage.who(trial.tracks.predictions)]
    lines += gates.lines(trial.gates)
    tried = trial.gates[trial.gates["says"] != gates.UNTRIED]
    lines += [] if tried["fired"].any() else [f"No gate against leaks fired, of {len(tried)} tried."]
    lines += ["", f"Predictions at k = {k}:"]
    accuracy = at.set_index("method")[columns]
    asked = trial.costs[trial.costs["k"] == k].set_index("method")
    if asked["calls"].any():
        accuracy = accuracy.join(asked[["calls", "tokens"]])[[*columns[:-1], "calls", "tokens", "note"]]
    lines += [shown(accuracy, "").text(None), *_at_each_k(table)]
    learned = asked[asked["fit_calls"] > 0].itertuples()
    lines += [f"{row.Index}: {row.fit_calls:,.0f} calls, {row.fit_tokens:,.0f} tokens to learn" for row in learned]
    why = coverage.missing(coverage.alike(trial.tracks.predictions))
    each = why.itertuples()
    lines += [f"{row.method}, k = {row.k}: {row.choices:,} predictions failed: {row.failure}" for row in each]
    lines.append(scores.headline(table, gaps, trial.world.name))
    if trial.world.truth is None:  # real people: what their attributes tell is what a method must beat
        same = coverage.alike(trial.tracks.predictions)
        lines.append(scores.told_apart(scores.differences(same, "logit on attributes", k)))
    lines += ["", *_plural(trial.pluralism)]
    return "\n".join([*lines, "", *_of_policy(trial.tracks), *_of_answers(trial.generated)])


def _at_each_k(table: pd.DataFrame) -> list[str]:
    """Return accuracy against k as text, one column for each; nothing if there is one k."""
    if table["k"].nunique() == 1:
        return []
    values = ["accuracy", "low", "high"]
    digits = cells.digits("percent", table[values].to_numpy(float).T)
    by_k = {
        f"k = {k}": pd.Series(cells.numbers("percent", digits, *own[values].to_numpy(float).T), own["method"])
        for k, own in table.groupby("k")
    }
    columns = pd.DataFrame(by_k).reindex(table["method"].unique()).rename_axis("method")
    title = "Accuracy [95% interval] at each k (accuracy.csv of --out FOLDER has n and failures, too):"
    return ["", title, shown(columns, "").text(None), ""]


def failing(trial: Trial, own: Sequence[str]) -> list[str]:
    """Return a line for each of one's own methods of which more than half of the predictions are missing."""
    predictions = trial.tracks.predictions
    lost = predictions["p_first"].isna().groupby(predictions["method"], observed=True).mean()
    names = [methods.title(methods.load_method(place)) for place in own]
    return [f"{name}: {lost[name]:.0%} of its predictions are missing" for name in names if lost[name] > 0.5]


def _of_policy(trial: Tracks) -> list[str]:
    """Return what methods pick as text: a table, the finding, and how both orders of methods relate."""
    picks = trial.policy.set_index("method").drop(columns=["k", "people"])
    said = policy.headline(trial.policy, trial.policy_differences)
    title = (
        "Picks among the candidates (policy accuracy: how often the person prefers the pick, over the judged ones; "
        "uncompared: picks that the person never compared):"
    )
    return [title, shown(picks, "").text(None), said, policy.related(trial.tau, "prediction", "policy")]


def _of_answers(found: generation.Generated) -> list[str]:
    """Return generated answers as text: tables with a line above each, and the finding; nothing if there are none."""
    if found.answers.empty:
        return []
    tables = {
        "against one answer for all": found.wins.drop(columns="per_sd"),
        "length and refusals": found.effects,
        "agreement with false premises": found.premises,
        "the judge of premises on answers that go along, and that do not": found.control,
        "calls and tokens per person": found.costs.set_index("method"),
    }
    why = found.answers["failure"].value_counts().items()
    lines = [line for name, table in tables.items() for line in ("", shown(table, name).text(None))]
    return [*lines, "", *[f"{n:,} answers failed: {reason}" for reason, n in why], found.says]


def _plural(table: pd.DataFrame) -> Iterator[str]:
    """Yield the three pluralisms of each method as text, estimates with their 95% intervals."""
    says = {
        "coverage": "share of people whose favorite is the one answer that the method shows to all (best: of any one)",
        "steerability": "accuracy for the person less accuracy for others",
        "distance": "of predicted from real shares of answers (chance: of true predictions)",
        "score": "of this distance, 100 for none and 0 for that of equal shares",
    }
    unknown = [name for name in table if table[re.sub("_(low|high)$", "", name)].isna().all()]
    known = table.astype({"method": "str"}).drop(columns=["k", "chance_high", *unknown], errors="ignore")
    yield "The three pluralisms:"
    yield from (f"{name}: {told}" for name, told in says.items() if name in known)
    if "coverage" not in known:
        yield "coverage: not known, as nobody compared all answers to a prompt"
    yield shown(known, "").text(None)


def write(trial: Trial, folder: Path) -> None:
    """Write a trial's tables into a folder, each as parquet and CSV; those of generated answers if there are any."""
    from ..reporting.record import write_table  # it loads what draws figures, which a trial need not wait for

    folder.mkdir(parents=True, exist_ok=True)
    tables = {"gates": trial.gates, "pluralism": trial.pluralism, "costs": trial.costs} | trial.tracks.tables()
    if len(trial.generated.answers):
        tables |= {f"{name}_of_answers" if name in tables else name: t for name, t in trial.generated.tables().items()}
    for name, table in tables.items():
        write_table(table, folder / name)
