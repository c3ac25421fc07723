"""Presets: which notebooks a run executes and with which parameters, checked before anything runs.

A preset is one file in params/ with sizes, seeds and models: one file is one reproducible run.
"""

import difflib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ValidationError

from ... import UserError, files, local
from ...model import catalogue
from . import notebooks, parameters

# Parameters that may name a file or folder of the user's. Some may also name something of the package's, such as a
# source: only a value that passes this test is a path.
_PATHS: dict[str, Callable[[str], bool]] = {
    "choices": os.path.exists,
    "data": os.path.exists,
    "embedder": os.path.exists,
    "rated": os.path.exists,
    "templates": os.path.exists,
    "world": os.path.exists,
    "humans": os.path.isfile,
    "judgments": os.path.isfile,
    "labels": os.path.isfile,
    "personas": os.path.exists,
    "prompts": os.path.isfile,
    "recording": os.path.isfile,
    "model": lambda name: name.endswith(".gguf") and os.path.isfile(name),
    **dict.fromkeys(
        ("judge", "persona_writer", "persona_filter"), lambda name: name.endswith(".gguf") and os.path.isfile(name)
    ),
}


class Pairs(BaseModel, extra="forbid"):
    """The section `pairs` of a preset: size and ingredients of the preference data set of `persona pairs`.

    `personas`, `n_personas` and `min_age` say who (`ingredients.people`; None: all of a file), `prompts`,
    `train_prompts` and `heldout_prompts` what is asked (`ingredients.questions`; None: all of the side). `train`,
    `seen` and `heldout` are pairs per persona (`splits.deal`). The dense block has `dense_personas` x `dense_prompts`
    pairs. `shots` are pairs per few-shot context; `verify` is how many pairs the judge sees. With the `form` choices
    there is a block of as many personas and prompts as the dense one instead: all choose between `answers` per prompt,
    `compared` pairs of them (`methods.choices`). Models, prompts and personas default to those of the preset's section
    `all`. What each may be is declared in `parameters`.
    """

    form: str = "pairs"

    personas: str = "sample"
    n_personas: int | None = None
    train: int = 100
    seen: int = 50
    heldout: int = 50
    prompts: str = "builtin"
    train_prompts: int | None = None
    heldout_prompts: int | None = None
    words: int | None = 120
    seed: int = 0
    min_age: int = 18
    dense_personas: int = 0
    dense_prompts: int = 0
    shots: int = 8
    verify: int = 0
    answers: int = 6
    compared: int = 6
    model: str = "local"
    base_url: str | None = None
    judge: str | None = None
    judge_base_url: str | None = None
    templates: str | None = None


class Preset(BaseModel, extra="forbid"):
    """A file of params/.

    `about` says what the preset is for. `all` are parameters of every notebook, `notebooks` the notebooks to run with
    parameters of their own, and `pairs` the fields of `Pairs`, which also take seed and models from `all`.
    """

    name: str
    about: str
    all: dict[str, Any] = {}
    pairs: dict[str, Any] | None = None
    notebooks: dict[str, dict[str, Any] | None] = {}


def known() -> list[str]:
    """Return the names of the presets in params/."""
    others = (catalogue.PRICES, catalogue.MODELS)
    return sorted(path.stem for path in (files.ROOT / "params").glob("*.yaml") if path.name not in others)


def load(name: str) -> Preset:
    """Read a preset.

    Args:
        name: its name in params/, or the path of a YAML file.

    Raises:
        UserError: there is no such preset, the file is not a preset, or the package is installed without the checkout.
    """
    if not (files.ROOT / "params").is_dir() and not notebooks.folder().is_dir():
        raise UserError(
            f"{files.ROOT} has no params/ and notebooks/, which lie in the project's checkout: install the package "
            "there, with `pip install -e .`"
        )
    path = Path(name) if name.endswith((".yaml", ".yml")) else files.ROOT / "params" / f"{name}.yaml"
    if not path.is_file():
        raise unknown("preset", name, known())
    content = files.read_yaml(path)
    if isinstance(content, dict):
        content = {"name": path.stem} | content
        named = content.get("notebooks")
        if isinstance(named, dict) and (numbers := [name for name in named if not isinstance(name, str)]):
            raise UserError(
                f"{path}: the notebook {numbers[0]!r} is a number: write its whole name, as 06_conditioning"
            )
    try:
        return Preset.model_validate(content)
    except ValidationError as error:
        raise UserError(f"{path} is not a preset: {files.first_error(error)}") from error


