"""Candidate answers that are written to diverge: for different people, and by one request for several at once."""

from collections.abc import Iterable
from typing import Any

import pandas as pd
from pydantic import BaseModel, create_model

from ... import seeds
from ...model import LanguageModel
from ...personas import profiles
from ...templates import load as load_template
from ...templates import text


def written(
    people: pd.DataFrame,
    prompts: pd.DataFrame,
    writer: LanguageModel,
    answers: int,
    words: int | None,
    templates: str | None,
) -> pd.DataFrame:
    """Write answers to each prompt: half of them for different people of the training side, if there are so many.

    One request asks for the others.

    Args:
        people, prompts, writer, answers, words, templates: as in `choices.world`.

    Returns:
        One row per answer: `candidate_id`, `prompt_id`, `text` (missing with `failure`), `written_for` (the person, or
        missing), `failure`, `place` (0, 1, ... within the prompt, by a hash).

    Raises:
        UserError: as `LanguageModel.ask`.
    """
    trained = people[people["persona_split"] == "train"]
    n = min(answers // 2, len(trained))
    parts = [
        _for_people(trained, prompts, writer, n, words, templates),
        _by_one_request(prompts, writer, answers - n, words, templates),
    ]
    table = pd.concat(parts, ignore_index=True)
    named = table["prompt_id"] + " " + table.groupby("prompt_id").cumcount().astype(str)
    table.insert(0, "candidate_id", named.map(lambda name: seeds.digest(f"candidate {name}", 16)))
    table = table.sort_values(["prompt_id", "candidate_id"], ignore_index=True)
    return table.assign(place=table.groupby("prompt_id").cumcount())


def _for_people(
    people: pd.DataFrame, prompts: pd.DataFrame, writer: LanguageModel, n: int, words: int | None, templates: str | None
) -> pd.DataFrame:
    """Write an answer for each of n people, whom a hash chooses for each prompt."""
    rows = [
        (row.prompt_id, row.prompt, person)
        for row in prompts.itertuples()
        for person in sorted(people.index, key=lambda i: seeds.digest(f"written for {row.prompt_id} {i}"))[:n]
    ]
    table = pd.DataFrame(rows, columns=["prompt_id", "prompt", "written_for"])
    told = profiles.texts(people.loc[table["written_for"].unique()])
    template = load_template("direct", templates)
    messages = (
        template.messages({"persona": told[person], "question": prompt, "words": words}) for _, prompt, person in rows
    )
    kind = _kind(template.reply, words)
    replies = writer.ask(list(messages), kind, step="answers for people")
    said = [getattr(reply.value, template.reply[-1], None) for reply in replies]
    return table.drop(columns="prompt").assign(text=said, failure=[reply.failure for reply in replies])


def _by_one_request(
    prompts: pd.DataFrame, writer: LanguageModel, n: int, words: int | None, templates: str | None
) -> pd.DataFrame:
    """Write n answers to each prompt by one request that asks for answers that diverge."""
    fields = [f"answer_{i + 1}" for i in range(n)]
    template = load_template("diverge", templates)
    fixed = {"n": n, "fields": ", ".join(fields), "words": words}
    messages = [template.messages({"question": prompt} | fixed) for prompt in prompts["prompt"]]
    kind = _kind(fields, words)
    replies = writer.ask(messages, kind, step="answers that diverge")
    rows = [
        (prompt, getattr(reply.value, field, None), reply.failure)
        for prompt, reply in zip(prompts["prompt_id"], replies, strict=True)
        for field in fields
    ]
    return pd.DataFrame(rows, columns=["prompt_id", "text", "failure"]).assign(written_for=None)


def _kind(fields: Iterable[str], words: int | None) -> type[BaseModel]:
    """Return the schema of a reply whose fields are texts of the length asked for."""
    kinds: dict[str, Any] = {field: (text(words), ...) for field in fields}
    return create_model("Answers", **kinds)
