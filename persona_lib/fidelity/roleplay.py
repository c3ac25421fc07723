"""Role-play fidelity: do models choose alike in the shoes of the same people? Section 4.2 of the paper, Figs. 6 to 9.

Everybody chooses between the same two answers to each question, whoever plays whom: the answer for nobody in
particular, and the revision for somebody drawn. Without that, a kappa would compare different questions. Used by
05_fidelity.
"""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pandas as pd

from .. import UserError, personas, preferences, seeds
from ..judges import verdicts
from ..model import Model, no_twins
from ..personas import profiles
from ..stats import agreement, intervals

ITEM = intervals.ITEM
OPTIONS = ("rejected", "chosen")
SYNTHETIC = "synthetic raters"
_BOTH = ["estimate", "low", "high", "n", "failed", "note"]


def shared_pairs(
    people: pd.DataFrame,
    prompts: pd.DataFrame,
    writer: Model,
    words: int = 60,
    seed: int = 0,
    templates: str | None = None,
) -> pd.DataFrame:
    """Write two answers to each prompt, the same for everybody: the base answer, and its revision for one person.

    Args:
        people: personas, index `persona_id`; who the revisions are for is drawn from them, each as often as any other.
        prompts: columns `prompt_id`, `prompt`, `topic`.
        writer: the model that writes.
        words, templates: as in `preferences.revise`.
        seed: of the draw.

    Returns:
        One row per prompt: `prompt_id`, `prompt`, `topic`, `revised_for` (persona id), `rejected`, `chosen` (the
        revision), `generator`, `failure`.
    """
    base = preferences.base_answers(prompts, writer, words, templates)
    order = seeds.rng("people who play", seed).permutation(len(people))
    chosen_for = people.index[order[np.arange(len(prompts)) % len(people)]]
    texts = profiles.texts(people)
    table = prompts[["prompt_id", "prompt", "topic"]].reset_index(drop=True).join(base, on="prompt_id")
    table = table.assign(revised_for=chosen_for, profile=chosen_for.map(texts))
    table = table.join(preferences.refine(table, writer, words, templates))
    table["failure"] = table.pop("base_failure").radd("base answer: ").fillna(table["failure"])
    return table[["prompt_id", "prompt", "topic", "revised_for", "rejected", "chosen", "generator", "failure"]]


def play(
    people: pd.DataFrame,
    pairs: pd.DataFrame,
    judges: Sequence[Model],
    templates: str | None = None,
    form: profiles.Form = "list",
) -> pd.DataFrame:
    """Let every model choose between the two answers to every question in every person's shoes, in both orders.

    Args:
        people: personas, index `persona_id`.
        pairs: as from `shared_pairs`; those that failed are not put to anybody, but have their rows.
        judges: the models that play.
        templates: folder with a `prefer.txt` of the user's own.
        form: of the profile, as in `profiles.describe`. In another form than list a model is another judge, named
            'NAME, FORM': how far it agrees with itself is a ceiling for its agreement with others.

    Returns:
        As `choose`.
    """
    texts = profiles.texts(people, form).rename("profile").rename_axis(personas.ID)
    return choose(texts.reset_index().merge(pairs, how="cross"), judges, templates, "" if form == "list" else form)


def choose(items: pd.DataFrame, judges: Sequence[Model], templates: str | None = None, kind: str = "") -> pd.DataFrame:
    """Let every model choose between the two answers of every item, in both orders.

    Args:
        items: `persona_id`, `profile`, `prompt_id`, `prompt`, the answers `rejected` and `chosen` (or `first` and
            `second`, as in what people rate), and maybe `failure`.
        judges: the models that choose.
        templates: folder with a `prefer.txt` of the user's own.
        kind: what is added to the judges' names.

    Returns:
        One row per judge, person and prompt: `persona_id`, `prompt_id`, the columns of `judging.prefer`.

    Raises:
        UserError: two models have one name.
    """
    no_twins(judges)
    items = items.rename(columns={"first": "rejected", "second": "chosen"}).reset_index(drop=True)
    items = items.assign(pair_id=items["prompt_id"])
    why = items.get("failure", pd.Series(None, items.index)).astype("str")
    why = why.mask(why.isna() & (items["rejected"] == items["chosen"]), verdicts.SAME)
    parts = []
    for judge in judges:
        played = verdicts.prefer(judge, items[why.isna()], templates, step=f"choices of {judge.name}")
        part = items[ITEM].assign(judge=", ".join(filter(None, [judge.name, kind])))
        part = part.join(played.drop(columns=[personas.ID, "judge"]))
        parts.append(part.assign(failure=part["failure"].fillna(why)))
    return pd.concat(parts, ignore_index=True)


