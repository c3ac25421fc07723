"""Iterative proportional fitting, for the scripts that calibrate committed tables."""

from collections.abc import Sequence

import numpy as np


def rake(table: np.ndarray, targets: Sequence[tuple[tuple[int, ...], np.ndarray]], rounds: int = 500) -> np.ndarray:
    """Scale a table of any number of axes until its sums over all but some axes are the targets (axes, sums).

    Cells at 0 stay there. Targets that contradict each other slightly are met in the order given, the last exactly.
    """
    table = table.copy()
    for _ in range(rounds):
        for axes, target in targets:
            others = tuple(axis for axis in range(table.ndim) if axis not in axes)
            now = table.sum(axis=others, keepdims=True)
            shape = [table.shape[axis] if axis in axes else 1 for axis in range(table.ndim)]
            ratio = np.divide(target.reshape(shape), now, out=np.zeros_like(now), where=now > 0)
            table *= ratio
    return table
