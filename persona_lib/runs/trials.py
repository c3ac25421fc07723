"""Trials of methods on the command line: a world by its name, built-in and own methods, a table and its files."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from .. import UserError, files, methods
from ..methods import CELL, Method, Setting, World, coverage, gates, scores, simulated, surveyed
from ..methods.trial import ready
from ..model import Model
from ..store import Store
from . import notebooks
from .parameters import SURVEYS

KNOWN_TRUTH = "known-truth"
KS = (0, 2, 8, 32)
PEOPLE = 1000  # of the GSS, drawn
DESIGN = simulated.Design(seen=300, unseen=100, dimensions=32, rank=3, between=0.5)


class Trial(NamedTuple):
    """A trial that was run: its `world`, all `predictions`, and what is compared.

    `gates` are those of the world, then those of one's own methods. `accuracy` and `differences` are those of the same
    people at every k (`coverage.alike`).
    """

    world: World
    gates: pd.DataFrame
    predictions: pd.DataFrame
    accuracy: pd.DataFrame
    differences: pd.DataFrame


def run(
    place: str,
    own: Sequence[str] = (),
    ks: Sequence[int] = KS,
    draws: int = 1,
    seed: int = 0,
    model: str | None = None,
    base_url: str | None = None,
    embedder: str | None = None,
) -> Trial:
    """Run built-in methods and one's own on a world.

    Args:
        place: `known-truth`, a survey, or the folder of a world.
        own: methods, each FILE.py:CLASS.
        ks, draws, seed: as in `methods.Setting`; known truth and the draw of respondents take the seed, too.
        model: a language model that predicts; without one, only methods that need none are run.
        base_url: its endpoint, and the embedder's.
        embedder: an embeddings model; None as in `methods.embedder`.

    Raises:
        UserError: as `methods.load_world`, `methods.load_method` and `methods.trial`.
    """
    mine = [methods.load_method(place) for place in own]
    kinds: list[type[Method]] = [*methods.OFFLINE, *mine]
    world = _world(place, seed)
    store = Store()
    if model:
        kinds += methods.PROMPTED
    asked = Model(model, base_url, store) if model else None
    embed = methods.embedder(world, Model(embedder, base_url, store) if embedder else None)
    setting = Setting(tuple(sorted(set(ks))), draws, "unseen_seen" if place in SURVEYS else CELL, seed)
    of_mine = [gates.of_method(world, kind, embed, setting, asked) for kind in mine]
    found = pd.concat([gates.of_world(world, setting.cell, embed), *of_mine], ignore_index=True)
    predictions = methods.trial(world, [kind(embed, asked, seed) for kind in kinds], setting)
    same = coverage.alike(predictions)
    table = scores.accuracy(same, world)
    return Trial(world, found, predictions, table, scores.differences(same, "pooled", int(same["k"].max())))


def _world(place: str, seed: int) -> World:
    if place == KNOWN_TRUTH:
        return simulated.world(DESIGN, seed)
    if place in SURVEYS:
        return surveyed.world(place, PEOPLE if place == "gss" else None, seed)
    if not Path(place).exists():
        raise UserError(f"no world '{place}': choose {KNOWN_TRUTH}, {', '.join(sorted(SURVEYS))}, or a folder")
    return methods.load_world(place)


def problems(values: Mapping[str, Any], folder: Path) -> Iterator[str]:
    """Yield what is wrong with a notebook's own methods and world; `folder` is where their files lie."""
    for place in values.get("own_methods", ()):
        path, _, _ = place.rpartition(":")
        if path.endswith(".py") and not (folder / path).is_file():
            yield f"own_methods: no file {path}"
            continue
        try:
            methods.load_method(str(folder / place))
        except UserError as error:
            yield f"own_methods: {notebooks.as_seen(str(error))}"
    if place := values.get("world"):
        if not (folder / place).exists():
            yield f"world: no folder {place}"
            return
        try:
            ready(methods.load_world(folder / place), Setting(tuple(values["ks"])))
        except UserError as error:
            yield f"world: {notebooks.as_seen(str(error))}"


def said(trial: Trial) -> str:
    """Return a trial as text: gates that fired, a table, and the finding."""
    table = trial.accuracy
    k = int(trial.differences["k"].iloc[0])
    at = table[table["k"] == k]
    columns = ["k", "accuracy", "low", "high", "people", "failed", "abstained", "brier", "note"]
    fired = trial.gates[trial.gates["fired"]]
    lines = [": ".join(filter(None, (trial.world.name, trial.world.about))), coverage.who(trial.predictions)]
    lines += [f"GATE {row.gate}: {row.says} ({row.value:.2f}, limit {row.limit:.2f})" for row in fired.itertuples()]
    lines += [at.set_index("method")[columns].round(3).to_string()]
    why = coverage.missing(coverage.alike(trial.predictions))
    of_k = why[why["k"] == k].itertuples()
    lines += [f"{row.method}, k = {k}: {row.choices:,} predictions failed: {row.failure}" for row in of_k]
    lines.append(scores.headline(table, trial.differences, trial.world.name))
    if trial.world.truth is None:  # real people: what their attributes tell is what a method must beat
        same = coverage.alike(trial.predictions)
        lines.append(scores.told_apart(scores.differences(same, "logit on attributes", k)))
    return "\n".join(lines)


def write(trial: Trial, folder: Path) -> None:
    """Write a trial's tables into a folder: gates, predictions, accuracy, differences, each as parquet."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("gates", "predictions", "accuracy", "differences"):
        files.write(folder / f"{name}.parquet", getattr(trial, name).to_parquet)
