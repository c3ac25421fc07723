"""What a summary of a persona leaves out (section 5.3 of the paper, Fig. 11).

A judge says of each attribute whether the summary still tells it. A lexical match does the same without a model: it
looks for the value's own words and for words that point to the attribute (data/cues.yaml).
"""

import re
from collections.abc import Sequence
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from pydantic import create_model

from .. import UserError, files, personas
from ..attributes import NAMES
from ..model import LanguageModel
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


def attributes(
    results: pd.DataFrame, people: pd.DataFrame, judge: LanguageModel, templates: str | None = None
) -> pd.DataFrame:
    """Judge for every attribute of the persona whether each summary still tells it: one call per summary.

    Args:
        results: rows of the condition `summary` as returned by `bench.conditioning`: `persona_id`, `prompt_id`,
            `model`, `profile`, `working` (the summary, missing if the answer failed), `failure`.
        people: the personas, index `persona_id`.
        judge: the model that judges.
        templates: folder with a `kept.txt` of the user's own.

    Returns:
        One row per summary and attribute that the persona has: `persona_id`, `prompt_id`, `model`, `attribute`,
        `judge`, `judged` and `lexical` (kept, dropped or missing), `score` (1 if the judge finds it dropped, 0 if kept,
        or missing), `failure`.

    Raises:
        UserError: there are no rows.
    """
    if results.empty:
        raise UserError("no summary to compare with a profile: run the condition `summary` first")
    template = load_template("kept", templates)
    known = {i: tuple(people.loc[i].reindex(list(NAMES)).dropna().index) for i in results["persona_id"].unique()}
    parts = []
    # One schema per set of attributes: each summary is judged on the attributes that its persona has, and no others.
    for names, rows in results.groupby(results["persona_id"].map(known), sort=False):
        parts.append(_judged(rows, names, judge, template))
    table = pd.concat(parts, ignore_index=True)
    patterns = {(i, name): _pattern(name, people.loc[i, name]) for i, names in known.items() for name in names}
    lexical = [_lexical(row.summary, patterns[row.persona_id, row.attribute]) for row in table.itertuples()]
    table["lexical"] = pd.Series(lexical, table.index, dtype="str")
    return table.drop(columns="summary").assign(score=_scores(table["judged"]))


def _judged(rows: pd.DataFrame, names: tuple[str, ...], judge: LanguageModel, template: Template) -> pd.DataFrame:
    """Return the judge's verdicts on the summaries of personas who have the same attributes, one row each."""
    fields: dict[str, Any] = {name.replace(" ", "_"): (Literal[KEPT, DROPPED], ...) for name in names}
    listed = ", ".join(f'"{field}"' for field in fields)
    there = rows[rows["working"].notna()]
    messages = [
        template.messages({"persona": row.profile, "summary": row.working, "attributes": listed} | _OPTIONS)
        for row in there.itertuples()
    ]
    replies = judge.ask(messages, schema=create_model("Kept", **fields), step="what summaries tell")
    said = [reply.value.model_dump() if reply.value else {} for reply in replies]
    verdicts = pd.DataFrame(said, there.index, [*fields], "str").set_axis(list(names), axis=1)  # summaries x attributes
    of_judge = pd.Series([reply.failure for reply in replies], there.index, dtype="str").radd("judge: ")
    of_writer = rows["failure"].where(rows["working"].isna())
    table = rows[["persona_id", "prompt_id", "model"]].assign(judge=judge.name, summary=rows["working"])
    table["failure"] = of_judge.reindex(rows.index).fillna(of_writer).astype("str")
    wide = table.join(verdicts.reindex(rows.index))
    return wide.melt([*table.columns], list(names), var_name="attribute", value_name="judged")


_OPTIONS = {"kept": KEPT, "dropped": DROPPED}


def _pattern(attribute: str, value: object) -> re.Pattern:
    """Return the pattern that tells an attribute: its cues, and the value's own longer words or its number."""
    words = re.findall(r"\w+", str(value).lower())
    own = [word for word in words if (len(word) >= SHORTEST and word not in _COMMON) or word.isdigit()]
    either = "|".join(map(re.escape, [*_cues()[attribute], *own]))
    return re.compile(rf"(?<!\w)(?:{either})(?!\w)")


def _lexical(summary: Any, pattern: re.Pattern) -> str | None:
    """Return the lexical match's verdict on one attribute, None if there is no summary."""
    if pd.isna(summary):
        return None
    return KEPT if pattern.search(summary.lower()) else DROPPED


