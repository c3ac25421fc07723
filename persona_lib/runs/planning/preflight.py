"""Preflight: what a run needs, checked in seconds before anything is asked or paid.

A notebook that lacks a file, a package, a key or a model, or whose sizes do not fit together, would fail after the
notebooks before it have been paid for. `check` says all of it at once, one short line each.
"""

import os
from collections import deque
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ... import UserError, files, local, prompts
from ...personas import ids
from ...preferences import dataset, ingredients, published
from ...store import read_recording
from . import answers, endpoints, notebooks, parameters, sizes, wording

PAIRS = parameters.PAIRS


def check(
    planned: Mapping[str, Mapping[str, Any]], asks: bool = True, max_cost: float | None = None, seeks: bool = True
) -> list[str]:
    """Check that a run has what it needs.

    Args:
        planned: each notebook with all its parameters, from `presets.plan`, or 'pairs' with the fields of
            `presets.Pairs`.
        asks: whether models will be asked, which takes keys and endpoints; an estimate asks none.
        max_cost: a limit in USD, which takes the price of every model.
        seeks: whether endpoints are tried.

    Returns:
        What the user should know, one line each: columns of people that no model is told and of prompts that nothing
        reads, a data set made otherwise than the run would, templates that nothing asks with, endpoints that can't be
        asked although the store has replies of theirs.

    Raises:
        UserError: something is missing or does not fit: one line, or one that says how many things, and one for each.
    """
    sizes.forget()
    found: dict[str, list[str]] = {}  # the notebooks that each problem is of
    for stem, values in planned.items():
        for problem in _problems(stem, values):
            found.setdefault(problem, []).append(stem)
    lines = [f"{_named(stems)}: {problem}" for problem, stems in found.items()]
    notes: list[str] = []
    if asks:
        of_models, notes = endpoints.problems(planned, max_cost, seeks)
        lines = of_models + lines
    if lines:
        raise UserError(_said(_as_given(planned, lines)))
    notes += dict.fromkeys(note for stem, values in planned.items() for note in _notes(stem, values))
    of_all = _folder(next(iter(planned), PAIRS))
    notes += [*wording.unused(planned, of_all), *wording.unshown(planned, of_all)]
    return _as_given(planned, notes)


def _as_given(planned: Mapping[str, Mapping[str, Any]], lines: list[str]) -> list[str]:
    """Return lines with the user's files as the user sees them, not as the notebooks find them."""
    folder = notebooks.folder()
    given = {str(value) for stem, values in planned.items() if stem != PAIRS for value in values.values()}
    for value in sorted(given, key=len, reverse=True):
        if value.startswith(os.pardir) and (folder / value).exists():
            seen = notebooks.as_seen(value)
            lines = [line.replace(f"{folder / value}", seen).replace(value, seen) for line in lines]
    return lines


def _said(lines: list[str]) -> str:
    """Return the error for all problems: in one line if there is one."""
    if len(lines) == 1:
        return f"the run can't start: {lines[0]}"
    return "\n  - ".join([f"the run can't start, for {len(lines)} reasons:", *lines])


def _named(stems: list[str]) -> str:
    """Return the notebooks of a problem by their numbers."""
    return ", ".join(stem if stem == PAIRS else stem.partition("_")[0] for stem in stems)


def _folder(stem: str) -> Path:
    """Return the folder that a notebook's files, or the data set's, are named from."""
    return Path() if stem == PAIRS else notebooks.folder()


def _problems(stem: str, values: Mapping[str, Any]) -> Iterator[str]:
    """Yield what one notebook, or the data set, lacks."""
    folder = _folder(stem)
    yield from _of_files(values, folder)
    yield from answers.problems(values, folder)
    yield from sizes.problems(values, folder)
    yield from wording.problems(stem, values, folder)
    if any(values.get(name) for name in ("own_methods", "world", "choices")):
        yield from _of_own(values, folder)


