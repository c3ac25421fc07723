"""Comparisons: several runs beside each other as text, and as tables, a figure and a page that can be mailed."""

import base64
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from ... import UserError, files, plots
from ...model.limits import usage
from ...personas import handles
from ...plots import style
from ...stats import wording
from ..reporting.record import write_figure, write_table
from ..reporting.shown import shown
from ..results import compare, manifests, several
from ..results.compare import Comparison
from ..results.several import Runs
from . import item_tables, pages

PAGE, COMPARED, CHANGED = "index.html", "compared", "changed"
ITEMS = 200  # of those whose score changed, on the page; the table has all
LONGEST = 300  # letters of a prompt on the page


def rates(compared: pd.DataFrame) -> pd.DataFrame:
    """Return the rates as texts, such as '58% (52% to 64%, n = 200)': a row per group, a column per label."""
    cells = [
        f"{row.rate:.0%} ({f'{row.low:.0%} to {row.high:.0%}' if pd.notna(row.low) else 'no interval'}, n = {row.n:,})"
        if row.n
        else "none"
        for row in compared.itertuples()
    ]
    return _wide(compared, cells)


def differences(compared: pd.DataFrame) -> pd.DataFrame:
    """Return the differences from the first label as texts, such as '+7 (−3 to +17, n = 200)', * if clear."""
    rest = compared[compared["label"] != compared["label"].iloc[0]]
    cells = []
    for row, is_clear in zip(rest.itertuples(), compare.is_clear(rest), strict=True):
        middle, low, high = (
            wording.signed(100 * x, 0) for x in (row.difference, row.difference_low, row.difference_high)
        )
        ends = f"{low} to {high}" if pd.notna(row.difference_low) else "no interval"
        cells.append(f"{middle}{'*' * is_clear} ({ends}, n = {row.shared:,.0f})" if row.shared else "none shared")
    return _wide(rest, cells)


def _wide(compared: pd.DataFrame, cells: Sequence[str]) -> pd.DataFrame:
    """Return texts, one for each row of a comparison, as a row per group and a column per label."""
    wide = compared.assign(cell=cells).pivot(index="group", columns="label", values="cell")
    return wide.reindex(compared["group"].unique())[list(compared["label"].unique())].rename_axis(columns=None)


def text(found: Comparison, width: int) -> str:
    """Return what a comparison found as lines of text.

    Args:
        found: the comparison.
        width: of a line, in letters; a wider table goes on below.
    """
    compared = found.compared
    first = compared["label"].iloc[0]
    tables = {
        "Rates, with 95% intervals:": rates(compared),
        f"Points more than {first} on shared items; * clear after Holm's correction:": differences(compared),
    }
    return "\n".join([compare.said(compared), *(shown(table, name).text(width) for name, table in tables.items())])


def write(found: Comparison, told: Runs, table: str, value: str, out: Path) -> Path:
    """Write a comparison's tables as parquet and CSV, its figure as PNG and SVG, and its page.

    Args:
        found, told: the comparison and its runs.
        table, value: what was compared, as in `compare.many`.
        out: folder.

    Returns:
        The path of the page.

    Raises:
        UserError: the folder is that of a run, whose page would be replaced.
    """
    if (out / manifests.NAME).exists():
        raise UserError(f"{out} is the folder of a run, whose page would be replaced: choose another --out")
    out.mkdir(parents=True, exist_ok=True)
    write_table(found.compared, out / COMPARED)
    write_table(found.changed, out / CHANGED)
    marked = found.compared.assign(clear=compare.is_clear(found.compared))
    write_figure(plots.runs.several(marked, compare.said(marked), value.replace("_", " ")), out / COMPARED)
    files.write_text(out / PAGE, page(found, told, table, value, out))
    return out / PAGE


def page(found: Comparison, told: Runs, table: str, value: str, out: Path) -> str:
    """Return the HTML of a comparison's page; arguments as in `write`, whose figure is there."""
    templates = pages.environment()
    templates.filters |= {"figure": pages.figure, "cost": usage.cost_text, "day": _day}
    compared, first = found.compared, found.compared["label"].iloc[0]
    runs = told.runs.assign(link=[_link(folder, out) for folder in told.runs["folder"]], run=told.runs.index)
    labels = compared.drop_duplicates("label").groupby("run", sort=False)["label"].agg(", ".join)
    notebook = table.partition("/")[0]
    items = found.changed.head(ITEMS).assign(prompt=lambda t: t["prompt"] if "prompt" in t else t["prompt_id"])
    people = _people(told, notebook)
    items["persona"] = [people.get(person, person) for person in items["persona_id"]]
    values = {
        "said": compare.said(compared),
        "n": compared["run"].nunique(),
        "table": table,
        "value": value.replace("_", " "),
        "notes": found.notes,
        "first": first,
        "runs": runs.assign(label=labels).astype(object).where(lambda t: t.notna(), None).to_dict("records"),
        "given": compare.differing(told, notebook).map(compare.as_text),
        "picture": base64.b64encode((out / f"{COMPARED}.png").read_bytes()).decode(),
        "rates": rates(compared).rename(index=style.words),
        "differences": differences(compared).rename(index=style.words),
        "metrics": _metrics(told),
        "items": items.to_dict("records"),
        "changed": found.changed.groupby("label", sort=False).size(),
        "longest": LONGEST,
        "compared_file": COMPARED,
        "changed_file": CHANGED,
    }
    return templates.get_template("comparison.html.j2").render(values)


def _people(told: Runs, notebook: str) -> dict[str, str]:
    """Return the people of a notebook in a few words, by id, as far as a run has recorded them."""
    tables = [Path(folder) / notebook / "tables" / f"{item_tables.PEOPLE}.parquet" for folder in told.runs["folder"]]
    return {key: name for path in tables if path.is_file() for key, name in handles(pd.read_parquet(path)).items()}


def _link(folder: str, out: Path) -> str | None:
    """Return the way from the page to that of a run, if it has one."""
    index = Path(folder) / "index.html"
    return Path(os.path.relpath(index, out)).as_posix() if index.is_file() else None


def _metrics(told: Runs) -> dict[str, tuple[pd.DataFrame, int]]:
    """Return the metrics that differ between runs as texts, and how many do not, by notebook.

    A table has a row per metric and a column per run. Where a run has one model, metrics of it go by the same name in
    all runs, without the model's.
    """
    found = {}
    for notebook, own in told.metrics.assign(metric=several.alike(told)).groupby("notebook"):
        if own["run"].nunique() < 2:
            continue
        own = own.assign(cell=[pages.figure(_metric(row)) for row in own.to_dict("records")])
        wide = own.pivot(index="metric", columns="run", values="cell")
        wide = wide.reindex(own["metric"].unique())[list(own["run"].unique())].fillna("")
        differ = wide.nunique(axis=1) > 1
        found[str(notebook)] = (wide[differ], int((~differ).sum()))
    return found


def _metric(row: dict[str, Any]) -> Any:
    """Return a metric as its notebook recorded it, missing parts as None."""
    plain = {name: None if pd.api.types.is_scalar(row[name]) and pd.isna(row[name]) else row[name] for name in row}
    return plain if plain["n"] is not None else plain["value"]


def _day(moment: pd.Timestamp) -> str:
    """Return a time as text such as '2 January 2026, 10:00 UTC'."""
    return moment.strftime("%-d %B %Y, %H:%M UTC")
