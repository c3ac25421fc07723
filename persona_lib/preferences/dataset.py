"""A preference data set on disk: parquet parts, one per block of personas. A build that was killed continues.

The folder holds

- `dataset.json`: how the data set was made,
- `personas.parquet` and `prompts.parquet`,
- `base.parquet`: the base answers, written without a persona,
- `pairs/`: the pairs in parts, and `dense/`: the parts of the dense block,
- `contexts.parquet`, `negatives.parquet`, `verification.parquet`: derived from the pairs, which they name by id.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from .. import UserError, files, personas, seeds
from ..model import LanguageModel
from ..model.asking.progress import Whole
from ..templates import load as load_template
from . import negatives, splits, verification
from .bulk import send_base_answers, send_pairs
from .revision import base_answers, revise

if TYPE_CHECKING:
    from ..model import Model

ABOUT = "dataset.json"
BASE = "base.parquet"
BLOCK = 25  # personas per part; with the paper's 200 prompts each, 5,000 pairs are in memory at once


def build(
    people: pd.DataFrame,
    prompts: pd.DataFrame,
    writer: "Model",
    folder: str | Path,
    train: int = 100,
    seen: int = 50,
    heldout: int = 50,
    words: int | None = 120,
    seed: int = 0,
    dense: tuple[int, int] = (0, 0),
    shots: int = 8,
    verify: int = 0,
    judge: LanguageModel | None = None,
    templates: str | None = None,
    again: bool = False,
    bulk: "Model | None" = None,
    origin: str = "sample",
) -> Path:
    """Make the pairs of all personas, block by block, and return the folder; parts that exist are kept.

    Args:
        people: personas, index `persona_id`.
        prompts: columns `prompt_id`, `prompt`, `topic`, `prompt_split`.
        writer: the model that answers, criticizes and revises.
        folder: where the data set goes.
        train, seen, heldout, seed: as in `splits.deal`.
        words, templates: as in `revise`.
        dense: number of personas and of prompts of the dense block (`splits.dense`).
        shots: pairs per few-shot context (`splits.contexts`).
        verify: number of pairs that the judge is shown (`verification.draw`).
        judge: the model that plays the personas; None for the writer.
        again: make the parts with failures anew, after their replies were forgotten (`Store.forget_failed`).
        bulk: the writer with `batch=True`, which first sends all requests through the Batch API (`bulk.send_pairs`).
        origin: where the personas come from, as the user named it; the data card tells it.

    Raises:
        UserError: the folder holds another data set, a size exceeds the personas or prompts given, or the seed is not
            a whole number from 0.
    """
    seeds.check_seed(seed)
    folder = Path(folder)
    if "persona_split" not in people:
        people = people.assign(persona_split=personas.split(people.index))
    dealt = splits.deal(people.index, prompts, train, seen, heldout, seed)
    work = _work(folder, people, prompts, dealt, dense)
    sizes = {"train": train, "seen": seen, "heldout": heldout, "words": words, "seed": seed, "dense": list(dense)}
    about = sizes | {"personas_from": origin} | _about(people, prompts, writer, templates)
    _begin(folder, about, people, prompts)
    if again:
        _drop_failed(folder)
    _fill(folder, work, people, prompts, writer, bulk, words, templates, shots, seed, verify, judge or writer)
    return folder


def _work(
    folder: Path, people: pd.DataFrame, prompts: pd.DataFrame, dealt: pd.DataFrame, dense: tuple[int, int]
) -> dict[Path, pd.DataFrame]:
    """Return the files of all parts, of the pairs and of the dense block, with the rows dealt to them."""
    work = _blocks(folder / "pairs", dealt, people.index)
    if all(dense):
        block = splits.dense(people.index, prompts["prompt_id"], *dense)
        work |= _blocks(folder / "dense", block, block["persona_id"].unique())
    return work


def _fill(
    folder: Path,
    work: dict[Path, pd.DataFrame],
    people: pd.DataFrame,
    prompts: pd.DataFrame,
    writer: "Model",
    bulk: "Model | None",
    words: int | None,
    templates: str | None,
    shots: int,
    seed: int,
    verify: int,
    judge: LanguageModel,
) -> None:
    """Write the parts that are not there yet, then the tables derived from them; arguments as in `build`."""
    todo = {part: dealt for part, dealt in work.items() if not part.is_file()}
    asks = bool(todo) or not (folder / BASE).is_file()
    with Whole("pairs", _steps(todo, len(prompts) if asks else 0, verify)) as whole:
        if asks:
            _make(folder, todo, people, prompts, writer, bulk, words, templates, whole)
        _derive(folder, people, shots, seed, new=bool(todo))
        if verify:
            _verify(folder, people, verify, judge, templates)


def _blocks(folder: Path, dealt: pd.DataFrame, ids: Sequence[str]) -> dict[Path, pd.DataFrame]:
    """Return the file of each block of personas, with the rows dealt to them."""
    number = dealt["persona_id"].map({persona: i // BLOCK for i, persona in enumerate(ids)})
    return {folder / f"part-{i:05d}.parquet": rows for i, rows in dealt.groupby(number)}


def _steps(todo: dict[Path, pd.DataFrame], base: int, verify: int) -> dict[str, int]:
    """Return how many model calls each step of the progress line has."""
    n = sum(map(len, todo.values()))
    return {"base answers": base, "critiques": n, "revisions": n, "verification": 2 * verify}


def _make(
    folder: Path,
    todo: dict[Path, pd.DataFrame],
    people: pd.DataFrame,
    prompts: pd.DataFrame,
    writer: "Model",
    bulk: "Model | None",
    words: int | None,
    templates: str | None,
    whole: Whole,
) -> None:
    """Ask for the base answers and write the parts that are not there yet."""
    if bulk:
        send_base_answers(prompts, bulk, words, templates)
    base = _base(folder, prompts, writer, words, templates)
    if bulk and todo:
        send_pairs(todo.values(), people, prompts, base, writer, bulk, words, templates)
    done = 0
    for part, dealt in todo.items():
        _write(revise(dealt, people, prompts, base, writer, words, templates), part)
        done += len(dealt)
        whole.reach({"base answers": len(prompts), "critiques": done, "revisions": done})


def _base(
    folder: Path, prompts: pd.DataFrame, writer: "Model", words: int | None, templates: str | None
) -> pd.DataFrame:
    """Return the base answers; once written, all parts share them."""
    path = folder / BASE
    if not path.is_file():
        _write(base_answers(prompts, writer, words, templates), path)
    return table(path)


def _drop_failed(folder: Path) -> None:
    """Remove the parts that contain failures."""
    for path in [folder / BASE, *folder.glob("pairs/part-*"), *folder.glob("dense/part-*")]:
        failure = "base_failure" if path.name == BASE else "failure"
        if path.is_file() and table(path, [failure])[failure].notna().any():
            path.unlink()


def _derive(folder: Path, people: pd.DataFrame, shots: int, seed: int, new: bool) -> None:
    """Write what follows from the pairs without a model call: hard negatives and few-shot contexts."""
    names = ["pair_id", "persona_id", "prompt_id", "use", "failure"]
    if new or not (folder / "negatives.parquet").is_file():
        pairs = columns(folder, [*names, "persona_split", "prompt_split", "chosen"])
        _write(negatives.hard(pairs, people, seed), folder / "negatives.parquet")
    _write(splits.contexts(columns(folder, names), shots, seed=seed), folder / "contexts.parquet")


def _verify(folder: Path, people: pd.DataFrame, n: int, judge: LanguageModel, templates: str | None) -> None:
    """Let the judge choose on n pairs and write its verdicts."""
    drawn = verification.draw(columns(folder, ["pair_id", "persona_id", "prompt_id", "use", "failure"]), n)["pair_id"]
    shown = pd.concat((part[part["pair_id"].isin(drawn)] for part in parts(folder)), ignore_index=True)
    _write(verification.judge(shown, people, judge, templates), folder / "verification.parquet")


def columns(folder: str | Path, names: list[str]) -> pd.DataFrame:
    """Return some columns of all pairs."""
    return pd.concat(parts(folder, names), ignore_index=True)


def _about(people: pd.DataFrame, prompts: pd.DataFrame, writer: "Model", templates: str | None) -> dict[str, Any]:
    """Return what else the rows depend on besides the sizes; a folder never mixes two data sets."""
    names = ("baseline", "critique", "revision")
    return {
        "personas": len(people),
        "personas_hash": _hash(people),
        "people": personas.ids.drawn_from(),
        "prompts": len(prompts),
        "prompts_hash": _hash(prompts[["prompt_id", "prompt", "prompt_split"]]),
        "generator": writer.identity,
        "templates": {name: load_template(name, templates).sha256 for name in names},
    }


def _hash(table: pd.DataFrame) -> str:
    """Return a hash of the rows in their order: the personas' order decides who is dealt what, and into which part."""
    rows = pd.util.hash_pandas_object(table.astype("str")).to_numpy()
    return hashlib.sha256(rows.tobytes()).hexdigest()[:16]


