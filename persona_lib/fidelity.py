"""Role-play fidelity: do models choose alike in the shoes of the same people? Section 4.2 of the paper, Figs. 6 to 9.

Everybody chooses between the same two answers to each question, whoever plays whom: the answer for nobody in
particular, and the revision for somebody drawn. Without that, a kappa would compare different questions. Used by
05_fidelity.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from . import UserError, agreement, judging, personas, preferences
from .model import Model


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
    order = np.random.default_rng([seed, 61]).permutation(len(people))
    chosen_for = people.index[order[np.arange(len(prompts)) % len(people)]]
    profiles = {i: personas.describe(people.loc[i]) for i in chosen_for.unique()}
    table = prompts[["prompt_id", "prompt", "topic"]].reset_index(drop=True).join(base, on="prompt_id")
    table = table.assign(revised_for=chosen_for, profile=chosen_for.map(profiles))
    table = table.join(preferences.refine(table, writer, words, templates))
    table["failure"] = table.pop("base_failure").radd("base answer: ").fillna(table["failure"])
    return table[["prompt_id", "prompt", "topic", "revised_for", "rejected", "chosen", "generator", "failure"]]


def play(
    people: pd.DataFrame, pairs: pd.DataFrame, judges: Sequence[Model], templates: str | None = None
) -> pd.DataFrame:
    """Let every model choose between the two answers to every question in every person's shoes, in both orders.

    Args:
        people: personas, index `persona_id`.
        pairs: as from `shared_pairs`; those that failed are not put to anybody, but have their rows.
        judges: the models that play.
        templates: folder with a `prefer.txt` of the user's own.

    Returns:
        One row per judge, person and prompt: `persona_id`, `prompt_id`, the columns of `judging.prefer`.

    Raises:
        UserError: two models have one name.
    """
    names = [judge.name for judge in judges]
    if len(set(names)) < len(names):
        raise UserError(f"two of the models {', '.join(names)} have one name, so that their rows would be one")
    profiles = pd.DataFrame({"profile": [personas.describe(row) for _, row in people.iterrows()]}, people.index)
    items = profiles.reset_index().merge(pairs, how="cross").assign(pair_id=lambda t: t["prompt_id"])
    there = items[items["failure"].isna()]
    parts = []
    for judge in judges:
        played = judging.prefer(judge, there, templates, step=f"choices of {judge.name}")
        part = items[[personas.ID, "prompt_id"]].assign(judge=judge.name)
        part = part.join(played.drop(columns=[personas.ID, "judge"]))
        parts.append(part.assign(failure=part["failure"].fillna(items["failure"])))
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
        Index `persona_id`; columns `n` (questions that both chose on), `failed`, `raw`, `kappa` (missing if undefined).
    """
    wide = table[table["judge"].isin([first, second])].pivot(
        index=[personas.ID, "prompt_id"], columns="judge", values="choice"
    )
    rows = {}
    for person, own in wide.groupby(level=0, sort=False):
        both = own.dropna()
        kappa = agreement.cohen_kappa(both[first], both[second]) if len(both) else np.nan
        rows[person] = [len(both), len(own) - len(both), (both[first] == both[second]).mean(), kappa]
    return pd.DataFrame.from_dict(rows, orient="index", columns=["n", "failed", "raw", "kappa"]).rename_axis(
        personas.ID
    )


def judges_overall(table: pd.DataFrame) -> pd.DataFrame:
    """Agreement of each pair of judges over all people and questions.

    Returns:
        One row per pair and coefficient: `first`, `second`, and the columns of `agreement.coefficients`, clustered by
        person and prompt.
    """
    from itertools import combinations

    wide = table.pivot(index=[personas.ID, "prompt_id"], columns="judge", values="choice")
    clusters = wide.index.to_frame(index=False)
    parts = [
        agreement.coefficients(wide[a].reset_index(drop=True), wide[b].reset_index(drop=True), clusters)
        .reset_index()
        .assign(first=a, second=b)
        for a, b in combinations(table["judge"].unique(), 2)
    ]
    return pd.concat(parts, ignore_index=True).set_index(["first", "second", "coefficient"])
