"""The preference data set of a preset, made with its models: `persona pairs`; and items for people to rate."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from .. import annotation, fidelity, personas, prompts
from ..model import Model
from ..model.budget import Budget
from ..model.usage import cost_text, total
from ..preferences import dataset, ingredients
from ..store import Store
from .presets import Pairs


def people(settings: Pairs, path: Path | None = None) -> pd.DataFrame:
    """The personas of a preset's data set; see `ingredients.people`."""
    return ingredients.people(settings.personas, settings.seed, settings.min_age, path)


def questions(settings: Pairs, path: Path | None = None, classifier: Model | None = None) -> pd.DataFrame:
    """The prompts of a preset's data set; see `ingredients.questions`. Only with `classify` is the classifier asked."""
    sizes = {"train": settings.train_prompts, "heldout": settings.heldout_prompts, "seed": settings.seed}
    asked = classifier if settings.classify else None
    return ingredients.questions(settings.prompts, path, **sizes, classifier=asked, templates=settings.templates)


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
