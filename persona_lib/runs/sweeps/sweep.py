"""A sweep: one preset at several models, parameters and seeds. Each combination is a point, a run in its own folder."""

import hashlib
import itertools
import json
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import BaseModel, Field, ValidationError

from ... import UserError, files
from ..planning import endpoints, preflight, presets
from ..planning.presets import Preset
from ..results import compare

LONGEST = 100  # letters of a point's name, which is that of a folder
MOST = 1000  # points
# Parameters with keys of their own, or that a run sets.
_OWN = {"model": "models", "base_url": "models, as NAME@ADDRESS", "seed": "seeds", "out": "--out"}


class Sweep(BaseModel, extra="forbid", strict=True):
    """A sweep's file.

    `preset` is a name in params/ or a YAML file, `only` are notebooks as --only takes them. Each of `models` is NAME or
    NAME@ADDRESS, each of `seeds` a value of the parameter `seed`, and `parameters` has a list of values for each name.
    All are crossed. What is left out is as in the preset.
    """

    name: str = Field(min_length=1)
    about: str = ""
    preset: str
    only: list[str | int] = []
    models: list[Annotated[str, Field(pattern=r"\S")]] = []
    seeds: list[int] = []
    parameters: dict[str, Annotated[list[Any], Field(min_length=1)]] = {}

    def varied(self) -> dict[str, list[Any]]:
        """Return the values of each parameter that is given: models first, seeds last, so that repeats lie together."""
        named = {"model": self.models, **self.parameters, "seed": self.seeds}
        return {name: values for name, values in named.items() if values}


class Point(NamedTuple):
    """One run of a sweep.

    `name` is that of its folder, `label` says what tells it apart, such as 'gpt-4.1-mini, n_items=100, seed=0', `given`
    is the value of each parameter of the sweep (a model as in its file), `preset` names and describes the run, and
    `planned` is each notebook with all its parameters, from `presets.plan`.
    """

    name: str
    label: str
    given: dict[str, Any]
    preset: Preset
    planned: dict[str, dict[str, Any]]


def load(path: Path) -> Sweep:
    """Read a sweep's file.

    Raises:
        UserError: it is no such YAML, a key is unknown, a value has another form, or something is listed twice.
    """
    content = files.read_yaml(path)
    if not isinstance(content, dict):
        raise UserError(f"{path} is not a sweep: write its keys, such as preset: smoke and seeds: [0, 1]")
    for key in content:
        if key not in Sweep.model_fields:
            raise presets.unknown("key", str(key), Sweep.model_fields, f" of {path}")
    try:
        sweep = Sweep.model_validate({"name": path.stem} | content)
    except ValidationError as error:
        raise UserError(f"{path} is not a sweep: {files.first_error(error)}") from error
    for name in sweep.parameters.keys() & _OWN.keys():
        raise UserError(f"{path}: parameters has {name}: give it by {_OWN[name]}")
    for name, values in sweep.varied().items():
        texts = list(map(compare.as_text, values))
        if twice := [text for text in texts if texts.count(text) > 1]:
            raise UserError(f"{path}: {name} has {twice[0]} twice: list it once")
    if half := [model for model in sweep.models if model.startswith("@") or model.endswith("@")]:
        raise UserError(f"{path}: models has {half[0]!r}, half of NAME@ADDRESS: write both, or the name alone")
    if not sweep.name.isprintable():
        raise UserError(f"{path}: name is part of a folder's name and takes no control signs, as {sweep.name!r} has")
    if Path(sweep.name).name != sweep.name or sweep.name in (".", ".."):
        raise UserError(f"{path}: name is part of a folder's name and takes no '/', as {sweep.name!r} has")
    return sweep


def points(sweep: Sweep) -> list[Point]:
    """Return the points of a sweep, in the order in which they run.

    Raises:
        UserError: there are more than MOST; a notebook or parameter is unknown, or a value is not what it takes.
    """
    varied, chosen = sweep.varied(), presets.load(sweep.preset)
    if (n := math.prod(map(len, varied.values()))) > MOST:
        raise UserError(f"the sweep has {n:,} points, and {MOST:,} is the most: make several sweeps of it")
    texts = {name: _texts(name, values) for name, values in varied.items()}
    told = [name for name, values in varied.items() if len(values) > 1] or list(varied)
    found = []
    for each in itertools.product(*(range(len(values)) for values in varied.values())):
        at = dict(zip(varied, each, strict=True))
        given = {name: varied[name][i] for name, i in at.items()}
        label = ", ".join(texts[name][at[name]] for name in told) or chosen.name
        preset = chosen.model_copy(update={"name": f"{sweep.name}: {label}", "about": sweep.about or chosen.about})
        planned = presets.plan(chosen, list(map(str, sweep.only)), _parameters(given))
        found.append(Point(_folder(label), label, given, preset, planned))
    names = [point.name.casefold() for point in found]  # some file systems do not tell a from A
    return [
        point if names.count(name) == 1 and 0 < len(name) <= LONGEST else point._replace(name=_numbered(point))
        for point, name in zip(found, names, strict=True)
    ]


def _texts(name: str, values: list[Any]) -> list[str]:
    """Return the values of a parameter in a few words: models without an address, unless two have one name."""
    if name != "model":
        return [f"{name}={compare.as_text(value)}" for value in values]
    names = [value.partition("@")[0] for value in values]
    return names if len(set(names)) == len(names) else values


def _parameters(given: dict[str, Any]) -> dict[str, Any]:
    """Return a point's parameters as `presets.plan` takes them: model and address apart."""
    name, _, address = str(given.get("model", "")).partition("@")
    own = {"model": name} | ({"base_url": address} if address else {}) if name else {}
    return given | own


def _folder(text: str) -> str:
    """Return a text as the name of a folder."""
    return re.sub(r"[^\w.+=,-]+", "-", text.replace(", ", ",")).strip(".,-")


def _numbered(point: Point) -> str:
    """Return a name that no other point has, from what it is given."""
    digest = hashlib.sha256(json.dumps(point.given, sort_keys=True).encode()).hexdigest()
    return f"{point.name[: LONGEST - 9].rstrip('.,-')}-{digest[:8]}"


def check(planned: Sequence[Point], max_cost: float | None = None, asks: bool = True) -> list[str]:
    """Check before anything is asked that every point has what it needs; arguments as in `preflight.check`.

    Returns:
        What the user should know, one line each.

    Raises:
        UserError: a point lacks something; the message names the first.
    """
    notes: dict[str, None] = {}
    tried = set()
    for point in planned:
        asked = frozenset(one for values in point.planned.values() for one in endpoints.asked(values))
        try:
            told = preflight.check(point.planned, asks, max_cost, seeks=asked not in tried)
        except UserError as error:
            raise UserError(f"{point.name}: {error}") from error
        tried.add(asked)
        notes |= dict.fromkeys([*told, *endpoints.unasked(point.preset, point.planned, _parameters(point.given))])
    return list(notes)
