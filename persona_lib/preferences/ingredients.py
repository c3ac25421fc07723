"""What a preference data set is made of: personas and prompts, drawn or from files of the user's own."""

import json
from pathlib import Path

import pandas as pd

from .. import UserError, files, personas, prompts
from ..attributes import NAMES
from ..model import LanguageModel


def people(n: int, seed: int = 0, min_age: int = 18, path: Path | None = None) -> pd.DataFrame:
    """The personas: n of at least `min_age`, or all those of a file, whatever their age.

    Args:
        n, seed: as in `personas.sample`.
        min_age: in years.
        path: a .parquet, .csv or .jsonl file with `persona_id` and the attributes, as `persona sample` writes it.

    Raises:
        UserError: the file can't be read, or has no attributes, no ids or some twice, or an age or income that is none.
    """
    if path:
        return _read(path)
    where = f"age >= {min_age}" if min_age > 0 else None
    return personas.sample(n, seed, where=where)


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


def questions(
    source: str = "builtin",
    path: Path | None = None,
    train: int | None = None,
    heldout: int | None = None,
    seed: int = 0,
    classifier: LanguageModel | None = None,
    templates: str | None = None,
) -> pd.DataFrame:
    """The prompts of a source that pass the filters, each with its topic and its side of the split.

    Args:
        source: as in `prompts.load`.
        path: PRISM's conversations.jsonl, or a file of the user's own with a column `prompt`: all of that is taken.
        train, heldout: how many prompts to take for each side; all, where either is None.
        seed: of the draw.
        classifier: the model that says which prompts are value-laden; None takes them all.
        templates: folder with a `value_laden.txt` of the user's own.

    Returns:
        `prompt_id`, `prompt`, `topic`, `source`, `prompt_split`.

    Raises:
        UserError: as `prompts.load`, or there are fewer prompts than are asked for.
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
    """Whether a file is PRISM's, by its first line."""
    try:
        with path.open("rb") as file:
            return path.suffix == ".jsonl" and "opening_prompt" in json.loads(file.readline())
    except (OSError, ValueError):
        return False  # whoever reads it whole says what is wrong


def _drawn(table: pd.DataFrame, source: str, train: int, heldout: int, seed: int) -> pd.DataFrame:
    """So many prompts, from each topic its share, and so many of them held out."""
    n = train + heldout
    if n > len(table):
        raise UserError(
            f"{train} train and {heldout} held-out prompts are asked for, and '{source}' has {len(table)} that pass: "
            "lower train_prompts or heldout_prompts"
        )
    if n < len(table):
        table = prompts.split(table, n, seed=seed).query("prompt_split == 'heldout'").reset_index(drop=True)
    return prompts.split(table, heldout, seed=seed)
