"""A preference data set on disk: parquet parts, one per block of personas, which a killed build goes on with.

The folder holds `dataset.json` (how it was made), `personas.parquet`, `prompts.parquet`, `base.parquet` (the answers
for nobody in particular), `pairs/` with the parts, `dense/` with those of the dense block, and what follows from the
pairs, by their ids: `contexts.parquet`, `negatives.parquet`, `verification.parquet`. Used by `persona pairs`.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from .. import UserError, files, seeds
from ..model import Model
from ..model.progress import Whole
from ..templates import load as load_template
from . import negatives, splits, verification
from .bulk import send_base_answers, send_pairs
from .revision import base_answers, revise

ABOUT, BASE = "dataset.json", "base.parquet"
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
    dense: tuple[int, int] = (0, 0),
    shots: int = 8,
    verify: int = 0,
    judge: Model | None = None,
    templates: str | None = None,
    again: bool = False,
    bulk: Model | None = None,
) -> Path:
    """Make the pairs of all personas, block by block; parts that are there already are left as they are.

    Args:
        people: personas, index `persona_id`.
        prompts: columns `prompt_id`, `prompt`, `topic`, `prompt_split`.
        writer: the model that answers, criticizes and revises.
        folder: where the data set goes.
        train, seen, heldout, seed: as in `design.deal`.
        words, templates: as in `preferences.revise`.
        dense: personas and prompts of the dense block (`design.dense`).
        shots: pairs per few-shot context (`design.contexts`).
        verify: how many pairs the judge is shown (`verification.draw`).
        judge: the model that plays the personas; None: the writer.
        again: make the parts anew that hold failures, once their replies are forgotten (`Store.forget_failed`).
        bulk: the writer with `batch=True`: it sends all base answers, then all critiques, then all revisions ahead
            through the Batch API. The writer asks what is left after that: what came back unusable.

    Returns:
        The folder.

    Raises:
        UserError: the folder holds another data set, a size is larger than what there is, or the seed is none.
    """
    seeds.check_seed(seed)
    folder = Path(folder)
    sizes = {"train": train, "seen": seen, "heldout": heldout, "words": words, "seed": seed, "dense": list(dense)}
    if "persona_split" not in people:
        people = people.assign(persona_split=splits.persona_splits(people.index))
    dealt = splits.deal(people.index, prompts, train, seen, heldout, seed)
    work = _blocks(folder / "pairs", dealt, people.index)
    if all(dense):
        square = splits.dense(people.index, prompts["prompt_id"], *dense)
        work |= _blocks(folder / "dense", square, square["persona_id"].unique())
    _begin(folder, sizes | _about(people, prompts, writer, templates))
    _write(people, folder / "personas.parquet")
    _write(prompts, folder / "prompts.parquet")
    if again:
        _drop_failed(folder)
    todo = {part: own for part, own in work.items() if not part.is_file()}
    asks = bool(todo) or not (folder / BASE).is_file()
    n = sum(map(len, todo.values()))
    steps = {"base answers": len(prompts) if asks else 0, "critiques": n, "revisions": n, "verification": 2 * verify}
    with Whole("pairs", steps) as whole:
        if asks:
            if bulk:
                send_base_answers(prompts, bulk, words, templates)
            base, done = _base(folder, prompts, writer, words, templates), 0
            if bulk and todo:
                send_pairs(todo.values(), people, prompts, base, writer, bulk, words, templates)
            for part, own in todo.items():
                _write(revise(own, people, prompts, base, writer, words, templates), part)
                done += len(own)
                whole.reach({"base answers": len(prompts), "critiques": done, "revisions": done})
        _derive(folder, people, shots, seed, new=bool(todo))
        if verify:
            _verify(folder, people, verify, judge or writer, templates)
    return folder


def _blocks(folder: Path, dealt: pd.DataFrame, ids: Sequence[str]) -> dict[Path, pd.DataFrame]:
    """The file of each block of personas, and what is dealt to them."""
    number = dealt["persona_id"].map({persona: i // BLOCK for i, persona in enumerate(ids)})
    return {folder / f"part-{i:05d}.parquet": own for i, own in dealt.groupby(number)}


def _base(folder: Path, prompts: pd.DataFrame, writer: Model, words: int, templates: str | None) -> pd.DataFrame:
    """The base answers, the same for all parts whenever they are made."""
    path = folder / BASE
    if not path.is_file():
        _write(base_answers(prompts, writer, words, templates), path)
    return pd.read_parquet(path)


def _drop_failed(folder: Path) -> None:
    """Remove the parts with failures."""
    for path in [folder / BASE, *folder.glob("pairs/part-*"), *folder.glob("dense/part-*")]:
        failure = "base_failure" if path.name == BASE else "failure"
        if path.is_file() and pd.read_parquet(path, columns=[failure])[failure].notna().any():
            path.unlink()


def _derive(folder: Path, people: pd.DataFrame, shots: int, seed: int, new: bool) -> None:
    """Write what follows from the pairs without a call: few-shot contexts and hard negatives, by the pairs' ids."""
    names = ["pair_id", "persona_id", "prompt_id", "persona_split", "prompt_split", "use", "chosen", "failure"]
    if new or not (folder / "negatives.parquet").is_file():
        pairs = columns(folder, names)
        _write(negatives.hard(pairs, people, seed), folder / "negatives.parquet")
    _write(splits.contexts(columns(folder, names[:6] + names[7:]), shots, seed=seed), folder / "contexts.parquet")


