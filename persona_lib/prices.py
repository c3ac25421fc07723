"""Prices: what an endpoint asks for a model's tokens, from params/prices.yaml, which anyone may edit.

A price counts only with its date and source, so that whoever reads a cost can check it; a model without one has no
cost, only tokens. Used by `model.Model`. To try it: `python -c "from persona_lib import prices; print(prices.read())"`.
"""

import sys
from collections.abc import Mapping
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, ValidationError

from . import UserError, files

NAME = "prices.yaml"


class Price(BaseModel, extra="forbid", frozen=True):
    """USD per million tokens: `in`, `cached_in` (the price of `in` where there is none) and `out`."""

    input: float = Field(alias="in", ge=0)
    cached_in: float | None = Field(default=None, ge=0)
    out: float = Field(ge=0)
    date: date
    source: str = Field(min_length=1)

    def cost(self, tokens_in: int, tokens_out: int, tokens_cached: int = 0) -> float:
        """USD for a call; `tokens_cached` of its `tokens_in` were read from the endpoint's cache."""
        cached_in = self.input if self.cached_in is None else self.cached_in
        fresh = tokens_in - tokens_cached
        return (fresh * self.input + tokens_cached * cached_in + tokens_out * self.out) / 1e6


FREE = Price.model_validate({"in": 0, "out": 0, "date": date(2026, 1, 1), "source": "runs on this machine"})


def of(name: str) -> Price | None:
    """The price of a model by its name at the endpoint, or None where none is known."""
    return read().get(name)


def read(path: Path | None = None) -> Mapping[str, Price]:
    """All prices of a file, params/prices.yaml by default; an entry without date or source is left out, and said.

    Raises:
        UserError: the file or an entry of it is malformed.
    """
    return _read(path or files.ROOT / "params" / NAME)


@cache  # so that what is left out is said once
def _read(path: Path) -> Mapping[str, Price]:
    entries = by_model(path)
    left_out = [n for n, e in entries.items() if isinstance(e, dict) and not (e.get("date") and e.get("source"))]
    if left_out:
        print(f"{path}: no date or no source, so left out: {', '.join(map(str, left_out))}", file=sys.stderr)
    return {str(name): _price(path, name, entry) for name, entry in entries.items() if name not in left_out}


def by_model(path: Path) -> dict[Any, Any]:
    """The entries of a YAML file that says something of models by their names; none where there is no file.

    Raises:
        UserError: the file is malformed.
    """
    entries = (files.read_yaml(path) or {}) if path.is_file() else {}
    if not isinstance(entries, dict):
        raise UserError(f"{path} has no entries by model: see the form at its head")
    return entries


def _price(path: Path, name: str, entry: Any) -> Price:
    try:
        return Price.model_validate(entry)
    except ValidationError as error:
        first = error.errors()[0]
        raise UserError(f"{path}: {name}: {'.'.join(map(str, first['loc'])) or 'it'}: {first['msg']}") from error
