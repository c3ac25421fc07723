"""Tables of a sweep: what its points found, collected from their folders."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from ... import files
from ...personas import ids
from ..reporting.record import INTERVAL
from ..results import compare, manifests, several
from ..results.several import PLACES, Runs
from .sweep import Point

DONE, FAILED, WAITS = "done", "failed", "not run"  # states
FINDING = "finding"  # the metric that is a notebook's finding
GIVEN = "given_"  # before the name of what a sweep is given values of, in names of columns
_DRAWS = {"n", "personas"}  # parameters of notebooks that draw people
_STATE = ["failed", "state", "reason"]
# Why a notebook is not done that neither failed nor lost items.
_WHY = {
    "waiting": "its turn has not come",
    WAITS: "its run ended before its turn",
    "running": "it is running",
    "interrupted": "it was interrupted",
    "killed": "its process was killed",
}


class Collected(NamedTuple):
    """What the points of a sweep found.

    - `rows`: one row per point, notebook and metric: `point`, a column `given_NAME` for each parameter that the sweep
      is given values of, `notebook`, `metric` (without the model's name, where the run has one model), `value`, `low`,
      `high`, `n` (missing where the notebook records none), `text` (of a metric that is no number; of the metric
      'finding', what was measured), `unit` (of a finding, as in `record.Finding`), `failed` (items of the notebook),
      `state` and `reason` as in `notebooks`. A notebook without results has one row, without a metric.
    - `notebooks`: one row per point and notebook: `point`, `notebook`, `title` (missing if it has not run), `failed`
      (items), `state` ('done', 'nothing scored', 'more than half failed', 'failed', 'not run', ...), `reason` (missing
      if it is done).
    - `points`: one row per point, in the sweep's order: index `point`; `label`, `given_NAME`, `state`, `reason`,
      `models`, `judges`, `seconds`, `calls`, `cost` (USD, missing if unknown). The last three are of all commands.
    """

    rows: pd.DataFrame
    notebooks: pd.DataFrame
    points: pd.DataFrame


def collect(planned: Sequence[Point], folder: Path, problems: Mapping[str, str] | None = None) -> Collected:
    """Collect what the points of a sweep found in its folder.

    Args:
        planned: the points.
        folder: of the sweep; it may have no run yet.
        problems: why points could not be run, by their names.
    """
    told = several.read([folder] if any(folder.glob(f"*/{manifests.NAME}")) else [])
    found = {kind: _by_notebook(getattr(told, kind)) for kind in ("notebooks", "parameters")}
    results = _by_notebook(pd.concat([_findings(told), _metrics(told)], ignore_index=True))
    wrong = told.runs["problem"].dropna().to_dict() | dict(problems or {})
    given = _given(planned)
    rows, notebooks = [], []
    for point in planned:
        for stem, values in point.planned.items():
            at = point.name, stem
            entry = next(iter(found["notebooks"].get(at, ())), None)
            state = _state(entry, found["parameters"].get(at, ()), values)
            if state["state"] != DONE and point.name in wrong:
                state |= {"state": FAILED, "reason": wrong[point.name]}
            own = results.get(at, ()) if state["title"] else ()
            if own and state["state"] == FAILED:
                state["reason"] += "; its numbers are of an earlier execution"
            key = {"point": point.name, "notebook": stem}
            notebooks.append(key | state)
            rows += [metric | key | {name: state[name] for name in _STATE} for metric in own or [{}]]
    of_notebooks = pd.DataFrame(notebooks, columns=["point", "notebook", "title", *_STATE])
    columns = ["point", "notebook", "metric", *INTERVAL, "text", "unit", *_STATE]
    table = pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(INTERVAL, float))
    for number, name in enumerate(given, 1):
        table.insert(number, name, table["point"].map(given[name]))
    return Collected(table, of_notebooks, _points(planned, told, of_notebooks, given))


def as_json(found: Collected) -> str:
    """Return what the points found as a JSON object: `points` and `rows`, whose missing values are null."""
    points = found.points.reset_index()
    return files.as_json({"points": points.to_dict("records"), "rows": found.rows.to_dict("records")})


def _by_notebook(table: pd.DataFrame) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """Return the rows of a table by run and notebook."""
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in table.to_dict("records"):
        found.setdefault((row["run"], row["notebook"]), []).append(row)
    return found


def _findings(told: Runs) -> pd.DataFrame:
    """Return the findings of runs as metrics."""
    return told.findings.rename(columns={"says": "text"}).drop(columns=["against", "counts"]).assign(metric=FINDING)


def _metrics(told: Runs) -> pd.DataFrame:
    """Return the metrics of runs; one that is no number has it in `text`."""
    is_number = told.metrics["value"].map(lambda x: isinstance(x, int | float) and not isinstance(x, bool))
    texts = told.metrics["value"].where(~is_number & told.metrics["value"].notna())
    numbers = pd.to_numeric(told.metrics["value"].where(is_number))
    return told.metrics.assign(metric=several.alike(told), value=numbers, text=texts.map(str, na_action="ignore"))


def _state(
    entry: Mapping[str, Any] | None, given: Sequence[Mapping[str, Any]], values: Mapping[str, Any]
) -> dict[str, Any]:
    """Return title, failed items, state and reason of a notebook at a point.

    Args:
        entry: its row of `several.Runs.notebooks`; None if the point has none.
        given: its rows of `parameters`.
        values: the parameters that the sweep gives it.
    """
    nothing = {"title": None, "failed": 0, "state": WAITS}
    if entry is None:
        return nothing | {"reason": _WHY["waiting"]}
    planned = json.loads(json.dumps({k: v for k, v in values.items() if k not in PLACES}, default=str))
    if {row["parameter"]: row["value"] for row in given} != planned:
        return nothing | {"reason": "the folder has results of other parameters"}
    if _DRAWS & values.keys() and entry["people"] != ids.drawn_from():
        return nothing | {"reason": "the folder has results of people whom another version drew"}
    told = (entry["error"], entry["lost"], _WHY.get(entry["state"]))
    return {
        **{name: entry[name] for name in ("title", "failed", "state")},
        "reason": next((why for why in told if isinstance(why, str)), None),
    }


def _given(planned: Sequence[Point]) -> pd.DataFrame:
    """Return what each point is given, with the names of columns; what is not all numbers is text."""
    values = pd.DataFrame([point.given for point in planned], [point.name for point in planned], dtype=object)
    for name, column in values.items():
        numbers = column.map(lambda x: isinstance(x, int | float) and not isinstance(x, bool)).all()
        values[name] = pd.to_numeric(column) if numbers else column.map(compare.as_text)
    return values.add_prefix(GIVEN)


def _points(planned: Sequence[Point], told: Runs, notebooks: pd.DataFrame, given: pd.DataFrame) -> pd.DataFrame:
    """Return the table `points` of a collection from those of notebooks and of what is given."""
    known = told.runs[told.runs["problem"].isna()]
    taken = known[["models", "judges", "seconds", "calls", "cost"]].to_dict("index")
    none = {"models": None, "judges": None, "seconds": 0.0, "calls": 0, "cost": 0.0}
    parts = dict(list(notebooks.groupby("point")))
    rows = []
    for point in planned:
        own = parts[point.name]
        rest = own[own["state"] != DONE].sort_values("state", key=lambda s: s != FAILED, kind="stable")
        state, reason = (DONE, None) if rest.empty else rest.iloc[0][["state", "reason"]]
        if len(own) > 1 and reason:
            reason = f"{len(rest)} of {len(own)} notebooks; {rest.iloc[0]['notebook'].partition('_')[0]}: {reason}"
        rows.append({"state": state, "reason": reason} | taken.get(point.name, none))
    labels = pd.DataFrame({"label": [point.label for point in planned]}, given.index)
    table = pd.concat([labels, given, pd.DataFrame(rows, given.index)], axis=1)
    return table.rename_axis("point").astype({"cost": float})
