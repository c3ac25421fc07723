"""A browser for personas in JupyterLab: filter, read, compare.

It shows the tables of `find` and `compare` and the texts of `profiles`; the widgets only call these functions.
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
from .names import NAME, handles
from .queries import fits

WIDTH = 90
SHORT = (NAME, "age", "sex", "race", "occupation category", "state")


def find(people: pd.DataFrame, where: str = "") -> pd.DataFrame:
    """Return the personas who match a filter; an empty filter matches all.

    Raises:
        UserError: the filter can't be read.
    """
    return people[fits(people, where)] if where.strip() else people


def compare(people: pd.DataFrame, ids: list[str]) -> pd.DataFrame:
    """Return a few personas side by side: a row per attribute that at least one of them has, a column per persona.

    The last column, `differs`, says whether the personas differ in the attribute.
    """
    table = people.reindex(columns=list(NAMES)).loc[ids].astype(object).T.dropna(how="all")
    return table.assign(differs=table.nunique(axis=1, dropna=False) > 1)


def read(row: pd.Series, form: profiles.Form = "list") -> str:
    """Return a persona's text (`profiles.describe`), wrapped to lines of at most 90 characters."""
    return "\n".join(fill(line, WIDTH) for line in profiles.describe(row, form).splitlines())


def name(row: pd.Series) -> str:
    """Return a persona in a few words, for lists."""
    known = [profiles.said(attribute, row[attribute]) for attribute in SHORT if pd.notna(row.get(attribute))]
    return f"{', '.join(known)}  ({row.name})"


def browser(people: pd.DataFrame) -> w.VBox:
    """Return the widget: a filter, two lists of personas, the text of the first choice, and both side by side."""
    wide = w.Layout(width="auto")
    names = people.apply(name, axis=1)
    where = w.Text(placeholder="age >= 65 and religion == 'Catholic'", description="filter", layout=wide)
    where.continuous_update = False
    said = w.Label()
    lists = [w.Select(description=d, rows=7, layout=wide) for d in ("read", "beside")]
    form = w.Dropdown(options=profiles.FORMS, description="as")
    text = w.HTML()
    table = w.HTML()

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
        table.value = _marked(compare(people, ids).rename(columns=handles(people.loc[ids]))) if ids else ""

    lock = RLock()
    _on_value(filtered, where, lock=lock)
    _on_value(shown, *lists, form, lock=lock)
    filtered()
    shown()
    return w.VBox([where, said, *lists, form, text, table])


def _on_value(function: Callable[[object], None], *widgets: w.Widget, lock: RLock) -> None:
    # JupyterLab may handle widgets in several threads of a kernel (subshells). With the lock, the last change is also
    # the last one shown.
    def one_at_a_time(change: object) -> None:
        with lock:
            function(change)

    for widget in widgets:
        widget.observe(one_at_a_time, "value")


def _paragraphs(text: str) -> str:
    return "".join(f"<div>{escape(line)}</div>" for line in text.splitlines())


def _marked(table: pd.DataFrame) -> str:
    """Return the comparison as HTML, bold where the personas differ."""
    shown = table.drop(columns="differs").map(lambda value: "" if pd.isna(value) else escape(str(value)))
    shown.loc[table["differs"]] = "<b>" + shown[table["differs"]] + "</b>"
    return shown.to_html(escape=False)
