"""Compare runs: rates side by side, and paired differences of the same scores on the same persona x prompt items."""

import json
from typing import Any, NamedTuple

import pandas as pd

from ... import UserError, files
from ...stats import intervals
from ...stats.wording import ALPHA, clear, points
from .several import Runs

TABLE = "06_conditioning/results"
BY = "condition"
OF_METHODS = "11_methods/respondent_scores"
COLUMNS = ["n", "failed", "only first", "only second", "difference", "low", "high", "p", "p_holm", "note"]
# What `two` and `intervals` call the parts of a difference, and what they are called beside a rate.
BESIDE = {
    "n": "shared",
    "failed": "unscored",
    "only first": "only_first",
    "only second": "only_here",
    "difference": "difference",
    "low": "difference_low",
    "high": "difference_high",
    "p": "p",
    "note": "difference_note",
}
SHORT = 24  # letters of a parameter's value that fits a label
MOST = 2  # parameters in a label; where more differ, the run's name says more
SAME = 1e-9  # scores that differ by no more are one


class Comparison(NamedTuple):
    """Several runs beside each other, as `many` finds them.

    - `compared`: one row per group and column, which is a run, or a model of a run: `group`, `run`, `model` (missing if
      the table names none), `label` (of the column), `n` (scored items), `failed`, `rate`, `low`, `high`, `note` as in
      `intervals.rates`. Of the column minus the first one, on the items of both: `shared` (scored in both), `unscored`
      (in both, not scored in both), `only_first`, `only_here` (items that the other lacks), `difference`,
      `difference_low`, `difference_high`, `p`, `difference_note`, `p_holm` (over all rows); missing in rows of the
      first column.
    - `changed`: one row per item scored otherwise than in the first column: `persona_id`, `prompt_id`, `prompt` (its
      text, if the table has it), `group`, `label`, `first`, `here`.
    - `notes`: what a reader should know: runs that are left out and why, runs that share no item with the first.
    """

    compared: pd.DataFrame
    changed: pd.DataFrame
    notes: list[str]


def two(told: Runs, table: str = TABLE, by: str = BY, value: str = "score") -> pd.DataFrame:
    """Compute the second run's scores minus the first's, group by group.

    Args:
        told: of two runs.
        table: notebook and table, as NOTEBOOK/TABLE, with the columns `persona_id`, `prompt_id`, `by`, `value`.
        by: column with the groups.
        value: column with the score.

    Returns:
        Index `by`; columns `n` (items scored in both runs), `failed` (items in both runs that are not scored in both),
        `only first` and `only second` (items that the other run does not have), `difference`, `low`, `high`, `p`,
        `p_holm`, `note` as in `intervals.paired_differences`.

    Raises:
        UserError: a run lacks the table or its columns, they are damaged or hold no scores, or the runs share no item.
    """
    read = [_scored(told, run, table, by, value) for run in told.runs.index]
    a, b = (scores.groupby([*intervals.ITEM, by], sort=False)[value].mean() for scores in read)
    if a.index.intersection(b.index).empty:
        first, second = told.runs.index
        raise UserError(_apart(told, first, second, table))
    groups = pd.unique(pd.concat([a, b]).index.get_level_values(by))
    rows = {group: _difference(_of_group(a, by, group), _of_group(b, by, group)) for group in groups}
    found = pd.DataFrame.from_dict(rows, orient="index").rename_axis(by)
    found["p_holm"] = intervals.corrected(found["p"])
    return found.reindex(columns=COLUMNS)


def many(told: Runs, table: str = TABLE, by: str = BY, value: str = "score") -> Comparison:
    """Put several runs beside each other, and compare each with the first that has the table.

    Args:
        told: of two runs or more. Of one that writes with several models, each model is a column.
        table, by, value: as in `two`; the score lies from 0 to 1.

    Raises:
        UserError: fewer than two runs have the table with its columns, or a score is out of range.
    """
    read, notes = {}, []
    for run, problem in told.runs["problem"].items():
        try:
            if isinstance(problem, str):
                raise UserError(problem)
            read[run] = _scored(told, run, table, by, value)
        except UserError as error:
            notes.append(str(error))
    if len(read) < 2:
        rest = f" (and {len(notes) - 1} more runs can't be compared)" if len(notes) > 1 else ""
        raise UserError(notes[0] + rest if notes else f"{told.runs['folder'].iloc[0]} is one run: name two or more")
    every = pd.concat([scores.assign(run=run) for run, scores in read.items()], ignore_index=True)
    intervals.check(every, by, value)
    every["model"] = every["model"].astype("str") if "model" in every else pd.Series(pd.NA, every.index, dtype="str")
    columns = every[["run", "model"]].drop_duplicates(ignore_index=True)
    columns["label"] = _labels(told, columns, table.partition("/")[0])
    every = every.merge(columns, on=["run", "model"])
    scores = every.groupby([by, "label", *intervals.ITEM], sort=False)[value].mean()
    compared, changed = _side_by_side(scores, columns)
    if "prompt" in every:
        texts = every.drop_duplicates("prompt_id").set_index("prompt_id")["prompt"]
        changed.insert(2, "prompt", changed["prompt_id"].map(texts))
    shared = compared.groupby("run", sort=False)[["shared", "unscored"]].sum().sum(axis=1)
    first, *others = read
    notes += [_apart(told, first, run, table) for run in others if not shared[run]]
    return Comparison(compared, changed, [*notes, *_older(told, list(read), table)])


