"""Items to rate: a persona's question with two answers. They come from a file or from preference pairs."""

import ast
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .. import UserError, files, seeds
from ..personas import profiles
from ..preferences import dataset, ingredients

ITEM = ("persona_id", "profile", "prompt_id", "prompt", "first", "second")
_IDS = ("persona_id", "prompt_id", "pair_id")
_SHOWN = ("profile", "prompt", "first", "second", "rejected", "chosen")
# Chat messages, as different programs write them.
_ROLES = ("role", "from")
_TEXTS = ("content", "value", "text", "parts")
_CONVERSATIONS = ("messages", "conversations")
_SPEAKERS = {"human": "user"} | dict.fromkeys(("gpt", "model", "bot", "ai"), "assistant")
_BEHIND = ("system", "developer", "tool", "function")
SPARE = 2  # questions written for each one rated, as in the paper, because some get no answer


def read(path: Path, people: str | None = None) -> pd.DataFrame:
    """Read items: a table of items, a table of preference pairs, or the folder of a preference data set.

    Args:
        path: a file that `files.read_table` reads, or a folder that `persona pairs` wrote.
        people: the personas, if `path` is a file of preference pairs: a source of `ingredients.people`.

    Returns:
        A table of items as it is; otherwise as returned by `of_pairs`.

    Raises:
        UserError: a file has another suffix or can't be read as what its suffix says, or the personas are invalid (see
            `ingredients.people`).
    """
    if path.is_dir():
        pairs, personas, _ = dataset.read(path)
        return of_pairs(pairs, personas)
    table = files.read_table(path, _IDS, _SHOWN)
    if people is None:
        return table
    return of_pairs(table, ingredients.people(people, min_age=0))