def plan(preset: Preset, only: Sequence[str] = (), given: Mapping[str, Any] | None = None) -> dict[str, dict[str, Any]]:
    """Select the notebooks to run, in the order of their file names, each with all its parameters.

    The user's files and folders, such as `templates`, are given relative to notebooks/, where kernels run.

    Args:
        preset: names the notebooks and sets their parameters.
        only: the notebooks to run, by number, file name or a beginning of it with the whole number; empty selects all
            that the preset lists.
        given: parameters for every selected notebook that declares them; they override the preset's. With another
            endpoint (`base_url`, or an embedded model) that model also judges, unless a `judge` is given.

    Raises:
        UserError: the preset has no notebooks, a notebook or parameter is unknown, a value is not what the parameter
            takes, or an address contains a password.
    """
    given = given or {}
    _check_notebooks(preset, only)
    declared = {stem: notebooks.find(stem).parameters for stem in sorted(preset.notebooks)}
    selected = {stem: names for stem, names in declared.items() if not only or any(_is_named(stem, n) for n in only)}
    _check(preset.all, declared)
    for stem, names in declared.items():
        _check(preset.notebooks[stem] or {}, {stem: names})
    _check(given, selected)
    planned = {}
    for stem, defaults in selected.items():
        own = preset.all | (preset.notebooks[stem] or {})
        # A run asks the model: it replays a recording only if told to.
        values = {"recording": None} | _with_given(own, given)
        planned[stem] = {
            name: _from_notebooks(name, values[name]) if name in values else default
            for name, default in defaults.items()
        }
    return planned


def pairs(preset: Preset, given: Mapping[str, Any] | None = None) -> Pairs:
    """Return what `persona pairs` makes with a preset; `given` overrides the preset's values.

    Raises:
        UserError: the preset has no section `pairs`, a name is unknown, a value is not what `parameters.check` takes,
            or an address contains a password.
    """
    if preset.pairs is None:
        raise UserError(f"the preset '{preset.name}' has no section 'pairs': see params/smoke.yaml for one")
    fields = Pairs.model_fields
    own = {name: value for name, value in preset.all.items() if name in fields} | preset.pairs
    values = _with_given(own, given or {})
    if strange := [name for name in values if name not in fields]:
        raise unknown("parameter", strange[0], fields, " of pairs")
    check_addresses(values)
    for name, value in values.items():
        parameters.check(parameters.PAIRS, name, value, fields[name].default)
    return Pairs.model_validate(values)


