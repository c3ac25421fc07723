"""Endpoints: which models a planned run asks and where, and why a call could not succeed there: seconds, no cost."""

import os
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ... import UserError, local, store
from ...model import catalogue
from ...model.transport import keys
from . import notebooks
from .presets import Preset

# The parameter that gives each role its address, and how else to give one.
_AT = {"judge": "-p judge_base_url=ADDRESS", "more_models": "NAME@ADDRESS", "embedder": "NAME@ADDRESS"}

# What happens where a role's models in a preset are not asked, and how to set others.
_LEFT_OUT = {
    "judge": "the run's model judges; -p judge=NAME -p judge_base_url=ADDRESS sets another",
    "more_models": "-p more_models=[NAME@ADDRESS] sets others",
    "embedder": "topics are found without it; -p embedder=NAME@ADDRESS sets another",
    "persona_writer": "the run's model writes instead, the embedded one nothing",
    "persona_filter": "the run's model reads the profiles instead, the embedded one none",
}

# The notebooks that ask for choices, the roles that choose, and the parameter that is 0 where none is asked for.
_CHOOSING = {
    "01_personas": (("model",), "n_read"),
    "03_preferences": (("judge",), "n_verify"),
    "04_leave_one_out": (("judge",), None),
    "05_fidelity": (("judge", "more_models"), None),
    "10_judges": (("judge", "more_models"), None),
}


class Recipient(NamedTuple):
    """A model that is asked: as which parameter, its name, its address (None: this machine, or OpenAI)."""

    role: str
    name: str
    base_url: str | None
    elsewhere: bool = False
    """The run's model has an address of its own, so that OpenAI is hardly meant."""


def asked(values: Mapping[str, Any]) -> Iterator[Recipient]:
    """Yield the models that a notebook, or the data set, asks."""
    if not values.get("model"):
        return
    main, at = str(values["model"]), values.get("base_url")
    elsewhere = bool(at) or local.is_embedded(main)
    yield Recipient("model", main, at)
    for role in ("persona_writer", "persona_filter"):  # at the address of the run's model
        if values.get(role):
            yield Recipient(role, str(values[role]), at)
    if values.get("judge"):
        yield Recipient("judge", str(values["judge"]), values.get("judge_base_url"), elsewhere)
    for role, names in (("more_models", values.get("more_models") or ()), ("embedder", [values.get("embedder")])):
        for given in filter(None, names):
            if role != "embedder" or not (notebooks.folder() / given).is_dir():
                name, _, address = str(given).partition("@")
                yield Recipient(role, name, address or None, elsewhere)


def unasked(preset: Preset, planned: Mapping[str, Mapping[str, Any]], given: Collection[str]) -> list[str]:
    """Return a line for each role whose models in a preset are not asked, because another endpoint is given.

    Args:
        preset: names the models.
        planned: what `presets.plan` makes of it.
        given: the names of the parameters that the user set.
    """
    lost: dict[str, dict[str, str]] = {}  # role -> name -> number of the first notebook
    for stem, values in planned.items():
        own = preset.all | (preset.notebooks[stem] or {})
        for role in (role for role in _LEFT_OUT if role in values and role not in given):
            named = [own[role]] if isinstance(own.get(role), str) else own.get(role) or ()
            here = {values["model"], values.get("judge"), *([values[role]] if role != "more_models" else values[role])}
            for name in (name for name in named if values[role] is None or name not in here):
                lost.setdefault(role, {}).setdefault(name, stem.partition("_")[0])
    return [
        f"the preset's {role} {', '.join(names)} at OpenAI is not asked (first in {min(names.values())}): "
        + _LEFT_OUT[role]
        for role, names in lost.items()
    ]


def problems(
    planned: Mapping[str, Mapping[str, Any]], max_cost: float | None = None, seeks: bool = True
) -> tuple[list[str], list[str]]:
    """Look for what keeps a run from asking its models.

    Args:
        planned: as in `preflight.check`.
        max_cost: a limit in USD, which takes a price of every model.
        seeks: whether endpoints are tried.

    Returns:
        What ends the run, and what it should know: where the store has replies of a model that can't be asked, a run
        may still find all that it needs.
    """
    models = list(dict.fromkeys(one for values in planned.values() if _asks(values) for one in asked(values)))
    here = [one for one in models if not one.base_url and local.is_embedded(one.name)]
    there = [one for one in models if one not in here]
    wrong = [line for one in here for line in _file(one)] + _unpriced(there, max_cost)
    if not models or not seeks or os.environ.get("PERSONA_OFFLINE") or os.environ.get("PERSONA_SCRATCH"):
        return wrong, []
    wrong += _of_store()
    fatal, notes = _unreachable(there)
    return wrong + fatal + _without_choices(planned), notes


