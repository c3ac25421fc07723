"""A preference data set in the forms that others read, with a data card; and the published data in ours.

`published` has the columns of the PERSONA data on the Hugging Face hub, `trl` those of TRL's preference format;
`datasets.load_dataset` takes either folder. `users` is one JSON file per persona. Used by `persona export` and
03_preferences; to try it: `persona export outputs/pairs --out outputs/hub`.
"""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pandas as pd

from . import UserError, dataset, design, gates, personas
from .attributes import NAMES

DATA = Path(__file__).parent / "data"
FORMS = ("published", "trl", "users")
# The published data say "train" and "test" of the question; which test is told by the split of the prompt.
QUESTION_TYPE = {design.TRAIN: "train", design.SEEN: "train", design.HELDOUT: "test"}


def write(source: str | Path, target: str | Path, form: str = "published", seed: int = 0) -> Path:
    """Write a data set in one of the `FORMS`; pairs that failed are left out and counted on the data card.

    Args:
        source: folder of a data set (see `dataset`).
        target: folder to write, which must not hold anything.
        form: published, trl or users.
        seed: of the gates' folds.

    Returns:
        The folder.

    Raises:
        UserError: the form is unknown, there is no data set, or the target holds something.
    """
    if form not in FORMS:
        raise UserError(f"no form '{form}': choose one of {', '.join(FORMS)}")
    target = Path(target)
    if target.exists() and (target.is_file() or any(target.iterdir())):
        raise UserError(f"{target} holds something already: choose an empty folder")
    parts = dataset.parts(source)
    people = pd.read_parquet(Path(source) / "personas.parquet")
    target.mkdir(parents=True, exist_ok=True)
    if form == "users":
        _write_users(parts, people, target)
        return target
    columns = {"published": published, "trl": trl}[form]
    for number, part in enumerate(parts):
        usable = part[part["failure"].isna()]
        for split, rows in usable.groupby("use"):
            columns(rows, people).to_parquet(target / f"{split}-{number:05d}.parquet", index=False)
    (target / "README.md").write_text(card(source, form, seed), "utf-8")
    return target


def published(pairs: pd.DataFrame, people: pd.DataFrame) -> pd.DataFrame:
    """Pairs with the published column names, `question type` among them, and our ids and splits after them."""
    table = pd.DataFrame(
        {
            "persona": _profiles(pairs, people),
            "instruction": pairs["prompt"],
            "original": pairs["rejected"],
            "critique": pairs["critique"],
            "data": pairs["chosen"],
            "question type": pairs["use"].map(QUESTION_TYPE),
        }
    )
    return table.join(pairs[["pair_id", "persona_id", "prompt_id", "persona_split", "prompt_split", "use"]])


def trl(pairs: pd.DataFrame, people: pd.DataFrame) -> pd.DataFrame:
    """Pairs as TRL's conversational preferences: `prompt` (profile, then question), `chosen`, `rejected`."""
    profiles = _profiles(pairs, people)
    talk = lambda role, text: {"role": role, "content": text}  # noqa: E731
    prompts = [[talk("system", p), talk("user", q)] for p, q in zip(profiles, pairs["prompt"], strict=True)]
    answers = {name: [[talk("assistant", text)] for text in pairs[name]] for name in ("chosen", "rejected")}
    return pd.DataFrame({"prompt": prompts} | answers | {"pair_id": pairs["pair_id"].tolist()})


def _profiles(pairs: pd.DataFrame, people: pd.DataFrame) -> pd.Series:
    known = {i: personas.describe(row) for i, row in people.loc[pairs["persona_id"].unique()].iterrows()}
    return pairs["persona_id"].map(known)


def _write_users(parts: Iterator[pd.DataFrame], people: pd.DataFrame, target: Path) -> None:
    """One file per persona: who it is, and its pairs by use."""
    for part in parts:
        for persona, rows in part[part["failure"].isna()].groupby("persona_id"):
            fields = rows[["pair_id", "prompt_id", "prompt", "chosen", "rejected"]]
            user: dict[str, Any] = {"persona_id": persona, "persona": personas.describe(people.loc[persona])}
            user |= {use: fields.loc[own.index].to_dict("records") for use, own in rows.groupby("use")}
            (target / f"{persona}.json").write_text(json.dumps(user, indent=1, ensure_ascii=False), "utf-8")


