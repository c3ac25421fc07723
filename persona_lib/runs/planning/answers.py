"""Answers of people that a run compares with: are they usable, and of people and questions that the run has?"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from ... import UserError, annotation, local, prompts
from ...judges import labels
from ...preferences import ingredients
from ...prompts.dependence import FEWEST_PERSONAS
from . import sizes


def problems(values: Mapping[str, Any], folder: Path) -> Iterator[str]:
    """Yield what is wrong with a notebook's files of ratings, labels and judgments; `folder` is where they lie."""
    for name, check in {"humans": _humans, "rated": _rated, "labels": _labels, "judgments": _judgments}.items():
        if (value := values.get(name)) is None:
            continue
        if not (folder / str(value)).exists():
            yield f"{name}: no file {value}"
            continue
        try:
            check(folder / str(value), values, folder)
        except UserError as error:
            yield f"{name}: {error}"


def _humans(path: Path, values: Mapping[str, Any], folder: Path) -> None:
    """Raise UserError if a file of ratings has none that counts, or none of this run's people."""
    read = annotation.read([path])
    if not read["counted"].any():
        first = next(iter(read["reason"].dropna()), "it has no rating")
        raise UserError(f"no rating of {path.name} counts: {first}")
    if not values.get("rated"):
        _check_known(path, annotation.votes(read), values, folder, ", or name the items that they rated in rated")


def _rated(path: Path, values: Mapping[str, Any], folder: Path) -> None:
    """Raise UserError if rated items are none to choose between, or none of them was rated."""
    if not values.get("humans"):
        raise UserError("nobody's ratings of these items are given: name them in humans, or leave rated out")
    items = annotation.items.read(path)
    if not path.is_dir():  # a data set also has pairs that failed
        annotation.items.checked(items)
    choices = annotation.items.rateable(items)
    if len(choices) < (1 if path.is_dir() else len(items)):
        raise UserError(f"{len(items) - len(choices)} of {len(items)} items offer no choice: both answers are alike")
    if not (humans := folder / str(values["humans"])).exists():
        return
    keys = ["persona_id", "prompt_id"]
    rated = pd.MultiIndex.from_frame(annotation.votes(annotation.read([humans]))[keys].astype("str"))
    offered = pd.MultiIndex.from_frame(choices[keys].astype("str"))
    if len(rated) and not offered.isin(rated).any():
        raise UserError(f"none of its personas and questions is rated in {humans}, such as {' and '.join(offered[0])}")


def _labels(path: Path, values: Mapping[str, Any], folder: Path) -> None:
    """Raise UserError if labels can't be used, or none is of this run's people and prompts."""
    table = labels.read(path, _writers(values)).dropna(subset="label")
    if table.empty:
        raise UserError(f"{path} holds no label: write 1 or 0 in the column label")
    _check_known(path, table, values, folder, "")


def notes(values: Mapping[str, Any], folder: Path) -> Iterator[str]:
    """Yield which conditions and models a usable file of labels names that the notebook does not have."""
    if values.get("labels") is None:
        return
    besides = ("other_persona", "baseline") if "n_controls" in values else ()  # 10 has them without a parameter
    conditions = dict.fromkeys([*values["conditions"], *values.get("controls", besides)])
    try:
        read = labels.read(folder / str(values["labels"]), _writers(values))
    except UserError:
        return
    if told := labels.strangers(read, conditions, _writers(values)):
        yield f"{folder / str(values['labels'])}: {told}"


def _writers(values: Mapping[str, Any]) -> list[str]:
    """Return the names of a notebook's writers as its answers have them."""
    named = [str(values.get("model")), *(str(name).partition("@")[0] for name in values.get("more_models") or ())]
    return [local.real_name(name) if local.is_embedded(name) else name for name in named]


def _judgments(path: Path, values: Mapping[str, Any], folder: Path) -> None:
    """Raise UserError if judgments of the same answers are too few, or of none of this run's prompts."""
    per_prompt = prompts.persona_dependence(str(path))
    if per_prompt.empty or per_prompt["n"].max() < FEWEST_PERSONAS:
        raise UserError(
            f"{path} has no prompt that {FEWEST_PERSONAS} personas or more judge, so that nothing can be said"
        )
    if unknown := _strangers(per_prompt.index, _prompts(values, folder)):
        raise UserError(f"{path}: none of its prompts is among those of {values['prompts']}, such as {unknown}")


def _check_known(path: Path, table: pd.DataFrame, values: Mapping[str, Any], folder: Path, remedy: str) -> None:
    """Raise UserError if no row of a table is of a persona and of a prompt that the run can have."""
    for column, known, whose in (
        ("persona_id", _people(values, folder), "people"),
        ("prompt_id", _prompts(values, folder), "prompts"),
    ):
        if unknown := _strangers(table[column], known):
            raise UserError(
                f"{path}: no {column} is among this run's {whose}, such as {unknown}: take the seed, sizes and files "
                f"of the run that was rated, drawn by the same version{remedy}"
            )


def _strangers(found: Any, known: set[str] | None) -> str:
    """Return the first of some ids if none of them is known; empty if one is, or nobody can say."""
    ids = list(map(str, found))
    return ids[0] if known is not None and ids and known.isdisjoint(ids) else ""


def _people(values: Mapping[str, Any], folder: Path) -> set[str] | None:
    """Return the ids of the people whom a notebook draws; None: they can't be drawn, which is said elsewhere."""
    source = str(values["personas"])
    n = next((values[name] for name in sizes.PEOPLE if name in values), None)
    where = source if source == ingredients.SAMPLE else str(folder / source)
    try:
        drawn = ingredients.people(where, n, values["seed"], values.get("use", "all"), values.get("min_age", 18))
    except UserError:
        return None
    return set(map(str, drawn.index))


def _prompts(values: Mapping[str, Any], folder: Path) -> set[str] | None:
    """Return the ids of the prompts of a notebook's source and the controls; None: it can't be read."""
    source = str(values["prompts"])
    try:
        own = prompts.load(str(folder / source) if (folder / source).is_file() else source)
    except UserError:
        return None
    return set(own["prompt_id"]) | set(prompts.load("control")["prompt_id"])
