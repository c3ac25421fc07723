"""Items: what the notebooks of a run put to a model, one by one, in one table.

An item is a row of a recorded table that has a persona, a question and an outcome: an answer, a verdict or a choice, or
the reason why there is none. Its columns of keys lead to requests and raw replies in the response store.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pyarrow.parquet as pq

from ... import UserError, judges, personas, seeds
from ...bench import groups
from ...preferences import verification
from ..planning import notebooks
from ..results import findings, manifests

PEOPLE = "people"  # the recorded table of a notebook's personas
PAIRS = "pairs.parquet"  # and of the pairs of answers that its choices are about
KEYS = ("answer_key", "critique_key", "revision_key", "verdict_key", "choice_key")
TEXTS = ("told", "thought", "working", "answer", "rejected", "critique", "chosen", "judge_thought", "truth")
GROUPS = ("sex", "age group", "race group", "schooling", "party", "religion group", "ideology group")
COLUMNS = (
    *("id", "notebook", "table", "persona_id", "prompt_id", "prompt", "profile", "condition", "model", "judge"),
    *("verdict", "p", "human", "failure"),
)
# Columns that tell the ways of asking about one persona and question apart. `source` names the player of a survey.
_WAYS = (
    "comparison",
    "attribute",
    "refined_for",
    "version",
    "hidden",
    "design",
    "kind",
    "way",
    "form",
    "task",
    "sample",
)
_NAMED = ("condition", "model", "judge", "source", "pair_id", *_WAYS)
_VERDICTS = ("verdict", "outcome", "judged", "choice")  # the first that a table has
_CHANCES = ("p_score", "p_chosen", "p_right", "confidence")
_OUTCOMES = {*_VERDICTS, "p_right", "truth", "answer", "chosen"}


class Items(NamedTuple):
    """A run's items.

    `table` has a row per item: see `of_table`. `people` has the personas, index `persona_id`, with `brief` (who it is
    in a few words) and the columns of GROUPS that are known. `notes` say what could not be read.
    """

    table: pd.DataFrame
    people: pd.DataFrame
    notes: list[str]


def of_run(folder: Path) -> Items:
    """Read the items that a run recorded, notebook by notebook in the order of interest.

    Args:
        folder: of the run.

    Raises:
        UserError: there is no run, or a table of it is damaged.
    """
    manifest = manifests.read(folder)
    if manifest is None:
        raise UserError(f"no run in {folder}: give the folder of one, which has a {manifests.NAME}")
    places: dict[str, list[Path]] = {}
    # A notebook's own answers come before those of its controls.
    for path in sorted(folder.glob("*/tables/*.parquet"), key=lambda path: (path.stem != "results", path)):
        places.setdefault(path.parts[-3], []).append(path)
    recorded = {path: _read(path) for stem in findings.ordered(places) for path in places[stem]}
    parts, notes = [_empty()], []
    trailed = {path.parts[-3] for path, table in recorded.items() if not {*table}.isdisjoint(KEYS)}
    for path, table in recorded.items():
        stem = path.parts[-3]
        # Where replies have keys, a table without is made from others, whose rows are items already.
        if not is_of_items(table) or (stem in trailed and {*table}.isdisjoint(KEYS)):
            continue
        found = of_table(table, stem, path.stem)
        pairs = recorded.get(path.with_name(PAIRS), pd.DataFrame())
        if "choice" in table and "chosen" not in table and {"chosen", "rejected"} <= {*pairs}:
            found = _with_answers(found, table, pairs)
        values = manifest["notebooks"].get(stem, {}).get("parameters", {})
        if values.get("labels") and {"condition", "score"} <= {*table}:
            try:
                found["human"] = _labels(table, values).reindex(found.index)
            except UserError:
                notes.append(f"{stem}: its human labels can't be read any more ({Path(values['labels']).name})")
        parts.append(found)
    table = pd.concat(parts, ignore_index=True)
    asked = [own[["prompt_id", "prompt"]] for own in [*recorded.values(), table] if {"prompt_id", "prompt"} <= {*own}]
    prompts = pd.concat(asked).dropna().drop_duplicates("prompt_id").set_index("prompt_id")["prompt"]
    known = table["prompt_id"].map(prompts).astype(table["prompt"].dtype)
    table["prompt"] = table["prompt"].fillna(known).fillna(table["prompt_id"].astype(table["prompt"].dtype))
    drawn = [own for path, own in recorded.items() if path.stem == PEOPLE]
    return Items(table, of_people(drawn, table), list(dict.fromkeys(notes)))


def _with_answers(found: pd.DataFrame, table: pd.DataFrame, pairs: pd.DataFrame) -> pd.DataFrame:
    """Add the two answers to choices between them, from the table of pairs of the same notebook.

    Args:
        found: the items of `table`.
        table: the choices. Of those against another rival than the base answer only the chosen answer is known here.
        pairs: with `chosen` and `rejected`, one row per `pair_id`, or per `prompt_id` and `design`.
    """
    keys = [name for name in ("pair_id", "prompt_id", "design") if name in pairs and name in table]
    answers = pairs.drop_duplicates(keys).set_index(keys)[["chosen", "rejected"]]
    both = table[keys].join(answers, on=keys).reindex(found.index)
    if "comparison" in table:
        both["rejected"] = both["rejected"].where(table["comparison"] == verification.BASE)
    return found.assign(chosen=both["chosen"], rejected=both["rejected"])


def _read(path: Path) -> pd.DataFrame:
    try:
        return pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise UserError(f"{path} can't be read ({error!r:.100}): run its notebook again") from None


def _labels(results: pd.DataFrame, values: Mapping[str, Any]) -> pd.Series:
    """Return the mean of each answer's human labels, missing without one."""
    path = notebooks.folder() / str(values["labels"])
    return judges.labels.beside(results, judges.labels.read(path, list(results["model"].unique())))["human"]


