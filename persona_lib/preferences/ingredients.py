"""The people and prompts of an experiment or a data set: drawn or read, from one side of their splits or from all.

`draw` serves the experiments: by default people and prompts that no data set has trained on.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from .. import UserError, files, seeds, tables
from .. import personas as persons
from .. import prompts as bank
from ..attributes import NAMES
from ..model import LanguageModel
from . import published

# What to do where there are too few, in words that hold in all notebooks.
LOWER_PEOPLE = "lower n_personas (04: pool, 05: n_people)"
LOWER_PROMPTS = "lower n_prompts (04, 05: n_questions)"
OLDEST = 120  # years: no person of a file is older
SAMPLE = "sample"  # the source of people that draws them
# For each use the sides of people and prompts; None: all.
USES: dict[str, tuple[str | None, str | None]] = {
    "train": ("train", "train"),
    "seen_test": ("test", "train"),
    "heldout_test": ("test", "heldout"),
    "all": (None, None),
}
_BESIDE = ("ideology label", "given name")  # columns that a file of people may have beside the attributes
_COLUMNS = (persons.ID, "persona_split", *_BESIDE, *NAMES)
# A file without ids is read as published personas if it has at least so many attributes. With fewer, different people
# would often look alike, and people who look alike are merged.
FEWEST_ATTRIBUTES = 5


def draw(
    personas: str,
    prompts: str,
    n_personas: int | None,
    n_prompts: int | None,
    use: str = "heldout_test",
    seed: int = 0,
    classifier: LanguageModel | None = None,
    templates: str | None = None,
    min_age: int = 18,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the people and the prompts of an experiment.

    Args:
        personas, n_personas, min_age: as `source`, `n` and `min_age` of `people`.
        prompts: as `source` of `questions`.
        n_prompts: how many prompts of the side, spread over topics; None: all.
        use: train (people and prompts to train on), seen_test (people to test on, prompts to train on), heldout_test
            (people and prompts to test on) or all.
        seed: of the draws.
        classifier, templates: as in `questions`. Name the judge: experiments that share it ask the same questions,
            whichever model answers.

    Returns:
        People as `people` and prompts as `questions` returns them.

    Raises:
        UserError: an unknown use; as `people` and `questions`; fewer people or prompts than are asked for.
    """
    side = sides(use)[1]
    found = people(personas, n_personas, seed, use, min_age)
    drawn = _of_side(_candidates(prompts), side, n_prompts, seed, prompts, LOWER_PROMPTS, classifier, templates)
    return found, drawn


def people(
    source: str = SAMPLE, n: int | None = None, seed: int = 0, use: str = "all", min_age: int = 18
) -> pd.DataFrame:
    """Return people of at least `min_age`, drawn from the population or from a file.

    Args:
        source: 'sample' (see `personas.sample`), the folder of a data set, or a .parquet, .csv or .jsonl file: either
            `persona_id` and attributes, as `persona sample` writes it, or the published personas
            (SynthLabsAI/Synthetic-Personas), which have the attributes as columns and no ids.
        n: how many; None: all of a file, or the paper's 1,586.
        seed: of the draw.
        use: as in `draw`; it says which side of the split the people are on.
        min_age: in years. A person of a file without an age is kept.

    Returns:
        Index `persona_id`; the attributes, `persona_split`, and `ideology label` and `given name` if the file has them.
        A file's own `persona_split` is kept, else the id decides (`personas.split`). Published personas are as returned
        by `published.read_personas`.

    Raises:
        UserError: an unknown use; the file can't be read, has no attributes, lacks ids, repeats an id, has an age or
            income that is not a number or an unknown side, or has fewer people than are asked for.
    """
    side = sides(use)[0]
    if source == SAMPLE:
        where = f"age >= {min_age}" if min_age > 0 else None
        return persons.sample(persons.PAPER if n is None else n, seed, where=where, side=side)
    table = _read(_file(source))
    if min_age > 0 and "age" in table:
        table = table[(table["age"].isna() | (table["age"] >= min_age)).to_numpy()]
    of_all = len(table)
    if side:
        table = table[(table["persona_split"] == side).to_numpy()]
    if n is None:
        return table
    if not 1 <= n <= len(table):
        which = f" on the {side} side" if side else ""
        old = f" of at least {min_age}" if min_age > 0 else ""
        remedy = LOWER_PEOPLE if len(table) else "add people"
        if of_all > len(table):
            remedy += f", or take -p use=all, with all {of_all}, if no model was trained on them"
        raise UserError(f"{source} has {len(table)} people{old}{which}, and {n} are asked for: {remedy}")
    # By id, so that the order of rows does not matter; a larger n adds to the smaller draw.
    order = seeds.rng("people of a file", seed).permutation(len(table))
    return table.loc[table.index.sort_values()[order[:n]]]


