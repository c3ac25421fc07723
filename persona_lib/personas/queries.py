"""Filters of people in the user's own words: columns in any spelling, and errors that say what to write instead."""

import re
import tokenize
from collections.abc import Iterable
from difflib import get_close_matches

import numpy as np
import pandas as pd

from .. import UserError
from ..attributes import CENSUS
from ..tables import spelling
from . import enrichment

_APART = re.compile(r"""('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|`[^`]*`)""")  # texts, and names in backticks
_COMPARED = re.compile(r"""(?:`([^`]+)`|(\w+))\s*[=!]=\s*(?:'([^'\\]*)'|"([^"\\]*)")""")
SHOWN = 8  # values of a column that an error lists


def spelt(where: str, columns: Iterable[object]) -> str:
    """Return a filter with the columns of these names named so, whatever their spelling, in backticks where needed."""
    ours = {spelling(name): str(name) for name in columns}
    longest = sorted(ours, key=len, reverse=True)
    known = "|".join(r"[\s_]+".join(map(re.escape, name.split())) for name in longest)
    named = re.compile(rf"(?<![\w.])(?:{known})(?!\w)", re.IGNORECASE)

    def plain(name: str) -> str:
        return name if name.isidentifier() else f"`{name}`"

    parts = _APART.split(where)
    for place, part in enumerate(parts):
        if part.startswith("`"):
            parts[place] = f"`{ours.get(spelling(part[1:-1]), part[1:-1])}`"
        elif place % 2 == 0 and ours:
            parts[place] = named.sub(lambda found: plain(ours[spelling(found[0])]), part)
    return "".join(parts)


def fits(people: pd.DataFrame, where: str) -> np.ndarray:
    """Return who matches a filter, as booleans; a missing value matches nothing.

    Args:
        people: a row each.
        where: as `DataFrame.eval` takes it, columns in any spelling.

    Raises:
        UserError: the filter can't be read.
    """
    try:
        found = people.eval(spelt(where, people), engine="python")
    except tokenize.TokenError as error:
        raise UserError(f"the filter {where!r} can't be read: close its brackets and quotes") from error
    except Exception as error:  # whatever an expression of the user's own raises, such as a division by zero
        raise UserError(f"the filter {where!r} can't be read: {_reason(error, people)}") from error
    if not isinstance(found, pd.Series) or not pd.api.types.is_bool_dtype(found):
        raise UserError(f"the filter {where!r} is not true or false of a person: write a comparison such as age >= 18")
    return found.fillna(False).to_numpy(dtype=bool)


def _reason(error: Exception, people: pd.DataFrame) -> str:
    """Return in one line why a filter can't be read, and which columns it may name."""
    if isinstance(error, SyntaxError):
        return f"{error.msg}: write text in quotes, and columns such as `marital status` in backticks"
    told = " ".join(str(error).split())
    if not isinstance(error, NameError):
        return told
    later = enrichment.COLUMNS if set(CENSUS) <= set(people) else ()  # steps that a filter asks for by its columns
    columns = list(dict.fromkeys(map(str, (*people, *later))))
    wrong = re.sub(r"^name '(?:BACKTICK_QUOTED_STRING_)?(.*)' is not defined$", r"\1", told)
    near = get_close_matches(spelling(wrong), columns, 1)
    return f"{told}: {f'did you mean `{near[0]}`? ' if near else ''}columns are {', '.join(columns)}"


def never(people: pd.DataFrame, where: str) -> str:
    """Return which texts of a filter the columns of some people never have, and what they have; empty if none."""
    told = []
    for quoted, plain, *texts in _COMPARED.findall(spelt(where, people)):
        name, text = quoted or plain, "".join(texts)
        if name not in people or pd.api.types.is_numeric_dtype(people[name]):
            continue
        column = people[name]
        values = list(map(str, column.cat.categories if hasattr(column, "cat") else column.dropna().unique()))
        if text in values:
            continue
        folded = {value.lower(): value for value in values}
        same = folded.get(text.lower())
        near = [same] if same else [folded[value] for value in get_close_matches(text.lower(), folded, 3)]
        hint = ", ".join(near or (values if len(values) <= SHOWN else []))
        told.append(f"{name} is not {text!r} of any" + (f", but {hint}" if hint else ""))
    return "; ".join(told)
