"""Answers that exist already: read from a table and put into the form that the critic judges."""

from pathlib import Path

import pandas as pd

from .. import UserError, files
from ..judges import verdicts
from ..model import LanguageModel
from ..personas import profiles

KEYS = ["persona_id", "prompt_id"]
NEEDED = ["persona_id", "prompt", "answer"]
GROUPS = ("condition", "model")  # what rates are told apart by


def read(path: str | Path, people: pd.DataFrame | None = None) -> pd.DataFrame:
    """Read answers from a table with the columns NEEDED, in any spelling.

    Args:
        path: of the file. Optional columns: `profile` (the person as text, as the critic reads it), `prompt_id` (else
            each text is a prompt of its own), `condition`, `model`. Others are kept.
        people: index `persona_id`; their profiles are used where the file has no column `profile`.

    Returns:
        A row per answer: the columns of the file, `profile`, `prompt_id`, and `condition` and `model`, 'given' where
        the file does not say them. A row without an answer stays: it is not judged.

    Raises:
        UserError: the file cannot be read, lacks a column, names no person or prompt in a row, or has the keys of an
            answer twice; or a person has no profile.
    """
    table = files.read_table(path, [*KEYS, *GROUPS], ["prompt", "answer", "profile"]).replace("", None)
    if lacking := [name for name in NEEDED if name not in table]:
        raise UserError(f"{path} lacks {', '.join(lacking)}: it needs the columns {', '.join(NEEDED)}")
    if table.empty or table[["persona_id", "prompt"]].isna().any(axis=None):
        raise UserError(f"{path} has a row without persona_id or prompt, or no row: fill it in")
    if "profile" not in table:
        if people is None:
            raise UserError(f"{path} has no column profile: add it, or name the people with --personas FILE")
        table["profile"] = table["persona_id"].map(profiles.texts(people))
    if len(unknown := table.loc[table["profile"].isna(), "persona_id"]):
        raise UserError(f"there is no profile of {unknown.iloc[0]} ({len(unknown)} rows): add it to the people")
    table["prompt_id"] = table["prompt_id"] if "prompt_id" in table else table["prompt"]
    for name in GROUPS:
        table[name] = table[name].fillna("given") if name in table else "given"
    keys = [*KEYS, *GROUPS, *(["sample"] if "sample" in table else [])]
    if table.duplicated(keys).any():
        raise UserError(f"{path} has two answers with the same {', '.join(keys)}: tell them apart by a column sample")
    return table


def judged(answers: pd.DataFrame, judge: LanguageModel, templates: str | None = None) -> pd.DataFrame:
    """Let the critic judge answers that exist already: one call per answer.

    Args:
        answers: as returned by `read`.
        judge, templates: as in `judges.critic`.

    Returns:
        The columns of `answers`, those of `judges.critic` but `judge_failure`, and `failure` (why there is no score).
    """
    told = answers[answers["answer"].notna()]
    table = answers.join(verdicts.critic(judge, told.sort_values("persona_id", kind="stable"), templates))
    failure = table.pop("judge_failure").radd("critic: ")
    return table.assign(failure=failure.mask(table["answer"].isna(), "no answer in the file"))
