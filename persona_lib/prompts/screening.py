"""Which prompts are worth asking: the paper's filters as a funnel.

Section 3.2 of the paper keeps 3,868 of PRISM's 8,011 opening prompts: those with a question mark, with five words or
more, and controversial according to a zero-shot classifier. A removed prompt stays in the table with the reason. A
prompt that the classifier could not sort counts as unscored: neither kept nor removed.
"""

from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from pydantic import create_model
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

from ..model import LanguageModel
from ..stats import points
from ..templates import load as load_template
from . import words
from .bank import normal, sample

FEWEST_WORDS = 5
QUESTION_MARKS = "[?\uff1f\u061f]"  # also the full-width and the Arabic one
YES, NO = "yes", "no"

# Why a prompt is removed, in the order of the funnel, and the name of what is left after that step.
REPEAT, NO_MARK, SHORT = "repeats an earlier prompt", "no question mark", f"under {FEWEST_WORDS} words"
NOT_ASKED, UNSCORED, SETTLED = "not put to the classifier", "unscored", "not value-laden"
STEPS = {
    REPEAT: "different texts",
    NO_MARK: "with a question mark",
    SHORT: f"{FEWEST_WORDS} words or more",
    NOT_ASKED: "put to the classifier",
    UNSCORED: "sorted by it",
    SETTLED: "value-laden",
}


def formal(table: pd.DataFrame) -> pd.DataFrame:
    """Mark the prompts that the filters without a model remove: repeats, no question mark, under five words.

    Texts with the same normalized form (see `prompts.normal`) count as repeats: they have the same id.

    Args:
        table: columns as returned by `prompts.load`.

    Returns:
        The same rows with `removed`: the first reason that applies (a key of `STEPS`), or missing.
    """
    text = table["prompt"]
    reasons = {
        REPEAT: text.map(normal).duplicated(),
        NO_MARK: ~text.str.contains(QUESTION_MARKS),
        SHORT: text.map(words.count) < FEWEST_WORDS,
    }
    kept: Any = None  # numpy's annotation of the default leaves None out
    return table.assign(removed=np.select(list(reasons.values()), list(reasons), kept)).astype({"removed": "str"})


def value_laden(
    screened: pd.DataFrame,
    classifier: LanguageModel,
    n: int | None = None,
    seed: int = 0,
    templates: str | None = None,
) -> pd.DataFrame:
    """Ask a model about each remaining prompt: would people disagree about the answer? One call per prompt.

    Args:
        screened: as returned by `formal`.
        classifier: the model that sorts.
        n: ask only about so many, drawn as by `prompts.sample`; None for all.
        seed: of that draw.
        templates: folder with a `value_laden.txt` of the user's own.

    Returns:
        The same rows with more of `removed` filled in, and four columns that are missing where nothing was asked:
        `classifier`, `template` (hash), `verdict` (yes or no) and `failure` (why there is no verdict).
    """
    left = screened[screened["removed"].isna()]
    asked = left
    if n is not None:
        drawn = sample(left, n, seed)["prompt_id"]
        asked = left[left["prompt_id"].isin(drawn)]
    template = load_template("value_laden", templates)
    fields: dict[str, Any] = {"verdict": (Literal[YES, NO], ...)}
    messages = [template.messages({"question": text, "yes": YES, "no": NO}) for text in asked["prompt"]]
    replies = classifier.ask(messages, schema=create_model("Sorting", **fields), step="sorting of prompts")
    values: list[Any] = [reply.value for reply in replies]
    found = pd.DataFrame(
        {
            "classifier": classifier.name,
            "template": template.sha256,
            "verdict": [value.verdict if value else None for value in values],
            "failure": [reply.failure for reply in replies],
        },
        index=asked.index,
        dtype="str",
    )
    table = screened.join(found)
    by_verdict = table["verdict"].map({YES: None, NO: SETTLED}).where(table["verdict"].notna(), UNSCORED)
    outcome = by_verdict.where(table["classifier"].notna(), NOT_ASKED)
    return table.assign(removed=table["removed"].fillna(outcome).astype("str"))


