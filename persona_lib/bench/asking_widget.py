"""Edit a person and ask both in JupyterLab: the widget of `asking`."""

from collections.abc import Sequence
from html import escape
from typing import Any

import ipywidgets as w
import pandas as pd

from .. import UserError, files
from ..attributes import NAMES
from ..model import LanguageModel
from ..personas import browser, editing, handles
from ..personas.profiles import said
from .asking import NOT_JUDGED, ask_both, keep, marked
from .conditions import CONDITIONS, judged


def asker(
    people: "browser.Browser | pd.DataFrame",
    writers: Sequence[LanguageModel],
    judge: LanguageModel | None = None,
    conditions: Sequence[str] = CONDITIONS,
    words: int | None = 120,
    templates: str | None = None,
) -> w.VBox:
    """Return the widget: change a person, ask both a question, read the answers beside each other, and keep the rows.

    Args:
        people: a browser, whose first chosen person is changed; or a table of personas, whose first one is.
        writers: the models to choose from. Nothing is asked before a button is pressed.
        judge: of the answers, asked on demand; None is the writer.
        conditions, words, templates: as in `bench.answered`.
    """
    if not writers:
        raise UserError("there is no model to ask: give one, such as [model.Model()]")
    return Asker(people, writers, judge, conditions, words, templates)


