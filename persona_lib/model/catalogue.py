"""Look up models: what their tokens cost, and which request fields they refuse or need.

Anyone may edit both files. In params/prices.yaml a price counts only with its date and source, so that readers of a
cost can check it; without a price, tokens are counted but no cost. params/models.yaml is for models that need other
requests: reasoning models refuse a temperature and offer no log-probabilities, others want fields of their own. An
entry applies to all calls to the model of that name.
"""

import json
import sys
from collections.abc import Mapping
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, ValidationError

from .. import UserError, files

PRICES, MODELS = "prices.yaml", "models.yaml"
# Our fields that an entry may leave out, since reasoning models refuse them.
LEFT_OUT = ("temperature", "max_tokens")
# Fields a user may not set: the request needs them, or the reply could not be parsed.
_FIXED = {"model", "messages", "stream", "n", "response_format", "logprobs", "top_logprobs"}


class Price(BaseModel, extra="forbid", frozen=True):
    """USD per million tokens: `in`, `cached_in` (None: the price of `in`) and `out`."""

    input: float = Field(alias="in", ge=0)
    cached_in: float | None = Field(default=None, ge=0)
    out: float = Field(ge=0)
    date: date
    source: str = Field(min_length=1)

    def cost(self, tokens_in: int, tokens_out: int, tokens_cached: int = 0) -> float:
        """Return the USD for a call; `tokens_cached` of its `tokens_in` were read from the endpoint's cache."""
        cached_in = self.input if self.cached_in is None else self.cached_in
        fresh = tokens_in - tokens_cached
        return (fresh * self.input + tokens_cached * cached_in + tokens_out * self.out) / 1e6


FREE = Price.model_validate({"in": 0, "out": 0, "date": date(2026, 1, 1), "source": "runs on this machine"})


def price(name: str) -> Price | None:
    """Return the price of a model by its name at the endpoint, or None if unknown."""
    return read_prices().get(name)


def read_prices(path: Path | None = None) -> Mapping[str, Price]:
    """Return the prices in a file, by model; an entry without date or source is left out, with a printed note.

    Args:
        path: of the file; None means params/prices.yaml.

    Raises:
        UserError: the file or an entry of it is malformed.
    """
    return _prices(path or files.ROOT / "params" / PRICES)


@cache  # prints the note once
def _prices(path: Path) -> Mapping[str, Price]:
    entries = _by_model(path)
    left_out = [n for n, e in entries.items() if isinstance(e, dict) and not (e.get("date") and e.get("source"))]
    if left_out:
        print(f"{path}: no date or no source, so left out: {', '.join(map(str, left_out))}", file=sys.stderr)
    return {str(name): _entry(Price, path, name, entry) for name, entry in entries.items() if name not in left_out}


class Settings(BaseModel, extra="forbid", frozen=True):
    """An entry of params/models.yaml.

    `settings` are request fields, sent as they are; `samples` is the number of replies sampled for a choice, None if
    choices use log-probabilities. `min_mass` is the least probability of the options at a token that makes a choice;
    None means `choices.MIN_MASS`.
    """

    settings: dict[str, Any] = {}
    samples: int | None = Field(default=None, ge=1)
    min_mass: float | None = Field(default=None, ge=0, le=1)


def settings(name: str) -> Settings:
    """Return a model's entry in params/models.yaml, by its name at the endpoint; an empty one if it has none."""
    return read_settings().get(name, Settings())


def read_settings(path: Path | None = None) -> Mapping[str, Settings]:
    """Return the entries of a file, by model.

    Args:
        path: of the file; None means params/models.yaml.

    Raises:
        UserError: the file or an entry of it is malformed.
    """
    return _settings(path or files.ROOT / "params" / MODELS)


@cache
def _settings(path: Path) -> Mapping[str, Settings]:
    entries = {str(name): _entry(Settings, path, name, entry) for name, entry in _by_model(path).items()}
    for name, entry in entries.items():
        try:
            checked(entry.settings)
        except UserError as error:
            raise UserError(f"{path}: {name}: {error}") from error
    return entries


def checked(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Check a user's own request fields, and return them as plain JSON values.

    Raises:
        UserError: a field may not be set or may not be None, or a value is not plain JSON.
    """
    if not isinstance(settings, Mapping):
        raise UserError(f"a model's settings must be request fields by name, such as {{'top_p': 0.9}}: {settings!r}")
    if taken := sorted(_FIXED & settings.keys()):
        raise UserError(f"'{taken[0]}' can't be among a model's settings: replies could then not be read")
    if empty := sorted(k for k, value in settings.items() if value is None and k not in LEFT_OUT):
        raise UserError(f"the setting '{empty[0]}' is None, but only {' or '.join(LEFT_OUT)} may be: remove it")
    try:
        return json.loads(json.dumps(dict(settings), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise UserError(f"a model's settings must be plain JSON values: {error}") from None


def _by_model(path: Path) -> dict[Any, Any]:
    """Return the entries of a YAML file, by model; none if there is no file.

    Raises:
        UserError: the file is malformed.
    """
    entries = (files.read_yaml(path) or {}) if path.is_file() else {}
    if not isinstance(entries, dict):
        raise UserError(f"{path} must have entries by model: see the example at its top")
    return entries


def _entry(kind: type[BaseModel], path: Path, name: str, entry: Any) -> Any:
    """Return an entry of a file as a `kind`, or say in one line what is wrong with it."""
    try:
        return kind.model_validate(entry)
    except ValidationError as error:
        raise UserError(f"{path}: {name}: {files.first_error(error, 'it')}") from error