def are_in(folder: Path) -> bool:
    """Return whether a notebook recorded items in its folder."""
    return any(is_of_items(pq.read_schema(path).names) for path in sorted(folder.glob("tables/*.parquet")))


def is_of_items(columns: Iterable[str]) -> bool:
    """Return whether the rows of a table with these columns are items."""
    has = {*columns}
    return {"persona_id", "prompt_id"} <= has and bool(has & _OUTCOMES) and bool(has & {"failure", "judge_failure"})


def of_table(table: pd.DataFrame, notebook: str = "", name: str = "") -> pd.DataFrame:
    """Return the items of a results table.

    Args:
        table: as `bench.conditioning`, `judges.critic`, `judges.prefer` and what is built on them return, with
            `persona_id` and `prompt_id`.
        notebook, name: where it was recorded; part of the ids.

    Returns:
        The index of `table`, without rows that nobody was asked about (baselines of a survey); COLUMNS: `id` (a hash,
        the same in every run with these people, questions, conditions and models), `condition` (with what else tells
        ways of asking apart), `model` (who wrote), `judge` (who judged or chose), `verdict`, `p` (its probability, as
        far as it is known), `human` (missing here), `failure`; TEXTS (`answer` is the verdict where a survey's `truth`
        stands beside it) and KEYS. What a table lacks is missing. No rows if its rows are no items.
    """
    if not is_of_items(table):
        return _empty()
    found = pd.DataFrame(index=table.index)
    for column in (*COLUMNS, *TEXTS, *KEYS):
        found[column] = table.get(column)
    found["notebook"], found["table"] = notebook, name
    found["id"] = _ids(table, [notebook, name])
    found["prompt"] = found["prompt"].fillna(table["item"]) if "item" in table else found["prompt"]
    found["condition"] = _conditions(table)
    found["judge"] = table["source"] if "source" in table else found["judge"]
    found["model"] = table["generator"] if "generator" in table else found["model"]
    is_survey = "truth" in table
    own = next((column for column in _VERDICTS if column in table), None)
    if own or is_survey:
        found["verdict"] = table[own or "answer"]
    elif "p_right" in table:
        found["verdict"] = table["score"].map({1.0: "right", 0.0: "wrong"})
    if is_survey:
        found["answer"] = None
    found["p"] = next((table[column] for column in _CHANCES if column in table), None)
    found["failure"] = table["failure"] if "failure" in table else table["judge_failure"]
    if is_survey and "choice_key" in table:
        found = found[found["choice_key"].notna() | found["failure"].notna()]
    return found.astype({column: "str" for column in found if column not in ("p", "human")}).astype(
        {"p": float, "human": float}
    )


