"""Which attributes of a persona matter? Each is left out in turn, and what changes is measured.

Two experiments. The paper's (section 4.1, Fig. 5): two annotators who differ by one attribute choose between the same
answers; the less they agree, the more the attribute does. And that of the published benchmark: an attribute is hidden
from the writer, not from the judge, and the score may fall. Used by 04_leave_one_out.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from . import UserError, agreement, bench, intervals, judging, personas, preferences
from .attributes import NAMES
from .model import Model

WITH, WITHOUT = "with", "without"
NOTHING = "nothing"


def annotators(
    people: pd.DataFrame, attributes: Iterable[str], n: int = 40, others: int = 3, seed: int = 0
) -> pd.DataFrame:
    """Draw for each attribute n people to whom it applies, each as two short profiles that differ by it alone.

    Args:
        people: personas, index `persona_id`.
        attributes: the ones to leave out.
        n: people per attribute, fewer where it applies to fewer.
        others: how many other attributes, drawn for each person among those known of them, both profiles have.
        seed: of the draws.

    Returns:
        Two rows per attribute and person: `attribute`, `persona_id`, `version` (with, without), `profile`, `others`
        (their names), `applies_to` (the share of people to whom the attribute applies: the selection).

    Raises:
        UserError: an attribute is unknown, or applies to nobody.
    """
    rows = []
    for attribute in attributes:
        if attribute not in people:
            raise UserError(f"no attribute '{attribute}': known are {', '.join(c for c in people if c in NAMES)}")
        known = people[people[attribute].notna()]
        if known.empty:
            raise UserError(f"nobody here has a value of '{attribute}': leave it out, or draw more or other people")
        rng = np.random.default_rng([seed, 41, NAMES.index(attribute)])
        for i in np.sort(rng.choice(len(known), min(n, len(known)), replace=False)):
            person = known.iloc[i].reindex(list(NAMES)).dropna()
            kept = rng.choice(person.index.drop(attribute), others, replace=False)
            for version, names in ((WITH, [attribute, *kept]), (WITHOUT, kept)):
                rows.append(
                    {
                        "attribute": attribute,
                        "persona_id": known.index[i],
                        "version": version,
                        "profile": personas.describe(person[person.index.isin(names)]),
                        "others": ", ".join(kept),
                        "applies_to": len(known) / len(people),
                    }
                )
    return pd.DataFrame(rows)


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
        One row per annotator and pair of answers: `attribute`, `persona_id`, `prompt_id`, `refined_for` (the version
        whose revision is the `chosen` answer), `version` (of the annotator), those of `judging.prefer`, and `failure`.
    """
    base = preferences.base_answers(prompts, writer, words, templates)
    items = drawn.merge(prompts[["prompt_id", "prompt"]], how="cross").join(base, on="prompt_id")
    items = items.join(preferences.refine(items, writer, words, templates))
    items["failure"] = items.pop("base_failure").radd("base answer: ").fillna(items["failure"])
    items["pair_id"] = (
        items["attribute"] + "|" + items["persona_id"] + "|" + items["prompt_id"] + "|" + items["version"]
    )
    key = ["attribute", "persona_id"]
    asked = drawn[[*key, "version", "profile"]].merge(
        items.drop(columns="profile").rename(columns={"version": "refined_for"}), on=key
    )
    there = asked[asked["chosen"].notna()]
    verdicts = judging.prefer(annotator, there, templates).drop(columns=["persona_id", "pair_id"])
    table = asked[[*key, "prompt_id", "pair_id", "refined_for", "version", "failure"]]
    table = table.join(verdicts.rename(columns={"failure": "judge_failure"}))
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
        interval of the mean by Student's t), `raw`. No interval below three people.
    """
    from statsmodels.stats.weightstats import DescrStatsW

    rows = {}
    for attribute, own in pairs.groupby("attribute", sort=False):
        kappas = own["kappa"].dropna()
        low, high = DescrStatsW(kappas).tconfint_mean() if len(kappas) > 2 and kappas.std() > 0 else (np.nan, np.nan)
        rows[attribute] = [len(own), int(own["kappa"].isna().sum()), kappas.mean(), low, high, own["raw"].mean()]
    table = pd.DataFrame.from_dict(rows, orient="index", columns=["people", "undefined", "kappa", "low", "high", "raw"])
    return table.rename_axis("attribute").sort_values("kappa")


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
        attributes: the ones to hide, where they are known.
        writer, judge, condition, words, templates: as in `bench.conditioning`.

    Returns:
        The rows of `bench.conditioning` with a column `hidden`: the attribute, or nothing.
    """
    parts = []
    for hidden in (NOTHING, *attributes):
        known = drawn if hidden == NOTHING else drawn[drawn["persona_id"].map(people[hidden].notna())]
        if known.empty:
            raise UserError(f"nobody among the items has a value of '{hidden}': leave it out, or draw more people")
        told = {i: personas.describe(people.loc[i].drop(hidden, errors="ignore")) for i in known["persona_id"].unique()}
        parts.append(known.assign(hidden=hidden, told=known["persona_id"].map(told)))
    items = pd.concat(parts).sort_values("persona_id", kind="stable", ignore_index=True)
    return bench.conditioning(items, [writer], judge, [condition], words, templates)


def losses(table: pd.DataFrame) -> pd.DataFrame:
    """What the score loses when an attribute is hidden, on the same items, Holm-corrected over the attributes.

    Args:
        table: as from `hide`.

    Returns:
        One row per attribute, greatest loss first: `hidden`, and as in `intervals.paired_differences` `n`, `failed`,
        `difference` (hidden less nothing hidden), `low`, `high`, `p`, `p_holm` over all attributes, `note`.
    """
    whole, item = table[table["hidden"] == NOTHING], intervals.ITEM
    parts = []
    for _, own in table[table["hidden"] != NOTHING].groupby("hidden", sort=False):
        # Only the items of people who have the attribute; the others did not fail, they were not asked.
        same = whole[whole.set_index(item).index.isin(own.set_index(item).index)]
        parts.append(intervals.paired_differences(pd.concat([same, own]), by="hidden", against=NOTHING))
    found = pd.concat(parts, ignore_index=True).rename(columns={"minuend": "hidden"}).drop(columns="subtrahend")
    return found.assign(p_holm=intervals.corrected(found["p"])).sort_values("difference", ignore_index=True)