def _of_files(values: Mapping[str, Any], folder: Path) -> Iterator[str]:
    """Yield the files and folders that are not there or can't be read as what they should be."""
    value = values.get("data")
    if value is not None and not _on_hub(str(value)):
        if not (path := folder / str(value)).exists():
            yield f"data: no file {value}: make it with `persona pairs --out {value}` and the same preset"
        else:
            try:
                _data(path)
            except UserError as error:
                yield f"data: {error}"
    if recording := values.get("recording"):
        path = folder / str(recording)
        try:
            deque(read_recording(path if path.is_file() else recording), maxlen=0)
        except UserError as error:
            yield f"recording: {error}"
    embedder = values.get("embedder")
    if embedder and (folder / embedder).is_dir() and not find_spec("sentence_transformers"):
        yield f"embedder: the folder {embedder} needs `pip install sentence-transformers`, or null for TF-IDF"


def _of_own(values: Mapping[str, Any], folder: Path) -> Iterator[str]:
    """Yield what is wrong with a notebook's own methods and worlds."""
    from ... import methods  # late: the testbed takes a second, and most runs bring nothing of their own to it
    from ...methods.cases import ready  # as above

    for place in values.get("own_methods", ()):
        path, _, _ = place.rpartition(":")
        if path.endswith(".py") and not (folder / path).is_file():
            yield f"own_methods: no file {path}"
            continue
        try:
            methods.load_method(str(folder / place))
        except UserError as error:
            yield f"own_methods: {notebooks.as_seen(str(error))}"
    for name in ("world", "choices"):
        place = values.get(name)
        if place and not (folder / place).exists():
            yield f"{name}: no folder {place}"
        elif place:
            try:
                ready(methods.load_world(folder / place), methods.Setting(tuple(values["ks"])))
            except UserError as error:
                yield f"{name}: {notebooks.as_seen(str(error))}"


def _data(path: Path) -> None:
    """Raise UserError if there is no data set to read."""
    if not (path / dataset.ABOUT).is_file():
        published.check(path)
        return
    dataset.made(path)
    dataset.columns(path, ["failure"])
    for name in ("personas.parquet", "prompts.parquet"):
        files.read_table(path / name)


def _on_hub(name: str) -> bool:
    """Return whether a name may be a data set's on the Hugging Face hub: OWNER/NAME, and no folder here is OWNER."""
    owner, slash, rest = name.partition("/")
    return (
        bool(slash and rest) and "/" not in rest and not (files.ROOT / owner).is_dir() and bool(find_spec("datasets"))
    )


def _notes(stem: str, values: Mapping[str, Any]) -> Iterator[str]:
    """Yield what a user should know of a notebook's people and data, though the run can start."""
    folder, source = _folder(stem), str(values.get("personas", ingredients.SAMPLE))
    yield from (f"{_named([stem])}: {note}" for note in answers.notes(values, folder))
    if values.get("data"):
        yield from _made_otherwise(stem, values, folder / str(values["data"]))
        return
    if source != ingredients.SAMPLE and (left_out := ingredients.unused(str(folder / source))):
        yield f"{source}: these columns are no attributes, so no model is told them: {', '.join(left_out)}"
    asked = str(values.get("prompts", ""))
    if files.is_table(asked) and (left_out := prompts.unused(folder / asked)):
        ours = ", ".join(prompts.COLUMNS)
        yield f"{asked}: these columns are none of {ours}, so no experiment reads them: {', '.join(left_out)}"


def _made_otherwise(stem: str, values: Mapping[str, Any], path: Path) -> Iterator[str]:
    """Yield a line if a data set was made by another model, or in other lengths, than the run has."""
    if not (path / dataset.ABOUT).is_file():
        return
    about = dataset.made(path)
    if about.get("personas_from", ingredients.SAMPLE) == ingredients.SAMPLE and about.get("people") != ids.drawn_from():
        what = f"the data set {values['data']} has people whom another version drew"
        yield f"{_named([stem])}: {what}: they are none of those that other notebooks draw"
    model = str(values["model"])
    ours = {"model": local.real_name(model) if local.is_embedded(model) else model, "words": values["words"]}
    made = {"model": about["generator"]["name"], "words": about.get("words")}
    if other := [f"{name} {made[name]}, not {ours[name]}" for name in ours if made[name] != ours[name]]:
        yield f"{_named([stem])}: the data set {values['data']} was made with {' and '.join(other)}"
