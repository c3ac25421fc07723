"""The items of a results table in JupyterLab: search, read one, ask a failed one again."""

from collections.abc import Sequence
from html import escape

import ipywidgets as w
import pandas as pd

from ... import UserError
from ...model.anew import again
from ...model.model import Model
from ...store import Stored
from . import item_pages, item_tables

MOST = 200  # items in the list; a search finds the others
_FACTS = ("condition", "model", "judge", "verdict", "p", "failure")


def items(results: pd.DataFrame, people: pd.DataFrame | None = None, models: Sequence[Model] = ()) -> w.VBox:
    """Return a widget that shows a results table item by item; the page of a run shows all its tables.

    Args:
        results: as in `item_tables.of_table`, such as the results of `bench.conditioning`.
        people: the personas, index `persona_id`; None: what the results' profiles tell.
        models: those that were asked. In their store lie requests and raw replies, and the button asks a failed item's
            request again. The new reply is kept: run the cell that made the table again to count it.
    """
    table = item_tables.of_table(results).reset_index(drop=True)
    known = item_tables.of_people([] if people is None else [people], table)
    who = table["persona_id"].map(known["brief"]).replace("", None).fillna(table["persona_id"])
    prompts = table["prompt"].fillna(table["prompt_id"])
    parts = [who, table["condition"], table["verdict"].fillna(table["failure"]).fillna(""), prompts]
    names = parts[0].str.cat(parts[1:], "  |  ")
    whole = names.str.cat(table[["profile", *item_tables.TEXTS, "failure"]].fillna("").astype("str"), "\n").str.lower()
    wide = w.Layout(width="auto")
    wanted = w.Text(placeholder="words in any text", description="search", continuous_update=False, layout=wide)
    said, text, button = w.Label(), w.HTML(), w.Button(description="ask again", disabled=True)
    chosen = w.Select(rows=10, layout=wide, description="item")

    def filtered(_: object = None) -> None:
        found = names[whole.str.contains(wanted.value.strip().lower(), regex=False)]
        said.value = f"{len(found):,} of {len(names):,} items" + (f", the first {MOST} listed" * (len(found) > MOST))
        chosen.options = [(name, place) for place, name in found.head(MOST).items()]
        chosen.index = 0 if len(found) else None
        shown()

    def shown(_: object = None) -> None:
        row = None if chosen.value is None else table.loc[chosen.value]
        text.value = "" if row is None else _html(row, prompts[chosen.value], models)
        button.disabled = row is None or not _failed(row, models)

    def asked(_: object) -> None:
        button.disabled = True
        failed = _failed(table.loc[chosen.value], models)
        text.value = "".join(_again(key, models) for key in failed) + text.value

    wanted.observe(filtered, "value")
    chosen.observe(shown, "value")
    button.on_click(asked)
    filtered()
    return w.VBox([wanted, said, chosen, button, text])


def _keys(row: pd.Series) -> list[tuple[str, str]]:
    """Return an item's steps with the keys of their requests."""
    kept = [(step, row[column]) for column, step in item_pages.STEPS.items() if pd.notna(row[column])]
    return [(step, key) for step, keys in kept for key in keys.split()]


def _kept(key: str, models: Sequence[Model]) -> Stored | None:
    """Return what is kept under a key in the stores of these models."""
    return next(filter(None, (model.store.get(key) for model in models)), None)


def _failed(row: pd.Series, models: Sequence[Model]) -> list[str]:
    """Return the keys of an item under which no answer is kept."""
    return [key for _, key in _keys(row) if (kept := _kept(key, models)) and kept.failure]


def _again(key: str, models: Sequence[Model]) -> str:
    """Ask the model that was asked under a key again, and return its new reply as HTML, or why there is none."""
    problem = ""
    for model in models:
        try:
            reply = again(model, key)
        except UserError as error:
            problem = str(error)
            continue
        told = f"Failed again: {reply.failure}" if reply.failure else "New reply. Run the cell again to count it:"
        return f"<p><b>{escape(told)}</b></p>{_pre(reply.text)}"
    return f"<p><b>{escape(problem)}</b></p>"


def _html(row: pd.Series, prompt: str, models: Sequence[Model]) -> str:
    """Return an item as HTML."""
    facts = "; ".join(f"{name}: {row[name]}" for name in _FACTS if pd.notna(row[name]) and row[name] != "")
    parts = [f"<p><b>{escape(prompt)}</b></p><p>{escape(facts)}</p>"]
    if pd.notna(row["profile"]):
        parts.append(f"<details><summary>profile</summary>{_pre(row['profile'])}</details>")
    for name in item_tables.TEXTS:
        if pd.notna(row[name]):
            parts.append(f"<p><b>{name.replace('_', ' ')}</b></p>{_pre(row[name])}")
    for step, key in _keys(row):
        if kept := _kept(key, models):
            told = item_pages.exchange(kept)
            sent = "\n\n".join(f"{role}:\n{content}" for role, content in told["messages"])
            content = f"{_pre(sent)}<p>raw reply</p>{_pre(told['reply'])}"
            parts.append(f"<details><summary>request and raw reply: {step}</summary>{content}</details>")
    return "".join(parts)


def _pre(text: str) -> str:
    return f'<div style="white-space: pre-wrap; overflow-wrap: anywhere; line-height: 1.4">{escape(text)}</div>'