def of_pairs(pairs: pd.DataFrame, people: pd.DataFrame) -> pd.DataFrame:
    """Turn preference pairs into items: the rejected answer becomes the first, the chosen one the second.

    Args:
        pairs: columns `prompt_id`, `prompt`, `rejected`, `chosen`, maybe `persona_id` and `pair_id`. Without
            `persona_id` every pair goes to all people, as in `fidelity.play`.
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
    shown = profiles.texts(people.replace("", np.nan)).to_dict()
    if strangers := sorted(set(pairs["persona_id"]) - shown.keys()):
        raise UserError(f"{len(strangers)} personas of the pairs are not among the people, such as {strangers[0]}")
    named = pairs.rename(columns={"rejected": "first", "chosen": "second"})
    return named.assign(profile=named["persona_id"].map(shown))


def rateable(items: pd.DataFrame) -> pd.DataFrame:
    """Return the items that offer a choice: both answers exist and differ.

    Raises:
        UserError: a column is missing.
    """
    _require(items)
    texts = items[["first", "second"]].map(told).astype("str").apply(lambda column: column.str.strip())
    return items[(texts != "").all(axis=1) & (texts["first"] != texts["second"])]


def draw(items: pd.DataFrame, personas: int, questions: int, seed: int) -> pd.DataFrame:
    """Draw personas, and for each of them some of its questions (the paper: 20 personas, 10 of 20 questions).

    Args:
        items: columns as in `annotation.export`.
        personas: how many to draw.
        questions: how many to draw of each persona.
        seed: of the draw.

    Returns:
        The drawn rows of `items`, in their order.

    Raises:
        UserError: there are not that many, or the seed is not a whole number from 0.
    """
    seeds.check_seed(seed)
    rng = seeds.rng("items to rate", seed)
    counts = checked(items).groupby("persona_id").size().sort_index()
    enough = counts.index[counts >= questions]
    if min(personas, questions) < 1 or len(enough) < personas:
        raise UserError(
            f"can't draw {personas} personas with {questions} questions each: {len(enough)} of {len(counts)} personas "
            "have that many; take fewer personas or questions"
        )
    chosen = rng.permutation(enough)[:personas]
    places = items.reset_index(drop=True).sort_values(["persona_id", "prompt_id"])
    drawn = [rng.permutation(places.index[places["persona_id"] == p])[:questions] for p in sorted(chosen)]
    return items.iloc[sorted(np.concatenate(drawn))].reset_index(drop=True)


def checked(items: pd.DataFrame) -> pd.DataFrame:
    """Return the items' columns as text, after checking them.

    Raises:
        UserError: there are no items, a column is missing, a field is empty, a persona and question occur twice, or a
            persona has two profiles.
    """
    _require(items)
    if items.empty:
        raise UserError("there are no items to rate")
    columns = [*ITEM, *(["pair_id"] if "pair_id" in items else [])]
    texts = items[columns].map(told).astype("object")
    empty = texts.apply(lambda column: column.str.strip() == "")
    if empty.any(axis=None):
        row, column = np.argwhere(empty)[0]
        raise UserError(f"{empty.any(axis=1).sum()} items have an empty field, such as {columns[column]} of row {row}")
    texts = texts.reset_index(drop=True)
    if (twice := texts.duplicated(["persona_id", "prompt_id"])).any():
        raise UserError(f"{twice.sum()} items repeat a persona and question, such as row {twice.idxmax()}")
    counts = texts.groupby("persona_id")["profile"].nunique()
    if (counts > 1).any():
        raise UserError(f"persona {counts.idxmax()} has {counts.max()} different profiles: a rater can see only one")
    return texts


def told(cell: Any) -> str:
    """Return a cell as the text that a rater reads; empty if it is missing.

    Of chat messages (a list of objects with `role` and `content`, or `from` and `value`, alone, as text or inside an
    object as `messages`) that end with the assistant, it is what the assistant said after the user's last words: an
    answer. Else it is the whole conversation: a question. What is neither the user's nor the assistant's is left out.

    Raises:
        UserError: it is an object without a text.
    """
    if isinstance(cell, str):
        return told(found) if (found := _chat(cell)) else cell
    if isinstance(cell, Mapping):
        return _said(cell)
    if not isinstance(cell, list | tuple | np.ndarray):
        return "" if pd.isna(cell) else str(cell)
    if not all(isinstance(part, Mapping) and _speaker(part) for part in cell):
        return "\n".join(filter(None, map(told, cell)))  # the parts of one content
    turns = [(speaker, turn) for turn in cell if (speaker := _speaker(turn)) not in _BEHIND]
    speakers = [speaker for speaker, _ in turns]
    if "user" in speakers and speakers[-1] != "user":
        turns = turns[len(speakers) - speakers[::-1].index("user") :]
    if len({speaker for speaker, _ in turns}) < 2:
        return "\n\n".join(filter(None, (_said(turn) for _, turn in turns)))
    return "\n\n".join(f"{speaker.capitalize()}: {_said(turn)}" for speaker, turn in turns)


def _said(part: Mapping[str, Any]) -> str:
    """Return the text of a message, of a part of one, or of an object that holds a conversation."""
    if inside := [part[name] for name in (*_CONVERSATIONS, *_TEXTS) if part.get(name) is not None]:
        return told(inside[0])
    if part and not {"type", *_ROLES} & set(part):  # a part of another type, such as a picture, has no text
        names = ", ".join(map(str, part))
        raise UserError(f"a cell holds an object with {names}: give a text, or messages with role and content")
    return ""


def _speaker(part: Mapping[str, Any]) -> str:
    """Return who says a message, 'user' or 'assistant' for whatever means them; empty if the object has no role."""
    role = str(next((part[name] for name in _ROLES if part.get(name)), "")).strip().lower()
    return _SPEAKERS.get(role, role)


def _chat(text: str) -> list[Any] | Mapping[str, Any] | None:
    """Return the chat messages that a text holds as JSON, or as Python or numpy write them; None if it holds none."""
    if not re.match(r"\s*(\[\s*)?\{", text) or not re.search(
        rf"['\"]({'|'.join((*_CONVERSATIONS, *_ROLES))})['\"]", text
    ):
        return None
    for read in (json.loads, lambda cell: ast.literal_eval(re.sub(r"\}\s+\{", "}, {", cell))):
        try:
            found = read(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        parts = found if isinstance(found, list) else [found]
        return found if all(isinstance(part, Mapping) and _is_message(part) for part in parts) else None
    return None


def _is_message(part: Mapping[str, Any]) -> bool:
    return any(isinstance(part.get(name), list) for name in _CONVERSATIONS) or (
        bool(_speaker(part)) and any(name in part for name in _TEXTS)
    )


def _require(items: pd.DataFrame) -> None:
    if absent := [c for c in ITEM if c not in items]:
        raise UserError(f"items lack the columns {', '.join(absent)}; they have {', '.join(map(str, items.columns))}")
