"""Preference pairs by critique and revision, after Direct Principle Feedback. Section 3.2 of the paper.

A base answer is written without the persona, once per prompt; each persona criticizes it, and the revision by that
critique is preferred to it. Used by 03_preferences and `persona pairs`; to try it: `persona pairs --preset smoke`.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from difflib import SequenceMatcher

import numpy as np
import pandas as pd
from pydantic import create_model

from . import personas, wording
from .attributes import NAMES
from .model import Model, Reply

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
    template = wording.load("baseline", templates)
    messages = [template.messages({"question": p, "words": words}) for p in prompts["prompt"]]
    replies = writer.ask(messages, schema=_reply(template, words), step="base answers")
    answers = {"rejected": _texts(replies, template), "base_failure": [r.failure for r in replies]}
    return pd.DataFrame(answers, index=pd.Index(prompts["prompt_id"], name="prompt_id"), dtype="str")


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
    table = dealt.merge(prompts[["prompt_id", "prompt", "topic", "prompt_split"]], how="left", on="prompt_id")
    profiles = {i: personas.describe(row) for i, row in people.loc[table["persona_id"].unique()].iterrows()}
    table = table.join(base, on="prompt_id").assign(profile=table["persona_id"].map(profiles))
    table = table.join(refine(table, writer, words, templates))
    table["failure"] = table.pop("base_failure").radd("base answer: ").fillna(table["failure"])
    keys = table["persona_id"] + table["prompt_id"] + f"|{writer.name}|{words}|" + table["templates"]
    table["pair_id"] = [hashlib.sha256(key.encode()).hexdigest()[:16] for key in keys]
    split = people["persona_split"] if "persona_split" in people else pd.Series(None, people.index, dtype="str")
    table["persona_split"] = table["persona_id"].map(split).astype("str")
    return table.join(checks(table, people))[list(COLUMNS)]


def refine(items: pd.DataFrame, writer: Model, words: int = 60, templates: str | None = None) -> pd.DataFrame:
    """Criticize answers in the shoes of a profile and revise them by that: two calls an item.

    Args:
        items: columns `profile`, `prompt`, `rejected` (the answer; where it is missing nothing is asked).
        writer, words, templates: as in `revise`.

    Returns:
        The index of `items`; columns `critique`, `chosen`, `generator`, `templates` (hash of the wording), `failure`.
    """
    critique, revision = (wording.load(name, templates) for name in ("critique", "revision"))
    known = {"persona": items["profile"], "question": items["prompt"], "answer": items["rejected"]}
    said, first = _step(critique, known | {"words": words}, items.index, writer, words)
    asked = items["rejected"].str.count(r"\S+").clip(upper=words).astype("Int64")
    chosen, second = _step(revision, known | {"critique": said, "words": asked}, items.index, writer, words)
    return pd.DataFrame(
        {
            "critique": said,
            "chosen": chosen,
            "generator": writer.name,
            "templates": critique.sha256 + revision.sha256,
            "failure": first.radd("critique: ").fillna(second.radd("revision: ")),
        }
    )


def _step(
    template: wording.Template, values: Mapping[str, object], index: pd.Index, writer: Model, words: int
) -> tuple[pd.Series, pd.Series]:
    """Ask for one field for every row that has all values; the texts and the failures, missing where not asked."""
    table = pd.DataFrame(dict(values), index=index).dropna()
    messages = [template.messages(row) for row in table.to_dict("records")]
    replies = writer.ask(messages, schema=_reply(template, words), step=f"{template.name}s")
    texts = pd.Series(_texts(replies, template), table.index, dtype="str")
    failures = pd.Series([r.failure for r in replies], table.index, dtype="str")
    return texts.reindex(index).astype("str"), failures.reindex(index).astype("str")


def _reply(template: wording.Template, words: int) -> type:
    return create_model(template.name.title(), **{field: (wording.bounded(words), ...) for field in template.reply})


def _texts(replies: Iterable[Reply], template: wording.Template) -> list[str | None]:
    return [getattr(r.value, template.reply[-1]) if r.value else None for r in replies]


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
