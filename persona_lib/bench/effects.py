"""Effects: the comparisons of conditions that section 5 of the paper asks for, as one family of tests."""

from collections.abc import Callable, Sequence

import pandas as pd

from ..judges.corrections import human_differences
from ..stats import intervals, wording
from .conditions import CONDITIONS

# Does reasoning or summarizing help, and does the right persona do more than another one?
PRIMARY = (("summary", "direct"), ("chain_of_thought", "direct"), ("direct", "other_persona"))
BASELINE = "baseline"


def pairs(conditions: Sequence[str]) -> list[tuple[str, str]]:
    """Return which conditions are compared, each a minuend and a subtrahend: the primary contrasts come first.

    Every other condition is compared with `baseline`, or without one with the first condition. What was not asked for
    is left out.
    """
    primary = [pair for pair in PRIMARY if set(pair) <= set(conditions)]
    reference = BASELINE if BASELINE in conditions else next(iter(conditions), BASELINE)
    others = [(condition, reference) for condition in conditions if condition != reference]
    return primary + [pair for pair in others if pair not in primary]


def contrasts(results: pd.DataFrame, value: str = "score") -> pd.DataFrame:
    """Compare conditions on the same items: the primary contrasts, and each condition with the baseline.

    Args:
        results: as returned by `bench.conditioning`, one sample each.
        value: the score that is compared, from 0 to 1, such as `score` or `graded`.

    Returns:
        One row per model and pair of conditions: `model`, `primary` (one of section 5's questions), and the columns of
        `stats.paired_differences`; `p_holm` is corrected over all rows.
    """
    return _in_each_model(
        results, lambda rows, asked: intervals.paired_differences(rows, by="condition", value=value, pairs=asked)
    )


def human_contrasts(beside: pd.DataFrame) -> pd.DataFrame:
    """Compare conditions as `contrasts` does, by the rates that people would give.

    Args:
        beside: verdicts and labels, as returned by `judges.labels.beside`.

    Returns:
        One row per model and pair of conditions: `model`, `primary`, and the columns of
        `judges.corrections.human_differences`; `p_holm` is corrected over all rows.
    """
    return _in_each_model(beside, human_differences)


def _in_each_model(table: pd.DataFrame, compare: Callable[[pd.DataFrame, list], pd.DataFrame]) -> pd.DataFrame:
    """Return the pairs of conditions of each model compared, as one family of tests."""
    parts = []
    for model in table["model"].unique() if len(table) else [""]:
        rows = table[table["model"] == model]
        compared = pairs(list(rows["condition"].unique()))
        found = compare(rows, compared)
        found.insert(0, "primary", [pair in PRIMARY for pair in compared])
        found.insert(0, "model", model)
        parts.append(found)
    whole = pd.concat(parts, ignore_index=True)
    return whole.assign(p_holm=intervals.corrected(whole["p"]))


def said(differences: pd.DataFrame, model: str, conditions: Sequence[str]) -> str:
    """Return the contrasts of one model that a headline names: section 5's, and those of the user's own conditions.

    Args:
        differences: as returned by `contrasts` or `human_contrasts`.
        model: the writer.
        conditions: the conditions of the run, without its controls.

    Returns:
        The size of the family, then each known difference in points with interval and n, and if it holds after Holm.
    """
    own = differences["minuend"].isin(set(conditions) - set(CONDITIONS))
    chosen = differences[(differences["primary"] | own) & (differences["model"] == model)]
    if chosen.empty:
        return "no primary contrast was asked for"
    known = chosen.dropna(subset="difference")
    if known.empty:
        return "none of which is known, since no answers are scored or labelled in both conditions"
    told = []
    for row in known.itertuples():
        name = f"{row.minuend} − {row.subtrahend}".replace("_", " ")
        text = f"{name} {wording.points(row.difference, row.low, row.high, row.n, row.note)}"
        tested = pd.notna(row.p_holm)
        told.append(f"{text}, {'' if row.p_holm < wording.ALPHA else 'not '}clear after correction" if tested else text)
    tests = differences["p"].notna().sum()
    family = f"corrected as one family of {tests} over all models: " if tests else ""
    return family + "; ".join(told)
