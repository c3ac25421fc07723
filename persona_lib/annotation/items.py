"""What people rate: two answers to a question of a persona. Read from a file, taken from preference pairs, or made.

Used by humans.py, `persona annotate export` and 05_fidelity.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from .. import UserError, files, personas, seeds
from ..preferences import dataset

ITEM = ("persona_id", "profile", "prompt_id", "prompt", "first", "second")
SPARE = 2  # questions written for each that is rated, as in the paper: some get no answer


def read(path: Path, people: Path | None = None) -> pd.DataFrame:
    """Read items: a table of them, a table of preference pairs, or the folder of a preference data set.

    Args:
        path: a .parquet, .csv or .jsonl file, or a folder that `persona pairs` wrote.
        people: a file of personas, if `path` is a file of preference pairs.

    Returns:
        The table as it is, or as from `of_pairs`.

    Raises:
        UserError: a file is of another kind or can't be read as what its name says.
    """
    if path.is_dir():
        return of_pairs(*dataset.read(path)[:2])
    return of_pairs(_table(path), _table(people)) if people else _table(path)


def _table(path: Path) -> pd.DataFrame:
    table = files.read_table(path)
    return table.reset_index() if table.index.name else table


def of_pairs(pairs: pd.DataFrame, people: pd.DataFrame) -> pd.DataFrame:
    """Items to rate from preference pairs: the rejected answer is the first, the chosen one the second.

    Args:
        pairs: columns `prompt_id`, `prompt`, `rejected`, `chosen`, maybe `persona_id` and `pair_id`; without persona
            they are put to all people, as `fidelity.play` does.
        people: personas, `persona_id` as index or column.

    Raises:
        UserError: a column is missing, or a pair's persona is not among the people.
    """
    if absent := [c for c in ("prompt_id", "prompt", "rejected", "chosen") if c not in pairs]:
        raise UserError(
            f"the pairs lack the columns {', '.join(absent)}: give preference pairs, or items with a profile"
        )
    people = people.set_index("persona_id") if "persona_id" in people else people
    if "persona_id" not in pairs:
        pairs = pd.DataFrame({"persona_id": people.index}).merge(pairs, how="cross")
    profiles = {persona: personas.describe(row) for persona, row in people.replace("", np.nan).iterrows()}
    if strangers := sorted(set(pairs["persona_id"]) - profiles.keys()):
        raise UserError(f"{len(strangers)} personas of the pairs are not among the people, such as {strangers[0]}")
    named = pairs.rename(columns={"rejected": "first", "chosen": "second"})
    return named.assign(profile=named["persona_id"].map(profiles))


def rateable(items: pd.DataFrame) -> pd.DataFrame:
    """The items that give a choice: both answers are there and differ. UserError if a column is missing."""
    _require(items)
    texts = items[["first", "second"]].fillna("").astype("str").apply(lambda column: column.str.strip())
    return items[(texts != "").all(axis=1) & (texts["first"] != texts["second"])]


def draw(items: pd.DataFrame, personas: int, questions: int, seed: int) -> pd.DataFrame:
    """Draw so many personas, and of each so many of its questions (the paper: 20, and 10 of 20).

    Returns:
        The rows of `items` (columns as in `humans.export`) that were drawn, in their order.

    Raises:
        UserError: there are not that many, or the seed is none.
    """
    seeds.check_seed(seed)
    rng = seeds.rng("items to rate", seed)
    counts = checked(items).groupby("persona_id").size().sort_index()
    enough = counts.index[counts >= questions]
    if min(personas, questions) < 1 or len(enough) < personas:
        raise UserError(
            f"{personas} personas with {questions} questions each can't be had: {len(enough)} of {len(counts)} have "
            "that many; take fewer personas or questions"
        )
    chosen = rng.permutation(enough)[:personas]
    places = items.reset_index(drop=True).sort_values(["persona_id", "prompt_id"])
    drawn = [rng.permutation(places.index[places["persona_id"] == p])[:questions] for p in sorted(chosen)]
    return items.iloc[sorted(np.concatenate(drawn))].reset_index(drop=True)


def checked(items: pd.DataFrame) -> pd.DataFrame:
    """The items' columns as text, or a UserError that says which are missing, empty, repeated or contradict."""
    _require(items)
    if items.empty:
        raise UserError("there are no items to rate")
    columns = [*ITEM, *(["pair_id"] if "pair_id" in items else [])]
    texts = items[columns].astype("object")
    empty = texts.isna() | texts.astype("str").apply(lambda column: column.str.strip() == "")
    if empty.any(axis=None):
        row, column = np.argwhere(empty)[0]
        raise UserError(f"{empty.any(axis=1).sum()} items have an empty field, such as {columns[column]} of row {row}")
    texts = texts.astype("str").astype("object").reset_index(drop=True)
    if (twice := texts.duplicated(["persona_id", "prompt_id"])).any():
        raise UserError(f"{twice.sum()} items repeat a persona and question, such as row {twice.idxmax()}")
    profiles = texts.groupby("persona_id")["profile"].nunique()
    if (profiles > 1).any():
        raise UserError(f"persona {profiles.idxmax()} has {profiles.max()} different profiles: a rater sees one")
    return texts


def _require(items: pd.DataFrame) -> None:
    if absent := [c for c in ITEM if c not in items]:
        raise UserError(f"items lack the columns {', '.join(absent)}; they have {', '.join(map(str, items.columns))}")
