"""Personas that contradict themselves: found by rules, or by a model that reads the profile.

The rules are fast: what the census makes impossible (`universe`), hand-written phrases that do not suit the person
(`phrases`), and data/consistency.yaml. The paper filters with a language model (section 3.1; about 8.5% removed with
GPT-4). `report` shows whom either removes, so that the filter's own bias is seen. Used by `personas` and 01_personas.
"""

from collections.abc import Iterable, Iterator
from typing import Literal

import numpy as np
import pandas as pd
from pydantic import create_model

from .. import UserError
from ..attributes import BY_NAME, NAMES
from ..census import coding
from ..census.rules import RULES
from ..model import LanguageModel
from ..templates import bounded
from ..templates import load as load_template
from . import phrases, predicates, profiles
from .texts import QUIRKS, SETS

CONSISTENT, CONTRADICTS = "consistent", "contradicts itself"
NOWHERE = "none"
# A free wording of ideology stands in the place of its label: there is nothing left to hold it against.
CHECKED = QUIRKS | {name: of for name, of in SETS.items() if name != "ideology"}
TOLD = {"daily": ["lifestyle", "personal time"], "told": ["lifestyle", "personal time", *QUIRKS]}


def check(personas: pd.DataFrame) -> pd.DataFrame:
    """Find the personas that contradict themselves, by rules; 100,000 take some seconds.

    Args:
        personas: indexed by `persona_id`, with `age` and any of the 33 attributes; those it lacks are not checked.

    Returns:
        One row per violation: `persona_id`, `rule` (its name), `reason`. A persona can have several, most have none.
    """
    table, loose = predicates.table(personas), predicates.table(personas, loose=True)
    unsuited = [_unsuited(loose, name) for name in CHECKED]
    return pd.concat([*_impossible(personas), *unsuited, *_ruled(table)]).drop_duplicates(ignore_index=True)


