"""Preference pairs by critique and revision, after Direct Principle Feedback. Section 3.2 of the paper.

A base answer is written without a persona, once per prompt. Each persona criticizes it, and the base answer is revised
by that critique. The revision is the chosen answer, the base answer the rejected one.
"""

import re
from collections.abc import Iterator
from difflib import SequenceMatcher
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from pydantic import BaseModel, create_model

from .. import seeds
from ..attributes import NAMES
from ..model import LanguageModel, Messages
from ..personas import profiles
from ..prompts.words import count, split
from ..templates import Template, text
from ..templates import load as load_template

_REFUSES = re.compile(r"^\W*(?:i'?m sorry|i am sorry|sorry|i can(?:no|')t|i am unable|as an ai)\b", re.IGNORECASE)
_TAIL = re.compile(r"[,;:(]| alone\b| or ")  # where the part of a label begins that nobody would quote
COLUMNS = (
    *("pair_id", "persona_id", "prompt_id", "persona_split", "prompt_split", "use", "topic", "prompt", "rejected"),
    *("critique", "chosen", "generator", "templates", "longer", "identical", "refuses", "quotes", "failure"),
    *("critique_key", "revision_key"),
)
FEWEST_LETTERS = 4  # of a value that counts as quoted: everybody says 'Yes' and 'No'


def base_answers(
    prompts: pd.DataFrame, writer: LanguageModel, words: int | None = 120, templates: str | None = None
) -> pd.DataFrame:
    """Answer each prompt without a persona, once for all personas.

    Args:
        prompts: columns `prompt_id`, `prompt`.
        writer: the model that answers.
        words: the most words asked for; None asks for no length. A longer answer is an answer.
        templates: folder with the user's own `baseline.txt`.

    Returns:
        Index `prompt_id`; columns `rejected` (the answer, missing where it failed), `base_failure` (the reason).
    """
    asked = base_requests(prompts, words, templates)
    texts, failures, _ = _answered(asked, writer)
    answers = {"rejected": texts, "base_failure": failures}
    return pd.DataFrame(answers, dtype="str").set_axis(pd.Index(prompts["prompt_id"], name="prompt_id"))


def revise(
    dealt: pd.DataFrame,
    people: pd.DataFrame,
    prompts: pd.DataFrame,
    base: pd.DataFrame,
    writer: LanguageModel,
    words: int | None = 120,
    templates: str | None = None,
) -> pd.DataFrame:
    """Let each persona criticize the base answers to its prompts, and revise them by that: two calls per pair.

    Args:
        dealt: columns `persona_id`, `prompt_id`, `use`, as returned by `splits.deal`.
        people: personas, index `persona_id`; a column `persona_split` is copied to the pairs.
        prompts: columns `prompt_id`, `prompt`, `topic`, `prompt_split`.
        base: as returned by `base_answers`.
        writer: the model that criticizes and revises.
        words: the most words asked for in a critique. A revision is asked to have about as many as the base answer.
            None asks for no number of words in either.
        templates: folder with the user's own `critique.txt` and `revision.txt`.

    Returns:
        One row per dealt pair, in their order: `pair_id` (hash), `persona_id`, `prompt_id`, `persona_split`,
        `prompt_split`, `use`, `topic`, `prompt`, `rejected`, `critique`, `chosen`, `generator`, `templates` (hash of
        the wording), the columns of `checks`, `failure` (why there is no pair, or missing), and `critique_key` and
        `revision_key` (of the replies in the store, see `Reply.key`).
    """
    table = items(dealt, people, prompts, base)
    table = refined(table, writer, words, templates)
    keys = table["persona_id"] + table["prompt_id"] + f"|{writer.name}|{words}|" + table["templates"]
    table["pair_id"] = [seeds.digest(key, 16) for key in keys]
    side = people["persona_split"] if "persona_split" in people else pd.Series(None, people.index, dtype="str")
    table["persona_split"] = table["persona_id"].map(side).astype("str")
    return table.join(checks(table, people))[list(COLUMNS)]


