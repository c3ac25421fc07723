"""Change attributes of a persona, within the vocabulary: the same person, if one thing were otherwise."""

import json
from collections.abc import Mapping
from difflib import get_close_matches

import pandas as pd

from .. import UserError, seeds
from ..attributes import BY_NAME, NAMES, OLDEST
from . import consistency, profiles
from .filtering import SURVEYED
from .origins import states

EDITED = "edited"
LONGEST = 500  # characters of a text
STATE = "state"


def vocabulary(name: str) -> tuple[str, ...]:
    """Return the labels that an attribute may have; none for a number or a text.

    Raises:
        UserError: it is no attribute.
    """
    if name == STATE:
        return tuple(states())
    if name not in BY_NAME:
        near = get_close_matches(name, [*NAMES, STATE], 1)
        hint = f"did you mean {near[0]!r}?" if near else f"choose one of {', '.join([*NAMES, STATE])}"
        raise UserError(f"there is no attribute {name!r} to change: {hint}")
    return SURVEYED[name] if name in SURVEYED and name != "ideology" else BY_NAME[name].labels


def edited(person: pd.Series, changes: Mapping[str, object]) -> pd.Series:
    """Return a persona with some attributes changed; None takes an attribute away. Others stay, whatever they imply.

    Args:
        person: a row of personas.
        changes: by attribute (or `state`): a label as the census or as a text has it, a whole number, or a text.

    Returns:
        The row, with an id of its own (a hash of the person's and the changes) and the change in words in `edited`.
        What was known of the row as drawn, such as why it was drawn anew, stays. `problems` says what contradicts.

    Raises:
        UserError: an attribute or a value is not of the vocabulary, or nothing changes.
    """
    values = {name: _checked(name, value) for name, value in changes.items()}
    values = {name: value for name, value in values.items() if not _same(person.get(name), value)}
    if not values:
        raise UserError("nothing is changed: choose an attribute and a value that this person does not have")
    told = "; ".join(f"{name}: {_said(name, person.get(name))} -> {_said(name, v)}" for name, v in values.items())
    changed = person.astype(object).copy()
    for name, value in values.items():
        changed[name] = value
    changed[EDITED] = told
    changed.name = seeds.digest(json.dumps([str(person.name), values], sort_keys=True), 16)
    return changed


def problems(person: pd.Series) -> list[str]:
    """Return what contradicts itself in a persona, by the rules of `consistency.check`."""
    if pd.isna(person.get("age")):
        return []
    row = person.where(person.notna(), None).to_frame().T
    numbers = [name for name in ("age", "income") if name in row]
    row[numbers] = row[numbers].astype(float)
    return list(consistency.check(row)["reason"])


def _checked(name: str, value: object) -> object:
    """Return a value as the tables have it, or raise UserError."""
    known = vocabulary(name)
    if value is None or (isinstance(value, str) and not value.strip()):
        if name == "age":
            raise UserError("a person needs an age: give a whole number")
        return None
    text = str(value).strip()
    if known:
        by_text = {profiles.said(name, label): label for label in known} | {label: label for label in known}
        folded = {told.lower(): label for told, label in by_text.items()}
        if text.lower() not in folded:
            near = [by_text[told] for told in get_close_matches(text, by_text, 3)] or list(known[:8])
            raise UserError(f"{name} can't be {text!r}: choose a label such as {'; '.join(dict.fromkeys(near))}")
        return folded[text.lower()]
    if name != STATE and BY_NAME[name].kind == "numeric":
        try:
            number = int(text.replace(",", ""))
        except ValueError:
            raise UserError(f"{name} can't be {text!r}: give a whole number") from None
        if name == "age" and not 0 <= number <= OLDEST:
            raise UserError(f"age can't be {number}: give a whole number from 0 to {OLDEST}")
        return number
    if len(text) > LONGEST or "\n" in text:
        raise UserError(f"{name} can't be this text: write one line of at most {LONGEST} characters")
    return text


def _same(old: object, new: object) -> bool:
    return new is None if old is None or pd.isna(old) else old == new


def _said(name: str, value: object) -> str:
    return "(none)" if value is None or pd.isna(value) else profiles.said(name, value)


def options(name: str) -> list[tuple[str, str]]:
    """Return the labels that an attribute may have, as they are shown and as they are."""
    return [(profiles.said(name, label), label) for label in vocabulary(name)]
