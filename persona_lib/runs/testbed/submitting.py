"""Submissions on the command line: run a method and write what it predicted, check folders, open and close a round."""

import gc
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from ... import UserError, methods
from ...methods import CELL, Method, Setting, World, board, checking, gates, hidden, simulated, submissions
from ...methods.method import is_count, made
from ...methods.submitted import exports
from ...methods.submitted.checking import Checked
from ...methods.submitted.submissions import About
from ...model import Model
from ...store import Store
from ...texts import line
from ..planning.parameters import SURVEYS
from .trials import DESIGN, KNOWN_TRUTH, KS, world_of


class Options(NamedTuple):
    """How a method is run for a submission; see `persona methods submit --help`."""

    ks: Sequence[int] = KS
    draws: int = 1
    seed: int = 0
    model: str | None = None
    base_url: str | None = None
    embedder: str | None = None
    hardware: str = ""
    contamination: str = ""


def named(name: str) -> type[Method]:
    """Return a method of one's own (FILE.py:CLASS), or a built-in one by its name in tables.

    Raises:
        UserError: there is none.
    """
    if ".py" in name:
        return methods.load_method(name)
    known = {methods.title(kind): kind for kind in (*methods.OFFLINE, *methods.PROMPTED)}
    if name not in known:
        raise UserError(f"no method '{name}': write FILE.py:CLASS, or one of: {'; '.join(known)}")
    return known[name]


def submit(place: str, name: str, folder: Path, options: Options) -> Checked:
    """Run one method on a world without the labels of its tested choices, and write the submission.

    Args:
        place: of the world, as in `trials.run`.
        name: of the method, as `named` takes it.
        folder: new, empty, or with an earlier submission.
        options: sizes, models, and free text.

    Returns:
        The submission as it was written, checked.

    Raises:
        UserError: as `named`, `trials.world_of`, `submissions.asked` and `submissions.write`; the method asks a model
            and none is named.
    """
    submissions.check_folder(folder)
    kind = named(name)
    if kind in methods.PROMPTED and not options.model:
        raise UserError(f"'{name}' asks a language model: name one with --model")
    cell = "unseen_seen" if place in SURVEYS else CELL
    setting = Setting(tuple(sorted(set(options.ks))), options.draws, cell, options.seed)
    blind = _veiled(place, setting)
    gc.collect()  # no object that the method could find has a label
    store = Store()
    asked = Model(options.model, options.base_url, store) if options.model else None
    embed = methods.embedder(blind, Model(options.embedder, options.base_url, store) if options.embedder else None)
    method = made(kind, embed, asked, options.seed)
    predictions = methods.trial(blind, [method], setting)
    stated = getattr(method, "parameters", None)  # may be set by `fit`
    number = int(stated) if is_count(stated) else None
    used = asked.usage if asked else None
    about = About(
        name=methods.title(kind),
        sees=list(kind.sees),
        ks=list(setting.ks),
        draws=setting.draws,
        seed=setting.seed,
        cell=cell,
        world=blind.name,
        world_sha256=hidden.digest(blind),
        commit=commit_of(Path(name.rpartition(":")[0]) if ".py" in name else Path(methods.__file__)),
        parameters=number,
        calls=used["calls"] + used["cached"] if used else None,
        tokens=used["tokens_in"] + used["tokens_out"] if used else None,
        cost_usd=used["cost"] if used else None,
        hardware=options.hardware,
        contamination=options.contamination,
    )
    world = world_of(place, options.seed)
    submissions.write(folder, about, predictions, world)
    if stated is not None and number is None:
        raise UserError(
            f"{folder} is written without `parameters`, which are {line(repr(stated), 60)}: no whole number"
        )
    return checking.check(submissions.read(folder), world)


def _veiled(place: str, setting: Setting) -> World:
    """Return a world without the labels of its tested choices; what can't be asked is said before a method runs."""
    world = world_of(place, setting.seed)
    submissions.asked(world, setting)
    return hidden.veiled(world)


def seal(folder: Path, place: str) -> None:
    """Write the manifest of a submission to a world; errors as `submissions.seal`."""
    submissions.seal(folder, world_of(place, submissions.read(folder, sealed=False).about.seed))


def export(folder: Path, out: Path, form: str, place: str) -> list[Path]:
    """Write a submission to a world in another tool's form; errors as `exports.write`."""
    submission = submissions.read(folder)
    world = world_of(place, submission.about.seed)
    return exports.write(checking.check(submission, world), world, out, form)


def commit_of(path: Path) -> str | None:
    """Return the commit of a file, with `-dirty` if it differs; of a package's __init__, its folder counts.

    Returns:
        None outside of git.
    """
    git = ["git", "-C", str(path.resolve().parent)]

    scope = "." if path.name == "__init__.py" else path.name

    def out(*command: str) -> str | None:
        done = subprocess.run([*git, *command], capture_output=True, text=True)
        return None if done.returncode else done.stdout.strip()

    try:
        if out("ls-files", "--error-unmatch", path.name) is None:
            return None
        commit = out("rev-parse", "HEAD")
        return f"{commit}-dirty" if commit and out("status", "--porcelain", "--", scope) else commit
    except OSError:
        return None


