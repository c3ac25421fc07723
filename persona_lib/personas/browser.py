"""A browser for personas in JupyterLab: filter, read, compare. Used by 00_explore.

What it shows are the tables of `find` and `compare` and the texts of `profiles`; the widgets only call them.
"""

from collections.abc import Callable
from html import escape
from textwrap import fill
from threading import RLock

import ipywidgets as w
import pandas as pd

from .. import UserError
from ..attributes import NAMES
from . import profiles
from .sampling import fits

WIDTH = 90
SHORT = ("age", "sex", "race", "occupation category", "state")


def find(people: pd.DataFrame, where: str = "") -> pd.DataFrame:
    """The personas whom a filter fits (all for an empty one). Raises UserError for a filter that can't be read."""
    return people[fits(people, where)] if where.strip() else people


def compare(people: pd.DataFrame, ids: list[str]) -> pd.DataFrame:
    """The attributes of a few personas side by side: a row per attribute that one of them has, `differs` at the end."""
    table = people.loc[ids, list(NAMES)].astype(object).T.dropna(how="all")
    return table.assign(differs=table.nunique(axis=1, dropna=False) > 1)


def read(row: pd.Series, form: profiles.Form = "list") -> str:
    """A persona's text (`profiles.describe`) in lines that a page can hold."""
    return "\n".join(fill(line, WIDTH) for line in profiles.describe(row, form).splitlines())


def name(row: pd.Series) -> str:
    """A persona in a few words, for lists."""
    return f"{', '.join(str(row[n]) for n in SHORT if n in row and pd.notna(row[n]))}  ({row.name})"


def browser(people: pd.DataFrame) -> w.VBox:
    """The widget: a filter, two lists of personas, what the first reads like, and the two side by side."""
    wide = w.Layout(width="auto")
    names = people.apply(name, axis=1)
    where = w.Text(placeholder="age >= 65 and religion == 'Catholic'", description="filter", layout=wide)
    where.continuous_update = False
    said = w.Label()
    lists = [w.Select(description=d, rows=7, layout=wide) for d in ("read", "beside")]
    form = w.Dropdown(options=profiles.FORMS, description="as")
    text, table = w.HTML(), w.HTML()

    def filtered(_: object = None) -> None:
        try:
            found = find(people, where.value)
        except UserError as error:
            said.value = str(error)
            return
        said.value = f"{len(found):,} of {len(people):,} personas"
        for place, chosen in enumerate(lists):
            chosen.options = [(names[i], i) for i in found.index]
            chosen.index = min(place, len(found) - 1) if len(found) else None

    def shown(_: object = None) -> None:
        ids = list(dict.fromkeys(chosen.value for chosen in lists if chosen.value is not None))
        text.value = _paragraphs(profiles.describe(people.loc[ids[0]], form.value)) if ids else ""
        table.value = _marked(compare(people, ids)) if ids else ""

    lock = RLock()
    _on_value(filtered, where, lock=lock)
    _on_value(shown, *lists, form, lock=lock)
    filtered()
    shown()
    return w.VBox([where, said, *lists, form, text, table])


def _on_value(function: Callable[[object], None], *widgets: w.Widget, lock: RLock) -> None:
    # JupyterLab hears widgets in several threads of a kernel (subshells): the one that comes last must show last.
    def one_at_a_time(change: object) -> None:
        with lock:
            function(change)

    for widget in widgets:
        widget.observe(one_at_a_time, "value")


def _paragraphs(text: str) -> str:
    return "".join(f"<div>{escape(line)}</div>" for line in text.splitlines())


def _marked(table: pd.DataFrame) -> str:
    """The comparison as HTML, bold where the personas differ."""
    shown = table.drop(columns="differs").map(lambda value: "" if pd.isna(value) else escape(str(value)))
    shown.loc[table["differs"]] = "<b>" + shown[table["differs"]] + "</b>"
    return shown.to_html(escape=False)