@cache
def _cues() -> dict[str, list[str]]:
    return files.read_yaml(CUES)


def dropped(table: pd.DataFrame, attributes: Sequence[str] = NAMES) -> pd.DataFrame:
    """Compute how often each attribute is dropped, the most often dropped first.

    Args:
        table: as returned by `attributes`.
        attributes: the attributes to count; one that nobody has gets a row for each model too.

    Returns:
        One row per attribute and model: `attribute`, `model`, the columns of `stats.rates` for the judge's verdicts
        (`n` summaries, `failed`, `rate`, `low`, `high`, `note`), and `lexical`, the rate by the lexical match.
    """
    by = ["attribute", "model"]
    rates = intervals.rates(table, by)
    rates["lexical"] = _scores(table["lexical"]).groupby([table[name] for name in by], sort=False).mean()
    every = pd.MultiIndex.from_product([attributes, table["model"].unique()], names=by)
    means = rates["rate"].groupby("attribute").mean().reindex(attributes)
    order = means.sort_values(ascending=False).index
    rates = rates.reindex(every).reindex(order, level="attribute").reset_index()
    rates["note"] = rates["note"].where(rates["n"].notna(), "nobody here has it")
    return rates.fillna({"n": 0, "failed": 0}).astype({"n": int, "failed": int})


def _scores(verdicts: pd.Series) -> pd.Series:
    """Return 1 for dropped, 0 for kept."""
    return verdicts.map({DROPPED: 1.0, KEPT: 0.0}).astype(float)


def between_models(table: pd.DataFrame) -> pd.DataFrame:
    """Compute whether models drop the same attributes, for the same personas and prompts.

    Args:
        table: as returned by `attributes`.

    Returns:
        One row per pair of models, no row for a single model: `model`, `other`, `raw` (agreement), `kappa` with `low`
        and `high`, `n` (attributes of summaries judged for both), `failed`, `note`.
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
    """Compute how far the judge and the lexical match agree: a table as returned by `stats.coefficients`."""
    clusters = table[[personas.ID, "prompt_id"]]
    return agreement.coefficients(table["judged"], table["lexical"], clusters, (DROPPED, KEPT))


def per_summary(table: pd.DataFrame, results: pd.DataFrame) -> pd.DataFrame:
    """Return the share that each summary leaves out, with the critic's verdict on the answer written from it.

    Args:
        table: as returned by `attributes`.
        results: the rows it was made from, with their `verdict`.

    Returns:
        One row per summary: `persona_id`, `prompt_id`, `model`, `attributes` (number that the persona has), `dropped`
        and `dropped, lexical` (shares of those judged), `verdict` (or missing).
    """
    key = [personas.ID, "prompt_id", "model"]
    found = table.assign(lexical=_scores(table["lexical"])).groupby(key, sort=False)
    found = found.agg(attributes=("attribute", "size"), dropped=("score", "mean"), lexical=("lexical", "mean"))
    found = found.rename(columns={"lexical": "dropped, lexical"}).reset_index()
    return found.merge(results[[*key, "verdict"]], how="left", on=key)


def headline(rates: pd.DataFrame, agreed: pd.DataFrame) -> str:
    """Return the finding in one sentence, also if parts of it are missing.

    Args:
        rates: as returned by `dropped`.
        agreed: as returned by `with_lexical`.
    """
    known = rates.dropna(subset="rate")
    if known.empty:
        return f"No summary could be judged: {rates['failed'].sum()} attributes of summaries are without a verdict."
    overall = (known["rate"] * known["n"]).sum() / known["n"].sum()
    means = known.groupby("attribute", sort=False)["rate"].mean()
    most = means.index[means == means.max()]
    often = "all equally often"
    if len(most) < len(means):
        often = f"most often {', '.join(most)} ({'each ' if len(most) > 1 else ''}{means.max():.0%})"
    raw = agreed.loc["raw agreement", "estimate"]
    kappa = agreed.loc["Cohen's kappa", "estimate"]
    kappa_text = "undefined" if pd.isna(kappa) else f"{kappa:.2f}"
    return (
        f"According to the judge, a summary drops {overall:.0%} of a persona's attributes, {often}; judge and lexical "
        f"match agree on {raw:.0%} of them (kappa {kappa_text})."
    )
