"""Read the published PERSONA data, pairs and personas, into the tables that the rest of the package uses.

A source is a local parquet, JSONL or CSV file, or the name of a data set on the Hugging Face hub, which needs the
package `datasets` (the extra `hub`).
"""

from pathlib import Path

import numpy as np
import pandas as pd

from .. import UserError, files, personas, seeds, tables
from ..attributes import NAMES
from ..personas import profiles
from ..prompts.bank import HELDOUT_NAMES, hub, prompt_id
from . import dataset
from .revision import checks
from .splits import HELDOUT, TRAIN

NUMBERS = ["age", "income"]  # the attributes that are numbers; all others are text
SPLIT = "split"  # of people, where there is no persona_split
_TEXTS = ("instruction", "original", "data", "critique")
_COLUMNS = (personas.ID, "persona_split", SPLIT, "question type", *NAMES)


def read(source: str | Path) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Return pairs, personas and prompts of a data set's folder, or of published PERSONA data (`read_published`)."""
    return dataset.read(source) if (Path(source) / dataset.ABOUT).is_file() else read_published(source)


def origin(source: str | Path) -> str:
    """Return a sentence on who made the pairs that `read` reads, and how, as far as the data tell.

    Raises:
        UserError: the data set's dataset.json is damaged.
    """
    if not (Path(source) / dataset.ABOUT).is_file():
        return f"The pairs come from {Path(source).name}: the data do not tell which model made them."
    about = dataset.made(source)
    words = f"asked for at most {about['words']} words" if about.get("words") else "asked for no length"
    name = about["generator"]["name"]
    return (
        f"The pairs come from the data set {Path(source).name}: written by {name}, {words}, seed {about.get('seed')}."
    )


def read_published(path: str | Path) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Read the published PERSONA data (SynthLabsAI/PERSONA) into tables like those of `dataset.read`.

    Args:
        path: a local parquet, JSONL or CSV file, or the name of a data set on the hub (needs the package `datasets`).

    Returns:
        - Pairs: `use` is heldout_test for the question type 'test' (or a name of it, as in `prompts.load`), else train;
          personas are split by hash. A row without original or data is not a pair: `failure` gives the reason.
        - Personas: the 33 attributes as far as the text names them, as text except age and income.
        - Prompts.

        Ids are hashes of the texts, but the personas' are the file's own where it has `persona_id`; so is their split
        where it has `persona_split`. A repeated row adds its number, so that it stays a row of its own.

    Raises:
        UserError: the file can't be read or lacks columns, a row lacks persona or instruction, or a persona's text has
            no line `attribute: value`.
    """
    table = _pairs_table(path)
    if (gaps := table[["persona", "instruction"]].isna().any(axis=1)).any():
        first = f"such as row {gaps.argmax() + 1}: fill them in or leave them out"
        raise UserError(f"{path} has {gaps.sum()} rows without persona or instruction, {first}")
    table = table.assign(**{personas.ID: _persona_ids(table)})
    first = table.drop_duplicates(personas.ID).set_index(personas.ID)
    people = profiles.bureau(_people(pd.DataFrame({i: parse(text) for i, text in first["persona"].items()}).T))
    people["persona_split"] = personas.split(people.index, first.get("persona_split"), path)
    pairs = _pairs(table, generator=str(path))
    pairs["persona_split"] = pairs["persona_id"].map(people["persona_split"])
    pairs = pairs.join(checks(pairs, people))
    prompts = pairs[["prompt_id", "prompt", "topic", "prompt_split"]].drop_duplicates("prompt_id", ignore_index=True)
    return pairs, people, prompts.assign(source="published")


def check(path: str | Path) -> None:
    """Look whether a file has the columns of the published PERSONA data.

    Raises:
        UserError: the file can't be read or lacks columns.
    """
    _pairs_table(path)


def _pairs_table(path: str | Path) -> pd.DataFrame:
    """Return the table of published pairs, after a look at its columns."""
    table = _table(path)
    if missing := [name for name in ("persona", "instruction", "original", "data") if name not in table]:
        raise UserError(f"{path} lacks the columns {', '.join(missing)}: it is not published PERSONA data")
    return table


def _persona_ids(table: pd.DataFrame) -> pd.Series:
    """Return each row's persona: the file's own id, as our exports have it, or else a hash of the persona's text."""
    by_text = table["persona"].map(_id)
    return table[personas.ID].astype("str").fillna(by_text) if personas.ID in table else by_text


