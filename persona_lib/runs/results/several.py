"""Several runs: what their folders tell, as tables with a row per run, notebook, parameter, metric and table.

Nothing is executed or written here. A comparison, a sweep over parameters and an index of runs read the same tables.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from ... import UserError, files, local
from ...model.limits import usage
from ..reporting.record import INTERVAL, Finding
from . import findings, manifests

PLACES = ("out", "recording")  # parameters that say where things lie, and nothing about the experiment
_USED = {"calls": 0, "failed": 0, "tokens_in": 0, "tokens_out": 0, "cost": None}
_KEY = ["run", "notebook"]
_COLUMNS = {
    "runs": [
        *("run", "folder", "preset", "about", "models", "judges", "seed", "commit", "changed", "started", "status"),
        *("seconds", *_USED, "problem"),
    ],
    "notebooks": [
        *(*_KEY, "title", "status", "state", "seconds", "error", "lost", "failed", "headline"),
        *("models", "judge", "weights", "people"),
    ],
    "findings": [*_KEY, *Finding._fields],
    "parameters": [*_KEY, "parameter", "value"],
    "metrics": [*_KEY, "metric", *INTERVAL],
    "tables": [*_KEY, "table", "path"],
}


class Runs(NamedTuple):
    """What folders of runs tell. `run` is a run's name in all tables: the end of its folder's path that no other has.

    - `runs`: index `run`; `folder`, `preset`, `about`, `models` and `judges` (names as on pages, joined), `seed` (as
      text), `commit`, `changed` (files differ from the commit), `started` (UTC), `status`, `seconds`, `calls`,
      `failed` (items), `tokens_in`, `tokens_out`, `cost` (USD, missing if unknown), `problem` (why a folder can't be
      read; missing if it can). Seconds and usage are of all executions that the results took.
    - `notebooks`: `run`, `notebook`, `title`, `status`, `state` (as on pages: what has no scores is not done),
      `seconds`, `error`, `lost` (steps more than half of whose items failed), `failed` (items), `headline`, `models`
      and `judge` (as on pages; missing if none is asked), `weights` (the first digits of the hashes of models' files),
      `people` (which version drew them, as in `personas.ids`).
    - `findings`: `run`, `notebook`, and the fields of `record.Finding`, of notebooks that recorded one.
    - `parameters`: `run`, `notebook`, `parameter`, `value`, without those that say where things lie (PLACES).
    - `metrics`: `run`, `notebook`, `metric`, `value`, and `low`, `high`, `n` where they are recorded.
    - `tables`: `run`, `notebook`, `table`, `path` (of the parquet file).

    Where a notebook failed or waits and older results stay, its parameters and all that follows are of these.
    """

    runs: pd.DataFrame
    notebooks: pd.DataFrame
    findings: pd.DataFrame
    parameters: pd.DataFrame
    metrics: pd.DataFrame
    tables: pd.DataFrame


def read(places: Sequence[str | Path]) -> Runs:
    """Read what runs tell.

    Args:
        places: folders of runs, or folders whose subfolders are runs. Of the latter, a subfolder with a manifest that
            can't be read is a row of `runs` with its `problem`.

    Raises:
        UserError: a place has no run, is a run that can't be read, or is given twice.
    """
    found = [(folder, folder != Path(place)) for place in places for folder in _folders(Path(place))]
    real = [folder.resolve() for folder, _ in found]
    if twice := [folder for i, (folder, _) in enumerate(found) if real[i] in real[:i]]:
        raise UserError(f"{twice[0]} is given twice: name each run once")
    rows: dict[str, list[dict[str, Any]]] = {kind: [] for kind in _COLUMNS}
    for name, (folder, nested) in zip(_names(real), found, strict=True):
        try:
            told = _told(folder)
        except UserError as error:
            if not nested:
                raise
            told = {"runs": [{"problem": str(error)}]}
        for kind, own in told.items():
            rows[kind] += [{"run": name, "folder": str(folder)} | row for row in own]
    tables = {kind: pd.DataFrame(rows[kind], columns=columns) for kind, columns in _COLUMNS.items()}
    # Values stay as they are: null is a value, and of no parameter a missing one.
    tables["parameters"] = pd.DataFrame(rows["parameters"], columns=_COLUMNS["parameters"], dtype=object)
    started = pd.to_datetime(tables["runs"]["started"], utc=True, format="ISO8601")
    tables["runs"] = tables["runs"].assign(started=started).set_index("run")
    return Runs(**tables)


def _folders(place: Path) -> list[Path]:
    """Return a folder that is a run, or the subfolders that are."""
    if (place / manifests.NAME).is_file():
        return [place]
    inner = sorted(path.parent for path in place.glob(f"*/{manifests.NAME}"))
    if not inner:
        raise UserError(f"{place} is not the folder of a run: it has no {manifests.NAME}")
    return inner


def _names(places: Sequence[Path]) -> list[str]:
    """Return the shortest end of each path, in whole parts, that no other path has."""

    def end(path: Path, parts: int) -> str:
        return "/".join(path.parts[-parts:])

    def shortest(path: Path) -> str:
        others = [other for other in places if other != path]
        lengths = range(1, len(path.parts) + 1)
        return next((end(path, k) for k in lengths if all(end(path, k) != end(o, k) for o in others)), str(path))

    return [shortest(path) for path in places]


def _told(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of a run's tables, by table.

    Raises:
        UserError: its manifest is damaged, or is none.
    """
    path = folder / manifests.NAME
    listed = files.read_json(path).get("notebooks")
    if not isinstance(listed, dict) or not all(isinstance(entry, dict) for entry in listed.values()):
        raise UserError(f"{path} is not the manifest of a run: it lists no notebooks")
    try:
        content = manifests.read(folder)
        assert content is not None  # its manifest is there
        parts = [_of_notebook(folder, stem, entry) for stem, entry in content["notebooks"].items()]
        rows = {kind: [row for part in parts for row in part[kind]] for kind in list(_COLUMNS)[1:]}
        return {"runs": [_of_run(content, rows)]} | rows
    except (UserError, KeyError, TypeError, AttributeError, ValueError):
        raise UserError(f"{path} is damaged, or not the manifest of a run: run it again, or leave it out") from None


def _of_run(content: Mapping[str, Any], rows: Mapping[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Return the row of a run from its manifest and the rows of its notebooks."""
    before = content.get("before")
    spent = [content["usage"], *([before["usage"]] if before else [])] if "usage" in content else []
    used = usage.total(spent) if spent else {}
    seeds = [str(row["value"]) for row in rows["parameters"] if row["parameter"] == "seed"]
    return {
        "preset": content["preset"]["name"],
        "about": content["preset"]["about"],
        "models": _joined(row["models"] for row in rows["notebooks"]),
        "judges": _joined(row["judge"] for row in rows["notebooks"]),
        "seed": _joined(seeds),
        "commit": content.get("git", {}).get("commit"),
        "changed": content.get("git", {}).get("dirty"),
        "started": content["started"],
        "status": content["status"],
        "seconds": content.get("seconds", 0.0) + (before["seconds"] if before else 0.0),
        **{name: used.get(name, missing) for name, missing in _USED.items()},
    }


def _of_notebook(folder: Path, stem: str, entry: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of a notebook's tables from its entry in the manifest."""
    shown = entry.get("kept", entry)
    key = {"notebook": stem}
    given = {name: value for name, value in shown["parameters"].items() if name not in PLACES}
    hashes = {model["identity"].get("weights_sha256") or "" for model in shown.get("models", ())} - {""}
    error = entry["error"]
    own = {
        "title": entry["title"],
        "status": entry["status"],
        "state": findings.state(entry),
        "seconds": entry["seconds"],
        "error": f"{error['name']}: {error['message']}" if error else None,
        "lost": "; ".join(entry.get("lost", ())) or None,
        "failed": entry["usage"]["failed"],
        "headline": shown.get("headline"),
        "models": _joined(_models(given)),
        "judge": _name(given.get("judge"), given.get("judge_base_url")) or next(_models(given), None),
        "weights": ", ".join(sorted(digest[:12] for digest in hashes)) or None,
        "people": shown.get("people"),
    }
    metrics = [
        key | {"metric": name} | (metric if isinstance(metric, dict) else {"value": metric})
        for name, metric in shown.get("metrics", {}).items()
    ]
    paths = {name: folder / stem / "tables" / f"{name}.parquet" for name in shown.get("tables", ())}
    return {
        "notebooks": [key | own],
        "findings": [key | shown["finding"]] if shown.get("finding") else [],
        "parameters": [key | {"parameter": name, "value": value} for name, value in given.items()],
        "metrics": metrics,
        "tables": [key | {"table": name, "path": str(path)} for name, path in paths.items()],
    }


def alike(told: Runs) -> pd.Series:
    """Return the name of each row of `metrics` without the name of the model, where its run has one model.

    Metrics of a model thus go by the same name in runs of different models.
    """
    models = told.notebooks.set_index(["run", "notebook"])["models"].dropna().to_dict()
    names = [
        re.sub(rf", {re.escape(str(models.get((row.run, row.notebook))))}(?=,|$)", "", row.metric)
        for row in told.metrics.itertuples()
    ]
    renamed = told.metrics.assign(metric=names)
    return renamed["metric"].mask(renamed.duplicated([*_KEY, "metric"], keep=False), told.metrics["metric"])


def _models(given: Mapping[str, Any]) -> Iterator[str]:
    """Yield the names of the models whom a notebook's parameters name, as pages show them."""
    if name := _name(given.get("model"), given.get("base_url")):
        yield name
    for more in given.get("more_models") or ():
        name, _, address = more.partition("@")
        if shown := _name(name, address):
            yield shown


def _name(name: str | None, base_url: str | None) -> str | None:
    """Return a model's name as pages show it."""
    return local.real_name(name) if name and not base_url and local.is_embedded(name) else name


def _joined(names: Any) -> str | None:
    """Return each of the names once, as text; None without any."""
    return ", ".join(dict.fromkeys(name for name in names if name)) or None
