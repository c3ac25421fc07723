"""What a summary of a persona leaves out. Section 5.3 of the paper, Fig. 11.

A judge says of each attribute whether the summary still tells it; a lexical match (the value's own words, and words
that point at the attribute, data/cues.yaml) says the same without a model. Used by 07_summaries.
"""

import re
from collections.abc import Sequence
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Literal

import pandas as pd
from pydantic import create_model

from .. import UserError, files, personas
from ..attributes import NAMES
from ..model import Model
from ..stats import agreement, intervals
from ..templates import Template
from ..templates import load as load_template

KEPT, DROPPED = "kept", "dropped"
CUES = Path(__file__).parent / "data" / "cues.yaml"
SHORTEST = 4  # letters of a word of a value that counts as the value's own
_COMMON = {
    "with",
    "without",
    "other",
    "only",
    "than",
    "from",
    "which",
    "alone",
    "some",
    "past",
    "years",
    "more",
    "less",
}


def attributes(results: pd.DataFrame, people: pd.DataFrame, judge: Model, templates: str | None = None) -> pd.DataFrame:
    """Say of every attribute of the persona whether each summary still tells it: one call a summary.

    Args:
        results: rows of the condition `summary` as from `bench.conditioning`: `persona_id`, `prompt_id`, `model`,
            `profile`, `working` (the summary, missing where the answer failed), `failure`.
        people: the personas, index `persona_id`.
        judge: the model that judges.
        templates: folder with a `kept.txt` of the user's own.

    Returns:
        One row per summary and attribute that the persona has: `persona_id`, `prompt_id`, `model`, `attribute`,
        `judge`, `judged` and `lexical` (kept or dropped, missing), `score` (1 where the judge finds it dropped, 0,
        missing), `failure`.

    Raises:
        UserError: there are no rows.
    """
    if results.empty:
        raise UserError("no summary to compare with a profile: run the condition `summary` first")
    template = load_template("kept", templates)
    known = {i: tuple(people.loc[i].reindex(list(NAMES)).dropna().index) for i in results["persona_id"].unique()}
    parts = []
    # One schema per set of attributes, so that everybody is asked for what they have and nothing else.
    for names, rows in results.groupby(results["persona_id"].map(known), sort=False):
        parts.append(_judged(rows, names, judge, template))
    table = pd.concat(parts, ignore_index=True)
    words = {i: {a: _words(a, people.loc[i, a]) for a in names} for i, names in known.items()}
    tells = [
        None if pd.isna(r.summary) else KEPT if words[r.persona_id][r.attribute].search(r.summary.lower()) else DROPPED
        for r in table.itertuples()
    ]
    table["lexical"] = pd.Series(tells, table.index, dtype="str")
    return table.drop(columns="summary").assign(score=_scores(table["judged"]))


def _judged(rows: pd.DataFrame, names: tuple[str, ...], judge: Model, template: Template) -> pd.DataFrame:
    """The judge's verdicts on the summaries of people who have the same attributes."""
    fields = {name.replace(" ", "_"): (Literal[KEPT, DROPPED], ...) for name in names}
    there = rows[rows["working"].notna()]
    listed = ", ".join(f'"{field}"' for field in fields)
    messages = [
        template.messages({"persona": r.profile, "summary": r.working, "attributes": listed} | _OPTIONS)
        for r in there.itertuples()
    ]
    replies = judge.ask(messages, schema=create_model("Kept", **fields), step="what summaries tell")
    verdicts = pd.DataFrame([r.value.model_dump() if r.value else {} for r in replies], there.index, [*fields], "str")
    verdicts = verdicts.set_axis(list(names), axis=1).reindex(rows.index)
    failures = pd.Series([r.failure for r in replies], there.index, dtype="str").radd("judge: ").reindex(rows.index)
    table = rows[["persona_id", "prompt_id", "model"]].assign(judge=judge.name, summary=rows["working"])
    table["failure"] = failures.fillna(rows["failure"].where(rows["working"].isna())).astype("str")
    return table.join(verdicts).melt([*table.columns], list(names), var_name="attribute", value_name="judged")


_OPTIONS = {"kept": KEPT, "dropped": DROPPED}


def _words(attribute: str, value: object) -> re.Pattern:
    """What in a text tells the attribute: its cues, and the value's own longer words or its number."""
    own = re.findall(r"\w+", str(value).lower())
    own = [w for w in own if (len(w) >= SHORTEST and w not in _COMMON) or w.isdigit()]
    return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, [*_cues()[attribute], *own]))})(?!\w)")


@cache
def _cues() -> dict[str, list[str]]:
    return files.read_yaml(CUES)


