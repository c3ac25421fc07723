"""Control items: answers whose right verdict is known place a critic's threshold.

A critic that keeps nearly everything and one that keeps nearly nothing give rates that can't be compared. On answers
that were written to suit a person and answers that were written not to, each shows how strict it is, and whether it
tells the two apart at all.
"""

from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

from .. import UserError, files
from ..model import LanguageModel
from ..stats import intervals, points, share
from ..texts import counted
from .verdicts import critic

ITEMS = Path(__file__).parent / "data" / "control_items.yaml"
SUITABLE, UNSUITABLE, APART = "suitable", "unsuitable", "suitable − unsuitable"


def controls(judge: LanguageModel, n: int | None = None, **settings: Any) -> pd.DataFrame:
    """Let a critic judge answers whose right verdict is known: two to each control item.

    Args:
        judge: the critic.
        n: how many control items, from the first; None takes all.
        settings: `templates`, `critique_words` and `probabilities` of `judges.critic`, as in the run.

    Returns:
        One row per answer: `persona_id` and `prompt_id` (both name the item: each has a person and a question of its
        own), `profile`, `prompt`, `kind` (suitable or unsuitable), `answer`, and the columns of `judges.critic`.

    Raises:
        UserError: n is below 1 or above the number of control items.
    """
    known = _items()
    n = len(known) if n is None else n
    if not 1 <= n <= len(known):
        raise UserError(f"cannot judge {n} control items: take 1 to {len(known)}, or None for all")
    rows = [
        {
            "persona_id": item["id"],
            "prompt_id": item["id"],
            "profile": item["profile"].strip(),
            "prompt": item["question"],
            "kind": kind,
            "answer": item[kind],
        }
        for item in known[:n]
        for kind in (SUITABLE, UNSUITABLE)
    ]
    table = pd.DataFrame(rows)
    return table.join(critic(judge, table, **settings))


def threshold(judged: pd.DataFrame) -> pd.DataFrame:
    """Compute how a critic judges answers whose right verdict is known.

    Args:
        judged: as returned by `controls`, of one judge.

    Returns:
        Index `answers`: unsuitable, suitable, and the paired difference between them, by which the critic tells them
        apart (1 at best, 0 for a critic that does not look); `n`, `failed`, `rate` (kept; for the difference from -1 to
        1), `low`, `high` (95% interval), `grade` (the mean grade, 1 to 5, or its mean difference), `graded` (likewise
        of the graded score), `note`.
    """
    kept = intervals.rates(judged, by="kind").loc[[UNSUITABLE, SUITABLE]]
    pair = intervals.paired_differences(judged, by="kind", pairs=[(SUITABLE, UNSUITABLE)]).iloc[0]
    kept.loc[APART] = [pair["n"], pair["failed"], pair["difference"], pair["low"], pair["high"], pair["note"]]
    for place, value in enumerate(("grade", "graded"), start=5):
        wide = judged.pivot(index="persona_id", columns="kind", values=value)  # items x kinds
        means = wide.mean()
        kept.insert(place, value, [means[UNSUITABLE], means[SUITABLE], (wide[SUITABLE] - wide[UNSUITABLE]).mean()])
    return kept.astype({"n": int, "failed": int}).rename_axis("answers")


def placed(table: pd.DataFrame, judge: str) -> str:
    """Return the result of `threshold` as a sentence."""
    rates = table["rate"]
    if rates.isna().any():
        return f"{judge} gave no verdicts by which the control items could place it."
    apart = table.loc[APART]
    kinds = (table.loc[kind] for kind in (SUITABLE, UNSUITABLE))
    suited, unsuited = (share(row["rate"], row["low"], row["high"], note=row["note"]) for row in kinds)
    gap = points(apart["rate"], apart["low"], apart["high"], note=apart["note"])
    return (
        f"On {counted(apart['n'], 'control item')}, {judge} keeps {suited} of the answers written to suit the person "
        f"and {unsuited} of those written not to: a difference of {gap}."
    )


@cache
def _items() -> list[dict[str, str]]:
    """Return the control items: `id`, `profile`, `question`, and an answer of each kind."""
    return files.read_yaml(ITEMS)