def between_people(table: pd.DataFrame, judge: str) -> pd.DataFrame:
    """Kappa between all people as one judge plays them (Fig. 8): index and columns `persona_id`."""
    own = table[table["judge"] == judge]
    return agreement.kappa_matrix(own.pivot(index=personas.ID, columns="prompt_id", values="choice"))


def between_judges(table: pd.DataFrame, first: str, second: str) -> pd.DataFrame:
    """How far two judges agree in the shoes of each person (Figs. 6, 7 and 9).

    Args:
        table: as from `play`; a human majority is a judge like any other.
        first, second: names of two judges.

    Returns:
        Index `persona_id`; columns `n` (questions that both chose on), `failed`, `raw`, `kappa` (missing if undefined)
        with its 95% interval `low`, `high`. A person's questions are taken as independent items.
    """
    wide = table[table["judge"].isin([first, second])].pivot(
        index=[personas.ID, "prompt_id"], columns="judge", values="choice"
    )
    rows = {}
    for person, own in wide.reindex(columns=[first, second]).groupby(level=0, sort=False):
        found = agreement.coefficients(own[first], own[second], options=OPTIONS)
        n, failed, raw = found.loc["raw agreement", ["n", "failed", "estimate"]]
        rows[person] = [n, failed, raw, *found.loc["Cohen's kappa", ["estimate", "low", "high"]]]
    table = pd.DataFrame.from_dict(rows, orient="index", columns=["n", "failed", "raw", "kappa", "low", "high"])
    return (
        table.astype({"n": int, "failed": int})
        .astype(dict.fromkeys(["raw", "kappa", "low", "high"], float))
        .rename_axis(personas.ID)
    )


def spread(table: pd.DataFrame) -> pd.DataFrame:
    """Kappa between people, summed up for each judge: how far one model plays different people alike.

    Args:
        table: as from `play`.

    Returns:
        Index `judge`; columns `pairs` (of people), `undefined`, `mean`, `low`, `high` and quartiles, as in
        `agreement.spread`. The interval is the jackknife's over people, since a person is in many pairs; it takes the
        questions as given, and is missing below three people.
    """
    rows = {}
    for judge in table["judge"].unique():
        kappas = between_people(table, judge)
        rows[judge] = {**agreement.spread(kappas).iloc[0], **_jackknife(kappas.to_numpy(float))}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("judge")


def _jackknife(kappas: np.ndarray) -> dict[str, float]:
    """The interval of the mean over pairs, from means that leave out one person each."""
    from scipy import stats

    pairs = np.where(np.eye(len(kappas), dtype=bool), np.nan, kappas)
    known, total = ~np.isnan(pairs), np.nansum(pairs)
    left = known.sum() - 2 * known.sum(axis=1)
    used = known.any(axis=1)
    if used.sum() < 3 or (left[used] == 0).any():
        return {"low": np.nan, "high": np.nan}
    means = (total - 2 * np.nansum(pairs, axis=1)[used]) / left[used]
    n = len(means)
    half = stats.t.ppf(0.975, n - 1) * np.sqrt((n - 1) / n * ((means - means.mean()) ** 2).sum())
    mean = total / known.sum()
    return {"low": max(-1.0, mean - half), "high": min(1.0, mean + half)}


