"""Submissions: what a method predicted on a world, as a folder that others can read, check and write by hand.

`method.yaml` says what the method is (`About`), `predictions.parquet` and `answers.parquet` what it said, and
`manifest.json` holds the SHA-256 of each file, the world's digests and the scores. docs/submissions.md shows the form.
"""

import hashlib
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import yaml

from ... import UserError, files
from ...texts import line
from .. import cases
from ..cases import Setting, ready
from ..scoring import scores
from ..trial import COLUMNS as TRIAL
from ..worlds.world import World, cells
from . import forms, hidden
from .forms import FORM, About, Manifest

ABOUT, MANIFEST = "method.yaml", "manifest.json"
PREDICTIONS, ANSWERS, CONTEXTS = "predictions.parquet", "answers.parquet", "contexts.parquet"
COLUMNS = {
    PREDICTIONS: ("choice_id", "persona_id", "k", "draw", "p_first", "failure"),
    ANSWERS: ("persona_id", "prompt_id", "answer", "failure"),
    CONTEXTS: ("persona_id", "draw", "shot", "choice_id"),
}
KEY = ["choice_id", "k", "draw"]  # of a prediction
ABSENT = f"no row in {PREDICTIONS}"
MOST = 5_000_000  # predictions of a submission
# What `manifest.json` keeps of the scores at each k.
SCORED = ("k", "accuracy", "low", "high", "people", "n", "failed", "brier")


class Submission(NamedTuple):
    """A submission as read: its `folder`, `about`, the tables that it has, and the `manifest`."""

    folder: Path
    about: About
    predictions: pd.DataFrame | None
    answers: pd.DataFrame | None
    contexts: pd.DataFrame | None
    manifest: dict[str, Any]


class Asked(NamedTuple):
    """What a submission has to predict.

    `rows`: one per tested choice, k and draw, for people whose history has k choices: `choice_id`, `persona_id`,
    `prompt_id`, `first`, `second`, `chosen` (missing where the label is hidden), `k`, `draw`. `contexts`: columns of
    contexts.parquet.
    """

    rows: pd.DataFrame
    contexts: pd.DataFrame


def asked(world: World, setting: Setting) -> Asked:
    """Return what a world asks of a method, and the choices that it may show.

    Raises:
        UserError: as `cases.ready`, nobody's history is as long as the largest k, or there would be over MOST rows.
    """
    n = int((cells(world) == setting.cell).sum()) * len(setting.ks) * setting.draws
    if n > MOST:
        raise UserError(
            f"{n:,} predictions are asked for, and a submission has {MOST:,} at most: take fewer k or draws"
        )
    readied = ready(hidden.veiled(world), setting)
    choices = readied.choices.assign(chosen=readied.choices["choice_id"].map(hidden.labels(world)))
    tested = cases.tested(choices, setting.cell)
    own = readied.contexts[readied.contexts["persona_id"].isin(tested["persona_id"])]
    shown = own.assign(choice_id=choices.loc[own["pair_id"], "choice_id"].to_numpy())
    length = shown[shown["draw"] == 0].groupby("persona_id").size().reindex(tested["persona_id"], fill_value=0)
    if (longest := length.max()) < max(setting.ks):
        largest = max(setting.ks)
        raise UserError(
            f"k = {largest} is too large for world '{world.name}': its longest history has {longest} choices"
        )
    kept = tested[["choice_id", "persona_id", "prompt_id", "chosen"]]
    kept = kept.merge(world.choices[["choice_id", "first", "second"]], on="choice_id", validate="one_to_one")
    rows = [kept[length.to_numpy() >= k].assign(k=k, draw=d) for k in setting.ks for d in range(setting.draws)]
    return Asked(pd.concat(rows, ignore_index=True), shown[list(COLUMNS[CONTEXTS])].reset_index(drop=True))


