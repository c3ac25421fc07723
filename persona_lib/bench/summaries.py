"""What a summary of a persona leaves out (section 5.3 of the paper, Fig. 11).

A judge says of each attribute whether a reader of the summary alone could tell the person's value, roughly. A lexical
match does the same without a model: it looks for the value's own words and for words that point to the attribute
(data/cues.yaml). The Big Five count as five attributes, one per trait.
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
from ..personas import personality
from ..stats import agreement, intervals, wording
from ..templates import Template
from ..templates import load as load_template

KEPT, DROPPED = "kept", "dropped"
CUES = Path(__file__).parent / "data" / "cues.yaml"
BIG_FIVE = "big five scores"
TRAITS = tuple(trait.lower() for trait in personality.TRAITS)
# What a summary can tell: the paper's attributes, with five traits in the place of their scores.
ATTRIBUTES = tuple(part for name in NAMES for part in (TRAITS if name == BIG_FIVE else (name,)))
SHORTEST = 4  # letters of a word of a value that counts as the value's own
OFTEN = 3  # attributes that the headline names
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
        One row per summary and attribute that the persona has (ATTRIBUTES; of the Big Five the traits that the scores
        name, or `big five scores` as a whole if they name none): `persona_id`, `prompt_id`, `model`, `attribute`,
        `judge`, `judged` and `lexical` (kept, dropped or missing), `score` (1 if the judge finds it dropped, 0 if kept,
        or missing), `failure`, `verdict_key` (of the judge's reply in the store).

    Raises:
        UserError: there are no rows.
    """
    if results.empty:
        raise UserError("no summary to compare with a profile: run the condition `summary` first")
    template = load_template("kept", templates)
    told = {i: _told(people.loc[i]) for i in results["persona_id"].unique()}
    parts = []
    # One schema per set of attributes: each summary is judged on the attributes that its persona has, and no others.
    for names, rows in results.groupby(results["persona_id"].map({i: tuple(t) for i, t in told.items()}), sort=False):
        parts.append(_judged(rows, names, judge, template))
    table = pd.concat(parts, ignore_index=True)
    patterns = {(i, name): _pattern(name, value) for i, values in told.items() for name, value in values.items()}
    lexical = [_lexical(row.summary, patterns[row.persona_id, row.attribute]) for row in table.itertuples()]
    table["lexical"] = pd.Series(lexical, table.index, dtype="str")
    return table.drop(columns="summary").assign(score=_scores(table["judged"]))


def _told(person: pd.Series) -> dict[str, Any]:
    """Return the attributes that a person has, with their values; a trait of the Big Five has its name as its value."""
    values: dict[str, Any] = {}
    for name, value in person.reindex(list(NAMES)).dropna().items():
        traits = [trait for trait in TRAITS if name == BIG_FIVE and trait in str(value).lower()]
        values |= {trait: trait for trait in traits} or {name: value}
    return values


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
    table["verdict_key"] = pd.Series([reply.key for reply in replies], there.index, dtype="str").reindex(rows.index)
    table["failure"] = of_judge.reindex(rows.index).fillna(of_writer).astype("str")
    wide = table.join(verdicts.reindex(rows.index))
    return wide.melt([*table.columns], list(names), var_name="attribute", value_name="judged")


_OPTIONS = {"kept": KEPT, "dropped": DROPPED}


def _pattern(attribute: str, value: object) -> re.Pattern:
    """Return the pattern that tells an attribute: its cues, and the value's own longer words or its number."""
    words = re.findall(r"\w+", str(value).lower())
    own = [word for word in words if (len(word) >= SHORTEST and word not in _COMMON) or word.isdigit()]
    either = "|".join(map(re.escape, [*cues()[attribute], *own]))
    return re.compile(rf"(?<!\w)(?:{either})(?!\w)")


def _lexical(summary: Any, pattern: re.Pattern) -> str | None:
    """Return the lexical match's verdict on one attribute, None if there is no summary."""
    if pd.isna(summary):
        return None
    return KEPT if pattern.search(summary.lower()) else DROPPED


@cache
def cues() -> dict[str, list[str]]:
    """Return the words by which the lexical match finds each attribute."""
    return files.read_yaml(CUES)


