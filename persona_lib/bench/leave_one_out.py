"""Which attributes of a persona matter? Leave each one out in turn and measure what changes.

There are two experiments. In the paper's (section 4.1, Fig. 5), two annotators who differ by one attribute choose
between the same answers: the less they agree, the more the attribute matters. In the published benchmark's, an
attribute is hidden from the writer but not from the judge, and the score may fall.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from scipy import stats
from statsmodels.stats.weightstats import DescrStatsW

from .. import UserError, personas, preferences, seeds
from ..attributes import BY_NAME, NAMES
from ..judges import verdicts
from ..model import LanguageModel
from ..stats import agreement, intervals, wording
from .hiding import NOTHING, hide, known, losses

__all__ = [
    "NOTHING",
    "PLACEBO",
    "SAME",
    "WITH",
    "WITHOUT",
    "annotators",
    "by_attribute",
    "choices",
    "headline",
    "hide",
    "influence",
    "known",
    "losses",
    "selection",
]

WITH, WITHOUT = "with", "without"
PLACEBO = "placebo"  # a line without content, which moves choices as any further line does
ROUNDING = 1e-9  # a smaller spread is rounding
SAME = "revision: the same as the base answer, so that there is nothing to choose"


def annotators(
    people: pd.DataFrame, attributes: Iterable[str], n: int = 40, others: int = 3, seed: int = 0
) -> pd.DataFrame:
    """Draw for each attribute n people who have it, each as two short profiles that differ by that attribute alone.

    Args:
        people: personas, index `persona_id`.
        attributes: the ones to leave out; `placebo` is a line with a random record number, given to anybody.
        n: people per attribute; all of them if fewer have it.
        others: number of other attributes in both profiles, drawn for each person among those that the person has.
        seed: of the draws.

    Returns:
        Two rows per attribute and person: `attribute`, `persona_id`, `version` (with, without), `profile`, `others`
        (names of the other attributes), `applies_to` (the share of people who have the attribute: the selection).

    Raises:
        UserError: an attribute is unknown or nobody has it, or a person has too few others.
    """
    rows = []
    for attribute in attributes:
        having = _having(people, attribute)
        rng = seeds.rng("attribute left out", seed, [*NAMES, PLACEBO].index(attribute))
        for i in np.sort(rng.choice(len(having), min(n, len(having)), replace=False)):
            person = having.iloc[i]
            kept = _kept(person, attribute, others, rng)
            without = personas.describe(person[kept])
            if attribute == PLACEBO:
                whole = f"{without}\nrecord number: {rng.integers(1000, 10000)}"
            else:
                whole = personas.describe(person[[attribute, *kept]])
            who = {"attribute": attribute, "persona_id": having.index[i]}
            selected = {"others": ", ".join(kept), "applies_to": len(having) / len(people)}
            rows.append(who | {"version": WITH, "profile": whole} | selected)
            rows.append(who | {"version": WITHOUT, "profile": without} | selected)
    return pd.DataFrame(rows)


def _having(people: pd.DataFrame, attribute: str) -> pd.DataFrame:
    """Return the people who have an attribute."""
    if attribute == PLACEBO:
        return people
    if attribute not in NAMES or attribute not in people:
        raise UserError(f"no attribute '{attribute}': known are {', '.join(known(people))}")
    having = people[people[attribute].notna()]
    if having.empty:
        raise UserError(f"nobody here has a value of '{attribute}': leave it out, or draw more or other people")
    return having


def _kept(person: pd.Series, attribute: str, others: int, rng: np.random.Generator) -> np.ndarray:
    """Draw the names of a person's other attributes."""
    names = person.reindex(list(NAMES)).dropna().drop(attribute, errors="ignore").index
    if len(names) < others:
        raise UserError(f"{person.name} has no {others} attributes beside '{attribute}': lower `others`")
    return rng.choice(names, others, replace=False)


def selection(drawn: pd.DataFrame, n: int, attributes: Sequence[str] = ()) -> pd.DataFrame:
    """Report who was drawn for each attribute: one that few people have is studied on those few, who are not typical.

    Args:
        drawn: as returned by `annotators`.
        n: people per attribute that were asked for.
        attributes: all that were asked for; those that nobody has get a row too.

    Returns:
        Index `attribute`; `universe` (to whom it applies, in the Census Bureau's words), `applies_to` (share of the
        people drawn from), `people` (drawn), `note` (empty, or what is wrong).
    """
    first, different = ("applies_to", "first"), ("persona_id", "nunique")
    table = drawn.groupby("attribute", sort=False).agg(applies_to=first, people=different)
    missing = [name for name in attributes if name not in table.index]
    table = table.reindex([*table.index, *missing]).fillna({"people": 0, "applies_to": 0.0}).astype({"people": int})
    table.insert(0, "universe", [BY_NAME[a].universe if a in BY_NAME else "everyone" for a in table.index])
    fewer = table["people"].between(1, n - 1)
    table["note"] = np.select([table["people"] == 0, fewer], ["nobody here has it", f"fewer than {n}"], "")
    return table