def _verify(folder: Path, people: pd.DataFrame, n: int, judge: Model, templates: str | None) -> None:
    """Write what a judge says of some pairs."""
    drawn = verification.draw(columns(folder, ["pair_id", "use", "failure"]), n)["pair_id"]
    shown = pd.concat((part[part["pair_id"].isin(drawn)] for part in parts(folder)), ignore_index=True)
    _write(verification.judge(shown, people, judge, templates), folder / "verification.parquet")


def columns(folder: str | Path, names: list[str]) -> pd.DataFrame:
    """Some columns of all pairs."""
    return pd.concat(parts(folder, names), ignore_index=True)


def _about(people: pd.DataFrame, prompts: pd.DataFrame, writer: Model, templates: str | None) -> dict[str, Any]:
    """What the rows depend on beside the sizes, so that another data set is never mixed into this one."""
    names = ("baseline", "critique", "revision")
    return {
        "personas": len(people),
        "personas_hash": _hash(people),
        "prompts": len(prompts),
        "prompts_hash": _hash(prompts[["prompt_id", "prompt", "prompt_split"]]),
        "generator": writer.identity,
        "templates": {name: load_template(name, templates).sha256 for name in names},
    }


def _hash(table: pd.DataFrame) -> str:
    """Of the rows in their order: on that of the personas depends who is dealt what, and in which part it lies."""
    return hashlib.sha256(pd.util.hash_pandas_object(table.astype("str")).to_numpy().tobytes()).hexdigest()[:16]


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
    folder.mkdir(parents=True, exist_ok=True)
    files.write_text(path, json.dumps(about, indent=1) + "\n")


def _write(table: pd.DataFrame, path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    files.write(path, table.to_parquet)


def parts(folder: str | Path, names: list[str] | None = None, kind: str = "pairs") -> Iterator[pd.DataFrame]:
    """The pairs part by part, for what need not hold all of them; `kind` is 'pairs', or 'dense' for the dense block.

    Raises:
        UserError: there are no pairs in the folder.
    """
    files = sorted(Path(folder).glob(f"{kind}/part-*.parquet"))
    if not files and kind == "pairs":
        raise UserError(f"{folder} holds no pairs: make some with `persona pairs --out {folder}`")
    return (pd.read_parquet(file, columns=names) for file in files)


def read(folder: str | Path) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """All pairs, personas and prompts of a data set."""
    pairs = pd.concat(parts(folder), ignore_index=True)
    return pairs, *(pd.read_parquet(Path(folder) / f"{name}.parquet") for name in ("personas", "prompts"))