def first_value_laden(
    ordered: pd.DataFrame, classifier: LanguageModel, n: int | None = None, templates: str | None = None
) -> pd.DataFrame:
    """Return the first n prompts, in the order of the rows, that a model finds value-laden.

    The model is asked only about as many as it takes: first about n, then about as many as are still lacking.

    Args:
        ordered: as returned by `formal`, without the prompts that it removed.
        classifier, templates: as in `value_laden`.
        n: how many to find; None for all.

    Returns:
        Rows as `value_laden` returns them: n of them, or fewer if the model finds no more.
    """
    wanted = len(ordered) if n is None else n
    found = value_laden(ordered.iloc[:wanted], classifier, templates=templates)
    while (lacking := wanted - len(passed(found))) > 0 and len(found) < len(ordered):
        following = ordered.iloc[len(found) : len(found) + lacking]
        found = pd.concat([found, value_laden(following, classifier, templates=templates)])
    return passed(found)


def passed(screened: pd.DataFrame) -> pd.DataFrame:
    """Return the prompts that no filter removed, including those that the classifier was not asked about."""
    return screened[screened["removed"].isna() | (screened["removed"] == NOT_ASKED)].reset_index(drop=True)


def funnel(screened: pd.DataFrame) -> pd.DataFrame:
    """Count the prompts that are left after each filter.

    Args:
        screened: as returned by `formal` or `value_laden`.

    Returns:
        Index `step`, 'in the source' first; `kept` (prompts left after the step), `out` (removed by it), `reason` (of
        these).
    """
    out = screened["removed"].value_counts().reindex(list(STEPS), fill_value=0)
    kept = len(screened) - out.cumsum()
    table = pd.DataFrame({"kept": kept, "out": out, "reason": out.index}).set_index(pd.Index(STEPS.values()))
    start = pd.DataFrame({"kept": len(screened), "out": 0, "reason": ""}, index=["in the source"])
    return pd.concat([start, table]).rename_axis("step")


def said_yes(screened: pd.DataFrame, by: str) -> pd.DataFrame:
    """Compute how often the classifier says yes in each group.

    Args:
        screened: as returned by `value_laden`.
        by: column of the groups.

    Returns:
        Index `by`; `n` (sorted prompts), `unscored`, `rate`, `low`, `high` (95% Wilson interval). Rate and interval are
        missing where no prompt was sorted.
    """
    asked = screened[screened["classifier"].notna()]
    is_yes = (asked["verdict"] == YES).where(asked["verdict"].notna())
    groups = asked.assign(yes=is_yes).groupby(by, sort=False)
    yes = groups["yes"].sum().astype(int)
    n = groups["verdict"].count()
    unscored = groups["verdict"].apply(lambda verdicts: verdicts.isna().sum())
    known = n > 0
    low, high = proportion_confint(yes.where(known), n.where(known), method="wilson")
    rate = (yes / n).where(known)
    return pd.DataFrame({"n": n, "unscored": unscored}).assign(rate=rate, low=low, high=high)


class Trust(NamedTuple):
    """How much more often a classifier says yes to prompts than to controls, with a 95% interval, and in words."""

    difference: float
    low: float
    high: float
    text: str


def trust(screened: pd.DataFrame, controls: pd.DataFrame) -> Trust:
    """Compare how often the classifier says yes to the prompts and to questions of fact.

    Args:
        screened: as returned by `value_laden`.
        controls: likewise, questions whose answer should not depend on who asks.

    Returns:
        The difference of the two rates with Newcombe's (1998) interval, and a sentence that reads it. The numbers are
        missing if the classifier sorted none of the prompts, or none of the controls.
    """
    asked = [table["verdict"].dropna() for table in (screened, controls)]
    if any(verdicts.empty for verdicts in asked):
        return Trust(np.nan, np.nan, np.nan, "The classifier sorted no prompts, or no controls: it can't be checked.")
    yes, n = [int((verdicts == YES).sum()) for verdicts in asked], [len(verdicts) for verdicts in asked]
    rates = yes[0] / n[0], yes[1] / n[1]
    low, high = confint_proportions_2indep(yes[0], n[0], yes[1], n[1], method="newcomb", compare="diff")
    difference = rates[0] - rates[1]
    name = pd.concat([screened, controls])["classifier"].dropna().iloc[0]
    text = (
        f"{name} calls {rates[0]:.0%} of {n[0]:,} prompts value-laden, and {rates[1]:.0%} of {n[1]:,} controls: "
        f"a difference of {points(difference, low, high, sum(n))}. "
    )
    if low > 0:
        text += "It tells questions of values from questions of fact."
    elif high < 0:
        text += "It has this the wrong way round: the last step of the funnel is not a finding."
    else:
        text += "This run does not show that it discriminates: the last step of the funnel is not a finding."
    return Trust(difference, low, high, text)
