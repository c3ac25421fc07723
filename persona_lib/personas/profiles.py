"""A persona as text: the published list of lines, prose, or an interview; attributes in order or shuffled.

The form alone can change what a model answers (arXiv 2507.16076), so it is a factor to vary and a
column in every result. The wording lies in data/profiles.yaml. Used by every notebook that shows a model a persona.
"""

from functools import cache
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import pandas as pd

from .. import UserError, files, seeds
from ..attributes import NAMES

WORDING = Path(__file__).parent / "data" / "profiles.yaml"
Form = Literal["list", "prose", "interview"]
FORMS: tuple[str, ...] = get_args(Form)


def describe(row: pd.Series, form: Form = "list", shuffle_seed: int | None = None) -> str:
    """Write a persona as text; what is missing is left out, auxiliary columns are not written.

    Args:
        row: a persona. Age and income are written as plain integers.
        form: `list` is lines `attribute: value`, the published PERSONA form; `prose` a paragraph in the third person;
            `interview` a question and an answer per attribute.
        shuffle_seed: None keeps the paper's order of attributes; a number is one other order, the same for everybody.

    Raises:
        UserError: the form is unknown.
    """
    _check(form)
    known = row.reindex(_order(shuffle_seed)).dropna()
    return _whole(form, [_put(form, name, value) for name, value in known.items()])


def texts(people: pd.DataFrame, form: Form = "list", shuffle_seed: int | None = None) -> pd.Series:
    """`describe` of every row of a table of personas, on its index; several times as fast."""
    _check(form)
    columns = []
    for name in _order(shuffle_seed):
        if name in people:
            known = people[name].notna()
            columns.append([_put(form, name, v) if k else None for v, k in zip(people[name], known, strict=True)])
    rows = zip(*columns, strict=True)
    return pd.Series([_whole(form, [part for part in row if part]) for row in rows], people.index, dtype="str")


def order_name(shuffle_seed: int | None) -> str:
    """What a result's column `profile_order` calls an order: 'given', or 'shuffled' and its seed."""
    return "given" if shuffle_seed is None else f"shuffled {shuffle_seed}"


def _order(shuffle_seed: int | None) -> list[str]:
    if shuffle_seed is None:
        return list(NAMES)
    return [NAMES[place] for place in seeds.rng("order of the attributes", shuffle_seed).permutation(len(NAMES))]


def _check(form: str) -> None:
    if form not in FORMS:
        raise UserError(f"no form {form!r} of a persona: choose one of {', '.join(FORMS)}")


def _put(form: Form, name: str, value: object) -> str:
    """One attribute in words."""
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
def _wording() -> dict[str, dict]:
    return files.read_yaml(WORDING)
