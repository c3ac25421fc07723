"""A persona as text: lines `attribute: value`, the published PERSONA form.

Used by whatever shows a persona to a model.
"""

import numpy as np
import pandas as pd

from .attributes import NAMES


def lines(row: pd.Series) -> str:
    """Write what is known of a persona, in the paper's order of attributes; what is missing is left out.

    Age and income are plain integers. Auxiliary columns are not written.
    """
    known = row.reindex(list(NAMES)).dropna()
    return "\n".join(f"{name}: {_text(value)}" for name, value in known.items())


def _text(value: object) -> str:
    return str(int(value)) if isinstance(value, int | float | np.number) else str(value)
