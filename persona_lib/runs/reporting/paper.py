"""Paper: what PERSONA (Castricato et al. 2024, arXiv 2407.17387v1) reports, beside what a run found.

data/paper.csv has each number that the paper prints and a notebook computes, and where it stands. Numbers that the
paper only draws are not in it.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from ...stats import wording
from .cells import MISSING
from .shown import DATA, Shown, shown

FORMS = {"share": (100, "%", 0), "points": (100, " points", 0), "number": (1, "", 2)}  # unit -> scale, suffix, digits


def beside_paper(number: str, run: Mapping[str, Any]) -> Shown:
    """Return a table of what this run found beside what the paper reports.

    Args:
        number: of the notebook, such as "06".
        run: figure of data/paper.csv -> a count, which may be in words, or (value, low, high, n): an estimate, the ends
            of its 95% interval and what it rests on. One that is left out or missing was not measured.

    Returns:
        One row per figure of the notebook: `figure`, `this run` (as `38% [9, 80]`), `n`, `the paper`, `n, the paper`,
        `may differ in` (the paper's were others, so that the two compare only as far as these do), `section`.

    Raises:
        ValueError: the paper has no such figure for this notebook.
    """
    known = pd.read_csv(DATA / "paper.csv", dtype=str, keep_default_na=False)
    known = known[known["notebook"] == number]
    if strange := set(run) - set(known["figure"]):
        raise ValueError(f"the paper has no figure {', '.join(sorted(strange))} for notebook {number}")
    rows = [
        [row.figure, *_written(run.get(row.figure), row.unit), row.paper, row.n, row.differs, row.where]
        for row in known.itertuples()
    ]
    heads = ["figure", "this run", "n", "the paper", "n, the paper", "may differ in", "section"]
    return shown(pd.DataFrame(rows, columns=heads), "This run and the paper")


def _written(found: Any, unit: str) -> tuple[str, str]:
    """Return what a run found as it is shown, and its n."""
    value, low, high, n = found if isinstance(found, tuple) else (found, np.nan, np.nan, None)
    if value is None or pd.isna(value):
        return MISSING, ""
    if unit == "count":
        return value if isinstance(value, str) else f"{value:,}", ""
    scale, suffix, digits = FORMS[unit]
    middle, *ends = (wording.signed(scale * end, digits) for end in (value, low, high))
    if unit != "points":
        middle, *ends = (text.removeprefix("+") for text in (middle, *ends))
    inside = "no interval" if pd.isna(low) else ", ".join(ends)
    return f"{middle}{suffix} [{inside}]", f"{n:,.0f}"
