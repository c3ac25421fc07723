"""Tables as readers see them: the one formatter of notebooks, their pages and commands.

The tables that are recorded keep the names of their columns; here they get the headings of data/headings.yaml.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from html import escape
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from ... import files
from . import cells as written

DATA = Path(__file__).parents[1] / "data"
ROWS = 40  # of a longer table, the first ones are shown
WIDTH = 120  # letters of a line of text
LONG = 40  # letters: a column of longer texts is kept wide enough to be read
BASIS = ("n", "labelled")  # what an estimate rests on
WORD = 24  # letters: names that are no longer, such as gpt-4.1-mini, are not broken
INTERVAL = re.compile(r"( points)? \[[^\]]+\]$")  # ends an estimate as text, '12% [5, 20]', which is not broken either
NO_FORMULAS = "tex2jax_ignore mathjax_ignore"  # dollar signs begin none here

Named = list[tuple[str, pd.Series]]  # columns, with their names


class Column(NamedTuple):
    """A column as texts: its heading, its cells from the first row down, and whether they are numbers.

    `alarms` says of each cell whether it is marked.
    """

    heading: str
    cells: list[str]
    number: bool
    alarms: list[bool]


@dataclass(frozen=True, repr=False)
class Shown:
    """A table to show: in a notebook as HTML, which brings its own style; `str` and `text` give lines of text.

    `table` is the table itself; `said` stands below it, or in its place where there are no `columns` to show.
    """

    table: pd.DataFrame
    caption: str
    columns: list[Column]
    said: str

    def text(self, width: int | None = WIDTH) -> str:
        """Return the table as lines of text; one that is wider than `width` letters goes on below, if it is given."""
        if not self.columns:
            return f"{self.caption}: {self.said}"
        first, *others = (_padded(column) for column in self.columns)
        cells = pd.DataFrame({n: cells for n, (_, *cells) in enumerate(others)}, index=pd.Index(first[1:]))
        cells = cells.set_axis([head for head, *_ in others], axis=1).rename_axis(columns=first[0])
        lines = cells.to_string(line_width=width) if others else "\n".join(first)
        return "\n".join(filter(None, (self.caption, re.sub(r" +$", "", lines, flags=re.M), self.said)))

    __repr__ = __str__ = text

    def _repr_html_(self) -> str:
        """Return the table as HTML, the same bytes each time: for Jupyter, by its name."""
        caption = escape(self.caption)
        if not self.columns:
            return f"<p>{caption}: {escape(self.said)}</p>"
        heads = "".join(f'<th scope="col"{_class(column)}>{escape(column.heading)}</th>' for column in self.columns)
        heads_rows = len(self.columns) > 1  # the first column names the rows of the others
        rows = zip(*(_cells(own, heads_rows and place == 0) for place, own in enumerate(self.columns)), strict=True)
        body = "\n".join(f"<tr>{''.join(row)}</tr>" for row in rows)
        below = f"\n<p>{escape(self.said)}</p>" if self.said else ""
        return (
            f'<div class="persona-table {NO_FORMULAS}" role="region" aria-label="{caption}" tabindex="0">\n'
            f"<style>\n{_style()}</style>\n<table>\n<caption>{caption}</caption>\n<thead><tr>{heads}</tr></thead>\n<tbody>\n{body}\n</tbody>\n"
            f"</table>{below}\n</div>"
        )


def shown(
    table: pd.DataFrame,
    caption: str,
    columns: Sequence[str] | None = None,
    rows: int = ROWS,
    rest: str = "",
    empty: str | None = None,
) -> Shown:
    """Return a table to show.

    An estimate and its 95% interval are one cell, '42% [17, 72]': `low` and `high` belong to the column before them,
    NAME_low and NAME_high to NAME. Shares are in percent, differences of shares in points. A column has as many digits
    as give the half width of the median interval, or the median value, two significant ones. Levels of the index come
    first, but not one that only numbers the rows. Notes come last. What the columns before the first number say of all
    rows alike goes into the caption; a note that all rows have, and the names of columns without a value in any row,
    stand below. A table that rests on nothing, n = 0 in all rows, is a sentence with the reason.

    Args:
        table: anything tidy; data/headings.yaml says what its columns are called and how they are written. One that is
            not there goes by its own name.
        caption: what the table shows, in a few words.
        columns: which columns to show, beside the index; None for all.
        rows: how many to show; what is left out is counted below.
        rest: the recorded table that has all rows.
        empty: said if the table has no rows; None: 'no failures.' where a failure is a column, else 'no rows.'.
    """
    whole = table if columns is None else table[list(columns)]
    named = _named(whole)
    if table.empty:
        return Shown(whole, caption, [], empty or ("no failures." if "failure" in table else "no rows."))
    if _rests_on_nothing(named):
        return Shown(whole, caption, [], _reasons(named))
    named, below = _told_once(named)
    if len(table) > rows:
        below.insert(0, f"… and {len(table) - rows:,} more rows{f' in {rest}.csv' if rest else ''}")
    for name, values in _of_all_rows(named) if len(table) > 1 else []:
        named = [(other, kept) for other, kept in named if other != name]
        caption += f"{'; ' * bool(caption)}{_heading(name)}: {written.told(values[0])}"
    return Shown(
        whole, caption, list(_columns([(name, values.head(rows)) for name, values in named])), "; ".join(below)
    )


def _rests_on_nothing(named: Named) -> bool:
    """Return whether n, or how many are labelled, is 0 or missing in all rows, and a column has no value."""
    counts = [values for name, values in named if name in BASIS]
    nothing = any((values.isna() | (values == 0)).all() for values in counts)
    return nothing and any(values.isna().all() for name, values in named if name not in BASIS)


def _reasons(named: Named) -> str:
    """Return why a table rests on nothing: its notes, or that nothing was scored, and how many items failed."""
    found = dict(named)
    notes = [str(note) for note in dict.fromkeys(found.get("note", pd.Series(dtype=object)).dropna()) if note]
    failed = int(found["failed"].fillna(0).sum()) if "failed" in found else 0
    return "; ".join([*(notes or ["nothing scored"]), *([f"failed: {failed:,}"] if failed else [])]) + "."


def _of_all_rows(named: Named) -> Named:
    """Return the columns that stand before the first number and say one short thing of all rows; never all columns."""
    number = [pd.api.types.is_numeric_dtype(values) for _, values in named]
    before = named[: number.index(True)] if True in number else list(takewhile(lambda own: _same(own[1]), named))
    return [(name, values) for name, values in before if _same(values)][: len(named) - 1]


def _told_once(named: Named) -> tuple[Named, list[str]]:
    """Return the columns that stand in a table, and what is said below of those that do not.

    These are columns without a value in any row, but for the first, and notes that all rows have.
    """
    kept, below, missing = named[:1], [], []
    without = {name for name, values in named[1:] if values.isna().all()}
    for name, values in named[1:]:
        end = re.fullmatch(r"(.*_)?(low|high)", name)
        if end and {f"{end[1] or ''}{side}" for side in ("low", "high")} <= without:
            missing.append("95% interval")
        elif name in without and not end:
            missing += [] if name in ("failure", "note") or name.endswith("_note") else [_without_unit(name)]
            below += ["no failures"] if name == "failure" else []
        elif name.endswith("note") and len(values) > 1 and (shared := _shared(values)):
            below.append(f"{'' if name == 'note' else _heading(name) + ', '}all rows: {'; '.join(shared)}")
            kept.append((name, values.map(lambda note, shared=shared: _without(note, shared))))
        else:
            kept.append((name, values))
    return kept, below + ([f"no value in any row: {', '.join(dict.fromkeys(missing))}"] if missing else [])


def _shared(notes: pd.Series) -> list[str]:
    """Return the parts that all notes have."""
    return [part for part in _parts(notes.iloc[0]) if all(part in _parts(note) for note in notes)]


def _without(note: object, shared: Sequence[str]) -> str:
    """Return a note without the parts that are told elsewhere."""
    return "; ".join(part for part in _parts(note) if part not in shared)


def _parts(note: object) -> list[str]:
    """Return the parts of a note, which semicolons separate."""
    return note.split("; ") if isinstance(note, str) and note else []


def _heading(name: str) -> str:
    """Return what a column is called."""
    return _headings().get(name, ("", name.replace("_", " ")))[1]


def _without_unit(name: str) -> str:
    """Return what a column is called, where it has no value that would need a unit."""
    return _heading(name).removesuffix(", points")


def _same(values: pd.Series) -> bool:
    """Return whether a column has the same short text in all rows."""
    return values.map(str).nunique() == 1 and len(str(values[0])) <= LONG


def _named(table: pd.DataFrame) -> Named:
    """Return the columns of a table with their names, after the levels of its index that tell something."""
    levels = [table.index.get_level_values(place) for place in range(table.index.nlevels)]
    telling = [own for own in levels if own.name is not None or not pd.api.types.is_integer_dtype(own)]
    named = [*((own.name or "", own.to_series()) for own in telling), *table.items()]
    return [(str(name), column.reset_index(drop=True)) for name, column in named]


def _columns(named: Named) -> Iterator[Column]:
    """Yield columns as they are shown: an estimate with its interval as one, notes last, and none without a text."""
    places = {name: place for place, (name, _) in enumerate(named)}
    ends = {}  # by the place of their estimate: those of the lower and the upper ends
    for name, place in places.items():
        low = re.fullmatch(r"(?:(.*)_)?low", name)
        if place and low and (upper := places.get(f"{name[:-3]}high")):
            ends[places[low[1]] if low[1] in places else place - 1] = (place, upper)
    folded = {place for both in ends.values() for place in both}
    notes_last = sorted(enumerate(named), key=lambda both: both[1][0].endswith("note"))
    for place, (name, values) in notes_last:
        if place not in folded and not _is_silent(name, values):
            yield _column(name, values, [named[end][1] for end in ends.get(place, ())])


def _is_silent(name: str, values: pd.Series) -> bool:
    """Return whether a column has no text in any row; a note may also be missing."""
    said = values.dropna() if name.endswith("note") else values
    return bool(said.map(lambda value: isinstance(value, str) and not value).all())


def _column(name: str, values: pd.Series, ends: Sequence[pd.Series]) -> Column:
    """Return a column as texts; `ends` are the lower and upper ends of its intervals, if it has any."""
    form, heading = _headings().get(name, ("",))[0], _heading(name)
    form = "" if pd.api.types.is_integer_dtype(values) else form  # a count, whatever its name
    heading += " [95% interval]" if ends else ""
    number = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
    if number:
        own = _floats(values, *ends)
        cells = written.numbers(form, written.digits(form, own), *own)
    else:
        number = written.are_counts(values) and not ends
        cells = written.once([written.told(value) for value in values])
        inside = [[written.told(value) for value in own] for own in ends]
        both = zip(cells, *inside, strict=True)
        cells = [f"{value} [{', '.join(own)}]" if any(own) else value for value, *own in both]
    alarms = [form == "alarm" and value is True for value in values.astype(object)]
    return Column(heading, cells, number, alarms)


def _floats(*columns: pd.Series) -> list[np.ndarray]:
    """Return columns as arrays of floats, missing ones as NaN."""
    return [column.to_numpy(dtype=float, na_value=np.nan) for column in columns]


def _cells(column: Column, row: bool) -> list[str]:
    """Return the cells of a column as HTML; `row` says whether they name the rows."""
    tag, scope = ("th", ' scope="row"') if row else ("td", "")
    scope += "" if column.number else ' dir="auto"'  # texts may run in either direction
    kinds = [_class(column, alarm) for alarm in column.alarms]
    return [f"<{tag}{scope}{kind}>{escape(cell)}</{tag}>" for kind, cell in zip(kinds, column.cells, strict=True)]


def _class(column: Column, alarm: bool = False) -> str:
    """Return the attribute that gives a cell its style."""
    longest = 0 if column.number else max(map(len, column.cells), default=0)
    names = 0 < longest <= WORD and not any(" " in INTERVAL.sub("", cell) for cell in column.cells)
    of_all = (("number", column.number), ("long", longest > LONG), ("name", names), ("alarm", alarm))
    kinds = [kind for kind, is_so in of_all if is_so]
    return f' class="{" ".join(kinds)}"' if kinds else ""


def _padded(column: Column) -> list[str]:
    """Return a column's heading and cells as texts of one width."""
    texts = [
        text.translate({10: " ", ord(written.BLANK): " ", ord(written.THIN): " "})
        for text in (column.heading, *column.cells)
    ]
    width = max(map(len, texts))
    return [text.rjust(width) if column.number else text.ljust(width) for text in texts]


@cache
def _style() -> str:
    return (DATA / "table.css").read_text(encoding="utf-8")


@cache
def _headings() -> dict[str, tuple[str, str]]:
    """Return how a column is written and its heading, by its name."""
    forms = files.read_yaml(DATA / "headings.yaml")
    return {name: (form, heading) for form, known in forms.items() for name, heading in known.items()}
