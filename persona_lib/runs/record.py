"""Record: what a notebook found, kept in its run's folder; the last cell of every notebook calls it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import pandas as pd
from matplotlib.axes import Axes

from .. import files

MARGIN = 0.1  # inches around a figure


def record(
    out: str | None,
    *,
    headline: str,
    metrics: Mapping[str, Any],
    tables: Mapping[str, pd.DataFrame],
    figures: Mapping[str, Axes],
    models: Sequence = (),
) -> pd.DataFrame:
    """Keep what a notebook found; its last cell calls this.

    Args:
        out: the notebook's folder in a run; None writes nothing.
        headline: the result as one sentence.
        metrics: name -> number or text; NaN means missing.
        tables: name -> table, written as tables/NAME.parquet and .csv.
        figures: name -> Axes, written as figures/NAME.png and .svg; the first is the key figure.
        models: what was asked; the `identity`, `usage` and `steps` (usage by step) of each are kept.

    Returns:
        The metrics as a small table to be shown: index `metric`, column `value`.
    """
    if out is not None:
        folder = Path(out)
        for kind in ("tables", "figures"):
            (folder / kind).mkdir(parents=True, exist_ok=True)
        for name, table in tables.items():
            _write_table(table, folder / "tables" / name)
        for name, axes in figures.items():
            _write_figure(axes, folder / "figures" / name)
        found = {"headline": headline, "metrics": metrics, "figure": next(iter(figures), None)}
        found |= {"tables": list(tables), "figures": list(figures)}
        found["models"] = [{"identity": m.identity, "usage": m.usage, "steps": m.steps} for m in models]
        files.write_json(folder / "record.json", found)
    return pd.DataFrame({"value": pd.Series(dict(metrics), dtype=object)}).rename_axis("metric")


def _write_table(table: pd.DataFrame, stem: Path) -> None:
    """Write a table as parquet and CSV; mere row numbers stay out of the CSV."""
    numbered = isinstance(table.index, pd.RangeIndex) and table.index.name is None
    table.to_parquet(f"{stem}.parquet")
    table.to_csv(f"{stem}.csv", index=not numbered)


def _write_figure(axes: Axes, stem: Path) -> None:
    """Write a figure as PNG, and as an SVG that has the same bytes each time."""
    figure = axes.figure
    # bbox_inches="tight" would lay out and draw twice for each of the two.
    if figure.get_layout_engine():
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
    box = figure.get_tightbbox().padded(MARGIN)
    with matplotlib.rc_context({"svg.hashsalt": "persona"}):
        figure.savefig(f"{stem}.png", dpi=160, bbox_inches=box)
        figure.savefig(f"{stem}.svg", bbox_inches=box, metadata={"Date": None})
