"""Tables as readers see them: the one formatter of notebooks, their pages and commands.

The tables that are recorded keep the names of their columns; here they get the headings of data/headings.yaml.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from html import escape
from numbers import Integral
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from .. import files

DATA = Path(__file__).parent / "data"
MISSING = "–"
ROWS = 40  # of a longer table, the first ones are shown
WIDTH = 120  # letters of a line of text
LONG = 40  # letters: a column of longer texts is kept wide enough to be read
WORD = 24  # letters: names that are no longer, such as gpt-4.1-mini, are not broken
BLANK = "\N{FIGURE SPACE}"  # as wide as a digit, and kept by browsers
THIN = "\N{PUNCTUATION SPACE}"  # about as wide as a bracket or a comma
NO_FORMULAS = "tex2jax_ignore mathjax_ignore"  # dollar signs begin none here
FIXED = {"p": 3, "two digits": 2}  # digits of forms that have their own
IDENTIFIER = re.compile(r"[a-z]+(_[a-z]+)+")  # a label as code writes it, such as chain_of_thought


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

    `table` is the table itself; `said` stands below it, or in its place where it has no rows.
    """

    table: pd.DataFrame
    caption: str
    columns: list[Column]
    said: str

    def text(self, width: int | None = WIDTH) -> str:
        """Return the table as lines of text; one that is wider than `width` letters goes on below, if it is given."""
        if self.table.empty:
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
        if self.table.empty:
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
    first, but not one that only numbers the rows. Notes come last. What the first columns say of all rows alike goes
    into the caption; a note that all rows have, and the names of columns without a value in any row, stand below.

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
    named, below = _told_once(_named(whole)) if len(table) else (_named(whole), [])
    if len(table) > rows:
        below.insert(0, f"… and {len(table) - rows:,} more rows{f' in {rest}.csv' if rest else ''}")
    if table.empty:
        below = [empty or ("no failures." if "failure" in table else "no rows.")]
    while len(named) > 1 and len(table) > 1 and not pd.api.types.is_numeric_dtype(named[0][1]) and _same(named[0][1]):
        name, values = named.pop(0)
        caption += f"{'; ' * bool(caption)}{_heading(name)}: {_told(values[0])}"
    return Shown(
        whole, caption, list(_columns([(name, values.head(rows)) for name, values in named])), "; ".join(below)
    )


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
            missing += [] if name.endswith("note") else [_heading(name).removesuffix(", points")]
        elif name.endswith("note") and len(values) > 1 and values[0] and values.map(str).nunique() == 1:
            below.append(f"{'' if name == 'note' else _heading(name) + ', '}all rows: {_told(values[0])}")
        else:
            kept.append((name, values))
    return kept, below + ([f"no value in any row: {', '.join(dict.fromkeys(missing))}"] if missing else [])


def _heading(name: str) -> str:
    """Return what a column is called."""
    return _headings().get(name, ("", name.replace("_", " ")))[1]


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
        cells = _numbers(form, *(own.to_numpy(dtype=float, na_value=np.nan) for own in (values, *ends)))
    else:
        cells = [_told(value) for value in values]
        inside = [[_told(value) for value in own] for own in ends]
        both = zip(cells, *inside, strict=True)
        cells = [f"{value} [{', '.join(own)}]" if any(own) else value for value, *own in both]
    alarms = [form == "alarm" and value is True for value in values.astype(object)]
    return Column(heading, cells, number, alarms)


def _numbers(form: str, *columns: np.ndarray) -> list[str]:
    """Return numbers, with the ends of their intervals if there are any, as texts of one width and one precision."""
    scale = 100 if form in ("percent", "points") else 1
    digits = max(FIXED.get(form, _digits(columns)) - (2 if scale == 100 else 0), 0)
    parts = []
    for place, column in enumerate(columns):
        unit = "%" if form == "percent" and not place else ""
        texts = [_number(scale * value, digits, form == "points", unit) for value in column]
        parts.append([text.rjust(max(map(len, texts), default=0), BLANK) for text in texts])
    if form == "p":
        return [
            f"<{10**-digits}" if value < 10**-digits / 2 else text for value, text in zip(*columns, *parts, strict=True)
        ]
    return [_with_interval(value, ends) if ends else value for value, *ends in zip(*parts, strict=True)]


def _with_interval(value: str, ends: Sequence[str]) -> str:
    """Return an estimate with its interval; where that is missing, blanks as wide keep the estimate in its place."""
    interval = f" [{', '.join(ends)}]"
    missing = all(end.strip(BLANK) == MISSING for end in ends)
    return value + (re.sub(r"[\[\], ]", THIN, re.sub("[^\\[\\], ]", BLANK, interval)) if missing else interval)


def _digits(columns: Sequence[np.ndarray]) -> int:
    """Return how many decimals give the half width of the median interval, or the median value, two digits; 0 to 4."""
    known = np.concatenate(columns)
    size = np.abs(columns[-1] - columns[-2] if len(columns) > 1 else columns[0]) / (2 if len(columns) > 1 else 1)
    size = size[np.isfinite(size) & (size > 0)]
    if (known[np.isfinite(known)] % 1 == 0).all():
        return 0
    if not len(size):
        return 2
    middle = np.median(size)
    return int(np.clip(1 - np.floor(np.log10(middle)), 1 if middle < 100 else 0, 4))


def _number(value: float, digits: int, signed: bool = False, unit: str = "") -> str:
    """Return a number as text, with a true minus."""
    if np.isnan(value):
        return MISSING
    digits = digits if abs(value) < 1000 else 0
    text = f"{value:+z,.{digits}f}" if signed else f"{value:z,.{digits}f}"
    return (text if text.strip("+0.") else text.removeprefix("+")).replace("-", "−") + unit


def _told(value: Any) -> str:
    """Return what one cell holds as text: labels without underscores, numbers with three significant digits."""
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, int | float | np.number):
        text = f"{value:,}" if isinstance(value, Integral) or abs(float(value)) >= 1000 else f"{value:.3g}"
        return MISSING if text == "nan" else text.replace("-", "−")
    if value is None or value is pd.NA or value is pd.NaT:
        return MISSING
    return value.replace("_", " ") if isinstance(value, str) and IDENTIFIER.fullmatch(value) else str(value)


def _cells(column: Column, row: bool) -> list[str]:
    """Return the cells of a column as HTML; `row` says whether they name the rows."""
    tag, scope = ("th", ' scope="row"') if row else ("td", "")
    scope += "" if column.number else ' dir="auto"'  # texts may run in either direction
    kinds = [_class(column, alarm) for alarm in column.alarms]
    return [f"<{tag}{scope}{kind}>{escape(cell)}</{tag}>" for kind, cell in zip(kinds, column.cells, strict=True)]


def _class(column: Column, alarm: bool = False) -> str:
    """Return the attribute that gives a cell its style."""
    longest = 0 if column.number else max(map(len, column.cells), default=0)
    names = 0 < longest <= WORD and not any(" " in cell for cell in column.cells)
    of_all = (("number", column.number), ("long", longest > LONG), ("name", names), ("alarm", alarm))
    kinds = [kind for kind, is_so in of_all if is_so]
    return f' class="{" ".join(kinds)}"' if kinds else ""


def _padded(column: Column) -> list[str]:
    """Return a column's heading and cells as texts of one width."""
    texts = [text.translate({10: " ", ord(BLANK): " ", ord(THIN): " "}) for text in (column.heading, *column.cells)]
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
