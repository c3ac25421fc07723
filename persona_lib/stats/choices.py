"""Compare what raters chose: one option is the same whether it was read as a number or as text."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from .. import UserError


def alike(cells: np.ndarray) -> np.ndarray:
    """Return choices (n,) with numbers written as text as numbers, where others are numbers: "1" and "1.0" are 1.

    Raises:
        UserError: some choices are numbers and others are words.
    """
    seen = [cell for cell in pd.unique(cells) if not pd.isna(cell)]
    texts = [cell for cell in seen if isinstance(cell, str)]
    if len(texts) in (0, len(seen)):
        return cells
    truths = {"true": 1.0, "false": 0.0}
    numbers = {text: truths.get(text.strip().lower(), pd.to_numeric(text, errors="coerce")) for text in texts}
    if words := [text for text, number in numbers.items() if pd.isna(number)]:
        other = next(cell for cell in seen if not isinstance(cell, str))
        raise UserError(f"some choices are numbers and others words, such as {other} and {words[0]}: write all alike")
    return pd.Series(cells, dtype=object).map(lambda cell: numbers.get(cell, cell), na_action="ignore").to_numpy(object)


def coded(choices: pd.DataFrame, options: Sequence | None) -> tuple[np.ndarray, list]:
    """Return the choices as numbers (shape of `choices`), -1 where missing, and the options in order.

    Raises:
        UserError: a choice is not among the options, or some are numbers and others words.
    """
    given = [] if options is None else list(options)
    together = alike(np.array([*given, *choices.to_numpy(object).ravel()], dtype=object))
    cells = together[len(given) :]
    options = None if options is None else list(together[: len(given)])
    seen = sorted((option for option in pd.unique(cells) if not pd.isna(option)), key=str)
    options = seen if options is None else list(options)
    if unknown := [str(option) for option in seen if option not in options]:
        raise UserError(f"{', '.join(unknown)} was chosen but is not among the options {', '.join(map(str, options))}")
    codes = pd.Index(options, dtype=object).get_indexer(cells)
    return codes.reshape(choices.shape), options