def _empty() -> pd.DataFrame:
    """Return a table of no items."""
    columns = [*COLUMNS, *TEXTS, *KEYS]
    return pd.DataFrame({c: pd.Series(dtype=float if c in ("p", "human") else "str") for c in columns})


def _ids(table: pd.DataFrame, place: list[str]) -> list[str]:
    """Return a hash of each row's place, persona, question and way of asking; equal rows are numbered."""
    names = [name for name in ("persona_id", "prompt_id", *_NAMED) if name in table]
    texts = table[names].astype("str").fillna("")
    whole = texts.iloc[:, 0].str.cat(texts.iloc[:, 1:], "|")
    times = whole.groupby(whole).cumcount().astype("str").radd("|").where(whole.duplicated(), "")
    return [seeds.digest("|".join([*place, text]), 12) for text in whole + times]


def _conditions(table: pd.DataFrame) -> pd.Series:
    """Return each row's condition, with the other ways of asking in which rows differ."""
    parts = [table["condition"].astype("str").str.replace("_", " ")] if "condition" in table else []
    for name in _WAYS:
        if name in table and table[name].nunique() > 1:
            text = table[name].astype("str").str.replace("_", " ")
            parts.append((f"{name.replace('_', ' ')}: " + text).fillna(""))
    if not parts:
        return pd.Series("", table.index)
    return parts[0].str.cat(parts[1:], ", ") if len(parts) > 1 else parts[0]


def of_people(tables: list[pd.DataFrame], items: pd.DataFrame) -> pd.DataFrame:
    """Return the people of some items.

    Args:
        tables: personas, index `persona_id`; of those who stand in several the first counts.
        items: a table of items. Who is in no table, as in runs before these were recorded, is read from the profile.

    Returns:
        Index `persona_id`; `profile` (all attributes as text), `brief` (as `personas.brief`), GROUPS as far as known.
    """
    given = [table.astype(object) for table in tables]
    known = pd.concat(given) if given else pd.DataFrame(columns=list(personas.NAMES))
    known = known[~known.index.duplicated()]
    told = items.dropna(subset="profile").drop_duplicates("persona_id").set_index("persona_id")["profile"]
    told = told[~told.index.isin(known.index)]
    lines = {i: dict(line.split(": ", 1) for line in text.splitlines() if ": " in line) for i, text in told.items()}
    read = personas.profiles.bureau(pd.DataFrame.from_dict(lines, orient="index"))
    people = pd.concat([known, read.reindex(columns=known.columns.union(personas.NAMES))])
    people = people[people.index.isin(items["persona_id"])].rename_axis(personas.ID)
    ages = pd.to_numeric(people["age"], errors="coerce")  # a survey's may be bands
    people = people.assign(age=ages.fillna(people["age"]))
    broad = groups.broad(people.assign(age=ages))
    found = broad.reindex(columns=list(GROUPS)).astype("str")
    texts = personas.profiles.texts(people).astype("str") if len(people) else pd.Series(dtype="str")
    return found.assign(profile=told.reindex(people.index).fillna(texts), brief=personas.brief(people))