def _begin(folder: Path, about: dict[str, Any], people: pd.DataFrame, prompts: pd.DataFrame) -> None:
    """Write dataset.json into a new folder, or check that it says the same as before; write personas and prompts."""
    path = folder / ABOUT
    if path.is_file():
        before = made(folder)
        # The same personas may come by another path; whether they are the same, their hash tells.
        other = [name for name in about if name != "personas_from" and before.get(name) != about[name]]
        why = " (another version drew its people)" if {"people", "personas_hash"} <= set(other) else ""
        if other := [name for name in other if name != "people"]:
            raise UserError(f"{folder} holds a data set that differs in {', '.join(other)}{why}: choose another folder")
    else:
        check_folder(folder)
        folder.mkdir(parents=True, exist_ok=True)
        files.write_text(path, json.dumps(about, indent=1) + "\n")
    _write(people, folder / "personas.parquet")
    _write(prompts, folder / "prompts.parquet")


def check_folder(folder: Path) -> None:
    """Raise UserError if it holds something else than a data set; hidden files, such as a lock, count for nothing."""
    is_set = (folder / ABOUT).is_file()
    if not is_set and folder.is_dir() and any(not path.name.startswith(".") for path in folder.iterdir()):
        raise UserError(f"{folder} holds something else, not a preference data set: choose another folder")


