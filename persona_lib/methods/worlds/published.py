"""Published preferences of real people as worlds: PRISM, PersonalRewardBench and Community Alignment.

Each is read from the files as their authors publish them on the Hugging Face hub. A conversation is one side of the
split with all its turns, and so are all conversations that open alike; people are split by hash. In all three the texts
of both answers are taken out of their lists and objects in the same way: PersonalRewardBench has chosen answers within
lists and rejected ones without, and a program that writes both as they are can tell them apart by that.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ... import UserError, files
from . import world as worlds
from .pairs import Pair, content, text, world, written
from .world import World

TURNS = ("first", "second", "third", "fourth")
LETTERS = ("a", "b", "c", "d")
_OPENING = "conversations"  # PRISM's table of conversations
ATTRIBUTES = {  # of PRISM's survey; of an object, the part that is named
    "age": None,
    "gender": None,
    "education": None,
    "employment_status": None,
    "marital_status": None,
    "english_proficiency": None,
    "ethnicity": "simplified",
    "religion": "simplified",
    "location": "reside_region",
}
IN_WORDS = {"self_description": "about themselves", "system_string": "wants of an assistant"}
ANNOTATOR = ("age", "gender", "education_level", "political", "ethnicity", "country")  # after annotator_


def prism(folder: str | Path) -> World:
    """Read PRISM (Kirk et al. 2024, arXiv 2404.16019): survey.jsonl and conversations.jsonl.

    Of each turn, the answer with which a participant went on is compared with each other one, by the scores that both
    got from 1 to 100; equal scores are a tie. The columns are those of the data card and the readers of
    https://github.com/HannahKirk/prism-alignment: `user_id`, `opening_prompt`, and `conversation_history` with `turn`,
    `role` (user or model), `content`, `score`, `if_chosen`.

    Args:
        folder: with both files.

    Raises:
        UserError: a file is missing, or lacks a column.
    """
    conversations, survey = (_one(folder, name) for name in (_OPENING, "survey"))
    _need(conversations, ("user_id", "conversation_history"), f"{folder}: {_OPENING}")
    _need(survey, ("user_id",), f"{folder}: survey")
    pairs = (
        pair
        for user, history in zip(conversations["user_id"], conversations["conversation_history"], strict=True)
        for pair in _of_conversation(str(user), history)
    )
    people = survey.set_index("user_id")
    known = pd.DataFrame(
        {
            name: people[name].map(lambda cell, part=part: _part(cell, part))
            for name, part in ATTRIBUTES.items()
            if name in people
        }
    )
    texts = {said: people[name].map(text) for name, said in IN_WORDS.items() if name in people}
    profile = known.assign(**texts).apply(worlds.lines, axis=1)
    return world("PRISM", "Kirk et al. 2024", pairs, known.assign(profile=profile))


def personal_reward_bench(place: str | Path) -> World:
    """Read PersonalRewardBench (Ryan et al. 2025, arXiv 2506.05598): PRISM's or Chatbot Arena's part.

    On the hub these are MichaelR207/prism_personalized_0125 and chatbot_arena_personalized_0125. The columns are those
    of the README and examples/prism.ipynb of https://github.com/SALT-NLP/SynthesizeMe: `user_id`, `context` (messages
    with `role` and `content`), `chosen`, `rejected`, and `split` (train, val or test). Conversations with a pair of
    `test` are held out, so that the published test is tested.

    Args:
        place: one of its tables, or the folder with all.

    Raises:
        UserError: there is no such table.
    """
    needed = ("user_id", "context", "chosen", "rejected")
    tables = [table for path in _tables(place) if set(needed) <= set(table := files.read_table(path))]
    if not tables:
        raise UserError(f"{place} has no table with the columns {', '.join(needed)}")
    rows = pd.concat(tables, ignore_index=True)
    split = rows["split"] if "split" in rows else pd.Series(None, rows.index, dtype="object")
    pairs = (
        Pair(
            str(user),
            content(context[:1]) or "",
            written([(message["role"], text(message["content"])) for message in context]),
            content(chosen),
            content(rejected),
            1.0,
            None if pd.isna(part) else part == "test",
        )
        for user, context, chosen, rejected, part in zip(
            rows["user_id"], rows["context"], rows["chosen"], rows["rejected"], split, strict=True
        )
        if len(context)
    )
    people = pd.DataFrame(index=pd.Index(rows["user_id"].astype(str).unique()))
    return world("PersonalRewardBench", "Ryan et al. 2025", pairs, people)


def community_alignment(place: str | Path, language: str | None = "en") -> World:
    """Read Community Alignment (Zhang et al. 2025, arXiv 2507.09650): facebook/community-alignment-dataset on the hub.

    Of each turn, the preferred one of four answers is compared with the others. The columns, as public programs read
    them (the data's own page could not be looked at): `annotator_id`, `assigned_lang`, for the turns first to fourth
    `first_turn_prompt`, `first_turn_response_a` to `_d` and `first_turn_preferred_response` (such as response_b), and
    `annotator_age`, `_gender`, `_education_level`, `_political`, `_ethnicity`, `_country`. Many first prompts were put
    to many people with the same answers.

    Args:
        place: the table, or a folder with it.
        language: code of the conversations to read; None for all.

    Raises:
        UserError: there is no such table, or nothing is in this language.
    """
    needed = ("annotator_id", "first_turn_prompt", "first_turn_preferred_response")
    tables = [table for path in _tables(place) if set(needed) <= set(table := files.read_table(path))]
    if not tables:
        raise UserError(f"{place} has no table with the columns {', '.join(needed)}")
    rows = pd.concat(tables, ignore_index=True)
    if language is not None and "assigned_lang" in rows:
        rows = rows[rows["assigned_lang"] == language]
    if rows.empty:
        raise UserError(f"{place} has no conversation in the language '{language}'")
    pairs = (pair for row in rows.to_dict("records") for pair in _of_row(row))
    people = rows.drop_duplicates("annotator_id").set_index("annotator_id")
    names = {f"annotator_{name}": name.replace("_", " ") for name in ANNOTATOR}
    known = people[[name for name in names if name in people]].rename(columns=names).map(text)
    return world("Community Alignment", "Zhang et al. 2025", pairs, known)


def load(place: str | Path) -> World:
    """Read a world from its folder (`worlds.load`), or from files of published preferences, told by their columns.

    Raises:
        UserError: as `worlds.load` and the readers.
    """
    return (reader(place) or worlds.load)(place)


def reader(place: str | Path) -> Callable[[str | Path], World] | None:
    """Return the reader of a file or folder of published preferences, by its columns; None if it is none."""
    tables = list(_tables(place))
    if {_OPENING, "survey"} <= {path.name.split(".")[0] for path in tables}:
        return prism
    for path in tables:
        names = set(files.columns(path))
        if {"user_id", "context", "chosen", "rejected"} <= names:
            return personal_reward_bench
        if {"annotator_id", "first_turn_preferred_response"} <= names:
            return community_alignment
    return None


def _of_conversation(user: str, history: Iterable[Mapping[str, Any]]) -> Iterator[Pair]:
    """Yield the pairs of a conversation of PRISM, up to the first turn without an answer that was gone on with."""
    turns: dict[int, list[Mapping[str, Any]]] = {}
    for message in history:
        turns.setdefault(int(message["turn"]), []).append(message)
    said: list[tuple[str, str | None]] = []
    for _, messages in sorted(turns.items()):
        asked = [text(message["content"]) for message in messages if message["role"] == "user"]
        answers = [message for message in messages if message["role"] != "user"]
        chosen = next((message for message in answers if message.get("if_chosen")), None)
        if not asked or asked[0] is None or chosen is None:
            return
        said.append(("user", asked[0]))
        for other in answers:
            if other is not chosen:
                p = _scored(chosen.get("score"), other.get("score"))
                texts = (text(chosen["content"]), text(other["content"]))
                yield Pair(user, str(said[0][1]), written(said), *texts, p)
        said.append(("assistant", text(chosen["content"])))


def _scored(one: Any, other: Any) -> float:
    """Return whether the answer that was gone on with has the higher score; without both scores it was preferred."""
    if pd.isna(one) or pd.isna(other):
        return 1.0
    return (float(np.sign(float(one) - float(other))) + 1) / 2


def _of_row(row: Mapping[str, Any]) -> Iterator[Pair]:
    """Yield the pairs of a conversation of Community Alignment, up to the first turn without a preference."""
    said: list[tuple[str, str | None]] = []
    for turn in TURNS:
        prompt = text(row.get(f"{turn}_turn_prompt"))
        answers = {f"response_{x}": text(row.get(f"{turn}_turn_response_{x}")) for x in LETTERS}
        preferred = answers.pop(str(row.get(f"{turn}_turn_preferred_response")), None)
        if prompt is None or preferred is None:
            return
        said.append(("user", prompt))
        for other in answers.values():
            yield Pair(str(row["annotator_id"]), str(said[0][1]), written(said), preferred, other, 1.0)
        said.append(("assistant", preferred))


def _part(cell: Any, part: str | None) -> str | None:
    """Return a cell's text, or that of the named part of an object."""
    return text(cell.get(part) if isinstance(cell, dict) and part else cell)


def _tables(place: str | Path) -> Iterator[Path]:
    """Yield the tables of a folder and of the folders in it, or the one that is named."""
    path = Path(place)
    found = sorted([*path.glob("*"), *path.glob("*/*")]) if path.is_dir() else [path]
    yield from (one for one in found if one.is_file() and files.is_table(one))


def _one(folder: str | Path, name: str) -> pd.DataFrame:
    found = [path for path in _tables(folder) if path.name.split(".")[0] == name]
    if not found:
        raise UserError(f"{folder} has no table '{name}' (such as {name}.jsonl)")
    return files.read_table(found[0])


def _need(table: pd.DataFrame, names: tuple[str, ...], where: str) -> None:
    if missing := [name for name in names if name not in table]:
        raise UserError(f"{where} lacks the columns {', '.join(missing)}")
