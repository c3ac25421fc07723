"""Effects: the comparisons of conditions that section 5 of the paper asks for, as one family of tests."""

from collections.abc import Sequence

import pandas as pd

from ..stats import intervals, wording

# Does reasoning or summarizing help, and does the right persona do more than another one?
PRIMARY = (("summary", "direct"), ("chain_of_thought", "direct"), ("direct", "other_persona"))
BASELINE = "baseline"


def pairs(conditions: Sequence[str]) -> list[tuple[str, str]]:
    """Return which conditions are compared, each a minuend and a subtrahend: the primary contrasts come first.

    Every other condition is compared with `baseline`, or without one with the first condition. What was not asked for
    is left out.
    """
    primary = [pair for pair in PRIMARY if set(pair) <= set(conditions)]
    reference = BASELINE if BASELINE in conditions else conditions[0]
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
    parts = []
    for model, rows in results.groupby("model", sort=False):
        compared = pairs(list(rows["condition"].unique()))
        table = intervals.paired_differences(rows, by="condition", value=value, pairs=compared)
        table.insert(0, "primary", [pair in PRIMARY for pair in compared])
        table.insert(0, "model", model)
        parts.append(table)
    whole = pd.concat(parts, ignore_index=True)
    return whole.assign(p_holm=intervals.corrected(whole["p"]))


def said(differences: pd.DataFrame) -> str:
    """Return rows of `contrasts` as text: differences in points, with interval and n, and if they hold after Holm."""
    if differences.empty:
        return "no primary contrast was asked for"
    told = []
    for row in differences.itertuples():
        name = f"{row.minuend} − {row.subtrahend}".replace("_", " ")
        text = f"{name} {wording.points(row.difference, row.low, row.high, row.n)}"
        known = pd.notna(row.p_holm)
        told.append(f"{text}, {'' if row.p_holm < wording.ALPHA else 'not '}clear after correction" if known else text)
    return "; ".join(told)
