"""Which attributes of a persona matter? Each is left out in turn, and what changes is measured.

Two experiments. The paper's (section 4.1, Fig. 5): two annotators who differ by one attribute choose between the same
answers; the less they agree, the more the attribute does. And that of the published benchmark: an attribute is hidden
from the writer, not from the judge, and the score may fall. Used by 04_leave_one_out.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from scipy import stats

from .. import UserError, personas, preferences, seeds
from ..attributes import BY_NAME, NAMES
from ..judges import verdicts
from ..model import Model
from ..stats import agreement, intervals
from .conditions import conditioning

WITH, WITHOUT = "with", "without"
NOTHING = "nothing"
# A line that says nothing of anybody: how far it moves choices is what any line does, whatever it says.
PLACEBO = "placebo"
LOSS = ["n", "failed", "difference", "low", "high", "p", "note"]
SAME = "revision: the same as the base answer, so that there is nothing to choose"


def known(people: pd.DataFrame) -> list[str]:
    """The attributes that somebody here has, in the paper's order."""
    return [name for name in NAMES if name in people and people[name].notna().any()]


def annotators(
    people: pd.DataFrame, attributes: Iterable[str], n: int = 40, others: int = 3, seed: int = 0
) -> pd.DataFrame:
    """Draw for each attribute n people to whom it applies, each as two short profiles that differ by it alone.

    Args:
        people: personas, index `persona_id`.
        attributes: the ones to leave out; `placebo` is a line with a random record number, given to anybody.
        n: people per attribute, fewer where it applies to fewer.
        others: how many other attributes, drawn for each person among those known of them, both profiles have.
        seed: of the draws.

    Returns:
        Two rows per attribute and person: `attribute`, `persona_id`, `version` (with, without), `profile`, `others`
        (their names), `applies_to` (the share of people to whom the attribute applies: the selection).

    Raises:
        UserError: an attribute is unknown, or applies to nobody, or somebody has too few others.
    """
    rows = []
    for attribute in attributes:
        having = _having(people, attribute)
        rng = seeds.rng("attribute left out", seed, [*NAMES, PLACEBO].index(attribute))
        for i in np.sort(rng.choice(len(having), min(n, len(having)), replace=False)):
            person = having.iloc[i].reindex(list(NAMES)).dropna().drop(attribute, errors="ignore")
            if len(person) < others:
                raise UserError(f"{having.index[i]} has no {others} attributes beside '{attribute}': lower `others`")
            kept = rng.choice(person.index, others, replace=False)
            without = personas.describe(person[kept])
            if attribute == PLACEBO:
                whole = f"{without}\nrecord number: {rng.integers(1000, 10000)}"
            else:
                whole = personas.describe(having.iloc[i][[attribute, *kept]])
            row = {"attribute": attribute, "persona_id": having.index[i]}
            more = {"others": ", ".join(kept), "applies_to": len(having) / len(people)}
            rows += [row | {"version": v, "profile": text} | more for v, text in ((WITH, whole), (WITHOUT, without))]
    return pd.DataFrame(rows)


def _having(people: pd.DataFrame, attribute: str) -> pd.DataFrame:
    """The people to whom an attribute applies."""
    if attribute == PLACEBO:
        return people
    if attribute not in NAMES or attribute not in people:
        raise UserError(f"no attribute '{attribute}': known are {', '.join(known(people))}")
    having = people[people[attribute].notna()]
    if having.empty:
        raise UserError(f"nobody here has a value of '{attribute}': leave it out, or draw more or other people")
    return having


def selection(drawn: pd.DataFrame, n: int, attributes: Sequence[str] = ()) -> pd.DataFrame:
    """Who was drawn for each attribute: one that applies to few is studied on those few, who are not like all.

    Args:
        drawn: as from `annotators`.
        n: people per attribute that were asked for.
        attributes: all that were asked for; those that nobody has are rows as well.

    Returns:
        Index `attribute`; columns `universe` (to whom it applies, in the Census Bureau's words), `applies_to` (share of
        the people drawn from), `people` (drawn), `note` (empty, or what is wrong).
    """
    table = drawn.groupby("attribute", sort=False).agg(
        applies_to=("applies_to", "first"), people=("persona_id", "nunique")
    )
    missing = [name for name in attributes if name not in table.index]
    table = table.reindex([*table.index, *missing]).fillna({"people": 0, "applies_to": 0.0}).astype({"people": int})
    table.insert(0, "universe", [BY_NAME[a].universe if a in BY_NAME else "everyone" for a in table.index])
    fewer = table["people"].between(1, n - 1)
    table["note"] = np.select([table["people"] == 0, fewer], ["nobody here has it", f"fewer than {n}"], "")
    return table


