"""A preference data set on disk: parquet parts, one per block of personas, which a killed build goes on with.

The folder holds `personas.parquet`, `prompts.parquet`, `base.parquet` (the answers for nobody in particular), `pairs/`
with the parts, and `dataset.json`: how it was made. Used by `persona pairs` and 03_preferences.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
from tqdm import tqdm

from . import UserError, design, preferences, wording
from .model import Model

ABOUT = "dataset.json"
BLOCK = 25  # personas; with the paper's 200 prompts each, 5,000 pairs are in memory at once


def build(
    people: pd.DataFrame,
    prompts: pd.DataFrame,
    writer: Model,
    folder: str | Path,
    train: int = 100,
    seen: int = 50,
    heldout: int = 50,
    words: int = 60,
    seed: int = 0,
    templates: str | None = None,
) -> Path:
    """Make the pairs of all personas, block by block; parts that are there already are left as they are.

    Args:
        people: personas, index `persona_id`.
        prompts: columns `prompt_id`, `prompt`, `topic`, `prompt_split`.
        writer: the model that answers, criticizes and revises. With `batch=True` there is one block: all base answers,
            then all critiques, then all revisions, which is three waves of the Batch API.
        folder: where the data set goes.
        train, seen, heldout, seed: as in `design.deal`.
        words, templates: as in `preferences.revise`.

    Returns:
        The folder.

    Raises:
        UserError: the folder holds another data set.
    """
    folder = Path(folder)
    sizes = {"train": train, "seen": seen, "heldout": heldout, "words": words, "seed": seed}
    dealt = design.deal(people.index, prompts, train, seen, heldout, seed)
    if "persona_split" not in people:
        people = people.assign(persona_split=design.persona_splits(people.index))
    _begin(folder, sizes | _about(people, prompts, writer, templates))
    people.to_parquet(folder / "personas.parquet")
    prompts.to_parquet(folder / "prompts.parquet")
    base = preferences.base_answers(prompts, writer, words, templates)
    base.to_parquet(folder / "base.parquet")
    block = len(people) if writer.batch else BLOCK
    with tqdm(total=len(dealt), desc="pairs", unit="pair", disable=None) as bar:
        for start in range(0, len(people), block):
            part = folder / "pairs" / f"part-{start // block:05d}.parquet"
            own = dealt[dealt["persona_id"].isin(people.index[start : start + block])]
            if not part.is_file():
                _write(preferences.revise(own, people, prompts, base, writer, words, templates), part)
            bar.update(len(own))
    return folder


def _about(people: pd.DataFrame, prompts: pd.DataFrame, writer: Model, templates: str | None) -> dict[str, Any]:
    """What the rows depend on beside the sizes, so that another data set is never mixed into this one."""
    names = ("baseline", "critique", "revision")
    return {
        "personas": len(people),
        "personas_hash": _hash(people),
        "prompts": len(prompts),
        "prompts_hash": _hash(prompts[["prompt_id", "prompt_split"]]),
        "generator": writer.identity,
        "templates": {name: wording.load(name, templates).sha256 for name in names},
    }


def _hash(table: pd.DataFrame) -> str:
    return f"{pd.util.hash_pandas_object(table.astype('str')).sum():016x}"


def _begin(folder: Path, about: dict[str, Any]) -> None:
    """Note what the folder is to hold, or find that it is the same as before."""
    path = folder / ABOUT
    if path.is_file():
        before = json.loads(path.read_text("utf-8"))
        if other := [name for name in about if before.get(name) != about[name]]:
            raise UserError(f"{folder} holds a data set that differs in {', '.join(other)}: choose another folder")
        return
    if folder.is_dir() and any(folder.iterdir()):
        raise UserError(f"{folder} holds something else than a preference data set: choose another folder")
    (folder / "pairs").mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(about, indent=1) + "\n", "utf-8")


def _write(table: pd.DataFrame, path: Path) -> None:
    """Write a part at once: it is there whole or not at all."""
    half = path.with_suffix(".half")
    table.to_parquet(half, index=False)
    half.replace(path)


def parts(folder: str | Path) -> Iterator[pd.DataFrame]:
    """The pairs part by part, for what need not hold all of them.

    Raises:
        UserError: there is no data set in the folder.
    """
    files = sorted(Path(folder).glob("pairs/part-*.parquet"))
    if not files:
        raise UserError(f"{folder} holds no pairs: make some with `persona pairs --out {folder}`")
    return (pd.read_parquet(file) for file in files)


def read(folder: str | Path) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """All pairs, personas and prompts of a data set."""
    pairs = pd.concat(parts(folder), ignore_index=True)
    return pairs, *(pd.read_parquet(Path(folder) / f"{name}.parquet") for name in ("personas", "prompts"))