def dropped(table: pd.DataFrame, attributes: Sequence[str] = ATTRIBUTES) -> pd.DataFrame:
    """Compute how often each attribute is dropped, the most often dropped first.

    Args:
        table: as returned by `attributes`.
        attributes: the attributes to count, beside all of the table; one that nobody has gets a row for each model too.

    Returns:
        One row per attribute and model: `attribute`, `model`, the columns of `stats.rates` for the judge's verdicts
        (`n` summaries, `failed`, `rate`, `low`, `high`, `note`), and `lexical`, the rate by the lexical match.
    """
    by = ["attribute", "model"]
    rates = intervals.rates(table, by)
    rates["lexical"] = _scores(table["lexical"]).groupby([table[name] for name in by], sort=False).mean()
    names = list(dict.fromkeys([*attributes, *table["attribute"]]))
    every = pd.MultiIndex.from_product([names, table["model"].unique()], names=by)
    means = rates["rate"].groupby("attribute").mean().reindex(names)
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


def copies(results: pd.DataFrame) -> pd.DataFrame:
    """Compare summaries with the profiles they were made from: does any repeat its profile, and how long are they?

    A summary repeats its profile if it has all of the profile's words in their order, whatever the case, the
    punctuation and the lines. This is the paper's check that summaries are summaries (section 5.3).

    Args:
        results: as in `attributes`.

    Returns:
        Index `model`; `repeats` (number of summaries that repeat their profile), and of this number the columns of
        `stats.rates`: `n` summaries, `failed` (not written), `rate`, `low`, `high`, `note`; then `summary_words` and
        `profile_words` (medians), `ratio` (median of a summary's words over its profile's).
    """
    written = results["working"].notna()
    summaries = results["working"].fillna("").map(_words)
    profiles = results["profile"].map(_words)
    same = [f" {' '.join(of)} " in f" {' '.join(text)} " for of, text in zip(profiles, summaries, strict=True)]
    table = results[[personas.ID, "prompt_id", "model"]].assign(
        repeats=pd.Series(same, results.index, dtype=float).where(written),
        summary_words=summaries.str.len().where(written),
        profile_words=profiles.str.len().where(written),
    )
    table["ratio"] = table["summary_words"] / table["profile_words"]
    found = intervals.rates(table, "model", value="repeats")
    by_model = table.groupby("model", sort=False)
    found.insert(0, "repeats", by_model["repeats"].sum().astype(int))
    return found.join(by_model[["summary_words", "profile_words", "ratio"]].median())


def copying(copies: pd.DataFrame) -> str:
    """Return what `copies` found, a line per model."""
    lines = []
    for model, row in copies.iterrows():
        line = f"{model}: {row['repeats']} of {row['n']} summaries repeat their profile"
        if row["n"]:
            line += f", {wording.of_rate(row)}. The median summary has {row['summary_words']:.0f} words, the median "
            line += f"profile {row['profile_words']:.0f}"
        line += "."
        lines.append(line)
    return "\n".join(lines)


def _words(text: str) -> list[str]:
    """Return the words and numbers of a text, in lower case."""
    return re.findall(r"\w+", text.lower())


def headline(table: pd.DataFrame, agreed: pd.DataFrame, copies: pd.DataFrame) -> str:
    """Return the finding in a few sentences, also if parts of it are missing.

    Args:
        table: as returned by `attributes`.
        agreed: as returned by `with_lexical`.
        copies: as returned by `copies`.
    """
    rates = intervals.rates(table, "model")
    known = rates.dropna(subset="rate")
    if known.empty:
        return f"No summary could be judged: {rates['failed'].sum()} attributes of summaries are without a verdict."
    shares = [f"{model} drop {wording.of_rate(row)}" for model, row in known.iterrows()]
    repeats = [f"{wording.of_rate(row)} by {model}" for model, row in copies.iterrows()]
    told = ["estimate", "low", "high", "n", "note"]
    raw, kappa = (agreed.loc[name] for name in ("raw agreement", "Cohen's kappa"))
    return (
        f"According to {table['judge'].iloc[0]}, summaries by {', by '.join(shares)} of a persona's attributes, "
        f"{most_dropped(table)}. Summaries that repeat their profile: {', '.join(repeats)}. "
        f"Judge and lexical match agree on {wording.share(*raw[told])} of the attributes, "
        f"kappa {wording.number(*kappa[told])}."
    )


def most_dropped(table: pd.DataFrame) -> str:
    """Say which attributes are dropped most often, over all models; of many that tie, the first OFTEN are named.

    Args:
        table: as returned by `attributes`.
    """
    rates = intervals.rates(table, "attribute").dropna(subset="rate").sort_values("n", ascending=False, kind="stable")
    most = rates[rates["rate"] == rates["rate"].max()]
    if len(most) == len(rates):
        return "all equally often"
    named = [f"{name}: {wording.of_rate(row)}" for name, row in most.head(OFTEN).iterrows()]
    more = f" and {len(most) - OFTEN} more" if len(most) > OFTEN else ""
    return f"most often {', '.join(named)}{more}"
