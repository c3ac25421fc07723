"""Two runs side by side: paired differences of the same scores on the same persona x prompt items.

Used by `persona compare`; to try it: `persona compare outputs/smoke outputs/other`.
"""

import json
from pathlib import Path

import pandas as pd

from .. import UserError
from ..stats import intervals
from . import manifests

TABLE, BY = "06_conditioning/results", "condition"


def runs(first: str | Path, second: str | Path, table: str = TABLE, by: str = BY, value: str = "score") -> pd.DataFrame:
    """What the second run scores less the first, group by group.

    Args:
        first, second: folders of two runs.
        table: notebook and table, as NOTEBOOK/TABLE, with the columns `persona_id`, `prompt_id`, `by`, `value`.
        by: column of the groups.
        value: the score.

    Returns:
        Index `by`; columns `n` (items scored in both), `failed` (items that both runs have, not scored in both),
        `only first` and `only second` (items that the other run does not have), `difference`, `low`, `high`, `p`,
        `p_holm`, `note` as in `intervals.paired_differences`.

    Raises:
        UserError: a folder is no run, lacks the table or its columns, or the runs share no item.
    """
    a, b = (_means(_read(folder, table), by, value, f"{folder}/{table}") for folder in (first, second))
    if a.index.intersection(b.index).empty:
        raise UserError(f"{first} and {second} share no persona x prompt item in {table}: run both with the same seed")
    rows = {}
    for group in pd.unique(pd.concat([a, b]).index.get_level_values(by)):
        one, other = (s.xs(group, level=by) if group in s.index.get_level_values(by) else s.iloc[:0] for s in (a, b))
        shared = one.index.intersection(other.index)
        alone = {"only first": len(one) - len(shared), "only second": len(other) - len(shared)}
        if len(shared):
            rows[group] = intervals.difference(other[shared] - one[shared]) | alone
        else:
            rows[group] = {"n": 0, "failed": 0, "note": "the runs share no item here"} | alone
    found = pd.DataFrame.from_dict(rows, orient="index").rename_axis(by)
    found["p_holm"] = intervals.corrected(found["p"])
    columns = ["n", "failed", "only first", "only second", "difference", "low", "high", "p", "p_holm", "note"]
    return found.reindex(columns=columns)


def _read(folder: str | Path, table: str) -> pd.DataFrame:
    notebook, _, name = table.partition("/")
    path = Path(folder) / notebook / "tables" / f"{name}.parquet"
    try:
        manifest = json.loads((Path(folder) / manifests.NAME).read_text("utf-8"))
    except (OSError, ValueError):
        raise UserError(f"{folder} is no folder of a run: it has no readable {manifests.NAME}") from None
    if not path.is_file():
        known = [f"{stem}/{t}" for stem, entry in manifest["notebooks"].items() for t in entry.get("tables", ())]
        raise UserError(f"{folder} has no table {table}: it has {', '.join(known) or 'none'}")
    return pd.read_parquet(path)


def _means(table: pd.DataFrame, by: str, value: str, name: str) -> pd.Series:
    """The score of each item in each group, the mean over models and samples."""
    keys = [*intervals.ITEM, by]
    if missing := [c for c in (*keys, value) if c not in table]:
        raise UserError(f"{name} lacks the columns {', '.join(missing)}: choose another --table, --by or --value")
    return table.groupby(keys, sort=False)[value].mean()
