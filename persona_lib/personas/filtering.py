"""Whom a filter removes: the share of personas, for each reason and in each group, and what it does to the margins.

A filter's own bias shows here. The paper's filter, GPT-4, removes about 8.5% of its configurations (section 3.1). Two
filters are compared with it: rules (`rarity` and `consistency.check`) and a model (`consistency.ask`).
"""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from .. import UserError
from ..attributes import BY_NAME
from ..census import distances
from ..model import LanguageModel
from ..texts import counted
from . import consistency, rarity
from .ids import ID
from .psychographics import IDEOLOGIES, PARTIES, RELIGIONS

MISSING = "missing"
SURVEYED = {"religion": RELIGIONS, "political views": PARTIES, "ideology": IDEOLOGIES}
# A filter that rejects more than MOST of the people, of more than FEW, tells more of itself than of them.
MOST, FEW = 0.5, 10


def by_rules(people: pd.DataFrame) -> pd.DataFrame:
    """Find the personas that the rules remove: unlikely ones (`rarity.find`), and those that contradict themselves.

    Args:
        people: indexed by `persona_id`, as first drawn: `sampling.sample` with `filtered=False`, then
            `enrichment.first_draw`.

    Returns:
        One row per violation: `persona_id`, `rule`, `reason`.
    """
    return pd.concat([rarity.find(people), consistency.check(people)]).drop_duplicates(ignore_index=True)


def by_model(people: pd.DataFrame, checker: LanguageModel | None) -> pd.DataFrame:
    """Return a model's verdict on each persona, as `consistency.ask`; without a model, an empty table."""
    columns = ["consistent", "why", "attribute", "failure", "judge", "judge_template"]
    return consistency.ask(people, checker) if checker else pd.DataFrame(columns=columns)


def blames_all(wrong: int, read: int) -> bool:
    """Return whether a filter rejects so many people that its verdicts tell nothing of them."""
    return read > FEW and wrong > MOST * read


def told(said: pd.DataFrame) -> str:
    """Return in a sentence what a model's verdicts (as of `by_model`) amount to."""
    from .. import stats  # takes a second, and `persona sample` does not need it

    read, wrong = int(said["consistent"].notna().sum()), int(said["consistent"].eq(False).sum())
    if said.empty:
        return "No model read the profiles."
    name = said["judge"].iloc[0]
    failed = f"; {counted(len(said) - read, 'unusable reply', 'unusable replies')}" if read < len(said) else ""
    if not read:
        return f"{name} gave no usable verdict on {len(said):,} profiles."
    share = stats.share(wrong / read, *_interval(wrong, read), read)
    said_of = f"{name} calls {wrong:,} profiles inconsistent, {share}{failed}."
    if not wrong:
        return f"{said_of} Where it finds nothing, nothing shows that it reads at all."
    if blames_all(wrong, read):
        return f"{said_of} So many tell more of the filter than of the people: nobody was drawn anew for it."
    return said_of


def effect(people: pd.DataFrame, found: pd.DataFrame) -> pd.DataFrame:
    """Show what a filter does to the census margins: the people it leaves, beside all of them.

    Args:
        people: all that were checked, with the census attributes.
        found: as of `by_rules` or `by_model`.

    Returns:
        One row per value of an attribute, the largest change first: `attribute`, `value`, `census`, `all`, `left`
        (shares, 0 to 1), `change` (`left` minus `all`). The last two are missing where the filter leaves nobody.
    """
    left = people.drop(_reasons(found)["persona_id"].unique())
    table = distances.margins(people).rename(columns={"personas": "all"})
    table["left"] = np.nan if left.empty else distances.margins(left)["personas"]
    table["change"] = table["left"] - table["all"]
    return table.sort_values("change", key=abs, ascending=False, kind="stable", ignore_index=True)


