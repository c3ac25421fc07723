"""A persona as text: the published list of lines, prose, or an interview; attributes in order or shuffled.

The form alone can change what a model answers (arXiv 2507.16076). It is therefore a factor to vary and a column in
every result. data/profiles.yaml has the wording.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd

from .. import UserError, files, seeds
from ..attributes import NAMES

WORDING = Path(__file__).parent / "data" / "profiles.yaml"
Form = Literal["list", "prose", "interview"]
FORMS: tuple[str, ...] = get_args(Form)


def describe(row: pd.Series, form: Form = "list", shuffle_seed: int | None = None) -> str:
    """Write a persona as text, without missing attributes and without auxiliary columns.

    Args:
        row: a persona. Age and income are written as whole numbers.
        form: `list` is lines `attribute: value`, the published PERSONA form; `prose` is a paragraph in the third
            person; `interview` is a question and an answer per attribute.
        shuffle_seed: None keeps the paper's order of attributes; a number gives another order, the same for everybody.

    Raises:
        UserError: the form is unknown.
    """
    _check(form)
    known = row.reindex(_order(shuffle_seed)).dropna()
    return _whole(form, [_put(form, name, value) for name, value in known.items()])


def texts(people: pd.DataFrame, form: Form = "list", shuffle_seed: int | None = None) -> pd.Series:
    """Write every row of a table of personas, as `describe` does; several times as fast.

    Args:
        people: personas, one per row.
        form, shuffle_seed: as in `describe`.

    Returns:
        The texts, on the index of `people`.

    Raises:
        UserError: the form is unknown.
    """
    _check(form)
    parts: list[list[str | None]] = []  # attributes x people
    for name in _order(shuffle_seed):
        if name in people:
            values = zip(people[name], people[name].notna(), strict=True)
            parts.append([_put(form, name, value) if known else None for value, known in values])
    rows = zip(*parts, strict=True) if parts else [()] * len(people)  # people x attributes
    return pd.Series([_whole(form, [part for part in row if part]) for row in rows], people.index, dtype="str")


def order_name(shuffle_seed: int | None) -> str:
    """Return the name of an order in a result's column `profile_order`: 'given', or 'shuffled' and its seed."""
    return "given" if shuffle_seed is None else f"shuffled {shuffle_seed}"


def _order(shuffle_seed: int | None) -> list[str]:
    if shuffle_seed is None:
        return list(NAMES)
    return [NAMES[place] for place in seeds.rng("order of the attributes", shuffle_seed).permutation(len(NAMES))]


def banded(numbers: pd.Series, labels: Mapping[int, str]) -> pd.Series:
    """Return the band of each number, an ordered category; missing stays missing.

    Args:
        numbers: such as ages.
        labels: by the lowest number of each band, in rising order. A band ends where the next one begins; the last one
            has no end.
    """
    return pd.cut(numbers.astype(float), [*labels, np.inf], right=False, labels=list(labels.values()))


def _check(form: str) -> None:
    if form not in FORMS:
        raise UserError(f"no form {form!r} of a persona: choose one of {', '.join(FORMS)}")


def _put(form: Form, name: str, value: object) -> str:
    """Return one attribute in words."""
    text = str(int(value)) if isinstance(value, int | float | np.number) else str(value)
    if form == "list":
        return f"{name}: {text}"
    wording = _wording()[name]
    if form == "interview":
        return f"Q: {wording['question']}\nA: {text}"
    if own := wording.get("labels", {}).get(text):
        return own
    sentence = wording.get("says", f"Their {name}: {{value}}.").format(value=text)
    return sentence if sentence[-1] in ".!?" else sentence + "."


def _whole(form: Form, parts: list[str]) -> str:
    return " ".join(["This is about one person.", *parts]) if form == "prose" else "\n".join(parts)


@cache
def _wording() -> dict[str, dict[str, Any]]:
    return files.read_yaml(WORDING)
