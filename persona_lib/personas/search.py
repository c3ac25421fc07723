"""Find and look at personas: words, ranges and labels, a query; what they share, and one persona as a card.

All of it is tables and texts; the `browser` shows them in JupyterLab.
"""

import re
from collections.abc import Collection, Mapping
from html import escape
from typing import Any

import pandas as pd

from .. import UserError
from ..attributes import NAMES
from . import profiles
from .names import NAME, brief, handles
from .queries import fits

AGES = {0: "under 18", 18: "18 to 29", 30: "30 to 44", 45: "45 to 59", 60: "60 to 74", 75: "75 or older"}
INCOMES = {0: "0 to 24,999", 25_000: "25,000 to 49,999", 50_000: "50,000 to 99,999", 100_000: "100,000 or more"}
BANDS = {"age": AGES, "income": INCOMES}
GROUPS = ("age", "sex", "race", "education", "income", "household type", "political views", "religion")
_LEFT = '<th style="text-align: left; font-weight: normal; padding-right: 0.8em">'
MOST = 6  # values of an attribute whose shares are shown
_STYLES: Any = [
    {"selector": "th", "props": "text-align: left; font-weight: normal; padding-right: 0.8em"},
    {"selector": "th.row_heading", "props": "max-width: 16em"},
    {"selector": "th, td", "props": "line-height: 1.4"},
]
_BARS = ["rgba(128, 128, 128, 0.35)", "rgba(1, 115, 178, 0.45)"]  # readable on light and dark


def texts(people: pd.DataFrame) -> pd.Series:
    """Return all that can be searched of each person: attributes with short and full labels, name and state."""
    told = profiles.texts(people).str.cat(profiles.texts(people, short=False), "\n")
    for name in (NAME, "state"):
        if name in people:
            told = told.str.cat(people[name].astype("str").fillna(""), "\n")
    return told


def find(
    people: pd.DataFrame,
    where: str = "",
    words: str = "",
    chosen: Mapping[str, str | tuple[float, float]] | None = None,
    told: pd.Series | None = None,
) -> pd.DataFrame:
    """Return the personas who match all that is asked for; what is empty matches everybody.

    Args:
        people: indexed by `persona_id`.
        where: a query, as `DataFrame.query` takes it.
        words: each must begin a word of what is known of the person, in any case; "in quotes" they are one phrase.
        chosen: of an attribute its label, or the lowest and the highest number. A missing value matches none.
        told: the `texts` of people, if they are known.

    Raises:
        UserError: the query can't be read, or an attribute is no column.
    """
    found = people[fits(people, where)] if where.strip() else people
    for name, wanted in (chosen or {}).items():
        if name not in people:
            raise UserError(f"these people have no {name!r}: choose one of their columns, {', '.join(people)}")
        of = found[name]
        fitting = of.astype("str") == wanted if isinstance(wanted, str) else of.astype(float).between(*wanted)
        found = found[fitting.fillna(False).to_numpy(dtype=bool)]
    for phrase, word in re.findall(r'"([^"]+)"|([^\s"]+)', words):
        known = texts(found) if told is None else told.loc[found.index]
        pattern = rf"(?:^|\W){re.escape(phrase or word)}"
        found = found[known.str.contains(pattern, case=False).to_numpy(dtype=bool)]
    return found


def labels(people: pd.DataFrame, name: str) -> list[tuple[str, str]]:
    """Return an attribute's labels among people, as they are shown and as they are: the Bureau's order, or by name."""
    values = people[name].dropna()
    ordered = values.cat.categories if isinstance(values.dtype, pd.CategoricalDtype) else sorted(values.unique())
    there = set(values)
    return [(profiles.said(name, label), str(label)) for label in ordered if label in there]


