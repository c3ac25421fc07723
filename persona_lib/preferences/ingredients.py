"""Draw or read the personas and prompts that a preference data set is made of."""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from .. import UserError, files, personas, prompts
from ..attributes import NAMES
from ..model import LanguageModel
from . import published

# A file without ids is read as published personas if it has at least so many attributes. With fewer, different people
# would often look alike, and people who look alike are merged.
FEWEST_ATTRIBUTES = 5


def people(n: int, seed: int = 0, min_age: int = 18, path: Path | None = None) -> pd.DataFrame:
    """Return n personas of at least `min_age`, or all personas of a file, whatever their age.

    Args:
        n, seed: as in `personas.sample`; a file is taken whole.
        min_age: in years.
        path: a .parquet, .csv or .jsonl file: either `persona_id` and attributes, as `persona sample` writes it, or the
            published personas (SynthLabsAI/Synthetic-Personas), which have the attributes as columns and no ids.

    Returns:
        Index `persona_id`; the attributes, and `persona_split` and `ideology label` if the file has them. Published
        personas are as returned by `published.read_personas`.

    Raises:
        UserError: the file can't be read, has no attributes, lacks ids, repeats an id, or has an age or income that is
            not a number.
    """
    if path:
        return _read(path)
    where = f"age >= {min_age}" if min_age > 0 else None
    return personas.sample(n, seed, where=where)


def _read(path: Path) -> pd.DataFrame:
    """Read a file of personas in either form."""
    table = _spelt(path, files.read_table(path)).replace("", None)
    if personas.ID not in table and _is_published(table):
        known = table.assign(**{personas.ID: [f"row {number}" for number in range(1, len(table) + 1)]})
        for name in {"age", "income"} & set(table):
            _numbers(path, known[name], known[personas.ID])
        return published.read_personas(path)
    if personas.ID not in table or table[personas.ID].isna().any():
        raise UserError(
            f"{path} needs a column '{personas.ID}' without gaps, as `persona sample` writes it, "
            "or the paper's attributes as columns, as the published personas have them"
        )
    ids = table[personas.ID].astype("str")
    if twice := sorted(set(ids[ids.duplicated()])):
        raise UserError(f"{path} has {len(twice)} persona_id more than once, the first of them '{twice[0]}'")
    known = [name for name in NAMES if name in table]
    if not known:
        raise UserError(f"{path} has none of the attributes: it needs columns such as {', '.join(NAMES[:3])}")
    kept = [*known, *(name for name in ("persona_split", "ideology label") if name in table)]
    numbers = {name: _numbers(path, table[name], ids) for name in ("age", "income") if name in known}
    own = pd.DataFrame({name: numbers[name] if name in numbers else table[name].astype("str") for name in kept})
    return own.set_axis(pd.Index(ids, name=personas.ID), axis=0)


def _spelt(path: Path, table: pd.DataFrame) -> pd.DataFrame:
    """Return a table whose ids, attributes and auxiliary columns are named as ours, however the file spells them.

    Raises:
        UserError: two columns have one name.
    """
    table = table.drop(columns=table.index.names, errors="ignore").reset_index() if table.index.names[0] else table
    ours = {published.spelling(name): name for name in (personas.ID, *NAMES, "persona_split", "ideology label")}
    named = table.rename(columns={name: ours.get(published.spelling(name), name) for name in table})
    if not named.columns.is_unique:
        raise UserError(f"{path} has the column {named.columns[named.columns.duplicated()][0]} twice: keep one")
    return named


def _is_published(table: pd.DataFrame) -> bool:
    """Return whether a table without ids has the columns of the published personas, in any spelling."""
    columns = {published.spelling(name) for name in table}
    return len(columns.intersection(NAMES)) >= FEWEST_ATTRIBUTES


def _numbers(path: Path, values: pd.Series, ids: pd.Series) -> pd.Series:
    """Return a column as numbers.

    Raises:
        UserError: a value is not a number.
    """
    numbers = pd.to_numeric(values, errors="coerce")
    numbers = numbers.where(np.isfinite(numbers.astype(float)) & (numbers % 1 == 0))
    if (wrong := numbers.isna() & values.notna()).any():
        first = f"{values[wrong].iloc[0]!r} of {ids[wrong].iloc[0]}"
        raise UserError(
            f"{path} has {wrong.sum()} values of {values.name} that are not numbers, such as {first}: correct them"
        )
    return numbers


def questions(
    source: str = "builtin",
    path: Path | None = None,
    train: int | None = None,
    heldout: int | None = None,
    seed: int = 0,
    classifier: LanguageModel | None = None,
    templates: str | None = None,
) -> pd.DataFrame:
    """Return the prompts of a source that pass the filters, each with its topic and its side of the split.

    Args:
        source: as in `prompts.load`.
        path: PRISM's conversations.jsonl, or the user's own file with a column `prompt`, which is taken whole and
            unfiltered.
        train, heldout: number of prompts on each side; if either is None, all prompts are taken.
        seed: of the draw.
        classifier: the model that says which prompts are value-laden; None skips this filter.
        templates: folder with the user's own `value_laden.txt`.

    Returns:
        Columns `prompt_id`, `prompt`, `topic`, `source`, `prompt_split`.

    Raises:
        UserError: as `prompts.load`, or fewer prompts pass than are asked for.
    """
    prism = source == "prism" and (path is None or _is_prism(path))
    if path and not prism:
        return prompts.load(str(path))
    screened = prompts.screening.formal(prompts.load(source, path))
    if classifier:
        screened = prompts.screening.value_laden(screened, classifier, templates=templates)
    table = prompts.topics.assign(prompts.screening.passed(screened)[prompts.COLUMNS])
    return table if train is None or heldout is None else _drawn(table, source, train, heldout, seed)


def _is_prism(path: Path) -> bool:
    """Return whether a file is PRISM's, judging by its first line."""
    try:
        with path.open("rb") as file:
            return path.suffix == ".jsonl" and "opening_prompt" in json.loads(file.readline())
    except (OSError, ValueError):
        return False  # the error is raised where the whole file is read


def _drawn(table: pd.DataFrame, source: str, train: int, heldout: int, seed: int) -> pd.DataFrame:
    """Draw train + heldout prompts, each topic by its share, and hold `heldout` of them out."""
    n = train + heldout
    if n > len(table):
        raise UserError(
            f"{train} train and {heldout} held-out prompts are asked for, and '{source}' has {len(table)} that pass: "
            "lower train_prompts or heldout_prompts"
        )
    if n < len(table):
        # `split` draws by topic; what it would hold out is the draw.
        table = prompts.split(table, n, seed=seed).query("prompt_split == 'heldout'").reset_index(drop=True)
    return prompts.split(table, heldout, seed=seed)
