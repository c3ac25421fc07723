"""Which prompts are worth asking: the paper's filters counted in a funnel, and how much it matters who is asked.

Section 3.2 of the paper keeps 3,868 of PRISM's 8,011 opening prompts: those with a question mark, of five words or
more, that a zero-shot classifier takes for controversial. A prompt that is not kept stays in the table with the
reason, and one that the classifier could not sort is neither kept nor removed. Used by 02_prompts.
"""

from typing import Literal

import numpy as np
import pandas as pd
from pydantic import create_model
from scipy import stats

from .. import UserError, files
from ..model import Model
from ..templates import load as load_template
from .bank import sample

FEWEST_WORDS = 5
FEWEST_PERSONAS = 5  # for an interval of the persona-dependence
QUESTION_MARKS = "[?\uff1f\u061f]"  # also the full-width and the Arabic one
YES, NO = "yes", "no"

# What can become of a prompt, in the order of the funnel: why it is out, and what is left after that step.
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
    """Mark what needs no model to be removed: repeats (white space aside), no question mark, under five words.

    Args:
        table: columns as from `prompts.load`.

    Returns:
        The same rows with `removed`: the first reason that holds (a key of `STEPS`), or missing.
    """
    text = table["prompt"]
    plain = text.str.split().str.join(" ")
    reasons = {
        REPEAT: plain.duplicated(),
        NO_MARK: ~text.str.contains(QUESTION_MARKS),
        SHORT: text.str.split().str.len() < FEWEST_WORDS,
    }
    return table.assign(removed=np.select(list(reasons.values()), list(reasons), None)).astype({"removed": "str"})


def value_laden(
    screened: pd.DataFrame, classifier: Model, n: int | None = None, seed: int = 0, templates: str | None = None
) -> pd.DataFrame:
    """Ask a model of each prompt that is left whether people would disagree about the answer: one call each.

    Args:
        screened: as from `formal`.
        classifier: the model that sorts.
        n: ask only about so many, drawn as by `prompts.sample`; None for all.
        seed: of that draw.
        templates: folder with a `value_laden.txt` of the user's own.

    Returns:
        The same rows, `removed` filled in further, and `classifier`, `template` (hash), `verdict` (yes or no),
        `failure` (why there is no verdict), missing where nothing was asked.
    """
    left = screened[screened["removed"].isna()]
    asked = left if n is None else left.loc[left["prompt_id"].isin(sample(left, n, seed)["prompt_id"])]
    template = load_template("value_laden", templates)
    schema = create_model("Sorting", verdict=(Literal[YES, NO], ...))
    messages = [template.messages({"question": text, "yes": YES, "no": NO}) for text in asked["prompt"]]
    replies = classifier.ask(messages, schema=schema, step="sorting of prompts")
    found = pd.DataFrame(
        {
            "classifier": classifier.name,
            "template": template.sha256,
            "verdict": [r.value.verdict if r.value else None for r in replies],
            "failure": [r.failure for r in replies],
        },
        index=asked.index,
        dtype="str",
    )
    table = screened.join(found)
    verdict = table["verdict"].map({YES: None, NO: SETTLED}).where(table["verdict"].notna(), UNSCORED)
    outcome = verdict.where(table["classifier"].notna(), NOT_ASKED)
    return table.assign(removed=table["removed"].fillna(outcome).astype("str"))


def passed(screened: pd.DataFrame) -> pd.DataFrame:
    """The prompts that no filter removed, among them those that the classifier was not asked about."""
    return screened[screened["removed"].isna() | (screened["removed"] == NOT_ASKED)].reset_index(drop=True)


def funnel(screened: pd.DataFrame) -> pd.DataFrame:
    """How many prompts are left after each step: index `step`; columns `kept`, `out`, `reason` why these are out."""
    out = screened["removed"].value_counts().reindex(list(STEPS), fill_value=0)
    kept = len(screened) - out.cumsum()
    table = pd.DataFrame({"kept": kept, "out": out, "reason": out.index}).set_index(pd.Index(STEPS.values()))
    start = pd.DataFrame({"kept": len(screened), "out": 0, "reason": ""}, index=["in the source"])
    return pd.concat([start, table]).rename_axis("step")


def said_yes(screened: pd.DataFrame, by: str) -> pd.DataFrame:
    """How often the classifier says yes: index `by`; `n` sorted, `unscored`, `rate`, `low`, `high` (95%, Wilson)."""
    from statsmodels.stats.proportion import proportion_confint

    asked = screened[screened["classifier"].notna()]
    groups = asked.assign(yes=(asked["verdict"] == YES).where(asked["verdict"].notna())).groupby(by, sort=False)
    yes = groups["yes"].sum().astype(int)
    table = pd.DataFrame(
        {"n": groups["verdict"].count(), "unscored": groups["verdict"].apply(lambda v: v.isna().sum())}
    )
    known = table["n"] > 0
    low, high = proportion_confint(yes.where(known), table["n"].where(known), method="wilson")
    return table.assign(rate=(yes / table["n"]).where(known), low=low, high=high)


