"""Find personas that contradict themselves, by rules or by a model that reads the profile.

The rules are fast: combinations of values that the census makes impossible (`census.rules`), hand-written phrases that
do not suit the person (`phrases`), and data/consistency.yaml. The paper filters with a language model (section 3.1),
which also finds what is merely implausible; of that, `rarity` has what is measured. `filtering` shows whom a filter
removes.
"""

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import pandas as pd
from pydantic import create_model

from ..attributes import BY_NAME, NAMES
from ..census import coding
from ..census.rules import RULES
from ..model import LanguageModel
from ..templates import load as load_template
from ..templates import text
from . import jobs, phrases, predicates, profiles
from .texts import QUIRKS, SETS

CONSISTENT, INCONSISTENT = "consistent", "inconsistent"
NOWHERE = "none"
# Ideology is not checked: its free wording replaces the label, so there is nothing to compare it with.
CHECKED = QUIRKS | {name: of for name, of in SETS.items() if name != "ideology"}
# Further terms of the rules: attributes joined to one text.
TOLD = {"daily": ["lifestyle", "personal time"], "told": ["lifestyle", "personal time", *QUIRKS]}


def check(personas: pd.DataFrame) -> pd.DataFrame:
    """Find the personas that contradict themselves, by rules; 100,000 personas take some seconds.

    Args:
        personas: indexed by `persona_id`, with `age` and any of the 33 attributes; missing attributes are not checked.

    Returns:
        One row per violation: `persona_id`, `rule` (its name), `reason`. A persona can violate several rules; most
        violate none.

    Raises:
        UserError: the personas have no age, the index has duplicates, or a value is no label of its attribute.
    """
    table = predicates.table(personas)
    loose = predicates.loosened(table)
    unsuited = [_unsuited(loose, name) for name in CHECKED]
    titles = jobs.unsuited(loose)
    unsuited.append(_violations(titles.index, f"{jobs.JOB} of somebody else", titles))
    return pd.concat([*_impossible(personas), *unsuited, *_ruled(table)]).drop_duplicates(ignore_index=True)


def _impossible(personas: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Find combinations of census values that no person has, rule by rule."""
    known = {name for rule in RULES for name in rule if name in personas}
    codes = {name: coding.encode(BY_NAME[name], personas[name]) for name in known}
    for rule in RULES:
        if not all(name in codes for name in rule):
            continue
        names = " and ".join(sorted(rule))
        rows = np.logical_and.reduce([member[codes[name]] for name, member in rule.items()])
        if rows.any():
            yield _violations(personas.index[rows], f"census: {names}", f"no person has these values of {names}")


def _unsuited(table: pd.DataFrame, name: str) -> pd.DataFrame:
    """Find hand-written phrases of one attribute that do not suit the person who has them.

    `table` has the loose terms. Phrases that are not in the files are a model's, and are not checked.
    """
    column = table[name.replace(" ", "_")].reset_index(drop=True)
    texts = column.str.split(phrases.JOIN, regex=False).explode().dropna()
    given = texts.rename("phrase").rename_axis("row").reset_index()
    # One row per person, phrase and block that has the phrase: it suits the person if any of the blocks does.
    given = given.merge(phrases.load(CHECKED[name]), on="phrase")
    kinds, who = pd.factorize(given["who"])
    holds = predicates.hold(who, table)  # people x distinct predicates
    suits = given.assign(suits=holds[given["row"], kinds]).groupby(["row", "phrase"])["suits"].transform("any")
    wrong = given[~suits].drop_duplicates(["row", "phrase"])
    reasons = "'" + wrong["phrase"].astype("str") + "' is for " + wrong["who"].astype("str")
    return _violations(table.index[wrong["row"]], f"{name} of somebody else", reasons)


def _ruled(table: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Find people to whom a rule of data/consistency.yaml applies, rule by rule."""
    blank = pd.Series("", table.index, dtype="str")
    told = {}
    for term, names in TOLD.items():
        texts = [table[name.replace(" ", "_")] for name in names]
        told[term] = blank.str.cat(texts, phrases.JOIN, na_rep="")
    rules = predicates.read("consistency")
    holds = predicates.hold([rule["when"] for rule in rules], table.assign(**told))  # people x rules
    for rule, rows in zip(rules, holds.T, strict=True):
        if rows.any():
            yield _violations(table.index[rows], rule["name"], rule["reason"])


def _violations(ids: pd.Index, rule: str, reason: str | pd.Series) -> pd.DataFrame:
    reasons = reason if isinstance(reason, str) else reason.to_numpy()
    table = pd.DataFrame({"persona_id": ids, "rule": rule, "reason": reasons}, index=range(len(ids)))
    return table.astype({"rule": "str", "reason": "str"})


def ask(
    personas: pd.DataFrame, model: LanguageModel, words: int | None = 60, templates: str | None = None
) -> pd.DataFrame:
    """Let a model read each profile and say whether it is inconsistent or too unlikely, as the paper's filter does.

    Args:
        personas: indexed by `persona_id`.
        model: the reader.
        words: the most words asked for in its reason; None asks for no length.
        templates: folder with a `consistent.txt` of the user's own.

    Returns:
        The index of `personas`; columns `consistent` (True, False, or missing where the reply is invalid), `why`,
        `attribute` (the one that disagrees most with the rest, or 'none'), `failure`, `judge` (the model),
        `judge_template` (hash).
    """
    template = load_template("consistent", templates)
    fields: dict[str, Any] = {
        "why": (text(words), ...),
        "attribute": (Literal[(*NAMES, NOWHERE)], ...),
        "verdict": (Literal[CONSISTENT, INCONSISTENT], ...),
    }
    values = {
        "words": words,
        "attributes": ", ".join(NAMES),
        "nowhere": NOWHERE,
        "consistent": CONSISTENT,
        "inconsistent": INCONSISTENT,
    }
    messages = [template.messages(values | {"persona": profile}) for profile in profiles.texts(personas)]
    replies = model.ask(messages, schema=create_model("Consistent", **fields), step="consistency")
    answers: list[Any] = [reply.value for reply in replies]  # None where the reply is invalid
    said = pd.DataFrame(
        {
            "why": [answer and answer.why for answer in answers],
            "attribute": [answer and answer.attribute for answer in answers],
            "failure": [reply.failure for reply in replies],
            "judge": model.name,
            "judge_template": template.sha256,
        },
        index=personas.index,
        dtype="str",
    )
    verdicts = [answer and answer.verdict == CONSISTENT for answer in answers]
    said.insert(0, "consistent", pd.array(verdicts, dtype="boolean"))
    return said
