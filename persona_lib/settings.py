"""What a model refuses or needs: further request fields, and choices by sampling, from params/models.yaml.

Anyone may edit that file. Reasoning models refuse a temperature and offer no log-probabilities; others want fields of
their own. An entry holds for all calls to the model of that name. Used by `model.Model`. To try it:
`python -c "from persona_lib import settings; print(settings.read())"`.
"""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, ValidationError

from . import UserError, files, prices

NAME = "models.yaml"
# Fields of ours that an entry may leave out, as reasoning models refuse them.
LEFT_OUT = ("temperature", "max_tokens")
# What a request would be wrong without, or its reply unreadable with.
_FIXED = {"model", "messages", "stream", "n", "response_format", "logprobs", "top_logprobs"}


class Settings(BaseModel, extra="forbid", frozen=True):
    """`settings`: request fields, sent as they are; `samples`: replies behind a choice, None for log-probabilities."""

    settings: dict[str, Any] = {}
    samples: int | None = Field(default=None, ge=1)


def of(name: str) -> Settings:
    """What params/models.yaml says of a model by its name at the endpoint; nothing where it has no entry."""
    return read().get(name, Settings())


@cache
def read(path: Path | None = None) -> Mapping[str, Settings]:
    """All entries of a file, params/models.yaml by default.

    Raises:
        UserError: the file or an entry of it is malformed.
    """
    path = path or files.ROOT / "params" / NAME
    return {str(name): _entry(path, name, entry) for name, entry in prices.by_model(path).items()}


def _entry(path: Path, name: str, entry: Any) -> Settings:
    try:
        known = Settings.model_validate(entry)
        checked(known.settings)
        return known
    except ValidationError as error:
        first = error.errors()[0]
        raise UserError(f"{path}: {name}: {'.'.join(map(str, first['loc'])) or 'it'}: {first['msg']}") from error
    except UserError as error:
        raise UserError(f"{path}: {name}: {error}") from error


def checked(settings: Mapping[str, Any]) -> dict[str, Any]:
    """A user's own request fields, among which there is none that a request can't hold or that replies are read by.

    Raises:
        UserError: there is one, or a value that is no plain JSON.
    """
    if not isinstance(settings, Mapping):
        raise UserError(f"a model's settings are request fields by their name, such as {{'top_p': 0.9}}: {settings!r}")
    if taken := sorted(_FIXED & settings.keys()):
        raise UserError(f"'{taken[0]}' can't be among a model's settings: replies could not be read any more")
    if empty := sorted(k for k, value in settings.items() if value is None and k not in LEFT_OUT):
        raise UserError(f"the setting '{empty[0]}' is None, which only leaves out {' or '.join(LEFT_OUT)}: drop it")
    try:
        return json.loads(json.dumps(dict(settings), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise UserError(f"a model's settings must be plain JSON values: {error}") from None
