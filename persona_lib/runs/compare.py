"""Compare two runs: paired differences of the same scores on the same persona x prompt items."""

from pathlib import Path

import pandas as pd

from .. import UserError, files
from ..stats import intervals
from . import manifests

TABLE = "06_conditioning/results"
BY = "condition"
COLUMNS = ["n", "failed", "only first", "only second", "difference", "low", "high", "p", "p_holm", "note"]


def runs(first: str | Path, second: str | Path, table: str = TABLE, by: str = BY, value: str = "score") -> pd.DataFrame:
    """Compute the second run's scores minus the first's, group by group.

    Args:
        first, second: folders of two runs.
        table: notebook and table, as NOTEBOOK/TABLE, with the columns `persona_id`, `prompt_id`, `by`, `value`.
        by: column with the groups.
        value: column with the score.

    Returns:
        Index `by`; columns `n` (items scored in both runs), `failed` (items in both runs that are not scored in both),
        `only first` and `only second` (items that the other run does not have), `difference`, `low`, `high`, `p`,
        `p_holm`, `note` as in `intervals.paired_differences`.

    Raises:
        UserError: a folder has no run, the run lacks the table or its columns, they are damaged or hold no scores, or
            the runs share no item.
    """
    a, b = (_means(_read(folder, table), by, value, f"{folder}/{table}") for folder in (first, second))
    if a.index.intersection(b.index).empty:
        remedy = "run both with the same seed and the same sizes (n_personas, n_prompts, n_items)"
        if "people" in differing(first, second, table):
            remedy = "two versions drew their people; run the older one again"
        raise UserError(f"{first} and {second} share no persona x prompt item in {table}: {remedy}")
    groups = pd.unique(pd.concat([a, b]).index.get_level_values(by))
    rows = {group: _difference(_of_group(a, by, group), _of_group(b, by, group)) for group in groups}
    found = pd.DataFrame.from_dict(rows, orient="index").rename_axis(by)
    found["p_holm"] = intervals.corrected(found["p"])
    return found.reindex(columns=COLUMNS)


def differing(first: str | Path, second: str | Path, table: str = TABLE) -> dict[str, tuple[object, object]]:
    """Return what a notebook was given in two runs where that differs, by parameter: writers, judges, sizes, lengths.

    `weights` differ where both name a model of this machine alike and its file has changed, `people` where another
    version drew them (`personas.ids`).

    Args:
        first, second, table: as in `runs`.
    """
    a, b = (_given(folder, table.partition("/")[0]) for folder in (first, second))
    return {name: (a.get(name), b.get(name)) for name in {**a, **b} if a.get(name) != b.get(name)}


def _given(folder: str | Path, notebook: str) -> dict[str, object]:
    """Return the parameters of a notebook in a run, and the hashes of its models' files."""
    entry = files.read_json(Path(folder) / manifests.NAME)["notebooks"].get(notebook, {})
    weights = [model["identity"].get("weights_sha256") for model in entry.get("models", ())]
    given = {name: value for name, value in entry.get("parameters", {}).items() if name not in ("out", "recording")}
    files_of = {"weights": sorted({digest[:12] for digest in weights if digest}), "people": entry.get("people")}
    return given | files_of


def _read(folder: str | Path, table: str) -> pd.DataFrame:
    """Read a table of a run."""
    notebook, _, name = table.partition("/")
    path = Path(folder) / notebook / "tables" / f"{name}.parquet"
    manifest = Path(folder) / manifests.NAME
    if not manifest.is_file():
        raise UserError(f"{folder} is not the folder of a run: it has no {manifests.NAME}")
    entries = files.read_json(manifest).get("notebooks")
    if not isinstance(entries, dict) or not all(isinstance(entry, dict) for entry in entries.values()):
        raise UserError(f"{manifest} is not the manifest of a run: it lists no notebooks")
    if not path.is_file():
        known = [f"{stem}/{t}" for stem, entry in entries.items() for t in entry.get("tables", ())]
        raise UserError(f"{folder} has no table {table}: it has {', '.join(known) or 'none'}")
    return files.read_table(path)


def _means(table: pd.DataFrame, by: str, value: str, name: str) -> pd.Series:
    """Return the score of each item in each group, the mean over models and samples."""
    if by in (*intervals.ITEM, value):
        raise UserError(f"--by {by} is no column of groups: choose another, such as {BY}")
    keys = [*intervals.ITEM, by]
    if missing := [column for column in (*keys, value) if column not in table]:
        raise UserError(f"{name} lacks the columns {', '.join(missing)}: choose another --table, --by or --value")
    if not pd.api.types.is_numeric_dtype(table[value]):
        raise UserError(f"{value} of {name} is no number: choose a score with --value")
    return table.groupby(keys, sort=False)[value].mean()


def _of_group(scores: pd.Series, by: str, group: object) -> pd.Series:
    """Return one group's scores, indexed by item; empty if the run does not have the group."""
    return scores[scores.index.get_level_values(by) == group].droplevel(by)


def _difference(first: pd.Series, second: pd.Series) -> dict[str, object]:
    """Return one row of `runs` from a group's scores in both runs."""
    shared = first.index.intersection(second.index)
    alone = {"only first": len(first) - len(shared), "only second": len(second) - len(shared)}
    if not len(shared):
        return {"n": 0, "failed": 0, "note": "the runs share no item here"} | alone
    return intervals.difference(second[shared] - first[shared]) | alone
