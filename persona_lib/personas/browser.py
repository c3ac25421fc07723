"""A browser for personas in JupyterLab: search, filter, sort, read, compare.

It shows the tables and texts of `search`; the widgets only call these functions.
"""

import re
from collections.abc import Callable
from textwrap import fill
from threading import RLock
from typing import Any

import ipywidgets as w
import pandas as pd
import traitlets

from .. import UserError
from . import profiles
from .names import NAME, handles
from .psychographics import ADULT
from .search import bars, cards, compare, find, labels, listed, marked, shares, texts

__all__ = ["Browser", "browser", "compare", "find", "read"]

WIDTH = 90
LIST = (
    *(NAME, "age", "sex", "race", "education", "income"),
    *("occupation category", "household type", "religion", "political views", "state"),
)
CHOICES = ("sex", "race", "education", "household type", "religion", "political views", "state")
INCOMES = (0, 10_000, 20_000, 30_000, 40_000, 50_000, 75_000, 100_000, 150_000, 200_000)
LOWEST, HIGHEST = float("-inf"), float("inf")
MOST = 2_000  # people in the list; a filter finds the others
BESIDE = 4  # people who are shown beside each other
ANY = ""
# Of the list: all rows (maxBytes 0), and no search of its own beside ours.
_LOOK: dict[str, Any] = {"select": True, "maxBytes": 0, "showIndex": False, "scrollX": True}
_LOOK |= {"classes": "display compact nowrap", "layout": {"topEnd": None, "topStart": None, "bottomStart": "info"}}


def read(row: pd.Series, form: profiles.Form = "list") -> str:
    """Return a persona's text (`profiles.describe`), wrapped to lines of at most 90 characters."""
    return "\n".join(fill(line, WIDTH) for line in profiles.describe(row, form).splitlines())


def browser(people: pd.DataFrame) -> "Browser":
    """Return the widget: search and filters, a list to sort, cards of those chosen in it, shares beside everybody's.

    Args:
        people: indexed by `persona_id`. In the list a click chooses a person, and one with Ctrl or Shift more of them.

    Raises:
        UserError: there is nobody.
    """
    if people.empty:
        raise UserError("there are no people to browse: draw some, or name another file")
    return Browser(people)


class Browser(w.VBox):
    """The widget of `browser`; `chosen` are the ids of the people whose cards are shown, the first one is read."""

    chosen = traitlets.List(traitlets.Unicode())

    def __init__(self, people: pd.DataFrame):
        from itables.widget import ITable  # loads only where somebody browses

        self.people = people
        self._texts = texts(people)
        wide = w.Layout(width="auto")
        self.words = w.Text(placeholder='teacher, "school bus", Ohio', description="search", layout=wide)
        self.query = w.Text(placeholder="age >= 65 and religion == 'Catholic'", description="query", layout=wide)
        for text in (self.words, self.query):
            text.continuous_update = False
        self.choices = {name: _choice(people, name) for name in CHOICES if name in people}
        self.ranges = {name: slider for name in ("age", "income") if (slider := _range(people, name)) is not None}
        self.said = w.Label()
        self.clear = w.Button(description="clear all")
        self.list = ITable()
        self.form = w.Dropdown(options=profiles.FORMS, description="as")
        self.cards, self.table, self.shares = w.HTML(), w.HTML(), w.HTML()
        self._found = people
        self._lock = RLock()
        more = w.Tab([self.cards, self.table, self.shares], titles=["Read", "Compare", "Shares"])
        filters = w.Box([*self.ranges.values(), *self.choices.values()], layout=w.Layout(flex_flow="row wrap"))
        super().__init__([self.words, self.query, filters, w.HBox([self.said, self.clear]), self.list, self.form, more])
        self._on(self._filter, self.words, self.query, *self.choices.values(), *self.ranges.values())
        self._on(self._choose, self.list, trait="selected_rows")
        self._on(self._show, self.form)
        self.clear.on_click(self._clear)
        self._filter()

    def _on(self, function: Callable[[], None], *widgets: w.Widget, trait: str = "value") -> None:
        # JupyterLab may handle widgets in several threads of a kernel (subshells). With the lock, the last change is
        # also the last one shown.
        def one_at_a_time(_: object) -> None:
            with self._lock:
                function()

        for widget in widgets:
            widget.observe(one_at_a_time, trait)

    def _wanted(self) -> dict[str, Any]:
        """Return what is asked for of attributes, as `search.find` takes it."""
        whole = {name: (slider.options[0][1], slider.options[-1][1]) for name, slider in self.ranges.items()}
        ranges = {name: slider.value for name, slider in self.ranges.items() if slider.value != whole[name]}
        return ranges | {name: choice.value for name, choice in self.choices.items() if choice.value != ANY}

    def _filter(self) -> None:
        try:
            self._found = find(self.people, self.query.value, self.words.value, self._wanted(), self._texts)
        except UserError as error:
            plain = re.fullmatch(r"[\w\s]+", self.query.value)
            self.said.value = f"{error}. Words go into the search." if plain else str(error)
            return
        n, shown = len(self._found), self._found.head(MOST)
        more = f", the first {MOST:,} listed" if n > MOST else ""
        self.said.value = f"{n:,} of {len(self.people):,} personas{more}"
        grown = (shown["age"] >= ADULT).to_numpy().nonzero()[0] if "age" in shown else []
        first = [int(grown[0]) if len(grown) else 0] if n else []  # an adult, if there is one
        self.list.update(listed(shown, LIST).reset_index(drop=True), selected_rows=first, **_LOOK)
        self.shares.value = bars(shares(self.people, self._found)) if n else ""
        self._choose()

    def _choose(self) -> None:
        ids = self._found.index
        self.chosen = [str(ids[row]) for row in self.list.selected_rows if row < len(ids)][:BESIDE]
        self._show()

    def _show(self) -> None:
        few = self.people.loc[self.chosen]
        self.cards.value = cards(few, self.chosen, self.form.value) if self.chosen else ""
        compared = compare(few, self.chosen).rename(columns=handles(few)) if self.chosen else None
        hint = "" if len(self.chosen) > 1 else "<p>Choose more people in the list with Ctrl or Shift.</p>"
        self.table.value = hint + (marked(compared) if compared is not None else "")

    def _clear(self, _: object) -> None:
        with self._lock:
            self.words.value = self.query.value = ""
            for choice in self.choices.values():
                choice.value = ANY
            for slider in self.ranges.values():
                slider.index = (0, len(slider.options) - 1)


def _choice(people: pd.DataFrame, name: str) -> w.Dropdown:
    return w.Dropdown(
        options=[("any", ANY), *labels(people, name)], description=name, style={"description_width": "8em"}
    )


def _range(people: pd.DataFrame, name: str) -> w.SelectionRangeSlider | None:
    """Return a slider from the lowest to the highest value, or None without two values."""
    known = people[name].dropna() if name in people else pd.Series(dtype=float)
    if known.nunique() < 2:
        return None
    if name == "age":
        options = [(str(age), float(age)) for age in range(int(known.min()), int(known.max()) + 1)]
    else:
        options = [("lowest", LOWEST), *((f"{dollars:,}", float(dollars)) for dollars in INCOMES), ("highest", HIGHEST)]
    slider = w.SelectionRangeSlider(options=options, description=name, layout=w.Layout(width="32em"))
    slider.index, slider.continuous_update = (0, len(options) - 1), False
    return slider
