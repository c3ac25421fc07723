"""Record: write what a notebook found into its folder in a run. The last cell of every notebook calls it."""

import io
import math
import os
import re
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
import pandas as pd
from matplotlib.axes import Axes

from ... import files
from .shown import Shown, shown

VARIABLE = "PERSONA_RECORD"  # the folder in which a run's kernel writes instead: it then takes the place of `out`
MARGIN = 0.1  # inches around a figure
DPI = 160
UNITS = {"rate": "share", "difference": "points", "estimate": ""}  # columns of statistics, and what they are in
ALPHA = 0.05
INTERVAL = ("value", "low", "high", "n")  # what a metric with its 95% interval is written as


class Finding(NamedTuple):
    """What a notebook found: a row of the index page's first table.

    `says` is what was measured, in words; `value`, `low`, `high` and `n` are the number, the ends of its 95% interval
    and what it rests on, each NaN or None if missing; `unit` is "share" (0 to 1), "points" (a difference of shares, -1
    to 1) or empty for a plain number, such as a count, which needs no interval. `against` is what speaks against it,
    such as the note of a statistic. `counts` says what `n` counts, by one of them: "answer".
    """

    says: str
    value: float
    low: float | None = None
    high: float | None = None
    n: float | None = None
    unit: str = ""
    against: str = ""
    counts: str = ""

    @classmethod
    def of(cls, says: str, table: pd.DataFrame, counts: str = "", largest: bool = False) -> "Finding":
        """Return a row of a table of statistics as a finding; of an empty table, one without a value.

        Args:
            says: what was measured; `{column}` stands for a value of the row.
            table: with `rate` (a share), `difference` (in points) or `estimate`, with `low`, `high`, `n`, and perhaps
                with `note` and `p_holm`: a note, and a corrected p-value that is not below .05, speak against it.
            counts: what the table's `n` counts, by one of them.
            largest: take the row with the largest value, which is likely overstated and said to be, not the first.
        """
        if table.empty:
            return cls(re.sub(r"{\w+}", "…", says), math.nan, counts=counts)
        value, unit = next((name, unit) for name, unit in UNITS.items() if name in table)
        if largest:
            table = table.sort_values(value, ascending=False)
        row = table.reset_index().iloc[0].to_dict()
        note, known = row.get("note") or "", table[value].notna().sum()
        picked = [f"the largest of {known}, which chance favors"] if largest and known > 1 else []
        told = row.get("p_holm", 0) < ALPHA or "after correction" in note
        unclear = [] if told else ["not clear after correction for all that were looked at"]
        against = "; ".join([*filter(None, [note]), *picked, *unclear])
        return cls(says.format_map(row), row[value], row["low"], row["high"], row["n"], unit, against, counts)


def record(
    out: str | None,
    *,
    headline: str,
    metrics: Mapping[str, Any],
    tables: Mapping[str, pd.DataFrame],
    figures: Mapping[str, Axes],
    models: Sequence[Any] = (),
    finding: Finding | None = None,
) -> Shown:
    """Write a notebook's results.

    Args:
        out: the notebook's folder in a run; None writes nothing.
        headline: the result as one sentence.
        metrics: name -> number or text, or a tuple (value, low, high, n) of a number, the ends of its 95% interval and
            what it rests on; NaN means missing.
        tables: name -> table, written as tables/NAME.parquet and .csv.
        figures: name -> Axes, written as figures/NAME.png and .svg, but for those that have nothing to show; the first
            is the key figure.
        models: the models asked; the `identity`, `usage` and `steps` (usage by step) of each are written.
        finding: the one number that answers the notebook's question.

    Returns:
        The metrics, to show; their table has the index `metric`, column `value`, and `low`, `high`, `n` if any has
        them, which then are empty texts for the others.

    Raises:
        ValueError: a tuple has other than four parts.
    """
    told = {name: _told(value) for name, value in metrics.items()}
    if out is not None:
        folder = Path(os.environ.get(VARIABLE, out))
        for kind in ("tables", "figures"):
            (folder / kind).mkdir(parents=True, exist_ok=True)
        for name, table in tables.items():
            write_table(table, folder / "tables" / name)
        drawn = _drawn(figures)
        for name, axes in drawn.items():
            write_figure(axes, folder / "figures" / name)
        content: dict[str, Any] = {
            "headline": headline,
            "metrics": told,
            "figure": next(iter(drawn), None),
            "tables": list(tables),
            "figures": list(drawn),
            "alts": {name: axes.figure.alt for name, axes in drawn.items() if hasattr(axes.figure, "alt")},
            "models": [{"identity": m.identity, "usage": m.usage, "steps": m.steps} for m in models],
            "finding": finding and finding._asdict(),
        }
        files.write_json(folder / "record.json", content)
    columns = INTERVAL if any(isinstance(value, dict) for value in told.values()) else INTERVAL[:1]
    alone = dict.fromkeys(INTERVAL, "")
    rows = [value if isinstance(value, dict) else alone | {"value": value} for value in told.values()]
    return shown(pd.DataFrame(rows, pd.Index(told, name="metric"), columns, dtype=object), "Recorded", rows=len(rows))


