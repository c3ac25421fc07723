"""Presets: which notebooks a run executes and with which parameters, checked before anything runs.

A preset is one file in params/ (sizes, seeds, models): one file = one reproducible run.
"""

import difflib
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, ValidationError

from .. import UserError, files, local
from ..model import catalogue
from . import notebooks

# Parameters that may name something of the caller's, and what it must be so that it isn't taken for a name of ours.
_PATHS = dict.fromkeys(("data", "embedder", "rated", "templates"), os.path.exists)
_PATHS |= dict.fromkeys(("humans", "judgments", "labels", "path", "recording", "source"), os.path.isfile)


class Pairs(BaseModel, extra="forbid", strict=True):
    """The section `pairs` of a preset: how large the preference data set of `persona pairs` is, and of what.

    `train`, `seen` and `heldout` are pairs per persona (`design.deal`), `train_prompts` and `heldout_prompts` how many
    of the source's prompts to take (all, where these are not given); with `classify` only those that the model calls
    value-laden. `dense_personas` x `dense_prompts` is the dense block; `shots` are pairs per few-shot context; `verify`
    pairs are shown to the judge. The models default to the preset's `all`.
    """

    personas: int = Field(ge=1)
    train: int = Field(100, ge=0)
    seen: int = Field(50, ge=0)
    heldout: int = Field(50, ge=0)
    prompts: str = "builtin"
    train_prompts: int | None = Field(None, ge=1)
    heldout_prompts: int | None = Field(None, ge=1)
    classify: bool = False
    words: int = Field(60, ge=1)
    seed: int = 0
    min_age: int = 18
    dense_personas: int = Field(0, ge=0)
    dense_prompts: int = Field(0, ge=0)
    shots: int = Field(8, ge=0)
    verify: int = Field(0, ge=0)
    model: str = "local"
    base_url: str | None = None
    judge: str | None = None
    judge_base_url: str | None = None
    templates: str | None = None


class Preset(BaseModel, extra="forbid"):
    """A file of params/: what it is for, parameters of all its notebooks, the notebooks with their own, and the pairs.

    What `all` says of seed and models holds for the pairs too.
    """

    name: str
    about: str
    all: dict[str, Any] = {}
    pairs: dict[str, Any] | None = None
    notebooks: dict[str, dict[str, Any] | None] = {}


def known() -> list[str]:
    """Names of the presets in params/."""
    return sorted(
        p.stem for p in (files.ROOT / "params").glob("*.yaml") if p.name not in (catalogue.PRICES, catalogue.MODELS)
    )