def filled(submission: Submission, rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of `asked` with the predictions: columns of a trial. What is missing has a `failure`."""
    own = submission.predictions
    known = rows.assign(p_first=np.nan, failure=ABSENT)
    if own is not None:
        given = own.drop_duplicates(KEY)[[*KEY, "p_first", "failure"]]
        known = rows.merge(given, on=KEY, how="left", indicator=True, validate="one_to_one")
        known["failure"] = known["failure"].astype(object).mask(known["_merge"] == "left_only", ABSENT)
    name = submission.about.name
    known["p_first"] = known["p_first"].where(known["p_first"].between(0, 1))
    return known.assign(method=name).astype({"method": pd.CategoricalDtype([name])})[list(TRIAL)]


def scored(predictions: pd.DataFrame, world: World | None = None) -> pd.DataFrame:
    """Return the accuracy of `filled` predictions at each k, as `scores.accuracy`; no row while labels are hidden.

    A prediction that is missing counts as one half, as an abstention does: to leave out hard choices gains nothing.
    `failed` counts them.
    """
    if predictions["chosen"].isna().all():
        return pd.DataFrame(columns=["method", *SCORED])
    missing = predictions["p_first"].isna().groupby(predictions["k"]).sum()
    table = scores.accuracy(predictions.fillna({"p_first": 0.5}), world)
    return table.assign(failed=table["k"].map(missing))


def write(
    folder: Path, about: About, predictions: pd.DataFrame, world: World, answers: pd.DataFrame | None = None
) -> dict[str, Any]:
    """Write a submission.

    Args:
        folder: new, empty, or with an earlier submission.
        about: of the method.
        predictions: of one method, as `trial.run` returns them.
        world: that they are about.
        answers: columns `persona_id`, `prompt_id`, `answer`, `failure`; None without generation.

    Returns:
        The manifest.
    """
    check_folder(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for path in (folder / MANIFEST, folder / ANSWERS, *folder.glob(".*.part.*")):
        path.unlink(missing_ok=True)
    files.write_text(folder / ABOUT, yaml.safe_dump(about.model_dump(), sort_keys=False, allow_unicode=True))
    own = predictions[list(COLUMNS[PREDICTIONS])].astype({"failure": "str"}).reset_index(drop=True)
    files.write(folder / PREDICTIONS, own.to_parquet)
    files.write(folder / CONTEXTS, asked(world, about.setting).contexts.to_parquet)
    if answers is not None:
        files.write(folder / ANSWERS, answers[list(COLUMNS[ANSWERS])].to_parquet)
    return seal(folder, world)


def check_folder(folder: Path) -> None:
    """Raise UserError if a folder can't be written, or holds something else than a submission or its parts."""
    files.check_folder(folder, (ABOUT, MANIFEST, *COLUMNS), "a submission")


def seal(folder: str | Path, world: World) -> dict[str, Any]:
    """Write the manifest of a submission, also of one written by hand, and return it.

    Raises:
        UserError: as `read` and `asked`, or the submission is about another world.
    """
    folder = Path(folder)
    submission = read(folder, sealed=False)
    if (tables := hidden.digests(world)) and submission.about.world_sha256 != hidden.digest(world):
        raise UserError(f"{folder / ABOUT} is about another world: world_sha256 of this one is {hidden.digest(world)}")
    table = scored(filled(submission, asked(world, submission.about.setting).rows))
    manifest = {
        "format": FORM,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "package": metadata.version("persona-workbench"),
        "commit": submission.about.commit,
        "files": sums(folder),
        "world": tables,
        "labels": hidden.labels_digest(world),
        "scores": table[list(SCORED)].to_dict("records") if submission.predictions is not None else [],
    }
    files.write_json(folder / MANIFEST, manifest)
    return manifest


def sums(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file of a submission, without the manifest."""
    there = [folder / name for name in (ABOUT, *COLUMNS)]
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in there if path.is_file()}


def read(folder: str | Path, sealed: bool = True) -> Submission:
    """Read a submission; `checking.problems` says what is wrong with its values.

    Args:
        folder: with `method.yaml`, `manifest.json`, and predictions or answers.
        sealed: whether it must have a manifest.

    Raises:
        UserError: a file is missing or damaged, a column is missing or no number, or `method.yaml` is incomplete.
    """
    folder = Path(folder)
    if not (folder / ABOUT).is_file():
        raise UserError(f"{folder} is no submission: it has no {ABOUT}; docs/submissions.md shows its form")
    about = forms.valid(About, folder / ABOUT, files.read_yaml(folder / ABOUT))
    tables = {name: _table(folder / name) for name in COLUMNS}
    if tables[PREDICTIONS] is None and tables[ANSWERS] is None:
        raise UserError(f"{folder} has no {PREDICTIONS} and no {ANSWERS}: a submission has one or both")
    if sealed and not (folder / MANIFEST).is_file():
        raise UserError(f"{folder} has no {MANIFEST}: persona methods seal {folder} --world WORLD writes it")
    manifest = {}
    if sealed:
        manifest = forms.valid(Manifest, folder / MANIFEST, files.read_json(folder / MANIFEST)).model_dump(mode="json")
    return Submission(folder, about, tables[PREDICTIONS], tables[ANSWERS], tables[CONTEXTS], manifest)


def _table(path: Path) -> pd.DataFrame | None:
    """Return a table of a submission, None if it is not there."""
    if not path.is_file():
        return None
    table = files.read_table(path)
    if missing := [name for name in COLUMNS[path.name] if name not in table]:
        raise UserError(f"{path} lacks the column{'s' * (len(missing) > 1)} {', '.join(missing)}")
    for name in {"k", "draw", "shot", "p_first"} & set(table):
        try:
            numbers = pd.to_numeric(table[name])
            if (
                table[name].dtype.kind in "bmM" or numbers.dtype.kind not in "iuf"
            ):  # pandas takes these for numbers, too
                raise ValueError("they are truth values or times")
            table[name] = numbers.astype(float) if name == "p_first" else numbers
        except (ValueError, TypeError) as error:
            raise UserError(f"{path}: {name} must be numbers ({line(str(error))})") from error
        whole = name == "p_first" or (table[name].notna().all() and (table[name] % 1 == 0).all())
        if not whole:
            raise UserError(f"{path}: {name} must be whole numbers")
    return table[list(COLUMNS[path.name])]