def _with_given(values: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return a preset's values overridden by the given ones.

    If another endpoint is given, the preset's judge, more models and embedder are dropped unless they have an address:
    they would be asked at OpenAI. One of more models is also dropped if it is now the judge or the model itself. The
    preset's writer and filter of personas are replaced by the model there, and dropped for an embedded model.
    """
    elsewhere = given.get("base_url") or local.is_embedded(str(given.get("model")))
    merged = {**values, **given}
    if elsewhere and not values.get("judge_base_url") and "judge" not in given:
        merged["judge"] = None
    if elsewhere and _at_openai(values.get("embedder")) and "embedder" not in given:
        merged["embedder"] = None
    for role in ("persona_writer", "persona_filter"):
        if elsewhere and values.get(role) and role not in given:
            merged[role] = None if local.is_embedded(str(merged.get("model"))) else merged.get("model")
    if "more_models" in values and "more_models" not in given:
        twins = {given.get("model"), merged.get("judge") or merged.get("model")}
        more = [name for name in values["more_models"] if name not in twins]
        merged["more_models"] = [name for name in more if "@" in name or not elsewhere]
    return merged


def _at_openai(name: str | None) -> bool:
    """Return whether a model's name has no address, and is neither of this machine nor a file."""
    return bool(name) and "@" not in str(name) and not local.is_embedded(str(name)) and not os.path.exists(str(name))


def _from_notebooks(name: str, value: Any) -> Any:
    """Return a parameter's value; an existing path relative to notebooks/, so that it does not reveal a home folder."""
    if name == "own_methods":  # each FILE.py:CLASS
        return [_near(path) + colon + kind if os.path.isfile(path) else f"{path}{colon}{kind}"
                for path, colon, kind in (item.rpartition(":") for item in value)]  # fmt: skip
    if name in _PATHS and isinstance(value, str) and _PATHS[name](value):
        return _near(value)
    return value


def _near(path: str) -> str:
    return os.path.relpath(os.path.realpath(path), notebooks.folder().resolve())


def _check_notebooks(preset: Preset, only: Sequence[str]) -> None:
    """Raise UserError if the preset has no notebooks, or it or `only` names one that does not exist."""
    if not preset.notebooks:
        raise UserError(f"the preset '{preset.name}' lists no notebooks: see params/smoke.yaml for some")
    existing = notebooks.stems()
    for stem in preset.notebooks:
        if stem not in existing:
            raise unknown("notebook", stem, existing)
    for name in only:
        if not any(_is_named(stem, name) for stem in preset.notebooks):
            raise unknown("notebook", name, preset.notebooks)


def _is_named(stem: str, name: str) -> bool:
    """Return whether a notebook is meant by its number, as 06 or 6, or by that and the beginning of its name."""
    number = stem.partition("_")[0]
    return (stem.startswith(name) and len(name) >= len(number)) or bool(name and name.zfill(len(number)) == number)


def _check(values: Mapping[str, Any], declared: Mapping[str, Mapping[str, Any]]) -> None:
    """Check parameters against the defaults that notebooks declare.

    Args:
        values: the parameters.
        declared: each notebook's parameters with their defaults.

    Raises:
        UserError: no notebook declares a parameter, or its value is not what `parameters.check` takes.
    """
    check_addresses(values)
    for name, value in values.items():
        if name == "out":
            raise UserError("a run sets 'out' itself: choose its folder with --out")
        defaults = {stem: own[name] for stem, own in declared.items() if name in own}
        if not defaults and name in ("model", "base_url") and not any("model" in own for own in declared.values()):
            raise UserError(f"no model is asked in {', '.join(declared)}: leave '{name}' out")
        if not defaults:
            raise unknown("parameter", name, set().union(*declared.values()), f" of {', '.join(declared)}")
        for stem, default in defaults.items():
            parameters.check(stem, name, value, default)


def check_addresses(values: Mapping[str, Any]) -> None:
    """Raise UserError if an address, also one of NAME@ADDRESS, is none or contains a password, which is not shown."""
    for name, value in values.items():
        addresses = [value] if name.endswith("base_url") else []
        if name in ("more_models", "embedder"):
            several = value if isinstance(value, list | tuple) else [value]
            addresses = [str(model).partition("@")[2] for model in several]
        for address in filter(None, addresses):
            if "@" in str(address).split("?")[0]:
                raise UserError(f"{name} contains a password, which the results would keep: set OPENAI_API_KEY instead")
            if not _is_address(str(address)):
                raise UserError(f"{name} takes an address such as http://localhost:8000/v1, not {str(address)!r}")


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        plain = text.isprintable() and " " not in text
        return plain and parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def unknown(kind: str, name: str, names: Iterable[str], where: str = "") -> UserError:
    """Return the error for an unknown name; it suggests the closest known one and lists all."""
    known_names = sorted(names)
    near = difflib.get_close_matches(name, known_names, 1)
    hint = f"did you mean '{near[0]}'? " if near else ""
    return UserError(f"unknown {kind} '{name}'{where}: {hint}known: {', '.join(known_names) or 'none'}")