class Asker(w.VBox):
    """The widget of `asker`; `table` has the rows asked last."""

    def __init__(
        self,
        people: "browser.Browser | pd.DataFrame",
        writers: Sequence[LanguageModel],
        judge: LanguageModel | None,
        conditions: Sequence[str],
        words: int | None,
        templates: str | None,
    ):
        self.table: pd.DataFrame | None = None
        self._people = people
        self._judge, self._words, self._templates = judge, words, templates
        self._changes: dict[str, object] = {}
        wide = w.Layout(width="auto")
        self.who, self.said, self.answers, self.progress = w.HTML(), w.Label(), w.HTML(), w.Output()
        self.attribute = w.Dropdown(options=[*NAMES, editing.STATE], value="religion", description="change")
        self.value = w.Combobox(placeholder="empty: take it away", description="to", ensure_option=False, layout=wide)
        self.change = w.Button(description="change")
        self.undo = w.Button(description="undo all", disabled=True)
        self.question = w.Textarea(placeholder="What should I cook tonight?", description="question", layout=wide)
        self.condition = w.Dropdown(options=[(c.replace("_", " "), c) for c in conditions], description="how")
        self.condition.value = "direct" if "direct" in conditions else conditions[0]
        self.writer = w.Dropdown(options=[(writer.name, writer) for writer in writers], description="model")
        self.ask = w.Button(description="ask both", button_style="primary")
        self.judge = w.Button(description="critic's verdict", disabled=True)
        self.path = w.Text(value=str(files.ROOT / "outputs" / "asked.parquet"), description="file", layout=wide)
        self.keep = w.Button(description="keep the rows", disabled=True)
        edit = w.HBox([self.attribute, self.value, self.change, self.undo])
        asked = w.HBox([self.condition, self.writer, self.ask, self.judge])
        kept = w.HBox([self.path, self.keep])
        for row, long in ((edit, self.value), (kept, self.path)):
            row.layout.width, long.layout.flex = "100%", "1 1 auto"
        super().__init__([self.who, edit, self.question, asked, self.said, self.progress, self.answers, kept])
        self.attribute.observe(self._offer, "value")
        for button, work in (
            (self.change, self._change),
            (self.undo, self._undo),
            (self.ask, self._ask),
            (self.judge, self._verdict),
            (self.keep, self._keep),
        ):
            button.on_click(lambda _, work=work: self._tell(work))
        if isinstance(people, browser.Browser):
            people.observe(self._another, "chosen")
        self._another()

    @property
    def person(self) -> pd.Series | None:
        """Return the person who is changed, or None while the browser shows nobody."""
        if isinstance(self._people, pd.DataFrame):
            return self._people.iloc[0]
        return self._people.people.loc[self._people.chosen[0]] if self._people.chosen else None

    def _tell(self, work: Any) -> None:
        """Do what a button is for; progress is shown here, and what a user can correct is told in one line."""
        self.said.value = ""
        with self.progress:
            try:
                work()
            except UserError as error:
                self.said.value = str(error)

    def _another(self, _: object = None) -> None:
        self._changes, self.table = {}, None
        self.answers.value = self.said.value = ""
        self._show()
        self._offer()

    def _show(self) -> None:
        person = self.person
        name = "nobody is chosen" if person is None else handles(person.to_frame().T).iloc[0]
        told = "; ".join(f"{name} {'(none)' if v is None else said(name, v)}" for name, v in self._changes.items())
        wrong = "; ".join(self._wrong())
        self.who.value = f"<b>{escape(name)}</b>, and the same person with {escape(told) or 'nothing changed yet'}" + (
            f"<br>Unlikely: {escape(wrong)}" if wrong else ""
        )
        for button, able in (
            (self.change, person is not None),
            (self.undo, bool(self._changes)),
            (self.ask, person is not None),
            (self.judge, self.table is not None),
            (self.keep, self.table is not None),
        ):
            button.disabled = not able

    def _wrong(self) -> list[str]:
        """Return what contradicts itself in the changed person and does not in the person as drawn."""
        if self.person is None or not self._changes:
            return []
        before = editing.problems(self.person)
        return [what for what in editing.problems(editing.edited(self.person, self._changes)) if what not in before]

    def _offer(self, _: object = None) -> None:
        """Offer the labels of the attribute, and show which one the person has."""
        name = self.attribute.value
        self.value.options = [shown for shown, _ in editing.options(name)]
        value = None if self.person is None else self.person.get(name)
        self.value.value = ""
        self.value.placeholder = "(none)" if value is None or pd.isna(value) else f"now: {said(name, value)}"

    def _change(self) -> None:
        name = self.attribute.value
        changes = self._changes | {name: self.value.value.strip() or None}
        person = self.person
        assert person is not None  # the button is disabled without one
        changed = editing.edited(person, changes)
        self._changes = {name: changed[name] for name in changes}
        self.table = None
        self.answers.value = self.value.value = ""
        self._show()

    def _undo(self) -> None:
        self._another()

    def _ask(self) -> None:
        if self.value.value.strip():  # a change that is typed, but not made yet
            self._change()
        person = self.person
        assert person is not None
        changed = editing.edited(person, self._changes)
        self.said.value = "asking ..."
        how = (self.condition.value, self._words, self._templates)
        self.table = ask_both(person, changed, self.question.value, self.writer.value, *how)
        self._answers()

    def _verdict(self) -> None:
        assert self.table is not None
        self.said.value = "asking ..."
        answers = self.table[self._answered]
        self.table = judged(answers, self._judge or self.writer.value, self._templates)
        self._answers()

    @property
    def _answered(self) -> list[str]:
        """Return the columns of the table that `bench.answered` made: a verdict is asked of these."""
        assert self.table is not None
        end = list(self.table).index("answer_words") + 1
        return list(self.table)[:end]

    def _answers(self) -> None:
        assert self.table is not None
        self.said.value = ""
        self.answers.value = _beside(self.table)
        self._show()

    def _keep(self) -> None:
        assert self.table is not None
        n = keep(self.table, self.path.value)
        self.said.value = f"kept: {self.path.value} has {n:,} rows"


def _beside(table: pd.DataFrame) -> str:
    """Return two answers as HTML, side by side: words that differ are marked; the verdicts, or why there is none."""
    parts = []
    for row, text in zip(table.to_dict("records"), marked(*table["answer"].fillna("")), strict=True):
        head = "As drawn" if pd.isna(row[editing.EDITED]) else row[editing.EDITED]
        if pd.notna(row.get("verdict")):
            told = f"Critic: {row['verdict']}. {row['critique']}"
        else:
            told = "" if row["failure"] == NOT_JUDGED else row["failure"]
        parts.append(
            f'<div style="flex: 1 1 20em"><b>{escape(head)}</b><p>{text}</p><p><i>{escape(told)}</i></p></div>'
        )
    return f'<div style="display: flex; flex-wrap: wrap; gap: 1.5em; line-height: 1.4">{"".join(parts)}</div>'
