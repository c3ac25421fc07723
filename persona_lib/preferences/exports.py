"""Write a preference data set in the forms that other tools read, with a data card.

`published` has the columns of the PERSONA data on the Hugging Face hub, `trl` those of TRL's preference format;
`datasets.load_dataset` reads either folder. `users` is one JSON file per persona.
"""

import json
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd

from .. import UserError, files, local
from ..personas import profiles
from . import dataset, gates, licences, verification
from .splits import CONTEXT, HELDOUT, SEEN, TRAIN, cells

DATA = Path(__file__).parent / "data"
FORMS = ("published", "trl", "users")
IDS = ["pair_id", "persona_id", "prompt_id", "persona_split", "prompt_split", "use"]
# The published data know only 'train' and 'test', by the split of the question. Our column `use` tells the tests apart.
QUESTION_TYPE = {TRAIN: "train", CONTEXT: "train", SEEN: "train", HELDOUT: "test"}


def write(source: str | Path, target: str | Path, form: str = "published", seed: int = 0) -> Path:
    """Write a data set in one of the `FORMS`; failed pairs are left out and counted on the data card.

    Args:
        source: folder of a data set (see `dataset`).
        target: folder to write; it must be empty or not exist.
        form: published, trl or users.
        seed: of the gates' folds and of the pairs that they are given.

    Returns:
        The target folder.

    Raises:
        UserError: the form is unknown, the data set is missing or unfinished, or the target is not empty.
    """
    if form not in FORMS:
        raise UserError(f"no form '{form}': choose one of {', '.join(FORMS)}")
    source, target = Path(source), Path(target)
    if target.exists() and (target.is_file() or any(target.iterdir())):
        raise UserError(f"{target} holds something already: choose an empty folder")
    parts = dataset.parts(source)
    needed = [dataset.ABOUT, *(f"{name}.parquet" for name in ("personas", "prompts", "negatives", "contexts"))]
    if missing := [name for name in needed if not (source / name).is_file()]:
        raise UserError(f"{source} is not finished, {missing[0]} is not there yet: finish it with `persona pairs`")
    people = dataset.table(source / "personas.parquet")
    target.mkdir(parents=True, exist_ok=True)
    if form == "users":
        _write_users(parts, people, dataset.table(source / "contexts.parquet"), target)
        return target
    columns = {"published": published, "trl": trl}[form]
    for number, part in enumerate([*parts, *dataset.parts(source, kind="dense")]):
        usable = _apart(part[part["failure"].isna()])
        for use, rows in usable.groupby("use"):
            table = columns(rows, people)
            files.write(target / f"{use}-{number:05d}.parquet", partial(table.to_parquet, index=False))
    for name in ("negatives", "contexts"):
        files.write(target / f"{name}.parquet", partial(shutil.copy, source / f"{name}.parquet"))
    files.write_text(target / "README.md", card(source, form, seed))
    return target


def _apart(pairs: pd.DataFrame) -> pd.DataFrame:
    """Return pairs whose `use` is context, not train, where the persona is to test on: nobody must train on these."""
    return pairs.assign(use=pairs["use"].mask(cells(pairs) == CONTEXT, CONTEXT))


def published(pairs: pd.DataFrame, people: pd.DataFrame) -> pd.DataFrame:
    """Return pairs with the published column names (`question type` among them), then our ids, splits and cell."""
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
    return table.join(pairs[IDS]).assign(cell=cells(pairs))


def trl(pairs: pd.DataFrame, people: pd.DataFrame) -> pd.DataFrame:
    """Return pairs as TRL's conversational preferences.

    Returns:
        `prompt` (messages: the profile as system message, then the question), `chosen` and `rejected` (one message
        each), our ids and splits, and the cell.
    """
    shown = _profiles(pairs, people)
    prompts = [
        [_message("system", profile), _message("user", question)]
        for profile, question in zip(shown, pairs["prompt"], strict=True)
    ]
    answers = {name: [[_message("assistant", text)] for text in pairs[name]] for name in ("chosen", "rejected")}
    return pd.DataFrame({"prompt": prompts} | answers, pairs.index).join(pairs[IDS]).assign(cell=cells(pairs))


def _message(role: str, text: str) -> dict[str, str]:
    return {"role": role, "content": text}


def _profiles(pairs: pd.DataFrame, people: pd.DataFrame) -> pd.Series:
    """Return the profile of each pair's persona."""
    return pairs["persona_id"].map(profiles.texts(people.loc[pairs["persona_id"].unique()]))


