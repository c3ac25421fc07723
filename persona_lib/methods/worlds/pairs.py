"""Pairs of answers that people chose between in conversations of their own, as a world."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ... import UserError, seeds
from ...prompts.bank import normal, side_of
from .world import World, checked

ENDS = ("<|end_of_text|>",)  # marks of a model that some answers of Community Alignment end with
EMPTY = ("", "EMPTY STRING")


class Pair(NamedTuple):
    """One choice: who, the conversation's first message, the messages up to the answer, both answers, and `p` of one.

    `heldout` is the side that the file says, or None.
    """

    persona_id: str
    opening: str
    prompt: str
    one: str | None
    other: str | None
    p: float
    heldout: bool | None = None


def world(name: str, source: str, pairs: Iterable[Pair], people: pd.DataFrame) -> World:
    """Return the world of people's own pairs.

    Args:
        name, source: of the data; the world's `about` says both.
        pairs: pairs without one of the texts, or with the same text twice, are left out, and `about` counts them. The
            same pair of the same person is one choice, their mean. Of a conversation that is held out, turns whose
            prompt quotes an answer to be tested are left out, too: they would tell which one was chosen. No file says
            in which order answers stood, so a hash decides which comes first.
        people: index: ids; attributes. People without a pair are left out.

    Raises:
        UserError: there is no pair of different answers, or as `worlds.checked`.
    """
    rows = pd.DataFrame(pairs, columns=Pair._fields)
    n, whole = len(rows), rows.dropna(subset=["one", "other"])
    rows = whole[whole["one"] != whole["other"]].reset_index(drop=True)
    if rows.empty:
        raise UserError(f"the files of {name} hold no pair of different answers")
    rows["heldout"] = _heldout(rows)
    quotes = _quotes(rows)
    rows = rows[~quotes].reset_index(drop=True)
    rows["prompt_id"] = rows["prompt"].map(lambda text: seeds.digest(normal(text), 16))
    for side in ("one", "other"):
        ids = (rows["prompt_id"] + " " + rows[side]).map(lambda text: seeds.digest(text, 16))
        rows[f"{side}_id"] = ids
    prompts = _prompts(rows)
    sides = [
        rows[["prompt_id", f"{side}_id", side]].set_axis(["prompt_id", "candidate_id", "text"], axis=1)
        for side in ("one", "other")
    ]
    candidates = pd.concat(sides).drop_duplicates("candidate_id").sort_values("candidate_id", ignore_index=True)
    known = people.set_axis(people.index.astype(str), axis=0).rename_axis("persona_id")
    known = known[known.index.isin(rows["persona_id"]) & ~known.index.duplicated()]
    known = known.reindex(known.index.union(rows["persona_id"].unique()))
    lacking = n - len(rows) - int(quotes.sum())
    out = f"; {lacking:,} pairs lack an answer or have one twice" if lacking else ""
    out += f"; {quotes.sum():,} pairs are left out, whose prompts quote tested answers" if quotes.any() else ""
    about = f"{len(known):,} people of {name} ({source}), {len(rows):,} pairs about {len(prompts):,} prompts{out}"
    return checked(World(name, about, known, prompts, candidates, _choices(rows)))


def _prompts(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the prompts with their sides."""
    table = rows[["prompt_id", "prompt"]].assign(prompt_split=np.where(rows["heldout"], "heldout", "train"))
    return table.drop_duplicates("prompt_id", ignore_index=True)


def _quotes(rows: pd.DataFrame) -> pd.Series:
    """Return which pairs of conversations that are held out have a prompt that quotes an answer of another of them."""
    found = pd.Series(False, rows.index)
    held = rows[rows["heldout"]]
    for _, own in held.groupby([held["persona_id"], held["opening"].map(normal)], sort=False):
        answers = {*own["one"], *own["other"]}
        of_prompt = {prompt: any(answer in prompt for answer in answers) for prompt in own["prompt"].unique()}
        found[own.index] = own["prompt"].map(of_prompt)
    return found


def _heldout(rows: pd.DataFrame) -> pd.Series:
    """Return which pairs are held out: all with one opening or none, if the file holds one of them out or by hash."""
    opening = rows["opening"].map(normal)
    told = rows["heldout"].astype("boolean").groupby(opening).max()  # missing where the file says nothing
    drawn = {text: side_of(text) == "heldout" for text in told.index}
    return opening.map(told.fillna(pd.Series(drawn, dtype="boolean"))).astype(bool)


def _choices(rows: pd.DataFrame) -> pd.DataFrame:
    """Return one choice per person and pair; a hash decides which answer comes first."""
    straight = rows["one_id"] < rows["other_id"]
    table = rows[["persona_id", "prompt_id"]].assign(
        a=rows["one_id"].where(straight, rows["other_id"]),
        b=rows["other_id"].where(straight, rows["one_id"]),
        p=rows["p"].where(straight, 1 - rows["p"]),
    )
    table = table.groupby(["persona_id", "prompt_id", "a", "b"], sort=False, as_index=False)["p"].mean()
    ids = (table["persona_id"] + table["a"] + table["b"]).map(lambda text: seeds.digest(text, 16))
    first = ids.map(lambda text: int(text[-1], 16) % 2 == 0)
    return pd.DataFrame(
        {
            "choice_id": ids,
            "persona_id": table["persona_id"],
            "prompt_id": table["prompt_id"],
            "first": table["a"].where(first, table["b"]),
            "second": table["b"].where(first, table["a"]),
            "p_first": table["p"].where(first, 1 - table["p"]),
        }
    )


def written(said: list[tuple[str, str | None]]) -> str:
    """Return a conversation as text: a single question as it is, else each message after who says it."""
    if len(said) == 1:
        return str(said[0][1])
    return "\n\n".join(f"{'User' if role == 'user' else 'Assistant'}: {text}" for role, text in said)


def content(value: Any) -> str | None:
    """Return the text of an answer: a text, a message, or a list of messages, of which the last counts."""
    if isinstance(value, list | tuple | np.ndarray):
        return content(value[-1]) if len(value) else None
    return text(value.get("content")) if isinstance(value, dict) else text(value)


def text(value: Any) -> str | None:
    """Return a text without the blanks and marks around it; None if there is none."""
    if not isinstance(value, str):
        return None
    for end in ENDS:
        value = value.strip().removesuffix(end)
    return None if value.strip() in EMPTY else value.strip()