def dropped(table: pd.DataFrame, attributes: Sequence[str] = NAMES) -> pd.DataFrame:
    """How often each attribute is dropped, the most often dropped first.

    Args:
        table: as from `attributes`.
        attributes: those to be counted; one that nobody has is a row for each model too.

    Returns:
        One row per attribute and model: `attribute`, `model`, those of `intervals.rates` of the judge's verdicts (`n`
        summaries, `failed`, `rate`, `low`, `high`, `note`), and `lexical`, the rate by the lexical match.
    """
    by = ["attribute", "model"]
    rates = intervals.rates(table, by)
    rates["lexical"] = _scores(table["lexical"]).groupby([table[name] for name in by], sort=False).mean()
    every = pd.MultiIndex.from_product([attributes, table["model"].unique()], names=by)
    order = rates["rate"].groupby("attribute").mean().reindex(attributes).sort_values(ascending=False).index
    rates = rates.reindex(every).reindex(order, level="attribute").reset_index()
    rates["note"] = rates["note"].where(rates["n"].notna(), "nobody here has it")
    return rates.fillna({"n": 0, "failed": 0}).astype({"n": int, "failed": int})


def _scores(verdicts: pd.Series) -> pd.Series:
    return verdicts.map({DROPPED: 1.0, KEPT: 0.0}).astype(float)


def between_models(table: pd.DataFrame) -> pd.DataFrame:
    """Do models drop the same? Over the attributes of the same personas and prompts.

    Args:
        table: as from `attributes`.

    Returns:
        One row per pair of models, none where there is only one: `model`, `other`, `raw` (agreement), `kappa` with
        `low` and `high`, `n` (attributes of summaries judged for both), `failed`, `note`.
    """
    item = [personas.ID, "prompt_id", "attribute"]
    wide = table.pivot(index=item, columns="model", values="judged")
    rows = []
    for one, other in combinations(table["model"].unique(), 2):
        clusters = wide.index.to_frame(index=False)[item[:2]]
        found = agreement.coefficients(wide[one], wide[other], clusters, (DROPPED, KEPT))
        kappa = found.loc["Cohen's kappa"].rename({"estimate": "kappa"})
        raw = {"model": one, "other": other, "raw": found.loc["raw agreement", "estimate"]}
        rows.append(raw | kappa.to_dict())
    return pd.DataFrame(rows, columns=["model", "other", "raw", "kappa", "low", "high", "n", "failed", "note"])


def with_lexical(table: pd.DataFrame) -> pd.DataFrame:
    """How far the judge and the lexical match agree: the coefficients of `agreement.coefficients`."""
    clusters = table[[personas.ID, "prompt_id"]]
    return agreement.coefficients(table["judged"], table["lexical"], clusters, (DROPPED, KEPT))


def per_summary(table: pd.DataFrame, results: pd.DataFrame) -> pd.DataFrame:
    """What each summary leaves out, beside what the critic says of the answer that was written from it.

    Args:
        table: as from `attributes`.
        results: the rows it was made from.

    Returns:
        One row per summary: `persona_id`, `prompt_id`, `model`, `attributes` (that the persona has), `dropped` and
        `dropped, lexical` (shares of those judged), `verdict` (missing where there is none).
    """
    key = [personas.ID, "prompt_id", "model"]
    found = table.assign(lexical=_scores(table["lexical"])).groupby(key, sort=False)
    found = found.agg(attributes=("attribute", "size"), dropped=("score", "mean"), lexical=("lexical", "mean"))
    found = found.rename(columns={"lexical": "dropped, lexical"}).reset_index()
    return found.merge(results[[*key, "verdict"]], how="left", on=key)


def headline(rates: pd.DataFrame, agreed: pd.DataFrame) -> str:
    """The finding in one sentence, whatever is missing.

    Args:
        rates: as from `dropped`.
        agreed: as from `with_lexical`.
    """
    known = rates.dropna(subset="rate")
    if known.empty:
        return f"No summary could be judged: {rates['failed'].sum()} attributes of summaries are without a verdict."
    overall = (known["rate"] * known["n"]).sum() / known["n"].sum()
    means = known.groupby("attribute", sort=False)["rate"].mean()
    most = means.index[means == means.max()]
    often = f"most often {', '.join(most)} (each {means.max():.0%})" if len(most) < len(means) else "each as often"
    said = f"By the judge a summary drops {overall:.0%} of a persona's attributes, {often}"
    raw, kappa = agreed.loc["raw agreement", "estimate"], agreed.loc["Cohen's kappa", "estimate"]
    beside = f"judge and lexical match agree on {raw:.0%} of them"
    return f"{said}; {beside} (kappa {'undefined' if pd.isna(kappa) else f'{kappa:.2f}'})."
