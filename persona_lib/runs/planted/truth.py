"""Compare what notebooks found with what is planted.

People and prompts of a run are samples; so are their effects. The planted value is the mean over all of them, and the
intervals of a run should hold it in 95 of 100 rehearsals.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pandas as pd

from ...stats.wording import ALPHA
from . import of_bench, of_others
from .effects import EFFECTS, Effects
from .estimates import Estimate, Setting, Tables

COLUMNS = ["notebook", "effect", "planted", "estimate", "low", "high", "n", "holds", "null", "p", "found", "detectable"]
POWER = 1 + 0.8416 / 1.96  # half widths of an interval that an effect must have to be found in 80 of 100 runs
READERS: Mapping[str, Callable[[Tables, Setting], Iterator[Estimate]]] = {
    "01": of_others.of_01,
    "02": of_others.of_02,
    "03": of_others.of_03,
    "04": of_others.of_04,
    "05": of_others.of_05,
    "06": of_bench.of_06,
    "07": of_bench.of_07,
    "08": of_bench.of_08,
    "09": of_bench.of_09,
    "10": of_bench.of_10,
}


def compared(
    tables: Mapping[str, Tables], parameters: Mapping[str, Mapping[str, Any]], effects: Effects = EFFECTS
) -> pd.DataFrame:
    """Compare the tables of a run with what is planted.

    Args:
        tables: by notebook and name, as `runs.record` writes them.
        parameters: of each notebook.
        effects: what is planted.

    Returns:
        One row per estimate with an interval: `notebook`, `effect`, `planted`, `estimate`, `low`, `high` (95%
        interval), `n`, `holds` (the interval holds the planted value), `null` (the value of no effect; missing for a
        rate), `p` (of no effect, corrected as in the notebook; missing where it corrects nothing), `found`: as in the
        notebook, p is below .05, or where it corrects nothing, the interval does not hold the null; missing without a
        null. `detectable`: the smallest difference from the null that 80 of 100 such runs would find before any
        correction, missing without a null, or if no difference of 1 (100 points) or less would be found. It is read off
        the interval's width.
    """
    rows = []
    for stem, own in tables.items():
        of_notebook = READERS.get(stem[:2])
        if of_notebook is None:
            continue
        setting = Setting(effects, parameters[stem])
        rows += [{"notebook": stem, **found._asdict()} for found in of_notebook(own, setting)]
    table = pd.DataFrame(rows, columns=["notebook", *Estimate._fields])
    table = table.astype({"planted": float, "estimate": float, "low": float, "high": float, "null": float, "p": float})
    table = table[table["low"].notna() & table["high"].notna()].reset_index(drop=True)
    rounding = 1e-9
    holds = table["planted"].between(table["low"] - rounding, table["high"] + rounding)
    null = table["null"].notna()
    outside = (table["low"] > table["null"]) | (table["high"] < table["null"])
    found = outside.where(table["p"].isna(), table["p"] < ALPHA).astype("boolean").where(null)
    detectable = (table["high"] - table["low"]) / 2 * POWER
    return table.assign(holds=holds, found=found, detectable=detectable.where(null & (detectable <= 1)))[COLUMNS]