def _write(table: pd.DataFrame, path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    files.write(path, table.to_parquet)


def parts(folder: str | Path, names: list[str] | None = None, kind: str = "pairs") -> Iterator[pd.DataFrame]:
    """Return the pairs part by part, for callers that need not hold all of them in memory.

    Args:
        folder: of a data set.
        names: the columns to read; None for all.
        kind: 'pairs', or 'dense' for the dense block.

    Raises:
        UserError: there are no pairs in the folder, or a part is damaged.
    """
    paths = sorted(Path(folder).glob(f"{kind}/part-*.parquet"))
    if not paths and kind == "pairs":
        raise UserError(f"{folder} holds no pairs: make some with `persona pairs --out {folder}`")
    return (table(path, names) for path in paths)


def read(folder: str | Path) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Return all pairs, personas and prompts of a data set."""
    pairs = pd.concat(parts(folder), ignore_index=True)
    return pairs, table(Path(folder) / "personas.parquet"), table(Path(folder) / "prompts.parquet")


def table(path: Path, names: list[str] | None = None) -> pd.DataFrame:
    """Read one of the tables in a data set's folder, or some of its columns.

    Raises:
        UserError: the table is missing, damaged, or lacks a column.
    """
    try:
        return pd.read_parquet(path, columns=names)
    except (OSError, ValueError) as error:  # the errors of pyarrow are subclasses
        wrong = files.unreadable(path, "a table", error)
        raise UserError(f"{wrong}. Remove it, and `persona pairs` makes it again from the stored replies") from error


def made(folder: str | Path) -> dict[str, Any]:
    """Return how a data set was made: what its dataset.json says.

    Raises:
        UserError: it is missing or damaged, or names no model.
    """
    about = files.read_json(Path(folder) / ABOUT)
    generator = about.get("generator")
    if not isinstance(generator, dict) or "name" not in generator:
        raise UserError(f"{Path(folder) / ABOUT} names no generator: it is not what `persona pairs` writes")
    return about