def _drawn(figures: Mapping[str, Axes]) -> dict[str, Axes]:
    """Return the figures that show something."""
    from ... import plots  # it loads seaborn, which commands that draw nothing need not wait for

    return {name: axes for name, axes in figures.items() if not plots.is_blank(axes)}


def _told(metric: Any) -> Any:
    """Return a metric as it is written: a tuple with the names of INTERVAL, and anything else as it is."""
    return dict(zip(INTERVAL, metric, strict=True)) if isinstance(metric, tuple) else metric


def write_table(table: pd.DataFrame, stem: Path) -> None:
    """Write a table as parquet and as CSV; the CSV omits an index that only numbers the rows."""
    numbered = isinstance(table.index, pd.RangeIndex) and table.index.name is None
    files.write(stem.with_name(f"{stem.name}.parquet"), table.to_parquet)
    files.write(stem.with_name(f"{stem.name}.csv"), lambda half: table.to_csv(half, index=not numbered))


def write_figure(axes: Axes, stem: Path) -> None:
    """Write a figure as PNG, and as an SVG that has the same bytes each time and says values on hover."""
    figure: Any = axes.figure  # a Figure; its type would allow a SubFigure, which has no layout and no file
    # bbox_inches="tight", or an engine that is left, would lay out and draw the figure twice for each of the two files.
    if layout := figure.get_layout_engine():
        layout.execute(figure)
        figure.set_layout_engine(None)
    box = figure.get_tightbbox().padded(MARGIN)
    with matplotlib.rc_context({"svg.hashsalt": "persona"}):
        png, svg = stem.with_name(f"{stem.name}.png"), stem.with_name(f"{stem.name}.svg")
        files.write(png, lambda half: figure.savefig(half, dpi=DPI, bbox_inches=box))
        from ... import plots  # it loads seaborn, which commands that draw nothing need not wait for

        values = plots.values(figure)
        drawn = io.StringIO()
        figure.savefig(drawn, format="svg", bbox_inches=box, metadata={"Date": None})
    files.write_text(svg, _with_values(drawn.getvalue(), values))


def _with_values(svg: str, values: Mapping[str, Sequence[str]]) -> str:
    """Return an SVG in which each point of a series and each cell has its value as title; `values`: `plots.values`."""
    groups = re.split(r'(?=<g id=")', svg)
    for i, group in enumerate(groups):
        texts = values.get(group.split('"', 2)[1], ()) if i else ()
        tag = "use" if "<use " in group else "path"  # a marker is drawn once and used, a cell each time
        first, *points = group.split(f"<{tag} ")
        if texts and len(points) == len(texts):
            titled = (
                point.replace("/>", f"><title>{escape(text)}</title></{tag}>", 1)
                for point, text in zip(points, texts, strict=True)
            )
            groups[i] = f"<{tag} ".join([first, *titled])
    return "".join(groups)