def choices(
    drawn: pd.DataFrame,
    prompts: pd.DataFrame,
    writer: Model,
    annotator: Model,
    words: int = 60,
    templates: str | None = None,
) -> pd.DataFrame:
    """Let both annotators of each person choose between the base answer and each of their two refined ones.

    Four writer's calls per attribute, person and prompt: at the paper's size of 33 x 40 x 20 that is 105,600.

    Args:
        drawn: as from `annotators`.
        prompts: columns `prompt_id`, `prompt`; each is put to everybody.
        writer: writes base and refined answers.
        annotator: chooses in the shoes of each profile.
        words, templates: as in `preferences.revise`.

    Returns:
        One row per annotator and pair of answers: `attribute`, `persona_id`, `prompt_id`, `prompt`, `rejected` (the
        base answer), `refined_for` (the version whose revision is the answer `chosen`), `version` (of the annotator),
        those of `judging.prefer`, and `failure` (why there is no choice; a revision that equals the base answer leaves
        none).
    """
    base = preferences.base_answers(prompts, writer, words, templates)
    items = drawn.merge(prompts[["prompt_id", "prompt"]], how="cross").join(base, on="prompt_id")
    items = items.join(preferences.refine(items, writer, words, templates))
    items["failure"] = items.pop("base_failure").radd("base answer: ").fillna(items["failure"])
    items.loc[items["chosen"].str.strip() == items["rejected"].str.strip(), ["chosen", "failure"]] = [None, SAME]
    items["pair_id"] = (
        items["attribute"] + "|" + items["persona_id"] + "|" + items["prompt_id"] + "|" + items["version"]
    )
    key = ["attribute", "persona_id"]
    asked = drawn[[*key, "version", "profile"]].merge(
        items.drop(columns="profile").rename(columns={"version": "refined_for"}), on=key
    )
    there = asked[asked["chosen"].notna()]
    chosen = verdicts.prefer(annotator, there, templates).drop(columns=["persona_id", "pair_id"])
    table = asked[[*key, "prompt_id", "prompt", "pair_id", "rejected", "refined_for", "chosen", "version", "failure"]]
    table = table.join(chosen.rename(columns={"failure": "judge_failure"}))
    return table.assign(failure=table["failure"].fillna(table.pop("judge_failure")))


