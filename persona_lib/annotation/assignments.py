"""The human study's assignments: which rater sees which questions and answers, in which order; and their manifest.

Each rater rates the questions of one persona. `raters` raters share a persona and its answer pairs, as in section 4.2.1
of the paper.
"""

import json
from itertools import pairwise
from pathlib import Path
from typing import Literal, Self

import numpy as np
import pandas as pd
from pydantic import BaseModel, ValidationError, model_validator

from .. import UserError, files, seeds
from .items import ITEM

Letter = Literal["A", "B"]

FORMAT: Literal["persona-annotation 1"] = "persona-annotation 1"
MANIFEST = "assignments.json"
LETTERS: tuple[Letter, Letter] = ("A", "B")
KEY_DIGITS = 28  # hex digits of an assignment's hash: the first 12 are its public id, the others its key


class Question(BaseModel):
    """One question of an assignment: an item by its place in the manifest, or an attention check (`item` is None)."""

    item: int | None
    first: Letter
    """Where the item's first answer is shown; for a check, the answer to choose."""


class Assignment(BaseModel):
    """One rater's page: its `file` below the folder, the `key` of its completion code, its questions in order."""

    id: str
    file: str
    persona_id: str
    rater: int
    key: str
    questions: list[Question]


class Study(BaseModel):
    """The content of assignments.json: the items in full, and the assignments.

    It reveals which answer is which, so it must not be published.
    """

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
        asked = [question.item for assignment in self.assignments for question in assignment.questions]
        if any(item is not None and not 0 <= item < len(self.items) for item in asked):
            raise ValueError("a question asks for an item that isn't there")
        return self


def save(study: Study, folder: Path) -> None:
    """Write a folder's assignments.json, in ASCII: UTF-8 can't encode half a surrogate pair, which a text may hold."""
    files.write_text(folder / MANIFEST, json.dumps(study.model_dump(), indent=1))


def load(folder: str | Path) -> Study:
    """Read a folder's assignments.json.

    Raises:
        UserError: the file is missing or damaged.
    """
    path = Path(folder) / MANIFEST
    if not path.is_file():
        raise UserError(f"no {MANIFEST} in {folder}: name the folder that `persona annotate export` wrote")
    try:
        return Study.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise UserError(
            f"{path} is damaged ({files.first_error(error, 'the whole')}): restore it from a copy"
        ) from None


def assign(items: pd.DataFrame, raters: int, seed: int, checks: int) -> list[Assignment]:
    """Make all assignments.

    A persona's assignments depend only on its own items and the seed, so that adding personas changes no others.

    Args:
        items: as returned by `items.checked`.
        raters: pages per persona.
        seed: of all orders.
        checks: attention checks per page.
    """
    assigned = []
    for persona, own in items.groupby("persona_id", sort=False):
        digest = seeds.digest(json.dumps([seed, checks, own.to_dict("records")]), KEY_DIGITS)
        rng = seeds.rng("orders of a rater", seed, int(digest, 16))
        # Per item, 1 if the first answer is shown as B: half of the items. Raters come in pairs with opposite places.
        halves = [rng.permutation(np.arange(len(own)) % 2) for _ in range(0, raters, 2)]
        for rater in range(raters):
            half = halves[rater // 2] ^ rater % 2
            order = rng.permutation(len(own))
            questions = [Question(item=int(own.index[i]), first=LETTERS[half[i]]) for i in order]
            key = seeds.digest(f"{digest} {rater}", KEY_DIGITS)
            assigned.append(
                Assignment(
                    id=key[:12],
                    file=f"pages/{key[:12]}.html",
                    persona_id=persona,
                    rater=rater,
                    key=key[12:],
                    questions=_with_checks(questions, checks, rng),
                )
            )
    return assigned


def _with_checks(questions: list[Question], checks: int, rng: np.random.Generator) -> list[Question]:
    """Insert attention checks: one at a random place in each of `checks` equal stretches, never as first question."""
    edges = np.linspace(1, len(questions) + 1, checks + 1).astype(int)
    for start, end in reversed(list(pairwise(edges))):  # from the back: an insertion moves no earlier place
        check = Question(item=None, first=LETTERS[rng.integers(2)])
        questions.insert(int(rng.integers(start, max(end, start + 1))), check)
    return questions