def report(personas: pd.DataFrame, found: pd.DataFrame, by: Iterable[str] = ("sex", "race", "age")) -> pd.DataFrame:
    """Report whom a filter removes: the share of all personas, for each reason, and in each group.

    Args:
        personas: all personas that were checked; of those that a model has not read, nothing is reported.
        found: as of `by_rules` or `by_model`.
        by: attributes to group by. Age and other numbers are cut into four groups of about equal size.

    Returns:
        One row per group, in three blocks: all personas, the reasons (most frequent first), the groups of each
        attribute (missing values are a group of their own).

        - `by`: 'all', 'reason' or an attribute
        - `group`: 'all', the rule (of a model: the attribute that disagrees most), or the value; a text
        - `n`: personas of the group that were checked; for a reason, all that were checked
        - `failed`: personas without a verdict, because the model's reply was invalid; not in `n`
        - `removed`: personas of `n` that contradict themselves; one with several reasons counts in each reason
        - `rate`, `low`, `high`: removed / n and its 95% interval (`stats.rate`), 0 to 1; missing if n is 0

    Raises:
        UserError: the personas lack an attribute of `by`.
    """
    by = list(by)
    if missing := [name for name in by if name not in personas]:
        raise UserError(f"the personas have no {', '.join(missing)}: name attributes in `by`")
    reasons = _reasons(found)
    checked = pd.Series(True, personas.index)
    if "consistent" in found:  # the model may have read some of them
        personas = personas[personas.index.isin(found.index)]
        checked = found["consistent"].reindex(personas.index).notna()
    removed = pd.Series(personas.index.isin(reasons["persona_id"]), personas.index)
    counts = [_count("all", "all", checked, removed)]
    # The most frequent reason first; equally frequent ones by name.
    frequencies = reasons["rule"].value_counts().sort_index().sort_values(ascending=False, kind="stable")
    for rule in frequencies.index:
        those = reasons.loc[reasons["rule"] == rule, "persona_id"]
        counts.append(_count("reason", rule, checked, pd.Series(personas.index.isin(those), personas.index)))
    for name in by:
        groups = _groups(personas[name])
        for group in groups.cat.categories:
            own = groups == group
            counts.append(_count(name, group, checked[own], removed[own]))
    return _with_rates(pd.DataFrame(counts))


def _reasons(found: pd.DataFrame) -> pd.DataFrame:
    """Return why personas are removed, once per persona and reason: columns `persona_id`, `rule`."""
    if "consistent" in found:  # a model's verdicts
        wrong = found[found["consistent"].eq(False).fillna(False)]
        return pd.DataFrame({"persona_id": wrong.index, "rule": wrong["attribute"].to_numpy()})
    return found[["persona_id", "rule"]].drop_duplicates()


def _groups(values: pd.Series) -> pd.Series:
    """Return the groups of an attribute as categories in the order to show; missing values are the last group."""
    known = values.dropna()
    if pd.api.types.is_numeric_dtype(values) and known.nunique() > 1:
        texts = _quarters(known)
        order = list(texts.cat.categories)
    else:
        texts = known.astype("str")
        present = set(texts)
        order = [label for label in _labels(str(values.name)) if label in present]
        order += sorted(present - set(order))
    if len(known) < len(values):
        order.append(MISSING)
    return texts.astype("str").reindex(values.index).fillna(MISSING).astype(pd.CategoricalDtype(order))


def _quarters(numbers: pd.Series) -> pd.Series:
    """Cut numbers into four groups of about equal size, named by their least and largest number: '23 to 39'."""
    places = pd.qcut(numbers.astype(float), 4, labels=False, duplicates="drop")
    ends = numbers.groupby(places).agg(["min", "max"])
    names = [f"{low:,.0f} to {high:,.0f}" for low, high in ends.itertuples(index=False)]
    return places.map(dict(zip(ends.index, names, strict=True))).astype(pd.CategoricalDtype(names))


def _labels(attribute: str) -> tuple[str, ...]:
    """Return an attribute's labels in the order of the Bureau or of the survey; () for free texts."""
    if attribute in SURVEYED:
        return SURVEYED[attribute]
    return BY_NAME[attribute].labels if attribute in BY_NAME else ()


def _count(by: str, group: str, checked: pd.Series, removed: pd.Series) -> dict[str, str | int]:
    return {
        "by": by,
        "group": group,
        "n": int(checked.sum()),
        "failed": int((~checked).sum()),
        "removed": int(removed.sum()),
    }


def _with_rates(counts: pd.DataFrame) -> pd.DataFrame:
    """Add `rate`, `low` and `high`."""
    n = counts["n"].where(counts["n"] > 0)
    ends = [_interval(*row) for row in counts[["removed", "n"]].itertuples(index=False)]
    return counts.assign(rate=counts["removed"] / n, low=[low for low, _ in ends], high=[high for _, high in ends])


def _interval(removed: int, n: int) -> tuple[float, float]:
    """Return the ends of the interval of a share of people, who are independent (`stats.rate`); missing for nobody."""
    from .. import stats  # takes a second, and `persona sample` does not need it

    found = stats.rate(pd.Series(np.repeat([1.0, 0.0], [removed, n - removed])), pd.DataFrame({ID: np.arange(n)}))
    return found["low"], found["high"]