def choices(
    drawn: pd.DataFrame,
    prompts: pd.DataFrame,
    writer: LanguageModel,
    annotator: LanguageModel,
    words: int | None = 120,
    templates: str | None = None,
) -> pd.DataFrame:
    """Let both annotators of each person choose between the base answer and each of their two refined ones.

    The writer is called four times per attribute, person and prompt: 105,600 calls at the paper's size of 33 x 40 x 20.

    Args:
        drawn: as returned by `annotators`.
        prompts: columns `prompt_id`, `prompt`; everybody gets each of them.
        writer: writes base and refined answers.
        annotator: chooses as the person of each profile would.
        words, templates: as in `preferences.revise`.

    Returns:
        One row per annotator and pair of answers: `attribute`, `persona_id`, `prompt_id`, `prompt`, `rejected` (the
        base answer), `refined_for` (the version whose revision is the answer `chosen`), `version` (of the annotator),
        the columns of `judges.prefer`, and `failure` (why there is no choice; a revision that equals the base answer
        gives none).
    """
    key = ["attribute", "persona_id"]
    items = _refined(drawn, prompts, writer, words, templates)
    # Both annotators of a person, `with` and `without`, get both pairs of answers: a join on the person.
    answers = items.drop(columns="profile").rename(columns={"version": "refined_for"})
    asked = drawn[[*key, "version", "profile"]].merge(answers, on=key)
    there = asked[asked["chosen"].notna()]
    chosen = verdicts.prefer(annotator, there, templates).drop(columns=["persona_id", "pair_id"])
    table = asked[[*key, "prompt_id", "prompt", "pair_id", "rejected", "refined_for", "chosen", "version", "failure"]]
    table = table.join(chosen.rename(columns={"failure": "judge_failure"}))
    return table.assign(failure=table["failure"].fillna(table.pop("judge_failure")))


def _refined(
    drawn: pd.DataFrame, prompts: pd.DataFrame, writer: LanguageModel, words: int | None, templates: str | None
) -> pd.DataFrame:
    """Return a row per version of a person and prompt, with the base answer and its revision for that version."""
    base = preferences.base_answers(prompts, writer, words, templates)
    items = drawn.merge(prompts[["prompt_id", "prompt"]], how="cross").join(base, on="prompt_id")
    items = preferences.refined(items, writer, words, templates)
    same = items["chosen"].str.strip() == items["rejected"].str.strip()
    items.loc[same, ["chosen", "failure"]] = [None, SAME]
    rest = items[["persona_id", "prompt_id", "version"]]
    return items.assign(pair_id=items["attribute"].str.cat(rest, sep="|"))


def influence(table: pd.DataFrame) -> pd.DataFrame:
    """Compute the agreement of each person's two annotators, with and without the attribute.

    Args:
        table: as returned by `choices`.

    Returns:
        One row per attribute and person: `attribute`, `persona_id`, `n` (pairs where both chose), `failed`, `raw`
        (share of equal choices), `kappa` (Cohen's, missing where undefined).
    """
    wide = table.pivot(index=["attribute", "persona_id", "pair_id"], columns="version", values="choice")
    rows = []
    for (attribute, persona), own in wide.groupby(level=[0, 1], sort=False):
        both = own.dropna()
        kappa = agreement.cohen_kappa(both[WITH], both[WITHOUT]) if len(both) else np.nan
        raw = (both[WITH] == both[WITHOUT]).mean()
        rows.append([attribute, persona, len(both), len(own) - len(both), raw, kappa])
    return pd.DataFrame(rows, columns=["attribute", "persona_id", "n", "failed", "raw", "kappa"])