def items(dealt: pd.DataFrame, people: pd.DataFrame, prompts: pd.DataFrame, base: pd.DataFrame) -> pd.DataFrame:
    """Add to each dealt pair what `refine` needs: `profile`, `prompt`, `rejected`; arguments as in `revise`."""
    table = dealt.merge(prompts[["prompt_id", "prompt", "topic", "prompt_split"]], how="left", on="prompt_id")
    shown = profiles.texts(people.loc[table["persona_id"].unique()])
    return table.join(base, on="prompt_id").assign(profile=table["persona_id"].map(shown))


def refine(
    items: pd.DataFrame, writer: LanguageModel, words: int | None = 120, templates: str | None = None
) -> pd.DataFrame:
    """Let the model criticize answers in the role of a profile, and revise them by that: two calls per item.

    Args:
        items: columns `profile`, `prompt`, `rejected` (the answer; if it is missing, nothing is asked).
        writer, words, templates: as in `revise`.

    Returns:
        The index of `items`; columns `critique`, `chosen`, `generator`, `templates` (hash of the wording), `failure`,
        `critique_key`, `revision_key`.
    """
    said, no_critique, of_critique = _answered(critique_requests(items, words, templates), writer)
    chosen, no_revision, of_revision = _answered(revision_requests(items, said, words, templates), writer)
    return pd.DataFrame(
        {
            "critique": said,
            "chosen": chosen,
            "generator": writer.name,
            "templates": "".join(load_template(name, templates).sha256 for name in ("critique", "revision")),
            "failure": no_critique.radd("critique: ").fillna(no_revision.radd("revision: ")),
            "critique_key": of_critique,
            "revision_key": of_revision,
        }
    )


def refined(
    items: pd.DataFrame, writer: LanguageModel, words: int | None = 120, templates: str | None = None
) -> pd.DataFrame:
    """Add the columns of `refine` to items; where the base answer failed, `failure` says so.

    Args:
        items: as in `refine`, with the columns of `base_answers`; `base_failure` is removed.
        writer, words, templates: as in `revise`.
    """
    table = items.join(refine(items, writer, words, templates))
    of_base = table.pop("base_failure").radd("base answer: ")
    return table.assign(failure=of_base.fillna(table["failure"]))


class Requests(NamedTuple):
    """The requests of one step."""

    template: Template
    values: pd.DataFrame
    """The template's values, one row per item that has all of them."""
    index: pd.Index
    """Of all items, also those that nothing is asked about."""
    schema: type[BaseModel]

    @property
    def step(self) -> str:
        """The step's name in progress and usage."""
        return "base answers" if self.template.name == "baseline" else f"{self.template.name}s"

    @property
    def messages(self) -> Iterator[Messages]:
        """The chat messages of each row of `values`."""
        return (self.template.messages(row) for row in self.values.to_dict("records"))


def base_requests(prompts: pd.DataFrame, words: int | None = 120, templates: str | None = None) -> Requests:
    """Return the requests of `base_answers`."""
    return _requests("baseline", {"question": prompts["prompt"]}, prompts.index, words, templates)


def critique_requests(items: pd.DataFrame, words: int | None = 120, templates: str | None = None) -> Requests:
    """Return the first requests of `refine`: for critiques."""
    known = {"persona": items["profile"], "question": items["prompt"], "answer": items["rejected"]}
    return _requests("critique", known, items.index, words, templates)


def critiques(
    items: pd.DataFrame, writer: LanguageModel, words: int | None = 120, templates: str | None = None
) -> pd.Series:
    """Return the critiques of `refine` alone, missing where the step failed."""
    return _answered(critique_requests(items, words, templates), writer)[0]


def revision_requests(
    items: pd.DataFrame, critiques: pd.Series, words: int | None = 120, templates: str | None = None
) -> Requests:
    """Return the second requests of `refine`: for revisions by the critiques.

    A revision is asked for in as many words as the base answer has, so that length does not give the chosen answer
    away. `words` is what the base answer was asked for in; None names no number to the reviser either.
    """
    known = {"persona": items["profile"], "question": items["prompt"], "answer": items["rejected"]}
    asked = _requests("revision", known | {"critique": critiques}, items.index, words, templates)
    if words is None:
        return asked
    return asked._replace(values=asked.values.assign(words=asked.values["answer"].map(count)))