class Round(NamedTuple):
    """Submissions to one `world` (with its `sha256`) and `cell`: those that were `checked`, and the world's `gates`."""

    world: World
    sha256: str
    cell: str
    checked: list[Checked]
    gates: pd.DataFrame


class Outcome(NamedTuple):
    """What checking found: the `rounds`, and what is `unusable`, one line per folder."""

    rounds: list[Round]
    unusable: list[str]

    @property
    def wrong(self) -> bool:
        """Return whether a submission has a problem, or a gate fired."""
        entries = [entry for own in self.rounds for entry in own.checked]
        tables = [*(own.gates for own in self.rounds), *(entry.gates for entry in entries)]
        return any(entry.problems for entry in entries) or any(table["fired"].any() for table in tables)


def check(folders: Sequence[Path], places: Sequence[str]) -> Outcome:
    """Check submissions, each against the world that it is about.

    Args:
        folders: of submissions.
        places: of worlds, as in `trials.run`; a drawn one takes the submission's seed.

    Raises:
        UserError: a folder is named twice.
    """
    if len({folder.resolve() for folder in folders}) < len(folders):
        raise UserError("a folder of a submission is named twice: name each once")
    worlds: dict[tuple[str, int], tuple[World, str]] = {}

    def world(place: str, seed: int) -> tuple[World, str]:
        key = place, seed if place in (KNOWN_TRUTH, *SURVEYS) else 0
        if key not in worlds:
            made = world_of(*key)
            worlds[key] = made, hidden.digest(made)
        return worlds[key]

    found: dict[tuple[str, str], Round] = {}
    unusable = []
    for folder in folders:
        try:
            submission = submissions.read(folder)
            own = [world(place, submission.about.seed) for place in places]
            fits = [one for one in own if one[1] == submission.about.world_sha256]
            one, cell = [*fits, *own][0], submission.about.cell
            entry = checking.check(submission, one[0])
            key = one[1], cell
            if key not in found:
                found[key] = Round(*one, cell, [], of_world(one[0], cell))
            found[key].checked.append(entry)
        except UserError as error:
            unusable.append(line(str(error) if str(folder) in str(error) else f"{folder}: {error}", 400))
    return Outcome(list(found.values()), unusable)


def of_world(world: World, cell: str) -> pd.DataFrame:
    """Return the gates of a world; those that need hidden labels have no value."""
    return gates.of_world(world if len(hidden.labels(world)) else hidden.veiled(world), cell)


def said(outcome: Outcome) -> str:
    """Return what checking found as text: each submission, its problems and gates, then the worlds' gates."""
    lines = []
    for own in outcome.rounds:
        for entry in own.checked:
            lines.append(f"{entry.submission.folder}: {board.text(entry)}")
            lines += [f"PROBLEM {line(problem, 300)}" for problem in entry.problems]
            lines += gates.lines(entry.gates, f"{entry.submission.about.name}, ")
        lines += gates.lines(own.gates, f"of world '{own.world.name}', ")
    lines += [f"UNUSABLE {why}" for why in outcome.unusable]
    return "\n".join(lines if outcome.wrong or outcome.unusable else [*lines, "no problem found"])


def open_round(folder: Path, seed: int, place: str | None = None, design: simulated.Design = DESIGN) -> str:
    """Open a hidden demographic: new people of a known-truth world, or those of a world's folder.

    Args:
        folder: new or empty; gets the folders public and private.
        seed: of the people; a salt that nobody knows goes into it, too.
        place: a folder, such as `persona pairs --form choices` writes; None draws people with a known truth.
        design: of the known truth.

    Raises:
        UserError: as `hidden.open_world` and `methods.load_world`, or a gate of the world fires.
    """
    salt = hidden.new_salt()
    world = methods.load_world(place) if place else _renamed(simulated.drawn(design, seed, salt)[0], seed)
    leaks = gates.of_world(hidden.asked(world), CELL)
    if leaks["fired"].any():
        raise UserError(f"no round is opened, since its labels could be told: {gates.lines(leaks)[0]}")
    told = hidden.open_world(world, folder, salt, seed)
    return (
        f"{told['labels']:,} labels are hidden; commitment {told['commitment']}\n"
        f"publish {folder / hidden.PUBLIC}, keep {folder / hidden.PRIVATE}; then: persona methods hidden close "
        f"{folder / hidden.PUBLIC} {folder / hidden.PRIVATE} --out {folder / 'closed'}"
    )


def _renamed(world: World, seed: int) -> World:
    """Return a known-truth world under the name of its round."""
    ids = {old: f"person {i}" for i, old in enumerate(world.people.index)}
    choices = world.choices.assign(persona_id=world.choices["persona_id"].map(ids))
    people = world.people.rename(index=ids)
    return world._replace(name=f"hidden round, seed {seed}", people=people, choices=choices)