def by_attribute(pairs: pd.DataFrame) -> pd.DataFrame:
    """Compute mean kappa and raw agreement per attribute over people, the least agreement first.

    Args:
        pairs: as returned by `influence`.

    Returns:
        Index `attribute`; `people`, `n` (pairs of answers on which both annotators chose), `undefined` (people without
        a kappa), `kappa`, `low`, `high`, `raw`, `raw_low`, `raw_high` (95% intervals of the means by Student's t,
        missing below three people and where all are alike), `p_holm` (Welch's test that the raw agreement equals the
        placebo's, corrected over attributes; missing without a placebo).
    """
    groups = dict(list(pairs.groupby("attribute", sort=False)))
    placebo = groups.get(PLACEBO, pairs.head(0))["raw"]
    rows = {}
    for attribute, own in groups.items():
        counts = [len(own), int(own["n"].sum()), int(own["kappa"].isna().sum())]
        rows[attribute] = [*counts, *_mean(own["kappa"], -1), *_mean(own["raw"], 0)]
    columns = ["people", "n", "undefined", "kappa", "low", "high", "raw", "raw_low", "raw_high"]
    table = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
    p = {attribute: _welch(own["raw"], placebo) for attribute, own in groups.items() if attribute != PLACEBO}
    table["p_holm"] = intervals.corrected(pd.Series(p, table.index, dtype=float))
    return table.rename_axis("attribute").sort_values(["kappa", "raw"])


def _mean(values: pd.Series, least: float) -> tuple[float, float, float]:
    """Return the mean over people and its interval, within `least` and 1; missing ends as `by_attribute` says."""
    known = values.dropna()
    if len(known) < 3 or _spread(known) == 0:
        return known.mean(), np.nan, np.nan
    low, high = np.clip(DescrStatsW(known).tconfint_mean(), least, 1)
    return known.mean(), low, high


def _spread(values: pd.Series) -> float:
    """Return the standard deviation; 0 for values that differ by rounding alone."""
    spread = values.std()
    return spread if spread > ROUNDING else 0.0


def _welch(one: pd.Series, other: pd.Series) -> float:
    """Return the p-value of equal means, NaN with fewer than two people or if all are alike on both sides.

    It is computed from means and spreads: people who are alike but for rounding have no spread, where scipy would warn
    of lost precision and test the rounding errors.
    """
    one, other = one.dropna(), other.dropna()
    if min(len(one), len(other)) < 2 or _spread(one) + _spread(other) == 0:
        return np.nan
    known = [(x.mean(), _spread(x), len(x)) for x in (one, other)]
    return stats.ttest_ind_from_stats(*known[0], *known[1], equal_var=False).pvalue


def _alike(pairs: pd.DataFrame) -> str:
    """Return the share of equal choices among all choices as text, clustered by person: each choice counts the same."""
    equal = (pairs["raw"].fillna(0) * pairs["n"]).round().astype(int)
    parts = [np.arange(n) < same for same, n in zip(equal, pairs["n"], strict=True)]
    people = pairs[["persona_id"]].loc[pairs.index.repeat(pairs["n"])].reset_index(drop=True)
    found = intervals.rate(pd.Series(np.concatenate(parts), dtype=float), people)
    return wording.share(found["rate"], found["low"], found["high"], found["n"])


def headline(pairs: pd.DataFrame, summed: pd.DataFrame, lost: pd.DataFrame) -> str:
    """Return the finding in two sentences, also if parts of it are missing.

    Args:
        pairs, summed, lost: as returned by `influence`, `by_attribute` and `losses`.
    """
    real = summed.drop(PLACEBO, errors="ignore")
    own = pairs[pairs["attribute"] != PLACEBO]
    said = "No choice could be compared"
    if own["n"].sum():
        said = f"Told one more attribute, the same person chooses alike in {_alike(own)} of choices"
        placebo = pairs[pairs["attribute"] == PLACEBO]
        if placebo["n"].sum():
            said += f", told the placebo in {_alike(placebo)}"
    if summed["p_holm"].notna().any():
        said += f", clearly unlike the placebo for {wording.clear(summed)} attributes"
    said += f"; {pairs['kappa'].isna().sum()} of {len(pairs)} kappas are undefined"
    if real["kappa"].notna().any():
        low = real.loc[real["kappa"].idxmin()]
        kappa = wording.number(low["kappa"], low["low"], low["high"], low["people"])
        said += f", and the lowest mean kappa is that of {low.name}, {kappa}"
    return f"{said}. {_lost(lost)}"


def _lost(lost: pd.DataFrame) -> str:
    """Return what hiding attributes from the writer changed, in a sentence."""
    known = lost.dropna(subset="difference")
    if known.empty:
        return "No change of the score by hiding an attribute could be measured."
    most = known.iloc[0]
    change = wording.points(most["difference"], most["low"], most["high"], most["n"])
    said = f"Hiding an attribute from the writer clearly changes the score for {wording.clear(lost)} attributes"
    return f"{said}; the greatest loss is that of {most['hidden']}, {change}."
