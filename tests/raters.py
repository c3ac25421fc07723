"""Stand-in raters: items of a small study, and the files that raters would hand in, made without a browser."""

import json
from pathlib import Path

import pandas as pd

from persona_lib.annotation import submissions
from persona_lib.annotation.assignments import Assignment, Study

BEGAN = 1_790_000_000_000  # some day in 2026


def items(personas: int = 2, questions: int = 8) -> pd.DataFrame:
    """Return items: each persona with each question and two answers."""
    return pd.DataFrame(
        {
            "persona_id": f"p{p}",
            "profile": f"age: {30 + p}\nreligion: none\nself description: likes order",
            "prompt_id": f"q{q}",
            "prompt": f"Should I do {q}?",
            "first": f"No, {q} is too much.",
            "second": f"Yes, {q} is fine.",
            "pair_id": f"r{p}-{q}",
        }
        for p in range(personas)
        for q in range(questions)
    )


def content(study: Study, assignment: Assignment, prefers="second", **changes) -> dict:
    """Return what the assignment's page offers for download; `prefers` is first, second or a function of the item."""
    answers = []
    for n, question in enumerate(assignment.questions):
        letter = question.first
        if question.item is not None:
            wanted = prefers(study.items[question.item]) if callable(prefers) else prefers
            letter = question.first if wanted == "first" else {"A": "B", "B": "A"}[question.first]
        answers.append({"at": BEGAN + 20_000 * (n + 1), "choice": letter, "ms": 15_000, "reason": f"it fits {n}"})
    given = {
        "agreed": BEGAN + 5000,
        "answers": answers,
        "assignment": assignment.id,
        "finished": BEGAN + 20_000 * (len(answers) + 2),
        "format": "persona-annotation 1",
        "participant": None,
        "session": "5e55",
        "started": BEGAN,
    }
    return given | changes


def signed(assignment: Assignment, given: dict) -> dict:
    """Add the completion code."""
    return {"code": submissions.code(assignment.key, given)} | given


def hand_in(path: Path, study: Study, assignment: Assignment, prefers="second", **changes) -> Path:
    """Write the file of one rater."""
    path.write_text(json.dumps(signed(assignment, content(study, assignment, prefers, **changes))))
    return path
