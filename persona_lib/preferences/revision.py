"""Preference pairs by critique and revision, after Direct Principle Feedback. Section 3.2 of the paper.

A base answer is written without the persona, once per prompt; each persona criticizes it, and the revision by that
critique is preferred to it. Used by 03_preferences and `persona pairs`; to try it: `persona pairs --preset smoke`.
"""

import re
from collections.abc import Iterator
from difflib import SequenceMatcher
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from pydantic import BaseModel, create_model

from .. import personas, seeds
from ..attributes import NAMES
from ..model import Messages, Model
from ..templates import Template, bounded
from ..templates import load as load_template

_REFUSES = re.compile(r"^\W*(?:i'?m sorry|i am sorry|sorry|i can(?:no|')t|i am unable|as an ai)\b", re.IGNORECASE)
_TAIL = re.compile(r"[,;:(]| alone\b| or ")  # of a label: what nobody would quote
COLUMNS = (
    *("pair_id", "persona_id", "prompt_id", "persona_split", "prompt_split", "use", "topic", "prompt", "rejected"),
    *("critique", "chosen", "generator", "templates", "longer", "identical", "refuses", "quotes", "failure"),
)
FEWEST_LETTERS = 4  # of a value that can be quoted: 'Yes' and 'No' are everybody's words


def base_answers(prompts: pd.DataFrame, writer: Model, words: int = 60, templates: str | None = None) -> pd.DataFrame:
    """Answer each prompt for nobody in particular, once for all personas.

    Args:
        prompts: columns `prompt_id`, `prompt`.
        writer: the model that answers.
        words: length asked for.
        templates: folder with a `baseline.txt` of the user's own.

    Returns:
        Index `prompt_id`; columns `rejected` (the answer, missing where it failed), `base_failure` (the reason).
    """
    asked = base_requests(prompts, words, templates)
    texts, failures = _answered(asked, writer)
    answers = {"rejected": texts, "base_failure": failures}
    return pd.DataFrame(answers, dtype="str").set_axis(pd.Index(prompts["prompt_id"], name="prompt_id"))


def revise(
    dealt: pd.DataFrame,
    people: pd.DataFrame,
    prompts: pd.DataFrame,
    base: pd.DataFrame,
    writer: Model,
    words: int = 60,
    templates: str | None = None,
) -> pd.DataFrame:
    """Let each persona criticize the base answers to its prompts, and revise them accordingly: two calls a pair.

    Args:
        dealt: columns `persona_id`, `prompt_id`, `use`, as from `design.deal`.
        people: personas, index `persona_id`; their `persona_split`, where there is one, is handed on.
        prompts: columns `prompt_id`, `prompt`, `topic`, `prompt_split`.
        base: as from `base_answers`.
        writer: the model that criticizes and revises.
        words: length asked for, of the critique and of the revision.
        templates: folder with a `critique.txt` and a `revision.txt` of the user's own.

    Returns:
        One row per dealt pair, in their order: `pair_id` (hash), `persona_id`, `prompt_id`, `persona_split`,
        `prompt_split`, `use`, `topic`, `prompt`, `rejected`, `critique`, `chosen`, `generator`, `templates` (hash of
        the wording), what `checks` finds, and `failure` (why there is no pair, or missing).
    """
    table = items(dealt, people, prompts, base)
    table = table.join(refine(table, writer, words, templates))
    table["failure"] = table.pop("base_failure").radd("base answer: ").fillna(table["failure"])
    keys = table["persona_id"] + table["prompt_id"] + f"|{writer.name}|{words}|" + table["templates"]
    table["pair_id"] = [seeds.digest(key, 16) for key in keys]
    split = people["persona_split"] if "persona_split" in people else pd.Series(None, people.index, dtype="str")
    table["persona_split"] = table["persona_id"].map(split).astype("str")
    return table.join(checks(table, people))[list(COLUMNS)]


def items(dealt: pd.DataFrame, people: pd.DataFrame, prompts: pd.DataFrame, base: pd.DataFrame) -> pd.DataFrame:
    """What `refine` needs of each dealt pair: `profile`, `prompt`, `rejected`; arguments as in `revise`."""
    table = dealt.merge(prompts[["prompt_id", "prompt", "topic", "prompt_split"]], how="left", on="prompt_id")
    profiles = {i: personas.describe(row) for i, row in people.loc[table["persona_id"].unique()].iterrows()}
    return table.join(base, on="prompt_id").assign(profile=table["persona_id"].map(profiles))


def refine(items: pd.DataFrame, writer: Model, words: int = 60, templates: str | None = None) -> pd.DataFrame:
    """Criticize answers in the shoes of a profile and revise them by that: two calls an item.

    Args:
        items: columns `profile`, `prompt`, `rejected` (the answer; where it is missing nothing is asked).
        writer, words, templates: as in `revise`.

    Returns:
        The index of `items`; columns `critique`, `chosen`, `generator`, `templates` (hash of the wording), `failure`.
    """
    said, first = _answered(critique_requests(items, words, templates), writer)
    chosen, second = _answered(revision_requests(items, said, words, templates), writer)
    return pd.DataFrame(
        {
            "critique": said,
            "chosen": chosen,
            "generator": writer.name,
            "templates": "".join(load_template(name, templates).sha256 for name in ("critique", "revision")),
            "failure": first.radd("critique: ").fillna(second.radd("revision: ")),
        }
    )