def _write_users(parts: Iterator[pd.DataFrame], people: pd.DataFrame, contexts: pd.DataFrame, target: Path) -> None:
    """Write one file per persona: its profile, its pairs by use, and its few-shot contexts by the pairs' ids."""
    shown = contexts.groupby(["persona_id", "draw"])["pair_id"].agg(list).groupby("persona_id").agg(list)
    told = profiles.texts(people)
    for part in parts:
        for persona, rows in part[part["failure"].isna()].groupby("persona_id"):
            fields = rows[["pair_id", "prompt_id", "prompt", "chosen", "rejected"]]
            user: dict[str, Any] = {"persona_id": persona, "persona": told[persona]}
            user |= {use: fields.loc[own.index].to_dict("records") for use, own in _apart(rows).groupby("use")}
            user["contexts"] = shown.get(persona, [])
            files.write_text(target / f"{persona}.json", json.dumps(user, indent=1, ensure_ascii=False))


def card(source: str | Path, form: str, seed: int = 0) -> str:
    """Return the data card: a README.md whose YAML head tells `datasets` where the splits are."""
    source = Path(source)
    checked = ["longer", "identical", "refuses", "quotes"]
    pairs = dataset.columns(source, ["pair_id", "persona_id", *IDS[3:], "failure", *checked])
    usable = _apart(pairs[pairs["failure"].isna()])
    people = dataset.table(source / "personas.parquet")
    verified = _verified(source / "verification.parquet")
    about = dataset.made(source)
    prompts = dataset.table(source / "prompts.parquet")
    generator = about["generator"]
    embedded = generator.get("weights_sha256") == local.GGUF_SHA256
    terms = licences.of(prompts, about)
    dense = sum(len(part) for part in dataset.parts(source, ["pair_id"], "dense"))
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(DATA), trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"percent": _percent, "interval": _interval}
    return environment.get_template("card.md.j2").render(
        form=form,
        columns=_columns(form, dense),
        about=about,
        terms=terms,
        licence=licences.head(terms),
        writer=local.real_name("local") if embedded else generator["name"],
        embedded=embedded,
        sizes=usable["use"].value_counts().reindex([TRAIN, CONTEXT, SEEN, HELDOUT], fill_value=0),
        dense=dense,
        people=people,
        prompts=prompts,
        failures=pairs["failure"].str.replace(r":.*", "", regex=True).value_counts(),
        checks={name: usable[name].astype(float).mean() for name in ("longer", "identical", "refuses")}
        | {"quotes an attribute": usable["quotes"].notna().mean()},
        gates=_gates(source, pairs["pair_id"], seed),
        matched=gates.MATCHED,
        far=gates.FAR,
        verified=None if verified is None else verification.rates(verified, people, ()),
        readings=None if verified is None else verification.readings(verified),
        judge=None if verified is None else verified["judge"].iloc[0],
        adults=(people["age"] >= 18).mean() if "age" in people else None,
    )


def _columns(form: str, dense: int) -> dict[str, dict[str, str]]:
    """Return what the columns of an export's tables mean: by the tables' names, and by column."""
    told = files.read_yaml(DATA / "columns.yaml")
    of_pairs = "the splits, and `dense`" if dense else "the splits"
    return {of_pairs: told[form] | told["ids"]} | {f"`{name}`": told[name] for name in ("negatives", "contexts")}


def _verified(path: Path) -> pd.DataFrame | None:
    """Return the verdicts, or None without any; older ones lack `comparison`: they are all against the base answer."""
    table = dataset.table(path) if path.is_file() else pd.DataFrame()
    if table.empty:
        return None
    return table if "comparison" in table else table.assign(comparison=verification.BASE)


def _percent(share: float | None) -> str:
    """Return a share as text, also where there is none."""
    return "not estimable" if pd.isna(share) else f"{share:.1%}"


def _interval(row: pd.Series) -> str:
    """Return a row's 95% interval as text, also where there is none."""
    return "not estimable" if pd.isna(row["low"]) else f"{row['low']:.1%} to {row['high']:.1%}"


def _gates(source: Path, pair_ids: pd.Series, seed: int) -> pd.DataFrame:
    """Return `gates.table` of a data set, on no more pairs than it looks at."""
    shown = pair_ids.sample(min(gates.MOST, len(pair_ids)), random_state=seed)
    texts = dataset.parts(source, ["pair_id", "persona_id", "prompt_id", "chosen", "rejected"])
    gated = pd.concat((part[part["pair_id"].isin(shown)] for part in texts), ignore_index=True)
    return gates.table(gated, seed)