def unused(source: str) -> list[str]:
    """Return the columns of a file of personas that nobody is told: no attributes, in whatever spelling."""
    names = files.columns(_file(source))
    ours = set(map(tables.spelling, _COLUMNS))
    if tables.spelling(persons.ID) not in map(tables.spelling, names):
        ours.add(published.SPLIT)  # of published personas
    return [name for name in names if tables.spelling(name) not in ours and not name.startswith("__index_level_")]


def sides(use: str) -> tuple[str | None, str | None]:
    """Return the sides of people and of prompts for a use, None for all.

    Raises:
        UserError: an unknown use.
    """
    if use not in USES:
        raise UserError(f"there is no use {use!r}: choose one of {', '.join(USES)}")
    return USES[use]


def _file(source: str) -> Path:
    """Return the file of personas that a source names."""
    path = Path(source)
    inside = path / "personas.parquet"
    if path.is_dir() and not inside.is_file():
        raise UserError(f"{source} holds no personas.parquet: give the folder of a data set, or a file of personas")
    if not path.is_dir() and not files.is_table(path):
        kinds = ", ".join(files.TABLES)
        if path.is_file():
            raise UserError(f"{source} must end in one of {kinds} (or that and {files.PACKED})")
        raise UserError(f"no personas {source!r}: choose '{SAMPLE}', a file ({kinds}), or the folder of a data set")
    return inside if path.is_dir() else path


def _read(path: Path) -> pd.DataFrame:
    """Read a file of personas in either form."""
    table = files.read_table(path, _COLUMNS).replace("", None)
    if persons.ID not in table and _is_published(table):
        known = table.assign(**{persons.ID: [f"row {number}" for number in range(1, len(table) + 1)]})
        for name in {"age", "income"} & set(table):
            _numbers(path, known[name], known[persons.ID])
        _check_cells(path, known[[name for name in _COLUMNS if name in known]], known[persons.ID])
        return published.read_personas(path)
    if persons.ID not in table or table[persons.ID].isna().any():
        raise UserError(
            f"{path} needs a column '{persons.ID}' without gaps, as `persona sample` writes it, "
            "or the paper's attributes as columns, as the published personas have them"
        )
    ids = table[persons.ID].astype("str")
    if twice := sorted(set(ids[ids.duplicated()])):
        raise UserError(f"{path} has {len(twice)} persona_id more than once, the first of them '{twice[0]}'")
    known = [name for name in NAMES if name in table]
    if not known:
        raise UserError(f"{path} has none of the attributes: it needs columns such as {', '.join(NAMES[:3])}")
    kept = [*known, *(name for name in _BESIDE if name in table)]
    _check_cells(path, table[kept], ids)
    if (empty := table[known].isna().all(axis=1)).any():
        raise UserError(
            f"{path}: nothing is known of {empty.sum()} of its people, such as {ids[empty].iloc[0]!r}: fill in an "
            "attribute or leave them out"
        )
    numbers = {name: _numbers(path, table[name], ids) for name in ("age", "income") if name in known}
    own = pd.DataFrame({name: numbers[name] if name in numbers else table[name].astype("str") for name in kept})
    own = own.set_axis(pd.Index(ids, name=persons.ID), axis=0)
    own["persona_split"] = persons.split(ids, table.get("persona_split"), path)
    return own


def _check_cells(path: Path, cells: pd.DataFrame, ids: pd.Series) -> None:
    """Raise UserError for a cell that is a list or an object: a model would read it as a program writes it."""
    nested = cells.map(lambda cell: isinstance(cell, dict | list | tuple | np.ndarray))
    if nested.any(axis=None):
        row, column = np.argwhere(nested)[0]
        raise UserError(f"{path}: {cells.columns[column]} of {ids.iloc[row]} is a list or an object: write a text")