def asks_here(values: Mapping[str, Any]) -> bool:
    """Return whether a notebook asks a model of this machine what no recording has."""
    return _asks(values) and any(not one.base_url and local.is_embedded(one.name) for one in asked(values))


def _asks(values: Mapping[str, Any]) -> bool:
    """Return whether a notebook asks its models: a recording has its replies."""
    return values.get("recording") is None


def _file(one: Recipient) -> Iterator[str]:
    """Yield what is wrong with the file of a model of this machine."""
    if one.name.endswith(".gguf"):
        path = notebooks.folder() / Path(one.name).expanduser()
        if not path.is_file():
            yield f"{one.role}: no file {one.name}"
            return
        try:
            local.gguf(str(path))
        except UserError as error:
            yield f"{one.role}: {error}"


def _unpriced(models: list[Recipient], max_cost: float | None) -> list[str]:
    """Return a line if a file on models is malformed, or a limit in USD lacks the price of a model."""
    try:
        catalogue.read_settings()
        unknown = [one.name for one in models if max_cost is not None and catalogue.price(one.name) is None]
    except UserError as error:
        return [str(error)]
    names = ", ".join(dict.fromkeys(unknown))
    return [f"max_cost takes a price of {names}: add it to params/{catalogue.PRICES}"] if names else []


def _of_store() -> list[str]:
    """Return a line if replies can't be kept."""
    try:
        store.Store()
    except UserError as error:
        return [str(error)]
    return []


def _unreachable(models: list[Recipient]) -> tuple[list[str], list[str]]:
    """Return a line for each endpoint or model that takes no call: those that end the run, and those that may not."""
    from ...model.transport import reach  # openai takes a second, and a run with the embedded model needs none

    at = {one: (one.name, reach.address(one.base_url)) for one in models}
    chat = {at[one] for one in models if one.role != "embedder"}
    places = [reach.Place(*where, where in chat) for where in dict.fromkeys(at.values())]
    no_key = [place for place in places if place.base_url == reach.OPENAI_URL and not keys.api_key()]
    tried = [place for place in places if place not in no_key]
    found = {place: line for place, line in zip(tried, reach.problems(tried), strict=True) if line}
    kept = [place for place in [*no_key, *found] if reach.has_replies(place)]
    missing = {place[:2] for place in no_key if place not in kept}
    fatal = _without_key([one for one in models if at[one] in missing])
    fatal += [line for place, line in found.items() if place not in kept]
    notes = [f"{place.name} at {place.base_url} can't be asked; the store has replies of it" for place in kept]
    return fatal, notes


def _without_choices(planned: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return a line for each model that was found to offer no log-probabilities, with the notebooks that need them."""
    from ...model.transport import reach  # as above

    found: dict[str, list[str]] = {}
    for stem, values in planned.items():
        roles, number = _CHOOSING.get(stem, ((), None))
        if not _asks(values) or (number and values.get(number) == 0):
            continue
        models = list(asked(values))
        named = {one.role for one in models}
        choosing = {"model" if role == "judge" and role not in named else role for role in roles}
        for one in models:
            there = one.base_url or not local.is_embedded(one.name)
            place = reach.Place(one.name, reach.address(one.base_url)) if there else None
            if one.role in choosing and place and not reach.makes_choices(place):
                found.setdefault(one.name, []).append(stem.partition("_")[0])
    return [
        f"{name} offers no log-probabilities, which choices in {', '.join(stems)} need: set `samples` for it in "
        f"params/{catalogue.MODELS}, or leave out what chooses with --only"
        for name, stems in found.items()
    ]


def _without_key(models: list[Recipient]) -> list[str]:
    """Return lines for models asked at OpenAI without a key: by mistake, where the run's model is elsewhere."""
    strayed = [one for one in models if one.elsewhere]
    lines = [
        f"{one.role} '{one.name}' has no address, so that OpenAI is asked, which takes a key: give {_AT[one.role]}, or "
        f"set {keys.NAME}"
        for one in strayed
    ]
    names = ", ".join(dict.fromkeys(one.name for one in models if not one.elsewhere))
    if names:
        lines.insert(0, f"a key for {names}: set {keys.NAME}, or name your own endpoint with --base-url")
    return lines