def card(source: str | Path, form: str, seed: int = 0) -> str:
    """The data card, a README.md with the YAML head by which `datasets` finds the splits."""
    pairs, people, prompts = dataset.read(source)
    usable = pairs[pairs["failure"].isna()]
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(DATA), trim_blocks=True, lstrip_blocks=True)
    return environment.get_template("card.md.j2").render(
        form=form,
        about=json.loads((Path(source) / dataset.ABOUT).read_text("utf-8")),
        sizes=usable["use"].value_counts().reindex([design.TRAIN, design.SEEN, design.HELDOUT], fill_value=0),
        people=people,
        prompts=prompts,
        failures=pairs["failure"].str.replace(r":.*", "", regex=True).value_counts(),
        checks={name: usable[name].astype(float).mean() for name in ("longer", "identical", "refuses")}
        | {"quotes an attribute": usable["quotes"].notna().mean()},
        gates=gates.table(pairs, seed),
        adults=(people["age"] >= 18).mean() if "age" in people else None,
    )


def read_published(path: str | Path) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Read the published PERSONA or Synthetic-Personas data into our tables, so that what reads ours reads them.

    Args:
        path: a local parquet, JSONL or CSV file, or the name of a data set on the hub (needs the package `datasets`).

    Returns:
        Pairs (`use` is heldout_test for the question type 'test', else train), personas (the 33 attributes as far as
        the text names them, all as text but for age and income) and prompts, as from `dataset.read`. Ids are hashes of
        the texts.

    Raises:
        UserError: the file can't be read, lacks columns, or a persona's text has no line `attribute: value`.
    """
    table = _table(path)
    if missing := [name for name in ("persona", "instruction", "original", "data") if name not in table]:
        raise UserError(f"{path} lacks the columns {', '.join(missing)}: it is no published PERSONA data")
    heldout = (table["question type"] if "question type" in table else table["instruction"].map(lambda _: "")) == "test"
    pairs = pd.DataFrame(
        {
            "pair_id": (table["persona"] + table["instruction"] + table["data"]).map(_hash),
            "persona_id": table["persona"].map(_hash),
            "prompt_id": "q" + table["instruction"].map(_hash).str[:8],
            "prompt_split": np.where(heldout, "heldout", "train"),
            "use": np.where(heldout, design.HELDOUT, design.TRAIN),
            "topic": "unknown",
            "prompt": table["instruction"],
            "rejected": table["original"],
            "critique": table.get("critique"),
            "chosen": table["data"],
            "generator": str(path),
            "failure": None,
        }
    ).astype("str")
    people = pd.DataFrame({_hash(text): parse(text) for text in table["persona"].unique()}).T
    people = people.reindex(columns=list(NAMES)).rename_axis(personas.ID)
    numbers = people[["age", "income"]].apply(pd.to_numeric, errors="coerce").astype("Int64")
    people = people.astype("str").assign(**numbers)
    prompts = pairs[["prompt_id", "prompt", "topic", "prompt_split"]].drop_duplicates("prompt_id", ignore_index=True)
    return pairs, people, prompts.assign(source="published")


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


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _table(path: str | Path) -> pd.DataFrame:
    """A table from a local file, or the train split of a data set on the hub."""
    path = Path(path)
    readers = {".parquet": pd.read_parquet, ".csv": pd.read_csv, ".jsonl": lambda p: pd.read_json(p, lines=True)}
    if path.suffix in readers:
        try:
            return readers[path.suffix](path)
        except (OSError, ValueError) as error:
            raise UserError(f"{path} can't be read: {' '.join(str(error).split())[:200]}") from error
    try:
        from datasets import load_dataset

        return load_dataset(str(path), split="train").to_pandas()
    except ImportError:
        raise UserError("data sets on the hub need the package datasets: pip install datasets") from None
    except Exception as error:  # whatever a hub client raises, from a missing network to terms not accepted
        raise UserError(f"{path} can't be fetched from the hub: {' '.join(str(error).split())[:200]}") from error