def load(name: str) -> Preset:
    """A preset by its name in params/, or by the path of a YAML file.

    Raises:
        UserError: there is no such preset, or the file is none.
    """
    path = Path(name) if name.endswith((".yaml", ".yml")) else files.ROOT / "params" / f"{name}.yaml"
    if not path.is_file():
        raise _unknown("preset", name, known())
    try:
        content = files.read_yaml(path)
        return Preset.model_validate({"name": path.stem} | content if isinstance(content, dict) else content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise UserError(f"{path} is no preset: {where}: {first['msg']}") from error


def plan(preset: Preset, only: Sequence[str] = (), given: Mapping[str, Any] | None = None) -> dict[str, dict]:
    """What will run: the selected notebooks in file-name order, each with all its parameters.

    Args:
        preset: names the notebooks and sets their parameters.
        only: the notebooks to run, by file name or its beginning; empty means all that the preset lists.
        given: parameters for every selected notebook that declares them; they win over the preset's. With another
            endpoint (`base_url`, or an embedded model) its model also judges, unless a `judge` is given.

    A file or folder of the caller's, such as `templates`, is told as it is named in notebooks/, where kernels run.

    Raises:
        UserError: there is no notebook, one or a parameter is unknown, a value is of another type than its default, or
            an address holds a password.
    """
    given = given or {}
    if not preset.notebooks:
        raise UserError(f"the preset '{preset.name}' lists no notebooks: see params/smoke.yaml for some")
    there = notebooks.stems()
    for stem in preset.notebooks:
        if stem not in there:
            raise _unknown("notebook", stem, there)
    for name in only:
        if not name or not any(stem.startswith(name) for stem in preset.notebooks):
            raise _unknown("notebook", name, preset.notebooks)
    declared = {stem: notebooks.find(stem).parameters for stem in sorted(preset.notebooks)}
    selected = [stem for stem in declared if not only or stem.startswith(tuple(only))]
    own = {stem: values or {} for stem, values in preset.notebooks.items()}
    _check(preset.all, declared)
    for stem in declared:
        _check(own[stem], {stem: declared[stem]})
    _check(given, {stem: declared[stem] for stem in selected})
    # A run asks the model: it replays a recording only where it is told to.
    values = {s: {"recording": None} | _moved(preset.all | own[s], given) | dict(given) for s in selected}
    values = {stem: {k: _from_notebooks(k, value) for k, value in values[stem].items()} for stem in selected}
    return {stem: {k: values[stem].get(k, default) for k, default in declared[stem].items()} for stem in selected}


def pairs(preset: Preset, given: Mapping[str, Any] | None = None) -> Pairs:
    """What `persona pairs` makes by a preset; what is given wins.

    Raises:
        UserError: the preset has no pairs, a name is unknown, a value is of another type, or an address holds a
            password.
    """
    if preset.pairs is None:
        raise UserError(f"the preset '{preset.name}' has no section 'pairs': see params/smoke.yaml for one")
    fields = Pairs.model_fields
    given = given or {}
    own = {name: value for name, value in preset.all.items() if name in fields} | preset.pairs
    values = _moved(own, given) | dict(given)
    if unknown := [name for name in values if name not in fields]:
        raise _unknown("parameter", unknown[0], fields, " of pairs")
    _check_addresses(values)
    try:
        return Pairs.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        raise UserError(f"parameter '{first['loc'][0]}' of pairs: {first['msg']}, not {first['input']!r}") from error


def _moved(values: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """A preset's values where another endpoint is given: the preset's judge, if it has no address, is not there."""
    elsewhere = given.get("base_url") or local.is_embedded(str(given.get("model")))
    return dict(values) | ({"judge": None} if elsewhere and not values.get("judge_base_url") else {})


def _from_notebooks(name: str, value: Any) -> Any:
    """A parameter's value; a path that is there, seen from notebooks/, which does not tell where its user lives."""
    if name in _PATHS and isinstance(value, str) and _PATHS[name](value):
        return os.path.relpath(os.path.realpath(value), notebooks.folder().resolve())
    return value


def _check(values: Mapping[str, Any], declared: Mapping[str, Mapping[str, Any]]) -> None:
    """Fail on a parameter that none of the notebooks declares, or of another type than its default."""
    _check_addresses(values)
    for name, value in values.items():
        if name == "out":
            raise UserError("a run sets 'out' itself: choose its folder with --out")
        homes = [stem for stem in declared if name in declared[stem]]
        if not homes:
            raise _unknown("parameter", name, set().union(*declared.values()), f" of {', '.join(declared)}")
        for stem in homes:
            default = declared[stem][name]
            if not _fits(value, default) and (name, value) != ("recording", None):
                wanted, got = type(default).__name__, type(value).__name__
                raise UserError(f"parameter '{name}' of {stem} takes {wanted}, not {got}: {value!r}")


def _check_addresses(values: Mapping[str, Any]) -> None:
    """Fail on a password in an address, also in one of NAME@ADDRESS, without showing it."""
    for name, value in values.items():
        many = value if name == "more_models" and isinstance(value, list | tuple) else ()
        addresses = [value] if name.endswith("base_url") else [str(model).partition("@")[2] for model in many]
        if any("@" in str(address).split("?")[0] for address in addresses):
            raise UserError(f"{name} holds a password, which the results would keep: set OPENAI_API_KEY instead")


def _fits(value: Any, default: Any) -> bool:
    """Whether a value has the type of a default: None takes anything, a whole number is fine for a float."""
    if default is None:
        return True
    if isinstance(value, bool) or isinstance(default, bool):
        return type(value) is type(default)
    return isinstance(value, {float: (int, float), tuple: (tuple, list)}.get(type(default), type(default)))


def _unknown(kind: str, name: str, names: Iterable[str], where: str = "") -> UserError:
    """The error for a name that is not among the known ones, with the one that was probably meant."""
    names = sorted(names)
    near = difflib.get_close_matches(name, names, 1)
    hint = f"did you mean '{near[0]}'? " if near else ""
    return UserError(f"unknown {kind} '{name}'{where}: {hint}known: {', '.join(names) or 'none'}")
