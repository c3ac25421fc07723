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

WORDING, TOGETHER = (Path(__file__).parent / "data" / f"{name}.yaml" for name in ("profiles", "together"))
Form = Literal["list", "prose", "interview"]
FORMS: tuple[str, ...] = get_args(Form)


def describe(row: pd.Series, form: Form = "list", shuffle_seed: int | None = None, named: bool = False) -> str:
    """Write a persona as text, without missing attributes and without auxiliary columns.

    Args:
        row: a persona. Age and income are written as whole numbers, the Bureau's long labels as short ones.
        form: `list` is lines `attribute: value`, the published PERSONA form; `prose` is a paragraph in the third
            person; `interview` is a question and an answer per attribute.
        shuffle_seed: None keeps the paper's order of attributes; a number gives another order, the same for everybody.
        named: tell the given name, too. A name carries signals of its own (of sex, age, class and origin): by default
            no model is told it.

    Raises:
        UserError: the form is unknown.
    """
    return texts(row.to_frame().T, form, shuffle_seed, named=named).iloc[0]


def texts(
    people: pd.DataFrame,
    form: Form = "list",
    shuffle_seed: int | None = None,
    named: bool = False,
    short: bool = True,
) -> pd.Series:
    """Write every row of a table of personas, as `describe` does.

    Args:
        people: personas, one per row.
        form, shuffle_seed, named: as in `describe`.
        short: write the short labels; without, those of the table, as the published PERSONA data has them.

    Returns:
        The texts, on the index of `people`.

    Raises:
        UserError: the form is unknown.
    """
    if form not in FORMS:
        raise UserError(f"no form {form!r} of a persona: choose one of {', '.join(FORMS)}")
    parts: dict[str, np.ndarray] = {}  # attribute: a text per person, or None
    for name in [*(["given name"] if named else []), *_order(shuffle_seed)]:
        if name in people:
            values = zip(people[name], people[name].notna(), strict=True)
            said = [_put(form, name, value, short) if known else None for value, known in values]
            parts[name] = np.array(said, dtype=object)
    if form == "prose":
        _together(people, parts)
    rows = zip(*parts.values(), strict=True) if parts else [()] * len(people)  # people x attributes
    return pd.Series([_whole(form, [part for part in row if part]) for row in rows], people.index, dtype="str")


def said(name: str, value: object) -> str:
    """Return a value as the texts say it: the short label, whole numbers."""
    text = str(int(value)) if isinstance(value, int | float | np.number) else str(value)
    return _short(name).get(text, text)


def bureau(people: pd.DataFrame) -> pd.DataFrame:
    """Return the people with the Bureau's labels in place of the short ones that a text has."""
    full = {name: {short: label for label, short in _short(name).items()} for name in NAMES if name in people}
    return people.assign(**{name: people[name].replace(labels) for name, labels in full.items() if labels})


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


def _put(form: Form, name: str, value: object, short: bool) -> str:
    """Return one attribute in words."""
    text = str(int(value)) if isinstance(value, int | float | np.number) else str(value)
    wording = _wording()[name]
    told = said(name, value) if short else text
    if form == "list":
        return f"{name}: {told}"
    if form == "interview":
        return f"Q: {wording['question']}\nA: {told}"
    if own := wording.get("labels", {}).get(text):
        return own
    the = "the " if text in wording.get("the", ()) else ""
    sentence = wording.get("says", f"Their {name}: {{value}}.").format(value=the + told)
    return sentence.replace("..", ".").replace("!.", "!").replace("?.", "?")


def _together(people: pd.DataFrame, parts: dict[str, np.ndarray]) -> None:
    """Put sentences that say several attributes at once in place of the first of them, and drop the others."""
    done = np.zeros(len(people), dtype=bool)
    for sentence in files.read_yaml(TOGETHER):
        values = sentence["values"]
        if not set(values) <= set(parts):
            continue
        those = ~done & np.logical_and.reduce([people[name].eq(value).to_numpy() for name, value in values.items()])
        first, *others = (name for name in parts if name in values)
        parts[first][those] = sentence["says"]
        for name in others:
            parts[name][those] = None
        done |= those


def _whole(form: Form, parts: list[str]) -> str:
    return " ".join(["This is about one person.", *parts]) if form == "prose" else "\n".join(parts)


def _short(name: str) -> dict[str, str]:
    """Return an attribute's short labels by the Bureau's."""
    return _wording().get(name, {}).get("short", {})


@cache
def _wording() -> dict[str, dict[str, Any]]:
    return files.read_yaml(WORDING)
