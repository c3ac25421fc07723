"""What a preset's preference data set is made of: its personas and its prompts, drawn or from files of the user's own.

Used by `persona pairs`.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from . import UserError, annotation, fidelity, files, personas, prompts
from .attributes import NAMES
from .model import Model
from .model.budget import Budget
from .model.usage import cost_text, total
from .preferences import dataset
from .presets import Pairs
from .prompts import screening, topics
from .store import Store


def people(settings: Pairs, path: Path | None = None) -> pd.DataFrame:
    """The personas: so many of at least `min_age`, or all those of a file, whatever their age.

    Args:
        settings: of the preset.
        path: a .parquet, .csv or .jsonl file with `persona_id` and the attributes, as `persona sample` writes it.

    Raises:
        UserError: the file can't be read, or has no attributes, no ids or some twice, or an age or income that is none.
    """
    if path:
        return _read(path)
    where = f"age >= {settings.min_age}" if settings.min_age > 0 else None
    return personas.sample(settings.personas, settings.seed, where=where)


def _read(path: Path) -> pd.DataFrame:
    table = files.read_table(path).reset_index().replace("", None)
    if personas.ID not in table or table[personas.ID].isna().any():
        raise UserError(f"{path} needs a column '{personas.ID}' without gaps: write it with `persona sample`")
    ids = table[personas.ID].astype("str")
    if twice := sorted(set(ids[ids.duplicated()])):
        raise UserError(f"{path} has {len(twice)} persona_id more than once, the first of them '{twice[0]}'")
    if not (known := [name for name in NAMES if name in table]):
        raise UserError(f"{path} has none of the attributes: it needs columns such as {', '.join(NAMES[:3])}")
    numbers = {name: pd.to_numeric(table[name], errors="coerce") for name in ("age", "income") if name in known}
    for name, values in numbers.items():
        if (wrong := values.isna() & table[name].notna()).any():
            first = f"{table[name][wrong].iloc[0]!r} of {ids[wrong].iloc[0]}"
            raise UserError(f"{path} has {wrong.sum()} values of {name} that are no number, such as {first}: mend them")
    texts = {name: table[name].astype("str") for name in known if name not in numbers}
    more = {name: table[name].astype("str") for name in ("persona_split", "ideology label") if name in table}
    own = pd.DataFrame({name: (numbers | texts)[name] for name in known} | more)
    return own.set_axis(pd.Index(ids, name=personas.ID), axis=0)


def questions(settings: Pairs, path: Path | None = None, classifier: Model | None = None) -> pd.DataFrame:
    """The prompts of the preset's source that pass the filters, each with its topic and its side of the split.

    Args:
        settings: of the preset.
        path: PRISM's conversations.jsonl, or a file of the user's own with a column `prompt`: all of that is taken.
        classifier: the model that sorts, where the preset says `classify`.

    Raises:
        UserError: as `prompts.load`, or there are fewer prompts than the preset takes.
    """
    prism = settings.prompts == "prism" and (path is None or _is_prism(path))
    if path and not prism:
        return prompts.load(str(path))
    screened = screening.formal(prompts.load(settings.prompts, path))
    if settings.classify:
        screened = screening.value_laden(screened, classifier, templates=settings.templates)
    return _drawn(topics.assign(screening.passed(screened)[prompts.COLUMNS]), settings)


def _is_prism(path: Path) -> bool:
    """Whether a file is PRISM's, by its first line."""
    try:
        with path.open("rb") as file:
            return path.suffix == ".jsonl" and "opening_prompt" in json.loads(file.readline())
    except (OSError, ValueError):
        return False  # whoever reads it whole says what is wrong


def _drawn(table: pd.DataFrame, settings: Pairs) -> pd.DataFrame:
    """As many prompts as the preset takes, from each topic its share, and so many of them held out."""
    if settings.train_prompts is None or settings.heldout_prompts is None:
        return table
    n = settings.train_prompts + settings.heldout_prompts
    if n > len(table):
        raise UserError(
            f"{settings.train_prompts} train and {settings.heldout_prompts} held-out prompts are asked for, and "
            f"'{settings.prompts}' has {len(table)} that pass: lower train_prompts or heldout_prompts"
        )
    if n < len(table):
        table = prompts.split(table, n, seed=settings.seed).query("prompt_split == 'heldout'").reset_index(drop=True)
    return prompts.split(table, settings.heldout_prompts, seed=settings.seed)


def make(
    settings: Pairs,
    folder: Path,
    prompt_file: Path | None = None,
    persona_file: Path | None = None,
    batch: bool = False,
    retry_failed: bool = False,
    **limits: float | None,
) -> str:
    """Make a preset's data set in a folder; `limits` are those of `Budget`, one for all its models.

    Returns:
        How many pairs there are, what failed, what the judge prefers, and what was used.
    """
    store = Store()
    if retry_failed:
        store.forget_failed()
    budget = Budget(**limits)
    writer = Model(settings.model, settings.base_url, store, budget=budget)
    bulk = Model(settings.model, settings.base_url, store, batch=True, budget=budget) if batch else None
    address = settings.judge_base_url if settings.judge else settings.base_url
    judge = Model(settings.judge, address, store, budget=budget) if settings.judge else writer
    names = ("train", "seen", "heldout", "words", "seed", "shots", "verify", "templates")
    dataset.build(
        people(settings, persona_file),
        questions(settings, prompt_file, writer),
        writer,
        folder,
        **{name: getattr(settings, name) for name in names},
        dense=(settings.dense_personas, settings.dense_prompts),
        judge=judge,
        again=retry_failed,
        bulk=bulk,
    )
    return _summary(folder, total(model.usage for model in {writer, judge, bulk or writer}))


def _summary(folder: Path, used: Mapping[str, Any]) -> str:
    failures = dataset.columns(folder, ["failure"])["failure"]
    reasons = failures.str.replace(r":.*", "", regex=True).value_counts()
    where = "".join(f"; {n:,} at the {step}" for step, n in reasons.items())
    lines = [f"{len(failures):,} pairs, {failures.notna().sum():,} of them failed{where}"]
    if (path := folder / "verification.parquet").is_file():
        share = pd.read_parquet(path)["outcome"].value_counts(normalize=True)
        lines.append("the judge prefers " + ", ".join(f"{name}: {part:.0%}" for name, part in share.items()))
    lines.append(
        f"{used['calls']:,} model calls, {used['cached']:,} found in the store, "
        f"{used['tokens_in'] + used['tokens_out']:,} tokens, {cost_text(used['cost'])}"
    )
    return "\n".join(lines)


def items_to_rate(n: int, questions: int, writer: Model, seed: int = 0, words: int = 60) -> pd.DataFrame:
    """Make items for n adults: one shared set of answer pairs, so that all who judge them can be compared.

    Args:
        n: personas.
        questions: pairs, as from `fidelity.shared_pairs`: three calls each.
        writer: the model that writes them.
        seed: of the personas, the questions and the pairs.
        words: length asked for.

    Returns:
        As `annotation.items.of_pairs`: n x questions rows.
    """
    people = personas.sample(20 * n, seed).query("age >= 18").head(n)
    asked = prompts.sample(prompts.load(), questions, seed)
    return annotation.items.of_pairs(fidelity.shared_pairs(people, asked, writer, words, seed), people)
