"""The published PERSONA data, pairs and personas, read into our tables, so that what reads ours reads them.

Local parquet, JSONL or CSV files, or names of data sets on the Hugging Face hub, which take the package `datasets` (the
extra `hub`). Used by 03_preferences.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from .. import UserError, files, personas, seeds
from ..attributes import NAMES
from . import dataset
from .revision import checks
from .splits import HELDOUT, TRAIN, persona_splits


def read(source: str | Path) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Pairs, personas and prompts of a data set's folder, or of published PERSONA data (`read_published`)."""
    return dataset.read(source) if (Path(source) / dataset.ABOUT).is_file() else read_published(source)


def read_published(path: str | Path) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Read the published PERSONA data (SynthLabsAI/PERSONA) into our tables, so that what reads ours reads them.

    Args:
        path: a local parquet, JSONL or CSV file, or the name of a data set on the hub (needs the package `datasets`).

    Returns:
        Pairs (`use` is heldout_test for the question type 'test', else train; the personas are split by hash), personas
        (the 33 attributes as far as the text names them, all as text but for age and income) and prompts, as from
        `dataset.read`. Ids are hashes of the texts, and of an ordinal where a row repeats. A row without original or
        data is no pair: `failure` says so.

    Raises:
        UserError: the file can't be read, lacks columns, personas or instructions, or a persona's text has no line
            `attribute: value`.
    """
    table = _table(path)
    if missing := [name for name in ("persona", "instruction", "original", "data") if name not in table]:
        raise UserError(f"{path} lacks the columns {', '.join(missing)}: it is no published PERSONA data")
    heldout = (table["question type"] if "question type" in table else table["instruction"].map(lambda _: "")) == "test"
    if (gaps := table[["persona", "instruction"]].isna().any(axis=1)).any():
        first = f"such as row {gaps.argmax() + 1}: fill them in or leave them out"
        raise UserError(f"{path} has {gaps.sum()} rows without persona or instruction, {first}")
    texts = table["persona"] + table["instruction"] + table["data"].fillna("")
    lacking = [table["original"].isna(), table["data"].isna()]
    twin = texts.groupby(texts).cumcount().astype("str").replace("0", "")  # rows that repeat stay rows of their own
    pairs = pd.DataFrame(
        {
            "pair_id": (texts + twin).map(_id),
            "persona_id": table["persona"].map(_id),
            "prompt_id": "q" + table["instruction"].map(_id).str[:8],
            "prompt_split": np.where(heldout, "heldout", "train"),
            "use": np.where(heldout, HELDOUT, TRAIN),
            "topic": "unknown",
            "prompt": table["instruction"],
            "rejected": table["original"],
            "critique": table.get("critique"),
            "chosen": table["data"].where(table["original"].notna()),
            "generator": str(path),
            "failure": np.select(lacking, ["base answer: not in the data", "revision: not in the data"], None),
        }
    ).astype("str")
    people = _people(pd.DataFrame({_id(text): parse(text) for text in table["persona"].unique()}).T)
    people["persona_split"] = persona_splits(people.index)
    pairs["persona_split"] = pairs["persona_id"].map(people["persona_split"])
    pairs = pairs.join(checks(pairs, people))
    prompts = pairs[["prompt_id", "prompt", "topic", "prompt_split"]].drop_duplicates("prompt_id", ignore_index=True)
    return pairs, people, prompts.assign(source="published")


def read_personas(path: str | Path) -> pd.DataFrame:
    """Read published personas, a row each (SynthLabsAI/Synthetic-Personas), as from `personas.sample`.

    Args:
        path: as in `read_published`; of a data set on the hub both splits are read, into `persona_split`.

    Returns:
        Index `persona_id` (hash of what is told of the persona; the second of two alike is left out), the 33 attributes
        as far as there are columns of their name, all as text but for age and income, and `persona_split`.

    Raises:
        UserError: the file can't be read, or has none of the attributes.
    """
    table = _table(path)
    if not (known := [name for name in NAMES if name in table]):
        raise UserError(f"{path} has none of the attributes as columns ({', '.join(NAMES[:3])}, ...)")
    people = _people(table[known])
    people.index = pd.Index([_id(personas.describe(row)) for _, row in people.iterrows()], name=personas.ID)
    people["persona_split"] = table["split"].to_numpy() if "split" in table else persona_splits(people.index)
    return people[~people.index.duplicated()]


def _people(told: pd.DataFrame) -> pd.DataFrame:
    """All attributes with their types, of a table that has some of them as text."""
    people = told.reindex(columns=list(NAMES)).rename_axis(personas.ID)
    numbers = people[["age", "income"]].apply(pd.to_numeric, errors="coerce").astype("Int64")
    return people.astype("str").assign(**numbers)


def parse(text: str) -> dict[str, str]:
    """A persona from its text form, lines `attribute: value`; a line without a known attribute goes on with the last.

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
    """A local file, or all splits of a data set on the hub with a column `split`; names of columns in our spelling."""
    path = Path(path)
    return _spelt(files.read_table(path)) if path.suffix in files.TABLES else _hub(str(path))


def _hub(name: str) -> pd.DataFrame:
    try:
        from datasets import load_dataset
    except ImportError:
        raise UserError("data sets on the hub need the package datasets: pip install datasets") from None
    try:
        splits = load_dataset(name)
    except Exception as error:  # whatever a hub client raises, from a missing network to terms not accepted
        raise UserError(f"{name} can't be fetched from the hub: {' '.join(str(error).split())[:200]}") from error
    tables = [rows.to_pandas().assign(split=split) for split, rows in splits.items()]
    return _spelt(pd.concat(tables, ignore_index=True))


def _spelt(table: pd.DataFrame) -> pd.DataFrame:
    """Names of columns in lower case with blanks, as those of the attributes; what is blank is missing."""
    table = table.rename(columns=lambda name: str(name).lower().replace("_", " "))
    return table.replace(r"^\s*$", None, regex=True)
