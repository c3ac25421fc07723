"""The folder of a sweep: its table as parquet and CSV, its figure as PNG and SVG, and its page that links the runs."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd

from ... import files, local, plots
from ...model.limits import usage
from ..pages import pages
from ..reporting.record import write_figure, write_table
from ..results import compare
from . import words
from .sweep import Sweep
from .tables import FINDING, GIVEN, Collected

PAGE, TABLE = "index.html", "points"
PANELS = 12  # of the figure; a finding of each notebook in any case


def write(sweep: Sweep, found: Collected, folder: Path) -> None:
    """Write table, figure and page of a sweep into its folder; no figure while no point has a value."""
    write_table(found.rows, folder / TABLE)
    if _has_values(found):
        draw(found, folder)
    files.write_text(folder / PAGE, page(sweep, found, folder))


def draw(found: Collected, folder: Path) -> None:
    """Write the figure: the findings, and the numbers that differ between points, those with intervals first."""
    rows = found.rows.dropna(subset="value")
    told = words.summaries(found)
    says = {own.notebook: own.says or own.question for own in told}
    differ = rows.groupby(["notebook", "metric"], sort=False).agg(values=("value", "nunique"), ends=("low", "count"))
    differ = differ[(differ["values"] > 1) | (differ.index.get_level_values("metric") == FINDING)].reset_index()
    differ["later"] = differ["metric"] != FINDING
    differ["bare"] = differ["ends"] == 0
    wanted = differ.sort_values(["later", "bare"], kind="stable")
    drawn = wanted.head(max(PANELS, int((~wanted["later"]).sum())))
    drawn = drawn.sort_values("notebook", key=lambda names: names.map(list(says).index), kind="stable")
    titles = [
        f"{row.notebook.partition('_')[0]}: {says[row.notebook] if row.metric == FINDING else row.metric}"
        for row in drawn.itertuples()
    ]
    places = {name: at for at, name in enumerate(found.points.index)}
    table = drawn[["notebook", "metric"]].assign(panel=titles).merge(rows, on=["notebook", "metric"])
    table["at"] = table["point"].map(places)
    spans = (f"{says[own.notebook]}: {own.span} in {own.known} of {own.of} points" for own in told if own.span)
    title = next(spans, "No finding has a value yet")
    labels = list(found.points["label"])
    axes = plots.sweeps.points(table, labels, _colors(found.points), title, len(differ) - len(drawn))
    write_figure(axes, folder / TABLE)
    plt.close(axes.get_figure(root=True))  # while points run, many are drawn


def _colors(points: pd.DataFrame) -> list[int]:
    """Return for each point the number of its value of what is varied first: models, where several are."""
    varied = [name for name in points.filter(like=GIVEN) if points[name].nunique() > 1]
    return list(pd.factorize(points[varied[0]])[0]) if varied else [0] * len(points)


def page(sweep: Sweep, found: Collected, folder: Path) -> str:
    """Return the HTML of a sweep's page; arguments as in `write`."""
    templates = pages.environment()
    templates.filters |= {"figure": pages.figure, "cost": usage.cost_text, "day": pages.day, "text": compare.as_text}
    varied = sweep.varied()
    states = found.points["state"].value_counts()
    values = {
        "name": sweep.name,
        "about": sweep.about,
        "when": datetime.now(UTC).isoformat(),
        "n": len(found.points),
        "states": states.to_dict(),
        "notices": list(words.notices(found, local.NAME)),
        "summaries": words.summaries(found),
        "varied": {name: own for name, own in varied.items() if len(own) > 1},
        "fixed": {name: own[0] for name, own in varied.items() if len(own) == 1},
        "preset": sweep.preset,
        "notebooks": [own.notebook for own in words.summaries(found)],
        "table": TABLE,
        "drawn": _has_values(found),
        "points": _points(found, folder),
        "calls": int(found.points["calls"].sum()),
        "cost": _known(found.points["cost"].sum(skipna=False)),
    }
    return templates.get_template("sweep.html.j2").render(values)


def _has_values(found: Collected) -> bool:
    """Return whether any point has a number."""
    return bool(found.rows["value"].notna().any())


def _points(found: Collected, folder: Path) -> list[dict[str, Any]]:
    """Return the rows of the page's table of points."""
    own = found.rows[found.rows["metric"] == FINDING].dropna(subset="value")
    cells: dict[str, dict[str, str]] = {}
    for row in own.to_dict("records"):
        cells.setdefault(row["point"], {})[row["notebook"]] = words.value(row)
    rows = []
    for name, row in found.points.iterrows():
        plain = {key: _known(value) for key, value in row.items()}
        link = f"{name}/{PAGE}" if (folder / str(name) / PAGE).is_file() else None
        rows.append(plain | {"link": link, "found": cells.get(str(name), {})})
    return rows


def _known(value: Any) -> Any:
    """Return a value, None if it is missing."""
    return None if pd.api.types.is_scalar(value) and pd.isna(value) else value
