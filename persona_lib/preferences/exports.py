"""A preference data set in the forms that others read, with a data card.

`published` has the columns of the PERSONA data on the Hugging Face hub, `trl` those of TRL's preference format;
`datasets.load_dataset` takes either folder. `users` is one JSON file per persona. Used by `persona export` and
03_preferences; to try it: `persona export outputs/pairs --out outputs/hub`.
"""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd

from .. import UserError, personas
from . import dataset, gates, verification
from .splits import HELDOUT, SEEN, TRAIN, cells

DATA = Path(__file__).parent / "data"
FORMS = ("published", "trl", "users")
IDS = ["pair_id", "persona_id", "prompt_id", "persona_split", "prompt_split", "use"]
# The published data say "train" and "test" of the question; which test is told by the split of the prompt.
QUESTION_TYPE = {TRAIN: "train", SEEN: "train", HELDOUT: "test"}


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
        UserError: the form is unknown, there is no data set or half of one, or the target holds something.
    """
    if form not in FORMS:
        raise UserError(f"no form '{form}': choose one of {', '.join(FORMS)}")
    target = Path(target)
    if target.exists() and (target.is_file() or any(target.iterdir())):
        raise UserError(f"{target} holds something already: choose an empty folder")
    parts = dataset.parts(source)
    needed = [dataset.ABOUT, *(f"{name}.parquet" for name in ("personas", "prompts", "negatives", "contexts"))]
    if missing := [name for name in needed if not (Path(source) / name).is_file()]:
        raise UserError(f"{source} is not finished, {missing[0]} is not there yet: finish it with `persona pairs`")
    people = pd.read_parquet(Path(source) / "personas.parquet")
    target.mkdir(parents=True, exist_ok=True)
    if form == "users":
        _write_users(parts, people, pd.read_parquet(Path(source) / "contexts.parquet"), target)
        return target
    columns = {"published": published, "trl": trl}[form]
    for number, part in enumerate([*parts, *dataset.parts(source, kind="dense")]):
        usable = part[part["failure"].isna()]
        for split, rows in usable.groupby("use"):
            columns(rows, people).to_parquet(target / f"{split}-{number:05d}.parquet", index=False)
    for name in ("negatives", "contexts"):
        shutil.copy(Path(source) / f"{name}.parquet", target)
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
    return table.join(pairs[IDS]).assign(cell=cells(pairs))


def trl(pairs: pd.DataFrame, people: pd.DataFrame) -> pd.DataFrame:
    """Pairs as TRL's conversational preferences: `prompt` (profile, then question), `chosen`, `rejected`, ids, cell."""
    profiles = _profiles(pairs, people)
    talk = lambda role, text: {"role": role, "content": text}  # noqa: E731
    prompts = [[talk("system", p), talk("user", q)] for p, q in zip(profiles, pairs["prompt"], strict=True)]
    answers = {name: [[talk("assistant", text)] for text in pairs[name]] for name in ("chosen", "rejected")}
    return pd.DataFrame({"prompt": prompts} | answers, pairs.index).join(pairs[IDS]).assign(cell=cells(pairs))


def _profiles(pairs: pd.DataFrame, people: pd.DataFrame) -> pd.Series:
    known = {i: personas.describe(row) for i, row in people.loc[pairs["persona_id"].unique()].iterrows()}
    return pairs["persona_id"].map(known)


def _write_users(parts: Iterator[pd.DataFrame], people: pd.DataFrame, contexts: pd.DataFrame, target: Path) -> None:
    """One file per persona: who it is, its pairs by use, and its few-shot contexts by the pairs' ids."""
    shown = contexts.groupby(["persona_id", "draw"])["pair_id"].agg(list).groupby("persona_id").agg(list)
    for part in parts:
        for persona, rows in part[part["failure"].isna()].groupby("persona_id"):
            fields = rows[["pair_id", "prompt_id", "prompt", "chosen", "rejected"]]
            user: dict[str, Any] = {"persona_id": persona, "persona": personas.describe(people.loc[persona])}
            user |= {use: fields.loc[own.index].to_dict("records") for use, own in rows.groupby("use")}
            user["contexts"] = shown.get(persona, [])
            (target / f"{persona}.json").write_text(json.dumps(user, indent=1, ensure_ascii=False), "utf-8")


def card(source: str | Path, form: str, seed: int = 0) -> str:
    """The data card, a README.md with the YAML head by which `datasets` finds the splits."""
    source = Path(source)
    told = ["pair_id", "use", "failure", "longer", "identical", "refuses", "quotes"]
    pairs = dataset.columns(source, told)
    usable = pairs[pairs["failure"].isna()]
    shown = pairs["pair_id"].sample(min(gates.MOST, len(pairs)), random_state=seed)
    texts = dataset.parts(source, ["pair_id", "persona_id", "prompt_id", "chosen", "rejected"])
    gated = pd.concat((part[part["pair_id"].isin(shown)] for part in texts), ignore_index=True)
    people, prompts = (pd.read_parquet(source / f"{name}.parquet") for name in ("personas", "prompts"))
    verdicts = source / "verification.parquet"
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(DATA), trim_blocks=True, lstrip_blocks=True)
    return environment.get_template("card.md.j2").render(
        form=form,
        about=json.loads((source / dataset.ABOUT).read_text("utf-8")),
        sizes=usable["use"].value_counts().reindex([TRAIN, SEEN, HELDOUT], fill_value=0),
        dense=sum(len(part) for part in dataset.parts(source, ["pair_id"], "dense")),
        people=people,
        prompts=prompts,
        failures=pairs["failure"].str.replace(r":.*", "", regex=True).value_counts(),
        checks={name: usable[name].astype(float).mean() for name in ("longer", "identical", "refuses")}
        | {"quotes an attribute": usable["quotes"].notna().mean()},
        gates=gates.table(gated, seed),
        verified=verification.rates(pd.read_parquet(verdicts), people, ()) if verdicts.is_file() else None,
        judge=pd.read_parquet(verdicts)["judge"].iloc[0] if verdicts.is_file() else None,
        adults=(people["age"] >= 18).mean() if "age" in people else None,
    )