def shares(people: pd.DataFrame, found: pd.DataFrame, names: Collection[str] = GROUPS) -> pd.DataFrame:
    """Return how common each value is among everybody and among those found.

    Returns:
        Index `attribute`, `value` (numbers in bands; of labels the MOST most common of either, then what is left as
        'other'); `everybody` and `found`, shares of those for whom it is known (missing without any).
    """
    parts = {}
    for name in (name for name in names if name in people):
        both = {"everybody": _values(people, name), "found": _values(found, name)}
        table = pd.DataFrame({of: values.value_counts(normalize=True) for of, values in both.items()})
        ordered = list(BANDS[name].values()) if name in BANDS else [shown for shown, _ in labels(people, name)]
        table = table.reindex(ordered).fillna(0.0)
        if name not in BANDS and len(table) > MOST:
            first = table.max(axis=1).nlargest(MOST).index
            rest = table.drop(index=first).sum().to_frame("other").T
            table = pd.concat([table.loc[[value for value in table.index if value in first]], rest])
        empty = [of for of, values in both.items() if values.empty]
        parts[name] = table.astype(float).assign(**dict.fromkeys(empty, float("nan")))
    return pd.concat(parts, names=["attribute", "value"]) if parts else pd.DataFrame(columns=["everybody", "found"])


def _values(people: pd.DataFrame, name: str) -> pd.Series:
    """Return an attribute's known values as they are shown: numbers in bands, labels short."""
    known = people[name].dropna()
    if name in BANDS:
        return profiles.banded(known.clip(lower=0), BANDS[name]).astype("str")
    return known.map(lambda value: profiles.said(name, value)).astype("str")


def bars(table: pd.DataFrame) -> str:
    """Return `shares` as HTML: for each attribute a small table with a bar behind each share."""
    parts = []
    for name, part in table.groupby("attribute", sort=False):
        styled = part.droplevel("attribute").rename_axis(None).style.format("{:.0%}", na_rep="")
        for column, color in zip(("everybody", "found"), _BARS, strict=True):
            styled = styled.bar(subset=[column], color=color, vmin=0, vmax=1)
        styled = styled.set_table_styles(_STYLES)
        parts.append(f"<div><b>{escape(str(name))}</b>{styled.to_html(escape=True)}</div>")
    return f'<div style="display: flex; flex-wrap: wrap; gap: 1em 2em">{"".join(parts)}</div>'


def compare(people: pd.DataFrame, ids: list[str]) -> pd.DataFrame:
    """Return a few personas side by side: a row per attribute that at least one of them has, a column per persona.

    The last column, `differs`, says whether the personas differ in the attribute.
    """
    table = people.reindex(columns=list(NAMES)).loc[ids].astype(object).T.dropna(how="all")
    return table.assign(differs=table.nunique(axis=1, dropna=False) > 1)


def cards(people: pd.DataFrame, ids: list[str], form: profiles.Form = "list") -> str:
    """Return personas as HTML, a card each: name, age and state, who it is in a few words, and the text."""
    few = people.loc[ids]
    told = zip(handles(few), brief(few), profiles.texts(few, form), strict=True)
    style = "flex: 1 1 20em; border: 1px solid #8888; border-radius: 6px; padding: 0.4em 0.8em; overflow-wrap: anywhere"
    parts = [
        f'<div style="{style}"><b>{escape(name)}</b><br><i>{escape(who)}</i>{paragraphs(text)}</div>'
        for name, who, text in told
    ]
    return f'<div style="display: flex; flex-wrap: wrap; gap: 0.8em; line-height: 1.4">{"".join(parts)}</div>'


def paragraphs(text: str) -> str:
    """Return the lines of a text as HTML."""
    return "".join(f"<div>{escape(line)}</div>" for line in text.splitlines())


def marked(table: pd.DataFrame) -> str:
    """Return a comparison as HTML, bold where the personas differ."""
    shown = table.drop(columns="differs").map(lambda value: "" if pd.isna(value) else escape(str(value)))
    shown.loc[table["differs"]] = "<b>" + shown[table["differs"]] + "</b>"
    shown = shown.rename(columns=lambda name: escape(str(name))).rename_axis(columns=None)
    html = shown.to_html(escape=False, border=0, justify="left")
    return f'<div style="line-height: 1.4">{html.replace("<th>", _LEFT)}</div>'


def listed(people: pd.DataFrame, columns: Collection[str]) -> pd.DataFrame:
    """Return people as a list to sort: columns that they have, labels short, numbers as they are, missing empty."""
    known: dict[str, Any] = {name: people[name] for name in columns if name in people}
    return pd.DataFrame(
        {
            name: of
            if pd.api.types.is_numeric_dtype(of)
            else of.astype("str").map(lambda value, name=name: "" if pd.isna(value) else profiles.said(name, value))
            for name, of in known.items()
        }
    )
