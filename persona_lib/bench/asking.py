"""Ask the same question of a model for a persona and for the same persona with something changed.

The requests are those of `conditions`: what the bench has asked already comes from the store, and what is asked here,
too, the next time. The rows are of the form that `conditions.conditioning` returns, so that whatever reads the results
of notebook 06 reads them.
"""

from difflib import SequenceMatcher
from html import escape
from pathlib import Path

import pandas as pd

from .. import UserError, files
from ..model import LanguageModel
from ..personas import editing, profiles
from ..personas.psychographics import ADULT
from ..prompts.bank import prompt_id
from .conditions import answered

OWN = "own question"  # the topic of a question that is of no list
NOT_JUDGED = "critic: not asked"
ITEM = ["persona_id", "prompt_id", "condition", "model", "answer_key"]
VERDICT = {"judge": "str", "verdict": "str", "score": "float"}  # what readers look for, missing where none was asked


def ask_both(
    person: pd.Series,
    changed: pd.Series,
    question: str,
    writer: LanguageModel,
    condition: str = "direct",
    words: int | None = 120,
    templates: str | None = None,
    profile_form: profiles.Form = "list",
) -> pd.DataFrame:
    """Answer a question for a persona and for its changed version; no judge is asked.

    Args:
        person, changed: rows of personas; `changed` as `personas.editing.edited` returns it.
        question: what is asked, the same for both.
        writer, condition, words, templates: as in `bench.answered`, one condition.
        profile_form: how both are written.

    Returns:
        Two rows, the person's first, of the columns of `bench.answered`, with `edited` (what is changed, missing in the
        first) and `failure` (of the answer; or that there is no verdict yet: `judged` of this table gives one).

    Raises:
        UserError: there is no question, one of both is below 18, or as in `bench.answered`.
    """
    if not question.strip():
        raise UserError("there is no question to ask: write one")
    both = pd.DataFrame([person, changed]).rename_axis("persona_id")
    if "age" in both and (both["age"] < ADULT).any():
        raise UserError(f"nobody below {ADULT} is asked: choose an adult, and an age from {ADULT}")
    drawn = pd.DataFrame(
        {
            "persona_id": both.index.astype("str"),
            "profile": profiles.texts(both, profile_form).to_numpy(),
            "profile_form": profile_form,
            "profile_order": profiles.order_name(None),
            "prompt_id": prompt_id(question),
            "prompt": question.strip(),
            "topic": OWN,
        }
    )
    drawn[editing.EDITED] = pd.Series([None, changed[editing.EDITED]], dtype="str")
    table = answered(drawn, [writer], [condition], words, templates)
    return table.assign(failure=table["answer_failure"].radd("answer: ").fillna(NOT_JUDGED))


def keep(table: pd.DataFrame, path: str | Path) -> int:
    """Add rows to a file, parquet or CSV; a row of the same answer (ITEM) takes the place of an older one.

    A row without a verdict takes nobody's place.

    Args:
        table: as `ask_both` or `judged` returns it.
        path: of the file; it is made if it is missing, with its folder.

    Returns:
        How many rows the file has now.

    Raises:
        UserError: the file is no such table, or its name ends otherwise.
    """
    path = Path(path)
    if path.suffix not in (".parquet", ".csv"):
        raise UserError(f"{path} can't be written: its name must end in .parquet or .csv")
    without = {name: pd.Series(index=table.index, dtype=of) for name, of in VERDICT.items() if name not in table}
    table = table.assign(**without)
    if path.exists():
        old = pd.read_csv(path, dtype=dict.fromkeys(ITEM, "str")) if path.suffix == ".csv" else files.read_table(path)
        if missing := [name for name in ITEM if name not in old]:
            raise UserError(f"{path} is no table of answers, it has no {missing[0]}: name another file")
        scored = table["verdict"].notna()
        table = pd.concat([table[~scored], old, table[scored]]).drop_duplicates(ITEM, keep="last", ignore_index=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    write = table.to_csv if path.suffix == ".csv" else table.to_parquet
    files.write(path, lambda half: write(half, index=False))
    return len(table)


def marked(first: str, second: str) -> tuple[str, str]:
    """Return two texts as HTML, with the words marked that the other one does not have in this place."""
    ours, theirs = (text.split() for text in (first, second))
    left: list[str] = []
    right: list[str] = []
    for tag, i, j, k, m in SequenceMatcher(None, ours, theirs, autojunk=False).get_opcodes():
        for words, parts in ((ours[i:j], left), (theirs[k:m], right)):
            text = escape(" ".join(words))
            if text:
                parts.append(text if tag == "equal" else f"<mark>{text}</mark>")
    return " ".join(left), " ".join(right)