def _requests(
    name: str, known: dict[str, pd.Series], index: pd.Index, words: int | None, templates: str | None
) -> Requests:
    """Fill a template for each item that has all values; the reply's fields are texts of about `words` words."""
    template = load_template(name, templates)
    fields: dict[str, Any] = {field: (text(words), ...) for field in template.reply}
    values = pd.DataFrame(known, index=index).dropna().assign(words=words)
    return Requests(template, values, index, create_model(name.title(), **fields))


def _answered(asked: Requests, writer: LanguageModel) -> list[pd.Series]:
    """Return the texts, the failures and the replies' keys of all items, each missing where nothing was asked."""
    replies = writer.ask(list(asked.messages), schema=asked.schema, step=asked.step)
    field = asked.template.reply[-1]
    said = [getattr(reply.value, field) if reply.value else None for reply in replies]
    columns = said, [reply.failure for reply in replies], [reply.key for reply in replies]
    return [pd.Series(own, asked.values.index, dtype="str").reindex(asked.index).astype("str") for own in columns]


def checks(pairs: pd.DataFrame, people: pd.DataFrame) -> pd.DataFrame:
    """Flag what may be wrong with each revision; no pair is left out because of it.

    Args:
        pairs: columns `persona_id`, `prompt`, `rejected`, `chosen`.
        people: personas, index `persona_id`.

    Returns:
        The index of `pairs`; columns `longer` (than the base answer, in characters), `identical` (to it) and `refuses`,
        all missing if there is no pair, and `quotes`: the first attribute whose value occurs in the revision, but
        neither in the prompt nor in the base answer. Of a value the first words count, without 'alone' and the like; it
        must be a number or have four letters or more.
    """
    there = pairs["chosen"].notna()
    table = pd.DataFrame(index=pairs.index)
    table["longer"] = pairs["chosen"].str.len() > pairs["rejected"].str.len()
    table["identical"] = pairs["chosen"].str.strip() == pairs["rejected"].str.strip()
    table["refuses"] = pairs["chosen"].fillna("").str.contains(_REFUSES)
    table = table.astype("boolean").where(there)
    values = {i: _quotable(row) for i, row in people.reindex(columns=list(NAMES)).iterrows()}
    texts = zip(*(_plain(pairs[column]) for column in ("chosen", "rejected", "prompt")), strict=True)
    table["quotes"] = [_quoted(values[i], *said) for i, said in zip(pairs["persona_id"], texts, strict=True)]
    return table.astype({"quotes": "str"})


def _quoted(values: dict[str, str], chosen: str, rejected: str, prompt: str) -> str | None:
    """Return the first attribute whose value only the revision says."""
    return next((name for name, v in values.items() if v in chosen and v not in rejected and v not in prompt), None)


def similarity(pairs: pd.DataFrame) -> pd.Series:
    """Return how similar base answer and revision are in their words and word order (difflib's ratio, 0 to 1).

    Returns:
        The index of `pairs`; missing for a pair that lacks an answer.
    """
    there = pairs.dropna(subset=["chosen", "rejected"])
    words = zip(*(there[column].str.lower().map(split) for column in ("rejected", "chosen")), strict=True)
    ratios = [SequenceMatcher(None, before, after, autojunk=False).ratio() for before, after in words]
    return pd.Series(ratios, there.index, dtype=float).reindex(pairs.index)


def _quotable(row: pd.Series) -> dict[str, str]:
    """Return a persona's values that would be noticed in a text, as plain words between blanks."""
    plain = _plain(row.dropna().map(_head))
    long_enough = FEWEST_LETTERS + 2  # with the blanks around it
    return {name: v for name, v in plain.items() if len(v) >= long_enough or v.strip().isdigit()}


def _head(value: object) -> str:
    """Return a number as a plain integer, a label without its tail."""
    return str(int(value)) if isinstance(value, int | float | np.number) else _TAIL.split(str(value))[0]


def _plain(texts: pd.Series) -> pd.Series:
    """Return texts as lower-case words, each between blanks."""
    return " " + texts.fillna("").str.lower().str.replace(r"[^\w]+", " ", regex=True).str.strip() + " "