def persona_dependence(judgments: pd.DataFrame | str | None, value: str = "p_chosen") -> pd.DataFrame:
    """For each prompt, the share of the variance of judgments that lies between personas (intraclass correlation).

    The judgments of a prompt must be about the same answers for all personas, as in a dense block; else what differs
    between personas is also what they were shown.

    Args:
        judgments: columns `persona_id`, `prompt_id` and `value`, a row each; a .parquet or .csv file of them; or None.
        value: 'p_chosen', a probability: a choice drawn with it varies by p (1 - p) within a persona. Any other column
            is a score, whose variance within a persona takes two scores or more of the same persona and prompt.

    Returns:
        Index `prompt_id`; columns `n` (personas that count), `failed` (judgments without a value, and single scores),
        `mean`, `between` and `within` (variances), `share` = between / (between + within), `low` and `high` (95%,
        jackknife over personas). No share where nothing varies, no interval under five personas. None gives an empty
        table.

    Raises:
        UserError: a missing column, a p_chosen outside 0 to 1, or a file that can't be read.
    """
    columns = ["n", "failed", "mean", "between", "within", "share", "low", "high"]
    if judgments is None:
        return pd.DataFrame(columns=columns, dtype=float).rename_axis("prompt_id")
    table = _judgments(judgments, value)
    rows = {prompt: _components(group, value) for prompt, group in table.groupby("prompt_id")}
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("prompt_id")


def _judgments(judgments: pd.DataFrame | str, value: str) -> pd.DataFrame:
    """The judgments as a checked table."""
    if isinstance(judgments, str):
        judgments = files.read_table(judgments)
    if missing := [c for c in ("persona_id", "prompt_id", value) if c not in judgments]:
        raise UserError(f"the judgments lack {', '.join(missing)}: they have {', '.join(map(str, judgments.columns))}")
    try:
        judgments = judgments.assign(**{value: pd.to_numeric(judgments[value])})
    except ValueError as error:
        raise UserError(f"the judgments' {value} must be numbers: {error}") from error
    if value == "p_chosen" and not judgments[value].dropna().between(0, 1).all():
        raise UserError("p_chosen must be between 0 and 1: name the column that holds scores with value=...")
    return judgments


def _components(group: pd.DataFrame, value: str) -> list[float]:
    """One prompt's row of `persona_dependence`."""
    people = group.groupby("persona_id")[value].agg(["mean", "var", "count"]).query("count > 0")
    if value == "p_chosen":
        people["within"] = people["mean"] * (1 - people["mean"])
        people["noise"] = (people["var"] / people["count"]).fillna(0)  # one probability is taken at its word
    else:
        people = people[people["count"] > 1].assign(within=lambda p: p["var"], noise=lambda p: p["var"] / p["count"])
    n, failed, mean = len(people), len(group) - people["count"].sum(), people["mean"].mean()
    if n < 2:
        return [n, failed, mean, *[np.nan] * 5]
    parts = people[["mean", "within", "noise"]].to_numpy(float).T
    between, within = _variances(*parts)
    low, high = _jackknife(parts) if n >= FEWEST_PERSONAS and between + within > 0 else (np.nan, np.nan)
    return [n, failed, mean, between, within, float(_share(*parts)), low, high]


def _variances(mean: np.ndarray, within: np.ndarray, noise: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Between personas (the last axis), without what the noise of their means adds, never below 0; and within them."""
    return np.clip(mean.var(axis=-1, ddof=1) - noise.mean(axis=-1), 0, None), within.mean(axis=-1)


def _share(mean: np.ndarray, within: np.ndarray, noise: np.ndarray) -> np.ndarray:
    between, inside = _variances(mean, within, noise)
    total = between + inside
    return np.divide(between, total, out=np.full_like(total, np.nan), where=total > 0)


def _jackknife(parts: np.ndarray) -> tuple[float, float]:
    """95% interval of the share, leaving each persona out in turn, on the arcsine scale with Student's t.

    It covers the truth in 91 of 100 cases with 8 personas, in 93 to 95 with 20 or more (beta-binomial choices).
    """
    n = parts.shape[1]
    without = np.stack([np.delete(parts, i, axis=1) for i in range(n)], axis=1)
    angles = np.arcsin(np.sqrt(np.nan_to_num(_share(*without))))
    half = stats.t.ppf(0.975, n - 1) * np.sqrt((n - 1) * angles.var())
    ends = np.arcsin(np.sqrt(_share(*parts))) + np.array([-half, half])
    return tuple(np.sin(np.clip(ends, 0, np.pi / 2)) ** 2)