def _is_published(table: pd.DataFrame) -> bool:
    """Return whether a table without ids has the columns of the published personas."""
    return len(set(table) & set(NAMES)) >= FEWEST_ATTRIBUTES


def _numbers(path: Path, values: pd.Series, ids: pd.Series) -> pd.Series:
    """Return a column as numbers.

    Raises:
        UserError: a value is not a whole number, or nobody's age.
    """
    numbers = pd.to_numeric(values, errors="coerce")
    numbers = numbers.where(np.isfinite(numbers.astype(float)) & (numbers % 1 == 0))
    kinds = {"that are not numbers": numbers.isna() & values.notna()}
    if values.name == "age":
        kinds[f"below 0 or above {OLDEST}"] = (numbers < 0) | (numbers > OLDEST)
    for kind, wrong in kinds.items():
        if wrong.any():
            first = f"{values[wrong].iloc[0]!r} of {ids[wrong].iloc[0]}"
            raise UserError(f"{path} has {wrong.sum()} values of {values.name} {kind}, such as {first}: correct them")
    return numbers


def questions(
    source: str = "builtin",
    train: int | None = None,
    heldout: int | None = None,
    seed: int = 0,
    classifier: LanguageModel | None = None,
    templates: str | None = None,
) -> pd.DataFrame:
    """Return the prompts of a source, each with its topic and its side of the split.

    PRISM's prompts pass the paper's filters; the bank and the user's own file are taken as they are. The order in which
    prompts are drawn is fixed before the classifier is asked, so that classifiers that mostly agree get mostly the same
    prompts, and the classifier is asked about no more prompts than it takes to find n.

    Args:
        source: as in `prompts.load`.
        train, heldout: how many prompts of each side, spread over topics; None: all of the side.
        seed: of the draw.
        classifier: the model that says which of PRISM's prompts are value-laden; None skips this filter.
        templates: folder with the user's own `value_laden.txt`.

    Returns:
        Columns `prompt_id`, `prompt`, `topic`, `source`, `prompt_split`.

    Raises:
        UserError: as `prompts.load`, or a side has fewer prompts than are asked for.
    """
    table = _candidates(source)
    wanted = {"train": train, "heldout": heldout}
    drawn = [
        _of_side(table, side, n, seed, source, f"lower {side}_prompts", classifier, templates)
        for side, n in wanted.items()
    ]
    return pd.concat(drawn, ignore_index=True)


def available(source: str) -> dict[str, int]:
    """Count the prompts of each side, train and heldout: at most so many, since no model is asked about PRISM's.

    Raises:
        UserError: as `prompts.load`.
    """
    table = bank.load(source)
    if bank.is_prism(source):
        table = bank.screening.passed(bank.screening.formal(table))
    return {side: int((table["prompt_split"] == side).sum()) for side in ("train", "heldout")}


def _candidates(source: str) -> pd.DataFrame:
    """Return the prompts that may be drawn, with topics; those that a classifier may sort have the column `removed`."""
    table = bank.load(source)
    if not bank.is_prism(source):
        return table[bank.COLUMNS]
    formal = bank.screening.passed(bank.screening.formal(table))
    return bank.topics.assign(formal)[[*bank.COLUMNS, "removed"]]


def _of_side(
    table: pd.DataFrame,
    side: str | None,
    n: int | None,
    seed: int,
    source: str,
    remedy: str,
    classifier: LanguageModel | None,
    templates: str | None,
) -> pd.DataFrame:
    """Draw n prompts of one side; None: of both sides, or all prompts. `remedy` ends the error."""
    if side:
        table = table[table["prompt_split"] == side].reset_index(drop=True)
    if n == 0:
        return table[bank.COLUMNS].head(0)
    kept = ""
    if classifier and "removed" in table and len(table):
        ordered = table if n is None else bank.sample(table, len(table), seed)
        found = bank.screening.first_value_laden(ordered, classifier, n, templates)
        kept = f" that {classifier.name} finds value-laden"
    else:
        found = table if n is None or n > len(table) else bank.sample(table, n, seed)
    if n is not None and len(found) < n:
        which = {"train": " to train on", "heldout": " held out"}.get(side or "", "")
        raise UserError(f"{source} has {len(found)} prompts{which}{kept}, and {n} are asked for: {remedy}")
    return found[bank.COLUMNS]