def repeatability(table: pd.DataFrame) -> pd.DataFrame:
    """How far each judge agrees with itself when the two answers change places: the ceiling of any agreement.

    Args:
        table: as from `play`.

    Returns:
        One row per judge and coefficient (raw agreement, Cohen's kappa): index `judge`, `coefficient`; columns of
        `agreement.coefficients`, clustered by person and prompt. A tie in one order is no choice there.
    """
    parts = {}
    for judge, own in table.groupby("judge", sort=False):
        said = [pd.Series(verdicts.won(own[p])).map({1.0: "chosen", 0.0: "rejected"}) for p in ("p_first", "p_second")]
        parts[judge] = agreement.coefficients(*said, own[ITEM].reset_index(drop=True), OPTIONS)
    if not parts:
        return _no_agreement(["judge", "coefficient"])
    return pd.concat(parts, names=["judge"]).loc[(slice(None), ["raw agreement", "Cohen's kappa"]), :]


def judges_overall(table: pd.DataFrame) -> pd.DataFrame:
    """Agreement of each pair of judges over all people and questions; a judge alone has nobody to agree with.

    Returns:
        One row per pair and coefficient: index `first`, `second`, `coefficient`; the columns of
        `agreement.coefficients`, clustered by person and prompt. Without a pair no row.
    """
    wide = table.pivot(index=ITEM, columns="judge", values="choice")
    clusters = wide.index.to_frame(index=False)
    parts = {
        (a, b): agreement.coefficients(
            wide[a].reset_index(drop=True), wide[b].reset_index(drop=True), clusters, OPTIONS
        )
        for a, b in combinations(table["judge"].unique(), 2)
    }
    names = ["first", "second", "coefficient"]
    if not parts:
        return _no_agreement(names)
    return pd.concat(parts, names=names[:2])


def _no_agreement(names: list[str]) -> pd.DataFrame:
    index = pd.MultiIndex.from_arrays([[]] * len(names), names=names)
    return pd.DataFrame(columns=_BOTH, index=index, dtype=float)


def beside(table: pd.DataFrame, people: pd.DataFrame) -> pd.DataFrame:
    """Models' and people's choices in one table, on the items that people rated.

    Args:
        table: as from `play` or `choose`.
        people: as from `humans.as_judge`.

    Raises:
        UserError: people rated nothing that the models chose on.
    """
    rated = pd.MultiIndex.from_frame(people[ITEM])
    shared = table[pd.MultiIndex.from_frame(table[ITEM]).isin(rated)]
    if shared.empty:
        raise UserError(
            f"none of the {len(rated)} persona x question items that people rated is among the run's: name the file of "
            "what they rated (parameter rated)"
        )
    known = pd.MultiIndex.from_frame(shared[ITEM])
    return pd.concat([shared, people[rated.isin(known)]], ignore_index=True)


def synthetic_votes(table: pd.DataFrame, raters: int = 4, agree: float = 0.8, seed: int = 0) -> pd.DataFrame:
    """Made-up ratings that show what is computed with real ones, and say nothing of people.

    Each person gets an opinion on each question by the toss of a coin, which each rater reports with chance `agree`.

    Args:
        table: as from `play`: its items are rated.
        raters: per person.
        agree: the chance that a rater reports the opinion, 0.5 to 1.
        seed: of the draw.

    Returns:
        As `humans.votes`: `persona_id`, `prompt_id`, `rater`, `choice` (first or second).
    """
    rng = seeds.rng("synthetic votes", seed)
    items = table[ITEM].drop_duplicates().sort_values(ITEM, ignore_index=True)
    truth = rng.random(len(items)) < 0.5
    parts = [
        items.assign(
            rater=f"synthetic {r}", choice=np.where((rng.random(len(items)) < agree) == truth, "first", "second")
        )
        for r in range(1, raters + 1)
    ]
    return pd.concat(parts, ignore_index=True).astype({"rater": "str", "choice": "str"})