def _impossible(personas: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Combinations of census values that no person has, rule by rule."""
    asked = {name for rule in RULES for name in rule if name in personas}
    codes = {name: coding.encode(BY_NAME[name], personas[name]) for name in asked}
    for rule in RULES:
        if all(name in codes for name in rule):
            names = " and ".join(sorted(rule))
            rows = np.logical_and.reduce([member[codes[name]] for name, member in rule.items()])
            if rows.any():
                reason = f"no person has these values of {names}"
                yield _violations(personas.index[rows], f"census: {names}", reason)


def _unsuited(table: pd.DataFrame, name: str) -> pd.DataFrame:
    """Hand-written phrases of one attribute whose `who` does not hold, read loosely, for the person who has them."""
    known = phrases.load(CHECKED[name])
    texts = table[name.replace(" ", "_")].reset_index(drop=True).str.split(phrases.JOIN, regex=False).explode().dropna()
    given = texts.rename("phrase").rename_axis("row").reset_index().merge(known, on="phrase")
    kinds, who = pd.factorize(given["who"])
    suits = predicates.hold(who, table)[given["row"], kinds]
    given = given[~given.assign(suits=suits).groupby(["row", "phrase"])["suits"].transform("any")]
    given = given.drop_duplicates(["row", "phrase"])
    reasons = "'" + given["phrase"].astype("str") + "' is for " + given["who"].astype("str")
    return _violations(table.index[given["row"]], f"{name} of somebody else", reasons)


def _ruled(table: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """What the rules of data/consistency.yaml find, rule by rule."""
    blank = pd.Series("", table.index, dtype="str")
    parts = {term: [table[name.replace(" ", "_")] for name in names] for term, names in TOLD.items()}
    told = {term: blank.str.cat(texts, phrases.JOIN, na_rep="") for term, texts in parts.items()}
    rules = predicates.read("consistency")
    hold = predicates.hold([rule["when"] for rule in rules], table.assign(**told))
    for rule, rows in zip(rules, hold.T, strict=True):
        if rows.any():
            yield _violations(table.index[rows], rule["name"], rule["reason"])


def _violations(ids: pd.Index, rule: str, reason: str | pd.Series) -> pd.DataFrame:
    reasons = reason if isinstance(reason, str) else reason.to_numpy()
    table = pd.DataFrame({"persona_id": ids, "rule": rule, "reason": reasons}, index=range(len(ids)))
    return table.astype({"rule": "str", "reason": "str"})


def ask(personas: pd.DataFrame, model: LanguageModel, words: int = 30, templates: str | None = None) -> pd.DataFrame:
    """Let a model read each profile and say whether it contradicts itself, as the paper's filter does.

    Args:
        personas: indexed by `persona_id`.
        model: the reader.
        words: about the most words of its reason.
        templates: folder with a `consistent.txt` of the user's own.

    Returns:
        The index of `personas`; `consistent` (True, False, or missing where the reply can't be read), `why`,
        `attribute` (the one most at odds, 'none'), `failure`, `judge` (the model), `judge_template` (hash).
    """
    template = load_template("consistent", templates)
    schema = create_model(
        "Consistent",
        why=(bounded(words), ...),
        attribute=(Literal[(*NAMES, NOWHERE)], ...),
        verdict=(Literal[CONSISTENT, CONTRADICTS], ...),
    )
    values = {"words": words, "attributes": ", ".join(NAMES), "nowhere": NOWHERE}
    values |= {"consistent": CONSISTENT, "contradicts": CONTRADICTS}
    messages = [template.messages(values | {"persona": profiles.describe(row)}) for _, row in personas.iterrows()]
    replies = model.ask(messages, schema=schema, step="consistency")
    said = pd.DataFrame(
        {
            "why": [r.value.why if r.value else None for r in replies],
            "attribute": [r.value.attribute if r.value else None for r in replies],
            "failure": [r.failure for r in replies],
            "judge": model.name,
            "judge_template": template.sha256,
        },
        index=personas.index,
        dtype="str",
    )
    verdicts = [r.value.verdict == CONSISTENT if r.value else None for r in replies]
    said.insert(0, "consistent", pd.array(verdicts, dtype="boolean"))
    return said


def report(personas: pd.DataFrame, found: pd.DataFrame, by: Iterable[str] = ("sex", "race", "age")) -> pd.DataFrame:
    """Whom a filter removes: the share of personas in all, for each reason and in each group.

    Args:
        personas: all that were checked.
        found: what `check` or `ask` returned for them.
        by: attributes; age and other numbers in four groups of equal size, unless all are the same.

    Returns:
        One row per group: `by` ('all', 'reason' or an attribute), `group`, `n` (personas read), `failed` (not read),
        `removed`, `rate`, `low`, `high` (95% Wilson interval). A persona with several reasons counts in each; a
        missing value of an attribute is a group of its own.
    """
    by = list(by)
    if missing := [name for name in by if name not in personas]:
        raise UserError(f"the personas have no {', '.join(missing)}: name attributes in `by`")
    asked = "consistent" in found
    reasons = found["attribute"].rename("rule").reset_index() if asked else found
    reasons = reasons.set_axis(["persona_id", *reasons.columns[1:]], axis=1)
    if asked:
        verdict = found["consistent"].reindex(personas.index)
        gone, read = verdict.eq(False).fillna(False), verdict.notna()
        reasons = reasons[gone.reindex(reasons["persona_id"]).to_numpy(dtype=bool)]
    else:
        gone, read = pd.Series(personas.index.isin(found["persona_id"]), personas.index), True
    table = pd.DataFrame({"gone": gone.astype(bool), "read": read}, index=personas.index)
    rows = [("all", "all", table)]
    for rule, those in reasons.groupby("rule"):
        rows.append(("reason", rule, table.assign(gone=table.index.isin(those["persona_id"]))))
    for name in by:
        groups = _groups(personas[name])
        rows += [(name, group, table[groups == group]) for group in pd.unique(groups.sort_values())]
    return pd.DataFrame([_share(*row) for row in rows])


def _groups(values: pd.Series) -> pd.Series:
    if pd.api.types.is_numeric_dtype(values) and values.nunique() > 1:
        values = pd.qcut(values.astype(float), 4, precision=0, duplicates="drop")
    return values.astype("str").fillna("missing")


def _share(by: str, group: str, table: pd.DataFrame) -> dict[str, object]:
    from statsmodels.stats.proportion import proportion_confint

    removed, n = int(table["gone"].sum()), int(table["read"].sum())
    low, high = proportion_confint(removed, n, method="wilson") if n else (np.nan, np.nan)
    return {"by": by, "group": group, "n": n, "failed": len(table) - n, "removed": removed} | {
        "rate": removed / n if n else np.nan,
        "low": low,
        "high": high,
    }