def influence(table: pd.DataFrame) -> pd.DataFrame:
    """Agreement of the two annotators of each person: kappa with and without the attribute.

    Args:
        table: as from `choices`.

    Returns:
        One row per attribute and person: `attribute`, `persona_id`, `n` (pairs that both chose between), `failed`,
        `raw` (share of equal choices), `kappa` (missing where undefined).
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
    """Mean kappa and raw agreement per attribute, people as the unit, least agreement first.

    Args:
        pairs: as from `influence`.

    Returns:
        Index `attribute`; columns `people`, `undefined` (people whose kappa is), `kappa`, `low`, `high` (95%
        interval of the mean by Student's t), `raw`, `p_holm` (of a raw agreement equal to the placebo's by Welch's
        test, corrected over the attributes; missing without a placebo). No interval below three people.
    """
    from statsmodels.stats.weightstats import DescrStatsW

    rows, groups = {}, dict(list(pairs.groupby("attribute", sort=False)))
    for attribute, own in groups.items():
        kappas = own["kappa"].dropna()
        several = len(kappas) > 2 and kappas.std() > 1e-9
        low, high = np.clip(DescrStatsW(kappas).tconfint_mean(), -1, 1) if several else (np.nan, np.nan)
        rows[attribute] = [len(own), int(own["kappa"].isna().sum()), kappas.mean(), low, high, own["raw"].mean()]
    table = pd.DataFrame.from_dict(rows, orient="index", columns=["people", "undefined", "kappa", "low", "high", "raw"])
    placebo = groups.pop(PLACEBO, pairs.head(0))["raw"]
    p = {attribute: _welch(own["raw"], placebo) for attribute, own in groups.items()}
    table["p_holm"] = intervals.corrected(pd.Series(p, table.index, dtype=float))
    return table.rename_axis("attribute").sort_values(["kappa", "raw"])


def _welch(one: pd.Series, other: pd.Series) -> float:
    """p of equal means; missing where there are fewer than two people, or all are alike."""
    one, other = one.dropna(), other.dropna()
    if min(len(one), len(other)) < 2 or one.std() + other.std() < 1e-9:
        return np.nan
    return stats.ttest_ind(one, other, equal_var=False).pvalue


def hide(
    drawn: pd.DataFrame,
    people: pd.DataFrame,
    attributes: Sequence[str],
    writer: Model,
    judge: Model,
    condition: str = "direct",
    words: int = 60,
    templates: str | None = None,
) -> pd.DataFrame:
    """Answer the items with each attribute hidden from the writer in turn, and with none; the judge sees all.

    Args:
        drawn: items, as from `bench.items`.
        people: the personas of the items.
        attributes: the ones to hide from the writer of those who have them.
        writer, judge, condition, words, templates: as in `bench.conditioning`.

    Returns:
        The rows of `bench.conditioning` with a column `hidden`: the attribute, or nothing. An attribute that nobody
        among the items has is in no row; `losses` says so.
    """
    parts = []
    for hidden in (NOTHING, *attributes):
        if hidden not in (NOTHING, *people):
            raise UserError(f"no attribute '{hidden}': known are {', '.join(known(people))}")
        asked = drawn if hidden == NOTHING else drawn[drawn["persona_id"].map(people[hidden].notna())]
        told = {i: personas.describe(people.loc[i].drop(hidden, errors="ignore")) for i in asked["persona_id"].unique()}
        parts.append(asked.assign(hidden=hidden, told=asked["persona_id"].map(told)))
    items = pd.concat(parts).sort_values("persona_id", kind="stable", ignore_index=True)
    return conditioning(items, [writer], judge, [condition], words, templates)


def losses(table: pd.DataFrame, attributes: Sequence[str] = ()) -> pd.DataFrame:
    """What the score loses when an attribute is hidden, on the same items, Holm-corrected over the attributes.

    Args:
        table: as from `hide`.
        attributes: those that were to be hidden, so that one that nobody has is a row too.

    Returns:
        One row per attribute, greatest loss first: `hidden`, and as in `intervals.paired_differences` `n`, `failed`,
        `difference` (hidden less nothing hidden), `low`, `high`, `p`, `p_holm` over all attributes, `note`.
    """
    whole, item = table[table["hidden"] == NOTHING], intervals.ITEM
    rows = []
    for hidden in dict.fromkeys([*attributes, *table.loc[table["hidden"] != NOTHING, "hidden"]]):
        # Only the items of people who have the attribute; the others did not fail, they were not asked.
        own = table[table["hidden"] == hidden].set_index(item)["score"]
        row = intervals.difference(own - whole.set_index(item)["score"].reindex(own.index))
        rows.append({"hidden": hidden} | row | ({} if len(own) else {"note": "nobody among the items has it"}))
    found = pd.DataFrame(rows, columns=["hidden", *LOSS])
    found.insert(found.columns.get_loc("note"), "p_holm", intervals.corrected(found["p"]))
    return found.sort_values("difference", kind="stable", ignore_index=True)


def headline(pairs: pd.DataFrame, summed: pd.DataFrame, lost: pd.DataFrame) -> str:
    """The finding in one sentence, whatever is missing.

    Args:
        pairs: as from `influence`.
        summed: as from `by_attribute`.
        lost: as from `losses`.
    """
    undefined, real = int(pairs["kappa"].isna().sum()), summed.drop(PLACEBO, errors="ignore")
    least = real["kappa"].dropna()
    kappas = f"{undefined} of {len(pairs)} kappas are undefined"
    if real["raw"].notna().any():
        said = f"Told one attribute more, the same people chose alike in {real['raw'].mean():.0%} of choices"
        if PLACEBO in summed.index and pd.notna(summed["raw"][PLACEBO]):
            said += f" ({summed['raw'][PLACEBO]:.0%} where it was the placebo)"
    else:
        said = "No choice could be compared"
    if len(least):
        kappas += f", and the least of the mean kappas is {least.min():.2f} ({least.idxmin()})"
    clear, tested = int((lost["p_holm"] < 0.05).sum()), int(lost["p"].notna().sum())
    return f"{said}; {kappas}; hiding an attribute from the writer clearly changed the score for {clear} of {tested}."
