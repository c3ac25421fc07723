"""The human study's assignments: which rater sees which questions and answers in which order, and their manifest.

A rater rates one persona's questions; `raters` raters share each persona and its answer pairs, as in the paper's
section 4.2.1. Used by humans.py.
"""

import json
from itertools import pairwise
from pathlib import Path
from typing import Literal, Self

import numpy as np
import pandas as pd
from pydantic import BaseModel, ValidationError, model_validator

from .. import UserError, seeds
from .items import ITEM

FORMAT = "persona-annotation 1"
MANIFEST = "assignments.json"
LETTERS = ("A", "B")
KEY_DIGITS = 28  # of an assignment: the first 12 are its public id


class Question(BaseModel):
    """One question of an assignment: an item by its place in the manifest, or a check (then `item` is missing)."""

    item: int | None
    first: Literal["A", "B"]
    """Where the item's first answer stands; for a check, the answer that it asks for."""


class Assignment(BaseModel):
    """One rater's page: `file` below the folder, `key` of its completion code, the questions in their order."""

    id: str
    file: str
    persona_id: str
    rater: int
    key: str
    questions: list[Question]


class Study(BaseModel):
    """What assignments.json holds: the items in full and the assignments. It tells which answer is which: keep it."""

    format: Literal["persona-annotation 1"]
    seed: int
    raters: int
    post_to: str | None
    items: list[dict[str, str]]
    assignments: list[Assignment]

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if not all(set(ITEM) <= item.keys() for item in self.items):
            raise ValueError("an item lacks a field")
        if any(q.item is not None and not 0 <= q.item < len(self.items) for a in self.assignments for q in a.questions):
            raise ValueError("a question asks for an item that isn't there")
        return self


def save(study: Study, folder: Path) -> None:
    """Write a folder's assignments.json, in ASCII: half of a character pair in an answer has no UTF-8."""
    (folder / MANIFEST).write_text(json.dumps(study.model_dump(), indent=1), "ascii")


def load(folder: str | Path) -> Study:
    """Read a folder's assignments.json.

    Raises:
        UserError: there is none, or it is none of ours.
    """
    path = Path(folder) / MANIFEST
    if not path.is_file():
        raise UserError(f"no {MANIFEST} in {folder}: name the folder that `persona annotate export` wrote")
    try:
        return Study.model_validate_json(path.read_bytes())
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"])) or "the whole"
        raise UserError(f"{path} is damaged ({where}: {error.errors()[0]['msg']}): take a copy of it") from None


def assign(items: pd.DataFrame, raters: int, seed: int, checks: int) -> list[Assignment]:
    """All assignments; a persona's depend on its own items and the seed alone, so that adding personas moves none."""
    assigned = []
    for persona, own in items.groupby("persona_id", sort=False):
        digest = seeds.digest(json.dumps([seed, checks, own.to_dict("records")]), KEY_DIGITS)
        rng = seeds.rng("orders of a rater", seed, int(digest, 16))
        # 1: the first answer stands at B; every second rater sees the opposite of the one before
        halves = [rng.permutation(np.arange(len(own)) % 2) for _ in range(0, raters, 2)]
        for rater in range(raters):
            half = halves[rater // 2] ^ rater % 2
            order = rng.permutation(len(own))
            questions = [Question(item=int(own.index[i]), first=LETTERS[half[i]]) for i in order]
            key = seeds.digest(f"{digest} {rater}", KEY_DIGITS)
            names = {"id": key[:12], "file": f"pages/{key[:12]}.html", "key": key[12:]}
            shown = _with_checks(questions, checks, rng)
            assigned.append(Assignment(**names, persona_id=persona, rater=rater, questions=shown))
    return assigned


def _with_checks(questions: list[Question], checks: int, rng: np.random.Generator) -> list[Question]:
    """Checks put among the questions: one at a random place in each of so many equal stretches, never the first."""
    edges = np.linspace(1, len(questions) + 1, checks + 1).astype(int)
    for start, end in reversed(list(pairwise(edges))):  # from the back, so that no place moves
        check = Question(item=None, first=LETTERS[rng.integers(2)])
        questions.insert(int(rng.integers(start, max(end, start + 1))), check)
    return questions