class Requests(NamedTuple):
    """What is asked in one step: a row of `values` for each item that has all of them, `index` of all items."""

    template: Template
    values: pd.DataFrame
    index: pd.Index
    schema: type[BaseModel]

    @property
    def step(self) -> str:
        """What progress and usage call it."""
        return "base answers" if self.template.name == "baseline" else f"{self.template.name}s"

    @property
    def messages(self) -> Iterator[Messages]:
        """The chat messages of each item."""
        return (self.template.messages(row) for row in self.values.to_dict("records"))


def base_requests(prompts: pd.DataFrame, words: int = 60, templates: str | None = None) -> Requests:
    """What `base_answers` asks."""
    return _requests("baseline", {"question": prompts["prompt"], "words": words}, prompts.index, words, templates)


def critique_requests(items: pd.DataFrame, words: int = 60, templates: str | None = None) -> Requests:
    """What `refine` asks first."""
    known = {"persona": items["profile"], "question": items["prompt"], "answer": items["rejected"]}
    return _requests("critique", known | {"words": words}, items.index, words, templates)


def critiques(items: pd.DataFrame, writer: Model, words: int = 60, templates: str | None = None) -> pd.Series:
    """The critiques alone, missing where there is none."""
    return _answered(critique_requests(items, words, templates), writer)[0]


def revision_requests(
    items: pd.DataFrame, critiques: pd.Series, words: int = 60, templates: str | None = None
) -> Requests:
    """What `refine` asks then."""
    known = {"persona": items["profile"], "question": items["prompt"], "answer": items["rejected"]}
    asked = items["rejected"].str.count(r"\S+").clip(upper=words).astype("Int64")
    return _requests("revision", known | {"critique": critiques, "words": asked}, items.index, words, templates)


def _requests(name: str, known: dict[str, Any], index: pd.Index, words: int, templates: str | None) -> Requests:
    template = load_template(name, templates)
    fields = {field: (bounded(words), ...) for field in template.reply}
    return Requests(template, pd.DataFrame(known, index=index).dropna(), index, create_model(name.title(), **fields))


def _answered(asked: Requests, writer: Model) -> tuple[pd.Series, pd.Series]:
    """The texts and the failures of all items, both missing where nothing was asked."""
    replies = writer.ask(list(asked.messages), schema=asked.schema, step=asked.step)
    field = asked.template.reply[-1]
    texts = pd.Series([getattr(r.value, field) if r.value else None for r in replies], asked.values.index, dtype="str")
    failures = pd.Series([r.failure for r in replies], asked.values.index, dtype="str")
    return texts.reindex(asked.index).astype("str"), failures.reindex(asked.index).astype("str")


def checks(pairs: pd.DataFrame, people: pd.DataFrame) -> pd.DataFrame:
    """What is wrong with a revision, if anything; nothing is left out because of it.

    Args:
        pairs: columns `persona_id`, `prompt`, `rejected`, `chosen`.
        people: personas, index `persona_id`.

    Returns:
        The index of `pairs`; columns `longer` (than the base answer, in characters), `identical` (to it), `refuses`,
        all missing where there is no pair, and `quotes`: the first attribute whose value (its first words, without
        'alone' and the like; four letters or more, or a number) stands in the revision and in neither the prompt nor
        the base answer.
    """
    there = pairs["chosen"].notna()
    table = pd.DataFrame(index=pairs.index)
    table["longer"] = pairs["chosen"].str.len() > pairs["rejected"].str.len()
    table["identical"] = pairs["chosen"].str.strip() == pairs["rejected"].str.strip()
    table["refuses"] = pairs["chosen"].fillna("").str.contains(_REFUSES)
    table = table.astype("boolean").where(there)
    values = {i: _quotable(row) for i, row in people.reindex(columns=list(NAMES)).iterrows()}
    texts = zip(
        pairs["persona_id"], _plain(pairs["chosen"]), _plain(pairs["rejected"]), _plain(pairs["prompt"]), strict=True
    )
    table["quotes"] = [
        next((name for name, v in values[i].items() if v in chosen and v not in rejected and v not in prompt), None)
        for i, chosen, rejected, prompt in texts
    ]
    return table.astype({"quotes": "str"})


def similarity(pairs: pd.DataFrame) -> pd.Series:
    """Share of words, in their order, that base answer and revision have in common (0 to 1, missing without a pair)."""
    there = pairs.dropna(subset=["chosen", "rejected"])
    words = zip(there["rejected"].str.lower().str.split(), there["chosen"].str.lower().str.split(), strict=True)
    ratios = [SequenceMatcher(None, before, after, autojunk=False).ratio() for before, after in words]
    return pd.Series(ratios, there.index, dtype=float).reindex(pairs.index)


def _quotable(row: pd.Series) -> dict[str, str]:
    """The values of a persona that would be noticed in a text, as plain words between blanks."""
    known = row.dropna()
    plain = _plain(known.map(lambda v: str(int(v)) if isinstance(v, int | float | np.number) else _TAIL.split(v)[0]))
    return {name: v for name, v in plain.items() if len(v) >= FEWEST_LETTERS + 2 or v.strip().isdigit()}


def _plain(texts: pd.Series) -> pd.Series:
    """Lower-case words, each between blanks."""
    return " " + texts.fillna("").str.lower().str.replace(r"[^\w]+", " ", regex=True).str.strip() + " "