def _pairs(table: pd.DataFrame, generator: str) -> pd.DataFrame:
    """Return the pairs of a published table, with our ids, names and splits."""
    question_type = table["question type"] if "question type" in table else pd.Series("", table.index)
    heldout = question_type.map(tables.spelling).isin(HELDOUT_NAMES)
    texts = table["persona"] + table["instruction"] + table["data"].fillna("")
    repeat = texts.groupby(texts).cumcount().astype("str").replace("0", "")
    no_base = table["original"].isna()
    no_revision = table["data"].isna()
    reason = pd.Series(None, table.index, dtype="str")
    reason = reason.mask(no_revision, "revision: not in the data").mask(no_base, "base answer: not in the data")
    pairs = {
        "pair_id": (texts + repeat).map(_id),
        "persona_id": table[personas.ID],
        "prompt_id": table["instruction"].map(prompt_id),
        "prompt_split": np.where(heldout, "heldout", "train"),
        "use": np.where(heldout, HELDOUT, TRAIN),
        "topic": "unknown",
        "prompt": table["instruction"],
        "rejected": table["original"],
        "critique": table.get("critique"),
        "chosen": table["data"].where(~no_base),
        "generator": generator,
        "failure": reason,
    }
    return pd.DataFrame(pairs).astype("str")


def read_personas(path: str | Path) -> pd.DataFrame:
    """Read the published personas, one row each (SynthLabsAI/Synthetic-Personas), in the form of `personas.sample`.

    Args:
        path: as in `read_published`. Of a data set on the hub all splits are read, into `persona_split`. A file's own
            `persona_split` is kept.

    Returns:
        Index `persona_id` (hash of the persona as text; of two alike the second is left out); the 33 attributes, as
        text except age and income, missing if the file lacks the column; and `persona_split`.

    Raises:
        UserError: the file can't be read, has none of the attributes, or its column `split` has an unknown side.
    """
    table = _table(path)
    known = [name for name in NAMES if name in table]
    if not known:
        raise UserError(f"{path} has none of the attributes as columns ({', '.join(NAMES[:3])}, ...)")
    people = _people(table[known])
    people.index = pd.Index([_id(text) for text in profiles.texts(people, short=False)], name=personas.ID)
    people = profiles.bureau(people)
    given = table.get("persona_split", table.get(SPLIT))
    people["persona_split"] = personas.split(people.index, given, path)
    return people[~people.index.duplicated()]


def _people(told: pd.DataFrame) -> pd.DataFrame:
    """Return all attributes with their types, from a table that has some of them as text."""
    people = told.reindex(columns=list(NAMES)).rename_axis(personas.ID)
    numbers = people[NUMBERS].apply(pd.to_numeric, errors="coerce").astype("Int64")
    return people.astype("str").assign(**numbers)


def parse(text: str) -> dict[str, str]:
    """Return a persona's attributes from its text, lines `attribute: value`.

    A line that does not begin with a known attribute continues the value before it.

    Raises:
        UserError: no line names an attribute.
    """
    found: dict[str, str] = {}
    name = None
    for line in text.strip().splitlines():
        head, colon, value = line.partition(":")
        if colon and head.strip().lower() in NAMES:
            name = head.strip().lower()
            found[name] = value.strip()
        elif name:
            found[name] += f" {line.strip()}"
    if not found:
        raise UserError(f"a persona's text has no line 'attribute: value': {text[:60]!r}")
    return found


def _id(text: str) -> str:
    return seeds.digest(text, 16)


def _table(path: str | Path) -> pd.DataFrame:
    """Read a local file, or all splits of a data set on the hub with a column `split`; blank values are missing."""
    table = files.read_table(path) if files.is_table(path) else _download(str(path))
    return tables.spelt(path, table, _COLUMNS, ("persona", *_TEXTS)).replace(r"^\s*$", None, regex=True)


def _download(name: str) -> pd.DataFrame:
    """Download all splits of a data set on the hub, with a column `split`."""
    splits = hub(
        lambda load: load(name),
        needs=f"{name} from the hub needs `pip install datasets`",
        failed=lambda reason: f"{name} can't be fetched from the hub: {reason}",
    )
    return pd.concat([rows.to_pandas().assign(split=split) for split, rows in splits.items()], ignore_index=True)