def _side_by_side(scores: pd.Series, columns: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the tables `compared` and `changed` of a comparison.

    Args:
        scores: indexed by group, label and item.
        columns: `run`, `model`, `label`, the first one on top.
    """
    rows, changed = [], []
    first = columns["label"].iloc[0]
    none = scores.iloc[:0].droplevel([0, 1])
    parts = {key: own.droplevel([0, 1]) for key, own in scores.groupby(level=[0, 1], sort=False)}
    for group in scores.index.unique(level=0):
        base = parts.get((group, first), none)
        for column in columns.to_dict("records"):
            own = parts.get((group, column["label"]), none)
            row = {"group": group} | column | intervals.rate(own, own.index.to_frame(index=False))
            if own.empty:
                row["note"] = "the run has no such group"
            if column["label"] != first:
                row |= {BESIDE[name]: part for name, part in _difference(base, own).items()}
                both = pd.concat({"first": base, "here": own}, axis=1, join="inner").dropna()
                other = both[(both["first"] - both["here"]).abs() > SAME].reset_index()
                changed.append(other.assign(group=group, label=column["label"]))
            rows.append(row)
    compared = pd.DataFrame(rows)
    compared = compared.reindex(columns=list(dict.fromkeys([*compared, *BESIDE.values()])))
    order = [*intervals.ITEM, "group", "label", "first", "here"]
    return compared.assign(p_holm=intervals.corrected(compared["p"])), pd.concat(changed, ignore_index=True)[order]


def differing(told: Runs, notebook: str) -> pd.DataFrame:
    """Return what a notebook was given where that differs between runs: writers, judges, sizes, lengths.

    `weights` differ where runs name a model of this machine alike and its file has changed, `people` where another
    version drew them (`personas.ids`).

    Args:
        told: the runs.
        notebook: its name.

    Returns:
        Index `parameter`; a column per run that has the notebook, None where its version had no such parameter.
    """
    there = told.notebooks[told.notebooks["notebook"] == notebook].set_index("run")
    given: dict[str, dict[str, Any]] = {run: {} for run in there.index}
    for row in told.parameters[told.parameters["notebook"] == notebook].itertuples():
        given[row.run][row.parameter] = row.value
    for run, row in there[["weights", "people"]].iterrows():
        given[run] |= {name: None if pd.isna(value) else value for name, value in row.items()}
    names = dict.fromkeys(name for own in given.values() for name in own)
    rows = {name: [own.get(name) for own in given.values()] for name in names}
    differ = {name: row for name, row in rows.items() if len({as_text(value) for value in row}) > 1}
    return pd.DataFrame(list(differ.values()), pd.Index(differ, name="parameter"), list(given), dtype=object)


def told_apart(told: Runs, notebook: str) -> list[str]:
    """Return a line for each row of `differing`, such as 'the runs differ in seed: 0 in a, b; 1 in c'."""
    lines = []
    for name, row in differing(told, notebook).map(as_text).iterrows():
        folders = told.runs["folder"][row.index]
        who = folders.groupby(row, sort=False).agg(", ".join)
        lines.append(f"the runs differ in {name}: {'; '.join(f'{value} in {which}' for value, which in who.items())}")
    return lines


def as_text(value: Any) -> str:
    """Return a parameter's value as -p takes it."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def said(compared: pd.DataFrame) -> str:
    """Return what a comparison found, as a sentence."""
    first = compared["label"].iloc[0]
    tests = compared.dropna(subset="p")
    if tests.empty:
        return f"No difference from {first} can be estimated on shared items."
    top = tests.loc[tests["difference"].abs().idxmax()]
    size = points(top["difference"], top["difference_low"], top["difference_high"], n=top["shared"])
    found = f"{clear(tests)} differences from {first} are clear, corrected as one family (Holm)."
    return f"{found} The largest is that of {top['label']} in {str(top['group']).replace('_', ' ')}: {size}."


def is_clear(compared: pd.DataFrame) -> pd.Series:
    """Return which differences of a comparison are clear after Holm's correction."""
    return compared["p_holm"] < ALPHA


def _labels(told: Runs, columns: pd.DataFrame, notebook: str) -> list[str]:
    """Return a label for each column: its model, and where several columns have the same, what else differs.

    Args:
        told: the runs.
        columns: `run`, `model`.
        notebook: whose parameters may differ.
    """
    asked = told.notebooks[told.notebooks["notebook"] == notebook].set_index("run")["models"]
    names = columns["model"].fillna(columns["run"].map(asked)).fillna("")
    labels = names.copy()
    for name, own in columns.groupby(names, sort=False):
        if len(own) > 1 or not name:
            labels[own.index] = [", ".join(filter(None, (name, what))) for what in _what(told, own["run"], notebook)]
    return list(labels.where(~labels.duplicated(keep=False), labels + ", " + columns["run"]))


def _what(told: Runs, runs: pd.Series, notebook: str) -> list[str]:
    """Return in a few words what differs between runs of one model: parameters as -p takes them, or the runs' names."""
    given = differing(told, notebook)[list(runs)].map(as_text)
    given = given[given.nunique(axis=1) > 1].drop(["model", "people", "weights"], errors="ignore")
    if not 0 < len(given) <= MOST or (given.map(len) > SHORT).any(axis=None) or given.T.duplicated().any():
        return list(runs)
    return [", ".join(f"{name}={value}" for name, value in given[run].items()) for run in runs]


def _apart(told: Runs, first: str, second: str, table: str) -> str:
    """Return why two runs share no item, and what to do."""
    remedy = "run both with the same seed and the same sizes, such as n_personas"
    given = differing(told, table.partition("/")[0])
    if "people" in given.index and given.loc["people", first] != given.loc["people", second]:
        remedy = "two versions drew their people; run the older one again"
    a, b = told.runs["folder"][[first, second]]
    return f"{a} and {b} share no persona x prompt item in {table}: {remedy}"


def _older(told: Runs, runs: list[str], table: str) -> list[str]:
    """Return a line for each run whose notebook has not ended well since, so that its table is an older one."""
    own = told.notebooks[(told.notebooks["notebook"] == table.partition("/")[0]) & told.notebooks["run"].isin(runs)]
    states = own[own["status"] != "done"].set_index("run")["status"]
    return [f"{told.runs['folder'][run]}: its notebook is '{state}', and {table} is of an earlier execution"
            for run, state in states.items()]  # fmt: skip


def _scored(told: Runs, run: str, table: str, by: str, value: str) -> pd.DataFrame:
    """Read a run's table: the items, `by` and `value`, and `model` and `prompt` if it has them.

    Raises:
        UserError: the run lacks the table or its columns, or they are damaged or hold no scores.
    """
    folder, notebook = told.runs["folder"][run], table.partition("/")[0]
    own = told.tables[told.tables["run"] == run]
    paths = dict(zip(own["notebook"] + "/" + own["table"], own["path"], strict=True))
    if table not in paths:
        states = told.notebooks[(told.notebooks["run"] == run) & (told.notebooks["notebook"] == notebook)]["status"]
        unfinished = f"its notebook is '{states.iloc[0]}'" if len(states) and states.iloc[0] != "done" else ""
        methods = f"; compare methods with --table {OF_METHODS} --by method" if OF_METHODS in paths else ""
        has = unfinished or f"it has {', '.join(paths) or 'none'}{methods}"
        raise UserError(f"{folder} has no table {table}: {has}")
    if by in (*intervals.ITEM, value):
        raise UserError(f"--by {by} is no column of groups: choose another, such as {BY}")
    scores, keys = files.read_table(paths[table]), [*intervals.ITEM, by]
    if missing := [column for column in (*keys, value) if column not in scores]:
        raise UserError(
            f"{folder}/{table} lacks the columns {', '.join(missing)}: choose another --table, --by or --value"
        )
    if not pd.api.types.is_numeric_dtype(scores[value]):
        raise UserError(f"{value} of {folder}/{table} is no number: choose a score with --value")
    kept = [name for name in ("model", "prompt") if name in scores and name not in (by, value)]
    return scores[[*keys, value, *kept]]


def _of_group(scores: pd.Series, by: str, group: object) -> pd.Series:
    """Return one group's scores, indexed by item; empty if the run does not have the group."""
    return scores[scores.index.get_level_values(by) == group].droplevel(by)


def _difference(first: pd.Series, second: pd.Series) -> dict[str, object]:
    """Return one row of `two` from a group's scores in both runs."""
    shared = first.index.intersection(second.index)
    alone = {"only first": len(first) - len(shared), "only second": len(second) - len(shared)}
    if not len(shared):
        return {"n": 0, "failed": 0, "note": "the runs share no item here"} | alone
    return intervals.difference(second[shared] - first[shared]) | alone
