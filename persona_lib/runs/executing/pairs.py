"""Pairs: make the preference data set of a preset, or a block of choices, and items for human raters."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from ... import UserError, annotation, fidelity, files
from ...methods import choices, save_world
from ...model import LanguageModel, Model
from ...model.limits.budget import Budget
from ...model.limits.usage import cost_text, total
from ...preferences import dataset, ingredients, verification
from ...store import Store
from ..planning.presets import Pairs

CHOICES = "choices"  # the form in which people choose between the same answers


def people(settings: Pairs) -> pd.DataFrame:
    """Return the personas of a preset's data set, of both sides; see `ingredients.people`."""
    return ingredients.people(settings.personas, settings.n_personas, settings.seed, min_age=settings.min_age)


def questions(settings: Pairs, classifier: LanguageModel | None = None) -> pd.DataFrame:
    """Return the prompts of a preset's data set; see `ingredients.questions`."""
    return ingredients.questions(
        settings.prompts,
        settings.train_prompts,
        settings.heldout_prompts,
        settings.seed,
        classifier,
        settings.templates,
    )


def make(
    settings: Pairs,
    folder: Path,
    batch: bool = False,
    retry_failed: bool = False,
    max_calls: int | None = None,
    max_cost: float | None = None,
) -> str:
    """Make a preset's data set, or its block of choices, in a folder.

    Args:
        settings: the preset's.
        folder: where the data set goes.
        batch: whether to write pairs through the Batch API.
        retry_failed: whether to ask again what had no usable reply before.
        max_calls, max_cost: limits as in `Budget`, shared by all models.

    Returns:
        A summary in words: number of pairs or choices, failures, what the judge prefers, and usage.

    Raises:
        UserError: as `dataset.build` and `methods.choices.world`; choices are asked for in batches.
    """
    if batch and settings.form == CHOICES:
        raise UserError("choices are asked one by one: leave out --batch")
    store = Store()
    if retry_failed:
        store.forget_failed()
    budget = Budget(max_calls=max_calls, max_cost=max_cost)
    writer = Model(settings.model, settings.base_url, store, budget=budget)
    bulk = Model(settings.model, settings.base_url, store, batch=True, budget=budget) if batch else None
    judge = Model(settings.judge, settings.judge_base_url, store, budget=budget) if settings.judge else writer
    models = {writer, judge, bulk or writer}
    if settings.form == CHOICES:
        return f"{_choices(settings, folder, writer, judge)}\n{_used(total(model.usage for model in models))}"
    dataset.build(
        people(settings),
        questions(settings, judge),
        writer,
        folder,
        train=settings.train,
        seen=settings.seen,
        heldout=settings.heldout,
        words=settings.words,
        seed=settings.seed,
        dense=(settings.dense_personas, settings.dense_prompts),
        shots=settings.shots,
        verify=settings.verify,
        judge=judge,
        templates=settings.templates,
        again=retry_failed,
        bulk=bulk,
        origin=settings.personas,
    )
    return _summary(folder, total(model.usage for model in models))


def _choices(settings: Pairs, folder: Path, writer: Model, judge: Model) -> str:
    """Make a preset's block of choices, a world; return what people's choices are like."""
    trained, tested = choices.sides(settings.dense_personas)
    drawn = [
        ingredients.people(settings.personas, n, settings.seed, use, settings.min_age)
        for use, n in (("train", trained), ("seen_test", tested))
    ]
    asked = choices.sides(settings.dense_prompts)
    prompts = ingredients.questions(settings.prompts, *asked, settings.seed, judge, settings.templates)
    sizes = (settings.answers, settings.compared, settings.words, settings.templates)
    world = choices.world(pd.concat(drawn), prompts, writer, judge, *sizes)
    save_world(world, folder)
    files.write(folder / "report.parquet", choices.report(world).to_parquet)
    return choices.told(world)


def check_folder(folder: Path, form: str) -> None:
    """Raise UserError if a folder holds something else than what is to be made in it."""
    if form != CHOICES:
        dataset.check_folder(folder)
        return
    there = [path.name for path in folder.iterdir() if not path.name.startswith(".")] if folder.is_dir() else []
    if there and "choices.parquet" not in there:
        raise UserError(f"{folder} holds something else, not choices: choose another folder")


def then(folder: Path, form: str) -> str:
    """Return what to do with a folder that `make` has filled."""
    if form == CHOICES:
        return f"to compare methods on it: persona methods run --world {folder}"
    return f"to publish it: persona export {folder} --out FOLDER"


def failed(folder: Path, form: str) -> float:
    """Return the share of a folder's pairs, or choices, that failed."""
    if form == CHOICES:
        return float(pd.read_parquet(folder / "choices.parquet", columns=["p_first"])["p_first"].isna().mean())
    return float(dataset.columns(folder, ["failure"])["failure"].notna().mean())


def preferred(outcomes: pd.Series) -> str:
    """Return what the judge prefers in words, from the outcomes of `preferences.verification`."""
    shares = outcomes.value_counts(normalize=True)
    if shares.empty:
        return "the judge gave no verdict on any pair"
    liked = shares.drop(verification.ORDER, errors="ignore").items()
    answers = ", ".join(f"the {name} in {share:.0%}" for name, share in liked) or "neither answer"
    order = f"{shares.get(verification.ORDER, 0):.0%} the order decides"
    return f"of the pairs with a verdict, the judge prefers {answers}, and in {order}"


def _summary(folder: Path, used: Mapping[str, Any]) -> str:
    """Return in words what a data set has and what making it has used."""
    failures = dataset.columns(folder, ["failure"])["failure"]
    steps = failures.str.replace(r":.*", "", regex=True).value_counts()
    where = "".join(f"; {n:,} at the {step}" for step, n in steps.items())
    lines = [f"{len(failures):,} pairs, {failures.notna().sum():,} of them failed{where}"]
    verified = folder / "verification.parquet"
    if verified.is_file():
        lines.append(preferred(pd.read_parquet(verified)["outcome"]))
    return "\n".join([*lines, _used(used)])


def _used(used: Mapping[str, Any]) -> str:
    again = f" ({used['reasked']:,} of them asked again)" if used["reasked"] else ""
    return (
        f"{used['calls']:,} model calls{again}, {used['cached']:,} found in the store, "
        f"{used['tokens_in'] + used['tokens_out']:,} tokens, {cost_text(used['cost'])}"
    )


def items_to_rate(
    n: int,
    questions: int,
    writer: LanguageModel,
    seed: int = 0,
    words: int | None = 120,
    personas: str = ingredients.SAMPLE,
    prompts: str = "builtin",
    use: str = "heldout_test",
    templates: str | None = None,
) -> pd.DataFrame:
    """Make items for n adults from one shared set of answer pairs, so that all raters can be compared.

    Args:
        n: number of personas.
        questions: number of pairs, from `fidelity.shared_pairs`: three calls each.
        writer: the model that writes the pairs.
        seed: of the personas, the questions and the pairs.
        words: length to ask for.
        personas, prompts, use, templates: as in `ingredients.draw`.

    Returns:
        As `annotation.items.of_pairs`: n x questions rows.
    """
    people, asked = ingredients.draw(personas, prompts, n, questions, use, seed, writer, templates)
    return annotation.items.of_pairs(fidelity.shared_pairs(people, asked, writer, words, seed, templates), people)
